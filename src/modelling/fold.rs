//! What is known of an aggregate without its type: how the events of a stream are folded, for whoever folds a whole log.

use super::aggregate::Aggregate;
use super::load::fold_in;
use super::registry::{Registry, RegistryBuilder};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::name::StreamName;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

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

/// An aggregate whose type is known.
struct FoldOf<A>(PhantomData<fn() -> A>);

struct StateOf<'a, A> {
    registry: &'a Registry,
    state: A,
}

impl<A: Aggregate> AnyFold for FoldOf<A> {
    fn aggregate(&self) -> &'static str {
        type_name::<A>()
    }

    fn begin<'a>(&'a self, registry: &'a Registry, stream: &StreamName) -> Box<dyn AnyState + 'a> {
        Box::new(StateOf { registry, state: A::new(stream) })
    }
}

impl<A: Aggregate> AnyState for StateOf<'_, A> {
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        fold_in(&mut self.state, self.registry, event)
    }
}

impl RegistryBuilder {
    /// Says that the streams of a category are folded as an aggregate, whose events are taken in too. Of several for one
    /// category the last one counts.
    ///
    /// This is for whoever goes through a whole log, such as [`Registry::check`]: a program that loads an aggregate names it
    /// there and then.
    #[must_use]
    pub fn aggregate<A: Aggregate + fmt::Debug>(self, category: &str) -> RegistryBuilder {
        self.events::<A::Event>().fold(category, Box::new(FoldOf::<A>(PhantomData)))
    }
}
