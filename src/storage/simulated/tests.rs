mod damage;
mod faults;
mod pages;
mod syncs;

use super::*;
use crate::storage::{Access, File, Storage};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

const A: [u8; 512] = [0xAA; 512];
const B: [u8; 512] = [0xBB; 512];
const C: [u8; 512] = [0xCC; 512];

/// A disk with a file of two sectors of `A`, all durable, and the file.
fn disk_with_file() -> (SimulatedDisk, Arc<dyn File>) {
    let disk = SimulatedDisk::new(7);
    disk.write_file("1", &[A, A].concat());
    let file = disk.open("1", Access::ReadWrite).unwrap();
    (disk, file)
}

fn content(disk: &SimulatedDisk) -> Vec<u8> {
    disk.read_file("1").expect("the file is there")
}

fn check_crash(disk: &SimulatedDisk, choice: CrashChoice, expected: Option<&[u8]>) {
    let found = disk.crash(&choice);
    assert_eq!(found.read_file("1").as_deref(), expected, "{choice:?} of {:?}", disk.describe_pending());
    assert_eq!(found.pending_items(), 0);
}

#[test]
fn an_unsynced_sector_is_kept_or_lost_and_a_synced_one_is_kept() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 512).unwrap();
    assert_eq!((disk.pending_items(), disk.pending_sectors()), (1, 1));
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A].concat()));
    check_crash(&disk, CrashChoice::KeepAll, Some(&[A, B].concat()));
    file.sync().unwrap();
    assert_eq!(disk.pending_items(), 0);
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, B].concat()));
    assert_eq!(content(&disk), [A, B].concat());
}

#[test]
fn a_sector_that_changed_twice_may_come_back_as_it_was_in_between() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 0).unwrap();
    file.write_at(&C, 0).unwrap();
    assert_eq!(disk.pending_items(), 1);
    let seen: BTreeSet<u8> = (0..100).map(|seed| content(&disk.crash(&CrashChoice::Seeded(seed)))[0]).collect();
    assert_eq!(seen, BTreeSet::from([0xAA, 0xBB, 0xCC]));
}

#[test]
fn size_and_sectors_survive_apart() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B, B, C].concat()[..1_300], 512).unwrap();
    // The size, then the sectors 1 to 3.
    assert_eq!(disk.pending_items(), 4);
    check_crash(&disk, CrashChoice::Only(0), Some(&[A, A, [0; 512], [0; 512]].concat()[..1_812]));
    check_crash(&disk, CrashChoice::AllBut(0), Some(&[A, B].concat()));
    check_crash(&disk, CrashChoice::AllBut(2), Some(&[A, B, [0; 512], C].concat()[..1_812]));
    check_crash(&disk, CrashChoice::Mask(0b1001), Some(&[A, A, [0; 512], C].concat()[..1_812]));
}

#[test]
fn masks_give_every_subset_once() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B, B, B].concat(), 0).unwrap();
    disk.create("2").unwrap();
    let items = disk.pending_items();
    assert_eq!(items, 5);
    let states: BTreeSet<_> = (0..1 << items).map(|mask| disk.crash(&CrashChoice::Mask(mask)).contents()).collect();
    // The third sector shows only where the size survives too.
    assert_eq!(states.len(), 2 * 4 * 3);
    assert_eq!(disk.crash(&CrashChoice::Mask(0)).contents(), disk.crash(&CrashChoice::LoseAll).contents());
    assert_eq!(disk.crash(&CrashChoice::Mask(u64::MAX)).contents(), disk.contents());
}

#[test]
fn a_prefix_is_what_was_there_at_that_time() {
    let (disk, file) = disk_with_file();
    // Sector 1, sector 0, sector 1 again; then the size and a new sector; then a name.
    file.write_at(&B, 512).unwrap();
    file.write_at(&B, 0).unwrap();
    file.write_at(&C, 512).unwrap();
    file.write_at(&C, 1_024).unwrap();
    disk.create("2").unwrap();
    assert_eq!((disk.pending_items(), disk.pending_changes()), (5, 6));
    let expected: [&[[u8; 512]]; 6] = [&[A, A], &[A, B], &[B, B], &[B, C], &[B, C, [0; 512]], &[B, C, C]];
    for (prefix, sectors) in expected.iter().enumerate() {
        check_crash(&disk, CrashChoice::Prefix(prefix), Some(&sectors.concat()));
        assert_eq!(disk.crash(&CrashChoice::Prefix(prefix)).file_names(), ["1"]);
    }
    for prefix in [6, 7, usize::MAX] {
        assert_eq!(disk.crash(&CrashChoice::Prefix(prefix)).contents(), disk.contents());
    }
    assert_eq!(disk.crash(&CrashChoice::Prefix(0)).contents(), disk.crash(&CrashChoice::LoseAll).contents());
    // What is synced is no part of it any more.
    disk.sync_dir("").unwrap();
    file.sync().unwrap();
    assert_eq!(disk.pending_changes(), 0);
}

#[test]
fn a_sector_is_torn_only_where_that_is_asked_for() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 0).unwrap();
    let is_torn = |choice: CrashChoice| {
        let found = content(&disk.crash(&choice));
        assert!(found[..512].iter().all(|byte| [0xAA, 0xBB].contains(byte)) && found[512..] == A, "{choice:?}");
        assert!(found[..512].chunk_by(|a, b| a == b).count() <= 2, "{choice:?}");
        found[..512] != A && found[..512] != B
    };
    assert!((0..200).any(|seed| is_torn(CrashChoice::Torn(seed))));
    assert!(!(0..200).any(|seed| is_torn(CrashChoice::Seeded(seed))));
    assert_eq!(disk.crash(&CrashChoice::Torn(7)).contents(), disk.crash(&CrashChoice::Torn(7)).contents());
}

#[test]
fn zeros_where_nothing_was_are_only_a_size() {
    let disk = SimulatedDisk::new(7);
    disk.create_dir("").unwrap();
    let file = disk.create("1").unwrap();
    for piece in 0..100 {
        file.write_at(&[0; 4_096], piece * 4_096).unwrap();
    }
    // The name and the size.
    assert_eq!((disk.pending_items(), disk.pending_sectors()), (2, 0));
    file.write_at(b"preamble", 0).unwrap();
    assert_eq!(disk.pending_sectors(), 1);
    // The same with the size, which came in pieces: one thing.
    assert_eq!(disk.describe_pending(), ["`1` Name, 1 before", "`1` Size, 100 before", "`1` Sector, 1 before"]);
}

#[test]
fn syncing_a_file_does_not_make_its_name_durable() {
    let (disk, _) = disk_with_file();
    let file = disk.create("2").unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.crash(&CrashChoice::LoseAll).file_names(), ["1"]);
    assert_eq!(disk.crash(&CrashChoice::KeepAll).file_names(), ["1", "2"]);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.crash(&CrashChoice::LoseAll).read_file("2").unwrap(), b"abc");
}

#[test]
fn syncing_a_directory_does_not_make_bytes_durable_nor_names_elsewhere() {
    let disk = SimulatedDisk::new(7);
    disk.create_dir("log").unwrap();
    disk.create("log/1").unwrap().write_at(b"abc", 0).unwrap();
    disk.create("1").unwrap();
    disk.sync_dir("log").unwrap();
    let found = disk.crash(&CrashChoice::LoseAll);
    assert_eq!(found.contents(), BTreeMap::from([("log/1".to_owned(), Vec::new())]));
}

#[test]
fn a_removal_is_undone_until_the_directory_is_synced() {
    let (disk, file) = disk_with_file();
    disk.remove("1").unwrap();
    check_crash(&disk, CrashChoice::KeepAll, None);
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A].concat()));
    // What was written to it afterwards is as pending as anything.
    file.write_at(&B, 0).unwrap();
    check_crash(&disk, CrashChoice::Only(1), Some(&[B, A].concat()));
    disk.create("1").unwrap().write_at(b"new", 0).unwrap();
    disk.sync_dir("").unwrap();
    check_crash(&disk, CrashChoice::KeepAll, Some(b"new"));
    check_crash(&disk, CrashChoice::LoseAll, Some(b""));
}

#[test]
fn a_directory_is_durable_once_created_and_takes_its_files_along_when_it_was_not() {
    let disk = SimulatedDisk::new(7);
    // The store's directory, its name, then `log`, and there the power goes.
    disk.stop_at(4);
    assert!(disk.create_dir("log").is_err());
    disk.heal();
    assert_eq!(disk.describe_pending(), ["`log` Name, 1 before"]);
    disk.create("log/1").unwrap();
    assert!(disk.crash(&CrashChoice::AllBut(0)).list("").unwrap().is_empty());
    disk.create_dir("log").unwrap();
    assert_eq!(disk.crash(&CrashChoice::LoseAll).list("").unwrap().len(), 1);
}

#[test]
fn power_can_be_cut_at_every_mutation_and_nothing_works_after_it() {
    let work = |disk: &SimulatedDisk| -> io::Result<()> {
        disk.create_dir("")?;
        let file = disk.create("1")?;
        file.write_at(&A, 0)?;
        file.sync()?;
        disk.sync_dir("")?;
        disk.remove("1")
    };
    let whole = SimulatedDisk::new(7);
    work(&whole).unwrap();
    assert_eq!(whole.mutations(), 7);
    for mutation in 1..=8 {
        let disk = SimulatedDisk::new(7);
        disk.stop_at(mutation);
        let result = work(&disk);
        assert_eq!((result.is_err(), disk.has_stopped()), (mutation <= 7, mutation <= 7));
        if disk.has_stopped() {
            let error = disk.exists().unwrap_err();
            assert_eq!(error.to_string(), format!("the simulated machine lost power at mutation {mutation}"));
            assert!(disk.list("").is_err() && disk.try_lock().is_err());
        }
        let durable = disk.crash(&CrashChoice::LoseAll).read_file("1");
        assert_eq!(durable, (7 <= mutation).then(|| A.to_vec()));
        // The write at which the power went may have reached the disk, and so may the removal before the end.
        let latest = disk.crash(&CrashChoice::KeepAll).read_file("1");
        assert_eq!(
            latest,
            [None, None, None, Some(A.to_vec())][if mutation == 8 { 0 } else { 3.min(mutation as usize - 1) }]
        );
    }
}

#[test]
fn killing_the_process_loses_nothing_and_frees_the_lock() {
    let (disk, file) = disk_with_file();
    let _lock = disk.try_lock().unwrap().unwrap();
    file.write_at(&B, 0).unwrap();
    disk.create("2").unwrap();
    let killed = disk.kill();
    assert_eq!(killed.contents(), disk.contents());
    assert_eq!(killed.pending_items(), disk.pending_items());
    assert_eq!(killed.boot_id(), disk.boot_id());
    assert!(!killed.is_locked().unwrap() && disk.is_locked().unwrap());
    killed.open("1", Access::ReadWrite).unwrap().write_at(&C, 0).unwrap();
    assert_eq!(content(&disk), [B, A].concat());

    let crashed = disk.crash(&CrashChoice::KeepAll);
    assert_ne!(crashed.boot_id(), disk.boot_id());
    assert!(!crashed.is_locked().unwrap());
}

#[test]
fn operations_are_counted_by_kind_and_traced() {
    let (disk, file) = disk_with_file();
    file.write_at(b"abc", 7).unwrap();
    disk.remove("2").unwrap_err();
    disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
    file.sync().unwrap_err();
    assert_eq!((disk.operations(), disk.mutations(), disk.kind_count(DiskOperation::Write)), (4, 3, 1));
    assert_eq!(disk.trace(), ["1 Open `1`", "2 Write `1` 3 bytes at 7", "3 Remove `2`", "4 Sync `1` (failed)"]);
}
