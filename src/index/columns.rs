//! Streams written down in columns, a few thousand at a time. The encoding, bincode of fixed width, is confined to this file.
//!
//! ```text
//! head        the number of events, of streams, the holes, up to where losses were accepted, the consumers, what is kept,
//!             and the number of streams about which something was decided
//! quotas      how many there are, and each with what is used of it
//! fates       what that was, of a few hundred at a time
//! blocks      names one behind the other and their lengths; three columns of numbers and two of segments; and the streams
//!             that have fewer events than versions
//! ```

use super::blocks::Doubt;
use super::consumers::{KnownConsumer, KnownParked};
use super::fates::SavedFates;
use super::fates_written::{
    FATES_AT_ONCE, WrittenFates, WrittenKeeping, WrittenQuota, read_fate, read_keeping, read_quota, written_fate,
    written_keeping, written_quota,
};
use super::holes::{Hole, HoleKind};
use super::quotas::SavedQuota;
use super::streams::Extent;
use crate::format::Range;
use crate::position::{POSITION_MAX, Position, Version};
use crate::time::Timestamp;
use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use std::io;

/// What is written down besides the streams.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// How many events there were at the place from which is to be read on.
    pub(super) events: u64,
    pub(super) streams: u64,
    pub(super) holes: Vec<Hole>,
    pub(super) accepted: Option<Position>,
    pub(super) consumers: Vec<(String, KnownConsumer)>,
    pub(super) fates: SavedFates,
    pub(super) quotas: Vec<SavedQuota>,
}

/// A few thousand streams.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) names: String,
    pub(super) name_lens: Vec<u8>,
    versions: Vec<u64>,
    first_positions: Vec<u64>,
    last_positions: Vec<u64>,
    first_segments: Vec<u32>,
    last_segments: Vec<u32>,
    /// By index the number of events of streams that have fewer than versions.
    fewer: Vec<(u32, u64)>,
}

/// Streams that are put together to be written down.
#[derive(Debug, Default)]
pub(crate) struct SavedStreams {
    head: Head,
    blocks: Vec<Block>,
}

/// What was written down is read from its beginning.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    left: u64,
}

/// How many streams a block has.
const BLOCK_STREAMS: usize = 4_096;

/// No part is larger: the most that a length which was made up can claim.
const PART_BYTES_MAX: usize = 16 * 1024 * 1024;

type Config = Configuration<LittleEndian, Fixint, Limit<PART_BYTES_MAX>>;

const CONFIG: Config = bincode::config::standard().with_fixed_int_encoding().with_limit::<PART_BYTES_MAX>();

type WrittenHead = (u64, u64, Vec<(u64, u64, u8)>, Option<u64>, Vec<WrittenConsumer>, WrittenKeeping, u64);

/// Name; number, whether it is deleted, definition, why it is paused; scanned, left; created, updated; what is parked.
type WrittenConsumer =
    (String, (u64, bool, Option<String>, Option<String>), (u64, Vec<u64>), (i64, i64), Vec<WrittenParked>);

/// Position, key, attempts, reason, since.
type WrittenParked = (u64, u128, u32, String, i64);

type WrittenBlock = (String, Vec<u8>, (Vec<u64>, Vec<u64>, Vec<u64>), (Vec<u32>, Vec<u32>), Vec<(u32, u64)>);

impl SavedStreams {
    pub(super) fn begin(
        (events, holes, accepted): (u64, Vec<Hole>, Option<Position>),
        consumers: Vec<(String, KnownConsumer)>,
        fates: SavedFates,
        quotas: Vec<SavedQuota>,
    ) -> SavedStreams {
        SavedStreams {
            head: Head { events, streams: 0, holes, accepted, consumers, fates, quotas },
            blocks: Vec::new(),
        }
    }

    /// Adds a stream.
    pub(super) fn push(&mut self, name: &str, extent: &Extent) {
        if self.head.streams.is_multiple_of(BLOCK_STREAMS as u64) {
            self.blocks.push(Block::default());
        }
        self.head.streams += 1;
        if let Some(block) = self.blocks.last_mut() {
            block.push(name, extent);
        }
    }

    /// Writes all of it behind what stands in `bytes`.
    pub(super) fn encode(self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Head { events, streams, holes, accepted, consumers, fates, quotas } = self.head;
        let of_hole = |hole: &Hole| (hole.range.first.get(), hole.range.last.get(), number_of(hole.kind));
        let holes = holes.iter().map(of_hole).collect();
        let consumers = consumers.into_iter().map(written_consumer).collect();
        let count = fates.streams.len() as u64;
        let head: WrittenHead =
            (events, streams, holes, accepted.map(Position::get), consumers, written_keeping(fates.keeping), count);
        put(&head, bytes)?;
        put(&(quotas.len() as u64), bytes)?;
        quotas.into_iter().map(written_quota).try_for_each(|quota: WrittenQuota| put(&quota, bytes))?;
        let mut streams = fates.streams.into_iter().map(written_fate).peekable();
        while streams.peek().is_some() {
            let some: WrittenFates = streams.by_ref().take(FATES_AT_ONCE).collect();
            put(&some, bytes)?;
        }
        self.blocks.into_iter().try_for_each(|block| put(&block.written(), bytes))
    }
}

impl Block {
    fn push(&mut self, name: &str, extent: &Extent) {
        if extent.events != extent.version.get() {
            self.fewer.push((self.versions.len() as u32, extent.events));
        }
        self.names.push_str(name);
        // No name has more bytes.
        self.name_lens.push(name.len() as u8);
        self.versions.push(extent.version.get());
        self.first_positions.push(extent.first_position.get());
        self.last_positions.push(extent.last_position.get());
        self.first_segments.push(extent.first_segment);
        self.last_segments.push(extent.last_segment);
    }

    /// What is known of each stream, in the order of the names.
    pub(super) fn extents(&self) -> impl Iterator<Item = Result<Extent, Doubt>> {
        let mut fewer = self.fewer.iter().peekable();
        self.versions.iter().enumerate().map(move |(index, version)| {
            let version = *version;
            let few = fewer.next_if(|(of, _)| *of as usize == index);
            let extent = Extent {
                version: Version::new(version),
                events: few.map_or(version, |(_, events)| *events),
                first_position: Position::new(self.first_positions[index]),
                last_position: Position::new(self.last_positions[index]),
                first_segment: self.first_segments[index],
                last_segment: self.last_segments[index],
            };
            let is_possible = extent.events != 0
                && extent.events <= version
                && version <= extent.last_position.get()
                && extent.first_position <= extent.last_position
                && extent.last_position.get() <= POSITION_MAX;
            if is_possible { Ok(extent) } else { Err(Doubt) }
        })
    }

    fn written(self) -> WrittenBlock {
        let numbers = (self.versions, self.first_positions, self.last_positions);
        (self.names, self.name_lens, numbers, (self.first_segments, self.last_segments), self.fewer)
    }

    fn read(written: WrittenBlock) -> Result<Block, Doubt> {
        let (names, name_lens, numbers, segments, fewer) = written;
        let (versions, first_positions, last_positions) = numbers;
        let (first_segments, last_segments) = segments;
        let count = name_lens.len();
        let is_even = [versions.len(), first_positions.len(), last_positions.len()] == [count; 3]
            && [first_segments.len(), last_segments.len()] == [count; 2];
        let mut end = 0;
        let are_names = name_lens.iter().all(|len| {
            end += usize::from(*len);
            *len != 0 && names.is_char_boundary(end)
        });
        if !is_even || !are_names || end != names.len() || count == 0 {
            return Err(Doubt);
        }
        Ok(Block { names, name_lens, versions, first_positions, last_positions, first_segments, last_segments, fewer })
    }
}

impl<'a> Reader<'a> {
    /// The head of what was written down, and where the blocks can be read from.
    pub(super) fn begin(bytes: &'a [u8]) -> Result<(Head, Reader<'a>), Doubt> {
        let mut reader = Reader { rest: bytes, left: 0 };
        let (events, streams, holes, accepted, consumers, keeping, count): WrittenHead = reader.take()?;
        let quotas: u64 = reader.take()?;
        let quotas = (0..quotas).map(|_| read_quota(reader.take()?).ok_or(Doubt)).collect::<Result<_, Doubt>>()?;
        let of_hole = |(first, last, number)| {
            let range = Range { first: Position::new(first), last: Position::new(last) };
            Ok(Hole { range, kind: kind_of(number)? })
        };
        let holes = holes.into_iter().map(of_hole).collect::<Result<_, Doubt>>()?;
        // Each takes a byte at least.
        reader.left = Some(streams).filter(|streams| *streams <= bytes.len() as u64).ok_or(Doubt)?;
        let consumers = consumers.into_iter().map(read_consumer).collect();
        let mut fates = SavedFates { keeping: read_keeping(keeping).ok_or(Doubt)?, streams: Vec::new() };
        while (fates.streams.len() as u64) < count {
            let some: WrittenFates = reader.take()?;
            if some.is_empty() {
                return Err(Doubt);
            }
            fates.streams.extend(some.into_iter().map(read_fate));
        }
        let accepted = accepted.map(Position::new);
        Ok((Head { events, streams, holes, accepted, consumers, fates, quotas }, reader))
    }

    /// The next block.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Doubt> {
        if self.left == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err(Doubt) };
        }
        let block = Block::read(self.take()?)?;
        self.left = self.left.checked_sub(block.name_lens.len() as u64).ok_or(Doubt)?;
        Ok(Some(block))
    }

    fn take<T: bincode::Decode<()>>(&mut self) -> Result<T, Doubt> {
        let (value, len) = bincode::decode_from_slice(self.rest, CONFIG).map_err(|_| Doubt)?;
        self.rest = self.rest.get(len..).ok_or(Doubt)?;
        Ok(value)
    }
}

fn put(part: &impl bincode::Encode, bytes: &mut Vec<u8>) -> io::Result<()> {
    let begin = bytes.len();
    let encoded = bincode::encode_to_vec(part, CONFIG).map_err(|error| io::Error::other(error.to_string()))?;
    bytes.extend_from_slice(&encoded);
    if PART_BYTES_MAX < bytes.len() - begin {
        return Err(io::Error::other("more holes than a table on disk takes"));
    }
    Ok(())
}

fn written_consumer((name, known): (String, KnownConsumer)) -> WrittenConsumer {
    let of_parked = |(position, parked): (Position, KnownParked)| {
        (position.get(), parked.key, parked.attempts, parked.reason, parked.since.nanos())
    };
    (
        name,
        (known.number, known.is_deleted, known.definition, known.paused),
        (known.scanned.get(), known.left.into_iter().map(Position::get).collect()),
        (known.created.nanos(), known.updated.nanos()),
        known.parked.into_iter().map(of_parked).collect(),
    )
}

fn read_consumer(written: WrittenConsumer) -> (String, KnownConsumer) {
    let (name, (number, is_deleted, definition, paused), (scanned, left), (created, updated), parked) = written;
    let of_parked = |(position, key, attempts, reason, since)| {
        (Position::new(position), KnownParked { key, attempts, reason, since: Timestamp::from_nanos(since) })
    };
    let known = KnownConsumer {
        number,
        is_deleted,
        definition,
        paused,
        scanned: Position::new(scanned),
        left: left.into_iter().map(Position::new).collect(),
        created: Timestamp::from_nanos(created),
        updated: Timestamp::from_nanos(updated),
        parked: parked.into_iter().map(of_parked).collect(),
    };
    (name, known)
}

fn number_of(kind: HoleKind) -> u8 {
    match kind {
        HoleKind::Removed => 1,
        HoleKind::Lost => 2,
        HoleKind::Damaged => 3,
        HoleKind::Thinned => 4,
    }
}

fn kind_of(number: u8) -> Result<HoleKind, Doubt> {
    match number {
        1 => Ok(HoleKind::Removed),
        2 => Ok(HoleKind::Lost),
        4 => Ok(HoleKind::Thinned),
        // A log with damage is not written.
        _ => Err(Doubt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::fates::{Deletion, Ended, Fate, Keeping, Said, Truncation};
    use crate::name::StreamName;
    use crate::position::Place;
    use crate::quota::{Quota, TagScope};
    use crate::retention::{Retention, Scope};
    use std::time::Duration;

    fn quotas() -> Vec<SavedQuota> {
        let since = Position::new(5);
        let each = TagScope::each("guild").expect("a key");
        let one = TagScope::tag("guild", "7").expect("a tag");
        vec![
            SavedQuota { scope: one, quota: Quota::bytes(9).refusing(), since, used: None },
            SavedQuota { scope: each, quota: Quota::bytes(7).trimming(), since, used: Some(vec![("7".into(), 3)]) },
        ]
    }

    fn extent(number: u64) -> Extent {
        Extent {
            version: Version::new(number + 1),
            events: if number % 7 == 3 { 1 } else { number + 1 },
            first_position: Position::new(number * 2 + 1),
            last_position: Position::new(number * 3 + 1),
            first_segment: number as u32,
            last_segment: number as u32 + 1,
        }
    }

    fn consumers() -> Vec<(String, KnownConsumer)> {
        let parked = KnownParked { key: 3 << 70, attempts: 2, reason: "no".into(), since: Timestamp::from_nanos(-4) };
        let known = KnownConsumer {
            number: 7,
            is_deleted: false,
            definition: Some("{}".into()),
            paused: Some("why".into()),
            scanned: Position::new(9),
            left: vec![Position::new(4), Position::new(8)],
            created: Timestamp::from_nanos(1),
            updated: Timestamp::from_nanos(2),
            parked: [(Position::new(3), parked)].into(),
        };
        vec![("scores".into(), known), ("gone".into(), KnownConsumer { number: 2, ..KnownConsumer::default() })]
    }

    /// More than are written together.
    fn fates() -> SavedFates {
        let (time, version) = (Timestamp::from_nanos(5), Version::new(9));
        let place = Place { segment: 3, offset: 600 };
        let whole = Fate {
            ended: Some(Ended { reason: "asked for".into(), time }),
            deleted: Some(Deletion { last: version, reason: String::new(), time }),
            truncated: Some(Truncation { first: version, carried: Some((place, version)), time }),
            metadata: Some(Said { revision: 2, json: "{}".into(), time }),
            version,
        };
        let (stream, month) = (StreamName::new("game-1").expect("a name"), Duration::from_secs(1 << 20));
        let rules = [
            (Scope::Everything, Retention::forever()),
            (Scope::event_type("won").expect("a name"), Retention::forever().newest(7)),
            (Scope::category("game").expect("a name"), Retention::forever().newer_than(month)),
            (Scope::OnceKeys, Retention::forever().newer_than(month)),
        ];
        let keeping = Keeping {
            holds: [((Scope::Stream(stream), "case 12".to_owned()), time)].into(),
            rules: rules.map(|(scope, rule)| (scope, (rule, time))).into(),
        };
        let of = |number: usize| {
            (format!("game-{number}"), if number.is_multiple_of(2) { whole.clone() } else { Fate::default() })
        };
        SavedFates { streams: (0..FATES_AT_ONCE * 2 + 1).map(of).collect(), keeping }
    }

    fn encoded(streams: u64, holes: &[Hole]) -> Vec<u8> {
        let mut saved =
            SavedStreams::begin((99, holes.to_vec(), Some(Position::new(7))), consumers(), fates(), quotas());
        (0..streams).for_each(|number| saved.push(&format!("straße-{number}"), &extent(number)));
        let mut bytes = Vec::new();
        saved.encode(&mut bytes).expect("it is small");
        bytes
    }

    /// All that can be read, with names.
    fn decoded(bytes: &[u8]) -> Result<(Head, Vec<(String, Extent)>), Doubt> {
        let (head, mut reader) = Reader::begin(bytes)?;
        let mut streams = Vec::new();
        while let Some(block) = reader.block()? {
            let mut at = 0;
            for (len, extent) in block.name_lens.iter().zip(block.extents()) {
                streams.push((block.names[at..at + usize::from(*len)].to_owned(), extent?));
                at += usize::from(*len);
            }
        }
        Ok((head, streams))
    }

    #[test]
    fn streams_come_back_as_they_were() {
        let range = Range { first: Position::new(3), last: Position::new(5) };
        let holes = [Hole { range, kind: HoleKind::Removed }, Hole { range, kind: HoleKind::Lost }];
        for count in [0, 1, BLOCK_STREAMS as u64, 2 * BLOCK_STREAMS as u64 + 5] {
            let (head, streams) = decoded(&encoded(count, &holes)).expect("it was just written");
            let accepted = Some(Position::new(7));
            let expected = Head {
                events: 99,
                streams: count,
                holes: holes.to_vec(),
                accepted,
                consumers: consumers(),
                fates: fates(),
                quotas: quotas(),
            };
            assert_eq!(head, expected);
            let expected = (0..count).map(|number| (format!("straße-{number}"), extent(number)));
            assert!(streams.into_iter().eq(expected), "{count} streams");
        }
    }

    /// Checksums are compared before; what nobody has written must do no harm all the same.
    #[test]
    fn whatever_stands_there_is_read_or_in_doubt() {
        let bytes = encoded(20, &[]);
        let whole = decoded(&bytes).expect("it was just written");
        for len in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..len]), Err(Doubt), "cut at {len}");
        }
        let mut doubts = 0;
        // Every seventh: all bits of a byte come up, though not of every byte.
        for bit in (0..bytes.len() * 8).step_by(7) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match decoded(&changed) {
                Ok(read) => assert_ne!(read, whole, "bit {bit}"),
                Err(Doubt) => doubts += 1,
            }
        }
        assert!(doubts > 70, "{doubts} changes were noticed");
    }
}
