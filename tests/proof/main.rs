//! The proof: the long runs of what the tests sample.
//!
//! ```text
//! cargo test --release --all-features --test proof -- crashes --count 2000000 --seed 1 --record
//! ```
//!
//! Each lane prints its seed and what it counted, ends with 1 at the first violation, and with `--record` adds what it
//! has done to `runs.ndjson` beside this file, every few seconds: it can be stopped at any time.

#![allow(clippy::print_stdout, reason = "the proof talks to whoever runs it")]

mod damage;
mod filesystems;
mod kills;
#[path = "../model/mod.rs"]
mod model;
mod other;
mod run;
mod simulated;

use clap::{Args, Parser, Subcommand};
use run::Extent;
use std::path::PathBuf;
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
        /// Fewer states of each operation, by seed. Such a run is not recorded.
        #[arg(long, conflicts_with = "record")]
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
    /// A consumer with random members, acknowledgements, failures, restarts and crashes, compared with a model.
    Consumers {
        #[command(flatten)]
        amount: Amount,
    },
    /// Deletions, rules, compactions, backups, restores, crashes and faults in one history, with everybody who follows it,
    /// compared with a model.
    Mixes {
        #[command(flatten)]
        amount: Amount,
    },
    /// Decisions and a compaction behind a random history, stopped at every operation, one and two deep.
    Keeping {
        #[command(flatten)]
        amount: Amount,
        /// Fewer operations and states, by seed. Such a run is not recorded.
        #[arg(long, conflicts_with = "record")]
        sample: bool,
    },
    /// Every bit, cut, sector, record, segment and file of several stores is changed, one at a time and several at once.
    Damage {
        #[command(flatten)]
        amount: Amount,
    },
    /// A process that writes is killed at random moments, over and over in one directory.
    Kills {
        #[command(flatten)]
        amount: Amount,
    },
    /// A process that writes, on a real file system that is shut down under it, over and over. As root, if asked for.
    Shutdowns {
        #[command(flatten)]
        amount: Amount,
    },
    /// The same where the disk below the file system loses its power, and what it had not flushed.
    Powercuts {
        #[command(flatten)]
        amount: Amount,
    },
    /// Real file systems on a disk on which writes and flushes fail; then it heals, and the store is opened again.
    Diskfaults {
        #[command(flatten)]
        amount: Amount,
    },
    /// What else a real system may do to a store, each once: no room, limits, other users, failing system calls.
    Filesystems {
        #[command(flatten)]
        amount: Amount,
        /// Only those whose name holds this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// The process that serves a disk.
    #[command(hide = true)]
    Disk { image: PathBuf, file: PathBuf },
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
        Lane::Consumers { amount } => simulated::consumers(amount.extent()),
        Lane::Mixes { amount } => simulated::mixes(amount.extent()),
        Lane::Keeping { amount, sample } => simulated::keeping(amount.extent(), sample),
        Lane::Damage { amount } => damage::damage(amount.extent()),
        Lane::Kills { amount } => kills::kills(amount.extent()),
        Lane::Shutdowns { amount } => filesystems::cuts(amount.extent(), filesystems::Below::FileSystem),
        Lane::Powercuts { amount } => filesystems::cuts(amount.extent(), filesystems::Below::Disk),
        Lane::Diskfaults { amount } => filesystems::faults(amount.extent()),
        Lane::Filesystems { amount, only } => filesystems::checks(amount.extent(), &only),
        Lane::Disk { image, file } => filesystems::serve(&image, &file),
        Lane::Other { order } => other::obey(&order),
        Lane::Report => report(),
    };
    if has_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the sum of all runs, lane by lane.
fn report() -> bool {
    println!("| lane | tried | took | violations | last run |\n|---|---|---|---|---|");
    let mut sums: Vec<run::Record> = Vec::new();
    for record in run::records().expect("the record can be read") {
        match sums.iter_mut().find(|sum| sum.lane == record.lane) {
            None => sums.push(record),
            Some(sum) => {
                sum.count += record.count;
                sum.violations += record.violations;
                sum.seconds += record.seconds;
                (sum.date, sum.machine) = (record.date, record.machine);
            }
        }
    }
    for run::Record { lane, unit, count, violations, seconds, date, machine, .. } in sums {
        println!(
            "| `{lane}` | {} {unit} | {} min | {violations} | {date}, {machine} |",
            grouped(count),
            seconds.div_ceil(60)
        );
    }
    true
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
