//! A disk that lies: writes that never arrive or arrive elsewhere, syncs that do nothing, sectors that cannot be read.
//!
//! Nobody can keep what the disk has thrown away. What is held here is that it is never silent: what was acknowledged is
//! there, or an error names the place.

use crate::model::{Model, Operation, Part, World, append, check_named, options, part, seed, survive, write};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, Misplacement, SimulatedDisk};
use scorebook::{AppendError, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
use std::collections::BTreeMap;
use std::fmt::Display;

const ONE: &[Part] = &[part(1, 1, 40)];
const FEW: &[Part] = &[part(1, 2, 60), part(2, 1, 10)];
const BIG: &[Part] = &[part(3, 1, 9_000)];

/// A first append, rolling over, a session, something only written; and in the end what a bot does that goes or rests.
fn program(end: Operation) -> Vec<Operation> {
    vec![
        append(&[ONE]),
        append(&[FEW, ONE]),
        append(&[BIG, BIG]),
        append(&[BIG, BIG]),
        Operation::Close,
        append(&[BIG, ONE]),
        write(&[FEW]),
        Operation::Flush,
        append(&[FEW]),
        end,
    ]
}

/// What came of looking at what a lying disk had left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Whole,
    Named,
}

/// Opens what is left: at least so many batches are there, or an error names the place.
fn look(disk: &SimulatedDisk, model: &Model, least: usize, whence: &dyn Display) -> Seen {
    match options().open_simulated(disk) {
        Ok(store) => {
            model.check_damaged(&store, least, whence);
            if store.read_all().iter().all(|event| event.is_ok()) { Seen::Whole } else { Seen::Named }
        }
        Err(error) => {
            check_named(&error, whence);
            // Reading only gives what is left, and names the rest.
            match EventStore::options().open_simulated_read_only(disk) {
                Ok(reader) => model.check_damaged(&reader, least, whence),
                Err(error) => check_named(&error, whence),
            }
            Seen::Named
        }
    }
}

/// Runs the program with a lie at every operation of a kind, once, and looks at what is found when the power was cut.
fn check_lies(operation: DiskOperation, lie: impl Fn() -> DiskFault) -> BTreeMap<Seen, u64> {
    let mut seen = BTreeMap::new();
    for end in [Operation::Close, Operation::Rest] {
        let whole = World::tell(&program(end.clone()), seed(), None);
        for nth in 1..=whole.kind_count(operation) {
            let mut world = World::new(seed());
            let fault = lie().nth(nth);
            let whence = format!("{fault:?}, then {end:?}, seed {}", seed());
            world.disk.fail(fault);
            world.open(0).expect("no power is cut");
            for operation in program(end.clone()) {
                world.step(&operation).expect("no power is cut");
            }
            let least = world.model.least_after_power_cut();
            for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll] {
                let whence = format!("{whence}, then the power was cut: {choice:?}");
                *seen.entry(look(&world.disk.crash(&choice), &world.model, least, &whence)).or_default() += 1;
            }
        }
    }
    seen
}

#[test]
fn a_write_that_never_arrives_is_never_silent() {
    let seen = check_lies(DiskOperation::Write, || DiskFault::lost(DiskOperation::Write));
    assert!(20 < seen[&Seen::Whole] && 20 < seen[&Seen::Named], "{seen:?}");
}

#[test]
fn a_sync_that_does_nothing_is_made_up_for_by_a_later_one_or_named() {
    let seen = check_lies(DiskOperation::Sync, || DiskFault::lost(DiskOperation::Sync));
    assert!(20 < seen[&Seen::Whole], "{seen:?}");
    let seen = check_lies(DiskOperation::SyncDirectory, || DiskFault::lost(DiskOperation::SyncDirectory));
    assert!(20 < seen[&Seen::Whole], "{seen:?}");
}

#[test]
fn a_disk_that_never_syncs_leaves_a_beginning_or_a_name_for_what_is_missing() {
    let operations = program(Operation::Rest);
    let whole = World::tell(&operations, seed(), None);
    let mut seen = BTreeMap::new();
    for nth in 1..=whole.kind_count(DiskOperation::Sync) {
        let mut world = World::new(seed());
        world.disk.fail(DiskFault::lost(DiskOperation::Sync).nth(nth).repeat());
        world.open(0).expect("no power is cut");
        for operation in &operations {
            world.step(operation).expect("no power is cut");
        }
        for choice in (0..20).map(CrashChoice::Seeded).chain([CrashChoice::LoseAll, CrashChoice::KeepAll]) {
            let whence = format!("no sync from {nth} on, then the power was cut: {choice:?}, seed {}", seed());
            // What was acknowledged may be gone with every witness that it was ever there.
            *seen.entry(look(&world.disk.crash(&choice), &world.model, 0, &whence)).or_insert(0) += 1;
        }
    }
    assert!(20 < seen[&Seen::Whole] && 20 < seen[&Seen::Named], "{seen:?}");
}

#[test]
fn a_write_that_arrives_elsewhere_is_never_silent() {
    let by = [-8, -3, -1, 1, 2, 8].map(Misplacement::Sectors);
    let to = ["log/0000000001.log", "log/0000000002.log", "live"].map(|path| Misplacement::File(path.into()));
    for misplacement in by.into_iter().chain(to) {
        let seen = check_lies(DiskOperation::Write, || DiskFault::misplaced_write(misplacement.clone()));
        assert!(20 < seen[&Seen::Whole] && 20 < seen[&Seen::Named], "{misplacement:?}: {seen:?}");
    }
}

#[test]
fn a_sector_that_cannot_be_read_any_more_fails_only_what_needs_it() {
    let tell = || World::tell(&program(Operation::Rest), seed(), None);
    let (mut read, mut latched) = (0, 0);
    for (path, bytes) in tell().disk.contents() {
        for sector in 0..bytes.len().div_ceil(512) as u64 {
            let whence = format!("sector {sector} of {path}");
            let world = tell();
            let (store, disk) = (world.store(), &world.disk);
            disk.break_sectors(&path, sector * 512..sector * 512 + 1);
            read += u64::from(read_until_error(&store, &world.model, &whence));
            // A part of a sector is written by reading the whole of it first.
            let event = NewEvent::bytes("scored", vec![7; 60]);
            let appended =
                store.append(&StreamName::new("game-1").expect("a name"), ExpectedVersion::Any, [event]).wait();
            if let Err(error) = &appended {
                assert!(matches!(error, AppendError::Store(error) if error.kind() == ErrorKind::OutcomeUnknown));
                latched += 1;
            }
            // The sector can be read again, by whoever opens the file anew, unless that was removed meanwhile.
            if let Some(bytes) = disk.read_file(&path) {
                disk.write_file(&path, &bytes);
            }
            let store = options().open_simulated(&disk.kill()).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            let before = world.model.events().count() as u64;
            assert!((before + u64::from(appended.is_ok())..=before + 1).contains(&store.head().expect("a head").get()));
            assert!(store.read_all().iter().all(|event| event.is_ok()), "{whence}");
        }
    }
    assert!(50 < read && 0 < latched, "{read} sectors were read whole, {latched} writes failed");
}

/// What is read is right, up to the first error, which is one of the system; whether it is everything.
fn read_until_error(store: &EventStore, model: &Model, whence: &dyn Display) -> bool {
    let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
    let mut expected = (1..).zip(model.events());
    for event in store.read_all() {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{whence}: {error:?}");
                return false;
            }
        };
        let (position, model) = expected.next().expect("no more than was appended");
        let version = versions.entry(model.stream).or_default();
        *version += 1;
        model.compare(&event, position, *version).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
    }
    assert!(expected.next().is_none(), "{whence}: something is missing");
    true
}

#[test]
fn a_sector_that_cannot_be_read_is_an_error_of_the_system_and_nothing_changes() {
    let log_files = |disk: &SimulatedDisk| -> Vec<(String, Vec<u8>)> {
        disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/")).collect()
    };
    for end in [Operation::Close, Operation::Rest, Operation::Kill] {
        let world = World::tell(&program(end.clone()), seed(), None);
        let model = &world.model;
        let mut refused = 0;
        for (path, bytes) in world.disk.contents() {
            for sector in 0..bytes.len().div_ceil(512) as u64 {
                let whence = format!("{end:?}, sector {sector} of {path}");
                let disk = world.disk.kill();
                disk.break_sectors(&path, sector * 512..sector * 512 + 1);
                let before = log_files(&disk);
                match options().open_simulated(&disk) {
                    Ok(store) => {
                        assert!(read_until_error(&store, model, &whence), "{whence}: opened, and not all is there")
                    }
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.kind(), ErrorKind::Io, "{whence}: {error:?}");
                        assert!(log_files(&disk) == before, "{whence}: something changed");
                    }
                }
                // The sector can be read again.
                disk.write_file(&path, &disk.read_file(&path).expect("it is there"));
                survive(disk, model, model.len(), &whence);
            }
        }
        assert!(100 < refused, "{end:?}: only {refused} sectors were read");
    }
}
