//! The terms of a segment to which nothing is added any more, in a few large arrays: two directories sorted by term, and the
//! postings behind them.
//!
//! ```text
//! streams     36 bytes a stream, rising by its term: the term; how many events the segment has of it, the highest bit
//!             saying that versions are missing between them; where they stand; the version of the first; the segment
//!             before that holds the stream, 0 for none and the highest number for unknown
//! terms       24 bytes a term, rising: the term, how many events have it, and where they stand
//! filter      of what is meant to be there once, see `filter`; it stands behind the postings
//! postings    in groups of 128: for each group its first offset and the place of what follows it; then, group by group,
//!             how far each further offset lies behind the one before, 7 bits a byte
//! ```
//!
//! Where they stand is the offset itself for a single event, else the place of its postings. All numbers are little-endian;
//! places are counted from the beginning of the postings, those of a group's rest from the end of its table.

use super::blocks::{BLOCK, Blocks, Doubt};
use super::filter;
use super::part::{Before, StreamPart};
use crate::format::Term;
use crate::position::Version;

/// The terms of a segment to which nothing is added any more.
#[derive(Debug)]
pub(super) struct Packed {
    blocks: Blocks,
    sections: Sections,
}

/// How long the parts of a body are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    pub(super) streams: usize,
    pub(super) terms: usize,
    pub(super) postings: usize,
    pub(super) filter: usize,
    /// How many events there are in all.
    pub(super) events: usize,
}

/// The events with one term.
#[derive(Clone, Copy, Debug)]
pub(super) enum PackedPostings<'a> {
    One(u32),
    Groups { packed: &'a Packed, place: usize, count: usize },
}

/// What is being packed.
#[derive(Debug, Default)]
pub(super) struct Packing {
    streams: Vec<u8>,
    terms: Vec<u8>,
    postings: Vec<u8>,
    unique: Vec<Term>,
    /// How many events the streams have, and the most that one term has.
    events: usize,
    longest: usize,
}

const STREAM_LEN: usize = 36;
const TERM_LEN: usize = 24;
const GROUP: usize = 128;
const GROUP_ENTRY_LEN: usize = 8;
/// The longest rest of a group: each offset takes at most five bytes.
const REST_LEN_MAX: usize = 5 * (GROUP - 1);
const HAS_JUMPS: u32 = 1 << 31;
/// Tags, and a few more.
const TERMS_OF_EVENT_MAX: usize = 80;

impl Packing {
    /// Adds the events with a term, which is higher than all before; of a stream also what is known of it here.
    pub(super) fn push(&mut self, term: Term, part: Option<&StreamPart>, offsets: &[u32]) {
        let place = match offsets {
            [one] => *one,
            several => self.push_postings(several),
        };
        // A record takes at least 64 bytes, so that the bit is free.
        let count = offsets.len() as u32;
        if term.is_unique() {
            self.unique.push(term);
        }
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
        let filter = filter::build(&self.unique);
        let sections = Sections {
            streams: self.streams.len() / STREAM_LEN,
            terms: self.terms.len() / TERM_LEN,
            postings: self.postings.len(),
            filter: filter.len(),
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

impl Sections {
    /// The length of the body.
    pub(super) fn len(&self) -> usize {
        self.end_of_postings() + self.filter
    }

    fn end_of_postings(&self) -> usize {
        self.begin_of_postings() + self.postings
    }

    fn begin_of_terms(&self) -> usize {
        self.streams * STREAM_LEN
    }

    fn begin_of_postings(&self) -> usize {
        self.begin_of_terms() + self.terms * TERM_LEN
    }
}

/// One of the two directories.
#[derive(Clone, Copy)]
struct Directory {
    begin: usize,
    entry_len: usize,
    count: usize,
}

impl Packed {
    pub(super) fn new(blocks: Blocks, sections: Sections) -> Packed {
        Packed { blocks, sections }
    }

    /// The body, where it is in memory.
    pub(super) fn memory(&self) -> Option<&[u8]> {
        self.blocks.memory()
    }

    pub(super) fn is_in_memory(&self) -> bool {
        self.memory().is_some()
    }

    /// Fails where any part of it does not verify.
    pub(super) fn verify(&self) -> Result<(), Doubt> {
        let (len, mut at) = (self.sections.len(), 0);
        while at < len {
            self.blocks.get(at, BLOCK.min(len - at))?;
            at += BLOCK;
        }
        self.each(|_, _, _| {})
    }

    pub(super) fn sections(&self) -> Sections {
        self.sections
    }

    fn streams(&self) -> Directory {
        Directory { begin: 0, entry_len: STREAM_LEN, count: self.sections.streams }
    }

    fn terms(&self) -> Directory {
        Directory { begin: self.sections.begin_of_terms(), entry_len: TERM_LEN, count: self.sections.terms }
    }

    /// Whether anything can have a term that is meant to be there once. Most that are asked for are not there.
    pub(super) fn may_have(&self, unique: Term) -> Result<bool, Doubt> {
        filter::may_have(&self.blocks, self.sections.end_of_postings(), self.sections.filter, unique)
    }

    /// The events with a term.
    pub(super) fn find(&self, term: Term) -> Result<Option<PackedPostings<'_>>, Doubt> {
        let directory = if term.is_stream() { self.streams() } else { self.terms() };
        let Some(index) = self.index_of(directory, term)? else { return Ok(None) };
        let entry = self.entry(directory, index)?;
        let (count, place) = (number_at(&entry, 16), number_at(&entry, 20));
        let count = if term.is_stream() { count & !HAS_JUMPS } else { count };
        Ok(Some(match count {
            0 => return Err(Doubt),
            // No term has more events than there are.
            count if self.sections.events < count as usize => return Err(Doubt),
            1 => PackedPostings::One(place),
            _ => PackedPostings::Groups { packed: self, place: place as usize, count: count as usize },
        }))
    }

    /// Every term with what stands here of it, streams first and each kind rising.
    pub(super) fn each(&self, mut tell: impl FnMut(Term, Option<StreamPart>, &[u32])) -> Result<(), Doubt> {
        let (mut offsets, mut told) = (Vec::new(), 0_usize);
        for directory in [self.streams(), self.terms()] {
            for index in 0..directory.count {
                let term = self.term_at(directory, index)?;
                let found = self.find(term)?.ok_or(Doubt)?;
                told += found.len();
                if self.sections.events.saturating_mul(TERMS_OF_EVENT_MAX) < told {
                    return Err(Doubt);
                }
                offsets.clear();
                found.slice(0, found.len(), &mut offsets)?;
                let part = if term.is_stream() { Some(self.part_at(index)?) } else { None };
                tell(term, part, &offsets);
            }
        }
        Ok(())
    }

    /// What stands here of a stream.
    pub(super) fn part(&self, stream: Term) -> Result<Option<StreamPart>, Doubt> {
        let Some(index) = self.index_of(self.streams(), stream)? else { return Ok(None) };
        self.part_at(index).map(Some)
    }

    fn part_at(&self, index: usize) -> Result<StreamPart, Doubt> {
        let entry = self.entry(self.streams(), index)?;
        let first = u64::from(number_at(&entry, 24)) | u64::from(number_at(&entry, 28)) << 32;
        Ok(StreamPart {
            first: Version::new(first),
            has_jumps: number_at(&entry, 16) & HAS_JUMPS != 0,
            before: Before::from_number(number_at(&entry, 32)),
        })
    }

    fn entry(&self, directory: Directory, index: usize) -> Result<std::borrow::Cow<'_, [u8]>, Doubt> {
        self.blocks.get(directory.begin + index * directory.entry_len, directory.entry_len)
    }

    fn term_at(&self, directory: Directory, index: usize) -> Result<Term, Doubt> {
        let bytes = self.blocks.get(directory.begin + index * directory.entry_len, 16)?;
        Ok(Term::from_bytes(*bytes.first_chunk().ok_or(Doubt)?))
    }

    fn index_of(&self, directory: Directory, term: Term) -> Result<Option<usize>, Doubt> {
        let index = self.first_at_or_behind(directory, term)?;
        Ok((index < directory.count && self.term_at(directory, index)? == term).then_some(index))
    }

    /// The index of the first term that is not lower. Terms are as good as random, so a guess is nearly right.
    fn first_at_or_behind(&self, directory: Directory, term: Term) -> Result<usize, Doubt> {
        let is_lower = |index: usize| Ok(index < directory.count && self.term_at(directory, index)? < term);
        let (mut low, mut high) = (0, directory.count);
        let mut guess = term.guess(high);
        let mut step = 1;
        while low < high && high - low > 2 * step {
            if is_lower(guess)? {
                low = guess + 1;
                if !is_lower(low + step)? {
                    high = (low + step).min(high);
                    break;
                }
                guess = (low + step).min(high - 1);
            } else {
                high = guess;
                let Some(below) = high.checked_sub(step).filter(|below| low <= *below) else { break };
                if is_lower(below)? {
                    low = below + 1;
                    break;
                }
                guess = below;
            }
            step *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_lower(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

impl PackedPostings<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            PackedPostings::One(_) => 1,
            PackedPostings::Groups { count, .. } => *count,
        }
    }

    /// The first event at or behind an offset.
    pub(super) fn at_or_behind(&self, offset: u32) -> Result<Option<u32>, Doubt> {
        match *self {
            PackedPostings::One(one) => Ok((offset <= one).then_some(one)),
            PackedPostings::Groups { .. } => {
                let behind = self.groups_before(|first| first <= offset)?;
                if let Some(group) = behind.checked_sub(1) {
                    let found = self.group(group)?.find(|at| offset <= *at);
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(self.group(behind)?.next())
            }
        }
    }

    /// The last event before an offset.
    pub(super) fn before(&self, offset: u32) -> Result<Option<u32>, Doubt> {
        match *self {
            PackedPostings::One(one) => Ok((one < offset).then_some(one)),
            PackedPostings::Groups { .. } => {
                let Some(group) = self.groups_before(|first| first < offset)?.checked_sub(1) else { return Ok(None) };
                Ok(self.group(group)?.take_while(|at| *at < offset).last())
            }
        }
    }

    /// Up to `count` of the events, from the one at an index on.
    pub(super) fn slice(&self, from: usize, count: usize, out: &mut Vec<u32>) -> Result<(), Doubt> {
        let count = count.min(self.len().saturating_sub(from));
        match *self {
            PackedPostings::One(one) => out.extend((0 < count).then_some(one)),
            PackedPostings::Groups { .. } => {
                let (mut group, mut skip, mut left) = (from / GROUP, from % GROUP, count);
                while left != 0 {
                    let before = out.len();
                    out.extend(self.group(group)?.skip(skip).take(left));
                    if out.len() == before {
                        return Err(Doubt);
                    }
                    left -= out.len() - before;
                    (group, skip) = (group + 1, 0);
                }
            }
        }
        Ok(())
    }

    /// How many groups begin so.
    fn groups_before(&self, begins: impl Fn(u32) -> bool) -> Result<usize, Doubt> {
        let (mut low, mut high) = (0, self.len().div_ceil(GROUP));
        while low < high {
            let middle = low + (high - low) / 2;
            if begins(self.head_of(middle)?.0) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The first offset of a group, and where the rest of it begins.
    fn head_of(&self, group: usize) -> Result<(u32, usize), Doubt> {
        let PackedPostings::Groups { packed, place, .. } = self else { return Err(Doubt) };
        let at = packed.sections.begin_of_postings() + place + group * GROUP_ENTRY_LEN;
        let entry = packed.blocks.get(at, GROUP_ENTRY_LEN)?;
        Ok((number_at(&entry, 0), number_at(&entry, 4) as usize))
    }

    /// The offsets of a group; none behind the last one.
    fn group(&self, group: usize) -> Result<impl Iterator<Item = u32>, Doubt> {
        let (mut at, mut rest, mut used, mut left) = (0, std::borrow::Cow::Borrowed(&[][..]), 0, 0);
        if let PackedPostings::Groups { packed, place, count } = *self
            && group * GROUP < count
        {
            let (first, start) = self.head_of(group)?;
            let begin = packed.sections.begin_of_postings() + place + count.div_ceil(GROUP) * GROUP_ENTRY_LEN + start;
            let len = packed.sections.end_of_postings().checked_sub(begin).ok_or(Doubt)?.min(REST_LEN_MAX);
            rest = packed.blocks.get(begin, len)?;
            at = first;
            left = (count - group * GROUP).min(GROUP);
        }
        let mut is_first = true;
        Ok(std::iter::from_fn(move || {
            left = usize::checked_sub(left, 1)?;
            if !is_first {
                let mut bytes = &rest[used..];
                at = u32::wrapping_add(at, take_number(&mut bytes));
                used = rest.len() - bytes.len();
            }
            is_first = false;
            Some(at)
        }))
    }
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("four bytes were packed there"))
}

/// Appends a number, 7 bits a byte, the lowest first; the highest bit says that more follow.
fn push_number(mut number: u32, out: &mut Vec<u8>) {
    while 0x80 <= number {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> u32 {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let Some((byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        number |= u32::from(byte & 0x7F) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::TermHasher;
    use crate::index::postings::Postings;

    fn pack(terms: impl Iterator<Item = (Term, Vec<u32>)>) -> Packed {
        let mut terms: Vec<_> = terms.collect();
        terms.sort();
        let mut packing = Packing::default();
        terms.iter().for_each(|(term, offsets)| packing.push(*term, None, offsets));
        let (body, sections) = packing.finish();
        Packed::new(Blocks::in_memory(body), Sections { events: 1_000_000, ..sections })
    }

    #[test]
    fn what_is_known_of_a_stream_comes_back() {
        let hasher = TermHasher::new([3; 16]);
        let before = [Before::Nowhere, Before::Segment(7), Before::Unknown];
        let part = |number: usize| StreamPart {
            first: Version::new(number as u64 * 5_000_000_000 + 1),
            has_jumps: number % 2 == 1,
            before: before[number % 3],
        };
        let mut all: Vec<_> = (0..50).map(|number| (hasher.stream(&number.to_string()), number)).collect();
        all.sort();
        let mut packing = Packing::default();
        for (term, number) in &all {
            packing.push(*term, Some(&part(*number)), &[3, 4, 5][..1 + number % 3]);
        }
        let (body, sections) = packing.finish();
        assert_eq!((sections.streams, sections.len()), (50, body.len()));
        let packed = Packed::new(Blocks::in_memory(body), sections);
        for (term, number) in &all {
            assert_eq!(packed.part(*term), Ok(Some(part(*number))));
            let found = packed.find(*term).unwrap().expect("it is there");
            assert_eq!((found.len(), found.at_or_behind(0)), (1 + number % 3, Ok(Some(3))));
        }
        assert_eq!(packed.part(hasher.stream("51")), Ok(None));
    }

    #[test]
    fn numbers_of_every_length_come_back() {
        let numbers = [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000, 0xFFF_FFFF, 0x1000_0000, u32::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|number| push_number(*number, &mut bytes));
        let mut rest = &bytes[..];
        assert_eq!(numbers.map(|_| take_number(&mut rest)), numbers);
        assert!(rest.is_empty());
    }

    #[test]
    fn every_term_is_found_and_no_other() {
        let hasher = TermHasher::new([3; 16]);
        for count in [0, 1, 2, 3, 10, 1_000] {
            let term = |number: usize| hasher.event_type(&number.to_string());
            let packed = pack((0..count).map(|number| (term(number), vec![number as u32])));
            assert_eq!(packed.sections(), Sections { terms: count, events: 1_000_000, ..Sections::default() });
            for number in 0..count + 100 {
                let found = packed.find(term(number)).unwrap().map(|postings| postings.at_or_behind(0));
                assert_eq!(found, (number < count).then_some(Ok(Some(number as u32))), "{number} of {count}");
            }
        }
    }

    #[test]
    fn terms_that_are_not_spread_evenly_are_found_too() {
        let term = |low: u8, high: u8| {
            let mut bytes = [high; 16];
            bytes[0] = low;
            Term::from_bytes(bytes)
        };
        for high in [0, 1, 0x7F, 0xFF] {
            let all = (0..200).map(|low| (term(low, high), vec![low.into()]));
            let packed = pack(all.filter(|(term, _)| !term.is_stream()));
            for low in (0..=254).step_by(2) {
                let found = packed.find(term(low, high)).unwrap().map(|postings| postings.before(u32::MAX));
                assert_eq!(found, (low < 200).then_some(Ok(Some(low.into()))), "{low} below {high}");
            }
            assert!(packed.find(term(0, high ^ 1)).unwrap().is_none());
        }
    }

    #[test]
    fn postings_are_the_same_packed_and_listed() {
        let hasher = TermHasher::new([3; 16]);
        let mut number = 7_u64;
        let mut next = |below: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) as u32 % below as u32
        };
        for count in [1, 2, 127, 128, 129, 255, 256, 257, 1_000] {
            for spread in [1, 300, 100_000] {
                let mut at = next(1_000);
                let offsets: Vec<u32> = (0..count)
                    .map(|_| {
                        at += 1 + next(spread);
                        at
                    })
                    .collect();
                let (a, b) = (hasher.event_type("a"), hasher.event_type("b"));
                let packed = pack([(a, offsets.clone()), (b, vec![5, 9])].into_iter());
                let mut listed = Postings::new(offsets[0]);
                offsets[1..].iter().for_each(|offset| listed.push(*offset));
                let found = packed.find(a).unwrap().expect("it is there");
                let near = offsets.iter().flat_map(|at| [at - 1, *at, at + 1]);
                for offset in near.chain([0, u32::MAX]) {
                    assert_eq!(found.at_or_behind(offset), Ok(listed.at_or_behind(offset)), "{offset} of {count}");
                    assert_eq!(found.before(offset), Ok(listed.before(offset)), "{offset} of {count}");
                }
                for from in [0, 1, 127, 128, 200, offsets.len() - 1, offsets.len()] {
                    let mut slice = Vec::new();
                    found.slice(from, 130, &mut slice).unwrap();
                    let expected: Vec<u32> = offsets.iter().copied().skip(from).take(130).collect();
                    assert_eq!(slice, expected, "from {from} of {count}");
                }
            }
        }
    }
}
