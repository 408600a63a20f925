//! `export`: everything, as NDJSON.

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Format, Output, Row};
use crate::cli::{Tool, carried, ndjson};
use scorebook::{EventStore, ExactSnapshot, ExportedRecord, SnapshotInfo};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes out everything that the log says, as NDJSON: events, deletions, metadata, rules and holds, consumers and what they have
/// set aside, keys of batches that were accepted once, and which positions are removed or lost. `import --exact` makes a store of it
/// that gives the same answers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file to write, over what is in it; standard output where there is none or it is `-`
    file: Option<PathBuf>,
    /// Write out the snapshots of states, too
    #[arg(long)]
    snapshots: bool,
    /// Write out events alone
    #[arg(long, conflicts_with = "snapshots")]
    events_only: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    if tool.format.is_some_and(|format| format != Format::Ndjson) {
        return Err(Failure::new(Exit::Usage, "an export is NDJSON: `scorebook read` prints other formats"));
    }
    let store = tool.open_read_only()?;
    match &arguments.file {
        Some(path) if path != Path::new("-") => {
            let trouble = |error| Failure::file("writing", path, &error);
            let mut file = BufWriter::with_capacity(1 << 16, File::create(path).map_err(trouble)?);
            let outcome = write(&store, arguments, &mut |line| {
                file.write_all(line.0.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(trouble)
            });
            file.flush().map_err(trouble)?;
            outcome
        }
        _ => {
            let mut output = Output::new(Some(Format::Ndjson));
            let mut list = output.lines();
            let outcome = write(&store, arguments, &mut |line| list.push(line));
            list.finish()?;
            outcome
        }
    }
}

/// Hands everything on, line by line.
fn write(
    store: &EventStore,
    arguments: &Arguments,
    sink: &mut dyn FnMut(&Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = Line(String::new());
    for record in store.export()? {
        line.0.clear();
        match record? {
            ExportedRecord::Event(event) => {
                ndjson::write(&event, &mut line.0).map_err(|fault| Failure::new(Exit::Other, fault))?;
            }
            ExportedRecord::Fact(_) if arguments.events_only => continue,
            ExportedRecord::Fact(fact) => line.0 = fact.to_json(),
            #[allow(unreachable_patterns, reason = "a stranger to the crate must have it")]
            _ => return Err(Failure::new(Exit::Other, "the log says something that no line can say")),
        }
        sink(&line)?;
    }
    if !arguments.snapshots {
        return Ok(());
    }
    let mut snapshots: Vec<SnapshotInfo> = store.snapshots()?;
    let place = |info: &SnapshotInfo| (info.position(), info.source().map(ToString::to_string), info.schema());
    snapshots.sort_by_cached_key(|info| (place(info), info.path()));
    for info in &snapshots {
        let snapshot: Option<ExactSnapshot> = store.export_snapshot(info)?;
        if let Some(snapshot) = snapshot {
            sink(&Line(carried::written(&snapshot)))?;
        }
    }
    Ok(())
}

/// A line without its end.
struct Line(String);

impl Row for Line {
    fn cells(&self) -> Vec<String> {
        vec![self.0.clone()]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        line.push_str(&self.0);
        Ok(())
    }
}
