//! Ids of 64 bits that others gave out, and that JSON must not round.

use crate::error::{Error, ErrorKind};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An id of 64 bits that somebody else gave out: a user, a channel, an interaction.
///
/// In text, JSON among it, it is a decimal string: many readers of JSON keep numbers in 53 bits and would make another id
/// of it. For the same reason a JSON number is refused, also one that happens to be exact: whoever wrote it may have rounded
/// it already. In bincode it is the number.
///
/// ```
/// use scorebook::{NewEvent, Snowflake};
/// let player = Snowflake::from(9_007_199_254_740_993);
/// assert_eq!(player.to_string().parse::<Snowflake>()?, player);
/// let event = NewEvent::json("player_joined", &player)?.tag("player", player);
/// assert!(event.fault().is_none());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snowflake(u64);

impl Snowflake {
    /// The id as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads decimal digits, as they are written: no sign, no zero in front.
    fn read(text: &str) -> Option<Snowflake> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if is_plain { text.parse().ok().map(Snowflake) } else { None }
    }
}

impl From<u64> for Snowflake {
    fn from(number: u64) -> Snowflake {
        Snowflake(number)
    }
}

impl FromStr for Snowflake {
    type Err = Error;

    fn from_str(text: &str) -> Result<Snowflake, Error> {
        Snowflake::read(text).ok_or_else(|| {
            let act = format!("snowflake `{}` is not a decimal number of 64 bits", text.escape_debug());
            Error::new(ErrorKind::InvalidArgument, act)
        })
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Snowflake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Snowflake, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(OfText)
        } else {
            u64::deserialize(deserializer).map(Snowflake)
        }
    }
}

struct OfText;

impl Visitor<'_> for OfText {
    type Value = Snowflake;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snowflake as a string of decimal digits (a number may have been rounded)")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Snowflake, E> {
        Snowflake::read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_it_is_a_string_of_digits_and_nothing_else() {
        let read = |json: &str| serde_json::from_str::<Snowflake>(json).map_err(|fault| fault.to_string());
        for number in [0, 7, 9_007_199_254_740_993, u64::MAX] {
            let json = serde_json::to_string(&Snowflake(number)).expect("JSON");
            assert_eq!(json, format!("\"{number}\""));
            assert_eq!(read(&json), Ok(Snowflake(number)));
        }
        for wrong in ["\"\"", "\"007\"", "\"+7\"", "\"-7\"", "\"7.0\"", "\"18446744073709551616\"", "\"٧\"", "\"7 \""]
        {
            let fault = read(wrong).expect_err("no snowflake");
            assert!(fault.contains("expected a snowflake as a string of decimal digits"), "{wrong}: {fault}");
        }
        let fault = read("9007199254740993").expect_err("a number");
        assert!(fault.starts_with("invalid type: integer `9007199254740993`, expected a snowflake"), "{fault}");
        assert!(fault.contains("may have been rounded"), "{fault}");
    }

    #[test]
    fn it_is_the_key_of_a_map_too() {
        let map = std::collections::BTreeMap::from([(Snowflake(u64::MAX), 1), (Snowflake(7), 2)]);
        let json = serde_json::to_string(&map).expect("JSON");
        assert_eq!(json, r#"{"7":2,"18446744073709551615":1}"#);
        assert_eq!(serde_json::from_str::<std::collections::BTreeMap<Snowflake, i32>>(&json).expect("a map"), map);
    }
}
