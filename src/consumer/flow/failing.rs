//! What becomes of an event that was not done, and of what is behind it.

use super::{Flow, Stale, State};
use crate::consumer::rules::Verdict;
use crate::mutant::Mutant;
use crate::position::Position;
use std::time::Duration;

impl<E: Clone> Flow<E> {
    /// An event failed.
    pub(in crate::consumer) fn nack(
        &mut self,
        delivery: u64,
        position: Position,
        verdict: Verdict,
        reason: &str,
        now: Duration,
        chance: u64,
    ) -> Result<(), Stale> {
        self.check(delivery, position)?;
        self.fail(position, verdict, reason, now, chance);
        Ok(())
    }

    pub(super) fn fail(&mut self, position: Position, verdict: Verdict, reason: &str, now: Duration, chance: u64) {
        let Some(item) = self.items.get(&position) else { return };
        let (key, attempts) = (item.key, item.attempts);
        self.recall_behind(position, key, now);
        self.counts.failures += 1;
        let reason = kept(reason);
        let is_last = self.rules.attempts_max <= attempts && !Mutant::RetriesForEver.is_on();
        let verdict = if verdict == Verdict::Retry && is_last { self.rules.after_last } else { verdict };
        match verdict {
            Verdict::Retry => {
                let pause = self.rules.backoff.pause(attempts, chance);
                self.take_back(position, State::Delayed(now.saturating_add(pause)), now);
            }
            Verdict::Park => self.park(position, reason, now),
            Verdict::Skip => self.finish(position, now),
            Verdict::Stop => {
                self.take_back(position, State::Waiting, now);
                self.stop = Some(reason.to_owned());
            }
        }
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        if self.rules.breaker.failures <= self.failures_in_row {
            let further = 1 + self.failures_in_row - self.rules.breaker.failures;
            self.broken_until = Some(now.saturating_add(self.rules.breaker.pauses.pause(further, chance)));
        }
    }

    /// Gives back what of a delivery is not done.
    pub(in crate::consumer) fn give_back(
        &mut self,
        delivery: u64,
        positions: impl Iterator<Item = Position>,
        now: Duration,
    ) {
        for position in positions {
            if self.check(delivery, position).is_ok() {
                self.take_back(position, State::Waiting, now);
            }
        }
    }

    /// The same as if it had not been handed out: nobody has tried it.
    pub(in crate::consumer) fn give_back_untried(
        &mut self,
        delivery: u64,
        positions: impl Iterator<Item = Position>,
        now: Duration,
    ) {
        for position in positions {
            if self.check(delivery, position).is_ok() {
                self.take_back_untried(position, now);
            }
        }
    }

    fn take_back_untried(&mut self, position: Position, now: Duration) {
        if let Some(item) = self.items.get_mut(&position)
            && matches!(item.state, State::Handed { .. })
        {
            item.attempts -= 1;
            self.take_back(position, State::Waiting, now);
        }
    }

    /// What was handed out of the same key behind an event comes back: it must not be done before that.
    fn recall_behind(&mut self, position: Position, key: u128, now: Duration) {
        if Mutant::LetsLaterOnesPass.is_on() {
            return;
        }
        let Some(of_key) = self.keys.get(&key) else { return };
        let behind: Vec<Position> = of_key.queue.range(position..).skip(1).copied().collect();
        behind.into_iter().for_each(|position| self.take_back_untried(position, now));
    }
}

/// How many bytes of a reason are kept.
const REASON_BYTES_MAX: usize = 1_000;

/// What is kept of a reason: it may be of any length, and a record may not.
fn kept(reason: &str) -> &str {
    let ends = (0..=REASON_BYTES_MAX.min(reason.len())).rev();
    let end = ends.into_iter().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    &reason[..end]
}
