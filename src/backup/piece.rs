//! The bytes of a segment, piece by piece: each has a digest, so that what is held further is not read from its beginning.

use super::manifest::{Held, PIECE};
use crate::error::{Error, ErrorKind};
use crate::format::{Kind, Loss, Preamble, Range, RecordHeader};
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment};
use crate::storage::{Access, Storage};
use xxhash_rust::xxh3::xxh3_128;

/// The digests of the pieces that bytes come to.
pub(super) fn digests(bytes: &[u8]) -> impl Iterator<Item = u128> {
    bytes.chunks(PIECE).map(xxh3_128)
}

/// The bytes of a segment that a backup holds, verified.
pub(super) fn read_held(storage: &dyn Storage, held: &Held) -> Result<Vec<u8>, Error> {
    let path = held.path();
    let act = |error| Error::io(format!("reading {path} of the backup in {}", storage.describe()), error);
    let file = storage.open(&path, Access::Read).map_err(act)?;
    let mut bytes = vec![0; held.end as usize];
    let read = file.read_at(&mut bytes, 0).map_err(act)?;
    bytes.truncate(read);
    let found: Vec<u128> = digests(&bytes).collect();
    let is_bad = (0..held.digests.len()).find(|piece| found.get(*piece) != held.digests.get(*piece));
    let count = bytes.len().div_ceil(PIECE);
    match is_bad.or((count != held.digests.len() || read != held.end as usize).then_some(count.saturating_sub(1))) {
        None => Ok(bytes),
        Some(piece) => {
            let from = piece * PIECE;
            let to = (from + PIECE).min(held.end as usize);
            let act = format!("reading {path} of a backup: its bytes {from} to {to} are not those that were written");
            Err(Error::new(ErrorKind::Damaged, act))
        }
    }
}

/// The last position that batches of a segment speak of, from one offset on to an end where one ends; `None` where they speak
/// of none.
///
/// # Errors
///
/// `Damaged`: not all of them verify.
pub(super) fn last_position(scanned: &ScannedSegment<'_>, from: u32, end: u32) -> Result<Option<Position>, Error> {
    let mut at = from;
    let mut last = None;
    while at < end {
        let Found::Batch(batch) = scanned.at(at) else {
            let place = Place { segment: scanned.sequence, offset: at };
            let act = format!("copying the batch at {place}: its bytes do not verify");
            return Err(Error::new(ErrorKind::Damaged, act));
        };
        for record in batch.records() {
            last = match record.header.kind {
                Kind::Event => Some(record.header.position),
                Kind::Removed => Range::decode_removed(record.body()).ok().map(|range| range.last).or(last),
                Kind::Lost => match Loss::decode(record.body()) {
                    Ok(Loss::Found(range)) => Some(range.last),
                    _ => last,
                },
                _ => last,
            };
        }
        at = batch.end();
    }
    Ok(last)
}

/// The header of the last event in a segment that is held.
pub(super) fn last_event(held: &Held, bytes: &[u8]) -> Result<Option<RecordHeader>, Error> {
    let Ok(preamble) = Preamble::decode(bytes) else { return Ok(None) };
    let scanned = scanned(&preamble, 0, bytes);
    last_position(&scanned, FIRST_BATCH, held.end)?;
    let mut at = FIRST_BATCH;
    let mut last = None;
    while let Found::Batch(batch) = scanned.at(at)
        && at < held.end
    {
        let events = batch.records().filter(|record| record.header.kind == Kind::Event);
        last = events.map(|record| record.header).last().or(last);
        at = batch.end();
    }
    Ok(last)
}

/// The bytes of a segment from an offset on, to be walked through.
pub(super) fn scanned<'a>(preamble: &Preamble, base: u32, bytes: &'a [u8]) -> ScannedSegment<'a> {
    ScannedSegment { bytes, base, salt: preamble.salt(), sequence: preamble.sequence, size: preamble.size }
}
