//! Numbers about a store.

use crate::consumer::ConsumerInfo;
use crate::error::Error;
use crate::observe::Activity;
use crate::position::{Place, Position};
use crate::store::{Counted, EventStore, Status, StoreId};
use std::time::Duration;

/// Numbers about a store. Made by [`EventStore::stats`].
#[derive(Clone, Debug)]
pub struct Stats {
    label: String,
    counted: Counted,
    dead_bytes: u64,
    room: Option<u64>,
    damaged: Vec<Place>,
    consumers: Vec<ConsumerInfo>,
    activity: Activity,
}

impl EventStore {
    /// Numbers about the store: what there is, who follows it, and what was done since it was opened. Reads nothing of the log
    /// but the first event behind each consumer. Where the feature `metrics` is on, this is also what brings its gauges up to
    /// date.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// let store = EventStore::open_in_memory()?;
    /// let game = StreamName::new("game-1")?;
    /// let started = || NewEvent::json("started", &1);
    /// store.append(&game, ExpectedVersion::NoStream, [started()?]).wait().map_err(|error| error.into_error())?;
    /// assert!(store.append(&game, ExpectedVersion::NoStream, [started()?]).wait().is_err());
    /// let stats = store.stats()?;
    /// assert_eq!((stats.events(), stats.streams()), (1, 1));
    /// assert_eq!((stats.activity().appends(), stats.activity().conflicts()), (1, 1));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Io`](crate::ErrorKind::Io): a directory cannot be listed, the system does not say how much room there is, or an event
    ///   cannot be read.
    /// * [`Closed`](crate::ErrorKind::Closed).
    pub fn stats(&self) -> Result<Stats, Error> {
        let consumers = self.consumers()?;
        let counted = self.counted()?;
        let stats = Stats {
            label: self.observer().label().to_owned(),
            dead_bytes: share(counted.log_bytes, self.dead_events()?, counted.events),
            counted,
            room: self.room_left()?,
            damaged: self.damage_met()?,
            consumers,
            activity: self.observer().activity(self.elapsed()),
        };
        #[cfg(feature = "metrics")]
        super::gauges::set(&stats);
        Ok(stats)
    }
}

/// So many bytes as are the part of some events among all.
fn share(bytes: u64, part: u64, all: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(part) / u128::from(all.max(1));
    u64::try_from(share).unwrap_or(u64::MAX).min(bytes)
}

impl Stats {
    /// What is found in a directory that no store was opened in.
    pub(crate) fn of_directory(label: String, counted: Counted, room: Option<u64>, damaged: Vec<Place>) -> Stats {
        Stats { label, counted, dead_bytes: 0, room, damaged, consumers: Vec::new(), activity: Activity::default() }
    }

    /// What the store is called, see [`Options::label`](crate::Options::label).
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        StoreId(self.counted.of_log.store)
    }

    /// The number of the format its log is written in.
    #[must_use]
    pub fn format(&self) -> u16 {
        crate::format::FORMAT
    }

    /// The last visible position.
    #[must_use]
    pub fn head(&self) -> Position {
        self.counted.head
    }

    /// How many events can be read.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.counted.events
    }

    /// How many streams have events.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.counted.streams
    }

    /// How many segments count.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.counted.segments
    }

    /// Bytes of the log up to the ends of its segments.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.counted.log_bytes
    }

    /// About how many bytes of the log a compaction would remove by what was decided about streams: all events of finished
    /// ones, and those before the version that a stream begins with, counted exactly and each taken for as long as events are
    /// on average. What consumers and holds keep is counted all the same. What [rules](crate::Retention) let go is not, for it
    /// takes reading to know: [`CompactionPlan::bytes_going`](crate::CompactionPlan::bytes_going) says to the byte what goes.
    /// 0 where the directory was only inspected.
    #[must_use]
    pub fn dead_bytes(&self) -> u64 {
        self.dead_bytes
    }

    /// Bytes of the log that are not [dead](Self::dead_bytes).
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.counted.log_bytes - self.dead_bytes
    }

    /// Bytes of all files in the directory of the log: room that was made ahead, and the `.idx` beside the segments, included.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.counted.disk_bytes
    }

    /// Bytes of what is derived from the log to find events again: the `.idx` and the directory `index`.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.counted.index_bytes
    }

    /// How many snapshots there are.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.counted.snapshots
    }

    /// Bytes of the snapshots.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        self.counted.snapshot_bytes
    }

    /// About how many bytes of memory the streams take, and the terms of segments that are in no file. Not counted: maps, the
    /// terms of the segment that is being written, and what floors above keep, such as the states of projections.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.counted.memory_bytes
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn staged_bytes(&self) -> u64 {
        self.counted.staged_bytes
    }

    /// How many bytes there is room for on its disk, where that is known.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        self.room
    }

    /// Where in the files the visible log ends.
    #[must_use]
    pub fn visible_end(&self) -> Place {
        self.counted.of_log.ends.visible
    }

    /// Up to where in the files everything survives a loss of power.
    #[must_use]
    pub fn durable_end(&self) -> Place {
        self.counted.of_log.ends.durable
    }

    /// How many times the store was opened and written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.counted.of_log.epoch
    }

    /// What the store can do at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.counted.status
    }

    /// Where acknowledged bytes were met that do not verify, by opening or by reading since: the first place of each segment.
    #[must_use]
    pub fn damaged(&self) -> &[Place] {
        &self.damaged
    }

    /// Who follows the store, by name, and how far each is behind; none where the directory was only inspected.
    #[must_use]
    pub fn consumers(&self) -> &[ConsumerInfo] {
        &self.consumers
    }

    /// What was done since the store was opened in this process.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// How far the consumer that is furthest behind is behind: in positions, and by the clock.
    #[must_use]
    pub fn lag_max(&self) -> (u64, Duration) {
        let lags = self.consumers.iter().map(|info| (info.lag_events(), info.lag_time().unwrap_or_default()));
        lags.fold((0, Duration::ZERO), |most, lag| (most.0.max(lag.0), most.1.max(lag.1)))
    }
}
