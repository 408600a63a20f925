//! Compaction: what may go is gone, and everything that stays is as it was.

use super::support::{
    Home, add, check_says, eventually, everywhere, kilobyte, name, read, small_segments, versions, wherever_it_lasts,
    wherever_threads_are,
};
use crate::model::{Chance, Choices, forget_derived, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, backup_simulated, restore_simulated, salvage_simulated,
    verify_backup_simulated, verify_simulated,
};
use scorebook::{
    BatchBuilder, Consumer, ErrorKind, EventContext, EventStore, Followed, Going, LeftBecause, NewEvent, Options,
    Position, Projection, Query, RecordedEvent, Retention, Saving, Scope, SegmentAct, Start, Staying, StreamName,
    Until, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// All of an event that may never change.
fn whole(event: &RecordedEvent) -> String {
    let tags: Vec<_> = event.tags().collect();
    let (position, version, time) = (event.position(), event.version(), event.time());
    let (stream, event_type, schema) = (event.stream(), event.event_type(), event.schema());
    let (id, epoch, metadata, data) = (event.id(), event.epoch(), event.metadata_json(), event.data());
    format!("{position} {stream} {version} {time} {event_type} {schema} {id} {epoch} {tags:?} {metadata} {data:?}")
}

fn all(store: &EventStore) -> Vec<RecordedEvent> {
    read(store.read_all())
}

/// Everything a store says of its events is what these are.
fn check(store: &EventStore, expected: &[RecordedEvent]) {
    let wholes = |events: &[RecordedEvent]| events.iter().map(whole).collect::<Vec<_>>();
    let expected_wholes = wholes(expected);
    assert_eq!(wholes(&all(store)), expected_wholes);
    let mut backwards = wholes(&read(store.read_all().backwards()));
    backwards.reverse();
    assert_eq!(backwards, expected_wholes);
    let of = |is_meant: &dyn Fn(&RecordedEvent) -> bool| -> Vec<String> {
        expected.iter().filter(|event| is_meant(event)).map(whole).collect()
    };
    for event_type in ["a", "b", "c"] {
        let query = || Query::all().of_type(event_type);
        let meant = of(&|event| event.event_type() == event_type);
        assert_eq!(wholes(&read(store.read_all().matching(query()))), meant, "of type {event_type}");
        assert_eq!(store.read_all().matching(query()).count().expect("a number"), meant.len() as u64);
    }
    for tag in 0..4 {
        let query = Query::all().tag("n", tag);
        let text = tag.to_string();
        assert_eq!(wholes(&read(store.read_all().matching(query))), of(&|event| event.tag("n") == Some(&text)));
    }
    for category in ["game", "player"] {
        let query = Query::all().in_category(category);
        assert_eq!(wholes(&read(store.read_all().matching(query))), of(&|event| event.category() == category));
    }
    for event in expected.iter().step_by(7) {
        assert_eq!(whole(&store.event_by_id(event.id()).expect("it is there")), whole(event));
    }
    let streams: BTreeSet<StreamName> = expected.iter().map(RecordedEvent::stream_name).collect();
    for stream in &streams {
        let query = Query::all().in_stream(stream);
        assert_eq!(wholes(&read(store.read_all().matching(query))), of(&|event| event.stream() == stream.as_str()));
        check_stream(store, stream, expected);
    }
    assert_eq!(store.stats().expect("numbers").events(), expected.len() as u64);
}

fn check_stream(store: &EventStore, stream: &StreamName, expected: &[RecordedEvent]) {
    let info = match store.stream_info(stream) {
        Ok(info) => info,
        Err(error) if error.kind() == ErrorKind::Deleted => return,
        Err(error) => panic!("{stream}: {error}"),
    };
    let first = info.first_version();
    let of_it: Vec<&RecordedEvent> = expected.iter().filter(|event| event.stream() == stream.as_str()).collect();
    let readable: Vec<String> =
        of_it.iter().filter(|event| first <= event.version()).map(|event| whole(event)).collect();
    let texts = |events: Vec<RecordedEvent>| events.iter().map(whole).collect::<Vec<_>>();
    assert_eq!(texts(read(store.read(stream))), readable, "{stream}");
    let mut backwards = texts(read(store.read(stream).backwards()));
    backwards.reverse();
    assert_eq!(backwards, readable, "{stream} backwards");
    if Version::FIRST < first {
        let error =
            store.read(stream).from(Version::FIRST).into_iter().next().expect("an answer").expect_err("it is gone");
        check_says(&error, ErrorKind::BelowFloor, &[&format!("begins with version {first}")]);
    }
    for event in of_it.iter().filter(|event| first <= event.version()).step_by(3) {
        assert_eq!(whole(&store.event(stream, event.version()).expect("it is there")), whole(event));
    }
    if let (Some(begin), Some(end)) = (of_it.first(), of_it.last()) {
        assert_eq!((info.last_position(), info.last_time()), (end.position(), end.time()), "{stream}");
        assert_eq!(info.version(), end.version(), "{stream}");
        assert_eq!(info.first_position(), begin.position(), "{stream}");
    }
}

/// What was decided in a random history, and what by that may go.
#[derive(Default)]
struct Decided {
    finished: BTreeSet<StreamName>,
    first: BTreeMap<StreamName, u64>,
    rules: BTreeMap<Scope, Retention>,
    holds: BTreeSet<(Scope, String)>,
}

fn is_for(scope: &Scope, event: &RecordedEvent) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Category(category) => category.as_str() == event.category(),
        Scope::EventType(event_type) => event_type.as_str() == event.event_type(),
        Scope::Stream(stream) => stream.as_str() == event.stream(),
        Scope::OnceKeys => false,
    }
}

impl Decided {
    /// The positions of the events that may go, as the documentation says it: slowly.
    fn going(&self, events: &[RecordedEvent]) -> BTreeSet<u64> {
        let rank = |scope: &Scope| match scope {
            Scope::OnceKeys | Scope::Stream(_) => 0,
            Scope::EventType(_) => 1,
            Scope::Category(_) => 2,
            _ => 3,
        };
        let mut going = BTreeSet::new();
        for (index, event) in events.iter().enumerate() {
            let stream = event.stream_name();
            let behind = |is_meant: &dyn Fn(&RecordedEvent) -> bool| {
                events[index + 1..].iter().filter(|other| other.stream() == event.stream() && is_meant(other)).count()
            };
            let is_decided = self.first.get(&stream).is_some_and(|first| event.version().get() < *first);
            let rule = self.rules.iter().filter(|(scope, _)| is_for(scope, event)).min_by_key(|(scope, _)| rank(scope));
            let is_ruled_out = rule.is_some_and(|(scope, rule)| {
                let of_type = matches!(scope, Scope::EventType(_));
                let newer = behind(&|other| !of_type || other.event_type() == event.event_type());
                rule.events().is_some_and(|newest| newest <= newer as u64)
            });
            let is_last = behind(&|_| true) == 0;
            let is_held = self.holds.iter().any(|(scope, _)| is_for(scope, event));
            let is_finished = self.finished.contains(&stream);
            if !is_held && (is_finished || ((is_decided || is_ruled_out) && !is_last)) {
                going.insert(event.position().get());
            }
        }
        going
    }
}

fn random_scope(chance: &mut Chance, streams: &[StreamName]) -> Scope {
    match chance.below(5) {
        0 => Scope::Everything,
        1 => Scope::category(chance.pick(&["game", "player"]).to_owned()).expect("a category"),
        2 => Scope::event_type(chance.pick(&["a", "b", "c"]).to_owned()).expect("a type"),
        _ => Scope::Stream(chance.pick(streams).clone()),
    }
}

/// One random step; what is decided is noted.
fn decide(chance: &mut Chance, store: &EventStore, streams: &[StreamName], decided: &mut Decided) {
    let stream = chance.pick(streams).clone();
    let is_finished = decided.finished.contains(&stream);
    match chance.below(12) {
        0 if !is_finished => {
            store.tombstone(&stream, Any, "over").wait().expect("it is finished");
            decided.finished.insert(stream);
        }
        1 | 2 if !is_finished => {
            let next = store.version(&stream).expect("a version").get() + 1;
            let first = 1 + chance.below(next as usize) as u64;
            store.truncate_before(&stream, Version::new(first)).wait().expect("it begins later");
            let known = decided.first.entry(stream).or_insert(1);
            *known = first.max(*known);
        }
        3 => {
            let scope = random_scope(chance, streams);
            let rule = Retention::forever().newest(1 + chance.below(6) as u64);
            store.batch().retain(&scope, rule).commit().wait().expect("a rule");
            decided.rules.insert(scope, rule);
        }
        4 => {
            let scope = random_scope(chance, streams);
            store.batch().clear_retention(&scope).commit().wait().expect("no rule");
            decided.rules.remove(&scope);
        }
        5 => {
            let scope = random_scope(chance, streams);
            store.batch().hold(&scope, "court").commit().wait().expect("a hold");
            decided.holds.insert((scope, "court".to_owned()));
        }
        6 | 7 => {
            let scope = random_scope(chance, streams);
            store.batch().release(&scope, "court").commit().wait().expect("no hold");
            decided.holds.remove(&(scope, "court".to_owned()));
        }
        _ => {
            let live: Vec<&StreamName> = streams.iter().filter(|stream| !decided.finished.contains(*stream)).collect();
            for _ in 0..chance.below(12) {
                let Some(stream) = (!live.is_empty()).then(|| chance.pick(&live)) else {
                    return;
                };
                let count = 1 + chance.below(4);
                let mut event = || {
                    let bytes = vec![7; 100 + chance.below(2_000)];
                    NewEvent::bytes(["a", "b", "c"][chance.below(3)], bytes).tag("n", chance.below(4))
                };
                let events: Vec<NewEvent> = std::iter::repeat_with(&mut event).take(count).collect();
                add(store, stream, events);
            }
        }
    }
}

#[test]
fn what_may_go_is_gone_and_what_stays_is_as_it_was_whatever_was_decided() {
    let streams: Vec<StreamName> =
        (0..5).flat_map(|number| [name(&format!("game-{number}")), name(&format!("player-{number}"))]).collect();
    for round in 0..6 {
        let seed = seed().wrapping_add(round);
        everywhere(|home| {
            let mut chance = Chance(seed);
            let mut store = home.open_with(&small_segments());
            let mut decided = Decided::default();
            for _ in 0..4 {
                for _ in 0..40 {
                    decide(&mut chance, &store, &streams, &mut decided);
                }
                if chance.below(3) == 0 {
                    store = home.reopen(store, &small_segments());
                }
                let before = all(&store);
                let may_go = decided.going(&before);
                let compaction = store.compaction();
                let is_thorough = chance.below(2) == 0;
                let plan = if is_thorough { compaction.thoroughly() } else { compaction }.plan().expect("a plan");
                let compacted = plan.apply().expect("it is done");
                assert_eq!(compacted.events_removed(), plan.events_going(), "{plan:?}");
                let after = all(&store);
                let left: BTreeSet<u64> = after.iter().map(|event| event.position().get()).collect();
                let stays: Vec<RecordedEvent> =
                    before.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
                let gone: BTreeSet<u64> =
                    before.iter().map(|event| event.position().get()).filter(|at| !left.contains(at)).collect();
                assert_eq!(gone.len() as u64, plan.events_going());
                assert!(gone.is_subset(&may_go), "{:?} went", gone.difference(&may_go));
                check(&store, &stays);
                if is_thorough {
                    let again = store.compaction().thoroughly().plan().expect("a plan");
                    assert_eq!(again.events_going(), 0, "{again:?}");
                }
                store = home.reopen(store, &small_segments());
                check(&store, &stays);
                if let Home::Simulated(disk) = home {
                    drop(store);
                    let report = verify_simulated(disk).expect("it can be read");
                    assert!(report.is_sound() && report.events() == stays.len() as u64, "{report:?}");
                    forget_derived(disk);
                    store = home.open_with(&small_segments());
                    check(&store, &stays);
                }
            }
        });
    }
}

/// Segments of which about half goes, on a simulated disk; and what that is.
fn half_dead(disk: &SimulatedDisk) -> (Vec<RecordedEvent>, BTreeSet<u64>) {
    let store = small_segments().open_simulated(disk).expect("the store opens");
    let (a, b, c) = (name("game-1"), name("game-2"), name("player-1"));
    for number in 0..70 {
        for stream in [&a, &b, &c] {
            add(&store, stream, [kilobyte(number)]);
        }
        if number % 16 == 7 {
            store
                .batch()
                .append(&a, Any, [kilobyte(number)])
                .once(format!("key {number}"))
                .commit()
                .wait()
                .expect("new");
        }
    }
    store.tombstone(&a, Any, "over").wait().expect("it is finished");
    store.truncate_before(&c, Version::new(30)).wait().expect("it begins later");
    let events = all(&store);
    let goes = |event: &&RecordedEvent| {
        event.stream() == "game-1" || (event.stream() == "player-1" && event.version() < Version::new(30))
    };
    let going = events.iter().filter(goes).map(|event| event.position().get()).collect();
    store.close().expect("it closes");
    (events, going)
}

fn left(store: &EventStore) -> BTreeSet<u64> {
    all(store).iter().map(|event| event.position().get()).collect()
}

/// What stays is there, and of what goes any part may be; checked against everything the store says.
fn check_half_dead(disk: &SimulatedDisk, events: &[RecordedEvent], going: &BTreeSet<u64>) -> usize {
    let store = small_segments().open_simulated(disk).expect("it opens");
    let left = left(&store);
    let stays: Vec<RecordedEvent> =
        events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
    assert!(
        events.iter().all(|event| left.contains(&event.position().get()) || going.contains(&event.position().get()))
    );
    check(&store, &stays);
    events.len() - stays.len()
}

#[test]
fn wherever_the_power_goes_it_has_happened_or_it_has_not() {
    let first = SimulatedDisk::new(3);
    let (events, going) = half_dead(&first);
    let mut partly = BTreeSet::new();
    let mut stops = 0;
    for stop in 1.. {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            // Once more, while it is opened and compacted again.
            let again = crashed.crash(&CrashChoice::KeepAll);
            again.stop_at(1 + stop * 7 % 60);
            if let Ok(store) = small_segments().open_simulated(&again) {
                let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                std::mem::forget(store);
            }
            for disk in [crashed, again.crash(&CrashChoice::Seeded(stop))] {
                partly.insert(check_half_dead(&disk, &events, &going));
                let store = small_segments().open_simulated(&disk).expect("it opens");
                store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
                assert!(store.compaction().thoroughly().plan().expect("a plan").events_going() == 0);
                add(&store, &name("game-2"), [kilobyte(1)]);
                drop(store);
                let report = verify_simulated(&disk).expect("it can be read");
                assert!(report.is_sound(), "stopped at {stop}, {choice:?}: {report:?}");
            }
        }
        stops = stop;
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(40 < stops, "only {stops} operations");
    assert!(3 < partly.len(), "it happens in several steps: {partly:?}");
}

#[test]
fn a_full_disk_stops_it_and_changes_nothing() {
    let first = SimulatedDisk::new(5);
    let (events, going) = half_dead(&first);
    let used: usize = first.contents().values().map(Vec::len).sum();
    let mut outcomes = BTreeSet::new();
    for room in (0..200_000).step_by(9_000) {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.set_capacity(Some((used + room) as u64));
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let done = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
        outcomes.insert(format!("{:?}", done.map(drop).map_err(|error| error.kind())));
        let stays: Vec<RecordedEvent> = {
            let left = left(&store);
            events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect()
        };
        check(&store, &stays);
        drop(store);
        disk.set_capacity(None);
        check_half_dead(&disk, &events, &going);
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["Err(Full)", "Ok(())"]);
}

#[test]
fn a_plan_says_what_stays_and_why() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let streams: Vec<StreamName> = (0..4).map(|number| name(&format!("game-{number}"))).collect();
        for number in 0..120 {
            add(&store, &streams[number % 3], [kilobyte(number as u64)]);
        }
        store.batch().retain(&Scope::Everything, Retention::forever().newest(5)).commit().wait().expect("a rule");
        store.batch().hold(&Scope::Stream(streams[0].clone()), "court").commit().wait().expect("a hold");
        store.tombstone(&streams[1], Any, "over").wait().expect("it is finished");
        // Something that ends the segment with the last events of all of them.
        for number in 0..40 {
            add(&store, &streams[3], [kilobyte(number)]);
        }
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let of = |stream: &StreamName| plan.streams().find(|(name, _)| *name == stream).map(|(_, of)| of.clone());
        let held = of(&streams[0]).expect("something would go");
        assert_eq!((held.events_going(), held.why()), (0, None));
        let reasons: Vec<(Staying, u64)> = held.staying().map(|(why, events)| (why.clone(), events)).collect();
        assert_eq!(reasons, [(Staying::Held("court".into()), 35)]);
        assert_eq!(of(&streams[1]).map(|of| (of.events_going(), of.why())), Some((40, Some(Going::Finished))));
        assert_eq!(of(&streams[2]).map(|of| (of.events_going(), of.why())), Some((35, Some(Going::Retention))));
        let (last, ended) = plan.segments().split_last().expect("segments");
        assert_eq!(last.act(), SegmentAct::Leave(LeftBecause::Active));
        assert!(ended.iter().any(|segment| matches!(segment.act(), SegmentAct::Rewrite { .. })), "{plan:?}");
        let compacted = plan.apply().expect("it is done");
        assert_eq!(compacted.events_removed(), plan.events_going());
        assert!(compacted.bytes_after() + plan.bytes_going() / 2 < compacted.bytes_before());
        assert_eq!(read(store.read(&streams[0])).len(), 40);
        assert_eq!(read(store.read(&streams[2])).len(), 5);
    });
}

#[test]
fn it_can_be_broken_off_and_gone_on_with() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let mut told = Vec::new();
        let plan = store.compaction().plan().expect("a plan");
        let stop = |progress: scorebook::CompactionProgress| {
            told.push((progress.bytes_read(), progress.bytes_written()));
            if told.len() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let some = plan.apply_while(stop).expect("it breaks off");
        assert!(0 < some.events_removed() && some.events_removed() < plan.events_going(), "{some:?}");
        assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
        let store = home.reopen(store, &small_segments());
        let rest = store.compaction().plan().expect("a plan");
        assert_eq!(rest.events_going(), plan.events_going() - some.events_removed());
        rest.apply().expect("it is done");
        let numbers: Vec<u64> = read(store.read(&b)).iter().map(super::support::number).collect();
        assert_eq!(numbers, (0..600).filter(|number| number % 2 == 1).collect::<Vec<_>>());
    });
}

#[test]
fn segments_that_unclean_ends_have_left_small_become_few() {
    let mut disk = SimulatedDisk::new(9);
    let options = Options::default();
    for number in 0..20 {
        let store = options.open_simulated(&disk).expect("it opens");
        add(&store, &name("game-1"), [kilobyte(number)]);
        std::mem::forget(store);
        disk = disk.kill();
    }
    let store = options.open_simulated(&disk).expect("it opens");
    let before = store.stats().expect("numbers").segments();
    assert!(15 < before, "{before} segments");
    let events = all(&store);
    let compacted = store.compaction().plan().expect("a plan").apply().expect("it is done");
    assert_eq!((compacted.segments_after(), compacted.events_removed()), (1, 0));
    assert!(store.stats().expect("numbers").segments() <= 3);
    check(&store, &events);
    store.close().expect("it closes");
    check(&options.open_simulated(&disk).expect("it opens"), &events);
    forget_derived(&disk);
    check(&options.open_simulated(&disk).expect("it opens"), &events);
}

#[test]
fn who_reads_in_the_middle_of_it_keeps_what_it_has() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..200 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number).tag("n", number % 4)]);
        }
        store.truncate_before(&a, Version::new(90)).wait().expect("it begins later");
        let before = all(&store);
        let texts = |events: Vec<RecordedEvent>| events.iter().map(whole).collect::<Vec<_>>();
        let of_b: Vec<String> = before.iter().filter(|event| event.stream() == "game-2").map(whole).collect();
        let mut everything = store.read_all().into_iter();
        let mut tagged = store.read_all().matching(Query::all().tag("n", 2)).into_iter();
        let mut backwards = store.read(&b).backwards().into_iter();
        let mut forwards = store.read(&b).into_iter();
        let begin =
            |mut events: &mut dyn Iterator<Item = Result<RecordedEvent, scorebook::Error>>| read((&mut events).take(3));
        let begun = [begin(&mut everything), begin(&mut tagged), begin(&mut backwards), begin(&mut forwards)];
        let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        assert!(50 < compacted.events_removed(), "{compacted:?}");
        let [mut all_of_it, mut of_tag, mut of_stream, mut of_stream_too] = begun;
        all_of_it.extend(read(everything));
        assert_eq!(texts(all_of_it), texts(before.clone()));
        of_tag.extend(read(tagged));
        assert_eq!(of_tag.len(), before.iter().filter(|event| event.tag("n") == Some("2")).count());
        of_stream.extend(read(backwards));
        of_stream.reverse();
        assert_eq!(texts(of_stream), of_b);
        of_stream_too.extend(read(forwards));
        assert_eq!(texts(of_stream_too), of_b);
    });
}

#[test]
fn a_backup_goes_on_behind_it_and_is_restored_to_every_position() {
    let (disk, backup) = (SimulatedDisk::new(11), SimulatedDisk::new(12));
    let (events, _) = half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    backup_simulated(&store, &backup).expect("all of it");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    add(&store, &name("game-2"), [kilobyte(1)]);
    store.flush().expect("flushed");
    let report = backup_simulated(&store, &backup).expect("it goes on");
    assert_eq!(report.info().position(), store.head().expect("a head"));
    verify_backup_simulated(&backup).expect("it is whole");
    let now = all(&store);
    let texts = |events: &[RecordedEvent]| events.iter().map(whole).collect::<Vec<_>>();
    for last in (1..=events.len() as u64 + 1).step_by(3).chain([events.len() as u64 + 1]) {
        let restored = SimulatedDisk::new(13);
        let until = Until::Position(Position::new(last));
        let report = restore_simulated(&backup, &restored, until).expect("it is restored");
        assert!(report.position() <= Position::new(last));
        for _ in 0..2 {
            let store = small_segments().open_simulated(&restored).expect("it opens");
            let expected: Vec<RecordedEvent> =
                now.iter().filter(|event| event.position().get() <= last).cloned().collect();
            let held: Vec<RecordedEvent> =
                all(&store).into_iter().filter(|event| event.position() <= report.position()).collect();
            assert_eq!(texts(&held), texts(&expected), "up to {last}");
            add(&store, &name("player-7"), [kilobyte(last)]);
        }
        let report = verify_simulated(&restored).expect("it can be read");
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn who_reads_from_another_process_goes_on() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..200 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.flush().expect("flushed");
        let reader = home.read_only().expect("it can be read");
        let mut begun = reader.read(&b).into_iter();
        let some = read((&mut begun).take(2));
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        add(&store, &b, [kilobyte(200)]);
        let stays = all(&store);
        let rest = read(begun);
        assert!(98 <= some.len() + rest.len());
        eventually("it sees what is there", || reader.head().is_ok_and(|head| head.get() == 202 - 1));
        let seen = read(reader.read(&b));
        assert_eq!(seen.len(), 101);
        let anew = home.read_only().expect("it can be read");
        assert_eq!(all(&anew).iter().map(whole).collect::<Vec<_>>(), stays.iter().map(whole).collect::<Vec<_>>());
    });
}

#[test]
fn what_a_consumer_has_not_seen_stays_and_its_checkpoint_stands() {
    everywhere(|home| {
        let mut store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("player-1"));
        for number in 0..150 {
            add(&store, &a, [kilobyte(number)]);
        }
        let consumer = || {
            let query = Query::all().of_type("weighed");
            Consumer::new("counting", query, Start::Beginning).checkpoint_every(1)
        };
        let mut member = store.join(&consumer()).expect("a member");
        for _ in 0..60 {
            member.try_next().expect("nothing fails").expect("an event").ack().expect("it is in hand");
        }
        drop(member);
        store.truncate_before(&a, Version::new(150)).wait().expect("it begins later");
        for number in 0..40 {
            add(&store, &b, [kilobyte(number)]);
        }
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let (_, of_a) = plan.streams().find(|(name, _)| **name == a).expect("it is told");
        assert_eq!(of_a.events_going(), 60);
        let behind = Staying::Unseen("counting".into());
        let staying: Vec<(Staying, u64)> = of_a.staying().map(|(why, events)| (why.clone(), events)).collect();
        assert_eq!(staying, [(behind, 89)]);
        plan.apply().expect("it is done");
        assert_eq!(left(&store).len(), 150 + 40 - 60);
        store = home.reopen(store, &small_segments());
        if let Home::Simulated(disk) = home {
            drop(store);
            forget_derived(disk);
            store = home.open_with(&small_segments());
        }
        let mut member = store.join(&consumer()).expect("a member");
        let next = member.try_next().expect("nothing fails").expect("an event");
        assert_eq!(next.events()[0].event().position().get(), 61, "it goes on where it was");
        drop((next, member));
        let forced = store.compaction().beyond_consumers().thoroughly().plan().expect("a plan");
        forced.apply().expect("it is done");
        let mut member = store.join(&consumer()).expect("a member");
        let next = member.try_next().expect("nothing fails").expect("an event");
        assert_eq!(next.events()[0].event().version().get(), 150, "what is gone is passed by");
    });
}

#[test]
fn a_key_is_known_for_as_long_as_is_said() {
    // What is said of keys, and how many days they are known at least and at most.
    type Says = fn(BatchBuilder<'_>) -> BatchBuilder<'_>;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let cases: [(&str, Says, u32, u32); 5] = [
        ("nothing", |batch| batch.clear_retention(&Scope::OnceKeys), 29, 31),
        (
            "for everything a day",
            |batch| batch.retain(&Scope::Everything, Retention::forever().newer_than(DAY)),
            29,
            31,
        ),
        ("a day", |batch| batch.retain(&Scope::OnceKeys, Retention::forever().newer_than(DAY)), 0, 2),
        ("for ever", |batch| batch.retain(&Scope::OnceKeys, Retention::forever()), 4_000, u32::MAX),
        ("held", |batch| batch.hold(&Scope::OnceKeys, "an inquiry"), 4_000, u32::MAX),
    ];
    for (what, says, known, forgotten) in cases {
        let disk = SimulatedDisk::new(18);
        let options = small_segments();
        let store = options.open_simulated(&disk).expect("it opens");
        says(store.batch()).commit().wait().expect("it is said");
        let a = name("game-1");
        let asked = |store: &EventStore| {
            let batch = store.batch().append(&a, Any, [kilobyte(7)]).once("interaction-1");
            batch.commit().wait().expect("accepted").is_repeat()
        };
        assert!(!asked(&store));
        for day in [known, forgotten].into_iter().filter(|days| *days != u32::MAX) {
            for number in 0..40 {
                add(&store, &name("player-1"), [kilobyte(number)]);
            }
            add(&store, &a, [kilobyte(9)]);
            let after = store.version(&a).expect("a version");
            store.truncate_before(&a, after).wait().expect("it begins later");
            store.truncate_before(&name("player-1"), Version::new(40)).wait().expect("it begins later");
            disk.advance(DAY * day);
            let plan = store.compaction().thoroughly().plan().expect("a plan");
            assert!(0 < plan.apply().expect("it is done").segments_after(), "{what}");
            assert_eq!(asked(&store), day == known, "{what}: after {day} days");
        }
    }
    let store = EventStore::open_in_memory().expect("it opens");
    let so_many = store.batch().retain(&Scope::OnceKeys, Retention::forever().newest(7)).commit().wait();
    assert_eq!(so_many.unwrap_err().into_error().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_key_is_known_for_thirty_days_and_then_forgotten() {
    let disk = SimulatedDisk::new(17);
    let day = Duration::from_secs(24 * 60 * 60);
    let a = name("game-1");
    let asked = |store: &EventStore| {
        store
            .batch()
            .append(&a, Any, [kilobyte(7)])
            .once("interaction-1")
            .commit()
            .wait()
            .expect("accepted")
            .is_repeat()
    };
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert!(!asked(&store));
    let fill = |store: &EventStore| {
        for number in 0..40 {
            add(store, &name("player-1"), [kilobyte(number)]);
        }
    };
    fill(&store);
    store.tombstone(&name("player-1"), Any, "over").wait().expect("it is finished");
    disk.advance(29 * day);
    let compact = |store: &EventStore| {
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        plan.apply().expect("it is done").segments_after()
    };
    assert!(0 < compact(&store));
    assert!(asked(&store), "the key is younger than 30 days");
    drop(store);
    forget_derived(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert!(asked(&store));
    disk.advance(2 * day);
    add(&store, &a, [kilobyte(8)]);
    store.truncate_before(&a, Version::new(2)).wait().expect("it begins later");
    assert!(0 < compact(&store));
    assert!(!asked(&store), "the key is older than 30 days");
}

#[test]
fn a_subscription_is_told_of_what_was_removed() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        // First in one piece, then here and there.
        for number in 0..60 {
            add(&store, &a, [kilobyte(number)]);
        }
        for number in 0..400 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        let follow = |store: &EventStore| {
            let mut live = store.subscribe(Query::all(), Start::Beginning);
            let (mut seen, mut told) = (Vec::new(), Vec::new());
            loop {
                match live.try_next().expect("nothing fails") {
                    Some(Followed::Event(event)) => seen.push(event.position().get()),
                    Some(Followed::Removed { first, last }) => told.push((first.get(), last.get())),
                    Some(Followed::CaughtUp { .. }) => break,
                    other => panic!("{other:?}"),
                }
            }
            (seen, told)
        };
        let (seen, told) = follow(&store);
        assert_eq!(seen, left(&store).into_iter().collect::<Vec<_>>());
        assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].0), "{told:?}");
        let is_told = |position: &u64| told.iter().any(|(first, last)| (first..=last).contains(&position));
        let gone: Vec<u64> = (1..=460).filter(|position| !seen.contains(position)).collect();
        assert_eq!(gone.len() as u64, compacted.events_removed());
        assert!(gone.iter().all(is_told), "{told:?}");
        // What lies close together is not told piece by piece.
        assert!(told.len() < 150, "{} pieces", told.len());
        let store = home.reopen(store, &small_segments());
        assert_eq!(follow(&store).0, seen);
    });
}

#[test]
fn whoever_appends_and_reads_meanwhile_notices_nothing() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let streams: Vec<StreamName> = (0..8).map(|number| name(&format!("game-{number}"))).collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = streams
                .iter()
                .map(|stream| {
                    let store = &store;
                    scope.spawn(move || {
                        for number in 0..300 {
                            let receipt = add(store, stream, [kilobyte(number)]);
                            let version = receipt.of(stream).expect("its own").last_version().get();
                            assert_eq!(version, number + 1);
                            if number % 50 == 49 {
                                store.truncate_before(stream, Version::new(version - 9)).wait().expect("later");
                            }
                        }
                    })
                })
                .collect();
            for stream in &streams {
                let (store, is_over) = (&store, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        if !store.exists(stream).expect("an answer") {
                            continue;
                        }
                        let versions: Vec<u64> = versions(store.read(stream));
                        assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{versions:?}");
                        let numbers = store.read_all().matching(Query::all().in_stream(stream)).into_iter();
                        let numbers: Vec<u64> = read(numbers).iter().map(|event| event.position().get()).collect();
                        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
                    }
                });
            }
            let mut removed = 0;
            while !writers.iter().all(|writer| writer.is_finished()) {
                let plan = store.compaction().plan().expect("a plan");
                removed += plan.apply().expect("it is done").events_removed();
            }
            removed += store.compaction().thoroughly().plan().expect("a plan").apply().expect("done").events_removed();
            is_over.store(true, Ordering::Relaxed);
            assert!(1_000 < removed, "{removed} events");
        });
        let stays = all(&store);
        assert!(8 * 10 <= stays.len());
        check(&store, &stays);
        let store = home.reopen(store, &small_segments());
        check(&store, &stays);
    });
}

#[test]
fn every_flip_in_a_segment_that_was_written_anew_gives_what_was_there_or_a_refusal() {
    let disk = SimulatedDisk::new(19);
    half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    let stays: Vec<String> = all(&store).iter().map(whole).collect();
    store.close().expect("it closes");
    forget_derived(&disk);
    let contents = disk.contents();
    let (path, bytes) = contents.iter().find(|(path, _)| path.contains("-1.log")).expect("a segment written anew");
    let mut refused = 0;
    for byte in (0..bytes.len()).step_by(97).chain(0..128).chain(bytes.len() - 512..bytes.len() - 440) {
        let damaged = disk.crash(&CrashChoice::KeepAll);
        damaged.flip_bit(path, byte as u64, (byte % 8) as u8);
        match small_segments().open_simulated(&damaged) {
            Ok(store) => assert_eq!(all(&store).iter().map(whole).collect::<Vec<_>>(), stays, "byte {byte} of {path}"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::TooNew), "byte {byte}: {error}");
                refused += 1;
            }
        }
        // Whoever only reads gets nothing else, and is told what is missing.
        let reader = EventStore::options().open_simulated_read_only(&damaged).expect("it can be read");
        for event in reader.read_all().skipping_lost().into_iter().flatten() {
            assert!(stays.contains(&whole(&event)), "byte {byte} of {path}");
        }
    }
    assert!(200 < refused, "{refused} refused");
}

#[test]
fn whatever_fails_meanwhile_is_told_and_changes_nothing() {
    let first = SimulatedDisk::new(23);
    let (events, going) = half_dead(&first);
    for operation in [DiskOperation::Read, DiskOperation::Write, DiskOperation::Sync, DiskOperation::Create] {
        let mut outcomes = BTreeSet::new();
        for number in (1..60).step_by(3) {
            let disk = first.crash(&CrashChoice::KeepAll);
            let store = small_segments().open_simulated(&disk).expect("it opens");
            let plan = store.compaction().thoroughly().plan().expect("a plan");
            disk.fail(DiskFault::new(operation, io::ErrorKind::Other).nth(number));
            outcomes.insert(plan.apply().is_ok());
            disk.heal();
            let left = left(&store);
            let stays: Vec<RecordedEvent> =
                events.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
            check(&store, &stays);
            drop(store);
            check_half_dead(&disk, &events, &going);
        }
        assert!(outcomes.contains(&false), "{operation:?} never failed");
    }
}

#[test]
fn a_table_that_was_saved_before_counts_for_nothing() {
    let disk = SimulatedDisk::new(29);
    half_dead(&disk);
    let before: Vec<(String, Vec<u8>)> =
        disk.contents().into_iter().filter(|(path, _)| path.starts_with("index/")).collect();
    assert!(!before.is_empty(), "a table was saved");
    let options = small_segments().verify_at_open_max(0);
    let store = options.open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    let stays = all(&store);
    store.close().expect("it closes");
    check(&options.open_simulated(&disk).expect("it opens"), &stays);
    for path in ["index/streams.0", "index/streams.1"] {
        disk.remove_file(path);
    }
    before.iter().for_each(|(path, bytes)| disk.write_file(path, bytes));
    check(&options.open_simulated(&disk).expect("it opens"), &stays);
}

#[test]
fn what_is_old_goes_but_for_the_last_event_of_a_stream() {
    let disk = SimulatedDisk::new(31);
    let day = Duration::from_secs(24 * 60 * 60);
    let (old, young) = (name("game-1"), name("game-2"));
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let four_days = Retention::forever().newer_than(4 * day);
    store.batch().retain(&Scope::category("game").expect("a category"), four_days).commit().wait().expect("a rule");
    for number in 0..100 {
        add(&store, if number < 50 { &old } else { &young }, [kilobyte(number)]);
        disk.advance(day / 10);
    }
    for number in 0..40 {
        add(&store, &name("player-1"), [kilobyte(number)]);
    }
    let now = store.read_all().backwards().limit(1).into_iter().next().expect("an event").expect("it is read").time();
    let is_young =
        |event: &RecordedEvent| now.nanos() - event.time().nanos() <= 4 * i64::try_from(day.as_nanos()).unwrap();
    let expected = |is_kept: &dyn Fn(&RecordedEvent) -> bool| -> Vec<String> {
        all(&store).iter().filter(|event| event.stream() == "player-1" || is_kept(event)).map(whole).collect()
    };
    let with_last = expected(&|event| is_young(event) || event.version().get() == 50);
    let without = expected(&is_young);
    assert_eq!(with_last.len(), without.len() + 1, "the last of the one stream is old, and of the other young");
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    let (_, of_old) = plan.streams().find(|(stream, _)| **stream == old).expect("it is told");
    assert_eq!((of_old.events_going(), of_old.why()), (49, Some(Going::Retention)));
    assert_eq!(of_old.staying().map(|(why, events)| (why.clone(), events)).collect::<Vec<_>>(), [(Staying::Last, 1)]);
    plan.apply().expect("it is done");
    let texts = |store: &EventStore| all(store).iter().map(whole).collect::<Vec<_>>();
    assert_eq!(texts(&store), with_last);
    assert_eq!(store.stream_info(&old).expect("it is there").first_version().get(), 50);
    store.compaction().thoroughly().with_last_events().plan().expect("a plan").apply().expect("it is done");
    assert_eq!(texts(&store), without);
    assert_eq!(store.version(&old).expect("it goes on from there").get(), 50);
    assert!(store.exists(&old).expect("an answer"));
    let error = store.read(&old).into_iter().next().expect("an answer").expect_err("nothing is left");
    check_says(&error, ErrorKind::BelowFloor, &["begins with version 51"]);
    drop(store);
    forget_derived(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    assert_eq!(texts(&store), without);
    assert_eq!(add(&store, &old, [kilobyte(1)]).of(&old).expect("its own").last_version().get(), 51);
}

#[test]
fn a_salvage_copies_what_is_left_with_the_gaps_it_has() {
    let (disk, copy) = (SimulatedDisk::new(37), SimulatedDisk::new(38));
    half_dead(&disk);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    add(&store, &name("game-2"), [kilobyte(1)]);
    let stays = all(&store);
    store.close().expect("it closes");
    salvage_simulated(&disk, &copy).expect("all is good");
    let texts = |events: &[RecordedEvent]| events.iter().map(whole).collect::<Vec<_>>();
    let copied = small_segments().open_simulated(&copy).expect("it opens");
    assert_eq!(texts(&all(&copied)), texts(&stays));
    assert_eq!(copied.head().expect("a head"), stays.last().expect("an event").position());
    let report = verify_simulated(&copy);
    drop(copied);
    assert!(report.expect("it can be read").is_sound());
}

/// How many events there ever were.
#[derive(Clone, Serialize, Deserialize)]
struct Ever(u64);

impl Projection for Ever {
    type Event = RecordedEvent;
    const NAME: &'static str = "ever";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Ever {
        Ever(0)
    }

    fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) {
        self.0 += 1;
    }

    fn saving() -> Saving {
        Saving::AtClose
    }
}

#[test]
fn a_saved_state_outlives_the_events_it_was_folded_from() {
    let disk = SimulatedDisk::new(41);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let (a, b) = (name("game-1"), name("game-2"));
    for number in 0..100 {
        add(&store, &a, [kilobyte(number)]);
    }
    let view = store.projection::<Ever>().expect("a view");
    view.reached(Position::new(100)).wait().expect("it follows");
    view.save().expect("it is saved");
    drop(view);
    for number in 0..40 {
        add(&store, &b, [kilobyte(number)]);
    }
    store.tombstone(&a, Any, "over").wait().expect("it is finished");
    let compacted = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    assert_eq!(compacted.events_removed(), 100);
    store.flush().expect("flushed");
    // Nothing is saved again.
    std::mem::forget(store);
    let store = small_segments().open_simulated(&disk.kill()).expect("it opens");
    let view = store.projection::<Ever>().expect("a view");
    view.reached(Position::new(140)).wait().expect("it follows");
    assert_eq!(view.state().0, 140, "what is gone was folded in before");
}

#[test]
fn a_store_that_is_closed_meanwhile_has_it_break_off() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let before = all(&store);
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let mut calls = 0;
        let outcome = plan.apply_while(|_| {
            calls += 1;
            if calls == 3 {
                store.close().expect("it closes");
            }
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.map_err(|error| error.kind()).err(), Some(ErrorKind::Closed));
        drop(store);
        let store = home.open_with(&small_segments());
        let left = left(&store);
        let stays: Vec<RecordedEvent> =
            before.iter().filter(|event| left.contains(&event.position().get())).cloned().collect();
        assert!(before.iter().all(|event| left.contains(&event.position().get()) || event.stream() == "game-1"));
        check(&store, &stays);
        store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        store.close().expect("it closes");
    });
}

#[test]
fn whoever_closes_waits_for_the_row_at_hand() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("game-1"), name("game-2"));
        for number in 0..600 {
            add(&store, if number % 2 == 0 { &a } else { &b }, [kilobyte(number)]);
        }
        store.tombstone(&a, Any, "over").wait().expect("it is finished");
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let (begun, closing) = (AtomicBool::new(false), store.clone());
        thread::scope(|scope| {
            let apply = scope.spawn(|| {
                plan.apply_while(|_| {
                    begun.store(true, Ordering::Relaxed);
                    ControlFlow::Continue(())
                })
            });
            eventually("it has begun", || begun.load(Ordering::Relaxed));
            closing.close().expect("it closes");
            let outcome = apply.join().expect("no panic").map(drop).map_err(|error| error.kind());
            assert!(matches!(outcome, Ok(()) | Err(ErrorKind::Closed)), "{outcome:?}");
        });
        if let Home::Disk(_) = home {
            let store = home.open_with(&small_segments());
            assert_eq!(versions(store.read(&b)).len(), 300);
            check(&store, &all(&store));
        }
    });
}

#[test]
fn an_attempt_that_failed_takes_nothing_with_it() {
    for operation in [DiskOperation::Remove, DiskOperation::SyncDirectory] {
        let first = SimulatedDisk::new(43);
        let (events, going) = half_dead(&first);
        let mut failed = 0;
        for number in 1..20 {
            let disk = first.crash(&CrashChoice::KeepAll);
            let store = small_segments().open_simulated(&disk).expect("it opens");
            disk.fail(DiskFault::new(operation, io::ErrorKind::Other).nth(number));
            for _ in 0..3 {
                let done = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                failed += u64::from(done.is_err());
            }
            disk.heal();
            let _ = store.append(&name("game-2"), Any, [kilobyte(1)]).wait();
            for crashed in [disk.crash(&CrashChoice::KeepAll), disk.crash(&CrashChoice::LoseAll)] {
                let store = small_segments().open_simulated(&crashed).expect("it opens");
                let left = left(&store);
                let is_kept = |event: &RecordedEvent| left.contains(&event.position().get());
                assert!(events.iter().all(|event| is_kept(event) || going.contains(&event.position().get())));
                store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
            }
        }
        assert!(0 < failed, "{operation:?} never failed");
    }
}

#[test]
fn an_unfinished_segment_is_not_written_again_under_its_name() {
    let first = SimulatedDisk::new(47);
    let (events, going) = half_dead(&first);
    for stop in 3..14 {
        let disk = first.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        let disk = disk.crash(&CrashChoice::KeepAll);
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let broken = plan.apply_while(|_| ControlFlow::Break(())).expect("it breaks off");
        assert!(!broken.is_complete() || plan.is_empty());
        let done = store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
        assert!(done.is_complete());
        // What was found unfinished is removed by its name when room is made.
        for number in 0..60 {
            add(&store, &name("game-9"), [kilobyte(number)]);
        }
        drop(store);
        let store = small_segments().open_simulated(&disk).expect("it opens");
        let stays: Vec<u64> =
            events.iter().map(|event| event.position().get()).filter(|at| !going.contains(at)).collect();
        let left = left(&store);
        assert!(stays.iter().all(|position| left.contains(position)), "stopped at {stop}");
    }
}

#[test]
fn rules_that_have_changed_since_a_plan_want_another() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let a = name("game-1");
        for number in 0..100 {
            add(&store, &a, [kilobyte(number)]);
        }
        let retain = |rule: Retention| store.batch().retain(&Scope::Everything, rule).commit().wait().expect("a rule");
        retain(Retention::forever().newest(3));
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        retain(Retention::forever());
        let error = plan.apply().expect_err("it is of before");
        check_says(&error, ErrorKind::InvalidArgument, &["plan it again"]);
        assert_eq!(versions(store.read(&a)).len(), 100, "nothing was done");
        let held = store.compaction().thoroughly().plan().expect("a plan");
        store.batch().hold(&Scope::Stream(a.clone()), "court").commit().wait().expect("a hold");
        assert_eq!(held.apply().expect_err("it is of before").kind(), ErrorKind::InvalidArgument);
        let plan = store.compaction().thoroughly().plan().expect("a plan");
        let inside = plan.apply_while(|_| {
            let again = store.compaction().thoroughly().plan().expect("a plan");
            assert!(again.is_empty() || again.apply().is_err());
            ControlFlow::Continue(())
        });
        assert_eq!(inside.expect("it is done").events_removed(), 0);
    });
}

#[test]
fn what_was_thinned_beyond_a_segment_is_not_gone() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let streams: Vec<StreamName> = (0..4).map(|number| name(&format!("game-{number}"))).collect();
        for number in 0..600 {
            add(&store, &streams[number % 4], [kilobyte(number as u64)]);
        }
        // Here and there first, so that it is remembered as a whole, and then more of some of it.
        for stream in &streams[..3] {
            store.tombstone(stream, Any, "over").wait().expect("it is finished");
            store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
            let mut live = store.subscribe(Query::all(), Start::Beginning);
            let mut seen = BTreeSet::new();
            while let Some(item) = live.try_next().expect("nothing fails") {
                seen.extend(item.event().map(|event| event.position().get()));
            }
            assert_eq!(seen, left(&store));
        }
    });
}

#[test]
fn a_list_of_streams_knows_those_of_which_the_end_was_removed() {
    let disk = SimulatedDisk::new(53);
    let store = small_segments().open_simulated(&disk).expect("it opens");
    let (a, b) = (name("game-1"), name("player-1"));
    let old = NewEvent::json("kept", &1).expect("JSON");
    add(&store, &a, [old]);
    for number in 0..60 {
        add(&store, &b, [kilobyte(number)]);
    }
    add(&store, &a, [kilobyte(1)]);
    for number in 0..60 {
        add(&store, &b, [kilobyte(number)]);
    }
    let kept = Scope::event_type("kept").expect("a type");
    store.batch().hold(&kept, "court").commit().wait().expect("a hold");
    store.tombstone(&a, Any, "over").wait().expect("it is finished");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    for store in [store, small_segments().open_simulated(&disk.kill()).expect("it opens")] {
        let listed = store.streams().with_deleted().list().expect("a list");
        assert_eq!(listed.iter().map(|info| info.name().as_str()).collect::<Vec<_>>(), ["game-1", "player-1"]);
        assert_eq!(listed[0].last_position().get(), 1);
        std::mem::forget(store);
    }
}
