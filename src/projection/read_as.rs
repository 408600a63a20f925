//! How the events of a projection are read.

use super::fault::ProjectionFault;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::modelling::{DecodedEvents, Event, EventContext, OnUnknown, Registry};
use crate::store::EventStore;

/// How the events are read that a [`Projection`](super::Projection) is folded from.
///
/// There are two ways, and no more can be added:
///
/// * as those of an enum: every [`Event`] is one. They are decoded, and led there by steps where their schema has changed.
/// * as [`RecordedEvent`]: nothing is decoded but by the projection, which costs nothing where type, stream, tags or time
///   are enough.
pub trait ReadAs: Sealed + Sized + Send + Sync + 'static {
    /// An event that was read, ready to be folded in more than once.
    #[doc(hidden)]
    type Kept: Send + Sync + 'static;

    /// What is needed to read events.
    #[doc(hidden)]
    fn registry(store: &EventStore) -> Result<Option<Registry>, Error>;

    /// Reads an event; none where nothing of it is to be folded in.
    #[doc(hidden)]
    fn keep(
        event: RecordedEvent,
        registry: Option<&Registry>,
        unknown: OnUnknown,
    ) -> Result<Option<Self::Kept>, ProjectionFault>;

    /// The event as it was recorded.
    #[doc(hidden)]
    fn recorded(kept: &Self::Kept) -> &RecordedEvent;

    /// All that it has become.
    #[doc(hidden)]
    fn each(kept: &Self::Kept, act: impl FnMut(&Self, &EventContext<'_>));
}

/// Only what is here can be read as.
pub trait Sealed {}

impl<E: Event> Sealed for E {}
impl Sealed for RecordedEvent {}

impl<E: Event> ReadAs for E {
    type Kept = (RecordedEvent, DecodedEvents<E>);

    fn registry(store: &EventStore) -> Result<Option<Registry>, Error> {
        store.registry_for::<E>().map(Some)
    }

    fn keep(
        event: RecordedEvent,
        registry: Option<&Registry>,
        unknown: OnUnknown,
    ) -> Result<Option<Self::Kept>, ProjectionFault> {
        let registry = registry.expect("an enum is read by a registry");
        let events = match unknown {
            OnUnknown::Fail => registry.decode::<E>(&event),
            OnUnknown::Skip => registry.decode_known::<E>(&event),
        };
        let events = events.map_err(|error| ProjectionFault::at(&event, error))?;
        Ok((!events.as_slice().is_empty()).then_some((event, events)))
    }

    fn recorded((event, _): &Self::Kept) -> &RecordedEvent {
        event
    }

    fn each((event, events): &Self::Kept, mut act: impl FnMut(&E, &EventContext<'_>)) {
        let context = EventContext::of(event);
        events.as_slice().iter().for_each(|event| act(event, &context));
    }
}

impl ReadAs for RecordedEvent {
    type Kept = RecordedEvent;

    fn registry(_: &EventStore) -> Result<Option<Registry>, Error> {
        Ok(None)
    }

    fn keep(
        event: RecordedEvent,
        _: Option<&Registry>,
        _: OnUnknown,
    ) -> Result<Option<RecordedEvent>, ProjectionFault> {
        Ok(Some(event))
    }

    fn recorded(kept: &RecordedEvent) -> &RecordedEvent {
        kept
    }

    fn each(kept: &RecordedEvent, mut act: impl FnMut(&RecordedEvent, &EventContext<'_>)) {
        act(kept, &EventContext::of(kept));
    }
}
