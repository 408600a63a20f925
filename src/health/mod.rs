//! How a store does: what it can do at this moment, and what somebody should look at.

#[cfg(feature = "metrics")]
mod gauges;
mod quota;
mod stats;

pub use stats::Stats;

use crate::consumer::ConsumerHealth;
use crate::error::{Error, ErrorKind};
use crate::observe::SLOW_SYNC;
use crate::position::{Place, Position};
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
    sync_time: Duration,
    stalled_after: Duration,
    clock_behind: Duration,
    quota_percent: u64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            room: 1 << 30,
            lag_events: 100_000,
            lag_time: Duration::from_secs(300),
            parked: 0,
            sync_time: SLOW_SYNC,
            stalled_after: Duration::from_secs(10),
            clock_behind: Duration::from_secs(60),
            quota_percent: 100,
        }
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

    /// A tag that takes more than so many hundredths of its quota is a concern. Default: 100.
    pub const fn quota_percent(self, percent: u64) -> Thresholds {
        Thresholds { quota_percent: percent, ..self }
    }

    /// A consumer that has parked more events than this is a concern. Default: 0.
    pub const fn parked(self, events: u64) -> Thresholds {
        Thresholds { parked: events, ..self }
    }

    /// A sync of the last minute or two that took longer is a concern. Default: 1 s, which is far more than a sound disk takes.
    pub const fn sync_time(self, time: Duration) -> Thresholds {
        Thresholds { sync_time: time, ..self }
    }

    /// Appends that are being written for longer than this are a concern: the disk does not answer. Default: 10 s.
    pub const fn stalled_after(self, time: Duration) -> Thresholds {
        Thresholds { stalled_after: time, ..self }
    }

    /// A clock that is further behind the last event is a concern: events get the time of that one until it is there. Default: 1
    /// minute.
    pub const fn clock_behind(self, time: Duration) -> Thresholds {
        Thresholds { clock_behind: time, ..self }
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
    /// Acknowledged bytes do not verify: opening has met them, or a read since. What stands there cannot be read.
    Damaged {
        /// Where they begin; of each segment the first place is told.
        place: Place,
    },
    /// What is appended is being written, and that has not ended: the disk does not answer.
    Stalled {
        /// For how long.
        time: Duration,
    },
    /// Syncs take long, and appends with them.
    SlowSync {
        /// The longest of the last minute or two.
        time: Duration,
    },
    /// The clock is behind the last event, by what another machine, an import or a clock that was set has written. New events
    /// get the time of the last one until it is there.
    ClockBehind {
        /// By how much.
        time: Duration,
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
    /// Compaction in the background has failed, and is tried again.
    CompactionFailed {
        /// What had failed.
        why: String,
    },
    /// The events with a tag take more than they should; of several tags this is the one that is furthest above its quota.
    Quota {
        /// The tag: key, colon, value.
        tag: String,
        /// How many bytes they take.
        used: u64,
        /// How many they may take.
        limit: u64,
        /// How many tags there are of which the same is so, with this one.
        tags: u64,
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
    /// What the store can do at this moment, and what somebody should look at. Reads nothing of the log but the last event,
    /// the first behind each consumer, and once what was there before a quota was set.
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
    /// * [`Io`](crate::ErrorKind::Io): the system does not say how much room there is, or fails to read an event.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn health(&self, thresholds: &Thresholds) -> Result<Health, Error> {
        let mut concerns = Vec::new();
        // Asked first: this reads, and what does not verify is told below.
        let consumers = self.consumers()?;
        let behind = self.clock_behind()?;
        let over_quota = thresholds.of_quotas(self)?;
        let (failure, full) = self.obstacles();
        concerns.extend(failure.map(|error| Concern::Poisoned { why: error.to_string() }));
        concerns.extend(full.map(|error| Concern::Full { why: error.to_string() }));
        concerns.extend(self.damage_met()?.into_iter().map(|place| Concern::Damaged { place }));
        let room = self.room_left()?;
        concerns.extend(room.filter(|room| *room < thresholds.room).map(|bytes| Concern::LittleRoom { bytes }));
        concerns.extend(self.doubtful_positions()?.map(|(first, last)| Concern::Lost { first, last }));
        let now = self.elapsed();
        let stalled = self.observer().busy_for(now).filter(|time| thresholds.stalled_after < *time);
        concerns.extend(stalled.map(|time| Concern::Stalled { time }));
        let slow = Some(self.observer().activity(now).syncs().longest_lately());
        let slow = slow.filter(|time| thresholds.sync_time < *time);
        concerns.extend(slow.map(|time| Concern::SlowSync { time }));
        let behind = behind.filter(|time| thresholds.clock_behind < *time);
        concerns.extend(behind.map(|time| Concern::ClockBehind { time }));
        concerns.extend(over_quota);
        let passed_over = self.passed_over_snapshots().into_iter();
        concerns.extend(passed_over.map(|over| Concern::SnapshotPassedOver { path: over.path, fault: over.fault }));
        let failed = self.background_compaction().and_then(|background| background.failure().map(ToString::to_string));
        concerns.extend(failed.map(|why| Concern::CompactionFailed { why }));
        for info in consumers {
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

    /// How far the clock is behind the last event, if it is.
    fn clock_behind(&self) -> Result<Option<Duration>, Error> {
        let last = self.read_all().backwards().limit(1).into_iter().next().transpose();
        match last {
            Ok(last) => Ok(last.map(|event| event.time().since(self.clock())).filter(|time| !time.is_zero())),
            // It is told as such.
            Err(error) if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Lost) => Ok(None),
            Err(error) => Err(error),
        }
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
            Concern::Damaged { place } => write!(f, "the bytes from {place} on do not verify"),
            Concern::Stalled { time } => write!(f, "what is appended waits for the disk for {} s", time.as_secs()),
            Concern::SlowSync { time } => write!(f, "a sync took {} ms", time.as_millis()),
            Concern::ClockBehind { time } => write!(f, "the clock is {} s behind the last event", time.as_secs()),
            Concern::LittleRoom { bytes } => write!(f, "there is room for {bytes} bytes more"),
            Concern::Lost { first, last } => write!(f, "positions {first} to {last} cannot be read"),
            Concern::SnapshotPassedOver { path, fault } => write!(f, "{path} was passed over: {fault}"),
            Concern::ConsumerPaused { name, why } => write!(f, "consumer {name} is paused: {why}"),
            Concern::ConsumerTripped { name, why } => write!(f, "the handler of consumer {name} keeps failing: {why}"),
            Concern::ConsumerStalled { name } => write!(f, "consumer {name} does not get on"),
            Concern::ConsumerBehind { name, events, time } => {
                write!(f, "consumer {name} is {events} positions and {} s behind", time.as_secs())
            }
            Concern::CompactionFailed { why } => write!(f, "compaction in the background has failed: {why}"),
            Concern::Quota { tag, used, limit, tags } => {
                write!(f, "events with tag {} take {used} of {limit} bytes", tag.escape_debug())?;
                if *tags == 1 { Ok(()) } else { write!(f, ", and those with {} more tags too much", tags - 1) }
            }
            Concern::Parked { name, events } => write!(f, "consumer {name} has parked {events} events"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::SimulatedDisk;

    #[test]
    fn appends_that_the_disk_does_not_answer_are_a_concern() {
        let disk = SimulatedDisk::new(7);
        let store = EventStore::options().open_simulated(&disk).expect("a store");
        let ask = || store.health(&Thresholds::default()).expect("an answer").concerns().to_vec();
        store.observer().begins_group(store.elapsed());
        disk.advance(Duration::from_secs(9));
        assert_eq!(ask(), []);
        disk.advance(Duration::from_secs(2));
        let found = ask();
        assert!(matches!(found[..], [Concern::Stalled { time }] if time.as_secs() == 11), "{found:?}");
        store.observer().ends_group();
        assert_eq!(ask(), []);
    }
}
