//! Rounds begin and end, and teams go.

use super::{PlayerStats, TeamScore, of_a_game};
use crate::game::{PlayerId, TeamId, WordPair};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

of_a_game! {
    /// A round begins for some teams: in a race for one, else for all that are left.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct RoundStarted {
        /// Its number: in a race that of the team, else that of the game.
        pub round_number: u32,
        /// How each team enters it, and with which words.
        pub team_states: BTreeMap<TeamId, TeamRoundState>,
    }
}

/// How a team enters a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamRoundState {
    /// Who plays.
    pub active_players: Vec<PlayerId>,
    /// The points so far.
    pub score: i64,
    /// The matches so far.
    pub matches: u32,
    /// The attempts so far.
    pub total_guesses: u32,
    /// Attempts for each match so far; 0 without a match.
    pub average_guesses: f64,
    /// How many attempts it has in this round, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_guesses: Option<u32>,
    /// The words that are dealt to it.
    pub words: WordPair,
}

of_a_game! {
    /// A round has ended.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct RoundCompleted {
        /// Its number.
        pub round_number: u32,
        /// Whose round it was, where it was one team's alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub team_id: Option<TeamId>,
        /// Who was best, if anybody matched: the fewest guesses, then the earlier match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub winner_team_id: Option<TeamId>,
        /// The points of whoever was best, or of the team whose round it was.
        pub round_score: i64,
        /// What the players did so far.
        pub round_stats: BTreeMap<PlayerId, PlayerStats>,
    }
}

of_a_game! {
    /// The clock of a knockout round runs.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct KnockoutRoundStarted {
        /// Its number.
        pub round_number: u32,
        /// Who is left.
        pub team_ids: Vec<TeamId>,
        /// How many milliseconds there are.
        pub limit_ms: u64,
    }
}

of_a_game! {
    /// A team is out.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct TeamEliminated {
        /// In which round.
        pub round_number: u32,
        /// The team.
        pub team_id: TeamId,
        /// Why.
        pub reason: EliminationReason,
        /// Its guess count in that round.
        pub guess_count: u32,
        /// Where it stands.
        pub final_state: TeamScore,
        /// Its points.
        pub final_score: i64,
        /// Of those that are forced out together, which it was: 1 for the one with the most guesses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub round_position: Option<u32>,
    }
}

/// Why a team is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EliminationReason {
    /// It had all its attempts.
    GuessLimit,
    /// It had not matched when the time was up.
    TimeExpired,
    /// It had more guesses than the others.
    ForcedElimination,
    /// It left.
    Forfeit,
}

/// A team that went in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EliminatedTeam {
    /// The team.
    pub team_id: TeamId,
    /// Why.
    pub reason: EliminationReason,
    /// Its points.
    pub final_score: i64,
}

of_a_game! {
    /// A round of a knockout has ended.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct KnockoutRoundCompleted {
        /// Its number.
        pub round_number: u32,
        /// Who went in it, in this order.
        pub eliminated_teams: Vec<EliminatedTeam>,
        /// Who is left, and where they stand.
        pub advancing_teams: BTreeMap<TeamId, TeamScore>,
        /// For how many milliseconds it was played.
        pub round_duration: u64,
    }
}

of_a_game! {
    /// The time of a race is up.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct RaceModeTimeExpired {
        /// The highest round of any team.
        pub round_number: u32,
        /// Where every team stands.
        pub final_matches: BTreeMap<TeamId, TeamScore>,
        /// For how many milliseconds it was played.
        pub game_duration: u64,
    }
}

of_a_game! {
    /// The time of a golf race is up.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GolfRaceTimeExpired {
        /// The highest round of any team.
        pub round_number: u32,
        /// Where every team stands.
        pub final_matches: BTreeMap<TeamId, TeamScore>,
        /// The points of every team.
        pub points: BTreeMap<TeamId, i64>,
        /// For how many milliseconds it was played.
        pub game_duration: u64,
    }
}

of_a_game! {
    /// A day of a longform game has ended.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct LongformDayEnded {
        /// The round that it was.
        pub round_number: u32,
        /// The day, from 1.
        pub day_number: u32,
        /// Where every team stands that was in it.
        pub team_standings: BTreeMap<TeamId, TeamScore>,
        /// Who goes, in this order.
        pub eliminated_teams: Vec<TeamId>,
        /// How many milliseconds it lasted.
        pub day_duration: u64,
    }
}
