//! From one format of the log to the next, segment by segment.
//!
//! A [`Step`] makes the file of a segment anew in the next format. It is written beside the old one under the next generation, and
//! counts when that is removed: the swap of compaction, which asks for nothing but names. So a log may be of two formats while it
//! is migrated, wherever that is interrupted, and a version that knows only the older one refuses it by name.

#[cfg(test)]
mod tests;

use super::scan;
use crate::error::{Error, ErrorKind};
use crate::format::{CONTROL_BATCH_LEN, FORMAT, Kind, PREAMBLE_LEN, Preamble, PreambleFault};
use crate::index::forget;
use crate::log::{CloseState, DOES_NOT_COUNT, forget_live, read_live, remove, segment_files, write_beside};
use crate::segment::{FileNumber, Found, ScannedSegment, Segment, read_whole, segment_name, segment_path};
use crate::storage::{Access, Storage};
use crate::store::StoreParts;
use crate::sync::Arc;
use std::fmt;
use std::path::Path;

/// How a segment of one format becomes one of the next.
pub(crate) struct Step {
    pub(crate) from: u16,
    pub(crate) to: u16,
    /// The file of the new segment. All of the old one is verified.
    pub(crate) write: fn(&Old<'_>) -> Result<Vec<u8>, Error>,
}

/// A segment that is to be written anew.
#[cfg_attr(not(test), expect(dead_code, reason = "there is no step yet, but that of the tests"))]
pub(crate) struct Old<'a> {
    /// The whole file, and that of the next segment, which is of the same format still.
    pub(crate) bytes: &'a [u8],
    pub(crate) next: Option<&'a [u8]>,
    /// The number of the new file, and a random id for it.
    pub(crate) number: FileNumber,
    pub(crate) id: [u8; 16],
}

/// Every step there is, rising: from format 1, which is the newest, there is none.
const STEPS: &[Step] = &[];

/// What a migration to the newest format would write. Nothing is done before [`apply`](Self::apply).
pub struct MigrationPlan {
    storage: Arc<dyn Storage>,
    steps: &'static [Step],
    target: u16,
    segments: Vec<SegmentFormat>,
}

/// A segment of a log, and the format it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFormat {
    number: FileNumber,
    name: String,
    format: u16,
    bytes: u64,
}

/// Plans the migration of the store in a directory to the newest format that this version writes: looks at the first sector of each
/// segment, and changes nothing.
///
/// The newest format is 1, the first: so today there is nothing to do for any store. A store of a newer format than this
/// version knows is refused by name, as by [`EventStore::open`](crate::EventStore::open).
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("bot.scorebook");
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, migrate};
/// let store = EventStore::open(&path)?;
/// let event = NewEvent::json("started", &1)?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// store.close()?;
/// let plan = migrate(&path)?;
/// assert!(plan.is_empty() && plan.segments().iter().all(|segment| segment.format() == plan.target()));
/// plan.apply()?;
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](ErrorKind::StoreNotFound): there is no store.
/// * [`TooNew`](ErrorKind::TooNew): a segment is of a format that this version does not know; the text names both.
/// * [`Damaged`](ErrorKind::Damaged): nobody can say which format a segment is of.
/// * [`Io`](ErrorKind::Io).
pub fn migrate(path: impl AsRef<Path>) -> Result<MigrationPlan, Error> {
    migrate_on(StoreParts::existing(path.as_ref())?, FORMAT, STEPS)
}

/// The same on any storage, from a format that is known by these steps.
pub(crate) fn migrate_on(
    storage: Arc<dyn Storage>,
    known: u16,
    steps: &'static [Step],
) -> Result<MigrationPlan, Error> {
    StoreParts::check_exists(&*storage)?;
    let target = steps.last().map_or(known, |step| step.to);
    let segments = formats(&*storage, target)?;
    Ok(MigrationPlan { storage, steps, target, segments })
}

/// The segments that may count, and what formats they are of: of several files of one number the first.
fn formats(storage: &dyn Storage, target: u16) -> Result<Vec<SegmentFormat>, Error> {
    let mut found: Vec<SegmentFormat> = Vec::new();
    for number in segment_files(storage)? {
        if found.last().is_some_and(|last| last.number.sequence == number.sequence) {
            continue;
        }
        let name = segment_name(number);
        let act = |error| Error::io(format!("reading {name}"), error);
        let file = storage.open(&segment_path(number), Access::Read).map_err(act)?;
        let mut head = vec![0; PREAMBLE_LEN];
        let read = file.read_at(&mut head, 0).map_err(act)?;
        let format = match Preamble::format_of(&head[..read]) {
            Ok(format) if format <= target => format,
            Ok(format) => {
                let act = format!("migrating {name}: it has format {format}, this version knows {target}");
                return Err(Error::new(ErrorKind::TooNew, act));
            }
            // A crash left it behind before it was made ready.
            Err(PreambleFault::Blank) => continue,
            Err(_) => {
                let act = format!("migrating {name}: its first sector does not verify");
                return Err(Error::new(ErrorKind::Damaged, act));
            }
        };
        let bytes = file.len().map_err(act)?;
        found.push(SegmentFormat { number, name, format, bytes });
    }
    Ok(found)
}

impl MigrationPlan {
    /// The format that everything is of afterwards: the newest that this version writes.
    #[must_use]
    pub fn target(&self) -> u16 {
        self.target
    }

    /// The segments there are, and what formats they are of.
    #[must_use]
    pub fn segments(&self) -> &[SegmentFormat] {
        &self.segments
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to_write().next().is_none()
    }

    /// How many bytes the segments have that are going to be written anew.
    #[must_use]
    pub fn bytes_to_write(&self) -> u64 {
        self.to_write().map(|segment| segment.bytes).sum()
    }

    /// How many bytes of room it takes, about: those of the largest of them, since each old one goes when the new one counts.
    #[must_use]
    pub fn bytes_needed(&self) -> u64 {
        self.to_write().map(|segment| segment.bytes).max().unwrap_or(0)
    }

    fn to_write(&self) -> impl Iterator<Item = &SegmentFormat> {
        self.segments.iter().filter(|segment| segment.format < self.target)
    }

    /// Does it, under the lock of a writer, and gives how many segments were written.
    ///
    /// Positions, versions, ids, times and bytes of all records stay as they are. It can be interrupted at any moment, and the next
    /// one goes on from there: until then this version opens the store no more. `live` and what is derived from the log go, and
    /// are made anew.
    ///
    /// `Ok` guarantees that all that was written is synced.
    ///
    /// # Errors
    ///
    /// * [`Locked`](ErrorKind::Locked): a process has it open for writing; nothing was changed.
    /// * [`Damaged`](ErrorKind::Damaged): something does not verify; it is to be repaired first.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the store was not closed: open it and close it first.
    /// * [`Full`](ErrorKind::Full), [`Io`](ErrorKind::Io): it broke off between two segments.
    pub fn apply(self) -> Result<u64, Error> {
        if self.is_empty() {
            return Ok(0);
        }
        let storage = &*self.storage;
        let _lock = StoreParts::lock(storage)?;
        // Where it was interrupted before, that was looked at then, and each step verifies what it reads.
        if self.segments.iter().all(|segment| segment.format == FORMAT) {
            self.leave_what_counts()?;
        }
        let act = |error| Error::io("removing what is derived from the log", error);
        forget(storage).map_err(act)?;
        // IMPORTANT: it names places in files that will be written anew, so it goes before the first of them does.
        forget_live(storage).map_err(act)?;
        let mut written = 0;
        for step in self.steps {
            written += self.take(step)?;
        }
        Ok(written)
    }

    /// Looks whether all that counts verifies and was closed, and removes what does not count: no step asks which segments those
    /// are.
    fn leave_what_counts(&self) -> Result<(), Error> {
        let found = scan(&self.storage)?;
        if let Some(damage) = found.report.damage().first() {
            return Err(Error::new(ErrorKind::Damaged, format!("migrating the log: {damage}")));
        }
        let refused = |why: &str| {
            let act = format!("migrating the store in {}: {why}", self.storage.describe());
            Err(Error::new(ErrorKind::InvalidArgument, act))
        };
        // Where it was interrupted behind that, `live` is gone.
        let is_begun = read_live(&*self.storage).is_none() && found.report.torn_tail().is_none();
        let is_closed = || found.segments.last().map_or(Ok(false), |last| ends_closed(last));
        if found.report.close_state() != CloseState::Clean && !(is_begun && is_closed()?) {
            return refused("it was not closed");
        }
        // What is damaged and does not count may be the only copy of something.
        if let Some(note) = found.report.notes().iter().find(|note| note.starts_with(DOES_NOT_COUNT)) {
            return refused(note);
        }
        let counting: Vec<FileNumber> = found.segments.iter().map(|segment| (&segment.preamble).into()).collect();
        let mut others = segment_files(&*self.storage)?;
        others.retain(|number| !counting.contains(number));
        // Beside one with a lower generation none of these counts; and those that one stands for were passed by.
        others.reverse();
        remove(&*self.storage, &others)
    }

    /// From the first segment to the last, so that what follows a segment is of the same format as long as that is.
    fn take(&self, step: &Step) -> Result<u64, Error> {
        let storage = &*self.storage;
        let mut left = formats(storage, self.target)?;
        left.retain(|segment| segment.format == step.from);
        let mut files = left.iter().map(|segment| read(storage, segment.number)).peekable();
        for segment in &left {
            let bytes = files.next().expect("one for each")?;
            let next = files.peek().and_then(|next| next.as_ref().ok());
            let same = segment_files(storage)?.into_iter().filter(|other| other.sequence == segment.number.sequence);
            let unfinished: Vec<FileNumber> = same.filter(|other| *other != segment.number).collect();
            remove(storage, &unfinished)?;
            let highest = unfinished.iter().map(|other| other.generation).fold(segment.number.generation, u32::max);
            let too_large = || Error::new(ErrorKind::TooLarge, "no number is left for another generation of a segment");
            let generation = highest.checked_add(1).ok_or_else(too_large)?;
            let number = FileNumber { generation, ..segment.number };
            let mut id = [0; 16];
            storage.random(&mut id).map_err(|error| Error::io("making a random id", error))?;
            let old = Old { bytes: &bytes, next: next.map(|next| &**next), number, id };
            let new = (step.write)(&old)?;
            let (first, rest) = new.split_at(PREAMBLE_LEN.min(new.len()));
            write_beside(storage, number, first, &[rest])?;
            remove(storage, &[segment.number])?;
        }
        Ok(left.len() as u64)
    }
}

/// Whether the last batch of a segment is a close record.
fn ends_closed(segment: &Segment) -> Result<bool, Error> {
    let (mut bytes, end) = (Vec::new(), segment.end());
    read_whole(&**segment.file(), end as usize, &mut bytes)
        .map_err(|error| Error::io(format!("reading {}", segment_name(&segment.preamble)), error))?;
    let Preamble { sequence, size, .. } = segment.preamble;
    let scanned = ScannedSegment { bytes: &bytes, base: 0, salt: segment.salt, sequence, size };
    let Some(begin) = end.checked_sub(CONTROL_BATCH_LEN as u32) else { return Ok(false) };
    let Found::Batch(batch) = scanned.at(begin) else { return Ok(false) };
    Ok(batch.records().any(|record| record.header.kind == Kind::Close))
}

fn read(storage: &dyn Storage, number: FileNumber) -> Result<Vec<u8>, Error> {
    let act = |error| Error::io(format!("reading {}", segment_name(number)), error);
    let file = storage.open(&segment_path(number), Access::Read).map_err(act)?;
    let mut bytes = Vec::new();
    read_whole(&*file, u32::MAX as usize, &mut bytes).map_err(act)?;
    Ok(bytes)
}

impl SegmentFormat {
    /// The name of its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its format.
    #[must_use]
    pub fn format(&self) -> u16 {
        self.format
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Debug for MigrationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.to_write().count();
        write!(f, "{count} of {} segments to be migrated to format {}", self.segments.len(), self.target)
    }
}
