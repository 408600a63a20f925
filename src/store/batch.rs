//! A batch over several streams, built step by step.

use super::EventStore;
use super::pending::PendingReceipt;
use super::request::Request;
use crate::error::{AppendError, Error};
use crate::event::NewEvent;
use crate::name::StreamName;
use crate::options::Durability;
use crate::position::ExpectedVersion;

/// Events of one or several streams that are appended together, with what is asked of the streams: all of it happens,
/// or none of it.
///
/// Every expectation is about the streams as they are **before** the batch, however often it names one. A step that is
/// handed something not allowed is remembered, and [`commit`](Self::commit) is refused with the first such fault.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let (game, board) = (StreamName::new("game-1")?, StreamName::new("board-1")?);
/// let receipt = store
///     .batch()
///     .append(&game, ExpectedVersion::NoStream, [NewEvent::json("won", &8812)?])
///     .append(&board, ExpectedVersion::Any, [NewEvent::json("scored", &10)?])
///     .commit()
///     .wait()
///     .map_err(|error| error.into_error())?;
/// assert_eq!(receipt.of(&board).map(|of| of.last_version().get()), Some(1));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "a batch does nothing until it is committed"]
pub struct BatchBuilder<'a> {
    store: &'a EventStore,
    request: Request,
    fault: Option<Error>,
}

impl<'a> BatchBuilder<'a> {
    pub(super) fn new(store: &'a EventStore) -> BatchBuilder<'a> {
        BatchBuilder { store, request: Request::new(store.default_durability()), fault: None }
    }

    /// Adds events to a stream, which is expected to be at some version before the batch.
    pub fn append(
        mut self,
        stream: &StreamName,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> BatchBuilder<'a> {
        self.request.expect(stream, expected);
        if self.fault.is_none() {
            self.fault = self.request.push(stream, events).err();
        }
        self
    }

    /// Asks for the version of a stream to which the batch does not write.
    pub fn require(mut self, stream: &StreamName, expected: ExpectedVersion) -> BatchBuilder<'a> {
        self.request.expect(stream, expected);
        self
    }

    /// How durable the events are when the receipt is given. Default: that of the store.
    pub fn durability(mut self, durability: Durability) -> BatchBuilder<'a> {
        self.request.durability = durability;
        self
    }

    /// Queues the batch. An empty one is refused before anything is judged.
    pub fn commit(self) -> PendingReceipt {
        match self.fault {
            Some(fault) => PendingReceipt::refused(AppendError::Store(fault)),
            None => self.store.submit(self.request),
        }
    }
}
