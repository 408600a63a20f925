//! Filling an empty store with what another one says, where everything keeps its numbers.

use super::EventStore;
use super::exact_fact::ExactFact;
use super::exact_line::members;
use super::placed::Placed;
use super::writer::Writer;
use crate::error::{Error, ErrorKind};
use crate::event::{NewEvent, RecordedEvent};
use crate::limits::BATCH_EVENTS_MAX;
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::sync::Arc;
use crate::time::Timestamp;

/// An event with the numbers it has in another store.
#[derive(Clone, Debug)]
pub struct ExactEvent {
    /// Its position: higher than that of the event before it. Positions in between count as removed.
    pub position: Position,
    /// Its stream.
    pub stream: StreamName,
    /// Its version: the next of its stream, or a higher one where positions are missing in between.
    pub version: Version,
    /// The store's time: not before that of the event before it.
    pub time: Timestamp,
    /// The number of the opening that appended it: not below that of the event before it, and 2,147,483,648 at most. `None` for
    /// that of the import.
    pub epoch: Option<u32>,
    /// The event, with its id.
    pub event: NewEvent,
}

/// Something to be imported as it is in another store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExactRecord {
    /// An event.
    Event(ExactEvent),
    /// Anything else.
    Fact(ExactFact),
}

/// An import into an empty store that keeps everything as it was: positions, versions, ids and times of events, and what else
/// the log [says](EventStore::export).
///
/// What is taken in record by record goes in as whole batches, of up to 1,000 events: each is written when the next begins, and
/// the last when the import is finished. Whatever is refused leaves nothing of its own batch behind, and nothing is taken in
/// after it; the batches before it stay, and the import begins again with an empty store.
///
/// ```
/// use scorebook::{EventId, EventStore, ExactEvent, NewEvent, Position, StreamName, Timestamp, Version};
/// let store = EventStore::open_in_memory()?;
/// let mut import = store.exact_import()?;
/// import.append(vec![ExactEvent {
///     position: Position::new(7),
///     stream: StreamName::new("game-1")?,
///     version: Version::new(3),
///     time: Timestamp::from_nanos(1_700_000_000_000_000_000),
///     epoch: None,
///     event: NewEvent::json("won", &8812)?.id(EventId::from_bytes([7; 16])),
/// }])?;
/// import.finish()?;
/// assert_eq!(store.head()?, Position::new(7));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "an import is synced only when it is finished"]
pub struct ExactImport {
    pub(super) store: EventStore,
    writer: Arc<Writer>,
    /// What was taken in and is not written yet.
    pending: Option<Placed>,
    /// That of the last event that said one.
    epoch: Option<u32>,
    /// Something was refused.
    has_failed: bool,
    imported: Imported,
}

/// What an exact import has brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    events: u64,
    facts: u64,
    batches: u64,
}

impl Imported {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How much else, apart from events.
    #[must_use]
    pub fn facts(&self) -> u64 {
        self.facts
    }

    /// In how many batches.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches
    }
}

/// So many records are taken into one batch before the next begins.
const BATCH_RECORDS: usize = 1_000;
/// The same in bytes, far below the largest batch: 16 MiB.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

impl ExactEvent {
    /// An event as it is in a store.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): its metadata are not a JSON object; only a log that was not written by this crate has
    ///   such.
    pub fn of(event: &RecordedEvent) -> Result<ExactEvent, Error> {
        let new = NewEvent::with_codec(event.event_type(), event.codec(), event.data().to_vec());
        let new = new.schema(event.schema()).id(event.id());
        let json = event.metadata_json();
        let metadata = if json.is_empty() { Ok(Vec::new()) } else { members(json) };
        let metadata = metadata.map_err(|fault| {
            let act = format!("decoding the metadata of the event at position {}", event.position());
            Error::with_source(ErrorKind::Decode, act, fault)
        })?;
        let new = metadata.into_iter().fold(new, |new, (key, value)| new.meta(&key, value));
        let new = event.occurred().into_iter().fold(new, NewEvent::occurred);
        Ok(ExactEvent {
            position: event.position(),
            stream: event.stream_name(),
            version: event.version(),
            time: event.time(),
            epoch: Some(event.epoch()),
            event: event.tags().fold(new, |new, (key, value)| new.tag(key, value)),
        })
    }
}

impl EventStore {
    /// Begins an import that keeps everything as it was. The store must be empty, and nobody else should append until it is
    /// finished.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the store holds something, or held something.
    /// * [`Closed`](ErrorKind::Closed), [`ReadOnly`](ErrorKind::ReadOnly).
    pub fn exact_import(&self) -> Result<ExactImport, Error> {
        let writer = self.writer()?;
        if self.head_admitted()? != Position::new(1) || self.export()?.next().transpose()?.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "an exact import needs an empty store; this one has events, or something else is said in it",
            ));
        }
        let imported = Imported::default();
        Ok(ExactImport { store: self.clone(), writer, pending: None, epoch: None, has_failed: false, imported })
    }
}

impl ExactImport {
    /// Takes in what comes next, in the order in which the log of the other store says it.
    ///
    /// # Errors
    ///
    /// Nothing more is taken in after an error, and what was not written yet is not in.
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): it does not go on from what came before, makes no sense, or came before;
    ///   or something was refused before.
    /// * [`TooLarge`](ErrorKind::TooLarge): more than a record or a batch may hold.
    /// * Those of an append: for the batch before it, too.
    pub fn record(&mut self, record: ExactRecord) -> Result<(), Error> {
        self.check()?;
        let taken = self.make_way(&record).and_then(|()| self.push(&record));
        self.note(taken)
    }

    /// Takes in events as one batch.
    ///
    /// # Errors
    ///
    /// Those of [`record`](Self::record); and [`TooLarge`](ErrorKind::TooLarge): more events than a batch may hold.
    pub fn append(&mut self, events: Vec<ExactEvent>) -> Result<(), Error> {
        self.check()?;
        if BATCH_EVENTS_MAX < events.len() {
            let act = format!("a batch has {} events: the limit is {BATCH_EVENTS_MAX}", events.len());
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        let taken = self.write().and_then(|()| {
            events.into_iter().try_for_each(|event| self.push(&ExactRecord::Event(event)))?;
            self.write()
        });
        self.note(taken)
    }

    /// What has come in by now. What was taken in last may not have been written yet.
    #[must_use]
    pub fn imported(&self) -> Imported {
        self.imported
    }

    /// Writes what is left and syncs what was imported.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): something was refused before.
    /// * Those of an append and of [`EventStore::flush`].
    pub fn finish(mut self) -> Result<Imported, Error> {
        self.check()?;
        self.write()?;
        self.writer.log.flush()?;
        Ok(self.imported)
    }

    /// Writes what is pending.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.check()?;
        let written = self.write();
        self.note(written)
    }

    fn check(&self) -> Result<(), Error> {
        match self.has_failed {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::InvalidArgument, "importing: something before was refused")),
        }
    }

    fn note(&mut self, taken: Result<(), Error>) -> Result<(), Error> {
        if taken.is_err() {
            self.has_failed = true;
            self.pending = None;
        }
        taken
    }

    /// Writes what is pending where the next record must not stand in the same batch.
    fn make_way(&mut self, record: &ExactRecord) -> Result<(), Error> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let is_other_epoch = match record {
            ExactRecord::Event(event) => event.epoch.is_some() && event.epoch != self.epoch,
            ExactRecord::Fact(_) => false,
        };
        let is_full = BATCH_RECORDS <= pending.records() || BATCH_BYTES <= pending.bytes();
        if is_other_epoch || is_full || !pending.may_be_followed_by(record) { self.write() } else { Ok(()) }
    }

    fn push(&mut self, record: &ExactRecord) -> Result<(), Error> {
        let pending = match &mut self.pending {
            Some(pending) => pending,
            None => self.pending.insert(Placed::begin(&self.writer)?),
        };
        match record {
            ExactRecord::Event(event) => {
                pending.take_epoch(event, self.epoch)?;
                pending.push_exact(event)?;
                self.epoch = event.epoch.or(self.epoch);
            }
            ExactRecord::Fact(fact) => {
                pending.epoch = pending.epoch.or(self.epoch).or(Some(1));
                pending.push_fact(fact)?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let (events, facts) = pending.counts();
        if events + facts != 0 {
            let says_no_epoch = pending.epoch.is_none();
            pending.commit(None)?;
            if says_no_epoch {
                self.epoch = Some(self.writer.log.epoch());
            }
            self.imported.events += events;
            self.imported.facts += facts;
            self.imported.batches += 1;
        }
        Ok(())
    }
}
