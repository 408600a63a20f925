//! Events that are set aside: the part of the machine that parks and redelivers.

use super::{Aside, BEHIND, Flow, Item, State};
use crate::format::{ParkedFact, ParkedState};
use crate::mutant::Mutant;
use crate::position::Position;
use std::collections::BTreeMap;
use std::time::Duration;

impl<E: Clone> Flow<E> {
    /// Sets an event aside, and what waits behind it in its key.
    pub(super) fn park(&mut self, position: Position, reason: &str, now: Duration) {
        let Some(item) = self.items.get(&position) else { return };
        let key = item.key;
        // What is before it in its key is in somebody's hands: that goes on as it was.
        let behind: Vec<Position> =
            self.keys.get(&key).map(|of_key| of_key.queue.range(position..).copied().collect()).unwrap_or_default();
        for parked in behind {
            let is_it = parked == position;
            if !is_it && Mutant::LetsLaterOnesPass.is_on() {
                continue;
            }
            let Some(item) = self.items.get(&parked) else { continue };
            let attempts = item.attempts;
            self.remove(parked, now);
            self.set_aside(parked, key, attempts, if is_it { reason } else { BEHIND }.to_owned());
            self.note_done(1, now);
        }
    }

    pub(super) fn set_aside(&mut self, position: Position, key: u128, attempts: u32, reason: String) {
        let fact = ParkedFact { position, key, attempts, state: ParkedState::Parked, reason: reason.clone() };
        self.unwritten.push(fact);
        self.parked.insert(position, Aside { key, attempts, reason });
        self.parked_keys.entry(key).or_default().insert(position);
        if self.rules.parked_max <= self.parked.len() && self.stop.is_none() {
            self.stop = Some(format!("{} events are parked, which is the limit", self.parked.len()));
        }
    }

    /// Whether an earlier event of a key is set aside.
    pub(super) fn is_behind_parked(&self, position: Position, key: u128) -> bool {
        let first = self.parked_keys.get(&key).and_then(|parked| parked.first());
        first.is_some_and(|first| *first < position || Mutant::ParksWhatCameBefore.is_on())
    }

    /// The events that are set aside.
    pub(in crate::consumer) fn parked(&self) -> &BTreeMap<Position, Aside> {
        &self.parked
    }

    /// The positions of those that are set aside with the same key as one of them, that one included.
    pub(in crate::consumer) fn parked_with(&self, position: Position) -> Vec<Position> {
        let of_key = self.parked.get(&position).and_then(|aside| self.parked_keys.get(&aside.key));
        of_key.into_iter().flatten().copied().collect()
    }

    /// Events that were set aside are handed out again, in order, before later ones of their keys. All of a key are to be
    /// given together; no event stands for one that cannot be read any more, which is dropped.
    pub(in crate::consumer) fn redeliver(&mut self, events: Vec<(Position, Option<E>)>, now: Duration) {
        for (position, event) in events {
            let state = if event.is_some() { ParkedState::Redelivered } else { ParkedState::Dropped };
            let Some(aside) = self.end_parking(position, state) else { continue };
            // What lies behind what was looked at comes when it is looked at, and not before what is between.
            if let Some(event) = event.filter(|_| position <= self.scanned) {
                self.items.insert(position, Item { key: aside.key, event, attempts: 0, state: State::Waiting });
                let of_key = self.keys.entry(aside.key).or_default();
                // Where it comes before what was the first, that is not ready any more.
                if let Some(first) = of_key.queue.first().filter(|first| position < **first) {
                    self.ready.remove(first);
                }
                of_key.queue.insert(position);
                self.refresh(aside.key, now);
            }
            self.note_done(0, now);
        }
    }

    /// An event that was set aside is not going to be handed out again; whether it was.
    pub(in crate::consumer) fn drop_parked(&mut self, position: Position, now: Duration) -> bool {
        let is_parked = self.end_parking(position, ParkedState::Dropped).is_some();
        if is_parked {
            self.note_done(0, now);
        }
        is_parked
    }

    fn end_parking(&mut self, position: Position, state: ParkedState) -> Option<Aside> {
        let aside = self.parked.remove(&position)?;
        if let Some(of_key) = self.parked_keys.get_mut(&aside.key) {
            of_key.remove(&position);
            if of_key.is_empty() {
                self.parked_keys.remove(&aside.key);
            }
        }
        let Aside { key, attempts, .. } = aside;
        self.unwritten.push(ParkedFact { position, key, attempts, state, reason: String::new() });
        Some(aside)
    }
}
