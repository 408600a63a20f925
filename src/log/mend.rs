//! What takes the place of damaged and missing segments: what verifies is kept, and for the rest it is recorded that it is lost.
//!
//! ```text
//! 1  what will go is copied aside, and synced with its name        nothing has changed
//! 2  where the end is damaged, a segment begins behind it           the end is sound; before it nothing has changed
//! 3  each segment is written anew, as compaction would, and synced  it does not count beside the old file
//! 4  the old file is removed, and that is made durable              the new one counts
//! ```
//!
//! Wherever it is interrupted, what was damaged is damaged still, or repaired. Bodies keep the checksums they were appended with,
//! so nothing that does not verify comes to do so.

use super::copy::{Begin, start_batch, start_stamp};
use super::open::position_behind;
use super::swap::{remove, write_beside};
use super::{Sequence, Tally, new_preamble, no_version};
use crate::error::{Error, ErrorKind};
use crate::format::{
    BatchBuffer, BatchView, FOOTER_LEN, Kind, Loss, Preamble, Range, Rewritten, Salt, Stamp, encode_session,
};
use crate::mutant::Mutant;
use crate::options::SEGMENT_BYTES_MIN;
use crate::position::{Place, Position};
use crate::segment::{
    FIRST_BATCH, FileNumber, Found, LOG_DIR, MakeFailure, ScannedSegment, Segment, batches_end, make_ready,
    parse_segment_name, read_whole, segment_name, segment_path,
};
use crate::storage::{Access, File, Storage};
use crate::sync::Arc;
use std::io;

/// The directory, below the store's, of files that were damaged.
const QUARANTINE_DIR: &str = "quarantine";

/// How much is copied at a time.
const PIECE: usize = 1024 * 1024; // 1 MiB

/// How the log stands at some place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) sequence: Sequence,
    /// The random bits of its epoch, and of that of the last batch with facts.
    epoch_bits: u64,
    facts_bits: u64,
    /// Behind the last batch, and the header checksum of that.
    end: Place,
    checksum: u32,
}

impl Standing {
    pub(crate) const BEGINNING: Standing =
        Standing { sequence: Sequence::BEGINNING, epoch_bits: 0, facts_bits: 0, end: Place::NONE, checksum: 0 };

    /// Goes on behind a batch that counts.
    pub(crate) fn pass(&mut self, place: Place, batch: &BatchView<'_>) {
        let (header, bits) = (&batch.header, bits_of(batch));
        self.sequence.next_position = position_behind(batch, header.first_position);
        self.sequence.last_time = header.time;
        if self.sequence.epoch < header.epoch {
            (self.sequence.epoch, self.epoch_bits) = (header.epoch, bits);
        }
        if batch.has_facts() {
            (self.sequence.facts_epoch, self.facts_bits) = (header.epoch, bits);
        }
        self.end = Place { segment: place.segment, offset: batch.end() };
        self.checksum = batch.checksum;
    }

    /// Where a segment ends behind which it stands so, and the checksum of the batch before that end.
    pub(crate) fn end_of(&self, segment: Option<&Segment>) -> (Place, u32) {
        let Some(segment) = segment else { return (Place::NONE, 0) };
        let end = Place { segment: segment.sequence(), offset: segment.end() };
        (end, if self.end == end { self.checksum } else { 0 })
    }
}

fn bits_of(batch: &BatchView<'_>) -> u64 {
    batch.records().next().map_or(0, |record| record.header.epoch_bits)
}

/// A segment that is to be written in place of others.
pub(crate) struct Mend {
    /// It stands for all segments from one number to another.
    pub(crate) from: u32,
    pub(crate) sequence: u32,
    /// What is legible of what it stands for.
    pub(crate) source: Option<Arc<Segment>>,
    /// Where the segment before it ends, and the checksum of the batch before that end.
    pub(crate) previous: (Place, u32),
    /// How the log stands behind that.
    pub(crate) before: Standing,
    /// The first position behind it: what is not there before that is lost.
    pub(crate) until: Position,
}

impl Mend {
    /// Writes it and has it count. The old files are to be kept elsewhere by now.
    ///
    /// # Errors
    ///
    /// * [`Full`](ErrorKind::Full): there is no room for it; nothing has changed.
    /// * [`Io`](ErrorKind::Io): nobody knows which of them counts; the log is no more damaged than it was.
    pub(crate) fn apply(&self, storage: &dyn Storage, store: [u8; 16]) -> Result<(), Error> {
        let old = self.old_files(storage)?;
        // IMPORTANT: of several files of one number the first counts, and the others were not finished: only then may they go.
        let own = old.iter().find(|number| number.sequence == self.sequence).copied();
        let (unfinished, mut others): (Vec<_>, Vec<_>) =
            old.iter().partition(|number| number.sequence == self.sequence && Some(**number) != own);
        others.retain(|number| Some(*number) != own);
        if !unfinished.is_empty() {
            remove(storage, &unfinished)?;
        }
        let known = self.source.as_ref().map_or(0, |source| source.preamble.generation());
        let highest = old.iter().filter(|number| number.sequence == self.sequence).map(|number| number.generation);
        let generation = highest.max().unwrap_or(0).max(known).checked_add(1);
        let too_large = || Error::new(ErrorKind::TooLarge, "no number is left for another generation of a segment");
        let rewritten = Rewritten { generation: generation.ok_or_else(too_large)?, from: self.from };
        let preamble = new_preamble(storage, store, self.sequence, 0)?;
        let preamble = Preamble { rewritten: Some(rewritten), ..preamble };
        self.write(storage, preamble)?;
        others.splice(..0, own);
        remove(storage, &others)
    }

    /// The files of the numbers it stands for, in their order.
    pub(crate) fn old_files(&self, storage: &dyn Storage) -> Result<Vec<FileNumber>, Error> {
        let range = self.from..=self.sequence;
        Ok(segment_files(storage)?.into_iter().filter(|number| range.contains(&number.sequence)).collect())
    }

    fn write(&self, storage: &dyn Storage, preamble: Preamble) -> Result<(), Error> {
        let writing = Writing {
            salt: preamble.salt(),
            bytes: Vec::new(),
            standing: self.before,
            last_checksum: 0,
            tally: Tally::default(),
        };
        let filled = writing.fill(self, storage)?;
        let (preamble, behind) = filled.frame(preamble);
        write_beside(storage, (&preamble).into(), &preamble.encode(), &[&filled.bytes, &behind])
    }
}

/// A segment that is being put together in memory.
struct Writing {
    salt: Salt,
    bytes: Vec<u8>,
    standing: Standing,
    last_checksum: u32,
    tally: Tally,
}

impl Writing {
    fn fill(mut self, mend: &Mend, storage: &dyn Storage) -> Result<Writing, Error> {
        let mut buffer = Vec::new();
        if let Some(source) = &mend.source {
            read_whole(&**source.file(), source.end() as usize, &mut buffer)
                .map_err(|error| Error::io(format!("reading {}", segment_name(&source.preamble)), error))?;
        }
        let mut is_begun = false;
        for batch in mend.source.iter().flat_map(|source| kept(source, &buffer)) {
            let kind = batch.records().next().map(|record| record.header.kind);
            match kind {
                // What is lost before it is told by what stands there.
                Some(Kind::Start) if !is_begun => self.standing.sequence.next_position = batch.header.first_position,
                _ if !is_begun => self.start(mend, Some(&batch), storage)?,
                _ => {}
            }
            is_begun = true;
            self.lose_up_to(batch.header.first_position)?;
            match kind {
                Some(Kind::Watermark | Kind::Close) => {}
                // What had begun this epoch is lost.
                kind if self.standing.sequence.epoch < batch.header.epoch
                    && !matches!(kind, Some(Kind::Start | Kind::Session)) =>
                {
                    self.begin_epoch(batch.header.epoch, bits_of(&batch))?;
                    self.copy(&batch)?;
                }
                _ => self.copy(&batch)?,
            }
        }
        if !is_begun {
            self.start(mend, None, storage)?;
        }
        self.lose_up_to(mend.until)?;
        Ok(self)
    }

    /// Begins it with a start record in place of one that is lost.
    fn start(&mut self, mend: &Mend, first: Option<&BatchView<'_>>, storage: &dyn Storage) -> Result<(), Error> {
        let standing = &mend.before;
        let known = (standing.sequence.epoch, standing.epoch_bits);
        let (epoch, epoch_bits) = match first.map(|first| (first.header.epoch, bits_of(first))) {
            Some(first) if known.0 < first.0 => first,
            _ if known.0 == 0 => (1, random_bits(storage)?),
            _ => known,
        };
        let (previous_end, previous_checksum) = mend.previous;
        let begin = Begin { epoch, epoch_bits, previous_end, previous_checksum };
        let Sequence { next_position, last_time, .. } = standing.sequence;
        let stamp = Stamp { durable: Place::NONE, ..start_stamp(begin, next_position, last_time) };
        (self.standing.sequence.epoch, self.standing.epoch_bits) = (epoch, epoch_bits);
        self.seal(&mut start_batch(begin, next_position, last_time), &stamp)
    }

    /// Has a session begin an epoch. It says nothing of where it stood before.
    fn begin_epoch(&mut self, epoch: u32, epoch_bits: u64) -> Result<(), Error> {
        let stamp = Stamp { epoch, epoch_bits, ..self.stamp() };
        let here = Place { segment: self.standing.end.segment, offset: self.standing.end.offset };
        (self.standing.sequence.epoch, self.standing.epoch_bits) = (epoch, epoch_bits);
        self.control(Kind::Session, &encode_session(here), &stamp)
    }

    /// Records that everything from the next position up to another one is lost.
    fn lose_up_to(&mut self, next: Position) -> Result<(), Error> {
        let first = self.standing.sequence.next_position;
        if next <= first {
            return Ok(());
        }
        let range = Range { first, last: Position::new(next.get() - 1) };
        let stamp = self.stamp();
        self.standing.sequence.facts_epoch = stamp.epoch;
        self.standing.sequence.next_position = next;
        self.control(Kind::Lost, &Loss::Found(range).encode(), &stamp)
    }

    fn control(&mut self, kind: Kind, body: &[u8], stamp: &Stamp) -> Result<(), Error> {
        let mut buffer = BatchBuffer::new();
        buffer.push_control(kind, body);
        buffer.place(stamp, no_version, &[]);
        self.seal(&mut buffer, stamp)
    }

    fn copy(&mut self, batch: &BatchView<'_>) -> Result<(), Error> {
        let header = &batch.header;
        let stamp = Stamp {
            epoch: header.epoch,
            first_position: header.first_position,
            time: header.time,
            epoch_bits: 0,
            ..self.stamp()
        };
        self.seal(&mut BatchBuffer::copy_of(batch), &stamp)?;
        self.standing.pass(self.standing.end, batch);
        Ok(())
    }

    /// Of a record that stands here and says something of its own. It lowers no epoch and is in none that has not begun.
    fn stamp(&self) -> Stamp {
        let Standing { sequence, facts_bits, .. } = self.standing;
        Stamp {
            epoch: sequence.facts_epoch.max(1),
            epoch_bits: facts_bits,
            previous: self.last_checksum,
            durable: Place::NONE,
            first_position: sequence.next_position,
            time: sequence.last_time,
        }
    }

    fn seal(&mut self, buffer: &mut BatchBuffer, stamp: &Stamp) -> Result<(), Error> {
        let offset = FIRST_BATCH as usize + self.bytes.len();
        if u32::MAX as usize - SEGMENT_BYTES_MIN as usize <= offset + buffer.len() {
            return Err(Error::new(ErrorKind::TooLarge, "what is left of a segment fits none"));
        }
        let stamp = Stamp { previous: self.last_checksum, ..*stamp };
        let (begin, events) = (self.bytes.len(), buffer.events());
        self.last_checksum = buffer.seal(&stamp, self.salt, offset as u32, &mut self.bytes);
        self.tally.add(&self.bytes[begin..], events, 1);
        Ok(())
    }

    /// The parts of the file, and the first sector, which is written last.
    fn frame(&self, preamble: Preamble) -> (Preamble, Vec<u8>) {
        let end = FIRST_BATCH + self.bytes.len() as u32;
        let size = (end as usize + FOOTER_LEN).next_multiple_of(512).max(SEGMENT_BYTES_MIN as usize) as u32;
        let mut behind = vec![0; (batches_end(size) - end) as usize];
        let footer = self.tally.footer(end, self.standing.sequence.last_position());
        behind.extend_from_slice(&footer.encode(self.salt));
        (Preamble { size, ..preamble }, behind)
    }
}

/// The batches of a segment that count, of which these are the bytes: those that were not passed over.
fn kept<'a>(source: &'a Segment, bytes: &'a [u8]) -> impl Iterator<Item = BatchView<'a>> {
    let Preamble { sequence, size, .. } = source.preamble;
    let scanned = ScannedSegment { bytes, base: 0, salt: source.salt, sequence, size };
    let mut offset = FIRST_BATCH;
    std::iter::from_fn(move || {
        while offset < source.end() {
            if let Some(behind) = source.passed_over(offset) {
                offset = behind.max(offset + 8);
                continue;
            }
            let Found::Batch(batch) = scanned.at(offset) else { return None };
            offset = batch.end();
            return Some(batch);
        }
        None
    })
}

/// Begins a segment behind an end that is damaged or missing. What is lost there is the first that it says.
///
/// # Errors
///
/// * [`Full`](ErrorKind::Full): there is no room for it; nothing has changed.
/// * [`Io`](ErrorKind::Io): nobody knows whether it counts; the log is no more damaged than it was.
pub(crate) fn begin_behind(
    storage: &dyn Storage,
    store: [u8; 16],
    (sequence, epoch): (u32, u32),
    ((previous_end, previous_checksum), standing): ((Place, u32), &Standing),
    lost: Option<Range>,
) -> Result<(), Error> {
    let preamble = new_preamble(storage, store, sequence, SEGMENT_BYTES_MIN)?;
    let trouble = |error| Error::io(format!("writing {}", segment_name(&preamble)), error);
    let begin = Begin { epoch, epoch_bits: random_bits(storage)?, previous_end, previous_checksum };
    let Sequence { next_position, facts_epoch, last_time, .. } = standing.sequence;
    let file = make_ready(storage, &preamble).map_err(|failure| match failure {
        MakeFailure::Refused(error) | MakeFailure::Sync(error) => trouble(error),
    })?;
    let mut bytes = Vec::new();
    let stamp = start_stamp(begin, next_position, last_time);
    let mut start = start_batch(begin, next_position, last_time);
    let previous = start.seal(&stamp, preamble.salt(), FIRST_BATCH, &mut bytes);
    let start_len = bytes.len();
    let lost = lost.filter(|_| !Mutant::ForgetsWhatTheEndLost.is_on());
    if let Some(range) = lost {
        let bits = if facts_epoch == 0 { begin.epoch_bits } else { standing.facts_bits };
        let stamp = Stamp { epoch: facts_epoch.max(1), epoch_bits: bits, previous, ..stamp };
        let mut buffer = BatchBuffer::new();
        buffer.push_control(Kind::Lost, &Loss::Found(range).encode());
        buffer.place(&stamp, no_version, &[]);
        buffer.seal(&stamp, preamble.salt(), FIRST_BATCH + start_len as u32, &mut bytes);
    }
    let write = |bytes: &[u8], offset: usize| file.write_at(bytes, offset as u64).and_then(|()| file.sync());
    // IMPORTANT: as with every copy, what stands behind the start record is durable before that is handed to the system.
    write(&bytes[start_len..], FIRST_BATCH as usize + start_len)
        .and_then(|()| write(&bytes[..start_len], FIRST_BATCH as usize))
        .map_err(trouble)
}

fn random_bits(storage: &dyn Storage) -> Result<u64, Error> {
    let mut bits = [0; 8];
    storage.random(&mut bits).map_err(|error| Error::io("making random bits for an epoch", error))?;
    Ok(u64::from_le_bytes(bits))
}

/// The files of the log, in their order.
pub(crate) fn segment_files(storage: &dyn Storage) -> Result<Vec<FileNumber>, Error> {
    let entries = storage.list(LOG_DIR).map_err(|error| Error::io("listing the segments of the log", error))?;
    let mut numbers: Vec<FileNumber> = entries.iter().filter_map(|entry| parse_segment_name(&entry.name)).collect();
    numbers.sort();
    Ok(numbers)
}

/// Copies files of the log into the directory of what was damaged, and makes the copies durable. Those that are there already
/// are not copied again. Their paths.
pub(crate) fn set_aside(storage: &dyn Storage, numbers: &[FileNumber]) -> Result<Vec<String>, Error> {
    let act = |number: FileNumber| format!("copying {} into {QUARANTINE_DIR}", segment_name(number));
    if numbers.is_empty() || Mutant::KeepsNothingAside.is_on() {
        return Ok(Vec::new());
    }
    let failed = |error| Error::io(format!("making the directory {QUARANTINE_DIR}"), error);
    storage.create_dir(QUARANTINE_DIR).map_err(failed)?;
    let copy = |number: &FileNumber| copy_aside(storage, *number).map_err(|error| Error::io(act(*number), error));
    let paths: Vec<String> = numbers.iter().map(copy).collect::<Result<_, _>>()?;
    storage.sync_dir(QUARANTINE_DIR).map_err(failed)?;
    Ok(paths)
}

fn copy_aside(storage: &dyn Storage, number: FileNumber) -> io::Result<String> {
    let from = storage.open(&segment_path(number), Access::Read)?;
    let names = (1..).map(|count: u32| match count {
        1 => format!("{QUARANTINE_DIR}/{}", segment_name(number)),
        _ => format!("{QUARANTINE_DIR}/{}.{count}", segment_name(number)),
    });
    for path in names {
        match storage.create(&path) {
            Ok(to) => {
                let copied = copy_bytes(&*from, &*to);
                if copied.is_err() {
                    let _ = storage.remove(&path);
                }
                return copied.map(|()| path);
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {
                let there = storage.open(&path, Access::ReadWrite)?;
                if is_same(&*from, &*there)? {
                    // Whoever copied it may not have come to sync it.
                    return there.sync().map(|()| path);
                }
            }
        }
    }
    unreachable!("numbers do not end")
}

fn copy_bytes(from: &dyn File, to: &dyn File) -> io::Result<()> {
    let (len, mut at, mut piece) = (from.len()?, 0, vec![0; PIECE]);
    while at < len {
        let read = from.read_at(&mut piece, at)?;
        if read == 0 {
            break;
        }
        to.write_at(&piece[..read], at)?;
        at += read as u64;
    }
    to.sync()
}

fn is_same(one: &dyn File, other: &dyn File) -> io::Result<bool> {
    let (len, mut at) = (one.len()?, 0);
    let (mut of_one, mut of_other) = (vec![0; PIECE], vec![0; PIECE]);
    let mut is_same = other.len()? == len;
    while is_same && at < len {
        let read = one.read_at(&mut of_one, at)?;
        is_same = read != 0 && other.read_at(&mut of_other, at)? == read && of_one[..read] == of_other[..read];
        at += read as u64;
    }
    Ok(is_same)
}
