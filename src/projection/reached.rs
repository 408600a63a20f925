//! Waiting until a projection has come to a position.

use super::kind::Projection;
use super::running::{Running, Step};
use crate::error::Error;
use crate::position::Position;
use crate::subscription::Subscription;
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A position that a projection is to come to: wait for it on a thread, or await it in any runtime.
///
/// A thread that waits folds in what is missing by itself, so it does not depend on when another one is woken. A task folds
/// in a little of it, and leaves the rest to the projection's thread.
#[must_use = "nothing is waited for yet"]
pub struct Reached<P: Projection> {
    running: Arc<Running<P>>,
    position: Position,
    /// Follows everything, where the store has not come to the position.
    beyond: Option<Subscription>,
}

impl<P: Projection> Reached<P> {
    pub(super) fn new(running: Arc<Running<P>>, position: Position) -> Reached<P> {
        Reached { running, position, beyond: None }
    }

    /// Waits for it. `Ok` guarantees that everything up to the position that the projection asks for is in the state that is
    /// read from now on.
    ///
    /// # Errors
    ///
    /// * The kind of the [`fault`](super::View::fault): the projection has stopped before.
    /// * [`Closed`](crate::ErrorKind::Closed): the store was closed before.
    pub fn wait(mut self) -> Result<(), Error> {
        self.wait_for(None).map(drop)
    }

    /// Waits for it for at most as long as given; whether it was reached.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn wait_timeout(mut self, limit: Duration) -> Result<bool, Error> {
        self.wait_for(Some(limit))
    }

    fn wait_for(&mut self, limit: Option<Duration>) -> Result<bool, Error> {
        if self.running.has_reached(self.position)? {
            return Ok(true);
        }
        let begun = self.running.link.store()?.elapsed();
        loop {
            let step = self.running.step();
            if self.running.has_reached(self.position)? {
                return Ok(true);
            }
            let passed = self.running.link.store()?.elapsed().saturating_sub(begun);
            let left = limit.map(|limit| limit.saturating_sub(passed));
            // The store has not come to the position yet.
            if step == Step::Level {
                let beyond = self.beyond()?;
                let next = match left {
                    Some(left) => beyond.next_timeout(left).map(|item| item.is_some()),
                    None => beyond.next().wait().map(|_| true),
                };
                match next {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(_) => self.beyond = None,
                }
            } else if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// What is called by every event that comes. Where it ends there is news as well.
    fn beyond(&mut self) -> Result<&mut Subscription, Error> {
        let beyond = match self.beyond.take() {
            Some(beyond) => beyond,
            None => self.running.follow_everything()?,
        };
        Ok(self.beyond.insert(beyond))
    }
}

impl<P: Projection> Future for Reached<P> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.running.has_reached(self.position)? {
                return Poll::Ready(Ok(()));
            }
            let step = self.running.try_step();
            // IMPORTANT: whoever folds on calls those who are known by then, so the look comes behind.
            self.running.call_at(self.position, context.waker());
            if self.running.has_reached(self.position)? {
                return Poll::Ready(Ok(()));
            }
            if step != Some(Step::Level) {
                self.running.have_it_folded(context.waker());
                return Poll::Pending;
            }
            match self.beyond()?.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => self.beyond = None,
            }
        }
    }
}

impl<P: Projection> fmt::Debug for Reached<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projection {} on its way to position {}", P::NAME, self.position)
    }
}
