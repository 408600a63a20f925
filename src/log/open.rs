//! Opening a log, for writing or for reading only.

use super::bell::Bell;
use super::copy::{Begin, copy_tail, new_offsets, size_for};
use super::live::{Ends, LiveFile, find_live, read_live};
use super::recovery::{Footing, OnDamage, Reach, Recovered, Visitor, recover};
use super::room::{Room, first_size, new_store_id};
use super::survey::{Survey, Witness};
use super::{Active, Core, Lead, Log, Publish, RecoveryReport, new_preamble};
use crate::error::{Error, ErrorKind, is_no_room};
use crate::format::{Fault, Live, LiveState, Range};
use crate::mutant::Mutant;
use crate::observe::Observer;
use crate::options::{Options, SEGMENT_BYTES_MIN};
use crate::position::{Place, Position};
use crate::segment::{FileNumber, LOG_DIR, MakeFailure, Mark, Segment, segment_name};
use crate::storage::{Access, Latch, LatchedFile, Storage};
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

/// What opening gives besides the log.
pub(crate) struct Opened<V> {
    /// Whoever was told what the log holds.
    pub(crate) visitor: V,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) head: Position,
    pub(crate) ends: Ends,
    pub(crate) report: RecoveryReport,
    pub(crate) store: [u8; 16],
    pub(crate) sequence: super::Sequence,
    pub(crate) disk_bytes: u64,
    pub(crate) log_bytes: u64,
    /// There is a tail that nothing proves, and there was no room to copy it: nothing may be built on it.
    pub(crate) is_unproven: bool,
    /// What `live` said before the log was read: a reader that follows it looks for news since then.
    pub(crate) seen: Option<Live>,
}

impl<V> Opened<V> {
    fn new(visitor: V, recovered: &Recovered, store: [u8; 16]) -> Opened<V> {
        Opened {
            visitor,
            segments: recovered.segments.clone(),
            head: recovered.sequence.last_position(),
            ends: recovered.ends,
            report: recovered.report.clone(),
            store,
            sequence: recovered.sequence,
            disk_bytes: recovered.disk_bytes,
            log_bytes: recovered.log_bytes,
            is_unproven: recovered.is_unproven,
            seen: None,
        }
    }
}

/// What `live` says of a writer that is at work at this moment, if there is one.
pub(crate) fn living_writer(storage: &dyn Storage) -> Option<Live> {
    let live = read_live(storage)?;
    let is_of_now = live.state == LiveState::Open && live.boot == storage.boot_id() && live.boot != [0; 16];
    (is_of_now && storage.is_locked().unwrap_or(false)).then_some(live)
}

/// Whether the writer that a reader went by is still the one at work. For a moment after a writer takes the lock, `live`
/// still speaks for the one before it, which may have died without saying how far it had come.
pub(crate) fn is_same_writer(storage: &dyn Storage, seen: Option<&Live>) -> bool {
    let bits = |live: &Live| (live.store, live.epoch_bits);
    living_writer(storage).as_ref().map(bits) == seen.map(bits)
}

/// Opens a log for reading only, and changes nothing. Beside a living writer it reaches to what is visible there,
/// otherwise to what a recovery would accept. Damage is passed over and reported.
pub(crate) fn open_for_reading<V: Visitor>(
    storage: &dyn Storage,
    options: &Options,
    witness: Option<&Witness>,
    fresh: impl Fn(Option<[u8; 16]>) -> V,
) -> Result<Opened<V>, Error> {
    read_beside(storage, options, (living_writer(storage), witness), fresh)
}

/// The same beside this writer, or for whoever holds the lock and knows that there is none.
pub(crate) fn read_beside<V: Visitor>(
    storage: &dyn Storage,
    options: &Options,
    (writer, witness): (Option<Live>, Option<&Witness>),
    fresh: impl Fn(Option<[u8; 16]>) -> V,
) -> Result<Opened<V>, Error> {
    let live = match writer {
        Some(live) => Some(live),
        None => find_live(storage)?,
    };
    let survey = Survey::take(storage, live, witness, (Access::Read, u64::MAX))?;
    let reach = match writer.filter(|_| survey.live.is_some()) {
        // Where nothing is visible yet, nothing is read, whatever is on its way in.
        Some(live) => Reach::Visible(live.visible_end),
        None => Reach::Verified,
    };
    let mut visitor = fresh(survey.store);
    let recovered = recover(&survey, options.read_mode, OnDamage::PassOver, reach, &mut visitor)?;
    let store = recovered.store.or(survey.live.map(|live| live.store)).unwrap_or_default();
    let mut opened = Opened::new(visitor, &recovered, store);
    opened.seen = live;
    if writer.is_some() {
        opened.report.close_state = super::CloseState::Open;
    }
    Ok(opened)
}

/// Opens a log for writing. The caller holds the lock.
pub(crate) fn open_for_writing<V: Visitor>(
    storage: &Arc<dyn Storage>,
    (options, observer): (&Options, &Arc<Observer>),
    witness: Option<&Witness>,
    fresh: impl Fn(Option<[u8; 16]>) -> V,
    publisher: impl FnOnce(Opened<V>) -> Arc<dyn Publish>,
) -> Result<Log, Error> {
    let (live, found) = LiveFile::mark_opening(&**storage)?;
    let opened = prepare(storage, options, (found, witness), &fresh);
    match opened {
        Ok((visitor, recovered, begun)) => {
            let was_closed = found.is_some_and(|found| found.state == LiveState::Closed);
            assemble(storage, (options, observer), (live, was_closed), (visitor, recovered, begun), publisher)
        }
        Err(error) => {
            live.unmark(found);
            Err(error)
        }
    }
}

/// The epoch that copying a tail began.
type Begun = Option<u64>;

fn prepare<V: Visitor>(
    storage: &Arc<dyn Storage>,
    options: &Options,
    (live, witness): (Option<Live>, Option<&Witness>),
    fresh: &impl Fn(Option<[u8; 16]>) -> V,
) -> Result<(V, Recovered, Begun), Error> {
    storage.create_dir(LOG_DIR).map_err(|error| Error::io("creating the directory of the log", error))?;
    let survey = Survey::take(&**storage, live, witness, (Access::ReadWrite, options.verify_at_open_max))?;
    let mut visitor = fresh(survey.store);
    let reach = if Mutant::TrustsTheOldTail.is_on() { Reach::Verified } else { Reach::Proven };
    let mut recovered = recover(&survey, options.read_mode, OnDamage::Stop, reach, &mut visitor)?;
    recovered.check_clock(storage.now());
    recovered.sequence.epoch = recovered.sequence.epoch.max(options.epoch_floor);
    if recovered.sequence.epoch == u32::MAX {
        return Err(Error::new(ErrorKind::TooLarge, "no number is left for another epoch"));
    }
    match copy(storage, options, &mut recovered, &mut visitor) {
        Ok(begun) => Ok((visitor, recovered, begun)),
        Err(CopyFailure::NoRoom) => {
            let events = recovered.report.unproven_events;
            let mut visitor = fresh(survey.store);
            let mut recovered = recover(&survey, options.read_mode, OnDamage::Stop, Reach::Verified, &mut visitor)?;
            recovered.report.unproven_events = events;
            recovered.is_unproven = true;
            // Those were removed before the attempt, for the room they took.
            recovered.leftovers.clear();
            recovered.blank = None;
            Ok((visitor, recovered, None))
        }
        Err(CopyFailure::Other(error)) => Err(error),
    }
}

enum CopyFailure {
    NoRoom,
    Other(Error),
}

impl From<Error> for CopyFailure {
    fn from(error: Error) -> CopyFailure {
        CopyFailure::Other(error)
    }
}

/// Copies the tail, if there is one, and stands behind it.
fn copy(
    storage: &Arc<dyn Storage>,
    options: &Options,
    recovered: &mut Recovered,
    visitor: &mut dyn Visitor,
) -> Result<Begun, CopyFailure> {
    let Some(tail) = recovered.tail.take() else { return Ok(None) };
    let Footing::Due { previous_end, previous_checksum } = recovered.footing else { return Ok(None) };
    let sequence = recovered.next_sequence;
    let mut next = tail.before;
    for (batch, offset) in tail.batches().zip(new_offsets(&tail)) {
        let told = visitor.batch(Place { segment: sequence, offset }, &batch);
        told.map_err(|fault: Fault| senseless(tail.sequence, batch.offset, fault))?;
        next.next_position = position_behind(&batch, next.next_position);
        next.facts_epoch = batch.header.epoch;
        next.last_time = batch.header.time;
    }
    let size = size_for(tail.len()).max(SEGMENT_BYTES_MIN as usize);
    let size = u32::try_from(size).map_err(|_| Error::new(ErrorKind::TooLarge, "a tail fits no segment"))?;
    let preamble = new_preamble(&**storage, recovered.store.unwrap_or_default(), sequence, size)?;
    let mut bits = [0; 8];
    storage.random(&mut bits).map_err(|error| Error::io("making random bits for an epoch", error))?;
    let epoch_bits = u64::from_le_bytes(bits);
    let begin = Begin { epoch: recovered.sequence.epoch + 1, epoch_bits, previous_end, previous_checksum };
    // What a crash left unstarted takes room that the copy may want, and nobody speaks of it.
    let mut unstarted = std::mem::take(&mut recovered.leftovers);
    unstarted.extend(recovered.blank.take().map(|(preamble, _)| FileNumber::from(&preamble)));
    let removed = super::copy::remove_files(&**storage, &mut unstarted);
    removed.map_err(|error| Error::io("syncing the directory of the log", error))?;
    if Mutant::RemovesWhatIsStillNeeded.is_on() {
        let _ = super::copy::remove_files(&**storage, &mut recovered.passed_by);
    }
    let copied = match copy_tail(&**storage, &preamble, &tail, begin) {
        Ok(copied) => copied,
        Err(MakeFailure::Refused(error)) if is_no_room(&error) => return Err(CopyFailure::NoRoom),
        Err(MakeFailure::Refused(error) | MakeFailure::Sync(error)) => {
            return Err(Error::with_source(ErrorKind::Io, "copying what a crash left unproven", error).into());
        }
    };
    let segment = Segment::new(preamble, tail.before.next_position, copied.file, options.read_mode, copied.end)
        .map_err(|error| Error::io("mapping a new segment", error))?;
    segment.mark(tail.before.mark(crate::segment::FIRST_BATCH));
    let mut time = tail.before.last_time;
    for (batch, offset) in tail.batches().zip(new_offsets(&tail)) {
        segment.mark(Mark { position: batch.header.first_position, offset, time });
        time = batch.header.time;
    }
    let end = Place { segment: sequence, offset: copied.end };
    recovered.segments.push(Arc::new(segment));
    recovered.sequence = super::Sequence { epoch: begin.epoch, ..next };
    let last = next.last_position();
    recovered.ends = Ends { durable: end, visible: end, visible_position: last, durable_position: last };
    recovered.footing = Footing::Going;
    recovered.last_checksum = copied.last_checksum;
    recovered.tally = Some(copied.tally);
    recovered.log_bytes += u64::from(copied.end);
    recovered.disk_bytes += u64::from(size);
    recovered.next_sequence =
        sequence.checked_add(1).ok_or_else(|| Error::new(ErrorKind::TooLarge, "no number is left"))?;
    recovered.report.copied_events = tail.events;
    recovered.report.copied_to = Some(sequence);
    recovered.report.events += tail.events;
    recovered.report.segments = recovered.segments.len() as u32;
    recovered.report.unproven_events = 0;
    // The new start record is synced: what the chain does not name any more can go.
    let mut gone = std::mem::take(&mut recovered.passed_by);
    super::copy::remove_files(&**storage, &mut gone)
        .map_err(|error| Error::io("syncing the directory of the log", error))?;
    Ok(Some(epoch_bits))
}

fn senseless(segment: u32, offset: u32, fault: Fault) -> Error {
    let place = Place { segment, offset };
    match fault {
        Fault::Newer => {
            Error::new(ErrorKind::TooNew, format!("opening the log: the batch at {place} is of a newer version"))
        }
        _ => Error::new(
            ErrorKind::Damaged,
            format!("opening the log: the batch at {place} does not go on from the one before it"),
        ),
    }
}

/// The next position behind a batch that was verified to go on from `next`.
pub(super) fn position_behind(batch: &crate::format::BatchView<'_>, next: Position) -> Position {
    use crate::format::{Kind, Loss};
    batch.records().fold(next, |next, record| {
        let passed: Option<Range> = match record.header.kind {
            Kind::Event => Some(Range { first: next, last: next }),
            Kind::Removed => Range::decode_removed(record.body()).ok(),
            Kind::Lost => match Loss::decode(record.body()) {
                Ok(Loss::Found(range)) => Some(range),
                _ => None,
            },
            _ => None,
        };
        passed.and_then(|range| range.last.next()).unwrap_or(next)
    })
}

fn assemble<V: Visitor>(
    storage: &Arc<dyn Storage>,
    (options, observer): (&Options, &Arc<Observer>),
    (live, was_closed): (LiveFile, bool),
    (visitor, recovered, begun): (V, Recovered, Begun),
    publisher: impl FnOnce(Opened<V>) -> Arc<dyn Publish>,
) -> Result<Log, Error> {
    let store = match recovered.store {
        Some(store) => store,
        None => new_store_id(&**storage)?,
    };
    let mut recovered = recovered;
    // IMPORTANT: whoever finds it said that the log is closed does not look at what stands behind the end. So nothing is
    // written there before that is known to be said no more.
    let is_marked = live.is_synced();
    let was_closed = was_closed && is_marked;
    if matches!(recovered.footing, Footing::Clean) && !is_marked {
        let (previous_end, previous_checksum) = (recovered.ends.durable, recovered.last_checksum);
        recovered.footing = Footing::Due { previous_end, previous_checksum };
    }
    let mut bits = [0; 8];
    storage.random(&mut bits).map_err(|error| Error::io("making random bits for an epoch", error))?;
    let latch = Arc::new(Latch::new(observer));
    let active = recovered.segments.last().filter(|segment| recovered.ends.visible.segment == segment.sequence());
    if let (Some(segment), Footing::Clean) = (active, &recovered.footing) {
        // It is written on: a first append that could not open it would have to latch.
        let act = || format!("opening {} for writing", segment_name(segment.sequence()));
        segment.file().hold().map_err(|error| Error::io(act(), error))?;
    }
    let active = active.map(|segment| Active {
        segment: segment.clone(),
        file: Arc::new(LatchedFile::new(segment.file().clone(), latch.clone(), segment_name(segment.sequence()))),
        next_offset: segment.end(),
        last_checksum: recovered.last_checksum,
    });
    let is_clean = matches!(recovered.footing, Footing::Clean | Footing::Going);
    let last_size = active.as_ref().map(|active| active.segment.preamble.size);
    let next_size = first_size(last_size, is_clean, options.segment_bytes_max);
    let is_empty = recovered.segments.is_empty() && recovered.blank.is_none();
    let lead = Lead {
        file: active.as_ref().map(|active| active.file.clone()),
        segment: active.as_ref().filter(|_| is_clean).map(|active| active.segment.clone()),
        written: recovered.ends.visible,
        has_unsynced: false,
        last_position: recovered.sequence.last_position(),
        tally: recovered.tally.clone(),
        passed_by: recovered.passed_by.clone(),
    };
    let ends = recovered.ends;
    let core = Core {
        is_closed: false,
        footing: recovered.footing.clone(),
        active,
        sequence: recovered.sequence,
        epoch_bits: begun.unwrap_or(u64::from_le_bytes(bits)),
        epoch_begun: begun.is_some(),
        groups: VecDeque::new(),
        staged_bytes: 0,
        spare: Vec::new(),
        is_led: false,
        is_demanded: false,
        is_watermarked: begun.is_none(),
        last_sync: storage.elapsed(),
        durable: ends.durable,
        room: Room::new(
            recovered.next_sequence,
            next_size,
            recovered.leftovers.clone(),
            recovered.blank.clone(),
            was_closed,
        ),
    };
    let opened = Opened::new(visitor, &recovered, store);
    let log = Log {
        storage: storage.clone(),
        options: options.clone(),
        store,
        latch,
        publisher: publisher(opened),
        observer: observer.clone(),
        core: Mutex::new(core),
        lead: Mutex::new(lead),
        ends: Mutex::new(ends),
        live,
        bell: Bell::new(),
    };
    log.live.ensure(&**storage);
    if is_empty {
        // The first segment of a new store says its id. No room for it now may be there at the first append.
        if let super::Making::Failed(error) = log.make_room()
            && error.kind() != ErrorKind::Full
        {
            return Err(error);
        }
    }
    log.update_live();
    Ok(log)
}

/// How long a wait for the lock of another writer lasts: readers look at it for moments.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_millis(200);
