//! Which event is handed out to whom, and what becomes of it.
//!
//! A machine: every change comes in by a method, with the time where time matters, and what is to be written down is asked
//! of it. It knows no clock, thread, file or store, so that it can be tried in every order of things.
//!
//! ```text
//! offered ──► waiting ──► handed out ──► done
//!               ▲  ▲          │
//!               │  └ delayed ◄┤ failed, and tried again later
//!               │             └──► parked, with all later ones of its key ──► waiting again, when redelivered
//!               └── given back: its member is gone, or it took too long
//! ```
//!
//! What is kept in order has a key. Of a key only the first events that are not done are handed out, to one member at a
//! time; what follows them waits.

mod failing;
mod handing;
mod members;
mod parking;
mod recording;
#[cfg(test)]
mod tests;

use self::members::Members;
use super::rules::{Rules, Verdict};
use crate::format::ParkedFact;
use crate::mutant::Mutant;
use crate::position::Position;
use crate::sync::Arc;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

pub(in crate::consumer) use self::members::{MemberId, NotJoined};

/// See the module.
///
/// INVARIANT:
/// 1. What was offered is done, or in `items`, or in `parked`.
/// 2. Of each key in `keys` the events that were handed out are in one delivery of one member.
/// 3. `ready` holds the first event of each key of which none is handed out, unless that is delayed; then `delayed` has it.
#[derive(Debug)]
pub(in crate::consumer) struct Flow<E> {
    pub(in crate::consumer) rules: Arc<Rules>,
    /// Everything up to here was offered, or is not asked for.
    scanned: Position,
    items: BTreeMap<Position, Item<E>>,
    keys: HashMap<u128, Key, RandomState>,
    ready: BTreeSet<Position>,
    /// Since when there is something ready.
    ready_since: Option<Duration>,
    delayed: BTreeSet<(Duration, Position)>,
    deadlines: BTreeSet<(Duration, Position)>,
    members: Members,
    next_delivery: u64,
    parked: BTreeMap<Position, Aside>,
    /// What is set aside of each key.
    parked_keys: BTreeMap<u128, BTreeSet<Position>>,
    /// What was set aside, or is not any more, and is not written down yet.
    unwritten: Vec<ParkedFact>,
    /// How many events were done since the last checkpoint, or looked at and not asked for; and since when.
    unrecorded: u64,
    unrecorded_since: Option<Duration>,
    is_paused: bool,
    /// Why it should be paused, until that is done.
    stop: Option<String>,
    failures_in_row: u32,
    broken_until: Option<Duration>,
    counts: Counts,
}

#[derive(Debug)]
struct Item<E> {
    key: u128,
    event: E,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Delayed(Duration),
    Handed { member: MemberId, delivery: u64, deadline: Option<Duration>, is_committing: bool },
}

#[derive(Debug, Default)]
struct Key {
    /// Not done, in order.
    queue: BTreeSet<Position>,
    handed: usize,
}

/// An event that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Aside {
    pub(in crate::consumer) key: u128,
    pub(in crate::consumer) attempts: u32,
    pub(in crate::consumer) reason: String,
}

/// Events that are handed out together.
#[derive(Debug)]
pub(in crate::consumer) struct Handed<E> {
    pub(in crate::consumer) delivery: u64,
    /// Each with how often it was handed out, this time included.
    pub(in crate::consumer) events: Vec<(Position, u32, E)>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::consumer) struct Counts {
    pub(in crate::consumer) done: u64,
    pub(in crate::consumer) failures: u64,
    /// When something was done last.
    pub(in crate::consumer) last_progress: Option<Duration>,
}

/// The event is not in the hands of whoever speaks of it: it took too long, or was handed out to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Stale;

/// What is to be written down.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Record {
    pub(in crate::consumer) parked: Vec<ParkedFact>,
    pub(in crate::consumer) scanned: Position,
    pub(in crate::consumer) left: Vec<Position>,
    /// How much of what was done it covers, and up to when.
    covered: u64,
    made: Duration,
}

impl<E: Clone> Flow<E> {
    /// A consumer that has looked at everything up to a position, and has set these events aside. What it has looked at and
    /// is not done with is to be [offered](Self::offer) next.
    pub(in crate::consumer) fn new(rules: Arc<Rules>, scanned: Position, parked: BTreeMap<Position, Aside>) -> Flow<E> {
        let mut parked_keys: BTreeMap<u128, BTreeSet<Position>> = BTreeMap::new();
        for (position, aside) in &parked {
            parked_keys.entry(aside.key).or_default().insert(*position);
        }
        Flow {
            rules,
            scanned,
            items: BTreeMap::new(),
            keys: HashMap::default(),
            ready: BTreeSet::new(),
            ready_since: None,
            delayed: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            members: Members::default(),
            next_delivery: 1,
            parked,
            parked_keys,
            unwritten: Vec::new(),
            unrecorded: 0,
            unrecorded_since: None,
            is_paused: false,
            stop: None,
            failures_in_row: 0,
            broken_until: None,
            counts: Counts::default(),
        }
    }

    /// How many more events may be offered: none while nothing is handed out, or too much was set aside and is not written
    /// down. For what comes behind an event that is parked takes no room, and there may be any number of it.
    pub(in crate::consumer) fn room(&self) -> usize {
        match self.is_paused || self.stop.is_some() || self.is_held_up() {
            true => 0,
            false => self.rules.buffer.saturating_sub(self.items.len()),
        }
    }

    /// Whether nothing is looked at before what was set aside is written down.
    pub(in crate::consumer) fn is_held_up(&self) -> bool {
        WRITTEN_TOGETHER <= self.unwritten.len()
    }

    /// An event that is asked for, with its key. Events come in the order of their positions.
    pub(in crate::consumer) fn offer(&mut self, position: Position, key: u128, event: E, now: Duration) {
        self.scanned = self.scanned.max(position);
        if self.items.contains_key(&position) || self.parked.contains_key(&position) {
            return;
        }
        if self.is_behind_parked(position, key) && !Mutant::LetsLaterOnesPass.is_on() {
            self.set_aside(position, key, 0, BEHIND.to_owned());
            self.note_done(1, now);
            return;
        }
        self.items.insert(position, Item { key, event, attempts: 0, state: State::Waiting });
        self.keys.entry(key).or_default().queue.insert(position);
        self.refresh(key, now);
    }

    /// Everything up to here was looked at.
    pub(in crate::consumer) fn note_scanned(&mut self, position: Position, now: Duration) {
        if self.scanned < position {
            self.scanned = position;
            self.note_done(0, now);
        }
    }

    pub(in crate::consumer) fn join(&mut self, name: Option<&str>) -> Result<MemberId, NotJoined> {
        self.members.join(name, self.rules.members_max)
    }

    /// What a member has in its hands goes to the others.
    pub(in crate::consumer) fn leave(&mut self, member: MemberId, now: Duration) {
        let Some(left) = self.members.leave(member) else { return };
        if Mutant::KeepsWhatADeadMemberHad.is_on() {
            return;
        }
        for position in left.handed {
            // What is being committed is done or not when that has ended.
            if !self.is_committing(position) {
                self.take_back(position, State::Waiting, now);
            }
        }
    }

    fn is_committing(&self, position: Position) -> bool {
        let state = self.items.get(&position).map(|item| item.state);
        matches!(state, Some(State::Handed { is_committing: true, .. }))
    }

    /// An event is done.
    pub(in crate::consumer) fn ack(&mut self, delivery: u64, position: Position, now: Duration) -> Result<(), Stale> {
        self.check(delivery, position)?;
        self.finish(position, now);
        self.succeed(now);
        Ok(())
    }

    fn succeed(&mut self, now: Duration) {
        self.failures_in_row = 0;
        self.broken_until = None;
        self.counts.last_progress = Some(now);
    }

    /// Time passes: what took too long is taken back, what was delayed may be due.
    pub(in crate::consumer) fn tick(&mut self, now: Duration, mut chance: impl FnMut() -> u64) {
        while let Some((deadline, position)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)
        {
            self.deadlines.remove(&(deadline, position));
            let handed = self.items.get(&position).map(|item| item.state);
            if let Some(State::Handed { is_committing: false, .. }) = handed {
                let limit = self.rules.time_limit.unwrap_or_default();
                self.fail(position, Verdict::Retry, &format!("it was not done within {limit:?}"), now, chance());
            }
        }
        while let Some((at, position)) = self.delayed.first().copied().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, position));
            if let Some(item) = self.items.get_mut(&position) {
                item.state = State::Waiting;
                let key = item.key;
                self.refresh(key, now);
            }
        }
    }

    /// When time matters next, behind this moment.
    pub(in crate::consumer) fn next_time(&self, now: Duration) -> Option<Duration> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let recorded = self.unrecorded_since.map(|since| since.saturating_add(self.rules.checkpoint_after));
        let batch = self.ready_since.map(|since| since.saturating_add(self.rules.batch_wait));
        let batch = batch.filter(|_| !self.rules.batch_wait.is_zero());
        let all = [delayed, deadline, recorded, batch, self.broken_until];
        all.into_iter().flatten().filter(|time| now < *time).min()
    }

    /// Fails where an event is not in the hands of a delivery.
    fn check(&self, delivery: u64, position: Position) -> Result<(), Stale> {
        match self.items.get(&position).map(|item| item.state) {
            Some(State::Handed { delivery: handed, is_committing: false, .. }) if handed == delivery => Ok(()),
            _ => Err(Stale),
        }
    }

    /// It goes on from behind another position, which is written down, with nothing in anybody's hands. What is set aside
    /// stays so.
    pub(in crate::consumer) fn seek(&mut self, position: Position) {
        self.items.clear();
        self.keys.clear();
        self.ready.clear();
        self.delayed.clear();
        self.deadlines.clear();
        self.members.iter_mut().for_each(|member| member.handed.clear());
        self.ready_since = None;
        self.scanned = position;
        (self.unrecorded, self.unrecorded_since) = (0, None);
    }

    pub(in crate::consumer) fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        if !is_paused {
            self.failures_in_row = 0;
            self.broken_until = None;
        }
    }

    /// Why it is to be paused, told once.
    pub(in crate::consumer) fn take_stop(&mut self) -> Option<String> {
        let stop = self.stop.take();
        self.is_paused |= stop.is_some();
        stop
    }

    pub(in crate::consumer) fn scanned(&self) -> Position {
        self.scanned
    }

    /// Everything up to here is done.
    pub(in crate::consumer) fn position(&self) -> Position {
        self.items.keys().next().map_or(self.scanned, |first| Position::new(first.get() - 1))
    }

    pub(in crate::consumer) fn members(&self) -> usize {
        self.members.count()
    }

    pub(in crate::consumer) fn in_flight(&self) -> usize {
        self.members.iter().map(|member| member.handed.len()).sum()
    }

    pub(in crate::consumer) fn unfinished(&self) -> usize {
        self.items.len()
    }

    pub(in crate::consumer) fn counts(&self) -> Counts {
        self.counts
    }

    pub(in crate::consumer) fn broken_until(&self) -> Option<Duration> {
        self.broken_until
    }

    /// Notes that so many events are done.
    fn note_done(&mut self, events: u64, now: Duration) {
        self.unrecorded += events;
        if self.unrecorded_since.is_none() || (0 < events && Mutant::CountsTheAgeAnew.is_on()) {
            self.unrecorded_since = Some(now);
        }
    }

    fn finish(&mut self, position: Position, now: Duration) {
        self.remove(position, now);
        self.counts.done += 1;
        self.note_done(1, now);
    }

    /// Takes an event out of everything.
    fn remove(&mut self, position: Position, now: Duration) {
        let Some(item) = self.items.remove(&position) else { return };
        self.ready.remove(&position);
        self.let_go(position, item.state);
        if let Some(key) = self.keys.get_mut(&item.key) {
            key.queue.remove(&position);
            key.handed -= usize::from(matches!(item.state, State::Handed { .. }));
        }
        self.refresh(item.key, now);
    }

    /// Takes an event back from whoever has it.
    fn take_back(&mut self, position: Position, state: State, now: Duration) {
        let Some(item) = self.items.get_mut(&position) else { return };
        let before = std::mem::replace(&mut item.state, state);
        let key = item.key;
        self.let_go(position, before);
        if let State::Delayed(at) = state {
            self.delayed.insert((at, position));
        }
        if let Some(of_key) = self.keys.get_mut(&key) {
            of_key.handed -= usize::from(matches!(before, State::Handed { .. }));
        }
        self.refresh(key, now);
    }

    fn let_go(&mut self, position: Position, state: State) {
        match state {
            State::Waiting => {}
            State::Delayed(at) => {
                self.delayed.remove(&(at, position));
            }
            State::Handed { member, deadline, .. } => {
                if let Some(deadline) = deadline {
                    self.deadlines.remove(&(deadline, position));
                }
                if let Some(member) = self.members.get_mut(member) {
                    member.handed.remove(&position);
                }
            }
        }
    }

    /// Makes the first event of a key ready, where none of the key is handed out.
    fn refresh(&mut self, key: u128, now: Duration) {
        let Some(of_key) = self.keys.get(&key) else { return };
        let waits = |position: &Position| self.items.get(position).is_some_and(|item| item.state == State::Waiting);
        let first = match Mutant::HandsOutAKeyTwice.is_on() {
            true => of_key.queue.iter().copied().find(waits),
            false => of_key.queue.first().copied().filter(|first| of_key.handed == 0 && waits(first)),
        };
        self.ready.extend(first);
        if of_key.queue.is_empty() {
            self.keys.remove(&key);
        }
        self.note_ready(now);
    }

    fn note_ready(&mut self, now: Duration) {
        match self.ready.is_empty() {
            true => self.ready_since = None,
            false => self.ready_since = Some(self.ready_since.unwrap_or(now)),
        }
    }
}

/// How many events are at most written down together as set aside, or as not any more.
pub(in crate::consumer) const WRITTEN_TOGETHER: usize = 1_000;

/// Why an event is set aside that has not failed.
const BEHIND: &str = "an earlier event of its key is parked";
