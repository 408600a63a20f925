//! `leaderboard`: who is ahead in a guild.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::moment;
use crate::cli::output::Row;
use scorebook::game::{Board, Boards, Contender, GuildId, Moment, Period, Ranked};
use scorebook::{EventStore, Timestamp};
use serde_json::json;
use std::time::SystemTime;

/// Who is ahead in a guild, in the word game.
///
/// By wins, then by wins for each game, then by points; who is level shares a place. Only completed games count, at the time
/// they ended by the bot's clock; weeks begin on Monday and months on the first, at midnight in UTC, and a day is the last 24
/// hours. A team is two who have asked each other and began the game as one, a pair any two who played together.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The id of the guild
    guild: GuildId,
    /// Who is on it
    #[arg(long, value_enum, default_value_t = By::Player)]
    by: By,
    /// Which games count
    #[arg(long = "for", value_enum, default_value_t = For::All, value_name = "PERIOD")]
    period: For,
    /// How many lines at most
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// As it stood then: an RFC 3339 time, a date, or an age such as 2h [default: now, or the end of the last game where that
    /// is later]
    #[arg(long, value_name = "TIME")]
    at: Option<moment::Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Player,
    /// Two who began the game as a team of the guild
    Team,
    /// Any two who played together
    Pair,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum For {
    /// The last 24 hours
    Day,
    /// Since Monday
    Week,
    /// Since the first
    Month,
    All,
}

type Columns = [&'static str; 7];

const PLAYERS: Columns = ["place", "won", "games", "rate", "points", "matches", "player"];
const TEAMS: Columns = ["place", "won", "games", "rate", "points", "matches", "team"];
const PAIRS: Columns = ["place", "won", "games", "rate", "points", "matches", "pair"];

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let (board, columns) = match arguments.by {
        By::Player => (Board::Players, &PLAYERS),
        By::Team => (Board::Teams, &TEAMS),
        By::Pair => (Board::Pairs, &PAIRS),
    };
    let period = match arguments.period {
        For::Day => Period::Day,
        For::Week => Period::Week,
        For::Month => Period::Month,
        For::All => Period::All,
    };
    let store = tool.open_read_only()?;
    let lines = lines(&store, arguments, board, period)?;
    let mut output = tool.output();
    let mut list = output.list(columns);
    let outcome = lines.iter().try_for_each(|line| list.push(line));
    list.finish()?;
    outcome
}

fn lines(store: &EventStore, arguments: &Arguments, board: Board, period: Period) -> Result<Vec<Line>, Failure> {
    let Arguments { guild, at, limit, .. } = *arguments;
    let lines = store.projection::<Boards>()?.read_at(store.head()?, |boards| {
        let moment = at.map_or_else(|| latest(boards, guild), |moment::Moment(time)| Moment::from(time));
        let ranked = boards.leaderboard(guild, board, period, moment, limit);
        let shown: Vec<_> = ranked.iter().map(|of| shown(boards, of)).collect();
        let is_only = |name: &String| shown.iter().filter(|other| *other == name).count() == 1;
        let told = |(ranked, name): (Ranked, &String)| {
            let shown = if is_only(name) { name.clone() } else { format!("{name} ({})", id(ranked.who)) };
            Line { ranked, shown }
        };
        ranked.into_iter().zip(&shown).map(told).collect()
    })?;
    Ok(lines)
}

/// Now, or when the last game ended: a bot may have another clock.
fn latest(boards: &Boards, guild: GuildId) -> Moment {
    let last = boards.history(guild, None, None, 1).games.first().and_then(|game| game.finished_at);
    Moment::from(Timestamp::from(SystemTime::now())).max(last.unwrap_or_default())
}

/// What somebody is called who is on a board.
fn shown(boards: &Boards, of: &Ranked) -> String {
    let player = |player| boards.player_name(player).map_or_else(|| format!("player {player}"), str::to_owned);
    match of.who {
        Contender::Player(who) => player(who),
        Contender::Team(team) => of.name.clone().unwrap_or_else(|| team.to_string()),
        Contender::Pair(team) => team.players().map(player).join(" and "),
    }
}

fn id(who: Contender) -> String {
    match who {
        Contender::Player(player) => player.to_string(),
        Contender::Team(team) | Contender::Pair(team) => team.to_string(),
    }
}

/// A line of a leaderboard, and what whoever is on it is called, so that nobody else is.
struct Line {
    ranked: Ranked,
    shown: String,
}

impl Row for Line {
    fn cells(&self) -> Vec<String> {
        let Ranked { place, tally, .. } = &self.ranked;
        vec![
            place.to_string(),
            tally.wins.to_string(),
            tally.games.to_string(),
            format!("{:.0} %", 100.0 * tally.win_rate()),
            tally.score.to_string(),
            tally.matches.to_string(),
            self.shown.clone(),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let Ranked { place, who, name, tally } = &self.ranked;
        let key = match who {
            Contender::Player(_) => "player",
            Contender::Team(_) => "team",
            Contender::Pair(_) => "pair",
        };
        let value = json!({
            "place": place, key: id(*who), "name": name,
            "games": tally.games, "wins": tally.wins, "win_rate": tally.win_rate(),
            "score": tally.score, "average_score": tally.average_score(),
            "guesses": tally.guesses, "matches": tally.matches, "accuracy": tally.accuracy(),
        });
        *line = value.to_string();
        Ok(())
    }
}
