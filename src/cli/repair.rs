//! `repair`: moves damaged files aside, and records what is lost.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::output::{Facts, counted};
use scorebook::{EventStore, RepairPlan};
use serde_json::{Value, json};

/// Makes a damaged store one that can be written again: moves damaged files into `quarantine/`, keeps everything in them that
/// verifies, and records what is lost.
///
/// Reads across what is lost go on to fail unless they are asked to skip it. A stream that may have had events there takes no
/// append until that is accepted. Restoring a backup loses less, where there is one; `salvage` copies and leaves the store as
/// it is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Accept what is lost, so that all streams take appends again
    #[arg(long)]
    accept_losses: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let consent = arguments.consent;
    consent.can_be_given()?;
    let plan = scorebook::repair(&tool.dir)?;
    if consent.is_out_of_the_question() {
        return tool.output().facts(&facts(&plan).with("done", false));
    }
    consent.ask(|| {
        if tool.output().is_for_people() {
            tool.output().facts(&facts(&plan))?;
        }
        Ok(sentence(&plan))
    })?;
    let facts = facts(&plan);
    let advice = "what was damaged is damaged still, or repaired: the next `scorebook repair` goes on from there";
    let repaired = plan.apply().map_err(|error| Failure::from(error).advise(advice))?;
    if arguments.accept_losses {
        let store = EventStore::open(&tool.dir)?;
        store.accept_losses()?;
        store.close()?;
    }
    let moved = repaired.moved().to_vec();
    let facts = facts.with_shown("moved", &json!(moved), moved.clone());
    tool.output().facts(&facts.with("losses_accepted", arguments.accept_losses).with("done", true))
}

fn sentence(plan: &RepairPlan) -> String {
    let lost: u64 = plan.lost().iter().map(|(first, last)| last.get() - first.get() + 1).sum();
    let kept = counted(plan.events_kept(), "event is", "events are");
    let files = counted(plan.files().len() as u64, "file is", "files are");
    let lost = counted(lost, "position is", "positions are");
    format!("{kept} kept, {lost} recorded as lost, and {files} moved aside.")
}

fn facts(plan: &RepairPlan) -> Facts {
    let lost: Vec<_> = plan.lost().iter().map(|(first, last)| (first.get(), last.get())).collect();
    let shown = lost.iter().map(|(first, last)| format!("positions {first} to {last}")).collect();
    let value: Value = lost.iter().map(|(first, last)| json!({ "first": first, "last": last })).collect();
    Facts::default()
        .with_damage(plan.damage())
        .with("events_kept", plan.events_kept())
        .with_shown("lost", &value, shown)
        .with("streams_in_doubt", plan.streams_in_doubt())
        .with_shown("files", &json!(plan.files()), plan.files().to_vec())
        .with("bytes_needed", plan.bytes_needed())
}
