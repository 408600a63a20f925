//! The log: all segments, what opening makes of them, and how batches get in.
//!
//! ```text
//! staging   a batch is judged by whoever stages it, gets its numbers and its place, and is queued
//! group     batches that are written, synced and published together
//! commit    a waiting thread leads: writes and syncs all that is staged, in one go, then publishes it
//! room      segments are made ready ahead, so that numbers are given only where there is room
//! recovery  from files to a state: survey, verdicts, the copy of a doubtful tail
//! mend      what takes the place of segments that are damaged or missing
//! swap      one file in the place of others
//! ```

mod bell;
mod commit;
mod copy;
mod follow;
mod group;
mod known;
mod live;
mod mend;
#[cfg(all(test, scorebook_loom))]
mod models;
mod open;
mod outflow;
mod recovery;
mod report;
mod rewrite;
mod room;
mod scan;
mod sequence;
mod staging;
mod survey;
mod swap;
mod ticket;
mod verdict;
mod waiter;

pub(crate) use bell::{Bell, Ring};
pub(crate) use copy::start_segment;
pub(crate) use follow::{Follower, Look};
pub(crate) use group::{EventPlace, PlacedFact, Published};
pub(crate) use live::{Ends, durable_position, forget_live, read_live};
pub(crate) use mend::{Mend, Standing, begin_behind, segment_files, set_aside};
pub(crate) use open::{LOCK_PATIENCE, Opened, is_same_writer, living_writer};
pub(crate) use open::{open_for_reading, open_for_writing, read_beside};
pub(crate) use recovery::{DOES_NOT_COUNT, Tally, Visitor};
pub use report::{CloseState, Damage, DamageKind, RecoveryReport};
pub(crate) use rewrite::{Keeper, SwapFailure, rewrite};
pub(crate) use room::Making;
pub(crate) use sequence::Sequence;
pub(crate) use staging::{Batch, NoRoom, PLACED_EPOCH_LEN, Staging};
pub(crate) use survey::Witness;
pub(crate) use swap::{remove, write_beside};
pub(crate) use ticket::{Answers, Outcome, Ticket, wake};
pub(crate) use waiter::{Calls, Waiter};

use crate::error::{Error, ErrorKind};
use crate::format::{LiveState, Preamble};
use crate::observe::Observer;
use crate::options::Options;
use crate::position::{Place, Position, Version};
use crate::receipt::Receipt;
use crate::segment::{FileNumber, Segment};
use crate::storage::{File, Latch, LatchedFile, Storage};
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use group::Group;
use live::LiveFile;
use recovery::Footing;
use std::collections::VecDeque;
use std::time::Duration;

/// Whoever makes committed batches visible.
pub(crate) trait Publish: Send + Sync {
    /// Makes events visible, all at once: afterwards every reader sees them and the new head. Gives those who wait for one
    /// of them; they are called when the answers are given.
    fn publish(&self, published: &Published<'_>) -> Calls;

    /// Is told that everything visible by now has become durable without having become visible just now. Gives those who
    /// wait for that.
    fn became_durable(&self) -> Calls {
        Calls::default()
    }
}

/// A log that is open for writing.
pub(crate) struct Log {
    storage: Arc<dyn Storage>,
    options: Options,
    store: [u8; 16],
    latch: Arc<Latch>,
    publisher: Arc<dyn Publish>,
    observer: Arc<Observer>,
    /// Taken before everything else here. Files are never touched while it is held.
    core: Mutex<Core>,
    /// What only the leader needs. Whoever has set `Core::is_led` may take it, and nobody else.
    lead: Mutex<Lead>,
    ends: Mutex<Ends>,
    live: LiveFile,
    bell: Bell,
}

/// What admission decides on.
///
/// INVARIANT:
/// 1. Groups are in log order; each begins where the one before it ends, or in a new segment.
/// 2. `sequence` and `active` stand behind the last batch of the last group.
struct Core {
    is_closed: bool,
    footing: Footing,
    /// The segment that batches are staged into; `None` before the first there ever was.
    active: Option<Active>,
    sequence: Sequence,
    epoch_bits: u64,
    /// Whether this opening has begun its epoch with a start or session record.
    epoch_begun: bool,
    groups: VecDeque<Group>,
    staged_bytes: usize,
    /// The buffer of a group that was written, to be filled again.
    spare: Vec<u8>,
    /// Somebody leads: writes what was staged.
    is_led: bool,
    /// Somebody wants what is staged committed without waiting on a thread.
    is_demanded: bool,
    /// The end of the log was written down since the last facts.
    is_watermarked: bool,
    last_sync: Duration,
    durable: Place,
    room: room::Room,
}

/// The segment at the end of what is staged.
struct Active {
    segment: Arc<Segment>,
    file: Arc<LatchedFile>,
    /// Where the next batch goes.
    next_offset: u32,
    /// The header checksum of the last batch.
    last_checksum: u32,
}

/// What the leader knows about what was written.
struct Lead {
    file: Option<Arc<LatchedFile>>,
    segment: Option<Arc<Segment>>,
    written: Place,
    has_unsynced: bool,
    last_position: Position,
    /// Of the segment that is written; `None` where it was not followed from its beginning.
    tally: Option<Tally>,
    passed_by: Vec<FileNumber>,
}

impl Log {
    pub(crate) fn store(&self) -> [u8; 16] {
        self.store
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// How many bytes wait to be written.
    pub(crate) fn staged_bytes(&self) -> usize {
        self.core.lock().staged_bytes
    }

    pub(crate) fn ends(&self) -> Ends {
        *self.ends.lock()
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.core.lock().sequence.epoch
    }

    /// Where a log that was closed ends, and the header checksum of the batch that ends there.
    pub(crate) fn closed_end(&self) -> Option<(Place, u32)> {
        let core = self.core.lock();
        let active = core.active.as_ref().filter(|_| core.is_closed)?;
        let end = Place { segment: active.segment.sequence(), offset: active.next_offset };
        (core.durable == end).then_some((end, active.last_checksum))
    }

    /// The highest generation of the segments that were found unfinished when the log was opened.
    pub(crate) fn unfinished_generation(&self) -> u32 {
        self.core.lock().room.unfinished
    }

    /// Whether this opening has written anything.
    pub(crate) fn has_begun(&self) -> bool {
        self.core.lock().epoch_begun
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// The failure after which nothing is written any more, if there was one.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.latch.failure()
    }

    /// Says in `live` how far the log reaches, if that changed.
    pub(crate) fn update_live(&self) {
        if self.latch.check().is_err() {
            return;
        }
        let (epoch, is_closed) = {
            let core = self.core.lock();
            ((core.sequence.epoch, core.epoch_bits), core.is_closed)
        };
        if !is_closed {
            self.live.update(self.store, epoch, || self.ends());
        }
    }

    /// Writes down where the log ends, if it has been still for long enough and nobody has done it. Whether there is
    /// anything left to watch for.
    pub(crate) fn idle(&self) -> Result<bool, Error> {
        let now = self.storage.elapsed();
        let ticket = {
            let Ok(mut staging) = self.stage() else { return Ok(false) };
            match staging.watermark_due(now) {
                staging::Due::Never => return Ok(false),
                staging::Due::Later => return Ok(true),
                staging::Due::Now => {
                    let ticket = Arc::new(Ticket::new());
                    staging.stage_watermark(&ticket);
                    ticket
                }
            }
        };
        self.wait(&ticket).map_err(crate::error::AppendError::into_error)?;
        self.update_live();
        self.live.sync();
        Ok(false)
    }

    /// Commits all that is staged and syncs everything.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let ticket = Arc::new(Ticket::new());
        self.stage()?.stage_flush(&ticket);
        self.wait(&ticket).map(|_| ()).map_err(crate::error::AppendError::into_error)
    }

    /// Commits what is staged, writes a close record if this opening wrote anything, and lets nothing in any more.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let ticket = Arc::new(Ticket::new());
        let epoch = {
            let mut core = self.core.lock();
            if core.is_closed {
                return Ok(());
            }
            core.is_closed = true;
            let mut staging = Staging::over(self, core);
            staging.stage_close(&ticket);
            staging.epoch()
        };
        let closed = self.wait(&ticket).map(|_| ()).map_err(crate::error::AppendError::into_error);
        // Where nothing was left to be written, what failed before would otherwise go untold.
        let closed = closed.and_then(|()| self.latch.check());
        if closed.is_ok() {
            self.live.ensure(&*self.storage);
            // Closed also says that a segment which is ready may be used as it is.
            let is_settled = self.core.lock().room.is_settled() && self.latch.check().is_ok();
            let state = if is_settled { LiveState::Closed } else { LiveState::ClosedUnready };
            self.live.close(self.store, epoch, self.ends(), state);
        }
        closed
    }

    fn closed() -> Error {
        Error::new(ErrorKind::Closed, "the store was closed")
    }
}

/// A receipt for something that is not a batch of events and gives none to anybody.
fn no_receipt(time: Timestamp) -> Receipt {
    Receipt {
        first_position: Position::BEGINNING,
        last_position: Position::BEGINNING,
        time,
        durability: crate::options::Durability::Synced,
        is_repeat: false,
        streams: Vec::new(),
    }
}

/// The preamble of a segment to be made.
fn new_preamble(storage: &dyn Storage, store: [u8; 16], sequence: u32, size: u32) -> Result<Preamble, Error> {
    let mut segment = [0; 16];
    storage.random(&mut segment).map_err(|error| Error::io("making a random id", error))?;
    Ok(Preamble { store, segment, sequence, size, rewritten: None })
}

/// A segment that was made ready and waits to be started.
struct Ready {
    preamble: Preamble,
    file: Arc<dyn File>,
    map: Option<crate::event::SharedBytes>,
}

/// Versions are not asked for where a batch holds no event.
fn no_version(_: usize) -> Version {
    Version::NONE
}
