//! Consumers under shuttle: several members that commit their results, beside somebody who appends and one who closes.
//!
//! How to run a schedule that fails again is said in `store/schedules.rs`.

use super::{Consumer, Member};
use crate::error::{Error, ErrorKind};
use crate::event::NewEvent;
use crate::name::StreamName;
use crate::options::{Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::ExpectedVersion;
use crate::query::Query;
use crate::storage::CheckedDisk;
use crate::store::EventStore;
use crate::subscription::{Followed, Start};
use crate::sync::Arc;
use crate::sync::explore::{block_on, chance, explore, spawn};
use std::time::Duration;

const EVENTS: u64 = 4;

fn open(disk: &CheckedDisk) -> EventStore {
    let options = Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned);
    let options = options.sync_every(Duration::from_millis(12)).idle_after(Duration::from_millis(6));
    options.open_on(Arc::new(disk.clone())).expect("the store opens")
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn consumer() -> Consumer {
    let consumer = Consumer::new("squares", Query::all().of_type("number"), Start::Beginning);
    consumer.checkpoint_after(Duration::from_millis(5)).stop_within(Duration::from_millis(5))
}

fn append(store: &EventStore) {
    for number in 0..EVENTS {
        let event = NewEvent::bytes("number", [number as u8]);
        let stream = name(&format!("stream-{}", number % 2));
        drop(store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("committed"));
    }
}

/// Takes events and commits a result for each until the store is closed.
fn work(member: &mut Member) -> Result<(), Error> {
    loop {
        let delivery = if chance(2) == 0 { block_on(member.next())? } else { member.next().wait()? };
        if chance(6) == 0 {
            // It is handed out again.
            continue;
        }
        let result = NewEvent::bytes("result", delivery.event().data().to_vec());
        let batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, [result]);
        let commit = delivery.commit(batch);
        if chance(2) == 0 { block_on(commit) } else { commit.wait() }.map_err(|error| error.into_error())?;
    }
}

fn results(store: &EventStore) -> Vec<u8> {
    let read = store.read_all().matching(Query::all().of_type("result")).into_iter();
    read.map(|event| event.expect("it is visible").data()[0]).collect()
}

fn check(results: &[u8]) {
    for stream in 0..2 {
        let of_stream: Vec<u8> = results.iter().copied().filter(|number| number % 2 == stream).collect();
        assert!(of_stream.windows(2).all(|pair| pair[0] < pair[1]), "once and in order: {results:?}");
    }
}

#[test]
fn members_who_commit_have_every_event_once_and_in_order() {
    explore("members who commit", || {
        let store = open(&CheckedDisk::new());
        let member = || {
            let mut member = store.join(&consumer()).expect("it joins");
            spawn(move || work(&mut member).expect_err("it ends when the store is closed").kind())
        };
        let members = [member(), member()];
        let mut seen = store.subscribe(Query::all().of_type("result"), Start::Beginning);
        let writer = store.clone();
        let writer = spawn(move || append(&writer));
        let mut count = 0;
        while count < EVENTS {
            count += u64::from(matches!(seen.next().wait().expect("nothing fails"), Followed::Event(_)));
        }
        writer.join().expect("it ends");
        let all = results(&store);
        store.close().expect("it closes");
        for member in members {
            assert_eq!(member.join().expect("it ends"), ErrorKind::Closed);
        }
        assert_eq!(all.len() as u64, EVENTS);
        check(&all);
    });
}

/// What another has read is not slept over, though that one takes only what it was handed, and asks no more.
#[test]
fn who_waits_is_called_for_what_another_has_read() {
    explore("a member beside one who reads", || {
        let store = open(&CheckedDisk::new());
        let consumer = consumer().checkpoint_after(Duration::from_secs(1_000));
        let (mut reads, mut waits) =
            (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
        let waiter = spawn(move || {
            let delivery = waits.next().wait().expect("nothing fails");
            let position = delivery.event().position();
            (delivery, position, waits)
        });
        let writer = store.clone();
        let writer = spawn(move || append(&writer));
        let held = reads.try_next().expect("nothing fails");
        let (delivery, position, waits) = waiter.join().expect("it ends");
        assert_ne!(held.as_ref().map(|held| held.event().position()), Some(position));
        writer.join().expect("it ends");
        drop((held, delivery, waits));
    });
}

#[test]
fn who_is_sent_elsewhere_while_somebody_reads_goes_on_from_there() {
    explore("a seek beside one who reads", || {
        let store = open(&CheckedDisk::new());
        append(&store);
        let mut member = store.join(&consumer().stop_within(Duration::from_secs(1_000))).expect("it joins");
        while let Some(delivery) = member.try_next().expect("nothing fails") {
            delivery.ack().expect("it is in hand");
        }
        let reader = spawn(move || {
            drop(member.try_next().expect("nothing fails"));
            member
        });
        // Whoever writes a checkpoint at this moment may take its time.
        while let Err(error) = store.consumer("squares").seek(Start::Beginning) {
            assert_eq!(error.kind(), ErrorKind::Busy);
        }
        let mut member = reader.join().expect("it ends");
        // The timer may be reading at this moment, so that there is nothing without waiting.
        for number in 0..EVENTS {
            let delivery = member.next().wait().expect("nothing fails");
            assert_eq!(delivery.event().data(), [number as u8]);
            delivery.ack().expect("it is in hand");
        }
    });
}

#[test]
fn closed_in_the_middle_nothing_is_lost_and_nothing_is_twice() {
    explore("members beside closing", || {
        let disk = CheckedDisk::new();
        let store = open(&disk);
        append(&store);
        let mut member = store.join(&consumer()).expect("it joins");
        let member = spawn(move || work(&mut member).map_err(|error| error.kind()));
        store.close().expect("it closes");
        assert!(member.join().expect("it ends").is_err());
        drop(store);
        let store = open(&disk);
        let before = results(&store);
        check(&before);
        let mut member = store.join(&consumer()).expect("it joins");
        while let Some(delivery) = member.try_next().expect("nothing fails") {
            let result = NewEvent::bytes("result", delivery.event().data().to_vec());
            let batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, [result]);
            drop(delivery.commit(batch).wait().expect("committed"));
        }
        let all = results(&store);
        assert_eq!(all.len() as u64, EVENTS, "{before:?} before");
        check(&all);
    });
}
