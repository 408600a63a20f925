//! What can be asked of a game, and what it answers where it may not be.

use super::game::{NOON, Table, check_types, gone, guild, team, teams};
use super::game_rules::{GOLF_RACE, KNOCKOUT, RACE};
use scorebook::game::EliminationReason::GuessLimit;
use scorebook::game::*;

/// "`game_mode_changed`, `game_configured`: both only before the start"
#[test]
fn mode_and_configuration_change_before_the_start_only() {
    let mut table = Table::open(KNOCKOUT, &teams(2));
    let by = team(1).players()[0];
    let config = GameConfig::Knockout { round_ms: 60_000, elimination_guess_limit: 3 };
    check_types(&table.act(GameAction::Configure { by, config }), &["game_configured"]);
    assert!(table.act(GameAction::Configure { by, config }).is_empty(), "nothing changes");
    let other = GameAction::Configure { by, config: RACE };
    assert_eq!(table.refused(other), Refusal::InvalidMode { expected: Mode::Knockout, got: Mode::Race });
    let change = |mode| GameAction::ChangeMode { by, mode };
    assert_eq!(table.refused(change(Mode::TwoPlayer)), Refusal::TooManyTeams);
    check_types(&table.act(change(Mode::GolfRace)), &["game_mode_changed"]);
    assert_eq!(*table.game.config(), GOLF_RACE);
    table.act(change(Mode::Knockout));
    assert_eq!(*table.game.config(), KNOCKOUT, "what is usual there");
    table.act(GameAction::Configure { by, config });
    table.start();
    assert_eq!(table.refused(change(Mode::Race)), Refusal::GameStarted);
    assert_eq!(table.refused(GameAction::Configure { by, config: KNOCKOUT }), Refusal::GameStarted);
    assert_eq!(gone(&table.miss(team(1), 3)), [(team(1), GuessLimit)], "what was set holds");
}

/// "`rounds_required` (>0, else `invalid_rounds`), `success_threshold` (>0, else `invalid_threshold`), `time_limit` (>0, else
/// `invalid_time_limit`)"
#[test]
fn what_cannot_be_played_cannot_be_set() {
    for (config, name) in [
        (GameConfig::TwoPlayer { rounds_required: 0, success_threshold: 4 }, "invalid_rounds"),
        (GameConfig::TwoPlayer { rounds_required: 101, success_threshold: 4 }, "invalid_rounds"),
        (GameConfig::TwoPlayer { rounds_required: 5, success_threshold: 0 }, "invalid_threshold"),
        (GameConfig::Knockout { round_ms: 0, elimination_guess_limit: 12 }, "invalid_time_limit"),
        (GameConfig::Knockout { round_ms: 300_000, elimination_guess_limit: 0 }, "invalid_guess_limit"),
        (GameConfig::Race { time_limit_ms: 0 }, "invalid_time_limit"),
        (GameConfig::GolfRace { time_limit_ms: u64::MAX }, "invalid_time_limit"),
        (GameConfig::Longform { day_ms: 0 }, "invalid_time_limit"),
    ] {
        let create = GameAction::Create { guild: guild(), by: 1.into(), config, teams: vec![] };
        assert_eq!(Table::new().refused(create).name(), name, "{config:?}");
    }
}

/// "guilds never see each other's games"; commands from a direct message bring no guild.
#[test]
fn a_game_listens_to_its_guild_only() {
    let mut table = Table::open(RACE, &teams(2));
    let join = || GameCommand::new(NOON, GameAction::Join { player: 50.into(), team: None });
    assert_eq!(table.try_command(join().from_guild(901.into())), Err(Refusal::GuildMismatch));
    table.try_command(join().from_guild(guild())).expect("its own");
}

/// What is asked of a game that is not there, not begun, or over, is refused by name.
#[test]
fn every_phase_refuses_by_name() {
    let by = team(1).players()[0];
    let actions = |table: &Table| {
        vec![
            GameAction::Create { guild: guild(), by, config: RACE, teams: vec![] },
            GameAction::Configure { by, config: RACE },
            GameAction::ChangeMode { by, mode: Mode::Race },
            GameAction::Join { player: 77.into(), team: None },
            GameAction::Leave { player: by, reason: LeaveReason::PlayerQuit },
            GameAction::ChangeStatus { player: by, status: PlayerStatus::Away },
            GameAction::Start { by },
            table.guess(by, "ocean"),
            GameAction::Pause { reason: PauseReason::ByAdmin, by: None },
            GameAction::Resume { by: None },
            GameAction::Cancel { by, right: CancelRight::Admin },
        ]
    };
    let mut missing = Table::new();
    for action in actions(&missing).into_iter().skip(1) {
        assert_eq!(missing.refused(action), Refusal::GameNotFound);
    }
    assert_eq!(missing.refused(GameAction::PassTime), Refusal::GameNotFound);

    let mut open = Table::open(RACE, &teams(2));
    for action in [open.guess(by, "ocean"), GameAction::Pause { reason: PauseReason::ByAdmin, by: None }] {
        assert_eq!(open.refused(action), Refusal::GameNotStarted);
    }
    assert_eq!(open.refused(actions(&open).remove(0)), Refusal::GameExists);

    let mut cancelled = Table::started(RACE, 2);
    cancelled.act(GameAction::Cancel { by, right: CancelRight::Player });
    let mut completed = Table::started(RACE, 2);
    completed.pass(180_000);
    for (mut table, refusal) in [(cancelled, Refusal::GameCancelled), (completed, Refusal::GameCompleted)] {
        assert!(table.act(GameAction::PassTime).is_empty(), "nothing is due any more");
        for action in actions(&table).into_iter().skip(1) {
            assert_eq!(table.refused(action), refusal);
        }
    }
}

/// "`game_cancelled` reason `by_players`, `by_admin`": as a player one must be in it.
#[test]
fn a_game_is_cancelled_by_its_players_or_an_admin() {
    let mut table = Table::started(RACE, 2);
    let cancel = |right| GameAction::Cancel { by: 99.into(), right };
    assert_eq!(table.refused(cancel(CancelRight::Player)), Refusal::PlayerNotInGame(99.into()));
    let events = table.act(cancel(CancelRight::Admin));
    assert!(matches!(&events[..], [GameEvent::GameCancelled(of)] if of.reason == CancelReason::ByAdmin));
}

/// "`player_status_changed`: player_id, from, to"
#[test]
fn a_player_may_be_away_for_a_while() {
    let mut table = Table::started(RACE, 2);
    let status = |status| GameAction::ChangeStatus { player: 3.into(), status };
    check_types(&table.act(status(PlayerStatus::Away)), &["player_status_changed"]);
    assert_eq!(table.game.status_of(3.into()), PlayerStatus::Away);
    assert!(table.act(status(PlayerStatus::Away)).is_empty());
    table.act(status(PlayerStatus::Active));
    assert_eq!(table.game.status_of(3.into()), PlayerStatus::Active);
}

/// "round_completed: winner_team_id of a round may be absent": who matched with the fewest guesses, then earlier.
#[test]
fn the_winner_of_a_round_had_the_fewest_guesses() {
    let winner = |events: &[GameEvent]| {
        let round = events.iter().find_map(|event| match event {
            GameEvent::RoundCompleted(of) => Some(of.winner_team_id),
            _ => None,
        });
        round.expect("a round is over")
    };
    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(1), 1);
    table.hit(team(1));
    table.hit(team(3));
    table.wait(1);
    assert_eq!(winner(&table.hit(team(2))), Some(team(3)));
    let mut table = Table::started(KNOCKOUT, 3);
    assert_eq!(winner(&table.pass_to_deadline()), None);
}
