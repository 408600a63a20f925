//! An aggregate from nothing: a concert whose seats are reserved. What happens to it, what it decides, and how it is used.
//!
//! ```console
//! cargo run --example aggregate_from_nothing
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::testing::scenario;
use scorebook::{Aggregate, EventContext, EventStore, ExecuteError, Faults, NewEvent, StreamName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::thread;

// First: what can happen. These are facts, so their names are in the past.

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Announced {
    seats: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reserved {
    guest: String,
    seats: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cancelled {
    guest: String,
}

scorebook::events! {
    /// What happens to a concert.
    #[derive(Clone, Debug, PartialEq)]
    enum ConcertEvent {
        /// It takes place, in a hall with so many seats.
        Announced(Announced) = "concert_announced", 1;
        /// A guest has reserved seats.
        Reserved(Reserved) = "seats_reserved", 1;
        /// A guest has given them back.
        Cancelled(Cancelled) = "reservation_cancelled", 1;
    }
    dress = by_guest;
    validate = rules;
}

/// A tag makes events findable across all concerts.
fn by_guest(event: &ConcertEvent, new: NewEvent) -> NewEvent {
    match event {
        ConcertEvent::Announced(_) => new,
        ConcertEvent::Reserved(Reserved { guest, .. }) | ConcertEvent::Cancelled(Cancelled { guest }) => {
            new.tag("guest", guest)
        }
    }
}

/// What holds for an event by itself, whatever the state.
fn rules(event: &ConcertEvent, faults: &mut Faults) {
    if let ConcertEvent::Reserved(Reserved { guest, seats }) = event {
        faults.require(!guest.is_empty(), "guest", "has no name");
        faults.require((1..=8).contains(seats), "seats", "must be 1 to 8");
    }
}

// Then: what can be asked for, and why it may be refused.

enum Command {
    Announce { seats: u32 },
    Reserve { guest: String, seats: u32 },
    Cancel { guest: String },
}

#[derive(Debug, PartialEq)]
enum Refusal {
    NotAnnounced,
    AnnouncedAlready,
    SoldOut { left: u32 },
    NoReservation,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotAnnounced => f.write_str("there is no such concert"),
            Refusal::AnnouncedAlready => f.write_str("the concert was announced before"),
            Refusal::SoldOut { left } => write!(f, "only {left} seats are left"),
            Refusal::NoReservation => f.write_str("there is no reservation of that name"),
        }
    }
}

impl Error for Refusal {}

// Last: the state, which holds what decisions need and nothing else.

#[derive(Clone, Debug, Default)]
struct Concert {
    seats: Option<u32>,
    reserved: BTreeMap<String, u32>,
}

impl Concert {
    fn left(&self) -> u32 {
        self.seats.unwrap_or(0) - self.reserved.values().sum::<u32>()
    }
}

impl Aggregate for Concert {
    type Event = ConcertEvent;
    type Command = Command;
    type Refusal = Refusal;

    fn new(_concert: &StreamName) -> Concert {
        Concert::default()
    }

    fn decide(&self, command: &Command) -> Result<Vec<ConcertEvent>, Refusal> {
        match (self.seats, command) {
            (None, Command::Announce { seats }) => Ok(vec![Announced { seats: *seats }.into()]),
            (Some(_), Command::Announce { .. }) => Err(Refusal::AnnouncedAlready),
            (None, _) => Err(Refusal::NotAnnounced),
            (Some(_), Command::Reserve { guest, seats }) if *seats <= self.left() => {
                Ok(vec![Reserved { guest: guest.clone(), seats: *seats }.into()])
            }
            (Some(_), Command::Reserve { .. }) => Err(Refusal::SoldOut { left: self.left() }),
            (Some(_), Command::Cancel { guest }) if self.reserved.contains_key(guest) => {
                Ok(vec![Cancelled { guest: guest.clone() }.into()])
            }
            (Some(_), Command::Cancel { .. }) => Err(Refusal::NoReservation),
        }
    }

    fn apply(&mut self, event: &ConcertEvent, _context: &EventContext<'_>) {
        match event {
            ConcertEvent::Announced(Announced { seats }) => self.seats = Some(*seats),
            ConcertEvent::Reserved(Reserved { guest, seats }) => {
                *self.reserved.entry(guest.clone()).or_default() += seats;
            }
            ConcertEvent::Cancelled(Cancelled { guest }) => {
                self.reserved.remove(guest);
            }
        }
    }
}

fn reserve(guest: &str, seats: u32) -> Command {
    Command::Reserve { guest: guest.to_owned(), seats }
}

fn main() -> Result<(), Box<dyn Error>> {
    without_a_store();

    let directory = tempfile::tempdir()?;
    let store = EventStore::open(directory.path().join("tickets.scorebook"))?;
    let stream = StreamName::new("concert-2027-01-09")?;
    let concert = store.aggregate::<Concert>(&stream);
    concert.execute(Command::Announce { seats: 100 }).wait()?;

    // What is sent twice happens once: the key is what tells one wish from another.
    let first = concert.execute(reserve("ada", 4)).once("request-8812").wait()?;
    let again = concert.execute(reserve("ada", 4)).once("request-8812").wait()?;
    println!("first: {first:?}; again: {again:?}");
    assert!(again.is_repeat());

    // Many at once: whoever was too slow decides again over the newest state, so no seat is sold twice.
    let sold = thread::scope(|scope| {
        let box_office = |number: usize| {
            let concert = &concert;
            scope.spawn(move || {
                let sell = |request: &u32| {
                    let command = reserve(&format!("guest-{number}-{request}"), 3);
                    let outcome =
                        concert.execute(command).once(format!("office-{number}-{request}")).attempts(100).wait();
                    match outcome {
                        Ok(_) => true,
                        Err(ExecuteError::Refused(refusal)) => {
                            assert_eq!(refusal, Refusal::SoldOut { left: 0 });
                            false
                        }
                        Err(other) => panic!("{other}"),
                    }
                };
                (0..10).filter(sell).count()
            })
        };
        let offices = (0..4).map(box_office).collect::<Vec<_>>();
        offices.into_iter().map(|office| office.join().expect("an office does not panic")).sum::<usize>()
    });
    let state = concert.load()?;
    println!("{sold} times 3 seats sold; at version {} there are {} seats left", state.version(), state.state().left());
    assert_eq!((sold, state.state().left()), (32, 0));

    // A mistake in the event itself is told with everything that is wrong.
    concert.execute(Command::Cancel { guest: "ada".to_owned() }).wait()?;
    match concert.execute(reserve("", 0)).wait() {
        Err(ExecuteError::Store(error)) => {
            let faults = error.source().map(ToString::to_string).unwrap_or_default();
            println!("{error}: {faults}");
            assert_eq!(faults, "`guest` has no name; `seats` must be 1 to 8");
        }
        other => panic!("it breaks two rules, and yet: {other:?}"),
    }

    // As it was.
    let early = concert.state_at(Version::new(2))?;
    println!("at version 2 there were {} seats left", early.state().left());
    assert_eq!(early.state().left(), 96);
    Ok(())
}

/// The same rules, tested without a store.
fn without_a_store() {
    scenario::<Concert>()
        .given([Announced { seats: 5 }.into(), Reserved { guest: "ada".to_owned(), seats: 4 }.into()])
        .when(reserve("ben", 2))
        .then_refused(Refusal::SoldOut { left: 1 })
        .when(Command::Cancel { guest: "ada".to_owned() })
        .then([Cancelled { guest: "ada".to_owned() }.into()])
        .when(reserve("ben", 2))
        .then_state(|concert| assert_eq!(concert.left(), 3))
        .when(reserve("", 9))
        .then_refused(Refusal::SoldOut { left: 3 });
    scenario::<Concert>().when(reserve("ben", 2)).then_refused(Refusal::NotAnnounced);
}
