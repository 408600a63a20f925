//! Aggregates: states folded from streams, and commands that are decided over them.

use super::process::OtherProcess;
use super::support::{
    Home, add, block_on, check_says, eventually, everywhere, name, read, small_segments, wherever_it_lasts,
    wherever_threads_are,
};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::{Any, Exact};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, SyncFailure, fixture};
use scorebook::{
    Aggregate, AggregateStream, At, Conflict, Durability, ErrorKind, Event, EventContext, EventStore, EventTypes,
    ExecuteError, Executed, Faults, NewEvent, OnUnknown, Position, Query, Registry, StreamName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) by: u64,
    pub(crate) amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    by: u64,
    amount: u64,
}

scorebook::events! {
    /// What happens to a till.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum TillEvent {
        /// Something was put in.
        Put(Put) = "put", 2;
        /// Something was taken out.
        Taken(Taken) = "taken", 1, scorebook::Codec::Bincode;
    }
    history = history;
    dress = dress;
    validate = rules;
}

fn history(types: &mut EventTypes<TillEvent>) {
    types.step(("put", 1), ("put", 2), |amount: u64| Put { by: 0, amount });
    types.split(("put_twice", 1), &[("put", 1)], |amount: u64, out| {
        out.push("put", 1, &amount);
        out.push("put", 1, &amount);
    });
}

fn dress(event: &TillEvent, new: NewEvent) -> NewEvent {
    let (TillEvent::Put(Put { by, .. }) | TillEvent::Taken(Taken { by, .. })) = event;
    new.tag("player", by)
}

fn rules(event: &TillEvent, faults: &mut Faults) {
    let (TillEvent::Put(Put { by, amount }) | TillEvent::Taken(Taken { by, amount })) = event;
    faults.require(*amount <= 1_000_000, "amount", "must be at most a million");
    faults.require(*by != 666, "by", "is not let in");
}

/// What is in a till, and everything that made it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Till {
    stream: String,
    pub(crate) sum: u64,
    /// Who put how many times.
    puts: BTreeMap<u64, u64>,
    seen: Vec<(Version, Position, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TillCommand {
    Put {
        by: u64,
        amount: u64,
    },
    Take {
        by: u64,
        amount: u64,
    },
    /// Puts what makes it round, if it is not.
    Round,
    /// Both at once.
    Swap {
        put: u64,
        take: u64,
    },
}
use TillCommand::{Round, Swap, Take};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TillRefusal {
    NotEnough { there: u64 },
}

impl Aggregate for Till {
    type Event = TillEvent;
    type Command = TillCommand;
    type Refusal = TillRefusal;

    fn new(stream: &StreamName) -> Till {
        Till { stream: stream.to_string(), sum: 0, puts: BTreeMap::new(), seen: Vec::new() }
    }

    fn decide(&self, command: &TillCommand) -> Result<Vec<TillEvent>, TillRefusal> {
        let put = |by, amount| TillEvent::Put(Put { by, amount });
        let taken = |by, amount| TillEvent::Taken(Taken { by, amount });
        match *command {
            TillCommand::Put { by, amount } => Ok(vec![put(by, amount)]),
            Take { amount, .. } if self.sum < amount => Err(TillRefusal::NotEnough { there: self.sum }),
            Take { by, amount } => Ok(vec![taken(by, amount)]),
            Round if self.sum.is_multiple_of(10) => Ok(Vec::new()),
            Round => Ok(vec![put(0, 10 - self.sum % 10)]),
            Swap { put: amount, take } => Ok(vec![put(1, amount), taken(1, take)]),
        }
    }

    fn apply(&mut self, event: &TillEvent, context: &EventContext<'_>) {
        match event {
            TillEvent::Put(Put { by, amount }) => {
                self.sum += amount;
                *self.puts.entry(*by).or_default() += 1;
            }
            TillEvent::Taken(Taken { amount, .. }) => self.sum -= amount,
        }
        self.seen.push((context.version(), context.position(), context.time()));
    }
}

pub(crate) fn put(by: u64, amount: u64) -> TillCommand {
    TillCommand::Put { by, amount }
}

pub(crate) fn till(store: &EventStore, stream: &str) -> AggregateStream<Till> {
    store.aggregate(&name(stream))
}

/// The state, folded here from what is read.
fn folded(store: &EventStore, stream: &str, up_to: Option<Version>) -> Till {
    let registry = Registry::builder().events::<TillEvent>().build().expect("a registry");
    let mut till = Till::new(&name(stream));
    if !store.exists(&name(stream)).expect("an answer") {
        return till;
    }
    for recorded in read(store.read(&name(stream))) {
        if up_to.is_none_or(|version| recorded.version() <= version) {
            let events = registry.decode::<TillEvent>(&recorded).expect("it is known");
            events.for_each(|event| till.apply(&event, &EventContext::of(&recorded)));
        }
    }
    till
}

fn done(outcome: Result<Executed<Till>, ExecuteError<TillRefusal>>) -> Executed<Till> {
    outcome.expect("the command is executed")
}

fn trouble(outcome: Result<Executed<Till>, ExecuteError<TillRefusal>>) -> scorebook::Error {
    match outcome.expect_err("trouble") {
        ExecuteError::Store(error) => error,
        other => panic!("trouble, not {other:?}"),
    }
}

#[test]
fn a_command_is_decided_over_the_state_and_what_follows_is_appended() {
    everywhere(|home| {
        let store = home.open();
        let till = till(&store, "till-1");
        assert_eq!(till.load().expect("a state").version(), Version::NONE);
        assert_eq!(till.load().expect("a state").state(), &Till::new(&name("till-1")));
        let first = done(till.execute(put(1, 7)).wait());
        assert_eq!(first.events(), [TillEvent::Put(Put { by: 1, amount: 7 })]);
        assert_eq!((first.version(), first.state().expect("a state").sum), (Version::FIRST, 7));
        assert!(!first.is_repeat() && first.receipt().is_some_and(|receipt| receipt.is_new_stream()));
        let refusal = till.execute(Take { by: 1, amount: 8 }).wait().expect_err("refused");
        assert_eq!(refusal.refusal(), Some(&TillRefusal::NotEnough { there: 7 }));
        assert!(refusal.conflict().is_none());
        let swapped = done(till.execute(Swap { put: 10, take: 17 }).wait());
        assert_eq!((swapped.version(), swapped.events().len()), (Version::new(3), 2));
        let state = swapped.into_state().expect("a state");
        assert_eq!(state.sum, 0);
        assert_eq!(state.seen.iter().map(|(version, ..)| version.get()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(state, folded(&store, "till-1", None));
        assert_eq!(till.load().expect("a state").into_state(), state);
        assert_eq!(store.head().expect("a head").get(), 3);
    });
}

#[test]
fn where_nothing_follows_nothing_is_appended() {
    everywhere(|home| {
        let store = home.open();
        let till = till(&store, "till-1");
        let executed = done(till.execute(Round).once("key").wait());
        assert!(executed.receipt().is_none() && !executed.is_repeat());
        assert_eq!((executed.version(), executed.state().map(|till| till.sum)), (Version::NONE, Some(0)));
        assert_eq!(store.head().expect("a head"), Position::BEGINNING);
        // It left no key: when it comes again it is decided again.
        done(till.execute(put(1, 7)).wait());
        let executed = done(till.execute(Round).once("key").wait());
        assert_eq!(executed.state().map(|till| till.sum), Some(10));
        assert!(done(till.execute(Round).once("key").wait()).is_repeat());
    });
}

#[test]
fn events_that_break_rules_are_refused_with_all_that_is_wrong() {
    let store = EventStore::open_in_memory().expect("a store");
    let registry = Registry::builder().events::<TillEvent>();
    let registry = registry.validate_tag("player", |event, faults| {
        let actor = event.clone().actor("nobody");
        faults.require(actor.fault().is_none() && event.fault().is_none(), "player", "is at fault");
        faults.add_whole("no player is welcome today");
    });
    let till = till(&store, "till-1");
    let error = trouble(till.execute(put(666, 1_000_001)).wait());
    check_says(&error, ErrorKind::InvalidArgument, &["validating a `put`"]);
    let faults = error.source().and_then(|source| source.downcast_ref::<Faults>()).expect("all faults");
    assert_eq!(faults.to_string(), "`amount` must be at most a million; `by` is not let in");
    store.use_registry(&registry.build().expect("a registry"));
    let error = trouble(till.execute(Swap { put: 1, take: 1_000_001 }).wait());
    check_says(&error, ErrorKind::InvalidArgument, &["2 events"]);
    let said = error.source().expect("all faults").to_string();
    let welcome = "no player is welcome today";
    assert_eq!(said, format!("event 1: {welcome}; `2.amount` must be at most a million; event 2: {welcome}"));
    assert_eq!(store.head().expect("a head"), Position::BEGINNING, "nothing was appended");
}

/// An enum whose author has mixed something up.
#[derive(Debug)]
struct Unreadable(u64);

impl Event for Unreadable {
    fn describe(types: &mut EventTypes<Unreadable>) {
        types.variant("number", 1, scorebook::Codec::Json, Unreadable);
    }

    fn encode(&self) -> Result<NewEvent, scorebook::Error> {
        match self.0 {
            0 => NewEvent::json("number", "zero"),
            1 => NewEvent::json("nummer", &1),
            2 => Ok(NewEvent::json("number", &2)?.schema(2)),
            other => NewEvent::json("number", &other),
        }
    }
}

#[derive(Clone)]
struct Writer;

impl Aggregate for Writer {
    type Event = Unreadable;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Writer {
        Writer
    }

    fn decide(&self, command: &u64) -> Result<Vec<Unreadable>, ()> {
        Ok(vec![Unreadable(3), Unreadable(*command)])
    }

    fn apply(&mut self, _: &Unreadable, _: &EventContext<'_>) {}

    fn on_unknown() -> OnUnknown {
        OnUnknown::Skip
    }
}

#[test]
fn an_event_that_could_not_be_read_again_is_not_appended() {
    let store = EventStore::open_in_memory().expect("a store");
    let writer = store.aggregate::<Writer>(&name("writer-1"));
    for (number, says) in [(0, "`number` (schema 1)"), (1, "`nummer` (schema 1)"), (2, "`number` (schema 2)")] {
        match writer.execute(number).wait().expect_err("it cannot be read") {
            ExecuteError::Store(error) => check_says(&error, ErrorKind::Encode, &[says, "could not read again"]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
    assert_eq!(writer.execute(4).wait().expect("it can").version(), Version::new(2));
}

#[test]
fn what_an_enum_does_not_know_fails_or_is_skipped_as_the_aggregate_says() {
    everywhere(|home| {
        let store = home.open();
        done(till(&store, "till-1").execute(put(1, 7)).wait());
        add(
            &store,
            &name("till-1"),
            [NewEvent::bytes("painted", [7]), NewEvent::json("put", &7).expect("JSON").schema(9)],
        );
        let error = till(&store, "till-1").load().expect_err("a type that is not known");
        check_says(&error, ErrorKind::UnknownType, &["`painted` (schema 1)", "position 2"]);
        check_says(&trouble(till(&store, "till-1").execute(put(1, 7)).wait()), ErrorKind::UnknownType, &["position 2"]);
        let before = till(&store, "till-1").state_at(Version::FIRST).expect("it was known so far");
        assert_eq!(before.state().sum, 7);
        let skipping = store.aggregate::<Writer>(&name("till-1"));
        assert_eq!(skipping.load().expect("a state").version(), Version::new(3));
        assert_eq!(skipping.execute(4).wait().expect("appended").version(), Version::new(5));
    });
}

#[test]
fn older_schemas_are_led_on_when_a_stream_is_folded() {
    everywhere(|home| {
        let store = home.open();
        let old = |event_type, amount: u64| NewEvent::json(event_type, &amount).expect("JSON");
        add(&store, &name("till-1"), [old("put", 3), old("put_twice", 4)]);
        let executed = done(till(&store, "till-1").execute(put(1, 7)).wait());
        let state = executed.state().expect("a state");
        assert_eq!((state.sum, state.puts.get(&0), state.puts.get(&1)), (18, Some(&3), Some(&1)));
        assert_eq!(executed.version(), Version::new(3), "a version counts what was recorded");
        assert_eq!(state.seen.iter().map(|(version, ..)| version.get()).collect::<Vec<_>>(), [1, 2, 2, 3]);
        add(&store, &name("till-1"), [NewEvent::json("put", "three").expect("JSON")]);
        let error = till(&store, "till-1").load().expect_err("it is no number");
        check_says(&error, ErrorKind::Decode, &["`put` (schema 1)", "position 4"]);
    });
}

#[test]
fn a_repeated_key_never_decides_again_also_after_reopening() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let first = done(till(&store, "till-1").execute(put(1, 7)).once("key").wait());
        let check = |store: &EventStore| {
            // What the command is does not matter, nor where it goes, nor that nobody could read there.
            let commands = [("till-1", put(1, 7)), ("till-1", Take { by: 1, amount: 99 }), ("till-2", put(666, 1))];
            for (stream, command) in commands {
                let again = done(till(store, stream).execute(command.clone()).once("key").wait());
                assert!(again.is_repeat() && again.events().is_empty() && again.state().is_none());
                let (receipt, before) =
                    (again.receipt().expect("the first"), first.receipt().expect("it was appended"));
                assert_eq!(receipt.last_position(), before.last_position());
                assert_eq!(again.version(), if stream == "till-1" { Version::FIRST } else { Version::NONE });
                assert!(done(block_on(till(store, stream).execute(command).once("key").into_future())).is_repeat());
            }
        };
        check(&store);
        add(&store, &name("till-1"), [NewEvent::bytes("unknown", [])]);
        check(&store);
        assert_eq!(trouble(till(&store, "till-1").execute(put(1, 7)).wait()).kind(), ErrorKind::UnknownType);
        let store = home.reopen(store, &small_segments());
        check(&store);
        assert_eq!(store.head().expect("a head").get(), 2);
    });
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let store = EventStore::open_in_memory().expect("a store");
    for key in [String::new(), "k".repeat(129)] {
        let error = trouble(till(&store, "till-1").execute(put(1, 7)).once(key).wait());
        check_says(&error, ErrorKind::InvalidArgument, &["once", "1 to 128"]);
    }
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
}

#[test]
fn the_key_is_the_cause_unless_an_event_is_and_its_correlation_is_carried_along() {
    let store = EventStore::open_in_memory().expect("a store");
    let till = till(&store, "till-1");
    let metadata = |executed: &Executed<Till>| {
        let event = store.event(till.stream(), executed.version()).expect("an event");
        let metadata = event.metadata().expect("metadata");
        let said = |text: Option<&str>| text.map(str::to_owned);
        (event, [said(metadata.correlation()), said(metadata.causation()), said(metadata.actor())])
    };
    let some = |text: &str| Some(text.to_owned());
    let (_, said) = metadata(&done(till.execute(put(1, 1)).wait()));
    assert_eq!(said, [None, None, None]);
    let (first, said) = metadata(&done(till.execute(put(1, 1)).once("k1").correlation("session-7").actor(8812).wait()));
    assert_eq!(said, [some("session-7"), some("k1"), some("8812")]);
    let (second, said) = metadata(&done(till.execute(put(1, 1)).once("k2").caused_by(&first).wait()));
    assert_eq!(said, [some("session-7"), some(&first.id().to_string()), None]);
    let (_, said) = metadata(&done(till.execute(put(1, 1)).correlation("own").caused_by(&second).wait()));
    assert_eq!(said, [some("own"), some(&second.id().to_string()), None]);
    let alone = store.event(till.stream(), Version::FIRST).expect("an event");
    let (_, said) = metadata(&done(till.execute(put(1, 1)).caused_by(&alone).wait()));
    assert_eq!(said, [some(&alone.id().to_string()), some(&alone.id().to_string()), None]);
    let error = trouble(till.execute(put(1, 1)).actor("a".repeat(129)).wait());
    check_says(&error, ErrorKind::InvalidArgument, &["validating a `put`"]);
}

#[test]
fn a_command_that_was_executed_is_not_executed_again_when_it_is_polled_again() {
    let store = EventStore::open_in_memory().expect("a store");
    let till = till(&store, "till-1");
    let mut executing = pin!(till.execute(put(1, 7)).into_future());
    assert_eq!(done(block_on(executing.as_mut())).version(), Version::FIRST);
    assert_eq!(format!("{executing:?}"), "command that was executed");
    for _ in 0..3 {
        let again = trouble(block_on(executing.as_mut()));
        check_says(&again, ErrorKind::InvalidArgument, &["the answer to this command was taken before"]);
    }
    assert_eq!(store.head().expect("a head").get(), 1);
    // Nor is one that was refused decided again.
    let mut refused = pin!(till.execute(Take { by: 1, amount: 8 }).into_future());
    assert!(block_on(refused.as_mut()).expect_err("there is not enough").refusal().is_some());
    done(till.execute(put(1, 7)).wait());
    assert_eq!(trouble(block_on(refused.as_mut())).kind(), ErrorKind::InvalidArgument);
    assert_eq!(store.head().expect("a head").get(), 2);
}

#[test]
fn what_was_queued_is_appended_though_the_task_that_executes_it_is_let_go() {
    let home = Home::disk();
    let store = home.open();
    let till = till(&store, "till-1");
    // One that was never polled has decided nothing.
    drop(till.execute(put(1, 1)).into_future());
    let mut context = Context::from_waker(Waker::noop());
    let (mut expected, mut let_go) = (0, 0);
    for round in 1..=20 {
        let mut executing = till.execute(put(1, round)).once(format!("k{round}")).into_future();
        let_go += u32::from(Pin::new(&mut executing).poll(&mut context).is_pending());
        drop(executing);
        expected += round;
        eventually("what was queued is appended", || store.version(till.stream()).is_ok_and(|at| at.get() == round));
        assert_eq!(till.load().expect("a state").state().sum, expected);
        assert!(done(till.execute(put(1, round)).once(format!("k{round}")).wait()).is_repeat());
    }
    assert_eq!(store.head().expect("a head").get(), 20);
    assert!(let_go != 0, "each answer was there at once, so this shows nothing");
}

#[test]
fn an_execution_says_how_durable_it_is_to_be() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let till = till(&store, "till-1");
    // The first append of an opening is synced whatever it asks for.
    done(till.execute(put(1, 1)).wait());
    for durability in [Durability::Written, Durability::Synced] {
        let executed = done(till.execute(put(1, 1)).durability(durability).wait());
        assert_eq!(executed.receipt().map(|receipt| receipt.durability()), Some(durability));
    }
}

#[test]
fn nothing_is_executed_where_nothing_may_be_written() {
    wherever_it_lasts(|home| {
        let store = home.open();
        done(till(&store, "till-1").execute(put(1, 7)).once("key").wait());
        store.close().expect("closing");
        let reader = home.read_only().expect("a reader");
        assert_eq!(till(&reader, "till-1").load().expect("a state").state().sum, 7);
        assert_eq!(trouble(till(&reader, "till-1").execute(put(1, 1)).wait()).kind(), ErrorKind::ReadOnly);
        assert!(done(till(&reader, "till-1").execute(put(1, 1)).once("key").wait()).is_repeat());
        assert_eq!(trouble(till(&store, "till-1").execute(put(1, 1)).wait()).kind(), ErrorKind::Closed);
        assert_eq!(till(&store, "till-1").load().expect_err("it is closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn the_state_at_a_version_or_a_time_is_that_of_a_fold_from_the_beginning() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let till = till(&store, "till-1");
    assert_eq!(till.state_at(Version::NONE).expect("a state").version(), Version::NONE);
    assert_eq!(till.state_at(Timestamp::EPOCH).expect("a state").version(), Version::NONE);
    assert_eq!(till.state_at(Version::FIRST).expect_err("no stream").kind(), ErrorKind::StreamNotFound);
    for number in 1..=20 {
        if number % 3 == 0 {
            disk.advance(Duration::from_secs(1));
        }
        add(&store, &name("noise"), [NewEvent::bytes("noise", [])]);
        done(till.execute(put(number, number)).wait());
    }
    // With the last state at hand, with an earlier one, and with none.
    let fresh = EventStore::options().open_simulated_read_only(&disk).expect("a reader");
    for version in (0..=20).rev().map(Version::new) {
        for store in [&store, &fresh] {
            let at = store.aggregate::<Till>(till.stream()).state_at(version).expect("a state");
            assert_eq!(at.state(), &folded(store, "till-1", Some(version)));
            assert_eq!(at.version(), version);
        }
    }
    let events = read(store.read(till.stream()));
    for time in events.iter().map(|event| event.time()) {
        let last = events.iter().rev().find(|event| event.time() <= time).expect("this one at least");
        for time in [At::Time(time), At::Time(Timestamp::from_nanos(time.nanos() + 1))] {
            let at = till.state_at(time).expect("a state");
            assert_eq!((at.version(), at.position()), (last.version(), last.position()));
            assert_eq!(at.state(), &folded(&store, "till-1", Some(last.version())));
        }
    }
    let before = Timestamp::from_nanos(events[0].time().nanos() - 1);
    assert_eq!(till.state_at(before).expect("a state").version(), Version::NONE);
    let error = till.state_at(Version::new(21)).expect_err("not there yet");
    check_says(&error, ErrorKind::EventNotFound, &["till-1", "21"]);
}

#[test]
fn a_kept_state_is_never_stale_whatever_is_appended_behind_its_back() {
    for round in 0..20 {
        let mut chance = Chance(seed() + round);
        let store = EventStore::open_in_memory().expect("a store");
        let streams = ["till-1", "till-2", "till-3"];
        for step in 0..200 {
            let stream = *chance.pick(&streams);
            let till = till(&store, stream);
            match chance.below(6) {
                0 => {
                    let events = (0..1 + chance.below(3)).map(|_| NewEvent::json("put", &7).expect("JSON"));
                    add(&store, &name(stream), events);
                }
                1 => {
                    let taken = NewEvent::json("put", &Put { by: 9, amount: 1 }).expect("JSON").schema(2);
                    let batch = store.batch().append(&name("till-1"), Any, [taken.clone()]);
                    batch.append(&name("till-2"), Any, [taken]).commit().wait().expect("accepted");
                }
                2 | 3 => {
                    let executed = done(till.execute(put(step, step)).wait());
                    assert_eq!(executed.state(), Some(&folded(&store, stream, None)), "round {round}, step {step}");
                }
                4 => {
                    let loaded = till.load().expect("a state");
                    let at = Version::new(chance.below(loaded.version().get() as usize + 1) as u64);
                    let state = till.state_at(at).expect("a state");
                    assert_eq!(state.state(), &folded(&store, stream, Some(at)), "round {round}, step {step}");
                }
                _ => {
                    let loaded = till.load().expect("a state");
                    assert_eq!(loaded.state(), &folded(&store, stream, None), "round {round}, step {step}");
                }
            }
        }
    }
}

#[test]
fn a_kept_state_that_the_log_knows_nothing_of_any_more_is_not_used() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().durability(Durability::Written).open_simulated(&disk).expect("a store");
    let till = till(&store, "till-1");
    done(till.execute(put(1, 1)).wait());
    store.flush().expect("synced");
    assert_eq!(done(till.execute(put(2, 100)).wait()).state().map(|till| till.sum), Some(101));
    disk.set_sync_failure(SyncFailure::Drop);
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    store.flush().expect_err("the sync failed");
    assert_eq!(till.load().expect("readers go on").state().sum, 101);
    disk.drop_caches();
    store.reopen().expect("it opens again");
    assert_eq!(store.version(till.stream()).expect("a version"), Version::FIRST, "the second was never on the disk");
    // The same version again, and another event.
    let other = NewEvent::json("put", &Put { by: 3, amount: 5 }).expect("JSON").schema(2);
    add(&store, till.stream(), [other]);
    assert_eq!(till.load().expect("a state").state(), &folded(&store, "till-1", None));
    assert_eq!(done(till.execute(put(4, 10)).wait()).state().map(|till| till.sum), Some(16));
}

#[test]
fn a_kept_state_does_not_outlive_the_registry_it_was_folded_by() {
    let store = EventStore::open_in_memory().expect("a store");
    let painted = NewEvent::json("filled", &7_u64).expect("JSON");
    add(&store, &name("till-1"), [NewEvent::json("put", &1_u64).expect("JSON"), painted]);
    let till = till(&store, "till-1");
    let with = |times: u64| {
        let step = move |amount: u64| Put { by: 8, amount: amount * times };
        Registry::builder().events::<TillEvent>().step(("filled", 1), ("put", 2), step).build().expect("a registry")
    };
    assert_eq!(till.load().expect_err("it is not known").kind(), ErrorKind::UnknownType);
    for times in [1, 2, 3] {
        store.use_registry(&with(times));
        assert_eq!(till.load().expect("a state").state().sum, 1 + 7 * times);
    }
    store.use_registry(&Registry::builder().build().expect("a registry"));
    assert_eq!(till.load().expect_err("it has not these events").kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_fold_over_lost_or_missing_events_fails_and_says_so() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let till_1 = till(&store, "till-1");
    for number in 0..4 {
        done(till_1.execute(put(number, 1)).wait());
        add(&store, &name("noise"), [NewEvent::bytes("noise", vec![7; 700])]);
    }
    let lost = store.event(till_1.stream(), Version::new(3)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(lost.offset) + 8..u64::from(lost.offset) + 60, 1);
    let copy = SimulatedDisk::new(seed() + 1);
    scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    let store = EventStore::options().open_simulated(&copy).expect("it opens");
    let till_1 = till(&store, "till-1");
    check_says(&till_1.load().expect_err("one is lost"), ErrorKind::Lost, &["till-1"]);
    check_says(&trouble(till_1.execute(put(1, 1)).wait()), ErrorKind::Lost, &["till-1"]);
    assert_eq!(till_1.state_at(Version::new(2)).expect("so far all is there").state().sum, 2);
    assert_eq!(till(&store, "till-9").load().expect_err("it may have been there").kind(), ErrorKind::Lost);

    // A stream whose beginning was removed: nobody knows the state.
    let slice = fixture(&store.read_all().after(Position::new(6)).skipping_lost()).expect("a slice");
    check_says(
        &till(&slice, "till-1").load().expect_err("no beginning"),
        ErrorKind::BelowFloor,
        &["till-1", "version"],
    );
}

/// Counts how many states of it there are.
struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(of: &'static AtomicUsize) -> Counted {
        of.fetch_add(1, Ordering::SeqCst);
        Counted(of)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Counted {
        Counted::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Bounded<const KEPT: usize>(#[expect(dead_code, reason = "it counts by being there")] Counted, u64);

static STATES: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

impl<const KEPT: usize> Aggregate for Bounded<KEPT> {
    type Event = TillEvent;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Bounded<KEPT> {
        Bounded(Counted::new(&STATES[KEPT]), 0)
    }

    fn decide(&self, amount: &u64) -> Result<Vec<TillEvent>, ()> {
        Ok(vec![TillEvent::Put(Put { by: 0, amount: *amount })])
    }

    fn apply(&mut self, _: &TillEvent, context: &EventContext<'_>) {
        self.1 = context.version().get();
    }

    fn states_kept() -> usize {
        KEPT
    }
}

#[test]
fn no_more_states_are_kept_than_the_aggregate_says() {
    fn check<const KEPT: usize>(kept: std::ops::RangeInclusive<usize>) {
        let store = EventStore::open_in_memory().expect("a store");
        for round in 1..=3 {
            for number in 0..20 {
                let bounded = store.aggregate::<Bounded<KEPT>>(&name(&format!("till-{number}")));
                let executed = bounded.execute(1).wait().expect("appended");
                assert_eq!(executed.state().map(|state| state.1), Some(round));
                drop(executed);
                assert_eq!(bounded.load().expect("a state").state().1, round);
                assert!(STATES[KEPT].load(Ordering::SeqCst) <= *kept.end());
            }
        }
        assert!(kept.contains(&STATES[KEPT].load(Ordering::SeqCst)));
        store.close().expect("closing");
        drop(store);
        assert_eq!(STATES[KEPT].load(Ordering::SeqCst), 0);
    }
    check::<0>(0..=0);
    check::<1>(1..=1);
    check::<3>(1..=3);
}

thread_local! {
    /// How many states of a [`Large`] were begun, and how many copied.
    static BEGUN: Cell<u32> = const { Cell::new(0) };
    static COPIED: Cell<u32> = const { Cell::new(0) };
    /// Whether folding one panics.
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Says how often it is begun and copied, and panics where it is told to, when half of an event is folded in.
#[derive(Debug)]
struct Large {
    sum: u64,
    events: u64,
}

impl Clone for Large {
    fn clone(&self) -> Large {
        COPIED.set(COPIED.get() + 1);
        Large { ..*self }
    }
}

impl Aggregate for Large {
    type Event = TillEvent;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Large {
        BEGUN.set(BEGUN.get() + 1);
        Large { sum: 0, events: 0 }
    }

    fn decide(&self, amount: &u64) -> Result<Vec<TillEvent>, ()> {
        Ok(vec![TillEvent::Put(Put { by: 1, amount: *amount })])
    }

    fn apply(&mut self, event: &TillEvent, _: &EventContext<'_>) {
        self.events += 1;
        assert!(!PANICS.get(), "half of it is folded in");
        if let TillEvent::Put(Put { amount, .. }) = event {
            self.sum += amount;
        }
    }
}

/// What is begun and copied on the way.
fn begun_and_copied<T>(body: impl FnOnce() -> T) -> (T, (u32, u32)) {
    BEGUN.set(0);
    COPIED.set(0);
    let value = body();
    (value, (BEGUN.get(), COPIED.get()))
}

#[test]
fn a_kept_state_is_gone_on_with_in_place_where_nobody_else_holds_it() {
    let store = EventStore::open_in_memory().expect("a store");
    let large = store.aggregate::<Large>(&name("large-1"));
    let execute = |amount| large.execute(amount).wait().expect("appended");
    let (_, made) = begun_and_copied(|| drop(execute(1)));
    assert_eq!(made, (1, 0));
    let (_, made) = begun_and_copied(|| {
        (0..50).for_each(|_| drop(execute(1)));
        add(&store, large.stream(), [NewEvent::json("put", &1).expect("JSON")]);
        large.load().expect("a state").state().sum
    });
    assert_eq!(made, (0, 0), "begun and copied");
    // Whoever holds a state goes on holding that one.
    let held = large.load().expect("a state");
    let (executed, made) = begun_and_copied(|| execute(5));
    assert_eq!((made, held.state().sum, executed.state().map(|large| large.sum)), ((0, 1), 52, Some(57)));
    let ((), made) = begun_and_copied(|| drop(large.state_at(held.version()).expect("as it was")));
    assert_eq!(made, (1, 0), "what is kept is later");
    // What is decided and not appended leaves it as it is.
    let (_, made) = begun_and_copied(|| {
        assert_eq!(large.load().expect("a state").state().sum, 57);
        let other = store.together(|together| {
            together.execute::<Large>(large.stream(), &1)?;
            Err::<(), _>(ExecuteError::Refused(()))
        });
        assert!(other.wait().is_err());
        large.load().expect("a state").state().sum
    });
    assert_eq!(made, (0, 0));
}

#[test]
fn a_panic_while_a_state_is_gone_on_with_loses_it_and_leaves_none_that_is_wrong() {
    let store = EventStore::open_in_memory().expect("a store");
    let large = store.aggregate::<Large>(&name("large-1"));
    let check = |events: u64| {
        let loaded = large.load().expect("a state");
        assert_eq!((loaded.version().get(), loaded.state().events, loaded.state().sum), (events, events, events));
    };
    large.execute(1).wait().expect("appended");
    check(1);
    for number in 2..6 {
        add(&store, large.stream(), [NewEvent::json("put", &1).expect("JSON")]);
        PANICS.set(true);
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| large.load().is_ok())).is_err());
        }
        PANICS.set(false);
        check(number);
    }
    // A command whose event cannot be folded in was executed all the same, and once.
    PANICS.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| large.execute(1).once("key").wait().is_ok())).is_err());
    PANICS.set(false);
    assert!(large.execute(1).once("key").wait().expect("it was executed").is_repeat());
    check(6);
    // What cannot be folded in is no reason to begin again: the state before it is kept.
    add(&store, large.stream(), [NewEvent::json("put", &1).expect("JSON"), NewEvent::bytes("painted", [])]);
    let (_, made) = begun_and_copied(|| {
        for _ in 0..3 {
            assert_eq!(large.load().expect_err("a type that is not known").kind(), ErrorKind::UnknownType);
        }
    });
    assert_eq!(made, (0, 0));
    assert_eq!(large.state_at(Version::new(7)).expect("so far").state().sum, 7);
}

/// Has somebody else append while it decides, so many times; and says what it decides then.
struct Raced<'a> {
    rivals: Cell<u32>,
    rival: &'a dyn Fn(),
    then: Result<Vec<TillEvent>, ()>,
}

/// An aggregate that breaks the rule that deciding is pure, so that tests know when others come.
#[derive(Clone)]
struct Racer;

impl Aggregate for Racer {
    type Event = TillEvent;
    type Command = Raced<'static>;
    type Refusal = ();

    fn new(_: &StreamName) -> Racer {
        Racer
    }

    fn decide(&self, raced: &Raced<'static>) -> Result<Vec<TillEvent>, ()> {
        if let Some(left) = raced.rivals.get().checked_sub(1) {
            raced.rivals.set(left);
            (raced.rival)();
        }
        raced.then.clone()
    }

    fn apply(&mut self, _: &TillEvent, _: &EventContext<'_>) {}
}

fn raced(rivals: u32, rival: impl Fn() + 'static, then: Result<Vec<TillEvent>, ()>) -> Raced<'static> {
    Raced { rivals: Cell::new(rivals), rival: Box::leak(Box::new(rival)), then }
}

fn one_put() -> Vec<TillEvent> {
    vec![TillEvent::Put(Put { by: 1, amount: 1 })]
}

#[test]
fn after_a_conflict_it_is_decided_again_as_often_as_was_said() {
    for is_async in [false, true] {
        let store = EventStore::open_in_memory().expect("a store");
        let racer = store.aggregate::<Racer>(&name("till-1"));
        let attempt = |rivals, attempts| {
            let other = till(&store, "till-1");
            let command = raced(rivals, move || drop(done(other.execute(put(2, 1)).wait())), Ok(one_put()));
            let execution = racer.execute(command).attempts(attempts);
            if is_async { block_on(execution.into_future()) } else { execution.wait() }
        };
        assert_eq!(attempt(2, 3).expect("the third attempt").version(), Version::new(3));
        let conflict = attempt(3, 3).expect_err("every attempt was lost").conflict().cloned();
        let expected =
            Conflict::Version { stream: name("till-1"), expected: Exact(Version::new(5)), actual: Version::new(6) };
        assert_eq!(conflict, Some(expected));
        assert_eq!(attempt(1, 0).expect_err("0 is 1").conflict().and_then(Conflict::actual), Some(Version::new(7)));
        assert_eq!(attempt(15, 16).expect("the last one").version(), Version::new(23));
        assert_eq!(store.head().expect("a head").get(), 23);
    }
}

#[test]
fn a_refusal_that_the_command_itself_has_caused_is_its_receipt() {
    // It was refused; nothing followed; it was appended, first the same and then something else.
    let outcomes: [Result<Vec<TillEvent>, ()>; 4] =
        [Err(()), Ok(Vec::new()), Ok(one_put()), Ok(vec![TillEvent::Put(Put { by: 2, amount: 2 })])];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        for is_async in [false, true] {
            let store = EventStore::open_in_memory().expect("a store");
            let racer = store.aggregate::<Racer>(&name("till-1"));
            let other = till(&store, "till-1");
            let same = move || {
                assert!(!done(other.execute(put(1, 1)).once("key").wait()).is_repeat());
                done(other.execute(put(2, 1)).wait());
            };
            let execution = racer.execute(raced(1, same, outcome.clone())).once("key");
            let answer = if is_async { block_on(execution.into_future()) } else { execution.wait() };
            let executed = answer.unwrap_or_else(|error| panic!("outcome {number}: {error:?}"));
            assert!(executed.is_repeat(), "outcome {number}");
            assert_eq!(executed.version(), Version::FIRST);
            // Whatever was decided here, nothing of it is what happened.
            assert!(executed.events().is_empty() && executed.state().is_none(), "outcome {number}");
            assert_eq!(store.head().expect("a head").get(), 2);
        }
    }
}

#[test]
fn what_is_decided_together_is_appended_together_or_decided_again() {
    everywhere(|home| {
        let store = home.open();
        let (from, to) = (name("till-1"), name("till-2"));
        done(till(&store, "till-1").execute(put(1, 10)).wait());
        let mut calls = 0;
        let receipt = store
            .together(|together| {
                calls += 1;
                together.load::<Till>(&to)?;
                let there = together.load::<Till>(&from)?.state().sum;
                let taken = together.execute::<Till>(&from, &Take { by: 1, amount: 7 })?;
                assert_eq!(taken, [TillEvent::Taken(Taken { by: 1, amount: 7 })]);
                if calls < 3 {
                    // Somebody comes to a stream that is only looked at, or to one that is written.
                    let stream = if calls == 1 { &to } else { &from };
                    done(store.aggregate::<Till>(stream).execute(put(9, 1)).wait());
                }
                together.execute::<Till>(&to, &put(1, there))?;
                together.append(&name("book"), Any, [NewEvent::json("moved", &7).expect("JSON")]);
                Ok::<(), ExecuteError<TillRefusal>>(())
            })
            .once("move-1")
            .correlation("session-7")
            .wait();
        let receipt = receipt.expect("there is enough").expect("something followed");
        assert_eq!((calls, receipt.streams().len()), (3, 3));
        let positions: Vec<u64> = (receipt.first_position().get()..=receipt.last_position().get()).collect();
        assert_eq!(positions, [4, 5, 6]);
        assert_eq!(till(&store, "till-2").load().expect("a state").state().sum, 12);
        let moved = store.event(&name("book"), Version::FIRST).expect("an event").metadata().expect("metadata");
        assert_eq!((moved.correlation(), moved.causation()), (Some("session-7"), Some("move-1")));
        // A repeat is not even asked.
        let again = store.together(|_| -> Result<(), ExecuteError<()>> { panic!("it decides again") }).once("move-1");
        assert!(again.wait().expect("a repeat").is_some_and(|again| again.is_repeat()));
    });
}

#[test]
fn events_that_are_added_to_a_batch_keep_the_rules_too() {
    let store = EventStore::open_in_memory().expect("a store");
    let registry = Registry::builder().events::<TillEvent>();
    let registry = registry.validate_type("put", |event, faults| {
        faults.require(event.decode::<Put>().is_ok_and(|put| put.amount < 10), "amount", "is too much");
        faults.require(event.tags().count() != 0, "player", "is not named");
    });
    let added = |amount: u64| NewEvent::json("put", &Put { by: 1, amount }).expect("JSON").schema(2);
    let attempt = |events: &[NewEvent]| {
        let together = store.together(|together| {
            together.execute::<Till>(&name("till-1"), &put(1, 1))?;
            for event in events {
                together.append(&name("till-2"), Any, [event.clone()]);
            }
            Ok::<(), ExecuteError<TillRefusal>>(())
        });
        together.wait()
    };
    let said = |outcome: Result<_, ExecuteError<TillRefusal>>, act: &str| match outcome.expect_err("rules are broken") {
        ExecuteError::Store(error) => {
            check_says(&error, ErrorKind::InvalidArgument, &[act]);
            error.source().and_then(|source| source.downcast_ref::<Faults>()).expect("all faults").to_string()
        }
        other => panic!("{other:?}"),
    };
    assert!(attempt(&[added(11)]).is_ok(), "there is no rule yet");
    let head = store.head().expect("a head");
    let long = "x".repeat(129);
    let broken = attempt(&[added(1), added(1).tag("a:b", 1).actor(&long)]);
    let told = said(broken, "validating 2 events");
    assert!(told.contains("event 2: event `put`: tag has the key `a:b`") && told.contains("; event 2: "), "{told}");
    store.use_registry(&registry.build().expect("a registry"));
    assert_eq!(said(attempt(&[added(11)]), "validating a `put`"), "`amount` is too much; `player` is not named");
    let several = attempt(&[added(1).tag("player", 1), added(11).tag("player", 1), added(1)]);
    assert_eq!(said(several, "validating 3 events"), "`2.amount` is too much; `3.player` is not named");
    assert_eq!(store.head().expect("a head"), head, "nothing was appended");
    assert!(attempt(&[added(1).tag("player", 1)]).is_ok());
}

#[test]
fn what_is_refused_in_part_is_refused_whole() {
    let store = EventStore::open_in_memory().expect("a store");
    let (from, to) = (name("till-1"), name("till-2"));
    // Refusals of several types become one: `?` takes only those of one type.
    let outcome = store.together(|together| {
        let named = |name| move |error: ExecuteError<TillRefusal>| error.map_refusal(|_| name);
        together.execute::<Till>(&to, &put(1, 7)).map_err(named("to"))?;
        together.execute::<Till>(&from, &Take { by: 1, amount: 7 }).map_err(named("from"))?;
        Ok(())
    });
    assert_eq!(outcome.wait().expect_err("it is refused").refusal(), Some(&"from"));
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
}

#[test]
fn an_aggregate_decides_once_in_a_batch_and_none_decides_over_nothing() {
    let store = EventStore::open_in_memory().expect("a store");
    let stream = name("till-1");
    let twice = store.together(|together| {
        together.execute::<Till>(&stream, &put(1, 7))?;
        together.execute::<Till>(&stream, &put(1, 7))?;
        Ok::<(), ExecuteError<TillRefusal>>(())
    });
    match twice.wait().expect_err("it decided already") {
        ExecuteError::Store(error) => check_says(&error, ErrorKind::InvalidArgument, &["till-1", "already"]),
        other => panic!("{other:?}"),
    }
    let nothing = store.together(|together| together.execute::<Till>(&stream, &Round).map(drop));
    assert_eq!(nothing.wait().expect("nothing followed"), None);
    let nothing = store.together(|together| {
        together.load::<Till>(&stream)?;
        Ok::<(), ExecuteError<()>>(())
    });
    assert_eq!(block_on(nothing.into_future()).expect("nothing followed"), None);
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
}

fn player(by: u64) -> Query {
    Query::all().of_type("put").tag("player", by)
}

#[test]
fn a_decision_over_a_query_folds_what_it_asks_for_of_any_stream() {
    everywhere(|home| {
        let store = home.open();
        for (stream, by) in [("till-1", 1), ("till-2", 1), ("till-1", 2)] {
            done(till(&store, stream).execute(put(by, 5)).wait());
        }
        let decision = store.decision::<Till>(player(1), &name("till-3"));
        let (state, guard) = decision.load().expect("a state");
        assert_eq!((state.sum, guard.position()), (10, Position::new(3)));
        let executed = done(decision.execute(put(1, 3)).once("key").actor(7).wait());
        assert_eq!((executed.version(), executed.state().map(|till| till.sum)), (Version::FIRST, Some(13)));
        // What it takes out is not asked for, so the state after it is as before.
        let executed = done(decision.execute(Take { by: 1, amount: 13 }).wait());
        assert_eq!((executed.version(), executed.state().map(|till| till.sum)), (Version::new(2), Some(13)));
        let again = done(block_on(decision.execute(put(1, 3)).once("key").into_future()));
        assert!(again.is_repeat() && again.state().is_none());
        assert!(done(decision.execute(Round).wait()).receipt().is_some());
        let refused = decision.execute(Take { by: 1, amount: 99 }).wait().expect_err("refused");
        assert_eq!(refused.refusal(), Some(&TillRefusal::NotEnough { there: 13 }));
        let odd = store.decision::<Till>(Query::all().of_type("a type"), &name("till-3"));
        assert_eq!(trouble(odd.execute(put(1, 1)).wait()).kind(), ErrorKind::InvalidName);
    });
}

#[test]
fn a_decision_from_which_several_events_follow_has_the_version_of_the_last() {
    everywhere(|home| {
        let store = home.open();
        let decision = store.decision::<Till>(Query::all().in_category("till"), &name("till-1"));
        let executed = done(decision.execute(Swap { put: 9, take: 4 }).wait());
        assert_eq!((executed.version(), executed.state().map(|till| till.sum)), (Version::new(2), Some(5)));
        let executed = done(block_on(decision.execute(Swap { put: 2, take: 3 }).into_future()));
        assert_eq!((executed.version(), executed.state().map(|till| till.sum)), (Version::new(4), Some(4)));
        assert_eq!(executed.into_state(), Some(folded(&store, "till-1", None)));
    });
}

#[test]
fn a_decision_that_was_executed_elsewhere_meanwhile_is_a_repeat_without_events_and_state() {
    let store = EventStore::open_in_memory().expect("a store");
    let racer = store.decision::<Racer>(player(1), &name("till-1"));
    for (number, outcome) in [Err(()), Ok(Vec::new()), Ok(one_put())].into_iter().enumerate() {
        let (key, other) = (format!("key-{number}"), till(&store, "till-1"));
        let same = {
            let key = key.clone();
            move || drop(done(other.execute(put(1, 1)).once(key.clone()).wait()))
        };
        let executed = racer.execute(raced(1, same, outcome)).once(key).wait().expect("it was executed");
        assert!(executed.is_repeat() && executed.events().is_empty() && executed.state().is_none(), "{executed:?}");
        assert_eq!(executed.version(), Version::new(number as u64 + 1));
    }
    assert_eq!(store.head().expect("a head").get(), 3);
}

#[test]
fn what_happens_while_a_query_is_decided_over_has_it_decided_again() {
    let store = EventStore::open_in_memory().expect("a store");
    let racer = store.decision::<Racer>(player(1), &name("till-1"));
    let attempt = |by, attempts| {
        let other = till(&store, "till-2");
        let rival = move || drop(done(other.execute(put(by, 1)).wait()));
        racer.execute(raced(2, rival, Ok(one_put()))).attempts(attempts).wait()
    };
    assert!(attempt(2, 1).is_ok(), "it is no matter what others do");
    assert_eq!(attempt(1, 3).expect("the third").version(), Version::new(2));
    let conflict = attempt(1, 2).expect_err("every attempt was lost");
    assert!(matches!(conflict.conflict(), Some(Conflict::Unless { number: 1, .. })), "{conflict:?}");
}

const THREADS: u64 = 64;

/// Runs a body on 64 threads that begin together, every other one of which drives a task; what they give.
fn by_threads<T: Send>(body: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (body, barrier) = (&body, &Barrier::new(THREADS as usize));
    thread::scope(|scope| {
        let begin = |thread| {
            scope.spawn(move || {
                barrier.wait();
                body(thread)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(begin).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ends well")).collect()
    })
}

/// Executes on a thread or in a task, by the number of the thread.
fn execute(
    till: &AggregateStream<Till>,
    thread: u64,
    command: TillCommand,
    attempts: u32,
) -> Result<Executed<Till>, ExecuteError<TillRefusal>> {
    let execution = till.execute(command).attempts(attempts);
    if thread.is_multiple_of(2) { execution.wait() } else { block_on(execution.into_future()) }
}

#[test]
fn of_64_threads_on_one_aggregate_every_command_is_applied_once() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let till = till(&store, "till-1");
        let versions = by_threads(|thread| {
            let one = |_| done(execute(&till, thread, put(thread, 1), u32::MAX)).version();
            (0..5).map(one).collect::<Vec<_>>()
        });
        assert!(versions.iter().all(|of_thread| of_thread.is_sorted()));
        let mut versions = versions.concat();
        versions.sort_unstable();
        assert_eq!(versions, (1..=THREADS * 5).map(Version::new).collect::<Vec<_>>());
        let state = till.load().expect("a state").into_state();
        assert_eq!(state.puts, (0..THREADS).map(|thread| (thread, 5)).collect());
        assert_eq!(state, folded(&store, "till-1", None));
    });
}

#[test]
fn of_64_threads_that_take_from_one_the_refused_are_told_from_those_that_were_too_slow() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let till = till(&store, "till-1");
        for (there, attempts) in [(100, u32::MAX), (100, 1), (100, 3)] {
            done(till.execute(put(0, there)).wait());
            let before = till.load().expect("a state");
            let outcomes = by_threads(|thread| {
                let take = |_| execute(&till, thread, Take { by: thread, amount: 1 }, attempts);
                (0..3).map(take).collect::<Vec<_>>()
            });
            let (mut taken, mut refused, mut conflicts) = (0, 0, 0);
            for outcome in outcomes.into_iter().flatten() {
                match outcome {
                    Ok(executed) => {
                        assert_eq!(executed.events().len(), 1);
                        taken += 1;
                    }
                    // Whoever was refused had seen the end of it.
                    Err(ExecuteError::Refused(TillRefusal::NotEnough { there })) => {
                        assert_eq!(there, 0);
                        refused += 1;
                    }
                    Err(ExecuteError::Conflict(conflict)) => {
                        assert!(conflict.actual().is_some(), "{conflict}");
                        conflicts += 1;
                    }
                    Err(ExecuteError::Store(error)) => panic!("{error:?}"),
                }
            }
            assert_eq!(taken + refused + conflicts, THREADS * 3);
            let state = till.load().expect("a state");
            assert_eq!(
                (before.state().sum - state.state().sum, state.version().get() - before.version().get()),
                (taken, taken)
            );
            if attempts == u32::MAX {
                assert_eq!((taken, refused, conflicts), (there, THREADS * 3 - there, 0));
            }
            let rest = state.state().sum;
            done(till.execute(Take { by: 0, amount: rest }).wait());
        }
        assert_eq!(till.load().expect("a state").state(), &folded(&store, "till-1", None));
    });
}

#[test]
fn of_64_threads_on_many_aggregates_none_disturbs_another() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        by_threads(|thread| {
            let till = till(&store, &format!("till-{thread}"));
            for number in 1..=20 {
                let executed = done(execute(&till, thread, put(number, thread), 1));
                assert_eq!(
                    (executed.version(), executed.state().map(|till| till.sum)),
                    (Version::new(number), Some(number * thread))
                );
            }
        });
        for thread in 0..THREADS {
            let stream = format!("till-{thread}");
            assert_eq!(till(&store, &stream).load().expect("a state").state(), &folded(&store, &stream, None));
        }
        assert_eq!(store.head().expect("a head").get(), THREADS * 20);
    });
}

#[test]
fn of_64_threads_with_one_key_one_decides_and_all_get_its_receipt() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        for round in 0..5 {
            let till = till(&store, &format!("till-{round}"));
            done(till.execute(put(0, 5)).wait());
            // A second time it would be refused.
            let executed = by_threads(|thread| {
                let execution = till.execute(Take { by: thread, amount: 5 }).once(format!("take-{round}"));
                done(if thread.is_multiple_of(2) { execution.wait() } else { block_on(execution.into_future()) })
            });
            assert_eq!(executed.iter().filter(|executed| !executed.is_repeat()).count(), 1);
            assert!(executed.iter().all(|executed| executed.version() == Version::new(2)));
            assert_eq!(till.load().expect("a state").version(), Version::new(2));
        }
    });
}

#[test]
fn what_64_threads_move_between_aggregates_is_moved_whole() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        const TILLS: usize = 6;
        let names: Vec<StreamName> = (0..TILLS).map(|number| name(&format!("till-{number}"))).collect();
        for till in &names {
            done(store.aggregate::<Till>(till).execute(put(0, 20)).wait());
        }
        let moved: u64 = by_threads(|thread| {
            let mut chance = Chance(seed() + thread);
            let mut moved = 0;
            for _ in 0..4 {
                let from = chance.below(TILLS);
                let (from, to) = (&names[from], &names[(from + 1 + chance.below(TILLS - 1)) % TILLS]);
                let amount = 1 + chance.below(15) as u64;
                let transfer = store.together(|together| {
                    together.execute::<Till>(to, &put(thread, amount))?;
                    together.execute::<Till>(from, &Take { by: thread, amount }).map(drop)
                });
                let transfer = transfer.attempts(u32::MAX);
                match if thread.is_multiple_of(2) { transfer.wait() } else { block_on(transfer.into_future()) } {
                    Ok(receipt) => {
                        let receipt = receipt.expect("something followed");
                        assert_eq!(receipt.streams().len(), 2);
                        assert_eq!(receipt.last_position().get() - receipt.first_position().get(), 1);
                        moved += 1;
                    }
                    Err(ExecuteError::Refused(TillRefusal::NotEnough { there })) => assert!(there < amount),
                    Err(other) => panic!("{other:?}"),
                }
            }
            moved
        })
        .into_iter()
        .sum();
        assert_eq!(store.head().expect("a head").get(), TILLS as u64 + 2 * moved);
        let sums: u64 = names.iter().map(|till| folded(&store, till.as_str(), None).sum).sum();
        assert_eq!(sums, 20 * TILLS as u64);
        assert!(moved > THREADS, "hardly anything was moved: {moved}");
    });
}

/// Whether somebody has a turn.
#[derive(Clone)]
struct Turn(bool);

impl Aggregate for Turn {
    type Event = TillEvent;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Turn {
        Turn(false)
    }

    fn decide(&self, by: &u64) -> Result<Vec<TillEvent>, ()> {
        if self.0 { Err(()) } else { Ok(vec![TillEvent::Put(Put { by: *by, amount: 1 })]) }
    }

    fn apply(&mut self, _: &TillEvent, _: &EventContext<'_>) {
        self.0 = true;
    }
}

#[test]
fn of_writers_that_decide_over_one_query_exactly_one_wins_each_round() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let barrier = Barrier::new(2);
        let wins: Vec<Vec<bool>> = thread::scope(|scope| {
            let (store, barrier) = (&store, &barrier);
            let writer = |stream: &'static str| {
                scope.spawn(move || {
                    let round = |round| {
                        barrier.wait();
                        let decision = store.decision::<Turn>(player(round), &name(stream));
                        match decision.execute(round).attempts(1).wait() {
                            Ok(_) => true,
                            Err(ExecuteError::Refused(()) | ExecuteError::Conflict(Conflict::Unless { .. })) => false,
                            Err(other) => panic!("{other:?}"),
                        }
                    };
                    (0..100).map(round).collect::<Vec<_>>()
                })
            };
            let writers = [writer("till-1"), writer("till-2")];
            writers.map(|writer| writer.join().expect("the thread ends well")).into()
        });
        assert!(wins[0].iter().zip(&wins[1]).all(|(one, other)| one != other), "{wins:?}");
        assert_eq!(store.head().expect("a head").get(), 100);
    });
}

/// What another process does until it is killed: commands with keys from a number on, each told once it is acknowledged, and
/// between them some without.
pub(crate) fn work(directory: &Path, first: u64, tell: &(dyn Fn(&str) + Sync)) {
    let store = small_segments().open(directory).expect("it opens");
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let store = &store;
            scope.spawn(move || {
                for number in (first + worker..).step_by(WORKERS as usize) {
                    let till = till(store, &format!("till-{}", number % 3));
                    done(till.execute(put(number, 1)).once(format!("k{number}")).attempts(u32::MAX).wait());
                    tell(&format!("did {number}"));
                    // What was put in before the last kill may be taken out already.
                    match till.execute(Take { by: number, amount: 1 }).attempts(u32::MAX).wait() {
                        Ok(executed) => {
                            tell(&format!("took {}", executed.receipt().expect("it was appended").last_position()));
                        }
                        Err(error) => assert_eq!(error.refusal(), Some(&TillRefusal::NotEnough { there: 0 })),
                    }
                }
            });
        }
    });
}

const WORKERS: u64 = 4;

#[test]
fn a_killed_process_loses_no_acknowledged_command_and_doubles_none_that_has_a_key() {
    let home = Home::disk();
    let mut chance = Chance(seed());
    let (mut did, mut took, mut first) = (BTreeSet::new(), BTreeSet::new(), 0);
    for life in 0..12 {
        let mut other = OtherProcess::start(&home.path());
        other.tell(&format!("execute {first}"));
        let wanted = 1 + chance.below(60);
        let mut answers: Vec<String> = (0..wanted).map(|_| other.answer().expect("it goes on")).collect();
        answers.extend(other.kill());
        for answer in answers {
            let (what, number) = answer.split_once(' ').expect("two words");
            let number: u64 = number.parse().expect("a number");
            if what == "did" {
                did.insert(number)
            } else {
                took.insert(number)
            };
        }
        let store = home.open_with(&small_segments());
        let (mut keyed, mut taken): (BTreeMap<u64, u64>, _) = (BTreeMap::new(), BTreeSet::new());
        for event in read(store.read_all()) {
            match event.event_type() {
                "put" => *keyed.entry(event.json::<Put>().expect("a put").by).or_default() += 1,
                "taken" => assert!(taken.insert(event.position().get())),
                other => panic!("nobody appended a `{other}`"),
            }
        }
        // Those of all lives so far: what outlived one may be lost in another.
        let lost: Vec<&u64> = took.difference(&taken).collect();
        assert!(lost.is_empty(), "life {life}: acknowledged and not there: {lost:?}");
        assert!(keyed.values().all(|times| *times == 1), "life {life}: {keyed:?}");
        assert!(did.iter().all(|number| keyed.contains_key(number)), "life {life}: {did:?} of {keyed:?}");
        for number in &did {
            let receipt = store.receipt_of(&format!("k{number}")).expect("an answer").expect("it was accepted");
            assert_eq!(receipt.first_position(), receipt.last_position());
        }
        // The next life begins with commands of which some were executed, some of them without having been told.
        first = did.last().map_or(0, |last: &u64| last.saturating_sub(6));
        store.close().expect("closing");
    }
    assert!(did.len() > 60, "hardly anything was acknowledged: {}", did.len());
}
