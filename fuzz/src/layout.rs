//! The layout of the format, written down once more from `FORMAT.md`: offsets, checksums and nothing else. It knows
//! nothing of how the store reads and writes.

use std::ops::Range;

/// Everything that stands by itself has sectors of its own.
pub(crate) const SECTOR: usize = 512;
/// Batches begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;
/// The smallest segment there is.
pub(crate) const SEGMENT_BYTES_MIN: usize = 32 * 1024;

/// Fields of the preamble.
pub(crate) mod preamble {
    pub(crate) const MAGIC: &[u8] = b"SCOREBK\n";
    pub(crate) const CHECKSUM: usize = 8;
    pub(crate) const FORMAT: usize = 12;
    pub(crate) const ALGORITHM: usize = 14;
    pub(crate) const STORE: usize = 16;
    pub(crate) const SEGMENT: usize = 32;
    pub(crate) const SEQUENCE: usize = 48;
    pub(crate) const SIZE: usize = 52;
}

/// Fields of a batch header.
pub(crate) mod batch {
    pub(crate) const MAGIC: &[u8] = b"BTCH";
    pub(crate) const CHECKSUM: usize = 4;
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const RECORDS: usize = 12;
    pub(crate) const FLAGS: usize = 14;
    pub(crate) const EPOCH: usize = 16;
    pub(crate) const PREVIOUS: usize = 20;
    pub(crate) const DURABLE_SEGMENT: usize = 24;
    pub(crate) const DURABLE_OFFSET: usize = 28;
    pub(crate) const FIRST_POSITION: usize = 32;
    pub(crate) const TIME: usize = 40;
    pub(crate) const HEADER: usize = 48;
    pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024 + 8;
}

/// Fields of a record header.
pub(crate) mod record {
    pub(crate) const HEADER_CHECKSUM: usize = 0;
    pub(crate) const BODY_CHECKSUM: usize = 4;
    pub(crate) const POSITION: usize = 8;
    pub(crate) const VERSION: usize = 16;
    pub(crate) const TIME: usize = 24;
    pub(crate) const EPOCH: usize = 40;
    pub(crate) const KIND: usize = 44;
    pub(crate) const FLAGS: usize = 45;
    pub(crate) const NAME_LENGTH: usize = 46;
    pub(crate) const TYPE_LENGTH: usize = 47;
    pub(crate) const BODY_LENGTH: usize = 48;
    pub(crate) const METADATA_LENGTH: usize = 52;
    pub(crate) const SCHEMA: usize = 56;
    pub(crate) const TAGS_LENGTH: usize = 60;
    pub(crate) const CODEC: usize = 62;
    pub(crate) const RESERVED: usize = 63;
    pub(crate) const HEADER: usize = 64;
    pub(crate) const BYTES_MAX: usize = 16 * 1024 * 1024;
}

/// Numbers of the kinds of records that this version reads.
pub(crate) mod kind {
    pub(crate) const EVENT: u8 = 1;
    pub(crate) const START: u8 = 2;
    pub(crate) const SESSION: u8 = 3;
    pub(crate) const WATERMARK: u8 = 4;
    pub(crate) const CLOSE: u8 = 5;
    pub(crate) const KEY: u8 = 6;
    pub(crate) const CHECKPOINT: u8 = 7;
    pub(crate) const PARKED: u8 = 8;
    pub(crate) const TOMBSTONE: u8 = 9;
    pub(crate) const TRUNCATE: u8 = 10;
    pub(crate) const DELETE: u8 = 11;
    pub(crate) const UNDELETE: u8 = 12;
    pub(crate) const METADATA: u8 = 13;
    pub(crate) const HOLD: u8 = 14;
    pub(crate) const LOST: u8 = 15;
    pub(crate) const REMOVED: u8 = 17;
    pub(crate) const RETENTION: u8 = 18;
    pub(crate) const QUOTA: u8 = 19;
    /// All but the one that is reserved.
    pub(crate) fn is_known(kind: u8) -> bool {
        (EVENT..=QUOTA).contains(&kind) && kind != 16
    }
}

/// Fields of a footer.
pub(crate) mod footer {
    pub(crate) const MAGIC: &[u8] = b"SEALED\n\0";
    pub(crate) const CHECKSUM: usize = 8;
    pub(crate) const END: usize = 12;
    pub(crate) const LAST_POSITION: usize = 16;
    pub(crate) const EVENTS: usize = 24;
    pub(crate) const BATCHES: usize = 32;
    pub(crate) const DIGEST: usize = 40;
}

/// Fields of a slot of `live`.
pub(crate) mod live {
    pub(crate) const MAGIC: &[u8] = b"SBLIVE1\n";
    pub(crate) const CHECKSUM: usize = 8;
}

/// The highest position there can be.
pub(crate) const POSITION_MAX: u64 = (1 << 62) - 1;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Writes the bytes of a number, or any others.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A plain checksum.
pub(crate) fn plain(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// What the seeded checksums of one segment are seeded with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt(u32);

impl Salt {
    /// Of the segment with this preamble; of store 0, id 0 and sequence number 1 where there is not even room for one.
    pub(crate) fn of(segment: &[u8]) -> Salt {
        match segment.get(preamble::STORE..preamble::SEQUENCE + 4) {
            Some(ids) if segment.starts_with(preamble::MAGIC) => Salt(plain(ids)),
            _ => Salt(plain(&[&[0; 32][..], &1_u32.to_le_bytes()].concat())),
        }
    }

    /// The seeded checksum of bytes that stand at `offset`.
    pub(crate) fn seeded(self, offset: usize, bytes: &[u8]) -> u32 {
        let offset = u32::try_from(offset).expect("segments are small");
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0 ^ offset);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// Where batches may stand in a segment of this many bytes.
pub(crate) fn batches(len: usize) -> Range<usize> {
    SECTOR.min(len)..len.saturating_sub(SECTOR).max(SECTOR.min(len))
}

/// The path of the segment with this sequence number.
pub(crate) fn segment_path(sequence: u32) -> String {
    format!("log/{sequence:010}.log")
}

/// The sequence number a path names, if it is that of a segment.
pub(crate) fn sequence_of(path: &str) -> Option<u32> {
    let sequence = path.strip_prefix("log/")?.strip_suffix(".log")?.parse().ok().filter(|sequence| *sequence != 0)?;
    (segment_path(sequence) == path).then_some(sequence)
}

/// The same, also of a segment that compaction wrote, whose generation stands behind it.
pub(crate) fn sequence_of_any(path: &str) -> Option<u32> {
    let (name, generation) =
        path.strip_suffix(".log")?.rsplit_once('-').map_or((path, None), |(name, generation)| (name, Some(generation)));
    match generation {
        None => sequence_of(path),
        Some(generation) if generation.bytes().all(|byte| byte.is_ascii_digit()) => sequence_of(&format!("{name}.log")),
        Some(_) => None,
    }
}
