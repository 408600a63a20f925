//! The bus under shuttle: handlers that come and go beside those who append, and those who wait.
//!
//! How to run a schedule that fails again is said in `store/schedules.rs`.

use super::{Bus, Handler};
use crate::consumer::Consumer;
use crate::error::ErrorKind;
use crate::event::NewEvent;
use crate::name::StreamName;
use crate::options::{Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::{ExpectedVersion, Position};
use crate::query::Query;
use crate::storage::CheckedDisk;
use crate::store::EventStore;
use crate::subscription::Start;
use crate::sync::explore::{block_on, chance, explore, spawn};
use crate::sync::{Arc, Mutex};
use std::time::Duration;

const APPENDS: u64 = 3;

/// A time that passes within the steps that a schedule may have.
const SOON: Duration = Duration::from_millis(5);

/// Which handlers were called with which positions.
type Calls = Arc<Mutex<Vec<(u64, &'static str)>>>;

fn open() -> EventStore {
    let options = Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned);
    let options = options.sync_every(Duration::from_millis(12)).idle_after(Duration::from_millis(6));
    options.open_on(Arc::new(CheckedDisk::new())).expect("the store opens")
}

fn append(store: &EventStore, event_type: &str) -> Position {
    let stream = StreamName::new("game-1").expect("a name");
    let event = NewEvent::bytes(event_type, [7; 8]);
    store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("committed").last_position()
}

fn add(bus: &Bus, calls: &Calls, name: &'static str, query: Query, order: i32) -> super::HandlerId {
    let calls = calls.clone();
    let call = move |event: &crate::event::RecordedEvent| {
        calls.lock().push((event.position().get(), name));
        Ok(())
    };
    bus.add(Handler::new(name, query).order(order).stop_within(SOON), call).expect("it is added")
}

fn wait(bus: &Bus, position: Position) -> Result<(), ErrorKind> {
    let until = bus.wait_until_handled(position);
    if chance(2) == 0 { block_on(until) } else { until.wait() }.map_err(|error| error.kind())
}

fn of(calls: &Calls, name: &str) -> Vec<u64> {
    let calls = calls.lock();
    calls.iter().filter(|(_, called)| *called == name).map(|(position, _)| *position).collect()
}

#[test]
fn whoever_waits_finds_everything_handled_and_in_order() {
    explore("a bus beside two who append", || {
        let store = open();
        let (bus, calls) = (store.bus(), Calls::default());
        add(&bus, &calls, "b", Query::all(), 0);
        add(&bus, &calls, "a", Query::all().of_type("odd"), -1);
        let consumer = Consumer::new("durable", Query::all().of_type("odd"), Start::Beginning);
        let consumer = consumer.checkpoint_after(SOON).stop_within(SOON);
        let noted = calls.clone();
        let durable = bus.add_durable(&consumer, move |delivery| {
            let position = delivery.event().position().get();
            noted.lock().push((position, "durable"));
            Ok(())
        });
        durable.expect("it is added");
        let writers = ["odd", "even"].map(|event_type| {
            let (store, bus, calls) = (store.clone(), bus.clone(), calls.clone());
            spawn(move || {
                for _ in 0..APPENDS {
                    let position = append(&store, event_type);
                    if chance(2) == 0 {
                        wait(&bus, position).expect("nothing fails");
                        assert!(of(&calls, "b").contains(&position.get()));
                        assert!(event_type != "odd" || of(&calls, "durable").contains(&position.get()));
                    }
                }
            })
        });
        let (coming, passing) = (bus.clone(), calls.clone());
        let passer = spawn(move || {
            let id = add(&coming, &passing, "0", Query::all(), -2);
            coming.remove(id);
            of(&passing, "0").len()
        });
        writers.into_iter().for_each(|writer| writer.join().expect("it ends"));
        let passed = passer.join().expect("it ends");
        wait(&bus, Position::new(2 * APPENDS)).expect("nothing fails");
        assert_eq!(of(&calls, "0").len(), passed, "nobody is called who was removed");
        assert_eq!(of(&calls, "b"), (1..=2 * APPENDS).collect::<Vec<_>>());
        assert_eq!(of(&calls, "a").len() as u64, APPENDS);
        let live: Vec<_> = calls.lock().iter().filter(|call| call.1 != "durable").copied().collect();
        assert!(live.is_sorted(), "{live:?}");
        store.close().expect("it closes");
    });
}

#[test]
fn whoever_waits_when_the_store_is_closed_or_the_bus_stopped_is_told_so() {
    explore("a bus beside closing", || {
        let store = open();
        let (bus, calls) = (store.bus(), Calls::default());
        add(&bus, &calls, "live", Query::all().of_type("odd"), 0);
        let waiting = bus.clone();
        let waiting = spawn(move || wait(&waiting, Position::new(APPENDS)));
        append(&store, "odd");
        match chance(3) {
            0 => store.close().expect("it closes"),
            1 => bus.stop(),
            _ => drop((0..APPENDS).map(|_| append(&store, "even")).last()),
        }
        let outcome = waiting.join().expect("it ends");
        assert!(matches!(outcome, Ok(()) | Err(ErrorKind::Closed)), "{outcome:?}");
        drop((bus, store));
    });
}
