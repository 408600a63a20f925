//! The names a caller gives: of streams, types and tags. A name is data and never becomes a path.

use crate::error::{Error, ErrorKind};
use crate::limits::{EVENT_TYPE_BYTES_MAX, STREAM_NAME_BYTES_MAX, TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX};
use std::fmt;
use std::sync::Arc;

/// The name of a stream: 1 to 255 bytes of UTF-8.
///
/// Refused are control characters, `/`, `..` and a leading `-`, so that a name can stand in a path, a
/// pattern or a command line without harm. Names are compared byte by byte: two that differ only in
/// Unicode normalisation are different names. Cheap to clone.
///
/// ```
/// use scorebook::StreamName;
/// let game = StreamName::new("game-42")?;
/// assert_eq!(game.category(), "game");
/// assert!(StreamName::new("../etc").is_err());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](ErrorKind::InvalidName): the name has a form that is not allowed; the text says which.
    pub fn new(name: impl Into<Arc<str>>) -> Result<StreamName, Error> {
        let name = name.into();
        match stream_name_fault(&name) {
            None => Ok(StreamName(name)),
            Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("stream name {fault}"))),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `-`; the whole name where there is none.
    #[must_use]
    pub fn category(&self) -> &str {
        category(&self.0)
    }

    /// A name that was checked before it was stored.
    pub(crate) fn trusted(name: Arc<str>) -> StreamName {
        debug_assert!(stream_name_fault(&name).is_none());
        StreamName(name)
    }
}

/// The part of a stream's name before the first `-`.
pub(crate) fn category(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// What is wrong with a stream name, as the rest of a sentence.
pub(crate) fn stream_name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("is empty: it must have 1 to {STREAM_NAME_BYTES_MAX} bytes"));
    }
    if STREAM_NAME_BYTES_MAX < name.len() {
        return Some(format!("has {} bytes: it must have 1 to {STREAM_NAME_BYTES_MAX}", name.len()));
    }
    let shown = name.escape_debug();
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Some(format!("`{shown}` holds the control character {}", control.escape_default()));
    }
    if name.contains('/') {
        return Some(format!("`{shown}` holds `/`"));
    }
    if name.contains("..") {
        return Some(format!("`{shown}` holds `..`"));
    }
    name.starts_with('-').then(|| format!("`{shown}` begins with `-`"))
}

/// What is wrong with an event type, as the rest of a sentence.
pub(crate) fn event_type_fault(name: &str) -> Option<String> {
    if name.is_empty() || EVENT_TYPE_BYTES_MAX < name.len() {
        return Some(format!("has {} bytes: it must have 1 to {EVENT_TYPE_BYTES_MAX}", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!name.chars().all(allowed)).then(|| format!("`{}` holds more than A-Z a-z 0-9 . _ -", name.escape_debug()))
}

/// What is wrong with a tag, as the rest of a sentence.
pub(crate) fn tag_fault(key: &str, value: &str) -> Option<String> {
    if key.is_empty() || TAG_KEY_BYTES_MAX < key.len() {
        return Some(format!("has a key of {} bytes: it must have 1 to {TAG_KEY_BYTES_MAX}", key.len()));
    }
    if key.contains(':') {
        return Some(format!("has the key `{}`, which holds `:`", key.escape_debug()));
    }
    if TAG_VALUE_BYTES_MAX < value.len() {
        return Some(format!("has a value of {} bytes: it must have at most {TAG_VALUE_BYTES_MAX}", value.len()));
    }
    let control = key.chars().chain(value.chars()).find(|c| c.is_control());
    control.map(|control| format!("holds the control character {}", control.escape_default()))
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for StreamName {
    type Err = Error;

    fn from_str(name: &str) -> Result<StreamName, Error> {
        StreamName::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_for_something_else_are_refused_with_the_reason() {
        for (name, reason) in [
            ("", "is empty"),
            ("a\0b", "control character"),
            ("a\nb", "control character"),
            ("a\u{85}b", "control character"),
            ("..", "holds `..`"),
            ("a/../b", "holds `/`"),
            ("-rf", "begins with `-`"),
        ] {
            let error = StreamName::new(name).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidName);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(StreamName::new("x".repeat(256)).is_err());
        assert!(StreamName::new("x".repeat(255)).is_ok());
    }

    #[test]
    fn unicode_is_taken_as_it_is() {
        let composed = StreamName::new("caf\u{e9}").expect("a name");
        let decomposed = StreamName::new("cafe\u{301}").expect("a name");
        assert_ne!(composed, decomposed);
        assert!(StreamName::new("ゲーム-42 🎲").is_ok());
    }

    #[test]
    fn a_tags_key_ends_at_the_first_colon() {
        assert!(tag_fault("a:b", "c").is_some());
        assert!(tag_fault("a", "b:c").is_none());
        assert!(tag_fault("", "c").is_some());
        assert!(tag_fault("k", &"v".repeat(255)).is_none());
        assert!(tag_fault("k", &"v".repeat(256)).is_some());
    }
}
