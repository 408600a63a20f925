//! States that streams begin with: handed in with a truncation, and given back.

use super::EventStore;
use super::batch::BatchBuilder;
use super::pending::PendingReceipt;
use super::standing::readable;
use crate::error::{Error, ErrorKind};
use crate::event::Codec;
use crate::format::{Carried, Fact, Kind, StreamDeed, StreamFact, codec_byte};
use crate::index::{CarriedPlaces, Fate};
use crate::limits::RECORD_BYTES_MAX;
use crate::name::{StreamName, event_type_fault};
use crate::position::{Place, Position, Version};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment, read_whole};
use crate::sync::Arc;
use crate::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// What a fold comes to with the beginning of a stream, to be carried in the log in its place: see
/// [`EventStore::truncate_carrying`].
///
/// The name of the fold says what the state is, and has the form of an event type; the schema says in which shape. Both
/// are kept for as long as the log is, so a name that changes with the code is none.
#[derive(Clone, Debug)]
#[must_use = "a state is carried once a batch has it"]
pub struct NewState {
    fold: String,
    schema: u32,
    codec: Codec,
    version: Version,
    data: Vec<u8>,
}

/// The state that a stream begins with: what a fold came to with all that was before.
#[derive(Clone)]
pub struct CarriedState {
    stream: StreamName,
    fold: String,
    schema: u32,
    codec: Codec,
    version: Version,
    position: Position,
    time: Timestamp,
    data: Arc<Vec<u8>>,
    spot: Spot,
}

/// Where a state stands in the log. What a compaction writes anew stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The random id of the segment.
    segment: [u8; 16],
    offset: u32,
}

/// Which state a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Tells it from every other that the stream begins with at some time, in whichever store. Never 0.
    pub(crate) hash: u64,
    pub(crate) spot: Spot,
}

impl NewState {
    /// A state as JSON, with every event of the stream up to `version` in it. Its schema number is 1.
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): it cannot be written as JSON.
    pub fn json(fold: &str, version: Version, state: &(impl Serialize + ?Sized)) -> Result<NewState, Error> {
        match serde_json::to_vec(state) {
            Ok(data) => Ok(NewState::json_written(fold, version, data)),
            Err(error) => {
                let act = format!("writing a state of fold `{}` as JSON", fold.escape_debug());
                Err(Error::with_source(ErrorKind::Encode, act, error))
            }
        }
    }

    /// The same where it was written before.
    pub(crate) fn json_written(fold: &str, version: Version, data: Vec<u8>) -> NewState {
        NewState { codec: Codec::Json, ..NewState::bytes(fold, version, data) }
    }

    /// A state as bytes of which the store knows nothing, with every event of the stream up to `version` in it. Its schema
    /// number is 1.
    pub fn bytes(fold: &str, version: Version, data: impl Into<Vec<u8>>) -> NewState {
        NewState { fold: fold.to_owned(), schema: 1, codec: Codec::Bytes, version, data: data.into() }
    }

    /// The number of the shape of the state, at least 1.
    pub fn schema(self, schema: u32) -> NewState {
        NewState { schema, ..self }
    }

    /// What is to be written for a stream, whose last event in it is this one.
    fn complete(self, stream: &StreamName, (position, event_time): (Position, Timestamp)) -> Result<Carried, Error> {
        let NewState { fold, schema, codec, data: bytes, .. } = self;
        let act = |fault: &str| format!("truncating stream {stream} with a state: {fault}");
        if let Some(fault) = event_type_fault(&fold) {
            return Err(Error::new(ErrorKind::InvalidName, act(&format!("the name of the fold {fault}"))));
        }
        if schema == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, act("its schema is 0, and must be at least 1")));
        }
        let carried = Carried { fold, schema, codec, position, event_time, bytes };
        let len = carried.record_len(stream.as_str());
        if RECORD_BYTES_MAX < len {
            let fault = format!("its record has {len} bytes: the limit is {RECORD_BYTES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, act(&fault)));
        }
        Ok(carried)
    }
}

impl CarriedState {
    /// The stream that begins with it.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The name of the fold.
    #[must_use]
    pub fn fold(&self) -> &str {
        &self.fold
    }

    /// The number of the shape of the state.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// How it is written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The version of the last event in it: the stream begins with the next.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The position of that event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The store's time of that event.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The state as it was handed in.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The state, read as JSON.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): it is something else.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let act = || format!("decoding the state that stream {} begins with", self.stream);
        serde_json::from_slice(&self.data).map_err(|error| Error::with_source(ErrorKind::Decode, act(), error))
    }
}

impl CarriedState {
    /// Which one it is. What is hashed is in `FORMAT.md`.
    pub(crate) fn origin(&self) -> Origin {
        let mut hasher = Xxh3::new();
        hasher.update(&self.version.get().to_le_bytes());
        hasher.update(&self.position.get().to_le_bytes());
        hasher.update(&self.time.nanos().to_le_bytes());
        hasher.update(&self.schema.to_le_bytes());
        hasher.update(&[codec_byte(self.codec)]);
        for part in [self.fold.as_bytes(), &self.data] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Origin { hash: hasher.digest().max(1), spot: self.spot }
    }
}

impl fmt::Debug for CarriedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CarriedState { stream, fold, schema, version, .. } = self;
        write!(f, "state of stream {stream} at version {version}: {fold}, schema {schema}, {} bytes", self.data.len())
    }
}

/// Where a stream begins, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    pub(crate) first: Version,
    pub(crate) carried: Option<CarriedState>,
}

impl Beginning {
    /// Which state that is.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.carried.as_ref().map(CarriedState::origin)
    }

    /// The hash of that; 0 where there is none.
    pub(crate) fn hash(&self) -> u64 {
        self.origin().map_or(0, |origin| origin.hash)
    }
}

impl BatchBuilder<'_> {
    /// Has a stream begin behind a state, as [`EventStore::truncate_carrying`] does. What is in the state was there before the
    /// batch.
    pub fn truncate_carrying(mut self, stream: &StreamName, state: NewState) -> Self {
        let first = state.version.next().unwrap_or(state.version);
        let last = self.store.last_in(stream, state.version);
        match last.and_then(|last| state.complete(stream, last)) {
            Ok(state) => self.deed(stream, "", StreamDeed::Truncate { first, state: Some(state) }),
            Err(error) => {
                self.take(Err(error));
                self
            }
        }
    }
}

impl EventStore {
    /// Has a stream begin behind a state, which the log carries from then on in place of the events that are in it: a fold of
    /// that name goes on from it. An aggregate does all of this with [`condense`](crate::AggregateStream::condense).
    ///
    /// `Ok` guarantees that the stream begins with the version behind the state's, and carries the state. One that it began with
    /// before does not count any more; where it begins with that very version, the new one takes the place of the old. Where the
    /// stream is [truncated](Self::truncate_before) further without a state, this one does not count any more, either.
    ///
    /// The state is a fact: nobody holds it against the events, and what it leaves out is forgotten with them. A state with what
    /// was deleted is none of the stream, as long as that is not undeleted.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, NewState, StreamName, Version};
    /// let store = EventStore::open_in_memory()?;
    /// let account = StreamName::new("account-7")?;
    /// let events = [3, 4, 5].map(|paid| NewEvent::json("paid", &paid).expect("a number"));
    /// store.append(&account, ExpectedVersion::NoStream, events).wait().map_err(|error| error.into_error())?;
    /// let sum = NewState::json("sum", Version::new(2), &7)?.schema(1);
    /// store.truncate_carrying(&account, sum).wait().map_err(|error| error.into_error())?;
    ///
    /// let carried = store.carried_state(&account)?.expect("it begins with one");
    /// assert_eq!((carried.fold(), carried.version().get(), carried.decode::<u32>()?), ("sum", 2, 7));
    /// let rest = store.read(&account).after(carried.version()).into_iter().map(|event| event?.json::<u32>());
    /// assert_eq!(rest.sum::<Result<u32, scorebook::Error>>()?, 5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing has changed.
    ///
    /// * [`Store`](crate::AppendError::Store) of kind [`EventNotFound`](ErrorKind::EventNotFound),
    ///   [`StreamNotFound`](ErrorKind::StreamNotFound): the stream has no event with the state's version.
    ///   [`BelowFloor`](ErrorKind::BelowFloor): it begins behind that already. [`Deleted`](ErrorKind::Deleted): that event is
    ///   deleted, or the stream finished. [`InvalidName`](ErrorKind::InvalidName): the name of the fold. [`InvalidArgument`](ErrorKind::InvalidArgument):
    ///   the schema is 0. [`TooLarge`](ErrorKind::TooLarge): the record would have more than 16 MiB.
    /// * Those of an append.
    pub fn truncate_carrying(&self, stream: &StreamName, state: NewState) -> PendingReceipt {
        self.batch().truncate_carrying(stream, state).commit()
    }

    /// The state that a stream begins with; `None` where it begins with none, or is not there.
    ///
    /// # Errors
    ///
    /// * [`Deleted`](ErrorKind::Deleted): the stream was deleted or is finished; the text says why.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): the state cannot be read any more, or nobody knows whether
    ///   there is one.
    /// * [`Io`](ErrorKind::Io), [`Closed`](ErrorKind::Closed).
    pub fn carried_state(&self, stream: &StreamName) -> Result<Option<CarriedState>, Error> {
        Ok(self.beginning(stream)?.carried)
    }

    /// Where a stream begins, and with what: with the first version where it is not there.
    pub(crate) fn beginning(&self, stream: &StreamName) -> Result<Beginning, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let fates = view.table.fates();
        let Some(fate) = (!fates.is_empty()).then(|| fates.get(stream.as_str())).flatten() else {
            return Ok(Beginning { first: Version::FIRST, carried: None });
        };
        match readable(&view, stream) {
            Err(error) if !matches!(error.kind(), ErrorKind::StreamNotFound | ErrorKind::BelowFloor) => {
                return Err(error);
            }
            // Of a stream without events there may be a state.
            _ => {}
        }
        let (first, place) = (fate.first(), fate.carried());
        let Some(place) = place else { return Ok(Beginning { first, carried: None }) };
        let segment = view.segment(place.segment).cloned().ok_or_else(|| missing(stream, place))?;
        drop(view);
        let carried = carried_at(&segment, place.offset, stream, first)?;
        Ok(Beginning { first, carried: Some(carried) })
    }

    /// Where the state stands that a stream begins with, without reading it.
    pub(crate) fn carried_spot(&self, stream: &StreamName) -> Result<Option<Spot>, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let Some(place) = view.table.fates().get(stream.as_str()).and_then(Fate::carried) else { return Ok(None) };
        let segment = view.segment(place.segment).ok_or_else(|| missing(stream, place))?;
        Ok(Some(Spot { segment: segment.preamble.segment, offset: place.offset }))
    }

    /// The last event that a state of a stream has, by its version: the position and time of it.
    fn last_in(&self, stream: &StreamName, version: Version) -> Result<(Position, Timestamp), Error> {
        let event = self.event(stream, version);
        match event {
            Ok(event) => Ok((event.position(), event.time())),
            // Another state may take the place of the one it begins with.
            Err(error) if error.kind() == ErrorKind::BelowFloor => match self.carried_state(stream)? {
                Some(carried) if carried.version == version => Ok((carried.position, carried.time)),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

fn missing(stream: &StreamName, place: Place) -> Error {
    Error::new(ErrorKind::Damaged, format!("the state of stream {stream} at {place}: no such segment"))
}

/// The state that a record of a segment carries for a stream that begins with a version.
fn carried_at(segment: &Segment, offset: u32, stream: &StreamName, first: Version) -> Result<CarriedState, Error> {
    match segment.fact(offset)? {
        Fact::Stream(StreamFact {
            stream: named,
            deed: StreamDeed::Truncate { first: of, state: Some(state) },
            ..
        }) if named == stream.as_str() && of == first => {
            let Carried { fold, schema, codec, position, event_time: time, bytes } = state;
            let version = Version::new(first.get() - 1);
            Ok(CarriedState {
                stream: stream.clone(),
                fold,
                schema,
                codec,
                version,
                position,
                time,
                data: Arc::new(bytes),
                spot: Spot { segment: segment.preamble.segment, offset },
            })
        }
        _ => Err(segment.damaged(offset)),
    }
}

/// Where states stand that a segment carries: of one stream and version the last.
pub(super) fn places_in(segment: &Segment) -> Result<CarriedPlaces, Error> {
    let mut bytes = Vec::new();
    read_whole(&**segment.file(), segment.end() as usize, &mut bytes)
        .map_err(|error| Error::io(format!("reading segment {} for states", segment.sequence()), error))?;
    let (sequence, size) = (segment.sequence(), segment.preamble.size);
    let scanned = ScannedSegment { bytes: &bytes, base: 0, salt: segment.salt, sequence, size };
    let mut places = CarriedPlaces::default();
    let mut offset = FIRST_BATCH;
    while offset < segment.end() {
        let Found::Batch(batch) = scanned.at(offset) else { return Err(segment.damaged(offset)) };
        for (at, record) in batch.placed_records().filter(|(_, record)| record.header.kind == Kind::Truncate) {
            let fact = StreamFact::decode(&record).map_err(|fault| segment.fault(at, fault))?;
            if let StreamDeed::Truncate { first, state: Some(_) } = fact.deed {
                let of_stream = places.entry(fact.stream.into()).or_default();
                of_stream.insert(first, Place { segment: sequence, offset: at });
            }
        }
        offset = batch.end();
    }
    Ok(places)
}
