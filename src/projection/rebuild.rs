//! Folding a projection anew beside the one that is read.

use super::anew::{Anew, CHUNK_EVENTS};
use super::kind::Projection;
use super::running::Running;
use crate::error::{Error, ErrorKind};
use crate::modelling::caught;
use crate::observe::spans;
use crate::position::Position;
use crate::store::EventStore;
use crate::sync::{Arc, Condvar, Mutex, ThreadBuilder};
use std::fmt;
use std::time::Duration;

/// A projection that is folded anew from the first event. Dropping this changes nothing.
///
/// ```
/// # use scorebook::{EventContext, EventStore, ExpectedVersion, NewEvent, Projection, Query, Rebuilt, RecordedEvent, StreamName};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Count(u64);
/// # impl Projection for Count {
/// #     type Event = RecordedEvent;
/// #     const NAME: &'static str = "count";
/// #     const VERSION: u32 = 1;
/// #     fn query() -> Query { Query::all() }
/// #     fn new() -> Count { Count(0) }
/// #     fn apply(&mut self, _: &RecordedEvent, _: &EventContext<'_>) { self.0 += 1; }
/// # }
/// let store = EventStore::open_in_memory()?;
/// let said = ["one", "two", "three"].map(|word| NewEvent::bytes("said", word));
/// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, said).wait()?;
/// let count = store.projection::<Count>()?;
/// assert_eq!(count.rebuild()?.wait()?, Rebuilt::Switched);
/// assert_eq!(count.read(|count| count.0), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rebuild<P: Projection> {
    running: Arc<Running<P>>,
    work: Arc<Work>,
}

/// What has become of a [`Rebuild`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The new state has taken the place of the old one.
    Switched,
    /// It was cancelled, and the old state stays.
    Cancelled,
}

/// How far a [`Rebuild`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildProgress {
    position: Position,
    head: Position,
    events: u64,
    elapsed: Duration,
}

/// A rebuild, as it is shared by whoever does it and whoever looks at it.
pub(super) struct Work {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    progress: RebuildProgress,
    is_cancelled: bool,
    /// Somebody does it.
    is_taken: bool,
    outcome: Option<Result<Rebuilt, Error>>,
}

/// How many positions are gone through before the store is asked whether it is still there.
const POSITIONS_AT_A_TIME: u64 = 65_536;

/// Where events come faster than they are folded, the rest is folded while the projection does not follow.
const ROUNDS_MAX: u64 = 16;

impl<P: Projection> Rebuild<P> {
    pub(super) fn begin(running: &Arc<Running<P>>) -> Result<Rebuild<P>, Error> {
        let store = running.link.store()?;
        let mut current = running.rebuild.lock();
        if let Some(work) = current.as_ref().filter(|work| work.state.lock().outcome.is_none()) {
            return Ok(Rebuild { running: running.clone(), work: work.clone() });
        }
        let head = store.head()?;
        let work = Arc::new(Work::new(head));
        if store.has_threads() {
            work.state.lock().is_taken = true;
            let (doing, running) = (work.clone(), running.clone());
            let thread = ThreadBuilder::new().name("scorebook-rebuild".to_owned()).spawn(move || doing.run(&running));
            thread.map_err(|error| Error::with_source(ErrorKind::Io, "starting a thread of a projection", error))?;
        }
        *current = Some(work.clone());
        drop(current);
        Ok(Rebuild { running: running.clone(), work })
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> RebuildProgress {
        self.work.state.lock().progress
    }

    /// Has it end soon, and the old state stay. What has ended already stays as it is.
    pub fn cancel(&self) {
        self.work.state.lock().is_cancelled = true;
    }

    /// Waits until it has ended. On a simulated disk, where a store has no threads, it is done here.
    ///
    /// # Errors
    ///
    /// * [`Decode`](ErrorKind::Decode), [`UnknownType`](ErrorKind::UnknownType): an event could not be folded in; the source
    ///   says which. The old state stays, and goes on to follow.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost), [`Io`](ErrorKind::Io): the log could not be read.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn wait(&self) -> Result<Rebuilt, Error> {
        self.wait_for(None).map(|outcome| outcome.expect("without a limit there is an outcome"))
    }

    /// The same for at most as long as given; nothing where the time is over.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn wait_timeout(&self, limit: Duration) -> Result<Option<Rebuilt>, Error> {
        self.wait_for(Some(limit))
    }

    fn wait_for(&self, limit: Option<Duration>) -> Result<Option<Rebuilt>, Error> {
        let mut state = self.work.state.lock();
        if !std::mem::replace(&mut state.is_taken, true) {
            drop(state);
            self.work.run(&self.running);
            state = self.work.state.lock();
        }
        let mut is_time_left = true;
        while state.outcome.is_none() && is_time_left {
            match limit {
                None => self.work.ended.wait(&mut state),
                Some(limit) => is_time_left = !self.work.ended.wait_for(&mut state, limit).timed_out(),
            }
        }
        state.outcome.clone().transpose()
    }
}

impl Work {
    fn new(head: Position) -> Work {
        let progress = RebuildProgress { position: Position::BEGINNING, head, events: 0, elapsed: Duration::ZERO };
        let state = State { progress, is_cancelled: false, is_taken: false, outcome: None };
        Work { state: Mutex::new(state), ended: Condvar::new() }
    }

    fn run<P: Projection>(&self, running: &Arc<Running<P>>) {
        let outcome = caught(|| format!("in a rebuild of projection {}", P::NAME), || self.fold(running));
        self.state.lock().outcome = Some(outcome);
        self.ended.notify_all();
    }

    fn fold<P: Projection>(&self, running: &Arc<Running<P>>) -> Result<Rebuilt, Error> {
        let told = |fault: super::ProjectionFault| fault.told(format!("rebuilding projection {}", P::NAME));
        let store = running.link.store()?;
        let span = spans::rebuild(store.observer().label(), P::NAME);
        let begun = store.elapsed();
        let mut anew = Anew::<P>::begin(&store)?;
        let mut level = store.head()?;
        drop(store);
        let mut rounds = 0;
        loop {
            // No handle is held for long, so that a store is closed when its last user lets go of it.
            let store = running.link.store()?;
            if level <= anew.position {
                rounds += 1;
                level = store.head()?;
                if level.get().saturating_sub(anew.position.get()) <= CHUNK_EVENTS as u64 || ROUNDS_MAX < rounds {
                    span.record("events", anew.events);
                    running.switch_to(&store, anew).map_err(told)?;
                    return Ok(Rebuilt::Switched);
                }
            }
            let to = level.min(Position::new(anew.position.get().saturating_add(POSITIONS_AT_A_TIME)));
            let goes_on = |anew: &Anew<P>| self.note(anew, level, &store, begun);
            match anew.fold(&store, to, goes_on).map_err(told)? {
                Some(folded) if self.note(&folded, level, &store, begun) => anew = folded,
                _ => return Ok(Rebuilt::Cancelled),
            }
        }
    }

    /// Notes how far it has come; whether it is to go on.
    fn note<P>(&self, anew: &Anew<P>, head: Position, store: &EventStore, begun: Duration) -> bool {
        let elapsed = store.elapsed().saturating_sub(begun);
        let mut state = self.state.lock();
        state.progress = RebuildProgress { position: anew.position, head, events: anew.events, elapsed };
        !state.is_cancelled
    }
}

impl RebuildProgress {
    /// Up to where it is folded.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Up to where it is to be folded, as far as that is known: events may come meanwhile.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    /// How many events were folded in.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// For how long it is under way.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How many events were folded in a second; 0 before it is known.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds == 0.0 { 0 } else { (self.events as f64 / seconds) as u64 }
    }

    /// How long it takes yet, if the positions that are left take as long as those that were gone through; nothing before
    /// that is known.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let (done, left) = (self.position.get(), self.head.get().saturating_sub(self.position.get()));
        (done != 0 && !self.elapsed.is_zero()).then(|| self.elapsed.mul_f64(left as f64 / done as f64))
    }
}

impl<P: Projection> fmt::Debug for Rebuild<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RebuildProgress { position, head, .. } = self.progress();
        write!(f, "rebuild of projection {} at position {position} of {head}", P::NAME)
    }
}
