//! Reads that fail: once, and for ever where a sector is broken.

use crate::model::{Model, Operation, Part, World, append, is_derived, options, part, seed, survive, write};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{AppendError, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;

const ONE: &[Part] = &[part(1, 1, 40)];
const FEW: &[Part] = &[part(1, 2, 60), part(2, 1, 10)];
const BIG: &[Part] = &[part(3, 1, 9_000)];

/// Two segments, the second begun by a session, and an end.
fn program(end: &Operation) -> Vec<Operation> {
    let close = Operation::Close;
    vec![
        append(&[ONE, FEW]),
        append(&[BIG, BIG]),
        append(&[BIG, BIG]),
        close,
        append(&[BIG, ONE]),
        write(&[FEW]),
        end.clone(),
    ]
}

/// The files of the log and what they hold.
fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/") && !is_derived(path)).collect()
}

#[test]
fn a_read_error_while_opening_fails_it_once_and_changes_nothing() {
    for operations in [
        vec![],
        vec![append(&[FEW]), Operation::Close],
        vec![append(&[BIG, BIG]), append(&[BIG, BIG]), append(&[BIG, BIG]), Operation::Close],
        vec![append(&[BIG, BIG]), append(&[BIG, BIG]), append(&[BIG, BIG])],
        vec![append(&[FEW]), write(&[ONE])],
    ] {
        let world = World::tell(&operations, seed(), None);
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
            let trace: Vec<String> = disk.trace().into_iter().filter(|line| line.contains(" Read ")).collect();
            assert!(0 < reads && trace.len() as u64 == reads, "{trace:?}");
            for nth in 1..=reads {
                // What is derived from the log is not missed.
                let is_derived = [".idx`", " `index/"].iter().any(|name| trace[nth as usize - 1].contains(name));
                let disk = prepare();
                let before = log_files(&disk);
                let whence = format!("{operations:?}, read {nth} of {reads}, `live` there: {is_live_there}");
                disk.fail(DiskFault::new(DiskOperation::Read, io::ErrorKind::Other).nth(nth));
                match options().open_simulated(&disk) {
                    Ok(store) => {
                        assert!(is_derived, "{whence}");
                        drop(store);
                    }
                    Err(error) => {
                        assert!(!is_derived && error.kind() == ErrorKind::Io, "{whence}: {error:?}");
                        assert!(log_files(&disk) == before, "{whence}: the log changed");
                    }
                }
                survive(disk, &world.model, world.model.len(), &whence);

                let disk = prepare();
                disk.fail(DiskFault::new(DiskOperation::Read, io::ErrorKind::Other).nth(nth));
                let before = disk.contents();
                let opened = options().open_simulated_read_only(&disk);
                disk.heal();
                match opened {
                    Ok(reader) => drop(world.model.check(&reader, world.model.len(), &whence)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{whence}: reading only: {error:?}"),
                }
                assert!(disk.contents() == before, "{whence}: reading changed something");
            }
        }
    }
}

#[test]
fn a_sector_that_cannot_be_read_any_more_fails_only_what_needs_it() {
    let tell = || World::tell(&program(&Operation::Rest), seed(), None);
    let (mut read, mut latched) = (0, 0);
    for (path, bytes) in tell().disk.contents() {
        for sector in 0..bytes.len().div_ceil(512) as u64 {
            let whence = format!("sector {sector} of {path}");
            let world = tell();
            let (store, disk) = (world.store(), &world.disk);
            disk.break_sectors(&path, sector * 512..sector * 512 + 1);
            read += u64::from(read_until_error(&store, &world.model, &whence));
            // A part of a sector is written by reading the whole of it first.
            let event = NewEvent::bytes("scored", vec![7; 60]);
            let appended =
                store.append(&StreamName::new("game-1").expect("a name"), ExpectedVersion::Any, [event]).wait();
            if let Err(error) = &appended {
                assert!(matches!(error, AppendError::Store(error) if error.kind() == ErrorKind::OutcomeUnknown));
                latched += 1;
            }
            // The sector can be read again, by whoever opens the file anew, unless that was removed meanwhile.
            if let Some(bytes) = disk.read_file(&path) {
                disk.write_file(&path, &bytes);
            }
            let store = options().open_simulated(&disk.kill()).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            let before = world.model.events().count() as u64;
            assert!((before + u64::from(appended.is_ok())..=before + 1).contains(&store.head().expect("a head").get()));
            assert!(store.read_all().iter().all(|event| event.is_ok()), "{whence}");
        }
    }
    assert!(50 < read && 0 < latched, "{read} sectors were read whole, {latched} writes failed");
}

#[test]
fn a_sector_that_cannot_be_read_is_an_error_of_the_system_and_nothing_changes() {
    for end in [Operation::Close, Operation::Rest, Operation::Kill] {
        let world = World::tell(&program(&end), seed(), None);
        let model = &world.model;
        let mut refused = 0;
        for (path, bytes) in world.disk.contents() {
            for sector in 0..bytes.len().div_ceil(512) as u64 {
                let whence = format!("{end:?}, sector {sector} of {path}");
                let disk = world.disk.kill();
                disk.break_sectors(&path, sector * 512..sector * 512 + 1);
                let before = log_files(&disk);
                match options().open_simulated(&disk) {
                    // A segment whose terms and streams are written down is not read to open the log.
                    Ok(store) => {
                        let is_all = read_until_error(&store, model, &whence);
                        let is_known = disk.read_file(&path.replace(".log", ".idx")).is_some();
                        assert!(is_all || is_known, "{whence}: opened, and not all is there");
                    }
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.kind(), ErrorKind::Io, "{whence}: {error:?}");
                        assert!(log_files(&disk) == before, "{whence}: something changed");
                    }
                }
                // The sector can be read again.
                disk.write_file(&path, &disk.read_file(&path).expect("it is there"));
                survive(disk, model, model.len(), &whence);
            }
        }
        assert!(100 < refused, "{end:?}: only {refused} sectors were read");
    }
}

/// What is read is right, up to the first error, which is one of the system; whether it is everything.
fn read_until_error(store: &EventStore, model: &Model, whence: &dyn Display) -> bool {
    let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
    let mut expected = (1..).zip(model.events());
    for event in store.read_all() {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{whence}: {error:?}");
                return false;
            }
        };
        let (position, model) = expected.next().expect("no more than was appended");
        let version = versions.entry(model.stream).or_default();
        *version += 1;
        model.compare(&event, position, *version).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
    }
    assert!(expected.next().is_none(), "{whence}: something is missing");
    true
}
