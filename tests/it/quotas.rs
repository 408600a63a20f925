//! Quotas of tags: what is used is what the log holds, and what would come to more is told, refused, or trimmed.

use super::support::{add, conflict, everywhere, name, read, small_segments, wherever_it_lasts, wherever_threads_are};
use crate::model::{Chance, Choices, forget_derived, seed};
use scorebook::ExpectedVersion::{Any, NoStream};
use scorebook::testing::{CrashChoice, SimulatedDisk, verify_simulated};
use scorebook::{
    Concern, Conflict, ErrorKind, EventStore, Going, NewEvent, Options, Position, Query, Quota, Scope, Staying,
    StreamName, TagScope, Thresholds, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::thread;

pub(super) fn guild(value: u64) -> TagScope {
    TagScope::tag("guild", value).expect("a tag")
}

pub(super) fn guilds() -> TagScope {
    TagScope::each("guild").expect("a key")
}

/// An event of so many bytes of payload with tags of guilds.
pub(super) fn said(bytes: usize, guilds: &[u64]) -> NewEvent {
    guilds.iter().fold(NewEvent::bytes("said", vec![7; bytes]), |event, guild| event.tag("guild", guild))
}

pub(super) fn set(store: &EventStore, scope: &TagScope, quota: Quota) {
    store.set_quota(scope, quota).wait().expect("it is set");
}

/// What is used, as the store tells it.
pub(super) fn usage(store: &EventStore) -> BTreeMap<(String, String), u64> {
    let usage = store.usage().expect("it is known").into_iter().filter(|usage| usage.used() != 0);
    usage.map(|usage| ((usage.scope().to_string(), usage.value().to_owned()), usage.used())).collect()
}

/// The same worked out from all events there are.
pub(super) fn expected(store: &EventStore) -> BTreeMap<(String, String), u64> {
    let mut used = BTreeMap::new();
    for event in read(store.read_all()) {
        let tags: BTreeSet<(&str, &str)> = event.tags().collect();
        for (key, value) in tags {
            for (scope, _) in store.quotas().expect("a list") {
                if scope.key() == key && scope.value().is_none_or(|own| own == value) {
                    *used.entry((scope.to_string(), value.to_owned())).or_default() += u64::from(event.record_bytes());
                }
            }
        }
    }
    used
}

fn used(store: &EventStore, scope: &TagScope, value: u64) -> u64 {
    usage(store).get(&(scope.to_string(), value.to_string())).copied().unwrap_or(0)
}

fn size(store: &EventStore, position: u64) -> u64 {
    u64::from(store.event_at(Position::new(position)).expect("it is there").record_bytes())
}

#[test]
fn what_is_used_is_what_stands_in_the_log_whenever_the_quota_was_set() {
    wherever_it_lasts(|home| {
        let mut store = home.open_with(&small_segments());
        add(&store, &name("game-1"), [said(100, &[7]), said(200, &[8]), said(50, &[])]);
        set(&store, &guild(7), Quota::bytes(1_000));
        set(&store, &guilds(), Quota::bytes(500));
        add(&store, &name("game-2"), [said(300, &[7, 7, 8]), said(10, &[9])]);
        assert_eq!(usage(&store), expected(&store));
        assert_eq!(used(&store, &guild(7), 7), size(&store, 1) + size(&store, 4), "an event counts once");
        store.delete(&name("game-2"), Any, "a mistake").wait().expect("it is deleted");
        assert_eq!(usage(&store), expected(&store), "a deletion gives nothing back");
        store = home.reopen(store, &small_segments());
        assert_eq!(usage(&store), expected(&store), "opened again");
        assert_eq!(usage(&home.read_only().expect("it can be read")), expected(&store), "beside it");
        store.batch().clear_quota(&guilds()).commit().wait().expect("it is taken away");
        assert_eq!(store.quotas().expect("a list"), [(guild(7), Quota::bytes(1_000))]);
        set(&store, &guilds(), Quota::bytes(5).trimming());
        add(&store, &name("game-3"), [said(30, &[7])]);
        assert_eq!(usage(&store), expected(&store), "set once more");
    });
}

#[test]
fn what_would_come_to_more_is_refused_and_nothing_has_changed() {
    everywhere(|home| {
        let store = home.open();
        let a = name("game-1");
        add(&store, &a, [said(100, &[7])]);
        let size = size(&store, 1);
        set(&store, &guild(7), Quota::bytes(3 * size).refusing());
        add(&store, &a, [said(100, &[7])]);
        let before = (store.head().expect("a head"), usage(&store));
        let two = store.batch().append(&name("game-2"), NoStream, [said(100, &[7])]).append(&a, Any, [said(100, &[7])]);
        let refused = conflict(two.commit().wait());
        let expected = Conflict::Quota { tag: "guild:7".into(), used: 2 * size, asked: 2 * size, limit: 3 * size };
        assert_eq!(refused, expected);
        let text = format!("{0} bytes more with tag guild:7: the quota is {1}, and {0} are used", 2 * size, 3 * size);
        assert_eq!(refused.to_string(), text);
        assert_eq!((store.head().expect("a head"), usage(&store)), before);
        assert!(!store.exists(&name("game-2")).expect("an answer"));
        add(&store, &a, [said(100, &[7])]);
        let refused = conflict(store.append(&a, Any, [said(0, &[8, 7])]).wait());
        assert!(matches!(refused, Conflict::Quota { used, .. } if used == 3 * size), "just full: {refused}");
        add(&store, &a, [said(100, &[8]), said(5_000, &[])]);
        // A larger one lets more in, and so does one of another kind.
        set(&store, &guild(7), Quota::bytes(4 * size).refusing());
        add(&store, &a, [said(100, &[7])]);
        set(&store, &guild(7), Quota::bytes(0));
        add(&store, &a, [said(100, &[7])]);
        set(&store, &guild(7), Quota::bytes(0).refusing());
        let store = home.reopen(store, &Options::default());
        assert!(store.append(&a, Any, [said(1, &[7])]).wait().is_err(), "also when it is opened again");
        store.batch().clear_quota(&guild(7)).commit().wait().expect("it is taken away");
        add(&store, &a, [said(100, &[7])]);
    });
}

#[test]
fn a_batch_that_came_before_under_its_key_is_answered_whatever_is_full() {
    let store = EventStore::open_in_memory().expect("a store");
    let batch = || store.batch().append(&name("game-1"), Any, [said(100, &[7])]).once("key").commit().wait();
    let first = batch().expect("it is new");
    set(&store, &guild(7), Quota::bytes(1).refusing());
    let again = batch().expect("it is known");
    assert!(again.is_repeat() && again.last_position() == first.last_position());
}

#[test]
fn what_is_on_its_way_in_counts_and_whoever_is_refused_for_it_sees_it() {
    // Nothing is written on this disk before somebody waits for it.
    let store = small_segments().open_simulated(&SimulatedDisk::new(3)).expect("an empty disk");
    let a = name("game-1");
    add(&store, &a, [said(100, &[7])]);
    let size = size(&store, 1);
    set(&store, &guilds(), Quota::bytes(3 * size + 1).refusing());
    assert_eq!(used(&store, &guilds(), 7), size);
    let pending: Vec<_> = (0..6).map(|_| store.append(&a, Any, [said(100, &[7])])).collect();
    let refused = conflict(pending.into_iter().last().expect("the last").wait());
    assert_eq!(refused, Conflict::Quota { tag: "guild:7".into(), used: 3 * size, asked: size, limit: 3 * size + 1 });
    assert_eq!(used(&store, &guilds(), 7), 3 * size, "it is seen by whoever was refused");
    assert_eq!(usage(&store), expected(&store));
}

#[test]
fn however_many_race_no_quota_is_exceeded() {
    const THREADS: u64 = 64;
    wherever_threads_are(|home| {
        let store = home.open();
        add(&store, &name("game-0"), [said(100, &[7])]);
        // Names are as long as the first one's, so all events are.
        let size = size(&store, 1);
        set(&store, &guilds(), Quota::bytes(100 * size + size / 2).refusing());
        let start = Barrier::new(THREADS as usize);
        let accepted: u64 = thread::scope(|scope| {
            let race = |number: u64| {
                let (store, start) = (&store, &start);
                move || {
                    start.wait();
                    let stream = name(&format!("game-{}", number % 10));
                    let append = |guild| store.append(&stream, Any, [said(100, &[guild])]).wait();
                    let count = |guild| (0..8).filter(|_| append(guild).is_ok()).count() as u64;
                    let sevens = count(7);
                    assert_eq!(count(1_000 + number), 8, "others go on");
                    sevens
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(race(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it goes on")).sum()
        });
        assert_eq!(accepted, 99);
        assert_eq!(used(&store, &guilds(), 7), 100 * size);
        assert_eq!(usage(&store), expected(&store));
    });
}

#[test]
fn what_is_trimmed_is_the_oldest_and_what_stays_all_the_same_says_why() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b, c) = (name("game-1"), name("game-2"), name("court-1"));
        add(&store, &c, [said(2_000, &[7])]);
        add(&store, &b, [said(2_000, &[7])]);
        (0..100).for_each(|_| drop(add(&store, &a, [said(1_000, &[7]), said(1_000, &[8])])));
        store.batch().hold(&Scope::Stream(c.clone()), "case 12").commit().wait().expect("it is held");
        let size = size(&store, 3);
        set(&store, &guilds(), Quota::bytes(150 * size));
        set(&store, &guild(7), Quota::bytes(60 * size).trimming());
        let before = usage(&store);
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let streams: BTreeMap<&StreamName, _> = plan.streams().collect();
        assert_eq!(streams[&a].why(), Some(Going::Quota));
        assert_eq!(streams[&b].staying().collect::<Vec<_>>(), [(&Staying::Last, 1)]);
        assert_eq!(streams[&c].staying().collect::<Vec<_>>(), [(&Staying::Held("case 12".into()), 1)]);
        plan.apply().expect("it is done");
        // Those that stay all the same take of what may be taken.
        let of_seven = read(store.read_all().matching(Query::all().tag("guild", 7).in_stream(&a)));
        let of_eight = store.read_all().matching(Query::all().tag("guild", 8)).count().expect("a number");
        assert_eq!(of_eight, 100, "nothing else goes");
        assert_eq!(of_seven.len(), 60);
        assert_eq!(of_seven.last().map(|event| event.version().get()), Some(199), "the newest stay");
        assert!(usage(&store) < before);
        assert_eq!(usage(&store), expected(&store));
        let again = store.compaction().thoroughly().plan().expect("a plan");
        assert_eq!(again.events_going(), 0, "{again:?}");
        set(&store, &guild(7), Quota::bytes(1).trimming());
        assert_eq!(again.apply().expect_err("another quota").kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn what_goes_for_another_reason_takes_nothing_of_a_quota() {
    let store = small_segments().open_in_memory().expect("a store");
    let (old, gone, last) = (name("game-1"), name("gone-1"), name("game-2"));
    (0..50).for_each(|_| drop(add(&store, &old, [said(1_000, &[7])])));
    (0..50).for_each(|_| drop(add(&store, &gone, [said(1_000, &[7])])));
    (0..70).for_each(|_| drop(add(&store, &last, [said(1_000, &[])])));
    store.tombstone(&gone, Any, "over").wait().expect("it is finished");
    let size = size(&store, 1);
    set(&store, &guild(7), Quota::bytes(50 * size).trimming());
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    assert_eq!(store.read(&old).into_iter().count(), 50, "they fit without those that go anyway");
    assert_eq!(used(&store, &guild(7), 7), 50 * size);
}

#[test]
fn health_tells_what_is_above() {
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("game-1"), [said(800, &[7]), said(900, &[8]), said(10, &[9])]);
    set(&store, &guilds(), Quota::bytes(500));
    let concerns = |thresholds: Thresholds| {
        let all = store.health(&thresholds.room(0)).expect("it is known").concerns().to_vec();
        all.into_iter().filter(|concern| matches!(concern, Concern::Quota { .. })).collect::<Vec<_>>()
    };
    let used = used(&store, &guilds(), 8);
    let above = Concern::Quota { tag: "guild:8".into(), used, limit: 500, tags: 2 };
    assert_eq!(concerns(Thresholds::default()), std::slice::from_ref(&above));
    let text = format!("events with tag guild:8 take {used} of 500 bytes, and those with 1 more tags too much");
    assert_eq!(above.to_string(), text);
    assert_eq!(concerns(Thresholds::default().quota_percent(1_000)), []);
    assert!(matches!(concerns(Thresholds::default().quota_percent(10))[..], [Concern::Quota { tags: 3, .. }]));
}

/// Does one thing of a random history.
fn step(chance: &mut Chance, store: &EventStore) {
    let streams: Vec<StreamName> = (0..5).map(|number| name(&format!("game-{number}"))).collect();
    let stream = chance.pick(&streams).clone();
    let scope = if chance.one_in(3) { guilds() } else { guild(chance.below(3) as u64) };
    let quota = Quota::bytes(5_000 + chance.below(20_000) as u64);
    let events: Vec<NewEvent> = (0..3)
        .map(|_| {
            let tags: Vec<u64> = (0..chance.below(3)).map(|_| chance.below(4) as u64).collect();
            said(chance.below(1_500), &tags)
        })
        .collect();
    // What is refused changes nothing.
    match chance.below(20) {
        0 => set(store, &scope, quota),
        1 => set(store, &scope, quota.refusing()),
        2 => set(store, &scope, quota.trimming()),
        3 => drop(store.batch().clear_quota(&scope).commit().wait()),
        4 => {
            let batch = store.batch().append(&stream, Any, events).set_quota(&scope, quota).clear_quota(&guild(0));
            drop(batch.commit().wait());
        }
        5 => {
            let first = 1 + store.version(&stream).map_or(0, Version::get) / 2;
            drop(store.truncate_before(&stream, Version::new(first)).wait());
        }
        6 if chance.one_in(4) => drop(store.tombstone(&stream, Any, "over").wait()),
        7 => drop(store.usage()),
        _ => drop(store.append(&stream, Any, events).wait()),
    }
}

#[test]
fn over_any_history_what_is_used_is_what_the_log_holds() {
    for round in 0..10 {
        let seed = seed().wrapping_add(round);
        let mut chance = Chance(seed);
        let mut disk = SimulatedDisk::new(seed);
        let mut store = small_segments().open_simulated(&disk).expect("an empty disk");
        let check = |store: &EventStore, when: &str| assert_eq!(usage(store), expected(store), "{when}, seed {seed}");
        for part in 0..6 {
            for number in 0..25 {
                step(&mut chance, &store);
                if number % 8 == 7 {
                    check(&store, "in between");
                }
            }
            if part % 2 == 1 {
                store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
                check(&store, "compacted");
            }
            match chance.below(4) {
                0 => {
                    drop(store);
                    forget_derived(&disk);
                }
                1 => {
                    disk = disk.crash(&CrashChoice::Seeded(seed + part));
                    std::mem::forget(store);
                }
                _ => drop(store),
            }
            store = small_segments().open_simulated(&disk).expect("it opens");
            check(&store, "opened again");
            check(&small_segments().open_simulated_read_only(&disk).expect("it can be read"), "read only");
        }
        drop(store);
        assert!(verify_simulated(&disk).expect("a verdict").is_sound());
    }
}

#[test]
fn stopped_anywhere_a_quota_is_there_or_it_is_not_and_what_is_used_is_right() {
    let first = SimulatedDisk::new(5);
    let store = small_segments().open_simulated(&first).expect("an empty disk");
    (0..60).for_each(|number| drop(add(&store, &name("game-1"), [said(1_000, &[number % 3])])));
    store.close().expect("it closes");
    let mut seen = BTreeSet::new();
    for stop in 1.. {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let is_set = store.set_quota(&guilds(), Quota::bytes(5_000).trimming()).wait().is_ok();
            if is_set && store.append(&name("game-1"), Any, [said(500, &[1])]).wait().is_ok() {
                let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                let _ = store.close();
            }
            std::mem::forget(store);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            let store = small_segments().open_simulated(&crashed).expect("it opens");
            assert_eq!(usage(&store), expected(&store), "stopped at {stop}, {choice:?}");
            seen.insert((store.quotas().expect("a list").len(), store.stats().expect("numbers").events()));
        }
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(4 <= seen.len(), "{seen:?}");
}
