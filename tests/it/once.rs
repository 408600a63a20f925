//! Keys: a batch that comes again under its key is accepted once.

use super::support::{
    add, block_on, check_says, conflict, differences, everywhere, name, positions, small_segments, trouble,
    wherever_it_lasts, wherever_threads_are,
};
use crate::model::seed;
use scorebook::ExpectedVersion::{Any, Exact, NoStream};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    BatchBuilder, Codec, Conflict, Durability, ErrorKind, EventId, EventStore, MetadataField, NewEvent, Position,
    Query, Receipt, Timestamp, Version,
};

fn guess(word: &str) -> NewEvent {
    NewEvent::bytes("guessed", word.as_bytes()).tag("player", 1).actor("x")
}

fn one<'a>(store: &'a EventStore, key: &str) -> BatchBuilder<'a> {
    store.batch().append(&name("game-1"), NoStream, [guess("otter"), guess("river")]).once(key)
}

fn accepted(batch: BatchBuilder<'_>) -> Receipt {
    batch.commit().wait().expect("accepted, or accepted before")
}

/// A receipt as its batch gets it again.
fn again(first: &Receipt, repeat: &Receipt) {
    assert!(!first.is_repeat() && repeat.is_repeat());
    assert_eq!(
        (first.first_position(), first.last_position(), first.time()),
        (repeat.first_position(), repeat.last_position(), repeat.time())
    );
    assert_eq!(first.streams(), repeat.streams());
}

#[test]
fn the_same_key_and_content_give_the_first_receipt_again() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        add(&store, &name("noise"), [guess("a")]);
        let (game, team) = (name("game-1"), name("team-1"));
        let batch = |store: &EventStore, version| {
            let batch = store.batch().append(&game, version, [guess("otter")]).append(&team, Any, [guess("b")]);
            accepted(batch.append(&game, Any, [guess("river")]).once("interaction-8812"))
        };
        let first = batch(&store, NoStream);
        assert_eq!((first.first_position().get(), first.last_position().get()), (2, 4));
        assert_eq!(first.of(&game).map(|of| of.last_version().get()), Some(2));
        // Whatever is expected, and whether it is visible or lies segments behind.
        again(&first, &batch(&store, Exact(Version::new(77))));
        for filler in 0..60 {
            add(&store, &name("noise"), [NewEvent::bytes("other", vec![filler; 2_000])]);
        }
        assert!(2 < store.stats().expect("numbers").segments());
        again(&first, &batch(&store, NoStream));
        let store = home.reopen(store, &small_segments());
        let before = home.contents();
        let repeat = batch(&store, NoStream);
        again(&first, &repeat);
        assert_eq!(repeat.durability(), Durability::Synced);
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new(), "a repeat writes nothing");
        assert_eq!(store.version(&game).expect("a version").get(), 2);
        // The key stands behind the events of its batch and is none.
        assert_eq!(positions(store.read_all().matching(Query::all().of_type("guessed"))), [1, 2, 3, 4]);
    });
}

#[test]
fn what_makes_events_the_same_is_what_was_handed_in_but_not_ids_and_times() {
    let store = EventStore::open_in_memory().expect("a store");
    let event = || NewEvent::with_codec("guessed", Codec::Json, b"[1]".to_vec()).schema(2).tag("a", "b").actor("x");
    let commit = |stream: &str, events: Vec<NewEvent>| {
        store.batch().append(&name(stream), Any, events).once("key").commit().wait()
    };
    let first = commit("game-1", vec![event(), event()]).expect("accepted");
    let same = [
        vec![event().id(EventId::from_bytes([1; 16])), event()],
        vec![event(), event().occurred(Timestamp::from_nanos(7))],
    ];
    for events in same {
        again(&first, &commit("game-1", events).expect("a repeat"));
    }
    let other: [(&str, Vec<NewEvent>); 9] = [
        ("game-2", vec![event(), event()]),
        ("game-1", vec![event()]),
        ("game-1", vec![event(), event(), event()]),
        ("game-1", vec![event(), event().schema(3)]),
        ("game-1", vec![event(), event().tag("c", "d")]),
        ("game-1", vec![event(), event().causation("y")]),
        ("game-1", vec![event(), NewEvent::with_codec("guesse", Codec::Json, b"d[1]".to_vec()).schema(2)]),
        (
            "game-1",
            vec![NewEvent::with_codec("guessed", Codec::Json, b"[2]".to_vec()).schema(2).tag("a", "b"), event()],
        ),
        ("game-1", vec![NewEvent::bytes("guessed", b"[1]").schema(2).tag("a", "b").actor("x"), event()]),
    ];
    for (number, (stream, events)) in other.into_iter().enumerate() {
        let expected = Conflict::Once { key: "key".to_owned(), position: Position::new(1) };
        assert_eq!(conflict(commit(stream, events)), expected, "number {number}");
    }
    let text = conflict(commit("game-1", vec![event()])).to_string();
    assert_eq!(text, "key `key` came before with something else, in the batch at position 1");
    assert_eq!(store.head().expect("a head").get(), 2);
}

#[test]
fn while_the_first_is_only_staged_the_others_wait_for_it() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), [guess("a")]);
    let first = one(&store, "key").commit();
    let second = one(&store, "key").commit();
    let third = store.batch().append(&name("game-1"), Any, [guess("heron")]).once("key").commit();
    let fourth = one(&store, "other").commit();
    assert_eq!(store.head().expect("a head").get(), 1, "nothing was written yet");
    let repeat = second.wait().expect("a repeat");
    assert_eq!(store.head().expect("a head").get(), 3, "a receipt is given for what is visible");
    again(&first.wait().expect("accepted"), &repeat);
    assert!(matches!(conflict(third.wait()), Conflict::Once { position, .. } if position.get() == 2));
    assert_eq!(conflict(fourth.wait()).actual(), Some(Version::new(2)), "another key is another batch");
}

#[test]
fn a_repeat_is_answered_before_anything_else_is_judged() {
    everywhere(|home| {
        let store = home.open();
        let query = || Query::all().tag("player", 1);
        let first = accepted(one(&store, "key").unless(query()));
        again(&first, &accepted(one(&store, "key").unless(query())));
        again(&first, &accepted(one(&store, "key").require(&name("nowhere"), Exact(Version::new(3)))));
        assert_eq!(conflict(one(&store, "other").unless(query()).commit().wait()).actual(), Some(Version::new(2)));
    });
}

#[test]
fn a_repeat_is_answered_whatever_is_wrong_with_the_rest_also_while_the_first_is_staged() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), [guess("a")]);
    let (_, guard) = store.read_for_decision(Query::all()).expect("a read");
    store.reopen().expect("it opens again");
    let beyond = || Query::all().of_type("guessed").after(Position::new(99));
    let first = one(&store, "key").commit();
    let staged = [one(&store, "key").unless(beyond()).commit(), one(&store, "key").guarded_by(&guard).commit()];
    let wrong = store.batch().append(&name("b"), Any, [guess("b")]).once("other").unless(beyond()).commit();
    let first = first.wait().expect("accepted");
    for repeat in staged {
        again(&first, &repeat.wait().expect("a repeat"));
    }
    check_says(&trouble(wrong.wait()), ErrorKind::InvalidArgument, &["position 99"]);
    again(&first, &accepted(one(&store, "key").unless(beyond()).guarded_by(&guard)));
}

#[test]
fn tags_that_the_store_made_of_metadata_are_not_what_was_handed_in() {
    let disk = SimulatedDisk::new(seed());
    let open = |fields: &[MetadataField]| {
        let options = EventStore::options().tags_from_metadata(fields.iter().copied());
        options.open_simulated(&disk).expect("a store")
    };
    let fields: [&[MetadataField]; 4] =
        [&[], &[MetadataField::Actor], &[MetadataField::Actor, MetadataField::Causation], &[]];
    let mut first: Option<Receipt> = None;
    for fields in fields {
        let store = open(fields);
        let receipt = accepted(one(&store, "key"));
        match &first {
            Some(first) => again(first, &receipt),
            None => first = Some(receipt),
        }
        let other = accepted(store.batch().append(&name("b"), Any, [guess("c")]).once(format!("{fields:?}")));
        let event = store.event_at(other.first_position()).expect("an event");
        assert_eq!(event.tag("actor"), (!fields.is_empty()).then_some("x"), "{fields:?}");
        store.close().expect("closing");
    }
    // What makes no tag is no reason to refuse an event.
    let store = open(&[MetadataField::Actor]);
    let full = (0..64).fold(NewEvent::bytes("full", []), |event, n| event.tag("n", n)).actor("x");
    add(&store, &name("c"), [NewEvent::bytes("odd", []).actor("a\nb"), full]);
}

#[test]
fn what_a_salvage_has_copied_keeps_its_keys() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let first = accepted(one(&store, "key"));
    for player in 0..4 {
        add(&store, &name("noise"), [NewEvent::bytes("noise", vec![player; 700])]);
    }
    let lost = store.event_at(Position::new(4)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(lost.offset) + 300..u64::from(lost.offset) + 400, 1);
    let copy = SimulatedDisk::new(seed() + 1);
    scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    let store = EventStore::options().open_simulated(&copy).expect("it opens");
    again(&first, &accepted(one(&store, "key")));
    let unknown = || store.batch().append(&name("noise"), Any, [guess("a")]).once("unknown").commit().wait();
    check_says(&trouble(unknown()), ErrorKind::Lost, &["key `unknown`", "positions 4 to 4"]);
    store.accept_losses().expect("accepting");
    assert!(!unknown().expect("accepted").is_repeat());
}

#[test]
fn a_repeat_that_asks_for_more_is_answered_when_the_first_is_as_durable() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), [guess("a")]);
    let first = accepted(one(&store, "key").durability(Durability::Written));
    assert_eq!(first.durability(), Durability::Written);
    let repeat = accepted(one(&store, "key").durability(Durability::Written));
    assert_eq!(repeat.durability(), Durability::Written);
    let repeat = accepted(one(&store, "key").durability(Durability::Synced));
    again(&first, &repeat);
    assert_eq!(repeat.durability(), Durability::Synced);
    let later = store.batch().append(&name("b"), Any, [guess("b")]).durability(Durability::Written).once("later");
    assert_eq!(accepted(later).durability(), Durability::Written);
    let repeat = accepted(one(&store, "key").durability(Durability::Written));
    assert_eq!(repeat.durability(), Durability::Synced, "what came behind it takes nothing from it");
    let store = EventStore::options().open_simulated(&disk.crash(&CrashChoice::LoseAll)).expect("it opens");
    assert_eq!(store.head().expect("a head"), first.last_position(), "what was called synced is there");
    again(&first, &accepted(one(&store, "key")));
}

#[test]
fn the_receipt_of_a_key_is_found_by_whoever_reads() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        assert!(store.receipt_of("key").expect("an answer").is_none());
        let first = accepted(one(&store, "key"));
        for filler in 0..60 {
            add(&store, &name("noise"), [NewEvent::bytes("other", vec![filler; 2_000])]);
        }
        let written = store.batch().append(&name("b"), Any, [guess("b")]).durability(Durability::Written);
        accepted(written.once("written"));
        let check = |store: &EventStore| {
            let found = store.receipt_of("key").expect("an answer").expect("it was accepted");
            again(&first, &found);
            assert_eq!(found.durability(), Durability::Synced);
            assert!(store.receipt_of("ke").expect("an answer").is_none());
        };
        check(&store);
        let store = home.reopen(store, &small_segments());
        check(&store);
        store.close().expect("closing");
        check(&home.read_only().expect("a reader"));
        assert_eq!(store.receipt_of("key").expect_err("it is closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let store = EventStore::open_in_memory().expect("a store");
    for (key, says) in [(String::new(), "0 bytes"), ("k".repeat(129), "129 bytes"), ("ü".repeat(65), "130 bytes")] {
        check_says(
            &trouble(one(&store, &key).commit().wait()),
            ErrorKind::InvalidArgument,
            &["once", says, "1 to 128"],
        );
    }
    check_says(&trouble(one(&store, "a").once("b").commit().wait()), ErrorKind::InvalidArgument, &["`a`", "`b`"]);
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
    let longest = "k".repeat(128);
    again(&accepted(one(&store, &longest)), &accepted(one(&store, &longest)));
}

#[test]
fn of_64_threads_with_one_key_one_is_the_first_and_all_get_its_receipt() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        for round in 0..10 {
            let (key, stream) = (format!("key-{round}"), name(&format!("game-{round}")));
            let answers: Vec<Receipt> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..64)
                    .map(|thread| {
                        let (store, key, stream) = (&store, &key, &stream);
                        scope.spawn(move || {
                            let batch = store.batch().append(stream, NoStream, [guess("otter")]).once(key);
                            let answer = if thread % 2 == 0 { batch.commit().wait() } else { block_on(batch.commit()) };
                            let receipt = answer.expect("accepted, or accepted before");
                            let event = store.event_at(receipt.last_position()).expect("it is visible");
                            assert_eq!(event.stream(), stream.as_str());
                            receipt
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
            });
            let first: Vec<&Receipt> = answers.iter().filter(|receipt| !receipt.is_repeat()).collect();
            assert_eq!(first.len(), 1);
            answers.iter().filter(|receipt| receipt.is_repeat()).for_each(|repeat| again(first[0], repeat));
            assert_eq!(store.version(&stream).expect("a version"), Version::FIRST);
        }
    });
}

#[test]
fn whoever_comes_again_after_a_crash_at_any_moment_is_accepted_once() {
    // Each life is cut at another operation of the disk; the next one hands in everything again.
    let mut repeats = 0;
    for cut in 1.. {
        let disk = SimulatedDisk::new(seed() + cut);
        disk.stop_at(cut);
        let commands: Vec<(String, &str)> =
            (0..6).map(|n| (format!("command-{n}"), ["otter", "river"][n % 2])).collect();
        let hand_in = |disk: &SimulatedDisk| -> Result<Vec<Receipt>, scorebook::Error> {
            let store = EventStore::options().segment_bytes_max(32 * 1024).open_simulated(disk)?;
            let mut receipts = Vec::new();
            for (key, word) in &commands {
                let event = NewEvent::bytes("guessed", [word.as_bytes(), &[0; 9_000]].concat());
                let batch = store.batch().append(&name("game-1"), Any, [event]).once(key);
                receipts.push(batch.commit().wait().map_err(|error| error.into_error())?);
            }
            store.close().map(|()| receipts)
        };
        let first = hand_in(&disk);
        if first.is_ok() && !disk.has_stopped() {
            assert!(20 < cut, "an evening takes more than {cut} operations");
            break;
        }
        let after = disk.crash(&CrashChoice::Seeded(cut));
        let receipts = hand_in(&after).unwrap_or_else(|error| panic!("cut at {cut} of seed {}: {error:?}", seed()));
        repeats += receipts.iter().filter(|receipt| receipt.is_repeat()).count();
        let store = EventStore::options().open_simulated(&after).expect("it opens");
        let words: Vec<u8> = store.read_all().into_iter().map(|event| event.expect("an event").data()[0]).collect();
        assert_eq!(words, b"ororor", "cut at {cut} of seed {}", seed());
    }
    assert!(20 < repeats, "{repeats} commands had been accepted before their crash");
}

#[test]
fn a_key_that_cannot_be_read_is_an_error_and_no_second_acceptance() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    let last = accepted(one(&store, "key")).last_position();
    let event = store.event_at(last).expect("an event");
    let key = u64::from(event.place().offset + event.record_bytes());
    disk.garble("log/0000000001.log", key + 70..key + 80, 1);
    check_says(&trouble(one(&store, "key").commit().wait()), ErrorKind::Damaged, &["key `key`"]);
    let batch = store.batch().append(&name("game-2"), Any, [guess("a")]).once("other").commit();
    batch.wait().expect("nobody asked for what is damaged");
}
