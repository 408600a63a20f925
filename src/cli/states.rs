//! The states of a whole log, written down for what other code makes of the same log to be held against.

use crate::cli::Tool;
use crate::cli::difference::{Difference, differences};
use crate::cli::failure::{Exit, Failure};
use crate::cli::fold::go_on;
use crate::cli::ndjson::quoted;
use scorebook::{EventStore, StreamName, Version};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// What this code makes of a stream otherwise than the code that wrote its state down.
pub(crate) struct Differing {
    pub(crate) stream: StreamName,
    pub(crate) version: Version,
    pub(crate) differences: Vec<Difference>,
}

/// Writes down the state of every stream that has an aggregate, a line each; how many there are.
pub(crate) fn write(tool: &Tool, store: &EventStore, path: &Path) -> Result<u64, Failure> {
    let trouble = |error| Failure::file("writing", path, &error);
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path).map_err(trouble)?);
    let mut written = 0;
    for stream in store.streams().list()? {
        let (name, version) = (stream.name(), stream.version());
        let Some(json) = state_at(tool, store, name, version)? else { continue };
        let line = format!("{{\"stream\":{},\"version\":{version},\"state\":{json}}}\n", quoted(name.as_str()));
        file.write_all(line.as_bytes()).map_err(trouble)?;
        written += 1;
    }
    file.flush().map_err(trouble)?;
    Ok(written)
}

/// Folds the streams of such a file up to the versions in it; those that come to another state, and how many there are.
pub(crate) fn compare(tool: &Tool, store: &EventStore, path: &Path) -> Result<(Vec<Differing>, u64), Failure> {
    let trouble = |error| Failure::file("reading", path, &error);
    let (mut differing, mut compared) = (Vec::new(), 0);
    for (number, line) in BufReader::new(File::open(path).map_err(trouble)?).lines().enumerate() {
        let line = line.map_err(trouble)?;
        let place = format!("{} line {}", path.display(), number + 1);
        let no_state = || Failure::new(Exit::Usage, format!("{place}: no state as `check --write` writes it"));
        let (stream, version, before) = parse(&line).ok_or_else(no_state)?;
        let after = state_at(tool, store, &stream, version).map_err(|failure| failure.at(&place))?;
        // What is folded no more has no state that could be another one.
        let Some(after) = after else { continue };
        compared += 1;
        let differences = differences(before.get(), &after);
        if !differences.is_empty() {
            differing.push(Differing { stream, version, differences });
        }
    }
    Ok((differing, compared))
}

fn parse(line: &str) -> Option<(StreamName, Version, Box<RawValue>)> {
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).ok()?;
    let stream: String = serde_json::from_str(fields.get("stream")?.get()).ok()?;
    let version = fields.get("version")?.get().parse().ok()?;
    Some((StreamName::new(stream).ok()?, Version::new(version), fields.remove("state")?))
}

/// The state of a stream as JSON; none where no aggregate folds it.
fn state_at(tool: &Tool, store: &EventStore, stream: &StreamName, at: Version) -> Result<Option<String>, Failure> {
    let Some(fold) = tool.fold(store, stream)? else { return Ok(None) };
    let fold = go_on(store, stream, at, fold, |_, _| Ok(()))?;
    Ok(Some(fold.json()?))
}
