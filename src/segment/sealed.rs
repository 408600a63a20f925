//! How a segment ended: by the start record of the one behind it, or by its own footer where compaction wrote it.

use super::name::FileNumber;
use super::reader::{Mark, Segment};
use crate::format::{Footer, Preamble};

/// The state of a segment that has ended. No other segment has the same, nor the same one with another end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) store: [u8; 16],
    /// Its random id.
    pub(crate) segment: [u8; 16],
    pub(crate) number: FileNumber,
    /// The first sequence number it stands for.
    pub(crate) from: u32,
    pub(crate) end: u32,
    /// The header checksum of the last batch; of a segment that compaction wrote a part of the digest in its footer.
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
        let Preamble { store, segment, .. } = *preamble;
        Sealed { store, segment, number: preamble.into(), from: preamble.stands_from(), end, last_checksum }
    }

    /// What its footer says of a segment that compaction wrote.
    pub(crate) fn by_footer(preamble: &Preamble, footer: &Footer) -> Sealed {
        Sealed::new(preamble, footer.end, footer.digest as u32)
    }

    /// How a segment ended that has a successor, if that speaks of it.
    pub(crate) fn before(next: &Segment, segment: &Segment) -> Option<Sealed> {
        if let Some(footer) = segment.footer() {
            return Some(Sealed::by_footer(&segment.preamble, footer));
        }
        let start = next.start().ok()?;
        let is_of_it = start.previous_end.segment == segment.sequence();
        is_of_it.then(|| Sealed::new(&segment.preamble, start.previous_end.offset, start.previous_checksum))
    }
}
