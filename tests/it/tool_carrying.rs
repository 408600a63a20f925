//! Export and exact import by the tool: everything that the log says comes along.

use super::support::Count;
use crate::tool::{Place, members};
use scorebook::{Consumer, EventStore, ExpectedVersion, NewEvent, Query, Retention, Scope, Start, StreamName, Verdict};

/// A store of two openings in which something of every kind is said; how many events it has.
fn fill(place: &Place) -> u64 {
    let stream = |text: &str| StreamName::new(text).expect("a name");
    let any = ExpectedVersion::Any;
    let store = EventStore::open(place.store()).expect("the store");
    let guessed = |number: u64| NewEvent::json("guessed", &number).expect("an event");
    let (game, other) = (stream("game-1"), stream("game-2"));
    let batch = store.batch().append(&game, any, (0..5).map(guessed)).once("interaction 1");
    batch.commit().wait().expect("it is in");
    store.append(&other, any, (5..8).map(guessed)).wait().expect("it is in");
    store.append(&stream("gone-1"), any, (8..9).map(guessed)).wait().expect("it is in");
    let consumer = Consumer::new("careful", Query::all(), Start::Beginning);
    let mut member = store.join(&consumer).expect("it joins");
    member.next().wait().expect("a delivery").ack().expect("it is in hand");
    member.next().wait().expect("a delivery").nack(Verdict::Park, "cannot").expect("it is in hand");
    drop(member);
    store.close().expect("closed");

    let store = EventStore::open(place.store()).expect("the store");
    let all = Scope::Everything;
    let batch = store.batch().set_metadata(&game, None, &("guild", 7)).hold(&all, "case 12");
    batch.retain(&all, Retention::forever().newest(9)).commit().wait().expect("it is said");
    store.truncate_before(&game, scorebook::Version::new(3)).wait().expect("it begins later");
    store.delete(&other, any, "a mistake").wait().expect("it is deleted");
    store.tombstone(&stream("gone-1"), any, "over").wait().expect("it is finished");
    store.append(&game, any, [guessed(9)]).wait().expect("it is in");
    let count = store.projection::<Count>().expect("a projection");
    count.reached(store.head().expect("a head")).wait().expect("it is there");
    count.save().expect("it is saved");
    let events = store.stats().expect("numbers").events();
    store.close().expect("closed");
    events
}

#[test]
fn everything_that_is_said_comes_along() {
    let place = Place::new();
    let events = fill(&place);
    let exported = place.run(&["export", "--snapshots"]).is(0).out;
    let kinds = ["key", "checkpoint", "parked", "metadata", "hold", "retention", "truncate", "delete", "tombstone"];
    for kind in kinds {
        assert!(exported.contains(&format!("{{\"fact\":\"{kind}\",")), "{kind} is missing: {exported}");
    }
    assert!(
        exported.lines().last().is_some_and(|line| line.starts_with("{\"snapshot\":\"projection\",\"name\":\"count\""))
    );
    let told = place.run(&["--dir", "copy", "import", "--exact"]).with(&exported).is(0);
    told.says(&format!("taken in: {events} events")).says("other facts").says("1 snapshot");
    assert_eq!(place.run(&["--dir", "copy", "export", "--snapshots"]).is(0).out, exported);
    place.run(&["--dir", "copy", "verify"]).is(0);
    place.run(&["--dir", "copy", "read", "game-2"]).is(3).says("it was deleted, because: a mistake");
    place.run(&["--dir", "copy", "undelete", "game-2", "--yes"]).is(0);
    assert_eq!(place.run(&["--dir", "copy", "read", "game-2"]).is(0).lines().len(), 3);
    for command in ["parked", "hold", "retention"] {
        let arguments: &[&str] = if command == "parked" { &["parked", "careful"] } else { &[command] };
        let of = |dir: &str| place.run(&[&["--dir", dir], arguments].concat()).is(0);
        assert_eq!(of("copy").out, of("store").out, "{command}");
    }
    let epochs = place.run(&["--dir", "copy", "read"]).is(0).lines();
    assert_eq!(members(&epochs[0])["epoch"], "1");
    assert_eq!(members(epochs.last().expect("an event"))["epoch"], "2");
    let once = r#"{"type":"guessed","data":0}"#;
    place.run(&["--dir", "copy", "append", "game-1", "--once", "interaction 1"]).with(once).is(6).says("came before");
}

#[test]
fn a_plain_import_takes_events_and_says_what_else_there_is() {
    let place = Place::new();
    let events = fill(&place);
    let exported = place.run(&["export"]).is(0).out;
    let told = place.run(&["--dir", "copy", "import"]).with(&exported).is(1);
    told.says("`key` is no event").says("import --events-only").says("line 6: ");
    let others = exported.lines().filter(|line| line.starts_with("{\"fact\"")).count();
    let told = place.run(&["--dir", "copy", "import", "--events-only"]).with(&exported).is(0);
    told.says(&format!("{events} events")).says(&format!("passed over: {others} lines"));
    let only = place.run(&["export", "--events-only"]).is(0).out;
    assert_eq!(only.lines().count() as u64, events);
    place.run(&["--dir", "other", "import"]).with(&only).is(0);
    place.run(&["export", "--events-only", "--snapshots"]).is(2);
}

#[test]
fn what_was_exported_before_there_were_facts_is_taken_in_as_it_was() {
    let place = Place::new();
    let line = |position: u64, version: u64| {
        format!(
            r#"{{"position":{position},"stream":"s","version":{version},"id":"67e55044-10b1-426f-9247-bb680e5fe0c{version}","type":"t","schema":1,"time":"2016-01-19T00:21:19.000000001Z","data":{position}}}"#
        )
    };
    let old = [line(1, 1), line(2, 2), line(5, 4)].join("\n");
    place.run(&["import", "--exact"]).with(&old).is(0).says("3 events in 1 batch");
    let exported = place.run(&["export"]).is(0).out;
    assert_eq!(exported.replace(",\"epoch\":1", "").trim_end(), old);
}

#[test]
fn a_bad_line_is_named_and_what_is_in_is_said() {
    let place = Place::new();
    fill(&place);
    let exported = place.run(&["export"]).is(0).lines();
    let twice = [&exported[..], &exported[5..6]].concat().join("\n");
    let told = place.run(&["--dir", "twice", "import", "--exact"]).with(&twice).is(1);
    told.says(&format!("line {}: ", exported.len() + 1)).says("the key `interaction 1` came before");
    told.says("taken in before: ").says("begins again with an empty directory");
    place.run(&["--dir", "twice", "import", "--exact"]).with(&twice).is(1).says("fills an empty store");
    let falling: Vec<String> = exported.iter().rev().cloned().collect();
    place.run(&["--dir", "falling", "import", "--exact"]).with(&falling.join("\n")).is(1).says("line ");
    let forged = exported[5].replace("\"first\":1", "\"colour\":1");
    let told = place.run(&["--dir", "forged", "import", "--exact"]).with(&forged).is(1);
    told.says("line 1: ").says("nothing was taken in");
}

#[test]
fn quotas_are_set_listed_and_taken_away() {
    let place = Place::new();
    let line = |guild: u32| format!(r#"{{"stream":"game-1","type":"said","data":"hello","tags":["guild:{guild}"]}}"#);
    place.run(&["import"]).with(&[line(7), line(8), line(7)].join("\n")).is(0);
    assert_eq!(place.run(&["quota"]).is(0).out, "");
    let planned = place.run(&["quota", "guild", "--bytes", "1KiB", "--dry-run"]).is(0).lines();
    assert_eq!((&*members(&planned[0])["bytes"], &*members(&planned[0])["done"]), ("1024", "false"));
    place.run(&["quota", "guild", "--bytes", "200", "--refuse"]).is(2).says("say --yes to go ahead");
    assert_eq!(place.run(&["quota"]).is(0).out, "");
    place.run(&["quota", "guild", "--bytes", "220", "--refuse", "--yes"]).is(0);
    let lines = place.run(&["quota"]).is(0).lines();
    let told = |line: &str| (members(line)["value"].clone(), members(line)["used"].parse::<u64>().expect("a number"));
    let ((seven, used), (eight, half)) = (told(&lines[0]), told(&lines[1]));
    assert_eq!((&*seven, &*eight, used), ("\"7\"", "\"8\"", 2 * half));
    let refused = place.run(&["append", "game-1"]).with(&line(7)).is(6);
    refused.says("conflict: ").says("bytes more with tag guild:7: the quota is 220");
    place.run(&["quota", "guild:8", "--bytes", "5", "--trim", "--yes"]).is(0);
    place.run(&["health", "--room", "0"]).is(1).says("events with tag guild:8 take");
    place.run(&["quota", "guild", "--clear", "--yes"]).is(0);
    assert_eq!(place.run(&["quota"]).is(0).lines().len(), 1);
    place.run(&["quota", "guild:8", "--bytes", "5", "--trim", "--refuse"]).is(2);
    place.run(&["quota", "guild", "--bytes", "many"]).is(2).says("is no number of bytes");
    place.run(&["quota", ":7"]).is(2);
}
