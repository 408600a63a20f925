//! Where teams and players stand, and what a finished game looks like in numbers.

use super::attempt::Outcome;
use super::grid::Grid;
use super::names::Names;
use super::story::{Story, is_race};
use super::words;
use crate::cli::output::counted;
use scorebook::game::{AbandonReason, Game, GameConfig, GameStats, ModeStats, PlayerId, RoundResult, Side, TeamId};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Where a team stands.
#[derive(Serialize)]
pub(super) struct Standing {
    /// From 1; none as long as the game is not over, and where there is only one team.
    place: Option<usize>,
    team: TeamId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    has_won: bool,
    points: i64,
    matches: u32,
    guesses: u32,
    guesses_a_match: Option<f64>,
    perfect_rounds: usize,
    /// The round with the fewest guesses that ended with a match; of several the fastest.
    best_round: Option<RoundResult>,
    /// In which round it went, and why.
    out: Option<String>,
}

/// What a player did.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    /// The words that the player said.
    words: u32,
    /// For how many milliseconds the player thought about each, on average.
    average_ms: Option<u64>,
    /// How often both said a word, and how often this one was faster.
    compared: u32,
    faster: u32,
    gave_up: u32,
    #[serde(skip)]
    took_ms: u64,
}

/// The teams, the best first.
pub(super) fn standings(story: &Story, names: &Names) -> Vec<Standing> {
    let game = &story.game;
    let mut sides: Vec<&Side> = game.sides().collect();
    sides.sort_by(|one, other| order(game, one, other));
    let is_placed = story.ended.is_some() && 1 < sides.len() && GameStats::of(game).is_some();
    let place =
        |at: usize| 1 + sides[..at].iter().filter(|side| order(game, side, sides[at]) == Ordering::Less).count();
    let standing = |(at, side): (usize, &&Side)| Standing::of(game, side, is_placed.then(|| place(at)), names);
    sides.iter().enumerate().map(standing).collect()
}

/// Who won comes first, then who is in the game, then who went later; of these who has more points, then who needed fewer
/// guesses for each match.
fn order(game: &Game, one: &Side, other: &Side) -> Ordering {
    let is_loser = |side: &Side| !game.winners().contains(&side.team());
    let went = |side: &Side| game.eliminations().iter().position(|gone| gone.team == side.team()).unwrap_or(usize::MAX);
    let ratio = |side: &Side, by: &Side| match (side.matches(), by.matches()) {
        (0, _) => u64::from(by.matches().min(1)),
        _ => u64::from(side.total_guesses()) * u64::from(by.matches()),
    };
    let loses = is_loser(one).cmp(&is_loser(other));
    let later = went(other).cmp(&went(one));
    let scored = other.score().cmp(&one.score());
    loses.then(later).then(scored).then(ratio(one, other).cmp(&ratio(other, one)))
}

impl Standing {
    fn of(game: &Game, side: &Side, place: Option<usize>, names: &Names) -> Standing {
        let (team, score) = (side.team(), side.standing());
        let matched = || side.rounds().iter().filter(|round| round.is_match);
        let gone = game.eliminations().iter().find(|gone| gone.team == team);
        Standing {
            place,
            team,
            name: names.known_team(team).map(str::to_owned),
            has_won: game.winners().contains(&team),
            points: score.score,
            matches: score.matches,
            guesses: score.total_guesses,
            guesses_a_match: (score.matches != 0).then_some(score.average_guesses),
            perfect_rounds: matched().filter(|round| round.guess_count == 1).count(),
            best_round: matched().min_by_key(|round| (round.guess_count, round.duration)).copied(),
            out: gone.map(|gone| format!("round {}: {}", gone.round_number, words::out(gone.reason, gone.guess_count))),
        }
    }

    fn cells(self, names: &Names, stats: Option<&GameStats>) -> Vec<String> {
        let Standing { place, team, points, matches, guesses, perfect_rounds, .. } = self;
        let of_mode = stats.map(|stats| columns(team, &stats.of_mode)).unwrap_or_default();
        let mut cells = vec![
            place.map(|place| place.to_string()).unwrap_or_default(),
            names.team(team),
            points.to_string(),
            matches.to_string(),
            guesses.to_string(),
            self.guesses_a_match.map_or_else(|| "-".to_owned(), |average| format!("{average:.2}")),
            perfect_rounds.to_string(),
            self.best_round.map_or_else(|| "-".to_owned(), |round| best(&round)),
        ];
        cells.extend(of_mode);
        cells.push(self.out.unwrap_or_default());
        cells
    }
}

const COLUMNS: [&str; 11] = [
    "place",
    "team",
    "points",
    "matches",
    "guesses",
    "for a match",
    "perfect rounds",
    "best round",
    "in a minute",
    "on average",
    "out in",
];

/// What only games of a mode have, of one team: in each minute or round, and on average.
fn columns(team: TeamId, stats: &ModeStats) -> [String; 2] {
    match stats {
        ModeStats::Race { matches_a_minute, average_match_ms } => [
            matches_a_minute.get(&team).map(|matches| format!("{matches:.2} matches")).unwrap_or_default(),
            average_match_ms.get(&team).map(|ms| format!("{} a match", words::lasting(*ms as u64))).unwrap_or_default(),
        ],
        ModeStats::GolfRace { points_a_round, .. } => {
            let points = points_a_round.get(&team).map(|points| format!("{points:.2} points a round"));
            [String::new(), points.unwrap_or_default()]
        }
        ModeStats::TwoPlayer { .. } | ModeStats::Knockout { .. } => Default::default(),
    }
}

fn best(round: &RoundResult) -> String {
    let guesses = counted(round.guess_count.into(), "guess", "guesses");
    format!("{}: {guesses}, {}", round.round_number, words::lasting(round.duration))
}

/// What each player did, by player.
pub(super) fn tallies(story: &Story) -> BTreeMap<PlayerId, Tally> {
    let mut tallies: BTreeMap<PlayerId, Tally> =
        story.game.players().into_iter().map(|player| (player, Tally::default())).collect();
    let courses = story.chapters.iter().flat_map(|chapter| &chapter.courses);
    for attempt in courses.flat_map(|course| &course.attempts) {
        let faster = attempt.faster();
        for said in attempt.said.iter().flatten() {
            let tally = tallies.entry(said.player).or_default();
            tally.words += 1;
            tally.took_ms = tally.took_ms.saturating_add(said.took_ms);
            tally.compared += u32::from(faster.is_some());
            tally.faster += u32::from(faster.is_some_and(|(player, _)| player == Some(said.player)));
        }
        if let Outcome::Abandoned(AbandonReason::GaveUp, Some(player)) = attempt.outcome {
            tallies.entry(player).or_default().gave_up += 1;
        }
    }
    for tally in tallies.values_mut() {
        tally.average_ms = tally.took_ms.checked_div(tally.words.into());
    }
    tallies
}

/// The end of what is told: standings, players, and what is special about the mode.
pub(super) fn end(story: &Story, names: &Names, width_max: Option<usize>) -> Vec<String> {
    let stats = GameStats::of(&story.game);
    let mut lines = vec![if story.ended.is_some() { "Standings" } else { "Standings so far" }.to_owned()];
    let mut teams = Grid::new(COLUMNS);
    for standing in standings(story, names) {
        teams.row(standing.cells(names, stats.as_ref()));
    }
    lines.extend(teams.lines(2, width_max));
    lines.extend([String::new(), "Players".to_owned()]);
    let mut players = Grid::new(["player", "team", "words", "on average", "faster", "gave up"]);
    for (player, tally) in tallies(story) {
        let team = story.game.team_of(player).filter(|_| 1 < story.game.teams().len());
        players.row([
            names.player(player),
            team.map(|team| names.team(team)).unwrap_or_default(),
            tally.words.to_string(),
            tally.average_ms.map_or_else(|| "-".to_owned(), words::lasting),
            format!("{} of {}", tally.faster, tally.compared),
            if tally.gave_up == 0 { String::new() } else { tally.gave_up.to_string() },
        ]);
    }
    lines.extend(players.lines(2, width_max));
    lines.extend(stats.iter().flat_map(|stats| in_numbers(stats, &story.game, names)));
    lines
}

/// A finished game as a whole, and what is special about its mode.
fn in_numbers(stats: &GameStats, game: &Game, names: &Names) -> Vec<String> {
    let of_mode = match &stats.of_mode {
        ModeStats::TwoPlayer { successful, failed, average_guesses, average_guess_ms } => {
            let needed = match game.config() {
                GameConfig::TwoPlayer { success_threshold, .. } => format!(", at most {success_threshold} win"),
                _ => String::new(),
            };
            let took = words::lasting(*average_guess_ms as u64);
            Some(format!(
                "{successful} matched and {failed} did not: {average_guesses:.2} for a match{needed}; {took} for each"
            ))
        }
        ModeStats::GolfRace { best_round: Some((team, round)), .. } => {
            Some(format!("best round: {}, {} points in round {}", names.team(*team), round.points, best(round)))
        }
        // What a knockout is about stands with the teams.
        ModeStats::Race { .. } | ModeStats::GolfRace { .. } | ModeStats::Knockout { .. } => None,
    };
    let winners = stats.winners.iter().map(|team| names.team(*team)).collect();
    let guesses = counted(stats.total_guesses, "guess", "guesses");
    let players = counted(stats.player_count as u64, "player", "players");
    // In a race each team has rounds of its own, which together are no number that says anything.
    let rounds = format!(" in {}", counted(stats.rounds.into(), "round", "rounds"));
    let rounds = if is_race(game) { "" } else { &rounds };
    let whole = format!("{}: {guesses}{rounds} by {players}", words::won(winners));
    let lines = std::iter::once(whole).chain(of_mode);
    [String::new(), "In numbers".to_owned()].into_iter().chain(lines.map(|line| format!("  {line}"))).collect()
}
