//! Filters of groups of segments: what is nowhere is looked for in a logarithm of them.
//!
//! A segment whose number is a multiple of 8 has, in its file of terms, a filter of the eight that end with it, and one whose
//! number is a multiple of 64 also one of those. What ends with a segment is always the same: its start record says how the
//! one before it ended, that one's how the one before that did, and so on.

use super::blocks::Doubt;
use super::filter::{self, Filling};
use super::packed::Packed;
use super::plan::Plan;
use super::terms::SegmentTerms;
use crate::format::Term;
use crate::sync::Arc;

/// How many segments of a row are a group.
const LENS: [u32; GROUPS] = [8, 64];
pub(super) const GROUPS: usize = 2;

/// So many segments are looked through one by one: the looks do not wait for each other, and are over sooner than fewer that do.
const SINGLY_MAX: usize = 64;

/// A filter is not made larger: groups of more are looked through group by group.
const FILTER_LEN_MAX: usize = 32 * 1024 * 1024; // 32 MiB

/// The filters of the groups that end with a segment, which is one of `all`; of each an empty one where there is none.
pub(crate) fn filters(all: &[Arc<SegmentTerms>], last: u32) -> [Vec<u8>; GROUPS] {
    LENS.map(|len| {
        if !last.is_multiple_of(len) {
            return Vec::new();
        }
        let members = all.iter().filter(|terms| (last - len + 1..=last).contains(&terms.sequence()));
        let packed: Option<Vec<Arc<Packed>>> = members.map(|terms| terms.whole()).collect();
        packed.and_then(|packed| filter_of(&packed).ok()).unwrap_or_default()
    })
}

/// A filter of all terms of some segments.
fn filter_of(members: &[Arc<Packed>]) -> Result<Vec<u8>, Doubt> {
    let terms = count(members)?;
    if FILTER_LEN_MAX < filter::len_of(terms) {
        return Ok(Vec::new());
    }
    let mut filling = Filling::of(terms);
    for packed in members {
        packed.each_term(|term| {
            filling.add(term);
            true
        })?;
    }
    Ok(filling.finish())
}

/// About how many terms there are in some segments, each counted once. Terms are as good as random, so a part of them tells
/// of all.
fn count(members: &[Arc<Packed>]) -> Result<usize, Doubt> {
    let all: usize = members.iter().map(|packed| packed.sections().streams + packed.sections().terms).sum();
    let parts = (all / 100_000).max(1);
    let mut sample: Vec<Term> = Vec::new();
    for packed in members {
        packed.each_term(|term| {
            let is_of_first_part = term.guess(parts) == 0;
            sample.extend(is_of_first_part.then_some(term));
            is_of_first_part
        })?;
    }
    sample.sort_unstable();
    sample.dedup();
    Ok((sample.len() * parts).min(all))
}

/// A walk over segments, in rising order or the other way, that passes over those in which nothing can meet a plan.
#[derive(Debug)]
pub(crate) struct Candidates {
    is_backwards: bool,
    /// How many lie before where it has come to.
    before: usize,
}

impl Candidates {
    pub(crate) fn forwards() -> Candidates {
        Candidates { is_backwards: false, before: 0 }
    }

    pub(crate) fn backwards(segments: usize) -> Candidates {
        Candidates { is_backwards: true, before: segments }
    }

    /// The index of the next one. The segments are in rising order, the same each time.
    pub(crate) fn next<T>(&mut self, all: &[T], terms: impl Fn(&T) -> &SegmentTerms, plan: &Plan) -> Option<usize> {
        let behind = |last: u32| all.partition_point(|one| terms(one).sequence() <= last);
        let groups = if all.len() <= SINGLY_MAX { 0 } else { GROUPS };
        if self.is_backwards {
            while let Some(index) = self.before.checked_sub(1) {
                let here = terms(&all[index]);
                // A segment that stands also for some before the group holds what its filter does not know.
                let is_whole = |first: &u32| terms(&all[behind(first - 1)]).stands_from() >= *first;
                let passed = (0..groups).rev().find_map(|group| here.group_without(group, plan).filter(is_whole));
                let begin = passed.map_or(index, |first| behind(first.saturating_sub(1)));
                self.before = begin;
                if passed.is_none() && !here.has_nothing(plan) {
                    return Some(index);
                }
            }
            return None;
        }
        while let Some(here) = all.get(self.before) {
            let (index, sequence) = (self.before, terms(here).sequence());
            let passed = (0..groups).rev().find_map(|group| {
                // Whoever comes into a group looks at its filter, which is where it ends.
                let is_first = index == 0
                    || terms(&all[index - 1]).sequence().div_ceil(LENS[group]) < sequence.div_ceil(LENS[group]);
                let last = sequence.checked_next_multiple_of(LENS[group]).filter(|_| is_first)?;
                if terms(here).stands_from() <= last - LENS[group] {
                    return None;
                }
                let end = all[index..].get(behind(last).checked_sub(index + 1)?)?;
                terms(end).group_without(group, plan).filter(|_| terms(end).sequence() == last).map(|_| last)
            });
            self.before = passed.map_or(index + 1, behind);
            if passed.is_none() && !terms(here).has_nothing(plan) {
                return Some(index);
            }
        }
        None
    }
}

impl Packed {
    /// Whether nothing here can meet a plan, as far as the filter tells. What is in doubt says nothing.
    pub(super) fn has_nothing(&self, plan: &Plan) -> bool {
        !plan.may_be_met(|term| self.may_have(term).unwrap_or(true))
    }

    /// The number of the first segment of the group that ends here, with this number, if nothing in it can meet a plan.
    pub(super) fn group_without(&self, last: u32, group: usize, plan: &Plan) -> Option<u32> {
        let is_nothing = || !plan.may_be_met(|term| self.group_may_have(group, term).unwrap_or(true));
        (self.has_group(group) && is_nothing()).then(|| last.saturating_sub(LENS[group] - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Preamble, TermHasher};
    use crate::index::terms_file::Shelf;
    use crate::options::ReadMode;
    use crate::position::Position;
    use crate::segment::{FIRST_BATCH, LOG_DIR, Sealed, Segment, segment_path};
    use crate::storage::{Access, SimulatedDisk, Storage};

    /// Segments with these numbers, each with a key of its own, in files.
    fn segments(disk: &SimulatedDisk, numbers: &[u32], hasher: &TermHasher) -> Vec<Arc<SegmentTerms>> {
        disk.create_dir(LOG_DIR).expect("a directory");
        let mut all: Vec<Arc<SegmentTerms>> = Vec::new();
        for sequence in numbers {
            let preamble =
                Preamble { store: [1; 16], segment: [2; 16], sequence: *sequence, size: 32 * 1024, rewritten: None };
            disk.write_file(&segment_path(*sequence), &[]);
            let file = disk.open(&segment_path(*sequence), Access::Read).expect("the file");
            let segment = Segment::with_map(preamble, Position::new(1), file, None, FIRST_BATCH);
            let terms = Arc::new(SegmentTerms::new(*sequence, *hasher));
            let keys: Vec<Term> = (0..40).map(|number| hasher.key(&format!("{sequence}/{number}"))).collect();
            terms.add((1_000..).step_by(100).zip(&keys).map(|(offset, key)| (offset, std::slice::from_ref(key), None)));
            terms.pack(&segment).expect("nothing is in doubt");
            all.push(terms.clone());
            let shelf = Shelf { storage: disk, mode: ReadMode::Positioned };
            let sealed = Sealed::new(&segment.preamble, 30_000, 7);
            terms.keep_in(&shelf, &segment, &sealed, &filters(&all, *sequence));
            terms.end();
        }
        all
    }

    fn walk(mut candidates: Candidates, all: &[Arc<SegmentTerms>], plan: &Plan) -> Vec<u32> {
        let next = || candidates.next(all, |terms| terms, plan);
        std::iter::from_fn(next).map(|index| all[index].sequence()).collect()
    }

    #[test]
    fn a_walk_comes_by_every_segment_that_has_it_and_by_few_others() {
        let hasher = TermHasher::new([1; 16]);
        // Some numbers were passed by: a group that lacks its last one has no filter.
        let numbers: Vec<u32> = (1..=150).filter(|number| ![5, 24, 25, 80].contains(number)).collect();
        let all = segments(&SimulatedDisk::new(1), &numbers, &hasher);
        let mut others = 0;
        for sequence in &numbers {
            let plan = Plan::of_key(hasher.key(&format!("{sequence}/7")));
            let forwards = walk(Candidates::forwards(), &all, &plan);
            let mut backwards = walk(Candidates::backwards(all.len()), &all, &plan);
            assert!(forwards.contains(sequence) && backwards.contains(sequence), "{sequence}: {forwards:?}");
            backwards.reverse();
            others += forwards.len() - 1 + backwards.len() - 1;
        }
        assert!(others < numbers.len(), "{others} segments were looked into for nothing");
    }

    #[test]
    fn what_is_nowhere_is_told_by_a_few_filters() {
        let hasher = TermHasher::new([1; 16]);
        let all = segments(&SimulatedDisk::new(1), &(1..=136).collect::<Vec<_>>(), &hasher);
        let plan = Plan::of_key(hasher.key("nowhere"));
        let whole = |sequence: u32, group| all[sequence as usize - 1].group_without(group, &plan);
        assert_eq!([whole(64, 1), whole(128, 1), whole(136, 1)], [Some(1), Some(65), None]);
        assert_eq!([whole(8, 0), whole(64, 0), whole(136, 0), whole(135, 0)], [Some(1), Some(57), Some(129), None]);
        let looked = std::cell::Cell::new(0);
        for mut candidates in [Candidates::forwards(), Candidates::backwards(all.len())] {
            looked.set(0);
            let counted: Vec<_> = all.iter().map(|terms| (terms.clone(), &looked)).collect();
            let found = candidates.next(
                &counted,
                |(terms, looked)| {
                    looked.set(looked.get() + 1);
                    terms
                },
                &plan,
            );
            assert_eq!(found, None);
            // Three groups, and the search for where each begins.
            assert!(looked.get() < 100, "{} looks", looked.get());
        }
    }

    #[test]
    fn how_many_terms_there_are_is_estimated_well() {
        let hasher = TermHasher::new([1; 16]);
        let packed = |from: u32| {
            let mut terms: Vec<Term> = (from..from + 60_000).map(|number| hasher.key(&number.to_string())).collect();
            terms.sort();
            let mut packing = crate::index::packing::Packing::default();
            terms.iter().for_each(|term| packing.push(*term, None, &[9]));
            let (bytes, sections) = packing.finish();
            Arc::new(Packed::new(crate::index::blocks::Blocks::in_memory(bytes), sections))
        };
        // 180,000 in all, a third of them twice.
        let members = [packed(0), packed(60_000), packed(30_000)];
        let counted = count(&members).expect("nothing is in doubt");
        assert!((110_000..130_000).contains(&counted), "{counted}");
        assert_eq!(count(&members[..1]), Ok(60_000));
    }
}
