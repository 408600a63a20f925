//! Following a log that another process writes, from what `live` says.

use super::live::read_live;
use super::open::living_writer;
use super::sequence::Sequence;
use super::survey::{FileState, Survey};
use crate::error::Error;
use crate::format::{BatchView, Live};
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment};
use crate::storage::{Access, Storage};
use crate::sync::Arc;

/// How far a reader beside a writer has come.
pub(crate) struct Follower {
    /// What `live` said when the reader last looked.
    seen: Option<Live>,
    sequence: Sequence,
    segment: Option<Arc<Segment>>,
}

/// What a look at `live` says to do.
pub(crate) enum Look {
    /// Nothing has changed.
    Same,
    /// There is more to see, up to this place.
    More(Live),
    /// It cannot be followed on from here: open again.
    Anew,
}

impl Follower {
    pub(crate) fn new(storage: &dyn Storage, sequence: Sequence, segment: Option<Arc<Segment>>) -> Follower {
        Follower { seen: read_live(storage), sequence, segment }
    }

    /// Whether there is more to see.
    pub(crate) fn look(&mut self, storage: &dyn Storage) -> Look {
        let now = read_live(storage);
        if now == self.seen {
            return Look::Same;
        }
        let before = std::mem::replace(&mut self.seen, now);
        let (Some(before), Some(now)) = (before, now) else { return Look::Anew };
        let is_same_writer = (before.store, before.epoch_bits) == (now.store, now.epoch_bits);
        match &self.segment {
            Some(segment) if is_same_writer && living_writer(storage).is_some() => {
                let here = Place { segment: segment.sequence(), offset: segment.end() };
                if here < now.visible_end { Look::More(now) } else { Look::Same }
            }
            _ => Look::Anew,
        }
    }

    /// Reads on up to what is visible now. `tell` is given each batch with its segment; `started` each segment that
    /// begins on the way, before its batches. False where it cannot be followed and must be opened again.
    pub(crate) fn advance(
        &mut self,
        storage: &dyn Storage,
        mode: ReadMode,
        live: &Live,
        started: &mut dyn FnMut(&Arc<Segment>),
        tell: &mut dyn FnMut(&Arc<Segment>, &BatchView<'_>, Position) -> bool,
    ) -> Result<bool, Error> {
        let Some(mut segment) = self.segment.clone() else { return Ok(false) };
        while segment.sequence() < live.visible_end.segment {
            let survey = Survey::take(storage, Some(*live), Access::Read)?;
            let next = survey.files.values().find_map(|file| match &file.state {
                FileState::Started(next) if next.start.previous_end.segment == segment.sequence() => Some(next.clone()),
                _ => None,
            });
            let Some(next) = next else { return Ok(false) };
            if !self.read_to(&segment, next.start.previous_end.offset, tell)? {
                return Ok(false);
            }
            let first = next.start.first_position;
            segment = Segment::new(next.preamble, first, next.file, mode, FIRST_BATCH)
                .map(Arc::new)
                .map_err(|error| Error::io("mapping a new segment", error))?;
            started(&segment);
        }
        let is_there = self.read_to(&segment, live.visible_end.offset, tell)?;
        self.segment = Some(segment);
        Ok(is_there)
    }

    fn read_to(
        &mut self,
        segment: &Arc<Segment>,
        end: u32,
        tell: &mut dyn FnMut(&Arc<Segment>, &BatchView<'_>, Position) -> bool,
    ) -> Result<bool, Error> {
        let base = segment.end();
        if end < base {
            return Ok(false);
        }
        let mut bytes = vec![0; (end - base) as usize];
        let act = || format!("reading {}", Place { segment: segment.sequence(), offset: base });
        let read = segment.file().read_at(&mut bytes, base.into()).map_err(|error| Error::io(act(), error))?;
        let scanned = ScannedSegment {
            bytes: &bytes[..read],
            base,
            salt: segment.salt,
            sequence: segment.sequence(),
            size: segment.preamble.size,
        };
        let mut offset = base;
        while offset < end {
            let Found::Batch(batch) = scanned.at(offset) else { return Ok(false) };
            let Ok(next) = self.sequence.follow(&batch, offset == FIRST_BATCH) else { return Ok(false) };
            segment.mark(self.sequence.next_position, offset);
            self.sequence = next;
            offset = batch.end();
            segment.set_end(offset);
            if !tell(segment, &batch, next.last_position()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
