//! The handle of a projection that has a state for each key, and how that is folded.

use super::anew::AsOf;
use super::fault::ProjectionFault;
use super::folded::Folded;
use super::kept::{FoldedBy, Kept, LastEvent, States};
use super::keyed::KeyedProjection;
use super::read_as::ReadAs;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::modelling::{Registry, caught};
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::Position;
use crate::store::{EventStore, Sight, StoreLink};
use crate::sync::{Arc, Mutex};
use std::any::type_name;
use std::fmt;

/// A projection that has a state for each key: cheap to clone, all who ask for it share the states that are kept.
///
/// A state is never older than the store was when it was asked for, so whoever has a receipt finds what it is for. It is folded
/// on the calling thread: nobody waits for the fold of another, and of two who ask for one key at a time both may fold it. A
/// state that is kept is copied before something is folded into it.
///
/// What is deleted or truncated by the name of its stream is still read where everything is, so it is in the states, too.
/// Positions that were removed on purpose are passed by: a state that is folded afterwards has them no more, and one that is
/// kept may have them for as long as it is.
///
/// It does not keep the store open, and ends when that is closed.
pub struct KeyedView<P: KeyedProjection> {
    keeper: Arc<Keeper<P>>,
}

/// What all views of one type share, until the store is closed.
struct Keeper<P: KeyedProjection> {
    link: StoreLink,
    states: States<P>,
}

/// The keeper of one type.
struct Slot<P: KeyedProjection>(Mutex<Option<Arc<Keeper<P>>>>);

impl EventStore {
    /// The projection of this type, which has a state for each key. Nothing is read yet, and nothing follows.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, KeyedProjection, NewEvent, Query, RecordedEvent, StreamName};
    /// # #[derive(Clone)]
    /// # struct Count(u64);
    /// # impl KeyedProjection for Count {
    /// #     type Key = u64;
    /// #     type Event = RecordedEvent;
    /// #     fn query(player: &u64) -> Query { Query::all().tag("player", player) }
    /// #     fn new(_: &u64) -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let (one, other) = (store.keyed_projection::<Count>(), store.keyed_projection::<Count>());
    /// let said = NewEvent::bytes("said", "one").tag("player", 8812);
    /// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, [said]).wait()?;
    /// assert_eq!(one.state(&8812)?.0, 1);
    /// assert_eq!(other.kept(), 1, "they share the states that are kept");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyed_projection<P: KeyedProjection>(&self) -> KeyedView<P> {
        let slot = self.kept_or(|| Slot::<P>(Mutex::new(None)));
        let made = Arc::new(Keeper { link: self.link(), states: States::new() });
        let mut slot = slot.0.lock();
        let before = slot.take();
        let keeper = before.clone().filter(|keeper| keeper.link.store().is_ok()).unwrap_or(made);
        *slot = Some(keeper.clone());
        drop(slot);
        // The states of a store that was closed go here, when nothing is locked.
        drop(before);
        KeyedView { keeper }
    }
}

impl<P: KeyedProjection> KeyedView<P> {
    /// The state of a key, to look at for as long as one likes: it changes no more. `Ok` guarantees that every event of the
    /// key is in it that was visible when this was called. A key without events has the state it begins with.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, KeyedProjection, NewEvent, Query, RecordedEvent, StreamName};
    /// # #[derive(Clone)]
    /// # struct Count(u64);
    /// # impl KeyedProjection for Count {
    /// #     type Key = u64;
    /// #     type Event = RecordedEvent;
    /// #     fn query(player: &u64) -> Query { Query::all().tag("player", player) }
    /// #     fn new(_: &u64) -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let said = ["one", "two"].map(|word| NewEvent::bytes("said", word).tag("player", 8812));
    /// let receipt = store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, said).wait()?;
    /// let count = store.keyed_projection::<Count>().state(&8812)?;
    /// assert!(receipt.last_position() <= count.position());
    /// assert_eq!(count.0, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// They are of this key alone: other keys can be had, and this one again where what stands in the way is gone.
    ///
    /// * [`Decode`](ErrorKind::Decode), [`UnknownType`](ErrorKind::UnknownType): an event cannot be folded in; the source says
    ///   which.
    /// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
    ///   [`TooLarge`](ErrorKind::TooLarge): the query has a fault, or the registry of the store has not the projection's
    ///   events.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events of the key cannot be read any more, or may be
    ///   among those that cannot.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn state(&self, key: &P::Key) -> Result<Folded<P>, Error> {
        self.keeper.state(key, None)
    }

    /// The state of a key as it was at a position or at a time.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, KeyedProjection, NewEvent, Position, Query, RecordedEvent, StreamName};
    /// /// How many words were said in a talk.
    /// #[derive(Clone)]
    /// struct Count(u64);
    ///
    /// impl KeyedProjection for Count {
    ///     type Key = StreamName;
    /// #     type Event = RecordedEvent;
    /// #     fn new(_: &StreamName) -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    ///     // …
    ///     fn query(talk: &StreamName) -> Query {
    ///         Query::all().in_stream(talk)
    ///     }
    /// }
    ///
    /// let store = EventStore::open_in_memory()?;
    /// let talk = StreamName::new("talk-1")?;
    /// store.append(&talk, ExpectedVersion::Any, ["one", "two", "three"].map(|word| NewEvent::bytes("said", word))).wait()?;
    /// let count = store.keyed_projection::<Count>();
    /// assert_eq!(count.state_at(&talk, Position::new(2))?.0, 2);
    /// let third = store.event_at(Position::new(3))?.time();
    /// assert_eq!(count.state_at(&talk, third)?.0, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): the store has not come to this position yet.
    /// * Those of [`state`](Self::state), as far as the fold goes.
    pub fn state_at(&self, key: &P::Key, as_of: impl Into<AsOf>) -> Result<Folded<P>, Error> {
        let to = as_of.into().position(&self.keeper.link.store()?)?;
        self.keeper.state(key, Some(to))
    }

    /// Of how many keys a state is kept in memory now; [`states_kept`](KeyedProjection::states_kept) at most.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, KeyedProjection, NewEvent, Query, RecordedEvent, StreamName};
    /// # #[derive(Clone)]
    /// # struct Count(u64);
    /// # impl KeyedProjection for Count {
    /// #     type Key = u64;
    /// #     type Event = RecordedEvent;
    /// #     fn query(player: &u64) -> Query { Query::all().tag("player", player) }
    /// #     fn new(_: &u64) -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let talk = StreamName::new("talk-1")?;
    /// store.append(&talk, ExpectedVersion::Any, [NewEvent::bytes("said", "one").tag("player", 8812)]).wait()?;
    /// let count = store.keyed_projection::<Count>();
    /// assert_eq!((count.state(&8812)?.0, count.state(&7)?.0), (1, 0));
    /// assert_eq!(count.kept(), 1, "of a key without events there is nothing to keep");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn kept(&self) -> usize {
        self.keeper.states.len()
    }
}

impl<P: KeyedProjection> Keeper<P> {
    /// The state of a key up to a position, or to where the store reaches.
    fn state(&self, key: &P::Key, to: Option<Position>) -> Result<Folded<P>, Error> {
        caught(|| format!("in {} of {key:?}", type_name::<P>()), || self.fold(key, to))
    }

    fn fold(&self, key: &P::Key, to: Option<Position>) -> Result<Folded<P>, Error> {
        let store = self.link.store()?;
        // IMPORTANT: this comes first. Where another registry is taken in between, what that has folded counts as folded by
        // the one before, and is not taken by whoever asks next; the other way round it would be.
        let by: FoldedBy = store.kept::<Registry>();
        let registry = P::Event::registry(&store)?;
        let sight = store.sight(Durability::Written)?;
        // IMPORTANT: a store that was closed and opened again has counted its openings anew.
        self.link.store()?;
        let act = || format!("folding {} of {key:?}", type_name::<P>());
        let is_as_of = to.is_some();
        let to = reached(&sight, to).map_err(|error| Error::with_source(error.kind(), act(), error))?;
        let kept = self.states.get(&by, key);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.opening == sight.opening) {
            // Somebody else may have gone further meanwhile. That is as good, unless it is asked how it was.
            let is_it = if is_as_of { kept.position == to } else { to <= kept.position };
            if is_it || Mutant::AnswersWithWhatIsKept.is_on() {
                return Ok(Folded::new(kept.state.clone(), kept.position));
            }
        }
        let going = self.go_on(key, kept, &sight, to, registry.as_ref());
        let Going { state, last } = going.map_err(|fault| fault.told(act()))?;
        // Of a key without events there is nothing to keep: it takes no more to find again that there is none.
        if let Some(last) = last {
            let kept = Kept { state: state.clone(), position: to, opening: sight.opening, last };
            self.states.put(&by, key, kept);
        }
        Ok(Folded::new(state, to))
    }

    /// Folds in what has come since a state was kept, or all of it.
    fn go_on(
        &self,
        key: &P::Key,
        kept: Option<Kept<P>>,
        sight: &Sight,
        to: Position,
        registry: Option<&Registry>,
    ) -> Result<Going<P>, ProjectionFault> {
        let read = sight.read().to(to).matching(P::query(key));
        let since = match &kept {
            Some(kept) => kept.since(&read, to, sight.opening).map_err(ProjectionFault::reading)?,
            None => None,
        };
        let (mut going, events) = match kept.zip(since) {
            Some((kept, events)) => (Going { state: kept.state, last: Some(kept.last) }, events),
            None => (Going { state: Arc::new(P::new(key)), last: None }, read.iter()),
        };
        for event in events {
            going.take(event.map_err(ProjectionFault::reading)?, registry)?;
        }
        Ok(going)
    }
}

/// A state on its way, and the last event in it.
struct Going<P> {
    state: Arc<P>,
    last: Option<LastEvent>,
}

impl<P: KeyedProjection> Going<P> {
    fn take(&mut self, event: RecordedEvent, registry: Option<&Registry>) -> Result<(), ProjectionFault> {
        self.last = Some(LastEvent::of(&event));
        let Some(kept) = P::Event::keep(event, registry, P::on_unknown())? else { return Ok(()) };
        // Where others hold the state too, they keep what they have: a panic spoils nothing but this copy.
        let state = &mut self.state;
        let fold = || {
            let state = Arc::make_mut(state);
            P::Event::each(&kept, |event, context| state.apply(event, context));
            Ok(())
        };
        let whence = || format!("at position {}", P::Event::recorded(&kept).position());
        caught(whence, fold).map_err(|error| ProjectionFault::at(P::Event::recorded(&kept), error))
    }
}

/// Up to where a state is folded.
fn reached(sight: &Sight, to: Option<Position>) -> Result<Position, Error> {
    match to {
        Some(to) if sight.reach < to => {
            let act = format!("reading up to position {to}: the store ends at {}", sight.reach);
            Err(Error::new(ErrorKind::EventNotFound, act))
        }
        to => Ok(to.unwrap_or(sight.reach)),
    }
}

impl<P: KeyedProjection> Clone for KeyedView<P> {
    fn clone(&self) -> KeyedView<P> {
        KeyedView { keeper: self.keeper.clone() }
    }
}

impl<P: KeyedProjection> fmt::Debug for KeyedView<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view of {} by key, {} states kept", type_name::<P>(), self.kept())
    }
}
