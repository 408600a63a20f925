//! One file of the log in the place of others: written beside them, and counting from the moment the first of those is gone.
//!
//! Of several files of one number the one with the lowest generation counts, whatever the format of each.

use crate::error::Error;
use crate::mutant::Mutant;
use crate::segment::{FileNumber, LOG_DIR, segment_name, segment_path, terms_path};
use crate::storage::{File, Storage};
use std::io;

/// How much is written at a time.
const PIECE: usize = 1024 * 1024; // 1 MiB

/// Writes a file of the log, and makes it durable with its name. Its first sector comes last: without all the rest it is no
/// segment. Beside a file of a lower generation it does not count.
///
/// # Errors
///
/// * [`Full`](crate::ErrorKind::Full), [`Io`](crate::ErrorKind::Io): it was not written; what stays of it does not count.
pub(crate) fn write_beside(
    storage: &dyn Storage,
    number: FileNumber,
    first_sector: &[u8],
    rest: &[&[u8]],
) -> Result<(), Error> {
    let path = segment_path(number);
    let trouble = |error| Error::io(format!("writing {}", segment_name(number)), error);
    let file = storage.create(&path).map_err(trouble)?;
    let written = write(&*file, first_sector, rest).and_then(|()| storage.sync_dir(LOG_DIR));
    if written.is_err() {
        // What stays is removed by whoever tries next.
        let _ = storage.remove(&path);
    }
    written.map_err(trouble)
}

fn write(file: &dyn File, first_sector: &[u8], rest: &[&[u8]]) -> io::Result<()> {
    let mut at = first_sector.len() as u64;
    for piece in rest.iter().flat_map(|part| part.chunks(PIECE)) {
        file.write_at(piece, at)?;
        at += piece.len() as u64;
    }
    let sync = || if Mutant::SwapsWithoutASync.is_on() { Ok(()) } else { file.sync() };
    sync().and_then(|()| file.write_at(first_sector, 0)).and_then(|()| sync())
}

/// Removes files of the log with what is derived from them, one after the other, and makes that durable.
///
/// # Errors
///
/// * [`Io`](crate::ErrorKind::Io): one of them could not be removed, or nobody knows whether it was.
pub(crate) fn remove(storage: &dyn Storage, numbers: &[FileNumber]) -> Result<(), Error> {
    for number in numbers {
        let removed = storage.remove(&segment_path(*number));
        removed.map_err(|error| Error::io(format!("removing {}", segment_name(*number)), error))?;
        let synced = storage.sync_dir(LOG_DIR);
        synced.map_err(|error| Error::io("syncing the directory of the log", error))?;
        let _ = storage.remove(&terms_path(*number));
    }
    Ok(())
}
