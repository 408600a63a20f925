//! What compaction wrote, given to the [other reader](super::other_reader): it says the same as the store, wherever the
//! compaction was stopped and whatever is damaged or forged in it.

use super::other_reader::{all_kinds, check_disk, forget, forget_streams};
use super::support::{add, contents_of, kilobyte, name, small_segments};
use crate::model::{Chance, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{EventStore, Scope, Start, Version};
use std::collections::BTreeSet;
use std::path::Path;

/// Facts of every kind in several sessions, one of which was killed, and much of them may go.
fn half_dead(seed: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed);
    let store = all_kinds(&disk, &small_segments());
    store.batch().release(&Scope::Everything, "all").commit().wait().expect("no hold");
    fill(&store, 0..50);
    let killed = disk.kill();
    std::mem::forget(store);
    let store = small_segments().open_simulated(&killed).expect("it opens");
    fill(&store, 50..90);
    store.tombstone(&name("gone-1"), Any, "over").wait().expect("it is finished");
    store.tombstone(&name("noise"), Any, "over").wait().expect("it is finished");
    store.truncate_before(&name("kept-1"), Version::FIRST).wait().expect("it begins as it did");
    // What a consumer has not seen stays.
    for consumer in ["counting", "spät-1", "again"] {
        store.consumer(consumer).seek(Start::End).expect("it moves");
    }
    store.close().expect("closing");
    killed
}

/// To two streams in turn.
fn fill(store: &EventStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        add(store, &name(["gone-1", "kept-1"][number as usize % 2]), [kilobyte(number)]);
    }
}

fn compact(store: &EventStore) {
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    let compacted = plan.apply().expect("it is done");
    assert!(0 < compacted.events_removed());
}

/// The segments that compaction wrote, by their names.
fn rewritten(disk: &SimulatedDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|path| path.contains('-') && path.ends_with(".log")).collect()
}

#[test]
fn what_compaction_wrote_says_the_same_to_both() {
    let disk = half_dead(seed());
    let Some(before) = check_disk(&disk) else {
        return;
    };
    let store = small_segments().open_simulated(&disk).expect("it opens");
    compact(&store);
    let killed = check_disk(&disk.kill()).expect("python3 was there");
    assert_eq!(killed.refusal(), None);
    assert!(killed.lines("event").len() + 50 < before.lines("event").len());
    store.close().expect("closing");
    let once = check_disk(&disk).expect("python3 was there");
    assert_eq!(once.end()["how"], "closed");

    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.truncate_before(&name("kept-1"), Version::new(30)).wait().expect("it begins later");
    compact(&store);
    let kept = name("kept-1");
    (90..130).for_each(|number| drop(add(&store, &kept, [kilobyte(number)])));
    store.close().expect("closing");
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.truncate_before(&kept, Version::new(40)).wait().expect("it begins later");
    compact(&store);
    store.close().expect("closing");
    let names = rewritten(&disk);
    let is_first = |path: &String| path.ends_with("-1.log");
    assert!(!names.iter().all(is_first), "{names:?}");
    let twice = check_disk(&disk).expect("python3 was there");
    assert_eq!(twice.end()["how"], "closed");
    for (kind, least) in [("removed", 2), ("start", 2), ("session", 1)] {
        let in_one = |name: &String| {
            let number: u64 = name["log/".len()..][..10].parse().expect("a number");
            twice.lines(kind).iter().filter(|line| line["segment"] == number).count()
        };
        assert!(names.iter().any(|name| least <= in_one(name)), "no segment with {least} of {kind}: {names:?}");
    }
    forget(&disk);
    assert_eq!(check_disk(&disk).expect("python3 was there").end()["how"], "open");
}

#[test]
fn wherever_a_compaction_was_stopped_both_say_the_same() {
    let whole = half_dead(seed());
    let mut files = BTreeSet::new();
    for stop in (3..).step_by(7) {
        let disk = whole.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        for choice in [CrashChoice::KeepAll, CrashChoice::LoseAll] {
            let crashed = disk.crash(&choice);
            forget_streams(&crashed);
            let Some(told) = check_disk(&crashed) else {
                return;
            };
            assert!(told.refusal().is_none(), "stopped at {stop}, {choice:?}: {}", told.end());
            files.insert(crashed.file_names().into_iter().filter(|path| path.ends_with(".log")).collect::<Vec<_>>());
        }
        if !disk.has_stopped() {
            break;
        }
    }
    let numbers = |files: &Vec<String>| files.iter().map(|path| path[..14].to_owned()).collect::<Vec<_>>();
    let several = files.iter().filter(|files| numbers(files).windows(2).any(|pair| pair[0] == pair[1])).count();
    assert!(0 < several && 3 < files.len(), "{files:?}");
}

#[test]
fn damage_in_what_compaction_wrote_is_refused_at_the_same_place_by_both() {
    let disk = half_dead(seed());
    let store = small_segments().open_simulated(&disk).expect("it opens");
    compact(&store);
    store.close().expect("closing");
    let names = rewritten(&disk);
    assert!(1 < names.len(), "{names:?}");
    let contents = disk.contents();
    let mut chance = Chance(seed());
    let mut refused = 0;
    for path in [&names[0], &names[names.len() - 1]] {
        let size = contents[path].len() as u64;
        let footer = size - 512;
        let ends =
            u64::from(u32::from_le_bytes(contents[path][footer as usize + 12..][..4].try_into().expect("4 bytes")));
        let anywhere = |chance: &mut Chance| 640 + chance.next() % (ends - 640);
        let mut bytes =
            vec![3, 20, 57, 61, 200, 515, 530, 600, ends - 30, footer, footer + 9, footer + 13, footer + 300];
        bytes.extend((0..4).map(|_| anywhere(&mut chance)));
        for byte in bytes {
            let damaged = disk.kill();
            damaged.flip_bit(path, byte, (byte % 8) as u8);
            forget_streams(&damaged);
            let Some(told) = check_disk(&damaged) else {
                return;
            };
            assert!(told.refusal().is_some(), "byte {byte} of {path}");
            refused += 1;
        }
        for change in 0..3 {
            let damaged = disk.kill();
            match change {
                0 => assert!(damaged.remove_file(path)),
                1 => damaged.write_file(path, &contents[path][..footer as usize]),
                _ => damaged.write_file(path, &[&contents[path][..footer as usize], &[0; 512]].concat()),
            }
            forget_streams(&damaged);
            let told = check_disk(&damaged).expect("python3 was there");
            assert!(told.refusal().is_some(), "{change} of {path}");
        }
    }
    assert_eq!(refused, 2 * 17);
}

/// The golden directory: segment 3 stands for a row from 1, segment 4 for itself, 5 is the last one, and 6 is blank.
fn golden() -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/compacted");
    for (path, bytes) in contents_of(&golden) {
        if path != "expected.txt" {
            disk.write_file(&path, &bytes);
        }
    }
    disk
}

const ROW: &str = "log/0000000003-1.log";
const ALONE: &str = "log/0000000004-1.log";
const LAST: &str = "log/0000000005.log";
const BLANK: &str = "log/0000000006.log";
const FOOTER: usize = 32 * 1024 - 512;
/// Where in the row a start record, a session record and the last batch begin, and where it ends.
const INNER: usize = 1192;
const SESSION: usize = 5680;
const BEFORE_END: usize = 6024;
const END: usize = 6152;

fn long(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Makes the checksums right of the preamble, the batch or the footer that begins at `from`, and the footer of what changed.
fn reseal(segment: &mut [u8], from: usize) {
    let salt = crc32fast::hash(&segment[16..52]);
    let seeded = |offset: usize, bytes: &[u8]| {
        let mut hasher = crc32fast::Hasher::new_with_initial(salt ^ offset as u32);
        hasher.update(bytes);
        hasher.finalize().to_le_bytes()
    };
    if from == 0 {
        let sum = crc32fast::hash(&segment[12..512]).to_le_bytes();
        put(segment, 8, &sum);
    } else if from < FOOTER {
        let mut record = from + 48;
        for _ in 0..segment[from + 12] {
            let behind = record + 64 + long(segment, record + 48);
            let body = crc32fast::hash(&segment[record + 44..behind]).to_le_bytes();
            put(segment, record + 4, &body);
            let header = seeded(record, &segment[record + 4..record + 64]);
            put(segment, record, &header);
            record = behind;
        }
        let header = seeded(from, &segment[from + 8..from + 48]);
        put(segment, from + 4, &header);
    }
    // The last one has no footer.
    if segment[FOOTER] == 0 {
        return;
    }
    if from < FOOTER {
        let digest = xxhash_rust::xxh3::xxh3_128(&segment[512..long(segment, FOOTER + 12)]).to_le_bytes();
        put(segment, FOOTER + 40, &digest);
    }
    let sum = seeded(0, &segment[FOOTER + 12..]);
    put(segment, FOOTER + 8, &sum);
}

/// Both say this of it, with `live` and without.
fn check_both(disk: &SimulatedDisk, refused: Option<&str>, what: &str) {
    for _ in 0..2 {
        let Some(told) = check_disk(disk) else {
            return;
        };
        let said = told.refusal().map(|refusal| refusal["refused"].as_str().expect("a name"));
        assert_eq!(said, refused, "{what}: {}", told.end());
        disk.remove_file("live");
    }
}

/// What it is, the file, where what is changed begins and where in that, and what for; and what it is refused for.
type Forged<'a> = (&'a str, &'a str, usize, usize, &'a [u8], Option<&'a str>);

#[test]
fn what_is_forged_in_what_compaction_wrote_is_the_same_to_both() {
    let (newer, misplaced, missing) = (Some("newer"), Some("damage: misplaced"), Some("damage: missing"));
    let four = |number: usize| (number as u32).to_le_bytes();
    let changes: [Forged<'_>; 26] = [
        ("a generation that is not that of the name", ROW, 0, 56, &[2], misplaced),
        ("no generation, but a row", ROW, 0, 56, &[0], newer),
        ("no generation and no row", ROW, 0, 56, &[0; 8], misplaced),
        ("a generation without a row", ROW, 0, 60, &[0], newer),
        ("a row from behind itself", ROW, 0, 60, &[4], newer),
        ("an end between two batches", ROW, FOOTER, 12, &four(BEFORE_END), misplaced),
        ("an end within a batch", ROW, FOOTER, 12, &four(BEFORE_END + 8), misplaced),
        ("an end behind the last batch", ROW, FOOTER, 12, &four(END + 8), missing),
        ("an end before the first batch", ROW, FOOTER, 12, &four(512), misplaced),
        ("another last position", ROW, FOOTER, 16, &[9], misplaced),
        ("another number of events", ROW, FOOTER, 24, &[3], misplaced),
        ("another number of batches", ROW, FOOTER, 32, &[3], misplaced),
        ("another digest", ROW, FOOTER, 40, &[1], misplaced),
        ("a footer that says more", ROW, FOOTER, 56, &[1], newer),
        ("a durable end in a segment that is not there", ALONE, 512, 24, &[7, 0, 0, 0, 0, 4], None),
        ("a start record that begins elsewhere", ROW, INNER, 48 + 64, &[4], misplaced),
        ("a start record that names another place", ROW, INNER, 48 + 72, &[9, 0, 0, 0, 1, 1, 1, 1, 1], None),
        ("a start record that says more", ROW, INNER, 48 + 84, &[1], newer),
        ("a session record that names another place", ROW, SESSION, 48 + 64, &[0; 8], None),
        ("a batch from before", ROW, INNER, 40, &[0; 8], misplaced),
        ("more that is removed", ROW, BEFORE_END, 48 + 72, &[11], misplaced),
        ("a segment behind a number of the row", ALONE, 512, 48 + 72, &[2], missing),
        ("a segment behind none", ALONE, 512, 48 + 72, &[0], missing),
        ("a segment behind itself", ALONE, 512, 48 + 72, &[4], missing),
        ("another end of the segment before", LAST, 512, 48 + 76, &[1], None),
        ("another checksum of the segment before", LAST, 512, 48 + 80, &[1], None),
    ];
    for (what, path, from, at, value, refused) in changes {
        let disk = golden();
        let mut segment = disk.read_file(path).expect("a segment");
        put(&mut segment, from + at, value);
        reseal(&mut segment, from);
        disk.write_file(path, &segment);
        check_both(&disk, refused, what);
    }
}

/// What it is, the files that are written with what another holds or removed; and what it is refused for.
type Moved<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)], Option<&'a str>);

#[test]
fn files_that_compaction_left_or_that_are_missing_say_the_same_to_both() {
    let (misplaced, missing) = (Some("damage: misplaced"), Some("damage: missing"));
    let changes: [Moved<'_>; 14] = [
        ("a file of a number within the row", &[("log/0000000001.log", Some(LAST))], None),
        ("one that compaction wrote", &[("log/0000000002-1.log", Some(LAST))], None),
        ("one that was not finished", &[("log/0000000003-2.log", Some(LAST))], None),
        ("one of the blank segment", &[("log/0000000006-1.log", Some(LAST))], None),
        ("an old one that is another", &[("log/0000000003.log", Some(LAST))], misplaced),
        ("an old one that is blank", &[("log/0000000004.log", Some(""))], missing),
        ("a name that says nothing", &[("log/0000000003-0.log", Some(ROW))], None),
        ("a name with a zero in front", &[("log/0000000003-01.log", Some(ROW)), (ROW, None)], missing),
        ("a generation that is too high", &[("log/0000000003-4294967296.log", Some(ROW)), (ROW, None)], missing),
        ("a name without the generation", &[("log/0000000003.log", Some(ROW)), (ROW, None)], misplaced),
        ("a name with another generation", &[("log/0000000003-2.log", Some(ROW)), (ROW, None)], misplaced),
        ("no row", &[(ROW, None)], missing),
        ("nothing behind the last that compaction wrote", &[(LAST, None), (BLANK, None)], missing),
        ("only what is blank behind it", &[(LAST, None)], missing),
    ];
    let all = golden().contents();
    for (what, changes, refused) in changes {
        let disk = golden();
        for (path, from) in changes {
            match from {
                Some(from) => disk.write_file(path, all.get(*from).map_or(&[], Vec::as_slice)),
                None => assert!(disk.remove_file(path), "{path}"),
            }
        }
        check_both(&disk, refused, what);
    }
}
