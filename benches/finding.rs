//! What finding costs: appends with tags, under a condition and under a key, and reads of a few events among many.
//!
//! `cargo bench --bench finding` prints a table over a million events; `-- --events 10000000` over ten; `-- --quick` over
//! a hundred thousand. The kinds of appends take turns in one process, so that what the machine does meanwhile hits all.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, Position, Query, StreamName};
use std::path::Path;
use std::time::{Duration, Instant};

fn event() -> NewEvent {
    NewEvent::bytes("game_guess_processed", vec![b'x'; 256]).correlation("c".repeat(40)).actor("a".repeat(28))
}

fn stream(number: u64) -> StreamName {
    StreamName::new(format!("game-{number:036}")).expect("a name")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Fills a store: one event in ten is of one guild, one in a thousand of another.
fn fill(store: &EventStore, names: &[StreamName], events: u64) {
    for first in (0..events).step_by(100) {
        let mut batch = store.batch();
        for number in first..first + 100 {
            let guild = match number {
                number if number.is_multiple_of(1_000) => "rare".to_owned(),
                number if number.is_multiple_of(10) => "tenth".to_owned(),
                number => format!("other-{}", number % 50),
            };
            let name = &names[(number * 7_919) as usize % names.len()];
            batch = batch.append(name, ExpectedVersion::Any, [event().tag("guild", guild)]);
        }
        batch.commit().wait().expect("a receipt");
    }
    store.flush().expect("a flush");
}

/// How long one append of each kind takes, in microseconds: alone, with four tags, under a condition on a tag at the head,
/// under a key that nobody had, and under a condition on a tag that is nowhere in the whole log.
fn appends(store: &EventStore, names: &[StreamName], rounds: u64) {
    let kinds = [
        "alone",
        "with 4 tags",
        "unless a tag is there at the head",
        "once, with a fresh key",
        "unless a tag is there that nothing has",
    ];
    let mut took: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    const SLICE: u64 = 2_000;
    let mut number = 0;
    for _ in 0..rounds {
        for (kind, took) in took.iter_mut().enumerate() {
            let head = store.head().expect("a head");
            let begun = Instant::now();
            for _ in 0..SLICE {
                number += 1;
                let name = &names[(number * 7_919) as usize % names.len()];
                let event = match kind {
                    1 => {
                        event().tag("guild", "new").tag("player", number % 1_000).tag("team", number % 100).tag("n", 1)
                    }
                    _ => event(),
                };
                let batch = store.batch().append(name, ExpectedVersion::Any, [event]);
                let batch = match kind {
                    2 => batch.unless(Query::all().tag("player", 8_812).after(Position::new(head.get()))),
                    3 => batch.once(format!("interaction-{number}")),
                    4 => batch.unless(Query::all().tag("player", format!("nobody-{number}"))),
                    _ => batch,
                };
                batch.commit().wait().expect("a receipt");
            }
            took.push(begun.elapsed().as_secs_f64() * 1e6 / SLICE as f64);
        }
    }
    println!("{:44} {:>10} {:>10} {:>8}", "one append, written", "µs", "µs more", "ratio");
    let alone = median(took[0].clone());
    for (kind, took) in kinds.iter().zip(took) {
        let each = median(took);
        println!("{kind:44} {each:>10.2} {:>10.2} {:>8.2}", each - alone, each / alone);
    }
}

/// How many of the wanted events are read in a second.
fn reads(store: &EventStore) {
    println!("{:44} {:>10} {:>14}", "events of a tag, verifying", "events", "a second");
    for guild in ["tenth", "rare"] {
        let begun = Instant::now();
        let (mut rounds, mut count) = (0, 0);
        while begun.elapsed() < Duration::from_secs(2) {
            let read = store.read_all().matching(Query::all().tag("guild", guild));
            count = read.iter().map(|event| event.expect("an event").data().len()).filter(|len| *len == 256).count();
            rounds += count;
        }
        println!("{guild:44} {count:>10} {:>14.0}", rounds as f64 / begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    let count = store.read_all().matching(Query::all().of_type("game_guess_processed")).count().expect("a number");
    println!("{:44} {count:>10} {:>11.1} ms", "counting a type", begun.elapsed().as_secs_f64() * 1e3);
}

/// The same right after the caches of the system were dropped, which takes the rights to do so.
fn cold_reads(path: &Path) {
    println!("{:44} {:>10} {:>14}", "the same with caches dropped", "events", "a second");
    for guild in ["tenth", "rare"] {
        // Nothing is dropped that is mapped or not written back.
        rustix::fs::sync();
        if std::fs::write("/proc/sys/vm/drop_caches", "3").is_err() {
            println!("{guild:44} skipped: the caches of the system cannot be dropped");
            continue;
        }
        let store = EventStore::options().open(path).expect("the store");
        let begun = Instant::now();
        let read = store.read_all().matching(Query::all().tag("guild", guild));
        let count = read.iter().map(|event| event.expect("an event").data().len()).filter(|len| *len == 256).count();
        println!("{guild:44} {count:>10} {:>14.0}", count as f64 / begun.elapsed().as_secs_f64());
        store.close().expect("closing");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let told = arguments.iter().position(|argument| argument == "--events").and_then(|at| arguments.get(at + 1));
    let is_quick = arguments.iter().any(|argument| argument == "--quick" || argument == "--test");
    let default = if is_quick { 100_000 } else { 1_000_000 };
    let events = told.map_or(default, |text| text.parse().expect("a number of events"));
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let store = EventStore::options().durability(Durability::Written);
    let store = store.open(directory.path().join("store")).expect("a store");
    let names: Vec<StreamName> = (0..events / 50).map(stream).collect();
    fill(&store, &names, events);
    println!("{events} events in {} streams", names.len());
    appends(&store, &names, if is_quick { 3 } else { 9 });
    reads(&store);
    store.close().expect("closing");
    cold_reads(&directory.path().join("store"));
}
