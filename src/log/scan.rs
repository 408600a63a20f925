//! Reading a log from its files, segment by segment: facts, verdicts, and what is done about them.
//!
//! The segment reader reports facts, [`judge`] turns them into a verdict, and [`Scan`] acts on it.

use super::recovery::{Footing, OnDamage, Reach, Tail, Tally, Visitor};
use super::report::{CloseState, Damage, DamageKind, RecoveryReport};
use super::sequence::Sequence;
use super::survey::{Link, Survey};
use super::verdict::{Facts, Verdict, judge};
use crate::error::{Error, ErrorKind};
use crate::format::{BATCH_HEADER_LEN, BatchView, Fault, Footer, Kind, Preamble, Range};
use crate::mutant::Mutant;
use crate::options::ReadMode;
use crate::position::{POSITION_MAX, Place, Position};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment, batches_end, read_whole, segment_name};

/// The last segment, as it was found.
pub(super) struct Head {
    pub(super) sequence: u32,
    /// `None` where it counts as never started.
    pub(super) segment: Option<Segment>,
    pub(super) footing: Footing,
    pub(super) durable: Option<Place>,
    pub(super) last_checksum: u32,
    pub(super) tally: Option<Tally>,
    pub(super) tail: Option<Tail>,
    pub(super) close_state: CloseState,
}

/// A scan over the segments of a log.
pub(super) struct Scan<'a> {
    pub(super) survey: &'a Survey,
    pub(super) on_damage: OnDamage,
    pub(super) visitor: &'a mut dyn Visitor,
    pub(super) sequence: Sequence,
    pub(super) report: RecoveryReport,
    pub(super) log_bytes: u64,
    pub(super) buffer: Vec<u8>,
    /// Acknowledged events may be missing behind the last that can be read, and nothing says how many.
    pub(super) is_end_lost: bool,
}

/// Where a walk through a segment came to an end.
struct Walked {
    offset: u32,
    last_checksum: u32,
    tally: Tally,
    ends_closed: bool,
    /// It ended at damage behind which nothing can be read.
    ends_damaged: bool,
}

impl Scan<'_> {
    pub(super) fn damage(&mut self, damage: Damage) -> Result<(), Error> {
        if let Some((first, last)) = damage.positions {
            self.visitor.damaged(Range { first, last });
        }
        match self.on_damage {
            OnDamage::Stop => Err(Error::new(ErrorKind::Damaged, format!("opening the log: {damage}"))),
            OnDamage::PassOver => {
                self.report.damage.push(damage);
                Ok(())
            }
        }
    }

    /// Where nothing says how much is missing at the end, what `live` speaks of is, and one position at least: a read that
    /// would go there must fail.
    pub(super) fn lose_end(&mut self) {
        if !self.is_end_lost {
            return;
        }
        let first = self.sequence.next_position;
        let told = self.survey.live.map_or(first, |live| live.visible_position);
        let last = told.min(Position::new(POSITION_MAX)).max(first);
        self.visitor.end_damaged(Range { first, last });
        self.sequence.next_position = last.next().unwrap_or(last);
        if let Some(damage) = self.report.damage.iter_mut().rev().find(|damage| damage.positions.is_none()) {
            damage.positions = Some((first, last));
        }
    }

    fn read(&mut self, link: &Link) -> Result<Vec<u8>, Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        read_whole(&*link.file, link.preamble.size as usize, &mut buffer)
            .map_err(|error| Error::io(format!("reading {}", segment_name(link.sequence())), error))?;
        Ok(buffer)
    }

    pub(super) fn segment(&self, link: &Link, mode: ReadMode, end: u32) -> Result<Segment, Error> {
        // Behind damage its start record may speak of positions that were come by before: readers count on their rising.
        let first = self.sequence.next_position;
        Segment::new(link.preamble, first, link.file.clone(), mode, end)
            .map(|segment| segment.with_footer(link.footer))
            .map_err(|error| Error::io(format!("mapping {}", segment_name(link.sequence())), error))
    }

    /// A segment that has a successor: everything before the end that one fixed was durable.
    pub(super) fn sealed(
        &mut self,
        link: &Link,
        mode: ReadMode,
        successor: Option<&Link>,
    ) -> Result<(Segment, u32), Error> {
        if let Some(known) = self.known(link, mode, successor)? {
            return Ok(known);
        }
        let bytes = self.read(link)?;
        let scanned = scanned(link, &bytes);
        self.catch_up(link)?;
        let is_rewritten = link.preamble.rewritten.is_some();
        let (end, checksum) = match (link.fixed_end, footer(&scanned)?) {
            // Compaction wrote it: its successor names the end that it had before.
            (Some((end, _)), Some(_)) if is_rewritten => (end, None),
            (_, None) if is_rewritten => {
                let place = Place { segment: link.sequence(), offset: batches_end(scanned.size) };
                let detail = "the footer of a segment that compaction wrote does not verify";
                self.damage(Damage::new(DamageKind::Unreadable, place, detail))?;
                (scanned.last_end(), None)
            }
            (Some((end, checksum)), _) => (end, Some(checksum)),
            (None, Some(footer)) => (footer.end, None),
            // The successor cannot be read, and may hold another ending of this segment, copied or begun anew.
            (None, None) => (self.proven_end(&scanned).unwrap_or(FIRST_BATCH), None),
        };
        let end = if Mutant::ReadsBeyondTheFixedEnd.is_on() { batches_end(scanned.size) } else { end };
        let end = end.clamp(FIRST_BATCH, batches_end(scanned.size));
        let segment = self.segment(link, mode, end)?;
        let walked = self.walk(&scanned, &segment, FIRST_BATCH, end, Some(end))?;
        let is_whole = self.report.damage.is_empty();
        if is_whole && (walked.offset != end || checksum.is_some_and(|checksum| checksum != walked.last_checksum)) {
            let place = Place { segment: link.sequence(), offset: walked.offset };
            let detail = "the segment does not end with the batch its successor names";
            self.damage(Damage::new(DamageKind::Misplaced, place, detail))?;
        }
        self.check_footer(&scanned, &walked, end)?;
        // What the successor begins with says how far this one must have reached.
        if let Some(first) = successor.and_then(Link::first_position)
            && self.sequence.next_position < first
        {
            let place = Place { segment: link.sequence(), offset: walked.offset };
            let mut damage = Damage::new(DamageKind::Missing, place, "events are missing");
            damage.positions = self.pass_to(first);
            self.damage(damage)?;
        }
        self.log_bytes += u64::from(end);
        self.buffer = bytes;
        Ok((segment, walked.last_checksum))
    }

    /// A footer repeats what the segment holds. A missing or torn one is no damage; one that verifies must be right.
    fn check_footer(&mut self, scanned: &ScannedSegment<'_>, walked: &Walked, end: u32) -> Result<(), Error> {
        let is_whole = self.report.damage.is_empty() && walked.offset == end;
        let Some(footer) = footer(scanned)?.filter(|_| is_whole) else { return Ok(()) };
        if footer == walked.tally.footer(end, self.sequence.last_position()) {
            return Ok(());
        }
        let place = Place { segment: scanned.sequence, offset: batches_end(scanned.size) };
        self.damage(Damage::new(DamageKind::Misplaced, place, "the footer does not agree with what the segment holds"))
    }

    /// Passes over positions that are missing before a segment begins, which is damage that was told before.
    pub(super) fn catch_up(&mut self, link: &Link) -> Result<(), Error> {
        let Some(first) = link.first_position() else { return Ok(()) };
        if self.sequence.next_position < first {
            let place = Place { segment: link.sequence(), offset: FIRST_BATCH };
            let mut damage = Damage::new(DamageKind::Missing, place, "the events before this segment are missing");
            damage.positions = self.pass_to(first);
            self.damage(damage)?;
        }
        Ok(())
    }

    /// Goes on at a position, and gives those that are passed over. Not where none can follow it: then whatever says that
    /// it comes next is wrong too.
    fn pass_to(&mut self, next: Position) -> Option<(Position, Position)> {
        let first = self.sequence.next_position;
        if next <= first || POSITION_MAX < next.get() {
            return None;
        }
        self.sequence.next_position = next;
        Some((first, Position::new(next.get() - 1)))
    }

    /// The last segment: what of it was proven durable, and what stands behind that.
    pub(super) fn head(
        &mut self,
        link: &Link,
        mode: ReadMode,
        reach: Reach,
        before_checksum: u32,
    ) -> Result<Head, Error> {
        if reach == Reach::Proven
            && let Some(head) = self.closed_head(link, mode)?
        {
            return Ok(head);
        }
        let bytes = self.read(link)?;
        let scanned = scanned(link, &bytes);
        self.catch_up(link)?;
        let footer = footer(&scanned)?;
        if footer.is_some() && !matches!(reach, Reach::Visible(_)) {
            let place = Place { segment: link.sequence().saturating_add(1), offset: 0 };
            self.damage(Damage::new(DamageKind::Missing, place, "a sealed segment has no successor"))?;
            self.is_end_lost = true;
        }
        let proven = self.proven_end(&scanned);
        let previous_end = link.begun.map_or(Place::NONE, |begun| begun.start.previous_end);
        let (until, proven) = match (reach, proven) {
            (Reach::Visible(end), _) => (end.offset.clamp(FIRST_BATCH, batches_end(scanned.size)), Some(end.offset)),
            (Reach::Proven, Some(proven)) => (proven, Some(proven)),
            (Reach::Proven, None) => return self.never_started(link, bytes, previous_end, before_checksum),
            // The same where something stood behind it that cannot be read.
            (Reach::Verified, proven) if self.is_end_lost => {
                let end = footer.map(|footer| footer.end).or(proven).unwrap_or(FIRST_BATCH);
                (end.clamp(FIRST_BATCH, batches_end(scanned.size)), Some(end))
            }
            (Reach::Verified, proven) => (batches_end(scanned.size), proven),
        };
        let segment = self.segment(link, mode, batches_end(scanned.size))?;
        let walked = self.walk(&scanned, &segment, FIRST_BATCH, until, proven)?;
        self.is_end_lost |= walked.ends_damaged;
        let end = Place { segment: link.sequence(), offset: walked.offset };
        segment.set_end(end.offset);
        self.log_bytes += u64::from(end.offset);
        let proven_place = proven.map(|offset| Place { segment: link.sequence(), offset });
        let is_closed = walked.ends_closed && self.survey.live.map(|live| live.durable_end) == Some(end);
        let mut head = Head {
            sequence: link.sequence(),
            segment: Some(segment),
            footing: Footing::Due { previous_end: end, previous_checksum: walked.last_checksum },
            durable: Some(proven_place.unwrap_or(previous_end)),
            last_checksum: walked.last_checksum,
            tally: Some(walked.tally),
            tail: None,
            close_state: CloseState::Unclean,
        };
        match reach {
            Reach::Visible(_) => head.close_state = CloseState::Open,
            _ if is_closed && scanned.is_blank_from(end.offset) => {
                head.footing = Footing::Clean;
                head.close_state = CloseState::Clean;
            }
            Reach::Verified => self.note_torn(&scanned, end.offset),
            Reach::Proven => {
                let before = self.sequence;
                let tail = self.collect_tail((&scanned, &link.preamble), end.offset, before)?;
                self.sequence = Sequence { epoch: self.sequence.epoch, ..before };
                head.tail = tail.map(|tail| tail.with(bytes, &link.preamble));
            }
        }
        Ok(head)
    }

    /// Nothing but its own start record speaks for the last segment: it counts as never started.
    fn never_started(
        &mut self,
        link: &Link,
        bytes: Vec<u8>,
        previous_end: Place,
        before_checksum: u32,
    ) -> Result<Head, Error> {
        let before = self.sequence;
        let tail = self.collect_tail((&scanned(link, &bytes), &link.preamble), FIRST_BATCH, before)?;
        self.sequence = Sequence { epoch: self.sequence.epoch, ..before };
        Ok(Head {
            sequence: link.sequence(),
            segment: None,
            footing: Footing::Due { previous_end, previous_checksum: before_checksum },
            durable: None,
            last_checksum: before_checksum,
            tally: Some(Tally::default()),
            tail: tail.map(|tail| tail.with(bytes, &link.preamble)),
            close_state: CloseState::Unclean,
        })
    }

    /// The furthest end in this segment that any witness names.
    fn proven_end(&self, scanned: &ScannedSegment<'_>) -> Option<u32> {
        let mut proven = self.survey.proven_in(scanned.sequence);
        let mut offset = FIRST_BATCH;
        loop {
            match scanned.at(offset) {
                Found::Batch(batch) => {
                    proven = proven.max(scanned.names_here(batch.header.durable));
                    offset = batch.end();
                }
                Found::Blank => return proven,
                Found::Bad(_) => return proven.max(scanned.witness_behind(offset)),
            }
        }
    }

    /// Tells the visitor every batch between two offsets that counts, and acts on the verdict where one does not.
    /// What stands before `proven` was durable.
    fn walk(
        &mut self,
        scanned: &ScannedSegment<'_>,
        segment: &Segment,
        from: u32,
        to: u32,
        proven: Option<u32>,
    ) -> Result<Walked, Error> {
        let mut walked =
            Walked { offset: from, last_checksum: 0, tally: Tally::default(), ends_closed: false, ends_damaged: false };
        let mut resync_budget = scanned.bytes.len().saturating_mul(4);
        while walked.offset < to {
            let offset = walked.offset;
            let place = Place { segment: scanned.sequence, offset };
            let proven = proven.filter(|end| offset < *end);
            let (verdict, batch) = self.examine((scanned, &segment.preamble), place, proven, to);
            match (verdict, batch) {
                (Verdict::Accept, Some((batch, next))) => {
                    segment.mark(self.sequence.mark(offset));
                    let events = batch.records().filter(|record| record.header.kind == Kind::Event).count() as u64;
                    walked.tally.add(batch.bytes, events, 1);
                    walked.last_checksum = batch.checksum;
                    walked.ends_closed = batch.records().next().is_some_and(|record| record.header.kind == Kind::Close);
                    walked.offset = batch.end();
                    self.sequence = next;
                    self.report.events += events;
                }
                (Verdict::End | Verdict::TornTail, _) => break,
                (Verdict::Newer, _) => return Err(too_new(place)),
                (verdict, _) => {
                    let (kind, detail) = match verdict {
                        Verdict::Missing => (DamageKind::Missing, "acknowledged bytes are not there"),
                        Verdict::Misplaced => {
                            (DamageKind::Misplaced, "the batch does not go on from the one before it")
                        }
                        _ => (DamageKind::Unreadable, "acknowledged bytes do not verify"),
                    };
                    let found = match self.on_damage {
                        OnDamage::Stop => None,
                        OnDamage::PassOver => self.resync(scanned, offset, to, &mut resync_budget),
                    };
                    let mut damage = Damage::new(kind, place, detail);
                    if let Some((next_offset, first_position)) = found {
                        damage.positions = self.pass_to(first_position);
                        walked.offset = next_offset;
                        segment.mark_here(self.sequence.mark(next_offset));
                    }
                    segment.pass_over(offset, found.map_or(to, |(next_offset, _)| next_offset));
                    walked.last_checksum = 0;
                    self.damage(damage)?;
                    if found.is_none() {
                        walked.ends_damaged = true;
                        break;
                    }
                }
            }
        }
        Ok(walked)
    }

    /// The verdict on what stands at a place that was durable if a proven end lies behind it; an accepted batch was told to
    /// the visitor.
    fn examine<'b>(
        &mut self,
        (scanned, segment): (&ScannedSegment<'b>, &Preamble),
        place: Place,
        proven: Option<u32>,
        to: u32,
    ) -> (Verdict, Option<(BatchView<'b>, Sequence)>) {
        let is_proven = proven.is_some();
        let unknown = Facts { blank: false, checksums: false, known: true, sequel: false, proven: is_proven };
        // Whatever names an end names one between batches.
        let end = proven.map_or(to, |proven| proven.min(to));
        match scanned.at(place.offset) {
            Found::Blank => (judge(Facts { blank: true, ..unknown }), None),
            Found::Bad(fault) => {
                let newer = fault == Fault::Newer;
                (judge(Facts { checksums: newer, known: !newer, ..unknown }), None)
            }
            Found::Batch(batch) => {
                let told = self.follow(&batch, segment).and_then(|next| {
                    if end < batch.end() {
                        Err(Fault::Senseless)
                    } else {
                        self.visitor.batch(place, &batch).map(|()| next)
                    }
                });
                let facts =
                    Facts { checksums: true, known: told != Err(Fault::Newer), sequel: told.is_ok(), ..unknown };
                (judge(facts), told.ok().map(|next| (batch, next)))
            }
        }
    }

    /// Where the log stands behind a batch, or why that does not belong here. Behind damage, which may have hit the record
    /// that began an epoch, a later epoch is taken from the batch itself.
    fn follow(&self, batch: &BatchView<'_>, segment: &Preamble) -> Result<Sequence, Fault> {
        self.sequence.follow(batch, segment).or_else(|fault| {
            let epoch = self.sequence.epoch.max(batch.header.epoch);
            let is_behind_damage = !self.report.damage.is_empty();
            if is_behind_damage { Sequence { epoch, ..self.sequence }.follow(batch, segment) } else { Err(fault) }
        })
    }

    /// The next batch behind damage that can be read and can belong here: its offset and first position. Looking for
    /// it reads every byte at most a few times, whatever headers are made up in between.
    fn resync(&self, scanned: &ScannedSegment<'_>, from: u32, to: u32, budget: &mut usize) -> Option<(u32, Position)> {
        let possible = self.sequence.next_position.get()..=POSITION_MAX;
        let mut at = from + 8;
        while let Some(offset) = scanned.next_header(at).filter(|offset| *offset < to) {
            match scanned.at(offset) {
                Found::Batch(batch) if possible.contains(&batch.header.first_position.get()) => {
                    return Some((offset, batch.header.first_position));
                }
                // Whatever its header says may have been summed up before the batch failed.
                Found::Batch(_) | Found::Blank | Found::Bad(_) => {
                    *budget = budget.saturating_sub(scanned.length_at(offset).max(BATCH_HEADER_LEN));
                }
            }
            if *budget == 0 {
                return None;
            }
            at = offset + 8;
        }
        None
    }

    /// The batches with facts from `from` on that count although nothing proves them. Leaves the sequence behind them;
    /// they are not told to the visitor.
    fn collect_tail(
        &mut self,
        (scanned, segment): (&ScannedSegment<'_>, &Preamble),
        from: u32,
        before: Sequence,
    ) -> Result<Option<TailOffsets>, Error> {
        let mut found = TailOffsets { offsets: Vec::new(), before, events: 0 };
        let mut offset = from;
        while offset < batches_end(scanned.size) {
            let place = Place { segment: scanned.sequence, offset };
            let batch = match scanned.at(offset) {
                Found::Batch(batch) => batch,
                Found::Bad(Fault::Newer) => return Err(too_new(place)),
                _ => break,
            };
            match self.sequence.follow(&batch, segment) {
                Ok(next) => self.sequence = next,
                Err(Fault::Newer) => return Err(too_new(place)),
                Err(_) => {
                    let detail = "the batch does not go on from the one before it";
                    self.damage(Damage::new(DamageKind::Misplaced, place, detail))?;
                    break;
                }
            }
            if batch.has_facts() {
                found.offsets.push(offset);
                found.events += batch.records().filter(|record| record.header.kind == Kind::Event).count() as u64;
            }
            offset = batch.end();
        }
        self.note_torn(scanned, offset);
        Ok((!found.offsets.is_empty()).then_some(found))
    }

    fn note_torn(&mut self, scanned: &ScannedSegment<'_>, offset: u32) {
        if !scanned.is_blank_from(offset) {
            self.report.torn = Some(Place { segment: scanned.sequence, offset });
        }
    }
}

/// What is found of a tail before the bytes of its segment are handed over.
struct TailOffsets {
    offsets: Vec<u32>,
    before: Sequence,
    events: u64,
}

impl TailOffsets {
    fn with(self, bytes: Vec<u8>, preamble: &Preamble) -> Tail {
        Tail {
            bytes,
            salt: preamble.salt(),
            sequence: preamble.sequence,
            offsets: self.offsets,
            before: self.before,
            events: self.events,
        }
    }
}

/// The footer, if there is one that verifies; one that says more than this version knows is refused.
fn footer(scanned: &ScannedSegment<'_>) -> Result<Option<Footer>, Error> {
    let place = Place { segment: scanned.sequence, offset: batches_end(scanned.size) };
    match scanned.footer() {
        Err(Fault::Newer) => Err(too_new(place)),
        footer => Ok(footer.ok()),
    }
}

fn too_new(place: Place) -> Error {
    let act = format!("opening the log: the record at {place} is of a kind this version does not know");
    Error::new(ErrorKind::TooNew, act)
}

pub(super) fn scanned<'a>(link: &Link, bytes: &'a [u8]) -> ScannedSegment<'a> {
    ScannedSegment { bytes, base: 0, salt: link.preamble.salt(), sequence: link.sequence(), size: link.preamble.size }
}
