//! Reading all streams, in the order of the positions.

use super::all_events::AllEvents;
use super::read::Bounds;
use super::view::SharedView;
use super::wanted::Wanted;
use crate::error::Error;
use crate::event::{EventId, RecordedEvent};
use crate::position::Position;
use crate::query::{Predicate, Query};
use crate::sync::Arc;
use crate::time::Timestamp;

/// A read of all events: bounds choose the events, [`backwards`](Self::backwards) only the order.
///
/// It ends where the store ended when it began: it neither blocks appends nor sees them half.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, Position, StreamName};
/// let store = EventStore::open_in_memory()?;
/// for name in ["a", "b", "c"] {
///     let event = NewEvent::json("named", name)?;
///     store.append(&StreamName::new(name)?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// }
/// let read = store.read_all().after(Position::new(1));
/// let streams = read.into_iter().map(|event| Ok(event?.stream().to_owned())).collect::<Result<Vec<_>, scorebook::Error>>()?;
/// assert_eq!(streams, ["b", "c"]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a read does nothing until it is iterated over"]
pub struct AllRead {
    pub(super) source: Result<Arc<SharedView>, Error>,
    pub(super) bounds: Bounds,
    pub(super) wanted: Wanted,
}

impl AllRead {
    pub(super) fn new(source: Result<Arc<SharedView>, Error>) -> AllRead {
        AllRead { source, bounds: Bounds::ALL, wanted: Wanted::default() }
    }

    /// From this position on, included. Position 0 is the same as 1. Default: from the first.
    pub fn from(mut self, position: Position) -> AllRead {
        self.bounds.from(position.get());
        self
    }

    /// Up to this position, included. Default: up to the head.
    pub fn to(mut self, position: Position) -> AllRead {
        self.bounds.to(position.get());
        self
    }

    /// What lies behind this position, excluded.
    pub fn after(mut self, position: Position) -> AllRead {
        self.bounds.after(position.get());
        self
    }

    /// What lies before this position, excluded.
    pub fn before(mut self, position: Position) -> AllRead {
        self.bounds.before(position.get());
        self
    }

    /// The highest position first. Default: the lowest first.
    pub fn backwards(mut self) -> AllRead {
        self.bounds.is_backwards = true;
        self
    }

    /// Only events that a query asks for. Default: all. Of several queries the last one counts.
    pub fn matching(mut self, query: Query) -> AllRead {
        self.wanted.query = Some(Arc::new(query));
        self
    }

    /// The same with a query that is shared.
    pub(crate) fn matching_shared(mut self, query: &Arc<Query>) -> AllRead {
        self.wanted.query = Some(query.clone());
        self
    }

    /// Only events that were given this id when they were appended.
    pub(super) fn with_id(mut self, id: EventId) -> AllRead {
        self.wanted.id = Some(id);
        self
    }

    /// Only events that the store gave this time or a later one. Default: from the first.
    pub fn since(mut self, time: Timestamp) -> AllRead {
        self.wanted.since = self.wanted.since.max(Some(time));
        self
    }

    /// Only events that the store gave an earlier time than this. Default: up to the head.
    pub fn until(mut self, time: Timestamp) -> AllRead {
        self.wanted.until = Some(self.wanted.until.map_or(time, |other| other.min(time)));
        self
    }

    /// Only events whose payload or metadata holds what is asked. Default: all. Of several predicates the last one
    /// counts.
    pub fn filtered_by(mut self, predicate: Predicate) -> AllRead {
        self.wanted.predicate = Some(Arc::new(predicate));
        self
    }

    /// At most this many events; 0 gives none. Default: no limit.
    pub fn limit(mut self, events: u64) -> AllRead {
        self.bounds.limit = events;
        self
    }

    /// Passes over positions that were lost to damage, instead of failing there. Default: fails.
    pub fn skipping_lost(mut self) -> AllRead {
        self.bounds.skips_lost = true;
        self
    }

    /// Passes over losses that were accepted. Whoever asks has seen to it that there are no others.
    pub(super) fn passing_accepted(mut self) -> AllRead {
        self.wanted.passes_accepted = true;
        self
    }

    /// Begins the read.
    #[must_use]
    pub fn iter(&self) -> AllEvents {
        AllEvents::new(self)
    }

    /// How many events there are. Where types, tags, streams and categories alone decide, the events are not read.
    ///
    /// # Errors
    ///
    /// Those of [`AllEvents`]: where an event cannot be given, nobody knows how many there are.
    pub fn count(&self) -> Result<u64, Error> {
        self.iter().total()
    }

    /// Whether there is any event.
    ///
    /// # Errors
    ///
    /// Those of [`AllEvents`], where an event that cannot be given may be one before the first that is there.
    pub fn exists(&self) -> Result<bool, Error> {
        self.iter().next().transpose().map(|event| event.is_some())
    }
}

impl IntoIterator for AllRead {
    type Item = Result<RecordedEvent, Error>;
    type IntoIter = AllEvents;

    fn into_iter(self) -> AllEvents {
        self.iter()
    }
}

impl IntoIterator for &AllRead {
    type Item = Result<RecordedEvent, Error>;
    type IntoIter = AllEvents;

    fn into_iter(self) -> AllEvents {
        self.iter()
    }
}
