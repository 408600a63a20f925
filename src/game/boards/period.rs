//! Stretches of time that boards are about.

use crate::game::Moment;
use serde::Serialize;
use std::fmt;
use std::ops::RangeInclusive;

/// What time a leaderboard is about, seen from some moment. "All | month (calendar) | week (Mon–Sun) | day (last 24 h)".
///
/// Weeks and months are those of UTC. Whatever the period, nothing counts that ended behind the moment: a board of last Friday
/// is what it was last Friday.
///
/// ```
/// use scorebook::game::{Moment, Period};
/// let moment = Moment::from_millis(1_709_210_096_000); // Thursday, 29 February 2024, 12:34:56
/// let begins = |period: Period| period.until(moment).start().millis();
/// assert_eq!(begins(Period::Month), 1_706_745_600_000); // 1 February, 0:00
/// assert_eq!(begins(Period::Week), 1_708_905_600_000); // Monday, 26 February, 0:00
/// assert_eq!(begins(Period::Day), 1_709_123_696_001); // what ended exactly 24 hours ago is too old
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The last 24 hours, to the millisecond.
    Day,
    /// The week from Monday, 0:00, on.
    Week,
    /// The calendar month from its first day, 0:00, on.
    Month,
    /// From the beginning on.
    All,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Period {
    /// All there are.
    pub const ALL: [Period; 4] = [Period::Day, Period::Week, Period::Month, Period::All];

    /// The name in commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
            Period::All => "all",
        }
    }

    /// The period with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Period> {
        Period::ALL.into_iter().find(|period| period.name() == name)
    }

    /// The first and the last moment that count, as seen from this one, which is the last.
    #[must_use]
    pub fn until(self, moment: Moment) -> RangeInclusive<Moment> {
        let day = moment.millis() / DAY_MS;
        let first = match self {
            Period::Day => moment.millis().saturating_sub(DAY_MS - 1),
            Period::Week => day.saturating_sub(weekday(day)) * DAY_MS,
            Period::Month => (day - (day_of_month(day) - 1)) * DAY_MS,
            Period::All => 0,
        };
        Moment::from_millis(first)..=moment
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many days after a Monday a day is, counted from 1 January 1970, which was a Thursday.
fn weekday(day: u64) -> u64 {
    (day + 3) % 7
}

/// Which day of its month a day is, from 1, in the Gregorian calendar. Years are counted from March on, so that a leap day is
/// the last of its year, and the lengths of the months before it repeat every five.
fn day_of_month(day: u64) -> u64 {
    const DAYS_400_YEARS: u64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    let of_era = (day + FROM_MARCH_OF_YEAR_0) % DAYS_400_YEARS;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of months, as everybody learns them.
    fn days_of(year: u64, month: u64) -> u64 {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    #[test]
    fn days_are_counted_as_in_a_calendar_for_six_hundred_years() {
        let (mut day, mut week) = (0, 3);
        for year in 1970..2570 {
            for month in 1..=12 {
                for of_month in 1..=days_of(year, month) {
                    assert_eq!((day_of_month(day), weekday(day)), (of_month, week), "{year}-{month}");
                    (day, week) = (day + 1, (week + 1) % 7);
                }
            }
        }
    }

    #[test]
    fn a_period_ends_with_the_moment_and_begins_where_it_says() {
        let begins = |period: Period, millis: u64| *period.until(Moment::from_millis(millis)).start();
        for (period, millis, first) in [
            (Period::Day, DAY_MS, 1),
            (Period::Day, DAY_MS - 1, 0),
            (Period::Day, 5, 0),
            // 1 January 1970 was a Thursday: the first Monday was the fifth.
            (Period::Week, 4 * DAY_MS - 1, 0),
            (Period::Week, 4 * DAY_MS, 4 * DAY_MS),
            (Period::Week, 11 * DAY_MS - 1, 4 * DAY_MS),
            (Period::Month, 31 * DAY_MS - 1, 0),
            (Period::Month, 31 * DAY_MS, 31 * DAY_MS),
            (Period::All, 31 * DAY_MS, 0),
        ] {
            assert_eq!(begins(period, millis), Moment::from_millis(first), "{period} at {millis}");
            assert_eq!(*period.until(Moment::from_millis(millis)).end(), Moment::from_millis(millis));
        }
        for period in Period::ALL {
            assert_eq!(Period::named(period.name()), Some(period));
            assert!(begins(period, u64::MAX) <= Moment::from_millis(u64::MAX));
        }
    }
}
