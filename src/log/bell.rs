//! How the store's own threads are told that there is something to do.

use crate::sync::{Condvar, Mutex};
use std::time::Duration;

/// A bell that one thread listens to and any may ring. Rings are not counted, and none is lost.
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    has_rung: bool,
    is_stopped: bool,
    /// There is something to do soon; who sleeps without a limit must not go to sleep over it.
    is_nudged: bool,
    /// The listener looks by itself within a short time: no need to wake it.
    is_awake: bool,
}

/// Why a listener woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    Rung,
    TimeIsUp,
    Stopped,
}

impl Bell {
    pub(crate) fn new() -> Bell {
        Bell { state: Mutex::new(State::default()), rung: Condvar::new() }
    }

    /// There is something to do at once.
    pub(crate) fn ring(&self) {
        let mut state = self.state.lock();
        state.has_rung = true;
        drop(state);
        self.rung.notify_one();
    }

    /// There is something to do soon: wakes the listener only if it sleeps without a limit.
    pub(crate) fn nudge(&self) {
        let mut state = self.state.lock();
        state.is_nudged = true;
        if !state.is_awake {
            state.is_awake = true;
            drop(state);
            self.rung.notify_one();
        }
    }

    /// The listener should end.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopped = true;
        self.rung.notify_all();
    }

    /// Sleeps until the bell rings, or for as long as given.
    pub(crate) fn listen(&self, limit: Option<Duration>) -> Ring {
        let mut state = self.state.lock();
        state.is_awake = limit.is_some();
        loop {
            if state.is_stopped {
                return Ring::Stopped;
            }
            if state.has_rung || (limit.is_none() && state.is_nudged) {
                state.has_rung = false;
                state.is_nudged = false;
                state.is_awake = true;
                return Ring::Rung;
            }
            match limit {
                None => self.rung.wait(&mut state),
                Some(limit) => {
                    if self.rung.wait_for(&mut state, limit).timed_out() && !state.has_rung && !state.is_stopped {
                        state.is_nudged = false;
                        return Ring::TimeIsUp;
                    }
                }
            }
        }
    }
}
