//! What a directory holds, damaged or not.

use super::scan;
use crate::error::Error;
use crate::format::FORMAT;
use crate::log::{CloseState, Damage};
use crate::position::{Place, Position};
use crate::store::{StoreId, StoreParts};
use std::path::Path;

/// Numbers about the store in a directory.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    store: StoreId,
    head: Position,
    events: u64,
    streams: u64,
    segments: u64,
    disk_bytes: u64,
    log_bytes: u64,
    visible_end: Place,
    durable_end: Place,
    epoch: u32,
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
/// assert_eq!((info.events(), info.close_state()), (1, CloseState::Clean));
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
    Ok(StoreInfo {
        store: StoreId(opened.store),
        head: opened.head,
        events: opened.visitor.events(),
        streams: opened.visitor.visible_streams(),
        segments: opened.segments.len() as u64,
        disk_bytes: opened.disk_bytes,
        log_bytes: opened.log_bytes,
        visible_end: opened.ends.visible,
        durable_end: opened.ends.durable,
        epoch: opened.sequence.epoch,
        close_state: opened.report.close_state(),
        damage: opened.report.damage().to_vec(),
        owner: if storage.is_locked().unwrap_or(false) { Some(storage.owner().unwrap_or_default()) } else { None },
    })
}

impl StoreInfo {
    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.store
    }

    /// The number of the format its log is written in.
    #[must_use]
    pub fn format(&self) -> u16 {
        FORMAT
    }

    /// The last position.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    /// How many events can be read.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many streams have events.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// How many segments count.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Bytes that the files of the log take, room that was made ahead included.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// Bytes of the log up to the ends of its segments.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Where in the files the visible log ends.
    #[must_use]
    pub fn visible_end(&self) -> Place {
        self.visible_end
    }

    /// Up to where in the files everything is proven to survive a loss of power.
    #[must_use]
    pub fn durable_end(&self) -> Place {
        self.durable_end
    }

    /// How many times the store was opened and written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
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
