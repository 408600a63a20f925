//! Comparing all that a store says with the model.

use super::history::{Asked, Placed, STREAMS, Stand, name};
use crate::model::chance::{Chance, Choices};
use scorebook::{
    Error, ErrorKind, EventStore, Position, RecordedEvent, Retention, Scope, Standing, StreamRead, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What of an event is the store's to choose, once and for all.
pub(super) fn given(event: &RecordedEvent) -> String {
    format!("{} {} {} {}", event.id(), event.time(), event.epoch(), event.metadata_json())
}

/// How a stream stands, as far as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Missing,
    Open(u64),
    Deleted,
    Finished,
    /// Of all that it had nothing is left.
    Below,
}

/// How a stream stands, its last version, and what is said about it.
pub(super) type OfStream = (Stands, u64, Option<(u64, u32)>);

/// What is decided and said, in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) head: u64,
    pub(super) streams: Vec<OfStream>,
    pub(super) rules: BTreeMap<Scope, Retention>,
    pub(super) holds: BTreeSet<Scope>,
}

impl Facts {
    pub(super) fn of(store: &EventStore) -> Result<Facts, Error> {
        let of = |stream: u8| {
            let name = name(stream);
            let stands = match store.standing(&name) {
                Ok(Standing::Missing) => Stands::Missing,
                Ok(Standing::Open { first }) => Stands::Open(first.get()),
                Ok(Standing::Deleted { .. }) => Stands::Deleted,
                Ok(Standing::Finished { .. }) => Stands::Finished,
                Err(error) if error.kind() == ErrorKind::BelowFloor => Stands::Below,
                other => panic!("{name}: {other:?}"),
            };
            let said = store.metadata(&name)?;
            let said = said.map(|said| (said.revision().get(), said.decode().expect("a number")));
            Ok((stands, store.version(&name)?.get(), said))
        };
        Ok(Facts {
            head: store.head()?.get(),
            streams: (0..STREAMS).map(of).collect::<Result<_, Error>>()?,
            rules: store.retention()?.into_iter().collect(),
            holds: store.holds()?.iter().map(|hold| hold.scope().clone()).collect(),
        })
    }
}

/// What there is: what was done, and what is gone of it.
pub(super) struct Truth<'a> {
    pub(super) stand: &'a Stand,
    pub(super) gone: &'a BTreeSet<u64>,
    /// What was given to events when they were first seen, by their positions.
    pub(super) given: &'a mut BTreeMap<u64, String>,
}

impl Truth<'_> {
    fn there(&self) -> Vec<&Placed> {
        self.stand.events.iter().filter(|placed| !self.gone.contains(&placed.position)).collect()
    }

    fn stands(&self, stream: u8) -> Stands {
        let of = self.stand.of(stream);
        let has_any = self.stand.ever(stream).any(|placed| !self.gone.contains(&placed.position));
        match () {
            () if of.is_finished => Stands::Finished,
            () if of.deleted != 0 && of.version <= of.deleted => Stands::Deleted,
            () if has_any => Stands::Open(of.floor()),
            () if of.first != 1 && of.version != 0 => Stands::Below,
            () => Stands::Missing,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let of = |stream: u8| {
            let of = self.stand.of(stream);
            (self.stands(stream), of.version, of.said)
        };
        Facts {
            head: self.stand.head,
            streams: (0..STREAMS).map(of).collect(),
            rules: self.stand.rules.clone(),
            holds: self.stand.holds.clone(),
        }
    }

    /// Compares an event with the one at its place.
    fn same(&mut self, event: &RecordedEvent, placed: &Placed) -> Result<(), String> {
        let place = (event.position().get(), event.version().get());
        if place != (placed.position, placed.version) {
            return Err(format!("{event:?} stands where {placed:?} should"));
        }
        placed.event.compare(event)?;
        let now = given(event);
        match self.given.get(&placed.position) {
            Some(before) if *before != now => Err(format!("at {} was {before}, and now is {now}", placed.position)),
            Some(_) => Ok(()),
            None => {
                self.given.insert(placed.position, now);
                Ok(())
            }
        }
    }

    fn check_read(
        &mut self,
        read: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
        expected: &[&Placed],
        whence: &dyn Display,
    ) {
        let mut expected_next = expected.iter();
        for event in read {
            let event = event.unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            let Some(placed) = expected_next.next() else { panic!("{whence}: {event:?} is too much") };
            self.same(&event, placed).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
        }
        if let Some(missing) = expected_next.next() {
            panic!("{whence}: {missing:?} is missing");
        }
    }

    /// Everything there is, the short way.
    pub(super) fn check(&mut self, store: &EventStore, whence: &dyn Display) {
        let stand = self.stand;
        let there: Vec<&Placed> = stand.events.iter().filter(|placed| !self.gone.contains(&placed.position)).collect();
        self.check_read(store.read_all(), &there, &format!("{whence}: everything"));
        let facts = Facts::of(store).unwrap_or_else(|error| panic!("{whence}: {error:?}"));
        assert_eq!(facts, self.facts(), "{whence}");
        for stream in 0..STREAMS {
            self.check_stream(store, stream, &there, whence);
        }
        assert_eq!(store.stats().expect("numbers").events(), there.len() as u64, "{whence}: events");
    }

    fn check_stream(&mut self, store: &EventStore, stream: u8, there: &[&Placed], whence: &dyn Display) {
        let (of, stands, name) = (self.stand.of(stream), self.stands(stream), name(stream));
        let of_it: Vec<&Placed> = there.iter().filter(|placed| placed.event.stream == stream).copied().collect();
        let readable: Vec<&Placed> = of_it.iter().filter(|placed| of.floor() <= placed.version).copied().collect();
        let info = store.stream_info(&name);
        let refusal = match stands {
            Stands::Open(first) => {
                self.check_read(store.read(&name), &readable, &format!("{whence}: {name}"));
                let info = info.unwrap_or_else(|error| panic!("{whence}: {name}: {error:?}"));
                let (begin, end) = (of_it[0], of_it[of_it.len() - 1]);
                let told = (info.first_version().get(), info.version().get(), info.count());
                let ends = (info.first_position().get(), info.last_position().get());
                assert_eq!(ends, (begin.position, end.position), "{whence}: {name}");
                assert_eq!(told, (first, of.version, of_it.len() as u64), "{whence}: {name}");
                return;
            }
            Stands::Missing => ErrorKind::StreamNotFound,
            Stands::Deleted | Stands::Finished => ErrorKind::Deleted,
            Stands::Below => ErrorKind::BelowFloor,
        };
        let read = store.read(&name).into_iter().next().expect("an answer").map_err(|error| error.kind());
        assert_eq!(read.err(), Some(refusal), "{whence}: {name}");
        assert_eq!(info.map_err(|error| error.kind()).err(), Some(refusal), "{whence}: {name}");
        let exists = store.exists(&name).expect("an answer");
        assert_eq!(exists, refusal == ErrorKind::BelowFloor, "{whence}: {name}");
    }

    /// The same at length: queries, reads between bounds, points, lists.
    pub(super) fn check_all(&mut self, store: &EventStore, chance: &mut Chance, whence: &dyn Display) {
        self.check(store, whence);
        let stand = self.stand;
        let gone = self.gone;
        let there: Vec<&Placed> = stand.events.iter().filter(|placed| !gone.contains(&placed.position)).collect();
        let kinds = (0..3).map(Asked::Kind).chain((0..4).map(Asked::Tag)).chain((0..2).map(Asked::Category));
        let all = kinds.chain((0..STREAMS).map(Asked::Stream)).chain((0..3).map(|kind| Asked::KindAndTag(kind, 1)));
        for asked in all {
            let whence = format!("{whence}: {asked:?}");
            let meant: Vec<&Placed> = there.iter().filter(|placed| asked.holds(&placed.event)).copied().collect();
            self.check_read(store.read_all().matching(asked.query()), &meant, &whence);
            let count = store.read_all().matching(asked.query()).count().expect("a number");
            assert_eq!(count, meant.len() as u64, "{whence}");
            let few: Vec<&Placed> = meant.iter().rev().take(3).copied().collect();
            self.check_read(store.read_all().matching(asked.query()).backwards().limit(3), &few, &whence);
        }
        for _ in 0..12 {
            self.check_bounds(store, chance, &there, whence);
            self.check_points(store, chance, whence);
        }
        let names = |is_listed: &dyn Fn(u8) -> bool| -> Vec<String> {
            let mut names: Vec<String> =
                (0..STREAMS).filter(|stream| is_listed(*stream)).map(|stream| name(stream).to_string()).collect();
            names.sort();
            names
        };
        let listed = |list: scorebook::StreamList| {
            list.list().expect("a list").iter().map(|info| info.name().to_string()).collect::<Vec<_>>()
        };
        let has_any = |stream: u8| there.iter().any(|placed| placed.event.stream == stream);
        assert_eq!(listed(store.streams().with_deleted()), names(&has_any), "{whence}: all streams");
        let is_open = |stream: u8| matches!(self.stands(stream), Stands::Open(_));
        assert_eq!(listed(store.streams()), names(&is_open), "{whence}: streams");
    }

    /// A read of a stream or of everything, between any bounds.
    fn check_bounds(&mut self, store: &EventStore, chance: &mut Chance, there: &[&Placed], whence: &dyn Display) {
        let stream = chance.below(usize::from(STREAMS) * 2) as u8;
        let is_of_stream = stream < STREAMS && matches!(self.stands(stream), Stands::Open(_));
        let most = if is_of_stream { self.stand.of(stream).version } else { self.stand.head };
        let mut bound = |times: usize| chance.one_in(times).then(|| chance.below(most as usize + 3) as u64);
        let (from, to, limit) = (bound(2), bound(2), bound(3));
        let is_backwards = chance.one_in(2);
        let whence = format!("{whence}: stream {stream}, {from:?} to {to:?}, {limit:?}, backwards: {is_backwards}");
        let floor = if is_of_stream { self.stand.of(stream).floor() } else { 1 };
        let is_within =
            |number: u64| floor <= number && from.is_none_or(|from| from <= number) && to.is_none_or(|to| number <= to);
        let mut expected: Vec<&Placed> = match is_of_stream {
            true => {
                let of_it = there.iter().filter(|placed| placed.event.stream == stream && is_within(placed.version));
                of_it.copied().collect()
            }
            false => there.iter().filter(|placed| is_within(placed.position)).copied().collect(),
        };
        if is_backwards {
            expected.reverse();
        }
        expected.truncate(limit.unwrap_or(u64::MAX) as usize);
        if !is_of_stream {
            let mut read = store.read_all();
            read = from.map_or(read.clone(), |from| read.from(Position::new(from)));
            read = to.map_or(read.clone(), |to| read.to(Position::new(to)));
            read = limit.map_or(read.clone(), |limit| read.limit(limit));
            let read = if is_backwards { read.backwards() } else { read };
            return self.check_read(read, &expected, &whence);
        }
        let with = |read: StreamRead, bound: Option<u64>, take: fn(StreamRead, Version) -> StreamRead| match bound {
            Some(bound) => take(read, Version::new(bound)),
            None => read,
        };
        let mut read = with(with(store.read(&name(stream)), from, StreamRead::from), to, StreamRead::to);
        read = limit.into_iter().fold(read, |read, limit| read.limit(limit));
        let read = if is_backwards { read.backwards() } else { read };
        let lowest = from.map(|from| from.max(1));
        let is_below = lowest.is_some_and(|from| from < floor) || to.is_some_and(|to| to < floor);
        let is_empty = limit == Some(0) || to == Some(0) || lowest.zip(to).is_some_and(|(from, to)| to < from);
        if is_below && !is_empty {
            let error = read.into_iter().next().expect("an answer").expect_err("it is below the floor");
            assert_eq!(error.kind(), ErrorKind::BelowFloor, "{whence}: {error:?}");
            let text = format!("begins with version {floor}");
            assert!(error.to_string().contains(&text), "{whence}: {error} should say {text}");
            return;
        }
        self.check_read(read, if is_empty { &[] } else { &expected }, &whence);
    }

    /// One event, by each of its names.
    fn check_points(&mut self, store: &EventStore, chance: &mut Chance, whence: &dyn Display) {
        let stand = self.stand;
        if stand.events.is_empty() {
            return;
        }
        let placed = chance.pick(&stand.events);
        let at = store.event_at(Position::new(placed.position));
        let stream = placed.event.stream;
        let by_version = store.event(&name(stream), Version::new(placed.version));
        if self.gone.contains(&placed.position) {
            let kind = at.map_err(|error| error.kind()).err();
            assert_eq!(kind, Some(ErrorKind::EventNotFound), "{whence}: {placed:?} is gone");
            assert!(by_version.is_err() || placed.is_forgotten, "{whence}: {placed:?} is gone");
            return;
        }
        let at = at.unwrap_or_else(|error| panic!("{whence}: {placed:?}: {error:?}"));
        self.same(&at, placed).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
        let by_id = store.event_by_id(at.id()).unwrap_or_else(|error| panic!("{whence}: {placed:?}: {error:?}"));
        self.same(&by_id, placed).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
        let floor = self.stand.of(stream).floor();
        match (self.stands(stream), by_version) {
            (Stands::Open(_), Ok(event)) if floor <= placed.version => {
                self.same(&event, placed).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
            }
            (Stands::Open(_), Err(error)) if placed.version < floor => {
                assert_eq!(error.kind(), ErrorKind::BelowFloor, "{whence}: {error:?}");
            }
            (Stands::Deleted | Stands::Finished, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Deleted, "{whence}: {error:?}");
            }
            (stands, other) => {
                panic!("{whence}: {placed:?} of a stream that is {stands:?}: {other:?}")
            }
        }
    }

    /// A store that another has open may know of events that were removed since it looked; it knows of all others.
    pub(super) fn check_beside(&mut self, beside: &EventStore, whence: &dyn Display) {
        let stand = self.stand;
        let mut there = self.there().into_iter().map(|placed| placed.position).collect::<BTreeSet<u64>>();
        let mut last = 0;
        for event in beside.read_all() {
            let event = event.unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            let position = event.position().get();
            assert!(last < position, "{whence}: {event:?} comes behind {last}");
            last = position;
            let placed = stand.at(position).unwrap_or_else(|| panic!("{whence}: {event:?} was never there"));
            placed.event.compare(&event).unwrap_or_else(|difference| panic!("{whence}: {difference}"));
            there.remove(&position);
        }
        assert!(there.is_empty(), "{whence}: {there:?} are missing");
        assert_eq!(beside.head().expect("a head").get(), self.stand.head, "{whence}: head");
    }
}
