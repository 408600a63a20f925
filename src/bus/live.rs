//! Live handlers at work: each has a subscription, and they are put together by position.
//!
//! ```text
//! look       has every subscription look for its next event; the lowest of these is next
//! look again where one has looked before that event was visible, or was added before: it may ask for it, too, or for one
//!            before it
//! call       those that ask for it, by their order
//! ```
//!
//! So events are handled in the order of their positions whoever asks for them, and nobody reads, or is woken by, what no
//! handler asks for.

use super::handler::{Handler, HandlerId};
use super::inside::Inside;
use super::shared::{MayCall, Shared};
use crate::consumer::{Failure, caught};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::mutant::Mutant;
use crate::position::Position;
use crate::store::LOOK_EVERY;
use crate::subscription::{Followed, Subscription};
use crate::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Call = dyn FnMut(&RecordedEvent) -> Result<(), Failure> + Send;

/// A live handler, with what it follows.
pub(super) struct Live {
    pub(super) id: HandlerId,
    pub(super) name: String,
    order: i32,
    type_prefix: String,
    stop_within: Duration,
    following: Subscription,
    /// The event that it is to be called with next.
    next: Option<RecordedEvent>,
    /// Nothing more can be read.
    has_ended: bool,
    call: Box<Call>,
}

impl Live {
    pub(super) fn new(id: HandlerId, handler: Handler, following: Subscription, call: Box<Call>) -> Live {
        let Handler { name, type_prefix, order, stop_within, query: _ } = handler;
        Live { id, name, order, type_prefix, stop_within, following, next: None, has_ended: false, call }
    }

    /// Up to here it has dealt with everything.
    pub(super) fn up_to(&self) -> Position {
        match &self.next {
            Some(event) if !Mutant::SaysHandledWhenItIsRead.is_on() => Position::new(event.position().get() - 1),
            _ => self.following.position(),
        }
    }

    /// Looks for the event that it is called with next, where that is not known.
    fn look(&mut self) -> Result<(), Error> {
        while self.next.is_none() && !self.has_ended {
            match self.following.try_next() {
                Ok(Some(item)) => self.take(item),
                Ok(None) => break,
                Err(error) => self.fall(error)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, item: Followed) {
        self.next = item.into_event().filter(|event| event.event_type().starts_with(&self.type_prefix));
    }

    /// What it follows has ended. Where the store was opened again with less, it goes on from there.
    fn fall(&mut self, error: Error) -> Result<(), Error> {
        match self.following.set_back_to() {
            Some(position) => {
                self.following.go_on_behind(position);
                Ok(())
            }
            None => {
                self.has_ended = true;
                Err(error)
            }
        }
    }
}

/// The live handlers that the thread calls, in the order in which it does.
#[derive(Default)]
struct Crew(Vec<Live>);

/// What the thread does until the bus is stopped or the store closed.
pub(super) fn run(shared: &Arc<Shared>) {
    let waker = Waker::from(shared.alarm.clone());
    let mut crew = Crew::default();
    loop {
        // Whatever comes from here on calls it, so the looks come behind.
        shared.alarm.get_ready(None);
        if crew.change(shared).is_err() {
            return;
        }
        let opening = shared.opening();
        let Ok(next) = crew.next(shared) else { return };
        shared.come_to(crew.up_to(), opening.filter(|_| next.is_none()));
        match next {
            Some(position) => {
                crew.call(position, shared);
                shared.come_to(crew.up_to(), None);
            }
            None if crew.sleeps(&waker) => {
                shared.alarm.sleep(nap(shared));
            }
            None => {}
        }
    }
}

/// How long to sleep where nobody calls.
fn nap(shared: &Shared) -> Option<Duration> {
    let must_look = shared.link.store().is_ok_and(|store| store.must_be_asked());
    must_look.then_some(LOOK_EVERY)
}

/// The bus was stopped, or the store was closed.
struct Over;

impl Crew {
    /// Takes over who was added, and lets go who was removed.
    fn change(&mut self, shared: &Shared) -> Result<(), Over> {
        let mut state = shared.state.lock();
        if state.is_stopped {
            return Err(Over);
        }
        let added = std::mem::take(&mut state.added);
        let (stay, gone) = std::mem::take(&mut self.0).into_iter().partition(|live| state.live.contains_key(&live.id));
        // What handlers hold goes when nothing is locked: it may be the last handle on the store.
        drop(state);
        drop::<Vec<Live>>(gone);
        self.0 = stay;
        self.0.extend(added);
        if !Mutant::CallsHandlersAsTheyWereAdded.is_on() {
            self.0.sort_by_key(|live| (live.order, live.id));
        }
        Ok(())
    }

    /// The position of the event that is handled next, where there is one.
    fn next(&mut self, shared: &Shared) -> Result<Option<Position>, Over> {
        self.look(shared, |_| true)?;
        let Some(found) = self.lowest() else { return Ok(None) };
        self.change(shared)?;
        if !Mutant::HandlesWhatWasSeenFirst.is_on() {
            self.look(shared, |live| live.following.position() < found)?;
        }
        Ok(self.lowest())
    }

    fn look(&mut self, shared: &Shared, is_asked: impl Fn(&Live) -> bool) -> Result<(), Over> {
        for live in self.0.iter_mut().filter(|live| is_asked(live)) {
            if Mutant::HandlesWhatWasSeenFirst.is_on() {
                // Else the moment is so short that on some machines nothing comes in between.
                crate::sync::sleep(Duration::from_micros(50));
            }
            match live.look() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Closed => {
                    shared.begin_to_stop();
                    return Err(Over);
                }
                Err(error) => shared.fail(live.id, live.following.position(), error),
            }
        }
        Ok(())
    }

    fn lowest(&self) -> Option<Position> {
        self.0.iter().filter_map(|live| live.next.as_ref()).map(RecordedEvent::position).min()
    }

    fn up_to(&self) -> Option<Position> {
        self.0.iter().filter(|live| !live.has_ended).map(Live::up_to).min()
    }

    /// Calls those who ask for the event at a position with it.
    fn call(&mut self, position: Position, shared: &Shared) {
        let is_next = |live: &&mut Live| live.next.as_ref().is_some_and(|event| event.position() == position);
        let mut is_over = false;
        for live in self.0.iter_mut().filter(is_next) {
            match shared.begin_to_call(live.id, live.stop_within) {
                MayCall::Yes => {}
                MayCall::Removed => continue,
                MayCall::Stopped => return,
            }
            let event = live.next.take().expect("it is asked for");
            if is_over {
                shared.end_call();
                continue;
            }
            let inside = Inside::of(shared.number);
            let outcome = caught(|| (live.call)(&event));
            drop(inside);
            if let Err(failure) = &outcome {
                shared.failures.note(&live.name, position, failure.reason());
            }
            shared.end_call();
            is_over = outcome.is_err() && Mutant::StopsAtAFailure.is_on();
        }
    }

    /// Looks once more, and has the thread called for what comes; whether nothing is there.
    fn sleeps(&mut self, waker: &Waker) -> bool {
        let mut is_level = true;
        for live in self.0.iter_mut().filter(|live| !live.has_ended) {
            match live.following.poll(&mut Context::from_waker(waker)) {
                Poll::Pending => {}
                Poll::Ready(item) => {
                    is_level = false;
                    // An error is told again when it is asked for.
                    if let Ok(item) = item {
                        live.take(item);
                    }
                }
            }
        }
        is_level
    }
}
