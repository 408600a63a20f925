//! What a consumer asks for, and the rules it goes by.

use super::partition::PartitionBy;
use super::rules::{Backoff, Breaker, Rules, Verdict};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::name::stream_name_fault;
use crate::options::Durability;
use crate::query::Query;
use crate::subscription::Start;
use crate::sync::Arc;
use serde_json::{Value, json};
use std::time::Duration;

/// A named, durable way to follow a store: which events it asks for, where it begins, and how they are handed out.
///
/// What is asked for, where it began and what is kept in order are written down with the consumer: whoever comes with the
/// same name and something else is refused, until that is [changed](crate::ConsumerControl::change) on purpose. The other
/// settings are those of the process that runs it.
///
/// ```
/// use scorebook::{Consumer, EventStore, ExpectedVersion, NewEvent, Query, Start, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let event = NewEvent::json("won", &8812)?;
/// store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
///
/// let scores = Consumer::new("scores", Query::all().of_type("won"), Start::Beginning);
/// let mut member = store.join(&scores)?;
/// let delivery = member.next().wait()?;
/// assert_eq!(delivery.event().json::<u64>()?, 8812);
/// delivery.ack()?;
/// assert_eq!(store.consumer("scores").info()?.position().get(), 1);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a consumer does nothing until somebody joins or runs it"]
pub struct Consumer {
    pub(super) name: String,
    pub(super) query: Arc<Query>,
    pub(super) start: Start,
    pub(super) durability: Durability,
    pub(super) skips_lost: bool,
    pub(super) member: Option<String>,
    pub(super) rules: Arc<Rules>,
}

impl Consumer {
    /// A consumer of the events that a query asks for. Its name obeys the rules of stream names. One that begins at a time that
    /// is yet to come when it is made is never given anything older, wherever it is sent.
    pub fn new(name: &str, query: Query, start: Start) -> Consumer {
        Consumer {
            name: name.to_owned(),
            query: Arc::new(query),
            start,
            durability: Durability::Written,
            skips_lost: false,
            member: None,
            rules: Rules::usual(),
        }
    }

    /// Only events whose types begin so; the others it looks at and passes by. Default: all that the query asks for.
    pub fn type_prefix(mut self, prefix: &str) -> Consumer {
        prefix.clone_into(&mut self.rules_mut().type_prefix);
        self
    }

    /// What is kept in order. Default: the events of each stream.
    pub fn partition_by(mut self, partition: PartitionBy) -> Consumer {
        self.rules_mut().partition = partition;
        self
    }

    /// How many events may be taken from the log and not be done: 1 to 1,000,000, for each checkpoint names them; less
    /// counts as 1, more as that. Default: 1,000.
    pub fn buffer(mut self, events: usize) -> Consumer {
        self.rules_mut().buffer = events.clamp(1, 1_000_000);
        self
    }

    /// How many events are handed out together: at least 1. Default: 1.
    ///
    /// Where there are fewer, they are handed out when the first of them has waited for `longest_wait`.
    pub fn batch(mut self, events: usize, longest_wait: Duration) -> Consumer {
        self.rules_mut().batch = events.max(1);
        self.rules_mut().batch_wait = longest_wait;
        self
    }

    /// How many members there may be at a time: at least 1. Default: 64.
    pub fn members_max(mut self, members: usize) -> Consumer {
        self.rules_mut().members_max = members.max(1);
        self
    }

    /// The name of the member that joins with this: a second one of the same name is refused while it is there. Default: no
    /// name.
    pub fn member(mut self, name: &str) -> Consumer {
        self.member = Some(name.to_owned());
        self
    }

    /// A checkpoint is written at the latest when so many events are done: at least 1. Default: 100.
    pub fn checkpoint_every(mut self, events: u64) -> Consumer {
        self.rules_mut().checkpoint_every = events.max(1);
        self
    }

    /// A checkpoint is written at the latest when the first thing that is not in the last one has been done for this long,
    /// whatever is done meanwhile. Default: 1 s.
    pub fn checkpoint_after(mut self, age: Duration) -> Consumer {
        self.rules_mut().checkpoint_after = age;
        self
    }

    /// How often an event is handed out at most before [`after_last`](Self::after_last) holds: at least once. Default: 5.
    pub fn attempts_max(mut self, attempts: u32) -> Consumer {
        self.rules_mut().attempts_max = attempts.max(1);
        self
    }

    /// The pauses between attempts. Default: from 100 ms to 30 s, each twice the one before, a fifth of it left to chance.
    pub fn backoff(mut self, backoff: Backoff) -> Consumer {
        self.rules_mut().backoff = backoff;
        self
    }

    /// What becomes of an event when its last attempt has failed. Default: [`Park`](Verdict::Park);
    /// [`Retry`](Verdict::Retry) tries for ever.
    pub fn after_last(mut self, verdict: Verdict) -> Consumer {
        self.rules_mut().after_last = verdict;
        self
    }

    /// How long a member may have an event before that counts as a failure and the event goes to others. Default: no limit.
    pub fn time_limit(mut self, limit: Duration) -> Consumer {
        self.rules_mut().time_limit = Some(limit);
        self
    }

    /// How many events may be parked before the consumer is paused: at least 1. Default: 10,000.
    pub fn parked_max(mut self, events: usize) -> Consumer {
        self.rules_mut().parked_max = events.max(1);
        self
    }

    /// When a handler that keeps failing is left alone for a while. Default: after 20 failures in a row, for a second at
    /// first and a minute at most.
    pub fn breaker(mut self, breaker: Breaker) -> Consumer {
        self.rules_mut().breaker = breaker;
        self
    }

    /// How durable events are when they are handed out. Default: [`Written`](Durability::Written), as soon as they are
    /// visible. A checkpoint stands behind the events it speaks of in the same log, so none outlives them.
    pub fn durability(mut self, durability: Durability) -> Consumer {
        self.durability = durability;
        self
    }

    /// Passes over positions that were lost to damage. Default: whoever asks for the next event is told, and it goes no
    /// further.
    pub fn skipping_lost(mut self) -> Consumer {
        self.skips_lost = true;
        self
    }

    /// How long closing the store waits for a handler that is at work. Default: 5 s.
    pub fn stop_within(mut self, limit: Duration) -> Consumer {
        self.rules_mut().stop_within = limit;
        self
    }

    /// After how long without progress a consumer that lags behind counts as stalled. Default: a minute.
    pub fn stalled_after(mut self, limit: Duration) -> Consumer {
        self.rules_mut().stalled_after = limit;
        self
    }

    fn rules_mut(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fails where it cannot be.
    pub(super) fn check(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        self.query.fault().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Whether an event that the query asks for is handed out.
    pub(super) fn hands_out(&self, event: &RecordedEvent) -> bool {
        event.event_type().starts_with(&self.rules.type_prefix)
    }

    /// What is written down of it.
    pub(super) fn text(&self) -> String {
        let start = match self.start {
            Start::Beginning => json!("beginning"),
            Start::End => json!("end"),
            Start::After(position) => json!({ "after": position.get() }),
            Start::At(time) => json!({ "at": time.nanos() }),
        };
        let mut definition = json!({
            "query": described(&self.query),
            "start": start,
            "partition_by": self.rules.partition.to_string(),
        });
        if !self.rules.type_prefix.is_empty() {
            definition["type_prefix"] = json!(self.rules.type_prefix);
        }
        definition.to_string()
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    match stream_name_fault(name) {
        Some(fault) => Err(Error::new(ErrorKind::InvalidName, format!("consumer name {fault}"))),
        None => Ok(()),
    }
}

/// A query as it is written down, to be compared and read by people.
fn described(query: &Query) -> Value {
    let items = query.items().map(|item| {
        let streams: Vec<&str> = item.streams.iter().map(|stream| stream.as_str()).collect();
        let tags: Vec<String> = item.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let parts = [
            ("types", json!(item.types)),
            ("tags", json!(tags)),
            ("streams", json!(streams)),
            ("categories", json!(item.categories)),
        ];
        let asked = parts.into_iter().filter(|(_, part)| part != &json!([]));
        Value::Object(asked.map(|(name, part)| (name.to_owned(), part)).collect())
    });
    let mut described = serde_json::Map::new();
    described.insert("items".to_owned(), items.collect());
    if !query.stream_prefix().is_empty() {
        described.insert("prefix".to_owned(), json!(query.stream_prefix()));
    }
    if query.after_position().get() != 0 {
        described.insert("after".to_owned(), json!(query.after_position().get()));
    }
    Value::Object(described)
}
