//! What a finished game looked like in numbers.

use super::game::{Elimination, Game, Phase};
use super::ids::TeamId;
use super::mode::Mode;
use super::payload::TeamScore;
use super::side::{RoundResult, Side, average};
use serde::Serialize;
use std::collections::BTreeMap;

/// The statistics of a finished game.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GameStats {
    /// How it was played.
    pub mode: Mode,
    /// For how many milliseconds it was played, pauses left out.
    pub duration_ms: u64,
    /// The attempts of all teams that count.
    pub total_guesses: u64,
    /// How many players started.
    pub player_count: usize,
    /// How many teams started.
    pub team_count: usize,
    /// How many rounds there were: in a race, the most of any team.
    pub rounds: u32,
    /// Who won.
    pub winners: Vec<TeamId>,
    /// Where every team ended.
    pub teams: BTreeMap<TeamId, TeamScore>,
    /// How often a team matched on the first pair.
    pub perfect_rounds: BTreeMap<TeamId, usize>,
    /// What only games of this mode have.
    pub of_mode: ModeStats,
}

/// What only games of a mode have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeStats {
    /// Of [`Mode::TwoPlayer`].
    TwoPlayer {
        /// The pairs that matched.
        successful: u32,
        /// The pairs that did not.
        failed: u32,
        /// Attempts for each round.
        average_guesses: f64,
        /// Milliseconds for each attempt.
        average_guess_ms: f64,
    },
    /// Of [`Mode::Knockout`] and [`Mode::Longform`].
    Knockout {
        /// Who went in each round, in this order.
        eliminations: BTreeMap<u32, Vec<Elimination>>,
    },
    /// Of [`Mode::Race`].
    Race {
        /// The matches of each team in a minute; 0 in a race that took no time.
        matches_a_minute: BTreeMap<TeamId, f64>,
        /// Milliseconds for each match, of each team that matched.
        average_match_ms: BTreeMap<TeamId, f64>,
    },
    /// Of [`Mode::GolfRace`].
    GolfRace {
        /// Points for each round that was played to its end.
        points_a_round: BTreeMap<TeamId, f64>,
        /// The round with the most points; of several the one with the fewest guesses, then the fastest.
        best_round: Option<(TeamId, RoundResult)>,
    },
}

impl GameStats {
    /// The statistics of a game; `None` of one that is not over, or has no result.
    #[must_use]
    pub fn of(game: &Game) -> Option<GameStats> {
        if game.phase() != Phase::Completed {
            return None;
        }
        let duration_ms = game.finished.saturating_sub(game.started);
        let is_perfect = |round: &&RoundResult| round.is_match && round.guess_count == 1;
        Some(GameStats {
            mode: game.mode(),
            duration_ms,
            total_guesses: game.sides().map(|side| u64::from(side.total_guesses)).sum(),
            player_count: game.players().len(),
            team_count: game.teams().len(),
            rounds: game.sides().map(Side::round).max().unwrap_or(0),
            winners: game.winners().to_vec(),
            teams: by_team(game, Side::standing),
            perfect_rounds: by_team(game, |side| side.rounds().iter().filter(is_perfect).count()),
            of_mode: ModeStats::of(game, duration_ms),
        })
    }
}

impl ModeStats {
    fn of(game: &Game, duration_ms: u64) -> ModeStats {
        match game.mode() {
            Mode::TwoPlayer => {
                let sum = |of: fn(&Side) -> u32| game.sides().map(of).fold(0, u32::saturating_add);
                let (matches, guesses) = (sum(Side::matches), sum(Side::total_guesses));
                ModeStats::TwoPlayer {
                    successful: matches,
                    failed: guesses.saturating_sub(matches),
                    average_guesses: average(guesses.into(), matches),
                    average_guess_ms: average(duration_ms, guesses),
                }
            }
            Mode::Knockout | Mode::Longform => {
                let mut eliminations: BTreeMap<u32, Vec<Elimination>> = BTreeMap::new();
                for elimination in game.eliminations() {
                    eliminations.entry(elimination.round_number).or_default().push(*elimination);
                }
                ModeStats::Knockout { eliminations }
            }
            Mode::Race => {
                let minutes = average(duration_ms, 60_000);
                let a_minute = |matches: u32| if duration_ms == 0 { 0.0 } else { f64::from(matches) / minutes };
                let match_ms = |side: &Side| {
                    let matches = side.rounds().iter().filter(|round| round.is_match);
                    matches.map(|round| round.duration).fold(0, u64::saturating_add)
                };
                let matched = game.sides().filter(|side| 0 < side.matches());
                ModeStats::Race {
                    matches_a_minute: by_team(game, |side| a_minute(side.matches())),
                    average_match_ms: matched
                        .map(|side| (side.team, average(match_ms(side), side.matches())))
                        .collect(),
                }
            }
            Mode::GolfRace => {
                let rounds = game.sides().flat_map(|side| side.rounds().iter().map(|round| (side.team, *round)));
                let key =
                    |(_, of): &(TeamId, RoundResult)| (of.points, std::cmp::Reverse((of.guess_count, of.duration)));
                ModeStats::GolfRace {
                    points_a_round: by_team(game, points_a_round),
                    best_round: rounds.max_by_key(key),
                }
            }
        }
    }
}

fn by_team<T>(game: &Game, of: impl Fn(&Side) -> T) -> BTreeMap<TeamId, T> {
    game.sides().map(|side| (side.team(), of(side))).collect()
}

fn points_a_round(side: &Side) -> f64 {
    let rounds = u32::try_from(side.rounds().len()).unwrap_or(u32::MAX);
    let points = average(side.score().unsigned_abs(), rounds);
    if side.score() < 0 { -points } else { points }
}
