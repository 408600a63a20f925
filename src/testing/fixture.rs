//! A piece of a real log to test with.

use crate::error::Error;
use crate::event::{EventId, NewEvent, RecordedEvent};
use crate::limits::RECORD_BYTES_MAX;
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::store::{AllRead, EventStore, ExactEvent};
use crate::time::Timestamp;

/// A slice of a log as a store of its own in memory: all that a read gives, with positions, versions, ids and times as they
/// were. The store can be appended to.
///
/// What the read leaves out counts as removed. A fold over a stream whose beginning is not in the slice fails with
/// [`BelowFloor`](crate::ErrorKind::BelowFloor), so a slice is best of whole streams. `once` keys do not come along.
///
/// ```
/// use scorebook::testing::fixture;
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, Query, StreamName};
///
/// let bot = EventStore::open_in_memory()?; // or EventStore::open_read_only("bot.scorebook")?
/// for game in ["game-1", "game-2", "game-1"] {
///     let event = NewEvent::json("guessed", "otter")?.actor(8812);
///     bot.append(&StreamName::new(game)?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// }
/// let game = StreamName::new("game-1")?;
/// let store = fixture(&bot.read_all().matching(Query::all().in_stream(&game)))?;
/// let positions: Vec<u64> = store.read(&game).iter().map(|event| Ok(event?.position().get())).collect::<Result<_, scorebook::Error>>()?;
/// assert_eq!(positions, [1, 3]);
/// assert!(!store.exists(&StreamName::new("game-2")?)?);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * Those of [`AllEvents`](crate::AllEvents): the slice cannot be read.
/// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the read goes backwards.
/// * [`Decode`](crate::ErrorKind::Decode): the metadata of an event are not a JSON object.
pub fn fixture(slice: &AllRead) -> Result<EventStore, Error> {
    const EVENTS_AT_A_TIME: usize = 1_000;
    let store = EventStore::open_in_memory()?;
    let mut import = store.exact_import()?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for event in slice {
        let event = event?;
        bytes += event.record_bytes() as usize;
        batch.push(ExactEvent { epoch: None, ..ExactEvent::of(&event)? });
        if EVENTS_AT_A_TIME <= batch.len() || RECORD_BYTES_MAX <= bytes {
            import.append(std::mem::take(&mut batch))?;
            bytes = 0;
        }
    }
    import.append(batch)?;
    import.finish()?;
    Ok(store)
}

/// An event as a log gives it that has it in this place; its id is its own or one that follows from the place.
pub(super) fn recorded(
    stream: &StreamName,
    (position, version, time): (Position, Version, Timestamp),
    event: NewEvent,
) -> Result<RecordedEvent, Error> {
    let store = EventStore::open_in_memory()?;
    let mut import = store.exact_import()?;
    let id = event.id.unwrap_or_else(|| EventId::from_bytes(u128::from(position.get()).to_be_bytes()));
    let event = event.id(id);
    import.append(vec![ExactEvent { position, stream: stream.clone(), version, time, epoch: None, event }])?;
    import.finish()?;
    store.event_at(position)
}
