//! What keeping costs: writing segments anew without what may go, beside copying what stays; appends beside that; and a second
//! backup.
//!
//! `cargo bench --bench keeping` takes a million events, which take about a gigabyte below `target`; `-- --events N` another
//! number of them.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, StreamName};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const EVENTS_OF_A_GAME: u64 = 50;
/// So many games are played at once.
const AT_ONCE: u64 = 40;
const BATCH: u64 = 100;

fn event() -> NewEvent {
    let event = NewEvent::bytes("game_guess_processed", vec![b'x'; 256]);
    event.correlation("c".repeat(40)).actor("a".repeat(28)).tag("guild", 7)
}

fn game(number: u64) -> StreamName {
    StreamName::new(format!("game-{number:036}")).expect("a name")
}

/// Games of fifty events, forty of them at once.
fn fill(store: &EventStore, events: u64) {
    let mut written = 0;
    while written < events {
        let mut batch = store.batch().durability(Durability::Written);
        for number in written..(written + BATCH).min(events) {
            let round = number / (EVENTS_OF_A_GAME * AT_ONCE);
            batch = batch.append(&game(round * AT_ONCE + number % AT_ONCE), ExpectedVersion::Any, [event()]);
        }
        batch.commit().wait().expect("a receipt");
        written += BATCH;
    }
}

/// Every other game is finished.
fn finish(store: &EventStore, events: u64) -> u64 {
    let games = events / EVENTS_OF_A_GAME;
    for number in (0..games).step_by(2) {
        let batch =
            store.batch().tombstone(&game(number), ExpectedVersion::Any, "over").durability(Durability::Written);
        batch.commit().wait().expect("a receipt");
    }
    store.flush().expect("flushed");
    games.div_ceil(2) * EVENTS_OF_A_GAME
}

/// Reads so many bytes of the files in a directory, writes them to another one and syncs that; as often as it takes to have
/// copied them all.
fn copy_bytes(from: &Path, to: &Path, bytes: u64) -> Duration {
    let mut names: Vec<_> =
        fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    names.sort();
    let begun = Instant::now();
    let (mut left, mut buffer) = (bytes, vec![0; 1 << 20]);
    for (number, name) in names.iter().enumerate() {
        let mut source = File::open(name).expect("a file");
        let mut copy = File::create(to.join(number.to_string())).expect("a file");
        while left != 0 {
            let read = source.read(&mut buffer).expect("it is read");
            if read == 0 {
                break;
            }
            let read = read.min(usize::try_from(left).unwrap_or(usize::MAX));
            copy.write_all(&buffer[..read]).expect("it is written");
            left -= read as u64;
        }
        copy.sync_data().expect("it is synced");
    }
    begun.elapsed()
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().expect("a file").len() }
            },
        )
        .sum()
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

/// Microseconds that appends of eight threads take while eight others read, until it is said that it is enough.
fn appends_beside(store: &EventStore, is_enough: &(dyn Fn() -> bool + Sync)) -> Vec<f64> {
    thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                scope.spawn(move || {
                    let mut number = reader;
                    while !is_enough() {
                        number = (number * 7 + 1) % 1_000;
                        let stream = game(number * 2 + 1);
                        store.read(&stream).into_iter().for_each(|event| drop(event.expect("it is there")));
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                scope.spawn(move || {
                    let stream = game(1_000_000_000 + writer);
                    let mut times = Vec::new();
                    while !is_enough() {
                        let begun = Instant::now();
                        let batch = store.batch().append(&stream, ExpectedVersion::Any, [event()]);
                        batch.commit().wait().expect("a receipt");
                        times.push(begun.elapsed().as_secs_f64() * 1e6);
                    }
                    times
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().expect("it reads"));
        writers.into_iter().flat_map(|writer| writer.join().expect("it writes")).collect()
    })
}

fn main() {
    let asked = std::env::args().skip_while(|argument| argument != "--events").nth(1);
    let events: u64 = asked.map_or(1_000_000, |count| count.parse().expect("a number of events"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&root).expect("a directory");
    let root = tempfile::tempdir_in(root).expect("a directory");
    let path = root.path().join("bench.scorebook");
    let store = EventStore::open(&path).expect("the store opens");
    fill(&store, events);
    let going = finish(&store, events);
    println!("{events} events, {going} of them of finished streams");

    let backup = root.path().join("backup");
    let begun = Instant::now();
    let first = store.backup(&backup).expect("a backup");
    println!("backup of {} MiB: {:.2} s", first.bytes_copied() >> 20, begun.elapsed().as_secs_f64());
    fill_more(&store, events / 100);
    let begun = Instant::now();
    let second = store.backup(&backup).expect("a backup");
    let share = second.bytes_copied() as f64 / first.bytes_copied() as f64 * 100.0;
    println!("a second one after 1 % more: {share:.1} % of the bytes, {:.2} s", begun.elapsed().as_secs_f64());
    fs::remove_dir_all(&backup).expect("it is removed");

    let before = bytes_below(&path);
    let begun = Instant::now();
    let plan = store.compaction().plan().expect("a plan");
    let planned = begun.elapsed();
    // Appends are measured as long without it, before.
    let over = Instant::now() + Duration::from_secs(5);
    let mut alone = appends_beside(&store, &|| over < Instant::now());
    let is_over = AtomicBool::new(false);
    let mut applied = Duration::ZERO;
    let mut beside = thread::scope(|scope| {
        let compaction = scope.spawn(|| {
            let begun = Instant::now();
            let compacted = plan.apply().expect("it is done");
            applied = begun.elapsed();
            is_over.store(true, Ordering::Relaxed);
            compacted
        });
        let times = appends_beside(&store, &|| is_over.load(Ordering::Relaxed));
        println!("{:?}", compaction.join().expect("it compacts"));
        times
    });
    println!(
        "planned in {:.2} s, applied beside 8 writers and 8 readers in {:.2} s",
        planned.as_secs_f64(),
        applied.as_secs_f64()
    );
    let (p99_alone, p99_beside) = (quantile(&mut alone, 0.99), quantile(&mut beside, 0.99));
    println!(
        "appends of 8 threads beside 8 readers, p99: {p99_alone:.0} us without, {p99_beside:.0} us meanwhile: {:.2} times",
        p99_beside / p99_alone
    );
    println!("the directory: {} MiB before, {} MiB after", before >> 20, bytes_below(&path) >> 20);
    drop(store);

    // Once more with nothing beside it, and copying what stays in turns.
    let path = root.path().join("alone.scorebook");
    let store = EventStore::open(&path).expect("the store opens");
    fill(&store, events);
    finish(&store, events);
    let begun = Instant::now();
    let plan = store.compaction().plan().expect("a plan");
    let planned = begun.elapsed();
    let staying: u64 = plan.segments().iter().map(|segment| segment.bytes() - segment.bytes_going()).sum();
    let copies = root.path().join("copies");
    fs::create_dir(&copies).expect("a directory");
    let raw = copy_bytes(&path.join("log"), &copies, staying);
    let begun = Instant::now();
    let compacted = plan.apply().expect("it is done");
    let applied = begun.elapsed();
    let both = planned + applied;
    println!(
        "alone: planned in {:.2} s, applied in {:.2} s; copying the {} MiB that stay: {:.2} s; {:.2} of its speed, planning included {:.2}",
        planned.as_secs_f64(),
        applied.as_secs_f64(),
        staying >> 20,
        raw.as_secs_f64(),
        raw.as_secs_f64() / applied.as_secs_f64(),
        raw.as_secs_f64() / both.as_secs_f64(),
    );
    println!("{compacted:?}");
}

fn fill_more(store: &EventStore, events: u64) {
    for number in 0..events / BATCH {
        let mut batch = store.batch().durability(Durability::Written);
        for _ in 0..BATCH {
            batch = batch.append(&game(2_000_000_000 + number), ExpectedVersion::Any, [event()]);
        }
        batch.commit().wait().expect("a receipt");
    }
    store.flush().expect("flushed");
}
