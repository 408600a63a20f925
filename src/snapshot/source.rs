//! Of whom a state is, and what may be wrong with a file of it.

use crate::name::StreamName;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// What a snapshot is a state of.
///
/// ```
/// use scorebook::SnapshotSource;
/// assert_eq!(SnapshotSource::Projection { name: "points".to_owned() }.to_string(), "projection points");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotSource {
    /// A projection.
    Projection {
        /// Its [name](crate::Projection::NAME).
        name: String,
    },
    /// An aggregate.
    Aggregate {
        /// The name of its type, as the compiler says it.
        name: String,
        /// The stream whose state it is.
        stream: StreamName,
    },
}

/// Why a snapshot is passed over. The events are replayed instead, so only speed is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// Its bytes do not verify, or cannot be read.
    Damaged,
    /// It belongs to another store, or stands under the name of another snapshot.
    Foreign,
    /// The log does not reach as far.
    Ahead,
    /// The log holds another event where it ends.
    AnotherLog,
    /// The stream begins with another state than when this was folded.
    Superseded,
    /// It is of another shape than its schema says: it cannot be decoded, is in another codec, or of another query.
    Shape,
}

impl SnapshotSource {
    /// The stream, where it is of one.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamName> {
        match self {
            SnapshotSource::Projection { .. } => None,
            SnapshotSource::Aggregate { stream, .. } => Some(stream),
        }
    }

    /// The name of the projection, or of the aggregate's type.
    #[must_use]
    pub fn name(&self) -> &str {
        let (SnapshotSource::Projection { name } | SnapshotSource::Aggregate { name, .. }) = self;
        name
    }

    /// What the names of its files begin with.
    pub(crate) fn key(&self) -> u64 {
        let mut hasher = Xxh3::new();
        hasher.update(&[u8::from(self.stream().is_some())]);
        for part in [self.name(), self.stream().map_or("", |stream| stream.as_str())] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.digest()
    }
}

impl fmt::Display for SnapshotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotSource::Projection { name } => write!(f, "projection {name}"),
            SnapshotSource::Aggregate { name, stream } => write!(f, "stream {stream} as {name}"),
        }
    }
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotFault::Damaged => "its bytes do not verify",
            SnapshotFault::Foreign => "it belongs elsewhere",
            SnapshotFault::Ahead => "the log does not reach as far",
            SnapshotFault::AnotherLog => "the log holds another event where it ends",
            SnapshotFault::Superseded => "the stream begins with another state by now",
            SnapshotFault::Shape => "it is of another shape",
        })
    }
}
