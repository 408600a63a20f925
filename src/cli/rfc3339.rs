//! Points in time as text: RFC 3339, as the tool prints and takes them.

use scorebook::Timestamp;

/// A time as `2016-01-19T00:21:19.000000000Z`: always nine digits, always UTC.
pub(crate) fn print(time: Timestamp) -> String {
    format!("{:.9}", at(time))
}

/// The same down to the millisecond, for tables.
pub(crate) fn brief(time: Timestamp) -> String {
    format!("{:.3}", at(time))
}

fn at(time: Timestamp) -> jiff::Timestamp {
    let nanos = i128::from(time.nanos());
    jiff::Timestamp::from_nanosecond(nanos).expect("what fits 64 bits lies between 1677 and 2262")
}

/// Reads a time; any offset and up to nine digits of a second are taken.
///
/// The form is checked here because more than RFC 3339 would be understood otherwise: a time without
/// minutes, a zone in brackets, a leap second that becomes the second before it.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let fault = |reason: &str| format!("`{}` is not a time: {reason}", text.escape_debug());
    let pattern = b"0000-00-00T00:00:00";
    let has_form = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let bytes = text.as_bytes();
    if bytes.len() <= pattern.len() || !bytes.iter().zip(pattern).all(has_form) || text.contains('[') {
        return Err(fault("it must have the form 2016-01-19T00:21:19.000000000Z"));
    }
    if &bytes[17..19] == b"60" {
        return Err(fault("leap seconds cannot be kept"));
    }
    let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| fault(&error.to_string()))?;
    match i64::try_from(time.as_nanosecond()) {
        Ok(nanos) => Ok(Timestamp::from_nanos(nanos)),
        Err(_) => Err(fault("times reach from 1677 to 2262")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_with_nine_digits_and_read_back() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_453_162_879_000_000_001, "2016-01-19T00:21:19.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(print(Timestamp::from_nanos(nanos)), text);
            assert_eq!(parse(text), Ok(Timestamp::from_nanos(nanos)));
        }
        assert_eq!(brief(Timestamp::from_nanos(1_999_999_999)), "1970-01-01T00:00:01.999Z");
    }

    #[test]
    fn offsets_and_shorter_fractions_are_taken() {
        assert_eq!(parse("1970-01-01T02:00:00.5+02:00"), Ok(Timestamp::from_nanos(500_000_000)));
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(Timestamp::from_nanos(1_000_000_000)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00Z[UTC]",
            "1970-01-01T00:00:00.0000000001Z",
            "2016-12-31T23:59:60Z",
            "1600-01-01T00:00:00Z",
            "2300-01-01T00:00:00Z",
            "1970-01-01T00:00:00Zé",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
