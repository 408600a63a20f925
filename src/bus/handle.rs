//! The handle of a bus.

use super::closing::Buses;
use super::failures::HandlerFailure;
use super::handler::{Handler, HandlerId};
use super::inside::{Inside, is_inside};
use super::live::{self, Live};
use super::shared::Shared;
use super::until::UntilHandled;
use crate::consumer::{Consumer, Delivery, Failure, Running, caught};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::position::Position;
use crate::store::EventStore;
use crate::subscription::Start;
use crate::sync::{Arc, Ordering, ProcessCounter, ThreadBuilder, current_thread};
use std::fmt;

/// Handlers that are called with the events of a store: **live** ones with those that come from now on, at most once, and
/// **durable** ones, which are consumers, with all from some place on, at least once.
///
/// | | live | durable |
/// |---|---|---|
/// | is called with | what comes after it was added | what its consumer has not done, also after a restart |
/// | how often | at most once | at least once; exactly once where it commits |
/// | on a failure | it goes on; the failure is told | it is tried again and parked, as its consumer says; each failure is told |
/// | order | one event after the other; of one event, the handlers by their order | one event of a key after the other |
/// | runs | on the one thread of the bus | on a thread of its own |
///
/// Live handlers of one bus are called one after the other, so one that is slow holds up the others; it loses nothing, for
/// the log is the queue. A durable handler goes at its own pace, and stands in no order with any other: what must be done
/// one after the other for each event, and durably, belongs into one handler.
///
/// A bus is cheap to clone. It ends when its last clone is dropped, when it is [stopped](Self::stop), and when the store is
/// closed, which it does not keep open.
///
/// ```
/// use scorebook::{Consumer, EventStore, ExpectedVersion, Handler, NewEvent, Query, Start, StreamName};
/// use std::sync::mpsc;
/// let store = EventStore::open_in_memory()?;
/// let bus = store.bus();
/// let (told, heard) = mpsc::channel();
///
/// let (live, durable) = (told.clone(), told);
/// bus.add(Handler::new("announce", Query::all().of_type("won")), move |event| {
///     Ok(live.send(format!("{} has won", event.json::<String>()?))?)
/// })?;
/// bus.add_durable(&Consumer::new("scores", Query::all().in_category("game"), Start::Beginning), move |delivery| {
///     Ok(durable.send(format!("a point for {}", delivery.event().json::<String>()?))?)
/// })?;
///
/// let won = NewEvent::json("won", "ann")?;
/// let receipt = store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [won]).wait()?;
/// bus.wait_until_handled(receipt.last_position()).wait()?; // or .await?
/// let mut heard: Vec<String> = heard.try_iter().collect();
/// heard.sort();
/// assert_eq!(heard, ["a point for ann", "ann has won"]);
/// assert!(bus.failures().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a bus that nobody holds calls nobody"]
pub struct Bus(Arc<Owner>);

/// Stops the bus when nobody holds it any more.
struct Owner {
    shared: Arc<Shared>,
}

impl EventStore {
    /// A bus of this store, with no handlers yet. A store may have several; they know nothing of each other.
    pub fn bus(&self) -> Bus {
        static BUSES: ProcessCounter = ProcessCounter::new(0);
        // Relaxed: a number is all it gives.
        let number = BUSES.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        let shared = Arc::new(Shared::new(number, self.link()));
        Buses::note(self, &shared);
        Bus(Arc::new(Owner { shared }))
    }
}

impl Bus {
    /// Adds a live handler: it is called with the events that become visible from now on, at most once each.
    ///
    /// Handlers of one event are called one after the other, by [`order`](Handler::order) and then as they were added; events
    /// in the order of their positions. Where one gives a failure or panics, the next ones are called all the same, and
    /// [`failures`](Self::failures) tells of it; there is no other attempt, so the failure's verdict is of no matter.
    ///
    /// Events are handled as soon as they are visible. Where the store is [opened again](EventStore::reopen) with less than
    /// there was, handlers go on from where it ends then.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
    ///   [`TooLarge`](ErrorKind::TooLarge): the query has a fault.
    /// * [`Io`](ErrorKind::Io): no thread could be started.
    /// * [`Closed`](ErrorKind::Closed): the bus was stopped, or the store closed.
    pub fn add(
        &self,
        handler: Handler,
        call: impl FnMut(&RecordedEvent) -> Result<(), Failure> + Send + 'static,
    ) -> Result<HandlerId, Error> {
        if let Some(fault) = handler.query.fault() {
            return Err(fault.clone());
        }
        let shared = self.shared();
        let store = shared.link.store()?;
        // A store that is closed says so here.
        store.head()?;
        let id = shared.next_id()?;
        begin_thread(shared)?;
        shared.take_in(|| {
            let following = store.subscribe(handler.query.clone(), Start::End).skipping_lost();
            Live::new(id, handler, following, Box::new(call))
        })?;
        Ok(id)
    }

    /// Adds a durable handler: it is called with what a consumer hands out, at least once each, on a thread of its own. What
    /// [`run`](EventStore::run) says of a handler holds for this one; [`failures`](Self::failures) tells of each attempt that
    /// has failed.
    ///
    /// # Errors
    ///
    /// * Those of [`run`](EventStore::run).
    /// * [`Closed`](ErrorKind::Closed): the bus was stopped, or the store closed.
    pub fn add_durable(
        &self,
        consumer: &Consumer,
        mut call: impl FnMut(&Delivery) -> Result<(), Failure> + Send + 'static,
    ) -> Result<HandlerId, Error> {
        let shared = self.shared();
        let id = shared.next_id()?;
        let (bus, failures, name) = (shared.number, shared.failures.clone(), consumer.name().to_owned());
        let running = shared.link.store()?.run(consumer, move |delivery| {
            let _inside = Inside::of(bus);
            let outcome = caught(|| call(delivery));
            if let Err(failure) = &outcome {
                failures.note(&name, delivery.first_open(), failure.reason());
            }
            outcome
        })?;
        shared.take_in_durable(id, running)?;
        Ok(id)
    }

    /// Removes a handler. When this returns, it is not at work and will not be called again; only where a handler of this bus
    /// asks, one that is at work may still be.
    ///
    /// So whoever asks must not hold what the handler waits for. Of a durable handler the consumer stays, with its position:
    /// it goes on where it is added again, and ends where it is [deleted](crate::ConsumerControl::delete). Nothing happens
    /// where it was removed before.
    pub fn remove(&self, id: HandlerId) {
        let shared = self.shared();
        let mut state = shared.state.lock();
        let added: Vec<Live> = state.added.extract_if(.., |live| live.id == id).collect();
        state.live.remove(&id);
        let durable = state.durable.remove(&id);
        // What handlers hold goes when nothing is locked.
        drop(state);
        drop(added);
        shared.wait_for(id);
        durable.into_iter().for_each(|running| end(shared, running));
        shared.changed();
    }

    /// Waits until everything up to a position was handled, on a thread or as a task of any runtime: every handler that was to
    /// see it has dealt with it, live ones and durable ones. The position may be one that the store has not come to yet.
    ///
    /// A live handler was to see what came after it was added. A durable one has dealt with an event that is done, parked or
    /// skipped, and not with one that is to be tried again; while its consumer is paused it deals with nothing, so wait with a
    /// limit where that may be. A handler must not wait for its own bus: it gets an error.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, Handler, NewEvent, Query, StreamName};
    /// use std::time::Duration;
    /// let store = EventStore::open_in_memory()?;
    /// let bus = store.bus();
    /// bus.add(Handler::new("picky", Query::all()), |event| Ok(event.json::<u64>().map(drop)?))?;
    /// let events = [NewEvent::json("counted", &1)?, NewEvent::json("counted", "two")?];
    /// let receipt = store.append(&StreamName::new("counter-1")?, ExpectedVersion::Any, events).wait()?;
    ///
    /// assert!(bus.wait_until_handled(receipt.last_position()).wait_timeout(Duration::from_secs(30))?);
    /// let failures = bus.failures();
    /// assert_eq!((failures[0].handler(), failures[0].position()), ("picky", receipt.last_position()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_until_handled(&self, position: Position) -> UntilHandled {
        UntilHandled::new(self.shared().clone(), position)
    }

    /// What has failed, the last 100 of it, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<HandlerFailure> {
        self.shared().failures.last()
    }

    /// How often something has failed, also what is not kept any more.
    #[must_use]
    pub fn failure_count(&self) -> u64 {
        self.shared().failures.count()
    }

    /// Stops all handlers when those at work are done with what they have in hand, and waits for that; asked by one of them it
    /// does not wait. Stopping twice is fine.
    ///
    /// Closing the store does the same, and waits no longer than [`Handler::stop_within`] and
    /// [`Consumer::stop_within`] say. What live handlers have not dealt with by then they never see: where they are to,
    /// [wait](Self::wait_until_handled) before.
    pub fn stop(&self) {
        self.0.stop();
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

impl Owner {
    fn stop(&self) {
        self.shared.begin_to_stop();
        let mut state = self.shared.state.lock();
        let (durable, thread) = (std::mem::take(&mut state.durable), state.thread.take());
        let added = std::mem::take(&mut state.added);
        drop(state);
        drop(added);
        durable.into_values().for_each(|running| end(&self.shared, running));
        let Some(thread) = thread else { return };
        // What a handler holds may hold the bus, and goes on its thread.
        if !is_inside(self.shared.number) && thread.thread().id() != current_thread().id() {
            let _ = thread.join();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends a durable handler, and waits for it unless it waits for this.
fn end(shared: &Shared, running: Running) {
    if is_inside(shared.number) { running.let_go() } else { drop(running) }
}

/// Starts the thread of the live handlers, where there is none.
fn begin_thread(shared: &Arc<Shared>) -> Result<(), Error> {
    let mut state = shared.state.lock();
    if state.thread.is_none() {
        let body = shared.clone();
        let thread = ThreadBuilder::new().name("scorebook-bus".to_owned()).spawn(move || live::run(&body));
        let trouble = |error| Error::with_source(ErrorKind::Io, "starting the thread of a bus", error);
        state.thread = Some(thread.map_err(trouble)?);
    }
    Ok(())
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared().state.lock();
        let (live, durable) = (state.live.len(), state.durable.len());
        let stopped = if state.is_stopped { ", stopped" } else { "" };
        write!(f, "bus with {live} live and {durable} durable handlers{stopped}")
    }
}
