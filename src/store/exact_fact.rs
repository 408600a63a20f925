//! What a log says besides events, as it is carried to another store: as a value, and as JSON on one line.
//!
//! Every key of a line means something to whoever wrote it: one that is not known, is missing, stands twice or is of another
//! type is refused by name. Whether what is said goes on from what a store holds is judged where it is placed.

use super::exact_line::{Keys, refused};
use crate::error::Error;
use crate::format::{
    CheckpointAct, ConsumerDeed, ConsumerFact, Fact, KeepDeed, KeepFact, KeyFact, ParkedState, QuotaFact, Range,
    StreamDeed, StreamFact, codec_byte,
};
use crate::position::Position;
use crate::retention::Scope;
use crate::time::Timestamp;
use std::fmt::{self, Write as _};

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
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument), [`InvalidName`](crate::ErrorKind::InvalidName): it is something
    ///   else; the text names the key.
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
