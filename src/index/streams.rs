//! The stream table: every stream's name, versions, and where it begins and ends.

use super::blocks::Doubt;
use super::columns::{Reader, SavedStreams};
use super::consumers::Consumers;
use super::fates::{Fates, SavedFates};
use super::holes::{HoleKind, Holes};
use super::names::{Name, Names};
use super::part::{Before, Step, StreamPart};
use super::quotas::Quotas;
use super::rows::Rows;
use super::saved::SavedTable;
use crate::format::{BatchView, Fact, Fault, Kind, Loss, Range};
use crate::log::Visitor;
use crate::mutant::Mutant;
use crate::position::{Place, Position, Version};
use crate::sync::{AtomicU64, Ordering};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// The in-memory index of streams.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    /// Seeded at random, since names come from outside.
    hasher: RandomState,
    numbers: HashTable<u32>,
    streams: Rows<Stream>,
    names: Names,
    holes: Holes,
    consumers: Consumers,
    fates: Fates,
    quotas: Quotas,
    events: u64,
    /// Streams with at least one visible event.
    visible_streams: u64,
    /// Of the stored batch that was made visible last: the stream of each event and what was known of it before.
    replayed: Vec<(u32, Extent)>,
    /// And how each event continues its stream.
    steps: Vec<Step>,
    /// What was read from disk is of these places.
    saved: Option<SavedPlaces>,
}

/// Between which places of the log a saved table was taken.
#[derive(Clone, Copy, Debug)]
struct SavedPlaces {
    /// Everything before it is known.
    from: Place,
    /// Nothing behind it is.
    upto: Place,
}

/// What is known of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    name: Name,
    extent: Extent,
    admitted: AdmittedVersion,
}

/// What is visible of a stream: which events, and where the first and the last of them stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) version: Version,
    /// Lower than the version where versions are missing.
    pub(crate) events: u64,
    pub(crate) first_position: Position,
    pub(crate) last_position: Position,
    pub(crate) first_segment: u32,
    pub(crate) last_segment: u32,
}

impl Extent {
    /// Of a stream without visible events.
    const NOTHING: Extent = Extent {
        version: Version::NONE,
        events: 0,
        first_position: Position::BEGINNING,
        last_position: Position::BEGINNING,
        first_segment: 0,
        last_segment: 0,
    };
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
        self.extent.version
    }

    /// What is visible of it.
    pub(crate) fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(crate) fn is_visible(&self) -> bool {
        self.extent.events != 0
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

    /// About how many bytes it takes in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let of_stream = size_of::<Stream>() + 2 * size_of::<u32>();
        (self.streams.len() * of_stream + self.names.memory_bytes()) as u64
    }

    pub(crate) fn holes(&self) -> &Holes {
        &self.holes
    }

    pub(crate) fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    pub(crate) fn consumers_mut(&mut self) -> &mut Consumers {
        &mut self.consumers
    }

    pub(crate) fn fates(&self) -> &Fates {
        &self.fates
    }

    pub(crate) fn fates_mut(&mut self) -> &mut Fates {
        &mut self.fates
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    pub(crate) fn quotas_mut(&mut self) -> &mut Quotas {
        &mut self.quotas
    }

    /// The number of a stream that was ever named in an admitted batch.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.numbers.find(hash, |number| self.names.get(self.streams[*number as usize].name) == name).copied()
    }

    /// The version of the last event of a stream that was admitted. To be called under the lock of admission.
    pub(crate) fn admitted(&self, name: &str) -> Version {
        self.number(name).map_or(Version::NONE, |number| self.stream(number).admitted())
    }

    /// A stream by its number.
    pub(crate) fn stream(&self, number: u32) -> &Stream {
        &self.streams[number as usize]
    }

    /// The name of a stream.
    pub(crate) fn name(&self, stream: &Stream) -> &str {
        self.names.get(stream.name)
    }

    /// A stream with visible events.
    pub(crate) fn visible(&self, name: &str) -> Option<&Stream> {
        self.number(name).map(|number| self.stream(number)).filter(|stream| stream.is_visible())
    }

    /// All streams with visible events, in no order.
    pub(crate) fn all_visible(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|stream| stream.is_visible())
    }

    /// The number of a stream, which gets one where it has none.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name);
        let (streams, names) = (&self.streams, &self.names);
        let text = |number: &u32| names.get(streams[*number as usize].name);
        let entry =
            self.numbers.entry(hash, |number| text(number) == name, |number| self.hasher.hash_one(text(number)));
        let entry = match entry {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(entry) => entry,
        };
        let number = u32::try_from(self.streams.len()).expect("memory ends before four billion streams");
        entry.insert(number);
        let name = self.names.add(name);
        self.streams.push(Stream { name, extent: Extent::NOTHING, admitted: AdmittedVersion::default() });
        number
    }

    /// The table that was saved: what stands in the log behind the place it was taken from is to be told to it.
    pub(super) fn saved(table: &SavedTable) -> Result<StreamTable, Doubt> {
        let (head, mut reader) = Reader::begin(table.body())?;
        let mut streams = StreamTable {
            holes: Holes::saved(&head.holes, head.accepted),
            consumers: Consumers::saved(head.consumers.into_iter()),
            fates: Fates::saved(head.fates),
            quotas: Quotas::saved(head.quotas),
            events: head.events,
            visible_streams: head.streams,
            saved: Some(SavedPlaces { from: table.from.place, upto: table.upto.place }),
            ..StreamTable::default()
        };
        streams.numbers.reserve(head.streams as usize, |_| unreachable!("it is empty"));
        while let Some(mut block) = reader.block()? {
            let names = streams.names.take(std::mem::take(&mut block.names), &block.name_lens);
            for (name, extent) in names.into_iter().zip(block.extents()) {
                streams.take(name, extent?);
            }
        }
        streams.admit_finished();
        Ok(streams)
    }

    /// Takes over a stream that was saved. Each has another name, by whoever wrote them down.
    fn take(&mut self, name: Name, extent: Extent) {
        let number = self.streams.len() as u32;
        let (streams, names) = (&self.streams, &self.names);
        let hash_of = |number: &u32| self.hasher.hash_one(names.get(streams[*number as usize].name));
        self.numbers.insert_unique(self.hasher.hash_one(names.get(name)), number, hash_of);
        let stream = Stream { name, extent, admitted: AdmittedVersion::default() };
        stream.admit(extent.version);
        self.streams.push(stream);
    }

    /// Streams go on from the version they had, also where no event of them is left.
    fn admit_finished(&mut self) {
        let versions: Vec<(String, Version)> =
            self.fates.iter().map(|(name, fate)| (name.to_owned(), fate.version)).collect();
        versions.iter().for_each(|(name, version)| self.admit_at_least(name, *version));
    }

    /// A stream has had this version. To be called under the lock of admission.
    pub(crate) fn admit_at_least(&mut self, name: &str, version: Version) {
        if version != Version::NONE {
            let number = self.intern(name);
            let stream = self.stream(number);
            stream.admit(stream.admitted().max(version));
        }
    }

    /// What is to be saved besides the streams, at a moment when `head` is the last visible position.
    pub(crate) fn begin_save(&self, head: Position) -> SavedStreams {
        let (holes, accepted) = self.holes.to_save(head);
        let is_saved = !Mutant::SavesNoConsumers.is_on();
        let consumers =
            self.consumers.iter().filter(|_| is_saved).map(|(name, known)| (name.to_string(), known.clone())).collect();
        let fates = if Mutant::SavesNoFates.is_on() { SavedFates::default() } else { self.fates.to_save() };
        SavedStreams::begin((self.events, holes, accepted), consumers, fates, self.quotas.to_save(head))
    }

    /// Some of the visible streams, to be saved: those of so many numbers from one on. The number behind them, if there is one.
    pub(crate) fn save(&self, from: usize, count: usize, to: usize, saved: &mut SavedStreams) -> Option<usize> {
        let end = (from + count).min(to);
        let streams = (from..end).map(|number| &self.streams[number]);
        for stream in streams.filter(|stream| stream.is_visible()) {
            saved.push(self.name(stream), &stream.extent);
        }
        (end < to).then_some(end)
    }

    /// How many numbers of streams there are.
    pub(crate) fn numbers(&self) -> usize {
        self.streams.len()
    }

    /// Makes an event of a segment visible, and says how it continues its stream.
    pub(crate) fn publish(&mut self, number: u32, version: Version, position: Position, segment: u32) -> Step {
        let extent = &mut self.streams[number as usize].extent;
        let before = *extent;
        if before.events == 0 {
            self.visible_streams += 1;
            (extent.first_position, extent.first_segment) = (position, segment);
        }
        extent.events += 1;
        (extent.version, extent.last_position, extent.last_segment) = (version, position, segment);
        self.events += 1;
        if before.events == 0 || before.last_segment != segment {
            let before = if before.events == 0 { Before::Nowhere } else { Before::Segment(before.last_segment) };
            Step::Begins(StreamPart { first: version, has_jumps: false, before })
        } else if before.version.next() == Some(version) {
            Step::Follows
        } else {
            Step::Jumps
        }
    }

    /// Takes it that events of a stream are no longer held: so many, and the first that is left now, if one is, stands there.
    pub(crate) fn thin(&mut self, name: &str, removed: u64, first: Option<(Position, u32)>) {
        let Some(number) = self.number(name) else { return };
        let extent = &mut self.streams[number as usize].extent;
        let removed = removed.min(extent.events);
        extent.events -= removed;
        self.events -= removed;
        match first {
            _ if extent.events == 0 => *extent = Extent::NOTHING,
            Some((position, segment)) => (extent.first_position, extent.first_segment) = (position, segment),
            // It cannot be read: whoever asks for it is told.
            None => {}
        }
        if removed != 0 && extent.events == 0 {
            self.visible_streams -= 1;
        }
    }

    /// Takes what a segment that was written anew no longer holds.
    pub(crate) fn replace_holes(&mut self, positions: Range, removed: &[Range]) {
        self.holes.replace(positions, removed);
    }

    /// How each event of the stored batch that was made visible last continues its stream.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether events of a segment may have been known from what was saved, before they were read.
    pub(super) fn is_known_in_part(&self, segment: u32) -> bool {
        self.saved.is_some_and(|saved| segment <= saved.upto.segment)
    }

    /// Where a stream stands before a segment in which its event with this version is the first.
    pub(super) fn before(&self, name: &str, version: Version, segment: u32) -> Before {
        let known = self.visible(name).map(Stream::extent);
        match known {
            _ if version == Version::FIRST => Before::Nowhere,
            Some(extent) if extent.first_segment == segment => Before::Nowhere,
            Some(extent) if extent.last_segment < segment => Before::Segment(extent.last_segment),
            _ => Before::Unknown,
        }
    }

    /// Notes positions without events.
    pub(crate) fn add_hole(&mut self, range: Range, kind: HoleKind) {
        self.holes.add(range, kind);
        self.holes.condense();
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
            None => self.intern(name),
        };
        let stream = self.stream(number);
        let before = stream.extent;
        let may_be_known = self.saved.is_some_and(|saved| place < saved.upto);
        if may_be_known && version <= before.version {
            // It was there by the time the stream was saved.
            self.replayed.push((number, before));
            self.events += 1;
            return Ok(());
        }
        if !self.may_follow(before.version, before.last_position, version, position) {
            return Err(Fault::Senseless);
        }
        stream.admit(version);
        self.replayed.push((number, before));
        let step = self.publish(number, version, position, place.segment);
        self.steps.push(step);
        Ok(())
    }

    /// Makes what was replayed of a batch invisible again.
    fn take_back(&mut self) {
        while let Some((number, before)) = self.replayed.pop() {
            let stream = &mut self.streams[number as usize];
            stream.extent = before;
            let name = self.names.get(stream.name);
            let had = self.fates.get(name).map_or(Version::NONE, |fate| fate.version);
            stream.admit(before.version.max(had));
            self.events -= 1;
            self.visible_streams -= u64::from(before.events == 0);
        }
        self.steps.clear();
    }

    /// Makes something visible that a batch says besides events, behind those.
    pub(crate) fn publish_fact(&mut self, fact: &Fact, place: Place) {
        match fact {
            Fact::Consumer(fact) => self.consumers.publish(fact),
            Fact::Stream(_) | Fact::Keep(_) => self.fates.publish(fact, place),
            Fact::Quota(fact) => self.quotas.publish_fact(fact),
        }
    }

    fn replay_fact(&mut self, fact: &Fact, place: Place, last: Position) {
        if let Fact::Quota(fact) = fact {
            self.quotas.admit_fact(fact, last);
            self.quotas.publish_fact(fact);
        }
        if let Fact::Consumer(fact) = fact {
            self.consumers.publish(fact);
        }
        self.fates.replay(fact, place);
        if let Fact::Stream(fact) = fact {
            self.admit_at_least(&fact.stream, fact.version);
        }
    }

    fn replay_batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        for record in batch.records() {
            let header = &record.header;
            match header.kind {
                Kind::Event => self.replay(record.stream()?, header.version, header.position, place)?,
                Kind::Removed => self.holes.add(Range::decode_removed(record.body())?, HoleKind::Removed),
                Kind::Lost => match Loss::decode(record.body())? {
                    Loss::Found(range) => self.holes.add(range, HoleKind::Lost),
                    Loss::Accepted(last) => self.accept_losses(last),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a stored batch says besides events, and where: a batch that is copied stands at `place` by then, and not where it was read.
fn facts_of(place: Place, batch: &BatchView<'_>) -> Result<Vec<(Place, Fact)>, Fault> {
    let mut facts = Vec::new();
    for (offset, record) in batch.placed_records() {
        let offset = place.offset + (offset - batch.offset);
        facts.extend(Fact::decode(&record)?.map(|fact| (Place { offset, ..place }, fact)));
    }
    Ok(facts)
}

impl Visitor for StreamTable {
    /// All of the batch or nothing: where the last event does not belong here, the first does not count either.
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        self.replayed.clear();
        self.steps.clear();
        if self.saved.is_some_and(|saved| place < saved.from) {
            return Ok(());
        }
        let holes = self.holes.mark();
        let replayed = self.replay_batch(place, batch).and_then(|()| facts_of(place, batch));
        match replayed {
            Ok(facts) => {
                self.holes.condense();
                if !self.quotas.is_empty() {
                    let charges = self.quotas.charges(batch.records());
                    self.quotas.replay(&charges);
                }
                let last = batch.records().map(|record| record.header.position).max();
                let last =
                    last.unwrap_or(Position::BEGINNING).max(Position::new(batch.header.first_position.get() - 1));
                for (place, fact) in facts {
                    self.replay_fact(&fact, place, last);
                }
                Ok(())
            }
            Err(fault) => {
                self.take_back();
                self.holes.go_back(holes);
                Err(fault)
            }
        }
    }

    fn damaged(&mut self, range: Range) {
        self.add_hole(range, HoleKind::Damaged);
    }

    fn end_damaged(&mut self, range: Range) {
        self.damaged(range);
        self.holes.lose_end();
    }
}
