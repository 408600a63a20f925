//! How a stream stands: whether it can be read by its name, from where on, and what is said about it and kept of it.

use super::EventStore;
use super::read::missing;
use super::view::View;
use crate::error::{Error, ErrorKind};
use crate::index::{Fate, Said, Stream};
use crate::name::StreamName;
use crate::position::{Revision, Version};
use crate::retention::{Retention, Scope};
use crate::time::Timestamp;
use serde::de::DeserializeOwned;

/// A stream that can be read by its name, and the first version of it that can.
pub(super) fn readable<'a>(view: &'a View, name: &StreamName) -> Result<(&'a Stream, Version), Error> {
    let fate = view.table.fates().get(name.as_str());
    if let Some(error) = fate.and_then(|fate| finished(name, fate)) {
        return Err(error);
    }
    let stream = view.table.visible(name.as_str());
    // What came behind a deletion may have been removed since.
    let version = last_version(stream, fate);
    if let Some(deleted) = fate.and_then(|fate| fate.deleted.as_ref()).filter(|deleted| version <= deleted.last) {
        let act = format!("reading stream {name}: it was deleted{}", because(&deleted.reason));
        return Err(Error::new(ErrorKind::Deleted, act));
    }
    let stream = stream.ok_or_else(|| match fate {
        // All it had was before the version it begins with, and a compaction was told to remove the last event, too.
        Some(fate) if fate.truncated.is_some() && fate.version != Version::NONE => {
            below_floor(name, Version::FIRST, fate.first())
        }
        _ => missing(view, name),
    })?;
    Ok((stream, fate.map_or(Version::FIRST, Fate::first)))
}

/// Whether a stream with events can be read by its name.
pub(super) fn is_readable(view: &View, stream: &Stream) -> bool {
    let fates = view.table.fates();
    fates.is_empty()
        || fates
            .get(view.table.name(stream))
            .is_none_or(|fate| fate.ended.is_none() && !fate.is_deleted_at(last_version(Some(stream), Some(fate))))
}

/// The version of the last event a stream had, also where that was removed.
pub(super) fn last_version(stream: Option<&Stream>, fate: Option<&Fate>) -> Version {
    let had = fate.map_or(Version::NONE, |fate| fate.version);
    stream.map_or(Version::NONE, Stream::version).max(had)
}

fn finished(name: &StreamName, fate: &Fate) -> Option<Error> {
    let ended = fate.ended.as_ref()?;
    let act = format!("reading stream {name}: it is finished{}", because(&ended.reason));
    Some(Error::new(ErrorKind::Deleted, act))
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(", because: {}", reason.escape_debug()) }
}

/// The error for versions that a stream does not begin with any more.
pub(super) fn below_floor(name: &StreamName, asked: Version, first: Version) -> Error {
    let act = format!("reading stream {name} from version {asked}: it begins with version {first}");
    Error::new(ErrorKind::BelowFloor, act)
}

/// How a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It has no events, and is not finished.
    Missing,
    /// It is read by its name.
    Open {
        /// The version that it begins with.
        first: Version,
    },
    /// All of it is deleted. What is appended to it is read.
    Deleted {
        /// Why, as was said.
        reason: String,
        /// When, by the clock.
        time: Timestamp,
    },
    /// It takes nothing any more.
    Finished {
        /// Why, as was said.
        reason: String,
        /// When, by the clock.
        time: Timestamp,
    },
}

/// What is said about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMetadata {
    revision: Revision,
    json: String,
    time: Timestamp,
}

impl StreamMetadata {
    fn of(said: &Said) -> StreamMetadata {
        StreamMetadata { revision: Revision::new(said.revision), json: said.json.clone(), time: said.time }
    }

    /// One more each time something is said.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What is said, as it was handed in.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// What is said, as a type of one's own.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode): it is something else.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let act = "decoding what is said about a stream";
        serde_json::from_str(&self.json).map_err(|error| Error::with_source(ErrorKind::Decode, act, error))
    }

    /// When it was said, by the clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

/// Something that keeps events from being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    scope: Scope,
    label: String,
    since: Timestamp,
}

impl Hold {
    /// Which events it keeps.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What it is known by.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Since when, by the clock.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

impl EventStore {
    /// How a stream stands: whether it is there, deleted or finished.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, Standing, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let player = StreamName::new("player-8812")?;
    /// assert_eq!(store.standing(&player)?, Standing::Missing);
    /// let finished = store.tombstone(&player, ExpectedVersion::Any, "asked to be forgotten");
    /// finished.wait().map_err(|error| error.into_error())?;
    /// assert!(matches!(store.standing(&player)?, Standing::Finished { reason, .. } if reason == "asked to be forgotten"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`exists`](Self::exists).
    pub fn standing(&self, stream: &StreamName) -> Result<Standing, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let fate = view.table.fates().get(stream.as_str());
        match readable(&view, stream) {
            Ok((_, first)) => Ok(Standing::Open { first }),
            Err(error) if error.kind() == ErrorKind::StreamNotFound => Ok(Standing::Missing),
            Err(error) => match fate.map(|fate| (fate.ended.as_ref(), fate.deleted.as_ref())) {
                Some((Some(ended), _)) => Ok(Standing::Finished { reason: ended.reason.clone(), time: ended.time }),
                Some((None, Some(deleted))) if error.kind() == ErrorKind::Deleted => {
                    Ok(Standing::Deleted { reason: deleted.reason.clone(), time: deleted.time })
                }
                _ => Err(error),
            },
        }
    }

    /// What is said about a stream, if anything is. See [`BatchBuilder::set_metadata`](crate::BatchBuilder::set_metadata).
    ///
    /// ```
    /// use scorebook::{EventStore, Revision, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// assert_eq!(store.metadata(&game)?, None);
    /// let said = store.batch().set_metadata(&game, Some(Revision::NONE), &("guild", 77)).commit();
    /// said.wait().map_err(|error| error.into_error())?;
    /// let metadata = store.metadata(&game)?.expect("something was said");
    /// assert_eq!((metadata.revision().get(), metadata.json()), (1, "[\"guild\",77]"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Closed`](ErrorKind::Closed); beside another process also [`Io`](ErrorKind::Io).
    pub fn metadata(&self, stream: &StreamName) -> Result<Option<StreamMetadata>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let said = view.table.fates().get(stream.as_str()).and_then(|fate| fate.metadata.as_ref());
        Ok(said.map(StreamMetadata::of))
    }

    /// All holds, by what they are for. See [`BatchBuilder::hold`](crate::BatchBuilder::hold).
    ///
    /// ```
    /// use scorebook::{EventStore, Scope};
    /// let store = EventStore::open_in_memory()?;
    /// let games = Scope::category("game")?;
    /// store.batch().hold(&games, "case 12").commit().wait().map_err(|error| error.into_error())?;
    /// let holds = store.holds()?;
    /// assert_eq!((holds[0].scope(), holds[0].label()), (&games, "case 12"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`metadata`](Self::metadata).
    pub fn holds(&self) -> Result<Vec<Hold>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let holds = view.table.fates().keeping().holds.iter();
        let of_hold = |((scope, label), since): (&(Scope, String), &Timestamp)| Hold {
            scope: scope.clone(),
            label: label.clone(),
            since: *since,
        };
        Ok(holds.map(of_hold).collect())
    }

    /// All rules for what is kept, by what they are for. See [`BatchBuilder::retain`](crate::BatchBuilder::retain).
    ///
    /// ```
    /// use scorebook::{EventStore, Retention, Scope};
    /// let store = EventStore::open_in_memory()?;
    /// let rule = Retention::forever().newest(100);
    /// store.batch().retain(&Scope::Everything, rule).commit().wait().map_err(|error| error.into_error())?;
    /// assert_eq!(store.retention()?, [(Scope::Everything, rule)]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`metadata`](Self::metadata).
    pub fn retention(&self) -> Result<Vec<(Scope, Retention)>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let rules = view.table.fates().keeping().rules.iter();
        Ok(rules.map(|(scope, (rule, _))| (scope.clone(), *rule)).collect())
    }

    /// The rule that counts for events of a type in a stream, and what it is for.
    ///
    /// ```
    /// use scorebook::{EventStore, Retention, Scope, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let (games, few) = (Scope::category("game")?, Retention::forever().newest(10));
    /// let batch = store.batch().retain(&Scope::Everything, Retention::forever()).retain(&games, few);
    /// batch.commit().wait().map_err(|error| error.into_error())?;
    /// let stream = StreamName::new("game-42")?;
    /// assert_eq!(store.retention_of(&stream, "won")?, Some((games, few)));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`metadata`](Self::metadata).
    pub fn retention_of(&self, stream: &StreamName, event_type: &str) -> Result<Option<(Scope, Retention)>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let rule = view.table.fates().keeping().rule_for(stream.as_str(), event_type);
        Ok(rule.map(|(scope, rule)| (scope.clone(), rule)))
    }
}
