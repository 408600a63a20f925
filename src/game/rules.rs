//! What holds of each event, whoever wrote it. Every rule that does not hold is named.
//!
//! Here are the rules that an event can break by itself. What it may say after those before it stands in `history`.

use super::event::GameEvent;
use super::ids::{PlayerId, TeamId};
use super::mode::Mode;
use super::moment::Moment;
use super::payload::*;
use super::team::{self, INVITATION_MS, REASON_CHARS_MAX};
use super::user;
use super::word::WordPair;
use scorebook::Faults;
use std::collections::BTreeMap;

/// The most characters of a text that says what went wrong.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Adds all rules that do not hold of the event.
pub(super) fn check(event: &GameEvent, faults: &mut Faults) {
    if let Some(base) = event.base() {
        faults.require(base.timestamp <= Moment::MAX, "timestamp", "is later than can be recorded");
        if let Some(round_number) = round_number(event) {
            faults.require(0 < round_number, "round_number", "must be at least 1");
        }
        of_game(event, base, faults);
    } else if let Some(base) = event.team_base() {
        faults.require(base.timestamp <= Moment::MAX, "timestamp", "is later than can be recorded");
        of_team(event, base, faults);
    } else {
        of_others(event, faults);
    }
}

fn round_number(event: &GameEvent) -> Option<u32> {
    match event {
        GameEvent::GameStarted(of) => Some(of.round_number),
        GameEvent::KnockoutRoundStarted(of) => Some(of.round_number),
        GameEvent::RoundStarted(of) => Some(of.round_number),
        GameEvent::WordsDealt(of) => Some(of.round_number),
        GameEvent::GuessStarted(of) => Some(of.round_number),
        GameEvent::GuessProcessed(of) => Some(of.round_number),
        GameEvent::GuessAbandoned(of) => Some(of.round_number),
        GameEvent::TeamEliminated(of) => Some(of.round_number),
        GameEvent::RoundCompleted(of) => Some(of.round_number),
        GameEvent::KnockoutRoundCompleted(of) => Some(of.round_number),
        GameEvent::RaceModeTimeExpired(of) => Some(of.round_number),
        GameEvent::GolfRaceTimeExpired(of) => Some(of.round_number),
        GameEvent::LongformDayEnded(of) => Some(of.round_number),
        GameEvent::GameCompleted(of) => Some(of.round_number),
        _ => None,
    }
}

fn of_game(event: &GameEvent, base: &GameBase, faults: &mut Faults) {
    match event {
        GameEvent::GameCreated(of) => {
            not_later(("created_at", of.created_at), base.timestamp, faults);
            let most = *base.mode.teams().end();
            faults.require(of.team_ids.len() <= most, "team_ids", format_args!("must be at most {most}"));
            each_once(&of.team_ids, faults);
        }
        GameEvent::GameModeChanged(of) => {
            faults.require(of.to == base.mode, "to", format_args!("must be the mode of the event, {}", base.mode));
            faults.require(of.from != of.to, "from", "must be another mode");
        }
        GameEvent::GameConfigured(of) => {
            of_config(&of.config, base.mode, faults);
            faults.require(0 < of.config_version, "config_version", "must be at least 1");
        }
        GameEvent::PlayerJoined(of) => of_player(of.player_id, of.team_id, faults),
        GameEvent::PlayerLeft(of) => of_player(of.player_id, of.team_id, faults),
        GameEvent::PlayerStatusChanged(of) => faults.require(of.from != of.to, "to", "must be another status"),
        GameEvent::GameStarted(of) => of_start(of, faults),
        GameEvent::KnockoutRoundStarted(of) => {
            is_of(base, Mode::Knockout, faults);
            faults.require(!of.team_ids.is_empty(), "team_ids", "must not be empty");
            faults.require(0 < of.limit_ms, "limit_ms", "must be more than 0");
            each_once(&of.team_ids, faults);
        }
        GameEvent::RoundStarted(of) => {
            faults.require(!of.team_states.is_empty(), "team_states", "must not be empty");
            for (team, state) in &of.team_states {
                faults.require(state.active_players == team.players(), "active_players", "must be the team's");
                is_average(state.average_guesses, "average_guesses", faults);
                faults.require(state.matches <= state.total_guesses, "matches", "must be at most `total_guesses`");
                let limit = state.remaining_guesses;
                let is_limit = limit.is_none_or(|left| 0 < left && base.mode == Mode::Knockout);
                faults.require(is_limit, "remaining_guesses", "is at least 1, and for a knockout");
                of_pair(&state.words, faults);
            }
            each_once(&of.team_states.keys().copied().collect::<Vec<_>>(), faults);
        }
        GameEvent::WordsDealt(of) => {
            faults.require(0 < of.guess_count, "guess_count", "must be at least 1");
            of_pair(&of.words, faults);
        }
        GameEvent::GuessStarted(of) => {
            of_player(of.player_id, Some(of.team_id), faults);
            faults.require(0 < of.guess_count, "guess_count", "must be at least 1");
        }
        GameEvent::GuessProcessed(of) => of_guess(of, faults),
        GameEvent::GuessAbandoned(of) => of_abandoned(of, faults),
        GameEvent::TeamEliminated(of) => {
            faults.require(0 < of.guess_count, "guess_count", "must be at least 1");
            faults.require(of.final_score == of.final_state.score, "final_score", "must be that of `final_state`");
            let can_be = can_eliminate(base.mode, of.reason);
            faults.require(can_be, "reason", format_args!("does not put out a team in a {} game", base.mode));
            let is_forced = of.reason == EliminationReason::ForcedElimination;
            let is_placed = of.round_position.is_none_or(|position| is_forced && 0 < position);
            faults.require(is_placed, "round_position", "is from 1, and for those that are forced out");
            of_scores([(&of.team_id, &of.final_state)], faults);
        }
        GameEvent::RoundCompleted(of) => {
            of_stats(&of.round_stats, faults);
            let is_own = of.team_id.is_none() || of.winner_team_id.is_none_or(|winner| of.team_id == Some(winner));
            faults.require(is_own, "winner_team_id", "must be the team whose round it was");
        }
        GameEvent::KnockoutRoundCompleted(of) => {
            is_of(base, Mode::Knockout, faults);
            of_scores(&of.advancing_teams, faults);
            let gone = of.eliminated_teams.iter().map(|of| of.team_id).collect::<Vec<_>>();
            each_once(&gone, faults);
            let stays = gone.iter().any(|team| of.advancing_teams.contains_key(team));
            faults.require(!stays, "advancing_teams", "must not have gone");
        }
        GameEvent::RaceModeTimeExpired(of) => {
            is_of(base, Mode::Race, faults);
            of_scores(&of.final_matches, faults);
        }
        GameEvent::GolfRaceTimeExpired(of) => {
            is_of(base, Mode::GolfRace, faults);
            of_scores(&of.final_matches, faults);
            let scores = of.final_matches.iter().map(|(team, score)| (team, &score.score));
            faults.require(of.points.iter().eq(scores), "points", "must be those of `final_matches`");
        }
        GameEvent::LongformDayEnded(of) => {
            is_of(base, Mode::Longform, faults);
            faults.require(of.day_number == of.round_number, "day_number", "must be `round_number`: a day is a round");
            of_scores(&of.team_standings, faults);
            each_once(&of.eliminated_teams, faults);
            let were_in = of.eliminated_teams.iter().all(|team| of.team_standings.contains_key(team));
            faults.require(were_in, "eliminated_teams", "must have been in it");
        }
        GameEvent::GamePaused(of) => not_later(("since", of.since), base.timestamp, faults),
        GameEvent::GameResumed(of) => {
            faults.require(of.paused_ms <= base.timestamp.millis(), "paused_ms", "is longer than there is time");
        }
        GameEvent::GameCompleted(of) => {
            not_later(("finished_at", of.finished_at), base.timestamp, faults);
            faults.require(!of.final_scores.is_empty(), "final_scores", "must not be empty");
            faults.require(0 < of.total_rounds, "total_rounds", "must be at least 1");
            of_scores(&of.final_scores, faults);
            each_once(&of.winners, faults);
            let were_in = of.winners.iter().all(|winner| of.final_scores.contains_key(winner));
            faults.require(were_in, "winners", "must be among `final_scores`");
            let are_few = of.winners.len() <= 1 || base.mode.is_race();
            faults.require(are_few, "winners", "may be several in a race only");
        }
        GameEvent::GameCancelled(of) => {
            let is_wanted = matches!(of.reason, CancelReason::ByPlayers | CancelReason::ByAdmin);
            faults.require(is_wanted == of.by.is_some(), "by", "is who wanted it, where somebody did");
        }
        _ => {}
    }
}

/// "`forfeit` in every mode"; the rest where rounds eliminate, and the limit where there is one.
fn can_eliminate(mode: Mode, reason: EliminationReason) -> bool {
    match reason {
        EliminationReason::Forfeit => true,
        EliminationReason::GuessLimit => mode == Mode::Knockout,
        EliminationReason::TimeExpired | EliminationReason::ForcedElimination => {
            matches!(mode, Mode::Knockout | Mode::Longform)
        }
    }
}

fn of_start(of: &GameStarted, faults: &mut Faults) {
    let mode = of.base.mode;
    faults.require(of.round_number == 1, "round_number", "must be 1");
    let (least, most) = (mode.teams().start().to_owned(), mode.teams().end().to_owned());
    let is_fit = mode.teams().contains(&of.teams.len());
    faults.require(is_fit, "teams", format_args!("must be {least} to {most} in a {mode} game"));
    each_once(&of.team_ids, faults);
    let are_same = of.team_ids.len() == of.teams.len() && of.team_ids.iter().all(|team| of.teams.contains_key(team));
    faults.require(are_same, "team_ids", "must be those of `teams`");
    let have_two = of.teams.iter().all(|(team, players)| *players == team.players());
    faults.require(have_two, "teams", "must have exactly 2 players each, those that its id names");
    let expected = of.team_ids.iter().flat_map(|team| team.players());
    faults.require(expected.eq(of.player_ids.iter().copied()), "player_ids", "must be those of `team_ids`, in order");
    of_config(&of.config, mode, faults);
    not_later(("started_at", of.started_at), of.base.timestamp, faults);
}

/// "match_score above 0 if and only if successful, else absent", and what follows of counts and durations.
fn of_guess(of: &GuessProcessed, faults: &mut Faults) {
    of_players(of.team_id, of.player1_id, of.player2_id, faults);
    of_counts((of.guess_count, of.round_guess_count), faults);
    faults.require(of.guess_count <= of.total_guesses, "total_guesses", "must be at least `guess_count`");
    let score = of.guess_successful.then_some(1);
    faults.require(of.match_score == score, "match_score", "must be 1 on a match, and absent otherwise");
    for (field, duration) in [("player1_duration", of.player1_duration), ("player2_duration", of.player2_duration)] {
        faults.require(duration.is_some(), field, "is absent only for who did not answer, and both did");
    }
    let longest = of.player1_duration.max(of.player2_duration);
    faults.require(Some(of.guess_duration) == longest, "guess_duration", "must be that of the later player");
}

fn of_abandoned(of: &GuessAbandoned, faults: &mut Faults) {
    of_players(of.team_id, of.player1_id, of.player2_id, faults);
    of_counts((of.guess_count, of.round_guess_count), faults);
    let is_given_up = of.reason == AbandonReason::GaveUp;
    faults.require(is_given_up == of.guess_duration.is_some(), "guess_duration", "is for what was given up");
    let is_counted = !is_given_up || of.guess_count <= of.total_guesses;
    faults.require(is_counted, "total_guesses", "must count what was given up");
    let is_timeout = of.reason == AbandonReason::Timeout;
    let has_who = of.abandoning_player_id.is_some();
    faults.require(is_timeout != has_who, "abandoning_player_id", "is who did it, and nobody where the time was up");
    if let Some(player) = of.abandoning_player_id {
        faults.require(of.team_id.has(player), "abandoning_player_id", "must be of the team");
    }
    if let Some(last) = &of.last_guess {
        faults.require(of.team_id.has(last.player_id), "last_guess", "must be of a player of the team");
    }
}

fn of_team(event: &GameEvent, base: &TeamBase, faults: &mut Faults) {
    let of_name = |name: &str, field: &str, faults: &mut Faults| {
        if let Err(refusal) = team::check_name(name) {
            faults.add(field, format_args!("is none: {refusal}"));
        }
    };
    match event {
        GameEvent::TeamCreated(of) => {
            of_name(&of.name, "name", faults);
            let are_two = of.player_ids == base.team_id.players();
            faults.require(are_two, "player_ids", "must be exactly 2, those that the team's id names");
            not_later(("created_at", of.created_at), base.timestamp, faults);
        }
        GameEvent::TeamUpdated(of) => {
            of_name(&of.name, "name", faults);
            not_later(("updated_at", of.updated_at), base.timestamp, faults);
        }
        GameEvent::TeamMemberAdded(of) => {
            of_player(of.player_id, Some(base.team_id), faults);
            not_later(("added_at", of.added_at), base.timestamp, faults);
        }
        GameEvent::TeamMemberRemoved(of) => {
            of_player(of.player_id, Some(base.team_id), faults);
            of_text(of.reason.as_deref().unwrap_or("-"), ("reason", REASON_CHARS_MAX), faults);
            not_later(("removed_at", of.removed_at), base.timestamp, faults);
        }
        GameEvent::TeamInvitationCreated(of) => {
            faults.require(!of.invitation_id.is_empty(), "invitation_id", "must not be empty");
            let are_two = TeamId::of(of.inviter_id, of.invitee_id) == Some(base.team_id);
            faults.require(are_two, "invitee_id", "must be the other player of the team");
            if let Some(name) = &of.proposed_name {
                of_name(name, "proposed_name", faults);
            }
            not_later(("created_at", of.created_at), base.timestamp, faults);
            let is_usual = of.expires_at == of.created_at.plus(INVITATION_MS);
            faults.require(is_usual, "expires_at", "must be 300 s after `created_at`");
        }
        GameEvent::TeamInvitationAccepted(of) => {
            faults.require(!of.invitation_id.is_empty(), "invitation_id", "must not be empty");
            not_later(("accepted_at", of.accepted_at), base.timestamp, faults);
        }
        GameEvent::TeamInvitationDeclined(of) => {
            faults.require(!of.invitation_id.is_empty(), "invitation_id", "must not be empty");
            not_later(("declined_at", of.declined_at), base.timestamp, faults);
        }
        _ => {}
    }
}

fn of_others(event: &GameEvent, faults: &mut Faults) {
    faults.require(event.moment() <= Some(Moment::MAX), "timestamp", "is later than can be recorded");
    let of_name = |name: &str, field: &str, faults: &mut Faults| {
        if let Err(refusal) = user::check_name(name) {
            faults.add(field, format_args!("is none: {refusal}"));
        }
    };
    match event {
        GameEvent::UserRegistered(of) => {
            of_name(&of.username, "username", faults);
            if let Some(name) = &of.display_name {
                of_name(name, "display_name", faults);
            }
        }
        GameEvent::UserProfileUpdated(of) => of_name(&of.display_name, "display_name", faults),
        GameEvent::UserPreferencesChanged(of) => {
            for (field, settings) in
                [("notification_settings", &of.notification_settings), ("ui_preferences", &of.ui_preferences)]
            {
                faults.require(user::are_fine(settings), field, "must be at most 100, of at most 100 characters");
            }
        }
        GameEvent::ReplayCreated(of) => {
            faults.require(0 < of.event_count, "event_count", "must be at least 1");
            faults.require(of.start_time <= of.end_time, "end_time", "must not be before `start_time`");
            not_later(("end_time", of.end_time), of.created_at, faults);
        }
        GameEvent::CommandError(of) => {
            of_text(&of.command_name, ("command_name", 100), faults);
            of_text(&of.error_code, ("error_code", 100), faults);
            of_text(&of.error_message, ("error_message", MESSAGE_CHARS_MAX), faults);
        }
        GameEvent::SystemError(of) => {
            of_text(&of.error_type, ("error_type", 100), faults);
            of_text(&of.error_message, ("error_message", MESSAGE_CHARS_MAX), faults);
        }
        GameEvent::GuessError(of) => {
            faults.require(of.word.chars().count() <= 100, "word", "must be at most 100 characters");
            of_text(&of.reason, ("reason", 100), faults);
        }
        GameEvent::GuessPairError(of) => {
            for (field, word) in [("word1", &of.word1), ("word2", &of.word2)] {
                faults.require(word.chars().count() <= 100, field, "must be at most 100 characters");
            }
            of_text(&of.reason, ("reason", 100), faults);
        }
        GameEvent::RoundCheckError(of) => of_text(&of.reason, ("reason", MESSAGE_CHARS_MAX), faults),
        _ => {}
    }
}

// What several have in common.

fn not_later((field, at): (&str, Moment), timestamp: Moment, faults: &mut Faults) {
    faults.require(at <= timestamp, field, "must not be later than the event");
}

fn is_of(base: &GameBase, mode: Mode, faults: &mut Faults) {
    let got = base.mode;
    faults.require(got == mode, "mode", format_args!("is invalid for {mode} mode: expected {mode}, got {got}"));
}

fn of_config(config: &super::mode::GameConfig, mode: Mode, faults: &mut Faults) {
    let got = config.mode();
    faults.require(got == mode, "config", format_args!("is invalid for {mode} mode: expected {mode}, got {got}"));
    for fault in config.faults() {
        faults.add("config", format_args!("cannot be played: {}", fault.name()));
    }
}

fn of_player(player: PlayerId, team: Option<TeamId>, faults: &mut Faults) {
    faults.require(team.is_none_or(|team| team.has(player)), "player_id", "must be of the team");
}

fn of_players(team: TeamId, player1: PlayerId, player2: PlayerId, faults: &mut Faults) {
    let are_two = team.players() == [player1, player2];
    faults.require(are_two, "player1_id", "and `player2_id` must be the two of the team, the lower one first");
}

fn of_counts((guess_count, round_guess_count): (u32, u32), faults: &mut Faults) {
    faults.require(0 < guess_count, "guess_count", "must be at least 1");
    faults.require(round_guess_count == guess_count, "round_guess_count", "must be `guess_count`");
}

fn of_pair(words: &WordPair, faults: &mut Faults) {
    faults.require(!words.0.is_same(&words.1), "words", "must be two");
}

/// No team, and so no player, is there twice.
fn each_once(teams: &[TeamId], faults: &mut Faults) {
    let players = teams.iter().flat_map(|team| team.players()).collect::<Vec<_>>();
    for (at, player) in players.iter().enumerate() {
        if players[..at].contains(player) {
            faults.add("team_ids", format_args!("must name each player once, and names {player} again"));
        }
    }
}

fn of_scores<'a>(scores: impl IntoIterator<Item = (&'a TeamId, &'a TeamScore)>, faults: &mut Faults) {
    for (team, score) in scores {
        faults.require(score.matches <= score.total_guesses, "matches", "must be at most `total_guesses`");
        is_average(score.average_guesses, "average_guesses", faults);
        let are_its = score.player_stats.keys().copied().eq(team.players());
        faults.require(are_its, "player_stats", "must be those of the team's players");
        of_stats(&score.player_stats, faults);
    }
}

fn of_stats(stats: &BTreeMap<PlayerId, PlayerStats>, faults: &mut Faults) {
    for stats in stats.values() {
        let are_possible = stats.successful_matches <= stats.total_guesses;
        faults.require(are_possible, "successful_matches", "must be at most `total_guesses`");
        is_average(stats.average_guess_count, "average_guess_count", faults);
    }
}

fn is_average(number: f64, field: &str, faults: &mut Faults) {
    faults.require(number.is_finite() && 0.0 <= number, field, "must be 0 or more");
}

fn of_text(text: &str, (field, chars_max): (&str, usize), faults: &mut Faults) {
    faults.require(!text.trim().is_empty(), field, "must not be empty");
    let is_short = text.chars().count() <= chars_max;
    faults.require(is_short, field, format_args!("must be at most {chars_max} characters"));
}
