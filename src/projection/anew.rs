//! Folding up to some place, on the calling thread.

use super::chunk::{self, Kept, Reader};
use super::fault::ProjectionFault;
use super::folded::Folded;
use super::kind::{self, Projection};
use super::read_as::ReadAs;
use super::saved;
use crate::error::{Error, ErrorKind};
use crate::position::Position;
use crate::query::Query;
use crate::store::EventStore;
use crate::sync::Arc;
use crate::time::Timestamp;
use std::time::SystemTime;

/// How many events are folded in at a time.
pub(super) const CHUNK_EVENTS: usize = 512;

/// Up to where a projection is folded on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsOf {
    /// Up to this position, included; position 0 is before the first event.
    Position(Position),
    /// Up to the last event to which the store gave this time or an earlier one.
    Time(Timestamp),
}

impl EventStore {
    /// A projection as it was at a position or at a time: folded on this thread, from the first event or from a saved state
    /// that is old enough. Nothing is kept, and no projection needs to follow.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, NewEvent, Position, Projection, Query, RecordedEvent, StreamName};
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Count(u64);
    /// # impl Projection for Count {
    /// #     type Event = RecordedEvent;
    /// #     const NAME: &'static str = "count";
    /// #     const VERSION: u32 = 1;
    /// #     fn query() -> Query { Query::all() }
    /// #     fn new() -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let said = ["one", "two", "three"].map(|word| NewEvent::bytes("said", word));
    /// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, said).wait()?;
    /// assert_eq!(store.fold::<Count>(Position::new(2))?.state().0, 2);
    /// let third = store.event_at(Position::new(3))?.time();
    /// assert_eq!(store.fold::<Count>(third)?.state().0, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): the store has not come to this position yet.
    /// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
    ///   [`TooLarge`](ErrorKind::TooLarge): the name or the query of the projection has a fault, or the registry of the store
    ///   has not its events.
    /// * [`Decode`](ErrorKind::Decode), [`UnknownType`](ErrorKind::UnknownType): an event cannot be folded in; the source says
    ///   which.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost), [`Io`](ErrorKind::Io): the log cannot be read that far.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn fold<P: Projection>(&self, as_of: impl Into<AsOf>) -> Result<Folded<P>, Error> {
        kind::check::<P>()?;
        let to = as_of.into().position(self)?;
        let head = self.head()?;
        if head < to {
            let act = format!("folding projection {} up to position {to}: the store ends at {head}", P::NAME);
            return Err(Error::new(ErrorKind::EventNotFound, act));
        }
        let begun = match saved::load::<P>(self, to)? {
            Some(found) => Anew::begin_with(self, found.state, found.position)?,
            None => Anew::begin(self)?,
        };
        let folded = begun.fold(self, to, |_| true).map_err(|fault| {
            let act = format!("folding projection {} up to position {to}", P::NAME);
            fault.told(act)
        })?;
        Ok(folded.expect("nobody said to stop").into_folded())
    }
}

impl EventStore {
    /// What is saved of a projection, as it stands in its file: nothing is folded in, and nothing follows. None where nothing
    /// is saved that verifies, and is of this version, this query and this log.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
    ///   [`TooLarge`](ErrorKind::TooLarge): the name or the query of the projection has a fault.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn saved_projection<P: Projection>(&self) -> Result<Option<Folded<P>>, Error> {
        kind::check::<P>()?;
        let found = saved::load::<P>(self, Position::new(u64::MAX))?;
        Ok(found.map(|found| Folded::new(Arc::new(found.state), found.position)))
    }
}

impl AsOf {
    /// The position of the last event that is in what is folded so far.
    pub(super) fn position(self, store: &EventStore) -> Result<Position, Error> {
        match self {
            AsOf::Position(position) => Ok(position),
            AsOf::Time(time) => {
                let behind = Timestamp::from_nanos(time.nanos().saturating_add(1));
                let last = store.read_all().until(behind).backwards().limit(1).into_iter().next().transpose()?;
                Ok(last.map_or(Position::BEGINNING, |event| event.position()))
            }
        }
    }
}

/// A state on its way.
pub(super) struct Anew<P> {
    pub(super) state: P,
    pub(super) position: Position,
    /// How many events were folded in on the way.
    pub(super) events: u64,
    reader: Reader,
    query: Arc<Query>,
}

impl<P: Projection> Anew<P> {
    /// Before the first event.
    pub(super) fn begin(store: &EventStore) -> Result<Anew<P>, Error> {
        Anew::begin_with(store, P::new(), Position::BEGINNING)
    }

    pub(super) fn begin_with(store: &EventStore, state: P, position: Position) -> Result<Anew<P>, Error> {
        Ok(Anew { state, position, events: 0, reader: Reader::new::<P>(store)?, query: Arc::new(P::query()) })
    }

    /// Folds in what comes up to a position that the store has reached. `goes_on` is asked after each chunk; where it says
    /// no, nothing comes back.
    pub(super) fn fold(
        mut self,
        store: &EventStore,
        to: Position,
        mut goes_on: impl FnMut(&Anew<P>) -> bool,
    ) -> Result<Option<Anew<P>>, ProjectionFault> {
        let read = store.read_all().after(self.position).to(to).matching_shared(&self.query);
        let mut read = read.into_iter();
        let mut chunk = Vec::new();
        loop {
            let is_over = self.read_chunk(&mut read, &mut chunk)?;
            self.state = fold_in(self.state, &chunk)?;
            if is_over {
                self.position = self.position.max(to);
                return Ok(Some(self));
            }
            if !goes_on(&self) {
                return Ok(None);
            }
        }
    }

    /// Reads the next chunk; whether nothing is left.
    pub(super) fn read_chunk(
        &mut self,
        read: &mut crate::store::AllEvents,
        chunk: &mut Vec<Kept<P>>,
    ) -> Result<bool, ProjectionFault> {
        chunk.clear();
        while chunk.len() < CHUNK_EVENTS {
            let Some(event) = read.next() else { return Ok(true) };
            let event = event.map_err(ProjectionFault::reading)?;
            (self.position, self.events) = (event.position(), self.events + 1);
            chunk.extend(self.reader.keep::<P>(event)?);
        }
        Ok(false)
    }

    pub(super) fn into_folded(self) -> Folded<P> {
        Folded::new(Arc::new(self.state), self.position)
    }
}

/// Folds a chunk into a state; where that panics the state is lost.
pub(super) fn fold_in<P: Projection>(state: P, chunk: &[Kept<P>]) -> Result<P, ProjectionFault> {
    chunk::apply(state, chunk).map_err(|(index, error)| ProjectionFault::at(P::Event::recorded(&chunk[index]), error))
}

impl From<Position> for AsOf {
    fn from(position: Position) -> AsOf {
        AsOf::Position(position)
    }
}

impl From<Timestamp> for AsOf {
    fn from(time: Timestamp) -> AsOf {
        AsOf::Time(time)
    }
}

impl From<SystemTime> for AsOf {
    fn from(time: SystemTime) -> AsOf {
        AsOf::Time(time.into())
    }
}
