//! The events of a read of all streams, one after the other.

use super::AllRead;
use super::found::{Found, Named};
use super::read::Bounds;
use super::wanted::Wanted;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::Range;
use crate::index::{HoleKind, Holes};
use crate::mutant::Mutant;
use crate::position::Position;
use crate::segment::{Cursor, Passed, Segment};
use crate::sync::Arc;

/// All events, as they were when the read began.
///
/// # Errors
///
/// An item is an error where an event cannot be given; nothing follows it.
///
/// * [`InvalidName`](ErrorKind::InvalidName), [`InvalidArgument`](ErrorKind::InvalidArgument),
///   [`TooLarge`](ErrorKind::TooLarge): the query has a fault; nothing was read.
/// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events that belong here cannot be read any more; the
///   text names the place or the positions. A read that begins behind them goes on.
/// * [`Io`](ErrorKind::Io): the operating system could not read.
/// * [`Closed`](ErrorKind::Closed): the store was closed when the read began.
pub struct AllEvents {
    state: Option<State>,
    error: Option<Error>,
}

struct State {
    bounds: Bounds,
    wanted: Wanted,
    left: u64,
    /// The segments that are still to be read, each with the end it had: in reading order, the next one last.
    segments: Vec<(Arc<Segment>, u32)>,
    walk: Walk,
    /// The next position that is to come forwards; behind the next one backwards.
    expected: Position,
    holes: Holes,
    /// Backwards: what was read of a block and not given yet, the next one last.
    block: Vec<Passed>,
}

enum Walk {
    /// Between segments.
    Between,
    Forwards(Cursor),
    /// In this segment, before this offset.
    Backwards(Arc<Segment>, u32),
    /// From one event that an index names to the next.
    Found(Box<Found>),
}

/// What an event that came by is to a read.
enum Met {
    Wanted(RecordedEvent),
    Other,
    /// Neither it nor anything that follows is wanted.
    Behind,
}

impl AllEvents {
    pub(super) fn new(read: &AllRead) -> AllEvents {
        let source = match &read.source {
            Ok(source) => source,
            Err(error) => return AllEvents { state: None, error: Some(error.clone()) },
        };
        if let Some(fault) = read.wanted.fault() {
            return AllEvents { state: None, error: Some(fault.clone()) };
        }
        let view = source.0.read();
        let mut bounds = read.bounds;
        bounds.after(read.wanted.after().get());
        // Behind an end that damage made uncertain there may have been what is asked for.
        if let Some(hole) = view.table.holes().lost_end()
            && view.head.get() < bounds.first
            && !bounds.are_empty()
            && !bounds.skips_lost
        {
            return AllEvents { state: None, error: Some(unreadable(hole.range, hole.kind)) };
        }
        bounds.to(view.head.get());
        view.narrow(&mut bounds, read.wanted.since, read.wanted.until);
        if bounds.are_empty() {
            return AllEvents { state: None, error: None };
        }
        let (first, last) = (Position::new(bounds.first), Position::new(bounds.last));
        let plan = read.wanted.plan(view.terms.hasher());
        let found = plan.map(|plan| Found::new(&view, plan, &bounds));
        let of_segment = |(segment, _): (&Arc<Segment>, Position)| (segment.clone(), view.end_of(segment));
        let mut segments = Vec::new();
        if found.is_none() {
            segments.extend(view.segments_of(first, last).map(of_segment));
        }
        if !bounds.is_backwards {
            segments.reverse();
        }
        let expected = if bounds.is_backwards { last } else { first };
        let state = State {
            bounds,
            wanted: read.wanted.clone(),
            left: bounds.limit,
            segments,
            walk: found.map_or(Walk::Between, |found| Walk::Found(Box::new(found))),
            expected,
            holes: if read.wanted.passes_accepted { Holes::default() } else { view.table.holes().clone() },
            block: Vec::new(),
        };
        AllEvents { state: Some(state), error: None }
    }

    /// How many events there are.
    pub(super) fn total(mut self) -> Result<u64, Error> {
        if let Some(state) = &mut self.state
            && let Some(count) = state.count_found()?
        {
            return Ok(count);
        }
        self.try_fold(0, |count, event| event.map(|_| count + 1))
    }
}

impl Iterator for AllEvents {
    type Item = Result<RecordedEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let state = self.state.as_mut()?;
        let item = if state.bounds.is_backwards { state.retreat() } else { state.advance() }.transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = None;
        }
        item.filter(|item| item.is_ok() || !Mutant::EndsAtAReadError.is_on())
    }
}

impl State {
    fn advance(&mut self) -> Result<Option<RecordedEvent>, Error> {
        loop {
            // What lies behind the bounds is not even looked at: it may be damaged, and nobody asked for it.
            if self.left == 0 || self.bounds.last < self.expected.get() {
                return Ok(None);
            }
            if matches!(self.walk, Walk::Found(_)) {
                return self.advance_found();
            }
            let Walk::Forwards(cursor) = &mut self.walk else {
                let Some((segment, end)) = self.segments.pop() else {
                    return self.pass_to(Position::new(self.bounds.last.saturating_add(1))).map(|()| None);
                };
                let mark = segment.mark_before(self.expected);
                let offset = mark.map_or(crate::segment::FIRST_BATCH, |mark| mark.offset);
                let first = Position::new(self.bounds.first);
                self.walk = Walk::Forwards(Cursor::new(segment, offset, end).skipping_to(first));
                continue;
            };
            let passed = match cursor.next() {
                Ok(passed) => passed,
                Err(error) => {
                    // Where nothing is missing between here and the next mark or segment, or nobody minds, it goes on
                    // from there.
                    let behind = cursor.behind_damage().filter(|_| error.kind() == ErrorKind::Damaged);
                    self.bounds.skips_lost |= Mutant::PassesOverDamage.is_on();
                    let next = self.segments.last().map(|(segment, _)| segment.first_position);
                    let is_passable = self.bounds.skips_lost || next.is_some_and(|next| next <= self.expected);
                    match behind {
                        Some((cursor, position)) if position <= self.expected || self.bounds.skips_lost => {
                            self.walk = Walk::Forwards(cursor);
                        }
                        None if is_passable && error.kind() == ErrorKind::Damaged => self.walk = Walk::Between,
                        _ => return Err(self.explain(error)),
                    }
                    continue;
                }
            };
            match passed {
                None => self.walk = Walk::Between,
                Some(Passed::Event(event)) => match self.meet(event)? {
                    Met::Wanted(event) => return Ok(Some(event)),
                    Met::Other => {}
                    Met::Behind => return Ok(None),
                },
                Some(Passed::Removed(range)) => {
                    self.expected = self.expected.max(range.last.next().unwrap_or(range.last))
                }
                Some(Passed::Lost(range)) => self.pass_lost(range)?,
            }
        }
    }

    /// The next event that an index names and that is wanted.
    fn advance_found(&mut self) -> Result<Option<RecordedEvent>, Error> {
        while let Walk::Found(found) = &mut self.walk
            && let Some(named) = found.next()?
        {
            let met = match found.read(&named) {
                Ok(event) if self.bounds.is_backwards => self.meet_backwards(event)?,
                Ok(event) => self.meet(event)?,
                Err(error) if error.kind() == ErrorKind::Damaged && self.may_pass(&named) => Met::Other,
                Err(error) => return Err(self.explain(error)),
            };
            match met {
                Met::Wanted(event) => return Ok(Some(event)),
                Met::Other => {}
                Met::Behind => return Ok(None),
            }
        }
        match self.bounds.is_backwards {
            true => self.pass_down_to(Position::new(self.bounds.first - 1)),
            false => self.pass_to(Position::new(self.bounds.last.saturating_add(1))),
        }
        .map(|()| None)
    }

    /// Whether an event that cannot be read is none of those that are wanted, or nobody minds.
    fn may_pass(&self, named: &Named) -> bool {
        self.bounds.skips_lost || named.range().is_some_and(|(first, last)| !self.bounds.meet(first, last))
    }

    /// How many events the read will give, where an index can say so.
    fn count_found(&mut self) -> Result<Option<u64>, Error> {
        let (below, above) = (self.bounds.first - 1, self.bounds.last.saturating_add(1));
        let is_whole = self.holes.doubt_between(Position::new(below), Position::new(above)).is_none();
        let Walk::Found(found) = &mut self.walk else { return Ok(None) };
        if !is_whole || !self.wanted.is_by_terms() {
            return Ok(None);
        }
        let mut count = 0;
        while let Some(named) = found.next()? {
            let is_wanted = named.is_inside
                || match found.read(&named) {
                    Ok(event) => self.bounds.hold(event.position().get()) && self.wanted.accepts(&event),
                    Err(error) => {
                        let range = named.range();
                        if error.kind() != ErrorKind::Damaged || range.is_none_or(|(a, b)| self.bounds.meet(a, b)) {
                            return Err(error);
                        }
                        false
                    }
                };
            count += u64::from(is_wanted);
        }
        Ok(Some(count.min(self.left)))
    }

    /// Looks at an event that came by, forwards.
    fn meet(&mut self, event: RecordedEvent) -> Result<Met, Error> {
        let position = event.position();
        if position.get() < self.bounds.first {
            return Ok(Met::Other);
        }
        if self.bounds.last < position.get() {
            return self.pass_to(Position::new(self.bounds.last + 1)).map(|()| Met::Behind);
        }
        self.pass_to(position)?;
        self.expected = position.next().unwrap_or(position);
        if self.wanted.is_behind(&event) {
            return Ok(Met::Behind);
        }
        Ok(self.take(event))
    }

    /// The same backwards.
    fn meet_backwards(&mut self, event: RecordedEvent) -> Result<Met, Error> {
        let position = event.position();
        if self.bounds.last < position.get() {
            return Ok(Met::Other);
        }
        self.pass_down_to(position)?;
        if position.get() < self.bounds.first {
            return Ok(Met::Behind);
        }
        self.expected = Position::new(position.get() - 1);
        if self.wanted.is_before(&event) {
            return Ok(Met::Behind);
        }
        Ok(self.take(event))
    }

    fn take(&mut self, event: RecordedEvent) -> Met {
        if !self.wanted.accepts(&event) {
            return Met::Other;
        }
        self.left -= 1;
        Met::Wanted(event)
    }

    /// Fails where positions before `position` should have come and did not.
    fn pass_to(&mut self, position: Position) -> Result<(), Error> {
        if self.expected < position
            && let Some(hole) = self.holes.doubt_between(Position::new(self.expected.get() - 1), position)
            && !self.bounds.skips_lost
        {
            return Err(unreadable(hole.range, hole.kind));
        }
        Ok(())
    }

    fn pass_lost(&mut self, range: Range) -> Result<(), Error> {
        let is_asked_for = self.bounds.first <= range.last.get() && range.first.get() <= self.bounds.last;
        if is_asked_for && !self.bounds.skips_lost && !self.wanted.passes_accepted {
            return Err(unreadable(range, HoleKind::Lost));
        }
        self.expected = self.expected.max(range.last.next().unwrap_or(range.last));
        Ok(())
    }

    fn explain(&self, error: Error) -> Error {
        match self.holes.at(self.expected) {
            Some(hole) if hole.kind == HoleKind::Damaged => {
                Error::with_source(ErrorKind::Damaged, unreadable(hole.range, hole.kind).to_string(), error)
            }
            _ => error,
        }
    }

    fn retreat(&mut self) -> Result<Option<RecordedEvent>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        if matches!(self.walk, Walk::Found(_)) {
            return self.advance_found();
        }
        loop {
            match self.block.pop() {
                Some(Passed::Event(event)) => match self.meet_backwards(event)? {
                    Met::Wanted(event) => return Ok(Some(event)),
                    Met::Other => {}
                    Met::Behind => return Ok(None),
                },
                Some(Passed::Removed(range)) => {
                    self.expected = self.expected.min(Position::new(range.first.get().saturating_sub(1)));
                }
                Some(Passed::Lost(range)) => {
                    self.pass_lost(range)?;
                    self.expected = self.expected.min(Position::new(range.first.get().saturating_sub(1)));
                }
                None => {
                    if self.expected.get() < self.bounds.first || !self.read_block()? {
                        return self.pass_down_to(Position::new(self.bounds.first - 1)).map(|()| None);
                    }
                }
            }
        }
    }

    /// Fails where positions behind `position` should have come and did not.
    fn pass_down_to(&mut self, position: Position) -> Result<(), Error> {
        let low = position.max(Position::new(self.bounds.first - 1));
        if low < self.expected
            && let Some(hole) = self.holes.doubt_between(low, Position::new(self.expected.get() + 1))
            && !self.bounds.skips_lost
        {
            return Err(unreadable(hole.range, hole.kind));
        }
        Ok(())
    }

    /// Reads the block before the last one. Whether there was one.
    fn read_block(&mut self) -> Result<bool, Error> {
        let (segment, before) = match std::mem::replace(&mut self.walk, Walk::Between) {
            Walk::Backwards(segment, before) => (segment, before),
            _ => match self.segments.pop() {
                Some(next) => next,
                None => return Ok(false),
            },
        };
        let Some(mark) = segment.mark_before_offset(before) else { return Ok(true) };
        // The block that holds the upper bound is the last one that is wanted; those behind it need not be read.
        if mark.position <= self.expected {
            let mut cursor = Cursor::new(segment.clone(), mark.offset, before);
            let mut next = mark.position;
            loop {
                // Behind what is wanted of the block there may be damage: nothing is missing because of it.
                let is_passable = self.bounds.skips_lost || self.expected < next;
                match cursor.next() {
                    Ok(Some(passed)) => {
                        next = passed.next_position();
                        self.block.push(passed);
                    }
                    Ok(None) => break,
                    Err(error) if is_passable && error.kind() == ErrorKind::Damaged => break,
                    Err(error) => return Err(self.explain(error)),
                }
            }
        }
        self.walk = Walk::Backwards(segment, mark.offset);
        Ok(true)
    }
}

pub(super) fn unreadable(range: Range, kind: HoleKind) -> Error {
    let (first, last) = (range.first, range.last);
    match kind {
        HoleKind::Lost => {
            Error::new(ErrorKind::Lost, format!("reading positions {first} to {last}: they were lost to damage"))
        }
        HoleKind::Damaged | HoleKind::Removed | HoleKind::Thinned => {
            Error::new(ErrorKind::Damaged, format!("reading positions {first} to {last}: their bytes do not verify"))
        }
    }
}
