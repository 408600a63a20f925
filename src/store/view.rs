//! What readers see: the segments, the stream table and the head, changed together under one lock.

use super::audience::Audience;
use super::read::Bounds;
use crate::format::{BatchView, Fault, Range};
use crate::index::{
    Candidates, CarriedPlaces, Lookup, Plan, SavedStreams, SegmentTerms, Shelf, Spot, Step, StreamTable, TermIndex,
    filters, rewrites,
};
use crate::log::{Calls, EventPlace, Opened, PlacedFact, Publish, Published, Visitor};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::quota::Charge;
use crate::segment::{FIRST_BATCH, Sealed, Segment};
use crate::sync::{Arc, RwLock};
use crate::time::Timestamp;
use std::collections::HashMap;

/// A segment that holds events, with its terms.
pub(crate) type Indexed = (Arc<Segment>, Arc<SegmentTerms>);

/// What is no longer held of the positions of a segment that was written anew.
#[derive(Debug)]
pub(crate) struct Thinned {
    pub(crate) positions: Range,
    /// Rising and apart from each other.
    pub(crate) removed: Vec<Range>,
    pub(crate) streams: HashMap<Box<str>, Loss>,
    /// Where states stand that it carries.
    pub(crate) carried: CarriedPlaces,
    /// What tags with a quota take no more.
    pub(crate) freed: Vec<Charge>,
}

/// What a stream has lost to a segment that was written anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loss {
    pub(crate) events: u64,
    /// The first event that is left of the whole stream, and its segment.
    pub(crate) first: Option<(Position, u32)>,
}

/// The visible state of a store.
#[derive(Debug)]
pub(crate) struct View {
    /// Rising in sequence number and position.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) table: StreamTable,
    pub(crate) terms: TermIndex,
    /// Every segment that holds events, with its terms; shared with whoever looks through all of them.
    indexed: Arc<Vec<Indexed>>,
    /// The last visible position.
    pub(crate) head: Position,
    /// Where the events up to it end in the last segment, which may be written further by now.
    end: u32,
    /// How many openings of the store came before, among its handles.
    pub(super) opening: u64,
}

impl View {
    /// What opening a log has found.
    pub(crate) fn new(opened: Opened<Lookup>) -> View {
        let Lookup { table, mut terms, .. } = opened.visitor;
        if terms.is_empty() {
            // A new store has got its id only now.
            terms = TermIndex::new(opened.store);
        }
        let end = opened.segments.last().map_or(0, |last| last.end());
        let mut view = View {
            segments: opened.segments,
            table,
            terms,
            indexed: Arc::default(),
            head: opened.head,
            end,
            opening: 0,
        };
        view.note_indexed();
        view.terms.ended().iter().for_each(|terms| terms.end());
        view
    }

    /// Takes a segment that was written anew in place of all that it stands for.
    pub(crate) fn replace(&mut self, segment: Arc<Segment>, terms: Arc<SegmentTerms>, thinned: &Thinned) {
        let (from, to) = (segment.preamble.stands_from(), segment.sequence());
        let begin = self.segments.partition_point(|one| one.sequence() < from);
        let end = self.segments.partition_point(|one| one.sequence() <= to);
        self.segments.splice(begin..end, [segment]);
        self.terms.replace(from..=to, (!terms.is_blank()).then_some(terms));
        for (stream, loss) in &thinned.streams {
            self.table.thin(stream, loss.events, loss.first);
        }
        if !Mutant::OverlooksWhatWasRemoved.is_on() {
            self.table.replace_holes(thinned.positions, &thinned.removed);
        }
        if !Mutant::LosesSightOfAState.is_on() {
            self.table.fates_mut().move_carried(&(from..=to), &thinned.carried);
        }
        self.table.quotas_mut().free(&thinned.freed, self.head);
        self.indexed = Arc::default();
        self.note_indexed();
    }

    /// Notes segments that have got terms.
    fn note_indexed(&mut self) {
        if self.indexed.len() != self.terms.segments().len() {
            let all = self.terms.segments().iter().filter_map(|terms| self.indexed(terms.sequence()));
            self.indexed = Arc::new(all.collect());
        }
    }

    /// The segment with this sequence number, or the one that stands for it.
    pub(crate) fn segment(&self, sequence: u32) -> Option<&Arc<Segment>> {
        let index = self.segments.partition_point(|segment| segment.sequence() < sequence);
        self.segments.get(index).filter(|segment| segment.stands_for(sequence))
    }

    /// A segment that holds events, with its terms.
    pub(crate) fn indexed(&self, sequence: u32) -> Option<Indexed> {
        let segment = self.segment(sequence)?;
        Some((segment.clone(), self.terms.of(segment.sequence())?.clone()))
    }

    /// All of them.
    pub(crate) fn all_indexed(&self) -> Arc<Vec<Indexed>> {
        self.indexed.clone()
    }

    /// The segments that hold positions from the first to the last, each with the position that the one behind it begins
    /// with, or that will come next.
    pub(crate) fn segments_of(
        &self,
        first: Position,
        last: Position,
    ) -> impl DoubleEndedIterator<Item = (&Arc<Segment>, Position)> {
        let begin = self.segments.partition_point(|segment| segment.first_position <= first).saturating_sub(1);
        let end = self.segments.partition_point(|segment| segment.first_position <= last).max(begin);
        let next = self.head.next().unwrap_or(self.head);
        let behind = move |index: usize| self.segments.get(index + 1).map_or(next, |segment| segment.first_position);
        (begin..end).map(move |index| (&self.segments[index], behind(index)))
    }

    /// Narrows bounds of positions to where events of a time may stand: from `since` on and before `until`. Not where
    /// events are missing of which nobody knows the time.
    pub(crate) fn narrow(&self, bounds: &mut Bounds, since: Option<Timestamp>, until: Option<Timestamp>) {
        if self.table.holes().doubt_between(Position::BEGINNING, Position::new(u64::MAX)).is_some() {
            return;
        }
        if let Some(mark) = since.and_then(|time| self.segments.iter().rev().find_map(|seg| seg.mark_earlier(time))) {
            bounds.from(mark.position.get());
        }
        if let Some(mark) = until.and_then(|time| self.segments.iter().find_map(|seg| seg.mark_not_earlier(time))) {
            bounds.before(mark.position.get());
        }
    }

    /// Where a segment ends in this view.
    pub(crate) fn end_of(&self, segment: &Segment) -> u32 {
        let is_last = self.segments.last().is_some_and(|last| last.sequence() == segment.sequence());
        if is_last { self.end } else { segment.end() }
    }

    /// Where the visible events end; none where there is no segment.
    fn spot(&self) -> Option<Spot> {
        let last = self.segments.last()?;
        let place = Place { segment: last.sequence(), offset: self.end };
        Some(Spot { place, segment: last.preamble.segment })
    }

    /// How many bytes the segments have up to their ends.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.end())).sum()
    }

    /// The same up to a place.
    pub(crate) fn log_bytes_before(&self, place: Place) -> u64 {
        let before = self.segments.iter().take_while(|segment| segment.sequence() < place.segment);
        before.map(|segment| u64::from(segment.end())).sum::<u64>() + u64::from(place.offset)
    }

    /// A segment begins, with nothing visible in it yet.
    pub(crate) fn begin(&mut self, segment: &Arc<Segment>) {
        self.segments.push(segment.clone());
        self.end = FIRST_BATCH;
    }

    /// Makes a stored batch of the last segment visible, all of it or nothing; `head` is the last position behind it.
    pub(crate) fn batch(&mut self, place: Place, batch: &BatchView<'_>, head: Position) -> Result<(), Fault> {
        self.table.batch(place, batch)?;
        let terms = batch.terms(self.terms.hasher());
        self.terms.batch(place, batch, &terms, self.table.steps());
        self.note_indexed();
        self.end = batch.end();
        self.head = head;
        Ok(())
    }

    /// Makes events of a stream visible.
    fn publish(&mut self, published: &Published<'_>) {
        if published.is_start {
            self.begin(published.segment);
        }
        self.end = published.end;
        let segment = published.segment.sequence();
        for batch in published.batches() {
            if !batch.events.is_empty() || batch.key.is_some() {
                let of_event =
                    |event: &EventPlace| self.table.publish(event.stream, event.version, event.position, segment);
                let steps: Vec<Step> = batch.events.iter().map(of_event).collect();
                let offsets = batch.events.iter().map(|event| event.offset);
                self.terms.add(segment, offsets, batch.terms, &steps, batch.key);
            }
            if !batch.charges.is_empty() {
                self.table.quotas_mut().publish(batch.charges);
            }
            for PlacedFact { fact, offset } in batch.facts {
                self.table.publish_fact(fact, Place { segment, offset: *offset });
            }
        }
        self.note_indexed();
        if !Mutant::LeavesTheHeadBehind.is_on() {
            self.head = published.head;
        }
    }

    /// What no store may do: see [`Mutant::ShowsABatchInPart`].
    fn publish_event(&mut self, published: &Published<'_>, event: &EventPlace) {
        self.table.publish(event.stream, event.version, event.position, published.segment.sequence());
        self.head = event.position;
        self.end = published.end;
    }
}

/// A view that is shared by readers and the one who publishes, and those who wait for more of it.
///
/// Whoever holds the lock touches no file. A publisher changes everything under one write lock, so a reader that has
/// seen an event finds a head at or behind it, and the other way round.
#[derive(Debug)]
pub(crate) struct SharedView(pub(crate) RwLock<View>, pub(super) Arc<Audience>);

impl SharedView {
    /// Whether nothing behind a position can meet a plan, as far as that is told without a look at where events stand.
    pub(crate) fn has_nothing_behind(&self, position: Position, plan: &Plan) -> bool {
        let indexed = self.0.read().all_indexed();
        let last = Candidates::backwards(indexed.len()).next(&indexed, |(_, terms)| terms, plan);
        let behind = last.and_then(|index| indexed.get(index + 1));
        last.is_none() || behind.is_some_and(|(segment, _)| segment.first_position.get() <= position.get() + 1)
    }

    /// Packs what is remembered of one segment that has ended, while others read and write, and writes it to a file if
    /// that may be. Whether there was one.
    pub(crate) fn pack(&self, keep: Option<&Keep<'_>>) -> bool {
        let view = self.0.read();
        let may_keep = |sequence: u32| keep.is_some_and(|keep| sequence < keep.durable.segment);
        let is_due = |terms: &&Arc<SegmentTerms>| terms.is_due(may_keep(terms.sequence()));
        let Some(terms) = view.terms.ended().iter().find(is_due).cloned() else { return false };
        let Some(index) = view.segments.iter().position(|segment| segment.sequence() == terms.sequence()) else {
            return false;
        };
        let (segment, next) = (view.segments[index].clone(), view.segments.get(index + 1).cloned());
        let all = view.terms.segments().to_vec();
        drop(view);
        // Whoever looks for something in a segment that cannot be read is told.
        if terms.pack(&segment).is_err() {
            terms.leave();
            return true;
        }
        if let (Some(keep), Some(next)) = (keep.filter(|_| may_keep(terms.sequence())), next) {
            match Sealed::before(&next, &segment) {
                Some(sealed) => terms.keep_in(&keep.shelf, &segment, &sealed, &filters(&all, sealed.number.sequence)),
                None => terms.leave(),
            }
        }
        terms.end();
        true
    }

    /// Lets what could not be written be tried once more.
    pub(crate) fn try_again(&self) {
        self.0.read().terms.segments().iter().for_each(|terms| terms.try_again());
    }

    /// Packs what is remembered of the last segment of a log that was closed, and writes it to a file.
    pub(crate) fn pack_last(&self, shelf: &Shelf<'_>, end: Place, last_checksum: u32) {
        let view = self.0.read();
        let last = view.segments.last().filter(|last| last.sequence() == end.segment).cloned();
        let terms = view.terms.of(end.segment).cloned();
        let all = view.terms.segments().to_vec();
        drop(view);
        if let (Some(segment), Some(terms)) = (last, terms)
            && terms.is_due(true)
            && terms.pack(&segment).is_ok()
        {
            let sealed = Sealed::new(&segment.preamble, end.offset, last_checksum);
            terms.keep_in(shelf, &segment, &sealed, &filters(&all, sealed.number.sequence));
        }
    }

    /// The stream table as it is written down, a few streams at a time so that nobody waits for long; and between which
    /// places it was taken. None where there is nothing yet.
    pub(crate) fn save(&self) -> Option<(SavedStreams, (Spot, Spot, u64))> {
        const STREAMS_AT_A_TIME: usize = 1_024;
        let view = self.0.read();
        let from = view.spot()?;
        let mut saved = view.table.begin_save(view.head);
        let rewritten = rewrites(view.segments.iter().map(|segment| &segment.preamble));
        let (mut next, to) = (Some(0), view.table.numbers());
        drop(view);
        let mut upto = from;
        while let Some(number) = next {
            let view = self.0.read();
            next = view.table.save(number, STREAMS_AT_A_TIME, to, &mut saved);
            upto = view.spot()?;
        }
        Some((saved, (from, upto, rewritten)))
    }

    /// Takes the terms of segments that have ended from their files, where those can be relied on.
    pub(crate) fn take_from(&self, shelf: &Shelf<'_>) {
        let view = self.0.read();
        let ended =
            view.segments.windows(2).filter_map(|pair| Some((view.terms.of(pair[0].sequence())?, &pair[0], &pair[1])));
        let ended: Vec<_> =
            ended.map(|(terms, segment, next)| (terms.clone(), segment.clone(), next.clone())).collect();
        drop(view);
        for (terms, segment, next) in ended.into_iter().filter(|(terms, _, _)| terms.is_due(true)) {
            if let Some(sealed) = Sealed::before(&next, &segment) {
                terms.take_from(shelf, &sealed);
                terms.end();
            }
        }
    }
}

/// Where the terms of segments are written to, and which segments may be spoken of.
pub(crate) struct Keep<'a> {
    pub(crate) shelf: Shelf<'a>,
    /// A derived file speaks only of what is durable.
    pub(crate) durable: Place,
}

impl Publish for SharedView {
    fn publish(&self, published: &Published<'_>) -> Calls {
        if Mutant::ShowsABatchInPart.is_on() && !published.is_start {
            for event in published.events() {
                self.0.write().publish_event(published, event);
                crate::sync::sleep(std::time::Duration::from_micros(200));
            }
        } else {
            self.0.write().publish(published);
        }
        // IMPORTANT: what is visible comes first, and those who wait for it second: see `waiting`.
        self.1.called_by(published)
    }

    fn became_durable(&self) -> Calls {
        self.1.called_by_sync()
    }
}
