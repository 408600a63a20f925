//! A batch over several streams, built step by step.

use super::EventStore;
use super::condition::Guard;
use super::pending::PendingReceipt;
use super::request::Request;
use crate::error::{AppendError, Error};
use crate::event::{NewEvent, RecordedEvent};
use crate::format::ConsumerFact;
use crate::name::StreamName;
use crate::options::Durability;
use crate::position::ExpectedVersion;
use crate::query::Query;

/// Events of one or several streams that are appended together, with what is asked of the streams: all of it happens,
/// or none of it.
///
/// Every expectation is about the streams as they are **before** the batch, however often it names one. A step that is
/// handed something not allowed is remembered, and [`commit`](Self::commit) is refused with the first such fault.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let (game, board) = (StreamName::new("game-1")?, StreamName::new("board-1")?);
/// let receipt = store
///     .batch()
///     .append(&game, ExpectedVersion::NoStream, [NewEvent::json("won", &8812)?])
///     .append(&board, ExpectedVersion::Any, [NewEvent::json("scored", &10)?])
///     .commit()
///     .wait()
///     .map_err(|error| error.into_error())?;
/// assert_eq!(receipt.of(&board).map(|of| of.last_version().get()), Some(1));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "a batch does nothing until it is committed"]
pub struct BatchBuilder<'a> {
    pub(super) store: &'a EventStore,
    pub(super) request: Request,
    fault: Option<Error>,
}

impl<'a> BatchBuilder<'a> {
    pub(super) fn new(store: &'a EventStore) -> BatchBuilder<'a> {
        BatchBuilder { store, request: Request::new(&store.shared.options), fault: None }
    }

    /// Adds events to a stream, which is expected to be at some version before the batch.
    pub fn append(
        mut self,
        stream: &StreamName,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> BatchBuilder<'a> {
        self.request.expect(stream, expected);
        if self.fault.is_none() {
            self.fault = self.request.push(stream, events).err();
        }
        self
    }

    /// Names an event as the cause of those that are added from here on, and carries its correlation along; where it has
    /// none, its id becomes the correlation. What an event says itself counts.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// let append = |event| store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error());
    /// append(NewEvent::json("guessed", "otter")?.correlation("turn-7"))?;
    /// let cause = store.read(&game).into_iter().next().expect("an event")?;
    /// let scored = NewEvent::json("scored", &10)?;
    /// let batch = store.batch().caused_by(&cause).append(&StreamName::new("board-1")?, ExpectedVersion::Any, [scored]);
    /// let position = batch.commit().wait().map_err(|error| error.into_error())?.last_position();
    /// let event = store.event_at(position)?;
    /// assert_eq!(event.metadata()?.causation(), Some(&*cause.id().to_string()));
    /// assert_eq!(event.metadata()?.correlation(), Some("turn-7"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn caused_by(mut self, event: &RecordedEvent) -> BatchBuilder<'a> {
        self.request.cause(event);
        self
    }

    /// Whether it is one of this store.
    pub(crate) fn is_of(&self, store: &EventStore) -> bool {
        self.store.is_same(store)
    }

    /// Adds what is to be said of consumers, for the floor above, and in which opening of the store it is so.
    pub(crate) fn consumers(mut self, facts: Vec<ConsumerFact>, opening: u64) -> BatchBuilder<'a> {
        for fact in facts {
            let pushed = self.request.push_consumer(fact, opening);
            if self.fault.is_none() {
                self.fault = pushed.err();
            }
        }
        self
    }

    /// Asks for the version of a stream to which the batch does not write.
    pub fn require(mut self, stream: &StreamName, expected: ExpectedVersion) -> BatchBuilder<'a> {
        self.request.expect(stream, expected);
        self
    }

    /// Asks that no event is there that a query asks for, anywhere, or behind the position it is given with
    /// [`after`](Query::after). Also what is on its way in counts, the batch itself does not. May be said several times.
    ///
    /// Looking for types, tags, streams and categories costs the same in a large store as in a small one; a query that
    /// only asks for a prefix reads every event behind its position.
    ///
    /// ```
    /// use scorebook::{Conflict, EventStore, ExpectedVersion, NewEvent, Query, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let join = |team: &str| {
    ///     let joined = NewEvent::json("player_joined", team)?.tag("player", 8812);
    ///     let query = Query::all().of_type("player_joined").tag("player", 8812);
    ///     Ok::<_, scorebook::Error>(
    ///         store.batch().append(&StreamName::new(team)?, ExpectedVersion::Any, [joined]).unless(query).commit().wait(),
    ///     )
    /// };
    /// assert!(join("team-1")?.is_ok());
    /// let refused = join("team-2")?.expect_err("the player has a team");
    /// assert!(matches!(refused.conflict(), Some(Conflict::Unless { position, .. }) if position.get() == 1));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn unless(mut self, query: Query) -> BatchBuilder<'a> {
        self.take_fault(&query);
        self.request.unless(query, None);
        self
    }

    /// Asks that nothing has happened that a decision read asked for, since it read.
    pub fn guarded_by(mut self, guard: &Guard) -> BatchBuilder<'a> {
        self.request.unless(guard.query.clone(), Some(guard.seen_in.clone()));
        self
    }

    /// Has the batch accepted once under a key, of 1 to 128 bytes: whoever comes with the key again and with the same
    /// events gets the first receipt once more, marked as a repeat, before anything else is judged; with other events, a
    /// conflict. The same means the same streams, types, schemas, payloads, metadata and tags in the same order; ids, times
    /// and conditions may differ.
    ///
    /// The key is stored with the events, so this holds across crashes and openings. A compaction keeps it for
    /// [30 days](crate::limits::ONCE_KEY_KEPT_FOR), or for what a rule for [`Scope::OnceKeys`](crate::Scope::OnceKeys) says.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// let guess = || {
    ///     let event = NewEvent::json("guessed", "otter")?;
    ///     let batch = store.batch().append(&game, ExpectedVersion::NoStream, [event]).once("interaction-8812");
    ///     Ok::<_, scorebook::Error>(batch.commit().wait().map_err(|error| error.into_error())?)
    /// };
    /// let (first, again) = (guess()?, guess()?);
    /// assert!(!first.is_repeat() && again.is_repeat());
    /// assert_eq!(first.last_position(), again.last_position());
    /// assert_eq!(store.version(&game)?.get(), 1);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn once(mut self, key: impl Into<String>) -> BatchBuilder<'a> {
        let asked = self.request.once(key.into());
        if self.fault.is_none() {
            self.fault = asked.err();
        }
        self
    }

    /// Remembers the first fault.
    pub(super) fn take(&mut self, step: Result<(), Error>) {
        if self.fault.is_none() {
            self.fault = step.err();
        }
    }

    fn take_fault(&mut self, query: &Query) {
        if self.fault.is_none() {
            self.fault = query.fault().cloned();
        }
    }

    /// How durable the events are when the receipt is given. Default: that of the store.
    pub fn durability(mut self, durability: Durability) -> BatchBuilder<'a> {
        self.request.durability = durability;
        self
    }

    /// The answer to a batch that could not be made, for the floor above.
    pub(crate) fn refused(self, error: Error) -> PendingReceipt {
        PendingReceipt::refused(AppendError::Store(self.fault.unwrap_or(error)))
    }

    /// Queues the batch. An empty one is refused before anything is judged.
    pub fn commit(self) -> PendingReceipt {
        match self.fault {
            Some(fault) => PendingReceipt::refused(AppendError::Store(fault)),
            None => self.store.submit(self.request),
        }
    }
}
