//! What the behaviour tests share: stores on three grounds, events to append, and ways to look at what came of it.
//!
//! A test body is run by [`everywhere`] on the real disk, in memory and on the simulated disk. It asks its [`Home`] for
//! stores and never for the ground, apart from the few questions only one ground can answer.

use scorebook::testing::SimulatedDisk;
use scorebook::{
    AppendError, Conflict, Error, ErrorKind, EventContext, EventStore, ExpectedVersion, NewEvent, Options, Projection,
    Query, Receipt, RecordedEvent, StreamName, Version,
};
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No answer takes this long; a test that waits longer has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The smallest segments there are: a few events of a kilobyte fill one.
pub(crate) const SMALL_SEGMENT: u32 = 32 * 1024;

/// Where a store lives.
pub(crate) enum Home {
    Disk(TempDir),
    Memory,
    Simulated(SimulatedDisk),
}

/// Runs a body on the real disk, in memory and on the simulated disk.
pub(crate) fn everywhere(body: impl Fn(&Home)) {
    for home in [Home::disk(), Home::Memory, Home::simulated()] {
        run(&home, &body);
    }
}

/// Runs a body of many threads: on the real disk and in memory. On the simulated disk everything happens on the thread that
/// asks for it, so that it can be repeated.
pub(crate) fn wherever_threads_are(body: impl Fn(&Home)) {
    for home in [Home::disk(), Home::Memory] {
        run(&home, &body);
    }
}

/// Runs a body where a store outlives its handles: on the real disk and on the simulated one.
pub(crate) fn wherever_it_lasts(body: impl Fn(&Home)) {
    for home in [Home::disk(), Home::simulated()] {
        run(&home, &body);
    }
}

fn run(home: &Home, body: &impl Fn(&Home)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(home))) {
        let told = panic.downcast_ref::<String>().cloned();
        let told = told.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        match told {
            Some(text) => panic!("{}: {text}", home.ground()),
            None => resume_unwind(panic),
        }
    }
}

impl Home {
    pub(crate) fn disk() -> Home {
        Home::Disk(tempfile::tempdir().expect("a directory for the test"))
    }

    pub(crate) fn simulated() -> Home {
        Home::Simulated(SimulatedDisk::new(7))
    }

    fn ground(&self) -> &'static str {
        match self {
            Home::Disk(_) => "on the real disk",
            Home::Memory => "in memory",
            Home::Simulated(_) => "on the simulated disk",
        }
    }

    /// Opens the store that lives here; in memory always a new one.
    pub(crate) fn open(&self) -> EventStore {
        self.open_with(&Options::default())
    }

    pub(crate) fn open_with(&self, options: &Options) -> EventStore {
        self.try_open(options).expect("the store opens")
    }

    pub(crate) fn try_open(&self, options: &Options) -> Result<EventStore, Error> {
        match self {
            Home::Disk(directory) => options.open(store_path(directory)),
            Home::Memory => options.open_in_memory(),
            Home::Simulated(disk) => options.open_simulated(disk),
        }
    }

    /// Opens the store that lives here for reading only.
    pub(crate) fn read_only(&self) -> Result<EventStore, Error> {
        match self {
            Home::Disk(directory) => EventStore::open_read_only(store_path(directory)),
            Home::Memory => panic!("what is in memory can be opened once"),
            Home::Simulated(disk) => EventStore::options().open_simulated_read_only(disk),
        }
    }

    /// Closes a store, on the way of dropping its last handle, and opens it again. In memory it stays as it is.
    pub(crate) fn reopen(&self, store: EventStore, options: &Options) -> EventStore {
        match self {
            Home::Memory => store,
            _ => {
                drop(store);
                self.open_with(options)
            }
        }
    }

    /// Whether the store's own threads work beside the caller's.
    pub(crate) fn has_threads(&self) -> bool {
        !matches!(self, Home::Simulated(_))
    }

    /// All files and what they hold; nothing in memory.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        match self {
            Home::Disk(directory) => contents_of(&store_path(directory)),
            Home::Memory => BTreeMap::new(),
            Home::Simulated(disk) => disk.contents(),
        }
    }

    /// Removes a file of the store, from outside.
    pub(crate) fn remove(&self, path: &str) {
        match self {
            Home::Disk(directory) => fs::remove_file(store_path(directory).join(path)).expect("the file is removed"),
            Home::Memory => {}
            Home::Simulated(disk) => assert!(disk.remove_file(path), "{path} is there"),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Home::Disk(directory) => store_path(directory),
            _ => panic!("only the real disk has paths"),
        }
    }
}

fn store_path(directory: &TempDir) -> PathBuf {
    directory.path().join("bot.scorebook")
}

/// All files below a directory and what they hold, by their paths from there.
pub(crate) fn contents_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).expect("the directory can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("it lies below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("the file can be read"));
            }
        }
    }
    found
}

/// The paths at which two contents differ.
pub(crate) fn differences(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// Options with small segments, that leave the directory alone once nothing is appended.
pub(crate) fn small_segments() -> Options {
    EventStore::options().segment_bytes_max(SMALL_SEGMENT).idle_after(Duration::from_secs(3600))
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a stream name")
}

/// An event that says its number.
pub(crate) fn event(number: u64) -> NewEvent {
    NewEvent::json("counted", &number).expect("a number is JSON")
}

/// Events that say their numbers.
pub(crate) fn events(numbers: std::ops::Range<u64>) -> Vec<NewEvent> {
    numbers.map(event).collect()
}

/// An event of a kilobyte that says its number.
pub(crate) fn kilobyte(number: u64) -> NewEvent {
    NewEvent::json("weighed", &(number, "x".repeat(1024))).expect("text is JSON")
}

/// The number an event says.
pub(crate) fn number(event: &RecordedEvent) -> u64 {
    match event.event_type() {
        "weighed" => event.json::<(u64, String)>().expect("a number and text").0,
        _ => event.json().expect("a number"),
    }
}

/// Appends and waits; what is handed in is expected to be accepted.
pub(crate) fn put(
    store: &EventStore,
    stream: &StreamName,
    expected: ExpectedVersion,
    events: impl IntoIterator<Item = NewEvent>,
) -> Receipt {
    store.append(stream, expected, events).wait().expect("the append is accepted")
}

/// Appends with [`ExpectedVersion::Any`] and waits.
pub(crate) fn add(store: &EventStore, stream: &StreamName, events: impl IntoIterator<Item = NewEvent>) -> Receipt {
    put(store, stream, ExpectedVersion::Any, events)
}

/// The events of a read, none of which may be an error.
pub(crate) fn read(events: impl IntoIterator<Item = Result<RecordedEvent, Error>>) -> Vec<RecordedEvent> {
    events.into_iter().map(|event| event.expect("the event is there")).collect()
}

pub(crate) fn numbers(events: impl IntoIterator<Item = Result<RecordedEvent, Error>>) -> Vec<u64> {
    read(events).iter().map(number).collect()
}

pub(crate) fn versions(events: impl IntoIterator<Item = Result<RecordedEvent, Error>>) -> Vec<u64> {
    read(events).iter().map(|event| event.version().get()).collect()
}

pub(crate) fn positions(events: impl IntoIterator<Item = Result<RecordedEvent, Error>>) -> Vec<u64> {
    read(events).iter().map(|event| event.position().get()).collect()
}

/// The error a read gives first.
pub(crate) fn first_error(events: impl IntoIterator<Item = Result<RecordedEvent, Error>>) -> Error {
    let mut events = events.into_iter();
    let error = events.next().expect("the read says something").expect_err("the read fails");
    assert!(events.next().is_none(), "nothing follows an error");
    error
}

/// The conflict of an append that was refused by one.
pub(crate) fn conflict(outcome: Result<Receipt, AppendError>) -> Conflict {
    match outcome.expect_err("a conflict") {
        AppendError::Conflict(conflict) => conflict,
        AppendError::Store(error) => panic!("a conflict, not {error:?}"),
    }
}

/// The conflict where a stream is not at the version that was expected.
pub(crate) fn version_conflict(stream: &StreamName, expected: ExpectedVersion, actual: u64) -> Conflict {
    Conflict::Version { stream: stream.clone(), expected, actual: Version::new(actual) }
}

/// The trouble of an append that failed.
pub(crate) fn trouble(outcome: Result<Receipt, AppendError>) -> Error {
    match outcome.expect_err("trouble") {
        AppendError::Store(error) => error,
        AppendError::Conflict(conflict) => panic!("trouble, not {conflict}"),
    }
}

/// Whether a text holds all of these.
pub(crate) fn check_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{error}` should say `{part}`");
    }
}

/// Waits until something is so. Fails after a time no sound store takes.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a future to its end on this thread: an executor of one task.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        thread::park_timeout(PATIENCE);
        assert!(begun.elapsed() < PATIENCE, "nobody woke the task");
    }
}

/// How many events there are.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Count(pub(crate) u64);

impl Projection for Count {
    type Event = RecordedEvent;
    const NAME: &'static str = "count";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Count {
        Count(0)
    }

    fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) {
        self.0 += 1;
    }
}
