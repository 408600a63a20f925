//! The tool's commands about compaction, as their users meet them: what is planned, what is done, and what a segment holds.

use crate::support::{SMALL_SEGMENT, add, kilobyte, name, read};
use crate::tool::{Place, members};
use scorebook::ExpectedVersion::Any;
use scorebook::{CompactionPlan, Consumer, EventStore, Query, Retention, Scope, Start, Version};
use serde_json::{Value, json};

/// The store, with small segments.
fn open(place: &Place) -> EventStore {
    EventStore::options().segment_bytes_max(SMALL_SEGMENT).open(place.store()).expect("the store")
}

/// Segments of three streams: one that is finished, one that begins later, and one of which everything stays.
fn half_dead(place: &Place) {
    let store = open(place);
    let streams = ["game-1", "game-2", "team-7"].map(name);
    for number in 0..60 {
        for stream in &streams {
            add(&store, stream, [kilobyte(number)]);
        }
    }
    store.tombstone(&streams[0], Any, "over").wait().expect("it is finished");
    store.truncate_before(&streams[1], Version::new(41)).wait().expect("it begins later");
    store.close().expect("closed");
}

fn sum(list: &Value, name: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|item| item[name].as_u64().expect("a number")).sum()
}

fn positions(place: &Place) -> Vec<String> {
    place.run(&["read"]).is(0).lines().iter().map(|line| members(line)["position"].clone()).collect()
}

#[test]
fn a_plan_is_shown_and_nothing_is_done() {
    let place = Place::new();
    half_dead(&place);
    let before = place.files();
    for flag in ["--dry-run", "--plan"] {
        let plan = place.run(&["compact", flag]).is(0).object();
        assert_eq!(plan["done"], false);
        let segments = plan["segments"].as_array().expect("segments");
        let (active, sealed) = segments.split_last().expect("some");
        assert_eq!((&active["left"], &active["row"]), (&json!("active"), &Value::Null));
        assert!(sealed.iter().all(|segment| segment["row"] == sealed.len() && segment["left"].is_null()), "{plan}");
        assert_eq!(plan["segments_before"], sealed.len());
        assert_eq!(plan["segments_after"], 1);
        assert_eq!(sum(&json!(sealed), "events_going"), plan["events_going"].as_u64().expect("a number"));
        let of_active = active["events_going"].as_u64().expect("a number");
        assert_eq!(plan["events_going"].as_u64().map(|going| going + of_active), Some(60 + 40));
        assert_eq!(sum(&plan["segments"], "events"), 180);
        assert_eq!(plan["staying"], json!([{ "why": "in the active segment", "events": of_active }]));
        let streams = plan["streams"].as_array().expect("streams");
        let told = |index: usize| (&streams[index]["stream"], &streams[index]["why"]);
        assert_eq!(told(0), (&json!("game-1"), &json!("finished")));
        assert_eq!(told(1), (&json!("game-2"), &json!("truncated")));
        assert_eq!(streams.len(), 2);
        assert_eq!(place.files(), before);
    }
    let few = place.run(&["compact", "--plan", "--streams", "1"]).is(0).object();
    assert_eq!(few["streams"].as_array().map(Vec::len), Some(1));
    let table = place.run(&["compact", "--plan", "--format", "table"]).is(0).out;
    for text in
        ["segment  bytes", "left: active", "that become one", "stream  events_going", "finished", "in the active"]
    {
        assert!(table.contains(text), "{text}\n{table}");
    }
    place.run(&["compact"]).is(2).says("say --yes to go ahead");
    assert_eq!(place.files(), before);
    let nowhere = Place::new();
    for arguments in [&["compact", "--plan"][..], &["compact", "--yes"], &["segments"]] {
        nowhere.run(arguments).is(3);
        assert!(!nowhere.store().exists());
    }
}

#[test]
fn what_may_go_is_gone_and_what_is_planned_is_done() {
    let place = Place::new();
    half_dead(&place);
    let before = positions(&place);
    let plan = place.run(&["compact", "--plan"]).is(0).object();
    let done = place.run(&["compact", "--yes"]).is(0).object();
    assert_eq!(done["done"], true);
    for fact in ["segments_before", "segments_after"] {
        assert_eq!(done[fact], plan[fact], "{fact}");
    }
    assert_eq!(done["events_removed"], plan["events_going"]);
    let bytes = |name: &str| done[name].as_u64().expect("a number");
    assert!(
        bytes("bytes_after") + plan["bytes_going"].as_u64().expect("a number") / 2 < bytes("bytes_before"),
        "{done}"
    );
    let after = positions(&place);
    assert_eq!(after.len() as u64 + plan["events_going"].as_u64().expect("a number"), before.len() as u64);
    assert!(after.iter().all(|position| before.contains(position)), "those that stay keep their positions");
    assert_eq!(place.run(&["read", "team-7"]).is(0).lines().len(), 60);
    assert_eq!(place.run(&["read", "game-2"]).is(0).lines().len(), 20);
    place.run(&["verify"]).is(0);
    let again = place.run(&["compact", "--yes"]).is(0).object();
    assert_eq!((&again["events_removed"], &again["segments_before"]), (&json!(0), &json!(0)));
    assert_eq!(positions(&place), after);
}

#[test]
fn beside_a_writer_it_is_planned_and_not_done() {
    let place = Place::new();
    half_dead(&place);
    let store = open(&place);
    add(&store, &name("team-7"), [kilobyte(60)]);
    store.flush().expect("flushed");
    place.wait_until_seen(&store);
    let locked = place.run(&["compact", "--yes"]).is(5);
    locked.says("only the process that has the store open can change it").says("`store.compaction()`");
    for _ in 0..2 {
        let plan = place.run(&["compact", "--plan"]).is(0).object();
        let (here, segments) = (store.compaction().plan().expect("a plan"), place.run(&["segments"]).is(0).lines());
        let going = |plan: &CompactionPlan| plan.segments().iter().map(|segment| segment.events_going()).sum::<u64>();
        assert_eq!(sum(&plan["segments"], "events_going"), going(&here));
        assert_eq!(segments.len(), here.segments().len());
        assert_eq!(read(store.read_all()).len() as u64, sum(&plan["segments"], "events"));
        here.apply().expect("it is done");
        place.wait_until_seen(&store);
    }
    assert_eq!(read(store.read(&name("team-7"))).len(), 61);
}

#[test]
fn what_is_kept_from_going_is_told_and_goes_when_that_is_asked_for() {
    let place = Place::new();
    let store = open(&place);
    let (game, held, filler) = (name("game-1"), name("game-2"), name("team-7"));
    drop(store.join(&Consumer::new("board", Query::all(), Start::Beginning)).expect("it joins"));
    for number in 0..40 {
        add(&store, &game, [kilobyte(number)]);
        add(&store, &held, [kilobyte(number)]);
    }
    store
        .batch()
        .retain(&Scope::category("game").expect("a scope"), Retention::forever().newest(5))
        .commit()
        .wait()
        .expect("a rule");
    store.batch().hold(&Scope::Stream(held.clone()), "case 12").commit().wait().expect("a hold");
    for number in 0..60 {
        add(&store, &filler, [kilobyte(number)]);
    }
    store.close().expect("closed");

    let planned = |options: &[&str]| place.run(&[&["compact", "--plan"], options].concat()).is(0).object();
    let cautious = planned(&[]);
    assert_eq!(cautious["events_going"], 0);
    let staying = json!([
        { "why": "consumer board is behind", "events": 35 },
        { "why": "held: case 12", "events": 35 },
    ]);
    assert_eq!(cautious["staying"], staying);
    let bold = planned(&["--beyond-consumers"]);
    assert_eq!((&bold["events_going"], &bold["streams_beginning_later"]), (&json!(35), &json!(1)));
    assert_eq!(bold["streams"][0]["begins_with"], 36);
    assert_eq!(bold["streams"][1]["staying"], json!([{ "why": "held: case 12", "events": 35 }]));
    place.run(&["compact", "--beyond-consumers", "--yes"]).is(0);
    assert_eq!(place.run(&["read", "game-1"]).is(0).lines().len(), 5);
    assert_eq!(place.run(&["read", "game-2"]).is(0).lines().len(), 40);
    place.run(&["read", "game-1", "--from", "1"]).is(3).says("begins with version 36");
}

#[test]
fn how_much_must_go_and_whether_the_last_event_does_is_a_choice() {
    let place = Place::new();
    let store = open(&place);
    let (old, filler) = (name("game-1"), name("team-7"));
    add(&store, &old, [kilobyte(0)]);
    for number in 0..60 {
        add(&store, &filler, [kilobyte(number)]);
    }
    let rule = Retention::forever().newer_than(std::time::Duration::ZERO);
    store.batch().retain(&Scope::category("game").expect("a scope"), rule).commit().wait().expect("a rule");
    store.close().expect("closed");
    let going = |options: &[&str]| place.run(&[&["compact", "--plan"], options].concat()).is(0).object();
    assert_eq!(going(&["--thoroughly"])["staying"], json!([{ "why": "the last event", "events": 1 }]));
    assert_eq!(going(&["--thoroughly", "--with-last-events"])["events_going"], 1);
}

#[test]
fn segments_are_drawn_with_what_of_them_is_live() {
    let place = Place::new();
    half_dead(&place);
    let before = place.run(&["segments"]).is(0).lines();
    let first = members(&before[0]);
    assert_eq!((&*first["segment"], &*first["generation"], &*first["state"]), ("1", "0", "\"sealed\""));
    let number = |line: &str, name: &str| members(line)[name].parse::<u64>().expect("a number");
    for line in &before {
        assert_eq!(number(line, "live_bytes") + number(line, "dead_bytes"), number(line, "bytes"));
    }
    assert_eq!(before.iter().map(|line| number(line, "dead_events")).sum::<u64>(), 100);
    assert_eq!(members(before.last().expect("some"))["state"], "\"active\"");
    let table = place.run(&["segments", "--format", "table"]).is(0).lines();
    assert!(table[0].starts_with("segment  stands_for  state"), "{table:?}");
    assert!(table[1].contains("[####") && table[1].contains("....]"), "{table:?}");
    assert!(table.iter().all(|line| !line.contains('\u{1b}')));

    place.run(&["compact", "--yes"]).is(0);
    let after = place.run(&["segments"]).is(0).lines();
    let (from, to) = (number(&after[0], "stands_from"), number(&after[0], "segment"));
    assert_eq!((from, to, number(&after[0], "generation")), (1, before.len() as u64 - 1, 1));
    assert_eq!(number(&after[0], "dead_bytes"), 0);
    let table = place.run(&["segments", "--format", "table"]).is(0).lines();
    assert!(
        table[1].contains(&format!("1 to {to}")) && table[1].ends_with("[####################] 100 %"),
        "{table:?}"
    );
    let store = EventStore::open(place.store()).expect("the store");
    assert_eq!(read(store.read(&name("team-7"))).len(), 60);
}
