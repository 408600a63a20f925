//! An event as it is given back.

use super::{Codec, EventId, Metadata};
use crate::error::{Error, ErrorKind};
use crate::name::{StreamName, category};
use crate::position::{Place, Position, Version};
use crate::time::Timestamp;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

/// Bytes that several events share: a memory map, or a buffer that was read.
pub(crate) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An event as it was recorded, given back by reads.
///
/// It shares the bytes it was read from and copies them only when asked; cheap to clone. Every event was
/// verified against its checksums when it was read.
#[derive(Clone)]
pub struct RecordedEvent {
    pub(crate) bytes: SharedBytes,
    /// Where the record begins in `bytes`; the record was verified, so the lengths below fit.
    pub(crate) start: usize,
    pub(crate) place: Place,
    pub(crate) position: Position,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) epoch: u32,
    pub(crate) epoch_bits: u64,
    pub(crate) schema: u32,
    pub(crate) codec: Codec,
    pub(crate) id: Option<EventId>,
    pub(crate) occurred: Option<Timestamp>,
    pub(crate) parts: EventParts,
}

/// Where the parts of an event lie, as offsets from the beginning of its record.
///
/// INVARIANT: `name <= event_type <= tags <= metadata <= data <= end`, and name, type and tags are UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventParts {
    pub(crate) name: u32,
    pub(crate) event_type: u32,
    pub(crate) tags: u32,
    pub(crate) metadata: u32,
    pub(crate) data: u32,
    pub(crate) end: u32,
}

impl RecordedEvent {
    /// The event's place in the whole store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The name of the event's stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.text(self.parts.name, self.parts.event_type)
    }

    /// The name of the event's stream, as a name to append to or read with.
    #[must_use]
    pub fn stream_name(&self) -> StreamName {
        StreamName::trusted(self.stream().into())
    }

    /// The part of the stream's name before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        category(self.stream())
    }

    /// The event's place in its stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.text(self.parts.event_type, self.parts.tags)
    }

    /// The number of the shape of the payload.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// The event's id: the caller's, or the one the store made.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id.unwrap_or_else(|| EventId::made(self.epoch_bits, self.position))
    }

    /// The time the store gave to the event; it never goes backwards along the positions.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The caller's own time for the event, if there was one.
    #[must_use]
    pub fn occurred(&self) -> Option<Timestamp> {
        self.occurred
    }

    /// The number of the opening in which the event was appended; a position given again after a loss of
    /// [`Written`](crate::Durability::Written) events has a higher one.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where the event's record stands in the files.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// How many bytes the event's record takes in its file.
    #[must_use]
    pub fn record_bytes(&self) -> u32 {
        self.parts.end
    }

    /// How many bytes of it count for quotas: all but an id of its own.
    pub(crate) fn quota_bytes(&self) -> u64 {
        u64::from(self.parts.end) - if self.id.is_some() { 16 } else { 0 }
    }

    /// How the payload is written down.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.slice(self.parts.data, self.parts.end)
    }

    /// The payload, decoded from JSON.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): the payload is not JSON, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.data()).map_err(|fault| {
            let act = format!("decoding the payload of the `{}` at position {}", self.event_type(), self.position);
            Error::with_source(ErrorKind::Decode, act, fault)
        })
    }

    /// The tags, as keys and values, in the order in which they were attached.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.slice(self.parts.tags, self.parts.metadata);
        std::iter::from_fn(move || {
            let (key, value, behind) = split_tag(rest)?;
            rest = behind;
            Some((key, value))
        })
    }

    /// The value of the first tag with this key.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags().find(|(candidate, _)| *candidate == key).map(|(_, value)| value)
    }

    /// The metadata as it is stored: a JSON object on one line, or nothing.
    #[must_use]
    pub fn metadata_json(&self) -> &str {
        self.text(self.parts.metadata, self.parts.data)
    }

    /// The metadata, decoded.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): the stored metadata is not a JSON object; only a log that was not
    ///   written by this crate has such.
    pub fn metadata(&self) -> Result<Metadata, Error> {
        Metadata::decode(self.metadata_json()).map_err(|fault| {
            let act = format!("decoding the metadata of the event at position {}", self.position);
            Error::with_source(ErrorKind::Decode, act, fault)
        })
    }

    fn slice(&self, from: u32, to: u32) -> &[u8] {
        let bytes: &[u8] = (*self.bytes).as_ref();
        &bytes[self.start + from as usize..self.start + to as usize]
    }

    fn text(&self, from: u32, to: u32) -> &str {
        std::str::from_utf8(self.slice(from, to)).expect("the record was verified when it was read")
    }
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{} {}", self.position, self.stream(), self.version, self.event_type())
    }
}

/// Splits the first tag off the encoded tags of an event: key, value, and what lies behind.
pub(crate) fn split_tag(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let [key_len, value_len, rest @ ..] = bytes else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let (value, rest) = rest.split_at_checked(usize::from(*value_len))?;
    Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?, rest))
}
