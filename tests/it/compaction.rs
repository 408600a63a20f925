//! Compaction: what may go is gone, and everything that stays is as it was.

use super::support::{Home, add, check_says, everywhere, kilobyte, name, read, small_segments, versions};
use crate::model::{Chance, Choices, forget_derived, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{SimulatedDisk, verify_simulated};
use scorebook::{
    ErrorKind, EventStore, Going, LeftBecause, NewEvent, Query, RecordedEvent, Retention, Scope, SegmentAct, Start,
    Staying, StreamName, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

/// All of an event that may never change.
pub(super) fn whole(event: &RecordedEvent) -> String {
    let tags: Vec<_> = event.tags().collect();
    let (position, version, time) = (event.position(), event.version(), event.time());
    let (stream, event_type, schema) = (event.stream(), event.event_type(), event.schema());
    let (id, epoch, metadata, data) = (event.id(), event.epoch(), event.metadata_json(), event.data());
    format!("{position} {stream} {version} {time} {event_type} {schema} {id} {epoch} {tags:?} {metadata} {data:?}")
}

pub(super) fn all(store: &EventStore) -> Vec<RecordedEvent> {
    read(store.read_all())
}

/// Everything a store says of its events is what these are.
pub(super) fn check(store: &EventStore, expected: &[RecordedEvent]) {
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
pub(super) fn half_dead(disk: &SimulatedDisk) -> (Vec<RecordedEvent>, BTreeSet<u64>) {
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

pub(super) fn left(store: &EventStore) -> BTreeSet<u64> {
    all(store).iter().map(|event| event.position().get()).collect()
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
