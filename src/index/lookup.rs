//! Everything events are found by: the stream table, and the terms of each segment.

use super::part::{Step, StreamPart};
use super::saved::{SavedTable, rewrites};
use super::streams::StreamTable;
use super::terms::SegmentTerms;
use super::terms_file::Shelf;
use crate::format::{BatchTerms, BatchView, Fault, Kind, Preamble, Range, Term, TermHasher};
use crate::log::Visitor;
use crate::mutant::Mutant;
use crate::options::ReadMode;
use crate::position::{Place, Version};
use crate::segment::{KnownSegment, Sealed};
use crate::storage::Storage;
use crate::sync::Arc;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// What is remembered of a whole log.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) table: StreamTable,
    pub(crate) terms: TermIndex,
    derived: Option<Derived>,
    reading: Reading,
}

/// The terms of all segments.
#[derive(Debug)]
pub(crate) struct TermIndex {
    hasher: TermHasher,
    /// Rising in sequence number.
    segments: Vec<Arc<SegmentTerms>>,
    /// Of the segments that compaction wrote the first number that each stands for.
    rewritten: HashMap<u32, u32>,
}

/// What was derived from the log before, and may be relied on where it verifies.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) mode: ReadMode,
    pub(crate) saved: Option<SavedTable>,
}

/// The segment that is read, where the table knows a part of its streams before.
#[derive(Debug, Default)]
struct Reading {
    segment: u32,
    /// The last version of each stream that was read there.
    last: HashMap<Term, Version>,
}

impl Lookup {
    /// Of a log of which nothing was read yet; one in which there is nothing may have no id.
    pub(crate) fn of_store(store: Option<[u8; 16]>) -> Lookup {
        let terms = TermIndex::new(store.unwrap_or_default());
        Lookup { table: StreamTable::default(), terms, derived: None, reading: Reading::default() }
    }

    /// The same with the help of what was derived before. Only where damage is an error: segments of which all is known are
    /// not read.
    pub(crate) fn with_derived(store: Option<[u8; 16]>, derived: Derived) -> Lookup {
        let saved = derived.saved.filter(|saved| Some(saved.store) == store);
        Lookup { derived: Some(Derived { saved, ..derived }), ..Lookup::of_store(store) }
    }
}

impl TermIndex {
    pub(crate) fn new(store: [u8; 16]) -> TermIndex {
        TermIndex { hasher: TermHasher::new(store), segments: Vec::new(), rewritten: HashMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many bytes of packed terms are in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.segments.iter().map(|terms| terms.memory_bytes()).sum()
    }

    pub(crate) fn hasher(&self) -> &TermHasher {
        &self.hasher
    }

    /// The terms of all segments that hold events, rising in sequence number.
    pub(crate) fn segments(&self) -> &[Arc<SegmentTerms>] {
        &self.segments
    }

    /// The terms of a segment; none where it holds no events.
    pub(crate) fn of(&self, sequence: u32) -> Option<&Arc<SegmentTerms>> {
        let index = self.segments.binary_search_by_key(&sequence, |segment| segment.sequence()).ok()?;
        self.segments.get(index)
    }

    /// Takes the terms of a segment that was written anew in place of those of all that it stands for; none where it holds
    /// nothing that is looked for.
    pub(crate) fn replace(&mut self, stands_for: RangeInclusive<u32>, terms: Option<Arc<SegmentTerms>>) {
        let begin = self.segments.partition_point(|one| one.sequence() < *stands_for.start());
        let end = self.segments.partition_point(|one| one.sequence() <= *stands_for.end());
        self.segments.splice(begin..end, terms);
    }

    /// The segments that have ended.
    pub(crate) fn ended(&self) -> &[Arc<SegmentTerms>] {
        self.segments.split_last().map_or(&[], |(_, ended)| ended)
    }

    /// Adds the events of a stored batch, which stands or will stand at `place`, with how each continues its stream.
    pub(crate) fn batch(&mut self, place: Place, batch: &BatchView<'_>, terms: &BatchTerms, steps: &[Step]) {
        let moved = place.offset.wrapping_sub(batch.offset);
        let of_kind = |kind| {
            let records = batch.placed_records().filter(move |(_, record)| record.header.kind == kind);
            records.map(move |(offset, _)| offset.wrapping_add(moved))
        };
        self.add(place.segment, of_kind(Kind::Event), terms, steps, of_kind(Kind::Key).next());
    }

    /// Adds the events of a batch, which stand at these offsets of the last segment or of one behind it, and its `once`
    /// key, the record of which stands behind them.
    pub(crate) fn add(
        &mut self,
        sequence: u32,
        offsets: impl Iterator<Item = u32>,
        terms: &BatchTerms,
        steps: &[Step],
        key_offset: Option<u32>,
    ) {
        if self.segments.last().is_none_or(|last| last.sequence() != sequence) {
            let from = self.rewritten.get(&sequence).copied().unwrap_or(sequence);
            self.segments.push(Arc::new(SegmentTerms::new(sequence, self.hasher).standing_from(from)));
        }
        let segment = self.segments.last().expect("pushed above");
        let key = terms.key();
        let key = key_offset.zip(key.as_ref().map(std::slice::from_ref)).map(|(offset, key)| (offset, key, None));
        let events = offsets.zip(terms.events()).zip(steps);
        segment.add(events.map(|((offset, terms), step)| (offset, terms, Some(*step))).chain(key));
    }
}

impl Reading {
    /// How each event of a batch continues its stream. To be asked before the table is told of the batch.
    fn steps(
        &mut self,
        table: &StreamTable,
        place: Place,
        batch: &BatchView<'_>,
        terms: &BatchTerms,
    ) -> Result<Vec<Step>, Fault> {
        if self.segment != place.segment {
            *self = Reading { segment: place.segment, last: HashMap::new() };
        }
        let mut steps = Vec::new();
        let events = batch.records().filter(|record| record.header.kind == Kind::Event);
        for (record, terms) in events.zip(terms.events()) {
            let version = record.header.version;
            let stream = terms.iter().find(|term| term.is_stream()).ok_or(Fault::Senseless)?;
            steps.push(match self.last.insert(*stream, version) {
                None => {
                    let before = table.before(record.stream()?, version, place.segment);
                    Step::Begins(StreamPart { first: version, has_jumps: false, before })
                }
                Some(last) if last.next() == Some(version) => Step::Follows,
                Some(_) => Step::Jumps,
            });
        }
        Ok(steps)
    }
}

impl Visitor for Lookup {
    /// What was saved counts only if it speaks of this log, and of nothing behind an end that a later segment fixed.
    fn chain(&mut self, links: &[(Preamble, Option<u32>)], are_all_read: bool) {
        let rewritten = links.iter().filter(|(preamble, _)| preamble.rewritten.is_some());
        self.terms.rewritten = rewritten.map(|(of, _)| (of.sequence, of.stands_from())).collect();
        let Some(derived) = &mut self.derived else { return };
        if are_all_read {
            derived.saved = None;
        }
        let rewritten = rewrites(links.iter().map(|(preamble, _)| preamble));
        let is_in_log = |saved: &SavedTable| {
            (saved.rewrites == rewritten || Mutant::TrustsATableFromBefore.is_on())
                && [saved.from, saved.upto].iter().all(|spot| {
                    let mut links = links.iter();
                    let link = links.find(|(preamble, _)| preamble.sequence == spot.place.segment);
                    link.is_some_and(|(preamble, end)| {
                        preamble.segment == spot.segment && end.is_none_or(|end| spot.place.offset <= end)
                    })
                })
        };
        derived.saved = derived.saved.take().filter(is_in_log);
        match derived.saved.as_ref().map(StreamTable::saved) {
            Some(Ok(table)) => self.table = table,
            Some(Err(_)) => derived.saved = None,
            None => {}
        }
    }

    fn sealed(&mut self, sealed: &Sealed) -> Option<KnownSegment> {
        let derived = self.derived.as_ref()?;
        let terms = SegmentTerms::new(sealed.number.sequence, self.terms.hasher).standing_from(sealed.from);
        let known = terms.take_from(&Shelf { storage: &*derived.storage, mode: derived.mode }, sealed)?;
        self.terms.segments.push(Arc::new(terms));
        let end = Place { segment: sealed.number.sequence, offset: sealed.end };
        derived.saved.as_ref().is_some_and(|saved| end <= saved.from.place).then_some(known)
    }

    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        // Whoever reads a log from its beginning has left behind what comes before this segment.
        if let Some(last) = self.terms.segments.last().filter(|last| last.sequence() != place.segment) {
            last.pack_all();
        }
        if self.terms.of(place.segment).is_some_and(|terms| terms.is_packed()) {
            return self.table.batch(place, batch);
        }
        let terms = batch.terms(&self.terms.hasher);
        if self.table.is_known_in_part(place.segment) {
            let steps = self.reading.steps(&self.table, place, batch, &terms)?;
            self.table.batch(place, batch)?;
            self.terms.batch(place, batch, &terms, &steps);
        } else {
            self.table.batch(place, batch)?;
            self.terms.batch(place, batch, &terms, self.table.steps());
        }
        Ok(())
    }

    fn damaged(&mut self, range: Range) {
        self.table.damaged(range);
    }

    fn end_damaged(&mut self, range: Range) {
        self.table.end_damaged(range);
    }
}
