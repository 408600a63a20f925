//! Queries: which events are wanted, compared with the plainest way to say so.

use super::support::{name, positions, wherever_it_lasts};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{DiskFault, DiskOperation};
use scorebook::{
    Durability, ErrorKind, EventStore, GroupKey, Grouping, NewEvent, Position, Predicate, Query, ReadMode,
    RecordedEvent, Timestamp,
};

const TYPES: [&str; 4] = ["game_started", "guess_made", "guess.scored", "game-ended"];
const STREAMS: [&str; 6] = ["game-1", "game-2", "team-1", "team", "board-1", "game"];
const KEYS: [&str; 3] = ["player", "guild", "word"];

/// Appends events with types, tags and payloads by chance, in batches.
fn fill(store: &EventStore, chance: &mut Chance, events: usize) {
    let mut left = events;
    while left != 0 {
        let count = 1 + chance.below(left.min(7));
        left -= count;
        let batch = (0..count).map(|_| {
            let pad = "x".repeat(chance.below(400));
            let payload =
                serde_json::json!({ "n": chance.below(20), "word": *chance.pick(&["owl", "cat"]), "pad": pad });
            let event_type = *chance.pick(&TYPES);
            let mut event = NewEvent::json(event_type, &payload).expect("JSON");
            for _ in 0..chance.below(4) {
                let key = *chance.pick(&KEYS);
                event = event.tag(key, chance.below(3));
            }
            event
        });
        let batch: Vec<NewEvent> = batch.collect();
        let stream = *chance.pick(&STREAMS);
        store.append(&name(stream), Any, batch).wait().expect("a receipt");
    }
}

/// A query as data, and what it means said once more.
#[derive(Debug, Default)]
struct Wanted {
    items: Vec<Item>,
    prefix: &'static str,
    after: u64,
}

#[derive(Debug, Default)]
struct Item {
    types: Vec<&'static str>,
    tags: Vec<(&'static str, usize)>,
    streams: Vec<&'static str>,
    categories: Vec<&'static str>,
}

impl Wanted {
    fn random(chance: &mut Chance, events: usize) -> Wanted {
        let some = |chance: &mut Chance, of: &[&'static str]| -> Vec<&'static str> {
            (0..chance.below(3)).map(|_| *chance.pick(of)).collect()
        };
        let items = (0..=chance.below(3)).map(|_| Item {
            types: some(chance, &TYPES),
            tags: (0..chance.below(3)).map(|_| (*chance.pick(&KEYS), chance.below(3))).collect(),
            streams: if chance.one_in(3) { some(chance, &STREAMS) } else { Vec::new() },
            categories: if chance.one_in(3) { some(chance, &["game", "team", "nothing"]) } else { Vec::new() },
        });
        let items = items.collect();
        let prefix = *chance.pick(&["", "", "", "g", "game-", "team", "x"]);
        Wanted { items, prefix, after: if chance.one_in(3) { chance.below(events + 5) as u64 } else { 0 } }
    }

    fn query(&self) -> Query {
        let items = self.items.iter().map(|item| {
            let query = item.types.iter().fold(Query::all(), |query, one| query.of_type(one));
            let query = item.tags.iter().fold(query, |query, (key, value)| query.tag(key, value));
            let query = item.streams.iter().fold(query, |query, one| query.in_stream(&name(one)));
            item.categories.iter().fold(query, |query, one| query.in_category(one))
        });
        let query = items.reduce(Query::or).expect("there is an item");
        query.prefix(self.prefix).after(Position::new(self.after))
    }

    fn asks_for(&self, event: &RecordedEvent) -> bool {
        let category = event.stream().split_once('-').map_or(event.stream(), |(category, _)| category);
        let is_asked = |item: &Item| {
            (item.types.is_empty() || item.types.contains(&event.event_type()))
                && (item.streams.is_empty() || item.streams.contains(&event.stream()))
                && (item.categories.is_empty() || item.categories.contains(&category))
                && item.tags.iter().all(|(key, value)| event.tags().any(|tag| tag == (key, &value.to_string())))
        };
        self.after < event.position().get()
            && event.stream().starts_with(self.prefix)
            && self.items.iter().any(is_asked)
    }
}

const NONE: [u64; 0] = [];

#[test]
fn a_query_gives_what_a_filter_over_the_whole_log_gives() {
    const EVENTS: usize = 400;
    wherever_it_lasts(|home| {
        let mut chance = Chance(seed());
        let options = EventStore::options().segment_bytes_max(32 * 1024);
        let store = home.open_with(&options);
        fill(&store, &mut chance, EVENTS / 2);
        // Half of what is there is found by what was remembered when it was written, half by what opening has read.
        store.close().expect("closing");
        let positioned = options.read_mode(ReadMode::Positioned);
        let store = home.open_with(&positioned);
        fill(&store, &mut chance, EVENTS / 2);
        assert!(3 < store.stats().expect("numbers").segments());
        check_queries(&store, &mut chance, EVENTS);
        store.close().expect("closing");
        check_queries(&home.open(), &mut chance, EVENTS);
    });
}

/// Compares queries by chance with a filter over all events.
fn check_queries(store: &EventStore, chance: &mut Chance, events: usize) {
    let all: Vec<RecordedEvent> = store.read_all().into_iter().map(|event| event.expect("an event")).collect();
    let mut found = 0;
    for number in 0..200 {
        let wanted = Wanted::random(chance, events);
        let (low, high) = (chance.below(events) as u64, chance.below(events * 2) as u64);
        let limit = if chance.one_in(2) { chance.below(20) } else { usize::MAX };
        let bounds = |event: &&RecordedEvent| (low..=high).contains(&event.position().get());
        let mut expected: Vec<u64> = all
            .iter()
            .filter(bounds)
            .filter(|event| wanted.asks_for(event))
            .map(|event| event.position().get())
            .collect();
        let whence = format!("query {number} of seed {}: {wanted:?}, {low} to {high}, limit {limit}", seed());
        let read = store.read_all().matching(wanted.query()).from(Position::new(low)).to(Position::new(high));
        assert_eq!(read.count().expect("a number"), expected.len() as u64, "{whence}");
        assert_eq!(read.exists().expect("an answer"), !expected.is_empty(), "{whence}");
        let read = read.limit(limit as u64);
        assert_eq!(positions(&read), expected[..limit.min(expected.len())], "{whence}");
        expected.reverse();
        assert_eq!(positions(read.backwards()), expected[..limit.min(expected.len())], "{whence}, backwards");
        found += expected.len();
    }
    assert!(1_000 < found, "the queries found {found} events in all");
}

#[test]
fn untagged_events_more_tags_and_duplicate_items() {
    let store = EventStore::open_in_memory().expect("a store");
    let events = [
        NewEvent::bytes("a", []),
        NewEvent::bytes("a", []).tag("k", 1),
        NewEvent::bytes("b", []).tag("k", 1).tag("l", 2).tag("k", 3),
    ];
    store.append(&name("s-1"), Any, events).wait().expect("a receipt");
    let found = |query: Query| positions(store.read_all().matching(query));
    assert_eq!(found(Query::all()), [1, 2, 3], "all includes the untagged");
    assert_eq!(found(Query::all().tag("k", 1)), [2, 3], "more tags than asked match");
    assert_eq!(found(Query::all().tag("k", 1).tag("k", 3)), [3], "all tags of an item, also of one key");
    assert_eq!(found(Query::all().tag("k", 1).tag("l", 3)), NONE, "fewer do not");
    assert_eq!(found(Query::all().of_type("a").of_type("b")), [1, 2, 3], "one of the types");
    let item = || Query::all().of_type("a").tag("k", 1);
    assert_eq!(found(item().or(item()).or(item())), [2], "duplicate items change nothing");
    assert_eq!(found(Query::all().in_category("s").after(Position::new(1)).prefix("s-")), [2, 3]);
    assert_eq!(found(Query::all().after(Position::new(u64::MAX))), NONE);
}

#[test]
fn a_query_with_a_fault_is_refused_by_name_and_reads_nothing() {
    let store = EventStore::open_in_memory().expect("a store");
    store.append(&name("s"), Any, [NewEvent::bytes("a", [])]).wait().expect("a receipt");
    let many = (0..=scorebook::limits::QUERY_TERMS_MAX).fold(Query::all(), |query, number| query.tag("k", number));
    for (query, kind, says) in [
        (Query::all().of_type("no type"), ErrorKind::InvalidName, "no type"),
        (Query::all().tag("a:b", 1), ErrorKind::InvalidName, "a:b"),
        (Query::all().in_category("a-b"), ErrorKind::InvalidName, "a-b"),
        (Query::all().in_category(""), ErrorKind::InvalidName, "category"),
        (Query::all().or(Query::all().prefix("x")), ErrorKind::InvalidArgument, "prefix"),
        (Query::all().or(Query::all().after(Position::new(1))), ErrorKind::InvalidArgument, "position"),
        (Query::all().or(Query::all().of_type("")), ErrorKind::InvalidName, "event type"),
        (many, ErrorKind::TooLarge, "1000 terms"),
    ] {
        assert_eq!(query.fault().map(|fault| fault.kind()), Some(kind), "{says}");
        let read = store.read_all().matching(query);
        let errors: Vec<_> = read.iter().collect();
        assert_eq!(errors.len(), 1, "{says}");
        let error = errors[0].as_ref().expect_err(says);
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert_eq!(read.count().expect_err(says).kind(), kind);
    }
}

#[test]
fn times_bound_a_read_at_both_ends_and_in_both_directions() {
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
    for second in [10, 20, 20, 30, 40] {
        disk.set_time(at(second));
        store.append(&name("s"), Any, [NewEvent::bytes("a", [])]).wait().expect("a receipt");
    }
    let read = || store.read_all();
    assert_eq!(positions(read().since(at(20))), [2, 3, 4, 5]);
    assert_eq!(positions(read().until(at(20))), [1]);
    assert_eq!(positions(read().since(at(20)).until(at(40))), [2, 3, 4]);
    assert_eq!(positions(read().since(at(20)).until(at(40)).backwards()), [4, 3, 2]);
    assert_eq!(positions(read().since(at(5)).since(at(30))), [4, 5], "of several the narrowest counts");
    assert_eq!(positions(read().until(at(20)).until(at(90))), [1]);
    assert_eq!(positions(read().since(at(41))), NONE);
    assert_eq!(positions(read().since(at(30)).until(at(30))), NONE);
    assert_eq!(positions(read().since(at(20)).limit(1).backwards()), [5]);
}

#[test]
fn times_by_chance_give_what_a_filter_over_all_events_gives() {
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let options = EventStore::options().segment_bytes_max(32 * 1024);
    let mut chance = Chance(seed());
    let mut store = options.open_simulated(&disk).expect("a store");
    let mut clock = 1_000;
    for round in 0..60 {
        clock += [0, 1, 7, 100][chance.below(4)] - if round % 20 == 9 { 300 } else { 0 };
        disk.set_time(Timestamp::from_nanos(clock));
        fill(&store, &mut chance, 10);
        if round == 30 {
            store.close().expect("closing");
            store = options.open_simulated(&disk).expect("it opens");
        }
    }
    assert!(3 < store.stats().expect("numbers").segments());
    let reader = options.open_simulated_read_only(&disk).expect("a reader");
    let all: Vec<RecordedEvent> = store.read_all().iter().map(|event| event.expect("an event")).collect();
    for number in 0..300 {
        let (since, until) = (900 + chance.below(2_500) as i64, 900 + chance.below(2_500) as i64);
        let event_type = chance.one_in(2).then(|| *chance.pick(&TYPES));
        let is_wanted = |event: &&RecordedEvent| {
            (since..until).contains(&event.time().nanos())
                && event_type.is_none_or(|wanted| wanted == event.event_type())
        };
        let mut expected: Vec<u64> = all.iter().filter(is_wanted).map(|event| event.position().get()).collect();
        for store in [&store, &reader] {
            let read = store.read_all().since(Timestamp::from_nanos(since)).until(Timestamp::from_nanos(until));
            let read = event_type.iter().fold(read, |read, wanted| read.matching(Query::all().of_type(wanted)));
            let whence = format!("read {number} of seed {}: {since} to {until}, {event_type:?}", seed());
            assert_eq!(read.count().expect("a number"), expected.len() as u64, "{whence}");
            assert_eq!(positions(&read), expected, "{whence}");
            expected.reverse();
            assert_eq!(positions(read.backwards()), expected, "{whence}, backwards");
            expected.reverse();
        }
    }
}

#[test]
fn where_events_are_missing_nobody_knows_whether_they_are_of_a_time() {
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    for number in 1..=4 {
        disk.set_time(Timestamp::from_nanos(number * 100_000_000_000));
        let event = NewEvent::bytes("a", vec![number as u8; 900]);
        store.append(&name("s"), Any, [event]).wait().expect("a receipt");
    }
    let second = store.event_at(Position::new(2)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(second.offset) + 400..u64::from(second.offset) + 500, 1);
    let copy = scorebook::testing::SimulatedDisk::new(seed() + 1);
    scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    let damaged = EventStore::options().open_simulated_read_only(&disk).expect("damage is passed over");
    let salvaged = EventStore::options().open_simulated(&copy).expect("it opens");
    for (store, kind) in [(damaged, ErrorKind::Damaged), (salvaged, ErrorKind::Lost)] {
        let since = |seconds: i64| store.read_all().since(Timestamp::from_nanos(seconds * 1_000_000_000));
        let error = since(150).iter().next().expect("an item").expect_err("the second may have come behind that");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(since(350).count().is_err(), "all that stands before the fourth is looked at");
        assert_eq!(positions(since(350).skipping_lost()), [4]);
        assert_eq!(positions(since(150).from(Position::new(3))), [3, 4]);
    }
}

#[test]
fn a_predicate_narrows_what_a_query_finds_and_the_limit_counts_what_is_left() {
    let store = EventStore::open_in_memory().expect("a store");
    let events = (1..=20).map(|n| NewEvent::json(if n % 2 == 0 { "even" } else { "odd" }, &n).expect("JSON"));
    store.append(&name("s"), Any, events.collect::<Vec<_>>()).wait().expect("a receipt");
    let predicate = || "data > 5 and data != 8".parse::<Predicate>().expect("a predicate");
    let read = store.read_all().matching(Query::all().of_type("even")).filtered_by(predicate());
    assert_eq!(positions(read.clone().limit(3)), [6, 10, 12]);
    assert_eq!(positions(read.clone().limit(3).backwards()), [20, 18, 16]);
    assert_eq!(read.count().expect("a number"), 7);
    assert!(!read.before(Position::new(6)).exists().expect("an answer"));
}

#[test]
fn a_query_fails_where_an_event_that_may_be_wanted_cannot_be_read() {
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    for number in 1..=4 {
        let event = NewEvent::bytes("a", vec![number; 900]).tag("n", number);
        store.append(&name("s"), Any, [event]).wait().expect("a receipt");
    }
    let third = store.event_at(Position::new(3)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(third.offset) + 400..u64::from(third.offset) + 500, 1);
    let reader = EventStore::options().open_simulated_read_only(&disk).expect("damage is passed over");
    let tagged = |number: u8| reader.read_all().matching(Query::all().tag("n", number));
    let mut events = tagged(4).into_iter();
    let error = events.next().expect("an item").expect_err("the third may have been tagged so");
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert!(tagged(4).count().is_err() && tagged(4).exists().is_err());
    assert_eq!(positions(tagged(2).limit(1)), [2], "what stands before it is not in doubt");
    assert_eq!(positions(tagged(4).after(Position::new(3))), [4]);
    assert_eq!(positions(tagged(4).skipping_lost()), [4]);
}

#[test]
fn what_is_damaged_outside_of_the_bounds_is_of_no_matter_and_an_id_in_doubt_is_not_missing() {
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let store = EventStore::options().read_mode(ReadMode::Positioned).open_simulated(&disk).expect("a store");
    for number in 1..=3 {
        store.append(&name("s"), Any, [NewEvent::bytes("a", vec![number; 900])]).wait().expect("a receipt");
    }
    let second = store.event_at(Position::new(2)).expect("an event");
    let body = u64::from(second.place().offset) + 400..u64::from(second.place().offset) + 500;
    disk.garble("log/0000000001.log", body, 1);
    let typed = || store.read_all().matching(Query::all().of_type("a"));
    assert_eq!(positions(typed().to(Position::new(1)).backwards()), [1]);
    assert_eq!(positions(typed().to(Position::new(1))), [1]);
    assert_eq!(positions(typed().after(Position::new(2))), [3]);
    assert_eq!(typed().to(Position::new(1)).count().expect("a number"), 1);
    assert_eq!(typed().after(Position::new(2)).count().expect("a number"), 1);
    let error = typed().after(Position::new(1)).iter().next().expect("an item").expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert_eq!(store.event_by_id(second.id()).expect_err("it is damaged").kind(), ErrorKind::Damaged);
    let third = store.event_at(Position::new(3)).expect("an event").id();
    disk.fail(DiskFault::new(DiskOperation::Read, std::io::ErrorKind::Other));
    assert_eq!(store.event_by_id(third).expect_err("it cannot be read now").kind(), ErrorKind::Io);
    disk.heal();
    assert_eq!(store.event_by_id(third).expect("it is there").position(), Position::new(3));
}

#[test]
fn a_count_up_to_the_head_counts_nothing_behind_it() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let store = EventStore::options().durability(Durability::Written).open_in_memory().expect("a store");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5_000 {
                store.append(&name("s"), Any, [NewEvent::bytes("a", [])]).wait().expect("a receipt");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            let head = store.head().expect("a head");
            let count = store.read_all().to(head).matching(Query::all().of_type("a")).count().expect("a number");
            assert_eq!(count, head.get());
        }
    });
}

#[test]
fn groups_count_what_a_read_gives() {
    const HOUR: i64 = 3_600 * 1_000_000_000;
    let disk = scorebook::testing::SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let mut chance = Chance(seed());
    for hour in [-1, 0, 0, 5] {
        disk.set_time(Timestamp::from_nanos(hour * HOUR + 7));
        fill(&store, &mut chance, 40);
    }
    let query = || Query::all().tag("player", 1).or(Query::all().in_category("team"));
    let read = store.read_all().matching(query());
    let events: Vec<RecordedEvent> = read.iter().map(|event| event.expect("an event")).collect();
    for grouping in [Grouping::Type, Grouping::Category, Grouping::Stream, Grouping::Hour] {
        let key = |event: &RecordedEvent| match grouping {
            Grouping::Type => GroupKey::Name(event.event_type().to_owned()),
            Grouping::Category => GroupKey::Name(event.category().to_owned()),
            Grouping::Stream => GroupKey::Name(event.stream().to_owned()),
            _ => GroupKey::Hour(Timestamp::from_nanos(event.time().nanos() - event.time().nanos().rem_euclid(HOUR))),
        };
        let groups = read.grouped_by(grouping).expect("groups");
        assert!(groups.is_sorted_by(|a, b| a.key() < b.key()), "{grouping:?}: {groups:?}");
        assert_eq!(groups.iter().map(|group| group.events()).sum::<u64>(), events.len() as u64, "{grouping:?}");
        for group in groups {
            let of: Vec<&RecordedEvent> = events.iter().filter(|event| key(event) == *group.key()).collect();
            let streams: std::collections::BTreeSet<&str> = of.iter().map(|event| event.stream()).collect();
            let (first, last) = (of[0], of[of.len() - 1]);
            assert_eq!((group.events(), group.streams()), (of.len() as u64, streams.len() as u64), "{group:?}");
            assert_eq!((group.first_position(), group.last_position()), (first.position(), last.position()));
            assert_eq!((group.first_time(), group.last_time()), (first.time(), last.time()));
        }
    }
    assert_eq!(read.clone().backwards().grouped_by(Grouping::Type).ok(), read.grouped_by(Grouping::Type).ok());
    assert_eq!(read.limit(0).grouped_by(Grouping::Hour).expect("none"), []);
}
