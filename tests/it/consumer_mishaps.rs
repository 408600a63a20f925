//! Consumers where something goes wrong around them: what cannot be read or written, a store that opens again with less,
//! keys that are stuck, and those who steer in the middle of it.

use crate::consumers::{SECOND, counting, drain, numbers_of, position, square, take};
use crate::model::{Thoroughness, followings, operations_of_following, seed, stop_and_follow};
use crate::support::{PATIENCE, add, check_says, event, events, everywhere, name, number, wherever_it_lasts};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    AfterChange, Consumer, ConsumerHealth, Durability, ErrorKind, EventStore, NewEvent, PartitionBy, Position, Query,
    Start, Verdict,
};
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn parked(store: &EventStore) -> Vec<u64> {
    let parked = store.consumer("counting").parked().expect("a list");
    parked.iter().map(|event| event.position().get()).collect()
}

#[test]
fn what_is_said_of_events_of_a_consumer_that_is_gone_does_not_bring_it_back() {
    for is_deleted in [true, false] {
        everywhere(|home| {
            let store = home.open();
            add(&store, &name("a"), events(1..4));
            add(&store, &name("b"), events(11..13));
            let consumer = counting().checkpoint_every(1);
            let mut member = store.join(&consumer).expect("it joins");
            let (held, other) = (member.next().wait().expect("a delivery"), member.next().wait().expect("a delivery"));
            let control = store.consumer("counting");
            let wider = Consumer::new("counting", Query::all(), Start::Beginning);
            let what = match is_deleted {
                true => control.delete().map(|()| "deleted"),
                false => control.change(&wider, AfterChange::BeginAnew).map(|()| "changed"),
            };
            let what = what.expect("it is written");
            check_says(&held.ack().expect_err("it is gone"), ErrorKind::InvalidArgument, &[what]);
            check_says(&held.nack(Verdict::Park, "why").expect_err("it is gone"), ErrorKind::InvalidArgument, &[what]);
            let refused = square(&other).expect_err("it is gone").into_error();
            check_says(&refused, ErrorKind::InvalidArgument, &[what]);
            drop((held, other, member));
            match is_deleted {
                true => {
                    assert!(store.consumers().expect("a list").is_empty(), "nobody has brought it back");
                    assert_eq!(drain(&mut store.join(&consumer).expect("it joins")), [1, 2, 3, 11, 12]);
                }
                false => {
                    assert_eq!(position(&store), 0, "it begins anew");
                    assert_eq!(drain(&mut store.join(&wider).expect("it joins")), [1, 2, 3, 11, 12]);
                }
            }
        });
    }
}

/// A store on a disk that has lost what was only written, and was opened again in place: events 3 to 5 are gone.
fn set_back(disk: &SimulatedDisk, store: &EventStore) {
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    store.flush().expect_err("the sync fails");
    disk.heal();
    store.reopen().expect("it opens again");
    assert_eq!(store.head().expect("a head").get(), 2, "what was only written is gone");
}

#[test]
fn where_a_store_opens_again_with_less_no_checkpoint_speaks_of_what_is_gone() {
    for refilled in [false, true] {
        let disk = SimulatedDisk::new(7);
        let options = EventStore::options().durability(Durability::Written).sync_every(Duration::from_secs(3600));
        let store = options.open_simulated(&disk).expect("a store");
        let consumer = counting().checkpoint_every(1).partition_by(PartitionBy::NOTHING);
        let mut member = store.join(&consumer).expect("it joins");
        add(&store, &name("a"), events(1..3));
        assert_eq!(drain(&mut member), [1, 2]);
        store.flush().expect("flushed");
        add(&store, &name("a"), events(3..6));
        let held = take(&mut member);
        assert_eq!(numbers_of(&held), [3, 4, 5]);
        set_back(&disk, &store);
        if refilled {
            add(&store, &name("a"), events(13..18));
        }
        check_says(&held[0].ack().err().or_else(|| held[1].ack().err()).expect("it is gone"), ErrorKind::Lost, &["2"]);
        assert!(square(&held[2]).is_err(), "and no result of it is written");
        check_says(&member.try_next().expect_err("it had looked further"), ErrorKind::Lost, &["ended at 2"]);
        drop((held, member));
        let store = {
            store.close().expect("it closes");
            drop(store);
            options.open_simulated(&disk).expect("the log holds nothing that is senseless")
        };
        assert_eq!(store.recovery_report().damage(), []);
        add(&store, &name("a"), [event(99)]);
        let expected: &[u64] = if refilled { &[13, 14, 15, 16, 17, 99] } else { &[99] };
        assert_eq!(drain(&mut store.join(&consumer).expect("it joins")), expected, "nothing is skipped");
    }
}

#[test]
fn what_comes_before_a_parked_event_in_its_key_is_handed_out_also_after_a_restart_and_when_sent_back() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let mut member = store.join(&counting().batch(3, Duration::ZERO)).expect("it joins");
        add(&store, &name("a"), events(1..4));
        let delivery = member.next().wait().expect("a delivery");
        delivery.nack_position(Position::new(2), Verdict::Park, "broken").expect("it is in hand");
        assert_eq!(parked(&store), [2, 3]);
        drop((delivery, member));
        let store = home.reopen(store, &EventStore::options());
        let mut member = store.join(&counting()).expect("it joins");
        add(&store, &name("a"), events(4..5));
        assert_eq!((drain(&mut member), parked(&store)), (vec![1], vec![2, 3, 4]));
        store.consumer("counting").seek(Start::Beginning).expect("it goes there");
        assert_eq!((drain(&mut member), parked(&store)), (vec![1], vec![2, 3, 4]));
        store.consumer("counting").redeliver(Position::new(3)).expect("it is parked");
        assert_eq!((drain(&mut member), parked(&store)), (vec![2, 3, 4], vec![]));
    });
}

#[test]
fn what_is_redelivered_after_it_was_sent_back_comes_in_its_order() {
    for runs in [true, false] {
        wherever_it_lasts(|home| {
            let store = home.open();
            let mut member = store.join(&counting()).expect("it joins");
            add(&store, &name("a"), events(1..6));
            member.next().wait().expect("a delivery").ack().expect("it is in hand");
            member.next().wait().expect("a delivery").nack(Verdict::Park, "broken").expect("it is in hand");
            let control = store.consumer("counting");
            control.pause("to look at it").expect("it pauses");
            let member = runs.then_some(member);
            control.seek(Start::Beginning).expect("it goes there");
            assert_eq!(control.redeliver_all().expect("they are parked"), 4);
            drop((member, control));
            let store = home.reopen(store, &EventStore::options());
            assert_eq!(store.recovery_report().damage(), [], "a checkpoint leaves nothing behind its end");
            store.consumer("counting").resume().expect("it goes on");
            assert_eq!(drain(&mut store.join(&counting()).expect("it joins")), [1, 2, 3, 4, 5]);
        });
    }
}

#[test]
fn what_lay_behind_a_failure_in_a_batch_has_not_had_an_attempt() {
    let store = EventStore::open_in_memory().expect("a store");
    let consumer = counting().partition_by(PartitionBy::NOTHING).batch(3, Duration::ZERO).attempts_max(3);
    let consumer = consumer.backoff(scorebook::Backoff::new(Duration::ZERO, Duration::ZERO));
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..4));
    for _ in 0..3 {
        let delivery = member.next().wait().expect("a delivery");
        delivery.nack(Verdict::Retry, "the first is bad").expect("it is in hand");
    }
    assert_eq!(parked(&store), [1]);
    let delivery = member.next().wait().expect("a delivery");
    let attempts: Vec<_> = delivery.events().iter().map(|event| (number(event.event()), event.attempt())).collect();
    assert_eq!(attempts, [(2, 1), (3, 1)]);
    delivery.nack(Verdict::Retry, "once").expect("it is in hand");
    assert_eq!(parked(&store), [1], "it has further attempts");
}

#[test]
fn behind_a_parked_event_no_more_is_looked_at_than_may_be_parked_and_all_of_it_is_written() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let all = |store: &EventStore, consumer: &Consumer| {
        let mut member = store.join(consumer).expect("it joins");
        let first = member.next().wait().expect("a delivery");
        first.nack(Verdict::Park, "broken").expect("it is in hand");
        let seen = drain(&mut member);
        (seen, member)
    };
    add(&store, &name("a"), events(1..3_001));
    add(&store, &name("b"), events(1..2));
    let few = Consumer::new("few", Query::all(), Start::Beginning).parked_max(100).buffer(50);
    let (seen, member) = all(&store, &few);
    let info = store.consumer("few").info().expect("it is there");
    assert!(seen.is_empty() && info.paused().is_some_and(|reason| reason.contains("parked")), "{info}");
    assert!((100..400).contains(&info.parked()), "{} are parked", info.parked());
    drop(member);
    let (seen, member) = all(&store, &counting());
    assert_eq!((seen, parked(&store).len()), (vec![1], 3_000), "another key goes on");
    drop(member);
    // Whatever is kept of it was written by then, in records that a log takes.
    let copy = disk.crash(&CrashChoice::KeepAll);
    let store = EventStore::options().open_simulated(&copy).expect("it opens");
    assert_eq!(parked(&store).len(), 3_000);
    assert_eq!(store.consumer("counting").redeliver(Position::new(2_000)).expect("it is parked"), 3_000);
    let mut member = store.join(&counting()).expect("it joins");
    assert_eq!(drain(&mut member), (1..3_001).collect::<Vec<u64>>());
}

#[test]
fn a_reason_may_be_of_any_length_and_as_much_of_it_is_kept_as_fits() {
    let home = crate::support::Home::simulated();
    let store = home.open();
    let mut member = store.join(&counting()).expect("it joins");
    add(&store, &name("a"), events(1..2));
    add(&store, &name("b"), events(11..12));
    let long = "✓".repeat(6 << 20);
    member.next().wait().expect("a delivery").nack(Verdict::Park, &long).expect("it is in hand");
    member.next().wait().expect("a delivery").nack(Verdict::Stop, &long).expect("it is in hand");
    drop(member);
    let store = home.reopen(store, &EventStore::options());
    let control = store.consumer("counting");
    let event = &control.parked().expect("a list")[0];
    assert!(event.reason().len() == 999 && long.starts_with(event.reason()));
    let info = control.info().expect("it is there");
    assert!(info.paused().is_some_and(|reason| reason.len() == 999), "{info}");
}

#[test]
fn what_can_be_read_before_a_loss_is_handed_out_and_everybody_is_told_of_it() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    for number in 1..=4 {
        add(&store, &name("a"), [NewEvent::json("counted", &number).expect("JSON").tag("x", "y".repeat(200))]);
    }
    let third = store.event_at(Position::new(3)).expect("an event").place();
    store.close().expect("it closes");
    disk.garble("log/0000000001.log", u64::from(third.offset) + 100..u64::from(third.offset) + 150, 1);
    let copy = SimulatedDisk::new(8);
    scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    let store = EventStore::options().open_simulated(&copy).expect("the copy opens");
    let consumer = counting().partition_by(PartitionBy::NOTHING);
    let (mut one, mut two) = (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
    let (first, second) = (one.next().wait().expect("a delivery"), two.next().wait().expect("a delivery"));
    assert_eq!((number(first.event()), number(second.event())), (1, 2));
    assert!(one.try_next().expect("what is in hand may come back").is_none());
    thread::scope(|scope| {
        let asleep = scope.spawn(|| two.next_timeout(PATIENCE).expect_err("nothing more comes").kind());
        first.ack().expect("it is in hand");
        second.ack().expect("it is in hand");
        check_says(&one.try_next().expect_err("it is lost"), ErrorKind::Lost, &["positions 3 to 3"]);
        assert_eq!(asleep.join().expect("it ends"), ErrorKind::Lost);
    });
    drop((first, second));
    // What is done is written, also while the others hold on to what has ended.
    let mut again = store.join(&consumer).expect("it joins");
    check_says(&again.try_next().expect_err("it is lost"), ErrorKind::Lost, &["positions 3 to 3"]);
    drop((one, two, again));
    assert_eq!(drain(&mut store.join(&consumer.skipping_lost()).expect("it joins")), [4]);
}

#[test]
fn a_key_that_cannot_be_found_skips_nothing() {
    let store = EventStore::open_in_memory().expect("a store");
    let by = |max: u64| {
        let key = move |event: &scorebook::RecordedEvent| {
            assert!(number(event) <= max, "nobody knows the key of {}", number(event));
            String::new()
        };
        counting().partition_by(PartitionBy::key("by number", key))
    };
    add(&store, &name("a"), events(1..6));
    let mut member = store.join(&by(3)).expect("it joins");
    for number in 1..=3 {
        let delivery = member.next().wait().expect("a delivery");
        assert_eq!(numbers_of(std::slice::from_ref(&delivery)), [number]);
        delivery.ack().expect("it is in hand");
    }
    let error = member.next().wait().expect_err("it panics");
    check_says(&error, ErrorKind::InvalidArgument, &["by number", "position 4"]);
    let source = std::error::Error::source(&error).expect("it says why").to_string();
    assert!(source.contains("nobody knows the key of 4"), "{source}");
    assert_eq!(position(&store), 3);
    drop(member);
    assert_eq!(drain(&mut store.join(&by(9)).expect("it joins")), [4, 5]);
}

#[test]
fn what_is_steered_and_cannot_be_written_has_not_happened() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let mut member = store.join(&counting()).expect("it joins");
    add(&store, &name("a"), events(1..5));
    add(&store, &name("b"), events(11..13));
    member.next().wait().expect("a delivery").ack().expect("it is in hand");
    let held = member.next().wait().expect("a delivery");
    assert_eq!(number(held.event()), 2);
    let control = store.consumer("counting");
    disk.fail(DiskFault::new(DiskOperation::Write, io::ErrorKind::Other).repeat());
    let other = Consumer::new("counting", Query::all(), Start::Beginning);
    assert!(control.pause("by hand").is_err());
    assert!(control.seek(Start::Beginning).is_err());
    assert!(control.change(&other, AfterChange::BeginAnew).is_err());
    assert!(control.delete().is_err());
    held.ack().expect("it is in hand all the same");
    assert_eq!(drain(&mut member), [3, 4, 11, 12], "neither paused nor sent elsewhere, neither changed nor gone");
    // It stops by itself, which cannot be written either, and is told.
    disk.heal();
    store.reopen().expect("it opens again");
    assert_eq!(drain(&mut member), Vec::<u64>::new());
    add(&store, &name("a"), events(5..6));
    disk.fail(DiskFault::new(DiskOperation::Write, io::ErrorKind::Other).repeat());
    member.next().wait().expect("a delivery").nack(Verdict::Stop, "the board is full").expect("it is in hand");
    let info = control.info().expect("it is there");
    assert_eq!((info.paused(), info.health()), (Some("the board is full"), ConsumerHealth::Paused));
}

#[test]
fn a_checkpoint_that_could_not_be_written_is_tried_again_by_the_clock() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let consumer = counting().checkpoint_after(10 * SECOND);
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..3));
    assert_eq!(drain(&mut member), [1, 2]);
    let written = || {
        let copy = disk.crash(&CrashChoice::KeepAll);
        position(&EventStore::options().open_simulated(&copy).expect("it opens"))
    };
    disk.fail(DiskFault::new(DiskOperation::Write, io::ErrorKind::Other));
    disk.advance(10 * SECOND);
    assert!(member.try_next().expect("nothing fails").is_none());
    disk.heal();
    store.reopen().expect("it opens again");
    disk.advance(9 * SECOND);
    assert!(member.try_next().expect("nothing fails").is_none());
    assert_eq!(written(), 0, "not yet");
    disk.advance(SECOND);
    assert!(member.try_next().expect("nothing fails").is_none());
    assert_eq!(written(), 2);
}

#[test]
fn a_consumer_that_began_at_a_time_may_be_sent_before_it() {
    wherever_it_lasts(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..3));
        // Times rise only where the clock does.
        let last = store.event_at(Position::new(2)).expect("an event").time();
        crate::support::eventually("time passes", || {
            add(&store, &name("a"), events(3..4));
            last < store.event_at(store.head().expect("a head")).expect("an event").time()
        });
        let time = store.event_at(store.head().expect("a head")).expect("an event").time();
        let consumer = Consumer::new("counting", Query::all().of_type("counted"), Start::At(time));
        let mut member = store.join(&consumer).expect("it joins");
        assert_eq!(drain(&mut member), [3]);
        store.consumer("counting").seek(Start::Beginning).expect("it goes there");
        assert_eq!(number(member.next().wait().expect("a delivery").event()), 1);
        drop(member);
        let store = home.reopen(store, &EventStore::options());
        let mut member = store.join(&consumer).expect("it joins");
        assert!(drain(&mut member).starts_with(&[1, 2, 3]), "also when it is begun again");
    });
}

#[test]
fn what_was_level_until_a_moment_ago_is_not_stalled() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let mut member = store.join(&counting().stalled_after(30 * SECOND)).expect("it joins");
    let health = || store.consumer("counting").info().expect("it is there").health();
    add(&store, &name("a"), events(1..2));
    assert_eq!(drain(&mut member), [1]);
    disk.advance(120 * SECOND);
    add(&store, &name("a"), events(2..3));
    assert_eq!(health(), ConsumerHealth::Well);
    disk.advance(30 * SECOND);
    assert_eq!(health(), ConsumerHealth::Stalled);
}

/// A sample; all of it is among the crashes of the proof.
#[test]
#[expect(clippy::print_stdout, reason = "the seed and the number of states belong to the answer of this test")]
fn those_who_follow_stopped_anywhere_have_every_event_once_and_no_wrong_state() {
    let how =
        Thoroughness { masks_up_to: 1, singles: 1, seeded: 1, deep_one_in: 24, deep_firsts: 1, ..Thoroughness::SAMPLE };
    let (mut states, stories) = (0, followings());
    for story in &stories {
        let operations = operations_of_following(story, seed());
        let first = 1 + seed() % 3;
        states +=
            (first..=operations).step_by(3).map(|stop_at| stop_and_follow(story, seed(), stop_at, how)).sum::<u64>();
    }
    println!("seed {}: {} stories, {states} states", seed(), stories.len());
    assert!(10 <= stories.len() && 300 < states, "{states} states");
}

#[test]
fn closing_does_not_wait_for_one_handler_after_the_other() {
    const HANDLERS: u32 = 20;
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), events(1..2));
    let limit = Duration::from_millis(400);
    let (entered, enters) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Arc::new(std::sync::Mutex::new(goes_on));
    let run = |index: u32| {
        let consumer = Consumer::new(&format!("c{index}"), Query::all(), Start::Beginning).stop_within(limit);
        let (entered, goes_on) = (entered.clone(), goes_on.clone());
        let handler = move |_: &scorebook::Delivery| {
            let _ = entered.send(());
            let _ = goes_on.lock().map(|goes_on| goes_on.recv());
            Ok(())
        };
        store.run(&consumer, handler).expect("it runs")
    };
    let running: Vec<_> = (0..HANDLERS).map(run).collect();
    (0..HANDLERS).for_each(|_| enters.recv_timeout(PATIENCE).expect("it is handed out"));
    let begun = std::time::Instant::now();
    store.close().expect("it closes");
    let took = begun.elapsed();
    drop(go_on);
    drop(running);
    assert!(took < limit * HANDLERS / 2, "it took {took:?}");
}
