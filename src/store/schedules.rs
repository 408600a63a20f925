//! The whole store under shuttle: thousands of schedules of appending threads, tasks, readers and one who closes, beside
//! the store's own threads, on a disk that may fail; after each, the store is compared with a list.
//!
//! ```text
//! RUSTFLAGS="--cfg scorebook_shuttle" cargo test --release --lib --target-dir target/shuttle schedules
//! SCOREBOOK_SCHEDULES=100000 RUSTFLAGS=... cargo test --release --lib --target-dir target/shuttle schedules
//! ```
//!
//! A schedule that fails is printed. To run it again, and only it:
//! `SCOREBOOK_REPLAY=91... RUSTFLAGS=... cargo test --release --lib --target-dir target/shuttle schedules::the_test`.
//! No real time passes: on the disk of `storage/checked.rs` it goes on when somebody looks at it.

use super::{EventStore, PendingReceipt};
use crate::error::{AppendError, Error, ErrorKind};
use crate::event::{NewEvent, RecordedEvent};
use crate::log::CloseState;
use crate::name::StreamName;
use crate::options::{Durability, Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::ExpectedVersion::{Any, Exact, NoStream};
use crate::position::{ExpectedVersion, Position, Version};
use crate::query::Query;
use crate::receipt::Receipt;
use crate::storage::{Act, CheckedDisk};
use crate::sync::explore::{block_on, chance, explore, spawn};
use crate::sync::{Arc, AtomicU32, JoinHandle, Mutex, Ordering, pause};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

const STREAMS: [&str; 2] = ["game-1", "game-2"];
const APPENDS: u64 = 3;

/// What one append was answered.
#[derive(Clone, Debug)]
enum Fate {
    /// There, and as durable as the receipt says.
    Accepted(Receipt),
    /// There or not.
    Unknown,
    /// Queued, and nobody looked at the answer.
    Dropped,
    /// Not there, now and for ever.
    Refused,
}

/// One append: its number, which its event says, and what became of it.
#[derive(Clone, Debug)]
struct Append {
    number: u64,
    stream: StreamName,
    expected: ExpectedVersion,
    fate: Fate,
}

/// A store on a disk of its own, and the list of what was appended to it.
#[derive(Clone)]
struct Ground {
    disk: CheckedDisk,
    store: EventStore,
    appends: Arc<Mutex<Vec<Append>>>,
    /// What an append may be told besides conflicts.
    troubles: &'static [ErrorKind],
}

fn options() -> Options {
    // A few looks at the clock, so that all that happens by time happens.
    let options = Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned);
    options.sync_every(Duration::from_millis(12)).idle_after(Duration::from_millis(6))
}

fn open(disk: &CheckedDisk) -> EventStore {
    options().open_on(Arc::new(disk.clone())).expect("the store opens")
}

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).expect("a name")
}

impl Ground {
    fn new(troubles: &'static [ErrorKind]) -> Ground {
        let disk = CheckedDisk::new();
        Ground { store: open(&disk), disk, appends: Arc::new(Mutex::new(Vec::new())), troubles }
    }

    /// Threads that append by chance, each its share of the numbers.
    fn appending(&self, threads: u64) -> Vec<JoinHandle<()>> {
        let thread = |thread: u64| {
            let ground = self.clone();
            spawn(move || (0..APPENDS).for_each(|n| ground.append(thread * APPENDS + n)))
        };
        (0..threads).map(thread).collect()
    }

    /// Appends one event to a stream and under an expectation chosen by chance.
    fn append(&self, number: u64) {
        let stream = name(STREAMS[chance(2) as usize]);
        let version = self.store.version(&stream).unwrap_or(Version::NONE);
        let expected = [Any, Exact(version), NoStream][chance(3) as usize];
        // A segment does not take two of the large ones.
        let len = if chance(4) == 0 { SEGMENT_BYTES_MIN as usize * 5 / 8 } else { 8 };
        self.append_as(number, &stream, expected, len);
    }

    /// The same with a durability and a way of waiting chosen by chance.
    fn append_as(&self, number: u64, stream: &StreamName, expected: ExpectedVersion, len: usize) {
        let durability = [Durability::Synced, Durability::Written][chance(2) as usize];
        let event = NewEvent::bytes("happened", number.to_le_bytes().repeat(len / 8));
        let batch = self.store.batch().append(stream, expected, [event]);
        let pending = batch.durability(durability).commit();
        let way = chance(4);
        // A thread that leads may find itself on a disk that panics.
        let outcome = catch_unwind(AssertUnwindSafe(|| match way {
            0 => {
                drop(pending);
                None
            }
            1 => Some(block_on(pending)),
            2 => Some(wait_with_limits(pending)),
            _ => Some(pending.wait()),
        }));
        let fate = match outcome {
            Ok(None) => Fate::Dropped,
            Ok(Some(outcome)) => self.fate(stream, expected, durability, outcome),
            Err(panic) if panic.is::<Act>() => Fate::Unknown,
            Err(panic) => resume_unwind(panic),
        };
        self.appends.lock().push(Append { number, stream: stream.clone(), expected, fate });
    }

    /// What an answer says, checked at the moment it is given.
    fn fate(
        &self,
        stream: &StreamName,
        expected: ExpectedVersion,
        durability: Durability,
        outcome: Result<Receipt, AppendError>,
    ) -> Fate {
        // Nothing can be asked of a store that somebody has closed meanwhile.
        let visible = self.store.version(stream).ok();
        match outcome {
            Ok(receipt) => {
                assert!(durability <= receipt.durability(), "less durable than asked: {receipt:?}");
                assert!(
                    visible.is_none_or(|visible| receipt.last_version() <= visible),
                    "a receipt for what is not seen"
                );
                Fate::Accepted(receipt)
            }
            Err(AppendError::Conflict(conflict)) => {
                let actual = conflict.actual().expect("nothing else was asked");
                assert!(!expected.admits(actual), "{conflict}");
                assert!(visible.is_none_or(|visible| actual <= visible), "{conflict}, which nobody sees");
                Fate::Refused
            }
            Err(AppendError::Store(error)) => {
                assert!(self.troubles.contains(&error.kind()), "{error:?}");
                match error.kind() {
                    ErrorKind::OutcomeUnknown => Fate::Unknown,
                    _ => Fate::Refused,
                }
            }
        }
    }

    /// A thread that reads until it is told to end: all there is, again and again.
    fn reading(&self, is_over: &Arc<AtomicU32>) -> JoinHandle<()> {
        let (ground, is_over) = (self.clone(), is_over.clone());
        spawn(move || {
            let mut seen = Vec::new();
            while is_over.load(Ordering::SeqCst) == 0 {
                let Ok(head) = ground.store.head() else { return };
                let Ok(events) = read(&ground.store) else { return };
                assert!(head.get() <= events.len() as u64, "a head of which not everything can be read");
                assert!(events.starts_with(&seen), "what was seen changes");
                seen = events;
                pause();
            }
        })
    }

    /// Compares what is there with what was answered. `is_settled` says that what was dropped has been committed.
    fn check(&self, events: &[Seen], is_settled: bool, least: Durability) {
        let appends = self.appends.lock().clone();
        for append in &appends {
            let found = events.iter().filter(|event| event.number == append.number).count();
            match &append.fate {
                Fate::Accepted(receipt) if least <= receipt.durability() => {
                    let event = &events.get(receipt.last_position().get() as usize - 1);
                    let event = event.unwrap_or_else(|| panic!("accepted and not there: {append:?}"));
                    let is_it = (event.number, &*event.stream, event.version)
                        == (append.number, append.stream.as_str(), receipt.last_version());
                    assert!(is_it, "{append:?} became {event:?}");
                }
                Fate::Dropped if is_settled && append.expected == Any => assert_eq!(found, 1, "{append:?}"),
                Fate::Accepted(_) | Fate::Unknown | Fate::Dropped => assert!(found <= 1, "{append:?}"),
                Fate::Refused => assert_eq!(found, 0, "{append:?}"),
            }
        }
        for event in events {
            assert!(appends.iter().any(|append| append.number == event.number), "nobody appended {event:?}");
        }
        // Whoever expected a version came right behind it, so of several that expect the same one only one is there.
        for append in &appends {
            if let (Fate::Accepted(receipt), Exact(version)) = (&append.fate, append.expected) {
                assert_eq!(Some(receipt.first_version()), version.next(), "{append:?}");
            }
            if let (Fate::Accepted(receipt), NoStream) = (&append.fate, append.expected) {
                assert!(receipt.is_new_stream() && receipt.first_version() == Version::FIRST, "{append:?}");
            }
        }
    }

    fn read(&self) -> Vec<Seen> {
        read(&self.store).expect("everything can be read")
    }

    /// Opens what was closed and finds the same, behind a clean end if the last writer wrote anything.
    fn check_reopened(&self, before: &[Seen], has_written: bool) {
        let store = open(&self.disk);
        let is_clean = store.recovery_report().close_state() == CloseState::Clean;
        assert!(is_clean || !has_written, "{:?}", store.recovery_report());
        assert_eq!(read(&store).expect("everything can be read"), before);
        store.close().expect("it closes");
    }

    /// Cuts the power, opens what is left, and compares it with what was answered and what was visible before.
    fn check_crash(&self, visible: &[Seen]) -> Vec<Seen> {
        let store = open(&self.disk.crash());
        assert!(store.recovery_report().damage().is_empty());
        let left = read(&store).expect("everything can be read");
        // Something that is durable and was never shown may be there too, if nobody could say so any more.
        assert!(left.iter().zip(visible).all(|(left, visible)| left == visible), "a crash changes what was seen");
        self.check(&left, false, Durability::Synced);
        store.close().expect("it closes");
        left
    }
}

/// What many want and one gets: those whose look found nothing are judged again under the lock.
#[test]
fn of_those_under_one_condition_one_wins_and_of_one_key_all_get_the_same_receipt() {
    explore("conditions and keys", || {
        let ground = Ground::new(&[]);
        let store = ground.store.clone();
        let begun = NewEvent::bytes("begun", 0_u64.to_le_bytes());
        store.append(&name("game-1"), Any, [begun]).wait().expect("nothing fails here");
        let attempt = |number: u64| {
            let store = store.clone();
            spawn(move || {
                let (head, stream) = (store.head().expect("a head"), name(STREAMS[number as usize % 2]));
                let seat = NewEvent::bytes("taken", number.to_le_bytes()).tag("seat", 1);
                // Whoever saw the seat taken asks behind that, and so does not ask for it.
                let is_free = store.read_all().matching(seats()).count().expect("a number") == 0;
                let pending = store.batch().append(&stream, Any, [seat]).unless(seats()).commit();
                let won = match if chance(2) == 0 { block_on(pending) } else { pending.wait() } {
                    Ok(receipt) => {
                        assert!(is_free && head < receipt.first_position());
                        true
                    }
                    Err(AppendError::Conflict(_)) => {
                        let seen = store.read_all().matching(seats()).count().expect("a number");
                        assert_eq!(seen, 1, "what refused it can be seen");
                        false
                    }
                    Err(error) => panic!("{error:?}"),
                };
                let same = NewEvent::bytes("commanded", 99_u64.to_le_bytes());
                let pending = store.batch().append(&name("game-2"), Any, [same]).once("command").commit();
                (won, pending.wait().expect("accepted, or accepted before"))
            })
        };
        let threads: Vec<_> = (0..3).map(attempt).collect();
        let answers: Vec<(bool, Receipt)> = threads.into_iter().map(|thread| thread.join().expect("it ends")).collect();
        assert_eq!(answers.iter().filter(|(won, _)| *won).count(), 1);
        assert_eq!(answers.iter().filter(|(_, receipt)| !receipt.is_repeat()).count(), 1);
        assert!(answers.iter().all(|(_, receipt)| receipt.streams() == answers[0].1.streams()));
        assert_eq!(read(&store).expect("everything can be read").len(), 3);
        store.close().expect("nothing fails here");
    });
}

fn seats() -> Query {
    Query::all().of_type("taken").tag("seat", 1)
}

/// An event as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    stream: String,
    version: Version,
}

/// All events; positions and versions have no holes.
fn read(store: &EventStore) -> Result<Vec<Seen>, Error> {
    let events: Vec<RecordedEvent> = store.read_all().into_iter().collect::<Result<_, _>>()?;
    let mut versions: HashMap<String, Version> = HashMap::new();
    let mut seen = Vec::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position(), Position::new(position));
        let last = versions.entry(event.stream().to_owned()).or_insert(Version::NONE);
        assert_eq!(last.next(), Some(event.version()));
        *last = event.version();
        let number = u64::from_le_bytes(event.data()[..8].try_into().expect("eight bytes"));
        seen.push(Seen { number, stream: event.stream().to_owned(), version: event.version() });
    }
    Ok(seen)
}

/// Waits a little at a time.
fn wait_with_limits(mut pending: PendingReceipt) -> Result<Receipt, AppendError> {
    loop {
        match pending.wait_timeout(Duration::from_millis(chance(3))) {
            Ok(outcome) => return outcome,
            Err(still) => pending = still,
        }
        pause();
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("it ends well");
    }
}

#[test]
fn what_many_threads_append_and_are_told_is_what_is_there() {
    explore("appending", || {
        let ground = Ground::new(&[]);
        let is_over = Arc::new(AtomicU32::new(0));
        let reader = ground.reading(&is_over);
        join(ground.appending(3));
        is_over.store(1, Ordering::SeqCst);
        reader.join().expect("it ends well");
        let visible = ground.read();
        ground.check(&visible, false, Durability::Written);
        ground.store.flush().expect("it flushes");
        let visible = ground.read();
        ground.check(&visible, true, Durability::Written);
        assert_eq!(ground.check_crash(&visible), visible, "after a flush nothing is lost");
        ground.store.close().expect("it closes");
        ground.check_reopened(&visible, !visible.is_empty());
    });
}

#[test]
fn closing_beside_those_who_append_keeps_what_was_accepted_and_nothing_that_was_refused() {
    explore("closing", || {
        let ground = Ground::new(&[ErrorKind::Closed]);
        let reader = ground.reading(&Arc::new(AtomicU32::new(0)));
        let threads = ground.appending(2);
        let closing = ground.clone();
        let closers = (0..2).map(|_| {
            let closing = closing.clone();
            spawn(move || {
                (0..chance(100)).for_each(|_| pause());
                closing.store.close().expect("it closes");
            })
        });
        join(closers.collect());
        join(threads);
        reader.join().expect("it ends well");
        let there = ground.check_crash(&[]);
        ground.check(&there, false, Durability::Written);
        ground.check_reopened(&there, !there.is_empty());
    });
}

#[test]
fn of_several_that_expect_the_same_version_exactly_one_wins() {
    explore("the same version", || {
        let ground = Ground::new(&[]);
        for round in 0..3 {
            let deciding = (0..3).map(|thread| {
                let ground = ground.clone();
                spawn(move || ground.append_as(round * 3 + thread, &name(STREAMS[0]), Exact(Version::new(round)), 8))
            });
            join(deciding.collect());
            ground.store.flush().expect("it flushes");
            assert_eq!(ground.store.version(&name(STREAMS[0])).expect("it is open"), Version::new(round + 1));
        }
        ground.check(&ground.read(), false, Durability::Written);
        ground.store.close().expect("it closes");
    });
}

#[test]
fn what_nobody_waits_for_is_committed_although_nobody_does_anything_else() {
    explore("letting go", || {
        let disk = CheckedDisk::new();
        let store = open(&disk);
        let stream = name(STREAMS[0]);
        let (appending, appended) = (store.clone(), stream.clone());
        let task = spawn(move || {
            let mut pending = appending.append(&appended, Any, [NewEvent::bytes("happened", [7; 8])]);
            if chance(2) == 0 {
                drop(pending);
            } else {
                // Looked at once and never again.
                let _ = Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop()));
                std::mem::forget(pending);
            }
        });
        while store.version(&stream).expect("it is open") == Version::NONE {
            pause();
        }
        task.join().expect("it ends well");
        store.close().expect("it closes");
    });
}

/// Appends on a disk of which one act fails, opens the store again in place, and goes on.
fn check_failure(act: Act) {
    // A write that fails while room is made is refused and changes nothing.
    let ground = Ground::new(&[ErrorKind::OutcomeUnknown, ErrorKind::Poisoned, ErrorKind::Io]);
    let is_over = Arc::new(AtomicU32::new(0));
    let reader = ground.reading(&is_over);
    ground.disk.fail(act, 1 + chance(8) as u32);
    join(ground.appending(3));
    let visible = ground.read();
    ground.check(&visible, false, Durability::Written);
    ground.check_crash(&visible);
    ground.disk.heal();
    ground.store.reopen().expect("it opens again");
    let before = ground.read();
    assert!(before.starts_with(&visible), "what was visible is there as long as the machine runs");
    ground.check(&before, false, Durability::Written);
    ground.append(100);
    let last = ground.appends.lock().last().cloned().expect("the one just made");
    assert!(!matches!(last.fate, Fate::Unknown), "nothing fails any more: {last:?}");
    is_over.store(1, Ordering::SeqCst);
    reader.join().expect("it ends well");
    ground.store.close().expect("it closes");
    let after = ground.check_crash(&before);
    assert!(after.starts_with(&before) && after[before.len()..].iter().all(|event| event.number == 100));
    ground.check_reopened(&after, before.len() < after.len());
}

#[test]
fn a_sync_that_fails_leaves_nobody_without_an_answer_and_loses_nothing_that_was_accepted() {
    explore("a sync fails", || check_failure(Act::Sync));
}

#[test]
fn a_write_that_fails_leaves_nobody_without_an_answer_and_loses_nothing_that_was_accepted() {
    explore("a write fails", || check_failure(Act::Write));
}

#[test]
fn a_leader_that_panics_leaves_nobody_without_an_answer_and_loses_nothing_that_was_accepted() {
    explore("a leader panics", || check_failure(Act::Panic));
}

#[test]
fn a_waker_that_drops_the_last_handle_closes_the_store_and_gives_the_directory_free() {
    /// Holds a handle until it is woken.
    struct Holder(Mutex<Option<EventStore>>);

    impl Wake for Holder {
        fn wake(self: Arc<Self>) {
            let store = self.0.lock().take();
            drop(store);
        }
    }

    explore("the last handle", || {
        let disk = CheckedDisk::new();
        let store = open(&disk);
        let mut pending = store.append(&name("game-1"), Any, [NewEvent::bytes("happened", [7; 8])]);
        let waker = Waker::from(Arc::new(Holder(Mutex::new(Some(store)))));
        let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            waker.wake_by_ref();
        }
        drop(waker);
        drop(pending);
        // Whoever opens it waits for the lock, and the one who gives it free may be a thread of the store's own.
        let store = loop {
            match options().open_on(Arc::new(disk.clone())) {
                Ok(store) => break store,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Locked),
            }
        };
        assert_eq!(store.version(&name("game-1")).expect("it is open"), Version::FIRST);
        store.close().expect("it closes");
    });
}
