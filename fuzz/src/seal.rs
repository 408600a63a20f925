//! The pass that makes checksums and lengths right, so that a fuzzer gets behind them; and numbers, if it is asked to, so
//! that what it changed still goes on from what stands before.
//!
//! It walks over what begins like a batch. A checksum full of ones says that it is to stay wrong, and one less in a batch
//! header that the length is to stay what it is.

use crate::layout::{
    ALIGNMENT, POSITION_MAX, SECTOR, Salt, batch, batches, footer, i64_at, kind, live, plain, preamble, put, record,
    sequence_of_any, u16_at, u32_at, u64_at,
};
use std::collections::{BTreeMap, HashMap};
use xxhash_rust::xxh3::xxh3_128;

/// How much is made right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mend {
    Nothing,
    /// Checksums and lengths.
    Checksums,
    /// And positions, versions, times and epochs.
    Numbers,
    /// And what start records say of the segment before.
    Chain,
}

impl Mend {
    pub(crate) fn of(byte: u8) -> Mend {
        [Mend::Nothing, Mend::Checksums, Mend::Numbers, Mend::Chain][usize::from(byte % 4)]
    }
}

/// Leave this checksum wrong.
const LEFT_WRONG: u32 = u32::MAX;
/// Leave the length of this batch as it is.
const LENGTH_LEFT: u32 = u32::MAX - 1;

/// Makes the files of a directory right.
pub(crate) fn seal(files: &mut BTreeMap<String, Vec<u8>>, mend: Mend) {
    if mend == Mend::Nothing {
        return;
    }
    let mut log = Log::default();
    // In the order of their names, which is that of their numbers.
    for (path, bytes) in files.iter_mut() {
        if let Some(sequence) = sequence_of_any(path) {
            log.seal_segment(sequence, bytes, mend);
        } else if path == "live" {
            for slot in bytes.chunks_exact_mut(SECTOR).filter(|slot| slot.starts_with(live::MAGIC)) {
                put_checksum(slot, live::CHECKSUM, plain(&slot[live::CHECKSUM + 4..]));
            }
        }
    }
}

/// Makes the batches in `bytes` right, which stand at offset 0 of the segment with this salt.
pub(crate) fn seal_batches(bytes: &mut [u8], salt: Salt, mend: Mend) {
    let mut log = Log::default();
    let len = bytes.len();
    if mend != Mend::Nothing {
        log.walk(1, bytes, 0..len, salt, mend);
    }
}

/// Writes a checksum, unless it is to stay wrong.
fn put_checksum(bytes: &mut [u8], at: usize, sum: u32) {
    if u32_at(bytes, at) != LEFT_WRONG {
        put(bytes, at, &sum.to_le_bytes());
    }
}

/// The log as far as it was walked over.
#[derive(Default)]
struct Log {
    numbers: Numbers,
    /// For each segment the ends of its batches, with their checksums and how the log stands there.
    ends: BTreeMap<u32, Vec<(usize, u32, Numbers)>>,
}

/// How the log stands at some place.
#[derive(Clone, Default)]
struct Numbers {
    last_position: u64,
    time: i64,
    epoch: u32,
    facts_epoch: u32,
    versions: HashMap<Vec<u8>, u64>,
}

impl Log {
    fn seal_segment(&mut self, sequence: u32, bytes: &mut [u8], mend: Mend) {
        if bytes.len() < 2 * SECTOR || !bytes.starts_with(preamble::MAGIC) {
            return;
        }
        put_checksum(bytes, preamble::CHECKSUM, plain(&bytes[preamble::CHECKSUM + 4..SECTOR]));
        let salt = Salt::of(bytes);
        let area = batches(bytes.len());
        let behind = area.end;
        let (end, batches) = self.walk(sequence, bytes, area, salt, mend);
        let digest = xxh3_128(&bytes[SECTOR..end]);
        let events = count_events(&bytes[SECTOR..end]);
        let sector = &mut bytes[behind..behind + SECTOR];
        if sector.starts_with(footer::MAGIC) {
            if Mend::Numbers <= mend {
                put(sector, footer::END, &(end as u32).to_le_bytes());
                put(sector, footer::LAST_POSITION, &self.numbers.last_position.to_le_bytes());
                put(sector, footer::EVENTS, &events.to_le_bytes());
                put(sector, footer::BATCHES, &batches.to_le_bytes());
                put(sector, footer::DIGEST, &digest.to_le_bytes());
            }
            put_checksum(sector, footer::CHECKSUM, salt.seeded(0, &sector[footer::CHECKSUM + 4..]));
        }
    }

    /// Makes right what begins like a batch. Where the first run of batches ends, and how many it has.
    fn walk(
        &mut self,
        sequence: u32,
        bytes: &mut [u8],
        area: std::ops::Range<usize>,
        salt: Salt,
        mend: Mend,
    ) -> (usize, u64) {
        let content = bytes[area.clone()].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // The last batch may end with zeros; one that is far longer than what is there becomes shorter.
        let content_end = (area.start + content + 64).next_multiple_of(ALIGNMENT).min(area.end & !(ALIGNMENT - 1));
        let mut at = area.start;
        let mut run = (at, 0);
        while at + batch::HEADER <= content_end {
            if !bytes[at..].starts_with(batch::MAGIC) {
                at += ALIGNMENT;
                continue;
            }
            let here = at;
            at += self.seal_batch(sequence, &mut bytes[at..content_end], at, salt, mend);
            if run.0 == here {
                run = (at, run.1 + 1);
            }
        }
        run
    }

    /// Makes the batch right that begins here, and gives its length.
    fn seal_batch(&mut self, sequence: u32, bytes: &mut [u8], offset: usize, salt: Salt, mend: Mend) -> usize {
        let wish = u32_at(bytes, batch::CHECKSUM);
        let mut records = Vec::new();
        let mut at = batch::HEADER;
        for _ in 0..u16_at(bytes, batch::RECORDS) {
            let Some(left) = bytes.len().checked_sub(at + record::HEADER) else { break };
            let body = (u32_at(bytes, at + record::BODY_LENGTH) as usize).min(left);
            put(bytes, at + record::BODY_LENGTH, &(body as u32).to_le_bytes());
            records.push(at..at + record::HEADER + body);
            at += record::HEADER + body;
        }
        let length = at.next_multiple_of(ALIGNMENT).min(bytes.len());
        bytes[at..length].fill(0);
        put(bytes, batch::RECORDS, &(records.len() as u16).to_le_bytes());
        if Mend::Numbers <= mend {
            self.number(sequence, &mut bytes[..length], &records, offset, mend);
        }
        for range in records {
            let here = offset + range.start;
            let record = &mut bytes[range];
            put_checksum(record, record::BODY_CHECKSUM, plain(&record[record::KIND..]));
            let sum = salt.seeded(here, &record[record::BODY_CHECKSUM..record::HEADER]);
            put_checksum(record, record::HEADER_CHECKSUM, sum);
        }
        if wish != LENGTH_LEFT {
            put(bytes, batch::LENGTH, &(length as u32).to_le_bytes());
        }
        let sum = salt.seeded(offset, &bytes[batch::CHECKSUM + 4..batch::HEADER]);
        put_checksum(bytes, batch::CHECKSUM, sum);
        let numbers = self.numbers.clone();
        self.ends.entry(sequence).or_default().push((offset + length, sum, numbers));
        length
    }

    /// Lets a batch go on from what stands before it.
    fn number(
        &mut self,
        sequence: u32,
        bytes: &mut [u8],
        records: &[std::ops::Range<usize>],
        offset: usize,
        mend: Mend,
    ) {
        let kind = records.first().map_or(0, |first| bytes[first.start + record::KIND]);
        if kind == kind::START && mend == Mend::Chain {
            self.chain(sequence, &mut bytes[records[0].clone()]);
        }
        let numbers = &mut self.numbers;
        let given = u32_at(bytes, batch::EPOCH);
        let epoch = match kind {
            kind::START => given.max(numbers.epoch).max(1),
            kind::SESSION => given.max(numbers.epoch.saturating_add(1)),
            kind::WATERMARK | kind::CLOSE => numbers.epoch,
            _ => given.clamp(numbers.facts_epoch, numbers.epoch.max(numbers.facts_epoch)),
        };
        match kind {
            kind::START | kind::SESSION => numbers.epoch = epoch,
            kind::WATERMARK | kind::CLOSE => {}
            _ => numbers.facts_epoch = epoch,
        }
        put(bytes, batch::EPOCH, &epoch.to_le_bytes());
        put(bytes, batch::FIRST_POSITION, &(numbers.last_position + 1).to_le_bytes());
        if kind == kind::START && record::HEADER + 8 <= records[0].len() {
            put(bytes, records[0].start + record::HEADER, &(numbers.last_position + 1).to_le_bytes());
        }
        let previous = self.ends.get(&sequence).and_then(|ends| ends.last()).map_or(0, |(_, sum, _)| *sum);
        put(bytes, batch::PREVIOUS, &previous.to_le_bytes());
        if u32_at(bytes, batch::DURABLE_SEGMENT) == sequence && offset < u32_at(bytes, batch::DURABLE_OFFSET) as usize {
            put(bytes, batch::DURABLE_OFFSET, &(offset as u32).to_le_bytes());
        }
        for range in records {
            let record = &mut bytes[range.clone()];
            put(record, record::EPOCH, &epoch.to_le_bytes());
            self.numbers.number_record(record);
        }
        let time = i64_at(bytes, batch::TIME).max(self.numbers.time);
        self.numbers.time = time;
        put(bytes, batch::TIME, &time.to_le_bytes());
    }

    /// Lets a start record name an end of the segment before: the one it names, if a batch ends there, else the last.
    fn chain(&mut self, sequence: u32, start: &mut [u8]) {
        if start.len() != record::HEADER + 24 {
            return;
        }
        let named = u32_at(start, record::HEADER + 12) as usize;
        let before = self.ends.range(..sequence).next_back();
        let Some((segment, ends)) = before else {
            put(start, record::HEADER + 8, &[0; 12]);
            return;
        };
        let end = ends.iter().find(|(end, _, _)| *end == named).or(ends.last());
        let Some((end, sum, numbers)) = end else { return };
        put(start, record::HEADER + 8, &segment.to_le_bytes());
        put(start, record::HEADER + 12, &(*end as u32).to_le_bytes());
        put(start, record::HEADER + 16, &sum.to_le_bytes());
        self.numbers = numbers.clone();
    }
}

impl Numbers {
    fn number_record(&mut self, record: &mut [u8]) {
        let kind = record[record::KIND];
        let body = &record[record::HEADER..];
        match kind {
            kind::EVENT => {
                self.last_position += 1;
                put(record, record::POSITION, &self.last_position.to_le_bytes());
                let version = self.versions.entry(stream_of(record)).or_default();
                *version += 1;
                put(record, record::VERSION, &version.to_le_bytes());
                self.time = self.time.max(i64_at(record, record::TIME));
                put(record, record::TIME, &self.time.to_le_bytes());
            }
            kind::REMOVED | kind::LOST if 16 <= body.len() && !(kind == kind::LOST && is_acceptance(body)) => {
                let first = self.last_position + 1;
                let last = u64_at(body, 8).clamp(first, (first + 1_000).min(POSITION_MAX).max(first));
                put(record, record::HEADER, &first.to_le_bytes());
                put(record, record::HEADER + 8, &last.to_le_bytes());
                self.last_position = last;
            }
            kind::LOST if 16 <= body.len() => {
                let last = u64_at(body, 8).min(self.last_position);
                put(record, record::HEADER, &last.to_le_bytes());
                put(record, record::HEADER + 8, &last.to_le_bytes());
            }
            _ => {}
        }
    }
}

fn is_acceptance(body: &[u8]) -> bool {
    body.len() == 24 && body[16] == 2
}

/// The name of the stream of an event, as far as there is one.
fn stream_of(record: &[u8]) -> Vec<u8> {
    let flags = record[record::FLAGS];
    let from = record::HEADER + if flags & 1 == 0 { 0 } else { 16 } + if flags & 2 == 0 { 0 } else { 8 };
    let to = from + usize::from(record[record::NAME_LENGTH]);
    record.get(from..to).unwrap_or_default().to_vec()
}

/// How many events there are in a run of batches.
fn count_events(mut run: &[u8]) -> u64 {
    let mut events = 0;
    while batch::HEADER <= run.len() && run.starts_with(batch::MAGIC) {
        let mut at = batch::HEADER;
        for _ in 0..u16_at(run, batch::RECORDS) {
            if run.len() < at + record::HEADER {
                break;
            }
            events += u64::from(run[at + record::KIND] == kind::EVENT);
            at += record::HEADER + u32_at(run, at + record::BODY_LENGTH) as usize;
        }
        run = run.get(at.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    events
}
