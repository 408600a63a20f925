//! Who is who in a game: the names that players and teams have now, where their streams know them.

use super::story::Story;
use crate::cli::failure::{Failure, chain};
use crate::cli::output::say;
use scorebook::game::{GameEvent, PlayerId, Replay, ReplayName, Team, TeamId, User};
use scorebook::{Aggregate, Error, ErrorKind, EventContext, EventStore, Registry, StreamName};
use std::collections::BTreeMap;

/// The names of players and teams.
#[derive(Default)]
pub(crate) struct Names {
    players: BTreeMap<PlayerId, String>,
    teams: BTreeMap<TeamId, String>,
    /// What the finished game can be found by.
    replay: Option<ReplayName>,
}

impl Names {
    /// The names of all who are in a game, as far as the store knows them.
    pub(crate) fn of((registry, store): (&Registry, &EventStore), story: &Story) -> Result<Names, Failure> {
        let mut names = Names::default();
        let guild = story.game.guild();
        for player in &story.players {
            let user: Option<User> = state(registry, store, &player.stream())?;
            if let Some(name) = user.as_ref().and_then(User::name) {
                names.players.insert(*player, name.to_owned());
            }
        }
        for (team, guild) in story.teams.iter().filter_map(|team| Some((team, guild?))) {
            let found: Option<Team> = state(registry, store, &team.stream(guild))?;
            if let Some(name) = found.as_ref().and_then(Team::name) {
                names.teams.insert(*team, name.to_owned());
            }
        }
        if let Some(game) = story.game.id() {
            let replay: Option<Replay> = state(registry, store, &game.replay_stream())?;
            names.replay = replay.as_ref().and_then(Replay::created).map(|created| created.name.clone());
        }
        Ok(names)
    }

    /// What a player is called so that nobody else is; who is not known, by the id.
    pub(super) fn player(&self, player: PlayerId) -> String {
        told_apart(&self.players, player).unwrap_or_else(|| format!("player {player}"))
    }

    /// What a team is called so that no other is; one that is not known, by the id.
    pub(super) fn team(&self, team: TeamId) -> String {
        told_apart(&self.teams, team).unwrap_or_else(|| team.to_string())
    }

    /// The teams, in this order: `Night owls, team-3-4 and Otters`.
    pub(super) fn teams(&self, teams: &[TeamId]) -> String {
        enumerated(teams.iter().map(|team| self.team(*team)).collect())
    }

    /// What the finished game can be found by.
    pub(super) fn replay(&self) -> Option<&ReplayName> {
        self.replay.as_ref()
    }

    pub(super) fn known_player(&self, player: PlayerId) -> Option<&str> {
        self.players.get(&player).map(String::as_str)
    }

    pub(super) fn known_team(&self, team: TeamId) -> Option<&str> {
        self.teams.get(&team).map(String::as_str)
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn enumerated(mut parts: Vec<String>) -> String {
    match parts.pop() {
        None => "nobody".to_owned(),
        Some(only) if parts.is_empty() => only,
        Some(last) => format!("{} and {last}", parts.join(", ")),
    }
}

/// A name, with the id behind it where several have it.
fn told_apart<Id: Copy + Ord + ToString>(names: &BTreeMap<Id, String>, id: Id) -> Option<String> {
    let name = names.get(&id)?;
    let is_only = names.values().filter(|other| *other == name).count() == 1;
    Some(if is_only { name.clone() } else { format!("{name} ({})", id.to_string()) })
}

/// The state of a stream; none where there is no such stream. A name is worth no failure: of a stream that cannot be decoded
/// it is said that it cannot.
fn state<A: Aggregate<Event = GameEvent>>(
    registry: &Registry,
    store: &EventStore,
    stream: &StreamName,
) -> Result<Option<A>, Failure> {
    match folded(registry, store, stream) {
        Ok(state) => Ok(Some(state)),
        Err(error) => match error.kind() {
            ErrorKind::StreamNotFound => Ok(None),
            ErrorKind::Decode | ErrorKind::UnknownType => {
                say(&format!("without the name that {stream} has: {}", chain(&error)));
                Ok(None)
            }
            _ => Err(error.into()),
        },
    }
}

fn folded<A: Aggregate<Event = GameEvent>>(
    registry: &Registry,
    store: &EventStore,
    stream: &StreamName,
) -> Result<A, Error> {
    let mut state = A::new(stream);
    for recorded in store.read(stream) {
        let recorded = recorded?;
        let context = EventContext::new(recorded.version(), recorded.position(), recorded.time());
        registry.decode::<GameEvent>(&recorded)?.for_each(|event| state.apply(&event, &context));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_several_have_are_told_apart() {
        let names = BTreeMap::from([(1, "Ada".to_owned()), (2, "Bob".to_owned()), (3, "Ada".to_owned())]);
        let told = [1, 2, 3, 4].map(|id| told_apart(&names, id));
        assert_eq!(told.each_ref().map(Option::as_deref), [Some("Ada (1)"), Some("Bob"), Some("Ada (3)"), None]);
    }

    #[test]
    fn several_are_enumerated() {
        for (parts, expected) in [(0, "nobody"), (1, "a"), (2, "a and b"), (3, "a, b and c")] {
            let parts = ["a", "b", "c"][..parts].iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(enumerated(parts), expected);
        }
    }
}
