//! `check`: the whole log held against the registry.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure, chain};
use crate::cli::output::{Facts, counted, say};
use scorebook::{CheckFailure, CheckReport, CheckedShape};
use serde_json::{Value, json};

/// So many failures are shown; the types say how many there are of each.
const FAILURES_SHOWN: usize = 100;

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let report = tool.registry.check(&store)?;
    tool.output().facts(&facts(&report))?;
    if report.shapes().all(|shape| !shape.is_known()) && report.events() != 0 {
        say("no type is known here: a program that ends in scorebook::cli::run(registry) checks what it knows");
    }
    if report.is_sound() {
        return Ok(());
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
