//! What a program that is linked with the tool knows: events, aggregates and projections.

use crate::cli::project::{AnyProjection, Of};
use scorebook::{Projection, Registry};

/// What a program knows of its store, for the tool that is linked with it: a registry of events and aggregates, and
/// projections.
///
/// ```no_run
/// use scorebook::cli::{self, Linked};
/// use scorebook::{EventContext, Projection, Query, RecordedEvent, Registry};
/// use std::process::ExitCode;
///
/// /// How many events there are.
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Count(u64);
///
/// impl Projection for Count {
///     // …
/// #   type Event = RecordedEvent;
/// #   const NAME: &'static str = "count";
/// #   const VERSION: u32 = 1;
/// #   fn query() -> Query {
/// #       Query::all()
/// #   }
/// #   fn new() -> Count {
/// #       Count(0)
/// #   }
/// #   fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) {
/// #       self.0 += 1;
/// #   }
/// }
///
/// // `counting projections` lists `count`, and `counting projection count rebuild` folds it anew.
/// fn main() -> ExitCode {
///     cli::run(Linked::new(Registry::default()).projection::<Count>())
/// }
/// ```
#[must_use = "the tool knows of it when it is run with it"]
pub struct Linked {
    pub(crate) registry: Registry,
    pub(crate) projections: Vec<Box<dyn AnyProjection>>,
}

impl Linked {
    /// A program that knows these events and aggregates, and no projections yet.
    pub fn new(registry: Registry) -> Linked {
        Linked { registry, projections: Vec::new() }
    }

    /// Adds a projection.
    pub fn projection<P: Projection>(mut self) -> Linked {
        self.projections.push(Box::new(Of::<P>::new()));
        self
    }
}

impl From<Registry> for Linked {
    fn from(registry: Registry) -> Linked {
        Linked::new(registry)
    }
}
