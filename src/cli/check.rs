//! `check`: the whole log held against the registry.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure, chain};
use crate::cli::output::{Facts, counted, say};
use crate::cli::states::{self, Differing};
use scorebook::{CheckFailure, CheckReport, CheckedShape};
use serde_json::{Value, json};
use std::path::PathBuf;

/// So many failures are shown; the types say how many there are of each.
const FAILURES_SHOWN: usize = 100;

/// Decodes and folds the whole log by what this program knows of events, and says what fails; and, of states that other code
/// has written down, what differs.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Hold the states against those in this file, each at the version it was written at, path by path
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Write the state of every stream to this file, over what is in it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let report = tool.registry_for(&store)?.check(&store)?;
    let mut facts = facts(&report);
    let mut differing = Vec::new();
    if report.is_sound() {
        if let Some(path) = &arguments.against {
            let (found, compared) = states::compare(tool, &store, path)?;
            differing = found;
            facts = with_differing(facts, &differing, compared);
        }
        if let Some(path) = &arguments.write {
            facts = facts.with("states_written", states::write(tool, &store, path)?);
        }
    }
    tool.output().facts(&facts)?;
    if report.shapes().all(|shape| !shape.is_known()) && report.events() != 0 {
        say("no type is known here: a program that ends in scorebook::cli::run(registry) checks what it knows");
    }
    if report.is_sound() {
        return match counted(differing.len() as u64, "stream comes", "streams come") {
            _ if differing.is_empty() => Ok(()),
            come => Err(Failure::new(Exit::Other, format!("{come} to another state than is written down"))),
        };
    }
    let failures = counted(report.failed(), "event", "events");
    Err(Failure::new(Exit::Undecoded, format!("{failures} cannot be decoded or folded")))
}

fn facts(report: &CheckReport) -> Facts {
    let (types, shown_types) = report.shapes().map(|shape| (shape_json(shape), shape_shown(shape))).unzip();
    let failures = report.failures().take(FAILURES_SHOWN);
    let (failures, shown_failures) = failures.map(|failure| (failure_json(failure), failure_shown(failure))).unzip();
    Facts::default()
        .with("sound", report.is_sound())
        .with("events", report.events())
        .with("unknown", report.unknown().map(CheckedShape::events).sum::<u64>())
        .with("failed", report.failed())
        .with("streams_folded", report.folded_streams())
        .with_shown("types", &Value::Array(types), shown_types)
        .with_shown("failures", &Value::Array(failures), shown_failures)
}

/// Of so many streams that were compared, what differs.
fn with_differing(facts: Facts, differing: &[Differing], compared: u64) -> Facts {
    let found = differing.iter().take(FAILURES_SHOWN);
    let (json, shown) = found.map(|differing| (differing_json(differing), differing_shown(differing))).unzip();
    facts.with("states_compared", compared).with("states_differing", differing.len() as u64).with_shown(
        "differing",
        &Value::Array(json),
        shown,
    )
}

fn differing_json(differing: &Differing) -> Value {
    let differences: Vec<String> = differing.differences.iter().map(ToString::to_string).collect();
    json!({ "stream": differing.stream.as_str(), "version": differing.version.get(), "differences": differences })
}

fn differing_shown(differing: &Differing) -> String {
    let Differing { stream, version, differences } = differing;
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    format!("{stream} at {version}: {}", differences.join("; "))
}

fn shape_json(shape: &CheckedShape) -> Value {
    json!({
        "type": shape.shape().event_type(),
        "schema": shape.shape().schema(),
        "events": shape.events(),
        "known": shape.is_known(),
        "failed": shape.failed(),
    })
}

fn shape_shown(shape: &CheckedShape) -> String {
    let events = counted(shape.events(), "event", "events");
    let outcome = match (shape.is_known(), shape.failed()) {
        (false, _) => "not known".to_owned(),
        (true, 0) => "decoded".to_owned(),
        (true, failed) => format!("{failed} failed"),
    };
    format!("{}: {events}, {outcome}", shape.shape())
}

fn failure_json(failure: &CheckFailure) -> Value {
    json!({
        "position": failure.position().get(),
        "stream": failure.stream().as_str(),
        "version": failure.version().get(),
        "type": failure.shape().event_type(),
        "schema": failure.shape().schema(),
        "error": chain(failure.error()),
    })
}

fn failure_shown(failure: &CheckFailure) -> String {
    let (position, stream, version) = (failure.position(), failure.stream(), failure.version());
    format!("position {position}, {stream} at {version}: {}", chain(failure.error()))
}
