//! Where in a segment the events stand that have one term.

/// The offsets of the events with one term, rising. Most terms have one.
#[derive(Clone, Debug)]
pub(super) enum Postings {
    One([u32; 1]),
    Many(Vec<u32>),
}

impl Postings {
    pub(super) fn new(offset: u32) -> Postings {
        Postings::One([offset])
    }

    /// Adds an event behind all others.
    pub(super) fn push(&mut self, offset: u32) {
        match self {
            Postings::One([first]) => *self = Postings::Many(vec![*first, offset]),
            Postings::Many(offsets) => offsets.push(offset),
        }
    }

    pub(super) fn offsets(&self) -> &[u32] {
        match self {
            Postings::One(offset) => offset,
            Postings::Many(offsets) => offsets,
        }
    }

    /// The first event at or behind an offset.
    pub(super) fn at_or_behind(&self, offset: u32) -> Option<u32> {
        let offsets = self.offsets();
        offsets.get(offsets.partition_point(|at| *at < offset)).copied()
    }

    /// The last event before an offset.
    pub(super) fn before(&self, offset: u32) -> Option<u32> {
        let offsets = self.offsets();
        offsets.get(offsets.partition_point(|at| *at < offset).checked_sub(1)?).copied()
    }
}
