//! What was done to a store, as a list of batches, and what follows from it: slowly, and short enough to be obviously right.

use scorebook::{NewEvent, Query, RecordedEvent, Retention, Scope, StreamName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many streams there are: every other one is of another category.
pub(super) const STREAMS: u8 = 6;

pub(super) const KINDS: [&str; 3] = ["a", "b", "c"];

const CATEGORIES: [&str; 2] = ["game", "player"];

/// The name of a stream by its number.
pub(super) fn name(stream: u8) -> StreamName {
    let category = CATEGORIES[usize::from(stream % 2)];
    StreamName::new(format!("{category}-{stream}")).expect("a name")
}

/// An event as it is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) stream: u8,
    pub(super) kind: u8,
    pub(super) tag: u8,
    /// Makes every event another.
    pub(super) serial: u32,
    pub(super) bytes: u16,
}

impl Event {
    pub(super) fn new_event(&self) -> NewEvent {
        let payload = (self.serial, "x".repeat(self.bytes.into()));
        NewEvent::json(KINDS[usize::from(self.kind)], &payload).expect("text is JSON").tag("n", self.tag)
    }

    /// Whether this is it, but for its place. Says what differs.
    pub(super) fn compare(&self, event: &RecordedEvent) -> Result<(), String> {
        let payload = event.json::<(u32, String)>().map_err(|error| format!("{event:?}: {error}"))?;
        let is_same = event.stream() == name(self.stream).as_str()
            && event.event_type() == KINDS[usize::from(self.kind)]
            && event.tag("n") == Some(self.tag.to_string().as_str())
            && (payload.0, payload.1.len()) == (self.serial, self.bytes.into());
        if is_same { Ok(()) } else { Err(format!("{event:?} is not {self:?}")) }
    }
}

/// Which events are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    Kind(u8),
    Tag(u8),
    Stream(u8),
    Category(u8),
    KindAndTag(u8, u8),
}

impl Asked {
    pub(super) fn query(self) -> Query {
        let kind = |kind: u8| KINDS[usize::from(kind)];
        match self {
            Asked::All => Query::all(),
            Asked::Kind(of) => Query::all().of_type(kind(of)),
            Asked::Tag(tag) => Query::all().tag("n", tag),
            Asked::Stream(stream) => Query::all().in_stream(&name(stream)),
            Asked::Category(category) => Query::all().in_category(CATEGORIES[usize::from(category)]),
            Asked::KindAndTag(of, tag) => Query::all().of_type(kind(of)).tag("n", tag),
        }
    }

    pub(super) fn holds(self, event: &Event) -> bool {
        match self {
            Asked::All => true,
            Asked::Kind(kind) => event.kind == kind,
            Asked::Tag(tag) => event.tag == tag,
            Asked::Stream(stream) => event.stream == stream,
            Asked::Category(category) => event.stream % 2 == category,
            Asked::KindAndTag(kind, tag) => (event.kind, event.tag) == (kind, tag),
        }
    }
}

/// Something that a batch does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Event(Event),
    /// An event that came with its position and version.
    Imported(Event, u64, u64),
    Delete(u8),
    Undelete(u8),
    Tombstone(u8),
    Truncate(u8, u64),
    /// With the revision it got.
    Say(u8, u64, u32),
    Retain(Scope, Retention),
    Clear(Scope),
    Hold(Scope),
    Release(Scope),
    /// Not done: how a stream stood in a store restored from a backup that no longer held all records.
    Found(u8, Of),
    /// Not done either: what such a store ends with.
    Head(u64),
}

/// What is known of how durable a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    Nothing,
    Written,
    Synced,
}

#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) deeds: Vec<Deed>,
    pub(super) key: Option<u8>,
    pub(super) said: Said,
    pub(super) time: Timestamp,
}

impl Batch {
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.deeds.iter().filter_map(|deed| match deed {
            Deed::Event(event) | Deed::Imported(event, ..) => Some(event),
            _ => None,
        })
    }
}

/// An event at its place. Where it was removed and a restored store knows nothing of its stream, it is of none.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) position: u64,
    pub(super) version: u64,
    pub(super) event: Event,
    pub(super) is_forgotten: bool,
    pub(super) time: Timestamp,
}

/// How a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) version: u64,
    /// All up to here is deleted.
    pub(super) deleted: u64,
    pub(super) first: u64,
    pub(super) is_finished: bool,
    pub(super) said: Option<(u64, u32)>,
}

impl Of {
    /// The first version that is read.
    pub(super) fn floor(&self) -> u64 {
        self.first.max(self.deleted + 1)
    }

    /// To whoever appends.
    pub(super) fn is_there(&self) -> bool {
        self.version != 0 && self.deleted < self.version
    }
}

/// What there is behind some batches.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) events: Vec<Placed>,
    pub(super) head: u64,
    pub(super) streams: Vec<Of>,
    pub(super) rules: BTreeMap<Scope, Retention>,
    pub(super) holds: BTreeSet<Scope>,
    /// Which batch came with a key.
    pub(super) keys: BTreeMap<u8, usize>,
    batches: usize,
}

impl Stand {
    pub(super) fn new() -> Stand {
        let nothing = Of { version: 0, deleted: 0, first: 1, is_finished: false, said: None };
        Stand {
            events: Vec::new(),
            head: 0,
            streams: vec![nothing; STREAMS.into()],
            rules: BTreeMap::new(),
            holds: BTreeSet::new(),
            keys: BTreeMap::new(),
            batches: 0,
        }
    }

    pub(super) fn behind<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Stand {
        let mut stand = Stand::new();
        batches.into_iter().for_each(|batch| stand.apply(batch));
        stand
    }

    pub(super) fn of(&self, stream: u8) -> &Of {
        &self.streams[usize::from(stream)]
    }

    pub(super) fn apply(&mut self, batch: &Batch) {
        if let Some(key) = batch.key {
            self.keys.insert(key, self.batches);
        }
        self.batches += 1;
        for deed in &batch.deeds {
            let placed = match deed {
                Deed::Event(event) => (event, self.head + 1, self.of(event.stream).version + 1),
                Deed::Imported(event, position, version) => (event, *position, *version),
                _ => continue,
            };
            let (event, position, version) = (placed.0.clone(), placed.1, placed.2);
            self.head = position;
            self.streams[usize::from(event.stream)].version = version;
            self.events.push(Placed { position, version, event, is_forgotten: false, time: batch.time });
        }
        batch.deeds.iter().for_each(|deed| self.decide(deed));
    }

    /// What is decided is of the end of its batch.
    fn decide(&mut self, deed: &Deed) {
        match deed {
            Deed::Event(_) | Deed::Imported(..) => {}
            Deed::Head(head) => {
                self.head = *head;
                self.events.retain(|placed| placed.position <= *head);
            }
            Deed::Delete(stream) => self.of_mut(*stream).deleted = self.of(*stream).version,
            Deed::Undelete(stream) => self.of_mut(*stream).deleted = 0,
            Deed::Tombstone(stream) => self.of_mut(*stream).is_finished = true,
            Deed::Truncate(stream, first) => self.of_mut(*stream).first = self.of(*stream).first.max(*first),
            Deed::Say(stream, revision, text) => self.of_mut(*stream).said = Some((*revision, *text)),
            Deed::Retain(scope, rule) => drop(self.rules.insert(scope.clone(), *rule)),
            Deed::Clear(scope) => drop(self.rules.remove(scope)),
            Deed::Hold(scope) => drop(self.holds.insert(scope.clone())),
            Deed::Release(scope) => drop(self.holds.remove(scope)),
            Deed::Found(stream, found) => {
                let known = std::mem::replace(self.of_mut(*stream), found.clone());
                if known.version != found.version {
                    let of_it = self.events.iter_mut().filter(|placed| placed.event.stream == *stream);
                    of_it.filter(|placed| found.version < placed.version).for_each(|placed| placed.is_forgotten = true);
                }
            }
        }
    }

    fn of_mut(&mut self, stream: u8) -> &mut Of {
        &mut self.streams[usize::from(stream)]
    }

    /// What is at a position.
    pub(super) fn at(&self, position: u64) -> Option<&Placed> {
        let index = self.events.binary_search_by_key(&position, |placed| placed.position).ok()?;
        Some(&self.events[index])
    }

    /// The events of a stream, whether they are still there or not.
    pub(super) fn ever(&self, stream: u8) -> impl DoubleEndedIterator<Item = &Placed> {
        self.events.iter().filter(move |placed| placed.event.stream == stream && !placed.is_forgotten)
    }

    /// The positions of the events that a compaction may remove at a time, as the documentation says it.
    pub(super) fn going(&self, gone: &BTreeSet<u64>, now: Timestamp, with_last_events: bool) -> BTreeSet<u64> {
        let there: Vec<&Placed> = self.events.iter().filter(|placed| !gone.contains(&placed.position)).collect();
        let rank = |scope: &Scope| match scope {
            Scope::Stream(_) => 0,
            Scope::EventType(_) => 1,
            Scope::Category(_) => 2,
            _ => 3,
        };
        let mut going = BTreeSet::new();
        for (index, placed) in there.iter().enumerate() {
            let of = self.of(placed.event.stream);
            let newer = |of_kind: bool| {
                let is_of = |other: &&&Placed| {
                    other.event.stream == placed.event.stream && (!of_kind || other.event.kind == placed.event.kind)
                };
                there[index + 1..].iter().filter(is_of).count() as u64
            };
            let rules = self.rules.iter().filter(|(scope, _)| is_for(scope, &placed.event));
            let is_ruled_out = rules.min_by_key(|(scope, _)| rank(scope)).is_some_and(|(scope, rule)| {
                let is_surplus = |newest| newest <= newer(matches!(scope, Scope::EventType(_)));
                let is_old =
                    |age: Duration| i128::from(placed.time.nanos()) < i128::from(now.nanos()) - age.as_nanos() as i128;
                rule.events().is_some_and(is_surplus) || rule.age().is_some_and(is_old)
            });
            let is_held = self.holds.iter().any(|scope| is_for(scope, &placed.event));
            let may_go = placed.version < of.first || is_ruled_out;
            let is_last = newer(false) == 0 && !with_last_events;
            if !is_held && (of.is_finished || (may_go && !is_last)) {
                going.insert(placed.position);
            }
        }
        going
    }
}

/// Whether something is for an event.
fn is_for(scope: &Scope, event: &Event) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Category(category) => category.as_str() == CATEGORIES[usize::from(event.stream % 2)],
        Scope::EventType(kind) => kind.as_str() == KINDS[usize::from(event.kind)],
        Scope::Stream(stream) => *stream == name(event.stream),
        Scope::OnceKeys => false,
    }
}

/// Any scope.
pub(super) fn scope(choices: &mut impl crate::model::Choices) -> Scope {
    match choices.below(6) {
        0 => Scope::Everything,
        1 => Scope::category(*choices.pick(&CATEGORIES)).expect("a category"),
        2 => Scope::event_type(*choices.pick(&KINDS)).expect("a type"),
        _ => Scope::Stream(name(choices.below(STREAMS.into()) as u8)),
    }
}
