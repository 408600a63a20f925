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
    /// Some of them were removed on purpose: so many, here and there, that it is not remembered which.
    Thinned,
    /// Lost, and a salvage recorded it.
    Lost,
    /// The bytes do not verify.
    Damaged,
}

impl HoleKind {
    /// Whether events may have been there that should be there.
    fn is_doubt(self) -> bool {
        matches!(self, HoleKind::Lost | HoleKind::Damaged)
    }

    /// Whether it was made on purpose.
    pub(crate) fn is_meant(self) -> bool {
        !self.is_doubt()
    }
}

/// So many holes that were made on purpose are remembered one by one among so many positions.
const TOLD_APART: usize = 64;
const AMONG: u64 = 65_536;

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

    /// Sees to it that what was removed here and there takes no more memory than a part of what stays. Nothing is gone back to
    /// from here.
    pub(crate) fn condense(&mut self) {
        let Some(begin) = self.holes.len().checked_sub(TOLD_APART) else { return };
        let last = &self.holes[begin..];
        let range = Range { first: last[0].range.first, last: last[TOLD_APART - 1].range.last };
        let is_dense = range.last.get() - range.first.get() < AMONG;
        if is_dense && last.iter().all(|hole| hole.kind.is_meant()) {
            self.holes.truncate(begin);
            self.holes.push(Hole { range, kind: HoleKind::Thinned });
        }
    }

    /// Takes what a segment that was written anew no longer holds, in place of what was known of its positions.
    pub(crate) fn replace(&mut self, positions: Range, removed: &[Range]) {
        let begin = self.holes.partition_point(|hole| hole.range.last < positions.first);
        let mut rest = self.holes.split_off(begin);
        let is_inside = |range: &Range| positions.first <= range.first && range.last <= positions.last;
        rest.retain(|hole| hole.kind.is_doubt() || !is_inside(&hole.range));
        rest.extend(removed.iter().map(|range| Hole { range: *range, kind: HoleKind::Removed }));
        rest.sort_by_key(|hole| hole.range.first);
        for hole in rest {
            match self.holes.last_mut() {
                // What was thinned reaches beyond one segment: something of it is still there.
                Some(last) if hole.range.first <= last.range.last => {
                    debug_assert!(last.kind.is_meant() && hole.kind.is_meant(), "no doubt lies in what was removed");
                    if last.kind != hole.kind {
                        last.kind = HoleKind::Thinned;
                    }
                    last.range.last = last.range.last.max(hole.range.last);
                }
                _ => self.add(hole.range, hole.kind),
            }
            self.condense();
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
        for hole in holes {
            all.add(hole.range, hole.kind);
        }
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

    /// The same, where what was thinned up to a position counts no more.
    pub(crate) fn first_told_between(&self, after: Position, before: Position, thinned: Position) -> Option<Hole> {
        self.between(after, before).find(|hole| hole.kind != HoleKind::Thinned || thinned < hole.range.last)
    }

    /// Whether any hole lies behind `after` and before `before`.
    pub(crate) fn any_between(&self, after: Position, before: Position) -> bool {
        self.first_between(after, before).is_some()
    }

    /// The first hole between two positions in which events may have been that should be there.
    pub(crate) fn doubt_between(&self, after: Position, before: Position) -> Option<Hole> {
        self.between(after, before).find(|hole| hole.kind.is_doubt())
    }

    /// The first hole between two positions where bytes do not verify.
    pub(crate) fn damaged_between(&self, after: Position, before: Position) -> Option<Hole> {
        self.between(after, before).find(|hole| hole.kind == HoleKind::Damaged)
    }

    /// The hole that makes it doubtful whether a stream whose last known event is at `last` has ended there.
    pub(crate) fn doubt_behind(&self, last: Position) -> Option<Hole> {
        let is_open = |hole: &Hole| match hole.kind {
            HoleKind::Removed | HoleKind::Thinned => false,
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
