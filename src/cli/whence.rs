//! A place in the log as a person says it: a position, a time, the beginning or the end.

use crate::cli::moment::Moment;
use scorebook::{Position, Timestamp};
use std::str::FromStr;

/// A place in the log that was given as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    Beginning,
    End,
    Position(Position),
    Time(Timestamp),
}

impl FromStr for Whence {
    type Err = String;

    /// One of two words; digits are a position; all else is a point in time.
    fn from_str(text: &str) -> Result<Whence, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let position = text.parse().map_err(|_| format!("`{text}` is larger than any position"))?;
            return Ok(Whence::Position(Position::new(position)));
        }
        match text {
            "beginning" => Ok(Whence::Beginning),
            "end" => Ok(Whence::End),
            _ => {
                let moment =
                    text.parse().map_err(|fault| format!("neither beginning, end nor a position, and {fault}"));
                moment.map(|Moment(time)| Whence::Time(time))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_digits_and_times_are_places() {
        assert_eq!("beginning".parse(), Ok(Whence::Beginning));
        assert_eq!("end".parse(), Ok(Whence::End));
        assert_eq!("17".parse(), Ok(Whence::Position(Position::new(17))));
        assert_eq!("1970-01-02".parse(), Ok(Whence::Time(Timestamp::from_nanos(86_400_000_000_000))));
        for text in ["", "-1", "start", "18446744073709551616"] {
            assert!(text.parse::<Whence>().is_err(), "{text}");
        }
    }
}
