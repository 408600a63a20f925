//! A command on its way: look for its key, decide, append, and decide again where somebody else was faster.
//!
//! ```text
//!            ┌────────────── conflict, and attempts are left ──────────────┐
//!            ▼                                                             │
//! key? ─► decide ─► events ─► append, with what the decision rests on ─────┴─► receipt
//!   │       └─► refused, or nothing ─► key? ─► that answer
//!   └─► there: the first receipt                 └─► there: the first receipt
//! ```
//!
//! What is decided, and over what, is left to others: `command` for one aggregate, `together` for several, `decision` for a
//! query. The steps are the same on a thread and in a task; only how the receipt is waited for differs.

use super::event::Event;
use super::registry::Registry;
use super::validate::Faults;
use crate::error::{AppendError, Conflict, Error, ErrorKind};
use crate::event::{NewEvent, RecordedEvent};
use crate::limits::REFERENCE_BYTES_MAX;
use crate::options::Durability;
use crate::receipt::Receipt;
use crate::store::{BatchBuilder, EventStore, PendingReceipt};
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How often a command is decided where nothing else is said.
const ATTEMPTS: u32 = 16;

/// A command that is about to be executed: wait for it on a thread, or await it in any runtime.
///
/// Nothing happens before that. What is read and decided is read and decided on the thread that waits, or polls. Dropping it
/// half-way takes nothing back: what was queued by then is appended.
#[must_use = "nothing is executed until it is waited for or awaited"]
pub struct Execution<D> {
    store: EventStore,
    terms: Terms,
    deciding: D,
}

/// What is said of all events of an execution, and how they are appended.
pub struct Terms {
    once: Option<String>,
    correlation: Option<String>,
    actor: Option<String>,
    cause: Option<Cause>,
    attempts: u32,
    durability: Option<Durability>,
}

/// An event that caused others, and what it belongs to.
struct Cause {
    id: String,
    correlation: String,
}

/// What is decided, and over what. Everything that is read for it becomes a condition of the batch.
///
/// Nobody else has a use for it, so it has no public name.
pub trait Decide {
    /// Why a command is refused.
    type Refusal;
    /// What came of it.
    type Done;

    /// Reads and decides anew. None where there is nothing to append.
    ///
    /// # Errors
    ///
    /// * [`Refused`](ExecuteError::Refused), or what kept it from being decided. Nothing is appended.
    fn decide<'a>(
        &mut self,
        store: &'a EventStore,
        terms: &Terms,
    ) -> Result<Option<BatchBuilder<'a>>, ExecuteError<Self::Refusal>>;

    /// The answer, once what was decided last is appended; with none where there was nothing, with a repeat where the key was
    /// there.
    fn done(&mut self, receipt: Option<Receipt>) -> Self::Done;
}

/// Why a command was not executed, or what became of it.
///
/// A refusal is the domain's own answer; a conflict says that others were faster each time; trouble is the store's.
#[derive(Clone, Debug)]
pub enum ExecuteError<R> {
    /// The command is not allowed in the state it met. Nothing was written.
    Refused(R),
    /// At every attempt somebody else appended between reading and appending. Nothing was written. The conflict is the last
    /// one.
    Conflict(Conflict),
    /// It could not be done. Nothing was written, unless the kind is [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): then the
    /// same command with the same [`once`](Execution::once) key, after [`reopen`](EventStore::reopen), does it exactly once.
    /// Events that break rules of their own are of kind [`InvalidArgument`](ErrorKind::InvalidArgument), with all
    /// [`Faults`] as the source.
    Store(Error),
}

impl<D: Decide> Execution<D> {
    pub(super) fn new(store: &EventStore, deciding: D) -> Execution<D> {
        let terms =
            Terms { once: None, correlation: None, actor: None, cause: None, attempts: ATTEMPTS, durability: None };
        Execution { store: store.clone(), terms, deciding }
    }

    /// Has the command executed once under a key, of 1 to 128 bytes: where a batch was accepted under it before, the answer is
    /// its receipt, marked as a repeat, and nothing is read or decided; what the command was is not compared. Default: no key.
    ///
    /// The key stands with the events, so this holds across crashes and openings. A command that was refused, or from which
    /// nothing followed, leaves no key: it is decided again when it comes again.
    pub fn once(mut self, key: impl Into<String>) -> Execution<D> {
        self.terms.once = Some(key.into());
        self
    }

    /// What the events belong to, where they do not say so themselves: at most 128 bytes. Default: what the
    /// [cause](Self::caused_by) belongs to.
    pub fn correlation(mut self, correlation: impl fmt::Display) -> Execution<D> {
        self.terms.correlation = Some(correlation.to_string());
        self
    }

    /// The event that caused this, and whose correlation is carried along; where it has none, its id becomes the correlation.
    /// Default: the [`once`](Self::once) key is the cause.
    pub fn caused_by(mut self, cause: &RecordedEvent) -> Execution<D> {
        let id = cause.id().to_string();
        let correlation = cause.metadata().ok().and_then(|metadata| metadata.correlation().map(str::to_owned));
        self.terms.cause = Some(Cause { correlation: correlation.unwrap_or_else(|| id.clone()), id });
        self
    }

    /// Who did it, where the events do not say so themselves: at most 128 bytes.
    pub fn actor(mut self, actor: impl fmt::Display) -> Execution<D> {
        self.terms.actor = Some(actor.to_string());
        self
    }

    /// How often it is decided before a conflict is the answer. Default: 16; 0 is the same as 1.
    ///
    /// Each attempt that fails is one that somebody else's append has won, so at least as many were accepted meanwhile.
    pub fn attempts(mut self, attempts: u32) -> Execution<D> {
        self.terms.attempts = attempts.max(1);
        self
    }

    /// How durable the events are when the answer is given. Default: that of the store.
    pub fn durability(mut self, durability: Durability) -> Execution<D> {
        self.terms.durability = Some(durability);
        self
    }

    /// Executes it on this thread. `Ok` guarantees that what was decided is visible and as durable as the receipt says.
    ///
    /// # Errors
    ///
    /// * [`Refused`](ExecuteError::Refused): the newest state there was refuses the command.
    /// * [`Conflict`](ExecuteError::Conflict): others were faster, as often as there were attempts.
    /// * [`Store`](ExecuteError::Store): what is decided over cannot be read, or the events cannot be appended.
    pub fn wait(self) -> Result<D::Done, ExecuteError<D::Refusal>> {
        let mut run = Run::new(self);
        loop {
            let outcome = match run.attempt() {
                ControlFlow::Continue(pending) => pending.wait(),
                ControlFlow::Break(answer) => return answer,
            };
            if let ControlFlow::Break(answer) = run.settle(outcome) {
                return answer;
            }
        }
    }
}

impl<D: Decide> IntoFuture for Execution<D> {
    type Output = Result<D::Done, ExecuteError<D::Refusal>>;
    type IntoFuture = Executing<D>;

    fn into_future(self) -> Executing<D> {
        Executing { run: Some(Run::new(self)), pending: None }
    }
}

/// A command that is being executed by a task. Once it has answered, polling it again executes nothing: the answer is
/// trouble of kind [`InvalidArgument`](ErrorKind::InvalidArgument) then, as that of a [`PendingReceipt`] is.
#[must_use = "nothing is executed until it is polled"]
pub struct Executing<D> {
    /// `None` once it has answered.
    run: Option<Run<D>>,
    /// What was decided last, on its way into the log.
    pending: Option<PendingReceipt>,
}

/// Nothing in it points into itself.
impl<D> Unpin for Executing<D> {}

impl<D: Decide> Future for Executing<D> {
    type Output = Result<D::Done, ExecuteError<D::Refusal>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // It goes back only where there is no answer yet. Else another poll would execute the command again.
        let Some(mut run) = self.run.take() else { return Poll::Ready(Err(taken().into())) };
        loop {
            let mut pending = match self.pending.take() {
                Some(pending) => pending,
                None => match run.attempt() {
                    ControlFlow::Continue(pending) => pending,
                    ControlFlow::Break(answer) => return Poll::Ready(answer),
                },
            };
            let Poll::Ready(outcome) = Pin::new(&mut pending).poll(context) else {
                *self = Executing { run: Some(run), pending: Some(pending) };
                return Poll::Pending;
            };
            if let ControlFlow::Break(answer) = run.settle(outcome) {
                return Poll::Ready(answer);
            }
        }
    }
}

fn taken() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the answer to this command was taken before")
}

/// The steps of an execution.
struct Run<D> {
    execution: Execution<D>,
    attempts_made: u32,
}

type Answer<D> = Result<<D as Decide>::Done, ExecuteError<<D as Decide>::Refusal>>;

impl<D: Decide> Run<D> {
    fn new(execution: Execution<D>) -> Run<D> {
        Run { execution, attempts_made: 0 }
    }

    /// Decides and queues what was decided; or the answer, where nothing is to be appended.
    fn attempt(&mut self) -> ControlFlow<Answer<D>, PendingReceipt> {
        // In later attempts the append itself finds the key.
        if self.attempts_made == 0
            && let Some(repeat) = self.repeat().transpose()
        {
            return ControlFlow::Break(repeat);
        }
        let decided = loop {
            self.attempts_made += 1;
            let Execution { store, terms, deciding } = &mut self.execution;
            match deciding.decide(store, terms) {
                // What was looked at went on meanwhile.
                Err(ExecuteError::Conflict(_)) if self.attempts_made < terms.attempts => {}
                Ok(Some(batch)) => return ControlFlow::Continue(terms.commit(batch)),
                decided => break decided.map(|_| ()),
            }
        };
        match decided {
            Ok(()) => ControlFlow::Break(self.unless_repeated(|run| Ok(run.execution.deciding.done(None)))),
            Err(error) => ControlFlow::Break(self.unless_repeated(|_| Err(error))),
        }
    }

    /// Takes in what became of an append; goes on where it is to be decided again.
    fn settle(&mut self, outcome: Result<Receipt, AppendError>) -> ControlFlow<Answer<D>> {
        match outcome {
            Ok(receipt) => ControlFlow::Break(Ok(self.execution.deciding.done(Some(receipt)))),
            Err(AppendError::Store(error)) => ControlFlow::Break(Err(ExecuteError::Store(error))),
            // Where the key is there, the command itself was faster elsewhere, and something else was decided there.
            Err(AppendError::Conflict(conflict))
                if !matches!(conflict, Conflict::Once { .. } | Conflict::Quota { .. })
                    && self.attempts_made < self.execution.terms.attempts =>
            {
                ControlFlow::Continue(())
            }
            Err(AppendError::Conflict(conflict)) => {
                ControlFlow::Break(self.unless_repeated(|_| Err(ExecuteError::Conflict(conflict))))
            }
        }
    }

    /// The answer, unless the command was executed elsewhere meanwhile.
    ///
    /// IMPORTANT: what a command itself has done may be the very reason to refuse it now. Whoever has seen its events sees its
    /// key, since both were made visible at once.
    fn unless_repeated(&mut self, answer: impl FnOnce(&mut Run<D>) -> Answer<D>) -> Answer<D> {
        match self.repeat()? {
            Some(repeat) => Ok(repeat),
            None => answer(self),
        }
    }

    /// What came with the key before, if anything.
    fn repeat(&mut self) -> Result<Option<D::Done>, ExecuteError<D::Refusal>> {
        let Execution { store, terms, deciding } = &mut self.execution;
        let Some(key) = &terms.once else { return Ok(None) };
        let receipt = store.receipt_of(key)?;
        Ok(receipt.map(|receipt| deciding.done(Some(receipt))))
    }
}

impl Terms {
    fn commit(&self, mut batch: BatchBuilder<'_>) -> PendingReceipt {
        if let Some(key) = &self.once {
            batch = batch.once(key.as_str());
        }
        if let Some(durability) = self.durability {
            batch = batch.durability(durability);
        }
        batch.commit()
    }

    /// Says of an event what is said of all.
    pub(super) fn complete(&self, event: NewEvent) -> NewEvent {
        let cause = self.cause.as_ref();
        let correlation = self.correlation.as_deref().or(cause.map(|cause| &*cause.correlation));
        // A key that is too long is refused with the batch, and not for the event's sake.
        let key = self.once.as_deref().filter(|key| key.len() <= REFERENCE_BYTES_MAX);
        let causation = cause.map(|cause| &*cause.id).or(key);
        event.within(correlation, causation, self.actor.as_deref())
    }

    /// Events ready to be appended, and as they will be read. The rules that do not hold are listed, of all events together.
    pub(super) fn prepare<E: Event>(
        &self,
        registry: &Registry,
        events: &[E],
    ) -> Result<(Vec<NewEvent>, Vec<E>), Error> {
        let mut of_each = Vec::with_capacity(events.len());
        let mut prepared = Vec::with_capacity(events.len());
        for event in events {
            let mut faults = Faults::default();
            prepared.push(registry.encode_within(event, |new| self.complete(new), &mut faults)?);
            of_each.push(faults);
        }
        refuse_faulty(prepared.iter().zip(of_each).collect())?;
        let read = prepared.iter().map(|event| registry.read_back(event)).collect::<Result<_, _>>()?;
        Ok((prepared, read))
    }
}

/// Refuses events of which rules do not hold, with all of these; where there are several events, each with its number.
pub(super) fn refuse_faulty(events: Vec<(&NewEvent, Faults)>) -> Result<(), Error> {
    if events.iter().all(|(_, faults)| faults.is_empty()) {
        return Ok(());
    }
    let (act, faults) = match &events[..] {
        [(event, faults)] => (format!("validating a `{}`", event.event_type().escape_debug()), faults.clone()),
        _ => {
            let mut all = Faults::default();
            (1..).zip(&events).for_each(|(number, (_, faults))| all.add_all(number, faults));
            (format!("validating {} events", events.len()), all)
        }
    };
    Err(Error::with_source(ErrorKind::InvalidArgument, act, faults))
}

impl<R> ExecuteError<R> {
    /// The refusal, if this is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&R> {
        match self {
            ExecuteError::Refused(refusal) => Some(refusal),
            ExecuteError::Conflict(_) | ExecuteError::Store(_) => None,
        }
    }

    /// The conflict, if this is one.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            ExecuteError::Conflict(conflict) => Some(conflict),
            ExecuteError::Refused(_) | ExecuteError::Store(_) => None,
        }
    }

    /// The same with another type of refusal: for commands of several aggregates that are executed
    /// [together](EventStore::together).
    #[must_use]
    pub fn map_refusal<S>(self, into: impl FnOnce(R) -> S) -> ExecuteError<S> {
        match self {
            ExecuteError::Refused(refusal) => ExecuteError::Refused(into(refusal)),
            ExecuteError::Conflict(conflict) => ExecuteError::Conflict(conflict),
            ExecuteError::Store(error) => ExecuteError::Store(error),
        }
    }
}

impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> ExecuteError<R> {
        ExecuteError::Store(error)
    }
}

impl<R: fmt::Display> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecuteError::Refused(refusal) => refusal.fmt(f),
            ExecuteError::Conflict(conflict) => conflict.fmt(f),
            ExecuteError::Store(error) => error.fmt(f),
        }
    }
}

impl<R: StdError + 'static> StdError for ExecuteError<R> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ExecuteError::Refused(refusal) => refusal.source(),
            ExecuteError::Conflict(_) => None,
            ExecuteError::Store(error) => error.source(),
        }
    }
}

impl<D> fmt::Debug for Execution<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command that is about to be executed")
    }
}

impl<D> fmt::Debug for Executing<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.run, &self.pending) {
            (None, _) => "command that was executed",
            (Some(_), None) => "command to be executed",
            (Some(_), Some(_)) => "command that is being appended",
        })
    }
}
