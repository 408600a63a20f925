//! What following costs: idle subscriptions beside appends, the way from an append to a waiting handler, and catching up.
//!
//! `cargo bench --bench following` prints a table over a million events; `-- --quick` over a hundred thousand. What is
//! compared takes turns in one process, so that what the machine does meanwhile hits both.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use cap::Cap;
use scorebook::{
    Consumer, Durability, EventStore, ExpectedVersion, Followed, Member, NewEvent, Query, RecordedEvent, Start,
    StreamName, Subscription,
};
use std::alloc::System;
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn event() -> NewEvent {
    let event = NewEvent::bytes("game_guess_processed", vec![b'x'; 256]);
    event.correlation("c".repeat(40)).actor("a".repeat(28)).tag("guild", 7)
}

fn stream(number: u64) -> StreamName {
    StreamName::new(format!("game-{number:036}")).expect("a name")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

fn append(store: &EventStore, durability: Durability) {
    let batch = store.batch().append(&stream(1), ExpectedVersion::Any, [event()]).durability(durability);
    drop(batch.commit().wait().expect("a receipt"));
}

/// Subscriptions that wait as tasks for what never comes.
fn idle(store: &EventStore, count: u64) -> Vec<Subscription> {
    let waiting = |number: u64| {
        let query = match number % 3 {
            0 => Query::all().in_stream(&stream(1_000_000 + number)),
            1 => Query::all().of_type("game_guess_processed").tag("guild", 1_000_000 + number),
            _ => Query::all().of_type(&format!("type-{number}")),
        };
        let mut live = store.subscribe(query, Start::End);
        while live.try_next().expect("nothing fails").is_some() {}
        // The seat it takes is left when it is asked again, or dropped.
        let mut next = std::mem::ManuallyDrop::new(live.next());
        assert!(pin!(&mut *next).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        live
    };
    (0..count).map(waiting).collect()
}

/// Consumers that wait as tasks for what never comes.
fn idle_consumers(store: &EventStore, count: u64) -> Vec<Member> {
    let waiting = |number: u64| {
        let query = Query::all().of_type(&format!("type-{number}"));
        let mut member =
            store.join(&Consumer::new(&format!("consumer-{number}"), query, Start::End)).expect("it joins");
        let mut next = std::mem::ManuallyDrop::new(member.next());
        assert!(pin!(&mut *next).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        member
    };
    (0..count).map(waiting).collect()
}

/// Microseconds that an append takes with nobody waiting and with so many who wait for something else; what each of those
/// takes of memory; and the ratio.
fn beside_idle<T>(
    store: &EventStore,
    durability: Durability,
    idle: impl Fn(&EventStore) -> Vec<T>,
    (appends, rounds): (u32, u32),
) -> (f64, f64, f64) {
    let (mut alone, mut beside, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    let measure = || {
        let begun = Instant::now();
        (0..appends).for_each(|_| append(store, durability));
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(appends)
    };
    measure();
    for _ in 0..rounds {
        alone.push(measure());
        let before = ALLOCATOR.allocated();
        let waiting = idle(store);
        bytes = (ALLOCATOR.allocated().saturating_sub(before)) as f64 / waiting.len() as f64;
        beside.push(measure());
        drop(waiting);
    }
    (median(alone), median(beside), bytes)
}

/// Microseconds from the beginning of an append until the last of so many threads has the event in its hands.
fn to_hands(store: &EventStore, count: usize, rounds: usize) -> Vec<f64> {
    let (hands, taken) = mpsc::channel();
    let followers: Vec<_> = (0..count)
        .map(|_| {
            let mut live = store.subscribe(Query::all().in_category("game"), Start::End);
            let hands = hands.clone();
            thread::spawn(move || {
                while let Ok(item) = live.next().wait() {
                    if let Followed::Event(event) = item {
                        hands.send((event.position(), Instant::now())).expect("somebody counts");
                    }
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(50));
    let mut took = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        append(store, Durability::Written);
        let last = (0..count).map(|_| taken.recv().expect("an event").1).max().expect("at least one");
        took.push(last.duration_since(begun).as_secs_f64() * 1e6);
        // Long enough for everybody to be asleep again.
        thread::sleep(Duration::from_millis(2));
    }
    store.close().expect("it closes");
    followers.into_iter().for_each(|follower| follower.join().expect("it ends"));
    took
}

/// Events a second, by what counts them.
fn rate(events: impl FnOnce() -> u64) -> f64 {
    let begun = Instant::now();
    let count = events();
    count as f64 / begun.elapsed().as_secs_f64()
}

fn touch(event: &RecordedEvent) -> u64 {
    u64::from(std::hint::black_box(event.data()).len() == 256)
}

fn catching_up(store: &EventStore, query: &Query) -> (f64, f64) {
    let (mut reads, mut follows) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let read = store.read_all().matching(query.clone());
        reads.push(rate(|| read.into_iter().map(|event| touch(&event.expect("an event"))).sum()));
        let live = store.subscribe(query.clone(), Start::Beginning);
        follows.push(rate(|| {
            let items = live.into_iter().map(|item| item.expect("an item"));
            let events = items.take_while(|item| !matches!(item, Followed::CaughtUp { .. }));
            events.filter_map(Followed::into_event).map(|event| touch(&event)).sum()
        }));
    }
    (median(reads), median(follows))
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let events: u64 = if is_quick { 100_000 } else { 1_000_000 };
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let open = |name: &str| EventStore::open(directory.path().join(name)).expect("a store");

    let store = open("idle");
    for (durability, name, appends) in [(Durability::Written, "written", 20_000), (Durability::Synced, "synced", 1_000)]
    {
        let appends = if is_quick { appends / 10 } else { appends };
        let tell = |(alone, beside, bytes): (f64, f64, f64), what: &str| {
            let ratio = beside / alone;
            println!("append, {name}: alone {alone:.2} us, beside {what} {beside:.2} us: {ratio:.3} times");
            println!("  each of those takes {bytes:.0} bytes");
        };
        tell(beside_idle(&store, durability, |store| idle(store, 10_000), (appends, 9)), "10,000 idle subscriptions");
        tell(
            beside_idle(&store, durability, |store| idle_consumers(store, 1_000), (appends, 9)),
            "1,000 idle consumers",
        );
    }
    store.close().expect("it closes");

    for count in [1, 100] {
        let store = open(&format!("hands-{count}"));
        let mut took = to_hands(&store, count, if is_quick { 200 } else { 1_000 });
        let (half, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
        println!("append to the last of {count} waiting handlers: median {half:.1} us, p99 {most:.1} us");
    }

    let store = open("behind");
    for first in (0..events).step_by(100) {
        let mut batch = store.batch().durability(Durability::Written);
        for number in first..first + 100 {
            let event = event().tag("part", number % 10);
            batch = batch.append(&stream(number % 1_000), ExpectedVersion::Any, [event]);
        }
        drop(batch.commit().wait().expect("a receipt"));
    }
    store.flush().expect("a flush");
    for (query, name) in [
        (Query::all(), "everything"),
        (Query::all().of_type("game_guess_processed"), "a type that all have"),
        (Query::all().tag("part", 3), "a tag that one in ten has"),
    ] {
        let (read, followed) = catching_up(&store, &query);
        let ratio = followed / read;
        println!("{events} events behind, {name}: {followed:.0} events/s, a read {read:.0}: {ratio:.2} times");
    }
}
