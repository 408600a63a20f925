//! The states that are kept in memory.
//!
//! A kept state is a shortcut and never the truth: whoever takes one looks into the log whether the event it ends with is
//! still there, and folds in what has come since (`load`). So nothing has to be told that a stream was appended to.

use super::aggregate::Aggregate;
use super::load::Loaded;
use super::registry::Registry;
use crate::name::StreamName;
use crate::position::Version;
use crate::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

/// The last states of one type of aggregate, by stream.
pub(super) struct States<A> {
    kept: Mutex<Kept<A>>,
    /// Whoever goes on with a state of a stream has the stream's turn, and the state is not kept meanwhile. Taken before
    /// `kept`, and for some streams it is the same.
    turns: [Mutex<()>; TURNS],
    hasher: foldhash::fast::RandomState,
}

const TURNS: usize = 64;

/// A state that is gone on with comes back in microseconds, as a rule. Whoever has waited so long folds from the first event,
/// which is never wrong: also an aggregate that loads itself while it is folded comes to an end.
const TURN_WAIT: Duration = Duration::from_millis(20);

/// Two halves: what is asked for is in the young one, or moves there. When that is full it becomes the old one, and what the
/// old one held was not asked for since.
struct Kept<A> {
    /// What the states were folded by.
    registry: Option<Registry>,
    young: Half<A>,
    old: Half<A>,
}

type Half<A> = HashMap<StreamName, Loaded<A>, foldhash::fast::RandomState>;

impl<A: Aggregate> States<A> {
    pub(super) fn new() -> States<A> {
        let kept = Kept { registry: None, young: Half::default(), old: Half::default() };
        States {
            kept: Mutex::new(kept),
            turns: std::array::from_fn(|_| Mutex::new(())),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// The turn to go on with a state of a stream; none where somebody else has it for long.
    pub(super) fn turn(&self, stream: &StreamName) -> Option<MutexGuard<'_, ()>> {
        let number = self.hasher.hash_one(stream) as usize % TURNS;
        self.turns[number].try_lock_for(TURN_WAIT)
    }

    /// The state that is kept of a stream; where there is none, and somebody is about to go on with it, after that.
    pub(super) fn get_in_turn(&self, registry: &Registry, stream: &StreamName) -> Option<Loaded<A>> {
        let kept = self.get(registry, stream);
        kept.or_else(|| {
            drop(self.turn(stream));
            self.get(registry, stream)
        })
    }

    /// The state that is kept of a stream, where it was folded by this registry.
    pub(super) fn get(&self, registry: &Registry, stream: &StreamName) -> Option<Loaded<A>> {
        let mut kept = self.kept.lock();
        if !kept.is_by(registry) {
            return None;
        }
        if let Some(loaded) = kept.young.get(stream) {
            return Some(loaded.clone());
        }
        let loaded = kept.old.remove(stream)?;
        let gone = kept.insert(stream, loaded.clone());
        drop(kept);
        drop(gone);
        Some(loaded)
    }

    /// Keeps a state, unless another one of the stream is kept that goes as far.
    pub(super) fn put(&self, registry: &Registry, stream: &StreamName, loaded: &Loaded<A>) {
        if A::states_kept() == 0 || loaded.version() == Version::NONE {
            return;
        }
        let mut kept = self.kept.lock();
        let mut gone = Vec::new();
        if !kept.is_by(registry) {
            kept.registry = Some(registry.clone());
            gone = vec![std::mem::take(&mut kept.young), std::mem::take(&mut kept.old)];
        }
        let known = kept.young.get(stream).or_else(|| kept.old.get(stream));
        if known.is_none_or(|known| known.version() < loaded.version() || known.is(loaded)) {
            gone.push(kept.insert(stream, loaded.clone()));
        }
        // States go when nothing is locked: what is done when one is dropped is their author's affair.
        drop(kept);
        drop(gone);
    }

    /// All that are kept.
    pub(super) fn all(&self) -> Vec<(StreamName, Loaded<A>)> {
        let kept = self.kept.lock();
        let both = kept.young.iter().chain(&kept.old);
        both.map(|(stream, loaded)| (stream.clone(), loaded.clone())).collect()
    }

    /// Forgets a state that the log knows nothing of, or that is gone on with; unless another one is kept by now.
    pub(super) fn forget(&self, stream: &StreamName, loaded: &Loaded<A>) {
        let kept = &mut *self.kept.lock();
        // The caller holds the state too, so it does not go here.
        for half in [&mut kept.young, &mut kept.old] {
            if half.get(stream).is_some_and(|kept| kept.is(loaded)) {
                half.remove(stream);
            }
        }
    }
}

impl<A: Aggregate> Kept<A> {
    fn is_by(&self, registry: &Registry) -> bool {
        self.registry.as_ref().is_some_and(|by| by.is(registry))
    }

    /// Keeps a state among those that were asked for last; what is not kept any more is given back.
    fn insert(&mut self, stream: &StreamName, loaded: Loaded<A>) -> Half<A> {
        let mut gone = Half::default();
        gone.extend(self.old.remove_entry(stream));
        gone.extend(self.young.insert(stream.clone(), loaded).map(|before| (stream.clone(), before)));
        if A::states_kept() <= 2 * self.young.len() {
            gone.extend(std::mem::replace(&mut self.old, std::mem::take(&mut self.young)));
        }
        gone
    }
}
