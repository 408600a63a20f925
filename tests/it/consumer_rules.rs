//! Rules of consumers one by one: who is woken by what, what is kept in order, what is durable, and what is remembered.

use crate::consumers::{SECOND, counting, drain, numbers_of, position, square, take};
use crate::support::{Home, add, event, events, eventually, everywhere, name, number, wherever_it_lasts};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    Backoff, Breaker, Consumer, ConsumerHealth, Durability, EventStore, ExpectedVersion, Member, NewEvent, PartitionBy,
    Start, Verdict,
};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A member that waits as a task while something is done; how often it was woken by that.
fn woken_by(member: &mut Member, act: impl FnOnce()) -> u64 {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut next = pin!(member.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "there is nothing to give");
    act();
    woken.0.load(Ordering::SeqCst)
}

#[test]
fn who_waits_is_called_by_whatever_makes_something_ready() {
    let store = EventStore::open_in_memory().expect("a store");
    let (mut one, mut two) = (store.join(&counting()).expect("it joins"), store.join(&counting()).expect("it joins"));
    assert_eq!(woken_by(&mut one, || drop(add(&store, &name("a"), events(1..6)))), 1, "an event");
    let held = two.next().wait().expect("a delivery");
    assert!(1 <= woken_by(&mut one, || drop(held)), "what another lets go");
    let held = two.next().wait().expect("a delivery");
    assert!(1 <= woken_by(&mut one, || held.ack().expect("it is in hand")), "what another is done with");
    let held = two.next().wait().expect("a delivery");
    let skip = || held.nack(Verdict::Skip, "why").expect("it is in hand");
    assert!(1 <= woken_by(&mut one, skip), "what another has failed on");
    let held = two.next().wait().expect("a delivery");
    assert!(1 <= woken_by(&mut one, || drop(square(&held).expect("committed"))), "what another commits");
    let held = two.next().wait().expect("a delivery");
    assert_eq!(number(held.event()), 4);
    assert!(1 <= woken_by(&mut one, || drop(two)), "a member that leaves");
    let control = store.consumer("counting");
    control.pause("by hand").expect("it pauses");
    assert!(1 <= woken_by(&mut one, || control.resume().expect("it goes on")), "going on");
    assert_eq!(drain(&mut one), [4, 5]);
    assert!(1 <= woken_by(&mut one, || control.seek(Start::Beginning).expect("it goes there")), "being sent elsewhere");
    let held = one.next().wait().expect("a delivery");
    held.nack(Verdict::Park, "why").expect("it is in hand");
    let redeliver = || assert_eq!(control.redeliver_all().expect("they are parked"), 5);
    assert!(1 <= woken_by(&mut one, redeliver), "what is redelivered");
    assert_eq!(drain(&mut one), [1, 2, 3, 4, 5]);
    assert!(1 <= woken_by(&mut one, || control.delete().expect("it is deleted")), "the end");
}

#[test]
fn what_is_kept_in_order_is_with_one_at_a_time() {
    let tagged = |number, tag: &str| event(number).tag("guild", tag);
    let correlated = |number, of: &str| event(number).correlation(of);
    // Of each: the events of three streams, and which go out together.
    type Case = (PartitionBy, [NewEvent; 3], &'static [&'static [u64]]);
    let cases: Vec<Case> = vec![
        (PartitionBy::NOTHING, [event(1), event(2), event(3)], &[&[1, 2, 3]]),
        (PartitionBy::EVERYTHING, [event(1), event(2), event(3)], &[&[1], &[2], &[3]]),
        (PartitionBy::STREAM, [event(1), event(2), event(3)], &[&[1, 2, 3]]),
        (PartitionBy::CATEGORY, [event(1), event(2), event(3)], &[&[1, 3], &[2]]),
        (PartitionBy::TYPE, [event(1), event(2), event(3)], &[&[1], &[2], &[3]]),
        (PartitionBy::tag("guild"), [tagged(1, "x"), tagged(2, "y"), tagged(3, "y")], &[&[1, 2], &[3]]),
        (PartitionBy::tag("guild"), [event(1), event(2), tagged(3, "y")], &[&[1, 3], &[2]]),
        (PartitionBy::CORRELATION, [correlated(1, "x"), correlated(2, "y"), correlated(3, "x")], &[&[1, 2], &[3]]),
        (PartitionBy::CORRELATION, [correlated(1, "x"), event(2), event(3)], &[&[1, 2], &[3]]),
        (
            PartitionBy::key("odd", |event| (number(event) % 2).to_string()),
            [event(1), event(2), event(3)],
            &[&[1, 2], &[3]],
        ),
    ];
    for (partition, all, together) in cases {
        let store = EventStore::open_in_memory().expect("a store");
        let whence = partition.to_string();
        for (stream, event) in ["game-1", "game-2", "talk-1"].into_iter().zip(all) {
            add(&store, &name(stream), [event]);
        }
        let mut member = store.join(&counting().partition_by(partition)).expect("it joins");
        for expected in together {
            let held = take(&mut member);
            assert_eq!(numbers_of(&held), *expected, "{whence}");
            held.iter().for_each(|delivery| delivery.ack().expect("it is in hand"));
        }
        assert_eq!(position(&store), 3, "{whence}");
    }
}

#[test]
fn what_is_asked_to_be_durable_is_handed_out_only_then() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&EventStore::options().sync_every(Duration::from_secs(3_600)));
        let mut member = store.join(&counting().durability(Durability::Synced)).expect("it joins");
        let batch = store.batch().append(&name("a"), ExpectedVersion::Any, events(1..3));
        batch.durability(Durability::Written).commit().wait().expect("committed");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        {
            let mut next = pin!(member.next());
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "it is only written");
            store.flush().expect("flushed");
            eventually("it is called by the sync", || woken.0.load(Ordering::SeqCst) == 1);
        }
        assert_eq!(drain(&mut member), [1, 2]);
    });
}

#[test]
fn what_was_there_before_under_its_key_moves_the_checkpoint_that_is_written() {
    let disk = SimulatedDisk::new(7);
    let home = Home::Simulated(disk.clone());
    let store = home.open();
    let mut member = store.join(&counting()).expect("it joins");
    add(&store, &name("a"), events(1..4));
    let results = || store.batch().append(&name("r"), ExpectedVersion::Any, [NewEvent::bytes("result", [])]);
    results().once("of event 1").commit().wait().expect("committed");
    let delivery = member.next().wait().expect("a delivery");
    assert!(delivery.commit(results().once("of event 1")).wait().expect("a repeat").is_repeat());
    let copy = disk.crash(&CrashChoice::KeepAll);
    assert_eq!(position(&EventStore::options().open_simulated(&copy).expect("it opens")), 1);
    // And what is written behind it follows that.
    square(&member.next().wait().expect("a delivery")).expect("committed");
    assert_eq!(drain(&mut member), [3]);
    drop((delivery, member));
    let store = home.reopen(store, &EventStore::options());
    assert_eq!(drain(&mut store.join(&counting()).expect("it joins")), Vec::<u64>::new());
}

#[test]
fn failures_with_success_between_them_do_not_trip_it() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    let consumer = counting().partition_by(PartitionBy::NOTHING).backoff(at_once).attempts_max(100);
    let consumer = consumer.breaker(Breaker::new(2, Backoff::new(10 * SECOND, 10 * SECOND)));
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..9));
    for _ in 0..4 {
        member.next().wait().expect("a delivery").nack(Verdict::Retry, "now and then").expect("it is in hand");
        member.next().wait().expect("a delivery").ack().expect("it is in hand");
        assert_eq!(store.consumer("counting").info().expect("it is there").health(), ConsumerHealth::Well);
    }
}

#[test]
fn a_consumer_that_is_made_again_remembers_nothing_of_the_one_before() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let mut member = store.join(&counting().checkpoint_every(1)).expect("it joins");
        let created = || store.consumer("counting").info().expect("it is there").created();
        let before = created();
        add(&store, &name("a"), events(1..4));
        member.next().wait().expect("a delivery").ack().expect("it is in hand");
        eventually("time passes", || {
            store.consumer("counting").pause("for a moment").expect("it pauses");
            before < store.consumer("counting").info().expect("it is there").updated()
        });
        assert_eq!(created(), before, "whatever is written of it later");
        store.consumer("counting").resume().expect("it goes on");
        member.next().wait().expect("a delivery").nack(Verdict::Park, "why").expect("it is in hand");
        store.consumer("counting").pause("for good").expect("it pauses");
        store.consumer("counting").delete().expect("it is deleted");
        drop(member);
        let mut member = store.join(&counting()).expect("it joins");
        assert!(store.consumer("counting").parked().expect("a list").is_empty());
        assert!(before < created());
        assert_eq!(drain(&mut member), [1, 2, 3]);
        drop(member);
        let store = home.reopen(store, &EventStore::options());
        assert!(store.consumer("counting").parked().expect("a list").is_empty(), "also when it is opened again");
    });
}

#[test]
fn a_member_that_leaves_in_the_middle_of_a_commit_does_not_have_its_events_handed_out_twice() {
    everywhere(|home| {
        let store = home.open();
        let consumer = Consumer::new("counting", scorebook::Query::all().of_type("counted"), Start::Beginning);
        let (mut one, mut two) = (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
        add(&store, &name("a"), events(1..3));
        let held = one.next().wait().expect("a delivery");
        let batch = held.batch().append(&name("squares"), ExpectedVersion::Any, [NewEvent::bytes("result", [])]);
        {
            let mut commit = pin!(held.commit(batch));
            let is_over = commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            drop(one);
            if !is_over {
                assert!(two.try_next().expect("nothing fails").is_none(), "it is being committed");
            }
        }
        assert_eq!(drain(&mut two), [2]);
        assert_eq!(store.version(&name("squares")).expect("one result").get(), 1);
        assert_eq!(position(&store), 3);
    });
}

#[test]
fn who_joins_again_and_does_nothing_writes_nothing() {
    wherever_it_lasts(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..4));
        let mut member = store.join(&counting()).expect("it joins");
        assert_eq!(drain(&mut member), [1, 2, 3]);
        drop(member);
        let written = || {
            let consumer = store.consumer("counting").info().expect("it is there");
            (consumer.position().get(), consumer.updated(), store.stats().expect("it is open").log_bytes())
        };
        let before = written();
        assert_eq!(before.0, 3, "it leaves a checkpoint");
        for _ in 0..3 {
            let mut member = store.join(&counting()).expect("it joins");
            assert!(member.try_next().expect("nothing fails").is_none());
        }
        assert_eq!(written(), before);
    });
}
