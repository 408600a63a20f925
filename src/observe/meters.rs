//! The numbers of a store for the crate `metrics`, under names that stay as they are.
//!
//! Each is looked up once, when the store is opened: whoever records them must be there by then.

use super::CommittedGroup;
use crate::time::Timestamp;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit, with_recorder,
};
use std::time::Duration;

/// A sort of metric.
trait Meter: Sized {
    fn describe(recorder: &dyn Recorder, name: KeyName, unit: Unit, help: SharedString);

    fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> Self;
}

macro_rules! meter {
    ($meter:ident, $describe:ident, $register:ident) => {
        impl Meter for $meter {
            fn describe(recorder: &dyn Recorder, name: KeyName, unit: Unit, help: SharedString) {
                recorder.$describe(name, Some(unit), help);
            }

            fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> $meter {
                recorder.$register(key, metadata)
            }
        }
    };
}

meter!(Counter, describe_counter, register_counter);
meter!(Gauge, describe_gauge, register_gauge);
meter!(Histogram, describe_histogram, register_histogram);

const METADATA: Metadata<'static> = Metadata::new("scorebook", Level::INFO, Some("scorebook"));

/// Looks one up, and says what it is.
fn look_up<M: Meter>(name: &'static str, unit: Unit, help: &'static str, labels: Vec<Label>) -> M {
    with_recorder(|recorder| {
        M::describe(recorder, KeyName::from_const_str(name), unit, SharedString::const_str(help));
        M::register(recorder, &Key::from_parts(name, labels), &METADATA)
    })
}

macro_rules! meters {
    ($($field:ident: $meter:ident = $name:expr, $unit:ident, $help:literal;)*) => {
        /// All that are of a store as a whole.
        pub(super) struct Meters {
            label: String,
            $(pub(super) $field: $meter,)*
        }

        impl Meters {
            pub(super) fn new(label: &str) -> Meters {
                Meters {
                    label: label.to_owned(),
                    $($field: look_up($name, Unit::$unit, $help, vec![Label::new("store", label.to_owned())]),)*
                }
            }
        }
    };
}

/// Set by whoever writes when they rise, and when numbers are asked for.
const WAIT_PEAK: &str = "scorebook_wait_seconds_peak";
const SYNC_PEAK: &str = "scorebook_sync_seconds_peak";

meters! {
    appends: Counter = "scorebook_appends_total", Count, "Batches that became visible.";
    events: Counter = "scorebook_events_total", Count, "Events that became visible.";
    conflicts: Counter = "scorebook_conflicts_total", Count, "Appends refused with a conflict.";
    repeats: Counter = "scorebook_repeats_total", Count, "Appends answered with the receipt of an earlier one.";
    refusals: Counter = "scorebook_refusals_total", Count, "Appends refused for another reason than a conflict.";
    outcomes_unknown: Counter = "scorebook_outcomes_unknown_total", Count,
        "Appends that were on their way when a write or sync failed.";
    bytes_written: Counter = "scorebook_written_bytes_total", Bytes, "Bytes that appends have written to the log.";
    groups: Counter = "scorebook_groups_total", Count, "Groups of appends that were written.";
    syncs: Counter = "scorebook_syncs_total", Count, "Syncs of the log.";
    seals: Counter = "scorebook_seals_total", Count, "Segments that have ended.";
    compactions: Counter = "scorebook_compactions_total", Count, "Compactions that wrote segments anew.";
    freed_bytes: Counter = "scorebook_compaction_freed_bytes_total", Bytes, "Bytes less by compactions.";
    removed_events: Counter = "scorebook_compaction_removed_events_total", Count, "Events that compactions removed.";
    backups: Counter = "scorebook_backups_total", Count, "Backups that were taken.";
    group_appends: Histogram = "scorebook_group_appends", Count, "Appends of each group.";
    group_bytes: Histogram = "scorebook_group_bytes", Bytes, "Bytes of each group.";
    wait_seconds: Histogram = "scorebook_wait_seconds", Seconds, "How long the first append of each group was on its way.";
    sync_seconds: Histogram = "scorebook_sync_seconds", Seconds, "How long each sync of the log took.";
    wait_seconds_peak: Gauge = WAIT_PEAK, Seconds, "The longest wait of the last minute or two.";
    sync_seconds_peak: Gauge = SYNC_PEAK, Seconds, "The longest sync of the last minute or two.";
    compaction_time: Gauge = "scorebook_compaction_timestamp_seconds", Seconds, "When the last compaction ended.";
    backup_time: Gauge = "scorebook_backup_timestamp_seconds", Seconds, "When the last backup was taken.";
}

macro_rules! gauges {
    ($(#[$doc:meta])* $gauges:ident($($label:ident = $key:literal),*): $($field:ident = $name:expr, $unit:ident, $help:literal;)*) => {
        $(#[$doc])*
        pub(crate) struct $gauges {
            // What is not known is no number, and left alone.
            $(pub(crate) $field: f64,)*
        }

        impl $gauges {
            pub(crate) fn set(&self, $($label: &str),*) {
                let labels = || vec![$(Label::new($key, $label.to_owned())),*];
                $(if !self.$field.is_nan() {
                    look_up::<Gauge>($name, Unit::$unit, $help, labels()).set(self.$field);
                })*
            }
        }
    };
}

gauges! {
    /// What there is of a store, when numbers are asked for.
    StoreGauges(store = "store"):
    head_position = "scorebook_head_position", Count, "The last visible position.";
    events = "scorebook_events", Count, "Events that can be read.";
    streams = "scorebook_streams", Count, "Streams that have events.";
    segments = "scorebook_segments", Count, "Segments that count.";
    log_bytes = "scorebook_log_bytes", Bytes, "Bytes of the log up to the ends of its segments.";
    live_bytes = "scorebook_live_bytes", Bytes, "Bytes of the log that are not dead.";
    dead_bytes = "scorebook_dead_bytes", Bytes, "About how many bytes of the log a compaction would remove.";
    disk_bytes = "scorebook_disk_bytes", Bytes, "Bytes of the files in the directory of the log.";
    index_bytes = "scorebook_index_bytes", Bytes, "Bytes of what is derived to find events again.";
    snapshots = "scorebook_snapshots", Count, "Snapshots.";
    snapshot_bytes = "scorebook_snapshot_bytes", Bytes, "Bytes of the snapshots.";
    memory_bytes = "scorebook_memory_bytes", Bytes, "About how many bytes of memory streams and terms take.";
    staged_bytes = "scorebook_staged_bytes", Bytes, "Bytes that wait to be written.";
    room_bytes = "scorebook_room_bytes", Bytes, "Bytes there is room for on the disk.";
    writable = "scorebook_writable", Count, "1 where the store writes, else 0.";
    damaged_segments = "scorebook_damaged_segments", Count, "Segments in which bytes were met that do not verify.";
    wait_seconds_peak = WAIT_PEAK, Seconds, "The longest wait of the last minute or two.";
    sync_seconds_peak = SYNC_PEAK, Seconds, "The longest sync of the last minute or two.";
}

gauges! {
    /// How far a consumer is, when numbers are asked for.
    ConsumerGauges(store = "store", consumer = "consumer"):
    lag_events = "scorebook_consumer_lag_events", Count, "Positions between what a consumer has done and the head.";
    lag_seconds = "scorebook_consumer_lag_seconds", Seconds, "Age of the first event that a consumer has not done.";
    parked_events = "scorebook_consumer_parked_events", Count, "Events that a consumer has set aside.";
}

impl Meters {
    pub(super) fn committed(&self, group: &CommittedGroup, peak: Duration) {
        self.bytes_written.increment(group.bytes);
        if group.appends != 0 {
            self.appends.increment(group.appends);
            self.events.increment(group.events);
            self.groups.increment(1);
            self.group_appends.record(group.appends as f64);
            self.group_bytes.record(group.bytes as f64);
            self.wait_seconds.record(group.waited);
            self.wait_seconds_peak.set(peak);
        }
    }

    pub(super) fn synced(&self, took: Duration, peak: Duration) {
        self.syncs.increment(1);
        self.sync_seconds.record(took);
        self.sync_seconds_peak.set(peak);
    }

    pub(super) fn compacted(&self, bytes_freed: u64, events_removed: u64, time: Timestamp) {
        self.compactions.increment(1);
        self.freed_bytes.increment(bytes_freed);
        self.removed_events.increment(events_removed);
        self.compaction_time.set(seconds(time));
    }

    pub(super) fn backed_up(&self, time: Timestamp) {
        self.backups.increment(1);
        self.backup_time.set(seconds(time));
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "metrics of {}", self.label)
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.nanos() as f64 / 1e9
}
