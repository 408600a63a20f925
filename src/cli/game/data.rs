//! A game as data: everything that is told of it to people, exact to the millisecond.

use super::attempt::{Attempt, Outcome};
use super::names::Names;
use super::round::from_start_ms;
use super::sentence::sentence;
use super::standing::{Standing, Tally, standings, tallies};
use super::story::{Course, Note, Story};
use crate::cli::failure::{Exit, Failure};
use crate::cli::rfc3339;
use scorebook::Event;
use scorebook::game::{
    AbandonReason, GameConfig, GameId, GameStats, GuildId, Mode, Moment, Phase, PlayerId, ReplayName, TeamId, Word,
    WordPair,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Game<'a> {
    stream: &'a str,
    version: u64,
    game: Option<GameId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a ReplayName>,
    phase: Phase,
    mode: Mode,
    config: &'a GameConfig,
    guild: Option<GuildId>,
    opened_by: Option<PlayerId>,
    opened_at: Option<String>,
    began_at: Option<String>,
    ended_at: Option<String>,
    played_ms: u64,
    pauses: u64,
    paused_ms: u64,
    paused_since: Option<String>,
    teams: Vec<Team<'a>>,
    /// Who came alone and waits for a partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Player<'a>>,
    rounds: Vec<Round<'a>>,
    happened: Vec<Happened>,
    winners: &'a [TeamId],
    standings: Vec<Standing>,
    players: BTreeMap<PlayerId, Tally>,
    stats: Option<GameStats>,
}

#[derive(Serialize)]
struct Team<'a> {
    team: TeamId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    players: [Player<'a>; 2],
}

#[derive(Serialize)]
struct Player<'a> {
    player: PlayerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Round<'a> {
    round: u32,
    team: TeamId,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    attempts: Vec<Tried<'a>>,
}

#[derive(Serialize)]
struct Tried<'a> {
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    dealt: Option<&'a WordPair>,
    said: Vec<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faster: Option<PlayerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faster_by_ms: Option<u64>,
    outcome: &'static str,
    /// Who ended it, where somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<PlayerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<u64>,
}

#[derive(Serialize)]
struct Said<'a> {
    player: PlayerId,
    word: &'a Word,
    /// Since the round began.
    at_ms: u64,
    /// Since the two had the words that they were to guess from.
    took_ms: u64,
}

#[derive(Serialize)]
struct Happened {
    version: u64,
    at: String,
    /// Since the start, pauses left out; below 0 before it.
    from_start_ms: i64,
    r#type: String,
    text: String,
}

/// Writes a game as one line of JSON.
pub(super) fn write(story: &Story, names: &Names, line: &mut String) -> Result<(), Failure> {
    let json = serde_json::to_string(&game(story, names));
    *line = json.map_err(|error| Failure::new(Exit::Other, format!("writing a game as JSON: {error}")))?;
    Ok(())
}

fn game<'a>(story: &'a Story, names: &'a Names) -> Game<'a> {
    let game = &story.game;
    let team = |team: &TeamId| Team {
        team: *team,
        name: names.known_team(*team),
        players: team.players().map(|id| player(id, names)),
    };
    let notes = story.chapters.iter().flat_map(|chapter| &chapter.notes);
    Game {
        stream: story.stream.as_str(),
        version: story.version.get(),
        game: game.id(),
        name: names.replay(),
        phase: game.phase(),
        mode: game.mode(),
        config: game.config(),
        guild: game.guild(),
        opened_by: game.creator(),
        opened_at: story.created.map(time),
        began_at: story.started.map(time),
        ended_at: story.ended.as_ref().map(|(at, _)| time(*at)),
        played_ms: game.played_ms(),
        pauses: story.pauses.0,
        paused_ms: story.pauses.1,
        paused_since: game.paused_since().map(time),
        teams: game.teams().iter().map(team).collect(),
        waiting: game.waiting().map(|id| player(id, names)),
        rounds: story.chapters.iter().flat_map(|chapter| &chapter.courses).map(round).collect(),
        happened: notes.map(|note| happened(note, story, names)).collect(),
        winners: game.winners(),
        standings: standings(story, names),
        players: tallies(story),
        stats: GameStats::of(game),
    }
}

fn player(player: PlayerId, names: &Names) -> Player<'_> {
    Player { player, name: names.known_player(player) }
}

fn time(moment: Moment) -> String {
    rfc3339::print(moment.into())
}

fn round(course: &Course) -> Round<'_> {
    let attempts = course.attempts.iter().map(tried).collect();
    Round { round: course.round, team: course.team, points: course.points, attempts }
}

fn tried(attempt: &Attempt) -> Tried<'_> {
    let said = attempt.said.iter().flatten();
    let faster = attempt.faster();
    let (outcome, by) = match attempt.outcome {
        Outcome::Open => ("open", None),
        Outcome::Waiting => ("waiting", None),
        Outcome::Match => ("match", None),
        Outcome::Miss => ("no_match", None),
        Outcome::Abandoned(AbandonReason::GaveUp, by) => ("gave_up", by),
        Outcome::Abandoned(AbandonReason::Timeout, by) => ("timeout", by),
        Outcome::Abandoned(AbandonReason::PlayerQuit, by) => ("player_quit", by),
        Outcome::Abandoned(AbandonReason::Disconnected, by) => ("disconnected", by),
    };
    Tried {
        attempt: attempt.number,
        dealt: attempt.dealt.as_ref(),
        said: said
            .map(|said| Said { player: said.player, word: &said.word, at_ms: said.at_ms, took_ms: said.took_ms })
            .collect(),
        faster: faster.and_then(|(player, _)| player),
        faster_by_ms: faster.map(|(_, by_ms)| by_ms),
        outcome,
        by,
        ended_ms: attempt.ended_ms,
    }
}

fn happened(note: &Note, story: &Story, names: &Names) -> Happened {
    Happened {
        version: note.version.get(),
        at: time(note.moment),
        from_start_ms: from_start_ms(note, story),
        r#type: note.event.encode().map(|event| event.event_type().to_owned()).unwrap_or_default(),
        text: sentence(&note.event, names),
    }
}
