//! Who is ahead.

use super::folding::{Boards, Ended};
use super::period::Period;
use super::summary::{CameAs, GameStatus, GameSummary, TeamResult};
use crate::game::{GuildId, Moment, PlayerId, TeamId};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// Who is on a leaderboard. "Players | teams | pairs".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Board {
    /// Everybody for themselves, with whatever partner they played.
    Players,
    /// Teams of the guild, with the games that they began as one. What they won as a team stays theirs when they are none any
    /// more, and what they played together before, or afterwards, is only their pair's.
    Teams,
    /// Any two who have played together, as a team of the guild or teamed by chance, with all games that they did.
    Pairs,
}

/// Somebody on a leaderboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// A player.
    Player(PlayerId),
    /// A team of the guild.
    Team(TeamId),
    /// Two who have played together.
    Pair(TeamId),
}

/// What somebody has come to in some games. Sums stop at what a number can hold.
///
/// It is worth more with more wins; then with more wins for each game; then with more points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The games that count.
    pub games: u64,
    /// Those that were won.
    pub wins: u64,
    /// The points of the team, together.
    pub score: i64,
    /// Of a player, the words that were compared; of two, the attempts that count: pairs of words that were compared, and
    /// pairs that were given up.
    pub guesses: u64,
    /// The matches.
    pub matches: u64,
}

/// A line of a leaderboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ranked {
    /// From 1. Whose tallies are worth the same share a place, and the next one is as far behind as there are of them.
    pub place: usize,
    /// Who.
    pub who: Contender,
    /// What they are called now: of a pair, what their team is called, if they ever were one.
    pub name: Option<String>,
    /// What they have come to.
    pub tally: Tally,
}

impl Board {
    /// All there are.
    pub const ALL: [Board; 3] = [Board::Players, Board::Teams, Board::Pairs];

    /// The name in commands: that of one on it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Board::Players => "player",
            Board::Teams => "team",
            Board::Pairs => "pair",
        }
    }

    /// The board with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Board> {
        Board::ALL.into_iter().find(|board| board.name() == name)
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Boards {
    /// The first so many of a guild, by what they came to in a period that ends with a moment: by [`Tally`], then by their ids.
    /// Who completed no game in it is not on it.
    #[must_use]
    pub fn leaderboard(
        &self,
        guild: GuildId,
        board: Board,
        period: Period,
        moment: Moment,
        limit: usize,
    ) -> Vec<Ranked> {
        let ranking = self.ranking(guild, board, period, moment);
        let named = |(place, who, tally)| Ranked { place, who, name: self.name_of(guild, who), tally };
        ranking.take(limit).map(named).collect()
    }

    /// Everybody on a board, in order, with their places.
    pub(super) fn ranking(
        &self,
        guild: GuildId,
        board: Board,
        period: Period,
        moment: Moment,
    ) -> impl Iterator<Item = (usize, Contender, Tally)> {
        let mut tallies: BTreeMap<Contender, Tally> = BTreeMap::new();
        for game in self.completed(guild, period, moment) {
            for result in &game.results {
                let is_won = game.is_won_by(result.team);
                on_board(board, result, |who, tally| tallies.entry(who).or_default().add(&tally, is_won));
            }
        }
        let mut ranking: Vec<_> = tallies.into_iter().collect();
        // Those who are level stay in the order of their ids.
        ranking.sort_by(|(_, one), (_, other)| other.worth(one));
        let mut last = None;
        ranking.into_iter().zip(1..).map(move |((who, tally), number)| {
            let level = last.filter(|(_, ahead): &(usize, Tally)| tally.worth(ahead) == Ordering::Equal);
            let place = level.map_or(number, |(place, _)| place);
            last = Some((place, tally));
            (place, who, tally)
        })
    }

    /// The games of a guild that count in a period, in the order in which they ended.
    pub(super) fn completed(
        &self,
        guild: GuildId,
        period: Period,
        moment: Moment,
    ) -> impl Iterator<Item = &GameSummary> {
        let ended: &[Ended] = self.ended(guild).as_slice();
        let (first, last) = period.until(moment).into_inner();
        let begin = ended.partition_point(|ended| ended.summary.end() < first);
        let end = ended.partition_point(|ended| ended.summary.end() <= last);
        let games = ended.get(begin..end).unwrap_or_default().iter().map(|ended| &ended.summary);
        games.filter(|game| game.status == GameStatus::Completed)
    }

    fn name_of(&self, guild: GuildId, who: Contender) -> Option<String> {
        let name = match who {
            Contender::Player(player) => self.player_name(player),
            Contender::Team(team) | Contender::Pair(team) => self.team_name(guild, team),
        };
        name.map(str::to_owned)
    }
}

/// For whom on a board a result counts, and what of it.
fn on_board(board: Board, result: &TeamResult, mut count: impl FnMut(Contender, Tally)) {
    let team = result.team;
    match board {
        Board::Players => {
            for (player, tally) in team.players().into_iter().zip(result.of_players()) {
                count(Contender::Player(player), tally);
            }
        }
        Board::Teams if result.came_as == CameAs::Team => count(Contender::Team(team), result.of_team()),
        Board::Teams => {}
        Board::Pairs => count(Contender::Pair(team), result.of_team()),
    }
}

impl TeamResult {
    /// What it is to the two together, whether they have won left out.
    pub(super) fn of_team(&self) -> Tally {
        let (guesses, matches) = (self.guesses.into(), self.matches.into());
        Tally { games: 1, wins: 0, score: self.score, guesses, matches }
    }

    /// What it is to each of the two: the points are those of the team.
    pub(super) fn of_players(&self) -> [Tally; 2] {
        self.players.map(|of| Tally { guesses: of.guesses.into(), matches: of.matches.into(), ..self.of_team() })
    }
}

impl Tally {
    /// Takes in a game.
    pub(super) fn add(&mut self, game: &Tally, is_won: bool) {
        self.games = self.games.saturating_add(game.games);
        self.wins = self.wins.saturating_add(u64::from(is_won));
        self.score = self.score.saturating_add(game.score);
        self.guesses = self.guesses.saturating_add(game.guesses);
        self.matches = self.matches.saturating_add(game.matches);
    }

    /// Which is worth more. Rates are compared as fractions, so that none is rounded.
    pub(super) fn worth(&self, other: &Tally) -> Ordering {
        let rate = |one: &Tally, other: &Tally| u128::from(one.wins) * u128::from(other.games);
        let by_rate = || rate(self, other).cmp(&rate(other, self));
        self.wins.cmp(&other.wins).then_with(by_rate).then_with(|| self.score.cmp(&other.score))
    }

    /// The part of the games that was won, from 0 to 1; 0 without a game.
    #[must_use]
    pub fn win_rate(&self) -> f64 {
        ratio(self.wins as f64, self.games)
    }

    /// Points for each game; 0 without a game.
    #[must_use]
    pub fn average_score(&self) -> f64 {
        ratio(self.score as f64, self.games)
    }

    /// The part of the guesses that matched, from 0 to 1; 0 without a guess.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.matches as f64, self.guesses)
    }

    /// Guesses for each match; 0 without a match.
    #[must_use]
    pub fn guesses_a_match(&self) -> f64 {
        ratio(self.guesses as f64, self.matches)
    }
}

fn ratio(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}
