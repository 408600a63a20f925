//! A snapshot in a file: what it says of itself, the name of its source, and the state.
//!
//! The layout is in `FORMAT.md`, which a test holds against the constants here.

use super::source::{SnapshotFault, SnapshotSource};
use super::{FileName, SNAPSHOTS_DIR};
use crate::event::{Codec, RecordedEvent};
use crate::format::Field;
use crate::log::Witness;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{Place, Position, Version};
use crate::storage::{Access, File, Storage};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::io;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const HEADER_LEN: usize = 256;

const MAGIC: Field = Field::first(8, "magic");
const DIGEST: Field = MAGIC.then(16, "digest");
const STATE_DIGEST: Field = DIGEST.then(16, "state digest");
const STORE: Field = STATE_DIGEST.then(16, "store id");
const SEGMENT_ID: Field = STORE.then(16, "segment id");
const SEGMENT: Field = SEGMENT_ID.then(4, "segment");
const OFFSET: Field = SEGMENT.then(4, "offset");
const POSITION: Field = OFFSET.then(8, "position");
const VERSION: Field = POSITION.then(8, "version");
const LAST_POSITION: Field = VERSION.then(8, "last position");
const LAST_EPOCH_BITS: Field = LAST_POSITION.then(8, "last epoch bits");
const LAST_TIME: Field = LAST_EPOCH_BITS.then(8, "last time");
const LAST_HASH: Field = LAST_TIME.then(8, "last hash");
const LAST_EPOCH: Field = LAST_HASH.then(4, "last epoch");
const SCHEMA: Field = LAST_EPOCH.then(4, "schema");
const SHAPE: Field = SCHEMA.then(8, "shape");
const FOLDED_BYTES: Field = SHAPE.then(8, "folded bytes");
const TIME: Field = FOLDED_BYTES.then(8, "time");
const STATE_LEN: Field = TIME.then(8, "state length");
const NAME_LEN: Field = STATE_LEN.then(2, "name length");
const STREAM_LEN: Field = NAME_LEN.then(2, "stream length");
const KIND: Field = STREAM_LEN.then(1, "kind");
const CODEC: Field = KIND.then(1, "codec");
const CARRIED: Field = CODEC.then(8, "carried");
const PADDING: Field = CARRIED.then(74, "padding");
const _: () = assert!(PADDING.end() == HEADER_LEN);

const MAGIC_BYTES: [u8; 8] = *b"SBSTATE2";

/// No state is written that is larger.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

const PROJECTION: u8 = 1;
const AGGREGATE: u8 = 2;

/// What a snapshot says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) store: [u8; 16],
    /// Up to where the log was durable when it was written, and the random id of the segment there.
    pub(crate) durable: Place,
    pub(crate) segment: [u8; 16],
    pub(crate) source: SnapshotSource,
    pub(crate) schema: u32,
    /// What else tells states apart that cannot be read as each other: of a projection the hash of its query.
    pub(crate) shape: u64,
    pub(crate) codec: Codec,
    /// Every event up to here is in it that the source asks for, and none behind.
    pub(crate) position: Position,
    /// The same as a version of the stream; [`Version::NONE`] for a projection.
    pub(crate) version: Version,
    pub(crate) last: LastEvent,
    /// The hash of the state that the stream began with; 0 where it began with its first event.
    pub(crate) carried: u64,
    /// How many bytes of payload it was folded from.
    pub(crate) folded_bytes: u64,
    /// When it was written, by the clock.
    pub(crate) time: Timestamp,
}

/// What tells the last event that a state speaks of from every other, also from one that was given its position again after a
/// loss, or in a log that was this one until a while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastEvent {
    pub(crate) position: Position,
    pub(crate) epoch: u32,
    pub(crate) epoch_bits: u64,
    pub(crate) time: Timestamp,
    pub(crate) hash: u64,
}

impl LastEvent {
    pub(crate) fn of(event: &RecordedEvent) -> LastEvent {
        let mut hasher = Xxh3::new();
        for part in
            [event.stream().as_bytes(), event.event_type().as_bytes(), event.metadata_json().as_bytes(), event.data()]
        {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        LastEvent {
            position: event.position(),
            epoch: event.epoch(),
            epoch_bits: event.epoch_bits,
            time: event.time(),
            hash: hasher.digest(),
        }
    }
}

/// A file of which the head verifies.
pub(crate) struct SnapshotFile {
    pub(crate) head: Head,
    file: Arc<dyn File>,
    state_at: u64,
    state_len: usize,
    state_digest: [u8; 16],
}

impl SnapshotFile {
    /// Opens a file and reads what it says of itself. `Ok(None)` where there is no such file.
    pub(crate) fn open(storage: &dyn Storage, name: &FileName) -> Result<Option<SnapshotFile>, SnapshotFault> {
        let file = match storage.open(&name.path(), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|_| SnapshotFault::Damaged)?,
        };
        let read = Self::read(file).map_err(|_| SnapshotFault::Damaged)?.ok_or(SnapshotFault::Damaged)?;
        let Head { source, schema, position, version, .. } = &read.head;
        let is_named =
            (source.key(), *schema, *position, *version) == (name.key, name.schema, name.position, name.version);
        if is_named { Ok(Some(read)) } else { Err(SnapshotFault::Foreign) }
    }

    fn read(file: Arc<dyn File>) -> io::Result<Option<SnapshotFile>> {
        let mut bytes = vec![0; HEADER_LEN];
        if file.read_at(&mut bytes, 0)? < HEADER_LEN || MAGIC.get(&bytes) != MAGIC_BYTES {
            return Ok(None);
        }
        let (name_len, stream_len) = (usize::from(NAME_LEN.u16(&bytes)), usize::from(STREAM_LEN.u16(&bytes)));
        bytes.resize(HEADER_LEN + name_len + stream_len, 0);
        if file.read_at(&mut bytes[HEADER_LEN..], HEADER_LEN as u64)? < name_len + stream_len {
            return Ok(None);
        }
        let is_sound = DIGEST.get(&bytes) == xxh3_128(&bytes[DIGEST.end()..]).to_le_bytes();
        if !is_sound && !Mutant::TrustsADamagedState.is_on() {
            return Ok(None);
        }
        let state_len = usize::try_from(STATE_LEN.u64(&bytes)).unwrap_or(usize::MAX);
        let Some(head) = Head::decode(&bytes, name_len).filter(|_| state_len < BODY_BYTES_MAX) else { return Ok(None) };
        let (state_at, state_digest) = (bytes.len() as u64, STATE_DIGEST.get(&bytes));
        Ok(Some(SnapshotFile { head, file, state_at, state_len, state_digest }))
    }

    /// How many bytes the file has by its own account.
    pub(crate) fn len(&self) -> u64 {
        self.state_at + self.state_len as u64
    }

    /// The state as it was written, if it verifies.
    pub(crate) fn state(&self) -> Result<Vec<u8>, SnapshotFault> {
        if self.file.len().map_err(|_| SnapshotFault::Damaged)? < self.len() {
            return Err(SnapshotFault::Damaged);
        }
        let mut state = vec![0; self.state_len];
        let read = self.file.read_at(&mut state, self.state_at).map_err(|_| SnapshotFault::Damaged)?;
        let is_sound = read == self.state_len && xxh3_128(&state).to_le_bytes() == self.state_digest;
        if is_sound || Mutant::TrustsADamagedState.is_on() { Ok(state) } else { Err(SnapshotFault::Damaged) }
    }

    /// What it proves of the log.
    pub(super) fn witness(&self) -> Witness {
        let Head { store, durable, segment, .. } = self.head;
        Witness { store, durable, segment }
    }

    /// Writes a file under a name that none has, and makes it durable. Where that fails, nothing is left of it.
    pub(super) fn write(storage: &dyn Storage, name: &FileName, head: &Head, state: &[u8]) -> io::Result<()> {
        let bytes = head.encode(state)?;
        let path = name.path();
        let file = match storage.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create_dir(SNAPSHOTS_DIR)?;
                storage.create(&path)?
            }
            file => file?,
        };
        let written = file.write_at(&bytes, 0).and_then(|()| file.sync());
        file.retire();
        let written = written.and_then(|()| storage.sync_dir(SNAPSHOTS_DIR));
        if written.is_err() {
            // What is left takes room and does not verify: it goes with the next that is written.
            let _ = storage.remove(&path);
        }
        written
    }
}

impl Head {
    fn encode(&self, state: &[u8]) -> io::Result<Vec<u8>> {
        let (kind, name, stream) = match &self.source {
            SnapshotSource::Projection { name } => (PROJECTION, name, ""),
            SnapshotSource::Aggregate { name, stream } => (AGGREGATE, name, stream.as_str()),
        };
        let too_long = |_| io::Error::other("the name of what is saved is too long");
        let (name_len, stream_len) =
            (u16::try_from(name.len()).map_err(too_long)?, u16::try_from(stream.len()).map_err(too_long)?);
        let mut bytes = vec![0; HEADER_LEN];
        bytes.reserve(name.len() + stream.len() + state.len());
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        STATE_DIGEST.put(&mut bytes, xxh3_128(state).to_le_bytes());
        STORE.put(&mut bytes, self.store);
        SEGMENT_ID.put(&mut bytes, self.segment);
        SEGMENT.put_u32(&mut bytes, self.durable.segment);
        OFFSET.put_u32(&mut bytes, self.durable.offset);
        POSITION.put_u64(&mut bytes, self.position.get());
        VERSION.put_u64(&mut bytes, self.version.get());
        LAST_POSITION.put_u64(&mut bytes, self.last.position.get());
        LAST_EPOCH_BITS.put_u64(&mut bytes, self.last.epoch_bits);
        LAST_TIME.put_i64(&mut bytes, self.last.time.nanos());
        LAST_HASH.put_u64(&mut bytes, self.last.hash);
        LAST_EPOCH.put_u32(&mut bytes, self.last.epoch);
        SCHEMA.put_u32(&mut bytes, self.schema);
        SHAPE.put_u64(&mut bytes, self.shape);
        FOLDED_BYTES.put_u64(&mut bytes, self.folded_bytes);
        TIME.put_i64(&mut bytes, self.time.nanos());
        STATE_LEN.put_u64(&mut bytes, state.len() as u64);
        NAME_LEN.put_u16(&mut bytes, name_len);
        STREAM_LEN.put_u16(&mut bytes, stream_len);
        KIND.put_u8(&mut bytes, kind);
        CODEC.put_u8(&mut bytes, if self.codec == Codec::Bincode { 3 } else { 1 });
        CARRIED.put_u64(&mut bytes, self.carried);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(stream.as_bytes());
        let digest = xxh3_128(&bytes[DIGEST.end()..]);
        DIGEST.put(&mut bytes, digest.to_le_bytes());
        bytes.extend_from_slice(state);
        Ok(bytes)
    }

    /// What a header and the names behind it say, where that makes sense.
    fn decode(bytes: &[u8], name_len: usize) -> Option<Head> {
        let (name, stream) = bytes[HEADER_LEN..].split_at(name_len);
        let (name, stream) = (String::from_utf8(name.to_vec()).ok()?, std::str::from_utf8(stream).ok()?);
        let source = match KIND.u8(bytes) {
            PROJECTION if stream.is_empty() => SnapshotSource::Projection { name },
            AGGREGATE => SnapshotSource::Aggregate { name, stream: StreamName::new(stream).ok()? },
            _ => return None,
        };
        let codec = match CODEC.u8(bytes) {
            1 => Codec::Json,
            3 => Codec::Bincode,
            _ => return None,
        };
        Some(Head {
            store: STORE.get(bytes),
            durable: Place { segment: SEGMENT.u32(bytes), offset: OFFSET.u32(bytes) },
            segment: SEGMENT_ID.get(bytes),
            source,
            schema: SCHEMA.u32(bytes),
            shape: SHAPE.u64(bytes),
            codec,
            position: Position::new(POSITION.u64(bytes)),
            version: Version::new(VERSION.u64(bytes)),
            last: LastEvent {
                position: Position::new(LAST_POSITION.u64(bytes)),
                epoch: LAST_EPOCH.u32(bytes),
                epoch_bits: LAST_EPOCH_BITS.u64(bytes),
                time: Timestamp::from_nanos(LAST_TIME.i64(bytes)),
                hash: LAST_HASH.u64(bytes),
            },
            carried: CARRIED.u64(bytes),
            folded_bytes: FOLDED_BYTES.u64(bytes),
            time: Timestamp::from_nanos(TIME.i64(bytes)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_constants_agree() {
        let page = include_str!("../format/FORMAT.md");
        let section = page.split("\n## ").find(|section| section.starts_with("Snapshot")).expect("a section");
        let layout = [
            MAGIC,
            DIGEST,
            STATE_DIGEST,
            STORE,
            SEGMENT_ID,
            SEGMENT,
            OFFSET,
            POSITION,
            VERSION,
            LAST_POSITION,
            LAST_EPOCH_BITS,
            LAST_TIME,
            LAST_HASH,
            LAST_EPOCH,
            SCHEMA,
            SHAPE,
            FOLDED_BYTES,
            TIME,
            STATE_LEN,
            NAME_LEN,
            STREAM_LEN,
            KIND,
            CODEC,
            CARRIED,
            PADDING,
        ];
        let rows: Vec<&str> =
            section.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2] != b'o').collect();
        assert_eq!(rows.len(), layout.len());
        for (row, field) in rows.iter().zip(layout) {
            let expected = format!("| {} | {} | {} |", field.offset, field.size, field.name);
            assert!(row.starts_with(&expected), "{row} is not {expected}");
        }
    }
}
