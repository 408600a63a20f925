//! What an enum of events says of itself, and the macro that says it.

use super::decode::Described;
use super::payload::{self, Cause};
use super::shape::EventShape;
use super::upcast::{Split, Step};
use super::validate::Faults;
use crate::error::Error;
use crate::event::{Codec, NewEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{TypeId, type_name};
use std::fmt::Display;

/// An enum of events.
///
/// [`events!`](crate::events) writes this for enums whose variants have one payload each. By hand it looks so:
///
/// ```
/// use scorebook::{Codec, Error, Event, EventTypes, Faults, NewEvent, Registry};
///
/// enum Counter {
///     Started { at: u32 },
///     Stopped,
/// }
///
/// impl Event for Counter {
///     fn describe(types: &mut EventTypes<Counter>) {
///         types
///             .variant("started", 2, Codec::Json, |at| Counter::Started { at })
///             .variant("stopped", 1, Codec::Json, |()| Counter::Stopped)
///             .step(("started", 1), ("started", 2), |(at, _name): (u32, String)| at);
///     }
///
///     fn encode(&self) -> Result<NewEvent, Error> {
///         match self {
///             Counter::Started { at } => Ok(NewEvent::json("started", at)?.schema(2)),
///             Counter::Stopped => NewEvent::json("stopped", &()),
///         }
///     }
///
///     fn validate(&self, faults: &mut Faults) {
///         if let Counter::Started { at } = self {
///             faults.require(*at < 100, "at", "must be below 100");
///         }
///     }
/// }
///
/// let registry = Registry::builder().events::<Counter>().build()?;
/// assert_eq!(registry.newest("started").map(|info| info.shape().schema()), Some(2));
/// # Ok::<(), Error>(())
/// ```
pub trait Event: Sized + Send + Sync + 'static {
    /// Says of each variant its type, its schema and how its payload is written and read; and how events that were
    /// recorded with other types or schemas become these.
    fn describe(types: &mut EventTypes<Self>);

    /// Type, schema, codec and payload of this event, as [`describe`](Self::describe) says them.
    ///
    /// # Errors
    ///
    /// * [`Encode`](crate::ErrorKind::Encode): the payload cannot be written in its codec.
    fn encode(&self) -> Result<NewEvent, Error>;

    /// Adds what else an event has: tags, times, metadata. Default: nothing.
    #[must_use]
    fn dress(&self, event: NewEvent) -> NewEvent {
        event
    }

    /// The event's own rules, all in one place: every one that does not hold is added to `faults`. Default: none.
    fn validate(&self, faults: &mut Faults) {
        let _ = faults;
    }
}

/// What an enum of events says of itself: which types and schemas it has, and how others become these.
pub struct EventTypes<E> {
    pub(super) events: &'static str,
    pub(super) variants: Vec<Variant<E>>,
    pub(super) history: Vec<Step>,
}

/// A shape that an enum reads as it is.
pub(super) struct Variant<E> {
    shape: EventShape,
    /// What it is written in; `None` where the enum only reads it.
    codec: Option<Codec>,
    payload: (TypeId, &'static str),
    read: Box<Read<E>>,
}

type Read<E> = dyn Fn(Codec, &[u8]) -> Result<E, Cause> + Send + Sync;

impl<E: Event> EventTypes<E> {
    /// What `E` says of itself.
    pub(super) fn of() -> EventTypes<E> {
        let mut types = EventTypes { events: type_name::<E>(), variants: Vec::new(), history: Vec::new() };
        E::describe(&mut types);
        let events = types.events;
        types.history.iter_mut().for_each(|step| step.of = Some(events));
        types
    }

    /// A variant: its type, its schema, the codec its payload is written in, and how a payload becomes the variant.
    ///
    /// A payload is read by the codec it was recorded in, whatever is written today.
    pub fn variant<P: DeserializeOwned + 'static>(
        &mut self,
        event_type: &str,
        schema: u32,
        codec: Codec,
        wrap: impl Fn(P) -> E + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        self.push(EventShape::new(event_type, schema), Some(codec), wrap)
    }

    /// A variant that is only read: events of this type and schema are written by another enum, and this one may see less
    /// of their payload than they have.
    pub fn view<P: DeserializeOwned + 'static>(
        &mut self,
        event_type: &str,
        schema: u32,
        wrap: impl Fn(P) -> E + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        self.push(EventShape::new(event_type, schema), None, wrap)
    }

    fn push<P: DeserializeOwned + 'static>(
        &mut self,
        shape: EventShape,
        codec: Option<Codec>,
        wrap: impl Fn(P) -> E + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        let read = move |codec: Codec, data: &[u8]| Ok(wrap(payload::decode(codec, data)?));
        let payload = (TypeId::of::<P>(), type_name::<P>());
        self.variants.push(Variant { shape, codec, payload, read: Box::new(read) });
        self
    }

    /// How an event that was recorded in one shape becomes one of another. A function of the old payload and nothing else,
    /// so that a log is always read the same; one that can fail is for [`try_step`](Self::try_step).
    pub fn step<Old: DeserializeOwned, New: Serialize>(
        &mut self,
        from: (&str, u32),
        to: (&str, u32),
        change: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        self.try_step(from, to, move |old| Ok::<New, String>(change(old)))
    }

    /// A step that not every payload can take: the fault makes decoding such an event fail.
    pub fn try_step<Old: DeserializeOwned, New: Serialize, Fault: Display>(
        &mut self,
        from: (&str, u32),
        to: (&str, u32),
        change: impl Fn(Old) -> Result<New, Fault> + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        self.history.push(Step::one(from.into(), to.into(), change));
        self
    }

    /// A step on which the payload stays as it is: another name, or a schema that reads the old payloads too.
    pub fn rename(&mut self, from: (&str, u32), to: (&str, u32)) -> &mut EventTypes<E> {
        self.history.push(Step::rename(from.into(), to.into()));
        self
    }

    /// A step that makes several events of one, or none: those that it hands out, in this order. `to` announces all that it
    /// may hand out.
    ///
    /// ```
    /// use scorebook::{EventStore, EventTypes, ExpectedVersion, NewEvent, Registry, StreamName, Version};
    /// scorebook::events! {
    ///     /// What happens in a game.
    ///     #[derive(Debug, PartialEq)]
    ///     pub enum Game {
    ///         /// It is over, won or lost.
    ///         Finished(bool) = "finished", 2;
    ///         /// There were points.
    ///         Scored(u32) = "scored", 1;
    ///     }
    ///     history = |types: &mut EventTypes<Game>| {
    ///         types.split(("finished", 1), &[("finished", 2), ("scored", 1)], |(won, points): (bool, u32), out| {
    ///             out.push("finished", 2, &won);
    ///             if won {
    ///                 out.push("scored", 1, &points);
    ///             }
    ///         });
    ///     };
    /// }
    /// let registry = Registry::builder().events::<Game>().build()?;
    /// let store = EventStore::open_in_memory()?;
    /// let (game, old) = (StreamName::new("game-1")?, NewEvent::json("finished", &(true, 7))?);
    /// store.append(&game, ExpectedVersion::Any, [old]).wait().map_err(|error| error.into_error())?;
    /// let events = registry.decode::<Game>(&store.event(&game, Version::FIRST)?)?;
    /// assert_eq!(events.collect::<Vec<_>>(), [Game::Finished(true), Game::Scored(7)]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn split<Old: DeserializeOwned>(
        &mut self,
        from: (&str, u32),
        to: &[(&str, u32)],
        change: impl Fn(Old, &mut Split<'_>) + Send + Sync + 'static,
    ) -> &mut EventTypes<E> {
        let to = to.iter().copied().map(EventShape::from).collect();
        self.history.push(Step::split(from.into(), to, change));
        self
    }

    /// Events of this type and schema are of no interest any more: nothing becomes of them.
    pub fn discard(&mut self, from: (&str, u32)) -> &mut EventTypes<E> {
        self.history.push(Step::discard(from.into()));
        self
    }
}

impl<E> Variant<E> {
    pub(super) fn shape(&self) -> &EventShape {
        &self.shape
    }

    pub(super) fn described(&self) -> Described<'_> {
        let (payload_id, payload) = self.payload;
        Described { shape: &self.shape, codec: self.codec, payload, payload_id }
    }

    pub(super) fn read(&self, codec: Codec, data: &[u8]) -> Result<E, Cause> {
        (self.read)(codec, data)
    }
}

/// Writes an enum of events: the enum itself, [`Event`] for it, and a conversion from each payload.
///
/// Each variant has one payload, which is serialized and deserialized by serde, and says its type, its schema and, unless
/// it is JSON, its codec. Behind the enum may stand, in this order, functions for what else there is to say:
///
/// | | a function | says |
/// |---|---|---|
/// | `history` | `fn(&mut EventTypes<E>)` | how older types and schemas become these |
/// | `dress` | `fn(&E, NewEvent) -> NewEvent` | tags, times and metadata |
/// | `validate` | `fn(&E, &mut Faults)` | the rules of the events |
///
/// Two variants with payloads of one type would give two conversions from it; such an enum implements [`Event`] by hand.
///
/// ```
/// use scorebook::{Codec, Event, EventTypes, Faults, NewEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// pub struct Started {
///     pub by: String,
/// }
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// pub struct Counted {
///     pub number: u32,
/// }
///
/// scorebook::events! {
///     /// What happens to a counter.
///     #[derive(Clone, Debug, PartialEq)]
///     pub enum CounterEvent {
///         /// It began.
///         Started(Started) = "counter_started", 1;
///         /// Something was counted.
///         Counted(Counted) = "counted", 2, Codec::Bincode;
///     }
///     history = history;
///     dress = dress;
///     validate = rules;
/// }
///
/// fn history(types: &mut EventTypes<CounterEvent>) {
///     types.step(("counted", 1), ("counted", 2), |number: u32| Counted { number });
/// }
///
/// fn dress(event: &CounterEvent, new: NewEvent) -> NewEvent {
///     match event {
///         CounterEvent::Started(Started { by }) => new.tag("player", by),
///         CounterEvent::Counted(_) => new,
///     }
/// }
///
/// fn rules(event: &CounterEvent, faults: &mut Faults) {
///     if let CounterEvent::Counted(Counted { number }) = event {
///         faults.require(*number < 100, "number", "must be below 100");
///     }
/// }
///
/// let event = CounterEvent::from(Counted { number: 100 });
/// assert_eq!(event.encode()?.event_type(), "counted");
/// let mut faults = Faults::default();
/// event.validate(&mut faults);
/// assert_eq!(faults.to_string(), "`number` must be below 100");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[macro_export]
macro_rules! events {
    (
        $(#[$of_enum:meta])*
        $visible:vis enum $events:ident {
            $(
                $(#[$of_variant:meta])*
                $variant:ident($payload:ty) = $event_type:expr, $schema:expr $(, $codec:expr)?;
            )+
        }
        $(history = $history:expr;)?
        $(dress = $dress:expr;)?
        $(validate = $validate:expr;)?
    ) => {
        $(#[$of_enum])*
        $visible enum $events {
            $(
                $(#[$of_variant])*
                $variant($payload),
            )+
        }

        impl $crate::Event for $events {
            fn describe(types: &mut $crate::EventTypes<Self>) {
                $(types.variant($event_type, $schema, $crate::events!(@codec $($codec)?), $events::$variant);)+
                $(($history)(types);)?
            }

            fn encode(&self) -> ::std::result::Result<$crate::NewEvent, $crate::Error> {
                match self {
                    $($events::$variant(payload) => {
                        let codec = $crate::events!(@codec $($codec)?);
                        ::std::result::Result::Ok(
                            $crate::NewEvent::encoded($event_type, codec, payload)?.schema($schema),
                        )
                    })+
                }
            }

            $(fn dress(&self, event: $crate::NewEvent) -> $crate::NewEvent {
                ($dress)(self, event)
            })?

            $(fn validate(&self, faults: &mut $crate::Faults) {
                ($validate)(self, faults);
            })?
        }

        $(
            impl ::std::convert::From<$payload> for $events {
                fn from(payload: $payload) -> $events {
                    $events::$variant(payload)
                }
            }
        )+
    };
    (@codec) => { $crate::Codec::Json };
    (@codec $codec:expr) => { $codec };
}
