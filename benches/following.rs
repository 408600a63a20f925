//! What following costs: idle subscriptions beside appends, the way from an append to a waiting handler, and catching up.
//!
//! `cargo bench --bench following` prints a table over a million events; `-- --quick` over a hundred thousand. `memory`,
//! `idle`, `hands` and `behind` name the parts that are wanted, where not all are. What is compared takes turns in one
//! process, so that what the machine does meanwhile hits both.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use cap::Cap;
use scorebook::{
    Consumer, Durability, EventStore, ExpectedVersion, Followed, Member, NewEvent, Query, RecordedEvent, Start,
    StreamName, Subscription,
};
use std::alloc::System;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
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

/// Waits for what never comes, as a task that nobody runs.
fn settle<T: Wait>(mut waiting: T) -> T {
    assert!(!waiting.poll(&mut Context::from_waker(Waker::noop())), "it waits");
    waiting
}

/// Subscriptions that wait for what never comes.
fn idle(store: &EventStore, numbers: Range<u64>) -> Vec<Subscription> {
    let waiting = |number: u64| {
        let query = match number % 3 {
            0 => Query::all().in_stream(&stream(1_000_000 + number)),
            1 => Query::all().of_type("game_guess_processed").tag("guild", 1_000_000 + number),
            _ => Query::all().of_type(&format!("type-{number}")),
        };
        settle(store.subscribe(query, Start::End))
    };
    numbers.map(waiting).collect()
}

/// Consumers that wait for what never comes.
fn idle_consumers(store: &EventStore, numbers: Range<u64>) -> Vec<Member> {
    let waiting = |number: u64| {
        let query = Query::all().of_type(&format!("type-{number}"));
        settle(store.join(&Consumer::new(&format!("consumer-{number}"), query, Start::End)).expect("it joins"))
    };
    numbers.map(waiting).collect()
}

/// Microseconds that an append takes, one for each of several runs of them.
fn appends(store: &EventStore, durability: Durability, lasting: Duration) -> Vec<f64> {
    let count = if durability == Durability::Synced { 50 } else { 2_000 };
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < lasting {
        let begun = Instant::now();
        (0..count).for_each(|_| append(store, durability));
        took.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    }
    took
}

/// Has them wait as tasks on one thread, and says what appends take with nobody waiting and beside them. Both last longer than
/// a second, since what a consumer writes down has an age of a second at most.
fn beside_idle<T: Wait>(
    store: &EventStore,
    durability: Durability,
    what: &str,
    waiting: impl Fn() -> Vec<T>,
    rounds: u32,
) {
    let lasting = Duration::from_millis(1_500);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    appends(store, durability, lasting / 10);
    for _ in 0..rounds {
        alone.append(&mut appends(store, durability, lasting));
        let tasks = Tasks::run(waiting());
        beside.append(&mut appends(store, durability, lasting));
        tasks.end();
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means = mean(&beside) / mean(&alone);
    // What else the machine does hits the quickest tenth least.
    let quickest = quantile(&mut beside, 0.1) / quantile(&mut alone, 0.1);
    let (alone, beside) = (median(alone), median(beside));
    let ratio = beside / alone;
    println!("append, {durability:?}: alone {alone:.2} us, beside {what} {beside:.2} us: {ratio:.3} times");
    println!("  means {means:.3} times, the quickest tenth {quickest:.3} times");
}

/// What one more of them takes of memory, in a store that does nothing else.
fn bytes_each<T>(waiting: impl Fn(Range<u64>) -> Vec<T>, count: u64) -> f64 {
    // Until the store's own threads have done what there was to do.
    let allocated = || {
        thread::sleep(Duration::from_millis(500));
        ALLOCATOR.allocated()
    };
    let some = waiting(0..count);
    let before = allocated();
    let others = waiting(count..2 * count);
    let bytes = allocated().saturating_sub(before) as f64 / count as f64;
    drop((some, others));
    bytes
}

/// Something that waits again and again as a task.
trait Wait: Send + 'static {
    /// Whether it has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> bool;
}

impl Wait for Subscription {
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        // The seat it takes is left when it is asked again, or dropped.
        let mut next = ManuallyDrop::new(self.next());
        match pin!(&mut *next).poll(context) {
            Poll::Ready(item) => item.is_err() || Wait::poll(self, context),
            Poll::Pending => false,
        }
    }
}

impl Wait for Member {
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut next = ManuallyDrop::new(self.next());
        match pin!(&mut *next).poll(context) {
            Poll::Ready(item) => item.is_err() || Wait::poll(self, context),
            Poll::Pending => false,
        }
    }
}

/// Has the event in its hands when it comes.
struct Handler(Subscription, Arc<Hands>);

impl Wait for Handler {
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let mut next = ManuallyDrop::new(self.0.next());
            match pin!(&mut *next).poll(context) {
                Poll::Ready(Ok(Followed::Event(event))) => self.1.take(&event),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
    }
}

/// Tasks on one thread.
struct Tasks {
    ready: Arc<Ready>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Ready {
    /// The numbers of those that were woken.
    numbers: Mutex<Vec<usize>>,
    rung: Condvar,
}

struct Wakes(usize, Arc<Ready>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.1.wake(self.0);
    }
}

impl Ready {
    fn wake(&self, number: usize) {
        let mut numbers = self.numbers.lock().expect("nobody panics");
        numbers.push(number);
        if numbers.len() == 1 {
            self.rung.notify_one();
        }
    }
}

const END: usize = usize::MAX;

impl Tasks {
    fn run<T: Wait>(mut tasks: Vec<T>) -> Tasks {
        let ready = Arc::new(Ready { numbers: Mutex::new((0..tasks.len()).collect()), rung: Condvar::new() });
        let wakers: Vec<Waker> =
            (0..tasks.len()).map(|number| Waker::from(Arc::new(Wakes(number, ready.clone())))).collect();
        let queue = ready.clone();
        let thread = thread::spawn(move || {
            loop {
                let numbers = queue.numbers.lock().expect("nobody panics");
                let mut numbers = queue.rung.wait_while(numbers, |numbers| numbers.is_empty()).expect("nobody panics");
                let numbers = std::mem::take(&mut *numbers);
                for number in numbers {
                    if number == END {
                        return;
                    }
                    let _has_ended = tasks[number].poll(&mut Context::from_waker(&wakers[number]));
                }
            }
        });
        Tasks { ready, thread }
    }

    fn end(self) {
        self.ready.wake(END);
        self.thread.join().expect("it ends");
    }
}

/// What so many threads write down who wait for one thing: each when it had it, and the last tells whoever counts.
///
/// Nobody is woken for a count, so that counting is no part of what is measured.
struct Hands {
    begun: Instant,
    counter: Thread,
    left: AtomicUsize,
    /// In nanoseconds.
    last: AtomicU64,
}

impl Hands {
    fn new() -> Arc<Hands> {
        Arc::new(Hands {
            begun: Instant::now(),
            counter: thread::current(),
            left: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        })
    }

    fn take(&self, event: &RecordedEvent) {
        std::hint::black_box(event);
        self.taken();
    }

    fn taken(&self) {
        self.last.fetch_max(self.begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.counter.unpark();
        }
    }

    /// Microseconds from the beginning of an act until the last of so many has what it waits for.
    fn measure(&self, count: usize, act: impl FnOnce()) -> f64 {
        self.left.store(count, Ordering::Release);
        let begun = self.begun.elapsed().as_nanos() as u64;
        act();
        while self.left.load(Ordering::Acquire) != 0 {
            thread::park();
        }
        let took = self.last.load(Ordering::Relaxed) - begun;
        // Long enough for everybody to be asleep again.
        thread::sleep(Duration::from_millis(2));
        took as f64 / 1e3
    }
}

/// The same from an append until the last of so many has the event in its hands: threads, tasks on one thread; and from
/// nothing at all until the last of so many threads runs that sleep with nothing around them; and what such an append takes
/// where nobody waits, as cold as the others. All take turns.
fn to_hands(directory: &Path, count: usize, rounds: usize) -> [Vec<f64>; 4] {
    let open = |name: &str| EventStore::open(directory.join(format!("{name}-{count}"))).expect("a store");
    let (store, other, alone) = (open("threads"), open("tasks"), open("alone"));
    let (hands, tasks_hands, bare_hands) = (Hands::new(), Hands::new(), Hands::new());
    let follow = |store: &EventStore| store.subscribe(Query::all().in_category("game"), Start::End);
    let thread = |_| {
        let (mut live, hands) = (follow(&store), hands.clone());
        thread::spawn(move || {
            while let Ok(item) = live.next().wait() {
                if let Followed::Event(event) = item {
                    hands.take(&event);
                }
            }
        })
    };
    let followers: Vec<_> = (0..count).map(thread).collect();
    let tasks = Tasks::run((0..count).map(|_| Handler(follow(&other), tasks_hands.clone())).collect());
    let sleepers = Sleeper::several(count, &bare_hands);
    thread::sleep(Duration::from_millis(50));
    let mut took = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        took[0].push(hands.measure(count, || append(&store, Durability::Written)));
        took[1].push(tasks_hands.measure(count, || append(&other, Durability::Written)));
        took[2].push(bare_hands.measure(count, || wake(sleepers.clone())));
        let last = bare_hands.clone();
        took[3].push(bare_hands.measure(1, || {
            append(&alone, Durability::Written);
            last.taken();
        }));
    }
    tasks.end();
    store.close().expect("it closes");
    followers.into_iter().for_each(|follower| follower.join().expect("it ends"));
    took
}

/// One of those who sleep with nothing around it, and whom it wakes in its turn.
#[derive(Default)]
struct Sleeper {
    called: Mutex<Option<Vec<Arc<Sleeper>>>>,
    rung: Condvar,
}

impl Sleeper {
    fn several(count: usize, hands: &Arc<Hands>) -> Vec<Arc<Sleeper>> {
        let sleepers: Vec<_> = (0..count).map(|_| Arc::new(Sleeper::default())).collect();
        for sleeper in &sleepers {
            let (sleeper, hands) = (sleeper.clone(), hands.clone());
            thread::spawn(move || {
                loop {
                    wake(sleeper.sleep());
                    hands.taken();
                }
            });
        }
        sleepers
    }

    /// Whom to wake.
    fn sleep(&self) -> Vec<Arc<Sleeper>> {
        let called = self.called.lock().expect("nobody panics");
        let mut called = self.rung.wait_while(called, |called| called.is_none()).expect("nobody panics");
        called.take().expect("that was waited for")
    }
}

/// Wakes them in a tree, so that nobody has to wake a hundred.
fn wake(mut sleepers: Vec<Arc<Sleeper>>) {
    let share = sleepers.len().div_ceil(4);
    while let Some(first) = sleepers.pop() {
        let heirs = sleepers.split_off(sleepers.len() - (share - 1).min(sleepers.len()));
        *first.called.lock().expect("nobody panics") = Some(heirs);
        first.rung.notify_one();
    }
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

fn tell_memory(directory: &Path) {
    let open = |name: &str| EventStore::open(directory.join(name)).expect("a store");
    let store = open("subscriptions");
    let bytes = bytes_each(|numbers| idle(&store, numbers), 10_000);
    println!("an idle subscription takes {bytes:.0} bytes");
    let store = open("consumers");
    let bytes = bytes_each(|numbers| idle_consumers(&store, numbers), 1_000);
    println!("an idle consumer takes {bytes:.0} bytes");
}

fn tell_idle(directory: &Path, rounds: u32) {
    let store = EventStore::open(directory.join("idle")).expect("a store");
    for durability in [Durability::Written, Durability::Synced] {
        beside_idle(&store, durability, "10,000 idle subscriptions", || idle(&store, 0..10_000), rounds);
        beside_idle(&store, durability, "1,000 idle consumers", || idle_consumers(&store, 0..1_000), rounds);
    }
}

fn tell_hands(directory: &Path, rounds: usize) {
    for count in [1, 100] {
        let [threads, tasks, bare, alone] = to_hands(directory, count, rounds);
        let (bare, alone) = (median(bare), median(alone));
        for (mut took, what) in [(threads, "threads"), (tasks, "tasks on one thread")] {
            let (half, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
            println!("append to the last of {count} waiting {what}: median {half:.1} us, p99 {most:.1} us");
        }
        println!("  until the last of {count} bare threads runs that wake each other: median {bare:.1} us");
        println!("  such an append where nobody waits: median {alone:.1} us");
    }
}

fn tell_catching_up(directory: &Path, events: u64) {
    let store = EventStore::open(directory.join("behind")).expect("a store");
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

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |asked: &str| arguments.iter().any(|argument| argument == asked);
    let is_quick = has("--quick");
    let is_all = !["memory", "idle", "hands", "behind"].into_iter().any(has);
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let directory = directory.path();
    if is_all || has("memory") {
        tell_memory(directory);
    }
    if is_all || has("idle") {
        tell_idle(directory, if is_quick { 1 } else { 5 });
    }
    if is_all || has("hands") {
        tell_hands(directory, if is_quick { 200 } else { 1_000 });
    }
    if is_all || has("behind") {
        tell_catching_up(directory, if is_quick { 100_000 } else { 1_000_000 });
    }
}
