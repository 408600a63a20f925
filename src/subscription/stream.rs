//! A subscription as a stream of tasks.

use super::handle::Subscription;
use super::pull::Followed;
use crate::error::Error;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

impl Stream for Subscription {
    type Item = Result<Followed, Error>;

    /// The error that it ends with is the last item.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let item = self.poll(context);
        self.has_ended = matches!(item, Poll::Ready(Err(_)));
        item.map(Some)
    }
}
