//! The metadata of an event: a JSON object with three keys of its own.

use crate::error::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The keys of metadata that have methods of their own.
pub(super) const CORRELATION: &str = "correlation";
pub(super) const CAUSATION: &str = "causation";
pub(super) const ACTOR: &str = "actor";

/// The metadata of a recorded event.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    correlation: Option<String>,
    causation: Option<String>,
    actor: Option<String>,
    other: BTreeMap<String, Box<RawValue>>,
}

impl Metadata {
    pub(super) fn decode(json: &str) -> Result<Metadata, serde_json::Error> {
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
    use super::super::NewEvent;
    use super::*;

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
