//! What has stopped a projection, and where.

use crate::error::Error;
use crate::event::RecordedEvent;
use crate::name::StreamName;
use crate::position::{Position, Version};
use std::error::Error as StdError;
use std::fmt;

/// What has stopped a projection: at which event, and why. Everything before that event is folded in.
#[derive(Clone, Debug)]
pub struct ProjectionFault {
    event: Option<(Position, StreamName, Version)>,
    error: Error,
}

impl ProjectionFault {
    /// An event could not be folded in.
    pub(super) fn at(event: &RecordedEvent, error: Error) -> ProjectionFault {
        ProjectionFault { event: Some((event.position(), event.stream_name(), event.version())), error }
    }

    /// What comes next could not be read.
    pub(super) fn reading(error: Error) -> ProjectionFault {
        ProjectionFault { event: None, error }
    }

    /// The position of the event that could not be folded in; `None` where what comes next could not even be read.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.event.as_ref().map(|(position, _, _)| *position)
    }

    /// The stream of that event.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamName> {
        self.event.as_ref().map(|(_, stream, _)| stream)
    }

    /// Its place in that stream.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.event.as_ref().map(|(_, _, version)| *version)
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The same as trouble of whoever needed what was not folded.
    pub(super) fn told(&self, act: String) -> Error {
        Error::with_source(self.error.kind(), act, self.clone())
    }
}

impl fmt::Display for ProjectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event {
            Some((position, stream, version)) => {
                write!(f, "it stopped at position {position}, event {version} of stream {stream}")
            }
            None => f.write_str("it stopped where the log could not be read"),
        }
    }
}

impl StdError for ProjectionFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}
