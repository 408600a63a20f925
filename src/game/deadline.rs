//! What is due when time passes.

use super::clock::Played;
use super::game::{Game, Phase};
use super::mode::GameConfig;

/// Something that is due at a time, unless something else happens before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The round of a knockout ends.
    RoundEnd,
    /// The next round of a knockout begins.
    NextRound,
    /// The time of a race is up.
    RaceEnd,
    /// A day of a longform game ends.
    DayEnd,
    /// Nothing has happened for so long that the game is cancelled.
    Idle,
}

/// How long players catch their breath between two rounds of a knockout: 5 s.
const BREATH_MS: u64 = 5_000;

/// How long a game that has not started may be left alone: an hour.
const OPEN_IDLE_MS: u64 = 60 * 60 * 1_000;

impl Game {
    /// What is due first, in milliseconds played. Of two at one time it is the one that is about the play.
    pub(super) fn next_deadline(&self) -> Option<(Played, Deadline)> {
        let idle = self.idle_deadline()?;
        let play = self.play_deadline().filter(|(at, _)| *at <= idle.0);
        Some(play.unwrap_or(idle))
    }

    /// What the rules of the mode have coming.
    pub(super) fn play_deadline(&self) -> Option<(Played, Deadline)> {
        let in_round = match (self.phase, self.config) {
            (Phase::BetweenRounds, _) => {
                return Some((self.round_ended.saturating_add(BREATH_MS), Deadline::NextRound));
            }
            (Phase::InRound, config) => config,
            _ => return None,
        };
        match in_round {
            GameConfig::TwoPlayer { .. } => None,
            GameConfig::Knockout { round_ms, .. } => {
                Some((self.round_began.saturating_add(round_ms), Deadline::RoundEnd))
            }
            GameConfig::Race { time_limit_ms } | GameConfig::GolfRace { time_limit_ms } => {
                Some((self.started.saturating_add(time_limit_ms), Deadline::RaceEnd))
            }
            GameConfig::Longform { day_ms } => Some((self.round_began.saturating_add(day_ms), Deadline::DayEnd)),
        }
    }

    fn idle_deadline(&self) -> Option<(Played, Deadline)> {
        let idle_ms = match self.phase {
            Phase::Open => OPEN_IDLE_MS,
            Phase::InRound | Phase::BetweenRounds => self.mode().idle_ms(),
            Phase::Missing | Phase::Completed | Phase::Cancelled => return None,
        };
        Some((self.last_play.saturating_add(idle_ms), Deadline::Idle))
    }
}
