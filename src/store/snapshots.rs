//! The snapshots of a store: looked for by floors above, and by whoever wants to know what there is.

use super::{Engine, EventStore, closed};
use crate::error::{Error, ErrorKind};
use crate::event::Codec;
use crate::mutant::Mutant;
use crate::observe::spans;
use crate::position::{Position, Version};
use crate::snapshot::{FileName, Head, LastEvent, PassedOver, SnapshotFault, SnapshotFile, SnapshotSource};
use crate::time::Timestamp;

/// What is asked of a snapshot.
pub(crate) struct Sought<'a> {
    pub(crate) source: &'a SnapshotSource,
    pub(crate) schema: u32,
    pub(crate) shape: u64,
    pub(crate) codec: Codec,
}

/// What became of a snapshot that was looked at.
pub(crate) enum Looked<T> {
    Taken(T),
    /// It is fine, and not what is wanted.
    Left,
    PassedOver(SnapshotFault),
    /// It is fine, and will not be wanted again: the stream begins with another state by now.
    Superseded,
}

/// A snapshot that is there, as its file says; see [`EventStore::snapshots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub(super) name: FileName,
    /// None where the file does not say.
    said: Option<Said>,
    bytes: u64,
    fault: Option<SnapshotFault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    source: SnapshotSource,
    codec: Codec,
    time: Timestamp,
}

/// What came of holding a snapshot against what its events fold to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotCheck {
    snapshot: SnapshotInfo,
    outcome: SnapshotOutcome,
}

/// Whether a snapshot is what its events fold to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotOutcome {
    /// It is.
    Same,
    /// It is not: the fold has changed and its schema has not, it is not pure, or something of the state is not in what it is
    /// serialized to. Also where it is in bincode, is not the same byte by byte and cannot be written as JSON to compare it.
    Differs,
    /// It is not used, so it does no harm.
    NotUsed(SnapshotFault),
    /// Nobody knows: its events cannot be folded, and why.
    Unchecked(String),
}

impl SnapshotCheck {
    pub(crate) fn new(snapshot: SnapshotInfo, outcome: SnapshotOutcome) -> SnapshotCheck {
        SnapshotCheck { snapshot, outcome }
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &SnapshotInfo {
        &self.snapshot
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(&self) -> &SnapshotOutcome {
        &self.outcome
    }
}

impl EventStore {
    /// All snapshots there are, the newest first. Each is read and verified, and held against the log: [`fault`] says what is
    /// wrong with it. What a snapshot of a sound file and this log holds is not looked at; who knows the types can
    /// [verify](crate::AggregateStream::verify_snapshots) that.
    ///
    /// [`fault`]: SnapshotInfo::fault
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("bot.scorebook");
    /// use scorebook::{EventContext, EventStore, ExpectedVersion, NewEvent, Position, Projection, Query, RecordedEvent, StreamName};
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Count(u64);
    /// # impl Projection for Count {
    /// #     type Event = RecordedEvent;
    /// #     const NAME: &'static str = "count";
    /// #     const VERSION: u32 = 1;
    /// #     fn query() -> Query { Query::all() }
    /// #     fn new() -> Count { Count(0) }
    /// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
    /// # }
    /// let store = EventStore::open(&path)?;
    /// let said = NewEvent::bytes("said", "hello");
    /// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, [said]).wait()?;
    /// let count = store.projection::<Count>()?;
    /// count.reached(Position::new(1)).wait()?;
    /// count.save()?;
    /// let snapshots = store.snapshots()?;
    /// assert_eq!(snapshots[0].source().map(ToString::to_string).as_deref(), Some("projection count"));
    /// assert_eq!((snapshots[0].position(), snapshots[0].fault()), (Position::new(1), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Io`](ErrorKind::Io): the log cannot be read. A snapshot that cannot be read is a faulty one.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>, Error> {
        let (store, head) = (self.id()?, self.head()?);
        let names = self.catalog().all(&*self.shared.storage);
        names.into_iter().filter_map(|name| self.look_at(name, store, head).transpose()).collect()
    }

    /// Removes a snapshot; whether it was there. Only speed is lost. `Ok` does not guarantee that it is gone after a loss of
    /// power.
    ///
    /// ```
    /// use scorebook::EventStore;
    /// let store = EventStore::open_in_memory()?;
    /// for snapshot in store.snapshots()? {
    ///     store.delete_snapshot(&snapshot)?;
    /// }
    /// assert_eq!(store.snapshots()?, []);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Io`](ErrorKind::Io): it cannot be removed.
    /// * [`ReadOnly`](ErrorKind::ReadOnly), [`Closed`](ErrorKind::Closed): nothing was removed.
    pub fn delete_snapshot(&self, snapshot: &SnapshotInfo) -> Result<bool, Error> {
        self.check_writes()?;
        let removed = self.catalog().remove(&*self.shared.storage, &snapshot.name);
        removed.map_err(|error| Error::io(format!("removing {}", snapshot.path()), error))
    }

    /// Removes all snapshots of a source; how many there were.
    pub(crate) fn delete_snapshots_of(&self, source: &SnapshotSource) -> Result<u64, Error> {
        self.check_writes()?;
        let removed = self.catalog().remove_all(&*self.shared.storage, source);
        removed.map_err(|error| Error::io(format!("removing the snapshots of {source}"), error))
    }

    /// What was not used since the store was opened, the oldest first; of more than 64 the last.
    pub(crate) fn passed_over_snapshots(&self) -> Vec<PassedOver> {
        self.catalog().passed_over()
    }

    /// What `look` takes of the snapshots of a source, which it is shown the newest first: those with a name that is wanted
    /// whose bytes verify and of which the log may hold all. What is no good is noted and not looked at again.
    pub(crate) fn find_snapshot<T>(
        &self,
        sought: &Sought<'_>,
        is_wanted: impl Fn(&FileName) -> bool,
        mut look: impl FnMut(&Head, &dyn Fn() -> Result<Vec<u8>, SnapshotFault>) -> Result<Looked<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let (catalog, storage) = (self.catalog(), &*self.shared.storage);
        let names = catalog.of(storage, !self.is_read_only(), sought.source.key(), sought.schema);
        if names.is_empty() {
            return Ok(None);
        }
        let (store, head) = (self.id()?, self.head()?);
        for name in names.into_iter().filter(is_wanted) {
            let looked = match SnapshotFile::open(storage, &name) {
                Ok(None) => {
                    catalog.forget(&name);
                    continue;
                }
                Ok(Some(file)) => match misfit(&file.head, sought, store, head) {
                    Some(fault) => Looked::PassedOver(fault),
                    None => {
                        catalog.note_folded(&name, file.head.folded_bytes);
                        look(&file.head, &|| file.state())?
                    }
                },
                Err(fault) => Looked::PassedOver(fault),
            };
            match looked {
                Looked::Taken(taken) => return Ok(Some(taken)),
                Looked::Left => {}
                Looked::Superseded => catalog.supersede(&name),
                Looked::PassedOver(fault) => {
                    spans::snapshot_passed_over(&self.shared.observer, &name.path(), &fault);
                    catalog.pass_over(&name, fault);
                }
            }
        }
        Ok(None)
    }

    /// The state in a snapshot, as it was written.
    pub(crate) fn state_of_snapshot(&self, info: &SnapshotInfo) -> Result<Result<Vec<u8>, SnapshotFault>, Error> {
        let (store, head) = (self.id()?, self.head()?);
        // Between the list and now it may have gone.
        let looked = self.look_at(info.name, store, head)?;
        if let Some(fault) = looked.as_ref().map_or(Some(SnapshotFault::Damaged), |info| info.fault) {
            return Ok(Err(fault));
        }
        let file = SnapshotFile::open(&*self.shared.storage, &info.name);
        Ok(file.and_then(|file| file.ok_or(SnapshotFault::Damaged)).and_then(|file| file.state()))
    }

    /// Whether the log holds the event that a state ends with, or has held one there that was removed on purpose.
    pub(crate) fn holds_last_of(&self, head: &Head) -> Result<bool, Error> {
        if Mutant::TrustsAStateOfAnotherLog.is_on() {
            return Ok(true);
        }
        let last = self.read_all().to(head.position).backwards().limit(1).into_iter().next();
        match last.transpose() {
            Ok(Some(last)) if head.last.position <= last.position() => Ok(LastEvent::of(&last) == head.last),
            // A compaction may have taken it: then nobody says that it was another one.
            Ok(_) => self.is_removed(head.last.position),
            Err(error) if error.kind() == ErrorKind::Closed => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Up to which version a stream was deleted, [`Version::NONE`] where nothing of it is: no state that knows of such an
    /// event is that of the stream.
    pub(crate) fn deleted_up_to(&self, stream: &str) -> Result<Version, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let fate = view.table.fates().get(stream);
        Ok(fate.and_then(|fate| fate.deleted.as_ref()).map_or(Version::NONE, |deleted| deleted.last))
    }

    fn look_at(&self, name: FileName, store: [u8; 16], head: Position) -> Result<Option<SnapshotInfo>, Error> {
        let file = match SnapshotFile::open(&*self.shared.storage, &name) {
            Ok(None) => return Ok(None),
            Err(fault) => return Ok(Some(SnapshotInfo { name, said: None, bytes: 0, fault: Some(fault) })),
            Ok(Some(file)) => file,
        };
        let Head { source, codec, time, .. } = file.head.clone();
        let fault = match file.state() {
            Err(fault) => Some(fault),
            Ok(_) if file.head.store != store => Some(SnapshotFault::Foreign),
            Ok(_) if head < file.head.position => Some(SnapshotFault::Ahead),
            Ok(_) if !self.holds_last_of(&file.head)? => Some(SnapshotFault::AnotherLog),
            Ok(_) => self.is_superseded(&file.head).then_some(SnapshotFault::Superseded),
        };
        Ok(Some(SnapshotInfo { name, bytes: file.len(), said: Some(Said { source, codec, time }), fault }))
    }

    /// Whether the stream of a state begins with another one than when that was folded, as far as anybody knows.
    fn is_superseded(&self, head: &Head) -> bool {
        let Some(stream) = head.source.stream() else { return false };
        self.beginning(stream).is_ok_and(|beginning| beginning.hash() != head.carried)
    }

    fn id(&self) -> Result<[u8; 16], Error> {
        match &*self.shared.engine.read() {
            Engine::Writing(writer) => Ok(writer.log.store()),
            Engine::Reading(reader) => Ok(reader.known_of_log().store),
            Engine::Closed(_) => Err(closed()),
        }
    }

    fn check_writes(&self) -> Result<(), Error> {
        match &*self.shared.engine.read() {
            Engine::Writing(_) => Ok(()),
            Engine::Reading(_) => Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only")),
            Engine::Closed(_) => Err(closed()),
        }
    }
}

/// Why a snapshot cannot be what is sought.
fn misfit(said: &Head, sought: &Sought<'_>, store: [u8; 16], head: Position) -> Option<SnapshotFault> {
    if said.store != store || said.source != *sought.source {
        return Some(SnapshotFault::Foreign);
    }
    if (said.schema, said.shape, said.codec) != (sought.schema, sought.shape, sought.codec) {
        return Some(SnapshotFault::Shape);
    }
    (head < said.position && !Mutant::TrustsAStateAheadOfTheLog.is_on()).then_some(SnapshotFault::Ahead)
}

impl SnapshotInfo {
    /// What it is a state of; `None` where the file does not say.
    #[must_use]
    pub fn source(&self) -> Option<&SnapshotSource> {
        self.said.as_ref().map(|said| &said.source)
    }

    /// The number of the shape of the state: that of the aggregate's [`Snapshots`](crate::Snapshots), or the version of the
    /// projection.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.name.schema
    }

    /// How the state is written; `None` where the file does not say.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.said.as_ref().map(|said| said.codec)
    }

    /// Up to where it goes: everything up to here is in it that its source asks for.
    #[must_use]
    pub fn position(&self) -> Position {
        self.name.position
    }

    /// Up to which version of its stream it goes; [`Version::NONE`] for a projection.
    #[must_use]
    pub fn version(&self) -> Version {
        self.name.version
    }

    /// When it was written, by the clock; `None` where the file does not say.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.said.as_ref().map(|said| said.time)
    }

    /// How many bytes it has, 0 where the file does not say.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its file, relative to the directory of the store.
    #[must_use]
    pub fn path(&self) -> String {
        self.name.path()
    }

    /// Why it is not used, if it is not.
    #[must_use]
    pub fn fault(&self) -> Option<SnapshotFault> {
        self.fault
    }
}
