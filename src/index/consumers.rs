//! What is known of consumers: how far each has come, and which events it has set aside.

use crate::format::{CheckpointAct, ConsumerDeed, ConsumerFact, ParkedState};
use crate::position::Position;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// All consumers of a store, by name; also those that were deleted, whose numbers go on.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    all: BTreeMap<Arc<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    known: KnownConsumer,
    admitted: AdmittedNumber,
}

/// What is visible of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownConsumer {
    /// Of its last record.
    pub(crate) number: u64,
    pub(crate) is_deleted: bool,
    /// What it asks for, if that is known.
    pub(crate) definition: Option<String>,
    /// Why it stands still.
    pub(crate) paused: Option<String>,
    pub(crate) scanned: Position,
    /// What it has looked at and is not done with.
    pub(crate) left: Vec<Position>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// What is set aside, by position.
    pub(crate) parked: BTreeMap<Position, KnownParked>,
}

/// An event that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownParked {
    pub(crate) key: u128,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
    pub(crate) since: Timestamp,
}

/// The number of the last record that was admitted, visible or not.
///
/// Only read and written under the lock of admission, which orders it; the atomic only lets that happen while readers
/// share the table.
#[derive(Debug, Default)]
struct AdmittedNumber(AtomicU64);

impl Consumers {
    /// What is visible of a consumer, also of one that was deleted.
    pub(crate) fn get(&self, name: &str) -> Option<&KnownConsumer> {
        self.all.get(name).map(|entry| &entry.known).filter(|known| known.number != 0)
    }

    /// All that are visible.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &KnownConsumer)> {
        self.all.iter().map(|(name, entry)| (name, &entry.known)).filter(|(_, known)| known.number != 0)
    }

    /// The number of the last record that was admitted; 0 where there is none. To be called under the lock of admission.
    pub(crate) fn admitted(&self, name: &str) -> u64 {
        self.all.get(name).map_or(0, |entry| entry.admitted.0.load(Ordering::Relaxed))
    }

    /// Whether a name has an entry, so that records of it can be [admitted](Self::admit).
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Gives a name an entry.
    pub(crate) fn intern(&mut self, name: &str) {
        if !self.has(name) {
            let entry = Entry { known: KnownConsumer::default(), admitted: AdmittedNumber::default() };
            self.all.insert(name.into(), entry);
        }
    }

    /// Notes that a record was admitted. To be called under the lock of admission.
    pub(crate) fn admit(&self, name: &str, number: u64) {
        if let Some(entry) = self.all.get(name) {
            entry.admitted.0.store(number, Ordering::Relaxed);
        }
    }

    /// Makes a record visible. One that is known already changes nothing.
    pub(crate) fn publish(&mut self, fact: &ConsumerFact) {
        self.intern(&fact.consumer);
        let Some(entry) = self.all.get_mut(&*fact.consumer) else { return };
        if fact.number <= entry.known.number {
            return;
        }
        let admitted = &entry.admitted.0;
        admitted.store(admitted.load(Ordering::Relaxed).max(fact.number), Ordering::Relaxed);
        entry.known.apply(fact);
    }

    /// Those that were written down.
    pub(super) fn saved(all: impl Iterator<Item = (String, KnownConsumer)>) -> Consumers {
        let entry = |(name, known): (String, KnownConsumer)| {
            let admitted = AdmittedNumber(AtomicU64::new(known.number));
            (name.into(), Entry { known, admitted })
        };
        Consumers { all: all.map(entry).collect() }
    }
}

impl Default for KnownConsumer {
    /// Of which there is no record.
    fn default() -> KnownConsumer {
        KnownConsumer {
            number: 0,
            is_deleted: true,
            definition: None,
            paused: None,
            scanned: Position::BEGINNING,
            left: Vec::new(),
            created: Timestamp::EPOCH,
            updated: Timestamp::EPOCH,
            parked: BTreeMap::new(),
        }
    }
}

impl KnownConsumer {
    /// Everything up to here is done.
    pub(crate) fn position(&self) -> Position {
        self.left.first().map_or(self.scanned, |first| Position::new(first.get() - 1))
    }

    fn apply(&mut self, fact: &ConsumerFact) {
        if self.is_deleted {
            *self = KnownConsumer { is_deleted: false, created: fact.time, ..KnownConsumer::default() };
        }
        self.number = fact.number;
        self.updated = fact.time;
        match &fact.deed {
            ConsumerDeed::Checkpoint(checkpoint) => {
                self.scanned = checkpoint.scanned;
                self.left.clone_from(&checkpoint.left);
                match &checkpoint.act {
                    CheckpointAct::Defined(definition) => self.definition = Some(definition.clone()),
                    CheckpointAct::Moved => {}
                    CheckpointAct::Paused(reason) => self.paused = Some(reason.clone()),
                    CheckpointAct::Resumed => self.paused = None,
                    CheckpointAct::Deleted => {
                        let (number, created, updated) = (self.number, self.created, self.updated);
                        *self = KnownConsumer { number, created, updated, ..KnownConsumer::default() };
                    }
                }
            }
            ConsumerDeed::Parked(parked) => match parked.state {
                ParkedState::Parked => {
                    let known = KnownParked {
                        key: parked.key,
                        attempts: parked.attempts,
                        reason: parked.reason.clone(),
                        since: fact.time,
                    };
                    self.parked.insert(parked.position, known);
                }
                ParkedState::Redelivered | ParkedState::Dropped => {
                    self.parked.remove(&parked.position);
                }
            },
        }
    }
}
