//! `export`: everything, as NDJSON.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Format, Output, Row};
use crate::cli::read;
use scorebook::EventStore;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes out all events, as NDJSON. Keys of batches that were accepted once are not among them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file to write, over what is in it; standard output where there is none or it is `-`
    file: Option<PathBuf>,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    if tool.format.is_some_and(|format| format != Format::Ndjson) {
        return Err(Failure::new(Exit::Usage, "an export is NDJSON: `scorebook read` prints other formats"));
    }
    let store = tool.open_read_only()?;
    match &arguments.file {
        Some(path) if path != Path::new("-") => to_file(&store, path),
        _ => read::print(&mut Output::new(Some(Format::Ndjson)), store.read_all()),
    }
}

fn to_file(store: &EventStore, path: &Path) -> Result<(), Failure> {
    let trouble = |error| Failure::file("writing", path, &error);
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path).map_err(trouble)?);
    let mut line = String::new();
    let outcome = store.read_all().into_iter().try_for_each(|event| {
        line.clear();
        event?.write_json(&mut line)?;
        line.push('\n');
        file.write_all(line.as_bytes()).map_err(trouble)
    });
    file.flush().map_err(trouble)?;
    outcome
}
