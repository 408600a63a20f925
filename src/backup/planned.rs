//! What a backup or a restoration would come to, with nothing done.

use super::manifest::{Manifest, PIECE, no_backup};
use super::piece::{last_position, read_held, scanned};
use super::restore::{Limit, RestoreReport, Until, legible};
use super::take::check_destination;
use crate::error::Error;
use crate::position::Position;
use crate::segment::FIRST_BATCH;
use crate::storage::{RealDisk, Storage};
use crate::store::EventStore;
use std::path::Path;

/// What a backup would copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupPlan {
    segments: u64,
    bytes: u64,
}

impl EventStore {
    /// What [`backup`](Self::backup) would copy to a directory by now. Changes nothing, and reads nothing of the log: whether
    /// what is to be copied verifies is found when it is.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a directory");
    /// # let (path, copy) = (directory.path().join("bot.scorebook"), directory.path().join("backup"));
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open(&path)?;
    /// let counted = NewEvent::json("counted", &1)?;
    /// let appended = store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [counted]);
    /// appended.wait().map_err(|error| error.into_error())?;
    /// let plan = store.plan_backup(&copy)?;
    /// let report = store.backup(&copy)?;
    /// assert_eq!((plan.segments(), plan.bytes()), (report.segments_copied(), report.bytes_copied()));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the directory holds something else, or the backup of another
    ///   store.
    /// * [`Damaged`](crate::ErrorKind::Damaged): the backup that is there does not say what it holds.
    /// * [`Io`](crate::ErrorKind::Io), [`Closed`](crate::ErrorKind::Closed).
    pub fn plan_backup(&self, destination: impl AsRef<Path>) -> Result<BackupPlan, Error> {
        let (log, to) = (self.durable_log()?, RealDisk::new(destination.as_ref()));
        let before = Manifest::read(&to)?;
        check_destination(&to, &log, before.as_ref())?;
        let mut plan = BackupPlan { segments: 0, bytes: 0 };
        for (segment, end) in &log.segments {
            let known = before.iter().flat_map(|before| &before.segments).find(|held| held.is_of(&segment.preamble));
            let known = known.map_or(0, |held| held.end);
            if known != *end {
                let from = known.min(*end);
                plan.segments += 1;
                plan.bytes += u64::from(*end - (from - from % PIECE as u32));
            }
        }
        Ok(plan)
    }
}

/// What [`restore`](crate::restore) would make of a backup: all of what it needs is read and verified. Changes nothing.
///
/// # Errors
///
/// * [`StoreNotFound`](crate::ErrorKind::StoreNotFound): the source holds no backup.
/// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the backup does not reach the position that is asked for.
/// * [`Damaged`](crate::ErrorKind::Damaged): something of the backup is not what was written.
/// * [`Io`](crate::ErrorKind::Io).
pub fn plan_restore(source: impl AsRef<Path>, until: Until) -> Result<RestoreReport, Error> {
    let from: &dyn Storage = &RealDisk::new(source.as_ref());
    let manifest = Manifest::read(from)?.ok_or_else(|| no_backup(from))?;
    let limit = Limit::find(from, &manifest, until)?;
    let mut report = RestoreReport { position: Position::BEGINNING, segments: 0, bytes: 0 };
    for held in &manifest.segments {
        let bytes = read_held(from, held)?;
        let preamble = legible(held, &bytes)?;
        let end = limit.end_of(&preamble, held, &bytes)?;
        let last = last_position(&scanned(&preamble, 0, &bytes[..end as usize]), FIRST_BATCH, end)?;
        report.position = last.unwrap_or(report.position);
        report.segments += 1;
        report.bytes += u64::from(end);
        if end < held.end {
            break;
        }
    }
    Ok(report)
}

impl BackupPlan {
    /// How many segments are to be copied, whole or in part.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// How many bytes are to be copied.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
