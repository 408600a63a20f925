//! The stream table: every stream's name, versions and places.

use super::holes::{HoleKind, Holes};
use super::places::Places;
use crate::format::{BatchView, Fault, Kind, Loss, Range};
use crate::log::Visitor;
use crate::position::{Place, Position, Version};
use crate::sync::{Arc, AtomicU64, Ordering};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// The in-memory index of streams.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    /// Seeded at random, since names come from outside.
    hasher: RandomState,
    numbers: HashTable<u32>,
    streams: Vec<Stream>,
    holes: Holes,
    events: u64,
    /// Streams with at least one visible event.
    visible_streams: u64,
    /// While a stored batch is made visible: the stream of each event that is, and its last position before.
    replayed: Vec<(u32, Position)>,
}

/// What is known of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: Arc<str>,
    /// Of the visible events.
    pub(crate) places: Places,
    pub(crate) first_position: Position,
    pub(crate) last_position: Position,
    admitted: AdmittedVersion,
}

/// The version of the last event that was admitted, visible or not.
///
/// Only read and written under the lock of admission, which orders it; the atomic only lets that happen while readers
/// share the table.
#[derive(Debug, Default)]
struct AdmittedVersion(AtomicU64);

impl Stream {
    /// The version of the last visible event.
    pub(crate) fn version(&self) -> Version {
        self.places.last_version()
    }

    /// The version of the last admitted event. To be called under the lock of admission.
    pub(crate) fn admitted(&self) -> Version {
        Version::new(self.admitted.0.load(Ordering::Relaxed))
    }

    /// Notes that events were admitted. To be called under the lock of admission.
    pub(crate) fn admit(&self, version: Version) {
        self.admitted.0.store(version.get(), Ordering::Relaxed);
    }
}

impl StreamTable {
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn visible_streams(&self) -> u64 {
        self.visible_streams
    }

    pub(crate) fn holes(&self) -> &Holes {
        &self.holes
    }

    /// The number of a stream that was ever named in an admitted batch.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.numbers.find(hash, |number| &*self.streams[*number as usize].name == name).copied()
    }

    /// A stream by its number.
    pub(crate) fn stream(&self, number: u32) -> &Stream {
        &self.streams[number as usize]
    }

    /// A stream with visible events.
    pub(crate) fn visible(&self, name: &str) -> Option<&Stream> {
        self.number(name).map(|number| self.stream(number)).filter(|stream| stream.places.len() != 0)
    }

    /// All streams with visible events, in no order.
    pub(crate) fn all_visible(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|stream| stream.places.len() != 0)
    }

    /// The number of a stream, which gets one where it has none.
    pub(crate) fn intern(&mut self, name: &Arc<str>) -> u32 {
        if let Some(number) = self.number(name) {
            return number;
        }
        let number = u32::try_from(self.streams.len()).expect("memory ends before four billion streams");
        let stream = Stream {
            name: name.clone(),
            places: Places::default(),
            first_position: Position::BEGINNING,
            last_position: Position::BEGINNING,
            admitted: AdmittedVersion::default(),
        };
        self.streams.push(stream);
        let (hasher, streams) = (&self.hasher, &self.streams);
        let hash = hasher.hash_one(&**name);
        self.numbers.insert_unique(hash, number, |number| hasher.hash_one(&*streams[*number as usize].name));
        number
    }

    /// Makes an event visible.
    pub(crate) fn publish(&mut self, number: u32, version: Version, position: Position, place: Place) {
        let stream = &mut self.streams[number as usize];
        if stream.places.len() == 0 {
            self.visible_streams += 1;
            stream.first_position = position;
        }
        stream.places.push(version, place);
        stream.last_position = position;
        self.events += 1;
    }

    /// Notes positions without events.
    pub(crate) fn add_hole(&mut self, range: Range, kind: HoleKind) {
        self.holes.add(range, kind);
    }

    /// Notes that losses were accepted.
    pub(crate) fn accept_losses(&mut self, last: Position) {
        self.holes.accept(last);
    }

    /// Whether an event with this version may follow what is known of a stream: the next version, or a higher one where
    /// positions are missing in between.
    pub(crate) fn may_follow(
        &self,
        last: Version,
        last_position: Position,
        version: Version,
        position: Position,
    ) -> bool {
        last.next() == Some(version) || (last < version && self.holes.any_between(last_position, position))
    }

    /// Makes a stored event visible, after a look at whether it belongs there.
    fn replay(&mut self, name: &str, version: Version, position: Position, place: Place) -> Result<(), Fault> {
        let number = match self.number(name) {
            Some(number) => number,
            None => self.intern(&name.into()),
        };
        let stream = self.stream(number);
        if !self.may_follow(stream.version(), stream.last_position, version, position) {
            return Err(Fault::Senseless);
        }
        stream.admit(version);
        let last_position = stream.last_position;
        self.replayed.push((number, last_position));
        self.publish(number, version, position, place);
        Ok(())
    }

    /// Makes what was replayed of a batch invisible again.
    fn take_back(&mut self) {
        while let Some((number, last_position)) = self.replayed.pop() {
            let stream = &mut self.streams[number as usize];
            stream.places.pop();
            stream.last_position = last_position;
            stream.admit(stream.version());
            self.events -= 1;
            if stream.places.len() == 0 {
                stream.first_position = Position::BEGINNING;
                self.visible_streams -= 1;
            }
        }
    }

    fn replay_batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        let moved = place.offset.wrapping_sub(batch.offset);
        for (offset, record) in batch.placed_records() {
            let header = &record.header;
            match header.kind {
                Kind::Event => {
                    let place = Place { segment: place.segment, offset: offset.wrapping_add(moved) };
                    self.replay(record.stream()?, header.version, header.position, place)?;
                }
                Kind::Removed => self.add_hole(Range::decode_removed(record.body())?, HoleKind::Removed),
                Kind::Lost => match Loss::decode(record.body())? {
                    Loss::Found(range) => self.add_hole(range, HoleKind::Lost),
                    Loss::Accepted(last) => self.accept_losses(last),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

impl Visitor for StreamTable {
    /// All of the batch or nothing: where the last event does not belong here, the first does not count either.
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        self.replayed.clear();
        let holes = self.holes.mark();
        let replayed = self.replay_batch(place, batch);
        if replayed.is_err() {
            self.take_back();
            self.holes.go_back(holes);
        }
        replayed
    }

    fn damaged(&mut self, range: Range) {
        self.add_hole(range, HoleKind::Damaged);
    }

    fn end_damaged(&mut self, range: Range) {
        self.damaged(range);
        self.holes.lose_end();
    }
}
