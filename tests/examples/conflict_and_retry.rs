//! Eight threads take from one stock. Each reads, decides and appends, and decides again when another was faster.
//!
//! ```console
//! cargo run --example conflict_and_retry
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::{AppendError, EventStore, ExpectedVersion, NewEvent, StreamName, Version};
use std::error::Error;
use std::thread;

const STOCK: u64 = 20;
const THREADS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let store = EventStore::open_in_memory()?;
    let stock = StreamName::new("stock-tickets")?;
    store.append(&stock, ExpectedVersion::NoStream, [NewEvent::json("filled", &STOCK)?]).wait()?;

    let takers = thread::scope(|scope| {
        let takers = (0..THREADS).map(|_| scope.spawn(|| take_all(&store, &stock))).collect::<Vec<_>>();
        takers.into_iter().map(|taker| taker.join().expect("a taker does not panic")).collect::<Result<Vec<_>, _>>()
    })?;
    for (number, taker) in takers.iter().enumerate() {
        println!("thread {number}: took {}, decided again {} times", taker.taken, taker.conflicts);
    }

    let taken = takers.iter().map(|taker| taker.taken).sum::<u64>();
    let (left, version) = left(&store, &stock)?;
    println!("taken {taken}, left {left}, {version} events");
    assert_eq!((taken, left), (STOCK, 0));
    assert_eq!(version, Version::new(1 + STOCK));
    Ok(())
}

#[derive(Default)]
struct Taker {
    taken: u64,
    conflicts: u64,
}

/// Takes one at a time until nothing is left.
fn take_all(store: &EventStore, stock: &StreamName) -> Result<Taker, scorebook::Error> {
    let mut taker = Taker::default();
    loop {
        let (left, version) = left(store, stock)?;
        if left == 0 {
            return Ok(taker);
        }
        let taken = NewEvent::json("taken", &1)?;
        match store.append(stock, ExpectedVersion::Exact(version), [taken]).wait() {
            Ok(_) => taker.taken += 1,
            Err(AppendError::Conflict(_)) => taker.conflicts += 1,
            Err(AppendError::Store(error)) => return Err(error),
        }
    }
}

/// What is left, and the version that says so.
fn left(store: &EventStore, stock: &StreamName) -> Result<(u64, Version), scorebook::Error> {
    let mut left = 0;
    let mut version = Version::NONE;
    for event in store.read(stock) {
        let event = event?;
        let number = event.json::<u64>()?;
        left = if event.event_type() == "filled" { left + number } else { left - number };
        version = event.version();
    }
    Ok((left, version))
}
