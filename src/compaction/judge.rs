//! What goes and what stays, and why.

use super::pace::Pace;
use crate::error::{Error, ErrorKind};
use crate::format::{CheckpointAct, ConsumerDeed, Fact, Kind, RecordView, StreamDeed};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::query::Query;
use crate::quota::OverQuota;
use crate::retention::{Retention, Scope};
use crate::store::{Decided, EventStore, StoreLink, TagUsage};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fmt;

/// Why an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Going {
    /// Its stream is finished.
    Finished,
    /// Its stream begins later.
    Truncated,
    /// The rule that is for it does not keep it.
    Retention,
    /// The newer events with one of its tags take all that their quota allows.
    Quota,
}

/// Why an event stays that would go otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Staying {
    /// A hold of this label is for it.
    Held(String),
    /// The consumer of this name is not done with it.
    Unseen(String),
    /// It is the last of a stream that is not finished.
    Last,
}

impl fmt::Display for Going {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Going::Finished => "finished",
            Going::Truncated => "truncated",
            Going::Retention => "retention",
            Going::Quota => "quota",
        })
    }
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Staying::Held(label) => write!(f, "held: {label}"),
            Staying::Unseen(consumer) => write!(f, "consumer {consumer} is behind"),
            Staying::Last => f.write_str("the last event"),
        }
    }
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Stays,
    Goes(Going),
    /// It would go.
    StaysAllTheSame(&'a Staying),
}

/// What is done although it is not done by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forced {
    pub(super) beyond_consumers: bool,
    pub(super) last_events: bool,
}

/// Says of every record what becomes of it, by what was decided at one moment.
pub(super) struct Judge {
    link: StoreLink,
    decided: Decided,
    forced: Forced,
    now: Timestamp,
    /// The consumer that is furthest behind, and up to where it is done.
    behind: Option<(Staying, Position)>,
    /// What consumers have set aside.
    parked: HashMap<Position, Staying, RandomState>,
    numbers: HashMap<Box<str>, usize, RandomState>,
    streams: Vec<OfStream>,
    /// Events up to these positions go for the quota of a tag: by key and value.
    trimmed: HashMap<(Box<str>, Box<str>), Position, RandomState>,
}

/// What counts for the events of a stream.
struct OfStream {
    is_finished: bool,
    /// The first version that is kept.
    first: Version,
    last: Version,
    /// Few types in most.
    types: Vec<(Box<str>, OfType)>,
}

/// What counts for the events of a type in a stream.
struct OfType {
    held: Option<Staying>,
    /// Only events of this time or a later one are kept.
    since: Option<Timestamp>,
    /// Only events of this version or a higher one are kept.
    from: Version,
}

const LAST: Staying = Staying::Last;

impl Judge {
    /// Reads what it needs at a pace; none where that was told to end.
    pub(super) fn new(
        store: &EventStore,
        forced: Forced,
        now: Timestamp,
        pace: &mut Pace<'_>,
    ) -> Result<Option<Judge>, Error> {
        let decided = store.decided()?;
        let behind = decided.consumers.iter().min_by_key(|(_, done)| *done).filter(|_| !forced.beyond_consumers);
        let behind = behind.map(|(name, done)| (Staying::Unseen(name.to_string()), *done));
        let parked = decided.parked.iter().filter(|_| !forced.beyond_consumers);
        let parked = parked.map(|(position, name)| (*position, Staying::Unseen(name.to_string()))).collect();
        let (numbers, trimmed) = (HashMap::default(), HashMap::default());
        let link = store.link();
        let mut judge = Judge { link, decided, forced, now, behind, parked, numbers, streams: Vec::new(), trimmed };
        let trims = judge.decided.quotas.values().any(|quota| quota.action() == OverQuota::Trim);
        let is_whole = !trims || judge.trim(pace)?;
        Ok(is_whole.then_some(judge))
    }

    /// What becomes of an event, and the number of its stream: they are counted as they come by.
    pub(super) fn event(&mut self, record: &RecordView<'_>) -> Result<(usize, Verdict<'_>), Error> {
        let senseless = |_| Error::new(ErrorKind::Damaged, "an event has no names");
        let stream = record.stream().map_err(senseless)?;
        let event_type = record.event_type().map_err(senseless)?;
        let header = &record.header;
        let (number, of_type) = self.learn(stream, event_type)?;
        let going = self.going((number, of_type), header.version, header.time);
        let Some(going) = going.or_else(|| self.is_trimmed(record).then_some(Going::Quota)) else {
            return Ok((number, Verdict::Stays));
        };
        Ok((number, self.verdict((number, of_type), going, (header.version, header.position))))
    }

    /// Why an event would go, whatever its tags are.
    fn going(&self, (number, of_type): (usize, usize), version: Version, time: Timestamp) -> Option<Going> {
        let of_stream = &self.streams[number];
        let of_type = &of_stream.types[of_type].1;
        if of_stream.is_finished {
            Some(Going::Finished)
        } else if version < of_stream.first {
            Some(Going::Truncated)
        } else if version < of_type.from || of_type.since.is_some_and(|since| time < since) {
            Some(Going::Retention)
        } else {
            None
        }
    }

    /// Whether it goes, where there is a reason for it.
    fn verdict(
        &self,
        (number, of_type): (usize, usize),
        going: Going,
        (version, position): (Version, Position),
    ) -> Verdict<'_> {
        let of_stream = &self.streams[number];
        let of_type = &of_stream.types[of_type].1;
        let is_last = version == of_stream.last && going != Going::Finished && !self.forced.last_events;
        let unseen = self.behind.as_ref().filter(|(_, done)| *done < position).map(|(staying, _)| staying);
        let unseen = unseen.or_else(|| self.parked.get(&position));
        let held = of_type.held.as_ref().filter(|_| !Mutant::CompactsWhatIsHeld.is_on());
        let unseen = unseen.filter(|_| !Mutant::CompactsWhatIsUnseen.is_on());
        let is_last = is_last && !Mutant::CompactsLastEvents.is_on();
        let staying = held.or(unseen).or(is_last.then_some(&LAST));
        staying.map_or(Verdict::Goes(going), Verdict::StaysAllTheSame)
    }

    /// Whether newer events with one of its tags take all that may be taken.
    fn is_trimmed(&self, record: &RecordView<'_>) -> bool {
        if self.trimmed.is_empty() {
            return false;
        }
        let position = record.header.position;
        record
            .tags()
            .any(|(key, value)| self.trimmed.get(&(key.into(), value.into())).is_some_and(|last| position <= *last))
    }

    /// Finds out up to where events with tags go whose quota has them trimmed: of the newest as many stay as fit. What goes for
    /// another reason takes nothing of it. Whether that was done to the end.
    fn trim(&mut self, pace: &mut Pace<'_>) -> Result<bool, Error> {
        const PIECE: u64 = 64 << 10;
        let store = self.link.store()?;
        let mut piece = 0;
        let usage = match store.usage_unless(&|| pace.is_to_end(&store)) {
            Err(_) if pace.is_to_end(&store) => return Ok(false),
            usage => usage?,
        };
        let trims = |usage: &TagUsage| usage.quota().action() == OverQuota::Trim && usage.is_over();
        for usage in usage.into_iter().filter(trims) {
            let (key, value, mut left) = (usage.key(), usage.value(), usage.quota().limit());
            let newest_first = store.read_all().matching(Query::all().tag(key, value)).backwards().skipping_lost();
            for event in newest_first {
                let event = event?;
                piece += u64::from(event.record_bytes());
                if PIECE <= piece && !pace.goes_on(&store, std::mem::take(&mut piece)) {
                    return Ok(false);
                }
                let (number, of_type) = self.learn(event.stream(), event.event_type())?;
                let places = (event.version(), event.position());
                let going = self.going((number, of_type), event.version(), event.time());
                if going.is_some_and(|why| matches!(self.verdict((number, of_type), why, places), Verdict::Goes(_))) {
                    continue;
                }
                match left.checked_sub(event.quota_bytes()) {
                    Some(rest) => left = rest,
                    None => {
                        let last = self.trimmed.entry((key.into(), value.into())).or_insert(event.position());
                        *last = event.position().max(*last);
                        break;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether something that is no event stays.
    pub(super) fn keeps_fact(&self, record: &RecordView<'_>) -> bool {
        if record.header.kind == Kind::Key {
            let age = self.now.nanos().saturating_sub(record.header.time.nanos());
            let age = u128::try_from(age).unwrap_or(0);
            return self.decided.keeping.age_of_keys().is_none_or(|kept| age <= kept.as_nanos());
        }
        match Fact::decode(record) {
            Ok(Some(Fact::Consumer(fact))) => {
                let is_move = matches!(&fact.deed, ConsumerDeed::Checkpoint(of) if of.act == CheckpointAct::Moved);
                let last = self.decided.records.get(&*fact.consumer).copied().unwrap_or(0);
                !is_move || last <= fact.number
            }
            Ok(Some(Fact::Stream(fact))) => {
                let Some(fate) = self.decided.streams.get(&*fact.stream) else { return true };
                match fact.deed {
                    StreamDeed::Truncate { first, ref state } => {
                        let is_finished = fate.ended.is_some() && !Mutant::KeepsStatesOfTheFinished.is_on();
                        if state.is_some() && is_finished && !self.is_held(&fact.stream) {
                            return false;
                        }
                        // Of several for one version the last state counts.
                        fate.truncated.as_ref().is_none_or(|truncated| {
                            truncated.first < first || truncated.first == first && truncated.time <= fact.time
                        })
                    }
                    StreamDeed::Metadata { revision, .. } => {
                        fate.metadata.as_ref().is_none_or(|said| said.revision <= revision)
                    }
                    _ => true,
                }
            }
            _ => true,
        }
    }

    /// Whether all of a stream is held.
    fn is_held(&self, stream: &str) -> bool {
        let mut scopes = self.decided.keeping.holds.keys().map(|(scope, _)| scope);
        scopes.any(|scope| !matches!(scope, Scope::EventType(_)) && scope.is_for(stream, ""))
    }

    /// The name of a stream by its number, the first version of it that is kept by now, and whether it is finished.
    pub(super) fn streams(&self) -> impl Iterator<Item = (usize, &str, Version, bool)> {
        self.numbers.iter().map(|(name, number)| {
            let of = &self.streams[*number];
            (*number, &**name, of.first, of.is_finished)
        })
    }

    /// Whether rules and holds are what they are to another one.
    pub(super) fn has_the_same_rules(&self, other: &Judge) -> bool {
        self.decided.keeping == other.decided.keeping && self.decided.quotas == other.decided.quotas
    }

    /// The last version of a stream, by its number.
    pub(super) fn last_of(&self, number: usize) -> Version {
        self.streams[number].last
    }

    /// Whether any stream is finished.
    pub(super) fn knows_finished(&self) -> bool {
        self.decided.streams.values().any(|fate| fate.ended.is_some())
    }

    /// Whether a stream is.
    pub(super) fn is_finished(&self, stream: &str) -> bool {
        self.decided.streams.get(stream).is_some_and(|fate| fate.ended.is_some())
    }

    /// The numbers of a stream and, in it, of a type.
    fn learn(&mut self, stream: &str, event_type: &str) -> Result<(usize, usize), Error> {
        let number = match self.numbers.get(stream) {
            Some(number) => *number,
            None => self.learn_stream(stream)?,
        };
        let types = &self.streams[number].types;
        if let Some(known) = types.iter().position(|(name, _)| **name == *event_type) {
            return Ok((number, known));
        }
        let of_type = self.of_type(stream, event_type)?;
        let types = &mut self.streams[number].types;
        types.push((event_type.into(), of_type));
        Ok((number, types.len() - 1))
    }

    fn learn_stream(&mut self, stream: &str) -> Result<usize, Error> {
        let fate = self.decided.streams.get(stream);
        let last = self.link.store()?.extent_of(stream)?.map_or(Version::NONE, |extent| extent.version);
        let number = self.streams.len();
        self.streams.push(OfStream {
            is_finished: fate.is_some_and(|fate| fate.ended.is_some()),
            first: fate.and_then(|fate| fate.truncated.as_ref()).map_or(Version::FIRST, |of| of.first),
            last,
            types: Vec::new(),
        });
        self.numbers.insert(stream.into(), number);
        Ok(number)
    }

    fn of_type(&self, stream: &str, event_type: &str) -> Result<OfType, Error> {
        let keeping = &self.decided.keeping;
        let mut holds = keeping.holds.keys().filter(|(scope, _)| scope.is_for(stream, event_type));
        let held = holds.next().map(|(_, label)| Staying::Held(label.clone()));
        let (scope, rule) = keeping.rule_for(stream, event_type).unwrap_or((&Scope::Everything, Retention::forever()));
        let since = rule.age().map(|age| {
            let nanos = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
            Timestamp::from_nanos(self.now.nanos().saturating_sub(nanos))
        });
        let from = match (rule.events(), scope) {
            (None, _) => Version::FIRST,
            (Some(events), Scope::EventType(_)) => self.newest_of_type(stream, event_type, events)?,
            (Some(events), _) => self.link.store()?.version_of_newest(stream, events)?,
        };
        Ok(OfType { held, since, from })
    }

    /// The version of the first of so many newest events of a type in a stream.
    fn newest_of_type(&self, stream: &str, event_type: &str, events: u64) -> Result<Version, Error> {
        let name = StreamName::trusted(stream.into());
        let query = Query::all().in_stream(&name).of_type(event_type);
        let newest = self.link.store()?.read_all().matching(query).backwards().limit(events);
        let mut last = None;
        let mut count = 0;
        for event in newest {
            last = Some(event?.version());
            count += 1;
        }
        Ok(if count < events { Version::FIRST } else { last.unwrap_or(Version::FIRST) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExpectedVersion, NewEvent, Quota, TagScope};

    #[test]
    fn told_to_end_it_looks_no_further_for_what_is_to_be_trimmed() {
        let store = EventStore::open_in_memory().expect("a store");
        let (game, guild) = (StreamName::trusted("game-1".into()), TagScope::tag("guild", 7).expect("a tag"));
        let events = (0..100).map(|_| NewEvent::bytes("said", vec![7; 2_000]).tag("guild", 7));
        store.append(&game, ExpectedVersion::Any, events).wait().expect("there is room");
        store.set_quota(&guild, Quota::bytes(150_000).trimming()).wait().expect("it is set");
        let judge = |is_to_end: &dyn Fn() -> bool| {
            let mut pace = Pace::new(&store, None, false, is_to_end);
            Judge::new(&store, Forced::default(), store.clock(), &mut pace).expect("it can be read")
        };
        assert!(judge(&|| true).is_none());
        assert!(!store.usage_counted().expect("it is open").1, "nothing was counted to the end");
        assert_eq!(judge(&|| false).expect("it goes on").trimmed.len(), 1);
        assert!(store.usage_counted().expect("it is open").1);
        assert!(judge(&|| true).is_none(), "nor is what was counted trimmed");
    }
}
