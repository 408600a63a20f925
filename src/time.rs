//! Points in time as the log keeps them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: nanoseconds since the beginning of 1970, UTC.
///
/// Reaches from the year 1677 to 2262. Times before or behind that are taken as the nearest there is.
///
/// ```
/// use scorebook::Timestamp;
/// use std::time::{Duration, UNIX_EPOCH};
/// let time = Timestamp::from(UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(time.nanos(), 1_500_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// The time this many nanoseconds after the beginning of 1970, or before it when negative.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Timestamp {
        Timestamp(nanos)
    }

    /// Nanoseconds since the beginning of 1970; negative before it.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The time this long after `earlier`, or zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(i128::from(self.0) - i128::from(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Timestamp(i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos)),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        let nanos = Duration::from_nanos(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - nanos } else { UNIX_EPOCH + nanos }
    }
}

impl fmt::Display for Timestamp {
    /// Seconds and nanoseconds since the beginning of 1970.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09} s", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}
