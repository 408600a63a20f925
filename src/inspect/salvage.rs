//! Copying every provably good batch of a damaged store to a new directory, with a record of each loss.

use super::{options, scan};
use crate::error::Error;
use crate::format::{BatchView, Fault, Kind, Loss, Range, RecordView};
use crate::index::{SavedTable, StreamTable};
use crate::log::{Damage, Visitor, open_for_reading};
use crate::options::Options;
use crate::position::{Place, Position};
use crate::snapshot::furthest_witness;
use crate::storage::Storage;
use crate::store::{EventStore, StoreParts};
use crate::sync::Arc;
use std::fmt;
use std::path::Path;

/// What a salvage copied and what it could not.
#[derive(Clone, Debug)]
pub struct SalvageReport {
    events_copied: u64,
    lost: Vec<(Position, Position)>,
    damage: Vec<Damage>,
    streams_in_doubt: u64,
}

/// Copies every provably good batch of a store to a new directory. Positions, versions, ids and times stay as they are;
/// a record stands for each range of positions that could not be read. The source stays untouched.
///
/// In the new store reads across a lost range fail unless they are asked to skip it, and a stream that may have ended in
/// one takes no append until the loss is accepted with [`EventStore::accept_losses`]. The new store has an id of its own.
///
/// `Ok` guarantees that the copy is complete, synced and closed.
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let (path, copy) = (directory.path().join("bot.scorebook"), directory.path().join("copy.scorebook"));
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, salvage};
/// let store = EventStore::open(&path)?;
/// let event = NewEvent::json("started", &1)?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// store.close()?;
/// let report = salvage(&path, &copy)?;
/// assert_eq!((report.events_copied(), report.lost().len()), (1, 0));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](crate::ErrorKind::StoreNotFound): there is no store to salvage.
/// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the destination exists and is not empty; nothing was done.
/// * [`TooNew`](crate::ErrorKind::TooNew), [`Full`](crate::ErrorKind::Full), [`Io`](crate::ErrorKind::Io): it broke off; what stands in the
///   destination is not complete.
pub fn salvage(source: impl AsRef<Path>, destination: impl AsRef<Path>) -> Result<SalvageReport, Error> {
    let storage = StoreParts::existing(source.as_ref())?;
    StoreParts::check_free(destination.as_ref())?;
    salvage_on(&storage, |options| options.open(destination))
}

/// The same from any storage to any that is empty.
pub(crate) fn salvage_on(
    storage: &Arc<dyn Storage>,
    open_destination: impl FnOnce(&Options) -> Result<EventStore, Error>,
) -> Result<SalvageReport, Error> {
    StoreParts::check_exists(&**storage)?;
    let surveyed = scan(storage)?;
    let target = open_destination(&Options { epoch_floor: surveyed.sequence.epoch, ..Options::default() })?;
    let fresh =
        |_| Copier { table: StreamTable::default(), target: target.clone(), epoch: 0, lost: Vec::new(), failure: None };
    let witness = furthest_witness(&**storage, SavedTable::read(&**storage).as_ref());
    let mut copied = open_for_reading(&**storage, &options(), witness.as_ref(), fresh)?;
    if let Some(failure) = copied.visitor.failure.take() {
        return Err(failure);
    }
    target.flush()?;
    let report = SalvageReport {
        events_copied: copied.visitor.table.events(),
        streams_in_doubt: streams_in_doubt(&copied.visitor.table),
        lost: std::mem::take(&mut copied.visitor.lost),
        damage: copied.report.damage().to_vec(),
    };
    target.close()?;
    Ok(report)
}

pub(super) fn streams_in_doubt(table: &StreamTable) -> u64 {
    table.all_visible().filter(|stream| table.holes().doubt_behind(stream.extent().last_position).is_some()).count()
        as u64
}

/// Copies what it is told of.
struct Copier {
    table: StreamTable,
    target: EventStore,
    /// Of the last batch that was copied.
    epoch: u32,
    lost: Vec<(Position, Position)>,
    failure: Option<Error>,
}

impl Visitor for Copier {
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        // Whoever accepted losses before spoke of those that were known then.
        if !self.lost.is_empty() && accepts_losses(batch) {
            return Ok(());
        }
        self.table.batch(place, batch)?;
        if batch.has_facts() && self.failure.is_none() {
            self.epoch = batch.header.epoch;
            self.failure = self.target.append_copy(batch).err();
        }
        Ok(())
    }

    fn damaged(&mut self, range: Range) {
        self.table.damaged(range);
        self.lost.push((range.first, range.last));
        if self.failure.is_none() {
            self.failure = self.target.append_loss(range, self.epoch).err();
        }
    }
}

fn accepts_losses(batch: &BatchView<'_>) -> bool {
    let is_acceptance = |record: RecordView<'_>| {
        record.header.kind == Kind::Lost && matches!(Loss::decode(record.body()), Ok(Loss::Accepted(_)))
    };
    batch.records().all(is_acceptance)
}

impl SalvageReport {
    /// How many events were copied.
    #[must_use]
    pub fn events_copied(&self) -> u64 {
        self.events_copied
    }

    /// The first and last position of each range that could not be read.
    #[must_use]
    pub fn lost(&self) -> &[(Position, Position)] {
        &self.lost
    }

    /// The damage that was met.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// How many of the streams that were copied may have had later events among the lost ones.
    #[must_use]
    pub fn streams_in_doubt(&self) -> u64 {
        self.streams_in_doubt
    }

    /// Whether nothing was lost.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.damage.is_empty()
    }
}

impl fmt::Display for SalvageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events copied", self.events_copied)?;
        if self.is_complete() {
            return f.write_str(", nothing was lost");
        }
        self.damage.iter().try_for_each(|damage| write!(f, "\ndamage: {damage}"))?;
        for (first, last) in &self.lost {
            write!(f, "\nlost: positions {first} to {last}")?;
        }
        write!(f, "\n{} streams may have had later events among the lost ones", self.streams_in_doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_destination_that_is_not_empty_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        EventStore::open(&source).unwrap().close().unwrap();
        let error = salvage(&source, &source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}
