//! Writing segments anew without what may go: one file that stands for a row of sealed ones.
//!
//! ```text
//! 1  the new file is written beside the old ones, and synced with its name      it does not count
//! 2  the old file of the last of them is removed, and that is made durable      the new one counts
//! 3  the old files of the others are removed                                    nobody misses them
//! ```
//!
//! So it has happened or it has not, wherever it is interrupted: as long as the old file of the last number is there, all old
//! ones are. Records keep the bodies and body checksums they were appended with; only their seals are made for the new place.

use super::new_preamble;
use super::outflow::Outflow;
use super::recovery::Tally;
use crate::error::{Error, ErrorKind};
use crate::format::{
    BatchBuffer, BatchView, FOOTER_LEN, Footer, Kind, Loss, Preamble, RECORD_HEADER_LEN, Range, RecordView, Rewritten,
    Salt, Stamp,
};
use crate::limits::BATCH_BYTES_MAX;
use crate::mutant::Mutant;
use crate::options::{ReadMode, SEGMENT_BYTES_MIN};
use crate::position::{Place, Position};
use crate::segment::{
    Batches, FIRST_BATCH, FileNumber, LOG_DIR, Mark, Segment, batches_end, parse_segment_name, segment_name,
    segment_path,
};
use crate::storage::{File, Storage};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::io;

/// Whoever says what stays.
pub(crate) trait Keeper {
    /// Whether a record stays: that of an event, or of something else that is said. Asked once for each, in order.
    fn keeps(&mut self, record: &RecordView<'_>) -> bool;

    /// A batch of what stays is to stand at this offset of the new file. Told of each, in order.
    fn places(&mut self, _batch: &BatchBuffer, _offset: u32) {}

    /// So many bytes were written since the last time. Whether it goes on.
    fn wrote(&mut self, _bytes: usize) -> bool {
        true
    }
}

/// How much is written at a time.
const PIECE: usize = 1024 * 1024; // 1 MiB

/// What a record takes that says which positions are no longer held.
const REMOVED_LEN: usize = RECORD_HEADER_LEN + 16;

/// A segment that was written anew and does not count yet.
pub(crate) struct Draft {
    pub(crate) segment: Segment,
    /// Positions that are no longer held, rising and apart from each other.
    pub(crate) removed: Vec<Range>,
    stands_for: Vec<Arc<Segment>>,
}

/// Writes one segment that stands for a row of sealed ones, which follow on each other. None where the keeper has it stop.
///
/// `used` is the highest generation that may have been given since the log was opened. None is given twice: whoever opened the log
/// removes what it has found unfinished by its name, at any time.
///
/// Nothing of it counts before [`Draft::swap_in`], and nothing else has changed: what is there of it by then is removed by
/// the next writer that opens the log, or at once where it could not be written.
///
/// # Errors
///
/// * [`Full`](ErrorKind::Full): there is no room for it.
/// * [`Damaged`](ErrorKind::Damaged): one of them does not verify.
/// * [`Io`](ErrorKind::Io).
pub(crate) fn rewrite(
    storage: &dyn Storage,
    sources: &[Arc<Segment>],
    mode: ReadMode,
    used: &mut u32,
    keeper: &mut dyn Keeper,
) -> Result<Option<Draft>, Error> {
    let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return Ok(None) };
    let known = sources.iter().map(|source| source.preamble.generation()).max().unwrap_or(0);
    let highest = known.max(remove_unfinished(storage, sources)?).max(*used);
    let too_large = || Error::new(ErrorKind::TooLarge, "no number is left for another generation of a segment");
    let generation = highest.checked_add(1).ok_or_else(too_large)?;
    *used = generation;
    let rewritten = Some(Rewritten { generation, from: first.preamble.stands_from() });
    let preamble = new_preamble(storage, last.preamble.store, last.sequence(), 0)?;
    let preamble = Preamble { rewritten, ..preamble };
    let path = segment_path(&preamble);
    let file = storage.create(&path).map_err(|error| trouble(&preamble, error))?;
    let written = Writing::new(preamble, (file, storage.has_threads()), keeper).write(sources);
    if !matches!(written, Ok(Some(_))) {
        // What stays is removed by the next writer.
        let _ = storage.remove(&path);
    }
    let Some(Written { preamble, file, footer, marks, removed }) = written? else { return Ok(None) };
    storage.sync_dir(LOG_DIR).map_err(|error| Error::io("syncing the directory of the log", error))?;
    let segment = Segment::new(preamble, first.first_position, file, mode, footer.end)
        .map_err(|error| Error::io(format!("mapping {}", segment_name(&preamble)), error))?;
    marks.iter().for_each(|mark| segment.mark(*mark));
    Ok(Some(Draft { segment: segment.with_footer(Some(footer)), removed, stands_for: sources.to_vec() }))
}

/// Removes what attempts have left that were interrupted, and makes that durable: of several files of one number the first
/// counts, and so it must be one of the log's. The highest generation there is of any of them.
///
/// IMPORTANT: only beside the file of the log. Where that is not there, what looks unfinished may be what counts.
fn remove_unfinished(storage: &dyn Storage, sources: &[Arc<Segment>]) -> Result<u32, Error> {
    let entries = storage.list(LOG_DIR).map_err(|error| Error::io("listing the segments of the log", error))?;
    let numbers: Vec<FileNumber> = entries.iter().filter_map(|entry| parse_segment_name(&entry.name)).collect();
    let mut highest = 0;
    for source in sources {
        let own = FileNumber::from(&source.preamble);
        if !numbers.contains(&own) {
            let act = format!("writing {} anew: its file is not there any more", segment_name(own));
            return Err(Error::new(ErrorKind::Damaged, act));
        }
        for other in numbers.iter().filter(|other| other.sequence == own.sequence && **other != own) {
            highest = highest.max(other.generation);
            match storage.remove(&segment_path(*other)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("removing {}", segment_name(*other)), error));
                }
                _ => {}
            }
        }
    }
    if highest != 0 {
        storage.sync_dir(LOG_DIR).map_err(|error| Error::io("syncing the directory of the log", error))?;
    }
    Ok(highest)
}

impl Draft {
    /// Takes it away again. Where it stays the next writer removes it.
    pub(crate) fn discard(self, storage: &dyn Storage) {
        let _ = storage.remove(&segment_path(&self.segment.preamble));
    }

    /// The last position that any of those stood for.
    pub(crate) fn last_position(&self) -> Position {
        self.segment.footer().map_or(Position::BEGINNING, |footer| footer.last_position)
    }

    /// Has it count, in place of those it stands for. Whoever reads one of those goes on.
    ///
    /// # Errors
    ///
    /// * [`SwapFailure::Refused`]: nothing has changed.
    /// * [`SwapFailure::Unknown`]: nobody knows which of them counts, and both hold what the log is to hold. Nothing may be
    ///   written anew before the log was opened again.
    pub(crate) fn swap_in(self, storage: &dyn Storage) -> Result<Segment, SwapFailure> {
        for source in &self.stands_for {
            let act = || format!("keeping {} open", segment_name(&source.preamble));
            source.file().hold().map_err(|error| SwapFailure::Refused(Error::io(act(), error)))?;
        }
        let mut numbers: Vec<FileNumber> =
            self.stands_for.iter().map(|source| FileNumber::from(&source.preamble)).collect();
        let last = numbers.pop().expect("it stands for one at least");
        let act = |error| SwapFailure::Unknown(Error::io(format!("removing {}", segment_name(last)), error));
        if Mutant::RemovesTheOthersFirst.is_on() {
            super::copy::remove_files(storage, &mut numbers).map_err(act)?;
        }
        storage.remove(&segment_path(last)).map_err(act)?;
        storage.sync_dir(LOG_DIR).map_err(act)?;
        // It counts from here on. Where the others stay they are passed by.
        let _ = super::copy::remove_files(storage, &mut numbers);
        Ok(self.segment)
    }
}

/// Why a segment that was written anew does not stand for others.
pub(crate) enum SwapFailure {
    Refused(Error),
    Unknown(Error),
}

struct Writing<'a> {
    preamble: Preamble,
    salt: Salt,
    file: Arc<dyn File>,
    outflow: Outflow,
    keeper: &'a mut dyn Keeper,
    /// What was not handed over to be written yet, and where that begins.
    bytes: Vec<u8>,
    begin: u32,
    /// What is left of the batch at hand.
    batch: BatchBuffer,
    last_checksum: u32,
    /// Positions that go and are not told of yet.
    pending: Option<Pending>,
    next_position: Position,
    last_time: Timestamp,
    marks: Vec<Mark>,
    removed: Vec<Range>,
    tally: Tally,
}

/// Positions that go, and what the last of their batches was stamped with.
#[derive(Clone, Copy)]
struct Pending {
    range: Range,
    stamp: Stamp,
}

struct Written {
    preamble: Preamble,
    file: Arc<dyn File>,
    footer: Footer,
    marks: Vec<Mark>,
    removed: Vec<Range>,
}

impl<'a> Writing<'a> {
    fn new(preamble: Preamble, (file, has_threads): (Arc<dyn File>, bool), keeper: &'a mut dyn Keeper) -> Writing<'a> {
        Writing {
            preamble,
            salt: preamble.salt(),
            outflow: Outflow::new(file.clone(), FIRST_BATCH, has_threads),
            file,
            keeper,
            bytes: Vec::new(),
            begin: FIRST_BATCH,
            batch: BatchBuffer::new(),
            last_checksum: 0,
            pending: None,
            next_position: Position::BEGINNING,
            last_time: Timestamp::from_nanos(i64::MIN),
            marks: Vec::new(),
            removed: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn write(mut self, sources: &[Arc<Segment>]) -> Result<Option<Written>, Error> {
        let mut window = Vec::new();
        for source in sources {
            let mut batches = Batches::of(source, source.end(), &mut window);
            while let Some(batch) = batches.next()? {
                self.take(&batch)?;
                if PIECE <= self.bytes.len() && !self.put()? {
                    return Ok(None);
                }
            }
        }
        self.tell_pending()?;
        if !self.put()? {
            return Ok(None);
        }
        self.finish().map(Some)
    }

    fn take(&mut self, batch: &BatchView<'_>) -> Result<(), Error> {
        let kind = batch.records().next().map(|record| record.header.kind);
        match kind {
            Some(Kind::Watermark | Kind::Close) => return Ok(()),
            Some(Kind::Start | Kind::Session) => {
                self.tell_pending()?;
                if self.next_position == Position::BEGINNING {
                    self.next_position = batch.header.first_position;
                }
                let stamp = self.stamp(batch);
                return self.seal(&mut BatchBuffer::copy_of(batch), &stamp);
            }
            _ => {}
        }
        let mut buffer = std::mem::replace(&mut self.batch, BatchBuffer::new());
        let mut first_position = self.upcoming();
        let mut last_time = self.last_time;
        for record in batch.records() {
            let stamp = Stamp { epoch_bits: record.header.epoch_bits, ..self.stamp(batch) };
            let takes = positions_of(&record)?;
            let is_held = record.header.kind != Kind::Removed && self.keeper.keeps(&record);
            if let Some(range) = &takes {
                self.next_position = range.last.next().unwrap_or(range.last);
            }
            match takes {
                _ if is_held || record.header.kind == Kind::Lost => {}
                Some(range) => {
                    let first = self.pending.map_or(range.first, |pending| pending.range.first);
                    self.pending = Some(Pending { range: Range { first, ..range }, stamp });
                    continue;
                }
                None => continue,
            }
            // To say what is missing may take more room than what goes.
            if !buffer.is_empty() && BATCH_BYTES_MAX < buffer.len() + REMOVED_LEN + record.bytes.len() {
                let time = last_time.max(self.last_time);
                self.seal(&mut buffer, &Stamp { first_position, time, ..self.stamp(batch) })?;
                buffer.clear();
                let own = positions_of(&record)?.map_or(self.next_position, |range| range.first);
                first_position = self.pending.map_or(own, |pending| pending.range.first);
            }
            if let Some(pending) = self.pending.take() {
                buffer.push_removed(&pending.range, &stamp);
                self.removed.push(pending.range);
            }
            buffer.push_copy(&record);
            if record.header.kind == Kind::Event {
                last_time = record.header.time;
            }
        }
        let stamp = Stamp { first_position, ..self.stamp(batch) };
        if !buffer.is_empty() {
            self.seal(&mut buffer, &stamp)?;
            buffer.clear();
        }
        self.batch = buffer;
        Ok(())
    }

    /// The first position that is not told of yet.
    fn upcoming(&self) -> Position {
        self.pending.map_or(self.next_position, |pending| pending.range.first)
    }

    /// Tells of the positions that go in a batch of its own.
    fn tell_pending(&mut self) -> Result<(), Error> {
        let Some(Pending { range, stamp }) = self.pending.take() else { return Ok(()) };
        let stamp = Stamp { first_position: range.first, previous: self.last_checksum, ..stamp };
        let mut buffer = BatchBuffer::new();
        buffer.push_removed(&range, &stamp);
        self.removed.push(range);
        self.seal(&mut buffer, &stamp)
    }

    /// What a batch is stamped with: nothing that it says of a durable end speaks of this file.
    fn stamp(&self, batch: &BatchView<'_>) -> Stamp {
        let header = &batch.header;
        Stamp {
            epoch: header.epoch,
            epoch_bits: batch.records().next().map_or(0, |record| record.header.epoch_bits),
            previous: self.last_checksum,
            durable: Place::NONE,
            first_position: self.next_position,
            time: header.time,
        }
    }

    fn seal(&mut self, buffer: &mut BatchBuffer, stamp: &Stamp) -> Result<(), Error> {
        let offset = self.begin + self.bytes.len() as u32;
        let fits = (u32::MAX as usize - FOOTER_LEN - SEGMENT_BYTES_MIN as usize).checked_sub(buffer.len());
        if fits.is_none_or(|room| room < offset as usize) {
            let act = format!("writing {}: it would be too large", segment_name(&self.preamble));
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        let before = self.bytes.len();
        self.last_checksum = buffer.seal(stamp, self.salt, offset, &mut self.bytes);
        self.keeper.places(buffer, offset);
        self.tally.add(&self.bytes[before..], buffer.events(), 1);
        self.marks.push(Mark { position: stamp.first_position, offset, time: self.last_time });
        self.last_time = stamp.time;
        Ok(())
    }

    /// Has what there is written. Whether it goes on.
    fn put(&mut self) -> Result<bool, Error> {
        let written = self.bytes.len();
        self.outflow.put(&mut self.bytes).map_err(|error| trouble(&self.preamble, error))?;
        self.begin += written as u32;
        Ok(self.keeper.wrote(written))
    }

    /// Writes what frames the batches, and makes all of it durable.
    fn finish(mut self) -> Result<Written, Error> {
        self.outflow.settle().map_err(|error| trouble(&self.preamble, error))?;
        let end = self.begin;
        let size = (end as usize + FOOTER_LEN).next_multiple_of(512).max(SEGMENT_BYTES_MIN as usize) as u32;
        let preamble = Preamble { size, ..self.preamble };
        let last = Position::new(self.next_position.get().saturating_sub(1));
        let footer = self.tally.footer(end, last);
        let file = self.file;
        let framed = file
            .write_at(&vec![0; (batches_end(size) - end) as usize], end.into())
            .and_then(|()| file.write_at(&footer.encode(self.salt), batches_end(size).into()))
            .and_then(|()| file.write_at(&preamble.encode(), 0))
            .and_then(|()| if Mutant::CompactsWithoutASync.is_on() { Ok(()) } else { file.sync() });
        framed.map_err(|error| trouble(&preamble, error))?;
        Ok(Written { preamble, file, footer, marks: self.marks, removed: self.removed })
    }
}

/// The positions that a record stands for.
fn positions_of(record: &RecordView<'_>) -> Result<Option<Range>, Error> {
    let senseless = |_| Error::new(ErrorKind::Damaged, "a record of what is missing makes no sense");
    let position = record.header.position;
    Ok(match record.header.kind {
        Kind::Event => Some(Range { first: position, last: position }),
        Kind::Removed => Some(Range::decode_removed(record.body()).map_err(senseless)?),
        Kind::Lost => match Loss::decode(record.body()).map_err(senseless)? {
            Loss::Found(range) => Some(range),
            Loss::Accepted(_) => None,
        },
        _ => None,
    })
}

fn trouble(preamble: &Preamble, error: io::Error) -> Error {
    Error::io(format!("writing {}", segment_name(preamble)), error)
}
