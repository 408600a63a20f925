//! What was admitted last: what is staged, and what came in behind a look at what is visible.

use super::condition::{KnownKey, Looked};
use super::view::View;
use crate::format::{BatchTerms, Term, TermHasher};
use crate::index::Demand;
use crate::mutant::Mutant;
use crate::position::Position;
use crate::query::Query;
use crate::sync::Arc;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The batches admitted last: all that are not visible, and all behind a position up to which somebody has looked who is
/// still to be judged.
///
/// INVARIANT: each has events, and their positions rise from batch to batch.
#[derive(Default)]
pub(super) struct Recent {
    batches: VecDeque<Admitted>,
    /// How many batches were forgotten: the number of the first that is there.
    forgotten: u64,
    /// The numbers of the batches that have a term, or a key. Only batches with lower numbers than `indexed` are in it:
    /// where nobody asks, nothing is put in.
    table: HashMap<Term, VecDeque<u64>, RandomState>,
    indexed: u64,
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
    pub(super) key: Option<Box<KnownKey>>,
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
        if !admitted.streams.is_empty() {
            self.batches.push_back(admitted);
        }
        let held = if Mutant::KeepsNothingForWhoHasLooked.is_on() { None } else { self.held.keys().next() };
        let needed_behind = held.map_or(head, |held| head.min(*held));
        while self.batches.front().is_some_and(|batch| batch.last_position() <= needed_behind)
            && let Some(batch) = self.batches.pop_front()
        {
            if self.forgotten < self.indexed {
                self.forget(&batch);
            }
            self.forgotten += 1;
        }
        self.indexed = self.indexed.max(self.forgotten);
    }

    /// Takes the first batch out of the table.
    fn forget(&mut self, batch: &Admitted) {
        for term in batch.terms.all() {
            if let Some(numbers) = self.table.get_mut(&term) {
                if numbers.front() == Some(&self.forgotten) {
                    numbers.pop_front();
                }
                if numbers.is_empty() {
                    self.table.remove(&term);
                }
            }
        }
    }

    /// Puts into the table what was admitted since: to be called before anything is asked.
    pub(super) fn index(&mut self) {
        let known = (self.indexed - self.forgotten) as usize;
        for batch in self.batches.range(known..) {
            for term in batch.terms.all() {
                let numbers = self.table.entry(term).or_default();
                if numbers.back() != Some(&self.indexed) {
                    numbers.push_back(self.indexed);
                }
            }
            self.indexed += 1;
        }
    }

    /// The batches with a term, behind a position.
    fn with_term(&self, term: Term, behind: Position) -> impl Iterator<Item = &Admitted> {
        let numbers = self.table.get(&term);
        let batch = |number: &u64| &self.batches[(number - self.forgotten) as usize];
        let begin = numbers.map_or(0, |all| all.partition_point(|number| batch(number).last_position() <= behind));
        numbers.into_iter().flat_map(move |all| all.range(begin..)).map(batch)
    }

    /// The batch that came with a key.
    pub(super) fn with_key(&self, key: &str, hasher: &TermHasher) -> Option<&KnownKey> {
        if Mutant::ForgetsStagedKeys.is_on() {
            return None;
        }
        let known = self.with_term(hasher.key(key), Position::BEGINNING).filter_map(|batch| batch.key.as_deref());
        known.into_iter().find(|known| known.fact.key == key)
    }

    /// The first event that a query asks for behind what was looked through.
    pub(super) fn first(&self, looked: &Looked, query: &Query, view: &View) -> Option<Position> {
        if Mutant::OverlooksWhatIsStaged.is_on() {
            return None;
        }
        let behind = looked.up_to.max(query.after_position());
        let of_batch = |batch: &Admitted| {
            let of_event = |(index, terms)| {
                let position = batch.position(index);
                let is_named =
                    || view.table.name(view.table.stream(batch.streams[index])).starts_with(query.stream_prefix());
                (behind < position && looked.plan.is_met_by(terms) && is_named()).then_some(position)
            };
            batch.terms.events().enumerate().find_map(of_event)
        };
        let of_item = |demands: &Vec<Demand>| {
            // Whatever meets the item has one of the terms of each demand: the rarest is looked through.
            let count = |demand: &&Demand| {
                demand.iter().filter_map(|term| self.table.get(term)).map(VecDeque::len).sum::<usize>()
            };
            match demands.iter().min_by_key(count) {
                Some(rarest) => rarest.iter().filter_map(|term| self.with_term(*term, behind).find_map(of_batch)).min(),
                None => {
                    let begin = self.batches.partition_point(|batch| batch.last_position() <= behind);
                    self.batches.range(begin..).find_map(of_batch)
                }
            }
        };
        looked.plan.items().iter().filter_map(of_item).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::StreamName;

    fn admitted(first: u64, events: usize) -> Admitted {
        let positions = Positions::From(Position::new(first));
        Admitted { positions, streams: vec![0; events], terms: Arc::new(BatchTerms::default()), key: None }
    }

    fn kept(recent: &Recent) -> Vec<u64> {
        recent.batches.iter().map(|batch| batch.position(0).get()).collect()
    }

    #[test]
    fn a_batch_without_events_hides_nothing_that_came_before_it() {
        let hasher = TermHasher::new([1; 16]);
        let mut buffer = crate::format::BatchBuffer::new();
        let event = crate::event::NewEvent::bytes("joined", []);
        buffer.push_event(&StreamName::new("team-1").expect("a name"), &event).expect("an event");
        let terms = Arc::new(buffer.terms(&hasher));
        let mut recent = Recent::default();
        for (first, events) in [(7, 1), (8, 0), (8, 1), (9, 0)] {
            let terms = if events == 0 { Arc::default() } else { terms.clone() };
            recent.push(Admitted { terms, ..admitted(first, events) }, Position::new(5));
            recent.index();
        }
        assert_eq!(kept(&recent), [7, 8]);
        let behind = |position| {
            let found = recent.with_term(hasher.event_type("joined"), Position::new(position));
            found.map(|batch| batch.position(0).get()).collect::<Vec<_>>()
        };
        assert_eq!((behind(5), behind(7), behind(8)), (vec![7, 8], vec![8], vec![]));
        recent.push(admitted(10, 1), Position::new(8));
        assert_eq!((kept(&recent), recent.table.len()), (vec![10], 0), "what is forgotten is in no table");
        recent.index();
        assert_eq!(recent.with_term(hasher.event_type("joined"), Position::new(5)).count(), 0);
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
