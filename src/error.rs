//! What can go wrong: trouble to be passed on, and answers a caller acts on.

use crate::name::StreamName;
use crate::position::{ExpectedVersion, Position, Revision, Version};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Trouble: the store could not do what was asked.
///
/// The text names the act and the place, [`kind`](Error::kind) says what sort of trouble it is, and the
/// source says the rest. Cheap to clone: one failure may be the answer to many waiting appends.
///
/// ```
/// use scorebook::{ErrorKind, StreamName};
/// let error = StreamName::new("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidName);
/// assert_eq!(error.to_string(), "stream name is empty: it must have 1 to 255 bytes");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    act: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The sort of trouble an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, type or key has a form that is not allowed.
    InvalidName,
    /// An argument makes no sense here.
    InvalidArgument,
    /// A size or count is over its limit.
    TooLarge,
    /// There is no store in this directory.
    StoreNotFound,
    /// The stream has no events.
    StreamNotFound,
    /// There is no such event.
    EventNotFound,
    /// The stream was deleted.
    Deleted,
    /// What was asked for lies before the first event that was kept.
    BelowFloor,
    /// What was asked for was lost to damage, and a salvage recorded the loss.
    Lost,
    /// A payload could not be encoded.
    Encode,
    /// A payload could not be decoded.
    Decode,
    /// The type of an event is not known to whoever asked to decode it.
    UnknownType,
    /// Acknowledged bytes do not verify.
    Damaged,
    /// Another writer has the store open.
    Locked,
    /// The store was opened for reading only.
    ReadOnly,
    /// There is no room on the disk; nothing changed, and it goes on by itself once there is some.
    Full,
    /// Too much is waiting to be written; nothing changed.
    Busy,
    /// A write or a sync failed earlier; nothing is written any more until the store is reopened.
    Poisoned,
    /// A write or a sync failed while this was under way: it may or may not be there after reopening.
    OutcomeUnknown,
    /// The file was written by a newer version of the format.
    TooNew,
    /// The store was closed.
    Closed,
    /// The operating system reported an error.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, act: impl Into<String>) -> Error {
        Error(Arc::new(Inner { kind, act: act.into(), source: None }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        act: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        Error(Arc::new(Inner { kind, act: act.into(), source: Some(source.into()) }))
    }

    /// Trouble with the operating system while doing `act`, sorted by what a caller can do about it.
    pub(crate) fn io(act: impl Into<String>, source: std::io::Error) -> Error {
        let kind = if is_no_room(&source) { ErrorKind::Full } else { ErrorKind::Io };
        Error::with_source(kind, act, source)
    }

    /// The sort of trouble this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

/// Whether an error of the operating system says that there is no room: disk, quota or file size.
pub(crate) fn is_no_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Io;
    matches!(error.kind(), Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.act)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.act)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// Why an append was not accepted, or what became of it.
///
/// There is no conversion into [`Error`], so `?` never carries a conflict away unseen; who does not care
/// calls [`into_error`](AppendError::into_error).
#[derive(Clone, Debug)]
pub enum AppendError {
    /// A condition does not hold. Nothing was written. Read again, decide again, retry.
    Conflict(Conflict),
    /// The store could not do it. Nothing was written, unless the kind is
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
    Store(Error),
}

impl AppendError {
    /// The trouble, with a conflict turned into one of kind [`InvalidArgument`](ErrorKind::InvalidArgument).
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            AppendError::Conflict(conflict) => {
                Error::with_source(ErrorKind::InvalidArgument, "appending a batch that conflicts", conflict)
            }
            AppendError::Store(error) => error,
        }
    }

    /// The conflict, if this is one.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            AppendError::Conflict(conflict) => Some(conflict),
            AppendError::Store(_) => None,
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Conflict(conflict) => conflict.fmt(f),
            AppendError::Store(error) => error.fmt(f),
        }
    }
}

impl StdError for AppendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            AppendError::Conflict(_) => None,
            AppendError::Store(error) => error.source(),
        }
    }
}

/// The answer when a condition of a batch does not hold: which one, what was expected, what is.
///
/// By the time a conflict is answered, a read sees at least what the conflict speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// A stream is not at the version that was expected.
    Version {
        /// The stream whose version was not the expected one.
        stream: StreamName,
        /// What the batch asked for.
        expected: ExpectedVersion,
        /// The stream's version when the batch was judged.
        actual: Version,
    },
    /// An event is there that was to be absent.
    Unless {
        /// Which condition of its kind this was: the batch's first has 1.
        number: usize,
        /// The position behind which the query asked.
        after: Position,
        /// The position of the first event behind it that the query asks for.
        position: Position,
    },
    /// The `once` key was there before, with a batch that held something else.
    Once {
        /// The key.
        key: String,
        /// The position of the first event of the batch that came with it.
        position: Position,
    },
    /// Another handle has moved the consumer, changed it or deleted it.
    Consumer {
        /// The name of the consumer.
        name: String,
    },
    /// The stream is finished: it takes nothing more, and its name is not used again.
    Finished {
        /// The stream that was to be written to.
        stream: StreamName,
    },
    /// The events with a tag would take more bytes than a [quota](crate::Quota) allows.
    Quota {
        /// The tag: key, colon, value.
        tag: String,
        /// How many bytes its events take, with those on their way in.
        used: u64,
        /// How many bytes the batch would add.
        asked: u64,
        /// How many they may take.
        limit: u64,
    },
    /// What is said about a stream was changed by somebody else.
    Revision {
        /// The stream it is said about.
        stream: StreamName,
        /// The revision that the batch asked for.
        expected: Revision,
        /// The revision when the batch was judged.
        actual: Revision,
    },
}

impl Conflict {
    /// The version of the stream when the batch was judged, where a version was not the expected one.
    #[must_use]
    pub fn actual(&self) -> Option<Version> {
        match self {
            Conflict::Version { actual, .. } => Some(*actual),
            Conflict::Unless { .. }
            | Conflict::Once { .. }
            | Conflict::Consumer { .. }
            | Conflict::Finished { .. }
            | Conflict::Quota { .. }
            | Conflict::Revision { .. } => None,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Version { stream, expected, actual } => {
                write!(f, "stream {stream} is at version {actual}, expected {expected}")
            }
            Conflict::Unless { number, after, position } => {
                write!(f, "condition {number}: the event at position {position} was to be absent")?;
                if *after == Position::BEGINNING { Ok(()) } else { write!(f, " behind position {after}") }
            }
            Conflict::Once { key, position } => {
                let key = key.escape_debug();
                write!(f, "key `{key}` came before with something else, in the batch at position {position}")
            }
            Conflict::Consumer { name } => write!(f, "another handle has moved consumer {name}"),
            Conflict::Finished { stream } => write!(f, "stream {stream} is finished"),
            Conflict::Quota { tag, used, asked, limit } => {
                let tag = tag.escape_debug();
                write!(f, "{asked} bytes more with tag {tag}: the quota is {limit}, and {used} are used")
            }
            Conflict::Revision { stream, expected, actual } => {
                write!(f, "what is said about stream {stream} has revision {actual}, expected {expected}")
            }
        }
    }
}

impl StdError for Conflict {}
