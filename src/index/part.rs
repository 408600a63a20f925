//! What of a stream stands in one segment.

use crate::position::Version;

/// The events of one stream in one segment, but for where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamPart {
    /// The version of the first of them.
    pub(crate) first: Version,
    /// Versions are missing between them, so that an event's place among them does not tell its version.
    pub(crate) has_jumps: bool,
    /// Where the stream stands before this segment.
    pub(crate) before: Before,
}

/// The segment before another one in which a stream has events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// There is none.
    Nowhere,
    /// The one with this sequence number.
    Segment(u32),
    /// It was not known when that was written down: it has to be looked for.
    Unknown,
}

/// How an event continues its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is the first in its segment.
    Begins(StreamPart),
    /// It has the next version.
    Follows,
    /// It has a higher one.
    Jumps,
}

impl Before {
    /// As a number, where no segment has 0 or the highest there is.
    pub(super) fn to_number(self) -> u32 {
        match self {
            Before::Nowhere => 0,
            Before::Segment(sequence) => sequence,
            Before::Unknown => u32::MAX,
        }
    }

    pub(super) fn from_number(number: u32) -> Before {
        match number {
            0 => Before::Nowhere,
            u32::MAX => Before::Unknown,
            sequence => Before::Segment(sequence),
        }
    }
}
