//! Directories that are not what they should be, second writers, and readers that must change nothing.

use super::support::name;
use crate::model::{World, append, options, part, seed, stream, survive};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{Error, ErrorKind, EventStore, NewEvent};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn check_locked(opened: Result<EventStore, Error>) {
    let error = opened.expect_err("a second writer");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
}

#[test]
fn a_second_writer_is_refused_and_a_killed_owner_leaves_nothing_to_clean_up() {
    let mut world = World::new(seed());
    assert!(world.open(0).is_ok() && world.step(&append(&[&[part(1, 1, 40)]])).is_ok());
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
    store.append(&stream(1), Any, [event]).wait().map_err(|error| error.into_error())?;
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

/// A crash left a tail, and nothing can be removed while it is copied: what was passed by and what was made ready ahead
/// stay, are told of, and are never taken for more than that.
#[test]
fn files_that_could_not_be_removed_do_not_count_and_go_with_the_next_segment() {
    let options = EventStore::options().segment_bytes_max(32 * 1024);
    let disk = SimulatedDisk::new(seed());
    let store = options.open_simulated(&disk).expect("a store");
    let large = |byte| NewEvent::bytes("large", vec![byte; 20_000]);
    for byte in 1..=2 {
        store.append(&name("game-1"), Any, [large(byte)]).wait().expect("a receipt");
    }
    let disk = disk.kill();
    disk.remove_file("live");
    crate::model::forget_derived(&disk);
    let before = disk.file_names();
    disk.fail(DiskFault::new(DiskOperation::Remove, std::io::ErrorKind::Other).repeat());
    let store = options.open_simulated(&disk).expect("what cannot be removed is harmless");
    assert_eq!(store.recovery_report().copied_events(), 1, "the tail was copied");
    let left: Vec<String> = disk.file_names().into_iter().filter(|path| before.contains(path)).collect();
    assert!(left.iter().filter(|path| path.ends_with(".log")).count() >= 2, "{left:?} of {before:?}");
    store.close().expect("closing");
    disk.heal();
    let check = |events: u8| {
        let store = options.open_simulated_read_only(&disk).expect("it opens");
        let bytes: Vec<u8> = store.read_all().iter().map(|event| event.expect("an event").data()[0]).collect();
        assert_eq!(bytes, (1..=events).collect::<Vec<_>>());
        assert!(scorebook::testing::verify_simulated(&disk).expect("it can be verified").is_sound());
        store.recovery_report().notes().to_vec()
    };
    let is_told = |notes: &[String], text: &str| notes.iter().any(|note| note.contains(text));
    let notes = check(2);
    assert!(is_told(&notes, "was passed by"), "{notes:?}");
    // A file that was passed by may even be damaged.
    let number = notes.iter().find_map(|note| note.split(".log was passed by").next()).expect("a number").to_owned();
    let path = format!("log/{}.log", number.rsplit(['/', ' ']).next().expect("a name"));
    disk.garble(&path, 0..100, 1);
    assert!(is_told(&check(2), "does not count"));
    let store = options.open_simulated(&disk).expect("it opens");
    for byte in 3..=9 {
        store.append(&name("game-1"), Any, [large(byte)]).wait().expect("a receipt");
    }
    check(9);
    store.close().expect("closing");
    let notes = check(9);
    assert!(!is_told(&notes, "was passed by"), "{notes:?}");
}
