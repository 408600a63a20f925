//! What a consumer at work writes down: by one at a time, in turn, and in the order in which the machine has said it.

use super::begin::pull;
use super::flow::Record;
use super::records::{Moment, facts};
use super::runtime::{Runtime, State};
use super::turn::Taken;
use crate::error::{AppendError, Error, ErrorKind};
use crate::format::CheckpointAct;
use crate::options::Durability;
use crate::position::Position;

impl Runtime {
    /// Writes down where it stands, as the next record.
    pub(super) fn write(&self, act: CheckpointAct) -> Result<(), Error> {
        let _store = self.link.store()?;
        let _turn = self.take_turn()?;
        self.write_in_turn(act)
    }

    /// The same where somebody steers it, perhaps to another position; `then` is done when it is written, and nothing has
    /// changed where it is not.
    pub(super) fn steer(
        &self,
        act: CheckpointAct,
        to: Option<Position>,
        then: impl FnOnce(&mut State),
    ) -> Result<(), Error> {
        let store = self.link.store()?;
        let _turn = self.take_turn()?;
        let go_on = to.map(|to| (to, pull(&store, &self.consumer, self.created, to)));
        self.write_record(act, Durability::Synced, to, |state| {
            if let Some((to, pull)) = go_on {
                state.pull = Some(pull);
                state.seeks += 1;
                state.flow.seek(to);
            }
            then(state);
        })
    }

    pub(super) fn take_turn(&self) -> Result<Taken, Error> {
        self.turn.take_within(self.consumer.rules.stop_within).ok_or_else(|| {
            let act = format!("writing for consumer {}: a commit is on its way, and does not end", self.consumer.name);
            Error::new(ErrorKind::Busy, act)
        })
    }

    pub(super) fn write_in_turn(&self, act: CheckpointAct) -> Result<(), Error> {
        // A checkpoint that is lost has its events handed out again, so it need not be synced.
        self.write_record(act, Durability::Written, None, |_| {})
    }

    fn write_record(
        &self,
        act: CheckpointAct,
        durability: Durability,
        to: Option<Position>,
        then: impl FnOnce(&mut State),
    ) -> Result<(), Error> {
        while self.state().flow.takes_several_records() {
            self.write_one(CheckpointAct::Moved, Durability::Written, None, |_| {})?;
        }
        self.write_one(act, durability, to, then)
    }

    fn write_one(
        &self,
        act: CheckpointAct,
        durability: Durability,
        to: Option<Position>,
        then: impl FnOnce(&mut State),
    ) -> Result<(), Error> {
        let store = self.link.store()?;
        let now = store.elapsed();
        self.look_at(&store)?;
        let mut state = self.state();
        state.check_there()?;
        let mut record = state.flow.record(now);
        if let Some(to) = to {
            (record.scanned, record.left) = (to, Vec::new());
        }
        let moment = Moment { number: state.number, time: store.clock() };
        let opening = state.opening;
        drop(state);
        let facts = facts(&self.consumer.name, moment, act, &record);
        let count = facts.len() as u64;
        let outcome = store.batch().consumers(facts, opening).durability(durability).commit().wait();
        let mut state = self.state();
        match outcome {
            Ok(_) => {
                state.number += count;
                state.flow.recorded(&record);
                then(&mut state);
                Ok(())
            }
            Err(error) => {
                state.flow.not_written(record);
                Err(state.failed(error))
            }
        }
    }

    /// What was said of events in a batch of somebody's is written, or why not.
    pub(super) fn committed(
        &self,
        positions: &[Position],
        record: Record,
        outcome: Result<u64, &AppendError>,
    ) -> Result<(), Error> {
        let now = self.now()?;
        let mut state = self.state();
        state.flow.commit_ended(positions, record, outcome.is_ok(), now);
        match outcome {
            Ok(count) => {
                state.number += count;
                state.rate.note(now, positions.len() as u64);
            }
            Err(error @ AppendError::Conflict(crate::error::Conflict::Consumer { .. })) => {
                state.failed(error.clone());
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// The results of these events were there before: they are done, which is yet to be written. In turn.
    pub(super) fn done_before(&self, delivery: u64, positions: &[Position], record: Record) -> Result<(), Error> {
        let now = self.now()?;
        let mut state = self.state();
        state.flow.commit_ended(positions, record, false, now);
        for position in positions {
            // Nobody else can have said anything of it while it was being committed.
            let _ = state.flow.ack(delivery, *position, now);
        }
        drop(state);
        self.write_in_turn(CheckpointAct::Moved)
    }

    /// Writes down whatever is not, in turn. A failure is kept; it is tried again when something is due again.
    pub(super) fn write_what_is_not(&self) {
        let mut state = self.state();
        let pause = state.paused.clone().filter(|_| state.is_pause_unwritten);
        state.is_pause_unwritten = false;
        drop(state);
        let is_pause = pause.is_some();
        if let Err(error) = self.write_in_turn(pause.map_or(CheckpointAct::Moved, CheckpointAct::Paused)) {
            let mut state = self.state();
            state.is_pause_unwritten |= is_pause;
            state.last_error = Some(error.to_string());
        }
    }
}
