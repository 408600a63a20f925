//! Segments of which all is known from derived files: a scan passes them by and reads none of their batches. Damage in them
//! is found by whoever reads it.

use super::recovery::{Footing, OnDamage};
use super::report::CloseState;
use super::scan::{Head, Scan, scanned};
use super::survey::Link;
use crate::error::Error;
use crate::format::{CONTROL_BATCH_LEN, FOOTER_LEN, Kind, is_blank};
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, KnownSegment, ScannedSegment, Sealed, Segment, batches_end, segment_name};
use crate::time::Timestamp;

/// How much is looked at behind the end of a log that was closed: nothing may stand there.
const LOOK_BEHIND: u32 = 4 * 1024;

/// Where the log goes on behind a segment.
struct Next {
    position: Position,
    epoch: u32,
    time: Timestamp,
}

impl Scan<'_> {
    /// A segment that has a successor, which says where it ended.
    pub(super) fn known(
        &mut self,
        link: &Link,
        mode: ReadMode,
        successor: Option<&Link>,
    ) -> Result<Option<(Segment, u32)>, Error> {
        let (Some(sealed), Some(behind)) = (link.sealed(), successor.and_then(|successor| successor.begun)) else {
            return Ok(None);
        };
        let next = Next { position: behind.start.first_position, epoch: behind.epoch, time: behind.time };
        let is_possible = (FIRST_BATCH..=batches_end(link.preamble.size)).contains(&sealed.end)
            && self.sequence.next_position <= next.position
            && link.first_position().is_some_and(|first| first <= next.position);
        if self.on_damage != OnDamage::Stop || !is_possible {
            return Ok(None);
        }
        // Its terms are taken also where it is read all the same.
        let known = self.visitor.sealed(&sealed).filter(|_| self.survey.is_quick);
        let Some(known) = known else { return Ok(None) };
        let segment = self.pass_by(link, mode, sealed.end, known, &next)?;
        Ok(Some((segment, sealed.last_checksum)))
    }

    /// The last segment of a log that was closed: only its end is read. `live` says that the log is closed there, and nobody
    /// writes behind a clean end before that is said no more.
    pub(super) fn closed_head(&mut self, link: &Link, mode: ReadMode) -> Result<Option<Head>, Error> {
        let closed = self.survey.live.filter(|live| live.state.is_closed());
        let end = closed.map_or(Place::NONE, |live| live.durable_end);
        let begin = end.offset.saturating_sub(CONTROL_BATCH_LEN as u32);
        let size = link.preamble.size;
        let is_possible = self.on_damage == OnDamage::Stop
            && self.survey.is_quick
            && end.segment == link.sequence()
            && FIRST_BATCH < begin
            && end.offset <= batches_end(size);
        if !is_possible {
            return Ok(None);
        }
        let act = |error| Error::io(format!("reading {}", segment_name(link.sequence())), error);
        let mut bytes = vec![0; (end.offset + LOOK_BEHIND).min(batches_end(size)) as usize - begin as usize];
        let read = link.file.read_at(&mut bytes, begin.into()).map_err(act)?;
        let mut footer = vec![0; FOOTER_LEN];
        let footer_read = link.file.read_at(&mut footer, batches_end(size).into()).map_err(act)?;
        let scanned = ScannedSegment { base: begin, ..scanned(link, &bytes[..read]) };
        let Found::Batch(batch) = scanned.at(begin) else { return Ok(None) };
        let is_close = batch.records().next().is_some_and(|record| record.header.kind == Kind::Close);
        let is_end = is_close && batch.end() == end.offset && batch.header.epoch != 0;
        let is_blank_behind = scanned.is_blank_from(end.offset) && footer_read == FOOTER_LEN && is_blank(&footer);
        let first = link.first_position().filter(|first| self.sequence.next_position <= *first);
        let is_sequel = first.is_some_and(|first| first <= batch.header.first_position);
        if read != bytes.len() || !is_end || !is_blank_behind || !is_sequel {
            return Ok(None);
        }
        let sealed = Sealed::new(&link.preamble, end.offset, batch.checksum);
        let Some(known) = self.visitor.sealed(&sealed) else { return Ok(None) };
        let header = &batch.header;
        let next = Next { position: header.first_position, epoch: header.epoch, time: header.time };
        let segment = self.pass_by(link, mode, end.offset, known, &next)?;
        Ok(Some(Head {
            sequence: link.sequence(),
            segment: Some(segment),
            footing: Footing::Clean,
            durable: Some(end),
            last_checksum: batch.checksum,
            tally: None,
            tail: None,
            close_state: CloseState::Clean,
        }))
    }

    /// Goes on behind a segment as if it had been read.
    fn pass_by(
        &mut self,
        link: &Link,
        mode: ReadMode,
        end: u32,
        KnownSegment { marks, events }: KnownSegment,
        next: &Next,
    ) -> Result<Segment, Error> {
        self.catch_up(link)?;
        let segment = self.segment(link, mode, end)?;
        segment.set_marks(marks);
        self.sequence.next_position = next.position;
        self.sequence.epoch = self.sequence.epoch.max(next.epoch);
        self.sequence.last_time = self.sequence.last_time.max(next.time);
        self.report.events += events;
        self.log_bytes += u64::from(end);
        Ok(segment)
    }
}
