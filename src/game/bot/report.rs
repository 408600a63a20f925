//! What was looked up in the boards, and how it is told.

use super::message::{At, both, words};
use crate::game::{
    Board, Contender, GameStatus, GameSummary, HistoryPage, Period, PlayerId, PlayerRecord, Ranked, TeamId, TeamRecord,
};
use std::fmt;

/// What was looked up. [`Display`](fmt::Display) puts it into words, with players as Discord mentions them.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// What a player has come to.
    Player {
        /// The player.
        player: PlayerId,
        /// None of one who has completed no game.
        record: Option<PlayerRecord>,
    },
    /// What a team has come to.
    Team {
        /// The team.
        team: TeamId,
        /// None of one that has completed no game.
        record: Option<TeamRecord>,
    },
    /// Who is ahead.
    Leaderboard {
        /// Among whom.
        board: Board,
        /// In what time.
        period: Period,
        /// The first of them.
        lines: Vec<Ranked>,
    },
    /// Games that are over.
    History(HistoryPage),
    /// A game.
    Game(Box<GameSummary>),
    /// Games that are not over.
    ActiveGames(Vec<GameSummary>),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Player { player, record: None } => write!(f, "{} has completed no game yet.", At(*player)),
            Report::Player { record: Some(record), .. } => of_player(f, record),
            Report::Team { team, record: None } => write!(f, "{} have completed no game as a team yet.", both(*team)),
            Report::Team { record: Some(record), .. } => of_team(f, record),
            Report::Leaderboard { period, lines, .. } if lines.is_empty() => {
                let since = if *period == Period::All { "yet" } else { time_of(*period) };
                write!(f, "Nobody has completed a game {since}.")
            }
            Report::Leaderboard { board, period, lines } => {
                let among = match board {
                    Board::Players => "players",
                    Board::Teams => "teams",
                    Board::Pairs => "pairs",
                };
                write!(f, "The best {among} {}:", time_of(*period))?;
                lines.iter().try_for_each(|ranked| write!(f, "\n{ranked}"))
            }
            Report::History(page) if page.games.is_empty() => f.write_str("No game is over."),
            Report::History(page) => {
                in_lines(f, &page.games)?;
                page.next.iter().try_for_each(|next| write!(f, "\nBefore them: history {next}"))
            }
            Report::Game(game) => game.fmt(f),
            Report::ActiveGames(games) if games.is_empty() => f.write_str("Nobody plays."),
            Report::ActiveGames(games) => in_lines(f, games),
        }
    }
}

fn in_lines(f: &mut fmt::Formatter<'_>, games: &[GameSummary]) -> fmt::Result {
    let mut gap = "";
    games.iter().try_for_each(|game| write!(f, "{}{game}", std::mem::replace(&mut gap, "\n")))
}

fn time_of(period: Period) -> &'static str {
    match period {
        Period::Day => "in the last 24 hours",
        Period::Week => "this week",
        Period::Month => "this month",
        Period::All => "of all time",
    }
}

fn of_player(f: &mut fmt::Formatter<'_>, record: &PlayerRecord) -> fmt::Result {
    let tally = &record.tally;
    write!(f, "{} has completed {}", At(record.player), counted(tally.games, "game"))?;
    write!(
        f,
        " and won {} ({}), with {:.1} points each.",
        tally.wins,
        percent(tally.win_rate()),
        tally.average_score()
    )?;
    write!(f, "\n{} of {} matched ({})", tally.matches, counted(tally.guesses, "word"), percent(tally.accuracy()))?;
    write!(f, ", {} abandoned.", counted(record.abandoned, "attempt"))?;
    if let Some(partner) = record.best_partner {
        write!(f, "\nBest with {}.", At(partner))?;
    }
    record.place.iter().try_for_each(|place| write!(f, "\nPlace {place} of the players."))
}

fn of_team(f: &mut fmt::Formatter<'_>, record: &TeamRecord) -> fmt::Result {
    let tally = &record.tally;
    let name = record.name.as_deref().unwrap_or("A team");
    write!(f, "{name} ({}) have completed {}", both(record.team), counted(tally.games, "game"))?;
    write!(
        f,
        " and won {} ({}), with {:.1} points each.",
        tally.wins,
        percent(tally.win_rate()),
        tally.average_score()
    )?;
    if 1 < record.win_streak {
        write!(f, "\nThey have won the last {}.", record.win_streak)?;
    }
    if let Some(best) = &record.best_game {
        write!(f, "\nTheir best game: {} in a {} game.", points(best.score), words(best.mode.name()))?;
    }
    for (mode, tally) in record.by_mode.iter().filter(|(_, tally)| 0 < tally.matches) {
        write!(f, "\n{}: {:.1} guesses a match.", words(mode.name()), tally.guesses_a_match())?;
    }
    write!(f, "\n{}", counted(record.rounds.perfect.into(), "perfect round"))?;
    if let Some((best, worst)) = record.rounds.best.zip(record.rounds.worst) {
        write!(f, "; a match at attempt {} at best and {} at worst", best.guess_count, worst.guess_count)?;
    }
    f.write_str(".")?;
    record.place.iter().try_for_each(|place| write!(f, "\nPlace {place} of the teams."))
}

impl fmt::Display for Ranked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. ", self.place)?;
        match (self.who, &self.name) {
            (Contender::Player(player), _) => write!(f, "{}", At(player))?,
            (Contender::Team(_), Some(name)) => f.write_str(name)?,
            (Contender::Team(team) | Contender::Pair(team), _) => f.write_str(&both(team))?,
        }
        let tally = &self.tally;
        write!(f, ": {} of {} won, {}", tally.wins, counted(tally.games, "game"), points(tally.score))
    }
}

impl fmt::Display for GameSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.replay {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{}", self.game_id)?,
        }
        write!(f, ": {}, ", words(self.mode.name()))?;
        let teams = |teams: &[TeamId]| teams.iter().map(|team| both(*team)).collect::<Vec<_>>().join(", ");
        match self.status {
            GameStatus::Created if self.team_ids.is_empty() => f.write_str("waits for players"),
            GameStatus::Created => write!(f, "waits to begin: {}", teams(&self.team_ids)),
            GameStatus::Active => write!(f, "is played by {}", teams(&self.team_ids)),
            GameStatus::Cancelled => f.write_str("cancelled"),
            GameStatus::Completed if self.winners.is_empty() => f.write_str("nobody has won"),
            GameStatus::Completed => {
                let score = |team: &TeamId| self.result(*team).map_or(0, |result| result.score);
                let best = self.winners.iter().map(score).max().unwrap_or_default();
                write!(f, "won by {}, {}", teams(&self.winners), points(best))
            }
        }
    }
}

fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

fn points(score: i64) -> String {
    format!("{score} point{}", if score == 1 { "" } else { "s" })
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}
