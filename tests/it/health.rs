//! How a store does, as it says itself.

use super::support::{Home, add, event, events, kilobyte, name, small_segments, wherever_it_lasts};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, salvage_simulated};
use scorebook::{
    Backoff, Concern, Consumer, Durability, ErrorKind, EventStore, ExpectedVersion, Position, Query, Start, Status,
    Thresholds, Timestamp, Verdict,
};
use std::time::Duration;
use std::{fs, io};

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

#[test]
fn damage_that_a_read_has_met_is_a_concern_from_then_on() {
    wherever_it_lasts(|home| {
        let quick = small_segments().verify_at_open_max(0);
        let store = home.open_with(&quick);
        (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
        store.close().expect("it closes");
        match home {
            Home::Simulated(disk) => disk.flip_bit("log/0000000001.log", 5_000, 0),
            home => {
                let segment = home.path().join("log").join("0000000001.log");
                let mut bytes = fs::read(&segment).expect("a segment");
                bytes[5_000] ^= 1;
                fs::write(&segment, bytes).expect("it is written");
            }
        }
        let store = home.open_with(&quick);
        let thresholds = Thresholds::default().room(0);
        assert!(store.health(&thresholds).expect("an answer").is_well(), "nobody has read it");
        let error = store.read(&name("a")).iter().find_map(Result::err).expect("it is met");
        assert_eq!(error.kind(), ErrorKind::Damaged);
        let found = store.health(&thresholds).expect("an answer").concerns().to_vec();
        let [Concern::Damaged { place }] = found[..] else { panic!("{found:?}") };
        assert!(place.segment == 1 && place.offset <= 5_000, "{place}");
        assert!(error.to_string().contains(&place.to_string()), "{error}");
        assert_eq!(store.stats().expect("numbers").damaged(), [place]);
        store.close().expect("it closes");
        // Whoever opens it for reading reads all of it.
        let reader = home.read_only().expect("it opens");
        let found = reader.health(&thresholds).expect("an answer").concerns().to_vec();
        assert!(matches!(found[..], [Concern::Damaged { place }, ..] if place.segment == 1), "{found:?}");
    });
}

#[test]
fn a_consumer_whose_next_event_cannot_be_read_does_not_hide_the_damage() {
    let disk = SimulatedDisk::new(7);
    let quick = small_segments().verify_at_open_max(0);
    let store = quick.open_simulated(&disk).expect("the store opens");
    drop(store.join(&all("scores")).expect("it is joined"));
    (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
    store.close().expect("it closes");
    disk.flip_bit("log/0000000001.log", 2_000, 0);
    let store = quick.open_simulated(&disk).expect("what is known is not read");
    let found = store.health(&Thresholds::default().lag_events(10)).expect("an answer").concerns().to_vec();
    assert!(matches!(found[0], Concern::Damaged { .. }), "{found:?}");
    assert!(matches!(found[1], Concern::ConsumerBehind { events: 100.., .. }), "{found:?}");
    assert_eq!(store.stats().expect("numbers").consumers()[0].lag_time(), None);
}

#[test]
fn slow_syncs_are_a_concern_for_as_long_as_somebody_may_look() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("the store opens");
    disk.set_sync_time(Duration::from_millis(900));
    add(&store, &name("a"), [event(1)]);
    assert_eq!(concerns(&store), []);
    let strict = Thresholds::default().sync_time(Duration::from_millis(800));
    assert!(!store.health(&strict).expect("an answer").is_well());
    disk.set_sync_time(Duration::from_millis(1200));
    add(&store, &name("a"), [event(2)]);
    disk.set_sync_time(Duration::ZERO);
    add(&store, &name("a"), [event(3)]);
    let found = concerns(&store);
    assert!(matches!(found[..], [Concern::SlowSync { time }] if time.as_millis() == 1200), "{found:?}");
    assert_eq!(found[0].to_string(), "a sync took 1200 ms");
    disk.advance(Duration::from_secs(120));
    assert_eq!(concerns(&store), []);
}

#[test]
fn a_clock_that_is_behind_the_last_event_is_a_concern_until_it_is_there() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("the store opens");
    let noon = Timestamp::from_nanos(1_800_000_000_000_000_000);
    disk.set_time(noon);
    let last = add(&store, &name("a"), [event(1)]).time();
    disk.set_time(Timestamp::from_nanos(noon.nanos() - 30_000_000_000));
    assert_eq!(concerns(&store), []);
    disk.set_time(Timestamp::from_nanos(noon.nanos() - 3_600_000_000_000));
    assert_eq!(add(&store, &name("a"), [event(2)]).time(), last, "times do not go back");
    let found = concerns(&store);
    let [Concern::ClockBehind { time }] = found[..] else { panic!("{found:?}") };
    assert_eq!(time.as_secs().div_ceil(60), 60);
    disk.advance(Duration::from_secs(3600));
    assert_eq!(concerns(&store), []);
}

/// Behind events that a killed writer has left and nothing proves, nothing is appended before they are copied.
#[test]
fn a_store_without_room_to_copy_its_tail_is_full_and_says_so() {
    let disk = SimulatedDisk::new(7);
    let options = small_segments().durability(Durability::Written);
    let store = options.open_simulated(&disk).expect("the store opens");
    (0..5).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
    let left = disk.kill();
    left.set_capacity(Some(0));
    let store = options.open_simulated(&left).expect("it opens");
    assert_ne!(store.recovery_report().unproven_events(), 0);
    let health = store.health(&Thresholds::default().room(0)).expect("an answer");
    assert_eq!(health.status(), Status::Full);
    assert!(matches!(health.concerns(), [Concern::Full { .. }]), "{:?}", health.concerns());
    left.set_capacity(None);
    add(&store, &name("a"), [event(6)]);
    assert_eq!(concerns(&store), []);
}
