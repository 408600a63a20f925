//! Whoever steers a consumer while others are at work: sends it elsewhere, deletes it, and changes what it is.

use super::{Consuming, Fate, NAME, number, wanted};
use crate::model::chance::Choices;
use scorebook::{AfterChange, Error, Position, RecordedEvent, Start};
use std::collections::BTreeSet;

impl Consuming {
    /// Sends it elsewhere, or deletes it, so that it begins anew. What has its result may be handed out again only where the
    /// result has a key.
    pub(super) fn send_elsewhere(&mut self) -> Result<(), Error> {
        let (store, control) = (self.store(), self.store().consumer(NAME));
        let head = store.head()?.get();
        let events = wanted(&store);
        let may_go_back = !self.commits || self.has_keys;
        if may_go_back && self.chance.one_in(3) {
            self.is_disordered = true;
            self.doubt(&events, 0);
            self.is_paused = false;
            // What is in hand stays there for a while: nothing may come of what is said of it.
            control.delete()?;
            self.ask_again(&events, 0, &BTreeSet::new());
            self.hands.iter_mut().for_each(|hand| hand.open.clear());
            self.members.clear();
            return self.join();
        }
        let (start, to) = match self.chance.below(4) {
            0 if may_go_back => (Start::Beginning, 0),
            1 if may_go_back => {
                let to = self.chance.below(head as usize + 1) as u64;
                (Start::After(Position::new(to)), to)
            }
            2 => (Start::End, head),
            _ => return Ok(()),
        };
        self.seeks += 1;
        self.is_disordered = true;
        let parked = self.parked(&store);
        self.doubt(&events, to);
        control.seek(start)?;
        self.ask_again(&events, to, &parked);
        self.hands.iter_mut().for_each(|hand| hand.open.clear());
        Ok(())
    }

    /// Has it asked for by other words that mean the same, or begin anew.
    pub(super) fn change(&mut self) -> Result<(), Error> {
        let store = self.store();
        let changed = self.other.clone();
        let may_go_back = !self.commits || self.has_keys;
        let after = match may_go_back && self.chance.one_in(2) {
            true => AfterChange::BeginAnew,
            false => AfterChange::KeepPosition,
        };
        let (events, parked) = (wanted(&store), self.parked(&store));
        if after == AfterChange::BeginAnew {
            self.is_disordered = true;
            self.doubt(&events, 0);
        }
        self.may_be_other = true;
        store.consumer(NAME).change(&changed, after)?;
        self.may_be_other = false;
        std::mem::swap(&mut self.consumer, &mut self.other);
        if after == AfterChange::BeginAnew {
            self.ask_again(&events, 0, &parked);
        }
        // Some of the old ones may still say something, which nobody hears.
        self.members.clear();
        self.hands.iter_mut().for_each(|hand| hand.open.clear());
        self.join()
    }

    /// It may be sent behind a position, or not: what is done is not so for good, and what is passed over need not be done.
    fn doubt(&mut self, events: &[RecordedEvent], to: u64) {
        for event in events {
            let fate = self.fates.entry(number(event)).or_default();
            (fate.is_done_now, fate.is_done_for_good) = (false, false);
            if event.position().get() <= to {
                (fate.is_done, fate.is_skipped) = (true, true);
            }
        }
    }

    /// It was sent behind a position: what comes behind it is handed out once more, but what is parked.
    fn ask_again(&mut self, events: &[RecordedEvent], to: u64, parked: &BTreeSet<u64>) {
        for event in events.iter().filter(|event| to < event.position().get()) {
            if !parked.contains(&event.position().get()) {
                self.fates.insert(number(event), Fate::default());
            }
        }
    }
}
