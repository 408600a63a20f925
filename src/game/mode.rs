//! The five ways to play, and what can be set about each.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// A way to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One team, a number of rounds, as few guesses as possible.
    TwoPlayer,
    /// Everybody plays the same round; in each some teams go.
    Knockout,
    /// As many matches as possible before the time is up.
    Race,
    /// Points for each match, more for fewer guesses, before the time is up.
    GolfRace,
    /// A knockout with a round a day.
    Longform,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 5] = [Mode::TwoPlayer, Mode::Knockout, Mode::Race, Mode::GolfRace, Mode::Longform];

    /// The name in events, tags and commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::TwoPlayer => "two_player",
            Mode::Knockout => "knockout",
            Mode::Race => "race",
            Mode::GolfRace => "golf_race",
            Mode::Longform => "longform",
        }
    }

    /// The mode with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// How many teams a game may start with.
    #[must_use]
    pub fn teams(self) -> RangeInclusive<usize> {
        match self {
            Mode::TwoPlayer => 1..=1,
            Mode::Longform => 3..=12,
            Mode::Knockout | Mode::Race | Mode::GolfRace => 2..=12,
        }
    }

    /// Whether every team has rounds of its own, one after the other, until the time of the game is up.
    pub(super) fn is_race(self) -> bool {
        matches!(self, Mode::Race | Mode::GolfRace)
    }

    /// For how many milliseconds nothing may happen in a game of this mode before it is cancelled.
    pub(super) fn idle_ms(self) -> u64 {
        const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
        if self == Mode::Longform { 2 * DAY_MS } else { DAY_MS }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What can be set about a game, by mode.
///
/// ```
/// use scorebook::game::{GameConfig, Mode};
/// assert_eq!(GameConfig::of(Mode::Race), GameConfig::Race { time_limit_ms: 180_000 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum GameConfig {
    /// For [`Mode::TwoPlayer`].
    TwoPlayer {
        /// How many rounds there are, 1 to 100. Default: 5.
        rounds_required: u32,
        /// The average number of guesses in a round that still wins, 1 to 100. Default: 4.
        success_threshold: u32,
    },
    /// For [`Mode::Knockout`].
    Knockout {
        /// How long a round lasts, a second to a day. Default: 300 s.
        round_ms: u64,
        /// The number of attempts in a round, 1 to 100. Default: 12.
        elimination_guess_limit: u32,
    },
    /// For [`Mode::Race`].
    Race {
        /// How long the game lasts, a second to a day. Default: 180 s.
        time_limit_ms: u64,
    },
    /// For [`Mode::GolfRace`].
    GolfRace {
        /// How long the game lasts, a second to a day. Default: 180 s.
        time_limit_ms: u64,
    },
    /// For [`Mode::Longform`].
    Longform {
        /// How long a day lasts, a second to a week. Default: 24 hours.
        day_ms: u64,
    },
}

/// Why a configuration cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFault {
    /// No rounds, or more than 100.
    InvalidRounds,
    /// A threshold of 0, or above 100.
    InvalidThreshold,
    /// A time below a second, or above the most there is.
    InvalidTimeLimit,
    /// No attempts, or more than 100.
    InvalidGuessLimit,
}

const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;
const COUNTS: RangeInclusive<u32> = 1..=100;

impl GameConfig {
    /// What holds where nothing is said.
    #[must_use]
    pub fn of(mode: Mode) -> GameConfig {
        match mode {
            Mode::TwoPlayer => GameConfig::TwoPlayer { rounds_required: 5, success_threshold: 4 },
            Mode::Knockout => GameConfig::Knockout { round_ms: 300 * SECOND_MS, elimination_guess_limit: 12 },
            Mode::Race => GameConfig::Race { time_limit_ms: 180 * SECOND_MS },
            Mode::GolfRace => GameConfig::GolfRace { time_limit_ms: 180 * SECOND_MS },
            Mode::Longform => GameConfig::Longform { day_ms: DAY_MS },
        }
    }

    /// The mode it is for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            GameConfig::TwoPlayer { .. } => Mode::TwoPlayer,
            GameConfig::Knockout { .. } => Mode::Knockout,
            GameConfig::Race { .. } => Mode::Race,
            GameConfig::GolfRace { .. } => Mode::GolfRace,
            GameConfig::Longform { .. } => Mode::Longform,
        }
    }

    /// All that keeps it from being played.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let times = |millis: &u64, most: u64| (SECOND_MS..=most).contains(millis);
        let checks = match self {
            GameConfig::TwoPlayer { rounds_required, success_threshold } => vec![
                (COUNTS.contains(rounds_required), ConfigFault::InvalidRounds),
                (COUNTS.contains(success_threshold), ConfigFault::InvalidThreshold),
            ],
            GameConfig::Knockout { round_ms, elimination_guess_limit } => vec![
                (times(round_ms, DAY_MS), ConfigFault::InvalidTimeLimit),
                (COUNTS.contains(elimination_guess_limit), ConfigFault::InvalidGuessLimit),
            ],
            GameConfig::Race { time_limit_ms } | GameConfig::GolfRace { time_limit_ms } => {
                vec![(times(time_limit_ms, DAY_MS), ConfigFault::InvalidTimeLimit)]
            }
            GameConfig::Longform { day_ms } => vec![(times(day_ms, 7 * DAY_MS), ConfigFault::InvalidTimeLimit)],
        };
        checks.into_iter().filter_map(|(holds, fault)| (!holds).then_some(fault)).collect()
    }

    /// How many attempts a team has in a round, where that is limited.
    #[must_use]
    pub fn guess_limit(&self) -> Option<u32> {
        match self {
            GameConfig::Knockout { elimination_guess_limit, .. } => Some(*elimination_guess_limit),
            _ => None,
        }
    }
}

impl ConfigFault {
    /// The fault as events and answers name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ConfigFault::InvalidRounds => "invalid_rounds",
            ConfigFault::InvalidThreshold => "invalid_threshold",
            ConfigFault::InvalidTimeLimit => "invalid_time_limit",
            ConfigFault::InvalidGuessLimit => "invalid_guess_limit",
        }
    }
}
