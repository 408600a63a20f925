//! A disk that lies: writes that never arrive or arrive elsewhere, and syncs that do nothing.
//!
//! Nobody can keep what the disk has thrown away. What is held here is that it is never silent: what was acknowledged is
//! there, or an error names the place.

use crate::model::{Model, Operation, Part, World, append, check_named, options, part, seed, write};
use scorebook::EventStore;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, Misplacement, SimulatedDisk};
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
