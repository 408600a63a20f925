//! A consumer at work: the machine, what feeds it, and what writes down what it says.
//!
//! One for each consumer that somebody has joined, shared by all its members. The log is read, and batches are appended,
//! with nothing locked; what is written is written by one at a time, in the order in which the machine has said it.

use super::definition::Consumer;
use super::flow::{Flow, Handed, MemberId, NotJoined};
use super::rate::Rate;
use super::registry::Registry;
use super::turn::Turn;
use crate::error::{AppendError, Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::log::{Calls, Waiter, wake};
use crate::mutant::Mutant;
use crate::position::Position;
use crate::query::Query;
use crate::store::{EventStore, StoreLink};
use crate::subscription::{Followed, Pull};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::time::Timestamp;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// See the module.
pub(super) struct Runtime {
    pub(super) link: StoreLink,
    pub(super) consumer: Consumer,
    pub(super) registry: Arc<Registry>,
    pub(super) turn: Arc<Turn>,
    /// When the consumer was made, by the clock.
    pub(super) created: Timestamp,
    /// Taken after nothing else, and for moments.
    pub(super) state: Mutex<State>,
}

/// What changes of it.
pub(super) struct State {
    pub(super) flow: Flow<RecordedEvent>,
    /// Reads the log; taken out by whoever reads.
    pub(super) pull: Option<Pull>,
    /// Somebody wanted to read while somebody else did.
    pub(super) is_wanted: bool,
    /// How often it was sent elsewhere: what was read before does not count then.
    pub(super) seeks: u64,
    /// Of the last record.
    pub(super) number: u64,
    /// Of the store, in which what was looked at is there.
    pub(super) opening: u64,
    pub(super) paused: Option<String>,
    /// It has paused itself, and that is not written down.
    pub(super) is_pause_unwritten: bool,
    /// What comes next cannot be read. What was read before is handed out.
    pub(super) ended: Option<Error>,
    /// It was deleted or changed, or somebody else has moved it: nothing more is handed out, said or written here.
    pub(super) gone: Option<Error>,
    /// Members who wait.
    pub(super) waiting: Vec<Arc<Waiter>>,
    /// How many threads run a handler.
    pub(super) runners: usize,
    pub(super) is_closing: bool,
    pub(super) chance: u64,
    pub(super) scheduled: Option<Duration>,
    pub(super) last_error: Option<String>,
    pub(super) begun: Duration,
    pub(super) rate: Rate,
}

/// How many events are read before they are offered.
const READ_AT_ONCE: usize = 256;

impl Runtime {
    /// Fails where somebody else asks for something else under the same name.
    pub(super) fn check_same(&self, consumer: &Consumer) -> Result<(), Error> {
        let (known, asked) = (self.consumer.text(), consumer.text());
        if known == asked {
            return Ok(());
        }
        let act = format!("joining consumer {}: it runs as {known} and is asked for as {asked}", consumer.name);
        Err(Error::new(ErrorKind::InvalidArgument, act))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn now(&self) -> Result<Duration, Error> {
        Ok(self.link.store()?.elapsed())
    }

    pub(super) fn query(&self) -> &Query {
        &self.consumer.query
    }

    pub(super) fn join(&self, name: Option<&str>) -> Result<MemberId, Error> {
        let joined = self.state().flow.join(name);
        joined.map_err(|refused| {
            let why = match refused {
                NotJoined::TooMany => format!("it has {} members, which is the limit", self.consumer.rules.members_max),
                NotJoined::Twice => format!("member {} has joined already", name.unwrap_or_default().escape_debug()),
            };
            Error::new(ErrorKind::InvalidArgument, format!("joining consumer {}: {why}", self.consumer.name))
        })
    }

    /// What a member is handed now, if there is anything.
    pub(super) fn take(self: &Arc<Runtime>, member: MemberId) -> Result<Option<Handed<RecordedEvent>>, Error> {
        self.advance()?;
        let now = self.now()?;
        let mut state = self.state();
        state.check()?;
        let handed = state.flow.take(member, now);
        drop(state);
        self.schedule(now);
        Ok(handed)
    }

    /// Lets time pass, reads what there is room for, and writes down what is due.
    pub(super) fn advance(self: &Arc<Runtime>) -> Result<(), Error> {
        let store = self.link.store()?;
        let now = store.elapsed();
        self.look_at(&store)?;
        let mut state = self.state();
        state.check()?;
        state.tick(now);
        drop(state);
        loop {
            self.fill(now);
            let was_held_up = self.state().flow.is_held_up();
            self.tend(now);
            if !was_held_up || self.state().flow.is_held_up() {
                return Ok(());
            }
        }
    }

    /// Looks whether the store was opened again without what was looked at, or with another record than the last one here.
    pub(super) fn look_at(&self, store: &EventStore) -> Result<(), Error> {
        let opening = store.opening()?;
        if self.state().opening == opening || Mutant::GoesOnBehindASetback.is_on() {
            return Ok(());
        }
        let number = store.known_consumer(&self.consumer.name)?.map_or(0, |known| known.number);
        let mut state = self.state();
        let before = std::mem::replace(&mut state.opening, opening);
        let scanned = state.flow.scanned();
        let setback = self.link.setback_between(before, opening);
        let act = format!("consumer {} at position {scanned}", self.consumer.name);
        let error = match setback.filter(|head| *head < scanned) {
            Some(head) => {
                let act = format!("{act}: since it looked there the store was opened again, and ended at {head}");
                Error::new(ErrorKind::Lost, act)
            }
            // What became of the last record was not known, or it was lost.
            None if number != state.number && self.turn.is_free() => {
                let act = format!("{act}: the store was opened again, and another record of it is the last");
                Error::new(ErrorKind::InvalidArgument, act)
            }
            None => return Ok(()),
        };
        state.gone.get_or_insert_with(|| error.clone());
        drop(state);
        self.call_members();
        Err(error)
    }

    /// The timer is due.
    pub(super) fn on_time(self: &Arc<Runtime>, at: Duration) {
        let mut state = self.state();
        if state.scheduled == Some(at) {
            state.scheduled = None;
        }
        drop(state);
        // What is wrong is told to whoever asks for the next event.
        let _ = self.advance();
        self.call_members();
    }

    /// After something was said of an event: writes down what is due, and has the members look.
    pub(super) fn changed(self: &Arc<Runtime>) {
        if let Ok(now) = self.now() {
            self.tend(now);
        }
        self.call_members();
    }

    fn tend(self: &Arc<Runtime>, now: Duration) {
        let mut state = self.state();
        let stop = state.flow.take_stop();
        let is_due = state.flow.is_due(now);
        if stop.is_some() {
            (state.paused, state.is_pause_unwritten) = (stop, true);
        }
        let is_due = is_due || state.is_pause_unwritten;
        // Whoever joins next goes on from what is written.
        let is_over = state.flow.members() == 0 || state.has_nothing_more();
        let is_over = is_over && state.flow.is_unrecorded();
        let is_gone = state.gone.is_some();
        drop(state);
        if is_gone {
            return;
        }
        // Kept until the turn is given back: to close the store, which the last handle does, may take one.
        let _store = self.link.store();
        // Whoever writes at this moment looks after the rest when that has ended. To wait for a task could be for ever: it may
        // wait for this thread.
        if let Some(_turn) = (is_due || is_over).then(|| self.turn.try_take()).flatten() {
            self.write_what_is_not();
        }
        self.schedule(now);
    }

    /// Has the timer call when time matters next.
    fn schedule(self: &Arc<Runtime>, now: Duration) {
        let mut state = self.state();
        let Some(next) = state.flow.next_time(now) else { return };
        if state.scheduled.is_none_or(|scheduled| next < scheduled || scheduled <= now) {
            state.scheduled = Some(next);
            drop(state);
            if self.link.store().is_ok_and(|store| store.has_threads()) {
                self.registry.timer.call_at(next, self);
            }
        }
    }

    /// Reads what there is room for. One does at a time; nothing is locked while it does.
    fn fill(&self, now: Duration) {
        loop {
            let mut state = self.state();
            let room = state.flow.room().min(READ_AT_ONCE);
            if room == 0 || state.ended.is_some() {
                return;
            }
            let Some(pull) = state.pull.take() else {
                state.is_wanted = true;
                return;
            };
            let seeks = state.seeks;
            drop(state);
            let mut reading = Reading { runtime: self, pull: Some(pull), seeks };
            let pull = reading.pull.as_mut().expect("put there above");
            let before = pull.given();
            let (mut events, mut is_level, mut failure) = (Vec::new(), false, None);
            while events.len() < room {
                match pull.step() {
                    Ok(Some(Followed::Event(event))) if self.consumer.hands_out(&event) => {
                        match self.consumer.rules.partition.key_of(&event) {
                            Ok(key) => events.push((key, event)),
                            Err(error) => {
                                failure = Some((error, Position::new(event.position().get() - 1)));
                                break;
                            }
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        is_level = true;
                        break;
                    }
                    Err(error) => {
                        failure = Some((error, pull.given()));
                        break;
                    }
                }
            }
            let given = failure.as_ref().map_or(pull.given(), |(_, given)| *given);
            let is_matched = !events.is_empty();
            let was_set_back = pull.was_set_back();
            let mut state = self.state();
            let pull = reading.pull.take();
            if state.seeks != seeks {
                continue;
            }
            // IMPORTANT: offered before anybody else may read on, or later events would come first.
            state.pull = pull;
            for (key, event) in events {
                state.flow.offer(event.position(), key, event, now);
            }
            if before < given && (is_matched || !Mutant::StandsStillWhereNothingMatches.is_on()) {
                state.flow.note_scanned(given, now);
            }
            let has_failed = failure.is_some();
            if let Some((error, _)) = failure {
                if was_set_back {
                    state.gone.get_or_insert_with(|| error.clone());
                }
                state.ended = Some(error);
            }
            // Whoever came while this was read has gone away, and may know of more.
            let is_wanted = std::mem::take(&mut state.is_wanted);
            let is_over = has_failed || (is_level && !is_wanted);
            drop(state);
            if is_matched || is_wanted || has_failed {
                // Somebody may have looked in vain while these were read.
                self.call_members();
            }
            if is_over {
                return;
            }
        }
    }

    /// Adds one who waits to those who are called when something changes.
    pub(super) fn enroll(&self, waiter: &Arc<Waiter>) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            // Most consumers have one who waits, and there may be a thousand consumers.
            state.waiting.reserve_exact(1);
        }
        state.waiting.push(waiter.clone());
    }

    pub(super) fn strike_off(&self, waiter: &Arc<Waiter>) {
        self.state().waiting.retain(|other| !Arc::ptr_eq(other, waiter));
    }

    /// Has all members look whether there is something for them.
    pub(super) fn call_members(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        let mut calls = Calls::default();
        waiting.into_iter().for_each(|waiter| calls.push(waiter));
        wake(calls.make());
    }

    pub(super) fn leave(self: &Arc<Runtime>, member: MemberId) {
        let Ok(now) = self.now() else { return };
        self.state().flow.leave(member, now);
        self.changed();
    }

    /// Nothing more is handed out.
    pub(super) fn begin_to_stop(&self) {
        self.state().is_closing = true;
        self.call_members();
    }

    /// Waits for handlers that are at work, since it was told to stop, and writes down where it stands.
    pub(super) fn stop(&self, store: &EventStore, told: Duration) {
        let own = usize::from(super::run::is_at_work_for(self));
        let left = || self.consumer.rules.stop_within.saturating_sub(store.elapsed().saturating_sub(told));
        while store.has_threads() && own < self.state().runners && !left().is_zero() {
            crate::sync::sleep(Duration::from_millis(1));
        }
        let is_unrecorded = self.state().flow.is_unrecorded() && !Mutant::ClosesWithoutCheckpoints.is_on();
        if let Some(_turn) = is_unrecorded.then(|| self.turn.take_within(left())).flatten() {
            self.write_what_is_not();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().check().is_err()
    }
}

/// The reader of the log goes back when its reading is over, however that ends.
struct Reading<'a> {
    runtime: &'a Runtime,
    pull: Option<Pull>,
    /// How often it had been sent elsewhere when this was begun.
    seeks: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.runtime.state();
        // Else it was sent elsewhere meanwhile.
        if state.seeks == self.seeks && state.pull.is_none() {
            state.pull = self.pull.take();
        }
    }
}

impl State {
    fn check(&self) -> Result<(), Error> {
        if self.is_closing {
            return Err(Error::new(ErrorKind::Closed, "the store is being closed"));
        }
        self.check_there()?;
        self.ended.as_ref().filter(|_| self.has_nothing_more()).map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Whether all is done that could be read.
    fn has_nothing_more(&self) -> bool {
        self.ended.is_some() && self.flow.unfinished() == 0
    }

    /// Fails where it is not there any more.
    pub(super) fn check_there(&self) -> Result<(), Error> {
        let gone = self.gone.as_ref().filter(|_| !Mutant::BringsBackWhatIsGone.is_on());
        gone.map_or(Ok(()), |error| Err(error.clone()))
    }

    fn tick(&mut self, now: Duration) {
        let chance = &mut self.chance;
        self.flow.tick(now, || next(chance));
    }

    /// A number that is as good as random.
    pub(super) fn chance(&mut self) -> u64 {
        next(&mut self.chance)
    }

    /// A record was refused: where somebody else has moved the consumer, nothing more is handed out here.
    pub(super) fn failed(&mut self, error: AppendError) -> Error {
        let is_moved = error.conflict().is_some();
        let error = error.into_error();
        if is_moved {
            self.gone = Some(error.clone());
        }
        error
    }
}

fn next(chance: &mut u64) -> u64 {
    *chance = chance.wrapping_add(1);
    xxh3_64(&chance.to_le_bytes())
}
