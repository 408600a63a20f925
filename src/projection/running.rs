//! The one projection of a store and a type that follows: what is shown of it, and what folds it.
//!
//! Of its state there are two copies. Whoever folds brings the one that nobody sees up to date, folds a chunk of events into
//! it, and shows it. So whoever reads never waits for a fold, a fold never waits for whoever reads, and where a fold panics
//! there is a state that it has not touched. Where a reader still holds the other copy, the fold leaves it that and makes
//! one for itself.
//!
//! Who folds is whoever comes first: the projection's own thread, which is woken by events of its query and by no others, or
//! somebody who needs the state of some position and folds in what is missing by himself.

use super::anew::Anew;
use super::chunk::Reader;
use super::copies::{Hidden, Outcome};
use super::desk::Desk;
use super::fault::ProjectionFault;
use super::folded::Folded;
use super::folding::{Folding, Gathered};
use super::hooks::{Hooks, News};
use super::kind::{self, Projection};
use super::rebuild::Work;
use super::saved;
use crate::error::{Error, ErrorKind};
use crate::log::{Waiter, wake};
use crate::modelling::caught;
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::Position;
use crate::query::Query;
use crate::store::{BeforeClose, EventStore, StoreLink};
use crate::subscription::{Start, Subscription};
use crate::sync::{Arc, Mutex, MutexGuard, RwLock, ThreadBuilder};
use std::any::TypeId;
use std::collections::HashMap;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A projection that follows.
///
/// Locks are taken in this order: `folding`, `shown`, `waiting`. Nothing of a user's runs under the last two, and no file is
/// touched there. `desk` is taken while none of them is held, apart from `folding` by a user's code that closes the store.
pub(super) struct Running<P: Projection> {
    pub(super) link: StoreLink,
    has_threads: bool,
    folding: Mutex<Folding<P>>,
    shown: RwLock<Shown<P>>,
    waiting: Mutex<Vec<Waiting>>,
    pub(super) hooks: Hooks<P>,
    pub(super) desk: Mutex<Desk>,
    pub(super) rebuild: Mutex<Option<Arc<Work>>>,
    alarm: Arc<Alarm>,
}

/// What everybody sees.
struct Shown<P> {
    state: Arc<P>,
    position: Position,
    /// The opening of the store in which that was so: another one may hold less.
    opening: u64,
    /// How many events were folded in since it began.
    events: u64,
    fault: Option<ProjectionFault>,
    has_ended: bool,
}

/// A task that waits for a position.
struct Waiting {
    position: Position,
    waker: Waker,
}

/// What a step has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more.
    More,
    /// Everything that is visible is folded in.
    Level,
    /// It has stopped at a fault, or ended with the store.
    Stopped,
}

/// Calls the thread of a projection.
struct Alarm(Waiter);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.call() {
            waker.wake();
        }
    }
}

/// The running projection of one type.
struct Slot<P: Projection>(Mutex<Option<Arc<Running<P>>>>);

/// Which types have which names.
#[derive(Default)]
struct Names(Mutex<HashMap<&'static str, TypeId>>);

impl<P: Projection> Running<P> {
    /// The one of a store; where none follows, one that begins to.
    pub(super) fn of(store: &EventStore) -> Result<Arc<Running<P>>, Error> {
        kind::check::<P>()?;
        let names = store.kept_or(Names::default);
        let owner = *names.0.lock().entry(P::NAME).or_insert(TypeId::of::<P>());
        if owner != TypeId::of::<P>() {
            let act = format!("projecting: projection {} of this store is of another type", P::NAME);
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let slot = store.kept_or(|| Slot::<P>(Mutex::new(None)));
        let mut slot = slot.0.lock();
        if let Some(running) = slot.as_ref().filter(|running| running.link.store().is_ok()) {
            return Ok(running.clone());
        }
        let running = Running::start(store)?;
        *slot = Some(running.clone());
        Ok(running)
    }

    /// The one of a store that follows, if one does.
    pub(super) fn known(store: &EventStore) -> Option<Arc<Running<P>>> {
        let slot = store.kept::<Slot<P>>()?;
        let running = slot.0.lock().clone();
        running.filter(|running| running.link.store().is_ok())
    }

    fn start(store: &EventStore) -> Result<Arc<Running<P>>, Error> {
        let found = saved::load::<P>(store, Position::new(u64::MAX))?;
        let desk = Desk::new(store, found.as_ref());
        let (state, position) = found.map_or_else(first, |found| (found.state, found.position));
        let folding = Folding {
            live: store.subscribe(P::query(), Start::After(position)),
            reader: Reader::new::<P>(store)?,
            ahead: None,
            hidden: Hidden::new(),
            is_live: false,
            has_thread: false,
        };
        let opening = store.sight(Durability::Written)?.opening;
        let shown = Shown { state: Arc::new(state), position, opening, events: 0, fault: None, has_ended: false };
        let running = Arc::new(Running {
            link: store.link(),
            has_threads: store.has_threads(),
            folding: Mutex::new(folding),
            shown: RwLock::new(shown),
            waiting: Mutex::new(Vec::new()),
            hooks: Hooks::new(),
            desk: Mutex::new(desk),
            rebuild: Mutex::new(None),
            alarm: Arc::new(Alarm(Waiter::new())),
        });
        running.begin_to_follow(&mut running.folding.lock())?;
        store.before_close(running.clone());
        Ok(running)
    }

    /// Starts the thread, where there is none and may be one.
    fn begin_to_follow(self: &Arc<Self>, folding: &mut Folding<P>) -> Result<(), Error> {
        if folding.has_thread || !self.has_threads {
            return Ok(());
        }
        let following = self.clone();
        let thread = ThreadBuilder::new().name("scorebook-fold".to_owned()).spawn(move || following.follow());
        thread.map_err(|error| Error::with_source(ErrorKind::Io, "starting a thread of a projection", error))?;
        folding.has_thread = true;
        Ok(())
    }

    /// What the thread does until the projection stops or the store is closed.
    fn follow(&self) {
        let waker = Waker::from(self.alarm.clone());
        loop {
            if self.step() == Step::More {
                continue;
            }
            self.alarm.0.get_ready(None);
            let ahead = self.look_ahead(&waker);
            self.call_waiting();
            match ahead {
                Step::Stopped => return,
                Step::More => {}
                Step::Level => drop(self.alarm.0.sleep(None)),
            }
        }
    }

    /// Looks once more for what comes next, and where nothing is there, has the thread be called for it.
    fn look_ahead(&self, waker: &Waker) -> Step {
        let folding = &mut *self.folding.lock();
        if self.has_stopped() {
            folding.has_thread = false;
            return Step::Stopped;
        }
        if folding.ahead.is_none() {
            match folding.live.poll(&mut Context::from_waker(waker)) {
                Poll::Ready(item) => folding.ahead = Some(item),
                Poll::Pending => {
                    // What has come by and is not asked for is folded in, too.
                    let position = folding.live.position();
                    let mut shown = self.shown.write();
                    shown.position = shown.position.max(position);
                    return Step::Level;
                }
            }
        }
        Step::More
    }

    /// Folds in what comes next, at most a chunk, on the calling thread.
    pub(super) fn step(&self) -> Step {
        self.step_in(self.folding.lock())
    }

    /// The same, unless somebody else folds.
    pub(super) fn try_step(&self) -> Option<Step> {
        self.folding.try_lock_for(Duration::ZERO).map(|folding| self.step_in(folding))
    }

    fn step_in(&self, mut folding: MutexGuard<'_, Folding<P>>) -> Step {
        let step = self.fold_or_stop(&mut folding);
        drop(folding);
        if let Some(fault) = self.hooks.run() {
            self.stop(fault);
        }
        self.call_waiting();
        self.save_where_due();
        step
    }

    /// Folds a chunk in. IMPORTANT: what panics here is not `apply`, but `clone` or `new`; the chunk is lost then, so nothing
    /// may be folded in behind it before that is read again.
    fn fold_or_stop(&self, folding: &mut Folding<P>) -> Step {
        let step = caught(|| format!("in projection {}", P::NAME), || self.fold(folding));
        step.unwrap_or_else(|error| self.stop(ProjectionFault::reading(error)))
    }

    fn fold(&self, folding: &mut Folding<P>) -> Result<Step, Error> {
        if self.has_stopped() {
            return Ok(Step::Stopped);
        }
        let opening = self.opening();
        let Gathered { chunk, new_from, position, fault, is_level } = folding.gather();
        if folding.live.was_set_back() && !Mutant::KeepsWhatWasLost.is_on() {
            return self.begin_again(folding);
        }
        let shown = self.shown.read().state.clone();
        let Outcome { state, chunk, fault: panic } = match chunk.is_empty() {
            true => Outcome { state: shown, chunk: Arc::default(), fault: None },
            false => folding.hidden.fold(&shown, chunk),
        };
        let position = match panic.as_ref().or(fault.as_ref()).and_then(ProjectionFault::position) {
            // Everything before that event is folded in.
            Some(at) => Position::new(at.get() - 1),
            None => position,
        };
        let folded = chunk.len();
        if let Some(from) = new_from.filter(|from| *from < folded && !self.hooks.are_none()) {
            self.hooks.push(News { state: state.clone(), chunk, from });
        }
        let mut shown = self.shown.write();
        let before = std::mem::replace(&mut shown.state, state);
        shown.position = shown.position.max(position);
        shown.events += folded as u64;
        // Whoever has found nothing more has looked at the store in this opening, or a later one.
        shown.opening = opening.filter(|_| is_level).unwrap_or(shown.opening);
        drop(shown);
        drop(before);
        Ok(match panic.or(fault) {
            Some(fault) => self.stop(fault),
            None if is_level => Step::Level,
            None => Step::More,
        })
    }

    /// The store was opened again with less than was folded in: what is not there any more is in the state, so that goes.
    fn begin_again(&self, folding: &mut Folding<P>) -> Result<Step, Error> {
        let found = saved::load::<P>(&self.link.store()?, Position::new(u64::MAX))?;
        let (state, position) = found.map_or_else(first, |found| (found.state, found.position));
        folding.go_on_behind(position);
        folding.is_live = false;
        let mut shown = self.shown.write();
        let before = std::mem::replace(&mut shown.state, Arc::new(state));
        shown.position = position;
        drop(shown);
        drop(before);
        Ok(Step::More)
    }

    /// Stops until somebody has it go on; for ever where the store was closed.
    fn stop(&self, fault: ProjectionFault) -> Step {
        let shown = &mut *self.shown.write();
        match fault.error().kind() {
            ErrorKind::Closed => shown.has_ended = true,
            _ => drop(shown.fault.get_or_insert(fault)),
        }
        Step::Stopped
    }

    fn has_stopped(&self) -> bool {
        let shown = self.shown.read();
        shown.has_ended || shown.fault.is_some()
    }

    /// Goes on where it has stopped at a fault.
    pub(super) fn resume(self: &Arc<Self>) -> Result<(), Error> {
        let store = self.link.store()?;
        let mut folding = self.folding.lock();
        let mut shown = self.shown.write();
        let fault = shown.fault.take();
        let position = shown.position;
        drop(shown);
        if fault.is_some() {
            folding.reader = Reader::new::<P>(&store)?;
            folding.go_on_behind(position);
        }
        let begun = self.begin_to_follow(&mut folding);
        // What the store still has to do for the last handle is not done under the lock.
        drop(folding);
        begun
    }

    /// Takes a state that was folded anew in place of the one that is shown, once both go as far.
    pub(super) fn switch_to(self: &Arc<Self>, store: &EventStore, anew: Anew<P>) -> Result<(), ProjectionFault> {
        let mut folding = self.folding.lock();
        let switched = self.switch_in(&mut folding, store, anew);
        drop(folding);
        if let Some(fault) = self.hooks.run() {
            self.stop(fault);
        }
        self.call_waiting();
        switched
    }

    fn switch_in(
        self: &Arc<Self>,
        folding: &mut Folding<P>,
        store: &EventStore,
        anew: Anew<P>,
    ) -> Result<(), ProjectionFault> {
        // Events that are new are folded into the old state, too, so that they are told.
        while folding.is_live && self.position() < anew.position {
            if self.fold_or_stop(folding) != Step::More {
                break;
            }
        }
        let to = self.position();
        let anew =
            if anew.position < to { anew.fold(store, to, |_| true)?.expect("nobody said to stop") } else { anew };
        let mut shown = self.shown.write();
        let is_further = shown.position < anew.position || shown.fault.is_some();
        let before = std::mem::replace(&mut shown.state, Arc::new(anew.state));
        (shown.position, shown.fault) = (anew.position, None);
        drop(shown);
        drop(before);
        self.desk.lock().note_replaced();
        folding.hidden = Hidden::new();
        if is_further {
            folding.go_on_behind(anew.position);
        }
        self.begin_to_follow(folding).map_err(ProjectionFault::reading)
    }

    /// Calls the tasks whose positions are reached, and all of them where none will be.
    fn call_waiting(&self) {
        let (position, has_stopped) = (self.position(), self.has_stopped());
        let mut waiting = self.waiting.lock();
        let called: Vec<Waiting> =
            waiting.extract_if(.., |waiting| has_stopped || waiting.position <= position).collect();
        drop(waiting);
        wake(called.into_iter().map(|waiting| waiting.waker).collect());
    }

    /// Has a task called when a position is reached, or none will be.
    pub(super) fn call_at(&self, position: Position, waker: &Waker) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|other| other.position != position || !other.waker.will_wake(waker));
        waiting.push(Waiting { position, waker: waker.clone() });
    }

    pub(super) fn folded(&self) -> Folded<P> {
        let shown = self.shown.read();
        Folded::new(shown.state.clone(), shown.position)
    }

    pub(super) fn position(&self) -> Position {
        self.shown.read().position
    }

    /// Which opening of the store is there; none where it was closed.
    fn opening(&self) -> Option<u64> {
        let sight = self.link.store().and_then(|store| store.sight(Durability::Written));
        sight.ok().map(|sight| sight.opening)
    }

    /// How many events were folded in since it began.
    pub(super) fn events(&self) -> u64 {
        self.shown.read().events
    }

    pub(super) fn fault(&self) -> Option<ProjectionFault> {
        self.shown.read().fault.clone()
    }

    /// Has somebody else fold: the thread, or where there are none the task itself when it is polled again.
    pub(super) fn have_it_folded(&self, task: &Waker) {
        if self.has_threads { self.alarm.clone().wake() } else { task.wake_by_ref() }
    }

    /// Follows everything from where this has come to.
    pub(super) fn follow_everything(&self) -> Result<Subscription, Error> {
        let store = self.link.store()?;
        Ok(store.subscribe(Query::all(), Start::After(self.position())).skipping_lost())
    }

    /// Ends for good.
    pub(super) fn end(&self) {
        self.shown.write().has_ended = true;
        self.alarm.clone().wake();
        self.call_waiting();
    }

    /// Whether a position is reached; an error where it will not be.
    pub(super) fn has_reached(&self, position: Position) -> Result<bool, Error> {
        let opening = self.opening();
        let shown = self.shown.read();
        let is_current = opening.is_none_or(|opening| opening == shown.opening);
        if is_current && position <= shown.position || Mutant::ReachesWhatIsNotFolded.is_on() {
            return Ok(true);
        }
        let act = || format!("waiting for projection {} to reach position {position}", P::NAME);
        match &shown.fault {
            Some(fault) => Err(fault.told(act())),
            None if shown.has_ended => Err(Error::new(ErrorKind::Closed, format!("{}: the store was closed", act()))),
            None => Ok(false),
        }
    }
}

impl<P: Projection> BeforeClose for Running<P> {
    fn before_close(&self, store: &EventStore) {
        self.save_for_good(store);
        self.end();
    }
}

/// The state before the first event.
fn first<P: Projection>() -> (P, Position) {
    (P::new(), Position::BEGINNING)
}
