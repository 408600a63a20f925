//! Recorded events become those of an enum: read as they are, or led there by steps.

use super::event::{EventTypes, Variant};
use super::graph::{Graph, Way, Ways};
use super::payload::Cause;
use super::shape::EventShape;
use super::upcast::Step;
use crate::error::{Error, ErrorKind};
use crate::event::{Codec, NewEvent, RecordedEvent};
use std::any::Any;
use std::collections::HashMap;
use std::iter::FusedIterator;

/// How an enum reads what was recorded.
pub(super) struct Decoder<E> {
    events: &'static str,
    variants: Vec<Variant<E>>,
    /// By type the schemas that have a way.
    ways: HashMap<Box<str>, Vec<(u32, Reading)>, foldhash::fast::RandomState>,
}

/// What becomes of a payload next.
#[derive(Clone, Copy)]
enum Reading {
    /// This variant reads it.
    Variant(usize),
    /// It takes this step.
    Step(usize),
    /// It is of no interest.
    Nothing,
}

/// The events that a recorded event has become: one as a rule, several or none where its schema was changed so.
///
/// ```
/// use scorebook::{Event, EventStore, ExpectedVersion, Registry, StreamName, Version};
/// scorebook::events! {
///     /// What happens to a counter.
///     #[derive(Debug, PartialEq)]
///     pub enum Counter {
///         /// It began at a number.
///         Started(u32) = "started", 1;
///     }
/// }
/// let registry = Registry::builder().events::<Counter>().build()?;
/// let store = EventStore::open_in_memory()?;
/// let stream = StreamName::new("counter-1")?;
/// let started = Counter::Started(7).encode()?;
/// store.append(&stream, ExpectedVersion::Any, [started]).wait().map_err(|error| error.into_error())?;
/// let recorded = store.event(&stream, Version::FIRST)?;
/// let events: Vec<Counter> = registry.decode::<Counter>(&recorded)?.collect();
/// assert_eq!(events, [Counter::Started(7)]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Debug)]
pub struct DecodedEvents<E>(Decoded<E>);

#[derive(Debug)]
enum Decoded<E> {
    /// The ordinary case costs no allocation.
    One(Option<E>),
    Many(std::vec::IntoIter<E>),
}

impl<E> DecodedEvents<E> {
    /// Those that are left.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        match &self.0 {
            Decoded::One(event) => event.as_slice(),
            Decoded::Many(events) => events.as_slice(),
        }
    }
}

impl<E> Iterator for DecodedEvents<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        match &mut self.0 {
            Decoded::One(event) => event.take(),
            Decoded::Many(events) => events.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = match &self.0 {
            Decoded::One(event) => usize::from(event.is_some()),
            Decoded::Many(events) => events.len(),
        };
        (len, Some(len))
    }
}

impl<E> ExactSizeIterator for DecodedEvents<E> {}

impl<E> FusedIterator for DecodedEvents<E> {}

/// What a registry knows of an enum without its type.
pub(super) trait AnyDecoder: Any + Send + Sync {
    /// The name of the enum.
    fn events(&self) -> &'static str;

    /// The shapes it reads as they are.
    fn shapes(&self) -> Vec<&EventShape>;

    /// Of each shape that it reads as it is: the codec it is written in, where the enum writes it, and the payload's type.
    fn described(&self) -> Vec<Described<'_>>;

    fn set_ways(&mut self, graph: &Graph, ways: &Ways);

    /// The shapes and payloads that a recorded event is led to; `None` where the enum does not know its shape.
    fn upcast(&self, steps: &[Step], event: &RecordedEvent) -> Option<Result<Vec<UpcastEvent>, Error>>;

    /// How many events a recorded one becomes; `None` where the enum does not know its shape.
    fn count(&self, steps: &[Step], event: &RecordedEvent) -> Option<Result<usize, Error>>;
}

/// What a recorded event is read as: a shape, and a payload in the codec of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpcastEvent {
    shape: EventShape,
    data: Vec<u8>,
}

impl UpcastEvent {
    /// Its type and schema.
    #[must_use]
    pub fn shape(&self) -> &EventShape {
        &self.shape
    }

    /// Its payload.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// What an enum says of a shape that it reads.
#[derive(Clone, Copy)]
pub(super) struct Described<'a> {
    pub(super) shape: &'a EventShape,
    /// `None` where the enum only reads it.
    pub(super) codec: Option<Codec>,
    pub(super) payload: &'static str,
    pub(super) payload_id: std::any::TypeId,
}

/// Whether what an enum does not know makes decoding fail or is left out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unknown {
    Fails,
    IsLeftOut,
}

/// Why a payload has not become an event: what, and where on its way.
struct Trouble {
    kind: ErrorKind,
    /// The rest of a sentence that names the event.
    place: String,
    cause: Option<Cause>,
}

impl<E: 'static> Decoder<E> {
    pub(super) fn new(types: EventTypes<E>) -> (Decoder<E>, Vec<Step>) {
        let EventTypes { variants, history, events } = types;
        (Decoder { events, variants, ways: HashMap::default() }, history)
    }

    pub(super) fn decode(
        &self,
        steps: &[Step],
        event: &RecordedEvent,
        unknown: Unknown,
    ) -> Result<DecodedEvents<E>, Error> {
        let (codec, data) = (event.codec(), event.data());
        let decoded = match self.reading(event.event_type(), event.schema()) {
            Some(Reading::Variant(variant)) => {
                let variant = &self.variants[variant];
                variant.read(codec, data).map(|event| Decoded::One(Some(event))).map_err(|cause| Trouble {
                    kind: ErrorKind::Decode,
                    place: String::new(),
                    cause: Some(cause),
                })
            }
            Some(Reading::Nothing) => Ok(Decoded::One(None)),
            None if unknown == Unknown::IsLeftOut => Ok(Decoded::One(None)),
            Some(Reading::Step(step)) => {
                let mut out = Vec::new();
                let way = Along { decoder: self, steps, codec, unknown };
                let mut read = |variant: usize, shape: &EventShape, data: Vec<u8>| {
                    out.push(self.variants[variant].read(codec, &data).map_err(|cause| {
                        let place = format!(", once it was {shape}");
                        Trouble { kind: ErrorKind::Decode, place, cause: Some(cause) }
                    })?);
                    Ok(())
                };
                way.take(&steps[step], data, &mut read).map(|()| Decoded::Many(out.into_iter()))
            }
            None => Err(self.not_known(event)),
        };
        decoded.map(DecodedEvents).map_err(|trouble| trouble.told(self.events, event))
    }

    /// An event that is about to be appended, as it will be read. What could not be read would stand in its stream for ever.
    pub(super) fn read_back(&self, event: &NewEvent) -> Result<E, Error> {
        let shape = EventShape::new(&event.event_type, event.schema);
        let trouble = |cause: Cause| {
            let act = format!("encoding a {shape}, which {} could not read again", self.events);
            Error::with_source(ErrorKind::Encode, act, cause)
        };
        match self.reading(&event.event_type, event.schema) {
            Some(Reading::Variant(variant)) => self.variants[variant].read(event.codec, &event.data).map_err(trouble),
            _ => Err(trouble("no variant is described with this type and schema".into())),
        }
    }

    fn reading(&self, event_type: &str, schema: u32) -> Option<Reading> {
        let schemas = self.ways.get(event_type)?;
        schemas.iter().find(|(known, _)| *known == schema).map(|(_, reading)| *reading)
    }

    fn not_known(&self, event: &RecordedEvent) -> Trouble {
        let place = match self.ways.get(event.event_type()) {
            None => ": the type is not known".to_owned(),
            Some(schemas) => {
                let mut known: Vec<String> = schemas.iter().map(|(schema, _)| schema.to_string()).collect();
                known.sort();
                format!(": of this type it knows schema {}", known.join(", "))
            }
        };
        Trouble { kind: ErrorKind::UnknownType, place, cause: None }
    }
}

impl<E: 'static> AnyDecoder for Decoder<E>
where
    Decoder<E>: Send + Sync,
{
    fn events(&self) -> &'static str {
        self.events
    }

    fn shapes(&self) -> Vec<&EventShape> {
        self.variants.iter().map(Variant::shape).collect()
    }

    fn described(&self) -> Vec<Described<'_>> {
        self.variants.iter().map(Variant::described).collect()
    }

    fn set_ways(&mut self, graph: &Graph, ways: &Ways) {
        for (shape, way) in ways.of(graph) {
            let reading = match way {
                Way::Read => {
                    let is_it = |variant: &Variant<E>| variant.shape() == shape;
                    Reading::Variant(self.variants.iter().position(is_it).expect("only what a variant has is read"))
                }
                Way::Step { step, .. } => Reading::Step(step),
                Way::Nothing => Reading::Nothing,
            };
            self.ways.entry(shape.event_type().into()).or_default().push((shape.schema(), reading));
        }
    }

    fn upcast(&self, steps: &[Step], event: &RecordedEvent) -> Option<Result<Vec<UpcastEvent>, Error>> {
        let upcast = match self.reading(event.event_type(), event.schema())? {
            Reading::Variant(_) => Ok(vec![UpcastEvent { shape: event.shape(), data: event.data().to_vec() }]),
            Reading::Nothing => Ok(Vec::new()),
            Reading::Step(step) => {
                let mut upcast = Vec::new();
                let way = Along { decoder: self, steps, codec: event.codec(), unknown: Unknown::IsLeftOut };
                let mut note = |_: usize, shape: &EventShape, data: Vec<u8>| {
                    upcast.push(UpcastEvent { shape: shape.clone(), data });
                    Ok(())
                };
                way.take(&steps[step], event.data(), &mut note).map(|()| upcast)
            }
        };
        Some(upcast.map_err(|trouble| trouble.told(self.events, event)))
    }

    fn count(&self, steps: &[Step], event: &RecordedEvent) -> Option<Result<usize, Error>> {
        self.reading(event.event_type(), event.schema())?;
        Some(self.decode(steps, event, Unknown::IsLeftOut).map(|events| events.len()))
    }
}

/// A recorded event on its way to an enum.
struct Along<'a, E> {
    decoder: &'a Decoder<E>,
    steps: &'a [Step],
    /// What the event was recorded in; everything in between is written in it too.
    codec: Codec,
    unknown: Unknown,
}

impl<E: 'static> Along<'_, E> {
    /// Takes a step, and every step behind it, and hands on what a variant reads; as deep as the way is long, which has no
    /// circles.
    fn take(
        &self,
        step: &Step,
        data: &[u8],
        out: &mut impl FnMut(usize, &EventShape, Vec<u8>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let parts = step.take(self.codec, data).map_err(|cause| {
            let to: Vec<String> = step.to.iter().map(EventShape::to_string).collect();
            let place = format!(", at the step from {} to {}", step.from, to.join(", "));
            Trouble { kind: ErrorKind::Decode, place, cause: Some(cause) }
        })?;
        for part in parts {
            let shape = &step.to[part.target];
            match self.decoder.reading(shape.event_type(), shape.schema()) {
                Some(Reading::Variant(variant)) => out(variant, shape, part.data)?,
                Some(Reading::Step(next)) => self.take(&self.steps[next], &part.data, out)?,
                Some(Reading::Nothing) => {}
                None if self.unknown == Unknown::IsLeftOut => {}
                None => {
                    let place = format!(": the step from {} makes {shape} of it, which is not known", step.from);
                    return Err(Trouble { kind: ErrorKind::UnknownType, place, cause: None });
                }
            }
        }
        Ok(())
    }
}

impl Trouble {
    fn told(self, events: &'static str, event: &RecordedEvent) -> Error {
        let Trouble { kind, place, cause } = self;
        let shape = event.shape();
        let act = format!("decoding the {shape} at position {} as {events}{place}", event.position());
        match cause {
            Some(cause) => Error::with_source(kind, act, cause),
            None => Error::new(kind, act),
        }
    }
}
