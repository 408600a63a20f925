//! Time and ids that come out the same at every run.

use super::SimulatedDisk;
use crate::event::EventId;
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// A clock that stands still until it is told to go on. Clones show the same time.
///
/// A domain that takes its times from the commands asks this one in its tests. A store takes its own from its disk: a
/// [`SimulatedDisk`] that [follows](Self::drive) the clock is set whenever the clock is, and goes on by a microsecond each time
/// the store looks.
///
/// ```
/// use scorebook::testing::{ManualClock, SimulatedDisk};
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Timestamp};
/// use std::time::Duration;
///
/// let clock = ManualClock::at(Timestamp::from_nanos(1_000_000_000));
/// let disk = SimulatedDisk::new(7);
/// clock.drive(&disk);
/// let store = EventStore::options().open_simulated(&disk)?;
/// clock.advance(Duration::from_secs(3_600));
/// let event = NewEvent::json("won", &8812)?.occurred(clock.now());
/// let receipt = store.append(&StreamName::new("game-1")?, ExpectedVersion::Any, [event]).wait();
/// let late = receipt.map_err(|error| error.into_error())?.time().since(clock.now());
/// assert!(late < Duration::from_millis(1));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Shown>>);

struct Shown {
    time: Timestamp,
    disks: Vec<SimulatedDisk>,
}

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(time: impl Into<Timestamp>) -> ManualClock {
        ManualClock(Arc::new(Mutex::new(Shown { time: time.into(), disks: Vec::new() })))
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.lock().time
    }

    /// Sets it, forwards or backwards.
    pub fn set(&self, time: impl Into<Timestamp>) {
        let mut shown = self.0.lock();
        shown.time = time.into();
        shown.disks.iter().for_each(|disk| disk.set_time(shown.time));
    }

    /// Lets time pass, for whoever waits on a disk that follows it too.
    pub fn advance(&self, duration: Duration) {
        let mut shown = self.0.lock();
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        shown.time = Timestamp::from_nanos(shown.time.nanos().saturating_add(nanos));
        for disk in &shown.disks {
            disk.advance(duration);
            disk.set_time(shown.time);
        }
    }

    /// Sets a disk to this clock, and whenever it is set or goes on.
    pub fn drive(&self, disk: &SimulatedDisk) {
        let mut shown = self.0.lock();
        disk.set_time(shown.time);
        shown.disks.push(disk.clone());
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock that shows {}", self.now())
    }
}

/// Ids that follow from a number, one after the other. Clones go on from each other.
///
/// ```
/// use scorebook::testing::ManualIds;
/// let (ids, again) = (ManualIds::new(7), ManualIds::new(7));
/// let first = ids.id();
/// assert_eq!(first, again.id());
/// assert_ne!(first, ids.clone().id());
/// assert_eq!(first.to_string(), "00000000-0000-4007-8000-000000000001");
/// ```
#[derive(Clone, Debug)]
pub struct ManualIds {
    seed: u64,
    last: Arc<Mutex<u64>>,
}

impl ManualIds {
    /// Ids that follow from this number.
    #[must_use]
    pub fn new(seed: u64) -> ManualIds {
        ManualIds { seed, last: Arc::new(Mutex::new(0)) }
    }

    /// The next id: a UUID of version 4 in form.
    #[must_use]
    pub fn id(&self) -> EventId {
        const VERSION_4: u64 = 0x4000;
        const VARIANT: u64 = 1 << 63;
        // The bits of the seed that the version takes are moved out of its way; the four that are moved out at the top stand
        // behind the variant.
        let high = self.seed << 4 & !0xFFFF | self.seed & 0xFFF | VERSION_4;
        let low = VARIANT | self.seed >> 60 << 58 | self.number();
        EventId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// The next number, from 1: for ids that are numbers.
    #[must_use]
    pub fn number(&self) -> u64 {
        let mut last = self.last.lock();
        *last += 1;
        *last
    }
}
