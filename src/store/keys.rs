//! What came with a `once` key.

use super::condition::KnownKey;
use super::found::Found;
use super::read::Bounds;
use super::view::SharedView;
use super::{Engine, EventStore, closed};
use crate::error::{Error, ErrorKind};
use crate::index::{Candidates, Plan};
use crate::options::Durability;
use crate::position::Position;
use crate::receipt::Receipt;

/// The batch that came with a key, in what is visible up to a position.
pub(super) fn find_key(view: &SharedView, key: &str, up_to: Position) -> Result<Option<KnownKey>, Error> {
    let act = |said: String| format!("key `{}` of a batch: {said}", key.escape_debug());
    let unreadable = |error: Error| {
        Error::with_source(error.kind(), act("the batch that came with it cannot be read".to_owned()), error)
    };
    let visible = view.0.read();
    let doubt = visible.table.holes().doubt_behind(Position::BEGINNING);
    let term = visible.terms.hasher().key(key);
    let indexed = visible.all_indexed();
    drop(visible);
    // Most keys are new.
    let plan = Plan::of_key(term);
    let mut is_known = false;
    let mut candidates = Candidates::backwards(indexed.len());
    while let Some(index) = candidates.next(&indexed, |(_, terms)| terms, &plan) {
        let (segment, terms) = &indexed[index];
        is_known |= terms.has(segment, term).map_err(unreadable)?;
    }
    let mut found = is_known.then(|| Found::new(&view.0.read(), plan, &Bounds::ALL));
    while let Some(found) = &mut found
        && let Some(named) = found.next().map_err(unreadable)?
    {
        let fact = named.key_fact().map_err(unreadable)?;
        if fact.key == key && fact.receipt.last_position <= up_to {
            return Ok(Some(KnownKey { fact, place: named.place() }));
        }
    }
    let Some(hole) = doubt else { return Ok(None) };
    let (first, last) = (hole.range.first, hole.range.last);
    let said = format!("a batch with it may be lost at positions {first} to {last}, accept the loss first");
    Err(Error::new(ErrorKind::Lost, act(said)))
}

impl EventStore {
    /// The receipt of the batch that was accepted under a `once` key, marked as a repeat; `None` where no batch was.
    ///
    /// Only what is visible is looked through. Whoever is to decide only where nothing was decided before asks this first,
    /// and appends with [`once`](super::BatchBuilder::once) all the same.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// assert!(store.receipt_of("interaction-1")?.is_none());
    /// let batch = store.batch().append(&StreamName::new("game-1")?, ExpectedVersion::Any, [NewEvent::json("won", &1)?]);
    /// let receipt = batch.once("interaction-1").commit().wait().map_err(|error| error.into_error())?;
    /// let again = store.receipt_of("interaction-1")?.expect("the key was there");
    /// assert!(again.is_repeat() && again.last_position() == receipt.last_position());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Lost`](ErrorKind::Lost): it is not there, and may be among events that were lost and not accepted as lost.
    /// * [`Damaged`](ErrorKind::Damaged): it cannot be read any more.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn receipt_of(&self, key: &str) -> Result<Option<Receipt>, Error> {
        let view = self.view()?;
        let durable = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.log.ends().durable,
            Engine::Reading(reader) => reader.known_of_log().ends.durable,
            Engine::Closed(_) => return Err(closed()),
        };
        let found = find_key(&view, key, Position::new(u64::MAX))?;
        Ok(found.map(|KnownKey { fact, place }| {
            let durability = if place < durable { Durability::Synced } else { Durability::Written };
            Receipt { durability, ..fact.receipt }
        }))
    }
}
