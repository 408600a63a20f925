//! What was planned: which segments are written anew, what goes of them and what stays, and why.

use super::judge::{Forced, Going, Judge, Staying};
use crate::name::StreamName;
use crate::position::Version;
use crate::segment::Segment;
use crate::store::StoreLink;
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// What a compaction will do.
///
/// It is of the moment it was made. Where rules or holds change, another is wanted; what else happens later may keep more than
/// it says, and never less. It does not keep the store open.
pub struct CompactionPlan {
    pub(super) link: StoreLink,
    pub(super) forced: Forced,
    pub(super) bytes_per_second: Option<u64>,
    /// When it was made.
    pub(super) now: Timestamp,
    pub(super) judge: Mutex<Judge>,
    pub(super) segments: Vec<SegmentPlan>,
    pub(super) streams: BTreeMap<StreamName, StreamPlan>,
    /// Rows of segments, each of which becomes one.
    pub(super) rows: Vec<Vec<Arc<Segment>>>,
    /// How many bytes stay of the largest of them.
    pub(super) room: u64,
    /// Streams that begin later from then on.
    pub(super) truncations: Vec<(StreamName, Version)>,
}

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    pub(super) sequence: u32,
    pub(super) stands_from: u32,
    pub(super) generation: u32,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) bytes_going: u64,
    pub(super) events_going: u64,
    pub(super) act: SegmentAct,
}

/// What is done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SegmentAct {
    /// It is written anew, in a row of so many segments that become one.
    Rewrite {
        /// How many segments the row has; 1 where it is the only one.
        row: usize,
    },
    /// It stays as it is.
    Leave(LeftBecause),
}

/// Why a segment stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeftBecause {
    /// It is written, or was when the log was closed, or what follows it is not durable yet.
    Active,
    /// All of it stays.
    NothingGoes,
    /// Less of it goes than is worth it.
    TooLittleGoes,
}

/// What becomes of the events of a stream that go, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPlan {
    pub(super) events_going: u64,
    pub(super) bytes_going: u64,
    pub(super) why: Option<Going>,
    pub(super) begins_with: Option<Version>,
    pub(super) drops_state: bool,
    pub(super) staying: BTreeMap<Staying, u64>,
}

impl fmt::Display for SegmentAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SegmentAct::Rewrite { row: 1 } => f.write_str("written anew"),
            SegmentAct::Rewrite { row } => write!(f, "one of {row} that become one"),
            SegmentAct::Leave(because) => write!(f, "left: {because}"),
        }
    }
}

impl fmt::Display for LeftBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftBecause::Active => "active",
            LeftBecause::NothingGoes => "nothing goes",
            LeftBecause::TooLittleGoes => "too little goes",
        })
    }
}

impl CompactionPlan {
    /// What becomes of each segment, rising.
    #[must_use]
    pub fn segments(&self) -> &[SegmentPlan] {
        &self.segments
    }

    /// What becomes of each stream of which events go, or would go if nothing kept them.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamName, &StreamPlan)> {
        self.streams.iter()
    }

    /// How many events go.
    #[must_use]
    pub fn events_going(&self) -> u64 {
        self.rewritten().map(|segment| segment.events_going).sum()
    }

    /// How many bytes these have, and what else goes: states that another one replaced, checkpoints, and keys that are old.
    #[must_use]
    pub fn bytes_going(&self) -> u64 {
        self.rewritten().map(|segment| segment.bytes_going).sum()
    }

    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.truncations.is_empty()
    }

    fn rewritten(&self) -> impl Iterator<Item = &SegmentPlan> {
        self.segments.iter().filter(|segment| matches!(segment.act, SegmentAct::Rewrite { .. }))
    }
}

impl fmt::Debug for CompactionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactionPlan").field("segments", &self.segments).field("streams", &self.streams).finish()
    }
}

impl SegmentPlan {
    /// Of a segment up to this end, none of which was looked at.
    pub(super) fn of_nothing(segment: &Segment, end: u32) -> SegmentPlan {
        SegmentPlan {
            sequence: segment.sequence(),
            stands_from: segment.preamble.stands_from(),
            generation: segment.preamble.generation(),
            bytes: u64::from(end),
            events: 0,
            bytes_going: 0,
            events_going: 0,
            act: SegmentAct::Leave(LeftBecause::NothingGoes),
        }
    }

    /// Its sequence number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The first of the sequence numbers for which it stands; the last is [its own](Self::sequence). One that compaction
    /// did not write stands for itself alone.
    #[must_use]
    pub fn stands_from(&self) -> u32 {
        self.stands_from
    }

    /// Higher than that of any segment for which it stands; 0 of one that compaction did not write.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How many bytes it has up to its end.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many bytes the events have that may go, and what else may; those of an active one stay until it has ended.
    #[must_use]
    pub fn bytes_going(&self) -> u64 {
        self.bytes_going
    }

    /// How many events may go; those of an active one stay until it has ended.
    #[must_use]
    pub fn events_going(&self) -> u64 {
        self.events_going
    }

    /// What is done with it.
    #[must_use]
    pub fn act(&self) -> SegmentAct {
        self.act
    }

    pub(super) fn bytes_staying(&self) -> u64 {
        self.bytes.saturating_sub(self.bytes_going)
    }
}

impl StreamPlan {
    /// How many of its events go, where their segments are written anew.
    #[must_use]
    pub fn events_going(&self) -> u64 {
        self.events_going
    }

    /// How many bytes these have.
    #[must_use]
    pub fn bytes_going(&self) -> u64 {
        self.bytes_going
    }

    /// Why they go; of several reasons the last one there is.
    #[must_use]
    pub fn why(&self) -> Option<Going> {
        self.why
    }

    /// With which version it begins from then on, where it does not by now.
    #[must_use]
    pub fn begins_with(&self) -> Option<Version> {
        self.begins_with
    }

    /// Whether the [state](crate::EventStore::carried_state) that it begins with by now counts no more then, and nothing takes its place:
    /// from then on it cannot be folded.
    #[must_use]
    pub fn drops_state(&self) -> bool {
        self.drops_state
    }

    /// How many events stay that would go, by what keeps them.
    pub fn staying(&self) -> impl Iterator<Item = (&Staying, u64)> {
        self.staying.iter().map(|(why, events)| (why, *events))
    }

    pub(super) fn is_worth_telling(&self) -> bool {
        self.why.is_some() || !self.staying.is_empty()
    }
}
