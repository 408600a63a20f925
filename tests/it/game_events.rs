//! The events: their names, that they come back as they were, their tags, and what no event may say.

use super::game::{NOON, Table, guild, team};
use super::game_maker::Maker;
use crate::model::{Chance, Choices};
use scorebook::game::*;
use scorebook::{
    Aggregate, ErrorKind, Event, EventStore, ExpectedVersion, Faults, NewEvent, RecordedEvent, Registry, StreamName,
};
use std::collections::BTreeSet;

/// The types of 4.3 and of section 0, `round_restarted` left out, which is retired.
pub(crate) const TYPES: [&str; 41] = [
    "command_error",
    "game_cancelled",
    "game_completed",
    "game_configured",
    "game_created",
    "game_mode_changed",
    "game_paused",
    "game_resumed",
    "game_started",
    "golf_race_time_expired",
    "guess_abandoned",
    "guess_error",
    "guess_pair_error",
    "guess_processed",
    "guess_started",
    "knockout_round_completed",
    "knockout_round_started",
    "longform_day_ended",
    "player_joined",
    "player_left",
    "player_status_changed",
    "race_mode_time_expired",
    "recovery_performed",
    "replay_accessed",
    "replay_created",
    "round_check_error",
    "round_completed",
    "round_started",
    "system_error",
    "team_created",
    "team_eliminated",
    "team_invitation_accepted",
    "team_invitation_created",
    "team_invitation_declined",
    "team_member_added",
    "team_member_removed",
    "team_updated",
    "user_preferences_changed",
    "user_profile_updated",
    "user_registered",
    "words_dealt",
];

/// The fields of an event of which a rule does not hold.
pub(crate) fn faults(event: &GameEvent) -> Vec<String> {
    let mut faults = Faults::default();
    event.validate(&mut faults);
    faults.iter().map(|fault| fault.field().unwrap_or("event").to_owned()).collect()
}

/// Appended to a store in memory and read again.
fn recorded(events: &[GameEvent]) -> Vec<RecordedEvent> {
    let store = EventStore::open_in_memory().expect("a store");
    let stream = StreamName::new("events").expect("a name");
    let new = events.iter().map(|event| event.dress(event.encode().expect("it can be written")));
    store.append(&stream, ExpectedVersion::NoStream, new.collect::<Vec<_>>()).wait().expect("they are sound");
    store.read(&stream).iter().map(|event| event.expect("it can be read")).collect()
}

fn registry() -> Registry {
    Registry::builder().events::<GameEvent>().build().expect("the events are described well")
}

/// "Every event round-trips": type by type, by chance.
#[test]
fn every_event_comes_back_as_it_was() {
    let registry = registry();
    for event_type in TYPES {
        let mut maker = Maker(Chance(event_type.len() as u64));
        let events = (0..60).map(|_| maker.event(event_type)).collect::<Vec<_>>();
        for (event, recorded) in events.iter().zip(recorded(&events)) {
            assert_eq!(faults(event), Vec::<String>::new(), "{event:?}");
            assert_eq!((recorded.event_type(), recorded.schema()), (event_type, 1));
            let decoded = registry.decode::<GameEvent>(&recorded).expect("it is known").collect::<Vec<_>>();
            assert_eq!(decoded, std::slice::from_ref(event));
        }
    }
}

/// "Every event is one variant of one enum": what play brings about is among the types, and nearly all of them come up.
#[test]
fn the_types_are_those_of_the_catalogue() {
    let registry = registry();
    for event_type in TYPES {
        assert!(registry.newest(event_type).is_some(), "{event_type}");
    }
    for retired in ["round_restarted", "game_ended", "guess.matched"] {
        assert!(registry.newest(retired).is_none(), "{retired}");
    }
    assert_eq!(TYPES.iter().collect::<BTreeSet<_>>().len(), TYPES.len());
}

/// "snowflakes: decimal strings in JSON"; "durations: milliseconds"; base fields beside the others.
#[test]
fn the_payload_is_as_the_documents_have_it() {
    let mut table = Table::started(GameConfig::of(Mode::Race), 2);
    table.wait(1_500);
    table.miss(team(1), 1);
    let event = table.events.last().cloned().expect("a guess");
    let recorded = recorded(&[event]).remove(0);
    let json: serde_json::Value = recorded.json().expect("JSON");
    for (field, expected) in [
        ("guild_id", serde_json::json!("900")),
        ("mode", serde_json::json!("race")),
        ("timestamp", serde_json::json!(NOON.millis() + 1_500)),
        ("team_id", serde_json::json!("team-3-4")),
        ("player1_id", serde_json::json!("3")),
        ("player2_id", serde_json::json!("4")),
        ("guess_successful", serde_json::json!(false)),
        ("match_score", serde_json::Value::Null),
        ("guess_count", serde_json::json!(1)),
        ("guess_duration", serde_json::json!(1_500)),
    ] {
        assert_eq!(json[field], expected, "{field}");
    }
}

/// "every event of a game carries the game's `guild`, its `mode` and `correlation`; game_created, game_started, player_joined,
/// player_left, game_completed, game_cancelled carry `player` for each player concerned; guesses carry both players and the
/// `team`"
#[test]
fn events_carry_their_tags() {
    let mut table = Table::open(GameConfig::of(Mode::Knockout), &[team(1), team(2)]);
    table.act(GameAction::Join { player: 50.into(), team: None });
    table.leave(50.into());
    table.start();
    table.miss(team(1), 1);
    table.give_up(team(1));
    table.hit(team(2));
    let mut ends = table.clone();
    ends.leave(3.into());
    table.act(GameAction::Cancel { by: 3.into(), right: CancelRight::Player });
    table.events.extend(ends.events.split_off(table.events.len() - 1));
    let game = table.game.id().expect("an id").to_string();
    for (event, recorded) in table.events.iter().zip(recorded(&table.events)) {
        assert_eq!((recorded.tag("guild"), recorded.tag("mode")), (Some("900"), Some("knockout")));
        assert_eq!(recorded.metadata().expect("metadata").correlation(), Some(&*game));
        let values = |key| recorded.tags().filter(|(of, _)| *of == key).map(|(_, value)| value).collect::<Vec<_>>();
        let players = match recorded.event_type() {
            "game_created" | "game_started" | "game_completed" | "game_cancelled" => vec!["3", "4", "5", "6"],
            "player_joined" => vec!["50"],
            "player_left" => vec![if values("player") == ["50"] { "50" } else { "3" }],
            "guess_started" | "guess_processed" | "guess_abandoned" | "team_eliminated" | "words_dealt" => {
                assert_eq!(values("team").len(), 1);
                let team = if values("team") == ["team-3-4"] { ["3", "4"] } else { ["5", "6"] };
                team.to_vec()
            }
            _ => vec![],
        };
        assert_eq!(values("player"), players, "{event:?}");
    }
}

/// "`roles` in an old `game_started` is read and not written"
#[test]
fn roles_of_old_games_are_read_and_not_written() {
    let mut table = Table::open(GameConfig::of(Mode::Race), &[team(1), team(2)]);
    let started = table.start().remove(0);
    let mut json: serde_json::Value = recorded(std::slice::from_ref(&started)).remove(0).json().expect("JSON");
    assert!(json.get("roles").is_none());
    json["roles"] = serde_json::json!({"3": "giver", "4": "guesser"});
    let store = EventStore::open_in_memory().expect("a store");
    let stream = StreamName::new("old").expect("a name");
    let old = NewEvent::json("game_started", &json).expect("JSON");
    store.append(&stream, ExpectedVersion::NoStream, [old]).wait().expect("it is sound");
    let recorded = store.read(&stream).iter().next().expect("an event").expect("it can be read");
    let decoded = registry().decode::<GameEvent>(&recorded).expect("it is known").collect::<Vec<_>>();
    assert_eq!(decoded, [started]);
}

/// "forged events in a log: a named refusal": whoever reads them is told which field of which event.
#[test]
fn forged_events_are_refused_by_name() {
    let store = EventStore::open_in_memory().expect("a store");
    let mut table = Table::started(GameConfig::of(Mode::Race), 2);
    table.miss(team(1), 1);
    let guess = recorded(&[table.events.last().cloned().expect("a guess")]).remove(0);
    let json: serde_json::Value = guess.json().expect("JSON");
    for (number, (field, forged)) in [
        ("player1_id", serde_json::json!(3)),
        ("player1_id", serde_json::json!("three")),
        ("player1_word", serde_json::json!("c4t")),
        ("player1_word", serde_json::json!("x".repeat(51))),
        ("team_id", serde_json::json!("team-4-3")),
        ("team_id", serde_json::json!("team-3-3")),
        ("guess_count", serde_json::json!(-1)),
        ("mode", serde_json::json!("classic")),
        ("game_id", serde_json::json!("game-1")),
        ("total_guesses", serde_json::Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut json = json.clone();
        json[field] = forged;
        let id = GameId::new(NOON, [number as u8; 10]);
        let forged = NewEvent::json("guess_processed", &json).expect("JSON");
        store.append(&id.stream(), ExpectedVersion::NoStream, [forged]).wait().expect("the store takes anything");
        let error = store.aggregate::<Game>(&id.stream()).load().expect_err("it is forged");
        assert_eq!(error.kind(), ErrorKind::Decode, "{field}: {error}");
    }
}

/// Events that are well formed and make no sense, as a forged log has them: nothing panics and nothing goes on for ever.
#[test]
fn senseless_events_do_no_harm() {
    for round in 0..200 {
        let mut maker = Maker(Chance(round));
        let mode = maker.mode();
        let mut table = Table::started(GameConfig::of(mode), *mode.teams().start() as u64);
        for _ in 0..30 {
            let event_type = *maker.0.pick(&TYPES);
            let event = maker.event(event_type);
            table.apply(&event);
            let _ = (table.game.deadline(), GameStats::of(&table.game));
            let pairs = (0..table.game.pairs_needed()).map(|_| maker.pair()).collect::<Vec<_>>();
            let mut action = GameAction::PassTime;
            for next in
                [table.guess(3.into(), "ocean"), table.guess(4.into(), "give up"), GameAction::Resume { by: None }]
            {
                let command = GameCommand::new(maker.moment(), action).dealing(pairs.clone());
                let _ = table.game.decide(&command);
                action = next;
            }
        }
    }
}

/// "all failures listed": every rule of an event that does not hold is named.
#[test]
fn every_rule_that_does_not_hold_is_named() {
    let mut maker = Maker(Chance(1));
    let GameEvent::GuessProcessed(guess) = maker.event("guess_processed") else { panic!() };
    let wrong = GuessProcessed {
        round_number: 0,
        match_score: if guess.guess_successful { None } else { Some(1) },
        guess_count: 0,
        round_guess_count: 1,
        guess_duration: guess.guess_duration + 1,
        player2_id: guess.player1_id,
        ..guess
    };
    let expected = ["round_number", "player1_id", "guess_count", "round_guess_count", "match_score", "guess_duration"];
    assert_eq!(faults(&wrong.into()), expected);
}

/// The validation rules of 4.3, and those of section 0.
#[test]
fn what_no_event_may_say() {
    let mut maker = Maker(Chance(2));
    let mut check = |event_type: &str, spoil: &dyn Fn(&mut GameEvent), field: &str| {
        let mut event = maker.event(event_type);
        spoil(&mut event);
        assert!(faults(&event).contains(&field.to_owned()), "{event_type}, {field}: {:?}", faults(&event));
    };
    macro_rules! check {
        ($variant:ident, $event_type:literal, $field:literal, |$of:ident| $spoil:expr) => {
            check(
                $event_type,
                &|event| {
                    let GameEvent::$variant($of) = event else { panic!("{event:?}") };
                    $spoil;
                },
                $field,
            );
        };
    }
    // "round_number must be 1; every team_id is a key of teams; every player is in player_ids; exactly 2 players"
    check!(GameStarted, "game_started", "round_number", |of| of.round_number = 2);
    check!(GameStarted, "game_started", "team_ids", |of| of.team_ids.clear());
    check!(GameStarted, "game_started", "player_ids", |of| of.player_ids.reverse());
    check!(GameStarted, "game_started", "teams", |of| of.teams.values_mut().for_each(Vec::clear));
    check!(GameStarted, "game_started", "teams", |of| of.teams.clear());
    check!(GameStarted, "game_started", "started_at", |of| of.started_at = of.base.timestamp.plus(1));
    check!(GameCreated, "game_created", "created_at", |of| of.created_at = of.base.timestamp.plus(1));
    check!(GameCreated, "game_created", "team_ids", |of| of.team_ids = vec![team(1), team(1)]);
    // "Invalid mode for :x mode: expected :x, got :y"
    check!(KnockoutRoundStarted, "knockout_round_started", "mode", |of| of.base.mode = Mode::Race);
    check!(KnockoutRoundCompleted, "knockout_round_completed", "mode", |of| of.base.mode = Mode::Race);
    check!(RaceModeTimeExpired, "race_mode_time_expired", "mode", |of| of.base.mode = Mode::GolfRace);
    check!(LongformDayEnded, "longform_day_ended", "mode", |of| of.base.mode = Mode::Knockout);
    check!(LongformDayEnded, "longform_day_ended", "day_number", |of| of.day_number = 0);
    check!(GameConfigured, "game_configured", "config_version", |of| of.config_version = 0);
    // "winners may be empty, may be several"; "final_scores non-empty; finished_at ≤ timestamp"
    check!(GameCompleted, "game_completed", "winners", |of| of.winners = vec![team(1)]);
    check!(GameCompleted, "game_completed", "final_scores", |of| of.final_scores.clear());
    check!(GameCompleted, "game_completed", "finished_at", |of| of.finished_at = of.base.timestamp.plus(1));
    check!(GameCompleted, "game_completed", "total_rounds", |of| of.total_rounds = 0);
    check!(RoundStarted, "round_started", "team_states", |of| of.team_states.clear());
    check!(GuessStarted, "guess_started", "player_id", |of| of.player_id = 1.into());
    check!(GuessAbandoned, "guess_abandoned", "guess_count", |of| of.guess_count = 0);
    check!(GuessAbandoned, "guess_abandoned", "abandoning_player_id", |of| of.abandoning_player_id = Some(1.into()));
    check!(GamePaused, "game_paused", "since", |of| of.since = of.base.timestamp.plus(1));
    check!(TeamEliminated, "team_eliminated", "final_score", |of| of.final_score += 1);
    check!(TeamEliminated, "team_eliminated", "average_guesses", |of| of.final_state.average_guesses = f64::NAN);
    // "exactly 2 players"; "non-empty id and name"; "not future"
    check!(TeamCreated, "team_created", "player_ids", |of| of.player_ids.truncate(1));
    check!(TeamCreated, "team_created", "name", |of| of.name.clear());
    check!(TeamUpdated, "team_updated", "updated_at", |of| of.updated_at = of.base.timestamp.plus(1));
    check!(TeamMemberAdded, "team_member_added", "player_id", |of| of.player_id = 1.into());
    check!(TeamInvitationCreated, "team_invitation_created", "expires_at", |of| of.expires_at = of.created_at);
    check!(TeamInvitationCreated, "team_invitation_created", "invitee_id", |of| of.invitee_id = of.inviter_id);
    check!(UserRegistered, "user_registered", "username", |of| of.username.clear());
    check!(CommandError, "command_error", "error_code", |of| of.error_code.clear());
    check!(GuessError, "guess_error", "word", |of| of.word = "x".repeat(101));
}

/// The streams of section 0.
#[test]
fn streams_are_named_as_decided() {
    let game = Table::new().game.id().expect("an id");
    assert_eq!(game.stream().as_str(), format!("game-{game}"));
    assert_eq!(game.to_string().as_bytes()[14], b'7', "a UUID of version 7: {game}");
    assert_eq!(team(1).stream(guild()).as_str(), "team-900-3-4");
    assert_eq!(PlayerId::from(7).stream().as_str(), "user-7");
}
