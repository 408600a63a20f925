//! How fast a consumer is.

use std::time::Duration;

/// How many events were done lately.
#[derive(Default)]
pub(super) struct Rate {
    /// The seconds that were counted last, and how many in each; none where nothing was done yet.
    seconds: Option<Box<[(u64, u64); 10]>>,
    done: u64,
}

impl Rate {
    pub(super) fn note(&mut self, now: Duration, events: u64) {
        let second = now.as_secs();
        let slot = &mut self.seconds.get_or_insert_default()[(second % 10) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += events;
        self.done += events;
    }

    /// Events a second over the last ten, or over how long there was anything to count.
    pub(super) fn a_second(&self, now: Duration, begun: Duration) -> f64 {
        let recent =
            self.seconds.iter().flat_map(|seconds| &**seconds).filter(|(second, _)| now.as_secs() < second + 10);
        let events: u64 = recent.map(|(_, events)| events).sum();
        let span = now.saturating_sub(begun).as_secs_f64().clamp(1.0, 10.0);
        events as f64 / span
    }
}
