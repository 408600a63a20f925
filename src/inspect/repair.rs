//! Making a damaged store one that can be written again: what is damaged is moved aside, and what is lost recorded as such.

use super::damaged::{Outline, Work};
use super::scan;
use crate::error::{Error, ErrorKind};
use crate::index::forget;
use crate::log::{Damage, begin_behind, remove, set_aside};
use crate::position::Position;
use crate::segment::LOG_DIR;
use crate::storage::Storage;
use crate::store::StoreParts;
use crate::sync::Arc;
use std::fmt;
use std::path::Path;

/// What a repair of a damaged store would do. Nothing is done before [`apply`](Self::apply).
#[derive(Debug)]
pub struct RepairPlan {
    storage: Arc<dyn Storage>,
    outline: Outline,
}

/// What a repair has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    moved: Vec<String>,
}

/// Plans the repair of the damaged store in a directory: reads all of it and changes nothing.
///
/// A damaged segment is written anew with everything in it that verifies: positions, versions, ids, times and bytes stay as they
/// are, and bodies keep the checksums they were appended with. Where something does not verify, it is recorded that these
/// positions are lost. The same is recorded in place of a segment that is missing, and behind an end that is damaged: there,
/// where nothing says how many events there were, as many positions as can have been given, so that none is given twice.
/// Records that are not events, such as a consumer's checkpoint or a hold, have no position: where one of those is lost, what
/// was said before it holds again.
///
/// The damaged files are moved into `quarantine/` in the store's directory. Nothing there is ever read or removed by the
/// store.
///
/// Afterwards the store opens. Reads across a lost range fail with [`Lost`](ErrorKind::Lost) unless they are asked to skip it, and
/// a stream that may have had events there takes no append until the loss is accepted with
/// [`EventStore::accept_losses`](crate::EventStore::accept_losses). To restore a backup loses nothing that is in it: that is the better
/// answer where there is one. [`salvage`](crate::salvage) makes a copy instead and leaves the store as it is.
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("bot.scorebook");
/// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName, repair, verify};
/// # let game = StreamName::new("game-1")?;
/// let store = EventStore::open(&path)?;
/// for number in 1..=3 {
///     let event = NewEvent::json("counted", &number)?;
///     store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// }
/// store.close()?;
/// // The second event is overwritten.
/// let segment = path.join("log/0000000001.log");
/// let mut bytes = std::fs::read(&segment).expect("the segment");
/// # let at = bytes.windows(7).enumerate().filter(|(_, window)| *window == b"counted").nth(1).expect("an event").0;
/// bytes[at..at + 7].fill(b'x');
/// std::fs::write(&segment, bytes).expect("the disk takes it");
/// assert_eq!(EventStore::open(&path).unwrap_err().kind(), ErrorKind::Damaged);
///
/// let plan = repair(&path)?;
/// let lost: Vec<_> = plan.lost().iter().map(|(first, last)| (first.get(), last.get())).collect();
/// assert_eq!(lost, [(2, 2)]);
/// assert_eq!(plan.apply()?.moved(), ["quarantine/0000000001.log"]);
/// assert!(verify(&path)?.is_sound());
///
/// let store = EventStore::open(&path)?;
/// assert_eq!(store.read_all().skipping_lost().count()?, 2);
/// store.accept_losses()?;
/// let event = NewEvent::json("counted", &4)?;
/// store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](ErrorKind::StoreNotFound): there is no store.
/// * [`InvalidArgument`](ErrorKind::InvalidArgument): nothing is damaged.
/// * [`Damaged`](ErrorKind::Damaged): no file says which store this is: there is nothing to go on from.
/// * [`TooNew`](ErrorKind::TooNew): a newer version wrote it.
/// * [`Io`](ErrorKind::Io): the operating system could not read something. That is no damage, and nothing is lost for it.
pub fn repair(path: impl AsRef<Path>) -> Result<RepairPlan, Error> {
    repair_on(StoreParts::existing(path.as_ref())?)
}

/// The same on any storage.
pub(crate) fn repair_on(storage: Arc<dyn Storage>) -> Result<RepairPlan, Error> {
    StoreParts::check_exists(&*storage)?;
    // What a writer changes under the look is no damage.
    if scan(&storage)?.report.damage().is_empty() {
        return Err(nothing_to_do(&*storage));
    }
    let outline = Work::find(&*storage, false)?.outline()?;
    Ok(RepairPlan { storage, outline })
}

fn nothing_to_do(storage: &dyn Storage) -> Error {
    let act = format!("repairing the store in {}: nothing is damaged", storage.describe());
    Error::new(ErrorKind::InvalidArgument, act)
}

impl RepairPlan {
    /// The damage: each with segment and byte.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.outline.damage
    }

    /// The first and last position of each range that is going to be recorded as lost, rising.
    #[must_use]
    pub fn lost(&self) -> &[(Position, Position)] {
        &self.outline.lost
    }

    /// The names of the files that are going to be moved aside, rising.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.outline.files
    }

    /// How many events verify and are kept.
    #[must_use]
    pub fn events_kept(&self) -> u64 {
        self.outline.events
    }

    /// How many streams may have had later events among the lost ones.
    #[must_use]
    pub fn streams_in_doubt(&self) -> u64 {
        self.outline.streams_in_doubt
    }

    /// How many bytes it takes on the disk, at most: copies of what is moved aside, and what is written anew.
    #[must_use]
    pub fn bytes_needed(&self) -> u64 {
        self.outline.bytes
    }

    /// Does it, under the lock of a writer.
    ///
    /// It can be interrupted at any moment: what was damaged is damaged then, or repaired, and the next repair goes on from
    /// there. Without room for all of it nothing is lost, either. What is derived from the log goes, and the next opening takes the
    /// time to read all of it.
    ///
    /// `Ok` guarantees that all that was moved and written is synced, and that the store was read once more and verifies.
    ///
    /// # Errors
    ///
    /// * [`Locked`](ErrorKind::Locked): a process has it open for writing; nothing was changed.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): what is damaged has changed since this was planned; nothing was done.
    /// * [`Full`](ErrorKind::Full): there is no room for it; what was repaired before that stays so.
    /// * [`Damaged`](ErrorKind::Damaged): something is still damaged, or was damaged meanwhile: plan it again.
    /// * [`Io`](ErrorKind::Io): it broke off.
    pub fn apply(self) -> Result<Repaired, Error> {
        let storage = &*self.storage;
        let _lock = StoreParts::lock(storage)?;
        let work = Work::find(storage, true)?;
        if work.is_empty() {
            return Err(nothing_to_do(storage));
        }
        if work.outline()? != self.outline {
            let act = format!("repairing the store in {}: what is damaged there has changed", storage.describe());
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let moved = set_aside(storage, &work.files)?;
        if let Some(end) = &work.end {
            begin_behind(storage, work.store, (end.sequence, end.epoch), (end.previous, &end.standing), end.lost)?;
        }
        // IMPORTANT: what was derived before knows of events that are lost, and may be what proves that the end is damaged: it goes
        // behind the new end, and before anything is swapped.
        let forgotten = forget(storage).and_then(|()| storage.sync_dir(LOG_DIR));
        forgotten.map_err(|error| Error::io("removing what is derived from the log", error))?;
        work.mends.iter().try_for_each(|mend| mend.apply(storage, work.store))?;
        remove(storage, &work.strays)?;
        match Work::find(storage, true)?.damage().first() {
            None => Ok(Repaired { moved }),
            Some(damage) => Err(Error::new(ErrorKind::Damaged, format!("repairing the log: {damage}"))),
        }
    }
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events are kept", self.events_kept())?;
        self.damage().iter().try_for_each(|damage| write!(f, "\ndamage: {damage}"))?;
        self.files().iter().try_for_each(|name| write!(f, "\nmoved aside: {name}"))?;
        for (first, last) in self.lost() {
            write!(f, "\nlost: positions {first} to {last}")?;
        }
        write!(f, "\n{} streams may have had later events among the lost ones", self.streams_in_doubt())
    }
}

impl Repaired {
    /// Where the damaged files are now: paths below the store's directory.
    #[must_use]
    pub fn moved(&self) -> &[String] {
        &self.moved
    }
}
