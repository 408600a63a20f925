//! The store: open, append, read, ask.

mod above;
mod all_events;
mod audience;
mod batch;
mod carried;
mod condition;
mod dead;
mod deeds;
mod desk;
mod durable;
mod exact;
mod exact_fact;
mod exact_line;
mod exact_snapshot;
mod export;
mod following;
mod found;
mod groups;
mod info;
mod keeper;
mod keys;
mod look;
#[cfg(all(test, scorebook_loom))]
mod models;
mod open;
mod pending;
mod placed;
mod placing;
mod quotas;
mod read;
mod read_all;
mod reader;
mod recent;
mod request;
mod rewriting;
#[cfg(all(test, scorebook_shuttle))]
mod schedules;
mod snapshots;
mod standing;
mod streams;
mod threads;
mod trail;
mod turning;
mod view;
mod waiting;
mod wanted;
mod writer;

pub use all_events::AllEvents;
pub use batch::BatchBuilder;
pub use carried::{CarriedState, NewState};
pub use condition::Guard;
pub use exact::{ExactEvent, ExactImport, ExactRecord, Imported};
pub use exact_fact::ExactFact;
pub use exact_snapshot::ExactSnapshot;
pub use export::{Export, ExportedRecord};
pub use groups::{Group, GroupKey, Grouping};
pub use info::{Status, StoreId};
pub use pending::PendingReceipt;
pub use quotas::TagUsage;
pub use read::{StreamEvents, StreamRead};
pub use read_all::AllRead;
pub use snapshots::{SnapshotCheck, SnapshotInfo, SnapshotOutcome};
pub use standing::{Hold, Standing, StreamMetadata};
pub use streams::{StreamInfo, StreamList};

pub(crate) use audience::{CalledFor, Seat};
pub(crate) use carried::{Beginning, Origin};
pub(crate) use desk::{Desk, Draft};
pub(crate) use durable::DurableLog;
pub(crate) use following::{BeforeClose, LOOK_EVERY, Sight, StoreLink};
pub(crate) use info::{Counted, KnownOfLog, Sizes};
pub(crate) use open::StoreParts;
pub(crate) use rewriting::Decided;
pub(crate) use snapshots::{Looked, Sought};
pub(crate) use turning::WhatCompactionTurnsOn;

use crate::error::{AppendError, Error, ErrorKind};
use crate::event::{EventId, NewEvent, RecordedEvent};
use crate::log::{RecoveryReport, wake};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::observe::Observer;
use crate::options::Options;
use crate::position::{ExpectedVersion, Position, Version};
use crate::query::Query;
use crate::storage::Storage;
use crate::sync::{Arc, Mutex, RwLock};
use above::Above;
use audience::Audience;
use reader::Reader;
use request::Request;
use std::fmt;
use std::time::Duration;
use threads::Threads;
use view::SharedView;
use writer::Writer;

/// An event store in a directory.
///
/// A handle: cheap to clone, and to be shared between threads and tasks. The store is closed by [`close`](Self::close),
/// or when the last handle is dropped.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-42")?;
/// let started = NewEvent::json("game_started", &("alice", "bob"))?;
/// store.append(&game, ExpectedVersion::NoStream, [started]).wait().map_err(|error| error.into_error())?;
/// for event in store.read(&game) {
///     assert_eq!(event?.event_type(), "game_started");
/// }
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct EventStore {
    shared: Arc<Shared>,
}

/// What all handles of a store share.
struct Shared {
    storage: Arc<dyn Storage>,
    options: Options,
    observer: Arc<Observer>,
    engine: RwLock<Engine>,
    /// The lock on the directory and the threads, there while the store is open for writing. Taken before `engine`.
    held: Mutex<Option<Held>>,
    /// Those who wait for events.
    audience: Arc<Audience>,
    /// What floors above do before it is closed.
    before_close: Mutex<Vec<Arc<dyn BeforeClose>>>,
    above: Above,
}

/// What a writer holds besides the files. Dropped in this order: the threads end before the lock is given up.
struct Held {
    threads: Option<Threads>,
    lock: Box<dyn Send + Sync>,
    /// When the writer was last started anew.
    last_attempt: Option<Duration>,
}

#[derive(Clone)]
enum Engine {
    Writing(Arc<Writer>),
    Reading(Arc<Reader>),
    Closed(RecoveryReport),
}

impl EventStore {
    /// Appends events to one stream, all or none of them.
    ///
    /// The batch is queued when this returns. With [`ExpectedVersion::Any`] the store only counts on; every other
    /// expectation is judged together with what is on its way in, so of two writers exactly one wins.
    ///
    /// The answer of [`PendingReceipt::wait`] says what became of it.
    pub fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> PendingReceipt {
        let mut request = Request::new(&self.shared.options);
        request.expect(stream, expected);
        match request.push(stream, events) {
            Ok(()) => self.submit(request),
            Err(fault) => self.refused(fault),
        }
    }

    /// Begins a batch over several streams.
    pub fn batch(&self) -> BatchBuilder<'_> {
        BatchBuilder::new(self)
    }

    /// Commits all that is queued and syncs it. `Ok` guarantees that everything appended before the call, by any
    /// thread and however durable it was asked for, survives a loss of power.
    ///
    /// # Errors
    ///
    /// * [`Poisoned`](ErrorKind::Poisoned), [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): a write or sync failed.
    /// * [`Closed`](ErrorKind::Closed), [`ReadOnly`](ErrorKind::ReadOnly): this handle does not write.
    pub fn flush(&self) -> Result<(), Error> {
        self.writer()?.flush()
    }

    /// Reads one stream.
    pub fn read(&self, stream: &StreamName) -> StreamRead {
        StreamRead::new(self.view(), stream.clone())
    }

    /// Reads all streams, in the order of the positions.
    pub fn read_all(&self) -> AllRead {
        AllRead::new(self.view())
    }

    /// Reads what a decision is to be based on. The guard makes a batch conditional on nothing more of it having happened
    /// by the time that is judged, and knows by itself what this read could see.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, Query, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let (game, seat) = (StreamName::new("game-1")?, NewEvent::json("seat_taken", &1)?.tag("game", 1));
    /// let take = |seat: NewEvent| {
    ///     let (taken, guard) = store.read_for_decision(Query::all().of_type("seat_taken").tag("game", 1))?;
    ///     assert_eq!(taken.count(), 0, "no seat is taken yet");
    ///     Ok::<_, scorebook::Error>(store.batch().append(&game, ExpectedVersion::Any, [seat]).guarded_by(&guard))
    /// };
    /// let (first, second) = (take(seat.clone())?, take(seat)?);
    /// assert!(first.commit().wait().is_ok());
    /// assert!(second.commit().wait().is_err_and(|error| error.conflict().is_some()));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
    ///   [`TooLarge`](ErrorKind::TooLarge): the query has a fault.
    /// * [`Closed`](ErrorKind::Closed); beside another process also [`Io`](ErrorKind::Io).
    pub fn read_for_decision(&self, query: Query) -> Result<(AllEvents, Guard), Error> {
        self.guarded_read(query).map(|(read, guard)| (read.into_iter(), guard))
    }

    /// The same with a read that has not begun: it may still be turned around, or limited.
    pub(crate) fn guarded_read(&self, query: Query) -> Result<(AllRead, Guard), Error> {
        if let Some(fault) = query.fault() {
            return Err(fault.clone());
        }
        let view = self.view()?;
        let head = view.0.read().head;
        let guard =
            Guard { query: query.clone().after(head.max(query.after_position())), seen_in: Arc::downgrade(&view) };
        Ok((AllRead::new(Ok(view)).matching(query).to(head), guard))
    }

    /// The event at a position.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): the head is before it, or the event was removed.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): it cannot be read any more.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn event_at(&self, position: Position) -> Result<RecordedEvent, Error> {
        let found = match position {
            Position::BEGINNING => None,
            _ => self.read_all().from(position).to(position).into_iter().next().transpose()?,
        };
        found.ok_or_else(|| Error::new(ErrorKind::EventNotFound, format!("there is no event at position {position}")))
    }

    /// The event of a stream with a version.
    ///
    /// # Errors
    ///
    /// * [`StreamNotFound`](ErrorKind::StreamNotFound): the stream has no events.
    /// * [`EventNotFound`](ErrorKind::EventNotFound): it has none with this version.
    /// * [`BelowFloor`](ErrorKind::BelowFloor): the stream begins with a later version, which the text names.
    /// * [`Deleted`](ErrorKind::Deleted): the stream was deleted or is finished.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): it cannot be read any more.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn event(&self, stream: &StreamName, version: Version) -> Result<RecordedEvent, Error> {
        let found = self.read(stream).from(version).to(version).into_iter().next().transpose()?;
        if found.is_none() {
            self.stream_info(stream)?;
        }
        let missing = || format!("stream {stream} has no event with version {version}");
        found.ok_or_else(|| Error::new(ErrorKind::EventNotFound, missing()))
    }

    /// The first event with an id.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): no event has this id.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): an event cannot be read that may have it.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn event_by_id(&self, id: EventId) -> Result<RecordedEvent, Error> {
        // An id the store made says where its event stands; that one may also have been given to another event is looked
        // for where this one is not it.
        let head = self.head()?;
        let made = id.made_for().filter(|position| *position <= head).map(|position| self.event_at(position));
        if let Some(Ok(event)) = &made
            && event.id() == id
        {
            return Ok(event.clone());
        }
        if let Some(event) = self.read_all().with_id(id).into_iter().next().transpose()? {
            return Ok(event);
        }
        match made {
            Some(Err(error)) if error.kind() != ErrorKind::EventNotFound => Err(error),
            _ => Err(Error::new(ErrorKind::EventNotFound, format!("there is no event with the id {id}"))),
        }
    }

    /// The last visible position, [`Position::BEGINNING`] where there is none.
    ///
    /// # Errors
    ///
    /// * [`Closed`](ErrorKind::Closed); beside another process also [`Io`](ErrorKind::Io).
    pub fn head(&self) -> Result<Position, Error> {
        Ok(self.view()?.0.read().head)
    }

    /// What opening found, or reopening since.
    #[must_use]
    pub fn recovery_report(&self) -> RecoveryReport {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.report.clone(),
            Engine::Reading(reader) => reader.report(),
            Engine::Closed(report) => report.clone(),
        }
    }

    /// Commits all that is queued, writes down where the log ends, and gives the directory free. All handles are closed
    /// with this one; reads that have begun go on. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// * [`Poisoned`](ErrorKind::Poisoned), [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): a write or sync failed; the
    ///   directory is free all the same, and the next opening finds out what is there.
    pub fn close(&self) -> Result<(), Error> {
        self.prepare_to_close();
        self.shared.close()
    }

    /// Opens the store again in place, after a failed write or sync: closes what was, reads the truth from the files, and
    /// goes on with all handles. Also fine when nothing failed.
    ///
    /// # Errors
    ///
    /// * Those of [`open`](Self::open). Reading goes on with what was there before, appends go on to be refused.
    pub fn reopen(&self) -> Result<RecoveryReport, Error> {
        self.shared.reopen()
    }

    fn prepare_to_close(&self) {
        let acts = std::mem::take(&mut *self.shared.before_close.lock());
        acts.iter().for_each(|act| act.before_close(self));
    }

    fn submit(&self, mut request: Request) -> PendingReceipt {
        if request.is_empty() {
            let fault = Error::new(ErrorKind::InvalidArgument, "a batch has no events");
            return self.refused(fault);
        }
        if let Err(fault) = request.complete() {
            return self.refused(fault);
        }
        match self.writer() {
            Ok(writer) => {
                let ticket = request.ticket.clone();
                writer.append(request);
                PendingReceipt::new(ticket, writer)
            }
            Err(error) => self.refused(error),
        }
    }

    /// The answer to a batch that goes no further.
    fn refused(&self, error: Error) -> PendingReceipt {
        self.shared.observer.refused(1);
        PendingReceipt::refused(AppendError::Store(error))
    }

    fn writer(&self) -> Result<Arc<Writer>, Error> {
        let writer = match &*self.shared.engine.read() {
            Engine::Writing(writer) => writer.clone(),
            Engine::Reading(_) => return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only")),
            Engine::Closed(_) => return Err(closed()),
        };
        if writer.is_unproven { self.shared.prove(writer) } else { Ok(writer) }
    }

    /// What is visible now. Beside another process this looks whether there is more.
    fn view(&self) -> Result<Arc<SharedView>, Error> {
        let engine = self.shared.engine.read().clone();
        match engine {
            Engine::Writing(writer) => Ok(writer.view.clone()),
            Engine::Reading(reader) => reader.view(&self.shared.storage, &self.shared.options),
            Engine::Closed(_) => Err(closed()),
        }
    }
}

impl Drop for EventStore {
    fn drop(&mut self) {
        // Of two that are dropped at a time both may find the other: then what could be done before closing is left out.
        if Arc::strong_count(&self.shared) == 1 {
            self.prepare_to_close();
        }
    }
}

impl Shared {
    fn close(&self) -> Result<(), Error> {
        self.end_rewriting();
        let mut held = self.held.lock();
        let engine = self.engine.read().clone();
        let report = match &engine {
            Engine::Writing(writer) => writer.report.clone(),
            Engine::Reading(reader) => reader.report(),
            Engine::Closed(report) => report.clone(),
        };
        let closed = match &engine {
            Engine::Writing(writer) => writer.close(),
            Engine::Reading(_) | Engine::Closed(_) => Ok(()),
        };
        self.audience.note_closing();
        *self.engine.write() = Engine::Closed(report);
        if let Some(Held { threads, lock, .. }) = held.take() {
            drop(threads);
            drop(lock);
        }
        drop(held);
        if !Mutant::SleepsOnWhenClosed.is_on() {
            self.call_everybody();
        }
        closed
    }

    /// Has whoever writes segments anew break off. Before anything else is held: what watches that may close the store, too.
    fn end_rewriting(&self) {
        let engine = self.engine.read().clone();
        if let Engine::Writing(writer) = engine {
            writer.rewriting.end();
        }
    }

    fn reopen(&self) -> Result<RecoveryReport, Error> {
        self.end_rewriting();
        let reopened = self.open_again(&mut self.held.lock());
        self.call_everybody();
        reopened
    }

    /// Has everybody look who waits: what they know of the store holds no more. Never with a lock held, for tasks are woken.
    fn call_everybody(&self) {
        wake(self.audience.all().make());
    }

    fn open_again(&self, held: &mut Option<Held>) -> Result<RecoveryReport, Error> {
        let engine = self.engine.read().clone();
        match engine {
            Engine::Writing(writer) => self.restart(held, &writer).map(|writer| writer.report.clone()),
            Engine::Reading(reader) => {
                reader.open_anew(&self.storage, &self.options)?;
                Ok(reader.report())
            }
            Engine::Closed(_) => {
                let lock = open::lock(&*self.storage)?;
                let (writer, threads) = open::start(&self.storage, (&self.options, &self.observer), &self.audience)?;
                *self.engine.write() = Engine::Writing(writer.clone());
                *held = Some(Held { threads, lock, last_attempt: None });
                Ok(writer.report.clone())
            }
        }
    }

    /// Ends a writer and begins another in its place, under the same lock on the directory. Until that one is there, and
    /// where it cannot be had, readers go on with what the old one shows; the old one takes no appends any more.
    fn restart(&self, held: &mut Option<Held>, old: &Arc<Writer>) -> Result<Arc<Writer>, Error> {
        // What was acknowledged is in the files; whatever the old one still has to say is said by the next.
        let _ = old.close();
        let lock = match held.take() {
            Some(Held { threads, lock, .. }) => {
                drop(threads);
                lock
            }
            None => open::lock(&*self.storage)?,
        };
        let started = open::start(&self.storage, (&self.options, &self.observer), &self.audience);
        let (threads, writer) = match started {
            Ok((writer, threads)) => (threads, Ok(writer)),
            Err(error) => (None, Err(error)),
        };
        *held = Some(Held { threads, lock, last_attempt: Some(self.storage.elapsed()) });
        let writer = writer?;
        self.audience.note_opening(&old.view, &writer.view);
        *self.engine.write() = Engine::Writing(writer.clone());
        Ok(writer)
    }

    /// Tries again to copy the tail that had to be left unproven for want of room.
    fn prove(&self, before: Arc<Writer>) -> Result<Arc<Writer>, Error> {
        let mut held = self.held.lock();
        // Somebody else may have done it, or closed the store, while this one waited.
        let current = match &*self.engine.read() {
            Engine::Writing(writer) if !writer.is_unproven => return Ok(writer.clone()),
            Engine::Writing(writer) => writer.clone(),
            Engine::Reading(_) | Engine::Closed(_) => return Err(closed()),
        };
        let events = before.report.unproven_events;
        // Each attempt reads the whole log: one a second is enough for a disk that is full.
        let last_attempt = held.as_ref().and_then(|held| held.last_attempt);
        let is_too_soon = self.storage.has_threads()
            && last_attempt.is_some_and(|last| self.storage.elapsed() < last + Duration::from_secs(1));
        if !is_too_soon {
            let writer = self.restart(&mut held, &current)?;
            drop(held);
            self.call_everybody();
            if !writer.is_unproven {
                return Ok(writer);
            }
        }
        let act = format!("appending behind {events} events that are not proven durable: no room to copy them");
        Err(Error::new(ErrorKind::Full, act))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; the next opening finds out what is there.
        let _ = self.close();
    }
}

impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event store in {} ({:?})", self.shared.storage.describe(), self.status())
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
}
