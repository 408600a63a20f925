//! What writing segments anew needs of the store: what was decided, the segments that have ended, and the swap.

use super::carried::places_in;
use super::trail::Trail;
use super::view::{Indexed, Loss, Thinned};
use super::{EventStore, Writer, closed};
use crate::error::{Error, ErrorKind};
use crate::format::{BatchBuffer, Kind, Range, RecordView, Term};
use crate::index::{Before, CarriedPlaces, Extent, Fate, Gathering, Keeping, Quotas, SegmentTerms, forget_terms};
use crate::log::{Keeper, SwapFailure, rewrite};
use crate::position::{Position, Version};
use crate::quota::{Charge, Quota, TagScope};
use crate::segment::Segment;
use crate::sync::{Arc, AtomicU32, Mutex, MutexGuard, Ordering, ThreadId, current_thread};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// What was decided of what is kept and what goes.
pub(crate) struct Decided {
    pub(crate) streams: HashMap<Box<str>, Fate>,
    pub(crate) keeping: Keeping,
    /// By what they are for.
    pub(crate) quotas: BTreeMap<TagScope, Quota>,
    /// The consumers there are, and up to where each is done with everything but what it has set aside.
    pub(crate) consumers: Vec<(Arc<str>, Position)>,
    /// What a consumer has set aside, which is handed out again when somebody says so.
    pub(crate) parked: HashMap<Position, Arc<str>, RandomState>,
    /// The number of the last record of each consumer, also of those that were deleted.
    pub(crate) records: HashMap<Arc<str>, u64>,
}

/// A segment that was written anew and counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaced {
    /// How many bytes it has up to its end.
    pub(crate) bytes: u64,
    pub(crate) events_removed: u64,
}

impl EventStore {
    /// What was decided by now. All of it is durable.
    pub(crate) fn decided(&self) -> Result<Decided, Error> {
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::ReadOnly => return Err(error),
            _ => {}
        }
        let view = self.view()?;
        let view = view.0.read();
        let table = &view.table;
        let all = || table.consumers().iter();
        let there = || all().filter(|(_, known)| !known.is_deleted);
        let parked = there().flat_map(|(name, known)| known.parked.keys().map(|position| (*position, name.clone())));
        Ok(Decided {
            parked: parked.collect(),
            streams: table.fates().iter().map(|(name, fate)| (name.into(), fate.clone())).collect(),
            keeping: table.fates().keeping().clone(),
            quotas: table.quotas().iter().map(|(scope, quota)| (scope.clone(), quota)).collect(),
            consumers: there().map(|(name, known)| (name.clone(), known.position())).collect(),
            records: all().map(|(name, known)| (name.clone(), known.number)).collect(),
        })
    }

    /// The segments that have ended and whose successors are durable, rising; and the last position before the others.
    pub(crate) fn ended_segments(&self) -> Result<Vec<Arc<Segment>>, Error> {
        let durable = self.known_of_log()?.ends.durable;
        let view = self.view()?;
        let view = view.0.read();
        let ended = view.segments.split_last().map_or(&[][..], |(_, ended)| ended);
        Ok(ended.iter().filter(|segment| segment.sequence() < durable.segment).cloned().collect())
    }

    /// The others.
    pub(crate) fn unended_segments(&self) -> Result<Vec<Arc<Segment>>, Error> {
        let durable = self.known_of_log()?.ends.durable;
        let view = self.view()?;
        let view = view.0.read();
        let (last, ended) = match view.segments.split_last() {
            Some((last, ended)) => (Some(last), ended),
            None => (None, &[][..]),
        };
        Ok(ended.iter().filter(|segment| durable.segment <= segment.sequence()).chain(last).cloned().collect())
    }

    /// How large a segment may be.
    pub(crate) fn segment_bytes_max(&self) -> u32 {
        self.shared.options.segment_bytes_max
    }

    /// Whether an event may have been removed from a position on purpose.
    pub(crate) fn is_removed(&self, position: Position) -> Result<bool, Error> {
        let view = self.view()?;
        let view = view.0.read();
        Ok(view.table.holes().at(position).is_some_and(|hole| hole.kind.is_meant()))
    }

    /// What is visible of a stream.
    pub(crate) fn extent_of(&self, stream: &str) -> Result<Option<Extent>, Error> {
        let view = self.view()?;
        let view = view.0.read();
        Ok(view.table.visible(stream).map(|stream| *stream.extent()))
    }

    /// The version of the first of so many newest events of a stream; the first version where it has no more than those.
    pub(crate) fn version_of_newest(&self, stream: &str, events: u64) -> Result<Version, Error> {
        let view = self.view()?;
        let view = view.0.read();
        let Some(known) = view.table.visible(stream) else { return Ok(Version::FIRST) };
        let extent = *known.extent();
        if extent.events <= events {
            return Ok(Version::FIRST);
        }
        let term = view.terms.hasher().stream(stream);
        let mut trail = Trail::new(view.all_indexed(), term, extent.last_segment);
        drop(view);
        let mut left = usize::try_from(events).unwrap_or(usize::MAX);
        while let Some(stretch) = trail.next()? {
            if left <= stretch.events() {
                let index = stretch.events() - left;
                let told = stretch.version(index);
                return told.map_or_else(|| stretch.event(index).map(|event| event.version()), Ok);
            }
            left -= stretch.events();
        }
        Ok(Version::FIRST)
    }

    /// Writes one segment that stands for a row of segments which have ended, without what `keeper` does not keep. None where
    /// they are not there any more, or the keeper has it stop: then nothing has changed.
    pub(crate) fn replace_segments(
        &self,
        row: &[Arc<Segment>],
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Replaced>, Error> {
        self.writer()?.replace_segments(row, keeper)
    }

    /// Has what is derived written down, where it can be.
    pub(crate) fn keep_derived(&self) -> Result<(), Error> {
        let writer = self.writer()?;
        while writer.keep() {}
        Ok(())
    }
}

/// Whoever writes segments anew, one at a time, and until the store is closed: from then on the files may be another's.
#[derive(Default)]
pub(super) struct Rewriting {
    /// Held by whoever is at work. Taken before `keeper`.
    turn: Mutex<()>,
    /// Who that is.
    thread: Mutex<Option<ThreadId>>,
    has_ended: AtomicU32,
    /// The highest generation that was given.
    generation: AtomicU32,
    /// Held while a segment that was written anew takes its place, and by whoever needs all to stay where it is. Taken after `turn`
    /// and before `keeper`.
    place: Mutex<()>,
    /// Why nobody knows which files count: nothing is written anew before the store is opened again.
    failure: Mutex<Option<Error>>,
}

/// The turn of one, until it is dropped.
struct Turn<'a> {
    rewriting: &'a Rewriting,
    _held: MutexGuard<'a, ()>,
}

impl Rewriting {
    /// Sees to it that nothing is written anew until it is dropped.
    fn begin(&self) -> Result<Turn<'_>, Error> {
        if *self.thread.lock() == Some(current_thread().id()) {
            let act = "a compaction inside of what watches another one";
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let held = self.turn.lock();
        if self.has_ended() {
            return Err(closed());
        }
        if let Some(failure) = &*self.failure.lock() {
            let act = "compacting: an attempt before has failed, and the store must be opened again first";
            return Err(Error::with_source(failure.kind(), act, failure.clone()));
        }
        *self.thread.lock() = Some(current_thread().id());
        Ok(Turn { rewriting: self, _held: held })
    }

    /// Nothing that is written anew takes its place until this is dropped.
    pub(super) fn keep_still(&self) -> MutexGuard<'_, ()> {
        self.place.lock()
    }

    /// Ends it: whoever is at work breaks off, which is waited for. Not by itself, where it is what closes the store.
    pub(super) fn end(&self) {
        self.has_ended.store(1, Ordering::Release);
        if *self.thread.lock() != Some(current_thread().id()) {
            drop(self.turn.lock());
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire) != 0
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.rewriting.thread.lock() = None;
    }
}

impl Writer {
    fn replace_segments(&self, row: &[Arc<Segment>], keeper: &mut dyn Keeper) -> Result<Option<Replaced>, Error> {
        let _turn = self.rewriting.begin()?;
        if let Some(failure) = self.log.failure() {
            return Err(failure);
        }
        let is_there = |segment: &Arc<Segment>| {
            let view = self.view.0.read();
            view.segment(segment.sequence()).is_some_and(|there| Arc::ptr_eq(there, segment))
        };
        let (Some(first), Some(last)) = (row.first(), row.last()) else { return Ok(None) };
        if !row.iter().all(is_there) {
            return Ok(None);
        }
        let storage = &**self.log.storage();
        let quotas = self.view.0.read().table.quotas().unused();
        let mut counting = Counting {
            keeper,
            rewriting: &self.rewriting,
            lost: HashMap::default(),
            kept: HashMap::default(),
            terms: Gathering::new(self.hasher),
            quotas,
            freed: HashMap::new(),
        };
        let mut used = self.log.unfinished_generation().max(self.rewriting.generation.load(Ordering::Relaxed));
        let draft = rewrite(storage, row, self.log.options().read_mode, &mut used, &mut counting);
        self.rewriting.generation.store(used, Ordering::Relaxed);
        let Some(draft) = draft? else { return Ok(None) };
        let Counting { lost, kept, terms, freed, quotas, .. } = counting;
        // From here on no quota is counted: what is counted by now has counted what goes.
        let _still = self.rewriting.keep_still();
        let beside = match self.freed_beside(&quotas, &draft.removed) {
            Ok(beside) => beside,
            Err(error) => {
                draft.discard(storage);
                return Err(error);
            }
        };
        // From here on nobody else writes down what is derived.
        let mut derived = self.keeper.lock();
        let indexed = self.view.0.read().all_indexed();
        let sources: Vec<&Indexed> =
            indexed.iter().filter(|(segment, _)| row.iter().any(|source| Arc::ptr_eq(source, segment))).collect();
        let (from, to) = (first.preamble.stands_from(), last.sequence());
        let has_carried = self.view.0.read().table.fates().has_carried_in(&(from..=to));
        let of_draft = || -> Result<OfDraft, Error> {
            let terms = SegmentTerms::of_rewritten(&draft.segment, terms, |stream| before(&sources, stream))?;
            let loss = |(stream, events): (Box<str>, u64)| {
                let first = self.first_left(&indexed, &stream, (from, to), kept.get(&stream).copied())?;
                Ok((stream, Loss { events, first }))
            };
            let carried = if has_carried { places_in(&draft.segment)? } else { CarriedPlaces::default() };
            Ok((terms, lost.into_iter().map(loss).collect::<Result<_, Error>>()?, carried))
        };
        let (terms, streams, carried) = match of_draft() {
            Ok(of_draft) if !self.rewriting.has_ended() => of_draft,
            otherwise => {
                draft.discard(storage);
                return otherwise.map(|_| None);
            }
        };
        let (removed, last_position) = (draft.removed.clone(), draft.last_position());
        let positions = Range { first: first.first_position, last: last_position.max(first.first_position) };
        let events_removed = streams.values().map(|loss| loss.events).sum();
        let segment = match draft.swap_in(storage) {
            Ok(segment) => Arc::new(segment),
            Err(SwapFailure::Refused(error)) => return Err(error),
            Err(SwapFailure::Unknown(error)) => {
                *self.rewriting.failure.lock() = Some(error.clone());
                return Err(error);
            }
        };
        segment.file().retire();
        let bytes = u64::from(segment.end());
        let terms = Arc::new(terms);
        let freed = freed.into_values().chain(beside).collect();
        let mut thinned = Thinned { positions, removed, streams, carried, freed };
        while !self.replace_in_view(&segment, &terms, &thinned) {
            let indexed = self.view.0.read().all_indexed();
            for (stream, loss) in thinned.streams.iter_mut().filter(|(_, loss)| loss.first.is_none()) {
                let last = self.view.0.read().table.visible(stream).map(|known| *known.extent());
                let last = last.map(|extent| (extent.last_position, extent.last_segment));
                // Where it cannot be read, whoever reads it is told.
                loss.first = self.first_left(&indexed, stream, (from, to), None).unwrap_or(None).or(last);
            }
        }
        derived.forget_place();
        drop(derived);
        row.iter().for_each(|source| forget_terms(storage, source));
        Ok(Some(Replaced { bytes, events_removed }))
    }

    /// Takes the segment into the view, unless events have come to a stream of which nothing was left.
    fn replace_in_view(&self, segment: &Arc<Segment>, terms: &Arc<SegmentTerms>, thinned: &Thinned) -> bool {
        let mut view = self.view.0.write();
        let has_come = |stream: &str, loss: &Loss| {
            let events = view.table.visible(stream).map_or(0, |known| known.extent().events);
            loss.first.is_none() && loss.events < events
        };
        let is_as_it_was = !thinned.streams.iter().any(|(stream, loss)| has_come(stream, loss));
        if is_as_it_was {
            view.replace(segment.clone(), terms.clone(), thinned);
        }
        is_as_it_was
    }

    /// The first event that is left of a stream some of whose events go, and its segment.
    fn first_left(
        &self,
        indexed: &[Indexed],
        stream: &str,
        (from, to): (u32, u32),
        kept: Option<Position>,
    ) -> Result<Option<(Position, u32)>, Error> {
        let view = self.view.0.read();
        let Some(extent) = view.table.visible(stream).map(|stream| *stream.extent()) else { return Ok(None) };
        let term = view.terms.hasher().stream(stream);
        drop(view);
        if !(from..=to).contains(&extent.first_segment) {
            return Ok(Some((extent.first_position, extent.first_segment)));
        }
        if let Some(kept) = kept {
            return Ok(Some((kept, to)));
        }
        if extent.last_segment <= to {
            return Ok(None);
        }
        let behind = indexed.partition_point(|(segment, _)| segment.sequence() <= to);
        for (segment, terms) in &indexed[behind..] {
            if terms.part(segment, term)?.is_some() {
                let offset = terms.slice(segment, term, 0, 1)?.first().copied();
                let position = offset.and_then(|offset| segment.position_at(offset));
                let position = position.ok_or_else(|| segment.damaged(offset.unwrap_or(0)))?;
                return Ok(Some((position, segment.sequence())));
            }
        }
        Ok(None)
    }
}

/// What finds the events of a segment, what streams lose to it, and where states stand that it carries.
type OfDraft = (SegmentTerms, HashMap<Box<str>, Loss>, CarriedPlaces);

/// Where a stream stands before the first of some segments in which it has events.
fn before(sources: &[&Indexed], stream: Term) -> Result<Before, Error> {
    for (segment, terms) in sources {
        if let Some((part, _)) = terms.part(segment, stream)? {
            return Ok(part.before);
        }
    }
    Ok(Before::Unknown)
}

/// Counts what goes, and notes what stays.
struct Counting<'a> {
    keeper: &'a mut dyn Keeper,
    rewriting: &'a Rewriting,
    lost: HashMap<Box<str>, u64, RandomState>,
    /// The first event that stays of each stream.
    kept: HashMap<Box<str>, Position, RandomState>,
    /// What the events that stay are found by.
    terms: Gathering,
    quotas: Quotas,
    /// What tags with a quota take no more.
    freed: HashMap<(u64, Box<str>), Charge>,
}

impl Keeper for Counting<'_> {
    fn keeps(&mut self, record: &RecordView<'_>) -> bool {
        let keeps = self.keeper.keeps(record);
        if !keeps && !self.quotas.is_empty() {
            for charge in self.quotas.charges(std::iter::once(*record)) {
                match self.freed.get_mut(&(charge.number, charge.value.clone())) {
                    Some(freed) => freed.bytes += charge.bytes,
                    None => drop(self.freed.insert((charge.number, charge.value.clone()), charge)),
                }
            }
        }
        if record.header.kind == Kind::Event
            && let Ok(stream) = record.stream()
        {
            match keeps {
                true if !self.kept.contains_key(stream) => {
                    self.kept.insert(stream.into(), record.header.position);
                }
                true => {}
                false => match self.lost.get_mut(stream) {
                    Some(count) => *count += 1,
                    None => drop(self.lost.insert(stream.into(), 1)),
                },
            }
        }
        keeps
    }

    fn places(&mut self, batch: &BatchBuffer, offset: u32) {
        self.terms.add_batch(batch, offset);
    }

    fn wrote(&mut self, bytes: usize) -> bool {
        self.keeper.wrote(bytes) && !self.rewriting.has_ended()
    }
}
