//! Making what is derived from a log anew.

use crate::error::Error;
use crate::options::Options;
use crate::storage::Storage;
use crate::store::StoreParts;
use crate::sync::Arc;
use std::path::Path;

/// What was made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuiltIndex {
    pub(crate) events: u64,
    pub(crate) streams: u64,
    pub(crate) bytes: u64,
}

/// Makes what is derived from a store's log anew: the terms of its segments and its stream table. No store may be open
/// there for writing. It is never necessary, for what is in doubt is not relied on; it saves the next opening the time.
///
/// `Ok` guarantees that the whole log was read and verified, and that what was derived from it was written. It is not
/// synced: what a loss of power takes of it is made again.
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("bot.scorebook");
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, rebuild_index};
/// let store = EventStore::open(&path)?;
/// let event = NewEvent::json("started", &1)?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// store.close()?;
/// let rebuilt = rebuild_index(&path)?;
/// assert_eq!((rebuilt.events(), rebuilt.streams()), (1, 1));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](crate::ErrorKind::StoreNotFound): there is no store.
/// * [`Locked`](crate::ErrorKind::Locked): a writer has it open; nothing was changed.
/// * [`Damaged`](crate::ErrorKind::Damaged), [`TooNew`](crate::ErrorKind::TooNew): the log cannot be read as a whole; what was
///   derived from it is gone.
/// * [`Full`](crate::ErrorKind::Full), [`Io`](crate::ErrorKind::Io): it broke off, or a derived file could not be written; what was
///   derived is gone or there in part, and the log is as it was.
pub fn rebuild_index(path: impl AsRef<Path>) -> Result<RebuiltIndex, Error> {
    rebuild_on(&StoreParts::existing(path.as_ref())?, &Options::default())
}

/// The same for any storage.
pub(crate) fn rebuild_on(storage: &Arc<dyn Storage>, options: &Options) -> Result<RebuiltIndex, Error> {
    let (events, streams, bytes) = StoreParts::rebuild(storage, options)?;
    Ok(RebuiltIndex { events, streams, bytes })
}

impl RebuiltIndex {
    /// How many events were read.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many streams they are in.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// How many bytes the derived files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
