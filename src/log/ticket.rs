//! The place where an append's answer arrives, and where whoever waits for it sleeps.

use super::waiter::Calls;
use crate::error::AppendError;
use crate::receipt::Receipt;
use crate::sync::{Arc, Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The answer to an append.
pub(crate) type Outcome = Result<Receipt, AppendError>;

/// Answers that are ready to be given, and calls that are ready to be made.
#[derive(Default)]
pub(crate) struct Answers {
    answers: Vec<(Arc<Ticket>, Outcome)>,
    calls: Calls,
}

impl Answers {
    pub(crate) fn push(&mut self, ticket: Arc<Ticket>, outcome: Outcome) {
        self.answers.push((ticket, outcome));
    }

    pub(crate) fn append(&mut self, mut others: Answers) {
        self.answers.append(&mut others.answers);
        self.calls.append(others.calls);
    }

    /// Adds those who wait for what has become visible.
    pub(crate) fn call(&mut self, calls: Calls) {
        self.calls.append(calls);
    }

    pub(crate) fn hold(&self, ticket: &Ticket) -> bool {
        self.answers.iter().any(|(held, _)| std::ptr::eq(&**held, ticket))
    }

    /// Gives all answers, then makes the calls, and wakes the threads that wait. Tasks are woken by [`wake`].
    pub(crate) fn settle(self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.answers.into_iter().filter_map(|(ticket, outcome)| ticket.settle(outcome)));
        wakers.append(&mut self.calls.make());
    }

    /// The same where no lock is held and this thread does not lead.
    pub(crate) fn give(self) {
        let mut wakers = Vec::new();
        self.settle(&mut wakers);
        wake(wakers);
    }
}

/// Wakes tasks. A waker that panics does not keep the others from being woken; the panic is not ours to report.
pub(crate) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

/// Where one answer arrives.
///
/// A thread that waits is woken by two things: its answer, or the call to lead, when what it waits for is staged and
/// nobody writes. Both are set under the lock here.
pub(crate) struct Ticket {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    is_done: bool,
    is_waited_for: bool,
    is_called_to_lead: bool,
    waker: Option<Waker>,
}

impl Ticket {
    pub(crate) fn new() -> Ticket {
        Ticket { state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// A ticket that was answered before it was given out.
    pub(crate) fn answered(outcome: Outcome) -> Ticket {
        let state = State { outcome: Some(outcome), is_done: true, ..State::default() };
        Ticket { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Delivers the answer and wakes a thread that waits. Only the first answer counts.
    ///
    /// A task that waits is woken by the waker that is given back: foreign code, which may do anything, and is called
    /// only where no lock is held and nobody leads.
    #[must_use = "a task may wait for the waker"]
    pub(crate) fn settle(&self, outcome: Outcome) -> Option<Waker> {
        let mut state = self.state.lock();
        if state.is_done {
            return None;
        }
        state.outcome = Some(outcome);
        state.is_done = true;
        let waker = state.waker.take();
        let is_waited_for = state.is_waited_for;
        drop(state);
        if is_waited_for {
            self.changed.notify_all();
        }
        waker
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().is_done
    }

    /// Takes the answer, if it is there and was not taken yet.
    pub(crate) fn take(&self) -> Option<Outcome> {
        self.state.lock().outcome.take()
    }

    /// Says that a thread is about to sleep for this. Called under the lock of the log's core, so that whoever gives
    /// up leading afterwards sees it.
    pub(crate) fn expect_sleep(&self) {
        let mut state = self.state.lock();
        state.is_waited_for = true;
        state.is_called_to_lead = false;
    }

    /// Calls the thread that sleeps here to lead; false where none does.
    pub(crate) fn call_to_lead(&self) -> bool {
        let mut state = self.state.lock();
        let can_lead = state.is_waited_for && !state.is_done;
        state.is_called_to_lead = can_lead;
        drop(state);
        if can_lead {
            self.changed.notify_all();
        }
        can_lead
    }

    /// Sleeps until the answer is there, the thread is called to lead, or the time is over. Whether it was not the time.
    pub(crate) fn sleep(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        let mut is_woken = true;
        while !state.is_done && !state.is_called_to_lead && is_woken {
            match limit {
                None => self.changed.wait(&mut state),
                Some(limit) => is_woken = !self.changed.wait_for(&mut state, limit).timed_out(),
            }
        }
        // Whoever wakes up does not sleep here any more: it will not take the lead unless it says so again.
        state.is_waited_for = false;
        state.is_done || state.is_called_to_lead
    }

    /// The answer for a task, or the promise to wake it.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let mut state = self.state.lock();
        if state.is_done {
            return Poll::Ready(state.outcome.take());
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}
