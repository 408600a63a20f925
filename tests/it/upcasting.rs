//! The ways that events take over steps, against a search that knows nothing of how the registry looks for them: it goes
//! every path there is.

use crate::model::{Chance, Choices};
use crate::support::{add, name, read};
use scorebook::{
    Codec, Error, ErrorKind, Event, EventShape, EventStore, EventTypes, NewEvent, RecordedEvent, Registry,
    RegistryBuilder, RegistryFault,
};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Three types with three schemas each: small enough for every path.
const SHAPES: [(&str, u32); 9] =
    [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3), ("c", 1), ("c", 2), ("c", 3)];

/// A step by the numbers of its shapes: one end, none where it discards, several where it splits.
#[derive(Clone, Debug)]
struct Arrow {
    from: usize,
    to: Vec<usize>,
}

/// What two enums read, and the steps.
#[derive(Clone, Debug, Default)]
struct Given {
    reads: [BTreeSet<usize>; 2],
    steps: Vec<Arrow>,
}

thread_local! {
    /// An enum says what it reads without being asked about a case: the case stands here.
    static READS: RefCell<[BTreeSet<usize>; 2]> = RefCell::default();
}

/// An event that remembers the shapes it has been.
struct Traced<const NUMBER: usize>(Vec<usize>);

impl<const NUMBER: usize> Event for Traced<NUMBER> {
    fn describe(types: &mut EventTypes<Traced<NUMBER>>) {
        READS.with_borrow(|reads| {
            for shape in &reads[NUMBER] {
                let (event_type, schema) = SHAPES[*shape];
                types.variant(event_type, schema, Codec::Json, Traced);
            }
        });
    }

    fn encode(&self) -> Result<NewEvent, Error> {
        NewEvent::json("traced", &self.0)
    }
}

fn builder(given: &Given) -> RegistryBuilder {
    READS.with_borrow_mut(|reads| reads.clone_from(&given.reads));
    let mut builder = Registry::builder().events::<Traced<0>>().events::<Traced<1>>();
    for Arrow { from, to } in given.steps.iter().cloned() {
        builder = match to[..] {
            [] => builder.discard(SHAPES[from]),
            [to] => builder.step(SHAPES[from], SHAPES[to], move |mut path: Vec<usize>| {
                path.push(to);
                path
            }),
            _ => {
                let ends: Vec<(&str, u32)> = to.iter().map(|to| SHAPES[*to]).collect();
                builder.split(SHAPES[from], &ends, move |path: Vec<usize>, out| {
                    for to in &to {
                        let (event_type, schema) = SHAPES[*to];
                        out.push(event_type, schema, &[&path[..], &[*to]].concat());
                    }
                })
            }
        };
    }
    builder
}

/// An event of every shape, whose payload is the path that it has behind it.
fn one_of_each() -> Vec<RecordedEvent> {
    let store = EventStore::open_in_memory().expect("a store");
    let events = SHAPES
        .iter()
        .enumerate()
        .map(|(number, (event_type, schema))| NewEvent::json(event_type, &[number]).expect("a path").schema(*schema));
    add(&store, &name("all"), events);
    read(store.read_all())
}

// The search that goes every path.

impl Given {
    /// Every path over steps with one end that begins at a shape, ends where `is_end` says so and passes no shape twice. It
    /// goes no further where it has come to an end.
    fn paths(&self, from: usize, is_end: &dyn Fn(usize) -> bool) -> Vec<Vec<usize>> {
        let mut found = Vec::new();
        let mut open = vec![vec![from]];
        while let Some(path) = open.pop() {
            let last = path[path.len() - 1];
            if is_end(last) {
                found.push(path);
                continue;
            }
            for step in self.steps.iter().filter(|step| step.from == last) {
                for to in step.to.iter().filter(|to| !path.contains(to)) {
                    open.push([&path[..], &[*to]].concat());
                }
            }
        }
        found
    }

    /// The shortest paths to what an enum reads, each once.
    fn shortest(&self, from: usize, events: usize) -> BTreeSet<Vec<usize>> {
        let paths = self.paths(from, &|shape| self.reads[events].contains(&shape));
        let least = paths.iter().map(Vec::len).min().unwrap_or(0);
        paths.into_iter().filter(|path| path.len() == least).collect()
    }

    /// Whether steps lead from one shape to another, at least one.
    fn leads(&self, from: usize, to: usize) -> bool {
        let firsts = self.steps.iter().filter(|step| step.from == from).flat_map(|step| step.to.iter().copied());
        firsts.into_iter().any(|first| !self.paths(first, &|shape| shape == to).is_empty())
    }

    fn shapes(&self) -> BTreeSet<usize> {
        let of_steps = self.steps.iter().flat_map(|step| step.to.iter().copied().chain([step.from]));
        self.reads.iter().flatten().copied().chain(of_steps).collect()
    }

    fn reaches_cycle(&self, shape: usize) -> bool {
        (0..SHAPES.len()).any(|on| self.leads(on, on) && (on == shape || self.leads(shape, on)))
    }

    /// The shapes from which nothing leads on.
    fn dead_ends(&self) -> BTreeSet<usize> {
        let is_end = |shape: usize| {
            let is_discarded = self.steps.iter().any(|step| step.from == shape && step.to.is_empty());
            is_discarded || self.reads.iter().any(|reads| reads.contains(&shape))
        };
        self.shapes().into_iter().filter(|shape| self.paths(*shape, &is_end).is_empty()).collect()
    }

    /// Whether some way from a shape ends where events are discarded.
    fn is_discarded(&self, shape: usize) -> bool {
        let discards = |shape| self.steps.iter().any(|step| step.from == shape && step.to.is_empty());
        !self.paths(shape, &discards).is_empty()
    }

    /// Pairs of a type's shapes, where steps lead from the first to the second, which is no higher, and not back.
    fn downgrades(&self) -> BTreeSet<(usize, usize)> {
        let pairs = (0..SHAPES.len()).flat_map(|from| (0..SHAPES.len()).map(move |to| (from, to)));
        let is_down = |(from, to): &(usize, usize)| {
            let is_lower = SHAPES[*from].0 == SHAPES[*to].0 && SHAPES[*to].1 <= SHAPES[*from].1;
            let is_itself = from == to && self.steps.iter().any(|step| step.from == *from && step.to.contains(from));
            is_lower && (is_itself || from != to && self.leads(*from, *to) && !self.leads(*to, *from))
        };
        pairs.filter(is_down).collect()
    }

    /// Shapes where two steps have one end in common, or both discard.
    fn doubles(&self) -> BTreeSet<(usize, Option<usize>)> {
        let mut doubles = BTreeSet::new();
        for (number, one) in self.steps.iter().enumerate() {
            for other in self.steps[..number].iter().filter(|other| other.from == one.from) {
                if one.to.is_empty() && other.to.is_empty() {
                    doubles.insert((one.from, None));
                }
                let common = one.to.iter().filter(|to| other.to.contains(to));
                doubles.extend(common.map(|to| (one.from, Some(*to))));
            }
        }
        doubles
    }
}

fn number_of(shape: &EventShape) -> usize {
    let is_it = |known: &(&str, u32)| *known == (shape.event_type(), shape.schema());
    SHAPES.iter().position(is_it).expect("a shape of the test")
}

fn numbers_of(shapes: &[EventShape]) -> Vec<usize> {
    shapes.iter().map(number_of).collect()
}

/// The faults hold against the search, each and all of them.
fn check_faults(given: &Given, faults: &[RegistryFault]) {
    let (mut doubles, mut dead, mut down) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut cycles, mut ambiguous) = (0, BTreeSet::new());
    for fault in faults {
        match fault {
            RegistryFault::ConflictingSteps { from, to } => {
                assert!(
                    doubles.insert((number_of(from), to.as_ref().map(number_of))),
                    "{given:?}: told twice: {fault}"
                );
            }
            RegistryFault::NoPath { shape } => assert!(dead.insert(number_of(shape)), "{given:?}: {fault}"),
            RegistryFault::Downgrade { from, to } => {
                assert!(down.insert((number_of(from), number_of(to))), "{given:?}: {fault}");
            }
            RegistryFault::Cycle { shapes } => {
                cycles += 1;
                let shapes = numbers_of(shapes);
                let nexts = shapes.iter().skip(1).chain(shapes.first());
                for (from, to) in shapes.iter().zip(nexts) {
                    let is_step = |step: &Arrow| step.from == *from && step.to.contains(to);
                    assert!(given.steps.iter().any(is_step), "{given:?}: {fault}");
                }
            }
            RegistryFault::Ambiguous { events, first, second } => {
                let events = usize::from(events.ends_with("<1>"));
                let (first, second) = (numbers_of(first), numbers_of(second));
                let shortest = given.shortest(first[0], events);
                assert!(
                    first != second && shortest.contains(&first) && shortest.contains(&second),
                    "{given:?}: {fault}"
                );
                ambiguous.insert((first[0], events));
            }
            RegistryFault::Superfluous { from, events, .. } => {
                let events = usize::from(events.ends_with("<1>"));
                assert!(given.reads[events].contains(&number_of(from)), "{given:?}: {fault}");
            }
            _ => panic!("{given:?}: {fault}"),
        }
    }
    assert_eq!(doubles, given.doubles(), "{given:?}");
    assert_eq!(dead, given.dead_ends(), "{given:?}");
    assert_eq!(down, given.downgrades(), "{given:?}");
    let is_long_cycle = |on: usize| (0..SHAPES.len()).any(|to| to != on && given.leads(on, to) && given.leads(to, on));
    assert_eq!(cycles != 0, (0..SHAPES.len()).any(is_long_cycle), "{given:?}");
    // Told at the shape where two ways part; whoever comes there is in doubt too.
    for events in 0..2 {
        let doubtful = |shape: &usize| !given.reaches_cycle(*shape) && 1 < given.shortest(*shape, events).len();
        for shape in given.shapes().into_iter().filter(doubtful) {
            let is_told = ambiguous.iter().any(|(at, of)| *of == events && (*at == shape || given.leads(shape, *at)));
            assert!(is_told, "{given:?}: from {shape}");
        }
    }
}

/// Events go where the search has gone.
fn check_ways(given: &Given, registry: &Registry, events: &[RecordedEvent]) -> usize {
    let mut steps = 0;
    for (shape, event) in events.iter().enumerate() {
        steps += check_way::<0>(given, registry, shape, event) + check_way::<1>(given, registry, shape, event);
    }
    steps
}

fn check_way<const NUMBER: usize>(given: &Given, registry: &Registry, shape: usize, event: &RecordedEvent) -> usize {
    let way =
        registry.decode::<Traced<NUMBER>>(event).map(|events| events.map(|Traced(path)| path).collect::<Vec<_>>());
    let shortest = given.shortest(shape, NUMBER);
    assert!(shortest.len() <= 1, "{given:?}: an ambiguous registry was built");
    match (way, &shortest.into_iter().collect::<Vec<_>>()[..]) {
        (Ok(paths), [shortest]) => {
            assert_eq!(paths, std::slice::from_ref(shortest), "{given:?}");
            shortest.len() - 1
        }
        // What leads to nothing that is read comes to nothing where it is discarded on some way.
        (Ok(paths), []) => {
            assert!(paths.is_empty() && given.is_discarded(shape), "{given:?}: {shape}");
            0
        }
        (Err(error), []) => {
            assert!(error.kind() == ErrorKind::UnknownType && !given.is_discarded(shape), "{given:?}: {shape}");
            0
        }
        (way, _) => panic!("{given:?}: {shape}: {way:?}"),
    }
}

/// A case: now and then with steps that lead anywhere, most times with steps that lead up to where there is a way already.
fn make(chance: &mut Chance) -> Given {
    let mut given = Given::default();
    for reads in &mut given.reads {
        reads.extend((0..1 + chance.below(3)).map(|_| chance.below(SHAPES.len())));
    }
    let is_wild = chance.one_in(3);
    for _ in 0..1 + chance.below(7) {
        let from = chance.below(SHAPES.len());
        let is_read = given.reads.iter().any(|reads| reads.contains(&from));
        let ends: Vec<usize> = match is_wild {
            true => (0..SHAPES.len()).collect(),
            false => given.shapes().into_iter().filter(|shape| from < *shape).collect(),
        };
        if !is_wild && (is_read || ends.is_empty()) {
            continue;
        }
        let to = if chance.one_in(6) { Vec::new() } else { vec![*chance.pick(&ends)] };
        given.steps.push(Arrow { from, to });
    }
    given
}

#[test]
fn every_event_takes_the_only_shortest_path_and_every_fault_is_told() {
    let events = one_of_each();
    let mut chance = Chance(17);
    let (mut built, mut refused, mut steps) = (0, 0, 0);
    for _ in 0..4_000 {
        let given = make(&mut chance);
        match builder(&given).build() {
            Ok(registry) => {
                built += 1;
                check_faults(&given, &[]);
                steps += check_ways(&given, &registry, &events);
            }
            Err(faults) => {
                refused += 1;
                check_faults(&given, &faults.iter().cloned().collect::<Vec<_>>());
            }
        }
    }
    assert!(400 < built && 400 < refused && 800 < steps, "{built} built, {refused} refused, {steps} steps");
}

// Splits, told one by one.

fn shape(shape: (&str, u32)) -> usize {
    SHAPES.iter().position(|known| *known == shape).expect("a shape of the test")
}

/// A shape, as the registry is told it.
type Named<'a> = (&'a str, u32);

fn given(reads: &[Named<'_>], others: &[Named<'_>], steps: &[(Named<'_>, &[Named<'_>])]) -> Given {
    let numbers = |shapes: &[Named<'_>]| shapes.iter().copied().map(shape).collect();
    let arrow = |(from, to): &(Named<'_>, &[Named<'_>])| Arrow {
        from: shape(*from),
        to: to.iter().copied().map(shape).collect(),
    };
    Given { reads: [numbers(reads), numbers(others)], steps: steps.iter().map(arrow).collect() }
}

fn check_paths(given: &Given, from: Named<'_>, expected: &[&[Named<'_>]]) {
    let registry = builder(given).build().expect("a registry");
    let event = &one_of_each()[shape(from)];
    let paths: Vec<Vec<usize>> =
        registry.decode::<Traced<0>>(event).expect("events").map(|Traced(path)| path).collect();
    let expected: Vec<Vec<usize>> = expected.iter().map(|path| path.iter().copied().map(shape).collect()).collect();
    assert_eq!(paths, expected, "{given:?}");
}

#[test]
fn a_shorter_way_decides_in_whatever_order_it_is_told() {
    let steps: [(Named<'_>, Named<'_>); 5] =
        [(("a", 1), ("b", 1)), (("a", 1), ("c", 1)), (("a", 1), ("x", 1)), (("b", 1), ("x", 1)), (("c", 1), ("x", 1))];
    scorebook::events! {
        enum Read {
            It(u32) = "x", 1;
        }
    }
    for first in 0..steps.len() {
        let order = steps.iter().cycle().skip(first).take(steps.len());
        let builder =
            order.fold(Registry::builder().events::<Read>(), |builder, (from, to)| builder.rename(*from, *to));
        let told = builder.build().map(|_| ()).map_err(|faults| faults.to_string());
        assert_eq!(told, Ok(()), "beginning with step {first}");
        // Without the short one nothing says which of the others it is.
        let order = steps.iter().filter(|step| step.1 != ("x", 1) || step.0 != ("a", 1)).cycle().skip(first).take(4);
        let builder =
            order.fold(Registry::builder().events::<Read>(), |builder, (from, to)| builder.rename(*from, *to));
        let faults = builder.build().map(|_| ()).expect_err("two ways are the shortest");
        let is_it = |fault: &RegistryFault| matches!(fault, RegistryFault::Ambiguous { .. });
        assert!(faults.iter().count() == 1 && faults.iter().all(is_it), "{faults}");
    }
}

#[test]
fn every_part_of_a_split_goes_its_own_way() {
    let ways: &[(_, &[_])] = &[(("a", 1), &[("b", 1), ("c", 1)]), (("b", 1), &[("b", 2)]), (("b", 2), &[("b", 3)])];
    let all = given(&[("b", 3), ("c", 1)], &[], ways);
    let long = [("a", 1), ("b", 1), ("b", 2), ("b", 3)];
    check_paths(&all, ("a", 1), &[&long, &[("a", 1), ("c", 1)]]);
    // A part that is discarded leaves the others.
    let ways: &[(_, &[_])] = &[(("a", 1), &[("b", 1), ("c", 1)]), (("c", 1), &[])];
    let some = given(&[("b", 1)], &[], ways);
    check_paths(&some, ("a", 1), &[&[("a", 1), ("b", 1)]]);
    let none = given(&[("b", 3)], &[], &[(("a", 1), &[("b", 1), ("c", 1)]), (("b", 1), &[]), (("c", 1), &[])]);
    check_paths(&none, ("a", 1), &[]);
}

#[test]
fn a_split_is_as_long_as_its_longest_part() {
    let ways: &[(_, &[_])] = &[
        (("a", 1), &[("b", 1), ("c", 1)]),
        (("b", 1), &[("b", 2)]),
        (("b", 2), &[("b", 3)]),
        (("a", 1), &[("a", 2)]),
        (("a", 2), &[("c", 1)]),
    ];
    check_paths(&given(&[("b", 3), ("c", 1)], &[], ways), ("a", 1), &[&[("a", 1), ("a", 2), ("c", 1)]]);
    let further: &[(_, &[_])] = &[(("c", 1), &[("c", 2)])];
    let longer = [ways, further].concat();
    let faults = builder(&given(&[("b", 3), ("c", 2)], &[], &longer)).build().expect_err("both take three steps");
    let told = faults.to_string();
    assert!(
        told.starts_with("two ways to ") && told.contains("the shortest: `a` (schema 1) -> `b` (schema 1)"),
        "{told}"
    );
    assert!(told.contains("and `a` (schema 1) -> `a` (schema 2) -> `c` (schema 1) -> `c` (schema 2)"), "{told}");
}

#[test]
fn a_part_of_a_split_that_leads_nowhere_is_refused_and_one_that_others_read_is_not() {
    let ways: &[(_, &[_])] = &[(("a", 1), &[("b", 1), ("c", 1)])];
    let faults = builder(&given(&[("b", 1)], &[], ways)).build().expect_err("nobody reads the other part");
    assert_eq!(faults.to_string(), "no steps lead from `c` (schema 1) to anything that is read");
    let shared = given(&[("b", 1)], &[("c", 1)], ways);
    let registry = builder(&shared).build().expect("each part is read");
    let event = &one_of_each()[shape(("a", 1))];
    assert_eq!(registry.decode::<Traced<0>>(event).err().map(|error| error.kind()), Some(ErrorKind::UnknownType));
    let known: Vec<Vec<usize>> = registry.decode_known(event).expect("events").map(|Traced::<1>(path)| path).collect();
    assert_eq!(known, [[shape(("a", 1)), shape(("c", 1))]]);
}

#[test]
fn what_one_enum_discards_another_may_lead_on() {
    let ways: &[(_, &[_])] = &[(("a", 1), &[]), (("a", 1), &[("a", 2)])];
    let both = given(&[("a", 2)], &[("b", 1)], ways);
    check_paths(&both, ("a", 1), &[&[("a", 1), ("a", 2)]]);
    let registry = builder(&both).build().expect("a registry");
    let event = &one_of_each()[shape(("a", 1))];
    assert_eq!(registry.decode::<Traced<1>>(event).expect("nothing").count(), 0);
}

#[test]
fn a_way_of_a_thousand_steps_is_gone_to_its_end() {
    struct Last(u32);
    impl Event for Last {
        fn describe(types: &mut EventTypes<Last>) {
            types.variant("grown", 1_000, Codec::Json, Last);
            for schema in 1..1_000 {
                types.step(("grown", schema), ("grown", schema + 1), |number: u32| number + 1);
            }
        }

        fn encode(&self) -> Result<NewEvent, Error> {
            NewEvent::json("grown", &self.0)
        }
    }
    let registry = Registry::builder().events::<Last>().build().expect("a registry");
    let store = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), [NewEvent::json("grown", &1).expect("JSON")]);
    let events: Vec<u32> =
        registry.decode(&read(store.read_all())[0]).expect("an event").map(|Last(number)| number).collect();
    assert_eq!(events, [1_000]);
}
