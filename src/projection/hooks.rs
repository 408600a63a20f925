//! What is told of events that are new: never of those that a projection folds in to catch up, or in a rebuild.

use super::chunk::Kept;
use super::fault::ProjectionFault;
use super::kind::Projection;
use super::read_as::ReadAs;
use crate::modelling::{EventContext, caught};
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

/// What is called with the state and the event.
pub(super) type Hook<P> = Arc<dyn Fn(&P, &<P as Projection>::Event, &EventContext<'_>) + Send + Sync>;

/// Those who want to be told, and what they have not been told yet.
///
/// Whoever folds puts events into the queue while it has the turn to fold, so they stand there in order, and empties it when
/// it has that no more: a hook may ask the projection for whatever it likes. One at a time empties it.
pub(super) struct Hooks<P: Projection> {
    hooks: Mutex<Vec<Hook<P>>>,
    queue: Mutex<VecDeque<News<P>>>,
    turn: Mutex<()>,
}

/// Events that were folded in, and a state that has them.
pub(super) struct News<P: Projection> {
    pub(super) state: Arc<P>,
    pub(super) chunk: Arc<Vec<Kept<P>>>,
    /// The first of them that is new.
    pub(super) from: usize,
}

impl<P: Projection> Hooks<P> {
    pub(super) fn new() -> Hooks<P> {
        Hooks { hooks: Mutex::new(Vec::new()), queue: Mutex::new(VecDeque::new()), turn: Mutex::new(()) }
    }

    pub(super) fn add(&self, hook: Hook<P>) {
        self.hooks.lock().push(hook);
    }

    pub(super) fn are_none(&self) -> bool {
        self.hooks.lock().is_empty()
    }

    pub(super) fn push(&self, news: News<P>) {
        self.queue.lock().push_back(news);
    }

    /// Tells what is in the queue, unless somebody else does. The first panic of a hook is given back.
    pub(super) fn run(&self) -> Option<ProjectionFault> {
        let mut fault = None;
        while !self.queue.lock().is_empty() {
            // Whoever has the turn looks at the queue again when it has given it back.
            let Some(turn) = self.turn.try_lock_for(Duration::ZERO) else { break };
            let hooks = self.hooks.lock().clone();
            loop {
                let Some(news) = self.queue.lock().pop_front() else { break };
                for hook in &hooks {
                    let told = news.tell(hook);
                    fault = fault.or(told);
                }
            }
            drop(turn);
        }
        fault
    }
}

impl<P: Projection> News<P> {
    /// Tells of each event, also of those behind one at which the hook panics: they are folded in, and never told again.
    fn tell(&self, hook: &Hook<P>) -> Option<ProjectionFault> {
        let mut fault = None;
        for kept in self.chunk.iter().skip(self.from) {
            let whence = || format!("that is told of changes of projection {}", P::NAME);
            let told = caught(whence, || {
                P::Event::each(kept, |event, context| hook(&self.state, event, context));
                Ok(())
            });
            fault = fault.or_else(|| told.err().map(|error| ProjectionFault::at(P::Event::recorded(kept), error)));
        }
        fault
    }
}
