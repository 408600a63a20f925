//! One event of a game in words.

use super::names::{Names, enumerated};
use super::words;
use crate::cli::output::counted;
use scorebook::game::{
    AbandonReason, GameEvent, GuessAbandoned, GuessProcessed, Moment, PlayerId, PlayerJoined, PlayerStatus,
    RoundCompleted, RoundStarted, TeamEliminated, TeamId, WordPair,
};

/// What an event says.
pub(crate) fn sentence(event: &GameEvent, names: &Names) -> String {
    let player = |player| names.player(player);
    match event {
        GameEvent::GameCreated(of) => {
            let with =
                if of.team_ids.is_empty() { String::new() } else { format!(" with {}", names.teams(&of.team_ids)) };
            format!("{} opened the game, {}{with}", player(of.created_by), of.base.mode)
        }
        GameEvent::GameModeChanged(of) => format!("{} made it {} instead of {}", player(of.by), of.to, of.from),
        GameEvent::GameConfigured(of) => format!("{} set: {}", player(of.by), words::config(&of.config)),
        GameEvent::PlayerJoined(of) => joined(of, names),
        GameEvent::PlayerLeft(of) => format!("{} {}", player(of.player_id), words::left(of.reason)),
        GameEvent::PlayerStatusChanged(of) => match of.to {
            PlayerStatus::Active => format!("{} is back", player(of.player_id)),
            PlayerStatus::Away => format!("{} is away", player(of.player_id)),
        },
        GameEvent::GameStarted(of) => format!("the game began: {}", names.teams(&of.team_ids)),
        GameEvent::KnockoutRoundStarted(of) => {
            let teams = counted(of.team_ids.len() as u64, "team", "teams");
            format!("round {} began for {teams}, for at most {}", of.round_number, words::lasting(of.limit_ms))
        }
        GameEvent::RoundStarted(of) => round_started(of, names),
        GameEvent::WordsDealt(of) => format!("{} got {}", names.team(of.team_id), dealt(of.team_id, &of.words, names)),
        GameEvent::GuessStarted(of) => {
            let partner = player(of.team_id.partner(of.player_id));
            format!("{} said {}, {partner} is to answer", player(of.player_id), of.word)
        }
        GameEvent::GuessProcessed(of) => compared(of, names),
        GameEvent::GuessAbandoned(of) => abandoned(of, names),
        GameEvent::TeamEliminated(of) => eliminated(of, names),
        GameEvent::RoundCompleted(of) => round_completed(of, names),
        GameEvent::KnockoutRoundCompleted(of) => {
            let left = of.advancing_teams.keys().copied().collect::<Vec<_>>();
            format!(
                "round {} was over after {}; {} left: {}",
                of.round_number,
                words::lasting(of.round_duration),
                counted(left.len() as u64, "team is", "teams are"),
                names.teams(&left)
            )
        }
        GameEvent::RaceModeTimeExpired(of) => format!("the time was up after {}", words::lasting(of.game_duration)),
        GameEvent::GolfRaceTimeExpired(of) => format!("the time was up after {}", words::lasting(of.game_duration)),
        GameEvent::LongformDayEnded(of) => {
            let gone = of.eliminated_teams.iter().map(|team| names.team(*team)).collect();
            format!("day {} was over; {} had to go", of.day_number, enumerated(gone))
        }
        GameEvent::GamePaused(of) => words::paused(of.reason, of.by, names),
        GameEvent::GameResumed(of) => {
            let by = of.by.map(|by| format!(" by {}", player(by))).unwrap_or_default();
            format!("the game was taken up again{by} after {}", words::lasting(of.paused_ms))
        }
        GameEvent::GameCompleted(of) => {
            format!("the game is over: {}", words::won(of.winners.iter().map(|team| names.team(*team)).collect()))
        }
        GameEvent::GameCancelled(of) => {
            format!("the game was cancelled: {}", words::cancelled(of.reason, of.by, names))
        }
        // Nothing of these belongs to a game's stream.
        _ => "something that is no part of a game".to_owned(),
    }
}

/// When an event happened, by the game's own time.
pub(crate) fn moment_of(event: &GameEvent) -> Option<Moment> {
    event.base().map(|base| base.timestamp)
}

/// Who made an event happen, where it says so beside the players that it is about.
pub(super) fn by(event: &GameEvent) -> Option<PlayerId> {
    match event {
        GameEvent::GameCreated(of) => Some(of.created_by),
        GameEvent::GameModeChanged(of) => Some(of.by),
        GameEvent::GameConfigured(of) => Some(of.by),
        GameEvent::GamePaused(of) => of.by,
        GameEvent::GameResumed(of) => of.by,
        GameEvent::GameCancelled(of) => of.by,
        _ => None,
    }
}

fn joined(of: &PlayerJoined, names: &Names) -> String {
    let player = names.player(of.player_id);
    match of.team_id {
        Some(team) => {
            format!("{player} came, with {} as {}", names.player(team.partner(of.player_id)), names.team(team))
        }
        None => format!("{player} came, and waits for a partner"),
    }
}

fn round_started(of: &RoundStarted, names: &Names) -> String {
    let teams = of.team_states.iter();
    let teams = teams.map(|(team, state)| format!("{} got {}", names.team(*team), dealt(*team, &state.words, names)));
    format!("round {} began: {}", of.round_number, teams.collect::<Vec<_>>().join("; "))
}

/// `ocean for Ada and desert for Bob`.
fn dealt(team: TeamId, words: &WordPair, names: &Names) -> String {
    let each = team.players().map(|player| format!("{} for {}", words.of(team, player), names.player(player)));
    enumerated(each.into())
}

fn compared(of: &GuessProcessed, names: &Names) -> String {
    let (first, second) = (names.player(of.player1_id), names.player(of.player2_id));
    let outcome = if of.guess_successful { "a match" } else { "no match" };
    let at = format!("attempt {} of round {}", of.guess_count, of.round_number);
    format!("{first} said {}, {second} said {}: {outcome}, {at}", of.player1_word, of.player2_word)
}

fn abandoned(of: &GuessAbandoned, names: &Names) -> String {
    let who = of.abandoning_player_id.map_or_else(|| "nobody".to_owned(), |player| names.player(player));
    let what = match of.reason {
        AbandonReason::GaveUp => format!("{who} gave up"),
        AbandonReason::Timeout => "the time was up".to_owned(),
        AbandonReason::PlayerQuit => format!("{who} left"),
        AbandonReason::Disconnected => format!("{who} could not be reached any more"),
    };
    let last = of.last_guess.as_ref();
    let last = last.map(|last| format!(", and {} of {} has no answer", last.word, names.player(last.player_id)));
    format!("{what} in attempt {} of round {}{}", of.guess_count, of.round_number, last.unwrap_or_default())
}

fn eliminated(of: &TeamEliminated, names: &Names) -> String {
    format!("{} is out: {}", names.team(of.team_id), words::out(of.reason, of.guess_count))
}

fn round_completed(of: &RoundCompleted, names: &Names) -> String {
    let points = if of.round_score.unsigned_abs() == 1 { "point" } else { "points" };
    match (of.team_id, of.winner_team_id) {
        (Some(team), Some(_)) => {
            format!("{} matched in round {}: {} {points}", names.team(team), of.round_number, of.round_score)
        }
        (Some(team), None) => {
            format!("{} ended round {} without a match: {} {points}", names.team(team), of.round_number, of.round_score)
        }
        (None, Some(best)) => format!("{} was best in round {}", names.team(best), of.round_number),
        (None, None) => format!("nobody matched in round {}", of.round_number),
    }
}
