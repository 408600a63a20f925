//! What a game is: the head of what is told of it.

use super::names::{Names, enumerated};
use super::story::{Story, is_race};
use super::words;
use crate::cli::output::counted;
use crate::cli::rfc3339;
use scorebook::game::{GameEvent, Moment, Phase, PlayerId, TeamId};

/// The head, a line for each thing.
pub(super) fn head(story: &Story, names: &Names) -> Vec<String> {
    let game = &story.game;
    let id = game.id().map_or_else(|| story.stream.to_string(), |id| id.to_string());
    let mut lines = vec![line("game", &id)];
    if game.phase() == Phase::Missing {
        lines.push(line("now", words::phase(Phase::Missing)));
        return lines;
    }
    lines.extend(names.replay().map(|name| line("name", name.as_str())));
    lines.push(line("mode", &format!("{}: {}", game.mode(), words::config(game.config()))));
    lines.extend(game.guild().map(|guild| line("guild", &guild.to_string())));
    let teams = game.teams().iter().map(|team| team_line(*team, names));
    let alone = game.waiting().map(|player| format!("{}, without a partner", player_line(player, names)));
    lines.extend(teams.chain(alone).enumerate().map(|(at, team)| line(if at == 0 { "teams" } else { "" }, &team)));
    if let Some(created) = story.created {
        let by = game.creator().map(|by| format!(" by {}", names.player(by))).unwrap_or_default();
        lines.push(line("opened", &format!("{}{by}", time(created))));
    }
    if let Some(started) = story.started {
        lines.push(line("began", &time(started)));
        lines.push(line("played", &played(story)));
    }
    lines.push(line("now", &phase(story, names)));
    lines
}

fn line(label: &str, text: &str) -> String {
    format!("{label:<8}{text}")
}

fn team_line(team: TeamId, names: &Names) -> String {
    let players = enumerated(team.players().map(|player| player_line(player, names)).into());
    match names.known_team(team) {
        Some(name) => format!("{name} ({team}): {players}"),
        None => format!("{team}: {players}"),
    }
}

fn player_line(player: PlayerId, names: &Names) -> String {
    names.known_player(player).map_or_else(|| names.player(player), |name| format!("{name} ({player})"))
}

pub(super) fn time(moment: Moment) -> String {
    rfc3339::brief(moment.into())
}

fn played(story: &Story) -> String {
    let (pauses, paused_ms) = story.pauses;
    let played = words::lasting(story.game.played_ms());
    match pauses {
        0 => played,
        _ => format!("{played}, without {} of {}", counted(pauses, "pause", "pauses"), words::lasting(paused_ms)),
    }
}

/// How far the game is, how it ended, or what is next.
pub(super) fn phase(story: &Story, names: &Names) -> String {
    let game = &story.game;
    match &story.ended {
        Some((at, GameEvent::GameCancelled(of))) => {
            return format!("cancelled at {}: {}", time(*at), words::cancelled(of.reason, of.by, names));
        }
        Some((at, _)) => {
            let winners = game.winners().iter().map(|team| names.team(*team)).collect();
            return format!("over since {}: {}", time(*at), words::won(winners));
        }
        None => {}
    }
    let mut text = words::phase(game.phase()).to_owned();
    if game.is_played() && game.round() != 0 && !is_race(game) {
        text.push_str(&format!(", round {}", game.round()));
    }
    if let Some(since) = game.paused_since() {
        text.push_str(&format!("; held up since {}", time(since)));
    }
    if let Some((at, deadline)) = game.deadline() {
        text.push_str(&format!("; {} at {}", words::due(deadline), time(at)));
    }
    text
}
