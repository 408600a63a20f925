//! How a store does: what it can do at this moment, and what somebody should look at.

use crate::consumer::ConsumerHealth;
use crate::error::Error;
use crate::position::Position;
use crate::snapshot::SnapshotFault;
use crate::store::{EventStore, Status};
use std::fmt;
use std::time::Duration;

/// From when on something is a concern.
///
/// ```
/// use scorebook::Thresholds;
/// use std::time::Duration;
/// let thresholds = Thresholds::default().room(4 << 30).lag_time(Duration::from_secs(60)).parked(10);
/// assert_ne!(format!("{thresholds:?}"), format!("{:?}", Thresholds::default()));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "thresholds do nothing until a store is asked with them"]
pub struct Thresholds {
    room: u64,
    lag_events: u64,
    lag_time: Duration,
    parked: u64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { room: 1 << 30, lag_events: 100_000, lag_time: Duration::from_secs(300), parked: 0 }
    }
}

impl Thresholds {
    /// Less room than this on the disk is a concern, in bytes. Default: 1 GiB, which is time to act.
    pub const fn room(self, bytes: u64) -> Thresholds {
        Thresholds { room: bytes, ..self }
    }

    /// A consumer that is further behind than this is a concern, in positions. Default: 100,000.
    pub const fn lag_events(self, events: u64) -> Thresholds {
        Thresholds { lag_events: events, ..self }
    }

    /// A consumer whose first event that is not done is older than this is a concern. Default: 5 minutes.
    pub const fn lag_time(self, time: Duration) -> Thresholds {
        Thresholds { lag_time: time, ..self }
    }

    /// A consumer that has parked more events than this is a concern. Default: 0.
    pub const fn parked(self, events: u64) -> Thresholds {
        Thresholds { parked: events, ..self }
    }
}

/// How a store does. Made by [`EventStore::health`].
#[derive(Clone, Debug)]
pub struct Health {
    status: Status,
    room: Option<u64>,
    concerns: Vec<Concern>,
}

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// A write or a sync failed: nothing is written any more until the store is reopened.
    Poisoned {
        /// What had failed.
        why: String,
    },
    /// There was no room for more; it goes on by itself when there is some.
    Full {
        /// What had failed.
        why: String,
    },
    /// There is less room on the disk than there should be.
    LittleRoom {
        /// How many bytes there are left.
        bytes: u64,
    },
    /// Events cannot be read, and nobody has accepted that.
    Lost {
        /// The first position of the first of them.
        first: Position,
        /// The last position of the first of them.
        last: Position,
    },
    /// A consumer is paused.
    ConsumerPaused {
        /// The name of the consumer.
        name: String,
        /// Why, as was said.
        why: String,
    },
    /// The handler of a consumer keeps failing, so that it gets a rest.
    ConsumerTripped {
        /// The name of the consumer.
        name: String,
        /// What failed last.
        why: String,
    },
    /// A consumer has something to do and does not get on.
    ConsumerStalled {
        /// The name of the consumer.
        name: String,
    },
    /// A consumer is far behind.
    ConsumerBehind {
        /// The name of the consumer.
        name: String,
        /// How many positions.
        events: u64,
        /// How old the first event is that is not done.
        time: Duration,
    },
    /// A snapshot was passed over since the store was opened, and events were replayed in its place.
    SnapshotPassedOver {
        /// Its file, relative to the directory of the store.
        path: String,
        /// What is wrong with it.
        fault: SnapshotFault,
    },
    /// A consumer has set events aside.
    Parked {
        /// The name of the consumer.
        name: String,
        /// How many.
        events: u64,
    },
}

impl EventStore {
    /// What the store can do at this moment, and what somebody should look at. Reads nothing of the log but the first event
    /// behind each consumer.
    ///
    /// ```
    /// use scorebook::{Consumer, Concern, EventStore, Query, Start, Status, Thresholds};
    /// let store = EventStore::open_in_memory()?;
    /// assert!(store.health(&Thresholds::default())?.is_well());
    /// let member = store.join(&Consumer::new("scores", Query::all(), Start::Beginning))?;
    /// store.consumer("scores").pause("maintenance")?;
    /// let health = store.health(&Thresholds::default())?;
    /// assert_eq!(health.status(), Status::Writing);
    /// let paused = Concern::ConsumerPaused { name: "scores".to_owned(), why: "maintenance".to_owned() };
    /// assert_eq!(health.concerns(), [paused]);
    /// # drop(member);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Io`](crate::ErrorKind::Io): the system does not say how much room there is, or an event cannot be read.
    /// * [`Damaged`](crate::ErrorKind::Damaged), [`Lost`](crate::ErrorKind::Lost): the first event behind a consumer cannot be
    ///   read.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn health(&self, thresholds: &Thresholds) -> Result<Health, Error> {
        let mut concerns = Vec::new();
        let (failure, full) = self.obstacles();
        concerns.extend(failure.map(|error| Concern::Poisoned { why: error.to_string() }));
        concerns.extend(full.map(|error| Concern::Full { why: error.to_string() }));
        let room = self.room_left()?;
        concerns.extend(room.filter(|room| *room < thresholds.room).map(|bytes| Concern::LittleRoom { bytes }));
        concerns.extend(self.doubtful_positions()?.map(|(first, last)| Concern::Lost { first, last }));
        let passed_over = self.passed_over_snapshots().into_iter();
        concerns.extend(passed_over.map(|over| Concern::SnapshotPassedOver { path: over.path, fault: over.fault }));
        for info in self.consumers()? {
            let name = || info.name().to_owned();
            match info.health() {
                ConsumerHealth::Paused => {
                    let why = info.paused().unwrap_or_default().to_owned();
                    concerns.push(Concern::ConsumerPaused { name: name(), why });
                }
                ConsumerHealth::Tripped => {
                    let why = info.last_error().unwrap_or_default().to_owned();
                    concerns.push(Concern::ConsumerTripped { name: name(), why });
                }
                ConsumerHealth::Stalled => concerns.push(Concern::ConsumerStalled { name: name() }),
                _ => {}
            }
            let (events, time) = (info.lag_events(), info.lag_time().unwrap_or_default());
            if thresholds.lag_events < events || thresholds.lag_time < time {
                concerns.push(Concern::ConsumerBehind { name: name(), events, time });
            }
            if thresholds.parked < info.parked() {
                concerns.push(Concern::Parked { name: name(), events: info.parked() });
            }
        }
        Ok(Health { status: self.status(), room, concerns })
    }
}

impl Health {
    /// What the store can do at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// How many bytes there is room for on its disk, where that is known.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        self.room
    }

    /// What somebody should look at, the most urgent first.
    #[must_use]
    pub fn concerns(&self) -> &[Concern] {
        &self.concerns
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.concerns.is_empty()
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Concern::Poisoned { why } => write!(f, "nothing is written any more until it is reopened: {why}"),
            Concern::Full { why } => write!(f, "nothing is written until there is room: {why}"),
            Concern::LittleRoom { bytes } => write!(f, "there is room for {bytes} bytes more"),
            Concern::Lost { first, last } => write!(f, "positions {first} to {last} cannot be read"),
            Concern::SnapshotPassedOver { path, fault } => write!(f, "{path} was passed over: {fault}"),
            Concern::ConsumerPaused { name, why } => write!(f, "consumer {name} is paused: {why}"),
            Concern::ConsumerTripped { name, why } => write!(f, "the handler of consumer {name} keeps failing: {why}"),
            Concern::ConsumerStalled { name } => write!(f, "consumer {name} does not get on"),
            Concern::ConsumerBehind { name, events, time } => {
                write!(f, "consumer {name} is {events} positions and {} s behind", time.as_secs())
            }
            Concern::Parked { name, events } => write!(f, "consumer {name} has parked {events} events"),
        }
    }
}
