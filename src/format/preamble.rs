//! The first sector of a segment file: what the file is, written before anything counts in it.

use super::field::{Field, Salt, checksum, is_blank};
use super::{FORMAT, SECTOR};

/// The preamble has a sector of its own; the log's first record follows it.
pub(crate) const PREAMBLE_LEN: usize = SECTOR;

const MAGIC: Field = Field::first(8, "magic");
const CHECKSUM: Field = MAGIC.then(4, "checksum");
const FORMAT_NUMBER: Field = CHECKSUM.then(2, "format");
const ALGORITHM: Field = FORMAT_NUMBER.then(1, "checksum algorithm");
const RESERVED: Field = ALGORITHM.then(1, "reserved");
const STORE: Field = RESERVED.then(16, "store id");
const SEGMENT: Field = STORE.then(16, "segment id");
const SEQUENCE: Field = SEGMENT.then(4, "sequence");
const SIZE: Field = SEQUENCE.then(4, "size");
const GENERATION: Field = SIZE.then(4, "generation");
const REPLACES: Field = GENERATION.then(4, "replaces from");
const PADDING: Field = REPLACES.then(448, "padding");
const _: () = assert!(PADDING.end() == PREAMBLE_LEN);

#[cfg(test)]
pub(super) const LAYOUT: &[Field] = &[
    MAGIC,
    CHECKSUM,
    FORMAT_NUMBER,
    ALGORITHM,
    RESERVED,
    STORE,
    SEGMENT,
    SEQUENCE,
    SIZE,
    GENERATION,
    REPLACES,
    PADDING,
];

const MAGIC_BYTES: [u8; 8] = *b"SCOREBK\n";
/// CRC-32 as in zlib (IEEE 802.3).
const CRC32: u8 = 1;

/// What a segment file says of itself in its first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) store: [u8; 16],
    pub(crate) segment: [u8; 16],
    pub(crate) sequence: u32,
    pub(crate) size: u32,
    /// What it stands for, if compaction wrote it.
    pub(crate) rewritten: Option<Rewritten>,
}

/// What a segment stands for that compaction wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// How often what it holds was rewritten; at least 1.
    pub(crate) generation: u32,
    /// It stands for all segments of the log from this sequence number to its own.
    pub(crate) from: u32,
}

/// Why a first sector is no preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreambleFault {
    /// Nothing but zeros: never written.
    Blank,
    /// It does not verify.
    Unreadable,
    /// It verifies and is of a format this crate does not know.
    Newer { format: u16 },
}

impl Preamble {
    pub(crate) fn encode(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        FORMAT_NUMBER.put_u16(&mut bytes, FORMAT);
        ALGORITHM.put_u8(&mut bytes, CRC32);
        STORE.put(&mut bytes, self.store);
        SEGMENT.put(&mut bytes, self.segment);
        SEQUENCE.put_u32(&mut bytes, self.sequence);
        SIZE.put_u32(&mut bytes, self.size);
        GENERATION.put_u32(&mut bytes, self.generation());
        REPLACES.put_u32(&mut bytes, self.rewritten.map_or(0, |rewritten| rewritten.from));
        let sum = checksum(&bytes[CHECKSUM.end()..]);
        CHECKSUM.put_u32(&mut bytes, sum);
        bytes
    }

    /// The format that a first sector is of, whatever that is: magic and checksum stand where they are in every format to come,
    /// so that a newer one can be told from a damaged one.
    pub(crate) fn format_of(bytes: &[u8]) -> Result<u16, PreambleFault> {
        let Some(bytes) = bytes.get(..PREAMBLE_LEN) else {
            return Err(if is_blank(bytes) { PreambleFault::Blank } else { PreambleFault::Unreadable });
        };
        if is_blank(bytes) {
            return Err(PreambleFault::Blank);
        }
        if MAGIC.get(bytes) != MAGIC_BYTES || CHECKSUM.u32(bytes) != checksum(&bytes[CHECKSUM.end()..]) {
            return Err(PreambleFault::Unreadable);
        }
        Ok(FORMAT_NUMBER.u16(bytes))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Preamble, PreambleFault> {
        let format = Preamble::format_of(bytes)?;
        let bytes = &bytes[..PREAMBLE_LEN];
        let is_known = format == FORMAT
            && ALGORITHM.u8(bytes) == CRC32
            && RESERVED.u8(bytes) == 0
            && (GENERATION.u32(bytes) == 0) == (REPLACES.u32(bytes) == 0)
            && REPLACES.u32(bytes) <= SEQUENCE.u32(bytes)
            && is_blank(&bytes[PADDING.offset..]);
        if !is_known {
            return Err(PreambleFault::Newer { format });
        }
        let rewritten = Rewritten { generation: GENERATION.u32(bytes), from: REPLACES.u32(bytes) };
        Ok(Preamble {
            store: STORE.get(bytes),
            segment: SEGMENT.get(bytes),
            sequence: SEQUENCE.u32(bytes),
            size: SIZE.u32(bytes),
            rewritten: (rewritten.generation != 0).then_some(rewritten),
        })
    }

    /// How often what it holds was rewritten by compaction.
    pub(crate) fn generation(&self) -> u32 {
        self.rewritten.map_or(0, |rewritten| rewritten.generation)
    }

    /// The first sequence number it stands for.
    pub(crate) fn stands_from(&self) -> u32 {
        self.rewritten.map_or(self.sequence, |rewritten| rewritten.from)
    }

    pub(crate) fn salt(&self) -> Salt {
        Salt::of(&self.store, &self.segment, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_comes_back_and_any_flipped_bit_shows() {
        let preamble = Preamble { store: [1; 16], segment: [2; 16], sequence: 3, size: 32768, rewritten: None };
        let rewritten = Some(Rewritten { generation: 2, from: 1 });
        for preamble in [preamble, Preamble { rewritten, ..preamble }] {
            assert_eq!(Preamble::decode(&preamble.encode()), Ok(preamble));
        }
        let bytes = preamble.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Preamble::decode(&flipped), Err(PreambleFault::Unreadable), "bit {bit}");
        }
        assert_eq!(Preamble::decode(&[0; 512]), Err(PreambleFault::Blank));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes =
            Preamble { store: [1; 16], segment: [2; 16], sequence: 3, size: 32768, rewritten: None }.encode();
        FORMAT_NUMBER.put_u16(&mut bytes, 2);
        let sum = checksum(&bytes[CHECKSUM.end()..]);
        CHECKSUM.put_u32(&mut bytes, sum);
        assert_eq!(Preamble::decode(&bytes), Err(PreambleFault::Newer { format: 2 }));
    }

    #[test]
    fn a_segment_stands_for_a_range_that_ends_with_it_or_for_itself() {
        let preamble = Preamble { store: [1; 16], segment: [2; 16], sequence: 3, size: 32768, rewritten: None };
        let decode = |generation, from| {
            let rewritten = Some(Rewritten { generation, from });
            Preamble::decode(&Preamble { rewritten, ..preamble }.encode()).is_ok()
        };
        assert!(decode(1, 1) && decode(7, 3) && decode(0, 0));
        assert!(!decode(1, 4) && !decode(1, 0) && !decode(0, 1));
        assert_eq!((preamble.generation(), preamble.stands_from()), (0, 3));
    }
}
