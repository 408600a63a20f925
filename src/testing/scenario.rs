//! Given these events, when this command comes, then this follows: aggregates tested without a store.

use super::fixture::recorded;
use crate::event::NewEvent;
use crate::modelling::{Aggregate, EventContext, Faults, Registry, fold_in};
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::time::Timestamp;
use std::any::type_name;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Write};

/// Begins a scenario of an aggregate whose stream has no events.
///
/// All events go through their codecs, as they would through a log, so what does not come back as it was shows up here too.
///
/// ```
/// use scorebook::testing::scenario;
/// # use scorebook::{Aggregate, EventContext, StreamName};
/// # scorebook::events! {
/// #     /// What happens to a counter.
/// #     #[derive(Clone, Debug, PartialEq)]
/// #     pub enum Counted {
/// #         /// It went up by so many.
/// #         Up(u32) = "counted_up", 1;
/// #     }
/// # }
/// # #[derive(Clone, Debug)]
/// # struct Counter { sum: u32 }
/// # #[derive(Debug, PartialEq)]
/// # struct TooMuch;
/// # impl Aggregate for Counter {
/// #     type Event = Counted;
/// #     type Command = u32;
/// #     type Refusal = TooMuch;
/// #     fn new(_: &StreamName) -> Counter { Counter { sum: 0 } }
/// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, TooMuch> {
/// #         if 10 < self.sum + count { Err(TooMuch) } else { Ok(vec![Counted::Up(*count)]) }
/// #     }
/// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.sum += count; }
/// # }
/// scenario::<Counter>()
///     .given([Counted::Up(3), Counted::Up(4)])
///     .when(2)
///     .then([Counted::Up(2)])
///     .then_state(|counter| assert_eq!(counter.sum, 9))
///     .when(2)
///     .then_refused(TooMuch);
/// ```
///
/// # Panics
///
/// Its steps panic where something else follows than is said, with what was expected and what was found. So do they where
/// an event cannot be written down and read again.
#[must_use = "a scenario holds nothing before something is said to follow"]
pub fn scenario<A: Aggregate>() -> Scenario<A> {
    let registry = Registry::builder().events::<A::Event>().build();
    scenario_in(&registry.unwrap_or_else(|faults| panic!("the events of {}: {faults}", type_name::<A>())))
}

/// The same in a store that [uses](crate::EventStore::use_registry) this registry: the rules that were plugged into it hold,
/// and its steps lead on [what was recorded](Scenario::given_recorded) in older schemas.
///
/// ```
/// use scorebook::testing::scenario_in;
/// use scorebook::{NewEvent, Registry};
/// # use scorebook::{Aggregate, EventContext, StreamName};
/// # scorebook::events! {
/// #     /// What happens to a counter.
/// #     #[derive(Clone, Debug, PartialEq)]
/// #     pub enum Counted {
/// #         /// It went up by so many.
/// #         Up(u32) = "counted_up", 2;
/// #     }
/// # }
/// # #[derive(Clone, Debug)]
/// # struct Counter { sum: u32 }
/// # impl Aggregate for Counter {
/// #     type Event = Counted;
/// #     type Command = u32;
/// #     type Refusal = ();
/// #     fn new(_: &StreamName) -> Counter { Counter { sum: 0 } }
/// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
/// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.sum += count; }
/// # }
/// let registry = Registry::builder()
///     .events::<Counted>()
///     .step(("counted_up", 1), ("counted_up", 2), |text: String| text.len())
///     .validate_type("counted_up", |event, faults| {
///         faults.require(event.decode::<u32>().is_ok_and(|count| count < 10), "count", "must be below 10");
///     })
///     .build()?;
/// scenario_in::<Counter>(&registry)
///     .given_recorded([NewEvent::json("counted_up", "xxx")?])
///     .when(4)
///     .then([Counted::Up(4)])
///     .then_state(|counter| assert_eq!(counter.sum, 7))
///     .when(10)
///     .then_invalid(&["count"]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "a scenario holds nothing before something is said to follow"]
pub fn scenario_in<A: Aggregate>(registry: &Registry) -> Scenario<A> {
    let stream = StreamName::trusted("scenario-1".into());
    let state = A::new(&stream);
    Scenario { registry: registry.clone(), stream, state, version: Version::NONE, time: Timestamp::EPOCH }
}

/// A scenario: what has happened so far.
#[must_use = "a scenario holds nothing before something is said to follow"]
pub struct Scenario<A> {
    registry: Registry,
    stream: StreamName,
    state: A,
    version: Version,
    time: Timestamp,
}

/// A scenario in which a command has come: what followed from it.
pub struct Decided<A: Aggregate> {
    /// With the events in it that followed.
    scenario: Scenario<A>,
    before: Version,
    outcome: Outcome<A>,
}

enum Outcome<A: Aggregate> {
    Events(Vec<A::Event>),
    Refused(A::Refusal),
    /// The events break rules of their own.
    Invalid(Faults),
}

impl<A: Aggregate> Scenario<A> {
    /// The stream that the events are in. Default: `scenario-1`. What was given before is forgotten.
    pub fn on(self, stream: &StreamName) -> Scenario<A> {
        Scenario { stream: stream.clone(), state: A::new(stream), version: Version::NONE, ..self }
    }

    /// The time of the events that come next. Default: the beginning of 1970.
    pub fn at(mut self, time: impl Into<Timestamp>) -> Scenario<A> {
        self.time = time.into();
        self
    }

    /// What has happened, behind what was given before. It happened, so it may break rules that hold today.
    #[track_caller]
    pub fn given(mut self, events: impl IntoIterator<Item = A::Event>) -> Scenario<A> {
        for event in events {
            let (new, event) = self.written(&event, &mut Faults::default());
            self.apply(&new, &event);
        }
        self
    }

    /// The same of events as they were recorded, in whatever schema.
    #[track_caller]
    pub fn given_recorded(mut self, events: impl IntoIterator<Item = NewEvent>) -> Scenario<A> {
        for event in events {
            let version = self.version.next().unwrap_or(self.version);
            let at = (Position::new(version.get()), version, self.time);
            let recorded = recorded(&self.stream, at, event);
            let folded = recorded.and_then(|event| fold_in(&mut self.state, &self.registry, &event));
            folded.unwrap_or_else(|error| panic!("{self}: {}", told(&error)));
            self.version = version;
        }
        self
    }

    /// A command comes.
    #[must_use = "say what is to follow"]
    #[track_caller]
    pub fn when(mut self, command: A::Command) -> Decided<A> {
        let before = self.version;
        let outcome = match self.state.decide(&command) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(decided) => {
                let mut faults = Faults::default();
                let written: Vec<(NewEvent, A::Event)> =
                    decided.iter().map(|event| self.written(event, &mut faults)).collect();
                match faults.is_empty() {
                    true => {
                        written.iter().for_each(|(new, event)| self.apply(new, event));
                        Outcome::Events(written.into_iter().map(|(_, event)| event).collect())
                    }
                    false => Outcome::Invalid(faults),
                }
            }
        };
        Decided { scenario: self, before, outcome }
    }

    /// An event as it would be appended, and as it would be read.
    #[track_caller]
    fn written(&self, event: &A::Event, faults: &mut Faults) -> (NewEvent, A::Event) {
        let new = self.registry.encode_within(event, |new| new, faults);
        let read = new.and_then(|new| self.registry.read_back(&new).map(|read| (new, read)));
        read.unwrap_or_else(|error| panic!("{self}: {}", told(&error)))
    }

    fn apply(&mut self, new: &NewEvent, event: &A::Event) {
        self.version = self.version.next().unwrap_or(self.version);
        let context = EventContext::new(self.version, Position::new(self.version.get()), self.time);
        self.state.apply(event, &context.with_new(new));
    }
}

impl<A> Decided<A>
where
    A: Aggregate<Event: Debug + PartialEq, Refusal: Debug + PartialEq>,
{
    /// Exactly these events follow.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Decided<A> {
        let expected: Vec<A::Event> = events.into_iter().collect();
        match &self.outcome {
            Outcome::Events(found) if *found == expected => self,
            _ => self.fail(&Found::Events(&expected)),
        }
    }

    /// Nothing follows, and it is not refused either.
    #[track_caller]
    pub fn then_nothing(self) -> Decided<A> {
        self.then([])
    }

    /// The command is refused, and this is why.
    #[track_caller]
    pub fn then_refused(self, refusal: A::Refusal) -> Decided<A> {
        match &self.outcome {
            Outcome::Refused(found) if *found == refusal => self,
            _ => self.fail(&Found::Refused(&refusal)),
        }
    }

    /// The events that were decided break rules about exactly these fields, in this order.
    #[track_caller]
    pub fn then_invalid(self, fields: &[&str]) -> Decided<A> {
        match &self.outcome {
            Outcome::Invalid(faults)
                if faults.iter().map(|fault| fault.field().unwrap_or("")).eq(fields.iter().copied()) =>
            {
                self
            }
            _ => self.fail(&Found::Invalid(&format!("rules about {}", fields.join(", ")))),
        }
    }

    /// Looks at the state, with the events in it that followed.
    pub fn then_state(self, look: impl FnOnce(&A)) -> Decided<A> {
        look(&self.scenario.state);
        self
    }

    /// Another command comes, behind what has followed so far.
    #[must_use = "say what is to follow"]
    #[track_caller]
    pub fn when(self, command: A::Command) -> Decided<A> {
        self.scenario.when(command)
    }

    #[track_caller]
    fn fail(&self, expected: &Found<'_, A::Event, A::Refusal>) -> ! {
        let faults;
        let found = match &self.outcome {
            Outcome::Events(events) => Found::Events(events),
            Outcome::Refused(refusal) => Found::Refused(refusal),
            Outcome::Invalid(of_events) => {
                faults = of_events.to_string();
                Found::Invalid(&faults)
            }
        };
        let (aggregate, before) = (type_name::<A>(), self.before);
        panic!("scenario of {aggregate} behind version {before}\nexpected {expected}\nfound    {found}")
    }
}

/// What followed, or was to follow, for whoever reads why a test failed.
enum Found<'a, E, R> {
    Events(&'a [E]),
    Refused(&'a R),
    Invalid(&'a str),
}

impl<E: Debug, R: Debug> fmt::Display for Found<'_, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Events([]) => f.write_str("nothing to follow"),
            Found::Events(events) => {
                write!(f, "{} event{}:", events.len(), if events.len() == 1 { "" } else { "s" })?;
                events.iter().try_for_each(|event| write!(f, "\n    {event:?}"))
            }
            Found::Refused(refusal) => write!(f, "a refusal:\n    {refusal:?}"),
            Found::Invalid(faults) => write!(f, "events that are not valid:\n    {faults}"),
        }
    }
}

impl<A> fmt::Display for Scenario<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scenario of {} at version {}", type_name::<A>(), self.version)
    }
}

/// An error with all of its sources.
fn told(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("text takes text");
        source = cause.source();
    }
    text
}
