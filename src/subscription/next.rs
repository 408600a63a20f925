//! What a subscription gives next, as something to wait for.

use super::handle::Subscription;
use super::pull::Followed;
use crate::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a subscription gives next: wait for it on a thread, or await it in any runtime.
///
/// Nothing is lost where this is dropped.
#[derive(Debug)]
#[must_use = "nothing is given until it is waited for"]
pub struct Next<'a>(&'a mut Subscription);

impl<'a> Next<'a> {
    pub(super) fn new(subscription: &'a mut Subscription) -> Next<'a> {
        Next(subscription)
    }

    /// Waits for it.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](crate::EventStore::subscribe); once the subscription has ended, the same again.
    pub fn wait(self) -> Result<Followed, Error> {
        self.0.wait(None).map(|item| item.expect("without a limit there is an item"))
    }
}

impl Future for Next<'_> {
    type Output = Result<Followed, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// What a subscription gives next and what follows it at once: wait for it on a thread, or await it in any runtime.
///
/// Nothing is lost where this is dropped.
#[derive(Debug)]
#[must_use = "nothing is given until it is waited for"]
pub struct NextBatch<'a> {
    subscription: &'a mut Subscription,
    items_max: usize,
}

impl<'a> NextBatch<'a> {
    pub(super) fn new(subscription: &'a mut Subscription, items_max: usize) -> NextBatch<'a> {
        NextBatch { subscription, items_max }
    }

    /// Waits until there is something, and gives all that is there then, in order.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](crate::EventStore::subscribe), where there is nothing before the end.
    pub fn wait(mut self) -> Result<Vec<Followed>, Error> {
        if self.items_max == 0 {
            return Ok(Vec::new());
        }
        let first = self.subscription.wait(None)?;
        Ok(self.followed_by_what_is_there(first))
    }

    /// The same for at most as long as given; nothing where the time is over.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn wait_timeout(mut self, limit: Duration) -> Result<Vec<Followed>, Error> {
        if self.items_max == 0 {
            return Ok(Vec::new());
        }
        let first = self.subscription.wait(Some(limit))?;
        Ok(self.followed_by_what_is_there(first))
    }

    /// An error behind the first is told when it is asked for next.
    fn followed_by_what_is_there(&mut self, first: Option<Followed>) -> Vec<Followed> {
        let mut items: Vec<Followed> = first.into_iter().collect();
        while !items.is_empty()
            && items.len() < self.items_max
            && let Ok(Some(item)) = self.subscription.try_next()
        {
            items.push(item);
        }
        items
    }
}

impl Future for NextBatch<'_> {
    type Output = Result<Vec<Followed>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.items_max == 0 {
            return Poll::Ready(Ok(Vec::new()));
        }
        self.subscription.poll(context).map(|first| Ok(self.followed_by_what_is_there(Some(first?))))
    }
}

impl Drop for NextBatch<'_> {
    fn drop(&mut self) {
        self.subscription.give_up();
    }
}
