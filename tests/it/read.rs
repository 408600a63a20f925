//! Reading: bounds, order, pages and points, held against a filter over the whole log.

use super::support::{
    Home, add, check_says, event, events, everywhere, first_error, kilobyte, name, number, numbers, positions, read,
    small_segments, versions, wherever_it_lasts,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::SimulatedDisk;
use scorebook::{
    AllRead, Durability, ErrorKind, EventId, EventStore, NewEvent, Options, Position, ReadMode, RecordedEvent,
    StreamRead, Version,
};

// What is not there.

#[test]
fn reading_a_missing_stream_says_so_and_an_empty_read_does_not() {
    everywhere(|home| {
        let store = home.open();
        let error = first_error(store.read(&name("game-1")));
        check_says(&error, ErrorKind::StreamNotFound, &["game-1"]);
        assert_eq!(first_error(store.read(&name("game-1")).backwards().limit(0)).kind(), ErrorKind::StreamNotFound);
        assert_eq!(read(store.read_all()).len(), 0, "an empty store is no error");
        assert_eq!(read(store.read_all().backwards()).len(), 0);
        add(&store, &name("game-1"), events(0..3));
        assert_eq!(read(store.read(&name("game-1")).after(Version::new(3))).len(), 0);
        assert_eq!(first_error(store.read(&name("game-2"))).kind(), ErrorKind::StreamNotFound);
    });
}

#[test]
fn a_stream_that_is_only_staged_is_missing() {
    let store = EventStore::options().open_simulated(&SimulatedDisk::new(1)).expect("it opens");
    let staged = store.append(&name("a"), Any, [event(0)]);
    assert_eq!(first_error(store.read(&name("a"))).kind(), ErrorKind::StreamNotFound);
    assert!(!store.exists(&name("a")).expect("an answer"));
    assert_eq!(store.streams().list().expect("a list").len(), 0);
    staged.wait().expect("accepted");
    assert_eq!(numbers(store.read(&name("a"))), [0]);
}

// Bounds.

/// The bounds of a read; `None` where there is none of its kind.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    from: Option<u64>,
    to: Option<u64>,
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u64>,
    is_backwards: bool,
}

impl Bounds {
    /// What a filter makes of the numbers 1 to `count`.
    fn filter(self, count: u64) -> Vec<u64> {
        let wanted = |number: &u64| {
            self.from.is_none_or(|from| from <= *number)
                && self.to.is_none_or(|to| *number <= to)
                && self.after.is_none_or(|after| after < *number)
                && self.before.is_none_or(|before| *number < before)
        };
        let mut numbers: Vec<u64> = (1..=count).filter(wanted).collect();
        if self.is_backwards {
            numbers.reverse();
        }
        numbers.truncate(self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
        numbers
    }

    fn of_stream(self, mut read: StreamRead) -> StreamRead {
        if let Some(from) = self.from {
            read = read.from(Version::new(from));
        }
        if let Some(to) = self.to {
            read = read.to(Version::new(to));
        }
        if let Some(after) = self.after {
            read = read.after(Version::new(after));
        }
        if let Some(before) = self.before {
            read = read.before(Version::new(before));
        }
        if let Some(limit) = self.limit {
            read = read.limit(limit);
        }
        if self.is_backwards { read.backwards() } else { read }
    }

    fn of_all(self, mut read: AllRead) -> AllRead {
        if self.is_backwards {
            read = read.backwards();
        }
        if let Some(limit) = self.limit {
            read = read.limit(limit);
        }
        if let Some(before) = self.before {
            read = read.before(Position::new(before));
        }
        if let Some(after) = self.after {
            read = read.after(Position::new(after));
        }
        if let Some(to) = self.to {
            read = read.to(Position::new(to));
        }
        if let Some(from) = self.from {
            read = read.from(Position::new(from));
        }
        read
    }
}

/// Reads a stream of five events, which is the whole log, within bounds.
fn check_bounds(bounds: &[(Bounds, &[u64])]) {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("game-1"), events(1..6));
        for (bounds, expected) in bounds {
            assert_eq!(bounds.filter(5), *expected, "the filter, {bounds:?}");
            assert_eq!(versions(bounds.of_stream(store.read(&name("game-1")))), *expected, "{bounds:?}");
            assert_eq!(positions(bounds.of_all(store.read_all())), *expected, "{bounds:?}");
        }
    });
}

const ALL: Bounds = Bounds { from: None, to: None, after: None, before: None, limit: None, is_backwards: false };
const BACKWARDS: Bounds = Bounds { is_backwards: true, ..ALL };

#[test]
fn a_read_without_bounds_gives_everything_from_the_start() {
    check_bounds(&[(ALL, &[1, 2, 3, 4, 5]), (BACKWARDS, &[5, 4, 3, 2, 1])]);
}

#[test]
fn from_and_to_are_inclusive_and_after_and_before_exclusive() {
    check_bounds(&[
        (Bounds { from: Some(3), ..ALL }, &[3, 4, 5]),
        (Bounds { to: Some(3), ..ALL }, &[1, 2, 3]),
        (Bounds { after: Some(3), ..ALL }, &[4, 5]),
        (Bounds { before: Some(3), ..ALL }, &[1, 2]),
        (Bounds { from: Some(2), to: Some(4), ..ALL }, &[2, 3, 4]),
        (Bounds { after: Some(2), before: Some(4), ..ALL }, &[3]),
    ]);
}

#[test]
fn from_zero_is_the_same_as_from_one() {
    check_bounds(&[
        (Bounds { from: Some(0), ..ALL }, &[1, 2, 3, 4, 5]),
        (Bounds { after: Some(0), ..ALL }, &[1, 2, 3, 4, 5]),
        (Bounds { to: Some(0), ..ALL }, &[]),
        (Bounds { before: Some(0), ..ALL }, &[]),
        (Bounds { before: Some(1), ..ALL }, &[]),
    ]);
}

#[test]
fn what_lies_behind_the_end_is_empty() {
    check_bounds(&[
        (Bounds { from: Some(6), ..ALL }, &[]),
        (Bounds { after: Some(5), ..ALL }, &[]),
        (Bounds { from: Some(u64::MAX), ..ALL }, &[]),
        (Bounds { after: Some(u64::MAX), ..ALL }, &[]),
        (Bounds { from: Some(6), ..BACKWARDS }, &[]),
        (Bounds { to: Some(u64::MAX), ..ALL }, &[1, 2, 3, 4, 5]),
        (Bounds { before: Some(u64::MAX), ..BACKWARDS }, &[5, 4, 3, 2, 1]),
    ]);
}

#[test]
fn a_limit_cuts_what_the_bounds_and_the_order_give() {
    check_bounds(&[
        (Bounds { limit: Some(2), ..ALL }, &[1, 2]),
        (Bounds { limit: Some(2), ..BACKWARDS }, &[5, 4]),
        (Bounds { limit: Some(0), ..ALL }, &[]),
        (Bounds { limit: Some(0), ..BACKWARDS }, &[]),
        (Bounds { limit: Some(5), ..ALL }, &[1, 2, 3, 4, 5]),
        (Bounds { limit: Some(u64::MAX), ..ALL }, &[1, 2, 3, 4, 5]),
    ]);
}

#[test]
fn bounds_choose_the_set_and_backwards_only_the_order() {
    check_bounds(&[
        (Bounds { from: Some(2), to: Some(4), ..BACKWARDS }, &[4, 3, 2]),
        (Bounds { to: Some(3), ..BACKWARDS }, &[3, 2, 1]),
        (Bounds { from: Some(4), limit: Some(1), ..BACKWARDS }, &[5]),
        (Bounds { after: Some(1), before: Some(5), limit: Some(2), ..BACKWARDS }, &[4, 3]),
        (Bounds { from: Some(4), to: Some(2), ..ALL }, &[]),
        (Bounds { from: Some(4), to: Some(2), ..BACKWARDS }, &[]),
    ]);
}

// The whole log is the truth, and every other read a view of it.

/// Appends as they come: the number of the stream, and the number of events.
type Script = Vec<(u8, u8)>;

const SEED: u64 = 0x5C04_EB00;

/// Runs a property over made-up scripts, always the same ones; the seed is told where it fails.
fn check_property<V: std::fmt::Debug>(cases: u32, strategy: impl Strategy<Value = V>, property: impl Fn(V)) {
    let config = Config { cases, rng_seed: RngSeed::Fixed(SEED), failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        property(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("with the seed {SEED:#x}: {failure}"));
}

fn scripts() -> impl Strategy<Value = Script> {
    vec((0..6_u8, 1..40_u8), 1..40)
}

/// A store with small segments that holds what the script says. Nothing waits for the disk but the end.
fn played(home: &Home, script: &Script, mode: ReadMode) -> EventStore {
    let options = small_segments().durability(Durability::Written).read_mode(mode);
    let store = home.open_with(&options);
    let mut next = 0;
    for (stream, count) in script {
        let stream = name(&format!("stream-{stream}"));
        let events: Vec<NewEvent> = (0..*count).map(|at| sized(next + u64::from(at))).collect();
        next += u64::from(*count);
        drop(store.append(&stream, Any, events));
    }
    store.flush().expect("it flushes");
    store
}

/// An event that says its number, of a size that follows from it.
fn sized(number: u64) -> NewEvent {
    NewEvent::json("weighed", &(number, "x".repeat((number * 131 % 700) as usize))).expect("text is JSON")
}

fn seen(events: &[RecordedEvent]) -> Vec<(u64, String, u64, u64)> {
    let seen = |event: &RecordedEvent| {
        (event.position().get(), event.stream().to_owned(), event.version().get(), number(event))
    };
    events.iter().map(seen).collect()
}

fn check_script(script: &Script, check: impl Fn(&EventStore, &[RecordedEvent])) {
    for (home, mode) in [
        (Home::disk(), ReadMode::Mapped),
        (Home::disk(), ReadMode::Positioned),
        (Home::Memory, ReadMode::Mapped),
        (Home::simulated(), ReadMode::Positioned),
    ] {
        let store = played(&home, script, mode);
        let all = read(store.read_all());
        let total: u64 = script.iter().map(|(_, count)| u64::from(*count)).sum();
        assert_eq!(all.len() as u64, total);
        check(&store, &all);
        if !matches!(home, Home::Memory) {
            drop(store);
            let again = home.open_with(&EventStore::options().read_mode(mode));
            assert_eq!(seen(&read(again.read_all())), seen(&all), "after reopening");
            check(&again, &all);
        }
    }
}

#[test]
fn every_stream_read_equals_a_filter_over_the_whole_log() {
    check_property(12, scripts(), |script| {
        check_script(&script, |store, all| {
            for info in store.streams().list().expect("a list") {
                let filtered: Vec<RecordedEvent> =
                    all.iter().filter(|event| event.stream() == info.name().as_str()).cloned().collect();
                assert_eq!(seen(&read(store.read(info.name()))), seen(&filtered));
                let expected: Vec<u64> = (1..=filtered.len() as u64).collect();
                assert_eq!(filtered.iter().map(|event| event.version().get()).collect::<Vec<_>>(), expected);
                let reversed: Vec<RecordedEvent> = filtered.iter().rev().cloned().collect();
                assert_eq!(seen(&read(store.read(info.name()).backwards())), seen(&reversed));
            }
        });
    });
}

#[test]
fn the_whole_log_read_backwards_equals_it_reversed() {
    check_property(12, scripts(), |script| {
        check_script(&script, |store, all| {
            let reversed: Vec<RecordedEvent> = all.iter().rev().cloned().collect();
            assert_eq!(seen(&read(store.read_all().backwards())), seen(&reversed));
            assert_eq!(positions(store.read_all()), (1..=all.len() as u64).collect::<Vec<_>>());
        });
    });
}

#[test]
fn any_page_size_gives_the_same_sequence() {
    check_property(12, (scripts(), 1..200_u64), |(script, page)| {
        check_script(&script, |store, all| {
            let mut pages = Vec::new();
            while let Some(next) = {
                let after = pages.last().map_or(Position::BEGINNING, RecordedEvent::position);
                Some(read(store.read_all().after(after).limit(page))).filter(|page| !page.is_empty())
            } {
                pages.extend(next);
            }
            assert_eq!(seen(&pages), seen(all));

            let mut pages: Vec<RecordedEvent> = Vec::new();
            while let Some(next) = {
                let before = pages.last().map_or(Position::new(u64::MAX), RecordedEvent::position);
                Some(read(store.read_all().before(before).backwards().limit(page))).filter(|page| !page.is_empty())
            } {
                pages.extend(next);
            }
            pages.reverse();
            assert_eq!(seen(&pages), seen(all));

            let stream = all[0].stream_name();
            let mut pages: Vec<RecordedEvent> = Vec::new();
            while let Some(next) = {
                let after = pages.last().map_or(Version::NONE, RecordedEvent::version);
                Some(read(store.read(&stream).after(after).limit(page))).filter(|page| !page.is_empty())
            } {
                pages.extend(next);
            }
            assert_eq!(seen(&pages), seen(&read(store.read(&stream))));
        });
    });
}

#[test]
fn any_bounds_give_what_a_filter_gives() {
    let number = || any::<Option<u16>>().prop_map(|number| number.map(|number| u64::from(number % 700)));
    let bounds = (number(), number(), number(), number(), number(), any::<bool>()).prop_map(
        |(from, to, after, before, limit, is_backwards)| Bounds { from, to, after, before, limit, is_backwards },
    );
    check_property(6, (scripts(), vec(bounds, 60)), |(script, bounds)| {
        check_script(&script, |store, all| {
            let stream = all[0].stream_name();
            let count = store.version(&stream).expect("a version").get();
            for bounds in &bounds {
                assert_eq!(positions(bounds.of_all(store.read_all())), bounds.filter(all.len() as u64), "{bounds:?}");
                let read = bounds.of_stream(store.read(&stream));
                assert_eq!(versions(read), bounds.filter(count), "{bounds:?} of {count}");
            }
        });
    });
}

// A read that has begun.

#[test]
fn a_read_ends_where_the_store_ended_when_it_began() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let game = name("game-1");
        for n in 0..50 {
            add(&store, &game, [kilobyte(n)]);
        }
        let asked = store.read(&game);
        let (mut all, mut one) = (store.read_all().iter(), store.read(&game).iter());
        let (mut all_back, mut one_back) = (store.read_all().backwards().iter(), asked.clone().backwards().iter());
        for n in 50..100 {
            add(&store, &game, [kilobyte(n)]);
            // One step of each read and one append after the other: neither waits for the other.
            let step = [all.next(), one.next()].map(|event| number(&event.expect("more").expect("it is there")));
            assert_eq!(step, [n - 50; 2]);
            let back = [all_back.next(), one_back.next()].map(|event| number(&event.expect("more").expect("there")));
            assert_eq!(back, [99 - n; 2]);
        }
        assert!(all.next().is_none() && one.next().is_none());
        assert!(all_back.next().is_none() && one_back.next().is_none());
        assert_eq!(versions(&asked).len(), 100, "a read begins when it is iterated over");
    });
}

#[test]
fn a_read_never_sees_half_a_batch() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, b) = (name("a"), name("b"));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..300 {
                    let batch = store.batch().append(&a, Any, events(n..n + 3)).append(&b, Any, events(n..n + 2));
                    batch.commit().wait().expect("accepted");
                }
            });
            while !writer.is_finished() {
                assert_eq!(store.head().expect("a head").get() % 5, 0);
                let events = read(store.read_all().backwards().limit(10));
                assert_eq!(events.first().map_or(0, |event| event.position().get() % 5), 0);
                let in_a = store.version(&a).expect("a version").get();
                assert_eq!(in_a % 3, 0);
                if in_a != 0 {
                    assert_eq!(read(store.read(&b)).len() % 2, 0);
                }
            }
        });
        assert_eq!(store.head().expect("a head").get(), 1500);
    });
}

#[test]
fn an_iterator_that_is_over_stays_over() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(0..2));
        let mut all = store.read_all().iter();
        let mut one = store.read(&name("a")).iter();
        assert_eq!((all.by_ref().count(), one.by_ref().count()), (2, 2));
        add(&store, &name("a"), events(2..4));
        assert!(all.next().is_none() && one.next().is_none());
    });
}

// Points.

#[test]
fn an_event_is_found_by_its_position() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..100 {
            add(&store, &name(&format!("s-{}", n % 7)), [kilobyte(n)]);
        }
        let store = home.reopen(store, &small_segments());
        for n in 0..100 {
            let event = store.event_at(Position::new(n + 1)).expect("it is there");
            assert_eq!((number(&event), event.position().get()), (n, n + 1));
        }
        for position in [0, 101, u64::MAX] {
            let error = store.event_at(Position::new(position)).expect_err("none");
            check_says(&error, ErrorKind::EventNotFound, &[&position.to_string()]);
        }
    });
}

#[test]
fn an_event_is_found_by_its_stream_and_version() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..100 {
            add(&store, &name(&format!("s-{}", n % 2)), [kilobyte(n)]);
        }
        let store = home.reopen(store, &small_segments());
        for n in 0..100 {
            let event = store.event(&name(&format!("s-{}", n % 2)), Version::new(n / 2 + 1)).expect("it is there");
            assert_eq!((number(&event), event.version().get()), (n, n / 2 + 1));
        }
        for version in [0, 51, u64::MAX] {
            let error = store.event(&name("s-0"), Version::new(version)).expect_err("none");
            check_says(&error, ErrorKind::EventNotFound, &["s-0", &version.to_string()]);
        }
        let error = store.event(&name("s-9"), Version::FIRST).expect_err("none");
        check_says(&error, ErrorKind::StreamNotFound, &["s-9"]);
    });
}

#[test]
fn an_event_is_found_by_its_id_made_or_given() {
    everywhere(|home| {
        let mut store = home.open_with(&small_segments());
        let given = |n: u64| EventId::from_bytes((u128::from(n) << 64 | 5).to_be_bytes());
        for round in 0..3 {
            for n in round * 30..round * 30 + 30 {
                let event = kilobyte(n);
                add(&store, &name("a"), [if n % 3 == 0 { event.id(given(n)) } else { event }]);
            }
            store = home.reopen(store, &small_segments());
        }
        for event in read(store.read_all()) {
            let found = store.event_by_id(event.id()).expect("it is there");
            assert_eq!((found.position(), number(&found)), (event.position(), number(&event)));
        }
        for absent in [given(1), EventId::from_bytes([0; 16])] {
            let error = store.event_by_id(absent).expect_err("none");
            check_says(&error, ErrorKind::EventNotFound, &[&absent.to_string()]);
        }
    });
}

#[test]
fn of_several_events_with_one_id_the_first_is_found() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), [event(0)]);
        let made = store.event_at(Position::new(1)).expect("it is there").id();
        let given = EventId::from_bytes([9; 16]);
        add(&store, &name("b"), [event(1).id(given), event(2).id(given), event(3).id(made)]);
        assert_eq!(number(&store.event_by_id(given).expect("it is there")), 1);
        assert_eq!(number(&store.event_by_id(made).expect("it is there")), 0);
    });
}

#[test]
fn an_id_of_the_callers_that_looks_made_is_found_all_the_same() {
    everywhere(|home| {
        let store = home.open();
        // A UUID of version 8 that would stand for position 2.
        let looks_made: EventId = "12345678-9abc-8def-8000-000000000002".parse().expect("an id");
        add(&store, &name("a"), [event(0).id(looks_made), event(1), event(2)]);
        assert_eq!(number(&store.event_by_id(looks_made).expect("it is there")), 0);
    });
}

// Bytes.

#[test]
fn reading_a_page_of_the_active_segment_and_appending_leaves_every_byte_as_it_was() {
    wherever_it_lasts(|home| {
        let game = name("game-1");
        let store = home.open();
        add(&store, &game, events(0..100));
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            let store = match mode {
                ReadMode::Mapped => store.clone(),
                ReadMode::Positioned => {
                    store.close().expect("it closes");
                    home.open_with(&EventStore::options().read_mode(mode))
                }
            };
            let end = store.stats().expect("numbers").visible_end();
            let path = format!("log/{:010}.log", end.segment);
            let before = home.contents();
            assert_eq!(read(store.read(&game).limit(10)).len(), 10);
            assert_eq!(read(store.read_all().backwards().limit(10)).len(), 10);
            let end = end.offset as usize;
            assert!(before[&path][..end] == home.contents()[&path][..end], "reading changes nothing");
            add(&store, &game, events(0..10));
            assert!(before[&path][..end] == home.contents()[&path][..end], "appending changes nothing before it");
            store.close().expect("it closes");
            assert!(before[&path][..end] == home.contents()[&path][..end], "closing changes nothing before it");
        }
    });
}

#[test]
fn events_keep_their_bytes_when_the_store_is_gone() {
    everywhere(|home| {
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            let store = home.open_with(&Options::default().read_mode(mode));
            let stream = name(&format!("{mode:?}"));
            add(&store, &stream, (0..50).map(kilobyte));
            let events = read(store.read(&stream));
            drop(store);
            assert_eq!(events.iter().map(number).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        }
    });
}

#[test]
fn both_ways_of_reading_give_the_same() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..60 {
            add(&store, &name(&format!("s-{}", n % 3)), [sized(n), kilobyte(n)]);
        }
        let expected = seen(&read(store.read_all()));
        drop(store);
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            let store = home.open_with(&small_segments().read_mode(mode));
            assert_eq!(seen(&read(store.read_all())), expected, "{mode:?}");
            let mut backwards = seen(&read(store.read_all().backwards()));
            backwards.reverse();
            assert_eq!(backwards, expected, "{mode:?}");
            assert_eq!(numbers(store.read(&name("s-1")).limit(3)), [1, 1, 4], "{mode:?}");
        }
    });
}
