//! Subscriptions under shuttle: whoever waits is called whatever the order of things, and gets every event once.
//!
//! How to run a schedule that fails again is said in `store/schedules.rs`.

use super::{Followed, Start, Subscription};
use crate::error::{Error, ErrorKind};
use crate::event::NewEvent;
use crate::name::StreamName;
use crate::options::{Durability, Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::{ExpectedVersion, Position};
use crate::query::Query;
use crate::storage::CheckedDisk;
use crate::store::EventStore;
use crate::sync::Arc;
use crate::sync::explore::{block_on, chance, explore, spawn};
use std::time::Duration;

const APPENDS: u64 = 3;

fn open(disk: &CheckedDisk) -> EventStore {
    let options = Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned);
    let options = options.sync_every(Duration::from_millis(12)).idle_after(Duration::from_millis(6));
    options.open_on(Arc::new(disk.clone())).expect("the store opens")
}

/// Appends events of one type each, `wanted` or `other`, with a durability chosen by chance.
fn append(store: &EventStore, event_type: &str) {
    let stream = StreamName::new("game-1").expect("a name");
    for _ in 0..APPENDS {
        let durability = [Durability::Synced, Durability::Written][chance(2) as usize];
        let batch = store.batch().append(&stream, ExpectedVersion::Any, [NewEvent::bytes(event_type, [7; 8])]);
        let pending = batch.durability(durability).commit();
        match chance(3) {
            0 => drop(pending),
            1 => drop(block_on(pending).expect("committed")),
            _ => drop(pending.wait().expect("committed")),
        }
    }
}

/// Waits for what comes next, as a thread or as a task.
fn next(live: &mut Subscription) -> Result<Followed, Error> {
    match chance(3) {
        0 => block_on(live.next()),
        1 => loop {
            if let Some(item) = live.next_timeout(Duration::from_millis(5))? {
                return Ok(item);
            }
        },
        _ => live.next().wait(),
    }
}

fn follow(live: &mut Subscription, events: u64) -> Result<Vec<Position>, Error> {
    let mut positions = Vec::new();
    while (positions.len() as u64) < events {
        positions.extend(next(live)?.event().map(|event| event.position()));
    }
    Ok(positions)
}

#[test]
fn whoever_waits_gets_every_event_once_and_in_order() {
    explore("following two who append", || {
        let store = open(&CheckedDisk::new());
        let query = Query::all().of_type("wanted");
        let mut narrow = store.subscribe(query.clone(), Start::Beginning);
        let mut wide = store.subscribe(Query::all(), Start::End).durability(Durability::Synced);
        let followers = [
            spawn(move || follow(&mut narrow, APPENDS).expect("nothing fails")),
            spawn(move || follow(&mut wide, 2 * APPENDS).expect("nothing fails")),
        ];
        let (one, other) = (store.clone(), store.clone());
        let writers = [spawn(move || append(&one, "wanted")), spawn(move || append(&other, "other"))];
        writers.into_iter().for_each(|writer| writer.join().expect("it ends"));
        let [narrow, wide] = followers.map(|follower| follower.join().expect("it ends"));
        assert_eq!(wide, (1..=2 * APPENDS).map(Position::new).collect::<Vec<_>>());
        let wanted = store.read_all().matching(query).into_iter().map(|event| event.expect("it is visible").position());
        assert_eq!(narrow, wanted.collect::<Vec<_>>());
    });
}

#[test]
fn whoever_waits_when_the_store_is_closed_is_told_so() {
    explore("following beside closing", || {
        let store = open(&CheckedDisk::new());
        let follower = |mut live: Subscription| {
            spawn(move || {
                loop {
                    if let Err(error) = next(&mut live) {
                        return error.kind();
                    }
                }
            })
        };
        let matched = follower(store.subscribe(Query::all(), Start::Beginning));
        let unmatched = follower(store.subscribe(Query::all().of_type("never"), Start::Beginning));
        append(&store, "wanted");
        if chance(2) == 0 {
            store.close().expect("it closes");
        }
        drop(store);
        for follower in [matched, unmatched] {
            assert_eq!(follower.join().expect("it ends"), ErrorKind::Closed);
        }
    });
}

#[test]
fn of_many_who_wait_none_is_forgotten() {
    explore("many followers", || {
        let store = open(&CheckedDisk::new());
        let follower = |_| {
            let mut live = store.subscribe(Query::all(), Start::Beginning);
            spawn(move || follow(&mut live, 2).expect("nothing fails").len())
        };
        let followers: Vec<_> = (0..6).map(follower).collect();
        append(&store, "wanted");
        followers.into_iter().for_each(|follower| assert_eq!(follower.join().expect("it ends"), 2));
    });
}
