//! A segment's bytes, read with positioned reads and walked batch by batch.

use super::{FIRST_BATCH, batches_end};
use crate::format::{
    BatchHeader, BatchView, Fault, Footer, Kind, PREAMBLE_LEN, Preamble, Salt, Start, find_batch_header, is_blank,
};
use crate::mutant::Mutant;
use crate::position::Place;
use crate::storage::File;
use crate::time::Timestamp;
use std::io;

/// Reads the first `len` bytes of a file into `buffer`, which is reused, or as many as there are.
pub(crate) fn read_whole(file: &dyn File, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    // What a preamble says of its size takes no memory: the file may have been cut, or the preamble made up.
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(len);
    if buffer.try_reserve_exact(len).is_err() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    buffer.resize(len, 0);
    let read = match file.read_at(buffer, 0) {
        Err(_) if Mutant::TakesAReadErrorForTheEnd.is_on() => 0,
        read => read?,
    };
    buffer.truncate(read);
    Ok(())
}

/// How a segment began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) start: Start,
    /// No batch before it has a higher epoch or a later time.
    pub(crate) epoch: u32,
    pub(crate) time: Timestamp,
}

/// The start record behind the preamble that a segment begins with, if it verifies.
pub(crate) fn decode_start(head: &[u8], preamble: &Preamble) -> Result<Begun, Fault> {
    let bytes = head.get(PREAMBLE_LEN..).unwrap_or_default();
    let batch = BatchView::verify(bytes, preamble.salt(), FIRST_BATCH)?;
    match batch.records().next() {
        Some(record) if record.header.kind == Kind::Start => {
            Ok(Begun { start: Start::decode(record.body())?, epoch: batch.header.epoch, time: batch.header.time })
        }
        _ => Err(Fault::Senseless),
    }
}

/// The bytes of one segment, with what is needed to verify them.
pub(crate) struct ScannedSegment<'a> {
    pub(crate) bytes: &'a [u8],
    /// The offset of the first of them in the segment.
    pub(crate) base: u32,
    pub(crate) salt: Salt,
    pub(crate) sequence: u32,
    /// The size the preamble says, which is that of the file.
    pub(crate) size: u32,
}

/// What stands at some offset of a segment.
pub(crate) enum Found<'a> {
    Batch(BatchView<'a>),
    /// From here on there is nothing but zeros.
    Blank,
    Bad(Fault),
}

impl<'a> ScannedSegment<'a> {
    /// The bytes of the batches from `offset` on.
    fn batches_from(&self, offset: u32) -> &'a [u8] {
        let end = (batches_end(self.size).saturating_sub(self.base) as usize).min(self.bytes.len());
        let from = (offset.saturating_sub(self.base) as usize).min(end);
        &self.bytes[from..end]
    }

    /// What stands at `offset`.
    pub(crate) fn at(&self, offset: u32) -> Found<'a> {
        let rest = self.batches_from(offset);
        match BatchView::verify(rest, self.salt, offset) {
            Ok(batch) => Found::Batch(batch),
            Err(_) if self.is_blank_from(offset) => Found::Blank,
            Err(fault) => Found::Bad(fault),
        }
    }

    /// Whether nothing but zeros stands at and behind `offset`, up to the footer's sector.
    pub(crate) fn is_blank_from(&self, offset: u32) -> bool {
        is_blank(self.batches_from(offset))
    }

    /// The offset of the next batch header behind `offset` that verifies.
    pub(crate) fn next_header(&self, offset: u32) -> Option<u32> {
        find_batch_header(self.batches_from(self.base), self.base, offset, self.salt)
    }

    /// The length that the header at `offset` gives its batch; 0 where it does not verify.
    pub(crate) fn length_at(&self, offset: u32) -> usize {
        BatchHeader::verify(self.batches_from(offset), self.salt, offset)
            .map_or(0, |(header, _)| header.length as usize)
    }

    /// The durable ends that verifying batch headers at or behind `from` name, in whatever segment they are.
    pub(crate) fn ends_named_behind(&self, from: u32) -> impl Iterator<Item = Place> {
        let mut at = from;
        std::iter::from_fn(move || {
            while let Some(offset) = self.next_header(at) {
                at = offset + 8;
                if let Ok((header, _)) = BatchHeader::verify(self.batches_from(offset), self.salt, offset) {
                    return Some(header.durable);
                }
            }
            None
        })
    }

    /// The furthest end within this segment that a verifying batch header at or behind `from` names as durable.
    pub(crate) fn witness_behind(&self, from: u32) -> Option<u32> {
        self.ends_named_behind(from).filter_map(|durable| self.names_here(durable)).max()
    }

    /// The offset a durable end names, if it is one in this segment.
    pub(crate) fn names_here(&self, durable: Place) -> Option<u32> {
        (durable.segment == self.sequence && FIRST_BATCH < durable.offset).then_some(durable.offset)
    }

    /// Where the last batch ends whose header verifies.
    pub(crate) fn last_end(&self) -> u32 {
        let mut end = FIRST_BATCH;
        while let Some(offset) = self.next_header(end) {
            end = offset + self.length_at(offset).max(8) as u32;
        }
        end.min(batches_end(self.size))
    }

    /// The footer, if there is one that verifies.
    pub(crate) fn footer(&self) -> Result<Footer, Fault> {
        let sector = self.bytes.get((batches_end(self.size) - self.base) as usize..).unwrap_or_default();
        Footer::decode(sector, self.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{SimulatedDisk, Storage};

    #[test]
    fn what_a_preamble_says_of_its_size_takes_no_memory() {
        let disk = SimulatedDisk::new(1);
        disk.write_file("cut", &[1; 600]);
        let file = disk.open("cut", crate::storage::Access::Read).expect("the file");
        let mut buffer = Vec::new();
        read_whole(&*file, 1 << 40, &mut buffer).expect("600 bytes");
        assert_eq!(buffer, [1; 600]);
        assert!(buffer.capacity() < 4096, "{} bytes were taken", buffer.capacity());
    }
}
