//! `health`: what somebody should look at.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use scorebook::{Concern, Thresholds};
use serde_json::Value;
use std::time::Duration;

/// What somebody should look at: damage, room on the disk, events that cannot be read, the clock, consumers that need somebody.
/// Exit code 4 where there is damage or events are lost, 8 where there is little room, 1 where there is anything else.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Less room than this on the disk is a concern
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    room: u64,
    /// A consumer that is more positions behind is a concern
    #[arg(long, value_name = "POSITIONS", default_value_t = 100_000)]
    lag: u64,
    /// A consumer whose first event that is not done is older is a concern
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    lag_time: u64,
    /// A consumer that has set more events aside is a concern
    #[arg(long, value_name = "EVENTS", default_value_t = 0)]
    parked: u64,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let thresholds = Thresholds::default().room(arguments.room).lag_events(arguments.lag).parked(arguments.parked);
    let health = store.health(&thresholds.lag_time(Duration::from_secs(arguments.lag_time)))?;
    let concerns: Vec<String> = health.concerns().iter().map(ToString::to_string).collect();
    let listed: Value = concerns.iter().map(|concern| Value::from(concern.as_str())).collect();
    let facts = Facts::default().with("directory", tool.dir.to_string_lossy()).with("room", health.room());
    tool.output().facts(&facts.with_shown("concerns", &listed, concerns.clone()))?;
    match health.concerns().iter().map(exit_of).max_by_key(|exit| urgency(*exit)) {
        None => Ok(()),
        Some(exit) => Err(Failure::new(exit, concerns.join("; "))),
    }
}

fn exit_of(concern: &Concern) -> Exit {
    match concern {
        Concern::Damaged { .. } | Concern::Lost { .. } => Exit::Damage,
        Concern::Poisoned { .. } => Exit::Refusing,
        Concern::Full { .. } | Concern::LittleRoom { .. } => Exit::NoRoom,
        _ => Exit::Other,
    }
}

fn urgency(exit: Exit) -> u8 {
    match exit {
        Exit::Refusing => 3,
        Exit::Damage => 2,
        Exit::NoRoom => 1,
        _ => 0,
    }
}
