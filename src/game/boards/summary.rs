//! A game in a few lines: what is kept of it when it is over.

use crate::game::{
    GameCompleted, GameCreated, GameId, GuessProcessed, GuildId, Mode, Moment, PlayerId, PlayerStats, ReplayName,
    TeamId, TeamScore,
};
use serde::{Deserialize, Serialize};

/// A game in a few lines: who played, how far it is, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameSummary {
    /// The game.
    pub game_id: GameId,
    /// The guild it belongs to.
    pub guild_id: GuildId,
    /// How it is played.
    pub mode: Mode,
    /// How far it is.
    pub status: GameStatus,
    /// Who opened it.
    pub created_by: PlayerId,
    /// When.
    pub created_at: Moment,
    /// When it began, if it has.
    pub started_at: Option<Moment>,
    /// When it ended, with a result or without.
    pub finished_at: Option<Moment>,
    /// The teams, in the order in which they came.
    pub team_ids: Vec<TeamId>,
    /// Who won: nobody, one team, or several.
    pub winners: Vec<TeamId>,
    /// What each team came to, by their ids; of a game without a result, nothing.
    pub results: Vec<TeamResult>,
    /// How many rounds were played: of a race, those of all teams together.
    pub total_rounds: u32,
    /// For how many milliseconds it was played, pauses left out.
    pub duration_ms: u64,
    /// The name by which it can be looked at again.
    pub replay: Option<ReplayName>,
}

/// How far a game is. "Created | active | completed", and cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GameStatus {
    /// Players come and go.
    Created,
    /// It is played.
    Active,
    /// It has a result.
    Completed,
    /// It ended without one, and counts for nothing.
    Cancelled,
}

/// What two players came to in a game.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamResult {
    /// The two.
    pub team: TeamId,
    /// What they were to each other when the game began.
    pub came_as: CameAs,
    /// The points.
    pub score: i64,
    /// The matches.
    pub matches: u32,
    /// The attempts that count: pairs that were compared, and pairs that were given up.
    pub guesses: u32,
    /// What each of them did, in the order of the team.
    pub players: [PlayerResult; 2],
    /// Their rounds that ended with a match.
    pub rounds: MatchedRounds,
}

/// What two players were to each other when a game began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameAs {
    /// A team of the guild: one had asked the other, and neither had left.
    Team,
    /// Two who played together.
    Pair,
}

/// What a player did in a game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerResult {
    /// The words of this player that were compared.
    pub guesses: u32,
    /// Those that matched.
    pub matches: u32,
    /// The attempts that this player abandoned.
    pub abandoned: u32,
}

/// The rounds of a team that ended with a match, in brief.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedRounds {
    /// How many were perfect: "match on the first pair (guess count 1)".
    pub perfect: u32,
    /// The one with the fewest guesses; of several the fastest.
    pub best: Option<MatchedRound>,
    /// The one with the most guesses; of several the slowest.
    pub worst: Option<MatchedRound>,
}

/// A round that ended with a match. Fewer guesses are less, then less time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MatchedRound {
    /// How many guesses it took.
    pub guess_count: u32,
    /// How many milliseconds.
    pub duration_ms: u64,
    /// Which round it was.
    pub round_number: u32,
}

impl GameSummary {
    pub(super) fn new(of: &GameCreated) -> GameSummary {
        GameSummary {
            game_id: of.base.game_id,
            guild_id: of.base.guild_id,
            mode: of.base.mode,
            status: GameStatus::Created,
            created_by: of.created_by,
            created_at: of.created_at,
            started_at: None,
            finished_at: None,
            team_ids: of.team_ids.clone(),
            winners: Vec::new(),
            results: Vec::new(),
            total_rounds: 0,
            duration_ms: 0,
            replay: None,
        }
    }

    /// Takes in how it ended.
    pub(super) fn complete(&mut self, of: &GameCompleted, result: impl Fn(TeamId, &TeamScore) -> TeamResult) {
        self.status = GameStatus::Completed;
        self.finished_at = Some(of.finished_at);
        self.winners.clone_from(&of.winners);
        self.results = of.final_scores.iter().map(|(team, score)| result(*team, score)).collect();
        self.total_rounds = of.total_rounds;
        self.duration_ms = of.game_duration;
    }

    /// What two players came to in it.
    #[must_use]
    pub fn result(&self, team: TeamId) -> Option<&TeamResult> {
        self.results.iter().find(|result| result.team == team)
    }

    /// When it ended, or the beginning of time.
    pub(super) fn end(&self) -> Moment {
        self.finished_at.unwrap_or_default()
    }

    /// Whether a team has won it. Of several winners each has.
    pub(super) fn is_won_by(&self, team: TeamId) -> bool {
        self.winners.contains(&team)
    }

    /// Whether a player is, or was, in one of its teams.
    #[must_use]
    pub fn has(&self, player: PlayerId) -> bool {
        self.team_ids.iter().any(|team| team.has(player))
    }
}

impl TeamResult {
    pub(super) fn new(team: TeamId, score: &TeamScore, came_as: CameAs, rounds: MatchedRounds) -> TeamResult {
        let of = |player| score.player_stats.get(&player).copied().unwrap_or_default();
        let players = team.players().map(|player| PlayerResult::from(of(player)));
        let TeamScore { score, matches, total_guesses: guesses, .. } = *score;
        TeamResult { team, came_as, score, matches, guesses, players, rounds }
    }
}

impl From<PlayerStats> for PlayerResult {
    fn from(of: PlayerStats) -> PlayerResult {
        let (guesses, matches) = (of.total_guesses, of.successful_matches);
        PlayerResult { guesses, matches, abandoned: of.abandoned_guesses }
    }
}

impl MatchedRounds {
    /// Takes in a pair of words that matched.
    pub(super) fn matched(&mut self, of: &GuessProcessed) {
        let GuessProcessed { guess_count, round_number, guess_duration: duration_ms, .. } = *of;
        let round = MatchedRound { guess_count, duration_ms, round_number };
        let perfect = u32::from(guess_count == 1);
        self.add(&MatchedRounds { perfect, best: Some(round), worst: Some(round) });
    }

    /// Takes in those of another game.
    pub(super) fn add(&mut self, others: &MatchedRounds) {
        self.perfect = self.perfect.saturating_add(others.perfect);
        self.best = self.best.into_iter().chain(others.best).min();
        self.worst = self.worst.max(others.worst);
    }
}
