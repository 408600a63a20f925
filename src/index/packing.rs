//! Putting the terms of a segment into the arrays of [`packed`](super::packed).

use super::filter::Filling;
use super::groups::GROUPS;
use super::packed::{GROUP, GROUP_ENTRY_LEN, HAS_JUMPS, STREAM_LEN, Sections, TERM_LEN};
use super::part::StreamPart;
use super::varint::push_number;
use crate::format::Term;

/// What is being packed.
#[derive(Debug, Default)]
pub(super) struct Packing {
    streams: Vec<u8>,
    terms: Vec<u8>,
    postings: Vec<u8>,
    all: Vec<Term>,
    /// How many events the streams have, and the most that one term has.
    events: usize,
    longest: usize,
}

impl Packing {
    /// Adds the events with a term, which is higher than all before; of a stream also what is known of it here.
    pub(super) fn push(&mut self, term: Term, part: Option<&StreamPart>, offsets: &[u32]) {
        let place = match offsets {
            [one] => *one,
            several => self.push_postings(several),
        };
        // A record takes at least 64 bytes, so that the bit is free.
        let count = offsets.len() as u32;
        self.all.push(term);
        self.longest = self.longest.max(offsets.len());
        let Some(part) = part else {
            self.terms.extend_from_slice(&term.to_bytes());
            self.terms.extend_from_slice(&count.to_le_bytes());
            self.terms.extend_from_slice(&place.to_le_bytes());
            return;
        };
        self.events += offsets.len();
        let count = if part.has_jumps { count | HAS_JUMPS } else { count };
        self.streams.extend_from_slice(&term.to_bytes());
        self.streams.extend_from_slice(&count.to_le_bytes());
        self.streams.extend_from_slice(&place.to_le_bytes());
        self.streams.extend_from_slice(&part.first.get().to_le_bytes());
        self.streams.extend_from_slice(&part.before.to_number().to_le_bytes());
    }

    /// Packs several offsets; the place where they stand.
    fn push_postings(&mut self, offsets: &[u32]) -> u32 {
        let place = self.postings.len();
        let table_len = offsets.len().div_ceil(GROUP) * GROUP_ENTRY_LEN;
        self.postings.resize(place + table_len, 0);
        for (number, group) in offsets.chunks(GROUP).enumerate() {
            let start = self.postings.len() - place - table_len;
            let entry = place + number * GROUP_ENTRY_LEN;
            self.postings[entry..entry + 4].copy_from_slice(&group[0].to_le_bytes());
            self.postings[entry + 4..entry + 8].copy_from_slice(&(start as u32).to_le_bytes());
            for pair in group.windows(2) {
                push_number(pair[1] - pair[0], &mut self.postings);
            }
        }
        // A segment is no larger than this, and an event takes at least 64 bytes of it.
        u32::try_from(place).expect("postings take less than the events do")
    }

    /// What was packed, as one body.
    pub(super) fn finish(self) -> (Vec<u8>, Sections) {
        let mut filling = Filling::of(self.all.len());
        self.all.iter().for_each(|term| filling.add(*term));
        let filter = filling.finish();
        let sections = Sections {
            streams: self.streams.len() / STREAM_LEN,
            terms: self.terms.len() / TERM_LEN,
            postings: self.postings.len(),
            filter: filter.len(),
            groups: [0; GROUPS],
            events: self.events.max(self.longest),
        };
        let mut body = self.streams;
        body.reserve_exact(sections.len() - body.len());
        body.extend_from_slice(&self.terms);
        body.extend_from_slice(&self.postings);
        body.extend_from_slice(&filter);
        (body, sections)
    }
}
