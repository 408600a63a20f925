//! A batch that is being put together, and sealed for the place where it will stand.

use super::Fault;
use super::batch::{ALIGNMENT, BATCH_HEADER_LEN, BatchHeader, BatchView};
use super::control::Range;
use super::event::{self, encode_event};
use super::fact::Fact;
use super::field::Salt;
use super::key;
use super::record::{self, Kind, Placement, RecordHeader, RecordView};
use super::stream::{self, StreamFact};
use super::term::{BatchTerms, TermHasher};
use crate::error::Error;
use crate::event::NewEvent;
use crate::limits::RECORD_BYTES_MAX;
use crate::name::StreamName;
use crate::position::{Place, Position, Version};
use crate::receipt::Receipt;
use crate::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// A batch on its way into the log: encoded by the appending thread, stamped when it is admitted.
#[derive(Clone, Debug)]
pub(crate) struct BatchBuffer {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    records: u16,
    /// Where the record of a `once` key begins: it is the last, if there is one.
    key: Option<u32>,
}

/// Where records stand, from the beginning of their batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) events: Vec<u32>,
    /// Those about streams.
    pub(crate) streams: Vec<u32>,
}

/// What a batch is given when it is admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) epoch: u32,
    pub(crate) epoch_bits: u64,
    pub(crate) previous: u32,
    pub(crate) durable: Place,
    pub(crate) first_position: Position,
    pub(crate) time: Timestamp,
}

impl BatchBuffer {
    pub(crate) fn new() -> BatchBuffer {
        BatchBuffer { bytes: vec![0; BATCH_HEADER_LEN], records: 0, key: None }
    }

    /// A batch that was verified elsewhere, to be sealed for another place. Nothing but its seals changes.
    pub(crate) fn copy_of(batch: &BatchView<'_>) -> BatchBuffer {
        let used = BATCH_HEADER_LEN + batch.records().map(|record| record.bytes.len()).sum::<usize>();
        let key = batch.placed_records().find(|(_, record)| record.header.kind == Kind::Key);
        let key = key.map(|(offset, _)| offset - batch.offset);
        BatchBuffer { bytes: batch.bytes[..used].to_vec(), records: batch.header.records, key }
    }

    pub(crate) fn push_event(&mut self, stream: &StreamName, event: &NewEvent) -> Result<(), Error> {
        encode_event(stream, event, &mut self.bytes)?;
        self.count_record();
        Ok(())
    }

    /// Adds a record that is not an event.
    pub(crate) fn push_control(&mut self, kind: Kind, body: &[u8]) {
        debug_assert!(body.len() < RECORD_BYTES_MAX / 2);
        let start = record::begin(&mut self.bytes, kind);
        self.bytes.extend_from_slice(body);
        record::finish(&mut self.bytes, start);
        self.count_record();
    }

    /// Adds a record that was verified elsewhere. Nothing but its seal changes.
    pub(crate) fn push_copy(&mut self, record: &RecordView<'_>) {
        if record.header.kind == Kind::Key {
            self.key = Some(self.bytes.len() as u32);
        }
        self.bytes.extend_from_slice(record.bytes);
        self.count_record();
    }

    /// Adds a record that says which positions are no longer held, in a batch that gets nothing else to say.
    pub(crate) fn push_removed(&mut self, range: &Range, stamp: &Stamp) {
        let start = self.bytes.len();
        self.push_control(Kind::Removed, &range.encode_removed());
        let placement = Placement {
            position: Position::BEGINNING,
            version: Version::NONE,
            time: stamp.time,
            epoch_bits: stamp.epoch_bits,
            epoch: stamp.epoch,
        };
        record::place(&mut self.bytes[start..], &placement);
    }

    /// Where the next record will begin.
    pub(crate) fn end(&self) -> usize {
        self.bytes.len()
    }

    /// The record that begins there, as whoever reads it takes it apart, but for its placement.
    pub(crate) fn record_at(&self, start: usize) -> Result<RecordView<'_>, Fault> {
        let bytes = self.bytes.get(start..).ok_or(Fault::Senseless)?;
        RecordView::verify_body(RecordHeader::decode(bytes)?, bytes)
    }

    /// Has it hold nothing again; its room is kept.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER_LEN);
        self.records = 0;
        self.key = None;
    }

    /// How many events it holds.
    pub(crate) fn events(&self) -> u64 {
        self.placed_records().filter(|(_, record)| record.header.kind == Kind::Event).count() as u64
    }

    /// Whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds a record that says something besides events.
    pub(crate) fn push_fact(&mut self, fact: &Fact) {
        fact.push(&mut self.bytes);
        self.count_record();
    }

    /// Adds the record of a `once` key behind all events, which stand in these streams.
    pub(crate) fn push_key(&mut self, key: &str, digest: u128, streams: &[StreamName]) {
        self.key = Some(self.bytes.len() as u32);
        key::push(&mut self.bytes, key, digest, streams);
        self.count_record();
    }

    /// Where the record of the batch's `once` key stands, from the beginning of the batch.
    pub(crate) fn key_offset(&self) -> Option<u32> {
        self.key
    }

    /// Writes what the batch is told into the record of its key, if it has one.
    pub(crate) fn place_key(&mut self, receipt: &Receipt) {
        if let Some(offset) = self.key {
            key::place(&mut self.bytes[offset as usize..], receipt);
        }
    }

    /// A digest of what was handed in: streams, types, schemas, payloads, metadata and tags of the events.
    pub(crate) fn content_digest(&self) -> u128 {
        let mut digest = Xxh3::new();
        for record in self.records() {
            event::digest_content(&record, &mut digest);
        }
        digest.digest128()
    }

    fn count_record(&mut self) {
        self.records = self.records.checked_add(1).expect("the number of records was checked before");
    }

    /// The length of the batch in the log.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGNMENT)
    }

    /// Gives every event its position and version, in order, every record its time and epoch, and every record about a stream
    /// what `streams` says of that, in order.
    pub(crate) fn place(
        &mut self,
        stamp: &Stamp,
        versions: impl Fn(usize) -> Version,
        streams: &[&StreamFact],
    ) -> Offsets {
        let mut offsets = Offsets::default();
        let mut of_streams = streams.iter();
        let mut position = stamp.first_position.get();
        let mut at = BATCH_HEADER_LEN;
        for _ in 0..self.records {
            let record = &mut self.bytes[at..];
            let mut placement = Placement {
                position: Position::BEGINNING,
                version: Version::NONE,
                time: stamp.time,
                epoch_bits: stamp.epoch_bits,
                epoch: stamp.epoch,
            };
            match Kind::of(record) {
                Kind::Event => {
                    placement.position = Position::new(position);
                    placement.version = versions(offsets.events.len());
                    position += 1;
                    offsets.events.push(at as u32);
                }
                kind if kind.is_of_stream() => {
                    let fact = of_streams.next().expect("each has what it says");
                    placement.version = fact.version;
                    stream::place(record, fact);
                    offsets.streams.push(at as u32);
                }
                _ => {}
            }
            record::place(record, &placement);
            at += record::finished_len(record);
        }
        offsets
    }

    /// Gives every record a placement from outside: position, version and time of the `index`-th.
    pub(crate) fn place_exactly(&mut self, placement: impl Fn(usize) -> (Position, Version, Timestamp), stamp: &Stamp) {
        let mut at = BATCH_HEADER_LEN;
        for index in 0..usize::from(self.records) {
            let record = &mut self.bytes[at..];
            let (position, version, time) = placement(index);
            let epoch = (stamp.epoch, stamp.epoch_bits);
            record::place(record, &Placement { position, version, time, epoch_bits: epoch.1, epoch: epoch.0 });
            at += record::finished_len(record);
        }
    }

    /// What its events are found by.
    pub(crate) fn terms(&self, hasher: &TermHasher) -> BatchTerms {
        BatchTerms::of(self.records(), hasher)
    }

    /// Its records, before they are sealed.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.placed_records().map(|(_, record)| record)
    }

    /// The records, and where each stands from the beginning of the batch.
    pub(crate) fn placed_records(&self) -> impl Iterator<Item = (u32, RecordView<'_>)> {
        let mut at = BATCH_HEADER_LEN;
        (0..self.records).map(move |_| {
            let rest = &self.bytes[at..];
            let header = RecordHeader::decode(rest).expect("the record was finished here");
            let placed = (at as u32, RecordView { header, bytes: &rest[..header.record_len()] });
            at += header.record_len();
            placed
        })
    }

    /// Where its records stand, from the beginning of the batch.
    pub(crate) fn offsets(&self) -> Offsets {
        let mut offsets = Offsets::default();
        let mut at = BATCH_HEADER_LEN;
        for _ in 0..self.records {
            let record = &self.bytes[at..];
            match Kind::of(record) {
                Kind::Event => offsets.events.push(at as u32),
                kind if kind.is_of_stream() => offsets.streams.push(at as u32),
                _ => {}
            }
            at += record::finished_len(record);
        }
        offsets
    }

    /// Seals the placed records and the header for the place where the batch will stand, and appends the whole to
    /// `out`. Returns the checksum of the header.
    pub(crate) fn seal(&mut self, stamp: &Stamp, salt: Salt, offset: u32, out: &mut Vec<u8>) -> u32 {
        let begin = out.len();
        let length = self.len();
        out.extend_from_slice(&self.bytes);
        out.resize(begin + length, 0);
        let batch = &mut out[begin..];
        let mut at = BATCH_HEADER_LEN;
        for _ in 0..self.records {
            let record = &mut batch[at..];
            record::seal(record, salt, offset + at as u32);
            at += record::finished_len(record);
        }
        let header = BatchHeader {
            length: length as u32,
            records: self.records,
            epoch: stamp.epoch,
            previous: stamp.previous,
            durable: stamp.durable,
            first_position: stamp.first_position,
            time: stamp.time,
        };
        header.encode(batch, salt, offset)
    }
}
