//! What a user says of a projection.

use super::read_as::ReadAs;
use crate::error::{Error, ErrorKind};
use crate::modelling::{EventContext, OnUnknown};
use crate::query::Query;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A state folded from the events of many streams, in the order of their positions.
///
/// [`apply`](Self::apply) is pure: it asks for no time, no chance and nothing outside; what it needs comes with the event or
/// its context. So the same events give the same state, however often they are folded and in pieces of whatever size. And
/// everything that makes the state is in what it is serialized to, for that is what is saved and read back:
/// [`check_projection`](crate::EventStore::check_projection) tries both.
///
/// ```
/// use scorebook::{Event, EventContext, EventStore, ExpectedVersion, Projection, Query, StreamName};
/// use serde::{Deserialize, Serialize};
/// use std::collections::BTreeMap;
///
/// scorebook::events! {
///     /// What happens in a game.
///     pub enum Played {
///         /// Somebody has won so many points.
///         Won(u64) = "game_won", 1;
///     }
///     dress = |_: &Played, new: scorebook::NewEvent| new.tag("player", "ann");
/// }
///
/// /// The points of each player.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Points(BTreeMap<String, u64>);
///
/// impl Projection for Points {
///     type Event = Played;
///     const NAME: &'static str = "points";
///     const VERSION: u32 = 1;
///
///     fn query() -> Query {
///         Query::all().in_category("game")
///     }
///
///     fn new() -> Points {
///         Points(BTreeMap::new())
///     }
///
///     fn apply(&mut self, Played::Won(points): &Played, context: &EventContext<'_>) {
///         let player = context.tag("player").unwrap_or_default();
///         *self.0.entry(player.to_owned()).or_default() += points;
///     }
/// }
///
/// let store = EventStore::open_in_memory()?;
/// let points = store.projection::<Points>()?;
/// let game = StreamName::new("game-1")?;
/// let won = store.append(&game, ExpectedVersion::Any, [Played::Won(7).encode_dressed()?]).wait()?;
/// assert_eq!(points.read_at(won.last_position(), |points| points.0["ann"])?, 7);
/// # trait EncodeDressed: Event { fn encode_dressed(&self) -> Result<scorebook::NewEvent, scorebook::Error> { Ok(self.dress(self.encode()?)) } }
/// # impl EncodeDressed for Played {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Projection: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// What it is folded from: an enum of [events](crate::Event); or [`RecordedEvent`](crate::RecordedEvent), where nothing
    /// is decoded but by `apply`.
    type Event: ReadAs;

    /// Under which its state is saved: 1 to 64 of `[a-z0-9_-]`. One type has it in a store.
    const NAME: &'static str;

    /// One more whenever the state, [`query`](Self::query) or [`apply`](Self::apply) changes: what was saved under another
    /// version is not looked at.
    const VERSION: u32;

    /// Which events it is folded from.
    #[must_use]
    fn query() -> Query;

    /// The state before the first event.
    #[must_use]
    fn new() -> Self;

    /// Folds an event in. This never fails: what is in the log has happened. Where it panics, the projection stops before
    /// that event, and says so.
    fn apply(&mut self, event: &Self::Event, context: &EventContext<'_>);

    /// What it does with an event of its query of which [`Event`](Self::Event) knows nothing. Default: it goes on as if that
    /// were not there.
    #[must_use]
    fn on_unknown() -> OnUnknown {
        OnUnknown::Skip
    }

    /// When its state is written to a file. Default: every 100,000 events, and when the store is closed.
    #[must_use]
    fn saving() -> Saving {
        Saving::Every(100_000)
    }
}

/// When the state of a projection is written to a file, so that the next opening goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// Never: each opening folds from the first event.
    Never,
    /// When the store is closed.
    AtClose,
    /// When so many events were folded in since the last time, and when the store is closed. Where writing it takes long it
    /// is done less often, so that it takes a twentieth of the time at most.
    Every(u64),
}

/// Fails where a projection says something of itself that may not be.
pub(super) fn check<P: Projection>() -> Result<(), Error> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if P::NAME.is_empty() || NAME_BYTES_MAX < P::NAME.len() || !P::NAME.bytes().all(is_allowed) {
        let act = format!("the name of projection `{}` must be 1 to 64 of `[a-z0-9_-]`", P::NAME.escape_debug());
        return Err(Error::new(ErrorKind::InvalidName, act));
    }
    P::query().fault().map_or(Ok(()), |fault| Err(fault.clone()))
}

/// Longest name of a projection.
pub(super) const NAME_BYTES_MAX: usize = 64;
