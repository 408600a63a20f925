//! A segment's bytes, read with positioned reads and walked batch by batch.

use super::{FIRST_BATCH, batches_end};
use crate::format::{BatchHeader, BatchView, FOOTER_LEN, Fault, Footer, Salt, find_batch_header, is_blank};
use crate::mutant::Mutant;
use crate::position::Place;
use crate::storage::File;
use std::io;

/// Reads a whole file into `buffer`, which is reused.
pub(crate) fn read_whole(file: &dyn File, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
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

    /// The furthest end within this segment that a verifying batch header at or behind `from` names as durable.
    pub(crate) fn witness_behind(&self, from: u32) -> Option<u32> {
        let mut furthest = None;
        let mut at = from;
        while let Some(offset) = self.next_header(at) {
            if let Ok((header, _)) = BatchHeader::verify(self.batches_from(offset), self.salt, offset) {
                furthest = furthest.max(self.names_here(header.durable));
            }
            at = offset + 8;
        }
        furthest
    }

    /// The offset a durable end names, if it is one in this segment.
    pub(crate) fn names_here(&self, durable: Place) -> Option<u32> {
        (durable.segment == self.sequence && FIRST_BATCH < durable.offset).then_some(durable.offset)
    }

    /// The footer, if there is one that verifies.
    pub(crate) fn footer(&self) -> Option<Footer> {
        let sector = self.bytes.get((batches_end(self.size) - self.base) as usize..)?.get(..FOOTER_LEN)?;
        Footer::decode(sector, self.salt).ok()
    }
}
