//! A second reader of the format, written from `FORMAT.md` alone: it takes the files of an undamaged log apart and says
//! which byte belongs to what. It knows nothing of how the store reads.
//!
//! It is there for whole logs only and breaks off where a file is not as the page says: that is a fault of the writer, of
//! the page, or of this.

use scorebook::Place;
use std::collections::BTreeMap;
use std::ops::Range;

/// The files of a store by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const SECTOR: usize = 512;
const BATCH_HEADER: usize = 48;
const RECORD_HEADER: usize = 64;

/// What the files of a store hold.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) store: [u8; 16],
    /// Every file of the log, the lowest number first.
    pub(crate) segments: Vec<Segment>,
    /// Every event that counts, in the order of the positions.
    pub(crate) events: Vec<Event>,
    /// The first and last position of each loss that a salvage recorded.
    pub(crate) losses: Vec<(u64, u64)>,
    /// What `live` says.
    pub(crate) live: Option<Live>,
}

/// A file of the log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) path: String,
    pub(crate) size: usize,
    /// What counts in it, the start record first; nothing where it is unstarted.
    pub(crate) batches: Vec<Batch>,
    /// Batch headers that verify behind its end, and what they name as durable. They do not count, and are witnesses.
    pub(crate) remains: Vec<(usize, Place)>,
    /// The end that a valid footer gives.
    pub(crate) footer: Option<usize>,
}

/// A batch that counts.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) range: Range<usize>,
    pub(crate) records: Vec<Range<usize>>,
    /// Up to here everything was durable when it was admitted.
    pub(crate) durable: Place,
    checksum: u32,
    /// Which of the events are its own.
    pub(crate) events: Range<usize>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) time: i64,
    pub(crate) epoch: u32,
    pub(crate) id: [u8; 16],
    pub(crate) occurred: Option<i64>,
    pub(crate) stream: String,
    pub(crate) event_type: String,
    pub(crate) schema: u32,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) metadata: String,
    pub(crate) data: Vec<u8>,
    /// Where it stands: the index of its segment and of its batch there, and its record.
    pub(crate) segment: usize,
    pub(crate) batch: usize,
    pub(crate) record: Range<usize>,
}

/// A slot of `live` that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) store: [u8; 16],
    pub(crate) counter: u64,
    pub(crate) state: u32,
    pub(crate) durable: Place,
}

/// A preamble that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) store: [u8; 16],
    id: [u8; 16],
    pub(crate) sequence: u32,
    pub(crate) size: usize,
}

/// CRC-32 as in zlib, continued from the finished one `seed`.
fn crc(seed: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!seed, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ (crc >> 8))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn id_at(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes[at..at + 16].try_into().expect("sixteen bytes")
}

fn place_at(bytes: &[u8], at: usize) -> Place {
    Place { segment: u32_at(bytes, at), offset: u32_at(bytes, at + 4) }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The name of the segment with this sequence number.
pub(crate) fn segment_path(sequence: u32) -> String {
    format!("log/{sequence:010}.log")
}

/// The sequence number a path names, if it is that of a segment.
pub(crate) fn sequence_of(path: &str) -> Option<u32> {
    let sequence = path.strip_prefix("log/")?.strip_suffix(".log")?.parse().ok()?;
    (segment_path(sequence) == path).then_some(sequence)
}

impl Preamble {
    /// The preamble of a file of the log, if magic and checksum hold and every field has a legal value.
    pub(crate) fn of(file: &[u8]) -> Option<Preamble> {
        let bytes = file.get(..SECTOR)?;
        let size = u32_at(bytes, 52) as usize;
        let is_valid = &bytes[..8] == b"SCOREBK\n"
            && u32_at(bytes, 8) == crc(0, &bytes[12..])
            && (u16_at(bytes, 12), bytes[14], bytes[15]) == (1, 1, 0)
            && is_zero(&bytes[56..])
            && size.is_multiple_of(SECTOR)
            && 32 * 1024 <= size;
        let preamble = Preamble { store: id_at(bytes, 16), id: id_at(bytes, 32), sequence: u32_at(bytes, 48), size };
        is_valid.then_some(preamble)
    }

    fn salt(&self) -> u32 {
        crc(crc(crc(0, &self.store), &self.id), &self.sequence.to_le_bytes())
    }
}

impl Live {
    /// What the file says: the valid slot with the higher counter.
    pub(crate) fn of(file: &[u8]) -> Option<Live> {
        // What is missing at the end counts as zeros.
        let file: Vec<u8> = file.iter().copied().chain(std::iter::repeat(0)).take(2 * SECTOR).collect();
        let slots = file.chunks_exact(SECTOR).filter_map(Live::of_slot);
        slots.max_by_key(|live| live.counter)
    }

    fn of_slot(bytes: &[u8]) -> Option<Live> {
        let state = u32_at(bytes, 12);
        let is_valid = &bytes[..8] == b"SBLIVE1\n"
            && u32_at(bytes, 8) == crc(0, &bytes[12..])
            && (1..=4).contains(&state)
            && is_zero(&bytes[92..]);
        let live = Live { store: id_at(bytes, 16), counter: u64_at(bytes, 48), state, durable: place_at(bytes, 56) };
        is_valid.then_some(live)
    }
}

/// A file of the log as it is read.
struct Reading<'a> {
    bytes: &'a [u8],
    preamble: Preamble,
}

/// A record that was verified.
struct Record<'a> {
    range: Range<usize>,
    bytes: &'a [u8],
}

const EVENT: u8 = 1;
const START: u8 = 2;
const CLOSE: u8 = 5;
const KEY: u8 = 6;
const FIRST_FACT: u8 = 7;
const LAST_FACT: u8 = 14;
const LOST: u8 = 15;
const REMOVED: u8 = 17;
const RETENTION: u8 = 18;

impl<'a> Record<'a> {
    fn kind(&self) -> u8 {
        self.bytes[44]
    }

    fn body(&self) -> &'a [u8] {
        &self.bytes[RECORD_HEADER..]
    }
}

impl<'a> Reading<'a> {
    fn seeded(&self, offset: usize, bytes: &[u8]) -> u32 {
        crc(self.preamble.salt() ^ offset as u32, bytes)
    }

    /// What the batch header at an offset names as durable, if it is valid there.
    fn header(&self, at: usize) -> Option<Place> {
        let header = self.bytes.get(at..at + BATCH_HEADER)?;
        let is_valid = &header[..4] == b"BTCH" && u32_at(header, 4) == self.seeded(at, &header[8..]);
        (is_valid && u16_at(header, 14) == 0).then(|| place_at(header, 24))
    }

    /// The batch at an offset with its records, if it is valid there.
    fn batch(&self, at: usize) -> Option<(Batch, Vec<Record<'a>>)> {
        let bytes = self.bytes.get(at..self.preamble.size - SECTOR)?;
        let durable = self.header(at)?;
        let header = bytes.get(..BATCH_HEADER)?;
        let bytes = bytes.get(..u32_at(header, 8) as usize)?;
        let mut records = Vec::new();
        let mut offset = BATCH_HEADER;
        for _ in 0..u16_at(header, 12) {
            let record = self.record(bytes, at, offset)?;
            offset += record.bytes.len();
            records.push(record);
        }
        let is_valid = bytes.len().is_multiple_of(8) && bytes.len() - offset < 8 && is_zero(&bytes[offset..]);
        let batch = Batch {
            range: at..at + bytes.len(),
            records: records.iter().map(|record| record.range.clone()).collect(),
            durable,
            checksum: u32_at(header, 4),
            events: 0..0,
        };
        (is_valid && !records.is_empty()).then_some((batch, records))
    }

    fn record(&self, batch: &'a [u8], at: usize, offset: usize) -> Option<Record<'a>> {
        let header = batch.get(offset..offset + RECORD_HEADER)?;
        if u32_at(header, 0) != self.seeded(at + offset, &header[4..]) {
            return None;
        }
        let bytes = batch.get(offset..offset + RECORD_HEADER + u32_at(header, 48) as usize)?;
        let is_valid = u32_at(header, 4) == crc(0, &bytes[44..]) && header[63] == 0;
        is_valid.then_some(Record { range: at + offset..at + offset + bytes.len(), bytes })
    }

    /// Where the segment before ends, and the checksum of its last batch, if this one was started.
    fn start(&self) -> Option<(Place, u32)> {
        let (_, records) = self.batch(SECTOR)?;
        let [record] = &records[..] else { return None };
        let body = record.body();
        let place = Place { segment: u32_at(body, 8), offset: u32_at(body, 12) };
        (record.kind() == START).then_some((place, u32_at(body, 16)))
    }

    fn footer(&self) -> Option<usize> {
        let bytes = &self.bytes[self.preamble.size - SECTOR..];
        let is_valid = &bytes[..8] == b"SEALED\n\0" && u32_at(bytes, 8) == self.seeded(0, &bytes[12..]);
        is_valid.then_some(u32_at(bytes, 12) as usize)
    }
}

/// Takes an undamaged log apart.
///
/// # Panics
///
/// If it is not as the page says.
pub(crate) fn read(files: &Files) -> Layout {
    let mut readings: BTreeMap<u32, Reading<'_>> = BTreeMap::new();
    for (path, bytes) in files {
        let Some(sequence) = sequence_of(path) else {
            continue;
        };
        let preamble = Preamble::of(bytes).unwrap_or_else(|| panic!("{path} has no valid preamble"));
        assert_eq!((preamble.sequence, preamble.size), (sequence, bytes.len()), "{path}");
        readings.insert(sequence, Reading { bytes, preamble });
    }
    let store = readings.values().next().expect("a file of the log").preamble.store;
    // The chain of start records, from the highest down: each names the end of the one before it.
    let mut ends: BTreeMap<u32, Option<(usize, u32)>> = BTreeMap::new();
    let mut next = readings.iter().rev().find(|(_, file)| file.start().is_some()).map(|(number, _)| (*number, None));
    while let Some((sequence, end)) = next {
        ends.insert(sequence, end);
        let (place, checksum) = readings[&sequence].start().expect("the chain names what was started");
        next = (place.segment != 0).then_some((place.segment, Some((place.offset as usize, checksum))));
    }
    let live = files.get("live").and_then(|file| Live::of(file));
    let mut layout = Layout { store, segments: Vec::new(), events: Vec::new(), losses: Vec::new(), live };
    let mut walk = Walk { next_position: 1, time: i64::MIN, epoch: 0 };
    for (sequence, file) in &readings {
        assert_eq!(file.preamble.store, store, "all files are of one store");
        let mut segment = Segment {
            sequence: *sequence,
            path: segment_path(*sequence),
            size: file.preamble.size,
            batches: Vec::new(),
            remains: Vec::new(),
            footer: file.footer(),
        };
        if let Some(end) = ends.get(sequence) {
            walk.segment(file, &mut segment, *end, &mut layout);
        }
        layout.segments.push(segment);
    }
    layout
}

/// How the log stands behind what was read.
struct Walk {
    next_position: u64,
    time: i64,
    epoch: u32,
}

impl Walk {
    fn segment(&mut self, file: &Reading<'_>, segment: &mut Segment, fixed: Option<(usize, u32)>, layout: &mut Layout) {
        let mut at = SECTOR;
        while fixed.is_none_or(|(end, _)| at < end) {
            let Some((mut batch, records)) = file.batch(at) else {
                break;
            };
            let header = &file.bytes[at..];
            assert_eq!(u64_at(header, 32), self.next_position, "{}: positions go on at byte {at}", segment.path);
            let begin = layout.events.len();
            for record in &records {
                let place = (layout.segments.len(), segment.batches.len());
                self.record(record, place, layout);
            }
            let time = i64::from_le_bytes(header[40..48].try_into().expect("eight bytes"));
            assert!(self.time <= time, "{}: times go on at byte {at}", segment.path);
            self.time = time;
            batch.events = begin..layout.events.len();
            at = batch.range.end;
            segment.batches.push(batch);
        }
        let last = segment.batches.last().expect("the start record");
        if let Some(fixed) = fixed {
            assert_eq!((last.range.end, last.checksum), fixed, "{} ends where its successor says", segment.path);
        }
        let end = Place { segment: segment.sequence, offset: last.range.end as u32 };
        segment.remains =
            (at..segment.size - SECTOR).step_by(8).filter_map(|at| Some((at, file.header(at)?))).collect();
        assert!(
            segment.remains.iter().all(|(_, durable)| *durable <= end),
            "{}: what does not count proves nothing",
            segment.path
        );
        assert!(segment.footer.is_none_or(|end| end == last.range.end), "the footer of {}", segment.path);
    }

    fn record(&mut self, record: &Record<'_>, place: (usize, usize), layout: &mut Layout) {
        let range = |body: &[u8]| (u64_at(body, 0), u64_at(body, 8));
        let epoch = u32_at(record.bytes, 40);
        match record.kind() {
            EVENT => {
                let event = event_of(record, place);
                assert_eq!(event.position, self.next_position, "positions follow one another");
                self.next_position += 1;
                layout.events.push(event);
            }
            REMOVED => self.next_position = range(record.body()).1 + 1,
            LOST if u32_at(record.body(), 16) == 1 => {
                let (first, last) = range(record.body());
                assert_eq!(first, self.next_position, "a loss takes the positions that follow");
                layout.losses.push((first, last));
                self.next_position = last + 1;
            }
            LOST => {}
            KEY => {
                let behind_key = &record.body()[u32_at(record.bytes, 52) as usize..];
                let last = u64_at(behind_key, 24);
                assert_eq!(last + 1, self.next_position, "a key speaks of the events of its batch");
            }
            FIRST_FACT..=LAST_FACT | RETENTION => {}
            kind => {
                assert!((START..=CLOSE).contains(&kind), "kind {kind} is not written yet");
                assert!(self.epoch <= epoch, "no marker lowers the epoch");
                self.epoch = epoch;
            }
        }
        assert!(epoch <= self.epoch, "no record is of a later epoch than the last that began");
    }
}

fn event_of(record: &Record<'_>, (segment, batch): (usize, usize)) -> Event {
    let header = &record.bytes[..RECORD_HEADER];
    let mut body = record.body();
    let mut take = |len: usize| {
        let (taken, rest) = body.split_at(len);
        body = rest;
        taken
    };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).expect("names are UTF-8").to_owned();
    let position = u64_at(header, 8);
    let id = if header[45] & 1 == 0 { made_id(u64_at(header, 32), position) } else { id_at(take(16), 0) };
    let occurred = (header[45] & 2 != 0).then(|| i64::from_le_bytes(take(8).try_into().expect("eight bytes")));
    let stream = text(take(header[46].into()));
    let event_type = text(take(header[47].into()));
    let mut rest = take(u16_at(header, 60).into());
    let mut tags = Vec::new();
    while let [key, value, behind @ ..] = rest {
        let (key, behind) = behind.split_at((*key).into());
        let (value, behind) = behind.split_at((*value).into());
        tags.push((text(key), text(value)));
        rest = behind;
    }
    let metadata = text(take(u32_at(header, 52) as usize));
    Event {
        position,
        version: u64_at(header, 16),
        time: i64::from_le_bytes(header[24..32].try_into().expect("eight bytes")),
        epoch: u32_at(header, 40),
        id,
        occurred,
        stream,
        event_type,
        schema: u32_at(header, 56),
        tags,
        metadata,
        data: body.to_vec(),
        segment,
        batch,
        record: record.range.clone(),
    }
}

/// The id of an event without one of its own.
fn made_id(epoch_bits: u64, position: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&epoch_bits.to_be_bytes());
    id[8..].copy_from_slice(&position.to_be_bytes());
    id[6] = id[6] & 0x0F | 0x80;
    id[8] = id[8] & 0x3F | 0x80;
    id
}
