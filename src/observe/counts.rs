//! The numbers that are always kept.

use super::CommittedGroup;
use super::activity::{Activity, CompactionStats, Timing};
use crate::mutant::Mutant;
use crate::sync::{Ordering, UncheckedU64};
use crate::time::Timestamp;
use std::time::Duration;

/// All numbers of a store. Relaxed: each is right by itself, and nobody decides anything on them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    appends: Count,
    events: Count,
    pub(super) conflicts: Count,
    pub(super) repeats: Count,
    pub(super) refusals: Count,
    pub(super) outcomes_unknown: Count,
    groups: Count,
    group_appends_max: Count,
    group_bytes_max: Count,
    bytes_written: Count,
    pub(super) seals: Count,
    pub(super) waits: Times,
    pub(super) syncs: Times,
    pub(super) busy_since: Moment,
    compactions: Count,
    bytes_freed: Count,
    events_removed: Count,
    last_compaction: LastTime,
    pub(super) backups: Count,
    pub(super) last_backup: LastTime,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(super) struct Count(UncheckedU64);

/// How long something took, each time it happened.
#[derive(Debug, Default)]
pub(super) struct Times {
    count: Count,
    nanos: Count,
    longest: Count,
    lately: Peak,
}

/// The longest of this minute and of the one before, in nanoseconds. Written by one thread at a time.
#[derive(Debug, Default)]
struct Peak {
    /// Counted from the storage's fixed moment.
    minute: UncheckedU64,
    this: UncheckedU64,
    before: UncheckedU64,
}

/// A moment of the storage's clock, or none.
#[derive(Debug, Default)]
pub(super) struct Moment(UncheckedU64);

/// A time by the wall clock, or none.
#[derive(Debug, Default)]
pub(super) struct LastTime(UncheckedU64);

impl Counts {
    pub(super) fn committed(&self, group: &CommittedGroup, now: Duration) {
        self.bytes_written.add(group.bytes);
        if group.appends != 0 {
            self.appends.add(group.appends);
            self.events.add(group.events);
            self.groups.add(1);
            self.group_appends_max.raise(group.appends);
            self.group_bytes_max.raise(group.bytes);
            self.waits.add(group.waited, now);
        }
    }

    pub(super) fn compacted(&self, bytes_freed: u64, events_removed: u64, time: Timestamp) {
        self.compactions.add(1);
        self.bytes_freed.add(bytes_freed);
        self.events_removed.add(events_removed);
        self.last_compaction.set(time);
    }

    pub(super) fn busy_for(&self, now: Duration) -> Option<Duration> {
        self.busy_since.get().map(|since| now.saturating_sub(since))
    }

    pub(super) fn activity(&self, now: Duration) -> Activity {
        Activity {
            appends: self.appends.get(),
            events: self.events.get(),
            conflicts: self.conflicts.get(),
            repeats: self.repeats.get(),
            refusals: self.refusals.get(),
            outcomes_unknown: self.outcomes_unknown.get(),
            groups: self.groups.get(),
            group_appends_max: self.group_appends_max.get(),
            group_bytes_max: self.group_bytes_max.get(),
            bytes_written: self.bytes_written.get(),
            seals: self.seals.get(),
            waits: self.waits.timing(now),
            syncs: self.syncs.timing(now),
            compaction: CompactionStats {
                runs: self.compactions.get(),
                bytes_freed: self.bytes_freed.get(),
                events_removed: self.events_removed.get(),
                last: self.last_compaction.get(),
            },
            backups: self.backups.get(),
            last_backup: self.last_backup.get(),
        }
    }
}

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn raise(&self, to: u64) {
        // Most of the time it is no news, and a look is cheaper.
        if self.get() < to {
            self.0.fetch_max(to, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Times {
    /// To be called by one thread at a time.
    pub(super) fn add(&self, took: Duration, now: Duration) {
        let nanos = nanos(took);
        self.count.add(1);
        self.nanos.add(nanos);
        self.longest.raise(nanos);
        self.lately.add(nanos, now);
    }

    pub(super) fn longest_lately(&self, now: Duration) -> Duration {
        Duration::from_nanos(self.lately.get(now))
    }

    fn timing(&self, now: Duration) -> Timing {
        Timing {
            count: self.count.get(),
            total: Duration::from_nanos(self.nanos.get()),
            longest: Duration::from_nanos(self.longest.get()),
            longest_lately: self.longest_lately(now),
        }
    }
}

impl Peak {
    fn add(&self, nanos: u64, now: Duration) {
        let (this, before) = if Mutant::KeepsNoPeak.is_on() { (0, 0) } else { self.turned(now) };
        self.before.store(before, Ordering::Relaxed);
        self.this.store(this.max(nanos), Ordering::Relaxed);
        self.minute.store(minute(now), Ordering::Relaxed);
    }

    fn get(&self, now: Duration) -> u64 {
        let (this, before) = self.turned(now);
        this.max(before)
    }

    /// The longest of the minute that it is now, and of the one before.
    fn turned(&self, now: Duration) -> (u64, u64) {
        let this = self.this.load(Ordering::Relaxed);
        match minute(now).saturating_sub(self.minute.load(Ordering::Relaxed)) {
            0 => (this, self.before.load(Ordering::Relaxed)),
            1 => (0, this),
            _ => (0, 0),
        }
    }
}

impl Moment {
    pub(super) fn set(&self, moment: Option<Duration>) {
        self.0.store(moment.map_or(0, |moment| nanos(moment).saturating_add(1)), Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos)
    }
}

impl LastTime {
    pub(super) fn set(&self, time: Timestamp) {
        self.0.store(time.nanos().cast_unsigned(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<Timestamp> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Timestamp::from_nanos(nanos.cast_signed())),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn minute(now: Duration) -> u64 {
    now.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_seen_for_a_minute_at_least_and_gone_after_two() {
        let times = Times::default();
        let at = Duration::from_secs;
        times.add(Duration::from_millis(700), at(59));
        times.add(Duration::from_millis(3), at(60));
        for (now, expected) in [(60, 700), (119, 700), (120, 3), (179, 3), (180, 0)] {
            assert_eq!(times.longest_lately(at(now)), Duration::from_millis(expected), "at {now} s");
        }
        times.add(Duration::from_millis(5), at(600));
        let timing = times.timing(at(601));
        assert_eq!((timing.count(), timing.total()), (3, Duration::from_millis(708)));
        assert_eq!((timing.longest(), timing.longest_lately()), (Duration::from_millis(700), Duration::from_millis(5)));
        assert_eq!(timing.mean(), Duration::from_millis(236));
        assert_eq!(Timing::default().mean(), Duration::ZERO);
    }

    #[test]
    fn a_group_of_markers_is_no_group_of_appends() {
        let counts = Counts::default();
        let mut group = CommittedGroup { appends: 0, events: 0, bytes: 512, waited: Duration::from_secs(1) };
        counts.committed(&group, Duration::ZERO);
        let activity = counts.activity(Duration::ZERO);
        assert_eq!((activity.bytes_written(), activity.groups(), activity.waits().count()), (512, 0, 0));
        group.appends = 3;
        counts.committed(&group, Duration::ZERO);
        let activity = counts.activity(Duration::ZERO);
        assert_eq!((activity.bytes_written(), activity.groups(), activity.group_appends_max()), (1024, 1, 3));
    }

    #[test]
    fn a_group_is_on_its_way_from_when_its_first_append_came() {
        let counts = Counts::default();
        assert_eq!(counts.busy_for(Duration::from_secs(9)), None);
        counts.busy_since.set(Some(Duration::ZERO));
        assert_eq!(counts.busy_for(Duration::from_secs(9)), Some(Duration::from_secs(9)));
        counts.busy_since.set(None);
        assert_eq!(counts.busy_for(Duration::from_secs(9)), None);
    }
}
