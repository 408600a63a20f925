//! What was repaired goes on: as the log of a store of which some positions are lost, and nothing else is different.

use super::other_reader::{all_kinds, check_disk};
use super::support::{add, check_says, event, kilobyte, name, read, small_segments};
use crate::model::seed;
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{
    CrashChoice, SimulatedDisk, backup_simulated, repair_simulated, restore_simulated, verify_simulated,
};
use scorebook::{ErrorKind, EventStore, Followed, Position, Query, RecordedEvent, RepairPlan, Start, Until};

/// The positions of which a read says that they are lost.
fn losses(store: &EventStore) -> Vec<u64> {
    let head = store.head().expect("a head").get();
    let is_lost = |position: &u64| {
        let first = store.read_all().after(Position::new(*position - 1)).limit(1).into_iter().next();
        matches!(first, Some(Err(error)) if error.kind() == ErrorKind::Lost)
    };
    (1..=head).filter(is_lost).collect()
}

/// All of an event that may never change.
fn whole(event: &RecordedEvent) -> String {
    let tags: Vec<_> = event.tags().collect();
    let (position, version, time) = (event.position(), event.version(), event.time());
    let (stream, event_type, schema) = (event.stream(), event.event_type(), event.schema());
    let (id, epoch, metadata, data) = (event.id(), event.epoch(), event.metadata_json(), event.data());
    let hash = hash_of(data);
    format!("{position} {stream} {version} {time} {event_type} {schema} {id} {epoch} {tags:?} {metadata} {hash}")
}

/// FNV-1a.
fn hash_of(data: &[u8]) -> u64 {
    data.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

fn all(store: &EventStore) -> Vec<String> {
    read(store.read_all().skipping_lost()).iter().map(whole).collect()
}

/// What is known of consumers.
fn consumers(store: &EventStore) -> Vec<String> {
    let infos = store.consumers().expect("consumers");
    let said = |info: &scorebook::ConsumerInfo| {
        format!("{} {} {} {:?} {}", info.name(), info.position(), info.parked(), info.paused(), info.definition())
    };
    infos.iter().map(said).collect()
}

/// Facts of every kind, closed, with nothing but zeros in a kilobyte of the middle of the second segment.
fn damaged() -> (SimulatedDisk, Vec<String>, Vec<String>) {
    let disk = SimulatedDisk::new(seed());
    let store = all_kinds(&disk, &small_segments());
    (0..70).for_each(|number| drop(add(&store, &name("more"), [kilobyte(number)])));
    let before = (all(&store), consumers(&store));
    store.close().expect("closing");
    disk.zero("log/0000000002.log", 12_000..13_000);
    (disk, before.0, before.1)
}

#[test]
fn everything_else_that_a_store_knows_stays_right() {
    let (disk, events, followers) = damaged();
    let plan = repair_simulated(&disk).expect("it is damaged");
    let lost: Vec<(u64, u64)> = plan.lost().iter().map(|(first, last)| (first.get(), last.get())).collect();
    assert_eq!(lost.len(), 1);
    plan.apply().expect("there is room");
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert_eq!(losses(&store), (lost[0].0..=lost[0].1).collect::<Vec<_>>());
    let is_lost = |event: &String| {
        let position: u64 = event.split(' ').next().and_then(|text| text.parse().ok()).expect("a position");
        (lost[0].0..=lost[0].1).contains(&position)
    };
    let left: Vec<String> = events.iter().filter(|event| !is_lost(event)).cloned().collect();
    assert!(left.len() < events.len());
    assert_eq!(all(&store), left);
    assert_eq!(consumers(&store), followers);

    // A key from before the damage is known, and one that may be among what is lost is not taken for a new one.
    let (a, c) = (name("game-1"), name("player-1"));
    let batch = store.batch().append(&a, Any, [event(6)]).append(
        &c,
        scorebook::ExpectedVersion::NoStream,
        [event(7), event(8)],
    );
    let batch = batch.once("interaction-8812").append(&a, Any, [scorebook::NewEvent::bytes("raw", vec![3; 300])]);
    assert!(batch.commit().wait().expect("the first receipt").is_repeat());
    let fresh = || store.batch().append(&name("fresh-1"), Any, [event(1)]).once("never used");
    let refused = fresh().commit().wait().expect_err("it may have been").into_error();
    check_says(&refused, ErrorKind::Lost, &["key `never used`"]);
    let refused = store.append(&name("fresh-1"), Any, [event(1)]).wait().expect_err("it may exist").into_error();
    assert_eq!(refused.kind(), ErrorKind::Lost, "{refused}");

    // Whoever follows is told where something is missing, and can go on behind it.
    let mut following = store.subscribe(Query::all(), Start::Beginning);
    let error = loop {
        match following.try_next() {
            Ok(Some(Followed::Event(event))) => assert!(event.position().get() < lost[0].0),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    check_says(&error, ErrorKind::Lost, &[&lost[0].0.to_string()]);
    let mut following = store.subscribe(Query::all(), Start::After(Position::new(lost[0].1)));
    let behind = loop {
        match following.try_next().expect("nothing is lost there") {
            Some(Followed::Event(event)) => break event.position().get(),
            Some(_) => {}
            None => panic!("there is more"),
        }
    };
    assert_eq!(behind, lost[0].1 + 1);
    store.accept_losses().expect("they are accepted");
    fresh().commit().wait().expect("a stream that was never there");
    store.close().expect("closing");

    // Derived or read from the first byte, it is the same.
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let derived = (all(&store), losses(&store), consumers(&store));
    drop(store);
    crate::model::forget_derived(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert_eq!((all(&store), losses(&store), consumers(&store)), derived);
}

#[test]
fn it_is_compacted_backed_up_and_restored_as_any_other() {
    let (disk, ..) = damaged();
    repair_simulated(&disk).and_then(RepairPlan::apply).expect("it is repaired");
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let lost = losses(&store);
    store.accept_losses().expect("they are accepted");
    let copy = SimulatedDisk::new(1);
    backup_simulated(&store, &copy).expect("a backup");
    let restored = SimulatedDisk::new(2);
    restore_simulated(&copy, &restored, Until::Everything).expect("a store");
    let other = small_segments().open_simulated(&restored).expect("it opens");
    assert_eq!((all(&other), losses(&other)), (all(&store), lost.clone()));
    let until = SimulatedDisk::new(3);
    let report = restore_simulated(&copy, &until, Until::Position(Position::new(lost[0]))).expect("a store");
    assert!(report.position().get() < lost[0], "it is cut off before what is lost");

    store.batch().release(&scorebook::Scope::Everything, "all").commit().wait().expect("no hold");
    store.tombstone(&name("more"), Any, "over").wait().expect("it is finished");
    // What a consumer has not seen stays.
    for consumer in ["counting", "spät-1", "again"] {
        store.consumer(consumer).seek(Start::End).expect("it moves");
    }
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    let compacted = plan.apply().expect("it is done");
    assert!(0 < compacted.events_removed());
    assert_eq!(losses(&store), lost, "what is lost is not taken for what was removed");
    let left = all(&store);
    store.close().expect("closing");
    assert!(verify_simulated(&disk).expect("it can be read").is_sound());
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert_eq!((all(&store), losses(&store)), (left, lost));
    // And once more damaged, where it was written anew.
    store.close().expect("closing");
    let path = disk.file_names().into_iter().find(|path| path.contains('-') && path.ends_with(".log")).expect("one");
    disk.garble(&path, 2_000..3_000, seed());
    let plan = repair_simulated(&disk).expect("it is damaged");
    assert_eq!(plan.files(), [path.strip_prefix("log/").expect("it is in the log")]);
    plan.apply().expect("there is room");
    assert!(verify_simulated(&disk).expect("it can be read").is_sound());
    small_segments().open_simulated(&disk).expect("it opens").accept_losses().expect("they are accepted");
}

#[test]
fn what_was_repaired_says_the_same_to_the_other_reader() {
    let (whole, ..) = damaged();
    if check_disk(&whole).is_none() {
        return;
    }
    let segments: Vec<String> =
        whole.file_names().into_iter().filter(|path| path.starts_with("log/") && path.ends_with(".log")).collect();
    let last = segments
        .iter()
        .rev()
        .find(|path| whole.read_file(path).is_some_and(|bytes| bytes[512..1024].iter().any(|byte| *byte != 0)));
    let last = last.expect("the active segment");
    let wounds: [&dyn Fn(&SimulatedDisk); 7] = [
        &|_| {},
        &|disk| disk.garble("log/0000000001.log", 2_000..2_600, seed()),
        &|disk| disk.garble("log/0000000002.log", 0..700, seed()),
        &|disk| assert!(disk.remove_file("log/0000000002.log")),
        &|disk| assert!(disk.remove_file("log/0000000001.log")),
        &|disk| disk.zero(last, 700..32_768),
        &|disk| assert!(disk.remove_file(last)),
    ];
    for (number, wound) in wounds.iter().enumerate() {
        let disk = whole.crash(&CrashChoice::KeepAll);
        wound(&disk);
        repair_simulated(&disk).and_then(RepairPlan::apply).expect("it is repaired");
        let told = check_disk(&disk).expect("python3 was there");
        assert_eq!(told.refusal(), None, "wound {number}");
        assert!(!told.lines("lost").is_empty(), "wound {number}");
        let store = small_segments().open_simulated(&disk).expect("it opens");
        store.accept_losses().expect("they are accepted");
        add(&store, &name("fresh-1"), [event(1)]);
        store.close().expect("closing");
        let told = check_disk(&disk).expect("python3 was there");
        assert_eq!(told.end()["how"], "closed", "wound {number}");
    }
}
