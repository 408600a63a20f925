//! Compaction by itself: when it is due, what it leaves alone, and how it ends.

use super::compaction::{all, check};
use super::support::{
    Home, add, check_says, eventually, kilobyte, name, read, small_segments, versions, wherever_threads_are,
};
use scorebook::ExpectedVersion::{Any, NoStream};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{
    CompactionPolicy, Concern, Consumer, ErrorKind, EventStore, NewState, Query, Quota, RecordedEvent, Retention,
    Scope, Start, Status, StreamName, TagScope, Thresholds, Version,
};
use std::io;
use std::thread;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Looks every hour, and wants a quarter and a hundred kilobytes.
fn policy() -> CompactionPolicy {
    CompactionPolicy::default().share(25).at_least(100 * 1024).every(HOUR)
}

/// A store with two large streams and a small one.
fn filled(disk: &SimulatedDisk) -> EventStore {
    let store = small_segments().open_simulated(disk).expect("it opens");
    for number in 0..300 {
        add(&store, &name("game-1"), [kilobyte(number)]);
        add(&store, &name("game-2"), [kilobyte(number)]);
        if number % 10 == 0 {
            add(&store, &name("player-1"), [kilobyte(number)]);
        }
    }
    store
}

fn finish(store: &EventStore, stream: &str) {
    store.tombstone(&name(stream), Any, "over").wait().expect("it is finished");
}

/// How often it has planned, and how often compacted.
fn done(store: &EventStore) -> (u64, u64) {
    let background = store.background_compaction().expect("it was told to");
    assert!(!background.is_at_work());
    (background.plans(), background.runs())
}

/// Lets time pass and has it look; how often it has planned by then, and how often compacted.
fn after(disk: &SimulatedDisk, store: &EventStore, pause: Duration) -> (u64, u64) {
    disk.advance(pause);
    store.keep_compacted();
    done(store)
}

fn staying(store: &EventStore) -> Vec<RecordedEvent> {
    all(store).into_iter().filter(|event| event.stream() != "game-1").collect()
}

#[test]
fn it_compacts_when_the_policy_says_so_and_not_before() {
    let disk = SimulatedDisk::new(1);
    let store = filled(&disk);
    assert!(store.background_compaction().is_none());
    store.compact_in_background(&policy()).expect("it begins");
    assert_eq!(after(&disk, &store, MINUTE / 2), (0, 0), "it looks after a minute first");
    assert_eq!(after(&disk, &store, MINUTE), (1, 0), "nothing goes");
    finish(&store, "player-1");
    assert_eq!(after(&disk, &store, HOUR / 2), (1, 0), "it looks every hour");
    assert_eq!(after(&disk, &store, HOUR), (2, 0), "what goes is too little");
    assert_eq!(read(store.read_all()).len(), 630);

    finish(&store, "game-1");
    store.compact_in_background(&policy().share(60)).expect("another policy");
    assert_eq!(after(&disk, &store, HOUR), (3, 0), "half of it is no share of 60");
    store.compact_in_background(&policy().at_least(1 << 20)).expect("another policy");
    assert_eq!(after(&disk, &store, HOUR), (4, 0), "and no mebibyte");
    store.compact_in_background(&policy()).expect("another policy");
    let stays: Vec<RecordedEvent> = staying(&store).into_iter().filter(|event| event.stream() != "player-1").collect();
    assert_eq!(after(&disk, &store, HOUR), (5, 1));
    let background = store.background_compaction().expect("it was told to");
    let (_, compacted) = background.last_run().expect("it has run");
    assert!(compacted.is_complete() && 300 < compacted.events_removed(), "{compacted:?}");
    // Some of what goes is in the segment that is written.
    let left: Vec<RecordedEvent> = all(&store).into_iter().filter(|event| event.stream() == "game-2").collect();
    assert_eq!(left.len(), stays.len());
    assert!(all(&store).len() < 330);
    assert_eq!(after(&disk, &store, HOUR), (6, 1), "once more it looks, and nothing is left to do");
    assert_eq!(after(&disk, &store, HOUR), (6, 1));
}

#[test]
fn nothing_is_looked_at_twice() {
    let disk = SimulatedDisk::new(2);
    let store = filled(&disk);
    let consumer = Consumer::new("scores", Query::all(), Start::Beginning);
    let mut member = store.join(&consumer).expect("a member");
    store.compact_in_background(&policy().share(100)).expect("it begins");
    let expect = |plans: u64, why: &str| {
        assert_eq!(after(&disk, &store, HOUR), (plans, 0), "{why}");
        assert_eq!(after(&disk, &store, HOUR), (plans, 0), "nothing has changed: {why}");
    };
    expect(1, "it was never looked at");
    add(&store, &name("game-3"), [kilobyte(1)]);
    expect(1, "of what comes nothing can go before its segment has ended");
    (0..40).for_each(|number| drop(add(&store, &name("game-3"), [kilobyte(number)])));
    expect(2, "a segment has ended");
    store.truncate_before(&name("game-3"), Version::new(3)).wait().expect("it begins later");
    expect(3, "a stream begins later");
    finish(&store, "player-1");
    expect(4, "a stream is finished");
    store.batch().hold(&Scope::Everything, "court").commit().wait().expect("a hold");
    expect(5, "something is held");
    let ten_days = Retention::forever().newer_than(HOUR * 240);
    store.batch().retain(&Scope::event_type("none").expect("a type"), ten_days).commit().wait().expect("a rule");
    expect(6, "there is a rule");
    disk.advance(HOUR * 24);
    expect(7, "a day more is a tenth of ten");
    for _ in 0..300 {
        let delivery = member.try_next().expect("it goes on").expect("an event");
        delivery.ack().expect("it is done");
    }
    store.flush().expect("flushed");
    expect(8, "a consumer got on");
    let tag = TagScope::tag("guild", 7).expect("a tag");
    let set = |quota| drop(store.set_quota(&tag, quota).wait().expect("it is set"));
    set(Quota::bytes(7).refusing());
    expect(8, "nothing goes for such a quota");
    set(Quota::bytes(7).trimming());
    expect(9, "there is a quota");
    set(Quota::bytes(6).trimming());
    expect(10, "it is smaller");
    store.batch().clear_quota(&tag).commit().wait().expect("it is taken away");
    expect(11, "it is gone");
    store.stop_compacting();
    finish(&store, "game-2");
    expect(11, "it was stopped");
}

#[test]
fn what_fails_is_told_changes_nothing_and_is_tried_again() {
    let disk = SimulatedDisk::new(3);
    let store = filled(&disk);
    finish(&store, "game-1");
    let (events, stays) = (all(&store).len(), staying(&store));
    store.compact_in_background(&policy()).expect("it begins");
    let failed = || {
        let background = store.background_compaction().expect("it was told to");
        background.failure().map(scorebook::Error::kind)
    };
    let concern = || {
        let health = store.health(&Thresholds::default().room(0)).expect("it is asked");
        let told = health.concerns().iter().find(|concern| matches!(concern, Concern::CompactionFailed { .. }));
        told.map(ToString::to_string)
    };
    assert_eq!((failed(), concern()), (None, None));
    disk.fail(DiskFault::new(DiskOperation::Create, io::ErrorKind::Other));
    assert_eq!(after(&disk, &store, HOUR), (1, 0));
    assert_eq!((failed(), store.status()), (Some(ErrorKind::Io), Status::Writing));
    assert!(concern().is_some_and(|text| text.contains("compaction in the background has failed")), "{:?}", concern());
    store.stop_compacting();
    assert_eq!((failed(), concern()), (None, None), "nobody asks for it any more");
    store.compact_in_background(&policy()).expect("it begins again");
    disk.heal();
    let used: usize = disk.contents().values().map(Vec::len).sum();
    disk.set_capacity(Some(used as u64 + 4_096));
    assert_eq!(after(&disk, &store, HOUR), (2, 0), "there is no room for a segment");
    assert_eq!((failed(), all(&store).len()), (Some(ErrorKind::Full), events));
    disk.set_capacity(None);
    assert_eq!(after(&disk, &store, HOUR / 2), (2, 0), "not at once");
    assert_eq!(after(&disk, &store, HOUR), (3, 1));
    assert_eq!((failed(), concern()), (None, None));
    let left: Vec<RecordedEvent> = all(&store).into_iter().filter(|event| event.stream() != "game-1").collect();
    assert_eq!(left.len(), stays.len());
    let there = all(&store);
    check(&store, &there);
    drop(store);
    check(&small_segments().open_simulated(&disk).expect("it opens"), &there);
}

#[test]
fn one_that_is_to_look_once_and_never_again_takes_another_policy() {
    let disk = SimulatedDisk::new(6);
    let store = filled(&disk);
    store.compact_in_background(&policy().every(Duration::MAX)).expect("it begins");
    assert_eq!(after(&disk, &store, MINUTE), (1, 0), "it looks after a minute first");
    finish(&store, "game-1");
    assert_eq!(after(&disk, &store, 24 * HOUR), (1, 0));
    store.compact_in_background(&policy()).expect("another policy");
    assert_eq!(after(&disk, &store, HOUR), (2, 1));
}

#[test]
fn states_that_another_one_replaced_are_worth_a_compaction() {
    let disk = SimulatedDisk::new(7);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let stream = name("game-1");
    (0..30).for_each(|number| drop(add(&store, &stream, [kilobyte(number)])));
    let carry = |number: u8| {
        let state = NewState::bytes("sum", Version::new(29), vec![number; 20 * 1024]);
        store.truncate_carrying(&stream, state).wait().expect("it begins with it");
    };
    store.compact_in_background(&policy()).expect("it begins");
    carry(0);
    assert_eq!(after(&disk, &store, HOUR), (1, 0), "29 events are not worth it");
    (1..10).for_each(carry);
    let before = store.stats().expect("numbers").log_bytes();
    assert_eq!(after(&disk, &store, HOUR), (2, 1));
    let left = store.stats().expect("numbers").log_bytes();
    assert!(left + 100 * 1024 < before, "{left} of {before}");
    let state = store.carried_state(&stream).expect("it can be read").expect("it begins with one");
    assert_eq!(state.data(), [9; 20 * 1024]);
    assert_eq!(after(&disk, &store, HOUR), (3, 1), "once more it looks, and nothing is left to do");
    assert_eq!(after(&disk, &store, HOUR), (3, 1));
}

#[test]
fn a_store_that_is_poisoned_or_only_read_is_left_alone_and_one_that_was_opened_again_is_not() {
    let disk = SimulatedDisk::new(4);
    let store = filled(&disk);
    finish(&store, "game-1");
    store.compact_in_background(&policy()).expect("it begins");
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    store.append(&name("game-4"), NoStream, [kilobyte(1)]).wait().expect_err("its sync fails");
    assert_eq!(store.status(), Status::Poisoned);
    assert_eq!(after(&disk, &store, HOUR), (0, 0));
    store.reopen().expect("it opens again");
    assert_eq!(after(&disk, &store, HOUR), (1, 1), "it goes on by itself");
    store.close().expect("it closes");
    let closed = store.compact_in_background(&policy()).expect_err("it is closed");
    assert_eq!(closed.kind(), ErrorKind::Closed);
    store.reopen().expect("it opens again");
    finish(&store, "game-2");
    assert_eq!(after(&disk, &store, HOUR), (1, 1), "closing has ended it");
    store.compact_in_background(&policy()).expect("it begins anew");
    assert_eq!(after(&disk, &store, HOUR), (1, 1));
    drop(store);
    let reader = small_segments().open_simulated_read_only(&disk).expect("it opens");
    assert_eq!(reader.compact_in_background(&policy()).expect_err("it is only read").kind(), ErrorKind::ReadOnly);
}

#[test]
fn many_small_segments_become_one_although_nothing_goes() {
    let mut disk = SimulatedDisk::new(5);
    for number in 0..20 {
        let store = small_segments().open_simulated(&disk).expect("it opens");
        add(&store, &name("game-1"), [kilobyte(number)]);
        std::mem::forget(store);
        disk = disk.kill();
    }
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let events = all(&store);
    store.compact_in_background(&policy()).expect("it begins");
    assert_eq!(after(&disk, &store, HOUR), (1, 1));
    assert!(store.stats().expect("numbers").segments() <= 3);
    check(&store, &events);
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let store = EventStore::open_in_memory().expect("a store");
    for (policy, what) in [
        (policy().share(101), "a share is 101 hundredths"),
        (policy().every(Duration::from_micros(999)), "a pause is 999"),
        (policy().bytes_per_second(0), "the bytes a second are 0"),
    ] {
        let error = store.compact_in_background(&policy).expect_err("it is refused");
        check_says(&error, ErrorKind::InvalidArgument, &[what]);
    }
    assert!(store.background_compaction().is_none());
}

#[test]
fn beside_writers_and_readers_it_removes_what_goes_and_nothing_else() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let at_once = CompactionPolicy::default().share(1).at_least(1).every(Duration::from_millis(1));
        store.compact_in_background(&at_once.bytes_per_second(1 << 30)).expect("it begins");
        let streams: Vec<StreamName> = (0..8).map(|number| name(&format!("game-{number}"))).collect();
        thread::scope(|scope| {
            for stream in &streams {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..150 {
                        let receipt = add(store, stream, [kilobyte(number)]);
                        let version = receipt.of(stream).expect("its own").last_version().get();
                        assert_eq!(version, number + 1);
                        if number % 50 == 49 {
                            store.truncate_before(stream, Version::new(version - 9)).wait().expect("later");
                        }
                    }
                });
                scope.spawn(move || {
                    for _ in 0..150 {
                        let there = store.exists(stream).expect("an answer");
                        let versions: Vec<u64> = if there { versions(store.read(stream)) } else { Vec::new() };
                        assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{versions:?}");
                    }
                });
            }
        });
        let held = || store.stats().expect("numbers").events();
        eventually("most of what goes is gone", || held() < 400);
        let background = store.background_compaction().expect("it was told to");
        assert!(background.failure().is_none(), "{:?}", background.failure());
        store.close().expect("it closes");
        store.reopen().expect("it opens again");
        for stream in &streams {
            assert_eq!(versions(store.read(stream)), (141..=150).collect::<Vec<u64>>());
        }
    });
}

/// Has it be at work for longer than any test may take.
fn at_work_for_long(store: &EventStore, stream: &str) {
    for number in 0..100 {
        add(store, &name(stream), [kilobyte(number)]);
    }
    finish(store, stream);
    let slow = CompactionPolicy::default().share(1).at_least(1).every(Duration::from_millis(1));
    store.compact_in_background(&slow.bytes_per_second(1)).expect("it begins");
    let is_at_work = || store.background_compaction().is_some_and(|background| background.is_at_work());
    eventually("it is at work", is_at_work);
}

#[test]
fn a_store_that_is_closed_or_dropped_has_it_end_soon() {
    let home = Home::disk();
    let store = home.open_with(&small_segments());
    at_work_for_long(&store, "game-1");
    store.close().expect("it closes");
    drop(store);
    let store = home.open_with(&small_segments());
    at_work_for_long(&store, "game-2");
    drop(store);
    eventually("whoever is at work lets go of it", || home.try_open(&small_segments()).is_ok());
}

#[test]
fn one_that_is_told_to_stop_breaks_off() {
    let store = EventStore::options().segment_bytes_max(32 * 1024).open_in_memory().expect("a store");
    at_work_for_long(&store, "game-1");
    store.stop_compacting();
    eventually("it breaks off", || !store.background_compaction().expect("it was told to").is_at_work());
    assert_eq!(read(store.read_all()).len(), 100);
    assert_eq!(store.background_compaction().expect("it was told to").runs(), 0);
}

#[test]
fn one_by_hand_can_be_slow_and_ends_when_the_store_is_closed() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        for number in 0..100 {
            add(&store, &name("game-1"), [kilobyte(number)]);
            add(&store, &name("game-2"), [kilobyte(number)]);
        }
        finish(&store, "game-1");
        let plan = store.compaction().bytes_per_second(1 << 40).plan().expect("a plan");
        let compacted = plan.apply().expect("it is done");
        assert_eq!(compacted.events_removed(), plan.events_going());
        let slow = store.compaction().bytes_per_second(1);
        thread::scope(|scope| {
            let planning = scope.spawn(|| slow.plan().map(drop));
            store.close().expect("it closes");
            let error = planning.join().expect("it ends").expect_err("nobody waits for it");
            assert_eq!(error.kind(), ErrorKind::Closed);
        });
    });
}
