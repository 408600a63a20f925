//! The stream table on disk: written now and then and at close, so that opening need not read the log to know its streams.
//!
//! It is taken while others append, a few streams at a time, so it is not of one moment: it holds at least what was visible
//! at the place `from`, and nothing that was not durable at the place `upto`. Whoever opens the log reads on from the first,
//! and passes over what is known already.
//!
//! ```text
//! header      512 bytes, see below
//! body        see `columns`
//! ```
//!
//! There are two files, written in turn, so that one is whole whatever happens to the other. They are derived: one that does
//! not verify is no worse than none.

use super::columns::SavedStreams;
use crate::format::{Field, Preamble};
use crate::log::Witness;
use crate::position::Place;
use crate::storage::{Access, File, Storage};
use crate::sync::Arc;
use std::io;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The directory of what is derived from the whole log.
pub(super) const INDEX_DIR: &str = "index";

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
const REWRITES: Field = BODY_LEN.then(8, "digest of what was rewritten");
const PADDING: Field = REWRITES.then(400, "padding");
const _: () = assert!(PADDING.end() == HEADER_LEN);

const MAGIC_BYTES: [u8; 8] = *b"SBTABLE5";

/// No body is larger; a table of more is not written.
const BODY_BYTES_MAX: usize = 1 << 30;

/// A place in a segment with this random id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) segment: [u8; 16],
}

/// A stream table that was read from disk and verifies.
#[derive(Clone, Debug)]
pub(crate) struct SavedTable {
    pub(crate) store: [u8; 16],
    pub(crate) from: Spot,
    pub(crate) upto: Spot,
    /// Which segments compaction had written by then: see [`rewrites`].
    pub(crate) rewrites: u64,
    counter: u64,
    bytes: Arc<Vec<u8>>,
}

impl SavedTable {
    /// The newest table in a store's directory that verifies.
    pub(crate) fn read(storage: &dyn Storage) -> Option<SavedTable> {
        let mut slots: Vec<Slot> = [0, 1].into_iter().filter_map(|number| Slot::open(storage, number)).collect();
        slots.sort_by_key(Slot::counter);
        slots.into_iter().rev().find_map(Slot::read)
    }

    /// One of the two there may be, if it verifies.
    pub(super) fn read_slot(storage: &dyn Storage, number: u64) -> Option<SavedTable> {
        Slot::open(storage, number).and_then(Slot::read)
    }

    /// What it proves of the log.
    pub(crate) fn witness(&self) -> Witness {
        Witness { store: self.store, durable: self.upto.place, segment: self.upto.segment }
    }

    /// What stands in it.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// Writes a table, in place of the older of the two there may be, and syncs it. Its length.
    pub(crate) fn write(
        storage: &dyn Storage,
        store: [u8; 16],
        (from, upto, rewrites): (Spot, Spot, u64),
        counter: u64,
        streams: SavedStreams,
    ) -> io::Result<u64> {
        let mut bytes = vec![0; HEADER_LEN];
        streams.encode(&mut bytes)?;
        let body_len = bytes.len() - HEADER_LEN;
        if BODY_BYTES_MAX <= body_len {
            return Err(io::Error::other("more streams than a table on disk takes"));
        }
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        STORE.put(&mut bytes, store);
        COUNTER.put_u64(&mut bytes, counter);
        FROM_ID.put(&mut bytes, from.segment);
        FROM_SEGMENT.put_u32(&mut bytes, from.place.segment);
        FROM_OFFSET.put_u32(&mut bytes, from.place.offset);
        UPTO_ID.put(&mut bytes, upto.segment);
        UPTO_SEGMENT.put_u32(&mut bytes, upto.place.segment);
        UPTO_OFFSET.put_u32(&mut bytes, upto.place.offset);
        BODY_LEN.put_u64(&mut bytes, body_len as u64);
        REWRITES.put_u64(&mut bytes, rewrites);
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

/// A number for the segments of a log that compaction wrote; 0 where there is none. A table that was saved before one of them
/// was written knows of events that are not there any more.
pub(crate) fn rewrites<'a>(segments: impl Iterator<Item = &'a Preamble>) -> u64 {
    let ids: Vec<u8> = segments.filter(|preamble| preamble.rewritten.is_some()).flat_map(|of| of.segment).collect();
    if ids.is_empty() { 0 } else { xxh3_64(&ids).max(1) }
}

/// Where the table with this number is written.
pub(super) fn slot_path(counter: u64) -> String {
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
            rewrites: REWRITES.u64(&bytes),
            counter: COUNTER.u64(&bytes),
            bytes: Arc::new(bytes),
        })
    }
}
