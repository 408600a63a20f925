//! Making a segment ready: a file of its full size, really filled with zeros, before anything counts in it.

use super::name::{LOG_DIR, segment_path};
use crate::format::Preamble;
use crate::mutant::Mutant;
use crate::storage::{File, Storage};
use crate::sync::Arc;
use std::io;

/// Zeros are written in pieces of this size: larger ones make the small writes that follow slower.
const PIECE: usize = 64 * 1024;

/// What went wrong while a segment was made ready.
pub(crate) enum MakeFailure {
    /// There is no room, or the file cannot be made: what was begun was removed and nothing changed.
    Refused(io::Error),
    /// A sync failed; nothing may be written any more.
    Sync(io::Error),
}

/// Creates the file of a segment and makes it durable: content, size and name.
///
/// Nothing of it needs an order: until its start record is there, whatever a crash leaves of it is unstarted.
pub(crate) fn make_ready(storage: &dyn Storage, preamble: &Preamble) -> Result<Arc<dyn File>, MakeFailure> {
    let path = segment_path(preamble);
    let file = storage.create(&path).map_err(MakeFailure::Refused)?;
    if let Err(error) = fill(&*file, preamble) {
        // Best effort: what stays is unstarted, and the next writer removes it.
        let _ = storage.remove(&path);
        return Err(MakeFailure::Refused(error));
    }
    if !Mutant::DoesNotSyncANewSegment.is_on() {
        file.sync().map_err(MakeFailure::Sync)?;
    }
    // The name must be durable before anything in the file counts.
    if !Mutant::DoesNotSyncADirectory.is_on() {
        storage.sync_dir(LOG_DIR).map_err(MakeFailure::Sync)?;
    }
    Ok(file)
}

fn fill(file: &dyn File, preamble: &Preamble) -> io::Result<()> {
    let zeros = [0; PIECE];
    let size = u64::from(preamble.size);
    let mut offset = 0;
    while offset < size {
        let piece = (size - offset).min(PIECE as u64);
        file.write_at(&zeros[..piece as usize], offset)?;
        offset += piece;
    }
    file.write_at(&preamble.encode(), 0)
}
