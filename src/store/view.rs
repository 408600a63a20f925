//! What readers see: the segments, the stream table and the head, changed together under one lock.

use super::read::Bounds;
use crate::format::{BatchView, Fault};
use crate::index::{Lookup, StreamTable, TermIndex};
use crate::log::{EventPlace, Opened, Publish, Published, Visitor};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Segment};
use crate::sync::{Arc, RwLock};
use crate::time::Timestamp;

/// The visible state of a store.
#[derive(Debug)]
pub(crate) struct View {
    /// Rising in sequence number and position.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) table: StreamTable,
    pub(crate) terms: TermIndex,
    /// The last visible position.
    pub(crate) head: Position,
    /// Where the events up to it end in the last segment, which may be written further by now.
    end: u32,
}

impl View {
    /// What opening a log has found.
    pub(crate) fn new(opened: Opened<Lookup>) -> View {
        let Lookup { table, mut terms } = opened.visitor;
        if terms.is_empty() {
            // A new store has got its id only now.
            terms = TermIndex::new(opened.store);
        }
        let end = opened.segments.last().map_or(0, |last| last.end());
        View { segments: opened.segments, table, terms, head: opened.head, end }
    }

    /// The segment with this sequence number.
    pub(crate) fn segment(&self, sequence: u32) -> Option<&Arc<Segment>> {
        let index = self.segments.binary_search_by_key(&sequence, |segment| segment.sequence()).ok()?;
        self.segments.get(index)
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

    /// A segment begins, with nothing visible in it yet.
    pub(crate) fn begin(&mut self, segment: &Arc<Segment>) {
        self.segments.push(segment.clone());
        self.end = FIRST_BATCH;
    }

    /// Makes a stored batch of the last segment visible, all of it or nothing; `head` is the last position behind it.
    pub(crate) fn batch(&mut self, place: Place, batch: &BatchView<'_>, head: Position) -> Result<(), Fault> {
        self.table.batch(place, batch)?;
        self.terms.batch(place, batch);
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
            for event in batch.events {
                let place = Place { segment, offset: event.offset };
                self.table.publish(event.stream, event.version, event.position, place);
            }
            self.terms.add(segment, batch.events.iter().map(|event| event.offset), batch.terms, batch.key);
        }
        if !Mutant::LeavesTheHeadBehind.is_on() {
            self.head = published.head;
        }
    }

    /// What no store may do: see [`Mutant::ShowsABatchInPart`].
    fn publish_event(&mut self, published: &Published<'_>, event: &EventPlace) {
        let segment = published.segment.sequence();
        self.table.publish(event.stream, event.version, event.position, Place { segment, offset: event.offset });
        self.head = event.position;
        self.end = published.end;
    }
}

/// A view that is shared by readers and the one who publishes.
///
/// Whoever holds the lock touches no file. A publisher changes everything under one write lock, so a reader that has
/// seen an event finds a head at or behind it, and the other way round.
#[derive(Debug)]
pub(crate) struct SharedView(pub(crate) RwLock<View>);

impl SharedView {
    /// Packs what is remembered of segments that have ended, while others read and write.
    pub(crate) fn pack(&self) {
        loop {
            let Some(terms) = self.0.read().terms.to_be_packed() else { return };
            terms.pack();
        }
    }
}

impl Publish for SharedView {
    fn publish(&self, published: &Published<'_>) {
        if Mutant::ShowsABatchInPart.is_on() && !published.is_start {
            for event in published.events() {
                self.0.write().publish_event(published, event);
                crate::sync::sleep(std::time::Duration::from_micros(200));
            }
        } else {
            self.0.write().publish(published);
        }
    }
}
