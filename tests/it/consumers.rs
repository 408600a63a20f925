//! Consumers: what was handed out and is not done is handed out again, in order within its key, and nothing else is.

use crate::model::{Consuming, seed};
use crate::support::{
    Home, PATIENCE, add, block_on, check_says, event, events, eventually, everywhere, kilobyte, name, number,
    small_segments, wherever_it_lasts, wherever_threads_are,
};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    AfterChange, AppendError, Backoff, Breaker, Conflict, Consumer, ConsumerControl, ConsumerHealth, Delivery,
    ErrorKind, EventStore, ExpectedVersion, Failure, Member, NewEvent, PartitionBy, Position, Query, Start, Timestamp,
    Verdict,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Pauses of a second, two, four and so on, with nothing left to chance.
fn seconds() -> Backoff {
    Backoff::new(SECOND, Duration::from_secs(3_600)).jitter_percent(0)
}

/// A consumer of all numbers that writes a checkpoint only when it is asked to.
pub(crate) fn counting() -> Consumer {
    let query = Query::all().of_type("counted");
    let consumer = Consumer::new("counting", query, Start::Beginning).backoff(seconds());
    consumer.checkpoint_every(1_000_000).checkpoint_after(Duration::from_secs(1_000_000))
}

/// What a member is handed without waiting, and does not say anything of.
pub(crate) fn take(member: &mut Member) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while let Some(delivery) = member.try_next().expect("nothing fails") {
        taken.push(delivery);
    }
    taken
}

pub(crate) fn numbers_of(deliveries: &[Delivery]) -> Vec<u64> {
    let events = deliveries.iter().flat_map(|delivery| delivery.events());
    events.map(|delivered| number(delivered.event())).collect()
}

/// What a member is handed without waiting, and is done with at once.
pub(crate) fn drain(member: &mut Member) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(delivery) = member.try_next().expect("nothing fails") {
        seen.extend(numbers_of(std::slice::from_ref(&delivery)));
        delivery.ack().expect("it is in hand");
    }
    seen
}

pub(crate) fn position(store: &EventStore) -> u64 {
    store.consumer("counting").info().expect("it is there").position().get()
}

/// The position that is written down.
fn written(store: &EventStore, home: &Home) -> u64 {
    match home {
        Home::Simulated(disk) => {
            let copy = disk.crash(&CrashChoice::KeepAll);
            position(&EventStore::options().open_simulated(&copy).expect("it opens"))
        }
        _ => position(store),
    }
}

#[test]
fn what_is_handed_out_is_what_is_asked_for_from_the_start_on() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..4));
        add(&store, &name("b"), [NewEvent::bytes("other", [])]);
        let time = store.event_at(Position::new(3)).expect("an event").time();
        let since = |event: &scorebook::RecordedEvent| time <= event.time();
        let from = store.read_all().into_iter().map(|e| e.expect("an event")).find(since).expect("an event");
        let starts = [
            (Start::Beginning, 1),
            (Start::End, 5),
            (Start::After(Position::new(2)), 3),
            (Start::At(time), from.position().get()),
            (Start::At(Timestamp::from_nanos(i64::MAX)), u64::MAX),
        ];
        for (index, (start, first)) in starts.into_iter().enumerate() {
            let consumer = Consumer::new(&format!("c{index}"), Query::all().of_type("counted"), start);
            let mut member = store.join(&consumer).expect("it joins");
            let expected: Vec<u64> = (1..4).filter(|number| first <= *number).collect();
            assert_eq!(drain(&mut member), expected, "{start:?}");
        }
        let behind = Consumer::new("behind", Query::all(), Start::After(Position::new(9)));
        check_says(
            &store.join(&behind).expect_err("it is not there"),
            ErrorKind::InvalidArgument,
            &["position 9", "4"],
        );
        assert!(store.join(&Consumer::new("", Query::all(), Start::End)).is_err());
        assert!(store.join(&Consumer::new("x", Query::all().of_type("no type"), Start::End)).is_err());
        assert_eq!(store.consumers().expect("a list").len(), 5, "what was refused is not there");
    });
}

#[test]
fn events_are_acknowledged_in_any_order_and_the_checkpoint_is_below_the_first_that_is_not() {
    everywhere(|home| {
        let store = home.open();
        let consumer = counting().partition_by(PartitionBy::NOTHING).checkpoint_every(1);
        let (mut one, mut two) = (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
        add(&store, &name("a"), events(1..7));
        let first = one.next().wait().expect("a delivery");
        let second = two.next().wait().expect("a delivery");
        let third = one.next().wait().expect("a delivery");
        let fourth = two.next().wait().expect("a delivery");
        assert_eq!(position(&store), 0);
        third.ack().expect("it is in hand");
        assert_eq!(position(&store), 0);
        second.ack_event(second.event()).expect("it is in hand");
        assert_eq!((position(&store), written(&store, home)), (0, 0));
        first.ack_position(Position::new(1)).expect("it is in hand");
        assert_eq!((position(&store), written(&store, home)), (3, 3));
        check_says(
            &first.ack_position(Position::new(1)).expect_err("it is done"),
            ErrorKind::InvalidArgument,
            &["position 1"],
        );
        drop(fourth);
        assert_eq!(drain(&mut one), [4, 5, 6], "what is let go is handed out again");
        assert_eq!((position(&store), written(&store, home)), (6, 6));
    });
}

#[test]
fn begun_again_exactly_what_was_not_acknowledged_is_handed_out() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let consumer = counting().partition_by(PartitionBy::NOTHING);
        let mut member = store.join(&consumer).expect("it joins");
        add(&store, &name("a"), events(1..9));
        let deliveries = take(&mut member);
        for index in [0, 3, 4, 6] {
            deliveries[index].ack().expect("it is in hand");
        }
        store.close().expect("it closes");
        assert_eq!(member.next().wait().expect_err("it has ended").kind(), ErrorKind::Closed);
        assert_eq!(deliveries[1].ack().expect_err("it is closed").kind(), ErrorKind::Closed);
        drop((deliveries, member, store));
        let store = home.open();
        assert_eq!(position(&store), 1);
        let mut member = store.join(&consumer).expect("it joins");
        add(&store, &name("a"), events(9..10));
        assert_eq!(drain(&mut member), [2, 3, 6, 8, 9]);
        // Also where the last handle is dropped and nobody closes.
        drop((member, store));
        let store = home.open();
        assert_eq!(drain(&mut store.join(&consumer).expect("it joins")), Vec::<u64>::new());
    });
}

#[test]
fn a_checkpoint_is_written_every_so_many_events_and_at_the_latest_when_it_is_old() {
    let disk = SimulatedDisk::new(7);
    let home = Home::Simulated(disk.clone());
    let store = home.open();
    let consumer = counting().checkpoint_every(3).checkpoint_after(10 * SECOND);
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..30));
    let mut ack = |count: u64| {
        for _ in 0..count {
            member.next().wait().expect("a delivery").ack().expect("it is in hand");
        }
    };
    ack(2);
    assert_eq!(written(&store, &home), 0);
    ack(1);
    assert_eq!(written(&store, &home), 3);
    // Its age is counted from the first that is not in it, whatever comes behind.
    for second in 1..=10_u64 {
        disk.advance(SECOND);
        if second.is_multiple_of(4) || second == 1 || second == 10 {
            ack(1);
        }
        assert_eq!(written(&store, &home), if second < 8 { 3 } else { 6 }, "{second} s");
    }
    disk.advance(10 * SECOND);
    ack(1);
    assert_eq!(written(&store, &home), 7, "those before that one were old by then");
}

#[test]
fn the_age_of_a_checkpoint_is_not_counted_anew_with_every_event() {
    let disk = SimulatedDisk::new(7);
    let home = Home::Simulated(disk.clone());
    let store = home.open();
    let mut member = store.join(&counting().checkpoint_after(10 * SECOND)).expect("it joins");
    add(&store, &name("a"), events(1..30));
    for _ in 0..12 {
        member.next().wait().expect("a delivery").ack().expect("it is in hand");
        disk.advance(SECOND);
    }
    assert!(member.try_next().expect("nothing fails").is_some());
    assert!(10 <= written(&store, &home), "at the latest after ten seconds, however busy it is");
}

#[test]
fn the_checkpoint_of_a_filtered_consumer_moves_although_nothing_matches() {
    let home = Home::simulated();
    let store = home.open();
    let mut member = store.join(&counting()).expect("it joins");
    for _ in 0..5 {
        add(&store, &name("b"), [NewEvent::bytes("other", [])]);
    }
    assert!(member.try_next().expect("nothing fails").is_none());
    drop(member);
    assert_eq!((position(&store), written(&store, &home)), (5, 5));
}

#[test]
fn of_a_key_one_member_has_events_at_a_time_and_other_keys_go_on() {
    everywhere(|home| {
        let store = home.open();
        let (mut one, mut two) =
            (store.join(&counting()).expect("it joins"), store.join(&counting()).expect("it joins"));
        add(&store, &name("a"), events(1..4));
        add(&store, &name("b"), events(11..13));
        let (a, b) = (one.next().wait().expect("a delivery"), two.next().wait().expect("a delivery"));
        assert_eq!((number(a.event()), number(b.event())), (1, 11));
        assert!(one.try_next().expect("nothing fails").is_none() && two.try_next().expect("nothing fails").is_none());
        b.ack().expect("it is in hand");
        assert_eq!(numbers_of(&take(&mut one)), [12]);
        a.ack().expect("it is in hand");
        assert_eq!(drain(&mut two), [2, 3, 12], "and what was let go");
    });
}

#[test]
fn a_batch_is_handed_out_when_it_is_full_or_its_first_event_has_waited() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let consumer = counting().batch(3, 5 * SECOND).buffer(4);
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..3));
    assert!(member.try_next().expect("nothing fails").is_none(), "it is not full");
    disk.advance(5 * SECOND);
    let delivery = member.try_next().expect("nothing fails").expect("it has waited");
    assert_eq!(numbers_of(&[delivery]), [1, 2]);
    add(&store, &name("b"), events(11..16));
    let taken = take(&mut member);
    assert_eq!(numbers_of(&taken), [1, 2, 11], "in order, and no more than the buffer holds: one is left over");
    assert_eq!(store.consumer("counting").info().expect("it is there").unfinished(), 4);
    taken[0].ack().expect("it is in hand");
    assert_eq!(numbers_of(&take(&mut member)), [12, 13, 14], "of one key all can be in one batch");
}

#[test]
fn what_fails_is_tried_again_after_growing_pauses_and_parked_after_the_last() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let consumer = counting().attempts_max(3);
    let mut member = store.join(&consumer).expect("it joins");
    add(&store, &name("a"), events(1..4));
    add(&store, &name("b"), events(11..12));
    for (attempt, pause) in [(1, 1), (2, 2), (3, 0)] {
        let delivery = member.try_next().expect("nothing fails").expect("it is its turn");
        assert_eq!((number(delivery.event()), delivery.attempt()), (1, attempt));
        delivery.nack(Verdict::Retry, "no network").expect("it is in hand");
        if attempt == 1 {
            assert_eq!(drain(&mut member), [11], "another key goes on");
        }
        if pause != 0 {
            disk.advance(Duration::from_millis(pause * 1_000 - 1));
            assert!(member.try_next().expect("nothing fails").is_none(), "not before {pause} s");
            disk.advance(Duration::from_millis(1));
        }
    }
    let control = store.consumer("counting");
    let parked = control.parked().expect("a list");
    let told: Vec<_> = parked.iter().map(|event| (event.position().get(), event.attempts(), event.reason())).collect();
    assert_eq!(told[0], (1, 3, "no network"));
    assert_eq!((told.len(), told[1].1), (3, 0), "the others of the key wait behind it");
    assert!(told[1].2.contains("earlier event"));
    assert_eq!((control.info().expect("it is there").failures(), position(&store)), (3, 4));
    add(&store, &name("a"), events(4..5));
    add(&store, &name("b"), events(12..13));
    assert_eq!(drain(&mut member), [12], "a key that is parked stays so");
    assert_eq!(control.parked().expect("a list").len(), 4);
}

#[test]
fn parked_events_are_kept_over_a_restart_and_handed_out_again_in_order_or_dropped() {
    for runs in [true, false] {
        wherever_it_lasts(|home| {
            let store = home.open();
            let mut member = store.join(&counting()).expect("it joins");
            add(&store, &name("a"), events(1..4));
            add(&store, &name("b"), events(11..13));
            for _ in 0..2 {
                let delivery = member.next().wait().expect("a delivery");
                delivery.nack(Verdict::Park, "broken").expect("it is in hand");
            }
            assert_eq!(drain(&mut member), Vec::<u64>::new());
            drop(member);
            let store = home.reopen(store, &EventStore::options());
            let control = store.consumer("counting");
            let positions = |control: &ConsumerControl| {
                let parked = control.parked().expect("a list");
                parked.iter().map(|event| event.position().get()).collect::<Vec<_>>()
            };
            let mut member = runs.then(|| store.join(&counting()).expect("it joins"));
            assert_eq!(positions(&control), [1, 2, 3, 4, 5]);
            add(&store, &name("a"), events(4..5));
            assert_eq!(member.as_mut().map(drain), runs.then(Vec::new));
            assert_eq!(control.redeliver(Position::new(2)).expect("it is parked"), if runs { 4 } else { 3 });
            assert_eq!(control.redeliver(Position::new(2)).expect_err("not any more").kind(), ErrorKind::EventNotFound);
            control.drop_parked(Position::new(4)).expect("it is parked");
            assert_eq!(positions(&control), [5]);
            drop((member, control));
            let store = home.reopen(store, &EventStore::options());
            let mut member = store.join(&counting()).expect("it joins");
            assert_eq!(drain(&mut member), [1, 2, 3, 4], "in order, and before what came behind");
            assert_eq!(store.consumer("counting").redeliver_all().expect("they are parked"), 1);
            assert_eq!(drain(&mut member), [12]);
            assert!(store.consumer("counting").parked().expect("a list").is_empty());
            assert_eq!(position(&store), 6);
        });
    }
}

#[test]
fn the_verdict_on_an_event_is_kept() {
    everywhere(|home| {
        let store = home.open();
        let mut member = store.join(&counting()).expect("it joins");
        add(&store, &name("a"), events(1..5));
        member.next().wait().expect("a delivery").nack(Verdict::Skip, "nobody cares").expect("it is in hand");
        let second = member.next().wait().expect("a delivery");
        assert_eq!(number(second.event()), 2);
        second.nack(Verdict::Stop, "the disk of the board is full").expect("it is in hand");
        assert!(member.try_next().expect("nothing fails").is_none());
        let info = store.consumer("counting").info().expect("it is there");
        assert_eq!((info.paused(), info.health()), (Some("the disk of the board is full"), ConsumerHealth::Paused));
        assert_eq!((info.position().get(), info.last_error()), (1, Some("the disk of the board is full")));
        store.consumer("counting").resume().expect("it goes on");
        assert_eq!(drain(&mut member), [2, 3, 4]);
    });
}

#[test]
fn within_a_delivery_what_lies_behind_a_failure_in_its_key_is_taken_back() {
    everywhere(|home| {
        let store = home.open();
        let consumer = counting().batch(4, Duration::ZERO).backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
        let mut member = store.join(&consumer).expect("it joins");
        store
            .batch()
            .append(&name("a"), ExpectedVersion::Any, events(1..3))
            .append(&name("b"), ExpectedVersion::Any, events(11..12))
            .append(&name("a"), ExpectedVersion::Any, events(3..4))
            .commit()
            .wait()
            .expect("committed");
        let delivery = member.next().wait().expect("a delivery");
        assert_eq!(numbers_of(std::slice::from_ref(&delivery)), [1, 2, 11, 3]);
        delivery.ack_position(Position::new(1)).expect("it is in hand");
        delivery.nack_position(Position::new(2), Verdict::Retry, "not now").expect("it is in hand");
        delivery.ack_position(Position::new(3)).expect("another key is not touched");
        assert!(delivery.ack_position(Position::new(4)).is_err(), "it comes behind the one that failed");
        drop(delivery);
        let again = member.next().wait().expect("a delivery");
        assert_eq!(
            again.events().iter().map(|event| (number(event.event()), event.attempt())).collect::<Vec<_>>(),
            [(2, 2), (3, 1)]
        );
        again.nack(Verdict::Retry, "not now").expect("it is in hand");
        assert_eq!(drain(&mut member), [2, 3]);
    });
}

#[test]
fn what_a_member_had_when_it_left_goes_to_the_others_in_order() {
    everywhere(|home| {
        let store = home.open();
        let (mut one, mut two) =
            (store.join(&counting()).expect("it joins"), store.join(&counting()).expect("it joins"));
        for number in 1..=2 {
            add(&store, &name("a"), events(number..number + 1));
            add(&store, &name("b"), events(10 + number..11 + number));
        }
        let held = take(&mut one);
        assert_eq!(numbers_of(&held), [1, 11]);
        assert!(two.try_next().expect("nothing fails").is_none());
        drop(one);
        assert_eq!(drain(&mut two), [1, 11, 2, 12]);
        assert!(held[0].ack().is_err(), "it is with another");
        assert_eq!(position(&store), 4);
    });
}

#[test]
fn a_member_that_takes_too_long_loses_what_it_has() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let consumer = counting().time_limit(10 * SECOND);
    let (mut one, mut two) = (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
    add(&store, &name("a"), events(1..3));
    let held = one.next().wait().expect("a delivery");
    disk.advance(10 * SECOND);
    assert!(two.try_next().expect("nothing fails").is_none(), "that is a failure, and there is a pause behind it");
    disk.advance(SECOND);
    let again = two.next().wait().expect("a delivery");
    assert_eq!((number(again.event()), again.attempt()), (1, 2));
    check_says(&held.ack().expect_err("it is with another"), ErrorKind::InvalidArgument, &["not in hand"]);
    let results = || [NewEvent::bytes("result", [])];
    let late = held.commit(held.batch().append(&name("r"), ExpectedVersion::Any, results())).wait();
    assert_eq!(late.expect_err("it is with another").into_error().kind(), ErrorKind::InvalidArgument);
    assert_eq!(store.head().expect("a head").get(), 2, "and nothing was written");
    again.ack().expect("it is in hand");
    assert_eq!(drain(&mut one), [2]);
}

#[test]
fn there_are_no_more_members_than_there_may_be_and_none_twice() {
    everywhere(|home| {
        let store = home.open();
        let consumer = counting().members_max(2);
        let one = store.join(&consumer.clone().member("one")).expect("it joins");
        let twice = store.join(&consumer.clone().member("one")).expect_err("it is there");
        check_says(&twice, ErrorKind::InvalidArgument, &["one", "already"]);
        let two = store.join(&consumer).expect("it joins");
        check_says(&store.join(&consumer).expect_err("full"), ErrorKind::InvalidArgument, &["2 members"]);
        drop(one);
        let again = store.join(&consumer.member("one")).expect("it joins");
        assert_eq!(store.consumer("counting").info().expect("it is there").members(), 2);
        drop((two, again));
    });
}

#[test]
fn a_consumer_that_is_there_is_not_taken_for_another_unless_that_is_said() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..5));
        let mut member = Some(store.join(&counting()).expect("it joins"));
        assert_eq!(member.as_mut().map(drain), Some(vec![1, 2, 3, 4]));
        let others = [
            Consumer::new("counting", Query::all(), Start::Beginning),
            Consumer::new("counting", Query::all().of_type("counted"), Start::End),
            counting().partition_by(PartitionBy::EVERYTHING),
            counting().partition_by(PartitionBy::tag("player")),
        ];
        for is_joined in [true, false] {
            if !is_joined {
                drop(member.take());
            }
            for other in &others {
                let refused = store.join(other).expect_err("it is another");
                check_says(&refused, ErrorKind::InvalidArgument, &["counting", "asked for as"]);
            }
        }
        let mut member = store.join(&counting()).expect("it joins");
        let control = store.consumer("counting");
        add(
            &store,
            &name("b"),
            [NewEvent::json("counted", &5).expect("JSON"), NewEvent::json("else", &6).expect("JSON")],
        );
        control.change(&others[0], AfterChange::KeepPosition).expect("it is changed");
        check_says(&member.try_next().expect_err("it was changed"), ErrorKind::InvalidArgument, &["changed"]);
        let mut changed = store.join(&others[0]).expect("it joins");
        assert_eq!(drain(&mut changed), [5, 6]);
        assert!(store.join(&counting()).is_err());
        control.change(&counting(), AfterChange::BeginAnew).expect("it is changed");
        assert_eq!(drain(&mut store.join(&counting()).expect("it joins")), [1, 2, 3, 4, 5]);
        let named = Consumer::new("other", Query::all(), Start::End);
        assert!(control.change(&named, AfterChange::KeepPosition).is_err());
    });
}

#[test]
fn a_consumer_is_sent_elsewhere_paused_and_deleted_whether_it_runs_or_not() {
    for runs in [true, false] {
        everywhere(|home| {
            let store = home.open();
            add(&store, &name("a"), events(1..5));
            let control = store.consumer("counting");
            assert_eq!(control.info().expect_err("not yet").kind(), ErrorKind::EventNotFound);
            let mut member = store.join(&counting()).expect("it joins");
            assert_eq!(drain(&mut member), [1, 2, 3, 4]);
            let mut member = runs.then_some(member);
            control.seek(Start::After(Position::new(2))).expect("it goes there");
            control.pause("by hand").expect("it pauses");
            let mut member = member.take().unwrap_or_else(|| store.join(&counting()).expect("it joins"));
            assert!(member.try_next().expect("nothing fails").is_none());
            assert_eq!(control.info().expect("it is there").paused(), Some("by hand"));
            control.resume().expect("it goes on");
            let held = member.next().wait().expect("a delivery");
            assert_eq!(number(held.event()), 3);
            control.seek(Start::Beginning).expect("it goes there");
            assert!(held.ack().is_err(), "it is not in hand any more");
            assert_eq!(drain(&mut member), [1, 2, 3, 4]);
            assert!(control.seek(Start::After(Position::new(5))).is_err());
            control.seek(Start::End).expect("it goes there");
            assert_eq!(drain(&mut member), Vec::<u64>::new());
            control.delete().expect("it is deleted");
            check_says(&member.try_next().expect_err("it is gone"), ErrorKind::InvalidArgument, &["deleted"]);
            drop(member);
            assert!(store.consumers().expect("a list").is_empty());
            assert_eq!(control.delete().expect_err("it is gone").kind(), ErrorKind::EventNotFound);
            assert_eq!(drain(&mut store.join(&counting()).expect("it joins")), [1, 2, 3, 4], "it begins anew");
        });
    }
}

#[test]
fn a_pause_and_what_was_found_out_last_a_restart() {
    wherever_it_lasts(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..5));
        let mut member = store.join(&counting()).expect("it joins");
        member.next().wait().expect("a delivery").ack().expect("it is in hand");
        store.consumer("counting").pause("over night").expect("it pauses");
        let before = store.consumer("counting").info().expect("it is there");
        drop(member);
        let store = home.reopen(store, &EventStore::options());
        let info = store.consumer("counting").info().expect("it is there");
        assert_eq!((info.position(), info.paused()), (Position::new(1), Some("over night")));
        assert_eq!((info.created(), info.definition()), (before.created(), before.definition()));
        assert!(info.created() <= info.updated() && info.definition().contains("counted"));
        assert_eq!((info.health(), info.lag_events(), info.lag_time().is_some()), (ConsumerHealth::Paused, 3, true));
        let mut member = store.join(&counting()).expect("it joins");
        assert!(member.try_next().expect("nothing fails").is_none());
        store.consumer("counting").resume().expect("it goes on");
        assert_eq!(drain(&mut member), [2, 3, 4]);
    });
}

#[test]
fn what_is_known_of_consumers_is_read_from_the_log_where_nothing_else_is_left() {
    let home = Home::disk();
    let options = small_segments().verify_at_open_max(0);
    let store = home.open_with(&options);
    add(&store, &name("a"), events(1..9));
    let mut member = store.join(&counting()).expect("it joins");
    member.next().wait().expect("a delivery").nack(Verdict::Park, "broken").expect("it is in hand");
    store.consumer("counting").seek(Start::After(Position::new(5))).expect("it goes there");
    drop(member);
    // Enough for segments to end behind what is said of it.
    (0..100).for_each(|number| drop(add(&store, &name("b"), [kilobyte(number)])));
    let told = |store: &EventStore| {
        let info = store.consumer("counting").info().expect("it is there");
        let parked = store.consumer("counting").parked().expect("a list");
        (info.position(), info.created(), info.updated(), info.definition().to_owned(), parked)
    };
    let before = told(&store);
    store.close().expect("it closes");
    drop(store);
    let store = home.open_with(&options);
    assert_eq!(told(&store), before, "by what was written beside the log, which is not read again");
    let reader = home.read_only().expect("it opens for reading");
    assert_eq!(told(&reader), before);
    assert_eq!(reader.join(&counting()).expect_err("it only reads").kind(), ErrorKind::ReadOnly);
    store.close().expect("it closes");
    drop(store);
    for path in ["index/streams.0", "index/streams.1"] {
        if home.contents().contains_key(path) {
            home.remove(path);
        }
    }
    assert_eq!(told(&home.open()), before, "by the log alone");
    let copy = home.path().with_extension("copy");
    scorebook::salvage(home.path(), &copy).expect("a copy");
    assert_eq!(told(&EventStore::open(&copy).expect("it opens")), before, "and by a copy of it");
    assert!(scorebook::verify(&copy).expect("a report").is_sound());
}

/// Results of numbers: for each event one with its square, committed with the checkpoint.
pub(crate) fn square(delivery: &Delivery) -> Result<scorebook::Receipt, AppendError> {
    let number = number(delivery.event());
    let result = NewEvent::json("squared", &(number * number)).expect("JSON");
    delivery.commit(delivery.batch().append(&name("squares"), ExpectedVersion::Any, [result])).wait()
}

#[test]
fn results_and_checkpoint_are_one_batch() {
    everywhere(|home| {
        let store = home.open();
        let mut member = store.join(&counting()).expect("it joins");
        add(&store, &name("a"), [event(3).correlation("turn-7"), event(4)]);
        let delivery = member.next().wait().expect("a delivery");
        let receipt = square(&delivery).expect("committed");
        assert_eq!((receipt.last_version().get(), written(&store, home)), (1, 1));
        assert!(square(&delivery).is_err(), "it is done");
        let result = store.event_at(receipt.last_position()).expect("an event");
        let metadata = result.metadata().expect("metadata");
        assert_eq!(metadata.causation(), Some(&*delivery.event().id().to_string()));
        assert_eq!(metadata.correlation(), Some("turn-7"));
        // A condition that does not hold leaves the event in hand, and writes nothing.
        let delivery = member.next().wait().expect("a delivery");
        let refused = delivery.batch().append(&name("squares"), ExpectedVersion::NoStream, [event(9)]);
        assert!(delivery.commit(refused).wait().expect_err("a conflict").conflict().is_some());
        assert_eq!(position(&store), 1);
        let nothing = delivery.commit(delivery.batch()).wait().expect("an empty batch moves the checkpoint");
        assert!(nothing.streams().is_empty());
        assert_eq!(written(&store, home), 3, "its own results lie between, and are not asked for");
        assert!(member.try_next().expect("nothing fails").is_none());
        let other = EventStore::open_in_memory().expect("a store");
        add(&store, &name("a"), [event(5)]);
        let delivery = member.next().wait().expect("a delivery");
        let foreign = other.batch().append(&name("x"), ExpectedVersion::Any, [event(1)]);
        assert!(delivery.commit(foreign).wait().is_err());
        let results = [NewEvent::bytes("squared", [])];
        let batch = delivery.batch().append(&name("squares"), ExpectedVersion::Any, results);
        block_on(delivery.commit(batch)).expect("committed");
        assert_eq!(position(&store), 5);
    });
}

#[test]
fn results_that_were_there_before_under_their_key_move_the_checkpoint_all_the_same() {
    everywhere(|home| {
        let store = home.open();
        let mut member = store.join(&counting()).expect("it joins");
        add(&store, &name("a"), events(1..2));
        let results = || store.batch().append(&name("r"), ExpectedVersion::Any, [event(9)]).once("of event 1");
        results().commit().wait().expect("committed");
        let delivery = member.next().wait().expect("a delivery");
        assert!(delivery.commit(results()).wait().expect("a repeat").is_repeat());
        assert_eq!(drain(&mut member), [9], "the event is done, and its result asked for");
    });
}

/// Killed at every operation of its disk, a handler that commits its results has each of them once.
#[test]
fn killed_anywhere_every_event_has_its_result_exactly_once() {
    const EVENTS: u64 = 4;
    let consumer = counting().partition_by(PartitionBy::NOTHING).checkpoint_every(1);
    let work = |store: &EventStore, events: u64| -> Option<()> {
        let mut member = store.join(&consumer).ok()?;
        while let Some(delivery) = member.try_next().ok()? {
            square(&delivery).ok()?;
        }
        let left = events.saturating_sub(store.stream_info(&name("a")).map_or(0, |info| info.version().get()));
        for _ in 0..left {
            let number = store.stream_info(&name("a")).map_or(0, |info| info.version().get()) + 1;
            store.append(&name("a"), ExpectedVersion::Any, [event(number)]).wait().ok()?;
            while let Some(delivery) = member.try_next().ok()? {
                square(&delivery).ok()?;
            }
        }
        Some(())
    };
    let mut stops = 0;
    for stop in 1.. {
        let disk = SimulatedDisk::new(stop);
        disk.stop_at(stop);
        if let Ok(store) = EventStore::options().open_simulated(&disk) {
            let _ = work(&store, EVENTS);
            std::mem::forget(store);
        }
        let has_stopped = disk.has_stopped();
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let disk = disk.crash(&choice);
            let store = EventStore::options().open_simulated(&disk).expect("it opens");
            work(&store, EVENTS).expect("nothing fails any more");
            let squares = store.read(&name("squares")).into_iter().map(|event| event.expect("an event"));
            let squares: Vec<u64> = squares.map(|event| event.json().expect("a number")).collect();
            assert_eq!(squares, [1, 4, 9, 16], "stopped at operation {stop}, {choice:?}");
        }
        stops = stop;
        if !has_stopped {
            break;
        }
    }
    assert!(30 < stops, "only {stops} operations");
}

/// The long run of the same is `proof -- consumers`.
#[test]
fn whatever_happens_nothing_is_skipped_nothing_is_twice_and_no_checkpoint_is_ahead() {
    let (mut steps, mut handed_out, mut restarts, mut crashes) = (0, 0, 0, 0);
    for world in 0..80 {
        let mut consuming = Consuming::new(seed() + world);
        consuming.run(250);
        steps += 250;
        handed_out += consuming.handed_out;
        (restarts, crashes) = (restarts + consuming.restarts, crashes + consuming.crashes);
    }
    assert!(20_000 <= steps && 5_000 < handed_out, "{handed_out} events were handed out");
    assert!(300 < restarts && 300 < crashes, "{restarts} restarts, {crashes} crashes");
}

/// A runtime that was left behind by another opening of the store knows an older record than is there.
#[test]
fn of_two_who_move_one_consumer_one_is_told() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let consumer = counting().checkpoint_every(1);
    add(&store, &name("a"), events(1..5));
    let mut old = store.join(&consumer).expect("it joins");
    let held = old.next().wait().expect("a delivery");
    store.close().expect("it closes");
    store.reopen().expect("it opens again");
    let mut new = store.join(&consumer).expect("it joins");
    assert_eq!(held.ack().expect_err("it is of another life").kind(), ErrorKind::Closed);
    assert_eq!(old.try_next().expect_err("it is of another life").kind(), ErrorKind::Closed);
    assert_eq!(drain(&mut new), [1, 2, 3, 4]);

    // Two processes that share a directory cannot both write; two handles of one can come as near as this.
    let mut other = store.join_apart(&consumer).expect("it joins");
    add(&store, &name("a"), events(5..7));
    let late = other.next().wait().expect("a delivery");
    assert_eq!(number(late.event()), 5);
    let first = new.next().wait().expect("a delivery");
    square(&first).expect("committed");
    let refused = square(&late).expect_err("it was moved");
    assert!(matches!(refused.conflict(), Some(Conflict::Consumer { name }) if name == "counting"), "{refused:?}");
    check_says(&other.try_next().expect_err("it was moved"), ErrorKind::InvalidArgument, &["conflicts"]);
    assert_eq!(store.version(&name("squares")).expect("one result").get(), 1);
    assert_eq!(drain(&mut new), [6]);
}

#[test]
fn a_handler_that_keeps_failing_is_left_alone_for_a_while() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    let consumer = counting().partition_by(PartitionBy::NOTHING).backoff(at_once).attempts_max(100);
    let pauses = Backoff::new(10 * SECOND, 100 * SECOND).jitter_percent(0);
    let mut member = store.join(&consumer.breaker(Breaker::new(3, pauses))).expect("it joins");
    add(&store, &name("a"), events(1..9));
    let mut fail = || {
        let delivery = member.try_next().expect("nothing fails").expect("there is something");
        delivery.nack(Verdict::Retry, "the board is down").expect("it is in hand");
    };
    (0..3).for_each(|_| fail());
    let info = || store.consumer("counting").info().expect("it is there");
    // Every operation of a simulated disk takes a moment.
    let tripped_for = || info().tripped_for().map(|left| left.as_secs_f64().round());
    assert_eq!((info().health(), tripped_for()), (ConsumerHealth::Tripped, Some(10.0)));
    assert_eq!(info().last_error(), Some("the board is down"));
    assert!(member.try_next().expect("nothing fails").is_none());
    disk.advance(10 * SECOND);
    let one = member.try_next().expect("nothing fails").expect("one is tried");
    assert!(member.try_next().expect("nothing fails").is_none(), "only one");
    one.nack(Verdict::Retry, "still down").expect("it is in hand");
    assert_eq!(tripped_for(), Some(20.0));
    disk.advance(20 * SECOND);
    member.try_next().expect("nothing fails").expect("one is tried").ack().expect("it is in hand");
    assert_eq!(info().health(), ConsumerHealth::Well);
    assert_eq!(drain(&mut member).len(), 7);
}

#[test]
fn lag_that_grows_without_progress_shows() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let mut member = store.join(&counting().stalled_after(30 * SECOND)).expect("it joins");
    let info = || store.consumer("counting").info().expect("it is there");
    disk.advance(60 * SECOND);
    assert_eq!((info().health(), info().lag_events(), info().lag_time()), (ConsumerHealth::Well, 0, None));
    add(&store, &name("a"), events(1..4));
    let held = member.next().wait().expect("a delivery");
    disk.advance(20 * SECOND);
    held.ack().expect("it is in hand");
    disk.advance(20 * SECOND);
    assert_eq!((info().health(), info().lag_events()), (ConsumerHealth::Well, 2));
    assert_eq!(info().lag_time().map(|lag| lag.as_secs()), Some(40));
    disk.advance(10 * SECOND);
    assert_eq!(info().health(), ConsumerHealth::Stalled);
    assert_eq!((info().in_flight(), info().unfinished(), info().done()), (0, 2, 1));
    assert_eq!(drain(&mut member), [2, 3]);
    assert_eq!((info().health(), info().events_a_second()), (ConsumerHealth::Well, 0.2));
    drop(member);
    assert_eq!(info().health(), ConsumerHealth::Idle);
}

#[test]
fn a_consumer_with_too_much_parked_stops() {
    everywhere(|home| {
        let store = home.open();
        let mut member = store.join(&counting().partition_by(PartitionBy::NOTHING).parked_max(2)).expect("it joins");
        add(&store, &name("a"), events(1..5));
        for _ in 0..2 {
            member.next().wait().expect("a delivery").nack(Verdict::Park, "broken").expect("it is in hand");
        }
        assert!(member.try_next().expect("nothing fails").is_none());
        let info = store.consumer("counting").info().expect("it is there");
        assert!(info.paused().is_some_and(|reason| reason.contains("2 events are parked")), "{info}");
    });
}

#[test]
fn a_handler_runs_on_a_thread_of_its_own_and_stops_with_the_store() {
    wherever_threads_are(|home| {
        let store = home.open();
        let consumer =
            counting().backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(1))).attempts_max(3);
        let (told, heard) = mpsc::channel();
        let running = store
            .run(&consumer, move |delivery| {
                let number = number(delivery.event());
                told.send((number, delivery.attempt())).map_err(|_| Failure::new(Verdict::Stop, "nobody listens"))?;
                match (number, delivery.attempt()) {
                    (2, 1) => Err(std::io::Error::other("no network"))?,
                    (3, 1) => std::panic::resume_unwind(Box::new("a bug")),
                    (4, _) => Err(Failure::new(Verdict::Skip, "nobody cares")),
                    _ => Ok(()),
                }
            })
            .expect("it runs");
        for number in 1..=5 {
            add(&store, &name("a"), [event(number)]);
        }
        let heard: Vec<_> = (0..7).map(|_| heard.recv_timeout(PATIENCE).expect("it is handed out")).collect();
        assert_eq!(heard, [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (5, 1)]);
        eventually("all is done", || position(&store) == 5);
        assert!(running.is_running());
        store.close().expect("it closes");
        running.stop().expect("it ended well");
    });
}

#[test]
fn closing_waits_for_a_handler_at_work_and_keeps_what_it_has_done() {
    let home = Home::disk();
    let store = home.open();
    let (entered, enters) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let running = store
        .run(&counting(), move |delivery| {
            entered.send(number(delivery.event())).map_err(|_| Failure::new(Verdict::Stop, "nobody listens"))?;
            goes_on.recv().map_err(|_| Failure::new(Verdict::Stop, "nobody listens"))?;
            Ok(())
        })
        .expect("it runs");
    add(&store, &name("a"), events(1..4));
    assert_eq!(enters.recv_timeout(PATIENCE), Ok(1));
    let mut other = store.join(&counting()).expect("it joins");
    let closing = store.clone();
    let closing = thread::spawn(move || closing.close());
    // Else the handler might be given the next one, and wait with it for ever.
    eventually("it is being closed", || other.try_next().is_err());
    go_on.send(()).expect("it waits");
    closing.join().expect("it ends").expect("it closes");
    running.stop().expect("it ended well");
    drop((other, store));
    let store = home.open();
    assert_eq!(drain(&mut store.join(&counting()).expect("it joins")), [2, 3]);
}

#[test]
fn a_handler_runs_as_a_task_and_several_members_share_the_work() {
    wherever_threads_are(|home| {
        const EVENTS: u64 = 200;
        let store = home.open();
        let consumer = counting().checkpoint_every(10);
        let sum = Arc::new(AtomicU64::new(0));
        let task = || {
            let (store, consumer, sum) = (store.clone(), consumer.clone(), sum.clone());
            thread::spawn(move || {
                block_on(store.run_task(&consumer, async |delivery: &Delivery| {
                    let results = [NewEvent::bytes("result", [])];
                    let batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, results);
                    delivery.commit(batch).await.map_err(AppendError::into_error)?;
                    sum.fetch_add(number(delivery.event()), Ordering::Relaxed);
                    Ok(())
                }))
            })
        };
        let tasks: Vec<_> = (0..3).map(|_| task()).collect();
        for number in 1..=EVENTS {
            add(&store, &name(&format!("stream-{}", number % 5)), [event(number)]);
        }
        eventually("all is done", || sum.load(Ordering::Relaxed) == EVENTS * (EVENTS + 1) / 2);
        assert_eq!(store.version(&name("results")).expect("there are results").get(), EVENTS);
        let info = store.consumer("counting").info().expect("it is there");
        assert_eq!((info.members(), info.done()), (3, EVENTS));
        // Nobody waits for whoever called it.
        store.close().expect("it closes");
        tasks.into_iter().for_each(|task| task.join().expect("it ends").expect("it ended well"));
    });
}

#[test]
fn pauses_and_limits_are_kept_by_the_clock_although_everybody_sleeps() {
    wherever_threads_are(|home| {
        let store = home.open();
        let short = Duration::from_millis(5);
        let consumer = counting().time_limit(short).backoff(Backoff::new(short, short)).checkpoint_after(short);
        let (mut one, mut two) = (store.join(&consumer).expect("it joins"), store.join(&consumer).expect("it joins"));
        add(&store, &name("a"), events(1..2));
        let held = one.next().wait().expect("a delivery");
        let again = two.next_timeout(PATIENCE).expect("nothing fails").expect("it took too long");
        assert_eq!(again.attempt(), 2);
        drop(held);
        let again = block_on(async {
            drop(again);
            one.next().await.expect("a delivery")
        });
        let _ = again.ack();
        let updated = || store.consumer("counting").info().expect("it is there").updated();
        let before = updated();
        add(&store, &name("a"), events(2..3));
        let delivery = two.next().wait().expect("a delivery");
        if delivery.ack().is_ok() {
            eventually("the checkpoint is written although nobody asks", || before < updated());
        }
    });
}
