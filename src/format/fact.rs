//! What the log says besides events and cannot be worked out again.

use super::Fault;
use super::consumer::{self, ConsumerFact};
use super::keep::{self, KeepFact};
use super::quota::{self, QuotaFact};
use super::record::{Kind, RecordView};
use super::stream::{self, StreamFact};
use crate::position::Position;
use crate::time::Timestamp;

/// What a record says that is no event, of whatever it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Of a consumer.
    Consumer(ConsumerFact),
    /// Of a stream.
    Stream(StreamFact),
    /// Of what is kept.
    Keep(KeepFact),
    /// Of how much may be used.
    Quota(QuotaFact),
}

impl Fact {
    /// What a record says, if it is one of these.
    pub(crate) fn decode(record: &RecordView<'_>) -> Result<Option<Fact>, Fault> {
        Ok(Some(match record.header.kind {
            Kind::Checkpoint | Kind::Parked => Fact::Consumer(ConsumerFact::decode(record)?),
            Kind::Tombstone | Kind::Truncate | Kind::Delete | Kind::Undelete | Kind::StreamMetadata => {
                Fact::Stream(StreamFact::decode(record)?)
            }
            Kind::Hold | Kind::Retention => Fact::Keep(KeepFact::decode(record)?),
            Kind::Quota => Fact::Quota(QuotaFact::decode(record)?),
            _ => return Ok(None),
        }))
    }

    /// Appends its record to a batch.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Fact::Consumer(fact) => consumer::push(out, fact),
            Fact::Stream(fact) => stream::push(out, fact),
            Fact::Keep(fact) => keep::push(out, fact),
            Fact::Quota(fact) => quota::push(out, fact),
        }
    }

    /// No record that says this stands before an event with a lower position than this has been.
    pub(crate) fn last_position(&self) -> Position {
        match self {
            Fact::Consumer(fact) => fact.last_position(),
            Fact::Stream(fact) => fact.last_position(),
            Fact::Keep(_) | Fact::Quota(_) => Position::BEGINNING,
        }
    }

    /// When it was said, by the clock.
    pub(crate) fn time(&self) -> Timestamp {
        match self {
            Fact::Consumer(fact) => fact.time,
            Fact::Stream(fact) => fact.time,
            Fact::Keep(fact) => fact.time,
            Fact::Quota(fact) => fact.time,
        }
    }

    /// What it says of a stream, if that is what it speaks of.
    pub(crate) fn stream(&self) -> Option<&StreamFact> {
        match self {
            Fact::Stream(fact) => Some(fact),
            Fact::Consumer(_) | Fact::Keep(_) | Fact::Quota(_) => None,
        }
    }

    /// What it says of a consumer, if that is what it speaks of.
    pub(crate) fn consumer(&self) -> Option<&ConsumerFact> {
        match self {
            Fact::Consumer(fact) => Some(fact),
            Fact::Stream(_) | Fact::Keep(_) | Fact::Quota(_) => None,
        }
    }
}
