//! The terms of a segment that has ended, in two large arrays: a directory sorted by term, and the postings behind it.
//!
//! ```text
//! directory   24 bytes a term, rising: the term, how many events have it, and where they stand: the offset itself where
//!             there is one, else the place of its postings
//! postings    in groups of 128: for each group its first offset and the place of what follows it; then, group by group,
//!             how far each further offset lies behind the one before, 7 bits a byte
//! ```
//!
//! All numbers are little-endian and places are counted from the beginning of the postings.

use super::postings::Postings;
use crate::format::Term;

/// The terms of a segment to which nothing is added any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    directory: Vec<u8>,
    postings: Vec<u8>,
}

/// The events with one term.
#[derive(Clone, Copy, Debug)]
pub(super) enum PackedPostings<'a> {
    One(u32),
    Groups { table: &'a [u8], deltas: &'a [u8], count: usize },
}

const ENTRY_LEN: usize = 24;
const GROUP: usize = 128;
const GROUP_ENTRY_LEN: usize = 8;

impl Packed {
    /// Packs the postings of each term.
    pub(super) fn new<'a>(terms: impl Iterator<Item = &'a (Term, Postings)>) -> Packed {
        let mut terms: Vec<&(Term, Postings)> = terms.collect();
        terms.sort_unstable_by_key(|(term, _)| *term);
        let mut packed = Packed { directory: Vec::with_capacity(terms.len() * ENTRY_LEN), postings: Vec::new() };
        for (term, postings) in terms {
            let offsets = postings.offsets();
            let place = match offsets {
                [one] => *one,
                several => packed.push(several),
            };
            packed.directory.extend_from_slice(&term.to_bytes());
            packed.directory.extend_from_slice(&(offsets.len() as u32).to_le_bytes());
            packed.directory.extend_from_slice(&place.to_le_bytes());
        }
        packed.postings.shrink_to_fit();
        packed
    }

    /// Packs several offsets; the place where they stand.
    fn push(&mut self, offsets: &[u32]) -> u32 {
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

    /// The events with a term.
    pub(super) fn find(&self, term: Term) -> Option<PackedPostings<'_>> {
        let entry = self.entry(self.first_at_or_behind(term))?;
        if term_of(entry) != term {
            return None;
        }
        let (count, place) = (number_at(entry, 16), number_at(entry, 20));
        if count == 1 {
            return Some(PackedPostings::One(place));
        }
        let count = count as usize;
        let rest = &self.postings[place as usize..];
        let (table, deltas) = rest.split_at(count.div_ceil(GROUP) * GROUP_ENTRY_LEN);
        Some(PackedPostings::Groups { table, deltas, count })
    }

    fn len(&self) -> usize {
        self.directory.len() / ENTRY_LEN
    }

    fn entry(&self, index: usize) -> Option<&[u8]> {
        self.directory.get(index * ENTRY_LEN..(index + 1) * ENTRY_LEN)
    }

    /// The index of the first term that is not lower. Terms are as good as random, so a guess is nearly right.
    fn first_at_or_behind(&self, term: Term) -> usize {
        let is_lower = |index: usize| self.entry(index).is_some_and(|entry| term_of(entry) < term);
        let (mut low, mut high) = (0, self.len());
        let mut guess = term.guess(high);
        let mut step = 1;
        while low < high && high - low > 2 * step {
            if is_lower(guess) {
                low = guess + 1;
                if !is_lower(low + step) {
                    high = (low + step).min(high);
                    break;
                }
                guess = (low + step).min(high - 1);
            } else {
                high = guess;
                let Some(below) = high.checked_sub(step).filter(|below| low <= *below) else { break };
                if is_lower(below) {
                    low = below + 1;
                    break;
                }
                guess = below;
            }
            step *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_lower(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl PackedPostings<'_> {
    /// The first event at or behind an offset.
    pub(super) fn at_or_behind(&self, offset: u32) -> Option<u32> {
        match *self {
            PackedPostings::One(one) => (offset <= one).then_some(one),
            PackedPostings::Groups { .. } => {
                let behind = self.groups_before(|first| first <= offset);
                let in_group = behind.checked_sub(1).and_then(|group| self.group(group).find(|at| offset <= *at));
                in_group.or_else(|| self.group(behind).next())
            }
        }
    }

    /// The last event before an offset.
    pub(super) fn before(&self, offset: u32) -> Option<u32> {
        match *self {
            PackedPostings::One(one) => (one < offset).then_some(one),
            PackedPostings::Groups { .. } => {
                let group = self.groups_before(|first| first < offset).checked_sub(1)?;
                self.group(group).take_while(|at| *at < offset).last()
            }
        }
    }

    /// How many groups begin so.
    fn groups_before(&self, begins: impl Fn(u32) -> bool) -> usize {
        let PackedPostings::Groups { table, .. } = self else { return 0 };
        let (mut low, mut high) = (0, table.len() / GROUP_ENTRY_LEN);
        while low < high {
            let middle = low + (high - low) / 2;
            if begins(number_at(table, middle * GROUP_ENTRY_LEN)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The offsets of a group; none behind the last one.
    fn group(&self, group: usize) -> impl Iterator<Item = u32> {
        let (mut at, mut deltas, mut left) = (0, &[][..], 0);
        if let PackedPostings::Groups { table, deltas: all, count } = *self
            && group * GROUP < count
        {
            at = number_at(table, group * GROUP_ENTRY_LEN);
            deltas = &all[number_at(table, group * GROUP_ENTRY_LEN + 4) as usize..];
            left = (count - group * GROUP).min(GROUP);
        }
        let mut is_first = true;
        std::iter::from_fn(move || {
            left = usize::checked_sub(left, 1)?;
            if !is_first {
                at += take_number(&mut deltas);
            }
            is_first = false;
            Some(at)
        })
    }
}

fn term_of(entry: &[u8]) -> Term {
    Term::from_bytes(*entry.first_chunk().expect("an entry begins with its term"))
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
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u32::from(byte & 0x7F) << shift;
        if *byte < 0x80 {
            break;
        }
        shift += 7;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::TermHasher;

    fn postings(offsets: &[u32]) -> Postings {
        let mut postings = Postings::new(offsets[0]);
        offsets[1..].iter().for_each(|offset| postings.push(*offset));
        postings
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
            let all: Vec<_> = (0..count).map(|number| (term(number), Postings::new(number as u32))).collect();
            let packed = Packed::new(all.iter());
            assert_eq!((packed.len(), packed.postings.len()), (count, 0));
            for number in 0..count + 100 {
                let found = packed.find(term(number)).and_then(|postings| postings.at_or_behind(0));
                assert_eq!(found, (number < count).then_some(number as u32), "{number} of {count}");
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
            let all: Vec<_> = (0..200).map(|low| (term(low, high), Postings::new(low.into()))).collect();
            let packed = Packed::new(all.iter());
            for low in 0..=255 {
                let found = packed.find(term(low, high)).and_then(|postings| postings.before(u32::MAX));
                assert_eq!(found, (low < 200).then_some(low.into()), "{low} below {high}");
            }
            assert!(packed.find(term(0, high ^ 1)).is_none());
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
                let all = [(hasher.event_type("a"), postings(&offsets)), (hasher.event_type("b"), postings(&[5, 9]))];
                let packed = Packed::new(all.iter());
                let (listed, found) = (&all[0].1, packed.find(all[0].0).expect("it is there"));
                let near = offsets.iter().flat_map(|at| [at - 1, *at, at + 1]);
                for offset in near.chain([0, u32::MAX]) {
                    assert_eq!(found.at_or_behind(offset), listed.at_or_behind(offset), "{offset} of {count}");
                    assert_eq!(found.before(offset), listed.before(offset), "{offset} of {count}");
                }
            }
        }
    }
}
