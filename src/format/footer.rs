//! The last sector of a sealed segment: where it ends and what is in it.

use super::field::{Field, Salt, is_blank};
use super::{Fault, SECTOR};
use crate::position::Position;

/// The footer has a sector of its own, the last of the file.
pub(crate) const FOOTER_LEN: usize = SECTOR;

const MAGIC: Field = Field::first(8, "magic");
const CHECKSUM: Field = MAGIC.then(4, "checksum");
const END: Field = CHECKSUM.then(4, "end");
const LAST_POSITION: Field = END.then(8, "last position");
const EVENTS: Field = LAST_POSITION.then(8, "events");
const BATCHES: Field = EVENTS.then(8, "batches");
const DIGEST: Field = BATCHES.then(16, "digest");
const PADDING: Field = DIGEST.then(456, "padding");
const _: () = assert!(PADDING.end() == FOOTER_LEN);

#[cfg(test)]
pub(super) const LAYOUT: &[Field] = &[MAGIC, CHECKSUM, END, LAST_POSITION, EVENTS, BATCHES, DIGEST, PADDING];

const MAGIC_BYTES: [u8; 8] = *b"SEALED\n\0";

/// What the footer of a sealed segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The offset behind the last batch.
    pub(crate) end: u32,
    /// The last position given before that end.
    pub(crate) last_position: Position,
    pub(crate) events: u64,
    pub(crate) batches: u64,
    /// XXH3-128 of the bytes from the end of the preamble to the end.
    pub(crate) digest: u128,
}

impl Footer {
    /// The footer of the segment with this salt, to be written `offset` bytes into the file.
    pub(crate) fn encode(&self, salt: Salt) -> [u8; FOOTER_LEN] {
        let mut bytes = [0; FOOTER_LEN];
        MAGIC.put(&mut bytes, MAGIC_BYTES);
        END.put_u32(&mut bytes, self.end);
        LAST_POSITION.put_u64(&mut bytes, self.last_position.get());
        EVENTS.put_u64(&mut bytes, self.events);
        BATCHES.put_u64(&mut bytes, self.batches);
        DIGEST.put(&mut bytes, self.digest.to_le_bytes());
        let sum = salt.checksum(0, &bytes[CHECKSUM.end()..]);
        CHECKSUM.put_u32(&mut bytes, sum);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], salt: Salt) -> Result<Footer, Fault> {
        let Some(bytes) = bytes.get(..FOOTER_LEN) else { return Err(Fault::Unreadable) };
        if MAGIC.get(bytes) != MAGIC_BYTES || CHECKSUM.u32(bytes) != salt.checksum(0, &bytes[CHECKSUM.end()..]) {
            return Err(Fault::Unreadable);
        }
        if !is_blank(&bytes[PADDING.offset..]) {
            return Err(Fault::Newer);
        }
        Ok(Footer {
            end: END.u32(bytes),
            last_position: Position::new(LAST_POSITION.u64(bytes)),
            events: EVENTS.u64(bytes),
            batches: BATCHES.u64(bytes),
            digest: u128::from_le_bytes(DIGEST.get(bytes)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_comes_back_and_any_flipped_bit_shows() {
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let footer = Footer { end: 900, last_position: Position::new(9), events: 9, batches: 4, digest: 7 << 100 };
        let bytes = footer.encode(salt);
        assert_eq!(Footer::decode(&bytes, salt), Ok(footer));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&flipped, salt).is_err(), "bit {bit}");
        }
    }
}
