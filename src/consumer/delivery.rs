//! Events that were handed out, and what is said of them.

use super::flow::{Handed, Record, Stale};
use super::records::{Moment, facts};
use super::rules::Verdict;
use super::runtime::Runtime;
use super::turn::Taken;
use crate::error::{AppendError, Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::CheckpointAct;
use crate::position::Position;
use crate::receipt::Receipt;
use crate::store::{BatchBuilder, EventStore, PendingReceipt};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Events that a member was handed together, by default one. They are the member's until something is said of each: that
/// it is done, or that it failed. What nothing was said of when this is dropped is given back, and handed out again.
#[must_use = "what is dropped is handed out again"]
pub struct Delivery {
    runtime: Arc<Runtime>,
    store: EventStore,
    number: u64,
    events: Vec<Delivered>,
    /// What something was said of. Taken alone.
    said: Mutex<BTreeSet<Position>>,
}

/// An event that was handed out.
#[derive(Clone, Debug)]
pub struct Delivered {
    event: RecordedEvent,
    attempt: u32,
}

impl Delivered {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &RecordedEvent {
        &self.event
    }

    /// How often it was handed out since the consumer was begun, this time included.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl Delivery {
    pub(super) fn new(runtime: Arc<Runtime>, store: EventStore, handed: Handed<RecordedEvent>) -> Delivery {
        let events = handed.events.into_iter().map(|(_, attempt, event)| Delivered { event, attempt }).collect();
        Delivery { runtime, store, number: handed.delivery, events, said: Mutex::default() }
    }

    /// The first event.
    #[must_use]
    pub fn event(&self) -> &RecordedEvent {
        &self.events[0].event
    }

    /// How often the first event was handed out since the consumer was begun, this time included.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.events[0].attempt
    }

    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[Delivered] {
        &self.events
    }

    /// All events are done. They are in the next checkpoint, which is written at the latest as
    /// [`checkpoint_every`](super::Consumer::checkpoint_every) and [`checkpoint_after`](super::Consumer::checkpoint_after)
    /// say; after a crash before that they are handed out again.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): some of them are not in hand any more; the others are done. Or the
    ///   consumer was deleted or changed, or moved through another handle.
    /// * [`Closed`](ErrorKind::Closed): the store was closed; they are handed out again when it is opened.
    pub fn ack(&self) -> Result<(), Error> {
        let positions = self.open();
        self.ack_each(&positions)
    }

    /// One event is done, whatever becomes of the others.
    ///
    /// # Errors
    ///
    /// Those of [`ack`](Self::ack).
    pub fn ack_event(&self, event: &RecordedEvent) -> Result<(), Error> {
        self.ack_each(&[event.position()])
    }

    /// The event at a position is done, whatever becomes of the others.
    ///
    /// # Errors
    ///
    /// Those of [`ack`](Self::ack).
    pub fn ack_position(&self, position: Position) -> Result<(), Error> {
        self.ack_each(&[position])
    }

    fn ack_each(&self, positions: &[Position]) -> Result<(), Error> {
        let now = self.runtime.now()?;
        self.runtime.look_at(&self.store)?;
        let mut state = self.runtime.state();
        state.check_there()?;
        let acked: Vec<_> = positions.iter().map(|position| state.flow.ack(self.number, *position, now)).collect();
        let count = acked.iter().filter(|acked| acked.is_ok()).count();
        state.rate.note(now, count as u64);
        drop(state);
        self.said.lock().extend(positions);
        self.runtime.changed();
        let stale = positions.iter().zip(acked).find(|(_, acked)| acked.is_err());
        stale.map_or(Ok(()), |(position, _)| Err(stale_at(*position)))
    }

    /// The first event that nothing was said of has failed; those behind it that nothing was said of are given back, and that
    /// they were handed out does not count. Of the reason a thousand bytes are kept where the event is parked or the
    /// consumer stops.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): none of them is in hand any more.
    /// * [`Closed`](ErrorKind::Closed): the store was closed; they are handed out again when it is opened.
    pub fn nack(&self, verdict: Verdict, reason: &str) -> Result<(), Error> {
        let now = self.runtime.now()?;
        self.runtime.look_at(&self.store)?;
        let open = self.open();
        let mut state = self.runtime.state();
        state.check_there()?;
        let chance = state.chance();
        let nack = |position: &Position| state.flow.nack(self.number, *position, verdict, reason, now, chance).is_ok();
        let nacked = open.iter().position(nack);
        state.flow.give_back_untried(self.number, open.into_iter(), now);
        if nacked.is_some() {
            state.last_error = Some(reason.to_owned());
        }
        drop(state);
        self.said.lock().extend(self.positions());
        self.runtime.changed();
        nacked.map(|_| ()).ok_or_else(|| stale_at(self.event().position()))
    }

    /// The event at a position has failed, whatever becomes of the others; but later ones of its key that nothing was said
    /// of are taken back.
    ///
    /// # Errors
    ///
    /// Those of [`nack`](Self::nack).
    pub fn nack_position(&self, position: Position, verdict: Verdict, reason: &str) -> Result<(), Error> {
        let now = self.runtime.now()?;
        self.runtime.look_at(&self.store)?;
        let mut state = self.runtime.state();
        state.check_there()?;
        let chance = state.chance();
        let nacked = state.flow.nack(self.number, position, verdict, reason, now, chance);
        if nacked.is_ok() {
            state.last_error = Some(reason.to_owned());
        }
        drop(state);
        self.said.lock().insert(position);
        self.runtime.changed();
        nacked.map_err(|Stale| stale_at(position))
    }

    /// Begins a batch of results, which name the first event as their cause and carry its correlation along. For another
    /// event of several say [`caused_by`](BatchBuilder::caused_by).
    pub fn batch(&self) -> BatchBuilder<'_> {
        self.store.batch().caused_by(self.event())
    }

    /// Appends results and moves the checkpoint past these events, **in one batch**: both happen or neither. So an event
    /// whose results are committed is never handed out again, wherever the process is killed, and one whose results are not
    /// committed is. The batch may hold any conditions, and may be empty.
    ///
    /// Where it is refused, the events are still in hand: decide again, or say that they failed.
    ///
    /// ```
    /// use scorebook::{Consumer, EventStore, ExpectedVersion, NewEvent, Query, Start, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let won = NewEvent::json("won", &8812)?;
    /// let game = StreamName::new("game-1")?;
    /// store.append(&game, ExpectedVersion::Any, [won]).wait().map_err(|error| error.into_error())?;
    ///
    /// let mut member = store.join(&Consumer::new("scores", Query::all().of_type("won"), Start::Beginning))?;
    /// let delivery = member.next().wait()?;
    /// let scored = NewEvent::json("scored", &10)?;
    /// let board = StreamName::new("board-1")?;
    /// let batch = delivery.batch().append(&board, ExpectedVersion::Any, [scored]);
    /// delivery.commit(batch).wait().map_err(|error| error.into_error())?;
    ///
    /// // It is done, and what does not match was looked at: it is level with the store.
    /// assert_eq!(store.consumer("scores").info()?.position(), store.head()?);
    /// let scored = store.read(&board).into_iter().next().expect("an event")?;
    /// assert_eq!(scored.metadata()?.causation(), Some(&*delivery.event().id().to_string()));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn commit<'a>(&'a self, batch: BatchBuilder<'a>) -> Committing<'a> {
        Committing { delivery: self, step: Step::Begin(Box::new(batch)) }
    }

    /// What the handler that was given this has done with it: what nothing was said of is done, or has failed.
    pub(super) fn handled(&self, outcome: Result<(), super::run::Failure>) {
        // What is not in hand any more was dealt with, or went to others.
        let _ = match outcome {
            Ok(()) => self.ack(),
            Err(failure) => self.nack(failure.verdict, &failure.reason),
        };
    }

    /// The position of the first event that nothing was said of; of the first of all where something was said of each.
    pub(crate) fn first_open(&self) -> Position {
        self.open().first().copied().unwrap_or_else(|| self.event().position())
    }

    /// What nothing was said of.
    fn open(&self) -> Vec<Position> {
        let said = self.said.lock();
        self.positions().into_iter().filter(|position| !said.contains(position)).collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.events.iter().map(|delivered| delivered.event.position()).collect()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Ok(now) = self.runtime.now() {
            self.runtime.state().flow.give_back(self.number, self.positions().into_iter(), now);
            self.runtime.call_members();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, count) = (self.event().position(), self.events.len());
        write!(f, "delivery of {count} events from position {first}, attempt {}", self.attempt())
    }
}

/// A commit of results that is on its way: wait for it on a thread, or await it in any runtime. Nothing is begun before that;
/// where it is dropped when it has begun, that waits for its end.
#[must_use = "nothing is committed until it is waited for"]
pub struct Committing<'a> {
    delivery: &'a Delivery,
    step: Step<'a>,
}

enum Step<'a> {
    Begin(Box<BatchBuilder<'a>>),
    Begun(Box<Begun>),
    Over,
}

/// What was appended and is not answered.
struct Begun {
    receipt: PendingReceipt,
    positions: Vec<Position>,
    record: Record,
    /// How many records of the consumer are in it.
    count: u64,
    turn: Taken,
}

type Outcome = Result<Receipt, AppendError>;

impl<'a> Committing<'a> {
    /// Waits for the receipt. `Ok` guarantees that the results are visible and as durable as the receipt says, and that the
    /// events are done. The receipt of an empty batch names no streams.
    ///
    /// # Errors
    ///
    /// * [`Conflict`](AppendError::Conflict): a condition does not hold; nothing was written, and the events are in hand.
    ///   `Consumer`: somebody else has moved the consumer, and its events are not in hand any more.
    /// * [`Store`](AppendError::Store) of kind [`InvalidArgument`](ErrorKind::InvalidArgument): the events are not in hand any
    ///   more, or the batch is of another store; nothing was written.
    /// * Those of an append.
    pub fn wait(mut self) -> Outcome {
        let turn = self.delivery.runtime.turn.take();
        match self.begin(turn) {
            Ok(Begun { receipt, positions, record, count, turn }) => {
                self.delivery.end(receipt.wait(), positions, record, count, turn)
            }
            Err(error) => Err(AppendError::Store(error)),
        }
    }

    /// Appends the batch, in turn.
    fn begin(&mut self, turn: Taken) -> Result<Begun, Error> {
        let Step::Begin(batch) = std::mem::replace(&mut self.step, Step::Over) else {
            return Err(Error::new(ErrorKind::InvalidArgument, "this commit was waited for before"));
        };
        let delivery = self.delivery;
        if !batch.is_of(&delivery.store) {
            return Err(Error::new(ErrorKind::InvalidArgument, "committing results: the batch is of another store"));
        }
        let now = delivery.runtime.now()?;
        delivery.runtime.look_at(&delivery.store)?;
        let positions = delivery.open();
        if positions.is_empty() {
            return Err(stale_at(delivery.event().position()));
        }
        let mut state = delivery.runtime.state();
        state.check_there()?;
        let moment = Moment { number: state.number, time: delivery.store.clock() };
        let record = state.flow.begin_commit(delivery.number, &positions, now);
        let record = record.map_err(|Stale| stale_at(delivery.event().position()))?;
        let opening = state.opening;
        drop(state);
        let facts = facts(&delivery.runtime.consumer.name, moment, CheckpointAct::Moved, &record);
        let count = facts.len() as u64;
        let receipt = batch.consumers(facts, opening).commit();
        Ok(Begun { receipt, positions, record, count, turn })
    }
}

impl Delivery {
    /// What was begun has ended.
    fn end(&self, outcome: Outcome, positions: Vec<Position>, record: Record, count: u64, turn: Taken) -> Outcome {
        // Results that were there before came without the checkpoint.
        let is_repeat = outcome.as_ref().is_ok_and(|receipt| receipt.is_repeat());
        let written = if is_repeat { Ok(0) } else { outcome.as_ref().map(|_| count) };
        // The store may be closed by now; what is written is written.
        let _ = match is_repeat {
            true => self.runtime.done_before(self.number, &positions, record),
            false => self.runtime.committed(&positions, record, written),
        };
        if outcome.is_ok() {
            self.said.lock().extend(&positions);
        }
        drop(turn);
        self.runtime.changed();
        outcome
    }
}

impl Future for Committing<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if matches!(self.step, Step::Begin(_)) {
            let Some(turn) = self.delivery.runtime.turn.poll(context) else { return Poll::Pending };
            match self.begin(turn) {
                Ok(begun) => self.step = Step::Begun(Box::new(begun)),
                Err(error) => return Poll::Ready(Err(AppendError::Store(error))),
            }
        }
        let Step::Begun(begun) = &mut self.step else {
            let error = Error::new(ErrorKind::InvalidArgument, "this commit was awaited before");
            return Poll::Ready(Err(AppendError::Store(error)));
        };
        let Poll::Ready(outcome) = Pin::new(&mut begun.receipt).poll(context) else { return Poll::Pending };
        let Step::Begun(begun) = std::mem::replace(&mut self.step, Step::Over) else {
            return Poll::Ready(outcome);
        };
        let Begun { positions, record, count, turn, .. } = *begun;
        Poll::Ready(self.delivery.end(outcome, positions, record, count, turn))
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        if let Step::Begun(begun) = std::mem::replace(&mut self.step, Step::Over) {
            let Begun { receipt, positions, record, count, turn } = *begun;
            let _ = self.delivery.end(receipt.wait(), positions, record, count, turn);
        }
    }
}

impl fmt::Debug for Committing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit of {:?}", self.delivery)
    }
}

fn stale_at(position: Position) -> Error {
    let act = format!("the event at position {position} is not in hand any more: it is done, failed, or with another");
    Error::new(ErrorKind::InvalidArgument, act)
}
