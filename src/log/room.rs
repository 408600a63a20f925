//! Room: segments are made ready ahead of time, so that numbers are given only where zero-filled, synced room is.

use super::copy::{remove_files, size_for};
use super::{Log, Ready, new_preamble};
use crate::error::{Error, ErrorKind};
use crate::format::{PREAMBLE_LEN, Preamble, is_blank};
use crate::mutant::Mutant;
use crate::observe::spans;
use crate::options::SEGMENT_BYTES_MIN;
use crate::segment::{FIRST_BATCH, FileNumber, LOG_DIR, MakeFailure, events_end, make_ready};
use crate::storage::{File, Storage};
use crate::sync::Arc;

/// The segment that is ready, and what is known about making the next one.
pub(super) struct Room {
    ready: Option<Ready>,
    /// A segment found ready when the log was opened; it is synced again before it is used, or made anew.
    pub(super) blank: Option<(Preamble, Arc<dyn File>)>,
    /// The log was closed by whoever left that segment: it was synced, and no sync had failed.
    is_blank_vouched_for: bool,
    /// The size of batch that waits for room; 0 where none does.
    asked: usize,
    is_making: bool,
    /// Why the last attempt failed, if a batch waited for it.
    full: Option<Error>,
    /// Room ahead of need could not be made: it is tried again when it is needed.
    is_put_off: bool,
    pub(super) next_sequence: u32,
    pub(super) next_size: u32,
    pub(super) leftovers: Vec<FileNumber>,
    /// The highest generation of what was found unfinished: its files are removed by their names, at any time.
    pub(super) unfinished: u32,
}

/// What came of making room.
pub(crate) enum Making {
    /// There was nothing to do, or somebody else does it.
    Nothing,
    /// There is room.
    Made,
    /// There is none; whoever waits for it is to be told.
    Failed(Error),
}

impl Room {
    pub(super) fn new(
        next_sequence: u32,
        next_size: u32,
        leftovers: Vec<FileNumber>,
        blank: Option<(Preamble, Arc<dyn File>)>,
        is_blank_vouched_for: bool,
    ) -> Room {
        Room {
            ready: None,
            blank,
            is_blank_vouched_for,
            asked: 0,
            is_making: false,
            full: None,
            is_put_off: false,
            next_sequence,
            next_size,
            unfinished: leftovers.iter().map(|number| number.generation).max().unwrap_or(0),
            leftovers,
        }
    }

    /// Whether every segment that is ready is known to be on the disk, so that the next opening may use it as it is.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_making && (self.blank.is_none() || self.is_blank_vouched_for)
    }

    /// Whether the segment that is ready takes a batch of this length.
    pub(super) fn fits_ready(&self, len: usize) -> bool {
        let needed = FIRST_BATCH as usize + crate::format::START_BATCH_LEN + len;
        self.ready.as_ref().is_some_and(|ready| needed <= events_end(ready.preamble.size) as usize)
    }

    pub(super) fn ask(&mut self, len: usize) {
        self.asked = self.asked.max(len);
    }

    pub(super) fn take_ready(&mut self) -> Option<Ready> {
        self.ready.take()
    }
}

impl Log {
    /// Whether a batch waits for room, or a segment should be made ready ahead of need.
    pub(crate) fn wants_room(&self) -> bool {
        let core = self.core.lock();
        let is_ahead = core.room.ready.is_none() && core.epoch_begun && !core.room.is_put_off;
        !core.is_closed && !core.room.is_making && (core.room.asked != 0 || is_ahead)
    }

    /// Makes a segment ready ahead of need; that failing is told when the room is needed.
    pub(super) fn make_room_ahead(&self) {
        if self.wants_room() {
            let _ = self.make_room();
        }
    }

    /// Makes a segment ready if one is wanted.
    pub(crate) fn make_room(&self) -> Making {
        if let Err(error) = self.latch.check() {
            return Making::Failed(error);
        }
        let (asked, mut leftovers, blank, is_vouched_for) = {
            let mut core = self.core.lock();
            // Nothing is made ready any more once the log says that it is closed: that vouches for what is ready by then.
            let is_closed = core.is_closed;
            let room = &mut core.room;
            if is_closed || room.is_making || (room.asked == 0 && room.ready.is_some()) {
                return Making::Nothing;
            }
            let asked = std::mem::take(&mut room.asked);
            // Somebody has made it between the question and now. Another one would be of no use to anybody.
            if asked != 0 && room.fits_ready(asked) {
                return Making::Made;
            }
            room.is_making = true;
            // What is ready and too small is of no use to the batch that waits.
            let too_small = if asked == 0 { None } else { room.ready.take() };
            let mut leftovers = std::mem::take(&mut room.leftovers);
            leftovers.extend(too_small.map(|ready| FileNumber::from(&ready.preamble)));
            (asked, leftovers, room.blank.take(), room.is_blank_vouched_for)
        };
        // IMPORTANT: if the sync of whoever made it ready had failed, the system may show what the disk will never have,
        // and say that the next sync is done. Only one that is known to have been synced is used as it is.
        let is_vouched_for = is_vouched_for || Mutant::TrustsABlankSegment.is_on();
        let blank = match blank {
            Some((preamble, _)) if !is_vouched_for => {
                leftovers.push((&preamble).into());
                None
            }
            blank => blank,
        };
        let span = spans::make_room(&self.observer, asked);
        let made = self.make(asked, &mut leftovers, blank);
        drop(span);
        let mut core = self.core.lock();
        let room = &mut core.room;
        room.is_making = false;
        room.leftovers.extend(leftovers);
        match made {
            Ok(ready) => {
                room.full = None;
                room.is_put_off = false;
                room.next_size = ready.preamble.size.saturating_mul(2).min(self.options.segment_bytes_max);
                room.ready = Some(ready);
                Making::Made
            }
            Err(error) => {
                let is_news = (asked != 0 || room.asked != 0) && room.full.replace(error.clone()).is_none();
                room.is_put_off = true;
                drop(core);
                if is_news {
                    spans::full(&self.observer, &error);
                }
                Making::Failed(error)
            }
        }
    }

    /// Why there was no room when it was last tried.
    pub(crate) fn full(&self) -> Option<Error> {
        self.core.lock().room.full.clone()
    }

    fn make(
        &self,
        asked: usize,
        leftovers: &mut Vec<FileNumber>,
        blank: Option<(Preamble, Arc<dyn File>)>,
    ) -> Result<Ready, Error> {
        let storage = &*self.storage;
        // Remains of a crash take room that may be wanted.
        remove_files(storage, leftovers).map_err(|error| self.latch.trip("syncing the log's directory", &error))?;
        let needed =
            u32::try_from(size_for(asked)).map_err(|_| Error::new(ErrorKind::TooLarge, "a batch fits no segment"))?;
        if let Some((preamble, file)) = blank {
            if needed <= preamble.size && is_blank_behind_preamble(&*file, preamble.size) {
                // Synced by another opening, and once more: it costs nothing.
                let synced = file.sync().and_then(|()| storage.sync_dir(LOG_DIR));
                synced.map_err(|error| self.latch.trip("syncing a segment that was ready", &error))?;
                return self.mapped(preamble, file);
            }
            leftovers.push((&preamble).into());
        }
        let (sequence, wanted) = {
            let mut core = self.core.lock();
            let sequence = core.room.next_sequence;
            let next = sequence.checked_add(1);
            core.room.next_sequence =
                next.ok_or_else(|| Error::new(ErrorKind::TooLarge, "no number is left for another segment"))?;
            (sequence, core.room.next_size)
        };
        let mut size = wanted.max(needed);
        loop {
            let preamble = new_preamble(storage, self.store, sequence, size)?;
            match make_ready(storage, &preamble) {
                Ok(file) => return self.mapped(preamble, file),
                Err(MakeFailure::Sync(error)) => return Err(self.latch.trip("syncing a new segment", &error)),
                Err(MakeFailure::Refused(error)) if Mutant::TakesAFullDiskForAFailure.is_on() => {
                    return Err(self.latch.trip("making room", &error));
                }
                Err(MakeFailure::Refused(error)) => {
                    let smaller = (size / 2).max(needed).max(SEGMENT_BYTES_MIN);
                    if crate::error::is_no_room(&error) && smaller < size {
                        size = smaller;
                        continue;
                    }
                    let act = format!("making room for {asked} bytes in a new segment of {size} bytes");
                    return Err(Error::io(act, error));
                }
            }
        }
    }

    fn mapped(&self, preamble: Preamble, file: Arc<dyn File>) -> Result<Ready, Error> {
        let map = match self.options.read_mode {
            crate::options::ReadMode::Mapped => {
                file.map().map_err(|error| Error::io("mapping a new segment", error))?
            }
            crate::options::ReadMode::Positioned => None,
        };
        Ok(Ready { preamble, file, map })
    }
}

/// Whether nothing stands in a segment that was found ready. Opening a large log does not look.
fn is_blank_behind_preamble(file: &dyn File, size: u32) -> bool {
    const PIECE: usize = 1024 * 1024;
    let mut piece = vec![0; PIECE.min(size as usize)];
    let mut offset = PREAMBLE_LEN as u64;
    while offset < size.into() {
        let len = PIECE.min((u64::from(size) - offset) as usize);
        let read = file.read_at(&mut piece[..len], offset);
        if !read.is_ok_and(|read| read == len) || !is_blank(&piece[..len]) {
            return false;
        }
        offset += len as u64;
    }
    true
}

/// The size of the first segment an opening makes: small again after an unclean end, else twice the last.
pub(super) fn first_size(last: Option<u32>, is_clean: bool, max: u32) -> u32 {
    match last {
        Some(size) if is_clean => size.saturating_mul(2).clamp(SEGMENT_BYTES_MIN, max),
        _ => SEGMENT_BYTES_MIN,
    }
}

/// Whether a store of this directory can be told apart from others: the id that a new one is given.
pub(super) fn new_store_id(storage: &dyn Storage) -> Result<[u8; 16], Error> {
    let mut id = [0; 16];
    storage.random(&mut id).map_err(|error| Error::io("making the id of a new store", error))?;
    Ok(id)
}
