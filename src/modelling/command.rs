//! A command to one aggregate, and what came of it.

use super::aggregate::Aggregate;
use super::execute::{Decide, ExecuteError, Execution, Terms};
use super::load::{AggregateStream, Loaded};
use crate::position::{ExpectedVersion, Version};
use crate::receipt::Receipt;
use crate::store::{BatchBuilder, EventStore};
use crate::sync::Arc;
use std::fmt;

/// A command to one aggregate, decided over the state of its stream.
pub struct OnStream<A: Aggregate> {
    stream: AggregateStream<A>,
    command: A::Command,
    /// What was decided last, and over which state.
    decided: Option<(Loaded<A>, Vec<A::Event>)>,
}

/// What came of a command.
pub struct Executed<A: Aggregate> {
    receipt: Option<Receipt>,
    events: Vec<A::Event>,
    state: Option<Arc<A>>,
    version: Version,
}

impl<A: Aggregate> AggregateStream<A> {
    /// Executes a command: decides over the newest state and appends what follows from it, provided that the stream is still
    /// at that version; if not, it is decided again.
    ///
    /// The answer of [`Execution::wait`] says what became of it.
    ///
    /// ```
    /// # use scorebook::{Aggregate, EventContext, EventStore, StreamName};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     #[derive(Debug, PartialEq)]
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// # #[derive(Clone)]
    /// # struct Counter(u32);
    /// # impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    /// # }
    /// let store = EventStore::open_in_memory()?;
    /// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
    /// let count = || counter.execute(7).once("interaction-9").actor(8812).wait().expect("nothing is refused");
    /// let (first, again) = (count(), count());
    /// assert_eq!(first.events(), [Counted::Up(7)]);
    /// assert!(again.is_repeat() && again.events().is_empty());
    /// assert_eq!(store.event(counter.stream(), first.version())?.metadata()?.causation(), Some("interaction-9"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn execute(&self, command: A::Command) -> Execution<OnStream<A>> {
        let deciding = OnStream { stream: self.clone(), command, decided: None };
        Execution::new(self.store(), deciding)
    }
}

impl<A: Aggregate> Decide for OnStream<A> {
    type Refusal = A::Refusal;
    type Done = Executed<A>;

    fn decide<'a>(
        &mut self,
        store: &'a EventStore,
        terms: &Terms,
    ) -> Result<Option<BatchBuilder<'a>>, ExecuteError<A::Refusal>> {
        let loaded = self.stream.load()?;
        let decided = loaded.state().decide(&self.command).map_err(ExecuteError::Refused)?;
        let (new, events) = terms.prepare(&store.registry_for::<A::Event>()?, &decided)?;
        let expected = ExpectedVersion::Exact(loaded.version());
        self.decided = Some((loaded, events));
        Ok((!new.is_empty()).then(|| store.batch().append(self.stream.stream(), expected, new)))
    }

    fn done(&mut self, receipt: Option<Receipt>) -> Executed<A> {
        let of_stream = receipt.as_ref().and_then(|receipt| receipt.of(self.stream.stream()));
        let appended = of_stream.map(|of| of.last_version());
        let is_repeat = receipt.as_ref().is_some_and(Receipt::is_repeat);
        let Some((loaded, events)) = self.decided.take().filter(|_| !is_repeat) else {
            return Executed::repeated(receipt, appended.unwrap_or(Version::NONE));
        };
        let version = appended.unwrap_or(loaded.version());
        let state = match appended {
            Some(version) => self.stream.follow_to(loaded, version),
            None => Some(loaded),
        };
        Executed { receipt, events, state: state.map(Loaded::into_shared), version }
    }
}

impl<A: Aggregate> Executed<A> {
    pub(super) fn new(
        receipt: Option<Receipt>,
        events: Vec<A::Event>,
        state: Option<A>,
        version: Version,
    ) -> Executed<A> {
        Executed { receipt, events, state: state.map(Arc::new), version }
    }

    pub(super) fn repeated(receipt: Option<Receipt>, version: Version) -> Executed<A> {
        Executed { receipt, events: Vec::new(), state: None, version }
    }

    /// What the append returned; `None` where nothing followed from the command. Of a repeat, the first receipt.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// Whether the command had been executed before, under the same key.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.receipt.as_ref().is_some_and(Receipt::is_repeat)
    }

    /// The events that followed, as they stand in the log now. None for a repeat, which decides nothing: they are found in the
    /// stream, where the receipt says.
    #[must_use]
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// The version of the stream with these events in it. Of a repeat, the version after what was appended then; where the key
    /// was used for another aggregate, nothing was appended to this one, and it is [`Version::NONE`], whatever the stream holds.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The state with these events in it, and nothing later. `None` for a repeat, which loads nothing:
    /// [`state_at`](AggregateStream::state_at) this [`version`](Self::version) has it, unless the key was used for another
    /// aggregate; and where what was appended could not be read again.
    #[must_use]
    pub fn state(&self) -> Option<&A> {
        self.state.as_deref()
    }

    /// The same, to keep. It is copied where others hold it too.
    #[must_use]
    pub fn into_state(self) -> Option<A> {
        self.state.map(Arc::unwrap_or_clone)
    }
}

impl<A: Aggregate> fmt::Debug for Executed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_repeat(), self.events.len()) {
            (true, _) => write!(f, "what was executed before, up to version {}", self.version),
            (false, 1) => write!(f, "1 event, version {}", self.version),
            (false, events) => write!(f, "{events} events up to version {}", self.version),
        }
    }
}
