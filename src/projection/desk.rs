//! When the state of a projection that follows is written down.

use super::kind::{Projection, Saving};
use super::running::Running;
use super::saved::{self, Found};
use crate::error::{Error, ErrorKind};
use crate::position::Position;
use crate::store::EventStore;
use std::time::Duration;

/// What is known of the saved states.
pub(super) struct Desk {
    /// Up to where the state goes that was saved or found last.
    saved: Position,
    /// When a state was saved last, or that was tried: how many events had been folded in, the time, and how long it took.
    events: u64,
    at: Duration,
    took: Duration,
    /// What is shown was folded anew since: what is saved is to be replaced although it goes as far.
    is_replaced: bool,
    /// The store is about to be closed: nothing is written any more.
    is_closed: bool,
}

/// Writing takes at most one part in so many of the time.
const TIMES_TOOK: u32 = 20;

impl Desk {
    pub(super) fn new<P: Projection>(store: &EventStore, found: Option<&Found<P>>) -> Desk {
        let saved = found.map_or(Position::BEGINNING, |found| found.position);
        Desk { saved, events: 0, at: store.elapsed(), took: Duration::ZERO, is_replaced: false, is_closed: false }
    }

    /// Up to where the state goes that was saved last.
    pub(super) fn saved(&self) -> Position {
        self.saved
    }

    /// What is saved is not what is shown any more.
    pub(super) fn note_replaced(&mut self) {
        self.is_replaced = true;
    }

    fn save<P: Projection>(&mut self, running: &Running<P>, store: &EventStore) -> Result<(), Error> {
        if self.is_closed {
            return Err(Error::new(ErrorKind::Closed, "the store was closed"));
        }
        let (folded, events) = (running.folded(), running.events());
        if folded.position() == self.saved && !self.is_replaced || !store.has_a_desk() {
            return Ok(());
        }
        let begun = store.elapsed();
        let saved = saved::save(store, &folded, self.is_replaced);
        self.is_replaced &= saved.is_err();
        if let Ok(true) = saved {
            self.saved = folded.position();
        }
        let now = store.elapsed();
        (self.events, self.at, self.took) = (events, now, now.saturating_sub(begun));
        saved.map(drop)
    }
}

impl<P: Projection> Running<P> {
    /// Writes the state down; what is saved already is not written again.
    ///
    /// The handle of the store is the caller's: whatever it has to do when it is dropped is done with no lock held.
    pub(super) fn save(&self, store: &EventStore) -> Result<(), Error> {
        self.desk.lock().save(self, store)
    }

    /// Writes it down when enough was folded in since the last time.
    pub(super) fn save_where_due(&self) {
        let Saving::Every(events) = P::saving() else { return };
        let Ok(store) = self.link.store() else { return };
        let Some(mut desk) = self.desk.try_lock_for(Duration::ZERO) else { return };
        let is_due = events <= self.events().saturating_sub(desk.events) && store.has_a_desk();
        if is_due && desk.at.saturating_add(desk.took * TIMES_TOOK) <= store.elapsed() {
            // Where it cannot be written it is tried again after as many events; only speed is lost.
            let _ = desk.save(self, &store);
        }
    }

    /// Writes it down for the last time.
    pub(super) fn save_for_good(&self, store: &EventStore) {
        let mut desk = self.desk.lock();
        if P::saving() != Saving::Never {
            // The next opening folds in what is missing.
            let _ = desk.save(self, store);
        }
        desk.is_closed = true;
    }
}
