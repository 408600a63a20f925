//! The ends of the log beside those who move them.

use super::*;
use crate::log::Making;
use crate::sync::explore::{explore, spawn};

/// Everything that is said to be durable is, and stays so.
fn check_ends(ground: &Ground) {
    let ends = ground.log.ends();
    assert!(ground.disk.is_durable(ends.durable), "{} is said to be durable", ends.durable);
    assert!(ends.visible_position <= *ground.shown.head.read(), "an end speaks of what nobody sees");
}

#[test]
fn what_is_said_in_live_is_durable_and_visible_and_never_less_than_before() {
    explore("saying it in live", 3, || {
        let ground = Ground::begun(Durability::Synced);
        let (other, watching) = (ground.clone(), ground.clone());
        let other = spawn(move || other.append("b").and_then(|ticket| other.wait(&ticket)).expect("committed"));
        // The disk looks at what is written there.
        let watcher = spawn(move || watching.log.update_live());
        let before = ground.log.ends();
        check_ends(&ground);
        ground.log.update_live();
        let after = ground.log.ends();
        assert!(before.durable <= after.durable && before.visible <= after.visible);
        assert!(after.visible <= after.durable, "synced batches are visible only once they are durable");
        watcher.join().expect("it ends");
        other.join().expect("it ends");
        check_ends(&ground);
    });
}

/// A sync in the background beside an append: whatever order, a flush leaves everything durable, and no end lies.
fn check_sync_behind(durability: Durability, len: usize) {
    let ground = Ground::begun(Durability::Written);
    assert!(matches!(ground.log.make_room(), Making::Made));
    let written = ground.append_as("written", Durability::Written, 4096);
    written.and_then(|ticket| ground.wait(&ticket)).expect("committed");
    let (syncing, watching) = (ground.clone(), ground.clone());
    let syncer = spawn(move || syncing.log.sync_behind().expect("nothing fails"));
    let watcher = spawn(move || check_ends(&watching));
    let appended = ground.append_as("b", durability, len).and_then(|ticket| ground.wait(&ticket));
    appended.expect("committed");
    if durability == Durability::Synced {
        assert_eq!(ground.survivors(), ["begun", "written", "b"]);
    }
    check_ends(&ground);
    syncer.join().expect("it ends");
    watcher.join().expect("it ends");
    ground.log.flush().expect("it flushes");
    let ends = ground.log.ends();
    assert_eq!(ends.durable, ends.visible, "after a flush all is durable");
    check_ends(&ground);
    assert_eq!(ground.survivors(), ["begun", "written", "b"]);
}

#[test]
fn a_sync_behind_the_one_who_writes_never_claims_what_it_did_not_sync() {
    explore("syncing behind a write", 3, || check_sync_behind(Durability::Written, 8));
}

#[test]
fn a_sync_behind_the_one_who_syncs_takes_nothing_back() {
    explore("syncing behind a sync", 3, || check_sync_behind(Durability::Synced, 8));
}

#[test]
fn a_sync_behind_the_one_who_goes_on_in_another_segment_takes_nothing_back() {
    explore("syncing behind a new segment", 3, || {
        // More than is left of the first segment.
        check_sync_behind(Durability::Written, SEGMENT_BYTES_MIN as usize - 2048);
    });
}
