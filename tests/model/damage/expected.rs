//! What is right after a change, worked out from the undamaged files and the bytes that are not what they were.
//!
//! A place counts as **touched** where a batch that counts, or the preamble over it, has changed or is gone. A place is
//! **proven** where a witness that was not touched names an end behind it: a batch header, a footer, `live`.
//!
//! | touched | so |
//! |---|---|
//! | nothing that counts | it opens with every event, whatever became of footers, `live`, zeros, unstarted files |
//! | something proven | it is refused with the place; for reading only, every other event is given |
//! | something nothing proves | it opens; what stands before that place is there, what stands behind it may be gone |
//! | a preamble that was made, with anything behind it; the length of a started segment | refused: no crash leaves that |
//!
//! The third row is the residual of the design: nothing is left that tells the loss from the remains of a crash.

use super::change::Changed;
use super::layout::{Live, Preamble, SECTOR, Segment, is_zero, sequence_of};
use super::subject::Subject;
use scorebook::Place;
use std::ops::Range;

/// The right answer to a change.
pub(crate) struct Expected {
    /// Opening for writing must be refused, and an opening for reading must report damage.
    pub(crate) is_damage: bool,
    /// Both a refusal and an opening with every event are right: a file that was never part of the log has come, or gone
    /// to where another was.
    pub(crate) is_open_question: bool,
    /// More of another store is legible than of this one: whose log it is cannot be told.
    pub(crate) is_another: bool,
    /// Something was touched that can be rebuilt: a footer, `live`.
    pub(crate) is_derived_touched: bool,
    /// The events before this one must be given or be missed by name; behind it some may be missing without a word.
    pub(crate) silent_from: usize,
    /// How far the log had reached is not told any more: its last bytes, or a file behind it, were touched.
    pub(crate) is_end_in_doubt: bool,
    /// What was touched of each segment that counts, by its index.
    wounds: Vec<(usize, Wound)>,
    /// What `live` says now.
    live: Option<Live>,
    /// The places that may be named as damaged: a segment, and the offsets in it.
    places: Vec<(u32, Range<usize>)>,
}

/// What became of the file of a segment that counts.
struct Wound {
    state: State,
    /// The bytes that are not what they were, in order.
    touched: Vec<Range<usize>>,
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its preamble is what it was.
    Legible,
    /// It is not there, or as if it had never been made ready.
    Gone,
    /// Another preamble stands there, and nothing behind it.
    Strange,
    /// Its preamble is not what it was, and something stands behind it.
    Illegible,
}

impl Wound {
    fn of(old: &[u8], new: Option<&Vec<u8>>) -> Wound {
        let Some(new) = new else {
            return Wound { state: State::Gone, touched: Vec::new(), len: 0 };
        };
        let touched = differences(old, new);
        let is_legible = SECTOR <= new.len() && touched.first().is_none_or(|first| SECTOR <= first.start);
        let is_blank = is_zero(new.get(SECTOR..).unwrap_or_default());
        let state = match (is_legible, is_blank) {
            (true, _) => State::Legible,
            (false, true) if Preamble::of(new).is_some() => State::Strange,
            (false, true) => State::Gone,
            (false, false) => State::Illegible,
        };
        Wound { state, touched, len: new.len() }
    }

    /// Whether these bytes stand where they stood, under the preamble they were written for.
    fn spares(&self, range: &Range<usize>) -> bool {
        let next = self.touched.partition_point(|touched| touched.end <= range.start);
        let is_touched = self.touched.get(next).is_some_and(|touched| touched.start < range.end);
        self.state == State::Legible && range.end <= self.len && !is_touched
    }

    /// Whether nothing says any more how far this last segment had reached.
    fn ends_in_doubt(&self, segment: &Segment) -> bool {
        let last = segment.batches.last().expect("the start record");
        self.len < segment.size || !self.spares(&last.range)
    }
}

/// The ranges in which two files differ, as far as both reach.
fn differences(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    const STEP: usize = 64;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, (old, new)) in old.chunks(STEP).zip(new.chunks(STEP)).enumerate() {
        if old.len() == new.len() && old == new {
            continue;
        }
        for at in (0..old.len().min(new.len())).filter(|at| old[*at] != new[*at]) {
            let at = index * STEP + at;
            match ranges.last_mut().filter(|last| last.end == at) {
                Some(last) => last.end += 1,
                None => ranges.push(at..at + 1),
            }
        }
    }
    ranges
}

impl Expected {
    pub(crate) fn of(subject: &Subject, changed: &Changed) -> Expected {
        let layout = &subject.layout;
        let mut expected = Expected {
            is_damage: false,
            is_open_question: false,
            is_another: false,
            is_derived_touched: false,
            silent_from: layout.events.len(),
            is_end_in_doubt: false,
            wounds: Vec::new(),
            live: layout.live,
            places: Vec::new(),
        };
        for (path, new) in changed {
            if path == "live" {
                let live = new.as_ref().and_then(|file| Live::of(file));
                expected.live = live.filter(|live| live.store == layout.store);
                expected.is_derived_touched = true;
            } else if let Some(sequence) = sequence_of(path) {
                match layout.segments.iter().position(|segment| segment.sequence == sequence) {
                    Some(index) if !layout.segments[index].batches.is_empty() => {
                        expected.wounds.push((index, Wound::of(&subject.files[path], new.as_ref())));
                    }
                    _ => expected.note_uncounted(subject, sequence, new.as_ref()),
                }
            }
        }
        expected.wounds.sort_by_key(|(index, _)| *index);
        expected.is_another = is_another(subject, changed, expected.live);
        expected.is_end_in_doubt = expected.is_damage;
        let last = layout.segments.iter().rposition(|segment| !segment.batches.is_empty());
        let proven = expected.proven_end(subject);
        for (index, wound) in &expected.wounds {
            let found = touched_places(subject, *index, wound);
            expected.is_damage |= found.is_damage || found.places.iter().any(|(place, _)| *place < proven);
            let unproven = found.places.iter().find(|(place, _)| proven <= *place);
            expected.silent_from = unproven.map_or(expected.silent_from, |(_, event)| expected.silent_from.min(*event));
            expected.is_open_question |= unproven.is_some() && wound.state == State::Strange;
            expected.is_derived_touched |= found.is_derived_touched;
            expected.is_end_in_doubt |= Some(*index) == last && wound.ends_in_doubt(&layout.segments[*index]);
            expected.places.extend(found.named);
        }
        expected
    }

    /// Something that is no file stands where one stood. It is damage where a segment stood; elsewhere it may be in the
    /// way, and nothing is missing because of it.
    pub(crate) fn of_replaced(subject: &Subject, path: &str) -> Expected {
        let mut expected = Expected::of(subject, &vec![(path.to_owned(), None)]);
        expected.is_open_question = true;
        expected
    }

    /// A file that did not count, or was not there: what stands in it now does not count either.
    fn note_uncounted(&mut self, subject: &Subject, sequence: u32, new: Option<&Vec<u8>>) {
        let Some(new) = new else { return };
        let preamble = Preamble::of(new);
        let is_ours = preamble.is_some_and(|found| (found.sequence, found.store) == (sequence, subject.layout.store));
        let is_blank = is_zero(new.get(SECTOR..).unwrap_or_default());
        if is_ours {
            return;
        }
        if !is_blank {
            self.is_damage = true;
            self.places.push((sequence, 0..usize::MAX));
        } else if preamble.is_some() {
            self.is_open_question = true;
        }
    }

    /// Whether these bytes of a segment stand where they stood.
    fn spares(&self, segment: usize, range: &Range<usize>) -> bool {
        let wound = self.wounds.iter().find(|(index, _)| *index == segment);
        wound.is_none_or(|(_, wound)| wound.spares(range))
    }

    /// The ends that are named by what was not touched, or by what comes after it in the same segment.
    fn named_ends(&self, subject: &Subject) -> impl Iterator<Item = Place> {
        let segments = &subject.layout.segments;
        let started: Vec<usize> = (0..segments.len()).filter(|index| !segments[*index].batches.is_empty()).collect();
        let of_segment = move |order: usize| {
            let (index, next) = (started[order], started.get(order + 1).map(|next| (*next, &segments[*next])));
            let segment = &segments[index];
            let headers = segment.batches.iter().map(|batch| (batch.range.start, batch.durable));
            let headers = headers.chain(segment.remains.iter().copied()).rev();
            let headers = headers.filter(move |(at, _)| self.spares(index, &(*at..at + 48)));
            // A footer is written when the start record of the next segment is durable.
            let footer = segment.size - SECTOR..segment.size;
            let footer = next.filter(|_| segment.footer.is_some() && self.spares(index, &footer));
            let footer =
                footer.map(|(_, next)| Place { segment: next.sequence, offset: next.batches[0].range.end as u32 });
            // A start record fixes the end of the segment before.
            let end = segment.batches.last().expect("the start record").range.end as u32;
            let fixed = next.filter(|(next, of)| self.spares(*next, &of.batches[0].range));
            let fixed = fixed.map(|_| Place { segment: segment.sequence, offset: end });
            headers.map(|(_, durable)| durable).chain(footer).chain(fixed)
        };
        let count = segments.iter().filter(|segment| !segment.batches.is_empty()).count();
        (0..count).rev().flat_map(of_segment).chain(self.live.map(|live| live.durable))
    }

    /// The furthest end that is named by anything that was not touched.
    fn proven_end(&self, subject: &Subject) -> Place {
        self.named_ends(subject).max().unwrap_or(Place { segment: 0, offset: 0 })
    }

    /// Whether an event stands whole where it stood, and something says that it counts there: then it must be given.
    pub(crate) fn is_intact(&self, subject: &Subject, event: usize) -> bool {
        let known = &subject.layout.events[event];
        let segment = &subject.layout.segments[known.segment];
        let range = &segment.batches[known.batch].range;
        // What nothing vouches for may have another ending in a segment that is not legible any more.
        let is_vouched = |end: Place| end.segment == segment.sequence && range.end as u32 <= end.offset;
        event < self.silent_from && self.spares(known.segment, range) && self.named_ends(subject).any(is_vouched)
    }

    /// Whether damage that is told at this place may be the damage there is.
    pub(crate) fn explains(&self, place: Place) -> bool {
        let is_there = |(segment, range): &(u32, Range<usize>)| {
            *segment == place.segment && range.start <= place.offset as usize && place.offset as usize <= range.end
        };
        self.places.iter().any(is_there)
    }
}

/// Nobody can say whose log it is: `live` and a file are of another store, or `live` says nothing and more of the legible
/// files are.
fn is_another(subject: &Subject, changed: &Changed, live: Option<Live>) -> bool {
    let new = |path: &str| changed.iter().find(|(known, _)| known == path);
    let kept = subject.files.iter().filter(|(path, _)| sequence_of(path).is_some() && new(path).is_none());
    let mut ours = kept.count();
    let mut others = 0;
    for (_, bytes) in changed.iter().filter(|(path, _)| sequence_of(path).is_some()) {
        match bytes.as_ref().and_then(|bytes| Preamble::of(bytes)) {
            Some(preamble) if preamble.store == subject.layout.store => ours += 1,
            Some(_) => others += 1,
            None => {}
        }
    }
    let is_live_strange = new("live").is_some_and(|(_, file)| file.as_ref().and_then(|file| Live::of(file)).is_some());
    match live {
        Some(_) => 0 < others && ours == 0,
        None => 0 < others && (ours <= others || is_live_strange),
    }
}

/// What a wound means.
struct Found {
    /// It is damage whatever is proven: no crash leaves that.
    is_damage: bool,
    is_derived_touched: bool,
    /// The places that were touched, in order, each with the first event behind it.
    places: Vec<(Place, usize)>,
    named: Vec<(u32, Range<usize>)>,
}

fn touched_places(subject: &Subject, index: usize, wound: &Wound) -> Found {
    let segment = &subject.layout.segments[index];
    let sequence = segment.sequence;
    let at = |offset: usize| Place { segment: sequence, offset: offset as u32 };
    let first_event = segment.batches[0].events.start;
    let mut found = Found { is_damage: false, is_derived_touched: false, places: Vec::new(), named: Vec::new() };
    // Where a whole segment is not what it was, its predecessor may be named as the one behind which it is missing.
    let whole = [(sequence, 0..usize::MAX), (sequence - 1, 0..usize::MAX)];
    if wound.state != State::Legible {
        found.is_damage = wound.state == State::Illegible;
        found.places.push((at(0), first_event));
        found.named.extend(whole);
        return found;
    }
    let is_started = wound.spares(&segment.batches[0].range);
    if wound.len < segment.size && is_started {
        found.is_damage = true;
        found.named.push((sequence, wound.len..wound.len));
    }
    if !is_started {
        // Without it nothing in the segment counts by itself.
        found.places.push((at(SECTOR), first_event));
        found.named.extend(whole);
    }
    for batch in segment.batches.iter().filter(|batch| !wound.spares(&batch.range)) {
        found.places.push((at(batch.range.start), batch.events.start));
        found.named.push((sequence, batch.range.clone()));
    }
    let end = segment.size - SECTOR;
    found.is_derived_touched = segment.footer.is_some() && !wound.spares(&(end..segment.size));
    found
}
