//! `salvage`: copies every provably good batch to a new directory, with a loss report.

use crate::cli::Tool;
use crate::cli::consent::ask;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use scorebook::SalvageReport;
use serde_json::{Value, json};
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
        let events = scorebook::inspect(&tool.dir)?.stats().events();
        let (source, destination) = (tool.dir.display(), arguments.destination.display());
        let question = format!("{source} holds {events} events that can be read. Copy what is good to {destination}?");
        ask(&question, "nothing was copied")?;
    }
    let report = scorebook::salvage(&tool.dir, &arguments.destination)?;
    tool.output().facts(&facts(&arguments.destination, &report))?;
    if report.lost().is_empty() && report.streams_in_doubt() == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Damage, "something was lost: the report says what"))
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
