//! Rounds side by side: what each of the two said, how long it took, and who was faster.

use super::attempt::{Attempt, Outcome, Said};
use super::grid::Grid;
use super::names::Names;
use super::sentence::sentence;
use super::story::{About, Chapter, Course, Note, Story, is_race};
use super::words;
use scorebook::game::{AbandonReason, Mode, TeamId};

/// A chapter: its heading, a table for each team, and what else happened.
pub(super) fn chapter(of: &Chapter, story: &Story, names: &Names, width_max: Option<usize>) -> Vec<String> {
    let mut lines = vec![heading(of.about)];
    // Where there is only one team, everybody knows whose words these are.
    let is_alone = story.teams.len() <= 1;
    let teams = teams(of);
    for team in &teams {
        let courses: Vec<&Course> = of.courses.iter().filter(|course| course.team == *team).collect();
        if !is_alone {
            lines.push(format!("  {}", names.team(*team)));
        }
        let indent = if is_alone { 2 } else { 4 };
        lines.extend(table(&courses, *team, story, names).lines(indent, width_max));
    }
    lines.extend(notes(of, story, names));
    lines
}

fn heading(about: About) -> String {
    match about {
        About::BeforeTheStart => "Before the start".to_owned(),
        About::Round(number) => format!("Round {number}"),
        About::Race => "The race".to_owned(),
    }
}

/// The teams with rounds in a chapter, in the order in which they came to them.
fn teams(of: &Chapter) -> Vec<TeamId> {
    let mut teams = Vec::new();
    for course in &of.courses {
        if !teams.contains(&course.team) {
            teams.push(course.team);
        }
    }
    teams
}

/// The rounds of one team in one table: in a race, several.
fn table(courses: &[&Course], team: TeamId, story: &Story, names: &Names) -> Grid {
    let [first, second] = team.players().map(|player| names.player(player));
    let is_race = is_race(&story.game);
    let mut grid = Grid::new([if is_race { "round" } else { "" }, "attempt", &first, "", &second, "", "faster", ""]);
    for course in courses {
        let mut round = if is_race { course.round.to_string() } else { String::new() };
        for (at, attempt) in course.attempts.iter().enumerate() {
            if let Some(words) = &attempt.dealt {
                let (first, second) = (words.0.to_string(), words.1.to_string());
                let label = std::mem::take(&mut round);
                grid.row([label, "dealt".to_owned(), first, String::new(), second]);
            }
            if attempt.outcome != Outcome::Open {
                let is_last = at + 1 == course.attempts.len();
                grid.row(cells(
                    attempt,
                    course,
                    is_last && is_going_on(course, story),
                    std::mem::take(&mut round),
                    names,
                    story,
                ));
            }
        }
    }
    grid
}

/// Whether a word that waits in this round can still be answered.
fn is_going_on(course: &Course, story: &Story) -> bool {
    let side = story.game.side(course.team);
    story.game.is_played() && side.is_some_and(|side| side.round() == course.round && side.pending().is_some())
}

fn cells(
    attempt: &Attempt,
    course: &Course,
    may_be_answered: bool,
    round: String,
    names: &Names,
    story: &Story,
) -> Vec<String> {
    let said = |said: &Option<Said>| match said {
        Some(said) => [said.word.to_string(), words::lasting(said.took_ms)],
        None => ["-".to_owned(), String::new()],
    };
    let [word1, took1] = said(&attempt.said[0]);
    let [word2, took2] = said(&attempt.said[1]);
    let faster = attempt.faster().map(|(player, by_ms)| match player {
        Some(player) => format!("{} by {}", names.player(player), words::lasting(by_ms)),
        None => "both at once".to_owned(),
    });
    let result = result(attempt, course, may_be_answered, names, story);
    vec![round, attempt.number.to_string(), word1, took1, word2, took2, faster.unwrap_or_default(), result]
}

fn result(attempt: &Attempt, course: &Course, may_be_answered: bool, names: &Names, story: &Story) -> String {
    let after = attempt.ended_ms.map(|ms| format!(" after {}", words::lasting(ms))).unwrap_or_default();
    // What a round gives differs in a golf race only; elsewhere it is the match that counts.
    let is_golf = story.game.mode() == Mode::GolfRace;
    let points = course.points.filter(|_| is_golf).map(points).unwrap_or_default();
    match attempt.outcome {
        Outcome::Open => String::new(),
        Outcome::Match => format!("match{after}{points}"),
        Outcome::Miss => "no match".to_owned(),
        Outcome::Abandoned(reason, by) => {
            let who = by.map_or_else(|| "nobody".to_owned(), |by| names.player(by));
            match reason {
                AbandonReason::GaveUp => format!("{who} gave up{after}{points}"),
                AbandonReason::Timeout => "the time was up".to_owned(),
                AbandonReason::PlayerQuit => format!("{who} left"),
                AbandonReason::Disconnected => format!("{who} could not be reached"),
            }
        }
        Outcome::Waiting => {
            let first = attempt.said.iter().flatten().next();
            let partner = first.map(|said| names.player(course.team.partner(said.player))).unwrap_or_default();
            let what = if may_be_answered { "has not answered yet" } else { "never answered" };
            format!("{partner} {what}")
        }
    }
}

fn points(points: i64) -> String {
    let unit = if points.unsigned_abs() == 1 { "point" } else { "points" };
    format!(", {points} {unit}")
}

/// What else happened, and when.
fn notes(of: &Chapter, story: &Story, names: &Names) -> Vec<String> {
    let times: Vec<String> = of.notes.iter().map(|note| words::from_start(from_start_ms(note, story))).collect();
    let width = times.iter().map(String::len).max().unwrap_or(0);
    let lines = times.iter().zip(&of.notes);
    lines.map(|(time, note)| format!("  {time:>width$}  {}", sentence(&note.event, names))).collect()
}

/// How many milliseconds after the start something happened, pauses left out; before it as many below 0. In a game that has
/// not begun, since it was opened.
pub(super) fn from_start_ms(note: &Note, story: &Story) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    match (note.played_ms, story.started, story.created) {
        (Some(played_ms), _, _) => signed(played_ms),
        (None, Some(started), _) => -signed(started.since(note.moment)),
        (None, None, created) => created.map_or(0, |created| signed(note.moment.since(created))),
    }
}
