//! The catalogue of events: their fields and the names in them, and every field that a forger could get wrong.

use super::game::{NOON, Table, check_types, guild, team, teams};
use super::game_events::{TYPES, faults};
use super::game_maker::Maker;
use super::game_rules::{DAY_MS, GOLF_RACE, KNOCKOUT, LONGFORM, RACE, TWO_PLAYER};
use crate::model::Chance;
use scorebook::game::*;
use scorebook::{
    Aggregate, Event, EventContext, EventStore, ExpectedVersion, Position, StreamName, Timestamp, Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// The fields of every event. `game` stands for those of all events of a game, `team` for those of a team.
const FIELDS: [(&str, &str); 41] = [
    // 4.3, game lifecycle
    ("game_created", "game created_by created_at team_ids"),
    ("game_started", "game round_number teams team_ids player_ids config started_at"),
    ("game_completed", "game round_number winners final_scores game_duration total_rounds finished_at"),
    ("round_started", "game round_number team_states"),
    ("round_completed", "game round_number team_id winner_team_id round_score round_stats"),
    // 4.3, gameplay
    (
        "guess_processed",
        "game round_number team_id player1_id player2_id player1_word player2_word guess_successful match_score guess_count \
         round_guess_count total_guesses guess_duration player1_duration player2_duration",
    ),
    ("guess_started", "game team_id player_id channel_id word round_number guess_count duration"),
    (
        "guess_abandoned",
        "game round_number team_id player1_id player2_id reason abandoning_player_id last_guess guess_count \
         round_guess_count total_guesses guess_duration",
    ),
    ("team_eliminated", "game round_number team_id reason guess_count final_state final_score round_position"),
    ("knockout_round_completed", "game round_number eliminated_teams advancing_teams round_duration"),
    ("race_mode_time_expired", "game round_number final_matches game_duration"),
    ("longform_day_ended", "game round_number day_number team_standings eliminated_teams day_duration"),
    // 4.3, team
    ("team_created", "team name player_ids created_at"),
    ("team_updated", "team name updated_by updated_at"),
    ("team_member_added", "team player_id added_by added_at"),
    ("team_member_removed", "team player_id removed_by reason removed_at"),
    ("team_invitation_created", "team invitation_id inviter_id invitee_id proposed_name created_at expires_at"),
    ("team_invitation_accepted", "team invitation_id accepted_at"),
    ("team_invitation_declined", "team invitation_id declined_at reason"),
    // 4.3, user
    ("user_registered", "user_id guild_id username display_name created_at"),
    ("user_profile_updated", "user_id display_name updated_at"),
    ("user_preferences_changed", "user_id notification_settings ui_preferences updated_at"),
    // 4.3, errors
    ("command_error", "guild_id game_id command_name error_code error_message user_id channel_id timestamp"),
    ("system_error", "guild_id game_id error_type error_message context timestamp"),
    ("guess_error", "guild_id game_id team_id player_id word reason timestamp"),
    ("guess_pair_error", "guild_id game_id team_id word1 word2 reason timestamp"),
    ("round_check_error", "guild_id game_id reason context timestamp"),
    // section 0, "events beside those of 4.3"
    ("player_joined", "game player_id team_id"),
    ("player_left", "game player_id team_id reason"),
    ("player_status_changed", "game player_id from to"),
    ("game_paused", "game reason since by"),
    ("game_resumed", "game by paused_ms"),
    ("game_mode_changed", "game from to by player_ids"),
    ("game_configured", "game config config_version by"),
    ("game_cancelled", "game reason by player_ids"),
    ("words_dealt", "game team_id round_number guess_count words"),
    ("knockout_round_started", "game round_number team_ids limit_ms"),
    ("golf_race_time_expired", "game round_number final_matches points game_duration"),
    ("recovery_performed", "games down_ms hints timestamp"),
    // 12, replays
    ("replay_created", "game_id guild_id mode name event_count start_time end_time created_at"),
    ("replay_accessed", "game_id guild_id user_id access accessed_at"),
];

/// The payloads of events, as a store has them.
fn payloads(events: &[GameEvent]) -> Vec<serde_json::Value> {
    let store = EventStore::open_in_memory().expect("a store");
    let stream = StreamName::new("events").expect("a name");
    let new = events.iter().map(|event| event.encode().expect("it can be written"));
    store.append(&stream, ExpectedVersion::NoStream, new.collect::<Vec<_>>()).wait().expect("they are sound");
    store.read(&stream).iter().map(|event| event.expect("it can be read").json().expect("JSON")).collect()
}

/// "Every event is one variant of one enum": with the fields of the catalogue, and no others. What is optional comes up by
/// chance; "durations: milliseconds", so no field is in another unit.
#[test]
fn every_event_has_the_fields_of_the_catalogue() {
    for (event_type, fields) in FIELDS {
        let mut maker = Maker(Chance(7));
        let events = (0..80).map(|_| maker.event(event_type)).collect::<Vec<_>>();
        let payloads = payloads(&events);
        let keys = payloads.iter().flat_map(|json| json.as_object().expect("an object").keys().cloned());
        let expected = fields.split_whitespace().flat_map(|field| match field {
            "game" => vec!["game_id", "guild_id", "mode", "timestamp"],
            "team" => vec!["guild_id", "team_id", "timestamp"],
            field => vec![field],
        });
        let expected = expected.map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(keys.collect::<BTreeSet<_>>(), expected, "{event_type}");
    }
    assert_eq!(FIELDS.map(|(event_type, _)| event_type).into_iter().collect::<BTreeSet<_>>(), TYPES.into());
}

/// The names that choices have in events and tags, as the documents have them.
#[test]
fn choices_are_named_as_decided() {
    fn name(choice: impl serde::Serialize) -> String {
        serde_json::to_value(choice).expect("JSON").as_str().expect("a name").to_owned()
    }
    // "abandon reasons: `gave_up`, `timeout`, `player_quit`, `disconnected`"
    let abandon =
        [AbandonReason::GaveUp, AbandonReason::Timeout, AbandonReason::PlayerQuit, AbandonReason::Disconnected];
    assert_eq!(abandon.map(name), ["gave_up", "timeout", "player_quit", "disconnected"]);
    // "`guess_limit`, `time_expired`, `forced_elimination`, `forfeit`"
    let out = [
        EliminationReason::GuessLimit,
        EliminationReason::TimeExpired,
        EliminationReason::ForcedElimination,
        EliminationReason::Forfeit,
    ];
    assert_eq!(out.map(name), ["guess_limit", "time_expired", "forced_elimination", "forfeit"]);
    // "reason `by_players`, `by_admin`, `idle`, `too_few`"
    let cancel = [CancelReason::ByPlayers, CancelReason::ByAdmin, CancelReason::Idle, CancelReason::TooFew];
    assert_eq!(cancel.map(name), ["by_players", "by_admin", "idle", "too_few"]);
    // "`game_paused` (reason `bot_restart`)"
    let pause = [PauseReason::ByPlayers, PauseReason::ByAdmin, PauseReason::BotRestart];
    assert_eq!(pause.map(name), ["by_players", "by_admin", "bot_restart"]);
    let leave = [LeaveReason::PlayerQuit, LeaveReason::Disconnected, LeaveReason::PartnerLeft];
    assert_eq!(leave.map(name), ["player_quit", "disconnected", "partner_left"]);
    assert_eq!(Mode::ALL.map(name), Mode::ALL.map(|mode| mode.name().to_owned()));
}

/// The errors of 2.4, 3 and 14 that are about games, teams and words.
#[test]
fn refusals_are_named_as_in_the_documents() {
    for (refusal, name) in [
        (Refusal::GameNotFound, "game_not_found"),
        (Refusal::GameCompleted, "game_completed"),
        (Refusal::TooManyTeams, "too_many_teams"),
        (Refusal::TeamEliminated, "team_eliminated"),
        (Refusal::RoundTimeExpired, "round_time_expired"),
        (Refusal::PlayerNotInGame(1.into()), "player_not_in_game"),
        (Refusal::GuessAlreadySubmitted, "guess_already_submitted"),
        (Refusal::ForbiddenWord, "forbidden_word"),
        (Refusal::InvalidWord(WordFault::Empty), "invalid_word"),
        (Refusal::InvalidWord(WordFault::TooLong), "invalid_word_length"),
        (Refusal::InvalidTeamCount { teams: 1, mode: Mode::Race }, "invalid_team_count"),
        (Refusal::TeamIncomplete(1.into()), "invalid_team_size"),
        (Refusal::GuildMismatch, "guild_mismatch"),
        (Refusal::SelfInvitation, "self_invitation"),
        (Refusal::NoPendingInvitation, "no_pending_invitation"),
        (Refusal::WrongInvitee, "wrong_invitee"),
        (Refusal::InvitationExpired, "invitation_expired"),
        (Refusal::AnotherInvitationPending, "another_invitation_pending"),
        (Refusal::NotTeamMember, "not_team_member"),
        (Refusal::NameTooShort, "name_too_short"),
        (Refusal::NameTooLong, "name_too_long"),
        (Refusal::InvalidNameFormat, "invalid_name_format"),
    ] {
        assert_eq!(refusal.name(), name);
    }
    let mismatch = Refusal::InvalidMode { expected: Mode::Race, got: Mode::Knockout };
    assert_eq!(mismatch.to_string(), "invalid mode for race mode: expected race, got knockout");
    let size = Refusal::TeamIncomplete(7.into()).to_string();
    assert!(size.starts_with("each team must have exactly 2 players"), "{size}");
}

// What events say.

/// "game_created → game_started → round_started → guess_processed* → (…)* → [race_mode_time_expired | …] → game_completed"
#[test]
fn events_come_in_the_usual_order() {
    for (config, count, start) in [
        (TWO_PLAYER, 1, &["game_started", "round_started"][..]),
        (KNOCKOUT, 2, &["game_started", "knockout_round_started", "round_started"]),
        (RACE, 2, &["game_started", "round_started"]),
        (GOLF_RACE, 2, &["game_started", "round_started"]),
        (LONGFORM, 3, &["game_started", "round_started"]),
    ] {
        let mut table = Table::open(config, &teams(count));
        check_types(&table.events, &["game_created"]);
        check_types(&table.start(), start);
    }
}

/// "winners: may be empty; totals may be 0": of a race in which nobody said a word, every number is 0 and every rule holds.
#[test]
fn totals_may_be_zero() {
    for config in [RACE, GOLF_RACE] {
        let mut table = Table::started(config, 2);
        table.pass_to_deadline();
        let Some(GameEvent::GameCompleted(of)) = table.events.last() else { panic!("not over") };
        let zero = |score: &TeamScore| (score.score, score.matches, score.total_guesses) == (0, 0, 0);
        assert!(of.winners.is_empty() && of.final_scores.values().all(zero), "{of:?}");
        let stats = GameStats::of(&table.game).expect("it is over");
        assert_eq!((stats.total_guesses, stats.rounds, stats.team_count, stats.player_count), (0, 1, 2, 4));
    }
}

/// "final_scores {team→{score, matches, total_guesses, average_guesses, player_stats}}"; "perfect round: match on the first
/// pair"
#[test]
fn scores_say_what_everybody_did() {
    let mut table = Table::started(RACE, 2);
    let [alice, bob] = team(1).players();
    table.miss(team(1), 2);
    table.hit(team(1));
    table.say(bob, "give up");
    table.hit(team(1));
    table.pass_to_deadline();
    let Some(GameEvent::GameCompleted(of)) = table.events.last() else { panic!("not over") };
    let score = &of.final_scores[&team(1)];
    assert_eq!((score.score, score.matches, score.total_guesses, score.average_guesses), (2, 2, 5, 2.5));
    let stats = |abandoned_guesses| PlayerStats {
        total_guesses: 4,
        successful_matches: 2,
        abandoned_guesses,
        average_guess_count: 2.0,
    };
    assert_eq!(score.player_stats, BTreeMap::from([(alice, stats(0)), (bob, stats(1))]));
    assert_eq!(GameStats::of(&table.game).map(|stats| stats.perfect_rounds[&team(1)]), Some(1));
}

/// "History of each elimination: team, round, reason, guess count, time, (rank 1–3 for forced)"
#[test]
fn eliminations_are_remembered() {
    let mut table = Table::started(KNOCKOUT, 10);
    table.wait(1_000);
    table.leave(team(10).players()[0]);
    for number in 1..=9 {
        table.miss(team(number), u32::from(number % 2 == 0));
        table.wait(10);
        table.hit(team(number));
    }
    let history = table
        .game
        .eliminations()
        .iter()
        .map(|of| (of.team, of.round_number, of.reason, of.guess_count, of.round_position, of.played_ms));
    let forced = |number, position| (team(number), 1, EliminationReason::ForcedElimination, 2, Some(position), 1_090);
    let expected =
        [(team(10), 1, EliminationReason::Forfeit, 1, None, 1_000), forced(8, 1), forced(6, 2), forced(4, 3)];
    assert_eq!(history.collect::<Vec<_>>(), expected);
    let expected = expected.map(|(team, ..)| team);
    let mut gone = table.events.iter().filter_map(|event| match event {
        GameEvent::KnockoutRoundCompleted(of) => Some(of),
        _ => None,
    });
    let of = gone.next_back().expect("the round is over");
    assert_eq!(of.eliminated_teams.iter().map(|of| of.team_id).collect::<Vec<_>>(), expected);
    assert_eq!((of.advancing_teams.len(), of.round_duration), (6, 1_090));
}

/// "longform_day_ended: day_number, team_standings, eliminated_teams, day_duration"
#[test]
fn the_end_of_a_day_says_who_stood_where() {
    let mut table = Table::started(LONGFORM, 3);
    table.hit(team(1));
    table.hit(team(2));
    let events = table.pass(DAY_MS + 5_000);
    let day = events.iter().find_map(|event| match event {
        GameEvent::LongformDayEnded(of) => Some(of),
        _ => None,
    });
    let day = day.expect("a day has ended");
    assert_eq!((day.day_number, day.round_number, day.day_duration), (1, 1, DAY_MS + 5_000));
    assert_eq!(day.team_standings.keys().copied().collect::<Vec<_>>(), teams(3), "those that were in it");
    assert_eq!(day.eliminated_teams, [team(3)]);
    // What begins then lasts from then on.
    assert_eq!(table.game.deadline(), Some((table.now.plus(DAY_MS), Deadline::DayEnd)));
}

/// "round_started: team_states {… score, matches, total_guesses, average_guesses, remaining_guesses}"
#[test]
fn a_round_says_how_teams_enter_it() {
    let mut table = Table::started(KNOCKOUT, 3);
    table.miss(team(1), 1);
    (1..=3).for_each(|number| drop(table.hit(team(number))));
    let events = table.pass(5_000);
    let GameEvent::RoundStarted(of) = &events[1] else { panic!("{events:?}") };
    assert_eq!(of.team_states.keys().copied().collect::<Vec<_>>(), [team(2), team(3)], "who is left");
    let state = &of.team_states[&team(2)];
    assert_eq!((state.score, state.matches, state.total_guesses, state.average_guesses), (1, 1, 1, 1.0));
    assert_eq!((state.remaining_guesses, &*state.active_players), (Some(12), &team(2).players()[..]));
    let GameEvent::KnockoutRoundStarted(of) = &events[0] else { panic!("{events:?}") };
    assert_eq!((of.round_number, &*of.team_ids, of.limit_ms), (2, &[team(2), team(3)][..], 300_000));
}

// What is kept apart, and what has an end.

/// "the same `team_id` may exist in two guilds (there is an isolation test)"
#[test]
fn a_team_of_two_guilds_is_two_teams() {
    let store = EventStore::open_in_memory().expect("a store");
    let of = |guild: u64| store.aggregate::<Team>(&team(1).stream(guild.into()));
    let by = team(1).players()[0];
    let create = |name: &str| TeamCommand::new(NOON, TeamAction::Create { by, name: Some(name.to_owned()) });
    of(900).execute(create("Night owls")).wait().expect("it is new");
    assert_eq!(of(901).load().expect("a team").state().name(), None);
    of(901).execute(create("Day owls")).wait().expect("it is new there");
    assert_eq!(of(900).load().expect("a team").state().name(), Some("Night owls"));
}

/// Preferences have an end, however often they are changed; those that are there can be changed still.
#[test]
fn preferences_do_not_grow_without_end() {
    let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
    let mut user = User::new(&PlayerId::from(7).stream());
    let mut execute = |action: UserAction| -> Result<(), Refusal> {
        let events = user.decide(&UserCommand::new(NOON, action))?;
        events.iter().for_each(|event| user.apply(event, &context));
        Ok(())
    };
    let username = "ada".to_owned();
    execute(UserAction::Register { guild: guild(), username, display_name: None }).expect("new");
    let change = |from: usize, count: usize, is_ui: bool| {
        let settings = (from..from + count).map(|number| (format!("key {number}"), Setting::Switch(true))).collect();
        let (notifications, ui) = if is_ui { (BTreeMap::new(), settings) } else { (settings, BTreeMap::new()) };
        UserAction::ChangePreferences { notifications, ui }
    };
    for is_ui in [false, true] {
        assert_eq!(execute(change(0, SETTINGS_MAX + 1, is_ui)), Err(Refusal::TextTooLong));
        execute(change(0, SETTINGS_MAX - 1, is_ui)).expect("few enough");
        assert_eq!(execute(change(SETTINGS_MAX - 1, 2, is_ui)), Err(Refusal::TextTooLong));
        execute(change(SETTINGS_MAX - 2, 2, is_ui)).expect("one of them is new");
        assert_eq!(execute(change(SETTINGS_MAX, 1, is_ui)), Err(Refusal::TextTooLong));
    }
    assert_eq!((user.notifications().len(), user.ui().len()), (SETTINGS_MAX, SETTINGS_MAX));
}

// What no event may say: the fields that `game_events` does not spoil.

/// Every rule, one wrong field at a time.
#[test]
fn each_field_has_its_rule() {
    let late = Moment::MAX.plus(1);
    let mut maker = Maker(Chance(3));
    macro_rules! check {
        ($variant:ident, $event_type:literal, $field:literal, |$of:ident| $spoil:expr) => {
            let mut event = maker.event($event_type);
            assert_eq!(faults(&event), Vec::<String>::new());
            let GameEvent::$variant($of) = &mut event else { panic!("{event:?}") };
            $spoil;
            assert!(faults(&event).contains(&$field.to_owned()), "{}: {:?}", $event_type, faults(&event));
        };
    }
    // "round_number int > 0", of every event that has one
    check!(RoundStarted, "round_started", "round_number", |of| of.round_number = 0);
    check!(RoundCompleted, "round_completed", "round_number", |of| of.round_number = 0);
    check!(WordsDealt, "words_dealt", "round_number", |of| of.round_number = 0);
    check!(GuessStarted, "guess_started", "round_number", |of| of.round_number = 0);
    check!(GuessAbandoned, "guess_abandoned", "round_number", |of| of.round_number = 0);
    check!(TeamEliminated, "team_eliminated", "round_number", |of| of.round_number = 0);
    check!(KnockoutRoundStarted, "knockout_round_started", "round_number", |of| of.round_number = 0);
    check!(KnockoutRoundCompleted, "knockout_round_completed", "round_number", |of| of.round_number = 0);
    check!(RaceModeTimeExpired, "race_mode_time_expired", "round_number", |of| of.round_number = 0);
    check!(GolfRaceTimeExpired, "golf_race_time_expired", "round_number", |of| of.round_number = 0);
    check!(LongformDayEnded, "longform_day_ended", "round_number", |of| of.round_number = 0);
    check!(GameCompleted, "game_completed", "round_number", |of| of.round_number = 0);
    // "timestamp": one that can be recorded
    check!(GameCreated, "game_created", "timestamp", |of| of.base.timestamp = late);
    check!(TeamUpdated, "team_updated", "timestamp", |of| of.base.timestamp = late);
    check!(UserRegistered, "user_registered", "timestamp", |of| of.created_at = late);
    check!(UserProfileUpdated, "user_profile_updated", "timestamp", |of| of.updated_at = late);
    check!(UserPreferencesChanged, "user_preferences_changed", "timestamp", |of| of.updated_at = late);
    check!(CommandError, "command_error", "timestamp", |of| of.timestamp = late);
    check!(SystemError, "system_error", "timestamp", |of| of.timestamp = late);
    check!(GuessError, "guess_error", "timestamp", |of| of.timestamp = late);
    check!(GuessPairError, "guess_pair_error", "timestamp", |of| of.timestamp = late);
    check!(RoundCheckError, "round_check_error", "timestamp", |of| of.timestamp = late);
    check!(RecoveryPerformed, "recovery_performed", "timestamp", |of| of.timestamp = late);
    check!(ReplayCreated, "replay_created", "timestamp", |of| of.created_at = late);
    check!(ReplayAccessed, "replay_accessed", "timestamp", |of| of.accessed_at = late);
    // the lifecycle
    check!(GameCreated, "game_created", "team_ids", |of| of.team_ids = teams(13));
    check!(GameModeChanged, "game_mode_changed", "from", |of| of.from = of.to);
    check!(GameModeChanged, "game_mode_changed", "to", |of| {
        of.to = if of.base.mode == Mode::Longform { Mode::GolfRace } else { Mode::Longform };
    });
    check!(GameConfigured, "game_configured", "config", |of| {
        of.config = GameConfig::of(if of.base.mode == Mode::Race { Mode::Knockout } else { Mode::Race });
    });
    check!(GameStarted, "game_started", "config", |of| {
        (of.base.mode, of.config) = (Mode::Race, GameConfig::Race { time_limit_ms: 999 });
    });
    check!(PlayerJoined, "player_joined", "player_id", |of| of.team_id = Some(team(1)));
    check!(PlayerLeft, "player_left", "player_id", |of| of.team_id = Some(team(1)));
    check!(PlayerStatusChanged, "player_status_changed", "to", |of| of.to = of.from);
    check!(GameResumed, "game_resumed", "paused_ms", |of| of.paused_ms = of.base.timestamp.millis() + 1);
    check!(GameCancelled, "game_cancelled", "by", |of| {
        of.by = if of.by.is_some() { None } else { Some(1.into()) };
    });
    check!(GameCompleted, "game_completed", "winners", |of| {
        (of.base.mode, of.winners) = (Mode::Knockout, of.final_scores.keys().copied().chain(teams(2)).collect());
    });
    check!(GameCompleted, "game_completed", "team_ids", |of| {
        let winner = of.final_scores.keys().next().copied().expect("a team");
        of.winners = vec![winner, winner];
    });
    check!(GameCompleted, "game_completed", "matches", |of| {
        of.final_scores.values_mut().for_each(|score| score.matches = score.total_guesses + 1);
    });
    check!(GameCompleted, "game_completed", "player_stats", |of| {
        of.final_scores.values_mut().for_each(|score| score.player_stats.clear());
    });
    // rounds
    check!(RoundStarted, "round_started", "active_players", |of| {
        of.team_states.values_mut().for_each(|state| state.active_players.reverse());
    });
    check!(RoundStarted, "round_started", "average_guesses", |of| {
        of.team_states.values_mut().for_each(|state| state.average_guesses = -1.0);
    });
    check!(RoundStarted, "round_started", "matches", |of| {
        of.team_states.values_mut().for_each(|state| state.matches = state.total_guesses + 1);
    });
    check!(RoundStarted, "round_started", "remaining_guesses", |of| {
        of.base.mode = Mode::Race;
        of.team_states.values_mut().for_each(|state| state.remaining_guesses = Some(12));
    });
    check!(RoundStarted, "round_started", "words", |of| {
        of.team_states.values_mut().for_each(|state| state.words.1 = state.words.0.clone());
    });
    check!(RoundStarted, "round_started", "team_ids", |of| {
        let (team, state) = of.team_states.first_key_value().map(|(team, state)| (*team, state.clone())).expect("one");
        let other = TeamId::of(team.players()[0], 1.into()).expect("two");
        of.team_states.insert(other, TeamRoundState { active_players: other.players().to_vec(), ..state });
    });
    check!(RoundCompleted, "round_completed", "winner_team_id", |of| {
        (of.team_id, of.winner_team_id) = (Some(team(1)), Some(team(2)));
    });
    check!(RoundCompleted, "round_completed", "successful_matches", |of| {
        of.round_stats.values_mut().for_each(|stats| stats.successful_matches = stats.total_guesses + 1);
    });
    check!(RoundCompleted, "round_completed", "average_guess_count", |of| {
        of.round_stats.values_mut().for_each(|stats| stats.average_guess_count = f64::INFINITY);
    });
    check!(KnockoutRoundStarted, "knockout_round_started", "team_ids", |of| of.team_ids.clear());
    check!(KnockoutRoundStarted, "knockout_round_started", "team_ids", |of| of.team_ids.push(of.team_ids[0]));
    check!(KnockoutRoundStarted, "knockout_round_started", "limit_ms", |of| of.limit_ms = 0);
    check!(KnockoutRoundCompleted, "knockout_round_completed", "advancing_teams", |of| {
        of.eliminated_teams[0].team_id = *of.advancing_teams.keys().next().expect("a team");
    });
    check!(KnockoutRoundCompleted, "knockout_round_completed", "team_ids", |of| {
        let gone = of.eliminated_teams[0].clone();
        of.eliminated_teams.push(gone);
    });
    check!(GolfRaceTimeExpired, "golf_race_time_expired", "mode", |of| of.base.mode = Mode::Race);
    check!(GolfRaceTimeExpired, "golf_race_time_expired", "points", |of| of.points.clear());
    check!(GolfRaceTimeExpired, "golf_race_time_expired", "points", |of| {
        of.points.values_mut().for_each(|points| *points += 1);
    });
    check!(LongformDayEnded, "longform_day_ended", "day_number", |of| of.day_number += 1);
    check!(LongformDayEnded, "longform_day_ended", "eliminated_teams", |of| of.eliminated_teams = vec![team(1)]);
    check!(TeamEliminated, "team_eliminated", "guess_count", |of| of.guess_count = 0);
    check!(TeamEliminated, "team_eliminated", "round_position", |of| of.round_position = Some(0));
    check!(TeamEliminated, "team_eliminated", "round_position", |of| {
        (of.reason, of.round_position) = (EliminationReason::Forfeit, Some(1));
    });
    check!(TeamEliminated, "team_eliminated", "reason", |of| of.base.mode = Mode::Race);
    check!(TeamEliminated, "team_eliminated", "reason", |of| {
        (of.base.mode, of.reason) = (Mode::Longform, EliminationReason::GuessLimit);
    });
    // guesses
    check!(WordsDealt, "words_dealt", "guess_count", |of| of.guess_count = 0);
    check!(WordsDealt, "words_dealt", "words", |of| of.words.1 = of.words.0.clone());
    check!(GuessStarted, "guess_started", "guess_count", |of| of.guess_count = 0);
    check!(GuessProcessed, "guess_processed", "total_guesses", |of| of.total_guesses = of.guess_count - 1);
    check!(GuessProcessed, "guess_processed", "match_score", |of| {
        of.match_score = if of.guess_successful { Some(2) } else { Some(0) };
    });
    check!(GuessProcessed, "guess_processed", "player1_duration", |of| of.player1_duration = None);
    check!(GuessProcessed, "guess_processed", "player2_duration", |of| of.player2_duration = None);
    check!(GuessAbandoned, "guess_abandoned", "player1_id", |of| of.player1_id = of.player2_id);
    check!(GuessAbandoned, "guess_abandoned", "round_guess_count", |of| of.round_guess_count += 1);
    check!(GuessAbandoned, "guess_abandoned", "guess_duration", |of| {
        of.guess_duration = if of.guess_duration.is_some() { None } else { Some(1) };
    });
    check!(GuessAbandoned, "guess_abandoned", "total_guesses", |of| {
        (of.reason, of.total_guesses) = (AbandonReason::GaveUp, of.guess_count - 1);
    });
    check!(GuessAbandoned, "guess_abandoned", "abandoning_player_id", |of| {
        (of.reason, of.abandoning_player_id) = (AbandonReason::Timeout, Some(of.player1_id));
    });
    check!(GuessAbandoned, "guess_abandoned", "abandoning_player_id", |of| {
        (of.reason, of.abandoning_player_id) = (AbandonReason::PlayerQuit, None);
    });
    check!(GuessAbandoned, "guess_abandoned", "last_guess", |of| {
        let word = Word::new("ocean").expect("a word");
        of.last_guess = Some(LastGuess { player_id: 1.into(), word, duration: 1 });
    });
    // teams, users, errors
    check!(TeamCreated, "team_created", "created_at", |of| of.created_at = of.base.timestamp.plus(1));
    check!(TeamUpdated, "team_updated", "name", |of| of.name = "x".repeat(33));
    check!(TeamMemberAdded, "team_member_added", "added_at", |of| of.added_at = of.base.timestamp.plus(1));
    check!(TeamMemberRemoved, "team_member_removed", "player_id", |of| of.player_id = 1.into());
    check!(TeamMemberRemoved, "team_member_removed", "removed_at", |of| of.removed_at = of.base.timestamp.plus(1));
    check!(TeamMemberRemoved, "team_member_removed", "reason", |of| of.reason = Some("x".repeat(201)));
    check!(TeamInvitationCreated, "team_invitation_created", "invitation_id", |of| of.invitation_id.clear());
    check!(TeamInvitationCreated, "team_invitation_created", "proposed_name", |of| {
        of.proposed_name = Some("ab".to_owned());
    });
    check!(TeamInvitationCreated, "team_invitation_created", "created_at", |of| {
        of.created_at = of.base.timestamp.plus(1);
    });
    check!(TeamInvitationAccepted, "team_invitation_accepted", "invitation_id", |of| of.invitation_id.clear());
    check!(TeamInvitationAccepted, "team_invitation_accepted", "accepted_at", |of| {
        of.accepted_at = of.base.timestamp.plus(1);
    });
    check!(TeamInvitationDeclined, "team_invitation_declined", "invitation_id", |of| of.invitation_id.clear());
    check!(TeamInvitationDeclined, "team_invitation_declined", "declined_at", |of| {
        of.declined_at = of.base.timestamp.plus(1);
    });
    check!(UserRegistered, "user_registered", "display_name", |of| of.display_name = Some(" ".to_owned()));
    check!(UserProfileUpdated, "user_profile_updated", "display_name", |of| of.display_name = "x".repeat(101));
    check!(UserPreferencesChanged, "user_preferences_changed", "notification_settings", |of| {
        of.notification_settings = BTreeMap::from([("x".repeat(101), Setting::Switch(true))]);
    });
    check!(UserPreferencesChanged, "user_preferences_changed", "ui_preferences", |of| {
        of.ui_preferences = BTreeMap::from([("x".to_owned(), Setting::Text("x".repeat(101)))]);
    });
    check!(CommandError, "command_error", "command_name", |of| of.command_name = "x".repeat(101));
    check!(CommandError, "command_error", "error_message", |of| of.error_message = "x".repeat(2_001));
    check!(SystemError, "system_error", "error_type", |of| of.error_type.clear());
    check!(SystemError, "system_error", "error_message", |of| of.error_message.clear());
    check!(GuessError, "guess_error", "reason", |of| of.reason.clear());
    check!(GuessPairError, "guess_pair_error", "word1", |of| of.word1 = "x".repeat(101));
    check!(GuessPairError, "guess_pair_error", "word2", |of| of.word2 = "x".repeat(101));
    check!(GuessPairError, "guess_pair_error", "reason", |of| of.reason.clear());
    check!(RoundCheckError, "round_check_error", "reason", |of| of.reason.clear());
    check!(ReplayCreated, "replay_created", "event_count", |of| of.event_count = 0);
    check!(ReplayCreated, "replay_created", "end_time", |of| of.start_time = of.end_time.plus(1));
    check!(ReplayCreated, "replay_created", "end_time", |of| of.end_time = of.created_at.plus(1));
}
