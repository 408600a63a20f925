//! Whose turn it is to write for a consumer: one record is made from what the one before has left.

use crate::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

/// A turn that one has at a time.
pub(super) struct Turn {
    state: Mutex<State>,
    given: Condvar,
}

#[derive(Default)]
struct State {
    is_taken: bool,
    wakers: Vec<Waker>,
}

/// Somebody's turn, until this is dropped.
pub(super) struct Taken(Arc<Turn>);

impl Turn {
    pub(super) fn new() -> Turn {
        Turn { state: Mutex::new(State::default()), given: Condvar::new() }
    }

    /// Waits for it.
    pub(super) fn take(self: &Arc<Turn>) -> Taken {
        let mut state = self.state.lock();
        while state.is_taken {
            self.given.wait(&mut state);
        }
        state.is_taken = true;
        Taken(self.clone())
    }

    /// Waits for it, for at most as long as given. A task that has it may be waiting for this very thread.
    pub(super) fn take_within(self: &Arc<Turn>, limit: Duration) -> Option<Taken> {
        let mut state = self.state.lock();
        while state.is_taken {
            if self.given.wait_for(&mut state, limit).timed_out() && state.is_taken {
                return None;
            }
        }
        state.is_taken = true;
        drop(state);
        Some(Taken(self.clone()))
    }

    /// Whether nobody has it.
    pub(super) fn is_free(&self) -> bool {
        !self.state.lock().is_taken
    }

    /// Takes it if nobody has it.
    pub(super) fn try_take(self: &Arc<Turn>) -> Option<Taken> {
        let was_taken = std::mem::replace(&mut self.state.lock().is_taken, true);
        (!was_taken).then(|| Taken(self.clone()))
    }

    /// The same for a task, which is woken when it is worth asking again.
    pub(super) fn poll(self: &Arc<Turn>, context: &Context<'_>) -> Option<Taken> {
        let mut state = self.state.lock();
        if state.is_taken {
            state.wakers.push(context.waker().clone());
            return None;
        }
        state.is_taken = true;
        Some(Taken(self.clone()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_taken = false;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.given.notify_one();
        crate::log::wake(wakers);
    }
}
