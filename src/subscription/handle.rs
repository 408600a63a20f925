//! The handle of a subscription.

use super::items::Items;
use super::next::{Next, NextBatch};
use super::pull::{Followed, Pull};
use super::start::Start;
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::Position;
use crate::query::Query;
use crate::store::{EventStore, LOOK_EVERY, Seat};
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

/// See [`Subscription::behind_after`].
pub(super) const BEHIND_AFTER: u64 = 1_000;

/// Events that a query asks for, from some place on: those that are there, and then those that come.
///
/// It reads the log and keeps no events, so a slow one costs nobody anything and misses nothing. It sleeps until an event
/// comes that its query may ask for. It does not keep the store open, and ends only when it is dropped, or with an error
/// that says why: [`Closed`](crate::ErrorKind::Closed) when the store was closed.
///
/// What it has given is not written down. Whoever wants to go on after a restart keeps [`position`](Self::position) and
/// begins again with [`Start::After`].
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, Followed, NewEvent, Query, Start, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-1")?;
/// let say = |word: &str| {
///     let event = NewEvent::json("said", word)?;
///     store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())
/// };
/// say("one")?;
///
/// let mut live = store.subscribe(Query::all().in_category("game"), Start::Beginning);
/// assert!(matches!(live.next().wait()?, Followed::Event(event) if event.json::<String>()? == "one"));
/// assert!(matches!(live.next().wait()?, Followed::CaughtUp { .. }));
///
/// say("two")?;
/// assert!(matches!(live.next().wait()?, Followed::Event(event) if event.json::<String>()? == "two"));
/// assert_eq!(live.position(), store.head()?);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "a subscription gives nothing until it is asked"]
pub struct Subscription {
    pull: Pull,
    seat: Seat,
    #[cfg(feature = "stream")]
    pub(super) has_ended: bool,
}

impl EventStore {
    /// Follows the events that a query asks for. Nothing of it is kept with the store.
    ///
    /// Works the same in a store that was [opened for reading only](Self::open_read_only) beside a process that writes: what
    /// that one appends is seen some ten milliseconds later.
    ///
    /// What is wrong with the query or the start is told by the first item, as the errors below.
    ///
    /// # Errors
    ///
    /// * [`InvalidName`](crate::ErrorKind::InvalidName), [`TooLarge`](crate::ErrorKind::TooLarge): the query has a fault.
    /// * [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the query has a fault, or the start lies behind the end of
    ///   the store: what was seen up to there is not in this store.
    /// * [`Lost`](crate::ErrorKind::Lost), [`Damaged`](crate::ErrorKind::Damaged): events that belong here cannot be read any
    ///   more. `Lost` also where the store was [reopened](Self::reopen) after a failure, and does not have any more what was
    ///   given.
    /// * [`Io`](crate::ErrorKind::Io), [`Closed`](crate::ErrorKind::Closed).
    pub fn subscribe(&self, query: Query, start: Start) -> Subscription {
        let pull = Pull::begin(self, query, start);
        Subscription {
            seat: pull.link().seat(),
            pull,
            #[cfg(feature = "stream")]
            has_ended: false,
        }
    }
}

impl Subscription {
    /// How durable events are when they are given. Default: [`Written`](Durability::Written), as soon as they are visible.
    /// With [`Synced`](Durability::Synced) whatever was seen survives a loss of power.
    pub fn durability(mut self, durability: Durability) -> Subscription {
        self.pull.durability = durability;
        self
    }

    /// Having caught up, it counts as fallen behind when more than so many events wait for it. Default: 1,000.
    pub fn behind_after(mut self, events: u64) -> Subscription {
        self.pull.behind_after = events;
        self
    }

    /// Passes over positions that were lost to damage, with a word about them, instead of ending there. Default: ends.
    pub fn skipping_lost(mut self) -> Subscription {
        self.pull.skips_lost = true;
        self
    }

    /// Up to where everything was given that is asked for: with a query that few events meet also when none was.
    #[must_use]
    pub fn position(&self) -> Position {
        self.pull.given
    }

    /// What comes next: to be waited for on a thread, or awaited in any runtime. Nothing is lost where that is given up.
    #[expect(clippy::should_implement_trait, reason = "an iterator could only wait, and this is awaited, too")]
    pub fn next(&mut self) -> Next<'_> {
        Next::new(self)
    }

    /// What comes next, where it comes within this time.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](EventStore::subscribe); once it has ended, the same again.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<Followed>, Error> {
        self.wait(Some(limit))
    }

    /// What comes next, where it is there at once.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](EventStore::subscribe); once it has ended, the same again.
    pub fn try_next(&mut self) -> Result<Option<Followed>, Error> {
        self.pull.step()
    }

    /// What comes next and what follows it at once, in all at most so many: to be waited for on a thread, or awaited in any
    /// runtime. None at all where `items_max` is 0.
    pub fn next_batch(&mut self, items_max: usize) -> NextBatch<'_> {
        NextBatch::new(self, items_max)
    }

    /// One after the other, each waited for. The error that it ends with is the last item.
    pub fn iter(&mut self) -> Items<&mut Subscription> {
        Items::new(self)
    }

    /// The events alone, one after the other, each waited for.
    pub fn events(self) -> impl Iterator<Item = Result<RecordedEvent, Error>> + Send {
        self.into_iter().filter_map(|item| item.map(Followed::into_event).transpose())
    }

    /// Waits for what comes next, for at most as long as given.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> Result<Option<Followed>, Error> {
        let begun = match limit {
            Some(_) => Some(self.pull.elapsed()?),
            None => None,
        };
        loop {
            let found = self.pull.step()?;
            if found.is_some() {
                return Ok(found);
            }
            let left = match (limit, begun) {
                (Some(limit), Some(begun)) => Some(limit.saturating_sub(self.pull.elapsed()?.saturating_sub(begun))),
                _ => None,
            };
            self.seat.waiter().get_ready(None);
            let must_look = self.take_seat()?;
            let found = self.look_once_more();
            if !matches!(found, Ok(None)) || left.is_some_and(|left| left.is_zero()) {
                self.seat.leave();
                return found;
            }
            let nap = if must_look { Some(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))) } else { left };
            let was_called = self.seat.waiter().sleep(nap);
            self.seat.leave();
            // On a disk where no time passes the limit never comes nearer.
            if !was_called && nap == left {
                return self.pull.step();
            }
        }
    }

    /// The same for a task. Where nothing is there the seat stays taken until this is asked again.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Followed, Error>> {
        self.seat.leave();
        if let Some(found) = self.pull.step().transpose() {
            return Poll::Ready(found);
        }
        self.seat.waiter().get_ready(Some(context.waker().clone()));
        let must_look = match self.take_seat() {
            Ok(must_look) => must_look,
            Err(error) => return Poll::Ready(Err(error)),
        };
        match self.look_once_more().transpose() {
            Some(found) => {
                self.seat.leave();
                Poll::Ready(found)
            }
            None => {
                if must_look {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Goes on behind a position up to which whoever follows has got, also where it has ended.
    pub(crate) fn go_on_behind(&mut self, position: Position) {
        self.pull.go_on_behind(position);
    }

    /// Whether it has ended because the store was opened again with less than was given.
    pub(crate) fn was_set_back(&self) -> bool {
        self.set_back_to().is_some()
    }

    /// Where the store ended when it was opened again with less than was given, where this has ended because of that.
    pub(crate) fn set_back_to(&self) -> Option<Position> {
        self.pull.set_back_to
    }

    /// Takes the seat, and sees to it that somebody calls; whether nobody does.
    fn take_seat(&mut self) -> Result<bool, Error> {
        let called_for = self.pull.called_for();
        let is_for_durable = self.pull.durability == Durability::Synced;
        if Mutant::SleepsOnWhatCame.is_on() {
            // Else the moment is so short that on some machines nothing comes in between.
            crate::sync::sleep(Duration::from_millis(1));
        }
        self.seat.take(called_for, is_for_durable);
        self.pull.watch().inspect_err(|_| self.seat.leave())
    }

    /// IMPORTANT: what became visible between the last look and taking the seat calls nobody.
    fn look_once_more(&mut self) -> Result<Option<Followed>, Error> {
        if Mutant::SleepsOnWhatCame.is_on() { Ok(None) } else { self.pull.step() }
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up(&mut self) {
        self.seat.leave();
    }
}

impl IntoIterator for Subscription {
    type Item = Result<Followed, Error>;
    type IntoIter = Items<Subscription>;

    fn into_iter(self) -> Items<Subscription> {
        Items::new(self)
    }
}

impl<'a> IntoIterator for &'a mut Subscription {
    type Item = Result<Followed, Error>;
    type IntoIter = Items<&'a mut Subscription>;

    fn into_iter(self) -> Items<&'a mut Subscription> {
        self.iter()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subscription at position {}", self.position())
    }
}
