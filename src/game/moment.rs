//! Points in time as the game knows them, in milliseconds.

use scorebook::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A point in time, in milliseconds since the beginning of 1970. It comes with a command; nothing here asks a clock.
///
/// ```
/// use scorebook::game::Moment;
/// let moment = Moment::from_millis(7_000);
/// assert_eq!(moment.plus(500).since(moment), 500);
/// assert_eq!(moment.since(moment.plus(500)), 0);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The last moment that an event may have: about the year 2262, as for the store.
    pub const MAX: Moment = Moment(i64::MAX.unsigned_abs() / 1_000_000);

    /// The moment so many milliseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since the beginning of 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The moment so many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Moment {
        Moment(self.0.saturating_add(millis))
    }

    /// Milliseconds since an earlier moment, or 0 where it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Moment {
        Moment(u64::try_from(time.nanos() / 1_000_000).unwrap_or(0))
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Timestamp {
        let nanos = i64::try_from(moment.0).ok().and_then(|millis| millis.checked_mul(1_000_000));
        Timestamp::from_nanos(nanos.unwrap_or(i64::MAX))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
