//! The kit that others test with: scenarios, slices of logs, clocks, ids and waiting.

use super::aggregates::{Put, Till, TillCommand, TillEvent, TillRefusal, put, till};
use super::support::{add, check_says, name, read};
use crate::model::seed;
use scorebook::testing::{ManualClock, ManualIds, SimulatedDisk, fixture, scenario, scenario_in, wait_until};
use scorebook::{
    Aggregate, ErrorKind, EventContext, EventStore, ExecuteError, NewEvent, Position, Query, RecordedEvent, Registry,
    StreamName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn event(by: u64, amount: u64) -> TillEvent {
    TillEvent::Put(Put { by, amount })
}

/// What a scenario says when it fails.
fn complaint(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("it does not hold");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn a_scenario_that_holds_goes_on() {
    let refusal = TillRefusal::NotEnough { there: 7 };
    scenario::<Till>()
        .given([event(1, 3)])
        .given([event(2, 4)])
        .when(TillCommand::Take { by: 1, amount: 8 })
        .then_refused(refusal)
        .then_state(|till| assert_eq!(till.sum, 7))
        .when(TillCommand::Round)
        .then([event(0, 3)])
        .when(TillCommand::Round)
        .then_nothing()
        .when(put(666, 1_000_001))
        .then_invalid(&["amount", "by"])
        .then_state(|till| assert_eq!(till.sum, 10, "what is not valid does not happen"));
}

#[test]
fn a_scenario_that_does_not_hold_says_what_was_expected_and_found() {
    let begun = || scenario::<Till>().given([event(1, 3), event(1, 4)]);
    let head = "scenario of it::aggregates::Till behind version 2\n";
    let said = complaint(|| drop(begun().when(put(1, 5)).then([event(1, 6), event(1, 7)])));
    let events = "expected 2 events:\n    Put(Put { by: 1, amount: 6 })\n    Put(Put { by: 1, amount: 7 })\n";
    assert_eq!(said, format!("{head}{events}found    1 event:\n    Put(Put {{ by: 1, amount: 5 }})"));
    let said = complaint(|| drop(begun().when(TillCommand::Take { by: 1, amount: 8 }).then_nothing()));
    assert_eq!(said, format!("{head}expected nothing to follow\nfound    a refusal:\n    NotEnough {{ there: 7 }}"));
    let said = complaint(|| drop(begun().when(put(666, 5)).then_refused(TillRefusal::NotEnough { there: 7 })));
    let invalid = "found    events that are not valid:\n    `by` is not let in";
    assert_eq!(said, format!("{head}expected a refusal:\n    NotEnough {{ there: 7 }}\n{invalid}"));
    let said = complaint(|| drop(begun().when(put(666, 5)).then_invalid(&["amount"])));
    assert_eq!(said, format!("{head}expected events that are not valid:\n    rules about amount\n{invalid}"));
}

/// A payload that does not come back as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lossy {
    kept: u32,
    #[serde(skip)]
    forgotten: u32,
}

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum LossyEvent {
        Happened(Lossy) = "happened", 1;
    }
}

/// Keeps what it was told, and when.
#[derive(Clone)]
struct Diary {
    of: String,
    seen: Vec<(Lossy, Version, Position, Timestamp)>,
}

impl Aggregate for Diary {
    type Event = LossyEvent;
    type Command = Lossy;
    type Refusal = ();

    fn new(stream: &StreamName) -> Diary {
        Diary { of: stream.to_string(), seen: Vec::new() }
    }

    fn decide(&self, command: &Lossy) -> Result<Vec<LossyEvent>, ()> {
        Ok(vec![command.clone().into()])
    }

    fn apply(&mut self, LossyEvent::Happened(event): &LossyEvent, context: &EventContext<'_>) {
        assert!(context.metadata().is_ok_and(|metadata| metadata.actor().is_none()));
        self.seen.push((event.clone(), context.version(), context.position(), context.time()));
    }
}

#[test]
fn a_scenario_and_a_store_show_what_does_not_survive_being_written_down() {
    let lossy = |forgotten| Lossy { kept: 1, forgotten };
    let said = complaint(|| drop(scenario::<Diary>().when(lossy(7)).then([lossy(7).into()])));
    assert!(said.ends_with("found    1 event:\n    Happened(Lossy { kept: 1, forgotten: 0 })"), "{said}");
    let store = EventStore::open_in_memory().expect("a store");
    let executed = store.aggregate::<Diary>(&name("diary-1")).execute(lossy(7)).wait().expect("appended");
    assert_eq!(executed.events(), [LossyEvent::Happened(lossy(0))]);
    assert_eq!(executed.state().map(|diary| diary.seen[0].0.clone()), Some(lossy(0)));
}

#[test]
fn a_scenario_has_a_stream_and_times_as_they_are_said() {
    let (first, second) = (Timestamp::from_nanos(7), Timestamp::from_nanos(9));
    let lossy = || Lossy { kept: 1, forgotten: 0 };
    scenario::<Diary>()
        .on(&name("diary-7"))
        .at(first)
        .given([lossy().into(), lossy().into()])
        .at(second)
        .when(lossy())
        .then([lossy().into()])
        .then_state(|diary| {
            let seen = diary.seen.iter().map(|(_, version, position, time)| (version.get(), position.get(), *time));
            assert_eq!(seen.collect::<Vec<_>>(), [(1, 1, first), (2, 2, first), (3, 3, second)]);
            assert_eq!(diary.of, "diary-7");
        });
}

/// All that an event says beside its payload, as the last one said it.
#[derive(Clone, Debug, PartialEq)]
struct Told(String);

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Dressed {
        Put(u64) = "dressed", 2;
    }
    dress = |Dressed::Put(number): &Dressed, new: NewEvent| {
        let new = new.occurred(Timestamp::from_nanos(*number as i64)).tag("number", number).tag("number", "second");
        new.actor("b\"ob").correlation("c").meta("list", &[number])
    };
}

impl Aggregate for Told {
    type Event = Dressed;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Told {
        Told(String::new())
    }

    fn decide(&self, number: &u64) -> Result<Vec<Dressed>, ()> {
        Ok(vec![Dressed::Put(*number)])
    }

    fn apply(&mut self, Dressed::Put(number): &Dressed, context: &EventContext<'_>) {
        let metadata = context.metadata().expect("metadata");
        let who = (metadata.actor(), metadata.correlation(), metadata.causation());
        let list: Option<Vec<u64>> = metadata.get("list").expect("a list");
        let tags = (context.tag("number"), context.tag("none"));
        let at = (context.version(), context.occurred());
        self.0 = format!("{number} {at:?} {tags:?} {who:?} {list:?}");
    }
}

#[test]
fn a_scenario_shows_apply_what_a_store_shows_it() {
    let store = EventStore::open_in_memory().expect("a store");
    let told = store.aggregate::<Told>(&name("told-1"));
    let first = told.execute(7).wait().expect("appended").into_state().expect("a state");
    assert!(
        first.0.contains("Some(\"7\")") && first.0.contains("b\\\"ob") && first.0.contains("Some([7])"),
        "{}",
        first.0
    );
    let second = told.execute(8).wait().expect("appended").into_state().expect("a state");
    scenario::<Told>()
        .when(7)
        .then_state(|state| assert_eq!(*state, first))
        .when(8)
        .then_state(|state| assert_eq!(*state, second));
    scenario::<Told>().given([Dressed::Put(7)]).when(8).then_state(|state| assert_eq!(*state, second));
}

#[test]
fn a_scenario_in_a_registry_goes_by_its_rules_and_steps() {
    let registry = Registry::builder()
        .events::<Dressed>()
        .step(("dressed", 1), ("dressed", 2), |text: String| text.len() as u64)
        .validate_tag("number", |event, faults| {
            faults.require(event.decode::<u64>().is_ok_and(|number| number < 10), "number", "is too much");
        });
    let registry = registry.build().expect("a registry");
    let old = || NewEvent::json("dressed", "xxx").expect("JSON").tag("number", "old").actor("somebody");
    let begun = || scenario_in::<Told>(&registry).on(&name("told-1")).given_recorded([old()]);
    let store = EventStore::open_in_memory().expect("a store");
    store.use_registry(&registry);
    add(&store, &name("told-1"), [old()]);
    let told = store.aggregate::<Told>(&name("told-1"));
    let before = told.load().expect("a state").into_state();
    assert!(before.0.starts_with("3 (Version(1), None)") && before.0.contains("somebody"), "{}", before.0);
    begun().when(12).then_invalid(&["number"]).then_state(|state| assert_eq!(*state, before));
    let after = told.execute(4).wait().expect("appended").into_state().expect("a state");
    begun().when(4).then([Dressed::Put(4)]).then_state(|state| assert_eq!(*state, after));
    let said = complaint(|| drop(begun().given_recorded([NewEvent::bytes("painted", [])])));
    assert!(said.contains("`painted` (schema 1) at position 2") && said.contains("is not known"), "{said}");
    // Without the registry there is no step, and no rule.
    let said = complaint(|| drop(scenario::<Told>().given_recorded([old()])));
    assert!(said.contains("it knows schema 2"), "{said}");
    scenario::<Told>().when(12).then([Dressed::Put(12)]).then_state(|state| assert!(state.0.starts_with("12 ")));
}

/// All that can be asked of an event.
fn all_of(event: &RecordedEvent) -> impl PartialEq + std::fmt::Debug {
    let tags: Vec<(String, String)> = event.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let numbers = (event.position(), event.version(), event.time(), event.occurred(), event.id(), event.schema());
    let metadata = event.metadata().expect("metadata");
    let mut said: Vec<(String, String)> =
        metadata.others().map(|(key, json)| (key.to_owned(), json.to_owned())).collect();
    said.extend(metadata.correlation().map(|text| ("correlation".to_owned(), text.to_owned())));
    said.extend(metadata.causation().map(|text| ("causation".to_owned(), text.to_owned())));
    said.extend(metadata.actor().map(|text| ("actor".to_owned(), text.to_owned())));
    let content = (event.stream().to_owned(), event.event_type().to_owned(), event.codec(), event.data().to_vec());
    (numbers, tags, said, content)
}

#[test]
fn a_slice_of_a_log_is_a_store_with_everything_as_it_was() {
    let disk = SimulatedDisk::new(7);
    let bot = EventStore::options().open_simulated(&disk).expect("a store");
    for number in 0..30 {
        disk.advance(Duration::from_secs(1));
        let stream = format!("till-{}", number % 3);
        till(&bot, &stream).execute(put(number, number)).once(format!("k{number}")).actor(7).wait().expect("appended");
        let noise = NewEvent::bytes("noise", vec![number as u8; 9]).occurred(Timestamp::from_nanos(7)).tag("n", number);
        add(&bot, &name("noise"), [noise.meta("list", &[1.5, 2.0]).meta("text", "a\"b").correlation("c")]);
    }
    let slices = [
        bot.read_all(),
        bot.read_all().matching(Query::all().in_stream(&name("till-1"))),
        bot.read_all().from(Position::new(11)).to(Position::new(40)).matching(Query::all().in_category("noise")),
        bot.read_all().limit(0),
    ];
    for slice in &slices {
        let store = fixture(slice).expect("a slice");
        let (found, expected) = (read(store.read_all()), read(slice.clone()));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(all_of(found), all_of(expected));
        }
    }
    // It can be folded, and gone on with.
    let store = fixture(&slices[1]).expect("a slice");
    let (here, there) = (till(&store, "till-1"), till(&bot, "till-1"));
    assert_eq!(here.load().expect("a state").into_state(), there.load().expect("a state").into_state());
    assert_eq!(here.execute(put(1, 1)).wait().expect("appended").version(), Version::new(11));
    let backwards = fixture(&bot.read_all().backwards()).expect_err("not that way round");
    assert_eq!(backwards.kind(), ErrorKind::InvalidArgument);
    match till(&fixture(&slices[2]).expect("a slice"), "noise").execute(put(1, 1)).wait() {
        Err(ExecuteError::Store(error)) => check_says(&error, ErrorKind::BelowFloor, &["noise"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manual_clock_and_manual_ids_do_as_they_are_told() {
    let clock = ManualClock::at(Timestamp::from_nanos(5));
    clock.clone().advance(Duration::from_nanos(7));
    assert_eq!(clock.now(), Timestamp::from_nanos(12));
    clock.set(Timestamp::from_nanos(i64::MAX));
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::from_nanos(i64::MAX));
    clock.set(Timestamp::from_nanos(-5));
    assert_eq!(format!("{clock:?}"), "clock that shows -0.000000005 s");

    let ids = ManualIds::new(u64::MAX);
    let first: Vec<String> = (0..3).map(|_| ids.id().to_string()).collect();
    assert!(first.iter().all(|id| id.as_bytes()[14] == b'4'), "{first:?}");
    assert_eq!(ids.clone().number(), 4);
}

#[test]
fn ids_of_two_seeds_differ_whichever_bit_the_seeds_differ_in() {
    let seeds = (0..u64::BITS).map(|bit| 1 << bit).chain([0, u64::MAX]);
    let ids: Vec<String> = seeds.map(|seed: u64| ManualIds::new(seed).id().to_string()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:#?}");
    // Version 4, and the variant that goes with it.
    let is_in_form = |id: &String| id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]);
    assert!(ids.iter().all(is_in_form), "{ids:#?}");
}

#[test]
fn a_disk_that_follows_a_clock_shows_its_time_however_often_it_was_looked_at() {
    let second = Duration::from_secs(1);
    let (clock, disk) = (ManualClock::at(Timestamp::from_nanos(1_000)), SimulatedDisk::new(seed()));
    clock.drive(&disk);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let time = || add(&store, &name("s"), [NewEvent::bytes("b", [])]).time();
    // Each look lets the disk go on by itself, and the clock knows nothing of that.
    for _ in 0..50 {
        time();
    }
    for _ in 0..3 {
        clock.advance(second);
        let late = time().since(clock.now());
        assert!(late < Duration::from_micros(30), "the disk is {late:?} ahead of the clock");
        clock.advance(second);
        clock.set(clock.now());
        assert!(time().since(clock.now()) < Duration::from_micros(30));
    }
}

#[test]
fn waiting_ends_when_it_is_so_or_the_time_is_over() {
    let mut looks = 0;
    assert!(wait_until(Duration::from_secs(30), || {
        looks += 1;
        looks == 3
    }));
    assert_eq!(looks, 3);
    assert!(wait_until(Duration::ZERO, || true));
    assert!(!wait_until(Duration::from_millis(2), || false));
}
