//! Making a store of a backup: all of it, or what it was at a position or a time.

use super::manifest::{Held, Manifest, no_backup};
use super::piece::{last_position, read_held, scanned};
use crate::error::{Error, ErrorKind};
use crate::format::{BatchView, Fact, Kind, Loss, PREAMBLE_LEN, Preamble, Range};
use crate::log::{Tally, start_segment};
use crate::observe::{label_of, spans};
use crate::options::Options;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, LOG_DIR, batches_end, segment_path};
use crate::storage::{File, RealDisk, Storage};
use crate::store::{EventStore, StoreParts};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::io;
use std::path::Path;

/// Up to where a backup is restored: down to the last whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// All of it.
    Everything,
    /// Up to an event, included.
    Position(Position),
    /// Up to the last event to which the store gave this time or an earlier one. What a compaction removed has the time of what
    /// comes behind it.
    Time(Timestamp),
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct RestoreReport {
    pub(super) position: Position,
    pub(super) segments: u64,
    pub(super) bytes: u64,
}

/// Makes a store of a backup in a directory that is absent or empty. The store keeps its id; what is appended to it has a
/// higher epoch, so that nothing of it is taken for what came later in the store that was backed up.
///
/// `Ok` guarantees that everything up to where it was asked for is there, verified and synced, and that the store is closed.
///
/// # Errors
///
/// * [`StoreNotFound`](ErrorKind::StoreNotFound): the source holds no backup.
/// * [`InvalidArgument`](ErrorKind::InvalidArgument): the destination is not empty, or the backup does not reach the position
///   that is asked for. Nothing was done.
/// * [`Damaged`](ErrorKind::Damaged): something of the backup is not what was written. What stands in the destination is not
///   complete, and does not open.
/// * [`Full`](ErrorKind::Full), [`Io`](ErrorKind::Io): the same.
pub fn restore(source: impl AsRef<Path>, destination: impl AsRef<Path>, until: Until) -> Result<RestoreReport, Error> {
    StoreParts::check_free(destination.as_ref())?;
    restore_on(
        &RealDisk::new(source.as_ref()),
        &(Arc::new(RealDisk::new(destination.as_ref())) as Arc<dyn Storage>),
        until,
    )
}

/// The same from any storage to any that is empty.
pub(crate) fn restore_on(from: &dyn Storage, to: &Arc<dyn Storage>, until: Until) -> Result<RestoreReport, Error> {
    let manifest = Manifest::read(from)?.ok_or_else(|| no_backup(from))?;
    let limit = Limit::find(from, &manifest, until)?;
    let span = spans::restore(&label_of(&to.describe()));
    let act = |error| Error::io(format!("restoring to {}", to.describe()), error);
    to.create_dir(LOG_DIR).map_err(act)?;
    let mut report = RestoreReport { position: Position::BEGINNING, segments: 0, bytes: 0 };
    // IMPORTANT: written when all else is there. Without it the first segment does not verify, so that what broke off is no
    // shorter store.
    let mut first: Option<(Arc<dyn File>, Vec<u8>)> = None;
    let (mut last_rewritten, mut last_time) = (None, Timestamp::from_nanos(i64::MIN));
    for held in &manifest.segments {
        let bytes = read_held(from, held)?;
        let preamble = legible(held, &bytes)?;
        let end = limit.end_of(&preamble, held, &bytes)?;
        let bytes = &bytes[..end as usize];
        let file = to.create(&segment_path(&preamble)).map_err(act)?;
        let head = if first.is_none() { PREAMBLE_LEN } else { 0 };
        fill(&*file, &bytes[head..], head as u64, preamble.size.into()).map_err(act)?;
        first.get_or_insert_with(|| (file.clone(), bytes[..PREAMBLE_LEN].to_vec()));
        report.segments += 1;
        report.bytes += u64::from(end);
        let last = last_position(&scanned(&preamble, 0, bytes), FIRST_BATCH, end)?;
        report.position = last.unwrap_or(report.position);
        last_time = batches(&preamble, bytes).last().map_or(last_time, |batch| batch.header.time);
        if preamble.rewritten.is_some() {
            let footer = tally(&preamble, bytes).footer(end, report.position).encode(preamble.salt());
            file.write_at(&footer, batches_end(preamble.size).into()).and_then(|()| file.sync()).map_err(act)?;
        }
        last_rewritten = preamble.rewritten.is_some().then_some(Place { segment: preamble.sequence, offset: end });
        if end < held.end {
            break;
        }
    }
    if let Some(end) = last_rewritten {
        // No segment that compaction wrote is the last of a log: another one begins behind it. Where nothing was durable
        // there but that it begins, the backup does not hold it.
        let next = report.position.next().unwrap_or(report.position);
        start_segment(&**to, (manifest.store, manifest.epoch), end, (next, last_time))
            .map_err(|error| Error::with_source(ErrorKind::Io, "restoring: beginning a segment", error))?;
    }
    to.sync_dir(LOG_DIR).map_err(act)?;
    if let Some((file, preamble)) = first {
        file.write_at(&preamble, 0).and_then(|()| file.sync()).map_err(act)?;
    }
    span.record("segments", report.segments);
    span.record("bytes", report.bytes);
    settle(to, report.position)?;
    Ok(report)
}

/// Where what is restored ends.
pub(super) enum Limit {
    /// With the backup.
    End,
    /// Before the first batch that holds a position behind this one.
    Position(Position),
    /// Before this batch.
    Batch(Place),
}

impl Limit {
    /// Fails where a backup ends before a position that is asked for.
    pub(super) fn find(from: &dyn Storage, manifest: &Manifest, until: Until) -> Result<Limit, Error> {
        match until {
            Until::Everything => Ok(Limit::End),
            Until::Position(position) if manifest.position < position => {
                let act = format!("restoring up to position {position}: the backup ends with {}", manifest.position);
                Err(Error::new(ErrorKind::InvalidArgument, act))
            }
            Until::Position(position) => Ok(Limit::Position(position)),
            Until::Time(time) => Ok(first_behind(from, manifest, time)?.map_or(Limit::End, Limit::Batch)),
        }
    }

    /// Where a segment is cut off, or ends.
    pub(super) fn end_of(&self, preamble: &Preamble, held: &Held, bytes: &[u8]) -> Result<u32, Error> {
        match self {
            Limit::Position(position) => cut(preamble, held, bytes, *position),
            Limit::Batch(place) if place.segment == preamble.sequence => Ok(place.offset),
            Limit::End | Limit::Batch(_) => Ok(held.end),
        }
    }
}

/// The batches of a segment, all of which verify.
fn batches<'a>(preamble: &Preamble, bytes: &'a [u8]) -> impl Iterator<Item = BatchView<'a>> {
    let scanned = scanned(preamble, 0, bytes);
    let mut at = FIRST_BATCH;
    std::iter::from_fn(move || {
        let Found::Batch(batch) = scanned.at(at) else { return None };
        at = batch.end();
        Some(batch)
    })
}

/// What a segment holds that compaction wrote.
fn tally(preamble: &Preamble, bytes: &[u8]) -> Tally {
    let mut tally = Tally::default();
    for batch in batches(preamble, bytes) {
        let events = batch.records().filter(|record| record.header.kind == Kind::Event).count() as u64;
        tally.add(batch.bytes, events, 1);
    }
    tally
}

/// Opens what was restored, so that its end is proven, and closes it.
fn settle(to: &Arc<dyn Storage>, position: Position) -> Result<(), Error> {
    let options = Options::default().verify_at_open_max(u64::MAX);
    let store: EventStore = options.open_on(to.clone())?;
    let head = store.head()?;
    store.close()?;
    if head == position {
        return Ok(());
    }
    let act = format!("restoring: the store ends with position {head}, and the backup with {position}");
    Err(Error::new(ErrorKind::Damaged, act))
}

pub(super) fn legible(held: &Held, bytes: &[u8]) -> Result<Preamble, Error> {
    let preamble = Preamble::decode(bytes).ok();
    preamble.filter(|preamble| held.is_of(preamble) && held.end <= preamble.size).ok_or_else(|| {
        Error::new(ErrorKind::Damaged, format!("reading {} of a backup: its preamble is not its own", held.path()))
    })
}

/// Where a segment is cut off: before the first batch that holds a position behind the last.
fn cut(preamble: &Preamble, held: &Held, bytes: &[u8], last: Position) -> Result<u32, Error> {
    let goes_too_far = |batch: &BatchView<'_>| {
        batch.records().any(|record| match record.header.kind {
            Kind::Removed => Range::decode_removed(record.body()).is_ok_and(|range| last < range.last),
            Kind::Lost => matches!(Loss::decode(record.body()), Ok(Loss::Found(range)) if last < range.last),
            kind => kind == Kind::Event && last < record.header.position,
        })
    };
    let batch = whole_batches(preamble, held, bytes)?.into_iter().find(goes_too_far);
    Ok(batch.map_or(held.end, |batch| batch.offset))
}

/// The first batch behind a time: it comes behind the last event of this time or an earlier one, and what was said by then.
///
/// Events never go back in time, nor do their keys and what tells that they were removed; what else is said has the time of a
/// clock that may: nothing is cut off before an event.
fn first_behind(from: &dyn Storage, manifest: &Manifest, time: Timestamp) -> Result<Option<Place>, Error> {
    let mut late = None;
    for held in &manifest.segments {
        let bytes = read_held(from, held)?;
        let preamble = legible(held, &bytes)?;
        for batch in whole_batches(&preamble, held, &bytes)? {
            let here = Place { segment: preamble.sequence, offset: batch.offset };
            for record in batch.records() {
                let fact = Fact::decode(&record).ok().flatten();
                match record.header.kind {
                    Kind::Event | Kind::Key | Kind::Removed if time < record.header.time => {
                        return Ok(late.or(Some(here)));
                    }
                    Kind::Event | Kind::Key | Kind::Removed => late = None,
                    _ if fact.is_some_and(|fact| time < fact.time()) => late = late.or(Some(here)),
                    _ => {}
                }
            }
        }
    }
    Ok(late)
}

/// The batches of a segment up to where it is held.
fn whole_batches<'a>(preamble: &Preamble, held: &Held, bytes: &'a [u8]) -> Result<Vec<BatchView<'a>>, Error> {
    let scanned = scanned(preamble, 0, bytes);
    let mut batches = Vec::new();
    let mut at = FIRST_BATCH;
    while at < held.end {
        let Found::Batch(batch) = scanned.at(at) else {
            let act = format!("reading byte {at} of {} of a backup: the batch does not verify", held.path());
            return Err(Error::new(ErrorKind::Damaged, act));
        };
        at = batch.end();
        batches.push(batch);
    }
    Ok(batches)
}

/// Writes bytes behind an offset, and zeros up to the size.
fn fill(file: &dyn File, bytes: &[u8], from: u64, size: u64) -> io::Result<()> {
    const PIECE: usize = 64 * 1024;
    let mut at = from;
    for piece in bytes.chunks(PIECE) {
        file.write_at(piece, at)?;
        at += piece.len() as u64;
    }
    let zeros = [0; PIECE];
    while at < size {
        let piece = (size - at).min(PIECE as u64);
        file.write_at(&zeros[..piece as usize], at)?;
        at += piece;
    }
    if from != 0 {
        file.write_at(&zeros[..from as usize], 0)?;
    }
    file.sync()
}

impl RestoreReport {
    /// The last position in the store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many segments were restored.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// How many bytes of the log were restored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
