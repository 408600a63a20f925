//! What a batch asks of the store before it is accepted.

use super::recent::Recent;
use super::view::{SharedView, View};
use crate::error::{Conflict, Error};
use crate::format::{KeyFact, TermHasher};
use crate::index::Plan;
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{ExpectedVersion, Place, Position, Version};
use crate::query::Query;
use std::fmt;
use std::sync::Weak;

/// Something a batch asks.
pub(super) enum Condition {
    /// A stream is at some version.
    Version(StreamName, ExpectedVersion),
    /// No event is there that a query asks for.
    Unless(Box<Unless>),
}

/// That no event is there that a query asks for.
pub(super) struct Unless {
    pub(super) query: Query,
    /// Which condition of its kind it is in its batch, from 1.
    pub(super) number: usize,
    /// Where a decision read saw the store, if it handed this out.
    pub(super) seen_in: Option<Weak<SharedView>>,
    /// What was found of it in what was visible, once that was looked through.
    pub(super) looked: Option<Result<Looked, Error>>,
}

/// What a look at all that is visible up to some position has found.
pub(super) struct Looked {
    pub(super) plan: Plan,
    pub(super) up_to: Position,
    /// The first event that the query asks for.
    pub(super) found: Option<Position>,
}

/// That a batch is accepted once, under a key.
pub(super) struct Once {
    pub(super) key: String,
    /// Of what was handed in.
    pub(super) digest: u128,
    /// What is visible of the batch that came with it first, once that was looked for.
    pub(super) found: Option<KnownKey>,
}

/// What came with a key.
#[derive(Clone)]
pub(super) struct KnownKey {
    pub(super) fact: KeyFact,
    /// Somewhere in the batch.
    pub(super) place: Place,
}

impl Once {
    /// What is known of the batch that came with the key first, and whether it is only staged. To be called under the lock
    /// of admission.
    pub(super) fn first<'a>(
        &'a self,
        view: &View,
        recent: &'a Recent,
        hasher: &TermHasher,
    ) -> Option<(&'a KnownKey, bool)> {
        let known = self.found.as_ref().or_else(|| recent.with_key(&self.key, hasher))?;
        Some((known, view.head < known.fact.receipt.last_position))
    }
}

/// The condition that nothing a query asks for has happened since it was read.
///
/// Handed out by [`read_for_decision`](crate::EventStore::read_for_decision), for
/// [`BatchBuilder::guarded_by`](crate::BatchBuilder::guarded_by). It holds for the opening it was read from: the store
/// may show something else after a [`reopen`](crate::EventStore::reopen), and refuses it then.
#[derive(Clone)]
pub struct Guard {
    pub(super) query: Query,
    pub(super) seen_in: Weak<SharedView>,
}

impl Guard {
    /// The last position that the decision read could see.
    #[must_use]
    pub fn position(&self) -> Position {
        self.query.after_position()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guard behind position {}", self.position())
    }
}

/// Why a batch is not accepted.
pub(super) enum Refusal {
    /// A condition does not hold, and whether only staged events are the reason.
    Conflict(Conflict, bool),
    /// Nobody can say whether it holds.
    Trouble(Error),
}

impl Condition {
    /// Why it does not hold, if so. To be called under the lock of admission.
    pub(super) fn judge(&self, view: &View, recent: &Recent) -> Option<Refusal> {
        match self {
            Condition::Version(stream, expected) => judge_version(view, stream, *expected),
            Condition::Unless(unless) => {
                let looked = match unless.looked.as_ref().expect("what is visible was looked through before") {
                    Ok(looked) => looked,
                    Err(error) => return Some(Refusal::Trouble(error.clone())),
                };
                let after = unless.query.after_position();
                let found = looked.found.or_else(|| recent.first(looked, &unless.query, view));
                found.map(|position| {
                    let conflict = Conflict::Unless { number: unless.number, after, position };
                    Refusal::Conflict(conflict, view.head < position)
                })
            }
        }
    }
}

fn judge_version(view: &View, stream: &StreamName, expected: ExpectedVersion) -> Option<Refusal> {
    let known = view.table.number(stream.as_str()).map(|number| view.table.stream(number));
    let (actual, visible) = known.map_or((Version::NONE, Version::NONE), |known| (known.admitted(), known.version()));
    let actual = if Mutant::JudgesByWhatIsVisible.is_on() { visible } else { actual };
    (!expected.admits(actual)).then(|| {
        let conflict = Conflict::Version { stream: stream.clone(), expected, actual };
        Refusal::Conflict(conflict, actual != visible)
    })
}
