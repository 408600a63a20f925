//! A batch as it waits for admission: encoded, with what it asks of the streams.

use super::condition::{Condition, Once, Unless};
use super::view::SharedView;
use crate::error::{Error, ErrorKind};
use crate::event::{NewEvent, RecordedEvent};
use crate::format::{BatchBuffer, BatchTerms, ConsumerDeed, ConsumerFact, Fact};
use crate::index::Quotas;
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, ONCE_KEY_BYTES_MAX};
use crate::log::Ticket;
use crate::name::StreamName;
use crate::options::{Durability, MetadataField, Options};
use crate::position::{ExpectedVersion, Position, Revision};
use crate::query::Query;
use crate::quota::Charge;
use crate::sync::Arc;
use std::collections::HashMap;
use std::sync::Weak;

/// What has caused events.
struct Cause {
    correlation: String,
    causation: String,
}

impl Cause {
    fn of(event: &RecordedEvent) -> Cause {
        let causation = event.id().to_string();
        let correlation = event.metadata().ok().and_then(|metadata| metadata.correlation().map(str::to_owned));
        Cause { correlation: correlation.unwrap_or_else(|| causation.clone()), causation }
    }
}

/// A batch that was encoded by the appending thread, with no lock taken.
pub(crate) struct Request {
    /// Which metadata of the events become tags.
    tagged_by: Vec<MetadataField>,
    /// Where that is so, the events as they were handed in.
    handed_in: Option<BatchBuffer>,
    pub(crate) buffer: BatchBuffer,
    /// What its events are found by, once they are all there.
    pub(crate) terms: Arc<BatchTerms>,
    /// The streams that get events, in the order in which they were first named.
    pub(crate) streams: Vec<StreamName>,
    /// The index of each stream, once there are many.
    numbers: HashMap<StreamName, u32>,
    /// For each event the index of its stream.
    pub(crate) event_streams: Vec<u32>,
    /// What it says besides events, in the order of its records.
    pub(super) facts: Vec<Fact>,
    /// What the events that are pushed belong to and what caused them, where they do not say so.
    cause: Option<Cause>,
    /// What is asked, in the order in which it was asked.
    pub(super) conditions: Vec<Condition>,
    /// Under which key it is accepted once.
    pub(super) once: Option<Once>,
    /// What it adds to what tags with a quota take, and how many quotas had been begun when that was worked out.
    charges: (u64, Vec<Charge>),
    /// What is admitted behind this position is kept until the batch was judged.
    pub(crate) held: Option<Position>,
    pub(crate) durability: Durability,
    pub(crate) ticket: Arc<Ticket>,
}

impl Request {
    pub(crate) fn new(options: &Options) -> Request {
        Request {
            tagged_by: options.tags_from_metadata.clone(),
            handed_in: (!options.tags_from_metadata.is_empty()).then(BatchBuffer::new),
            buffer: BatchBuffer::new(),
            terms: Arc::default(),
            streams: Vec::new(),
            numbers: HashMap::new(),
            event_streams: Vec::new(),
            facts: Vec::new(),
            cause: None,
            conditions: Vec::new(),
            once: None,
            charges: (0, Vec::new()),
            held: None,
            durability: options.durability,
            ticket: Arc::new(Ticket::new()),
        }
    }

    /// Asks for a stream's version.
    pub(crate) fn expect(&mut self, stream: &StreamName, expected: ExpectedVersion) {
        if expected != ExpectedVersion::Any {
            self.conditions.push(Condition::Version(stream.clone(), expected));
        }
    }

    /// Asks for the revision of what is said about a stream.
    pub(super) fn expect_revision(&mut self, stream: &StreamName, last: Option<Revision>) {
        self.conditions.extend(last.map(|last| Condition::Revision(stream.clone(), last.get())));
    }

    /// Asks that no event is there that a query asks for.
    pub(super) fn unless(&mut self, query: Query, seen_in: Option<Weak<SharedView>>) {
        let number = 1 + self.absences_mut().count();
        let unless = Unless { query, number, seen_in, looked: None };
        self.conditions.push(Condition::Unless(Box::new(unless)));
    }

    /// Asks to be accepted once under a key.
    pub(super) fn once(&mut self, key: String) -> Result<(), Error> {
        if key.is_empty() || ONCE_KEY_BYTES_MAX < key.len() {
            let act = format!("a `once` key has {} bytes: it takes 1 to {ONCE_KEY_BYTES_MAX}", key.len());
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        if let Some(once) = &self.once {
            let (first, second) = (once.key.escape_debug(), key.escape_debug());
            let act = format!("a batch has one `once` key, and was given `{first}` and `{second}`");
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        self.once = Some(Once { key, digest: 0, found: None });
        Ok(())
    }

    /// Ends the batch when all its events are there: behind them stands its key.
    pub(super) fn complete(&mut self) -> Result<(), Error> {
        if let Some(once) = &mut self.once {
            if self.event_streams.is_empty() {
                return Err(Error::new(ErrorKind::InvalidArgument, "a batch without events has a `once` key"));
            }
            once.digest = self.handed_in.as_ref().unwrap_or(&self.buffer).content_digest();
            self.buffer.push_key(&once.key, once.digest, &self.streams);
            return self.check_size();
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), Error> {
        let bytes = self.buffer.len();
        if bytes <= BATCH_BYTES_MAX {
            return Ok(());
        }
        let act = format!("a batch has {bytes} bytes or more: the limit is {BATCH_BYTES_MAX}");
        Err(Error::new(ErrorKind::TooLarge, act))
    }

    /// What is asked to be absent.
    pub(super) fn absences_mut(&mut self) -> impl Iterator<Item = &mut Unless> {
        self.conditions.iter_mut().filter_map(|condition| match condition {
            Condition::Unless(unless) => Some(&mut **unless),
            Condition::Version(..) | Condition::Consumer(..) | Condition::Revision(..) => None,
        })
    }

    /// Says what has caused the events that are pushed from here on.
    pub(super) fn cause(&mut self, event: &RecordedEvent) {
        self.cause = Some(Cause::of(event));
    }

    /// Adds what is to be said of a consumer. The first record of one is accepted only if nobody has added any since the one
    /// before, and only in the opening of the store whose positions it speaks of.
    pub(super) fn push_consumer(&mut self, fact: ConsumerFact, opening: u64) -> Result<(), Error> {
        let mut others = self.facts.iter().filter_map(Fact::consumer);
        if others.all(|other| other.consumer != fact.consumer) {
            self.conditions.push(Condition::Consumer(fact.consumer.clone(), fact.number - 1, opening));
        }
        if let ConsumerDeed::Checkpoint(checkpoint) = &fact.deed
            && !checkpoint.is_sound()
        {
            let act = format!("moving consumer {} to what cannot be: {checkpoint:?}", fact.consumer);
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        self.push_fact(Fact::Consumer(fact))
    }

    /// Adds something that is to be said besides events.
    pub(super) fn push_fact(&mut self, fact: Fact) -> Result<(), Error> {
        if BATCH_EVENTS_MAX <= self.facts.len() {
            let act = format!("a batch says more than {BATCH_EVENTS_MAX} things besides its events");
            return Err(Error::new(ErrorKind::TooLarge, act));
        }
        self.buffer.push_fact(&fact);
        self.facts.push(fact);
        self.check_size()
    }

    /// Encodes events of one stream behind what is there.
    pub(crate) fn push(
        &mut self,
        stream: &StreamName,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<(), Error> {
        let mut index = None;
        for event in events {
            if BATCH_EVENTS_MAX <= self.event_streams.len() {
                let act = format!("a batch has more than {BATCH_EVENTS_MAX} events");
                return Err(Error::new(ErrorKind::TooLarge, act));
            }
            let event = match &self.cause {
                Some(cause) => event.within(Some(&cause.correlation), Some(&cause.causation), None),
                None => event,
            };
            if let Some(handed_in) = &mut self.handed_in {
                handed_in.push_event(stream, &event)?;
                self.buffer.push_event(stream, &event.tagged_by(&self.tagged_by))?;
            } else {
                self.buffer.push_event(stream, &event)?;
            }
            self.check_size()?;
            let number = *index.get_or_insert_with(|| self.number(stream));
            self.event_streams.push(number);
        }
        Ok(())
    }

    /// The index of a stream, which gets one where it has none.
    fn number(&mut self, stream: &StreamName) -> u32 {
        // A look through a few names is faster than a table; through thousands it is not.
        const FEW: usize = 32;
        let found = match self.streams.len() <= FEW {
            true => self.streams.iter().position(|named| named == stream).map(|index| index as u32),
            false => self.numbers.get(stream).copied(),
        };
        found.unwrap_or_else(|| {
            let number = self.streams.len() as u32;
            self.streams.push(stream.clone());
            if FEW < self.streams.len() {
                let missing = self.streams.iter().enumerate().skip(self.numbers.len());
                self.numbers.extend(missing.map(|(index, named)| (named.clone(), index as u32)));
            }
            number
        })
    }

    /// Works out what it adds to what tags with a quota take, unless that is known. Before the first quota there is nothing.
    pub(super) fn charge(&mut self, quotas: &Quotas) {
        if self.charges.0 != quotas.begun() {
            self.charges = (quotas.begun(), quotas.charges(self.buffer.records()));
        }
    }

    pub(super) fn charges(&self) -> &[Charge] {
        &self.charges.1
    }

    /// Whether its key was found in what is visible.
    pub(crate) fn is_repeat(&self) -> bool {
        self.once.as_ref().is_some_and(|once| once.found.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.event_streams.is_empty() && self.facts.is_empty()
    }
}
