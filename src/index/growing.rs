//! The terms of a segment, or of its end, while it is written.

use super::blocks::Doubt;
use super::packed::Packed;
use super::packing::Packing;
use super::part::{Before, Step, StreamPart};
use super::postings::Postings;
use crate::error::Error;
use crate::format::{BatchBuffer, BatchTerms, Kind, RecordView, Term, TermHasher};
use crate::position::Version;
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment, read_whole};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashMap;

/// Terms to which more are added.
#[derive(Clone, Debug, Default)]
pub(super) struct Growing {
    terms: HashTable<(Term, Postings)>,
    streams: HashTable<(Term, StreamPart)>,
}

impl Growing {
    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The events with a term.
    pub(super) fn find(&self, term: Term) -> Option<&Postings> {
        self.terms.find(term.hash(), |(known, _)| *known == term).map(|(_, postings)| postings)
    }

    /// What stands here of a stream.
    pub(super) fn part(&self, stream: Term) -> Option<&StreamPart> {
        self.streams.find(stream.hash(), |(known, _)| *known == stream).map(|(_, part)| part)
    }

    /// Adds an event behind all others, with how it continues its stream, or the record of a key.
    pub(super) fn add(&mut self, offset: u32, terms: &[Term], step: Option<Step>) {
        for (number, term) in terms.iter().enumerate() {
            // A tag may be given twice.
            if terms[..number].contains(term) {
                continue;
            }
            self.push(*term, offset);
            match step {
                Some(Step::Begins(part)) if term.is_stream() => self.begin(*term, part),
                Some(Step::Jumps) if term.is_stream() => self.jump(*term),
                _ => {}
            }
        }
    }

    fn push(&mut self, term: Term, offset: u32) {
        match self.terms.entry(term.hash(), |(known, _)| *known == term, |(known, _)| known.hash()) {
            Entry::Occupied(mut entry) => entry.get_mut().1.push(offset),
            Entry::Vacant(entry) => {
                entry.insert((term, Postings::new(offset)));
            }
        }
    }

    /// Notes what is known of a stream, where nothing is yet.
    fn begin(&mut self, stream: Term, part: StreamPart) {
        let entry = self.streams.entry(stream.hash(), |(known, _)| *known == stream, |(known, _)| known.hash());
        entry.or_insert((stream, part));
    }

    fn jump(&mut self, stream: Term) {
        if let Some((_, part)) = self.streams.find_mut(stream.hash(), |(known, _)| *known == stream) {
            part.has_jumps = true;
        }
    }

    /// Adds what stands in `later` at or behind an offset, which is behind all that stands here before it.
    pub(super) fn absorb(&mut self, later: &Growing, from: u32) {
        for (stream, part) in &later.streams {
            self.begin(*stream, *part);
            if part.has_jumps {
                self.jump(*stream);
            }
        }
        for (term, postings) in &later.terms {
            for offset in postings.offsets().iter().filter(|offset| from <= **offset) {
                self.push(*term, *offset);
            }
        }
    }

    /// What was packed up to an end, to be added to.
    pub(super) fn unpacked(packed: &Packed, end: u32) -> Result<Growing, Doubt> {
        let mut growing = Growing::default();
        packed.each(end, |term, part, offsets| {
            offsets.iter().for_each(|offset| growing.push(term, *offset));
            if let Some(part) = part {
                growing.begin(term, part);
            }
        })?;
        Ok(growing)
    }

    /// Says of each stream where it stands before.
    pub(super) fn set_before(&mut self, mut before: impl FnMut(Term) -> Result<Before, Error>) -> Result<(), Error> {
        for (stream, part) in &mut self.streams {
            part.before = before(*stream)?;
        }
        Ok(())
    }

    /// Packs all of it.
    pub(super) fn pack(&self, packing: &mut Packing) {
        let mut terms: Vec<&(Term, Postings)> = self.terms.iter().collect();
        terms.sort_unstable_by_key(|(term, _)| *term);
        for (term, postings) in terms {
            packing.push(*term, self.part(*term), postings.offsets());
        }
    }

    /// The terms of a segment up to an offset, read from its records. What comes before it is not known.
    pub(super) fn of_segment(segment: &Segment, hasher: &TermHasher, end: u32) -> Result<Growing, Error> {
        let mut bytes = Vec::new();
        read_whole(&**segment.file(), end as usize, &mut bytes)
            .map_err(|error| Error::io(format!("reading segment {} for its terms", segment.sequence()), error))?;
        let (sequence, size) = (segment.sequence(), segment.preamble.size);
        let scanned = ScannedSegment { bytes: &bytes, base: 0, salt: segment.salt, sequence, size };
        let mut gathering = Gathering::new(*hasher);
        let mut offset = FIRST_BATCH;
        while offset < end {
            if let Some(behind) = segment.passed_over(offset) {
                offset = behind;
                continue;
            }
            let Found::Batch(batch) = scanned.at(offset) else { return Err(segment.damaged(offset)) };
            gathering.add(&batch.terms(hasher), batch.placed_records());
            offset = batch.end();
        }
        Ok(gathering.growing)
    }
}

/// The terms of the batches of one segment, which come by in order. What comes before the segment is not known.
pub(crate) struct Gathering {
    hasher: TermHasher,
    pub(super) growing: Growing,
    /// The last version of each stream.
    last: HashMap<Term, Version, RandomState>,
}

impl Gathering {
    pub(crate) fn new(hasher: TermHasher) -> Gathering {
        Gathering { hasher, growing: Growing::default(), last: HashMap::default() }
    }

    /// Adds a batch that stands, or is to stand, at an offset.
    pub(crate) fn add_batch(&mut self, batch: &BatchBuffer, offset: u32) {
        let terms = batch.terms(&self.hasher);
        self.add(&terms, batch.placed_records().map(|(at, record)| (offset + at, record)));
    }

    /// The hasher of its terms.
    pub(super) fn hasher(&self) -> TermHasher {
        self.hasher
    }

    fn add<'a>(&mut self, terms: &BatchTerms, records: impl Iterator<Item = (u32, RecordView<'a>)>) {
        let (mut of_events, mut key) = (terms.events(), terms.key());
        for (at, record) in records {
            match record.header.kind {
                Kind::Event => {
                    let Some(terms) = of_events.next() else { return };
                    let version = record.header.version;
                    let stream = terms.iter().find(|term| term.is_stream());
                    let before = stream.and_then(|stream| self.last.insert(*stream, version));
                    self.growing.add(at, terms, Some(Step::read(before, version)));
                }
                Kind::Key => key.take().into_iter().for_each(|key| self.growing.add(at, &[key], None)),
                _ => {}
            }
        }
    }
}

impl Step {
    /// How an event with a version continues what was read of its stream in the same segment.
    fn read(last: Option<Version>, version: Version) -> Step {
        match last {
            None => {
                let before = if version == Version::FIRST { Before::Nowhere } else { Before::Unknown };
                Step::Begins(StreamPart { first: version, has_jumps: false, before })
            }
            Some(last) if last.next() == Some(version) => Step::Follows,
            Some(_) => Step::Jumps,
        }
    }
}
