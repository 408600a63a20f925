//! What is derived from the log: nothing that is asked is answered otherwise without it, or with a bad one. And what opening
//! does not read because of it is never given wrong.

use super::support::{Home, name, small_segments};
use crate::model::{Chance, Choices, forget_derived, is_derived, options, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{SimulatedDisk, verify_simulated};
use scorebook::{
    Durability, ErrorKind, EventContext, EventId, EventStore, NewEvent, Projection, Query, RecordedEvent, Version,
    rebuild_index, verify,
};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts events by stream and type.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Tally(BTreeMap<String, u64>);

impl Projection for Tally {
    type Event = RecordedEvent;
    const NAME: &'static str = "tally";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all().of_type("guessed").of_type("ended")
    }

    fn new() -> Tally {
        Tally(BTreeMap::new())
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        *self.0.entry(format!("{} {}", event.stream(), event.event_type())).or_default() += 1;
    }
}

/// Has a projection follow what there is, so that its state is saved by when the store is closed.
fn follow(store: &EventStore) {
    let tally = store.projection::<Tally>().expect("it follows");
    tally.reached(store.head().expect("a head")).wait().expect("it folds");
    tally.save().expect("it is saved");
}

const STREAMS: u64 = 12;
const TYPES: [&str; 3] = ["started", "guessed", "ended"];

/// A name that some streams have from the beginning and others only later.
fn stream(number: u64) -> String {
    if number.is_multiple_of(3) { format!("team-{number}") } else { format!("game-{number}") }
}

/// Appends batches by chance, some with a key; in `later` rounds some streams are new.
fn fill(store: &EventStore, chance: &mut Chance, batches: u64, round: u64) {
    for number in 0..batches {
        let mut batch = store.batch().durability(*chance.pick(&[Durability::Synced, Durability::Written]));
        for _ in 0..1 + chance.below(3) {
            let (event_type, pad) = (*chance.pick(&TYPES), "x".repeat(chance.below(900)));
            let event = NewEvent::json(event_type, &(number, pad)).expect("JSON");
            let mut event = event.tag("player", chance.below(5));
            if chance.below(4) == 0 {
                event = event.id(id(round, number));
            }
            let to = chance.below(STREAMS as usize) as u64 + 4 * round;
            batch = batch.append(&name(&stream(to)), Any, [event]);
        }
        if number % 5 == 0 {
            batch = batch.once(format!("key-{round}-{number}"));
        }
        batch.commit().wait().expect("a receipt");
    }
}

fn id(round: u64, number: u64) -> EventId {
    EventId::from_bytes([[round as u8; 8], number.to_le_bytes()].concat().try_into().expect("16 bytes"))
}

/// A store of several rounds on a disk: closed in between, or killed.
fn told(chance: &mut Chance, rounds: u64, batches: u64) -> SimulatedDisk {
    let mut disk = SimulatedDisk::new(chance.next());
    for round in 0..rounds {
        let store = options().open_simulated(&disk).expect("a store");
        fill(&store, chance, batches, round);
        follow(&store);
        if chance.below(2) == 0 {
            store.close().expect("closing");
        } else {
            // Whatever the old one still does happens on a disk nobody looks at.
            disk = disk.kill();
        }
    }
    disk
}

/// Everything that can be asked, answered.
fn answers(store: &EventStore) -> String {
    let mut said = String::new();
    let mut tell = |what: &str, events: &mut dyn Iterator<Item = Result<RecordedEvent, scorebook::Error>>| {
        write!(said, "\n{what}:").expect("text");
        for event in events {
            match event {
                Ok(event) => write!(said, " {}/{}/{}", event.position(), event.stream(), event.version()),
                Err(error) => write!(said, " {:?}", error.kind()),
            }
            .expect("text");
        }
    };
    tell("all", &mut store.read_all().into_iter());
    for number in 0..STREAMS + 16 {
        let stream = name(&stream(number));
        tell("stream", &mut store.read(&stream).into_iter());
        tell("backwards", &mut store.read(&stream).backwards().limit(5).into_iter());
        for from in [2, 7, 30] {
            tell("from", &mut store.read(&stream).from(Version::new(from)).limit(3).into_iter());
            tell("below", &mut store.read(&stream).before(Version::new(from)).backwards().limit(3).into_iter());
        }
    }
    for player in 0..6 {
        let query = || Query::all().tag("player", player);
        tell("player", &mut store.read_all().matching(query()).into_iter());
        let both = query().of_type(TYPES[player % 3]).or(Query::all().in_category("team").of_type("ended"));
        tell("both", &mut store.read_all().matching(both).backwards().into_iter());
    }
    let prefix = Query::all().of_type("guessed").prefix("team");
    tell("prefix", &mut store.read_all().matching(prefix).into_iter());
    for number in 0..75 {
        for round in 0..5 {
            let found =
                store.event_by_id(id(round, number)).map(|event| event.position()).map_err(|error| error.kind());
            let key = store.receipt_of(&format!("key-{round}-{number}"));
            let key = key.map(|receipt| receipt.map(|receipt| receipt.last_position())).map_err(|error| error.kind());
            write!(said, "\n{round}/{number}: {found:?}, {key:?}").expect("text");
        }
    }
    let count = |query: Query| store.read_all().matching(query).count().map_err(|error| error.kind());
    let counts = TYPES.map(|name| count(Query::all().of_type(name)));
    let stats = store.stats().map(|stats| (stats.events(), stats.streams())).map_err(|error| error.kind());
    let streams = store.streams().list().map_err(|error| error.kind());
    let tally = store.head().and_then(|head| store.fold::<Tally>(head)).map_err(|error| error.kind());
    let tally = tally.map(|tally| (tally.position(), tally.into_state().0));
    write!(said, "\n{counts:?}\n{stats:?}\n{streams:?}\n{tally:?}").expect("text");
    said
}

/// The answers of a store that is opened on a disk for writing, and of one that only reads.
fn both_answers(disk: &SimulatedDisk) -> [String; 2] {
    let reader = options().open_simulated_read_only(disk).expect("it can be read");
    let read = answers(&reader);
    drop(reader);
    let store = options().open_simulated(disk).expect("it opens");
    let written = answers(&store);
    store.close().expect("closing");
    [read, written]
}

fn derived_of(disk: &SimulatedDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|path| is_derived(path)).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and what was tried belong to the answer of this test")]
fn no_answer_depends_on_a_derived_file() {
    let mut chance = Chance(seed());
    let mut lost = 0;
    for _ in 0..6 {
        let disk = told(&mut chance, 4, 25);
        let older = disk.kill();
        let store = options().open_simulated(&disk).expect("it opens");
        fill(&store, &mut chance, 25, 4);
        follow(&store);
        store.close().expect("closing");
        let foreign = told(&mut chance, 4, 25);
        let expected = {
            let disk = disk.kill();
            forget_derived(&disk);
            both_answers(&disk)
        };
        assert_eq!(expected[0], expected[1], "a reader and a writer");
        let paths = derived_of(&disk);
        assert!(paths.len() > 4, "{paths:?}");
        assert!(both_answers(&disk.kill()) == expected, "with all of them");
        for round in 0..paths.len() + 12 {
            let copy = disk.kill();
            // Each one alone, then some by chance; and those of an earlier time and of another store in their place.
            let chosen = |index: usize, chance: &mut Chance| match paths.len().checked_sub(round + 1) {
                Some(_) => index == round,
                None => chance.below(2) == 0,
            };
            for (index, path) in paths.iter().enumerate() {
                if !chosen(index, &mut chance) {
                    continue;
                }
                lost += 1;
                let other = [None, older.read_file(path), foreign.read_file(path)];
                match &other[chance.below(3)] {
                    Some(bytes) => copy.write_file(path, bytes),
                    None => assert!(copy.remove_file(path)),
                }
            }
            let found = both_answers(&copy);
            assert!(found == expected, "seed {}, round {round} of {paths:?}: other answers", seed());
        }
    }
    println!("seed {}: {lost} derived files were lost or replaced", seed());
}

/// A small store that has every kind of derived file: of its eight segments and a few the eighth has a filter of a group.
fn small() -> SimulatedDisk {
    let mut chance = Chance(seed());
    let disk = SimulatedDisk::new(chance.next());
    let store = options().open_simulated(&disk).expect("a store");
    fill(&store, &mut chance, 230, 0);
    follow(&store);
    store.close().expect("closing");
    disk.kill()
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and what was tried belong to the answer of this test")]
fn derived_files_flipped_in_any_byte_and_cut_at_any_length_change_no_answer() {
    let disk = small();
    let paths = derived_of(&disk);
    let bare = disk.kill();
    forget_derived(&bare);
    let expected = both_answers(&bare)[1].clone();
    let mut tried = 0;
    let check = |copy: &SimulatedDisk, whence: &str| {
        let store = options().open_simulated(copy).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
        assert!(answers(&store) == expected, "{whence}: other answers");
    };
    // One in so many of the bytes, another one each time by seed; all of them on demand.
    let step = if std::env::var_os("SCOREBOOK_EVERY_BYTE").is_some() { 1 } else { 149 };
    let first = seed() as usize % step;
    for path in &paths {
        let bytes = disk.read_file(path).expect("it is there");
        for at in (first..bytes.len()).step_by(step) {
            let copy = disk.kill();
            copy.flip_bit(path, at as u64, (at % 8) as u8);
            check(&copy, &format!("byte {at} of {path} flipped"));
            let copy = disk.kill();
            copy.write_file(path, &bytes[..at]);
            check(&copy, &format!("{path} cut at {at}"));
            tried += 2;
        }
    }
    assert!(paths.iter().any(|path| path.ends_with("8.idx")) && paths.iter().any(|path| path.starts_with("index/")));
    assert!(paths.iter().any(|path| path.starts_with("snapshots/")));
    println!("seed {}: {tried} changes of {paths:?}", seed());
}

#[test]
fn what_is_rebuilt_answers_the_same_and_lets_the_next_opening_read_little() {
    let home = Home::disk();
    let store = home.open_with(&small_segments());
    let mut chance = Chance(seed());
    fill(&store, &mut chance, 75, 0);
    store.close().expect("closing");
    let before = answers(&home.open());
    let derived =
        |home: &Home| -> Vec<String> { home.contents().into_keys().filter(|path| is_derived(path)).collect() };
    let paths = derived(&home);
    assert!(3 < paths.len(), "{paths:?}");
    paths.iter().for_each(|path| home.remove(path));
    let rebuilt = rebuild_index(home.path()).expect("it can be rebuilt");
    assert_eq!(rebuilt.events(), home.open().stats().expect("numbers").events());
    let again = derived(&home);
    assert_eq!(rebuilt.bytes(), again.iter().map(|path| home.contents()[path].len() as u64).sum::<u64>());
    let terms = |paths: &[String]| paths.iter().filter(|path| path.ends_with(".idx")).count();
    assert_eq!((terms(&again), again.len() - terms(&again)), (terms(&paths), 1));
    assert!(verify(home.path()).expect("it can be verified").notes().is_empty());
    let store = home.open_with(&small_segments().verify_at_open_max(0));
    assert!(answers(&store) == before, "other answers");
    // Somebody writes.
    assert_eq!(rebuild_index(home.path()).expect_err("it is open").kind(), ErrorKind::Locked);
    assert_eq!(derived(&home), again);
}

/// Opening does not read what is known already. Damage there is told by whoever reads it.
#[test]
#[expect(clippy::print_stdout, reason = "the seed and what was tried belong to the answer of this test")]
fn damage_that_opening_does_not_read_is_never_given_and_never_silent() {
    let disk = small();
    let whole = options().open_simulated(&disk.kill()).expect("it opens");
    let all: Vec<_> = whole.read_all().into_iter().map(|event| event.expect("an event")).collect();
    let (mut opened, mut refused, mut told) = (0, 0, 0);
    let segments: Vec<String> = disk.file_names().into_iter().filter(|path| path.ends_with(".log")).collect();
    for path in &segments {
        let len = disk.read_file(path).expect("it is there").len();
        for at in (seed() as usize % 331..len).step_by(331) {
            let copy = disk.kill();
            copy.flip_bit(path, at as u64, (at % 8) as u8);
            let whence = format!("byte {at} of {path}");
            let is_sound = verify_simulated(&copy).expect("it can be verified").is_sound();
            let store = match options().open_simulated(&copy) {
                Ok(store) => store,
                Err(error) => {
                    assert!(!is_sound && error.kind() == ErrorKind::Damaged, "{whence}: {error:?}");
                    refused += 1;
                    continue;
                }
            };
            opened += 1;
            let mut is_told = false;
            for (number, found) in store.read_all().into_iter().enumerate() {
                match found {
                    Ok(event) => assert_eq!(event.data(), all[number].data(), "{whence}: another event"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Damaged, "{whence}: {error:?}");
                        is_told = true;
                    }
                }
            }
            for event in &all {
                let found = store.event(&name(event.stream()), event.version());
                match found {
                    Ok(found) => assert_eq!((found.position(), found.data()), (event.position(), event.data())),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Damaged, "{whence}: {error:?}");
                        is_told = true;
                    }
                }
            }
            assert!(!is_told || !is_sound, "{whence}: told to a reader, and verified as sound");
            told += u64::from(is_told);
        }
    }
    assert!(100 < opened && 5 < refused && 50 < told, "{opened} opened, {refused} refused, {told} told");
    println!("seed {}: {opened} opened, {told} of them told a reader, {refused} were refused", seed());
}
