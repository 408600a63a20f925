//! Which streams are those of the word game.
//!
//! Others may have categories `game`, `team`, `user` and `replay` too, with states of their own or with none. So it takes three things:
//! that this program folds the category as the word game does, that the stream is named like one of the game's, and that it
//! begins with an event of the game.

use crate::cli::failure::Failure;
use scorebook::game::{Game, GameEvent, GameId, PlayerId, Replay, Team, TeamId, User};
use scorebook::{Aggregate, Error, EventStore, Registry, StreamName};
use std::any::type_name;

/// Whether a stream is a game of the word game.
pub(crate) fn is_game(registry: &Registry, store: &EventStore, stream: &StreamName) -> Result<bool, Error> {
    Ok(folds_as_the_game(registry, stream) && GameId::of_stream(stream).is_some() && begins(registry, store, stream)?)
}

/// Whether this program would fold a stream as the word game does, and it is none of the game's.
pub(crate) fn is_foreign(registry: &Registry, store: &EventStore, stream: &StreamName) -> Result<bool, Error> {
    Ok(folds_as_the_game(registry, stream) && !(is_named(stream) && begins(registry, store, stream)?))
}

/// Whether a program that knows nothing but the word game knows nothing at all of this store: no stream in it is the game's.
pub(crate) fn knows_nothing_else(registry: &Registry, store: &EventStore) -> Result<bool, Failure> {
    let mut categories = registry.categories().peekable();
    let is_other = |category: &str| {
        // Of any stream of the category this is true or not, whatever follows the category.
        let stream = StreamName::new(format!("{category}-1"));
        !stream.is_ok_and(|stream| folds_as_the_game(registry, &stream))
    };
    if categories.peek().is_none() || categories.any(is_other) {
        return Ok(false);
    }
    for stream in store.streams().list()? {
        if is_named(stream.name()) && begins(registry, store, stream.name())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the aggregate of the stream's category is one of the word game's.
fn folds_as_the_game(registry: &Registry, stream: &StreamName) -> bool {
    let ours = [type_name::<Game>(), type_name::<Team>(), type_name::<User>(), type_name::<Replay>()];
    registry.has::<GameEvent>() && registry.fold(stream).is_some_and(|fold| ours.contains(&fold.aggregate()))
}

fn is_named(stream: &StreamName) -> bool {
    let game = GameId::of_stream(stream).or_else(|| GameId::of_replay(stream));
    game.is_some() || TeamId::of_stream(stream).is_some() || PlayerId::of_stream(stream).is_some()
}

/// Whether the first event that is left of a stream is of a type that this program knows: what it holds may be forged, and is
/// then to be named.
fn begins(registry: &Registry, store: &EventStore, stream: &StreamName) -> Result<bool, Error> {
    let first = store.read(stream).limit(1).into_iter().next().transpose()?;
    if let Some(event) = first {
        return Ok(registry.newest(event.event_type()).is_some());
    }
    // All of it may be in the state that it begins with.
    let carried = store.carried_state(stream)?;
    Ok(carried.is_some_and(|carried| Game::carrying().is_some_and(|carrying| carrying.fold() == carried.fold())))
}
