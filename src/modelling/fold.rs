//! What is known of an aggregate without its type: how the events of a stream are folded, for whoever folds a whole log or
//! shows states.

use super::aggregate::{Aggregate, OnFloor};
use super::carrying::{Begun, begin, carrying_of};
use super::caught::caught;
use super::check::event_place;
use super::load::{check_next, fold_in};
use super::registry::Registry;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::name::StreamName;
use crate::position::Version;
use crate::store::{Beginning, EventStore, NewState, SnapshotCheck};
use serde::Serialize;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

/// The state of one stream, event by event, as the aggregate of its category folds it; see [`Registry::fold`].
///
/// What a step or the aggregate itself panics with is an error here, since whoever folds does not know what they do.
pub struct Fold<'a> {
    aggregate: &'static str,
    /// None where the aggregate could not even begin.
    state: Result<Box<dyn AnyState + 'a>, Error>,
    stream: StreamName,
    version: Version,
    fold: &'a dyn AnyFold,
    registry: &'a Registry,
    /// Whether no event was folded in, and no state that is carried.
    is_new: bool,
}

impl<'a> Fold<'a> {
    pub(super) fn begin(fold: &'a dyn AnyFold, registry: &'a Registry, stream: &StreamName) -> Fold<'a> {
        let at = || format!("where stream {stream} begins");
        let state = caught(at, || Ok(fold.begin(registry, stream)));
        let (aggregate, stream) = (fold.aggregate(), stream.clone());
        Fold { aggregate, state, stream, version: Version::NONE, fold, registry, is_new: true }
    }

    /// Begins as the stream does in a store: with the state that it [carries](crate::Aggregate::carrying), or else with its
    /// first event. `Ok` guarantees that the event behind [`version`](Self::version) is the first that is to be folded in.
    ///
    /// ```
    /// # use scorebook::{Aggregate, Carrying, EventContext, EventStore, Registry, StreamName, Version};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u32);
    /// # impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    /// #     fn carrying() -> Option<Carrying<Counter>> { Some(Carrying::json("counter", 1)) }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// counter.execute(7).wait().expect("nothing is refused");
    /// counter.condense(&counter.load()?).wait().map_err(|error| error.into_error())?;
    /// let registry = Registry::builder().aggregate::<Counter>("counter").build()?;
    /// let mut fold = registry.fold(counter.stream()).expect("the category is known");
    /// fold.begin_in(&store)?;
    /// assert_eq!((fold.version(), &*fold.json()?), (Version::FIRST, "7"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`BelowFloor`](ErrorKind::BelowFloor): the stream begins later, and not with a state that the aggregate reads, unless
    ///   that [begins anywhere](crate::OnFloor::Begin).
    /// * [`Decode`](ErrorKind::Decode): the state is not what its schema says, or the aggregate panicked.
    /// * Those of [`carried_state`](EventStore::carried_state).
    pub fn begin_in(&mut self, store: &EventStore) -> Result<(), Error> {
        let beginning = store.beginning(&self.stream)?;
        let begun = self.fold.begin_with(self.registry, &self.stream, &beginning)?;
        if let Some(Resumed { state, version, is_carried }) = begun {
            (self.state, self.version, self.is_new) = (Ok(state), version, !is_carried);
        }
        Ok(())
    }

    /// The state as a stream may [carry](EventStore::truncate_carrying) it.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the aggregate does not say how a state is
    ///   [carried](crate::Aggregate::carrying).
    /// * [`Encode`](ErrorKind::Encode): it cannot be written. [`Decode`](ErrorKind::Decode): the aggregate panicked before.
    pub fn to_carry(&self) -> Result<NewState, Error> {
        let state = self.state.as_ref().map_err(|error| error.clone())?;
        state.to_carry(&self.stream, self.version)
    }

    /// Goes on with the next event of the stream: decodes it and applies what it has become. A failure leaves the state
    /// as it was, unless it is a panic of the aggregate half-way: then it is over with this fold.
    ///
    /// # Errors
    ///
    /// * [`BelowFloor`](ErrorKind::BelowFloor): it is not the next event; what was in between is removed.
    /// * [`UnknownType`](ErrorKind::UnknownType): the aggregate's events do not include it, and the aggregate does not
    ///   [skip](crate::OnUnknown::Skip) such.
    /// * [`Decode`](ErrorKind::Decode): the payload is not of the shape it should have, a step refused it, or a step or the
    ///   aggregate panicked.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        if !(self.is_new && self.fold.begins_anywhere()) {
            check_next(&self.stream, self.version, event)?;
        }
        let state = self.state.as_mut().map_err(|error| error.clone())?;
        let mut is_over = true;
        let outcome = caught(
            || event_place(event),
            || {
                let applied = state.apply(event);
                is_over = false;
                applied
            },
        );
        if let Err(error) = &outcome
            && is_over
        {
            self.state = Err(error.clone());
        }
        outcome?;
        (self.version, self.is_new) = (event.version(), false);
        Ok(())
    }

    /// The version of the last event that was folded in.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The state as JSON.
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): the state cannot be written as JSON.
    /// * [`Decode`](ErrorKind::Decode): the aggregate panicked before, or while it was written.
    pub fn json(&self) -> Result<String, Error> {
        let state = self.state.as_ref().map_err(|error| error.clone())?;
        let act = || format!("writing a {} as JSON", self.aggregate);
        let write = || state.json().map_err(|error| Error::with_source(ErrorKind::Encode, act(), error));
        caught(|| format!("while a {} was written as JSON", self.aggregate), write)
    }

    /// The name of the aggregate's type.
    #[must_use]
    pub fn aggregate(&self) -> &'static str {
        self.aggregate
    }
}

impl fmt::Debug for Fold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fold of a {}", self.aggregate)
    }
}

/// How the streams of a category are folded.
pub(super) trait AnyFold: Send + Sync {
    /// The name of the aggregate.
    fn aggregate(&self) -> &'static str;

    /// The state of a stream without events.
    fn begin<'a>(&'a self, registry: &'a Registry, stream: &StreamName) -> Box<dyn AnyState + 'a>;

    /// The state of a stream that begins so; none where that is the state of one without events.
    fn begin_with<'a>(
        &'a self,
        registry: &'a Registry,
        stream: &StreamName,
        beginning: &Beginning,
    ) -> Result<Option<Resumed<'a>>, Error>;

    /// Whether the first event may be any.
    fn begins_anywhere(&self) -> bool;

    /// Holds the snapshots of a stream against what its events fold to.
    fn verify_snapshots(
        &self,
        store: &EventStore,
        registry: &Registry,
        stream: &StreamName,
    ) -> Result<Vec<SnapshotCheck>, Error>;
}

/// A state that a fold begins with, and the last version before that.
pub(super) struct Resumed<'a> {
    state: Box<dyn AnyState + 'a>,
    version: Version,
    is_carried: bool,
}

/// The state of a stream.
pub(super) trait AnyState {
    /// Folds the next event in. Fails where it cannot be decoded; the state is then as it was.
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), Error>;

    /// The state as JSON.
    fn json(&self) -> Result<String, serde_json::Error>;

    /// The state with all up to a version, to be carried.
    fn to_carry(&self, stream: &StreamName, version: Version) -> Result<NewState, Error>;
}

/// The fold of an aggregate.
pub(super) struct FoldOf<A>(PhantomData<fn() -> A>);

impl<A> FoldOf<A> {
    pub(super) fn new() -> FoldOf<A> {
        FoldOf(PhantomData)
    }
}

struct State<'a, A> {
    registry: &'a Registry,
    state: A,
}

impl<A: Aggregate + Serialize> AnyFold for FoldOf<A> {
    fn aggregate(&self) -> &'static str {
        type_name::<A>()
    }

    fn begin<'a>(&'a self, registry: &'a Registry, stream: &StreamName) -> Box<dyn AnyState + 'a> {
        Box::new(State { registry, state: A::new(stream) })
    }

    fn begin_with<'a>(
        &'a self,
        registry: &'a Registry,
        stream: &StreamName,
        beginning: &Beginning,
    ) -> Result<Option<Resumed<'a>>, Error> {
        let state = |state: A| Box::new(State { registry, state }) as Box<dyn AnyState + 'a>;
        Ok(match begin::<A>(stream, beginning)? {
            Begun::New => None,
            Begun::Anywhere(version) => {
                let new = caught(|| format!("where stream {stream} begins"), || Ok(A::new(stream)))?;
                Some(Resumed { state: state(new), version, is_carried: false })
            }
            Begun::Carried(carried, of) => {
                Some(Resumed { state: state(carried), version: of.version(), is_carried: true })
            }
        })
    }

    fn begins_anywhere(&self) -> bool {
        A::on_floor() == OnFloor::Begin
    }

    fn verify_snapshots(
        &self,
        store: &EventStore,
        registry: &Registry,
        stream: &StreamName,
    ) -> Result<Vec<SnapshotCheck>, Error> {
        store.aggregate::<A>(stream).verify_snapshots_with(registry)
    }
}

impl<A: Aggregate + Serialize> AnyState for State<'_, A> {
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        fold_in(&mut self.state, self.registry, event)
    }

    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.state)
    }

    fn to_carry(&self, stream: &StreamName, version: Version) -> Result<NewState, Error> {
        carrying_of::<A>(stream, version)?.write(stream, version, &self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::modelling::{Event, EventContext, OnUnknown, RegistryFault};
    use crate::position::ExpectedVersion;

    crate::events! {
        /// What happens to a counter.
        #[derive(Clone)]
        enum Counted {
            Up(u32) = "counted_up", 1;
        }
    }

    /// Counts; and says whether it passes over what it does not know.
    #[derive(Clone, Serialize)]
    struct Counter<const SKIPS: bool> {
        count: u32,
        last: u64,
    }

    impl<const SKIPS: bool> Aggregate for Counter<SKIPS> {
        type Event = Counted;
        type Command = u32;
        type Refusal = ();

        fn new(_: &StreamName) -> Self {
            Counter { count: 0, last: 0 }
        }

        fn decide(&self, up: &u32) -> Result<Vec<Counted>, ()> {
            Ok(vec![Counted::Up(*up)])
        }

        fn apply(&mut self, Counted::Up(up): &Counted, context: &EventContext<'_>) {
            self.count += up;
            self.last = context.version().get();
        }

        fn on_unknown() -> OnUnknown {
            if SKIPS { OnUnknown::Skip } else { OnUnknown::Fail }
        }
    }

    /// The state behind each event of a stream: 3 more, something unknown, no number, 4 more.
    fn states(registry: &Registry) -> Vec<Result<String, ErrorKind>> {
        let store = EventStore::open_in_memory().unwrap();
        let stream = StreamName::new("counter-7").unwrap();
        let no_number = NewEvent::json("counted_up", "four").unwrap();
        let events = [
            Counted::Up(3).encode().unwrap(),
            NewEvent::bytes("drawn", []),
            no_number,
            Counted::Up(4).encode().unwrap(),
        ];
        store.append(&stream, ExpectedVersion::Any, events).wait().unwrap();
        let mut fold = registry.fold(&stream).expect("the category is known");
        let folded = store.read(&stream).into_iter().map(|event| {
            fold.apply(&event.unwrap()).map_err(|error| error.kind())?;
            Ok(fold.json().unwrap())
        });
        folded.collect()
    }

    #[test]
    fn what_cannot_be_folded_is_passed_over_only_where_that_is_wanted() {
        let registry = Registry::builder().aggregate::<Counter<false>>("counter").build().unwrap();
        assert_eq!(
            states(&registry),
            [
                Ok(r#"{"count":3,"last":1}"#.to_owned()),
                Err(ErrorKind::UnknownType),
                // Nothing can follow on what could not be folded.
                Err(ErrorKind::BelowFloor),
                Err(ErrorKind::BelowFloor),
            ]
        );
        let registry = Registry::builder().aggregate::<Counter<true>>("counter").build().unwrap();
        let states = states(&registry);
        assert_eq!(states[1], Ok(r#"{"count":3,"last":1}"#.to_owned()));
        assert_eq!(states[2], Err(ErrorKind::Decode));
    }

    #[test]
    fn a_category_has_one_aggregate_and_is_one() {
        let faults = |registry: Result<Registry, _>| match registry {
            Ok(_) => Vec::new(),
            Err(crate::modelling::RegistryFaults(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        let twice = Registry::builder().aggregate::<Counter<true>>("counter").aggregate::<Counter<true>>("counter");
        assert_eq!(faults(twice.build()), [""; 0]);
        let two = Registry::builder().aggregate::<Counter<true>>("counter").aggregate::<Counter<false>>("counter");
        let told = faults(two.build());
        assert!(told.len() == 1 && told[0].contains("Counter<true>") && told[0].contains("Counter<false>"), "{told:?}");
        for category in ["", "a-b", "-", "a/b"] {
            let registry = Registry::builder().aggregate::<Counter<true>>(category).build();
            let is_it = |fault: &RegistryFault| matches!(fault, RegistryFault::InvalidCategory { category: named } if named == category);
            assert!(registry.unwrap_err().iter().any(is_it), "{category}");
        }
    }
}
