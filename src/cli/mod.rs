//! The `scorebook` command, to be linked: looks at a store, also while another process writes to it, and brings events
//! in and out.
//!
//! The stock command is [`run`] with the aggregates of the [word game](crate::game) and nothing else. It stands on the public names of the crate alone, so a program can
//! have all of it. Data goes to standard output, all else to standard error; the exit codes are 0 fine, 1 other,
//! 2 usage, 3 not found, 4 damage, 5 locked by another process, 6 conflict, 7 format too new, 8 no room, 9 poisoned or
//! read-only, 10 an event that the registry cannot decode.

mod append;
mod at;
mod backup;
mod carried;
mod check;
mod compact;
mod compaction;
mod consent;
mod consumer;
mod consumers;
mod delete;
mod demo;
mod diff;
mod difference;
mod entry;
mod event;
mod exact;
mod export;
mod failure;
mod fold;
mod fresh;
mod game;
mod health;
mod hold;
mod import;
mod index;
mod info;
mod lines;
mod linked;
mod metadata;
mod migrate;
mod moment;
mod ndjson;
mod output;
mod parked;
mod play;
mod progress;
mod project;
mod projection;
mod projections;
mod query;
mod quota;
mod read;
mod repair;
mod replay;
mod retention;
mod rfc3339;
mod salvage;
mod scope;
mod segments;
mod simulate;
mod snapshots;
mod state;
mod states;
mod stats;
mod streams;
mod table;
mod tail;
mod terminal;
mod times;
mod trace;
mod truncate;
mod unless;
mod verify;
mod whence;

use crate::cli::failure::{Exit, Failure};
pub use crate::cli::linked::Linked;
use crate::cli::output::{Format, Output};
use crate::cli::project::AnyProjection;
use clap::{Parser, Subcommand};
use scorebook::{EventStore, Fold, Registry, StreamName};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a store is looked for when nobody says where.
const DIR_DEFAULT: &str = "bot.scorebook";
/// The variable that says where the store is, unless `--dir` does.
const DIR_VARIABLE: &str = "SCOREBOOK_DIR";

/// What help calls the options that may stand before or after any command.
const GLOBAL: &str = "Before or after any command";

/// Runs the tool with the arguments of this process, and says what the process shall end with.
///
/// The registry is what the tool knows of events: with its aggregates `state`, `diff` and `replay` show states, and `check`
/// says whether they can still read a log. What has projections, too, is [`Linked`]. It never ends the process itself: wrong
/// arguments and `--help` come back as exit codes too.
///
/// ```no_run
/// use scorebook::{Aggregate, EventContext, Registry, StreamName};
/// use std::process::ExitCode;
///
/// scorebook::events! {
///     /// What happens to a counter.
///     pub enum Counted {
///         /// It went up.
///         Up(u32) = "counted_up", 1;
///     }
/// }
///
/// #[derive(Clone, serde::Serialize)]
/// struct Counter {
///     count: u32,
/// }
///
/// impl Aggregate for Counter {
///     // …
/// #   type Event = Counted;
/// #   type Command = ();
/// #   type Refusal = ();
/// #   fn new(_: &StreamName) -> Counter {
/// #       Counter { count: 0 }
/// #   }
/// #   fn decide(&self, _: &()) -> Result<Vec<Counted>, ()> {
/// #       Ok(Vec::new())
/// #   }
/// #   fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
/// #       self.count += up;
/// #   }
/// }
///
/// // `counters state counter-7` prints `{"count":12}`.
/// fn main() -> Result<ExitCode, scorebook::Error> {
///     let registry = Registry::builder().aggregate::<Counter>("counter").build()?;
///     Ok(scorebook::cli::run(registry))
/// }
/// ```
pub fn run(linked: impl Into<Linked>) -> ExitCode {
    run_with(linked, std::env::args_os())
}

/// Runs the tool with these arguments, the first of which is what the command is called.
///
/// For a program that has a command line of its own and hands on what stands behind some word of it.
///
/// ```no_run
/// use scorebook::Registry;
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     // `bot store info` is `scorebook info`.
///     match std::env::args_os().nth(1) {
///         Some(word) if word == "store" => {
///             scorebook::cli::run_with(Registry::default(), std::env::args_os().skip(1))
///         }
///         _ => ExitCode::SUCCESS, // the bot itself
///     }
/// }
/// ```
pub fn run_with(linked: impl Into<Linked>, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Cli::try_parse_from(arguments) {
        Ok(cli) => obey(cli, linked.into()),
        Err(answer) => return told(&answer),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Prints what the command line itself answers: help, the version, or what is wrong with the arguments.
fn told(answer: &clap::Error) -> ExitCode {
    // Where nobody listens any more there is nobody left to tell.
    let _ = answer.print();
    let exit = if answer.use_stderr() { Exit::Usage } else { Exit::Fine };
    ExitCode::from(exit as u8)
}

/// Looks at an event store, and brings events in and out.
///
/// Works beside a process that writes to the store; commands that only read never create or change anything.
///
/// Exit codes: 0 fine (also: no match), 1 other, 2 usage, 3 not found, 4 damage (what precedes it is printed first),
/// 5 locked by another process, 6 conflict, 7 format too new, 8 no room, 9 poisoned or read-only,
/// 10 an event that cannot be decoded.
#[derive(Parser)]
#[command(name = "scorebook", version, arg_required_else_help = true)]
struct Cli {
    /// The directory of the store [default: $SCOREBOOK_DIR, else bot.scorebook]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    dir: Option<PathBuf>,

    /// How to print [default: table on a terminal, ndjson into a pipe]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = GLOBAL)]
    format: Option<Format>,

    #[command(subcommand)]
    command: Command,
}

/// What to do. Commands with arguments are described beside these.
#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Play(play::Arguments),
    Simulate(simulate::Arguments),
    /// What a store holds, how it was closed, who has it open.
    Info,
    Streams(streams::Arguments),
    Read(read::Arguments),
    Query(query::Arguments),
    /// The types of events: how many, in how many streams, first and last.
    Types,
    Stats(stats::Arguments),
    Event(event::Arguments),
    Trace(trace::Arguments),
    State(state::Arguments),
    Diff(diff::Arguments),
    Replay(replay::Arguments),
    Leaderboard(game::leaderboard::Arguments),
    Check(check::Arguments),
    Append(append::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Tail(tail::Arguments),
    Consumers(consumers::Arguments),
    Consumer(consumer::Arguments),
    Parked(parked::Arguments),
    /// The projections that this program has: version, up to where each is saved, and how many events that lacks.
    Projections,
    Projection(projection::Arguments),
    Snapshots(snapshots::Arguments),
    Delete(delete::Arguments),
    Undelete(delete::Undelete),
    Truncate(truncate::Arguments),
    Metadata(metadata::Arguments),
    Retention(retention::Arguments),
    Hold(hold::Arguments),
    Quota(quota::Arguments),
    Compact(compaction::Arguments),
    /// The segments of the log: size, events, and what of each a compaction may remove. Reads all of it.
    Segments,
    Backup(backup::Arguments),
    Restore(backup::Restore),
    Health(health::Arguments),
    /// Checks every byte of every file, and says what is damaged and where.
    Verify,
    Index(index::Arguments),
    Migrate(migrate::Arguments),
    Repair(repair::Arguments),
    Salvage(salvage::Arguments),
}

fn obey(cli: Cli, linked: Linked) -> Result<(), Failure> {
    let Linked { registry, projections } = linked;
    let tool = Tool { dir: cli.dir.clone().unwrap_or_else(usual_dir), format: cli.format, registry, projections };
    match cli.command {
        // It makes a store of its own, which must not land in the one that a variable names.
        Command::Demo(arguments) => demo::run(cli.dir, cli.format, &arguments),
        Command::Play(arguments) => play::run(&tool, &arguments),
        Command::Simulate(arguments) => simulate::run(cli.dir, cli.format, &arguments),
        Command::Info => info::run(&tool),
        Command::Streams(arguments) => streams::run(&tool, &arguments),
        Command::Read(arguments) => read::run(&tool, &arguments),
        Command::Query(arguments) => query::run(&tool, &arguments),
        Command::Types => stats::types(&tool),
        Command::Stats(arguments) => stats::run(&tool, &arguments),
        Command::Event(arguments) => event::run(&tool, &arguments),
        Command::Trace(arguments) => trace::run(&tool, &arguments),
        Command::State(arguments) => state::run(&tool, &arguments),
        Command::Diff(arguments) => diff::run(&tool, &arguments),
        Command::Replay(arguments) => replay::run(&tool, &arguments),
        Command::Leaderboard(arguments) => game::leaderboard::run(&tool, &arguments),
        Command::Check(arguments) => check::run(&tool, &arguments),
        Command::Append(arguments) => append::run(&tool, &arguments),
        Command::Import(arguments) => import::run(&tool, &arguments),
        Command::Export(arguments) => export::run(&tool, &arguments),
        Command::Tail(arguments) => tail::run(&tool, &arguments),
        Command::Consumers(arguments) => consumers::run(&tool, &arguments),
        Command::Consumer(arguments) => consumer::run(&tool, &arguments),
        Command::Parked(arguments) => parked::run(&tool, &arguments),
        Command::Projections => projections::run(&tool),
        Command::Projection(arguments) => projection::run(&tool, &arguments),
        Command::Snapshots(arguments) => snapshots::run(&tool, &arguments),
        Command::Delete(arguments) => delete::run(&tool, &arguments),
        Command::Undelete(arguments) => delete::undelete(&tool, &arguments),
        Command::Truncate(arguments) => truncate::run(&tool, &arguments),
        Command::Metadata(arguments) => metadata::run(&tool, &arguments),
        Command::Retention(arguments) => retention::run(&tool, &arguments),
        Command::Hold(arguments) => hold::run(&tool, &arguments),
        Command::Quota(arguments) => quota::run(&tool, &arguments),
        Command::Compact(arguments) => compaction::run(&tool, &arguments),
        Command::Segments => segments::run(&tool),
        Command::Backup(arguments) => backup::run(&tool, &arguments),
        Command::Restore(arguments) => backup::restore(&tool, &arguments),
        Command::Health(arguments) => health::run(&tool, &arguments),
        Command::Verify => verify::run(&tool),
        Command::Index(arguments) => index::run(&tool, &arguments),
        Command::Migrate(arguments) => migrate::run(&tool, &arguments),
        Command::Repair(arguments) => repair::run(&tool, &arguments),
        Command::Salvage(arguments) => salvage::run(&tool, &arguments),
    }
}

/// What every command is told: which store, how to print, and what is known of events.
struct Tool {
    dir: PathBuf,
    format: Option<Format>,
    registry: Registry,
    projections: Vec<Box<dyn AnyProjection>>,
}

impl Tool {
    fn output(&self) -> Output {
        Output::new(self.format)
    }

    /// Opens the store for writing, and makes it where there is none.
    fn open(&self) -> Result<EventStore, Failure> {
        Ok(EventStore::open(&self.dir)?)
    }

    /// How a stream is folded; `None` where nothing that this program knows folds it.
    fn fold(&self, store: &EventStore, stream: &StreamName) -> Result<Option<Fold<'_>>, Failure> {
        let is_foreign = game::is_foreign(&self.registry, store, stream)?;
        Ok(self.registry.fold(stream).filter(|_| !is_foreign))
    }

    /// What is to be known of the events of a store: nothing where all that this program knows is the word game, and the store
    /// is of something else that happens to have the same names.
    fn registry_for(&self, store: &EventStore) -> Result<Registry, Failure> {
        let knows_nothing = game::knows_nothing_else(&self.registry, store)?;
        Ok(if knows_nothing { Registry::default() } else { self.registry.clone() })
    }

    /// Opens the store without creating or changing anything.
    fn open_read_only(&self) -> Result<EventStore, Failure> {
        Ok(EventStore::open_read_only(&self.dir)?)
    }
}

/// The directory of the store, where `--dir` does not say.
fn usual_dir() -> PathBuf {
    let named = std::env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty());
    named.map_or_else(|| PathBuf::from(DIR_DEFAULT), PathBuf::from)
}
