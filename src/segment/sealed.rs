//! How a segment ended, by the start record of the one behind it.

use super::reader::{Mark, Segment};
use crate::format::{Preamble, Start};

/// The state of a segment that has ended. No other segment has the same, nor the same one with another end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) store: [u8; 16],
    /// Its random id.
    pub(crate) segment: [u8; 16],
    pub(crate) sequence: u32,
    pub(crate) end: u32,
    /// The header checksum of the last batch.
    pub(crate) last_checksum: u32,
}

/// What is known of a segment that has ended, so that nobody needs to read it.
#[derive(Debug)]
pub(crate) struct KnownSegment {
    pub(crate) marks: Vec<Mark>,
    pub(crate) events: u64,
}

impl Sealed {
    pub(crate) fn new(preamble: &Preamble, end: u32, last_checksum: u32) -> Sealed {
        let Preamble { store, segment, sequence, .. } = *preamble;
        Sealed { store, segment, sequence, end, last_checksum }
    }

    /// What a start record says of a segment, if it speaks of it.
    pub(crate) fn by(start: &Start, segment: &Segment) -> Option<Sealed> {
        let is_of_it = start.previous_end.segment == segment.sequence();
        is_of_it.then(|| Sealed::new(&segment.preamble, start.previous_end.offset, start.previous_checksum))
    }
}
