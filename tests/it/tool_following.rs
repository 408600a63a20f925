//! The tool's commands about following, as their users meet them: tail by query, consumers, parked events, projections.

use crate::tool::{PATIENCE, Place, members, wait};
use scorebook::cli::{Linked, run_with};
use scorebook::{
    Consumer, EventContext, EventStore, ExpectedVersion, NewEvent, Position, Projection, Query, RecordedEvent,
    Registry, Start, StreamName, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;

fn add(store: &EventStore, stream: &str, event: NewEvent) -> Position {
    let stream = StreamName::new(stream).expect("a name");
    store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("appended").last_position()
}

/// A store with games, in which a consumer of guesses is done with the first and has set the second and third aside.
fn with_a_consumer(place: &Place) {
    let store = EventStore::open(place.store()).expect("the store");
    add(&store, "game-1", NewEvent::json("game_started", &json!({ "players": ["ann"] })).expect("an event"));
    for player in ["ann", "bob", "cid"] {
        add(&store, "game-1", NewEvent::json("guessed", player).expect("an event"));
    }
    let guesses = Consumer::new("guesses", Query::all().of_type("guessed"), Start::Beginning);
    let mut member = store.join(&guesses).expect("it joins");
    member.next().wait().expect("a delivery").ack().expect("it is in hand");
    let delivery = member.next().wait().expect("a delivery");
    delivery.nack(Verdict::Park, "no \u{1b}such player").expect("it is in hand");
    let idle = Consumer::new("idle", Query::all().of_type("nothing"), Start::Beginning);
    drop(store.join(&idle).expect("it joins"));
    assert!(member.try_next().expect("nothing fails").is_none());
    drop(member);
    store.close().expect("closed");
}

#[test]
fn tail_shows_what_a_query_asks_for_from_some_place_on() {
    let place = Place::new();
    let line = |stream: &str, event_type: &str, tag: &str| {
        format!(r#"{{"stream":"{stream}","type":"{event_type}","tags":["player:{tag}"],"data":1}}"#)
    };
    let lines = [line("game-1", "started", "1"), line("game-1", "won", "2"), line("team-1", "joined", "1")];
    place.run(&["import"]).with(&lines.join("\n")).is(0);
    let check = |arguments: &[&str], expected: &[&str]| {
        let lines = place.run(&[&["tail"], arguments].concat()).is(0).lines();
        let positions: Vec<String> = lines.iter().map(|line| members(line)["position"].clone()).collect();
        assert_eq!(positions, expected, "{arguments:?}");
    };
    check(&["--query", "tag=player:1"], &["1", "3"]);
    check(&["--query", "tag=player:1", "-n", "1"], &["3"]);
    check(&["--query", "type=won or category=team"], &["2", "3"]);
    check(&["--from", "beginning"], &["1", "2", "3"]);
    check(&["--from", "2"], &["2", "3"]);
    check(&["--from", "end"], &[]);
    check(&["--from", "1h", "--query", "category=game"], &["1", "2"]);
    check(&["--from", "2100-01-01"], &[]);
    check(&["game-1", "--from", "2"], &["2"]);
    for wrong in
        [&["--query", "colour=1"][..], &["game-1", "--query", "type=a"], &["--from", "x"], &["--from", "1", "-n", "2"]]
    {
        place.run(&[&["tail"], wrong].concat()).is(2);
    }
}

#[test]
fn tail_follows_a_query_over_history_and_what_comes_without_a_word_between() {
    let place = Place::new();
    let store = EventStore::open(place.store()).expect("the store");
    let other = || NewEvent::json("other", &0).expect("an event");
    let wanted = |number: u64| NewEvent::json("wanted", &number).expect("an event");
    for number in 1..=300 {
        add(&store, "a", wanted(number));
        add(&store, "b", other());
    }
    place.wait_until_seen(&store);
    let mut tail = place
        .command(&["tail", "-f", "--from", "beginning", "--query", "type=wanted"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawned");
    let (sender, lines) = mpsc::channel();
    let stdout = tail.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().take(303) {
            sender.send(line.expect("a line")).expect("somebody listens");
        }
    });
    let check_next = |number: u64| {
        let line = lines.recv_timeout(PATIENCE).expect("a line in time");
        assert_eq!(members(&line)["data"], number.to_string());
    };
    (1..=300).for_each(check_next);
    for number in 301..=303 {
        add(&store, "b", other());
        add(&store, "a", wanted(number));
        check_next(number);
    }
    reader.join().expect("its lines");
    assert_eq!(wait(&mut tail), Some(0), "nothing more comes, and still it notices that nobody reads");
    let mut told = String::new();
    tail.stderr.take().expect("piped").read_to_string(&mut told).expect("a text");
    assert_eq!(told, "", "that it is level is told on a terminal alone");
}

/// Whoever interrupts it has whole lines, and nothing is said.
#[test]
fn tail_that_is_ended_has_printed_whole_lines() {
    let place = Place::new();
    let store = EventStore::open(place.store()).expect("the store");
    for number in 1..=500 {
        add(&store, "a", NewEvent::json("wanted", &number).expect("an event"));
    }
    place.wait_until_seen(&store);
    let mut tail = place
        .command(&["tail", "-f", "--from", "beginning"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawned");
    let mut reader = BufReader::new(tail.stdout.take().expect("piped"));
    let mut text = String::new();
    for _ in 0..500 {
        reader.read_line(&mut text).expect("a line");
    }
    // Not the signal of a keyboard: where a shell runs this behind others, that is ignored.
    let interrupt = Command::new("kill").args(["-TERM", &tail.id().to_string()]).status().expect("a signal");
    assert!(interrupt.success());
    reader.read_to_string(&mut text).expect("a text");
    tail.wait().expect("it ends");
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && text.ends_with('\n'));
    let mut told = String::new();
    tail.stderr.take().expect("piped").read_to_string(&mut told).expect("a text");
    assert_eq!(told, "");
}

#[test]
fn consumers_are_listed_and_each_is_shown_whole() {
    let place = Place::new();
    with_a_consumer(&place);
    let lines = place.run(&["consumers"]).is(0).lines();
    let first: Value = serde_json::from_str(&lines[0]).expect("an object");
    assert_eq!((&first["consumer"], &first["parked"], &first["paused"]), (&json!("guesses"), &json!(2), &Value::Null));
    assert_eq!((&first["position"], &first["lag_events"], &first["lag_ms"]), (&json!(4), &json!(0), &Value::Null));
    assert_eq!(first["last_error"], json!("no \u{1b}such player"));
    assert_eq!(members(&lines[1])["consumer"], "\"idle\"");
    let table = place.run(&["consumers", "--format", "table"]).is(0).out;
    assert!(table.starts_with("consumer  position  lag  behind  parked  paused  last_error\nguesses   4"), "{table}");
    assert!(table.contains(r"no \u{1b}such player"), "{table}");

    let whole = place.run(&["consumers", "guesses"]).is(0).object();
    assert_eq!(whole["definition"]["query"]["items"], json!([{ "types": ["guessed"] }]));
    assert_eq!((&whole["members"], &whole["last_error_position"]), (&json!(0), &json!(3)));
    place.run(&["consumers", "nobody"]).is(3).says("there is no consumer nobody");

    // Beside a process that has it open, which alone knows who has joined.
    let store = EventStore::open(place.store()).expect("the store");
    let last = add(&store, "game-1", NewEvent::json("guessed", "dan").expect("an event"));
    place.wait_until_seen(&store);
    let whole = place.run(&["consumers", "guesses"]).is(0).object();
    assert_eq!((&whole["members"], &whole["lag_events"]), (&Value::Null, &json!(last.get() - 4)));
    assert!(whole["lag_ms"].is_u64());
    let table = place.run(&["consumers", "guesses", "--format", "table"]).is(0).out;
    let known = format!("known to process {} alone, which has the store open", std::process::id());
    assert!(table.contains(&known), "{table}");
    store.close().expect("closed");
}

#[test]
fn a_consumer_is_steered_where_that_is_agreed_to_and_nobody_has_the_store_open() {
    let place = Place::new();
    place.run(&["consumer", "guesses", "pause", "--yes"]).is(3);
    assert!(!place.store().exists());
    with_a_consumer(&place);
    let shown = |key: &str| place.run(&["consumers", "guesses"]).is(0).object()[key].clone();
    let acts: [&[&str]; 4] = [&["seek", "2"], &["pause", "a reason"], &["resume"], &["delete"]];
    let before = place.files();
    for act in acts {
        let command = [&["consumer", "guesses"], act].concat();
        let plan = place.run(&[&command[..], &["--dry-run"]].concat()).is(0).object();
        assert_eq!(
            (&plan["consumer"], &plan["act"], &plan["done"]),
            (&json!("guesses"), &json!(act[0]), &json!(false))
        );
        place.run(&command).is(2).says("nobody is there to ask: say --yes");
        place.run(&[&["consumer", "nobody"], act, &["--yes"]].concat()).is(3).says("no consumer nobody");
    }
    let plan = place.run(&["consumer", "guesses", "seek", "beginning", "--dry-run"]).is(0).object();
    assert_eq!(
        (&plan["position"], &plan["to"], &plan["again"], &plan["parked"]),
        (&json!(4), &json!(0), &json!(4), &json!(2))
    );
    place.run(&["consumer", "guesses", "seek", "9", "--yes"]).is(1).says("the store ends at 4");
    assert_eq!(place.files(), before, "nothing was changed");

    let done = |act: &[&str]| {
        let outcome = place.run(&[&["consumer", "guesses"], act, &["--yes"]].concat()).is(0).object();
        assert_eq!(outcome["done"], json!(true), "{act:?}");
    };
    for (to, position) in [("2", 2), ("end", 4), ("1h", 0), ("end", 4), ("beginning", 0)] {
        done(&["seek", to]);
        assert_eq!(shown("position"), json!(position), "{to}");
    }
    done(&["pause", "a reason"]);
    assert_eq!(shown("paused"), json!("a reason"));
    done(&["resume"]);
    assert_eq!(shown("paused"), Value::Null);

    let store = EventStore::open(place.store()).expect("the store");
    place.wait_until_seen(&store);
    for act in acts {
        let run = place.run(&[&["consumer", "guesses"], act, &["--yes"]].concat()).is(5);
        run.says("only the process that has the store open can change it").says("store.consumer(\"guesses\")");
        place.run(&[&["consumer", "guesses"], act, &["--dry-run"]].concat()).is(0);
    }
    place.run(&["parked", "guesses", "--drop", "--yes"]).is(5).says("drop_parked");
    store.close().expect("closed");

    done(&["delete"]);
    place.run(&["consumers", "guesses"]).is(3);
}

#[test]
fn parked_events_are_shown_as_they_are_read_now_handed_out_again_and_dropped() {
    let place = Place::new();
    with_a_consumer(&place);
    let listed = |lines: Vec<String>| -> Vec<Value> {
        lines.iter().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let known = listed(place.linked(&["parked", "guesses"]).is(0).lines());
    assert_eq!(known.len(), 2);
    assert_eq!((&known[0]["position"], &known[0]["attempts"]), (&json!(3), &json!(1)));
    assert_eq!((&known[0]["reason"], &known[0]["event"]["data"]), (&json!("no \u{1b}such player"), &json!("bob")));
    let read_as = json!([{ "type": "guessed", "schema": 2, "data": { "player": "bob", "points": 1 } }]);
    assert_eq!(known[0]["read_as"], read_as);
    assert_eq!((&known[1]["position"], &known[1]["attempts"]), (&json!(4), &json!(0)));
    let unknown = listed(place.run(&["parked", "guesses"]).is(0).lines());
    assert_eq!((&unknown[0]["event"]["data"], &unknown[0]["read_as"]), (&json!("bob"), &Value::Null));
    let table = place.linked(&["parked", "guesses", "--format", "table"]).is(0).out;
    assert!(table.contains(r#"(schema 2): {"player":"bob","points":1}"#), "{table}");
    place.run(&["parked", "nobody"]).is(3);

    let before = place.files();
    place.run(&["parked", "guesses", "--drop"]).is(2).says("--yes");
    place.run(&["parked", "guesses", "--drop", "2", "--yes"]).is(3).says("has not parked the event at position 2");
    let plan = place.run(&["parked", "guesses", "--redeliver", "--dry-run"]).is(0).object();
    assert_eq!((&plan["act"], &plan["parked"], &plan["done"]), (&json!("redeliver"), &json!(2), &json!(false)));
    place.run(&["parked", "guesses", "--drop", "--redeliver", "--yes"]).is(2);
    assert_eq!(place.files(), before, "nothing was changed");

    let dropped = place.run(&["parked", "guesses", "--drop", "4", "--yes"]).is(0).object();
    assert_eq!((&dropped["events"], &dropped["done"]), (&json!(1), &json!(true)));
    let again = place.run(&["parked", "guesses", "--redeliver", "3", "--yes"]).is(0).object();
    assert_eq!(again["events"], json!(1));
    assert_eq!(place.run(&["parked", "guesses"]).is(0).out, "");
    let store = EventStore::open(place.store()).expect("the store");
    let guesses = Consumer::new("guesses", Query::all().of_type("guessed"), Start::Beginning);
    let mut member = store.join(&guesses).expect("it joins");
    assert_eq!(member.next().wait().expect("a delivery").event().position(), Position::new(3));
}

/// The points of each player, as the linked tool has them, with a fold of another kind.
#[derive(Clone, Serialize, Deserialize)]
struct Points(BTreeMap<String, u32>);

impl Projection for Points {
    type Event = RecordedEvent;
    const NAME: &'static str = "points";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all().of_type("guessed")
    }

    fn new() -> Points {
        Points(BTreeMap::new())
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        *self.0.entry(event.json().expect("a name")).or_default() += 100;
    }
}

#[test]
fn projections_are_listed_checked_and_folded_anew() {
    let place = Place::new();
    with_a_consumer(&place);
    let stock = place.run(&["projections"]).is(0).object();
    assert_eq!((&stock["projection"], &stock["saved"]), (&json!("game-boards"), &Value::Null));
    place.run(&["projection", "points", "rebuild", "--check"]).is(3).says("there are: game-boards");
    place.linked(&["projection", "pints", "rebuild"]).is(3).says("there are: points");
    let listed = || place.linked(&["projections"]).is(0).object();
    let unsaved = json!({ "projection": "points", "version": 1, "saved": null, "lag": 3, "hash": null });
    assert_eq!(listed(), unsaved);
    assert_eq!(place.linked(&["projection", "points", "rebuild", "--check"]).is(0).object()["sound"], json!(true));

    // Somebody has saved what its events do not fold to.
    let store = EventStore::open(place.store()).expect("the store");
    let wrong = store.projection::<Points>().expect("it can be projected");
    wrong.reached(store.head().expect("a head")).wait().expect("it is folded");
    store.close().expect("closed");
    let saved = listed();
    assert_eq!((&saved["saved"], &saved["lag"]), (&json!(4), &json!(0)));
    let before = place.files();
    let check = place.linked(&["projection", "points", "rebuild", "--check"]).is(1);
    check.says("what is saved of points up to position 4 is not what its events fold to").says("rebuild");
    assert_eq!((&check.object()["sound"], &check.object()["events"]), (&json!(false), &json!(3)));
    assert_ne!(check.object()["hash"], check.object()["saved_hash"]);
    let plan = place.linked(&["projection", "points", "rebuild", "--dry-run"]).is(0).object();
    assert_eq!((&plan["replaces"], &plan["to"], &plan["done"]), (&json!(4), &json!(4), &json!(false)));
    place.linked(&["projection", "points", "rebuild"]).is(2).says("--yes");
    assert_eq!(place.files(), before, "nothing was changed");

    let store = EventStore::open(place.store()).expect("the store");
    place.wait_until_seen(&store);
    place.linked(&["projection", "points", "rebuild", "--yes"]).is(5).says("only the process that has the store open");
    store.close().expect("closed");

    let rebuilt = place.linked(&["projection", "points", "rebuild", "--yes"]).is(0).object();
    assert_eq!((&rebuilt["to"], &rebuilt["done"]), (&json!(4), &json!(true)));
    assert_eq!(rebuilt["replaces_hash"], saved["hash"]);
    assert_ne!(rebuilt["hash"], saved["hash"]);
    let sound = place.linked(&["projection", "points", "rebuild", "--check"]).is(0).object();
    assert_eq!(
        (&sound["sound"], &sound["hash"], &sound["saved_hash"]),
        (&json!(true), &rebuilt["hash"], &rebuilt["hash"])
    );
    assert_eq!(listed()["hash"], rebuilt["hash"]);
}

#[test]
fn snapshots_are_listed_verified_and_removed() {
    let place = Place::new();
    with_a_consumer(&place);
    assert_eq!(place.run(&["snapshots"]).is(0).lines().len(), 0);
    // Somebody has saved what its events do not fold to, for this program.
    let store = EventStore::open(place.store()).expect("the store");
    let wrong = store.projection::<Points>().expect("it can be projected");
    wrong.reached(store.head().expect("a head")).wait().expect("it is folded");
    store.close().expect("closed");
    let before = place.files();
    let listed = place.run(&["snapshots", "list"]).is(0).object();
    assert_eq!(
        (&listed["projection"], &listed["stream"], &listed["schema"]),
        (&json!("points"), &Value::Null, &json!(1))
    );
    assert_eq!((&listed["position"], &listed["codec"], &listed["state"]), (&json!(4), &json!("json"), &json!("sound")));
    // The stock command knows nothing of it, and the program that does replays its events.
    assert_eq!(place.run(&["snapshots", "verify"]).is(0).object(), listed);
    let verified = place.linked(&["snapshots", "verify"]).is(1);
    verified.says("1 snapshot is in doubt");
    assert_eq!(verified.object()["state"], json!("differs"));
    let planned = place.run(&["snapshots", "delete", "--projection", "points", "--dry-run"]).is(0).object();
    assert_eq!(
        (&planned["snapshots"], &planned["bytes"], &planned["done"]),
        (&json!(1), &listed["bytes"], &json!(false))
    );
    place.run(&["snapshots", "delete"]).is(2).says("--all");
    place.run(&["snapshots", "delete", "--all"]).is(2).says("say --yes to go ahead");
    for others in [&["--projection", "other"][..], &["--stream", "game-1"], &["--faulty"]] {
        let none = place.run(&[&["snapshots", "delete", "--yes"], others].concat()).is(0).object();
        assert_eq!(none["snapshots"], json!(0), "{others:?}");
    }
    assert!(place.files() == before, "nothing was changed");

    let path = place.store().join(listed["path"].as_str().expect("a path"));
    let mut bytes = std::fs::read(&path).expect("it can be read");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&path, bytes).expect("it can be written");
    let listed = place.run(&["snapshots"]).is(0).object();
    assert_eq!(listed["state"], json!("not used: its bytes do not verify"));
    place.run(&["snapshots", "verify"]).is(1).says("1 snapshot is in doubt");
    let removed = place.run(&["snapshots", "delete", "--faulty", "--yes"]).is(0).object();
    assert_eq!((&removed["snapshots"], &removed["done"]), (&json!(1), &json!(true)));
    assert_eq!(place.run(&["snapshots"]).is(0).lines().len(), 0);
}

#[test]
fn a_program_that_is_linked_brings_projections_of_its_own() {
    let place = Place::new();
    with_a_consumer(&place);
    let run = |words: &[&str]| {
        let place = [OsString::from("mine"), "--dir".into(), place.store().into()];
        let linked = Linked::new(Registry::default()).projection::<Points>();
        run_with(linked, place.into_iter().chain(words.iter().map(OsString::from)))
    };
    assert_eq!(run(&["projection", "points", "rebuild", "--yes"]), ExitCode::SUCCESS);
    assert_eq!(run(&["projection", "points", "rebuild", "--check"]), ExitCode::SUCCESS);
    assert_eq!(run(&["projections"]), ExitCode::SUCCESS);
    assert_eq!(run(&["projection", "nobody", "rebuild", "--check"]), ExitCode::from(3));
    let store = EventStore::open_read_only(place.store()).expect("the store");
    let saved = store.saved_projection::<Points>().expect("it can be read").expect("it is saved");
    assert_eq!((saved.position().get(), saved.0["bob"]), (4, 100));
}
