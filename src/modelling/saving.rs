//! Snapshots of aggregates: taken up by whoever loads a stream, and written behind the answer.

use super::aggregate::Aggregate;
use super::at::At;
use super::behind::Behind;
use super::caught::caught;
use super::load::{AggregateStream, Last, Loaded};
use super::snapshots::{Newest, Snapshots};
use super::states::States;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::Version;
use crate::snapshot::{Head, LastEvent, SnapshotFault, SnapshotSource};
use crate::store::{BeforeClose, Beginning, CarriedState, Desk, Draft, EventStore, Looked, Sought, StreamEvents};
use crate::sync::{Arc, Mutex};
use std::any::type_name;
use std::marker::PhantomData;
use std::time::Duration;

/// A state from a snapshot, and the events behind it; none where nothing behind it is asked for.
pub(super) type Resumed<A> = (Loaded<A>, Option<StreamEvents>);

impl<A: Aggregate> AggregateStream<A> {
    /// Saves a state that was loaded from this stream, on the calling thread, whatever the policies say. `Ok(true)` guarantees
    /// that it survives a loss of power, and that everything in it does. `Ok(false)`: nothing was written, since there is a
    /// snapshot that goes as far or further, the state is that of no event of this stream, the stream [begins](Self::condense) with
    /// another state than it did when it was folded, or the store is in memory.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("bot.scorebook");
    /// # use scorebook::{Aggregate, EventContext, EventStore, Snapshots, StreamName, Version};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// struct Counter(u32);
    ///
    /// impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    ///     // …
    ///     fn snapshots() -> Option<Snapshots<Counter>> {
    ///         Some(Snapshots::json(1).by_hand())
    ///     }
    /// }
    ///
    /// let store = EventStore::open(&path)?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// counter.execute(7).wait().expect("nothing is refused");
    /// let loaded = counter.load()?;
    /// assert!(counter.save_snapshot(&loaded)?);
    /// assert!(!counter.save_snapshot(&loaded)?, "there is one that goes as far");
    /// store.close()?;
    ///
    /// let store = EventStore::open(&path)?;
    /// let loaded = store.aggregate::<Counter>(&StreamName::new("counter-1")?).load()?;
    /// assert_eq!((loaded.state().0, loaded.snapshot()), (7, Some(Version::FIRST)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing was written, and the snapshots there are stay.
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the aggregate has no [snapshots](Aggregate::snapshots).
    /// * [`Encode`](ErrorKind::Encode): the state cannot be written. [`TooLarge`](ErrorKind::TooLarge): it has 1 GiB or more.
    /// * [`Full`](ErrorKind::Full), [`Io`](ErrorKind::Io): the file could not be written.
    /// * [`Poisoned`](ErrorKind::Poisoned), [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): a write or sync of the log failed.
    /// * [`ReadOnly`](ErrorKind::ReadOnly), [`Closed`](ErrorKind::Closed).
    pub fn save_snapshot(&self, loaded: &Loaded<A>) -> Result<bool, Error> {
        let (snapshots, desk) = (self.snapshots_or_refuse()?, self.store().desk()?);
        if !self.store().has_a_desk() {
            return Ok(false);
        }
        if !loaded.clone().is_of_beginning(self.store(), self.stream())? {
            return Ok(false);
        }
        save(&desk, &self.source(), &snapshots, loaded)
    }

    /// The state of the newest snapshot that can be used, as it was saved; nothing is replayed.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("bot.scorebook");
    /// # use scorebook::{Aggregate, EventContext, EventStore, Snapshots, StreamName, Version};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u32);
    /// # impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    /// #     fn snapshots() -> Option<Snapshots<Counter>> { Some(Snapshots::json(1).by_hand()) }
    /// # }
    /// let store = EventStore::open(&path)?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// for count in [7, 4] {
    ///     counter.execute(count).wait().expect("nothing is refused");
    ///     counter.save_snapshot(&counter.load()?)?;
    /// }
    /// counter.execute(5).wait().expect("nothing is refused");
    /// assert_eq!(counter.latest_snapshot()?.map(|loaded| loaded.state().0), Some(11));
    /// assert_eq!(counter.snapshot_at_or_before(Version::FIRST)?.map(|loaded| loaded.state().0), Some(7));
    /// assert_eq!(counter.delete_snapshots()?, 2);
    /// assert!(counter.latest_snapshot()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the aggregate has no [snapshots](Aggregate::snapshots).
    /// * Those of [`load`](Self::load).
    pub fn latest_snapshot(&self) -> Result<Option<Loaded<A>>, Error> {
        let snapshots = self.snapshots_or_refuse()?;
        Ok(self.resume(&snapshots, None, &self.store().beginning(self.stream())?)?.map(|(loaded, _)| loaded))
    }

    /// The same of the newest that goes up to a version or less far.
    ///
    /// # Errors
    ///
    /// Those of [`latest_snapshot`](Self::latest_snapshot).
    pub fn snapshot_at_or_before(&self, version: Version) -> Result<Option<Loaded<A>>, Error> {
        let snapshots = self.snapshots_or_refuse()?;
        let beginning = self.store().beginning(self.stream())?;
        Ok(self.resume(&snapshots, Some(At::Version(version)), &beginning)?.map(|(loaded, _)| loaded))
    }

    /// Removes all snapshots of this stream and aggregate, in all schemas; how many there were. Only speed is lost. Those that
    /// are due are saved again.
    ///
    /// # Errors
    ///
    /// * [`Io`](ErrorKind::Io): some could not be removed.
    /// * [`ReadOnly`](ErrorKind::ReadOnly), [`Closed`](ErrorKind::Closed): none was removed.
    pub fn delete_snapshots(&self) -> Result<u64, Error> {
        self.store().kept::<Behind>().iter().for_each(|behind| behind.settle());
        self.store().delete_snapshots_of(&self.source())
    }

    /// The nearest snapshot that can be used, and the events behind it.
    pub(super) fn resume(
        &self,
        snapshots: &Snapshots<A>,
        at: Option<At>,
        beginning: &Beginning,
    ) -> Result<Option<Resumed<A>>, Error> {
        let source = self.source();
        // What the stream begins with is a fact, and what is derived from what was before is none.
        let carried = beginning.carried.as_ref().filter(|_| !Mutant::TrustsASnapshotMoreThanTheLog.is_on());
        let begins = carried.map_or(Version::NONE, CarriedState::version);
        // What was deleted is in no state of what came behind.
        let deleted = match Mutant::ResumesWhatWasDeleted.is_on() {
            true => Version::NONE,
            false => self.store().deleted_up_to(self.stream().as_str())?,
        };
        self.store().find_snapshot(
            &sought(&source, snapshots),
            |name| {
                deleted.max(begins) < name.version
                    && !matches!(at, Some(At::Version(version)) if version < name.version)
            },
            |head, state| {
                if matches!(at, Some(At::Time(time)) if time < head.last.time) {
                    return Ok(Looked::Left);
                }
                if head.carried != beginning.hash() && !Mutant::TrustsAStateOfAnotherBeginning.is_on() {
                    return Ok(Looked::Superseded);
                }
                let events = match self.behind(head, at)? {
                    Looked::Taken(events) => events,
                    Looked::Superseded => return Ok(Looked::Superseded),
                    Looked::Left => return Ok(Looked::Left),
                    Looked::PassedOver(fault) => return Ok(Looked::PassedOver(fault)),
                };
                let state = match state() {
                    Ok(state) => state,
                    Err(fault) => return Ok(Looked::PassedOver(fault)),
                };
                Ok(match read(snapshots, self.stream(), &state) {
                    Ok(state) => Looked::Taken((Loaded::resumed(state, head, beginning), events)),
                    Err(_) => Looked::PassedOver(SnapshotFault::Shape),
                })
            },
        )
    }

    /// The events behind a snapshot, where the log holds the one that it ends with.
    fn behind(&self, head: &Head, at: Option<At>) -> Result<Looked<Option<StreamEvents>>, Error> {
        let is_last =
            |event: &RecordedEvent| LastEvent::of(event) == head.last || Mutant::TrustsAStateOfAnotherLog.is_on();
        let mut read = self.store().read(self.stream());
        if let Some(At::Version(version)) = at {
            read = read.to(version);
        }
        let mut events = read.clone().from(head.version).iter();
        match events.next() {
            Some(Ok(event)) if event.version() == head.version => {
                return Ok(if is_last(&event) {
                    Looked::Taken(Some(events))
                } else {
                    Looked::PassedOver(SnapshotFault::AnotherLog)
                });
            }
            // The event is not read by its version any more.
            Some(Ok(_)) => {}
            Some(Err(error)) if error.kind() == ErrorKind::BelowFloor => {}
            Some(Err(error)) if error.kind() != ErrorKind::StreamNotFound => return Err(error),
            Some(Err(_)) | None => return Ok(Looked::PassedOver(SnapshotFault::AnotherLog)),
        }
        match self.store().event_at(head.last.position) {
            Ok(event) if is_last(&event) => {}
            Ok(_) => return Ok(Looked::PassedOver(SnapshotFault::AnotherLog)),
            // It was removed on purpose, with what the state was folded from.
            Err(error) if error.kind() == ErrorKind::EventNotFound => {}
            Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
            Err(_) => return Ok(Looked::Left),
        }
        if at == Some(At::Version(head.version)) {
            return Ok(Looked::Taken(None));
        }
        // Nothing may be missing between the state and the first event that is kept.
        let Some(next) = head.version.next() else { return Ok(Looked::Left) };
        let events = read.from(next);
        match events.iter().next() {
            Some(Ok(event)) if event.version() == next => Ok(Looked::Taken(Some(events.iter()))),
            Some(Err(error)) if error.kind() != ErrorKind::BelowFloor => Err(error),
            Some(_) => Ok(Looked::Left),
            None => Ok(Looked::Taken(None)),
        }
    }

    /// Has a state saved behind the answer, where that is due; `replayed` is how long the load took that has folded it.
    pub(super) fn save_where_due(&self, loaded: &Loaded<A>, replayed: Option<Duration>) {
        let Some(snapshots) = A::snapshots() else { return };
        let Ok(desk) = self.store().desk() else { return };
        if loaded.version() == Version::NONE || !self.store().has_a_desk() {
            return;
        }
        self.attend_the_close(&snapshots);
        let source = self.source();
        if !is_due(&desk, &source, &snapshots, loaded, replayed) || desk.is_resting() {
            return;
        }
        let (key, loaded) = (source.key(), loaded.clone());
        let deed = move || {
            // Another may have been saved while this one waited.
            if is_due(&desk, &source, &snapshots, &loaded, replayed) {
                // Where it cannot be written it is due again; only speed is lost.
                let _ = save(&desk, &source, &snapshots, &loaded);
            }
        };
        if self.store().has_threads() {
            self.store().kept_or(Behind::new).add(key, Box::new(deed));
        } else {
            deed();
        }
    }

    /// Sees to it that the store waits for what is being saved before it is closed, and that what is to be saved then is.
    fn attend_the_close(&self, snapshots: &Snapshots<A>) {
        let Ok(opening) = self.store().opening() else { return };
        let attended = self.store().kept_or(|| Attended::<A>(Mutex::new(None), PhantomData));
        let mut attended = attended.0.lock();
        if attended.replace(opening) == Some(opening) {
            return;
        }
        drop(attended);
        if snapshots.is_at_close() {
            self.store().before_close(Arc::new(AtClose::<A>(PhantomData)));
        }
        self.store().before_close(self.store().kept_or(Behind::new));
    }

    pub(super) fn source(&self) -> SnapshotSource {
        SnapshotSource::Aggregate { name: type_name::<A>().to_owned(), stream: self.stream().clone() }
    }

    pub(super) fn snapshots_or_refuse(&self) -> Result<Snapshots<A>, Error> {
        A::snapshots().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{} says of no snapshots how they are written", type_name::<A>()),
            )
        })
    }
}

/// In which opening of the store somebody attends to its close.
struct Attended<A>(Mutex<Option<u64>>, PhantomData<fn() -> A>);

/// Saves what is kept in memory before a store is closed.
struct AtClose<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> BeforeClose for AtClose<A> {
    fn before_close(&self, store: &EventStore) {
        let (Some(snapshots), Ok(desk), Some(states)) = (A::snapshots(), store.desk(), store.kept::<States<A>>())
        else {
            return;
        };
        for (stream, mut loaded) in states.all() {
            if !loaded.is_of_beginning(store, &stream).unwrap_or(false) {
                continue;
            }
            let source = SnapshotSource::Aggregate { name: type_name::<A>().to_owned(), stream };
            if desk.newest(&sought(&source, &snapshots)).is_some_and(|(newest, _)| loaded.version() <= newest) {
                continue;
            }
            // The next opening replays what is missing.
            let _ = save(&desk, &source, &snapshots, &loaded);
        }
    }
}

fn sought<'a, A>(source: &'a SnapshotSource, snapshots: &Snapshots<A>) -> Sought<'a> {
    Sought { source, schema: snapshots.schema(), shape: 0, codec: snapshots.codec() }
}

/// Whether a state is to be saved by now; `replayed` is how long its load took.
fn is_due<A: Aggregate>(
    desk: &Desk,
    source: &SnapshotSource,
    snapshots: &Snapshots<A>,
    loaded: &Loaded<A>,
    replayed: Option<Duration>,
) -> bool {
    let (version, folded_bytes) = desk.newest(&sought(source, snapshots)).unwrap_or((Version::NONE, 0));
    snapshots.is_due(loaded.version(), loaded.folded_bytes(), Newest { version, folded_bytes }, replayed)
}

/// Writes a state down; whether that was done, and not needless.
fn save<A: Aggregate>(
    desk: &Desk,
    source: &SnapshotSource,
    snapshots: &Snapshots<A>,
    loaded: &Loaded<A>,
) -> Result<bool, Error> {
    let Some(stream) = source.stream().filter(|_| loaded.version() != Version::NONE) else { return Ok(false) };
    let write = || snapshots.write(loaded.state()).map_err(|fault| unwritten(stream, fault));
    let state = caught(|| format!("while the state of stream {stream} was written"), write)?;
    let draft = Draft {
        source,
        schema: snapshots.schema(),
        shape: 0,
        codec: snapshots.codec(),
        position: loaded.position(),
        version: loaded.version(),
        carried: loaded.carried_hash(),
        folded_bytes: loaded.folded_bytes(),
        state: &state,
        replaces: false,
    };
    desk.save(&draft, |event| event.stream() == stream.as_str() && loaded.ends_with(&Last::of(event)))
}

pub(super) fn unwritten(stream: &StreamName, fault: super::payload::Cause) -> Error {
    Error::with_source(ErrorKind::Encode, format!("writing the state of stream {stream}"), fault)
}

pub(super) fn read<A: Aggregate>(snapshots: &Snapshots<A>, stream: &StreamName, state: &[u8]) -> Result<A, Error> {
    let whence = || format!("while a snapshot of stream {stream} was read");
    caught(whence, || snapshots.read(state).map_err(|fault| Error::with_source(ErrorKind::Decode, whence(), fault)))
}
