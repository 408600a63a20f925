//! `health`: what somebody should look at.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use scorebook::Thresholds;
use serde_json::Value;

/// What somebody should look at: room on the disk, events that cannot be read, consumers that need somebody. Exit code 1 where
/// there is anything.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Less room than this on the disk is a concern
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    room: u64,
    /// A consumer that is more positions behind is a concern
    #[arg(long, value_name = "POSITIONS", default_value_t = 100_000)]
    lag: u64,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let health = store.health(&Thresholds::default().room(arguments.room).lag_events(arguments.lag))?;
    let concerns: Vec<String> = health.concerns().iter().map(ToString::to_string).collect();
    let listed: Value = concerns.iter().map(|concern| Value::from(concern.as_str())).collect();
    let facts = Facts::default().with("directory", tool.dir.to_string_lossy()).with("room", health.room());
    tool.output().facts(&facts.with_shown("concerns", &listed, concerns.clone()))?;
    match concerns.len() {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Other, concerns.join("; "))),
    }
}
