//! What floors above keep with a store, one value of each type. This floor does not know what it is.

use super::EventStore;
use crate::sync::{Arc, RwLock};
use std::any::{Any, TypeId};
use std::collections::HashMap;

/// Values by their type.
#[derive(Default)]
pub(super) struct Above(RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl EventStore {
    /// Keeps a value for a floor above, in place of the one of this type that was kept before.
    pub(crate) fn keep<T: Any + Send + Sync>(&self, value: T) {
        self.shared.above.0.write().insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of this type that is kept.
    pub(crate) fn kept<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let found = self.shared.above.0.read().get(&TypeId::of::<T>()).cloned();
        found.and_then(|value| value.downcast().ok())
    }

    /// The value of this type that is kept; where there is none, the one that is made now.
    ///
    /// Two threads may make one at the same time; both go on with the one that is kept.
    pub(crate) fn kept_or<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = self.kept() {
            return kept;
        }
        let made: Arc<dyn Any + Send + Sync> = Arc::new(make());
        let kept = self.shared.above.0.write().entry(TypeId::of::<T>()).or_insert(made).clone();
        kept.downcast().ok().expect("a value is kept under its own type")
    }
}
