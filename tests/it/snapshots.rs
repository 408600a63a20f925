//! Snapshots of aggregates: whatever becomes of them, what is loaded is what the events fold to.

use super::support::{Home, add, check_says, name, small_segments, wherever_it_lasts};
use crate::model::{Chance, Choices, seed};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure, verify_simulated};
use scorebook::{
    Aggregate, Codec, Concern, Durability, Error, ErrorKind, Event, EventContext, EventStore, ExpectedVersion, Loaded,
    NewEvent, Options, Position, Registry, SnapshotFault, SnapshotInfo, SnapshotOutcome, SnapshotSource, Snapshots,
    StreamName, Thresholds, Version,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        Up((u64, String)) = "counted_up", 1;
    }
}

type Said = Option<Snapshots<Counter>>;

thread_local! {
    /// What the counter says of its snapshots.
    static SAID: Cell<fn() -> Said> = const { Cell::new(|| None) };
    /// What the fold makes of a number.
    static FACTOR: Cell<u64> = const { Cell::new(1) };
    /// How long a fold takes, by which disk.
    static SLOW: Cell<Option<&'static SimulatedDisk>> = const { Cell::new(None) };
}

/// What has come to a counter; its trail is another one for every other sequence of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counter {
    sum: u64,
    trail: u64,
    last: u64,
    by_number: BTreeMap<u64, u64>,
}

impl Counter {
    fn fold(&mut self, Counted::Up((up, _)): &Counted, context: &EventContext<'_>) {
        self.sum += up * FACTOR.get();
        self.trail = self.trail.wrapping_mul(31).wrapping_add(*up ^ context.position().get() << 7);
        self.last = context.version().get();
        *self.by_number.entry(up % 3).or_default() += 1;
        if let Some(disk) = SLOW.get() {
            disk.advance(Duration::from_millis(1));
        }
    }
}

impl Aggregate for Counter {
    type Event = Counted;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Counter {
        Counter { sum: 0, trail: 0, last: 0, by_number: BTreeMap::new() }
    }

    fn decide(&self, up: &u64) -> Result<Vec<Counted>, ()> {
        Ok(vec![Counted::Up((*up, String::new()))])
    }

    fn apply(&mut self, event: &Counted, context: &EventContext<'_>) {
        self.fold(event, context);
    }

    fn snapshots() -> Option<Snapshots<Counter>> {
        SAID.get()()
    }
}

/// The same without snapshots, and without a memory.
#[derive(Clone)]
struct Plain(Counter);

impl Aggregate for Plain {
    type Event = Counted;
    type Command = u64;
    type Refusal = ();

    fn new(stream: &StreamName) -> Plain {
        Plain(Counter::new(stream))
    }

    fn decide(&self, _: &u64) -> Result<Vec<Counted>, ()> {
        Ok(Vec::new())
    }

    fn apply(&mut self, event: &Counted, context: &EventContext<'_>) {
        self.0.fold(event, context);
    }

    fn states_kept() -> usize {
        0
    }
}

fn say(said: fn() -> Said) {
    SAID.set(said);
}

fn by_hand() -> Said {
    Some(Snapshots::json(1).by_hand())
}

fn every_3() -> Said {
    Some(Snapshots::json(1).every_events(3))
}

fn up(number: u64) -> NewEvent {
    Counted::Up((number, "x".repeat(number as usize % 40))).encode().expect("JSON")
}

fn ups(store: &EventStore, stream: &str, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| {
        add(store, &name(stream), [up(number)]);
    });
}

fn load(store: &EventStore, stream: &str) -> Loaded<Counter> {
    store.aggregate::<Counter>(&name(stream)).load().expect("it can be loaded")
}

fn save(store: &EventStore, stream: &str) -> bool {
    let counter = store.aggregate::<Counter>(&name(stream));
    counter.save_snapshot(&counter.load().expect("it can be loaded")).expect("it can be saved")
}

/// Fails where what is loaded is not what the events fold to, now or at any version.
#[track_caller]
fn check(store: &EventStore, stream: &StreamName, whence: &str) {
    let (counter, plain) = (store.aggregate::<Counter>(stream), store.aggregate::<Plain>(stream));
    let told = |error: Error| error.kind();
    let of = |loaded: Result<Loaded<Counter>, Error>| {
        loaded.map(|loaded| (loaded.state().clone(), loaded.version(), loaded.position())).map_err(told)
    };
    let of_plain = |loaded: Result<Loaded<Plain>, Error>| {
        loaded.map(|loaded| (loaded.state().0.clone(), loaded.version(), loaded.position())).map_err(told)
    };
    let now = of_plain(plain.load());
    assert_eq!(of(counter.load()), now, "{whence}: {stream} now");
    let last = now.map_or(3, |(_, version, _)| version.get());
    for version in (0..=last + 1).map(Version::new) {
        let then = of_plain(plain.state_at(version));
        assert_eq!(of(counter.state_at(version)), then, "{whence}: {stream} at version {version}");
        if let Ok((_, _, position)) = then
            && let Ok(event) = store.event_at(position)
        {
            let (time, then) = (event.time(), of_plain(plain.state_at(event.time())));
            assert_eq!(of(counter.state_at(time)), then, "{whence}: {stream} at {time:?}");
        }
    }
}

fn listed(store: &EventStore) -> Vec<SnapshotInfo> {
    store.snapshots().expect("they can be listed")
}

fn versions(store: &EventStore) -> Vec<u64> {
    listed(store).iter().map(|snapshot| snapshot.version().get()).collect()
}

fn paths(disk: &SimulatedDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|path| path.starts_with("snapshots/")).collect()
}

fn passed_over(store: &EventStore) -> Vec<SnapshotFault> {
    let health = store.health(&Thresholds::default()).expect("it says how it does");
    let over = health.concerns().iter().filter_map(|concern| match concern {
        Concern::SnapshotPassedOver { fault, .. } => Some(*fault),
        _ => None,
    });
    over.collect()
}

fn simulated(disk: &SimulatedDisk) -> EventStore {
    small_segments().open_simulated(disk).expect("it opens")
}

#[test]
fn the_next_opening_replays_only_what_has_come_since() {
    for said in [every_3, || Some(Snapshots::bincode(1).every_events(3))] {
        say(said);
        wherever_it_lasts(|home| {
            let store = home.open();
            let counter = store.aggregate::<Counter>(&name("counter-1"));
            for number in 0..10 {
                let executed = counter.execute(number).wait().expect("nothing is refused");
                assert_eq!(executed.state().map(|state| state.last), Some(number + 1));
            }
            store.close().expect("it closes");
            let store = home.open();
            let loaded = load(&store, "counter-1");
            assert_eq!(loaded.version().get(), 10);
            let saved = versions(&store);
            // Where they are saved behind the answer others may have come by then.
            if home.has_threads() {
                assert!(saved.len() <= 2 && 8 <= saved[0], "{saved:?}");
            } else {
                assert_eq!(saved, [9, 6]);
            }
            assert_eq!(loaded.snapshot().map(Version::get), Some(saved[0]));
            let snapshot = &listed(&store)[0];
            let source = SnapshotSource::Aggregate {
                name: std::any::type_name::<Counter>().to_owned(),
                stream: name("counter-1"),
            };
            assert_eq!((snapshot.source(), snapshot.schema(), snapshot.fault()), (Some(&source), 1, None));
            assert_eq!(snapshot.codec(), SAID.get()().map(|said| said.codec()));
            assert_eq!(snapshot.position(), Position::new(saved[0]));
            assert!(snapshot.bytes() > 256 && snapshot.time().is_some());
            check(&store, &name("counter-1"), "opened again");
            let reader = home.read_only().expect("it can be read");
            assert!(loaded.snapshot() <= load(&reader, "counter-1").snapshot());
            let refused = reader.aggregate::<Counter>(&name("counter-1")).save_snapshot(&loaded).expect_err("it reads");
            assert_eq!(refused.kind(), ErrorKind::ReadOnly);
        });
    }
}

#[test]
fn a_state_as_it_was_begins_with_the_nearest_snapshot() {
    say(by_hand);
    let disk = SimulatedDisk::new(7);
    let store = small_segments().snapshots_kept(3).open_simulated(&disk).expect("it opens");
    for range in [0..4, 4..7, 7..12] {
        ups(&store, "counter-1", range);
        assert!(save(&store, "counter-1"));
    }
    ups(&store, "counter-1", 12..15);
    assert_eq!(versions(&store), [12, 7, 4]);
    drop(store);
    let store = simulated(&disk);
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    let nearest = |version: u64| {
        let at = counter.state_at(Version::new(version)).expect("it was there");
        assert_eq!(at.version().get(), version);
        at.snapshot().map(Version::get)
    };
    let expected = [None, None, None, None, Some(4), Some(4), Some(4), Some(7), Some(7)];
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8].map(nearest), expected);
    assert_eq!([11, 12, 15].map(nearest), [Some(7), Some(12), Some(12)]);
    let saved = |loaded: Option<Loaded<Counter>>| loaded.map(|loaded| loaded.version().get());
    assert_eq!(saved(counter.latest_snapshot().expect("it can be asked")), Some(12));
    let before = |version| saved(counter.snapshot_at_or_before(Version::new(version)).expect("it can be asked"));
    assert_eq!([3, 4, 11, 99].map(before), [None, Some(4), Some(7), Some(12)]);
    check(&store, &name("counter-1"), "with three snapshots");
    assert_eq!(counter.delete_snapshots().expect("they can be removed"), 3);
    assert_eq!(counter.state_at(Version::new(8)).expect("it was there").snapshot(), None);
    check(&store, &name("counter-1"), "without snapshots");
}

#[test]
fn an_older_state_never_takes_the_place_of_a_newer_one() {
    say(by_hand);
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    ups(&store, "counter-1", 0..9);
    let older: Vec<_> = (1..=9).map(|version| counter.state_at(Version::new(version)).expect("it was there")).collect();
    assert!(counter.save_snapshot(&older[4]).expect("it is the first"));
    assert!(counter.save_snapshot(&older[7]).expect("it goes further"));
    for loaded in &older[..8] {
        assert!(!counter.save_snapshot(loaded).expect("it is looked at"), "{}", loaded.version());
    }
    assert_eq!(versions(&store), [8, 5]);
    assert!(counter.save_snapshot(&older[8]).expect("it goes further"));
    assert_eq!(versions(&store), [9, 8], "the oldest goes");
    let other = store.aggregate::<Counter>(&name("counter-2"));
    assert!(!other.save_snapshot(&older[8]).expect("it is looked at"), "a state of another stream");
    assert!(!other.save_snapshot(&other.load().expect("it is new")).expect("it is looked at"), "a state of nothing");
    say(|| None);
    check_says(&other.save_snapshot(&older[8]).unwrap_err(), ErrorKind::InvalidArgument, &["Counter"]);
    // In memory there is nothing to come back to.
    say(by_hand);
    let store = Home::Memory.open();
    ups(&store, "counter-1", 0..3);
    assert!(!save(&store, "counter-1") && listed(&store).is_empty());
}

#[test]
fn a_policy_has_states_saved_when_it_says_so() {
    // When there are snapshots of which versions, after so many events of 40 bytes and a few.
    let saved = |said: fn() -> Said, closes: bool| {
        say(said);
        let disk = SimulatedDisk::new(7);
        let store = small_segments().snapshots_kept(100).open_simulated(&disk).expect("it opens");
        let counter = store.aggregate::<Counter>(&name("counter-1"));
        for _ in 0..11 {
            counter.execute(39).wait().expect("nothing is refused");
        }
        if closes {
            store.close().expect("it closes");
        }
        let mut versions = versions(&EventStore::options().open_simulated_read_only(&disk.kill()).expect("it opens"));
        versions.reverse();
        versions
    };
    assert_eq!(saved(every_3, false), [3, 6, 9]);
    assert_eq!(saved(|| Some(Snapshots::json(1)), true), [0; 0], "500 events have not come");
    assert_eq!(saved(by_hand, true), [0; 0]);
    assert_eq!(saved(|| Some(Snapshots::json(1).at_close()), false), [0; 0]);
    assert_eq!(saved(|| Some(Snapshots::json(1).at_close()), true), [11]);
    assert_eq!(saved(|| Some(Snapshots::json(1).every_events(4).at_close()), true), [4, 8, 11]);
    let bytes = saved(|| Some(Snapshots::json(1).every_bytes(20)), false);
    assert_eq!(bytes, [3, 6, 9], "seven bytes each");
}

#[test]
fn a_load_that_took_long_is_the_last_that_does() {
    say(|| Some(Snapshots::json(1).when_replay_takes(Duration::from_millis(5))));
    let disk: &'static SimulatedDisk = Box::leak(Box::new(SimulatedDisk::new(7)));
    let store = simulated(disk);
    SLOW.set(Some(disk));
    ups(&store, "counter-1", 0..4);
    ups(&store, "counter-2", 0..6);
    load(&store, "counter-1");
    assert_eq!(versions(&store), [0; 0], "four events take four milliseconds");
    load(&store, "counter-2");
    assert_eq!(versions(&store), [6]);
    SLOW.set(None);
}

#[test]
fn what_is_damaged_foreign_or_of_another_shape_is_passed_over_and_told() {
    say(by_hand);
    let disk = SimulatedDisk::new(seed());
    let store = simulated(&disk);
    for numbers in [0..5, 5..9] {
        ups(&store, "counter-1", numbers);
        assert!(save(&store, "counter-1"));
    }
    ups(&store, "counter-1", 9..12);
    drop(store);
    let files = paths(&disk);
    let [older, newer] = &files[..] else { panic!("two snapshots, and not {files:?}") };
    let look = |disk: &SimulatedDisk, whence: &str| {
        let store = simulated(disk);
        let snapshot = load(&store, "counter-1").snapshot().map(Version::get);
        check(&store, &name("counter-1"), whence);
        (snapshot, passed_over(&store))
    };
    assert_eq!(look(&disk.kill(), "as they are"), (Some(9), Vec::new()));

    let notes = |disk: &SimulatedDisk| {
        let report = verify_simulated(disk).expect("it can be verified");
        assert!(report.is_sound(), "what is derived is no damage");
        report.notes().iter().filter(|note| note.contains("snapshots/")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(notes(&disk), [""; 0]);
    let copy = disk.kill();
    copy.flip_bit(newer, disk.read_file(newer).expect("it is there").len() as u64 - 1, 1);
    assert!(matches!(&notes(&copy)[..], [note] if note.contains(newer) && note.contains("do not verify")));

    let copy = disk.kill();
    copy.write_file(newer, &disk.read_file(older).expect("it is there"));
    assert!(matches!(&notes(&copy)[..], [note] if note.contains("belongs elsewhere")));
    assert_eq!(look(&copy, "another one of these"), (Some(5), vec![SnapshotFault::Foreign]));

    let foreign = SimulatedDisk::new(seed() + 1);
    let other = simulated(&foreign);
    ups(&other, "counter-1", 20..29);
    assert!(save(&other, "counter-1"));
    let copy = disk.kill();
    copy.write_file(newer, &foreign.read_file(&paths(&foreign)[0]).expect("it is there"));
    assert_eq!(look(&copy, "of another store"), (Some(5), vec![SnapshotFault::Foreign]));

    say(|| Some(Snapshots::bincode(1).by_hand()));
    assert_eq!(look(&disk.kill(), "of another codec"), (None, vec![SnapshotFault::Shape; 2]));
    say(|| Some(Snapshots::json(2).by_hand()));
    let copy = disk.kill();
    assert_eq!(look(&copy, "of another schema"), (None, Vec::new()), "that is no fault");
    let store = simulated(&copy);
    assert!(save(&store, "counter-1"));
    assert_eq!(versions(&store), [12], "those of older schemas go");
    drop(store);
    say(by_hand);
    let store = simulated(&copy);
    assert!(save(&store, "counter-1"));
    let mut schemas: Vec<u32> = listed(&store).iter().map(SnapshotInfo::schema).collect();
    schemas.sort_unstable();
    assert_eq!(schemas, [1, 2], "those of newer ones stay");
}

/// A state of the same schema that has a field more.
#[test]
fn whoever_forgets_the_schema_replays() {
    say(by_hand);
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    ups(&store, "counter-1", 0..5);
    assert!(save(&store, "counter-1"));
    drop(store);
    let store = simulated(&disk);
    FACTOR.set(10);
    // The fold has changed and the schema has not: nothing tells, unless somebody verifies.
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    let outcomes = |store: &EventStore| {
        let checks = store.aggregate::<Counter>(&name("counter-1")).verify_snapshots().expect("it can be verified");
        checks.iter().map(|check| check.outcome().clone()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&store), [SnapshotOutcome::Differs]);
    let registry = Registry::builder().aggregate::<Counter>("counter").build().expect("a registry");
    let checks = registry.verify_snapshots(&store).expect("it can be verified");
    assert_eq!(checks.iter().map(|check| check.outcome()).collect::<Vec<_>>(), [&SnapshotOutcome::Differs]);
    assert_eq!(checks[0].snapshot(), &listed(&store)[0]);
    FACTOR.set(1);
    assert_eq!(outcomes(&store), [SnapshotOutcome::Same]);
    store.truncate_before(counter.stream(), Version::new(3)).wait().expect("it is truncated");
    assert!(
        matches!(&outcomes(&store)[..], [SnapshotOutcome::Unchecked(why)] if why.contains("begins with version 3"))
    );
}

#[test]
fn a_snapshot_flipped_in_any_byte_or_cut_anywhere_changes_no_answer() {
    for said in [by_hand, || Some(Snapshots::bincode(1).by_hand())] {
        say(said);
        let disk = SimulatedDisk::new(seed());
        let store = simulated(&disk);
        for numbers in [0..2, 2..4] {
            ups(&store, "counter-1", numbers);
            assert!(save(&store, "counter-1"));
        }
        ups(&store, "counter-1", 4..5);
        drop(store);
        let disk = disk.kill();
        let expected = load(&simulated(&disk.kill()), "counter-1").into_state();
        let (mut used, mut ignored) = (0, 0);
        let files = paths(&disk);
        let lens: Vec<usize> = files.iter().map(|path| disk.read_file(path).expect("it is there").len()).collect();
        for path in files {
            let bytes = disk.read_file(&path).expect("it is there");
            for at in 0..bytes.len() {
                let [flipped, cut] = [disk.kill(), disk.kill()];
                flipped.flip_bit(&path, at as u64, (at % 8) as u8);
                cut.write_file(&path, &bytes[..at]);
                for copy in [flipped, cut] {
                    let loaded = load(&simulated(&copy), "counter-1");
                    let snapshot = loaded.snapshot().map(Version::get);
                    assert!(matches!(snapshot, Some(2 | 4)), "the other one is whole: {snapshot:?}");
                    if snapshot == Some(4) {
                        used += 1
                    } else {
                        ignored += 1
                    }
                    assert_eq!(loaded.state(), &expected, "byte {at} of {path}");
                }
            }
        }
        assert_eq!([used, ignored].map(|count| count / 2), lens[..], "what is done to the older one is of no account");
    }
}

#[test]
fn a_snapshot_that_is_ahead_of_the_log_proves_that_something_was_lost() {
    say(by_hand);
    let disk = SimulatedDisk::new(seed());
    let store = simulated(&disk);
    ups(&store, "counter-1", 0..3);
    let before = disk.kill();
    ups(&store, "counter-1", 3..9);
    assert!(save(&store, "counter-1"));
    let snapshot = paths(&disk).remove(0);
    // The log as it was before, and nothing else that knows more.
    before.write_file(&snapshot, &disk.read_file(&snapshot).expect("it is there"));
    let refused = small_segments().open_simulated(&before.kill()).expect_err("events are missing");
    assert_eq!(refused.kind(), ErrorKind::Damaged, "{refused}");
    // Whoever only reads gets what is there.
    let reader = small_segments().open_simulated_read_only(&before.kill()).expect("it can be read");
    assert!(!reader.recovery_report().damage().is_empty());
    let of_stream = reader.aggregate::<Counter>(&name("counter-1"));
    assert_eq!(of_stream.load().map(drop).map_err(|error| error.kind()), Err(ErrorKind::Damaged));
    assert_eq!(passed_over(&reader), [SnapshotFault::Ahead]);
    assert_eq!(of_stream.state_at(Version::new(2)).expect("it is there").version(), Version::new(2));
    // Without it nobody knows, and one that does not verify says nothing.
    let copy = before.kill();
    copy.flip_bit(&snapshot, 100, 3);
    assert_eq!(load(&simulated(&copy), "counter-1").version(), Version::new(3));
    assert!(before.remove_file(&snapshot));
    assert_eq!(load(&simulated(&before), "counter-1").version(), Version::new(3));
}

#[test]
fn a_snapshot_of_a_log_that_was_this_one_is_passed_over() {
    say(by_hand);
    let begun = SimulatedDisk::new(seed());
    ups(&simulated(&begun), "counter-1", 0..3);
    // Two stores that were one until here, and went on apart to the same positions.
    let go_on = |number: u64| {
        let disk = begun.kill();
        let store = simulated(&disk);
        ups(&store, "counter-1", number..number + 3);
        assert!(save(&store, "counter-1"));
        store.close().expect("it closes");
        disk
    };
    let (mine, theirs) = (go_on(100), go_on(200));
    let paths = [&mine, &theirs].map(|disk| paths(disk).remove(0));
    assert_eq!(paths[0], paths[1]);
    mine.write_file(&paths[0], &theirs.read_file(&paths[1]).expect("it is there"));
    let store = simulated(&mine);
    assert_eq!(load(&store, "counter-1").snapshot(), None);
    check(&store, &name("counter-1"), "with the snapshot of another log");
    assert_eq!(passed_over(&store), [SnapshotFault::AnotherLog]);
}

#[test]
fn what_is_in_a_snapshot_is_durable() {
    say(by_hand);
    let disk = SimulatedDisk::new(seed());
    let written = small_segments().durability(Durability::Written).sync_every(Duration::from_secs(3600));
    let store = written.open_simulated(&disk).expect("it opens");
    for round in 0..4 {
        ups(&store, "counter-1", 3 * round..3 * round + 3);
        assert!(save(&store, "counter-1"));
        let crashed = simulated(&disk.crash(&CrashChoice::LoseAll));
        let loaded = load(&crashed, "counter-1");
        assert_eq!((loaded.version().get(), loaded.snapshot()), (3 * round + 3, Some(loaded.version())));
        check(&crashed, &name("counter-1"), "behind a power cut");
    }
    // What a failed sync has lost is in no snapshot, and in no state.
    ups(&store, "counter-1", 12..15);
    let loaded = load(&store, "counter-1");
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    counter.save_snapshot(&loaded).expect_err("it is not durable");
    disk.heal();
    store.reopen().expect("it opens again");
    assert!(!counter.save_snapshot(&loaded).expect("it is looked at"), "its last event is gone");
    ups(&store, "counter-1", 22..25);
    assert!(!counter.save_snapshot(&loaded).expect("it is looked at"), "its last event is another one");
    check(&store, &name("counter-1"), "opened again");
}

#[test]
fn a_stream_that_begins_later_is_loaded_where_a_snapshot_has_what_was_removed() {
    say(by_hand);
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    ups(&store, "counter-1", 0..6);
    let (counter, stream) = (store.aggregate::<Counter>(&name("counter-1")), name("counter-1"));
    let expected: Vec<Counter> = (0..=9)
        .map(|version| counter.state_at(Version::new(version.min(6))).expect("it was there").into_state())
        .collect();
    counter.save_snapshot(&counter.load().expect("it is there")).expect("it is saved");
    let at = |store: &EventStore, version: u64| {
        let counter = store.aggregate::<Counter>(&stream);
        counter.state_at(Version::new(version)).map(Loaded::into_state).map_err(|error| error.kind())
    };
    let now = |store: &EventStore| {
        let loaded = store.aggregate::<Counter>(&stream).load();
        loaded.map(|loaded| loaded.version().get()).map_err(|error| error.kind())
    };
    for first in 3..=9 {
        // The state goes up to 6: up to a floor of 7 nothing is missing behind it.
        if first == 7 {
            ups(&store, "counter-1", 6..9);
        }
        let cut =
            |store: &EventStore| store.truncate_before(&stream, Version::new(first)).wait().expect("it is truncated");
        cut(&store);
        let copy = simulated(&disk.kill());
        let count = if first < 7 { 6 } else { 9 };
        let expected_now = if first <= 7 { Ok(count) } else { Err(ErrorKind::BelowFloor) };
        assert_eq!(now(&copy), expected_now, "it begins with {first}");
        assert_eq!(at(&copy, 6), Ok(expected[6].clone()), "it begins with {first}");
        assert_eq!(at(&copy, 5), Err(ErrorKind::BelowFloor), "it begins with {first}");
        copy.aggregate::<Counter>(&stream).delete_snapshots().expect("they can be removed");
        let copy = {
            let kept = disk.kill();
            paths(&kept).iter().for_each(|path| assert!(kept.remove_file(path)));
            simulated(&kept)
        };
        assert_eq!(now(&copy), Err(ErrorKind::BelowFloor), "it begins with {first}, and nobody knows the rest");
    }
}

#[test]
fn what_was_deleted_is_in_no_state_of_what_came_behind() {
    say(by_hand);
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    let stream = name("counter-1");
    ups(&store, "counter-1", 0..3);
    assert!(save(&store, "counter-1"));
    let now = |whence: &str| {
        let copy = simulated(&disk.kill());
        check(&copy, &stream, whence);
        assert_eq!(passed_over(&copy), [], "{whence}: that is no fault");
        let loaded = copy.aggregate::<Counter>(&stream).load();
        loaded.map(|loaded| loaded.snapshot().map(Version::get)).map_err(|error| error.kind())
    };
    assert_eq!(now("as it is"), Ok(Some(3)));
    store.delete(&stream, ExpectedVersion::Any, "made by mistake").wait().expect("it is deleted");
    assert_eq!(now("deleted"), Err(ErrorKind::Deleted));
    ups(&store, "counter-1", 3..5);
    assert_eq!(now("begun anew"), Err(ErrorKind::BelowFloor));
    store.undelete(&stream).wait().expect("it is undeleted");
    assert_eq!(now("undeleted"), Ok(Some(3)));
    store.tombstone(&stream, ExpectedVersion::Any, "asked to be forgotten").wait().expect("it is finished");
    assert_eq!(now("finished"), Err(ErrorKind::Deleted));
}

#[test]
fn a_full_disk_keeps_nothing_from_being_loaded_and_leaves_nothing_behind() {
    say(every_3);
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    ups(&store, "counter-1", 0..2);
    counter.load().expect("it is there");
    let full = disk.kill();
    let store = simulated(&full);
    let counter = store.aggregate::<Counter>(&name("counter-1"));
    counter.execute(0).wait().expect("there is room in the log");
    let files = paths(&full);
    full.set_names_max(Some(full.file_names().len()));
    for number in 0..9 {
        counter.execute(number).wait().expect("there is room in the log");
    }
    assert_eq!(paths(&full), files);
    let loaded = counter.load().expect("it is there");
    let refused = counter.save_snapshot(&loaded).expect_err("there is no room");
    assert!(matches!(refused.kind(), ErrorKind::Full), "{refused:?}");
    check(&store, &name("counter-1"), "without room");
    full.set_names_max(None);
    counter.execute(1).wait().expect("there is room");
    assert_eq!(paths(&full), files, "it rests for a second");
    full.advance(Duration::from_secs(2));
    counter.execute(1).wait().expect("there is room");
    assert_ne!(paths(&full), files, "then it is tried again");
    check(&store, &name("counter-1"), "with room");
}

/// What is done to a store by chance: events, snapshots, truncations, deletions, openings.
fn act(store: &EventStore, chance: &mut Chance) -> Result<(), Error> {
    let stream = name(&format!("counter-{}", chance.below(3)));
    let counter = store.aggregate::<Counter>(&stream);
    let store_of = |error: scorebook::AppendError| error.into_error();
    match chance.below(16) {
        0..6 => {
            let numbers = (0..1 + chance.below(4) as u64).map(|number| up(number + chance.below(90) as u64));
            let events: Vec<NewEvent> = numbers.collect();
            store.append(&stream, ExpectedVersion::Any, events).wait().map_err(store_of)?;
        }
        6..9 => drop(counter.execute(chance.below(90) as u64).wait()),
        9..12 => {
            if let Ok(loaded) = counter.load() {
                counter.save_snapshot(&loaded)?;
            }
        }
        12 => {
            let version = store.version(&stream)?;
            if let Ok(loaded) = counter.state_at(Version::new(chance.below(version.get() as usize + 1) as u64)) {
                counter.save_snapshot(&loaded)?;
            }
        }
        13 if chance.below(3) == 0 => drop(store.delete(&stream, ExpectedVersion::Any, "").wait()),
        14 => drop(store.undelete(&stream).wait()),
        _ => store.flush()?,
    }
    Ok(())
}

fn written() -> Options {
    small_segments().durability(Durability::Written).sync_every(Duration::from_secs(3600))
}

fn check_all(store: &EventStore, whence: &str) {
    (0..3).for_each(|number| check(store, &name(&format!("counter-{number}")), whence));
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and what was tried belong to the answer of this test")]
fn over_any_history_states_are_what_the_events_fold_to() {
    say(|| Some(Snapshots::json(1).every_events(4).at_close()));
    let mut chance = Chance(seed());
    let (mut resumed, mut states) = (0, 0);
    for _ in 0..12 {
        let mut disk = SimulatedDisk::new(chance.next());
        for round in 0..5 {
            let store = written().open_simulated(&disk).expect("it opens");
            for _ in 0..12 {
                act(&store, &mut chance).expect("it works");
            }
            for number in 0..3 {
                let loaded = store.aggregate::<Counter>(&name(&format!("counter-{number}"))).load();
                resumed += u64::from(loaded.is_ok_and(|loaded| loaded.snapshot().is_some()));
                states += 1;
            }
            check_all(&store, &format!("seed {}, round {round}", seed()));
            match chance.below(3) {
                0 => store.close().expect("it closes"),
                1 => disk = disk.kill(),
                _ => disk = disk.crash(&CrashChoice::Seeded(chance.next())),
            }
        }
        let bare = disk.kill();
        paths(&bare).iter().for_each(|path| assert!(bare.remove_file(path)));
        let (with, without) = (simulated(&disk.kill()), simulated(&bare));
        for number in 0..3 {
            let stream = name(&format!("counter-{number}"));
            let of = |store: &EventStore| {
                store.aggregate::<Counter>(&stream).load().map(Loaded::into_state).map_err(|error| error.kind())
            };
            assert_eq!(of(&with), of(&without), "seed {}: without any", seed());
        }
    }
    assert!(20 < resumed, "{resumed} of {states} states were begun with a snapshot");
    println!("seed {}: {resumed} of {states} states were begun with a snapshot", seed());
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and what was tried belong to the answer of this test")]
fn stopped_at_every_operation_no_state_is_ever_wrong() {
    say(|| Some(Snapshots::json(1).every_events(3).at_close()));
    let tell = |disk: &SimulatedDisk| -> Result<(), Error> {
        let mut chance = Chance(seed());
        for _ in 0..3 {
            let store = written().open_simulated(disk)?;
            for _ in 0..7 {
                act(&store, &mut chance)?;
            }
            store.close()?;
        }
        Ok(())
    };
    let (mut states, mut used) = (0, 0);
    for stop_at in 1.. {
        let disk = SimulatedDisk::new(seed());
        disk.stop_at(stop_at);
        // Where the power goes, this is an error.
        let _ = tell(&disk);
        let seeds = [2 * stop_at, 2 * stop_at + 1].map(CrashChoice::Seeded);
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll].into_iter().chain(seeds) {
            let whence = format!("stopped at {stop_at}, {choice:?}, seed {}", seed());
            let store =
                written().open_simulated(&disk.crash(&choice)).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            used += listed(&store).iter().filter(|snapshot| snapshot.fault().is_none()).count();
            check_all(&store, &whence);
            ups(&store, "counter-0", 1..5);
            let _ = store.aggregate::<Counter>(&name("counter-0")).execute(7).wait();
            check_all(&store, &whence);
            let left: Vec<SnapshotInfo> = listed(&store);
            let of_0 = left
                .iter()
                .filter(|info| info.source().is_some_and(|source| source.stream() == Some(&name("counter-0"))));
            assert!(of_0.count() <= 2, "{whence}: {left:?}");
            states += 1;
        }
        if !disk.has_stopped() {
            break;
        }
    }
    println!("seed {}: {states} states, {used} snapshots were there", seed());
    assert!(100 < states && 100 < used, "{states} states, {used} snapshots");
}

#[test]
fn snapshots_that_are_deleted_are_gone_and_only_those() {
    say(by_hand);
    wherever_it_lasts(|home| {
        let store = home.open();
        ups(&store, "counter-1", 0..3);
        ups(&store, "counter-2", 0..3);
        assert!(save(&store, "counter-1") && save(&store, "counter-2"));
        let found = listed(&store);
        assert_eq!(found.len(), 2);
        assert!(store.delete_snapshot(&found[0]).expect("it can be removed"));
        assert!(!store.delete_snapshot(&found[0]).expect("it is gone"));
        assert_eq!(listed(&store), found[1..]);
        let reader = home.read_only().expect("it can be read");
        assert_eq!(reader.delete_snapshot(&found[1]).expect_err("it reads").kind(), ErrorKind::ReadOnly);
        assert_eq!(found[1].codec(), Some(Codec::Json));
        store.close().expect("it closes");
        assert_eq!(store.snapshots().expect_err("it is closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_compaction_leaves_states_that_need_no_events_and_takes_those_of_finished_streams() {
    say(by_hand);
    let disk = SimulatedDisk::new(43);
    let options = small_segments();
    let store = options.open_simulated(&disk).expect("it opens");
    ups(&store, "counter-1", 0..300);
    ups(&store, "counter-2", 0..300);
    let expected = load(&store, "counter-1").into_state();
    assert!(save(&store, "counter-1") && save(&store, "counter-2"));
    // The last segment, which is never looked into, holds something else.
    ups(&store, "counter-3", 0..400);
    store.truncate_before(&name("counter-1"), Version::new(301)).wait().expect("it begins later");
    store.tombstone(&name("counter-2"), ExpectedVersion::Any, "asked for").wait().expect("it is finished");
    let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    assert_eq!(compacted.events_removed(), 599, "the last event of a stream that is not finished stays");
    assert_eq!(listed(&store).len(), 1, "what was asked to be forgotten is in no snapshot");
    drop(store);
    // The snapshot speaks of a segment that is not there any more, and nothing else proves more than it.
    for path in ["index/streams.0", "index/streams.1"] {
        disk.remove_file(path);
    }
    let store = options.open_simulated(&disk).expect("it opens");
    let loaded = load(&store, "counter-1");
    assert_eq!((loaded.version().get(), loaded.into_state()), (300, expected));
    assert_eq!(passed_over(&store), []);
    ups(&store, "counter-1", 7..8);
    assert_eq!(load(&store, "counter-1").version().get(), 301);
}
