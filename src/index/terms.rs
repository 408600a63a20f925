//! The terms of one segment: which of its events have which.

use super::blocks::{Blocks, Doubt};
use super::body::{Body, Source};
use super::groups::GROUPS;
use super::growing::{Gathering, Growing};
use super::packed::Packed;
use super::packing::Packing;
use super::part::{Before, Step, StreamPart};
use super::plan::Plan;
use super::sought::{Hit, Sought};
use super::terms_file::{self, Shelf, TermsFile};
use crate::error::Error;
use crate::format::{Term, TermHasher};
use crate::segment::{KnownSegment, Sealed, Segment};
use crate::sync::{Arc, AtomicU32, OnceLock, Ordering, RwLock};

/// An index of one segment, which grows while the segment is written and is packed when that has ended.
///
/// Every look is given the segment: where what was packed is in doubt, its terms are read from the segment again. No file
/// is touched under the lock: what is packed never changes, and is looked into by whoever holds it.
#[derive(Debug)]
pub(crate) struct SegmentTerms {
    sequence: u32,
    /// The first sequence number that its segment stands for.
    from: u32,
    hasher: TermHasher,
    body: RwLock<Body>,
    /// What is in a file of a segment to which nothing is added any more: whoever looks for what is not there waits for
    /// nobody.
    ended: OnceLock<Arc<Packed>>,
    /// Whether they stay in memory as they are: see [`PUT_OFF`] and [`LEFT`].
    stays: AtomicU32,
}

/// A part of what was found in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Where the events stand, in the order that was asked for.
    pub(crate) offsets: Vec<u32>,
    /// Where to look on, if there may be more.
    pub(crate) rest: Option<u32>,
}

/// A page holds at most so many events, and no more looks into postings are made for one: whoever writes waits no longer
/// than that for what is listed.
const PAGE_EVENTS: usize = 256;
const PAGE_LOOKS: usize = 8 * PAGE_EVENTS;

/// What is read again may be in doubt once more, if its file was written meanwhile and does not verify either.
const ATTEMPTS: usize = 4;

/// They could not be written to a file, and wait until that is tried again.
const PUT_OFF: u32 = 1;
/// They cannot be packed, and stay for good.
const LEFT: u32 = 2;

impl SegmentTerms {
    pub(super) fn new(sequence: u32, hasher: TermHasher) -> SegmentTerms {
        SegmentTerms {
            sequence,
            from: sequence,
            hasher,
            body: RwLock::new(Body::default()),
            ended: OnceLock::new(),
            stays: AtomicU32::new(0),
        }
    }

    /// The same for a segment that compaction wrote.
    pub(super) fn standing_from(self, from: u32) -> SegmentTerms {
        SegmentTerms { from, ..self }
    }

    /// Those of a segment that compaction wrote, gathered while it did; `before` says where a stream stands before it.
    pub(crate) fn of_rewritten(
        segment: &Segment,
        gathering: Gathering,
        before: impl FnMut(Term) -> Result<Before, Error>,
    ) -> Result<SegmentTerms, Error> {
        let hasher = gathering.hasher();
        let mut growing = gathering.growing;
        growing.set_before(before)?;
        let terms = SegmentTerms::new(segment.sequence(), hasher).standing_from(segment.preamble.stands_from());
        *terms.body.write() = Body { growing, ..Body::default() };
        terms.pack_all();
        Ok(terms)
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The first sequence number that its segment stands for.
    pub(super) fn stands_from(&self) -> u32 {
        self.from
    }

    /// How many bytes of packed terms are in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.body.read().packed.memory().map_or(0, <[u8]>::len) as u64
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        let body = self.body.read();
        body.growing.is_empty() && body.packed.sections().streams + body.packed.sections().terms == 0
    }

    /// Adds events, each behind all that were added before, with how they continue their streams; or the record of a key.
    pub(super) fn add<'a>(&self, events: impl Iterator<Item = (u32, &'a [Term], Option<Step>)>) {
        let growing = &mut self.body.write().growing;
        for (offset, terms, step) in events {
            growing.add(offset, terms, step);
        }
    }

    /// Whether any event, or the record of a key, has a term.
    pub(crate) fn has(&self, segment: &Segment, term: Term) -> Result<bool, Error> {
        self.look(
            segment,
            |body| body.growing.find(term).is_some(),
            |packed, is_listed| Ok(is_listed || packed.has(term)?),
        )
    }

    /// Notes that nothing is added to the segment any more.
    pub(crate) fn end(&self) {
        let body = self.body.read();
        if body.is_packed() && !body.packed.is_in_memory() {
            let _ = self.ended.set(body.packed.clone());
        }
    }

    /// Whether nothing here can meet a plan, as far as that is told without a look at where events stand.
    pub(super) fn has_nothing(&self, plan: &Plan) -> bool {
        if let Some(packed) = self.ended.get() {
            return packed.has_nothing(plan);
        }
        let body = self.body.read();
        let is_listed = plan.may_be_met(|term| body.growing.find(term).is_some());
        let packed = body.packed.clone();
        drop(body);
        !is_listed && packed.has_nothing(plan)
    }

    /// The number of the first segment of a group that ends with this one, if nothing in the group can meet a plan.
    pub(super) fn group_without(&self, group: usize, plan: &Plan) -> Option<u32> {
        self.ended.get()?.group_without(self.sequence, group, plan)
    }

    /// All of them, where nothing is added any more.
    pub(super) fn whole(&self) -> Option<Arc<Packed>> {
        let body = self.body.read();
        body.is_packed().then(|| body.packed.clone())
    }

    /// What stands here of a stream, and how many events that is.
    pub(crate) fn part(&self, segment: &Segment, stream: Term) -> Result<Option<(StreamPart, usize)>, Error> {
        self.look(
            segment,
            |body| {
                let events = body.growing.find(stream).map_or(0, |postings| postings.offsets().len());
                (body.growing.part(stream).copied(), events)
            },
            |packed, (listed, more)| {
                let first = packed.part(stream)?;
                let events = packed.find(stream)?.map_or(0, |postings| postings.len());
                let has_jumps = [first, listed].iter().flatten().any(|part| part.has_jumps);
                Ok(first.or(listed).map(|part| (StreamPart { has_jumps, ..part }, events + more)))
            },
        )
    }

    /// Where the events with a term stand, from the one at an index on; at most so many.
    pub(crate) fn slice(&self, segment: &Segment, term: Term, from: usize, count: usize) -> Result<Vec<u32>, Error> {
        for _ in 0..ATTEMPTS {
            let packed = self.body.read().packed.clone();
            let mut offsets = Vec::new();
            let Ok(in_packed) = packed.slice(term, from, count, &mut offsets) else {
                self.read_again(segment, &packed)?;
                continue;
            };
            let body = self.body.read();
            // Else what is listed begins with another event by now.
            if Arc::ptr_eq(&packed, &body.packed) {
                let listed = body.growing.find(term).map_or(&[][..], |postings| postings.offsets());
                let rest = count - offsets.len();
                offsets.extend(listed.iter().skip(from.saturating_sub(in_packed)).take(rest));
                return Ok(offsets);
            }
        }
        Err(segment.damaged(0))
    }

    /// The events from offset `from` on and before `to` that meet a plan.
    pub(crate) fn forwards(&self, segment: &Segment, plan: &Plan, from: u32, to: u32) -> Result<Page, Error> {
        let in_listed = |body: &Body| match body.packed_end {
            end if end <= from => (end, Some(forwards(plan, Source::Listed(&body.growing), from, to))),
            end => (end, None),
        };
        self.look(segment, in_listed, |packed, (end, page)| {
            page.unwrap_or_else(|| {
                let page = forwards(plan, Source::Packed(packed), from, to.min(end))?;
                Ok(Page { rest: page.rest.or((end < to).then_some(end)), ..page })
            })
        })
    }

    /// The events before offset `to` and not before `from` that meet a plan, the last first.
    pub(crate) fn backwards(&self, segment: &Segment, plan: &Plan, from: u32, to: u32) -> Result<Page, Error> {
        let in_listed = |body: &Body| match body.packed_end {
            end if end < to => Some(backwards(plan, Source::Listed(&body.growing), from.max(end), to).map(|page| {
                let rest = page.rest.or((from < end).then_some(end));
                Page { rest, ..page }
            })),
            _ => None,
        };
        self.look(segment, in_listed, |packed, page| {
            page.unwrap_or_else(|| backwards(plan, Source::Packed(packed), from, to))
        })
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.body.read().is_packed()
    }

    /// Whether the terms of a segment that has ended are still to be packed, or, where that may be, to be written down.
    pub(crate) fn is_due(&self, may_be_kept: bool) -> bool {
        self.stays.load(Ordering::Relaxed) == 0 && self.is_behind(may_be_kept)
    }

    /// The same, also where that cannot be done.
    pub(crate) fn is_behind(&self, may_be_kept: bool) -> bool {
        let body = self.body.read();
        !body.is_packed() || (may_be_kept && body.packed.is_in_memory())
    }

    /// Takes the terms of a segment that has ended from their file, if there is one that speaks of it.
    pub(crate) fn take_from(&self, shelf: &Shelf<'_>, sealed: &Sealed) -> Option<KnownSegment> {
        let TermsFile { packed, marks } = terms_file::open(shelf, sealed)?;
        let events = packed.sections().events as u64;
        *self.body.write() = Body::packed(packed, sealed.end);
        Some(KnownSegment { marks, events })
    }

    /// Writes the terms of a segment that has ended and is packed to their file, with the filters of the groups that end with
    /// it. Where that cannot be, they stay in memory until it is tried again.
    pub(crate) fn keep_in(&self, shelf: &Shelf<'_>, segment: &Segment, sealed: &Sealed, groups: &[Vec<u8>; GROUPS]) {
        let packed = self.body.read().packed.clone();
        let Some(bytes) = packed.memory() else { return };
        match terms_file::write(shelf, sealed, &segment.marks(), (bytes, packed.sections()), groups) {
            Ok(packed) => *self.body.write() = Body::packed(packed, sealed.end),
            Err(_) => self.stays.store(PUT_OFF, Ordering::Relaxed),
        }
    }

    /// Leaves them as they are for good.
    pub(crate) fn leave(&self) {
        self.stays.store(LEFT, Ordering::Relaxed);
    }

    /// What could not be written is tried once more.
    pub(crate) fn try_again(&self) {
        let _ = self.stays.compare_exchange(PUT_OFF, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Packs the terms of a segment that has ended: nothing may be added from now on.
    pub(crate) fn pack(&self, segment: &Segment) -> Result<(), Error> {
        if self.is_packed() || self.pack_all() {
            return Ok(());
        }
        let packed = self.look(
            segment,
            |body| (body.packed_end, body.growing.clone()),
            |packed, (end, growing)| {
                let mut whole = Growing::unpacked(packed, end)?;
                whole.absorb(&growing, 0);
                Ok(pack(&whole))
            },
        )?;
        *self.body.write() = Body::packed(packed, u32::MAX);
        Ok(())
    }

    /// The same where nothing was packed before; whether that is so.
    pub(super) fn pack_all(&self) -> bool {
        let body = self.body.read();
        if body.packed_end != 0 {
            return false;
        }
        let packed = pack(&body.growing);
        drop(body);
        *self.body.write() = Body::packed(packed, u32::MAX);
        true
    }

    /// Looks into what is listed, under the lock, and then, without it, into what is packed.
    fn look<L, T>(
        &self,
        segment: &Segment,
        in_listed: impl Fn(&Body) -> L,
        in_packed: impl Fn(&Packed, L) -> Result<T, Doubt>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let body = self.body.read();
            let (packed, listed) = (body.packed.clone(), in_listed(&body));
            drop(body);
            match in_packed(&packed, listed) {
                Ok(found) => return Ok(found),
                Err(Doubt) => self.read_again(segment, &packed)?,
            }
        }
        Err(segment.damaged(0))
    }

    /// Reads the terms from the segment, in place of what was in doubt.
    fn read_again(&self, segment: &Segment, doubted: &Arc<Packed>) -> Result<(), Error> {
        // Only what was packed: a batch behind that may be written and not visible yet, and is added when it is.
        let end = self.body.read().packed_end.min(segment.end());
        let mut growing = Growing::of_segment(segment, &self.hasher, end)?;
        let mut body = self.body.write();
        // Else somebody was faster, or it was packed anew.
        if Arc::ptr_eq(doubted, &body.packed) {
            growing.absorb(&body.growing, end);
            *body = Body { growing, ..Body::default() };
        }
        Ok(())
    }
}

fn pack(growing: &Growing) -> Packed {
    let mut packing = Packing::default();
    growing.pack(&mut packing);
    let (bytes, sections) = packing.finish();
    Packed::new(Blocks::in_memory(bytes), sections)
}

fn forwards(plan: &Plan, source: Source<'_>, from: u32, to: u32) -> Result<Page, Doubt> {
    let sought = Sought::new(plan, source)?;
    let mut page = Page::default();
    let mut at = from;
    for _ in 0..steps(&sought) {
        match sought.at_or_behind(at)? {
            Some(found) if to <= found.offset() => return Ok(page),
            Some(Hit::Met(offset)) => {
                page.offsets.push(offset);
                at = offset + 1;
            }
            Some(Hit::Nearer(offset)) => at = offset,
            None => return Ok(page),
        }
        if page.offsets.len() == PAGE_EVENTS {
            break;
        }
    }
    page.rest = Some(at);
    Ok(page)
}

fn backwards(plan: &Plan, source: Source<'_>, from: u32, to: u32) -> Result<Page, Doubt> {
    let sought = Sought::new(plan, source)?;
    let mut page = Page::default();
    let mut before = to;
    for _ in 0..steps(&sought) {
        match sought.before(before)? {
            Some(found) if found.offset() < from => return Ok(page),
            Some(Hit::Met(offset)) => {
                page.offsets.push(offset);
                before = offset;
            }
            // It may be there itself.
            Some(Hit::Nearer(offset)) => before = offset + 1,
            None => return Ok(page),
        }
        if page.offsets.len() == PAGE_EVENTS {
            break;
        }
    }
    page.rest = Some(before);
    Ok(page)
}

/// How many steps a page may take.
fn steps(sought: &Sought<'_>) -> usize {
    (PAGE_LOOKS / sought.looks().max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Preamble;
    use crate::format::TermHasher;
    use crate::position::Position;
    use crate::query::Query;
    use crate::segment::FIRST_BATCH;
    use crate::storage::{Access, SimulatedDisk, Storage};

    /// Numbers that are as good as random.
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    /// A segment with nothing in it, which is looked at only where something is in doubt.
    fn segment() -> Segment {
        let preamble = Preamble { store: [1; 16], segment: [2; 16], sequence: 1, size: 32 * 1024, rewritten: None };
        let disk = SimulatedDisk::new(1);
        disk.write_file("segment", &[]);
        let file = disk.open("segment", Access::Read).expect("the file");
        Segment::with_map(preamble, Position::new(1), file, None, FIRST_BATCH)
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
        index.add(events.iter().map(|(offset, terms)| (*offset, &terms[..], None)));
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
        let segment = segment();
        let mut found = 0;
        for round in 0..300 {
            let index = SegmentTerms::new(1, hasher);
            let count = if round % 10 == 0 { 3_000 } else { 40 };
            let events = fill(&index, &hasher, &mut state, count);
            let plan = Plan::new(&query(&mut state), &hasher);
            let (from, to) = (1_000 + next(&mut state) as u32 % 100, 1_000 + next(&mut state) as u32 % (12 * count));
            if round % 3 == 0 {
                index.pack(&segment).expect("nothing is in doubt");
                assert!(index.is_packed());
            }
            let is_within = |offset: &u32| (from..to).contains(offset);
            let met = events.iter().filter(|(_, terms)| plan.is_met_by(terms)).map(|(offset, _)| *offset);
            let mut expected: Vec<u32> = met.filter(is_within).collect();
            let (mut forwards, mut at) = (Vec::new(), Some(from));
            while let Some(page) = at.map(|at| index.forwards(&segment, &plan, at, to).expect("a page")) {
                forwards.extend(page.offsets);
                at = page.rest;
            }
            assert_eq!(forwards, expected, "round {round}");
            let (mut backwards, mut before) = (Vec::new(), Some(to));
            while let Some(page) = before.map(|before| index.backwards(&segment, &plan, from, before).expect("a page"))
            {
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
    fn what_is_in_a_file_is_not_kept_in_memory_too() {
        let hasher = TermHasher::new([1; 16]);
        let disk = SimulatedDisk::new(1);
        disk.create_dir("log").expect("a directory");
        let (index, segment) = (SegmentTerms::new(1, hasher), segment());
        fill(&index, &hasher, &mut 5, 100);
        index.pack(&segment).expect("nothing is in doubt");
        index.end();
        assert!(index.is_due(true) && !index.is_due(false) && index.ended.get().is_none());
        let shelf = Shelf { storage: &disk, mode: crate::options::ReadMode::Positioned };
        let sealed = Sealed::new(&segment.preamble, 9_000, 3);
        index.keep_in(&shelf, &segment, &sealed, &Default::default());
        index.end();
        assert!(!index.is_due(true) && index.ended.get().is_some_and(|packed| !packed.is_in_memory()));
        assert!(index.has(&segment, hasher.event_type("a")).expect("an answer"));
        assert!(!index.has(&segment, hasher.event_type("nowhere")).expect("an answer"));
    }

    #[test]
    fn a_page_is_bounded_in_events_and_in_steps() {
        let hasher = TermHasher::new([1; 16]);
        let index = SegmentTerms::new(1, hasher);
        let (odd, even, all) = (hasher.event_type("odd"), hasher.event_type("even"), hasher.tag("all", "1"));
        let terms = [[odd, all], [even, all]];
        index.add((0..10_000).map(|number| (number, &terms[number as usize % 2][..], None)));
        let plan = |query| Plan::new(&query, &hasher);
        let segment = segment();
        let forwards = |plan: &Plan, to| index.forwards(&segment, plan, 0, to).expect("a page");
        let page = forwards(&plan(Query::all().tag("all", 1)), 10_000);
        assert_eq!((page.offsets.len(), page.rest), (PAGE_EVENTS, Some(PAGE_EVENTS as u32)));
        // Nothing is both, and finding that out takes a step for each.
        index.add([(10_000, &[odd, even][..], None)].into_iter());
        let both = Plan { items: vec![vec![vec![odd], vec![even]]] };
        let page = forwards(&both, 20_000);
        assert_eq!((page.offsets.len(), page.rest.is_some()), (0, true));
        let page = index.backwards(&segment, &both, 0, 10_000).expect("a page");
        assert_eq!((page.offsets.len(), page.rest.is_some()), (0, true));
    }
}
