//! What is done behind an answer, on a thread of its own that is there only while there is something to do.

use super::caught::caught;
use crate::store::{BeforeClose, EventStore};
use crate::sync::{Arc, Condvar, Mutex, ThreadBuilder, thread_local};
use std::cell::Cell;
use std::collections::VecDeque;

/// The deeds of one store that nobody waits for, until the store is closed.
pub(super) struct Behind {
    queue: Mutex<Queue>,
    is_done: Condvar,
}

#[derive(Default)]
struct Queue {
    /// With what each is for: of one stream the last is enough.
    deeds: VecDeque<(u64, Deed)>,
    is_running: bool,
}

/// It holds on to no handle of the store: else the store would stay open for it.
pub(super) type Deed = Box<dyn FnOnce() + Send>;

thread_local! {
    /// Whether this is the thread of some store's deeds.
    static IS_BEHIND: Cell<bool> = const { Cell::new(false) };
}

/// Where so many wait, another is left out.
const DEEDS_MAX: usize = 64;

impl Behind {
    pub(super) fn new() -> Behind {
        Behind { queue: Mutex::new(Queue::default()), is_done: Condvar::new() }
    }

    /// Has something done soon, in place of the same that is waiting already; not where too much waits.
    pub(super) fn add(self: &Arc<Behind>, key: u64, deed: Deed) {
        let mut queue = self.queue.lock();
        if let Some((_, waiting)) = queue.deeds.iter_mut().find(|(waiting, _)| *waiting == key) {
            // What it has may be its author's affair when it goes, and is not locked then.
            let before = std::mem::replace(waiting, deed);
            drop(queue);
            drop(before);
            return;
        }
        if DEEDS_MAX <= queue.deeds.len() {
            return;
        }
        queue.deeds.push_back((key, deed));
        if queue.is_running {
            return;
        }
        let behind = self.clone();
        let thread = ThreadBuilder::new().name("scorebook-snapshot".to_owned()).spawn(move || behind.work());
        queue.is_running = thread.is_ok();
        if thread.is_err() {
            queue.deeds.clear();
        }
    }

    fn work(&self) {
        loop {
            let mut queue = self.queue.lock();
            let Some((_, deed)) = queue.deeds.pop_front() else {
                queue.is_running = false;
                self.is_done.notify_all();
                return;
            };
            drop(queue);
            IS_BEHIND.with(|is_behind| is_behind.set(true));
            // What panics is the user's; it is done again when it is due again.
            let _ = caught(
                || "behind an answer".to_owned(),
                || {
                    deed();
                    Ok(())
                },
            );
        }
    }

    /// Waits until nothing is left to do; not where a state that is dropped behind an answer takes the store with it.
    pub(super) fn settle(&self) {
        if IS_BEHIND.with(Cell::get) {
            return;
        }
        let mut queue = self.queue.lock();
        while queue.is_running {
            self.is_done.wait(&mut queue);
        }
    }
}

impl BeforeClose for Behind {
    fn before_close(&self, _: &EventStore) {
        self.settle();
    }
}
