//! What is to be written down of a machine, and what becomes of it then.

use super::{Flow, Item, Record, Stale, State, WRITTEN_TOGETHER};
use crate::mutant::Mutant;
use crate::position::Position;
use std::time::Duration;

impl<E: Clone> Flow<E> {
    /// From now on until [`commit_ended`](Self::commit_ended) time does not matter to these events: what is said of them is
    /// being written. What there is to be written, as if they were done.
    pub(in crate::consumer) fn begin_commit(
        &mut self,
        delivery: u64,
        positions: &[Position],
        now: Duration,
    ) -> Result<Record, Stale> {
        positions.iter().try_for_each(|position| self.check(delivery, *position))?;
        self.set_committing(positions, true);
        let mut record = self.record(now);
        if !Mutant::CommitsWithoutTheCheckpoint.is_on() {
            record.left.retain(|left| !positions.contains(left));
        }
        Ok(record)
    }

    /// What was said of them is written, or not.
    pub(in crate::consumer) fn commit_ended(
        &mut self,
        positions: &[Position],
        record: Record,
        is_written: bool,
        now: Duration,
    ) {
        self.set_committing(positions, false);
        if is_written {
            for position in positions {
                self.finish(*position, now);
            }
            self.succeed(now);
            self.unrecorded = self.unrecorded.saturating_sub(positions.len() as u64);
            self.recorded(&record);
        } else {
            self.not_recorded(record);
            for position in positions {
                let item = self.items.get(position).map(|item| item.state);
                let Some(State::Handed { member, deadline, .. }) = item else { continue };
                if !self.members.has(member) {
                    self.take_back(*position, State::Waiting, now);
                } else if let Some(deadline) = deadline {
                    // It may have passed meanwhile, and matters again.
                    self.deadlines.insert((deadline, *position));
                }
            }
        }
    }

    fn set_committing(&mut self, positions: &[Position], is_it: bool) {
        for position in positions {
            if let Some(Item { state: State::Handed { is_committing, .. }, .. }) = self.items.get_mut(position) {
                *is_committing = is_it;
            }
        }
    }

    /// Whether something is to be written down by now.
    pub(in crate::consumer) fn is_due(&self, now: Duration) -> bool {
        let is_old =
            self.unrecorded_since.is_some_and(|since| since.saturating_add(self.rules.checkpoint_after) <= now);
        !self.unwritten.is_empty() || self.rules.checkpoint_every <= self.unrecorded || is_old
    }

    /// Whether anything is not written down.
    pub(in crate::consumer) fn is_unrecorded(&self) -> bool {
        !self.unwritten.is_empty() || self.unrecorded_since.is_some()
    }

    /// What is to be written down. One record after the other: each is [recorded](Self::recorded) or
    /// [not](Self::not_recorded) before the next is made.
    pub(in crate::consumer) fn record(&mut self, now: Duration) -> Record {
        let mut left: Vec<Position> = self.items.keys().copied().collect();
        if Mutant::RecordsWhatWasScanned.is_on() {
            left.clear();
        }
        let later = self.unwritten.split_off(self.unwritten.len().min(WRITTEN_TOGETHER));
        let parked = std::mem::replace(&mut self.unwritten, later);
        if !self.unwritten.is_empty() {
            // What is not said to be set aside yet is left.
            left.extend(self.unwritten.iter().map(|fact| fact.position).filter(|at| self.parked.contains_key(at)));
            left.sort_unstable();
            left.dedup();
        }
        Record { parked, scanned: self.scanned, left, covered: self.unrecorded, made: now }
    }

    pub(in crate::consumer) fn recorded(&mut self, record: &Record) {
        self.unrecorded = self.unrecorded.saturating_sub(record.covered);
        let is_all = self.unrecorded == 0 && self.scanned == record.scanned;
        self.unrecorded_since = if is_all { None } else { Some(record.made) };
    }

    /// Whether there is more than one record takes.
    pub(in crate::consumer) fn takes_several_records(&self) -> bool {
        WRITTEN_TOGETHER < self.unwritten.len()
    }

    /// It could not be written: it is tried again when it is as old again.
    pub(in crate::consumer) fn not_written(&mut self, record: Record) {
        self.unrecorded_since = Some(record.made);
        self.not_recorded(record);
    }

    pub(in crate::consumer) fn not_recorded(&mut self, mut record: Record) {
        record.parked.append(&mut self.unwritten);
        self.unwritten = record.parked;
    }
}
