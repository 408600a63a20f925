//! `diff`: what differs between two states of a stream.

use crate::cli::Tool;
use crate::cli::at::At;
use crate::cli::difference::differences;
use crate::cli::failure::{Exit, Failure};
use crate::cli::fold::{go_on, show_events};
use scorebook::StreamName;

/// What differs in the state of a stream between two versions, path by path: `score.alice: 3 -> 4`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; the part of its name before the first `-` chooses the aggregate
    stream: StreamName,
    /// The version before (0 is before the first event), or a time: RFC 3339, a date, or an age such as 2h
    #[arg(value_name = "V1")]
    before: At,
    /// The version after, or a time
    #[arg(value_name = "V2")]
    after: At,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let stream = &arguments.stream;
    let store = tool.open_read_only()?;
    let before = arguments.before.version(&store, stream)?;
    let after = arguments.after.version(&store, stream)?;
    let (first, last) = (before.min(after), before.max(after));
    let Some(fold) = tool.fold(&store, stream)? else {
        let advice = show_events(tool, &store, stream, first, last)?;
        return Err(Failure::new(Exit::NotFound, advice));
    };
    let fold = go_on(&store, stream, first, fold, |_, _| Ok(()))?;
    let earlier = fold.json()?;
    let later = go_on(&store, stream, last, fold, |_, _| Ok(()))?.json()?;
    let found = if before <= after { differences(&earlier, &later) } else { differences(&later, &earlier) };
    let mut output = tool.output();
    let mut list = output.lines();
    let outcome = found.iter().try_for_each(|difference| list.push(difference));
    list.finish()?;
    outcome
}
