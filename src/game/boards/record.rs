//! What a player or a team has come to, over all time.

use super::folding::Boards;
use super::period::Period;
use super::ranking::{Board, Contender, Tally};
use super::summary::{CameAs, GameSummary, MatchedRounds, TeamResult};
use crate::game::{GameId, GuildId, Mode, Moment, PlayerId, TeamId};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a player has come to. "Games, wins, win rate, average score, best partner", and how well they guess.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlayerRecord {
    /// The player.
    pub player: PlayerId,
    /// What they are called now.
    pub name: Option<String>,
    /// Games, wins, points, guesses and matches; rates and averages follow from them.
    pub tally: Tally,
    /// Their place among the players of the guild, of all time; none over several guilds.
    pub place: Option<usize>,
    /// The most points of their team in a game.
    pub best_score: i64,
    /// The attempts that they abandoned: gave up, or left behind.
    pub abandoned: u64,
    /// Of all with whom they completed a game, the one whose pair with them is worth most by [`Tally`]; of several the lowest
    /// id.
    pub best_partner: Option<PlayerId>,
    /// When their last game was finished.
    pub last_played_at: Moment,
}

/// What a team of a guild has come to in the games that it began as one. "Games, wins, average score, best game, current win
/// streak, server ranking", and "team efficiency: guesses per match per mode, perfect rounds, best/worst round".
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TeamRecord {
    /// The team.
    pub team: TeamId,
    /// What it is called now, or was when it was one last.
    pub name: Option<String>,
    /// Games, wins, points, guesses and matches; rates and averages follow from them.
    pub tally: Tally,
    /// Its place among the teams of the guild, of all time.
    pub place: Option<usize>,
    /// How many games it has won since it last did not.
    pub win_streak: u64,
    /// The game with the most points; of several the one with the fewest guesses, then the first.
    pub best_game: Option<BestGame>,
    /// What it has come to in each mode that it played: guesses for each match follow from it.
    pub by_mode: BTreeMap<Mode, Tally>,
    /// Its rounds that ended with a match: how many were perfect, the best and the worst.
    pub rounds: MatchedRounds,
}

/// The best game of a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BestGame {
    /// The game.
    pub game_id: GameId,
    /// How it was played.
    pub mode: Mode,
    /// The points.
    pub score: i64,
    /// The attempts it took.
    pub guesses: u32,
}

/// A game, and what somebody came to in it.
type Part<'a> = (&'a GameSummary, &'a TeamResult);

impl Boards {
    /// What a player has come to in a guild; `None` of one who has completed no game there.
    #[must_use]
    pub fn player(&self, guild: GuildId, player: PlayerId) -> Option<PlayerRecord> {
        let mut record = self.record(player, self.parts(guild, player))?;
        record.place = self.place(guild, Board::Players, Contender::Player(player));
        Some(record)
    }

    /// What a player has come to over all guilds, the one thing that can be asked for beyond one; `None` of one who has
    /// completed no game.
    #[must_use]
    pub fn player_everywhere(&self, player: PlayerId) -> Option<PlayerRecord> {
        self.record(player, self.guilds().flat_map(|guild| self.parts(guild, player)))
    }

    /// What a team has come to; `None` of two who have completed no game that they began as a team of the guild.
    #[must_use]
    pub fn team(&self, guild: GuildId, team: TeamId) -> Option<TeamRecord> {
        let games = self.completed(guild, Period::All, Moment::MAX);
        let parts = games.filter_map(|game| Some((game, game.result(team)?)));
        let mut record = TeamRecord {
            team,
            name: self.team_name(guild, team).map(str::to_owned),
            tally: Tally::default(),
            place: self.place(guild, Board::Teams, Contender::Team(team)),
            win_streak: 0,
            best_game: None,
            by_mode: BTreeMap::new(),
            rounds: MatchedRounds::default(),
        };
        for (game, result) in parts.filter(|(_, result)| result.came_as == CameAs::Team) {
            record.add(game, result);
        }
        (0 < record.tally.games).then_some(record)
    }

    fn place(&self, guild: GuildId, board: Board, who: Contender) -> Option<usize> {
        let mut ranking = self.ranking(guild, board, Period::All, Moment::MAX);
        ranking.find(|(_, other, _)| *other == who).map(|(place, ..)| place)
    }

    /// The games in a guild that a player has completed, in the order in which they ended.
    fn parts(&self, guild: GuildId, player: PlayerId) -> impl Iterator<Item = Part<'_>> {
        self.completed(guild, Period::All, Moment::MAX).filter_map(move |game| {
            let result = game.results.iter().find(|result| result.team.has(player))?;
            Some((game, result))
        })
    }

    fn record<'a>(&self, player: PlayerId, parts: impl Iterator<Item = Part<'a>>) -> Option<PlayerRecord> {
        let mut record = PlayerRecord {
            player,
            name: self.player_name(player).map(str::to_owned),
            tally: Tally::default(),
            place: None,
            best_score: i64::MIN,
            abandoned: 0,
            best_partner: None,
            last_played_at: Moment::default(),
        };
        let mut partners: BTreeMap<PlayerId, Tally> = BTreeMap::new();
        for (game, result) in parts {
            let (team, is_won) = (result.team, game.is_won_by(result.team));
            for ((of, tally), did) in team.players().into_iter().zip(result.of_players()).zip(&result.players) {
                if of == player {
                    record.tally.add(&tally, is_won);
                    record.abandoned = record.abandoned.saturating_add(did.abandoned.into());
                }
            }
            record.best_score = record.best_score.max(result.score);
            record.last_played_at = record.last_played_at.max(game.end());
            partners.entry(team.partner(player)).or_default().add(&result.of_team(), is_won);
        }
        // Of those that are level the first is taken, which has the lowest id.
        let best = partners.iter().rev().max_by(|(_, one), (_, other)| one.worth(other));
        record.best_partner = best.map(|(partner, _)| *partner);
        record.best_partner.map(|_| record)
    }
}

impl TeamRecord {
    /// Takes in the next game.
    fn add(&mut self, game: &GameSummary, result: &TeamResult) {
        let is_won = game.is_won_by(self.team);
        self.tally.add(&result.of_team(), is_won);
        self.by_mode.entry(game.mode).or_default().add(&result.of_team(), is_won);
        self.win_streak = if is_won { self.win_streak.saturating_add(1) } else { 0 };
        self.rounds.add(&result.rounds);
        let (score, guesses) = (result.score, result.guesses);
        let is_better = |best: &BestGame| (best.score, guesses) < (score, best.guesses);
        if self.best_game.as_ref().is_none_or(is_better) {
            self.best_game = Some(BestGame { game_id: game.game_id, mode: game.mode, score, guesses });
        }
    }
}
