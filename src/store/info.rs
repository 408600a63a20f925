//! What there is of a store, and the state it is in.

use super::{Engine, EventStore, closed};
use crate::error::Error;
use crate::index::derived_bytes;
use crate::log::{Damage, Ends};
use crate::observe::Observer;
use crate::position::{Place, Position};
use crate::segment::LOG_DIR;
use crate::snapshot::SNAPSHOTS_DIR;
use crate::storage::Storage;
use std::{fmt, io};

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

/// What there is of a store.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) of_log: KnownOfLog,
    pub(crate) head: Position,
    pub(crate) events: u64,
    pub(crate) streams: u64,
    pub(crate) segments: u64,
    pub(crate) log_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) snapshots: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) staged_bytes: u64,
    pub(crate) status: Status,
}

impl EventStore {
    /// What there is of it. Lists directories, and reads no file.
    pub(crate) fn counted(&self) -> Result<Counted, Error> {
        let shared = self.view()?;
        let of_log = self.known_of_log()?;
        let sizes = Sizes::of(&*self.shared.storage)?;
        // Looked up before the view is locked: admission locks the two the other way round.
        let status = self.status();
        let staged_bytes = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.log.staged_bytes() as u64,
            Engine::Reading(_) | Engine::Closed(_) => 0,
        };
        let view = shared.0.read();
        Ok(Counted {
            of_log,
            head: view.head,
            events: view.table.events(),
            streams: view.table.visible_streams(),
            segments: view.segments.len() as u64,
            log_bytes: view.log_bytes(),
            disk_bytes: sizes.disk_bytes,
            index_bytes: sizes.index_bytes,
            snapshots: sizes.snapshots,
            snapshot_bytes: sizes.snapshot_bytes,
            memory_bytes: view.table.memory_bytes() + view.terms.memory_bytes(),
            staged_bytes,
            status,
        })
    }

    /// Whoever counts what is done.
    pub(crate) fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// Where acknowledged bytes were met that do not verify, by opening or by reading since; rising, one for each segment.
    pub(crate) fn damage_met(&self) -> Result<Vec<Place>, Error> {
        let shared = self.view()?;
        let mut met: Vec<Place> = self.recovery_report().damage().iter().map(Damage::place).collect();
        met.extend(shared.0.read().segments.iter().filter_map(|segment| segment.damage()));
        met.sort_unstable();
        met.dedup_by_key(|place| place.segment);
        Ok(met)
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

/// How many bytes the files of a store have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) disk_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) snapshots: u64,
    pub(crate) snapshot_bytes: u64,
}

impl Sizes {
    pub(crate) fn of(storage: &dyn Storage) -> Result<Sizes, Error> {
        let act = |error| Error::io("listing the files of the store", error);
        let snapshots = match storage.list(SNAPSHOTS_DIR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(act)?,
        };
        Ok(Sizes {
            disk_bytes: storage.list(LOG_DIR).map_err(act)?.iter().map(|entry| entry.len).sum(),
            index_bytes: derived_bytes(storage).map_err(act)?,
            snapshots: snapshots.iter().filter(|entry| entry.is_file).count() as u64,
            snapshot_bytes: snapshots.iter().map(|entry| entry.len).sum(),
        })
    }
}
