//! Looking at consumers and steering them, whether they run or not.

use super::begin::{position_of, readable};
use super::definition::{Consumer, check_name};
use super::flow::{Aside, WRITTEN_TOGETHER};
use super::info::{ConsumerInfo, ParkedEvent, RunningInfo};
use super::records::{Moment, numbered};
use super::registry::Registry;
use super::runtime::{Runtime, State};
use crate::error::{AppendError, Conflict, Error, ErrorKind};
use crate::format::{Checkpoint, CheckpointAct, ConsumerDeed, ParkedFact, ParkedState};
use crate::index::{KnownConsumer, KnownParked};
use crate::options::Durability;
use crate::position::Position;
use crate::store::EventStore;
use crate::subscription::Start;
use crate::sync::Arc;
use std::fmt;

/// A consumer by its name: to look at, and to steer.
///
/// What is done here is written down before it returns, and holds for whoever runs the consumer in this process, and for
/// whoever does later.
#[derive(Clone)]
pub struct ConsumerControl {
    store: EventStore,
    name: String,
}

/// What becomes of the position of a consumer that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterChange {
    /// It goes on from where it is.
    KeepPosition,
    /// It begins anew where the changed one says.
    BeginAnew,
}

impl EventStore {
    /// A consumer by its name.
    #[must_use]
    pub fn consumer(&self, name: &str) -> ConsumerControl {
        ConsumerControl { store: self.clone(), name: name.to_owned() }
    }

    /// What there is to know of every consumer, by name.
    ///
    /// # Errors
    ///
    /// Those of [`ConsumerControl::info`].
    pub fn consumers(&self) -> Result<Vec<ConsumerInfo>, Error> {
        self.known_consumers()?.iter().map(|name| self.consumer(name).info()).collect()
    }
}

impl ConsumerControl {
    /// What there is to know of it now.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): there is no such consumer.
    /// * [`Closed`](ErrorKind::Closed), and those of a read.
    pub fn info(&self) -> Result<ConsumerInfo, Error> {
        let known = self.known()?;
        let runtime = self.runtime();
        if let Some(runtime) = &runtime {
            // What it does not ask for is looked at by now.
            let _ = runtime.advance();
        }
        let head = self.store.head()?;
        let mut info = ConsumerInfo {
            name: self.name.clone(),
            position: known.position(),
            definition: known.definition.unwrap_or_default(),
            created: known.created,
            updated: known.updated,
            scanned: known.scanned,
            head,
            lag: None,
            parked: known.parked.len() as u64,
            paused: known.paused,
            running: None,
        };
        if let Some(runtime) = runtime {
            let now = runtime.now()?;
            let state = runtime.state();
            let counts = state.flow.counts();
            info.position = state.flow.position();
            info.scanned = state.flow.scanned();
            info.parked = state.flow.parked().len() as u64;
            // Where it has paused itself and that could not be written, it is paused all the same.
            info.paused = state.paused.clone();
            info.running = Some(RunningInfo {
                members: state.flow.members(),
                in_flight: state.flow.in_flight(),
                unfinished: state.flow.unfinished(),
                done: counts.done,
                failures: counts.failures,
                rate: state.rate.a_second(now, state.begun),
                last_error: state.last_error.clone(),
                tripped_for: state.flow.broken_until().map(|until| until.saturating_sub(now)),
                without_progress_for: now.saturating_sub(counts.last_progress.unwrap_or(state.begun)),
                stalled_after: runtime.consumer.rules.stalled_after,
            });
        }
        if info.position < head {
            let next = match self.store.read_all().after(info.position).limit(1).into_iter().next().transpose() {
                // What it does next is to say so itself.
                Err(error) if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Lost) => None,
                next => next?,
            };
            info.lag = next.map(|event| self.store.clock().since(event.time()));
        }
        Ok(info)
    }

    /// Hands out nothing more until it is resumed, also after a restart. The reason is kept.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): there is no such consumer.
    /// * Those of an append; nothing has changed.
    pub fn pause(&self, reason: &str) -> Result<(), Error> {
        self.steer(&CheckpointAct::Paused(reason.to_owned()), None, |state| {
            (state.paused, state.is_pause_unwritten) = (Some(reason.to_owned()), false);
            state.flow.set_paused(true);
        })
    }

    /// Goes on where it was paused, or has paused itself.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    pub fn resume(&self) -> Result<(), Error> {
        self.steer(&CheckpointAct::Resumed, None, |state| {
            (state.paused, state.is_pause_unwritten) = (None, false);
            state.flow.set_paused(false);
        })
    }

    /// Goes on from elsewhere. What is in somebody's hands is not any more; what is parked stays so.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the position lies behind the end of the store.
    /// * Those of [`pause`](Self::pause).
    pub fn seek(&self, start: Start) -> Result<(), Error> {
        let position = position_of(&self.store, start)?;
        self.steer(&CheckpointAct::Moved, Some(position), |_| {})
    }

    /// Ends it: whoever has joined it is told. A consumer of this name that is made later begins anew.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    pub fn delete(&self) -> Result<(), Error> {
        let deleted = self.is_another("deleted");
        self.steer(&CheckpointAct::Deleted, None, |state| state.gone = Some(deleted))
    }

    /// Has it ask for something else, begin elsewhere, or keep something else in order, from now on. Whoever has joined it is
    /// told, and joins again with the new one. What is parked stays so.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the new one has another name or a fault.
    /// * Those of [`pause`](Self::pause).
    pub fn change(&self, to: &Consumer, after: AfterChange) -> Result<(), Error> {
        to.check()?;
        if to.name != self.name {
            let act = format!("changing consumer {}: the new one is called {}", self.name, to.name);
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let anew = match after {
            AfterChange::KeepPosition => None,
            AfterChange::BeginAnew => Some(position_of(&self.store, to.start)?),
        };
        let changed = self.is_another("changed");
        self.steer(&CheckpointAct::Defined(to.text()), anew, |state| state.gone = Some(changed))
    }

    /// The events that it has set aside, by position.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): there is no such consumer.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn parked(&self) -> Result<Vec<ParkedEvent>, Error> {
        let known = self.known()?.parked;
        let of_known = |(position, parked): (&Position, &KnownParked)| {
            let (attempts, reason, since) = (parked.attempts, parked.reason.clone(), Some(parked.since));
            ParkedEvent { position: *position, attempts, reason, since }
        };
        let Some(runtime) = self.runtime() else { return Ok(known.iter().map(of_known).collect()) };
        let state = runtime.state();
        let of_flow = |(position, aside): (&Position, &Aside)| {
            let since = known.get(position).map(|parked| parked.since);
            ParkedEvent { position: *position, attempts: aside.attempts, reason: aside.reason.clone(), since }
        };
        Ok(state.flow.parked().iter().map(of_flow).collect())
    }

    /// Hands out a parked event again, and with it, in order, all that are parked with its key. How many there are.
    ///
    /// # Errors
    ///
    /// * [`EventNotFound`](ErrorKind::EventNotFound): there is no such consumer, or it has not parked this event.
    /// * Those of a read, nothing has changed; and of an append: where somebody runs it here it is done all the same, and
    ///   written down as soon as that can be.
    pub fn redeliver(&self, position: Position) -> Result<u64, Error> {
        let known = self.known()?;
        let positions = match self.runtime() {
            Some(runtime) => runtime.state().flow.parked_with(position),
            None => {
                let key = known.parked.get(&position).map(|parked| parked.key);
                let of_key = known.parked.iter().filter(|(_, parked)| Some(parked.key) == key);
                of_key.map(|(position, _)| *position).collect()
            }
        };
        if positions.is_empty() {
            return Err(self.not_parked(position));
        }
        self.redeliver_each(positions)
    }

    /// Hands out all parked events again, in order. How many there are.
    ///
    /// # Errors
    ///
    /// Those of [`redeliver`](Self::redeliver).
    pub fn redeliver_all(&self) -> Result<u64, Error> {
        let positions = self.parked()?.iter().map(ParkedEvent::position).collect();
        self.redeliver_each(positions)
    }

    /// Forgets a parked event: it is not handed out again. Those that are parked behind it stay so. Where the consumer was
    /// sent back to before the event and has not come by it since, it comes with the others.
    ///
    /// # Errors
    ///
    /// Those of [`redeliver`](Self::redeliver).
    pub fn drop_parked(&self, position: Position) -> Result<(), Error> {
        self.drop_each(&[position])
    }

    /// Forgets all parked events. How many there were.
    ///
    /// # Errors
    ///
    /// Those of [`redeliver`](Self::redeliver).
    pub fn drop_all_parked(&self) -> Result<u64, Error> {
        let positions: Vec<Position> = self.parked()?.iter().map(ParkedEvent::position).collect();
        self.drop_each(&positions)?;
        Ok(positions.len() as u64)
    }

    fn redeliver_each(&self, positions: Vec<Position>) -> Result<u64, Error> {
        let count = positions.len() as u64;
        let event = |position| Ok((position, readable(&self.store, position)?));
        let events = positions.into_iter().map(event).collect::<Result<Vec<_>, Error>>()?;
        if let Some(runtime) = self.runtime() {
            let now = runtime.now()?;
            runtime.state().flow.redeliver(events, now);
            let written = runtime.steer(CheckpointAct::Moved, None, |_| {});
            runtime.changed();
            return written.map(|()| count);
        }
        let state = |event: &Option<_>| if event.is_some() { ParkedState::Redelivered } else { ParkedState::Dropped };
        let ended: Vec<_> = events.iter().map(|(position, event)| (*position, state(event))).collect();
        self.end_parking(&ended).map(|()| count)
    }

    fn drop_each(&self, positions: &[Position]) -> Result<(), Error> {
        if let Some(runtime) = self.runtime() {
            let now = runtime.now()?;
            let mut state = runtime.state();
            let missing = positions.iter().find(|position| !state.flow.drop_parked(**position, now)).copied();
            drop(state);
            let written = runtime.steer(CheckpointAct::Moved, None, |_| {});
            return missing.map_or(written, |position| Err(self.not_parked(position)));
        }
        let ended: Vec<_> = positions.iter().map(|position| (*position, ParkedState::Dropped)).collect();
        self.end_parking(&ended)
    }

    /// The same where nobody runs it, so many at a time: a batch takes no more than so many.
    fn end_parking(&self, ended: &[(Position, ParkedState)]) -> Result<(), Error> {
        ended.chunks(WRITTEN_TOGETHER).try_for_each(|part| self.end_parking_together(part))
    }

    fn end_parking_together(&self, ended: &[(Position, ParkedState)]) -> Result<(), Error> {
        self.write(|known| {
            let mut deeds = Vec::new();
            for (position, state) in ended {
                let parked = known.parked.remove(position).ok_or_else(|| self.not_parked(*position))?;
                let (key, attempts) = (parked.key, parked.attempts);
                let fact = ParkedFact { position: *position, key, attempts, state: *state, reason: String::new() };
                deeds.push(ConsumerDeed::Parked(fact));
                // What lies behind what was looked at comes when it is looked at.
                if *state == ParkedState::Redelivered && *position <= known.scanned {
                    known.left.push(*position);
                }
            }
            known.left.sort_unstable();
            known.left.dedup();
            Ok((deeds, CheckpointAct::Moved))
        })
    }

    /// Writes an act down, perhaps with another position to go on from; where somebody runs it here, `running` is done when
    /// that is written.
    fn steer(&self, act: &CheckpointAct, to: Option<Position>, running: impl FnOnce(&mut State)) -> Result<(), Error> {
        let Some(runtime) = self.runtime() else {
            return self.write(|known| {
                if let Some(position) = to {
                    (known.scanned, known.left) = (position, Vec::new());
                }
                Ok((Vec::new(), act.clone()))
            });
        };
        self.known()?;
        runtime.steer(act.clone(), to, running)?;
        runtime.changed();
        Ok(())
    }

    /// Writes down a change of what is known, where nobody runs it.
    fn write(
        &self,
        change: impl Fn(&mut KnownConsumer) -> Result<(Vec<ConsumerDeed>, CheckpointAct), Error>,
    ) -> Result<(), Error> {
        loop {
            let opening = self.store.opening()?;
            let mut known = self.known()?;
            let moment = Moment { number: known.number, time: self.store.clock() };
            let (parked, act) = change(&mut known)?;
            let checkpoint = Checkpoint { act, scanned: known.scanned, left: known.left };
            let deeds = parked.into_iter().chain([ConsumerDeed::Checkpoint(checkpoint)]);
            let facts = numbered(&self.name, moment, deeds);
            let outcome = self.store.batch().consumers(facts, opening).durability(Durability::Synced).commit().wait();
            match outcome {
                // Somebody else was faster: it is done again on what that has left.
                Err(AppendError::Conflict(Conflict::Consumer { .. })) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into_error()),
            }
        }
    }

    /// What whoever has joined it is told when it is another now.
    fn is_another(&self, what: &str) -> Error {
        Error::new(ErrorKind::InvalidArgument, format!("consumer {} was {what}", self.name))
    }

    fn runtime(&self) -> Option<Arc<Runtime>> {
        Registry::of(&self.store).joined(&self.name)
    }

    fn known(&self) -> Result<KnownConsumer, Error> {
        check_name(&self.name)?;
        let known = self.store.known_consumer(&self.name)?.filter(|known| !known.is_deleted);
        known.ok_or_else(|| Error::new(ErrorKind::EventNotFound, format!("there is no consumer {}", self.name)))
    }

    fn not_parked(&self, position: Position) -> Error {
        let act = format!("consumer {} has not parked the event at position {position}", self.name);
        Error::new(ErrorKind::EventNotFound, act)
    }
}

impl fmt::Debug for ConsumerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer {}", self.name)
    }
}
