//! Projections with a state for each key: what the events of the key come to, whatever is kept, and no more kept than asked.

use crate::model::{Chance, Choices, seed};
use crate::support::{
    Home, PATIENCE, add, check_says, event, eventually, everywhere, name, number, small_segments, wherever_it_lasts,
    wherever_threads_are,
};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    Durability, Error, ErrorKind, EventContext, EventStore, KeyedProjection, KeyedView, NewEvent, OnUnknown, Options,
    Position, Query, RecordedEvent, Registry, StreamName, Version,
};
use serde::Serialize;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What was counted for a player, in which the order counts. Of so many players the state is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Sum<const KEPT: usize> {
    player: u64,
    events: u64,
    sum: u64,
    mixed: u64,
}

impl<const KEPT: usize> Sum<KEPT> {
    fn take(&mut self, number: u64) {
        self.events += 1;
        self.sum += number;
        self.mixed = self.mixed.wrapping_mul(31).wrapping_add(number);
    }
}

impl<const KEPT: usize> KeyedProjection for Sum<KEPT> {
    type Key = u64;
    type Event = RecordedEvent;

    fn query(player: &u64) -> Query {
        Query::all().of_type("counted").tag("player", player)
    }

    fn new(player: &u64) -> Sum<KEPT> {
        Sum { player: *player, events: 0, sum: 0, mixed: 7 }
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        self.take(number(event));
    }

    fn states_kept() -> usize {
        KEPT
    }
}

type Sums = KeyedView<Sum<4>>;

fn sums(store: &EventStore) -> Sums {
    store.keyed_projection()
}

/// A number that is counted for a player.
fn counted(player: u64, number: u64) -> NewEvent {
    event(number).tag("player", player)
}

/// Every event there is, with the players it is counted for: a plain list, folded from the first one each time.
#[derive(Clone, Default)]
struct All(Vec<(Vec<u64>, u64)>);

impl All {
    fn of(store: &EventStore) -> All {
        let of_event = |event: Result<RecordedEvent, Error>| {
            let event = event.expect("an event");
            let players = event.tags().filter(|(key, _)| *key == "player").map(|(_, value)| value.parse());
            let players = players.collect::<Result<Vec<u64>, _>>().expect("a number");
            (if event.event_type() == "counted" { players } else { Vec::new() }, number(&event))
        };
        All(store.read_all().into_iter().map(of_event).collect())
    }

    fn state(&self, player: u64, upto: Position) -> Sum<4> {
        let mut sum = Sum::new(&player);
        let events = self.0.iter().take(upto.get() as usize).filter(|(players, _)| players.contains(&player));
        events.for_each(|(_, number)| sum.take(*number));
        sum
    }

    fn check(&self, view: &Sums, player: u64, whence: &str) {
        let head = Position::new(self.0.len() as u64);
        let state = view.state(&player).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
        assert_eq!((&*state, state.position()), (&self.state(player, head), head), "player {player}, {whence}");
        assert!(view.kept() <= 4, "{} are kept, {whence}", view.kept());
    }
}

/// Nothing is durable before somebody says so.
fn written() -> Options {
    small_segments().durability(Durability::Written).sync_every(Duration::from_secs(3600))
}

/// Loses what was only written, and opens the store again in place; how many events that were.
fn lose(disk: &SimulatedDisk, store: &EventStore) -> u64 {
    let before = store.head().expect("a head").get();
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
    // Where everything is durable there is nothing to sync.
    let _ = store.flush();
    disk.heal();
    store.reopen().expect("it opens again");
    before - store.head().expect("a head").get()
}

const PLAYERS: usize = 40;

/// Few players have much, and many little.
fn player(chance: &mut Chance) -> u64 {
    let below = if chance.one_in(2) { 5 } else { PLAYERS };
    chance.below(below) as u64
}

/// Appends a batch by chance.
fn append(store: &EventStore, all: &mut All, chance: &mut Chance) {
    let mut batch =
        store.batch().durability(*chance.pick(&[Durability::Synced, Durability::Written, Durability::Written]));
    for _ in 0..1 + chance.below(4) {
        let number = chance.below(1_000) as u64;
        let (one, other) = (player(chance), player(chance));
        let (event, players) = match chance.below(8) {
            0 => (event(number), vec![]),
            1 => (NewEvent::json("mentioned", &number).expect("a number").tag("player", one), vec![]),
            2 => (counted(one, number).tag("player", other), vec![one, other]),
            _ => (counted(one, number), vec![one]),
        };
        all.0.push((players, number));
        batch = batch.append(&name(&format!("game-{}", chance.below(6))), Any, [event]);
    }
    let receipt = batch.commit().wait().expect("a receipt");
    assert_eq!(receipt.last_position().get(), all.0.len() as u64);
}

#[test]
fn whatever_happens_a_state_is_what_the_events_of_its_key_come_to() {
    everywhere(|home| {
        let mut lost = 0;
        for round in 0..4 {
            let mut chance = Chance(seed() + round);
            let mut disk = match home {
                Home::Simulated(_) => Some(SimulatedDisk::new(seed() + round)),
                _ => None,
            };
            let open = |disk: &Option<SimulatedDisk>| match disk {
                Some(disk) => written().open_simulated(disk).expect("it opens"),
                None => home.open_with(&written()),
            };
            let mut store = open(&disk);
            let (mut all, mut view) = (All::of(&store), sums(&store));
            for step in 0..250 {
                let whence = format!("step {step}, seed {}", seed() + round);
                let stream = name(&format!("game-{}", chance.below(6)));
                match chance.below(40) {
                    0..=15 => append(&store, &mut all, &mut chance),
                    16..=29 => all.check(&view, player(&mut chance), &whence),
                    30..=32 => {
                        let (player, to) = (player(&mut chance), chance.below(all.0.len() + 1) as u64);
                        let was = view.state_at(&player, Position::new(to)).expect("it is there");
                        assert_eq!(*was, all.state(player, Position::new(to)), "up to {to}, {whence}");
                    }
                    // What is done to a stream by its name changes nothing of what has happened.
                    33 => drop(store.delete(&stream, Any, "a mistake").wait()),
                    34 => drop(store.undelete(&stream).wait()),
                    35 => drop(store.truncate_before(&stream, Version::new(1 + chance.below(4) as u64)).wait()),
                    36 => view = sums(&store),
                    37 => drop(store.reopen().expect("it opens again")),
                    38 => match &mut disk {
                        Some(disk) if chance.one_in(2) => {
                            let crashed = disk.crash(&CrashChoice::Seeded(chance.next()));
                            store = written().open_simulated(&crashed).expect("it opens");
                            *disk = crashed;
                            (all, view) = (All::of(&store), sums(&store));
                        }
                        None if matches!(home, Home::Memory) => {}
                        _ => {
                            drop(store);
                            store = open(&disk);
                            view = sums(&store);
                        }
                    },
                    // The view stays, and the store does not have everything any more.
                    _ => {
                        if let Some(disk) = &disk {
                            append(&store, &mut all, &mut chance);
                            (0..3).for_each(|player| all.check(&view, player, &whence));
                            lost += lose(disk, &store);
                            let before = std::mem::replace(&mut all, All::of(&store));
                            assert!(before.0.starts_with(&all.0), "{whence}");
                            if chance.one_in(2) {
                                append(&store, &mut all, &mut chance);
                            }
                            (0..3).for_each(|player| all.check(&view, player, &whence));
                        }
                    }
                }
            }
            (0..PLAYERS as u64).for_each(|player| all.check(&view, player, "at the end"));
            store.close().expect("it closes");
            assert_eq!(view.state(&1).expect_err("it is closed").kind(), ErrorKind::Closed);
        }
        assert_eq!(matches!(home, Home::Simulated(_)), 20 < lost, "{lost} events were lost");
    });
}

#[test]
fn no_more_states_are_kept_than_asked_for_however_many_keys_there_are() {
    static STATES: AtomicU64 = AtomicU64::new(0);

    /// Counts how many of its kind there are.
    struct Counts<const KEPT: usize>(u64);

    impl<const KEPT: usize> Clone for Counts<KEPT> {
        fn clone(&self) -> Counts<KEPT> {
            STATES.fetch_add(1, Ordering::SeqCst);
            Counts(self.0)
        }
    }

    impl<const KEPT: usize> Drop for Counts<KEPT> {
        fn drop(&mut self) {
            STATES.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl<const KEPT: usize> KeyedProjection for Counts<KEPT> {
        type Key = u64;
        type Event = RecordedEvent;

        fn query(player: &u64) -> Query {
            Sum::<KEPT>::query(player)
        }

        fn new(_: &u64) -> Counts<KEPT> {
            STATES.fetch_add(1, Ordering::SeqCst);
            Counts(0)
        }

        fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) {
            self.0 += 1;
        }

        fn states_kept() -> usize {
            KEPT
        }
    }

    fn check<const KEPT: usize>(least: usize) {
        let store = EventStore::open_in_memory().expect("a store");
        let view = store.keyed_projection::<Counts<KEPT>>();
        for round in 1..=3 {
            for player in 0..50 {
                add(&store, &name("a"), [counted(player, 1)]);
                assert_eq!(view.state(&player).expect("a state").0, round);
                assert_eq!(view.state(&(1_000 + player)).expect("a state").0, 0, "of nothing nothing is kept");
                assert!(view.kept() <= KEPT, "{} of {KEPT} are kept", view.kept());
                assert_eq!(STATES.load(Ordering::SeqCst), view.kept() as u64, "and no others are there");
            }
            assert!(least <= view.kept(), "{} of {KEPT} are kept", view.kept());
        }
        drop((view, store));
        assert_eq!(STATES.load(Ordering::SeqCst), 0);
    }
    check::<0>(0);
    check::<1>(1);
    check::<2>(1);
    check::<7>(4);
    check::<32>(16);
    check::<1_000>(50);
}

thread_local! {
    /// How many events were folded in on this thread.
    static FOLDED: Cell<u64> = const { Cell::new(0) };
}

/// Says what is folded.
#[derive(Clone)]
struct Told(u64);

impl KeyedProjection for Told {
    type Key = StreamName;
    type Event = RecordedEvent;

    fn query(stream: &StreamName) -> Query {
        Query::all().in_stream(stream)
    }

    fn new(_: &StreamName) -> Told {
        Told(0)
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        FOLDED.set(FOLDED.get() + 1);
        self.0 += number(event);
    }

    fn states_kept() -> usize {
        8
    }
}

#[test]
fn what_is_kept_is_gone_on_with_and_what_was_not_asked_for_is_folded_anew() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let view = store.keyed_projection::<Told>();
        let streams: Vec<StreamName> = (0..20).map(|number| name(&format!("game-{number}"))).collect();
        streams.iter().for_each(|stream| drop(add(&store, stream, [event(1), event(2), event(4)])));
        let ask = |stream: &StreamName| {
            FOLDED.set(0);
            let sum = view.clone().state(stream).expect("a state").0;
            (sum, FOLDED.get())
        };
        assert_eq!(ask(&streams[0]), (7, 3), "the whole stream");
        assert_eq!(ask(&streams[0]), (7, 0));
        add(&store, &streams[0], [event(8)]);
        add(&store, &streams[1], [event(16)]);
        assert_eq!(ask(&streams[0]), (15, 1), "what has come since");
        assert_eq!(store.keyed_projection::<Told>().state(&streams[0]).expect("a state").0, 15);
        // What is asked for again and again stays, whatever else is asked for.
        for stream in &streams[1..] {
            assert!(3 <= ask(stream).1);
            assert_eq!(ask(&streams[0]), (15, 0));
        }
        assert_eq!(ask(&streams[19]), (7, 0), "the last");
        assert_eq!(ask(&streams[1]), (23, 4), "long ago");
        // Of eight, half as many and one less.
        streams[2..5].iter().for_each(|stream| assert_eq!(ask(stream), (7, 3)));
        assert_eq!(ask(&streams[1]), (23, 0));
        store.reopen().expect("it opens again");
        add(&store, &streams[1], [event(32)]);
        assert_eq!(ask(&streams[1]), (55, 1), "the log holds what it ends with");
    });
}

#[test]
fn whoever_has_a_receipt_finds_in_the_state_what_it_is_for() {
    everywhere(|home| {
        let store = home.open();
        let view = sums(&store);
        for number in 1..40 {
            let player = number % 3;
            let before = view.state(&player).expect("a state");
            let copy = Sum::clone(&before);
            let position = add(&store, &name("a"), [counted(player, number)]).last_position();
            let state = view.state(&player).expect("a state");
            assert!(position <= state.position());
            assert_eq!((state.events, state.sum), (before.events + 1, before.sum + number));
            assert_eq!(*before, copy, "what is held changes no more");
        }
    });
}

#[test]
fn the_state_as_it_was_is_had_at_any_position_and_time() {
    everywhere(|home| {
        let store = home.open();
        for number in 0..30 {
            add(&store, &name("a"), [counted(number % 3, number)]);
        }
        let (all, view) = (All::of(&store), sums(&store));
        for round in 0..2 {
            for to in 0..=30 {
                for player in 0..3 {
                    let was = view.state_at(&player, Position::new(to)).expect("it is there");
                    assert_eq!(
                        (&*was, was.position().get()),
                        (&all.state(player, was.position()), to),
                        "round {round}"
                    );
                    let again = sums(&store).state_at(&player, Position::new(to)).expect("it is there");
                    assert_eq!(was.hash().expect("a hash"), again.hash().expect("a hash"));
                }
            }
            all.check(&view, 1, "at last");
        }
        let hash = |to| view.state_at(&1, Position::new(to)).and_then(|state| state.hash()).expect("a hash");
        assert_eq!((hash(2), hash(4) == hash(5)), (hash(4), false));
        let time = store.event_at(Position::new(20)).expect("an event").time();
        let was = view.state_at(&2, time).expect("it is there");
        assert_eq!(*was, all.state(2, was.position()));
        assert!(20 <= was.position().get());
        let error = view.state_at(&2, Position::new(31)).expect_err("the store ends before");
        check_says(&error, ErrorKind::EventNotFound, &["Sum", "of 2"]);
    });
}

scorebook::events! {
    /// What happens to a counter.
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        /// A number was counted.
        Number(u64) = "counted", 1;
    }
}

scorebook::events! {
    /// The same, where there are others.
    #[derive(Clone, Debug, PartialEq)]
    enum Halved {
        /// A number was counted, by halves.
        Number(u64) = "counted", 1;
    }
}

thread_local! {
    static IS_FRAGILE: Cell<bool> = const { Cell::new(true) };
}

/// Fails where it is told to.
#[derive(Clone)]
struct Fragile(u64);

impl KeyedProjection for Fragile {
    type Key = String;
    type Event = Counted;

    fn query(player: &String) -> Query {
        Query::all().tag("player", player)
    }

    fn new(player: &String) -> Fragile {
        assert!(player != "nobody", "nobody is nobody");
        Fragile(0)
    }

    fn apply(&mut self, Counted::Number(number): &Counted, _: &EventContext<'_>) {
        FOLDED.set(FOLDED.get() + 1);
        self.0 += number;
        assert!(*number != 7 || !IS_FRAGILE.get(), "seven is too much");
    }

    fn on_unknown() -> OnUnknown {
        OnUnknown::Fail
    }
}

#[test]
fn a_fault_is_an_error_of_that_key_alone_and_says_at_which_event() {
    let store = Home::simulated().open();
    let view = store.keyed_projection::<Fragile>();
    let state = |player: &str| view.state(&player.to_owned()).map(|state| state.0);
    let count = |player: &str, number| drop(add(&store, &name("a"), [event(number).tag("player", player)]));
    ["ann", "bob", "cid"].iter().for_each(|player| count(player, 3));
    assert_eq!((state("ann").ok(), state("bob").ok()), (Some(3), Some(3)));
    count("ann", 4);
    count("ann", 7);
    count("ann", 9);
    count("bob", 1);
    add(&store, &name("a"), [NewEvent::json("mentioned", &1).expect("a number").tag("player", "cid")]);
    add(&store, &name("b"), [NewEvent::json("counted", "many").expect("text").tag("player", "dora")]);
    for _ in 0..2 {
        let error = state("ann").expect_err("it panics");
        check_says(&error, ErrorKind::Decode, &["Fragile", "\"ann\""]);
        let said = format!("{error:?}");
        assert!(said.contains("position 5, event 5 of stream a") && said.contains("seven is too much"), "{said}");
        assert_eq!(state("bob").ok(), Some(4), "the others go on");
    }
    let error = state("cid").expect_err("it does not know the event");
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    assert!(format!("{error:?}").contains("position 8"), "{error:?}");
    let error = state("dora").expect_err("it is no number");
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(format!("{error:?}").contains("position 9, event 1 of stream b"), "{error:?}");
    let was = |to| view.state_at(&"ann".to_owned(), Position::new(to)).map(|state| state.0);
    assert_eq!((was(3).ok(), was(4).ok(), was(5).is_err()), (Some(3), Some(7), true));
    IS_FRAGILE.set(false);
    assert_eq!(state("ann").ok(), Some(23), "it is mended, and nothing is missing or twice");
    check_says(&state("nobody").expect_err("it panics"), ErrorKind::Decode, &["Fragile", "\"nobody\""]);
    let error = state("a\nb").expect_err("no tag has that");
    check_says(&error, ErrorKind::InvalidName, &["\"a\\nb\""]);
}

#[test]
fn what_another_registry_has_folded_is_folded_anew() {
    let store = EventStore::open_in_memory().expect("a store");
    let view = store.keyed_projection::<Fragile>();
    add(&store, &name("a"), [event(1).tag("player", "eve")]);
    let ask = || {
        FOLDED.set(0);
        view.state(&"eve".to_owned()).map(|state| (state.0, FOLDED.get())).map_err(|error| error.kind())
    };
    assert_eq!((ask(), ask()), (Ok((1, 1)), Ok((1, 0))));
    store.use_registry(&Registry::builder().events::<Halved>().build().expect("a registry"));
    assert_eq!(ask(), Err(ErrorKind::InvalidArgument), "it has not the events");
    for _ in 0..2 {
        store.use_registry(&Registry::builder().events::<Counted>().build().expect("a registry"));
        assert_eq!((ask(), ask()), (Ok((1, 1)), Ok((1, 0))));
        assert_eq!(view.kept(), 1);
    }
}

#[test]
fn what_the_store_has_lost_is_in_no_state_of_a_key() {
    let disk = SimulatedDisk::new(7);
    let store = written().open_simulated(&disk).expect("a store");
    let reader = written().open_simulated_read_only(&disk).expect("a reader");
    let (view, beside) = (sums(&store), sums(&reader));
    let all = |whence: &str| {
        let all = All::of(&store);
        (1..4).for_each(|player| all.check(&view, player, whence));
        let seen = All::of(&reader);
        (1..4).for_each(|player| seen.check(&beside, player, &format!("beside, {whence}")));
    };
    add(&store, &name("a"), [counted(1, 1), counted(2, 2)]);
    store.flush().expect("flushed");
    // Of the first player nothing is lost, but what is lost has positions behind his that were looked at.
    add(&store, &name("a"), [counted(2, 4), counted(3, 8), counted(2, 16)]);
    all("before");
    assert_eq!(lose(&disk, &store), 3, "what was only written is gone");
    all("opened again");
    add(&store, &name("a"), [counted(1, 100), counted(2, 200), counted(3, 400)]);
    all("gone on");
    assert_eq!((view.state(&1).expect("a state").sum, view.state(&3).expect("a state").sum), (101, 400));
    // As much comes back as was lost, before anybody asks again.
    store.flush().expect("flushed");
    add(&store, &name("a"), [counted(3, 1), counted(3, 2), counted(2, 3)]);
    all("once more");
    assert_eq!(lose(&disk, &store), 3);
    add(&store, &name("a"), [counted(1, 5), counted(3, 6), counted(2, 7), counted(1, 8)]);
    all("as many as before");
}

#[test]
fn closed_is_closed_and_a_new_view_goes_by_what_is_there_then() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let view = sums(&store);
        add(&store, &name("a"), [counted(1, 1)]);
        assert_eq!(view.state(&1).expect("a state").sum, 1);
        let clone = store.clone();
        store.close().expect("it closes");
        for view in [&view, &sums(&store)] {
            assert_eq!(view.state(&1).expect_err("it is closed").kind(), ErrorKind::Closed);
            assert_eq!(view.state_at(&1, Position::new(1)).expect_err("it is closed").kind(), ErrorKind::Closed);
        }
        let other = home.open();
        add(&other, &name("a"), [counted(1, 2)]);
        other.close().expect("it closes");
        clone.reopen().expect("it opens again");
        assert_eq!(view.state(&1).expect_err("it was closed").kind(), ErrorKind::Closed);
        let view = sums(&clone);
        assert_eq!(view.state(&1).expect("a state").sum, 3);
        drop((store, clone));
        let store = home.open();
        assert_eq!(view.state(&1).expect_err("it does not keep the store open").kind(), ErrorKind::Closed);
        drop(store);
    });
}

#[test]
fn beside_a_process_that_writes_a_state_is_what_is_seen_there() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        add(&store, &name("a"), [counted(1, 1)]);
        let reader = home.read_only().expect("it is read");
        let view = sums(&reader);
        for number in 2..60 {
            add(&store, &name("a"), [counted(number % 4, number)]);
            let head = store.head().expect("a head");
            eventually("it is seen", || head <= reader.head().expect("a head"));
            All::of(&store).check(&view, number % 4, "beside");
        }
        store.close().expect("it closes");
        All::of(&reader).check(&view, 1, "when the writer is gone");
    });
}

#[test]
fn where_events_are_lost_to_damage_that_is_said() {
    for lost in [2, 3, 4] {
        let disk = SimulatedDisk::new(7);
        let store = EventStore::options().open_simulated(&disk).expect("a store");
        for number in 1..=4 {
            let padding = (0..20).map(|tag| ("padding", "x".repeat(20 + tag)));
            add(
                &store,
                &name("a"),
                [padding.fold(counted(number % 2, number), |event, (key, value)| event.tag(key, value))],
            );
        }
        let place = store.event_at(Position::new(lost)).expect("an event").place();
        store.close().expect("closing");
        disk.garble("log/0000000001.log", u64::from(place.offset) + 300..u64::from(place.offset) + 400, 1);
        let damaged = EventStore::options().open_simulated_read_only(&disk).expect("the rest can be read");
        let copy = SimulatedDisk::new(8);
        scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
        let salvaged = EventStore::options().open_simulated(&copy).expect("the copy opens");
        for (store, kind) in [(damaged, ErrorKind::Damaged), (salvaged, ErrorKind::Lost)] {
            let view = sums(&store);
            for player in [0, 1, 0, 1] {
                let error = view.state(&player).expect_err("nobody knows whose the event was");
                check_says(&error, kind, &["Sum", &format!("of {player}")]);
                let was = view.state_at(&player, Position::new(1)).expect("this is before");
                assert_eq!(was.sum, player);
            }
        }
    }
}

#[test]
fn where_nobody_knows_how_much_is_missing_at_the_end_that_is_said() {
    let disk = SimulatedDisk::new(7);
    let store = small_segments().open_simulated(&disk).expect("a store");
    for number in 0..60 {
        let padding = (0..20).map(|tag| ("padding", "x".repeat(50 + tag)));
        add(
            &store,
            &name("a"),
            [padding.fold(counted(number % 2, number), |event, (key, value)| event.tag(key, value))],
        );
    }
    let last = store.event_at(Position::new(60)).expect("an event").place().segment;
    store.close().expect("closing");
    assert!(1 < last && disk.remove_file(&format!("log/{last:010}.log")));
    let damaged = small_segments().open_simulated_read_only(&disk).expect("the rest can be read");
    let view = sums(&damaged);
    for player in [0, 1, 0, 2] {
        assert_eq!(view.state(&player).expect_err("there may be more").kind(), ErrorKind::Damaged);
        assert!(view.state_at(&player, Position::new(2)).is_ok());
    }
}

#[test]
fn sixty_four_threads_find_what_they_wrote_whatever_the_others_ask_for() {
    wherever_threads_are(|home| {
        let store = home.open_with(&written());
        let view = sums(&store);
        thread::scope(|scope| {
            for thread in 0..64_u64 {
                let (store, view) = (&store, view.clone());
                scope.spawn(move || {
                    let (stream, mut seen) = (name(&format!("thread-{thread}")), BTreeMap::<u64, u64>::new());
                    for round in 0..12 {
                        let player = (thread + round * 5) % 9;
                        let position = add(store, &stream, [counted(player, thread)]).last_position();
                        let state = view.state(&player).expect("a state");
                        assert!(position <= state.position() && view.kept() <= 4);
                        let before = seen.insert(player, state.events).unwrap_or(0);
                        assert!(before < state.events, "what I wrote is there, and nothing goes back");
                    }
                });
            }
        });
        let all = All::of(&store);
        (0..9).for_each(|player| all.check(&view, player, "at the end"));
        assert_eq!((0..9).map(|player| all.state(player, Position::new(u64::MAX)).events).sum::<u64>(), 64 * 12);
    });
}

#[test]
fn a_fold_that_takes_its_time_holds_up_nobody() {
    static MAY_END: AtomicBool = AtomicBool::new(false);
    static HAS_BEGUN: AtomicU64 = AtomicU64::new(0);

    /// Takes its time for the first player.
    #[derive(Clone)]
    struct Slow(u64);

    impl KeyedProjection for Slow {
        type Key = u64;
        type Event = RecordedEvent;

        fn query(player: &u64) -> Query {
            Query::all().tag("player", player)
        }

        fn new(player: &u64) -> Slow {
            let begun = Instant::now();
            if *player == 1 {
                HAS_BEGUN.fetch_add(1, Ordering::SeqCst);
            }
            while *player == 1 && !MAY_END.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < PATIENCE, "the others are held up");
                thread::yield_now();
            }
            Slow(0)
        }

        fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
            self.0 += number(event);
        }
    }

    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), [counted(1, 1), counted(2, 2), counted(1, 4)]);
    let view = store.keyed_projection::<Slow>();
    thread::scope(|scope| {
        let slow: Vec<_> = (0..2).map(|_| scope.spawn(|| view.state(&1).expect("a state").0)).collect();
        eventually("both have begun", || HAS_BEGUN.load(Ordering::SeqCst) == 2);
        assert_eq!(view.state(&2).expect("a state").0, 2);
        add(&store, &name("a"), [counted(2, 8), counted(1, 16)]);
        assert_eq!(view.state(&2).expect("a state").0, 10);
        assert_eq!((store.keyed_projection::<Slow>().kept(), view.kept()), (1, 1));
        MAY_END.store(true, Ordering::SeqCst);
        for slow in slow {
            assert_eq!(slow.join().expect("no panic"), 5, "up to where the store reached when it was asked");
        }
    });
    assert_eq!(view.state(&1).expect("a state").0, 21);
}

/// What both of two players have: a key may be of several parts, and a fold may ask for others.
#[derive(Clone)]
struct Together(EventStore, u64);

thread_local! {
    static STORE: Cell<Option<EventStore>> = const { Cell::new(None) };
}

impl KeyedProjection for Together {
    type Key = (u64, u64);
    type Event = RecordedEvent;

    fn query((one, other): &(u64, u64)) -> Query {
        Query::all().tag("player", one).tag("player", other)
    }

    fn new(_: &(u64, u64)) -> Together {
        let store = STORE.take().expect("a store");
        STORE.set(Some(store.clone()));
        Together(store, 0)
    }

    fn apply(&mut self, event: &RecordedEvent, context: &EventContext<'_>) {
        let sums = sums(&self.0);
        let before = sums.state_at(&1, context.position()).expect("a state");
        self.1 += number(event) * before.events;
    }
}

#[test]
fn a_fold_may_ask_for_other_states() {
    let store = EventStore::open_in_memory().expect("a store");
    STORE.set(Some(store.clone()));
    let both = |number| counted(1, number).tag("player", 2);
    add(&store, &name("a"), [both(10), counted(1, 1), both(100), counted(2, 5), both(1_000)]);
    let state = store.keyed_projection::<Together>().state(&(1, 2)).expect("a state");
    assert_eq!(state.1, 10 + 100 * 3 + 1_000 * 4);
    STORE.set(None);
}

#[test]
fn a_plain_map_of_all_keys_says_the_same() {
    let store = EventStore::open_in_memory().expect("a store");
    let (mut chance, mut all) = (Chance(seed()), All::default());
    let view = sums(&store);
    for _ in 0..300 {
        append(&store, &mut all, &mut chance);
    }
    let mut map = HashMap::<u64, Sum<4>>::new();
    for (players, number) in &all.0 {
        let mut players = players.clone();
        players.dedup();
        for player in players {
            map.entry(player).or_insert_with_key(Sum::new).take(*number);
        }
    }
    assert!(30 < map.len());
    for (player, sum) in &map {
        assert_eq!(*view.state(player).expect("a state"), *sum, "seed {}", seed());
    }
}
