//! `truncate`: a stream begins later.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::fold::{go_on, how_to_fold};
use crate::cli::output::{Facts, counted};
use scorebook::{EventStore, NewState, StreamName, Version};
use std::fmt::Write;

/// Has a stream begin with a version: what is before it is not read by its name any more, and removed by a compaction.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream
    stream: StreamName,
    /// The first version that is kept
    #[arg(value_name = "VERSION")]
    first: u64,
    /// Carry in the log what the stream's aggregate comes to with all that is before, so that the stream can still be folded
    #[arg(long)]
    carry: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { stream, first, carry, consent } = arguments;
    let reader = tool.open_read_only()?;
    let before = reader.stream_info(stream)?.first_version().get();
    let carried = reader.carried_state(stream)?.filter(|_| before < *first);
    let state = carry.then(|| state_before(tool, &reader, stream, *first)).transpose()?;
    reader.close()?;
    let gone = counted(first.saturating_sub(before), "version is", "versions are");
    let mut plan =
        format!("Stream {stream} begins with version {first} and not with {before}: {gone} not read any more.");
    let facts = Facts::default().with("stream", stream.as_str()).with("act", "truncate").with("first_before", before);
    let mut facts = facts.with("first", *first).with("carries", *carry);
    if *carry {
        plan.push_str(" The log carries the state before that.");
    }
    if let Some(carried) = carried {
        let (fold, version) = (carried.fold(), carried.version());
        if !carry {
            write!(plan, " The state of `{fold}` at version {version}, which it begins with, is dropped.")
                .expect("writing into a string");
        }
        facts = facts.with("carried_before", format!("{fold} at version {version}"));
    }
    if !consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.truncate_before(..)`")?;
    match state {
        Some(state) => store.truncate_carrying(stream, state),
        None => store.truncate_before(stream, Version::new(*first)),
    }
    .wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

/// What the aggregate of a stream comes to before a version.
fn state_before(tool: &Tool, store: &EventStore, stream: &StreamName, first: u64) -> Result<NewState, Failure> {
    let last = Version::new(first.saturating_sub(1));
    if last == Version::new(0) {
        return Err(Failure::new(Exit::Usage, "nothing is before version 1: there is no state to carry"));
    }
    match tool.fold(store, stream)? {
        Some(fold) => Ok(go_on(store, stream, last, fold, |_, _| Ok(()))?.to_carry()?),
        None => Err(Failure::new(Exit::NotFound, how_to_fold(tool, stream))),
    }
}
