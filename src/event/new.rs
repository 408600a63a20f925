//! An event as it is handed in.

use super::metadata::{ACTOR, CAUSATION, CORRELATION};
use super::{Codec, EventId, Metadata, RecordedEvent};
use crate::error::{Error, ErrorKind};
use crate::limits::{REFERENCE_BYTES_MAX, TAGS_MAX};
use crate::name::{event_type_fault, tag_fault};
use crate::options::MetadataField;
use crate::time::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

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
    /// The faults that steps met.
    pub(crate) faults: Vec<Error>,
}

/// A value of metadata.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text, to be written as a JSON string.
    Text(String),
    /// JSON.
    Json(String),
}

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
        let fault =
            event_type_fault(event_type).map(|fault| Error::new(ErrorKind::InvalidName, format!("event type {fault}")));
        let mut faults = Vec::from_iter(fault);
        if codec == Codec::Other(0) {
            let act = format!("event `{}`: 0 is no codec", event_type.escape_debug());
            faults.push(Error::new(ErrorKind::InvalidArgument, act));
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
            faults,
        }
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// How the payload is written down.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The tags, as keys and values, in the order in which they were attached.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first fault a step met: why an append would be refused, if it would.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.faults.first()
    }

    /// All that steps were handed and is not allowed, in their order.
    pub fn faults(&self) -> impl Iterator<Item = &Error> {
        self.faults.iter()
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

    /// Says what it belongs to, what caused it and who did it, where it does not say so itself.
    #[must_use]
    pub(crate) fn within(self, correlation: Option<&str>, causation: Option<&str>, actor: Option<&str>) -> NewEvent {
        let said = [(CORRELATION, correlation), (CAUSATION, causation), (ACTOR, actor)];
        said.into_iter().fold(self, |event, (key, value)| match value {
            Some(value) if event.metadata.iter().all(|(said, _)| said != key) => event.reference(key, value.to_owned()),
            _ => event,
        })
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

    /// Makes tags of fields of the metadata, where the event has them and not the tag already.
    pub(crate) fn tagged_by(mut self, fields: &[MetadataField]) -> NewEvent {
        for field in fields {
            let key = match field {
                MetadataField::Correlation => CORRELATION,
                MetadataField::Causation => CAUSATION,
                MetadataField::Actor => ACTOR,
            };
            let of_field = self.metadata.iter().find_map(|(name, value)| match value {
                Value::Text(text) if *name == key => Some(text.clone()),
                _ => None,
            });
            // What makes no tag stays metadata alone: the event is none the worse.
            if let Some(text) = of_field
                && tag_fault(key, &text).is_none()
                && self.tags.len() < TAGS_MAX
                && !self.tags.iter().any(|(name, value)| *name == key && *value == text)
            {
                self = self.tag(key, text);
            }
        }
        self
    }

    fn refuse(&mut self, kind: ErrorKind, fault: String) {
        let event_type = self.event_type.escape_debug().to_string();
        self.faults.push(Error::new(kind, format!("event `{event_type}`: {fault}")));
    }

    /// The metadata, as it will be read.
    pub(crate) fn metadata(&self) -> Result<Metadata, Error> {
        let mut json = Vec::new();
        self.write_metadata(&mut json);
        let decoded = match str::from_utf8(&json) {
            Ok(json) => Metadata::decode(json),
            Err(fault) => Err(<serde_json::Error as serde::de::Error>::custom(fault)),
        };
        decoded.map_err(|fault| {
            let act = format!("decoding the metadata of a `{}`", self.event_type.escape_debug());
            Error::with_source(ErrorKind::Decode, act, fault)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_builder_is_kept() {
        let event = NewEvent::bytes("a type", []).schema(0);
        let kinds: Vec<ErrorKind> = event.faults().map(Error::kind).collect();
        assert_eq!(kinds, [ErrorKind::InvalidName, ErrorKind::InvalidArgument]);
        assert_eq!(event.fault().map(Error::kind), Some(ErrorKind::InvalidName));
        let long = "x".repeat(129);
        let event = NewEvent::bytes("t", []).actor(&long);
        assert_eq!(event.fault().expect("a fault").kind(), ErrorKind::TooLarge);
        let event = (0..65).fold(NewEvent::bytes("t", []), |event, n| event.tag("k", n));
        assert!(event.fault().expect("a fault").to_string().contains("64 tags"));
    }
}
