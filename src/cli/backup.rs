//! `backup` and `restore`: a copy of what is durable, and a store made of it.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::output::Facts;
use crate::cli::rfc3339;
use crate::cli::whence::Whence;
use scorebook::{BackupInfo, Position, Until};
use std::path::PathBuf;

/// Copies what is durable into a directory, while a process may be writing; again, and only what has come since is copied.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The directory of the backup: absent, empty, or an earlier backup of this store
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Copy nothing: read all of the backup and say what it holds
    #[arg(long)]
    verify: bool,
    /// Copy nothing: say how much would be copied
    #[arg(long, conflicts_with = "verify")]
    dry_run: bool,
}

/// Makes a store of a backup, in the directory that `--dir` names: absent or empty.
#[derive(clap::Args)]
pub(crate) struct Restore {
    /// The directory of the backup
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Up to this position or time, down to the last whole batch: digits, an RFC 3339 time, a date, or an age such as 2h
    #[arg(long, value_name = "P|TIME", default_value = "end")]
    to: Whence,
    /// Make nothing: read all of what is needed, and say what it would come to
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.verify {
        return tool.output().facts(&facts(&scorebook::verify_backup(&arguments.destination)?));
    }
    let store = tool.open_read_only()?;
    if arguments.dry_run {
        let plan = store.plan_backup(&arguments.destination)?;
        let facts = Facts::default().with("segments_to_copy", plan.segments()).with("bytes_to_copy", plan.bytes());
        return tool.output().facts(&facts.with("done", false));
    }
    let report = store.backup(&arguments.destination)?;
    let facts = facts(report.info()).with("segments_copied", report.segments_copied());
    tool.output().facts(&facts.with("bytes_copied", report.bytes_copied()))
}

pub(crate) fn restore(tool: &Tool, arguments: &Restore) -> Result<(), Failure> {
    let until = match arguments.to {
        Whence::End => Until::Everything,
        Whence::Beginning => Until::Position(Position::BEGINNING),
        Whence::Position(position) => Until::Position(position),
        Whence::Time(time) => Until::Time(time),
    };
    let report = match arguments.dry_run {
        true => scorebook::plan_restore(&arguments.source, until)?,
        false => scorebook::restore(&arguments.source, &tool.dir, until)?,
    };
    let facts = Facts::default().with("directory", tool.dir.to_string_lossy());
    let facts = facts.with("position", report.position().get()).with("segments", report.segments());
    tool.output().facts(&facts.with("bytes", report.bytes()).with("done", !arguments.dry_run))
}

fn facts(info: &BackupInfo) -> Facts {
    Facts::default()
        .with("store_id", info.store_id().to_string())
        .with("number", info.number())
        .with("time", rfc3339::print(info.time()))
        .with("position", info.position().get())
        .with("segments", info.segments())
        .with("bytes", info.bytes())
}
