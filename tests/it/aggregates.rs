//! Aggregates: states folded from streams, and commands that are decided over them.

use super::support::{add, block_on, check_says, everywhere, name, read, small_segments, wherever_it_lasts};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::SimulatedDisk;
use scorebook::{
    Aggregate, AggregateStream, At, Durability, ErrorKind, Event, EventContext, EventStore, EventTypes, ExecuteError,
    Executed, Faults, NewEvent, OnUnknown, Position, Registry, StreamName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error as _;
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
