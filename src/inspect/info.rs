//! What a directory holds, damaged or not.

use super::scan;
use crate::error::Error;
use crate::health::Stats;
use crate::log::{CloseState, Damage};
use crate::observe::label_of;
use crate::store::{Counted, KnownOfLog, Sizes, Status, StoreParts};
use std::path::Path;

/// What the store in a directory holds, and how it was left.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    stats: Stats,
    close_state: CloseState,
    owner: Option<String>,
    damage: Vec<Damage>,
}

/// Looks into a directory and changes nothing; beside a writer too, and where there is damage.
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("bot.scorebook");
/// use scorebook::{CloseState, EventStore, ExpectedVersion, NewEvent, StreamName, inspect};
/// let store = EventStore::open(&path)?;
/// let event = NewEvent::json("started", &1)?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// store.close()?;
/// let info = inspect(&path)?;
/// assert_eq!((info.stats().events(), info.close_state()), (1, CloseState::Clean));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](crate::ErrorKind::StoreNotFound): there is no store.
/// * [`TooNew`](crate::ErrorKind::TooNew), [`Io`](crate::ErrorKind::Io).
pub fn inspect(path: impl AsRef<Path>) -> Result<StoreInfo, Error> {
    let storage = StoreParts::existing(path.as_ref())?;
    let opened = scan(&storage)?;
    let sizes = Sizes::of(&*storage)?;
    let counted = Counted {
        of_log: KnownOfLog { store: opened.store, epoch: opened.sequence.epoch, ends: opened.ends },
        head: opened.head,
        events: opened.visitor.events(),
        streams: opened.visitor.visible_streams(),
        segments: opened.segments.len() as u64,
        log_bytes: opened.log_bytes,
        disk_bytes: sizes.disk_bytes,
        index_bytes: sizes.index_bytes,
        snapshots: sizes.snapshots,
        snapshot_bytes: sizes.snapshot_bytes,
        memory_bytes: opened.visitor.memory_bytes(),
        staged_bytes: 0,
        status: Status::ReadOnly,
    };
    let damaged = opened.report.damage().iter().map(Damage::place).collect();
    let stats = Stats::of_directory(label_of(&storage.describe()), counted, storage.room().ok().flatten(), damaged);
    Ok(StoreInfo {
        stats,
        close_state: opened.report.close_state(),
        damage: opened.report.damage().to_vec(),
        owner: if storage.is_locked().unwrap_or(false) { Some(storage.owner().unwrap_or_default()) } else { None },
    })
}

impl StoreInfo {
    /// The numbers, as a store that is opened for reading gives them.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The damage that was met: where there is any, the numbers here say what can be read.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// How it was closed.
    #[must_use]
    pub fn close_state(&self) -> CloseState {
        self.close_state
    }

    /// Who has it open for writing, as the lock file says, if anybody has.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}
