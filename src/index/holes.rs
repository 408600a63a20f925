//! Positions that no event can be read at, and why.

use crate::format::Range;
use crate::position::Position;

/// Positions without events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) range: Range,
    pub(crate) kind: HoleKind,
}

/// Why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoleKind {
    /// Removed on purpose.
    Removed,
    /// Lost, and a salvage recorded it.
    Lost,
    /// The bytes do not verify.
    Damaged,
}

/// All holes of a store: none in most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holes {
    /// Rising and apart from each other.
    holes: Vec<Hole>,
    /// Losses up to here were accepted.
    accepted: Option<Position>,
    /// More may be missing behind the last hole.
    is_end_lost: bool,
}

/// How the holes were at some moment. Only the last one can have become longer since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HolesMark {
    len: usize,
    last: Option<Hole>,
    accepted: Option<Position>,
}

impl Holes {
    pub(crate) fn add(&mut self, range: Range, kind: HoleKind) {
        match self.holes.last_mut() {
            Some(last) if last.kind == kind && last.range.last.next() == Some(range.first) => {
                last.range.last = range.last
            }
            _ => self.holes.push(Hole { range, kind }),
        }
    }

    /// What is known now, to go back to.
    pub(crate) fn mark(&self) -> HolesMark {
        HolesMark { len: self.holes.len(), last: self.holes.last().copied(), accepted: self.accepted }
    }

    /// Forgets what was added since.
    pub(crate) fn go_back(&mut self, mark: HolesMark) {
        self.holes.truncate(mark.len);
        if let (Some(last), Some(before)) = (self.holes.last_mut(), mark.last) {
            *last = before;
        }
        self.accepted = mark.accepted;
    }

    /// Those that were written down, and up to where losses were accepted.
    pub(super) fn saved(holes: &[Hole], accepted: Option<Position>) -> Holes {
        let mut all = Holes { accepted, ..Holes::default() };
        holes.iter().for_each(|hole| all.add(hole.range, hole.kind));
        all
    }

    /// Those up to a position, to be written down, and up to where losses were accepted.
    pub(super) fn to_save(&self, head: Position) -> (Vec<Hole>, Option<Position>) {
        let up_to_head = |hole: &Hole| Hole { range: Range { last: hole.range.last.min(head), ..hole.range }, ..*hole };
        let before = self.holes.iter().filter(|hole| hole.range.first <= head);
        (before.map(up_to_head).collect(), self.accepted)
    }

    /// Notes that nothing says how much is missing behind the last hole.
    pub(crate) fn lose_end(&mut self) {
        self.is_end_lost = true;
    }

    /// The last hole, where more may be missing behind it.
    pub(crate) fn lost_end(&self) -> Option<Hole> {
        self.holes.last().copied().filter(|_| self.is_end_lost)
    }

    pub(crate) fn accept(&mut self, last: Position) {
        self.accepted = self.accepted.max(Some(last));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    /// The first hole behind `after` and before `before`.
    pub(crate) fn first_between(&self, after: Position, before: Position) -> Option<Hole> {
        self.between(after, before).next()
    }

    /// Whether any hole lies behind `after` and before `before`.
    pub(crate) fn any_between(&self, after: Position, before: Position) -> bool {
        self.first_between(after, before).is_some()
    }

    /// The first hole between two positions in which events may have been that should be there.
    pub(crate) fn doubt_between(&self, after: Position, before: Position) -> Option<Hole> {
        self.between(after, before).find(|hole| hole.kind != HoleKind::Removed)
    }

    /// The hole that makes it doubtful whether a stream whose last known event is at `last` has ended there.
    pub(crate) fn doubt_behind(&self, last: Position) -> Option<Hole> {
        let is_open = |hole: &Hole| match hole.kind {
            HoleKind::Removed => false,
            HoleKind::Lost => self.accepted.is_none_or(|accepted| accepted < hole.range.last),
            HoleKind::Damaged => true,
        };
        self.between(last, Position::new(u64::MAX)).find(is_open)
    }

    /// The hole a position lies in.
    pub(crate) fn at(&self, position: Position) -> Option<Hole> {
        let index = self.holes.partition_point(|hole| hole.range.last < position);
        self.holes.get(index).copied().filter(|hole| hole.range.first <= position)
    }

    /// The positions of losses that were not accepted.
    pub(crate) fn losses(&self) -> impl Iterator<Item = Range> {
        self.holes.iter().filter(|hole| hole.kind == HoleKind::Lost).map(|hole| hole.range)
    }

    fn between(&self, after: Position, before: Position) -> impl Iterator<Item = Hole> {
        let from = self.holes.partition_point(|hole| hole.range.last <= after);
        self.holes[from..].iter().copied().take_while(move |hole| hole.range.first < before)
    }
}
