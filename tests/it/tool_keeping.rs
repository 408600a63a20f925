//! The tool's commands about keeping, as their users meet them: deleting, truncating, rules and holds, backups, health.

use crate::tool::{Place, members};
use scorebook::EventStore;

/// A store with a game of five events and a team of one.
fn with_a_game(place: &Place) {
    let line = |stream: &str, number: u32| format!(r#"{{"stream":"{stream}","type":"counted","data":{number}}}"#);
    let mut lines: Vec<String> = (1..6).map(|number| line("game-42", number)).collect();
    lines.push(line("team-7", 6));
    place.run(&["import"]).with(&lines.join("\n")).is(0);
}

fn versions(place: &Place, stream: &str) -> Vec<String> {
    place.run(&["read", stream]).is(0).lines().iter().map(|line| members(line)["version"].clone()).collect()
}

fn fact(lines: &[String], name: &str) -> String {
    members(&lines[0])[name].clone()
}

#[test]
fn a_stream_is_deleted_undeleted_and_finished() {
    let place = Place::new();
    with_a_game(&place);
    let planned = place.run(&["delete", "game-42", "--dry-run"]).is(0).lines();
    assert_eq!((fact(&planned, "events"), fact(&planned, "done")), ("5".to_owned(), "false".to_owned()));
    assert_eq!(versions(&place, "game-42"), ["1", "2", "3", "4", "5"], "nothing was done");
    place.run(&["delete", "game-42"]).is(2).says("say --yes to go ahead");
    place.run(&["delete", "game-42", "--yes", "--expect", "4"]).is(6);
    place.run(&["delete", "game-42", "--yes", "--reason", "a mistake"]).is(0);
    place.run(&["read", "game-42"]).is(3).says("it was deleted, because: a mistake");
    place.run(&["delete", "game-42", "--yes"]).is(3);
    place.run(&["undelete", "game-42", "--yes"]).is(0);
    assert_eq!(versions(&place, "game-42").len(), 5);
    place.run(&["undelete", "game-42", "--yes"]).is(1).says("nothing of it is deleted");
    place.run(&["delete", "game-42", "--for-ever", "--yes"]).is(0);
    place.run(&["delete", "never-used", "--for-ever", "--yes"]).is(0);
    for stream in ["game-42", "never-used"] {
        place.run(&["read", stream]).is(3).says("it is finished");
        let line = r#"{"type":"counted","data":1}"#;
        place.run(&["append", stream]).with(line).is(6).says(&format!("stream {stream} is finished"));
    }
    place.run(&["delete", "nothing", "--yes"]).is(3);
}

#[test]
fn a_stream_is_truncated_and_says_where_it_begins() {
    let place = Place::new();
    with_a_game(&place);
    let done = place.run(&["truncate", "game-42", "4", "--yes"]).is(0).lines();
    assert_eq!((fact(&done, "first_before"), fact(&done, "first")), ("1".to_owned(), "4".to_owned()));
    assert_eq!(versions(&place, "game-42"), ["4", "5"]);
    place.run(&["read", "game-42", "--from", "2"]).is(3).says("it begins with version 4");
    place.run(&["truncate", "game-42", "9", "--yes"]).is(1).says("its next event has version 6");
    place.run(&["truncate", "nothing", "2", "--yes"]).is(3);
}

#[test]
fn something_is_said_about_a_stream() {
    let place = Place::new();
    with_a_game(&place);
    place.run(&["metadata", "game-42"]).is(3).says("nothing is said about stream game-42");
    let set = ["metadata", "game-42", "--set", r#"{"guild":77}"#, "--revision", "0"];
    place.run(&set).is(2).says("nobody is there to ask");
    let planned = place.run(&[&set[..], &["--dry-run"]].concat()).is(0).lines();
    assert_eq!(
        (fact(&planned, "done"), fact(&planned, "metadata")),
        ("false".to_owned(), r#"{"guild":77}"#.to_owned())
    );
    place.run(&["metadata", "game-42"]).is(3);
    let said = place.run(&[&set[..], &["--yes"]].concat()).is(0).lines();
    assert_eq!((fact(&said, "revision"), fact(&said, "metadata")), ("1".to_owned(), r#"{"guild":77}"#.to_owned()));
    place
        .run(&["metadata", "game-42", "--set", "1", "--revision", "0", "--yes"])
        .is(6)
        .says("has revision 1, expected 0");
    place.run(&["metadata", "game-42", "--set", "{"]).is(2);
    assert_eq!(fact(&place.run(&["metadata", "game-42"]).is(0).lines(), "revision"), "1");
}

#[test]
fn rules_and_holds_are_set_listed_and_taken_away() {
    let place = Place::new();
    with_a_game(&place);
    assert!(place.run(&["retention"]).is(0).lines().is_empty());
    place.run(&["retention", "type:counted", "--newest", "100", "--newer-than", "30d", "--yes"]).is(0);
    place.run(&["retention", "category:game", "--forever", "--yes"]).is(0);
    let rules = place.run(&["retention"]).is(0).lines();
    let expected = [
        r#"{"scope":"category:game","newest":null,"newer_than_s":null}"#,
        r#"{"scope":"type:counted","newest":100,"newer_than_s":2592000}"#,
    ];
    assert_eq!(rules, expected);
    assert_eq!(place.run(&["retention", "type:counted"]).is(0).lines(), expected[1..]);
    place.run(&["retention", "type:counted", "--clear", "--yes"]).is(0);
    assert_eq!(place.run(&["retention"]).is(0).lines(), expected[..1]);
    place.run(&["retention", "game"]).is(2);
    place.run(&["retention", "everything", "--newest", "0"]).is(2);

    place.run(&["hold", "stream:game-42", "case 12", "--yes"]).is(0);
    let holds = place.run(&["hold"]).is(0).lines();
    assert_eq!(
        (fact(&holds, "scope"), fact(&holds, "label")),
        (r#""stream:game-42""#.to_owned(), r#""case 12""#.to_owned())
    );
    place.run(&["hold", "stream:game-42", "case 12", "--release", "--yes"]).is(0);
    assert!(place.run(&["hold"]).is(0).lines().is_empty());
    place.run(&["hold", "stream:game-42"]).is(2);
}

#[test]
fn a_backup_is_taken_beside_a_writer_verified_and_restored() {
    let place = Place::new();
    with_a_game(&place);
    let store = EventStore::open(place.store()).expect("the store");
    let backup = place.store().with_file_name("backup");
    let backup = backup.to_str().expect("a path");
    let planned = place.run(&["backup", backup, "--dry-run"]).is(0).lines();
    assert!(!place.store().with_file_name("backup").exists(), "nothing is done");
    let taken = place.run(&["backup", backup]).is(0).lines();
    assert_eq!(fact(&planned, "bytes_to_copy"), fact(&taken, "bytes_copied"));
    let planned = place.run(&["backup", backup, "--dry-run"]).is(0).lines();
    assert_eq!((fact(&planned, "segments_to_copy"), fact(&planned, "bytes_to_copy")), ("0".to_owned(), "0".to_owned()));
    assert_eq!((fact(&taken, "position"), fact(&taken, "number")), ("6".to_owned(), "1".to_owned()));
    let again = place.run(&["backup", backup]).is(0).lines();
    assert_eq!((fact(&again, "bytes_copied"), fact(&again, "number")), ("0".to_owned(), "2".to_owned()));
    assert_eq!(fact(&place.run(&["backup", backup, "--verify"]).is(0).lines(), "position"), "6");
    store.close().expect("closed");
    let restored = place.store().with_file_name("restored");
    let restored = restored.to_str().expect("a path");
    let planned = place.run(&["--dir", restored, "restore", backup, "--to", "3", "--dry-run"]).is(0).lines();
    assert!(!place.store().with_file_name("restored").exists(), "nothing is done");
    let done = place.run(&["--dir", restored, "restore", backup, "--to", "3"]).is(0).lines();
    assert_eq!((fact(&planned, "position"), fact(&planned, "bytes")), (fact(&done, "position"), fact(&done, "bytes")));
    // They were imported as one batch: none of it is whole by then.
    assert_eq!(fact(&done, "position"), "0");
    place.run(&["--dir", restored, "restore", backup]).is(1).says("is not empty");
    let whole = place.store().with_file_name("whole");
    let whole = whole.to_str().expect("a path");
    place.run(&["--dir", whole, "restore", backup]).is(0);
    assert_eq!(place.run(&["--dir", whole, "read", "game-42"]).is(0).lines().len(), 5);
    place.run(&["backup", place.store().to_str().expect("a path"), "--verify"]).is(3).says("holds no backup");
}

#[test]
fn health_says_what_somebody_should_look_at() {
    let place = Place::new();
    with_a_game(&place);
    let well = place.run(&["health", "--room", "0"]).is(0).lines();
    assert_eq!(fact(&well, "concerns"), "[]");
    let room = u64::MAX.to_string();
    place.run(&["health", "--room", &room]).is(8).says("there is room for");
}

#[test]
fn a_damaged_store_is_repaired_and_takes_appends_again() {
    let place = Place::new();
    for number in 1..7 {
        place.run(&["append", "game-42"]).with(&format!(r#"{{"type":"counted","data":"number {number}"}}"#)).is(0);
    }
    place.run(&["repair", "--yes"]).is(1).says("nothing is damaged");
    place.flip("number 3");
    place.run(&["append", "game-42"]).with(r#"{"type":"counted","data":7}"#).is(4);
    let before = place.files();
    place.run(&["verify"]).is(4).says("`scorebook repair`");
    place.run(&["repair"]).is(2).says("say --yes to go ahead");
    let planned = place.run(&["repair", "--dry-run"]).is(0).object();
    assert_eq!(planned["lost"], serde_json::json!([{ "first": 3, "last": 3 }]));
    assert_eq!((&planned["events_kept"], &planned["done"]), (&5.into(), &false.into()), "{planned}");
    assert!(place.files() == before, "nothing was done");
    let done = place.run(&["repair", "--yes"]).is(0).object();
    assert_eq!(done["moved"], serde_json::json!(["quarantine/0000000001.log"]));
    place.run(&["verify"]).is(0);
    place.run(&["read", "game-42"]).is(4).says("lost");
    assert_eq!(place.run(&["read", "--after", "3"]).is(0).lines().len(), 3);
    place.run(&["append", "game-42", "--expect", "6"]).with(r#"{"type":"counted","data":7}"#).is(0);
    place.run(&["append", "new-1"]).with(r#"{"type":"counted","data":1}"#).is(4);

    place.flip("number 5");
    let done = place.run(&["repair", "--yes", "--accept-losses"]).is(0).object();
    assert_eq!((&done["losses_accepted"], &done["done"]), (&true.into(), &true.into()), "{done}");
    place.run(&["append", "new-1"]).with(r#"{"type":"counted","data":1}"#).is(0);
    place.run(&["verify"]).is(0);
    place.run(&["--dir", "nowhere", "repair", "--yes"]).is(3);
}

#[test]
fn there_is_nothing_to_migrate_to_and_a_newer_format_is_refused_by_name() {
    let place = Place::new();
    with_a_game(&place);
    let before = place.files();
    let planned = place.run(&["migrate", "--dry-run"]).is(0).object();
    assert_eq!((&planned["format"], &planned["bytes_to_write"]), (&1.into(), &0.into()));
    assert!(planned["segments"].as_array().is_some_and(|all| all.iter().all(|of| of["format"] == 1)), "{planned}");
    let done = place.run(&["migrate", "--yes"]).is(0).object();
    assert_eq!((&done["segments_written"], &done["done"]), (&0.into(), &true.into()));
    assert_eq!(place.files(), before);
    place.run(&["--dir", "nowhere", "migrate", "--dry-run"]).is(3);
    // A preamble of format 2, as a later version would write it.
    let path = place.store().join("log/0000000001.log");
    let mut bytes = std::fs::read(&path).expect("a segment");
    bytes[12] = 2;
    let sum = crc32(&bytes[12..512]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, bytes).expect("written");
    for command in [&["migrate", "--dry-run"][..], &["info"], &["verify"], &["repair", "--yes"], &["read"]] {
        place.run(command).is(7).says("it has format 2, this version knows 1");
    }
}

/// CRC-32 as in zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| {
        if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 }
    };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}
