//! Payloads and states written down and read back, each by its codec. bincode and its limit are confined to this file.

use super::raw;
use super::shape::EventShape;
use crate::error::{Error, ErrorKind};
use crate::event::{Codec, NewEvent, RecordedEvent};
use crate::limits::RECORD_BYTES_MAX;
use crate::snapshot::BODY_BYTES_MAX;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error as StdError;

/// Why a payload could not be written or read, without the place.
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

/// No payload is larger than a record: the most that a length inside of it can claim.
const CONFIG: Configuration<LittleEndian, Varint, Limit<RECORD_BYTES_MAX>> =
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();

/// Writes a payload down.
pub(super) fn encode<T: Serialize + ?Sized>(codec: Codec, payload: &T) -> Result<Vec<u8>, Cause> {
    match codec {
        Codec::Json => Ok(serde_json::to_vec(payload)?),
        Codec::Bincode => Ok(bincode::serde::encode_to_vec(payload, CONFIG)?),
        Codec::Bytes => Ok(raw::encode(payload)?),
        Codec::Other(number) => Err(unnamed(number)),
    }
}

/// Reads a payload, all of it.
pub(super) fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T, Cause> {
    match codec {
        Codec::Json => Ok(serde_json::from_slice(bytes)?),
        Codec::Bincode => whole(bincode::serde::decode_from_slice(bytes, CONFIG)?, bytes),
        Codec::Bytes => Ok(raw::decode(bytes)?),
        Codec::Other(number) => Err(unnamed(number)),
    }
}

/// The same for a state, which may be larger than a record.
const STATE_CONFIG: Configuration<LittleEndian, Varint, Limit<BODY_BYTES_MAX>> =
    bincode::config::standard().with_limit::<BODY_BYTES_MAX>();

/// Writes a state down.
pub(super) fn encode_state<T: Serialize>(codec: Codec, state: &T) -> Result<Vec<u8>, Cause> {
    match codec {
        Codec::Bincode => Ok(bincode::serde::encode_to_vec(state, STATE_CONFIG)?),
        other => encode(other, state),
    }
}

/// Reads a state, all of it.
pub(super) fn decode_state<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T, Cause> {
    match codec {
        Codec::Bincode => whole(bincode::serde::decode_from_slice(bytes, STATE_CONFIG)?, bytes),
        other => decode(other, bytes),
    }
}

/// What was read, where nothing is left over.
fn whole<T>((value, len): (T, usize), bytes: &[u8]) -> Result<T, Cause> {
    match bytes.len() - len {
        0 => Ok(value),
        rest => Err(format!("{rest} of {} bytes are left over", bytes.len()).into()),
    }
}

fn unnamed(number: u8) -> Cause {
    format!("codec {number} is not one that payloads are written in here").into()
}

impl NewEvent {
    /// An event whose payload is `data` in a codec. Its schema number is 1.
    ///
    /// ```
    /// use scorebook::{Codec, NewEvent};
    /// let event = NewEvent::encoded("guessed", Codec::Bincode, &("alice", 7_u8))?;
    /// assert!(event.fault().is_none());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): `data` cannot be written in this codec.
    pub fn encoded<T: Serialize + ?Sized>(event_type: &str, codec: Codec, data: &T) -> Result<NewEvent, Error> {
        match encode(codec, data) {
            Ok(data) => Ok(NewEvent::with_codec(event_type, codec, data)),
            Err(fault) => {
                let act = format!("encoding the payload of a `{}` as {codec:?}", event_type.escape_debug());
                Err(Error::with_source(ErrorKind::Encode, act, fault))
            }
        }
    }

    /// The payload, decoded by its codec: for rules that look into events of others.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): the payload is not of this shape, or in a codec without a name.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(self.codec(), self.data()).map_err(|fault| {
            let act = format!("decoding the payload of a `{}`", self.event_type().escape_debug());
            Error::with_source(ErrorKind::Decode, act, fault)
        })
    }

    /// Type and schema.
    #[must_use]
    pub fn shape(&self) -> EventShape {
        EventShape::new(&self.event_type, self.schema)
    }
}

impl RecordedEvent {
    /// Type and schema.
    #[must_use]
    pub fn shape(&self) -> EventShape {
        EventShape::new(self.event_type(), self.schema())
    }

    /// The payload, decoded by the codec it was recorded in.
    ///
    /// ```
    /// use scorebook::{Codec, EventStore, ExpectedVersion, NewEvent, StreamName, Version};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-42")?;
    /// let guessed = NewEvent::encoded("guessed", Codec::Bincode, &("alice", 7_u8))?;
    /// store.append(&game, ExpectedVersion::Any, [guessed]).wait().map_err(|error| error.into_error())?;
    /// let (player, guess): (String, u8) = store.event(&game, Version::FIRST)?.decode()?;
    /// assert_eq!((player.as_str(), guess), ("alice", 7));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): the payload is not of this shape, or in a codec without a name.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(self.codec(), self.data()).map_err(|fault| {
            let act = format!("decoding the payload of the `{}` at position {}", self.event_type(), self.position());
            Error::with_source(ErrorKind::Decode, act, fault)
        })
    }
}
