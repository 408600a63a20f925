//! What is done behind an answer, on a thread of its own that is there only while there is something to do.

use super::caught::caught;
use crate::store::{BeforeClose, EventStore};
use crate::sync::{Arc, Condvar, Mutex, ThreadBuilder};
use std::collections::VecDeque;

/// The deeds of one store that nobody waits for, until the store is closed.
#[derive(Default)]
pub(super) struct Behind {
    queue: Mutex<Queue>,
    is_done: Condvar,
}

#[derive(Default)]
struct Queue {
    /// With what each is for: one is enough.
    deeds: VecDeque<(u64, Deed)>,
    is_running: bool,
}

/// It holds on to no handle of the store: else the store would stay open for it.
pub(super) type Deed = Box<dyn FnOnce() + Send>;

/// Where so many wait, another is left out.
const DEEDS_MAX: usize = 64;

impl Behind {
    /// Has something done soon, unless the same is waiting already, or too much.
    pub(super) fn add(self: &Arc<Behind>, key: u64, deed: Deed) {
        let mut queue = self.queue.lock();
        if DEEDS_MAX <= queue.deeds.len() || queue.deeds.iter().any(|(waiting, _)| *waiting == key) {
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

    /// Waits until nothing is left to do.
    pub(super) fn settle(&self) {
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
