//! Points in time as a person gives them: a time, a date, or how long ago.

use crate::cli::rfc3339;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo};
use scorebook::Timestamp;
use std::str::FromStr;

/// A point in time that was given as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl FromStr for Moment {
    type Err = String;

    /// An RFC 3339 time; a date, which is its first moment in UTC; or an age, counted from now, with days of 24 hours.
    fn from_str(text: &str) -> Result<Moment, String> {
        if text.contains('T') {
            return rfc3339::parse(text).map(Moment);
        }
        if let Ok(date) = text.parse::<Date>() {
            let midnight = date.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
            return moment(midnight.timestamp().as_nanosecond());
        }
        let fault =
            || format!("`{}` is no time, date or age: 2026-05-01T18:00:00Z, 2026-05-01, 2h", text.escape_debug());
        let span: Span = text.parse().map_err(|_| fault())?;
        let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fault())?;
        if age.is_negative() {
            return Err(format!("`{}` lies in the future", text.escape_debug()));
        }
        moment(jiff::Timestamp::now().as_nanosecond() - age.as_nanos())
    }
}

fn moment(nanos: i128) -> Result<Moment, String> {
    let nanos = i64::try_from(nanos).map_err(|_| "times reach from 1677 to 2262".to_owned())?;
    Ok(Moment(Timestamp::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_ages_are_understood() {
        let nanos = |text: &str| text.parse::<Moment>().map(|moment| moment.0.nanos());
        assert_eq!(nanos("1970-01-01T00:00:01+00:00"), Ok(1_000_000_000));
        assert_eq!(nanos("1970-01-02"), Ok(86_400_000_000_000));
        let now = jiff::Timestamp::now().as_nanosecond() as i64;
        for (text, seconds) in [("2h", 7_200), ("1d", 86_400), ("1h30m", 5_400), ("0s", 0)] {
            let ago = now - nanos(text).unwrap() - seconds * 1_000_000_000;
            assert!(ago.abs() < 60_000_000_000, "{text}: {ago}");
        }
        for text in ["", "yesterday", "-2h", "2", "1970-13-01", "1mo", "9999-01-01", "1970-01-01T00:00"] {
            assert!(nanos(text).is_err(), "{text}");
        }
    }
}
