//! The terms of one segment: which of its events have which.

use super::packed::{Packed, PackedPostings};
use super::plan::{Demand, Plan};
use super::postings::Postings;
use crate::format::Term;
use crate::sync::RwLock;
use hashbrown::HashTable;

/// An index of one segment, which grows while the segment is written and is packed when that has ended.
#[derive(Debug)]
pub(crate) struct SegmentTerms {
    sequence: u32,
    body: RwLock<Body>,
}

#[derive(Debug)]
enum Body {
    Growing(HashTable<(Term, Postings)>),
    Packed(Packed),
}

/// The events with one term.
enum Events<'a> {
    Listed(&'a Postings),
    Packed(PackedPostings<'a>),
}

impl Body {
    fn find(&self, term: &Term) -> Option<Events<'_>> {
        match self {
            Body::Growing(table) => {
                table.find(term.hash(), |(known, _)| known == term).map(|(_, of_term)| Events::Listed(of_term))
            }
            Body::Packed(packed) => packed.find(*term).map(Events::Packed),
        }
    }
}

impl Events<'_> {
    fn at_or_behind(&self, offset: u32) -> Option<u32> {
        match self {
            Events::Listed(postings) => postings.at_or_behind(offset),
            Events::Packed(postings) => postings.at_or_behind(offset),
        }
    }

    fn before(&self, offset: u32) -> Option<u32> {
        match self {
            Events::Listed(postings) => postings.before(offset),
            Events::Packed(postings) => postings.before(offset),
        }
    }
}

/// A part of what was found in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Where the events stand, in the order that was asked for.
    pub(crate) offsets: Vec<u32>,
    /// Where to look on, if there may be more.
    pub(crate) rest: Option<u32>,
}

/// A page holds at most so many events, and no more looks into postings are made for one: nobody who writes waits longer
/// than that.
const PAGE_EVENTS: usize = 256;
const PAGE_LOOKS: usize = 8 * PAGE_EVENTS;

impl SegmentTerms {
    pub(super) fn new(sequence: u32) -> SegmentTerms {
        SegmentTerms { sequence, body: RwLock::new(Body::Growing(HashTable::new())) }
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Adds events, each behind all that were added before.
    pub(super) fn add<'a>(&self, events: impl Iterator<Item = (u32, &'a [Term])>) {
        let mut body = self.body.write();
        let Body::Growing(postings) = &mut *body else { unreachable!("nothing is added to a segment that has ended") };
        for (offset, terms) in events {
            for (number, term) in terms.iter().enumerate() {
                // A tag may be given twice.
                if terms[..number].contains(term) {
                    continue;
                }
                match postings.find_mut(term.hash(), |(known, _)| known == term) {
                    Some((_, of_term)) => of_term.push(offset),
                    None => {
                        let new = (*term, Postings::new(offset));
                        postings.insert_unique(term.hash(), new, |(term, _)| term.hash());
                    }
                }
            }
        }
    }

    /// Whether any event, or the record of a key, has a term.
    pub(crate) fn has(&self, term: Term) -> bool {
        self.body.read().find(&term).is_some()
    }

    pub(crate) fn is_packed(&self) -> bool {
        matches!(*self.body.read(), Body::Packed(_))
    }

    /// Packs the terms of a segment that has ended: nothing may be added from now on.
    pub(crate) fn pack(&self) {
        let packed = match &*self.body.read() {
            Body::Growing(table) => Packed::new(table.iter()),
            Body::Packed(_) => return,
        };
        *self.body.write() = Body::Packed(packed);
    }

    /// The events from offset `from` on and before `to` that meet a plan.
    pub(crate) fn forwards(&self, plan: &Plan, from: u32, to: u32) -> Page {
        let body = self.body.read();
        let sought = Sought::new(plan, &body);
        let mut page = Page::default();
        let mut at = from;
        for _ in 0..sought.steps() {
            match sought.step_forwards(at) {
                Some(found) if to <= found.offset() => return page,
                Some(Step::Met(offset)) => {
                    page.offsets.push(offset);
                    at = offset + 1;
                }
                Some(Step::Nearer(offset)) => at = offset,
                None => return page,
            }
            if page.offsets.len() == PAGE_EVENTS {
                break;
            }
        }
        page.rest = Some(at);
        page
    }

    /// The events before offset `to` and not before `from` that meet a plan, the last first.
    pub(crate) fn backwards(&self, plan: &Plan, from: u32, to: u32) -> Page {
        let body = self.body.read();
        let sought = Sought::new(plan, &body);
        let mut page = Page::default();
        let mut before = to;
        for _ in 0..sought.steps() {
            match sought.step_backwards(before) {
                Some(found) if found.offset() < from => return page,
                Some(Step::Met(offset)) => {
                    page.offsets.push(offset);
                    before = offset;
                }
                // It may be there itself.
                Some(Step::Nearer(offset)) => before = offset + 1,
                None => return page,
            }
            if page.offsets.len() == PAGE_EVENTS {
                break;
            }
        }
        page.rest = Some(before);
        page
    }
}

/// What a plan asks for, with the postings of one segment. Items that nothing here can meet are left out.
struct Sought<'a> {
    items: Vec<SoughtItem<'a>>,
}

/// For each demand of an item the events that have one of its terms.
type SoughtItem<'a> = Vec<Vec<Events<'a>>>;

/// How far a look for the next event has come.
enum Step {
    /// The event here is one.
    Met(u32),
    /// None stands before this one.
    Nearer(u32),
}

impl Step {
    fn offset(&self) -> u32 {
        match self {
            Step::Met(offset) | Step::Nearer(offset) => *offset,
        }
    }
}

impl<'a> Sought<'a> {
    fn new(plan: &Plan, body: &'a Body) -> Sought<'a> {
        let of_item = |item: &Vec<Demand>| {
            let of_demand = |demand: &Demand| demand.iter().filter_map(|term| body.find(term)).collect::<Vec<_>>();
            let demands = item.iter().map(of_demand);
            let demands: Vec<_> = demands.collect();
            demands.iter().all(|demand| !demand.is_empty()).then_some(demands)
        };
        Sought { items: plan.items.iter().filter_map(of_item).collect() }
    }

    /// How many steps a page may take.
    fn steps(&self) -> usize {
        let looks: usize = self.items.iter().flatten().map(Vec::len).sum();
        (PAGE_LOOKS / looks.max(1)).max(1)
    }

    /// The nearest event at or behind an offset, or one that none stands before; of an item that is where the furthest of
    /// its demands is met next.
    fn step_forwards(&self, at: u32) -> Option<Step> {
        let of_item = |item: &SoughtItem<'_>| {
            let (first, last) = span(item, |terms| terms.at_or_behind(at), u32::min)?;
            Some((last, first == last))
        };
        let (offset, is_met) =
            self.items.iter().filter_map(of_item).min_by_key(|(offset, is_met)| (*offset, !is_met))?;
        Some(if is_met { Step::Met(offset) } else { Step::Nearer(offset) })
    }

    /// The same towards the beginning, for what stands before an offset.
    fn step_backwards(&self, before: u32) -> Option<Step> {
        let of_item = |item: &SoughtItem<'_>| {
            let (first, last) = span(item, |terms| terms.before(before), u32::max)?;
            Some((first, first == last))
        };
        let (offset, is_met) = self.items.iter().filter_map(of_item).max_by_key(|found| *found)?;
        Some(if is_met { Step::Met(offset) } else { Step::Nearer(offset) })
    }
}

/// The lowest and the highest of the events at which the demands of an item are met next; none where one never is. Of the
/// terms of one demand the `nearer` event counts.
fn span(
    item: &[Vec<Events<'_>>],
    next: impl Fn(&Events<'_>) -> Option<u32>,
    nearer: fn(u32, u32) -> u32,
) -> Option<(u32, u32)> {
    item.iter().try_fold((u32::MAX, 0), |(first, last), demand| {
        let at = demand.iter().filter_map(&next).reduce(nearer)?;
        Some((first.min(at), last.max(at)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::TermHasher;
    use crate::query::Query;

    /// Numbers that are as good as random.
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    const TYPES: [&str; 3] = ["a", "b", "c"];

    /// Adds events of random types and tags; what each has, by its offset.
    fn fill(index: &SegmentTerms, hasher: &TermHasher, state: &mut u64, events: u32) -> Vec<(u32, Vec<Term>)> {
        let event = |number| {
            let mut terms = vec![hasher.event_type(TYPES[next(state) % 3])];
            terms.extend((0..next(state) % 4).map(|_| hasher.tag("k", &(next(state) % 4).to_string())));
            (1_000 + number * 10, terms)
        };
        let events: Vec<_> = (0..events).map(event).collect();
        index.add(events.iter().map(|(offset, terms)| (*offset, &terms[..])));
        events
    }

    fn query(state: &mut u64) -> Query {
        let item = |state: &mut u64| {
            let query = (0..next(state) % 3).fold(Query::all(), |query, _| query.of_type(TYPES[next(state) % 3]));
            let query = (0..next(state) % 3).fold(query, |query, _| query.tag("k", next(state) % 5));
            if next(state).is_multiple_of(9) { query.of_type("nowhere") } else { query.tag("k", next(state) % 4) }
        };
        let first = item(state);
        (0..next(state) % 3).fold(first, |query, _| query.or(item(state)))
    }

    #[test]
    fn pages_in_both_directions_hold_what_a_look_at_every_event_finds() {
        let mut state = 11;
        let hasher = TermHasher::new([1; 16]);
        let mut found = 0;
        for round in 0..300 {
            let index = SegmentTerms::new(1);
            let count = if round % 10 == 0 { 3_000 } else { 40 };
            let events = fill(&index, &hasher, &mut state, count);
            let plan = Plan::new(&query(&mut state), &hasher);
            let (from, to) = (1_000 + next(&mut state) as u32 % 100, 1_000 + next(&mut state) as u32 % (12 * count));
            if round % 3 == 0 {
                index.pack();
                assert!(index.is_packed());
            }
            let is_within = |offset: &u32| (from..to).contains(offset);
            let met = events.iter().filter(|(_, terms)| plan.is_met_by(terms)).map(|(offset, _)| *offset);
            let mut expected: Vec<u32> = met.filter(is_within).collect();
            let (mut forwards, mut at) = (Vec::new(), Some(from));
            while let Some(page) = at.map(|at| index.forwards(&plan, at, to)) {
                forwards.extend(page.offsets);
                at = page.rest;
            }
            assert_eq!(forwards, expected, "round {round}");
            let (mut backwards, mut before) = (Vec::new(), Some(to));
            while let Some(page) = before.map(|before| index.backwards(&plan, from, before)) {
                backwards.extend(page.offsets);
                before = page.rest;
            }
            expected.reverse();
            assert_eq!(backwards, expected, "round {round}, backwards");
            found += expected.len();
        }
        assert!(5_000 < found, "{found} events were found in all");
    }

    #[test]
    fn a_page_is_bounded_in_events_and_in_steps() {
        let hasher = TermHasher::new([1; 16]);
        let index = SegmentTerms::new(1);
        let (odd, even, all) = (hasher.event_type("odd"), hasher.event_type("even"), hasher.tag("all", "1"));
        let terms = [[odd, all], [even, all]];
        index.add((0..10_000).map(|number| (number, &terms[number as usize % 2][..])));
        let plan = |query| Plan::new(&query, &hasher);
        let page = index.forwards(&plan(Query::all().tag("all", 1)), 0, 10_000);
        assert_eq!((page.offsets.len(), page.rest), (PAGE_EVENTS, Some(PAGE_EVENTS as u32)));
        // Nothing is both, and finding that out takes a step for each.
        index.add([(10_000, &[odd, even][..])].into_iter());
        let both = Plan { items: vec![vec![vec![odd], vec![even]]] };
        let page = index.forwards(&both, 0, 20_000);
        assert_eq!((page.offsets.len(), page.rest.is_some()), (0, true));
        let page = index.backwards(&both, 0, 10_000);
        assert_eq!((page.offsets.len(), page.rest.is_some()), (0, true));
    }
}
