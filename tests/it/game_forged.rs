//! Logs that somebody else has written: events that keep the rules by themselves and make no sense together, and events that
//! keep no rule, for nobody asks the rules when a log is read.

use super::game::{NOON, Table, guild, team, teams};
use super::game_events::{TYPES, faults};
use super::game_maker::Maker;
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{Aggregate, EventContext, Position, Timestamp, Version};
use std::collections::BTreeMap;

/// How many logs of each kind.
const LOGS: u64 = 200;

/// How many events a log has.
const EVENTS: usize = 60;

/// Everything that can be asked of a game, by somebody in it and by a stranger, with words to deal and without.
fn commands(table: &Table, maker: &mut Maker) -> Vec<GameCommand> {
    let now = table.now;
    let mut somebody = vec![PlayerId::from(666)];
    somebody.extend(table.game.players().into_iter().filter(|_| maker.0.one_in(4)));
    let mut actions = vec![GameAction::PassTime, GameAction::Resume { by: None }];
    for by in somebody {
        let mode = maker.mode();
        let config = GameConfig::of(maker.mode());
        let (player, team) = (by, Some(team(40)));
        actions.extend([
            GameAction::Create { guild: guild(), by, config, teams: teams(2) },
            GameAction::Configure { by, config },
            GameAction::ChangeMode { by, mode },
            GameAction::Join { player: 777.into(), team: None },
            GameAction::Join { player: team.map_or(by, |team| team.players()[0]), team },
            GameAction::Leave { player, reason: LeaveReason::PlayerQuit },
            GameAction::ChangeStatus { player, status: PlayerStatus::Away },
            GameAction::Start { by },
            table.guess(player, "ocean"),
            table.guess(player, "desert"),
            table.guess(player, "give up"),
            GameAction::Pause { reason: PauseReason::BotRestart, by: None },
            GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(by) },
            GameAction::Cancel { by, right: CancelRight::Player },
            GameAction::Cancel { by, right: CancelRight::Admin },
        ]);
    }
    let due = table.game.deadline().map(|(due, _)| due);
    let moments = [now, Moment::from_millis(0), Moment::MAX, due.unwrap_or(now).min(Moment::MAX)];
    let pairs = (0..24).map(|_| maker.pair()).collect::<Vec<_>>();
    let mut command = |action| {
        let count = *maker.0.pick(&[0, 1, 24, 24, 24]);
        GameCommand::new(*maker.0.pick(&moments), action).dealing(pairs[..count].to_vec())
    };
    actions.into_iter().map(&mut command).collect()
}

/// Whatever is decided keeps the rules, and something has happened where something was decided.
fn check_commands(table: &Table, maker: &mut Maker) {
    let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
    for command in commands(table, maker) {
        let Ok(events) = table.game.decide(&command) else { continue };
        let mut after = table.game.clone();
        for event in &events {
            assert_eq!(faults(event), Vec::<String>::new(), "{:?}: {event:?}", command.action());
            let before = after.clone();
            after.apply(event, &context);
            // What ends a round or a race is said again by what follows; the second of a team comes with the first.
            let says_nothing = matches!(
                event,
                GameEvent::PlayerJoined(_)
                    | GameEvent::PlayerLeft(_)
                    | GameEvent::KnockoutRoundStarted(_)
                    | GameEvent::RoundCompleted(_)
                    | GameEvent::RaceModeTimeExpired(_)
                    | GameEvent::GolfRaceTimeExpired(_)
            );
            assert!(says_nothing || after != before, "{:?}: nothing came of {event:?}", command.action());
        }
    }
}

/// What holds of a game whatever stands in its log.
fn check_game(game: &Game) {
    assert!(game.teams().len() <= 12, "{game:?}");
    assert!(game.players().len() <= 2 * game.teams().len() + 1, "{game:?}");
    assert!(game.eliminations().len() <= game.teams().len(), "{game:?}");
    if let Some((due, _)) = game.deadline() {
        assert!(!game.is_over() && game.paused_since().is_none() && Moment::from_millis(0) < due, "{game:?}");
    }
    for side in game.sides() {
        let standing = side.standing();
        assert!(standing.matches <= standing.total_guesses && standing.average_guesses.is_finite(), "{side:?}");
        assert!(0 < side.guess_count() && u64::from(side.guess_count()) <= u64::from(side.total_guesses()) + 1);
    }
    let _ = GameStats::of(game);
}

macro_rules! with_base {
    ($event:expr, $do:expr; $($variant:ident)*) => {
        match $event {
            $(GameEvent::$variant(of) => $do(&mut of.base),)*
            _ => {}
        }
    };
}

/// Makes an event one of this game, as a forger would who has read the log; sometimes in part only.
fn fit(event: &mut GameEvent, table: &Table, maker: &mut Maker) {
    let game = &table.game;
    let others = [maker.moment(), Moment::from_millis(0), Moment::from_millis(u64::MAX)];
    let at = if maker.0.one_in(20) { *maker.0.pick(&others) } else { table.now };
    let fixed = event.base().filter(|base| match event {
        GameEvent::GameModeChanged(_) | GameEvent::GameConfigured(_) => true,
        _ => game.mode() != base.mode && maker.0.one_in(10),
    });
    let mode = fixed.map_or(game.mode(), |base| base.mode);
    let Some(id) = game.id() else { return };
    let set = |base: &mut GameBase| *base = GameBase { game_id: id, guild_id: guild(), mode, timestamp: at };
    with_base!(event, set; GameCreated GameModeChanged GameConfigured PlayerJoined PlayerLeft PlayerStatusChanged GameStarted
        KnockoutRoundStarted RoundStarted WordsDealt GuessStarted GuessProcessed GuessAbandoned TeamEliminated RoundCompleted
        KnockoutRoundCompleted RaceModeTimeExpired GolfRaceTimeExpired LongformDayEnded GamePaused GameResumed GameCompleted
        GameCancelled);
    if game.teams().is_empty() || maker.0.one_in(20) {
        return;
    }
    let team = *maker.0.pick(game.teams());
    let players = team.players();
    let open = game.side(team).map_or((1, 1), |side| (side.round(), side.guess_count()));
    let (round, count) = if maker.0.one_in(10) { (7, 7) } else { open };
    let stats = || players.into_iter().map(|player| (player, PlayerStats::default())).collect::<BTreeMap<_, _>>();
    match event {
        GameEvent::PlayerJoined(of) => {
            of.team_id = of.team_id.map(|_| TeamId::of(of.player_id, 9.into()).unwrap_or(team))
        }
        GameEvent::PlayerLeft(of) => (of.player_id, of.team_id) = (players[0], Some(team)),
        GameEvent::PlayerStatusChanged(of) => of.player_id = players[0],
        GameEvent::GameStarted(of) => {
            of.team_ids = game.teams().to_vec();
            of.player_ids = game.teams().iter().flat_map(|team| team.players()).collect();
            of.teams = game.teams().iter().map(|team| (*team, team.players().to_vec())).collect();
            (of.config, of.started_at) = (*game.config(), at);
        }
        GameEvent::RoundStarted(of) => {
            let states = std::mem::take(&mut of.team_states).into_values();
            let left = game.sides().filter(|side| side.out().is_none()).map(Side::team);
            let states = left
                .zip(states)
                .map(|(team, state)| (team, TeamRoundState { active_players: team.players().to_vec(), ..state }));
            of.team_states = states.collect();
        }
        GameEvent::WordsDealt(of) => (of.team_id, of.round_number, of.guess_count) = (team, round, count),
        GameEvent::GuessStarted(of) => {
            (of.team_id, of.player_id, of.round_number, of.guess_count) = (team, players[0], round, count);
        }
        GameEvent::GuessProcessed(of) => {
            (of.team_id, of.player1_id, of.player2_id) = (team, players[0], players[1]);
            (of.round_number, of.guess_count, of.round_guess_count) = (round, count, count);
            of.total_guesses = of.total_guesses.max(count);
        }
        GameEvent::GuessAbandoned(of) => {
            (of.team_id, of.player1_id, of.player2_id) = (team, players[0], players[1]);
            (of.round_number, of.guess_count, of.round_guess_count) = (round, count, count);
            of.total_guesses = of.total_guesses.max(count);
            of.abandoning_player_id = of.abandoning_player_id.map(|_| players[1]);
            of.last_guess = None;
        }
        GameEvent::TeamEliminated(of) => {
            (of.team_id, of.round_number, of.final_state.player_stats) = (team, round, stats());
        }
        GameEvent::RoundCompleted(of) => (of.team_id, of.winner_team_id) = (of.team_id.map(|_| team), None),
        GameEvent::GamePaused(of) => of.since = at,
        GameEvent::GameResumed(of) => of.paused_ms = game.paused_since().map_or(of.paused_ms, |since| at.since(since)),
        _ => {}
    }
}

/// Makes something of an event so wrong that it could not have been appended.
fn spoil(event: &mut GameEvent, maker: &mut Maker) {
    let number = *maker.0.pick(&[0, 1, u32::MAX]);
    let time = *maker.0.pick(&[0, 1, u64::MAX]);
    let stranger = PlayerId::from(666);
    let configs = [
        GameConfig::Knockout { round_ms: time, elimination_guess_limit: number },
        GameConfig::TwoPlayer { rounds_required: number, success_threshold: number },
        GameConfig::Race { time_limit_ms: time },
        GameConfig::Longform { day_ms: time },
    ];
    match event {
        GameEvent::GameCreated(of) => of.team_ids = (0..40).map(|number| team(number / 2)).collect(),
        GameEvent::GameConfigured(of) => (of.config, of.config_version) = (*maker.0.pick(&configs), number),
        GameEvent::GameStarted(of) if maker.0.one_in(2) => of.config = *maker.0.pick(&configs),
        GameEvent::GameStarted(of) => of.round_number = number,
        GameEvent::RoundStarted(of) => of.round_number = number,
        GameEvent::WordsDealt(of) => (of.round_number, of.guess_count) = (number, number),
        GameEvent::GuessStarted(of) if maker.0.one_in(2) => of.player_id = stranger,
        GameEvent::GuessStarted(of) => of.duration = u64::MAX,
        GameEvent::GuessProcessed(of) => {
            (of.player1_id, of.match_score, of.total_guesses) = (stranger, Some(7), number);
            (of.guess_duration, of.player1_duration) = (time, None);
        }
        GameEvent::GuessAbandoned(of) => {
            (of.abandoning_player_id, of.total_guesses) = (Some(stranger), number);
        }
        GameEvent::TeamEliminated(of) => {
            (of.round_number, of.guess_count, of.final_score) = (number, number, i64::MIN);
        }
        GameEvent::RoundCompleted(of) => {
            (of.round_number, of.round_score) = (number, *maker.0.pick(&[i64::MIN, i64::MAX]));
        }
        GameEvent::KnockoutRoundCompleted(of) => of.round_number = number,
        GameEvent::LongformDayEnded(of) => of.day_number = number,
        GameEvent::GamePaused(of) => of.since = Moment::from_millis(time),
        GameEvent::GameResumed(of) => of.paused_ms = time,
        GameEvent::GameCompleted(of) => (of.final_scores, of.total_rounds) = (BTreeMap::new(), number),
        _ => {}
    }
}

/// "forged events in a log": whatever stands there, a game goes on from a state that makes sense, or not at all.
#[test]
fn whatever_a_log_says_a_game_makes_sense_of_it() {
    let seed = seed();
    let (mut started, mut followed) = (0, 0);
    for log in 0..LOGS {
        let mut maker = Maker(Chance(seed.wrapping_add(log)));
        let mode = maker.mode();
        let mut table = match maker.0.below(3) {
            0 => Table::new(),
            1 => Table::open(GameConfig::of(mode), &teams(*mode.teams().start() as u64)),
            _ => Table::started(GameConfig::of(mode), *mode.teams().start() as u64),
        };
        for _ in 0..EVENTS {
            table.wait(maker.0.below(60_000) as u64);
            let event_type = *maker.0.pick(&TYPES);
            // What ends a game comes last in most logs.
            if ["game_cancelled", "game_completed"].contains(&event_type) && !maker.0.one_in(10) {
                continue;
            }
            let mut event = maker.event(event_type);
            if !maker.0.one_in(8) {
                fit(&mut event, &table, &mut maker);
            }
            if maker.0.one_in(3) {
                spoil(&mut event, &mut maker);
            }
            let before = table.game.clone();
            table.apply(&event);
            followed += u32::from(table.game != before);
            check_game(&table.game);
            if maker.0.one_in(3) {
                check_commands(&table, &mut maker);
            }
        }
        started += u32::from(table.game.is_played());
    }
    assert!(
        10 < started && 500 < followed,
        "seed {seed}: {started} games are played, {followed} events had a consequence"
    );
}

/// The same after a game that was played by the rules up to some moment: from every phase, with every event.
#[test]
fn an_event_of_another_game_changes_nothing() {
    let mut maker = Maker(Chance(seed()));
    for mode in Mode::ALL {
        let table = Table::started(GameConfig::of(mode), *mode.teams().start() as u64);
        for event_type in TYPES {
            let mut forged = table.clone();
            forged.apply(&maker.event(event_type));
            assert_eq!(forged.game, table.game, "{event_type} of another game");
        }
    }
}

/// Of a game that is over, nothing follows.
#[test]
fn nothing_follows_on_the_end_of_a_game() {
    let mut maker = Maker(Chance(seed()));
    for mode in Mode::ALL {
        let mut table = Table::started(GameConfig::of(mode), *mode.teams().start() as u64);
        table.act(GameAction::Cancel { by: 3.into(), right: CancelRight::Admin });
        for event_type in TYPES {
            let mut event = maker.event(event_type);
            let mut forged = table.clone();
            fit(&mut event, &table, &mut maker);
            forged.apply(&event);
            assert_eq!(forged.game, table.game, "{event:?}");
        }
    }
}

/// "timestamps non-decreasing"; every event of a game is of its guild and its mode; a pause begins when it began.
#[test]
fn an_event_out_of_time_or_place_changes_nothing() {
    let mut table = Table::started(GameConfig::of(Mode::Race), 2);
    table.wait(1_000);
    table.act(GameAction::ChangeStatus { player: 3.into(), status: PlayerStatus::Away });
    let base = *table.events.last().and_then(GameEvent::base).expect("a base");
    let pause = |base: GameBase, since| GamePaused { base, reason: PauseReason::ByAdmin, since, by: None };
    let check = |event: GameEvent, is_taken: bool| {
        let mut forged = table.clone();
        forged.apply(&event);
        assert_eq!(forged.game != table.game, is_taken, "{event:?}");
    };
    let (now, before) = (base.timestamp, Moment::from_millis(base.timestamp.millis() - 1));
    check(pause(base, now).into(), true);
    check(pause(base, before).into(), false);
    let (player_id, from, to) = (4.into(), PlayerStatus::Active, PlayerStatus::Away);
    check(PlayerStatusChanged { base, player_id, from, to }.into(), true);
    let base_before = GameBase { timestamp: before, ..base };
    check(PlayerStatusChanged { base: base_before, player_id, from, to }.into(), false);
    check(pause(GameBase { timestamp: Moment::MAX.plus(1), ..base }, now).into(), false);
    check(pause(GameBase { guild_id: 901.into(), ..base }, now).into(), false);
    check(pause(GameBase { mode: Mode::Knockout, ..base }, now).into(), false);
    check(pause(GameBase { game_id: GameId::new(NOON, [8; 10]), ..base }, now).into(), false);

    let mut paused = table.clone();
    paused.apply(&pause(base, now).into());
    for (paused_ms, is_taken) in [(6_000, false), (4_999, false), (5_000, true)] {
        let mut forged = paused.clone();
        let base = GameBase { timestamp: now.plus(5_000), ..base };
        forged.apply(&GameResumed { base, by: None, paused_ms }.into());
        assert_eq!(forged.game != paused.game, is_taken, "{paused_ms} ms");
    }
}

/// Only in a race do teams begin their rounds by themselves, and none begins round 0.
#[test]
fn a_round_begins_for_all_or_in_a_race() {
    for (mode, is_taken) in [(Mode::Knockout, false), (Mode::Longform, false), (Mode::Race, true)] {
        let table = Table::started(GameConfig::of(mode), 3);
        let round = table.events.iter().find_map(|event| match event {
            GameEvent::RoundStarted(of) => Some(of.clone()),
            _ => None,
        });
        let round = RoundStarted { round_number: 2, ..round.expect("a round began") };
        let mut alone = round.clone();
        alone.team_states.retain(|of, _| *of == team(1));
        for (event, is_taken) in
            [(round.clone(), true), (alone, is_taken), (RoundStarted { round_number: 0, ..round }, false)]
        {
            let mut forged = table.clone();
            forged.apply(&event.into());
            assert_eq!(forged.game != table.game, is_taken, "{mode}");
        }
    }
}

/// A limit of no attempts could not have been set: whoever gives up is out, after one.
#[test]
fn a_limit_of_nothing_is_a_limit() {
    let config = GameConfig::Knockout { round_ms: 60_000, elimination_guess_limit: 0 };
    let mut table = Table::open(GameConfig::of(Mode::Knockout), &teams(2));
    let mut straight = table.clone();
    let base = *table.events[0].base().expect("a base");
    table.apply(&GameConfigured { base, config, config_version: 1, by: 3.into() }.into());
    for mut event in straight.start() {
        if let GameEvent::GameStarted(of) = &mut event {
            of.config = config;
        }
        table.apply(&event);
    }
    let events = table.give_up(team(1));
    let GameEvent::TeamEliminated(of) = &events[1] else { panic!("{events:?}") };
    assert_eq!((of.team_id, of.guess_count), (team(1), 1));
}

/// An attempt is compared or given up once, and no other than the one that is open.
#[test]
fn only_the_open_attempt_is_compared() {
    let mut table = Table::started(GameConfig::of(Mode::Race), 2);
    let events = table.miss(team(1), 1);
    let state = table.game.clone();
    table.apply(&events[0]);
    assert_eq!(table.game, state, "the same attempt again");
    let Some(GameEvent::GuessProcessed(of)) = events.first().cloned() else { panic!("{events:?}") };
    for (guess_count, round_number) in [(1, 1), (3, 1), (2, 2)] {
        let (round_guess_count, total_guesses) = (guess_count, guess_count);
        table.apply(
            &GuessProcessed { guess_count, round_number, round_guess_count, total_guesses, ..of.clone() }.into(),
        );
        assert_eq!(table.game, state, "attempt {guess_count} of round {round_number}");
    }
    let next = GuessProcessed { guess_count: 2, round_guess_count: 2, total_guesses: 2, ..of };
    table.apply(&next.into());
    assert_eq!(table.side(team(1)).total_guesses(), 2);
}

/// Teams and users as well.
#[test]
fn whatever_a_log_says_teams_and_users_make_sense_of_it() {
    let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
    let seed = seed();
    let id = team(1);
    let [alice, bob] = id.players();
    let mut complete = 0;
    for log in 0..LOGS {
        let mut maker = Maker(Chance(seed.wrapping_add(log)));
        let (mut pair, mut user) = (Team::new(&id.stream(guild())), User::new(&alice.stream()));
        for _ in 0..EVENTS {
            let event_type = *maker.0.pick(&TYPES);
            let mut event = maker.event(event_type);
            let is_ours = !maker.0.one_in(4);
            match &mut event {
                GameEvent::TeamCreated(of) if is_ours => (of.base.guild_id, of.base.team_id) = (guild(), id),
                GameEvent::TeamMemberAdded(of) if is_ours => (of.base.guild_id, of.base.team_id) = (guild(), id),
                GameEvent::TeamUpdated(of) if is_ours => {
                    (of.base.guild_id, of.base.team_id) = (guild(), id);
                    of.base.timestamp = *maker.0.pick(&[NOON, Moment::from_millis(u64::MAX)]);
                }
                GameEvent::TeamMemberRemoved(of) if is_ours => {
                    (of.base.guild_id, of.base.team_id, of.player_id) = (guild(), id, bob);
                }
                GameEvent::TeamInvitationCreated(of) if is_ours => {
                    (of.base.guild_id, of.base.team_id) = (guild(), id);
                    (of.inviter_id, of.invitee_id) = (alice, *maker.0.pick(&[bob, 99.into()]));
                }
                GameEvent::UserRegistered(of) if is_ours => {
                    (of.user_id, of.created_at) = (alice, *maker.0.pick(&[NOON, Moment::from_millis(u64::MAX)]));
                }
                GameEvent::UserPreferencesChanged(of) if is_ours => of.user_id = alice,
                _ => {}
            }
            let before = (pair.clone(), user.clone());
            pair.apply(&event, &context);
            user.apply(&event, &context);
            assert!(is_ours || before == (pair.clone(), user.clone()), "of somebody else: {event:?}");
            assert!(pair.members().iter().all(|player| id.has(*player)));
            check_team(&pair, maker.moment());
            check_user(&user, &mut maker);
        }
        complete += u32::from(pair.is_complete());
    }
    assert!(10 < complete, "seed {seed}: {complete} teams are complete");
}

fn check_team(pair: &Team, at: Moment) {
    for by in [3, 4, 99].map(PlayerId::from) {
        for action in [
            TeamAction::Create { by, name: None },
            TeamAction::Invite { by, invitee: 4.into(), name: Some("Owls".to_owned()) },
            TeamAction::Accept { by },
            TeamAction::Decline { by },
            TeamAction::PassTime,
            TeamAction::Rename { by, name: "Night owls".to_owned() },
            TeamAction::AddMember { by, player: 4.into() },
            TeamAction::RemoveMember { by, player: 4.into(), reason: Some(String::new()) },
        ] {
            let decided = pair.decide(&TeamCommand::new(at, action.clone())).unwrap_or_default();
            decided.iter().for_each(|event| assert_eq!(faults(event), Vec::<String>::new(), "{action:?}: {event:?}"));
        }
    }
}

fn check_user(user: &User, maker: &mut Maker) {
    let notifications = BTreeMap::from([("ping".to_owned(), Setting::Switch(true))]);
    let (username, display_name) = ("ada".to_owned(), "Ada".to_owned());
    for action in [
        UserAction::Register { guild: guild(), username, display_name: None },
        UserAction::UpdateProfile { display_name },
        UserAction::ChangePreferences { notifications, ui: BTreeMap::new() },
    ] {
        let decided = user.decide(&UserCommand::new(maker.moment(), action.clone())).unwrap_or_default();
        decided.iter().for_each(|event| assert_eq!(faults(event), Vec::<String>::new(), "{action:?}: {event:?}"));
    }
}
