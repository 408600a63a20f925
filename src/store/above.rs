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
        let before = self.shared.above.0.write().insert(TypeId::of::<T>(), Arc::new(value));
        // It goes when nothing is locked: whatever is done then may ask this store.
        drop(before);
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
        // The one that is not kept goes at the end, when nothing is locked.
        let kept = self.shared.above.0.write().entry(TypeId::of::<T>()).or_insert_with(|| made.clone()).clone();
        kept.downcast().expect("a value is kept under its own type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_any_more_may_ask_the_store_when_it_is_dropped() {
        struct Asks(EventStore);

        impl Drop for Asks {
            fn drop(&mut self) {
                assert_eq!(self.0.kept::<u32>().as_deref(), Some(&7));
            }
        }

        let store = EventStore::open_in_memory().expect("a store");
        store.keep(7_u32);
        store.keep(Some(Asks(store.clone())));
        store.keep(None::<Asks>);
        assert!(store.kept::<Option<Asks>>().is_some_and(|kept| kept.is_none()));
    }

    #[test]
    fn one_value_of_each_type_is_kept_for_all_handles() {
        let store = EventStore::open_in_memory().expect("a store");
        assert_eq!(store.kept::<u32>(), None);
        assert_eq!(*store.kept_or(|| 7_u32), 7);
        store.keep("seven");
        let other = store.clone();
        assert_eq!(*other.kept_or(|| 8_u32), 7, "the one that was kept before");
        assert_eq!(other.kept::<&str>().as_deref(), Some(&"seven"));
        other.keep(9_u32);
        assert_eq!(store.kept::<u32>().as_deref(), Some(&9));
    }
}
