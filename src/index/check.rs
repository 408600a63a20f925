//! A look at everything that is derived from a log, and taking it away.

use super::blocks::Doubt;
use super::saved::{INDEX_DIR, SavedTable, slot_path};
use super::streams::StreamTable;
use super::terms_file::{self, Shelf};
use crate::options::ReadMode;
use crate::segment::{LOG_DIR, Sealed, Segment, is_terms_name, parse_terms_name, terms_path};
use crate::storage::Storage;
use crate::sync::Arc;
use std::io;

/// The paths of derived files that cannot be relied on: each with why. They are made anew when it is their turn.
pub(crate) fn doubtful(storage: &dyn Storage, segments: &[Arc<Segment>]) -> io::Result<Vec<(String, &'static str)>> {
    let shelf = Shelf { storage, mode: ReadMode::Positioned };
    let mut found = Vec::new();
    for entry in storage.list(LOG_DIR)?.iter().filter(|entry| is_terms_name(&entry.name)) {
        let path = format!("{LOG_DIR}/{}", entry.name);
        let number = parse_terms_name(&entry.name);
        let index = segments.iter().position(|segment| Some((&segment.preamble).into()) == number);
        let why = match index {
            None => Some("there is no such segment"),
            Some(index) => check_terms(&shelf, &segments[index], segments.get(index + 1).map(|next| &**next)),
        };
        found.extend(why.map(|why| (path, why)));
    }
    for slot in [0, 1] {
        let is_there =
            storage.list(INDEX_DIR).unwrap_or_default().iter().any(|entry| slot_path(slot).ends_with(&entry.name));
        let table = SavedTable::read_slot(storage, slot);
        let is_of_log = |table: &SavedTable| {
            [table.from, table.upto].iter().all(|spot| {
                segments
                    .iter()
                    .any(|segment| segment.sequence() == spot.place.segment && segment.preamble.segment == spot.segment)
            })
        };
        let why = match &table {
            None if is_there => Some("it does not verify"),
            Some(table) if !is_of_log(table) => Some("it speaks of another log"),
            Some(table) if StreamTable::saved(table).is_err() => Some("it makes no sense"),
            _ => None,
        };
        found.extend(why.map(|why| (slot_path(slot), why)));
    }
    Ok(found)
}

/// Why a file of terms cannot be relied on.
fn check_terms(shelf: &Shelf<'_>, segment: &Segment, next: Option<&Segment>) -> Option<&'static str> {
    let sealed = match next {
        Some(next) => Sealed::before(next, segment),
        // The last segment has one if the log was closed with it: it speaks of an end that was there at some time.
        None => terms_file::state_of(shelf, &segment.preamble).filter(|said| {
            let preamble = &segment.preamble;
            (said.store, said.segment) == (preamble.store, preamble.segment) && said.end <= segment.end()
        }),
    };
    let Some(sealed) = sealed else { return Some("it speaks of another segment") };
    match terms_file::open(shelf, &sealed).map(|file| file.packed.verify(sealed.end)) {
        None => Some("it speaks of another state of its segment, or its header does not verify"),
        Some(Err(Doubt)) => Some("a part of it does not verify"),
        Some(Ok(())) => None,
    }
}

/// How many bytes the derived files have.
pub(crate) fn derived_bytes(storage: &dyn Storage) -> io::Result<u64> {
    let terms = storage.list(LOG_DIR)?.into_iter().filter(|entry| is_terms_name(&entry.name));
    let tables = match storage.list(INDEX_DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        tables => tables?,
    };
    Ok(terms.chain(tables).map(|entry| entry.len).sum())
}

/// Removes the file of terms of a segment that is not there any more. Where it stays it only takes room.
pub(crate) fn forget_terms(storage: &dyn Storage, segment: &Segment) {
    let _ = storage.remove(&terms_path(&segment.preamble));
}

/// Removes everything that is derived from a log.
pub(crate) fn forget(storage: &dyn Storage) -> io::Result<()> {
    for entry in storage.list(LOG_DIR)? {
        if let Some(number) = parse_terms_name(&entry.name) {
            storage.remove(&terms_path(number))?;
        }
    }
    let tables = match storage.list(INDEX_DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        tables => tables?,
    };
    for slot in [0, 1] {
        if tables.iter().any(|entry| slot_path(slot).ends_with(&entry.name)) {
            storage.remove(&slot_path(slot))?;
        }
    }
    Ok(())
}
