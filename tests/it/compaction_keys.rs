//! How long compaction leaves what is known of `once` keys.

use super::support::{add, kilobyte, name, small_segments};
use crate::model::forget_derived;
use scorebook::ExpectedVersion::Any;
use scorebook::testing::SimulatedDisk;
use scorebook::{BatchBuilder, ErrorKind, EventStore, Retention, Scope, Version};
use std::time::Duration;

#[test]
fn a_key_is_known_for_as_long_as_is_said() {
    // What is said of keys, and how many days they are known at least and at most.
    type Says = fn(BatchBuilder<'_>) -> BatchBuilder<'_>;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let cases: [(&str, Says, u32, u32); 5] = [
        ("nothing", |batch| batch.clear_retention(&Scope::OnceKeys), 29, 31),
        (
            "for everything a day",
            |batch| batch.retain(&Scope::Everything, Retention::forever().newer_than(DAY)),
            29,
            31,
        ),
        ("a day", |batch| batch.retain(&Scope::OnceKeys, Retention::forever().newer_than(DAY)), 0, 2),
        ("for ever", |batch| batch.retain(&Scope::OnceKeys, Retention::forever()), 4_000, u32::MAX),
        ("held", |batch| batch.hold(&Scope::OnceKeys, "an inquiry"), 4_000, u32::MAX),
    ];
    for (what, says, known, forgotten) in cases {
        let disk = SimulatedDisk::new(18);
        let options = small_segments();
        let store = options.open_simulated(&disk).expect("it opens");
        says(store.batch()).commit().wait().expect("it is said");
        let a = name("game-1");
        let asked = |store: &EventStore| {
            let batch = store.batch().append(&a, Any, [kilobyte(7)]).once("interaction-1");
            batch.commit().wait().expect("accepted").is_repeat()
        };
        assert!(!asked(&store));
        for day in [known, forgotten].into_iter().filter(|days| *days != u32::MAX) {
            for number in 0..40 {
                add(&store, &name("player-1"), [kilobyte(number)]);
            }
            add(&store, &a, [kilobyte(9)]);
            let after = store.version(&a).expect("a version");
            store.truncate_before(&a, after).wait().expect("it begins later");
            store.truncate_before(&name("player-1"), Version::new(40)).wait().expect("it begins later");
            disk.advance(DAY * day);
            let plan = store.compaction().thoroughly().plan().expect("a plan");
            assert!(0 < plan.apply().expect("it is done").segments_after(), "{what}");
            assert_eq!(asked(&store), day == known, "{what}: after {day} days");
        }
    }
    let store = EventStore::open_in_memory().expect("it opens");
    let so_many = store.batch().retain(&Scope::OnceKeys, Retention::forever().newest(7)).commit().wait();
    assert_eq!(so_many.unwrap_err().into_error().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_key_is_known_for_thirty_days_and_then_forgotten() {
    let disk = SimulatedDisk::new(17);
    let day = Duration::from_secs(24 * 60 * 60);
    let a = name("game-1");
    let asked = |store: &EventStore| {
        store
            .batch()
            .append(&a, Any, [kilobyte(7)])
            .once("interaction-1")
            .commit()
            .wait()
            .expect("accepted")
            .is_repeat()
    };
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert!(!asked(&store));
    let fill = |store: &EventStore| {
        for number in 0..40 {
            add(store, &name("player-1"), [kilobyte(number)]);
        }
    };
    fill(&store);
    store.tombstone(&name("player-1"), Any, "over").wait().expect("it is finished");
    disk.advance(29 * day);
    let compact = |store: &EventStore| {
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        plan.apply().expect("it is done").segments_after()
    };
    assert!(0 < compact(&store));
    assert!(asked(&store), "the key is younger than 30 days");
    drop(store);
    forget_derived(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert!(asked(&store));
    disk.advance(2 * day);
    add(&store, &a, [kilobyte(8)]);
    store.truncate_before(&a, Version::new(2)).wait().expect("it begins later");
    assert!(0 < compact(&store));
    assert!(!asked(&store), "the key is older than 30 days");
}
