//! From the files of a log to its state: what counts, where it ends, and what is to be done about the rest.
//!
//! Nothing here changes an old file. What verifies behind the last witness is copied into a new segment; see
//! [`copy`](super::copy). The segment reader reports facts, [`judge`] turns them into a verdict, and [`Scan`] acts on it.

use super::live::Ends;
use super::report::{CloseState, Damage, DamageKind, RecoveryReport};
use super::sequence::Sequence;
use super::survey::{Chain, FileState, Link, Survey};
use super::verdict::{Facts, Verdict, judge};
use crate::error::{Error, ErrorKind};
use crate::format::{BATCH_HEADER_LEN, BatchView, Fault, Footer, Kind, Preamble, Range};
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment, batches_end, read_whole, segment_name};
use crate::storage::File;
use crate::sync::Arc;
use crate::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// Whoever wants to know what the log holds: told every batch that counts, in order.
pub(crate) trait Visitor {
    /// A batch that counts; it stands, or will stand, at `place`. Refusing it as senseless makes it damage.
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault>;

    /// Positions that cannot be read because of damage.
    fn damaged(&mut self, range: Range);

    /// Positions that cannot be read, and perhaps more behind them: nothing says how far the log had reached.
    fn end_damaged(&mut self, range: Range) {
        self.damaged(range);
    }
}

/// What to do where there is damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDamage {
    /// Stop: a log that is written must be whole.
    Stop,
    /// Note it and go on with what can be read.
    PassOver,
}

/// How far the log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As far as it is proven; what verifies behind that is a tail to be copied.
    Proven,
    /// As far as anything verifies, where it stands.
    Verified,
    /// As far as its living writer says that it is visible.
    Visible(Place),
}

/// How the log can be written on.
#[derive(Clone)]
pub(crate) enum Footing {
    /// In the active segment, behind what stands there.
    Going,
    /// Behind the clean end of the last segment, after a session record.
    Clean,
    /// In a new segment, after a start record that names this end and the checksum of the batch before it.
    Due { previous_end: Place, previous_checksum: u32 },
}

/// Batches behind the last witness, to be copied before anything is built on them.
pub(crate) struct Tail {
    /// The segment they stand in, from its beginning.
    pub(crate) bytes: Vec<u8>,
    pub(crate) salt: crate::format::Salt,
    pub(crate) sequence: u32,
    /// Where the batches stand that hold facts, in order. Never empty.
    pub(crate) offsets: Vec<u32>,
    /// How the log stands before the first of them.
    pub(crate) before: Sequence,
    pub(crate) events: u64,
}

impl Tail {
    /// The batches, which were verified when the tail was found.
    pub(crate) fn batches(&self) -> impl Iterator<Item = BatchView<'_>> {
        self.offsets.iter().map(|offset| {
            BatchView::verify(&self.bytes[*offset as usize..], self.salt, *offset).expect("verified in the scan")
        })
    }

    /// How many bytes the batches take.
    pub(crate) fn len(&self) -> usize {
        self.batches().map(|batch| batch.bytes.len()).sum()
    }
}

/// What is counted and digested of the last segment, so that its footer can be written without reading it again.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) batches: u64,
    pub(crate) digest: Xxh3,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: &[u8], events: u64, batches: u64) {
        self.digest.update(bytes);
        self.events += events;
        self.batches += batches;
    }

    pub(crate) fn footer(&self, end: u32, last_position: Position) -> Footer {
        Footer { end, last_position, events: self.events, batches: self.batches, digest: self.digest.digest128() }
    }
}

/// A log as it was found.
pub(crate) struct Recovered {
    pub(crate) store: Option<[u8; 16]>,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) sequence: Sequence,
    pub(crate) ends: Ends,
    pub(crate) footing: Footing,
    /// The checksum of the last batch of the last segment that counts.
    pub(crate) last_checksum: u32,
    pub(crate) tally: Tally,
    /// What must be copied before the log is written on.
    pub(crate) tail: Option<Tail>,
    /// There is a tail that could not be copied for want of room.
    pub(crate) is_unproven: bool,
    /// Files with remains nobody speaks of; they may be removed at any time.
    pub(crate) leftovers: Vec<u32>,
    /// Files the chain does not name; removed once the next start record is synced.
    pub(crate) passed_by: Vec<u32>,
    /// A segment that is ready and blank.
    pub(crate) blank: Option<(Preamble, Arc<dyn File>)>,
    pub(crate) next_sequence: u32,
    pub(crate) disk_bytes: u64,
    pub(crate) log_bytes: u64,
    pub(crate) report: RecoveryReport,
}

/// Finds out what counts. With [`OnDamage::Stop`] the first damage is an error, and nothing is told to the visitor
/// behind it.
pub(crate) fn recover(
    survey: &Survey,
    mode: ReadMode,
    on_damage: OnDamage,
    reach: Reach,
    visitor: &mut dyn Visitor,
) -> Result<Recovered, Error> {
    let Chain { mut links, damage, is_end_lost } = survey.chain();
    if let Reach::Visible(end) = reach {
        // What started behind the visible end is still on its way in.
        links.retain(|link| link.sequence() <= end.segment);
    }
    let mut scan = Scan {
        survey,
        on_damage,
        visitor,
        sequence: Sequence::BEGINNING,
        report: RecoveryReport { notes: survey.notes.clone(), ..RecoveryReport::default() },
        log_bytes: 0,
        buffer: Vec::new(),
        is_end_lost,
    };
    for damage in damage {
        scan.damage(damage)?;
    }
    let mut segments = Vec::new();
    let mut last_checksum = 0;
    let mut head = None;
    for (index, link) in links.iter().enumerate() {
        if index + 1 < links.len() {
            let (segment, checksum) = scan.sealed(link, mode, links.get(index + 1))?;
            segments.push(Arc::new(segment));
            last_checksum = checksum;
        } else {
            head = Some(scan.head(link, mode, reach, last_checksum)?);
        }
    }
    scan.lose_end();
    let chain_sequences: Vec<u32> = links.iter().map(Link::sequence).collect();
    let is_in_chain = |sequence: &u32| chain_sequences.contains(sequence);
    let top = chain_sequences.last().copied().unwrap_or(0);
    let mut leftovers = Vec::new();
    let mut passed_by = Vec::new();
    let mut blank = None;
    for file in survey.files.values().filter(|file| !is_in_chain(&file.sequence)) {
        match &file.state {
            FileState::Blank(preamble, file) if top < preamble.sequence && blank.is_none() => {
                blank = Some((*preamble, file.clone()));
            }
            FileState::Unready | FileState::Leftovers | FileState::Blank(..) => leftovers.push(file.sequence),
            FileState::Started(_) if file.sequence < top => {
                passed_by.push(file.sequence);
                scan.report.notes.push(format!("{} was passed by", segment_name(file.sequence)));
            }
            // It does not count, and may be the only copy of something: it stays as it is.
            FileState::Bad(damage, _) if file.sequence < top => {
                scan.report.notes.push(format!("does not count: {damage}"))
            }
            FileState::Started(_) | FileState::Bad(..) => {}
        }
    }
    let none = Ends { durable: Place::NONE, visible: Place::NONE, visible_position: Position::BEGINNING };
    let mut recovered = Recovered {
        store: survey.store,
        segments,
        sequence: scan.sequence,
        ends: none,
        footing: Footing::Due { previous_end: Place::NONE, previous_checksum: 0 },
        last_checksum,
        tally: Tally::default(),
        tail: None,
        is_unproven: false,
        leftovers,
        passed_by,
        blank,
        next_sequence: survey.next_sequence()?,
        disk_bytes: survey.disk_bytes,
        log_bytes: scan.log_bytes,
        report: scan.report,
    };
    if let Some(head) = head {
        recovered.take_head(head);
    }
    recovered.report.segments = recovered.segments.len() as u32;
    recovered.ends.visible_position = recovered.sequence.last_position();
    let epoch = survey.live.map_or(0, |live| live.epoch);
    recovered.sequence.epoch = recovered.sequence.epoch.max(epoch);
    Ok(recovered)
}

impl Recovered {
    fn take_head(&mut self, head: Head) {
        self.footing = head.footing;
        self.tally = head.tally;
        self.last_checksum = head.last_checksum;
        self.report.close_state = head.close_state;
        match head.segment {
            Some(segment) => {
                self.ends.visible = Place { segment: segment.sequence(), offset: segment.end() };
                self.segments.push(Arc::new(segment));
            }
            None => {
                self.passed_by.push(head.sequence);
                if let Some(before) = self.segments.last() {
                    self.ends.visible = Place { segment: before.sequence(), offset: before.end() };
                }
            }
        }
        self.ends.durable = head.durable.unwrap_or(self.ends.visible);
        if let Some(tail) = head.tail {
            self.report.unproven_events = tail.events;
            self.tail = Some(tail);
        }
    }

    /// Adds a warning when the log's time is far ahead of the clock: times stand still until the clock gets there.
    pub(crate) fn check_clock(&mut self, now: Timestamp) {
        const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;
        let ahead = self.sequence.last_time.nanos().saturating_sub(now.nanos());
        if DAY_NANOS < ahead {
            let hours = ahead / (DAY_NANOS / 24);
            self.report
                .notes
                .push(format!("the last event is {hours} hours ahead of the clock; times stand still until then"));
        }
    }
}

/// The last segment, as it was found.
struct Head {
    sequence: u32,
    /// `None` where it counts as never started.
    segment: Option<Segment>,
    footing: Footing,
    durable: Option<Place>,
    last_checksum: u32,
    tally: Tally,
    tail: Option<Tail>,
    close_state: CloseState,
}

/// A scan over the segments of a log.
struct Scan<'a> {
    survey: &'a Survey,
    on_damage: OnDamage,
    visitor: &'a mut dyn Visitor,
    sequence: Sequence,
    report: RecoveryReport,
    log_bytes: u64,
    buffer: Vec<u8>,
    /// Acknowledged events may be missing behind the last that can be read, and nothing says how many.
    is_end_lost: bool,
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
    fn damage(&mut self, damage: Damage) -> Result<(), Error> {
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
    fn lose_end(&mut self) {
        if !self.is_end_lost {
            return;
        }
        let first = self.sequence.next_position;
        let told = self.survey.live.map_or(first, |live| live.visible_position);
        let last = told.max(first);
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

    fn segment(&self, link: &Link, mode: ReadMode, end: u32) -> Result<Segment, Error> {
        let first = link.first_position().unwrap_or(self.sequence.next_position);
        Segment::new(link.preamble, first, link.file.clone(), mode, end)
            .map_err(|error| Error::io(format!("mapping {}", segment_name(link.sequence())), error))
    }

    /// A segment that has a successor: everything before the end that one fixed was durable.
    fn sealed(&mut self, link: &Link, mode: ReadMode, successor: Option<&Link>) -> Result<(Segment, u32), Error> {
        let bytes = self.read(link)?;
        let scanned = scanned(link, &bytes);
        self.catch_up(link)?;
        let (end, checksum) = match (link.fixed_end, scanned.footer()) {
            (Some((end, checksum)), _) => (end, Some(checksum)),
            (None, Some(footer)) => (footer.end, None),
            (None, None) => (batches_end(scanned.size), None),
        };
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
            let mut damage = Damage::new(
                DamageKind::Missing,
                Place { segment: link.sequence(), offset: walked.offset },
                "events are missing",
            );
            damage.positions = Some((self.sequence.next_position, Position::new(first.get() - 1)));
            self.sequence.next_position = first;
            self.damage(damage)?;
        }
        self.log_bytes += u64::from(end);
        self.buffer = bytes;
        Ok((segment, walked.last_checksum))
    }

    /// A footer repeats what the segment holds. A missing or torn one is no damage; one that verifies must be right.
    fn check_footer(&mut self, scanned: &ScannedSegment<'_>, walked: &Walked, end: u32) -> Result<(), Error> {
        let is_whole = self.report.damage.is_empty() && walked.offset == end;
        let Some(footer) = scanned.footer().filter(|_| is_whole) else { return Ok(()) };
        if footer == walked.tally.footer(end, self.sequence.last_position()) {
            return Ok(());
        }
        let place = Place { segment: scanned.sequence, offset: batches_end(scanned.size) };
        self.damage(Damage::new(DamageKind::Misplaced, place, "the footer does not agree with what the segment holds"))
    }

    /// Passes over positions that are missing before a segment begins, which is damage that was told before.
    fn catch_up(&mut self, link: &Link) -> Result<(), Error> {
        let Some(first) = link.first_position() else { return Ok(()) };
        if self.sequence.next_position < first {
            let mut damage = Damage::new(
                DamageKind::Missing,
                Place { segment: link.sequence(), offset: FIRST_BATCH },
                "the events before this segment are missing",
            );
            damage.positions = Some((self.sequence.next_position, Position::new(first.get() - 1)));
            self.sequence.next_position = first;
            self.damage(damage)?;
        }
        Ok(())
    }

    /// The last segment: what of it was proven durable, and what stands behind that.
    fn head(&mut self, link: &Link, mode: ReadMode, reach: Reach, before_checksum: u32) -> Result<Head, Error> {
        let bytes = self.read(link)?;
        let scanned = scanned(link, &bytes);
        self.catch_up(link)?;
        if scanned.footer().is_some() && !matches!(reach, Reach::Visible(_)) {
            let place = Place { segment: link.sequence().saturating_add(1), offset: 0 };
            self.damage(Damage::new(DamageKind::Missing, place, "a sealed segment has no successor"))?;
            self.is_end_lost = true;
        }
        let proven = self.proven_end(&scanned);
        let previous_end = link.start.map_or(Place::NONE, |start| start.previous_end);
        let (until, proven) = match (reach, proven) {
            (Reach::Visible(end), _) => (end.offset.clamp(FIRST_BATCH, batches_end(scanned.size)), Some(end.offset)),
            (Reach::Proven, Some(proven)) => (proven, Some(proven)),
            (Reach::Proven, None) => return self.never_started(link, bytes, previous_end, before_checksum),
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
            tally: walked.tally,
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
                let tail = self.collect_tail(&scanned, end.offset, before)?;
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
        let tail = self.collect_tail(&scanned(link, &bytes), FIRST_BATCH, before)?;
        self.sequence = Sequence { epoch: self.sequence.epoch, ..before };
        Ok(Head {
            sequence: link.sequence(),
            segment: None,
            footing: Footing::Due { previous_end, previous_checksum: before_checksum },
            durable: None,
            last_checksum: before_checksum,
            tally: Tally::default(),
            tail: tail.map(|tail| tail.with(bytes, &link.preamble)),
            close_state: CloseState::Unclean,
        })
    }

    /// The furthest end in this segment that any witness names.
    fn proven_end(&self, scanned: &ScannedSegment<'_>) -> Option<u32> {
        let mut proven = self.survey.live.and_then(|live| scanned.names_here(live.durable_end));
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
            let proven = proven.is_some_and(|end| offset < end);
            let (verdict, batch) = self.examine(scanned, offset, proven, place, to);
            match (verdict, batch) {
                (Verdict::Accept, Some((batch, next))) => {
                    segment.mark(self.sequence.next_position, offset);
                    let events = batch.records().filter(|record| record.header.kind == Kind::Event).count() as u64;
                    walked.tally.add(batch.bytes, events, 1);
                    walked.last_checksum = batch.checksum;
                    walked.ends_closed = batch.records().next().is_some_and(|record| record.header.kind == Kind::Close);
                    walked.offset = batch.end();
                    self.sequence = next;
                    self.report.events += events;
                }
                (Verdict::End | Verdict::TornTail, _) => break,
                (Verdict::Newer, _) => {
                    let act = format!("opening the log: the record at {place} is of a kind this version does not know");
                    return Err(Error::new(ErrorKind::TooNew, act));
                }
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
                        if self.sequence.next_position < first_position {
                            damage.positions =
                                Some((self.sequence.next_position, Position::new(first_position.get() - 1)));
                            self.sequence.next_position = first_position;
                        }
                        walked.offset = next_offset;
                        segment.mark_here(self.sequence.next_position, next_offset);
                    }
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

    /// The verdict on what stands at `offset`; an accepted batch was told to the visitor.
    fn examine<'b>(
        &mut self,
        scanned: &ScannedSegment<'b>,
        offset: u32,
        proven: bool,
        place: Place,
        to: u32,
    ) -> (Verdict, Option<(BatchView<'b>, Sequence)>) {
        let unknown = Facts { blank: false, checksums: false, known: true, sequel: false, proven };
        match scanned.at(offset) {
            Found::Blank => (judge(Facts { blank: true, ..unknown }), None),
            Found::Bad(fault) => {
                let newer = fault == Fault::Newer;
                (judge(Facts { checksums: newer, known: !newer, ..unknown }), None)
            }
            Found::Batch(batch) => {
                let told = self.sequence.follow(&batch, offset == FIRST_BATCH).and_then(|next| {
                    if to < batch.end() {
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

    /// The next batch behind damage that can be read and can belong here: its offset and first position. Looking for
    /// it reads every byte at most a few times, whatever headers are made up in between.
    fn resync(&self, scanned: &ScannedSegment<'_>, from: u32, to: u32, budget: &mut usize) -> Option<(u32, Position)> {
        let mut at = from + 8;
        while let Some(offset) = scanned.next_header(at).filter(|offset| *offset < to) {
            match scanned.at(offset) {
                Found::Batch(batch) if self.sequence.next_position <= batch.header.first_position => {
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
        scanned: &ScannedSegment<'_>,
        from: u32,
        before: Sequence,
    ) -> Result<Option<TailOffsets>, Error> {
        let mut found = TailOffsets { offsets: Vec::new(), before, events: 0 };
        let mut offset = from;
        while offset < batches_end(scanned.size) {
            let place = Place { segment: scanned.sequence, offset };
            let batch = match scanned.at(offset) {
                Found::Batch(batch) => batch,
                Found::Bad(Fault::Newer) => {
                    let act = format!("opening the log: the record at {place} is of a kind this version does not know");
                    return Err(Error::new(ErrorKind::TooNew, act));
                }
                _ => break,
            };
            match self.sequence.follow(&batch, offset == FIRST_BATCH) {
                Ok(next) => self.sequence = next,
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

fn scanned<'a>(link: &Link, bytes: &'a [u8]) -> ScannedSegment<'a> {
    ScannedSegment { bytes, base: 0, salt: link.preamble.salt(), sequence: link.sequence(), size: link.preamble.size }
}
