//! The thread that looks after consumers when time matters to them; there while something is due.

use super::runtime::Runtime;
use crate::store::StoreLink;
use crate::sync::{Arc, Condvar, Mutex, ThreadBuilder};
use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

/// What is due when, of all consumers of a store.
pub(super) struct Timer {
    link: StoreLink,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: BTreeMap<(Duration, u64), Weak<Runtime>>,
    next_number: u64,
    has_thread: bool,
}

impl Timer {
    pub(super) fn new(link: StoreLink) -> Timer {
        Timer { link, state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// Has a consumer looked after at some time.
    pub(super) fn call_at(self: &Arc<Timer>, at: Duration, runtime: &Arc<Runtime>) {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        let is_first = state.due.first_key_value().is_none_or(|((first, _), _)| at < *first);
        state.due.insert((at, number), Arc::downgrade(runtime));
        let needs_thread = !std::mem::replace(&mut state.has_thread, true);
        drop(state);
        if needs_thread {
            let timer = self.clone();
            let spawned = ThreadBuilder::new().name("scorebook-timer".to_owned()).spawn(move || timer.run());
            if spawned.is_err() {
                // Whoever asks for the next event looks after the time, too.
                self.state.lock().has_thread = false;
            }
        } else if is_first {
            self.changed.notify_one();
        }
    }

    fn run(&self) {
        loop {
            // With nothing locked: it may be the last handle, and closing the store may wait for whoever wants the lock.
            let now = self.link.store().map(|store| store.elapsed());
            let mut state = self.state.lock();
            let Ok(now) = now else {
                *state = State::default();
                return;
            };
            let Some(((at, number), _)) = state.due.first_key_value() else {
                state.has_thread = false;
                return;
            };
            let (at, number) = (*at, *number);
            if now < at {
                // Not for ever: the store may be closed meanwhile.
                let nap = (at - now).min(Duration::from_secs(1));
                let _ = self.changed.wait_for(&mut state, nap);
                continue;
            }
            let runtime = state.due.remove(&(at, number)).and_then(|runtime| runtime.upgrade());
            drop(state);
            if let Some(runtime) = runtime {
                runtime.on_time(at);
            }
        }
    }
}
