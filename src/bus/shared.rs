//! What the bus, its thread and those who wait for it share.

use super::failures::Failures;
use super::handler::HandlerId;
use super::inside::is_inside;
use super::live::Live;
use crate::consumer::{Failure, Progress, Running};
use crate::error::{Error, ErrorKind};
use crate::log::{Calls, Waiter, wake};
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::Position;
use crate::store::StoreLink;
use crate::sync::{Arc, Condvar, JoinHandle, Mutex};
use std::collections::BTreeMap;
use std::task::Wake;
use std::time::Duration;

/// See the module.
pub(super) struct Shared {
    /// Of all buses of the process this one; never 0.
    pub(super) number: u32,
    pub(super) link: StoreLink,
    pub(super) failures: Arc<Failures>,
    /// Calls the thread.
    pub(super) alarm: Arc<Waiter>,
    /// Taken before what the store locks, and for moments: never while the log is read or a handler is called.
    pub(super) state: Mutex<State>,
    /// A handler that was at work is not any more.
    idle: Condvar,
}

/// What changes of it.
pub(super) struct State {
    next_number: u64,
    /// The live handlers there are.
    pub(super) live: BTreeMap<HandlerId, Known>,
    /// Those of them that the thread has not taken over yet.
    pub(super) added: Vec<Live>,
    pub(super) durable: BTreeMap<HandlerId, Running>,
    /// Up to here the live handlers have dealt with everything.
    handled: Position,
    /// The opening of the store in which that holds: in a later one positions may be those of other events.
    opening: u64,
    at_work: Option<AtWork>,
    waiting: Vec<Waiting>,
    pub(super) thread: Option<JoinHandle<()>>,
    pub(super) is_stopped: bool,
}

/// What is known of a live handler.
pub(super) struct Known {
    pub(super) name: String,
    /// What comes next cannot be read: it is called no more.
    pub(super) fault: Option<Error>,
}

/// The live handler that is called at this moment.
#[derive(Clone, Copy)]
struct AtWork {
    id: HandlerId,
    stop_within: Duration,
}

/// One who waits until everything up to a position is handled.
struct Waiting {
    position: Position,
    waiter: Arc<Waiter>,
    /// The live handlers have not come there: else it would be called again and again while it waits for a durable one.
    is_for_live: bool,
}

/// What may be done with a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayCall {
    Yes,
    /// It was removed.
    Removed,
    /// None is called any more.
    Stopped,
}

impl Shared {
    pub(super) fn new(number: u32, link: StoreLink) -> Shared {
        Shared {
            number,
            link,
            failures: Arc::default(),
            alarm: Arc::new(Waiter::new()),
            state: Mutex::new(State::new()),
            idle: Condvar::new(),
        }
    }

    /// The id of the next handler; an error where none is called any more.
    pub(super) fn next_id(&self) -> Result<HandlerId, Error> {
        let mut state = self.state.lock();
        state.check()?;
        state.next_number += 1;
        Ok(HandlerId { bus: self.number, number: state.next_number })
    }

    /// Takes a live handler in, which the thread takes over.
    ///
    /// It begins to follow under the lock: whoever has found an event and then finds no such handler here knows that the
    /// handler comes behind the event.
    pub(super) fn take_in(&self, begin: impl FnOnce() -> Live) -> Result<(), Error> {
        let opening = self.opening();
        let mut state = self.state.lock();
        state.check()?;
        let live = begin();
        let from = live.up_to();
        if state.live.is_empty() {
            (state.handled, state.opening) = (from, opening.unwrap_or(state.opening));
        }
        state.handled = state.handled.min(from);
        state.live.insert(live.id, Known { name: live.name.clone(), fault: None });
        state.added.push(live);
        drop(state);
        self.changed();
        Ok(())
    }

    /// Takes a durable handler in.
    pub(super) fn take_in_durable(&self, id: HandlerId, running: Running) -> Result<(), Error> {
        let mut state = self.state.lock();
        let check = state.check();
        // One that came too late stops here, with nothing locked.
        let late = match &check {
            Ok(()) => state.durable.insert(id, running),
            Err(_) => Some(running),
        };
        drop(state);
        drop(late);
        self.changed();
        check
    }

    /// Says that a handler is about to be called, where it may be.
    pub(super) fn begin_to_call(&self, id: HandlerId, stop_within: Duration) -> MayCall {
        let mut state = self.state.lock();
        if state.is_stopped {
            return MayCall::Stopped;
        }
        if !state.live.contains_key(&id) && !Mutant::CallsRemovedHandlers.is_on() {
            return MayCall::Removed;
        }
        state.at_work = Some(AtWork { id, stop_within });
        MayCall::Yes
    }

    pub(super) fn end_call(&self) {
        self.state.lock().at_work = None;
        self.idle.notify_all();
    }

    /// Which opening of the store is there; none where it was closed.
    pub(super) fn opening(&self) -> Option<u64> {
        let sight = self.link.store().and_then(|store| store.sight(Durability::Written));
        sight.ok().map(|sight| sight.opening)
    }

    /// Says up to where the live handlers that the thread knows have dealt with everything, and calls those who wait for that;
    /// where they have found nothing more, with the opening of the store that they have looked at.
    pub(super) fn come_to(&self, up_to: Option<Position>, opening: Option<u64>) {
        let mut state = self.state.lock();
        state.opening = opening.unwrap_or(state.opening);
        let added = state.added.iter().map(Live::up_to);
        if let Some(to) = up_to.into_iter().chain(added).min() {
            state.handled = to;
        }
        let handled = state.handled;
        let is_called = |waiting: &mut Waiting| waiting.is_for_live && waiting.position <= handled;
        let called: Vec<Waiting> = state.waiting.extract_if(.., is_called).collect();
        drop(state);
        call(called);
    }

    /// A live handler cannot go on.
    pub(super) fn fail(&self, id: HandlerId, position: Position, error: Error) {
        let mut state = self.state.lock();
        let Some(known) = state.live.get_mut(&id) else { return };
        let name = known.name.clone();
        known.fault = Some(error.clone());
        drop(state);
        self.failures.note(&name, position, Failure::from(error).reason());
        self.call_waiting();
    }

    /// Whether everything up to a position was handled; an error where that will not be.
    pub(super) fn has_handled(&self, position: Position) -> Result<bool, Error> {
        let opening = self.opening();
        let state = self.state.lock();
        state.check()?;
        for known in state.live.values() {
            if let Some(fault) = &known.fault {
                let act = format!("waiting until position {position} is handled: {} cannot go on", known.name);
                return Err(Error::with_source(fault.kind(), act, fault.clone()));
            }
        }
        if !state.has_live_handled(position, opening) {
            return Ok(false);
        }
        let durable = state.progress();
        drop(state);
        for progress in durable {
            if !Mutant::WaitsForLiveHandlersOnly.is_on() && !progress.has_done(position)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has somebody called when handlers come to a position, and when there is other news of them.
    pub(super) fn enroll(&self, position: Position, waiter: &Arc<Waiter>) {
        let opening = self.opening();
        let mut state = self.state.lock();
        let is_for_live = !state.has_live_handled(position, opening);
        state.waiting.push(Waiting { position, waiter: waiter.clone(), is_for_live });
        let durable = state.progress();
        drop(state);
        durable.iter().for_each(|progress| progress.enroll(waiter));
        if is_for_live {
            // What no handler asks for the thread looks at only when it is called.
            self.alarm.clone().wake();
        }
    }

    pub(super) fn strike_off(&self, waiter: &Arc<Waiter>) {
        let mut state = self.state.lock();
        state.waiting.retain(|waiting| !Arc::ptr_eq(&waiting.waiter, waiter));
        let durable = state.progress();
        drop(state);
        durable.iter().for_each(|progress| progress.strike_off(waiter));
    }

    /// Has everybody look: the handlers are others now.
    pub(super) fn changed(&self) {
        self.alarm.clone().wake();
        self.call_waiting();
    }

    fn call_waiting(&self) {
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        call(waiting);
    }

    /// Calls no handler any more.
    pub(super) fn begin_to_stop(&self) {
        self.state.lock().is_stopped = true;
        self.changed();
    }

    /// Waits until a handler is not at work any more, unless it waits for this.
    pub(super) fn wait_for(&self, id: HandlerId) {
        if is_inside(self.number) {
            return;
        }
        let mut state = self.state.lock();
        while state.at_work.is_some_and(|at_work| at_work.id == id) {
            self.idle.wait(&mut state);
        }
    }

    /// Waits for the handler that is at work, for at most as long as it may take.
    pub(super) fn wait_for_work_at_close(&self) {
        if is_inside(self.number) || Mutant::ClosesBesideAHandlerAtWork.is_on() {
            return;
        }
        let mut state = self.state.lock();
        while let Some(AtWork { stop_within, .. }) = state.at_work {
            if self.idle.wait_for(&mut state, stop_within).timed_out() {
                return;
            }
        }
    }
}

impl State {
    fn new() -> State {
        State {
            next_number: 0,
            live: BTreeMap::new(),
            added: Vec::new(),
            durable: BTreeMap::new(),
            handled: Position::BEGINNING,
            opening: 0,
            at_work: None,
            waiting: Vec::new(),
            thread: None,
            is_stopped: false,
        }
    }

    /// Fails where no handler is called any more.
    fn check(&self) -> Result<(), Error> {
        match self.is_stopped {
            true => Err(Error::new(ErrorKind::Closed, "the bus was stopped, or its store was closed")),
            false => Ok(()),
        }
    }

    /// Whether the live handlers have dealt with everything up to a position, in this opening of the store.
    fn has_live_handled(&self, position: Position, opening: Option<u64>) -> bool {
        let is_current = opening.is_none_or(|opening| opening == self.opening);
        self.live.is_empty() || (position <= self.handled && is_current)
    }

    fn progress(&self) -> Vec<Progress> {
        self.durable.values().map(Running::progress).collect()
    }
}

fn call(waiting: Vec<Waiting>) {
    let mut calls = Calls::default();
    waiting.into_iter().for_each(|waiting| calls.push(waiting.waiter));
    wake(calls.make());
}
