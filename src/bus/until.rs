//! Waiting until everything up to a position was handled.

use super::inside::is_inside;
use super::shared::Shared;
use crate::error::{Error, ErrorKind};
use crate::log::Waiter;
use crate::position::Position;
use crate::query::Query;
use crate::subscription::{Start, Subscription};
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A position up to which the handlers of a [`Bus`](super::Bus) are to deal with everything: wait for it on a thread, or await
/// it in any runtime.
#[must_use = "nothing is waited for yet"]
pub struct UntilHandled {
    bus: Arc<Shared>,
    position: Position,
    waiter: Arc<Waiter>,
    /// Follows everything, where the store has not come to the position.
    beyond: Option<Subscription>,
}

impl UntilHandled {
    pub(super) fn new(bus: Arc<Shared>, position: Position) -> UntilHandled {
        UntilHandled { bus, position, waiter: Arc::new(Waiter::new()), beyond: None }
    }

    /// Waits for it. `Ok` guarantees that every handler has dealt with every event up to the position that it was to see.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): this was asked inside a handler of the same bus, which would wait for
    ///   itself; or the consumer of a durable handler was deleted, changed, or moved through another handle.
    /// * The kind of what has ended a handler: what comes next could not be read. Without that handler the others can be
    ///   waited for.
    /// * [`Closed`](ErrorKind::Closed): the bus was stopped, or the store closed, before.
    pub fn wait(mut self) -> Result<(), Error> {
        self.wait_for(None).map(drop)
    }

    /// Waits for it for at most as long as given; whether it was so. Where the time is over, the events are no less there, and
    /// the handlers go on.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn wait_timeout(mut self, limit: Duration) -> Result<bool, Error> {
        self.wait_for(Some(limit))
    }

    fn wait_for(&mut self, limit: Option<Duration>) -> Result<bool, Error> {
        let elapsed = |this: &UntilHandled| Ok::<_, Error>(this.bus.link.store()?.elapsed());
        let begun = if limit.is_some() { elapsed(self)? } else { Duration::ZERO };
        loop {
            if self.is_so(None)? {
                return Ok(true);
            }
            let left = match limit {
                Some(limit) => Some(limit.saturating_sub(elapsed(self)?.saturating_sub(begun))),
                None => None,
            };
            let was_called = left.is_none_or(|left| !left.is_zero()) && self.waiter.sleep(left);
            // On a disk where no time passes the limit never comes nearer.
            if !was_called && left.is_some() {
                return self.bus.has_handled(self.position);
            }
        }
    }

    /// Whether it is so; where it is not, whoever waits is called when it may be.
    fn is_so(&mut self, waker: Option<Waker>) -> Result<bool, Error> {
        if is_inside(self.bus.number) {
            let act = format!("waiting until position {} is handled, inside a handler of the same bus", self.position);
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        if self.bus.has_handled(self.position)? {
            return Ok(true);
        }
        self.bus.strike_off(&self.waiter);
        self.waiter.get_ready(waker);
        while self.bus.link.store()?.head()? < self.position {
            let waker = Waker::from(self.waiter.clone());
            match self.beyond()?.poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => {}
                // Where it ends there is news as well.
                Poll::Ready(Err(_)) => self.beyond = None,
            }
        }
        // IMPORTANT: the last look comes behind: whoever has handled something calls those who are known by then.
        self.bus.enroll(self.position, &self.waiter);
        self.bus.has_handled(self.position)
    }

    /// What is called by every event that comes.
    fn beyond(&mut self) -> Result<&mut Subscription, Error> {
        let beyond = match self.beyond.take() {
            Some(beyond) => beyond,
            None => {
                let store = self.bus.link.store()?;
                store.subscribe(Query::all(), Start::After(store.head()?)).skipping_lost()
            }
        };
        Ok(self.beyond.insert(beyond))
    }
}

impl Future for UntilHandled {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.is_so(Some(context.waker().clone())) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for UntilHandled {
    fn drop(&mut self) {
        self.bus.strike_off(&self.waiter);
    }
}

impl fmt::Debug for UntilHandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting until position {} is handled", self.position)
    }
}
