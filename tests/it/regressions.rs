//! Faults that were found, each as a small test that tells its story.

use super::support::{
    Home, add, check_says, events, eventually, kilobyte, name, numbers, small_segments, wherever_it_lasts,
};
use crate::model::{Operation, Part, World, append, options, part, seed, write};
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure, backup_simulated, restore_simulated,
};
use scorebook::{
    Aggregate, Durability, ErrorKind, EventContext, EventStore, ExpectedVersion, Options, Position, ReadMode,
    Retention, Scope, Status, StreamName, Timestamp, Until, Version,
};
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
            &StreamName::new("game-1").expect("a name"),
            ExpectedVersion::Any,
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

/// A store was restored up to a place within a segment that compaction had written, and backed up before anything was
/// appended: of the segment behind, in which nothing stood, the second backup knew nothing, and what was restored of it did not
/// open.
#[test]
fn what_was_restored_from_within_a_rewritten_segment_is_backed_up_and_restored_again() {
    let first = SimulatedDisk::new(1);
    let store = small_segments().open_simulated(&SimulatedDisk::new(3)).expect("it opens");
    for number in 0..60 {
        add(&store, &name(["game-1", "game-2"][number % 2]), [kilobyte(number as u64)]);
    }
    store.truncate_before(&name("game-1"), Version::new(20)).wait().expect("it begins later");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    backup_simulated(&store, &first).expect("a backup");
    for last in (1..=60).step_by(7) {
        let (once, twice) = (SimulatedDisk::new(4), SimulatedDisk::new(5));
        restore_simulated(&first, &once, Until::Position(Position::new(last))).expect("it is restored");
        let restored = small_segments().open_simulated(&once).expect("it opens");
        let backup = SimulatedDisk::new(6);
        backup_simulated(&restored, &backup).expect("a backup");
        restore_simulated(&backup, &twice, Until::Everything).expect("it is restored");
        let again = small_segments().open_simulated(&twice).expect("it opens");
        assert_eq!(numbers(again.read_all()), numbers(restored.read_all()), "up to {last}");
        add(&again, &name("game-2"), events(1..2));
    }
}

/// What is said of streams has the time of the clock, which may go back, and events do not go back: a restore to a time ended
/// where something was said while the clock was ahead, without the events of earlier times behind it.
#[test]
fn what_was_said_while_the_clock_was_ahead_takes_no_event_from_what_is_restored() {
    let (source, backup) = (SimulatedDisk::new(1), SimulatedDisk::new(2));
    let store = small_segments().open_simulated(&source).expect("it opens");
    let (a, hour) = (name("game-1"), 3_600);
    let set_clock = |seconds: i64| source.set_time(Timestamp::from_nanos(seconds * 1_000_000_000));
    set_clock(hour);
    add(&store, &a, events(1..3));
    set_clock(9 * hour);
    store.batch().set_metadata(&a, None, &"said too soon").commit().wait().expect("it is said");
    set_clock(2 * hour);
    let last = add(&store, &a, events(3..5)).time();
    store.batch().set_metadata(&a, None, &"said").commit().wait().expect("it is said");
    set_clock(3 * hour);
    store.batch().set_metadata(&a, None, &"said later").commit().wait().expect("it is said");
    add(&store, &a, events(5..6));
    backup_simulated(&store, &backup).expect("a backup");
    let restored = SimulatedDisk::new(3);
    let until = Timestamp::from_nanos(last.nanos() + 1_000_000_000);
    let report = restore_simulated(&backup, &restored, Until::Time(until)).expect("it is restored");
    assert_eq!(report.position(), Position::new(4));
    let restored = small_segments().open_simulated(&restored).expect("it opens");
    assert_eq!(numbers(restored.read(&a)), [1, 2, 3, 4]);
    let said = restored.metadata(&a).expect("an answer").expect("something was said");
    assert_eq!(said.decode::<String>().expect("a text"), "said");
}

scorebook::events! {
    #[derive(Clone, Debug)]
    enum Counted {
        One(u64) = "counted", 1;
    }
}

#[derive(Clone, Debug)]
struct Sum(u64);

impl Aggregate for Sum {
    type Event = Counted;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Sum {
        Sum(0)
    }

    fn decide(&self, one: &u64) -> Result<Vec<Counted>, ()> {
        Ok(vec![Counted::One(*one)])
    }

    fn apply(&mut self, Counted::One(one): &Counted, _: &EventContext<'_>) {
        self.0 += one;
    }
}

/// A stream that begins behind its last event was loaded as if it had never had any.
#[test]
fn a_stream_of_which_nothing_is_kept_is_not_loaded_as_a_new_one() {
    let store = Options::default().open_in_memory().expect("a store");
    let a = name("game-1");
    let time = add(&store, &a, events(1..4)).time();
    let handle = || store.aggregate::<Sum>(&a);
    assert_eq!(handle().load().expect("all of it is there").state().0, 6);
    store.truncate_before(&a, Version::new(4)).wait().expect("it begins later");
    let before = Timestamp::from_nanos(time.nanos() - 1);
    let told = [handle().load(), handle().state_at(time), handle().state_at(before)];
    for error in told.map(|told| told.expect_err("nobody knows the rest")) {
        check_says(&error, ErrorKind::BelowFloor, &["it begins with version 4"]);
    }
    assert_eq!(handle().state_at(Version::NONE).expect("that is before all of it").state().0, 0);
    assert_eq!(store.aggregate::<Sum>(&name("game-2")).load().expect("it is new").state().0, 0);
}

/// Of a batch whose events had been removed, the key was in a store that was restored to a time before it.
#[test]
fn a_key_does_not_come_back_without_the_batch_that_it_is_of() {
    let (source, backup, restored) = (SimulatedDisk::new(1), SimulatedDisk::new(2), SimulatedDisk::new(3));
    let store = small_segments().open_simulated(&source).expect("it opens");
    let (over, live) = (name("game-1"), name("game-2"));
    let keyed = |store: &EventStore| {
        let batch = store.batch().append(&over, ExpectedVersion::Any, events(1..3)).once("interaction-1");
        batch.commit().wait().expect("accepted").is_repeat()
    };
    let before = add(&store, &live, events(1..3)).time();
    source.advance(std::time::Duration::from_secs(60));
    assert!(!keyed(&store));
    (0..40).for_each(|number| drop(add(&store, &live, [kilobyte(number)])));
    store.truncate_before(&over, Version::new(3)).wait().expect("it begins later");
    store.compaction().thoroughly().with_last_events().plan().expect("a plan").apply().expect("it is done");
    backup_simulated(&store, &backup).expect("a backup");
    assert!(keyed(&store));
    restore_simulated(&backup, &restored, Until::Time(before)).expect("it is restored");
    let store = small_segments().open_simulated(&restored).expect("it opens");
    assert_eq!((numbers(store.read_all()), store.head().expect("a head").get()), (vec![1, 2], 2));
    assert!(!keyed(&store), "the batch is not there");
}

/// Where the last events of a stream were removed and earlier ones are held, what is known of the stream gave another version
/// before an opening than behind it.
#[test]
fn a_stream_goes_on_from_the_version_it_had_and_says_so() {
    let disk = SimulatedDisk::new(1);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let a = name("game-1");
    add(&store, &a, events(1..4));
    add(&store, &a, [kilobyte(4), kilobyte(5)]);
    (0..40).for_each(|number| drop(add(&store, &name("game-2"), [kilobyte(number)])));
    let weighed = Scope::event_type("weighed").expect("a type");
    let rule = Retention::forever().newer_than(std::time::Duration::from_secs(60));
    store.batch().retain(&weighed, rule).commit().wait().expect("a rule");
    disk.advance(std::time::Duration::from_secs(3_600));
    store.compaction().thoroughly().with_last_events().plan().expect("a plan").apply().expect("it is done");
    let check = |store: &EventStore| {
        let info = store.stream_info(&a).expect("it is there");
        assert_eq!((info.version().get(), info.count(), info.last_position().get()), (5, 3, 3));
        assert_eq!(store.streams().list().expect("a list")[0].version().get(), 5);
    };
    check(&store);
    store.close().expect("it closes");
    crate::model::forget_derived(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    check(&store);
    let receipt = store.append(&a, ExpectedVersion::Exact(Version::new(5)), events(6..7)).wait().expect("it goes on");
    assert_eq!(receipt.of(&a).map(|of| of.first_version().get()), Some(6));
}

/// A stream was deleted and begun anew. When all that had come behind was removed, it was said to be deleted, although whoever
/// appended was told that it is there.
#[test]
fn a_stream_that_was_begun_anew_is_not_deleted_when_nothing_is_left_of_it() {
    let disk = SimulatedDisk::new(1);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let a = name("game-1");
    add(&store, &a, events(1..4));
    store.delete(&a, ExpectedVersion::Any, "a mistake").wait().expect("it is deleted");
    add(&store, &a, events(4..6));
    (0..40).for_each(|number| drop(add(&store, &name("game-2"), [kilobyte(number)])));
    store.truncate_before(&a, Version::new(6)).wait().expect("it begins later");
    store.compaction().thoroughly().with_last_events().plan().expect("a plan").apply().expect("it is done");
    let check = |store: &EventStore| {
        let error = store.read(&a).into_iter().next().expect("an answer").expect_err("nothing is left");
        check_says(&error, ErrorKind::BelowFloor, &["begins with version 6"]);
        assert!(store.exists(&a).expect("an answer"));
    };
    check(&store);
    store.close().expect("it closes");
    crate::model::forget_derived(&disk);
    check(&small_segments().open_simulated(&disk).expect("it opens"));
}

/// A process that reads had a log in mind that another one has compacted since. A backup that it took into the directory of a
/// later one put back what was removed.
#[test]
fn a_backup_by_a_reader_from_before_a_compaction_brings_nothing_back() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (over, live) = (name("game-1"), name("game-2"));
        for number in 0..60 {
            add(&store, if number % 2 == 0 { &over } else { &live }, [kilobyte(number)]);
        }
        store.flush().expect("flushed");
        let reader = home.read_only().expect("it can be read");
        eventually("it sees all of it", || reader.head().is_ok_and(|head| head.get() == 60));
        store.tombstone(&over, ExpectedVersion::Any, "asked to be forgotten").wait().expect("it is finished");
        (0..40).for_each(|number| drop(add(&store, &live, [kilobyte(number)])));
        store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        store.flush().expect("flushed");
        let backup = SimulatedDisk::new(2);
        backup_simulated(&store, &backup).expect("a backup");
        let head = store.head().expect("a head");
        // How far the log reaches is told to other processes off the path of appends.
        eventually("another one", || backup_simulated(&reader, &backup).is_ok_and(|by| by.info().position() == head));
        let restored = SimulatedDisk::new(3);
        restore_simulated(&backup, &restored, Until::Everything).expect("it is restored");
        let restored = small_segments().open_simulated(&restored).expect("it opens");
        assert_eq!(numbers(restored.read_all()), numbers(store.read_all()));
    });
}

/// A process that reads keeps some segments open and finds the others again by their names. Where another process had compacted
/// those, every read failed until the store was opened again.
#[test]
fn a_reader_that_does_not_find_a_segment_again_looks_for_what_stands_for_it() {
    let home = Home::disk();
    let store = home.open_with(&small_segments());
    let (over, live) = (name("game-1"), name("game-2"));
    for number in 0..100 {
        add(&store, &over, (0..10).map(|_| kilobyte(number)));
        add(&store, &live, (0..17).map(|_| kilobyte(number)));
    }
    store.flush().expect("flushed");
    let options = EventStore::options().read_mode(ReadMode::Positioned);
    let reader = options.open_read_only(home.path()).expect("it can be read");
    eventually("it sees all of it", || numbers(reader.read_all()).len() == 2_700);
    store.tombstone(&over, ExpectedVersion::Any, "over").wait().expect("it is finished");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    // Whoever is in the middle of it, or looks for the first time since, may be told that a file is gone.
    let first: Result<Vec<_>, _> = reader.read_all().into_iter().collect();
    assert!(first.is_err_and(|error| error.kind() == ErrorKind::Io), "the reader has closed some of them");
    assert_eq!(numbers(reader.read_all()), numbers(store.read_all()));
    assert_eq!(numbers(reader.read(&live)).len(), 1_700);
}
