//! Golden directories: logs of every released format, which open for ever and say the same.
//!
//! `tests/golden/v1/` was written once by the ignored test below; beside each log `expected.txt` has the events in it, and
//! `facts.txt` whatever else it says.

use super::other_reader::all_kinds;
use crate::model::options;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    Codec, Durability, EventId, EventStore, ExpectedVersion, ExportedRecord, NewEvent, NewState, StreamName, Timestamp,
    Version, inspect, verify,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn append(store: &EventStore, stream: &str, events: Vec<NewEvent>) {
    store.append(&name(stream), ExpectedVersion::Any, events).wait().expect("a receipt");
}

/// One line for each event, with everything that is known of it.
fn dump(store: &EventStore) -> String {
    let mut text = String::new();
    for event in store.read_all() {
        let event = event.expect("a golden event");
        let tags: Vec<String> = event.tags().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
        let occurred = event.occurred().map(Timestamp::nanos);
        let data: String =
            event.data().iter().take(64).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
        writeln!(
            text,
            "{} {:?}@{} id={} type={} schema={} codec={:?} time={} occurred={occurred:?} epoch={} tags=[{}] metadata={} data={}:{data}",
            event.position(),
            event.stream(),
            event.version(),
            event.id(),
            event.event_type(),
            event.schema(),
            event.codec(),
            event.time().nanos(),
            event.epoch(),
            tags.join(","),
            event.metadata_json(),
            event.data().len(),
        )
        .expect("writing into a string");
    }
    text
}

/// One line for everything else that a log says.
fn dump_facts(store: &EventStore) -> String {
    let mut text = String::new();
    for record in store.export().expect("an export") {
        if let ExportedRecord::Fact(fact) = record.expect("a record") {
            writeln!(text, "{}", fact.to_json()).expect("writing into a string");
        }
    }
    text
}

fn json(event_type: &str, number: u32) -> NewEvent {
    NewEvent::json(event_type, &BTreeMap::from([("number", number)])).expect("JSON")
}

/// Closed after a session that went on behind a clean end.
fn clean() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "game-1", vec![json("game_started", 1), json("guess_made", 2)]);
    append(&store, "game-2", vec![json("game_started", 3)]);
    store.close().expect("closing");
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "game-1", vec![json("game_won", 4)]);
    disk.advance(Duration::from_millis(60));
    store.keep_house();
    append(&store, "board-1", vec![json("scored", 5)]);
    store.close().expect("closing");
    disk
}

/// Power lost: a batch that is there in part.
fn torn() -> SimulatedDisk {
    let disk = SimulatedDisk::new(2);
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "game-1", vec![json("game_started", 1)]);
    append(&store, "game-1", vec![json("guess_made", 2), json("guess_made", 3)]);
    let long = (0..5).map(|number| NewEvent::bytes("recorded", vec![number; 700]));
    let pending = store.batch().durability(Durability::Written).append(&name("game-2"), ExpectedVersion::Any, long);
    pending.commit().wait().expect("a receipt");
    let sectors = disk.describe_pending();
    let middle = sectors.iter().rposition(|line| line.contains("log/")).expect("pending sectors") - 2;
    disk.crash(&CrashChoice::AllBut(middle))
}

/// Everything an event can have, over several segments, killed once in between.
fn rich() -> SimulatedDisk {
    let disk = SimulatedDisk::new(3);
    let store = options().open_simulated(&disk).expect("a store");
    let given = EventId::from_bytes([0x67; 16]);
    let rich = json("game_started", 1)
        .schema(7)
        .id(given)
        .occurred(Timestamp::from_nanos(-1_234_567_890))
        .tag("spieler", "Zoë")
        .tag("emoji", "🎲")
        .tag("empty", "")
        .correlation("interaktion-1")
        .causation("событие")
        .actor("用户")
        .meta("nested", &BTreeMap::from([("a", vec![1.5, 2.0])]));
    append(&store, "spiel-größe-🎲", vec![rich, NewEvent::bytes("raw", vec![0, 255, 10, 13])]);
    append(&store, "e\u{301}", vec![NewEvent::bytes("empty", Vec::new())]);
    append(&store, "\u{e9}", vec![NewEvent::with_codec("packed", Codec::Other(3), vec![1, 2, 3])]);
    let batch = store
        .batch()
        .append(&name("game-1"), ExpectedVersion::NoStream, [json("game_started", 1)])
        .append(&name("board-1"), ExpectedVersion::NoStream, [json("scored", 2)])
        .append(&name("game-1"), ExpectedVersion::Any, [json("guess_made", 3)]);
    batch.commit().wait().expect("a receipt");
    append(&store, "big-1", vec![NewEvent::bytes("filled", vec![b'a'; 24_000])]);
    append(&store, "big-1", vec![NewEvent::bytes("filled", vec![b'b'; 24_000])]);
    append(&store, "game-1", vec![json("game_won", 4)]);
    let disk = disk.kill();
    drop(store);
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "game-1", vec![json("game_reviewed", 5)]);
    store.close().expect("closing");
    disk
}

/// Compacted: a segment that stands for two, of which a writer was killed in the first, one that stands for itself, and one
/// behind them.
fn compacted() -> SimulatedDisk {
    let disk = SimulatedDisk::new(4);
    let filled = |of: u8, size: usize| vec![NewEvent::bytes("filled", vec![of; size])];
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "game-1", vec![json("game_started", 1).tag("spieler", "Zoë")]);
    append(&store, "gone-1", filled(b'a', 9_000));
    let batch = store
        .batch()
        .append(&name("gone-1"), ExpectedVersion::Any, [json("guess_made", 2)])
        .append(&name("game-1"), ExpectedVersion::Any, [json("guess_made", 3)])
        .once("interaction-1");
    batch.commit().wait().expect("a receipt");
    let disk = disk.kill();
    drop(store);
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "gone-1", filled(b'b', 9_000));
    append(&store, "kept-1", filled(b'+', 4_000));
    store.batch().set_metadata(&name("game-1"), None, &"said").commit().wait().expect("said");
    store.close().expect("closing");
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "board-1", vec![json("scored", 4), json("scored", 5), json("scored", 6)]);
    append(&store, "gone-1", filled(b'c', 9_000));
    append(&store, "kept-1", filled(b'd', 27_000));
    append(&store, "gone-1", filled(b'e', 1_000));
    append(&store, "game-1", vec![json("game_won", 7)]);
    append(&store, "kept-1", filled(b'f', 20_000));
    store.tombstone(&name("gone-1"), ExpectedVersion::Any, "over").wait().expect("it is finished");
    store.truncate_before(&name("board-1"), Version::new(3)).wait().expect("it begins later");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    append(&store, "game-1", vec![json("game_reviewed", 8)]);
    store.close().expect("closing");
    disk
}

/// Streams that begin with a state: one whose events were removed, one whose state has taken the place of another, and one that has
/// lost its state again.
fn carried() -> SimulatedDisk {
    let disk = SimulatedDisk::new(5);
    let filled = |of: u8, size: usize| vec![NewEvent::bytes("filled", vec![of; size])];
    let carry = |store: &EventStore, stream: &str, state: NewState| {
        store.truncate_carrying(&name(stream), state).wait().expect("it is carried");
    };
    let sum = |version, sum: u32| NewState::json("sum", Version::new(version), &sum).expect("JSON");
    let store = options().open_simulated(&disk).expect("a store");
    for stream in ["account-1", "account-2", "account-3"] {
        append(&store, stream, vec![json("paid", 1), json("paid", 2), json("paid", 3), json("paid", 4)]);
    }
    carry(&store, "account-1", sum(2, 3));
    carry(&store, "account-2", sum(3, 6));
    carry(&store, "account-3", NewState::bytes("packed.sum", Version::new(1), [0, 255]));
    append(&store, "filling", filled(b'a', 28_000));
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    carry(&store, "account-2", sum(3, 60).schema(2));
    store.truncate_before(&name("account-3"), Version::new(3)).wait().expect("it begins later");
    append(&store, "account-1", vec![json("paid", 5)]);
    append(&store, "filling", filled(b'b', 40_000));
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    carry(&store, "account-1", sum(5, 15));
    append(&store, "account-1", vec![json("paid", 6)]);
    store.close().expect("closing");
    disk
}

/// Everything that a log can say besides events, over several segments and sessions.
fn facts() -> SimulatedDisk {
    let disk = SimulatedDisk::new(6);
    all_kinds(&disk, &options()).close().expect("closing");
    disk
}

/// What is derived from the log is no part of the format.
fn is_derived(path: &str) -> bool {
    !path.ends_with(".log") && path != "live"
}

#[test]
#[ignore = "writes the golden directories of this format"]
fn write_the_golden_directories() {
    let directories = [
        ("clean", clean()),
        ("torn", torn()),
        ("rich", rich()),
        ("compacted", compacted()),
        ("carried", carried()),
        ("facts", facts()),
    ];
    for (name, disk) in directories {
        let directory = golden().join(name);
        // What was released is never written again.
        let log = disk.contents().into_iter().filter(|(path, _)| !is_derived(path) && !directory.exists());
        for (path, bytes) in log.collect::<Vec<_>>() {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, bytes).expect("a file");
        }
        let scratch = tempfile::tempdir().expect("a directory");
        copy(&directory, scratch.path());
        let store = EventStore::open_read_only(scratch.path()).expect("a reader");
        for (file, text) in [("expected.txt", dump(&store)), ("facts.txt", dump_facts(&store))] {
            let path = directory.join(file);
            if !path.exists() {
                fs::write(path, text).expect("a file");
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.file_name().is_some_and(|name| name != "expected.txt" && name != "facts.txt") {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

#[test]
fn logs_of_every_released_format_open_and_say_the_same() {
    let mut names = Vec::new();
    for entry in fs::read_dir(golden()).expect("the golden directories") {
        let source = entry.expect("an entry").path();
        let name = source.file_name().expect("a name").to_string_lossy().into_owned();
        let expected = fs::read_to_string(source.join("expected.txt")).expect("what the log says");
        let facts = fs::read_to_string(source.join("facts.txt")).expect("what the log says besides");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        copy(&source, &path);

        let reader = EventStore::open_read_only(&path).expect("a golden log");
        assert_eq!(dump(&reader), expected, "{name}, read only");
        assert_eq!(dump_facts(&reader), facts, "{name}, read only");
        assert_eq!(reader.recovery_report().torn_tail().is_some(), name == "torn", "{name}");
        let verified = verify(&path).expect("a golden log");
        assert!(verified.is_sound(), "{name}: {verified}");
        assert_eq!(inspect(&path).expect("a golden log").stats().events(), expected.lines().count() as u64, "{name}");

        let store = EventStore::open(&path).expect("a golden log");
        assert_eq!(dump(&store), expected, "{name}, for writing");
        assert_eq!(dump_facts(&store), facts, "{name}, for writing");
        append(&store, "game-1", vec![json("appended", 99)]);
        store.close().expect("closing");
        let store = EventStore::open(&path).expect("a golden log that was written on");
        let after = dump(&store);
        assert!(after.starts_with(&expected), "{name}: appending changed what was there");
        assert_eq!(dump_facts(&store), facts, "{name}: appending changed what was there");
        assert_eq!(after.lines().count(), expected.lines().count() + 1, "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["carried", "clean", "compacted", "facts", "rich", "torn"]);
}

#[test]
fn streams_of_every_released_format_begin_with_the_states_they_began_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    copy(&golden().join("carried"), &path);
    let check = |store: &EventStore| {
        let state = |stream: &str| {
            let state = store.carried_state(&name(stream)).expect("it can be read")?;
            let time = state.time().nanos() % 1_000_000_000_000;
            let at = (state.version().get(), state.position().get(), time);
            Some((state.fold().to_owned(), state.schema(), state.codec(), at, state.data().to_vec()))
        };
        let sum = |schema, at, data: &str| Some(("sum".to_owned(), schema, Codec::Json, at, data.as_bytes().to_vec()));
        assert_eq!(state("account-1"), sum(1, (5, 14, 12_000), "15"));
        assert_eq!(state("account-2"), sum(2, (3, 7, 3_000), "60"));
        assert_eq!(state("account-3"), None);
        let first = |stream: &str| store.read(&name(stream)).into_iter().next().expect("an event").expect("an event");
        assert_eq!(["account-1", "account-2", "account-3"].map(|stream| first(stream).version().get()), [6, 4, 3]);
    };
    check(&EventStore::open_read_only(&path).expect("a golden log"));
    let store = EventStore::open(&path).expect("a golden log");
    check(&store);
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    check(&store);
    store.close().expect("closing");
    check(&EventStore::open(&path).expect("a golden log that was written on"));
}
