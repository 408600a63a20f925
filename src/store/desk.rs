//! Where floors above write down what they derive from the log, and how far they may speak of it there.

use super::{Engine, EventStore, closed};
use crate::error::{Error, ErrorKind};
use crate::position::Position;
use crate::storage::Storage;
use crate::sync::Arc;

/// The files of a store, for derived files of floors above.
pub(crate) struct Desk {
    pub(crate) storage: Arc<dyn Storage>,
    /// Which store it is.
    pub(crate) store: [u8; 16],
}

impl EventStore {
    pub(crate) fn desk(&self) -> Result<Desk, Error> {
        let store = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.log.store(),
            Engine::Reading(reader) => reader.known_of_log().store,
            Engine::Closed(_) => return Err(closed()),
        };
        Ok(Desk { storage: self.shared.storage.clone(), store })
    }

    /// Whether files take other room than memory, and this handle may write some.
    pub(crate) fn has_a_desk(&self) -> bool {
        matches!(&*self.shared.engine.read(), Engine::Writing(_)) && self.shared.storage.is_apart_from_memory()
    }

    /// Sees to it that everything up to a position is durable: a derived file speaks of nothing else, since what a power cut
    /// takes is given again to other events.
    pub(crate) fn make_durable(&self, position: Position) -> Result<(), Error> {
        let writer = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.clone(),
            Engine::Reading(_) => return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only")),
            Engine::Closed(_) => return Err(closed()),
        };
        if let Some(failure) = writer.log.failure() {
            return Err(failure);
        }
        if writer.log.ends().durable_position < position {
            writer.log.sync_behind()?;
        }
        if writer.log.ends().durable_position < position {
            let act = format!("making position {position} durable: there was no room to copy what is not proven");
            return Err(Error::new(ErrorKind::Full, act));
        }
        Ok(())
    }
}
