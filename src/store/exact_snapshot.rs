//! Snapshots on their way to another store.

use super::desk::Draft;
use super::{EventStore, ExactImport, SnapshotInfo};
use crate::error::Error;
use crate::event::{Codec, RecordedEvent};
use crate::position::{Position, Version};
use crate::snapshot::{LastEvent, SnapshotFile, SnapshotSource};
use crate::time::Timestamp;

/// The saved state of a fold, to be carried to another store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactSnapshot {
    /// What it is a state of.
    pub source: SnapshotSource,
    /// The number of the shape of the state.
    pub schema: u32,
    /// What else a state must have in common to be read.
    pub shape: u64,
    /// How the state is written.
    pub codec: Codec,
    /// Everything up to here is in it that its source asks for.
    pub position: Position,
    /// The same as a version of the stream; [`Version::NONE`] for a projection.
    pub version: Version,
    /// The position of the last event up to there.
    pub last_position: Position,
    /// The time of that event.
    pub last_time: Timestamp,
    /// A hash of what that event says.
    pub last_hash: u64,
    /// A hash of the state that the stream [began with](EventStore::carried_state) when it was folded; 0 where it began with its
    /// first event, and of a projection.
    pub carried: u64,
    /// How many bytes of payload it was folded from.
    pub folded_bytes: u64,
    /// When it was written, by the clock.
    pub time: Timestamp,
    /// The state.
    pub state: Vec<u8>,
}

impl EventStore {
    /// A snapshot with its state; `None` where it is not there any more, or something is [wrong](SnapshotInfo::fault) with it.
    ///
    /// ```
    /// use scorebook::EventStore;
    /// let store = EventStore::open_in_memory()?;
    /// for snapshot in store.snapshots()? {
    ///     assert!(store.export_snapshot(&snapshot)?.is_some());
    /// }
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`snapshots`](Self::snapshots).
    pub fn export_snapshot(&self, snapshot: &SnapshotInfo) -> Result<Option<ExactSnapshot>, Error> {
        let Ok(state) = self.state_of_snapshot(snapshot)? else { return Ok(None) };
        let Ok(Some(file)) = SnapshotFile::open(&*self.shared.storage, &snapshot.name) else { return Ok(None) };
        let head = file.head;
        Ok(Some(ExactSnapshot {
            source: head.source,
            schema: head.schema,
            shape: head.shape,
            codec: head.codec,
            position: head.position,
            version: head.version,
            last_position: head.last.position,
            last_time: head.last.time,
            last_hash: head.last.hash,
            carried: head.carried,
            folded_bytes: head.folded_bytes,
            time: head.time,
            state,
        }))
    }
}

impl ExactImport {
    /// Takes over a snapshot, behind all events that it speaks of, and syncs these. False where nothing was written: this store
    /// holds another event where the state ends, or none, or a newer snapshot of its source. Only speed is lost then.
    ///
    /// Of several of one source the oldest comes first.
    ///
    /// # Errors
    ///
    /// * [`TooLarge`](crate::ErrorKind::TooLarge): the state has a gibibyte or more.
    /// * [`Io`](crate::ErrorKind::Io): it could not be written.
    /// * Those of [`record`](Self::record).
    pub fn snapshot(&mut self, snapshot: &ExactSnapshot) -> Result<bool, Error> {
        self.settle()?;
        let draft = Draft {
            source: &snapshot.source,
            schema: snapshot.schema,
            shape: snapshot.shape,
            codec: snapshot.codec,
            position: snapshot.position,
            version: snapshot.version,
            carried: snapshot.carried,
            folded_bytes: snapshot.folded_bytes,
            state: &snapshot.state,
            replaces: false,
        };
        let is_last = |event: &RecordedEvent| {
            let LastEvent { position, time, hash, .. } = LastEvent::of(event);
            (position, time, hash) == (snapshot.last_position, snapshot.last_time, snapshot.last_hash)
        };
        self.store.desk()?.save_at(&draft, Some(snapshot.time), is_last)
    }
}
