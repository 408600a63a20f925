//! The state of a projection in a snapshot, so that an opening need not fold from the first event.

use super::anew::Anew;
use super::folded::{Folded, StateHash, encoded};
use super::kind::{self, Projection};
use crate::error::{Error, ErrorKind};
use crate::event::Codec;
use crate::modelling::caught;
use crate::position::{Position, Version};
use crate::snapshot::{SnapshotFault, SnapshotSource};
use crate::store::{Draft, EventStore, Looked, SnapshotCheck, SnapshotInfo, SnapshotOutcome, Sought};
use xxhash_rust::xxh3::xxh3_64;

/// A saved state that the log agrees with.
pub(super) struct Found<P> {
    pub(super) state: P,
    pub(super) position: Position,
}

/// The newest saved state that goes up to a position or less far, if there is one.
///
/// # Errors
///
/// * [`Closed`](ErrorKind::Closed). A file that cannot be read is none.
pub(super) fn load<P: Projection>(store: &EventStore, upto: Position) -> Result<Option<Found<P>>, Error> {
    let source = source::<P>();
    let sought = Sought { source: &source, schema: P::VERSION, shape: query_hash::<P>(), codec: Codec::Json };
    store.find_snapshot(
        &sought,
        |name| name.position <= upto,
        |head, state| {
            let state = match state() {
                Ok(state) => state,
                Err(fault) => return Ok(Looked::PassedOver(fault)),
            };
            if !store.holds_last_of(head)? {
                return Ok(Looked::PassedOver(SnapshotFault::AnotherLog));
            }
            Ok(match read::<P>(&state) {
                Ok(state) => Looked::Taken(Found { state, position: head.position }),
                Err(_) => Looked::PassedOver(SnapshotFault::Shape),
            })
        },
    )
}

/// Writes a state down, of which everything is durable then; whether that was done, and not needless. `replaces` says that
/// what is saved by now is wrong.
pub(super) fn save<P: Projection>(store: &EventStore, folded: &Folded<P>, replaces: bool) -> Result<bool, Error> {
    let act = || format!("saving the state of projection {}", P::NAME);
    let state = encoded(|| serde_json::to_vec(folded.state()), act)?;
    let draft = Draft {
        source: &source::<P>(),
        schema: P::VERSION,
        shape: query_hash::<P>(),
        codec: Codec::Json,
        position: folded.position(),
        version: Version::NONE,
        carried: 0,
        folded_bytes: 0,
        state: &state,
        replaces,
    };
    // Of a projection it is enough that its events are durable: it knows of no other.
    store.desk()?.save(&draft, |_| true)
}

fn source<P: Projection>() -> SnapshotSource {
    SnapshotSource::Projection { name: P::NAME.to_owned() }
}

/// Whoever changes the query and forgets the version folds anew all the same.
fn query_hash<P: Projection>() -> u64 {
    xxh3_64(format!("{:?}", P::query()).as_bytes())
}

fn read<P: Projection>(state: &[u8]) -> Result<P, Error> {
    let whence = || format!("while the saved state of projection {} was read", P::NAME);
    let read = || serde_json::from_slice(state).map_err(|fault| Error::with_source(ErrorKind::Decode, whence(), fault));
    caught(whence, read)
}

impl EventStore {
    /// Holds each snapshot of a projection against what its events fold to: folds them from the first, and compares the
    /// [hashes](Folded::hash) of the two states. Changes nothing.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("bot.scorebook");
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, NewEvent, Position, Projection, Query, RecordedEvent};
    /// # use scorebook::{SnapshotOutcome, StreamName};
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
    /// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, [NewEvent::bytes("said", "hello")]).wait()?;
    /// let count = store.projection::<Count>()?;
    /// count.reached(Position::new(1)).wait()?;
    /// count.save()?;
    /// let checks = store.verify_projection_snapshots::<Count>()?;
    /// assert_eq!(checks[0].outcome(), &SnapshotOutcome::Same);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`fold`](Self::fold); a snapshot up to which its events cannot be folded is one of which nobody knows.
    pub fn verify_projection_snapshots<P: Projection>(&self) -> Result<Vec<SnapshotCheck>, Error> {
        kind::check::<P>()?;
        let source = source::<P>();
        let is_ours = |info: &SnapshotInfo| info.source() == Some(&source) && info.schema() == P::VERSION;
        let found = self.snapshots()?.into_iter().filter(is_ours);
        found.map(|info| Ok(SnapshotCheck::new(info.clone(), verify::<P>(self, &info)?))).collect()
    }
}

fn verify<P: Projection>(store: &EventStore, info: &SnapshotInfo) -> Result<SnapshotOutcome, Error> {
    let bytes = match store.state_of_snapshot(info)? {
        Err(fault) => return Ok(SnapshotOutcome::NotUsed(fault)),
        Ok(bytes) => bytes,
    };
    let Ok(saved) = read::<P>(&bytes) else { return Ok(SnapshotOutcome::NotUsed(SnapshotFault::Shape)) };
    let folded = match Anew::<P>::begin(store)?.fold(store, info.position(), |_| true) {
        Err(fault) if fault.error().kind() == ErrorKind::Closed => return Err(fault.told("verifying".to_owned())),
        Err(fault) => return Ok(SnapshotOutcome::Unchecked(fault.error().to_string())),
        Ok(folded) => folded.expect("nobody said to stop"),
    };
    let is_same = StateHash::of(&saved)? == StateHash::of(&folded.state)?;
    Ok(if is_same { SnapshotOutcome::Same } else { SnapshotOutcome::Differs })
}
