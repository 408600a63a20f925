//! What a store does, counted, and told to whoever listens.
//!
//! ```text
//! counts    numbers that are always kept, for `stats()` and `health()`
//! meters    the same for the crate `metrics`, with the feature of that name
//! spans     what takes its time, and what happens to a store, for the crate `tracing`, with the feature of that name
//! ```
//!
//! The rest of the crate speaks to an [`Observer`] and to [`spans`], whoever listens. Nothing of a payload, a stream's name or
//! a key is ever told; where a feature is off, nothing of it is left. Nobody decides anything on what is counted here.
//!
//! Those who listen are not ours: one that panics harms nothing, and is told of the next thing all the same.

mod activity;
mod counts;
#[cfg(feature = "metrics")]
mod meters;
pub(crate) mod spans;

pub use activity::{Activity, CompactionStats, Timing};
#[cfg(feature = "metrics")]
pub(crate) use meters::{ConsumerGauges, StoreGauges};

use crate::sync::Arc;
use crate::time::Timestamp;
use counts::Counts;
#[cfg(any(feature = "metrics", feature = "tracing"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// A sync that takes longer is told of as slow.
pub(crate) const SLOW_SYNC: Duration = Duration::from_secs(1);

/// Counts what one store does, from its opening to its end, through all reopening.
#[derive(Debug)]
pub(crate) struct Observer {
    label: String,
    counts: Counts,
    #[cfg(feature = "metrics")]
    meters: meters::Meters,
}

/// A group that was written and became visible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommittedGroup {
    /// How many appends it has; a group of markers has none.
    pub(crate) appends: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// How long the first of its appends was on its way.
    pub(crate) waited: Duration,
}

impl Observer {
    /// Of a store that is called so in metrics and spans.
    pub(crate) fn new(label: &str) -> Arc<Observer> {
        Arc::new(Observer {
            label: label.to_owned(),
            counts: Counts::default(),
            #[cfg(feature = "metrics")]
            meters: meters::Meters::new(label),
        })
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// What was counted by now, which is a moment of the storage's clock.
    pub(crate) fn activity(&self, now: Duration) -> Activity {
        self.counts.activity(now)
    }

    /// For how long the group has been on its way that is being written, if one is.
    pub(crate) fn busy_for(&self, now: Duration) -> Option<Duration> {
        self.counts.busy_for(now)
    }

    /// A group is going to be written, the first append of which came at a moment.
    pub(crate) fn begins_group(&self, since: Duration) {
        self.counts.busy_since.set(Some(since));
    }

    /// The group is written, or failed.
    pub(crate) fn ends_group(&self) {
        self.counts.busy_since.set(None);
    }

    /// A group became visible. To be called by whoever leads.
    pub(crate) fn committed(&self, group: &CommittedGroup, now: Duration) {
        self.counts.committed(group, now);
    }

    /// Tells those who listen of groups that became visible: when everybody has an answer, since it takes as long as they like.
    pub(crate) fn tell_committed(&self, groups: &[CommittedGroup], now: Duration) {
        #[cfg(feature = "metrics")]
        for group in groups {
            self.meter(|meters| meters.committed(group, self.counts.waits.longest_lately(now)));
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (groups, now);
    }

    #[cfg(feature = "metrics")]
    fn meter(&self, tell: impl FnOnce(&meters::Meters)) {
        unharmed(|| tell(&self.meters));
    }

    /// What was written before is durable by a sync of this length.
    pub(crate) fn synced(&self, segment: u32, took: Duration, now: Duration) {
        self.counts.syncs.add(took, now);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.synced(took, self.counts.syncs.longest_lately(now)));
        if SLOW_SYNC < took {
            spans::slow_sync(self, segment, took);
        }
    }

    /// An append was refused, because what it asks for is not so.
    pub(crate) fn conflicted(&self) {
        self.counts.conflicts.add(1);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.conflicts.increment(1));
    }

    /// An append was answered with the receipt of an earlier one.
    pub(crate) fn repeated(&self) {
        self.counts.repeats.add(1);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.repeats.increment(1));
    }

    /// Appends were refused for another reason than what they ask for.
    pub(crate) fn refused(&self, appends: u64) {
        self.counts.refusals.add(appends);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.refusals.increment(appends));
    }

    /// Nobody knows what became of appends.
    pub(crate) fn lost_track_of(&self, appends: u64) {
        self.counts.outcomes_unknown.add(appends);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.outcomes_unknown.increment(appends));
    }

    /// A segment has ended.
    pub(crate) fn sealed(&self) {
        self.counts.seals.add(1);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.seals.increment(1));
    }

    /// Segments were written anew.
    pub(crate) fn compacted(&self, bytes_freed: u64, events_removed: u64, time: Timestamp) {
        self.counts.compacted(bytes_freed, events_removed, time);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.compacted(bytes_freed, events_removed, time));
    }

    /// A backup was taken.
    pub(crate) fn backed_up(&self, time: Timestamp) {
        self.counts.backups.add(1);
        self.counts.last_backup.set(time);
        #[cfg(feature = "metrics")]
        self.meter(|meters| meters.backed_up(time));
    }
}

/// Calls what others wrote, and goes on where it panics.
#[cfg(any(feature = "metrics", feature = "tracing"))]
fn unharmed<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// What a store is called whose directory is named like this.
pub(crate) fn label_of(place: &str) -> String {
    let name = Path::new(place).file_name();
    name.map_or_else(|| place.to_owned(), |name| name.to_string_lossy().into_owned())
}

impl Default for Observer {
    fn default() -> Observer {
        Arc::into_inner(Observer::new("")).expect("nobody else has it yet")
    }
}
