//! What there is to know of a consumer.

use crate::position::Position;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// What there is to know of a consumer at a moment.
#[derive(Clone, Debug)]
pub struct ConsumerInfo {
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) position: Position,
    pub(super) scanned: Position,
    pub(super) head: Position,
    pub(super) lag: Option<Duration>,
    pub(super) parked: u64,
    pub(super) paused: Option<String>,
    pub(super) running: Option<RunningInfo>,
}

/// What is known only where it runs.
#[derive(Clone, Debug)]
pub(super) struct RunningInfo {
    pub(super) members: usize,
    pub(super) in_flight: usize,
    pub(super) unfinished: usize,
    pub(super) done: u64,
    pub(super) failures: u64,
    pub(super) rate: f64,
    pub(super) last_error: Option<String>,
    pub(super) tripped_for: Option<Duration>,
    pub(super) without_progress_for: Duration,
    pub(super) stalled_after: Duration,
}

/// How a consumer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsumerHealth {
    /// It has come up with the store, or comes nearer.
    Well,
    /// Nobody has joined it in this process.
    Idle,
    /// It was paused, or has paused itself; [`paused`](ConsumerInfo::paused) says why.
    Paused,
    /// Its handler kept failing, and is left alone for a while.
    Tripped,
    /// It lags behind, and for longer than [`stalled_after`](super::Consumer::stalled_after) nothing was done.
    Stalled,
}

impl ConsumerInfo {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for, where it began and what it keeps in order, as JSON.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// When it was made, by the clock.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When something was written down of it last, by the clock.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.updated
    }

    /// Everything up to here is done, set aside, or not asked for.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Everything up to here was looked at.
    #[must_use]
    pub fn scanned(&self) -> Position {
        self.scanned
    }

    /// How many positions lie between what is done and the head of the store; events that it does not ask for are counted,
    /// unless it has looked at them.
    #[must_use]
    pub fn lag_events(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }

    /// How long ago the first event was appended that is not done, by the clock; none where all are, or where it cannot be
    /// read.
    #[must_use]
    pub fn lag_time(&self) -> Option<Duration> {
        self.lag
    }

    /// How many events are parked.
    #[must_use]
    pub fn parked(&self) -> u64 {
        self.parked
    }

    /// Why it is paused, if it is.
    #[must_use]
    pub fn paused(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// How many members it has in this process.
    #[must_use]
    pub fn members(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.members)
    }

    /// How many events are in somebody's hands.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.in_flight)
    }

    /// How many events were taken from the log and are not done.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.unfinished)
    }

    /// How many events were done since it was begun in this process.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.done)
    }

    /// How many attempts have failed since it was begun in this process.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.failures)
    }

    /// How many events a second were done in the last ten seconds.
    #[must_use]
    pub fn events_a_second(&self) -> f64 {
        self.running.as_ref().map_or(0.0, |running| running.rate)
    }

    /// What failed last.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.running.as_ref().and_then(|running| running.last_error.as_deref())
    }

    /// For how long nothing is handed out because its handler kept failing.
    #[must_use]
    pub fn tripped_for(&self) -> Option<Duration> {
        self.running.as_ref().and_then(|running| running.tripped_for)
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> ConsumerHealth {
        match &self.running {
            _ if self.paused.is_some() => ConsumerHealth::Paused,
            None => ConsumerHealth::Idle,
            Some(running) if running.members == 0 => ConsumerHealth::Idle,
            Some(running) if running.tripped_for.is_some() => ConsumerHealth::Tripped,
            // It may have been level until a moment ago.
            Some(running)
                if self.lag_events() != 0
                    && running.stalled_after <= running.without_progress_for.min(self.lag.unwrap_or_default()) =>
            {
                ConsumerHealth::Stalled
            }
            Some(_) => ConsumerHealth::Well,
        }
    }
}

impl fmt::Display for ConsumerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, position, lag, parked) = (&self.name, self.position, self.lag_events(), self.parked);
        write!(f, "consumer {name} at position {position}, {lag} behind, {parked} parked, {:?}", self.health())
    }
}

/// An event that a consumer has set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    pub(super) position: Position,
    pub(super) attempts: u32,
    pub(super) reason: String,
    pub(super) since: Option<Timestamp>,
}

impl ParkedEvent {
    /// Its position: [`event_at`](crate::EventStore::event_at) gives the event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How often it was handed out; 0 where it was set aside behind an earlier event of its key.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why it was set aside.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When that was written down, by the clock; none where it is not yet.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }
}
