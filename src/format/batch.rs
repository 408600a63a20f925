//! A batch: a header with its own checksum, then its records. All of it counts, or none of it.

use super::Fault;
use super::field::{Field, Salt, is_blank};
use super::record::{RECORD_HEADER_LEN, RecordHeader, RecordView};
use super::term::{BatchTerms, TermHasher};
use crate::limits::BATCH_BYTES_MAX;
use crate::position::{Place, Position};
use crate::time::Timestamp;

pub(crate) const BATCH_HEADER_LEN: usize = 48;

/// Batches begin at multiples of this, so that one can be looked for.
pub(super) const ALIGNMENT: usize = 8;

const MAGIC: Field = Field::first(4, "magic");
const CHECKSUM: Field = MAGIC.then(4, "header checksum");
const LENGTH: Field = CHECKSUM.then(4, "length");
const RECORDS: Field = LENGTH.then(2, "records");
const FLAGS: Field = RECORDS.then(2, "flags");
const EPOCH: Field = FLAGS.then(4, "epoch");
const PREVIOUS: Field = EPOCH.then(4, "previous");
const DURABLE_SEGMENT: Field = PREVIOUS.then(4, "durable segment");
const DURABLE_OFFSET: Field = DURABLE_SEGMENT.then(4, "durable offset");
const FIRST_POSITION: Field = DURABLE_OFFSET.then(8, "first position");
const TIME: Field = FIRST_POSITION.then(8, "time");
const _: () = assert!(TIME.end() == BATCH_HEADER_LEN);

#[cfg(test)]
pub(super) const LAYOUT: &[Field] =
    &[MAGIC, CHECKSUM, LENGTH, RECORDS, FLAGS, EPOCH, PREVIOUS, DURABLE_SEGMENT, DURABLE_OFFSET, FIRST_POSITION, TIME];

const MAGIC_BYTES: [u8; 4] = *b"BTCH";

/// What a batch header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Of the whole batch in bytes, header and padding included.
    pub(crate) length: u32,
    pub(crate) records: u16,
    pub(crate) epoch: u32,
    /// The header checksum of the batch before in the same segment; 0 for the first.
    pub(crate) previous: u32,
    /// Up to here everything was durable when the batch was admitted.
    pub(crate) durable: Place,
    /// The next position to be given when the batch was admitted.
    pub(crate) first_position: Position,
    pub(crate) time: Timestamp,
}

impl BatchHeader {
    /// Checks and decodes the header at the beginning of `bytes`, which stands at `offset`.
    pub(crate) fn verify(bytes: &[u8], salt: Salt, offset: u32) -> Result<(BatchHeader, u32), Fault> {
        let Some(bytes) = bytes.get(..BATCH_HEADER_LEN) else { return Err(Fault::Unreadable) };
        let sum = CHECKSUM.u32(bytes);
        if MAGIC.get(bytes) != MAGIC_BYTES || sum != salt.checksum(offset, &bytes[CHECKSUM.end()..]) {
            return Err(Fault::Unreadable);
        }
        if FLAGS.u16(bytes) != 0 {
            return Err(Fault::Newer);
        }
        let header = BatchHeader {
            length: LENGTH.u32(bytes),
            records: RECORDS.u16(bytes),
            epoch: EPOCH.u32(bytes),
            previous: PREVIOUS.u32(bytes),
            durable: Place { segment: DURABLE_SEGMENT.u32(bytes), offset: DURABLE_OFFSET.u32(bytes) },
            first_position: Position::new(FIRST_POSITION.u64(bytes)),
            time: Timestamp::from_nanos(TIME.i64(bytes)),
        };
        let length = header.length as usize;
        let longest = BATCH_BYTES_MAX + ALIGNMENT;
        let is_possible = (BATCH_HEADER_LEN + RECORD_HEADER_LEN..=longest).contains(&length)
            && length.is_multiple_of(ALIGNMENT)
            && header.records != 0;
        if is_possible { Ok((header, sum)) } else { Err(Fault::Unreadable) }
    }

    pub(super) fn encode(&self, bytes: &mut [u8], salt: Salt, offset: u32) -> u32 {
        MAGIC.put(bytes, MAGIC_BYTES);
        LENGTH.put_u32(bytes, self.length);
        RECORDS.put_u16(bytes, self.records);
        FLAGS.put_u16(bytes, 0);
        EPOCH.put_u32(bytes, self.epoch);
        PREVIOUS.put_u32(bytes, self.previous);
        DURABLE_SEGMENT.put_u32(bytes, self.durable.segment);
        DURABLE_OFFSET.put_u32(bytes, self.durable.offset);
        FIRST_POSITION.put_u64(bytes, self.first_position.get());
        TIME.put_i64(bytes, self.time.nanos());
        let sum = salt.checksum(offset, &bytes[CHECKSUM.end()..BATCH_HEADER_LEN]);
        CHECKSUM.put_u32(bytes, sum);
        sum
    }
}

/// A batch of which every byte was verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchView<'a> {
    pub(crate) header: BatchHeader,
    /// The checksum of the header, which the batch behind repeats.
    pub(crate) checksum: u32,
    /// Where the batch stands in its segment.
    pub(crate) offset: u32,
    /// The whole batch, padding included.
    pub(crate) bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Verifies the batch at the beginning of `bytes`, which stands at `offset` of the segment with this salt:
    /// the header, every record in its place, and that nothing but zeros fills up the rest.
    pub(crate) fn verify(bytes: &'a [u8], salt: Salt, offset: u32) -> Result<BatchView<'a>, Fault> {
        let (header, checksum) = BatchHeader::verify(bytes, salt, offset)?;
        let Some(bytes) = bytes.get(..header.length as usize) else { return Err(Fault::Unreadable) };
        let mut at = BATCH_HEADER_LEN;
        for _ in 0..header.records {
            let offset =
                offset.checked_add(u32::try_from(at).map_err(|_| Fault::Unreadable)?).ok_or(Fault::Unreadable)?;
            at += RecordView::verify(&bytes[at.min(bytes.len())..], salt, offset)?.bytes.len();
        }
        if bytes.len() - at < ALIGNMENT && is_blank(&bytes[at..]) {
            Ok(BatchView { header, checksum, offset, bytes })
        } else {
            Err(Fault::Unreadable)
        }
    }

    /// The offset behind the batch.
    pub(crate) fn end(&self) -> u32 {
        self.offset + self.header.length
    }

    /// The records, in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'a>> + use<'a> {
        let mut rest = &self.bytes[BATCH_HEADER_LEN..];
        (0..self.header.records).map(move |_| {
            let header = RecordHeader::decode(rest).expect("the batch was verified");
            let (bytes, behind) = rest.split_at(header.record_len());
            rest = behind;
            RecordView { header, bytes }
        })
    }

    /// The records with their offsets in the segment.
    pub(crate) fn placed_records(&self) -> impl Iterator<Item = (u32, RecordView<'a>)> + use<'a> {
        let mut at = self.offset + BATCH_HEADER_LEN as u32;
        self.records().map(move |record| {
            let offset = at;
            at += record.bytes.len() as u32;
            (offset, record)
        })
    }

    /// What its events are found by.
    pub(crate) fn terms(&self, hasher: &TermHasher) -> BatchTerms {
        BatchTerms::of(self.records(), hasher)
    }

    /// Whether the batch holds something that cannot be worked out again.
    pub(crate) fn has_facts(&self) -> bool {
        self.records().any(|record| record.header.kind.is_fact())
    }
}

/// The offset of the next batch header at or behind `from` that verifies where it stands. `bytes` are those of the
/// segment from `base` on; `base` is a multiple of 8.
pub(crate) fn find_batch_header(bytes: &[u8], base: u32, from: u32, salt: Salt) -> Option<u32> {
    let mut at = (from.saturating_sub(base) as usize).next_multiple_of(ALIGNMENT);
    while at + BATCH_HEADER_LEN <= bytes.len() {
        let rest = &bytes[at..];
        let offset = base + at as u32;
        if rest[..MAGIC_BYTES.len()] == MAGIC_BYTES && BatchHeader::verify(rest, salt, offset).is_ok() {
            return Some(offset);
        }
        at += ALIGNMENT;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::format::buffer::{BatchBuffer, Stamp};
    use crate::format::record::Kind;
    use crate::name::StreamName;
    use crate::position::Version;

    fn sample(salt: Salt, offset: u32) -> Vec<u8> {
        let stream = StreamName::new("game-42").expect("a name");
        let mut batch = BatchBuffer::new();
        for number in 0..3 {
            let event = NewEvent::json("guessed", &number).expect("JSON").tag("guild", 7).actor("x");
            batch.push_event(&stream, &event).expect("an event");
        }
        let stamp = Stamp {
            epoch: 1,
            epoch_bits: 99,
            previous: 5,
            durable: Place { segment: 1, offset: 512 },
            first_position: Position::new(10),
            time: Timestamp::from_nanos(1_000),
        };
        let offsets = batch.place(&stamp, |index| Version::new(index as u64 + 4), &[]).events;
        let mut out = Vec::new();
        batch.seal(&stamp, salt, offset, &mut out);
        assert_eq!(offsets[0] as usize, BATCH_HEADER_LEN);
        assert_eq!(out.len(), batch.len());
        out
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let bytes = sample(salt, 512);
        let batch = BatchView::verify(&bytes, salt, 512).expect("a batch");
        let positions: Vec<_> = batch.records().map(|record| record.header.position.get()).collect();
        let versions: Vec<_> = batch.records().map(|record| record.header.version.get()).collect();
        assert_eq!((positions, versions), (vec![10, 11, 12], vec![4, 5, 6]));
        assert!(batch.records().all(|record| record.stream() == Ok("game-42")));
        assert!(batch.has_facts());
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_other_place_is_noticed() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let bytes = sample(salt, 512);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(BatchView::verify(&flipped, salt, 512).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(BatchView::verify(&bytes[..len], salt, 512).is_err(), "cut at {len}");
        }
        assert!(BatchView::verify(&bytes, salt, 520).is_err());
        assert!(BatchView::verify(&bytes, Salt::of(&[1; 16], &[2; 16], 4), 512).is_err());
    }

    #[test]
    fn a_header_says_a_length_that_can_be_and_at_least_one_record() {
        const LEAST: usize = BATCH_HEADER_LEN + RECORD_HEADER_LEN;
        const MOST: usize = BATCH_BYTES_MAX + ALIGNMENT;
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let bytes = sample(salt, 512);
        let (sound, _) = BatchHeader::verify(&bytes, salt, 512).expect("a header");
        let verify = |length: usize, records: u16| {
            let mut bytes = [0; BATCH_HEADER_LEN];
            BatchHeader { length: length as u32, records, ..sound }.encode(&mut bytes, salt, 512);
            BatchHeader::verify(&bytes, salt, 512).map(|(header, _)| header.length as usize)
        };
        for length in [LEAST, LEAST + 8, MOST - 8, MOST] {
            assert_eq!(verify(length, 1), Ok(length));
            assert_eq!(verify(length, 0), Err(Fault::Unreadable), "{length} bytes and no record");
        }
        for length in [0, BATCH_HEADER_LEN, LEAST - 8, LEAST + 4, MOST - 1, MOST + 8] {
            assert_eq!(verify(length, 1), Err(Fault::Unreadable), "{length} bytes");
        }
    }

    #[test]
    fn behind_the_last_record_less_than_an_alignment_of_zeros_fills_up() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let stream = StreamName::new("game-42").expect("a name");
        let mut paddings = Vec::new();
        for payload in 0..ALIGNMENT {
            let mut buffer = BatchBuffer::new();
            buffer.push_event(&stream, &NewEvent::bytes("guessed", vec![7; payload])).expect("an event");
            let stamp = Stamp {
                epoch: 1,
                epoch_bits: 99,
                previous: 5,
                durable: Place { segment: 1, offset: 512 },
                first_position: Position::new(10),
                time: Timestamp::from_nanos(1_000),
            };
            buffer.place(&stamp, |_| Version::new(4), &[]);
            let mut bytes = Vec::new();
            buffer.seal(&stamp, salt, 512, &mut bytes);
            let batch = BatchView::verify(&bytes, salt, 512).expect("a batch");
            let used = BATCH_HEADER_LEN + batch.records().map(|record| record.bytes.len()).sum::<usize>();
            paddings.push(bytes.len() - used);
            for at in used..bytes.len() {
                let mut filled = bytes.clone();
                filled[at] = 1;
                assert!(BatchView::verify(&filled, salt, 512).is_err(), "byte {at}");
            }
            let mut longer = bytes.clone();
            longer.resize(bytes.len() + ALIGNMENT, 0);
            BatchHeader { length: longer.len() as u32, ..batch.header }.encode(&mut longer, salt, 512);
            assert!(BatchView::verify(&longer, salt, 512).is_err(), "{} bytes of padding", longer.len() - used);
        }
        paddings.sort_unstable();
        assert_eq!(paddings, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_header_is_found_by_more_than_its_first_bytes() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(&MAGIC_BYTES);
        bytes.extend(sample(salt, 512 + 64));
        assert_eq!(find_batch_header(&bytes, 512, 512, salt), Some(512 + 64));
        assert_eq!(find_batch_header(&bytes, 512, 512 + 57, salt), Some(512 + 64));
        assert_eq!(find_batch_header(&bytes, 512, 512 + 65, salt), None);
        assert_eq!(
            find_batch_header(&bytes[..64 + BATCH_HEADER_LEN], 512, 512, salt),
            Some(512 + 64),
            "a header is all"
        );
        assert_eq!(find_batch_header(&bytes[..63 + BATCH_HEADER_LEN], 512, 512, salt), None);
    }

    #[test]
    fn events_get_their_places_among_records_that_are_none() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let stream = StreamName::new("game-42").expect("a name");
        let mut buffer = BatchBuffer::new();
        let range = crate::format::Range { first: Position::new(2), last: Position::new(4) };
        buffer.push_event(&stream, &NewEvent::bytes("guessed", [7; 21])).expect("an event");
        buffer.push_control(Kind::Removed, &range.encode_removed());
        buffer.push_event(&stream, &NewEvent::bytes("guessed", [7; 3])).expect("an event");
        let stamp = Stamp {
            epoch: 1,
            epoch_bits: 99,
            previous: 5,
            durable: Place { segment: 1, offset: 512 },
            first_position: Position::new(1),
            time: Timestamp::from_nanos(1_000),
        };
        let first = BATCH_HEADER_LEN as u32;
        let second = first + 2 * RECORD_HEADER_LEN as u32 + "game-42guessed".len() as u32 + 21 + 16;
        assert_eq!(buffer.offsets().events, [first, second]);
        let offsets = buffer.place(&stamp, |_| Version::new(4), &[]).events;
        assert_eq!(offsets, [first, second]);
        let exactly = [(1, 1), (0, 0), (5, 9)];
        let time = Timestamp::from_nanos(7);
        buffer.place_exactly(|index| (Position::new(exactly[index].0), Version::new(exactly[index].1), time), &stamp);
        let mut bytes = Vec::new();
        buffer.seal(&stamp, salt, 512, &mut bytes);
        let batch = BatchView::verify(&bytes, salt, 512).expect("a batch");
        let headers = batch.records().map(|record| (record.header.position.get(), record.header.version.get()));
        assert_eq!(headers.collect::<Vec<_>>(), exactly);
        let placed = batch.placed_records().filter(|(_, record)| record.header.kind == Kind::Event);
        assert_eq!(placed.map(|(offset, _)| offset - 512).collect::<Vec<_>>(), [first, second]);
        assert!(batch.records().all(|record| record.header.time == time && record.header.epoch_bits == 99));
    }

    #[test]
    fn a_copy_keeps_its_bodies_and_their_checksums() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let bytes = sample(salt, 512);
        let batch = BatchView::verify(&bytes, salt, 512).expect("a batch");
        let other = Salt::of(&[1; 16], &[9; 16], 4);
        let stamp = Stamp {
            epoch: batch.header.epoch,
            epoch_bits: 0,
            previous: 0,
            durable: batch.header.durable,
            first_position: batch.header.first_position,
            time: batch.header.time,
        };
        let mut out = Vec::new();
        BatchBuffer::copy_of(&batch).seal(&stamp, other, 1024, &mut out);
        let copy = BatchView::verify(&out, other, 1024).expect("a batch");
        for (original, copied) in batch.records().zip(copy.records()) {
            assert_eq!(original.header, copied.header);
            assert_eq!(original.body(), copied.body());
        }
    }

    #[test]
    fn a_header_is_found_where_it_stands() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let mut segment = vec![0; 600];
        segment.extend(sample(salt, 600));
        assert_eq!(find_batch_header(&segment, 0, 0, salt), Some(600));
        assert_eq!(find_batch_header(&segment, 0, 601, salt), None);
    }
}
