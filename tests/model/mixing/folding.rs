//! States that are folded from a store to which everything is done: all at once, by stream, saved, and as aggregates.

use super::Mixing;
use super::history::{Asked, Placed, STREAMS, name};
use super::looking::Stands;
use crate::model::chance::Choices;
use scorebook::{
    Aggregate, Error, ErrorKind, EventContext, EventStore, KeyedProjection, Position, Projection, Query, Saving,
    Snapshots, StreamName,
};
use serde::{Deserialize, Serialize};

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    pub(super) enum Payload {
        A(First) = "a", 1;
        B(Second) = "b", 1;
        C(Third) = "c", 1;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct First(u32, String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Second(u32, String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Third(u32, String);

/// What was folded: where and what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folded {
    events: Vec<(u64, u32)>,
}

impl Folded {
    fn take(&mut self, payload: &Payload, context: &EventContext<'_>) {
        let (Payload::A(First(serial, _)) | Payload::B(Second(serial, _)) | Payload::C(Third(serial, _))) = payload;
        self.events.push((context.position().get(), *serial));
    }
}

impl Aggregate for Folded {
    type Event = Payload;
    type Command = ();
    type Refusal = ();

    fn new(_: &StreamName) -> Folded {
        Folded::default()
    }

    fn decide(&self, (): &()) -> Result<Vec<Payload>, ()> {
        Ok(Vec::new())
    }

    fn apply(&mut self, event: &Payload, context: &EventContext<'_>) {
        self.take(event, context);
    }

    fn snapshots() -> Option<Snapshots<Folded>> {
        Some(Snapshots::json(1).every_events(4).at_close())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Everything(Folded);

impl Projection for Everything {
    type Event = Payload;
    const NAME: &'static str = "everything";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Everything {
        Everything::default()
    }

    fn apply(&mut self, event: &Payload, context: &EventContext<'_>) {
        self.0.take(event, context);
    }

    fn saving() -> Saving {
        Saving::AtClose
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfStream(Folded);

impl KeyedProjection for OfStream {
    type Key = StreamName;
    type Event = Payload;

    fn query(stream: &StreamName) -> Query {
        Query::all().in_stream(stream)
    }

    fn new(_: &StreamName) -> OfStream {
        OfStream::default()
    }

    fn apply(&mut self, event: &Payload, context: &EventContext<'_>) {
        self.0.take(event, context);
    }

    fn states_kept() -> usize {
        4
    }
}

impl Mixing {
    /// Folds, in one of the ways there are, and compares.
    pub(super) fn fold(&mut self) -> Result<(), Error> {
        let store = self.store();
        match self.chance.below(8) {
            0..2 => {
                let view = match self.following.view.take() {
                    Some(view) => view,
                    None => store.projection::<Everything>()?,
                };
                view.reached(Position::new(self.stand.head)).wait()?;
                if self.chance.one_in(3) {
                    view.save()?;
                }
                if self.chance.one_in(4) {
                    view.rebuild()?.wait()?;
                }
                self.check_folded(&view.state().0, Asked::All);
                self.following.view = Some(view);
            }
            2..4 => {
                let stream = self.chance.below(STREAMS.into()) as u8;
                let folded = store.keyed_projection::<OfStream>().state(&name(stream))?;
                self.check_folded(&folded.state().0, Asked::Stream(stream));
            }
            _ => self.load(&store)?,
        }
        Ok(())
    }

    /// A state holds everything that is still there, and of what is gone what was folded in before.
    fn check_folded(&self, folded: &Folded, asked: Asked) {
        let positions: Vec<u64> = folded.events.iter().map(|(position, _)| *position).collect();
        assert!(positions.windows(2).all(|pair| pair[0] < pair[1]), "{asked:?}: {positions:?}");
        for (position, serial) in &folded.events {
            let placed = self.stand.at(*position);
            let is_same = placed.is_some_and(|placed| placed.event.serial == *serial && asked.holds(&placed.event));
            assert!(is_same, "{asked:?}: {serial} at {position} was folded in, and there is {placed:?}");
        }
        let is_missing = |placed: &&Placed| {
            let position = placed.position;
            asked.holds(&placed.event) && !self.gone.contains(&position) && positions.binary_search(&position).is_err()
        };
        let missing: Vec<&Placed> = self.stand.events.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{asked:?}: not folded in: {missing:?}");
    }

    /// The state of a stream is that of all its events, or is refused because some of them cannot be read.
    fn load(&mut self, store: &EventStore) -> Result<(), Error> {
        let stream = self.chance.below(STREAMS.into()) as u8;
        let handle = store.aggregate::<Folded>(&name(stream));
        let of = self.stand.of(stream).clone();
        let ever: Vec<&Placed> = self.stand.ever(stream).collect();
        let is_whole = ever.iter().zip(1..).all(|(placed, version)| {
            placed.version == version && of.floor() <= version && !self.gone.contains(&placed.position)
        });
        let stands = self.stands(stream);
        match handle.load() {
            Ok(loaded) => {
                assert!(!matches!(stands, Stands::Deleted | Stands::Finished), "stream {stream} is {stands:?}");
                let expected: Vec<(u64, u32)> = match stands {
                    Stands::Missing => Vec::new(),
                    _ => ever.iter().map(|placed| (placed.position, placed.event.serial)).collect(),
                };
                let version = if stands == Stands::Missing { 0 } else { of.version };
                assert!(
                    of.deleted == 0 || stands == Stands::Missing,
                    "stream {stream} was deleted up to {}",
                    of.deleted
                );
                assert_eq!(loaded.version().get(), version, "stream {stream}");
                assert_eq!(loaded.state().events, expected, "stream {stream}");
                if self.chance.one_in(3) && version != 0 {
                    handle.save_snapshot(&loaded)?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Deleted => {
                assert!(matches!(stands, Stands::Deleted | Stands::Finished), "stream {stream} is {stands:?}: {error}");
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::BelowFloor => {
                assert!(!is_whole, "stream {stream} is whole: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
