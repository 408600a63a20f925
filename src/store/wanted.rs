//! What a read of all streams leaves out.

use crate::error::Error;
use crate::event::{EventId, RecordedEvent};
use crate::format::TermHasher;
use crate::index::Plan;
use crate::position::Position;
use crate::query::{Predicate, Query};
use crate::sync::Arc;
use crate::time::Timestamp;

/// Which events are wanted, besides the bounds of their positions.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    pub(super) query: Option<Arc<Query>>,
    /// Included.
    pub(super) since: Option<Timestamp>,
    /// Excluded.
    pub(super) until: Option<Timestamp>,
    pub(super) predicate: Option<Arc<Predicate>>,
    pub(super) id: Option<EventId>,
    /// Losses that were accepted are passed over.
    pub(super) passes_accepted: bool,
}

impl Wanted {
    /// Why nothing can be read.
    pub(super) fn fault(&self) -> Option<&Error> {
        self.query.as_ref().and_then(|query| query.fault())
    }

    /// The position behind which the query asks.
    pub(super) fn after(&self) -> Position {
        self.query.as_ref().map_or(Position::BEGINNING, |query| query.after_position())
    }

    /// Whether this event and all behind it are too late: times never go backwards.
    pub(super) fn is_behind(&self, event: &RecordedEvent) -> bool {
        self.until.is_some_and(|until| until <= event.time())
    }

    /// Whether this event and all before it are too early.
    pub(super) fn is_before(&self, event: &RecordedEvent) -> bool {
        self.since.is_some_and(|since| event.time() < since)
    }

    /// What an index is asked for, where one narrows what is read.
    pub(super) fn plan(&self, hasher: &TermHasher) -> Option<Plan> {
        match (self.id, &self.query) {
            (Some(id), _) => Some(Plan::of_id(id, hasher)),
            (None, Some(query)) => Some(Plan::new(query, hasher)).filter(Plan::narrows),
            (None, None) => None,
        }
    }

    /// Whether terms and positions alone decide.
    pub(super) fn is_by_terms(&self) -> bool {
        let has_prefix = self.query.as_ref().is_some_and(|query| !query.stream_prefix().is_empty());
        !has_prefix && self.id.is_none() && self.since.is_none() && self.until.is_none() && self.predicate.is_none()
    }

    pub(super) fn accepts(&self, event: &RecordedEvent) -> bool {
        !self.is_before(event)
            && !self.is_behind(event)
            && self.id.is_none_or(|id| event.id() == id)
            && self.query.as_ref().is_none_or(|query| query.matches(event))
            && self.predicate.as_ref().is_none_or(|predicate| predicate.matches(event))
    }
}
