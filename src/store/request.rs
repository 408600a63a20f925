//! A batch as it waits for admission: encoded, with what it asks of the streams.

use super::condition::{Condition, Once, Unless};
use super::view::SharedView;
use crate::error::{Error, ErrorKind};
use crate::event::NewEvent;
use crate::format::{BatchBuffer, BatchTerms};
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, ONCE_KEY_BYTES_MAX};
use crate::log::Ticket;
use crate::name::StreamName;
use crate::options::{Durability, MetadataField, Options};
use crate::position::{ExpectedVersion, Position};
use crate::query::Query;
use crate::sync::Arc;
use std::collections::HashMap;
use std::sync::Weak;

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
    /// What is asked, in the order in which it was asked.
    pub(super) conditions: Vec<Condition>,
    /// Under which key it is accepted once.
    pub(super) once: Option<Once>,
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
            conditions: Vec::new(),
            once: None,
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
            Condition::Version(..) => None,
        })
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

    /// Whether its key was found in what is visible.
    pub(crate) fn is_repeat(&self) -> bool {
        self.once.as_ref().is_some_and(|once| once.found.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.event_streams.is_empty()
    }
}
