//! The receipt of an append that is on its way.

use super::writer::Writer;
use crate::error::AppendError;
use crate::log::Ticket;
use crate::mutant::Mutant;
use crate::receipt::Receipt;
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A receipt to come: wait for it on a thread, or await it in any runtime.
///
/// The batch is queued already; dropping this does not take it back. A thread that waits may be the one that writes
/// for all others that wait at this moment.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-1")?;
/// let pending: Vec<_> = (0..100)
///     .map(|n| Ok(store.append(&game, ExpectedVersion::Any, [NewEvent::json("counted", &n)?])))
///     .collect::<Result<_, scorebook::Error>>()?;
/// for receipt in pending {
///     receipt.wait().map_err(|error| error.into_error())?;
/// }
/// assert_eq!(store.version(&game)?.get(), 100);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "without a look at the answer nobody knows whether the batch was accepted"]
pub struct PendingReceipt {
    ticket: Arc<Ticket>,
    /// `None` where the answer was there at once.
    writer: Option<Arc<Writer>>,
}

impl PendingReceipt {
    pub(super) fn new(ticket: Arc<Ticket>, writer: Arc<Writer>) -> PendingReceipt {
        PendingReceipt { ticket, writer: Some(writer) }
    }

    pub(super) fn refused(error: AppendError) -> PendingReceipt {
        PendingReceipt { ticket: Arc::new(Ticket::answered(Err(error))), writer: None }
    }

    /// Waits for the receipt. `Ok` guarantees that the events are visible and as durable as the receipt says.
    ///
    /// # Errors
    ///
    /// * [`Conflict`](AppendError::Conflict): an expectation does not hold; nothing was written.
    /// * [`Store`](AppendError::Store) of kind [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): a write or a sync
    ///   failed under this batch; it may or may not be there after [`reopen`](crate::EventStore::reopen).
    /// * [`Store`](AppendError::Store) of another kind: nothing was written, and it never comes back.
    pub fn wait(self) -> Result<Receipt, AppendError> {
        match &self.writer {
            Some(writer) => writer.wait(&self.ticket),
            None => self.ticket.take().expect("answered when it was made, and taken once"),
        }
    }

    /// Waits for the receipt for at most as long as given, and gives itself back when the time is over.
    /// A write that has begun on this thread is not cut short.
    ///
    /// # Errors
    ///
    /// * `Err`: the time is over; the batch is still queued and the answer will come.
    /// * `Ok(Err(_))`: as for [`wait`](Self::wait).
    pub fn wait_timeout(self, limit: Duration) -> Result<Result<Receipt, AppendError>, PendingReceipt> {
        match self.writer.as_ref().map(|writer| writer.wait_for(&self.ticket, Some(limit))) {
            Some(Some(outcome)) => Ok(outcome),
            Some(None) => Err(self),
            None => Ok(self.wait()),
        }
    }
}

impl Future for PendingReceipt {
    type Output = Result<Receipt, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.writer {
            Some(writer) => writer.log.poll(&self.ticket, context),
            None => Poll::Ready(self.ticket.take().expect("answered when it was made, and polled to its end once")),
        }
    }
}

impl Drop for PendingReceipt {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer
            && !self.ticket.is_done()
            && !Mutant::ForgetsWhatIsLetGo.is_on()
        {
            writer.log.demand();
        }
    }
}

impl fmt::Debug for PendingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ticket.is_done() { "answered append" } else { "pending append" })
    }
}
