//! What there is of a store, as gauges for the crate `metrics`.

use super::stats::Stats;
use crate::observe::{ConsumerGauges, StoreGauges};
use crate::store::Status;

/// Brings the gauges of a store up to date.
pub(super) fn set(stats: &Stats) {
    let label = stats.label();
    StoreGauges {
        head_position: stats.head().get() as f64,
        events: stats.events() as f64,
        streams: stats.streams() as f64,
        segments: stats.segments() as f64,
        log_bytes: stats.log_bytes() as f64,
        live_bytes: stats.live_bytes() as f64,
        dead_bytes: stats.dead_bytes() as f64,
        disk_bytes: stats.disk_bytes() as f64,
        index_bytes: stats.index_bytes() as f64,
        snapshots: stats.snapshots() as f64,
        snapshot_bytes: stats.snapshot_bytes() as f64,
        memory_bytes: stats.memory_bytes() as f64,
        staged_bytes: stats.staged_bytes() as f64,
        room_bytes: stats.room().map_or(f64::NAN, |room| room as f64),
        writable: f64::from(u8::from(stats.status() == Status::Writing)),
        damaged_segments: stats.damaged().len() as f64,
        wait_seconds_peak: stats.activity().waits().longest_lately().as_secs_f64(),
        sync_seconds_peak: stats.activity().syncs().longest_lately().as_secs_f64(),
    }
    .set(label);
    for info in stats.consumers() {
        ConsumerGauges {
            lag_events: info.lag_events() as f64,
            lag_seconds: info.lag_time().unwrap_or_default().as_secs_f64(),
            parked_events: info.parked() as f64,
        }
        .set(label, info.name());
    }
}
