//! Faults: syncs, writes and reads that fail, a disk that is full, a directory that is not what it should be.

use crate::story::{Batches, Step, World, options, seed, stream, survive};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{Durability, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Status};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

const ONE: Batches = &[&[(1, 1, 40)]];
const FEW: Batches = &[&[(1, 2, 60), (2, 1, 10)], &[(1, 1, 0)]];
const BIG: Batches = &[&[(3, 1, 9_000)], &[(3, 1, 9_000)]];

/// What the tests of failing operations do: a first append, rolling over, a session, a tail that is copied.
const STEPS: &[Step] = &[
    Step::Append(ONE),
    Step::Append(FEW),
    Step::Append(BIG),
    Step::Append(BIG),
    Step::Append(ONE),
    Step::Close,
    Step::Append(BIG),
    Step::Write(FEW),
    Step::Flush,
    Step::Rest,
    Step::Append(FEW),
];

/// What became of a program under a fault.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It met no trouble, or only such as is nobody's business.
    Well,
    /// Opening failed.
    Unopened(ErrorKind),
    /// An append was refused, and the store was fine.
    Refused(ErrorKind),
    /// The store latched.
    Latched,
}

/// How often an operation of this kind occurs in the whole program.
fn count(operation: DiskOperation) -> u64 {
    let world = tell(STEPS);
    world.disk.kind_count(operation)
}

fn tell(steps: &[Step]) -> World {
    let mut world = World::new(seed());
    assert!(world.open(0).is_ok());
    for step in steps {
        assert!(world.step(*step).is_ok());
    }
    world
}

/// Runs the program under a fault, until there is trouble.
fn run(fault: DiskFault, failure: SyncFailure) -> (World, Ended) {
    let mut world = World::new(seed());
    world.disk.set_sync_failure(failure);
    world.disk.fail(fault);
    let open = |world: &mut World| match options().open_simulated(&world.disk) {
        Ok(store) => {
            world.store = Some(store);
            None
        }
        Err(error) => Some(Ended::Unopened(error.kind())),
    };
    if let Some(ended) = open(&mut world) {
        return (world, ended);
    }
    for step in STEPS {
        let store = world.store();
        let trouble = match step {
            Step::Append(batches) => trouble(world.append(batches, Durability::Synced)),
            Step::Write(batches) => trouble(world.append(batches, Durability::Written)),
            Step::Flush => store.flush().err().map(|error| error.kind()),
            Step::Close => {
                let closed = store.close();
                if closed.is_ok()
                    && let Some(ended) = open(&mut world)
                {
                    return (world, ended);
                }
                closed.err().map(|error| error.kind())
            }
            _ => {
                assert!(world.step(*step).is_ok());
                None
            }
        };
        let store = world.store();
        match trouble {
            Some(ErrorKind::OutcomeUnknown | ErrorKind::Poisoned) => return (world, Ended::Latched),
            Some(kind) => return (world, Ended::Refused(kind)),
            None if store.status() == Status::Poisoned => return (world, Ended::Latched),
            None => {}
        }
    }
    (world, Ended::Well)
}

fn trouble(answers: Vec<Option<ErrorKind>>) -> Option<ErrorKind> {
    answers.into_iter().flatten().next()
}

/// A store that latched refuses, reads, and after reopening holds all that was acknowledged, for good.
fn check_latched(mut world: World, whence: &str) {
    let store = world.store();
    let said = world.model.least_after_kill();
    for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(seed())] {
        let whence = format!("{whence}, then the power was cut: {choice:?}");
        survive(world.disk.crash(&choice), &world.model, world.model.least_after_power_cut(), &whence);
    }
    if store.status() != Status::Closed {
        assert_eq!(store.status(), Status::Poisoned, "{whence}");
        let there = world.model.check(&store, said, &whence);
        assert_eq!(there, said, "{whence}: what was not acknowledged is not visible");
        for kind in world.append(FEW, Durability::Synced) {
            assert_eq!(kind, Some(ErrorKind::Poisoned), "{whence}: an append behind the failure");
        }
        assert_eq!(store.flush().map_err(|error| error.kind()), Err(ErrorKind::Poisoned), "{whence}");
        world.model.check(&store, said, &whence);
    }
    world.disk.heal();
    if let Err(error) = store.reopen() {
        panic!("{whence}: reopening: {error:?}");
    }
    let there = world.model.check(&store, said, &whence);
    assert_eq!(store.status(), Status::Writing, "{whence}");
    world.reopened(there);
    // What was found by reopening is durable, also where the system showed bytes that the disk did not have.
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, there, &format!("{whence}, reopened, power cut"));
    assert_eq!(world.append(FEW, Durability::Synced), [None, None], "{whence}: appending after reopening");
    let all = world.model.len();
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all, &format!("{whence}, appended, power cut"));
}

/// A store that only refused goes on by itself.
fn check_refused(mut world: World, whence: &str) {
    let store = world.store();
    world.model.check(&store, world.model.len(), &whence);
    world.disk.heal();
    assert_eq!(world.append(FEW, Durability::Synced), [None, None], "{whence}: appending afterwards");
    assert_eq!(store.status(), Status::Writing, "{whence}");
    let all = world.model.len();
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all, &format!("{whence}, then the power was cut"));
}

/// Where opening failed, the next one succeeds.
fn check_unopened(mut world: World, whence: &str) {
    world.disk.heal();
    world.store = None;
    let least = world.model.least_after_kill();
    survive(world.disk.kill(), &world.model, least, &whence);
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
}

fn check(fault: DiskFault, failure: SyncFailure) -> Ended {
    let whence = format!("{fault:?}, {failure:?}");
    let (world, ended) = run(fault, failure);
    match ended {
        Ended::Well => survive(world.disk.kill(), &world.model, world.model.len(), &whence),
        Ended::Unopened(_) => check_unopened(world, &whence),
        Ended::Refused(_) => check_refused(world, &whence),
        Ended::Latched => check_latched(world, &whence),
    }
    ended
}

#[test]
fn a_failed_sync_latches_and_readers_go_on() {
    let mut latched = 0;
    for operation in [DiskOperation::Sync, DiskOperation::SyncDirectory] {
        for nth in 1..=count(operation) {
            for failure in [SyncFailure::Keep, SyncFailure::Drop] {
                // Full, read-only or broken: the errno of a failed sync makes no difference.
                for error in [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem] {
                    let ended = check(DiskFault::new(operation, error).nth(nth), failure);
                    assert!(!matches!(ended, Ended::Refused(_)), "sync {nth}, {failure:?}, {error:?}: {ended:?}");
                    latched += usize::from(ended == Ended::Latched);
                }
            }
        }
    }
    assert!(30 < latched, "only {latched} failed syncs latched");
}

#[test]
fn a_failing_or_short_write_into_made_room_latches() {
    let mut ends = BTreeMap::new();
    for nth in 1..=count(DiskOperation::Write) {
        for written in [0, 1, 47, 512, 700, usize::MAX] {
            let fault = DiskFault::new(DiskOperation::Write, io::ErrorKind::Other).nth(nth).written(written);
            *ends.entry(format!("{:?}", check(fault, SyncFailure::Keep))).or_insert(0) += 1;
        }
    }
    assert!(30 < ends["Latched"] && 0 < ends["Unopened(Io)"], "{ends:?}");
}

#[test]
fn a_failing_create_or_remove_is_refused_or_nobodys_business() {
    for operation in [DiskOperation::Create, DiskOperation::Remove, DiskOperation::Open, DiskOperation::List] {
        for nth in 1..=count(operation) {
            for error in [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
                let ended = check(DiskFault::new(operation, error).nth(nth), SyncFailure::Keep);
                assert_ne!(ended, Ended::Latched, "{operation:?} {nth}, {error:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_by_itself() {
    // At every write, for good: room that is being made is refused, a write into room that was made latches.
    let mut ends = BTreeMap::new();
    for nth in 1..=count(DiskOperation::Write) {
        for written in [0, 600] {
            let fault =
                DiskFault::new(DiskOperation::Write, io::ErrorKind::StorageFull).nth(nth).written(written).repeat();
            *ends.entry(format!("{:?}", check(fault, SyncFailure::Keep))).or_insert(0) += 1;
        }
    }
    assert!(0 < ends["Refused(Full)"] && 0 < ends["Latched"], "{ends:?}");

    // At every size of the disk: only making room can fail then.
    let whole: usize = tell(STEPS).disk.contents().values().map(Vec::len).sum();
    let mut refused = 0;
    for capacity in (0..whole + 4096).step_by(2_039) {
        let mut world = World::new(seed());
        world.disk.set_capacity(Some(capacity as u64));
        let whence = format!("a disk of {capacity} bytes");
        assert!(world.open(0).is_ok(), "{whence}");
        for batches in [ONE, FEW, BIG, BIG, ONE, BIG, BIG, FEW] {
            let before = world.model.len();
            for kind in world.append(batches, Durability::Synced).into_iter().flatten() {
                assert_eq!(kind, ErrorKind::Full, "{whence}");
                assert_eq!(world.store().status(), Status::Full, "{whence}");
                refused += 1;
            }
            let least = world.model.len();
            assert!(before <= least);
            world.model.check(&world.store(), least, &whence);
        }
        let all = world.model.len();
        survive(world.disk.kill(), &world.model, all, &format!("{whence}, then killed"));
        survive(
            world.disk.crash(&CrashChoice::LoseAll),
            &world.model,
            all,
            &format!("{whence}, then the power was cut"),
        );
        // It opens and reads without any room, and goes on when there is some.
        assert!(world.step(Step::Close).is_ok());
        world.disk.set_capacity(None);
        assert_eq!(world.append(BIG, Durability::Synced), [None, None], "{whence}: with room again");
        assert_eq!(world.store().status(), Status::Writing, "{whence}");
        let all = world.model.len();
        survive(world.disk.kill(), &world.model, all, &whence);
    }
    assert!(20 < refused, "only {refused} appends were refused");
}

#[test]
fn a_tail_without_room_to_be_copied_is_read_and_told_and_appends_wait_for_room() {
    let mut world = tell(&[Step::Append(ONE), Step::Append(BIG), Step::Write(FEW)]);
    let all = world.model.len();
    world.disk = world.disk.kill();
    world.disk.remove_file("live");
    // A segment that is ready makes way for the copy: this is about a disk on which nothing can.
    for (path, bytes) in world.disk.contents() {
        if path.ends_with(".log") && bytes[512..].iter().all(|byte| *byte == 0) {
            world.disk.remove_file(&path);
        }
    }
    let used: usize = world.disk.contents().values().map(Vec::len).sum();
    for room in [0, 100, 1_024, 20_000] {
        let mut world = World::on(world.disk.kill(), world.model.clone());
        world.disk.set_capacity(Some((used + room) as u64));
        let whence = format!("with room for {room} bytes");
        let before = log_files(&world.disk);
        assert!(world.open(all).is_ok());
        let store = world.store();
        assert!(store.recovery_report().unproven_events() != 0, "{whence}: {}", store.recovery_report());
        assert_eq!(store.status(), Status::Full, "{whence}");
        for _ in 0..3 {
            assert_eq!(world.append(ONE, Durability::Synced), [Some(ErrorKind::Full)], "{whence}");
            assert_eq!(store.flush().map_err(|error| error.kind()), Err(ErrorKind::Full), "{whence}");
        }
        world.model.check(&store, all, &whence);
        assert!(log_files(&world.disk) == before, "{whence}: nothing changed in the log");
        survive(world.disk.kill(), &world.model, all, &whence);
        // A power cut may take what nobody had acknowledged as synced, and nothing else.
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
        world.disk.set_capacity(None);
        assert_eq!(world.append(ONE, Durability::Synced), [None], "{whence}: with room again");
        assert_eq!((store.status(), store.recovery_report().unproven_events()), (Status::Writing, 0), "{whence}");
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all + 1, &whence);
    }
}

#[test]
fn a_segment_that_is_ready_makes_way_for_the_copy_of_a_tail() {
    let mut world = tell(&[Step::Append(ONE), Step::Append(BIG), Step::Write(FEW)]);
    let all = world.model.len();
    world.disk = world.disk.kill();
    world.disk.remove_file("live");
    let used: usize = world.disk.contents().values().map(Vec::len).sum();
    world.disk.set_capacity(Some(used as u64));
    assert!(world.open(all).is_ok());
    let report = world.store().recovery_report();
    assert!(report.copied_events() != 0 && report.unproven_events() == 0, "{report}");
    survive(
        world.disk.crash(&CrashChoice::LoseAll),
        &world.model,
        all,
        &"the tail was copied into what room there was".to_owned(),
    );
}

#[test]
fn a_read_error_while_opening_fails_it_once_and_changes_nothing() {
    for steps in [
        &[][..],
        &[Step::Append(FEW), Step::Close],
        &[Step::Append(BIG), Step::Append(BIG), Step::Append(BIG), Step::Close],
        &[Step::Append(BIG), Step::Append(BIG), Step::Append(BIG)],
        &[Step::Append(FEW), Step::Write(ONE)],
    ] {
        let world = tell(steps);
        for is_live_there in [true, false] {
            let prepare = || {
                let disk = world.disk.kill();
                if !is_live_there {
                    disk.remove_file("live");
                }
                disk
            };
            let disk = prepare();
            options().open_simulated(&disk).map(std::mem::forget).expect("it opens");
            let reads = disk.kind_count(DiskOperation::Read);
            assert!(0 < reads);
            for nth in 1..=reads {
                let disk = prepare();
                let before = log_files(&disk);
                let whence = format!("{steps:?}, read {nth} of {reads}, `live` there: {is_live_there}");
                disk.fail(DiskFault::new(DiskOperation::Read, io::ErrorKind::Other).nth(nth));
                let error = options().open_simulated(&disk).expect_err(&whence);
                assert_eq!(error.kind(), ErrorKind::Io, "{whence}: {error:?}");
                assert!(log_files(&disk) == before, "{whence}: the log changed");
                survive(disk, &world.model, world.model.len(), &whence);

                let disk = prepare();
                disk.fail(DiskFault::new(DiskOperation::Read, io::ErrorKind::Other).nth(nth));
                let before = disk.contents();
                let opened = options().open_simulated_read_only(&disk);
                let Err(error) = opened else { continue };
                assert_eq!(error.kind(), ErrorKind::Io, "{whence}: reading only: {error:?}");
                assert!(disk.contents() == before, "{whence}: reading changed something");
            }
        }
    }
}

fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/")).collect()
}

fn check_locked(opened: Result<EventStore, Error>) {
    let error = opened.expect_err("a second writer");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
}

#[test]
fn a_second_writer_is_refused_and_a_killed_owner_leaves_nothing_to_clean_up() {
    let world = tell(&[Step::Append(ONE)]);
    check_locked(options().open_simulated(&world.disk));
    world.model.check(&world.store(), 1, &"beside a refused writer");
    // The owner is killed: its handle is still there, on a disk of the past.
    survive(world.disk.kill(), &world.model, 1, &"killed");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bot.scorebook");
    let store = EventStore::open(&path).expect("a store");
    let error = EventStore::open(&path).expect_err("a second writer");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    append_one(&store).expect("the first one writes on");
    drop(store);
    assert_eq!(EventStore::open(&path).expect("a store").head().expect("a head").get(), 1);
}

fn append_one(store: &EventStore) -> Result<(), Error> {
    let event = NewEvent::bytes("scored", b"1".to_vec());
    store.append(&stream(1), ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
    Ok(())
}

/// Everything below a directory: paths, and the bytes of files.
fn tree(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let is_directory = fs::symlink_metadata(&path).expect("metadata").is_dir();
            found.insert(path.display().to_string(), (!is_directory).then(|| fs::read(&path).unwrap_or_default()));
            if is_directory {
                todo.push(path);
            }
        }
    }
    found
}

#[test]
fn a_directory_that_is_not_what_it_should_be_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let store_at = |name: &str| {
        let path = directory.path().join(name);
        let store = EventStore::open(&path).expect("a store");
        append_one(&store).expect("a receipt");
        store.close().expect("closing");
        path
    };
    let check = |path: &Path, kinds: &[ErrorKind], says: &str| {
        let before = tree(directory.path());
        for opened in [EventStore::open(path), EventStore::open_read_only(path)] {
            let Err(error) = opened else { continue };
            let text = format!("{error:?}");
            assert!(kinds.contains(&error.kind()) && text.contains(says), "{says}: {text}");
        }
        assert!(EventStore::open(path).is_err(), "{says}: opened");
        let after = tree(directory.path());
        let without_live = |tree: BTreeMap<String, Option<Vec<u8>>>| -> Vec<_> {
            tree.into_iter().filter(|(path, _)| !path.ends_with("/live") && !path.ends_with("/LOCK")).collect()
        };
        assert!(without_live(before) == without_live(after), "{says}: something changed");
    };

    let file = directory.path().join("a-file");
    fs::write(&file, b"no store").expect("a file");
    check(&file, &[ErrorKind::Io], "a-file");
    check(&file.join("below"), &[ErrorKind::Io, ErrorKind::StoreNotFound], "a-file");

    let path = store_at("directory-for-segment");
    let segment = path.join("log/0000000001.log");
    fs::remove_file(&segment).expect("removing");
    fs::create_dir(&segment).expect("a directory");
    check(&path, &[ErrorKind::Damaged], "segment 1");

    let path = store_at("link-for-segment");
    let segment = path.join("log/0000000001.log");
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&segment, &elsewhere).expect("moving");
    std::os::unix::fs::symlink(&elsewhere, &segment).expect("a link");
    check(&path, &[ErrorKind::Damaged], "segment 1");

    let path = store_at("link-for-lock");
    let target = directory.path().join("target");
    fs::write(&target, b"untouched").expect("a file");
    fs::remove_file(path.join("LOCK")).expect("removing");
    std::os::unix::fs::symlink(&target, path.join("LOCK")).expect("a link");
    let error = EventStore::open(&path).expect_err("a link for the lock");
    assert!(error.kind() == ErrorKind::Io && format!("{error:?}").contains("symbolic link"), "{error:?}");
    assert_eq!(fs::read(&target).expect("the target"), b"untouched");

    let path = store_at("link-for-live");
    fs::remove_file(path.join("live")).expect("removing");
    std::os::unix::fs::symlink(&target, path.join("live")).expect("a link");
    let error = EventStore::open(&path).expect_err("a link for `live`");
    assert!(error.kind() == ErrorKind::Io && format!("{error:?}").contains("symbolic link"), "{error:?}");
    assert_eq!(fs::read(&target).expect("the target"), b"untouched");
}

#[test]
fn reading_only_creates_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing");
    let error = EventStore::open_read_only(&missing).expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::StoreNotFound, "{error:?}");
    assert!(!missing.exists());
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    let error = EventStore::open_read_only(&empty).expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::StoreNotFound, "{error:?}");
    assert_eq!(tree(&empty).len(), 0);

    let path = directory.path().join("bot.scorebook");
    let store = EventStore::open(&path).expect("a store");
    append_one(&store).expect("a receipt");
    store.close().expect("closing");
    fs::remove_file(path.join("LOCK")).expect("removing");
    for gone in ["", "live"] {
        if !gone.is_empty() {
            fs::remove_file(path.join(gone)).expect("removing");
        }
        let before = tree(&path);
        let reader = EventStore::open_read_only(&path).expect("a reader");
        assert_eq!(reader.read_all().iter().count(), 1);
        assert_eq!(append_one(&reader).map_err(|error| error.kind()), Err(ErrorKind::ReadOnly));
        drop(reader);
        assert!(tree(&path) == before, "reading only changed something");
    }
}
