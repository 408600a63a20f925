//! Quotas: how many bytes of the log the events with a tag may take.

use crate::error::{Error, ErrorKind};
use crate::name::tag_fault;
use std::fmt;

/// What a quota is for: a tag, or each value of a key.
///
/// ```
/// use scorebook::TagScope;
/// assert_eq!(TagScope::tag("guild", 7)?.to_string(), "guild:7");
/// assert_eq!(TagScope::each("guild")?.to_string(), "each guild");
/// assert!(TagScope::each("guild:7").is_err());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagScope {
    key: String,
    value: Option<String>,
}

impl TagScope {
    /// For the events with a tag.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](ErrorKind::InvalidName): no event can have this tag.
    pub fn tag(key: &str, value: impl fmt::Display) -> Result<TagScope, Error> {
        TagScope::new(key, Some(value.to_string()))
    }

    /// For the events with each value of a key, on its own. A number for each value is kept in memory.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](ErrorKind::InvalidName): no tag can have this key.
    pub fn each(key: &str) -> Result<TagScope, Error> {
        TagScope::new(key, None)
    }

    fn new(key: &str, value: Option<String>) -> Result<TagScope, Error> {
        match tag_fault(key, value.as_deref().unwrap_or_default()) {
            None => Ok(TagScope { key: key.to_owned(), value }),
            Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("the tag of a quota {fault}"))),
        }
    }

    /// The key of the tags.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, where it is for one.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Whether a tag is meant.
    pub(crate) fn is_for(&self, key: &str, value: &str) -> bool {
        self.key == key && self.value.as_deref().is_none_or(|own| own == value)
    }
}

impl fmt::Display for TagScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}:{}", self.key, value.escape_debug()),
            None => write!(f, "each {}", self.key),
        }
    }
}

/// How many bytes the events with a tag may take, and what is done where they take more.
///
/// What counts is the record of an event, but for an id that it was given, and what stands in the log: a deletion changes nothing, and a compaction that
/// removes events gives their bytes back. An event counts once, however often it has the tag.
///
/// ```
/// use scorebook::{OverQuota, Quota};
/// let quota = Quota::bytes(64 << 20).refusing();
/// assert_eq!((quota.limit(), quota.action()), (64 << 20, OverQuota::Refuse));
/// assert_eq!(Quota::bytes(1).action(), OverQuota::Report);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a quota does nothing until it is set"]
pub struct Quota {
    bytes: u64,
    action: OverQuota,
}

/// What is done where events with a tag take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverQuota {
    /// It is told, and nothing else.
    Report,
    /// What would come to more is refused.
    Refuse,
    /// The oldest may go with the next compaction.
    Trim,
}

impl Quota {
    /// So many bytes, and more is told. 0 is allowed.
    pub const fn bytes(bytes: u64) -> Quota {
        Quota { bytes, action: OverQuota::Report }
    }

    /// Refuses what would come to more: the append fails with [`Conflict::Quota`](crate::Conflict::Quota), and nothing has changed.
    pub const fn refusing(self) -> Quota {
        Quota { action: OverQuota::Refuse, ..self }
    }

    /// Lets a compaction remove the oldest events, so that the newest which fit are left. Holds, consumers that are not done and
    /// last events of streams keep theirs, as with [`Retention`](crate::Retention).
    pub const fn trimming(self) -> Quota {
        Quota { action: OverQuota::Trim, ..self }
    }

    /// How many bytes.
    #[must_use]
    pub const fn limit(self) -> u64 {
        self.bytes
    }

    /// What is done where there are more.
    #[must_use]
    pub const fn action(self) -> OverQuota {
        self.action
    }
}

/// What a batch adds to what a tag takes, for one quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Of the quota.
    pub(crate) number: u64,
    pub(crate) value: Box<str>,
    pub(crate) bytes: u64,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OverQuota::Report => "report",
            OverQuota::Refuse => "refuse",
            OverQuota::Trim => "trim",
        })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, else {}", self.bytes, self.action)
    }
}
