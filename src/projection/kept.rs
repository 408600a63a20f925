//! The states of the keys that were asked for last.
//!
//! A kept state is a shortcut and never the truth. It says up to where it is folded and in which opening of the store; whoever
//! takes one folds in what has come since, and where the store was opened again, looks first whether the event that the state
//! ends with is still the one in the log. So nothing has to be told that something was appended, or lost.

use super::keyed::KeyedProjection;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::modelling::Registry;
use crate::mutant::Mutant;
use crate::position::Position;
use crate::store::{AllEvents, AllRead};
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use std::collections::HashMap;

/// The state of a key, and up to where it is folded. It is never changed: whoever goes on with it goes on with a copy.
pub(super) struct Kept<P> {
    pub(super) state: Arc<P>,
    /// Everything up to here that is asked for is in it.
    pub(super) position: Position,
    /// The opening of the store in which that was so.
    pub(super) opening: u64,
    pub(super) last: LastEvent,
}

/// What tells the event that a state ends with from every other, also from one that was given its position after a loss.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct LastEvent {
    position: Position,
    epoch: u32,
    epoch_bits: u64,
    time: Timestamp,
}

/// What states were folded by: the registry of the store, if it has one. Two are the same where they are one value.
pub(super) type FoldedBy = Option<Arc<Registry>>;

/// The kept states of one type.
///
/// Nothing of a user's runs under the lock but what compares keys.
pub(super) struct States<P: KeyedProjection>(Mutex<Halves<P>>);

/// Two halves: what is asked for is in the young one, or moves there. When that is full it becomes the old one, and what the
/// old one held was not asked for since.
struct Halves<P: KeyedProjection> {
    by: FoldedBy,
    young: Half<P>,
    old: Half<P>,
}

type Half<P> = HashMap<<P as KeyedProjection>::Key, Kept<P>, foldhash::fast::RandomState>;

impl<P: KeyedProjection> States<P> {
    pub(super) fn new() -> States<P> {
        States(Mutex::new(Halves { by: None, young: Half::default(), old: Half::default() }))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let halves = self.0.lock();
        halves.young.len() + halves.old.len()
    }

    /// The state that is kept of a key, where it was folded by this.
    pub(super) fn get(&self, by: &FoldedBy, key: &P::Key) -> Option<Kept<P>> {
        let mut halves = self.0.lock();
        if !halves.are_by(by) {
            return None;
        }
        if let Some(kept) = halves.young.get(key) {
            return Some(kept.clone());
        }
        let (key, kept) = halves.old.remove_entry(key)?;
        let gone = halves.insert(key, kept.clone());
        drop(halves);
        drop(gone);
        Some(kept)
    }

    /// Keeps a state, unless a later one of the key is kept.
    pub(super) fn put(&self, by: &FoldedBy, key: &P::Key, kept: Kept<P>) {
        if P::states_kept() == 0 {
            return;
        }
        let key = key.clone();
        let mut halves = self.0.lock();
        let mut gone = Vec::new();
        if !halves.are_by(by) {
            halves.by.clone_from(by);
            gone = vec![std::mem::take(&mut halves.young), std::mem::take(&mut halves.old)];
        }
        let known = halves.young.get(&key).or_else(|| halves.old.get(&key));
        if known.is_none_or(|known| (known.opening, known.position) < (kept.opening, kept.position)) {
            gone.push(halves.insert(key, kept));
        }
        // States go when nothing is locked: what is done when one is dropped is their author's affair.
        drop(halves);
        drop(gone);
    }
}

impl<P: KeyedProjection> Halves<P> {
    fn are_by(&self, by: &FoldedBy) -> bool {
        match (&self.by, by) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Keeps a state among those that were asked for last; what is not kept any more is given back.
    fn insert(&mut self, key: P::Key, kept: Kept<P>) -> Half<P> {
        let mut gone = Half::default();
        gone.extend(self.old.remove_entry(&key));
        gone.extend(self.young.insert(key.clone(), kept).map(|before| (key, before)));
        if P::states_kept() <= 2 * self.young.len() && !Mutant::KeepsEveryState.is_on() {
            gone.extend(std::mem::replace(&mut self.old, std::mem::take(&mut self.young)));
        }
        gone
    }
}

impl<P> Kept<P> {
    /// What a read up to a position has behind it. None where the state is of no use for that: it goes further, or the log
    /// does not hold what it ends with.
    pub(super) fn since(&self, read: &AllRead, to: Position, opening: u64) -> Result<Option<AllEvents>, Error> {
        if self.opening == opening || Mutant::GoesOnWithWhatWasLost.is_on() {
            return Ok((self.last.position <= to).then(|| read.clone().after(self.position).iter()));
        }
        // What lies between the last event and the position may have been given to others since.
        let mut events = read.clone().from(self.last.position).iter();
        let first = events.next().transpose()?;
        Ok(first.is_some_and(|event| LastEvent::of(&event) == self.last).then_some(events))
    }
}

impl LastEvent {
    pub(super) fn of(event: &RecordedEvent) -> LastEvent {
        LastEvent { position: event.position(), epoch: event.epoch(), epoch_bits: event.epoch_bits, time: event.time() }
    }
}

impl<P> Clone for Kept<P> {
    fn clone(&self) -> Kept<P> {
        Kept { state: self.state.clone(), position: self.position, opening: self.opening, last: self.last }
    }
}
