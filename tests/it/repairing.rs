//! Repair: what is damaged is moved aside, what is lost is recorded as such, all else is as it was, and the store is writable.

use super::support::{add, check_says, contents_of, kilobyte, name, positions};
use crate::model::damage::{Change, Edit, Kind, Subject, unpack};
use crate::model::seed;
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, repair_simulated, salvage_simulated, verify_simulated,
};
use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, Options, RepairPlan, StreamName};
use std::collections::BTreeMap;
use std::io;

fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

/// The first and last position of each range that a plan gives up.
fn lost(plan: &RepairPlan) -> Vec<(u64, u64)> {
    plan.lost().iter().map(|(first, last)| (first.get(), last.get())).collect()
}

/// A disk with a change made to what a subject holds.
fn changed(subject: &Subject, change: &Change) -> SimulatedDisk {
    let disk = subject.copy();
    for (path, bytes) in change.make(&subject.files) {
        match bytes {
            Some(bytes) => disk.write_file(&path, &bytes),
            None => {
                disk.remove_file(&path);
            }
        }
    }
    disk
}

/// What can be read is what the subject holds, and all of that up to a position but for what is lost. Gives how many there are.
fn check_events(disk: &SimulatedDisk, subject: &Subject, lost: &[(u64, u64)], known: u64) -> usize {
    let store = options().open_simulated_read_only(disk).expect("it can be read");
    let mut found = BTreeMap::new();
    for event in store.read_all().skipping_lost() {
        let event = event.expect("what is left can be read");
        found.insert(event.position().get(), (event.stream().to_owned(), event.version().get(), event.data().to_vec()));
    }
    let is_lost = |position: u64| lost.iter().any(|(first, last)| (*first..=*last).contains(&position));
    for event in &subject.layout.events {
        let position = event.position;
        match found.get(&position) {
            Some(of) => assert_eq!(*of, (event.stream.clone(), event.version, event.data.clone()), "at {position}"),
            None => assert!(is_lost(position) || known < position, "{position} is gone without a word"),
        }
    }
    let known = |position: &u64| subject.layout.events.iter().any(|event| event.position == *position);
    assert!(found.keys().all(known), "events that nobody has appended");
    let failure = store.read_all().into_iter().find_map(Result::err);
    match failure {
        Some(error) => assert_eq!(error.kind(), ErrorKind::Lost, "{error}"),
        None => assert!(lost.is_empty() && subject.layout.losses.is_empty(), "a read across {lost:?} gave no error"),
    }
    found.len()
}

/// What is left of a stream is read by its name, too, and what has come since behind it.
fn check_stream(store: &EventStore, stream: &StreamName, subject: &Subject, (lost, known): (&[(u64, u64)], u64)) {
    let is_lost = |position: u64| lost.iter().any(|(first, last)| (*first..=*last).contains(&position));
    let events = subject.streams[stream].iter().map(|index| subject.layout.events[*index].position);
    let left: Vec<u64> = events.filter(|position| *position <= known && !is_lost(*position)).collect();
    let mut found = positions(store.read(stream).skipping_lost());
    assert!(found.pop().is_some());
    assert_eq!(found, left, "{stream}");
    let mut backwards = positions(store.read(stream).skipping_lost().backwards());
    backwards.reverse();
    assert_eq!(backwards[..backwards.len() - 1], left, "{stream} backwards");
}

/// Up to where there is anything, damaged or not: what stands behind that was never proven, and is a torn tail.
fn known(disk: &SimulatedDisk) -> u64 {
    let store = options().open_simulated_read_only(disk);
    store.map_or(0, |store| store.head().expect("a head").get())
}

/// Repairs a disk, if it is damaged, and looks at all that should come of it. What was lost.
fn check_repaired(disk: &SimulatedDisk, subject: &Subject) -> Option<Vec<(u64, u64)>> {
    let before = disk.contents();
    let known = known(disk);
    let plan = match repair_simulated(disk) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(verify_simulated(disk).is_ok_and(|report| report.is_sound()), "{error}");
            check_says(&error, ErrorKind::InvalidArgument, &["nothing is damaged"]);
            return None;
        }
    };
    assert_eq!(disk.contents(), before, "planning changes nothing");
    assert!(!plan.damage().is_empty());
    let (lost, files, events) = (lost(&plan), plan.files().to_vec(), plan.events_kept());
    let copy = SimulatedDisk::new(1);
    let salvaged = salvage_simulated(&disk.kill(), &copy).expect("it can be salvaged");
    assert_eq!(events, salvaged.events_copied(), "all that a salvage would keep");
    let moved = plan.apply().expect("there is room").moved().to_vec();
    assert_eq!(moved.len(), files.len());
    for (name, path) in files.iter().zip(&moved) {
        // Of one that an interrupted repair has copied in part there is another copy.
        assert!(path.starts_with(&format!("quarantine/{name}")), "{path}");
        assert_eq!(disk.read_file(path), before.get(&format!("log/{name}")).cloned(), "{name}");
        assert_eq!(disk.read_file(&format!("log/{name}")), None, "{name} was moved");
    }
    assert!(verify_simulated(disk).expect("it can be read").is_sound());
    assert_eq!(check_events(disk, subject, &lost, known) as u64, events);

    let store = options().open_simulated(disk).expect("it opens for writing");
    let head = store.head().expect("a head").get();
    assert!(
        known <= head && lost.iter().all(|(_, last)| *last <= head),
        "no position is given twice: {head}, {lost:?}"
    );
    store.accept_losses().expect("they are accepted");
    for (stream, events) in &subject.streams {
        let version = store.version(stream).expect("the loss was accepted");
        let last = events.iter().rev().map(|index| &subject.layout.events[*index]);
        let is_lost = |position: u64| lost.iter().any(|(first, last)| (*first..=*last).contains(&position));
        let last = last.map(|event| (event.position, event.version));
        let last = last.filter(|(position, _)| *position <= known).find(|(position, _)| !is_lost(*position));
        assert_eq!(version.get(), last.map_or(0, |(_, version)| version), "{stream}");
        let receipt = store.append(stream, ExpectedVersion::Exact(version), [NewEvent::bytes("more", b"!".to_vec())]);
        let receipt = receipt.wait().expect("it is written on");
        assert!(head < receipt.last_position().get());
        check_stream(&store, stream, subject, (&lost, known));
    }
    store.close().expect("closing");
    let report = verify_simulated(disk).expect("it can be read");
    assert!(report.is_sound(), "{report}");
    let store = options().open_simulated(disk).expect("it opens");
    assert!(store.recovery_report().damage().is_empty());
    subject.streams.keys().for_each(|stream| check_stream(&store, stream, subject, (&lost, known)));
    Some(lost)
}

/// Makes every change of a kind but for a few, and repairs each. How many were damage.
fn check_kind(subject: &Subject, kind: Kind, is_live_gone: bool, step: usize) -> usize {
    let count = kind.count(subject, is_live_gone);
    let mut damaged = 0;
    for number in (0..count).step_by(step) {
        let mut change = kind.nth(subject, is_live_gone, number);
        if is_live_gone {
            change.lose_live();
        }
        let told = format!("seed {}: {change}, to `{}`", seed(), subject.name);
        let disk = changed(subject, &change);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // Of some nobody can say whose they are, and torn tails are no damage.
            match verify_simulated(&disk) {
                Ok(report) if report.is_sound() => drop(repair_simulated(&disk).expect_err("nothing is damaged")),
                Ok(_) => {
                    check_repaired(&disk, subject).expect("it is damaged");
                    damaged += 1;
                }
                Err(error) => assert_eq!(error.kind(), repair_simulated(&disk).expect_err("it cannot be read").kind()),
            }
        }));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("{told}: {text}");
        }
    }
    damaged
}

#[test]
fn after_a_flipped_bit_anywhere_all_is_kept_that_verifies() {
    let subject = Subject::single(seed());
    assert!(20 < check_kind(&subject, Kind::BitFlipped, false, 397));
    // The few bytes that are not zeros.
    let bytes = &subject.files["log/0000000001.log"];
    for at in (0..bytes.len()).filter(|at| bytes[*at] != 0).step_by(5) {
        let change = Change { edits: vec![Edit::Flip("log/0000000001.log".to_owned(), at, (at % 8) as u8)] };
        check_repaired(&changed(&subject, &change), &subject);
    }
}

#[test]
fn whatever_happens_to_bytes_and_files_all_is_kept_that_verifies() {
    let subjects = [Subject::copied(seed()), Subject::torn(seed()), Subject::imported(seed()), Subject::single(seed())];
    let mut damaged = 0;
    for (index, subject) in subjects.iter().enumerate() {
        for is_live_gone in [false, true] {
            for (kind, samples) in [
                (Kind::BitFlipped, 9),
                (Kind::FileCut, 9),
                (Kind::SectorZeroed, 9),
                (Kind::SectorGarbled, 7),
                (Kind::SectorsSwapped, 5),
                (Kind::RecordMoved, 6),
                (Kind::BatchMoved, 8),
                (Kind::SegmentMoved, 8),
                (Kind::FileLost, 9),
            ] {
                let step = (kind.count(subject, is_live_gone) as usize / samples + index).max(1);
                damaged += check_kind(subject, kind, is_live_gone, step);
            }
        }
    }
    assert!(100 < damaged, "{damaged}");
}

#[test]
fn of_many_segments_only_those_are_written_anew_that_are_damaged() {
    let subject = Subject::closed(seed(), 1_000);
    let segments: Vec<_> = subject.layout.segments.iter().filter(|segment| !segment.batches.is_empty()).collect();
    assert!(4 <= segments.len(), "{}", segments.len());
    let flip = |index: usize, batch: usize| {
        let at = segments[index].batches[batch].range.start + 60;
        Edit::Flip(segments[index].path.clone(), at, 3)
    };
    let gone = |index: usize| Edit::Replace(segments[index].path.clone(), None);
    let name_of = |index: usize| segments[index].path.strip_prefix("log/").expect("it is in the log").to_owned();
    for (edits, moved) in [
        (vec![flip(2, 4)], vec![name_of(2)]),
        (vec![flip(1, 0), flip(3, 2), flip(3, 5)], vec![name_of(1), name_of(3)]),
        (vec![gone(2)], vec![]),
        (vec![gone(0)], vec![]),
        (vec![gone(0), gone(1), flip(3, 3)], vec![name_of(3)]),
        (vec![gone(1), flip(2, 0)], vec![name_of(2)]),
        (vec![Edit::Put(segments[3].path.clone(), 0, vec![7; 512])], vec![name_of(3)]),
        (vec![Edit::Cut(segments[2].path.clone(), 9_000)], vec![name_of(2)]),
    ] {
        let change = Change { edits };
        let disk = changed(&subject, &change);
        let before = disk.contents();
        let plan = repair_simulated(&disk).expect("it is damaged");
        assert_eq!(plan.files(), moved, "{change}");
        check_repaired(&disk, &subject).expect("it was damaged");
        for segment in &segments[..segments.len() - 1] {
            let after = disk.read_file(&segment.path);
            assert!(after.is_none() || after.as_ref() == before.get(&segment.path), "{change}: {}", segment.path);
        }
    }
}

/// Some ways in which a store may be damaged, in the middle and at its end.
fn wounds(subject: &Subject) -> Vec<Change> {
    let segments: Vec<_> = subject.layout.segments.iter().filter(|segment| !segment.batches.is_empty()).collect();
    let last = segments.last().expect("a segment");
    let flip = |index: usize, batch: usize| {
        let at = segments[index].batches[batch].range.start + 60;
        Edit::Flip(segments[index].path.clone(), at, 3)
    };
    let of_last = |batch: usize| Edit::Flip(last.path.clone(), last.batches[batch].range.start + 60, 5);
    let gone = |path: &str| Edit::Replace(path.to_owned(), None);
    [
        vec![flip(1, 3)],
        vec![gone(&segments[1].path)],
        vec![flip(1, 0), of_last(1)],
        vec![gone(&last.path)],
        vec![Edit::Put(last.path.clone(), last.batches[1].range.start, vec![0; 20_000])],
        vec![gone(&segments[0].path), of_last(0)],
    ]
    .map(|edits| Change { edits })
    .into()
}

#[test]
fn wherever_it_is_stopped_it_has_happened_or_the_next_one_finishes() {
    let subject = Subject::closed(seed(), 260);
    for change in wounds(&subject) {
        let whole = changed(&subject, &change);
        let mut outcomes = [0; 2];
        for stop in 1.. {
            let disk = whole.kill();
            disk.stop_at(stop);
            let done = repair_simulated(&disk).and_then(RepairPlan::apply);
            let choices = (0..2).map(|number| CrashChoice::Seeded(seed() + stop * 7 + number));
            for choice in [CrashChoice::KeepAll, CrashChoice::LoseAll].into_iter().chain(choices) {
                let crashed = disk.crash(&choice);
                let report = verify_simulated(&crashed).expect("it can be read");
                outcomes[usize::from(report.is_sound())] += 1;
                let told = format!("stopped at {stop}, {choice:?}, {change}: {report}");
                if !report.is_sound() {
                    assert!(done.is_err(), "{told}");
                    check_repaired(&crashed, &subject).expect(&told);
                    continue;
                }
                let store = options().open_simulated(&crashed).unwrap_or_else(|error| panic!("{told}: {error}"));
                let holes: Vec<(u64, u64)> = losses(&store);
                drop(store);
                assert!(!holes.is_empty(), "{told}");
                check_events(&crashed, &subject, &holes, u64::MAX);
                // What was damaged was kept before it was taken away.
                for (path, bytes) in whole.contents() {
                    if path.starts_with("log/") && path.ends_with(".log") && crashed.read_file(&path).is_none() {
                        let kept = crashed.read_file(&path.replacen("log/", "quarantine/", 1));
                        assert!(
                            kept == Some(bytes.clone()) || bytes.iter().skip(512).all(|byte| *byte == 0),
                            "{path}: {told}"
                        );
                    }
                }
            }
            if !disk.has_stopped() {
                done.expect("nothing was in its way");
                break;
            }
        }
        assert!(outcomes.iter().all(|count| 0 < *count), "{change}: {outcomes:?}");
    }
}

/// The ranges that a store says are lost, as a read comes by them.
fn losses(store: &EventStore) -> Vec<(u64, u64)> {
    let report = store.health(&scorebook::Thresholds::default()).expect("its health");
    let lost = report.concerns().iter().filter_map(|concern| match concern {
        scorebook::Concern::Lost { first, last } => Some((first.get(), last.get())),
        _ => None,
    });
    lost.collect()
}

#[test]
fn a_full_disk_and_a_failing_one_do_no_harm() {
    let subject = Subject::closed(seed(), 260);
    for change in wounds(&subject) {
        let whole = changed(&subject, &change);
        let used: usize = whole.contents().values().map(Vec::len).sum();
        let mut outcomes = std::collections::BTreeSet::new();
        for room in (0..300_000).step_by(23_000) {
            let disk = whole.kill();
            disk.set_capacity(Some((used + room) as u64));
            let done = repair_simulated(&disk).and_then(RepairPlan::apply);
            outcomes.insert(format!("{:?}", done.as_ref().map(drop).map_err(|error| error.kind())));
            disk.set_capacity(None);
            check_afterwards(&disk, &subject, done.is_ok());
        }
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["Err(Full)", "Ok(())"], "{change}");
        for operation in
            [DiskOperation::Write, DiskOperation::Sync, DiskOperation::SyncDirectory, DiskOperation::Remove]
        {
            for nth in 1.. {
                let disk = whole.kill();
                let plan = repair_simulated(&disk).expect("it is damaged");
                disk.fail(DiskFault::new(operation, io::ErrorKind::Other).nth(nth));
                let before = disk.kind_count(operation);
                let done = plan.apply();
                let is_over = disk.kind_count(operation) - before < nth;
                disk.heal();
                check_afterwards(&disk, &subject, done.is_ok());
                if is_over {
                    done.expect("nothing failed");
                    break;
                }
            }
        }
    }
}

/// It is repaired by now, or by the next repair.
fn check_afterwards(disk: &SimulatedDisk, subject: &Subject, is_done: bool) {
    let report = verify_simulated(disk).expect("it can be read");
    if report.is_sound() {
        let store = options().open_simulated(disk).expect("it opens");
        let holes = losses(&store);
        drop(store);
        check_events(disk, subject, &holes, u64::MAX);
    } else {
        assert!(!is_done, "{report}");
        check_repaired(disk, subject).expect("it is damaged");
    }
}

#[test]
fn a_store_that_is_sound_open_newer_or_not_there_is_left_alone() {
    let subject = Subject::closed(seed(), 260);
    let disk = subject.copy();
    let before = disk.contents();
    check_says(&repair_simulated(&disk).expect_err("it is sound"), ErrorKind::InvalidArgument, &["nothing is damaged"]);
    assert_eq!(disk.contents(), before);
    let missing = repair_simulated(&SimulatedDisk::new(1)).expect_err("it is not there");
    assert_eq!(missing.kind(), ErrorKind::StoreNotFound);

    let damaged = changed(&subject, &wounds(&subject)[0]);
    let plan = repair_simulated(&damaged).expect("it is damaged");
    let path = &subject.layout.segments[0].path;
    damaged.flip_bit(path, subject.layout.segments[0].batches[2].range.start as u64 + 60, 1);
    let error = plan.apply().expect_err("there is more of it by now");
    check_says(&error, ErrorKind::InvalidArgument, &["what is damaged there has changed"]);
    let mut newer = subject.files[path].clone();
    newer[12] = 2;
    let sum = crc32fast_of(&newer[12..512]);
    newer[8..12].copy_from_slice(&sum.to_le_bytes());
    damaged.write_file(path, &newer);
    let error = repair_simulated(&damaged).expect_err("a newer version wrote it");
    check_says(&error, ErrorKind::TooNew, &["it has format 2, this version knows 1"]);
}

/// CRC-32 as in zlib, bit by bit.
fn crc32fast_of(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

#[test]
fn on_the_real_disk_it_is_the_same() {
    let subject = Subject::closed(seed(), 260);
    for (number, change) in wounds(&subject).into_iter().enumerate() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(number.to_string());
        let disk = changed(&subject, &change);
        unpack(&disk.contents(), &path);
        let plan = scorebook::repair(&path).expect("it is damaged");
        let simulated = repair_simulated(&disk).expect("it is damaged");
        assert_eq!((lost(&plan), plan.files()), (lost(&simulated), simulated.files()), "{change}");
        let before = contents_of(&path);
        let moved = plan.apply().expect("there is room").moved().to_vec();
        let after = contents_of(&path);
        for moved in &moved {
            assert_eq!(after.get(moved), before.get(&moved.replacen("quarantine/", "log/", 1)), "{moved}");
        }
        assert!(scorebook::verify(&path).expect("it can be read").is_sound());
        let store = options().open(&path).expect("it opens");
        let kept = store.read_all().skipping_lost().count().expect("a number");
        store.accept_losses().expect("they are accepted");
        add(&store, &name("game-1"), [NewEvent::bytes("more", b"!".to_vec())]);
        store.close().expect("closing");
        let store = options().open(&path).expect("it opens");
        assert_eq!(store.read_all().skipping_lost().count().expect("a number"), kept + 1);
        let locked = scorebook::repair(&path).expect_err("nothing is damaged");
        assert_eq!(locked.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn beside_a_writer_nothing_is_repaired() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bot.scorebook");
    let store = options().open(&path).expect("it opens");
    for number in 0..100 {
        add(&store, &name("game-1"), [kilobyte(number)]);
    }
    store.flush().expect("synced");
    let segment = path.join("log/0000000001.log");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[9_000] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let plan = scorebook::repair(&path).expect("it is damaged");
    assert_eq!(plan.apply().expect_err("it is open").kind(), ErrorKind::Locked);
    assert!(!path.join("quarantine").exists());
    drop(store);
    scorebook::repair(&path).expect("it is damaged").apply().expect("there is room");
    assert!(scorebook::verify(&path).expect("it can be read").is_sound());
}
