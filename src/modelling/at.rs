//! Up to where a stream is folded.

use crate::position::Version;
use crate::time::Timestamp;
use std::time::SystemTime;

/// Up to where a stream is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Up to the event with this version, included; version 0 is before the first.
    Version(Version),
    /// Up to the last event to which the store gave this time or an earlier one.
    Time(Timestamp),
}

impl From<Version> for At {
    fn from(version: Version) -> At {
        At::Version(version)
    }
}

impl From<Timestamp> for At {
    fn from(time: Timestamp) -> At {
        At::Time(time)
    }
}

impl From<SystemTime> for At {
    fn from(time: SystemTime) -> At {
        At::Time(time.into())
    }
}

/// Up to where a state was asked for.
pub(super) fn before(at: Option<At>) -> String {
    match at {
        None => "from its first event".to_owned(),
        Some(At::Version(version)) => format!("up to version {version}"),
        Some(At::Time(_)) => "up to a time before that of the last event that it knows of".to_owned(),
    }
}
