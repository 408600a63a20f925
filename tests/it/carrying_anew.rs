//! A stream that comes to begin with another state: what was folded from the one before counts no more, wherever it is kept.

use super::support::{add, check_says, everywhere, kilobyte, name, small_segments, trouble, wherever_it_lasts};
use crate::model::seed;
use scorebook::testing::{SimulatedDisk, backup_simulated, restore_simulated};
use scorebook::{
    Aggregate, Carrying, Concern, ErrorKind, Event, EventContext, EventStore, Loaded, NewState, Retention, Scope,
    SnapshotFault, SnapshotInfo, SnapshotOutcome, Snapshots, StreamName, Thresholds, Until, Version,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        Up(u64) = "counted_up", 1;
    }
}

thread_local! {
    static SNAPSHOTS: Cell<fn() -> Option<Snapshots<Counter>>> = const { Cell::new(|| None) };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counter(u64);

impl Aggregate for Counter {
    type Event = Counted;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Counter {
        Counter(0)
    }

    fn decide(&self, up: &u64) -> Result<Vec<Counted>, ()> {
        Ok(vec![Counted::Up(*up)])
    }

    fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
        self.0 += up;
    }

    fn snapshots() -> Option<Snapshots<Counter>> {
        SNAPSHOTS.get()()
    }

    fn carrying() -> Option<Carrying<Counter>> {
        Some(Carrying::json("counter", 1))
    }
}

/// Appends events that count up by one each.
fn ups(store: &EventStore, stream: &StreamName, count: u64) {
    (0..count).for_each(|_| {
        add(store, stream, [Counted::Up(1).encode().expect("JSON")]);
    });
}

fn load(store: &EventStore, stream: &StreamName) -> Loaded<Counter> {
    store.aggregate::<Counter>(stream).load().expect("a state")
}

/// The version and the state that are loaded.
fn now(store: &EventStore, stream: &StreamName) -> (u64, u64) {
    let loaded = load(store, stream);
    (loaded.version().get(), loaded.state().0)
}

/// Has a stream begin with a counter that stands where somebody says.
fn carry(store: &EventStore, stream: &StreamName, version: u64, counter: u64) {
    let state = NewState::json("counter", Version::new(version), &Counter(counter)).expect("JSON");
    store.truncate_carrying(stream, state).wait().expect("it is carried");
}

fn condense(store: &EventStore, stream: &StreamName, loaded: &Loaded<Counter>) {
    store.aggregate::<Counter>(stream).condense(loaded).wait().expect("it is condensed");
}

fn save(store: &EventStore, stream: &StreamName, loaded: &Loaded<Counter>) -> bool {
    store.aggregate::<Counter>(stream).save_snapshot(loaded).expect("it can be saved")
}

fn roll_and_compact(store: &EventStore) -> u64 {
    (0..40).for_each(|number| {
        add(store, &name("filling"), [kilobyte(number)]);
    });
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    plan.apply().expect("it is done").events_removed()
}

#[test]
fn what_another_state_in_its_place_leaves_out_does_not_come_back_from_memory() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (same, behind) = (name("counter-1"), name("counter-2"));
        ups(&store, &same, 9);
        ups(&store, &behind, 9);
        let counter = store.aggregate::<Counter>(&same);
        condense(&store, &same, &load(&store, &same));
        assert_eq!(now(&store, &same), (9, 9), "begun from what is carried, and kept");
        carry(&store, &same, 9, 100);
        assert_eq!(now(&store, &same), (9, 100), "of the same version");
        assert_eq!(counter.state_at(Version::new(9)).expect("a state").state().0, 100);
        carry(&store, &same, 9, 200);
        let executed = counter.execute(1).wait().expect("nothing is refused");
        assert_eq!(executed.state(), Some(&Counter(201)), "it is decided on what is carried");

        let stale = load(&store, &behind);
        assert_eq!((stale.version().get(), stale.state().0), (9, 9));
        carry(&store, &behind, 5, 1_000);
        let other = store.aggregate::<Counter>(&behind);
        let refused = trouble(other.condense(&stale).wait());
        check_says(&refused, ErrorKind::InvalidArgument, &["counter-2", "begins with another state"]);
        assert_eq!(other.state_at(Version::new(9)).expect("a state").state().0, 1_004);
        assert_eq!(now(&store, &behind), (9, 1_004), "a state further on descends from it as well");
        condense(&store, &behind, &load(&store, &behind));
        let carried = store.carried_state(&behind).expect("it can be read").expect("there is one");
        assert_eq!((carried.version().get(), carried.decode::<u64>().expect("a number")), (9, 1_004));
        drop((counter, other));
        let store = home.reopen(store, &small_segments());
        assert_eq!((now(&store, &same), now(&store, &behind)), ((10, 201), (9, 1_004)));
    });
}

#[test]
fn what_another_state_in_its_place_leaves_out_does_not_come_back_from_a_snapshot() {
    SNAPSHOTS.set(|| Some(Snapshots::json(1).by_hand()));
    wherever_it_lasts(|home| {
        let store = home.open();
        let stream = name("counter-1");
        ups(&store, &stream, 8);
        assert!(save(&store, &stream, &load(&store, &stream)));
        ups(&store, &stream, 1);
        let stale = load(&store, &stream);
        carry(&store, &stream, 5, 1_000);
        assert!(!save(&store, &stream, &stale), "what was folded before is not written down any more");
        let store = home.reopen(store, &small_segments());
        let told = |store: &EventStore| {
            let snapshots = store.snapshots().expect("they can be listed");
            snapshots.iter().map(|info| (info.version().get(), info.fault())).collect::<Vec<_>>()
        };
        assert_eq!(told(&store), [(8, Some(SnapshotFault::Superseded))]);
        let checks = store.aggregate::<Counter>(&stream).verify_snapshots().expect("they can be verified");
        assert_eq!(checks[0].outcome(), &SnapshotOutcome::NotUsed(SnapshotFault::Superseded));
        assert_eq!(store.export_snapshot(checks[0].snapshot()).expect("it can be read"), None);
        let loaded = load(&store, &stream);
        assert_eq!((loaded.state().0, loaded.snapshot()), (1_004, None));
        let health = store.health(&Thresholds::default()).expect("it is open");
        let is_told = health.concerns().iter().any(|concern| matches!(concern, Concern::SnapshotPassedOver { .. }));
        assert!(!is_told, "nothing is wrong with it");
        assert!(save(&store, &stream, &loaded));
        assert_eq!(told(&store), [(9, None)], "the one before goes with the next");
        drop(loaded);
        let store = home.reopen(store, &small_segments());
        let loaded = load(&store, &stream);
        assert_eq!((loaded.state().0, loaded.snapshot()), (1_004, Some(Version::new(9))));
        // Of the same version once more.
        carry(&store, &stream, 5, 2_000);
        drop(loaded);
        let store = home.reopen(store, &small_segments());
        let loaded = load(&store, &stream);
        assert_eq!((loaded.state().0, loaded.snapshot()), (2_004, None));
        assert!(save(&store, &stream, &loaded), "it takes the place of one that goes as far");
        drop(loaded);
        let store = home.reopen(store, &small_segments());
        assert_eq!(load(&store, &stream).snapshot(), Some(Version::new(9)));
    });
    SNAPSHOTS.set(|| None);
}

#[test]
fn a_close_saves_no_state_from_before_another_one_came_into_its_place() {
    SNAPSHOTS.set(|| Some(Snapshots::json(1).at_close()));
    wherever_it_lasts(|home| {
        let store = home.open();
        let (changed, left) = (name("counter-1"), name("counter-2"));
        for stream in [&changed, &left] {
            ups(&store, stream, 9);
            assert_eq!(now(&store, stream), (9, 9));
        }
        carry(&store, &changed, 5, 1_000);
        store.close().expect("it closes");
        let store = home.open();
        let saved = store.snapshots().expect("they can be listed");
        let of: Vec<_> = saved.iter().filter_map(|info| info.source()?.stream().cloned()).collect();
        assert_eq!(of, [left]);
        assert_eq!(now(&store, &changed), (9, 1_004));
    });
    SNAPSHOTS.set(|| None);
}

#[test]
fn a_compaction_a_restore_and_an_exact_copy_leave_it_the_same_state() {
    SNAPSHOTS.set(|| Some(Snapshots::json(1).by_hand()));
    let disk = SimulatedDisk::new(seed());
    let stream = name("counter-1");
    let store = small_segments().open_simulated(&disk).expect("it opens");
    ups(&store, &stream, 9);
    carry(&store, &stream, 5, 1_000);
    let loaded = load(&store, &stream);
    assert!(save(&store, &stream, &loaded));
    let resumed = |store: &EventStore, what: &str| {
        let loaded = load(store, &stream);
        assert_eq!((loaded.state().0, loaded.snapshot()), (1_004, Some(Version::new(9))), "{what}");
    };
    assert_eq!(roll_and_compact(&store), 5);
    let again = load(&store, &stream);
    assert!(std::ptr::eq(again.state(), loaded.state()), "what is kept counts on");
    resumed(&small_segments().open_simulated(&disk.kill()).expect("it opens"), "compacted");
    let backup = SimulatedDisk::new(12);
    backup_simulated(&store, &backup).expect("all of it");
    let restored = SimulatedDisk::new(13);
    restore_simulated(&backup, &restored, Until::Everything).expect("it is restored");
    for (path, bytes) in disk.contents().into_iter().filter(|(path, _)| path.starts_with("snapshots/")) {
        restored.write_file(&path, &bytes);
    }
    resumed(&small_segments().open_simulated(&restored).expect("it opens"), "restored");
    let copied = SimulatedDisk::new(14);
    let copy = small_segments().open_simulated(&copied).expect("it opens");
    let mut import = copy.exact_import().expect("it begins");
    for record in store.export().expect("it begins") {
        let record = record.expect("a record").to_exact().expect("a record");
        import.record(record).expect("it is taken");
    }
    let snapshots: Vec<SnapshotInfo> = store.snapshots().expect("they can be listed");
    let snapshot = store.export_snapshot(&snapshots[0]).expect("it can be read").expect("it is sound");
    assert_ne!(snapshot.carried, 0);
    assert!(import.snapshot(&snapshot).expect("it is taken over"));
    import.finish().expect("all of it");
    resumed(&copy, "copied");
    // What was loaded before the compaction is of this stream still.
    condense(&store, &stream, &loaded);
    assert_eq!(now(&store, &stream), (9, 1_004));
    SNAPSHOTS.set(|| None);
}

#[test]
fn a_plan_says_of_which_streams_the_state_goes_with_the_events_behind_it() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let [loses, keeps, bare] = ["counter-1", "counter-2", "plain-1"].map(name);
        for stream in [&loses, &keeps, &bare] {
            ups(&store, stream, 9);
        }
        carry(&store, &loses, 4, 4);
        carry(&store, &keeps, 8, 8);
        (0..40).for_each(|number| {
            add(&store, &name("filling"), [kilobyte(number)]);
        });
        for category in ["counter", "plain"] {
            let scope = Scope::category(category).expect("a category");
            store.batch().retain(&scope, Retention::forever().newest(3)).commit().wait().expect("it is a rule");
        }
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let told: Vec<_> = plan
            .streams()
            .map(|(stream, of)| (stream.as_str(), of.begins_with().map(Version::get), of.drops_state()))
            .collect();
        assert_eq!(told, [("counter-1", Some(7), true), ("counter-2", None, false), ("plain-1", Some(7), false)]);
        plan.apply().expect("it is done");
        let carried = |stream| store.carried_state(stream).expect("it can be read").map(|state| state.version().get());
        assert_eq!([carried(&loses), carried(&keeps), carried(&bare)], [None, Some(8), None]);
        let error = store.aggregate::<Counter>(&loses).state_at(Version::new(7)).expect_err("the state is gone");
        assert_eq!(error.kind(), ErrorKind::BelowFloor);
        assert_eq!(now(&store, &keeps), (9, 9));
    });
}
