//! The consumers of a store that somebody has joined.

use super::definition::Consumer;
use super::runtime::Runtime;
use super::timer::Timer;
use crate::error::{Conflict, Error};
use crate::store::{BeforeClose, EventStore};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::sync::Weak;

/// See the module. Kept with the store.
pub(super) struct Registry {
    pub(super) timer: Arc<Timer>,
    /// Taken before what a runtime locks.
    joined: Mutex<Joined>,
}

#[derive(Default)]
struct Joined {
    /// By name.
    runtimes: BTreeMap<String, Weak<Runtime>>,
    /// The store is going to say when it is closed.
    is_told: bool,
}

/// The value that the store keeps.
struct Kept(Arc<Registry>);

impl Registry {
    pub(super) fn of(store: &EventStore) -> Arc<Registry> {
        let make = || {
            let timer = Arc::new(Timer::new(store.link()));
            Kept(Arc::new(Registry { timer, joined: Mutex::default() }))
        };
        store.kept_or(make).0.clone()
    }

    /// The runtime of a consumer, if somebody has joined it.
    pub(super) fn joined(&self, name: &str) -> Option<Arc<Runtime>> {
        let found = self.joined.lock().runtimes.get(name).and_then(Weak::upgrade);
        found.filter(|runtime| !runtime.has_ended())
    }

    /// The runtime of a consumer; where nobody has joined it, one that begins now.
    pub(super) fn join(self: &Arc<Registry>, store: &EventStore, consumer: &Consumer) -> Result<Arc<Runtime>, Error> {
        loop {
            if let Some(runtime) = self.joined(&consumer.name) {
                runtime.check_same(consumer)?;
                return Ok(runtime);
            }
            // With nothing locked: it reads, and writes its first record. Two may begin at a time; one is kept.
            let begun = match Runtime::begin(store, consumer, self) {
                Err(error) if is_conflict(&error) => continue,
                begun => begun?,
            };
            let mut joined = self.joined.lock();
            joined.runtimes.retain(|_, runtime| runtime.upgrade().is_some_and(|runtime| !runtime.has_ended()));
            if joined.runtimes.contains_key(&consumer.name) {
                continue;
            }
            joined.runtimes.insert(consumer.name.clone(), Arc::downgrade(&begun));
            let was_told = std::mem::replace(&mut joined.is_told, true);
            drop(joined);
            if !was_told {
                store.before_close(self.clone());
            }
            return Ok(begun);
        }
    }

    fn all(&self) -> Vec<Arc<Runtime>> {
        self.joined.lock().runtimes.values().filter_map(Weak::upgrade).collect()
    }
}

/// Whether somebody else has just begun the same consumer.
fn is_conflict(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Conflict>())
}

impl BeforeClose for Registry {
    fn before_close(&self, store: &EventStore) {
        let all = self.all();
        let begun = store.elapsed();
        all.iter().for_each(|runtime| runtime.begin_to_stop());
        all.iter().for_each(|runtime| runtime.stop(store, begun));
        // One that is begun after the store was opened again is another.
        *self.joined.lock() = Joined::default();
    }
}
