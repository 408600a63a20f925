//! Enums of events: payloads come back exactly, what cannot be read is named, and rules are kept before anything is written.

use crate::support::{add, everywhere, name, read};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use scorebook::{
    Aggregate, Codec, Error, ErrorKind, Event, EventContext, EventShape, EventStore, EventTypes, Faults, NewEvent,
    RecordedEvent, Registry, RegistryFault, Snowflake, StreamName, Version, events,
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

// What comes back.

/// A day as a struct; moments are strings in the manner of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Day {
    year: i32,
    month: u8,
    day: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Move {
    Pass,
    Bet(u64),
    Show { cards: Vec<(char, u8)>, at: Option<Day> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    day: Day,
    moment: String,
    players: BTreeSet<Snowflake>,
    days: BTreeSet<Day>,
    stakes: BTreeMap<Snowflake, i64>,
    rounds: Vec<BTreeMap<String, Vec<Move>>>,
    least: i64,
    most: u64,
    wide: (i128, u128),
    ratio: f64,
    half: f32,
    note: Option<Option<String>>,
    raw: Vec<u8>,
    nothing: (),
}

events! {
    /// One payload with everything, in each codec.
    #[derive(Clone, Debug)]
    enum Told {
        /// As JSON.
        Json(Everything) = "everything", 1;
        /// As bincode.
        Packed(Box<Everything>) = "everything_packed", 3, Codec::Bincode;
        /// As bytes.
        Picture(Vec<u8>) = "picture", 1, Codec::Bytes;
    }
}

fn moments() -> impl Strategy<Value = String> {
    let parts = (0..10_000_u32, 1..=12_u32, 1..=28_u32, 0..86_400_u32, 0..1_000_000_000_u32);
    parts.prop_map(|(year, month, day, second, nano)| {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nano:09}Z")
    })
}

fn days() -> impl Strategy<Value = Day> {
    (any::<i32>(), 1..=12_u8, 1..=31_u8).prop_map(|(year, month, day)| Day { year, month, day })
}

fn snowflakes() -> impl Strategy<Value = Snowflake> {
    prop_oneof![any::<u64>(), Just::of(&[0, 1, (1 << 53) - 1, (1 << 53) + 1, u64::MAX])].prop_map(Snowflake::from)
}

/// The numbers at which formats go wrong.
struct Just;

impl Just {
    fn of<T: Copy + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
        (0..values.len()).prop_map(|index| values[index])
    }
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (0..1_u8).prop_map(|_| Move::Pass),
        any::<u64>().prop_map(Move::Bet),
        (vec(any::<(char, u8)>(), 0..4), option::of(days())).prop_map(|(cards, at)| Move::Show { cards, at }),
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    let edges =
        [0.0, -0.0, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::EPSILON, 0.1, 1e23, 9_007_199_254_740_993.0];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("JSON has no such number", |number| number.is_finite()),
        (0..edges.len()).prop_map(move |index| edges[index]),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let sets = (btree_set(snowflakes(), 0..5), btree_set(days(), 0..5), btree_map(snowflakes(), any::<i64>(), 0..5));
    let rounds = vec(btree_map(any::<String>(), vec(moves(), 0..3), 0..3), 0..3);
    let least = prop_oneof![any::<i64>(), Just::of(&[i64::MIN, -1, 0, i64::MAX])];
    let most = prop_oneof![any::<u64>(), Just::of(&[0, (1 << 53) + 1, u64::MAX])];
    let wide = prop_oneof![any::<(i128, u128)>(), Just::of(&[(i128::MIN, u128::MAX)])];
    let half =
        any::<u32>().prop_map(f32::from_bits).prop_filter("JSON has no such number", |number| number.is_finite());
    let numbers = (least, most, wide, floats(), half);
    let texts = (moments(), option::of(any::<String>()), vec(any::<u8>(), 0..40));
    (days(), sets, rounds, numbers, texts).prop_map(|(day, sets, rounds, numbers, texts)| {
        let (players, days, stakes) = sets;
        let (least, most, wide, ratio, half) = numbers;
        let (moment, note, raw) = texts;
        // JSON cannot tell nothing from something that is nothing.
        let note = note.map(Some);
        Everything {
            day,
            moment,
            players,
            days,
            stakes,
            rounds,
            least,
            most,
            wide,
            ratio,
            half,
            note,
            raw,
            nothing: (),
        }
    })
}

/// What comes back of an event that was appended.
fn there_and_back(store: &EventStore, registry: &Registry, event: &Told) -> (RecordedEvent, Vec<Told>) {
    let receipt = add(store, &name("all-1"), [registry.encode(event).expect("an event")]);
    let recorded = store.event_at(receipt.last_position()).expect("it was just appended");
    let events = registry.decode::<Told>(&recorded).expect("it was just encoded");
    assert_eq!(events.len(), 1);
    (recorded, events.collect())
}

#[test]
fn every_payload_comes_back_exactly_in_every_codec() {
    let registry = Registry::builder().events::<Told>().build().expect("a registry");
    let store = EventStore::open_in_memory().expect("a store");
    let config = Config { cases: 400, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&everything(), |given| {
        let (recorded, events) = there_and_back(&store, &registry, &Told::Json(given.clone()));
        let [Told::Json(back)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((recorded.codec(), recorded.schema()), (Codec::Json, 1));
        check_exact(&given, back);
        let (recorded, events) = there_and_back(&store, &registry, &Told::Packed(Box::new(given.clone())));
        let [Told::Packed(back)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((recorded.codec(), recorded.schema()), (Codec::Bincode, 3));
        check_exact(&given, back);
        let (recorded, events) = there_and_back(&store, &registry, &Told::Picture(given.raw.clone()));
        let [Told::Picture(back)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((recorded.codec(), recorded.data(), back), (Codec::Bytes, &given.raw[..], &given.raw));
        Ok(())
    });
    run.expect("nothing is changed on the way");
}

/// Zero and minus zero are equal and not the same.
fn check_exact(given: &Everything, back: &Everything) {
    assert_eq!(given, back);
    assert_eq!((given.ratio.to_bits(), given.half.to_bits()), (back.ratio.to_bits(), back.half.to_bits()));
}

#[test]
fn bincode_keeps_numbers_that_json_does_not_have() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let store = EventStore::open_in_memory().expect("a store");
        add(&store, &name("a"), [NewEvent::encoded("measured", Codec::Bincode, &number).expect("a number")]);
        let [recorded] = &read(store.read_all())[..] else { panic!("one event") };
        assert_eq!(recorded.decode::<f64>().expect("a number").to_bits(), number.to_bits());
    }
}

#[test]
fn snowflakes_stand_in_json_as_decimal_strings() {
    let event = NewEvent::json("joined", &BTreeMap::from([("player", Snowflake::from(u64::MAX))])).expect("JSON");
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), [event, NewEvent::json("joined", &BTreeMap::from([("player", 7_u64)])).expect("JSON")]);
    let [given, number] = &read(store.read_all())[..] else { panic!("two events") };
    assert_eq!(given.data(), br#"{"player":"18446744073709551615"}"#);
    let back = given.decode::<BTreeMap<String, Snowflake>>().expect("a map");
    assert_eq!(back["player"], Snowflake::from(u64::MAX));
    let refused = number.decode::<BTreeMap<String, Snowflake>>().expect_err("a number may have been rounded");
    check_tells(&refused, ErrorKind::Decode, &["`joined` at position 2", "may have been rounded"]);
}

// What is refused, by name.

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counted {
    number: u32,
    by: String,
}

events! {
    /// What happens to a counter.
    #[derive(Clone, Debug, PartialEq)]
    enum Counter {
        /// It counted.
        Counted(Counted) = "counted", 3;
        /// It was named.
        Named(String) = "named", 1, Codec::Bincode;
    }
    history = counter_history;
    dress = counter_tags;
    validate = counter_rules;
}

fn counter_history(types: &mut EventTypes<Counter>) {
    types
        .try_step(("counted", 1), ("counted", 2), |number: i64| match u32::try_from(number) {
            Ok(number) => Ok(number),
            Err(_) => Err(format!("{number} was never a number to count to")),
        })
        .step(("counted", 2), ("counted", 3), |number: u32| Counted { number, by: "nobody".to_owned() })
        .split(("both", 1), &[("counted", 2), ("named", 1)], |(number, name): (u32, String), out| {
            out.push("counted", 2, &number);
            if name == "undeclared" {
                out.push("counted", 3, &Counted { number, by: name });
            } else if !name.is_empty() {
                out.push("named", 1, &name);
            }
        })
        .rename(("called", 1), ("named", 1))
        .discard(("blinked", 1));
}

fn counter_tags(event: &Counter, new: NewEvent) -> NewEvent {
    match event {
        Counter::Counted(counted) => new.tag("by", &counted.by),
        Counter::Named(_) => new,
    }
}

fn counter_rules(event: &Counter, faults: &mut Faults) {
    match event {
        Counter::Counted(Counted { number, by }) => {
            faults.require(*number < 100, "number", "must be below 100");
            faults.require(!by.is_empty(), "by", "is empty");
        }
        Counter::Named(name) => faults.require(name.len() < 10, "name", format!("has {} bytes", name.len())),
    }
}

/// The error, with all that stands behind it, is of this kind and says these things.
fn check_tells(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    let told = format!("{error:?}");
    parts.iter().for_each(|part| assert!(told.contains(part), "`{told}` should say `{part}`"));
}

fn counter() -> Registry {
    Registry::builder().events::<Counter>().build().expect("a registry")
}

fn recorded(events: impl IntoIterator<Item = NewEvent>) -> Vec<RecordedEvent> {
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("counter-1"), events);
    read(store.read_all())
}

fn json(event_type: &str, schema: u32, json: &str) -> NewEvent {
    NewEvent::with_codec(event_type, Codec::Json, json.as_bytes().to_vec()).schema(schema)
}

fn counted(number: u32, by: &str) -> Counter {
    Counter::Counted(Counted { number, by: by.to_owned() })
}

#[test]
fn what_was_recorded_in_older_shapes_becomes_what_the_enum_has() {
    let check = |event: NewEvent, expected: &[Counter]| {
        let [event] = &recorded([event])[..] else { panic!("one event") };
        assert_eq!(counter().decode::<Counter>(event).expect("events").collect::<Vec<_>>(), expected, "{event:?}");
    };
    let named = |name: &str| Counter::Named(name.to_owned());
    check(json("counted", 3, r#"{"number":7,"by":"alice"}"#), &[counted(7, "alice")]);
    check(json("counted", 2, "7"), &[counted(7, "nobody")]);
    check(json("counted", 1, "7"), &[counted(7, "nobody")]);
    check(json("both", 1, r#"[7,"seven"]"#), &[counted(7, "nobody"), named("seven")]);
    check(json("both", 1, r#"[7,""]"#), &[counted(7, "nobody")]);
    check(json("called", 1, r#""seven""#), &[named("seven")]);
    check(json("blinked", 1, "what it holds is of no interest"), &[]);
    // Whatever a type is written in today, it is read in what it was recorded in.
    check(json("named", 1, r#""seven""#), &[named("seven")]);
    let packed = NewEvent::encoded("both", Codec::Bincode, &(7_u32, "seven")).expect("bincode");
    check(packed, &[counted(7, "nobody"), named("seven")]);
}

#[test]
fn what_cannot_be_decoded_is_named_with_its_position_and_step() {
    let check = |event: NewEvent, kind: ErrorKind, parts: &[&str]| {
        let blank = json("counted", 2, "1");
        let [_, event] = &recorded([blank, event])[..] else { panic!("two events") };
        let error = counter().decode::<Counter>(event).expect_err("it cannot be decoded");
        check_tells(&error, kind, parts);
        check_tells(&error, kind, &["at position 2", "Counter"]);
    };
    check(json("lost", 1, "1"), ErrorKind::UnknownType, &["`lost` (schema 1)", "the type is not known"]);
    check(json("counted", 4, "1"), ErrorKind::UnknownType, &["`counted` (schema 4)", "it knows schema 1, 2, 3"]);
    check(json("counted", 3, r#"{"number":7}"#), ErrorKind::Decode, &["`counted` (schema 3)", "missing field `by`"]);
    check(
        json("counted", 3, r#"{"number":"7","by":""}"#),
        ErrorKind::Decode,
        &["`counted` (schema 3)", "invalid type: string \"7\", expected u32"],
    );
    check(json("counted", 3, r#"{"number":7,"by":"#), ErrorKind::Decode, &["EOF while parsing"]);
    check(
        json("counted", 1, "true"),
        ErrorKind::Decode,
        &["`counted` (schema 1)", "the step from `counted` (schema 1) to `counted` (schema 2)", "expected i64"],
    );
    check(json("counted", 1, "-7"), ErrorKind::Decode, &["schema 1) to", "-7 was never a number to count to"]);
    check(json("both", 1, r#"[7,"undeclared"]"#), ErrorKind::Decode, &["handed out `counted` (schema 3)"]);
    check(json("called", 1, "7"), ErrorKind::Decode, &["`called` (schema 1)", "once it was `named` (schema 1)"]);
    let leftover = NewEvent::with_codec("named", Codec::Bincode, vec![1, b'x', 9]);
    check(leftover, ErrorKind::Decode, &["`named` (schema 1)", "1 of 3 bytes are left over"]);
    let huge = NewEvent::with_codec("named", Codec::Bincode, vec![253, 255, 255, 255, 255, 255, 255, 255, 255]);
    check(huge, ErrorKind::Decode, &["`named` (schema 1)"]);
    let foreign = NewEvent::with_codec("named", Codec::Other(77), vec![1]);
    check(foreign, ErrorKind::Decode, &["codec 77 is not one that payloads are written in here"]);
}

#[test]
fn what_cannot_be_encoded_is_named_with_its_type_and_codec() {
    let map = BTreeMap::from([((1, 2), 3)]);
    let error = NewEvent::encoded("mapped", Codec::Json, &map).expect_err("keys must be strings");
    check_tells(&error, ErrorKind::Encode, &["encoding the payload of a `mapped` as Json", "key must be a string"]);
    assert!(NewEvent::encoded("mapped", Codec::Bincode, &map).is_ok());
    let error = NewEvent::encoded("mapped", Codec::Bytes, &map).expect_err("a map is not bytes");
    check_tells(&error, ErrorKind::Encode, &["as Bytes", "a map is not bytes"]);
    let error = NewEvent::encoded("mapped", Codec::Other(9), &map).expect_err("a codec without a name");
    check_tells(&error, ErrorKind::Encode, &["as Other(9)", "codec 9 is not one that payloads are written in here"]);
}

#[test]
fn an_enum_that_is_not_in_the_registry_is_named() {
    let [event] = &recorded([json("counted", 2, "7")])[..] else { panic!("one event") };
    let error = counter().decode::<Told>(event).expect_err("it was never taken in");
    check_tells(&error, ErrorKind::InvalidArgument, &["Told is not in the registry"]);
    assert!(!counter().has::<Told>() && counter().has::<Counter>());
}

#[test]
fn types_are_looked_up_exactly_or_newest() {
    let registry = Registry::builder().events::<Counter>().events::<Told>().events::<Counter>().build().expect("one");
    let exact = registry.exact("counted", 3).expect("it is known");
    assert_eq!((exact.shape(), exact.codec()), (&EventShape::new("counted", 3), Some(Codec::Json)));
    assert!(exact.events().len() == 1 && exact.events()[0].ends_with("Counter"), "{exact:?}");
    assert_eq!(registry.newest("counted"), Some(exact));
    let past = registry.exact("counted", 1).expect("a shape of the past");
    assert_eq!((past.codec(), past.events()), (None, &[][..]));
    assert_eq!((registry.exact("counted", 4), registry.newest("count")), (None, None));
    let types: Vec<&EventShape> = registry.types().map(|info| info.shape()).collect();
    assert_eq!(types.len(), 10);
    assert!(types.is_sorted(), "{types:?}");
}

// Several enums over the same events.

/// Sees of a counter only who counted, and nothing of names.
#[derive(Debug, PartialEq)]
struct Counting(String);

impl Event for Counting {
    fn describe(types: &mut EventTypes<Counting>) {
        #[derive(Deserialize)]
        struct By {
            by: String,
        }
        types.view("counted", 3, |By { by }| Counting(by));
    }

    fn encode(&self) -> Result<NewEvent, Error> {
        NewEvent::json("counting_seen", &self.0)
    }
}

#[test]
fn a_view_reads_less_and_goes_the_same_ways() {
    let registry = Registry::builder().events::<Counter>().events::<Counting>().build().expect("a registry");
    let events = [json("counted", 1, "7"), json("both", 1, r#"[7,""]"#), json("both", 1, r#"[7,"seven"]"#)];
    let [first, plain, mixed] = &recorded(events)[..] else { panic!("three events") };
    let nobody = || vec![Counting("nobody".to_owned())];
    assert_eq!(registry.decode::<Counting>(first).expect("one").collect::<Vec<_>>(), nobody());
    assert_eq!(registry.decode::<Counting>(plain).expect("one").collect::<Vec<_>>(), nobody());
    // A part that the enum does not know is no less unknown than a whole event.
    let error = registry.decode::<Counting>(mixed).expect_err("the name is not known");
    check_tells(&error, ErrorKind::UnknownType, &["`both` (schema 1)", "position 3", "makes `named` (schema 1) of it"]);
    assert_eq!(registry.decode_known::<Counting>(mixed).expect("one").collect::<Vec<_>>(), nobody());
    let [named] = &recorded([json("named", 1, r#""x""#)])[..] else { panic!("one event") };
    assert_eq!(registry.decode_known::<Counting>(named).expect("none").count(), 0);
    assert_eq!(registry.decode::<Counting>(named).expect_err("unknown").kind(), ErrorKind::UnknownType);
}

// Rules.

#[test]
fn every_rule_that_does_not_hold_is_listed() {
    let registry = Registry::builder()
        .events::<Counter>()
        .validate_type("counted", |event, faults| {
            faults.require(event.event_type() != "counted", "type", "is refused by type");
        })
        .validate_tag("by", |_, faults| faults.add("by", "is refused by tag"))
        .validate_tag("other", |_, faults| faults.add("other", "is refused by another tag"))
        .build()
        .expect("a registry");
    let error = registry.encode(&counted(100, &"\u{1}".repeat(300))).expect_err("much is wrong");
    check_tells(&error, ErrorKind::InvalidArgument, &["validating a `counted`"]);
    let faults = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Faults>()).expect("faults");
    let told: Vec<(Option<&str>, &str)> = faults.iter().map(|fault| (fault.field(), fault.reason())).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].0.is_none() && told[0].1.starts_with("event `counted`: tag has a value of 300 bytes"), "{told:?}");
    let rest = [
        (Some("number"), "must be below 100"),
        (Some("type"), "is refused by type"),
        (Some("by"), "is refused by tag"),
    ];
    assert_eq!(told[1..], rest);
    assert!(registry.encode(&Counter::Named("seven".to_owned())).is_ok());
    let error = registry.encode(&Counter::Named("seven and eight".to_owned())).expect_err("it is long");
    check_tells(&error, ErrorKind::InvalidArgument, &["`name` has 15 bytes"]);
}

// A whole log.

#[test]
fn a_check_names_every_event_that_fails_and_counts_the_rest() {
    everywhere(|home| {
        let store = home.open();
        let registry = counter();
        let stream = name("counter-1");
        add(&store, &stream, [json("counted", 1, "7"), json("counted", 1, "-7"), json("counted", 3, "{}")]);
        add(&store, &name("other-1"), [NewEvent::bytes("drawn", [7]), json("counted", 9, "7"), json("blinked", 1, "")]);
        let report = registry.check(&store).expect("it can be read");
        let failures: Vec<(u64, u64, &StreamName, String)> = report
            .failures()
            .map(|failure| {
                let shape = failure.shape().to_string();
                (failure.position().get(), failure.version().get(), failure.stream(), shape)
            })
            .collect();
        let shape = |schema| format!("`counted` (schema {schema})");
        let other = name("other-1");
        let expected = [(2, 2, &stream, shape(1)), (3, 3, &stream, shape(3)), (5, 2, &other, shape(9))];
        assert_eq!(failures, expected);
        let shapes: Vec<(String, u64, u64, bool)> = report
            .shapes()
            .map(|shape| (shape.shape().to_string(), shape.events(), shape.failed(), shape.is_known()))
            .collect();
        let blinked = "`blinked` (schema 1)".to_owned();
        let drawn = "`drawn` (schema 1)".to_owned();
        let expected = [
            (blinked, 1, 0, true),
            (shape(1), 2, 1, true),
            (shape(3), 1, 1, true),
            (shape(9), 1, 1, false),
            (drawn, 1, 0, false),
        ];
        assert_eq!(shapes, expected);
        assert_eq!((report.events(), report.failed(), report.is_sound(), report.head().get()), (6, 3, false, 6));
        assert_eq!(report.to_string(), "6 events, 2 of them unknown, 0 streams folded, 3 failures");
    });
}

#[test]
fn a_step_that_panics_fails_its_event_and_not_the_check() {
    let registry = Registry::builder()
        .events::<Counter>()
        .step(("odd", 1), ("named", 1), |text: String| match text.as_str() {
            "panic" => panic!("odd indeed"),
            _ => text,
        })
        .build()
        .expect("a registry");
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), [json("odd", 1, r#""fine""#), json("odd", 1, r#""panic""#), json("odd", 1, r#""fine""#)]);
    let report = registry.check(&store).expect("it can be read");
    let [failure] = &report.failures().collect::<Vec<_>>()[..] else { panic!("{report}") };
    assert_eq!(failure.position().get(), 2);
    check_tells(failure.error(), ErrorKind::Decode, &["panicked at the `odd` at position 2", "odd indeed"]);
}

thread_local! {
    /// Where something is appended as soon as a [`Disturbed`] begins.
    static DISTURBED: RefCell<Option<EventStore>> = const { RefCell::new(None) };
}

/// Breaks the rule that an aggregate asks for nothing outside, so that a test knows when a check is under way.
#[derive(Clone, Serialize)]
struct Disturbed(u64);

impl Aggregate for Disturbed {
    type Event = Counter;
    type Command = ();
    type Refusal = ();

    fn new(stream: &StreamName) -> Disturbed {
        if let Some(store) = DISTURBED.take() {
            add(&store, stream, [json("counted", 1, "-7"), json("named", 1, r#""late""#)]);
        }
        Disturbed(0)
    }

    fn decide(&self, (): &()) -> Result<Vec<Counter>, ()> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _: &Counter, context: &EventContext<'_>) {
        assert!(context.version() == Version::FIRST, "what came later");
        self.0 += 1;
    }
}

#[test]
fn what_comes_while_a_check_runs_is_not_looked_at() {
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("counter-1"), [json("counted", 2, "7")]);
    DISTURBED.set(Some(store.clone()));
    let registry = Registry::builder().aggregate::<Disturbed>("counter").build().expect("a registry");
    let report = registry.check(&store).expect("it can be read");
    assert!(DISTURBED.take().is_none(), "nothing came");
    assert!(report.is_sound(), "{:?}", report.failures().collect::<Vec<_>>());
    assert_eq!((report.events(), report.head().get(), store.head().expect("a head").get()), (1, 1, 3));
}

// What is wrong with a registry, by name.

#[test]
fn names_that_no_event_can_have_are_refused() {
    let faults =
        Registry::builder().events::<Counter>().rename(("a type", 1), ("named", 1)).rename(("old", 0), ("named", 1));
    let faults: Vec<RegistryFault> = faults.build().expect_err("bad names").iter().cloned().collect();
    let reasons: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "`a type` (schema 1): the type `a type` holds more than A-Z a-z 0-9 . _ -",
            "`old` (schema 0): schemas are numbered from 1"
        ]
    );
}

#[test]
fn rules_that_nobody_would_ask_are_refused() {
    let never = |_: &NewEvent, faults: &mut Faults| faults.add_whole("it was asked");
    // A type of the past is asked about too: somebody may append it still.
    let sound = Registry::builder().events::<Counter>().validate_type("called", never).validate_tag("by", never);
    assert!(sound.build().is_ok());
    let builder = Registry::builder().events::<Counter>().validate_type("counted", never);
    let builder =
        builder.validate_type("counter", never).validate_type("counter", never).validate_type("a type", never);
    let faults = builder.validate_tag("a:b", never).validate_tag("", never).build().expect_err("idle rules");
    assert!(faults.iter().all(|fault| matches!(fault, RegistryFault::IdleRule { .. })), "{faults}");
    let idle = |rule: &str, reason: &str| format!("the rule for the {rule} would never be asked: {reason}");
    assert_eq!(
        faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            idle("type `a type`", "the type `a type` holds more than A-Z a-z 0-9 . _ -"),
            idle("type `counter`", "nothing in the registry has this type"),
            idle("tag ``", "the tag has a key of 0 bytes: it must have 1 to 64"),
            idle("tag `a:b`", "the tag has the key `a:b`, which holds `:`"),
        ]
    );
}

/// Counts too, in another way.
struct Rival;

impl Event for Rival {
    fn describe(types: &mut EventTypes<Rival>) {
        types.variant("counted", 3, Codec::Bincode, |_: u8| Rival).variant("mine", 1, Codec::Json, |()| Rival);
        types.view("mine", 1, |()| Rival);
    }

    fn encode(&self) -> Result<NewEvent, Error> {
        NewEvent::json("mine", &())
    }
}

#[test]
fn two_that_write_one_shape_differently_are_refused() {
    let faults = Registry::builder().events::<Counter>().events::<Rival>().build().expect_err("they differ");
    let told = faults.to_string();
    let faults: Vec<&RegistryFault> = faults.iter().collect();
    let [RegistryFault::Conflict { shape, first, second }, RegistryFault::Conflict { shape: own, .. }] = faults[..]
    else {
        panic!("{told}")
    };
    assert_eq!((shape.to_string(), own.to_string()), ("`counted` (schema 3)".into(), "`mine` (schema 1)".into()));
    assert!(first.contains("Counter writes") && first.ends_with("Counted as Json"), "{first}");
    assert!(second.contains("Rival writes u8 as Bincode"), "{second}");
}

#[test]
fn an_error_of_a_registry_lists_all_of_it() {
    let builder = Registry::builder()
        .events::<Counter>()
        .rename(("a", 1), ("b", 1))
        .rename(("b", 1), ("a", 1))
        .rename(("counted", 3), ("named", 1))
        .rename(("x", 2), ("x", 1))
        .discard(("x", 1))
        .discard(("x", 1));
    let faults = builder.build().expect_err("much is wrong");
    let error = Error::from(faults.clone());
    check_tells(&error, ErrorKind::InvalidArgument, &["building a registry", "in a circle"]);
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let has = |part: &str| assert!(told.iter().any(|told| told.contains(part)), "{part}: {told:#?}");
    has("`x` (schema 1) is discarded twice");
    has("steps lead in a circle: `a` (schema 1) -> `b` (schema 1) -> `a` (schema 1)");
    has("steps lead from `x` (schema 2) down to `x` (schema 1)");
    has("no steps lead from `a` (schema 1) to anything that is read");
    has("Counter reads `counted` (schema 3) as it is: the step to `named` (schema 1) would never be taken");
}
