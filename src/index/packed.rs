//! The terms of a segment to which nothing is added any more, in a few large arrays: two directories sorted by term, and the
//! postings behind them.
//!
//! ```text
//! streams     36 bytes a stream, rising by its term: the term; how many events the segment has of it, the highest bit
//!             saying that versions are missing between them; where they stand; the version of the first; the segment
//!             before that holds the stream, 0 for none and the highest number for unknown
//! terms       24 bytes a term, rising: the term, how many events have it, and where they stand
//! postings    in groups of 128: for each group its first offset and the place of what follows it; then, group by group,
//!             how far each further offset lies behind the one before, 7 bits a byte
//! filters     of all these terms, and of those of groups of segments that end with this one: see `filter` and `groups`
//! ```
//!
//! Where they stand is the offset itself for a single event, else the place of its postings. All numbers are little-endian;
//! places are counted from the beginning of the postings, those of a group's rest from the end of its table.

use super::blocks::{BLOCK, Blocks, Doubt};
use super::filter;
use super::groups::GROUPS;
use super::part::{Before, StreamPart};
use super::varint::take_number;
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
    pub(super) groups: [usize; GROUPS],
    /// How many events there are in all.
    pub(super) events: usize,
}

/// The events with one term.
#[derive(Clone, Copy, Debug)]
pub(super) enum PackedPostings<'a> {
    One(u32),
    Groups { packed: &'a Packed, place: usize, count: usize },
}

pub(super) const STREAM_LEN: usize = 36;
pub(super) const TERM_LEN: usize = 24;
pub(super) const GROUP: usize = 128;
pub(super) const GROUP_ENTRY_LEN: usize = 8;
/// The longest rest of a group: each offset takes at most five bytes.
const REST_LEN_MAX: usize = 5 * (GROUP - 1);
pub(super) const HAS_JUMPS: u32 = 1 << 31;
/// Tags, and a few more.
const TERMS_OF_EVENT_MAX: usize = 80;

impl Sections {
    /// The length of the body.
    pub(super) fn len(&self) -> usize {
        self.end_of_postings() + self.filter + self.groups.iter().sum::<usize>()
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

    /// Fails where any part of it does not verify, or cannot be of a segment that ends there.
    pub(super) fn verify(&self, end: u32) -> Result<(), Doubt> {
        let (len, mut at) = (self.sections.len(), 0);
        while at < len {
            self.blocks.get(at, BLOCK.min(len - at))?;
            at += BLOCK;
        }
        self.each(end, |_, _, _| {})
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

    /// Whether anything can have a term. Where the filter is in doubt, so is the rest.
    pub(super) fn may_have(&self, term: Term) -> Result<bool, Doubt> {
        filter::may_have(&self.blocks, self.sections.end_of_postings(), self.sections.filter, term)
    }

    /// Whether there is a filter of the group with this number that ends with this segment.
    pub(super) fn has_group(&self, group: usize) -> bool {
        self.sections.groups[group] != 0
    }

    /// Whether anything in that group can have a term.
    pub(super) fn group_may_have(&self, group: usize, term: Term) -> Result<bool, Doubt> {
        let before = self.sections.groups[..group].iter().sum::<usize>();
        let begin = self.sections.end_of_postings() + self.sections.filter + before;
        filter::may_have(&self.blocks, begin, self.sections.groups[group], term)
    }

    /// Every term, streams first and each kind rising, for as long as that is wanted of its kind.
    pub(super) fn each_term(&self, mut tell: impl FnMut(Term) -> bool) -> Result<(), Doubt> {
        for directory in [self.streams(), self.terms()] {
            for index in 0..directory.count {
                if !tell(self.term_at(directory, index)?) {
                    break;
                }
            }
        }
        Ok(())
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

    /// Whether any event, or the record of a key, has a term.
    pub(super) fn has(&self, term: Term) -> Result<bool, Doubt> {
        Ok(self.may_have(term)? && self.find(term)?.is_some())
    }

    /// Adds where up to `count` of the events with a term stand, from the one at an index on; how many have it in all.
    pub(super) fn slice(&self, term: Term, from: usize, count: usize, out: &mut Vec<u32>) -> Result<usize, Doubt> {
        let Some(found) = self.find(term)? else { return Ok(0) };
        found.slice(from, count, out)?;
        Ok(found.len())
    }

    /// Every term with what stands here of it, streams first and each kind rising. All events stand before an end.
    pub(super) fn each(&self, end: u32, mut tell: impl FnMut(Term, Option<StreamPart>, &[u32])) -> Result<(), Doubt> {
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
                if !offsets.is_sorted_by(|one, next| one < next) || offsets.last().is_some_and(|last| end <= *last) {
                    return Err(Doubt);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::TermHasher;
    use crate::index::packing::Packing;
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
    fn every_term_is_found_and_no_other() {
        let hasher = TermHasher::new([3; 16]);
        for count in [0, 1, 2, 3, 10, 1_000] {
            let term = |number: usize| hasher.event_type(&number.to_string());
            let packed = pack((0..count).map(|number| (term(number), vec![number as u32])));
            let filter = filter::len_of(count);
            assert_eq!(packed.sections(), Sections { terms: count, filter, events: 1_000_000, ..Sections::default() });
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
