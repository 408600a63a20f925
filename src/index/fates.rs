//! What was decided about streams: that one is finished, deleted, or begins later, and what is said about it; and about what is
//! kept.

use crate::format::{Fact, KeepDeed, KeepFact, StreamDeed, StreamFact};
use crate::limits::ONCE_KEY_KEPT_FOR;
use crate::mutant::Mutant;
use crate::position::{Place, Version};
use crate::retention::{Retention, Scope};
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

/// All that was decided. Most streams have no entry.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    streams: BTreeMap<Box<str>, Entry>,
    keeping: Keeping,
}

#[derive(Debug, Default)]
struct Entry {
    known: Fate,
    /// The same with what was admitted and is not visible yet. Only read and written under the lock of admission.
    admitted: Fate,
}

/// What was decided about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Nothing is appended to it any more, and nothing of it read.
    pub(crate) ended: Option<Ended>,
    /// Some of it is not read.
    pub(crate) deleted: Option<Deletion>,
    /// It begins later.
    pub(crate) truncated: Option<Truncation>,
    pub(crate) metadata: Option<Said>,
    /// That of its last event before the last of these decisions.
    pub(crate) version: Version,
}

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: String,
    pub(crate) time: Timestamp,
}

/// What of a stream is deleted: everything up to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) last: Version,
    pub(crate) reason: String,
    pub(crate) time: Timestamp,
}

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truncation {
    /// The first version that is kept.
    pub(crate) first: Version,
    /// Where the record stands that carries what was folded from the events before, and before which version that is.
    pub(crate) carried: Option<(Place, Version)>,
    pub(crate) time: Timestamp,
}

/// Where states stand that are carried in the log, by stream and by the version that it begins with.
pub(crate) type CarriedPlaces = HashMap<Box<str>, BTreeMap<Version, Place>>;

/// What is said about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) revision: u64,
    pub(crate) json: String,
    pub(crate) time: Timestamp,
}

/// What is kept whatever else, and by which rules the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// With the time since when.
    pub(crate) holds: BTreeMap<(Scope, String), Timestamp>,
    /// With the time since when.
    pub(crate) rules: BTreeMap<Scope, (Retention, Timestamp)>,
}

/// What is written down of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedFates {
    pub(crate) streams: Vec<(String, Fate)>,
    pub(crate) keeping: Keeping,
}

impl Fates {
    /// What is visible of a stream's.
    pub(crate) fn get(&self, stream: &str) -> Option<&Fate> {
        self.streams.get(stream).map(|entry| &entry.known)
    }

    /// What was admitted of a stream's. To be called under the lock of admission.
    pub(crate) fn admitted(&self, stream: &str) -> Option<&Fate> {
        self.streams.get(stream).map(|entry| &entry.admitted)
    }

    /// All streams with a fate, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Fate)> {
        self.streams.iter().map(|(name, entry)| (&**name, &entry.known))
    }

    /// The same behind a name.
    pub(crate) fn behind(&self, name: Option<&str>) -> impl Iterator<Item = (&str, &Fate)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.streams.range::<str, _>((from, Bound::Unbounded));
        behind.map(|(name, entry)| (&**name, &entry.known))
    }

    /// Whether nothing was decided about any stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// What is kept.
    pub(crate) fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// Notes that a record is admitted, and gives its metadata their revision if they have none. To be called under the lock of
    /// admission.
    pub(crate) fn admit(&mut self, fact: &mut StreamFact) {
        let admitted = &mut self.entry(&fact.stream).admitted;
        if let StreamDeed::Metadata { revision, .. } = &mut fact.deed
            && *revision == 0
        {
            *revision = admitted.metadata.as_ref().map_or(0, |said| said.revision) + 1;
        }
        admitted.apply(fact, None);
    }

    /// Makes a record visible that stands at a place.
    pub(crate) fn publish(&mut self, fact: &Fact, place: Place) {
        match fact {
            Fact::Stream(fact) => {
                let entry = self.entry(&fact.stream);
                entry.known.apply(fact, Some(place));
            }
            Fact::Keep(fact) => self.keeping.apply(fact),
            Fact::Consumer(_) | Fact::Quota(_) => {}
        }
    }

    /// Makes a stored record visible.
    pub(crate) fn replay(&mut self, fact: &Fact, place: Place) {
        self.publish(fact, place);
        if let Fact::Stream(fact) = fact {
            let entry = self.entry(&fact.stream);
            entry.admitted = entry.known.clone();
        }
    }

    /// Whether any of some segments carries a state that counts.
    pub(crate) fn has_carried_in(&self, segments: &RangeInclusive<u32>) -> bool {
        let truncated = self.iter().filter_map(|(_, fate)| fate.truncated.as_ref());
        truncated.filter_map(|truncated| truncated.carried).any(|(place, _)| segments.contains(&place.segment))
    }

    /// Says where states stand that stood in some segments; none of them stands there any more.
    pub(crate) fn move_carried(&mut self, segments: &RangeInclusive<u32>, places: &CarriedPlaces) {
        for (name, entry) in &mut self.streams {
            for fate in [&mut entry.known, &mut entry.admitted] {
                if let Some(truncated) = &mut fate.truncated
                    && truncated.carried.is_some_and(|(place, _)| segments.contains(&place.segment))
                {
                    let moved = places.get(name).and_then(|places| places.get(&truncated.first));
                    truncated.carried = moved.map(|place| (*place, truncated.first));
                }
            }
        }
    }

    fn entry(&mut self, stream: &str) -> &mut Entry {
        self.streams.entry(stream.into()).or_default()
    }

    /// What is to be written down.
    pub(super) fn to_save(&self) -> SavedFates {
        let streams = self.iter().filter(|(_, fate)| **fate != Fate::default());
        let streams = streams.map(|(name, fate)| (name.to_owned(), fate.clone())).collect();
        SavedFates { streams, keeping: self.keeping.clone() }
    }

    /// What was written down.
    pub(super) fn saved(saved: SavedFates) -> Fates {
        let entry = |(name, known): (String, Fate)| (name.into_boxed_str(), Entry { admitted: known.clone(), known });
        Fates { streams: saved.streams.into_iter().map(entry).collect(), keeping: saved.keeping }
    }
}

impl Default for Fate {
    fn default() -> Fate {
        Fate { ended: None, deleted: None, truncated: None, metadata: None, version: Version::NONE }
    }
}

impl Fate {
    /// The first version of the stream that can be read.
    pub(crate) fn first(&self) -> Version {
        let kept = self.truncated.as_ref().map_or(Version::FIRST, |truncated| truncated.first);
        let behind = self.deleted.as_ref().and_then(|deleted| deleted.last.next());
        kept.max(behind.unwrap_or(Version::FIRST))
    }

    /// Where the state stands that the stream begins with. None where what is in that is deleted, or begins before what is
    /// read.
    pub(crate) fn carried(&self) -> Option<Place> {
        let (place, first) = self.truncated.as_ref()?.carried?;
        let knows_deleted = self.deleted.as_ref().is_some_and(|deleted| first.get() <= deleted.last.get() + 1);
        (!knows_deleted || Mutant::CarriesWhatWasDeleted.is_on()).then_some(place)
    }

    /// Whether a stream whose last event has this version is deleted as it is.
    pub(crate) fn is_deleted_at(&self, version: Version) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| version <= deleted.last)
    }

    fn apply(&mut self, fact: &StreamFact, place: Option<Place>) {
        let time = fact.time;
        self.version = self.version.max(fact.version);
        match &fact.deed {
            StreamDeed::Tombstone(reason) => self.ended = Some(Ended { reason: reason.clone(), time }),
            StreamDeed::Delete(reason) => {
                self.deleted = Some(Deletion { last: fact.version, reason: reason.clone(), time });
            }
            StreamDeed::Undelete => self.deleted = None,
            StreamDeed::Metadata { revision, json } => {
                self.metadata = Some(Said { revision: *revision, json: json.clone(), time });
            }
            StreamDeed::Truncate { first, state } => {
                let is_later = self
                    .truncated
                    .as_ref()
                    .is_none_or(|known| known.first < *first || (known.first == *first && state.is_some()));
                if is_later {
                    let carried = state.as_ref().and(place).map(|place| (place, *first));
                    self.truncated = Some(Truncation { first: *first, carried, time });
                }
            }
        }
    }
}

impl Keeping {
    /// The rule that counts for an event of a type in a stream.
    pub(crate) fn rule_for(&self, stream: &str, event_type: &str) -> Option<(&Scope, Retention)> {
        // Rising: everything, category, type, stream. The last that is for it counts.
        let mut rules = self.rules.iter().rev();
        rules.find(|(scope, _)| scope.is_for(stream, event_type)).map(|(scope, (rule, _))| (scope, *rule))
    }

    /// How long a `once` key is kept; `None` for ever.
    pub(crate) fn age_of_keys(&self) -> Option<Duration> {
        if self.holds.keys().any(|(scope, _)| *scope == Scope::OnceKeys) {
            return None;
        }
        self.rules.get(&Scope::OnceKeys).map_or(Some(ONCE_KEY_KEPT_FOR), |(rule, _)| rule.age())
    }

    fn apply(&mut self, fact: &KeepFact) {
        match &fact.deed {
            KeepDeed::Hold(label) => {
                self.holds.entry((fact.scope.clone(), label.clone())).or_insert(fact.time);
            }
            KeepDeed::Release(label) => {
                self.holds.remove(&(fact.scope.clone(), label.clone()));
            }
            KeepDeed::Retain(rule) => {
                self.rules.insert(fact.scope.clone(), (*rule, fact.time));
            }
            KeepDeed::Forget => {
                self.rules.remove(&fact.scope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Codec;
    use crate::format::Carried;
    use crate::name::StreamName;
    use crate::position::Position;

    fn fact(version: u64, deed: StreamDeed) -> Fact {
        let (stream, version, time) = ("game-1".to_owned(), Version::new(version), Timestamp::EPOCH);
        Fact::Stream(StreamFact { stream, version, time, deed })
    }

    fn truncate(first: u64) -> StreamDeed {
        StreamDeed::Truncate { first: Version::new(first), state: None }
    }

    const PLACE: Place = Place { segment: 1, offset: 512 };

    fn carrying(first: u64) -> StreamDeed {
        let (fold, position, event_time) = ("score".to_owned(), Position::new(first), Timestamp::EPOCH);
        let state = Carried { fold, schema: 1, codec: Codec::Json, position, event_time, bytes: Vec::new() };
        StreamDeed::Truncate { first: Version::new(first), state: Some(state) }
    }

    #[test]
    fn a_state_counts_until_the_stream_begins_later_and_not_for_what_is_deleted_with_it() {
        let mut fates = Fates::default();
        let mut offset = 0;
        let mut carried = |version, deed| {
            offset += 512;
            fates.replay(&fact(version, deed), Place { segment: 1, offset });
            fates.get("game-1").and_then(|fate| fate.carried()).map(|place| place.offset)
        };
        assert_eq!(carried(9, truncate(4)), None);
        assert_eq!(carried(9, carrying(3)), None, "it begins later already");
        assert_eq!(carried(9, carrying(4)), Some(1_536));
        assert_eq!(carried(9, truncate(4)), Some(1_536));
        assert_eq!(carried(9, carrying(4)), Some(2_560), "the last counts");
        assert_eq!(carried(9, StreamDeed::Delete("why".into())), None);
        assert_eq!(carried(9, StreamDeed::Undelete), Some(2_560));
        assert_eq!(carried(9, carrying(10)), Some(4_096));
        assert_eq!(carried(9, StreamDeed::Delete("why".into())), None);
        assert_eq!(carried(12, carrying(12)), Some(5_120), "of what came behind");
        assert_eq!(carried(12, truncate(13)), None);
    }

    #[test]
    fn a_state_that_was_moved_stands_elsewhere_and_one_that_was_removed_nowhere() {
        let mut fates = Fates::default();
        fates.replay(&fact(9, carrying(4)), Place { segment: 3, offset: 512 });
        let there = Place { segment: 4, offset: 1_024 };
        let places = |first| CarriedPlaces::from([("game-1".into(), BTreeMap::from([(Version::new(first), there)]))]);
        fates.move_carried(&(4..=9), &places(4));
        assert!(fates.has_carried_in(&(3..=4)) && !fates.has_carried_in(&(4..=9)));
        fates.move_carried(&(2..=4), &places(4));
        assert_eq!(fates.get("game-1").and_then(Fate::carried), Some(there));
        assert_eq!(fates.admitted("game-1").and_then(Fate::carried), Some(there));
        fates.move_carried(&(4..=4), &places(3));
        assert_eq!(fates.get("game-1").and_then(Fate::carried), None);
    }

    #[test]
    fn a_stream_begins_behind_whatever_is_deleted_or_truncated_of_it() {
        let mut fates = Fates::default();
        let mut first = |version, deed| {
            fates.replay(&fact(version, deed), PLACE);
            fates.get("game-1").map(|fate| fate.first().get())
        };
        assert_eq!(first(9, truncate(4)), Some(4));
        assert_eq!(first(9, truncate(3)), Some(4), "what is not kept does not come back");
        assert_eq!(first(9, StreamDeed::Delete("why".into())), Some(10));
        assert_eq!(first(12, truncate(6)), Some(10));
        assert_eq!(first(12, StreamDeed::Undelete), Some(6));
        assert_eq!(
            fates.get("game-1").map(|fate| (fate.version.get(), fate.is_deleted_at(Version::new(12)))),
            Some((12, false))
        );
    }

    #[test]
    fn what_is_admitted_is_seen_when_it_is_visible() {
        let mut fates = Fates::default();
        let Fact::Stream(mut deleted) = fact(9, StreamDeed::Delete("why".into())) else { unreachable!("it is one") };
        fates.admit(&mut deleted);
        let is_deleted = |fate: Option<&Fate>| fate.is_some_and(|fate| fate.is_deleted_at(Version::new(9)));
        assert!(is_deleted(fates.admitted("game-1")) && !is_deleted(fates.get("game-1")));
        fates.publish(&Fact::Stream(deleted), PLACE);
        assert!(is_deleted(fates.get("game-1")));
        assert_eq!(Fates::saved(fates.to_save()).to_save(), fates.to_save());
    }

    #[test]
    fn of_several_rules_the_one_that_is_for_the_least_counts() {
        let mut keeping = Keeping::default();
        let stream = StreamName::new("game-1").expect("a name");
        let scopes = [
            Scope::Everything,
            Scope::category("game").expect("a name"),
            Scope::event_type("won").expect("a name"),
            Scope::Stream(stream),
        ];
        for (number, scope) in (1..).zip(scopes) {
            let deed = KeepDeed::Retain(Retention::forever().newest(number));
            keeping.apply(&KeepFact { scope: scope.clone(), time: Timestamp::EPOCH, deed });
            let rule = |stream, event_type| keeping.rule_for(stream, event_type).map(|(_, rule)| rule.events());
            assert_eq!(rule("game-1", "won"), Some(Some(number)));
            assert_eq!(rule("team-1", "made"), Some(Some(1)));
            assert_eq!(keeping.rules.len() as u64, number);
        }
        keeping.apply(&KeepFact { scope: Scope::Everything, time: Timestamp::EPOCH, deed: KeepDeed::Forget });
        assert_eq!(keeping.rule_for("team-1", "made"), None);
    }
}
