//! How long a game has been played.

use super::moment::Moment;
use serde::{Deserialize, Serialize};

/// The time of a game: it stands still while the game is paused.
///
/// Everything that a game keeps of times is in milliseconds played. So no deadline has to be moved when it is resumed, and a
/// game that was held up is in the state of one that was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// When the last event happened.
    last: Moment,
    /// For how long it was paused in all.
    paused_ms: u64,
    /// Since when it is paused, if it is.
    paused: Option<Moment>,
}

/// A time in milliseconds played.
pub(super) type Played = u64;

impl Clock {
    /// The time of a command: never before the last event.
    pub(super) fn now(&self, at: Moment) -> Moment {
        at.max(self.last)
    }

    pub(super) fn last(&self) -> Moment {
        self.last
    }

    pub(super) fn paused_since(&self) -> Option<Moment> {
        self.paused
    }

    pub(super) fn played(&self, at: Moment) -> Played {
        self.paused.unwrap_or(at).millis().saturating_sub(self.paused_ms)
    }

    /// When so much will have been played, if it is not paused on the way; `None` while it is.
    pub(super) fn moment(&self, played: Played) -> Option<Moment> {
        self.paused.is_none().then(|| Moment::from_millis(played).plus(self.paused_ms))
    }

    pub(super) fn happened(&mut self, at: Moment) {
        self.last = self.last.max(at);
    }

    pub(super) fn pause(&mut self, since: Moment) {
        self.paused = Some(since);
    }

    pub(super) fn resume(&mut self, paused_ms: u64) {
        self.paused = None;
        self.paused_ms = self.paused_ms.saturating_add(paused_ms);
    }
}
