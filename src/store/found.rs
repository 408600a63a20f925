//! Where the events stand that an index names: what a read by terms looks at.

use super::read::Bounds;
use super::view::View;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::KeyFact;
use crate::index::{Candidates, Page, Plan, SegmentTerms};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::segment::{Chunk, FIRST_BATCH, Segment};
use crate::sync::Arc;

/// The events of several segments that meet a plan, one after the other. An event at the edge of the bounds may be named
/// although it lies outside of them.
pub(super) struct Found {
    plan: Plan,
    is_backwards: bool,
    /// The lowest position within the bounds.
    first: Position,
    /// What is looked through, rising, and which of that may hold any.
    parts: Vec<Part>,
    candidates: Candidates,
    /// The index of the part at hand.
    at: Option<usize>,
    /// What was found in the part at hand and not given yet, the next one last.
    page: Vec<u32>,
    /// The disk was not told yet what of it is going to be read.
    is_page_new: bool,
    reads: u64,
    /// Bytes that were read with the event before.
    chunk: Option<Chunk>,
    last: u32,
}

/// A part of a segment.
struct Part {
    segment: Arc<Segment>,
    terms: Arc<SegmentTerms>,
    from: u32,
    to: u32,
    /// Nothing of it lies outside of the bounds.
    is_inside: bool,
}

/// An event that is named.
pub(super) struct Named {
    segment: Arc<Segment>,
    offset: u32,
    /// It lies within the bounds for sure.
    pub(super) is_inside: bool,
}

/// How much is read behind an event where there is no map: little where the next one is far, much where it is near.
const AHEAD_FAR: u32 = 1_024;
const AHEAD_NEAR: u32 = 128 * 1_024;

impl Named {
    pub(super) fn place(&self) -> Place {
        Place { segment: self.segment.sequence(), offset: self.offset }
    }

    /// The lowest and the highest position that the event can have, as far as that can be told without its body.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        if let Some(position) = self.segment.position_at(self.offset) {
            return Some((position.get(), position.get()));
        }
        let before = self.segment.mark_before_offset(self.offset.saturating_add(1))?;
        let behind = self.segment.mark_behind(self.offset);
        Some((before.position.get(), behind.map_or(u64::MAX, |mark| mark.position.get().saturating_sub(1))))
    }

    /// What the record says that stands here, where it is one of a `once` key.
    pub(super) fn key_fact(&self) -> Result<KeyFact, Error> {
        self.segment.key_fact(self.offset)
    }
}

impl Found {
    /// The events of a view that meet a plan, within bounds that the view reaches.
    pub(super) fn new(view: &View, plan: Plan, bounds: &Bounds) -> Found {
        let (first, last) = (Position::new(bounds.first), Position::new(bounds.last));
        let parts = view.segments_of(first, last).filter_map(|(segment, behind)| {
            let terms = view.terms.of(segment.sequence())?.clone();
            let from = segment.mark_before(first).map_or(FIRST_BATCH, |mark| mark.offset);
            let to = segment.mark_above(last).map_or(view.end_of(segment), |mark| mark.offset);
            let is_inside = first <= segment.first_position && behind.get() <= last.get().saturating_add(1);
            Some(Part { segment: segment.clone(), terms, from, to, is_inside })
        });
        let mut parts: Vec<Part> = parts.collect();
        if Mutant::LooksOnlyAtTheLastSegment.is_on() {
            parts.drain(..parts.len().saturating_sub(1));
        }
        let candidates = if bounds.is_backwards { Candidates::backwards(parts.len()) } else { Candidates::forwards() };
        Found {
            plan,
            is_backwards: bounds.is_backwards,
            first,
            candidates,
            parts,
            at: None,
            page: Vec::new(),
            is_page_new: false,
            reads: 0,
            chunk: None,
            last: 0,
        }
    }

    /// The next event that is named.
    pub(super) fn next(&mut self) -> Result<Option<Named>, Error> {
        loop {
            let Some(part) = self.at.and_then(|index| self.parts.get_mut(index)) else {
                self.at = self.candidates.next(&self.parts, |part| &part.terms, &self.plan);
                if self.at.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if let Some(offset) = self.page.pop() {
                return Ok(Some(Named { segment: part.segment.clone(), offset, is_inside: part.is_inside }));
            }
            if part.to <= part.from {
                self.at = None;
                self.chunk = None;
                continue;
            }
            let Page { mut offsets, rest } = match self.is_backwards {
                false => part.terms.forwards(&part.segment, &self.plan, part.from, part.to)?,
                true => part.terms.backwards(&part.segment, &self.plan, part.from, part.to)?,
            };
            match (rest, self.is_backwards) {
                (Some(rest), false) => part.from = rest,
                (Some(rest), true) => part.to = rest,
                (None, _) => part.to = part.from,
            }
            if !part.is_inside && !self.is_backwards {
                offsets.drain(..below(&part.segment, &offsets, self.first));
            }
            offsets.reverse();
            self.is_page_new = true;
            self.page = offsets;
        }
    }

    /// Whoever reads a second event is likely to read on: the disk is told of a whole page.
    fn expect_reads(&mut self, named: &Named) {
        self.reads += 1;
        if self.reads < 2 || !std::mem::take(&mut self.is_page_new) {
            return;
        }
        let rising: Vec<u32> = match self.is_backwards {
            false => self.page.iter().rev().copied().collect(),
            true => self.page.clone(),
        };
        named.segment.expect_reads(&rising);
    }

    /// The event that is named, verified.
    pub(super) fn read(&mut self, named: &Named) -> Result<RecordedEvent, Error> {
        self.expect_reads(named);
        let is_near = named.offset.saturating_sub(self.last) < AHEAD_NEAR / 16;
        self.last = named.offset;
        let ahead = if is_near && !self.is_backwards { AHEAD_NEAR } else { AHEAD_FAR };
        named.segment.event_near(named.offset, &mut self.chunk, ahead)
    }
}

/// How many of these rising offsets stand before the first of a position at least, as far as their headers say so: a mark
/// may lie many events before it, and whoever follows asks for the last one alone.
fn below(segment: &Segment, offsets: &[u32], first: Position) -> usize {
    // Where a header cannot be read nothing is known of what follows it, and nothing of that is left out.
    offsets.partition_point(|offset| segment.position_at(*offset).is_some_and(|position| position < first))
}
