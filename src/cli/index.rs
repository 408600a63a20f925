//! `index`: what is derived from the log.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::output::Facts;
use clap::{Args, Subcommand};

/// What is derived from the log.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reads the whole log and makes what is derived from it anew. Never necessary: what is in doubt is not relied on.
    Rebuild,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    match arguments.what {
        What::Rebuild => {
            let rebuilt = scorebook::rebuild_index(&tool.dir)?;
            let facts = Facts::default().with("events", rebuilt.events()).with("streams", rebuilt.streams());
            tool.output().facts(&facts.with("bytes", rebuilt.bytes()))
        }
    }
}
