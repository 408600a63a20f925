//! The bus: handlers are called in the order of events and in their own, none is stopped by another, and whoever waits until
//! everything is handled waits as long as that takes.

use crate::model::{Chance, Choices, seed};
use crate::support::{
    PATIENCE, add, block_on, check_says, event, events, everywhere, name, number, wherever_it_lasts,
    wherever_threads_are,
};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    Backoff, Bus, Consumer, Durability, ErrorKind, EventStore, Failure, Handler, HandlerFailure, HandlerId, NewEvent,
    Position, Query, Start, Verdict,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Which handlers were called with which events, in the order in which they were.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<(String, u64)>>>);

impl Calls {
    fn note(&self, handler: &str, position: Position) {
        self.0.lock().expect("nobody panics").push((handler.to_owned(), position.get()));
    }

    fn take(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.0.lock().expect("nobody panics"))
    }

    /// Adds a live handler that notes its calls.
    fn live(&self, bus: &Bus, handler: &str, query: Query, order: i32) -> HandlerId {
        self.add(bus, Handler::new(handler, query).order(order), handler)
    }

    fn add(&self, bus: &Bus, handler: Handler, word: &str) -> HandlerId {
        let (calls, word) = (self.clone(), word.to_owned());
        let call = move |event: &scorebook::RecordedEvent| {
            calls.note(&word, event.position());
            Ok(())
        };
        bus.add(handler, call).expect("it is added")
    }
}

/// What handlers and positions are, as one writes them down.
fn calls(written: &[(&str, u64)]) -> Vec<(String, u64)> {
    written.iter().map(|(handler, position)| ((*handler).to_owned(), *position)).collect()
}

fn typed(event_type: &str) -> NewEvent {
    NewEvent::bytes(event_type, [])
}

fn head(store: &EventStore) -> Position {
    store.head().expect("a head")
}

fn wait(bus: &Bus, position: Position) {
    let is_so = bus.wait_until_handled(position).wait_timeout(PATIENCE).expect("nothing fails");
    assert!(is_so, "nobody handles position {position}");
}

/// A consumer of everything that tries twice and at once.
fn consumer(name: &str) -> Consumer {
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    Consumer::new(name, Query::all(), Start::Beginning).attempts_max(2).backoff(at_once)
}

/// A handler that says when it has begun, and ends when it is told to.
fn gate() -> (impl FnMut() + Send + 'static, Receiver<()>, Sender<()>) {
    let ((begins, begun), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let handler = move || {
        begins.send(()).expect("somebody listens");
        goes_on.recv().expect("somebody says so");
    };
    (handler, begun, go_on)
}

#[test]
fn a_live_handler_is_called_with_what_it_asks_for_and_comes_after_it_was_added() {
    everywhere(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        add(&store, &name("game-1"), [typed("game_started")]);
        let wide = Query::all();
        seen.live(&bus, "everything", wide.clone(), 0);
        seen.live(&bus, "type", Query::all().of_type("game_ended"), 1);
        seen.add(&bus, Handler::new("prefix", wide.clone()).type_prefix("game_").order(2), "prefix");
        seen.live(&bus, "category", Query::all().in_category("team"), 3);
        seen.live(&bus, "query", Query::all().tag("player", 1).or(Query::all().of_type("game_ended")), 4);
        seen.live(&bus, "streams", wide.prefix("team-2"), 5);
        add(&store, &name("game-1"), [typed("guess_made").tag("player", 1), typed("game_ended")]);
        add(&store, &name("team-1"), [typed("joined").tag("player", 2)]);
        add(&store, &name("team-22"), [typed("game_lost")]);
        wait(&bus, head(&store));
        let expected = [
            [("everything", 2), ("query", 2)].as_slice(),
            &[("everything", 3), ("type", 3), ("prefix", 3), ("query", 3)],
            &[("everything", 4), ("category", 4)],
            &[("everything", 5), ("prefix", 5), ("category", 5), ("streams", 5)],
        ];
        assert_eq!(seen.take(), calls(&expected.concat()));
    });
}

#[test]
fn handlers_of_one_event_are_called_by_their_order_and_then_as_they_were_added() {
    everywhere(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        for (handler, order) in [("d", 7), ("b", 0), ("e", 7), ("a", -7), ("c", 0)] {
            seen.live(&bus, handler, Query::all(), order);
        }
        add(&store, &name("a"), events(1..3));
        wait(&bus, head(&store));
        let of = |position| ["a", "b", "c", "d", "e"].map(|handler| (handler, position));
        assert_eq!(seen.take(), calls(&[of(1), of(2)].concat()));
    });
}

/// Handlers come and go by chance, and are called with exactly what was there for them, in order.
#[test]
fn whatever_handlers_there_are_all_are_called_in_order_with_what_they_ask_for() {
    const TYPES: [&str; 4] = ["a", "b", "ba", "bb"];
    let seed = seed();
    everywhere(|home| {
        let mut chance = Chance(seed);
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        // By order and number what there is: its query and prefix in words, and the id.
        let mut handlers: BTreeMap<(i32, u64), (Query, &str, HandlerId)> = BTreeMap::new();
        for number in 1..=150_u64 {
            match chance.below(3) {
                0 => {
                    let mut query = Query::all();
                    for _ in 0..chance.below(3) {
                        query = query.of_type(TYPES[chance.below(TYPES.len())]);
                    }
                    let query = if chance.one_in(3) { query.in_category("x") } else { query };
                    let prefix = ["", "", "b"][chance.below(3)];
                    let order = chance.below(3) as i32 - 1;
                    let handler = Handler::new("any", query.clone()).type_prefix(prefix).order(order);
                    let id = seen.add(&bus, handler, &number.to_string());
                    handlers.insert((order, number), (query, prefix, id));
                }
                1 if !handlers.is_empty() => {
                    let key = *handlers.keys().nth(chance.below(handlers.len())).expect("there is one");
                    bus.remove(handlers.remove(&key).expect("it is there").2);
                }
                _ => {
                    let batch: Vec<NewEvent> =
                        (0..=chance.below(4)).map(|_| typed(TYPES[chance.below(TYPES.len())])).collect();
                    let stream = name(["x-1", "y-1"][chance.below(2)]);
                    let receipt = add(&store, &stream, batch);
                    wait(&bus, receipt.last_position());
                    let mut expected = Vec::new();
                    for event in store.read_all().from(receipt.first_position()) {
                        let event = event.expect("an event");
                        for ((_, number), (query, prefix, _)) in &handlers {
                            if query.matches(&event) && event.event_type().starts_with(prefix) {
                                expected.push((number.to_string(), event.position().get()));
                            }
                        }
                    }
                    assert_eq!(seen.take(), expected, "seed {seed}, step {number}");
                }
            }
        }
    });
}

#[test]
fn events_are_handled_in_their_order_whoever_asks_for_them_and_while_handlers_come_and_go() {
    const EVENTS: u64 = 200;
    wherever_threads_are(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        // Many of them, so that events come while the thread looks for each.
        let handlers: Vec<String> = (10..30).map(|number| number.to_string()).collect();
        for (handler, order) in handlers.iter().zip(0..20).rev() {
            let query = if order % 2 == 0 { Query::all() } else { Query::all().of_type("odd") };
            seen.live(&bus, handler, query, order);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, coming, passing) = (is_over.clone(), bus.clone(), seen.clone());
        let coming_and_going = thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                let id = passing.live(&coming, "00", Query::all(), -1);
                coming.remove(id);
            }
        });
        let writers = ["odd", "even"].map(|event_type| {
            let (store, bus) = (store.clone(), bus.clone());
            thread::spawn(move || {
                for _ in 0..EVENTS {
                    let batch = store.batch().append(&name(event_type), Any, [typed(event_type)]);
                    let receipt = batch.durability(Durability::Written).commit().wait().expect("a receipt");
                    // So the thread has always just begun to look when the other's event comes.
                    wait(&bus, receipt.last_position());
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().expect("it ends"));
        wait(&bus, head(&store));
        is_over.store(true, Ordering::SeqCst);
        coming_and_going.join().expect("it ends");
        let seen = seen.take();
        let in_order = |one: &(String, u64), next: &(String, u64)| (one.1, &one.0) <= (next.1, &next.0);
        if let Some(pair) = seen.windows(2).find(|pair| !in_order(&pair[0], &pair[1])) {
            panic!("{:?} is called before {:?}", pair[0], pair[1]);
        }
        for (handler, order) in handlers.iter().zip(0..) {
            let count = seen.iter().filter(|(called, _)| called == handler).count() as u64;
            assert_eq!(count, if order % 2 == 0 { 2 * EVENTS } else { EVENTS });
        }
    });
}

#[test]
fn a_handler_that_fails_or_panics_stops_nobody_and_is_told() {
    everywhere(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        let fails = |event: &scorebook::RecordedEvent| match number(event) {
            1 => Err(Failure::new(Verdict::Retry, "it is odd")),
            2 => panic!("it is even"),
            _ => Ok(()),
        };
        bus.add(Handler::new("picky", Query::all()), fails).expect("it is added");
        seen.live(&bus, "other", Query::all(), 1);
        add(&store, &name("a"), events(1..4));
        wait(&bus, head(&store));
        assert_eq!(seen.take(), calls(&[("other", 1), ("other", 2), ("other", 3)]));
        let told: Vec<String> = bus.failures().iter().map(HandlerFailure::to_string).collect();
        let expected = ["position 1: it is odd", "position 2: the handler panicked: it is even"];
        assert_eq!(told, expected.map(|reason| format!("handler picky failed at {reason}")));
        assert_eq!(bus.failure_count(), 2);
    });
}

#[test]
fn of_many_failures_the_last_hundred_are_kept_and_of_long_reasons_the_beginning() {
    let store = EventStore::open_in_memory().expect("a store");
    let bus = store.bus();
    let fails = |_: &scorebook::RecordedEvent| Err(Failure::new(Verdict::Skip, "é".repeat(1_000_000)));
    bus.add(Handler::new("failing", Query::all()), fails).expect("it is added");
    add(&store, &name("a"), events(1..251));
    wait(&bus, head(&store));
    let failures = bus.failures();
    let positions: Vec<u64> = failures.iter().map(|failure| failure.position().get()).collect();
    assert_eq!(positions, (151..=250).collect::<Vec<_>>());
    assert!(failures.iter().all(|failure| failure.reason() == "é".repeat(500)));
    assert_eq!(bus.failure_count(), 250);
}

#[test]
fn a_handler_that_was_removed_is_not_called_any_more_also_with_the_event_in_hand() {
    everywhere(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        let removed: Arc<Mutex<Vec<HandlerId>>> = Arc::default();
        let (within, to_remove) = (bus.clone(), removed.clone());
        let remove = move |_: &scorebook::RecordedEvent| {
            to_remove.lock().expect("nobody panics").drain(..).for_each(|id| within.remove(id));
            Ok(())
        };
        let remover = bus.add(Handler::new("remover", Query::all()).order(-1), remove).expect("it is added");
        let first = seen.live(&bus, "first", Query::all(), 0);
        seen.live(&bus, "second", Query::all(), 1);
        removed.lock().expect("nobody panics").extend([first, remover]);
        add(&store, &name("a"), events(1..3));
        wait(&bus, head(&store));
        assert_eq!(seen.take(), calls(&[("second", 1), ("second", 2)]));
        bus.remove(first);
    });
}

#[test]
fn whoever_removes_a_handler_waits_until_it_is_not_at_work() {
    wherever_threads_are(|home| {
        let store = home.open();
        let bus = store.bus();
        for is_durable in [false, true] {
            let (mut handler, begun, go_on) = gate();
            let ended = Arc::new(AtomicBool::new(false));
            let ends = ended.clone();
            let mut handle = move || {
                handler();
                ends.store(true, Ordering::SeqCst);
                Ok(())
            };
            let id = match is_durable {
                false => bus.add(Handler::new("slow", Query::all()), move |_| handle()),
                true => bus.add_durable(&Consumer::new("slow", Query::all(), Start::End), move |_| handle()),
            };
            add(&store, &name("a"), events(1..2));
            begun.recv_timeout(PATIENCE).expect("it begins");
            let (removing, at_work) = (bus.clone(), ended.clone());
            let removing = thread::spawn(move || {
                removing.remove(id.expect("it is added"));
                assert!(at_work.load(Ordering::SeqCst), "it is removed while it is at work");
            });
            thread::yield_now();
            go_on.send(()).expect("it waits");
            removing.join().expect("it is removed");
            assert!(begun.try_recv().is_err());
        }
    });
}

#[test]
fn whoever_waits_waits_until_every_handler_has_dealt_with_everything() {
    everywhere(|home| {
        let store = home.open();
        let bus = store.bus();
        wait(&bus, head(&store));
        for is_durable in [false, true] {
            let (mut handler, begun, go_on) = gate();
            let mut handle = move || {
                handler();
                Ok(())
            };
            let id = match is_durable {
                false => bus.add(Handler::new("slow", Query::all()), move |_| handle()),
                true => bus.add_durable(&Consumer::new("slow", Query::all(), Start::End), move |_| handle()),
            };
            let receipt = add(&store, &name("a"), events(1..3));
            for position in [receipt.first_position(), receipt.last_position()] {
                begun.recv_timeout(PATIENCE).expect("it begins");
                let soon = || bus.wait_until_handled(position).wait_timeout(Duration::ZERO).expect("nothing fails");
                assert!(!soon(), "position {position} is not handled");
                let (waiting, as_task) = (bus.clone(), bus.clone());
                let threads = [
                    thread::spawn(move || waiting.wait_until_handled(position).wait()),
                    thread::spawn(move || block_on(as_task.wait_until_handled(position))),
                ];
                go_on.send(()).expect("it waits");
                threads.into_iter().for_each(|thread| thread.join().expect("it ends").expect("it is handled"));
                assert!(soon(), "position {position} is handled");
            }
            bus.remove(id.expect("it is added"));
        }
    });
}

#[test]
fn a_position_that_the_store_has_not_come_to_is_waited_for_and_one_that_nobody_asks_for_is_handled() {
    everywhere(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        seen.live(&bus, "live", Query::all().of_type("counted"), 0);
        let consumer = Consumer::new("durable", Query::all().of_type("counted"), Start::Beginning);
        bus.add_durable(&consumer, |_| Ok(())).expect("it is added");
        let waiting: Vec<_> = [1, 2, 3, 4]
            .map(|position| {
                let bus = bus.clone();
                thread::spawn(move || {
                    let position = Position::new(position);
                    match position.get() % 2 {
                        0 => block_on(bus.wait_until_handled(position)),
                        _ => bus.wait_until_handled(position).wait(),
                    }
                })
            })
            .into();
        add(&store, &name("a"), [typed("other")]);
        add(&store, &name("a"), [event(1)]);
        add(&store, &name("a"), [typed("other"), typed("other")]);
        waiting.into_iter().for_each(|thread| thread.join().expect("it ends").expect("it is handled"));
        assert_eq!(seen.take(), calls(&[("live", 2)]));
    });
}

#[test]
fn a_handler_that_waits_for_its_own_bus_gets_an_error() {
    everywhere(|home| {
        let store = home.open();
        let (bus, other) = (store.bus(), store.bus());
        let (told, heard) = mpsc::channel();
        let handle = || {
            let (bus, other, told) = (bus.clone(), other.clone(), told.clone());
            move |position: Position| {
                let until = || bus.wait_until_handled(position);
                told.send(until().wait_timeout(Duration::ZERO).map(drop)).expect("somebody listens");
                let as_task = until();
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                if let std::task::Poll::Ready(outcome) = Future::poll(std::pin::pin!(as_task), &mut context) {
                    told.send(outcome).expect("somebody listens");
                }
                other.wait_until_handled(position).wait().expect("another bus may be waited for");
                Ok(())
            }
        };
        let (live, durable) = (handle(), handle());
        bus.add(Handler::new("live", Query::all()), move |event| live(event.position())).expect("it is added");
        let consumer = Consumer::new("durable", Query::all(), Start::End);
        bus.add_durable(&consumer, move |delivery| durable(delivery.event().position())).expect("it is added");
        add(&store, &name("a"), events(1..2));
        wait(&bus, head(&store));
        assert!(bus.failures().is_empty(), "{:?}", bus.failures());
        let outcomes: Vec<_> = heard.try_iter().collect();
        assert_eq!(outcomes.len(), 4);
        for outcome in outcomes {
            check_says(&outcome.expect_err("it would wait for itself"), ErrorKind::InvalidArgument, &["inside"]);
        }
    });
}

#[test]
fn a_durable_handler_has_every_event_until_it_is_done_or_parked_and_its_failures_are_told() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), events(1..3));
        let (bus, seen) = (store.bus(), Calls::default());
        let noted = seen.clone();
        let handle = move |delivery: &scorebook::Delivery| {
            noted.note("durable", delivery.event().position());
            match number(delivery.event()) {
                2 => panic!("not this one"),
                _ => Ok(()),
            }
        };
        let id = bus.add_durable(&consumer("durable"), handle.clone()).expect("it is added");
        add(&store, &name("b"), events(3..4));
        wait(&bus, head(&store));
        let mut all = seen.take();
        all.sort();
        assert_eq!(all, calls(&[("durable", 1), ("durable", 2), ("durable", 2), ("durable", 3)]));
        let failures = bus.failures();
        assert_eq!(failures.len(), 2, "one for each attempt");
        assert!(failures.iter().all(|failure| failure.handler() == "durable" && failure.position().get() == 2));
        assert_eq!(store.consumer("durable").info().expect("it is there").parked(), 1);
        // What was done is not handed out again, and what is parked waits.
        bus.remove(id);
        bus.add_durable(&consumer("durable"), handle).expect("it is added");
        add(&store, &name("b"), events(4..5));
        wait(&bus, head(&store));
        assert_eq!(seen.take(), calls(&[("durable", 4)]));
    });
}

#[test]
fn a_consumer_with_a_type_prefix_passes_the_others_by_and_is_no_other_consumer() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("a"), [typed("user_joined"), typed("game_started"), typed("user_left")]);
        let (bus, seen) = (store.bus(), Calls::default());
        let noted = seen.clone();
        let handle = move |delivery: &scorebook::Delivery| {
            noted.note("users", delivery.event().position());
            Ok(())
        };
        let users = consumer("users").type_prefix("user_");
        let id = bus.add_durable(&users, handle).expect("it is added");
        add(&store, &name("a"), [typed("game_ended")]);
        wait(&bus, head(&store));
        assert_eq!(seen.take(), calls(&[("users", 1), ("users", 3)]));
        assert_eq!(store.consumer("users").info().expect("it is there").position(), head(&store));
        bus.remove(id);
        let error = bus.add_durable(&consumer("users"), |_| Ok(())).expect_err("it asks for something else");
        check_says(&error, ErrorKind::InvalidArgument, &["type_prefix"]);
    });
}

#[test]
fn a_paused_handler_holds_up_who_waits_until_it_is_resumed_or_removed() {
    everywhere(|home| {
        let store = home.open();
        let bus = store.bus();
        let id = bus.add_durable(&consumer("paused"), |_| Ok(())).expect("it is added");
        store.consumer("paused").pause("not now").expect("it is paused");
        let receipt = add(&store, &name("a"), events(1..2));
        let position = receipt.last_position();
        let soon = || bus.wait_until_handled(position).wait_timeout(Duration::ZERO).expect("nothing fails");
        assert!(!soon());
        let waiting = |bus: Bus| thread::spawn(move || bus.wait_until_handled(position).wait());
        let first = waiting(bus.clone());
        store.consumer("paused").resume().expect("it is resumed");
        first.join().expect("it ends").expect("it is handled");
        store.consumer("paused").pause("again").expect("it is paused");
        let position = add(&store, &name("a"), events(2..3)).last_position();
        let removed = bus.clone();
        let second = thread::spawn(move || removed.wait_until_handled(position).wait());
        bus.remove(id);
        second.join().expect("it ends").expect("nobody has to handle it");
        assert_eq!(store.consumer("paused").info().expect("the consumer stays").position().get(), 1);
    });
}

#[test]
fn a_consumer_that_is_deleted_is_not_waited_for_in_vain() {
    everywhere(|home| {
        let store = home.open();
        let bus = store.bus();
        let id = bus.add_durable(&consumer("deleted"), |_| Ok(())).expect("it is added");
        store.consumer("deleted").delete().expect("it is deleted");
        add(&store, &name("a"), events(1..2));
        let error = bus.wait_until_handled(head(&store)).wait().expect_err("nobody handles it");
        check_says(&error, ErrorKind::InvalidArgument, &["deleted"]);
        bus.remove(id);
        wait(&bus, head(&store));
    });
}

#[test]
fn closing_the_store_waits_for_a_handler_at_work_and_calls_no_other() {
    wherever_threads_are(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        let (mut handler, begun, go_on) = gate();
        let (told, heard) = mpsc::channel();
        let inside = store.clone();
        let handle = move |_: &scorebook::RecordedEvent| {
            handler();
            told.send(inside.head().is_ok()).expect("somebody listens");
            Ok(())
        };
        bus.add(Handler::new("slow", Query::all()), handle).expect("it is added");
        seen.live(&bus, "next", Query::all(), 1);
        add(&store, &name("a"), events(1..3));
        begun.recv_timeout(PATIENCE).expect("it begins");
        let (closing, (closes, closed)) = (store.clone(), mpsc::channel());
        let waiting = bus.clone();
        let waiting = thread::spawn(move || waiting.wait_until_handled(Position::new(9)).wait());
        let closing = thread::spawn(move || closes.send(closing.close()).expect("somebody listens"));
        let early = closed.recv_timeout(Duration::from_millis(50));
        assert!(matches!(early, Err(RecvTimeoutError::Timeout)), "it is closed beside a handler at work");
        go_on.send(()).expect("it waits");
        closed.recv_timeout(PATIENCE).expect("it ends").expect("it closes");
        closing.join().expect("it ends");
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(true), "the store is open as long as it is at work");
        assert_eq!(seen.take(), []);
        let error = waiting.join().expect("it ends").expect_err("nobody handles it");
        assert_eq!(error.kind(), ErrorKind::Closed);
        let late = bus.add(Handler::new("late", Query::all()), |_| Ok(())).expect_err("the store is closed");
        assert_eq!(late.kind(), ErrorKind::Closed);
        let late = bus.add_durable(&consumer("late"), |_| Ok(())).expect_err("the store is closed");
        assert_eq!(late.kind(), ErrorKind::Closed);
    });
}

#[test]
fn closing_the_store_waits_no_longer_than_a_handler_may_take() {
    let store = EventStore::open_in_memory().expect("a store");
    let bus = store.bus();
    let (mut handler, begun, go_on) = gate();
    let handle = move |_: &scorebook::RecordedEvent| {
        handler();
        Ok(())
    };
    bus.add(Handler::new("slow", Query::all()).stop_within(Duration::from_millis(1)), handle).expect("it is added");
    add(&store, &name("a"), events(1..2));
    begun.recv_timeout(PATIENCE).expect("it begins");
    store.close().expect("it closes");
    go_on.send(()).expect("it still waits");
    bus.stop();
}

#[test]
fn a_bus_keeps_no_store_open_and_ends_with_its_last_clone() {
    wherever_it_lasts(|home| {
        let (seen, held) = (Calls::default(), Arc::new(()));
        let add_to = |bus: &Bus, store: &EventStore| {
            let (holds, noted) = (held.clone(), seen.clone());
            let handle = move |event: &scorebook::RecordedEvent| {
                noted.note("live", event.position());
                let _ = &holds;
                Ok(())
            };
            bus.add(Handler::new("live", Query::all()), handle).expect("it is added");
            add(store, &name("a"), events(1..2));
            wait(bus, head(store));
        };
        let store = home.open();
        let bus = store.bus();
        add_to(&bus, &store);
        drop(store);
        let store = home.open();
        let other = store.bus();
        add_to(&other, &store);
        assert_eq!(seen.take(), calls(&[("live", 1), ("live", 2)]));
        drop((bus, other));
        assert_eq!(Arc::strong_count(&held), 1, "what handlers hold is let go");
        add(&store, &name("a"), events(2..3));
        assert_eq!(seen.take(), []);
    });
}

#[test]
fn a_handler_may_add_remove_stop_and_close_what_calls_it() {
    wherever_threads_are(|home| {
        let store = home.open();
        let (bus, seen) = (store.bus(), Calls::default());
        let (within, noted, inside) = (bus.clone(), seen.clone(), store.clone());
        let (told, heard) = mpsc::channel();
        let handle = move |event: &scorebook::RecordedEvent| {
            noted.note("acting", event.position());
            match number(event) {
                1 => drop(noted.live(&within, "added", Query::all(), 0)),
                2 => within.stop(),
                _ => unreachable!("it was stopped"),
            }
            if number(event) == 2 {
                told.send(inside.close()).expect("somebody listens");
            }
            Ok(())
        };
        bus.add(Handler::new("acting", Query::all()), handle).expect("it is added");
        add(&store, &name("a"), events(1..2));
        wait(&bus, head(&store));
        add(&store, &name("a"), events(2..4));
        heard.recv_timeout(PATIENCE).expect("it is called").expect("it closes");
        bus.stop();
        assert_eq!(seen.take(), calls(&[("acting", 1), ("acting", 2)]));
    });
}

#[test]
fn where_a_store_opens_again_with_less_live_handlers_go_on_from_there() {
    let disk = SimulatedDisk::new(7);
    let options = EventStore::options().durability(Durability::Written).sync_every(Duration::from_secs(3600));
    let store = options.open_simulated(&disk).expect("a store");
    let (bus, seen) = (store.bus(), Calls::default());
    seen.live(&bus, "live", Query::all(), 0);
    add(&store, &name("a"), events(1..3));
    store.flush().expect("flushed");
    add(&store, &name("a"), events(3..6));
    wait(&bus, head(&store));
    assert_eq!(seen.take().len(), 5);
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
    store.flush().expect_err("the sync fails");
    disk.heal();
    store.reopen().expect("it opens again");
    assert_eq!(head(&store).get(), 2, "what was only written is gone");
    add(&store, &name("a"), events(13..15));
    // The positions were handled before, with other events.
    wait(&bus, Position::new(4));
    assert_eq!(seen.take(), calls(&[("live", 3), ("live", 4)]));
}

#[test]
fn a_query_with_a_fault_is_refused_and_beside_a_writer_live_handlers_follow() {
    let home = crate::support::Home::disk();
    let store = home.open();
    let bus = store.bus();
    let fault = bus.add(Handler::new("bad", Query::all().of_type("a b")), |_| Ok(())).expect_err("no type");
    assert_eq!(fault.kind(), ErrorKind::InvalidName);
    add(&store, &name("a"), events(1..2));
    let reader = home.read_only().expect("it opens for reading");
    crate::support::eventually("the reader sees what is there", || head(&reader) == head(&store));
    let (beside, seen) = (reader.bus(), Calls::default());
    seen.live(&beside, "live", Query::all(), 0);
    let refused = beside.add_durable(&consumer("durable"), |_| Ok(())).expect_err("nothing can be written");
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    add(&store, &name("a"), events(2..4));
    wait(&beside, head(&store));
    assert_eq!(seen.take(), calls(&[("live", 2), ("live", 3)]));
}
