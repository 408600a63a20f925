//! Walking the records of a segment forwards, verifying each.

use super::reader::{Chunk, Segment};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, Fault, Kind, Loss, RECORD_HEADER_LEN, Range, RecordHeader, RecordView, Salt,
};
use crate::position::Position;
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
    /// Events before this position are passed over, whatever their bodies hold.
    first: Position,
}

/// A record that a cursor came by.
pub(crate) enum Passed {
    Event(RecordedEvent),
    /// Positions that are no longer held, on purpose.
    Removed(Range),
    /// Positions that were lost to damage.
    Lost(Range),
}

impl Passed {
    /// The position behind those it stands for.
    pub(crate) fn next_position(&self) -> Position {
        let last = match self {
            Passed::Event(event) => event.position(),
            Passed::Removed(range) | Passed::Lost(range) => range.last,
        };
        last.next().unwrap_or(last)
    }
}

impl Cursor {
    /// A cursor before the batch that begins at `offset`, which will stop at `end`.
    pub(crate) fn new(segment: Arc<Segment>, offset: u32, end: u32) -> Cursor {
        Cursor { segment, end, chunk: None, offset, records_left: 0, batch_end: offset, first: Position::BEGINNING }
    }

    /// Passes over events before a position: nobody asks whether their bodies are sound.
    pub(crate) fn skipping_to(mut self, first: Position) -> Cursor {
        self.first = first;
        self
    }

    /// A cursor behind the place where this one failed, from which reading can go on, and the next position there.
    pub(crate) fn behind_damage(&self) -> Option<(Cursor, Position)> {
        let mark = self.segment.mark_behind(self.offset).filter(|mark| mark.offset < self.end)?;
        let cursor = Cursor::new(self.segment.clone(), mark.offset, self.end).skipping_to(self.first);
        Some((cursor, mark.position))
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
        if self.segment.passed_over(begin).is_some() {
            return Err(self.segment.damaged(begin));
        }
        self.load(begin, begin + BATCH_HEADER_LEN as u32)?;
        let (header, _) = self.verified(begin, |bytes, salt| BatchHeader::verify(bytes, salt, begin))?;
        let end = begin.checked_add(header.length).filter(|end| *end <= self.end);
        self.batch_end = end.ok_or_else(|| self.segment.damaged(begin))?;
        self.records_left = header.records;
        self.offset = begin + BATCH_HEADER_LEN as u32;
        Ok(())
    }

    fn pass_record(&mut self) -> Result<Option<Passed>, Error> {
        let offset = self.offset;
        self.load(offset, offset.saturating_add(RECORD_HEADER_LEN as u32))?;
        let header = self.verified(offset, |bytes, salt| RecordHeader::verify(bytes, salt, offset))?;
        let end = offset.checked_add(header.record_len() as u32).filter(|end| *end <= self.batch_end);
        let end = end.ok_or_else(|| self.segment.damaged(offset))?;
        if header.kind == Kind::Event && header.position < self.first {
            self.offset = end;
            self.records_left -= 1;
            return Ok(None);
        }
        self.load(offset, end)?;
        let passed =
            match header.kind {
                Kind::Event => {
                    let chunk = self.chunk.as_ref().expect("its bytes were just loaded");
                    Some(Passed::Event(self.segment.event_in(chunk, offset, header)?))
                }
                Kind::Removed => Some(Passed::Removed(self.verified(offset, |bytes, _| {
                    Range::decode_removed(RecordView::verify_body(header, bytes)?.body())
                })?)),
                Kind::Lost => match self
                    .verified(offset, |bytes, _| Loss::decode(RecordView::verify_body(header, bytes)?.body()))?
                {
                    Loss::Found(range) => Some(Passed::Lost(range)),
                    Loss::Accepted(_) => None,
                },
                _ => None,
            };
        self.offset = end;
        self.records_left -= 1;
        Ok(passed)
    }

    /// What `verify` makes of the loaded bytes from `offset` on.
    fn verified<T>(&self, offset: u32, verify: impl FnOnce(&[u8], Salt) -> Result<T, Fault>) -> Result<T, Error> {
        let chunk = self.chunk.as_ref().expect("its bytes were loaded before");
        verify(chunk.from(offset), self.segment.salt).map_err(|fault| self.segment.fault(offset, fault))
    }

    /// Sees to it that the bytes between two offsets are in the chunk.
    fn load(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let is_there = |chunk: &Chunk| chunk.get(from, to).is_some();
        if !self.chunk.as_ref().is_some_and(is_there) {
            let chunk = self.segment.chunk(from, to, AHEAD)?;
            if !is_there(&chunk) {
                return Err(self.segment.damaged(from));
            }
            self.chunk = Some(chunk);
        }
        Ok(())
    }
}
