//! The commands that play: an evening with a bot that is killed, simulated games, and two people at a terminal.

use crate::tool::Place;
use scorebook::EventStore;
use scorebook::game::{Game, GameId};
use std::fs;
use std::process::Command;

/// The demo, small enough for a test.
const SMALL: [&str; 6] = ["--games", "24", "--guilds", "3", "--kills", "2"];

fn demo(place: &Place, dir: &str) -> String {
    place.run(&[&["--dir", dir, "demo"], &SMALL[..]].concat()).is(0).out
}

#[test]
fn the_demo_prints_what_readme_says_and_every_command_it_names_works() {
    let place = Place::new();
    let printed = demo(&place, "new");
    let dir = place.path("new").display().to_string();
    let readme = include_str!("../../README.md");
    let block = readme.split("```text\nAn evening of word games").nth(1).and_then(|rest| rest.split("\n```").next());
    let block = format!("An evening of word games{}", block.expect("README shows what the demo prints"));
    let shown = block.split("the store in ").nth(1).and_then(|rest| rest.lines().next()).expect("it names a directory");
    assert_eq!(plain(&printed, &dir), plain(&block, shown));

    let commands = printed.lines().filter_map(|line| line.trim().strip_prefix("cargo scorebook "));
    let mut tried = 0;
    for command in commands {
        let arguments = command.replace('\'', "\u{0}");
        let arguments = words(&arguments);
        place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).is(0);
        tried += 1;
    }
    assert!(5 <= tried, "{printed}");
    place.run(&["--dir", "new", "demo"]).is(1).says("not empty");
}

#[test]
fn the_demo_makes_a_directory_where_none_is_named() {
    let place = Place::new();
    fs::create_dir(place.path("temporary")).expect("created");
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorebook"));
    command.args(["demo", "--games", "2", "--kills", "1"]).env("SCOREBOOK_DIR", "not-here");
    let output = command.env("TMPDIR", place.path("temporary")).current_dir(place.path(".")).output().expect("output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!place.path("not-here").exists());
    let made = fs::read_dir(place.path("temporary")).expect("the directory").map(|entry| entry.expect("an entry"));
    let made = made.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>();
    assert!(made.len() == 1 && made[0].starts_with("scorebook-demo-"), "{made:?}");
}

#[test]
fn the_same_seed_simulates_the_same_games_however_many_threads_there_are() {
    let place = Place::new();
    let simulate = |dir: &str, seed: &str, threads: &str| {
        let arguments = ["--dir", dir, "simulate", "--games", "12", "--guilds", "5", "--durability", "written"];
        let told = place.run(&[&arguments[..], &["--seed", seed, "--threads", threads]].concat()).is(0);
        let facts: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
        assert_eq!((facts["games"].as_u64(), facts["durability"].as_str()), (Some(12), Some("written")));
        assert!(12 * 10 < facts["events"].as_u64().expect("a number"), "{facts}");
        games(&place, dir)
    };
    let one = simulate("one", "1", "1");
    assert_eq!(one.len(), 12);
    assert!(one == simulate("four", "1", "4"), "the same games differ");
    assert!(one != simulate("other", "2", "2"), "another seed gives the same games");
    place.run(&["--dir", "one", "verify"]).is(0);
    place.run(&["--dir", "one", "simulate"]).is(1).says("not empty");
}

#[test]
fn only_games_of_one_mode_are_simulated_where_one_is_named() {
    let place = Place::new();
    place.run(&["--dir", "new", "simulate", "--games", "3", "--mode", "golf_race"]).is(0);
    for (_, events) in games(&place, "new") {
        assert!(events[0].contains("golf_race") && events.last().is_some_and(|last| last.contains("winners")));
    }
    place.run(&["simulate", "--mode", "chess"]).is(2).says("golf_race");
}

#[test]
fn two_people_play_a_game_over_two_sittings() {
    let place = Place::new();
    let play = |input: &str| {
        place.run(&["play", "--names", "ada,bob", "--rounds", "2", "--threshold", "3"]).with(input).is(0).out
    };
    let first = play("anchor\nqwxzt\nbagels\n");
    assert!(first.contains("Round 1, attempt 1. ada: Your word is"), "{first}");
    assert!(first.contains("No: the word is not in the dictionary."), "{first}");
    assert!(
        first.contains("anchor and bagels: no match.") || first.contains("bagels and anchor: no match."),
        "{first}"
    );
    assert!(first.contains("The game waits"), "{first}");

    // Of the second pair one word was said when the input ends.
    let second = play("ocean\n");
    assert!(second.contains("The game goes on.") && second.contains("attempt 2. ada: You said anchor"), "{second}");
    let third = play("Oceans\nvelvet\nvelvet\n");
    assert!(third.contains("attempt 2. bob: You said bagels, and your partner anchor"), "{third}");
    assert!(third.contains("a match, at attempt 2!") && third.contains("Round 2, attempt 1."), "{third}");
    assert!(third.contains("ada and bob have won.") || third.contains("bob and ada have won."), "{third}");
    assert!(third.contains("2 rounds in") && third.contains("3 attempts, 2 of them matched and 1 not; 1.5"), "{third}");
    let name = third.split("looked at again as ").nth(1).and_then(|rest| rest.split(".\n").next());
    place.run(&["replay", name.expect("a name")]).is(0);

    // What is over is over: the same two begin another one.
    assert!(play("").contains("Round 1, attempt 1."));
}

#[test]
fn nobody_plays_alone() {
    let place = Place::new();
    place.run(&["play", "--names", "ada,Ada"]).is(2).says("two names");
    place.run(&["play", "--names", "ada"]).is(2).says("two names");
    place.run(&["play"]).with("ada\n").is(0);
    place.run(&["play", "--format", "json", "--names", "ada,bob"]).is(2);
    let asked = place.run(&["play"]).with("ada\nbob\n").is(0).out;
    assert!(asked.contains("Who plays?") && asked.contains("bob> ") || asked.contains("ada> "), "{asked}");
}

/// Each game with its events as they are recorded.
fn games(place: &Place, dir: &str) -> Vec<(String, Vec<String>)> {
    let store = EventStore::open_read_only(place.path(dir)).expect("the store");
    let streams = store.streams().list().expect("the streams");
    let games = streams.iter().filter(|stream| GameId::of_stream(stream.name()).is_some());
    let read = |stream: &scorebook::StreamInfo| {
        let events = store.read(stream.name()).into_iter().map(|event| {
            let event = event.expect("an event");
            format!("{} {}", event.event_type(), String::from_utf8_lossy(event.data()))
        });
        assert!(store.aggregate::<Game>(stream.name()).load().expect("a game").state().is_over());
        (stream.name().to_string(), events.collect())
    };
    games.map(read).collect()
}

/// A printed text without what differs from evening to evening: numbers, names, the directory, and widths of columns.
fn plain(text: &str, dir: &str) -> Vec<String> {
    let text = text.trim_end().replace(dir, "DIR");
    let lines = text.lines().filter(|line| !line.trim().starts_with("it was late"));
    lines.map(|line| line.split_whitespace().map(plain_word).collect::<Vec<_>>().join(" ")).collect()
}

fn plain_word(word: &str) -> String {
    let is_name = |(name, number): (&str, &str)| {
        name.bytes().all(|byte| byte.is_ascii_lowercase()) && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    if word.starts_with("game-") {
        return "GAME".to_owned();
    }
    if word.split_once('-').is_some_and(is_name) {
        return "NAME".to_owned();
    }
    let mut plain = String::new();
    for c in word.chars() {
        match c {
            '0'..='9' if plain.ends_with('N') => {}
            '0'..='9' => plain.push('N'),
            _ => plain.push(c),
        }
    }
    plain.replace("N.N", "N")
}

/// The words of a command as a shell takes them, with quotes as zero bytes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\u{0}').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
