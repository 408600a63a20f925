//! `migrate`: writes a log of an older format anew.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::output::{Facts, counted};
use scorebook::MigrationPlan;
use serde_json::{Value, json};

/// Writes the segments of an older format anew in the newest that this version knows. Today that is the first, and there is nothing
/// to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let consent = arguments.consent;
    consent.can_be_given()?;
    let plan = scorebook::migrate(&tool.dir)?;
    let facts = facts(&plan);
    if consent.is_out_of_the_question() {
        return tool.output().facts(&facts.with("done", false));
    }
    if !plan.is_empty() {
        consent.ask(|| {
            let bytes = counted(plan.bytes_to_write(), "byte is", "bytes are");
            Ok(format!("{bytes} written anew in format {}.", plan.target()))
        })?;
    }
    let advice = "the next `scorebook migrate` goes on from there";
    let written = plan.apply().map_err(|error| Failure::from(error).advise(advice))?;
    tool.output().facts(&facts.with("segments_written", written).with("done", true))
}

fn facts(plan: &MigrationPlan) -> Facts {
    let segments = plan.segments();
    let shown = segments.iter().map(|of| format!("{}: format {}, {} bytes", of.name(), of.format(), of.bytes()));
    let value: Value =
        segments.iter().map(|of| json!({ "name": of.name(), "format": of.format(), "bytes": of.bytes() })).collect();
    Facts::default()
        .with("format", plan.target())
        .with_shown("segments", &value, shown.collect())
        .with("bytes_to_write", plan.bytes_to_write())
        .with("bytes_needed", plan.bytes_needed())
}
