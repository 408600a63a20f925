//! What a user says of an aggregate: how its events change it, and what it decides.

use super::carrying::Carrying;
use super::event::Event;
use super::snapshots::Snapshots;
use crate::error::Error;
use crate::event::{Metadata, NewEvent, RecordedEvent};
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::time::Timestamp;

/// The state of a stream, and what may happen to it next.
///
/// Both [`decide`](Self::decide) and [`apply`](Self::apply) are pure: they ask for no time, no chance and nothing outside;
/// what they need comes with the command, the event or its context. So the same events give the same state for ever, and a
/// test needs no store: see [`scenario`](crate::testing::scenario).
///
/// ```
/// use scorebook::{Aggregate, EventContext, EventStore, ExecuteError, StreamName};
///
/// scorebook::events! {
///     /// What happens to a counter.
///     #[derive(Clone, Debug, PartialEq)]
///     pub enum Counted {
///         /// It went up by so many.
///         Up(u32) = "counted_up", 1;
///     }
/// }
///
/// #[derive(Clone, Debug)]
/// struct Counter {
///     sum: u32,
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct TooMuch;
///
/// impl Aggregate for Counter {
///     type Event = Counted;
///     type Command = u32;
///     type Refusal = TooMuch;
///
///     fn new(_stream: &StreamName) -> Counter {
///         Counter { sum: 0 }
///     }
///
///     fn decide(&self, count: &u32) -> Result<Vec<Counted>, TooMuch> {
///         if 10 < self.sum + count { Err(TooMuch) } else { Ok(vec![Counted::Up(*count)]) }
///     }
///
///     fn apply(&mut self, event: &Counted, _context: &EventContext<'_>) {
///         let Counted::Up(count) = event;
///         self.sum += count;
///     }
/// }
///
/// let store = EventStore::open_in_memory()?;
/// let counter = store.aggregate::<Counter>(&StreamName::new("counter-1")?);
/// let executed = counter.execute(7).once("interaction-8812").wait().expect("7 are not too much");
/// assert_eq!(executed.state().map(|counter| counter.sum), Some(7));
/// assert!(matches!(counter.execute(4).wait(), Err(ExecuteError::Refused(TooMuch))));
/// assert_eq!(counter.load()?.state().sum, 7);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What happens to it.
    type Event: Event;
    /// What it is asked to do.
    type Command;
    /// Why it does not do it.
    type Refusal;

    /// The state of a stream without events.
    fn new(stream: &StreamName) -> Self;

    /// The events that follow from a command in this state, none where it changes nothing; or why it is refused.
    ///
    /// May be called several times for one command, each time with the newest state: only the last answer counts.
    ///
    /// # Errors
    ///
    /// * The refusal: the command is not allowed in this state. Nothing is appended.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Folds an event in. This never fails: what is in the log has happened.
    ///
    /// What a command has decided is folded in once it is appended. Where that panics, so does the execution, and the event is
    /// in the log all the same: the stream has no state until this is mended.
    fn apply(&mut self, event: &Self::Event, context: &EventContext<'_>);

    /// What a fold does with an event in the stream of which [`Event`](Self::Event) knows nothing. Default: it fails.
    #[must_use]
    fn on_unknown() -> OnUnknown {
        OnUnknown::Fail
    }

    /// Of how many streams the last state is kept in memory, for each store: those that were asked for last. Default: 1,024;
    /// with 0 none is kept, and every load folds from the first event.
    #[must_use]
    fn states_kept() -> usize {
        1_024
    }

    /// How states are saved beside the log, and when, so that a load replays only what has come since. Default: they are not.
    ///
    /// A snapshot is never trusted: one that is damaged, of another store or log, or of another schema is passed over, and the
    /// events are replayed.
    ///
    /// ```
    /// # use scorebook::{Aggregate, EventContext, Snapshots, StreamName};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up by so many.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// struct Counter(u32);
    ///
    /// impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = u32;
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter { Counter(0) }
    /// #     fn decide(&self, count: &u32) -> Result<Vec<Counted>, ()> { Ok(vec![Counted::Up(*count)]) }
    /// #     fn apply(&mut self, Counted::Up(count): &Counted, _: &EventContext<'_>) { self.0 += count; }
    ///     // …
    ///     fn snapshots() -> Option<Snapshots<Counter>> {
    ///         Some(Snapshots::json(1).every_events(500).at_close())
    ///     }
    /// }
    /// assert_eq!(Counter::snapshots().map(|snapshots| snapshots.schema()), Some(1));
    /// ```
    #[must_use]
    fn snapshots() -> Option<Snapshots<Self>> {
        None
    }

    /// How a state is carried in the log, where a stream is to begin with one in place of its first events: see
    /// [`condense`](crate::AggregateStream::condense). Default: it is not, and none is read.
    #[must_use]
    fn carrying() -> Option<Carrying<Self>> {
        None
    }

    /// What a fold does with a stream that begins later than with its first event, and with no state of the fold that is
    /// carried. Default: it fails.
    #[must_use]
    fn on_floor() -> OnFloor {
        OnFloor::Fail
    }
}

/// What a fold does with a stream whose beginning is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFloor {
    /// It fails with [`BelowFloor`](crate::ErrorKind::BelowFloor): no state is better than a wrong one.
    Fail,
    /// It begins with the first event that there is, and nothing before. For states that do not rest on all that was: what
    /// is in them depends on when they were begun, and a snapshot or a state in memory may have more than what is left.
    Begin,
}

/// What a fold does with an event that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// It fails with [`UnknownType`](crate::ErrorKind::UnknownType): no state is better than a wrong one.
    Fail,
    /// It goes on as if the event were not there, and counts its version. For streams that several have a part in.
    Skip,
}

/// Where an event stands that is folded in, and what was recorded with it.
#[derive(Clone, Copy, Debug)]
pub struct EventContext<'a> {
    version: Version,
    position: Position,
    time: Timestamp,
    said: Said<'a>,
}

/// What an event itself says beside its payload.
#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Nothing,
    New(&'a NewEvent),
    Recorded(&'a RecordedEvent),
}

impl<'a> EventContext<'a> {
    /// The context of an event that is in no store, for tests that call [`Aggregate::apply`] themselves.
    #[must_use]
    pub fn new(version: Version, position: Position, time: Timestamp) -> EventContext<'static> {
        EventContext { version, position, time, said: Said::Nothing }
    }

    /// The same with all that an event says which is not appended yet: its own time, its tags and its metadata.
    ///
    /// ```
    /// use scorebook::{EventContext, NewEvent, Position, Timestamp, Version};
    /// let event = NewEvent::json("counted", &7)?.tag("player", 8812).actor("bob");
    /// let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH).with_new(&event);
    /// assert_eq!((context.tag("player"), context.occurred()), (Some("8812"), None));
    /// assert_eq!(context.metadata()?.actor(), Some("bob"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    #[must_use]
    pub fn with_new(self, event: &NewEvent) -> EventContext<'_> {
        EventContext { version: self.version, position: self.position, time: self.time, said: Said::New(event) }
    }

    /// The context of an event as it was recorded.
    #[must_use]
    pub fn of(event: &'a RecordedEvent) -> EventContext<'a> {
        let (version, position, time) = (event.version(), event.position(), event.time());
        EventContext { version, position, time, said: Said::Recorded(event) }
    }

    /// The event's place in its stream. What a change of schema has split into several shares one.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The event's place in the whole store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The time the store gave to the event.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The caller's own time for the event, if there was one.
    #[must_use]
    pub fn occurred(&self) -> Option<Timestamp> {
        match self.said {
            Said::Nothing => None,
            Said::New(event) => event.occurred,
            Said::Recorded(event) => event.occurred(),
        }
    }

    /// The value of the first tag with this key.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        match self.said {
            Said::Nothing => None,
            Said::New(event) => event.tags().find(|(tag, _)| *tag == key).map(|(_, value)| value),
            Said::Recorded(event) => event.tag(key),
        }
    }

    /// What else was recorded: correlation, causation, actor and the rest. Decoded at each call.
    ///
    /// # Errors
    ///
    /// * [`Decode`](crate::ErrorKind::Decode): the stored metadata is not a JSON object; only a log that was not written by
    ///   this crate has such.
    pub fn metadata(&self) -> Result<Metadata, Error> {
        match self.said {
            Said::Nothing => Ok(Metadata::default()),
            Said::New(event) => event.metadata(),
            Said::Recorded(event) => event.metadata(),
        }
    }
}
