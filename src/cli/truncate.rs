//! `truncate`: a stream begins later.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::output::{Facts, counted};
use scorebook::{StreamName, Version};

/// Has a stream begin with a version: what is before it is not read by its name any more, and removed by a compaction.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream
    stream: StreamName,
    /// The first version that is kept
    #[arg(value_name = "VERSION")]
    first: u64,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { stream, first, consent } = arguments;
    let reader = tool.open_read_only()?;
    let info = reader.stream_info(stream)?;
    reader.close()?;
    let before = info.first_version().get();
    let gone = counted(first.saturating_sub(before), "version is", "versions are");
    let plan = format!("Stream {stream} begins with version {first} and not with {before}: {gone} not read any more.");
    let facts = Facts::default().with("stream", stream.as_str()).with("act", "truncate").with("first_before", before);
    let facts = facts.with("first", *first);
    if !consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.truncate_before(..)`")?;
    store.truncate_before(stream, Version::new(*first)).wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}
