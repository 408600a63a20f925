//! `state`: what a stream has come to, as its aggregate folds it.

use crate::cli::Tool;
use crate::cli::at::At;
use crate::cli::failure::{Exit, Failure};
use crate::cli::fold::{go_on, show_events};
use scorebook::{StreamName, Version};

/// The state of a stream, as its aggregate folds it: JSON, and nothing else.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; the part of its name before the first `-` chooses the aggregate
    stream: StreamName,
    /// As it was at this version (0 is before the first event), or then: an RFC 3339 time, a date, or an age such as 2h
    #[arg(long, value_name = "V|TIME")]
    at: Option<At>,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let stream = &arguments.stream;
    let store = tool.open_read_only()?;
    let last = At::version_or_last(arguments.at, &store, stream)?;
    let Some(fold) = tool.fold(&store, stream)? else {
        // Events are not what was asked for, and whoever reads on by machine must not take them for it.
        let advice = show_events(tool, &store, stream, Version::new(0), last)?;
        return Err(Failure::new(Exit::NotFound, advice));
    };
    let fold = go_on(&store, stream, last, fold, |_, _| Ok(()))?;
    tool.output().value(&fold.json()?)
}
