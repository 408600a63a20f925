//! A decision over whatever a query asks for, instead of one stream.

use super::aggregate::Aggregate;
use super::command::Executed;
use super::execute::{Decide, ExecuteError, Execution, Terms};
use super::load::fold_in;
use crate::error::Error;
use crate::name::StreamName;
use crate::position::{ExpectedVersion, Version};
use crate::query::Query;
use crate::receipt::Receipt;
use crate::store::{BatchBuilder, EventStore, Guard};
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

/// A decision over all events that a query asks for, of any streams: a handle that holds no state.
pub struct Decision<A> {
    store: EventStore,
    query: Query,
    stream: StreamName,
    of: PhantomData<fn() -> A>,
}

/// A command that is decided over a query.
pub struct OnQuery<A: Aggregate> {
    decision: Decision<A>,
    command: A::Command,
    /// What was decided last, and over which state.
    decided: Option<(A, Vec<A::Event>)>,
}

impl EventStore {
    /// A decision over all events that a query asks for, of any streams, the result of which is appended to one stream. Of two
    /// that would both change what the other has decided over, one decides again.
    ///
    /// Each time, all events that the query asks for are folded, in the order of their positions: such a decision is for
    /// queries that ask for few. What is decided must itself be asked for by the query where it is to keep others from
    /// deciding.
    ///
    /// ```
    /// use scorebook::{Aggregate, EventContext, EventStore, NewEvent, Query, StreamName};
    ///
    /// scorebook::events! {
    ///     /// What players do.
    ///     pub enum Joined {
    ///         /// A player has joined a team.
    ///         Team(u64) = "player_joined", 1;
    ///     }
    ///     dress = |event: &Joined, new: NewEvent| {
    ///         let Joined::Team(player) = event;
    ///         new.tag("player", player)
    ///     };
    /// }
    ///
    /// /// Whether a player is in a team, whichever it is.
    /// #[derive(Clone)]
    /// struct Membership {
    ///     is_member: bool,
    /// }
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct HasATeam;
    ///
    /// impl Aggregate for Membership {
    ///     type Event = Joined;
    ///     type Command = u64;
    ///     type Refusal = HasATeam;
    ///
    ///     fn new(_team: &StreamName) -> Membership {
    ///         Membership { is_member: false }
    ///     }
    ///
    ///     fn decide(&self, player: &u64) -> Result<Vec<Joined>, HasATeam> {
    ///         if self.is_member { Err(HasATeam) } else { Ok(vec![Joined::Team(*player)]) }
    ///     }
    ///
    ///     fn apply(&mut self, _joined: &Joined, _context: &EventContext<'_>) {
    ///         self.is_member = true;
    ///     }
    /// }
    ///
    /// let store = EventStore::open_in_memory()?;
    /// let join = |team: &str, player: u64| {
    ///     let query = Query::all().of_type("player_joined").tag("player", player);
    ///     let decision = store.decision::<Membership>(query, &StreamName::new(team)?);
    ///     Ok::<_, scorebook::Error>(decision.execute(player).wait())
    /// };
    /// assert!(join("team-1", 8812)?.is_ok());
    /// assert_eq!(join("team-2", 8812)?.expect_err("has a team").refusal(), Some(&HasATeam));
    /// assert!(join("team-2", 9000)?.is_ok());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn decision<A: Aggregate>(&self, query: Query, stream: &StreamName) -> Decision<A> {
        Decision { store: self.clone(), query, stream: stream.clone(), of: PhantomData }
    }
}

impl<A: Aggregate> Decision<A> {
    /// The state that the events make which the query asks for now, and the guard that makes a batch conditional on no more of
    /// them.
    ///
    /// # Errors
    ///
    /// * [`UnknownType`](crate::ErrorKind::UnknownType), [`Decode`](crate::ErrorKind::Decode): an event cannot be folded in.
    /// * Those of [`read_for_decision`](EventStore::read_for_decision), and of [`AllEvents`](crate::AllEvents).
    pub fn load(&self) -> Result<(A, Guard), Error> {
        let registry = self.store.registry_for::<A::Event>()?;
        let (events, guard) = self.store.read_for_decision(self.query.clone())?;
        let mut state = A::new(&self.stream);
        for event in events {
            fold_in(&mut state, &registry, &event?)?;
        }
        Ok((state, guard))
    }

    /// Executes a command: decides over what the query asks for and appends what follows, provided that no more of it has
    /// happened; if it has, it is decided again.
    ///
    /// The answer of [`Execution::wait`] says what became of it. Its version is that of the stream which was appended to.
    pub fn execute(&self, command: A::Command) -> Execution<OnQuery<A>> {
        Execution::new(&self.store, OnQuery { decision: self.clone(), command, decided: None })
    }

    /// What became of a state by an append. None where that cannot be read.
    fn follow(&self, mut state: A, receipt: &Receipt) -> Option<A> {
        let registry = self.store.registry_for::<A::Event>().ok()?;
        let appended = self.store.read_all().matching(self.query.clone());
        for event in appended.from(receipt.first_position()).to(receipt.last_position()) {
            fold_in(&mut state, &registry, &event.ok()?).ok()?;
        }
        Some(state)
    }
}

impl<A: Aggregate> Decide for OnQuery<A> {
    type Refusal = A::Refusal;
    type Done = Executed<A>;

    fn decide<'a>(
        &mut self,
        store: &'a EventStore,
        terms: &Terms,
    ) -> Result<Option<BatchBuilder<'a>>, ExecuteError<A::Refusal>> {
        let (state, guard) = self.decision.load()?;
        let decided = state.decide(&self.command).map_err(ExecuteError::Refused)?;
        let (new, events) = terms.prepare(&store.registry_for::<A::Event>()?, &decided)?;
        self.decided = Some((state, events));
        let batch = || store.batch().append(&self.decision.stream, ExpectedVersion::Any, new).guarded_by(&guard);
        Ok(self.decided.as_ref().is_some_and(|(_, events)| !events.is_empty()).then(batch))
    }

    fn done(&mut self, receipt: Option<Receipt>) -> Executed<A> {
        let of_stream = receipt.as_ref().and_then(|receipt| receipt.of(&self.decision.stream));
        let version = of_stream.map_or(Version::NONE, |of| of.last_version());
        let is_repeat = receipt.as_ref().is_some_and(Receipt::is_repeat);
        match (self.decided.take().filter(|_| !is_repeat), &receipt) {
            (None, _) => Executed::repeated(receipt, version),
            (Some((state, events)), None) => Executed::new(None, events, Some(state), version),
            (Some((state, events)), Some(of)) => {
                let state = self.decision.follow(state, of);
                Executed::new(receipt, events, state, version)
            }
        }
    }
}

impl<A> Clone for Decision<A> {
    fn clone(&self) -> Decision<A> {
        let (store, query, stream) = (self.store.clone(), self.query.clone(), self.stream.clone());
        Decision { store, query, stream, of: PhantomData }
    }
}

impl<A> fmt::Debug for Decision<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decision of {} for stream {}", type_name::<A>(), self.stream)
    }
}
