//! What a subscription gives, one after the other on a thread.

use super::handle::Subscription;
use super::pull::Followed;
use crate::error::Error;
use std::borrow::BorrowMut;

/// What a subscription gives: each is waited for, and the error that it ends with is the last.
///
/// Made by iterating over a [`Subscription`], or over a mutable reference to one.
#[derive(Debug)]
#[must_use = "nothing is waited for until it is iterated over"]
pub struct Items<S> {
    subscription: S,
    has_ended: bool,
}

impl<S> Items<S> {
    pub(super) fn new(subscription: S) -> Items<S> {
        Items { subscription, has_ended: false }
    }
}

impl<S: BorrowMut<Subscription>> Iterator for Items<S> {
    type Item = Result<Followed, Error>;

    fn next(&mut self) -> Option<Result<Followed, Error>> {
        if self.has_ended {
            return None;
        }
        let item = self.subscription.borrow_mut().next().wait();
        self.has_ended = item.is_err();
        Some(item)
    }
}
