//! Reading beside a writer: a store opened for reading only follows it, and leaves no trace.

use super::process::OtherProcess;
use super::support::{
    Home, add, check_says, contents_of, differences, event, events, eventually, first_error, kilobyte, name, numbers,
    positions, read, small_segments, trouble, wherever_it_lasts,
};
use scorebook::ExpectedVersion::{Any, NoStream};
use scorebook::{CloseState, Durability, ErrorKind, EventStore, Position, Status, Version};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Waits until a reader sees this head. On the simulated disk it must be so at once.
fn await_head(home: &Home, reader: &EventStore, head: u64) {
    let is_there = || reader.head().expect("a head").get() == head;
    if home.has_threads() {
        eventually("the reader sees what was acknowledged", is_there);
    }
    assert!(is_there(), "{} instead of {head}", reader.head().expect("a head"));
}

#[test]
fn a_reader_beside_a_writer_follows_it_across_segments() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        add(&writer, &name("game-0"), [kilobyte(0)]);
        let reader = home.read_only().expect("it opens");
        for n in 1..150 {
            add(&writer, &name(&format!("game-{}", n % 3)), [kilobyte(n)]);
            if n % 10 == 9 {
                await_head(home, &reader, n + 1);
                assert_eq!(numbers(reader.read_all()), (0..=n).collect::<Vec<_>>());
            }
        }
        assert!(4 < reader.stats().expect("numbers").segments());
        assert_eq!(reader.status(), Status::ReadOnly);
        assert_eq!(reader.recovery_report().close_state(), CloseState::Open);
        let (of_reader, of_writer) = (reader.stats().expect("numbers"), writer.stats().expect("numbers"));
        assert_eq!(of_reader.store_id(), of_writer.store_id());
        assert_eq!(of_reader.visible_end(), of_writer.visible_end());
        for stream in ["game-0", "game-1", "game-2"].map(name) {
            assert_eq!(numbers(reader.read(&stream)), numbers(writer.read(&stream)));
            assert_eq!(reader.version(&stream).expect("a version"), writer.version(&stream).expect("a version"));
            let (ours, theirs) = (reader.stream_info(&stream), writer.stream_info(&stream));
            let (ours, theirs) = (ours.expect("it is known"), theirs.expect("it is known"));
            assert_eq!((ours.count(), ours.last_time()), (theirs.count(), theirs.last_time()));
        }
        let id = writer.event_at(Position::new(77)).expect("it is there").id();
        assert_eq!(reader.event_by_id(id).expect("it is there").position().get(), 77);
        assert_eq!(reader.streams().list().expect("a list").len(), 3);
    });
}

#[test]
fn a_reader_catches_up_over_many_segments_at_once() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        add(&writer, &name("game-1"), [kilobyte(0)]);
        let reader = home.read_only().expect("it opens");
        await_head(home, &reader, 1);
        assert_eq!(numbers(reader.read_all()), [0]);
        for n in 1..150 {
            add(&writer, &name("game-1"), [kilobyte(n)]);
        }
        await_head(home, &reader, 150);
        assert_eq!(numbers(reader.read(&name("game-1"))), (0..150).collect::<Vec<_>>());
        assert_eq!(numbers(reader.read_all().backwards()), (0..150).rev().collect::<Vec<_>>());
    });
}

#[test]
fn a_reader_of_a_store_without_events_sees_the_first() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        let reader = home.read_only().expect("it opens");
        assert_eq!(reader.head().expect("a head"), Position::BEGINNING);
        assert_eq!(first_error(reader.read(&name("a"))).kind(), ErrorKind::StreamNotFound);
        add(&writer, &name("a"), [event(0)]);
        await_head(home, &reader, 1);
        assert_eq!(numbers(reader.read(&name("a"))), [0]);
    });
}

#[test]
fn a_reader_sees_only_what_is_visible() {
    let home = Home::simulated();
    let writer = home.open();
    add(&writer, &name("a"), [event(0)]);
    let reader = home.read_only().expect("it opens");
    let staged = writer.append(&name("a"), Any, [event(1)]);
    assert_eq!(numbers(reader.read_all()), [0]);
    staged.wait().expect("accepted");
    assert_eq!(numbers(reader.read_all()), [0, 1]);
    let written = writer.batch().append(&name("a"), Any, [event(2)]).durability(Durability::Written);
    written.commit().wait().expect("accepted");
    assert_eq!(numbers(reader.read_all()), [0, 1, 2]);
    let stats = reader.stats().expect("numbers");
    assert!(stats.durable_end() < stats.visible_end());
}

#[test]
fn a_read_that_began_stays_as_it_is_while_the_reader_follows() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        for n in 0..40 {
            add(&writer, &name("a"), [kilobyte(n)]);
        }
        let reader = home.read_only().expect("it opens");
        await_head(home, &reader, 40);
        let (mut all, mut one) = (reader.read_all().iter(), reader.read(&name("a")).backwards().iter());
        let _ = (all.next(), one.next());
        for n in 40..120 {
            add(&writer, &name("a"), [kilobyte(n)]);
        }
        await_head(home, &reader, 120);
        writer.close().expect("it closes");
        assert_eq!(reader.head().expect("a head").get(), 120);
        assert_eq!(numbers(all), (1..40).collect::<Vec<_>>());
        assert_eq!(numbers(one), (0..39).rev().collect::<Vec<_>>());
    });
}

#[test]
fn a_reader_goes_on_after_the_writer_closed_and_after_it_opened_again() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        add(&writer, &name("a"), events(0..3));
        let reader = home.read_only().expect("it opens");
        let mut next = 3;
        for round in 0..4 {
            writer.close().expect("it closes");
            // What was acknowledged is seen at once: nobody is left who could say otherwise.
            assert_eq!(numbers(reader.read_all()), (0..next).collect::<Vec<_>>(), "round {round}");
            writer.reopen().expect("it opens again");
            assert_eq!(numbers(reader.read_all()), (0..next).collect::<Vec<_>>(), "round {round}");
            for _ in 0..20 {
                add(&writer, &name("a"), [kilobyte(next)]);
                next += 1;
            }
            await_head(home, &reader, next);
            assert_eq!(numbers(reader.read_all()), (0..next).collect::<Vec<_>>(), "round {round}");
            assert_eq!(reader.stats().expect("numbers").epoch(), writer.stats().expect("numbers").epoch());
        }
    });
}

#[test]
fn positions_a_reader_has_seen_never_change_and_rise_while_it_follows() {
    let home = Home::disk();
    let writer = home.open_with(&small_segments());
    add(&writer, &name("a"), [kilobyte(0)]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let reader = home.read_only().expect("it opens");
                    // What the writer says it says within a moment, not at once.
                    eventually("the reader sees an event", || reader.head().expect("a head").get() != 0);
                    let mut seen: Vec<u64> = Vec::new();
                    let mut is_last = false;
                    while !is_last {
                        is_last = is_over.load(Ordering::SeqCst);
                        let head = reader.head().expect("a head");
                        seen.extend(positions(reader.read_all().after(Position::new(seen.len() as u64))));
                        assert!(head.get() <= seen.len() as u64);
                        assert_eq!(seen.len() as u64, *seen.last().expect("there is one"));
                        let in_a = reader.version(&name("a")).expect("a version");
                        assert!(0 < in_a.get());
                        assert_eq!(reader.event(&name("a"), in_a).expect("it is there").version(), in_a);
                    }
                    seen.len() as u64
                })
            })
            .collect();
        for n in 1..300 {
            add(&writer, &name(["a", "b"][n as usize % 2]), [kilobyte(n)]);
        }
        writer.close().expect("it closes");
        is_over.store(true, Ordering::SeqCst);
        for reader in readers {
            assert_eq!(reader.join().expect("it ends well"), 300);
        }
    });
}

// Another process.

#[test]
fn a_reader_follows_a_writer_in_another_process() {
    let home = Home::disk();
    let mut other = OtherProcess::writing(&home.path());
    assert_eq!(other.ask("append 1"), "1");
    let reader = home.read_only().expect("it opens");
    for round in 1..=5 {
        let head: u64 = other.ask("append 30").parse().expect("a head");
        assert_eq!(head, round * 30 + 1);
        await_head(&home, &reader, head);
        assert_eq!(numbers(reader.read(&name("game-1"))), (0..head).collect::<Vec<_>>());
    }
    assert!(4 < reader.stats().expect("numbers").segments());
    assert_eq!(other.ask("close"), "closed");
    assert_eq!(reader.head().expect("a head").get(), 151);
    assert_eq!(other.ask("open"), "opened");
    assert_eq!(reader.head().expect("a head").get(), 151);
    assert_eq!(other.ask("append 40"), "191");
    await_head(&home, &reader, 191);
    assert_eq!(numbers(reader.read_all()), (0..191).collect::<Vec<_>>());
}

#[test]
fn a_reader_in_another_process_follows_this_one() {
    let home = Home::disk();
    let writer = home.open_with(&small_segments());
    let mut other = OtherProcess::start(&home.path());
    for head in (30..=150).step_by(30) {
        for n in head - 30..head {
            add(&writer, &name("game-1"), [kilobyte(n)]);
        }
        eventually("the other process sees it", || other.ask("look") == head.to_string());
    }
    writer.close().expect("it closes");
    assert_eq!(other.ask("look"), "150");
}

#[test]
fn a_reader_sees_everything_acknowledged_once_the_writer_was_killed() {
    let home = Home::disk();
    for round in 1..=6 {
        let mut other = OtherProcess::writing(&home.path());
        let reader = home.read_only().expect("it opens");
        let head = other.ask("append 25");
        other.kill();
        // `live` may be behind: the last it says may be older than the last acknowledgement.
        assert_eq!(reader.head().expect("a head").to_string(), head, "round {round}");
        assert_eq!(numbers(reader.read_all()), (0..round * 25).collect::<Vec<_>>());
        // A writer that recovers, copies the tail and removes files disturbs nobody.
        let mut other = OtherProcess::writing(&home.path());
        assert_eq!(numbers(reader.read_all()), (0..round * 25).collect::<Vec<_>>());
        assert_eq!(other.ask("close"), "closed");
        assert_eq!(numbers(reader.read_all()), (0..round * 25).collect::<Vec<_>>());
    }
}

#[test]
fn readers_beside_a_writer_that_recovers_see_all_that_was_acknowledged() {
    let home = Home::disk();
    let mut other = OtherProcess::writing(&home.path());
    assert_eq!(other.ask("append 60"), "60");
    // Until `live` says so: a reader that meets the next writer between its lock and its first word believes the last one.
    await_head(&home, &home.read_only().expect("it opens"), 60);
    other.kill();
    for _ in 0..10 {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let reader = home.read_only().expect("it opens");
                    assert!(reader.recovery_report().damage().is_empty(), "{}", reader.recovery_report());
                    assert!(60 <= reader.head().expect("a head").get());
                }
            });
            let mut other = OtherProcess::writing(&home.path());
            other.ask("append 1");
            other.kill();
            is_over.store(true, Ordering::SeqCst);
        });
    }
}

// No trace.

#[test]
fn a_reader_of_a_closed_store_changes_nothing() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        for n in 0..50 {
            add(&writer, &name("a"), [kilobyte(n)]);
        }
        writer.close().expect("it closes");
        let before = home.contents();
        let reader = home.read_only().expect("it opens");
        assert_eq!(reader.recovery_report().close_state(), CloseState::Clean);
        check_reads_and_refuses_writes(&reader, 50);
        reader.close().expect("it closes");
        assert_eq!(reader.head().expect_err("closed").kind(), ErrorKind::Closed);
        drop(reader);
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
    });
}

/// Everything there is to ask of a reader; whatever would write is refused.
fn check_reads_and_refuses_writes(reader: &EventStore, events: u64) {
    assert_eq!(numbers(reader.read_all()), (0..events).collect::<Vec<_>>());
    assert_eq!(read(reader.read(&name("a")).backwards().limit(1))[0].version().get(), events);
    assert_eq!(reader.stream_info(&name("a")).expect("it is known").count(), events);
    assert_eq!(reader.stats().expect("numbers").events(), events);
    assert!(!reader.exists(&name("b")).expect("an answer"));
    let read_only = ErrorKind::ReadOnly;
    assert_eq!(trouble(reader.append(&name("a"), Any, [event(0)]).wait()).kind(), read_only);
    assert_eq!(trouble(reader.append(&name("a"), NoStream, [event(0)]).wait()).kind(), read_only);
    assert_eq!(trouble(reader.batch().append(&name("b"), Any, [event(0)]).commit().wait()).kind(), read_only);
    assert_eq!(reader.flush().expect_err("it does not write").kind(), read_only);
    reader.reopen().expect("it looks again");
    assert_eq!(reader.head().expect("a head").get(), events);
}

#[test]
fn a_reader_beside_a_writer_changes_nothing() {
    // On the simulated disk nothing happens by itself, so every change would be the reader's.
    let home = Home::simulated();
    let writer = home.open_with(&small_segments());
    for n in 0..50 {
        add(&writer, &name("a"), [kilobyte(n)]);
    }
    let Home::Simulated(disk) = &home else { panic!("it is simulated") };
    let (before, mutations) = (disk.contents(), disk.mutations());
    check_reads_and_refuses_writes(&home.read_only().expect("it opens"), 50);
    assert_eq!(differences(&before, &disk.contents()), Vec::<String>::new());
    assert_eq!(disk.mutations(), mutations);
    add(&writer, &name("a"), [event(50)]);

    // On the real disk a writer that has only opened is still.
    let home = Home::disk();
    let writer = home.open();
    add(&writer, &name("a"), events(0..50));
    writer.reopen().expect("it reopens");
    let before = home.contents();
    let mut other = OtherProcess::start(&home.path());
    assert_eq!(other.ask("look"), "50");
    check_reads_and_refuses_writes(&home.read_only().expect("it opens"), 50);
    drop(other);
    assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
    add(&writer, &name("a"), [event(50)]);
}

#[test]
fn a_reader_after_a_kill_changes_nothing_and_neither_does_it_heal_anything() {
    let home = Home::disk();
    let mut other = OtherProcess::writing(&home.path());
    other.ask("append 50");
    other.kill();
    let before = home.contents();
    for _ in 0..3 {
        let reader = home.read_only().expect("it opens");
        assert_eq!(reader.recovery_report().close_state(), CloseState::Unclean);
        assert_eq!(numbers(reader.read_all()), (0..50).collect::<Vec<_>>());
    }
    assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
    let store = home.open();
    assert_eq!(store.recovery_report().close_state(), CloseState::Unclean);
}

#[test]
fn without_a_store_there_is_nothing_to_read_and_nothing_is_created() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in [directory.path().to_owned(), directory.path().join("absent"), directory.path().join("a/b/c")] {
        let error = EventStore::open_read_only(&path).expect_err("there is none");
        check_says(&error, ErrorKind::StoreNotFound, &["no store", &path.display().to_string()]);
    }
    fs::write(directory.path().join("log"), "a file").expect("a file");
    let error = EventStore::open_read_only(directory.path()).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::StoreNotFound);
    assert_eq!(contents_of(directory.path()).into_keys().collect::<Vec<_>>(), ["log"]);
    let home = Home::simulated();
    assert_eq!(home.read_only().expect_err("there is none").kind(), ErrorKind::StoreNotFound);
    assert_eq!(home.contents().len(), 0);
}

// Without `live`.

#[test]
fn a_closed_store_without_live_is_read_all_the_same() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        for n in 0..50 {
            add(&writer, &name("a"), [kilobyte(n)]);
        }
        writer.close().expect("it closes");
        home.remove("live");
        let before = home.contents();
        let reader = home.read_only().expect("it opens");
        check_reads_and_refuses_writes(&reader, 50);
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
        let writer = home.open_with(&small_segments());
        add(&writer, &name("a"), [kilobyte(50)]);
        await_head(home, &reader, 51);
    });
}

#[test]
fn a_reader_follows_a_writer_whose_live_is_missing() {
    wherever_it_lasts(|home| {
        let writer = home.open_with(&small_segments());
        add(&writer, &name("a"), [kilobyte(0)]);
        let before = home.read_only().expect("it opens");
        await_head(home, &before, 1);
        home.remove("live");
        let behind = home.read_only().expect("it opens");
        for n in 1..80 {
            add(&writer, &name("a"), [kilobyte(n)]);
            if n % 20 == 0 {
                for reader in [&before, &behind] {
                    assert_eq!(numbers(reader.read_all()), (0..=n).collect::<Vec<_>>());
                }
            }
        }
        writer.close().expect("it closes");
        assert_eq!(before.head().expect("a head").get(), 80);
        assert_eq!(behind.version(&name("a")).expect("a version"), Version::new(80));
    });
}
