//! Derived files that verify and say what is not so, that were never written, or that are read while they change. Whatever
//! they say, nothing panics, nothing is silently missing, and what was acknowledged is there.

use super::support::{Home, name, small_segments};
use crate::model::{forget_derived, options};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, salvage_simulated, verify_simulated};
use scorebook::{
    Durability, ErrorKind, EventId, EventStore, ExactEvent, NewEvent, Position, Query, Timestamp, Version,
};

const FIRST_TERMS: &str = "log/0000000001.idx";

fn put(store: &EventStore, stream: &str, len: usize) -> Result<(), ErrorKind> {
    let event = NewEvent::bytes("t", vec![7; len]);
    let put = store.append(&name(stream), Any, [event]).wait();
    put.map(|_| ()).map_err(|error| error.into_error().kind())
}

/// Where the parts of a file of terms are.
struct Parts {
    marks: usize,
    base: usize,
    streams: usize,
}

impl Parts {
    fn of(bytes: &[u8]) -> Parts {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        let [marks, streams, terms] = [64, 68, 72].map(number);
        let len = streams * 36 + terms * 24 + [76, 80, 84, 88].map(number).iter().sum::<usize>();
        Parts { marks, base: 512 + marks * 24 + 4 * len.div_ceil(16 * 1024), streams }
    }
}

/// Gives a file of terms the checksums that its content asks for.
fn seal(bytes: &mut [u8]) {
    let Parts { marks, base, .. } = Parts::of(bytes);
    let sums: Vec<u8> =
        bytes[base..].chunks(16 * 1024).flat_map(|block| crc32fast::hash(block).to_le_bytes()).collect();
    bytes[512 + marks * 24..base].copy_from_slice(&sums);
    let sum = crc32fast::hash(&bytes[12..base]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// A closed store of five streams with one event each.
fn closed() -> SimulatedDisk {
    let disk = SimulatedDisk::new(5);
    let store = options().open_simulated(&disk).expect("a store");
    (0..5).for_each(|number| put(&store, &format!("s-{number}"), 10).expect("an append"));
    store.close().expect("closing");
    disk.kill()
}

/// The same with a file of terms that was changed and sealed again.
fn forged(change: impl Fn(&mut Vec<u8>, &Parts)) -> SimulatedDisk {
    let disk = closed();
    let mut bytes = disk.read_file(FIRST_TERMS).expect("it is there");
    let parts = Parts::of(&bytes);
    change(&mut bytes, &parts);
    seal(&mut bytes);
    disk.write_file(FIRST_TERMS, &bytes);
    disk
}

#[test]
fn the_tests_know_where_the_parts_of_a_file_of_terms_are() {
    let disk = closed();
    let bytes = disk.read_file(FIRST_TERMS).expect("it is there");
    let mut sealed = bytes.clone();
    seal(&mut sealed);
    assert!(sealed == bytes && Parts::of(&bytes).streams == 5);
}

#[test]
fn places_that_lie_outside_of_the_segment_are_errors() {
    for place in [0, 63, 4_097, 40_000, 0x7FFF_FFFF, 0xFFFF_FFF0, u32::MAX] {
        let disk = forged(|bytes, parts| {
            for number in 0..parts.streams {
                let at = parts.base + number * 36 + 20;
                bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(place));
            }
        });
        let store = options().open_simulated(&disk).expect("it opens");
        for number in 0..5 {
            let read: Vec<_> = store.read(&name(&format!("s-{number}"))).into_iter().collect();
            assert_eq!(read.len(), 1, "place {place}");
            let kind = read[0].as_ref().expect_err("no event stands there").kind();
            assert_eq!(kind, ErrorKind::Damaged, "place {place}");
        }
        let found = store.read_all().matching(Query::all().in_stream(&name("s-1"))).into_iter().next();
        assert!(found.is_none_or(|found| found.is_err()), "place {place}");
        put(&store, "s-1", 5).expect("the log is as it was");
    }
}

#[test]
fn marks_that_lie_outside_of_the_segment_make_the_file_count_for_nothing() {
    for mark in [u32::MAX, 0x7FFF_FFF0, 30_000] {
        let disk = forged(|bytes, _| bytes[512 + 16..512 + 20].copy_from_slice(&u32::to_le_bytes(mark)));
        let store = options().open_simulated(&disk).expect("it opens");
        put(&store, "s-1", 5).expect("the log is as it was");
        assert_eq!(store.read(&name("s-1")).into_iter().filter(|event| event.is_ok()).count(), 2, "mark {mark}");
    }
}

#[test]
fn versions_that_no_stream_can_have_make_the_table_count_for_nothing() {
    let disk = closed();
    let is_there = |slot: &&str| disk.read_file(slot).is_some();
    let slot = ["index/streams.0", "index/streams.1"].into_iter().find(is_there).expect("a table");
    let mut bytes = disk.read_file(slot).expect("it is there");
    // Behind the header: events, streams, holes, what was accepted, and consumers, holds, rules, what was decided about
    // streams and quotas, of which there are none; then the names, how long each is, and the versions.
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight")) as usize;
    let names_at = 512 + 65;
    let lens_at = names_at + 8 + number(&bytes, names_at);
    let versions_at = lens_at + 8 + number(&bytes, lens_at) + 8;
    assert_eq!(number(&bytes, lens_at), 5, "streams");
    bytes[versions_at..versions_at + 40].fill(0xFF);
    let digest = xxhash_rust::xxh3::xxh3_128(&bytes[24..]).to_le_bytes();
    bytes[8..24].copy_from_slice(&digest);
    disk.write_file(slot, &bytes);
    let store = options().open_simulated(&disk).expect("it opens");
    put(&store, "s-1", 5).expect("the log is as it was");
    assert_eq!(store.version(&name("s-1")).expect("a version"), Version::new(2));
}

#[test]
fn counts_that_no_segment_can_have_cost_neither_time_nor_memory() {
    let terms: usize = 20_000;
    let postings = 1024 * 1024;
    let disk = closed();
    let old = disk.read_file(FIRST_TERMS).expect("it is there");
    let Parts { marks, .. } = Parts::of(&old);
    let mut bytes = old[..512 + marks * 24].to_vec();
    bytes.resize(bytes.len() + 4 * (terms * 24 + postings).div_ceil(16 * 1024), 0);
    for number in 0..terms {
        bytes.extend_from_slice(&((number as u128) << 100).to_le_bytes());
        // As many as a table of groups of that length can speak of.
        bytes.extend_from_slice(&(((postings / 8 - 200) * 128) as u32).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.resize(bytes.len() + postings, 0);
    for (at, value) in [(68, 0), (72, terms), (76, postings), (80, 0), (84, 0), (88, 0)] {
        bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }
    seal(&mut bytes);
    disk.write_file(FIRST_TERMS, &bytes);
    // Telling each of them would take hours.
    let report = verify_simulated(&disk).expect("it can be verified");
    assert!(report.notes().iter().any(|note| note.contains(FIRST_TERMS)), "{:?}", report.notes());
    let store = options().open_simulated(&disk).expect("it opens");
    put(&store, "s-1", 5).expect("the log is as it was");
    assert_eq!(store.read_all().into_iter().filter(|event| event.is_ok()).count(), 6);
}

/// An index that verifies and knows of fewer events than there are is no reason to give fewer.
#[test]
fn a_stream_that_an_index_cuts_short_is_damaged_and_not_shorter() {
    let disk = SimulatedDisk::new(5);
    let store = options().open_simulated(&disk).expect("a store");
    (0..30).for_each(|_| put(&store, "s-1", 5_000).expect("an append"));
    store.close().expect("closing");
    let disk = disk.kill();
    let path = "log/0000000003.idx";
    let mut bytes = disk.read_file(path).expect("it is there");
    // It says that the stream has nothing before this segment.
    let at = Parts::of(&bytes).base + 32;
    bytes[at..at + 4].fill(0);
    seal(&mut bytes);
    disk.write_file(path, &bytes);
    let store = options().open_simulated(&disk).expect("it opens");
    let last = |read: scorebook::StreamRead| read.into_iter().last().map(|event| event.map_err(|error| error.kind()));
    assert_eq!(last(store.read(&name("s-1"))).expect("an item").map(|_| ()), Err(ErrorKind::Damaged));
    assert_eq!(last(store.read(&name("s-1")).backwards()).expect("an item").map(|_| ()), Err(ErrorKind::Damaged));
    assert_eq!(last(store.read(&name("s-1")).skipping_lost()).expect("an item").map(|_| ()), Err(ErrorKind::Damaged));
    assert_eq!(store.read_all().into_iter().filter(|event| event.is_ok()).count(), 30);
}

/// A store in which stream `b-1` has lost its only event, as a salvage found.
fn salvaged() -> SimulatedDisk {
    let source = SimulatedDisk::new(3);
    let store = options().open_simulated(&source).expect("a store");
    put(&store, "a-1", 40).expect("an append");
    let lost = NewEvent::bytes("t", b"LOSTLOSTLOSTLOST".to_vec());
    store.append(&name("b-1"), Any, [lost]).wait().expect("a receipt");
    put(&store, "a-1", 40).expect("an append");
    store.close().expect("closing");
    let source = source.kill();
    let log = source.read_file("log/0000000001.log").expect("the segment");
    let at = log.windows(8).position(|bytes| bytes == b"LOSTLOST").expect("it is in there");
    source.flip_bit("log/0000000001.log", at as u64, 1);
    let disk = SimulatedDisk::new(4);
    assert_eq!(salvage_simulated(&source, &disk).expect("what is left").lost().len(), 1);
    disk.kill()
}

#[test]
fn a_loss_that_a_salvage_found_is_known_with_and_without_derived_files() {
    let disk = SimulatedDisk::new(5);
    salvage_simulated(&salvaged(), &disk).expect("all of it, once more");
    let ask = |disk: &SimulatedDisk| {
        let store = options().open_simulated(disk).expect("it opens");
        let read = store.read(&name("b-1")).into_iter().next().expect("an item");
        (read.map(|_| ()).map_err(|error| error.kind()), put(&store, "b-1", 3))
    };
    let bare = disk.kill();
    forget_derived(&bare);
    let lost = (Err(ErrorKind::Lost), Err(ErrorKind::Lost));
    assert_eq!([ask(&bare), ask(&disk.kill())], [lost, lost]);
}

/// The table is written while the acceptance is on its way, at every length of what comes before it.
#[test]
fn a_loss_that_was_accepted_stays_accepted_after_a_kill() {
    for pad in (25_000..32_000).step_by(190) {
        let options = options().segment_bytes_max(64 * 1024);
        let store = options.open_simulated(&salvaged()).expect("it opens");
        drop(store);
        let disk = salvaged();
        let store = options.open_simulated(&disk).expect("it opens");
        put(&store, "a-1", pad).expect("an append");
        assert_eq!(put(&store, "b-1", 1), Err(ErrorKind::Lost));
        store.accept_losses().expect("it is accepted");
        put(&store, "b-1", 1).expect("an append");
        let store = options.open_simulated(&disk.kill()).expect("it opens");
        assert_eq!(put(&store, "c-1", 1), Ok(()), "behind {pad} bytes");
        assert_eq!(put(&store, "b-1", 1), Ok(()), "behind {pad} bytes");
    }
}

/// What a file of terms says is in doubt, is read from the segment again, and is packed, all at the same time.
#[test]
fn terms_that_are_read_again_beside_a_writer_hold_every_event_once() {
    let home = Home::disk();
    let options = small_segments().verify_at_open_max(0).durability(Durability::Written);
    let store = home.open_with(&options);
    (0..20).for_each(|_| put(&store, "hot-1", 100).expect("an append"));
    store.close().expect("closing");
    let mut appended = 20;
    for _ in 0..12 {
        let newest = home.contents().into_keys().rfind(|path| path.ends_with(".idx")).expect("a file of terms");
        let mut bytes = home.contents().remove(&newest).expect("it is there");
        let base = Parts::of(&bytes).base;
        bytes[base..].iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(home.path().join(&newest), &bytes).expect("it can be written");
        let store = home.open_with(&options);
        let of_type = || store.read_all().matching(Query::all().of_type("t"));
        std::thread::scope(|scope| {
            scope.spawn(|| (0..8).for_each(|_| put(&store, "hot-1", 9_000).expect("an append")));
            let counts = scope.spawn(|| (0..50).map(|_| of_type().count().expect("a number")).collect::<Vec<_>>());
            let counts = counts.join().expect("it ends");
            assert!(counts.is_sorted() && counts[0] >= appended, "{counts:?} behind {appended}");
        });
        appended += 8;
        let all = |store: &EventStore| {
            let versions = store.read(&name("hot-1")).into_iter().map(|event| event.expect("an event").version().get());
            (versions.eq(1..=appended), store.read_all().matching(Query::all().of_type("t")).count().expect("a number"))
        };
        assert_eq!(all(&store), (true, appended));
        store.close().expect("closing");
        assert_eq!(all(&home.open_with(&options)), (true, appended));
    }
}

#[test]
fn a_close_leaves_no_segment_without_its_file_of_terms() {
    let home = Home::disk();
    let store = home.open_with(&small_segments());
    let mut import = store.exact_import().expect("it is empty");
    for batch in 0..40_u64 {
        let event = |number: u64| ExactEvent {
            // Every other position is missing.
            position: Position::new(2 * (batch * 20 + number) + 1),
            stream: name("x-1"),
            version: Version::new(batch * 20 + number + 1),
            time: Timestamp::from_nanos(5),
            epoch: None,
            event: NewEvent::bytes("t", vec![1; 300]).id(EventId::from_bytes([number as u8; 16])),
        };
        import.append((0..20).map(event).collect()).expect("they fit");
    }
    import.finish().expect("synced");
    store.close().expect("closing");
    let contents = home.contents();
    let segments: Vec<&String> = contents.keys().filter(|path| path.ends_with(".log")).collect();
    let without = |path: &&&String| !contents.contains_key(&path.replace(".log", ".idx"));
    let without: Vec<&&String> = segments.iter().filter(without).collect();
    // One segment may be ready ahead.
    assert!(
        5 < segments.len() && without.iter().all(|path| Some(*path) == segments.last()),
        "{without:?} of {segments:?}"
    );
    assert_eq!(home.open().read(&name("x-1")).into_iter().filter(|event| event.is_ok()).count(), 800);
}

#[test]
fn terms_that_could_not_be_written_are_written_once_that_goes_again() {
    let disk = SimulatedDisk::new(9);
    let store = options().open_simulated(&disk).expect("a store");
    let terms = || disk.file_names().into_iter().filter(|path| path.ends_with(".idx")).count();
    let segments = || disk.file_names().into_iter().filter(|path| path.ends_with(".log")).count();
    // Enough for the next segment to be there, which is made ready ahead; then files cannot be created for a while.
    while segments() < 3 {
        put(&store, "a-1", 3_000).expect("an append");
    }
    disk.fail(DiskFault::new(DiskOperation::Create, std::io::ErrorKind::PermissionDenied).repeat());
    let before = terms();
    let kept = (0..60).take_while(|_| put(&store, "a-1", 3_000).is_ok()).count();
    assert!(5 < kept && terms() == before, "{kept} appends, {} files of terms", terms());
    disk.heal();
    for _ in 0..40 {
        let _ = put(&store, "a-1", 3_000);
    }
    assert!(before + 3 < terms() && segments() <= terms() + 2, "{} segments, {} files of terms", segments(), terms());
}

#[test]
fn a_table_is_not_written_again_for_a_single_append() {
    let disk = SimulatedDisk::new(9);
    let options = options();
    let store = options.open_simulated(&disk).expect("a store");
    (0..60).for_each(|number| put(&store, &format!("s-{number}"), 3_000).expect("an append"));
    store.close().expect("closing");
    let disk = disk.kill();
    let tables = || [0, 1].map(|slot| disk.read_file(&format!("index/streams.{slot}")));
    let before = tables();
    let store = options.open_simulated(&disk).expect("it opens");
    (0..5).for_each(|number| put(&store, &format!("s-{number}"), 10).expect("an append"));
    store.keep_house();
    assert!(before == tables(), "it was written again");
    (0..60).for_each(|number| put(&store, &format!("s-{number}"), 3_000).expect("an append"));
    assert!(before != tables(), "it was never written again");
}
