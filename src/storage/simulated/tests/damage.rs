//! Damage, room, and clocks.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_full_disk_takes_what_fits_and_lets_what_is_there_be_overwritten() {
    let (disk, file) = disk_with_file();
    disk.set_capacity(Some(1_030));
    assert_eq!(file.write_at(&B, 1_000).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk).len(), 1_030);
    file.write_at(&C, 0).unwrap();
    let other = disk.create("2").unwrap();
    assert_eq!(other.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.remove("1").unwrap();
    other.write_at(b"x", 0).unwrap();
    disk.set_capacity(None);
    other.write_at(&B, 5_000).unwrap();
}

#[test]
fn damage_is_durable_and_pending_versions_have_it_too() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 0).unwrap();
    disk.flip_bit("1", 3, 7);
    assert_eq!(content(&disk)[2..5], [0xBB, 0x3B, 0xBB]);
    assert_eq!(content(&disk.crash(&CrashChoice::LoseAll))[2..5], [0xAA, 0x2A, 0xAA]);
    disk.write_file("log/deep/2", b"x");
    assert!(disk.remove_file("1") && !disk.remove_file("1"));
    assert_eq!(disk.crash(&CrashChoice::LoseAll).file_names(), ["log/deep/2"]);
}

#[test]
fn the_same_seed_gives_the_same_disk_and_time_moves_as_told() {
    let observe = |seed| {
        let disk = SimulatedDisk::new(seed);
        let mut bytes = [0; 20];
        disk.random(&mut bytes).unwrap();
        (bytes, disk.boot_id(), disk.now(), disk.elapsed())
    };
    assert_eq!(observe(1), observe(1));
    assert_ne!(observe(1).0, observe(2).0);
    let disk = SimulatedDisk::new(1);
    let (now, elapsed) = (disk.now(), disk.elapsed());
    disk.advance(Duration::from_secs(5));
    assert!(Duration::from_secs(5) < disk.now().since(now) && Duration::from_secs(5) < disk.elapsed() - elapsed);
    disk.set_time(Timestamp::from_nanos(-5));
    assert!(disk.now() < Timestamp::from_nanos(10_000));
}

#[test]
fn what_rots_is_told_and_follows_from_the_seed() {
    let disk = || {
        let disk = SimulatedDisk::new(7);
        disk.write_file("log/1", &[0; 100]);
        disk.write_file("log/2", &[0; 900]);
        disk.write_file("empty", &[]);
        disk
    };
    let rotten = disk();
    let bits = rotten.rot(1, 40);
    assert_eq!((bits.len(), bits.iter().collect::<BTreeSet<_>>().len()), (40, 40));
    for (path, bytes) in rotten.contents() {
        for (byte, value) in bytes.iter().enumerate() {
            let here = bits.iter().filter(|bit| bit.path == path && bit.byte == byte as u64);
            assert_eq!(*value, here.fold(0, |value, bit| value | 1 << bit.bit), "byte {byte} of {path}");
        }
    }
    // Long files are hit more often, and short ones are.
    let of = |path: &str| bits.iter().filter(|bit| bit.path == path).count();
    assert!(0 < of("log/1") && of("log/1") < of("log/2"));
    assert_eq!(disk().rot(1, 40), bits);
    assert_ne!(disk().rot(2, 40), bits);
    assert_eq!(disk().rot(3, 8_000).len(), 8_000);
    assert!(catch_unwind(|| disk().rot(3, 8_001)).is_err());
    assert_eq!(bits[0].to_string(), format!("bit {} of byte {} of `{}`", bits[0].bit, bits[0].byte, bits[0].path));
}

#[test]
fn bytes_are_zeroed_garbled_and_replaced_wherever_they_are_remembered() {
    let (disk, file) = disk_with_file();
    file.write_at(&B, 512).unwrap();
    let everywhere = |disk: &SimulatedDisk, range: std::ops::Range<usize>| {
        let seen = content(disk)[range.clone()].to_vec();
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll] {
            assert_eq!(content(&disk.crash(&choice))[range.clone()], seen, "{choice:?}");
        }
        seen
    };
    disk.zero("1", 510..515);
    assert_eq!(everywhere(&disk, 510..515), [0; 5]);
    disk.overwrite("1", 1_020, b"abcd");
    assert_eq!(everywhere(&disk, 1_020..1_024), b"abcd");
    assert_eq!(content(&disk)[515..520], [0xBB; 5]);
    disk.garble("1", 0..1_024, 5);
    let garbled = everywhere(&disk, 0..1_024);
    assert!(200 < garbled.iter().collect::<BTreeSet<_>>().len());
    disk.garble("1", 0..1_024, 6);
    assert_ne!(everywhere(&disk, 0..1_024), garbled);
    disk.garble("1", 0..1_024, 5);
    assert_eq!(everywhere(&disk, 0..1_024), garbled);
    assert_eq!(disk.pending_items(), 1);
    for range in [1_020..1_025, 5_000..5_001] {
        assert!(catch_unwind(AssertUnwindSafe(|| disk.zero("1", range))).is_err());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| disk.zero("2", 0..1))).is_err());
}

#[test]
fn a_broken_sector_fails_every_read_that_touches_it_until_it_is_written_again() {
    let (disk, file) = disk_with_file();
    file.write_at(&[B; 4].concat(), 1_024).unwrap();
    // Sectors 2 and 3 of six.
    disk.break_sectors("1", 1_500..1_537);
    let is_broken = |disk: &SimulatedDisk, offset: u64, len: usize| {
        let file = disk.open("1", Access::Read).unwrap();
        let read = file.read_at(&mut vec![0; len], offset);
        read.map_err(|error| assert_eq!(error.kind(), ErrorKind::Other)).is_err()
    };
    for disk in [&disk, &disk.kill(), &disk.crash(&CrashChoice::KeepAll)] {
        disk.heal();
        assert!(!is_broken(disk, 0, 1_024) && !is_broken(disk, 2_048, 9_999));
        assert!(is_broken(disk, 0, 1_025) && is_broken(disk, 1_535, 1) && is_broken(disk, 2_047, 2));
    }
    // What lies beside the written bytes would have to be read.
    assert!(file.write_at(&[C; 2].concat(), 1_000).is_err());
    assert_eq!(content(&disk)[1_000..1_024], A[..24]);
    file.write_at(&[A[..24].to_vec(), C.to_vec()].concat(), 1_000).unwrap();
    assert!(!is_broken(&disk, 0, 1_536) && is_broken(&disk, 0, 1_537));
    file.write_at(&C, 1_536).unwrap();
    assert!(!is_broken(&disk, 0, 9_999));

    // The last sector is whole up to the end of the file.
    file.write_at(b"end", 3_072).unwrap();
    disk.break_sectors("1", 3_072..9_999);
    assert!(file.write_at(b"e", 3_072).is_err());
    file.write_at(b"the end", 3_072).unwrap();
    assert!(!is_broken(&disk, 0, 9_999));
    // A file that takes the place of a broken one is whole.
    disk.break_sectors("1", 0..1);
    disk.write_file("1", &content(&disk));
    assert!(!is_broken(&disk, 0, 9_999));
}

#[test]
fn no_more_names_are_made_than_there_is_room_for() {
    let (disk, _) = disk_with_file();
    disk.create_dir("log").unwrap();
    // The store's directory, the file, and `log`.
    disk.set_names_max(Some(4));
    disk.create("log/1").unwrap();
    assert_eq!(disk.create("log/2").unwrap_err().kind(), ErrorKind::StorageFull);
    disk.set_no_room_error(ErrorKind::QuotaExceeded);
    assert_eq!(disk.create_dir("log/3").unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(disk.try_lock().err().unwrap().kind(), ErrorKind::QuotaExceeded);
    disk.remove("log/1").unwrap();
    assert!(disk.try_lock().unwrap().is_some());
    // The lock file is there now.
    disk.create_dir("log").unwrap();
    assert!(disk.create("log/2").is_err() && disk.try_lock().unwrap().is_some());
    disk.set_names_max(None);
    disk.create("log/2").unwrap();
}

#[test]
fn a_quota_is_told_by_its_own_error_and_bounds_stay_after_a_crash() {
    let (disk, file) = disk_with_file();
    disk.set_capacity(Some(1_100));
    disk.set_no_room_error(ErrorKind::QuotaExceeded);
    assert_eq!(file.write_at(&B, 1_024).unwrap_err().kind(), ErrorKind::QuotaExceeded);
    let crashed = disk.crash(&CrashChoice::KeepAll);
    let file = crashed.open("1", Access::ReadWrite).unwrap();
    assert_eq!(file.len().unwrap(), 1_100);
    assert_eq!(file.write_at(b"x", 1_100).unwrap_err().kind(), ErrorKind::QuotaExceeded);
}

#[test]
fn the_wall_clock_jumps_and_what_is_waited_for_does_not() {
    let disk = SimulatedDisk::new(1);
    let mut waited = disk.elapsed();
    for time in [0, i64::MAX, i64::MIN, -1, 1, i64::MAX - 5, 1_700_000_000_000_000_000] {
        disk.set_time(Timestamp::from_nanos(time));
        let (first, second) = (disk.now(), disk.now());
        let drift = first.nanos() - time;
        assert!((0..=1_000).contains(&drift) && first <= second, "{time}: {first:?}");
        let later = disk.elapsed();
        assert!(waited < later && later - waited < Duration::from_millis(1), "{time}: {waited:?}, {later:?}");
        waited = later;
    }
    disk.set_time(Timestamp::from_nanos(i64::MAX));
    for _ in 0..3 {
        disk.advance(Duration::MAX);
        assert_eq!((disk.now().nanos(), disk.elapsed()), (i64::MAX, Duration::MAX));
    }
}
