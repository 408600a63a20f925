//! What a log says besides events, as it is carried to another store: as a value, and as JSON on one line.
//!
//! Every key of a line means something to whoever wrote it: one that is not known, is missing, stands twice or is of another
//! type is refused by name. Whether what is said goes on from what a store holds is judged where it is placed.

use crate::error::{Error, ErrorKind};
use crate::format::{
    Carried, Checkpoint, CheckpointAct, ConsumerDeed, ConsumerFact, Fact, KeepDeed, KeepFact, KeyFact, ParkedFact,
    ParkedState, QuotaFact, Range, StreamDeed, StreamFact, codec_byte, codec_from_byte,
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
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Something that a log says besides events, to be carried to another store: that positions are removed or lost, what became
/// of a stream, what is said about it, what is kept, how far a consumer has come and what it has set aside, and which batch
/// came under a `once` key.
///
/// [`EventStore::export`](crate::EventStore::export) gives them, and [`ExactImport::record`](crate::ExactImport::record) takes
/// them; in between they are JSON.
///
/// ```
/// use scorebook::{EventStore, ExactFact, ExactRecord, ExportedRecord, ExpectedVersion, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let gone = store.tombstone(&StreamName::new("player-7")?, ExpectedVersion::Any, "asked for");
/// gone.wait().map_err(|error| error.into_error())?;
/// let Some(ExportedRecord::Fact(fact)) = store.export()?.next().transpose()? else { panic!("a fact") };
/// assert_eq!(fact.kind(), "tombstone");
/// assert!(fact.to_json().starts_with(r#"{"fact":"tombstone","stream":"player-7","version":0,"#));
/// assert_eq!(ExactFact::from_json(&fact.to_json())?, fact);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExactFact(pub(super) Told);

/// What is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// These positions are no longer held, on purpose.
    Removed(Range),
    /// These positions were lost to damage.
    Lost(Range),
    /// The losses up to here are accepted.
    Accepted(Position),
    Fact(Fact),
    Key(KeyFact),
}

impl ExactFact {
    /// What kind of fact it is, in a word or two.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Told::Removed(_) => "removed",
            Told::Lost(_) => "lost",
            Told::Accepted(_) => "accepted",
            Told::Key(_) => "key",
            Told::Fact(Fact::Consumer(fact)) => match &fact.deed {
                ConsumerDeed::Checkpoint(_) => "checkpoint",
                ConsumerDeed::Parked(_) => "parked",
            },
            Told::Fact(Fact::Stream(fact)) => match &fact.deed {
                StreamDeed::Tombstone(_) => "tombstone",
                StreamDeed::Truncate { .. } => "truncate",
                StreamDeed::Delete(_) => "delete",
                StreamDeed::Undelete => "undelete",
                StreamDeed::Metadata { .. } => "metadata",
            },
            Told::Fact(Fact::Quota(fact)) if fact.quota.is_none() => "no quota",
            Told::Fact(Fact::Quota(_)) => "quota",
            Told::Fact(Fact::Keep(fact)) => match &fact.deed {
                KeepDeed::Hold(_) => "hold",
                KeepDeed::Release(_) => "release",
                KeepDeed::Retain(_) => "retention",
                KeepDeed::Forget => "no retention",
            },
        }
    }

    /// All of it as a JSON object on one line. The first key is `fact`, its value the [kind](Self::kind). Times are nanoseconds
    /// since 1970, hashes and bytes are hexadecimal digits.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = Line(String::from("{"));
        line.text("fact", self.kind());
        match &self.0 {
            Told::Removed(range) | Told::Lost(range) => {
                line.number("first", range.first.get());
                line.number("last", range.last.get());
            }
            Told::Accepted(last) => line.number("last", last.get()),
            Told::Key(fact) => line.key(fact),
            Told::Fact(Fact::Consumer(fact)) => line.consumer(fact),
            Told::Fact(Fact::Stream(fact)) => line.stream(fact),
            Told::Fact(Fact::Keep(fact)) => line.keep(fact),
            Told::Fact(Fact::Quota(fact)) => line.quota(fact),
        }
        line.0.push('}');
        line.0
    }

    /// What a line says that was made by [`to_json`](Self::to_json).
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument), [`InvalidName`](ErrorKind::InvalidName): it is something else; the text
    ///   names the key.
    pub fn from_json(line: &str) -> Result<ExactFact, Error> {
        let mut keys = Keys::of(line)?;
        let kind: String = keys.take("fact")?;
        let told = match &*kind {
            "removed" => Told::Removed(keys.range()?),
            "lost" => Told::Lost(keys.range()?),
            "accepted" => Told::Accepted(keys.position("last")?),
            "key" => Told::Key(keys.key()?),
            "checkpoint" | "parked" => Told::Fact(Fact::Consumer(keys.consumer(&kind)?)),
            "tombstone" | "truncate" | "delete" | "undelete" | "metadata" => {
                Told::Fact(Fact::Stream(keys.stream(&kind)?))
            }
            "hold" | "release" | "retention" | "no retention" => Told::Fact(Fact::Keep(keys.keep(&kind)?)),
            "quota" | "no quota" => Told::Fact(Fact::Quota(keys.quota(&kind)?)),
            _ => return Err(refused(format!("`fact`: `{}` is none that is known", kind.escape_debug()))),
        };
        keys.end()?;
        Ok(ExactFact(told))
    }
}

impl fmt::Debug for ExactFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

fn refused(what: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, what)
}

/// A line that is being written.
struct Line(String);

impl Line {
    fn begin(&mut self, key: &str) {
        let separator = if self.0.ends_with('{') { "" } else { "," };
        self.push(format_args!("{separator}\"{key}\":"));
    }

    fn push(&mut self, part: fmt::Arguments<'_>) {
        self.0.write_fmt(part).expect("a string takes everything");
    }

    fn number(&mut self, key: &str, value: impl fmt::Display) {
        self.begin(key);
        self.push(format_args!("{value}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.begin(key);
        let quoted = serde_json::to_string(value).expect("any text can be a JSON string");
        self.0.push_str(&quoted);
    }

    fn hash(&mut self, key: &str, value: u128) {
        self.text(key, &format!("{value:032x}"));
    }

    fn time(&mut self, time: Timestamp) {
        self.number("nanos", time.nanos());
    }

    fn stream(&mut self, fact: &StreamFact) {
        self.text("stream", &fact.stream);
        self.number("version", fact.version.get());
        self.time(fact.time);
        match &fact.deed {
            StreamDeed::Tombstone(reason) | StreamDeed::Delete(reason) => self.text("reason", reason),
            StreamDeed::Undelete => {}
            StreamDeed::Metadata { revision, json } => {
                self.number("revision", *revision);
                self.text("json", json);
            }
            StreamDeed::Truncate { first, state } => {
                self.number("first", first.get());
                if let Some(state) = state {
                    self.text("fold", &state.fold);
                    self.number("schema", state.schema);
                    self.number("codec", codec_byte(state.codec));
                    self.number("position", state.position.get());
                    self.number("event_nanos", state.event_time.nanos());
                    let digits = state.bytes.iter().fold(String::new(), |mut digits, byte| {
                        write!(digits, "{byte:02x}").expect("a string takes everything");
                        digits
                    });
                    self.text("state", &digits);
                }
            }
        }
    }

    fn keep(&mut self, fact: &KeepFact) {
        let scope = match &fact.scope {
            Scope::Everything => "everything",
            Scope::OnceKeys => "once keys",
            Scope::Category(_) => "category",
            Scope::EventType(_) => "type",
            Scope::Stream(_) => "stream",
        };
        self.text("scope", scope);
        if !fact.scope.name().is_empty() {
            self.text("name", fact.scope.name());
        }
        self.time(fact.time);
        match &fact.deed {
            KeepDeed::Hold(label) | KeepDeed::Release(label) => self.text("label", label),
            KeepDeed::Forget => {}
            KeepDeed::Retain(rule) => {
                if let Some(events) = rule.events() {
                    self.number("newest", events);
                }
                if let Some(age) = rule.age() {
                    self.number("age", u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
                }
            }
        }
    }

    fn quota(&mut self, fact: &QuotaFact) {
        self.text("key", fact.scope.key());
        if let Some(value) = fact.scope.value() {
            self.text("value", value);
        }
        self.time(fact.time);
        if let Some(quota) = fact.quota {
            self.number("bytes", quota.limit());
            self.text("action", &quota.action().to_string());
        }
    }

    fn consumer(&mut self, fact: &ConsumerFact) {
        self.text("consumer", &fact.consumer);
        self.number("number", fact.number);
        self.time(fact.time);
        match &fact.deed {
            ConsumerDeed::Checkpoint(checkpoint) => {
                let (act, text) = match &checkpoint.act {
                    CheckpointAct::Defined(text) => ("defined", Some(text)),
                    CheckpointAct::Moved => ("moved", None),
                    CheckpointAct::Paused(text) => ("paused", Some(text)),
                    CheckpointAct::Resumed => ("resumed", None),
                    CheckpointAct::Deleted => ("deleted", None),
                };
                self.text("act", act);
                if let Some(text) = text {
                    self.text("text", text);
                }
                self.number("scanned", checkpoint.scanned.get());
                let left: Vec<String> = checkpoint.left.iter().map(|left| left.get().to_string()).collect();
                self.number("left", format_args!("[{}]", left.join(",")));
            }
            ConsumerDeed::Parked(parked) => {
                let state = match parked.state {
                    ParkedState::Parked => "parked",
                    ParkedState::Redelivered => "redelivered",
                    ParkedState::Dropped => "dropped",
                };
                self.text("state", state);
                self.number("position", parked.position.get());
                self.hash("key", parked.key);
                self.number("attempts", parked.attempts);
                self.text("reason", &parked.reason);
            }
        }
    }

    fn key(&mut self, fact: &KeyFact) {
        self.text("key", &fact.key);
        self.hash("digest", fact.digest);
        self.time(fact.receipt.time);
        self.number("first", fact.receipt.first_position.get());
        self.number("last", fact.receipt.last_position.get());
        let streams = fact.receipt.streams.iter().map(|of| {
            let name = serde_json::to_string(of.stream.as_str()).expect("any text can be a JSON string");
            format!("[{name},{},{}]", of.first_version, of.last_version)
        });
        let streams: Vec<String> = streams.collect();
        self.number("streams", format_args!("[{}]", streams.join(",")));
    }
}

/// The keys of a line that were not taken yet.
struct Keys<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Keys<'a> {
    fn of(line: &'a str) -> Result<Keys<'a>, Error> {
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

    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, Error> {
        self.maybe(key)?.ok_or_else(|| refused(format!("`{key}` is missing")))
    }

    /// Nothing else is said.
    fn end(&self) -> Result<(), Error> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(refused(format!("unknown key `{}`", key.escape_debug()))),
        }
    }

    fn position(&mut self, key: &str) -> Result<Position, Error> {
        self.take(key).map(Position::new)
    }

    fn version(&mut self, key: &str) -> Result<Version, Error> {
        self.take(key).map(Version::new)
    }

    fn time(&mut self) -> Result<Timestamp, Error> {
        self.take("nanos").map(Timestamp::from_nanos)
    }

    fn range(&mut self) -> Result<Range, Error> {
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

    fn stream(&mut self, kind: &str) -> Result<StreamFact, Error> {
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

    fn keep(&mut self, kind: &str) -> Result<KeepFact, Error> {
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

    fn quota(&mut self, kind: &str) -> Result<QuotaFact, Error> {
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

    fn consumer(&mut self, kind: &str) -> Result<ConsumerFact, Error> {
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

    fn key(&mut self) -> Result<KeyFact, Error> {
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
