//! The registry that the aggregates of a store go by.

use super::event::Event;
use super::fault::RegistryFaults;
use super::registry::Registry;
use crate::error::Error;
use crate::store::EventStore;
use std::marker::PhantomData;

impl EventStore {
    /// Makes this the registry by which the store's aggregates read and check their events, for all handles of the store.
    /// Default: each aggregate goes by what its own events say of themselves.
    ///
    /// What was recorded is not looked at: [`Registry::check`] does that.
    pub fn use_registry(&self, registry: &Registry) {
        self.keep(registry.clone());
    }

    /// The registry that was given to [`use_registry`](Self::use_registry).
    #[must_use]
    pub fn registry(&self) -> Option<Registry> {
        self.kept::<Registry>().map(|registry| Registry::clone(&registry))
    }

    /// The registry of the store; where it has none, one of this enum alone, which is made at its first use.
    pub(crate) fn registry_for<E: Event>(&self) -> Result<Registry, Error> {
        if let Some(registry) = self.kept::<Registry>() {
            return Ok(Registry::clone(&registry));
        }
        let own = self.kept_or(|| Own::<E>(Registry::builder().events::<E>().build(), PhantomData));
        own.0.clone().map_err(Error::from)
    }
}

/// The registry of one enum alone.
struct Own<E>(Result<Registry, RegistryFaults>, PhantomData<fn() -> E>);
