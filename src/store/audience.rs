//! Those who wait for events: known by what their queries ask for, so that an append wakes nobody else.
//!
//! ```text
//! who waits    takes its seat, looks once more, and only then sleeps
//! who appends  makes events visible, and only then looks at the seats
//! ```
//!
//! Both looks go through the lock of the view, which puts them in an order: either the first sees the events, or the second
//! the seat. So nobody sleeps over what it waits for.

use super::view::SharedView;
use crate::format::Term;
use crate::index::Plan;
use crate::log::{Calls, Published, Waiter};
use crate::mutant::Mutant;
use crate::position::Position;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// All who wait on one store, over all its openings.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// How many have a seat: where there are none, appends look no further.
    seated: Count,
    /// How often the store was closed.
    closings: Count,
    seats: Mutex<Seats>,
}

/// A number that is looked at without a lock.
///
/// Relaxed: whoever takes a seat and looks at the view, and whoever changes the view and looks here, are put in an order by
/// the lock of the view. Whoever closes the store says so before it puts another engine in the place of the old one, and
/// that has a lock, too.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Seats {
    count: usize,
    /// Each by one telling term for every way to meet its query.
    by_term: HashMap<Term, Vec<Seated>, RandomState>,
    /// Those whose queries every event may meet.
    for_all: Vec<Arc<Waiter>>,
    /// Those who wait for something visible to become durable.
    for_durable: Vec<Arc<Waiter>>,
    /// Somebody looks now and then whether another process has written, and calls them.
    is_watched: bool,
    /// How often the store was opened again.
    openings: u64,
    /// The openings that showed less than had been visible, and where the store ended then: rising, also in position, for one
    /// that ended before an earlier one takes its place.
    setbacks: Vec<(u64, Position)>,
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} seats", self.count)
    }
}

struct Seated {
    waiter: Arc<Waiter>,
    /// What else an event must have; none where the term says it all.
    plan: Option<Arc<Plan>>,
}

/// What a seat is called for.
#[derive(Clone)]
pub(crate) struct CalledFor {
    /// None where an event with one of the terms meets it for sure.
    plan: Option<Arc<Plan>>,
    /// See [`Plan::telling_terms`].
    terms: Option<Arc<[Term]>>,
}

impl CalledFor {
    pub(crate) fn new(plan: Plan) -> CalledFor {
        let terms = plan.telling_terms().map(Arc::from);
        let has_one_demand_each = plan.items().iter().all(|item| item.len() == 1);
        CalledFor { plan: (!has_one_demand_each).then(|| Arc::new(plan)), terms }
    }
}

impl Audience {
    /// Those who wait for one of these events. They are no longer seated then.
    pub(super) fn called_by(&self, published: &Published<'_>) -> Calls {
        let mut calls = Calls::default();
        if self.seated.get() == 0 {
            return calls;
        }
        let mut seats = self.seats.lock();
        for batch in published.batches() {
            for waiter in std::mem::take(&mut seats.for_all) {
                calls.push(waiter);
            }
            if seats.by_term.is_empty() {
                continue;
            }
            for terms in batch.terms.events() {
                for term in terms {
                    seats.call(*term, terms, &mut calls);
                }
            }
        }
        calls
    }

    /// Those who wait for something visible to become durable.
    pub(super) fn called_by_sync(&self) -> Calls {
        let mut calls = Calls::default();
        if self.seated.get() != 0 {
            let waiters = std::mem::take(&mut self.seats.lock().for_durable);
            waiters.into_iter().for_each(|waiter| calls.push(waiter));
        }
        calls
    }

    /// Everybody.
    pub(super) fn all(&self) -> Calls {
        let mut seats = self.seats.lock();
        let mut waiters = std::mem::take(&mut seats.for_all);
        waiters.append(&mut seats.for_durable);
        let by_term = std::mem::take(&mut seats.by_term);
        waiters.extend(by_term.into_values().flatten().map(|seated| seated.waiter));
        drop(seats);
        let mut calls = Calls::default();
        waiters.into_iter().for_each(|waiter| calls.push(waiter));
        calls
    }

    /// Notes that the store is about to be closed.
    pub(super) fn note_closing(&self) {
        self.closings.add_one();
    }

    /// Numbers a view that is about to take the place of another, in which more may have been visible.
    pub(super) fn note_opening(&self, before: &SharedView, view: &SharedView) {
        let (before, head) = (before.0.read().head, view.0.read().head);
        let mut seats = self.seats.lock();
        seats.openings += 1;
        let number = seats.openings;
        if head < before {
            seats.setbacks.retain(|(_, earlier)| *earlier < head);
            seats.setbacks.push((number, head));
        }
        drop(seats);
        view.0.write().opening = number;
    }

    /// How often the store was closed.
    pub(super) fn closings(&self) -> u64 {
        self.closings.get()
    }

    /// The lowest place at which the store has ended in an opening behind one and up to another, where more had been visible.
    pub(super) fn setback_between(&self, opening: u64, other: u64) -> Option<Position> {
        let seats = self.seats.lock();
        let between = seats.setbacks.iter().filter(|(number, _)| opening < *number && *number <= other);
        between.map(|(_, head)| *head).min()
    }

    /// Notes that somebody watches from now on; false where somebody does.
    pub(super) fn begin_to_watch(&self) -> bool {
        !std::mem::replace(&mut self.seats.lock().is_watched, true)
    }

    pub(super) fn end_watch(&self) {
        self.seats.lock().is_watched = false;
    }

    /// Ends watching where nobody waits; whether it has ended.
    pub(super) fn end_watch_over_nobody(&self) -> bool {
        let mut seats = self.seats.lock();
        seats.is_watched = seats.count != 0;
        !seats.is_watched
    }
}

impl Seats {
    /// Calls those who wait for an event with this term, if it is what they ask for.
    fn call(&mut self, term: Term, terms: &[Term], calls: &mut Calls) {
        let Some(seated) = self.by_term.get_mut(&term) else { return };
        let is_met = |seated: &mut Seated| {
            seated.plan.as_ref().is_none_or(|plan| plan.is_met_by(terms)) || Mutant::WakesEverybody.is_on()
        };
        seated.extract_if(.., is_met).for_each(|seated| calls.push(seated.waiter));
        if seated.is_empty() {
            self.by_term.remove(&term);
        }
    }

    fn seat(&mut self, waiter: &Arc<Waiter>, called_for: &CalledFor, is_for_durable: bool) {
        match &called_for.terms {
            None => self.for_all.push(waiter.clone()),
            Some(terms) => {
                for term in terms.iter() {
                    let seated = Seated { waiter: waiter.clone(), plan: called_for.plan.clone() };
                    // Most terms have one who waits for them, and there may be ten thousand who do.
                    self.by_term.entry(*term).or_insert_with(|| Vec::with_capacity(1)).push(seated);
                }
            }
        }
        if is_for_durable {
            self.for_durable.push(waiter.clone());
        }
    }

    fn unseat(&mut self, waiter: &Arc<Waiter>, called_for: &CalledFor, is_for_durable: bool) {
        let is_it = |other: &Arc<Waiter>| Arc::ptr_eq(other, waiter);
        let remove = |waiters: &mut Vec<Arc<Waiter>>| {
            if let Some(index) = waiters.iter().position(is_it) {
                waiters.swap_remove(index);
            }
        };
        match &called_for.terms {
            None => remove(&mut self.for_all),
            Some(terms) => {
                for term in terms.iter() {
                    let Some(seated) = self.by_term.get_mut(term) else { continue };
                    if let Some(index) = seated.iter().position(|seated| is_it(&seated.waiter)) {
                        seated.swap_remove(index);
                    }
                    if seated.is_empty() {
                        self.by_term.remove(term);
                    }
                }
            }
        }
        if is_for_durable {
            remove(&mut self.for_durable);
        }
    }
}

/// The place of one who waits, taken and left again and again.
pub(crate) struct Seat {
    audience: Arc<Audience>,
    waiter: Arc<Waiter>,
    /// What it is called for while it is taken.
    taken: Option<(CalledFor, bool)>,
}

impl Seat {
    pub(crate) fn new(audience: Arc<Audience>) -> Seat {
        Seat { audience, waiter: Arc::new(Waiter::new()), taken: None }
    }

    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// Takes the seat. Whoever does must look once more before it sleeps.
    pub(crate) fn take(&mut self, called_for: CalledFor, is_for_durable: bool) {
        debug_assert!(self.taken.is_none(), "a seat is taken once");
        if Mutant::SleepsWithoutASeat.is_on() {
            return;
        }
        let mut seats = self.audience.seats.lock();
        seats.seat(&self.waiter, &called_for, is_for_durable);
        seats.count += 1;
        self.audience.seated.set(seats.count);
        drop(seats);
        self.taken = Some((called_for, is_for_durable));
    }

    /// Leaves it, if it is taken.
    pub(crate) fn leave(&mut self) {
        if let Some((called_for, is_for_durable)) = self.taken.take() {
            let mut seats = self.audience.seats.lock();
            seats.unseat(&self.waiter, &called_for, is_for_durable);
            seats.count -= 1;
            self.audience.seated.set(seats.count);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
