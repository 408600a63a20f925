//! The `scorebook` command: looks at a store, also while another process writes to it, and brings events in and out.
//!
//! It stands on the public names of the crate alone. Data goes to standard output, all else to standard error; what
//! the exit codes mean stands in [`failure`].

mod append;
mod compact;
mod demo;
mod entry;
mod event;
mod exact;
mod export;
mod failure;
mod import;
mod index;
mod info;
mod lines;
mod moment;
mod ndjson;
mod output;
mod progress;
mod query;
mod read;
mod rfc3339;
mod salvage;
mod stats;
mod streams;
mod table;
mod tail;
mod terminal;
mod trace;
mod unless;
mod verify;

use crate::failure::Failure;
use crate::output::{Format, Output};
use clap::{Parser, Subcommand};
use scorebook::EventStore;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a store is looked for when nobody says where.
const DIR_DEFAULT: &str = "bot.scorebook";
/// The variable that says where the store is, unless `--dir` does.
const DIR_VARIABLE: &str = "SCOREBOOK_DIR";

/// What help calls the options that may stand before or after any command.
const GLOBAL: &str = "Before or after any command";

/// Looks at an event store, and brings events in and out.
///
/// Works beside a process that writes to the store; commands that only read never create or change anything.
///
/// Exit codes: 0 fine (also: no match), 1 other, 2 usage, 3 not found, 4 damage (what precedes it is printed first),
/// 5 locked by another process, 6 conflict, 7 format too new, 8 no room, 9 poisoned or read-only.
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
    /// Takes a small real history into a new store, verifies it, reads from it and says what to try next.
    Demo,
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
    Append(append::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Tail(tail::Arguments),
    /// Checks every byte of every file, and says what is damaged and where.
    Verify,
    Index(index::Arguments),
    Salvage(salvage::Arguments),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let tool = Tool { dir: cli.dir.clone().unwrap_or_else(usual_dir), format: cli.format };
    match cli.command {
        // It makes a store of its own, which must not land in the one that a variable names.
        Command::Demo => demo::run(cli.dir, cli.format),
        Command::Info => info::run(&tool),
        Command::Streams(arguments) => streams::run(&tool, &arguments),
        Command::Read(arguments) => read::run(&tool, &arguments),
        Command::Query(arguments) => query::run(&tool, &arguments),
        Command::Types => stats::types(&tool),
        Command::Stats(arguments) => stats::run(&tool, &arguments),
        Command::Event(arguments) => event::run(&tool, &arguments),
        Command::Trace(arguments) => trace::run(&tool, &arguments),
        Command::Append(arguments) => append::run(&tool, &arguments),
        Command::Import(arguments) => import::run(&tool, &arguments),
        Command::Export(arguments) => export::run(&tool, &arguments),
        Command::Tail(arguments) => tail::run(&tool, &arguments),
        Command::Verify => verify::run(&tool),
        Command::Index(arguments) => index::run(&tool, &arguments),
        Command::Salvage(arguments) => salvage::run(&tool, &arguments),
    }
}

/// What every command is told: which store, and how to print.
struct Tool {
    dir: PathBuf,
    format: Option<Format>,
}

impl Tool {
    fn output(&self) -> Output {
        Output::new(self.format)
    }

    /// Opens the store for writing, and makes it where there is none.
    fn open(&self) -> Result<EventStore, Failure> {
        Ok(EventStore::open(&self.dir)?)
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
