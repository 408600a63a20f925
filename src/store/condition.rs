//! What a batch asks of the store before it is accepted.

use super::recent::Recent;
use super::request::Request;
use super::view::{SharedView, View};
use crate::error::{Conflict, Error, ErrorKind};
use crate::format::{Fact, KeyFact, StreamDeed, StreamFact, TermHasher};
use crate::index::{Excess, Fate, Plan};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{ExpectedVersion, Place, Position, Revision, Version};
use crate::query::Query;
use crate::quota::Charge;
use std::fmt;
use std::sync::Weak;

/// Something a batch asks.
pub(super) enum Condition {
    /// A stream is at some version.
    Version(StreamName, ExpectedVersion),
    /// No event is there that a query asks for.
    Unless(Box<Unless>),
    /// The last record of a consumer has this number, in this opening of the store.
    Consumer(String, u64, u64),
    /// What is said about a stream has this revision.
    Revision(StreamName, u64),
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
            Condition::Consumer(name, number, opening) => judge_consumer(view, name, *number, *opening),
            Condition::Revision(stream, revision) => judge_revision(view, stream, *revision),
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

fn judge_consumer(view: &View, name: &str, expected: u64, opening: u64) -> Option<Refusal> {
    let consumers = view.table.consumers();
    let admitted = consumers.admitted(name);
    let visible = consumers.get(name).map_or(0, |known| known.number);
    // In another opening other events may stand where those stood that it speaks of.
    let is_late = admitted != expected || view.opening != opening;
    (is_late && !Mutant::LetsAnyoneMoveAConsumer.is_on())
        .then(|| Refusal::Conflict(Conflict::Consumer { name: name.to_owned() }, admitted != visible))
}

fn judge_version(view: &View, stream: &StreamName, expected: ExpectedVersion) -> Option<Refusal> {
    let known = view.table.number(stream.as_str()).map(|number| view.table.stream(number));
    let (actual, visible) = known.map_or((Version::NONE, Version::NONE), |known| (known.admitted(), known.version()));
    let actual = if Mutant::JudgesByWhatIsVisible.is_on() { visible } else { actual };
    // Whoever asks for a stream that is not there, or that is, means what is read by its name.
    let fates = view.table.fates();
    let is_deleted = |fate: Option<&Fate>| fate.is_some_and(|fate| fate.is_deleted_at(actual));
    let is_gone = is_deleted(fates.admitted(stream.as_str()));
    let is_met = match expected {
        ExpectedVersion::NoStream | ExpectedVersion::Exact(Version::NONE) => is_gone || expected.admits(actual),
        ExpectedVersion::StreamExists => !is_gone && expected.admits(actual),
        ExpectedVersion::Any | ExpectedVersion::Exact(_) => expected.admits(actual),
    };
    (!is_met).then(|| {
        let conflict = Conflict::Version { stream: stream.clone(), expected, actual };
        Refusal::Conflict(conflict, actual != visible || is_gone != is_deleted(fates.get(stream.as_str())))
    })
}

fn judge_revision(view: &View, stream: &StreamName, expected: u64) -> Option<Refusal> {
    let revision = |fate: Option<&Fate>| fate.and_then(|fate| fate.metadata.as_ref()).map_or(0, |said| said.revision);
    let fates = view.table.fates();
    let (actual, visible) = (revision(fates.admitted(stream.as_str())), revision(fates.get(stream.as_str())));
    (actual != expected).then(|| {
        let (expected, actual_revision) = (Revision::new(expected), Revision::new(actual));
        let conflict = Conflict::Revision { stream: stream.clone(), expected, actual: actual_revision };
        Refusal::Conflict(conflict, actual != visible)
    })
}

/// Why what was decided about streams does not allow a batch. To be called under the lock of admission.
pub(super) fn judge_fates(view: &View, request: &Request) -> Option<Refusal> {
    let fates = view.table.fates();
    let of_facts = || request.facts.iter().filter_map(Fact::stream);
    if fates.is_empty() && of_facts().next().is_none() {
        return None;
    }
    let named = request.streams.iter().map(StreamName::as_str).chain(of_facts().map(|fact| &*fact.stream));
    let is_ended = |fate: Option<&Fate>| fate.is_some_and(|fate| fate.ended.is_some());
    for name in named {
        if is_ended(fates.admitted(name)) && !Mutant::AppendsToWhatIsFinished.is_on() {
            let stream = StreamName::trusted(name.into());
            return Some(Refusal::Conflict(Conflict::Finished { stream }, !is_ended(fates.get(name))));
        }
    }
    of_facts().find_map(|fact| judge_deed(view, request, fact)).map(Refusal::Trouble)
}

/// Why a batch cannot be accepted for what tags take already.
pub(super) fn judge_quotas(view: &View, charges: &[Charge]) -> Option<Refusal> {
    if charges.is_empty() || Mutant::OverlooksQuotas.is_on() {
        return None;
    }
    let Excess { tag, used, asked, limit, is_caused_by_staged } = view.table.quotas().excess(charges)?;
    Some(Refusal::Conflict(Conflict::Quota { tag, used, asked, limit }, is_caused_by_staged))
}

/// Why a stream cannot be treated so.
fn judge_deed(view: &View, request: &Request, fact: &StreamFact) -> Option<Error> {
    let name = &fact.stream;
    let fate = view.table.fates().admitted(name);
    match &fact.deed {
        StreamDeed::Undelete => {
            let is_deleted = fate.is_some_and(|fate| fate.deleted.is_some());
            let act = || format!("undeleting stream {name}: nothing of it is deleted");
            (!is_deleted).then(|| Error::new(ErrorKind::InvalidArgument, act()))
        }
        StreamDeed::Truncate { first, state } => {
            if let (Some(_), Some(error)) = (state, fate.and_then(|fate| judge_state(name, fate, *first))) {
                return Some(error);
            }
            let index = request.streams.iter().position(|stream| stream.as_str() == name);
            let of_it = |number: &&u32| index == Some(**number as usize);
            let appended = request.event_streams.iter().filter(of_it).count() as u64;
            let next = view.table.admitted(name).get().saturating_add(appended).saturating_add(1);
            let act = || format!("truncating stream {name} before version {first}: its next event has version {next}");
            (next < first.get()).then(|| Error::new(ErrorKind::InvalidArgument, act()))
        }
        StreamDeed::Tombstone(_) | StreamDeed::Delete(_) | StreamDeed::Metadata { .. } => None,
    }
}

/// Why a stream cannot begin with a version and a state of all that is before.
fn judge_state(name: &str, fate: &Fate, first: Version) -> Option<Error> {
    let version = first.get() - 1;
    let act = |fault: &str| format!("truncating stream {name} with a state of version {version}: {fault}");
    if fate.deleted.as_ref().is_some_and(|deleted| version <= deleted.last.get()) {
        return Some(Error::new(ErrorKind::Deleted, act("that is deleted")));
    }
    let begins = fate.first();
    (first < begins).then(|| Error::new(ErrorKind::BelowFloor, act(&format!("it begins with version {begins}"))))
}
