//! Compaction that is stopped, or fails: it has happened or it has not, and nothing that stays is lost.

use super::compaction::{all, check, half_dead, left, whole};
use super::support::{add, kilobyte, name, small_segments};
use crate::model::forget_derived;
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, verify_simulated};
use scorebook::{ErrorKind, EventStore, Options, RecordedEvent};
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

/// What stays is there, and of what goes any part may be; checked against everything the store says.
fn check_half_dead(disk: &SimulatedDisk, events: &[RecordedEvent], going: &BTreeSet<u64>) -> usize {
    let store = small_segments().open_simulated(disk).expect("it opens");
    let left = left(&store);
    let stays: Vec<RecordedEvent> =
        events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
    assert!(
        events.iter().all(|event| left.contains(&event.position().get()) || going.contains(&event.position().get()))
    );
    check(&store, &stays);
    events.len() - stays.len()
}

#[test]
fn wherever_the_power_goes_it_has_happened_or_it_has_not() {
    let first = SimulatedDisk::new(3);
    let (events, going) = half_dead(&first);
    let mut partly = BTreeSet::new();
    let mut stops = 0;
    for stop in 1.. {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            // Once more, while it is opened and compacted again.
            let again = crashed.crash(&CrashChoice::KeepAll);
            again.stop_at(1 + stop * 7 % 60);
            if let Ok(store) = small_segments().open_simulated(&again) {
                let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                std::mem::forget(store);
            }
            for disk in [crashed, again.crash(&CrashChoice::Seeded(stop))] {
                partly.insert(check_half_dead(&disk, &events, &going));
                let store = small_segments().open_simulated(&disk).expect("it opens");
                store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
                assert!(store.compaction().thoroughly().plan().expect("a plan").events_going() == 0);
                add(&store, &name("game-2"), [kilobyte(1)]);
                drop(store);
                let report = verify_simulated(&disk).expect("it can be read");
                assert!(report.is_sound(), "stopped at {stop}, {choice:?}: {report:?}");
            }
        }
        stops = stop;
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(40 < stops, "only {stops} operations");
    assert!(3 < partly.len(), "it happens in several steps: {partly:?}");
}

#[test]
fn a_full_disk_stops_it_and_changes_nothing() {
    let first = SimulatedDisk::new(5);
    let (events, going) = half_dead(&first);
    let used: usize = first.contents().values().map(Vec::len).sum();
    let mut outcomes = BTreeSet::new();
    for room in (0..200_000).step_by(9_000) {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.set_capacity(Some((used + room) as u64));
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let done = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
        outcomes.insert(format!("{:?}", done.map(drop).map_err(|error| error.kind())));
        let stays: Vec<RecordedEvent> = {
            let left = left(&store);
            events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect()
        };
        check(&store, &stays);
        drop(store);
        disk.set_capacity(None);
        check_half_dead(&disk, &events, &going);
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["Err(Full)", "Ok(())"]);
}

#[test]
fn every_flip_in_a_segment_that_was_written_anew_gives_what_was_there_or_a_refusal() {
    let disk = SimulatedDisk::new(19);
    half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    let stays: Vec<String> = all(&store).iter().map(whole).collect();
    store.close().expect("it closes");
    forget_derived(&disk);
    let contents = disk.contents();
    let (path, bytes) = contents.iter().find(|(path, _)| path.contains("-1.log")).expect("a segment written anew");
    let mut refused = 0;
    for byte in (0..bytes.len()).step_by(97).chain(0..128).chain(bytes.len() - 512..bytes.len() - 440) {
        let damaged = disk.crash(&CrashChoice::KeepAll);
        damaged.flip_bit(path, byte as u64, (byte % 8) as u8);
        match small_segments().open_simulated(&damaged) {
            Ok(store) => assert_eq!(all(&store).iter().map(whole).collect::<Vec<_>>(), stays, "byte {byte} of {path}"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::TooNew), "byte {byte}: {error}");
                refused += 1;
            }
        }
        // Whoever only reads gets nothing else, and is told what is missing.
        let reader = EventStore::options().open_simulated_read_only(&damaged).expect("it can be read");
        for event in reader.read_all().skipping_lost().into_iter().flatten() {
            assert!(stays.contains(&whole(&event)), "byte {byte} of {path}");
        }
    }
    assert!(200 < refused, "{refused} refused");
}

#[test]
fn whatever_fails_meanwhile_is_told_and_changes_nothing() {
    let first = SimulatedDisk::new(23);
    let (events, going) = half_dead(&first);
    for operation in [DiskOperation::Read, DiskOperation::Write, DiskOperation::Sync, DiskOperation::Create] {
        let mut outcomes = BTreeSet::new();
        for number in (1..60).step_by(3) {
            let disk = first.crash(&CrashChoice::KeepAll);
            let store = small_segments().open_simulated(&disk).expect("it opens");
            let plan = store.compaction().thoroughly().plan().expect("a plan");
            disk.fail(DiskFault::new(operation, io::ErrorKind::Other).nth(number));
            outcomes.insert(plan.apply().is_ok());
            disk.heal();
            let left = left(&store);
            let stays: Vec<RecordedEvent> =
                events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
            check(&store, &stays);
            drop(store);
            check_half_dead(&disk, &events, &going);
        }
        assert!(outcomes.contains(&false), "{operation:?} never failed");
    }
}

#[test]
fn a_table_that_was_saved_before_counts_for_nothing() {
    let disk = SimulatedDisk::new(29);
    half_dead(&disk);
    let before: Vec<(String, Vec<u8>)> =
        disk.contents().into_iter().filter(|(path, _)| path.starts_with("index/")).collect();
    assert!(!before.is_empty(), "a table was saved");
    let options = small_segments().verify_at_open_max(0);
    let store = options.open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    let stays = all(&store);
    store.close().expect("it closes");
    check(&options.open_simulated(&disk).expect("it opens"), &stays);
    for path in ["index/streams.0", "index/streams.1"] {
        disk.remove_file(path);
    }
    before.iter().for_each(|(path, bytes)| disk.write_file(path, bytes));
    check(&options.open_simulated(&disk).expect("it opens"), &stays);
}

#[test]
fn an_attempt_that_failed_takes_nothing_with_it() {
    for operation in [DiskOperation::Remove, DiskOperation::SyncDirectory] {
        let first = SimulatedDisk::new(43);
        let (events, going) = half_dead(&first);
        let mut failed = 0;
        for number in 1..20 {
            let disk = first.crash(&CrashChoice::KeepAll);
            let store = small_segments().open_simulated(&disk).expect("it opens");
            disk.fail(DiskFault::new(operation, io::ErrorKind::Other).nth(number));
            for _ in 0..3 {
                let done = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                failed += u64::from(done.is_err());
            }
            disk.heal();
            let _ = store.append(&name("game-2"), Any, [kilobyte(1)]).wait();
            for crashed in [disk.crash(&CrashChoice::KeepAll), disk.crash(&CrashChoice::LoseAll)] {
                let store = small_segments().open_simulated(&crashed).expect("it opens");
                let left = left(&store);
                let is_kept = |event: &RecordedEvent| left.contains(&event.position().get());
                assert!(events.iter().all(|event| is_kept(event) || going.contains(&event.position().get())));
                store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
            }
        }
        assert!(0 < failed, "{operation:?} never failed");
    }
}

#[test]
fn an_unfinished_segment_is_not_written_again_under_its_name() {
    let first = SimulatedDisk::new(47);
    let (events, going) = half_dead(&first);
    for stop in 3..14 {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        let disk = disk.crash(&CrashChoice::KeepAll);
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let broken = plan.apply_while(|_| ControlFlow::Break(())).expect("it breaks off");
        assert!(!broken.is_complete() || plan.is_empty());
        let done = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        assert!(done.is_complete());
        // What was found unfinished is removed by its name when room is made.
        for number in 0..60 {
            add(&store, &name("game-9"), [kilobyte(number)]);
        }
        drop(store);
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let stays: Vec<u64> =
            events.iter().map(|event| event.position().get()).filter(|at| !going.contains(at)).collect();
        let left = left(&store);
        assert!(stays.iter().all(|position| left.contains(position)), "stopped at {stop}");
    }
}

#[test]
fn segments_that_unclean_ends_have_left_small_become_few() {
    let mut disk = SimulatedDisk::new(9);
    let options = Options::default();
    for number in 0..20 {
        let store = options.open_simulated(&disk).expect("it opens");
        add(&store, &name("game-1"), [kilobyte(number)]);
        std::mem::forget(store);
        disk = disk.kill();
    }
    let store = options.open_simulated(&disk).expect("it opens");
    let before = store.stats().expect("numbers").segments();
    assert!(15 < before, "{before} segments");
    let events = all(&store);
    let compacted = store.compaction().plan().expect("a plan").apply().expect("it is done");
    assert_eq!((compacted.segments_after(), compacted.events_removed()), (1, 0));
    assert!(store.stats().expect("numbers").segments() <= 3);
    check(&store, &events);
    store.close().expect("it closes");
    check(&options.open_simulated(&disk).expect("it opens"), &events);
    forget_derived(&disk);
    check(&options.open_simulated(&disk).expect("it opens"), &events);
}
