//! Numbers about a store, and the state it is in.

use super::{Engine, EventStore, closed};
use crate::error::Error;
use crate::log::Ends;
use crate::position::{Place, Position};
use crate::segment::LOG_DIR;
use std::fmt;

/// The identity of a store, made when it is created and kept by its backups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub(crate) [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a store can do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It reads and writes.
    Writing,
    /// It reads, and writes again once there is room on the disk.
    Full,
    /// It reads; after a failed write or sync it writes again only when it is reopened.
    Poisoned,
    /// It was opened for reading.
    ReadOnly,
    /// It was closed.
    Closed,
}

/// What is known of a log besides what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownOfLog {
    pub(crate) store: [u8; 16],
    /// Of the last opening that has written.
    pub(crate) epoch: u32,
    pub(crate) ends: Ends,
}

/// Numbers about a store.
#[derive(Clone, Debug)]
pub struct Stats {
    pub(crate) store: StoreId,
    pub(crate) head: Position,
    pub(crate) events: u64,
    pub(crate) streams: u64,
    pub(crate) segments: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) log_bytes: u64,
    pub(crate) visible_end: Place,
    pub(crate) durable_end: Place,
    pub(crate) epoch: u32,
    pub(crate) status: Status,
}

impl Stats {
    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.store
    }

    /// The number of the format its log is written in.
    #[must_use]
    pub fn format(&self) -> u16 {
        crate::format::FORMAT
    }

    /// The last visible position.
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

    /// Up to where in the files everything survives a loss of power.
    #[must_use]
    pub fn durable_end(&self) -> Place {
        self.durable_end
    }

    /// How many times the store was opened and written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What the store can do at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }
}

impl EventStore {
    /// Numbers about the store.
    ///
    /// # Errors
    ///
    /// * [`Io`](crate::ErrorKind::Io): the directory of the log cannot be listed.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn stats(&self) -> Result<Stats, Error> {
        let shared = self.view()?;
        let KnownOfLog { store, epoch, ends } = self.known_of_log()?;
        let entries =
            self.shared.storage.list(LOG_DIR).map_err(|error| Error::io("listing the files of the log", error))?;
        // Looked up before the view is locked: admission locks the two the other way round.
        let status = self.status();
        let view = shared.0.read();
        Ok(Stats {
            store: StoreId(store),
            head: view.head,
            events: view.table.events(),
            streams: view.table.visible_streams(),
            segments: view.segments.len() as u64,
            disk_bytes: entries.iter().map(|entry| entry.len).sum(),
            log_bytes: view.segments.iter().map(|segment| u64::from(segment.end())).sum(),
            visible_end: ends.visible,
            durable_end: ends.durable,
            epoch,
            status,
        })
    }

    /// What is known of its log besides its events.
    pub(crate) fn known_of_log(&self) -> Result<KnownOfLog, Error> {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) => {
                let log = &writer.log;
                Ok(KnownOfLog { store: log.store(), epoch: log.epoch(), ends: log.ends() })
            }
            Engine::Reading(reader) => Ok(reader.known_of_log()),
            Engine::Closed(_) => Err(closed()),
        }
    }

    /// What the store can do at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) if writer.log.failure().is_some() => Status::Poisoned,
            Engine::Writing(writer) if writer.log.full().is_some() || writer.is_unproven => Status::Full,
            Engine::Writing(_) => Status::Writing,
            Engine::Reading(_) => Status::ReadOnly,
            Engine::Closed(_) => Status::Closed,
        }
    }
}
