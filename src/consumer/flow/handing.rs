//! Handing out: what is first, in order within its key.

use super::{Flow, Handed, MemberId, State};
use crate::position::Position;
use std::collections::BTreeSet;
use std::time::Duration;

impl<E: Clone> Flow<E> {
    /// Hands out what is first: at most a batch.
    pub(in crate::consumer) fn take(&mut self, member: MemberId, now: Duration) -> Option<Handed<E>> {
        if self.is_paused || self.stop.is_some() || !self.members.has(member) {
            return None;
        }
        let mut most = self.rules.batch;
        if let Some(until) = self.broken_until {
            // One is tried; what becomes of it decides.
            if now < until || !self.nothing_is_handed() {
                return None;
            }
            most = 1;
        }
        if self.ready.is_empty() || (self.waits_for_more(now) && most != 1) {
            return None;
        }
        let delivery = self.next_delivery;
        self.next_delivery += 1;
        let deadline = self.rules.time_limit.map(|limit| now.saturating_add(limit));
        // What follows in its key may come along with an event.
        let mut following = BTreeSet::new();
        let mut events = Vec::new();
        while events.len() < most {
            let next = match (self.ready.first(), following.first()) {
                (Some(ready), Some(follows)) if ready < follows => *ready,
                (_, Some(follows)) => *follows,
                (Some(ready), None) => *ready,
                (None, None) => break,
            };
            self.ready.remove(&next);
            following.remove(&next);
            let Some(item) = self.items.get_mut(&next) else { continue };
            item.attempts += 1;
            item.state = State::Handed { member, delivery, deadline, is_committing: false };
            events.push((next, item.attempts, item.event.clone()));
            let key = item.key;
            if let Some(key) = self.keys.get_mut(&key) {
                key.handed += 1;
                let behind = key.queue.range(next..).nth(1).copied();
                let waits =
                    |position: &Position| self.items.get(position).is_some_and(|item| item.state == State::Waiting);
                following.extend(behind.filter(waits));
            }
            self.deadlines.extend(deadline.map(|deadline| (deadline, next)));
            if let Some(member) = self.members.get_mut(member) {
                member.handed.insert(next);
            }
        }
        self.note_ready(now);
        Some(Handed { delivery, events })
    }

    fn nothing_is_handed(&self) -> bool {
        self.members.iter().all(|member| member.handed.is_empty())
    }

    /// Whether fewer events are there than a batch takes, and the longest wait for more is not over.
    fn waits_for_more(&self, now: Duration) -> bool {
        let Some(since) = self.ready_since else { return false };
        if since.saturating_add(self.rules.batch_wait) <= now {
            return false;
        }
        let mut count = 0;
        for position in &self.ready {
            let key = self.items.get(position).and_then(|item| self.keys.get(&item.key));
            count += key.map_or(0, |key| key.queue.len());
            if self.rules.batch <= count {
                return false;
            }
        }
        true
    }
}
