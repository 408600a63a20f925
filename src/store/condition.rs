//! What a batch asks of the store before it is accepted.

use super::view::{SharedView, View};
use crate::error::Conflict;
use crate::format::{BatchTerms, KeyFact};
use crate::index::Plan;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{ExpectedVersion, Position, Version};
use crate::query::Query;
use crate::sync::Arc;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Weak;

/// Something a batch asks.
pub(super) enum Condition {
    /// A stream is at some version.
    Version(StreamName, ExpectedVersion),
    /// No event is there that a query asks for.
    Unless(Box<Unless>),
}

/// That no event is there that a query asks for.
pub(super) struct Unless {
    pub(super) query: Query,
    /// Which condition of its kind it is in its batch, from 1.
    pub(super) number: usize,
    /// Where a decision read saw the store, if it handed this out.
    pub(super) seen_in: Option<Weak<SharedView>>,
    /// What was found of it in what was visible, once that was looked through.
    pub(super) looked: Option<Looked>,
}

/// What a look at all that is visible up to some position has found.
pub(super) struct Looked {
    pub(super) plan: Plan,
    pub(super) up_to: Position,
    /// The first event that the query asks for.
    pub(super) found: Option<Position>,
}

/// That a batch is accepted once, under a key.
pub(super) struct Once {
    pub(super) key: String,
    /// Of what was handed in.
    pub(super) digest: u128,
    /// What is visible of the batch that came with it first, once that was looked for.
    pub(super) found: Option<KeyFact>,
}

impl Once {
    /// What is known of the batch that came with the key first, and whether it is only staged. To be called under the lock
    /// of admission.
    pub(super) fn first<'a>(&'a self, view: &View, recent: &'a Recent) -> Option<(&'a KeyFact, bool)> {
        let fact = self.found.as_ref().or_else(|| recent.with_key(&self.key))?;
        Some((fact, view.head < fact.receipt.last_position))
    }
}

/// The condition that nothing a query asks for has happened since it was read.
///
/// Handed out by [`read_for_decision`](crate::EventStore::read_for_decision), for
/// [`BatchBuilder::guarded_by`](crate::BatchBuilder::guarded_by). It holds for the opening it was read from: the store
/// may show something else after a [`reopen`](crate::EventStore::reopen), and refuses it then.
#[derive(Clone)]
pub struct Guard {
    pub(super) query: Query,
    pub(super) seen_in: Weak<SharedView>,
}

impl Guard {
    /// The last position that the decision read could see.
    #[must_use]
    pub fn position(&self) -> Position {
        self.query.after_position()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guard behind position {}", self.position())
    }
}

impl Condition {
    /// The conflict where it does not hold, and whether only staged events are the reason. To be called under the lock of
    /// admission.
    pub(super) fn judge(&self, view: &View, recent: &Recent) -> Option<(Conflict, bool)> {
        match self {
            Condition::Version(stream, expected) => judge_version(view, stream, *expected),
            Condition::Unless(unless) => {
                let looked = unless.looked.as_ref().expect("what is visible was looked through before");
                let from = looked.up_to.max(unless.query.after_position());
                let found = looked.found.or_else(|| recent.first(looked, &unless.query, from, view));
                let after = unless.query.after_position();
                found
                    .map(|position| (Conflict::Unless { number: unless.number, after, position }, view.head < position))
            }
        }
    }
}

fn judge_version(view: &View, stream: &StreamName, expected: ExpectedVersion) -> Option<(Conflict, bool)> {
    let known = view.table.number(stream.as_str()).map(|number| view.table.stream(number));
    let (actual, visible) = known.map_or((Version::NONE, Version::NONE), |known| (known.admitted(), known.version()));
    let actual = if Mutant::JudgesByWhatIsVisible.is_on() { visible } else { actual };
    (!expected.admits(actual))
        .then(|| (Conflict::Version { stream: stream.clone(), expected, actual }, actual != visible))
}

/// The batches admitted last: all that are not visible, and all behind a position up to which somebody has looked who is
/// still to be judged.
#[derive(Default)]
pub(super) struct Recent {
    batches: VecDeque<Admitted>,
    /// Up to which positions those have looked who are still to be judged, and how many of them.
    held: BTreeMap<Position, usize>,
}

/// A batch that was admitted.
pub(super) struct Admitted {
    pub(super) positions: Positions,
    /// For each event the number of its stream.
    pub(super) streams: Vec<u32>,
    pub(super) terms: Arc<BatchTerms>,
    /// What came with a key.
    pub(super) key: Option<Box<KeyFact>>,
}

/// The positions of a batch's events.
pub(super) enum Positions {
    /// One after the other, from here on.
    From(Position),
    Each(Vec<Position>),
}

impl Admitted {
    fn position(&self, index: usize) -> Position {
        match &self.positions {
            Positions::From(first) => Position::new(first.get() + index as u64),
            Positions::Each(positions) => positions[index],
        }
    }

    fn last_position(&self) -> Position {
        self.streams.len().checked_sub(1).map_or(Position::BEGINNING, |last| self.position(last))
    }
}

impl Recent {
    /// Keeps what is admitted behind a position until that is released.
    pub(super) fn hold(&mut self, position: Position) {
        *self.held.entry(position).or_default() += 1;
    }

    pub(super) fn release(&mut self, position: Position) {
        if let Some(count) = self.held.get_mut(&position) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&position);
            }
        }
    }

    /// Adds a batch behind all others, and forgets those that nobody can ask for any more.
    pub(super) fn push(&mut self, admitted: Admitted, head: Position) {
        self.batches.push_back(admitted);
        let needed_behind = self.held.keys().next().map_or(head, |held| head.min(*held));
        while self.batches.front().is_some_and(|batch| batch.last_position() <= needed_behind) {
            self.batches.pop_front();
        }
    }

    /// The batch that came with a key.
    fn with_key(&self, key: &str) -> Option<&KeyFact> {
        if Mutant::ForgetsStagedKeys.is_on() {
            return None;
        }
        self.batches.iter().filter_map(|batch| batch.key.as_deref()).find(|fact| fact.key == key)
    }

    /// The first event behind a position that a query asks for.
    fn first(&self, looked: &Looked, query: &Query, behind: Position, view: &View) -> Option<Position> {
        if Mutant::OverlooksWhatIsStaged.is_on() {
            return None;
        }
        let begin = self.batches.partition_point(|batch| batch.last_position() <= behind);
        self.batches.range(begin..).find_map(|batch| {
            let of_event = |(index, terms)| {
                let position = batch.position(index);
                let is_named = || view.table.stream(batch.streams[index]).name.starts_with(query.stream_prefix());
                (behind < position && looked.plan.is_met_by(terms) && is_named()).then_some(position)
            };
            batch.terms.events().enumerate().find_map(of_event)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(first: u64, events: usize) -> Admitted {
        let positions = Positions::From(Position::new(first));
        Admitted { positions, streams: vec![0; events], terms: Arc::new(BatchTerms::default()), key: None }
    }

    fn kept(recent: &Recent) -> Vec<u64> {
        recent.batches.iter().map(|batch| batch.position(0).get()).collect()
    }

    #[test]
    fn what_is_visible_is_forgotten_unless_somebody_is_still_to_be_judged() {
        let mut recent = Recent::default();
        let position = Position::new;
        recent.push(admitted(1, 2), position(0));
        recent.push(admitted(3, 1), position(0));
        assert_eq!(kept(&recent), [1, 3], "nothing of it is visible");
        recent.push(admitted(4, 2), position(3));
        assert_eq!(kept(&recent), [4]);
        recent.hold(position(3));
        recent.hold(position(3));
        recent.push(admitted(6, 1), position(5));
        assert_eq!(kept(&recent), [4, 6], "who has looked up to 3 needs what lies behind");
        recent.release(position(3));
        recent.push(admitted(7, 1), position(6));
        assert_eq!(kept(&recent), [4, 6, 7], "one of two was judged");
        recent.release(position(3));
        recent.push(admitted(8, 1), position(7));
        assert_eq!(kept(&recent), [8]);
    }
}
