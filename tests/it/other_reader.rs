//! A second reader of the format, in another language, written from `FORMAT.md` alone: `tests/reader/scorebook_reader.py`.
//! It is given the golden directories and stores of every sort, and what it prints is compared with what the store says.
//!
//! It needs `python3`. Where there is none these tests say so and hold nothing; where `CI` is set there must be one.

use super::support::{SMALL_SEGMENT, add, event, events, kilobyte, name};
use crate::model::damage::{Closeness, Plan, Subject};
use crate::model::{Chance, Choices, World, seed, stories};
use scorebook::ExpectedVersion::{Any, NoStream};
use scorebook::testing::{CrashChoice, SimulatedDisk, salvage_simulated};
use scorebook::{
    AfterChange, CarriedState, CloseState, Codec, Consumer, Damage, DamageKind, Durability, ErrorKind, EventId,
    EventStore, NewEvent, NewState, Options, PartitionBy, Position, Query, Quota, RecordedEvent, Retention, Revision,
    Scope, Standing, Start, StreamName, TagScope, Timestamp, Verdict, Version, verify,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the other reader printed: a line of JSON each.
pub(crate) struct Told(Vec<Value>);

impl Told {
    /// Nothing where there is no `python3`.
    #[expect(clippy::print_stdout, reason = "whoever runs the tests is told what was left out")]
    fn of(directory: &Path) -> Option<Told> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/scorebook_reader.py");
        let output = match Command::new("python3").arg("-B").arg(script).arg(directory).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                assert!(std::env::var_os("CI").is_none(), "there is no python3");
                println!("left out: there is no python3");
                return None;
            }
            output => output.expect("python3 runs"),
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.is_empty(), "{errors}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let told = Told(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect());
        assert_eq!(output.status.code(), Some(i32::from(told.refusal().is_some())), "{text}");
        Some(told)
    }

    /// The lines that have this member.
    pub(crate) fn lines(&self, member: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line.get(member).is_some()).collect()
    }

    fn line(&self, member: &str, is: &str) -> Option<&Value> {
        self.lines(member).into_iter().find(|line| line[member] == is)
    }

    pub(crate) fn end(&self) -> &Value {
        self.0.last().expect("an end or a refusal")
    }

    pub(crate) fn refusal(&self) -> Option<&Value> {
        self.end().get("refused").is_some().then(|| self.end())
    }
}

/// What the store says, in the words of the other reader.
fn said(event: &RecordedEvent) -> Value {
    let mut said = json!({
        "event": event.position().get(),
        "stream": event.stream(),
        "version": event.version().get(),
        "type": event.event_type(),
        "schema": event.schema(),
        "time": event.time().nanos(),
        "occurred": event.occurred().map(Timestamp::nanos),
        "epoch": event.epoch(),
        "id": event.id().to_string(),
        "tags": event.tags().collect::<Vec<_>>(),
        "metadata": event.metadata_json(),
        "codec": number_of(event.codec()),
        "segment": event.place().segment,
        "byte": event.place().offset,
    });
    show(&mut said, event.data());
    said
}

fn number_of(codec: Codec) -> u8 {
    match codec {
        Codec::Json => 1,
        Codec::Bytes => 2,
        Codec::Bincode => 3,
        Codec::Other(number) => number,
        other => panic!("a codec of no number: {other:?}"),
    }
}

fn show(said: &mut Value, payload: &[u8]) {
    let (member, payload) = match std::str::from_utf8(payload) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("hex", hex(payload)),
    };
    said[member] = json!(payload);
}

/// The state that a stream begins with, as the other reader tells it.
fn carried(state: &CarriedState) -> Value {
    let mut said = json!({
        "fold": state.fold(),
        "schema": state.schema(),
        "codec": number_of(state.codec()),
        "position": state.position().get(),
        "time": state.time().nanos(),
    });
    show(&mut said, state.data());
    said
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string");
        text
    })
}

/// Both readers say the same of a directory. What the other one told is given back, where it could be asked.
fn check(directory: &Path) -> Option<Told> {
    let told = Told::of(directory)?;
    let store = match EventStore::open_read_only(directory) {
        Ok(store) => store,
        // Nothing was made ready yet.
        Err(error) if error.kind() == ErrorKind::StoreNotFound => {
            assert_eq!(told.end()["end"], json!([0, 0]), "{error}");
            return Some(told);
        }
        Err(error) if error.kind() == ErrorKind::TooNew => {
            assert_eq!(told.end()["refused"], "newer", "{error}, but: {}", told.end());
            return Some(told);
        }
        Err(error) => panic!("{error}"),
    };
    match told.refusal() {
        Some(refusal) => check_refused(refusal, store.recovery_report().damage()),
        None => check_end(&told, &store),
    }
    let verified = verify(directory).expect("a report");
    assert_eq!(verified.is_sound(), told.refusal().is_none(), "{verified}, but: {}", told.end());
    check_events(&told, &store);
    check_gaps(&told, &store);
    if told.refusal().is_none() {
        check_streams(&told, &store);
        check_rules(&told, &store);
        check_consumers(&told, &store);
        check_keys(&told, &store);
    }
    Some(told)
}

pub(crate) fn check_disk(disk: &SimulatedDisk) -> Option<Told> {
    let scratch = tempfile::tempdir().expect("a directory");
    for (path, bytes) in disk.contents() {
        let path = scratch.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    check(scratch.path())
}

fn check_refused(refusal: &Value, damage: &[Damage]) {
    let told: Vec<String> = damage.iter().map(ToString::to_string).collect();
    let place = |damage: &Damage| json!([damage.place().segment, damage.place().offset]);
    let kind = |damage: &Damage| match damage.kind() {
        DamageKind::Missing => "damage: missing",
        DamageKind::Misplaced => "damage: misplaced",
        _ => "damage: unreadable",
    };
    let here = json!([refusal["segment"], refusal["byte"]]);
    let is_same = damage.iter().any(|damage| place(damage) == here && refusal["refused"] == kind(damage));
    assert!(is_same, "{refusal}, but the store says {told:?}");
}

fn check_end(told: &Told, store: &EventStore) {
    let report = store.recovery_report();
    assert_eq!(report.damage(), [], "{}", told.end());
    let how = match (report.torn_tail(), report.close_state()) {
        (Some(_), _) => "torn",
        (None, CloseState::Clean) => "closed",
        (None, _) => "open",
    };
    let end = store.stats().expect("numbers").visible_end();
    let head = store.head().expect("a position").get();
    assert_eq!(*told.end(), json!({"end": [end.segment, end.offset], "how": how, "last position": head}));
}

/// Field by field. Before a refusal there are those before the damage.
fn check_events(told: &Told, store: &EventStore) {
    let mut told_events = told.lines("event").into_iter();
    for event in store.read_all().skipping_lost() {
        let event = match (event, told.refusal()) {
            (Ok(event), _) => event,
            (Err(error), Some(_)) if error.kind() == ErrorKind::Damaged => break,
            (Err(error), _) => panic!("{error}"),
        };
        match told_events.next() {
            Some(told) => assert_eq!(*told, said(&event)),
            None if told.refusal().is_some() => break,
            None => panic!("event {} is missing", event.position()),
        }
    }
    assert_eq!(told_events.next(), None);
}

/// What the other reader says is not held lies where the store has no events.
fn check_gaps(told: &Told, store: &EventStore) {
    if told.refusal().is_some() {
        return;
    }
    let mut gaps = Vec::new();
    let mut next = 1;
    let held = store.read_all().skipping_lost().into_iter().map(|event| event.expect("an event").position().get());
    for position in held.chain([store.head().expect("a position").get() + 1]) {
        if next < position {
            gaps.push((next, position - 1));
        }
        next = position + 1;
    }
    let mut told_gaps: Vec<(u64, u64)> = Vec::new();
    for line in told.0.iter() {
        let Some(range) = line.get("removed").or_else(|| line.get("lost")) else {
            continue;
        };
        let at = |index: usize| range[index].as_u64().expect("a position");
        match told_gaps.last_mut() {
            Some((_, last)) if *last + 1 == at(0) => *last = at(1),
            _ => told_gaps.push((at(0), at(1))),
        }
    }
    assert_eq!(told_gaps, gaps);
}

fn check_streams(told: &Told, store: &EventStore) {
    for line in told.lines("standing") {
        let stream = name(line["standing"].as_str().expect("a name"));
        match store.version(&stream) {
            Ok(version) => assert_eq!(line["version"], version.get()),
            Err(error) if error.kind() == ErrorKind::Lost => continue,
            Err(error) => panic!("{error}"),
        }
        match store.standing(&stream).expect("an answer") {
            // Or all that is left of it is what was said about it.
            Standing::Missing => {
                let events = store.read_all().matching(Query::all().in_stream(&stream)).skipping_lost().count();
                assert!(line["version"] == 0 || events.expect("a number") == 0, "{line}");
            }
            Standing::Open { first } => {
                let state = store.carried_state(&stream).expect("it can be read");
                assert_eq!(state.as_ref().map(carried).as_ref(), line.get("state"), "{line}");
                let deleted = line.get("deleted").map_or(0, |version| version.as_u64().expect("a version"));
                let truncated = line.get("first").map_or(1, |version| version.as_u64().expect("a version"));
                assert_eq!(first.get(), truncated.max(deleted + 1), "{line}");
            }
            Standing::Deleted { .. } => assert_eq!(line["deleted"], line["version"]),
            Standing::Finished { reason, .. } => assert_eq!(line["finished"], reason),
            other => panic!("{other:?}"),
        }
        let metadata = store.metadata(&stream).expect("an answer");
        let metadata = metadata.map(|said| json!([said.json(), said.revision().get()]));
        assert_eq!(metadata, line.get("metadata").map(|text| json!([text, line["revision"]])));
    }
    let streams = store.streams().with_deleted().skipping_lost().list().expect("a list");
    for info in streams {
        assert!(told.line("standing", info.name().as_str()).is_some(), "{}", info.name());
    }
}

fn check_rules(told: &Told, store: &EventStore) {
    let scope = |scope: &Scope| match scope {
        Scope::Everything => json!(["all", ""]),
        Scope::Category(name) => json!(["category", name.as_str()]),
        Scope::EventType(name) => json!(["type", name.as_str()]),
        Scope::Stream(name) => json!(["stream", name.as_str()]),
        Scope::OnceKeys => json!(["keys", ""]),
    };
    let mut said: Vec<String> = Vec::new();
    for hold in store.holds().expect("holds") {
        said.push(json!([scope(hold.scope()), hold.label(), hold.since().nanos()]).to_string());
    }
    for (of, rule) in store.retention().expect("rules") {
        let age = rule.age().map(|age| age.as_nanos() as u64);
        said.push(json!([scope(&of), rule.events(), age]).to_string());
    }
    for (of, quota) in store.quotas().expect("quotas") {
        let kind = if of.value().is_some() { "tag" } else { "each" };
        let value = of.value().unwrap_or_default();
        said.push(json!([[kind, of.key()], value, quota.limit(), quota.action().to_string()]).to_string());
    }
    let told = told.lines("rule").into_iter().map(|rule| {
        let scope = json!([rule["scope"], rule["name"]]);
        match rule.get("hold") {
            Some(label) => json!([scope, label, rule["time"]]).to_string(),
            None if rule["rule"] == "quota" => {
                json!([scope, rule["value"], rule["quota"][0], rule["quota"][1]]).to_string()
            }
            None => json!([scope, rule["retention"][0], rule["retention"][1]]).to_string(),
        }
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    said.sort();
    assert_eq!(told, said);
}

fn check_consumers(told: &Told, store: &EventStore) {
    let consumers = match store.consumers() {
        // How far behind they are cannot be counted before losses are accepted.
        Err(error) if error.kind() == ErrorKind::Lost => return,
        consumers => consumers.expect("a list"),
    };
    for info in &consumers {
        let line = told.line("consumer", info.name()).expect("a consumer");
        assert_eq!(line["deleted"], false, "{line}");
        let here = json!([info.position().get(), info.scanned().get(), info.definition(), info.paused()]);
        assert_eq!(json!([line["position"], line["scanned"], line["asks"], line["paused"]]), here);
        let parked = store.consumer(info.name()).parked().expect("a list");
        let parked = parked.iter().map(|event| json!([event.position().get(), event.attempts(), event.reason()]));
        assert_eq!(line["set aside"], Value::Array(parked.collect()));
    }
    let told = told.lines("consumer").into_iter().filter(|line| line["deleted"] == false).count();
    assert_eq!(told, consumers.len());
}

fn check_keys(told: &Told, store: &EventStore) {
    for line in told.lines("key") {
        let receipt = store.receipt_of(line["key"].as_str().expect("a key")).expect("an answer").expect("a receipt");
        let streams = receipt.streams().iter().map(|of| {
            let (first, last) = (of.first_version().get(), of.last_version().get());
            json!([of.stream().as_str(), first, last])
        });
        let (first, last) = (receipt.first_position().get(), receipt.last_position().get());
        let here = json!([first, last, streams.collect::<Vec<_>>()]);
        assert_eq!(json!([line["first"], line["last"], line["streams"]]), here);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).expect("a copy") }
    }
}

#[test]
fn every_golden_directory_says_the_same_to_both() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (of, how) in [
        ("v1/clean", "closed"),
        ("v1/torn", "torn"),
        ("v1/rich", "closed"),
        ("v1/compacted", "closed"),
        ("v1/carried", "closed"),
        ("v1/facts", "closed"),
        ("schemas", "closed"),
    ] {
        let scratch = tempfile::tempdir().expect("a directory");
        copy(&golden.join(of), scratch.path());
        let Some(told) = check(scratch.path()) else {
            return;
        };
        assert_eq!(told.end()["how"], how, "{of}");
        assert!(told.lines("event").len() > 2, "{of}");
    }
    let held = |path: &str| fs::read_dir(golden.join(path)).expect("a directory").count();
    assert_eq!((held(""), held("v1")), (2, 6), "a golden directory that is not named here");
}

fn rich(number: u64) -> NewEvent {
    NewEvent::json("game_started", &number)
        .expect("JSON")
        .schema(7)
        .id(EventId::from_bytes([number as u8; 16]))
        .occurred(Timestamp::from_nanos(-1_234_567_890))
        .tag("spieler", "Zoë")
        .tag("emoji", "🎲")
        .correlation("interaktion-1")
        .meta("nested", &BTreeMap::from([("a", vec![1.5, 2.0])]))
}

/// Facts of every kind that the public interface can make, over several segments and sessions.
pub(crate) fn all_kinds(disk: &SimulatedDisk, options: &Options) -> EventStore {
    let (a, b, c) = (name("game-1"), name("spiel-größe-🎲"), name("player-1"));
    let store = options.open_simulated(disk).expect("a store");
    add(&store, &a, events(1..6));
    add(&store, &b, [rich(1), NewEvent::bytes("raw", vec![0, 255, 10, 13]), NewEvent::bytes("empty", [])]);
    add(&store, &name("e\u{301}"), [NewEvent::with_codec("packed", Codec::Other(77), vec![1, 2, 200])]);
    let batch = store.batch().append(&a, Any, [event(6)]).append(&c, NoStream, events(7..9)).once("interaction-8812");
    batch.append(&a, Any, [NewEvent::bytes("raw", vec![3; 300])]).commit().wait().expect("accepted");
    store.close().expect("closing");

    let store = options.open_simulated(disk).expect("a store");
    follow(&store, &a);
    let (games, won) = (Scope::category("game").expect("a name"), Scope::event_type("won").expect("a name"));
    let rule = Retention::forever().newest(100).newer_than(Duration::from_secs(3_600));
    let batch = store
        .batch()
        .retain(&games, rule)
        .retain(&won, Retention::forever())
        .hold(&Scope::Everything, "all")
        .retain(&Scope::OnceKeys, Retention::forever());
    let batch = batch.hold(&Scope::Stream(a.clone()), "case 12").hold(&games, "case 13").append(&a, Any, [event(9)]);
    batch.commit().wait().expect("all of it");
    disk.advance(Duration::from_secs(1));
    store.batch().hold(&Scope::Everything, "all").commit().wait().expect("it is held already");
    let (each, one) = (TagScope::each("guild").expect("a key"), TagScope::tag("guild", "7:ä").expect("a tag"));
    let batch = store.batch().set_quota(&each, Quota::bytes(1 << 40).refusing()).set_quota(&one, Quota::bytes(9));
    batch.commit().wait().expect("all of it");
    let batch =
        store.batch().set_quota(&one, Quota::bytes(0).trimming()).clear_quota(&TagScope::each("x").expect("a key"));
    batch.commit().wait().expect("all of it");
    let batch = store.batch().clear_retention(&won).release(&games, "case 13").release(&games, "never");
    batch.commit().wait().expect("all of it");
    store.truncate_before(&a, Version::new(3)).wait().expect("it is there");
    let state = NewState::bytes("counter", Version::new(4), [0, 255]).schema(7);
    store.truncate_carrying(&a, state).wait().expect("it is carried");
    add(&store, &name("account-1"), events(1..6));
    add(&store, &name("account-2"), events(1..6));
    for account in [name("account-1"), name("account-2")] {
        let state = NewState::json("sum", Version::new(3), &6).expect("JSON");
        store.truncate_carrying(&account, state).wait().expect("it is carried");
    }
    store.delete(&name("account-2"), Any, "").wait().expect("it is deleted");
    add(&store, &name("account-2"), events(6..8));
    let batch = store.batch().append(&a, Any, events(10..13)).truncate_before(&a, Version::new(12));
    batch.set_metadata(&a, None, &"said").delete(&b, Any, "a mistake").commit().wait().expect("all of it");
    store.batch().set_metadata(&a, Some(Revision::new(1)), &"more").commit().wait().expect("that was the last");
    store.batch().set_metadata(&name("nobody-1"), None, &[1]).commit().wait().expect("a stream without events");
    for number in 0..60 {
        add(&store, &name("noise"), [kilobyte(number)]);
    }
    store.tombstone(&c, Any, "asked to be forgotten").wait().expect("it is finished");
    store.tombstone(&name("player-2"), NoStream, "").wait().expect("a name that was never used");
    store.delete(&name("noise"), Any, "").wait().expect("it is deleted");
    add(&store, &name("noise"), [kilobyte(60)]);
    store.delete(&name("e\u{301}"), Any, "").wait().expect("it is deleted");
    store.undelete(&name("e\u{301}")).wait().expect("it was deleted");
    disk.advance(Duration::from_secs(1));
    store.keep_house();
    store
}

/// Consumers: one that is done with some, one that was paused, resumed and paused, one that is deleted and one made again.
fn follow(store: &EventStore, stream: &StreamName) {
    let consumer = |name: &str| {
        let consumer = Consumer::new(name, Query::all().in_stream(stream), Start::Beginning);
        consumer.partition_by(PartitionBy::NOTHING).checkpoint_every(1)
    };
    let mut member = store.join(&consumer("counting")).expect("it joins");
    for number in 0..4 {
        let delivery = member.try_next().expect("nothing fails").expect("it is its turn");
        if number == 2 {
            delivery.nack(Verdict::Park, "broken").expect("it is in hand");
        } else {
            delivery.ack().expect("it is in hand");
        }
    }
    drop(member);
    drop(store.join(&consumer("spät-1")).expect("it joins"));
    let late = store.consumer("spät-1");
    late.pause("for once").expect("paused");
    late.resume().expect("resumed");
    late.pause("for good").expect("paused");
    late.seek(Start::After(Position::new(2))).expect("it moves");
    late.change(&consumer("spät-1").attempts_max(3), AfterChange::KeepPosition).expect("changed");
    for _ in 0..2 {
        drop(store.join(&consumer("gone")).expect("it joins"));
        store.consumer("gone").delete().expect("deleted");
    }
    let mut again = store.join(&consumer("again")).expect("it joins");
    again.try_next().expect("nothing fails").expect("one").nack(Verdict::Park, "no").expect("it is in hand");
    drop(again);
    store.consumer("again").delete().expect("deleted");
    let mut again = store.join(&consumer("again")).expect("it joins");
    for _ in 0..2 {
        again.try_next().expect("nothing fails").expect("one").nack(Verdict::Park, "no").expect("it is in hand");
    }
    drop(again);
    store.consumer("again").redeliver(Position::new(1)).expect("it is parked");
}

#[test]
fn facts_of_every_kind_say_the_same_to_both() {
    let disk = SimulatedDisk::new(seed());
    let store = all_kinds(&disk, &EventStore::options().segment_bytes_max(SMALL_SEGMENT));
    let Some(killed) = check_disk(&disk.kill()) else {
        return;
    };
    assert_eq!(killed.end()["how"], "open");
    store.close().expect("closing");
    let told = check_disk(&disk).expect("python3 was there");
    assert_eq!(told.end()["how"], "closed");
    let kinds = "event start session watermark close key checkpoint parked tombstone truncate delete undelete metadata \
                 hold retention quota footer";
    for kind in kinds.split_whitespace() {
        assert!(!told.lines(kind).is_empty(), "no {kind}");
    }
    for key in told.lines("key") {
        assert_eq!(key["agrees"], true, "{key}");
    }
    disk.remove_file("live");
    assert_eq!(check_disk(&disk).expect("python3 was there").end()["how"], "open");
}

#[test]
fn stores_of_every_sort_say_the_same_to_both() {
    let scratch = tempfile::tempdir().expect("a directory");
    for subject in Subject::all(seed(), scratch.path()) {
        let disk = subject.copy();
        let Some(told) = check_disk(&disk) else {
            return;
        };
        assert_eq!(told.lines("event").len(), subject.layout.events.len(), "{}", subject.name);
        let has = |kind: &str| !told.lines(kind).is_empty();
        assert_eq!((has("lost"), has("accepted")), (subject.name == "salvaged", subject.name == "salvaged"));
        assert_eq!(has("removed"), subject.name == "imported");
        // The log alone says as much; how it was closed says `live`.
        forget(&disk);
        let told = check_disk(&disk).expect("python3 was there");
        assert_eq!(told.lines("event").len(), subject.layout.events.len(), "{}, without `live`", subject.name);
    }
}

/// Removes what is a witness beside the log. The other reader does not know the stream table.
pub(crate) fn forget(disk: &SimulatedDisk) {
    disk.remove_file("live");
    forget_streams(disk);
}

pub(crate) fn forget_streams(disk: &SimulatedDisk) {
    for path in disk.file_names() {
        if path.starts_with("index/") {
            disk.remove_file(&path);
        }
    }
}

#[test]
fn whatever_a_crash_leaves_says_the_same_to_both() {
    let stories = stories();
    for number in 0..30 {
        let mut chance = Chance(seed() ^ number);
        let story = chance.pick(&stories);
        let stop_at = chance.next() % (World::tell(&story.operations, seed(), None).mutations() + 1);
        let world = World::tell(&story.operations, seed(), Some(stop_at));
        let disk = match chance.below(4) {
            0 => world.disk.kill(),
            1 => world.disk.crash(&CrashChoice::LoseAll),
            _ => world.disk.crash(&CrashChoice::Seeded(chance.next())),
        };
        if chance.below(3) == 0 {
            disk.remove_file("live");
        }
        forget_streams(&disk);
        let Some(told) = check_disk(&disk) else {
            return;
        };
        assert!(told.refusal().is_none(), "seed {}, {} stopped at {stop_at}: {}", seed(), story.name, told.end());
    }
}

#[test]
fn damage_is_refused_at_the_same_place_by_both() {
    let scratch = tempfile::tempdir().expect("a directory");
    let closeness = Closeness { ways_every: 1, salvage_every: u64::MAX };
    let plan = Plan::new(Subject::all(seed(), scratch.path()), seed(), closeness, scratch.path());
    let mut refused = 0;
    for number in 0..48 {
        let (_, subject, change) = plan.change(number);
        let disk = subject.copy();
        for (path, bytes) in change.make(&subject.files) {
            match bytes {
                Some(bytes) => disk.write_file(&path, &bytes),
                None => {
                    disk.remove_file(&path);
                }
            }
        }
        forget_streams(&disk);
        let Some(told) = check_disk(&disk) else {
            return;
        };
        refused += u32::from(told.refusal().is_some());
    }
    assert!(10 < refused, "{refused}");
}

#[test]
fn a_flipped_byte_is_damage_where_it_was_acknowledged_and_a_torn_tail_where_it_was_not() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().segment_bytes_max(SMALL_SEGMENT).open_simulated(&disk).expect("a store");
    (1..4).for_each(|number| drop(add(&store, &name("game-1"), [event(number)])));
    let batch = store.batch().durability(Durability::Written).append(&name("game-1"), Any, events(4..6));
    batch.commit().wait().expect("a receipt");
    let killed = disk.kill();
    forget(&killed);
    let Some(told) = check_disk(&killed) else {
        return;
    };
    let events = told.lines("event");
    assert_eq!((events.len(), &told.end()["how"]), (5, &json!("open")));
    let place = |event: usize| events[event]["byte"].as_u64().expect("a byte");

    let damaged = killed.kill();
    damaged.flip_bit("log/0000000001.log", place(1) + 70, 3);
    let refused = check_disk(&damaged).expect("python3 was there");
    let batch = place(1) - 48;
    assert_eq!(refused.lines("event").len(), 1);
    assert_eq!(
        [&refused.end()["refused"], &refused.end()["segment"], &refused.end()["byte"]],
        [&json!("damage: unreadable"), &json!(1), &json!(batch)]
    );

    let torn = killed.kill();
    torn.flip_bit("log/0000000001.log", place(4) + 70, 3);
    let ended = check_disk(&torn).expect("python3 was there");
    assert_eq!(*ended.end(), json!({"end": [1, place(3) - 48], "how": "torn", "last position": 3}));
}

#[test]
fn what_was_salvaged_says_the_same_to_both() {
    let (disk, copy) = (SimulatedDisk::new(seed()), SimulatedDisk::new(seed() + 1));
    let store = all_kinds(&disk, &EventStore::options().segment_bytes_max(SMALL_SEGMENT));
    store.close().expect("closing");
    disk.garble("log/0000000002.log", 4_000..5_000, seed());
    let Some(told) = check_disk(&disk) else {
        return;
    };
    assert_eq!((&told.end()["refused"], &told.end()["segment"]), (&json!("damage: unreadable"), &json!(2)));
    salvage_simulated(&disk, &copy).expect("what is good is copied");
    assert_eq!(check_disk(&copy).expect("python3 was there").lines("lost").len(), 1);
    let store = EventStore::options().open_simulated(&copy).expect("it opens");
    store.accept_losses().expect("they are accepted");
    add(&store, &name("game-1"), [event(13)]);
    store.close().expect("closing");
    assert_eq!(check_disk(&copy).expect("python3 was there").lines("accepted").len(), 1);
}
