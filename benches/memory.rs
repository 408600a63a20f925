//! What memory a store holds: the bytes that are allocated after writing, and after closing and reopening.
//!
//! `cargo bench --bench memory` writes one and ten million events over 20 thousand, 200 thousand and 2 million streams;
//! `-- --events 1000000` only so many; `-- --quick` a hundred thousand and a million over 2 thousand. Each case has a
//! process of its own, which holds nothing but the store.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

mod many;

use cap::Cap;
use many::{event, fill, stream_of};
use scorebook::{Durability, EventStore, ExpectedVersion};
use std::alloc::System;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Counts what the program asks of the system's allocator and has not given back.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const MIB: u64 = 1024 * 1024;

/// What is asked: so much for each stream beside its name, and so much for everything else, however many the events.
const ASKED_OF_STREAM: u64 = 100;
const ASKED_OF_STORE: u64 = 32 * MIB;

/// The store is idle when it has taken and given back nothing for this long; it syncs what was only written sooner.
const IDLE: Duration = Duration::from_secs(2);
const IDLE_WAIT_MAX: Duration = Duration::from_secs(300);

/// Bytes allocated once the store is idle.
fn allocated_when_idle() -> usize {
    let begun = Instant::now();
    let mut allocated = (ALLOCATOR.allocated(), begun);
    while allocated.1.elapsed() < IDLE {
        assert!(begun.elapsed() < IDLE_WAIT_MAX, "the store does not become idle");
        std::thread::sleep(Duration::from_millis(20));
        let now = ALLOCATOR.allocated();
        if now != allocated.0 {
            allocated = (now, Instant::now());
        }
    }
    allocated.0
}

/// Bytes of this process's maps of files in a directory, where the system tells.
fn mapped(directory: &Path) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let ours = maps.lines().filter(|line| line.contains(&*directory.to_string_lossy()));
    let bytes = ours.map(|line| {
        let (first, end) = line.split_whitespace().next()?.split_once('-')?;
        Some(u64::from_str_radix(end, 16).ok()? - u64::from_str_radix(first, 16).ok()?)
    });
    bytes.sum()
}

/// Prints what is held beyond what the process held before, and what is mapped; the system may not tell the latter.
fn tell(before: usize, directory: &Path) {
    let held = allocated_when_idle() - before;
    println!("{held} {}", mapped(directory).map_or("-".to_owned(), |mapped| mapped.to_string()));
}

/// Fills a store in batches of 100, closes and reopens it; tells what is held after each, and last how many streams
/// there are and the bytes of their names. Begun as a process of its own.
fn hold(directory: &Path, events: u64, streams: u64) {
    let path = directory.join("store");
    let options = EventStore::options().durability(Durability::Written);
    let before = ALLOCATOR.allocated();
    let store = options.open(&path).expect("a store");
    fill(&store, events, streams);
    tell(before, directory);
    store.close().expect("a close");
    drop(store);
    let store = options.open(&path).expect("a store");
    let name = stream_of(0, streams);
    store.append(&name, ExpectedVersion::StreamExists, [event(events)]).wait().expect("a receipt");
    tell(before, directory);
    let list = store.streams().list().expect("a list");
    println!("{} {}", list.len(), list.iter().map(|stream| stream.name().as_str().len()).sum::<usize>());
}

/// Measures one case in a process of its own and prints its rows.
fn measure(events: u64, streams: u64) {
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let path = directory.path().canonicalize().expect("a path");
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.arg("hold").arg(path).args([events.to_string(), streams.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().expect("a process");
    assert!(output.status.success(), "a case failed");
    let printed = String::from_utf8(output.stdout).expect("text");
    let figures: Vec<Option<u64>> = printed.split_whitespace().map(|figure| figure.parse().ok()).collect();
    let [Some(written), mapped_after, Some(reopened), mapped_again, Some(streams), Some(names)] = figures[..] else {
        panic!("figures are missing: {printed}");
    };
    let asked = ASKED_OF_STREAM * streams + names + ASKED_OF_STORE;
    for (state, held, mapped) in [("written", written, mapped_after), ("reopened", reopened, mapped_again)] {
        println!(
            "{events:>10} {streams:>8}  {state:9} {:>10.1} {:>10.1} {:>10.1} {:>7.2} {:>13.0} {:>10}",
            held as f64 / MIB as f64,
            names as f64 / MIB as f64,
            asked as f64 / MIB as f64,
            held as f64 / asked as f64,
            held.saturating_sub(names) as f64 / streams as f64,
            mapped.map_or("-".to_owned(), |mapped| format!("{:.1}", mapped as f64 / MIB as f64)),
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["hold", directory, events, streams] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return hold(Path::new(directory), events.parse().expect("a number"), streams.parse().expect("a number"));
    }
    let told = arguments.iter().position(|argument| argument == "--events").and_then(|at| arguments.get(at + 1));
    let told: Option<u64> = told.map(|text| text.parse().expect("a number of events"));
    let is_quick = arguments.iter().any(|argument| argument == "--quick" || argument == "--test");
    let events = if is_quick { vec![100_000, 1_000_000] } else { vec![1_000_000, 10_000_000] };
    let events = told.map_or(events, |told| vec![told]);
    let streams: &[u64] = if is_quick { &[2_000] } else { &[20_000, 200_000, 2_000_000] };
    println!(
        "Bytes the store has allocated when it is idle, after writing all, and after closing, reopening and one\n\
        append: as asked for, without what the allocator adds. Maps of files are not allocated and stand apart. Asked\n\
        are {ASKED_OF_STREAM} bytes a stream, the names, and {} MiB, whatever the number of events. Bytes/stream are\n\
        all that is held, without the names, divided by the streams. The events have 60 bytes payload and a tag or\n\
        two, over streams chosen at random, written in batches of 100; streams are those that met an event. Sizes are\n\
        in MiB.\n\n\
        {:>10} {:>8}  {:9} {:>10} {:>10} {:>10} {:>7} {:>13} {:>10}",
        ASKED_OF_STORE / MIB,
        "events",
        "streams",
        "state",
        "held",
        "names",
        "asked",
        "ratio",
        "bytes/stream",
        "mapped"
    );
    for events in events {
        for streams in streams {
            measure(events, *streams);
        }
    }
}
