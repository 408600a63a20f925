//! Reading events from a segment, sealed or active, up to its visible end.

use super::{FIRST_BATCH, decode_start};
use crate::error::{Error, ErrorKind};
use crate::event::{RecordedEvent, SharedBytes};
use crate::format::{
    Fact, Fault, Footer, KeyFact, Kind, Preamble, RECORD_HEADER_LEN, RecordHeader, RecordView, START_BATCH_LEN, Salt,
    Start, decode_event,
};
use crate::mutant::Mutant;
use crate::observe::spans;
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::storage::File;
use crate::sync::{Arc, AtomicU32, Ordering, RwLock, UncheckedU64};
use crate::time::Timestamp;
use std::io;

/// Where a batch begins, and which position and time are reached there: a place to start reading from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The next to be given: every event before the mark has a lower one.
    pub(crate) position: Position,
    pub(crate) offset: u32,
    /// No event before the mark has a later one, and none behind it an earlier one.
    pub(crate) time: Timestamp,
}

/// Marks stand at least this many bytes apart, so that their number follows the bytes and not the events.
const MARK_EVERY: u32 = 32 * 1024;

/// How much of a record is asked for ahead, and how far apart two are asked for on their own.
const RECORD_AHEAD: u64 = 4 * 1024;
const RECORDS_APART: u64 = 32 * 1024;

/// A segment that counts, open for reading.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) preamble: Preamble,
    pub(crate) salt: Salt,
    /// The position of its first event, if it has one.
    pub(crate) first_position: Position,
    file: Arc<dyn File>,
    bytes: Bytes,
    /// What lies before it is visible, and was verified or written by this process.
    end: VisibleEnd,
    /// Rising in both; the first stands at the first batch.
    marks: RwLock<Vec<Mark>>,
    /// Rising ranges of offsets that do not count because of damage, whatever verifies in them.
    passed_over: RwLock<Vec<(u32, u32)>>,
    /// Of one that compaction wrote.
    footer: Option<Footer>,
    /// Where bytes were met first that do not verify, plus one; 0 where all have.
    damage: UncheckedU64,
}

enum Bytes {
    Mapped(SharedBytes),
    Positioned,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Bytes::Mapped(_) => "mapped",
            Bytes::Positioned => "positioned",
        })
    }
}

/// The offset up to which readers may look. Stored after the bytes before it were written, and loaded before they
/// are read: the pair orders the two, so a reader never looks at bytes that are still being written.
#[derive(Debug)]
struct VisibleEnd(AtomicU32);

impl VisibleEnd {
    fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, end: u32) {
        self.0.store(end, Ordering::Release);
    }
}

/// Bytes of a segment in memory; `base` is the offset of the first.
#[derive(Clone)]
pub(crate) struct Chunk {
    pub(crate) bytes: SharedBytes,
    pub(crate) base: u32,
}

impl Chunk {
    /// What there is from an offset on.
    pub(crate) fn from(&self, offset: u32) -> &[u8] {
        let bytes: &[u8] = (*self.bytes).as_ref();
        bytes.get(offset.saturating_sub(self.base) as usize..).unwrap_or_default()
    }

    /// The bytes between two offsets, if they are here.
    pub(crate) fn get(&self, from: u32, to: u32) -> Option<&[u8]> {
        let bytes: &[u8] = (*self.bytes).as_ref();
        bytes.get(from.checked_sub(self.base)? as usize..to.checked_sub(self.base)? as usize)
    }
}

impl Segment {
    pub(crate) fn new(
        preamble: Preamble,
        first_position: Position,
        file: Arc<dyn File>,
        mode: ReadMode,
        end: u32,
    ) -> io::Result<Segment> {
        let map = match mode {
            ReadMode::Mapped => file.map()?,
            ReadMode::Positioned => None,
        };
        Ok(Segment::with_map(preamble, first_position, file, map, end))
    }

    /// The same where the map was made before, or there is none.
    pub(crate) fn with_map(
        preamble: Preamble,
        first_position: Position,
        file: Arc<dyn File>,
        map: Option<SharedBytes>,
        end: u32,
    ) -> Segment {
        Segment {
            preamble,
            salt: preamble.salt(),
            first_position,
            file,
            bytes: map.map_or(Bytes::Positioned, Bytes::Mapped),
            end: VisibleEnd(AtomicU32::new(end)),
            marks: RwLock::new(Vec::new()),
            passed_over: RwLock::new(Vec::new()),
            footer: None,
            damage: UncheckedU64::new(0),
        }
    }

    /// The same with the footer that compaction wrote: it says how the segment ends.
    pub(crate) fn with_footer(self, footer: Option<Footer>) -> Segment {
        Segment { footer, ..self }
    }

    pub(crate) fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// Whether what a segment with this sequence number held is held here.
    pub(crate) fn stands_for(&self, sequence: u32) -> bool {
        (self.preamble.stands_from()..=self.sequence()).contains(&sequence)
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.preamble.sequence
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    pub(crate) fn end(&self) -> u32 {
        self.end.get()
    }

    /// Makes what lies before `end` visible.
    pub(crate) fn set_end(&self, end: u32) {
        self.end.set(end);
    }

    /// What the segment goes on from: its start record, verified.
    pub(crate) fn start(&self) -> Result<Start, Error> {
        let end = FIRST_BATCH + START_BATCH_LEN as u32;
        let chunk = self.chunk(0, end, 0)?;
        let bytes = chunk.get(0, end).ok_or_else(|| self.damaged(FIRST_BATCH))?;
        decode_start(bytes, &self.preamble).map(|begun| begun.start).map_err(|fault| self.fault(FIRST_BATCH, fault))
    }

    /// All marks.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.marks.read().clone()
    }

    /// Takes marks that were made before.
    pub(crate) fn set_marks(&self, marks: Vec<Mark>) {
        *self.marks.write() = marks;
    }

    /// Notes where a batch begins.
    pub(crate) fn mark(&self, mark: Mark) {
        let mut marks = self.marks.write();
        if marks.last().is_none_or(|last| MARK_EVERY <= mark.offset - last.offset) {
            marks.push(mark);
        }
    }

    /// The same, however near the mark before stands: reading must be able to begin behind damage.
    pub(crate) fn mark_here(&self, mark: Mark) {
        self.marks.write().push(mark);
    }

    /// Notes that nothing between two offsets counts, because of damage.
    pub(crate) fn pass_over(&self, from: u32, to: u32) {
        self.passed_over.write().push((from, to));
    }

    /// The end of what does not count, where `offset` lies in it, even if it verifies.
    pub(crate) fn passed_over(&self, offset: u32) -> Option<u32> {
        let passed_over = self.passed_over.read();
        let behind = passed_over.partition_point(|(from, _)| *from <= offset);
        behind.checked_sub(1).map(|last| passed_over[last].1).filter(|end| offset < *end)
    }

    /// The last mark from which reading meets `position`, if the segment reaches that far back.
    pub(crate) fn mark_before(&self, position: Position) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.position <= position);
        marks.get(behind.checked_sub(1)?).copied()
    }

    /// The first mark at which a position above this one is the next: every event up to it stands before that.
    pub(crate) fn mark_above(&self, position: Position) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.position <= position);
        marks.get(behind).copied()
    }

    /// The last mark before which every event is earlier than this.
    pub(crate) fn mark_earlier(&self, time: Timestamp) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.time < time);
        marks.get(behind.checked_sub(1)?).copied()
    }

    /// The first mark behind which no event is earlier than this.
    pub(crate) fn mark_not_earlier(&self, time: Timestamp) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.time < time);
        marks.get(behind).copied()
    }

    /// The first mark that stands behind `offset`.
    pub(crate) fn mark_behind(&self, offset: u32) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.offset <= offset);
        marks.get(behind).copied()
    }

    /// The last mark that stands before `offset`.
    pub(crate) fn mark_before_offset(&self, offset: u32) -> Option<Mark> {
        let marks = self.marks.read();
        let behind = marks.partition_point(|mark| mark.offset < offset);
        marks.get(behind.checked_sub(1)?).copied()
    }

    /// The bytes from `from` to `to`, and perhaps more before and behind: up to `ahead` more where they must be read.
    pub(crate) fn chunk(&self, from: u32, to: u32, ahead: u32) -> Result<Chunk, Error> {
        match &self.bytes {
            Bytes::Mapped(bytes) => Ok(Chunk { bytes: bytes.clone(), base: 0 }),
            Bytes::Positioned => {
                let to = to.max(from.saturating_add(ahead).min(self.end()));
                let mut buffer = vec![0; (to - from) as usize];
                let read = self.file.read_at(&mut buffer, u64::from(from)).map_err(|error| {
                    Error::io(format!("reading {}", Place { segment: self.sequence(), offset: from }), error)
                })?;
                buffer.truncate(read);
                Ok(Chunk { bytes: Arc::new(buffer), base: from })
            }
        }
    }

    /// The event whose record begins at `offset`, verified.
    pub(crate) fn event(&self, offset: u32) -> Result<RecordedEvent, Error> {
        self.event_near(offset, &mut None, 1024)
    }

    /// The same, out of bytes of this segment that were read before, where it lies in them. Leaves those it was found in,
    /// with up to `ahead` bytes more where they must be read.
    pub(crate) fn event_near(&self, offset: u32, near: &mut Option<Chunk>, ahead: u32) -> Result<RecordedEvent, Error> {
        let header_end = offset.checked_add(RECORD_HEADER_LEN as u32).ok_or_else(|| self.damaged(offset))?;
        let chunk = match near.take().filter(|chunk| chunk.get(offset, header_end).is_some()) {
            Some(chunk) => chunk,
            None => self.chunk(offset, header_end, ahead)?,
        };
        let bytes = chunk.get(offset, header_end).ok_or_else(|| self.damaged(offset))?;
        let header = RecordHeader::verify(bytes, self.salt, offset).map_err(|fault| self.fault(offset, fault))?;
        let end = offset.checked_add(header.record_len() as u32).ok_or_else(|| self.damaged(offset))?;
        let chunk = if chunk.get(offset, end).is_some() { chunk } else { self.chunk(offset, end, ahead)? };
        self.event_in(near.insert(chunk), offset, header)
    }

    /// Says that the records at these offsets, rising, are going to be read soon: where they are not in memory the disk is
    /// asked for all of them at once.
    pub(crate) fn expect_reads(&self, offsets: &[u32]) {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for offset in offsets {
            let offset = u64::from(*offset);
            match ranges.last_mut() {
                Some((begin, len)) if offset - *begin < *len + RECORDS_APART => *len = offset + RECORD_AHEAD - *begin,
                _ => ranges.push((offset, RECORD_AHEAD)),
            }
        }
        if let [(_, len)] = &mut ranges[..] {
            // They stand near each other, and those that follow are likely to.
            *len *= 2;
        }
        self.file.expect_reads(&ranges);
    }

    /// The position of the event whose record begins at `offset`, if its header verifies.
    pub(crate) fn position_at(&self, offset: u32) -> Option<Position> {
        let end = offset.checked_add(RECORD_HEADER_LEN as u32)?;
        let chunk = self.chunk(offset, end, 0).ok()?;
        let header = RecordHeader::verify(chunk.get(offset, end)?, self.salt, offset).ok()?;
        Some(header.position)
    }

    /// What the record of a `once` key says that begins at `offset`, verified.
    pub(crate) fn key_fact(&self, offset: u32) -> Result<KeyFact, Error> {
        self.decode(offset, |record| match record.header.kind {
            Kind::Key => KeyFact::decode(record),
            _ => Err(Fault::Senseless),
        })
    }

    /// What another record says that begins at `offset` and is no event, verified.
    pub(crate) fn fact(&self, offset: u32) -> Result<Fact, Error> {
        self.decode(offset, |record| Fact::decode(record)?.ok_or(Fault::Senseless))
    }

    fn decode<T>(&self, offset: u32, decode: impl FnOnce(&RecordView<'_>) -> Result<T, Fault>) -> Result<T, Error> {
        let header_end = offset.checked_add(RECORD_HEADER_LEN as u32).ok_or_else(|| self.damaged(offset))?;
        let chunk = self.chunk(offset, header_end, 1_024)?;
        let bytes = chunk.get(offset, header_end).ok_or_else(|| self.damaged(offset))?;
        let header = RecordHeader::verify(bytes, self.salt, offset).map_err(|fault| self.fault(offset, fault))?;
        let end = offset.checked_add(header.record_len() as u32).ok_or_else(|| self.damaged(offset))?;
        let chunk = self.chunk(offset, end, 0)?;
        let bytes = chunk.get(offset, end).ok_or_else(|| self.damaged(offset))?;
        let record = RecordView::verify_body(header, bytes).map_err(|fault| self.fault(offset, fault))?;
        decode(&record).map_err(|fault| self.fault(offset, fault))
    }

    /// The event whose record lies in a chunk and whose header was verified; the rest is verified here.
    pub(crate) fn event_in(&self, chunk: &Chunk, offset: u32, header: RecordHeader) -> Result<RecordedEvent, Error> {
        let end = offset.checked_add(header.record_len() as u32).ok_or_else(|| self.damaged(offset))?;
        let bytes = chunk.get(offset, end).ok_or_else(|| self.damaged(offset))?;
        let record = RecordView::verify_body(header, bytes).map_err(|fault| self.fault(offset, fault))?;
        if header.kind != Kind::Event {
            return Err(self.damaged(offset));
        }
        let place = Place { segment: self.sequence(), offset };
        let start = (offset - chunk.base) as usize;
        decode_event(&chunk.bytes, start, record, place).map_err(|fault| self.fault(offset, fault))
    }

    pub(crate) fn damaged(&self, offset: u32) -> Error {
        let place = Place { segment: self.sequence(), offset };
        self.note_damage(place);
        Error::new(ErrorKind::Damaged, format!("reading the record at {place}: its bytes do not verify"))
    }

    /// Where bytes were met first that do not verify, if any were.
    pub(crate) fn damage(&self) -> Option<Place> {
        let offset = self.damage.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Place { segment: self.sequence(), offset: u32::try_from(offset).unwrap_or(u32::MAX) })
    }

    fn note_damage(&self, place: Place) {
        if Mutant::ForgetsDamageThatWasMet.is_on() {
            return;
        }
        let met = u64::from(place.offset) + 1;
        let noted = self.damage.compare_exchange(0, met, Ordering::Relaxed, Ordering::Relaxed);
        if noted.is_ok() {
            let store = uuid::Uuid::from_bytes(self.preamble.store);
            spans::damaged(&store, place);
        }
    }

    pub(crate) fn fault(&self, offset: u32, fault: Fault) -> Error {
        match fault {
            Fault::Newer => {
                let place = Place { segment: self.sequence(), offset };
                let act = format!("reading the record at {place}: it is of a kind this version does not know");
                Error::new(ErrorKind::TooNew, act)
            }
            Fault::Unreadable | Fault::Senseless => self.damaged(offset),
        }
    }
}
