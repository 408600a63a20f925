//! The rules a consumer hands out events by.

use super::partition::PartitionBy;
use crate::sync::{Arc, OnceLock};
use std::time::Duration;

/// What becomes of an event that a handler failed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is handed out again after a pause that grows with each attempt, until the attempts are used up; then what
    /// [`after_last`](super::Consumer::after_last) says.
    Retry,
    /// It is set aside, and later events of its key behind it, until somebody redelivers or drops them.
    Park,
    /// It counts as done.
    Skip,
    /// The consumer is paused, and the event is the first that is handed out when it is resumed.
    Stop,
}

/// How long to wait before an event is handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    jitter_percent: u8,
}

impl Backoff {
    /// Pauses that begin with the first length, double with each attempt, and grow no longer than the second. A part of
    /// each, by default 20 %, is left to chance, so that what failed together does not come back together.
    ///
    /// ```
    /// use scorebook::Backoff;
    /// use std::time::Duration;
    /// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).jitter_percent(0);
    /// let pauses = [1, 2, 3, 4, 5, 60].map(|attempt| backoff.pause(attempt, 0).as_millis());
    /// assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
    /// ```
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most: most.max(first), jitter_percent: 20 }
    }

    /// How much of each pause is left to chance: 0 to 100 %; more counts as 100. Default: 20 %.
    #[must_use]
    pub fn jitter_percent(mut self, percent: u8) -> Backoff {
        self.jitter_percent = percent.min(100);
        self
    }

    /// The pause after an attempt, counted from 1, for a number that is as good as random: between the full pause and that
    /// without the part that is left to chance.
    #[must_use]
    pub fn pause(&self, attempt: u32, chance: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.most);
        let part = full.mul_f64(f64::from(self.jitter_percent) / 100.0);
        full - part.mul_f64((chance >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// When a handler that keeps failing is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub(super) failures: u32,
    pub(super) pauses: Backoff,
}

impl Breaker {
    /// After so many failures with no success between them nothing is handed out for a while; then one event is tried. Each
    /// further failure makes the pause longer, a success ends it. 0 failures count as 1.
    #[must_use]
    pub fn new(failures: u32, pauses: Backoff) -> Breaker {
        Breaker { failures: failures.max(1), pauses }
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Events of other types are passed by.
    pub(super) type_prefix: String,
    pub(super) partition: PartitionBy,
    pub(super) buffer: usize,
    pub(super) members_max: usize,
    pub(super) attempts_max: u32,
    pub(super) backoff: Backoff,
    pub(super) after_last: Verdict,
    pub(super) time_limit: Option<Duration>,
    pub(super) batch: usize,
    pub(super) batch_wait: Duration,
    pub(super) checkpoint_every: u64,
    pub(super) checkpoint_after: Duration,
    pub(super) parked_max: usize,
    pub(super) breaker: Breaker,
    pub(super) stop_within: Duration,
    pub(super) stalled_after: Duration,
}

impl Rules {
    /// Those of most consumers, which are there once.
    pub(super) fn usual() -> Arc<Rules> {
        static USUAL: OnceLock<Arc<Rules>> = OnceLock::new();
        USUAL.get_or_init(Arc::default).clone()
    }
}

impl Default for Rules {
    fn default() -> Rules {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        Rules {
            type_prefix: String::new(),
            partition: PartitionBy::STREAM,
            buffer: 1_000,
            members_max: 64,
            attempts_max: 5,
            backoff,
            after_last: Verdict::Park,
            time_limit: None,
            batch: 1,
            batch_wait: Duration::ZERO,
            checkpoint_every: 100,
            checkpoint_after: Duration::from_secs(1),
            parked_max: 10_000,
            breaker: Breaker::new(20, Backoff::new(Duration::from_secs(1), Duration::from_secs(60))),
            stop_within: Duration::from_secs(5),
            stalled_after: Duration::from_secs(60),
        }
    }
}
