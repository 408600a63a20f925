//! What can be asked of the bot about boards: typed and answered, with one's own last game in it.

use super::bot::{Club, Direct, Guild, HERE, two_player};
use crate::model::{Chance, Choices, seed};
use crate::support::block_on;
use scorebook::ExecuteError;
use scorebook::game::*;

fn typed(text: &str) -> Ask {
    Ask::typed(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// A game that these win, at once.
fn won(club: &Club, one: u64, other: u64) -> GameId {
    let game = club.opened(HERE, two_player(1), &[one, other]);
    club.done(HERE, one, Ask::Start { game: Some(game) });
    club.hit(one, other);
    game
}

fn report(club: &Club, at: super::bot::At, player: u64, text: &str) -> Report {
    let before = club.head();
    let answer = club.done(at, player, typed(text));
    assert_eq!((answer.events().len(), club.head()), (0, before), "{text}: nothing happens by it");
    answer.report().unwrap_or_else(|| panic!("{text}: no report")).clone()
}

fn text(club: &Club, player: u64, typed: &str) -> String {
    report(club, HERE, player, typed).to_string()
}

#[test]
fn what_is_typed_is_asked() {
    let (seven, eight) = (PlayerId::from(7), PlayerId::from(8));
    let game: GameId = "01890000-0000-7000-8000-000000000001".parse().expect("an id");
    let leaderboard = |board, period| Ask::Leaderboard { board, period, limit: 10 };
    let before: Cursor = "1700000000000-42".parse().expect("a cursor");
    for (text, ask) in [
        ("stats player", Ask::PlayerStats { player: None }),
        ("stats Player <@7>", Ask::PlayerStats { player: Some(seven) }),
        ("stats team", Ask::TeamStats { team: None }),
        ("stats team <@8> 7", Ask::TeamStats { team: TeamId::of(seven, eight) }),
        ("stats leaderboard", leaderboard(Board::Players, Period::All)),
        ("stats leaderboard  week", leaderboard(Board::Players, Period::Week)),
        ("STATS leaderboard Team", leaderboard(Board::Teams, Period::All)),
        ("stats leaderboard pair day", leaderboard(Board::Pairs, Period::Day)),
        ("stats leaderboard month team", leaderboard(Board::Teams, Period::Month)),
        ("history", Ask::History { before: None, limit: 10 }),
        ("history 1700000000000-42", Ask::History { before: Some(before), limit: 10 }),
        ("replay history", Ask::History { before: None, limit: 10 }),
        ("summary 01890000-0000-7000-8000-000000000001", Ask::Summary { game }),
        ("replay summary 01890000-0000-7000-8000-000000000001", Ask::Summary { game }),
        ("games", Ask::ActiveGames),
    ] {
        assert_eq!(Ask::typed(text), Ok(ask), "{text}");
    }
    for text in [
        "stats",
        "stats owls",
        "stats player <@7> <@8>",
        "stats player owls",
        "stats team <@7>",
        "stats leaderboard year",
        "stats leaderboard team pair",
        "stats leaderboard team week now",
        "history 42",
        "history 01-1",
        "games now",
    ] {
        assert_eq!(Ask::typed(text), Err(Refusal::UnknownCommand), "{text}");
    }
    assert_eq!(Ask::typed("stats team <@7> <@7>"), Err(Refusal::TeamNotFound));
    assert_eq!(Ask::typed("summary otter-123"), Err(Refusal::GameNotFound));
}

/// Whoever is told that their game is over finds it on every board from then on: nobody has to wait for that.
#[test]
fn ones_own_last_game_is_in_it() {
    let club = Club::new();
    let mut chance = Chance(seed());
    for count in 1..=40 {
        won(&club, 7, 8);
        let caller = club.caller(HERE, 7);
        let asking = club.bot.ask(caller, typed("stats player"));
        let answer = if chance.one_in(2) { asking.wait() } else { block_on(async { asking.await }) };
        match answer.expect("it is allowed").report() {
            Some(Report::Player { player, record: Some(record) }) => {
                assert_eq!((player.get(), record.tally.games, record.tally.wins), (7, count, count));
            }
            other => panic!("not {other:?}"),
        }
    }
}

#[test]
fn stats_read_like_this() {
    let club = Club::new();
    club.team(HERE, 7, 8);
    assert_eq!(text(&club, 7, "stats leaderboard"), "Nobody has completed a game yet.");
    assert_eq!(text(&club, 7, "stats player"), "<@7> has completed no game yet.");
    assert_eq!(text(&club, 7, "stats team"), "<@7> and <@8> have completed no game as a team yet.");
    let game = won(&club, 7, 8);
    won(&club, 8, 7);
    club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    club.hit(9, 10);
    club.say(7, "give up");
    club.play_out();
    assert_eq!(
        text(&club, 9, "stats player <@7>"),
        "<@7> has completed 3 games and won 2 (67 %), with 0.7 points each.\n2 of 2 words matched (100 %), 1 attempt abandoned.\n\
         Best with <@8>.\nPlace 1 of the players."
    );
    assert_eq!(
        text(&club, 8, "stats team"),
        "Team 7-8 (<@7> and <@8>) have completed 3 games and won 2 (67 %), with 0.7 points each.\n\
         Their best game: 1 point in a two player game.\ntwo player: 1.0 guesses a match.\n\
         2 perfect rounds; a match at attempt 1 at best and 1 at worst.\nPlace 1 of the teams."
    );
    assert_eq!(
        text(&club, 9, "stats leaderboard"),
        "The best players of all time:\n1. <@7>: 2 of 3 games won, 2 points\n1. <@8>: 2 of 3 games won, 2 points\n\
         3. <@9>: 1 of 1 game won, 1 point\n3. <@10>: 1 of 1 game won, 1 point"
    );
    assert_eq!(
        text(&club, 9, "stats leaderboard pair"),
        "The best pairs of all time:\n1. <@7> and <@8>: 2 of 3 games won, 2 points\n2. <@9> and <@10>: 1 of 1 game won, 1 point"
    );
    assert_eq!(
        text(&club, 9, "stats leaderboard team day"),
        "The best teams in the last 24 hours:\n1. Team 7-8: 2 of 3 games won, 2 points"
    );
    let summary = text(&club, 9, &format!("summary {game}"));
    assert!(summary.ends_with(": two player, won by <@7> and <@8>, 1 point"), "{summary}");
    let history = text(&club, 9, "history");
    assert!(history.starts_with(|c: char| c.is_ascii_lowercase()) && history.lines().count() == 3, "{history}");
    assert!(
        history.lines().next().is_some_and(|line| line.ends_with(": race, won by <@9> and <@10>, 1 point")),
        "{history}"
    );
    assert_eq!(text(&club, 9, "games"), "Nobody plays.");
    let other = club.opened(HERE, two_player(1), &[7, 8]);
    assert_eq!(text(&club, 9, "games"), format!("{other}: two player, waits to begin: <@7> and <@8>"));
    club.props.wait(24 * 60 * 60 * 1_000);
    assert_eq!(text(&club, 9, "stats leaderboard day"), "Nobody has completed a game in the last 24 hours.");
}

/// "Every query is guild-scoped; cross-guild reads are an explicit exception (user stats only)."
#[test]
fn boards_are_of_the_guild_in_which_they_are_asked_for() {
    let club = Club::new();
    let game = won(&club, 7, 8);
    let there = club.opened(Guild(901), two_player(1), &[7, 9]);
    club.done(Guild(901), 7, Ask::Start { game: Some(there) });
    club.hit(7, 9);
    let games = |at, player| match report(&club, at, player, "stats player") {
        Report::Player { record, .. } => record.map_or(0, |record| record.tally.games),
        other => panic!("not {other:?}"),
    };
    assert_eq!([games(HERE, 7), games(Guild(901), 7), games(Direct, 7)], [1, 1, 2]);
    assert_eq!([games(HERE, 9), games(Guild(901), 9), games(Direct, 9)], [0, 1, 1]);
    for ask in ["stats team", "stats leaderboard", "history", "games", "summary 01890000-0000-7000-8000-000000000001"] {
        assert_eq!(club.refused(Direct, 7, typed(ask)), Refusal::MissingGuild, "{ask}");
    }
    assert_eq!(club.refused(Guild(901), 7, Ask::Summary { game }), Refusal::GameNotFound);
    assert_eq!(club.refused(HERE, 7, typed("summary 01890000-0000-7000-8000-000000000001")), Refusal::GameNotFound);
    assert_eq!(club.refused(HERE, 7, typed("stats team")), Refusal::TeamNotFound);
    assert_eq!(
        club.refused(HERE, 7, typed("stats team <@7> <@8>")),
        Refusal::TeamNotFound,
        "they play, and are no team"
    );
}

/// Who looks something up first is known from then on, like whoever does anything.
#[test]
fn who_looks_is_registered_once() {
    let club = Club::new();
    let caller = club.caller(HERE, 50);
    let answer = club.bot.ask(caller.clone(), Ask::ActiveGames).wait().expect("anybody may");
    assert!(matches!(answer.events(), [GameEvent::UserRegistered(_)]));
    assert_eq!(answer.report(), Some(&Report::ActiveGames(Vec::new())));
    // Delivered twice, it is looked up anew, and nothing happens.
    let game = club.open(HERE, two_player(1));
    let again = club.bot.ask(caller, Ask::ActiveGames).wait().expect("anybody may");
    assert!(again.is_repeat());
    assert!(matches!(again.report(), Some(Report::ActiveGames(games)) if games[0].game_id == game));
}

#[test]
fn boards_that_cannot_be_folded_say_so_and_games_go_on() {
    let club = Club::new();
    won(&club, 7, 8);
    club.store().close().expect("closed");
    let asked = club.ask(HERE, 7, typed("stats player"));
    assert!(matches!(asked, Err(ExecuteError::Store(_))), "{asked:?}");
}
