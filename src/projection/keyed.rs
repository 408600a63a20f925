//! What a user says of a projection that has a state for each key.

use super::read_as::ReadAs;
use crate::modelling::{EventContext, OnUnknown};
use crate::query::Query;
use std::fmt::Debug;
use std::hash::Hash;

/// A state for each key, one for each player, say: folded from the events that a query asks for, in the order of their
/// positions.
///
/// Nothing follows the store, and nothing is saved. The state of a key is folded when it is asked for. Those that were asked
/// for last are kept in memory, [so many](Self::states_kept) at most, and gone on with: so the memory is bounded, however
/// many keys there are. What is known across all keys, who is ahead, say, is a [`Projection`](crate::Projection).
///
/// The [`query`](Self::query) asks for what an index finds, tags, streams, categories or types; then a state costs as much as
/// its key has events, and not as much as the log has. [`apply`](Self::apply) is pure: it asks for no time, no chance and
/// nothing outside; what it needs comes with the key, the event or its context.
///
/// ```
/// use scorebook::{Event, EventContext, EventStore, ExpectedVersion, KeyedProjection, Query, StreamName};
///
/// scorebook::events! {
///     /// What happens in a game.
///     pub enum Played {
///         /// Somebody has won so many points.
///         Won(u64) = "game_won", 1;
///     }
/// }
///
/// /// The points of a player.
/// #[derive(Clone)]
/// struct Points(u64);
///
/// impl KeyedProjection for Points {
///     type Key = u64;
///     type Event = Played;
///
///     fn query(player: &u64) -> Query {
///         Query::all().tag("player", player)
///     }
///
///     fn new(_: &u64) -> Points {
///         Points(0)
///     }
///
///     fn apply(&mut self, Played::Won(points): &Played, _: &EventContext<'_>) {
///         self.0 += points;
///     }
/// }
///
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-1")?;
/// let won = [(8812, 7), (9000, 1), (8812, 4)].map(|(player, points)| Ok(Played::Won(points).encode()?.tag("player", player)));
/// store.append(&game, ExpectedVersion::Any, won.into_iter().collect::<Result<Vec<_>, scorebook::Error>>()?).wait()?;
/// let points = store.keyed_projection::<Points>();
/// assert_eq!((points.state(&8812)?.0, points.state(&9000)?.0, points.state(&7)?.0), (11, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait KeyedProjection: Clone + Send + Sync + 'static {
    /// What there is a state for each of: a number, a name, or several of them.
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;

    /// What it is folded from: an enum of [events](crate::Event); or [`RecordedEvent`](crate::RecordedEvent), where nothing
    /// is decoded but by `apply`.
    type Event: ReadAs;

    /// Which events the state of a key is folded from.
    #[must_use]
    fn query(key: &Self::Key) -> Query;

    /// The state of a key before its first event.
    #[must_use]
    fn new(key: &Self::Key) -> Self;

    /// Folds an event in. This never fails: what is in the log has happened. Where it panics, the state of that key cannot be
    /// had, and whoever asks for it is told at which event.
    fn apply(&mut self, event: &Self::Event, context: &EventContext<'_>);

    /// What it does with an event of its query of which [`Event`](Self::Event) knows nothing. Default: it goes on as if that
    /// were not there.
    #[must_use]
    fn on_unknown() -> OnUnknown {
        OnUnknown::Skip
    }

    /// Of how many keys the state is kept in memory, at most, for each store: those that were asked for last. A key is kept for
    /// as long as fewer than half as many others are asked for. Default: 1,024; with 0 none is kept, and every state is folded
    /// from the first event.
    #[must_use]
    fn states_kept() -> usize {
        1_024
    }
}
