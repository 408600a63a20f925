//! Copying what verifies behind the last witness into a new segment, before anything is built on it.
//!
//! After a failed sync the page cache shows bytes the disk does not have, and rewriting them in place can lose them for
//! good. So they are read, written into another file and synced there. Only then is the start record written and synced:
//! until it is there, the old file counts whole and the new one is unstarted. It can be interrupted any number of times.

use super::no_version;
use super::recovery::{Tail, Tally};
use crate::error::is_no_room;
use crate::format::{BatchBuffer, BatchView, FOOTER_LEN, Kind, Preamble, START_BATCH_LEN, Stamp, Start};
use crate::mutant::Mutant;
use crate::options::SEGMENT_BYTES_MIN;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, FileNumber, MakeFailure, make_ready, segment_path};
use crate::storage::{File, Storage};
use crate::sync::Arc;
use std::io;

/// A segment that was started with copied batches in it.
pub(crate) struct Copy {
    pub(crate) file: Arc<dyn File>,
    pub(crate) end: u32,
    pub(crate) last_checksum: u32,
    pub(crate) tally: Tally,
}

/// What the new segment goes on from.
#[derive(Clone, Copy)]
pub(crate) struct Begin {
    pub(crate) epoch: u32,
    pub(crate) epoch_bits: u64,
    pub(crate) previous_end: Place,
    pub(crate) previous_checksum: u32,
}

/// The size of a segment that takes `bytes` of batches behind its start record.
pub(crate) fn size_for(bytes: usize) -> usize {
    let reserve = 2 * crate::format::CONTROL_BATCH_LEN + FOOTER_LEN;
    (FIRST_BATCH as usize + START_BATCH_LEN + bytes + reserve).next_multiple_of(4096)
}

/// The offsets at which the batches of a tail will stand in the new segment.
pub(crate) fn new_offsets(tail: &Tail) -> impl Iterator<Item = u32> {
    let mut offset = FIRST_BATCH + START_BATCH_LEN as u32;
    tail.batches().map(move |batch| {
        let here = offset;
        offset += batch.bytes.len() as u32;
        here
    })
}

/// Makes a segment, copies the tail into it, and starts it.
pub(crate) fn copy_tail(
    storage: &dyn Storage,
    preamble: &Preamble,
    tail: &Tail,
    begin: Begin,
) -> Result<Copy, MakeFailure> {
    let file = make_ready(storage, preamble)?;
    let salt = preamble.salt();
    let mut bytes = Vec::with_capacity(START_BATCH_LEN + tail.len());
    let mut last_checksum = start_batch(begin, tail.before.next_position, tail.before.last_time).seal(
        &start_stamp(begin, tail.before.next_position, tail.before.last_time),
        salt,
        FIRST_BATCH,
        &mut bytes,
    );
    let mut events = 0;
    let mut batches = 1;
    for batch in tail.batches() {
        let offset = FIRST_BATCH + bytes.len() as u32;
        last_checksum = copy_batch(&batch, last_checksum, salt, offset, &mut bytes);
        events += batch.records().filter(|record| record.header.kind == Kind::Event).count() as u64;
        batches += 1;
    }
    if Mutant::StartsBeforeTheCopyIsSynced.is_on() {
        file.write_at(&bytes[..START_BATCH_LEN], u64::from(FIRST_BATCH)).map_err(MakeFailure::Sync)?;
    }
    let write = |bytes: &[u8], offset: u32| file.write_at(bytes, u64::from(offset)).and_then(|()| file.sync());
    if let Err(error) = write(&bytes[START_BATCH_LEN..], FIRST_BATCH + START_BATCH_LEN as u32) {
        // Nothing counts yet. Some file systems find out only now that they have no room.
        let _ = storage.remove(&segment_path(preamble.sequence));
        return Err(if is_no_room(&error) { MakeFailure::Refused(error) } else { MakeFailure::Sync(error) });
    }
    // IMPORTANT: the copies are durable before the start record is handed to the system.
    write(&bytes[..START_BATCH_LEN], FIRST_BATCH).map_err(MakeFailure::Sync)?;
    let mut tally = Tally::default();
    tally.add(&bytes, events, batches);
    Ok(Copy { file, end: FIRST_BATCH + bytes.len() as u32, last_checksum, tally })
}

/// Seals a verified batch for another place. Positions, epochs, durable ends and bodies stay as they were.
pub(crate) fn copy_batch(
    batch: &BatchView<'_>,
    previous: u32,
    salt: crate::format::Salt,
    offset: u32,
    out: &mut Vec<u8>,
) -> u32 {
    let stamp = Stamp {
        epoch: batch.header.epoch,
        epoch_bits: 0,
        previous,
        durable: batch.header.durable,
        first_position: batch.header.first_position,
        time: batch.header.time,
    };
    BatchBuffer::copy_of(batch).seal(&stamp, salt, offset, out)
}

/// Begins a segment behind the end of another one, with nothing in it: it is the next number, and durable.
pub(crate) fn start_segment(
    storage: &dyn Storage,
    (store, epoch): ([u8; 16], u32),
    previous_end: Place,
    (first_position, time): (Position, crate::time::Timestamp),
) -> io::Result<()> {
    let mut bits = [0; 8];
    storage.random(&mut bits)?;
    let begin = Begin { epoch, epoch_bits: u64::from_le_bytes(bits), previous_end, previous_checksum: 0 };
    let preamble = super::new_preamble(storage, store, previous_end.segment + 1, SEGMENT_BYTES_MIN);
    let preamble = preamble.map_err(io::Error::other)?;
    let file = make_ready(storage, &preamble).map_err(|failure| match failure {
        MakeFailure::Refused(error) | MakeFailure::Sync(error) => error,
    })?;
    let mut bytes = Vec::new();
    let stamp = start_stamp(begin, first_position, time);
    start_batch(begin, first_position, time).seal(&stamp, preamble.salt(), FIRST_BATCH, &mut bytes);
    file.write_at(&bytes, FIRST_BATCH.into()).and_then(|()| file.sync())
}

/// The batch of a start record, placed and ready to be sealed.
pub(crate) fn start_batch(begin: Begin, first_position: Position, time: crate::time::Timestamp) -> BatchBuffer {
    let start = Start { first_position, previous_end: begin.previous_end, previous_checksum: begin.previous_checksum };
    let mut batch = BatchBuffer::new();
    batch.push_control(Kind::Start, &start.encode());
    batch.place(&start_stamp(begin, first_position, time), no_version, &[]);
    batch
}

pub(crate) fn start_stamp(begin: Begin, first_position: Position, time: crate::time::Timestamp) -> Stamp {
    Stamp {
        epoch: begin.epoch,
        epoch_bits: begin.epoch_bits,
        previous: 0,
        // Everything before a segment is durable before its start record is written.
        durable: begin.previous_end,
        first_position,
        time,
    }
}

/// Removes files that do not count, and makes that durable. A file that cannot be removed stays and is harmless.
pub(crate) fn remove_files(storage: &dyn Storage, numbers: &mut Vec<FileNumber>) -> io::Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    for number in numbers.drain(..) {
        let _ = storage.remove(&segment_path(number));
    }
    storage.sync_dir(crate::segment::LOG_DIR)
}
