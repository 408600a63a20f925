//! How fast a compaction goes: slower where that was asked for, and where others append.

use crate::position::Position;
use crate::store::EventStore;
use crate::sync::sleep;
use std::time::Duration;

/// It rests for no longer than this at a time, so that it ends soon where it is told to.
const REST: Duration = Duration::from_millis(10);

/// Beside appends it rests after each piece for as long as that took, and no longer than this.
const GIVES_WAY_FOR: Duration = Duration::from_millis(100);

/// How fast it goes, and who has it end.
pub(super) struct Pace<'a> {
    clock: Clock,
    gives_way: bool,
    /// What was visible when the last piece was done.
    head: Position,
    is_to_end: &'a dyn Fn() -> bool,
}

impl Pace<'_> {
    /// That of a compaction by hand, of so many bytes a second at most.
    pub(super) fn by_hand(store: &EventStore, bytes_per_second: Option<u64>) -> Pace<'static> {
        Pace::new(store, bytes_per_second, false, &|| false)
    }

    /// `gives_way` has it rest beside appends; `is_to_end` is asked after each piece, and while it rests.
    pub(super) fn new<'a>(
        store: &EventStore,
        bytes_per_second: Option<u64>,
        gives_way: bool,
        is_to_end: &'a dyn Fn() -> bool,
    ) -> Pace<'a> {
        let head = store.head().unwrap_or(Position::BEGINNING);
        Pace { clock: Clock::new(bytes_per_second, store.elapsed()), gives_way, head, is_to_end }
    }

    /// Whether it was told to end.
    pub(super) fn is_to_end(&self, store: &EventStore) -> bool {
        (self.is_to_end)() || store.is_rewriting_ended()
    }

    /// A piece of so many bytes is done: rests for as long as it should. Whether it goes on.
    pub(super) fn goes_on(&mut self, store: &EventStore, bytes: u64) -> bool {
        // Where there are no threads nothing would happen meanwhile, and the clock would stand still.
        if !store.has_threads() {
            return !self.is_to_end(store);
        }
        let head = store.head().unwrap_or(self.head);
        let is_beside_appends = self.gives_way && self.head < head;
        self.head = head;
        let now = store.elapsed();
        let end = now + self.clock.rest(now, bytes, is_beside_appends);
        while !self.is_to_end(store) {
            let left = end.saturating_sub(store.elapsed());
            if left.is_zero() {
                return true;
            }
            sleep(left.min(REST));
        }
        false
    }
}

/// How long it rests, worked out from the times.
struct Clock {
    bytes_per_second: Option<u64>,
    /// Since when bytes are counted, and how many there were.
    begun: Duration,
    bytes: u64,
    /// When the last rest was over.
    last: Duration,
}

impl Clock {
    fn new(bytes_per_second: Option<u64>, now: Duration) -> Clock {
        Clock { bytes_per_second: bytes_per_second.map(|bytes| bytes.max(1)), begun: now, bytes: 0, last: now }
    }

    /// How long to rest after so many bytes more.
    fn rest(&mut self, now: Duration, bytes: u64, is_beside_appends: bool) -> Duration {
        let took = now.saturating_sub(self.last);
        let mut rest = if is_beside_appends { took.min(GIVES_WAY_FOR) } else { Duration::ZERO };
        if let Some(limit) = self.bytes_per_second {
            self.bytes = self.bytes.saturating_add(bytes);
            let nanos = u128::from(self.bytes) * 1_000_000_000 / u128::from(limit);
            let due = self.begun + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 2));
            if due <= now {
                // What was not used up is not made up for.
                (self.begun, self.bytes) = (now, 0);
            }
            rest = rest.max(due.saturating_sub(now));
        }
        self.last = now + rest;
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_more_bytes_come_by_than_a_second_may_have() {
        let mut clock = Clock::new(Some(1_000), SECOND);
        assert_eq!(clock.rest(SECOND, 500, false), SECOND / 2);
        assert_eq!(clock.rest(SECOND * 3 / 2, 500, false), SECOND / 2);
        assert_eq!(clock.rest(SECOND * 9 / 4, 500, false), SECOND / 4, "the piece took a quarter");
        // Ten seconds later nothing is made up for.
        assert_eq!(clock.rest(SECOND * 12, 500, false), Duration::ZERO);
        assert_eq!(clock.rest(SECOND * 12, 1_000, false), SECOND);
        let mut fast = Clock::new(None, SECOND);
        assert_eq!(fast.rest(SECOND, u64::MAX, false), Duration::ZERO);
        let mut slowest = Clock::new(Some(0), SECOND);
        assert_eq!(slowest.rest(SECOND, 7, false), SECOND * 7);
        assert!(Duration::from_secs(1 << 30) < slowest.rest(SECOND, u64::MAX, false), "and no panic");
    }

    #[test]
    fn beside_appends_it_rests_for_as_long_as_the_piece_took() {
        let mut clock = Clock::new(None, SECOND);
        let piece = Duration::from_millis(30);
        assert_eq!(clock.rest(SECOND + piece, 7, true), piece);
        assert_eq!(clock.rest(SECOND + 3 * piece, 7, false), Duration::ZERO, "nobody appends");
        assert_eq!(clock.rest(SECOND + 4 * piece, 7, true), piece);
        assert_eq!(clock.rest(SECOND * 9, 7, true), GIVES_WAY_FOR, "never for long");
        let mut slow = Clock::new(Some(10), SECOND);
        assert_eq!(slow.rest(SECOND + piece, 10, true), SECOND - piece, "the longer of the two");
    }
}
