//! Walking the records of a segment forwards, verifying each.

use super::reader::{Chunk, Segment};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::{BATCH_HEADER_LEN, BatchHeader, Kind, Loss, RECORD_HEADER_LEN, Range, RecordHeader, RecordView};
use crate::sync::Arc;

/// How much is read ahead where there is no map.
const AHEAD: u32 = 256 * 1024;

/// A place in a segment that moves forwards, record by record, to the end the segment had when it was asked.
pub(crate) struct Cursor {
    segment: Arc<Segment>,
    end: u32,
    chunk: Option<Chunk>,
    /// Where the next record begins, or the next batch when none is left of this one.
    offset: u32,
    records_left: u16,
    batch_end: u32,
}

/// A record that a cursor came by.
pub(crate) enum Passed {
    Event(RecordedEvent),
    /// Positions that are no longer held, on purpose.
    Removed(Range),
    /// Positions that were lost to damage.
    Lost(Range),
}

impl Cursor {
    /// A cursor before the batch that begins at `offset`, which will stop at `end`.
    pub(crate) fn new(segment: Arc<Segment>, offset: u32, end: u32) -> Cursor {
        Cursor { segment, end, chunk: None, offset, records_left: 0, batch_end: offset }
    }

    /// The next record that stands for positions; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Passed>, Error> {
        loop {
            if self.records_left == 0 {
                self.offset = self.batch_end;
                if self.end <= self.offset {
                    return Ok(None);
                }
                self.enter_batch()?;
            }
            if let Some(passed) = self.pass_record()? {
                return Ok(Some(passed));
            }
        }
    }

    fn enter_batch(&mut self) -> Result<(), Error> {
        let begin = self.offset;
        let salt = self.segment.salt;
        let bytes = self.bytes(begin, begin + BATCH_HEADER_LEN as u32)?;
        let verified = BatchHeader::verify(bytes, salt, begin);
        let (header, _) = verified.map_err(|fault| self.segment.fault(begin, fault))?;
        self.records_left = header.records;
        self.batch_end = begin + header.length;
        self.offset = begin + BATCH_HEADER_LEN as u32;
        Ok(())
    }

    fn pass_record(&mut self) -> Result<Option<Passed>, Error> {
        let offset = self.offset;
        let segment = self.segment.clone();
        let fault = |fault| segment.fault(offset, fault);
        let bytes = self.bytes(offset, offset + RECORD_HEADER_LEN as u32)?;
        let header = RecordHeader::verify(bytes, segment.salt, offset).map_err(fault)?;
        let end = offset + header.record_len() as u32;
        let bytes = self.bytes(offset, end)?;
        let passed = match header.kind {
            Kind::Event => {
                let chunk = self.chunk.as_ref().expect("its bytes were just read");
                Some(Passed::Event(segment.event_in(chunk, offset, end)?))
            }
            Kind::Removed => {
                let record = RecordView::verify(bytes, segment.salt, offset).map_err(fault)?;
                Some(Passed::Removed(Range::decode_removed(record.body()).map_err(fault)?))
            }
            Kind::Lost => {
                let record = RecordView::verify(bytes, segment.salt, offset).map_err(fault)?;
                match Loss::decode(record.body()).map_err(fault)? {
                    Loss::Found(range) => Some(Passed::Lost(range)),
                    Loss::Accepted(_) => None,
                }
            }
            _ => None,
        };
        self.offset = end;
        self.records_left -= 1;
        Ok(passed)
    }

    /// The bytes between two offsets, from the chunk at hand or a new one.
    fn bytes(&mut self, from: u32, to: u32) -> Result<&[u8], Error> {
        let is_there = self.chunk.as_ref().is_some_and(|chunk| chunk.get(from, to).is_some());
        if !is_there {
            self.chunk = Some(self.segment.chunk(from, to, AHEAD)?);
        }
        let chunk = self.chunk.as_ref().expect("set above");
        chunk.get(from, to).ok_or_else(|| self.segment.damaged(from))
    }
}
