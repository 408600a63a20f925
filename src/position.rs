//! Numbers with a unit: where an event stands in the store and in its stream.

use std::fmt;

/// The highest number a position can have; ids that the store makes have room for no more. No store comes near it: it
/// would take an event a nanosecond for 146 years.
pub(crate) const POSITION_MAX: u64 = u64::MAX >> 2;

/// An event's place in the whole store. The first event ever has position 1.
///
/// Positions have no holes when they are given, never change, and rise in the order in which events
/// became visible.
///
/// ```
/// use scorebook::Position;
/// assert!(Position::BEGINNING < Position::new(1));
/// assert_eq!(Position::new(7).next(), Some(Position::new(8)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The place before the first event: 0. The head of an empty store.
    pub const BEGINNING: Position = Position(0);

    /// The position with this number.
    #[must_use]
    pub const fn new(number: u64) -> Position {
        Position(number)
    }

    /// The number of this position.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position behind this one, or `None` behind the last there can be.
    #[must_use]
    pub const fn next(self) -> Option<Position> {
        match self.0.checked_add(1) {
            Some(number) => Some(Position(number)),
            None => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's place in its stream. The first event has version 1; a stream that does not exist is
/// at 0.
///
/// ```
/// use scorebook::Version;
/// assert_eq!(Version::NONE.next(), Some(Version::FIRST));
/// assert_eq!(Version::FIRST.get(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of a stream that does not exist: 0.
    pub const NONE: Version = Version(0);
    /// The version of the first event of a stream: 1.
    pub const FIRST: Version = Version(1);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Version {
        Version(number)
    }

    /// The number of this version.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version behind this one, or `None` behind the last there can be.
    #[must_use]
    pub const fn next(self) -> Option<Version> {
        match self.0.checked_add(1) {
            Some(number) => Some(Version(number)),
            None => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of what is said about a stream: the first has 1.
///
/// ```
/// use scorebook::Revision;
/// assert!(Revision::NONE < Revision::new(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Nothing was said yet: 0.
    pub const NONE: Revision = Revision(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Revision {
        Revision(number)
    }

    /// The number of this revision.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record stands in the files: the sequence number of its segment and the byte in it.
///
/// A place in files is never a [`Position`]; places rise along the log as positions do.
///
/// ```
/// use scorebook::Place;
/// assert!(Place { segment: 1, offset: 900 } < Place { segment: 2, offset: 512 });
/// assert_eq!(Place { segment: 2, offset: 512 }.to_string(), "byte 512 of segment 2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The sequence number of the segment; segments are numbered from 1.
    pub segment: u32,
    /// The byte offset in the segment's file.
    pub offset: u32,
}

impl Place {
    /// The place before every other.
    pub(crate) const NONE: Place = Place { segment: 0, offset: 0 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of segment {}", self.offset, self.segment)
    }
}

/// What an append asks of a stream's version before it is accepted.
///
/// ```
/// use scorebook::{ExpectedVersion, Version};
/// assert!(ExpectedVersion::NoStream.admits(Version::NONE));
/// assert!(ExpectedVersion::Exact(Version::NONE).admits(Version::NONE));
/// assert!(!ExpectedVersion::StreamExists.admits(Version::NONE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Whatever the version is.
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The stream's last event has exactly this version; version 0 means [`NoStream`](Self::NoStream).
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream whose last version is `actual` meets the expectation.
    #[must_use]
    pub fn admits(self, actual: Version) -> bool {
        match self {
            ExpectedVersion::Any => true,
            ExpectedVersion::NoStream => actual == Version::NONE,
            ExpectedVersion::StreamExists => actual != Version::NONE,
            ExpectedVersion::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedVersion::Any => f.write_str("any version"),
            ExpectedVersion::NoStream | ExpectedVersion::Exact(Version::NONE) => f.write_str("no stream"),
            ExpectedVersion::StreamExists => f.write_str("an existing stream"),
            ExpectedVersion::Exact(version) => write!(f, "version {version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_has_no_next() {
        assert_eq!(Position::new(u64::MAX).next(), None);
        assert_eq!(Version::new(u64::MAX).next(), None);
    }
}
