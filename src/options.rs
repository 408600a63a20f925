//! What can be chosen when a store is opened.

use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// When an append counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Visible once the operating system has it: survives the end of this process, not a loss of power.
    /// A sync in the background follows, by default within a second.
    Written,
    /// Visible once it is synced: survives loss of power.
    #[default]
    Synced,
}

/// How events are read from the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadMode {
    /// Through memory maps: fastest. A media error while reading ends the process.
    #[default]
    Mapped,
    /// With positioned reads into buffers: a media error is an error of that read.
    Positioned,
}

/// A field of an event's metadata that a store can make a tag of, see
/// [`tags_from_metadata`](Options::tags_from_metadata).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataField {
    /// What the event belongs together with: the tag `correlation`.
    Correlation,
    /// What caused the event: the tag `causation`.
    Causation,
    /// Who did it: the tag `actor`.
    Actor,
}

/// How a store is opened; every choice has a default.
///
/// ```
/// use scorebook::{Durability, EventStore};
/// let store = EventStore::options().durability(Durability::Written).open_in_memory()?;
/// assert!(store.head()?.get() == 0);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) read_mode: ReadMode,
    pub(crate) sync_every: Duration,
    pub(crate) idle_after: Duration,
    pub(crate) segment_bytes_max: u32,
    pub(crate) staged_bytes_max: usize,
    pub(crate) tags_from_metadata: Vec<MetadataField>,
    pub(crate) verify_at_open_max: u64,
    pub(crate) snapshots_kept: usize,
    pub(crate) label: Option<String>,
    /// The epoch of the opening is higher than this: what is copied in from elsewhere keeps the epochs it has.
    pub(crate) epoch_floor: u32,
}

/// The smallest segment: 32 KiB.
pub(crate) const SEGMENT_BYTES_MIN: u32 = 32 * 1024;
/// The largest segment, apart from one made for a single larger batch: 64 MiB.
pub(crate) const SEGMENT_BYTES_MAX: u32 = 64 * 1024 * 1024;

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Synced,
            read_mode: ReadMode::Mapped,
            sync_every: Duration::from_secs(1),
            idle_after: Duration::from_millis(50),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            staged_bytes_max: 64 * 1024 * 1024,
            tags_from_metadata: Vec::new(),
            verify_at_open_max: 4 * 1024 * 1024,
            snapshots_kept: 2,
            label: None,
            epoch_floor: 0,
        }
    }
}

impl Options {
    /// The durability of appends that do not ask for one. Default: [`Durability::Synced`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Options {
        self.durability = durability;
        self
    }

    /// How events are read. Default: [`ReadMode::Mapped`].
    #[must_use]
    pub fn read_mode(mut self, mode: ReadMode) -> Options {
        self.read_mode = mode;
        self
    }

    /// How long [`Durability::Written`] events may wait for the sync in the background, which comes sooner when 8 MiB have
    /// piled up. Default: 1 s.
    #[must_use]
    pub fn sync_every(mut self, interval: Duration) -> Options {
        self.sync_every = interval;
        self
    }

    /// How long after the last sync, with nothing more to write, the end of the log is written down so that
    /// the last acknowledged batch can be told from a torn one. Default: 50 ms.
    #[must_use]
    pub fn idle_after(mut self, pause: Duration) -> Options {
        self.idle_after = pause;
        self
    }

    /// The size to which segments grow, in bytes, 32 KiB to 64 MiB. Default: 64 MiB, enough that rolling over
    /// costs nothing that can be measured; smaller ones for tests and small disks.
    #[must_use]
    pub fn segment_bytes_max(mut self, bytes: u32) -> Options {
        self.segment_bytes_max = bytes;
        self
    }

    /// How many bytes may wait to be written before an append is refused as
    /// [`Busy`](ErrorKind::Busy). Default: 64 MiB.
    #[must_use]
    pub fn staged_bytes_max(mut self, bytes: usize) -> Options {
        self.staged_bytes_max = bytes;
        self
    }

    /// A log of at most so many bytes, room made ahead included, is read and verified from its first byte when it is opened
    /// for writing. Of a larger one what is known from derived files is not read, so that opening takes no longer the more
    /// events there are. Default: 4 MiB, which takes a few milliseconds; `u64::MAX` for always.
    #[must_use]
    pub fn verify_at_open_max(mut self, bytes: u64) -> Options {
        self.verify_at_open_max = bytes;
        self
    }

    /// How many snapshots are kept of each projection and each aggregate's stream: the newest, 1 to 100. Default: 2, so that
    /// there is one when another does not verify.
    #[must_use]
    pub fn snapshots_kept(mut self, snapshots: usize) -> Options {
        self.snapshots_kept = snapshots;
        self
    }

    /// What the store is called where it is watched: in [`Stats`](crate::Stats), in metrics and in spans. Default: the name of
    /// its directory.
    ///
    /// ```
    /// use scorebook::EventStore;
    /// let store = EventStore::options().label("games").open_in_memory()?;
    /// assert_eq!(store.stats()?.label(), "games");
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Options {
        self.label = Some(label.into());
        self
    }

    /// Fields of metadata that are also made tags of every event that is appended, so that queries find events by them.
    /// They count among the event's tags; where there are 64 already, or the text cannot be a tag's, there is no tag of it.
    /// Default: none; events that are stored already stay as they are.
    ///
    /// ```
    /// use scorebook::{EventStore, ExpectedVersion, MetadataField, NewEvent, Query, StreamName};
    /// let store = EventStore::options().tags_from_metadata([MetadataField::Actor]).open_in_memory()?;
    /// let guessed = NewEvent::json("guessed", "otter")?.actor("alice");
    /// store.append(&StreamName::new("game-42")?, ExpectedVersion::Any, [guessed]).wait().map_err(|e| e.into_error())?;
    /// assert!(store.read_all().matching(Query::all().tag("actor", "alice")).exists()?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    #[must_use]
    pub fn tags_from_metadata(mut self, fields: impl IntoIterator<Item = MetadataField>) -> Options {
        self.tags_from_metadata = fields.into_iter().collect();
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes_max) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "segment_bytes_max is {}: it must be {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}",
                    self.segment_bytes_max
                ),
            ));
        }
        if !(1..=100).contains(&self.snapshots_kept) {
            let act = format!("snapshots_kept is {}: it must be 1 to 100", self.snapshots_kept);
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        Ok(())
    }
}
