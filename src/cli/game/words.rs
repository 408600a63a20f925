//! Times, reasons and settings of a game in words.

use super::names::{Names, enumerated};
use crate::cli::output::counted;
use scorebook::game::{
    CancelReason, Deadline, EliminationReason, GameConfig, LeaveReason, PauseReason, Phase, PlayerId,
};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How long something took: `430 ms`, `3.2 s`, `4 min 05 s`, `5 h 12 min`, `2 d 05 h`.
pub(crate) fn lasting(ms: u64) -> String {
    // What rounds to a minute is one.
    let tenths = ms.saturating_add(50) / 100;
    let (seconds, minutes, hours, days) = (tenths / 10, tenths / 600, tenths / 36_000, tenths / 864_000);
    if ms < SECOND_MS {
        format!("{ms} ms")
    } else if minutes == 0 {
        format!("{seconds}.{} s", tenths % 10)
    } else if hours == 0 {
        format!("{minutes} min {:02} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {:02} min", minutes % 60)
    } else {
        format!("{days} d {:02} h", hours % 24)
    }
}

/// A time that was set: `5 min`, `24 h`, `90 s`.
fn set(ms: u64) -> String {
    let units = [(HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")];
    let unit = units.into_iter().find(|(unit_ms, _)| *unit_ms <= ms && ms.is_multiple_of(*unit_ms));
    let (unit_ms, unit) = unit.unwrap_or((1, "ms"));
    format!("{} {unit}", ms / unit_ms)
}

/// How far from the beginning: `0:42`, `1:02:03`; before it `-0:30`.
pub(super) fn from_start(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let (hours, minutes, seconds) = (ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS, ms % MINUTE_MS / SECOND_MS);
    if hours == 0 {
        format!("{sign}{minutes}:{seconds:02}")
    } else {
        format!("{sign}{hours}:{minutes:02}:{seconds:02}")
    }
}

/// What is set about a game.
pub(super) fn config(config: &GameConfig) -> String {
    match config {
        GameConfig::TwoPlayer { rounds_required, success_threshold } => {
            let rounds = counted((*rounds_required).into(), "round", "rounds");
            let guesses = counted((*success_threshold).into(), "guess", "guesses");
            format!("{rounds}, won with at most {guesses} for each on average")
        }
        GameConfig::Knockout { round_ms, elimination_guess_limit } => {
            let guesses = counted((*elimination_guess_limit).into(), "guess", "guesses");
            format!("rounds of {}, at most {guesses} in each", set(*round_ms))
        }
        GameConfig::Race { time_limit_ms } | GameConfig::GolfRace { time_limit_ms } => set(*time_limit_ms),
        GameConfig::Longform { day_ms } => format!("days of {}", set(*day_ms)),
    }
}

/// Why a team is out.
pub(super) fn out(reason: EliminationReason, guess_count: u32) -> String {
    let guesses = counted(guess_count.into(), "guess", "guesses");
    match reason {
        EliminationReason::GuessLimit => format!("no match in {guesses}, and no more are allowed"),
        EliminationReason::TimeExpired => "no match when the time was up".to_owned(),
        EliminationReason::ForcedElimination => format!("it had the most guesses, {guess_count}"),
        EliminationReason::Forfeit => "it left".to_owned(),
    }
}

/// How a player went.
pub(super) fn left(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::PlayerQuit => "left",
        LeaveReason::Disconnected => "could not be reached any more, and is out",
        LeaveReason::PartnerLeft => "is without a partner, and left too",
    }
}

/// Why a game has no result.
pub(super) fn cancelled(reason: CancelReason, by: Option<PlayerId>, names: &Names) -> String {
    let by = by.map_or_else(|| "nobody".to_owned(), |by| names.player(by));
    match reason {
        CancelReason::ByPlayers => format!("{by} did not want to go on"),
        CancelReason::ByAdmin => format!("{by} ended it for the guild"),
        CancelReason::Idle => "nothing happened for too long".to_owned(),
        CancelReason::TooFew => "nobody was left before it began".to_owned(),
    }
}

/// Why a game was held up.
pub(super) fn paused(reason: PauseReason, by: Option<PlayerId>, names: &Names) -> String {
    let by = by.map(|by| format!(" by {}", names.player(by))).unwrap_or_default();
    match reason {
        PauseReason::ByPlayers => format!("the game was held up{by}"),
        PauseReason::ByAdmin => format!("the game was held up{by} for the guild"),
        PauseReason::BotRestart => "the game was held up: the bot was not there".to_owned(),
    }
}

/// How far a game is.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Missing => "nothing has happened yet",
        Phase::Open => "not begun",
        Phase::InRound => "being played",
        Phase::BetweenRounds => "between two rounds",
        Phase::Completed => "over",
        Phase::Cancelled => "cancelled",
    }
}

/// What happens next by itself.
pub(super) fn due(deadline: Deadline) -> &'static str {
    match deadline {
        Deadline::RoundEnd => "the round is over",
        Deadline::NextRound => "the next round begins",
        Deadline::RaceEnd => "the race is over",
        Deadline::DayEnd => "the day is over",
        Deadline::Idle => "if nothing happens, it is cancelled",
    }
}

/// Who won.
pub(super) fn won(winners: Vec<String>) -> String {
    match winners.len() {
        0 => "nobody won".to_owned(),
        1 => format!("{} won", enumerated(winners)),
        _ => format!("{} won together", enumerated(winners)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_fine_as_they_are_short() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (3_249, "3.2 s"),
            (3_250, "3.3 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min 00 s"),
            (3_599_950, "1 h 00 min"),
            (245_000, "4 min 05 s"),
            (18_720_000, "5 h 12 min"),
            (190_800_000, "2 d 05 h"),
            (u64::MAX, "213503982334 d 14 h"),
        ] {
            assert_eq!(lasting(ms), expected, "{ms}");
        }
        assert_eq!([0, 300_000, 86_400_000, 90_000, 1_500].map(set), ["0 ms", "5 min", "24 h", "90 s", "1500 ms"]);
        assert_eq!([0, 42_000, 3_723_000, -30_000].map(from_start), ["0:00", "0:42", "1:02:03", "-0:30"]);
        assert_eq!(from_start(i64::MIN), "-2562047788015:12:55");
    }
}
