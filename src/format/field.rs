//! Fields at fixed offsets, little-endian, and the checksums over them.

use crate::mutant::Mutant;
use crc32fast::Hasher;

/// A field of a fixed layout. Layouts are ladders: each field says the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) offset: usize,
    pub(crate) size: usize,
    pub(crate) name: &'static str,
}

impl Field {
    /// The first field of a layout.
    pub(crate) const fn first(size: usize, name: &'static str) -> Field {
        Field { offset: 0, size, name }
    }

    /// The field behind this one.
    pub(crate) const fn then(self, size: usize, name: &'static str) -> Field {
        Field { offset: self.end(), size, name }
    }

    /// The offset behind this field.
    pub(crate) const fn end(self) -> usize {
        self.offset + self.size
    }

    pub(crate) fn get<const N: usize>(self, bytes: &[u8]) -> [u8; N] {
        debug_assert_eq!(self.size, N, "{}", self.name);
        let mut value = [0; N];
        value.copy_from_slice(&bytes[self.offset..self.offset + N]);
        value
    }

    pub(crate) fn u8(self, bytes: &[u8]) -> u8 {
        bytes[self.offset]
    }

    pub(crate) fn u16(self, bytes: &[u8]) -> u16 {
        u16::from_le_bytes(self.get(bytes))
    }

    pub(crate) fn u32(self, bytes: &[u8]) -> u32 {
        u32::from_le_bytes(self.get(bytes))
    }

    pub(crate) fn u64(self, bytes: &[u8]) -> u64 {
        u64::from_le_bytes(self.get(bytes))
    }

    pub(crate) fn i64(self, bytes: &[u8]) -> i64 {
        i64::from_le_bytes(self.get(bytes))
    }

    /// Writes a value of exactly the field's size.
    pub(crate) fn put(self, bytes: &mut [u8], value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        debug_assert_eq!(self.size, value.len(), "{}", self.name);
        bytes[self.offset..self.offset + value.len()].copy_from_slice(value);
    }

    pub(crate) fn put_u8(self, bytes: &mut [u8], value: u8) {
        self.put(bytes, [value]);
    }

    pub(crate) fn put_u16(self, bytes: &mut [u8], value: u16) {
        self.put(bytes, value.to_le_bytes());
    }

    pub(crate) fn put_u32(self, bytes: &mut [u8], value: u32) {
        self.put(bytes, value.to_le_bytes());
    }

    pub(crate) fn put_u64(self, bytes: &mut [u8], value: u64) {
        self.put(bytes, value.to_le_bytes());
    }

    pub(crate) fn put_i64(self, bytes: &mut [u8], value: i64) {
        self.put(bytes, value.to_le_bytes());
    }
}

/// What the header checksums of one segment are seeded with, so that leftovers, copies and swapped records do
/// not verify: the CRC of store, segment and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    pub(crate) fn of(store: &[u8; 16], segment: &[u8; 16], sequence: u32) -> Salt {
        let mut hasher = Hasher::new();
        hasher.update(store);
        hasher.update(segment);
        hasher.update(&sequence.to_le_bytes());
        Salt(hasher.finalize())
    }

    /// The checksum of a header that stands at `offset`. With one salt, two offsets never give the same seed.
    pub(crate) fn checksum(self, offset: u32, bytes: &[u8]) -> u32 {
        let offset = if Mutant::MixesNoPlaceIn.is_on() { 0 } else { offset };
        let mut hasher = Hasher::new_with_initial(self.0 ^ offset);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The checksum of bytes wherever they stand.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Whether all bytes are zero.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    // Compared in pieces, which is as fast as memory is read: most of a young segment is looked at by this alone.
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|piece| *piece == ZEROS[..piece.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_where_its_field_lies_and_read_there() {
        const FIRST: Field = Field::first(3, "something before");
        const TIME: Field = FIRST.then(8, "time");
        let mut bytes = [7; 13];
        TIME.put_i64(&mut bytes, -2);
        assert_eq!(bytes, [7, 7, 7, 254, 255, 255, 255, 255, 255, 255, 255, 7, 7]);
        assert_eq!(TIME.i64(&bytes), -2);
    }

    #[test]
    fn the_same_bytes_at_another_place_have_another_checksum() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        assert_ne!(salt.checksum(512, b"header"), salt.checksum(520, b"header"));
        for other in [Salt::of(&[9; 16], &[2; 16], 3), Salt::of(&[1; 16], &[9; 16], 3), Salt::of(&[1; 16], &[2; 16], 4)]
        {
            assert_ne!(salt.checksum(512, b"header"), other.checksum(512, b"header"));
        }
    }
}
