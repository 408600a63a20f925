//! Details on which a rule rests, each of which could be wrong without any other test noticing.

use super::game::{NOON, Table, check_types, gone, guild, team, teams, types, word};
use super::game_events::TYPES;
use super::game_maker::Maker;
use super::game_rules::{DAY_MS, GOLF_RACE, KNOCKOUT, LONGFORM, RACE, TWO_PLAYER, abandoned};
use crate::model::Chance;
use scorebook::game::*;
use scorebook::{
    Aggregate, Event, EventContext, EventStore, ExpectedVersion, Position, StreamName, Timestamp, Version,
};
use std::collections::BTreeSet;

fn context() -> EventContext<'static> {
    EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH)
}

// Guesses.

/// "both words of a guess: player1_word, player2_word", whoever was first; and where the first one was said.
#[test]
fn words_stay_with_the_players_who_said_them() {
    let [alice, bob] = team(1).players();
    for (first, second) in [(alice, bob), (bob, alice)] {
        let mut table = Table::started(TWO_PLAYER, 1);
        let said = |player| if player == alice { "ocean" } else { "desert" };
        let GameEvent::GuessStarted(started) = &table.say(first, said(first))[0] else { panic!() };
        assert_eq!((started.channel_id, started.player_id), (ChannelId::from(first.get() + 1_000), first));
        let GameEvent::GuessProcessed(of) = &table.say(second, said(second))[0] else { panic!() };
        assert_eq!((&of.player1_word, &of.player2_word), (&word("ocean"), &word("desert")));
        assert_eq!((of.player1_id, of.player2_id), (alice, bob));
    }
}

/// "durations absent for a player who did not answer (timeout)": in every mode, a word that waits when the time is up is
/// abandoned, and waits no more.
#[test]
fn a_word_that_waits_is_abandoned_when_the_time_is_up() {
    for (config, count) in [(KNOCKOUT, 2), (RACE, 2), (GOLF_RACE, 2), (LONGFORM, 3)] {
        let mut table = Table::started(config, count);
        let alice = team(1).players()[0];
        table.say(alice, "ocean");
        let events = table.pass_to_deadline();
        let timeout = abandoned(&events);
        assert_eq!(
            (timeout.reason, timeout.last_guess.map(|last| last.player_id)),
            (AbandonReason::Timeout, Some(alice))
        );
        assert_eq!(types(&events).iter().filter(|of| *of == "guess_abandoned").count(), 1, "only where one waits");
        assert_eq!(table.side(team(1)).pending(), None);
    }
}

/// What was given up is an attempt of the round that it ended.
#[test]
fn a_round_that_was_given_up_counts_its_attempts() {
    let mut table = Table::started(GOLF_RACE, 2);
    table.miss(team(1), 2);
    table.wait(3_000);
    table.give_up(team(1));
    let expected = RoundResult { round_number: 1, is_match: false, guess_count: 3, points: -1, duration: 3_000 };
    assert_eq!(table.side(team(1)).rounds(), [expected]);
}

// Ends.

/// "for each match": seven guesses for two matches are better than four for one, with as many points.
#[test]
fn fewer_guesses_for_each_match_win_and_not_fewer_guesses() {
    let mut table = Table::started(GOLF_RACE, 2);
    (0..2).for_each(|_| drop(table.hit(team(2))));
    (0..5).for_each(|_| drop(table.give_up(team(2))));
    table.miss(team(1), 3);
    table.hit(team(1));
    let totals = table.game.sides().map(|side| (side.score(), side.total_guesses(), side.matches()));
    assert_eq!(totals.collect::<Vec<_>>(), [(3, 4, 1), (3, 7, 2)]);
    table.pass_to_deadline();
    assert_eq!(table.game.winners(), [team(2)]);
}

/// "the team is out": who left has not won, with however many matches; and the end says how far the fastest came.
#[test]
fn who_left_a_race_has_not_won_it() {
    let mut table = Table::started(RACE, 3);
    (0..3).for_each(|_| drop(table.hit(team(1))));
    table.leave(team(1).players()[0]);
    table.hit(team(2));
    let events = table.pass_to_deadline();
    assert_eq!(table.game.winners(), [team(2)]);
    let GameEvent::RaceModeTimeExpired(of) = &events[0] else { panic!("{events:?}") };
    assert_eq!((of.round_number, of.final_matches[&team(1)].matches), (4, 3));
}

/// "knockout_round_completed: eliminated_teams": those of this round.
#[test]
fn the_end_of_a_round_names_who_went_in_it() {
    let mut table = Table::started(KNOCKOUT, 4);
    let mut ends = Vec::new();
    while !table.game.is_over() {
        let playing = table.game.sides().filter(|side| side.out().is_none()).map(Side::team).collect::<Vec<_>>();
        playing.into_iter().for_each(|team| ends.extend(table.hit(team)));
        table.pass(5_000);
    }
    let of = ends.iter().filter_map(|event| match event {
        GameEvent::KnockoutRoundCompleted(of) => Some(of.eliminated_teams.iter().map(|of| of.team_id).collect()),
        _ => None,
    });
    assert_eq!(of.collect::<Vec<Vec<_>>>(), [[team(4)], [team(3)], [team(2)]]);
    let stats = ends.iter().filter_map(|event| match event {
        GameEvent::RoundCompleted(of) => Some(of.round_stats.keys().copied().collect::<BTreeSet<_>>().len()),
        _ => None,
    });
    assert_eq!(stats.collect::<Vec<_>>(), [8, 6, 4], "who was in it");
}

/// "one always stays", whatever a log says of the others.
#[test]
fn the_last_of_a_longform_game_stays() {
    let mut table = Table::started(LONGFORM, 3);
    table.hit(team(1));
    for number in [2, 3] {
        let mut other = table.clone();
        let GameEvent::TeamEliminated(of) = other.leave(team(number).players()[0])[2].clone() else { panic!() };
        table.apply(&of.into());
    }
    let events = table.pass_to_deadline();
    assert_eq!(gone(&events), []);
    assert_eq!(table.game.winners(), [team(1)]);
}

/// What is due at one time with the idling is about the play: a round that lasts a day ends, and is not cancelled.
#[test]
fn a_round_of_a_day_ends_before_the_game_idles() {
    let config = GameConfig::Knockout { round_ms: DAY_MS, elimination_guess_limit: 12 };
    let mut table = Table::started(config, 2);
    assert_eq!(table.game.deadline(), Some((NOON.plus(DAY_MS), Deadline::RoundEnd)));
    table.pass_to_deadline();
    assert_eq!(table.game.phase(), Phase::Completed);
}

// Time.

/// "while paused no deadline runs": what happens in a pause happens at the time at which it began.
#[test]
fn no_time_passes_in_a_pause() {
    let mut table = Table::started(RACE, 2);
    table.wait(4_000);
    table.act(GameAction::Pause { reason: PauseReason::ByAdmin, by: None });
    table.wait(100_000);
    table.leave(team(2).players()[0]);
    let Some(GameEvent::GameCompleted(of)) = table.events.last() else { panic!("not over") };
    assert_eq!((of.game_duration, of.base.timestamp), (4_000, NOON.plus(104_000)));
    assert_eq!(table.game.eliminations()[0].played_ms, 4_000);
    assert_eq!(GameStats::of(&table.game).map(|stats| stats.duration_ms), Some(4_000));
}

/// Clocks go backwards, and may be set to whatever: neither games, nor teams, nor users do.
#[test]
fn every_event_is_at_a_time_that_can_be_recorded() {
    let late = NOON.plus(60_000);
    let mut pair = Team::new(&team(1).stream(guild()));
    let by = team(1).players()[0];
    let mut execute = |at, action| {
        let events = pair.decide(&TeamCommand::new(at, action))?;
        events.iter().for_each(|event| pair.apply(event, &context()));
        Ok::<_, Refusal>(events)
    };
    execute(late, TeamAction::Create { by, name: None }).expect("it is new");
    let events = execute(NOON, TeamAction::Rename { by, name: "Owls".to_owned() }).expect("a name");
    assert_eq!(events[0].team_base().map(|base| base.timestamp), Some(late));
    let rename = |name: &str| TeamAction::Rename { by, name: name.to_owned() };
    assert_eq!(execute(Moment::MAX.plus(1), rename("Night owls")), Err(Refusal::InvalidTime));
    execute(Moment::MAX, rename("Night owls")).expect("the last moment there is");

    let mut user = User::new(&by.stream());
    let mut execute = |at, action| {
        let events = user.decide(&UserCommand::new(at, action))?;
        events.iter().for_each(|event| user.apply(event, &context()));
        Ok::<_, Refusal>(events)
    };
    let username = "ada".to_owned();
    execute(late, UserAction::Register { guild: guild(), username, display_name: None }).expect("new");
    let rename = |name: &str| UserAction::UpdateProfile { display_name: name.to_owned() };
    let events = execute(NOON, rename("Ada")).expect("a name");
    assert!(matches!(&events[..], [GameEvent::UserProfileUpdated(of)] if of.updated_at == late));
    assert_eq!(execute(Moment::MAX.plus(1), rename("Lady A.")), Err(Refusal::InvalidTime));
    execute(Moment::MAX, rename("Lady A.")).expect("the last moment there is");

    let mut table = Table::started(RACE, 2);
    table.now = Moment::MAX;
    check_types(&table.act(GameAction::PassTime), &["race_mode_time_expired", "game_completed"]);
}

// Who may do what.

/// Only who takes part stops a game for all, unless an admin does.
#[test]
fn strangers_do_not_pause_a_game() {
    let mut table = Table::started(RACE, 2);
    let pause = |reason, by: u64| GameAction::Pause { reason, by: Some(by.into()) };
    assert_eq!(table.refused(pause(PauseReason::ByPlayers, 99)), Refusal::PlayerNotInGame(99.into()));
    check_types(&table.act(pause(PauseReason::ByAdmin, 99)), &["game_paused"]);
}

/// "two_player has 1 team": who waits for a partner needs a place as well.
#[test]
fn who_waits_counts_when_the_mode_changes() {
    let mut table = Table::open(RACE, &teams(1));
    let by = team(1).players()[0];
    table.act(GameAction::Join { player: 50.into(), team: None });
    assert_eq!(table.refused(GameAction::ChangeMode { by, mode: Mode::TwoPlayer }), Refusal::TooManyTeams);
    table.leave(50.into());
    check_types(&table.act(GameAction::ChangeMode { by, mode: Mode::TwoPlayer }), &["game_mode_changed"]);
}

/// "guilds never see each other's games": a game is created from the guild that it belongs to.
#[test]
fn no_guild_creates_a_game_for_another() {
    let create = || GameAction::Create { guild: guild(), by: 1.into(), config: RACE, teams: vec![] };
    let command = |from: u64| GameCommand::new(NOON, create()).from_guild(from.into());
    assert_eq!(Table::new().try_command(command(901)), Err(Refusal::GuildMismatch));
    Table::new().try_command(command(900)).expect("its own");
}

/// Limits may have been others when a game was configured: it is not started with what cannot be played now.
#[test]
fn what_cannot_be_played_is_not_started() {
    let mut table = Table::open(RACE, &teams(2));
    let by = team(1).players()[0];
    let config = GameConfig::Race { time_limit_ms: 1_000 };
    let GameEvent::GameConfigured(of) = table.act(GameAction::Configure { by, config }).remove(0) else { panic!() };
    table.apply(&GameConfigured { config: GameConfig::Race { time_limit_ms: 1 }, ..of }.into());
    assert_eq!(table.refused(GameAction::Start { by }), Refusal::InvalidConfig(ConfigFault::InvalidTimeLimit));
    table.act(GameAction::Configure { by, config });
    table.start();
}

/// Who was away and leaves is not away when they come again.
#[test]
fn who_comes_again_is_here() {
    let mut table = Table::open(RACE, &teams(1));
    let player = PlayerId::from(50);
    for _ in 0..2 {
        table.act(GameAction::Join { player, team: None });
        assert_eq!(table.game.status_of(player), PlayerStatus::Active);
        table.act(GameAction::ChangeStatus { player, status: PlayerStatus::Away });
        table.leave(player);
    }
    let nobody = GameAction::ChangeStatus { player, status: PlayerStatus::Away };
    assert_eq!(table.refused(nobody), Refusal::PlayerNotInGame(player));
}

// Names and limits.

/// "the lower id first": in names of teams and of their streams.
#[test]
fn a_team_has_one_name() {
    let read = |text: &str| serde_json::from_value::<TeamId>(serde_json::json!(text));
    assert_eq!(read("team-3-4").expect("a team"), team(1));
    for strange in ["team-4-3", "team-3-3", "team-3", "3-4", "team-03-4", "team--3-4", "team-3-4-5", "team-x-y"] {
        assert!(read(strange).is_err(), "{strange}");
    }
    let [alice, bob] = team(1).players();
    assert_eq!((team(1).partner(alice), team(1).partner(bob)), (bob, alice));
}

/// "a longform day": at most a week; the other times at most a day.
#[test]
fn times_have_limits() {
    for (least, most) in [
        (GameConfig::Longform { day_ms: 1_000 }, GameConfig::Longform { day_ms: 7 * DAY_MS }),
        (GameConfig::Race { time_limit_ms: 1_000 }, GameConfig::Race { time_limit_ms: DAY_MS }),
        (GameConfig::GolfRace { time_limit_ms: 1_000 }, GameConfig::GolfRace { time_limit_ms: DAY_MS }),
    ] {
        assert!(least.faults().is_empty() && most.faults().is_empty());
    }
    for beyond in [
        GameConfig::Longform { day_ms: 7 * DAY_MS + 1 },
        GameConfig::Race { time_limit_ms: DAY_MS + 1 },
        GameConfig::GolfRace { time_limit_ms: 999 },
        GameConfig::Knockout { round_ms: DAY_MS + 1, elimination_guess_limit: 12 },
    ] {
        assert_eq!(beyond.faults(), [ConfigFault::InvalidTimeLimit]);
    }
}

// Statistics.

/// "two_player {average_guess_time}": for each attempt. "golf {best_round}": points, then guesses, then time.
#[test]
fn statistics_take_the_right_number() {
    let mut table = Table::started(GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 4 }, 1);
    table.miss(team(1), 3);
    table.wait(8_000);
    table.hit(team(1));
    let stats = GameStats::of(&table.game).expect("it is over");
    assert!(matches!(stats.of_mode, ModeStats::TwoPlayer { average_guess_ms, .. } if average_guess_ms == 2_000.0));

    let mut table = Table::started(GOLF_RACE, 2);
    table.give_up(team(2));
    table.give_up(team(2));
    table.miss(team(1), 3); // 3 points, at once
    table.hit(team(1));
    table.wait(9_000);
    table.miss(team(1), 1); // 3 points with fewer guesses, and slower
    table.hit(team(1));
    table.pass_to_deadline();
    let stats = GameStats::of(&table.game).expect("it is over");
    let ModeStats::GolfRace { points_a_round, best_round } = stats.of_mode else { panic!("{stats:?}") };
    assert_eq!((points_a_round[&team(1)], points_a_round[&team(2)]), (3.0, -1.0));
    assert_eq!(best_round.map(|(_, round)| (round.round_number, round.guess_count)), Some((2, 2)));
}

/// A stream that is named like no game's is none.
#[test]
fn ids_are_written_in_one_way() {
    let id = Table::new().game.id().expect("an id").to_string();
    for name in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}")] {
        let stream = StreamName::new(format!("game-{name}"));
        assert!(stream.is_err() || stream.is_ok_and(|stream| GameId::of_stream(&stream).is_none()), "{name}");
    }
}

/// "every event carries the game's `guild`", and those of refusals as well, by which they are found; and happens when it did,
/// not when it was written down.
#[test]
fn events_are_found_by_guild_and_time() {
    let mut maker = Maker(Chance(5));
    for event_type in TYPES {
        let event = maker.event(event_type);
        let store = EventStore::open_in_memory().expect("a store");
        let stream = StreamName::new("events").expect("a name");
        let new = event.dress(event.encode().expect("it can be written"));
        store.append(&stream, ExpectedVersion::NoStream, [new]).wait().expect("it is sound");
        let recorded = store.read(&stream).iter().next().expect("an event").expect("it can be read");
        let json: serde_json::Value = recorded.json().expect("JSON");
        // Users are over all guilds, and what goes wrong with the bot is of none.
        let guild = json["guild_id"].as_str();
        assert_eq!(recorded.tag("guild"), guild, "{event_type}");
        if let Some(at) = event.base().map(|base| base.timestamp).or(event.team_base().map(|base| base.timestamp)) {
            assert_eq!(recorded.occurred().map(Moment::from), Some(at), "{event_type}");
        }
    }
}
