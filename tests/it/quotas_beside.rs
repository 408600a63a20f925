//! Quotas that are set, counted and taken away beside what is on its way in, beside compactions, and where bytes are damaged.

use super::quotas::{expected, guild, guilds, said, set, usage};
use super::support::{PATIENCE, add, conflict, everywhere, name, small_segments, wherever_threads_are};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::SimulatedDisk;
use scorebook::{Conflict, ErrorKind, EventStore, Quota, Thresholds};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

/// A store with a stream of which a half is to go.
fn half_goes(store: &EventStore) {
    (0..120).for_each(|number| drop(add(store, &name(["game-1", "game-2"][number % 2]), [said(1_000, &[7, 8])])));
    store.tombstone(&name("game-1"), Any, "over").wait().expect("it is finished");
}

fn compact(store: &EventStore) {
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
}

/// Compacts, and does something in the middle of the first segment that is written.
fn compact_beside(store: &EventStore, act: impl FnOnce()) {
    let mut act = Some(act);
    let watch = |_| {
        act.take().into_iter().for_each(|act| act());
        ControlFlow::Continue(())
    };
    store.compaction().thoroughly().plan().expect("a plan").apply_while(watch).expect("it is done");
    assert!(act.is_none(), "it was called");
}

#[test]
fn a_quota_that_is_set_again_ahead_of_what_is_visible_is_counted_whole() {
    // Nothing is written on this disk before somebody waits for it.
    let store = small_segments().open_simulated(&SimulatedDisk::new(3)).expect("an empty disk");
    let a = name("game-1");
    (0..60).for_each(|_| drop(add(&store, &a, [said(1_000, &[7])])));
    set(&store, &guild(7), Quota::bytes(1 << 20).refusing());
    assert_eq!(usage(&store), expected(&store));
    let mut pending: Vec<_> = (0..40).map(|_| store.append(&a, Any, [said(1_000, &[7])])).collect();
    let again = store.batch().clear_quota(&guild(7)).set_quota(&guild(7), Quota::bytes(1 << 20).refusing()).commit();
    pending.extend((0..40).map(|_| store.append(&a, Any, [said(1_000, &[7])])));
    assert_eq!(usage(&store), expected(&store), "before any of it is visible");
    again.wait().expect("it is set");
    pending.into_iter().for_each(|append| drop(append.wait().expect("there is room")));
    assert_eq!(usage(&store), expected(&store), "behind it");
    store.tombstone(&a, Any, "over").wait().expect("it is finished");
    compact(&store);
    assert_eq!(usage(&store), expected(&store), "compacted");
    add(&store, &name("game-2"), [said(1_000, &[7])]);
}

#[test]
fn a_quota_that_is_taken_away_and_set_while_events_come_in_is_there_or_not_as_was_said() {
    let store = small_segments().open_simulated(&SimulatedDisk::new(3)).expect("an empty disk");
    let batch = || store.batch().clear_quota(&guild(7)).set_quota(&guild(7), Quota::bytes(9)).clear_quota(&guild(7));
    batch().commit().wait().expect("it is done");
    assert_eq!(store.quotas().expect("a list"), []);
    let first = store.set_quota(&guild(7), Quota::bytes(1));
    let appended = store.append(&name("game-1"), Any, [said(10, &[7])]);
    let cleared = batch().commit();
    let last = store.set_quota(&guild(7), Quota::bytes(5));
    [first, cleared, last].into_iter().for_each(|pending| drop(pending.wait().expect("it is done")));
    appended.wait().expect("it is in");
    assert_eq!(store.quotas().expect("a list"), [(guild(7), Quota::bytes(5))]);
    assert_eq!(usage(&store), expected(&store));
}

#[test]
fn a_quota_that_is_set_in_the_middle_of_a_compaction_counts_what_that_leaves() {
    for counts in [false, true] {
        everywhere(|home| {
            let store = home.open_with(&small_segments());
            half_goes(&store);
            let (mut pending, mut quotas) = (Vec::new(), Vec::new());
            compact_beside(&store, || {
                pending.extend((0..3).map(|_| store.append(&name("game-3"), Any, [said(500, &[7])])));
                quotas.push(store.set_quota(&guild(7), Quota::bytes(1 << 20).refusing()));
                quotas.push(store.set_quota(&guilds(), Quota::bytes(1)));
                pending.extend((0..3).map(|_| store.append(&name("game-3"), Any, [said(500, &[7])])));
                if counts {
                    quotas.drain(..).for_each(|quota| drop(quota.wait().expect("it is set")));
                    assert_eq!(usage(&store), expected(&store), "in the middle");
                }
            });
            quotas.into_iter().for_each(|quota| drop(quota.wait().expect("it is set")));
            pending.into_iter().for_each(|append| drop(append.wait().expect("there is room")));
            assert_eq!(usage(&store), expected(&store), "behind it, counted in the middle: {counts}");
            store.tombstone(&name("game-2"), Any, "over").wait().expect("it is finished");
            compact(&store);
            assert_eq!(usage(&store), expected(&store), "once more");
            add(&store, &name("game-3"), [said(500, &[7])]);
        });
    }
}

#[test]
fn what_is_over_its_quota_is_refused_also_inside_of_what_watches_a_compaction() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        half_goes(&store);
        compact_beside(&store, || {
            set(&store, &guild(7), Quota::bytes(5_000).refusing());
            let refused = conflict(store.append(&name("game-2"), Any, [said(1, &[7])]).wait());
            assert!(matches!(refused, Conflict::Quota { used: 60_000.., .. }), "{refused}");
        });
        assert_eq!(usage(&store), expected(&store));
    });
}

#[test]
fn whoever_appends_waits_for_no_compaction() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        half_goes(&store);
        compact_beside(&store, || {
            set(&store, &guild(7), Quota::bytes(1 << 20).refusing());
            set(&store, &guild(8), Quota::bytes(10).refusing());
            let (send, done) = mpsc::channel();
            let others = store.clone();
            thread::spawn(move || {
                let untagged = others.append(&name("game-2"), Any, [said(1, &[])]).wait().is_ok();
                let counted = others.append(&name("game-2"), Any, [said(1, &[7])]).wait().is_ok();
                let refused = others.append(&name("game-2"), Any, [said(1, &[8])]).wait().is_err();
                let health = others.health(&Thresholds::default()).is_ok();
                send.send([untagged, counted, refused, health]).expect("somebody waits");
            });
            assert_eq!(done.recv_timeout(PATIENCE), Ok([true; 4]));
        });
        assert_eq!(usage(&store), expected(&store));
    });
}

#[test]
fn where_damage_keeps_a_quota_from_being_counted_that_is_said_and_only_its_tag_is_kept_out() {
    let disk = SimulatedDisk::new(7);
    let store = small_segments().open_simulated(&disk).expect("the store opens");
    (0..100).for_each(|_| drop(add(&store, &name("game-1"), [said(1_000, &[7]), said(10, &[8])])));
    disk.flip_bit("log/0000000001.log", 5_000, 0);
    for scope in [guild(7), guilds()] {
        let once = || store.batch().append(&name("game-2"), Any, [said(1, &[7])]).once("key").commit().wait();
        let first = once().expect("it is in, or it was");
        set(&store, &scope, Quota::bytes(1 << 20).refusing());
        assert_eq!(store.usage().expect_err("nobody knows").kind(), ErrorKind::Damaged);
        let kept_out = store.append(&name("game-2"), Any, [said(1, &[7])]).wait().expect_err("nobody knows");
        assert_eq!(kept_out.into_error().kind(), ErrorKind::Damaged);
        assert_eq!(once().expect("it is answered again").last_position(), first.last_position());
        store.append(&name("game-2"), Any, [said(1, &[])]).wait().expect("it has no such tag");
        assert!(store.health(&Thresholds::default()).is_ok());
        store.batch().clear_quota(&scope).commit().wait().expect("it is taken away");
        store.append(&name("game-2"), Any, [said(1, &[7])]).wait().expect("there is none");
        assert_eq!(store.usage().expect("there is none"), []);
    }
}
