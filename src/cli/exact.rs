//! `import --exact`: an empty store filled so that it exports the same bytes again.

use crate::cli::entry::{Entry, refused_line};
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::{BATCH_BYTES, BATCH_EVENTS, Imported};
use crate::cli::lines::Lines;
use crate::cli::ndjson::Line;
use crate::cli::progress::Progress;
use scorebook::{Error, ErrorKind, EventStore, ExactEvent, Position, Timestamp, Version};
use std::path::Path;

/// Refuses a store that has events before it is opened for writing, so that nothing in it is touched.
pub(crate) fn refuse_unless_empty(dir: &Path) -> Result<(), Failure> {
    match EventStore::open_read_only(dir) {
        Ok(store) if store.head()? == Position::BEGINNING => Ok(()),
        Ok(_) => {
            let text = format!("{} has events: an exact import fills an empty store", dir.display());
            Err(Failure::new(Exit::Other, text))
        }
        Err(error) if error.kind() == ErrorKind::StoreNotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes in everything the lines hold, just as they say.
pub(crate) fn import(store: &EventStore, lines: &mut Lines) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    match take_all(store, lines, &mut imported) {
        Ok(()) => Ok(imported),
        Err(failure) if imported.events == 0 => Err(failure.advise("nothing was taken in")),
        Err(failure) => {
            let advice = format!("taken in before: {imported}; an exact import begins again with an empty directory");
            Err(failure.advise(advice))
        }
    }
}

fn take_all(store: &EventStore, lines: &mut Lines, imported: &mut Imported) -> Result<(), Failure> {
    let progress = Progress::of(lines);
    let mut import = store.exact_import()?;
    loop {
        let batch = gather(lines)?;
        if batch.is_empty() {
            return Ok(import.finish()?);
        }
        import.append(batch.iter().map(ExactLine::event).collect()).map_err(|error| refusal(&error, &batch))?;
        imported.events += batch.len() as u64;
        imported.batches += 1;
        progress.reached(lines.bytes(), imported.events);
    }
}

/// An event with everything it was exported with.
struct ExactLine {
    entry: Entry,
    position: Position,
    version: Version,
    time: Timestamp,
}

impl ExactLine {
    fn event(&self) -> ExactEvent {
        ExactEvent {
            position: self.position,
            stream: self.entry.stream.clone(),
            version: self.version,
            time: self.time,
            event: self.entry.event.clone(),
        }
    }
}

fn gather(lines: &mut Lines) -> Result<Vec<ExactLine>, Failure> {
    let mut batch: Vec<ExactLine> = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH_EVENTS
        && bytes < BATCH_BYTES
        && let Some(line) = lines.next_event()?
    {
        bytes += lines.line_bytes();
        batch.push(demand(line, lines)?);
    }
    Ok(batch)
}

/// The line, if it says everything.
fn demand(line: Line, lines: &Lines) -> Result<ExactLine, Failure> {
    let missing = |key: &str| lines.fault(&format!("`{key}` is missing: an exact import needs it"));
    line.id.ok_or_else(|| missing("id"))?;
    Ok(ExactLine {
        position: line.position.ok_or_else(|| missing("position"))?,
        version: line.version.ok_or_else(|| missing("version"))?,
        time: line.time.ok_or_else(|| missing("time"))?,
        entry: Entry { line: lines.number(), stream: line.stream.ok_or_else(|| missing("stream"))?, event: line.event },
    })
}

/// Why a batch was refused; by line where one line is to blame.
fn refusal(error: &Error, batch: &[ExactLine]) -> Failure {
    if let Some((entry, alone)) = refused_line(error, batch.iter().map(|line| &line.entry)) {
        return Failure::from(alone).at(&format!("line {}", entry.line));
    }
    let falls = |pair: &&[ExactLine]| pair[1].position <= pair[0].position || pair[1].time < pair[0].time;
    if let Some(pair) = batch.windows(2).find(falls) {
        return Failure::from(error.clone()).at(&format!("line {}", pair[1].entry.line));
    }
    let (first, last) = (&batch[0].entry, &batch[batch.len() - 1].entry);
    Failure::from(error.clone()).at(&format!("lines {} to {}", first.line, last.line))
}
