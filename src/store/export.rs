//! Everything a log says, record by record, to be carried to another store.
//!
//! Batches are read whole and verified. Within one, events come first, in their order, and behind them what else it says: where
//! that stands in its batch says nothing. Which events came in one batch is not carried.

use super::all_events::unreadable;
use super::exact_fact::{ExactFact, Told};
use super::{EventStore, ExactEvent, ExactRecord};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::{BATCH_HEADER_LEN, BatchHeader, BatchView, Fact, Fault, KeyFact, Kind, Loss, Range, decode_event};
use crate::index::{Hole, HoleKind, Holes};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::segment::{Chunk, FIRST_BATCH, Segment};
use crate::sync::Arc;
use std::collections::VecDeque;

/// Something that a log says, as [`EventStore::export`] gives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExportedRecord {
    /// An event.
    Event(RecordedEvent),
    /// Anything else.
    Fact(ExactFact),
}

/// Everything a log said when the export began, in its order; see [`EventStore::export`].
///
/// # Errors
///
/// An item is an error where something cannot be given; nothing follows it.
///
/// * [`Damaged`](crate::ErrorKind::Damaged): something cannot be read any more; the text names the place or the positions. What a salvage
///   recorded as [`Lost`](crate::ErrorKind::Lost) is a fact like others.
/// * [`Io`](crate::ErrorKind::Io): the operating system could not read.
pub struct Export {
    /// Those that are still to be read, each with the end it had: the next one last.
    segments: Vec<(Arc<Segment>, u32)>,
    walk: Option<Walk>,
    /// What was read of a batch and not given yet.
    ready: VecDeque<ExportedRecord>,
    /// Removed positions that the next event stands behind.
    removed: Option<Range>,
    /// The next position to come.
    expected: Position,
    /// Which positions are missing, by the time it began.
    holes: Holes,
    head: Position,
    /// More may be missing behind the last event.
    lost_end: Option<Hole>,
    has_ended: bool,
}

/// A segment that is being read.
struct Walk {
    segment: Arc<Segment>,
    end: u32,
    /// Where the next batch begins.
    offset: u32,
    chunk: Option<Chunk>,
}

/// How much is read ahead where there is no map.
const AHEAD: u32 = 256 * 1024;

impl EventStore {
    /// Everything the log says by now: events, deletions and what else became of streams, their metadata, rules and holds,
    /// quotas, states that streams begin with, consumers and what they have set aside, `once` keys with their receipts, and which
    /// positions are removed or lost. An [`exact_import`](Self::exact_import) of it into an empty store makes one of which every
    /// answer is the same, and which exports the same.
    ///
    /// Removed positions are told by themselves only where no event follows them at once, and before what is said of streams that
    /// had events there.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// let batch = store.batch().append(&game, ExpectedVersion::Any, [NewEvent::json("won", &7)?]).once("interaction-1");
    /// batch.commit().wait().map_err(|error| error.into_error())?;
    ///
    /// let copy = EventStore::open_in_memory()?;
    /// let mut import = copy.exact_import()?;
    /// for record in store.export()? {
    ///     import.record(record?.to_exact()?)?;
    /// }
    /// import.finish()?;
    /// assert_eq!(copy.receipt_of("interaction-1")?, store.receipt_of("interaction-1")?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Closed`](crate::ErrorKind::Closed); beside another process also [`Io`](crate::ErrorKind::Io).
    pub fn export(&self) -> Result<Export, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let with_end = |segment: &Arc<Segment>| (segment.clone(), view.end_of(segment));
        Ok(Export {
            segments: view.segments.iter().rev().map(with_end).collect(),
            walk: None,
            ready: VecDeque::new(),
            removed: None,
            expected: Position::new(1),
            holes: view.table.holes().clone(),
            head: view.head,
            lost_end: view.table.holes().lost_end(),
            has_ended: false,
        })
    }
}

impl ExportedRecord {
    /// The same as an import takes it.
    ///
    /// # Errors
    ///
    /// * [`Decode`](crate::ErrorKind::Decode): the metadata of an event are not a JSON object; only a log that was not written by this
    ///   crate has such.
    pub fn to_exact(&self) -> Result<ExactRecord, Error> {
        Ok(match self {
            ExportedRecord::Event(event) => ExactRecord::Event(ExactEvent::of(event)?),
            ExportedRecord::Fact(fact) => ExactRecord::Fact(fact.clone()),
        })
    }
}

impl Iterator for Export {
    type Item = Result<ExportedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.has_ended {
            if let Err(error) = self.read() {
                self.has_ended = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Export {
    /// Reads the next batch, or finds the end.
    fn read(&mut self) -> Result<(), Error> {
        let Some(walk) = self.walk.take().filter(|walk| walk.offset < walk.end) else {
            let Some((segment, end)) = self.segments.pop() else { return self.end() };
            self.reach(segment.first_position)?;
            self.walk = Some(Walk { segment, end, offset: FIRST_BATCH, chunk: None });
            return Ok(());
        };
        let walk = self.walk.insert(walk);
        let (segment, offset) = (walk.segment.clone(), walk.offset);
        let chunk = walk.load()?;
        let bytes = chunk.from(offset);
        let batch = BatchView::verify(bytes, segment.salt, offset).map_err(|fault| segment.fault(offset, fault))?;
        walk.offset = batch.end();
        self.take(&segment, &chunk, &batch)
    }

    fn take(&mut self, segment: &Segment, chunk: &Chunk, batch: &BatchView<'_>) -> Result<(), Error> {
        let mut facts = Vec::new();
        for (offset, record) in batch.placed_records() {
            let sense = |fault: Fault| segment.fault(offset, fault);
            match record.header.kind {
                Kind::Event => {
                    let place = Place { segment: segment.sequence(), offset };
                    let start = (offset - chunk.base) as usize;
                    let event = decode_event(&chunk.bytes, start, record, place).map_err(sense)?;
                    self.reach(event.position())?;
                    self.removed = None;
                    self.expected = event.position().next().unwrap_or(event.position());
                    self.ready.push_back(ExportedRecord::Event(event));
                }
                Kind::Removed => {
                    let range = Range::decode_removed(record.body()).map_err(sense)?;
                    self.reach(range.first)?;
                    self.remove_up_to(range.last);
                }
                Kind::Lost => match Loss::decode(record.body()).map_err(sense)? {
                    Loss::Found(range) => {
                        self.reach(range.first)?;
                        self.tell_removed();
                        self.tell(Told::Lost(range));
                        self.expected = range.last.next().unwrap_or(range.last);
                    }
                    Loss::Accepted(last) => facts.push(Told::Accepted(last)),
                },
                Kind::Key if Mutant::ForgetsKeysOnTheWay.is_on() => {}
                Kind::Key => facts.push(Told::Key(KeyFact::decode(&record).map_err(sense)?)),
                _ => facts.extend(Fact::decode(&record).map_err(sense)?.map(Told::Fact)),
            }
        }
        if !facts.is_empty() {
            self.remove_what_comes();
            self.tell_removed();
            facts.into_iter().for_each(|told| self.tell(told));
        }
        Ok(())
    }

    fn tell(&mut self, told: Told) {
        self.ready.push_back(ExportedRecord::Fact(ExactFact(told)));
    }

    /// Notes that the positions to come are removed, up to this one.
    fn remove_up_to(&mut self, last: Position) {
        if self.expected <= last {
            let first = self.removed.map_or(self.expected, |before| before.first);
            self.removed = Some(Range { first, last });
            self.expected = last.next().unwrap_or(last);
        }
    }

    /// What a batch says besides events may speak of some that are removed from it, and the log says that only behind it.
    fn remove_what_comes(&mut self) {
        let is_removed = |hole: &Hole| matches!(hole.kind, HoleKind::Removed | HoleKind::Thinned);
        while let Some(hole) = self.holes.at(self.expected).filter(is_removed) {
            self.remove_up_to(hole.range.last);
        }
    }

    fn tell_removed(&mut self) {
        if let Some(range) = self.removed.take() {
            self.tell(Told::Removed(range));
        }
    }

    /// Fails where positions before this one should have come and did not.
    fn reach(&self, position: Position) -> Result<(), Error> {
        if position <= self.expected {
            return Ok(());
        }
        let range = Range { first: self.expected, last: Position::new(position.get() - 1) };
        Err(unreadable(range, HoleKind::Damaged))
    }

    fn end(&mut self) -> Result<(), Error> {
        self.reach(self.head.next().unwrap_or(self.head))?;
        if let Some(hole) = self.lost_end {
            return Err(unreadable(hole.range, hole.kind));
        }
        self.tell_removed();
        self.has_ended = true;
        Ok(())
    }
}

impl Walk {
    /// Bytes that hold the next batch.
    fn load(&mut self) -> Result<Chunk, Error> {
        let begin = self.offset;
        let damaged = || self.segment.damaged(begin);
        if self.segment.passed_over(begin).is_some() {
            return Err(damaged());
        }
        let load = |chunk: Option<Chunk>, to: u32| match chunk.filter(|chunk| chunk.get(begin, to).is_some()) {
            Some(chunk) => Ok(chunk),
            None => self.segment.chunk(begin, to, AHEAD),
        };
        let header_end = begin.checked_add(BATCH_HEADER_LEN as u32).ok_or_else(damaged)?;
        let chunk = load(self.chunk.take(), header_end)?;
        let (header, _) = BatchHeader::verify(chunk.from(begin), self.segment.salt, begin)
            .map_err(|fault| self.segment.fault(begin, fault))?;
        let end = begin.checked_add(header.length).filter(|end| *end <= self.end).ok_or_else(damaged)?;
        let chunk = load(Some(chunk), end)?;
        self.chunk = Some(chunk.clone());
        Ok(chunk)
    }
}
