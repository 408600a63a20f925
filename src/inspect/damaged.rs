//! What of a log is damaged, and what is to be done about each of it.

use super::options;
use super::salvage::streams_in_doubt;
use crate::error::{Error, ErrorKind};
use crate::format::{BatchView, FOOTER_LEN, Fault, RECORD_HEADER_LEN, Range, Start};
use crate::index::{SavedTable, StreamTable};
use crate::log::{
    Damage, DamageKind, Mend, Opened, Standing, Visitor, living_writer, read_beside, read_live, segment_files,
};
use crate::options::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::position::{POSITION_MAX, Place, Position};
use crate::segment::{
    FIRST_BATCH, FileNumber, LOG_DIR, ScannedSegment, Segment, batches_end, parse_segment_name, read_whole,
    segment_name,
};
use crate::snapshot::furthest_witness;
use crate::storage::Storage;
use crate::sync::Arc;
use std::collections::BTreeMap;

/// The smallest record of an event: a name and a type of one byte each.
const EVENT_LEN_MIN: u64 = RECORD_HEADER_LEN as u64 + 2;

/// All there is to do.
pub(super) struct Work {
    pub(super) store: [u8; 16],
    /// Segments to be written in place of others.
    pub(super) mends: Vec<Mend>,
    /// The segment to begin behind an end that is damaged.
    pub(super) end: Option<End>,
    /// Files to be set aside.
    pub(super) files: Vec<FileNumber>,
    /// Those of them in place of which nothing is written: they lie behind the end.
    pub(super) strays: Vec<FileNumber>,
    opened: Opened<Followed>,
    lens: BTreeMap<FileNumber, u64>,
}

/// How the log goes on behind an end that is damaged.
pub(super) struct End {
    pub(super) sequence: u32,
    pub(super) epoch: u32,
    pub(super) previous: (Place, u32),
    pub(super) standing: Standing,
    pub(super) lost: Option<Range>,
}

/// What is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) damage: Vec<Damage>,
    pub(super) lost: Vec<(Position, Position)>,
    pub(super) files: Vec<String>,
    pub(super) events: u64,
    pub(super) streams_in_doubt: u64,
    pub(super) bytes: u64,
}

/// Follows what counts, and knows how the log stood before each segment.
struct Followed {
    table: StreamTable,
    standing: Standing,
    before: BTreeMap<u32, Standing>,
    lost: Vec<Range>,
    end: Option<Range>,
}

impl Visitor for Followed {
    fn batch(&mut self, place: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        self.table.batch(place, batch)?;
        self.before.entry(place.segment).or_insert(self.standing);
        self.standing.pass(place, batch);
        Ok(())
    }

    fn damaged(&mut self, range: Range) {
        self.table.damaged(range);
        self.lost.push(range);
    }

    fn end_damaged(&mut self, range: Range) {
        self.table.end_damaged(range);
        self.end = Some(range);
    }
}

impl Work {
    /// Reads the log and works it out. `is_locked`: by the caller, so that there is no other writer.
    pub(super) fn find(storage: &dyn Storage, is_locked: bool) -> Result<Work, Error> {
        let witness = furthest_witness(storage, SavedTable::read(storage).as_ref());
        let writer = if is_locked { None } else { living_writer(storage) };
        let opened = read_beside(storage, &options(), (writer, witness.as_ref()), |_| Followed {
            table: StreamTable::default(),
            standing: Standing::BEGINNING,
            before: BTreeMap::new(),
            lost: Vec::new(),
            end: None,
        })?;
        let entries = storage.list(LOG_DIR).map_err(|error| Error::io("listing the segments of the log", error))?;
        let lens = entries.iter().filter_map(|entry| Some((parse_segment_name(&entry.name)?, entry.len))).collect();
        let mut work = Work {
            store: opened.store,
            mends: Vec::new(),
            end: None,
            files: Vec::new(),
            strays: Vec::new(),
            opened,
            lens,
        };
        if work.damage().is_empty() {
            return Ok(work);
        }
        if work.store == [0; 16] {
            let act = "repairing the log: no file of it says which store this is, so there is nothing to go on from";
            return Err(Error::new(ErrorKind::Damaged, act));
        }
        work.find_mends()?;
        work.find_strays(&segment_files(storage)?);
        let named = read_live(storage).map_or(0, |live| live.durable_end.segment);
        let named = named.max(witness.map_or(0, |witness| witness.durable.segment));
        work.find_end(named)?;
        Ok(work)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.damage().is_empty()
    }

    pub(super) fn damage(&self) -> &[Damage] {
        self.opened.report.damage()
    }

    fn find_mends(&mut self) -> Result<(), Error> {
        let segments = &self.opened.segments;
        let starts: Vec<Option<Start>> = segments.iter().map(|segment| segment.start().ok()).collect();
        for (index, segment) in segments.iter().enumerate() {
            let before = self.standing_before(index);
            let below = index.checked_sub(1).map(|index| &*segments[index]);
            let lowest = below.map_or(0, Segment::sequence) + 1;
            let named = starts[index].filter(|start| start.previous_end != Place::NONE);
            let missing = named.map(|start| start.previous_end.segment).filter(|named| lowest <= *named);
            let mut previous = before.end_of(below);
            if let (Some(sequence), Some(start)) = (missing, named) {
                let until = start.first_position;
                self.mends.push(Mend { from: lowest, sequence, source: None, previous, before, until });
                // Of one that was written anew nobody compares where it ends.
                previous = (Place { segment: sequence, offset: FIRST_BATCH }, 0);
            }
            let next = starts.get(index + 1).copied().flatten();
            let next = next.filter(|next| next.previous_end.segment == segment.sequence());
            let is_last = index + 1 == segments.len();
            let is_damaged = starts[index].is_none()
                || self.damage().iter().any(|damage| is_of(damage, segment, next.is_some() || is_last))
                || (is_last && self.opened.visitor.end.is_some() && !is_blank_behind(segment)?);
            if is_damaged {
                let from = if starts[index].is_some() { segment.preamble.stands_from() } else { lowest };
                let (sequence, source) = (segment.sequence(), Some(segment.clone()));
                let until = next.map_or(Position::BEGINNING, |next| next.first_position);
                self.mends.push(Mend { from, sequence, source, previous, before, until });
            }
        }
        Ok(())
    }

    /// How the log stands before a segment: as behind the last batch that counts.
    fn standing_before(&self, index: usize) -> Standing {
        let Opened { segments, visitor, .. } = &self.opened;
        let known = segments[index..].iter().find_map(|segment| visitor.before.get(&segment.sequence()));
        known.copied().unwrap_or(visitor.standing)
    }

    fn find_strays(&mut self, files: &[FileNumber]) {
        let mut last = 0;
        // Of several files of one number the first counts.
        let counting = files.iter().filter(|number| std::mem::replace(&mut last, number.sequence) != number.sequence);
        let top = self.opened.segments.last().map_or(0, |segment| segment.sequence());
        for number in counting {
            let is_stood_for = |mend: &Mend| (mend.from..=mend.sequence).contains(&number.sequence);
            let is_damaged = |damage: &Damage| damage.place.segment == number.sequence;
            if self.mends.iter().any(is_stood_for) {
                self.files.push(*number);
            } else if top < number.sequence && self.damage().iter().any(is_damaged) {
                self.files.push(*number);
                self.strays.push(*number);
            }
        }
    }

    fn find_end(&mut self, named: u32) -> Result<(), Error> {
        let Opened { segments, visitor, sequence, .. } = &self.opened;
        let last = segments.last();
        let is_mended = last.is_none_or(|last| self.mends.iter().any(|mend| mend.sequence == last.sequence()));
        if visitor.end.is_none() && !is_mended {
            return Ok(());
        }
        let highest = self.lens.keys().map(|number| number.sequence).max().unwrap_or(0).max(named);
        let no_number = || Error::new(ErrorKind::TooLarge, "no number is left for another segment or epoch");
        let lost = visitor.end.map(|told| Range { last: told.last.max(self.furthest(told.first)), ..told });
        let next = highest.checked_add(1).zip(sequence.epoch.checked_add(1)).ok_or_else(no_number)?;
        let (previous, standing) = (visitor.standing.end_of(last.map(|last| &**last)), visitor.standing);
        self.end = Some(End { sequence: next.0, epoch: next.1, previous, standing, lost });
        Ok(())
    }

    /// The furthest position that can have been given behind an end that is damaged: what is not there any more had room for so
    /// many events and no more.
    fn furthest(&self, first: Position) -> Position {
        let top = self.opened.segments.last();
        let behind = top.map_or(0, |last| batches_end(last.preamble.size).saturating_sub(last.end()));
        let strays = self.strays.iter().filter_map(|number| self.lens.get(number)).sum::<u64>();
        let is_gone = |damage: &Damage| {
            let segment = damage.place.segment;
            top.map_or(0, |last| last.sequence()) < segment
                && !self.lens.keys().any(|number| number.sequence == segment)
        };
        let gone = if self.damage().iter().any(is_gone) { u64::from(SEGMENT_BYTES_MAX) } else { 0 };
        let events = (u64::from(behind) + strays + gone) / EVENT_LEN_MIN;
        Position::new(first.get().saturating_add(events.saturating_sub(1)).min(POSITION_MAX))
    }

    /// What is told of it.
    pub(super) fn outline(&self) -> Result<Outline, Error> {
        let Opened { visitor, report, .. } = &self.opened;
        let mut ranges = visitor.lost.clone();
        ranges.extend(self.end.as_ref().and_then(|end| end.lost));
        ranges.sort_by_key(|range| range.first);
        let mut lost: Vec<(Position, Position)> = Vec::new();
        for range in ranges {
            match lost.last_mut() {
                Some((_, last)) if last.next() == Some(range.first) => *last = range.last,
                _ => lost.push((range.first, range.last)),
            }
        }
        let aside: u64 = self.files.iter().filter_map(|number| self.lens.get(number)).sum();
        let written = self.mends.iter().map(|mend| {
            let held = mend.source.as_ref().map_or(0, |source| u64::from(source.end()) + FOOTER_LEN as u64);
            held + u64::from(SEGMENT_BYTES_MIN)
        });
        let end = if self.end.is_some() { u64::from(SEGMENT_BYTES_MIN) } else { 0 };
        Ok(Outline {
            damage: report.damage().to_vec(),
            lost,
            files: self.files.iter().map(|number| segment_name(*number)).collect(),
            events: report.events(),
            streams_in_doubt: streams_in_doubt(&visitor.table),
            bytes: aside + written.sum::<u64>() + end,
        })
    }
}

/// Whether damage lies in a segment, and not only before or behind it. `is_named`: the one behind it goes on from it.
fn is_of(damage: &Damage, segment: &Segment, is_named: bool) -> bool {
    let Place { segment: sequence, offset } = damage.place;
    let is_elsewhere = damage.kind == DamageKind::Missing
        && damage.positions.is_some()
        && (offset == FIRST_BATCH || (offset == segment.end() && !is_named));
    sequence == segment.sequence() && !is_elsewhere
}

/// Whether nothing stands behind where a segment ends.
fn is_blank_behind(segment: &Arc<Segment>) -> Result<bool, Error> {
    let size = segment.preamble.size;
    let mut bytes = Vec::new();
    read_whole(&**segment.file(), size as usize, &mut bytes)
        .map_err(|error| Error::io(format!("reading {}", segment_name(&segment.preamble)), error))?;
    let scanned = ScannedSegment { bytes: &bytes, base: 0, salt: segment.salt, sequence: segment.sequence(), size };
    Ok(scanned.is_blank_from(segment.end()))
}
