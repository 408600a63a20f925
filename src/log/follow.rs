//! Following a log that another process writes, from what `live` says.

use super::live::read_live;
use super::open::living_writer;
use super::sequence::Sequence;
use super::survey::{FileState, Survey};
use crate::error::Error;
use crate::format::{BatchView, Live};
use crate::options::ReadMode;
use crate::position::{Place, Position};
use crate::segment::{FIRST_BATCH, Found, ScannedSegment, Segment, batches_end};
use crate::storage::{Access, Storage};
use crate::sync::Arc;

/// How far a reader has come.
pub(crate) struct Follower {
    /// What `live` said when the reader last looked.
    seen: Option<Live>,
    /// A writer was at work then: what it says is visible is all there is to see while it lives.
    is_beside_writer: bool,
    /// A writer was at work then and said nothing: its `live` is missing.
    is_untold: bool,
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
    /// A reader that has read up to the end of `segment`, by what `live` said in `seen`; whether it did so beside a writer
    /// that speaks in `live`, and whether the lock was held before.
    pub(crate) fn new(
        seen: Option<Live>,
        is_beside_writer: bool,
        was_locked: bool,
        sequence: Sequence,
        segment: Option<Arc<Segment>>,
    ) -> Follower {
        Follower { seen, is_beside_writer, is_untold: was_locked && seen.is_none(), sequence, segment }
    }

    /// What `live` said when it was last looked at, where a writer was at work then.
    pub(crate) fn seen(&self) -> Option<Live> {
        self.seen.filter(|_| self.is_beside_writer)
    }

    /// Whether there is more to see.
    ///
    /// A writer that was killed leaves `live` as it is and may have acknowledged more than it says there; so the lock is
    /// looked at each time. A writer whose `live` is missing says nothing: then every look opens anew.
    pub(crate) fn look(&mut self, storage: &dyn Storage) -> Look {
        let Some(now) = living_writer(storage) else {
            let now = read_live(storage);
            let is_untold = self.is_untold || (now.is_none() && storage.is_locked().unwrap_or(false));
            return if self.is_beside_writer || is_untold || now != self.seen { Look::Anew } else { Look::Same };
        };
        let is_news = self.seen != Some(now);
        let is_same_writer = self.seen.is_some_and(|seen| (seen.store, seen.epoch_bits) == (now.store, now.epoch_bits));
        if !self.is_beside_writer || !is_same_writer {
            return Look::Anew;
        }
        match &self.segment {
            Some(segment) => {
                self.seen = Some(now);
                let here = Place { segment: segment.sequence(), offset: segment.end() };
                if here < now.visible_end { Look::More(now) } else { Look::Same }
            }
            None if is_news => Look::Anew,
            None => Look::Same,
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
            let survey = Survey::take(storage, Some(*live), None, (Access::Read, u64::MAX))?;
            let next = survey.files.values().find_map(|file| match &file.state {
                FileState::Started(next) if next.begun.start.previous_end.segment == segment.sequence() => {
                    // What compaction wrote goes on from another end than this one.
                    next.preamble.rewritten.is_none().then(|| next.clone())
                }
                _ => None,
            });
            let Some(next) = next else { return Ok(false) };
            if !self.read_to(&segment, next.begun.start.previous_end.offset, tell)? {
                return Ok(false);
            }
            let first = next.begun.start.first_position;
            segment = Segment::new(next.preamble, first, next.file, mode, FIRST_BATCH)
                .map(Arc::new)
                .map_err(|error| Error::io("mapping a new segment", error))?;
            started(&segment);
            self.segment = Some(segment.clone());
        }
        self.read_to(&segment, live.visible_end.offset, tell)
    }

    fn read_to(
        &mut self,
        segment: &Arc<Segment>,
        end: u32,
        tell: &mut dyn FnMut(&Arc<Segment>, &BatchView<'_>, Position) -> bool,
    ) -> Result<bool, Error> {
        let base = segment.end();
        if end < base || batches_end(segment.preamble.size) < end {
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
            let Ok(next) = self.sequence.follow(&batch, &segment.preamble) else { return Ok(false) };
            segment.mark(self.sequence.mark(offset));
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
