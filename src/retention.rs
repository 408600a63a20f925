//! What is kept: rules by which events may go, and for what they hold.

use crate::error::{Error, ErrorKind};
use crate::name::{StreamName, event_type_fault, stream_name_fault};
use std::fmt;
use std::time::Duration;

/// What a retention rule or a hold is for.
///
/// Of the rules that are for an event, one counts: that of its stream, else that of its type, else that of the category of
/// its stream, else that for everything. Holds all count. Keys are no events: only what is said of them is for them.
///
/// ```
/// use scorebook::{Scope, StreamName};
/// let scope = Scope::category("game")?;
/// assert_eq!(scope.to_string(), "category game");
/// assert!(Scope::category("game-42").is_err());
/// assert_eq!(Scope::Stream(StreamName::new("game-42")?).to_string(), "stream game-42");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All events.
    Everything,
    /// The events of all streams of a category: made by [`category`](Self::category).
    Category(CategoryName),
    /// The events of a type: made by [`event_type`](Self::event_type).
    EventType(EventTypeName),
    /// The events of one stream.
    Stream(StreamName),
    /// The [`once`](crate::BatchBuilder::once) keys, which are kept for [30 days](crate::limits::ONCE_KEY_KEPT_FOR) where no
    /// rule says how long; `Retention::forever()` keeps them for ever. No number of them can be named.
    OnceKeys,
}

/// The name of a category: the part of stream names before the first `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryName(String);

/// The name of a type of events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTypeName(String);

impl Scope {
    /// For the events of all streams of a category.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](ErrorKind::InvalidName): no stream can have this category.
    pub fn category(name: impl Into<String>) -> Result<Scope, Error> {
        let name = name.into();
        let has_dash = || name.contains('-').then(|| format!("`{}` holds `-`", name.escape_debug()));
        match stream_name_fault(&name).or_else(has_dash) {
            None => Ok(Scope::Category(CategoryName(name))),
            Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("category {fault}"))),
        }
    }

    /// For the events of a type.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](ErrorKind::InvalidName): no event can have this type.
    pub fn event_type(name: impl Into<String>) -> Result<Scope, Error> {
        let name = name.into();
        match event_type_fault(&name) {
            None => Ok(Scope::EventType(EventTypeName(name))),
            Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("event type {fault}"))),
        }
    }

    /// The name of what it is for; empty for everything and for keys.
    pub(crate) fn name(&self) -> &str {
        match self {
            Scope::Everything | Scope::OnceKeys => "",
            Scope::Category(name) => &name.0,
            Scope::EventType(name) => &name.0,
            Scope::Stream(name) => name.as_str(),
        }
    }

    /// Whether an event of a type in a stream is meant.
    pub(crate) fn is_for(&self, stream: &str, event_type: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Category(name) => crate::name::category(stream) == name.0,
            Scope::EventType(name) => event_type == name.0,
            Scope::Stream(name) => stream == name.as_str(),
            Scope::OnceKeys => false,
        }
    }
}

impl CategoryName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EventTypeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everything => f.write_str("everything"),
            Scope::Category(name) => write!(f, "category {}", name.0),
            Scope::EventType(name) => write!(f, "type {}", name.0),
            Scope::Stream(name) => write!(f, "stream {name}"),
            Scope::OnceKeys => f.write_str("once keys"),
        }
    }
}

/// Which events are kept: those that are within **all** limits that are given. Without a limit everything is kept for ever.
///
/// A rule says what a compaction may remove, and nothing else: until then everything is read as before.
///
/// ```
/// use scorebook::Retention;
/// use std::time::Duration;
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let rule = Retention::forever().newest(1_000).newer_than(month);
/// assert_eq!(rule.to_string(), "the newest 1000, newer than 2592000 s");
/// assert_eq!(Retention::forever().to_string(), "for ever");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is set"]
pub struct Retention {
    newest: Option<u64>,
    newer_than: Option<Duration>,
}

impl Retention {
    /// Everything is kept.
    pub const fn forever() -> Retention {
        Retention { newest: None, newer_than: None }
    }

    /// Only the newest events of each stream, so many. At least one. Default: all.
    pub const fn newest(self, events: u64) -> Retention {
        let newest = if events == 0 { 1 } else { events };
        Retention { newest: Some(newest), ..self }
    }

    /// Only events that are not older than this, by the store's time. Default: however old.
    pub const fn newer_than(self, age: Duration) -> Retention {
        Retention { newer_than: Some(age), ..self }
    }

    /// How many events of each stream are kept, where that is limited.
    #[must_use]
    pub const fn events(&self) -> Option<u64> {
        self.newest
    }

    /// How old events may become, where that is limited.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.newer_than
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.newest, self.newer_than) {
            (None, None) => f.write_str("for ever"),
            (Some(newest), None) => write!(f, "the newest {newest}"),
            (None, Some(age)) => write!(f, "newer than {} s", age.as_secs_f64()),
            (Some(newest), Some(age)) => write!(f, "the newest {newest}, newer than {} s", age.as_secs_f64()),
        }
    }
}
