//! What a successful append returns.

use crate::name::StreamName;
use crate::options::Durability;
use crate::position::{Position, Version};
use crate::time::Timestamp;

/// What a successful append returns, given when its events are visible and as durable as asked.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, Position, StreamName, Version};
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-42")?;
/// let events = [NewEvent::json("joined", &1)?, NewEvent::json("joined", &2)?];
/// let receipt = store.append(&game, ExpectedVersion::NoStream, events).wait().map_err(|e| e.into_error())?;
/// assert_eq!((receipt.first_position(), receipt.last_position()), (Position::new(1), Position::new(2)));
/// assert_eq!((receipt.first_version(), receipt.last_version()), (Version::FIRST, Version::new(2)));
/// assert!(receipt.of(&game).is_some_and(|of| of.is_new_stream()));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) first_position: Position,
    pub(crate) last_position: Position,
    pub(crate) time: Timestamp,
    pub(crate) durability: Durability,
    pub(crate) is_repeat: bool,
    /// In the order in which the streams were first named; none where a consumer was done with an event and wrote nothing.
    pub(crate) streams: Vec<StreamReceipt>,
}

/// What a batch did to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReceipt {
    pub(crate) stream: StreamName,
    pub(crate) first_version: Version,
    pub(crate) last_version: Version,
    pub(crate) is_new_stream: bool,
}

impl Receipt {
    /// The position of the batch's first event.
    #[must_use]
    pub fn first_position(&self) -> Position {
        self.first_position
    }

    /// The position of the batch's last event.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.last_position
    }

    /// The version of the first event, in the stream the batch named first.
    #[must_use]
    pub fn first_version(&self) -> Version {
        self.streams.first().map_or(Version::NONE, |first| first.first_version)
    }

    /// The version of the last event, in the stream the batch named first.
    #[must_use]
    pub fn last_version(&self) -> Version {
        self.streams.first().map_or(Version::NONE, |first| first.last_version)
    }

    /// Whether the stream the batch named first began with this batch.
    #[must_use]
    pub fn is_new_stream(&self) -> bool {
        self.streams.first().is_some_and(|first| first.is_new_stream)
    }

    /// What the batch did to this stream, or `None` where it wrote nothing to it.
    #[must_use]
    pub fn of(&self, stream: &StreamName) -> Option<&StreamReceipt> {
        self.streams.iter().find(|of| of.stream == *stream)
    }

    /// What the batch did to each stream it wrote to, in the order in which they were first named.
    #[must_use]
    pub fn streams(&self) -> &[StreamReceipt] {
        &self.streams
    }

    /// The time the store gave to the batch.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The durability that was reached when the receipt was given.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether the batch had been appended before and this is its first receipt again.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }
}

impl StreamReceipt {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The version of the batch's first event in this stream.
    #[must_use]
    pub fn first_version(&self) -> Version {
        self.first_version
    }

    /// The version of the batch's last event in this stream.
    #[must_use]
    pub fn last_version(&self) -> Version {
        self.last_version
    }

    /// Whether the stream began with this batch.
    #[must_use]
    pub fn is_new_stream(&self) -> bool {
        self.is_new_stream
    }
}
