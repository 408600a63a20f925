//! `delete` and `undelete`: a stream that is not read by its name any more, for a while or for ever.

use crate::cli::Tool;
use crate::cli::append::expectation;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::output::{Facts, counted};
use scorebook::{ExpectedVersion, StreamName};

/// Deletes a stream: it is not read by its name any more; its events stay in the log until they are removed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream
    stream: StreamName,
    /// Finish it for ever: nothing is appended to it any more, and its name is never used again
    #[arg(long)]
    for_ever: bool,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT", default_value = "deleted with the tool")]
    reason: String,
    /// What the stream's version must be: any, none (there is no such stream), exists, or a number
    #[arg(long, value_name = "any|none|exists|N", default_value = "any", value_parser = expectation)]
    expect: ExpectedVersion,
    #[command(flatten)]
    consent: Consent,
}

/// Has a stream that was deleted read again.
#[derive(clap::Args)]
pub(crate) struct Undelete {
    /// The stream
    stream: StreamName,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { stream, for_ever, reason, expect, consent } = arguments;
    let reader = tool.open_read_only()?;
    let count = match reader.stream_info(stream) {
        Ok(info) => info.version().get() + 1 - info.first_version().get(),
        // A name can be finished that was never used.
        Err(error) if *for_ever && error.kind() == scorebook::ErrorKind::StreamNotFound => 0,
        Err(error) => return Err(error.into()),
    };
    reader.close()?;
    let events = counted(count, "event is", "events are");
    let (plan, act) = match for_ever {
        true => (format!("Stream {stream} is finished for ever; {events} not read by its name any more."), "finish"),
        false => (format!("Stream {stream} is deleted; {events} not read by its name any more."), "delete"),
    };
    let facts = Facts::default().with("stream", stream.as_str()).with("act", act).with("events", count);
    let facts = facts.with("reason", &**reason);
    if !consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change(if *for_ever { "`store.tombstone(..)`" } else { "`store.delete(..)`" })?;
    match for_ever {
        true => store.tombstone(stream, *expect, reason),
        false => store.delete(stream, *expect, reason),
    }
    .wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

pub(crate) fn undelete(tool: &Tool, arguments: &Undelete) -> Result<(), Failure> {
    let Undelete { stream, consent } = arguments;
    let facts = Facts::default().with("stream", stream.as_str()).with("act", "undelete");
    if !consent.is_given(tool, &format!("What is deleted of stream {stream} is read again."), facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.undelete(..)`")?;
    store.undelete(stream).wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}
