//! Everything events are found by: the stream table, and the terms of each segment.

use super::streams::StreamTable;
use super::terms::SegmentTerms;
use crate::format::{BatchTerms, BatchView, Fault, Kind, Range, Term, TermHasher};
use crate::log::Visitor;
use crate::position::Place;
use crate::sync::Arc;

/// What is remembered of a whole log.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) table: StreamTable,
    pub(crate) terms: TermIndex,
}

/// The terms of all segments.
#[derive(Debug)]
pub(crate) struct TermIndex {
    hasher: TermHasher,
    /// Rising in sequence number.
    segments: Vec<Arc<SegmentTerms>>,
}

impl Lookup {
    /// Of a log of which nothing was read yet; one in which there is nothing may have no id.
    pub(crate) fn of_store(store: Option<[u8; 16]>) -> Lookup {
        Lookup { table: StreamTable::default(), terms: TermIndex::new(store.unwrap_or_default()) }
    }
}

impl TermIndex {
    pub(crate) fn new(store: [u8; 16]) -> TermIndex {
        TermIndex { hasher: TermHasher::new(store), segments: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn hasher(&self) -> &TermHasher {
        &self.hasher
    }

    /// Whether anything in any segment has a term.
    pub(crate) fn has(&self, term: Term) -> bool {
        self.segments.iter().any(|segment| segment.has(term))
    }

    /// The terms of a segment; none where it holds no events.
    pub(crate) fn of(&self, sequence: u32) -> Option<&Arc<SegmentTerms>> {
        let index = self.segments.binary_search_by_key(&sequence, |segment| segment.sequence()).ok()?;
        self.segments.get(index)
    }

    /// A segment that has ended and is not packed yet.
    pub(crate) fn to_be_packed(&self) -> Option<Arc<SegmentTerms>> {
        self.segments.iter().rev().skip(1).take_while(|segment| !segment.is_packed()).last().cloned()
    }

    /// Adds the events of a stored batch, which stands or will stand at `place`.
    pub(crate) fn batch(&mut self, place: Place, batch: &BatchView<'_>) {
        let terms = batch.terms(&self.hasher);
        let moved = place.offset.wrapping_sub(batch.offset);
        let of_kind = |kind| {
            let records = batch.placed_records().filter(move |(_, record)| record.header.kind == kind);
            records.map(move |(offset, _)| offset.wrapping_add(moved))
        };
        self.add(place.segment, of_kind(Kind::Event), &terms, of_kind(Kind::Key).next());
    }

    /// Adds the events of a batch, which stand at these offsets of the last segment or of one behind it, and its `once`
    /// key, the record of which stands behind them.
    pub(crate) fn add(
        &mut self,
        sequence: u32,
        offsets: impl Iterator<Item = u32>,
        terms: &BatchTerms,
        key_offset: Option<u32>,
    ) {
        if self.segments.last().is_none_or(|last| last.sequence() != sequence) {
            self.segments.push(Arc::new(SegmentTerms::new(sequence)));
        }
        let segment = self.segments.last().expect("pushed above");
        let key = terms.key();
        let key = key_offset.zip(key.as_ref().map(std::slice::from_ref));
        segment.add(offsets.zip(terms.events()).chain(key));
    }
}

impl Visitor for Lookup {
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        self.table.batch(place, batch)?;
        // Whoever reads a log from its beginning has left behind what comes before this segment.
        if let Some(last) = self.terms.segments.last().filter(|last| last.sequence() != place.segment) {
            last.pack();
        }
        self.terms.batch(place, batch);
        Ok(())
    }

    fn damaged(&mut self, range: Range) {
        self.table.damaged(range);
    }

    fn end_damaged(&mut self, range: Range) {
        self.table.end_damaged(range);
    }
}
