//! What is exported and imported exactly is the same store: every answer, and every byte of the next export.

use super::support::{Count, add, check_says, events, name, small_segments, wherever_it_lasts};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{CrashChoice, SimulatedDisk, salvage_simulated, verify_simulated};
use scorebook::{
    Consumer, ErrorKind, EventStore, ExactEvent, ExactFact, ExactRecord, ExactSnapshot, ExportedRecord, Imported,
    NewEvent, NewState, Position, Query, Quota, RecordedEvent, Retention, Scope, Start, StreamName, TagScope, Version,
};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

/// All of an event.
fn whole(event: &RecordedEvent) -> String {
    let tags: Vec<_> = event.tags().collect();
    let (position, version, time, occurred) = (event.position(), event.version(), event.time(), event.occurred());
    let (stream, event_type, schema) = (event.stream(), event.event_type(), event.schema());
    let (id, epoch, metadata, data) = (event.id(), event.epoch(), event.metadata_json(), event.data());
    format!(
        "{position} {stream} {version} {time} {occurred:?} {event_type} {schema} {id} {epoch} {tags:?} {metadata} {data:?}"
    )
}

/// Everything a store exports, as lines.
fn exported(store: &EventStore) -> Vec<String> {
    let line = |record: Result<ExportedRecord, _>| match record.expect("a record") {
        ExportedRecord::Event(event) => whole(&event),
        ExportedRecord::Fact(fact) => fact.to_json(),
        _ => unreachable!("nothing else is said"),
    };
    store.export().expect("an export").map(line).collect()
}

fn records(store: &EventStore) -> Vec<ExactRecord> {
    store.export().expect("an export").map(|record| record.expect("a record").to_exact().expect("it can be")).collect()
}

/// Takes everything in, facts by way of their lines.
fn import(from: &EventStore, to: &EventStore) -> Imported {
    let mut import = to.exact_import().expect("it is empty");
    for record in records(from) {
        let record = match record {
            ExactRecord::Fact(fact) => ExactRecord::Fact(ExactFact::from_json(&fact.to_json()).expect("its own line")),
            event => event,
        };
        import.record(record).expect("it goes on");
    }
    import.finish().expect("it is synced")
}

/// Everything a store can be asked.
fn answers(store: &EventStore, streams: &[StreamName], keys: &[String]) -> Vec<String> {
    fn told<T: Debug, E: ToString>(answer: Result<T, E>) -> String {
        answer.map_or_else(|error| error.to_string(), |answer| format!("{answer:?}"))
    }
    fn of(events: impl IntoIterator<Item = Result<RecordedEvent, scorebook::Error>>) -> String {
        let of = |event: Result<RecordedEvent, scorebook::Error>| event.map_or_else(|e| e.to_string(), |e| whole(&e));
        events.into_iter().map(of).collect::<Vec<_>>().join("\n")
    }
    let mut answers = vec![of(store.read_all().skipping_lost()), of(store.read_all().backwards().skipping_lost())];
    answers.push(format!("{:?}", store.head().expect("a head")));
    for stream in streams {
        answers.push(format!("{stream}: {}", of(store.read(stream))));
        answers.push(told(store.version(stream)));
        answers.push(told(store.standing(stream)));
        answers.push(told(store.metadata(stream)));
        let info = store.stream_info(stream);
        answers.push(told(info.map(|info| (info.version(), info.first_version(), info.last_position()))));
    }
    for tag in 0..4 {
        answers.push(of(store.read_all().matching(Query::all().tag("n", tag)).skipping_lost()));
    }
    for event_type in ["a", "b"] {
        answers.push(of(store.read_all().matching(Query::all().of_type(event_type)).skipping_lost()));
    }
    for key in keys {
        let receipt = store.receipt_of(key).map(|receipt| {
            receipt.map(|of| (of.first_position(), of.last_position(), of.time(), of.streams().to_vec()))
        });
        answers.push(format!("{key}: {}", told(receipt)));
    }
    answers.push(told(store.holds()));
    answers.push(told(store.retention()));
    answers.push(told(store.usage()));
    for info in store.consumers().expect("a list") {
        let place = (info.position(), info.scanned(), info.unfinished(), info.parked());
        let said = (info.definition().to_owned(), info.paused().map(str::to_owned), info.created(), info.updated());
        answers.push(format!("{} {place:?} {said:?}", info.name()));
        let parked = store.consumer(info.name()).parked().expect("a list");
        answers.push(format!(
            "{:?}",
            parked
                .iter()
                .map(|of| (of.position(), of.attempts(), of.reason().to_owned(), of.since()))
                .collect::<Vec<_>>()
        ));
    }
    answers
}

fn streams() -> Vec<StreamName> {
    (0..6).map(|number| name(&format!("game-{number}"))).chain([name("team-1"), name("never")]).collect()
}

/// Does one thing.
fn step(chance: &mut Chance, store: &EventStore, keys: &mut Vec<String>) {
    let streams = streams();
    let stream = chance.pick(&streams).clone();
    let scopes = [Scope::Everything, Scope::category("game").expect("a name"), Scope::event_type("a").expect("a name")];
    let scope = chance.pick(&[&scopes[..], &[Scope::Stream(stream.clone()), Scope::OnceKeys]].concat()).clone();
    let count = 1 + chance.below(3);
    let new = |chance: &mut Chance| {
        let event =
            NewEvent::bytes(["a", "b"][chance.below(2)], vec![7; chance.below(900)]).schema(1 + chance.below(3) as u32);
        let event = event.tag("n", chance.below(4));
        if chance.one_in(3) { event.meta("z", &chance.below(9)).actor("8812").meta("a", "é") } else { event }
    };
    // What is refused says nothing.
    match chance.below(26) {
        0 => drop(store.delete(&stream, Any, "a \"mistake\"").wait()),
        1 => drop(store.undelete(&stream).wait()),
        2 if chance.one_in(3) => drop(store.tombstone(&stream, Any, "over ✓").wait()),
        3 => {
            let next = store.version(&stream).map_or(0, Version::get) + 1;
            let first = Version::new(1 + chance.below(next as usize) as u64);
            let state = NewState::bytes("sum", Version::new(first.get() - 1), vec![9; chance.below(90)]);
            drop(match chance.one_in(2) {
                true => store.truncate_before(&stream, first).wait(),
                false => store.truncate_carrying(&stream, state.schema(1 + chance.below(3) as u32)).wait(),
            });
        }
        4 => drop(store.batch().set_metadata(&stream, None, &("said", chance.below(99))).commit().wait()),
        5 => drop(store.batch().hold(&scope, "court").commit().wait()),
        6 => drop(store.batch().release(&scope, "court").commit().wait()),
        7 => drop(store.batch().retain(&scope, Retention::forever().newest(3)).commit().wait()),
        8 => {
            let rule = Retention::forever().newer_than(Duration::from_secs(1 + chance.below(99) as u64));
            drop(store.batch().retain(&scope, rule).clear_retention(&scopes[0]).commit().wait());
        }
        9 | 10 => consume(chance, store),
        11 => drop(store.consumer("careful").redeliver_all()),
        12 => drop(store.consumer("careful").drop_all_parked()),
        13 => drop(store.consumer("careful").pause("tea")),
        14 => drop(store.consumer("careful").resume()),
        19 => {
            let tag = TagScope::tag("n", chance.below(4)).expect("a tag");
            drop(store.set_quota(&tag, Quota::bytes(9).trimming()).wait());
        }
        20 => {
            let each = TagScope::each("n").expect("a key");
            drop(store.batch().set_quota(&each, Quota::bytes(1 << 40).refusing()).commit().wait());
            drop(chance.one_in(2).then(|| store.batch().clear_quota(&each).commit().wait()));
        }
        15 if chance.one_in(4) => drop(store.consumer("careful").delete()),
        16 | 17 => {
            let key = format!("interaction {}", keys.len());
            let events: Vec<NewEvent> = (0..count).map(|_| new(chance)).collect();
            let batch = store.batch().append(&stream, Any, events).append(&name("team-1"), Any, [new(chance)]);
            if batch.once(key.clone()).commit().wait().is_ok() {
                keys.push(key);
            }
        }
        18 => {
            // Everything in one batch, with a deed before what it speaks of.
            let batch = store.batch().append(&stream, Any, [new(chance)]).delete(&stream, Any, "").hold(&scope, "both");
            drop(batch.append(&stream, Any, [new(chance)]).commit().wait());
        }
        _ => {
            let events: Vec<NewEvent> = (0..count).map(|_| new(chance)).collect();
            drop(store.append(&stream, Any, events).wait());
        }
    }
}

/// Hands out a few events, is done with some and sets some aside.
fn consume(chance: &mut Chance, store: &EventStore) {
    let consumer = Consumer::new("careful", Query::all().of_type("a"), Start::Beginning).checkpoint_every(1);
    let Ok(mut member) = store.join(&consumer) else {
        return;
    };
    for _ in 0..chance.below(6) {
        let Ok(Some(delivery)) = member.try_next() else {
            return;
        };
        match chance.below(3) {
            0 => delivery.nack(scorebook::Verdict::Park, "cannot").expect("it is in hand"),
            _ => delivery.ack().expect("it is in hand"),
        }
    }
}

fn fresh() -> EventStore {
    small_segments().open_simulated(&SimulatedDisk::new(9)).expect("an empty disk")
}

/// That a copy is the same, also when it is opened again and from files alone.
fn check_copy(store: &EventStore, keys: &[String]) {
    let (lines, before) = (exported(store), answers(store, &streams(), keys));
    let disk = SimulatedDisk::new(9);
    let copy = small_segments().open_simulated(&disk).expect("an empty disk");
    let imported = import(store, &copy);
    assert_eq!(imported.events() + imported.facts(), lines.len() as u64);
    let compare = |copy: &EventStore, when: &str| {
        for (now, before) in exported(copy).iter().zip(&lines) {
            assert_eq!(now, before, "{when}");
        }
        assert_eq!(exported(copy).len(), lines.len(), "{when}");
        for (now, before) in answers(copy, &streams(), keys).iter().zip(&before) {
            assert_eq!(now, before, "{when}");
        }
    };
    compare(&copy, "just imported");
    drop(copy);
    assert!(verify_simulated(&disk).expect("a verdict").is_sound());
    compare(&small_segments().open_simulated(&disk).expect("it opens"), "opened again");
    crate::model::forget_derived(&disk);
    let copy = small_segments().open_simulated(&disk).expect("it opens");
    compare(&copy, "from the log alone");
    // And it goes on as the other one does.
    for key in keys {
        let again = copy.batch().append(&name("other"), Any, events(1..2)).once(key.clone()).commit().wait();
        assert!(again.is_err_and(|error| error.conflict().is_some()), "{key} came with something else");
    }
    let undeleted =
        |store: &EventStore| streams().iter().map(|stream| store.undelete(stream).wait().is_ok()).collect::<Vec<_>>();
    assert_eq!(undeleted(&copy), undeleted(store));
    let next =
        |store: &EventStore| store.append(&name("game-1"), Any, events(1..2)).wait().map(|of| of.last_position());
    assert_eq!(next(&copy).map_err(|e| e.to_string()), next(store).map_err(|e| e.to_string()));
}

#[test]
fn over_any_history_an_exact_import_gives_the_same_answers_and_exports_the_same() {
    let mut kinds = BTreeSet::new();
    for round in 0..12 {
        let seed = seed().wrapping_add(round);
        let mut chance = Chance(seed);
        let disk = SimulatedDisk::new(seed);
        let mut store = small_segments().open_simulated(&disk).expect("an empty disk");
        let mut keys = Vec::new();
        for part in 0..4 {
            (0..40).for_each(|_| step(&mut chance, &store, &mut keys));
            if part % 2 == 1 {
                store.compaction().thoroughly().beyond_consumers().plan().expect("a plan").apply().expect("it is done");
            }
            drop(store);
            store = small_segments().open_simulated(&disk).expect("it opens again");
            if part == 2 {
                let beside = small_segments().open_simulated_read_only(&disk).expect("it can be read");
                assert_eq!(exported(&beside), exported(&store), "seed {seed}");
            }
        }
        for record in records(&store) {
            kinds.extend(match record {
                ExactRecord::Fact(fact) => Some(fact.kind()),
                _ => None,
            });
        }
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check_copy(&store, &keys)));
        assert!(checked.is_ok(), "seed {seed}");
    }
    // What is lost is not on purpose, and has a test of its own.
    let all = [
        "checkpoint",
        "delete",
        "hold",
        "key",
        "metadata",
        "no quota",
        "no retention",
        "parked",
        "quota",
        "release",
        "removed",
        "retention",
        "tombstone",
        "truncate",
        "undelete",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn what_was_lost_is_lost_in_the_copy_and_an_acceptance_holds() {
    let (source, salvaged) = (SimulatedDisk::new(3), SimulatedDisk::new(4));
    let store = small_segments().open_simulated(&source).expect("an empty disk");
    let numbered = |number: u64| NewEvent::bytes("a", format!("number {number:04}").into_bytes()).tag("n", number % 4);
    (0..100).for_each(|number| drop(add(&store, &name(&format!("game-{}", number % 3)), [numbered(number)])));
    store.close().expect("it closes");
    let log = source.contents()["log/0000000001.log"].clone();
    let at = log.windows(11).position(|bytes| bytes == b"number 0050").expect("it is in there");
    source.flip_bit("log/0000000001.log", at as u64, 1);
    let lost = salvage_simulated(&source, &salvaged).expect("what is good is copied").lost().to_vec();
    let store = small_segments().open_simulated(&salvaged).expect("it opens");
    let (first, last) = lost[0];
    let told = format!(r#"{{"fact":"lost","first":{first},"last":{last}}}"#);
    assert!(exported(&store).contains(&told));
    let copy = fresh();
    import(&store, &copy);
    let error = copy.read_all().into_iter().find_map(Result::err).expect("some are lost");
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert_eq!(
        copy.append(&name("game-1"), Any, events(1..2)).wait().is_ok(),
        store.append(&name("game-1"), Any, events(1..2)).wait().is_ok()
    );
    store.accept_losses().expect("they are accepted");
    add(&store, &name("game-1"), events(1..2));
    check_copy(&store, &[]);
}

#[test]
fn what_is_forged_or_comes_twice_is_refused_and_leaves_nothing() {
    let store = fresh();
    let a = name("game-1");
    add(&store, &a, events(1..4));
    store.batch().set_metadata(&a, None, &1).commit().wait().expect("it is said");
    let once = store.batch().append(&a, Any, events(4..5)).once("key 1");
    once.commit().wait().expect("it is new");
    let consumer = Consumer::new("careful", Query::all(), Start::Beginning);
    drop(store.join(&consumer).expect("it joins"));
    store.tombstone(&name("gone"), Any, "over").wait().expect("it is finished");
    let good = records(&store);
    let fact = |text: &str| ExactRecord::Fact(ExactFact::from_json(text).expect(text));
    let event = |change: &dyn Fn(&mut ExactEvent)| {
        let Some(ExactRecord::Event(first)) = good.first().cloned() else { panic!("an event") };
        let mut event = ExactEvent {
            position: Position::new(5),
            version: Version::new(5),
            time: store.event_at(Position::new(4)).expect("it").time(),
            ..first
        };
        change(&mut event);
        ExactRecord::Event(event)
    };
    let again = |kind: &str| {
        let is_it = |record: &&ExactRecord| matches!(record, ExactRecord::Fact(fact) if fact.kind() == kind);
        good.iter().find(is_it).cloned().expect(kind)
    };
    let cases: Vec<(ExactRecord, &str)> = vec![
        (again("metadata"), "what is said about stream game-1 has revision 1, and this is 1"),
        (again("key"), "the key `key 1` came before"),
        (again("checkpoint"), "consumer careful has come to number"),
        (again("tombstone"), "stream gone is finished"),
        (event(&|event| event.stream = name("gone")), "stream gone is finished"),
        (event(&|event| event.epoch = Some(0)), "there is no such epoch"),
        (event(&|event| event.version = Version::new(4)), "version 4 of stream game-1 does not follow 4"),
        (event(&|event| event.position = Position::new(4)), "positions must rise"),
        (
            fact(r#"{"fact":"delete","stream":"game-1","version":3,"nanos":0,"reason":""}"#),
            "game-1 is at version 4, and this speaks of 3",
        ),
        (
            fact(r#"{"fact":"delete","stream":"game-1","version":5,"nanos":0,"reason":""}"#),
            "position 5 is still to come",
        ),
        (fact(r#"{"fact":"delete","stream":"new","version":0,"nanos":0,"reason":""}"#), "it makes no sense"),
        (fact(r#"{"fact":"truncate","stream":"game-1","version":4,"nanos":0,"first":6}"#), "it makes no sense"),
        (
            fact(
                r#"{"fact":"truncate","stream":"game-1","version":4,"nanos":0,"first":4,"fold":"f","schema":1,"codec":1,"position":2,"event_nanos":0,"state":""}"#,
            ),
            "it makes no sense",
        ),
        (
            fact(
                r#"{"fact":"truncate","stream":"game-1","version":4,"nanos":0,"first":4,"fold":"f","schema":1,"codec":1,"position":9,"event_nanos":0,"state":""}"#,
            ),
            "position 9 is still to come",
        ),
        (fact(r#"{"fact":"hold","scope":"everything","nanos":0,"label":""}"#), "it makes no sense"),
        (fact(r#"{"fact":"removed","first":7,"last":9}"#), "positions 7 to 9 are not the next, 5"),
        (fact(r#"{"fact":"lost","first":5,"last":4}"#), "positions 5 to 4 are not the next, 5"),
        (fact(r#"{"fact":"accepted","last":5}"#), "position 5 is still to come"),
        (
            fact(r#"{"fact":"checkpoint","consumer":"new","number":1,"nanos":0,"act":"moved","scanned":5,"left":[]}"#),
            "position 5 is still to come",
        ),
        (
            fact(
                r#"{"fact":"checkpoint","consumer":"new","number":1,"nanos":0,"act":"moved","scanned":3,"left":[3,2]}"#,
            ),
            "it makes no sense",
        ),
        (
            fact(
                r#"{"fact":"key","key":"k","digest":"00000000000000000000000000000000","nanos":0,"first":1,"last":5,"streams":[["s",1,1]]}"#,
            ),
            "position 5 is still to come",
        ),
        (
            fact(
                r#"{"fact":"key","key":"k","digest":"00000000000000000000000000000000","nanos":0,"first":1,"last":1,"streams":[]}"#,
            ),
            "it makes no sense",
        ),
    ];
    for (bad, reason) in cases {
        let copy = fresh();
        let mut import = copy.exact_import().expect("it is empty");
        good.iter().for_each(|record| import.record(record.clone()).expect("it goes on"));
        let error = import.record(bad).expect_err(reason);
        let before = import.imported();
        check_says(&error, ErrorKind::InvalidArgument, &[reason]);
        let more = import.record(again("metadata")).expect_err("nothing more is taken in");
        check_says(&more, ErrorKind::InvalidArgument, &["something before was refused"]);
        assert!(import.finish().is_err(), "it is not finished");
        // The whole batches before it are in, and nothing of its own.
        let records = exported(&copy).len() as u64;
        assert_eq!(records, before.events() + before.facts(), "{reason}");
        assert!(copy.exact_import().is_err(), "it is not empty any more");
    }
}

#[test]
fn lines_that_say_too_much_or_too_little_are_refused_by_key() {
    for (line, reason) in [
        (r#"{"fact":"colour"}"#, "`fact`: `colour` is none that is known"),
        (r#"{"fact":"removed","first":1}"#, "`last` is missing"),
        (r#"{"fact":"removed","first":1,"last":2,"more":3}"#, "unknown key `more`"),
        (r#"{"fact":"removed","first":1,"first":1,"last":2}"#, "key `first` stands twice"),
        (r#"{"fact":"removed","first":"1","last":2}"#, "`first`: invalid type"),
        (r#"{"fact":"undelete","stream":"../x","version":1,"nanos":0}"#, "stream name `../x` holds `/`"),
        (r#"{"fact":"hold","scope":"planet","nanos":0,"label":"x"}"#, "`scope`: `planet` is none"),
        (
            r#"{"fact":"truncate","stream":"a","version":1,"nanos":0,"first":2,"fold":"f","schema":1,"codec":1,"position":1,"event_nanos":0,"state":"0"}"#,
            "`state` is not bytes",
        ),
        (
            r#"{"fact":"truncate","stream":"a","version":1,"nanos":0,"first":2,"fold":"f g","schema":1,"codec":1}"#,
            "the name of the fold",
        ),
        (
            r#"{"fact":"truncate","stream":"a","version":1,"nanos":0,"first":2,"fold":"f","codec":1}"#,
            "unknown key `fold`",
        ),
        (r#"{"fact":"key","key":"k","digest":"xyz","nanos":0,"first":1,"last":1,"streams":[]}"#, "`digest` is not 32"),
        (r#"{"fact":"removed","first":1,"last":2"#, "EOF"),
        (r#"{"fact":"retention","scope":"everything","nanos":0,"newest":0}"#, "`newest` is 0"),
        ("[]", "expected a JSON object"),
    ] {
        let error = ExactFact::from_json(line).expect_err(line);
        assert!(error.to_string().contains(reason), "{line}: {error}");
    }
}

#[test]
fn a_state_that_a_truncation_carries_comes_along() {
    let line = r#"{"fact":"truncate","stream":"game-1","version":3,"nanos":7,"first":4,"fold":"score","schema":2,"codec":2,"position":3,"event_nanos":5,"state":"7b7dff"}"#;
    let store = fresh();
    let source = fresh();
    add(&source, &name("game-1"), events(1..4));
    let mut import = store.exact_import().expect("it is empty");
    records(&source).into_iter().for_each(|record| import.record(record).expect("it goes on"));
    import.record(ExactRecord::Fact(ExactFact::from_json(line).expect("a line"))).expect("it goes on");
    import.finish().expect("it is synced");
    assert_eq!(exported(&store).last().map(String::as_str), Some(line));
    let state = store.carried_state(&name("game-1")).expect("it can be read").expect("it begins with one");
    assert_eq!((state.fold(), state.schema(), state.data()), ("score", 2, &b"{}\xff"[..]));
    let error = store.read(&name("game-1")).from(Version::FIRST).into_iter().next().expect("an answer").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BelowFloor);
    check_copy(&store, &[]);
}

#[test]
fn stopped_anywhere_an_import_leaves_whole_batches_in_order_and_opens() {
    let mut chance = Chance(seed());
    let source = SimulatedDisk::new(1);
    let mut keys = Vec::new();
    let mut store = small_segments().open_simulated(&source).expect("an empty disk");
    for _ in 0..3 {
        (0..30).for_each(|_| step(&mut chance, &store, &mut keys));
        drop(store);
        store = small_segments().open_simulated(&source).expect("it opens again");
    }
    let (all, lines) = (records(&store), exported(&store));
    let mut lengths = BTreeSet::new();
    for stop in (1..).step_by(3) {
        let disk = SimulatedDisk::new(stop);
        disk.stop_at(stop);
        if let Ok(copy) = small_segments().open_simulated(&disk) {
            if let Ok(mut import) = copy.exact_import() {
                let taken = all.iter().try_for_each(|record| import.record(record.clone()));
                let _ = taken.and_then(|()| import.finish());
            }
            std::mem::forget(copy);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let crashed = disk.crash(&choice);
            let copy = small_segments().open_simulated(&crashed).expect("it opens");
            let found = exported(&copy);
            assert_eq!(found[..], lines[..found.len()], "stopped at {stop}, {choice:?}");
            lengths.insert(found.len());
            if !found.is_empty() {
                assert!(copy.exact_import().is_err(), "it begins again with an empty store");
            }
            drop(copy);
            assert!(verify_simulated(&crashed).expect("a verdict").is_sound());
        }
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(5 < lengths.len() && lengths.contains(&0) && lengths.contains(&lines.len()), "{lengths:?}");
}

#[test]
fn snapshots_are_taken_over_where_they_are_this_stores_and_left_out_where_they_are_not() {
    wherever_it_lasts(|home| {
        let store = home.open();
        add(&store, &name("game-1"), events(1..6));
        let count = store.projection::<Count>().expect("a projection");
        count.reached(Position::new(5)).wait().expect("it is there");
        count.save().expect("it is saved");
        let infos = store.snapshots().expect("a list");
        let snapshots: Vec<ExactSnapshot> =
            infos.iter().map(|info| store.export_snapshot(info).expect("an answer").expect("it is sound")).collect();
        assert_eq!(snapshots.len(), 1);
        let disk = SimulatedDisk::new(2);
        let copy = small_segments().open_simulated(&disk).expect("an empty disk");
        let mut import = copy.exact_import().expect("it is empty");
        records(&store).into_iter().for_each(|record| import.record(record).expect("it goes on"));
        let other = ExactSnapshot { last_hash: 1, ..snapshots[0].clone() };
        assert!(!import.snapshot(&other).expect("an answer"), "another event is there");
        let ahead =
            ExactSnapshot { position: Position::new(9), last_position: Position::new(9), ..snapshots[0].clone() };
        assert!(!import.snapshot(&ahead).expect("an answer"), "there is no such event");
        assert!(import.snapshot(&snapshots[0]).expect("an answer"));
        assert!(!import.snapshot(&snapshots[0]).expect("an answer"), "it is there");
        import.finish().expect("it is synced");
        let taken = copy.snapshots().expect("a list");
        assert_eq!((taken.len(), taken[0].fault()), (1, None));
        assert_eq!(copy.export_snapshot(&taken[0]).expect("an answer").as_ref(), Some(&snapshots[0]));
        drop(copy);
        let copy = small_segments().open_simulated(&disk).expect("it opens");
        let count = copy.projection::<Count>().expect("a projection");
        count.reached(Position::new(5)).wait().expect("it is there");
        assert_eq!(count.read(|count| count.0), 5);
    });
}
