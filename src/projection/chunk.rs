//! Events that are folded in together, and what stops a projection among them.

use super::fault::ProjectionFault;
use super::kind::Projection;
use super::read_as::ReadAs;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::modelling::{Registry, caught};
use crate::store::EventStore;
use std::cell::Cell;

/// An event as a projection keeps it until it is folded in.
pub(super) type Kept<P> = <<P as Projection>::Event as ReadAs>::Kept;

/// Reads the events of a projection.
pub(super) struct Reader(Option<Registry>);

impl Reader {
    pub(super) fn new<P: Projection>(store: &EventStore) -> Result<Reader, Error> {
        P::Event::registry(store).map(Reader)
    }

    /// Reads an event; none where nothing of it is to be folded in.
    pub(super) fn keep<P: Projection>(&self, event: RecordedEvent) -> Result<Option<Kept<P>>, ProjectionFault> {
        P::Event::keep(event, self.0.as_ref(), P::on_unknown())
    }
}

/// Folds events into a state. Where that panics the state is lost, and the index of the event it did at is told.
pub(super) fn apply<P: Projection>(mut state: P, chunk: &[Kept<P>]) -> Result<P, (usize, Error)> {
    let at = Cell::new(0);
    let whence =
        || format!("at position {}, in projection {}", P::Event::recorded(&chunk[at.get()]).position(), P::NAME);
    let applied = caught(whence, || {
        for (index, kept) in chunk.iter().enumerate() {
            at.set(index);
            P::Event::each(kept, |event, context| state.apply(event, context));
        }
        Ok(state)
    });
    applied.map_err(|error| (at.get(), error))
}
