//! The proof: the long runs of what the tests sample.
//!
//! ```text
//! cargo test --release --all-features --test proof -- crashes --count 2000000 --seed 1 --record
//! ```
//!
//! Each lane prints its seed and what it counted, ends with 1 at the first violation, and with `--record` adds what it
//! has done to `runs.ndjson` beside this file, every few seconds: it can be stopped at any time.

#[path = "../model/mod.rs"]
mod model;
mod kills;
mod other;
mod run;
mod simulated;

use clap::{Args, Parser, Subcommand};
use run::Extent;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    lane: Lane,
}

#[derive(Subcommand)]
enum Lane {
    /// Stories stopped at every operation; what a crash may leave there is opened and compared, one and two deep.
    Crashes {
        #[command(flatten)]
        amount: Amount,
        /// Fewer states of each operation, by seed.
        #[arg(long)]
        sample: bool,
    },
    /// In every story the k-th operation of each kind fails, once and from then on.
    Errors {
        #[command(flatten)]
        amount: Amount,
        /// Of so many stories only.
        #[arg(long, default_value_t = usize::MAX)]
        stories: usize,
    },
    /// Random operations, faults and crashes, compared with the model after each.
    Operations {
        #[command(flatten)]
        amount: Amount,
    },
    /// A process that writes is killed at random moments, over and over in one directory.
    Kills {
        #[command(flatten)]
        amount: Amount,
    },
    /// The process that is killed: this program starts itself again.
    #[command(hide = true)]
    Other {
        #[command(flatten)]
        order: other::Order,
    },
    /// Prints what all recorded runs together have done, as the table of the guide.
    Report,
}

/// How much of a lane is to be done.
#[derive(Args)]
struct Amount {
    /// Stops after so many.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// Stops after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Another seed gives other choices.
    #[arg(long, default_value_t = model::seed())]
    seed: u64,
    /// Adds the run to the committed record.
    #[arg(long)]
    record: bool,
}

impl Amount {
    fn extent(&self) -> Extent {
        Extent {
            seed: self.seed,
            count: self.count,
            limit: self.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
            is_recorded: self.record,
        }
    }
}

fn main() -> ExitCode {
    let has_held = match Arguments::parse().lane {
        Lane::Crashes { amount, sample } => simulated::crashes(amount.extent(), sample),
        Lane::Errors { amount, stories } => simulated::errors(amount.extent(), stories),
        Lane::Operations { amount } => simulated::operations(amount.extent()),
        Lane::Kills { amount } => kills::kills(amount.extent()),
        Lane::Other { order } => other::obey(&order),
        Lane::Report => report(),
    };
    if has_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the sum of all runs, lane by lane.
fn report() -> bool {
    for record in run::records().expect("the record can be read") {
        println!("{record:?}");
    }
    true
}
