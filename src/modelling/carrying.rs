//! States that streams carry in the log: how an aggregate writes and reads them, and how a stream comes to begin with one.

use super::aggregate::{Aggregate, OnFloor};
use super::at::At;
use super::caught::caught;
use super::load::{AggregateStream, Loaded};
use super::payload::{self, Cause};
use crate::error::{Error, ErrorKind};
use crate::event::Codec;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::Version;
use crate::store::{Beginning, CarriedState, EventStore, NewState, PendingReceipt};
use crate::sync::Arc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;

/// How the state of an aggregate is carried in the log, in place of the events it was folded from: see
/// [`Aggregate::carrying`](crate::Aggregate::carrying).
///
/// States are JSON. What is carried is a fact and there is nothing to fold it from again, so whatever is read must be read for
/// ever: in another schema by a [step](Self::upcast).
///
/// ```
/// use scorebook::Carrying;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Counter {
///     sum: u64,
///     events: u64,
/// }
/// // In schema 1 it was only the sum.
/// let carrying: Carrying<Counter> =
///     Carrying::json("counter", 2).upcast(1, |sum: u64| Counter { sum, events: 0 });
/// assert_eq!((carrying.fold(), carrying.schema()), ("counter", 2));
/// ```
#[must_use = "nothing is carried until an aggregate gives it back"]
pub struct Carrying<A> {
    fold: &'static str,
    schema: u32,
    write: fn(&A) -> Result<Vec<u8>, Cause>,
    /// How states of each schema are read.
    reads: Vec<(u32, Read<A>)>,
}

type Read<A> = Arc<dyn Fn(&[u8]) -> Result<A, Cause> + Send + Sync>;

impl<A: Serialize + DeserializeOwned + 'static> Carrying<A> {
    /// States are written as JSON. `fold` is the name of the fold in the log, for ever, of the form of an event type; `schema`
    /// the number of the shape of the state, at least 1: one more whenever that changes.
    pub fn json(fold: &'static str, schema: u32) -> Carrying<A> {
        let read: Read<A> = Arc::new(|bytes| payload::decode_state(Codec::Json, bytes));
        Carrying { fold, schema, write: |state| payload::encode_state(Codec::Json, state), reads: vec![(schema, read)] }
    }
}

impl<A: 'static> Carrying<A> {
    /// Reads states of another schema, too: as `Old`, of which the state is made. Of several for one schema the last counts.
    pub fn upcast<Old: DeserializeOwned + 'static>(mut self, schema: u32, upcast: fn(Old) -> A) -> Carrying<A> {
        self.reads.retain(|(known, _)| *known != schema);
        let read: Read<A> = Arc::new(move |bytes| payload::decode_state(Codec::Json, bytes).map(upcast));
        self.reads.push((schema, read));
        self
    }
}

impl<A> Carrying<A> {
    /// The name of the fold.
    #[must_use]
    pub fn fold(&self) -> &str {
        self.fold
    }

    /// The number of the shape of the state.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// The state as it is handed to the log.
    pub(super) fn write(&self, stream: &StreamName, version: Version, state: &A) -> Result<NewState, Error> {
        let whence = || format!("while the state of stream {stream} was written");
        let written = caught(whence, || {
            (self.write)(state).map_err(|fault| Error::with_source(ErrorKind::Encode, whence(), fault))
        })?;
        Ok(NewState::json_written(self.fold, version, written).schema(self.schema))
    }

    /// How a state is read; none where nobody knows its schema.
    fn read_of(&self, carried: &CarriedState) -> Option<&Read<A>> {
        let schema = if Mutant::TakesAnyStateForItsOwn.is_on() { self.schema } else { carried.schema() };
        let reads = self.reads.iter().find(|(known, _)| *known == schema);
        reads.filter(|_| carried.codec() == Codec::Json).map(|(_, read)| read)
    }
}

/// With what a fold of a stream begins.
pub(super) enum Begun<A> {
    /// With nothing: before the first event.
    New,
    /// Behind a version of which it knows nothing: with nothing either.
    Anywhere(Version),
    /// With a state that is carried.
    Carried(A, CarriedState),
}

/// With what an aggregate begins to fold a stream.
///
/// # Errors
///
/// * [`BelowFloor`](ErrorKind::BelowFloor): the stream begins later, and with no state that the aggregate reads.
/// * [`Decode`](ErrorKind::Decode): with one that is not what its schema says.
pub(super) fn begin<A: Aggregate>(stream: &StreamName, beginning: &Beginning) -> Result<Begun<A>, Error> {
    let first = beginning.first;
    if first == Version::FIRST {
        return Ok(Begun::New);
    }
    let before = Version::new(first.get() - 1);
    let refused = |why: &str| {
        let act =
            format!("folding stream {stream} from version {}: it begins with version {first}{why}", Version::FIRST);
        Err(Error::new(ErrorKind::BelowFloor, act))
    };
    let begins_anywhere = A::on_floor() == OnFloor::Begin;
    let Some(carried) = &beginning.carried else {
        return if begins_anywhere { Ok(Begun::Anywhere(before)) } else { refused("") };
    };
    let (fold, schema) = (carried.fold(), carried.schema());
    let is_ours = |carrying: &Carrying<A>| carrying.fold == fold || Mutant::TakesAnyStateForItsOwn.is_on();
    match A::carrying().filter(is_ours) {
        None if begins_anywhere => Ok(Begun::Anywhere(before)),
        None => refused(&format!(
            ", and with a state of fold `{fold}` (schema {schema}), which is not that of {}",
            type_name::<A>()
        )),
        Some(carrying) => match carrying.read_of(carried) {
            None => refused(&format!(
                ", and with a state of fold `{fold}` in schema {schema}, which {} does not read",
                type_name::<A>()
            )),
            Some(read) => {
                let whence = || format!("while the state was read that stream {stream} begins with");
                let state = caught(whence, || {
                    read(carried.data()).map_err(|fault| Error::with_source(ErrorKind::Decode, whence(), fault))
                })?;
                Ok(Begun::Carried(state, carried.clone()))
            }
        },
    }
}

impl<A: Aggregate> AggregateStream<A> {
    /// Has the stream begin behind a state that was loaded from it, which the log [carries](crate::EventStore::truncate_carrying)
    /// from then on in place of the events that are in it: a load goes on from it, for ever, and a compaction removes those
    /// events.
    ///
    /// `Ok` guarantees that both have happened. What came behind the state stays. Nothing happens where what the state was
    /// folded from is not what the stream has any more, nor where it was loaded before the stream came to begin with another one:
    /// what that leaves out does not come back. Load it again then.
    ///
    /// ```
    /// # use scorebook::{Aggregate, Carrying, ErrorKind, EventContext, EventStore, StreamName, Version};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
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
    ///     fn carrying() -> Option<Carrying<Counter>> {
    ///         Some(Carrying::json("counter", 1))
    ///     }
    /// }
    ///
    /// let store = EventStore::open_in_memory()?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// for count in [7, 4, 5] {
    ///     counter.execute(count).wait().expect("nothing is refused");
    /// }
    /// counter.condense(&counter.state_at(Version::new(2))?).wait().map_err(|error| error.into_error())?;
    /// assert_eq!(store.read(counter.stream()).into_iter().count(), 1);
    /// assert_eq!(counter.load()?.state().0, 16);
    /// assert_eq!(counter.state_at(Version::FIRST).unwrap_err().kind(), ErrorKind::BelowFloor);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Store`](crate::AppendError::Store) of kind [`InvalidArgument`](ErrorKind::InvalidArgument): the aggregate does not
    ///   say how a state is [carried](Aggregate::carrying), or nothing is in the state, or it is not one of this stream as it is
    ///   by now, or was loaded before the stream came to begin with another. [`Encode`](ErrorKind::Encode): the state cannot be written.
    /// * Those of [`truncate_carrying`](crate::EventStore::truncate_carrying).
    pub fn condense(&self, loaded: &Loaded<A>) -> PendingReceipt {
        let batch = self.store().batch();
        match self.to_carry(loaded) {
            Ok(state) => batch.truncate_carrying(self.stream(), state).commit(),
            Err(error) => batch.refused(error),
        }
    }

    fn to_carry(&self, loaded: &Loaded<A>) -> Result<NewState, Error> {
        let (stream, version) = (self.stream(), loaded.version());
        let carrying = carrying_of::<A>(stream, version)?;
        if version == Version::NONE {
            return Err(uncarried(stream, version, "nothing is in the state"));
        }
        let mut loaded = loaded.clone();
        if !loaded.is_of_beginning(self.store(), stream)? {
            return Err(uncarried(stream, version, "the stream begins with another state than when it was folded"));
        }
        if loaded.since(self.store(), stream, Some(At::Version(version)))?.is_none() {
            let why = "the event that the state ends with is not in the stream any more";
            return Err(uncarried(stream, version, why));
        }
        carrying.write(stream, version, loaded.state())
    }
}

impl<A> Loaded<A> {
    /// Whether the stream begins as it did when this was folded: with the same state, or both times with none. What it begins
    /// with is a fact, and what was folded from what was before is none.
    pub(super) fn is_of_beginning(&mut self, store: &EventStore, stream: &StreamName) -> Result<bool, Error> {
        let spot = store.carried_spot(stream)?;
        if spot == self.origin.map(|origin| origin.spot) || Mutant::TrustsAStateOfAnotherBeginning.is_on() {
            return Ok(true);
        }
        let (Some(_), Some(origin)) = (spot, self.origin) else { return Ok(false) };
        // A compaction may have written it anew.
        let now = store.carried_state(stream)?.map(|carried| carried.origin()).filter(|now| now.hash == origin.hash);
        self.origin = now.or(self.origin);
        Ok(now.is_some())
    }

    /// The hash of the state that the stream began with; 0 where it began with its first event.
    pub(super) fn carried_hash(&self) -> u64 {
        self.origin.map_or(0, |origin| origin.hash)
    }
}

/// How an aggregate has the state of a stream at a version carried.
pub(super) fn carrying_of<A: Aggregate>(stream: &StreamName, version: Version) -> Result<Carrying<A>, Error> {
    let why = || format!("{} does not say how a state is carried", type_name::<A>());
    A::carrying().ok_or_else(|| uncarried(stream, version, &why()))
}

fn uncarried(stream: &StreamName, version: Version, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("condensing stream {stream} up to version {version}: {why}"))
}

impl<A> Clone for Carrying<A> {
    fn clone(&self) -> Carrying<A> {
        Carrying { reads: self.reads.clone(), ..*self }
    }
}

impl<A> fmt::Debug for Carrying<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemas: Vec<u32> = self.reads.iter().map(|(schema, _)| *schema).collect();
        let (of, fold, schema) = (type_name::<A>(), self.fold, self.schema);
        write!(f, "states of {of} as `{fold}`, schema {schema}, and read of {schemas:?}")
    }
}
