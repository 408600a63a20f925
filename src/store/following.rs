//! What whoever follows a store needs of it: a look at how far it reaches, and somebody who calls when there is more.

use super::audience::{Audience, Seat};
use super::view::SharedView;
use super::{AllRead, Engine, EventStore, Shared, closed};
use crate::error::{Error, ErrorKind};
use crate::format::TermHasher;
use crate::index::{Hole, KnownConsumer};
use crate::log::{Ends, wake};
use crate::options::Durability;
use crate::position::Position;
use crate::sync::{Arc, ThreadBuilder, sleep};
use crate::time::Timestamp;
use std::sync::Weak;
use std::time::Duration;

/// How often a store that another process writes to is asked whether there is more.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a floor above does before a store is closed.
pub(crate) trait BeforeClose: Send + Sync {
    fn before_close(&self, store: &EventStore);
}

/// A hold on a store that does not keep it open.
#[derive(Clone)]
pub(crate) struct StoreLink {
    shared: Weak<Shared>,
    audience: Arc<Audience>,
    /// How often the store had been closed when this was made.
    closings: u64,
}

impl EventStore {
    pub(crate) fn link(&self) -> StoreLink {
        let audience = self.shared.audience.clone();
        StoreLink { shared: Arc::downgrade(&self.shared), closings: audience.closings(), audience }
    }

    /// How far it reaches now.
    pub(crate) fn sight(&self, durability: Durability) -> Result<Sight, Error> {
        let view = self.view()?;
        let ends = match durability {
            Durability::Written => None,
            Durability::Synced => Some(self.ends()?),
        };
        let seen = view.0.read();
        let (head, opening, hasher) = (seen.head, seen.opening, *seen.terms.hasher());
        drop(seen);
        // What is durable may be ahead of what is visible for a moment.
        let reach = ends.map_or(head, |ends| ends.durable_position.min(head));
        Ok(Sight { view, reach, opening, hasher })
    }

    /// Which opening of the store shows what is visible.
    pub(crate) fn opening(&self) -> Result<u64, Error> {
        Ok(self.view()?.0.read().opening)
    }

    /// Time that only rises, for waiting.
    pub(crate) fn elapsed(&self) -> Duration {
        self.shared.storage.elapsed()
    }

    fn ends(&self) -> Result<Ends, Error> {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) => Ok(writer.log.ends()),
            Engine::Reading(reader) => Ok(reader.known_of_log().ends),
            Engine::Closed(_) => Err(closed()),
        }
    }

    /// The time by the wall clock.
    pub(crate) fn clock(&self) -> Timestamp {
        self.shared.storage.now()
    }

    /// Whether work may be left to threads.
    pub(crate) fn has_threads(&self) -> bool {
        self.shared.storage.has_threads()
    }

    /// What is visible of a consumer, also of one that was deleted.
    pub(crate) fn known_consumer(&self, name: &str) -> Result<Option<KnownConsumer>, Error> {
        Ok(self.view()?.0.read().table.consumers().get(name).cloned())
    }

    /// The names of all consumers there are.
    pub(crate) fn known_consumers(&self) -> Result<Vec<Arc<str>>, Error> {
        let view = self.view()?;
        let view = view.0.read();
        let there = view.table.consumers().iter().filter(|(_, known)| !known.is_deleted);
        Ok(there.map(|(name, _)| name.clone()).collect())
    }

    /// Whether it is the same store as another handle's.
    pub(crate) fn is_same(&self, other: &EventStore) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Has a floor above do something before the store is closed.
    pub(crate) fn before_close(&self, act: Arc<dyn BeforeClose>) {
        self.shared.before_close.lock().push(act);
    }

    /// Whether another process may write, and nobody but the caller can look whether it has.
    pub(crate) fn must_be_asked(&self) -> bool {
        !self.shared.storage.has_threads() && self.is_read_only()
    }

    /// Whether it was opened for reading only: another process may be ahead of what is seen here.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(&*self.shared.engine.read(), Engine::Reading(_))
    }

    /// Sees to it that those who wait are called when another process has written.
    pub(crate) fn watch(&self) -> Result<(), Error> {
        if !self.is_read_only() || !self.shared.storage.has_threads() || !self.shared.audience.begin_to_watch() {
            return Ok(());
        }
        let link = self.link();
        let watch = ThreadBuilder::new().name("scorebook-watch".to_owned()).spawn(move || link.watch());
        watch.map(drop).map_err(|error| {
            self.shared.audience.end_watch();
            Error::with_source(ErrorKind::Io, "starting a thread of the store", error)
        })
    }
}

impl StoreLink {
    /// The store; an error once it is closed, or was since this was made.
    pub(crate) fn store(&self) -> Result<EventStore, Error> {
        let shared = self.shared.upgrade().filter(|_| self.audience.closings() == self.closings);
        shared.map(|shared| EventStore { shared }).ok_or_else(closed)
    }

    /// Whether there are more handles than one.
    pub(crate) fn is_held_by_others(&self) -> bool {
        1 < self.shared.strong_count()
    }

    pub(crate) fn seat(&self) -> Seat {
        Seat::new(self.audience.clone())
    }

    /// The lowest place at which the store has ended behind one opening and up to another, where more had been visible.
    pub(crate) fn setback_between(&self, opening: u64, other: u64) -> Option<Position> {
        self.audience.setback_between(opening, other)
    }

    /// Looks now and then, and calls everybody when there is news; until nobody waits any more.
    fn watch(&self) {
        let seen = || {
            let store = self.store().ok()?;
            let view = store.view().ok()?;
            let (head, opening) = (view.0.read().head, view.0.read().opening);
            Some((head, opening, store.ends().ok()?.durable_position))
        };
        let mut last = None;
        loop {
            let now = seen();
            if now != last || now.is_none() {
                wake(self.audience.all().make());
                last = now;
            }
            if self.audience.end_watch_over_nobody() {
                return;
            }
            sleep(LOOK_EVERY);
        }
    }
}

/// What is visible, and how far somebody may go in it.
pub(crate) struct Sight {
    view: Arc<SharedView>,
    /// The last position that is as durable as asked.
    pub(crate) reach: Position,
    /// Which opening of the store shows it.
    pub(crate) opening: u64,
    pub(crate) hasher: TermHasher,
}

impl Sight {
    /// A read of it. More may be visible by then.
    pub(crate) fn read(&self) -> AllRead {
        AllRead::new(Ok(self.view.clone()))
    }

    /// The first positions behind one that no event can be read at.
    /// What was thinned up to a position is known.
    pub(crate) fn first_hole(&self, after: Position, thinned: Position) -> Option<Hole> {
        let behind = self.reach.next().unwrap_or(self.reach);
        self.view.0.read().table.holes().first_told_between(after, behind, thinned)
    }

    /// Why nobody knows whether there is more behind the end.
    pub(crate) fn lost_end(&self) -> Option<Error> {
        let hole = self.view.0.read().table.holes().lost_end()?;
        Some(super::all_events::unreadable(hole.range, hole.kind))
    }
}
