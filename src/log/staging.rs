//! Staging: a batch gets its numbers and its place, under one short lock, and is queued for the leader.

use super::copy::{Begin, start_batch, start_stamp};
use super::group::{Answer, Entry, EventPlace, Group, PlacedFact, placed_facts};
use super::recovery::Footing;
use super::ticket::Ticket;
use super::{Active, Core, Log, no_receipt, no_version};
use crate::error::{Conflict, Error, ErrorKind};
use crate::format::{
    BatchBuffer, BatchTerms, CONTROL_BATCH_LEN, Fact, Kind, SESSION_BATCH_LEN, START_BATCH_LEN, Stamp, StreamFact,
    encode_session,
};
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::{POSITION_MAX, Place, Position, Version};
use crate::quota::Charge;
use crate::receipt::Receipt;
use crate::segment::{FIRST_BATCH, Mark, Segment, batches_end, events_end, segment_name};
use crate::storage::LatchedFile;
use crate::sync::{Arc, MutexGuard};
use crate::time::Timestamp;
use std::time::Duration;

/// What it takes to begin an epoch within a segment.
pub(crate) const PLACED_EPOCH_LEN: usize = CONTROL_BATCH_LEN + SESSION_BATCH_LEN;

/// Why a batch cannot be staged now.
pub(crate) enum NoRoom {
    /// Room must be made first: ask for it, and come back when it is there.
    NeedsRoom,
    /// It is refused.
    Refused(Error),
}

/// When the end of the log should be written down.
pub(super) enum Due {
    Never,
    Later,
    Now,
}

/// What a batch of facts is to be staged with.
pub(crate) struct Batch {
    pub(crate) buffer: BatchBuffer,
    /// What it says besides events, in the order of its records.
    pub(crate) facts: Vec<Fact>,
    /// What its events are found by.
    pub(crate) terms: Arc<BatchTerms>,
    /// What it adds to what tags with a quota take.
    pub(crate) charges: Vec<Charge>,
    pub(crate) durability: Durability,
    pub(crate) ticket: Arc<Ticket>,
}

/// The lock of admission, held: between looking at the numbers and staging with them nothing can change.
pub(crate) struct Staging<'a> {
    log: &'a Log,
    core: MutexGuard<'a, Core>,
}

impl Log {
    /// Takes the lock of admission.
    pub(crate) fn stage(&self) -> Result<Staging<'_>, Error> {
        let core = self.core.lock();
        // Under the lock: whoever fails lets the latch fall first and then answers all that is staged. What is staged
        // behind that would go on from numbers that are never seen.
        self.latch.check()?;
        if core.is_closed { Err(Log::closed()) } else { Ok(Staging { log: self, core }) }
    }
}

impl<'a> Staging<'a> {
    pub(super) fn over(log: &'a Log, core: MutexGuard<'a, Core>) -> Staging<'a> {
        Staging { log, core }
    }

    pub(super) fn epoch(&self) -> (u32, u64) {
        (self.core.sequence.epoch, self.core.epoch_bits)
    }

    /// The position the next event will get.
    pub(crate) fn next_position(&self) -> Position {
        self.core.sequence.next_position
    }

    /// Whether a batch of this many bytes and events could be staged at once. Where it needs room, the room was asked for.
    pub(crate) fn room(&mut self, len: usize, events: usize) -> Result<(), NoRoom> {
        let last = self.core.sequence.next_position.get().saturating_add(events as u64);
        if POSITION_MAX < last {
            return Err(NoRoom::Refused(Error::new(ErrorKind::TooLarge, "no positions are left for these events")));
        }
        let limit = self.log.options.staged_bytes_max;
        if limit < self.core.staged_bytes.saturating_add(len) && !self.core.groups.is_empty() {
            let staged = self.core.staged_bytes;
            let act = format!("appending {len} bytes: {staged} bytes wait to be written, the limit is {limit}");
            return Err(NoRoom::Refused(Error::new(ErrorKind::Busy, act)));
        }
        if self.fits_active(len) || self.core.room.fits_ready(len) {
            return Ok(());
        }
        self.core.room.ask(len);
        Err(NoRoom::NeedsRoom)
    }

    fn fits_active(&self, len: usize) -> bool {
        let before = match self.core.footing {
            Footing::Going => 0,
            Footing::Clean => SESSION_BATCH_LEN,
            Footing::Due { .. } => return false,
        };
        self.core.active.as_ref().is_some_and(|active| {
            let limit = events_end(active.segment.preamble.size) as usize;
            active.next_offset as usize + before + len <= limit
        })
    }

    /// Stages a batch of events for which [`room`](Self::room) found room under this same lock. `events` says each event's
    /// stream and version, in the order of the batch; `receipt` makes the receipt from first position, last and time.
    pub(crate) fn stage_events(
        &mut self,
        mut batch: Batch,
        events: &[(u32, Version)],
        receipt: impl FnOnce(Position, Position, Timestamp) -> Receipt,
    ) -> &Receipt {
        self.prepare(batch.buffer.len());
        let mark = self.core.sequence.mark(self.next_offset());
        // What is no event never moves the time of events.
        let time = if events.is_empty() { self.last_time() } else { self.now() };
        let stamp = self.stamp(time);
        let streams: Vec<&StreamFact> = batch.facts.iter().filter_map(Fact::stream).collect();
        let offsets = batch.buffer.place(&stamp, |index| events[index].1, &streams);
        let offset = mark.offset;
        let first = stamp.first_position.get();
        let places =
            events.iter().zip(&offsets.events).enumerate().map(|(index, ((stream, version), at))| EventPlace {
                stream: *stream,
                version: *version,
                position: Position::new(first + index as u64),
                offset: offset + at,
            });
        let places = places.collect();
        let facts = placed_facts(std::mem::take(&mut batch.facts), &offsets, offset);
        self.core.sequence.next_position = Position::new(first + events.len() as u64);
        let receipt = receipt(stamp.first_position, self.core.sequence.last_position(), time);
        batch.buffer.place_key(&receipt);
        self.seal(&mut batch.buffer, &stamp);
        let entry = self.finish(batch, receipt, places, facts, mark);
        match &entry.answer {
            Answer::Receipt(receipt) => receipt,
            Answer::Conflict(_) => unreachable!("a batch of events is answered with its receipt"),
        }
    }

    /// Makes sure that the next bytes go where they may, and says what a batch placed by the caller is stamped with. A batch
    /// of an epoch above the one that is going on begins that, as if the store had been closed and opened again: there must
    /// be room for [`PLACED_EPOCH_LEN`] more.
    pub(crate) fn begin_placed(&mut self, len: usize, epoch: Option<u32>) -> Stamp {
        let Some(epoch) = epoch else {
            self.prepare(len);
            return self.stamp(self.last_time());
        };
        if !self.core.epoch_begun {
            self.core.sequence.epoch = self.core.sequence.epoch.max(epoch.saturating_sub(1));
        }
        self.prepare(len + PLACED_EPOCH_LEN);
        if self.core.sequence.epoch < epoch {
            self.control(Kind::Close, &[]);
            self.core.sequence.epoch = epoch;
            let end = self.place();
            self.control(Kind::Session, &encode_session(end));
            self.group().must_sync = true;
        }
        Stamp { epoch, ..self.stamp(self.last_time()) }
    }

    /// Stages a batch whose records were placed by the caller, who vouches that they go on from what is there. `next` is
    /// the position behind them; `events` says stream, version, position and offset in the batch.
    pub(crate) fn stage_placed(&mut self, mut batch: Batch, stamp: &Stamp, next: Position, events: &[EventPlace]) {
        let mark = self.core.sequence.mark(self.next_offset());
        let places = events.iter().map(|event| EventPlace { offset: mark.offset + event.offset, ..*event }).collect();
        let facts = placed_facts(std::mem::take(&mut batch.facts), &batch.buffer.offsets(), mark.offset);
        self.seal(&mut batch.buffer, stamp);
        self.core.sequence.next_position = next;
        self.core.sequence.last_time = stamp.time;
        self.finish(batch, no_receipt(stamp.time), places, facts, mark);
    }

    fn finish(
        &mut self,
        batch: Batch,
        receipt: Receipt,
        events: Vec<EventPlace>,
        facts: Vec<PlacedFact>,
        mark: Mark,
    ) -> &Entry {
        let last_position = self.core.sequence.last_position();
        self.core.is_watermarked = false;
        let group = self.core.groups.back_mut().expect("sealing made a group");
        group.must_sync |= batch.durability == Durability::Synced;
        group.last_position = last_position;
        let answer = Answer::Receipt(receipt);
        let key = batch.buffer.key_offset().map(|offset| mark.offset + offset);
        let Batch { ticket, terms, charges, .. } = batch;
        group.entries.push(Entry { ticket, answer, events, facts, terms, key, charges, mark: Some(mark) });
        group.entries.last().expect("pushed above")
    }

    /// Answers a ticket with a conflict once all that is staged is visible. Gives the conflict back where nothing is, and
    /// it can be answered at once.
    pub(crate) fn refuse(
        &mut self,
        ticket: &Arc<Ticket>,
        conflict: Conflict,
        is_caused_by_staged: bool,
    ) -> Option<Conflict> {
        if is_caused_by_staged
            && !Mutant::AnswersAConflictAtOnce.is_on()
            && (!self.core.groups.is_empty() || self.core.is_led)
        {
            self.group().entries.push(Entry::answering(ticket, Answer::Conflict(conflict)));
            None
        } else {
            Some(conflict)
        }
    }

    /// Answers a ticket with the receipt of a batch that was admitted before and holds a place, once that is visible and,
    /// where `durability` asks for it, synced. Gives the receipt back where it is and can be answered at once.
    pub(crate) fn repeat(
        &mut self,
        ticket: &Arc<Ticket>,
        mut receipt: Receipt,
        place: Place,
        durability: Durability,
        is_staged: bool,
    ) -> Option<Receipt> {
        let is_durable = place < self.core.durable;
        let is_on_its_way = is_staged && (!self.core.groups.is_empty() || self.core.is_led);
        let wants_sync = durability == Durability::Synced && !is_durable;
        if self.core.active.is_none() || !(is_on_its_way || wants_sync) {
            receipt.durability = if is_durable { Durability::Synced } else { Durability::Written };
            return Some(receipt);
        }
        let group = self.group();
        group.must_sync |= durability == Durability::Synced;
        group.entries.push(Entry::answering(ticket, Answer::Receipt(receipt)));
        None
    }

    pub(super) fn stage_flush(&mut self, ticket: &Arc<Ticket>) {
        let time = self.core.sequence.last_time;
        if self.core.active.is_none() {
            settle_own(ticket, time);
            return;
        }
        let group = self.group();
        group.must_sync = true;
        group.entries.push(Entry::answering(ticket, Answer::Receipt(no_receipt(time))));
    }

    pub(super) fn watermark_due(&self, now: Duration) -> Due {
        let core = &self.core;
        let Some(active) = &core.active else { return Due::Never };
        let is_going = matches!(core.footing, Footing::Going) && core.epoch_begun;
        if !is_going || core.is_watermarked || Mutant::ForgetsTheWatermark.is_on() {
            return Due::Never;
        }
        let has_room =
            active.next_offset as usize + 2 * CONTROL_BATCH_LEN <= batches_end(active.segment.preamble.size) as usize;
        let is_still = core.groups.is_empty() && !core.is_led;
        let is_synced = core.durable == Place { segment: active.segment.sequence(), offset: active.next_offset };
        match has_room {
            false => Due::Never,
            true if is_still && is_synced && core.last_sync + self.log.options.idle_after <= now => Due::Now,
            true => Due::Later,
        }
    }

    pub(super) fn stage_watermark(&mut self, ticket: &Arc<Ticket>) {
        self.core.is_watermarked = true;
        self.control(Kind::Watermark, &[]);
        self.stage_flush(ticket);
    }

    /// Stages a close record behind all that is staged, if this opening has written anything and there is room for it.
    pub(super) fn stage_close(&mut self, ticket: &Arc<Ticket>) {
        let has_room = self.core.active.as_ref().is_some_and(|active| {
            active.next_offset as usize + CONTROL_BATCH_LEN <= batches_end(active.segment.preamble.size) as usize
        });
        let has_room = has_room && !Mutant::ClosesWithoutACloseRecord.is_on();
        if self.core.epoch_begun && matches!(self.core.footing, Footing::Going) && has_room {
            self.control(Kind::Close, &[]);
            self.stage_flush(ticket);
        } else {
            settle_own(ticket, self.core.sequence.last_time);
        }
    }

    /// Makes sure that the next bytes go where they may: behind a session record, or in a new segment.
    fn prepare(&mut self, len: usize) {
        if !self.fits_active(len) {
            self.roll();
        } else if matches!(self.core.footing, Footing::Clean) {
            self.begin_epoch();
            self.core.footing = Footing::Going;
            let end = self.place();
            self.control(Kind::Session, &encode_session(end));
            self.group().must_sync = !Mutant::DoesNotSyncASession.is_on();
        }
    }

    fn begin_epoch(&mut self) {
        if !self.core.epoch_begun {
            self.core.epoch_begun = true;
            // Checked when the log was opened: there is a number left.
            self.core.sequence.epoch += u32::from(!Mutant::BeginsNoEpoch.is_on());
        }
    }

    /// Goes on in the segment that is ready.
    fn roll(&mut self) {
        self.begin_epoch();
        let ready = self.core.room.take_ready().expect("room was found under this lock");
        let (previous_end, previous_checksum) = match (&self.core.footing, &self.core.active) {
            (Footing::Due { previous_end, previous_checksum }, _) => (*previous_end, *previous_checksum),
            (_, Some(active)) => (self.place(), active.last_checksum),
            (_, None) => (Place::NONE, 0),
        };
        let (epoch, epoch_bits) = self.epoch();
        let begin = Begin { epoch, epoch_bits, previous_end, previous_checksum };
        let first_position = self.core.sequence.next_position;
        let time = self.last_time();
        let segment =
            Arc::new(Segment::with_map(ready.preamble, first_position, ready.file.clone(), ready.map, FIRST_BATCH));
        let file = Arc::new(LatchedFile::new(ready.file, self.log.latch.clone(), segment_name(segment.sequence())));
        self.core.active =
            Some(Active { segment: segment.clone(), file: file.clone(), next_offset: FIRST_BATCH, last_checksum: 0 });
        self.core.footing = Footing::Going;
        let group = Group {
            segment,
            file,
            offset: FIRST_BATCH,
            bytes: std::mem::take(&mut self.core.spare),
            must_sync: true,
            is_start: true,
            batches: 0,
            since: self.log.storage.elapsed(),
            entries: Vec::new(),
            last_position: self.core.sequence.last_position(),
        };
        self.core.groups.push_back(group);
        self.seal(&mut start_batch(begin, first_position, time), &start_stamp(begin, first_position, time));
        debug_assert_eq!(self.next_offset() as usize, FIRST_BATCH as usize + START_BATCH_LEN);
    }

    fn control(&mut self, kind: Kind, body: &[u8]) {
        let time = self.last_time();
        let stamp = self.stamp(time);
        let mut batch = BatchBuffer::new();
        batch.push_control(kind, body);
        batch.place(&stamp, no_version, &[]);
        self.seal(&mut batch, &stamp);
    }

    fn stamp(&self, time: Timestamp) -> Stamp {
        let core = &self.core;
        Stamp {
            epoch: core.sequence.epoch,
            epoch_bits: core.epoch_bits,
            previous: core.active.as_ref().map_or(0, |active| active.last_checksum),
            durable: core.durable,
            first_position: core.sequence.next_position,
            time,
        }
    }

    /// The time for a batch: never before the last one.
    fn now(&mut self) -> Timestamp {
        let now = self.log.storage.now();
        let time = if Mutant::LetsTheClockGoBack.is_on() { now } else { now.max(self.core.sequence.last_time) };
        self.core.sequence.last_time = time;
        time
    }

    /// The time for a marker: that of the last event, so that markers never move the time of events, which an import may
    /// bring along.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.core.sequence.last_time
    }

    /// Seals a placed batch for the next place, and moves that on.
    fn seal(&mut self, batch: &mut BatchBuffer, stamp: &Stamp) {
        self.group();
        let core = &mut *self.core;
        let active = core.active.as_mut().expect("there is a segment to stage into");
        let group = core.groups.back_mut().expect("made above");
        let before = group.bytes.len();
        group.bytes.reserve(batch.len());
        active.last_checksum = batch.seal(stamp, active.segment.salt, active.next_offset, &mut group.bytes);
        let len = group.bytes.len() - before;
        active.next_offset += len as u32;
        group.batches += 1;
        core.staged_bytes += len;
    }

    /// The group that what is staged now belongs to.
    fn group(&mut self) -> &mut Group {
        let core = &mut *self.core;
        if core.groups.is_empty() {
            let active = core.active.as_ref().expect("there is a segment to stage into");
            core.groups.push_back(Group {
                segment: active.segment.clone(),
                file: active.file.clone(),
                offset: active.next_offset,
                bytes: std::mem::take(&mut core.spare),
                must_sync: false,
                is_start: false,
                batches: 0,
                since: self.log.storage.elapsed(),
                entries: Vec::new(),
                last_position: core.sequence.last_position(),
            });
        }
        core.groups.back_mut().expect("pushed above")
    }

    fn next_offset(&self) -> u32 {
        self.core.active.as_ref().map_or(FIRST_BATCH, |active| active.next_offset)
    }

    /// Where the next batch goes, if it goes into this segment.
    pub(crate) fn place(&self) -> Place {
        let active = self.core.active.as_ref();
        active.map_or(Place::NONE, |active| Place { segment: active.segment.sequence(), offset: active.next_offset })
    }
}

/// Answers a ticket of the log's own, for which no task waits.
fn settle_own(ticket: &Ticket, time: Timestamp) {
    let waker = ticket.settle(Ok(no_receipt(time)));
    debug_assert!(waker.is_none(), "only threads wait for markers");
}
