//! Operations that fail, are cut short, or lie.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn faults_strike_the_operation_they_name_once_or_from_then_on() {
    let (disk, file) = disk_with_file();
    disk.fail(DiskFault::new(DiskOperation::Write, ErrorKind::QuotaExceeded).nth(2).written(3));
    disk.fail(DiskFault::new(DiskOperation::Read, ErrorKind::TimedOut).repeat());
    file.write_at(&B, 0).unwrap();
    assert_eq!(file.write_at(&C, 512).unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(content(&disk)[512..516], [0xCC, 0xCC, 0xCC, 0xAA]);
    file.write_at(&C, 512).unwrap();
    for _ in 0..3 {
        assert_eq!(file.read_at(&mut [0], 0).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    disk.heal();
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 1);
}

#[test]
fn short_and_interrupted_calls_are_continued_and_nobody_notices() {
    let (disk, file) = disk_with_file();
    for fault in [
        DiskFault::short(DiskOperation::Write, 100),
        DiskFault::new(DiskOperation::Write, ErrorKind::Interrupted).nth(2),
        DiskFault::short(DiskOperation::Write, 700).nth(3),
        DiskFault::short(DiskOperation::Read, 1),
        DiskFault::new(DiskOperation::Read, ErrorKind::Interrupted).nth(3),
    ] {
        disk.fail(fault);
    }
    file.write_at(&[B, C].concat(), 0).unwrap();
    assert_eq!((content(&disk), disk.kind_count(DiskOperation::Write)), ([B, C].concat(), 4));
    let mut buffer = [0; 1_024];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 1_024);
    assert_eq!((&buffer[..], disk.kind_count(DiskOperation::Read)), (&[B, C].concat()[..], 2));
    assert_eq!(file.read_at(&mut buffer, 1_000).unwrap(), 24);
    let written: Vec<String> = disk.trace().into_iter().filter(|step| step.contains("Write")).collect();
    assert_eq!(
        written,
        [
            "2 Write `1` 1024 bytes at 0 (short)",
            "3 Write `1` 924 bytes at 100 (failed)",
            "4 Write `1` 924 bytes at 100 (short)",
            "5 Write `1` 224 bytes at 800",
        ]
    );
}

#[test]
fn every_operation_that_is_interrupted_is_repeated() {
    let disk = SimulatedDisk::new(7);
    use DiskOperation as Op;
    for operation in [Op::CreateDirectory, Op::SyncDirectory, Op::Create, Op::Open, Op::Remove, Op::List, Op::Lock] {
        disk.fail(DiskFault::new(operation, ErrorKind::Interrupted));
    }
    disk.create_dir("").unwrap();
    disk.create("1").unwrap();
    disk.open("1", Access::Read).unwrap();
    assert_eq!(disk.list("").unwrap().len(), 1);
    disk.remove("1").unwrap();
    assert!(disk.try_lock().unwrap().is_some());
    assert_eq!(disk.trace().iter().filter(|step| step.ends_with("(failed)")).count(), 7);
}

#[test]
fn a_write_of_no_bytes_is_an_error_and_not_a_hang() {
    let (disk, file) = disk_with_file();
    disk.fail(DiskFault::short(DiskOperation::Write, 300));
    disk.fail(DiskFault::short(DiskOperation::Write, 0).nth(2));
    assert_eq!(file.write_at(&B, 0).unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(content(&disk)[299..301], [0xBB, 0xAA]);
}

#[test]
fn power_can_be_cut_between_the_parts_of_a_write() {
    let (disk, file) = disk_with_file();
    disk.fail(DiskFault::short(DiskOperation::Write, 512).repeat());
    disk.stop_at(2);
    // The second part, on which it goes, is pending like the first; the third is not.
    assert!(file.write_at(&[B, B, B].concat()[..1_536], 0).is_err());
    check_crash(&disk, CrashChoice::KeepAll, Some(&[B, B, B].concat()));
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A].concat()));
}

#[test]
fn a_fault_that_makes_no_sense_is_refused_when_it_is_made() {
    let is_refused = |make: fn() -> DiskFault| catch_unwind(AssertUnwindSafe(make)).is_err();
    assert!(is_refused(|| DiskFault::new(DiskOperation::Read, ErrorKind::Interrupted).repeat()));
    assert!(is_refused(|| DiskFault::short(DiskOperation::Read, 0)));
    assert!(is_refused(|| DiskFault::short(DiskOperation::Sync, 1)));
    assert!(is_refused(|| DiskFault::lost(DiskOperation::Read)));
    assert!(is_refused(|| DiskFault::lost(DiskOperation::Sync).written(1)));
    assert!(is_refused(|| DiskFault::lost(DiskOperation::Sync).nth(0)));
    assert!(!is_refused(|| DiskFault::lost(DiskOperation::Sync).nth(1).repeat()));
}

#[test]
fn a_lost_write_is_seen_by_readers_and_never_by_the_disk() {
    let (disk, file) = disk_with_file();
    disk.fail(DiskFault::lost(DiskOperation::Write).nth(2));
    file.write_at(&B, 0).unwrap();
    file.write_at(&B, 512).unwrap();
    file.sync().unwrap();
    assert_eq!((content(&disk), disk.pending_items(), disk.unsaved_sectors()), ([B, B].concat(), 0, 1));
    for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll] {
        check_crash(&disk, choice, Some(&[B, A].concat()));
    }
    // The same disk, once the system has forgotten what it had seen; written again it is there.
    let forgetful = disk.kill();
    forgetful.drop_caches();
    assert_eq!((content(&forgetful), forgetful.unsaved_sectors()), ([B, A].concat(), 0));
    file.write_at(&B, 512).unwrap();
    file.sync().unwrap();
    check_crash(&disk, CrashChoice::LoseAll, Some(&[B, B].concat()));
}

#[test]
fn a_lost_sync_leaves_everything_pending() {
    let (disk, file) = disk_with_file();
    disk.fail(DiskFault::lost(DiskOperation::Sync).repeat());
    disk.fail(DiskFault::lost(DiskOperation::SyncDirectory));
    file.write_at(&B, 0).unwrap();
    disk.create("2").unwrap();
    for _ in 0..3 {
        file.sync().unwrap();
    }
    disk.sync_dir("").unwrap();
    assert_eq!(disk.pending_items(), 2);
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A].concat()));
    disk.sync_dir("").unwrap();
    disk.heal();
    file.sync().unwrap();
    assert_eq!(disk.pending_items(), 0);
}

/// A write of two sectors `B` to the middle of six sectors `A` is misplaced; there is another file of six `C`.
fn misplace(misplacement: Misplacement) -> (SimulatedDisk, Arc<dyn File>) {
    let disk = SimulatedDisk::new(7);
    disk.write_file("1", &[A; 6].concat());
    disk.write_file("2", &[C; 6].concat());
    let file = disk.open("1", Access::ReadWrite).unwrap();
    disk.fail(DiskFault::misplaced_write(misplacement));
    file.write_at(&[B, B].concat(), 1_024).unwrap();
    file.sync().unwrap();
    // Whoever looks sees what should be there.
    assert_eq!(content(&disk), [A, A, B, B, A, A].concat());
    assert_eq!((disk.read_file("2").unwrap(), disk.pending_items()), ([C; 6].concat(), 0));
    (disk, file)
}

#[test]
fn a_misplaced_write_lands_elsewhere_and_its_place_keeps_what_it_had() {
    let by = |sectors| Misplacement::Sectors(sectors);
    let to = |path: &str| Misplacement::File(path.into());
    for (misplacement, first, second) in [
        (by(1), [A, A, A, B, B, A], [C; 6]),
        (by(2), [A, A, A, A, B, B], [C; 6]),
        (by(-2), [B, B, A, A, A, A], [C; 6]),
        (by(3), [A, A, A, A, A, B], [C; 6]),
        (by(-3), [B, A, A, A, A, A], [C; 6]),
        (by(100), [A; 6], [C; 6]),
        (to("2"), [A; 6], [C, C, B, B, C, C]),
        (to("nowhere"), [A; 6], [C; 6]),
    ] {
        let (disk, _) = misplace(misplacement.clone());
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll] {
            let found = disk.crash(&choice);
            assert_eq!(content(&found), first.concat(), "{misplacement:?}");
            assert_eq!(found.read_file("2").unwrap(), second.concat(), "{misplacement:?}");
        }
        disk.drop_caches();
        assert_eq!(
            (content(&disk), disk.read_file("2").unwrap()),
            (first.concat(), second.concat()),
            "{misplacement:?}"
        );
    }
}

#[test]
fn what_a_misplaced_write_hit_is_right_again_once_it_is_written() {
    let (disk, file) = misplace(Misplacement::Sectors(2));
    file.write_at(&C, 2_048).unwrap();
    // Until that is synced the disk has what landed there.
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A, A, A, B, B].concat()));
    file.sync().unwrap();
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, A, A, A, C, B].concat()));
}

#[test]
fn a_misplaced_write_that_hits_something_pending_is_under_it() {
    let (disk, file) = disk_with_file();
    file.write_at(&C, 512).unwrap();
    disk.fail(DiskFault::misplaced_write(Misplacement::Sectors(1)));
    file.write_at(&B, 0).unwrap();
    check_crash(&disk, CrashChoice::LoseAll, Some(&[A, B].concat()));
    check_crash(&disk, CrashChoice::KeepAll, Some(&[A, C].concat()));
}

#[test]
fn mischief_comes_at_its_rates_and_follows_from_its_seed() {
    let work = |mischief: Mischief| {
        let (disk, file) = disk_with_file();
        disk.set_mischief(Some(mischief));
        let mut failed = 0;
        for round in 0..500 {
            failed += usize::from(file.write_at(&[round as u8; 2_000], 0).is_err());
            failed += usize::from(file.read_at(&mut [0; 2_000], 0).is_err());
            failed += usize::from(file.sync().is_err());
        }
        disk.heal();
        file.write_at(&A, 0).unwrap();
        (failed, disk.trace(), disk.operations())
    };
    assert_eq!(work(Mischief::new(1)).0, 0);
    assert_eq!(work(Mischief::new(1)).2, 1_502);

    let quiet = work(Mischief::new(1).short(300).interrupted(200));
    assert_eq!(quiet.0, 0, "the caller is told of nothing");
    assert!(1_800 < quiet.2 && quiet.1.iter().any(|step| step.ends_with("(short)")), "{} operations", quiet.2);
    assert!(quiet.1.iter().any(|step| step.ends_with("(failed)")));

    let failing = work(Mischief::new(1).failing(100));
    assert!((100..200).contains(&failing.0), "{} of 1500 failed", failing.0);
    assert_eq!(failing, work(Mischief::new(1).failing(100)));
    assert_ne!(failing, work(Mischief::new(2).failing(100)));
    assert!(catch_unwind(|| Mischief::new(1).failing(600).short(500)).is_err());
    assert!(catch_unwind(|| Mischief::new(1).interrupted(1_000)).is_err());
}
