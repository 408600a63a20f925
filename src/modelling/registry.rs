//! Everything that is known of events, checked once when it is put together.

use super::aggregate::Aggregate;
use super::decode::{AnyDecoder, DecodedEvents, Decoder, Unknown, UpcastEvent};
use super::event::{Event, EventTypes};
use super::fault::RegistryFaults;
use super::fold::{AnyFold, Fold, FoldOf};
use super::graph::{Graph, Ways};
use super::shape::EventShape;
use super::soundness::{self, Decoders};
use super::upcast::{Split, Step};
use super::validate::Faults;
use crate::error::{Error, ErrorKind};
use crate::event::{Codec, NewEvent, RecordedEvent};
use crate::name::StreamName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::sync::Arc;

/// Everything that is known of events: the enums, their types and schemas, how older ones become these, and the rules for
/// what is appended. Cheap to clone.
///
/// The default one is empty.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, Registry, StreamName, Version};
/// scorebook::events! {
///     /// What happens to a counter.
///     #[derive(Debug, PartialEq)]
///     pub enum Counter {
///         /// It counted.
///         Counted(u32) = "counted", 2;
///     }
/// }
/// let registry = Registry::builder()
///     .events::<Counter>()
///     .step(("counted", 1), ("counted", 2), |text: String| text.len())
///     .validate_type("counted", |event, faults| faults.require(event.tags().count() < 2, "tags", "are too many"))
///     .build()?;
///
/// let store = EventStore::open_in_memory()?;
/// let stream = StreamName::new("counter-1")?;
/// let counted = registry.encode(&Counter::Counted(7))?;
/// store.append(&stream, ExpectedVersion::NoStream, [counted]).wait().map_err(|error| error.into_error())?;
/// let events = registry.decode::<Counter>(&store.event(&stream, Version::FIRST)?)?;
/// assert_eq!(events.collect::<Vec<_>>(), [Counter::Counted(7)]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<Known>);

#[derive(Default)]
struct Known {
    types: BTreeMap<EventShape, EventTypeInfo>,
    /// In the order in which they were taken in.
    decoders: Vec<Box<dyn AnyDecoder>>,
    /// By enum which of the decoders is its own.
    numbers: HashMap<TypeId, usize, foldhash::fast::RandomState>,
    steps: Vec<Step>,
    validators: Validators,
    /// By category.
    folds: Folds,
}

type Folds = BTreeMap<String, Box<dyn AnyFold>>;

/// What is known of an event type in one of its schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeInfo {
    shape: EventShape,
    codec: Option<Codec>,
    events: Vec<&'static str>,
}

/// A registry that is being put together. What is wrong with it is told by [`build`](Self::build).
#[derive(Default)]
pub struct RegistryBuilder {
    decoders: Vec<(TypeId, Box<dyn AnyDecoder>)>,
    steps: Vec<Step>,
    validators: Validators,
    /// With the category of each.
    folds: Vec<(String, Box<dyn AnyFold>)>,
}

/// Rules of others for events, by type and by the key of a tag.
#[derive(Default)]
struct Validators {
    of_type: BTreeMap<String, Vec<Box<Validator>>>,
    of_tag: BTreeMap<String, Vec<Box<Validator>>>,
}

type Validator = dyn Fn(&NewEvent, &mut Faults) + Send + Sync;

impl Registry {
    /// Begins a registry.
    #[must_use]
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// The events of an enum that a recorded event becomes: read as it is where the enum has its type and schema, else led
    /// there by the shortest way over the steps.
    ///
    /// # Errors
    ///
    /// * [`UnknownType`](ErrorKind::UnknownType): the enum knows nothing of the type, of its schema, or of something that a
    ///   split makes of it.
    /// * [`Decode`](ErrorKind::Decode): the payload is not of the shape it should have, or a step refused it. The text says
    ///   the position and the step, the source what was wrong.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the enum is not in the registry.
    pub fn decode<E: Event>(&self, event: &RecordedEvent) -> Result<DecodedEvents<E>, Error> {
        self.decoder::<E>()?.decode(&self.0.steps, event, Unknown::Fails)
    }

    /// The same, with all that the enum does not know left out: the whole event, or what a split makes of it.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode), [`InvalidArgument`](ErrorKind::InvalidArgument): as for [`decode`](Self::decode).
    pub fn decode_known<E: Event>(&self, event: &RecordedEvent) -> Result<DecodedEvents<E>, Error> {
        self.decoder::<E>()?.decode(&self.0.steps, event, Unknown::IsLeftOut)
    }

    /// What a recorded event is read as, whichever enum knows it: the shapes it is led to, each with a payload in the codec of
    /// the event. None where nobody knows it; nothing in it where it is of no interest any more.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, Registry, StreamName, Version};
    /// scorebook::events! {
    ///     /// What happens to a counter.
    ///     pub enum Counter {
    ///         /// It counted.
    ///         Counted(u32) = "counted", 2;
    ///     }
    /// }
    /// let registry = Registry::builder().events::<Counter>();
    /// let registry = registry.step(("counted", 1), ("counted", 2), |text: String| text.len()).build()?;
    /// let store = EventStore::open_in_memory()?;
    /// let stream = StreamName::new("counter-1")?;
    /// store.append(&stream, ExpectedVersion::Any, [NewEvent::json("counted", "three")?]).wait()?;
    /// let upcast = registry.upcast(&store.event(&stream, Version::FIRST)?)?.expect("the type is known");
    /// assert_eq!((upcast[0].shape().schema(), upcast[0].data()), (2, &b"5"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode): a step refused it. The text says the position and the step, the source what was wrong.
    pub fn upcast(&self, event: &RecordedEvent) -> Result<Option<Vec<UpcastEvent>>, Error> {
        self.decoders().find_map(|decoder| decoder.upcast(&self.0.steps, event)).transpose()
    }

    fn decoder<E: Event>(&self) -> Result<&Decoder<E>, Error> {
        let found = self.0.numbers.get(&TypeId::of::<E>()).and_then(|number| {
            let decoder: &dyn Any = &*self.0.decoders[*number];
            decoder.downcast_ref()
        });
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("{} is not in the registry", type_name::<E>()))
        })
    }

    pub(super) fn decoders(&self) -> impl Iterator<Item = &dyn AnyDecoder> {
        self.0.decoders.iter().map(|decoder| &**decoder)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// The fold of a stream, by its category; at the state of a stream without events. `None` where no aggregate is known
    /// for the category.
    #[must_use]
    pub fn fold(&self, stream: &StreamName) -> Option<Fold<'_>> {
        self.fold_of(stream.category()).map(|fold| Fold::begin(fold, self, stream))
    }

    /// The categories whose streams can be folded, sorted.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.0.folds.keys().map(String::as_str)
    }

    /// How the streams of a category are folded.
    pub(super) fn fold_of(&self, category: &str) -> Option<&dyn AnyFold> {
        self.0.folds.get(category).map(|fold| &**fold)
    }

    /// Whether events of this enum can be decoded.
    #[must_use]
    pub fn has<E: Event>(&self) -> bool {
        self.0.numbers.contains_key(&TypeId::of::<E>())
    }

    /// An event ready to be appended: encoded, dressed, and with all its rules kept.
    ///
    /// # Errors
    ///
    /// * [`Encode`](ErrorKind::Encode): its payload cannot be written.
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): rules do not hold; the source is [`Faults`] and lists them all.
    pub fn encode<E: Event>(&self, event: &E) -> Result<NewEvent, Error> {
        let mut faults = Faults::default();
        let new = self.encode_within(event, |new| new, &mut faults)?;
        if faults.is_empty() {
            return Ok(new);
        }
        let act = format!("validating a `{}`", new.event_type().escape_debug());
        Err(Error::with_source(ErrorKind::InvalidArgument, act, faults))
    }

    /// An event encoded, dressed and completed by whoever appends it; the rules that do not hold then are added.
    pub(crate) fn encode_within<E: Event>(
        &self,
        event: &E,
        complete: impl FnOnce(NewEvent) -> NewEvent,
        faults: &mut Faults,
    ) -> Result<NewEvent, Error> {
        let new = complete(event.dress(event.encode()?));
        new.faults().for_each(|fault| faults.add_whole(fault));
        event.validate(faults);
        self.validate(&new, faults);
        Ok(new)
    }

    /// An event that is about to be appended, as it will be read.
    pub(crate) fn read_back<E: Event>(&self, event: &NewEvent) -> Result<E, Error> {
        self.decoder::<E>()?.read_back(event)
    }

    /// Whether this is the other one, and not just one like it.
    pub(super) fn is(&self, other: &Registry) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Adds every rule of a validator that does not hold for an event.
    pub fn validate(&self, event: &NewEvent, faults: &mut Faults) {
        let of_type = self.0.validators.of_type.get(event.event_type()).into_iter();
        of_type.flatten().for_each(|validator| validator(event, faults));
        for (key, validators) in &self.0.validators.of_tag {
            if event.tags().any(|(tag, _)| tag == key) {
                validators.iter().for_each(|validator| validator(event, faults));
            }
        }
    }

    /// What is known of an event type in this schema.
    #[must_use]
    pub fn exact(&self, event_type: &str, schema: u32) -> Option<&EventTypeInfo> {
        self.0.types.get(&EventShape::new(event_type, schema))
    }

    /// What is known of an event type in the highest schema that there is.
    #[must_use]
    pub fn newest(&self, event_type: &str) -> Option<&EventTypeInfo> {
        let schemas = EventShape::new(event_type, 0)..=EventShape::new(event_type, u32::MAX);
        self.0.types.range(schemas).next_back().map(|(_, info)| info)
    }

    /// All types and schemas that are known, sorted by type and schema.
    pub fn types(&self) -> impl Iterator<Item = &EventTypeInfo> {
        self.0.types.values()
    }
}

impl EventTypeInfo {
    /// Type and schema.
    #[must_use]
    pub fn shape(&self) -> &EventShape {
        &self.shape
    }

    /// The codec it is written in; `None` where it is only read, or is a shape of the past.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// The names of the enums that read it as it is; none for a shape of the past.
    #[must_use]
    pub fn events(&self) -> &[&'static str] {
        &self.events
    }
}

impl RegistryBuilder {
    /// Takes in all that an enum says of itself, its history too. Taking in an enum twice is the same as once.
    #[must_use]
    pub fn events<E: Event>(mut self) -> RegistryBuilder {
        let id = TypeId::of::<E>();
        if self.decoders.iter().all(|(known, _)| *known != id) {
            let (decoder, history) = Decoder::new(EventTypes::<E>::of());
            self.decoders.push((id, Box::new(decoder)));
            self.steps.extend(history);
        }
        self
    }

    /// The aggregate whose state the streams of a category have, its events with it: by it the tool shows states, which is
    /// why they must be serializable, and a whole log is checked.
    ///
    /// ```
    /// use scorebook::{Aggregate, EventContext, EventStore, ExpectedVersion, Event, Registry, StreamName};
    /// # scorebook::events! {
    /// #     /// What happens to a counter.
    /// #     pub enum Counted {
    /// #         /// It went up.
    /// #         Up(u32) = "counted_up", 1;
    /// #     }
    /// # }
    /// # impl Aggregate for Counter {
    /// #     type Event = Counted;
    /// #     type Command = ();
    /// #     type Refusal = ();
    /// #     fn new(_: &StreamName) -> Counter {
    /// #         Counter { count: 0 }
    /// #     }
    /// #     fn decide(&self, _: &()) -> Result<Vec<Counted>, ()> {
    /// #         Ok(Vec::new())
    /// #     }
    /// #     fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
    /// #         self.count += up;
    /// #     }
    /// # }
    /// #[derive(Clone, serde::Serialize)]
    /// struct Counter {
    ///     count: u32,
    /// }
    /// // impl Aggregate for Counter …
    ///
    /// let registry = Registry::builder().aggregate::<Counter>("counter").build()?;
    /// let store = EventStore::open_in_memory()?;
    /// let stream = StreamName::new("counter-7")?;
    /// let events = [Counted::Up(3).encode()?, Counted::Up(4).encode()?];
    /// store.append(&stream, ExpectedVersion::Any, events).wait().map_err(|error| error.into_error())?;
    ///
    /// let mut fold = registry.fold(&stream).expect("the category is known");
    /// for event in store.read(&stream) {
    ///     fold.apply(&event?)?;
    /// }
    /// assert_eq!(fold.json()?, r#"{"count":7}"#);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    #[must_use]
    pub fn aggregate<A: Aggregate + Serialize>(mut self, category: &str) -> RegistryBuilder {
        self.folds.push((category.to_owned(), Box::new(FoldOf::<A>::new())));
        self.events::<A::Event>()
    }

    /// How an event that was recorded in one shape becomes one of another, see [`EventTypes::step`].
    #[must_use]
    pub fn step<Old: DeserializeOwned, New: Serialize>(
        self,
        from: (&str, u32),
        to: (&str, u32),
        change: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> RegistryBuilder {
        self.try_step(from, to, move |old| Ok::<New, String>(change(old)))
    }

    /// A step that not every payload can take, see [`EventTypes::try_step`].
    #[must_use]
    pub fn try_step<Old: DeserializeOwned, New: Serialize, Fault: Display>(
        mut self,
        from: (&str, u32),
        to: (&str, u32),
        change: impl Fn(Old) -> Result<New, Fault> + Send + Sync + 'static,
    ) -> RegistryBuilder {
        self.steps.push(Step::one(from.into(), to.into(), change));
        self
    }

    /// A step on which the payload stays as it is, see [`EventTypes::rename`].
    #[must_use]
    pub fn rename(mut self, from: (&str, u32), to: (&str, u32)) -> RegistryBuilder {
        self.steps.push(Step::rename(from.into(), to.into()));
        self
    }

    /// A step that makes several events of one, or none, see [`EventTypes::split`].
    #[must_use]
    pub fn split<Old: DeserializeOwned>(
        mut self,
        from: (&str, u32),
        to: &[(&str, u32)],
        change: impl Fn(Old, &mut Split<'_>) + Send + Sync + 'static,
    ) -> RegistryBuilder {
        let to = to.iter().copied().map(EventShape::from).collect();
        self.steps.push(Step::split(from.into(), to, change));
        self
    }

    /// Events of this type and schema are of no interest any more, see [`EventTypes::discard`].
    #[must_use]
    pub fn discard(mut self, from: (&str, u32)) -> RegistryBuilder {
        self.steps.push(Step::discard(from.into()));
        self
    }

    /// Adds a rule for events of a type: it looks at each that is about to be appended, and adds what does not hold. The type
    /// must be one that something in the registry has, else [`build`](Self::build) refuses the rule.
    ///
    /// ```
    /// use scorebook::{Event, Registry};
    /// scorebook::events! {
    ///     /// What happens to a counter.
    ///     pub enum Counter {
    ///         /// It counted.
    ///         Counted(u32) = "counted", 1;
    ///     }
    /// }
    /// let registry = Registry::builder()
    ///     .events::<Counter>()
    ///     .validate_type("counted", |event, faults| {
    ///         faults.require(event.decode::<u32>().is_ok_and(|number| number < 100), "number", "must be below 100");
    ///         faults.require(event.tags().count() != 0, "tags", "are missing");
    ///     })
    ///     .build()?;
    /// let error = registry.encode(&Counter::Counted(100)).unwrap_err();
    /// let faults = std::error::Error::source(&error).map(ToString::to_string);
    /// assert_eq!(faults.as_deref(), Some("`number` must be below 100; `tags` are missing"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    #[must_use]
    pub fn validate_type(
        mut self,
        event_type: &str,
        validator: impl Fn(&NewEvent, &mut Faults) + Send + Sync + 'static,
    ) -> RegistryBuilder {
        self.validators.of_type.entry(event_type.to_owned()).or_default().push(Box::new(validator));
        self
    }

    /// Adds a rule for events that have a tag with this key, which must be one that a tag can have.
    #[must_use]
    pub fn validate_tag(
        mut self,
        key: &str,
        validator: impl Fn(&NewEvent, &mut Faults) + Send + Sync + 'static,
    ) -> RegistryBuilder {
        self.validators.of_tag.entry(key.to_owned()).or_default().push(Box::new(validator));
        self
    }

    /// Puts the registry together. `Ok` guarantees that from every shape which is named there is exactly one shortest way
    /// to something that is read, or it is discarded.
    ///
    /// # Errors
    ///
    /// * [`RegistryFaults`]: what is wrong, all of it.
    pub fn build(self) -> Result<Registry, RegistryFaults> {
        let RegistryBuilder { mut decoders, steps, validators, folds } = self;
        let shapes: Vec<&EventShape> = decoders.iter().flat_map(|(_, decoder)| decoder.shapes()).collect();
        let graph = Graph::new(shapes.iter().copied(), steps.iter().map(|step| (&step.from, &step.to[..])));
        let ways: Vec<Ways> =
            decoders.iter().map(|(_, decoder)| graph.ways(decoder.events(), decoder.shapes())).collect();

        let mut faults = soundness::name_faults(&graph);
        faults.extend(soundness::conflicts(&decoders));
        faults.extend(soundness::category_faults(&folds));
        faults.extend(graph.faults(shapes.iter().copied()));
        faults.extend(soundness::superfluous(&decoders, &steps, &graph, &ways));
        faults.extend(ways.iter().flat_map(|ways| ways.faults.iter().cloned()));
        faults.extend(soundness::rivals(&folds));
        faults.extend(soundness::idle_rules(&graph, validators.of_type.keys(), validators.of_tag.keys()));
        if !faults.is_empty() {
            return Err(RegistryFaults(faults));
        }
        let types = infos(&graph, &decoders);
        for ((_, decoder), ways) in decoders.iter_mut().zip(&ways) {
            decoder.set_ways(&graph, ways);
        }
        let numbers = decoders.iter().enumerate().map(|(number, (id, _))| (*id, number)).collect();
        let decoders = decoders.into_iter().map(|(_, decoder)| decoder).collect();
        let folds = folds.into_iter().collect();
        Ok(Registry(Arc::new(Known { types, decoders, numbers, steps, validators, folds })))
    }
}

fn infos(graph: &Graph, decoders: &Decoders) -> BTreeMap<EventShape, EventTypeInfo> {
    let none = |shape: &EventShape| EventTypeInfo { shape: shape.clone(), codec: None, events: Vec::new() };
    let mut infos: BTreeMap<EventShape, EventTypeInfo> =
        graph.shapes().iter().map(|shape| (shape.clone(), none(shape))).collect();
    for (_, decoder) in decoders {
        for described in decoder.described() {
            if let Some(info) = infos.get_mut(described.shape) {
                info.codec = info.codec.or(described.codec);
                info.events.push(decoder.events());
            }
        }
    }
    infos
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (enums, types, steps) = (self.0.decoders.len(), self.0.types.len(), self.0.steps.len());
        write!(f, "registry of {enums} enums, {types} shapes, {steps} steps")
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry of {} enums in the making", self.decoders.len())
    }
}
