//! A whole log held against a registry: what in it cannot be decoded, led on or folded.

use super::caught::caught;
use super::fold::Fold;
use super::registry::Registry;
use super::shape::EventShape;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::name::{StreamName, category};
use crate::position::{Position, Version};
use crate::store::{CarriedState, EventStore};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many failures a report keeps; of more it knows the number only.
const FAILURES_MAX: usize = 1_000;

/// What a registry makes of a log: how many events there are of each shape, and each that failed.
#[derive(Clone, Debug)]
pub struct CheckReport {
    shapes: Vec<CheckedShape>,
    failures: Vec<CheckFailure>,
    failed: u64,
    streams: u64,
    head: Position,
}

/// How many events of a shape there are in a log, and what became of them.
#[derive(Clone, Debug)]
pub struct CheckedShape {
    shape: EventShape,
    events: u64,
    failed: u64,
    is_known: bool,
}

/// An event that a registry cannot take.
#[derive(Clone, Debug)]
pub struct CheckFailure {
    position: Position,
    stream: StreamName,
    version: Version,
    shape: EventShape,
    error: Error,
}

impl Registry {
    /// Holds the whole log of a store against the registry and changes nothing: every event is decoded by every enum that
    /// knows its shape, on the way it takes there, and every stream whose category has an aggregate is folded.
    ///
    /// A type that no enum knows is counted and no failure; one that is known in other schemas only is. What was appended after
    /// the beginning is not looked at. A panic of a step or a fold counts as the failure of that event.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, Registry, StreamName};
    /// scorebook::events! {
    ///     /// What happens to a counter.
    ///     pub enum Counter {
    ///         /// It counted.
    ///         Counted(u32) = "counted", 1;
    ///     }
    /// }
    /// let registry = Registry::builder().events::<Counter>().build()?;
    /// let store = EventStore::open_in_memory()?;
    /// let events = [NewEvent::json("counted", &7)?, NewEvent::json("counted", "seven")?, NewEvent::bytes("drawn", [7])];
    /// let append = store.append(&StreamName::new("counter-1")?, ExpectedVersion::Any, events);
    /// append.wait().map_err(|error| error.into_error())?;
    ///
    /// let report = registry.check(&store)?;
    /// let failures: Vec<u64> = report.failures().map(|failure| failure.position().get()).collect();
    /// assert_eq!(failures, [2]);
    /// let unknown: Vec<String> = report.unknown().map(|shape| shape.shape().to_string()).collect();
    /// assert_eq!(unknown, ["`drawn` (schema 1)"]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost), [`Io`](ErrorKind::Io): the log cannot be read to its
    ///   end; what was found before is not told.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn check(&self, store: &EventStore) -> Result<CheckReport, Error> {
        let mut check = Check {
            registry: self,
            shapes: BTreeMap::new(),
            folded: BTreeSet::new(),
            failures: Vec::new(),
            failed: 0,
            head: store.head()?,
        };
        for event in store.read_all().to(check.head) {
            check.decode(&event?);
        }
        let folded = std::mem::take(&mut check.folded);
        for (stream, fold) in folded.iter().filter_map(|stream| Some((stream, self.fold(stream)?))) {
            check.fold(store, stream, fold)?;
        }
        Ok(check.report(folded.len() as u64))
    }
}

/// A log that is being looked at.
struct Check<'a> {
    registry: &'a Registry,
    shapes: BTreeMap<EventShape, CheckedShape>,
    /// The streams that are to be folded.
    folded: BTreeSet<StreamName>,
    failures: Vec<CheckFailure>,
    failed: u64,
    head: Position,
}

impl Check<'_> {
    fn decode(&mut self, event: &RecordedEvent) {
        if self.registry.fold_of(category(event.stream())).is_some() {
            self.folded.insert(event.stream_name());
        }
        let (is_known, failure) = self.outcome(event);
        let shape = event.shape();
        let none = || CheckedShape { shape: shape.clone(), events: 0, failed: 0, is_known };
        let checked = self.shapes.entry(shape.clone()).or_insert_with(none);
        checked.events += 1;
        checked.failed += u64::from(failure.is_some());
        if let Some(error) = failure {
            self.fail(event, shape, error);
        }
    }

    /// Whether any enum knows an event, and the first that it fails in.
    fn outcome(&self, event: &RecordedEvent) -> (bool, Option<Error>) {
        let (mut is_known, mut failure) = (false, None);
        for decoder in self.registry.decoders() {
            match caught(|| event_place(event), || decoder.count(self.registry.steps(), event).transpose()) {
                Ok(None) => {}
                Ok(Some(_)) => is_known = true,
                Err(error) => {
                    is_known = true;
                    failure.get_or_insert(error);
                }
            }
        }
        // A type in a schema that nothing leads on from, such as one that newer code has written, is not just of others.
        if !is_known && self.registry.newest(event.event_type()).is_some() {
            let act = format!("decoding the {} at position {}: the type is known", event.shape(), event.position());
            let act = format!("{act} in other schemas, and no step leads on from this one");
            failure = Some(Error::new(ErrorKind::UnknownType, act));
        }
        (is_known, failure)
    }

    /// Folds a stream, as far as the log went when the check began, up to the first event that cannot be folded.
    fn fold(&mut self, store: &EventStore, stream: &StreamName, mut fold: Fold<'_>) -> Result<(), Error> {
        let mut read = store.read(stream);
        let begun = fold.begin_in(store);
        match &begun {
            Ok(()) if fold.version() != Version::NONE => read = read.after(fold.version()),
            Ok(()) => {}
            // Nothing of it is read by its name.
            Err(error) if error.kind() == ErrorKind::Deleted => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::BelowFloor | ErrorKind::Decode) => {
                if let Some(carried) = store.carried_state(stream)?.filter(|of| of.position() <= self.head) {
                    self.fail_carried(&carried, fold.aggregate(), error);
                    return Ok(());
                }
            }
            Err(error) => return Err(error.clone()),
        }
        for event in read {
            let event = event?;
            if self.head < event.position() {
                break;
            }
            if let Err(error) = begun.clone().and_then(|()| fold.apply(&event)) {
                // What cannot be decoded was told before.
                if self.outcome(&event).1.is_none() {
                    let act = format!("folding stream {stream} as {} at version {}", fold.aggregate(), event.version());
                    self.fail(&event, event.shape(), Error::with_source(error.kind(), act, error));
                }
                break;
            }
        }
        Ok(())
    }

    fn fail(&mut self, event: &RecordedEvent, shape: EventShape, error: Error) {
        let (position, stream, version) = (event.position(), event.stream_name(), event.version());
        self.note(CheckFailure { position, stream, version, shape, error });
    }

    /// The state that a stream begins with cannot be used.
    fn fail_carried(&mut self, carried: &CarriedState, aggregate: &str, error: &Error) {
        let (position, stream, version) = (carried.position(), carried.stream().clone(), carried.version());
        let shape = EventShape::new(carried.fold(), carried.schema());
        let act = format!("folding stream {stream} as {aggregate} from the state that it begins with");
        let error = Error::with_source(error.kind(), act, error.clone());
        self.note(CheckFailure { position, stream, version, shape, error });
    }

    fn note(&mut self, failure: CheckFailure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    fn report(mut self, streams: u64) -> CheckReport {
        self.failures.sort_by_key(|failure| failure.position);
        CheckReport {
            shapes: self.shapes.into_values().collect(),
            failures: self.failures,
            failed: self.failed,
            streams,
            head: self.head,
        }
    }
}

/// Where a step or a fold was run, for an error.
pub(super) fn event_place(event: &RecordedEvent) -> String {
    format!("at the `{}` at position {}", event.event_type(), event.position())
}

impl CheckReport {
    /// Whether nothing failed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.failed == 0
    }

    /// How many events were looked at.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shapes.iter().map(|shape| shape.events).sum()
    }

    /// How many streams were folded.
    #[must_use]
    pub fn folded_streams(&self) -> u64 {
        self.streams
    }

    /// The last position that was looked at.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    /// How many failures there are.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The failures, in the order of the positions: the first 1,000 that were found. An event that cannot be decoded fails
    /// once, however many enums and folds it fails in; a fold ends with its first failure.
    pub fn failures(&self) -> impl Iterator<Item = &CheckFailure> {
        self.failures.iter()
    }

    /// What there is in the log, sorted by type and schema.
    pub fn shapes(&self) -> impl Iterator<Item = &CheckedShape> {
        self.shapes.iter()
    }

    /// What there is in the log and no enum knows.
    pub fn unknown(&self) -> impl Iterator<Item = &CheckedShape> {
        self.shapes.iter().filter(|shape| !shape.is_known)
    }
}

impl CheckedShape {
    /// Type and schema.
    #[must_use]
    pub fn shape(&self) -> &EventShape {
        &self.shape
    }

    /// How many events have it.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many of them could not be decoded.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Whether an enum knows it, as it is or by steps.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }
}

impl CheckFailure {
    /// The position of the event; where the stream begins with a state that cannot be used, of the last event in that. So is
    /// the version.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The stream of the event.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The event's version in its stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The type and schema it was recorded with; of such a state its fold and schema.
    #[must_use]
    pub fn shape(&self) -> &EventShape {
        &self.shape
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown: u64 = self.unknown().map(CheckedShape::events).sum();
        let (events, failed, streams) = (self.events(), self.failed, self.streams);
        write!(f, "{events} events, {unknown} of them unknown, {streams} streams folded, {failed} failures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::modelling::{Aggregate, EventContext};
    use crate::position::ExpectedVersion;

    crate::events! {
        #[derive(Debug)]
        enum Counter {
            Counted(u32) = "counted", 1;
        }
    }

    /// Adds up to a hundred.
    #[derive(Clone, serde::Serialize)]
    struct Sum<const OTHER: bool>(u32);

    impl<const OTHER: bool> Aggregate for Sum<OTHER> {
        type Event = Counter;
        type Command = ();
        type Refusal = ();

        fn new(_: &StreamName) -> Self {
            Sum(0)
        }

        fn decide(&self, _: &()) -> Result<Vec<Counter>, ()> {
            Ok(Vec::new())
        }

        fn apply(&mut self, Counter::Counted(number): &Counter, _: &EventContext<'_>) {
            self.0 += number;
            assert!(self.0 < 100, "the sum is {}", self.0);
        }
    }

    #[test]
    fn a_fold_that_fails_or_panics_is_told_once_with_its_event() {
        let store = EventStore::open_in_memory().expect("a store");
        let append = |stream: &str, payloads: &[&str]| {
            let event = |json: &&str| {
                let event_type = if *json == "13" { "drawn" } else { "counted" };
                NewEvent::with_codec(event_type, crate::event::Codec::Json, json.as_bytes().to_vec())
            };
            let stream = StreamName::new(stream).expect("a name");
            let events = payloads.iter().map(event);
            store.append(&stream, ExpectedVersion::Any, events).wait().expect("a receipt");
        };
        append("sum-1", &["1", "2"]);
        append("sum-2", &["1", "13", "13"]);
        append("sum-3", &["60", "50", "70"]);
        append("sum-4", &["null", "13"]);
        append("other-1", &["13"]);
        let registry = Registry::builder().aggregate::<Sum<false>>("sum").build().expect("a registry");
        let report = registry.check(&store).expect("it can be read");
        let failures: Vec<(u64, String)> =
            report.failures().map(|failure| (failure.position().get(), format!("{:?}", failure.error()))).collect();
        assert_eq!(failures.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [4, 7, 9], "{failures:?}");
        assert!(failures[0].1.contains("folding stream sum-2 as"), "{failures:?}");
        assert!(failures[0].1.contains("at version 2: decoding the `drawn`"), "{failures:?}");
        assert!(failures[1].1.contains("panicked at the `counted` at position 7: the sum is 110"), "{failures:?}");
        assert!(failures[2].1.contains("expected u32"), "{failures:?}");
        assert_eq!(report.to_string(), "11 events, 4 of them unknown, 4 streams folded, 3 failures");
    }

    #[test]
    fn two_aggregates_of_one_category_are_refused() {
        let builder = Registry::builder().aggregate::<Sum<false>>("sum").aggregate::<Sum<true>>("sum");
        let told = builder.build().expect_err("two of them").to_string();
        assert!(told.starts_with("the streams of category `sum` are folded twice: by "), "{told}");
    }
}
