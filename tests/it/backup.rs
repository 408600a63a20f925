//! Backups of running stores, and what is restored from them.

use super::support::{
    PATIENCE, add, check_says, event, events, eventually, kilobyte, name, number, numbers, small_segments,
    wherever_it_lasts,
};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, backup_simulated, restore_simulated, verify_backup_simulated,
    verify_simulated,
};
use scorebook::{
    Durability, ErrorKind, EventStore, Options, Position, RecordedEvent, RestoreReport, Standing, Start, Until,
    plan_restore, restore, verify, verify_backup,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(7)
}

fn open(disk: &SimulatedDisk) -> EventStore {
    small_segments().open_simulated(disk).expect("the store opens")
}

/// Everything a store holds, as it can be told apart.
fn all(store: &EventStore) -> Vec<(u64, String, u64, Vec<u8>, u32)> {
    let told = |event: RecordedEvent| {
        let place = (event.position().get(), event.stream().to_owned(), event.version().get());
        (place.0, place.1, place.2, event.data().to_vec(), event.epoch())
    };
    store.read_all().into_iter().map(|event| told(event.expect("an event"))).collect()
}

/// Restores a backup to a disk of its own.
fn restored(backup: &SimulatedDisk, until: Until) -> SimulatedDisk {
    let target = disk();
    let report = restore_simulated(backup, &target, until).expect("it is restored");
    assert!(verify_simulated(&target).expect("a verdict").is_sound());
    assert_eq!(open(&target).head().expect("a head"), report.position());
    target
}

/// Several batches over several segments, the last of which is in use; what stands behind each batch.
fn busy(store: &EventStore) -> Vec<u64> {
    let mut ends = Vec::new();
    for batch in 0..40 {
        let stream = name(&format!("game-{}", batch % 3));
        let batch = store.batch().append(&stream, Any, (0..1 + batch % 4).map(kilobyte));
        ends.push(batch.commit().wait().expect("it is in").last_position().get());
    }
    ends
}

#[test]
fn what_is_restored_is_what_was_backed_up_and_goes_on_under_its_id_in_a_higher_epoch() {
    let (source, backup) = (disk(), disk());
    let store = open(&source);
    busy(&store);
    let report = backup_simulated(&store, &backup).expect("a backup");
    assert_eq!(report.info().position(), store.head().expect("a head"));
    assert!(3 < report.segments_copied());
    let target = restored(&backup, Until::Everything);
    let again = open(&target);
    assert_eq!(all(&again), all(&store));
    let (of_source, of_target) = (store.stats().expect("numbers"), again.stats().expect("numbers"));
    assert_eq!(of_source.store_id(), of_target.store_id());
    let receipt = add(&again, &name("game-1"), events(1..2));
    let appended = again.event_at(receipt.last_position()).expect("it is there");
    assert!(of_source.epoch() < appended.epoch());
    // The source and the backup know nothing of it.
    assert_eq!(verify_backup_simulated(&backup).expect("it is sound"), *report.info());
    assert_eq!(store.head().expect("a head"), report.info().position());
}

#[test]
fn a_second_backup_copies_what_has_come_since() {
    let (source, backup) = (disk(), disk());
    let options = Options::default().segment_bytes_max(4 * 1024 * 1024);
    let store = options.open_simulated(&source).expect("the store opens");
    let mib = |number: u64| scorebook::NewEvent::bytes("counted", vec![number as u8; 1024 * 1024]);
    (0..10).for_each(|number| drop(add(&store, &name("a"), [mib(number)])));
    let first = backup_simulated(&store, &backup).expect("a backup");
    let nothing = backup_simulated(&store, &backup).expect("a backup");
    assert_eq!((nothing.bytes_copied(), nothing.segments_copied(), nothing.info().number()), (0, 0, 2));
    assert_eq!(nothing.info().position(), first.info().position());
    add(&store, &name("a"), [event(1)]);
    let second = backup_simulated(&store, &backup).expect("a backup");
    // The rest of the piece in which it begins, and no more.
    assert!(second.bytes_copied() <= 1024 * 1024 + 1_024, "{} bytes", second.bytes_copied());
    assert!(10 * 1024 * 1024 <= first.bytes_copied(), "{} bytes", first.bytes_copied());
    assert_eq!(second.info().position().get(), 11);
    assert_eq!(all(&open(&restored(&backup, Until::Everything))), all(&store));
}

#[test]
fn restored_to_every_position_it_holds_what_was_there_down_to_the_last_whole_batch() {
    let (source, backup) = (disk(), disk());
    let store = open(&source);
    let ends = busy(&store);
    backup_simulated(&store, &backup).expect("a backup");
    let everything = all(&store);
    for position in 0..=everything.len() as u64 {
        let target = restored(&backup, Until::Position(Position::new(position)));
        let end = ends.iter().copied().take_while(|end| *end <= position).last().unwrap_or(0);
        let store = open(&target);
        assert_eq!(all(&store), everything[..end as usize], "up to position {position}");
        assert_eq!(add(&store, &name("game-1"), events(1..2)).first_position().get(), end + 1);
    }
    let beyond = Until::Position(Position::new(everything.len() as u64 + 1));
    let error = restore_simulated(&backup, &disk(), beyond).unwrap_err();
    let count = everything.len();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let text = format!("restoring up to position {}: the backup ends with {count}", count + 1);
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_plan_of_a_backup_and_of_a_restoration_is_what_comes_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name);
    // Nothing is written by itself between a plan and what comes of it.
    let store = small_segments().open(place("a.scorebook")).expect("it opens");
    for round in 0..3 {
        busy(&store);
        let plan = store.plan_backup(place("backup")).expect("a plan");
        assert_eq!(plan, store.plan_backup(place("backup")).expect("a plan"), "nothing was done");
        let report = store.backup(place("backup")).expect("a backup");
        assert_eq!((plan.segments(), plan.bytes()), (report.segments_copied(), report.bytes_copied()), "round {round}");
        assert_eq!(store.plan_backup(place("backup")).expect("a plan").bytes(), 0);
    }
    let head = store.head().expect("a head").get();
    for position in (0..=head).step_by(17).chain([head]) {
        let until = Until::Position(Position::new(position));
        let plan = plan_restore(place("backup"), until).expect("a plan");
        let to = place(&format!("restored-{position}.scorebook"));
        let report = restore(place("backup"), &to, until).expect("restored");
        let told = |report: &RestoreReport| (report.position(), report.segments(), report.bytes());
        assert_eq!(told(&plan), told(&report), "up to {position}");
        std::fs::remove_dir_all(to).expect("removed");
    }
    let beyond = plan_restore(place("backup"), Until::Position(Position::new(head + 1)));
    assert_eq!(beyond.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(plan_restore(place("none"), Until::Everything).unwrap_err().kind(), ErrorKind::StoreNotFound);
    std::fs::write(place("file"), "of somebody else").expect("written");
    assert!(store.plan_backup(place("file")).is_err());
}

#[test]
fn restored_to_a_time_it_holds_what_had_happened_by_then() {
    let (source, backup) = (disk(), disk());
    let store = open(&source);
    let a = name("a");
    let mut times = Vec::new();
    for number in 1..8 {
        source.advance(std::time::Duration::from_secs(60));
        times.push(add(&store, &a, events(number..number + 1)).time());
        if number == 4 {
            source.advance(std::time::Duration::from_secs(60));
            store.delete(&a, Any, "").wait().expect("it is there");
        }
    }
    backup_simulated(&store, &backup).expect("a backup");
    for (index, time) in times.iter().enumerate() {
        let store = open(&restored(&backup, Until::Time(*time)));
        assert_eq!(numbers(store.read_all()), (1..index as u64 + 2).collect::<Vec<_>>());
        // What was deleted a minute after the fourth was not yet.
        assert_eq!(matches!(store.standing(&a), Ok(Standing::Open { first }) if first.get() == 1), index < 4);
    }
    let before = open(&restored(&backup, Until::Time(scorebook::Timestamp::EPOCH)));
    assert_eq!(all(&before), []);
}

#[test]
fn a_backup_beside_writers_is_what_was_there_at_some_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let store = small_segments().open(path("store")).expect("the store opens");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let write = |thread: u64| {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                let stream = name(&format!("game-{thread}"));
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) && number < 20_000 {
                    number += 1;
                    let durability = if number % 7 == 0 { Durability::Synced } else { Durability::Written };
                    let batch = store.batch().append(&stream, Any, events(number..number + 1)).durability(durability);
                    batch.commit().wait().expect("it is in");
                }
            });
        };
        (0..4).for_each(write);
        let mut last = Position::BEGINNING;
        for round in 0..6 {
            eventually("more was written", || last < store.head().expect("a head"));
            store.flush().expect("flushed");
            let durable = store.head().expect("a head");
            let report = store.backup(path("backup")).expect("a backup");
            assert!(last < durable || round == 0);
            last = report.info().position();
            let to = path(&format!("restored-{round}"));
            assert_eq!(restore(path("backup"), &to, Until::Everything).expect("restored").position(), last);
            assert!(verify(&to).expect("a verdict").is_sound());
            let restored = EventStore::open(&to).expect("it opens");
            // In each stream a beginning of what was appended, in order.
            for info in restored.streams().list().expect("a list") {
                let read = numbers(restored.read(info.name()));
                assert_eq!(read, (1..=info.version().get()).collect::<Vec<_>>());
            }
            assert_eq!(restored.stats().expect("numbers").events(), last.get());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(verify_backup(path("backup")).expect("sound").number(), 6);
}

#[test]
fn a_backup_of_a_store_that_another_has_open_is_taken_by_reading() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        busy(&store);
        store.flush().expect("flushed");
        let backup = disk();
        let reader = home.read_only().expect("it is read");
        // How far the log reaches is told to other processes off the path of appends.
        eventually("all of it is in the backup", || {
            let report = backup_simulated(&reader, &backup).expect("a backup");
            report.info().position() == store.head().expect("a head")
        });
        assert_eq!(all(&open(&restored(&backup, Until::Everything))), all(&store));
    });
}

#[test]
fn a_backup_goes_where_nothing_else_is() {
    let (backup, other) = (disk(), disk());
    let store = open(&disk());
    busy(&store);
    backup_simulated(&store, &backup).expect("a backup");
    let stranger = open(&SimulatedDisk::new(8));
    add(&open(&other), &name("a"), events(1..3));
    add(&stranger, &name("a"), events(1..3));
    let error = backup_simulated(&stranger, &backup).unwrap_err();
    check_says(&error, ErrorKind::InvalidArgument, &["it holds the backup of another store", "nothing was done"]);
    let error = backup_simulated(&store, &other).unwrap_err();
    check_says(&error, ErrorKind::InvalidArgument, &["it is not empty"]);
    // A store that was restored to earlier does not overwrite what came later.
    let earlier = open(&restored(&backup, Until::Position(Position::new(3))));
    let error = backup_simulated(&earlier, &backup).unwrap_err();
    check_says(&error, ErrorKind::InvalidArgument, &["reaches further than this store"]);
    // Nor when it has gone on from there for as long.
    busy(&earlier);
    busy(&earlier);
    let error = backup_simulated(&earlier, &backup).unwrap_err();
    check_says(&error, ErrorKind::InvalidArgument, &["has another history"]);
    let error = restore_simulated(&disk(), &disk(), Until::Everything).unwrap_err();
    check_says(&error, ErrorKind::StoreNotFound, &["holds no backup"]);
    let directory = tempfile::tempdir().expect("a directory");
    let error = restore(directory.path(), env!("CARGO_MANIFEST_DIR"), Until::Everything).unwrap_err();
    check_says(&error, ErrorKind::InvalidArgument, &["is not empty"]);
}

#[test]
fn after_an_unclean_end_the_backup_goes_on() {
    let (mut source, backup) = (disk(), disk());
    for round in 0..6 {
        let store = open(&source);
        (0..5).for_each(|number| drop(add(&store, &name("a"), [kilobyte(round * 10 + number)])));
        let lazy = store.batch().append(&name("a"), Any, events(1..4)).durability(Durability::Written);
        lazy.commit().wait().expect("it is in");
        backup_simulated(&store, &backup).expect("a backup");
        assert_eq!(
            numbers(open(&restored(&backup, Until::Everything)).read_all()).len() as u64,
            verify_backup_simulated(&backup).expect("it is sound").position().get()
        );
        std::mem::forget(store);
        source = source.crash(&CrashChoice::Seeded(round));
    }
    let store = open(&source);
    backup_simulated(&store, &backup).expect("a backup");
    assert_eq!(all(&open(&restored(&backup, Until::Everything))), all(&store));
}

#[test]
fn every_flip_in_a_backup_is_found_and_what_is_restored_of_it_does_not_open() {
    let backup = disk();
    let store = open(&disk());
    busy(&store);
    backup_simulated(&store, &backup).expect("a backup");
    let mut chance = Chance(seed());
    for path in backup.file_names().into_iter().filter(|path| path.ends_with(".seg")) {
        let len = backup.read_file(&path).expect("it is there").len();
        for _ in 0..10 {
            let (byte, bit) = (chance.below(len) as u64, chance.below(8) as u8);
            backup.flip_bit(&path, byte, bit);
            let error = verify_backup_simulated(&backup).unwrap_err();
            check_says(&error, ErrorKind::Damaged, &[&path, "are not those that were written"]);
            let target = disk();
            let error = restore_simulated(&backup, &target, Until::Everything).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged);
            check_no_store(&target);
            backup.flip_bit(&path, byte, bit);
        }
        let whole = backup.read_file(&path).expect("it is there");
        backup.write_file(&path, &whole[..len - 1]);
        assert_eq!(verify_backup_simulated(&backup).unwrap_err().kind(), ErrorKind::Damaged);
        backup.write_file(&path, &whole);
    }
    verify_backup_simulated(&backup).expect("all is as it was");
}

/// What a restore that broke off has left is not taken for a store, and if so then for an empty one.
fn check_no_store(disk: &SimulatedDisk) {
    match small_segments().open_simulated(disk) {
        Ok(store) => assert_eq!(store.head().expect("a head"), Position::BEGINNING),
        Err(error) => assert!([ErrorKind::Damaged, ErrorKind::StoreNotFound].contains(&error.kind()), "{error:?}"),
    }
}

#[test]
fn a_backup_that_is_stopped_anywhere_leaves_the_one_before() {
    let source = disk();
    let store = open(&source);
    let mut ends = busy(&store);
    let before = disk();
    backup_simulated(&store, &before).expect("a backup");
    let first = all(&store);
    ends.extend(busy(&store));
    let second = all(&store);
    let mut stops = 0;
    for stop in 1.. {
        let backup = before.crash(&CrashChoice::KeepAll);
        backup.stop_at(stop);
        let is_done = backup_simulated(&store, &backup).is_ok();
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let backup = backup.crash(&choice);
            let held = all(&open(&restored(&backup, Until::Everything)));
            assert!(held == second || (held == first && !is_done), "stopped at {stop}, {choice:?}: {}", held.len());
            // It goes on from whatever is there.
            backup_simulated(&store, &backup).expect("a backup");
            assert_eq!(all(&open(&restored(&backup, Until::Everything))), second);
        }
        stops = stop;
        if is_done {
            break;
        }
    }
    assert!(10 < stops, "only {stops} operations");
}

#[test]
fn a_backup_and_a_restore_that_fail_anywhere_say_so_and_harm_nothing() {
    let store = open(&disk());
    busy(&store);
    let sound = disk();
    backup_simulated(&store, &sound).expect("a backup");
    for operation in [DiskOperation::Create, DiskOperation::Write, DiskOperation::Sync, DiskOperation::SyncDirectory] {
        for nth in 1..200 {
            let (backup, target) = (disk(), disk());
            let fault = || DiskFault::new(operation, io::ErrorKind::Other).nth(nth);
            backup.fail(fault());
            let taken = backup_simulated(&store, &backup);
            target.fail(fault());
            let made = restore_simulated(&sound, &target, Until::Everything);
            if made.is_err() {
                target.heal();
                check_partial(&target, &store);
            }
            backup.heal();
            backup_simulated(&store, &backup).expect("it goes on");
            assert_eq!(all(&open(&restored(&backup, Until::Everything))).len(), all(&store).len());
            if taken.is_ok() && made.is_ok() {
                break;
            }
        }
    }
}

/// A restore that failed leaves nothing that opens, or all of it.
fn check_partial(disk: &SimulatedDisk, store: &EventStore) {
    if let Ok(found) = small_segments().open_simulated(disk) {
        let head = found.head().expect("a head");
        assert!(head == Position::BEGINNING || head == store.head().expect("a head"), "{head}");
    }
}

#[test]
fn a_restore_that_is_stopped_anywhere_is_no_shorter_store() {
    let store = open(&disk());
    busy(&store);
    let backup = disk();
    backup_simulated(&store, &backup).expect("a backup");
    for stop in 1.. {
        let target = disk();
        target.stop_at(stop);
        let is_done = restore_simulated(&backup, &target, Until::Everything).is_ok();
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            check_partial(&target.crash(&choice), &store);
        }
        if is_done {
            break;
        }
    }
}

#[test]
fn followers_go_on_in_a_restored_store() {
    let backup = disk();
    let store = open(&disk());
    add(&store, &name("a"), events(1..6));
    backup_simulated(&store, &backup).expect("a backup");
    let store = open(&restored(&backup, Until::Position(Position::new(5))));
    let mut live = store.subscribe(scorebook::Query::all(), Start::After(Position::new(5)));
    add(&store, &name("a"), events(6..7));
    let next = live.next_timeout(PATIENCE).expect("nothing fails").expect("it comes");
    assert_eq!(next.event().map(number), Some(6));
}
