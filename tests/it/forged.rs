//! Forged logs: every checksum is right, and they say what no log can say. Each is refused by whoever writes, and told to
//! whoever only reads or verifies. Most were found by fuzzing.

use crate::model::{Operation, Part, World, append, forget_derived, part, seed, write};
use scorebook::testing::{SimulatedDisk, salvage_simulated, verify_simulated};
use scorebook::{AllRead, ErrorKind, EventStore, Options};

const ONE: &[Part] = &[part(1, 1, 40)];

/// What is so small is read as a whole.
fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

fn tell(operations: &[Operation]) -> World {
    World::tell(operations, seed(), None)
}

const SEGMENT: &str = "log/0000000001.log";
const SECOND: &str = "log/0000000002.log";

/// A closed store: a start record, two batches of which the second has events of two streams, and a close record.
fn closed() -> SimulatedDisk {
    plain(tell(&[append(&[ONE, &[part(1, 1, 40), part(2, 1, 40)]]), Operation::Close]))
}

/// What a program left, without anything that is derived from the log: the log alone is forged.
fn plain(world: World) -> SimulatedDisk {
    let disk = world.disk.kill();
    forget_derived(&disk);
    disk
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A closed store of two segments, the first sealed.
fn rolled_over() -> SimulatedDisk {
    let large: &[Part] = &[part(1, 1, 30_000)];
    plain(tell(&[append(&[ONE]), append(&[large, large]), Operation::Close]))
}

/// Changes the last sector of the first segment, where its footer stands, and makes the checksum right.
fn forge_footer(disk: &SimulatedDisk, change: impl FnOnce(&mut [u8])) {
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    let salt = crc32fast::hash(&segment[16..52]);
    let footer = segment.last_chunk_mut::<512>().expect("a segment is longer");
    change(footer);
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(&footer[12..]);
    put(footer, 8, &hasher.finalize().to_le_bytes());
    disk.write_file(SEGMENT, &segment);
}

/// Changes what the preamble of the first segment says of its size.
fn forge_size(disk: &SimulatedDisk, size: u32) {
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    put(&mut segment, 52, &size.to_le_bytes());
    let sum = crc32fast::hash(&segment[12..512]).to_le_bytes();
    put(&mut segment, 8, &sum);
    disk.write_file(SEGMENT, &segment);
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
        let disk = plain(tell(&[append(&[ONE]), Operation::Close, append(&[ONE])]));
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
    let disk = plain(tell(&[append(&[ONE]), append(&[&[part(1, 1, 30_000)], &[part(1, 1, 30_000)]])]));
    forge(&disk, SECOND, 0, |batch| {
        put(batch, 32, &1_u64.to_le_bytes());
        put(batch, 48 + 64, &1_u64.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::Damaged, "a segment that begins before its predecessor ends");
    let reader = options().open_simulated_read_only(&disk).expect("damage is passed over");
    assert_eq!(numbers(reader.read_all().skipping_lost()), (vec![1, 2, 3], true));
    assert_eq!(numbers(reader.read_all().skipping_lost().backwards()), (vec![3, 2, 1], true));
}

/// A batch behind damage said that it begins beyond the last position there can be. The positions before it were noted as
/// lost, and what was salvaged could not be opened for it.
#[test]
fn what_is_salvaged_opens_whatever_positions_were_claimed() {
    const BEYOND: u64 = 1 << 62;
    for (number, at) in [(0, RECORD + 64), (1, 32), (2, 32)] {
        for claimed in [BEYOND - 1, BEYOND, u64::MAX] {
            let disk = closed();
            forge(&disk, SEGMENT, number, |batch| {
                put(batch, 32, &claimed.to_le_bytes());
                put(batch, at, &claimed.to_le_bytes());
            });
            check_refused(&disk, ErrorKind::Damaged, &format!("batch {number} at position {claimed}"));
            let copy = SimulatedDisk::new(seed());
            let report = salvage_simulated(&disk, &copy).expect("a salvage");
            let copied = options().open_simulated(&copy).expect("what was salvaged");
            assert_eq!(copied.stats().expect("numbers").events(), report.events_copied(), "batch {number}, {claimed}");
        }
    }
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

/// `live` had lost zeros at its end: it proved nothing when the store was opened, and proved damage once an append had
/// written a slot behind them.
#[test]
fn zeros_that_live_has_lost_at_its_end_make_no_difference() {
    let disk = closed();
    let live = disk.read_file("live").expect("`live`");
    let newest = live.chunks_exact(512).max_by_key(|slot| long(slot, 48)).expect("two slots");
    let mut segment = disk.read_file(SEGMENT).expect("the first segment");
    segment[520] ^= 1;
    segment[512 + 136..].fill(0);
    disk.write_file(SEGMENT, &segment);
    for len in [93, 200, 511, 512] {
        disk.write_file("live", &newest[..len]);
        check_refused(&disk, ErrorKind::Damaged, &format!("no start record, and `live` has {len} bytes"));
    }
}

/// A footer that verifies and says more than is known was taken for none.
#[test]
fn a_footer_that_says_more_than_is_known_is_refused() {
    let disk = closed();
    forge_footer(&disk, |footer| {
        put(footer, 0, b"SEALED\n\0");
        footer[56] = 1;
    });
    check_refused(&disk, ErrorKind::TooNew, "a footer of another version");
}

/// Of a sealed segment nothing was left but its preamble and its footer, and nothing else of the log at all. It was taken
/// for one that was never begun, and the store for an empty one.
#[test]
fn a_footer_alone_proves_that_there_was_something_before_it() {
    let disk = plain(tell(&[append(&[ONE]), append(&[&[part(1, 1, 30_000)], &[part(1, 1, 30_000)]])]));
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
    forge_size(&disk, 0xFFFF_FE00);
    check_refused(&disk, ErrorKind::Damaged, "a preamble that says four gigabytes");
}

/// What a batch says: where it changes, to what, and what that is.
type Saying = (&'static str, usize, usize, &'static [u8], ErrorKind);

const FAR: &[u8] = &(i64::MAX / 2).to_le_bytes();
const EARLY: &[u8] = &(-1_i64).to_le_bytes();
/// The record of a batch begins here.
const RECORD: usize = 48;

#[test]
fn a_batch_that_says_what_no_batch_can_say_is_refused() {
    use ErrorKind::{Damaged, TooNew};
    let sayings: [Saying; 22] = [
        ("a flag of a batch", 1, 14, &[1], TooNew),
        ("an epoch that no record began", 1, 16, &[9], Damaged),
        ("a first position from nowhere", 2, 32, &[9], Damaged),
        ("a time before the last", 2, 40, EARLY, Damaged),
        ("a kind that nobody knows", 1, RECORD + 44, &[200], TooNew),
        ("a reserved byte", 1, RECORD + 63, &[1], TooNew),
        ("a start record in the middle", 3, RECORD + 44, &[2], Damaged),
        ("an epoch unlike the batch's", 1, RECORD + 40, &[9], Damaged),
        ("a position unlike the batch's", 1, RECORD + 8, &[9], Damaged),
        ("a version of none", 1, RECORD + 16, &[0], Damaged),
        ("a version beyond the position", 1, RECORD + 16, &[5], Damaged),
        ("a time behind that of the batch", 1, RECORD + 24, FAR, Damaged),
        ("a time before the event before it", 2, RECORD + 24, EARLY, Damaged),
        ("a flag of an event", 1, RECORD + 45, &[0x80], TooNew),
        ("a name longer than the record", 1, RECORD + 46, &[255], Damaged),
        ("metadata longer than the record", 1, RECORD + 52, &[255, 255], Damaged),
        ("no schema", 1, RECORD + 56, &[0, 0, 0, 0], Damaged),
        ("no codec", 1, RECORD + 62, &[0], Damaged),
        ("a name that is no text", 1, RECORD + 64, &[0xFF], Damaged),
        ("a start record without an epoch", 0, 16, &[0, 0, 0, 0], Damaged),
        ("a reserved field of a start record", 0, RECORD + 64 + 20, &[1], TooNew),
        ("a predecessor that was never there", 0, RECORD + 64 + 8, &[1, 0, 0, 0, 0, 2], Damaged),
    ];
    for (what, number, at, value, kind) in sayings {
        let disk = closed();
        forge(&disk, SEGMENT, number, |batch| put(batch, at, value));
        check_refused(&disk, kind, what);
    }
}

#[test]
fn a_segment_that_disagrees_with_its_successor_or_its_footer_is_refused() {
    let disk = rolled_over();
    forge(&disk, SECOND, 0, |batch| put(batch, RECORD + 64 + 16, &[1, 2, 3, 4]));
    check_refused(&disk, ErrorKind::Damaged, "another checksum of the last batch");
    let disk = rolled_over();
    forge(&disk, SECOND, 0, |batch| {
        let end = long(batch, RECORD + 64 + 12) - 8;
        put(batch, RECORD + 64 + 12, &end.to_le_bytes());
    });
    check_refused(&disk, ErrorKind::Damaged, "another end");
    for (what, at) in [("end", 12), ("last position", 16), ("events", 24), ("batches", 32), ("digest", 40)] {
        let disk = rolled_over();
        forge_footer(&disk, |footer| footer[at] ^= 8);
        check_refused(&disk, ErrorKind::Damaged, what);
    }
    let disk = rolled_over();
    forge_footer(&disk, |footer| footer[100] = 1);
    check_refused(&disk, ErrorKind::TooNew, "a footer that says more");
    disk.garble(SEGMENT, 512..700, 1);
    check_refused(&disk, ErrorKind::TooNew, "a footer that says more, and nothing before it");
}

#[test]
fn a_preamble_of_a_size_that_is_never_made_is_refused() {
    for size in [0, 512, 16_384, 32_768 + 8] {
        let disk = closed();
        forge_size(&disk, size);
        check_refused(&disk, ErrorKind::Damaged, &format!("{size} bytes"));
    }
}

/// What nothing proves is copied when it follows what is before it, and is no torn tail when it verifies and does not.
#[test]
fn a_tail_that_verifies_and_does_not_belong_is_refused() {
    let tail = || {
        let disk = plain(tell(&[append(&[ONE]), write(&[ONE, ONE])]));
        disk.remove_file("live");
        disk
    };
    assert_eq!(options().open_simulated(&tail()).expect("it belongs").head().expect("a head").get(), 3);
    for (what, at, value, kind) in [
        ("a version from nowhere", RECORD + 16, 7, ErrorKind::Damaged),
        ("a position from nowhere", RECORD + 8, 7, ErrorKind::Damaged),
        ("a flag of a batch", 14, 1, ErrorKind::TooNew),
        ("a codec of none", RECORD + 62, 0, ErrorKind::Damaged),
        ("a flag of an event", RECORD + 45, 128, ErrorKind::TooNew),
    ] {
        let disk = tail();
        forge(&disk, SEGMENT, 3, |batch| batch[at] = value);
        check_refused(&disk, kind, what);
    }
}

/// Losses are records too: of positions that come next, and of an acceptance of what is before it.
#[test]
fn a_loss_of_what_is_not_next_is_refused() {
    let damaged = plain(tell(&[append(&[ONE]), append(&[ONE]), append(&[ONE]), Operation::Close]));
    let flipped = damaged.read_file(SEGMENT).expect("a segment").len() as u64;
    assert!(672 + 100 < flipped);
    let second = {
        let segment = damaged.read_file(SEGMENT).expect("a segment");
        (0..2).fold(512, |offset, _| offset + long(&segment, offset + 8) as usize)
    };
    damaged.flip_bit(SEGMENT, second as u64 + 100, 3);
    let salvaged = || {
        let copy = SimulatedDisk::new(seed());
        assert_eq!(salvage_simulated(&damaged, &copy).expect("a salvage").events_copied(), 2);
        let number = (0..).find(|number| {
            let segment = copy.read_file(SEGMENT).expect("a segment");
            let begin = (0..*number).fold(512, |offset, _| offset + long(&segment, offset + 8) as usize);
            segment[begin + RECORD + 44] == 15
        });
        (copy, number.expect("a loss was recorded"))
    };
    let (sound, _) = salvaged();
    assert!(options().open_simulated(&sound).is_ok());
    for (what, at, value, kind) in [
        ("a loss that does not come next", 0, 3, ErrorKind::Damaged),
        ("a loss that ends before it begins", 8, 1, ErrorKind::Damaged),
        ("a state that nobody knows", 16, 9, ErrorKind::TooNew),
        ("an acceptance of what is to come", 16, 2, ErrorKind::Damaged),
        ("a reserved field", 20, 1, ErrorKind::TooNew),
    ] {
        let (copy, number) = salvaged();
        forge(&copy, SEGMENT, number, |batch| batch[RECORD + 64 + at] = value);
        check_refused(&copy, kind, what);
    }
}
