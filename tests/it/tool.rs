//! The tool as its users meet it: the built command, its output and its exit codes.

use scorebook::{Codec, EventId, EventStore, ExpectedVersion, NewEvent, StreamName, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes longer, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

// Bringing events in and out.

#[test]
fn what_is_imported_is_exported_field_by_field() {
    let place = Place::new();
    let lines = [
        r#"{"stream":"game-42","version":1,"type":"game_started","schema":3,"occurred":"2016-01-19T00:21:19.000000001Z","data":{"word":"otter","n":[1,2.50,-0.0,1e400]},"metadata":{"correlation":"c","causation":"x","actor":"8812","shard":{"n":1.10}},"tags":["player:8812","guild:a:b"]}"#,
        r#"{"stream":"ゲーム-1 🎲","type":"t","data":"é\u00e9\ud83c\udfb2 \"quoted\""}"#,
        r#"{"stream":"game-42","version":2,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"t","data":123456789012345678901234567890}"#,
        r#"{"stream":"bytes","type":"t","data_base64":"AP/+gA==","codec":"bytes"}"#,
        r#"{"stream":"bytes","type":"t","data_base64":"","codec":"json"}"#,
        r#"{"stream":"bytes","version":3,"type":"t","data_base64":"AA==","codec":77}"#,
        r#"{"position":99,"time":"1999-01-01T00:00:00Z","stream":"last","type":"t","data":null}"#,
    ];
    place.run(&["import"]).with(&lines.join("\n")).is(0).says("taken in: 7 events in 1 batch");
    let exported = place.run(&["export"]).is(0).lines();
    assert_eq!(exported.len(), lines.len());
    for (number, (given, exported)) in (1..).zip(lines.iter().zip(&exported)) {
        let (given, exported) = (members(given), members(exported));
        assert_eq!(exported["position"], number.to_string());
        for (key, value) in given.iter().filter(|(key, _)| !["position", "time"].contains(&key.as_str())) {
            assert_eq!(&exported[key], value, "{key} of line {number}");
        }
    }
}

#[test]
fn the_keys_of_a_line_stand_in_their_order() {
    let place = Place::new();
    let full =
        r#"{"tags":["a:b"],"metadata":{"k":1},"data":1,"occurred":"2000-01-01T00:00:00Z","type":"t","stream":"s"}"#;
    place.run(&["import"]).with(&format!("{full}\n{}", event("s", 2))).is(0);
    let lines = place.run(&["export"]).is(0).lines();
    let position_of = |key: &str| lines[0].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} is missing"));
    let keys =
        ["position", "stream", "version", "id", "type", "schema", "time", "occurred", "data", "metadata", "tags"];
    assert!(keys.map(position_of).is_sorted(), "{}", lines[0]);
    assert!(lines[0].contains(r#""occurred":"2000-01-01T00:00:00.000000000Z""#), "{}", lines[0]);
    for absent in ["occurred", "metadata", "tags", "codec"] {
        assert!(!lines[1].contains(absent), "{}", lines[1]);
    }
}

#[test]
fn an_exact_import_exports_the_same_bytes() {
    let place = Place::new();
    place.fill_with_everything();
    let first = place.run(&["export", "first.ndjson"]).is(0);
    assert_eq!(first.out, "");
    let exported = place.text("first.ndjson");
    assert!(exported.lines().count() > 2500);
    assert_eq!(place.run(&["export", "-"]).is(0).out, exported);
    place.run(&["--dir", "copy", "import", "--exact", "first.ndjson"]).is(0).says("events in 3 batches");
    assert_eq!(place.run(&["--dir", "copy", "export"]).is(0).out, exported);
    place.run(&["--dir", "copy", "verify"]).is(0);
}

#[test]
fn an_exact_import_keeps_holes() {
    let place = Place::new();
    place.import_numbered("s", 10);
    let exported = place.run(&["export"]).is(0).lines();
    let kept: Vec<&String> =
        exported.iter().enumerate().filter(|(at, _)| ![0, 4, 5, 9].contains(at)).map(|(_, l)| l).collect();
    let kept: String = kept.into_iter().map(|line| format!("{line}\n")).collect();
    place.run(&["--dir", "copy", "import", "--exact"]).with(&kept).is(0);
    assert_eq!(place.run(&["--dir", "copy", "export"]).is(0).out, kept);
    place.run(&["--dir", "copy", "event", "5"]).is(3);
}

#[test]
fn an_exact_import_fills_empty_stores_only_and_demands_everything() {
    let place = Place::new();
    place.import_numbered("s", 3);
    let exported = place.run(&["export"]).is(0).out;
    let before = place.files();
    place.run(&["import", "--exact"]).with(&exported).is(1).says("fills an empty store");
    assert_eq!(place.files(), before);
    let line = exported.lines().next().expect("a line");
    for key in ["position", "version", "id", "time", "stream"] {
        let rest = members(line).into_iter().filter(|(name, _)| name != key);
        let rest: Vec<String> = rest.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let told = place.run(&["--dir", &format!("without-{key}"), "import", "--exact"]);
        told.with(&format!("{{{}}}", rest.join(","))).is(1).says(&format!("line 1: `{key}` is missing"));
    }
    let falling: Vec<&str> = exported.lines().rev().collect();
    place.run(&["--dir", "falling", "import", "--exact"]).with(&falling.join("\n")).is(1).says("line 2: ");
}

#[test]
fn import_goes_in_batches_of_a_thousand() {
    let place = Place::new();
    let lines: Vec<String> = (1..=2500).map(|number| event(&format!("s-{}", number % 7), number)).collect();
    place.run(&["import"]).with(&lines.join("\n")).is(0).says("2500 events in 3 batches");
    let all = place.run(&["read"]).is(0).lines();
    assert!(all.iter().zip(1..).all(|(line, number)| members(line)["data"] == number.to_string()));
}

#[test]
fn blank_lines_and_carriage_returns_are_taken() {
    let place = Place::new();
    let text = format!("\r\n  \t\r\n{}\r\n\n{}\r\n\r\n", event("s", 1), event("s", 2));
    place.run(&["import"]).with(&text).is(0).says("2 events");
    assert_eq!(place.run(&["read", "s"]).is(0).lines().len(), 2);
}

#[test]
fn data_loses_the_space_between_its_tokens_and_nothing_else() {
    let place = Place::new();
    let spaced = "{\"stream\":\"s\",\"type\":\"t\",\"data\": { \"a b\" : [ 1.0 ,\t\"\\u0020 \" ] } ,\"metadata\":{\"k\" : [ 1 ]}}";
    place.run(&["import"]).with(spaced).is(0);
    let line = place.run(&["export"]).is(0).out;
    assert!(line.contains(r#""data":{"a b":[1.0,"\u0020 "]},"metadata":{"k":[1]}}"#), "{line}");
}

#[test]
fn a_bad_line_stops_with_its_number_and_the_reason() {
    for (bad, reason) in [
        (r#"{"stream":"s","type":"t","data":1,"colour":1}"#, "unknown key `colour`"),
        (r#"{"stream":"s","type":"t","data":1,"data":1}"#, "key `data` stands twice"),
        (r#"{"stream":"s","type":"t","data":1,"metadata":{"k":1,"k":1}}"#, "key `k` stands twice"),
        (r#"{"stream":"s","type":"t","data":1,"metadata":{"actor":1}}"#, "`metadata.actor`: invalid type"),
        (r#"{"stream":"s","data":1}"#, "`type` is missing"),
        (r#"{"stream":"s","type":"t"}"#, "`data` is missing"),
        (r#"{"type":"t","data":1}"#, "`stream` is missing"),
        (r#"{"stream":"a/b","type":"t","data":1}"#, "stream name `a/b` holds `/`"),
        (r#"{"stream":"s","type":"a type","data":1}"#, "event type `a type` holds more than"),
        (r#"{"stream":"s","type":"t","schema":0,"data":1}"#, "schema is 0"),
        (r#"{"stream":"s","type":"t","data":1,"tags":["a"]}"#, "tag `a` has no `:`"),
        (r#"{"stream":"s","type":"t","data":1,"tags":[":v"]}"#, "has a key of 0 bytes"),
        (r#"{"stream":"s","type":"t","data":1,"id":"7"}"#, "event id `7` is not a UUID"),
        (r#"{"stream":"s","type":"t","data_base64":"!","codec":"bytes"}"#, "`data_base64`"),
        (r#"{"stream":"s","type":"t","data":1"#, "at column"),
        ("[]", "expected a JSON object"),
        ("\u{feff}{}", "begins with a byte-order mark"),
    ] {
        let place = Place::new();
        let text = format!("{}\n\n{bad}\n{}\n", event("s", 1), event("s", 2));
        let told = place.run(&["import"]).with(&text).is(1);
        told.says("scorebook: line 3: ").says(reason);
        told.says("nothing was taken in: go on with --from-line 1");
        assert_eq!(place.run(&["export"]).is(0).out, "", "{bad}");
    }
}

#[test]
fn bad_utf_8_is_refused_with_its_line() {
    let place = Place::new();
    fs::write(place.path("bad.ndjson"), [event("s", 1).as_bytes(), b"\n{\"stream\":\"\xff\"}"].concat())
        .expect("written");
    place.run(&["import", "bad.ndjson"]).is(1).says("line 2: not UTF-8 at byte 12");
}

#[test]
fn the_batches_before_a_bad_line_are_in_and_the_message_says_where_to_go_on() {
    let place = Place::new();
    let mut lines: Vec<String> = (1..=3500).map(|number| event(&format!("s-{}", number % 3), number)).collect();
    let good = std::mem::replace(&mut lines[2720], "{\"stream\":\"s\"}".to_owned());
    place.run(&["import"]).with(&lines.join("\n")).is(1).says("line 2721: `data` is missing").says("--from-line 2001");
    assert_eq!(place.run(&["export"]).is(0).lines().len(), 2000);
    lines[2720] = good;
    place.run(&["import", "--from-line", "2001"]).with(&lines.join("\n")).is(0).says("1500 events in 2 batches");
    let all = place.run(&["read"]).is(0).lines();
    assert!(all.iter().zip(1..).all(|(line, number)| members(line)["data"] == number.to_string()));
    assert_eq!(all.len(), 3500);
}

#[test]
fn a_line_that_only_the_store_refuses_is_named_and_nothing_behind_it_is_in() {
    let place = Place::new();
    let mut lines: Vec<String> = (1..=12_000).map(|number| event(&format!("s-{number}"), number)).collect();
    lines[1500] = r#"{"stream":"s","type":"a type","data":1}"#.to_owned();
    place.run(&["import"]).with(&lines.join("\n")).is(1).says("line 1501: event type").says("--from-line 1001");
    assert_eq!(place.run(&["export"]).is(0).lines().len(), 1000);
}

#[test]
fn a_version_is_a_claim() {
    let place = Place::new();
    let claim =
        |stream: &str, version: u64| format!(r#"{{"stream":"{stream}","version":{version},"type":"t","data":1}}"#);
    place.run(&["import"]).with(&[claim("s", 1), event("s", 0), claim("s", 3)].join("\n")).is(0);
    let told = place.run(&["import"]).with(&[claim("s", 4), claim("u", 1), claim("s", 6)].join("\n")).is(6);
    told.says("line 3: conflict: stream s is at version 4, the line claims 6");
    assert_eq!(place.run(&["export"]).is(0).lines().len(), 3);
    for version in [0, 1, 3, 5] {
        place.run(&["import"]).with(&claim("s", version)).is(6);
    }
    place.run(&["import"]).with(&claim("s", 4)).is(0);
}

#[test]
fn the_largest_event_goes_in_and_one_byte_more_is_refused_by_name() {
    let place = Place::new();
    let line = |bytes: usize| format!(r#"{{"stream":"s","type":"t","data":"{}"}}"#, "x".repeat(bytes - 2));
    let text = format!("{}\n{}\n", event("s", 1), line(16 * 1024 * 1024 + 1));
    place.run(&["import"]).with(&text).is(1).says("line 2: ").says("--from-line 1");
    let text = format!("{}\n{}\n{}\n", line(16 * 1024 * 1024 - 1024), line(12 * 1024 * 1024), event("s", 3));
    place.run(&["import"]).with(&text).is(0).says("3 events");
    place.run(&["--dir", "copy", "import", "--exact"]).with(&place.run(&["export"]).is(0).out).is(0);
}

#[test]
fn append_takes_one_batch_and_prints_the_receipt() {
    let place = Place::new();
    let text = format!("{}\n{}\n", r#"{"type":"t","data":1}"#, event("game-42", 2));
    let receipt = place.run(&["append", "game-42", "--expect", "none"]).with(&text).is(0).object();
    assert_eq!(receipt["stream"], "game-42");
    assert_eq!(receipt["new_stream"], true);
    assert_eq!((&receipt["first_version"], &receipt["last_version"]), (&1.into(), &2.into()));
    assert_eq!((&receipt["first_position"], &receipt["last_position"]), (&1.into(), &2.into()));
    assert_eq!(receipt["durability"], "synced");
    fs::write(place.path("more"), r#"{"version":3,"type":"t","data":1}"#).expect("written");
    let receipt = place.run(&["append", "--format", "json", "--expect", "2", "game-42", "more"]).is(0).object();
    assert_eq!((&receipt["first_version"], &receipt["new_stream"]), (&3.into(), &false.into()));
}

#[test]
fn append_is_refused_where_something_is_there_and_accepted_once_under_a_key() {
    let place = Place::new();
    let line = r#"{"type":"joined","tags":["player:1"],"data":1}"#;
    let unless = ["append", "team-1", "--unless", "type=joined tag=player:1"];
    place.run(&unless).with(line).is(0);
    place.run(&unless).with(line).is(6).says("conflict: condition 1: the event at position 1 was to be absent");
    let two = [&unless[..2], &["--unless", "tag=player:2", "--unless", "type=left,joined after=0"]].concat();
    place.run(&two).with(line).is(6).says("condition 2");
    place.run(&["append", "team-1", "--unless", "after=9"]).with(line).is(1).says("the store ends at 1");
    place.run(&["append", "team-1", "--unless", "limit=1"]).with(line).is(2).says("limit=1");
    let once = ["append", "team-1", "--once", "interaction-7", "--unless", "after=1"];
    let first = place.run(&once).with(line).is(0).object();
    let again = place.run(&once).with(line).is(0).object();
    assert_eq!((&first["repeat"], &again["repeat"]), (&serde_json::json!(false), &serde_json::json!(true)));
    assert_eq!(first["last_position"], again["last_position"]);
    place.run(&once).with(r#"{"type":"joined","data":2}"#).is(6).says("key `interaction-7`");
    place.run(&["append", "team-1", "--once", ""]).with(line).is(1).says("1 to 128");
}

#[test]
fn append_refuses_what_does_not_hold_and_changes_nothing() {
    let place = Place::new();
    place.import_numbered("s", 2);
    let before = place.run(&["export"]).is(0).out;
    let line = r#"{"type":"t","data":1}"#;
    place.run(&["append", "s", "--expect", "none"]).with(line).is(6).says("conflict: stream s is at version 2");
    place.run(&["append", "s", "--expect", "1"]).with(line).is(6);
    place.run(&["append", "new", "--expect", "exists"]).with(line).is(6);
    place.run(&["append", "s"]).with(r#"{"version":2,"type":"t","data":1}"#).is(6);
    place.run(&["append", "s", "--expect", "2"]).with(r#"{"version":4,"type":"t","data":1}"#).is(6).says("line 1: ");
    place.run(&["append", "s"]).with(&event("other", 1)).is(1).says("line 1: it is for stream other, not s");
    place.run(&["append", "s"]).with(&format!("{line}\n{{}}")).is(1).says("line 2: ");
    place
        .run(&["append", "s"])
        .with(&format!("{line}\n{}", r#"{"type":"?","data":1}"#))
        .is(1)
        .says("line 2: event type");
    place.run(&["append", "s"]).with("\n").is(1).says("no events");
    place.run(&["append", "s"]).with(&[line; 10_001].join("\n")).is(1).says("line 10001: a batch has at most 10000");
    place.run(&["append", "s", "nowhere.ndjson"]).is(3).says("nowhere.ndjson");
    place.run(&["append", "a/b"]).with(line).is(2);
    place.run(&["append", "s", "--expect", "maybe"]).with(line).is(2);
    assert_eq!(place.run(&["export"]).is(0).out, before);
    place.run(&["append", "s", "--expect", "exists"]).with(line).is(0);
    place.run(&["--dir", "new", "append", "s"]).with("rubbish").is(1);
    assert!(!place.path("new").exists());
}

// Looking.

#[test]
fn read_gives_one_stream_or_all_within_bounds() {
    let place = Place::new();
    let lines: Vec<String> =
        (1..=20).map(|number| event(if number % 2 == 0 { "even" } else { "odd" }, number)).collect();
    place.run(&["import"]).with(&lines.join("\n")).is(0);
    let check = |arguments: &[&str], expected: &[u64]| {
        let read: Vec<String> = place.run(&[&["read"], arguments].concat()).is(0).lines();
        let read: Vec<u64> = read.iter().map(|line| members(line)["data"].parse().expect("a number")).collect();
        assert_eq!(read, expected, "{arguments:?}");
    };
    check(&["--from", "19"], &[19, 20]);
    check(&["--to", "2"], &[1, 2]);
    check(&["--after", "17", "--before", "20"], &[18, 19]);
    check(&["--from", "5", "--to", "9", "--backwards", "--limit", "2"], &[9, 8]);
    check(&["--limit", "0"], &[]);
    check(&["--from", "21"], &[]);
    // In a stream `from` and `to` are versions, `after` and `before` positions.
    check(&["even", "--from", "9"], &[18, 20]);
    check(&["even", "--to", "2"], &[2, 4]);
    check(&["even", "--after", "4", "--before", "10"], &[6, 8]);
    check(&["odd", "--after", "4", "--before", "10", "--backwards"], &[9, 7, 5]);
    check(&["odd", "--after", "4", "--limit", "2"], &[5, 7]);
    check(&["odd", "--before", "10", "--from", "3", "--backwards", "--limit", "2"], &[9, 7]);
    check(&["even", "--backwards", "--limit", "3"], &[20, 18, 16]);
    check(&["even", "--limit", "0"], &[]);
    check(&["even", "--after", "100"], &[]);
    check(&["even", "--from", "7", "--to", "3"], &[]);
    place.run(&["read", "odder"]).is(3).says("odder");
    place.run(&["read", "--after", "x"]).is(2);
}

#[test]
fn query_finds_by_type_tags_stream_category_time_and_payload() {
    let place = Place::new();
    let line = |stream: &str, event_type: &str, tags: &str, data: &str| {
        format!(r#"{{"stream":"{stream}","type":"{event_type}","tags":[{tags}],"data":{data}}}"#)
    };
    let lines = [
        line("game-1", "game_started", r#""guild:7""#, r#"{"n":1}"#),
        line("game-1", "guess_made", r#""guild:7","player:1""#, r#"{"n":2,"word":"owl"}"#),
        line("game-2", "guess_made", r#""guild:8","player:1""#, r#"{"n":3,"word":"cat"}"#),
        line("team-1", "player_joined", r#""player:1""#, r#"{"n":4}"#),
        line("team-2", "player_joined", "", r#"{"n":5}"#),
    ];
    place.run(&["import"]).with(&lines.join("\n")).is(0);
    let check = |arguments: &[&str], expected: &[u64]| {
        let found: Vec<String> = place.run(&[&["query"], arguments].concat()).is(0).lines();
        let found: Vec<u64> = found.iter().map(|line| members(line)["position"].parse().expect("a number")).collect();
        assert_eq!(found, expected, "{arguments:?}");
        let counted = place.run(&[&["query", "--count"], arguments].concat()).is(0).out;
        assert_eq!(counted, format!("{{\"events\":{}}}\n", expected.len()), "{arguments:?}");
    };
    check(&[], &[1, 2, 3, 4, 5]);
    check(&["--type", "guess_made"], &[2, 3]);
    check(&["--type", "guess_made", "--type", "game_started"], &[1, 2, 3]);
    check(&["--tag", "player:1", "--tag", "guild:7"], &[2]);
    check(&["--type", "guess_made", "--tag", "guild:8", "--or", "--category", "team"], &[3, 4, 5]);
    for void in
        [&["--or", "--type", "a"][..], &["--type", "a", "--or"], &["--type", "a", "--or", "--or", "--tag", "a:b"]]
    {
        place.run(&[&["query"], void].concat()).is(2).says("asks for nothing");
    }
    check(&["--type", "nothing", "--or", "--type", "none", "--or", "--stream", "team-2"], &[5]);
    check(&["--stream", "game-1", "--stream", "team-1"], &[1, 2, 4]);
    check(&["--prefix", "game-", "--after", "1"], &[2, 3]);
    check(&["--before", "4", "--backwards", "--limit", "2"], &[3, 2]);
    check(&["--where", r#"data.n > 1 and (data.word = "cat" or not exists data.word)"#], &[3, 4, 5]);
    check(&["--type", "guess_made", "--where", "data.n < 3"], &[2]);
    check(&["--since", "1h"], &[1, 2, 3, 4, 5]);
    check(&["--until", "1970-01-01"], &[]);
    check(&["--since", "2100-01-01T00:00:00Z"], &[]);
    place.run(&["query", "--tag", "player"]).is(2).says("no `:`");
    place.run(&["query", "--type", "no type"]).is(2).says("no type");
    place.run(&["query", "--category", "a-b"]).is(2).says("a-b");
    place.run(&["query", "--where", "data.n >"]).is(2).says("at its end");
    place.run(&["query", "--since", "yesterday"]).is(2).says("yesterday");
}

#[test]
fn types_and_stats_count_events_by_what_they_have_in_common() {
    let place = Place::new();
    let line = |stream: &str, event_type: &str| format!(r#"{{"stream":"{stream}","type":"{event_type}","data":1}}"#);
    let lines = [("game-1", "made"), ("game-2", "made"), ("team-1", "joined"), ("game-1", "made")];
    place.run(&["import"]).with(&lines.map(|(stream, event_type)| line(stream, event_type)).join("\n")).is(0);
    let counted = |arguments: &[&str], key: &str| -> Vec<(String, [u64; 4])> {
        let lines = place.run(arguments).is(0).lines();
        let rows = lines.iter().map(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let numbers = ["events", "streams", "first", "last"].map(|name| row[name].as_u64().expect("a number"));
            (row[key].as_str().expect("a key").to_owned(), numbers)
        });
        rows.collect()
    };
    let types = [("joined".to_owned(), [1, 1, 3, 3]), ("made".to_owned(), [3, 2, 1, 4])];
    assert_eq!(counted(&["types"], "type"), types);
    assert_eq!(counted(&["stats"], "type"), types);
    let categories = [("game".to_owned(), [3, 2, 1, 4]), ("team".to_owned(), [1, 1, 3, 3])];
    assert_eq!(counted(&["stats", "--by", "category"], "category"), categories);
    let streams = [("game-1", [2, 1, 1, 4]), ("game-2", [1, 1, 2, 2]), ("team-1", [1, 1, 3, 3])];
    let streams = streams.map(|(name, numbers)| (name.to_owned(), numbers));
    assert_eq!(counted(&["stats", "--by", "stream"], "stream"), streams);
    let hours = counted(&["stats", "--by", "hour"], "hour");
    assert!(hours.iter().all(|(hour, _)| hour.ends_with(":00:00.000000000Z")), "{hours:?}");
    assert_eq!(hours.iter().map(|(_, numbers)| numbers[0]).sum::<u64>(), 4);
    place.run(&["stats", "--by", "colour"]).is(2).says("colour");
}

#[test]
fn trace_shows_what_caused_what() {
    let place = Place::new();
    let id = |number: u64| format!("00000000-0000-4000-8000-{number:012}");
    let line = |number: u64, stream: &str, metadata: &str| {
        let id = id(number);
        format!(r#"{{"stream":"{stream}","type":"type_{number}","id":"{id}","data":1,"metadata":{metadata}}}"#)
    };
    let caused = |by: u64| format!(r#"{{"causation":"{}","correlation":"{}"}}"#, id(by), id(1));
    let lines = [
        line(1, "a-1", "{}"),
        line(2, "b-1", &caused(1)),
        line(3, "c\\\"1", &caused(2)),
        line(4, "b-1", "{}"),
        line(5, "a-1", &caused(1)),
        // Its cause comes later, as no cause can.
        line(6, "a-1", &caused(7)),
        line(7, "a-1", &caused(3)),
    ];
    place.run(&["import"]).with(&lines.join("\n")).is(0);
    let rows = |arguments: &[&str]| -> Vec<(u64, Option<u64>)> {
        let lines = place.run(&[&["trace"], arguments].concat()).is(0).lines();
        let row = |line: &String| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            (row["position"].as_u64().expect("a position"), row["cause"].as_u64())
        };
        lines.iter().map(row).collect()
    };
    let tree = [(1, None), (2, Some(1)), (3, Some(2)), (7, Some(3)), (5, Some(1)), (6, None)];
    for arguments in [&["1"][..], &["3"], &[&id(5)], &["--correlation", &id(1)]] {
        assert_eq!(rows(arguments), tree, "{arguments:?}");
    }
    assert_eq!(rows(&["4"]), [(4, None)]);
    assert_eq!(rows(&["--correlation", "nothing"]), []);
    let table = place.run(&["trace", "1", "--format", "table"]).is(0).out;
    for drawn in ["type_1 ", "├─ type_2 ", "│  └─ type_3 ", "│     └─ type_7 ", "└─ type_5 "] {
        assert!(table.contains(drawn), "{drawn}\n{table}");
    }
    let graph = place.run(&["trace", "2", "--mermaid"]).is(0).out;
    assert!(
        graph.starts_with("graph TD\n    e1[\"1 type_1 a-1@1\"]\n    e2[\"2 type_2 b-1@1\"]\n    e1 --> e2\n"),
        "{graph}"
    );
    assert!(graph.contains("e3[\"3 type_3 c#quot;1@1\"]"), "{graph}");
    place.run(&["trace"]).is(2);
    place.run(&["trace", "99"]).is(3);
    place.run(&["trace", "1", "--correlation", "x"]).is(2);
}

#[test]
fn every_format_says_the_same() {
    let place = Place::new();
    place.import_numbered("s", 3);
    let lines = place.run(&["read", "s"]).is(0).lines();
    let array = place.run(&["--format", "json", "read", "s"]).is(0).out;
    let array: Vec<Value> = serde_json::from_str(&array).expect("a JSON array");
    let objects: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    assert_eq!(array, objects);
    assert_eq!(place.run(&["read", "s", "--format", "json", "--limit", "0"]).is(0).out, "[]\n");
    let table = place.run(&["read", "s", "--format", "table"]).is(0).lines();
    assert_eq!(table.len(), 4);
    assert!(table[0].starts_with("position  stream"), "{}", table[0]);
    assert!(table[3].starts_with("3         s"), "{}", table[3]);
}

#[test]
fn control_characters_never_stand_in_a_table() {
    let place = Place::new();
    let text = concat!(
        "{\"stream\":\"s\u{200e}\u{202e}\",\"type\":\"t\",\"data\":\"\u{9b}31m \u{7f} \u{85} \\u001b[31m\"}\n",
        "{\"stream\":\"s\",\"type\":\"t\",\"data_base64\":\"G1szMW0=\",\"codec\":\"bytes\",\"metadata\":{\"k\":\"\u{9b}\"}}\n",
    );
    place.run(&["import"]).with(text).is(0);
    let is_raw = |c: char| c.is_control() && c != '\n' || ('\u{200e}'..='\u{202e}').contains(&c);
    for arguments in [&["read"][..], &["event", "1"], &["event", "2"], &["tail"], &["streams"]] {
        let shown = place.run(&[&["--format", "table"], arguments].concat()).is(0).out;
        assert!(!shown.contains(is_raw), "{shown:?}");
    }
    assert!(place.run(&["read", "--format", "table"]).is(0).out.contains(r"\u{9b}31m \u{7f} \u{85} \u001b[31m"));
    // Into a pipe the payload goes as it is.
    assert!(place.run(&["read"]).is(0).out.contains("\"\u{9b}31m \u{7f} \u{85} \\u001b[31m\""));
    let told = place.run(&["import"]).with("{\"\\u001b[31m\":1}").is(1);
    assert!(!told.err.contains(is_raw), "{:?}", told.err);
}

#[test]
fn an_event_is_shown_whole_by_position_and_by_id() {
    let place = Place::new();
    place.fill_with_everything();
    for position in ["1", "2", "3", "4", "5"] {
        let line = place.run(&["read", "--from", position, "--limit", "1"]).is(0).out;
        let whole = place.run(&["event", position]).is(0).out;
        let whole = whole.trim_end();
        assert!(whole.starts_with(line.trim_end().trim_end_matches('}')), "{whole}\n{line}");
        let members = members(whole);
        assert!(members["segment"].parse::<u64>().is_ok_and(|segment| 1 <= segment));
        assert!(members["byte"].parse::<u64>().is_ok_and(|byte| 1 <= byte));
        assert!(members["record_bytes"].parse::<u64>().is_ok_and(|bytes| 64 <= bytes));
        let id = members["id"].trim_matches('"');
        assert_eq!(place.run(&["event", id]).is(0).out.trim_end(), whole);
    }
    let table = place.run(&["event", "1", "--format", "table"]).is(0).out;
    assert!(table.contains("\nrecord_bytes  "), "{table}");
    place.run(&["event", "999999"]).is(3);
    place.run(&["event", "0"]).is(3);
    place.run(&["event", "00000000-0000-4000-8000-000000000000"]).is(3);
    place.run(&["event", "seven"]).is(2);
}

#[test]
fn streams_are_listed_sorted_and_matched() {
    let place = Place::new();
    place.import_numbered("game-2", 3);
    place.import_numbered("team-1", 1);
    place.import_numbered("game-1", 2);
    let check = |arguments: &[&str], expected: &[&str]| {
        let lines = place.run(&[&["streams"], arguments].concat()).is(0).lines();
        let names: Vec<String> =
            lines.iter().map(|line| members(line)["stream"].trim_matches('"').to_owned()).collect();
        assert_eq!(names, expected, "{arguments:?}");
    };
    check(&[], &["game-1", "game-2", "team-1"]);
    check(&["game-*"], &["game-1", "game-2"]);
    check(&["game-?", "--limit", "1"], &["game-1"]);
    check(&["none-*"], &[]);
    check(&["--sort", "version"], &["game-2", "game-1", "team-1"]);
    check(&["--sort", "time"], &["game-1", "team-1", "game-2"]);
    check(&["--sort", "version", "--limit", "2"], &["game-2", "game-1"]);
    place.run(&["streams", "--sort", "size"]).is(2);
    let table = place.run(&["streams", "--format", "table"]).is(0).lines();
    assert!(table[1].starts_with("game-1  2        "), "{}", table[1]);
}

#[test]
fn info_says_what_a_store_holds() {
    let place = Place::new();
    place.import_numbered("s", 3);
    let info = place.run(&["info"]).is(0).object();
    assert_eq!((&info["head"], &info["events"], &info["streams"]), (&3.into(), &3.into(), &1.into()));
    assert_eq!(info["owner"], Value::Null);
    for key in ["format", "store_id", "segments", "disk_bytes", "log_bytes", "durable_end", "visible_end", "closed"] {
        assert!(!info[key].is_null(), "{key}");
    }
    let store = EventStore::open(place.store()).expect("the store");
    let info = place.run(&["info"]).is(0).object();
    assert!(info["owner"].is_string(), "{info}");
    store.close().expect("closed");
}

#[test]
fn tail_shows_the_last_events_oldest_first() {
    let place = Place::new();
    place.import_numbered("s", 15);
    place.import_numbered("t", 1);
    let numbers = |arguments: &[&str]| -> Vec<String> {
        place.run(arguments).is(0).lines().iter().map(|line| members(line)["position"].clone()).collect()
    };
    assert_eq!(numbers(&["tail"]), ["7", "8", "9", "10", "11", "12", "13", "14", "15", "16"]);
    assert_eq!(numbers(&["tail", "-n", "1"]), ["16"]);
    assert_eq!(numbers(&["tail", "s", "-n", "2"]), ["14", "15"]);
    assert_eq!(numbers(&["tail", "-n", "0"]), [""; 0]);
    assert_eq!(numbers(&["tail", "-n", "1000"]).len(), 16);
    place.run(&["tail", "u"]).is(3);
    place.run(&["tail", "u", "-n", "0"]).is(3);
}

#[test]
fn tail_follows_a_store_that_is_being_written() {
    let place = Place::new();
    let store = EventStore::open(place.store()).expect("the store");
    let stream = StreamName::new("s").expect("a name");
    let append = |number: u64| {
        let event = NewEvent::json("t", &number).expect("an event");
        store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("appended");
    };
    (1..=3).for_each(append);
    for arguments in [&["tail", "-f", "-n", "2"][..], &["tail", "s", "--follow", "-n", "2"]] {
        let first = place.wait_until_seen(&store) - 1;
        let mut tail = place.command(arguments).stdout(Stdio::piped()).spawn().expect("spawned");
        let (sender, lines) = mpsc::channel();
        let stdout = tail.stdout.take().expect("piped");
        // The thread takes six lines and then goes, and the pipe with it.
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().take(6) {
                sender.send(line.expect("a line")).expect("somebody listens");
            }
        });
        let check_next = |position: u64| {
            let line = lines.recv_timeout(PATIENCE).expect("a line in time");
            assert_eq!(members(&line)["position"], position.to_string());
        };
        check_next(first);
        check_next(first + 1);
        for next in first + 2..first + 6 {
            append(next);
            check_next(next);
        }
        reader.join().expect("six lines");
        // Nothing more comes, and still it notices that nobody reads.
        assert_eq!(wait(&mut tail), Some(0));
    }
    let mut early =
        place.command(&["tail", "later", "-f"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("spawned");
    let later = StreamName::new("later").expect("a name");
    store.append(&later, ExpectedVersion::NoStream, [NewEvent::bytes("t", [])]).wait().expect("appended");
    let mut line = String::new();
    BufReader::new(early.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert_eq!(members(&line)["stream"], "\"later\"");
    assert_eq!(wait(&mut early), Some(0));
    store.close().expect("closed");
}

#[test]
fn everything_that_reads_works_beside_a_writer_and_disturbs_nothing() {
    let place = Place::new();
    let store = EventStore::open(place.store()).expect("the store");
    let stream = StreamName::new("s").expect("a name");
    for number in 0..100 {
        store
            .append(&stream, ExpectedVersion::Any, [NewEvent::json("t", &number).expect("an event")])
            .wait()
            .expect("in");
        if number % 20 == 0 {
            place.wait_until_seen(&store);
            for arguments in READING {
                place.run(arguments).is(0);
            }
        }
    }
    place.wait_until_seen(&store);
    assert_eq!(place.run(&["export"]).is(0).lines().len(), 100);
    place.run(&["append", "s"]).with(r#"{"type":"t","data":1}"#).is(5);
    place.run(&["import"]).with(&event("s", 1)).is(5);
    store.close().expect("closed");
    place.run(&["append", "s"]).with(r#"{"type":"t","data":1}"#).is(0);
}

// Ends.

/// Commands that only read, as they succeed on any store with a stream `s`.
const READING: &[&[&str]] = &[
    &["info"],
    &["streams"],
    &["read"],
    &["read", "s"],
    &["query", "--type", "numbered"],
    &["types"],
    &["trace", "1"],
    &["stats", "--by", "hour"],
    &["event", "1"],
    &["export"],
    &["tail"],
    &["tail", "s"],
    &["tail", "--from", "beginning", "--query", "type=numbered"],
    &["consumers"],
    &["projections"],
    &["snapshots"],
    &["snapshots", "verify"],
    &["segments"],
    &["compact", "--plan"],
    &["verify"],
];

#[test]
fn commands_that_only_read_create_and_change_nothing() {
    let place = Place::new();
    for arguments in READING.iter().chain(&[&["salvage", "copy", "--yes"][..], &["tail", "-f"]]) {
        place.run(arguments).is(3);
        place.run(&[&["--dir", "deep/er"], *arguments].concat()).is(3);
        assert_eq!(fs::read_dir(place.path(".")).expect("the directory").count(), 0, "{arguments:?}");
    }
    place.import_numbered("s", 3);
    let before = place.files();
    for arguments in READING {
        place.run(arguments).is(0);
        assert_eq!(place.files(), before, "{arguments:?}");
    }
    place.run(&["salvage", "copy", "--yes"]).is(0);
    fs::remove_dir_all(place.path("copy")).expect("removed");
    assert_eq!(place.files(), before);
}

#[test]
fn damage_is_told_with_exit_4_after_what_precedes_it() {
    let place = Place::new();
    place.import_numbered("a", 5);
    place.run(&["append", "b"]).with(r#"{"type":"t","data":"flip me"}"#).is(0);
    place.import_numbered("c", 5);
    let good = place.run(&["export"]).is(0).lines();
    place.run(&["verify"]).is(0);
    place.flip("flip me");

    let read = place.run(&["read"]).is(4);
    assert_eq!(read.lines(), good[..5]);
    let array = place.run(&["read", "--format", "json"]).is(4).out;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).expect("a whole array").len(), 5);
    place.run(&["export", "half"]).is(4);
    assert_eq!(place.text("half").lines().count(), 5);
    let report = place.run(&["verify"]).is(4).object();
    assert_eq!(report["sound"], false);
    assert!(report["damage"][0]["at"]["byte"].is_u64(), "{report}");
    place.run(&["verify", "--format", "table"]).is(4).says("damaged");
    place.run(&["info"]).is(4);
    place.run(&["append", "a"]).with(r#"{"type":"t","data":1}"#).is(4);

    let before = place.files();
    let report = place.run(&["salvage", "saved", "--yes"]).is(4).object();
    assert_eq!(report["events_copied"], 10);
    assert_eq!(report["lost"][0]["first"], 6);
    place.run(&["--dir", "saved", "verify"]).is(0);
    let saved = place.run(&["--dir", "saved", "read", "--after", "6"]).is(0).lines();
    assert_eq!(saved, good[6..]);
    place.run(&["salvage", "saved", "--yes"]).is(1);
    fs::remove_dir_all(place.path("saved")).expect("removed");
    assert_eq!(place.files(), before);
}

#[test]
fn derived_files_in_doubt_are_named_and_made_anew_on_request() {
    let place = Place::new();
    place.fill_with_everything();
    let answer = place.run(&["export"]).is(0).out;
    let is_derived =
        |path: &PathBuf| path.extension().is_some_and(|kind| ["idx", "0", "1"].iter().any(|name| kind == *name));
    let before: Vec<PathBuf> = place.files().into_keys().filter(is_derived).collect();
    assert!(!before.is_empty());
    for path in &before {
        fs::write(path, b"no such thing").expect("written");
    }
    let report = place.run(&["verify"]).is(0).object();
    assert_eq!(report["sound"], true);
    let notes = report["notes"].to_string();
    let is_named = |path: &PathBuf| notes.contains(path.file_name().and_then(|name| name.to_str()).expect("a name"));
    assert!(before.iter().all(is_named), "{notes}");
    assert_eq!(place.run(&["export"]).is(0).out, answer);
    let report = place.run(&["index", "rebuild"]).is(0).object();
    assert_eq!(report["events"].as_u64(), Some(answer.lines().count() as u64));
    let report = place.run(&["verify"]).is(0).object();
    assert!(!report["notes"].to_string().contains("derived"), "{report}");
    assert_eq!(place.run(&["export"]).is(0).out, answer);
    place.run(&["--dir", "nowhere", "index", "rebuild"]).is(3);
    place.flip("pretty");
    place.run(&["index", "rebuild"]).is(4);
}

#[test]
fn a_torn_tail_alone_is_told_and_no_damage() {
    let place = Place::new();
    place.import_numbered("s", 3);
    place.leave_remains();
    let report = place.run(&["verify"]).is(0).object();
    assert_eq!(report["sound"], true);
    assert!(report["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "{report}");
    assert_eq!(place.run(&["read"]).is(0).lines().len(), 3);
}

#[test]
fn salvage_copies_a_sound_store_whole_and_asks_before() {
    let place = Place::new();
    place.fill_with_everything();
    place.run(&["salvage", "copy"]).is(2).says("--yes");
    assert!(!place.path("copy").exists());
    let report = place.run(&["salvage", "copy", "--yes"]).is(0).object();
    assert_eq!(report["lost"], Value::Array(Vec::new()));
    assert_eq!(place.run(&["--dir", "copy", "export"]).is(0).out, place.run(&["export"]).is(0).out);
}

#[test]
fn a_broken_pipe_is_quiet() {
    let place = Place::new();
    place.fill_with_everything();
    for arguments in
        [&["read"][..], &["export"], &["read", "--format", "json"], &["read", "--format", "table"], &["event", "1"]]
    {
        let mut command = place.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawned");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("output");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_exit_8_and_what_was_in_stays() {
    let place = Place::new();
    place.import_numbered("s", 3);
    let before = place.run(&["export"]).is(0).out;
    let lines: String = (0..3000).map(|number| event(&format!("s-{number}"), number) + "\n").collect();
    fs::write(place.path("more.ndjson"), lines).expect("written");
    // No file may grow beyond 32 KiB, and the signal that says so is not listened to.
    let script =
        format!("trap '' 25; ulimit -f 64; exec {} --dir store import more.ndjson", env!("CARGO_BIN_EXE_scorebook"));
    let output = Command::new("sh").arg("-c").arg(script).current_dir(place.path(".")).output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{told}");
    assert!(told.contains("--from-line 1\n"), "{told}");
    assert_eq!(place.run(&["export"]).is(0).out, before);
    place.run(&["import", "more.ndjson"]).is(0);
}

#[test]
fn wrong_arguments_are_exit_2_and_missing_things_3() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["read", "--colour"],
        &["read", "../x"],
        &["read", "--format", "xml"],
        &["import", "--from-line", "0"],
        &["export", "--format", "table"],
        &["salvage"],
        &["repair", "--accept"],
        &["event"],
    ] {
        place.run(arguments).is(2);
    }
    place.run(&["--help"]).is(0);
    place.run(&["help", "read"]).is(0);
    place.run(&["--version"]).is(0);
    place.run(&["import", "nowhere.ndjson"]).is(3);
    place.run(&["import", "."]).is(1);
    fs::write(place.path("file"), "").expect("written");
    assert_ne!(place.run(&["--dir", "file", "info"]).go().code, Some(0));
    assert_ne!(place.run(&["--dir", "file", "append", "s"]).with(r#"{"type":"t","data":1}"#).go().code, Some(0));
}

#[test]
fn the_directory_is_named_by_option_or_variable_before_or_after_the_command() {
    let place = Place::new();
    place.import_numbered("s", 1);
    let variable = |arguments: &[&str], dir: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scorebook"));
        let output = command.args(arguments).env("SCOREBOOK_DIR", dir).current_dir(place.path(".")).output();
        output.expect("output").status.code()
    };
    assert_eq!(variable(&["info"], "store"), Some(0));
    assert_eq!(variable(&["info"], "elsewhere"), Some(3));
    assert_eq!(variable(&["info", "--dir", "store"], "elsewhere"), Some(0));
    assert_eq!(variable(&["--dir", "store", "info"], "elsewhere"), Some(0));
    assert_eq!(variable(&["info"], ""), Some(3));
    fs::rename(place.path("store"), place.path("bot.scorebook")).expect("renamed");
    assert_eq!(variable(&["info"], ""), Some(0));
}

#[test]
fn a_small_real_history_goes_in_and_comes_back() {
    let place = Place::new();
    let history = include_str!("../data/history.ndjson");
    let lines = history.lines().filter(|line| !line.trim().is_empty()).count();
    place.run(&["import"]).with(history).is(0).says(&format!("{lines} events in 1 batch"));
    place.run(&["verify"]).is(0);
    let all = place.run(&["read"]).is(0).lines();
    assert_eq!(all.len(), lines);
    let of_stream = place.run(&["read", "history"]).is(0).lines();
    let among_all = all.iter().filter(|line| members(line)["stream"] == "\"history\"");
    assert!(!of_stream.is_empty() && among_all.eq(&of_stream));
}

// States, which the tool knows where it is linked with aggregates: those of `tests/examples/linked_tool.rs`.

/// A game of four events, the second of which has an old schema; and notes, which nobody folds.
const GAME: &str = concat!(
    r#"{"stream":"game-42","type":"game_started","data":{"players":["alice","bob"]}}"#,
    "\n",
    r#"{"stream":"game-42","type":"guessed","data":"alice"}"#,
    "\n",
    r#"{"stream":"note-1","type":"noted","data":1}"#,
    "\n",
    r#"{"stream":"game-42","type":"guessed","schema":2,"data":{"player":"alice","points":3}}"#,
    "\n",
    r#"{"stream":"game-42","type":"game_ended","data":{}}"#,
);

#[test]
fn a_state_is_that_of_a_version_or_a_time() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let check = |arguments: &[&str], expected: &str| {
        let told = place.linked(&[&["state", "game-42"], arguments].concat()).is(0);
        assert_eq!(told.out.trim_end(), expected, "{arguments:?}");
    };
    check(&[], r#"{"is_over":true,"scores":{"alice":4,"bob":0}}"#);
    check(&["--at", "3"], r#"{"is_over":false,"scores":{"alice":4,"bob":0}}"#);
    check(&["--at", "2"], r#"{"is_over":false,"scores":{"alice":1,"bob":0}}"#);
    check(&["--at", "0"], r#"{"is_over":false,"scores":{}}"#);
    check(&["--at", "1970-01-01"], r#"{"is_over":false,"scores":{}}"#);
    check(&["--at", "2200-01-01T00:00:00Z"], r#"{"is_over":true,"scores":{"alice":4,"bob":0}}"#);
    check(&["--at", "0", "--format", "table"], "{\n  \"is_over\": false,\n  \"scores\": {}\n}");
    let harmful = r#"{"type":"game_started","data":{"players":["\u009b31m\u202e"]}}"#;
    place.run(&["append", "game-43"]).with(harmful).is(0);
    let table = place.linked(&["state", "game-43", "--format", "table"]).is(0).out;
    assert!(table.contains(r#""\u{9b}31m\u{202e}": 0"#), "{table:?}");
    place.linked(&["state", "game-42", "--at", "5"]).is(3).says("at version 4: there is no version 5");
    place.linked(&["state", "game-44"]).is(3);
    place.linked(&["state", "game-42", "--at", "sometime"]).is(2).says("sometime");
    place.linked(&["--dir", "nowhere", "state", "game-42"]).is(3);
}

#[test]
fn what_is_removed_leaves_no_state_that_could_be_wrong() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let exported = place.run(&["export"]).is(0).lines();
    let without_first: String = exported.iter().skip(1).map(|line| format!("{line}\n")).collect();
    place.run(&["--dir", "cut", "import", "--exact"]).with(&without_first).is(0);
    place.linked(&["--dir", "cut", "state", "game-42"]).is(3).says("between version 0 and 2 is removed");
    place.linked(&["--dir", "cut", "state", "game-42", "--at", "1"]).is(3).says("behind version 0 is removed");
    place.linked(&["--dir", "cut", "replay", "game-42", "--step"]).is(3).says("is removed");
    place.linked(&["--dir", "cut", "check"]).is(10);
}

#[test]
fn what_does_not_say_how_it_is_carried_is_not() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    place.linked(&["truncate", "game-42", "3", "--carry", "--yes"]).is(1).says("does not say how a state is carried");
    place.linked(&["truncate", "note-1", "2", "--carry", "--yes"]).is(3).says("no aggregate folds category `note`");
    place.linked(&["truncate", "game-42", "1", "--carry", "--yes"]).is(2).says("there is no state to carry");
    place.linked(&["state", "game-42", "--at", "2"]).is(0);
}

#[test]
fn a_check_tells_what_differs_from_states_that_were_written_down() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let written = place.linked(&["check", "--write", "states.ndjson"]).is(0).object();
    assert_eq!(written["states_written"], 1);
    let path = place.store().parent().expect("a directory").join("states.ndjson");
    let states = fs::read_to_string(&path).expect("it was written");
    assert_eq!(
        states,
        "{\"stream\":\"game-42\",\"version\":4,\"state\":{\"is_over\":true,\"scores\":{\"alice\":4,\"bob\":0}}}\n"
    );
    // What was appended since differs from nothing.
    place.run(&["append", "game-42"]).with(r#"{"type":"guessed","data":"bob"}"#).is(0);
    let same = place.linked(&["check", "--against", "states.ndjson"]).is(0).object();
    assert_eq!((&same["states_compared"], &same["states_differing"]), (&1.into(), &0.into()));
    fs::write(&path, states.replace("\"alice\":4", "\"alice\":3")).expect("it can be written");
    let told = place.linked(&["check", "--against", "states.ndjson"]).is(1);
    told.says("1 stream comes to another state");
    assert_eq!(told.object()["differing"][0]["differences"][0], "scores.alice: 3 -> 4");
    fs::write(&path, "{}\n").expect("it can be written");
    place.linked(&["check", "--against", "states.ndjson"]).is(2).says("states.ndjson line 1: no state");
    place.linked(&["check", "--against", "nowhere.ndjson"]).is(3);
}

#[test]
fn a_difference_is_told_path_by_path_and_either_way() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let lines = |arguments: &[&str]| place.linked(&[&["diff", "game-42"], arguments].concat()).is(0).lines();
    assert_eq!(lines(&["1", "4", "--format", "table"]), ["is_over: false -> true", "scores.alice: 0 -> 4"]);
    assert_eq!(lines(&["4", "1", "--format", "table"]), ["is_over: true -> false", "scores.alice: 4 -> 0"]);
    assert_eq!(lines(&["0", "1"]), [r#"{"path":"scores.alice","after":0}"#, r#"{"path":"scores.bob","after":0}"#]);
    assert_eq!(lines(&["2", "3"]), [r#"{"path":"scores.alice","before":1,"after":4}"#]);
    assert_eq!(lines(&["1970-01-01", "0"]), [""; 0]);
    assert_eq!(lines(&["2", "2", "--format", "json"]), ["[]"]);
    place.linked(&["diff", "game-42", "2", "9"]).is(3).says("no version 9");
    place.linked(&["diff", "game-42", "2"]).is(2);
}

#[test]
fn a_replay_tells_the_state_behind_the_last_event_or_behind_every_one() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let last = place.linked(&["replay", "game-42", "--at", "3"]).is(0).object();
    assert_eq!((&last["version"], &last["position"], &last["type"]), (&3.into(), &4.into(), &"guessed".into()));
    assert_eq!(last["state"]["scores"]["alice"], 4);
    assert_eq!(place.linked(&["replay", "game-42", "--at", "0"]).is(0).object()["version"], 0);

    let steps = place.linked(&["replay", "game-42", "--step"]).is(0).lines();
    let steps: Vec<Value> = steps.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let scores = steps.iter().map(|step| step["state"]["scores"]["alice"].as_u64().expect("a score"));
    assert_eq!(scores.collect::<Vec<_>>(), [0, 1, 4, 4]);

    let prose = |arguments: &[&str]| {
        let told = place.linked(&[&["replay", "game-42", "--format", "table"], arguments].concat()).is(0).lines();
        let without_time = told.iter().map(|line| line.split("  ").filter(|part| !part.contains("T")));
        without_time.map(|parts| parts.collect::<Vec<_>>().join("  ")).collect::<Vec<String>>()
    };
    assert_eq!(prose(&["--at", "2"])[..2], ["version 2  guessed", "  {"]);
    assert_eq!(
        prose(&["--step", "--at", "2"]),
        [
            "version 0",
            "  {",
            "    \"is_over\": false,",
            "    \"scores\": {}",
            "  }",
            "version 1  game_started",
            "  scores.alice: nothing -> 0",
            "  scores.bob: nothing -> 0",
            "version 2  guessed",
            "  scores.alice: 0 -> 1",
        ]
    );
    assert_eq!(prose(&["--step", "--whole", "--at", "1"]).len(), 8);
    place.linked(&["replay", "game-42", "--whole"]).is(2);
}

#[test]
fn what_cannot_be_folded_is_named_and_the_steps_before_it_are_told() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    place.run(&["append", "game-42"]).with(r#"{"type":"guessed","data":{"name":"alice"}}"#).is(0);
    let told = place.linked(&["replay", "game-42", "--step"]).is(10);
    assert_eq!(told.says("`guessed` (schema 1)").says("position 6").lines().len(), 4);
    assert_eq!(place.linked(&["state", "game-42"]).is(10).out, "");
    place.linked(&["state", "game-42", "--at", "4"]).is(0);
    place.linked(&["diff", "game-42", "1", "4"]).is(0);
    place.linked(&["diff", "game-42", "1", "5"]).is(10);

    let place = Place::new();
    place.run(&["append", "game-1"]).with(r#"{"type":"guessed","schema":3,"data":1}"#).is(0);
    place.linked(&["state", "game-1"]).is(10).says("schema 3");
}

#[test]
fn where_nothing_folds_a_stream_its_events_are_shown_and_how_to_have_it_folded() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let hint = "no aggregate but that of the word game folds category `game` here: a program that ends in \
                scorebook::cli::run(registry)";
    let read = |arguments: &[&str]| place.run(&[&["read", "game-42"], arguments].concat()).is(0).out;
    let told = place.run(&["replay", "game-42", "--step"]).is(0);
    assert_eq!(told.says(hint).out, read(&[]));
    assert_eq!(told.err.lines().count(), 1, "{}", told.err);
    assert_eq!(place.run(&["replay", "game-42", "--at", "2"]).is(0).out, read(&["--to", "2"]));
    // What was asked for is a state, and there is none.
    assert_eq!(place.run(&["state", "game-42", "--at", "1"]).is(3).says(hint).out, read(&["--to", "1"]));
    assert_eq!(place.run(&["diff", "game-42", "3", "1"]).is(3).says(hint).out, read(&["--from", "2", "--to", "3"]));
    place.run(&["replay", "game-43"]).is(3);
    place.linked(&["replay", "note-1"]).is(0).says("category `note`");
}

#[test]
fn check_names_what_cannot_be_decoded_or_folded_and_counts_what_nobody_knows() {
    let place = Place::new();
    place.run(&["import"]).with(GAME).is(0);
    let report = place.linked(&["check"]).is(0).object();
    assert_eq!((&report["sound"], &report["events"], &report["streams_folded"]), (&true.into(), &5.into(), &1.into()));
    let types = report["types"].as_array().expect("types").iter();
    let types: Vec<(&str, u64, bool)> = types
        .map(|row| {
            let (name, schema, is_known) = (row["type"].as_str(), row["schema"].as_u64(), row["known"].as_bool());
            (name.expect("a type"), schema.expect("a schema"), is_known.expect("known or not"))
        })
        .collect();
    assert_eq!(
        types,
        [
            ("game_ended", 1, true),
            ("game_started", 1, true),
            ("guessed", 1, true),
            ("guessed", 2, true),
            ("noted", 1, false)
        ]
    );
    let stock = place.run(&["check"]).is(0);
    let stock = stock.says("scorebook::cli::run(registry)").object();
    assert_eq!((&stock["sound"], &stock["unknown"], &report["unknown"]), (&true.into(), &5.into(), &1.into()));

    place.run(&["append", "game-42"]).with(r#"{"type":"guessed","data":7}"#).is(0);
    place.run(&["append", "game-43"]).with(r#"{"type":"bet","data":7}"#).is(0);
    let told = place.linked(&["check"]).is(10);
    let report = told.says("2 events cannot be decoded or folded").object();
    let failures = report["failures"].as_array().expect("failures").iter();
    let failures: Vec<(u64, &str)> = failures
        .map(|row| (row["position"].as_u64().expect("a position"), row["type"].as_str().expect("a type")))
        .collect();
    assert_eq!(failures, [(6, "guessed"), (7, "bet")]);
    let table = place.linked(&["check", "--format", "table"]).is(10).out;
    assert!(table.contains("`guessed` (schema 1): 2 events, 1 failed"), "{table}");
    assert!(table.contains("position 7, game-43 at 1: "), "{table}");
}

/// A directory to run the tool in; its store is `store`.
pub(crate) struct Place {
    dir: TempDir,
}

/// A run of the tool that has not begun.
pub(crate) struct Prepared {
    command: Command,
    arguments: String,
    input: Vec<u8>,
}

/// What a run of the tool came to.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    arguments: String,
}

impl Prepared {
    /// With this on standard input.
    pub(crate) fn with(mut self, input: &str) -> Prepared {
        self.input = input.as_bytes().to_vec();
        self
    }

    fn go(mut self) -> Run {
        let command = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("spawned");
        // Whoever stops early does not read everything.
        let _ = child.stdin.take().expect("piped").write_all(&self.input);
        let output = child.wait_with_output().expect("output");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Run {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
            arguments: self.arguments,
        }
    }

    /// Goes, and ends with this exit code.
    pub(crate) fn is(self, code: i32) -> Run {
        let run = self.go();
        assert_eq!(run.code, Some(code), "{}\n{}", run.arguments, run.err);
        run
    }
}

impl Run {
    /// Says this on standard error.
    pub(crate) fn says(&self, text: &str) -> &Run {
        assert!(self.err.contains(text), "{} said: {}", self.arguments, self.err);
        self
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.out.lines().map(str::to_owned).collect()
    }

    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.out).expect("a JSON object")
    }
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text")
    }

    /// The tool on the store, unless the arguments name another.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_scorebook")), arguments)
    }

    fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        if !arguments.contains(&"--dir") {
            command.args(["--dir", "store"]);
        }
        command.args(arguments).current_dir(self.dir.path()).env_remove("SCOREBOOK_DIR").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Prepared {
        Prepared { command: self.command(arguments), arguments: arguments.join(" "), input: Vec::new() }
    }

    /// The same of the tool that knows what a game is.
    pub(crate) fn linked(&self, arguments: &[&str]) -> Prepared {
        let command = self.command_of(linked_tool(), arguments);
        Prepared { command, arguments: arguments.join(" "), input: Vec::new() }
    }

    fn import_numbered(&self, stream: &str, events: u64) {
        let lines: Vec<String> = (1..=events).map(|number| event(stream, number)).collect();
        self.run(&["import"]).with(&lines.join("\n")).is(0);
    }

    /// Appends events of every kind, more than two batches of an import.
    fn fill_with_everything(&self) {
        let store = EventStore::open(self.store()).expect("the store");
        let kinds = [
            NewEvent::json("started", &("ä", 0.1 + 0.2, u64::MAX)).expect("an event").schema(7).tag("player", 8812),
            NewEvent::bytes("raw", *b"\0\xff\x1b[31m").occurred(Timestamp::from_nanos(-1)),
            NewEvent::with_codec("odd", Codec::Other(77), Vec::new()).correlation("c\u{9b}").causation("").actor("ゲ"),
            NewEvent::with_codec("pretty", Codec::Json, b"{ \"a\": 1 }".to_vec()).tag("a", "b:c").tag("a", ""),
            NewEvent::with_codec("broken", Codec::Json, b"{\"a\":".to_vec())
                .meta("k", &[1.5])
                .id(EventId::from_bytes([9; 16])),
            NewEvent::with_codec("number", Codec::Json, b"12345678901234567890.0e-400".to_vec())
                .meta("ö", &Value::Null),
        ];
        for round in 0..26 {
            let mut batch = store.batch();
            for (number, event) in (0..100).zip(kinds.iter().cycle()) {
                let stream = StreamName::new(format!("stream-{}", number * round % 11)).expect("a name");
                batch = batch.append(&stream, ExpectedVersion::Any, [event.clone()]);
            }
            batch.commit().wait().expect("appended");
        }
        store.close().expect("closed");
    }

    /// The number of events, once readers in other processes see them all: they are told within moments, not at once.
    pub(crate) fn wait_until_seen(&self, store: &EventStore) -> u64 {
        let head = store.head().expect("the head");
        let begun = Instant::now();
        while EventStore::open_read_only(self.store()).expect("the store").head().expect("the head") < head {
            assert!(begun.elapsed() < PATIENCE, "readers never see position {head}");
            std::thread::sleep(Duration::from_millis(1));
        }
        head.get()
    }

    /// Every file of the store, with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.store(), &mut files);
        files
    }

    /// Flips one bit where this text stands in the log.
    pub(crate) fn flip(&self, text: &str) {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).position(|window| window == text.as_bytes());
        let (path, mut bytes, at) = self
            .files()
            .into_iter()
            .find_map(|(path, bytes)| holds(&bytes).map(|at| (path, bytes, at)))
            .expect("the text is in some file");
        bytes[at] ^= 1;
        fs::write(path, bytes).expect("written");
    }

    /// Leaves something behind the end of the log, as a crash does.
    fn leave_remains(&self) {
        let info = self.run(&["info"]).is(0).object();
        let number = |name: &str| info["visible_end"][name].as_u64().expect("a number");
        let (path, mut bytes) = self
            .files()
            .into_iter()
            .find(|(path, _)| path.ends_with(format!("log/{:010}.log", number("segment"))))
            .expect("the segment");
        let at = usize::try_from(number("byte")).expect("a place in the file");
        bytes[at..at + 7].copy_from_slice(b"remains");
        fs::write(path, bytes).expect("written");
    }
}

/// The example that is the tool with an aggregate. It is built with the tests, but not where only some are asked for:
/// then, and where it is older than they are, this builds it.
fn linked_tool() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let tests = std::env::current_exe().expect("this is a program");
        let profile = tests.ancestors().nth(2).expect("tests lie in deps/ of a profile's directory");
        let target = profile.parent().expect("a profile's directory lies in the one of all builds");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--example", "linked_tool", "--target-dir"]).arg(target);
        // The same features, so that nothing else is built anew.
        cargo.args(if cfg!(feature = "mutants") { &["--all-features"][..] } else { &["--features", "cli"] });
        cargo.args(if profile.ends_with("release") { &["--release"][..] } else { &[] });
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(status.success(), "the example is built");
        profile.join("examples/linked_tool")
    })
}

/// A line with an event whose payload is its number.
fn event(stream: &str, number: u64) -> String {
    format!(r#"{{"stream":"{stream}","type":"numbered","data":{number}}}"#)
}

/// The keys of a line and their values as they stand.
pub(crate) fn members(line: &str) -> BTreeMap<String, String> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("a JSON object");
    members.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
}

fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let bytes = fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
}

/// The exit code of a process that ends by itself.
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("a process") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    panic!("it did not end by itself");
}
