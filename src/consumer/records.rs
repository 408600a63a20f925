//! What is written down of a consumer, as records.

use super::flow::Record;
use crate::format::{Checkpoint, CheckpointAct, ConsumerDeed, ConsumerFact};
use crate::time::Timestamp;

/// When something is written down: behind which record, and at what time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Of the record before.
    pub(super) number: u64,
    /// By the clock.
    pub(super) time: Timestamp,
}

/// The records that say what a machine has to say.
pub(super) fn facts(consumer: &str, moment: Moment, act: CheckpointAct, record: &Record) -> Vec<ConsumerFact> {
    let parked = record.parked.iter().cloned().map(ConsumerDeed::Parked);
    let checkpoint = Checkpoint { act, scanned: record.scanned, left: record.left.clone() };
    numbered(consumer, moment, parked.chain([ConsumerDeed::Checkpoint(checkpoint)]))
}

/// Records that follow one another.
pub(super) fn numbered(consumer: &str, moment: Moment, deeds: impl Iterator<Item = ConsumerDeed>) -> Vec<ConsumerFact> {
    let fact = |(number, deed)| ConsumerFact { consumer: consumer.to_owned(), number, time: moment.time, deed };
    (moment.number + 1..).zip(deeds).map(fact).collect()
}
