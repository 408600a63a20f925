//! The JSON lines of facts, taken apart again: key by key, each of its type, and none left over.

use crate::error::{Error, ErrorKind};
use crate::format::{
    Carried, Checkpoint, CheckpointAct, ConsumerDeed, ConsumerFact, KeepDeed, KeepFact, KeyFact, ParkedFact,
    ParkedState, QuotaFact, Range, StreamDeed, StreamFact, codec_from_byte,
};
use crate::name::{StreamName, event_type_fault, stream_name_fault};
use crate::options::Durability;
use crate::position::{Position, Version};
use crate::quota::{Quota, TagScope};
use crate::receipt::{Receipt, StreamReceipt};
use crate::retention::{Retention, Scope};
use crate::time::Timestamp;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

pub(super) fn refused(what: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, what)
}

/// The keys of a line that were not taken yet.
pub(super) struct Keys<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Keys<'a> {
    pub(super) fn of(line: &'a str) -> Result<Keys<'a>, Error> {
        let members =
            members(line).map_err(|error| Error::with_source(ErrorKind::InvalidArgument, error.to_string(), error))?;
        match members.len() <= KEYS_MAX {
            true => Ok(Keys(members)),
            false => Err(refused(format!("more than {KEYS_MAX} keys"))),
        }
    }

    fn maybe<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Error> {
        let Some(index) = self.0.iter().position(|(name, _)| name == key) else { return Ok(None) };
        let (_, value) = self.0.remove(index);
        let value = serde_json::from_str(value.get()).map_err(|error| refused(format!("`{key}`: {error}")))?;
        Ok(Some(value))
    }

    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, Error> {
        self.maybe(key)?.ok_or_else(|| refused(format!("`{key}` is missing")))
    }

    /// Nothing else is said.
    pub(super) fn end(&self) -> Result<(), Error> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(refused(format!("unknown key `{}`", key.escape_debug()))),
        }
    }

    pub(super) fn position(&mut self, key: &str) -> Result<Position, Error> {
        self.take(key).map(Position::new)
    }

    fn version(&mut self, key: &str) -> Result<Version, Error> {
        self.take(key).map(Version::new)
    }

    fn time(&mut self) -> Result<Timestamp, Error> {
        self.take("nanos").map(Timestamp::from_nanos)
    }

    pub(super) fn range(&mut self) -> Result<Range, Error> {
        Ok(Range { first: self.position("first")?, last: self.position("last")? })
    }

    fn hash(&mut self, key: &str) -> Result<u128, Error> {
        let digits: String = self.take(key)?;
        let is_one = digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let hash = u128::from_str_radix(&digits, 16).ok().filter(|_| is_one);
        hash.ok_or_else(|| refused(format!("`{key}` is not 32 hexadecimal digits")))
    }

    fn name(&mut self, key: &str) -> Result<String, Error> {
        let name: String = self.take(key)?;
        match stream_name_fault(&name) {
            None => Ok(name),
            Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("{key} name {fault}"))),
        }
    }

    pub(super) fn stream(&mut self, kind: &str) -> Result<StreamFact, Error> {
        let (stream, version, time) = (self.name("stream")?, self.version("version")?, self.time()?);
        let deed = match kind {
            "tombstone" => StreamDeed::Tombstone(self.take("reason")?),
            "delete" => StreamDeed::Delete(self.take("reason")?),
            "undelete" => StreamDeed::Undelete,
            "metadata" => StreamDeed::Metadata { revision: self.take("revision")?, json: self.take("json")? },
            _ => {
                let first = self.version("first")?;
                let state = match self.maybe("schema")? {
                    None => None,
                    Some(schema) => {
                        let fold: String = self.take("fold")?;
                        if let Some(fault) = event_type_fault(&fold) {
                            return Err(Error::new(ErrorKind::InvalidName, format!("the name of the fold {fault}")));
                        }
                        let (codec, position) = (codec_from_byte(self.take("codec")?), self.position("position")?);
                        let event_time = self.take("event_nanos").map(Timestamp::from_nanos)?;
                        let digits: String = self.take("state")?;
                        let bytes = bytes_of(&digits).ok_or_else(|| refused("`state` is not bytes in hex".into()))?;
                        Some(Carried { fold, schema, codec, position, event_time, bytes })
                    }
                };
                StreamDeed::Truncate { first, state }
            }
        };
        Ok(StreamFact { stream, version, time, deed })
    }

    pub(super) fn keep(&mut self, kind: &str) -> Result<KeepFact, Error> {
        let scope: String = self.take("scope")?;
        let scope = match &*scope {
            "everything" => Scope::Everything,
            "once keys" => Scope::OnceKeys,
            "category" => Scope::category(self.take::<String>("name")?)?,
            "type" => Scope::event_type(self.take::<String>("name")?)?,
            "stream" => Scope::Stream(StreamName::new(self.take::<String>("name")?)?),
            _ => return Err(refused(format!("`scope`: `{}` is none", scope.escape_debug()))),
        };
        let time = self.time()?;
        let deed = match kind {
            "hold" => KeepDeed::Hold(self.take("label")?),
            "release" => KeepDeed::Release(self.take("label")?),
            "no retention" => KeepDeed::Forget,
            _ => {
                let newest = self.maybe("newest")?;
                if newest == Some(0) {
                    return Err(refused("`newest` is 0: at least one is kept".to_owned()));
                }
                let age = self.maybe("age")?.map(Duration::from_nanos);
                let rule = newest.map_or(Retention::forever(), |newest| Retention::forever().newest(newest));
                KeepDeed::Retain(age.map_or(rule, |age| rule.newer_than(age)))
            }
        };
        Ok(KeepFact { scope, time, deed })
    }

    pub(super) fn quota(&mut self, kind: &str) -> Result<QuotaFact, Error> {
        let (key, value): (String, Option<String>) = (self.take("key")?, self.maybe("value")?);
        let scope = value.map_or_else(|| TagScope::each(&key), |value| TagScope::tag(&key, value))?;
        let time = self.time()?;
        if kind == "no quota" {
            return Ok(QuotaFact { scope, time, quota: None });
        }
        let (bytes, action): (u64, String) = (self.take("bytes")?, self.take("action")?);
        let quota = match &*action {
            "report" => Quota::bytes(bytes),
            "refuse" => Quota::bytes(bytes).refusing(),
            "trim" => Quota::bytes(bytes).trimming(),
            _ => return Err(refused(format!("`action`: `{}` is none", action.escape_debug()))),
        };
        Ok(QuotaFact { scope, time, quota: Some(quota) })
    }

    pub(super) fn consumer(&mut self, kind: &str) -> Result<ConsumerFact, Error> {
        let (consumer, number, time) = (self.name("consumer")?, self.take("number")?, self.time()?);
        let deed = if kind == "checkpoint" {
            let act: String = self.take("act")?;
            let act = match &*act {
                "defined" => CheckpointAct::Defined(self.take("text")?),
                "moved" => CheckpointAct::Moved,
                "paused" => CheckpointAct::Paused(self.take("text")?),
                "resumed" => CheckpointAct::Resumed,
                "deleted" => CheckpointAct::Deleted,
                _ => return Err(refused(format!("`act`: `{}` is none", act.escape_debug()))),
            };
            let (scanned, left) = (self.position("scanned")?, self.take::<Vec<u64>>("left")?);
            let left = left.into_iter().map(Position::new).collect();
            ConsumerDeed::Checkpoint(Checkpoint { act, scanned, left })
        } else {
            let state: String = self.take("state")?;
            let state = match &*state {
                "parked" => ParkedState::Parked,
                "redelivered" => ParkedState::Redelivered,
                "dropped" => ParkedState::Dropped,
                _ => return Err(refused(format!("`state`: `{}` is none", state.escape_debug()))),
            };
            let (position, key) = (self.position("position")?, self.hash("key")?);
            let (attempts, reason) = (self.take("attempts")?, self.take("reason")?);
            ConsumerDeed::Parked(ParkedFact { position, key, attempts, state, reason })
        };
        Ok(ConsumerFact { consumer, number, time, deed })
    }

    pub(super) fn key(&mut self) -> Result<KeyFact, Error> {
        let (key, digest, time) = (self.take("key")?, self.hash("digest")?, self.time()?);
        let (first_position, last_position) = (self.position("first")?, self.position("last")?);
        let streams = self.take::<Vec<(String, u64, u64)>>("streams")?.into_iter().map(|(name, first, last)| {
            let (first_version, last_version) = (Version::new(first), Version::new(last));
            let is_new_stream = first_version == Version::FIRST;
            Ok(StreamReceipt { stream: StreamName::new(name)?, first_version, last_version, is_new_stream })
        });
        let receipt = Receipt {
            first_position,
            last_position,
            time,
            durability: Durability::Written,
            is_repeat: true,
            streams: streams.collect::<Result<_, Error>>()?,
        };
        Ok(KeyFact { key, digest, receipt })
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

/// No fact has more.
const KEYS_MAX: usize = 16;

/// The keys and values of a JSON object, in their order.
pub(super) fn members(json: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    serde_json::from_str(json).map(|Members(members)| members)
}

/// The members of a JSON object in their order, their values as they stand. A key that stands twice is refused.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
                keys.sort_unstable();
                match keys.windows(2).find(|pair| pair[0] == pair[1]) {
                    Some(pair) => Err(A::Error::custom(format!("key `{}` stands twice", pair[0].escape_debug()))),
                    None => Ok(Members(members)),
                }
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
