//! `salvage`: copies every provably good batch to a new directory, with a loss report.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Facts, say};
use scorebook::SalvageReport;
use serde_json::{Value, json};
use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};

/// Copies every provably good batch to a new directory, with a loss report; the source stays as it is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The directory to copy to: absent or empty
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.yes {
        ask(tool, &arguments.destination)?;
    }
    let report = scorebook::salvage(&tool.dir, &arguments.destination)?;
    tool.output().facts(&facts(&arguments.destination, &report))?;
    if report.lost().is_empty() && report.streams_in_doubt() == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Damage, "something was lost: the report says what"))
}

/// Asks whoever sits there; nobody there is no consent.
fn ask(tool: &Tool, destination: &Path) -> Result<(), Failure> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nobody is there to ask: say --yes to go ahead"));
    }
    let events = scorebook::inspect(&tool.dir)?.stats().events();
    let (source, destination) = (tool.dir.display(), destination.display());
    say(&format!("{source} holds {events} events that can be read. Copy what is good to {destination}? [y/N]"));
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(|error| Failure::file("reading", Path::new("standard input"), &error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Other, "nothing was copied")),
    }
}

fn facts(destination: &Path, report: &SalvageReport) -> Facts {
    let lost: Vec<_> = report.lost().iter().map(|(first, last)| (first.get(), last.get())).collect();
    let shown = lost.iter().map(|(first, last)| format!("positions {first} to {last}")).collect();
    let value: Value = lost.iter().map(|(first, last)| json!({ "first": first, "last": last })).collect();
    Facts::default()
        .with("destination", destination.to_string_lossy())
        .with("events_copied", report.events_copied())
        .with_shown("lost", &value, shown)
        .with("streams_in_doubt", report.streams_in_doubt())
        .with_damage(report.damage())
}
