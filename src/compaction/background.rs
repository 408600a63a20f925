//! Compaction by itself: a thread that looks now and then whether there is something to be done.
//!
//! It holds the store only while it is at work, and breaks off with the next piece where it is the last who does. Where there are no
//! threads, a test has it look.

use super::apply::Compacted;
use super::pace::Pace;
use super::policy::CompactionPolicy;
use crate::error::{Error, ErrorKind};
use crate::mutant::Mutant;
use crate::store::{BeforeClose, EventStore, StoreLink, WhatCompactionTurnsOn};
use crate::sync::{Arc, Condvar, JoinHandle, Mutex, ThreadBuilder, current_thread};
use crate::time::Timestamp;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// When it looks first, at the latest.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// How compaction in the background does. Made by [`EventStore::background_compaction`].
#[derive(Clone, Debug, Default)]
pub struct BackgroundCompaction {
    is_at_work: bool,
    plans: u64,
    runs: u64,
    last_run: Option<(Timestamp, Compacted)>,
    failure: Option<Error>,
}

/// What the store keeps of it.
struct Kept(Arc<Background>);

struct Background {
    link: StoreLink,
    state: Mutex<State>,
    /// There is another policy, or it is to end.
    changed: Condvar,
}

struct State {
    /// None where it was stopped.
    policy: Option<CompactionPolicy>,
    /// It is to end for good: the store is about to be closed.
    is_over: bool,
    thread: Option<JoinHandle<()>>,
    next_look: Duration,
    /// What there was when a plan found nothing worth doing.
    seen: Option<WhatCompactionTurnsOn>,
    told: BackgroundCompaction,
}

impl EventStore {
    /// Has the store compact itself from now on, until it is closed or [told not to](Self::stop_compacting): a thread looks now and
    /// then, and where the [policy](CompactionPolicy) says so it does what [`compaction`](Self::compaction) does, slowly, and
    /// slower beside appends. Called again, the new policy takes the place of the one before.
    ///
    /// It looks at nothing twice: the log is read again only when segments have ended, something was decided, consumers got on, or
    /// events have become old. It leaves a store alone that is [poisoned](crate::Status::Poisoned) or full. Where it fails nothing
    /// has changed, [`health`](Self::health) tells, and it tries again the next time.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): a number of the policy is out of its range.
    /// * [`ReadOnly`](ErrorKind::ReadOnly), [`Closed`](ErrorKind::Closed); [`Io`](ErrorKind::Io): no thread could be started.
    pub fn compact_in_background(&self, policy: &CompactionPolicy) -> Result<(), Error> {
        policy.check()?;
        if self.is_read_only() {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only"));
        }
        // A store that is closed says so here.
        self.head()?;
        let background = match self.background().filter(|background| !background.state.lock().is_over) {
            Some(background) => background,
            None => {
                let background = Arc::new(Background::new(self));
                self.keep(Kept(background.clone()));
                self.before_close(background.clone());
                background
            }
        };
        let mut state = background.state.lock();
        state.policy = Some(policy.clone());
        state.next_look = self.elapsed() + policy.every.min(FIRST_LOOK);
        state.seen = None;
        if self.has_threads() && state.thread.is_none() {
            let body = background.clone();
            let thread = ThreadBuilder::new().name("scorebook-compact".to_owned()).spawn(move || body.run());
            let act = "starting a thread of the store";
            state.thread = Some(thread.map_err(|error| Error::with_source(ErrorKind::Io, act, error))?);
        }
        drop(state);
        background.changed.notify_all();
        Ok(())
    }

    /// Has the store not compact itself any more. One that is at work breaks off with the next piece; that it failed before is no
    /// [concern](crate::Concern) any more.
    pub fn stop_compacting(&self) {
        if let Some(background) = self.background() {
            let mut state = background.state.lock();
            state.policy = None;
            state.told.failure = None;
            drop(state);
            background.changed.notify_all();
        }
    }

    /// How compaction in the background does; none where the store was never told to compact itself.
    #[must_use]
    pub fn background_compaction(&self) -> Option<BackgroundCompaction> {
        Some(self.background()?.state.lock().told.clone())
    }

    /// Does once what the thread does that compacts in the background, where it is time to look. For tests: a store on a simulated
    /// disk has no threads, and time passes there only when it is told to.
    #[doc(hidden)]
    pub fn keep_compacted(&self) {
        if let Some(background) = self.background().filter(|_| !self.has_threads()) {
            background.look_where_due(self.elapsed());
        }
    }

    fn background(&self) -> Option<Arc<Background>> {
        Some(self.kept::<Kept>()?.0.clone())
    }
}

impl Background {
    fn new(store: &EventStore) -> Background {
        let state = State {
            policy: None,
            is_over: false,
            thread: None,
            next_look: Duration::ZERO,
            seen: None,
            told: BackgroundCompaction::default(),
        };
        Background { link: store.link(), state: Mutex::new(state), changed: Condvar::new() }
    }

    fn run(&self) {
        while let Ok(now) = self.link.store().map(|store| store.elapsed()) {
            let mut state = self.state.lock();
            if state.is_over {
                return;
            }
            match state.policy.as_ref().map(|_| state.next_look.saturating_sub(now)) {
                None => self.changed.wait(&mut state),
                Some(left) if !left.is_zero() => drop(self.changed.wait_for(&mut state, left)),
                Some(_) => {
                    drop(state);
                    self.look_where_due(now);
                }
            }
        }
    }

    fn look_where_due(&self, now: Duration) {
        let mut state = self.state.lock();
        let Some(policy) = state.policy.clone().filter(|_| !state.is_over && state.next_look <= now) else { return };
        let seen = state.seen.take();
        state.told.is_at_work = true;
        drop(state);
        // What others wrote is run in it: where that panics the next look comes all the same.
        let looked = caught(|| self.look(&policy, seen));
        let now = self.link.store().map_or(now, |store| store.elapsed());
        let mut state = self.state.lock();
        state.told.is_at_work = false;
        state.next_look = now.saturating_add(policy.every);
        match looked {
            Ok(Looked::Left) => {}
            Ok(Looked::Again(seen)) => state.seen = Some(seen),
            Ok(Looked::NothingDue(seen)) => {
                state.told.failure = None;
                state.seen = Some(seen);
            }
            Ok(Looked::Compacted(at, compacted)) => {
                state.told.failure = None;
                state.told.runs += 1;
                state.told.last_run = Some((at, compacted));
            }
            // Of these the next look knows better.
            Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::InvalidArgument) => {}
            Err(_) if Mutant::TellsOfNoFailedCompaction.is_on() => {}
            // Whoever told it to stop has nothing to mend.
            Err(_) if state.policy.is_none() => {}
            Err(error) => state.told.failure = Some(error),
        }
    }

    /// Whether it breaks off: it was told to, or nobody else holds the store.
    fn is_to_end(&self) -> bool {
        let state = self.state.lock();
        state.is_over || state.policy.is_none() || !self.link.is_held_by_others()
    }

    fn look(&self, policy: &CompactionPolicy, seen: Option<WhatCompactionTurnsOn>) -> Result<Looked, Error> {
        let store = self.link.store()?;
        if let (Some(_), _) | (_, Some(_)) = store.obstacles() {
            return Ok(Looked::Left);
        }
        let there = store.what_compaction_turns_on()?;
        if let Some(seen) = seen.filter(|seen| !there.has_news_since(seen) && !Mutant::PlansWithoutNews.is_on()) {
            return Ok(Looked::Again(seen));
        }
        self.state.lock().told.plans += 1;
        let is_to_end = || self.is_to_end();
        let pace = || Pace::new(&store, Some(policy.bytes_per_second), true, &is_to_end);
        let (mut planning, mut applying) = (pace(), pace());
        let compaction = store.compaction().forced(policy.forced);
        // From here on the one that is at work is the only one of its own.
        drop(store);
        let Some(plan) = compaction.plan_at(&mut planning)? else { return Ok(Looked::Left) };
        drop(compaction);
        if !policy.wants(&plan) {
            return Ok(Looked::NothingDue(there));
        }
        if self.link.store()?.room_left()?.is_some_and(|room| room < plan.room) {
            let act = format!("compacting in the background: there is no room for a segment of {} bytes", plan.room);
            return Err(Error::new(ErrorKind::Full, act));
        }
        let compacted = plan.apply_at(&mut applying, |_| ControlFlow::Continue(()))?;
        Ok(Looked::Compacted(plan.now, compacted))
    }

    fn end(&self) {
        let mut state = self.state.lock();
        state.is_over = true;
        let thread = state.thread.take();
        drop(state);
        self.changed.notify_all();
        // It may itself have dropped the last handle of the store.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != current_thread().id()) {
            let _ = thread.join();
        }
    }
}

/// Has it look; where that panics it has failed.
fn caught(look: impl FnOnce() -> Result<Looked, Error>) -> Result<Looked, Error> {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let act = format!("compacting in the background: it panicked: {}", said.unwrap_or("it does not say why"));
        Err(Error::new(ErrorKind::Io, act))
    })
}

/// What a look came to.
enum Looked {
    /// Nothing could be done, or it was told to end.
    Left,
    /// There is nothing new since the last time.
    Again(WhatCompactionTurnsOn),
    /// What would go is not worth it.
    NothingDue(WhatCompactionTurnsOn),
    Compacted(Timestamp, Compacted),
}

impl BeforeClose for Background {
    fn before_close(&self, _: &EventStore) {
        self.end();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Where nobody could do that before the store was closed. Whoever is at work holds no store any more, and ends.
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl BackgroundCompaction {
    /// Whether it is at work at this moment.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.is_at_work
    }

    /// How often it has read the log to see what may go.
    #[must_use]
    pub fn plans(&self) -> u64 {
        self.plans
    }

    /// How often it has compacted.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// When it has compacted last, and what that came to.
    #[must_use]
    pub fn last_run(&self) -> Option<(Timestamp, &Compacted)> {
        self.last_run.as_ref().map(|(at, compacted)| (*at, compacted))
    }

    /// Why it could not compact the last time it was to; none where it could since, or was told to stop.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }
}

#[cfg(all(test, not(any(scorebook_loom, scorebook_shuttle))))]
mod tests {
    use super::*;
    use crate::event::NewEvent;
    use crate::name::StreamName;
    use crate::position::ExpectedVersion;
    use std::cell::Cell;

    #[test]
    fn a_look_that_panics_has_failed() {
        let failed = |look: fn() -> Result<Looked, Error>| caught(look).map(drop).expect_err("it panics").to_string();
        assert!(failed(|| panic!("no {}", "coffee")).contains("it panicked: no coffee"));
        assert!(failed(|| panic!("no tea")).contains("it panicked: no tea"));
        assert!(matches!(caught(|| Ok(Looked::Left)), Ok(Looked::Left)));
    }

    #[test]
    fn told_to_end_at_any_piece_it_plans_nothing_or_leaves_the_row_at_hand_as_it_is() {
        let store = EventStore::options().segment_bytes_max(32 * 1024).open_in_memory().expect("a store");
        let [over, live] = ["game-1", "game-2"].map(|name| StreamName::new(name).expect("a name"));
        for number in 0..300 {
            let stream = if number % 2 == 0 { &over } else { &live };
            let event = NewEvent::bytes("moved", vec![7; 1_000]);
            store.append(stream, ExpectedVersion::Any, [event]).wait().expect("a receipt");
        }
        store.tombstone(&over, ExpectedVersion::Any, "over").wait().expect("a receipt");
        let (mut unplanned, mut incomplete, mut removed) = (0, 0, 0);
        for stop in 1.. {
            let asked = Cell::new(0_u32);
            let is_to_end = || {
                asked.set(asked.get() + 1);
                stop <= asked.get()
            };
            let Some(plan) = store.compaction().plan_at(&mut Pace::new(&store, None, true, &is_to_end)).expect("read")
            else {
                unplanned += 1;
                continue;
            };
            // Of one row only, so that the next one has something left to do.
            asked.set(stop.max(2) - 2);
            let mut pace = Pace::new(&store, Some(u64::MAX), true, &is_to_end);
            let compacted = plan.apply_at(&mut pace, |_| ControlFlow::Continue(())).expect("it is done");
            removed += compacted.events_removed();
            incomplete += u32::from(!compacted.is_complete());
            assert_eq!(store.read(&live).into_iter().filter(Result::is_ok).count(), 150, "stopped at {stop}");
            if compacted.is_complete() {
                break;
            }
        }
        assert!(3 < unplanned && 0 < incomplete, "{unplanned} unplanned, {incomplete} incomplete");
        assert!(100 < removed, "{removed} events");
    }
}
