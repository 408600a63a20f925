//! When a store compacts itself.

use super::judge::Forced;
use super::planned::{CompactionPlan, LeftBecause, SegmentAct};
use crate::error::{Error, ErrorKind};
use crate::mutant::Mutant;
use std::time::Duration;

/// When a store compacts itself, and how: for [`EventStore::compact_in_background`](crate::EventStore::compact_in_background).
///
/// ```
/// use scorebook::{CompactionPolicy, EventStore};
/// use std::time::Duration;
/// let store = EventStore::open_in_memory()?;
/// let policy = CompactionPolicy::default().share(40).at_least(1 << 30).every(Duration::from_secs(6 * 3_600));
/// store.compact_in_background(&policy.bytes_per_second(32 << 20))?;
/// assert_eq!(store.background_compaction().map(|background| background.runs()), Some(0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing until a store is given it"]
pub struct CompactionPolicy {
    share: u8,
    bytes: u64,
    pub(super) every: Duration,
    pub(super) bytes_per_second: u64,
    pub(super) forced: Forced,
}

impl Default for CompactionPolicy {
    fn default() -> CompactionPolicy {
        CompactionPolicy {
            share: 25,
            bytes: 16 * 1024 * 1024,
            every: Duration::from_secs(60 * 60),
            bytes_per_second: 16 * 1024 * 1024,
            forced: Forced::default(),
        }
    }
}

/// A policy looks no more often than this.
const EVERY_MIN: Duration = Duration::from_millis(1);

/// So many small segments are made one although nothing of them goes.
const MANY: usize = 16;

impl CompactionPolicy {
    /// It compacts where at least so many hundredths go of what the segments have that have ended, 0 to 100. Default: 25.
    pub fn share(self, hundredths: u8) -> CompactionPolicy {
        CompactionPolicy { share: hundredths, ..self }
    }

    /// And where at least so many bytes go. Default: 16 MiB.
    pub fn at_least(self, bytes: u64) -> CompactionPolicy {
        CompactionPolicy { bytes, ..self }
    }

    /// It looks whether there is something to be done at most so often, and at least 1 ms apart; the first time after a minute,
    /// or after this where that is sooner. Default: an hour.
    pub fn every(self, pause: Duration) -> CompactionPolicy {
        CompactionPolicy { every: pause, ..self }
    }

    /// It reads, and then writes, at most so many bytes a second. Default: 16 MiB. Beside appends it rests for as long as it
    /// works all the same.
    pub fn bytes_per_second(self, bytes: u64) -> CompactionPolicy {
        CompactionPolicy { bytes_per_second: bytes, ..self }
    }

    /// Removes also what consumers are not done with. Default: that stays.
    pub fn beyond_consumers(mut self) -> CompactionPolicy {
        self.forced.beyond_consumers = true;
        self
    }

    /// Removes also the last event of a stream that is not finished. Default: that stays.
    pub fn with_last_events(mut self) -> CompactionPolicy {
        self.forced.last_events = true;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let fault = match self {
            _ if 100 < self.share => format!("a share is {} hundredths: it must be 0 to 100", self.share),
            _ if self.every < EVERY_MIN => format!("a pause is {:?}: it must be 1 ms at least", self.every),
            _ if self.bytes_per_second == 0 => "the bytes a second are 0: they must be 1 at least".to_owned(),
            _ => return Ok(()),
        };
        let act = format!("compacting in the background: {fault}");
        Err(Error::new(ErrorKind::InvalidArgument, act))
    }

    /// Whether a plan is worth being done.
    pub(super) fn wants(&self, plan: &CompactionPlan) -> bool {
        if Mutant::CompactsAgainstThePolicy.is_on() {
            return !plan.is_empty();
        }
        let has_ended = |act: SegmentAct| act != SegmentAct::Leave(LeftBecause::Active);
        let ended = plan.segments().iter().filter(|segment| has_ended(segment.act()));
        let (bytes, going): (u64, u64) = (ended.map(|segment| segment.bytes()).sum(), plan.bytes_going());
        let is_enough = self.bytes <= going && u128::from(bytes) * u128::from(self.share) <= u128::from(going) * 100;
        0 < going && is_enough || plan.rows.iter().any(|row| MANY <= row.len())
    }
}
