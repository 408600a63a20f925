//! From the files of a log to its state: what counts, where it ends, and what is to be done about the rest.
//!
//! Nothing here changes an old file. What verifies behind the last witness is copied into a new segment; see
//! [`copy`](super::copy). [`Scan`] reads what is there.

use super::live::{Ends, durable_position};
use super::report::RecoveryReport;
use super::scan::{Head, Scan};
use super::sequence::Sequence;
use super::survey::{Chain, FileState, Link, Survey};
use crate::error::Error;
use crate::format::{BatchView, Fault, Footer, Preamble, Range};
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::segment::{FileNumber, KnownSegment, Sealed, Segment, segment_name};
use crate::storage::File;
use crate::sync::Arc;
use crate::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// How a note begins on something damaged that no start record names.
pub(crate) const DOES_NOT_COUNT: &str = "does not count";

/// Whoever wants to know what the log holds: told every batch that counts, in order.
pub(crate) trait Visitor {
    /// A batch that counts; it stands, or will stand, at `place`. Refusing it as senseless makes it damage.
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault>;

    /// The segments of the log, before anything of them is told: each by its random id and number, and how far it counts
    /// where a successor says that. All of them are read, or only what is not known.
    fn chain(&mut self, _links: &[(Preamble, Option<u32>)], _are_all_read: bool) {}

    /// A segment that has ended comes next. What is known of it, if that is all, so that it need not be read.
    fn sealed(&mut self, _sealed: &Sealed) -> Option<KnownSegment> {
        None
    }

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
    /// Of the last segment; `None` where that was not read.
    pub(crate) tally: Option<Tally>,
    /// What must be copied before the log is written on.
    pub(crate) tail: Option<Tail>,
    /// There is a tail that could not be copied for want of room.
    pub(crate) is_unproven: bool,
    /// Files with remains nobody speaks of; they may be removed at any time.
    pub(crate) leftovers: Vec<FileNumber>,
    /// Files the chain does not name; removed once the next start record is synced.
    pub(crate) passed_by: Vec<FileNumber>,
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
    let chain: Vec<_> = links.iter().map(|link| (link.preamble, link.fixed_end.map(|(end, _)| end))).collect();
    visitor.chain(&chain, !survey.is_quick);
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
    let mut leftovers = survey.unfinished.clone();
    let mut passed_by = Vec::new();
    let mut blank = None;
    for file in survey.files.values().filter(|file| !is_in_chain(&file.number.sequence)) {
        match &file.state {
            FileState::Blank(preamble, file) if top < preamble.sequence && blank.is_none() => {
                blank = Some((*preamble, file.clone()));
            }
            FileState::Unready | FileState::Leftovers | FileState::Blank(..) => leftovers.push(file.number),
            FileState::Started(_) if file.number.sequence < top => {
                passed_by.push(file.number);
                scan.report.notes.push(format!("{} was passed by", segment_name(file.number)));
            }
            // It does not count, and may be the only copy of something: it stays as it is.
            FileState::Bad(damage, _) if file.number.sequence < top => {
                scan.report.notes.push(format!("{DOES_NOT_COUNT}: {damage}"))
            }
            FileState::Started(_) | FileState::Bad(..) => {}
        }
    }
    let (place, position) = (Place::NONE, Position::BEGINNING);
    let none = Ends { durable: place, visible: place, visible_position: position, durable_position: position };
    let mut recovered = Recovered {
        store: survey.store,
        segments,
        sequence: scan.sequence,
        ends: none,
        footing: Footing::Due { previous_end: Place::NONE, previous_checksum: 0 },
        last_checksum,
        tally: Some(Tally::default()),
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
    recovered.ends.durable_position = durable_position(&recovered.segments, &recovered.ends);
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
                self.passed_by.push(head.sequence.into());
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
        self.report.notes.extend(clock_note(self.sequence.last_time, now));
    }
}

/// A warning where the last time is over a day ahead of the clock.
fn clock_note(last: Timestamp, now: Timestamp) -> Option<String> {
    const HOUR_NANOS: i64 = 60 * 60 * 1_000_000_000;
    let ahead = last.nanos().saturating_sub(now.nanos());
    let hours = ahead / HOUR_NANOS;
    let note = || format!("the last event is {hours} hours ahead of the clock; times stand still until then");
    (24 * HOUR_NANOS < ahead).then(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_over_a_day_behind_is_told() {
        let hour = |hours: i64| Timestamp::from_nanos(hours * 3_600 * 1_000_000_000);
        let ahead = |by: i64| clock_note(Timestamp::from_nanos(hour(100).nanos() + by), hour(100));
        assert_eq!(ahead(hour(24).nanos()), None);
        assert_eq!(ahead(-1), None);
        let note = "the last event is 24 hours ahead of the clock; times stand still until then";
        assert_eq!(ahead(hour(24).nanos() + 1).as_deref(), Some(note));
        assert!(ahead(hour(49).nanos()).is_some_and(|note| note.contains("is 49 hours")));
        assert_eq!(clock_note(Timestamp::from_nanos(i64::MIN), hour(0)), None, "before the first event");
    }
}
