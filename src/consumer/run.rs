//! Running a handler for a consumer: on a thread of its own, or as a task.

use super::definition::Consumer;
use super::delivery::Delivery;
use super::member::Member;
use super::rules::Verdict;
use super::runtime::Runtime;
use crate::error::{Error, ErrorKind};
use crate::log::Waiter;
use crate::position::Position;
use crate::store::EventStore;
use crate::sync::{Arc, AtomicU32, JoinHandle, Ordering, ThreadBuilder, current_thread};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a handler is not done with an event, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
}

impl Failure {
    /// A failure with a verdict and a reason, which is kept where the event is parked.
    #[must_use]
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Failure {
        Failure { verdict, reason: reason.into() }
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

/// An error is a failure that may pass: the event is tried again.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Failure::new(Verdict::Retry, reason)
    }
}

/// A handler at work on a thread of its own, until it is stopped, dropped, or the store is closed.
#[must_use = "a handler that nobody holds is stopped"]
pub struct Running {
    shared: Arc<Shared>,
    runtime: Arc<Runtime>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Default)]
struct Shared {
    is_stopped: AtomicU32,
    has_ended: AtomicU32,
}

impl Shared {
    fn is_stopped(&self) -> bool {
        // Relaxed: whoever sets it calls the thread afterwards, by way of a lock.
        self.is_stopped.load(Ordering::Relaxed) != 0
    }
}

impl EventStore {
    /// Has a handler called with every event that a consumer asks for, on a thread of its own, as one more member.
    ///
    /// Where it gives `Ok`, what it has said nothing of is done; where it gives a failure or panics, the first event that it
    /// has said nothing of has failed, and those behind it are handed out again. It stops when what this gives is stopped or
    /// dropped, and when the store is closed, which waits for a handler at work as long as
    /// [`stop_within`](Consumer::stop_within) says.
    ///
    /// ```
    /// use scorebook::{Consumer, EventStore, ExpectedVersion, NewEvent, Query, Start, StreamName};
    /// use std::sync::mpsc;
    /// let store = EventStore::open_in_memory()?;
    /// let (told, heard) = mpsc::channel();
    /// let scores = Consumer::new("scores", Query::all().of_type("won"), Start::Beginning);
    /// let running = store.run(&scores, move |delivery| {
    ///     let player: u64 = delivery.event().json()?;
    ///     told.send(player)?;
    ///     Ok(())
    /// })?;
    /// let won = NewEvent::json("won", &8812)?;
    /// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [won]).wait().map_err(|error| error.into_error())?;
    /// assert_eq!(heard.recv(), Ok(8812));
    /// running.stop()?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * Those of [`join`](Self::join).
    /// * [`Io`](ErrorKind::Io): no thread could be started.
    pub fn run(
        &self,
        consumer: &Consumer,
        mut handler: impl FnMut(&Delivery) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Running, Error> {
        let mut member = self.join(consumer)?;
        let runtime = member.runtime().clone();
        let shared = Arc::new(Shared::default());
        let (stopped, at_work) = (shared.clone(), AtWork::begin(&runtime));
        let name = format!("scorebook-run-{}", consumer.name);
        let body = move || {
            let _ended = Ended(stopped.clone());
            let _at_work = at_work.on_this_thread();
            loop {
                match member.wait(None, || stopped.is_stopped()) {
                    Ok(Some(delivery)) => handle(&delivery, &mut handler),
                    Ok(None) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        let thread = ThreadBuilder::new().name(name).spawn(body);
        let thread = thread.map_err(|error| Error::with_source(ErrorKind::Io, "starting a handler's thread", error))?;
        Ok(Running { shared, runtime, thread: Some(thread) })
    }

    /// The same as a task of the caller's runtime: ends with `Ok` when the store is closed. Dropping it stops the handler; what
    /// it had in hand is handed out again. Closing the store does not wait for it: it may be closed by the thread that runs it.
    ///
    /// # Errors
    ///
    /// * Those of [`join`](Self::join), and of [`NextDelivery::wait`](super::NextDelivery::wait) but for
    ///   [`Closed`](ErrorKind::Closed).
    pub async fn run_task(
        &self,
        consumer: &Consumer,
        mut handler: impl AsyncFnMut(&Delivery) -> Result<(), Failure>,
    ) -> Result<(), Error> {
        let mut member: Member = self.join(consumer)?;
        loop {
            match member.next().await {
                Ok(delivery) => {
                    let outcome = handler(&delivery).await;
                    delivery.handled(outcome);
                }
                Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn handle(delivery: &Delivery, handler: &mut impl FnMut(&Delivery) -> Result<(), Failure>) {
    delivery.handled(caught(|| handler(delivery)));
}

/// Calls a handler: where it panics it has failed.
pub(crate) fn caught(call: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Failure::new(Verdict::Retry, format!("the handler panicked: {}", said(&*panic)))))
}

/// What a panic says.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<&str>().copied();
    said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}

impl Running {
    /// Stops it when the handler is done with what it has in hand, and waits for that.
    ///
    /// # Errors
    ///
    /// What it ended with before it was stopped: those of [`NextDelivery::wait`](super::NextDelivery::wait).
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    /// Whether it is still at work, or waits for events.
    #[must_use]
    pub fn is_running(&self) -> bool {
        // Relaxed: it is nothing but news.
        self.shared.has_ended.load(Ordering::Relaxed) == 0
    }

    /// Stops it as soon as the handler is done with what it has in hand, and does not wait for that.
    pub(crate) fn let_go(mut self) {
        self.ask_to_stop();
        self.thread = None;
    }

    /// How far the consumer has come.
    pub(crate) fn progress(&self) -> Progress {
        Progress(self.runtime.clone())
    }

    fn ask_to_stop(&self) {
        self.shared.is_stopped.store(1, Ordering::Relaxed);
        self.runtime.call_members();
    }

    fn end(&mut self) -> Result<(), Error> {
        self.ask_to_stop();
        match self.thread.take() {
            // A handler that stops its own runner cannot wait for itself.
            Some(thread) if thread.thread().id() == current_thread().id() => Ok(()),
            Some(thread) => thread.join().unwrap_or_else(|_| Ok(())),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handler of consumer {}", self.runtime.consumer.name)
    }
}

/// How far a consumer that runs has come, for those who wait for it.
pub(crate) struct Progress(Arc<Runtime>);

impl Progress {
    /// Whether everything up to a position is done, set aside or not asked for; an error where nothing more is handed out.
    pub(crate) fn has_done(&self, position: Position) -> Result<bool, Error> {
        self.0.advance()?;
        Ok(position <= self.0.state().flow.position())
    }

    /// Has somebody called when that may have changed.
    pub(crate) fn enroll(&self, waiter: &Arc<Waiter>) {
        self.0.enroll(waiter);
    }

    pub(crate) fn strike_off(&self, waiter: &Arc<Waiter>) {
        self.0.strike_off(waiter);
    }
}

/// Says that the thread has ended, however it did.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.has_ended.store(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// The runtime whose handler this thread runs, by its address.
    static AT_WORK_FOR: Cell<usize> = const { Cell::new(0) };
}

fn address(runtime: &Runtime) -> usize {
    std::ptr::from_ref(runtime) as usize
}

/// Whether this thread runs a handler of a consumer.
pub(super) fn is_at_work_for(runtime: &Runtime) -> bool {
    AT_WORK_FOR.get() == address(runtime)
}

/// A handler is at work, until this is dropped.
struct AtWork(Arc<Runtime>);

impl AtWork {
    fn begin(runtime: &Arc<Runtime>) -> AtWork {
        runtime.state().runners += 1;
        AtWork(runtime.clone())
    }

    fn on_this_thread(self) -> AtWork {
        AT_WORK_FOR.set(address(&self.0));
        self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.state().runners -= 1;
    }
}
