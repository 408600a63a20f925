//! Damage: bytes that were acknowledged and are not what they were. The answer is every event, exact, or an error that
//! names a place; never a wrong event, and never silence.

use crate::story::{Chance, options, seed, stream};
use scorebook::testing::SimulatedDisk;
use scorebook::{Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Position, RecordedEvent, Version};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An event as it was when the log was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    position: u64,
    stream: String,
    version: u64,
    event_type: String,
    id: String,
    time: i64,
    metadata: String,
    tags: Vec<(String, String)>,
    data: Vec<u8>,
}

impl Known {
    fn of(event: &RecordedEvent) -> Known {
        Known {
            position: event.position().get(),
            stream: event.stream().to_owned(),
            version: event.version().get(),
            event_type: event.event_type().to_owned(),
            id: event.id().to_string(),
            time: event.time().nanos(),
            metadata: event.metadata_json().to_owned(),
            tags: event.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            data: event.data().to_vec(),
        }
    }
}

/// A small log over several segments, and what it holds.
struct Whole {
    disk: SimulatedDisk,
    events: Vec<Known>,
    /// Where each event stands: segment, offset and length.
    places: Vec<(u32, u32, u32)>,
    /// How many events must be there where `live` is as it was, and where it is not.
    least: [usize; 2],
}

/// The two ways in which every change is made.
fn lossless(way: usize) -> &'static str {
    if way == 0 { "`live` as it was" } else { "`live` gone" }
}

impl Whole {
    /// Three segments and a bit: sealed ones, a session, a watermark and a close record.
    fn closed() -> Whole {
        let (disk, store) = Whole::written(seed());
        store.close().expect("closing");
        let store = options().open_simulated(&disk).expect("opening");
        append(&store, 7, 30);
        append(&store, 2, 30);
        disk.advance(Duration::from_millis(60));
        store.keep_house();
        append(&store, 1, 10);
        store.close().expect("closing");
        Whole::of(disk, &store, 0)
    }

    /// The same, killed instead of closed.
    fn killed() -> Whole {
        let (disk, store) = Whole::written(seed());
        append(&store, 3, 30);
        append(&store, 2, 50);
        Whole::of(disk.kill(), &store, 1)
    }

    fn written(seed: u64) -> (SimulatedDisk, EventStore) {
        let disk = SimulatedDisk::new(seed);
        let store = options().open_simulated(&disk).expect("opening");
        for segment in 0..3 {
            (0..15).for_each(|number| append(&store, number % 4 + 1, 8 + u32::from(number)));
            let events = [(5, 40), (1, 0), (5, 13)].map(|(number, bytes)| (stream(number), event(bytes)));
            let batch = events
                .into_iter()
                .fold(store.batch(), |batch, (stream, event)| batch.append(&stream, ExpectedVersion::Any, [event]));
            batch.commit().wait().expect("a receipt");
            if segment < 2 {
                append(&store, 6, 20_000);
                append(&store, 6, 9_000);
            }
        }
        (disk, store)
    }

    fn of(disk: SimulatedDisk, store: &EventStore, unproven: usize) -> Whole {
        let reader = options().open_simulated_read_only(&disk).expect("a whole log opens");
        let events: Vec<RecordedEvent> = reader.read_all().iter().collect::<Result<_, _>>().expect("a whole log");
        drop(reader);
        let _ = store;
        let place = |event: &RecordedEvent| (event.place().segment, event.place().offset, event.record_bytes());
        let least = [events.len(), events.len() - unproven];
        Whole {
            disk,
            places: events.iter().map(place).collect(),
            events: events.iter().map(Known::of).collect(),
            least,
        }
    }

    /// How many events must be there, or be missed by name, after a change with `live` as it was or without it.
    fn least(&self, change: &Change, way: usize) -> usize {
        match change {
            // A whole sector may hold the last event and all that proves it: with `live` gone too, nothing is left to tell.
            Change::Zero { path, sector } if way == 1 => {
                let is_before = |(segment, offset, len): &(u32, u32, u32)| {
                    *path != format!("log/{segment:010}.log") || offset + len <= *sector as u32 * 512
                };
                self.places.iter().take_while(|place| is_before(place)).count().min(self.least[1])
            }
            _ if change.path() == "live" => self.least[1],
            _ => self.least[way],
        }
    }

    fn log_paths(&self) -> Vec<String> {
        self.disk.file_names().into_iter().filter(|path| path.starts_with("log/")).collect()
    }

    fn file(&self, path: &str) -> Vec<u8> {
        self.disk.read_file(path).expect("the file is there")
    }

    /// Opens a changed copy of the log: every event, or a named refusal. Gives whether it was refused.
    fn check(&self, disk: &SimulatedDisk, least: usize, whence: &dyn Display) -> bool {
        let before = log_files(disk);
        let opened = options().open_simulated(disk);
        match &opened {
            Ok(store) => {
                let there = self.check_reads(store, least, whence, false);
                assert!(least <= there, "{whence}: {there} of {least} events, and no word of it");
                false
            }
            Err(error) => {
                check_named(error, whence);
                assert!(log_files(disk) == before, "{whence}: a refused opening changed the log");
                true
            }
        }
    }

    /// Reads a changed copy of the log without opening it for writing: every event it gives is exact, and what it does not
    /// give is announced.
    fn check_reader(&self, disk: &SimulatedDisk, least: usize, whence: &dyn Display) {
        match options().open_simulated_read_only(disk) {
            Ok(store) => drop(self.check_reads(&store, least, whence, true)),
            Err(error) => check_named(&error, whence),
        }
    }

    fn check_reads(&self, store: &EventStore, least: usize, whence: &dyn Display, is_thorough: bool) -> usize {
        let all: Vec<&Known> = self.events.iter().collect();
        let there = check_read(store.read_all(), &all, least, &format_args!("{whence}: reading all"));
        let last = self.events.last().map_or(0, |event| event.position);
        let names: BTreeMap<&str, Vec<&Known>> = self.events.iter().fold(BTreeMap::new(), |mut names, event| {
            names.entry(event.stream.as_str()).or_insert_with(Vec::new).push(event);
            names
        });
        for (name, events) in &names {
            let name = scorebook::StreamName::new(*name).expect("a name");
            let least = events.iter().filter(|event| event.position <= least as u64).count();
            let whence = format_args!("{whence}: reading stream {name}");
            check_read(store.read(&name), events, least, &whence);
            match store.version(&name) {
                Ok(version) => {
                    assert!(
                        version.get() <= events.len() as u64 && least as u64 <= version.get(),
                        "{whence}: {version}"
                    );
                }
                Err(error) => check_named(&error, &whence),
            }
        }
        if is_thorough {
            let backwards: Vec<&Known> = all.iter().rev().copied().collect();
            // Where an unproven end may be missing, backwards begins further on.
            if least == all.len() {
                check_read(store.read_all().backwards(), &backwards, least, &format_args!("{whence}: backwards"));
                for (name, events) in &names {
                    let name = scorebook::StreamName::new(*name).expect("a name");
                    let events: Vec<&Known> = events.iter().rev().copied().collect();
                    let whence = format_args!("{whence}: reading stream {name} backwards");
                    check_read(store.read(&name).backwards(), &events, events.len(), &whence);
                }
            }
            for after in (0..last).step_by(5) {
                let behind = &all[after as usize..];
                let least = least.saturating_sub(after as usize);
                let read = store.read_all().after(Position::new(after));
                check_read(read, behind, least, &format_args!("{whence}: reading after {after}"));
            }
            for event in self.events.iter().take(least).step_by(3) {
                let name = scorebook::StreamName::new(event.stream.as_str()).expect("a name");
                match store.event(&name, Version::new(event.version)) {
                    Ok(found) => assert_eq!(Known::of(&found), *event, "{whence}: one event"),
                    Err(error) => check_named(&error, &format_args!("{whence}: {name}@{}", event.version)),
                }
                match store.event_at(Position::new(event.position)) {
                    Ok(found) => assert_eq!(Known::of(&found), *event, "{whence}: one event"),
                    Err(error) => check_named(&error, &format_args!("{whence}: position {}", event.position)),
                }
            }
        }
        there
    }
}

/// Every event a read gives is the next that is expected, and it ends early only with an error that says so. Gives how
/// many there were before that.
fn check_read(
    read: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
    expected: &[&Known],
    least: usize,
    whence: &dyn Display,
) -> usize {
    let mut given = 0;
    for item in read {
        match item {
            Ok(event) => {
                let Some(known) = expected.get(given) else { panic!("{whence}: {event:?} was never appended") };
                assert_eq!(Known::of(&event), **known, "{whence}: event {given}");
                given += 1;
            }
            Err(error) => {
                if !(least <= given && error.kind() == ErrorKind::StreamNotFound) {
                    check_named(&error, &format_args!("{whence}: behind {given} events"));
                }
                return expected.len();
            }
        }
    }
    assert!(least <= given, "{whence}: {given} events of {}, and no word of the others", expected.len());
    given
}

/// Damage and newer formats are named, with a place or the positions.
fn check_named(error: &Error, whence: &dyn Display) {
    let is_kind = [ErrorKind::Damaged, ErrorKind::TooNew].contains(&error.kind());
    let text = error.to_string();
    let has_place = ["byte", "segment", ".log", "positions"].iter().any(|word| text.contains(word));
    assert!(is_kind && has_place, "{whence}: {error:?}");
}

fn event(bytes: u32) -> NewEvent {
    let data: Vec<u8> = (0..bytes).map(|index| if bytes < 1_000 { index as u8 } else { b'x' }).collect();
    NewEvent::bytes("score_changed", data).tag("spieler", "ä8").actor("bot-7")
}

fn append(store: &EventStore, number: u8, bytes: u32) {
    store.append(&stream(number), ExpectedVersion::Any, [event(bytes)]).wait().expect("a receipt");
}

fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/")).collect()
}

/// The bytes of a file worth a try each: all but every 61st of those that stand among nothing but their like.
fn bytes_to_try(file: &[u8]) -> Vec<usize> {
    let is_among_its_like = |index: usize| {
        let window = &file[index.saturating_sub(24)..(index + 24).min(file.len())];
        window.iter().all(|byte| *byte == window[0])
    };
    (0..file.len()).filter(|index| index % 61 == 0 || !is_among_its_like(*index)).collect()
}

/// A change to one file.
#[derive(Clone)]
enum Change {
    Flip { path: String, byte: usize, bit: u8 },
    Cut { path: String, len: usize },
    Zero { path: String, sector: usize },
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Flip { path, byte, bit } => write!(f, "bit {bit} of byte {byte} of {path} flipped"),
            Change::Cut { path, len } => write!(f, "{path} cut at {len}"),
            Change::Zero { path, sector } => write!(f, "sector {sector} of {path} zeroed"),
        }
    }
}

impl Change {
    fn path(&self) -> &str {
        match self {
            Change::Flip { path, .. } | Change::Cut { path, .. } | Change::Zero { path, .. } => path,
        }
    }

    fn make(&self, disk: &SimulatedDisk) {
        match self {
            Change::Flip { path, byte, bit } => disk.flip_bit(path, *byte as u64, *bit),
            Change::Cut { path, len } => {
                let bytes = disk.read_file(path).expect("the file is there");
                disk.write_file(path, &bytes[..*len]);
            }
            Change::Zero { path, sector } => {
                let mut bytes = disk.read_file(path).expect("the file is there");
                bytes[sector * 512..][..512].fill(0);
                disk.write_file(path, &bytes);
            }
        }
    }
}

/// Makes every change, with `live` and without it, and looks at what comes of it. Gives how many attempts there were and
/// how many were refused.
fn check_changes(whole: &Whole, changes: &[Change], look_every: usize) -> (usize, usize) {
    let (next, tried, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(change) = changes.get(index) else { break };
                    let ways = if change.path() == "live" { 1 } else { 2 };
                    for way in 0..ways {
                        let disk = whole.disk.kill();
                        change.make(&disk);
                        if way == 1 {
                            disk.remove_file("live");
                        }
                        let least = whole.least(change, way);
                        let whence = format!("{change}, {}", lossless(way));
                        if (index + way) % look_every == 0 {
                            whole.check_reader(&disk, least, &whence);
                        }
                        let is_refused = whole.check(&disk, least, &whence);
                        tried.fetch_add(1, Ordering::Relaxed);
                        refused.fetch_add(usize::from(is_refused), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (tried.into_inner(), refused.into_inner())
}

fn flips(whole: &Whole) -> Vec<Change> {
    let mut chance = Chance(seed());
    let mut changes = Vec::new();
    for path in whole.log_paths().into_iter().chain(["live".to_owned()]) {
        for byte in bytes_to_try(&whole.file(&path)) {
            changes.push(Change::Flip { path: path.clone(), byte, bit: (chance.next() % 8) as u8 });
        }
    }
    changes
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and the numbers belong to the answer of this test")]
fn every_flipped_byte_gives_every_event_or_a_named_refusal() {
    let whole = Whole::closed();
    assert!(3 < whole.log_paths().len() && 60 <= whole.events.len(), "{} events", whole.events.len());
    let changes = flips(&whole);
    let (tried, refused) = check_changes(&whole, &changes, 16);
    println!("seed {}: {} bytes flipped, {tried} openings, {refused} refused", seed(), changes.len());
}

#[test]
fn after_an_unclean_end_every_flipped_byte_gives_every_proven_event_or_a_named_refusal() {
    let whole = Whole::killed();
    let changes: Vec<Change> = flips(&whole).into_iter().step_by(3).collect();
    check_changes(&whole, &changes, 16);
}

#[test]
fn every_cut_gives_every_event_or_a_named_refusal() {
    for whole in [Whole::closed(), Whole::killed()] {
        let mut changes = Vec::new();
        for path in whole.log_paths().into_iter().chain(["live".to_owned()]) {
            let file = whole.file(&path);
            let lengths = bytes_to_try(&file).into_iter().filter(|len| len % 7 == 0 || *len < 1_200);
            changes.extend(lengths.map(|len| Change::Cut { path: path.clone(), len }));
        }
        check_changes(&whole, &changes, 8);
    }
}

#[test]
fn every_zeroed_sector_gives_every_event_or_a_named_refusal() {
    for whole in [Whole::closed(), Whole::killed()] {
        let mut changes = Vec::new();
        for path in whole.log_paths().into_iter().chain(["live".to_owned()]) {
            let sectors = whole.file(&path).len() / 512;
            changes.extend((0..sectors).map(|sector| Change::Zero { path: path.clone(), sector }));
        }
        check_changes(&whole, &changes, 1);
    }
}

/// The store under other circumstances: a changed set of files.
fn changed(whole: &Whole, change: impl FnOnce(&SimulatedDisk), way: usize) -> SimulatedDisk {
    let disk = whole.disk.kill();
    change(&disk);
    if way == 1 {
        disk.remove_file("live");
    }
    disk
}

fn check_both(whole: &Whole, disk: &SimulatedDisk, least: usize, whence: &str) -> bool {
    whole.check_reader(disk, least, &whence);
    whole.check(disk, least, &whence)
}

#[test]
fn swapped_sectors_and_swapped_records_are_noticed() {
    let whole = Whole::closed();
    let mut chance = Chance(seed());
    let paths = whole.log_paths();
    for round in 0..600 {
        let pick = |chance: &mut Chance| {
            let path = paths[chance.below(paths.len())].clone();
            let sectors = whole.file(&path).len() / 512;
            (path, chance.below(sectors.min(if round % 2 == 0 { 12 } else { sectors })))
        };
        let (a, b) = (pick(&mut chance), pick(&mut chance));
        let (from, to) = (whole.file(&a.0)[a.1 * 512..][..512].to_vec(), whole.file(&b.0)[b.1 * 512..][..512].to_vec());
        for way in 0..2 {
            let swap = |disk: &SimulatedDisk| {
                put(disk, &a.0, a.1 * 512, &to);
                put(disk, &b.0, b.1 * 512, &from);
            };
            let disk = changed(&whole, swap, way);
            let whence = format!("sectors {a:?} and {b:?} swapped, {}", lossless(way));
            // As with a zeroed sector: without `live` one sector may have held the end and all that proved it.
            let zero = |(path, sector): &(String, usize)| Change::Zero { path: path.clone(), sector: *sector };
            let least = whole.least(&zero(&a), way).min(whole.least(&zero(&b), way));
            whole.check(&disk, least, &whence);
            if round % 8 == 0 {
                whole.check_reader(&disk, least, &whence);
            }
        }
    }
    // Records of the same length, wherever they stand.
    let mut swapped = 0;
    for (index, a) in whole.places.iter().enumerate() {
        for b in whole.places[index + 1..].iter().filter(|b| b.2 == a.2) {
            let path = |place: &(u32, u32, u32)| format!("log/{:010}.log", place.0);
            let bytes = |place: &(u32, u32, u32)| {
                whole.file(&path(place))[place.1 as usize..(place.1 + place.2) as usize].to_vec()
            };
            let (from, to) = (bytes(a), bytes(b));
            for way in 0..2 {
                let swap = |disk: &SimulatedDisk| {
                    put(disk, &path(a), a.1 as usize, &to);
                    put(disk, &path(b), b.1 as usize, &from);
                };
                let disk = changed(&whole, swap, way);
                assert!(check_both(&whole, &disk, whole.events.len(), "two records swapped"), "{a:?} and {b:?}");
                let copy = |disk: &SimulatedDisk| put(disk, &path(b), b.1 as usize, &from);
                let disk = changed(&whole, copy, way);
                assert!(check_both(&whole, &disk, whole.events.len(), "a record copied"), "{a:?} to {b:?}");
            }
            swapped += 1;
        }
    }
    assert!(20 < swapped);
}

fn put(disk: &SimulatedDisk, path: &str, at: usize, bytes: &[u8]) {
    let mut file = disk.read_file(path).expect("the file is there");
    file[at..at + bytes.len()].copy_from_slice(bytes);
    disk.write_file(path, &file);
}

#[test]
fn a_segment_that_is_missing_doubled_renamed_foreign_or_newer_is_named() {
    let (other, store) = Whole::written(seed() + 1);
    store.close().expect("closing");
    for whole in [Whole::closed(), Whole::killed()] {
        let paths = whole.log_paths();
        let name = |sequence: usize| format!("log/{sequence:010}.log");
        for (index, path) in paths.iter().enumerate() {
            let bytes = whole.file(path);
            let counts = whole.places.iter().any(|place| name(place.0 as usize) == *path);
            for way in 0..2 {
                let is_last = whole.places.last().is_some_and(|place| name(place.0 as usize) == *path);
                // Without `live` nothing proves what an unclean end left in the last segment but the footer before it.
                let check = |what: &str, must_refuse: bool, change: &dyn Fn(&SimulatedDisk)| {
                    let disk = changed(&whole, change, way);
                    let whence = format!("{path} {what}, {}", lossless(way));
                    let is_refused = check_both(&whole, &disk, whole.least[way], &whence);
                    assert!(is_refused || !must_refuse, "{whence}: it opened");
                };
                check("removed", counts, &|disk| {
                    disk.remove_file(path);
                });
                check("emptied", counts, &|disk| disk.write_file(path, b""));
                check("zeroed", counts, &|disk| disk.write_file(path, &vec![0; bytes.len()]));
                for free in [paths.len() + 1, paths.len() + 7] {
                    check("doubled", false, &|disk| disk.write_file(&name(free), &bytes));
                    check("renamed", counts, &|disk| {
                        disk.remove_file(path);
                        disk.write_file(&name(free), &bytes);
                    });
                }
                for (onto, other_path) in paths.iter().enumerate().filter(|(onto, _)| *onto != index) {
                    let is_loss = whole.places.iter().any(|place| name(place.0 as usize) == *other_path);
                    check("copied over another", is_loss, &|disk| disk.write_file(other_path, &bytes));
                    check("swapped with another", counts || is_loss, &|disk| {
                        let there = disk.read_file(other_path).expect("the file is there");
                        disk.write_file(other_path, &bytes);
                        disk.write_file(path, &there);
                    });
                    assert_ne!(onto, index);
                }
                if let Some(foreign) = other.read_file(path) {
                    check("replaced by that of another store", counts, &|disk| disk.write_file(path, &foreign));
                }
                check("of a newer format", true, &|disk| {
                    let mut newer = bytes.clone();
                    newer[12] = 2;
                    let sum = crc32fast::hash(&newer[12..512]).to_le_bytes();
                    newer[8..12].copy_from_slice(&sum);
                    disk.write_file(path, &newer);
                });
                assert!(!is_last || counts);
            }
        }
        // Files nobody knows are left alone and told of.
        let disk = changed(&whole, |disk| disk.write_file("log/notes.txt", b"mine"), 0);
        let store = options().open_simulated(&disk).expect("an unknown file is no damage");
        assert!(store.recovery_report().notes().iter().any(|note| note.contains("notes.txt")));
        assert_eq!(disk.read_file("log/notes.txt").as_deref(), Some(&b"mine"[..]));
    }
}

/// Writes the files of a disk into a directory of the real one.
fn unpack(disk: &SimulatedDisk, directory: &Path) {
    for (path, bytes) in disk.contents() {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for part in ["", "log"] {
        for entry in fs::read_dir(directory.join(part)).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                found.insert(path.display().to_string(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn salvage_copies_all_that_is_good_and_says_what_is_lost() {
    let whole = Whole::closed();
    let last = whole.places.last().expect("events").0;
    let mut changes: Vec<Change> = Vec::new();
    for place in whole.places.iter().step_by(7).chain(whole.places.last()) {
        let path = format!("log/{:010}.log", place.0);
        changes.push(Change::Flip { path, byte: place.1 as usize + 70, bit: 3 });
    }
    for segment in 1..=last {
        let path = format!("log/{segment:010}.log");
        changes.push(Change::Flip { path: path.clone(), byte: 20, bit: 0 });
        changes.push(Change::Flip { path: path.clone(), byte: 530, bit: 0 });
        changes.push(Change::Cut { path: path.clone(), len: 0 });
        changes.push(Change::Cut { path, len: 1_500 });
    }
    for change in changes {
        for way in 0..2 {
            let whence = format!("{change}, {}", lossless(way));
            let directory = tempfile::tempdir().expect("a directory");
            let (source, copy) = (directory.path().join("source"), directory.path().join("copy"));
            unpack(&changed(&whole, |disk| change.make(disk), way), &source);
            let before = files(&source);
            let verified = scorebook::verify(&source).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            assert!(!verified.is_sound() && !verified.damage().is_empty(), "{whence}: {verified}");
            let report = scorebook::salvage(&source, &copy).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            assert!(files(&source) == before, "{whence}: the source changed");
            assert!(!report.is_complete(), "{whence}: {report}");

            let store = EventStore::open(&copy).unwrap_or_else(|error| panic!("{whence}: {report}: {error:?}"));
            check_salvaged(&whole, &store, &report, &whence);
            store.close().expect("closing");
            let verified = scorebook::verify(&copy).expect("a sound copy");
            assert!(verified.is_sound(), "{whence}: {verified}");
        }
    }
}

fn check_salvaged(whole: &Whole, store: &EventStore, report: &scorebook::SalvageReport, whence: &str) {
    let is_lost =
        |position: u64| report.lost().iter().any(|(first, last)| first.get() <= position && position <= last.get());
    let read = store.read_all().skipping_lost().iter();
    let there: Vec<Known> = read.map(|event| Known::of(&event.expect("a good event"))).collect();
    assert_eq!(there.len() as u64, report.events_copied(), "{whence}: {report}");
    let mut expected = whole.events.iter();
    for event in &there {
        assert!(expected.any(|known| known == event), "{whence}: {event:?} is not as it was");
    }
    // What is not there is told. Where nothing says how far the log had reached, one position stands for the end.
    let last_told = report.lost().last().map_or(u64::MAX, |(_, last)| last.get());
    let last_there = there.last().map_or(0, |event| event.position);
    for event in &whole.events {
        let is_told = is_lost(event.position) || last_told.max(last_there) < event.position;
        assert_eq!(is_told, !there.contains(event), "{whence}: position {}: {report}", event.position);
    }
    let Some((first_lost, _)) = report.lost().first().copied() else { return };
    // A read across the loss fails there, with all that stands before it.
    let mut given = 0;
    let failure = store.read_all().iter().find_map(|event| event.map(|_| given += 1).err()).expect("a loss");
    assert_eq!((failure.kind(), given), (ErrorKind::Lost, first_lost.get() - 1), "{whence}: {failure:?}");
    // A stream may have ended in the loss unless something of it stands behind.
    let last_lost = report.lost().last().expect("a loss").1.get();
    for number in 1..=7 {
        let name = stream(number);
        let last = there.iter().rfind(|event| event.stream == name.as_str()).map_or(0, |event| event.position);
        let answer = store.append(&name, ExpectedVersion::Any, [event(3)]).wait();
        if last < last_lost {
            let kind = answer.map_err(|error| error.into_error().kind()).expect_err("a doubtful stream");
            assert_eq!(kind, ErrorKind::Lost, "{whence}: appending to {name}");
        } else {
            answer.unwrap_or_else(|error| panic!("{whence}: appending to {name}: {error:?}"));
        }
    }
    store.accept_losses().expect("accepting");
    for number in 1..=8 {
        append(store, number, 4);
    }
    store.reopen().expect("reopening");
    append(store, 3, 5);
    let failure = store.read_all().iter().find_map(Result::err).expect("the loss stays");
    assert_eq!(failure.kind(), ErrorKind::Lost, "{whence}");
}
