//! Up to where a stream is folded: a version, or a point in time.

use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::Moment;
use scorebook::{EventStore, Query, StreamName, Timestamp, Version};
use std::str::FromStr;

/// A place in a stream's history that was given as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Version(Version),
    Time(Timestamp),
}

impl FromStr for At {
    type Err = String;

    /// Digits are a version; all else is a point in time.
    fn from_str(text: &str) -> Result<At, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let version = text.parse().map_err(|_| format!("`{text}` is larger than any version"))?;
            return Ok(At::Version(Version::new(version)));
        }
        let Moment(time) = text.parse().map_err(|fault| format!("no version, and {fault}"))?;
        Ok(At::Time(time))
    }
}

impl At {
    /// The version that the stream had there; 0 before its first event.
    pub(crate) fn version(self, store: &EventStore, stream: &StreamName) -> Result<Version, Failure> {
        let end = store.stream_info(stream)?.version();
        match self {
            At::Version(version) if version <= end => Ok(version),
            At::Version(version) => {
                let text = format!("stream {stream} is at version {end}: there is no version {version}");
                Err(Failure::new(Exit::NotFound, text))
            }
            At::Time(time) => {
                let behind = Timestamp::from_nanos(time.nanos().saturating_add(1));
                let events = store.read_all().matching(Query::all().in_stream(stream)).until(behind);
                let last = events.backwards().limit(1).into_iter().next().transpose()?;
                Ok(last.map_or(Version::new(0), |event| event.version()))
            }
        }
    }

    /// The version that the stream had there; where nothing is said, the one it has.
    pub(crate) fn version_or_last(at: Option<At>, store: &EventStore, stream: &StreamName) -> Result<Version, Failure> {
        match at {
            Some(at) => at.version(store, stream),
            None => Ok(store.stream_info(stream)?.version()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorebook::{ExpectedVersion, NewEvent};

    #[test]
    fn digits_are_a_version_and_all_else_a_time() {
        assert_eq!("12".parse(), Ok(At::Version(Version::new(12))));
        assert_eq!("0".parse(), Ok(At::Version(Version::new(0))));
        assert_eq!("1970-01-02".parse(), Ok(At::Time(Timestamp::from_nanos(86_400_000_000_000))));
        assert!(matches!("2h".parse(), Ok(At::Time(_))));
        for text in ["", "-1", "1.0", "18446744073709551616", "later"] {
            assert!(text.parse::<At>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_the_version_that_the_stream_had_then() {
        let store = EventStore::open_in_memory().unwrap();
        let stream = StreamName::new("s").unwrap();
        for _ in 0..3 {
            store.append(&stream, ExpectedVersion::Any, [NewEvent::bytes("t", [])]).wait().unwrap();
        }
        let time = |version| store.event(&stream, Version::new(version)).unwrap().time();
        let version = |at: At| at.version(&store, &stream).unwrap().get();
        // Events may share a time: then it is the last of them that counts.
        for recorded in 1..=3 {
            let last = (1..=3).rev().find(|version| time(*version) == time(recorded)).unwrap();
            assert_eq!(version(At::Time(time(recorded))), last);
        }
        assert_eq!(version(At::Time(Timestamp::from_nanos(0))), 0);
        assert_eq!(version(At::Time(Timestamp::from_nanos(i64::MAX))), 3);
        assert_eq!(version(At::Version(Version::new(2))), 2);
        assert!(At::Version(Version::new(4)).version(&store, &stream).is_err());
    }
}
