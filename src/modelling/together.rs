//! Several aggregates decided together: all that follows is one batch.

use super::aggregate::Aggregate;
use super::execute::{Decide, ExecuteError, Execution, Terms, refuse_faulty};
use super::load::Loaded;
use super::validate::Faults;
use crate::error::{Conflict, Error, ErrorKind};
use crate::event::NewEvent;
use crate::name::StreamName;
use crate::position::ExpectedVersion;
use crate::query::Query;
use crate::receipt::Receipt;
use crate::store::{AllRead, BatchBuilder, EventStore, Guard};
use std::fmt;

/// What is being decided together: what it was read for is a condition of the batch, and what follows is its content.
pub struct Together<'a> {
    store: &'a EventStore,
    terms: &'a Terms,
    parts: Vec<Part>,
    reads: Vec<Read>,
}

/// What is asked of a stream, and what goes into it.
struct Part {
    stream: StreamName,
    expected: ExpectedVersion,
    events: Vec<NewEvent>,
    is_decided: bool,
}

/// What was read beside the aggregates.
struct Read {
    query: Query,
    guard: Guard,
}

/// A decision over several aggregates, made anew at each attempt.
pub struct OnSeveral<F> {
    decide: F,
}

impl EventStore {
    /// Decides over several aggregates together. All that follows is appended as one batch, provided that every stream that
    /// was looked at is still as it was; if not, all of it is decided again, so `decide` may be called several times. A refusal
    /// too is an answer only where all that was looked at was there together. Where `decide` fails, nothing is appended.
    ///
    /// The answer of [`Execution::wait`] is the receipt, or none where nothing followed from it.
    ///
    /// ```
    /// # use scorebook::{Aggregate, EventContext, EventStore, StreamName};
    /// # scorebook::events! {
    /// #     /// What happens to an account.
    /// #     pub enum Moved {
    /// #         /// So much went in, or out.
    /// #         By(i64) = "moved", 1;
    /// #     }
    /// # }
    /// # #[derive(Clone)]
    /// # struct Account(i64);
    /// # #[derive(Debug)]
    /// # struct Overdrawn;
    /// # impl Aggregate for Account {
    /// #     type Event = Moved;
    /// #     type Command = i64;
    /// #     type Refusal = Overdrawn;
    /// #     fn new(_: &StreamName) -> Account { Account(10) }
    /// #     fn decide(&self, by: &i64) -> Result<Vec<Moved>, Overdrawn> {
    /// #         if self.0 + by < 0 { Err(Overdrawn) } else { Ok(vec![Moved::By(*by)]) }
    /// #     }
    /// #     fn apply(&mut self, Moved::By(by): &Moved, _: &EventContext<'_>) { self.0 += by; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let (from, to) = (StreamName::new("account-1")?, StreamName::new("account-2")?);
    /// let transfer = |amount: i64| {
    ///     let (from, to) = (&from, &to);
    ///     store.together(move |together| {
    ///         together.execute::<Account>(from, &-amount)?;
    ///         together.execute::<Account>(to, &amount)?;
    ///         Ok(())
    ///     })
    /// };
    /// let receipt = transfer(7).once("transfer-1").wait().expect("there is enough").expect("events followed");
    /// assert_eq!(receipt.streams().len(), 2);
    /// assert!(transfer(7).wait().expect_err("there is not").refusal().is_some());
    /// assert_eq!(store.aggregate::<Account>(&to).load()?.state().0, 17);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn together<R, F>(&self, decide: F) -> Execution<OnSeveral<F>>
    where
        F: FnMut(&mut Together<'_>) -> Result<(), ExecuteError<R>>,
    {
        Execution::new(self, OnSeveral { decide })
    }
}

impl Together<'_> {
    /// The state of an aggregate that is looked at. The batch is accepted only if nothing has happened to it since.
    ///
    /// # Errors
    ///
    /// * Those of [`load`](crate::AggregateStream::load).
    pub fn load<A: Aggregate>(&mut self, stream: &StreamName) -> Result<Loaded<A>, Error> {
        let loaded = self.store.aggregate::<A>(stream).load()?;
        self.part(stream, ExpectedVersion::Exact(loaded.version()), Vec::new());
        Ok(loaded)
    }

    /// A read of the events that are there that a query asks for. The batch is accepted only if no more of them have happened
    /// since, however many of them are looked at.
    ///
    /// ```
    /// use scorebook::{EventStore, ExecuteError, ExpectedVersion, NewEvent, Query, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let join = |team: &str| {
    ///     let team = StreamName::new(team)?;
    ///     let joined = NewEvent::json("player_joined", &8812)?.tag("player", 8812);
    ///     let execution = store.together(move |together| {
    ///         let joins = Query::all().of_type("player_joined").tag("player", 8812);
    ///         if together.read(joins)?.exists()? {
    ///             return Err(ExecuteError::Refused("the player has a team"));
    ///         }
    ///         together.append(&team, ExpectedVersion::Any, [joined.clone()]);
    ///         Ok(())
    ///     });
    ///     Ok::<_, scorebook::Error>(execution.wait())
    /// };
    /// assert!(join("team-1")?.is_ok());
    /// assert!(join("team-2")?.expect_err("one team is enough").refusal().is_some());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * Those of [`read_for_decision`](EventStore::read_for_decision).
    pub fn read(&mut self, query: Query) -> Result<AllRead, Error> {
        let (read, guard) = self.store.guarded_read(query.clone())?;
        self.reads.push(Read { query, guard });
        Ok(read)
    }

    /// Has an aggregate decide. What follows is part of the batch, which is accepted only if nothing has happened to the
    /// aggregate since. Gives what followed, as it will be read.
    ///
    /// An aggregate decides once: its state with events in it that are not appended yet is nowhere.
    ///
    /// # Errors
    ///
    /// * [`Refused`](ExecuteError::Refused): the command is not allowed. Whoever goes on all the same leaves this one out.
    /// * [`Store`](ExecuteError::Store) of kind [`InvalidArgument`](ErrorKind::InvalidArgument): events break rules of their
    ///   own, or the aggregate has decided in this batch already.
    /// * [`Store`](ExecuteError::Store): those of [`load`](crate::AggregateStream::load).
    pub fn execute<A: Aggregate>(
        &mut self,
        stream: &StreamName,
        command: &A::Command,
    ) -> Result<Vec<A::Event>, ExecuteError<A::Refusal>> {
        if self.parts.iter().any(|part| part.is_decided && part.stream == *stream) {
            let act = format!("deciding together: stream {stream} has decided already");
            return Err(Error::new(ErrorKind::InvalidArgument, act).into());
        }
        let loaded = self.load::<A>(stream)?;
        let decided = loaded.state().decide(command).map_err(ExecuteError::Refused)?;
        let (new, events) = self.terms.prepare(&self.store.registry_for::<A::Event>()?, &decided)?;
        self.part(stream, ExpectedVersion::Any, new).is_decided = true;
        Ok(events)
    }

    /// Adds events that nobody decided, to a stream that is expected to be at some version before the batch.
    ///
    /// The rules of the store's [registry](EventStore::use_registry) look at them when everything is decided: the command then
    /// ends with trouble of kind [`InvalidArgument`](ErrorKind::InvalidArgument) whose source are all the [`Faults`], those of
    /// several events each with its number among the events that were added like this.
    pub fn append(
        &mut self,
        stream: &StreamName,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) {
        let events = events.into_iter().map(|event| self.terms.complete(event)).collect();
        self.part(stream, expected, events);
    }

    /// Lets the rules look at what was added and not decided. What was decided they have seen.
    fn validate(&self) -> Result<(), Error> {
        let added = self.parts.iter().filter(|part| !part.is_decided).flat_map(|part| &part.events);
        let registry = self.store.registry();
        let faults = |event: &NewEvent| {
            let mut faults = Faults::default();
            event.faults().for_each(|fault| faults.add_whole(fault));
            registry.iter().for_each(|registry| registry.validate(event, &mut faults));
            faults
        };
        refuse_faulty(added.map(|event| (event, faults(event))).collect())
    }

    fn part(&mut self, stream: &StreamName, expected: ExpectedVersion, events: Vec<NewEvent>) -> &mut Part {
        self.parts.push(Part { stream: stream.clone(), expected, events, is_decided: false });
        self.parts.last_mut().expect("one was added")
    }
}

impl<R, F> Decide for OnSeveral<F>
where
    F: FnMut(&mut Together<'_>) -> Result<(), ExecuteError<R>>,
{
    type Refusal = R;
    type Done = Option<Receipt>;

    fn decide<'a>(
        &mut self,
        store: &'a EventStore,
        terms: &Terms,
    ) -> Result<Option<BatchBuilder<'a>>, ExecuteError<R>> {
        let mut together = Together { store, terms, parts: Vec::new(), reads: Vec::new() };
        let decided = (self.decide)(&mut together);
        if decided.is_ok() {
            together.validate()?;
        }
        let Together { parts, reads, .. } = together;
        let is_empty = parts.iter().all(|part| part.events.is_empty());
        match &decided {
            Err(ExecuteError::Refused(_)) => check_whole(store, &parts, &reads)?,
            Ok(()) if is_empty => check_whole(store, &parts, &reads)?,
            Ok(()) | Err(_) => {}
        }
        decided?;
        let add = |batch: BatchBuilder<'a>, part: Part| batch.append(&part.stream, part.expected, part.events);
        let batch = || reads.iter().fold(store.batch(), |batch, read| batch.guarded_by(&read.guard));
        Ok((!is_empty).then(|| parts.into_iter().fold(batch(), add)))
    }

    fn done(&mut self, receipt: Option<Receipt>) -> Option<Receipt> {
        receipt
    }
}

/// Fails with a conflict where something that was looked at has gone on since: it was looked at one after the other, and may
/// never have been there together. What is appended has its conditions; what is only an answer has this. What is still as
/// it was, was so at every moment between the last look and now.
fn check_whole<R>(store: &EventStore, parts: &[Part], reads: &[Read]) -> Result<(), ExecuteError<R>> {
    for part in parts {
        let ExpectedVersion::Exact(expected) = part.expected else { continue };
        let actual = store.version(&part.stream)?;
        if actual != expected {
            let (stream, expected) = (part.stream.clone(), part.expected);
            return Err(ExecuteError::Conflict(Conflict::Version { stream, expected, actual }));
        }
    }
    for (number, Read { query, guard }) in (1..).zip(reads) {
        let after = guard.position();
        if let Some(event) = store.read_all().matching(query.clone().after(after)).into_iter().next() {
            let position = event?.position();
            return Err(ExecuteError::Conflict(Conflict::Unless { number, after, position }));
        }
    }
    Ok(())
}

impl fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events: usize = self.parts.iter().map(|part| part.events.len()).sum();
        write!(f, "{events} events that are being decided together")
    }
}
