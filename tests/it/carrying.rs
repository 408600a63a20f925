//! States that streams carry in the log: what is folded goes on from them, whatever becomes of the events and the files.

use super::support::{
    Home, add, check_says, everywhere, kilobyte, name, small_segments, trouble, versions, wherever_it_lasts,
};
use crate::model::{Chance, Choices, forget_derived, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{
    CrashChoice, SimulatedDisk, backup_simulated, restore_simulated, salvage_simulated, verify_simulated,
};
use scorebook::{
    Aggregate, CarriedState, Carrying, Error, ErrorKind, Event, EventContext, EventStore, Loaded, NewEvent, NewState,
    OnFloor, Position, Registry, Scope, SnapshotOutcome, Snapshots, StreamName, Timestamp, Until, Version,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::time::Duration;

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        Up(u64) = "counted_up", 1;
    }
}

type Said = fn() -> Option<Carrying<Counter>>;

thread_local! {
    /// What the counter says of how it is carried.
    static SAID: Cell<Said> = const { Cell::new(|| Some(Carrying::json("counter", 1))) };
    static SNAPSHOTS: Cell<fn() -> Option<Snapshots<Counter>>> = const { Cell::new(|| None) };
    static FLOOR: Cell<OnFloor> = const { Cell::new(OnFloor::Fail) };
}

/// What has come to a counter; its trail is another one for every other sequence of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counter {
    sum: u64,
    trail: u64,
}

impl Aggregate for Counter {
    type Event = Counted;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Counter {
        Counter { sum: 0, trail: 0 }
    }

    fn decide(&self, up: &u64) -> Result<Vec<Counted>, ()> {
        Ok(vec![Counted::Up(*up)])
    }

    fn apply(&mut self, Counted::Up(up): &Counted, context: &EventContext<'_>) {
        self.sum += up;
        self.trail = self.trail.wrapping_mul(31).wrapping_add(*up ^ context.version().get() << 7);
    }

    fn snapshots() -> Option<Snapshots<Counter>> {
        SNAPSHOTS.get()()
    }

    fn carrying() -> Option<Carrying<Counter>> {
        SAID.get()()
    }

    fn on_floor() -> OnFloor {
        FLOOR.get()
    }
}

fn version(number: u64) -> Version {
    Version::new(number)
}

fn up(number: u64) -> NewEvent {
    Counted::Up(number).encode().expect("JSON")
}

fn ups(store: &EventStore, stream: &str, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| {
        add(store, &name(stream), [up(number)]);
    });
}

/// What a counter is behind events that say these numbers, from version 1 on.
fn folded(numbers: std::ops::Range<u64>) -> Counter {
    let mut counter = Counter { sum: 0, trail: 0 };
    for (version, number) in (1..).zip(numbers) {
        let context = EventContext::new(Version::new(version), Position::new(version), Timestamp::EPOCH);
        counter.apply(&Counted::Up(number), &context);
    }
    counter
}

fn load(store: &EventStore, stream: &str) -> Result<(u64, Counter), Error> {
    let loaded = store.aggregate::<Counter>(&name(stream)).load()?;
    Ok((loaded.version().get(), loaded.into_state()))
}

fn at(store: &EventStore, stream: &str, at: u64) -> Result<Counter, ErrorKind> {
    let state = store.aggregate::<Counter>(&name(stream)).state_at(version(at));
    state.map(Loaded::into_state).map_err(|error| error.kind())
}

fn condense(store: &EventStore, stream: &str, at: u64) {
    let counter = store.aggregate::<Counter>(&name(stream));
    let loaded = counter.state_at(version(at)).expect("it was there");
    counter.condense(&loaded).wait().expect("it is condensed");
}

fn compact(store: &EventStore) -> u64 {
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    plan.apply().expect("it is done").events_removed()
}

/// Ends the segment that is written to.
fn roll(store: &EventStore) {
    (0..40).for_each(|number| {
        add(store, &name("filling"), [kilobyte(number)]);
    });
}

fn carried(store: &EventStore, stream: &str) -> Option<CarriedState> {
    store.carried_state(&name(stream)).expect("it can be read")
}

#[test]
fn a_condensed_stream_is_folded_from_the_state_it_begins_with() {
    everywhere(|home| {
        let mut store = home.open_with(&small_segments());
        ups(&store, "counter-1", 0..9);
        condense(&store, "counter-1", 6);
        for round in 0..4 {
            assert_eq!(versions(store.read(&name("counter-1"))), [7, 8, 9], "{round}");
            assert_eq!(load(&store, "counter-1").expect("a state"), (9, folded(0..9)), "{round}");
            let known: Vec<_> = (0..=9).map(|version| at(&store, "counter-1", version)).collect();
            let below = vec![Err(ErrorKind::BelowFloor); 5];
            let expected: Vec<_> = std::iter::once(Ok(folded(0..0))).chain(below).collect();
            assert_eq!(known[..6], expected, "{round}");
            assert_eq!(known[6..], [folded(0..6), folded(0..7), folded(0..8), folded(0..9)].map(Ok), "{round}");
            let state = carried(&store, "counter-1").expect("it begins with one");
            assert_eq!((state.fold(), state.schema(), state.version().get()), ("counter", 1, 6));
            assert_eq!(state.decode::<Counter>().expect("a counter"), folded(0..6));
            assert_eq!(state.position(), Position::new(6));
            match round {
                0 => roll(&store),
                // The events before it go, and it itself stands elsewhere.
                1 => {
                    assert_eq!(compact(&store), 6);
                    assert_eq!(carried(&store, "counter-1").map(|state| state.version().get()), Some(6));
                }
                _ => {}
            }
            store = home.reopen(store, &small_segments());
        }
        let executed = store.aggregate::<Counter>(&name("counter-1")).execute(9).wait().expect("nothing is refused");
        assert_eq!(executed.state(), Some(&folded(0..10)));
        condense(&store, "counter-1", 10);
        assert_eq!(load(&store, "counter-1").expect("a state"), (10, folded(0..10)), "nothing is left to read");
        let store = home.reopen(store, &small_segments());
        assert_eq!(load(&store, "counter-1").expect("a state"), (10, folded(0..10)));
        let executed = store.aggregate::<Counter>(&name("counter-1")).execute(10).wait().expect("nothing is refused");
        assert_eq!(executed.state(), Some(&folded(0..11)));
        assert_eq!(load(&store, "counter-1").expect("a state"), (11, folded(0..11)));
    });
}

#[test]
fn the_newest_state_counts_and_none_where_the_stream_is_truncated_further_without_one() {
    everywhere(|home| {
        let store = home.open();
        let stream = name("counter-1");
        ups(&store, "counter-1", 0..9);
        condense(&store, "counter-1", 3);
        condense(&store, "counter-1", 5);
        assert_eq!(carried(&store, "counter-1").map(|state| state.version().get()), Some(5));
        for first in [2, 6] {
            store.truncate_before(&stream, version(first)).wait().expect("nothing changes");
        }
        let store = home.reopen(store, &small_segments());
        assert_eq!(load(&store, "counter-1").expect("a state"), (9, folded(0..9)));
        let counter = store.aggregate::<Counter>(&stream);
        let late = NewState::json("counter", version(4), &folded(0..4)).expect("JSON");
        check_says(&trouble(store.truncate_carrying(&stream, late).wait()), ErrorKind::BelowFloor, &["version 6"]);
        // Another one takes the place of the one it begins with.
        let other = NewState::json("counter", version(5), &Counter { sum: 1, trail: 1 }).expect("JSON");
        store.truncate_carrying(&stream, other).wait().expect("it is the last version before it begins");
        assert_eq!(carried(&store, "counter-1").expect("a state").position(), Position::new(5));
        assert_eq!(counter.state_at(version(5)).expect("a state").state(), &Counter { sum: 1, trail: 1 });
        store.truncate_before(&stream, version(8)).wait().expect("it begins later");
        drop(counter);
        let store = home.reopen(store, &small_segments());
        assert!(carried(&store, "counter-1").is_none());
        if !matches!(home, Home::Memory) {
            let error = load(&store, "counter-1").expect_err("nobody knows the rest");
            check_says(&error, ErrorKind::BelowFloor, &["stream counter-1", "begins with version 8"]);
        }
        let empty = name("counter-2");
        ups(&store, "counter-2", 0..4);
        store.truncate_before(&empty, version(5)).wait().expect("all of it");
        let error = store.aggregate::<Counter>(&empty).load().expect_err("nobody knows what was there");
        check_says(&error, ErrorKind::BelowFloor, &["begins with version 5"]);
        let past = store.aggregate::<Counter>(&empty).state_at(Timestamp::EPOCH).expect_err("nor then");
        assert_eq!(past.kind(), ErrorKind::BelowFloor);
    });
}

#[test]
fn a_state_at_a_time_is_known_from_the_last_event_in_what_is_carried_on() {
    let disk = SimulatedDisk::new(seed());
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let stream = name("counter-1");
    let times: Vec<Timestamp> = (0..6)
        .map(|number| {
            disk.advance(Duration::from_secs(10));
            add(&store, &stream, [up(number)]).time()
        })
        .collect();
    condense(&store, "counter-1", 3);
    let later = |time: Timestamp, nanos: i64| Timestamp::from_nanos(time.nanos() + nanos);
    for _ in 0..2 {
        let store = small_segments().open_simulated(&disk.kill()).expect("it opens");
        let counter = store.aggregate::<Counter>(&stream);
        let state = |time| counter.state_at(time).map(Loaded::into_state).map_err(|error| error.kind());
        assert_eq!(state(later(times[2], -1)), Err(ErrorKind::BelowFloor));
        assert_eq!(state(times[2]), Ok(folded(0..3)));
        assert_eq!(state(later(times[3], -1)), Ok(folded(0..3)));
        assert_eq!(state(times[4]), Ok(folded(0..5)));
        assert_eq!(state(later(times[5], 1)), Ok(folded(0..6)));
    }
    // Without a state nobody knows what was there before the first event that is left.
    store.truncate_before(&stream, version(6)).wait().expect("it begins later");
    let store = small_segments().open_simulated(&disk.kill()).expect("it opens");
    let error = store.aggregate::<Counter>(&stream).state_at(times[4]).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::BelowFloor);
}

#[test]
fn a_state_of_another_fold_or_schema_is_refused_by_name_or_led_on() {
    let disk = SimulatedDisk::new(seed());
    let store = small_segments().open_simulated(&disk).expect("it opens");
    ups(&store, "counter-1", 0..5);
    ups(&store, "counter-2", 0..5);
    condense(&store, "counter-1", 3);
    let old = NewState::json("counter", version(3), &3).expect("JSON").schema(7);
    store.truncate_carrying(&name("counter-2"), old).wait().expect("it is carried");
    let opened = || small_segments().open_simulated(&disk.kill()).expect("it opens");
    SAID.set(|| None);
    check_says(
        &load(&opened(), "counter-1").expect_err("none"),
        ErrorKind::BelowFloor,
        &["`counter` (schema 1)", "Counter"],
    );
    SAID.set(|| Some(Carrying::json("sums", 1)));
    check_says(
        &load(&opened(), "counter-1").expect_err("none"),
        ErrorKind::BelowFloor,
        &["`counter` (schema 1)", "Counter"],
    );
    SAID.set(|| Some(Carrying::json("counter", 2)));
    check_says(
        &load(&opened(), "counter-1").expect_err("none"),
        ErrorKind::BelowFloor,
        &["`counter` in schema 1", "Counter"],
    );
    FLOOR.set(OnFloor::Begin);
    let error = load(&opened(), "counter-1").expect_err("its own state is not passed over");
    assert_eq!(error.kind(), ErrorKind::BelowFloor);
    SAID.set(|| Some(Carrying::json("sums", 2)));
    let mut rest = Counter { sum: 0, trail: 0 };
    for (number, at) in [(3, 4), (4, 5)] {
        let context = EventContext::new(version(at), Position::new(at), Timestamp::EPOCH);
        rest.apply(&Counted::Up(number), &context);
    }
    assert_eq!(load(&opened(), "counter-1").expect("it begins anywhere"), (5, rest));
    FLOOR.set(OnFloor::Fail);
    SAID.set(|| {
        let carrying = Carrying::json("counter", 2).upcast(1, |old: Counter| old);
        Some(carrying.upcast(7, |sum: u64| Counter { sum, trail: folded(0..3).trail }))
    });
    assert_eq!(load(&opened(), "counter-1").expect("a step leads on"), (5, folded(0..5)));
    assert_eq!(load(&opened(), "counter-2").expect("a step leads on"), (5, folded(0..5)));
    // What was read in an old schema can be carried in the new one.
    condense(&store, "counter-2", 3);
    assert_eq!(carried(&opened(), "counter-2").map(|state| (state.schema(), state.version().get())), Some((2, 3)));
    let wrong = NewState::json("counter", version(3), "no counter").expect("JSON").schema(2);
    store.truncate_carrying(&name("counter-2"), wrong).wait().expect("nobody looks into it");
    check_says(&load(&opened(), "counter-2").expect_err("no counter"), ErrorKind::Decode, &["counter-2"]);
    let bytes = NewState::bytes("counter", version(3), [1, 2, 3]).schema(2);
    store.truncate_carrying(&name("counter-2"), bytes).wait().expect("nobody looks into it");
    assert_eq!(load(&opened(), "counter-2").expect_err("no JSON").kind(), ErrorKind::BelowFloor);
}

#[test]
fn what_can_be_no_state_of_a_stream_is_refused_and_nothing_changes() {
    everywhere(|home| {
        let store = home.open();
        let stream = name("counter-1");
        ups(&store, "counter-1", 0..5);
        let before = store.head().expect("a head");
        let refused = |state: NewState| trouble(store.truncate_carrying(&stream, state).wait());
        let state = |at: u64| NewState::bytes("counter", version(at), "state");
        check_says(&refused(state(0)), ErrorKind::EventNotFound, &["version 0"]);
        check_says(&refused(state(6)), ErrorKind::EventNotFound, &["version 6"]);
        check_says(&refused(state(3).schema(0)), ErrorKind::InvalidArgument, &["schema"]);
        check_says(&refused(NewState::bytes("no name", version(3), "")), ErrorKind::InvalidName, &["`no name`"]);
        let large = |len: usize| NewState::bytes("counter", version(3), vec![b'x'; len]);
        let limit = 16 * 1024 * 1024;
        let rest = 64 + "counter-1".len() + "counter".len() + 32;
        check_says(&refused(large(limit - rest + 1)), ErrorKind::TooLarge, &["16777217 bytes", "16777216"]);
        let missing = store.truncate_carrying(&name("counter-2"), state(1)).wait();
        check_says(&trouble(missing), ErrorKind::StreamNotFound, &["counter-2"]);
        let both = store.batch().append(&stream, Any, [up(5)]).truncate_carrying(&stream, state(6)).commit();
        check_says(&trouble(both.wait()), ErrorKind::EventNotFound, &["version 6"]);
        let counter = store.aggregate::<Counter>(&stream);
        let nothing = counter.state_at(Version::NONE).expect("the beginning");
        check_says(&trouble(counter.condense(&nothing).wait()), ErrorKind::InvalidArgument, &["nothing is in"]);
        let loaded = counter.load().expect("a state");
        let other = store.aggregate::<Counter>(&name("counter-3"));
        ups(&store, "counter-3", 0..5);
        check_says(&trouble(other.condense(&loaded).wait()), ErrorKind::InvalidArgument, &["counter-3", "version 5"]);
        SAID.set(|| None);
        check_says(&trouble(counter.condense(&loaded).wait()), ErrorKind::InvalidArgument, &["does not say how"]);
        SAID.set(|| Some(Carrying::json("counter", 1)));
        assert_eq!(store.head().expect("a head").get(), before.get() + 5);
        assert_eq!(versions(store.read(&stream)), [1, 2, 3, 4, 5]);
        store.truncate_carrying(&stream, large(limit - rest)).wait().expect("as large as it may be");
        drop((counter, other));
        let store = home.reopen(store, &small_segments());
        assert_eq!(carried(&store, "counter-1").map(|state| state.data().len()), Some(limit - rest));
        store.batch().tombstone(&stream, Any, "").commit().wait().expect("it is finished");
        check_says(&trouble(store.truncate_carrying(&stream, state(4)).wait()), ErrorKind::Deleted, &["finished"]);
        assert_eq!(store.carried_state(&stream).map_err(|error| error.kind()).err(), Some(ErrorKind::Deleted));
    });
}

#[test]
fn a_state_with_what_was_deleted_is_none_until_that_is_undeleted() {
    everywhere(|home| {
        let store = home.open();
        let stream = name("counter-1");
        let delete = || store.delete(&stream, Any, "a mistake").wait().expect("it is deleted");
        ups(&store, "counter-1", 0..5);
        let loaded = store.aggregate::<Counter>(&stream).load().expect("a state");
        condense(&store, "counter-1", 3);
        delete();
        let error = load(&store, "counter-1").expect_err("it is deleted");
        assert_eq!(error.kind(), ErrorKind::Deleted);
        ups(&store, "counter-1", 5..8);
        assert!(carried(&store, "counter-1").is_none());
        assert_eq!(load(&store, "counter-1").expect_err("it begins later").kind(), ErrorKind::BelowFloor);
        let counter = store.aggregate::<Counter>(&stream);
        let late = trouble(counter.condense(&loaded).wait());
        check_says(&late, ErrorKind::InvalidArgument, &["not in the stream any more"]);
        drop(counter);
        store.undelete(&stream).wait().expect("it was deleted");
        assert_eq!(load(&store, "counter-1").expect("a state"), (8, folded(0..8)));
        delete();
        ups(&store, "counter-1", 8..10);
        let behind = NewState::json("counter", version(9), &folded(0..9)).expect("JSON");
        store.truncate_carrying(&stream, behind).wait().expect("it came behind");
        let store = home.reopen(store, &small_segments());
        assert_eq!(load(&store, "counter-1").expect("a state"), (10, folded(0..10)));
        assert_eq!(versions(store.read(&stream)), [10]);
    });
}

#[test]
fn snapshots_from_before_count_less_than_what_is_carried_and_later_ones_are_used() {
    wherever_it_lasts(|home| {
        SNAPSHOTS.set(|| Some(Snapshots::json(1).by_hand()));
        let store = home.open();
        let stream = name("counter-1");
        let snapshot = |store: &EventStore, at: u64| {
            let counter = store.aggregate::<Counter>(&stream);
            assert!(counter.save_snapshot(&counter.state_at(version(at)).expect("a state")).expect("it is saved"));
        };
        ups(&store, "counter-1", 0..5);
        snapshot(&store, 5);
        // What is carried is a fact, whatever was derived before.
        let other = Counter { sum: 1_000, trail: 7 };
        let state = NewState::json("counter", version(5), &other).expect("JSON");
        store.truncate_carrying(&stream, state).wait().expect("it is carried");
        let store = home.reopen(store, &small_segments());
        assert_eq!(load(&store, "counter-1").expect("a state"), (5, other));
        ups(&store, "counter-1", 5..9);
        snapshot(&store, 8);
        let store = home.reopen(store, &small_segments());
        let loaded = store.aggregate::<Counter>(&stream).load().expect("a state");
        assert_eq!((loaded.snapshot(), loaded.state().sum), (Some(version(8)), 1_026));
        let checks = store.aggregate::<Counter>(&stream).verify_snapshots().expect("they can be verified");
        let told: Vec<_> =
            checks.iter().map(|of| (of.snapshot().version().get(), of.outcome() == &SnapshotOutcome::Same)).collect();
        assert_eq!(told, [(8, true), (5, false)]);
        SNAPSHOTS.set(|| None);
    });
}

#[test]
fn a_fold_without_its_type_begins_as_the_stream_does() {
    everywhere(|home| {
        let store = home.open();
        ups(&store, "counter-1", 0..9);
        ups(&store, "counter-2", 0..4);
        ups(&store, "counter-3", 0..4);
        condense(&store, "counter-1", 6);
        store.truncate_before(&name("counter-2"), version(3)).wait().expect("it begins later");
        store.delete(&name("counter-3"), Any, "").wait().expect("it is deleted");
        let registry = Registry::builder().aggregate::<Counter>("counter").build().expect("a registry");
        let mut fold = registry.fold(&name("counter-1")).expect("it is known");
        fold.begin_in(&store).expect("it begins with a state");
        assert_eq!(fold.version(), version(6));
        for event in store.read(&name("counter-1")) {
            fold.apply(&event.expect("an event")).expect("it is the next");
        }
        assert_eq!(serde_json::from_str::<Counter>(&fold.json().expect("JSON")).expect("a counter"), folded(0..9));
        store.truncate_carrying(&name("counter-1"), fold.to_carry().expect("a state")).wait().expect("it is carried");
        assert_eq!(load(&store, "counter-1").expect("a state"), (9, folded(0..9)));
        let mut other = registry.fold(&name("counter-2")).expect("it is known");
        assert_eq!(other.begin_in(&store).map_err(|error| error.kind()), Err(ErrorKind::BelowFloor));
        let report = registry.check(&store).expect("it can be read");
        let failures: Vec<_> = report.failures().map(|of| (of.stream().to_string(), of.version().get())).collect();
        assert_eq!(failures, [("counter-2".to_owned(), 3)]);
        FLOOR.set(OnFloor::Begin);
        other.begin_in(&store).expect("it begins anywhere");
        assert_eq!(other.version(), version(2));
        assert!(registry.check(&store).expect("it can be read").is_sound());
        FLOOR.set(OnFloor::Fail);
        let wrong = NewState::json("counter", version(9), "no counter").expect("JSON");
        store.truncate_carrying(&name("counter-1"), wrong).wait().expect("it is carried");
        let report = registry.check(&store).expect("it can be read");
        let failures: Vec<_> = report.failures().map(|of| of.shape().to_string()).collect();
        assert_eq!(failures, ["`counter` (schema 1)", "`counted_up` (schema 1)"]);
    });
}

/// Streams some of which begin with a state, in segments that have ended, on a simulated disk.
fn condensed(disk: &SimulatedDisk) {
    let store = small_segments().open_simulated(disk).expect("it opens");
    for round in 0..3 {
        for stream in ["counter-1", "counter-2", "counter-3"] {
            ups(&store, stream, round * 8..round * 8 + 8);
            condense(&store, stream, round * 8 + 5);
        }
        roll(&store);
    }
    store.tombstone(&name("counter-3"), Any, "asked to be forgotten").wait().expect("it is finished");
    store.close().expect("it closes");
}

fn check_condensed(store: &EventStore, what: &str) {
    for stream in ["counter-1", "counter-2"] {
        assert_eq!(load(store, stream).expect(what), (24, folded(0..24)), "{what}");
        let first = versions(store.read(&name(stream)))[0];
        assert_eq!(first, 22, "{what}");
        assert_eq!(at(store, stream, 20), Err(ErrorKind::BelowFloor), "{what}");
        let state = carried(store, stream).expect(what);
        assert_eq!(state.decode::<Counter>().expect(what), folded(0..21), "{what}");
    }
    assert_eq!(load(store, "counter-3").expect_err(what).kind(), ErrorKind::Deleted, "{what}");
}

/// How often a text stands in the log.
fn count(disk: &SimulatedDisk, text: &str) -> usize {
    let logs = disk.contents().into_iter().filter(|(path, _)| path.ends_with(".log"));
    logs.map(|(_, bytes)| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()).sum()
}

#[test]
fn a_compaction_keeps_the_states_that_count_and_forgets_the_others() {
    let disk = SimulatedDisk::new(seed());
    condensed(&disk);
    let trails = |of: u64| format!("\"trail\":{}", folded(0..of).trail);
    assert_eq!([5, 13, 21].map(|of| count(&disk, &trails(of))), [3, 3, 3]);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.batch().hold(&Scope::Everything, "case 12").commit().wait().expect("it is held");
    compact(&store);
    assert_eq!(count(&disk, &trails(21)), 3, "also what is finished is held");
    store.batch().release(&Scope::Everything, "case 12").commit().wait().expect("it is held no more");
    roll(&store);
    assert!(0 < compact(&store));
    check_condensed(&store, "compacted");
    // Superseded ones are gone, and what is finished is forgotten.
    assert_eq!([5, 13, 21].map(|of| count(&disk, &trails(of))), [0, 0, 2]);
    let loaded = store.aggregate::<Counter>(&name("counter-1")).state_at(version(21)).expect("a state");
    let redacted = Counter { sum: loaded.state().sum, trail: 12_345 };
    let state = NewState::json("counter", version(21), &redacted).expect("JSON");
    disk.advance(Duration::from_secs(1));
    store.truncate_carrying(&name("counter-1"), state).wait().expect("it takes the place of the other");
    roll(&store);
    add(&store, &name("counter-2"), [up(24)]);
    condense(&store, "counter-2", 25);
    roll(&store);
    compact(&store);
    assert_eq!(
        carried(&store, "counter-1").map(|state| state.decode::<Counter>().expect("a counter")),
        Some(redacted.clone())
    );
    store.close().expect("it closes");
    assert_eq!(count(&disk, &trails(21)), 0, "what has another in its place is gone");
    for forgets in [false, true] {
        if forgets {
            forget_derived(&disk);
        }
        let store = small_segments().open_simulated(&disk).expect("it opens");
        assert_eq!(
            carried(&store, "counter-1").map(|state| state.decode::<Counter>().expect("a counter")),
            Some(redacted.clone())
        );
        assert_eq!(load(&store, "counter-2").expect("a state"), (25, folded(0..25)));
        drop(store);
        assert!(verify_simulated(&disk).expect("it can be read").is_sound());
    }
}

#[test]
fn wherever_the_power_goes_a_stream_begins_as_before_or_with_the_state() {
    let first = SimulatedDisk::new(seed());
    let store = small_segments().open_simulated(&first).expect("it opens");
    ups(&store, "counter-1", 0..9);
    condense(&store, "counter-1", 2);
    roll(&store);
    store.close().expect("it closes");
    let (mut stops, mut begins) = (0, std::collections::BTreeSet::new());
    for stop in 1.. {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        let mut acknowledged = 0;
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let counter = store.aggregate::<Counter>(&name("counter-1"));
            for at in [4, 6, 9] {
                let Ok(loaded) = counter.state_at(version(at)) else {
                    break;
                };
                acknowledged = if counter.condense(&loaded).wait().is_ok() {
                    at
                } else {
                    break;
                };
                if at == 6 {
                    roll_while(&store);
                    let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                }
            }
            std::mem::forget(store);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            let again = crashed.crash(&CrashChoice::KeepAll);
            again.stop_at(1 + stop * 7 % 40);
            if let Ok(store) = small_segments().open_simulated(&again) {
                let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                std::mem::forget(store);
            }
            for disk in [crashed, again.crash(&CrashChoice::Seeded(stop))] {
                let store = small_segments().open_simulated(&disk).expect("it opens");
                let what = format!("stopped at {stop}, {choice:?}");
                let state = store.carried_state(&name("counter-1")).unwrap_or_else(|error| panic!("{what}: {error}"));
                let state = state.expect(&what);
                let at = state.version().get();
                assert!([2, 4, 6, 9].contains(&at) && acknowledged <= at, "{what}: {at}, and not {acknowledged}");
                assert_eq!(state.decode::<Counter>().expect(&what), folded(0..at), "{what}");
                assert_eq!(load(&store, "counter-1").expect(&what), (9, folded(0..9)), "{what}");
                begins.insert(at);
                drop(store);
                assert!(verify_simulated(&disk).expect("it can be read").is_sound(), "{what}");
            }
        }
        stops = stop;
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(40 < stops, "only {stops} operations");
    assert_eq!(begins.into_iter().collect::<Vec<_>>(), [2, 4, 6, 9]);
}

/// Ends the segment that is written to, as far as that goes.
fn roll_while(store: &EventStore) {
    let _ = (0..40).try_for_each(|number| store.append(&name("filling"), Any, [kilobyte(number)]).wait().map(drop));
}

#[test]
fn a_flipped_state_is_damage_and_never_another_state() {
    for are_gone in [false, true] {
        let disk = SimulatedDisk::new(seed());
        let store = small_segments().open_simulated(&disk).expect("it opens");
        ups(&store, "counter-1", 0..9);
        condense(&store, "counter-1", 6);
        roll(&store);
        assert_eq!(are_gone, are_gone && 6 == compact(&store));
        store.close().expect("it closes");
        let contents = disk.contents();
        let needle = b"{\"sum\":15";
        let logs = contents.iter().filter(|(path, _)| path.ends_with(".log"));
        let mut found =
            logs.filter_map(|(path, bytes)| Some((path, bytes.windows(needle.len()).position(|at| at == needle)?)));
        let (path, begin) = found.next().expect("it is in the log");
        let end = begin + serde_json::to_vec(&folded(0..6)).expect("JSON").len();
        let mut refused = 0;
        // From the header of the record to its end.
        for byte in begin - 64 - 48..end {
            let flipped = disk.crash(&CrashChoice::KeepAll);
            flipped.flip_bit(path, byte as u64, (byte % 8) as u8);
            for forgets in [false, true] {
                if forgets {
                    forget_derived(&flipped);
                }
                let opened = [
                    small_segments().open_simulated(&flipped.crash(&CrashChoice::KeepAll)),
                    EventStore::options().open_simulated_read_only(&flipped),
                ];
                for store in opened {
                    match store.and_then(|store| load(&store, "counter-1")) {
                        // The events are still there, and may be read where it is not known that they were to go.
                        Ok(loaded) => assert!(!are_gone && loaded == (9, folded(0..9)), "byte {byte}: {loaded:?}"),
                        Err(error) => {
                            let kinds = [ErrorKind::Damaged, ErrorKind::TooNew, ErrorKind::Lost, ErrorKind::BelowFloor];
                            assert!(kinds.contains(&error.kind()), "byte {byte}: {error}");
                            refused += 1;
                        }
                    }
                }
            }
            assert!(!verify_simulated(&flipped).is_ok_and(|report| report.is_sound()), "byte {byte}");
        }
        assert!(250 < refused, "{refused}");
    }
}

#[test]
fn backups_restores_salvages_and_readers_know_of_it() {
    let (disk, backup) = (SimulatedDisk::new(seed()), SimulatedDisk::new(12));
    condensed(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let reader = EventStore::options().open_simulated_read_only(&disk).expect("it opens");
    check_condensed(&reader, "read beside the writer");
    backup_simulated(&store, &backup).expect("all of it");
    compact(&store);
    check_condensed(&reader, "read beside a compaction");
    add(&store, &name("counter-4"), [up(1)]);
    check_condensed(&reader, "read behind a compaction");
    assert_eq!(load(&reader, "counter-4").expect("a state").0, 1);
    store.flush().expect("flushed");
    backup_simulated(&store, &backup).expect("it goes on");
    for until in [Until::Everything, Until::Position(store.head().expect("a head"))] {
        let restored = SimulatedDisk::new(13);
        restore_simulated(&backup, &restored, until).expect("it is restored");
        let store = small_segments().open_simulated(&restored).expect("it opens");
        check_condensed(&store, "restored");
        compact(&store);
        check_condensed(&store, "restored and compacted");
    }
    store.close().expect("it closes");
    let salvaged = SimulatedDisk::new(14);
    salvage_simulated(&disk, &salvaged).expect("it is copied");
    check_condensed(&small_segments().open_simulated(&salvaged).expect("it opens"), "salvaged");
}

#[test]
fn whatever_becomes_of_streams_what_is_loaded_is_what_a_model_folds_them_to() {
    for round in 0..6 {
        let seed = seed() ^ round;
        let mut chance = Chance(seed);
        let disk = SimulatedDisk::new(seed);
        let mut store = small_segments().open_simulated(&disk).expect("it opens");
        // Of each stream: how many events, where it begins, and whether with a state.
        let mut streams = [(0_u64, 1_u64, true); 4];
        for step in 0..150 {
            let index = chance.below(4);
            let (stream, (events, first, has_state)) = (format!("counter-{index}"), &mut streams[index]);
            match chance.below(10) {
                0..=3 => {
                    let more = 1 + chance.below(4) as u64;
                    ups(&store, &stream, *events..*events + more);
                    *events += more;
                }
                4 | 5 if *has_state && *first <= *events => {
                    let at = *first + chance.below((*events - *first + 1) as usize) as u64;
                    condense(&store, &stream, at);
                    *first = at + 1;
                }
                6 if chance.below(4) == 0 && *events != 0 => {
                    let to = 1 + chance.below(*events as usize) as u64;
                    store.truncate_before(&name(&stream), version(to)).wait().expect("it begins later");
                    if *first < to {
                        (*first, *has_state) = (to, false);
                    }
                }
                7 => roll(&store),
                8 => drop(compact(&store)),
                9 => {
                    drop(store);
                    if chance.below(2) == 0 {
                        forget_derived(&disk);
                    }
                    store = small_segments().open_simulated(&disk).expect("it opens");
                }
                _ => {}
            }
            let copy = small_segments().open_simulated(&disk.kill()).expect("it opens");
            for (index, (events, first, has_state)) in streams.iter().enumerate() {
                let stream = format!("counter-{index}");
                let expected = if *has_state { Ok((*events, folded(0..*events))) } else { Err(ErrorKind::BelowFloor) };
                let loaded = load(&copy, &stream).map_err(|error| error.kind());
                assert_eq!(loaded, expected, "seed {seed}, step {step}, {stream}");
                let here = carried(&store, &stream).map(|state| state.version().get());
                let expected = (*has_state && *first != 1).then(|| *first - 1);
                assert_eq!(here, expected, "seed {seed}, step {step}, {stream}");
            }
        }
    }
}
