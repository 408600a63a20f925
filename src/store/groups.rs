//! Counting events by what they have in common.

use super::AllRead;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::position::Position;
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashSet};

/// What events are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grouping {
    /// Their types.
    Type,
    /// The categories of their streams.
    Category,
    /// Their streams.
    Stream,
    /// The hours of the store's time, in UTC.
    Hour,
}

/// What the events of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// The name of a type, a category or a stream.
    Name(String),
    /// The beginning of an hour.
    Hour(Timestamp),
}

/// The events that have something in common, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    key: GroupKey,
    events: u64,
    streams: u64,
    first: (Position, Timestamp),
    last: (Position, Timestamp),
}

impl Group {
    /// What they have in common.
    #[must_use]
    pub fn key(&self) -> &GroupKey {
        &self.key
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many streams they stand in.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// The position of the first.
    #[must_use]
    pub fn first_position(&self) -> Position {
        self.first.0
    }

    /// The position of the last.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.last.0
    }

    /// The store's time of the first.
    #[must_use]
    pub fn first_time(&self) -> Timestamp {
        self.first.1
    }

    /// The store's time of the last.
    #[must_use]
    pub fn last_time(&self) -> Timestamp {
        self.last.1
    }
}

impl AllRead {
    /// Counts what the read would give by something the events have in common; sorted by that. Keeps in memory the names
    /// of all streams among them.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, GroupKey, Grouping, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// for name in ["game-1", "game-2"] {
    ///     let events = ["game_started", "guess_made", "guess_made"].map(|event_type| NewEvent::bytes(event_type, []));
    ///     store.append(&StreamName::new(name)?, ExpectedVersion::Any, events).wait().map_err(|e| e.into_error())?;
    /// }
    /// let types = store.read_all().grouped_by(Grouping::Type)?;
    /// assert_eq!(types[1].key(), &GroupKey::Name("guess_made".to_owned()));
    /// assert_eq!((types[1].events(), types[1].streams(), types[1].first_position().get()), (4, 2, 2));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`AllEvents`](super::AllEvents): where an event cannot be given, nobody knows how many there are.
    pub fn grouped_by(&self, grouping: Grouping) -> Result<Vec<Group>, Error> {
        let mut groups: BTreeMap<GroupKey, (Group, HashSet<String, RandomState>)> = BTreeMap::new();
        for event in self {
            let event = event?;
            let (key, at) = (grouping.key(&event), (event.position(), event.time()));
            let (group, streams) = groups.entry(key).or_insert_with_key(|key| {
                (Group { key: key.clone(), events: 0, streams: 0, first: at, last: at }, HashSet::default())
            });
            group.events += 1;
            (group.first, group.last) = (group.first.min(at), group.last.max(at));
            if !streams.contains(event.stream()) {
                streams.insert(event.stream().to_owned());
                group.streams += 1;
            }
        }
        Ok(groups.into_values().map(|(group, _)| group).collect())
    }
}

impl Grouping {
    fn key(self, event: &RecordedEvent) -> GroupKey {
        const HOUR: i64 = 3_600 * 1_000_000_000;
        match self {
            Grouping::Type => GroupKey::Name(event.event_type().to_owned()),
            Grouping::Category => GroupKey::Name(event.category().to_owned()),
            Grouping::Stream => GroupKey::Name(event.stream().to_owned()),
            Grouping::Hour => {
                let hour = event.time().nanos().div_euclid(HOUR).saturating_mul(HOUR);
                GroupKey::Hour(Timestamp::from_nanos(hour))
            }
        }
    }
}
