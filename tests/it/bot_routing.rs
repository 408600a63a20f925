//! Which game is meant, and who is free: held against an account that knows the log alone.

use super::bot::{Account, At, Club, Direct, Guild, HERE, events, refusal, say};
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use std::collections::BTreeSet;

#[test]
fn a_message_goes_to_the_short_game_else_to_the_only_longform_one() {
    let club = Club::new();
    let first = club.started(HERE, Mode::Longform, &[7, 8, 9, 10, 11, 12]);
    assert_eq!(club.say(7, "wxaq").game(), Some(first));
    let second = club.started(Guild(1), Mode::Longform, &[7, 8, 9, 10, 11, 12]);
    assert_eq!(club.refused(Direct, 8, say("wxbq")), Refusal::AmbiguousGame(vec![second, first]), "the newest first");
    let [here, there] = [(HERE, "wxcq"), (Guild(1), "wxhq")].map(|(at, word)| club.done(at, 8, say(word)).game());
    assert_eq!((here, there), (Some(first), Some(second)), "in a guild only its games are meant");
    assert_eq!(club.refused(Guild(2), 8, say("wxdq")), Refusal::GameNotFound);
    let named = Ask::Guess { game: Some(second), word: "wxeq".to_owned() };
    assert_eq!(club.done(Direct, 9, named).game(), Some(second));

    let short = club.started(Guild(2), Mode::Race, &[7, 8, 9, 10]);
    assert_eq!(club.say(8, "wxfq").game(), Some(short));
    assert_eq!(club.done(HERE, 8, Ask::Leave { game: None }).game(), Some(first), "in its guild, the longform game");
    assert_eq!(club.games_of(8), [short, second]);
    club.done(Direct, 99, Ask::Cancel { game: Some(short) });
    assert_eq!(club.say(7, "wxgq").game(), Some(second), "there is only one left");
}

#[test]
fn a_player_is_free_once_they_left_were_put_out_or_it_is_over() {
    let club = Club::new();
    let free = |at: At, player: u64, what: &str| {
        let game = club.open(at, GameConfig::of(Mode::Race));
        club.done(at, player, Ask::Join { game });
        club.done(at, player, Ask::Leave { game: None });
        assert!(club.games_of(player).is_empty(), "{what}");
    };
    let busy = |player: u64| {
        let game = club.open(Guild(5), GameConfig::of(Mode::Race));
        assert_eq!(club.refused(Guild(5), player, Ask::Join { game }), Refusal::AlreadyPlaying(player.into()));
    };
    let game = club.opened(HERE, GameConfig::of(Mode::Knockout), &[1, 2, 3, 4, 5, 6]);
    (1..=6).for_each(busy);
    club.done(HERE, 1, Ask::Start { game: None });
    club.done(Direct, 1, Ask::Leave { game: None });
    [1, 2].into_iter().for_each(|player| free(HERE, player, "a team goes together"));
    for _ in 0..12 {
        club.say(3, "give up");
    }
    [3, 4].into_iter().for_each(|player| free(HERE, player, "they were put out"));
    [5, 6].into_iter().for_each(|player| free(HERE, player, "it is over"));
    assert_eq!(club.game(game).phase(), Phase::Completed);

    let game = Some(club.opened(HERE, GameConfig::of(Mode::Race), &[1, 2, 3]));
    club.done(HERE, 99, Ask::Cancel { game });
    (1..=3).for_each(|player| free(HERE, player, "it was cancelled"));
    club.opened(HERE, GameConfig::of(Mode::Race), &[1, 2, 3]);
    club.pass(3_600_000);
    (1..=3).for_each(|player| free(HERE, player, "nobody came"));
    club.opened(HERE, GameConfig::of(Mode::Race), &[1, 2, 3]);
    club.done(HERE, 3, Ask::Leave { game: None });
    free(HERE, 3, "who waited alone has left");
    [1, 2].into_iter().for_each(busy);
}

#[test]
fn a_game_that_changes_its_mode_frees_its_players_or_needs_them_free() {
    let club = Club::new();
    let change = |mode| Ask::ChangeMode { game: None, mode };
    let first = club.opened(HERE, GameConfig::of(Mode::Race), &[1, 2, 3, 4]);
    club.done(HERE, 1, change(Mode::Longform));
    let second = club.opened(Guild(1), GameConfig::of(Mode::Race), &[5, 2]);
    assert_eq!(club.refused(HERE, 1, change(Mode::Race)), Refusal::AlreadyPlaying(2.into()));
    assert_eq!(club.say_where(2), Some(second));
    club.done(HERE, 2, Ask::Leave { game: Some(first) });
    club.done(HERE, 3, Ask::ChangeMode { game: Some(first), mode: Mode::Knockout });
    assert_eq!(club.games_of(3), [first]);
    let third = club.open(HERE, GameConfig::of(Mode::Race));
    assert_eq!(club.refused(HERE, 3, Ask::Join { game: third }), Refusal::AlreadyPlaying(3.into()));
    club.done(HERE, 1, Ask::Join { game: third });
    assert_eq!(club.games_of(1), [third], "who left while it was longform is free");
    // There and back again, and another way of playing that is as short.
    club.done(HERE, 3, change(Mode::Longform));
    club.done(HERE, 3, change(Mode::Knockout));
    club.done(HERE, 3, change(Mode::Race));
    assert_eq!(club.refused(HERE, 3, Ask::Join { game: third }), Refusal::AlreadyPlaying(3.into()));
}

impl Club {
    /// Where somebody's word goes.
    fn say_where(&self, player: u64) -> Option<GameId> {
        let away = Ask::ChangeStatus { game: None, status: PlayerStatus::Away };
        self.done(Direct, player, away).game()
    }
}

const GUILDS: [At; 3] = [Guild(1), Guild(2), Guild(3)];

/// Something that somebody asks, of the games that there are.
fn some_ask(chance: &mut Chance, games: &[GameId], at: At) -> Ask {
    let mode = *chance.pick(&[Mode::Race, Mode::Longform, Mode::Knockout, Mode::TwoPlayer, Mode::Longform]);
    let some =
        |chance: &mut Chance| if games.is_empty() { GameId::new(Moment::MAX, [1; 10]) } else { *chance.pick(games) };
    let named = |chance: &mut Chance| if chance.one_in(3) { Some(some(chance)) } else { None };
    match chance.below(40) {
        0 | 1 => Ask::Open { config: GameConfig::of(mode) },
        2 => Ask::OpenWithTeam { config: GameConfig::of(mode) },
        3..16 if at != Direct => Ask::Join { game: some(chance) },
        16 | 17 => Ask::JoinWithTeam { game: some(chance) },
        18 | 19 => Ask::Leave { game: named(chance) },
        20 | 21 => Ask::ChangeMode { game: named(chance), mode },
        22..27 => Ask::Start { game: named(chance) },
        27 if chance.one_in(4) => Ask::Cancel { game: named(chance) },
        _ => Ask::Guess { game: named(chance), word: "give up".to_owned() },
    }
}

/// Guilds never see each other's games, a player is in one short game, and what is meant is what the rule says.
#[test]
fn whatever_is_asked_goes_where_the_log_says_it_belongs() {
    let mut answered = 0;
    for round in 0..5 {
        let seed = seed() + round;
        let (club, mut chance) = (Club::new(), Chance(seed));
        for at in GUILDS {
            club.team(at, 1, 2);
            club.team(at, 3, 4);
        }
        let mut games = Vec::new();
        let mut past = Vec::new();
        for step in 0..350 {
            let (player, at) =
                (1 + chance.below(8) as u64, *chance.pick(&[GUILDS[0], GUILDS[1], GUILDS[2], Direct, Direct]));
            let ask = some_ask(&mut chance, &games, at);
            let account = Account::of(&past);
            let meant = account.meant(at, player.into());
            let known = account.games.clone();
            club.props.wait(10);
            let asked = club.ask(at, player, ask.clone());
            let whence = format!("seed {seed}, step {step}: {ask:?} by {player} {at:?}: {asked:?}");
            past = events(club.store());
            match (&ask, asked) {
                (Ask::Leave { game: None } | Ask::Guess { game: None, .. } | Ask::Start { game: None }, Ok(answer)) => {
                    assert_eq!(answer.game(), meant.ok(), "{whence}");
                    answered += 1;
                }
                (Ask::Leave { game: None } | Ask::Guess { game: None, .. }, Err(error)) => match meant {
                    Ok(_) => assert_ne!(error.refusal(), Some(&Refusal::GameNotFound), "{whence}"),
                    Err(Refusal::AmbiguousGame(meant)) => {
                        let Some(Refusal::AmbiguousGame(named)) = error.refusal() else { panic!("{whence}") };
                        assert_eq!(BTreeSet::from_iter(named), BTreeSet::from_iter(&meant), "{whence}");
                    }
                    Err(meant) => assert_eq!(refusal(Err(error)), meant, "{whence}"),
                },
                (_, Ok(answer)) => {
                    let game = answer.game().and_then(|game| known.get(&game));
                    let is_there = game.is_none_or(|(guild, _, _)| at == Direct || at == Guild(guild.get()));
                    assert!(is_there, "{whence}");
                    games.extend(answer.game().filter(|game| !games.contains(game)));
                }
                (_, Err(error)) => assert!(error.refusal().is_some(), "{whence}"),
            }
            let account = Account::of(&past);
            for player in 1..=8 {
                let found = club.games_of(player);
                let is_once = found.len() == BTreeSet::from_iter(&found).len();
                assert!(is_once && account.all_of(player.into()) == BTreeSet::from_iter(found), "{whence}");
            }
        }
    }
    assert!(20 < answered, "only {answered} were answered");
}
