//! Faults that were found, each as a small test that tells its story.

use crate::model::{Operation, Part, World, append, options, part, seed, write};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SyncFailure};
use scorebook::{Durability, ErrorKind, EventStore, Status};
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
