//! A batch of records that have their places already: from another log, or from this one.

use super::EventStore;
use super::exact::ExactEvent;
use super::writer::Writer;
use crate::error::{AppendError, Error, ErrorKind};
use crate::format::{BatchBuffer, BatchView, Fact, Kind, Loss, Range, Stamp};
use crate::limits::BATCH_BYTES_MAX;
use crate::log::{Batch, EventPlace, NoRoom, PLACED_EPOCH_LEN, Ticket};
use crate::name::StreamName;
use crate::options::Durability;
use crate::position::{POSITION_MAX, Position, Version};
use crate::sync::Arc;
use crate::time::Timestamp;

/// A batch of placed records that is being put together.
pub(super) struct Placed {
    /// Where the log stood when this was begun. It must still stand there when it is committed.
    begun_at: (Position, Timestamp),
    pub(super) writer: Arc<Writer>,
    pub(super) buffer: BatchBuffer,
    /// For each record position, version and time.
    pub(super) placements: Vec<(Position, Version, Timestamp)>,
    /// The stream's index, version and position of each event.
    pub(super) events: Vec<(usize, Version, Position)>,
    pub(super) streams: Vec<PlacedStream>,
    pub(super) holes: Vec<Range>,
    pub(super) lost: Vec<Range>,
    /// What a copy says besides.
    pub(super) facts: Vec<Fact>,
    /// Losses up to here are accepted.
    pub(super) accepted: Option<Position>,
    /// The epoch it was appended in, where that is not the one that is going on.
    pub(super) epoch: Option<u32>,
    /// How many facts were taken in.
    pub(super) said: u64,
    pub(super) next: Position,
    pub(super) time: Timestamp,
}

/// A stream as it is with what was taken in by now.
pub(super) struct PlacedStream {
    name: StreamName,
    /// The last version that it is said to have.
    pub(super) version: Version,
    /// The last event that is there of it: whoever reads the log goes on from this one.
    last: Version,
    last_position: Position,
}

impl Placed {
    /// Begins a batch behind what is there. Nobody else may append until it is committed; if somebody does, it is refused.
    pub(super) fn begin(writer: &Arc<Writer>) -> Result<Placed, Error> {
        let staging = writer.log.stage()?;
        Ok(Placed {
            begun_at: (staging.next_position(), staging.last_time()),
            writer: writer.clone(),
            epoch: None,
            said: 0,
            buffer: BatchBuffer::new(),
            placements: Vec::new(),
            events: Vec::new(),
            streams: Vec::new(),
            holes: Vec::new(),
            lost: Vec::new(),
            facts: Vec::new(),
            accepted: None,
            next: staging.next_position(),
            time: staging.last_time(),
        })
    }

    pub(super) fn push_exact(&mut self, exact: &ExactEvent) -> Result<(), Error> {
        let refuse = |what: String| {
            let act = format!("importing the event at position {}: {what}", exact.position);
            Err(Error::new(ErrorKind::InvalidArgument, act))
        };
        if exact.event.id.is_none() {
            return refuse("it has no id".to_owned());
        }
        if exact.position < self.next || POSITION_MAX < exact.position.get() {
            return refuse(format!("positions must rise, and the next can be {} to {POSITION_MAX}", self.next));
        }
        if exact.position.get() < exact.version.get() {
            return refuse(format!("a stream has no version {} by then", exact.version));
        }
        if exact.time < self.time {
            return refuse("its time is before that of the event before it".to_owned());
        }
        if self
            .writer
            .view
            .0
            .read()
            .table
            .fates()
            .admitted(exact.stream.as_str())
            .is_some_and(|fate| fate.ended.is_some())
        {
            return refuse(format!("stream {} is finished", exact.stream));
        }
        let index = self.stream(&exact.stream);
        let has_hole = self.next < exact.position || self.has_hole_behind(index);
        let PlacedStream { version: known, last, .. } = &self.streams[index];
        let is_sequel = last.next() == Some(exact.version) || has_hole;
        if exact.version <= *known || !is_sequel {
            return refuse(format!("version {} of stream {} does not follow {known}", exact.version, exact.stream));
        }
        if self.next < exact.position {
            let hole = Range { first: self.next, last: Position::new(exact.position.get() - 1) };
            self.push_control(Kind::Removed, &hole.encode_removed());
            self.holes.push(hole);
        }
        self.buffer.push_event(&exact.stream, &exact.event)?;
        if BATCH_BYTES_MAX < self.buffer.len() {
            let act = format!("a batch has {} bytes or more: the limit is {BATCH_BYTES_MAX}", self.buffer.len());
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        self.time = exact.time;
        self.placements.push((exact.position, exact.version, exact.time));
        self.note(index, exact.version, exact.position);
        Ok(())
    }

    /// Takes over a verified batch as it is.
    fn copy(&mut self, batch: &BatchView<'_>) -> Result<(), Error> {
        self.buffer = BatchBuffer::copy_of(batch);
        for record in batch.records() {
            let header = &record.header;
            match header.kind {
                Kind::Event => {
                    let name = record.stream().map_err(|_| senseless(header.position))?;
                    let index = self.stream(&StreamName::new(name)?);
                    self.note(index, header.version, header.position);
                }
                Kind::Removed => {
                    let range = Range::decode_removed(record.body()).map_err(|_| senseless(self.next))?;
                    self.holes.push(range);
                    self.next = range.last.next().unwrap_or(range.last);
                }
                Kind::Lost => match Loss::decode(record.body()).map_err(|_| senseless(self.next))? {
                    Loss::Found(range) => {
                        self.next = range.last.next().unwrap_or(range.last);
                        self.lost.push(range);
                    }
                    Loss::Accepted(last) => self.accepted = Some(last),
                },
                _ => self.facts.extend(Fact::decode(&record).map_err(|_| senseless(self.next))?),
            }
        }
        Ok(())
    }

    pub(super) fn push_control(&mut self, kind: Kind, body: &[u8]) {
        self.buffer.push_control(kind, body);
        self.placements.push((Position::BEGINNING, Version::NONE, self.time));
    }

    pub(super) fn stream(&mut self, name: &StreamName) -> usize {
        if let Some(index) = self.streams.iter().position(|known| known.name == *name) {
            return index;
        }
        let view = self.writer.view.0.read();
        let known = view.table.visible(name.as_str()).map(|known| *known.extent());
        self.streams.push(PlacedStream {
            name: name.clone(),
            version: view.table.admitted(name.as_str()),
            last: known.map_or(Version::NONE, |known| known.version),
            last_position: known.map_or(Position::BEGINNING, |known| known.last_position),
        });
        self.streams.len() - 1
    }

    /// Whether positions are missing behind the last event that is there of a stream: it may have come further than is seen.
    pub(super) fn has_hole_behind(&self, index: usize) -> bool {
        let last = self.streams[index].last_position;
        self.holes.iter().chain(&self.lost).any(|hole| last < hole.first)
            || self.writer.view.0.read().table.holes().any_between(last, self.next)
    }

    fn note(&mut self, index: usize, version: Version, position: Position) {
        let stream = &mut self.streams[index];
        (stream.version, stream.last, stream.last_position) = (version, version, position);
        self.events.push((index, version, position));
        self.next = position.next().unwrap_or(position);
    }

    /// Stages the batch, with the epoch and time of another store or those of this one, and waits until it is in.
    pub(super) fn commit(mut self, epoch_and_time: Option<(u32, Timestamp)>) -> Result<(), Error> {
        let len = self.buffer.len();
        let ticket = Arc::new(Ticket::new());
        // What is missing is known before the batch that says so is in: nobody writes the streams down meanwhile.
        let says_what_is_missing = !(self.holes.is_empty() && self.lost.is_empty()) || self.accepted.is_some();
        let _keeper = says_what_is_missing.then(|| self.writer.keeper.lock());
        let mut staging = loop {
            let mut staging = self.writer.log.stage()?;
            match staging.room(len + if self.epoch.is_some() { PLACED_EPOCH_LEN } else { 0 }, self.events.len()) {
                Ok(()) => break staging,
                Err(NoRoom::Refused(error)) => return Err(error),
                Err(NoRoom::NeedsRoom) => {
                    drop(staging);
                    if let Some(error) = self.writer.make_room_now() {
                        return Err(error);
                    }
                }
            }
        };
        if self.begun_at != (staging.next_position(), staging.last_time()) {
            let act = "placing a batch: another append came in between";
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let is_copy = epoch_and_time.is_some() && self.placements.is_empty();
        let stamp = staging.begin_placed(len, self.epoch);
        let (epoch, time) = epoch_and_time.unwrap_or((stamp.epoch, self.time));
        let stamp = Stamp { epoch, time, ..stamp };
        if !is_copy {
            let placements = &self.placements;
            self.buffer.place_exactly(|index| placements[index], &stamp);
        }
        let mut view = self.writer.view.0.write();
        let numbers: Vec<u32> = self.streams.iter().map(|of| view.table.intern(of.name.as_str())).collect();
        for (number, of) in numbers.iter().zip(&self.streams) {
            view.table.stream(*number).admit(of.version);
        }
        for hole in &self.holes {
            view.table.add_hole(*hole, crate::index::HoleKind::Removed);
        }
        for range in &self.lost {
            view.table.add_hole(*range, crate::index::HoleKind::Lost);
        }
        if let Some(last) = self.accepted {
            view.table.accept_losses(last);
        }
        drop(view);
        let offsets = self.buffer.offsets().events;
        let places: Vec<EventPlace> = self
            .events
            .iter()
            .zip(offsets)
            .map(|((index, version, position), offset)| EventPlace {
                stream: numbers[*index],
                version: *version,
                position: *position,
                offset,
            })
            .collect();
        let terms = Arc::new(self.buffer.terms(&self.writer.hasher));
        let positions = places.iter().map(|place| place.position).collect();
        self.writer.note_admitted(positions, places.iter().map(|place| place.stream).collect(), &terms);
        let quotas = self.writer.view.0.read();
        let charges = quotas.table.quotas().charges(self.buffer.records());
        drop(quotas);
        self.writer.admit_charges(&charges);
        let last = self.events.last().map_or(Position::BEGINNING, |(_, _, position)| *position);
        let last = last.max(Position::new(self.begun_at.0.get() - 1));
        self.writer.admit_facts(&mut self.facts, last);
        let batch = Batch {
            buffer: self.buffer,
            facts: self.facts,
            terms,
            charges,
            durability: Durability::Written,
            ticket: ticket.clone(),
        };
        staging.stage_placed(batch, &stamp, self.next, &places);
        drop(staging);
        self.writer.wait(&ticket).map(|_| ()).map_err(AppendError::into_error)
    }
}

impl EventStore {
    /// For floors above that copy whole batches.
    pub(crate) fn append_copy(&self, batch: &BatchView<'_>) -> Result<(), Error> {
        let writer = self.writer()?;
        let mut placed = Placed::begin(&writer)?;
        placed.copy(batch)?;
        placed.commit(Some((batch.header.epoch, batch.header.time)))
    }

    /// Records that positions are lost.
    pub(crate) fn append_loss(&self, range: Range, epoch: u32) -> Result<(), Error> {
        let writer = self.writer()?;
        let mut placed = Placed::begin(&writer)?;
        placed.push_control(Kind::Lost, &Loss::Found(range).encode());
        placed.next = range.last.next().unwrap_or(range.last);
        placed.lost.push(range);
        let time = placed.time;
        placed.commit(Some((epoch, time)))
    }

    /// Accepts that events were lost which a salvage could not read: streams that may have ended among them take appends
    /// again. Reads across the lost positions go on to fail unless they are asked to skip them.
    ///
    /// # Errors
    ///
    /// * Those of an append.
    pub fn accept_losses(&self) -> Result<(), Error> {
        let writer = self.writer()?;
        let Some(last) = writer.view.0.read().table.holes().losses().map(|range| range.last).max() else {
            return Ok(());
        };
        // Another append may come in between looking and placing; then it is done again.
        loop {
            let mut placed = Placed::begin(&writer)?;
            let begun_at = placed.begun_at;
            placed.push_control(Kind::Lost, &Loss::Accepted(last).encode());
            placed.accepted = Some(last);
            match placed.commit(None) {
                Err(error) if error.kind() == ErrorKind::InvalidArgument && begun_at.0 != self.head_admitted()? => {}
                other => {
                    other?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// The next position to be given.
    pub(super) fn head_admitted(&self) -> Result<Position, Error> {
        Ok(self.writer()?.log.stage()?.next_position())
    }
}

fn senseless(position: Position) -> Error {
    Error::new(ErrorKind::Damaged, format!("copying the batch at position {position}: its records make no sense"))
}
