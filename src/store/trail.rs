//! Where the events of one stream stand, segment by segment.

use super::view::Indexed;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::Term;
use crate::index::{Before, SegmentTerms, StreamPart};
use crate::position::Version;
use crate::segment::Segment;
use crate::sync::Arc;

/// The stretches of a stream, the last one first.
pub(super) struct Trail {
    indexed: Arc<Vec<Indexed>>,
    stream: Term,
    below: Below,
}

/// Where the next stretch is.
enum Below {
    At(u32),
    /// Somewhere in the segments before this one, if there is another.
    Before(u32),
    Nowhere,
}

/// The events of one stream in one segment.
#[derive(Clone)]
pub(super) struct Stretch {
    segment: Arc<Segment>,
    terms: Arc<SegmentTerms>,
    stream: Term,
    part: StreamPart,
    events: usize,
}

impl Trail {
    /// Of a stream with events, the last of which stand in this segment. All is looked for in the segments there are now: what
    /// is written anew meanwhile changes nothing.
    pub(super) fn new(indexed: Arc<Vec<Indexed>>, stream: Term, last_segment: u32) -> Trail {
        Trail { indexed, stream, below: Below::At(last_segment) }
    }

    /// The next stretch.
    pub(super) fn next(&mut self) -> Result<Option<Stretch>, Error> {
        loop {
            let behind = |sequence: u32| self.indexed.partition_point(|(segment, _)| segment.sequence() < sequence);
            let before = |sequence: u32| behind(sequence).checked_sub(1).and_then(|index| self.indexed.get(index));
            let found = match self.below {
                Below::At(sequence) => {
                    let named = self.indexed.get(behind(sequence)).filter(|(named, _)| named.stands_for(sequence));
                    named.or_else(|| before(sequence))
                }
                Below::Before(sequence) => before(sequence),
                Below::Nowhere => None,
            };
            let Some((segment, terms)) = found else { return Ok(None) };
            let sequence = segment.sequence();
            let stretch = Stretch::of(segment.clone(), terms.clone(), self.stream)?;
            let from = segment.preamble.stands_from();
            self.below = Below::Before(sequence);
            if let Some(stretch) = stretch {
                self.below = match stretch.part.before {
                    Before::Nowhere => Below::Nowhere,
                    Before::Segment(before) if before < from => Below::At(before),
                    Before::Segment(_) | Before::Unknown => Below::Before(sequence),
                };
                return Ok(Some(stretch));
            }
        }
    }
}

impl Stretch {
    fn of(segment: Arc<Segment>, terms: Arc<SegmentTerms>, stream: Term) -> Result<Option<Stretch>, Error> {
        let found = terms.part(&segment, stream)?;
        Ok(found.map(|(part, events)| Stretch { segment, terms, stream, part, events }))
    }

    /// What stands of a stream in the segment with this sequence number, or in the one that stands for it.
    pub(super) fn within(indexed: &[Indexed], sequence: u32, stream: Term) -> Result<Option<Stretch>, Error> {
        let index = indexed.partition_point(|(segment, _)| segment.sequence() < sequence);
        match indexed.get(index) {
            Some((segment, terms)) if segment.stands_for(sequence) => {
                Stretch::of(segment.clone(), terms.clone(), stream)
            }
            _ => Ok(None),
        }
    }

    /// The version of its first event.
    pub(super) fn first(&self) -> Version {
        self.part.first
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// The index of its first event with this version or a higher one.
    pub(super) fn index_of(&self, version: Version) -> Result<usize, Error> {
        if version <= self.part.first {
            return Ok(0);
        }
        if !self.part.has_jumps {
            let behind = version.get() - self.part.first.get();
            return Ok(usize::try_from(behind).unwrap_or(usize::MAX).min(self.events));
        }
        let (mut low, mut high) = (0, self.events);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.event(middle)?.version() < version { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The version of the event at an index, where that can be told without looking at it.
    pub(super) fn version(&self, index: usize) -> Option<Version> {
        (!self.part.has_jumps).then(|| Version::new(self.part.first.get().saturating_add(index as u64)))
    }

    /// Where the events from an index on stand in the segment; at most so many.
    pub(super) fn offsets(&self, index: usize, count: usize) -> Result<Vec<u32>, Error> {
        self.terms.slice(&self.segment, self.stream, index, count)
    }

    /// The event at an index.
    pub(super) fn event(&self, index: usize) -> Result<RecordedEvent, Error> {
        let offset = self.offsets(index, 1)?.first().copied().ok_or_else(|| self.segment.damaged(0))?;
        self.segment.event(offset)
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}
