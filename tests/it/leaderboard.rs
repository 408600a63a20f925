//! The tool's `leaderboard`: a table for people, lines of JSON for programs, and what it says where there is nothing.

use super::bot::{Club, Direct, Guild, HERE, Props, two_player};
use super::tool::Place;
use scorebook::EventStore;
use scorebook::game::*;
use serde_json::{Value, json};

/// Some games in a store: 7 and 8, a team, win two on one day and one on the next; 9 and 7 lose one there, in between.
fn filled() -> Place {
    let place = Place::new();
    let store = EventStore::open(place.store()).expect("the store");
    let club = Club::on(&store, Props::new());
    let win = |one: u64, other: u64| {
        let game = club.opened(HERE, two_player(1), &[one, other]);
        club.done(HERE, one, Ask::Start { game: Some(game) });
        club.hit(one, other);
    };
    club.team(HERE, 7, 8);
    club.done(HERE, 7, Ask::Rename { name: "Night owls".to_owned() });
    win(7, 8);
    win(7, 8);
    let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 1 };
    let game = club.opened(HERE, config, &[7, 9]);
    club.done(HERE, 7, Ask::Start { game: Some(game) });
    club.say(7, "wonceq");
    club.say(9, "wtwiceq");
    club.hit(7, 9);
    for player in [7, 9] {
        club.done(Direct, player, Ask::UpdateProfile { display_name: "Ada".to_owned() });
    }
    club.props.wait(86_400_000);
    win(7, 8);
    let elsewhere = club.opened(Guild(901), two_player(1), &[7, 8]);
    club.done(Guild(901), 7, Ask::Start { game: Some(elsewhere) });
    club.hit(7, 8);
    store.close().expect("closed");
    place
}

#[test]
fn a_leaderboard_is_a_table_for_people() {
    let place = filled();
    let table =
        |arguments: &[&str]| place.run(&[&["leaderboard", "900", "--format", "table"], arguments].concat()).is(0).out;
    assert_eq!(
        table(&[]),
        "place  won  games  rate   points  matches  player\n\
         1      3    3      100 %  3       3        player 8\n\
         2      3    4      75 %   4       4        Ada (7)\n\
         3      0    1      0 %    1       1        Ada (9)\n"
    );
    assert_eq!(
        table(&["--by", "team", "--limit", "1"]),
        "place  won  games  rate   points  matches  team\n\
         1      3    3      100 %  3       3        Night owls\n"
    );
    assert_eq!(
        table(&["--by", "pair", "--for", "day", "--at", "2023-11-15T22:13:19.999Z"]),
        "place  won  games  rate   points  matches  pair\n\
         1      2    2      100 %  2       2        Ada and player 8\n\
         2      0    1      0 %    1       1        Ada and Ada\n"
    );
    assert_eq!(place.run(&["leaderboard", "902", "--format", "table"]).is(0).out, "");
}

#[test]
fn a_leaderboard_is_lines_for_programs() {
    let place = filled();
    let lines = place.run(&["leaderboard", "900", "--by", "team"]).is(0).lines();
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let expected = json!({
        "place": 1, "team": "team-7-8", "name": "Night owls", "games": 3, "wins": 3, "win_rate": 1.0,
        "score": 3, "average_score": 1.0, "guesses": 3, "matches": 3, "accuracy": 1.0,
    });
    assert_eq!((lines.len(), line), (1, expected));
    let all = place.run(&["leaderboard", "900", "--format", "json"]).is(0).out;
    let all: Vec<Value> = serde_json::from_str(&all).expect("JSON");
    assert_eq!(all.iter().map(|line| line["player"].as_str()).collect::<Vec<_>>(), [Some("8"), Some("7"), Some("9")]);
    let week = |at: &str| place.run(&["leaderboard", "900", "--for", "week", "--at", at]).is(0).lines().len();
    assert_eq!([week("2023-11-12"), week("2023-11-15"), week("2023-11-19"), week("2023-11-20")], [0, 3, 3, 0]);
    place.run(&["leaderboard", "everywhere"]).is(2);
    place.run(&["leaderboard", "900", "--for", "year"]).is(2).says("month");
    place.run(&["--dir", "nowhere", "leaderboard", "900"]).is(3);
}

/// It looks beside a bot that writes, and changes nothing.
#[test]
fn a_leaderboard_creates_and_changes_nothing() {
    let place = filled();
    let before = place.files();
    place.run(&["leaderboard", "900"]).is(0);
    assert_eq!(place.files(), before);
}
