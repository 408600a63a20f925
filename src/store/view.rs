//! What readers see: the segments, the stream table and the head, changed together under one lock.

use crate::index::StreamTable;
use crate::log::{EventPlace, Publish, Published};
use crate::mutant::Mutant;
use crate::position::{Place, Position};
use crate::segment::Segment;
use crate::sync::{Arc, RwLock};

/// The visible state of a store.
#[derive(Debug)]
pub(crate) struct View {
    /// Rising in sequence number and position.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) table: StreamTable,
    /// The last visible position.
    pub(crate) head: Position,
}

impl View {
    /// The segment with this sequence number.
    pub(crate) fn segment(&self, sequence: u32) -> Option<&Arc<Segment>> {
        let index = self.segments.binary_search_by_key(&sequence, |segment| segment.sequence()).ok()?;
        self.segments.get(index)
    }

    /// Makes events of a stream visible.
    fn publish(&mut self, published: &Published<'_>) {
        if published.is_start {
            self.segments.push(published.segment.clone());
        }
        let segment = published.segment.sequence();
        for event in published.events() {
            self.table.publish(event.stream, event.version, event.position, Place { segment, offset: event.offset });
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
    }
}

/// A view that is shared by readers and the one who publishes.
///
/// Whoever holds the lock touches no file. A publisher changes everything under one write lock, so a reader that has
/// seen an event finds a head at or behind it, and the other way round.
#[derive(Debug)]
pub(crate) struct SharedView(pub(crate) RwLock<View>);

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
