//! Subscriptions: what is there and then what comes, without a hole or a repeat, however slow the reader.

use crate::support::{
    Home, PATIENCE, add, block_on, check_says, event, events, eventually, everywhere, kilobyte, name, number,
    small_segments, wherever_it_lasts, wherever_threads_are,
};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    Durability, ErrorKind, EventId, EventStore, ExactEvent, ExpectedVersion, Followed, NewEvent, Position, Query,
    Start, Subscription, Timestamp, Version,
};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// What a subscription gives without waiting, one word for each.
fn words(live: &mut Subscription) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(item) = live.try_next().expect("nothing fails") {
        words.push(word(&item));
    }
    words
}

fn word(item: &Followed) -> String {
    match item {
        Followed::Event(event) => event.position().to_string(),
        Followed::CaughtUp { position } => format!("level at {position}"),
        Followed::FellBehind { position, head } => format!("behind at {position} of {head}"),
        Followed::Removed { first, last } => format!("removed {first} to {last}"),
        Followed::Lost { first, last } => format!("lost {first} to {last}"),
        other => panic!("nobody knows {other:?}"),
    }
}

/// The positions of the events that a subscription gives without waiting.
fn given(live: &mut Subscription) -> Vec<u64> {
    words(live).iter().filter_map(|word| word.parse().ok()).collect()
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A subscription that has given all there is, and the task that waits for more.
fn asleep(live: &mut Subscription) -> Arc<Woken> {
    words(live);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    // What waits is let go on purpose: its seat is taken by the stream of items below, which nobody drops.
    let mut next = std::mem::ManuallyDrop::new(live.next());
    let polled = pin!(&mut *next).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "there is nothing to give");
    woken
}

#[test]
fn events_before_the_start_are_not_given() {
    everywhere(|home| {
        let store = home.open();
        let tagged = |number: u64| event(number).tag("parity", number % 2);
        for number in 1..=3 {
            add(&store, &name("game-1"), [tagged(number)]);
            add(&store, &name("team-1"), [tagged(number)]);
        }
        let fourth = store.event_at(Position::new(4)).expect("an event").time();
        let first_of_time = store.read_all().since(fourth).into_iter().next().expect("an event").expect("an event");
        let from = first_of_time.position().get();
        let everything = [
            (Start::Beginning, 1),
            (Start::End, 7),
            (Start::After(Position::BEGINNING), 1),
            (Start::After(Position::new(4)), 5),
            (Start::After(Position::new(6)), 7),
            (Start::At(Timestamp::EPOCH), 1),
            (Start::At(fourth), from),
        ];
        let queries: [(Query, &[u64]); 5] = [
            (Query::all(), &[1, 2, 3, 4, 5, 6, 7, 8]),
            (Query::all().in_stream(&name("game-1")), &[1, 3, 5, 7]),
            (Query::all().in_category("team"), &[2, 4, 6, 8]),
            (Query::all().tag("parity", 0), &[3, 4, 7, 8]),
            (Query::all().prefix("game"), &[1, 3, 5, 7]),
        ];
        let mut followers = Vec::new();
        for (query, wanted) in queries {
            for (start, first) in everything {
                let live = store.subscribe(query.clone(), start);
                let expected: Vec<u64> = wanted.iter().copied().filter(|position| first <= *position).collect();
                followers.push((live, expected, format!("{query:?} from {start:?}")));
            }
        }
        add(&store, &name("game-1"), [tagged(4)]);
        add(&store, &name("team-1"), [tagged(4)]);
        for (mut live, expected, what) in followers {
            assert_eq!(given(&mut live), expected, "{what}");
        }
        let future = Timestamp::from_nanos(i64::MAX);
        assert_eq!(words(&mut store.subscribe(Query::all(), Start::At(future))), ["level at 8"]);
    });
}

#[test]
fn history_and_then_what_comes_is_given_without_a_hole_or_a_repeat() {
    const WRITERS: u64 = 3;
    const APPENDS: u64 = 300;
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let numbered = |writer: u64, number: u64| kilobyte(number).tag("writer", writer);
        (0..50).for_each(|number| drop(add(&store, &name("before"), [numbered(9, number)])));
        let total = 50 + WRITERS * APPENDS;
        let follower = |query: Query, durability, pause: u64| {
            let live = store.subscribe(query, Start::Beginning).durability(durability);
            move || {
                let mut seen = Vec::new();
                for item in live.events() {
                    let event = item.expect("nothing fails");
                    if event.event_type() == "ended" {
                        return seen;
                    }
                    seen.push(event.position().get());
                    if pause != 0 && event.position().get().is_multiple_of(pause) {
                        thread::yield_now();
                    }
                }
                panic!("it ends with an error only");
            }
        };
        thread::scope(|scope| {
            let ended = |query: Query| query.or(Query::all().of_type("ended"));
            let followers = [
                scope.spawn(follower(Query::all(), Durability::Written, 0)),
                scope.spawn(follower(Query::all(), Durability::Synced, 7)),
                scope.spawn(follower(ended(Query::all().tag("writer", 1)), Durability::Written, 1)),
                scope.spawn(follower(ended(Query::all().in_stream(&name("stream-2"))), Durability::Written, 0)),
            ];
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let store = store.clone();
                    scope.spawn(move || {
                        for number in 0..APPENDS {
                            let batch = store.batch().durability(Durability::Written);
                            let stream = name(&format!("stream-{writer}"));
                            let batch = batch.append(&stream, ExpectedVersion::Any, [numbered(writer, number)]);
                            drop(batch.commit().wait().expect("committed"));
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().expect("it ends"));
            add(&store, &name("end"), [NewEvent::bytes("ended", [])]);
            let [all, durable, tagged, stream] = followers.map(|follower| follower.join().expect("it ends"));
            let everything: Vec<u64> = (1..=total).collect();
            assert_eq!(all, everything);
            assert_eq!(durable, everything);
            let of = |query: Query| crate::support::positions(store.read_all().matching(query));
            assert_eq!(tagged, of(Query::all().tag("writer", 1)));
            assert_eq!(stream, of(Query::all().in_stream(&name("stream-2"))));
            assert_eq!(stream.len() as u64, APPENDS);
        });
    });
}

#[test]
fn what_comes_while_history_is_read_is_given_behind_it() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..3));
        let mut live = store.subscribe(Query::all(), Start::Beginning);
        assert_eq!(live.try_next().expect("an item").map(|item| word(&item)).as_deref(), Some("1"));
        add(&store, &name("a"), events(3..5));
        assert_eq!(words(&mut live), ["2", "3", "4", "level at 4"]);
    });
}

#[test]
fn being_caught_up_is_told_once_each_time() {
    everywhere(|home| {
        let store = home.open();
        let query = Query::all().of_type("counted");
        let mut live = store.subscribe(query, Start::Beginning).behind_after(2);
        assert_eq!(words(&mut live), ["level at 0"], "also in an empty store");
        assert!(words(&mut live).is_empty());
        add(&store, &name("a"), events(1..3));
        assert_eq!(words(&mut live), ["1", "2"], "two events are not many");
        (0..5).for_each(|_| drop(add(&store, &name("b"), [NewEvent::bytes("other", [])])));
        add(&store, &name("a"), events(3..5));
        assert_eq!(words(&mut live), ["8", "9"], "nor do those count that it did not ask for");
        add(&store, &name("a"), events(5..8));
        assert_eq!(words(&mut live), ["10", "11", "behind at 11 of 12", "12", "level at 12"]);
        add(&store, &name("a"), events(8..12));
        assert_eq!(words(&mut live), ["13", "14", "behind at 14 of 16", "15", "16", "level at 16"]);
    });
}

#[test]
fn a_filtered_subscription_moves_on_although_nothing_matches() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..2));
        let mut live = store.subscribe(Query::all().of_type("counted"), Start::Beginning);
        assert_eq!(words(&mut live), ["1", "level at 1"]);
        (0..9).for_each(|_| drop(add(&store, &name("b"), [NewEvent::bytes("other", [])])));
        assert!(words(&mut live).is_empty());
        assert_eq!(live.position(), Position::new(10));
    });
}

#[test]
fn whoever_waits_is_called_by_what_it_asks_for_and_by_nothing_else() {
    everywhere(|home| {
        let store = home.open();
        let tagged = |event_type: &str, player: u64| NewEvent::bytes(event_type, []).tag("player", player);
        add(&store, &name("team-1"), [tagged("joined", 1)]);
        let queries = [
            Query::all().in_stream(&name("team-2")),
            Query::all().in_category("game"),
            Query::all().of_type("left"),
            Query::all().of_type("joined").tag("player", 7),
            Query::all().of_type("never").or(Query::all().tag("player", 7).tag("player", 8)),
        ];
        let mut followers: Vec<_> = queries.iter().map(|query| store.subscribe(query.clone(), Start::End)).collect();
        let woken: Vec<_> = followers.iter_mut().map(asleep).collect();
        let counts = || woken.iter().map(|woken| woken.count()).collect::<Vec<_>>();
        add(&store, &name("team-1"), [tagged("joined", 1), tagged("renamed", 7), tagged("joined", 8)]);
        assert_eq!(counts(), [0, 0, 0, 0, 0]);
        add(&store, &name("team-2"), [tagged("left", 1)]);
        assert_eq!(counts(), [1, 0, 1, 0, 0]);
        let both = tagged("joined", 7).tag("player", 8);
        add(&store, &name("game-1"), [both.clone()]);
        assert_eq!(counts(), [1, 1, 1, 1, 1]);
        add(&store, &name("game-1"), [both]);
        assert_eq!(counts(), [1, 1, 1, 1, 1], "once it was called it is awake");
        let expected: [&[u64]; 5] = [&[5], &[6, 7], &[5], &[6, 7], &[6, 7]];
        for (mut live, expected) in followers.into_iter().zip(expected) {
            assert_eq!(given(&mut live), expected);
        }
    });
}

/// The moment between the last look and the sleep is short: it is met by trying often.
#[test]
fn nobody_sleeps_over_an_event_however_it_comes_in_between() {
    const ROUNDS: u64 = 20_000;
    let store = EventStore::options().durability(Durability::Written).open_in_memory().expect("a store");
    let asked = Arc::new(AtomicU64::new(0));
    let mut live = store.subscribe(Query::all().of_type("counted"), Start::Beginning);
    let (writer, rounds) = (store.clone(), asked.clone());
    let writer = thread::spawn(move || {
        for number in 1..=ROUNDS {
            while rounds.load(Ordering::Acquire) < number {
                std::hint::spin_loop();
            }
            (0..number % 97 * 8).for_each(|_| std::hint::spin_loop());
            add(&writer, &name("a"), [event(number)]);
        }
    });
    for round in 1..=ROUNDS {
        asked.store(round, Ordering::Release);
        let begun = Instant::now();
        let item = loop {
            match live.next_timeout(Duration::from_secs(5)).expect("nothing fails") {
                Some(Followed::CaughtUp { .. }) => {}
                item => break item,
            }
        };
        assert_eq!(item.expect("an event").event().map(number), Some(round));
        assert!(begun.elapsed() < Duration::from_secs(4), "it slept over event {round}");
    }
    writer.join().expect("it ends");
}

#[test]
fn nobody_is_disturbed_by_readers_that_are_slow_stop_panic_or_are_dropped() {
    wherever_threads_are(|home| {
        let store = home.open();
        let good = store.subscribe(Query::all(), Start::Beginning);
        let good = thread::spawn(move || good.events().take(1_000).map(|e| number(&e.expect("an event"))).sum::<u64>());
        let mut stopped = store.subscribe(Query::all(), Start::Beginning);
        let mut slow = store.subscribe(Query::all(), Start::Beginning);
        let panics = store.subscribe(Query::all(), Start::Beginning);
        let panics = thread::spawn(move || {
            let body = || panics.events().for_each(|event| assert!(number(&event.expect("an event")) < 100));
            std::panic::set_hook(Box::new(|_| {}));
            let caught = catch_unwind(AssertUnwindSafe(body)).is_err();
            let _ = std::panic::take_hook();
            caught
        });
        let woken = asleep(&mut store.subscribe(Query::all(), Start::End));
        (0..1_000).for_each(|n| {
            drop(
                store
                    .batch()
                    .append(&name("a"), ExpectedVersion::Any, [event(n)])
                    .durability(Durability::Written)
                    .commit(),
            );
            if n % 100 == 0 {
                assert!(slow.next_timeout(PATIENCE).expect("nothing fails").is_some());
            }
        });
        store.flush().expect("flushed");
        assert_eq!(good.join().expect("it ends"), 999 * 1_000 / 2);
        assert!(panics.join().expect("it ends"), "it was to panic");
        assert!(woken.count() <= 1);
        assert_eq!(given(&mut stopped).len(), 1_000);
        assert!(
            (9..=10).contains(&slow.position().get()),
            "it was asked ten times, and may have been told it is level"
        );
    });
}

#[test]
fn threads_and_tasks_wait_with_the_same_handle() {
    wherever_threads_are(|home| {
        let store = home.open();
        let mut live = store.subscribe(Query::all(), Start::Beginning);
        assert!(matches!(live.next().wait().expect("an item"), Followed::CaughtUp { .. }));
        assert!(live.next_timeout(Duration::from_millis(1)).expect("nothing fails").is_none());
        let append = |numbers: std::ops::Range<u64>| {
            let store = store.clone();
            thread::spawn(move || drop(add(&store, &name("a"), events(numbers))))
        };
        append(1..2);
        assert_eq!(word(&live.next().wait().expect("an item")), "1");
        append(2..3);
        assert_eq!(word(&block_on(live.next()).expect("an item")), "2");
        append(3..8).join().expect("it ends");
        let batch = |items: Vec<Followed>| items.iter().map(word).collect::<Vec<_>>();
        assert_eq!(batch(live.next_batch(2).wait().expect("items")), ["3", "4"]);
        assert_eq!(batch(block_on(live.next_batch(2)).expect("items")), ["5", "6"]);
        assert_eq!(batch(live.next_batch(9).wait_timeout(PATIENCE).expect("items")), ["7"]);
        assert!(live.next_batch(0).wait().expect("nothing").is_empty());
        assert!(live.next_batch(1).wait_timeout(Duration::from_millis(1)).expect("nothing").is_empty());
        append(8..10).join().expect("it ends");
        assert_eq!(live.iter().take(2).map(|item| word(&item.expect("an item"))).collect::<Vec<_>>(), ["8", "9"]);
    });
}

#[test]
fn a_closed_store_ends_subscriptions_and_they_say_so() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..3));
        let (mut first, mut second) =
            (store.subscribe(Query::all(), Start::Beginning), store.clone().subscribe(Query::all(), Start::End));
        let woken = [asleep(&mut first), asleep(&mut second)];
        let begun = store.subscribe(Query::all(), Start::Beginning);
        store.close().expect("it closes");
        assert!(woken.iter().all(|woken| woken.count() == 1), "whoever waits is called");
        for live in [&mut first, &mut second] {
            check_says(&live.next().wait().expect_err("it has ended"), ErrorKind::Closed, &["closed"]);
            check_says(&live.try_next().expect_err("it has ended"), ErrorKind::Closed, &["closed"]);
        }
        let items: Vec<_> = begun.into_iter().collect();
        assert_eq!(items.len(), 1, "an error is the last item");
        assert!(store.subscribe(Query::all(), Start::Beginning).next().wait().is_err());
        if !matches!(home, Home::Memory) {
            store.reopen().expect("it opens again");
            assert!(first.try_next().is_err(), "what has ended has ended");
            assert_eq!(given(&mut store.subscribe(Query::all(), Start::Beginning)), [1, 2]);
        }
        drop(store);
    });
}

#[test]
fn a_subscription_does_not_keep_the_store_open() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let mut live = store.subscribe(Query::all(), Start::Beginning);
        let woken = asleep(&mut live);
        drop(store);
        assert_eq!(woken.count(), 1);
        assert_eq!(live.try_next().expect_err("it has ended").kind(), ErrorKind::Closed);
        drop(home.open());
    });
}

#[test]
fn a_fault_of_the_query_and_a_start_behind_the_end_are_told_by_the_first_item() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..3));
        let error = store.subscribe(Query::all().of_type("no type"), Start::Beginning).try_next().expect_err("a fault");
        assert_eq!(error.kind(), ErrorKind::InvalidName);
        let mut live = store.subscribe(Query::all(), Start::After(Position::new(3)));
        check_says(
            &live.try_next().expect_err("it is not there"),
            ErrorKind::InvalidArgument,
            &["position 3", "ends at 2"],
        );
        assert_eq!(words(&mut store.subscribe(Query::all(), Start::After(Position::new(2)))), ["level at 2"]);
    });
}

#[test]
fn a_reader_in_another_process_follows_a_live_store() {
    let home = Home::disk();
    let store = home.open_with(&small_segments());
    add(&store, &name("a"), events(1..4));
    let reader = home.read_only().expect("it opens for reading");
    let live = reader.subscribe(Query::all().in_stream(&name("a")), Start::Beginning);
    let durable = reader.subscribe(Query::all(), Start::Beginning).durability(Durability::Synced);
    let mut task = reader.subscribe(Query::all().of_type("weighed"), Start::End);
    let live = thread::spawn(move || live.events().take(60).map(|e| number(&e.expect("an event"))).collect::<Vec<_>>());
    let durable = thread::spawn(move || {
        durable.events().take(100).map(|e| e.expect("an event").position().get()).collect::<Vec<_>>()
    });
    for number in 4..61 {
        add(&store, &name("a"), [event(number)]);
    }
    for number in 0..40 {
        add(&store, &name("b"), [kilobyte(number)]);
    }
    assert_eq!(live.join().expect("it ends"), (1..61).collect::<Vec<_>>());
    assert_eq!(durable.join().expect("it ends"), (1..101).collect::<Vec<_>>());
    let first = loop {
        if let Followed::Event(event) = block_on(task.next()).expect("an item") {
            break event;
        }
    };
    assert_eq!(number(&first), 0);
    store.close().expect("it closes");
    let store = home.open();
    add(&store, &name("b"), [kilobyte(99)]);
    let mut last = 0;
    eventually("the next writer is followed too", || {
        if let Some(Followed::Event(event)) = task.next_timeout(Duration::from_millis(50)).expect("nothing fails") {
            last = number(&event);
        }
        last == 99
    });
    reader.close().expect("it closes");
    assert_eq!(task.next().wait().expect_err("it has ended").kind(), ErrorKind::Closed);
}

#[test]
fn positions_that_are_not_held_any_more_are_told_and_nothing_stops() {
    everywhere(|home| {
        let store = home.open();
        let mut live = store.subscribe(Query::all(), Start::Beginning);
        let exact = |position: u64, version: u64| ExactEvent {
            position: Position::new(position),
            stream: name("a"),
            version: Version::new(version),
            time: Timestamp::from_nanos(7),
            epoch: None,
            event: event(position).id(EventId::from_bytes([position as u8; 16])),
        };
        let mut import = store.exact_import().expect("an import");
        import.append(vec![exact(3, 1), exact(4, 2), exact(7, 5)]).expect("imported");
        import.append(vec![exact(9, 6)]).expect("imported");
        import.finish().expect("imported");
        let told = ["removed 1 to 2", "3", "4", "removed 5 to 6", "7", "removed 8 to 8", "9", "level at 9"];
        assert_eq!(words(&mut live), told);
        let mut behind = store.subscribe(Query::all().of_type("counted"), Start::After(Position::new(5)));
        assert_eq!(words(&mut behind), ["removed 6 to 6", "7", "removed 8 to 8", "9", "level at 9"]);
        let mut at = store.subscribe(Query::all(), Start::After(Position::new(8)));
        assert_eq!(words(&mut at), ["9", "level at 9"]);
    });
}

#[test]
fn positions_that_were_lost_end_it_with_their_numbers_or_are_passed_over_with_a_word() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    for number in 1..=4 {
        add(&store, &name("a"), [NewEvent::bytes("weighed", vec![1; 600]).tag("number", number)]);
    }
    let second = store.event_at(Position::new(2)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(second.offset) + 300..u64::from(second.offset) + 400, 1);
    let copy = SimulatedDisk::new(8);
    scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    let store = EventStore::options().open_simulated(&copy).expect("the copy opens");
    for query in [Query::all(), Query::all().of_type("weighed"), Query::all().tag("number", 1)] {
        let mut live = store.subscribe(query, Start::Beginning);
        assert_eq!(word(&live.try_next().expect("an item").expect("an item")), "1");
        check_says(&live.try_next().expect_err("a loss"), ErrorKind::Lost, &["positions 2 to 2"]);
        assert_eq!(live.next().wait().expect_err("it has ended").kind(), ErrorKind::Lost);
        assert_eq!(live.position(), Position::new(1), "from here it can be gone on with");
    }
    let mut live = store.subscribe(Query::all(), Start::Beginning).skipping_lost();
    assert_eq!(words(&mut live), ["1", "lost 2 to 2", "3", "4", "level at 4"]);
    assert_eq!(given(&mut store.subscribe(Query::all(), Start::After(Position::new(2)))), [3, 4]);
}

#[test]
fn what_is_asked_to_be_durable_is_given_only_then() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&EventStore::options().sync_every(Duration::from_secs(3600)));
        let mut durable = store.subscribe(Query::all(), Start::Beginning).durability(Durability::Synced);
        let mut visible = store.subscribe(Query::all(), Start::Beginning);
        add(&store, &name("a"), events(1..2));
        assert_eq!((given(&mut durable), given(&mut visible)), (vec![1], vec![1]));
        let write = |number| {
            let batch = store.batch().append(&name("a"), ExpectedVersion::Any, [event(number)]);
            drop(batch.durability(Durability::Written).commit().wait().expect("committed"));
        };
        write(2);
        assert_eq!((given(&mut durable), given(&mut visible)), (vec![], vec![2]));
        let woken = asleep(&mut durable);
        store.flush().expect("flushed");
        write(3);
        eventually("whoever waits is called by the sync", || woken.count() == 1);
        assert_eq!((given(&mut durable), given(&mut visible)), (vec![2], vec![3]));
    });
}

#[test]
fn where_a_store_opens_again_without_what_was_given_the_subscription_ends() {
    let disk = SimulatedDisk::new(7);
    let options = EventStore::options().durability(Durability::Written).sync_every(Duration::from_secs(3600));
    let store = options.open_simulated(&disk).expect("a store");
    add(&store, &name("a"), events(1..3));
    store.flush().expect("flushed");
    add(&store, &name("a"), events(3..6));
    let mut ahead = store.subscribe(Query::all(), Start::Beginning);
    let mut within = store.subscribe(Query::all(), Start::Beginning).durability(Durability::Synced);
    assert_eq!((given(&mut ahead).len(), given(&mut within).len()), (5, 2));
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
    store.flush().expect_err("the sync fails");
    disk.heal();
    assert!(words(&mut ahead).is_empty(), "readers go on");
    store.reopen().expect("it opens again");
    assert_eq!(store.head().expect("a head").get(), 2, "what was only written is gone");
    add(&store, &name("a"), events(13..18));
    check_says(&ahead.try_next().expect_err("it has given more"), ErrorKind::Lost, &["position 5", "ended at 2"]);
    let mut late = store.subscribe(Query::all(), Start::After(Position::new(6)));
    assert_eq!(words(&mut late), ["7", "level at 7"]);
    store.flush().expect("flushed");
    assert_eq!(given(&mut within), [3, 4, 5, 6, 7]);
}

#[cfg(feature = "stream")]
#[test]
fn a_subscription_is_a_stream_of_tasks() {
    use futures_core::Stream;
    use std::pin::Pin;
    let store = EventStore::open_in_memory().expect("a store");
    let mut live = store.subscribe(Query::all(), Start::Beginning);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut poll = || Pin::new(&mut live).poll_next(&mut Context::from_waker(&waker));
    assert!(matches!(poll(), Poll::Ready(Some(Ok(Followed::CaughtUp { .. })))));
    assert!(poll().is_pending());
    add(&store, &name("a"), events(1..2));
    assert_eq!(woken.count(), 1);
    assert!(matches!(poll(), Poll::Ready(Some(Ok(Followed::Event(_))))));
    assert!(poll().is_pending());
    store.close().expect("it closes");
    assert_eq!(woken.count(), 2);
    assert!(matches!(poll(), Poll::Ready(Some(Err(_)))));
    assert!(matches!(poll(), Poll::Ready(None)));
}
