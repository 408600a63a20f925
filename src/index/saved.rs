//! The stream table on disk: written now and then and at close, so that opening need not read the log to know its streams.
//!
//! It is taken while others append, a few streams at a time, so it is not of one moment: it holds at least what was visible
//! at the place `from`, and nothing that was not durable at the place `upto`. Whoever opens the log reads on from the first,
//! and passes over what is known already.
//!
//! ```text
//! header      512 bytes, see below
//! body        bincode, fixed width, little-endian: see `Body`
//! ```
//!
//! There are two files, written in turn, so that one is whole whatever happens to the other. They are derived: one that does
//! not verify is no worse than none. The encoding is confined to this file.

use super::blocks::Doubt;
use super::holes::{Hole, HoleKind};
use super::streams::Extent;
use crate::format::{Field, Range};
use crate::log::Witness;
use crate::position::{Place, Position, Version};
use crate::storage::{Access, File, Storage};
use crate::sync::Arc;
use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use std::io;
use xxhash_rust::xxh3::xxh3_128;

/// The directory of what is derived from the whole log.
const INDEX_DIR: &str = "index";

const HEADER_LEN: usize = 512;

const MAGIC: Field = Field::first(8, "magic");
const DIGEST: Field = MAGIC.then(16, "digest");
const STORE: Field = DIGEST.then(16, "store id");
const COUNTER: Field = STORE.then(8, "counter");
const FROM_ID: Field = COUNTER.then(16, "segment id of from");
const FROM_SEGMENT: Field = FROM_ID.then(4, "segment of from");
const FROM_OFFSET: Field = FROM_SEGMENT.then(4, "offset of from");
const UPTO_ID: Field = FROM_OFFSET.then(16, "segment id of upto");
const UPTO_SEGMENT: Field = UPTO_ID.then(4, "segment of upto");
const UPTO_OFFSET: Field = UPTO_SEGMENT.then(4, "offset of upto");
const BODY_LEN: Field = UPTO_OFFSET.then(8, "bytes of the body");
const PADDING: Field = BODY_LEN.then(408, "padding");
const _: () = assert!(PADDING.end() == HEADER_LEN);

const MAGIC_BYTES: [u8; 8] = *b"SBTABLE1";

/// No body is larger; a table of more is not written.
const BODY_BYTES_MAX: usize = 1 << 30;

type Config = Configuration<LittleEndian, Fixint, Limit<BODY_BYTES_MAX>>;

const CONFIG: Config = bincode::config::standard().with_fixed_int_encoding().with_limit::<BODY_BYTES_MAX>();

/// A place in a segment with this random id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) segment: [u8; 16],
}

/// The streams of a store in a few large arrays.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedStreams {
    /// How many events there were at the place from which is to be read on.
    pub(super) events: u64,
    pub(super) holes: Vec<Hole>,
    pub(super) accepted: Option<Position>,
    pub(super) names: String,
    name_lens: Vec<u8>,
    versions: Vec<u64>,
    first_positions: Vec<u64>,
    last_positions: Vec<u64>,
    first_segments: Vec<u32>,
    last_segments: Vec<u32>,
    /// By index the number of events of streams that have fewer than versions.
    fewer: Vec<(u32, u64)>,
}

/// The same as it is written: events, holes and what was accepted; names; three columns of numbers, two of segments, and
/// the streams with fewer events than versions.
type Body = (
    (u64, Vec<(u64, u64, u8)>, Option<u64>),
    (String, Vec<u8>),
    (Vec<u64>, Vec<u64>, Vec<u64>),
    (Vec<u32>, Vec<u32>),
    Vec<(u32, u64)>,
);

/// A stream table that was read from disk and verifies.
#[derive(Clone, Debug)]
pub(crate) struct SavedTable {
    pub(crate) store: [u8; 16],
    pub(crate) from: Spot,
    pub(crate) upto: Spot,
    counter: u64,
    bytes: Arc<Vec<u8>>,
}

impl SavedStreams {
    pub(super) fn begin(events: u64, holes: Vec<Hole>, accepted: Option<Position>) -> SavedStreams {
        SavedStreams { events, holes, accepted, ..SavedStreams::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    /// Adds a stream.
    pub(super) fn push(&mut self, name: &str, extent: &Extent) {
        if extent.events != extent.version.get() {
            self.fewer.push((self.len() as u32, extent.events));
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

    /// Tells every stream: the length of its name, and what is known of it.
    pub(super) fn each(&self, mut tell: impl FnMut(u8, Extent) -> Result<(), Doubt>) -> Result<(), Doubt> {
        let mut fewer = self.fewer.iter().peekable();
        for (index, len) in self.name_lens.iter().enumerate() {
            let version = self.versions[index];
            let few = fewer.next_if(|(of, _)| *of as usize == index);
            let extent = Extent {
                version: Version::new(version),
                events: few.map_or(version, |(_, events)| *events),
                first_position: Position::new(self.first_positions[index]),
                last_position: Position::new(self.last_positions[index]),
                first_segment: self.first_segments[index],
                last_segment: self.last_segments[index],
            };
            if *len == 0 || extent.events == 0 || version < extent.events {
                return Err(Doubt);
            }
            tell(*len, extent)?;
        }
        Ok(())
    }

    fn encode(self) -> io::Result<Vec<u8>> {
        let kind = |kind| match kind {
            HoleKind::Removed => 1,
            HoleKind::Lost => 2,
            HoleKind::Damaged => 3,
        };
        let of_hole = |hole: &Hole| (hole.range.first.get(), hole.range.last.get(), kind(hole.kind));
        let body: Body = (
            (self.events, self.holes.iter().map(of_hole).collect(), self.accepted.map(Position::get)),
            (self.names, self.name_lens),
            (self.versions, self.first_positions, self.last_positions),
            (self.first_segments, self.last_segments),
            self.fewer,
        );
        let bytes = bincode::encode_to_vec(&body, CONFIG).map_err(|error| io::Error::other(error.to_string()))?;
        if BODY_BYTES_MAX <= bytes.len() {
            return Err(io::Error::other("more streams than a table on disk takes"));
        }
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<SavedStreams, Doubt> {
        let (body, len): (Body, usize) = bincode::decode_from_slice(bytes, CONFIG).map_err(|_| Doubt)?;
        let ((events, holes, accepted), (names, name_lens), numbers, segments, fewer) = body;
        let (versions, first_positions, last_positions) = numbers;
        let (first_segments, last_segments) = segments;
        let of_hole = |(first, last, kind)| {
            let kind = match kind {
                1 => HoleKind::Removed,
                2 => HoleKind::Lost,
                _ => return Err(Doubt),
            };
            Ok(Hole { range: Range { first: Position::new(first), last: Position::new(last) }, kind })
        };
        let count = versions.len();
        let is_even = [first_positions.len(), last_positions.len(), name_lens.len()] == [count; 3]
            && [first_segments.len(), last_segments.len()] == [count; 2];
        // Names stand one behind the other, and each is one by itself.
        let mut end = 0;
        let are_names = name_lens.iter().all(|len| {
            end += usize::from(*len);
            names.is_char_boundary(end)
        });
        if !is_even || !are_names || end != names.len() || len != bytes.len() || u32::try_from(end).is_err() {
            return Err(Doubt);
        }
        let holes = holes.into_iter().map(of_hole).collect::<Result<_, Doubt>>()?;
        let accepted = accepted.map(Position::new);
        Ok(SavedStreams {
            events,
            holes,
            accepted,
            names,
            name_lens,
            versions,
            first_positions,
            last_positions,
            first_segments,
            last_segments,
            fewer,
        })
    }
}

impl SavedTable {
    /// The newest table in a store's directory that verifies.
    pub(crate) fn read(storage: &dyn Storage) -> Option<SavedTable> {
        let mut slots: Vec<Slot> = [0, 1].into_iter().filter_map(|number| Slot::open(storage, number)).collect();
        slots.sort_by_key(Slot::counter);
        slots.into_iter().rev().find_map(Slot::read)
    }

    /// What it proves of the log.
    pub(crate) fn witness(&self) -> Witness {
        Witness { store: self.store, durable: self.upto.place, segment: self.upto.segment }
    }

    pub(super) fn streams(&self) -> Result<SavedStreams, Doubt> {
        SavedStreams::decode(&self.bytes[HEADER_LEN..])
    }

    /// Writes a table, in place of the older of the two there may be, and syncs it. Its length.
    pub(crate) fn write(
        storage: &dyn Storage,
        store: [u8; 16],
        (from, upto): (Spot, Spot),
        counter: u64,
        streams: SavedStreams,
    ) -> io::Result<u64> {
        let body = streams.encode()?;
        let mut bytes = vec![0; HEADER_LEN];
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        STORE.put(&mut bytes, store);
        COUNTER.put_u64(&mut bytes, counter);
        FROM_ID.put(&mut bytes, from.segment);
        FROM_SEGMENT.put_u32(&mut bytes, from.place.segment);
        FROM_OFFSET.put_u32(&mut bytes, from.place.offset);
        UPTO_ID.put(&mut bytes, upto.segment);
        UPTO_SEGMENT.put_u32(&mut bytes, upto.place.segment);
        UPTO_OFFSET.put_u32(&mut bytes, upto.place.offset);
        BODY_LEN.put_u64(&mut bytes, body.len() as u64);
        bytes.extend_from_slice(&body);
        let digest = xxh3_128(&bytes[DIGEST.end()..]);
        DIGEST.put(&mut bytes, digest.to_le_bytes());
        let path = slot_path(counter);
        let file = match storage.open(&path, Access::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create_dir(INDEX_DIR)?;
                storage.create(&path)?
            }
            file => file?,
        };
        let written = file.write_at(&bytes, 0).and_then(|()| file.sync());
        file.retire();
        written.map(|()| bytes.len() as u64)
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    /// How many bytes it takes.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn slot_path(counter: u64) -> String {
    format!("{INDEX_DIR}/streams.{}", counter % 2)
}

/// A table of which the header was read.
struct Slot {
    file: Arc<dyn File>,
    header: Vec<u8>,
}

impl Slot {
    fn open(storage: &dyn Storage, number: u64) -> Option<Slot> {
        let file = storage.open(&slot_path(number), Access::Read).ok()?;
        let mut header = vec![0; HEADER_LEN];
        let is_whole = file.read_at(&mut header, 0).ok()? == HEADER_LEN;
        let is_ours = MAGIC.get(&header) == MAGIC_BYTES && COUNTER.u64(&header) != u64::MAX;
        (is_whole && is_ours).then_some(Slot { file, header })
    }

    fn counter(&self) -> u64 {
        COUNTER.u64(&self.header)
    }

    /// The whole of it, if it verifies.
    fn read(self) -> Option<SavedTable> {
        let body_len = BODY_LEN.u64(&self.header);
        let end = body_len.checked_add(HEADER_LEN as u64)?;
        if BODY_BYTES_MAX as u64 <= body_len || self.file.len().ok()? < end {
            return None;
        }
        let mut bytes = vec![0; end as usize];
        let is_whole = self.file.read_at(&mut bytes, 0).ok()? as u64 == end;
        let is_same = bytes[..HEADER_LEN] == self.header;
        if !is_whole || !is_same || DIGEST.get(&bytes) != xxh3_128(&bytes[DIGEST.end()..]).to_le_bytes() {
            return None;
        }
        let spot = |id: Field, segment: Field, offset: Field| Spot {
            place: Place { segment: segment.u32(&bytes), offset: offset.u32(&bytes) },
            segment: id.get(&bytes),
        };
        Some(SavedTable {
            store: STORE.get(&bytes),
            from: spot(FROM_ID, FROM_SEGMENT, FROM_OFFSET),
            upto: spot(UPTO_ID, UPTO_SEGMENT, UPTO_OFFSET),
            counter: COUNTER.u64(&bytes),
            bytes: Arc::new(bytes),
        })
    }
}
