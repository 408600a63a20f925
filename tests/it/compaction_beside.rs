//! Compaction beside others: who appends, reads, follows, consumes, backs up or closes meanwhile.

use super::compaction::{all, check, half_dead, left, whole};
use super::support::{
    Home, add, eventually, everywhere, kilobyte, name, read, small_segments, versions, wherever_it_lasts,
    wherever_threads_are,
};
use crate::model::forget_derived;
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{
    SimulatedDisk, backup_simulated, restore_simulated, salvage_simulated, verify_backup_simulated, verify_simulated,
};
use scorebook::{
    Consumer, ErrorKind, EventContext, EventStore, Followed, PartitionBy, Position, Projection, Query, RecordedEvent,
    Saving, Start, Staying, StreamName, Until, Verdict, Version,
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn it_can_be_broken_off_and_gone_on_with() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let mut told = Vec::new();
        let plan = store.compaction().plan().expect("a plan");
        let stop = |progress: scorebook::CompactionProgress| {
            told.push((progress.bytes_read(), progress.bytes_written()));
            if told.len() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let some = plan.apply_while(stop).expect("it breaks off");
        assert!(0 < some.events_removed() && some.events_removed() < plan.events_going(), "{some:?}");
        assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
        let store = home.reopen(store, &small_segments());
        let rest = store.compaction().plan().expect("a plan");
        assert_eq!(rest.events_going(), plan.events_going() - some.events_removed());
        rest.apply().expect("it is done");
        let numbers: Vec<u64> = read(store.read(&b)).iter().map(super::support::number).collect();
        assert_eq!(numbers, (0..600).filter(|number| number % 2 == 1).collect::<Vec<_>>());
    });
}

#[test]
fn who_reads_in_the_middle_of_it_keeps_what_it_has() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..200 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number).tag("n", number % 4)]);
        }
        store.truncate_before(&a, Version::new(90)).wait().expect("it begins later");
        let before = all(&store);
        let texts = |events: Vec<RecordedEvent>| events.iter().map(whole).collect::<Vec<_>>();
        let of_b: Vec<String> = before.iter().filter(|event| event.stream() == "game-2").map(whole).collect();
        let mut everything = store.read_all().into_iter();
        let mut tagged = store.read_all().matching(Query::all().tag("n", 2)).into_iter();
        let mut backwards = store.read(&b).backwards().into_iter();
        let mut forwards = store.read(&b).into_iter();
        let begin =
            |mut events: &mut dyn Iterator<Item = Result<RecordedEvent, scorebook::Error>>| read((&mut events).take(3));
        let begun = [begin(&mut everything), begin(&mut tagged), begin(&mut backwards), begin(&mut forwards)];
        let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        assert!(50 < compacted.events_removed(), "{compacted:?}");
        let [mut all_of_it, mut of_tag, mut of_stream, mut of_stream_too] = begun;
        all_of_it.extend(read(everything));
        assert_eq!(texts(all_of_it), texts(before.clone()));
        of_tag.extend(read(tagged));
        assert_eq!(of_tag.len(), before.iter().filter(|event| event.tag("n") == Some("2")).count());
        of_stream.extend(read(backwards));
        of_stream.reverse();
        assert_eq!(texts(of_stream), of_b);
        of_stream_too.extend(read(forwards));
        assert_eq!(texts(of_stream_too), of_b);
    });
}

#[test]
fn a_backup_goes_on_behind_it_and_is_restored_to_every_position() {
    let (disk, backup) = (SimulatedDisk::new(11), SimulatedDisk::new(12));
    let (events, _) = half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    backup_simulated(&store, &backup).expect("all of it");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    add(&store, &name("game-2"), [kilobyte(1)]);
    store.flush().expect("flushed");
    let report = backup_simulated(&store, &backup).expect("it goes on");
    assert_eq!(report.info().position(), store.head().expect("a head"));
    verify_backup_simulated(&backup).expect("it is whole");
    let now = all(&store);
    let texts = |events: &[RecordedEvent]| events.iter().map(whole).collect::<Vec<_>>();
    for last in (1..=events.len() as u64 + 1).step_by(3).chain([events.len() as u64 + 1]) {
        let restored = SimulatedDisk::new(13);
        let until = Until::Position(Position::new(last));
        let report = restore_simulated(&backup, &restored, until).expect("it is restored");
        assert!(report.position() <= Position::new(last));
        for _ in 0..2 {
            let store = small_segments().open_simulated(&restored).expect("it opens");
            let expected: Vec<RecordedEvent> =
                now.iter().filter(|event| event.position().get() <= last).cloned().collect();
            let held: Vec<RecordedEvent> =
                all(&store).into_iter().filter(|event| event.position() <= report.position()).collect();
            assert_eq!(texts(&held), texts(&expected), "up to {last}");
            add(&store, &name("player-7"), [kilobyte(last)]);
        }
        let report = verify_simulated(&restored).expect("it can be read");
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn who_reads_from_another_process_goes_on() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..200 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.flush().expect("flushed");
        let reader = home.read_only().expect("it can be read");
        let mut begun = reader.read(&b).into_iter();
        let some = read((&mut begun).take(2));
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        add(&store, &b, [kilobyte(200)]);
        let stays = all(&store);
        let rest = read(begun);
        assert!(98 <= some.len() + rest.len());
        eventually("it sees what is there", || reader.head().is_ok_and(|head| head.get() == 202 - 1));
        let seen = read(reader.read(&b));
        assert_eq!(seen.len(), 101);
        let anew = home.read_only().expect("it can be read");
        assert_eq!(all(&anew).iter().map(whole).collect::<Vec<_>>(), stays.iter().map(whole).collect::<Vec<_>>());
    });
}

#[test]
fn what_a_consumer_has_not_seen_stays_and_its_checkpoint_stands() {
    everywhere(|home| {
        let mut store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("player-1"));
        for number in 0..150 {
            add(&store, &a, [kilobyte(number)]);
        }
        let consumer = || {
            let query = Query::all().of_type("weighed");
            Consumer::new("counting", query, Start::Beginning).checkpoint_every(1)
        };
        let mut member = store.join(&consumer()).expect("a member");
        for _ in 0..60 {
            member.try_next().expect("nothing fails").expect("an event").ack().expect("it is in hand");
        }
        drop(member);
        store.truncate_before(&a, Version::new(150)).wait().expect("it begins later");
        for number in 0..40 {
            add(&store, &b, [kilobyte(number)]);
        }
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let (_, of_a) = plan.streams().find(|(name, _)| **name == a).expect("it is told");
        assert_eq!(of_a.events_going(), 60);
        let behind = Staying::Unseen("counting".into());
        let staying: Vec<(Staying, u64)> = of_a.staying().map(|(why, events)| (why.clone(), events)).collect();
        assert_eq!(staying, [(behind, 89)]);
        plan.apply().expect("it is done");
        assert_eq!(left(&store).len(), 150 + 40 - 60);
        store = home.reopen(store, &small_segments());
        if let Home::Simulated(disk) = home {
            drop(store);
            forget_derived(disk);
            store = home.open_with(&small_segments());
        }
        let mut member = store.join(&consumer()).expect("a member");
        let next = member.try_next().expect("nothing fails").expect("an event");
        assert_eq!(next.events()[0].event().position().get(), 61, "it goes on where it was");
        drop((next, member));
        let forced = store.compaction().beyond_consumers().thoroughly().plan().expect("a plan");
        forced.apply().expect("it is done");
        let mut member = store.join(&consumer()).expect("a member");
        let next = member.try_next().expect("nothing fails").expect("an event");
        assert_eq!(next.events()[0].event().version().get(), 150, "what is gone is passed by");
    });
}

#[test]
fn what_a_consumer_has_set_aside_stays_until_it_is_done_with_or_dropped() {
    wherever_it_lasts(|home| {
        let mut store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("player-1"));
        for number in 1..=100 {
            add(&store, &a, [kilobyte(number)]);
        }
        let consumer = || {
            let consumer = Consumer::new("counting", Query::all().in_stream(&name("game-1")), Start::Beginning);
            consumer.partition_by(PartitionBy::NOTHING).checkpoint_every(1)
        };
        let mut member = store.join(&consumer()).expect("a member");
        for number in 1..=100 {
            let delivery = member.try_next().expect("nothing fails").expect("an event");
            match number {
                7 | 9 | 30 => delivery.nack(Verdict::Park, "broken").expect("it is in hand"),
                _ => delivery.ack().expect("it is in hand"),
            }
        }
        drop(member);
        store.truncate_before(&a, Version::new(100)).wait().expect("it begins later");
        let compacted = |store: &EventStore| {
            for number in 0..40 {
                add(store, &b, [kilobyte(number)]);
            }
            let plan = store.compaction().thoroughly().plan().expect("a plan");
            plan.apply().expect("it is done");
            left(store).into_iter().filter(|position| *position < 100).collect()
        };
        let kept: Vec<u64> = compacted(&store);
        assert_eq!(kept, [7, 9, 30]);
        store = home.reopen(store, &small_segments());
        store.consumer("counting").drop_parked(Position::new(9)).expect("it is set aside");
        store.consumer("counting").redeliver(Position::new(7)).expect("it is set aside");
        let kept: Vec<u64> = compacted(&store);
        assert_eq!(kept, [7, 9, 30], "what is handed out again is not done with, nor what is behind it");
        let mut member = store.join(&consumer()).expect("a member");
        let delivery = member.try_next().expect("nothing fails").expect("an event");
        assert_eq!(delivery.events()[0].event().position().get(), 7);
        delivery.ack().expect("it is in hand");
        drop(member);
        let kept: Vec<u64> = compacted(&store);
        assert_eq!(kept, [30]);
        let forced = store.compaction().beyond_consumers().thoroughly().plan().expect("a plan");
        forced.apply().expect("it is done");
        assert!(left(&store).iter().all(|position| 100 <= *position));
    });
}

#[test]
fn a_subscription_is_told_of_what_was_removed() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        // First in one piece, then here and there.
        for number in 0..60 {
            add(&store, &a, [kilobyte(number)]);
        }
        for number in 0..400 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        let follow = |store: &EventStore| {
            let mut live = store.subscribe(Query::all(), Start::Beginning);
            let (mut seen, mut told) = (Vec::new(), Vec::new());
            loop {
                match live.try_next().expect("nothing fails") {
                    Some(Followed::Event(event)) => seen.push(event.position().get()),
                    Some(Followed::Removed { first, last }) => told.push((first.get(), last.get())),
                    Some(Followed::CaughtUp { .. }) => break,
                    other => panic!("{other:?}"),
                }
            }
            (seen, told)
        };
        let (seen, told) = follow(&store);
        assert_eq!(seen, left(&store).into_iter().collect::<Vec<_>>());
        assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].0), "{told:?}");
        let is_told = |position: &u64| told.iter().any(|(first, last)| (first..=last).contains(&position));
        let gone: Vec<u64> = (1..=460).filter(|position| !seen.contains(position)).collect();
        assert_eq!(gone.len() as u64, compacted.events_removed());
        assert!(gone.iter().all(is_told), "{told:?}");
        // What lies close together is not told piece by piece.
        assert!(told.len() < 150, "{} pieces", told.len());
        let store = home.reopen(store, &small_segments());
        assert_eq!(follow(&store).0, seen);
    });
}

#[test]
fn whoever_appends_and_reads_meanwhile_notices_nothing() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let streams: Vec<StreamName> = (0..8).map(|number| name(&format!("game-{number}"))).collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = streams
                .iter()
                .map(|stream| {
                    let store = &store;
                    scope.spawn(move || {
                        for number in 0..300 {
                            let receipt = add(store, stream, [kilobyte(number)]);
                            let version = receipt.of(stream).expect("its own").last_version().get();
                            assert_eq!(version, number + 1);
                            if number % 50 == 49 {
                                store.truncate_before(stream, Version::new(version - 9)).wait().expect("later");
                            }
                        }
                    })
                })
                .collect();
            for stream in &streams {
                let (store, is_over) = (&store, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        if !store.exists(stream).expect("an answer") {
                            continue;
                        }
                        let versions: Vec<u64> = versions(store.read(stream));
                        assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{versions:?}");
                        let numbers = store.read_all().matching(Query::all().in_stream(stream)).into_iter();
                        let numbers: Vec<u64> = read(numbers).iter().map(|event| event.position().get()).collect();
                        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
                    }
                });
            }
            let mut removed = 0;
            while !writers.iter().all(|writer| writer.is_finished()) {
                let plan = store.compaction().plan().expect("a plan");
                removed += plan.apply().expect("it is done").events_removed();
            }
            removed += store.compaction().thoroughly().plan().expect("a plan").apply().expect("done").events_removed();
            is_over.store(true, Ordering::Relaxed);
            assert!(1_000 < removed, "{removed} events");
        });
        let stays = all(&store);
        assert!(8 * 10 <= stays.len());
        check(&store, &stays);
        let store = home.reopen(store, &small_segments());
        check(&store, &stays);
    });
}

#[test]
fn a_salvage_copies_what_is_left_with_the_gaps_it_has() {
    let (disk, copy) = (SimulatedDisk::new(37), SimulatedDisk::new(38));
    half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    add(&store, &name("game-2"), [kilobyte(1)]);
    let stays = all(&store);
    store.close().expect("it closes");
    salvage_simulated(&disk, &copy).expect("all is good");
    let texts = |events: &[RecordedEvent]| events.iter().map(whole).collect::<Vec<_>>();
    let copied = small_segments().open_simulated(&copy).expect("it opens");
    assert_eq!(texts(&all(&copied)), texts(&stays));
    assert_eq!(copied.head().expect("a head"), stays.last().expect("an event").position());
    let report = verify_simulated(&copy);
    drop(copied);
    assert!(report.expect("it can be read").is_sound());
}

/// How many events there ever were.
#[derive(Clone, Serialize, Deserialize)]
struct Ever(u64);

impl Projection for Ever {
    type Event = RecordedEvent;
    const NAME: &'static str = "ever";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Ever {
        Ever(0)
    }

    fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) {
        self.0 += 1;
    }

    fn saving() -> Saving {
        Saving::AtClose
    }
}

#[test]
fn a_saved_state_outlives_the_events_it_was_folded_from() {
    let disk = SimulatedDisk::new(41);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let (a, b) = (name("game-1"), name("game-2"));
    for number in 0..100 {
        add(&store, &a, [kilobyte(number)]);
    }
    let view = store.projection::<Ever>().expect("a view");
    view.reached(Position::new(100)).wait().expect("it follows");
    view.save().expect("it is saved");
    drop(view);
    for number in 0..40 {
        add(&store, &b, [kilobyte(number)]);
    }
    store.tombstone(&a, Any, "over").wait().expect("it is finished");
    let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    assert_eq!(compacted.events_removed(), 100);
    store.flush().expect("flushed");
    // Nothing is saved again.
    std::mem::forget(store);
    let store = small_segments().open_simulated(&disk.kill()).expect("it opens");
    let view = store.projection::<Ever>().expect("a view");
    view.reached(Position::new(140)).wait().expect("it follows");
    assert_eq!(view.state().0, 140, "what is gone was folded in before");
}

#[test]
fn a_store_that_is_closed_meanwhile_has_it_break_off() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let before = all(&store);
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let mut calls = 0;
        let outcome = plan.apply_while(|_| {
            calls += 1;
            if calls == 3 {
                store.close().expect("it closes");
            }
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.map_err(|error| error.kind()).err(), Some(ErrorKind::Closed));
        drop(store);
        let store = home.open_with(&small_segments());
        let left = left(&store);
        let stays: Vec<RecordedEvent> =
            before.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
        assert!(before.iter().all(|event| left.contains(&event.position().get()) || event.stream() == "game-1"));
        check(&store, &stays);
        store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        store.close().expect("it closes");
    });
}

#[test]
fn whoever_closes_waits_for_the_row_at_hand() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let (begun, closing) = (AtomicBool::new(false), store.clone());
        thread::scope(|scope| {
            let apply = scope.spawn(|| {
                plan.apply_while(|_| {
                    begun.store(true, Ordering::Relaxed);
                    ControlFlow::Continue(())
                })
            });
            eventually("it has begun", || begun.load(Ordering::Relaxed));
            closing.close().expect("it closes");
            let outcome = apply.join().expect("no panic").map(drop).map_err(|error| error.kind());
            assert!(matches!(outcome, Ok(()) | Err(ErrorKind::Closed)), "{outcome:?}");
        });
        if let Home::Disk(_) = home {
            let store = home.open_with(&small_segments());
            assert_eq!(versions(store.read(&b)).len(), 300);
            check(&store, &all(&store));
        }
    });
}
