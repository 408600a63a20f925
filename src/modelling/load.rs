//! The state of a stream: its events folded, from the first one, from a snapshot, or from a state that is kept.

use super::aggregate::{Aggregate, EventContext, OnFloor, OnUnknown};
use super::at::{At, before};
use super::carrying::{Begun, begin};
use super::registry::Registry;
use super::states::States;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::snapshot::{Head, LastEvent};
use crate::store::{Beginning, CarriedState, EventStore, Origin, StreamEvents};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

/// A stream seen as an aggregate: a handle, cheap to clone, that holds no state.
///
/// What it loads is always what the stream holds at that moment. The last states are kept in memory, each with the event it
/// ends with; a load looks whether that event is the one in the log and folds in what has come since, whoever appended it.
pub struct AggregateStream<A> {
    store: EventStore,
    stream: StreamName,
    of: PhantomData<fn() -> A>,
}

/// The state of a stream at some version. Cheap to clone: clones share the state.
pub struct Loaded<A> {
    state: Arc<A>,
    version: Version,
    /// The event it ends with; `None` at version 0.
    last: Option<Last>,
    /// The state that the stream began with when it was folded; `None` where it began with its first event.
    pub(super) origin: Option<Origin>,
    /// How many bytes of payload were folded in, also those in the snapshot it began with.
    folded_bytes: u64,
    /// The version of that.
    snapshot: Option<Version>,
}

/// What tells an event from every other, also from one that was given its position again after a loss.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Last {
    position: Position,
    epoch: u32,
    epoch_bits: u64,
    time: Timestamp,
}

impl EventStore {
    /// A stream, seen as an aggregate. Nothing is read yet.
    pub fn aggregate<A: Aggregate>(&self, stream: &StreamName) -> AggregateStream<A> {
        AggregateStream { store: self.clone(), stream: stream.clone(), of: PhantomData }
    }
}

impl<A: Aggregate> AggregateStream<A> {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    /// The state of the stream now. `Ok` guarantees that every event is in it that was visible when the load began; a stream
    /// without events has the state it begins with, at version 0.
    ///
    /// # Errors
    ///
    /// * [`UnknownType`](ErrorKind::UnknownType): an event is of a type or schema the aggregate does not know, and
    ///   [`on_unknown`](Aggregate::on_unknown) says to fail.
    /// * [`Decode`](ErrorKind::Decode): the payload of an event is not what its schema says.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the registry of the store has not the aggregate's events, or there
    ///   is none and they cannot be put into one.
    /// * [`BelowFloor`](ErrorKind::BelowFloor): events of the stream were removed, and neither the state that it
    ///   [begins with](Aggregate::carrying) nor a [snapshot](Aggregate::snapshots) has all of them.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events of the stream cannot be read any more, or may be
    ///   among those that cannot.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn load(&self) -> Result<Loaded<A>, Error> {
        let (registry, states) = self.registry_and_states()?;
        if let Some(mut known) = states.get_in_turn(&registry, &self.stream) {
            let origin = known.origin;
            match known.since(&self.store, &self.stream, None)? {
                Some(events) => {
                    if known.origin != origin {
                        states.put(&registry, &self.stream, &known);
                    }
                    return self.go_on(known, events, &registry, &states);
                }
                None => states.forget(&self.stream, &known),
            }
        }
        let begun = self.store.elapsed();
        let loaded = self.replay(&registry, None)?;
        states.put(&registry, &self.stream, &loaded);
        self.save_where_due(&loaded, Some(self.store.elapsed().saturating_sub(begun)));
        Ok(loaded)
    }

    /// The state of the stream as it was: at a version, or at a time.
    ///
    /// ```
    /// # use scorebook::{Aggregate, EventContext, EventStore, StreamName, Version};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// # #[derive(Clone)]
    /// # struct Counter(u32);
    /// # impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// let first = counter.execute(7).wait().expect("nothing is refused");
    /// let second = counter.execute(4).wait().expect("nothing is refused");
    /// assert_eq!(counter.state_at(Version::FIRST)?.state().0, 7);
    /// let time = second.receipt().expect("something was appended").time();
    /// assert_eq!(counter.state_at(time)?.state().0, 11);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound), [`StreamNotFound`](ErrorKind::StreamNotFound): the stream has not come
    ///   to this version yet.
    /// * Those of [`load`](Self::load), as far as the fold goes.
    pub fn state_at(&self, at: impl Into<At>) -> Result<Loaded<A>, Error> {
        let at = at.into();
        let (registry, states) = self.registry_and_states()?;
        let mut before = states.get(&registry, &self.stream).filter(|known| known.is_at_or_before(at));
        let since = match &mut before {
            Some(known) => known.since(&self.store, &self.stream, Some(at))?,
            None => None,
        };
        let loaded = match before.zip(since) {
            Some((mut loaded, events)) => loaded.take(events, &registry, &self.stream, Some(at)).map(|()| loaded)?,
            None => self.replay(&registry, Some(at))?,
        };
        match at {
            At::Version(version) if loaded.version < version => {
                // Unless there is no such event, it has come in the meantime.
                self.store.event(&self.stream, version)?;
                self.state_at(at)
            }
            At::Version(_) | At::Time(_) => Ok(loaded),
        }
    }

    /// What became of a state by an append to the stream, which is kept then. None where that cannot be read.
    pub(super) fn follow_to(&self, mut loaded: Loaded<A>, version: Version) -> Option<Loaded<A>> {
        let (registry, states) = self.registry_and_states().ok()?;
        let events = loaded.since(&self.store, &self.stream, Some(At::Version(version))).ok()??;
        let loaded = self.go_on(loaded, events, &registry, &states).ok()?;
        (loaded.version == version).then_some(loaded)
    }

    /// Folds what has come since into a state and keeps that.
    ///
    /// The state is not kept meanwhile: where nobody else holds it, it is changed in place, however large it is. A panic loses
    /// it, so that the next load folds from the first event.
    fn go_on(
        &self,
        mut loaded: Loaded<A>,
        events: StreamEvents,
        registry: &Registry,
        states: &States<A>,
    ) -> Result<Loaded<A>, Error> {
        let mut events = events.peekable();
        if events.peek().is_none() {
            return Ok(loaded);
        }
        let turn = states.turn(&self.stream);
        states.forget(&self.stream, &loaded);
        let outcome = loaded.take(events, registry, &self.stream, None);
        // Also where an event could not be folded in: the state is that of the event before it.
        states.put(registry, &self.stream, &loaded);
        drop(turn);
        outcome?;
        self.save_where_due(&loaded, None);
        Ok(loaded)
    }

    /// Folds the events of the stream: from the nearest snapshot that can be used, or from where it begins.
    fn replay(&self, registry: &Registry, at: Option<At>) -> Result<Loaded<A>, Error> {
        self.begin_with(|beginning| {
            let resumed = A::snapshots().map(|snapshots| self.resume(&snapshots, at, beginning)).transpose()?.flatten();
            let Some((mut loaded, events)) = resumed else { return self.fold(registry, at, beginning) };
            loaded.take(events.into_iter().flatten(), registry, self.stream(), at).map(|()| loaded)
        })
    }

    /// Folds the events of the stream from where it begins.
    pub(super) fn fold_all(&self, registry: &Registry, at: At) -> Result<Loaded<A>, Error> {
        self.begin_with(|beginning| self.fold(registry, Some(at), beginning))
    }

    /// Folds with where the stream begins, and once more where it begins later by then.
    fn begin_with(&self, fold: impl Fn(&Beginning) -> Result<Loaded<A>, Error>) -> Result<Loaded<A>, Error> {
        let mut beginning = self.store.beginning(&self.stream)?;
        loop {
            let folded = fold(&beginning);
            let Err(error) = &folded else { return folded };
            if error.kind() != ErrorKind::BelowFloor {
                return folded;
            }
            let now = self.store.beginning(&self.stream)?;
            if now.first == beginning.first {
                return folded;
            }
            beginning = now;
        }
    }

    fn fold(&self, registry: &Registry, at: Option<At>, beginning: &Beginning) -> Result<Loaded<A>, Error> {
        let stream = &self.stream;
        if at == Some(At::Version(Version::NONE)) {
            // Nothing is asked of the stream, so it need not be there.
            return Ok(Loaded::new(stream));
        }
        let mut loaded = match begin(stream, beginning)? {
            Begun::New => Loaded::new(stream),
            Begun::Anywhere(version) => Loaded { version, origin: beginning.origin(), ..Loaded::new(stream) },
            Begun::Carried(state, carried) => Loaded::carried(state, &carried),
        };
        if !at.is_none_or(|at| loaded.is_at_or_before(at)) {
            let act = format!("folding stream {stream} {}: it begins with version {}", before(at), beginning.first);
            return Err(Error::new(ErrorKind::BelowFloor, act));
        }
        // Of a stream that begins with a state there may be no event left to read.
        if loaded.version != Version::NONE && self.store.version(stream)? <= loaded.version {
            return Ok(loaded);
        }
        let mut read = self.store.read(stream).after(loaded.version);
        if let Some(At::Version(version)) = at {
            read = read.to(version);
        }
        match loaded.take(read, registry, stream, at) {
            Err(error) if error.kind() == ErrorKind::StreamNotFound => Ok(loaded),
            outcome => outcome.map(|()| loaded),
        }
    }

    fn registry_and_states(&self) -> Result<(Registry, Arc<States<A>>), Error> {
        Ok((self.store.registry_for::<A::Event>()?, self.store.kept_or(States::<A>::new)))
    }
}

impl<A: Aggregate> Loaded<A> {
    pub(super) fn new(stream: &StreamName) -> Loaded<A> {
        let state = Arc::new(A::new(stream));
        Loaded { state, version: Version::NONE, last: None, origin: None, folded_bytes: 0, snapshot: None }
    }

    /// What a stream begins with.
    fn carried(state: A, carried: &CarriedState) -> Loaded<A> {
        let last = Some(Last::in_state(carried));
        let origin = Some(carried.origin());
        Loaded { state: Arc::new(state), version: carried.version(), last, origin, folded_bytes: 0, snapshot: None }
    }

    /// What a snapshot holds of a stream that begins as it did when that was folded.
    pub(super) fn resumed(state: A, head: &Head, beginning: &Beginning) -> Loaded<A> {
        let LastEvent { position, epoch, epoch_bits, time, .. } = head.last;
        Loaded {
            state: Arc::new(state),
            version: head.version,
            last: Some(Last { position, epoch, epoch_bits, time }),
            origin: beginning.origin(),
            folded_bytes: head.folded_bytes,
            snapshot: Some(head.version),
        }
    }

    /// What the log holds behind the event it ends with. None where the log holds another event there, or none, or the stream
    /// begins with another state than it did.
    pub(super) fn since(
        &mut self,
        store: &EventStore,
        stream: &StreamName,
        at: Option<At>,
    ) -> Result<Option<StreamEvents>, Error> {
        if !self.is_of_beginning(store, stream)? {
            return Ok(None);
        }
        let mut read = store.read(stream);
        if let Some(At::Version(version)) = at {
            read = read.to(version);
        }
        let Some(last) = &self.last else {
            let read = if self.version == Version::NONE { read } else { read.after(self.version) };
            return Ok(Some(read.iter()));
        };
        let mut events = read.clone().from(self.version).iter();
        let is_still_there = match events.next() {
            Some(Ok(event)) => *last == Last::of(&event),
            // It may be the last in the state that the stream begins with.
            Some(Err(error)) if error.kind() == ErrorKind::BelowFloor => {
                let carried = store.carried_state(stream)?.filter(|carried| carried.version() == self.version);
                let is_still_there = carried.is_some_and(|carried| *last == Last::in_state(&carried));
                events = read.after(self.version).iter();
                is_still_there
            }
            Some(Err(error)) if error.kind() != ErrorKind::StreamNotFound => return Err(error),
            Some(Err(_)) | None => false,
        };
        Ok(is_still_there.then_some(events))
    }

    fn take(
        &mut self,
        events: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
        registry: &Registry,
        stream: &StreamName,
        at: Option<At>,
    ) -> Result<(), Error> {
        for event in events {
            let event = event?;
            // Also of the event behind: what was before it may be missing.
            self.check_next(stream, &event)?;
            if matches!(at, Some(At::Time(time)) if time < event.time()) {
                break;
            }
            self.apply(registry, &event)?;
        }
        Ok(())
    }

    /// Fails where an event is not the next.
    fn check_next(&self, stream: &StreamName, event: &RecordedEvent) -> Result<(), Error> {
        let begins = self.last.is_none() && A::on_floor() == OnFloor::Begin;
        if begins { Ok(()) } else { check_next(stream, self.version, event) }
    }

    /// Folds in the next event of the stream.
    fn apply(&mut self, registry: &Registry, event: &RecordedEvent) -> Result<(), Error> {
        fold_in(Arc::make_mut(&mut self.state), registry, event)?;
        (self.version, self.last) = (event.version(), Some(Last::of(event)));
        self.folded_bytes += event.data().len() as u64;
        Ok(())
    }

    fn is_at_or_before(&self, at: At) -> bool {
        match at {
            At::Version(version) => self.version <= version,
            At::Time(time) => self.last.is_none_or(|last| last.time <= time),
        }
    }

    /// Whether this is the other one.
    pub(super) fn is(&self, other: &Loaded<A>) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

/// Fails where an event is not the next behind a version: no state is better than a wrong one.
pub(super) fn check_next(stream: &StreamName, before: Version, event: &RecordedEvent) -> Result<(), Error> {
    if before.next() == Some(event.version()) {
        return Ok(());
    }
    let act = format!("folding stream {stream}: what was between version {before} and {} is removed", event.version());
    Err(Error::new(ErrorKind::BelowFloor, act))
}

/// Folds a recorded event into a state: whatever it became of since its schema was changed.
pub(crate) fn fold_in<A: Aggregate>(state: &mut A, registry: &Registry, event: &RecordedEvent) -> Result<(), Error> {
    let events = match A::on_unknown() {
        OnUnknown::Fail => registry.decode::<A::Event>(event),
        OnUnknown::Skip => registry.decode_known::<A::Event>(event),
    }?;
    let context = EventContext::of(event);
    events.for_each(|event| state.apply(&event, &context));
    Ok(())
}

impl Last {
    pub(super) fn of(event: &RecordedEvent) -> Last {
        Last { position: event.position(), epoch: event.epoch(), epoch_bits: event.epoch_bits, time: event.time() }
    }

    /// The last in a state that is carried, of which no epoch is known; no event is in epoch 0.
    fn in_state(carried: &CarriedState) -> Last {
        Last { position: carried.position(), epoch: 0, epoch_bits: 0, time: carried.time() }
    }
}

impl<A> Loaded<A> {
    /// The state.
    #[must_use]
    pub fn state(&self) -> &A {
        &self.state
    }

    /// The state, to keep. It is copied where others hold it too.
    #[must_use]
    pub fn into_state(self) -> A
    where
        A: Clone,
    {
        Arc::unwrap_or_clone(self.state)
    }

    pub(super) fn into_shared(self) -> Arc<A> {
        self.state
    }

    /// The version of the last event in it; [`Version::NONE`] where the stream has no events.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The position of the last event in it; [`Position::BEGINNING`] where the stream has no events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.last.map_or(Position::BEGINNING, |last| last.position)
    }

    /// The version of the snapshot that it was folded from; `None` where that was done from the first event.
    #[must_use]
    pub fn snapshot(&self) -> Option<Version> {
        self.snapshot
    }

    /// How many bytes of payload are folded into it.
    pub(super) fn folded_bytes(&self) -> u64 {
        self.folded_bytes
    }

    /// Whether this is the event it ends with.
    pub(super) fn ends_with(&self, last: &Last) -> bool {
        self.last.as_ref() == Some(last)
    }
}

impl<A> Clone for AggregateStream<A> {
    fn clone(&self) -> AggregateStream<A> {
        AggregateStream { store: self.store.clone(), stream: self.stream.clone(), of: PhantomData }
    }
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Loaded<A> {
        Loaded { state: self.state.clone(), ..*self }
    }
}

impl<A> fmt::Debug for AggregateStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {} as {}", self.stream, type_name::<A>())
    }
}

impl<A: fmt::Debug> fmt::Debug for Loaded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at version {}", self.state, self.version)
    }
}
