//! Events: as they are handed in, and as they are given back.

use crate::error::{Error, ErrorKind};
use crate::limits::{REFERENCE_BYTES_MAX, TAGS_MAX};
use crate::name::{StreamName, category, event_type_fault, tag_fault};
use crate::position::{POSITION_MAX, Place, Position, Version};
use crate::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The identity of an event: a UUID, given by the caller or made by the store.
///
/// ```
/// use scorebook::EventId;
/// let id: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?;
/// assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id with these bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> EventId {
        EventId(bytes)
    }

    /// The bytes of the id, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id the store makes for the event at `position`, if it was appended in the epoch with these random bits.
    ///
    /// A UUID of version 8 (RFC 9562, 5.8): 60 of the epoch's random bits in front, the position behind.
    /// It can be worked out again from the record alone and takes no room there.
    pub(crate) fn made(epoch_bits: u64, position: Position) -> EventId {
        const VERSION_8: u64 = 0x8000;
        const VARIANT: u64 = 1 << 63;
        let high = epoch_bits & !0xF000 | VERSION_8;
        let low = position.get() & POSITION_MAX | VARIANT;
        EventId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// The position of the event, if the store made this id.
    pub(crate) fn made_for(self) -> Option<Position> {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        let is_version_8 = self.0[6] >> 4 == 8;
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (is_version_8 && low >> 62 == 0b10).then(|| Position::new(low & POSITION_MAX))
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<EventId, Error> {
        match uuid::Uuid::try_parse(text) {
            Ok(uuid) => Ok(EventId(uuid.into_bytes())),
            Err(fault) => Err(Error::with_source(
                ErrorKind::InvalidArgument,
                format!("event id `{}` is not a UUID", text.escape_debug()),
                fault,
            )),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a payload is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON as UTF-8.
    Json,
    /// Bytes the store knows nothing about.
    Bytes,
    /// A codec this version has no name for; the payload is kept and given back as it is. 1 is the same as
    /// [`Json`](Self::Json), 2 the same as [`Bytes`](Self::Bytes), and 0 is refused.
    Other(u8),
}

/// An event to be appended.
///
/// Built step by step; a step that is handed something not allowed is remembered, and the append that takes
/// the event is refused with the first such fault.
///
/// ```
/// use scorebook::NewEvent;
/// let event = NewEvent::json("guess_processed", &("word", 7))?
///     .schema(2)
///     .tag("guild", 42)
///     .correlation("interaction-9")
///     .actor(8812);
/// assert_eq!(event.event_type(), "guess_processed");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(crate) event_type: String,
    pub(crate) schema: u32,
    pub(crate) codec: Codec,
    pub(crate) data: Vec<u8>,
    pub(crate) id: Option<EventId>,
    pub(crate) occurred: Option<Timestamp>,
    pub(crate) tags: Vec<(String, String)>,
    /// In the order given; a key stands once.
    pub(crate) metadata: Vec<(Cow<'static, str>, Value)>,
    /// The first fault a step met.
    pub(crate) fault: Option<Error>,
}

/// A value of metadata.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text, to be written as a JSON string.
    Text(String),
    /// JSON.
    Json(String),
}

/// The keys of metadata that have methods of their own.
const CORRELATION: &str = "correlation";
const CAUSATION: &str = "causation";
const ACTOR: &str = "actor";

impl NewEvent {
    /// An event whose payload is `data` as JSON. Its schema number is 1.
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): `data` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(event_type: &str, data: &T) -> Result<NewEvent, Error> {
        match serde_json::to_vec(data) {
            Ok(data) => Ok(NewEvent::with_codec(event_type, Codec::Json, data)),
            Err(fault) => {
                let act = format!("encoding the payload of a `{}` as JSON", event_type.escape_debug());
                Err(Error::with_source(ErrorKind::Encode, act, fault))
            }
        }
    }

    /// An event whose payload is `data` as it is. Its schema number is 1.
    #[must_use]
    pub fn bytes(event_type: &str, data: impl Into<Vec<u8>>) -> NewEvent {
        NewEvent::with_codec(event_type, Codec::Bytes, data.into())
    }

    /// An event whose payload was already written down in `codec`; it is not looked into. Its schema number is 1.
    #[must_use]
    pub fn with_codec(event_type: &str, codec: Codec, data: Vec<u8>) -> NewEvent {
        let mut fault =
            event_type_fault(event_type).map(|fault| Error::new(ErrorKind::InvalidName, format!("event type {fault}")));
        if codec == Codec::Other(0) {
            let act = format!("event `{}`: 0 is no codec", event_type.escape_debug());
            fault.get_or_insert_with(|| Error::new(ErrorKind::InvalidArgument, act));
        }
        NewEvent {
            event_type: event_type.to_owned(),
            schema: 1,
            codec,
            data,
            id: None,
            occurred: None,
            tags: Vec::new(),
            metadata: Vec::new(),
            fault,
        }
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The first fault a step met: why an append would be refused, if it would.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// The number of the shape of the payload, from 1. Default: 1.
    #[must_use]
    pub fn schema(mut self, schema: u32) -> NewEvent {
        self.schema = schema;
        if schema == 0 {
            self.refuse(ErrorKind::InvalidArgument, "schema is 0: schemas are numbered from 1".to_owned());
        }
        self
    }

    /// The event's id. Default: the store makes one. An id is kept as given and not compared with others.
    #[must_use]
    pub fn id(mut self, id: EventId) -> NewEvent {
        self.id = Some(id);
        self
    }

    /// The caller's own time for the event, kept beside the store's. Default: none.
    #[must_use]
    pub fn occurred(mut self, time: impl Into<Timestamp>) -> NewEvent {
        self.occurred = Some(time.into());
        self
    }

    /// Attaches a tag, a key and a value for finding the event again; the key holds no `:`.
    #[must_use]
    pub fn tag(mut self, key: &str, value: impl fmt::Display) -> NewEvent {
        let value = value.to_string();
        if let Some(fault) = tag_fault(key, &value) {
            self.refuse(ErrorKind::InvalidName, format!("tag {fault}"));
        }
        if TAGS_MAX <= self.tags.len() {
            self.refuse(ErrorKind::TooLarge, format!("an event has more than {TAGS_MAX} tags"));
        }
        self.tags.push((key.to_owned(), value));
        self
    }

    /// What belongs together, such as all events of one command: at most 128 bytes.
    #[must_use]
    pub fn correlation(self, correlation: impl fmt::Display) -> NewEvent {
        self.reference(CORRELATION, correlation.to_string())
    }

    /// What caused the event: at most 128 bytes.
    #[must_use]
    pub fn causation(self, causation: impl fmt::Display) -> NewEvent {
        self.reference(CAUSATION, causation.to_string())
    }

    /// Who did it: at most 128 bytes.
    #[must_use]
    pub fn actor(self, actor: impl fmt::Display) -> NewEvent {
        self.reference(ACTOR, actor.to_string())
    }

    /// Names `cause` as the cause and carries its correlation along; where it has none, its id becomes the correlation.
    #[must_use]
    pub fn caused_by(self, cause: &RecordedEvent) -> NewEvent {
        let id = cause.id().to_string();
        let correlation = cause.metadata().ok().and_then(|metadata| metadata.correlation().map(str::to_owned));
        self.causation(&id).correlation(correlation.unwrap_or(id))
    }

    /// Attaches anything else as metadata, written as JSON; the last value given for a key counts.
    #[must_use]
    pub fn meta<T: Serialize + ?Sized>(mut self, key: &str, value: &T) -> NewEvent {
        match serde_json::to_string(value) {
            Err(fault) => {
                self.refuse(ErrorKind::Encode, format!("encoding the metadata `{}`: {fault}", key.escape_debug()))
            }
            Ok(json) => match [CORRELATION, CAUSATION, ACTOR].into_iter().find(|reserved| *reserved == key) {
                None => self.set_metadata(Cow::Owned(key.to_owned()), Value::Json(json)),
                Some(reserved) => match serde_json::from_str(&json) {
                    Ok(text) => return self.reference(reserved, text),
                    Err(_) => self.refuse(ErrorKind::InvalidArgument, format!("metadata `{key}` is not a string")),
                },
            },
        }
        self
    }

    fn reference(mut self, key: &'static str, value: String) -> NewEvent {
        if REFERENCE_BYTES_MAX < value.len() {
            let fault = format!("{key} has {} bytes: it must have at most {REFERENCE_BYTES_MAX}", value.len());
            self.refuse(ErrorKind::TooLarge, fault);
        }
        self.set_metadata(Cow::Borrowed(key), Value::Text(value));
        self
    }

    fn set_metadata(&mut self, key: Cow<'static, str>, value: Value) {
        match self.metadata.iter_mut().find(|(existing, _)| *existing == key) {
            Some((_, existing)) => *existing = value,
            None => self.metadata.push((key, value)),
        }
    }

    fn refuse(&mut self, kind: ErrorKind, fault: String) {
        let event_type = self.event_type.escape_debug().to_string();
        self.fault.get_or_insert_with(|| Error::new(kind, format!("event `{event_type}`: {fault}")));
    }

    /// Appends the metadata as a JSON object on one line; nothing where there is none.
    pub(crate) fn write_metadata(&self, out: &mut Vec<u8>) {
        for (index, (key, value)) in self.metadata.iter().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            write_json_text(key, out);
            out.push(b':');
            match value {
                Value::Text(text) => write_json_text(text, out),
                Value::Json(json) => out.extend_from_slice(json.as_bytes()),
            }
        }
        if !self.metadata.is_empty() {
            out.push(b'}');
        }
    }
}

/// Appends text as a JSON string.
fn write_json_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can be written as JSON, and memory takes it");
}

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

/// The metadata of a recorded event.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    correlation: Option<String>,
    causation: Option<String>,
    actor: Option<String>,
    other: BTreeMap<String, Box<RawValue>>,
}

impl Metadata {
    fn decode(json: &str) -> Result<Metadata, serde_json::Error> {
        if json.is_empty() {
            return Ok(Metadata::default());
        }
        let mut other: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
        let mut reference = |key: &str| {
            other
                .remove(key)
                .map(|value| serde_json::from_str::<Cow<'_, str>>(value.get()).map(Cow::into_owned))
                .transpose()
        };
        let (correlation, causation, actor) = (reference(CORRELATION)?, reference(CAUSATION)?, reference(ACTOR)?);
        Ok(Metadata { correlation, causation, actor, other })
    }

    /// What the event belongs together with.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.correlation.as_deref()
    }

    /// What caused the event.
    #[must_use]
    pub fn causation(&self) -> Option<&str> {
        self.causation.as_deref()
    }

    /// Who did it.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// The value of another key, decoded; `None` where there is no such key.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): the value is not of this shape.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.other.get(key) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|fault| {
            Error::with_source(ErrorKind::Decode, format!("decoding the metadata `{}`", key.escape_debug()), fault)
        })
    }

    /// The other keys and their values as JSON, sorted by key.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        self.other.iter().map(|(key, value)| (key.as_str(), value.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_the_store_made_says_its_position() {
        let id = EventId::made(u64::MAX, Position::new(77));
        assert_eq!(id.made_for(), Some(Position::new(77)));
        assert_eq!(uuid::Uuid::from_bytes(id.to_bytes()).get_version_num(), 8);
        assert_ne!(id, EventId::made(u64::MAX - (1 << 20), Position::new(77)));
        let other: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().expect("an id");
        assert_eq!(other.made_for(), None);
    }

    #[test]
    fn the_first_fault_of_a_builder_is_kept() {
        let event = NewEvent::bytes("a type", []).schema(0);
        assert_eq!(event.fault.expect("a fault").kind(), ErrorKind::InvalidName);
        let long = "x".repeat(129);
        let event = NewEvent::bytes("t", []).actor(&long);
        assert_eq!(event.fault.expect("a fault").kind(), ErrorKind::TooLarge);
        let event = (0..65).fold(NewEvent::bytes("t", []), |event, n| event.tag("k", n));
        assert!(event.fault.expect("a fault").to_string().contains("64 tags"));
    }

    #[test]
    fn metadata_keeps_its_order_and_the_last_value() {
        let event = NewEvent::bytes("t", []).meta("b", &1).actor("x").meta("a", &[1.0]).meta("b", "z");
        let mut json = Vec::new();
        event.write_metadata(&mut json);
        let json = String::from_utf8(json).expect("UTF-8");
        assert_eq!(json, r#"{"b":"z","actor":"x","a":[1.0]}"#);
        let metadata = Metadata::decode(&json).expect("metadata");
        assert_eq!(metadata.actor(), Some("x"));
        assert_eq!(metadata.get::<String>("b").expect("a string"), Some("z".to_owned()));
    }
}
