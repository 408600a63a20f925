//! The model of a store: a list of batches in the order in which they were submitted, and what was said about each.
//!
//! A store holds a prefix of the list, whole batches only: at least those it must hold, at most all that were not
//! refused. Positions and versions follow from the order; so do conflicts, and what every read must give.

use super::reading::Reading;
use scorebook::{Conflict, Durability, Error, ErrorKind, EventStore, ExpectedVersion, RecordedEvent, StreamName};
use scorebook::{NewEvent, Position, Query, Version};
use std::collections::BTreeMap;
use std::fmt::Display;

/// The type of the events of a kind.
fn type_name(kind: u32) -> String {
    format!("type_{kind}")
}

/// What asks for the events of a stream that are of one kind.
pub(crate) fn query(number: u8, kind: u8) -> Query {
    Query::all().in_stream(&stream(number)).of_type(&type_name(kind.into()))
}

/// A key by its number.
pub(crate) fn key(number: u8) -> String {
    format!("key-{number}")
}

/// The name of a stream by its number.
pub(crate) fn stream(number: u8) -> StreamName {
    StreamName::new(format!("game-{number}")).expect("a name")
}

/// An event as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) stream: u8,
    /// Makes every event another: its type, schema, tag and payload follow from it.
    serial: u32,
    bytes: u32,
}

impl Event {
    fn kind(&self) -> u32 {
        self.serial % 3
    }

    fn event_type(&self) -> String {
        type_name(self.kind())
    }

    fn data(&self) -> Vec<u8> {
        let mut data = vec![self.serial as u8; self.bytes as usize];
        let head = self.serial.to_le_bytes();
        let len = head.len().min(data.len());
        data[..len].copy_from_slice(&head[..len]);
        data
    }

    fn tag(&self) -> Option<u32> {
        self.serial.is_multiple_of(4).then_some(self.serial)
    }

    fn correlation(&self) -> Option<String> {
        self.serial.is_multiple_of(5).then(|| format!("böt-{}", self.serial))
    }

    /// The event as it is handed in.
    pub(crate) fn new_event(&self) -> NewEvent {
        let mut event = NewEvent::bytes(&self.event_type(), self.data()).schema(1 + self.serial % 7);
        if let Some(tag) = self.tag() {
            event = event.tag("serial", tag);
        }
        if let Some(correlation) = self.correlation() {
            event = event.correlation(correlation);
        }
        event
    }

    /// Whether a stored event is this one, at this place. Says what differs.
    pub(crate) fn compare(&self, event: &RecordedEvent, position: u64, version: u64) -> Result<(), String> {
        let tag = self.tag().map(|tag| tag.to_string());
        let is_same = [
            ("position", event.position().get() == position),
            ("stream", event.stream() == stream(self.stream).as_str()),
            ("version", event.version().get() == version),
            ("type", event.event_type() == self.event_type()),
            ("schema", event.schema() == 1 + self.serial % 7),
            ("tag", event.tag("serial") == tag.as_deref()),
            ("correlation", event.metadata_json().contains("correlation") == self.correlation().is_some()),
            ("payload", event.data() == self.data()),
        ];
        match is_same.iter().find(|(_, is_same)| !is_same) {
            Some((what, _)) => Err(format!("{what} of {event:?} is not that of {self:?} at {position}")),
            None => Ok(()),
        }
    }
}

/// What was said about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    Nothing,
    Written,
    Synced,
}

impl From<Durability> for Said {
    fn from(durability: Durability) -> Said {
        match durability {
            Durability::Written => Said::Written,
            Durability::Synced => Said::Synced,
        }
    }
}

/// Something that a batch asks.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// That a stream is at some version.
    Version(u8, ExpectedVersion),
    /// That a stream has no event of a kind behind a position.
    Absent { stream: u8, kind: u8, after: u64 },
}

/// A batch that was not refused.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    /// The number of the key under which it was accepted.
    pub(crate) key: Option<u8>,
    pub(crate) said: Said,
}

/// What was submitted, in order, and what was said about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) batches: Vec<Batch>,
    serial: u32,
    /// The highest epoch in which anything was visible.
    pub(crate) epoch: u32,
}

impl Model {
    /// Makes events that nobody has seen before.
    pub(crate) fn invent(&mut self, stream: u8, count: u16, bytes: u32) -> Vec<Event> {
        (0..count)
            .map(|_| {
                self.serial += 1;
                Event { stream, serial: self.serial, bytes }
            })
            .collect()
    }

    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.batches.iter().flat_map(|batch| &batch.events)
    }

    /// How many batches there are at most.
    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    /// The version of a stream behind all that was submitted.
    pub(crate) fn version(&self, stream: u8) -> u64 {
        self.events().filter(|event| event.stream == stream).count() as u64
    }

    /// Whether a batch that asks this is accepted behind all that was submitted. All of it is about the store as it is
    /// before the batch; the first that does not hold is the conflict.
    pub(crate) fn judge(&self, asked: &[Asked]) -> Option<Conflict> {
        let mut absences = 0;
        asked.iter().find_map(|one| match one {
            Asked::Version(number, expected) => {
                let actual = self.version(*number);
                let is_broken = match expected {
                    ExpectedVersion::Any => false,
                    ExpectedVersion::NoStream => actual != 0,
                    ExpectedVersion::StreamExists => actual == 0,
                    ExpectedVersion::Exact(version) => actual != version.get(),
                };
                let (stream, expected, actual) = (stream(*number), *expected, Version::new(actual));
                is_broken.then_some(Conflict::Version { stream, expected, actual })
            }
            Asked::Absent { stream, kind, after } => {
                absences += 1;
                let is_asked = |(position, event): &(u64, &Event)| {
                    after < position && event.stream == *stream && event.kind() == u32::from(*kind)
                };
                let (position, _) = (1..).zip(self.events()).find(is_asked)?;
                let (after, position) = (Position::new(*after), Position::new(position));
                Some(Conflict::Unless { number: absences, after, position })
            }
        })
    }

    /// Which batch came with a key.
    pub(crate) fn with_key(&self, key: u8) -> Option<usize> {
        self.batches.iter().position(|batch| batch.key == Some(key))
    }

    /// Compares a conflict with the one that must have been found.
    pub(crate) fn check_conflict(&self, conflict: &Conflict, expected: Option<Conflict>, whence: &dyn Display) {
        let Some(expected) = expected else {
            panic!("{whence}: {conflict}, but all that was asked holds");
        };
        let is_same = match (conflict, &expected) {
            (Conflict::Version { expected: told, .. }, Conflict::Version { stream, expected, actual })
                if (*expected, *told) == NO_STREAM_TWICE =>
            {
                *conflict == Conflict::Version { stream: stream.clone(), expected: *told, actual: *actual }
            }
            _ => *conflict == expected,
        };
        assert!(is_same, "{whence}: {conflict:?} and not {expected:?}");
    }

    fn least(&self, said: Said) -> usize {
        self.batches.iter().rposition(|batch| said <= batch.said).map_or(0, |last| last + 1)
    }

    /// How many batches must be there after a loss of power.
    pub(crate) fn least_after_power_cut(&self) -> usize {
        self.least(Said::Synced)
    }

    /// How many batches must be there after the process died.
    pub(crate) fn least_after_kill(&self) -> usize {
        self.least(Said::Written)
    }

    pub(crate) fn all_synced(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.said = Said::Synced);
    }

    /// After a loss of power nothing holds that was only written.
    pub(crate) fn lost_power(&mut self) {
        let written = self.batches.iter_mut().filter(|batch| batch.said == Said::Written);
        written.for_each(|batch| batch.said = Said::Nothing);
    }

    /// Forgets the batches that turned out not to be there.
    pub(crate) fn keep(&mut self, batches: usize, are_durable: bool) {
        self.batches.truncate(batches);
        if are_durable {
            self.all_synced();
        }
    }

    /// How many events the first so many batches hold.
    pub(crate) fn events_in(&self, batches: usize) -> usize {
        self.batches[..batches].iter().map(|batch| batch.events.len()).sum()
    }

    /// Compares all that a store says with the model, and gives the number of batches there.
    ///
    /// # Panics
    ///
    /// If fewer than `least` batches are there, one is not whole, or anything else is not as it was appended.
    pub(crate) fn check(&self, store: &EventStore, least: usize, whence: &dyn Display) -> usize {
        let mut found = 0;
        let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
        let mut expected = self.events();
        let mut last_time = None;
        for event in store.read_all() {
            let event = event.unwrap_or_else(|error| panic!("{whence}: reading all: {error:?}"));
            let Some(model) = expected.next() else { panic!("{whence}: {event:?} was never accepted") };
            found += 1;
            let version = versions.entry(model.stream).or_default();
            *version += 1;
            model.compare(&event, found, *version).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
            assert!(last_time <= Some(event.time()), "{whence}: time goes backwards at {found}");
            last_time = Some(event.time());
        }
        let whole = self.batches_of(found, whence);
        assert!(least <= whole, "{whence}: {whole} batches are there, {least} were acknowledged");
        assert_eq!(store.head().expect("a head").get(), found, "{whence}: head");
        for (number, last) in versions {
            let name = stream(number);
            let read = store.read(&name).iter().map(|event| event.expect("an event").version().get());
            assert!(read.eq(1..=last), "{whence}: reading stream {name}");
            assert_eq!(store.version(&name).expect("a version").get(), last, "{whence}: version of {name}");
        }
        self.check_queries(store, found as usize, whence);
        whole
    }

    /// Compares what is found by terms among the first so many events.
    fn check_queries(&self, store: &EventStore, found: usize, whence: &dyn Display) {
        let all = || (1..).zip(self.events().take(found));
        for kind in 0..3 {
            let count = store.read_all().matching(Query::all().of_type(&type_name(kind))).count();
            let expected = all().filter(|(_, event)| event.kind() == kind).count() as u64;
            assert_eq!(count.expect("a number"), expected, "{whence}: how many are of kind {kind}");
        }
        let Some(last) = self.events().take(found).last() else {
            return;
        };
        let query = query(last.stream, last.kind() as u8);
        let read = store.read_all().matching(query).backwards().limit(3);
        let read = read.iter().map(|event| event.expect("an event").position().get());
        let is_same = |event: &Event| (event.stream, event.kind()) == (last.stream, last.kind());
        let expected: Vec<u64> = all().filter(|(_, event)| is_same(event)).map(|(position, _)| position).collect();
        assert!(read.eq(expected.into_iter().rev().take(3)), "{whence}: found by stream and type");
    }

    /// How many batches that many events are.
    fn batches_of(&self, events: u64, whence: &dyn Display) -> usize {
        let (mut behind, mut whole) = (0, 0);
        while behind < events && whole < self.batches.len() {
            behind += self.batches[whole].events.len() as u64;
            whole += 1;
        }
        assert_eq!(behind, events, "{whence}: a batch is there in part");
        whole
    }

    /// Compares one way of reading with the model. The store holds the first `batches`.
    pub(crate) fn check_reading(&self, store: &EventStore, reading: &Reading, batches: usize, whence: &dyn Display) {
        let mut numbered = Vec::new();
        let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
        for (position, event) in (1..).zip(self.batches[..batches].iter().flat_map(|batch| &batch.events)) {
            let version = versions.entry(event.stream).or_default();
            *version += 1;
            numbered.push((event, position, *version));
        }
        let expected = reading.choose(&numbered);
        let read = reading.read(store);
        let Ok(read) = read else {
            let is_missing = reading.stream.is_some_and(|number| !versions.contains_key(&number));
            let error = read.expect_err("it was an error");
            assert!(is_missing && error.kind() == ErrorKind::StreamNotFound, "{whence}: {reading:?}: {error:?}");
            return;
        };
        assert_eq!(read.len(), expected.len(), "{whence}: {reading:?}");
        for (read, (event, position, version)) in read.iter().zip(&expected) {
            let compared = event.compare(read, *position, *version);
            compared.unwrap_or_else(|difference| panic!("{whence}: {reading:?}: {difference}"));
        }
        if let Some((event, position, version)) = expected.first() {
            check_points(store, event, *position, *version, whence);
        }
    }

    /// What a store on damaged files gives is right as far as it goes, and what it does not give is announced.
    pub(crate) fn check_damaged(&self, store: &EventStore, least: usize, whence: &dyn Display) {
        let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
        let mut expected = (1..).zip(self.events());
        for event in store.read_all() {
            let event = match event {
                Ok(event) => event,
                Err(error) => return check_named(&error, whence),
            };
            let Some((position, model)) = expected.next() else { panic!("{whence}: {event:?} was never accepted") };
            let version = versions.entry(model.stream).or_default();
            *version += 1;
            model.compare(&event, position, *version).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
        }
        let there = expected.next().map_or(self.events().count(), |(position, _)| position as usize - 1);
        let least = self.events_in(least);
        assert!(least <= there, "{whence}: {there} of {least} events, and no word of the others");
    }
}

/// `Exact(0)` may be told as `NoStream`, which it means.
const NO_STREAM_TWICE: (ExpectedVersion, ExpectedVersion) =
    (ExpectedVersion::Exact(Version::NONE), ExpectedVersion::NoStream);

/// One event, by each of its names.
fn check_points(store: &EventStore, event: &Event, position: u64, version: u64, whence: &dyn Display) {
    let by_position = store.event_at(Position::new(position)).expect("it is there");
    let by_version = store.event(&stream(event.stream), Version::new(version)).expect("it is there");
    let by_id = store.event_by_id(by_position.id()).expect("it is there");
    for found in [by_position, by_version, by_id] {
        event.compare(&found, position, version).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
    }
}

/// Damage and newer formats are named, with a place or the positions.
pub(crate) fn check_named(error: &Error, whence: &dyn Display) {
    let is_kind = [ErrorKind::Damaged, ErrorKind::TooNew].contains(&error.kind());
    let text = error.to_string();
    let has_place = ["byte", "segment", ".log", "positions"].iter().any(|word| text.contains(word));
    assert!(is_kind && has_place, "{whence}: {error:?}");
}
