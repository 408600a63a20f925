//! The handle of a projection that follows.

use super::fault::ProjectionFault;
use super::folded::Folded;
use super::kind::Projection;
use super::reached::Reached;
use super::rebuild::Rebuild;
use super::running::Running;
use crate::error::Error;
use crate::modelling::EventContext;
use crate::position::Position;
use crate::store::EventStore;
use crate::sync::Arc;
use std::fmt;

/// A projection that follows its store: cheap to clone, all clones and all who ask for it share the one there is.
///
/// It folds in what comes on a thread of its own, or on that of whoever cannot wait. It does not keep the store open, and
/// ends when that is closed; its last state can be read then, too.
///
/// Readers are never held up by the fold, nor the fold by readers: there are two copies of the state, and a third one where
/// a reader takes its time.
pub struct View<P: Projection> {
    pub(super) running: Arc<Running<P>>,
}

impl EventStore {
    /// The projection of this type, which begins to follow where none does yet: from its saved state, or from the first
    /// event. It catches up behind the caller's back; [`View::reached`] waits for it.
    ///
    /// On a simulated disk, where a store has no threads, it is folded by who waits for a position.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](crate::ErrorKind::InvalidName), [`InvalidArgument`](crate::ErrorKind::InvalidArgument),
    ///   [`TooLarge`](crate::ErrorKind::TooLarge): the name or the query of the projection has a fault, its name is another
    ///   type's in this store, or the registry of the store has not its events.
    /// * [`Io`](crate::ErrorKind::Io): no thread could be started.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn projection<P: Projection>(&self) -> Result<View<P>, Error> {
        Running::of(self).map(|running| View { running })
    }
}

impl<P: Projection> View<P> {
    /// Looks at the state, as far as it is folded.
    pub fn read<T>(&self, look: impl FnOnce(&P) -> T) -> T {
        look(&self.state())
    }

    /// Looks at the state with everything in it up to a position at least, such as that of a receipt: what is missing is
    /// folded in on this thread.
    ///
    /// # Errors
    ///
    /// Those of [`Reached::wait`].
    pub fn read_at<T>(&self, position: Position, look: impl FnOnce(&P) -> T) -> Result<T, Error> {
        self.reached(position).wait()?;
        Ok(self.read(look))
    }

    /// The state as far as it is folded, to look at for as long as one likes: it changes no more.
    #[must_use]
    pub fn state(&self) -> Folded<P> {
        self.running.folded()
    }

    /// Up to where everything is folded in that the projection asks for. It goes back only where a store is
    /// [opened again](EventStore::reopen) with less than there was.
    #[must_use]
    pub fn position(&self) -> Position {
        self.running.position()
    }

    /// Waits until everything up to a position is folded in: on a thread, or as a task of any runtime. The position may be
    /// one that the store has not come to yet.
    pub fn reached(&self, position: Position) -> Reached<P> {
        Reached::new(self.running.clone(), position)
    }

    /// What has stopped it. A projection that has stopped folds nothing in and disturbs nobody; its state is that before the
    /// event that could not be folded in.
    #[must_use]
    pub fn fault(&self) -> Option<ProjectionFault> {
        self.running.fault()
    }

    /// Tries again where it has stopped, with the registry that the store has now. Fine where it has not.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the registry of the store has not the projection's events.
    /// * [`Io`](crate::ErrorKind::Io): no thread could be started.
    /// * [`Closed`](crate::ErrorKind::Closed): the store was closed, and the projection has ended.
    pub fn resume(&self) -> Result<(), Error> {
        self.running.resume()
    }

    /// Has something called for every event that comes from when the projection has caught up: once for each, in their
    /// order, with a state that has it and perhaps later ones. Not for what is folded in to catch up, nor in a rebuild, so
    /// this is where side effects belong. It is called on the thread that folds, one event at a time, and may ask the view.
    ///
    /// What was not told when the store is closed is not told any more: where none may be missed, use a subscription and
    /// keep its position.
    ///
    /// Where it panics the projection stops, with the event that it was told of as the [`fault`](Self::fault); of what was
    /// folded in with that event it is told all the same.
    pub fn on_change(&self, hook: impl Fn(&P, &P::Event, &EventContext<'_>) + Send + Sync + 'static) {
        self.running.hooks.add(Arc::new(hook));
    }

    /// Folds the projection anew from the first event, beside this one, which goes on to be read and to follow. When the new
    /// state goes as far, it takes the place of the old one. One at a time: where one is under way this gives that.
    ///
    /// # Errors
    ///
    /// * [`Io`](crate::ErrorKind::Io): no thread could be started.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn rebuild(&self) -> Result<Rebuild<P>, Error> {
        Rebuild::begin(&self.running)
    }

    /// Writes the state to its file, so that the next opening goes on from there, whatever
    /// [`saving`](Projection::saving) says. Everything in it is durable then. A store in memory has no
    /// files, and one that was opened for reading only writes none: there nothing happens.
    ///
    /// # Errors
    ///
    /// * [`Encode`](crate::ErrorKind::Encode): the state cannot be written as JSON.
    /// * [`TooLarge`](crate::ErrorKind::TooLarge): it takes a gigabyte or more.
    /// * [`Full`](crate::ErrorKind::Full), [`Io`](crate::ErrorKind::Io), [`Poisoned`](crate::ErrorKind::Poisoned): it could
    ///   not be written, or what is in it not be made durable.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn save(&self) -> Result<(), Error> {
        let store = self.running.link.store()?;
        self.running.save(&store)
    }

    /// Up to where the state goes that was saved or read last; [`Position::BEGINNING`] where none was.
    #[must_use]
    pub fn saved(&self) -> Position {
        self.running.desk.lock().saved()
    }
}

impl<P: Projection> Clone for View<P> {
    fn clone(&self) -> View<P> {
        View { running: self.running.clone() }
    }
}

impl<P: Projection> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.fault().is_some() { ", stopped" } else { "" };
        write!(f, "view of projection {} at position {}{state}", P::NAME, self.position())
    }
}
