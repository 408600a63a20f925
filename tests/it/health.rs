//! How a store does, as it says itself.

use super::support::{add, event, events, kilobyte, name, small_segments};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, salvage_simulated};
use scorebook::{
    Backoff, Concern, Consumer, EventStore, ExpectedVersion, Position, Query, Start, Status, Thresholds, Verdict,
};
use std::io;
use std::time::Duration;

fn concerns(store: &EventStore) -> Vec<Concern> {
    store.health(&Thresholds::default()).expect("an answer").concerns().to_vec()
}

fn all(name: &str) -> Consumer {
    Consumer::new(name, Query::all(), Start::Beginning)
}

#[test]
fn a_store_that_is_well_says_so_and_how_much_room_there_is() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("the store opens");
    let health = store.health(&Thresholds::default()).expect("an answer");
    assert!(health.is_well());
    assert_eq!((health.status(), health.room()), (Status::Writing, None));
    disk.set_capacity(Some(200_000_000));
    let health = store.health(&Thresholds::default()).expect("an answer");
    let room = health.room().expect("it is known");
    assert!((100_000_000..200_000_000).contains(&room), "{room}");
    assert_eq!(health.concerns(), [Concern::LittleRoom { bytes: room }]);
    assert!(store.health(&Thresholds::default().room(room)).expect("an answer").is_well());
    let directory = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(directory.path().join("bot.scorebook")).expect("the store opens");
    let health = store.health(&Thresholds::default().room(0)).expect("an answer");
    assert!(health.is_well() && health.room().is_some_and(|room| 0 < room));
}

#[test]
fn a_store_that_does_not_write_says_why() {
    let disk = SimulatedDisk::new(7);
    let store = small_segments().open_simulated(&disk).expect("the store opens");
    add(&store, &name("a"), events(1..3));
    disk.set_capacity(Some(0));
    let full =
        (0..200).find_map(|number| store.append(&name("a"), ExpectedVersion::Any, [kilobyte(number)]).wait().err());
    let told = full.expect("there is no room").into_error().to_string();
    let health = store.health(&Thresholds::default().room(0)).expect("an answer");
    assert_eq!(health.status(), Status::Full);
    assert!(matches!(health.concerns(), [Concern::Full { why }] if *why == told), "{:?}", health.concerns());
    disk.set_capacity(None);
    add(&store, &name("a"), [kilobyte(1)]);
    assert_eq!(concerns(&store), []);
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    store.append(&name("a"), ExpectedVersion::Any, [event(3)]).wait().expect_err("the sync fails");
    assert!(matches!(&concerns(&store)[..], [Concern::Poisoned { .. }]));
    assert_eq!(store.health(&Thresholds::default()).expect("an answer").status(), Status::Poisoned);
    store.reopen().expect("it is opened again");
    assert_eq!(concerns(&store), []);
}

#[test]
fn what_was_lost_is_a_concern_until_somebody_accepts_it() {
    let disk = SimulatedDisk::new(7);
    let store = small_segments().open_simulated(&disk).expect("the store opens");
    (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
    store.close().expect("it closes");
    disk.flip_bit("log/0000000001.log", 5_000, 0);
    let copy = SimulatedDisk::new(8);
    salvage_simulated(&disk, &copy).expect("what is good is copied");
    let store = small_segments().open_simulated(&copy).expect("the store opens");
    let found = concerns(&store);
    let [Concern::Lost { first, last }] = found[..] else { panic!("{found:?}") };
    assert!(Position::new(1) < first && first <= last && last < Position::new(20), "{first} to {last}");
    store.accept_losses().expect("they are accepted");
    assert_eq!(concerns(&store), []);
}

#[test]
fn consumers_that_need_somebody_are_told_of() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("the store opens");
    add(&store, &name("a"), events(1..4));
    let rules = all("scores").backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).jitter_percent(0));
    let mut member = store.join(&rules).expect("it is joined");
    let behind = Thresholds::default().lag_events(2);
    let found = store.health(&behind).expect("an answer").concerns().to_vec();
    assert!(matches!(&found[..], [Concern::ConsumerBehind { name, events: 3, .. }] if name == "scores"), "{found:?}");
    disk.advance(Duration::from_secs(400));
    assert!(matches!(&concerns(&store)[..], [.., Concern::ConsumerBehind { time, .. }] if 400 <= time.as_secs()));
    let delivery = member.try_next().expect("nothing fails").expect("an event");
    delivery.nack(Verdict::Park, "no").expect("it is in hand");
    while let Some(delivery) = member.try_next().expect("nothing fails") {
        delivery.ack().expect("it is in hand");
    }
    let found = concerns(&store);
    assert!(matches!(&found[..], [Concern::Parked { name, events: 1.. }] if name == "scores"), "{found:?}");
    assert!(store.health(&Thresholds::default().parked(3)).expect("an answer").is_well());
    store.consumer("scores").pause("maintenance").expect("it is paused");
    let paused = Concern::ConsumerPaused { name: "scores".to_owned(), why: "maintenance".to_owned() };
    let found = concerns(&store);
    assert_eq!(found[0], paused);
    assert_eq!(found[0].to_string(), "consumer scores is paused: maintenance");
}
