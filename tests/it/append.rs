//! Appending: what goes in comes back, what is refused leaves no trace, and the receipt says what happened.

use super::support::{
    Home, add, block_on, check_says, conflict, differences, event, events, eventually, everywhere, kilobyte, name,
    number, numbers, positions, put, read, small_segments, trouble, version_conflict, versions, wherever_it_lasts,
};
use crate::model::{Chance, Choices};
use scorebook::ExpectedVersion::{Any, Exact, NoStream, StreamExists};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{
    AppendError, BatchBuilder, CloseState, Codec, Durability, ErrorKind, EventId, EventStore, ExpectedVersion,
    NewEvent, Options, Place, Position, StreamName, Timestamp, Version, limits,
};
use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

// How much, and where to.

#[test]
fn one_event_in_a_new_store_is_the_first_of_its_stream_and_of_all() {
    everywhere(|home| {
        let store = home.open();
        let receipt = put(&store, &name("game-1"), NoStream, [event(1)]);
        assert_eq!((receipt.first_version(), receipt.first_position()), (Version::FIRST, Position::new(1)));
        let events = read(store.read_all());
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].stream(), events[0].category(), number(&events[0])), ("game-1", "game", 1));
        assert_eq!((events[0].version(), events[0].position()), (Version::FIRST, Position::new(1)));
    });
}

#[test]
fn many_events_of_one_append_follow_one_another() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("game-1"), events(0..1000));
        assert_eq!(numbers(store.read(&name("game-1"))), (0..1000).collect::<Vec<_>>());
        assert_eq!(positions(store.read_all()), (1..=1000).collect::<Vec<_>>());
    });
}

#[test]
fn one_append_larger_than_a_segment_gets_one_of_its_own() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        add(&store, &name("before"), [event(0)]);
        add(&store, &name("large"), (0..100).map(kilobyte));
        add(&store, &name("behind"), [event(1)]);
        let store = home.reopen(store, &small_segments());
        assert_eq!(numbers(store.read(&name("large"))), (0..100).collect::<Vec<_>>());
        assert_eq!(positions(store.read_all()), (1..=102).collect::<Vec<_>>());
        let segments: HashSet<u32> = read(store.read(&name("large"))).iter().map(|e| e.place().segment).collect();
        assert_eq!(segments.len(), 1, "a batch lies in one segment");
    });
}

#[test]
fn more_appends_than_fit_a_segment_go_on_in_the_next() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for number in 0..200 {
            add(&store, &name("game-1"), [kilobyte(number)]);
        }
        let store = home.reopen(store, &small_segments());
        assert!(5 < store.stats().expect("numbers").segments());
        assert_eq!(numbers(store.read(&name("game-1"))), (0..200).collect::<Vec<_>>());
        assert_eq!(positions(store.read_all()), (1..=200).collect::<Vec<_>>());
    });
}

#[test]
fn separate_appends_continue_the_versions_also_after_reopening() {
    everywhere(|home| {
        let mut store = home.open();
        for round in 0..4 {
            let receipt = add(&store, &name("game-1"), events(round * 3..round * 3 + 3));
            assert_eq!(receipt.first_version().get(), round * 3 + 1);
            add(&store, &name("other"), [event(round)]);
            store = home.reopen(store, &Options::default());
        }
        assert_eq!(versions(store.read(&name("game-1"))), (1..=12).collect::<Vec<_>>());
        assert_eq!(numbers(store.read(&name("game-1"))), (0..12).collect::<Vec<_>>());
        assert_eq!(positions(store.read_all()), (1..=16).collect::<Vec<_>>());
    });
}

// The receipt.

#[test]
fn a_receipt_says_first_and_last_version_and_position_and_whether_the_stream_is_new() {
    everywhere(|home| {
        let store = home.open();
        let (game, board) = (name("game-1"), name("board-1"));
        let first = put(&store, &game, NoStream, events(0..3));
        assert_eq!((first.first_version().get(), first.last_version().get()), (1, 3));
        assert_eq!((first.first_position().get(), first.last_position().get()), (1, 3));
        assert!(first.is_new_stream() && !first.is_repeat());
        assert_eq!(first.durability(), Durability::Synced);

        let second = store.batch().append(&game, Any, [event(3)]).append(&board, Any, events(0..2)).commit();
        let second = second.wait().expect("accepted");
        assert_eq!((second.first_version().get(), second.last_version().get()), (4, 4));
        assert_eq!((second.first_position().get(), second.last_position().get()), (4, 6));
        assert!(!second.is_new_stream() && !second.is_repeat());
        let of_board = second.of(&board).expect("it was written to");
        assert_eq!((of_board.first_version().get(), of_board.last_version().get()), (1, 2));
        assert!(of_board.is_new_stream());
        assert!(second.of(&name("team-1")).is_none());
        let streams: Vec<&StreamName> = second.streams().iter().map(|of| of.stream()).collect();
        assert_eq!(streams, [&game, &board]);
        assert_eq!(second.time(), store.event(&game, Version::new(4)).expect("it is there").time());
    });
}

#[test]
fn the_receipt_says_the_durability_that_was_reached_and_never_less_than_asked_for() {
    everywhere(|home| {
        let store = home.open_with(&EventStore::options().durability(Durability::Written));
        let append = |durability| {
            let batch = store.batch().append(&name("game-1"), Any, [event(0)]).durability(durability);
            batch.commit().wait().expect("accepted").durability()
        };
        assert_eq!(append(Durability::Synced), Durability::Synced);
        let reached = append(Durability::Written);
        assert!(home.has_threads() || reached == Durability::Written, "nothing synced it");
        assert_eq!(append(Durability::Synced), Durability::Synced);
    });
}

#[test]
fn the_stores_default_durability_is_that_of_appends_that_ask_for_none() {
    let disk = SimulatedDisk::new(1);
    let store = EventStore::options().durability(Durability::Written).open_simulated(&disk).expect("it opens");
    assert_eq!(add(&store, &name("a"), [event(0)]).durability(), Durability::Synced, "a segment's start is synced");
    assert_eq!(add(&store, &name("a"), [event(1)]).durability(), Durability::Written);
    let of_the_log = || disk.describe_pending().iter().filter(|item| item.starts_with("`log/")).count();
    assert_ne!(of_the_log(), 0);
    store.flush().expect("it flushes");
    assert_eq!(of_the_log(), 0);
    let batch = store.batch().append(&name("a"), Any, [event(2)]).durability(Durability::Synced);
    assert_eq!(batch.commit().wait().expect("accepted").durability(), Durability::Synced);
}

#[test]
fn a_written_append_that_shares_a_sync_is_said_to_be_synced() {
    let store = EventStore::options().open_simulated(&SimulatedDisk::new(1)).expect("it opens");
    add(&store, &name("a"), [event(0)]);
    let written = store.batch().append(&name("a"), Any, [event(1)]).durability(Durability::Written).commit();
    let synced = store.append(&name("a"), Any, [event(2)]);
    synced.wait().expect("accepted");
    assert_eq!(written.wait().expect("accepted").durability(), Durability::Synced);
}

// Expectations.

/// Appends to a stream that is at version `at` and compares what comes of it: the next version, or the actual one of a
/// conflict, which leaves every file as it was.
fn check_append(at: u64, expected: ExpectedVersion, outcome: Result<u64, u64>) {
    everywhere(|home| {
        let game = name("game-1");
        let store = home.open();
        add(&store, &name("other"), [event(0)]);
        if 0 < at {
            add(&store, &game, events(0..at));
        }
        // After a clean opening nothing is written until something is accepted.
        let store = home.reopen(store, &Options::default());
        let before = home.contents();
        let answer = store.append(&game, expected, [event(99)]).wait();
        match outcome {
            Ok(version) => assert_eq!(answer.expect("accepted").last_version().get(), version),
            Err(actual) => {
                let conflict = conflict(answer);
                assert_eq!(conflict, version_conflict(&game, expected, actual));
                assert!(conflict.to_string().contains(&format!("stream game-1 is at version {actual}")), "{conflict}");
                assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
                assert_eq!(store.version(&game).expect("a version").get(), at);
                assert_eq!(store.head().expect("a head").get(), at + 1);
            }
        }
    });
}

#[test]
fn any_version_admits_every_append() {
    check_append(0, Any, Ok(1));
    check_append(2, Any, Ok(3));
}

#[test]
fn no_stream_admits_only_the_first_append() {
    check_append(0, NoStream, Ok(1));
    check_append(2, NoStream, Err(2));
}

#[test]
fn exact_zero_means_no_stream() {
    check_append(0, Exact(Version::NONE), Ok(1));
    check_append(1, Exact(Version::NONE), Err(1));
}

#[test]
fn stream_exists_admits_every_append_but_the_first() {
    check_append(0, StreamExists, Err(0));
    check_append(1, StreamExists, Ok(2));
}

#[test]
fn exact_version_admits_only_the_next_append() {
    check_append(2, Exact(Version::new(2)), Ok(3));
    check_append(2, Exact(Version::new(1)), Err(2));
    check_append(2, Exact(Version::new(3)), Err(2));
    check_append(0, Exact(Version::new(1)), Err(0));
    check_append(2, Exact(Version::new(u64::MAX)), Err(2));
}

#[test]
fn a_conflict_caused_by_a_staged_append_is_answered_only_when_a_read_shows_it() {
    let store = EventStore::options().open_simulated(&SimulatedDisk::new(1)).expect("it opens");
    let game = name("game-1");
    let staged = store.append(&game, NoStream, events(0..2));
    let refused = store.append(&game, NoStream, [event(9)]);
    let behind = store.append(&game, Exact(Version::new(2)), [event(2)]);
    assert_eq!(format!("{refused:?}"), "pending append");
    assert_eq!(store.version(&game).expect("a version"), Version::NONE);
    assert_eq!(conflict(refused.wait()).actual(), Some(Version::new(2)));
    assert_eq!(numbers(store.read(&game).limit(2)), [0, 1]);
    staged.wait().expect("accepted");
    behind.wait().expect("accepted");
    assert_eq!(numbers(store.read(&game)), [0, 1, 2]);
}

#[test]
fn a_conflict_is_seen_by_whoever_reads_next() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        for round in 0..200 {
            let first = store.append(&game, Exact(Version::new(round)), [event(round)]);
            let second = store.append(&game, Exact(Version::new(round)), [event(999)]);
            assert_eq!(conflict(second.wait()).actual(), Some(Version::new(round + 1)));
            assert_eq!(store.version(&game).expect("a version").get(), round + 1);
            first.wait().expect("accepted");
        }
    });
}

#[test]
fn a_conflict_caused_by_a_staged_append_that_fails_gets_its_failure() {
    let disk = SimulatedDisk::new(1);
    let store = EventStore::options().open_simulated(&disk).expect("it opens");
    let game = name("game-1");
    add(&store, &name("other"), [event(0)]);
    let staged = store.append(&game, NoStream, [event(0)]);
    let refused = store.append(&game, NoStream, [event(1)]);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other).repeat());
    assert_eq!(trouble(staged.wait()).kind(), ErrorKind::OutcomeUnknown);
    trouble(refused.wait());
    assert_eq!(store.version(&game).expect("a version"), Version::NONE);
}

#[test]
fn a_conflict_with_what_is_visible_is_answered_at_once() {
    let disk = SimulatedDisk::new(1);
    let store = EventStore::options().open_simulated(&disk).expect("it opens");
    add(&store, &name("a"), [event(0)]);
    let staged = store.append(&name("b"), Any, [event(1)]);
    let mutations = disk.mutations();
    let refused = store.append(&name("a"), NoStream, [event(2)]);
    assert_eq!(format!("{refused:?}"), "answered append");
    assert_eq!(conflict(refused.wait()).actual(), Some(Version::FIRST));
    assert_eq!(disk.mutations(), mutations);
    staged.wait().expect("accepted");
}

// What an event carries.

/// Appends an event, reads it again after reopening, and looks at it.
fn check_event(event: &NewEvent, look: impl Fn(&scorebook::RecordedEvent)) {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("game-1"), [event.clone()]);
        look(&store.event(&name("game-1"), Version::FIRST).expect("it is there"));
        let store = home.reopen(store, &Options::default());
        look(&store.event_at(Position::new(1)).expect("it is there"));
    });
}

#[test]
fn an_id_of_the_callers_is_kept() {
    let id: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().expect("an id");
    check_event(&event(1).id(id), |event| assert_eq!(event.id(), id));
    for odd in [EventId::from_bytes([0; 16]), EventId::from_bytes([255; 16])] {
        check_event(&event(1).id(odd), |event| assert_eq!(event.id(), odd));
    }
}

#[test]
fn ids_the_store_makes_are_unique_and_stay_the_same() {
    let mut seen: HashSet<EventId> = HashSet::new();
    for home in [Home::disk(), Home::disk(), Home::Memory, Home::Memory, Home::simulated()] {
        let mut store = home.open();
        let mut ids: Vec<EventId> = Vec::new();
        for _ in 0..3 {
            add(&store, &name("game-1"), events(0..10));
            let now: Vec<EventId> = read(store.read_all()).iter().map(|event| event.id()).collect();
            assert_eq!(ids, now[..ids.len()], "{ids:?}");
            ids = now;
            store = home.reopen(store, &Options::default());
        }
        assert_eq!(ids.len(), 30);
        assert!(ids.into_iter().all(|id| seen.insert(id)), "an id was made twice");
    }
}

#[test]
fn metadata_comes_back_as_it_was_given() {
    let given = event(1)
        .correlation("interaction-9")
        .causation("command-7")
        .actor(8812)
        .meta("locale", "fi")
        .meta("shards", &[1, 2]);
    check_event(&given, |event| {
        let metadata = event.metadata().expect("metadata");
        assert_eq!(metadata.correlation(), Some("interaction-9"));
        assert_eq!(metadata.causation(), Some("command-7"));
        assert_eq!(metadata.actor(), Some("8812"));
        assert_eq!(metadata.get::<String>("locale").expect("text"), Some("fi".to_owned()));
        assert_eq!(metadata.get::<Vec<u8>>("shards").expect("numbers"), Some(vec![1, 2]));
        assert_eq!(metadata.get::<u8>("none").expect("nothing"), None);
        assert_eq!(metadata.others().collect::<Vec<_>>(), [("locale", "\"fi\""), ("shards", "[1,2]")]);
    });
}

#[test]
fn absent_metadata_is_absent() {
    check_event(&event(1), |event| {
        let metadata = event.metadata().expect("metadata");
        assert_eq!((metadata.correlation(), metadata.causation(), metadata.actor()), (None, None, None));
        assert_eq!((event.metadata_json(), metadata.others().count()), ("", 0));
        assert_eq!((event.tags().count(), event.occurred()), (0, None));
    });
}

#[test]
fn correlation_and_causation_are_given_one_without_the_other() {
    check_event(&event(1).correlation("c"), |event| {
        let metadata = event.metadata().expect("metadata");
        assert_eq!((metadata.correlation(), metadata.causation()), (Some("c"), None));
    });
    check_event(&event(1).causation(""), |event| {
        let metadata = event.metadata().expect("metadata");
        assert_eq!((metadata.correlation(), metadata.causation()), (None, Some("")));
    });
}

#[test]
fn what_an_event_causes_carries_its_correlation_along() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        add(&store, &game, [event(0), event(1).correlation("talk-1")]);
        let causes = read(store.read(&game));
        add(&store, &game, causes.iter().map(|cause| event(2).caused_by(cause)));
        for (cause, effect) in causes.iter().zip(read(store.read(&game).from(Version::new(3)))) {
            let metadata = effect.metadata().expect("metadata");
            let id = cause.id().to_string();
            assert_eq!(metadata.causation(), Some(&*id));
            let carried = cause.metadata().expect("metadata").correlation().map_or(id, str::to_owned);
            assert_eq!(metadata.correlation(), Some(&*carried));
        }
    });
}

#[test]
fn unicode_is_kept_everywhere() {
    everywhere(|home| {
        let store = home.open();
        let stream = name("ゲーム-42 🎲 \u{202e}rtl");
        let given = NewEvent::json("said", "ﷺ e\u{301} 👩‍👩‍👧")
            .expect("text")
            .tag("プレイヤー", "Ünïcödé")
            .correlation("ключ")
            .meta("שם", "\u{0}\u{7f}\"\\");
        add(&store, &stream, [given]);
        let store = home.reopen(store, &Options::default());
        let event = store.event(&stream, Version::FIRST).expect("it is there");
        assert_eq!(event.stream(), stream.as_str());
        assert_eq!(event.json::<String>().expect("text"), "ﷺ e\u{301} 👩‍👩‍👧");
        assert_eq!(event.tag("プレイヤー"), Some("Ünïcödé"));
        let metadata = event.metadata().expect("metadata");
        assert_eq!(metadata.correlation(), Some("ключ"));
        assert_eq!(metadata.get::<String>("שם").expect("text"), Some("\u{0}\u{7f}\"\\".to_owned()));
    });
}

#[test]
fn names_that_differ_only_in_normalisation_are_different_streams() {
    everywhere(|home| {
        let store = home.open();
        let (composed, decomposed) = (name("caf\u{e9}-1"), name("cafe\u{301}-1"));
        put(&store, &composed, NoStream, [event(1)]);
        put(&store, &decomposed, NoStream, [event(2)]);
        put(&store, &name("CAFE-1"), NoStream, [event(3)]);
        let store = home.reopen(store, &Options::default());
        assert_eq!(numbers(store.read(&composed)), [1]);
        assert_eq!(numbers(store.read(&decomposed)), [2]);
        assert_eq!(store.streams().list().expect("a list").len(), 3);
    });
}

#[test]
fn an_empty_payload_is_a_payload() {
    check_event(&NewEvent::bytes("touched", []), |event| {
        assert_eq!((event.data(), event.codec()), (&[][..], Codec::Bytes));
    });
    check_event(&NewEvent::json("touched", &()).expect("null"), |event| assert_eq!(event.data(), b"null"));
}

#[test]
fn schema_codec_tags_and_bytes_come_back_as_given() {
    let given = NewEvent::with_codec("v2.shape_x-Y", Codec::Other(77), vec![0, 255, 10, 0])
        .schema(u32::MAX)
        .tag("player", 8812)
        .tag("player", 8813)
        .tag("empty", "")
        .tag("colons", "a:b:c");
    check_event(&given, |event| {
        assert_eq!((event.event_type(), event.schema(), event.codec()), ("v2.shape_x-Y", u32::MAX, Codec::Other(77)));
        assert_eq!(event.data(), [0, 255, 10, 0]);
        let tags: Vec<(&str, &str)> = event.tags().collect();
        assert_eq!(tags, [("player", "8812"), ("player", "8813"), ("empty", ""), ("colons", "a:b:c")]);
        assert_eq!(event.tag("player"), Some("8812"));
    });
}

#[test]
fn a_codec_number_the_format_has_no_place_for_is_refused() {
    check_refused(
        NewEvent::with_codec("t", Codec::Other(0), Vec::new()),
        ErrorKind::InvalidArgument,
        &["0 is no codec"],
    );
}

// Time.

#[test]
fn the_callers_own_time_is_kept_beside_the_stores() {
    for nanos in [0, -1, i64::MIN, i64::MAX, 1_600_000_000_123_456_789] {
        let occurred = Timestamp::from_nanos(nanos);
        check_event(&event(1).occurred(occurred), |event| {
            assert_eq!(event.occurred(), Some(occurred));
            assert_ne!(event.time(), occurred);
        });
    }
}

#[test]
fn the_stores_time_never_goes_backwards_although_the_clock_does() {
    let disk = SimulatedDisk::new(1);
    let game = name("game-1");
    let late = Timestamp::from_nanos(1_800_000_000_000_000_000);
    let early = Timestamp::from_nanos(1_500_000_000_000_000_000);
    for clock in [late, early, late] {
        disk.set_time(clock);
        let store = EventStore::options().open_simulated(&disk).expect("it opens");
        add(&store, &game, [event(0)]);
        disk.set_time(early);
        let receipt = add(&store, &game, [event(1), event(2)]);
        assert!(late <= receipt.time());
    }
    let store = EventStore::options().open_simulated(&disk).expect("it opens");
    let times: Vec<Timestamp> = read(store.read_all()).iter().map(|event| event.time()).collect();
    assert_eq!(times.len(), 9);
    assert!(times.is_sorted(), "{times:?}");
    disk.set_time(Timestamp::from_nanos(1_900_000_000_000_000_000));
    assert!(times[8] < add(&store, &game, [event(3)]).time(), "the time goes on once the clock has reached it");
}

#[test]
fn times_rise_along_the_positions() {
    everywhere(|home| {
        let store = home.open();
        for number in 0..100 {
            add(&store, &name(&format!("game-{}", number % 3)), [event(number)]);
        }
        assert!(read(store.read_all()).iter().map(|event| event.time()).is_sorted());
    });
}

// Limits and names.

/// An event that must be refused, and leaves nothing behind.
fn check_refused(event: NewEvent, kind: ErrorKind, says: &[&str]) {
    everywhere(|home| {
        let store = home.open();
        check_says(&trouble(store.append(&name("game-1"), Any, [event.clone()]).wait()), kind, says);
        let batch = store.batch().append(&name("good"), Any, [super::support::event(1)]);
        check_says(&trouble(batch.append(&name("game-1"), Any, [event.clone()]).commit().wait()), kind, says);
        assert_eq!(store.head().expect("a head"), Position::BEGINNING);
        assert!(!store.exists(&name("good")).expect("an answer"));
    });
}

#[test]
fn a_stream_name_of_the_greatest_length_works_and_one_byte_more_is_refused() {
    everywhere(|home| {
        let store = home.open();
        for longest in ["x".repeat(limits::STREAM_NAME_BYTES_MAX), format!("{}x", "é".repeat(127))] {
            add(&store, &name(&longest), [event(1)]);
            assert_eq!(numbers(store.read(&name(&longest))), [1]);
        }
    });
    let error = StreamName::new("x".repeat(256)).expect_err("too long");
    check_says(&error, ErrorKind::InvalidName, &["256 bytes", "1 to 255"]);
    let error = StreamName::new("é".repeat(128)).expect_err("too long");
    check_says(&error, ErrorKind::InvalidName, &["256 bytes", "1 to 255"]);
}

#[test]
fn an_event_type_of_the_greatest_length_works_and_one_byte_more_is_refused() {
    let longest = "x".repeat(limits::EVENT_TYPE_BYTES_MAX);
    check_event(&NewEvent::bytes(&longest, []), |event| assert_eq!(event.event_type(), longest));
    check_refused(NewEvent::bytes(&"x".repeat(129), []), ErrorKind::InvalidName, &["129 bytes", "1 to 128"]);
    check_refused(NewEvent::bytes("", []), ErrorKind::InvalidName, &["0 bytes", "1 to 128"]);
    check_refused(NewEvent::bytes("two words", []), ErrorKind::InvalidName, &["two words"]);
    check_refused(NewEvent::bytes("typé", []), ErrorKind::InvalidName, &["typé"]);
}

#[test]
fn tags_of_the_greatest_length_and_number_work_and_one_more_is_refused() {
    let (key, value) = ("k".repeat(limits::TAG_KEY_BYTES_MAX), "v".repeat(limits::TAG_VALUE_BYTES_MAX));
    let full = (0..limits::TAGS_MAX).fold(event(1), |event, _| event.tag(&key, &value));
    check_event(&full, |event| {
        assert_eq!(event.tags().filter(|tag| *tag == (&*key, &*value)).count(), 64);
    });
    check_refused(full.tag("one", "more"), ErrorKind::TooLarge, &["64 tags"]);
    check_refused(event(1).tag(&"k".repeat(65), ""), ErrorKind::InvalidName, &["65 bytes", "1 to 64"]);
    check_refused(event(1).tag("", "v"), ErrorKind::InvalidName, &["0 bytes", "1 to 64"]);
    check_refused(event(1).tag("k", "v".repeat(256)), ErrorKind::InvalidName, &["256 bytes", "at most 255"]);
    check_refused(event(1).tag("a:b", "v"), ErrorKind::InvalidName, &["a:b"]);
    check_refused(event(1).tag("k", "a\nb"), ErrorKind::InvalidName, &["control character"]);
}

#[test]
fn references_of_the_greatest_length_work_and_one_byte_more_is_refused() {
    let longest = "r".repeat(limits::REFERENCE_BYTES_MAX);
    check_event(&event(1).correlation(&longest).causation(&longest).actor(&longest), |event| {
        let metadata = event.metadata().expect("metadata");
        assert_eq!(metadata.correlation(), Some(&*longest));
        assert_eq!((metadata.causation(), metadata.actor()), (Some(&*longest), Some(&*longest)));
    });
    let long = "r".repeat(129);
    check_refused(event(1).correlation(&long), ErrorKind::TooLarge, &["correlation", "129 bytes", "at most 128"]);
    check_refused(event(1).causation(&long), ErrorKind::TooLarge, &["causation", "129 bytes", "at most 128"]);
    check_refused(event(1).actor(&long), ErrorKind::TooLarge, &["actor", "129 bytes", "at most 128"]);
    check_refused(event(1).meta("actor", &long), ErrorKind::TooLarge, &["actor", "129 bytes", "at most 128"]);
    check_refused(event(1).meta("actor", &7), ErrorKind::InvalidArgument, &["actor"]);
    check_refused(event(1).schema(0), ErrorKind::InvalidArgument, &["schema is 0"]);
}

#[test]
fn a_record_of_16_mib_works_and_one_byte_more_is_refused() {
    // The header of a record, the stream's name and the type.
    let overhead = 64 + "big".len() + "big".len();
    let most = limits::RECORD_BYTES_MAX - overhead;
    everywhere(|home| {
        let store = home.open();
        let over = NewEvent::bytes("big", vec![7; most + 1]);
        let error = trouble(store.append(&name("big"), Any, [over]).wait());
        check_says(&error, ErrorKind::TooLarge, &["16777217 bytes", "16777216"]);
        assert_eq!(store.head().expect("a head"), Position::BEGINNING);
        let data: Vec<u8> = (0..most).map(|at| (at / 7) as u8).collect();
        add(&store, &name("big"), [NewEvent::bytes("big", data.clone())]);
        add(&store, &name("small"), [event(1)]);
        let store = home.reopen(store, &Options::default());
        let event = store.event(&name("big"), Version::FIRST).expect("it is there");
        assert_eq!(event.record_bytes() as usize, limits::RECORD_BYTES_MAX);
        assert!(event.data() == data, "16 MiB come back");
    });
}

#[test]
fn a_batch_of_10_000_events_works_and_one_more_is_refused() {
    everywhere(|home| {
        let store = home.open();
        let (a, b) = (name("a"), name("b"));
        let over = store.append(&a, Any, events(0..10_001)).wait();
        check_says(&trouble(over), ErrorKind::TooLarge, &["more than 10000 events"]);
        let over = store.batch().append(&a, Any, events(0..10_000)).append(&b, Any, [event(1)]).commit().wait();
        check_says(&trouble(over), ErrorKind::TooLarge, &["more than 10000 events"]);
        assert_eq!(store.head().expect("a head"), Position::BEGINNING);
        assert_eq!(add(&store, &a, events(0..10_000)).last_version().get(), 10_000);
        assert_eq!(numbers(store.read(&a)), (0..10_000).collect::<Vec<_>>());
    });
}

#[test]
fn a_batch_of_more_than_64_mib_is_refused_and_says_so() {
    everywhere(|home| {
        let store = home.open();
        let events = (0..5).map(|_| NewEvent::bytes("big", vec![7; 14 * 1024 * 1024]));
        let error = trouble(store.append(&name("big"), Any, events).wait());
        check_says(&error, ErrorKind::TooLarge, &["73400", "67108864"]);
        assert_eq!(store.head().expect("a head"), Position::BEGINNING);
    });
}

#[test]
fn an_empty_batch_is_refused_before_any_condition_is_looked_at() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        let refused: [BatchBuilder<'_>; 4] = [
            store.batch(),
            store.batch().append(&game, StreamExists, []),
            store.batch().require(&game, StreamExists),
            store.batch().append(&game, Any, []).require(&game, Exact(Version::new(7))),
        ];
        for batch in refused {
            check_says(&trouble(batch.commit().wait()), ErrorKind::InvalidArgument, &["no events"]);
        }
        let error = trouble(store.append(&game, Exact(Version::new(3)), []).wait());
        check_says(&error, ErrorKind::InvalidArgument, &["no events"]);
    });
}

#[test]
fn names_that_could_be_mistaken_for_something_else_are_refused_with_the_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\u{85}", "control character"),
        ("\u{7f}", "control character"),
        ("..", "holds `..`"),
        ("a..b", "holds `..`"),
        ("a/b", "holds `/`"),
        ("/", "holds `/`"),
        ("-rf", "begins with `-`"),
        ("-", "begins with `-`"),
    ] {
        check_says(&StreamName::new(text).expect_err(text), ErrorKind::InvalidName, &[reason]);
    }
}

#[test]
fn a_stream_name_never_becomes_a_path() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let odd = [".", "~", "LOCK", "live", "log", "0000000001.log", "C:\\x", "$HOME", "a b", "*", "%2e%2e%2f", "nul"];
        for text in odd {
            add(&store, &name(text), [event(1)]);
        }
        store.close().expect("it closes");
        let is_ours = |path: &String| {
            ["LOCK", "live"].contains(&&**path) || path.starts_with("log/0000") || path.starts_with("index/streams.")
        };
        let paths: Vec<String> = home.contents().into_keys().collect();
        assert!(paths.iter().all(is_ours), "{paths:?}");
        let names: Vec<String> =
            home.open().streams().list().expect("a list").iter().map(|info| info.name().as_str().to_owned()).collect();
        assert_eq!(names.len(), odd.len());
        assert!(odd.iter().all(|text| names.iter().any(|name| name == text)));
    });
}

// Several streams.

#[test]
fn a_batch_over_several_streams_is_interleaved_as_it_was_built() {
    everywhere(|home| {
        let store = home.open();
        let (a, b) = (name("a"), name("b"));
        let receipt = store
            .batch()
            .append(&a, NoStream, [event(0)])
            .append(&b, NoStream, [event(1), event(2)])
            .append(&a, NoStream, [event(3)])
            .append(&b, NoStream, [event(4)])
            .commit()
            .wait()
            .expect("accepted");
        assert_eq!(receipt.of(&a).expect("written").last_version().get(), 2);
        assert_eq!(receipt.of(&b).expect("written").last_version().get(), 3);
        let store = home.reopen(store, &Options::default());
        assert_eq!(numbers(store.read_all()), [0, 1, 2, 3, 4]);
        let streams: Vec<String> = read(store.read_all()).iter().map(|event| event.stream().to_owned()).collect();
        assert_eq!(streams, ["a", "b", "b", "a", "b"]);
        assert_eq!(numbers(store.read(&a)), [0, 3]);
        assert_eq!(versions(store.read(&b)), [1, 2, 3]);
        let times: HashSet<Timestamp> = read(store.read_all()).iter().map(|event| event.time()).collect();
        assert_eq!(times.len(), 1, "a batch has one time");
    });
}

#[test]
fn expectations_are_about_the_streams_before_the_batch() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        let both = |first, second| store.batch().append(&game, first, [event(0)]).append(&game, second, [event(1)]);
        assert_eq!(conflict(both(NoStream, Exact(Version::FIRST)).commit().wait()).actual(), Some(Version::NONE));
        both(NoStream, Exact(Version::NONE)).commit().wait().expect("accepted");
        assert_eq!(conflict(both(StreamExists, NoStream).commit().wait()), version_conflict(&game, NoStream, 2));
        both(Exact(Version::new(2)), StreamExists).commit().wait().expect("accepted");
        assert_eq!(versions(store.read(&game)), [1, 2, 3, 4]);
    });
}

#[test]
fn of_a_batch_with_one_wrong_expectation_nothing_is_written() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("b"), [event(0)]);
        let store = home.reopen(store, &Options::default());
        let before = home.contents();
        for wrong in [NoStream, Exact(Version::new(2)), Exact(Version::NONE)] {
            let batch = store.batch().append(&name("a"), NoStream, [event(1)]).append(&name("b"), wrong, [event(2)]);
            let conflict = conflict(batch.append(&name("c"), Any, [event(3)]).commit().wait());
            assert_eq!(conflict, version_conflict(&name("b"), wrong, 1));
        }
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
        assert_eq!(store.head().expect("a head").get(), 1);
        assert!(!store.exists(&name("a")).expect("an answer") && !store.exists(&name("c")).expect("an answer"));
        assert_eq!(put(&store, &name("a"), NoStream, [event(1)]).first_version(), Version::FIRST);
    });
}

#[test]
fn require_asks_for_streams_that_are_not_written() {
    everywhere(|home| {
        let store = home.open();
        let (game, team) = (name("game-1"), name("team-1"));
        let batch = |required| store.batch().append(&game, Any, [event(1)]).require(&team, required).commit().wait();
        assert_eq!(conflict(batch(StreamExists)), version_conflict(&team, StreamExists, 0));
        assert_eq!(conflict(batch(Exact(Version::FIRST))).actual(), Some(Version::NONE));
        let receipt = batch(NoStream).expect("accepted");
        assert!(receipt.of(&team).is_none() && receipt.streams().len() == 1);
        assert!(!store.exists(&team).expect("an answer"));
        add(&store, &team, [event(0)]);
        batch(StreamExists).expect("accepted");
        batch(Exact(Version::FIRST)).expect("accepted");
        batch(Any).expect("accepted");
        assert_eq!(conflict(batch(NoStream)).actual(), Some(Version::FIRST));
        assert_eq!(store.version(&game).expect("a version").get(), 4);
        assert_eq!(store.version(&team).expect("a version").get(), 1);
        let both = store.batch().append(&game, Any, [event(1)]).require(&game, Exact(Version::new(4)));
        both.commit().wait().expect("what is required of a written stream is about the time before the batch");
    });
}

#[test]
fn a_batch_is_judged_against_what_is_staged_before_it() {
    let store = EventStore::options().open_simulated(&SimulatedDisk::new(1)).expect("it opens");
    let (a, b) = (name("a"), name("b"));
    let first = store.append(&a, NoStream, [event(0)]);
    let second = store.batch().append(&b, NoStream, [event(1)]).require(&a, Exact(Version::FIRST)).commit();
    let third = store.batch().append(&b, StreamExists, [event(2)]).require(&a, NoStream).commit();
    assert_eq!(conflict(third.wait()), version_conflict(&a, NoStream, 1));
    first.wait().expect("accepted");
    second.wait().expect("accepted");
    assert_eq!(numbers(store.read_all()), [0, 1]);
}

// The receipt to come.

#[test]
fn an_append_is_queued_before_anybody_waits_for_it() {
    let store = EventStore::options().open_simulated(&SimulatedDisk::new(1)).expect("it opens");
    let pending: Vec<_> = (0..10).map(|n| store.append(&name("a"), Exact(Version::new(n)), [event(n)])).collect();
    assert_eq!(store.head().expect("a head"), Position::BEGINNING, "nothing is visible before it is durable");
    for (n, receipt) in pending.into_iter().rev().enumerate() {
        assert_eq!(receipt.wait().expect("accepted").last_version().get(), 10 - n as u64);
    }
    assert_eq!(numbers(store.read_all()), (0..10).collect::<Vec<_>>());
}

#[test]
fn waiting_for_a_limited_time_gives_the_answer_or_itself() {
    everywhere(|home| {
        let store = home.open();
        let mut pending = store.append(&name("a"), Any, [event(0)]);
        // A time that is over before it began is never enough, unless the answer is there already.
        let receipt = loop {
            pending = match pending.wait_timeout(Duration::ZERO) {
                Ok(answer) => break answer.expect("accepted"),
                Err(pending) => match pending.wait_timeout(super::support::PATIENCE) {
                    Ok(answer) => break answer.expect("accepted"),
                    Err(pending) => pending,
                },
            };
        };
        assert_eq!(receipt.last_version(), Version::FIRST);
        let refused = store.append(&name("a"), Any, []).wait_timeout(Duration::ZERO).expect("answered at once");
        assert_eq!(trouble(refused).kind(), ErrorKind::InvalidArgument);
        for round in 0..200 {
            let pending = store.append(&name("b"), Any, [event(round)]);
            match pending.wait_timeout(Duration::from_micros(round)) {
                Ok(answer) => assert_eq!(answer.expect("accepted").last_version().get(), round + 1),
                Err(pending) => assert_eq!(pending.wait().expect("accepted").last_version().get(), round + 1),
            }
        }
        assert_eq!(store.version(&name("b")).expect("a version").get(), 200);
    });
}

#[test]
fn a_receipt_is_awaited_in_any_runtime() {
    everywhere(|home| {
        let store = home.open();
        let receipt = block_on(store.append(&name("a"), Any, [event(0)])).expect("accepted");
        assert_eq!(receipt.last_version(), Version::FIRST);
        assert_eq!(conflict(block_on(store.append(&name("a"), NoStream, [event(0)]))).actual(), Some(Version::FIRST));
        assert_eq!(trouble(block_on(store.append(&name("a"), Any, []))).kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn many_receipts_in_flight_are_awaited_in_any_order() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let mut pending: Vec<_> = (0..300).map(|n| (n, store.append(&name("a"), Any, [kilobyte(n)]))).collect();
        let mut chance = Chance(11);
        while !pending.is_empty() {
            let at = chance.below(pending.len());
            let (n, receipt) = pending.swap_remove(at);
            let receipt = if n % 2 == 0 { block_on(receipt) } else { receipt.wait() };
            assert_eq!(receipt.expect("accepted").last_version().get(), n + 1);
        }
        assert_eq!(numbers(store.read(&name("a"))), (0..300).collect::<Vec<_>>());
    });
}

#[test]
fn dropped_receipts_are_committed_all_the_same() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..100 {
            drop(store.append(&name("a"), Any, [kilobyte(n)]));
        }
        eventually("the dropped appends are visible", || store.head().expect("a head").get() == 100);
        let store = home.reopen(store, &small_segments());
        assert_eq!(numbers(store.read(&name("a"))), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_polled_receipt_is_led_by_the_stores_own_threads() {
    everywhere(|home| {
        let store = home.open();
        let mut receipt = pin!(store.append(&name("a"), Any, [event(0)]));
        let mut context = Context::from_waker(Waker::noop());
        let first = receipt.as_mut().poll(&mut context);
        // Nobody waits and nobody polls again, and still it gets in.
        eventually("the polled append is visible", || store.head().expect("a head").get() == 1);
        if first.is_pending() {
            eventually("the answer is there", || match receipt.as_mut().poll(&mut context) {
                Poll::Ready(answer) => answer.expect("accepted").last_version() == Version::FIRST,
                Poll::Pending => false,
            });
        }
    });
}

#[test]
fn a_future_that_was_polled_and_dropped_is_committed_all_the_same() {
    everywhere(|home| {
        let store = home.open();
        for n in 0..20 {
            let mut receipt = Box::pin(store.append(&name("a"), Any, [event(n)]));
            let _ = receipt.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        eventually("all are visible", || store.head().expect("a head").get() == 20);
        assert_eq!(numbers(store.read_all()), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn flush_commits_what_nobody_waited_for_and_syncs_it() {
    everywhere(|home| {
        let store = home.open_with(&small_segments().durability(Durability::Written));
        store.flush().expect("an empty store flushes");
        let pending: Vec<_> = (0..100).map(|n| store.append(&name("a"), Any, [kilobyte(n)])).collect();
        store.flush().expect("it flushes");
        assert_eq!(store.head().expect("a head").get(), 100, "all that was appended before is in");
        let stats = store.stats().expect("numbers");
        assert_eq!(stats.durable_end(), stats.visible_end());
        for receipt in pending {
            receipt.wait().expect("accepted");
        }
    });
}

#[test]
fn flush_waits_for_batches_that_wait_for_room() {
    everywhere(|home| {
        for round in 1..=20 {
            let store = home.open_with(&small_segments());
            let before = store.head().expect("a head").get();
            drop(store.append(&name("large"), Any, (0..40).map(kilobyte)));
            store.flush().expect("it flushes");
            assert_eq!(store.head().expect("a head").get(), before + 40, "round {round}");
        }
    });
}

#[test]
fn close_commits_batches_that_wait_for_room() {
    wherever_it_lasts(|home| {
        for round in 1..=20 {
            let store = home.open_with(&small_segments());
            drop(store.append(&name("large"), Any, (0..40).map(kilobyte)));
            let kept = store.append(&name("large"), Any, [event(0)]);
            store.close().expect("it closes");
            assert_eq!(kept.wait().expect("accepted").last_version().get(), round * 41);
        }
        assert_eq!(home.open().head().expect("a head").get(), 20 * 41);
    });
}

// Closing.

#[test]
fn after_closing_every_clone_is_closed() {
    everywhere(|home| {
        let store = home.open();
        let clone = store.clone();
        add(&store, &name("a"), events(0..3));
        let pending = clone.append(&name("a"), Any, [event(3)]);
        store.close().expect("it closes");
        assert_eq!(pending.wait().expect("what was queued is committed").last_version().get(), 4);
        for handle in [&store, &clone] {
            let closed = ErrorKind::Closed;
            assert_eq!(trouble(handle.append(&name("a"), Any, [event(4)]).wait()).kind(), closed);
            assert_eq!(trouble(handle.batch().append(&name("a"), Any, [event(4)]).commit().wait()).kind(), closed);
            assert_eq!(handle.flush().expect_err("closed").kind(), closed);
            assert_eq!(handle.head().expect_err("closed").kind(), closed);
            assert_eq!(handle.version(&name("a")).expect_err("closed").kind(), closed);
            assert_eq!(handle.stats().expect_err("closed").kind(), closed);
            assert_eq!(handle.streams().list().expect_err("closed").kind(), closed);
            assert_eq!(super::support::first_error(handle.read(&name("a"))).kind(), closed);
            assert_eq!(super::support::first_error(handle.read_all()).kind(), closed);
            assert_eq!(handle.status(), scorebook::Status::Closed);
            handle.close().expect("closing twice is fine");
        }
    });
}

#[test]
fn reads_that_began_before_closing_go_on() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..100 {
            add(&store, &name("a"), [kilobyte(n)]);
        }
        let mut all = store.read_all().iter();
        let mut one = store.read(&name("a")).backwards().iter();
        let first = all.next().expect("an event").expect("it is there");
        let _ = one.next();
        store.close().expect("it closes");
        drop(store);
        assert_eq!(numbers(all), (1..100).collect::<Vec<_>>());
        assert_eq!(numbers(one), (0..99).rev().collect::<Vec<_>>());
        assert_eq!(number(&first), 0, "an event outlives its store");
    });
}

#[test]
fn a_closed_store_is_reopened_in_place_with_all_its_handles() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let clone = store.clone();
        add(&store, &name("a"), [event(0)]);
        assert_eq!(store.reopen().expect("it reopens").events(), 1);
        add(&clone, &name("a"), [event(1)]);
        store.close().expect("it closes");
        assert_eq!(clone.reopen().expect("it reopens").close_state(), CloseState::Clean);
        add(&store, &name("a"), [event(2)]);
        assert_eq!(numbers(clone.read_all()), [0, 1, 2]);
    });
}

#[test]
fn dropping_the_last_handle_closes_cleanly() {
    wherever_it_lasts(|home| {
        let store = home.open();
        assert_eq!(store.recovery_report().close_state(), CloseState::Empty);
        let pending = store.append(&name("a"), Any, [event(0)]);
        drop(store.clone());
        assert_eq!(store.status(), scorebook::Status::Writing);
        drop(store);
        pending.wait().expect("what was queued was committed");
        let store = home.open();
        assert_eq!(store.recovery_report().close_state(), CloseState::Clean);
        assert_eq!(numbers(store.read_all()), [0]);
    });
}

#[test]
fn a_read_or_a_receipt_does_not_keep_a_store_open() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let receipt = store.append(&name("a"), Any, [event(0)]);
        let reads = (store.read_all(), store.read_all().iter(), store.streams());
        drop(store);
        home.open().close().expect("another writer takes over");
        drop((receipt, reads));
    });
}

#[test]
fn too_much_waiting_to_be_written_is_refused_as_busy_and_goes_on_by_itself() {
    let store = EventStore::options().staged_bytes_max(8 * 1024).open_simulated(&SimulatedDisk::new(1));
    let store = store.expect("it opens");
    let game = name("game-1");
    let mut accepted = Vec::new();
    let refused = loop {
        let pending = store.append(&game, Any, [kilobyte(accepted.len() as u64)]);
        match format!("{pending:?}").as_str() {
            "pending append" => accepted.push(pending),
            _ => break trouble(pending.wait()),
        }
    };
    check_says(&refused, ErrorKind::Busy, &["8192"]);
    assert_eq!(accepted.len(), 6);
    for receipt in accepted {
        receipt.wait().expect("accepted");
    }
    assert_eq!(add(&store, &game, [kilobyte(6)]).last_version().get(), 7, "it goes on, and no version is lost");
    let large = add(&store, &game, (7..30).map(kilobyte));
    assert_eq!(large.last_version().get(), 30, "alone, even more than the limit is taken");
}

#[test]
fn what_was_refused_as_busy_is_not_there_and_the_rest_is() {
    everywhere(|home| {
        let store = home.open_with(&EventStore::options().staged_bytes_max(1));
        let pending: Vec<_> = (0..200).map(|n| (n, store.append(&name("a"), Any, [event(n)]))).collect();
        let mut accepted = Vec::new();
        for (n, receipt) in pending {
            match receipt.wait() {
                Ok(_) => accepted.push(n),
                Err(AppendError::Store(error)) => assert_eq!(error.kind(), ErrorKind::Busy),
                Err(AppendError::Conflict(conflict)) => panic!("{conflict}"),
            }
        }
        assert_eq!(numbers(store.read(&name("a"))), accepted);
    });
}

#[test]
fn what_is_accepted_stands_at_rising_places() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for n in 0..60 {
            add(&store, &name("a"), [kilobyte(n)]);
        }
        let places: Vec<Place> = read(store.read_all()).iter().map(|event| event.place()).collect();
        assert!(places.is_sorted_by(|a, b| a < b));
    });
}
