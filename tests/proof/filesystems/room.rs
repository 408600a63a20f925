//! No room: file systems that are full, in bytes and in inodes, and that may not be written.

use super::rig::{IMAGE_BYTES, Kind};
use super::site::{Balloon, Site};
use super::{Checked, PATIENCE};
use crate::model::{Choices, Fate};
use crate::other::describe;
use scorebook::{AppendError, ErrorKind, EventStore, Status};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A file system that fills up and empties, under processes that write and are killed.
pub(super) fn full(kind: Kind, seed: u64) -> Checked {
    let bytes = if kind == Kind::Ext4 { 48 * 1024 * 1024 } else { IMAGE_BYTES };
    let mut site = Site::mounted(kind, bytes, seed);
    fill_and_empty(&mut site, kind.name(), kind == Kind::Btrfs)
}

pub(super) fn full_in_memory(seed: u64) -> Checked {
    fill_and_empty(&mut Site::in_memory("size=32m", seed), "tmpfs", false)
}

const FILLINGS: u64 = 6;

/// Where writes go to new places, they may find no room although it had been made: that is a failed write.
fn fill_and_empty(site: &mut Site, name: &str, writes_elsewhere: bool) -> Checked {
    let mut failures = 0;
    for filling in 0..FILLINGS {
        let context = format!("filling {filling} of {name}");
        site.write(&[], 2, &context)?;
        let store = site.open(Fate::Killed, &context);
        let balloon = Balloon::blow_up(site.place());
        match until_full(site, &store, &context) {
            ErrorKind::Full => {
                assert_eq!(store.status(), Status::Full, "{context}");
                // As often as one likes.
                assert_eq!(until_full(site, &store, &context), ErrorKind::Full, "{context}");
                site.look_beside(&store, &context);
                if site.chance.one_in(2) {
                    drop(balloon);
                    goes_on(site, &store, &context);
                    drop(store);
                } else {
                    store.close().unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
                    at_a_full_one(site, balloon, &context);
                }
            }
            kind => {
                assert!(writes_elsewhere && kind == ErrorKind::OutcomeUnknown, "{kind:?}, {context}");
                failures += 1;
                drop(store);
                at_a_full_one(site, balloon, &context);
            }
        }
        site.look(Fate::Killed, &context);
    }
    Ok(format!("{FILLINGS} times filled, {} times refused, {failures} writes failed", site.ledger.count("full")))
}

/// Appends until that is refused; as what.
fn until_full(site: &mut Site, store: &EventStore, context: &str) -> ErrorKind {
    let begun = Instant::now();
    loop {
        let head = store.head().expect("a head");
        match site.ledger.try_add(store) {
            Ok(()) => {}
            Err(AppendError::Store(error)) => {
                if error.kind() == ErrorKind::Full {
                    assert_eq!(store.head().expect("a head"), head, "a refused append changed something, {context}");
                    site.ledger.hear("full");
                }
                return error.kind();
            }
            Err(AppendError::Conflict(conflict)) => panic!("{conflict}, {context}"),
        }
        assert!(begun.elapsed() < PATIENCE, "it is never full, {context}");
    }
}

/// Once there is room, appends are accepted again without anything else being done.
fn goes_on(site: &mut Site, store: &EventStore, context: &str) {
    let begun = Instant::now();
    while let Err(error) = site.ledger.try_add(store) {
        let error = error.into_error();
        assert_eq!(error.kind(), ErrorKind::Full, "{}, {context}", describe(&error));
        let taken = store.stats().expect("numbers").disk_bytes();
        assert!(begun.elapsed() < PATIENCE, "there is room, and it does not go on with {taken} bytes, {context}");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(store.status(), Status::Writing, "{context}");
}

/// A process is killed on a full file system; the store opens there, reads, and writes again once there is room.
fn at_a_full_one(site: &mut Site, balloon: Balloon, context: &str) {
    let lines = 3 + site.chance.below(30);
    site.kill(lines, context);
    site.look_only(Fate::Killed, context);
    let store = site.open(Fate::Killed, context);
    let outcome = site.ledger.try_add(&store).map_err(AppendError::into_error);
    let kind = outcome.err().map(|error| error.kind());
    let answers = [None, Some(ErrorKind::Full), Some(ErrorKind::OutcomeUnknown)];
    assert!(answers.contains(&kind), "{kind:?}, {context}");
    drop(balloon);
    if kind == Some(ErrorKind::OutcomeUnknown) {
        store.reopen().unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
    }
    goes_on(site, &store, context);
}

/// No inodes are left: no segment can be made.
pub(super) fn no_inodes(seed: u64) -> Checked {
    let mut site = Site::in_memory("size=64m,nr_inodes=24", seed);
    let context = "without inodes";
    site.write(&[], 1, context)?;
    let store = site.open(Fate::Killed, context);
    let mut fillers = Vec::new();
    loop {
        let path = site.place().join(format!("filler-{}", fillers.len()));
        match std::fs::File::create(&path) {
            Ok(_) => fillers.push(path),
            Err(_) => break,
        }
    }
    assert!(!fillers.is_empty(), "there was none from the beginning");
    assert_eq!(until_full(&mut site, &store, context), ErrorKind::Full);
    site.look_beside(&store, context);
    for filler in &fillers {
        std::fs::remove_file(filler).expect("it can be removed");
    }
    goes_on(&mut site, &store, context);
    drop(store);
    site.look(Fate::Killed, context);
    Ok(format!("refused with {} other files, went on without them", fillers.len()))
}

/// A file system that may only be read: a store there is read and not opened for writing.
pub(super) fn read_only(kind: Kind, seed: u64) -> Checked {
    let mut site = Site::mounted(kind, IMAGE_BYTES, seed);
    let context = format!("read-only {}", kind.name());
    site.write(&[], 2, &context)?;
    for is_clean in [true, false] {
        if !is_clean {
            site.kill(40, &context);
        }
        let before = contents(&site.path());
        site.mount.as_ref().expect("it is mounted").change("ro")?;
        site.look_only(Fate::Killed, &context);
        let error = EventStore::open(site.path()).expect_err("nothing can be written");
        assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(&error));
        assert!(describe(&error).contains("Read-only file system"), "{}, {context}", describe(&error));
        let error = EventStore::open(site.place().join("new.scorebook")).expect_err("nothing can be made");
        assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(&error));
        site.mount.as_ref().expect("it is mounted").change("rw")?;
        assert!(contents(&site.path()) == before, "something was changed, {context}");
        drop(site.open(Fate::Killed, &context));
    }
    Ok("refused to be opened for writing, read in full, closed and not closed".to_owned())
}

/// A file system that gives up while a store on it is written.
pub(super) fn given_up(seed: u64) -> Checked {
    let mut site = Site::mounted(Kind::Ext4, IMAGE_BYTES, seed);
    let context = "aborted ext4";
    for _ in 0..5 {
        site.write(&[], 1, context)?;
        let store = site.open(Fate::PowerCut, context);
        let mut appended = 0;
        while appended < 20 {
            site.ledger.add(&store);
            appended += 1;
        }
        store.flush().expect("nothing fails yet");
        site.ledger.hear(&format!("durable {}", store.head().expect("a head")));
        // The state that is reached after an error in the file system's own structures. It says of itself that it failed.
        let _ = site.mount.as_ref().expect("it is mounted").change("abort");
        let begun = Instant::now();
        let error = loop {
            match site.ledger.try_add(&store) {
                Ok(()) => assert!(begun.elapsed() < PATIENCE, "it can be written for ever, {context}"),
                Err(error) => break error.into_error(),
            }
        };
        let kinds = [ErrorKind::OutcomeUnknown, ErrorKind::Poisoned, ErrorKind::Io];
        assert!(kinds.contains(&error.kind()), "{}, {context}", describe(&error));
        let _ = store.close();
        drop(store);
        site.mount(Kind::Ext4);
        site.look(Fate::PowerCut, context);
    }
    Ok("5 times aborted under an open store".to_owned())
}

/// All files below a directory and what they hold.
pub(super) fn contents(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
