//! What is done before the store is closed: handlers at work are waited for, and no other is called.

use super::shared::Shared;
use crate::store::{BeforeClose, EventStore};
use crate::sync::{Arc, Mutex};
use std::sync::Weak;

/// The buses of a store. Kept with it.
#[derive(Default)]
pub(super) struct Buses(Mutex<Known>);

#[derive(Default)]
struct Known {
    buses: Vec<Weak<Shared>>,
    /// The store asks before it is closed.
    is_asked: bool,
}

/// The value that the store keeps.
#[derive(Default)]
struct Kept(Arc<Buses>);

impl Buses {
    /// Has a bus stopped when the store is closed.
    pub(super) fn note(store: &EventStore, bus: &Arc<Shared>) {
        let buses = store.kept_or(Kept::default).0.clone();
        let mut known = buses.0.lock();
        known.buses.retain(|bus| 0 < bus.strong_count());
        known.buses.push(Arc::downgrade(bus));
        let was_asked = std::mem::replace(&mut known.is_asked, true);
        drop(known);
        if !was_asked {
            store.before_close(buses);
        }
    }
}

impl BeforeClose for Buses {
    fn before_close(&self, _: &EventStore) {
        let Known { buses, .. } = std::mem::take(&mut *self.0.lock());
        let buses: Vec<Arc<Shared>> = buses.iter().filter_map(Weak::upgrade).collect();
        buses.iter().for_each(|bus| bus.begin_to_stop());
        buses.iter().for_each(|bus| bus.wait_for_work_at_close());
    }
}
