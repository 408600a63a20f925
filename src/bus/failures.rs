//! What has failed, as far as that is kept.

use crate::mutant::Mutant;
use crate::position::Position;
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::fmt;

/// So many failures are kept; older ones are counted alone.
const KEPT: usize = 100;

/// So many bytes of a reason are kept.
const REASON_BYTES: usize = 1_000;

/// That a handler of a [`Bus`](super::Bus) has failed: which, on what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerFailure {
    handler: String,
    position: Position,
    reason: String,
}

impl HandlerFailure {
    /// The name of the handler; of a durable one that of its consumer.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// The position of the event that it failed on; where what comes next could not be read, up to where it had come.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// What it said, or what it panicked with: the first 1,000 bytes.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for HandlerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handler {} failed at position {}: {}", self.handler, self.position, self.reason)
    }
}

/// The last failures of a bus.
#[derive(Default)]
pub(super) struct Failures(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    last: VecDeque<HandlerFailure>,
    count: u64,
}

impl Failures {
    pub(super) fn note(&self, handler: &str, position: Position, reason: &str) {
        let end = (0..=REASON_BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        let failure = HandlerFailure { handler: handler.to_owned(), position, reason: reason[..end].to_owned() };
        let mut noted = self.0.lock();
        noted.count += 1;
        noted.last.push_back(failure);
        if KEPT < noted.last.len() && !Mutant::KeepsEveryFailure.is_on() {
            noted.last.pop_front();
        }
    }

    pub(super) fn last(&self) -> Vec<HandlerFailure> {
        self.0.lock().last.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.lock().count
    }
}
