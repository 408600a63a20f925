//! What a subscription has given, and what comes next: history and what is live are one loop.
//!
//! ```text
//! look how far the store reaches ──► further than what was given: read up to there, then look again
//!                                ──► no further: level
//! ```

use super::start::Start;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::{Range, TermHasher};
use crate::index::{Hole, HoleKind, Plan};
use crate::mutant::Mutant;
use crate::options::Durability;
use crate::position::Position;
use crate::query::Query;
use crate::store::{AllEvents, CalledFor, EventStore, Sight, StoreLink};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::time::Duration;

/// What a subscription gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Followed {
    /// An event that is asked for.
    Event(RecordedEvent),
    /// Everything that is visible was given. Told once, and again only after [`FellBehind`](Self::FellBehind).
    CaughtUp {
        /// Up to where everything that is asked for was given.
        position: Position,
    },
    /// More events than [`behind_after`](super::Subscription::behind_after) says wait although it had caught up.
    FellBehind {
        /// Up to where everything that is asked for was given.
        position: Position,
        /// How far the store reached by then.
        head: Position,
    },
    /// Positions that are no longer held, on purpose. Whether events that are asked for were among them is not known. Where
    /// many were removed here and there, events among them that are still held come behind this.
    Removed {
        /// The first of them that was not given.
        first: Position,
        /// The last of them.
        last: Position,
    },
    /// Positions that were lost to damage, where they are to be [passed over](super::Subscription::skipping_lost).
    Lost {
        /// The first of them that was not given.
        first: Position,
        /// The last of them.
        last: Position,
    },
}

impl Followed {
    /// The event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&RecordedEvent> {
        match self {
            Followed::Event(event) => Some(event),
            _ => None,
        }
    }

    /// The event, if it is one.
    #[must_use]
    pub fn into_event(self) -> Option<RecordedEvent> {
        match self {
            Followed::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// How far a subscription has come.
pub(crate) struct Pull {
    link: StoreLink,
    query: Arc<Query>,
    pub(super) durability: Durability,
    pub(super) skips_lost: bool,
    pub(super) behind_after: u64,
    /// Only events of this time or a later one.
    since: Option<Timestamp>,
    /// Everything that is asked for was given up to here.
    pub(super) given: Position,
    /// It was told that some positions up to here are no longer held.
    thinned: Position,
    /// The opening of the store that was looked at last, and what makes its terms.
    opening: u64,
    hasher: TermHasher,
    /// The store was opened for reading only: another process may write.
    is_beside_another: bool,
    /// Apart from the rest, as is what comes next: whoever waits has neither.
    round: Option<Box<Round>>,
    is_level: bool,
    was_level: bool,
    /// What comes next, and waits because a marker came before it.
    next: Option<Box<RecordedEvent>>,
    /// What to be called for, by the terms of this hasher.
    called_for: Option<Box<(TermHasher, CalledFor)>>,
    /// Why there is nothing more.
    end: Option<Error>,
    /// It is that the store was opened again with less than was given: where it ended then.
    pub(super) set_back_to: Option<Position>,
}

/// A read up to where the store reached when it began.
struct Round {
    events: AllEvents,
    to: Position,
    /// What follows it is not there.
    hole: Option<Hole>,
    given: u64,
}

impl Pull {
    pub(crate) fn begin(store: &EventStore, query: impl Into<Arc<Query>>, start: Start) -> Pull {
        let query = query.into();
        let mut pull = Pull {
            link: store.link(),
            durability: Durability::Written,
            skips_lost: false,
            behind_after: super::handle::BEHIND_AFTER,
            since: None,
            given: Position::BEGINNING,
            thinned: Position::BEGINNING,
            opening: 0,
            hasher: TermHasher::default(),
            is_beside_another: store.is_read_only(),
            round: None,
            is_level: false,
            was_level: false,
            next: None,
            called_for: None,
            end: query.fault().cloned(),
            set_back_to: None,
            query,
        };
        let begun = pull.begin_at(store, start);
        pull.end = pull.end.or(begun.err());
        pull
    }

    fn begin_at(&mut self, store: &EventStore, start: Start) -> Result<(), Error> {
        let sight = store.sight(Durability::Written)?;
        (self.opening, self.hasher) = (sight.opening, sight.hasher);
        let head = sight.reach;
        match start {
            Start::Beginning => {}
            Start::End => self.given = head,
            Start::At(time) if Mutant::GivesWhatIsOlder.is_on() => self.since = Some(Timestamp::EPOCH.min(time)),
            Start::At(time) => self.since = Some(time),
            // Beside another process the head is only what that one has said by now.
            Start::After(position) if head < position && !self.is_beside_another => {
                let act = format!("following from behind position {position}: the store ends at {head}");
                return Err(Error::new(ErrorKind::InvalidArgument, act));
            }
            Start::After(position) => {
                let before = u64::from(Mutant::BeginsAtThePositionGiven.is_on());
                self.given = Position::new(position.get().saturating_sub(before));
            }
        }
        Ok(())
    }

    /// Gives only events of a time or a later one.
    pub(crate) fn only_since(&mut self, time: Timestamp) {
        self.since = Some(time);
    }

    /// The same with another durability, and where losses may be passed over.
    pub(crate) fn with(self, durability: Durability, skips_lost: bool) -> Pull {
        Pull { durability, skips_lost, ..self }
    }

    /// Up to where everything was given that is asked for.
    pub(crate) fn given(&self) -> Position {
        self.given
    }

    /// Whether it has ended because the store was opened again with less than was given.
    pub(crate) fn was_set_back(&self) -> bool {
        self.set_back_to.is_some()
    }

    /// What comes next, if anything is there.
    pub(crate) fn step(&mut self) -> Result<Option<Followed>, Error> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        self.advance().inspect_err(|error| {
            self.end = Some(error.clone());
            self.round = None;
        })
    }

    /// Goes on from another place than where it has got. What it knows of the openings of the store stays.
    pub(super) fn go_on_behind(&mut self, position: Position) {
        (self.given, self.round, self.next) = (position, None, None);
        self.thinned = Position::BEGINNING;
        // Being level is told again there.
        self.is_level = false;
        (self.end, self.set_back_to) = (self.query.fault().cloned(), None);
    }

    fn advance(&mut self) -> Result<Option<Followed>, Error> {
        loop {
            if let Some(event) = self.next.take() {
                self.given = event.position();
                return Ok(Some(Followed::Event(*event)));
            }
            if let Some(round) = &mut self.round {
                let Some(event) = round.events.next().transpose()? else {
                    let Some(hole) = self.end_round() else { continue };
                    return Ok(Some(hole));
                };
                round.given += 1;
                if self.is_level && self.behind_after < round.given {
                    self.is_level = false;
                    let (position, head) = (self.given, round.to);
                    self.next = Some(Box::new(event));
                    return Ok(Some(Followed::FellBehind { position, head }));
                }
                self.given = event.position();
                return Ok(Some(Followed::Event(event)));
            }
            let store = self.link.store()?;
            let sight = store.sight(self.sought_durability())?;
            self.check_setback(&sight)?;
            if self.given < sight.reach {
                self.begin_round(&sight);
                continue;
            }
            if let Some(error) = sight.lost_end().filter(|_| !self.skips_lost) {
                return Err(error);
            }
            if self.is_level || (self.was_level && Mutant::TellsItIsLevelOnce.is_on()) {
                return Ok(None);
            }
            (self.is_level, self.was_level) = (true, true);
            return Ok(Some(Followed::CaughtUp { position: self.given }));
        }
    }

    fn sought_durability(&self) -> Durability {
        if Mutant::GivesWhatIsNotDurable.is_on() { Durability::Written } else { self.durability }
    }

    /// Reads up to where the store reaches, or up to the next positions that are not there.
    fn begin_round(&mut self, sight: &Sight) {
        let is_silent = Mutant::PassesOverGaps.is_on();
        loop {
            let hole = self.next_hole(sight);
            let to = hole.map_or(sight.reach, |hole| Position::new(hole.range.first.get() - 1));
            let mut read = sight.read().after(self.given).to(to).matching_shared(&self.query);
            if self.skips_lost || is_silent {
                read = read.skipping_lost();
            }
            if let Some(since) = self.since {
                read = read.since(since);
            }
            let events = read.into_iter();
            // IMPORTANT: what was removed between the look for a hole and the beginning of the read is neither read nor told.
            if self.next_hole(sight) == hole {
                self.round = Some(Box::new(Round { events, to, hole, given: 0 }));
                return;
            }
        }
    }

    /// The next positions that are not there, and are told of.
    fn next_hole(&self, sight: &Sight) -> Option<Hole> {
        let is_passable = |hole: &Hole| hole.kind.is_meant() || self.skips_lost;
        let hole = sight.first_hole(self.given, self.thinned).filter(is_passable);
        let hole = hole.filter(|_| !Mutant::PassesOverGaps.is_on());
        hole.map(|hole| Hole {
            range: Range { first: after(self.given).max(hole.range.first), last: hole.range.last.min(sight.reach) },
            ..hole
        })
    }

    /// Everything up to the end of the round was given, or was not asked for.
    fn end_round(&mut self) -> Option<Followed> {
        let round = self.round.take()?;
        if Mutant::GoesOnBehindTheHead.is_on() {
            let head = self.link.store().and_then(|store| store.head());
            self.given = self.given.max(head.unwrap_or(round.to));
        }
        self.given = self.given.max(round.to);
        let Hole { range: Range { first, last }, kind } = round.hole?;
        match kind {
            // What is left of it comes now.
            HoleKind::Thinned => self.thinned = last,
            _ => self.given = self.given.max(last),
        }
        Some(match kind {
            HoleKind::Removed | HoleKind::Thinned => Followed::Removed { first, last },
            HoleKind::Lost | HoleKind::Damaged => Followed::Lost { first, last },
        })
    }

    /// Fails where events were given that are not there any more.
    fn check_setback(&mut self, sight: &Sight) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.opening, sight.opening);
        self.hasher = sight.hasher;
        if before == sight.opening || Mutant::OverlooksASetback.is_on() {
            return Ok(());
        }
        let setback = self.link.setback_between(before, sight.opening);
        let given = self.given;
        let Some(head) = setback.filter(|head| *head < given) else { return Ok(()) };
        self.set_back_to = Some(head);
        let act =
            format!("following behind position {given}: since then the store was opened again, and ended at {head}");
        Err(Error::new(ErrorKind::Lost, act))
    }

    /// What to be called for.
    pub(crate) fn called_for(&mut self) -> CalledFor {
        if let Some(known) = self.called_for.as_ref().filter(|known| known.0 == self.hasher) {
            return known.1.clone();
        }
        let called_for = CalledFor::new(Plan::new(&self.query, &self.hasher));
        self.called_for = Some(Box::new((self.hasher, called_for.clone())));
        called_for
    }

    /// Sees to it that somebody calls; whether nobody can, and the caller must look by itself.
    pub(crate) fn watch(&self) -> Result<bool, Error> {
        if !self.is_beside_another {
            return Ok(false);
        }
        let store = self.link.store()?;
        store.watch()?;
        Ok(store.must_be_asked())
    }

    /// Time for waiting, as the store has it.
    pub(super) fn elapsed(&self) -> Result<Duration, Error> {
        Ok(self.link.store()?.elapsed())
    }

    pub(super) fn link(&self) -> &StoreLink {
        &self.link
    }
}

fn after(position: Position) -> Position {
    position.next().unwrap_or(position)
}
