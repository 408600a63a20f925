//! `import --exact`: an empty store filled so that it exports the same bytes again.

use crate::cli::failure::{Exit, Failure};
use crate::cli::import::Imported;
use crate::cli::lines::{Lines, Record};
use crate::cli::ndjson::Line;
use crate::cli::progress::Progress;
use scorebook::{ErrorKind, EventStore, ExactEvent, ExactImport, ExactRecord};
use std::path::Path;

/// Refuses a store that holds something before it is opened for writing, so that nothing in it is touched.
pub(crate) fn refuse_unless_empty(dir: &Path) -> Result<(), Failure> {
    match EventStore::open_read_only(dir) {
        Ok(store) if store.export()?.next().transpose()?.is_none() => Ok(()),
        Ok(_) => {
            let text = format!("{} is not empty: an exact import fills an empty store", dir.display());
            Err(Failure::new(Exit::Other, text))
        }
        Err(error) if error.kind() == ErrorKind::StoreNotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes in everything the lines hold, just as they say.
pub(crate) fn import(store: &EventStore, lines: &mut Lines) -> Result<Imported, Failure> {
    let mut import = store.exact_import()?;
    let mut snapshots = Snapshots::default();
    let outcome = take_all(&mut import, lines, &mut snapshots);
    let before = import.imported();
    let finished = outcome.and_then(|()| Ok(import.finish()?));
    match finished {
        Ok(imported) => Ok(Imported::exactly(imported, snapshots)),
        Err(failure) if before.batches() == 0 => Err(failure.advise("nothing was taken in")),
        Err(failure) => {
            let before = Imported::exactly(before, snapshots);
            let advice = format!("taken in before: {before}; an exact import begins again with an empty directory");
            Err(failure.advise(advice))
        }
    }
}

/// What became of snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshots {
    pub(crate) taken: u64,
    /// They are not this store's, or older than others.
    pub(crate) left: u64,
}

fn take_all(import: &mut ExactImport, lines: &mut Lines, snapshots: &mut Snapshots) -> Result<(), Failure> {
    let progress = Progress::of(lines);
    while let Some(record) = lines.next_record()? {
        let taken = match record {
            Record::Event(line) => import.record(ExactRecord::Event(demand(*line, lines)?)),
            Record::Fact(fact) => import.record(ExactRecord::Fact(fact)),
            Record::Snapshot(snapshot) => import.snapshot(&snapshot).map(|is_taken| match is_taken {
                true => snapshots.taken += 1,
                false => snapshots.left += 1,
            }),
        };
        taken.map_err(|error| Failure::from(error).at(&lines.place()))?;
        progress.reached(lines.bytes(), import.imported().events());
    }
    Ok(())
}

/// The event of a line, if it says everything.
fn demand(line: Line, lines: &Lines) -> Result<ExactEvent, Failure> {
    let missing = |key: &str| lines.fault(&format!("`{key}` is missing: an exact import needs it"));
    line.id.ok_or_else(|| missing("id"))?;
    Ok(ExactEvent {
        position: line.position.ok_or_else(|| missing("position"))?,
        version: line.version.ok_or_else(|| missing("version"))?,
        time: line.time.ok_or_else(|| missing("time"))?,
        stream: line.stream.ok_or_else(|| missing("stream"))?,
        epoch: line.epoch,
        event: line.event,
    })
}
