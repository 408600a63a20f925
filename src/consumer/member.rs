//! One of those who take events from a consumer.

use super::definition::Consumer;
use super::delivery::Delivery;
use super::flow::MemberId;
use super::registry::Registry;
use super::runtime::Runtime;
use crate::error::Error;
use crate::index::Plan;
use crate::options::Durability;
use crate::store::{CalledFor, EventStore, LOOK_EVERY, Seat};
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// One of those who take events from a [`Consumer`]: each event goes to one of them. Dropping it leaves: what it was handed
/// and has not said anything of goes to the others.
#[must_use = "a member takes nothing until it is asked"]
pub struct Member {
    runtime: Arc<Runtime>,
    id: MemberId,
    seat: Seat,
    called_for: CalledFor,
}

impl EventStore {
    /// Joins a consumer as one more member, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](crate::ErrorKind::InvalidName), [`TooLarge`](crate::ErrorKind::TooLarge): the name or the query has
    ///   a fault.
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the consumer is there and asks for something else, begins
    ///   elsewhere or keeps something else in order; it has as many members as it may, or one of this name; or the query has
    ///   a fault. Nothing was changed.
    /// * [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Closed`](crate::ErrorKind::Closed), and those of an append: its first
    ///   record could not be written.
    pub fn join(&self, consumer: &Consumer) -> Result<Member, Error> {
        consumer.check()?;
        let runtime = Registry::of(self).join(self, consumer)?;
        Member::of(self, runtime, consumer.member.as_deref())
    }
}

impl EventStore {
    /// Joins a consumer beside all who have joined it in this process, as another process would if two could write. For tests:
    /// of those two, whoever moves it second is told.
    #[doc(hidden)]
    pub fn join_apart(&self, consumer: &Consumer) -> Result<Member, Error> {
        let runtime = Runtime::begin(self, consumer, &Registry::of(self))?;
        Member::of(self, runtime, None)
    }
}

impl Member {
    fn of(store: &EventStore, runtime: Arc<Runtime>, name: Option<&str>) -> Result<Member, Error> {
        let id = runtime.join(name)?;
        let hasher = store.sight(Durability::Written)?.hasher;
        let called_for = CalledFor::new(Plan::new(runtime.query(), &hasher));
        Ok(Member { seat: runtime.link.seat(), runtime, id, called_for })
    }

    /// What it is handed next: to be waited for on a thread, or awaited in any runtime.
    #[expect(clippy::should_implement_trait, reason = "an iterator could only wait, and this is awaited, too")]
    pub fn next(&mut self) -> NextDelivery<'_> {
        NextDelivery(self)
    }

    /// What it is handed next, where that is within this time.
    ///
    /// # Errors
    ///
    /// Those of [`NextDelivery::wait`].
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<Delivery>, Error> {
        self.wait(Some(limit), || false)
    }

    /// What it is handed next, where that is there at once.
    ///
    /// # Errors
    ///
    /// Those of [`NextDelivery::wait`].
    pub fn try_next(&mut self) -> Result<Option<Delivery>, Error> {
        let Some(handed) = self.runtime.take(self.id)? else { return Ok(None) };
        let store = self.runtime.link.store()?;
        Ok(Some(Delivery::new(self.runtime.clone(), store, handed)))
    }

    pub(super) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Waits for what it is handed next, for at most as long as given, or until it is told to stop.
    pub(super) fn wait(
        &mut self,
        limit: Option<Duration>,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Option<Delivery>, Error> {
        let begun = self.runtime.now()?;
        loop {
            if is_stopped() {
                return Ok(None);
            }
            if let Some(delivery) = self.try_next()? {
                return Ok(Some(delivery));
            }
            let left = match limit {
                Some(limit) => Some(limit.saturating_sub(self.runtime.now()?.saturating_sub(begun))),
                None => None,
            };
            self.get_ready(None);
            let found = self.try_next();
            if !matches!(found, Ok(None)) || left.is_some_and(|left| left.is_zero()) || is_stopped() {
                self.give_up();
                return found;
            }
            // Without threads of its own nobody calls when a pause is over.
            let must_look = !self.runtime.link.store().is_ok_and(|store| store.has_threads());
            let nap = if must_look { Some(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))) } else { left };
            let was_called = self.seat.waiter().sleep(nap);
            self.give_up();
            if !was_called && nap == left {
                return self.try_next();
            }
        }
    }

    /// Sees to it that it is called when an event comes that is asked for, and when something changes among the members.
    fn get_ready(&mut self, context: Option<&Context<'_>>) {
        self.seat.waiter().get_ready(context.map(|context| context.waker().clone()));
        self.runtime.enroll(self.seat.waiter());
        let is_for_durable = self.runtime.consumer.durability == Durability::Synced;
        self.seat.take(self.called_for.clone(), is_for_durable);
    }

    fn give_up(&mut self) {
        self.seat.leave();
        self.runtime.strike_off(self.seat.waiter());
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Delivery, Error>> {
        self.give_up();
        if let Some(found) = self.try_next().transpose() {
            return Poll::Ready(found);
        }
        self.get_ready(Some(context));
        match self.try_next().transpose() {
            Some(found) => {
                self.give_up();
                Poll::Ready(found)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.give_up();
        self.runtime.leave(self.id);
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {} of consumer {}", self.id, self.runtime.consumer.name)
    }
}

/// What a member is handed next: wait for it on a thread, or await it in any runtime. Nothing is lost where this is dropped.
#[derive(Debug)]
#[must_use = "nothing is handed out until it is waited for"]
pub struct NextDelivery<'a>(&'a mut Member);

impl NextDelivery<'_> {
    /// Waits for it.
    ///
    /// # Errors
    ///
    /// * [`Closed`](crate::ErrorKind::Closed): the store was closed, or is being closed.
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the consumer was deleted or changed, or moved through another
    ///   handle. Joining again goes on from where it is.
    /// * [`Lost`](crate::ErrorKind::Lost), [`Damaged`](crate::ErrorKind::Damaged), [`Io`](crate::ErrorKind::Io): what comes
    ///   next cannot be read.
    pub fn wait(self) -> Result<Delivery, Error> {
        self.0.wait(None, || false).map(|delivery| delivery.expect("without a limit there is a delivery"))
    }
}

impl Future for NextDelivery<'_> {
    type Output = Result<Delivery, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl Drop for NextDelivery<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
