//! What a store has done, in numbers.

use crate::time::Timestamp;
use std::time::Duration;

/// What a store has done since it was opened in this process, through all reopening. See
/// [`Stats::activity`](crate::Stats::activity).
///
/// Each number is right by itself; of two that are counted together one may be a moment ahead.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    pub(super) appends: u64,
    pub(super) events: u64,
    pub(super) conflicts: u64,
    pub(super) repeats: u64,
    pub(super) refusals: u64,
    pub(super) outcomes_unknown: u64,
    pub(super) groups: u64,
    pub(super) group_appends_max: u64,
    pub(super) group_bytes_max: u64,
    pub(super) bytes_written: u64,
    pub(super) seals: u64,
    pub(super) waits: Timing,
    pub(super) syncs: Timing,
    pub(super) compaction: CompactionStats,
    pub(super) backups: u64,
    pub(super) last_backup: Option<Timestamp>,
}

/// How long something took that happens again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub(super) count: u64,
    pub(super) total: Duration,
    pub(super) longest: Duration,
    pub(super) longest_lately: Duration,
}

/// What compactions came to since the store was opened in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionStats {
    pub(super) runs: u64,
    pub(super) bytes_freed: u64,
    pub(super) events_removed: u64,
    pub(super) last: Option<Timestamp>,
}

impl Activity {
    /// How many batches became visible, those of consumers, projections and of the store's own included.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.appends
    }

    /// How many events they held.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many appends were refused with a [`Conflict`](crate::Conflict).
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// How many appends came with a `once` key that was there, and were answered with the first receipt.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// How many appends were refused for another reason: no room, too much on its way, a finished stream, a failure before.
    /// Nothing of them was written.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// How many appends were on their way when a write or sync failed: what became of them is known after reopening.
    #[must_use]
    pub fn outcomes_unknown(&self) -> u64 {
        self.outcomes_unknown
    }

    /// How many groups of appends were written, each in one go.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// How many appends the largest group had.
    #[must_use]
    pub fn group_appends_max(&self) -> u64 {
        self.group_appends_max
    }

    /// How many bytes the longest group had.
    #[must_use]
    pub fn group_bytes_max(&self) -> u64 {
        self.group_bytes_max
    }

    /// How many bytes were written to the log by appends, markers included; what compactions write is not.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// How many segments have ended.
    #[must_use]
    pub fn seals(&self) -> u64 {
        self.seals
    }

    /// How long appends were on their way, from their number to being visible: of each group the longest, which is that of the
    /// append that came first. What waits for room to be made has no number yet.
    #[must_use]
    pub fn waits(&self) -> Timing {
        self.waits
    }

    /// How long syncs of the log took.
    #[must_use]
    pub fn syncs(&self) -> Timing {
        self.syncs
    }

    /// What compactions came to.
    #[must_use]
    pub fn compaction(&self) -> CompactionStats {
        self.compaction
    }

    /// How many backups were taken by this process.
    #[must_use]
    pub fn backups(&self) -> u64 {
        self.backups
    }

    /// When the last of them was taken, by the clock.
    #[must_use]
    pub fn last_backup(&self) -> Option<Timestamp> {
        self.last_backup
    }
}

impl Timing {
    /// How often it happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all of it took together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// How long it took on average; zero where it never happened.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos().checked_div(self.count.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The longest there was.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The longest of the last minute, and of some of the minute before: a peak is seen by whoever looks once a minute, and is
    /// gone after two.
    #[must_use]
    pub fn longest_lately(&self) -> Duration {
        self.longest_lately
    }
}

impl CompactionStats {
    /// How many compactions wrote segments anew.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many bytes less the log has by them.
    #[must_use]
    pub fn bytes_freed(&self) -> u64 {
        self.bytes_freed
    }

    /// How many events they removed.
    #[must_use]
    pub fn events_removed(&self) -> u64 {
        self.events_removed
    }

    /// When the last of them ended, by the clock.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }
}
