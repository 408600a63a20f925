//! Many threads on one store: every answer is one that some order of the appends explains.

use super::support::{
    Home, SMALL_SEGMENT, add, block_on, conflict, event, kilobyte, name, number, numbers, positions, read,
    small_segments, version_conflict, versions, wherever_threads_are,
};
use crate::model::{Chance, Choices};
use scorebook::ExpectedVersion::{Any, Exact, NoStream};
use scorebook::{
    AppendError, Conflict, Durability, ErrorKind, EventStore, NewEvent, Position, Receipt, StreamName, Version,
};
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const THREADS: u64 = 64;

/// Runs a body on many threads that begin together; what they give, in the order of the threads.
fn together<T: Send>(body: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS as usize);
    let (body, barrier) = (&body, &barrier);
    thread::scope(|scope| {
        let begin = |thread| {
            scope.spawn(move || {
                barrier.wait();
                body(thread)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(begin).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ends well")).collect()
    })
}

#[test]
fn any_from_many_threads_gives_versions_without_holes() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let game = name("game-1");
        let receipts: Vec<Vec<Receipt>> = together(|thread| {
            let append = |n| store.append(&game, Any, [event(thread * 100 + n), event(thread * 100 + n)]);
            (0..20).map(|n| append(n).wait().expect("accepted")).collect()
        });
        let mut firsts: Vec<u64> = receipts.iter().flatten().map(|receipt| receipt.first_version().get()).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, (0..THREADS * 20).map(|n| n * 2 + 1).collect::<Vec<_>>());
        for (thread, receipts) in receipts.iter().enumerate() {
            for (n, receipt) in receipts.iter().enumerate() {
                let event = store.event(&game, receipt.last_version()).expect("it is there");
                assert_eq!(number(&event), thread as u64 * 100 + n as u64);
                assert_eq!(event.position(), receipt.last_position());
            }
            assert!(receipts.is_sorted_by_key(Receipt::first_version), "one thread's appends keep their order");
        }
        let store = home.reopen(store, &small_segments());
        assert_eq!(versions(store.read(&game)), (1..=THREADS * 40).collect::<Vec<_>>());
        assert_eq!(positions(store.read_all()), (1..=THREADS * 40).collect::<Vec<_>>());
    });
}

/// Of answers to the same question exactly one is a receipt; the others are conflicts.
fn check_one_winner(answers: Vec<Result<Receipt, AppendError>>) -> (Receipt, Vec<Conflict>) {
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    let winner = won.into_iter().next().expect("there is one").expect("it won");
    (winner, lost.into_iter().map(conflict).collect())
}

#[test]
fn of_the_same_exact_version_from_64_threads_exactly_one_wins() {
    wherever_threads_are(|home| {
        let store = home.open();
        let game = name("game-1");
        for round in 0..10 {
            let answers = together(|thread| {
                let answer = store.append(&game, Exact(Version::new(round)), [event(thread)]).wait();
                let seen = store.version(&game).expect("a version");
                (answer, seen)
            });
            for (answer, seen) in &answers {
                match answer {
                    Ok(receipt) => assert!(receipt.last_version() <= *seen),
                    Err(error) => assert!(error.conflict().expect("a conflict").actual() <= Some(*seen), "{error}"),
                }
            }
            let (winner, losers) = check_one_winner(answers.into_iter().map(|(answer, _)| answer).collect());
            assert_eq!(winner.last_version().get(), round + 1);
            let lost = version_conflict(&game, Exact(Version::new(round)), round + 1);
            assert!(losers.iter().all(|conflict| *conflict == lost));
        }
        assert_eq!(versions(store.read(&game)), (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn of_64_threads_that_begin_a_stream_exactly_one_does() {
    wherever_threads_are(|home| {
        let store = home.open();
        for round in 0..10 {
            let game = name(&format!("game-{round}"));
            let answers = together(|thread| store.append(&game, NoStream, [event(thread), event(thread)]).wait());
            let (winner, losers) = check_one_winner(answers);
            assert!(winner.is_new_stream());
            assert!(losers.iter().all(|conflict| conflict.actual() == Some(Version::new(2))));
        }
        assert_eq!(store.stats().expect("numbers").events(), 20);
    });
}

#[test]
fn of_batches_over_the_same_streams_exactly_one_wins_and_the_others_leave_nothing() {
    wherever_threads_are(|home| {
        let store = home.open();
        let (a, b) = (name("a"), name("b"));
        for round in 0..10 {
            let version = Exact(Version::new(round));
            let answers = together(|thread| {
                // Half of them name the streams the other way round.
                let (first, second) = if thread % 2 == 0 { (&a, &b) } else { (&b, &a) };
                let batch =
                    store.batch().append(first, version, [event(thread)]).append(second, version, [event(thread)]);
                batch.commit().wait()
            });
            check_one_winner(answers);
        }
        assert_eq!(numbers(store.read(&a)), numbers(store.read(&b)), "the same winners in both");
        assert_eq!(store.head().expect("a head").get(), 20);
    });
}

#[test]
fn of_batches_that_require_a_stream_unchanged_none_is_behind_its_change() {
    wherever_threads_are(|home| {
        let store = home.open();
        let (gate, game) = (name("gate"), name("game-1"));
        let answers = together(|thread| {
            if thread == 20 {
                return store.append(&gate, NoStream, [event(999)]).wait();
            }
            store.batch().append(&game, Any, [event(thread)]).require(&gate, NoStream).commit().wait()
        });
        let closed = store.event(&gate, Version::FIRST).expect("it was closed").position();
        assert_eq!(closed, store.head().expect("a head"), "nothing came in behind it");
        let won = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        assert_eq!(store.head().expect("a head").get(), won);
    });
}

#[test]
fn disjoint_streams_never_conflict() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        together(|thread| {
            let game = name(&format!("game-{thread}"));
            for n in 0..10 {
                store.append(&game, Exact(Version::new(n)), [event(n)]).wait().expect("accepted");
            }
        });
        for thread in 0..THREADS {
            assert_eq!(numbers(store.read(&name(&format!("game-{thread}")))), (0..10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn decide_again_after_a_conflict_loses_no_decision() {
    wherever_threads_are(|home| {
        let store = home.open();
        let counter = name("counter");
        together(|_| {
            for _ in 0..3 {
                loop {
                    let version = store.version(&counter).expect("a version");
                    let sum = store.event(&counter, version).map_or(0, |event| number(&event));
                    match store.append(&counter, Exact(version), [event(sum + 1)]).wait() {
                        Ok(_) => break,
                        Err(AppendError::Conflict(conflict)) => assert!(Some(version) < conflict.actual()),
                        Err(AppendError::Store(error)) => panic!("{error:?}"),
                    }
                }
            }
        });
        assert_eq!(numbers(store.read(&counter)), (1..=THREADS * 3).collect::<Vec<_>>());
    });
}

#[test]
fn positions_strictly_rise_and_nothing_appears_below_one_already_seen() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watchers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut seen: Vec<(Position, String, Version)> = Vec::new();
                        let mut is_last = false;
                        while !is_last {
                            is_last = is_over.load(Ordering::SeqCst);
                            let head = store.head().expect("a head");
                            let last = seen.last().map_or(Position::BEGINNING, |(position, ..)| *position);
                            let page = read(store.read_all().after(last));
                            seen.extend(page.iter().map(|e| (e.position(), e.stream().to_owned(), e.version())));
                            assert!(head <= seen.last().map_or(Position::BEGINNING, |(position, ..)| *position));
                        }
                        seen
                    })
                })
                .collect();
            together(|thread| {
                let mut chance = Chance(thread);
                for _ in 0..10 {
                    let stream = name(&format!("s-{}", chance.below(5)));
                    add(&store, &stream, (0..=chance.below(3) as u64).map(kilobyte));
                }
            });
            is_over.store(true, Ordering::SeqCst);
            let whole: Vec<_> =
                read(store.read_all()).iter().map(|e| (e.position(), e.stream().to_owned(), e.version())).collect();
            assert!(whole.is_sorted_by(|a, b| a.0.next() == Some(b.0)), "positions have no holes");
            let mut versions: HashMap<&str, Version> = HashMap::new();
            for (_, stream, version) in &whole {
                let last = versions.insert(stream, *version).unwrap_or(Version::NONE);
                assert_eq!(last.next(), Some(*version), "versions rise along the positions");
            }
            for watcher in watchers {
                assert!(watcher.join().expect("it ends well") == whole, "what was seen in pages is the whole");
            }
        });
    });
}

#[test]
fn a_receipt_is_given_only_for_what_every_reader_sees() {
    wherever_threads_are(|home| {
        let store = home.open();
        together(|thread| {
            let game = name(&format!("game-{thread}"));
            for n in 0..10 {
                let receipt = store.append(&game, Any, [event(n)]).wait().expect("accepted");
                assert!(receipt.last_position() <= store.head().expect("a head"));
                assert_eq!(store.version(&game).expect("a version"), receipt.last_version());
                assert_eq!(number(&store.event_at(receipt.last_position()).expect("visible")), n);
                let last = read(store.read(&game).backwards().limit(1));
                assert_eq!(last[0].position(), receipt.last_position());
            }
        });
    });
}

#[test]
fn threads_tasks_and_dropped_receipts_go_together() {
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments().durability(Durability::Written));
        together(|thread| {
            let game = name(&format!("game-{thread}"));
            for n in 0..12 {
                let batch = store.batch().append(&game, Exact(Version::new(n)), [kilobyte(n)]);
                let batch = batch.durability(if n % 2 == 0 { Durability::Synced } else { Durability::Written });
                let pending = batch.commit();
                match (thread + n) % 4 {
                    0 => drop(pending),
                    1 => assert!(block_on(pending).is_ok()),
                    2 => assert!(pending.wait_timeout(Duration::from_micros(50)).map_or(true, |answer| answer.is_ok())),
                    _ => assert!(pending.wait().is_ok()),
                }
            }
        });
        store.flush().expect("it flushes");
        for thread in 0..THREADS {
            assert_eq!(numbers(store.read(&name(&format!("game-{thread}")))), (0..12).collect::<Vec<_>>());
        }
    });
}

#[test]
fn closing_beside_appending_threads_keeps_exactly_what_was_acknowledged() {
    for home in [Home::disk(), Home::disk(), Home::disk()] {
        let store = home.open_with(&small_segments());
        let acknowledged: Vec<u64> = together(|thread| {
            let game = name(&format!("game-{thread}"));
            let mut acknowledged = 0;
            loop {
                if thread == 0 && acknowledged == 5 {
                    store.close().expect("it closes");
                }
                match store.append(&game, Any, [event(acknowledged)]).wait() {
                    Ok(receipt) => acknowledged = receipt.last_version().get(),
                    Err(AppendError::Store(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        return acknowledged;
                    }
                    Err(AppendError::Conflict(conflict)) => panic!("{conflict}"),
                }
            }
        });
        drop(store);
        let store = home.open();
        assert_eq!(store.recovery_report().close_state(), scorebook::CloseState::Clean);
        for (thread, acknowledged) in acknowledged.into_iter().enumerate() {
            let version = store.version(&name(&format!("game-{thread}"))).expect("a version");
            assert_eq!(version.get(), acknowledged, "thread {thread}");
        }
    }
}

#[test]
fn a_second_writer_in_this_process_is_refused_and_names_the_owner() {
    for home in [Home::disk(), Home::simulated()] {
        let store = home.open();
        add(&store, &name("a"), [event(0)]);
        let error = home.try_open(&EventStore::options()).expect_err("it is open already");
        assert_eq!(error.kind(), ErrorKind::Locked);
        if matches!(home, Home::Disk(_)) {
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
        add(&store, &name("a"), [event(1)]);
        store.close().expect("it closes");
        let store = home.try_open(&EventStore::options()).expect("it is free");
        assert_eq!(numbers(store.read_all()), [0, 1]);
    }
}

#[test]
fn of_many_that_open_one_store_exactly_one_gets_it() {
    let home = Home::disk();
    home.open().close().expect("it closes");
    let opened = together(|_| home.try_open(&EventStore::options().segment_bytes_max(SMALL_SEGMENT)));
    let refused = opened.iter().filter_map(|opened| opened.as_ref().err());
    assert!(refused.clone().all(|error| error.kind() == ErrorKind::Locked));
    assert_eq!(refused.count() as u64, THREADS - 1);
}

#[test]
fn numbers_are_given_while_streams_begin() {
    let store = EventStore::open_in_memory().expect("it opens");
    thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for n in 0..200 {
                    let stream = StreamName::new(format!("stream-{thread}-{n}")).expect("a name");
                    store.append(&stream, Any, [NewEvent::bytes("began", [])]).wait().expect("accepted");
                }
            });
        }
        for _ in 0..2_000 {
            assert!(store.stats().expect("numbers").events() <= 800);
        }
    });
    assert_eq!(store.stats().expect("numbers").streams(), 800);
}

#[test]
fn a_wait_of_no_time_still_has_the_batch_committed() {
    let store = EventStore::open_in_memory().expect("it opens");
    let stream = StreamName::new("a").expect("a name");
    let mut pending = store.append(&stream, Any, [NewEvent::bytes("happened", [])]);
    for _ in 0..1_000_000 {
        match pending.wait_timeout(Duration::ZERO) {
            Ok(answer) => {
                assert_eq!(answer.expect("accepted").last_version().get(), 1);
                return;
            }
            Err(still) => pending = still,
        }
        thread::yield_now();
    }
    panic!("nobody committed it");
}

#[test]
fn an_answer_that_was_taken_is_an_error_and_no_hang() {
    let store = EventStore::open_in_memory().expect("it opens");
    let stream = StreamName::new("a").expect("a name");
    let mut pending = store.append(&stream, Any, [NewEvent::bytes("happened", [])]);
    store.flush().expect("a flush");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::pin::Pin::new(&mut pending).poll(&mut context);
    assert!(matches!(polled, std::task::Poll::Ready(Ok(_))));
    let error = pending.wait().expect_err("it was taken").into_error();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
