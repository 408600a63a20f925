//! Whoever sleeps until something it waits for has become visible.

use super::ticket::wake;
use crate::sync::{Arc, Condvar, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

/// One who waits, on a thread or as a task: to be called once for each time it gets ready.
///
/// Who is called is not told why; it looks by itself. So a call too many costs a look, and a call that came before the
/// sleep is as good as one that came in it.
pub(crate) struct Waiter {
    state: Mutex<State>,
    called: Condvar,
}

#[derive(Default)]
struct State {
    is_called: bool,
    is_asleep: bool,
    /// Of the task that waits, where it is one.
    waker: Option<Waker>,
    /// Those whom this one calls when it wakes up.
    heirs: Vec<Arc<Waiter>>,
}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter { state: Mutex::new(State::default()), called: Condvar::new() }
    }

    /// Gets ready to be called: for a task, with its waker. Whatever it was called for before is forgotten.
    pub(crate) fn get_ready(&self, waker: Option<Waker>) {
        let mut state = self.state.lock();
        state.is_called = false;
        state.waker = waker;
    }

    /// Calls it: a thread wakes up, the waker of a task is given back. That is foreign code, and called only where no lock is
    /// held and nobody leads.
    #[must_use = "a task may wait for the waker"]
    pub(crate) fn call(&self) -> Option<Waker> {
        let mut state = self.state.lock();
        state.is_called = true;
        let (waker, is_asleep) = (state.waker.take(), state.is_asleep);
        drop(state);
        if is_asleep {
            self.called.notify_one();
        }
        waker
    }

    /// Sleeps, which one thread does at a time, until it is called, or the time is over. Whether it was called.
    pub(crate) fn sleep(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        let mut is_time_left = true;
        state.is_asleep = true;
        while !state.is_called && is_time_left {
            match limit {
                None => self.called.wait(&mut state),
                Some(limit) => is_time_left = !self.called.wait_for(&mut state, limit).timed_out(),
            }
        }
        state.is_asleep = false;
        let (is_called, heirs) = (state.is_called, std::mem::take(&mut state.heirs));
        drop(state);
        // One of them may have woken up since, and wait as a task by now.
        wake(Calls(heirs).make());
        is_called
    }

    /// Has it call others when it wakes up; whether it sleeps and will.
    fn leave_to(&self, heirs: &mut Vec<Arc<Waiter>>) -> bool {
        let mut state = self.state.lock();
        if !state.is_asleep || state.is_called {
            return false;
        }
        state.heirs.append(heirs);
        state.is_called = true;
        drop(state);
        self.called.notify_one();
        true
    }

    fn is_asleep(&self) -> bool {
        self.state.lock().is_asleep
    }
}

/// A thread is called as a task is, by whatever wakes tasks.
impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.call() {
            waker.wake();
        }
    }
}

/// Those who are to be called.
#[derive(Default)]
pub(crate) struct Calls(Vec<Arc<Waiter>>);

/// How many are called by one who calls; the others are called by those.
const CALLED_BY_ONE: usize = 4;

impl Calls {
    pub(crate) fn push(&mut self, waiter: Arc<Waiter>) {
        self.0.push(waiter);
    }

    pub(crate) fn append(&mut self, mut others: Calls) {
        self.0.append(&mut others.0);
    }

    /// Calls all of them: tasks by their wakers, which are given back, threads in a chain, so that nobody has to wake a
    /// hundred before it goes on.
    #[must_use = "tasks wait for their wakers"]
    pub(crate) fn make(self) -> Vec<Waker> {
        let (mut sleeping, others): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|waiter| waiter.is_asleep());
        let mut wakers: Vec<Waker> = others.iter().filter_map(|waiter| waiter.call()).collect();
        let share = sleeping.len().div_ceil(CALLED_BY_ONE);
        while let Some(first) = sleeping.pop() {
            let mut heirs = sleeping.split_off(sleeping.len() - (share - 1).min(sleeping.len()));
            if !first.leave_to(&mut heirs) {
                // It woke up meanwhile: whoever it was to call is called by the next.
                wakers.extend(first.call());
                sleeping.append(&mut heirs);
            }
        }
        wakers
    }
}
