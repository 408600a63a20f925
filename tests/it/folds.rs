//! States of whoever does not know what folds them: the tool's, and those of a check of a whole log.

use super::support::{add, name};
use scorebook::testing::fixture;
use scorebook::{
    Aggregate, ErrorKind, Event, EventContext, EventStore, Fold, NewEvent, Position, Registry, StreamName,
};
use serde::Serialize;
use std::cell::RefCell;

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        Up(u32) = "counted_up", 1;
    }
}

/// What has come to a counter. Of a stream whose name ends so it cannot even begin; and it does not count beyond a hundred.
#[derive(Clone, Debug, Serialize)]
struct Counter {
    sum: u32,
}

impl Aggregate for Counter {
    type Event = Counted;
    type Command = u32;
    type Refusal = String;

    fn new(stream: &StreamName) -> Counter {
        assert!(!stream.as_str().ends_with("-bad"), "no number in {stream}");
        Counter { sum: 0 }
    }

    fn decide(&self, up: &u32) -> Result<Vec<Counted>, String> {
        Ok(vec![Counted::Up(*up)])
    }

    fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
        self.sum += up;
        assert!(self.sum <= 100, "the sum is {}", self.sum);
    }
}

fn up(number: u32) -> NewEvent {
    Counted::Up(number).encode().expect("JSON")
}

fn registry() -> Registry {
    Registry::builder().aggregate::<Counter>("counter").build().expect("a registry")
}

fn folded(store: &EventStore, fold: &mut Fold<'_>, stream: &str) -> Result<(), ErrorKind> {
    store.read(&name(stream)).into_iter().try_for_each(|event| {
        let event = event.expect("an event");
        fold.apply(&event).map_err(|error| error.kind())
    })
}

#[test]
fn a_stream_whose_beginning_is_removed_has_no_state_that_could_be_wrong() {
    let store = EventStore::open_in_memory().expect("a store");
    (1..=3).for_each(|number| {
        add(&store, &name("counter-1"), [up(number)]);
    });
    let slice = fixture(&store.read_all().after(Position::new(1))).expect("a slice");
    let load = slice.aggregate::<Counter>(&name("counter-1")).load().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(load, Err(ErrorKind::BelowFloor));
    let registry = registry();
    let mut fold = registry.fold(&name("counter-1")).expect("the category is known");
    assert_eq!(folded(&slice, &mut fold, "counter-1"), Err(ErrorKind::BelowFloor));
    let report = registry.check(&slice).expect("it can be read");
    let failures: Vec<u64> = report.failures().map(|failure| failure.position().get()).collect();
    assert_eq!(failures, [2], "{report}");
}

#[test]
fn an_aggregate_that_panics_is_an_error_of_its_stream_alone() {
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("counter-bad"), [up(1)]);
    add(&store, &name("counter-large"), [up(60), up(50), up(1)]);
    add(&store, &name("counter-2"), [up(7)]);
    let registry = registry();
    for (stream, reached) in [("counter-bad", 0), ("counter-large", 1)] {
        let mut fold = registry.fold(&name(stream)).expect("the category is known");
        assert_eq!(folded(&store, &mut fold, stream), Err(ErrorKind::Decode), "{stream}");
        assert_eq!(fold.version().get(), reached, "{stream}");
        // What it was half-way through is no state.
        assert_eq!(fold.json().map_err(|error| error.kind()), Err(ErrorKind::Decode), "{stream}");
    }
    let report = registry.check(&store).expect("it can be read");
    let failures: Vec<(u64, String)> =
        report.failures().map(|failure| (failure.position().get(), format!("{:?}", failure.error()))).collect();
    assert_eq!(failures.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 3], "{failures:?}");
    assert!(failures[0].1.contains("no number in counter-bad"), "{failures:?}");
    assert!(failures[1].1.contains("the sum is 110"), "{failures:?}");
}

#[test]
fn a_type_in_a_schema_that_nothing_leads_on_from_fails_a_check() {
    let store = EventStore::open_in_memory().expect("a store");
    let drawn = NewEvent::json("drawn", &1).expect("JSON");
    add(&store, &name("other-1"), [up(1).schema(9), drawn]);
    let report = registry().check(&store).expect("it can be read");
    let failures: Vec<String> = report.failures().map(|failure| failure.error().to_string()).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("`counted_up` (schema 9) at position 1"), "{failures:?}");
    // Of the other type nothing is known at all, which is nobody's fault.
    let unknown: Vec<u64> = report.unknown().map(|shape| shape.failed()).collect();
    assert_eq!(unknown, [1, 0]);
}

thread_local! {
    static STORE: RefCell<Option<EventStore>> = const { RefCell::new(None) };
}

/// Adds an event to its stream when it is asked to fold it.
#[derive(Clone, Debug, Serialize)]
struct Meddler;

impl Aggregate for Meddler {
    type Event = Counted;
    type Command = ();
    type Refusal = ();

    fn new(_: &StreamName) -> Meddler {
        if let Some(store) = STORE.take() {
            add(&store, &name("meddler-1"), [up(77)]);
        }
        Meddler
    }

    fn decide(&self, _: &()) -> Result<Vec<Counted>, ()> {
        Ok(Vec::new())
    }

    fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
        assert!(*up != 77, "what came later");
    }
}

#[test]
fn what_comes_while_a_check_runs_is_not_looked_at() {
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("meddler-1"), [up(1)]);
    STORE.set(Some(store.clone()));
    let registry = Registry::builder().aggregate::<Meddler>("meddler").build().expect("a registry");
    let report = registry.check(&store).expect("it can be read");
    assert!(report.is_sound(), "{:?}", report.failures().collect::<Vec<_>>());
    assert_eq!((report.events(), store.head().expect("a head").get()), (1, 2));
}
