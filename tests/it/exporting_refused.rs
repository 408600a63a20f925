//! What an exact import refuses, so that the store it fills can be read again and goes on.

use super::support::{check_says, name, small_segments};
use crate::model::{Chance, Choices, forget_derived, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{SimulatedDisk, verify_simulated};
use scorebook::{
    ErrorKind, EventId, EventStore, ExactEvent, ExactFact, ExactRecord, NewEvent, Position, StreamName, Timestamp,
    Version,
};

fn fresh(disk: &SimulatedDisk) -> EventStore {
    small_segments().open_simulated(disk).expect("it opens")
}

fn event(stream: &StreamName, version: u64, position: u64) -> ExactEvent {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&position.to_be_bytes());
    ExactEvent {
        position: Position::new(position),
        stream: stream.clone(),
        version: Version::new(version),
        time: Timestamp::from_nanos(9),
        epoch: None,
        event: NewEvent::bytes("a", vec![7]).id(EventId::from_bytes(id)),
    }
}

fn fact(text: &str) -> ExactRecord {
    ExactRecord::Fact(ExactFact::from_json(text).expect(text))
}

fn deleted(stream: &StreamName, version: u64) -> ExactRecord {
    fact(&format!(r#"{{"fact":"delete","stream":"{stream}","version":{version},"nanos":9,"reason":""}}"#))
}

/// Appends to a stream, and has the log read again without what is derived of it.
fn check_goes_on(disk: &SimulatedDisk, store: EventStore, streams: &[StreamName], when: &str) {
    for stream in streams {
        let _ = store.undelete(stream).wait();
        store.append(stream, Any, [NewEvent::bytes("a", vec![8])]).wait().expect(when);
    }
    let versions = |store: &EventStore| {
        streams.iter().map(|stream| store.version(stream).expect("it can be read")).collect::<Vec<_>>()
    };
    let before = versions(&store);
    store.close().expect("it closes");
    drop(store);
    forget_derived(disk);
    assert!(verify_simulated(disk).expect("a verdict").is_sound(), "{when}");
    assert_eq!(versions(&fresh(disk)), before, "{when}");
}

#[test]
fn a_stream_that_has_come_further_than_its_events_needs_a_hole_behind_them() {
    let s = name("s");
    let first = |position| ExactRecord::Event(event(&s, 1, position));
    let last = |position| ExactRecord::Event(event(&s, 3, position));
    let removed = |position: u64| fact(&format!(r#"{{"fact":"removed","first":{position},"last":{position}}}"#));
    // A hole before its last event explains nothing.
    let disk = SimulatedDisk::new(1);
    let store = fresh(&disk);
    let mut import = store.exact_import().expect("it is empty");
    [removed(1), first(2)].into_iter().for_each(|record| import.record(record).expect("it goes on"));
    let error = import.record(deleted(&s, 2)).expect_err("nothing is missing behind it");
    check_says(&error, ErrorKind::InvalidArgument, &["stream s is at version 1, and this speaks of 2"]);
    // One behind it does, in the same batch or in another one.
    for (number, stop) in (2..).zip([false, true]) {
        let disk = SimulatedDisk::new(number);
        let store = fresh(&disk);
        let mut import = store.exact_import().expect("it is empty");
        let records = [first(1), removed(2), deleted(&s, 2)];
        records.into_iter().for_each(|record| import.record(record).expect("it goes on"));
        if stop {
            let low = ExactEvent { version: Version::new(2), ..event(&s, 2, 3) };
            let error = import.record(ExactRecord::Event(low)).expect_err("it had that one");
            check_says(&error, ErrorKind::InvalidArgument, &["version 2 of stream s does not follow 2"]);
            continue;
        }
        import.record(last(3)).expect("it goes on");
        import.finish().expect("it is synced");
        check_goes_on(&disk, store, std::slice::from_ref(&s), "behind a hole");
    }
}

#[test]
fn whatever_is_taken_in_the_log_can_be_read_again_without_what_is_derived_of_it() {
    let streams = [name("s"), name("t")];
    let (mut taken, mut refused) = (0, 0);
    for round in 0..400 {
        let seed = seed().wrapping_add(round);
        let mut chance = Chance(seed);
        let disk = SimulatedDisk::new(seed);
        let store = fresh(&disk);
        let mut import = store.exact_import().expect("it is empty");
        let (mut next, mut all, mut said) = (1, Vec::new(), [0, 0]);
        for _ in 0..8 {
            let number = chance.below(2);
            let stream = &streams[number];
            let version = (said[number] + 1 + u64::from(chance.one_in(8))).min(next);
            let record = match chance.below(6) {
                0 => fact(&format!(r#"{{"fact":"removed","first":{next},"last":{next}}}"#)),
                1 if 1 < next => deleted(stream, version.min(next - 1)),
                2 if 1 < next => {
                    fact(&format!(r#"{{"fact":"undelete","stream":"{stream}","version":{version},"nanos":9}}"#))
                }
                _ => ExactRecord::Event(event(stream, version, next)),
            };
            let takes_a_position = matches!(&record, ExactRecord::Event(_))
                || matches!(&record, ExactRecord::Fact(fact) if fact.kind() == "removed");
            if !matches!(&record, ExactRecord::Fact(fact) if fact.kind() == "removed") {
                said[number] = version;
            }
            all.push(record.clone());
            // What is refused ends the import: what came before is said once more to an empty store.
            if import.record(record).is_err() {
                refused += 1;
                all.pop();
                break;
            }
            next += u64::from(takes_a_position);
        }
        drop((import, store));
        let disk = SimulatedDisk::new(seed);
        let store = fresh(&disk);
        let mut import = store.exact_import().expect("it is empty");
        taken += all.len();
        all.into_iter().for_each(|record| import.record(record).expect("it was taken in"));
        import.finish().expect("it is synced");
        check_goes_on(&disk, store, &streams, &format!("seed {seed}"));
    }
    assert!(100 < refused && 400 < taken, "{refused} refused, {taken} taken in");
}

#[test]
fn an_epoch_leaves_numbers_for_all_openings_to_come() {
    let s = name("s");
    let import = |epoch: u32| {
        let disk = SimulatedDisk::new(1);
        let store = fresh(&disk);
        let mut import = store.exact_import().expect("it is empty");
        let taken = import.record(ExactRecord::Event(ExactEvent { epoch: Some(epoch), ..event(&s, 1, 1) }));
        taken.and_then(|()| import.finish()).map(|_| (disk, store))
    };
    for epoch in [(1 << 31) + 1, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
        let error = import(epoch).map(drop).expect_err("it is too high");
        check_says(&error, ErrorKind::InvalidArgument, &[&format!("epoch {epoch}"), "2147483648"]);
    }
    let (disk, store) = import(1 << 31).expect("the highest");
    assert_eq!(store.event_at(Position::new(1)).expect("it is there").epoch(), 1 << 31);
    drop(store);
    for number in 0..5 {
        let store = fresh(&disk);
        store.append(&s, Any, [NewEvent::bytes("a", vec![number])]).wait().expect("it goes on");
    }
    assert!(verify_simulated(&disk).expect("a verdict").is_sound());
}
