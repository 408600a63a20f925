//! The targets as ratios: the store and the bare system calls on the same bytes, alternating in one process.
//!
//! `cargo bench --bench ratios` prints a table; `-- --quick` takes a tenth of the time. Raw is what a log without a
//! store would do: `pwrite` into a zero-filled, warm file at the offsets the store would use, and `fdatasync`.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, StreamName};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The event of the comparisons: 256 bytes payload, 100 bytes metadata, a type of 20 and a stream name of 41 characters.
fn event() -> NewEvent {
    NewEvent::bytes("game_guess_processed", vec![b'x'; 256]).correlation("c".repeat(40)).actor("a".repeat(28))
}

fn stream(number: u64) -> StreamName {
    StreamName::new(format!("game-{number:036}")).expect("a name")
}

/// What one event takes in the log, and what a batch adds.
const RECORD: usize = 64 + 41 + 20 + 100 + 256;
const BATCH: usize = 48;

struct Raw {
    file: File,
    offset: u64,
    bytes: Vec<u8>,
}

const RAW_SIZE: u64 = 64 * 1024 * 1024;

impl Raw {
    fn new(directory: &Path, events: usize) -> Raw {
        let path = directory.join("raw");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).expect("a file");
        let zeros = vec![0; 64 * 1024];
        for piece in 0..RAW_SIZE / zeros.len() as u64 {
            file.write_all_at(&zeros, piece * zeros.len() as u64).expect("room");
        }
        file.sync_all().expect("a sync");
        Raw { file, offset: 0, bytes: vec![b'r'; (BATCH + events * RECORD).next_multiple_of(8)] }
    }

    fn append(&mut self, is_synced: bool) {
        if RAW_SIZE < self.offset + self.bytes.len() as u64 {
            self.offset = 0;
        }
        self.file.write_all_at(&self.bytes, self.offset).expect("a write");
        self.offset += self.bytes.len() as u64;
        if is_synced {
            self.file.sync_data().expect("a sync");
        }
    }
}

/// Touches as much memory as the page cache will want. On a virtual machine the first touch of a page that the guest has
/// never used is a fault of the host, ten times as slow as the write itself; a machine that has run for a while has none.
fn touch_memory() {
    let mut pieces: Vec<Vec<u8>> = (0..6 * 1024).map(|_| vec![1; 1024 * 1024]).collect();
    std::hint::black_box(&mut pieces);
}

/// How often `work` can be done in a second, each doing counting for `unit`.
fn rate(unit: u64, limit: Duration, mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < limit {
        work();
        done += unit;
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(work: &str, store: &[f64], raw: &[f64]) {
    let ratio = median(store.iter().zip(raw).map(|(store, raw)| store / raw).collect());
    println!("{work:44} {:>12.0} {:>12.0} {ratio:>8.2}", median(store.to_vec()), median(raw.to_vec()));
}

/// One thread that appends and waits, beside the bare calls.
fn one_thread(work: &str, events: usize, durability: Durability, slice: Duration) {
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let store = EventStore::options().durability(durability).open(directory.path().join("store")).expect("a store");
    let mut raw = Raw::new(directory.path(), events);
    let names: Vec<StreamName> = (0..1000).map(stream).collect();
    let mut next = 0;
    let mut append = || {
        next += 1;
        let batch: Vec<NewEvent> = (0..events).map(|_| event()).collect();
        store.append(&names[next % names.len()], ExpectedVersion::Any, batch).wait().expect("a receipt");
    };
    rate(1, slice, &mut append);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        ours.push(rate(events as u64, slice, &mut append));
        bare.push(rate(events as u64, slice, || raw.append(durability == Durability::Synced)));
    }
    row(work, &ours, &bare);
}

/// Many threads that append and wait, beside the bare calls of one.
fn many_threads(work: &str, threads: u64, events: usize, slice: Duration) {
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let store = EventStore::open(directory.path().join("store")).expect("a store");
    let mut raw = Raw::new(directory.path(), 1);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let begun = Instant::now();
        let done: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let store = store.clone();
                    scope.spawn(move || {
                        let name = stream(thread);
                        let mut done = 0;
                        while begun.elapsed() < slice * 2 {
                            let batch: Vec<NewEvent> = (0..events).map(|_| event()).collect();
                            store.append(&name, ExpectedVersion::Any, batch).wait().expect("a receipt");
                            done += events as u64;
                        }
                        done
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("a count")).sum()
        });
        ours.push(done as f64 / begun.elapsed().as_secs_f64());
        bare.push(rate(1, slice, || raw.append(true)));
    }
    row(work, &ours, &bare);
}

/// One thread with many appends in flight.
fn in_flight(work: &str, count: usize, slice: Duration) {
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let store = EventStore::open(directory.path().join("store")).expect("a store");
    let mut raw = Raw::new(directory.path(), 1);
    let names: Vec<StreamName> = (0..1000).map(stream).collect();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        ours.push(rate(count as u64, slice * 2, || {
            let pending: Vec<_> = (0..count)
                .map(|index| store.append(&names[index % names.len()], ExpectedVersion::Any, [event()]))
                .collect();
            for receipt in pending {
                receipt.wait().expect("a receipt");
            }
        }));
        bare.push(rate(1, slice, || raw.append(true)));
    }
    row(work, &ours, &bare);
}

/// Reads, beside a copy of the same bytes out of the page cache.
fn reads(slice: Duration, events: u64) {
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let path = directory.path().join("store");
    let store = EventStore::options().durability(Durability::Written).open(&path).expect("a store");
    let names: Vec<StreamName> = (0..events / 50).map(stream).collect();
    let mut next = 0;
    for _ in 0..events / 100 {
        let mut batch = store.batch();
        for _ in 0..100 {
            batch = batch.append(&names[next * 7919 % names.len()], ExpectedVersion::Any, [event()]);
            next += 1;
        }
        batch.commit().wait().expect("a receipt");
    }
    store.flush().expect("a flush");
    let begun = Instant::now();
    let mut bytes = 0;
    let mut rounds = 0;
    while begun.elapsed() < slice * 4 {
        for event in store.read_all() {
            bytes += event.expect("an event").data().len();
        }
        rounds += 1;
    }
    let per_second = (rounds * events) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{:44} {per_second:>12.0}  ({} MB of payload a second)",
        "read all, verifying",
        (per_second * 256.0 / 1e6) as u64
    );
    assert_eq!(bytes as u64, rounds * events * 256);
    let mut number = 0;
    let streams = rate(1, slice * 2, || {
        number = (number + 7) % names.len();
        let count = store.read(&names[number]).into_iter().filter(Result::is_ok).count();
        assert_eq!(count, 50);
    });
    println!("{:44} {:>12.1} µs", "one stream of 50 scattered events, verifying", 1e6 / streams);
    let points = rate(1, slice, || {
        number = (number + 7) % names.len();
        store.event(&names[number], scorebook::Version::new(25)).expect("an event");
    });
    println!("{:44} {:>12.2} µs", "one event by stream and version, verifying", 1e6 / points);
    let refused = rate(1, slice, || {
        let answer = store.append(&names[5], ExpectedVersion::NoStream, [event()]).wait();
        assert!(answer.is_err());
    });
    println!("{:44} {:>12.2} µs", "a refused append", 1e6 / refused);
    store.close().expect("a close");
    drop(store);
    let begun = Instant::now();
    let store = EventStore::open(&path).expect("a store");
    store.append(&names[0], ExpectedVersion::Any, [event()]).wait().expect("a receipt");
    println!("{:44} {:>12.1} ms", format!("open {events} events, first append"), begun.elapsed().as_secs_f64() * 1e3);
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let slice = Duration::from_millis(if is_quick { 60 } else { 600 });
    let is_chosen =
        |name: &str| std::env::args().skip(1).filter(|a| !a.starts_with("--")).all(|chosen| name.contains(&chosen));
    std::fs::create_dir_all("target").expect("the target directory");
    touch_memory();
    println!("{:44} {:>12} {:>12} {:>8}", "events a second", "store", "raw", "ratio");
    if is_chosen("synced-1") {
        one_thread("synced, one event, 1 thread", 1, Durability::Synced, slice);
    }
    if is_chosen("synced-100") {
        one_thread("synced, batches of 100, 1 thread", 100, Durability::Synced, slice);
    }
    if is_chosen("written-1") {
        one_thread("written, one event, 1 thread", 1, Durability::Written, slice);
    }
    if is_chosen("written-100") {
        one_thread("written, batches of 100, 1 thread", 100, Durability::Written, slice);
    }
    if is_chosen("threads-8") {
        many_threads("synced, one event, 8 threads (raw: 1 thread)", 8, 1, slice);
    }
    if is_chosen("threads-64") {
        many_threads("synced, one event, 64 threads (raw: 1)", 64, 1, slice);
    }
    if is_chosen("threads-512") {
        many_threads("synced, batches of 512, 64 threads (raw: 1)", 64, 512, slice);
    }
    if is_chosen("in-flight") {
        in_flight("synced, 1,000 in flight, 1 thread (raw: 1)", 1000, slice);
    }
    if is_chosen("read") {
        reads(slice, if is_quick { 100_000 } else { 1_000_000 });
    }
}
