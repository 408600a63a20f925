//! Where the events of one stream stand, segment by segment.

use super::view::SharedView;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::format::Term;
use crate::index::{Before, SegmentTerms, StreamPart};
use crate::position::Version;
use crate::segment::Segment;
use crate::sync::Arc;

/// The stretches of a stream, the last one first.
pub(super) struct Trail {
    view: Arc<SharedView>,
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
    /// Of a stream with events, the last of which stand in this segment.
    pub(super) fn new(view: &Arc<SharedView>, stream: Term, last_segment: u32) -> Trail {
        Trail { view: view.clone(), stream, below: Below::At(last_segment) }
    }

    /// The next stretch.
    pub(super) fn next(&mut self) -> Result<Option<Stretch>, Error> {
        loop {
            let (indexed, sequence) = match self.below {
                Below::At(sequence) => (self.view.0.read().indexed(sequence), sequence),
                Below::Before(sequence) => (self.view.0.read().indexed_before(sequence), 0),
                Below::Nowhere => return Ok(None),
            };
            let Some((segment, terms)) = indexed else {
                self.below = if sequence == 0 { Below::Nowhere } else { Below::Before(sequence) };
                continue;
            };
            let sequence = segment.sequence();
            self.below = Below::Before(sequence);
            if let Some(stretch) = Stretch::of(segment, terms, self.stream)? {
                self.below = match stretch.part.before {
                    Before::Nowhere => Below::Nowhere,
                    Before::Segment(before) if before < sequence => Below::At(before),
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

    /// What stands of a stream in the segment with this sequence number.
    pub(super) fn within(view: &SharedView, sequence: u32, stream: Term) -> Result<Option<Stretch>, Error> {
        let indexed = view.0.read().indexed(sequence);
        match indexed {
            Some((segment, terms)) => Stretch::of(segment, terms, stream),
            None => Ok(None),
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
