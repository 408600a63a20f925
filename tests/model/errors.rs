//! Errors as a loop: in every story, the k-th operation of each kind fails, once and from then on, with every error that
//! makes sense; then the truth is looked for, by reopening, after a kill and after a power cut.

use super::crashes::survive;
use super::operation::{DISK_OPERATIONS, SYNC_FAILURES, part};
use super::stories::Story;
use super::world::World;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SyncFailure};
use scorebook::{Durability, Status};
use std::io;

/// Something that fails in a story.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    fault: DiskFault,
    sync: SyncFailure,
}

/// Everything that can fail in a story.
pub(crate) fn failures_of(story: &Story, seed: u64) -> Vec<Failure> {
    let whole = World::tell(&story.operations, seed, None);
    let mut failures = Vec::new();
    for operation in DISK_OPERATIONS {
        for nth in 1..=whole.kind_count(*operation) {
            for fault in faults_of(*operation) {
                for sync in syncs_of(*operation, nth) {
                    let fault = fault.clone().nth(nth);
                    failures.push(Failure { fault: fault.clone(), sync: *sync });
                    failures.push(Failure { fault: fault.repeat(), sync: *sync });
                }
            }
        }
    }
    failures
}

/// The ways in which an operation fails.
fn faults_of(operation: DiskOperation) -> Vec<DiskFault> {
    use io::ErrorKind as Kind;
    let errors: &[Kind] = match operation {
        DiskOperation::Create => &[Kind::Other, Kind::StorageFull, Kind::QuotaExceeded, Kind::PermissionDenied],
        DiskOperation::Write => &[Kind::Other, Kind::StorageFull, Kind::FileTooLarge],
        DiskOperation::Sync | DiskOperation::SyncDirectory => {
            &[Kind::Other, Kind::StorageFull, Kind::ReadOnlyFilesystem]
        }
        DiskOperation::Remove | DiskOperation::Open | DiskOperation::List => &[Kind::Other, Kind::PermissionDenied],
        DiskOperation::CreateDirectory => &[Kind::Other, Kind::StorageFull, Kind::ReadOnlyFilesystem],
        _ => &[Kind::Other],
    };
    let faults = errors.iter().map(|error| DiskFault::new(operation, *error));
    match operation {
        // A write that fails has written none of it, some of it, or all.
        DiskOperation::Write => {
            faults.flat_map(|fault| [0, 47, 700, usize::MAX].map(|written| fault.clone().written(written))).collect()
        }
        _ => faults.collect(),
    }
}

fn syncs_of(operation: DiskOperation, nth: u64) -> &'static [SyncFailure] {
    match operation {
        // The names of the store's own directories: should the system forget them after a failed sync, and say that the
        // next one was done, nothing in them could tell.
        DiskOperation::SyncDirectory if nth <= 2 => &[SyncFailure::Keep, SyncFailure::Complete],
        DiskOperation::Sync | DiskOperation::SyncDirectory => SYNC_FAILURES,
        _ => &SYNC_FAILURES[..1],
    }
}

/// Tells a story in which something fails, and looks at what comes of it.
pub(crate) fn fail_and_look(story: &Story, seed: u64, failure: &Failure) {
    let whence = format!("story `{}`, seed {seed}, {failure:?}", story.name);
    let mut world = World::new(seed);
    world.plan(failure.fault.clone(), failure.sync);
    world.open(0).unwrap_or_else(|_| panic!("{whence}: no power was cut"));
    for operation in &story.operations {
        world.step(operation).unwrap_or_else(|_| panic!("{whence}: no power was cut"));
    }
    let (kill, cut) = (world.model.least_after_kill(), world.model.least_after_power_cut());
    survive(world.disk.kill(), &world.model, kill, &format!("{whence}, then killed"));
    for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(seed)] {
        let whence = format!("{whence}, then the power was cut: {choice:?}");
        survive(world.disk.crash(&choice), &world.model, cut, &whence);
    }
    // What failed is over. A store that latched says so until it is reopened; every other goes on by itself.
    world.heal();
    if world.store().status() == Status::Poisoned {
        let refused = world.append(&[vec![part(1, 1, 20)]], Durability::Synced);
        assert!(refused[0].is_some(), "{whence}: an append behind the failure");
        world.reopen().unwrap_or_else(|_| panic!("{whence}: no power was cut"));
        let found = world.visible;
        // What was found by reopening is durable, also where the system showed bytes that the disk did not have.
        survive(
            world.disk.crash(&CrashChoice::LoseAll),
            &world.model,
            found,
            &format!("{whence}, reopened, power cut"),
        );
    }
    let accepted = world.append(&[vec![part(1, 1, 20), part(8, 2, 500)]], Durability::Synced);
    assert_eq!(accepted, [None], "{whence}: appending afterwards");
    // After a batch was refused for want of room it is `Full` until room was needed and made.
    assert_ne!(world.store().status(), Status::Poisoned, "{whence}");
    let all = world.model.least_after_power_cut();
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all, &format!("{whence}, appended, power cut"));
}
