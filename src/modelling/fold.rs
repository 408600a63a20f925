//! What is known of an aggregate without its type: how the events of a stream are folded, for whoever folds a whole log.

use super::registry::Registry;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::name::StreamName;

/// How the streams of a category are folded.
pub(super) trait AnyFold: Send + Sync {
    /// The name of the aggregate.
    fn aggregate(&self) -> &'static str;

    /// The state of a stream without events.
    fn begin<'a>(&'a self, registry: &'a Registry, stream: &StreamName) -> Box<dyn AnyState + 'a>;
}

/// The state of a stream.
pub(super) trait AnyState {
    /// Folds the next event in. Fails where it cannot be decoded; the state is then as it was.
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), Error>;
}
