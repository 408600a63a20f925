//! What failed syncs leave behind.

use super::*;

const ZERO: [u8; 512] = [0; 512];

/// A sync of the file fails, and the next one says that everything is done.
fn fail_once(disk: &SimulatedDisk, file: &dyn File, failure: SyncFailure) {
    disk.set_sync_failure(failure);
    disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other);
    file.sync().unwrap();
    assert_eq!(disk.pending_items(), 0);
}

fn check_lost(disk: &SimulatedDisk, expected: &[[u8; 512]]) {
    check_crash(disk, CrashChoice::LoseAll, Some(&expected.concat()));
    check_crash(disk, CrashChoice::KeepAll, Some(&expected.concat()));
}

#[test]
fn a_failed_sync_that_keeps_can_be_repeated() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 0).unwrap();
    disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(disk.pending_sectors(), 1);
    file.sync().unwrap();
    check_crash(&disk, CrashChoice::LoseAll, Some(&[B, A].concat()));
}

#[test]
fn a_failed_sync_that_drops_goes_on_showing_what_the_disk_never_gets() {
    let (disk, file) = disk_with_file();
    disk.set_sync_failure(SyncFailure::Drop);
    file.write_at(&[B, B].concat(), 0).unwrap();
    disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!((content(&disk), disk.pending_items()), ([B, B].concat(), 0));
    check_crash(&disk, CrashChoice::KeepAll, Some(&[A, A].concat()));

    // Written again, even as it was, it is pending like anything else; what lay between is not among its versions.
    file.write_at(&B, 512).unwrap();
    assert_eq!(disk.pending_items(), 1);
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A].concat()));
    check_crash(&disk, CrashChoice::KeepAll, Some(&[A, B].concat()));
    file.sync().unwrap();
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, B].concat()));
    // A process that starts anew on the same machine still sees it.
    assert_eq!(content(&disk.kill()), [B, B].concat());
    check_crash(&disk.kill(), CrashChoice::KeepAll, Some(&[A, B].concat()));
}

#[test]
fn what_was_dropped_where_the_file_grew_is_zeros_and_the_size_stays() {
    for failure in [SyncFailure::Drop, SyncFailure::DropForGood] {
        let (disk, file) = disk_with_file();
        file.write_at(&[B, C].concat(), 512).unwrap();
        fail_once(&disk, &*file, failure);
        assert_eq!((content(&disk), disk.unsaved_sectors()), ([A, B, C].concat(), 2), "{failure:?}");
        check_lost(&disk, &[A, A, ZERO]);
    }
}

#[test]
fn what_is_dropped_for_good_is_not_brought_back_by_writing_it_again_where_the_file_grew() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B, C].concat(), 512).unwrap();
    fail_once(&disk, &*file, SyncFailure::DropForGood);
    // Written again as it was and otherwise, and synced each time: what was overwritten heals.
    for sector in [B, C, B] {
        file.write_at(&[sector, sector].concat(), 512).unwrap();
        file.sync().unwrap();
        assert_eq!(content(&disk), [A, sector, sector].concat());
        check_lost(&disk, &[A, sector, ZERO]);
    }
    // Behind that, the file can grow.
    file.write_at(&C, 1_536).unwrap();
    file.sync().unwrap();
    check_lost(&disk, &[A, B, ZERO, C]);
    // A process that starts anew on the same machine is told the same.
    let killed = disk.kill();
    let other = killed.open("1", Access::ReadWrite).unwrap();
    other.write_at(&A, 1_024).unwrap();
    other.sync().unwrap();
    assert_eq!(content(&killed)[1_024..1_536], A);
    check_lost(&killed, &[A, B, ZERO, C]);
    // After a power cut, and when the caches are dropped, there is nothing left that could be wrong.
    let forgetful = disk.kill();
    forgetful.drop_caches();
    for healed in [disk.crash(&CrashChoice::LoseAll), forgetful] {
        assert_eq!(content(&healed), [A, B, ZERO, C].concat());
        let file = healed.open("1", Access::ReadWrite).unwrap();
        file.write_at(&A, 1_024).unwrap();
        file.sync().unwrap();
        check_lost(&healed, &[A, B, A, C]);
    }
}

#[test]
fn zeros_whose_sync_failed_take_nothing_that_is_written_upon_them() {
    let (disk, file) = disk_with_file();
    file.write_at(&[ZERO, ZERO].concat(), 1_024).unwrap();
    fail_once(&disk, &*file, SyncFailure::DropForGood);
    file.write_at(&B, 1_024).unwrap();
    assert_eq!((disk.pending_items(), disk.unsaved_sectors()), (0, 1));
    file.sync().unwrap();
    assert_eq!(content(&disk), [A, A, B, ZERO].concat());
    check_lost(&disk, &[A, A, ZERO, ZERO]);
}

#[test]
fn what_is_reverted_is_seen_as_the_disk_has_it() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B, C].concat(), 512).unwrap();
    fail_once(&disk, &*file, SyncFailure::Revert);
    assert_eq!((content(&disk), disk.unsaved_sectors()), ([A, A, ZERO].concat(), 0));
    file.write_at(&C, 1_024).unwrap();
    file.sync().unwrap();
    check_lost(&disk, &[A, A, C]);
}

#[test]
fn a_sync_may_be_complete_and_say_that_it_failed() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B, C].concat(), 512).unwrap();
    disk.set_sync_failure(SyncFailure::Complete);
    disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
    file.sync().unwrap_err();
    assert_eq!(disk.pending_items(), 0);
    check_lost(&disk, &[A, B, C]);
}

#[test]
fn a_mixed_failure_decides_about_each_sector_by_its_seed() {
    let mixed = |seed| {
        let (disk, file) = disk_with_file();
        file.write_at(&[B; 8].concat(), 0).unwrap();
        disk.set_sync_failure(SyncFailure::Mix(seed));
        disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
        file.sync().unwrap_err();
        assert_eq!(content(&disk), [B; 8].concat());
        let (pending, dropped) = (disk.pending_sectors(), disk.unsaved_sectors());
        // What stays pending becomes durable with the next sync, what was dropped does not.
        file.sync().unwrap();
        let found = content(&disk.crash(&CrashChoice::LoseAll));
        let durable = found.chunks(512).filter(|sector| *sector == B).count();
        assert_eq!(durable + dropped, 8);
        ([pending, dropped, durable - pending].map(|number| number != 0), found)
    };
    assert!((0..20).any(|seed| mixed(seed).0 == [true; 3]));
    assert_eq!(mixed(3), mixed(3));
    assert!((0..20).map(|seed| mixed(seed).1).collect::<BTreeSet<_>>().len() > 10);
}

#[test]
fn every_kind_of_failure_is_tried_by_whoever_tries_all() {
    let outcome = |failure| {
        let (disk, file) = disk_with_file();
        file.write_at(&[B; 6].concat(), 0).unwrap();
        disk.set_sync_failure(failure);
        disk.fail(DiskFault::new(DiskOperation::Sync, ErrorKind::Other));
        file.sync().unwrap_err();
        let after_failure = (content(&disk), disk.pending_items(), disk.unsaved_sectors());
        file.write_at(&[C; 6].concat(), 0).unwrap();
        file.sync().unwrap();
        (after_failure, disk.crash(&CrashChoice::LoseAll).contents())
    };
    let all = SyncFailure::all(7);
    assert_eq!(all.map(outcome).into_iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn an_interrupted_sync_loses_nothing_and_is_repeated() {
    let (disk, file) = disk_with_file();
    disk.set_sync_failure(SyncFailure::Drop);
    file.write_at(&B, 0).unwrap();
    disk.create("2").unwrap();
    for operation in [DiskOperation::Sync, DiskOperation::SyncDirectory] {
        disk.fail(DiskFault::new(operation, ErrorKind::Interrupted));
    }
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!((disk.kind_count(DiskOperation::Sync), disk.kind_count(DiskOperation::SyncDirectory)), (2, 2));
    assert_eq!((disk.pending_items(), disk.unsaved_sectors()), (0, 0));
    check_lost(&disk, &[B, A]);
}

/// A sync of a directory in which one file was made and one removed fails, and the next one says that it is done.
fn fail_directory_once(failure: SyncFailure) -> SimulatedDisk {
    let (disk, _) = disk_with_file();
    disk.create("2").unwrap().sync().unwrap();
    disk.remove("1").unwrap();
    disk.set_sync_failure(failure);
    disk.fail(DiskFault::new(DiskOperation::SyncDirectory, ErrorKind::Other));
    assert_eq!(disk.sync_dir("").unwrap_err().kind(), ErrorKind::Other);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.pending_items(), 0);
    disk
}

#[test]
fn names_whose_sync_failed_are_kept_pending_lost_or_durable_all_the_same() {
    for (failure, seen, found) in [
        (SyncFailure::Keep, "2", "2"),
        (SyncFailure::Complete, "2", "2"),
        (SyncFailure::Drop, "2", "1"),
        (SyncFailure::DropForGood, "2", "1"),
        (SyncFailure::Revert, "1", "1"),
    ] {
        let disk = fail_directory_once(failure);
        assert_eq!(disk.file_names(), [seen], "{failure:?}");
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll] {
            assert_eq!(disk.crash(&choice).file_names(), [found], "{failure:?}");
            assert_eq!(disk.kill().crash(&choice).file_names(), [found], "{failure:?}");
        }
        disk.drop_caches();
        assert_eq!(disk.file_names(), [found], "{failure:?}");
    }
    let found = |seed| fail_directory_once(SyncFailure::Mix(seed)).crash(&CrashChoice::LoseAll).file_names();
    assert_eq!((0..40).map(found).collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn a_name_that_was_dropped_is_durable_once_it_is_made_again_and_synced() {
    let disk = fail_directory_once(SyncFailure::Drop);
    disk.remove("2").unwrap();
    disk.create("2").unwrap().write_at(b"again", 0).unwrap();
    assert_eq!(disk.describe_pending()[0], "`2` Name, 2 before");
    disk.sync_dir("").unwrap();
    let found = disk.crash(&CrashChoice::KeepAll);
    assert_eq!((found.file_names(), found.read_file("2").unwrap()), (vec!["1".into(), "2".into()], b"again".to_vec()));
}

#[test]
fn a_directory_that_was_dropped_takes_along_what_lies_in_it() {
    let disk = SimulatedDisk::new(7);
    disk.create_dir("").unwrap();
    disk.set_sync_failure(SyncFailure::Drop);
    disk.fail(DiskFault::new(DiskOperation::SyncDirectory, ErrorKind::Other).nth(2));
    // It cannot even be taken away again.
    disk.fail(DiskFault::new(DiskOperation::Remove, ErrorKind::Other));
    assert!(disk.create_dir("log").is_err());
    disk.create_dir("log").unwrap();
    let file = disk.create("log/1").unwrap();
    disk.sync_dir("log").unwrap();
    assert_eq!(disk.crash(&CrashChoice::KeepAll).file_names().len(), 0);
    disk.drop_caches();
    assert_eq!((disk.file_names().len(), disk.list("").unwrap().len()), (0, 0));
    // Whoever has it open has it still.
    file.write_at(b"x", 0).unwrap();
}

#[test]
fn a_directory_whose_sync_failed_is_taken_away_and_durable_when_made_again() {
    for failure in SyncFailure::all(7) {
        for nth in 1..=3 {
            let disk = SimulatedDisk::new(7);
            disk.set_sync_failure(failure);
            disk.fail(DiskFault::new(DiskOperation::SyncDirectory, ErrorKind::Other).nth(nth));
            assert!(disk.create_dir("log/deep").is_err());
            assert!(!disk.exists().unwrap() || disk.list("log").is_err() || disk.list("log/deep").is_err());
            disk.create_dir("log/deep").unwrap();
            disk.crash(&CrashChoice::LoseAll).list("log/deep").expect("it is durable");
        }
    }
}
