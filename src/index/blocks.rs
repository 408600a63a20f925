//! Bytes of a derived file, checked block by block when they are first looked at; or bytes in memory.

use crate::event::SharedBytes;
use crate::storage::File;
use crate::sync::{Arc, AtomicU64, Ordering};
use std::borrow::Cow;
use std::fmt;

/// How many bytes have a checksum of their own.
pub(super) const BLOCK: usize = 16 * 1024;

/// A derived file does not hold what it should: nothing that it says counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt;

/// Bytes that are only looked at.
pub(super) struct Blocks {
    bytes: Bytes,
    len: usize,
}

enum Bytes {
    Memory(Vec<u8>),
    File(Checked),
}

/// The bytes of a file from `base` on.
struct Checked {
    file: Arc<dyn File>,
    /// The whole file, where it is mapped; else it is read each time.
    map: Option<SharedBytes>,
    base: usize,
    sums: Vec<u32>,
    /// A bit for each block of the map that was checked. Relaxed: whoever does not see it checks once more.
    verified: Vec<AtomicU64>,
}

impl Blocks {
    /// Bytes that need no check.
    pub(super) fn in_memory(bytes: Vec<u8>) -> Blocks {
        Blocks { len: bytes.len(), bytes: Bytes::Memory(bytes) }
    }

    /// Bytes of a file, `base` bytes behind its beginning, with the checksum of each block.
    pub(super) fn in_file(
        file: Arc<dyn File>,
        map: Option<SharedBytes>,
        base: usize,
        len: usize,
        sums: Vec<u32>,
    ) -> Blocks {
        let verified = (0..sums.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Blocks { bytes: Bytes::File(Checked { file, map, base, sums, verified }), len }
    }

    /// The checksums of the blocks of some bytes.
    pub(super) fn sums(bytes: &[u8]) -> impl Iterator<Item = u32> {
        bytes.chunks(BLOCK).map(crc32fast::hash)
    }

    /// All of them, where they are in memory.
    pub(super) fn memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::File(_) => None,
        }
    }

    /// `len` bytes from `from` on.
    pub(super) fn get(&self, from: usize, len: usize) -> Result<Cow<'_, [u8]>, Doubt> {
        let to = from.checked_add(len).filter(|to| *to <= self.len).ok_or(Doubt)?;
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(Cow::Borrowed(&bytes[from..to])),
            Bytes::File(checked) => checked.get(from, to, self.len),
        }
    }
}

impl Checked {
    fn get(&self, from: usize, to: usize, len: usize) -> Result<Cow<'_, [u8]>, Doubt> {
        let blocks = from / BLOCK..to.div_ceil(BLOCK);
        let Some(map) = &self.map else {
            let begin = blocks.start * BLOCK;
            let mut bytes = vec![0; (blocks.end * BLOCK).min(len).saturating_sub(begin)];
            let read = self.file.read_at(&mut bytes, (self.base + begin) as u64).map_err(|_| Doubt)?;
            let is_sound =
                read == bytes.len() && Blocks::sums(&bytes).eq(self.sums.get(blocks).ok_or(Doubt)?.iter().copied());
            return if is_sound { Ok(Cow::Owned(bytes[from - begin..to - begin].to_vec())) } else { Err(Doubt) };
        };
        let all = (**map).as_ref().get(self.base..self.base + len).ok_or(Doubt)?;
        for block in blocks {
            let (word, bit) = (self.verified.get(block / 64).ok_or(Doubt)?, 1 << (block % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                let bytes = &all[block * BLOCK..len.min((block + 1) * BLOCK)];
                if self.sums.get(block) != Some(&crc32fast::hash(bytes)) {
                    return Err(Doubt);
                }
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(Cow::Borrowed(&all[from..to]))
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = match &self.bytes {
            Bytes::Memory(_) => "in memory",
            Bytes::File(Checked { map: Some(_), .. }) => "mapped",
            Bytes::File(_) => "in a file",
        };
        write!(f, "{} bytes {kept}", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{SimulatedDisk, Storage};

    #[test]
    fn bytes_of_a_file_are_those_written_or_in_doubt() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 100).map(|at| (at * 7 % 251) as u8).collect();
        let sums: Vec<u32> = Blocks::sums(&bytes).collect();
        assert_eq!(sums.len(), 4);
        let disk = SimulatedDisk::new(1);
        for flipped in [None, Some(0), Some(BLOCK), Some(3 * BLOCK + 99)] {
            let mut content = [&[9; 10][..], &bytes].concat();
            if let Some(at) = flipped {
                content[10 + at] ^= 1;
            }
            disk.write_file("f", &content);
            let open = || disk.open("f", crate::storage::Access::Read).expect("the file");
            let read = Blocks::in_file(open(), None, 10, bytes.len(), sums.clone());
            let map: SharedBytes = Arc::new(content);
            let mapped = Blocks::in_file(open(), Some(map), 10, bytes.len(), sums.clone());
            for (from, len) in [(0, 1), (5, BLOCK), (BLOCK - 1, 2), (3 * BLOCK, 100), (0, bytes.len())] {
                let is_hit =
                    flipped.is_some_and(|at| (from / BLOCK..(from + len).div_ceil(BLOCK)).contains(&(at / BLOCK)));
                let expected = if is_hit { Err(Doubt) } else { Ok(Cow::Borrowed(&bytes[from..from + len])) };
                assert_eq!(read.get(from, len), expected, "{from}, {len}, {flipped:?}");
                assert_eq!(mapped.get(from, len), expected, "mapped: {from}, {len}, {flipped:?}");
                assert_eq!(mapped.get(from, len), expected, "again: {from}, {len}, {flipped:?}");
            }
            assert_eq!([read.get(bytes.len(), 1), mapped.get(usize::MAX, 2)], [Err(Doubt), Err(Doubt)]);
        }
    }
}
