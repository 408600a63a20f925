//! A directory of arbitrary bytes: whatever stands in it, opening it for reading, for writing, to verify and to salvage
//! gives an answer, the same one each time, and never changes what it refuses.

use crate::image::Image;
use crate::look::{self, Event, Seen, check_named, one_more, options};
use scorebook::testing::{SimulatedDisk, salvage_simulated, verify_simulated};
use scorebook::{Error, ErrorKind, EventStore, ExpectedVersion};
use std::collections::BTreeMap;

/// Opens the directory in every way.
pub fn run(data: &[u8]) {
    let image = Image::of(data);
    let disk = image.disk(1);
    let before = disk.contents();
    let read = read_only(&disk);
    let is_sound = match verify_simulated(&disk) {
        Ok(report) => Some(report.is_sound()),
        Err(error) => {
            check_answer(&error);
            None
        }
    };
    salvage(&disk, read.as_ref().ok());
    assert!(disk.contents() == before, "looking changed something");
    match open(&disk) {
        Err(error) => {
            check_answer(&error);
            assert!(log_of(&disk) == log_of_contents(before), "a refused opening changed the log");
            let again = open(&disk).err().expect("what was refused once is refused again");
            assert_eq!((again.kind(), again.to_string()), (error.kind(), error.to_string()), "with the same words");
            assert!(error.kind() != ErrorKind::Damaged || is_sound != Some(true), "sound, and then {error:?}");
        }
        Ok((store, found)) => {
            assert_ne!(is_sound, Some(false), "damage that opening does not see");
            // Nothing to read is fine for a writer alone.
            if let Ok(read) = &read {
                assert!(
                    read.trouble.is_none() == found.trouble.is_none() && read.events == found.events,
                    "other events"
                );
            }
            // A part of the inputs kills the process instead of closing.
            let is_killed = data.first().is_some_and(|how| 128 <= *how);
            go_on(&disk, store, found, is_killed);
        }
    }
}

/// What a reader sees, or why it sees nothing.
fn read_only(disk: &SimulatedDisk) -> Result<Seen, Error> {
    let opened = options().open_simulated_read_only(disk);
    let store = opened.inspect_err(check_answer)?;
    let seen = look::everything(&store);
    let is_damaged = !store.recovery_report().damage().is_empty();
    assert!(is_damaged || !seen.is_damaged(), "damage nobody told: {:?}", seen.trouble);
    let again = look::everything(&options().open_simulated_read_only(disk).expect("it was opened before"));
    assert!(again.events == seen.events, "a second look sees something else");
    Ok(seen)
}

fn open(disk: &SimulatedDisk) -> Result<(EventStore, Seen), Error> {
    let store = options().open_simulated(disk)?;
    let seen = look::everything(&store);
    assert!(!seen.is_damaged(), "{:?}", seen.trouble);
    Ok((store, seen))
}

/// A store that was opened keeps what it holds, and takes one event more.
fn go_on(disk: &SimulatedDisk, store: EventStore, found: Seen, is_killed: bool) {
    let disk = reopen(disk, store, &found.events, is_killed);
    let settled = log_of(&disk);
    let Some((store, _)) = open_again(&disk) else { return };
    store.close().expect("nothing fails");
    assert!(log_of(&disk) == settled, "opening and closing without an append changed the log");
    let Some((store, _)) = open_again(&disk) else { return };
    let (stream, event) = one_more();
    let mut expected = found.events;
    match store.append(&stream, ExpectedVersion::Any, [event]).wait() {
        Ok(receipt) => {
            let event = store.event_at(receipt.last_position()).expect("a receipt speaks of the visible");
            expected.push(Event::of(&event));
        }
        // What was salvaged takes no appends to a stream that may have ended in a loss; and numbers end somewhere.
        Err(error) => {
            let kind = error.into_error().kind();
            assert!([ErrorKind::Lost, ErrorKind::TooLarge].contains(&kind), "appending: {kind:?}");
        }
    }
    reopen(&disk, store, &expected, is_killed);
}

/// Ends a store and opens it again: it holds what it held.
fn reopen(disk: &SimulatedDisk, store: EventStore, expected: &[Event], is_killed: bool) -> SimulatedDisk {
    let disk = if is_killed {
        let left = disk.kill();
        // Whatever this one still does happens on a disk nobody looks at.
        drop(store);
        left
    } else {
        store.close().expect("nothing fails");
        disk.clone()
    };
    let Some((store, found)) = open_again(&disk) else { return disk };
    assert!(found.events == expected, "opened again: {:?}\nbefore: {expected:?}", found.events);
    store.close().expect("nothing fails");
    disk
}

/// Opens a store that was opened before. Each opening that writes takes a number, and there may be none left.
fn open_again(disk: &SimulatedDisk) -> Option<(EventStore, Seen)> {
    match open(disk) {
        Ok(opened) => Some(opened),
        Err(error) if error.kind() == ErrorKind::TooLarge => None,
        Err(error) => panic!("opening again: {error:?}\n{}", disk.trace().join("\n")),
    }
}

/// A salvage copies what a reader that skips what is lost can read, into a store without damage.
fn salvage(disk: &SimulatedDisk, read: Option<&Seen>) {
    let copy = SimulatedDisk::new(2);
    let report = match salvage_simulated(disk, &copy) {
        Ok(report) => report,
        Err(error) => return check_answer(&error),
    };
    let store = match options().open_simulated(&copy) {
        Ok(store) => store,
        // A copy goes on with the epochs of what was copied, and those may have come to their end.
        Err(error) => return assert_eq!(error.kind(), ErrorKind::TooLarge, "what was salvaged opens: {error:?}"),
    };
    assert!(store.recovery_report().damage().is_empty(), "what was salvaged has no damage");
    let reader = options().open_simulated_read_only(disk).expect("what can be salvaged can be read");
    let all = |store: &EventStore| -> Vec<Event> {
        let events = store.read_all().skipping_lost().into_iter();
        events.map_while(Result::ok).map(|event| Event::of(&event)).collect()
    };
    let copied = all(&store);
    assert_eq!(copied.len() as u64, report.events_copied(), "as many events as it says");
    assert!(copied == all(&reader), "a salvage copies what can be read: {report}");
    if let Some(read) = read.filter(|read| read.trouble.is_none()) {
        assert!(read.events == copied, "where nothing is lost all is copied");
    }
    look::everything(&store);
}

/// Errors that a directory may be answered with.
fn check_answer(error: &Error) {
    match error.kind() {
        ErrorKind::Damaged | ErrorKind::TooNew => check_named(error),
        ErrorKind::StoreNotFound | ErrorKind::TooLarge | ErrorKind::Io => {}
        kind => panic!("{kind:?} is no answer to a directory: {error:?}"),
    }
}

fn log_of(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    log_of_contents(disk.contents())
}

fn log_of_contents(mut contents: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    contents.retain(|path, _| path.starts_with("log/"));
    contents
}
