//! Word games as the tool tells them: golden texts of all modes, and what must hold of every game.

use super::game::{NOON, Table, guild, team, teams};
use super::game_rules::{GOLF_RACE, KNOCKOUT, LONGFORM, RACE};
use super::tool::Place;
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{Aggregate, Event, EventStore, ExpectedVersion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

impl Place {
    /// Records what happened at a table.
    fn record(&self, table: &Table) -> String {
        let store = EventStore::open(self.store()).expect("the store");
        let id = table.game.id().expect("an id");
        let events = table.events.iter().map(|event| event.dress(event.encode().expect("it can be written")));
        store.append(&id.stream(), ExpectedVersion::NoStream, events).wait().expect("it is new");
        store.close().expect("closed");
        id.to_string()
    }

    /// Records that players and teams have names.
    fn name(&self, players: &[(u64, &str)], names: &[(u64, &str)]) {
        let store = EventStore::open(self.store()).expect("the store");
        for (player, name) in players {
            let user = store.aggregate::<User>(&PlayerId::from(*player).stream());
            let register = UserAction::Register { guild: guild(), username: (*name).to_owned(), display_name: None };
            user.execute(UserCommand::new(NOON, register)).wait().expect("a good name");
        }
        for (number, name) in names {
            let (id, name) = (team(*number), Some((*name).to_owned()));
            let team = store.aggregate::<Team>(&id.stream(guild()));
            let create = TeamAction::Create { by: id.players()[0], name };
            team.execute(TeamCommand::new(NOON, create)).wait().expect("a good name");
        }
        store.close().expect("closed");
    }
}

/// Both players say a word, so many milliseconds after what was before.
fn guess(table: &mut Table, number: u64, (first_ms, first): (u64, &str), (second_ms, second): (u64, &str)) {
    let [player1, player2] = team(number).players();
    table.wait(first_ms);
    table.say(player1, first);
    table.wait(second_ms);
    table.say(player2, second);
}

fn two_player() -> Table {
    let config = GameConfig::TwoPlayer { rounds_required: 3, success_threshold: 2 };
    let mut table = Table::open(config, &teams(1));
    table.act(GameAction::ChangeStatus { player: 4.into(), status: PlayerStatus::Away });
    table.wait(20_000);
    table.act(GameAction::ChangeStatus { player: 4.into(), status: PlayerStatus::Active });
    table.wait(10_000);
    table.start();
    guess(&mut table, 1, (3_200, "beach"), (1_900, "sand"));
    table.wait(4_000);
    table.say(4.into(), "shore");
    table.wait(430);
    table.say(3.into(), "Shore");
    guess(&mut table, 1, (5_000, "otter"), (0, "beaver"));
    table.wait(2_000);
    table.say(3.into(), "dam");
    table.wait(61_000);
    table.say(4.into(), "give up");
    table.act(GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(3.into()) });
    table.wait(90_000);
    table.act(GameAction::Resume { by: Some(4.into()) });
    guess(&mut table, 1, (1_000, "ocean"), (1_000, "ocean"));
    guess(&mut table, 1, (700, "tree"), (100, "tree"));
    table
}

fn knockout() -> Table {
    let mut table = Table::started(KNOCKOUT, 5);
    guess(&mut table, 1, (2_000, "beach"), (1_000, "beach"));
    guess(&mut table, 2, (2_000, "fire"), (1_000, "water"));
    guess(&mut table, 2, (2_000, "steam"), (1_500, "steam"));
    guess(&mut table, 5, (9_000, "snow"), (1_000, "snow"));
    table.miss(team(3), 12);
    table.wait(1_000);
    table.say(team(4).players()[1], "lonely");
    table.pass_to_deadline();
    table.wait(2_000);
    table.pass_to_deadline();
    guess(&mut table, 1, (2_000, "moon"), (1_000, "moon"));
    table.say(12.into(), "lonely");
    table.wait(500);
    table.leave(11.into());
    table
}

fn race(config: GameConfig) -> Table {
    let mut table = Table::started(config, 2);
    guess(&mut table, 1, (2_000, "beach"), (1_000, "beach"));
    guess(&mut table, 2, (1_000, "fire"), (1_000, "water"));
    guess(&mut table, 1, (500, "sun"), (250, "sun"));
    table.say(5.into(), "ice");
    table.wait(3_000);
    table.say(6.into(), "give up");
    guess(&mut table, 2, (1_000, "cloud"), (1_000, "cloud"));
    table.say(3.into(), "lonely");
    table.pass_to_deadline();
    table
}

fn longform() -> Table {
    let mut table = Table::started(LONGFORM, 3);
    guess(&mut table, 1, (20_000_000, "beach"), (7_000_000, "beach"));
    guess(&mut table, 2, (20_000_000, "fire"), (7_000_000, "fire"));
    table.pass_to_deadline();
    guess(&mut table, 2, (20_000_000, "moon"), (7_000_000, "sun"));
    guess(&mut table, 2, (20_000_000, "star"), (7_000_000, "star"));
    guess(&mut table, 1, (1_000_000, "day"), (1_000_000, "day"));
    table.pass_to_deadline();
    table
}

/// A store with one game in it, in which some have names.
fn place_of(table: &Table) -> (Place, String) {
    let place = Place::new();
    let id = place.record(table);
    place.name(&[(3, "Ada"), (4, "Bob"), (5, "Cleo"), (6, "Ada")], &[(1, "Night owls")]);
    (place, id)
}

impl Place {
    /// What is told to people.
    fn told(&self, arguments: &[&str]) -> String {
        self.run(&[&["replay", "--format", "table"], arguments].concat()).is(0).out
    }

    /// What is told to programs of one game.
    fn data(&self, arguments: &[&str]) -> Value {
        self.run(&[&["replay", "--format", "ndjson"], arguments].concat()).is(0).object()
    }

    /// Appends an event as a line of NDJSON says it, to a game.
    fn forge(&self, id: &str, line: &str) {
        self.run(&["append", &format!("game-{id}")]).with(line).is(0);
    }
}

/// Holds what was told against the golden texts. Of one that differs, what was told lies beside the built tests.
fn check_golden(told: &[(&str, String)]) {
    let mut differing = Vec::new();
    for (name, told) in told {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/replay").join(format!("{name}.txt"));
        if fs::read_to_string(&golden).unwrap_or_default() != *told {
            let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.txt"));
            fs::write(&beside, told).expect("it can be written");
            differing.push(format!("{name}, see {}:\n{told}", beside.display()));
        }
    }
    assert!(differing.is_empty(), "not as it should be: {}", differing.join("\n"));
}

#[test]
fn games_of_all_modes_are_told_side_by_side() {
    let games = [
        ("two_player", two_player()),
        ("knockout", knockout()),
        ("race", race(RACE)),
        ("golf_race", race(GOLF_RACE)),
        ("longform", longform()),
    ];
    let told = games.map(|(name, table)| {
        let (place, id) = place_of(&table);
        (name, place.told(&[&id]))
    });
    check_golden(&told);
}

#[test]
fn every_event_is_a_sentence_and_the_state_behind_it_too() {
    let (place, id) = place_of(&two_player());
    let moves = place.told(&[&id, "--step"]);
    let (place, id) = place_of(&knockout());
    let whole = place.told(&[&id, "--step", "--whole"]);
    check_golden(&[("two_player_step", moves), ("knockout_whole", whole)]);
    let steps = place.run(&["replay", &id, "--step"]).is(0).lines();
    let steps = steps.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>();
    assert_eq!(steps.len(), knockout().events.len());
    assert!(steps.iter().zip(1..).all(|(step, version)| step["version"] == version));
    let last = steps.last().expect("there are some");
    let (said, phase) = ("the game is over: Night owls won", "completed");
    assert_eq!((&last["said"], &last["state"]["phase"]), (&said.into(), &phase.into()));
    assert_eq!(last["state"], place.run(&["state", &format!("game-{id}")]).is(0).object());
}

#[test]
fn a_game_is_told_as_it_was_at_a_version_or_a_time() {
    let (place, id) = place_of(&two_player());
    let table = two_player();
    for version in 1..table.events.len() {
        let data = place.data(&[&id, "--at", &version.to_string()]);
        assert_eq!(data["version"], version);
        let pending = matches!(table.events[version - 1], GameEvent::GuessStarted(_));
        let told = place.told(&[&id, "--at", &version.to_string()]);
        assert_eq!(told.contains("has not answered yet"), pending, "at {version}: {told}");
        assert!(!told.contains("never answered"), "at {version}: {told}");
    }
    let told = place.told(&[&id, "--at", "0"]);
    assert_eq!(told, format!("game    {id}\nnow     nothing has happened yet\n"));
    assert_eq!(place.told(&[&id, "--at", "0", "--step"]), told);
    assert_eq!(place.data(&[&id, "--at", "1970-01-01"])["phase"], "missing");
    assert_eq!(place.told(&[&id, "--at", "2200-01-01"]), place.told(&[&id]));
    place.run(&["replay", &id, "--at", "99"]).is(3).says("there is no version 99");
}

#[test]
fn a_game_that_is_not_over_says_how_far_it_is() {
    let check = |table: &Table, parts: &[&str]| {
        let (place, id) = place_of(table);
        let told = place.told(&[&id]);
        assert!(parts.iter().all(|part| told.contains(part)), "{parts:?} in\n{told}");
    };
    let mut table = Table::open(RACE, &teams(1));
    check(&table, &["now     not begun; if nothing happens, it is cancelled at 2023-11-14T23:13:20.000Z\n"]);
    assert_eq!(table.events.len(), 1);
    table.wait(5_000);
    table.act(GameAction::Join { player: 9.into(), team: None });
    check(&table, &["        player 9, without a partner\n", "  0:05  player 9 came, and waits for a partner\n"]);
    table.act(GameAction::Join { player: 10.into(), team: None });
    table.wait(5_000);
    table.start();
    check(
        &table,
        &["  -0:05  player 10 came, with player 9 as team-9-10\n", "now     being played; the race is over at"],
    );
    table.wait(2_000);
    table.say(10.into(), "ocean");
    check(&table, &["1        -         ocean      2.0 s  player 9 has not answered yet\n", "Standings so far\n"]);
    table.act(GameAction::Pause { reason: PauseReason::BotRestart, by: None });
    check(&table, &["now     being played; held up since 2023-11-14T22:13:32.000Z\n", "the bot was not there"]);
    table.wait(60_000);
    table.act(GameAction::Resume { by: None });
    table.leave(9.into());
    check(&table, &["played  2.0 s, without 1 pause of 1 min 00 s\n", "player 9 left\n", "Night owls won\n"]);

    let mut table = Table::started(KNOCKOUT, 2);
    table.wait(1_000);
    table.say(3.into(), "ocean");
    table.act(GameAction::Cancel { by: 700.into(), right: CancelRight::Admin });
    let cancelled = "now     cancelled at 2023-11-14T22:13:21.000Z: player 700 ended it for the guild\n";
    check(&table, &[cancelled, "Bob never answered\n", "Standings\n"]);
}

#[test]
fn the_same_is_told_as_data() {
    let (place, id) = place_of(&race(GOLF_RACE));
    let data = place.data(&[&id]);
    assert_eq!(
        (&data["game"], &data["mode"], &data["guild"]),
        (&id.as_str().into(), &"golf_race".into(), &"900".into())
    );
    assert_eq!(data["teams"][1]["players"][1], json!({"player": "6", "name": "Ada"}));
    assert_eq!(data["rounds"][1]["points"], -1);
    let expected = json!([
        {
            "attempt": 1, "dealt": ["wfq", "wgq"], "outcome": "no_match", "ended_ms": 5_000,
            "said": [
                {"player": "5", "word": "fire", "at_ms": 4_000, "took_ms": 4_000},
                {"player": "6", "word": "water", "at_ms": 5_000, "took_ms": 5_000},
            ],
            "faster": "5", "faster_by_ms": 1_000,
        },
        {
            "attempt": 2, "outcome": "gave_up", "by": "6", "ended_ms": 8_750,
            "said": [{"player": "5", "word": "ice", "at_ms": 5_750, "took_ms": 750}],
        },
    ]);
    assert_eq!(data["rounds"][1]["attempts"], expected);
    assert_eq!(
        data["players"]["6"],
        json!({"words": 2, "average_ms": 3_500, "compared": 2, "faster": 0, "gave_up": 1})
    );
    assert_eq!((&data["standings"][0]["place"], &data["winners"][0]), (&1.into(), &"team-3-4".into()));
    assert_eq!(data["happened"][0]["from_start_ms"], 180_000);
    assert_eq!(data["stats"]["teams"]["team-3-4"]["score"], 8);
    let array = place.run(&["replay", &id, "--format", "json"]).is(0).object();
    assert_eq!(array, json!([data]));
}

#[test]
fn a_game_is_named_by_its_id_or_its_stream_and_there_may_be_several() {
    let (place, id) = place_of(&race(RACE));
    let told = place.told(&[&id]);
    let stream = format!("game-{id}");
    assert_eq!(place.told(&[&stream]), told);
    assert_eq!(place.told(&[&id.to_uppercase()]), told);
    assert_eq!(place.told(&[&id, &stream]), format!("== {stream}\n{told}\n== {stream}\n{told}"));
    place.run(&["append", "note-1"]).with(r#"{"type":"noted","data":1}"#).is(0);
    let both = place.run(&["replay", &id, "note-1", &id, "--format", "json"]).is(0);
    let both = both.says("no aggregate folds category `note`").object();
    assert_eq!((&both[0], &both[1]["type"], both.as_array().map(Vec::len)), (&both[2], &"noted".into(), Some(3)));
    let (unknown, lost) = ("018bcfe5-6800-7000-8000-000000000000", place.run(&["replay", &id, "game-7"]).is(3));
    assert_eq!(lost.lines().len(), 1);
    place.run(&["replay", unknown]).is(3).says(&format!("game-{unknown}"));
    place.run(&["replay"]).is(2);
    // A finished game has a name; one that is unknown is a stream as any other.
    place.run(&["replay", "otter-123"]).is(3).says("otter-123");
    let (store, game) = (EventStore::open(place.store()).expect("the store"), GameId::new(NOON, [7; 10]));
    let created = ReplayCreated {
        game_id: game,
        guild_id: guild(),
        mode: Mode::Race,
        name: "otter-123".parse().expect("a name"),
        event_count: 25,
        start_time: NOON,
        end_time: NOON,
        created_at: NOON,
    };
    let replay = store.aggregate::<Replay>(&game.replay_stream());
    replay.execute(ReplayCommand::Create(created)).wait().expect("it has none");
    store.close().expect("closed");
    let named = told.replacen("\nmode ", "\nname    otter-123\nmode ", 1);
    assert_eq!((place.told(&["Otter-123"]), place.told(&[&id])), (named.clone(), named));
    assert_eq!(place.data(&["otter-123"])["name"], "otter-123");
    assert_eq!(place.run(&["state", &format!("replay-{id}")]).is(0).object()["accesses"], 0);
    place.run(&["replay", "otter-124"]).is(3).says("otter-124");
    // A stream that is called as only games are is the stream itself.
    place.run(&["append", unknown]).with(r#"{"type":"noted","data":1}"#).is(0);
    place.run(&["replay", unknown]).is(0).says("no aggregate");
}

#[test]
fn forged_events_are_named_and_what_precedes_them_is_told_first() {
    let table = race(RACE);
    let forged = |event_type: &str, change: &dyn Fn(&mut Value)| {
        let event = table.events.iter().map(|event| event.encode().expect("it can be written"));
        let event = event.rev().find(|event| event.event_type() == event_type).expect("there is one");
        let mut data: Value = serde_json::from_slice(event.data()).expect("JSON");
        change(&mut data);
        json!({ "type": event_type, "data": data }).to_string()
    };
    for (line, named) in [
        (r#"{"type":"guess_processed","data":7}"#.to_owned(), "decoding"),
        (r#"{"type":"guess_processed","schema":9,"data":7}"#.to_owned(), "schema 9"),
        (r#"{"type":"stolen","data":7}"#.to_owned(), "`stolen`"),
        (forged("guess_processed", &|data| data["guess_count"] = 0.into()), "guess_count"),
        (forged("guess_processed", &|data| data["player1_word"] = "\u{1b}[31m".into()), "does not belong in a word"),
        (forged("game_started", &|data| data["game_id"] = "018bcfe5-6800-7000-8000-000000000000".into()), "game_id"),
        (
            r#"{"type":"user_registered","data":{"user_id":"1","guild_id":"1","username":"x","created_at":1}}"#
                .to_owned(),
            "game_id",
        ),
    ] {
        let (place, id) = place_of(&table);
        let (whole, steps) = (place.told(&[&id]), place.told(&[&id, "--step"]));
        place.forge(&id, &line);
        let position = table.events.len() + 6;
        let check = |arguments: &[&str], expected: &str| {
            let told = place.run(&[&["replay", &id, "--format", "table"], arguments].concat()).is(10);
            assert_eq!(told.says(named).says(&format!("position {position}")).out, expected, "{line}");
        };
        check(&[], &whole);
        check(&["--step"], &steps);
        let array = place.run(&["replay", &id, "--format", "json"]).is(10).object();
        assert_eq!(array[0]["version"], table.events.len());
        assert_eq!(place.told(&[&id, "--at", &table.events.len().to_string()]), whole);
    }
    // Where the first is forged, there is nothing to tell.
    let (place, id) = (Place::new(), "018bcfe5-6800-7000-8000-000000000000");
    place.forge(id, r#"{"type":"game_created","data":{}}"#);
    assert_eq!(place.run(&["replay", id]).is(10).says("`game_created`").out, "");
}

#[test]
fn events_that_make_no_sense_are_told_all_the_same() {
    let (place, id) = place_of(&two_player());
    let table = two_player();
    let lines = table.events.iter().rev().map(|event| {
        let event = event.encode().expect("it can be written");
        let data: Value = serde_json::from_slice(event.data()).expect("JSON");
        json!({ "type": event.event_type(), "data": data }).to_string()
    });
    place.forge(&id, &lines.collect::<Vec<_>>().join("\n"));
    let told = place.told(&[&id]);
    for word in ["beach", "sand", "beaver", "dam"] {
        assert_eq!(told.matches(word).count(), if word == "beach" || word == "dam" { 3 } else { 2 }, "{word}:\n{told}");
    }
    place.run(&["replay", &id, "--step", "--whole"]).is(0);
}

#[test]
fn names_come_from_anywhere_and_harm_no_terminal() {
    let (place, id) = place_of(&two_player());
    let name = "x\u{1b}[31m\u{202e}\n".to_owned() + &"é".repeat(200);
    let data = json!({ "user_id": "3", "display_name": name, "updated_at": 1 });
    let line = json!({ "type": "user_profile_updated", "data": data }).to_string();
    place.run(&["append", "user-3"]).with(&line).is(0);
    for arguments in [&[&*id][..], &[&id, "--step", "--whole"]] {
        let told = place.told(arguments);
        assert!(told.contains(r"x\u{1b}[31m\u{202e}\n"), "{told}");
        assert!(!told.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{told:?}");
    }
    // A name that cannot be read is worth a word, and no failure.
    place.run(&["append", "user-4"]).with(r#"{"type":"user_profile_updated","data":7}"#).is(0);
    let told = place.run(&["replay", &id, "--format", "table"]).is(0);
    assert!(told.says("without the name that user-4 has").out.contains("player 4"), "{}", told.out);
}

#[test]
fn what_is_no_word_game_is_not_shown_as_one() {
    let id = "018bcfe5-6800-7000-8000-000000000000";
    let stream = format!("game-{id}");
    // Named like one, and begun with something else: the stock tool knows nothing of it.
    let place = Place::new();
    place.run(&["append", &stream]).with("{\"type\":\"bet\",\"data\":1}\n{\"type\":\"game_started\",\"data\":1}").is(0);
    let events = place.run(&["read", &stream]).is(0).out;
    assert_eq!(place.run(&["replay", id]).is(0).says("but that of the word game").out, events);
    assert_eq!(place.run(&["state", &stream]).is(3).out, events);
    place.run(&["check"]).is(0).says("no type is known here");
    place.run(&["append", "user-7"]).with(r#"{"type":"user_registered","data":1}"#).is(0);
    place.run(&["state", "user-7"]).is(10);
    place.run(&["check"]).is(10);

    // A program with games of its own shows them in its own way, whatever they are called.
    let place = Place::new();
    let lines = r#"{"type":"game_started","data":{"players":["alice","bob"]}}"#.to_owned()
        + "\n"
        + r#"{"type":"guessed","data":"alice"}"#;
    place.run(&["append", &stream]).with(&lines).is(0);
    let told = place.linked(&["replay", &stream]).is(0).object();
    assert_eq!(told["state"], json!({"is_over": false, "scores": {"alice": 1, "bob": 0}}));
    assert_eq!(place.linked(&["replay", id]).is(3).out, "");
    let (place, id) = place_of(&two_player());
    place.linked(&["replay", &format!("game-{id}")]).is(10);
}

#[test]
fn the_stock_tool_folds_games_teams_and_users() {
    let (place, id) = place_of(&knockout());
    let state = |stream: &str| place.run(&["state", stream]).is(0).object();
    let game = state(&format!("game-{id}"));
    assert_eq!((&game["phase"], &game["guild"], &game["creator"]), (&"completed".into(), &"900".into(), &"3".into()));
    assert_eq!(game["sides"]["team-5-6"]["out"], "forced_elimination");
    assert_eq!(state("team-900-3-4")["name"], "Night owls");
    assert_eq!(state("user-5")["username"], "Cleo");
    let differences = place.run(&["diff", &format!("game-{id}"), "1", "2", "--format", "table"]).is(0).lines();
    assert!(differences.contains(&"phase: \"open\" -> \"in_round\"".to_owned()), "{differences:?}");
    let report = place.run(&["check"]).is(0).object();
    assert_eq!((&report["sound"], &report["unknown"], &report["streams_folded"]), (&true.into(), &0.into(), &6.into()));
}

#[test]
fn a_game_that_begins_with_a_state_is_folded_from_it_and_says_so_where_more_is_asked() {
    let (place, id) = place_of(&knockout());
    let stream = format!("game-{id}");
    let told = |arguments: &[&str]| place.run(&[&["state", &stream], arguments].concat()).is(0).out;
    let (whole, before) = (told(&[]), told(&["--at", "9"]));
    let planned = place.run(&["truncate", &stream, "10", "--carry", "--dry-run"]).is(0).object();
    assert_eq!((&planned["carries"], &planned["done"]), (&true.into(), &false.into()));
    place.run(&["truncate", &stream, "10", "--carry", "--yes"]).is(0);
    assert_eq!((told(&[]), told(&["--at", "9"])), (whole.clone(), before));
    place.run(&["state", &stream, "--at", "8"]).is(3).says("begins with a state of version 9");
    assert_eq!(place.run(&["check"]).is(0).object()["sound"], true);
    // What came before is not known any more: there is no story to tell.
    let replayed = place.run(&["replay", &stream]).is(0).object();
    assert_eq!(replayed["state"].to_string(), serde_json::from_str::<Value>(&whole).expect("JSON").to_string());
    let steps = place.run(&["replay", &stream, "--step", "--format", "table"]).is(0).out;
    assert!(steps.starts_with("version 9\n") && steps.contains("version 10  "), "{steps}");
    let last = replayed["version"].as_u64().expect("a version");
    let behind = (last + 1).to_string();
    let done = place.run(&["truncate", &stream, &behind, "--carry", "--yes"]).is(0).object();
    assert_eq!(done["carried_before"], "word_game at version 9");
    assert_eq!(told(&[]), whole, "nothing is left to read");
    place.run(&["append", &stream]).with(r#"{"type":"unknown","data":1}"#).is(0);
    let (first, next) = ((last + 2).to_string(), (last + 1).to_string());
    let dropped = place.run(&["truncate", &stream, &first, "--yes"]).is(0).object();
    assert_eq!((&dropped["carries"], &dropped["first_before"]), (&false.into(), &(last + 1).into()));
    place.run(&["state", &stream]).is(3).says(&format!("begins with version {first}"));
    place.run(&["truncate", &stream, &next, "--carry", "--yes"]).is(3);
}

/// A game that is played by chance to its end, in which no word is said in two places.
fn by_chance(number: u8, chance: &mut Chance) -> Table {
    let mode = Mode::ALL[usize::from(number) % Mode::ALL.len()];
    let count = (*mode.teams().start() + chance.below(2)).min(*mode.teams().end()) as u64;
    let mut table = Table::new();
    table.game = Game::new(&GameId::new(NOON, [number; 10]).stream());
    let config = match mode {
        Mode::Knockout => GameConfig::Knockout { round_ms: 60_000, elimination_guess_limit: 4 },
        mode => GameConfig::of(mode),
    };
    table.act(GameAction::Create { guild: guild(), by: 3.into(), config, teams: teams(count) });
    table.start();
    for _ in 0..300 {
        table.wait(chance.below(8_000) as u64);
        let player = *chance.pick(&table.game.players());
        let side = table.game.team_of(player).and_then(|team| table.game.side(team));
        let pending = side.and_then(Side::pending).map(|pending| pending.word.to_string());
        let fresh = table.fresh();
        let action = match chance.below(100) {
            0..75 => table.guess(player, &pending.filter(|_| chance.one_in(3)).unwrap_or(fresh)),
            75..80 => table.guess(player, "give up"),
            80 => GameAction::Leave { player, reason: LeaveReason::Disconnected },
            81 => GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(player) },
            82..85 => GameAction::Resume { by: None },
            _ => GameAction::PassTime,
        };
        // What is refused has not happened.
        let _ = table.try_act(action);
    }
    table
}

/// How often each word must stand in what is told of a game: where it was dealt, and where it was said.
fn words_of(events: &[GameEvent]) -> BTreeMap<String, usize> {
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |word: &Word| *words.entry(word.to_string()).or_default() += 1;
    let mut pending: BTreeMap<TeamId, Word> = BTreeMap::new();
    for event in events {
        match event {
            GameEvent::RoundStarted(of) => of.team_states.values().for_each(|state| {
                add(&state.words.0);
                add(&state.words.1);
            }),
            GameEvent::WordsDealt(of) => {
                add(&of.words.0);
                add(&of.words.1);
            }
            GameEvent::GuessStarted(of) => drop(pending.insert(of.team_id, of.word.clone())),
            GameEvent::GuessProcessed(of) => {
                pending.remove(&of.team_id);
                add(&of.player1_word);
                add(&of.player2_word);
            }
            GameEvent::GuessAbandoned(of) => {
                pending.remove(&of.team_id);
                of.last_guess.iter().for_each(|last| add(&last.word));
            }
            _ => {}
        }
    }
    pending.values().for_each(add);
    words
}

/// Every word of a log stands in what is told of it exactly as often as it was dealt and said, and every attempt once.
#[test]
fn every_guess_of_a_game_stands_in_its_tables_once() {
    let mut chance = Chance(seed());
    let place = Place::new();
    let tables: Vec<Table> = (0..25).map(|number| by_chance(number, &mut chance)).collect();
    let ids: Vec<String> = tables.iter().map(|table| place.record(table)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let told = place.told(&ids);
    let games: Vec<&str> = told.split("== game-").skip(1).collect();
    let data = place.run(&[&["replay", "--format", "json"], &ids[..]].concat()).is(0).object();
    assert_eq!(games.len(), tables.len());
    for (number, (table, told)) in tables.iter().zip(&games).enumerate() {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let expected = words_of(&table.events);
        for word in told.split([' ', '\n']).filter(|word| expected.contains_key(*word)) {
            *found.entry(word.to_owned()).or_default() += 1;
        }
        assert_eq!(found, expected, "seed {}, game {number}:\n{told}", seed());
        let is_over = |event: &&GameEvent| matches!(event, GameEvent::GuessProcessed(_) | GameEvent::GuessAbandoned(_));
        let attempts = data[number]["rounds"].as_array().expect("rounds").iter();
        let attempts = attempts.flat_map(|round| round["attempts"].as_array().expect("attempts"));
        let over = attempts.filter(|attempt| attempt["outcome"] != "open" && attempt["outcome"] != "waiting");
        assert_eq!(over.count(), table.events.iter().filter(is_over).count(), "seed {}, game {number}", seed());
    }
}
