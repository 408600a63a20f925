//! Snapshots of aggregates held against what their events fold to.

use super::aggregate::Aggregate;
use super::at::At;
use super::caught::caught;
use super::load::{AggregateStream, Loaded};
use super::registry::Registry;
use super::saving::{read, unwritten};
use super::snapshots::Snapshots;
use crate::error::{Error, ErrorKind};
use crate::name::StreamName;
use crate::position::Version;
use crate::snapshot::{SnapshotFault, SnapshotSource};
use crate::store::{EventStore, SnapshotCheck, SnapshotInfo, SnapshotOutcome};
use std::collections::BTreeSet;

impl<A: Aggregate> AggregateStream<A> {
    /// Holds each snapshot of this stream against what its events fold to: replays them from the first, and compares what the
    /// two states are serialized to. Changes nothing.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("bot.scorebook");
    /// # use scorebook::{Aggregate, EventContext, EventStore, SnapshotOutcome, Snapshots, StreamName, Version};
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
    /// #     fn snapshots() -> Option<Snapshots<Counter>> { Some(Snapshots::bincode(1)) }
    /// # }
    /// let store = EventStore::open(&path)?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// counter.execute(7).wait().expect("nothing is refused");
    /// counter.save_snapshot(&counter.load()?)?;
    /// let checks = counter.verify_snapshots()?;
    /// assert_eq!(checks[0].snapshot().version(), Version::FIRST);
    /// assert_eq!(checks[0].outcome(), &SnapshotOutcome::Same);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the aggregate has no [snapshots](Aggregate::snapshots), or the
    ///   registry of the store has not its events.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn verify_snapshots(&self) -> Result<Vec<SnapshotCheck>, Error> {
        let _ = self.snapshots_or_refuse()?;
        let registry = self.store().registry_for::<A::Event>()?;
        self.verify_snapshots_with(&registry)
    }

    /// The same, where events are read by a registry; of an aggregate without snapshots there is nothing to say.
    pub(super) fn verify_snapshots_with(&self, registry: &Registry) -> Result<Vec<SnapshotCheck>, Error> {
        let Some(snapshots) = A::snapshots() else { return Ok(Vec::new()) };
        let source = self.source();
        let is_ours = |info: &SnapshotInfo| info.source() == Some(&source) && info.schema() == snapshots.schema();
        let found = self.store().snapshots()?.into_iter().filter(is_ours);
        found.map(|info| self.check_snapshot(&snapshots, registry, info)).collect()
    }

    fn check_snapshot(
        &self,
        snapshots: &Snapshots<A>,
        registry: &Registry,
        info: SnapshotInfo,
    ) -> Result<SnapshotCheck, Error> {
        let outcome = match self.store().state_of_snapshot(&info)? {
            Err(fault) => SnapshotOutcome::NotUsed(fault),
            Ok(bytes) => match read(snapshots, self.stream(), &bytes) {
                Err(_) => SnapshotOutcome::NotUsed(SnapshotFault::Shape),
                Ok(saved) => self.compare(snapshots, registry, (info.version(), &saved, &bytes))?,
            },
        };
        Ok(SnapshotCheck::new(info, outcome))
    }

    fn compare(
        &self,
        snapshots: &Snapshots<A>,
        registry: &Registry,
        (version, saved, bytes): (Version, &A, &[u8]),
    ) -> Result<SnapshotOutcome, Error> {
        let whence = || format!("folding stream {} up to version {version}", self.stream());
        let replay = || self.fold_all(registry, At::Version(version));
        let replayed: Loaded<A> = match caught(whence, replay) {
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed) => return Err(error),
            Err(error) => return Ok(SnapshotOutcome::Unchecked(error.to_string())),
            Ok(replayed) => replayed,
        };
        if replayed.version() != version {
            return Ok(SnapshotOutcome::Unchecked(format!("the stream ends with version {}", replayed.version())));
        }
        let compare =
            || snapshots.is_same((saved, bytes), replayed.state()).map_err(|fault| unwritten(self.stream(), fault));
        let is_same = caught(whence, compare)?;
        Ok(if is_same { SnapshotOutcome::Same } else { SnapshotOutcome::Differs })
    }
}

impl Registry {
    /// Holds the snapshots of all streams whose category has an aggregate against what their events fold to; those of others,
    /// of projections and in other schemas are left out. Changes nothing. See
    /// [`AggregateStream::verify_snapshots`](crate::AggregateStream::verify_snapshots).
    ///
    /// ```
    /// use scorebook::{EventStore, Registry};
    /// let store = EventStore::open_in_memory()?;
    /// assert_eq!(Registry::default().verify_snapshots(&store)?, []);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn verify_snapshots(&self, store: &EventStore) -> Result<Vec<SnapshotCheck>, Error> {
        let found = store.snapshots()?;
        let streams: BTreeSet<&StreamName> =
            found.iter().filter_map(|info| info.source().and_then(SnapshotSource::stream)).collect();
        let mut checks = Vec::new();
        for stream in streams {
            if let Some(fold) = self.fold_of(stream.category()) {
                checks.extend(fold.verify_snapshots(store, self, stream)?);
            }
        }
        Ok(checks)
    }
}
