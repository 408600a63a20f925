//! `metadata`: what is said about a stream.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use crate::cli::rfc3339;
use scorebook::{Revision, StreamName};
use serde_json::Value;

/// What is said about a stream, or says something in place of that.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream
    stream: StreamName,
    /// Say this: any JSON
    #[arg(long, value_name = "JSON")]
    set: Option<String>,
    /// Only if this is the revision of what was said last; 0 where nothing was
    #[arg(long, value_name = "N", requires = "set")]
    revision: Option<u64>,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { stream, set, revision, consent } = arguments;
    if let Some(text) = set {
        let json: Value =
            serde_json::from_str(text).map_err(|error| Failure::new(Exit::Usage, format!("--set: {error}")))?;
        let plan = format!("This is said about stream {stream} then: {json}.");
        let facts = Facts::default().with("stream", stream.as_str()).with("expected_revision", *revision);
        if !consent.is_given(tool, &plan, facts.with_shown("metadata", &json, vec![json.to_string()]))? {
            return Ok(());
        }
        let store = tool.open_to_change("`store.batch().set_metadata(..)`")?;
        store.batch().set_metadata(stream, revision.map(Revision::new), &json).commit().wait()?;
        store.close()?;
    }
    let store = tool.open_read_only()?;
    let Some(said) = store.metadata(stream)? else {
        return Err(Failure::new(Exit::NotFound, format!("nothing is said about stream {stream}")));
    };
    let json: Value = said.decode()?;
    let facts = Facts::default().with("stream", stream.as_str()).with("revision", said.revision().get());
    tool.output().facts(&facts.with("time", rfc3339::print(said.time())).with_shown(
        "metadata",
        &json,
        vec![json.to_string()],
    ))
}
