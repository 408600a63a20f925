//! Faults that were found, each as a small test that tells its story.

use crate::model::{Operation, Part, World, append, options, part, seed, write};
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure, salvage_simulated, verify_simulated,
};
use scorebook::{AllRead, Durability, ErrorKind, EventStore, Status};
use std::io;

const ONE: &[Part] = &[part(1, 1, 40)];
const WIDE: &[Part] = &[part(1, 1, 700), part(2, 2, 300), part(3, 1, 1)];

fn tell(operations: &[Operation]) -> World {
    let mut world = World::new(seed());
    world.open(0).expect("no power is cut");
    for operation in operations {
        world.step(operation).expect("no power is cut but as an operation");
    }
    world
}

/// A power cut took a written batch in part, and its positions were given again in the next segment. When the preamble of
/// that one did not verify, a reader went on with what was left of the old batch: good records, each verifying, that had
/// not counted for a long time.
#[test]
fn what_was_given_again_is_never_read_from_the_remains_of_the_first() {
    let whole = tell(&[append(&[ONE]), write(&[WIDE])]);
    for choice in (0..whole.disk.pending_items()).flat_map(|item| [CrashChoice::AllBut(item), CrashChoice::Only(item)])
    {
        let mut world = tell(&[append(&[ONE]), write(&[WIDE])]);
        for operation in [Operation::LosePower(choice.clone()), append(&[ONE, ONE]), Operation::Close, append(&[ONE])] {
            world.step(&operation).expect("no power is cut but as an operation");
        }
        let least = world.model.len();
        let logs = world.disk.file_names().into_iter().filter(|path| path.ends_with(".log"));
        for path in logs {
            for byte in [0, 20, 60, 530, 560] {
                let disk = world.disk.kill();
                disk.flip_bit(&path, byte, 1);
                let whence = format!("{choice:?}, byte {byte} of {path} flipped");
                match EventStore::options().open_simulated_read_only(&disk) {
                    Ok(reader) => world.model.check_damaged(&reader, least, &whence),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged, "{whence}: {error}"),
                }
            }
        }
    }
}

/// The sync of a segment that was made ahead of need failed, in an opening that had not written anything yet. Closing had
/// nothing to write, and so nothing failed.
#[test]
fn closing_a_store_that_latched_says_so_also_where_nothing_was_left_to_write() {
    for operation in [DiskOperation::Sync, DiskOperation::SyncDirectory] {
        let world = tell(&[append(&[ONE]), Operation::Close]);
        // The segment that was ready is gone, so the first append must make one.
        world.disk.fail(DiskFault::new(operation, io::ErrorKind::Other).repeat());
        world.disk.set_sync_failure(SyncFailure::Keep);
        let store = world.store();
        let refused = store.append(
            &scorebook::StreamName::new("game-1").expect("a name"),
            scorebook::ExpectedVersion::Any,
            [scorebook::NewEvent::bytes("weighed", vec![0; 60_000])],
        );
        let error = refused.wait().expect_err("no room can be made").into_error();
        assert!([ErrorKind::Poisoned, ErrorKind::OutcomeUnknown].contains(&error.kind()), "{error}");
        assert_eq!(store.status(), Status::Poisoned);
        assert_eq!(store.close().expect_err("it latched").kind(), ErrorKind::Poisoned);
        world.disk.heal();
        assert_eq!(options().open_simulated(&world.disk).expect("it opens").head().expect("a head").get(), 1);
    }
}

/// Room for the segment after the next could not be made. The store said that it was full, and took every append.
#[test]
fn a_store_that_only_lacks_room_ahead_of_need_is_not_full() {
    let mut world = tell(&[]);
    world.disk.fail(DiskFault::new(DiskOperation::Create, io::ErrorKind::StorageFull).repeat());
    assert_eq!(world.append(&[ONE.to_vec()], Durability::Synced), [None]);
    assert_eq!(world.store().status(), Status::Writing);
}

// What fuzzing found: logs of which every checksum is right, and that say what no log can say.

const SEGMENT: &str = "log/0000000001.log";
const SECOND: &str = "log/0000000002.log";

/// A closed store: a start record, two batches of which the second has events of two streams, and a close record.
fn closed() -> SimulatedDisk {
    tell(&[append(&[ONE, &[part(1, 1, 40), part(2, 1, 40)]]), Operation::Close]).disk.kill()
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Changes a batch of a segment, the start record being number 0, and makes its checksums right. `change` is given the
/// batch and all that follows it.
fn forge(disk: &SimulatedDisk, path: &str, number: usize, change: impl FnOnce(&mut [u8])) {
    let mut segment = disk.read_file(path).expect("a segment");
    let salt = crc32fast::hash(&segment[16..52]);
    let begin = (0..number).fold(512, |offset, _| offset + long(&segment, offset + 8) as usize);
    let batch = &mut segment[begin..];
    change(batch);
    let seeded = |offset: usize, bytes: &[u8]| {
        let mut hasher = crc32fast::Hasher::new_with_initial(salt ^ (begin + offset) as u32);
        hasher.update(bytes);
        hasher.finalize().to_le_bytes()
    };
    let mut at = 48;
    for _ in 0..batch[12] {
        let behind = at + 64 + long(batch, at + 48) as usize;
        let body = crc32fast::hash(&batch[at + 44..behind]).to_le_bytes();
        put(batch, at + 4, &body);
        let header = seeded(at, &batch[at + 4..at + 64]);
        put(batch, at, &header);
        at = behind;
    }
    let header = seeded(0, &batch[8..48]);
    put(batch, 4, &header);
    disk.write_file(path, &segment);
}

/// The log is refused when it is opened for writing, and whoever only reads or verifies is told too.
fn check_refused(disk: &SimulatedDisk, kind: ErrorKind, what: &str) {
    let before = disk.contents();
    let error = options().open_simulated(disk).expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(disk.contents()[SEGMENT] == before[SEGMENT], "{what}: the log was changed");
    match (options().open_simulated_read_only(disk), verify_simulated(disk)) {
        (Ok(reader), Ok(verified)) => {
            assert!(!reader.recovery_report().damage().is_empty(), "{what}: not a word to a reader");
            assert!(!verified.is_sound(), "{what}: verified as sound");
        }
        (Err(one), Err(other)) => assert_eq!([one.kind(), other.kind()], [kind, kind], "{what}"),
        (reader, verified) => panic!("{what}: {:?} and {verified:?}", reader.err()),
    }
}

/// Nobody looked at the fields that only events use: a marker or a range could have any in them, and session, watermark
/// and close records any body.
#[test]
fn a_record_that_says_more_than_its_kind_can_say_is_refused() {
    let changes: [(&str, usize, usize, &[u8], ErrorKind); 9] = [
        ("a flag", 3, 48 + 45, &[1], ErrorKind::TooNew),
        ("a length of a name", 3, 48 + 46, &[1], ErrorKind::TooNew),
        ("a length of a type", 3, 48 + 47, &[1], ErrorKind::TooNew),
        ("a length of metadata", 3, 48 + 52, &[1], ErrorKind::TooNew),
        ("a schema", 3, 48 + 56, &[1], ErrorKind::TooNew),
        ("a length of tags", 3, 48 + 60, &[1], ErrorKind::TooNew),
        ("a codec", 3, 48 + 62, &[1], ErrorKind::TooNew),
        ("a position", 3, 48 + 8, &[1], ErrorKind::Damaged),
        ("a version", 0, 48 + 16, &[1], ErrorKind::Damaged),
    ];
    for (what, number, at, value, kind) in changes {
        let disk = closed();
        forge(&disk, SEGMENT, number, |batch| put(batch, at, value));
        check_refused(&disk, kind, what);
    }
    let disk = closed();
    forge(&disk, SEGMENT, 3, |batch| {
        put(batch, 8, &120_u32.to_le_bytes());
        put(batch, 48 + 48, &8_u32.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::TooNew, "a close record with a body");
}

/// The same for what a session record says of the place it goes on from.
#[test]
fn a_session_record_names_the_place_where_it_stands() {
    for (at, value) in [(48 + 64, 7_u32), (48 + 68, 512)] {
        let disk = tell(&[append(&[ONE]), Operation::Close, append(&[ONE])]).disk.kill();
        forge(&disk, SEGMENT, 3, |batch| put(batch, at, &value.to_le_bytes()));
        check_refused(&disk, ErrorKind::Damaged, "a session record that stands elsewhere");
    }
}

/// What can be read of a log with damage, and whether that is all.
fn numbers(read: AllRead) -> (Vec<u64>, bool) {
    let read: Vec<_> = read.into_iter().map(|event| event.ok().map(|event| event.position().get())).collect();
    (read.iter().flatten().copied().collect(), read.iter().all(Option::is_some))
}

/// The second event of a batch had a version from nowhere. The batch did not count, but its first event was in the table
/// of streams, and a salvage counted it among those it had copied.
#[test]
fn a_batch_whose_last_event_does_not_belong_is_not_there_in_part() {
    let disk = closed();
    forge(&disk, SEGMENT, 2, |batch| {
        let second = 48 + 64 + long(batch, 48 + 48) as usize;
        put(batch, second + 16, &3_u64.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::Damaged, "a version from nowhere");
    let reader = options().open_simulated_read_only(&disk).expect("damage is passed over");
    assert_eq!(numbers(reader.read_all().skipping_lost()), (vec![1], true));
    assert_eq!(reader.stats().expect("numbers").events(), 1);
    let first = reader.read(&scorebook::StreamName::new("game-1").expect("a name")).skipping_lost();
    assert_eq!(first.into_iter().filter_map(Result::ok).count(), 1, "the stream of the event that was good");
    let copy = SimulatedDisk::new(seed());
    assert_eq!(salvage_simulated(&disk, &copy).expect("a salvage").events_copied(), 1);
    let copied = options().open_simulated(&copy).expect("what was salvaged");
    assert_eq!(numbers(copied.read_all().skipping_lost()), (vec![1], true));
}

/// A segment said that it begins behind the positions of its own batches. They did not count, and a reader that came by
/// them gave them all the same, because each of them verifies.
#[test]
fn a_reader_gives_nothing_that_opening_passed_over() {
    let disk = closed();
    forge(&disk, SEGMENT, 0, |batch| {
        put(batch, 32, &9_u64.to_le_bytes());
        put(batch, 48 + 64, &9_u64.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::Damaged, "positions before the segment's first");
    let reader = options().open_simulated_read_only(&disk).expect("damage is passed over");
    for read in [reader.read_all(), reader.read_all().backwards()] {
        assert!(numbers(read.clone().skipping_lost()).0.is_empty());
        assert_eq!(numbers(read), (vec![], false), "and that is said");
    }
}

/// The second segment spoke of positions that the first one has. Where it began was then not told by the positions any
/// more, and a reader that skips what is lost found nothing of the first.
#[test]
fn a_segment_that_claims_to_begin_too_early_hides_nothing_before_it() {
    let disk = tell(&[append(&[ONE]), append(&[&[part(1, 1, 30_000)], &[part(1, 1, 30_000)]])]).disk.kill();
    forge(&disk, SECOND, 0, |batch| {
        put(batch, 32, &1_u64.to_le_bytes());
        put(batch, 48 + 64, &1_u64.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::Damaged, "a segment that begins before its predecessor ends");
    let reader = options().open_simulated_read_only(&disk).expect("damage is passed over");
    assert_eq!(numbers(reader.read_all().skipping_lost()), (vec![1, 2, 3], true));
    assert_eq!(numbers(reader.read_all().skipping_lost().backwards()), (vec![3, 2, 1], true));
}

/// `live` named an end in the middle of a batch. Opening refused it, and the log was verified as sound.
#[test]
fn an_end_in_the_middle_of_a_batch_is_damage_to_everybody() {
    let disk = closed();
    let mut live = disk.read_file("live").expect("`live`");
    for slot in live.chunks_exact_mut(512) {
        let within = long(slot, 60) - 8;
        put(slot, 60, &within.to_le_bytes());
        let sum = crc32fast::hash(&slot[12..]).to_le_bytes();
        put(slot, 8, &sum);
    }
    disk.write_file("live", &live);
    check_refused(&disk, ErrorKind::Damaged, "an end within a batch");
}

/// A footer that verifies and says more than is known was taken for none.
#[test]
fn a_footer_that_says_more_than_is_known_is_refused() {
    let disk = closed();
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    let behind = segment.len() - 512;
    put(&mut segment, behind, b"SEALED\n\0");
    segment[behind + 56] = 1;
    let mut hasher = crc32fast::Hasher::new_with_initial(crc32fast::hash(&segment[16..52]));
    hasher.update(&segment[behind + 12..]);
    put(&mut segment, behind + 8, &hasher.finalize().to_le_bytes());
    disk.write_file(SEGMENT, &segment);
    check_refused(&disk, ErrorKind::TooNew, "a footer of another version");
}

/// Of a sealed segment nothing was left but its preamble and its footer, and nothing else of the log at all. It was taken
/// for one that was never begun, and the store for an empty one.
#[test]
fn a_footer_alone_proves_that_there_was_something_before_it() {
    let disk = tell(&[append(&[ONE]), append(&[&[part(1, 1, 30_000)], &[part(1, 1, 30_000)]])]).disk.kill();
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    let behind = segment.len() - 512;
    assert_eq!(&segment[behind..behind + 4], b"SEAL", "the first segment is sealed");
    segment[512..behind].fill(0xA5);
    disk.write_file(SEGMENT, &segment);
    disk.remove_file(SECOND);
    disk.remove_file("live");
    check_refused(&disk, ErrorKind::Damaged, "a footer with nothing before it");
}

/// A file that was cut had a preamble that said four gigabytes. They were taken from memory before it was read.
#[test]
fn a_preamble_takes_no_more_memory_than_its_file_has_bytes() {
    let disk = closed();
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    put(&mut segment, 52, &0xFFFF_FE00_u32.to_le_bytes());
    let sum = crc32fast::hash(&segment[12..512]).to_le_bytes();
    put(&mut segment, 8, &sum);
    disk.write_file(SEGMENT, &segment);
    check_refused(&disk, ErrorKind::Damaged, "a preamble that says four gigabytes");
}
