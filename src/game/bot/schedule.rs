//! When to look at which game or team again.
//!
//! This is a hint and nothing more: what is due is decided by the state, and looking once too often does nothing. So that
//! nothing is forgotten, a matter is put down for right now before it is changed, and for the right time once that is known.

use crate::game::{Game, GameId, GuildId, Moment, Phase, Team, TeamId};
use scorebook::Version;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What there is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Matter {
    /// A game that is not over.
    Game(GameId),
    /// A team with an invitation that nobody has answered.
    Team(GuildId, TeamId),
}

/// What somebody is changing.
#[derive(Default)]
pub(super) struct Touched(Mutex<BTreeSet<Matter>>);

impl Touched {
    pub(super) fn add(&self, matter: Matter) {
        self.matters().insert(matter);
    }

    /// Hands them over, and knows of none any more.
    pub(super) fn take(&self) -> BTreeSet<Matter> {
        std::mem::take(&mut *self.matters())
    }

    fn matters(&self) -> MutexGuard<'_, BTreeSet<Matter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(super) struct Schedule {
    entries: Mutex<Entries>,
}

/// INVARIANT: `due` holds just the times in `of`.
#[derive(Default)]
struct Entries {
    due: BTreeSet<(Moment, Matter)>,
    of: HashMap<Matter, Entry>,
    /// Until when there may be more on its way into the log than can be seen: somebody changed a matter and did not wait for the
    /// answer.
    doubts: HashMap<Matter, Moment>,
}

struct Entry {
    /// At which version of its stream this was known.
    version: Version,
    at: Option<Moment>,
}

impl Schedule {
    /// A matter is about to change: whatever comes of it, it is looked at no later than this.
    pub(super) fn expect(&self, matter: Matter, at: Moment) {
        let mut entries = self.entries();
        let (version, earlier) = entries.of.get(&matter).map_or((Version::NONE, None), |of| (of.version, of.at));
        entries.put(matter, version, Some(earlier.map_or(at, |earlier| earlier.min(at))));
    }

    /// At some version of the matter's stream, it is due at this time, or not at all for now. What was known of a later version
    /// stays.
    fn put(&self, matter: Matter, version: Version, at: Option<Moment>) {
        let mut entries = self.entries();
        if entries.of.get(&matter).is_none_or(|of| of.version <= version) {
            let doubted = entries.doubts.contains_key(&matter);
            let earlier = entries.of.get(&matter).and_then(|of| of.at).filter(|_| doubted);
            entries.put(matter, version, at.into_iter().chain(earlier).min());
        }
    }

    /// A game as it is at some version. A game that is over is due no more.
    pub(super) fn put_game(&self, game: GameId, version: Version, state: &Game) {
        let matter = Matter::Game(game);
        match state.is_over() || state.phase() == Phase::Missing {
            true => self.forget(matter),
            false => self.put(matter, version, state.deadline().map(|(at, _)| at)),
        }
    }

    /// A team as it is at some version. It is due only while somebody is asked.
    pub(super) fn put_team(&self, (guild, team): (GuildId, TeamId), version: Version, state: &Team) {
        let matter = Matter::Team(guild, team);
        match state.invitation() {
            None => self.forget(matter),
            Some(invitation) => self.put(matter, version, Some(invitation.expires_at)),
        }
    }

    /// Nothing comes of a matter now: if it is due all the same it is looked at again later, and not before. While it is in
    /// doubt, it is looked at again by then in any case.
    pub(super) fn put_off(&self, matter: Matter, now: Moment, later: Moment) {
        let mut entries = self.entries();
        let (version, at) = entries.of.get(&matter).map_or((Version::NONE, None), |of| (of.version, of.at));
        entries.doubts.retain(|_, until| now < *until);
        let in_doubt = entries.doubts.contains_key(&matter).then_some(later);
        let known = at.map(|at| if at <= now { later } else { at });
        if let Some(at) = known.into_iter().chain(in_doubt).min() {
            entries.put(matter, version, Some(at));
        }
    }

    /// Until then, what can be seen of a matter may not be all there is; it is looked at from this time on.
    pub(super) fn doubt(&self, matter: Matter, from: Moment, until: Moment) {
        self.entries().doubts.insert(matter, until);
        self.expect(matter, from);
    }

    /// A matter is over.
    pub(super) fn forget(&self, matter: Matter) {
        self.entries().take(matter);
    }

    /// What is due first, if it is by now.
    pub(super) fn due(&self, now: Moment) -> Option<Matter> {
        self.entries().due.first().filter(|(at, _)| *at <= now).map(|(_, matter)| *matter)
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.entries().due.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.entries().of.len()
    }

    /// Nothing in it can be half done: a thread that panicked has left it as it was before or behind a step.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn put(&mut self, matter: Matter, version: Version, at: Option<Moment>) {
        self.take(matter);
        self.due.extend(at.map(|at| (at, matter)));
        self.of.insert(matter, Entry { version, at });
    }

    fn take(&mut self, matter: Matter) -> bool {
        let entry = self.of.remove(&matter);
        if let Some(at) = entry.as_ref().and_then(|entry| entry.at) {
            self.due.remove(&(at, matter));
        }
        entry.is_some()
    }
}
