//! What opening costs: the time from `EventStore::open` to the receipt of the first append, synced and waited for.
//!
//! `cargo bench --bench opening` opens a million events in 20 thousand streams, ten million in 200 thousand and ten
//! million in 20 thousand; `-- --events 1000000` only what has so many; `-- --quick` a hundred thousand in 2 thousand.
//! Each store is made three times: closed, killed after being idle for a while, and killed right after it acknowledged
//! a batch as written. An opening changes the directory, so each has a process and a directory of its own: a copy that
//! was synced, and that copying left in the page cache.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

mod many;

use many::{event, stream_of};
use scorebook::{CloseState, Durability, EventStore, ExpectedVersion};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each directory is opened.
const ROUNDS: usize = 5;

/// Longer than the store needs to sync what was only written and to write down where the log ends.
const IDLE: Duration = Duration::from_secs(3);

/// How the store was left that is opened.
const ENDS: [&str; 3] = ["closed", "killed idle", "killed at work"];

struct Case {
    events: u64,
    streams: u64,
    /// How long opening may take, without what a kill adds.
    asked_ms: Option<u64>,
}

/// Fills a store in batches of 100 and leaves it as told. Begun as a process of its own.
fn fill(path: &Path, events: u64, streams: u64, end: &str) {
    let store = EventStore::options().durability(Durability::Written).open(path).expect("a store");
    many::fill(&store, events, streams);
    match end {
        "closed" => store.close().expect("a close"),
        "killed idle" => std::thread::sleep(IDLE),
        _ => {}
    }
    println!("filled");
    if end != "closed" {
        std::process::abort();
    }
}

/// Opens a store and appends one event to a stream it has; prints how many microseconds passed until it was open, until
/// the event was accepted, and how many events opening copied. Begun as a process of its own.
fn open(path: &Path, events: u64, streams: u64, end: &str) {
    let (name, event) = (stream_of(0, streams), event(events));
    let begun = Instant::now();
    let store = EventStore::open(path).expect("a store");
    let opened = begun.elapsed();
    let receipt = store.append(&name, ExpectedVersion::StreamExists, [event]).wait().expect("a receipt");
    let accepted = begun.elapsed();
    assert_eq!(receipt.last_position().get(), events + 1);
    assert_eq!(receipt.durability(), Durability::Synced);
    let report = store.recovery_report();
    assert_eq!(report.close_state() == CloseState::Clean, end == "closed");
    println!("{} {} {}", opened.as_micros(), accepted.as_micros(), report.copied_events());
}

/// Has a process of its own do one of the two, and gives what it printed.
fn process(act: &str, path: &Path, case: &Case, end: &str) -> String {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.arg(act).arg(path).args([&case.events.to_string(), &case.streams.to_string(), end]);
    let output = command.stderr(Stdio::inherit()).output().expect("a process");
    assert_eq!(output.status.success(), act == "open" || end == "closed", "{act} of a store that is {end}");
    String::from_utf8(output.stdout).expect("text")
}

/// Copies a directory and syncs the copy: the opening that is measured shall wait for no writing but its own.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // Read and written, so that the file system lets the two share nothing that an append would pay for.
            fs::write(&target, fs::read(&path).expect("a file")).expect("a copy");
            File::open(&target).and_then(|file| file.sync_all()).expect("a sync");
        }
    }
    File::open(to).and_then(|directory| directory.sync_all()).expect("a sync");
}

/// Bytes of the segments, and of what is derived from them.
fn sizes(path: &Path) -> (u64, u64) {
    let (mut log, mut derived) = (0, 0);
    for directory in ["log", "index"] {
        for entry in fs::read_dir(path.join(directory)).into_iter().flatten() {
            let entry = entry.expect("an entry");
            let bytes = entry.metadata().expect("a size").len();
            match entry.path().extension() {
                Some(extension) if extension == "log" => log += bytes,
                Some(extension) if directory == "log" && extension != "idx" => {}
                _ => derived += bytes,
            }
        }
    }
    (log, derived)
}

/// The middle one, the least and the most, in milliseconds.
fn spread(mut micros: Vec<u64>) -> [f64; 3] {
    micros.sort_unstable();
    [micros[micros.len() / 2], micros[0], micros[micros.len() - 1]].map(|micros| micros as f64 / 1e3)
}

fn measure(case: &Case, end: &str) {
    fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let (filled, original, opened) =
        (directory.path().join("filled"), directory.path().join("original"), directory.path().join("opened"));
    assert_eq!(process("fill", &filled, case, end), "filled\n");
    // What the filled one left to be written to the disk goes with it.
    copy(&filled, &original);
    fs::remove_dir_all(&filled).expect("a removal");
    let (log, derived) = sizes(&original);
    let (mut open, mut accepted, mut copied) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        copy(&original, &opened);
        let printed = process("open", &opened, case, end);
        let figures: Vec<u64> = printed.split_whitespace().map(|figure| figure.parse().expect("a figure")).collect();
        open.push(figures[0]);
        accepted.push(figures[1]);
        copied = figures[2];
        fs::remove_dir_all(&opened).expect("a removal");
    }
    let [open, ..] = spread(open);
    let [median, least, most] = spread(accepted);
    let asked = match case.asked_ms {
        Some(asked) if end == "closed" => asked.to_string(),
        Some(asked) => format!("{asked} + tail"),
        None => "-".to_owned(),
    };
    let (events, streams, log, derived) = (case.events, case.streams, log as f64 / 1e6, derived as f64 / 1e6);
    print!("{events:>10} {streams:>8}  {end:14} {asked:>9} {median:>9.1} {least:>9.1} {most:>9.1} ");
    println!("{open:>9.1} {copied:>7} {log:>9.1} {derived:>10.1}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [act @ ("fill" | "open"), path, events, streams, end] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let (events, streams) = (events.parse().expect("a number"), streams.parse().expect("a number"));
        let act = if act == "fill" { fill } else { open };
        return act(Path::new(path), events, streams, end);
    }
    let told = arguments.iter().position(|argument| argument == "--events").and_then(|at| arguments.get(at + 1));
    let told: Option<u64> = told.map(|text| text.parse().expect("a number of events"));
    let is_quick = arguments.iter().any(|argument| argument == "--quick" || argument == "--test");
    let cases: &[Case] = match is_quick {
        true => &[Case { events: 100_000, streams: 2_000, asked_ms: None }],
        false => &[
            Case { events: 1_000_000, streams: 20_000, asked_ms: Some(5) },
            Case { events: 10_000_000, streams: 200_000, asked_ms: Some(25) },
            Case { events: 10_000_000, streams: 20_000, asked_ms: None },
        ],
    };
    println!(
        "From `EventStore::open` until the first append, of one event, synced and waited for, is accepted: the\n\
        median, the least and the most of {ROUNDS} openings, and the median until `open` returns. Each opening has a\n\
        process of its own and a new copy of the directory, synced and warm in the page cache. The store holds events\n\
        of 60 bytes payload with a tag or two, over streams chosen at random, written in batches of 100.\n\
        A kill adds a tail to what is asked: the scan of the active segment, the copy of the events that nothing\n\
        proves durable, and its syncs. Sizes are those of the files: segments with the room made ahead, and what is\n\
        derived from them.\n\n\
        {:>10} {:>8}  {:14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>10}",
        "events",
        "streams",
        "left",
        "asked ms",
        "median ms",
        "least",
        "most",
        "open ms",
        "copied",
        "log MB",
        "derived MB"
    );
    for case in cases.iter().filter(|case| told.is_none_or(|told| told == case.events)) {
        for end in ENDS {
            measure(case, end);
        }
    }
}
