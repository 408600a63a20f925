//! Groups: batches that are written, synced and published together.

use super::ticket::Ticket;
use crate::error::Conflict;
use crate::format::{BatchTerms, Fact, Offsets};
use crate::position::{Position, Version};
use crate::quota::Charge;
use crate::receipt::Receipt;
use crate::segment::{Mark, Segment};
use crate::storage::LatchedFile;
use crate::sync::Arc;
use std::time::Duration;

/// Batches that are written and synced in one go, all in one segment.
pub(super) struct Group {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<LatchedFile>,
    pub(super) offset: u32,
    pub(super) bytes: Vec<u8>,
    /// Somebody asked for more than having it written.
    pub(super) must_sync: bool,
    /// The group begins with the start record of its segment.
    pub(super) is_start: bool,
    pub(super) batches: u64,
    /// When the first of it was staged.
    pub(super) since: Duration,
    pub(super) entries: Vec<Entry>,
    /// The last position given in it, or before it.
    pub(super) last_position: Position,
}

impl Group {
    /// How many batches of facts and how many events are in it.
    pub(super) fn appends(&self) -> (u64, u64) {
        let appends = self.entries.iter().filter(|entry| entry.mark.is_some());
        appends.fold((0, 0), |(appends, events), entry| (appends + 1, events + entry.events.len() as u64))
    }
}

/// Something in a group that somebody waits for.
pub(super) struct Entry {
    pub(super) ticket: Arc<Ticket>,
    pub(super) answer: Answer,
    pub(super) events: Vec<EventPlace>,
    pub(super) facts: Vec<PlacedFact>,
    pub(super) terms: Arc<BatchTerms>,
    /// Where the record of its `once` key stands.
    pub(super) key: Option<u32>,
    /// What it adds to what tags with a quota take.
    pub(super) charges: Vec<Charge>,
    pub(super) mark: Option<Mark>,
}

impl Entry {
    /// An answer without events of its own.
    pub(super) fn answering(ticket: &Arc<Ticket>, answer: Answer) -> Entry {
        let (events, facts, charges) = (Vec::new(), Vec::new(), Vec::new());
        Entry { ticket: ticket.clone(), answer, events, facts, terms: Arc::default(), key: None, charges, mark: None }
    }
}

/// What is answered once the group is visible.
pub(super) enum Answer {
    Receipt(Receipt),
    /// A refusal caused by something staged before it: a read that follows must see what caused it.
    Conflict(Conflict),
}

/// Where an event stands in the segment of its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPlace {
    /// The number of the stream in the table of whoever publishes.
    pub(crate) stream: u32,
    pub(crate) version: Version,
    pub(crate) position: Position,
    pub(crate) offset: u32,
}

/// Something that a batch says besides events, and where that stands in the segment of its group: what is said of a stream.
/// For the rest it is where the batch begins.
#[derive(Debug)]
pub(crate) struct PlacedFact {
    pub(crate) fact: Fact,
    pub(crate) offset: u32,
}

/// A batch that becomes visible.
pub(crate) struct PublishedBatch<'a> {
    pub(crate) events: &'a [EventPlace],
    /// What it says besides events.
    pub(crate) facts: &'a [PlacedFact],
    /// What they are found by.
    pub(crate) terms: &'a BatchTerms,
    /// Where the record of its `once` key stands.
    pub(crate) key: Option<u32>,
    /// What it adds to what tags with a quota take.
    pub(crate) charges: &'a [Charge],
}

/// What becomes visible with a group.
pub(crate) struct Published<'a> {
    pub(crate) segment: &'a Arc<Segment>,
    /// The segment begins to count.
    pub(crate) is_start: bool,
    pub(crate) head: Position,
    /// Where it ends in the segment.
    pub(crate) end: u32,
    entries: &'a [Entry],
}

impl<'a> Published<'a> {
    pub(super) fn new(group: &'a Group) -> Published<'a> {
        Published {
            segment: &group.segment,
            is_start: group.is_start,
            head: group.last_position,
            end: group.offset + group.bytes.len() as u32,
            entries: &group.entries,
        }
    }

    /// The batches of facts, in order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = PublishedBatch<'a>> + use<'a> {
        let has_facts = |entry: &&Entry| !(entry.events.is_empty() && entry.facts.is_empty() && entry.key.is_none());
        let of_entry = |entry: &'a Entry| {
            let Entry { events, facts, terms, key, charges, .. } = entry;
            PublishedBatch { events, facts, terms, key: *key, charges }
        };
        self.entries.iter().filter(has_facts).map(of_entry)
    }

    /// The events, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &'a EventPlace> + use<'a> {
        self.entries.iter().flat_map(|entry| entry.events.iter())
    }
}

/// What a batch says that begins at an offset, each with its place where somebody asks for that.
pub(super) fn placed_facts(facts: Vec<Fact>, offsets: &Offsets, begin: u32) -> Vec<PlacedFact> {
    let mut streams = offsets.streams.iter();
    let placed = facts.into_iter().map(|fact| {
        let offset = fact.stream().and_then(|_| streams.next()).map_or(begin, |offset| begin + offset);
        PlacedFact { fact, offset }
    });
    placed.collect()
}
