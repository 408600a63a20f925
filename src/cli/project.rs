//! A projection without its type, as the commands about projections take it.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use scorebook::{Error, EventStore, Position, Projection, ProjectionCheck, SnapshotCheck, StateHash};
use std::marker::PhantomData;
use std::time::Duration;

/// What the tool asks of a projection.
pub(crate) trait AnyProjection {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;

    /// What is saved of it.
    fn saved(&self, store: &EventStore) -> Result<Option<State>, Error>;

    /// How many events that it asks for stand behind a position.
    fn events_behind(&self, store: &EventStore, position: Position) -> Result<u64, Error>;

    /// Folds it anew from the first event and saves what that comes to.
    fn rebuild(&self, store: &EventStore) -> Result<State, Error>;

    /// Holds what is saved of it against what its events fold to.
    fn verify_snapshots(&self, store: &EventStore) -> Result<Vec<SnapshotCheck>, Error>;

    /// Folds it twice, in one go and in pieces, and holds what is saved against that.
    fn check(&self, store: &EventStore) -> Result<ProjectionCheck, Error>;
}

/// A state of a projection: up to where it is folded, and what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) position: Position,
    pub(crate) hash: StateHash,
}

/// The projection of a type.
pub(crate) struct Of<P>(PhantomData<fn() -> P>);

impl<P: Projection> Of<P> {
    pub(crate) fn new() -> Of<P> {
        Of(PhantomData)
    }
}

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl<P: Projection> AnyProjection for Of<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn saved(&self, store: &EventStore) -> Result<Option<State>, Error> {
        let saved = store.saved_projection::<P>()?;
        saved.map(|folded| Ok(State { position: folded.position(), hash: folded.hash()? })).transpose()
    }

    fn events_behind(&self, store: &EventStore, position: Position) -> Result<u64, Error> {
        store.read_all().after(position).matching(P::query()).count()
    }

    fn rebuild(&self, store: &EventStore) -> Result<State, Error> {
        let progress = Progress::of_positions(store.head()?);
        let view = store.projection::<P>()?;
        let rebuild = view.rebuild()?;
        while rebuild.wait_timeout(LOOK_EVERY)?.is_none() {
            progress.folded(&rebuild.progress());
        }
        view.save()?;
        let state = view.state();
        Ok(State { position: state.position(), hash: state.hash()? })
    }

    fn verify_snapshots(&self, store: &EventStore) -> Result<Vec<SnapshotCheck>, Error> {
        store.verify_projection_snapshots::<P>()
    }

    fn check(&self, store: &EventStore) -> Result<ProjectionCheck, Error> {
        let _progress = Progress::of_nobody_knows("folding it twice");
        store.check_projection::<P>()
    }
}

impl Tool {
    /// The projection of a name.
    pub(crate) fn projection(&self, name: &str) -> Result<&dyn AnyProjection, Failure> {
        let found = self.projections.iter().find(|projection| projection.name() == name);
        found.map(|projection| &**projection).ok_or_else(|| {
            let known: Vec<&str> = self.projections.iter().map(|projection| projection.name()).collect();
            let known = if known.is_empty() { NONE.to_owned() } else { format!("there are: {}", known.join(", ")) };
            let text = format!("there is no projection {name}");
            Failure::new(crate::cli::failure::Exit::NotFound, text).advise(known)
        })
    }

    /// Has a store read events as this program does.
    pub(crate) fn lend_registry(&self, store: &EventStore) {
        // Where it knows no events, projections read theirs by what these say of themselves.
        if self.registry.types().next().is_some() {
            store.use_registry(&self.registry);
        }
    }
}

/// Where there are none.
pub(crate) const NONE: &str = "this program has no projections: one that ends in scorebook::cli::run(Linked::new(registry).projection::<P>()) has";
