//! What the events with a tag take, where there is a quota for it. Where there is none nothing is counted.
//!
//! A quota counts what comes behind it as it comes. What was there before is counted by whoever asks first, up to the
//! position where the quota was set; until then it is not known how much there is.

use crate::format::{Kind, QuotaFact, RecordView};
use crate::mutant::Mutant;
use crate::position::Position;
use crate::quota::{Charge, OverQuota, Quota, TagScope};
use crate::sync::{AtomicU64, Ordering};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All quotas, and how much of each is used.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    /// By their numbers.
    entries: HashMap<u64, Entry>,
    /// The numbers, by what they are for. A number tells a quota from others for the same, before and after: what is charged to
    /// another is not charged to this.
    numbers: BTreeMap<TagScope, u64>,
    /// The same for whoever has a tag.
    by_key: HashMap<Box<str>, OfKey>,
    /// Those of which it is not known how much is used.
    uncounted: BTreeSet<u64>,
    /// How many quotas were begun to be counted.
    begun: u64,
}

/// The quotas for tags with a key.
#[derive(Debug, Default)]
struct OfKey {
    of_each: Option<u64>,
    of_value: HashMap<Box<str>, u64>,
}

#[derive(Debug)]
struct Entry {
    scope: TagScope,
    /// What is visible of it.
    known: Option<Quota>,
    /// What was admitted. Only read and written under the lock of admission.
    admitted: Option<Quota>,
    /// How often it was set or taken away by what is not visible yet. While it is, all that comes is counted.
    on_its_way: u32,
    /// What comes behind this position is counted as it comes.
    since: Position,
    /// So is what came before.
    is_counted: bool,
    /// By the value of the tag.
    used: HashMap<Box<str>, Used>,
}

/// How many bytes events with a tag take.
#[derive(Debug, Default)]
struct Used {
    visible: u64,
    /// With what is on its way in. Only changed under the lock of admission; the atomic only lets that happen while readers
    /// share the table.
    admitted: AtomicU64,
}

/// A batch would bring a tag above its quota.
#[derive(Debug)]
pub(crate) struct Excess {
    pub(crate) tag: String,
    pub(crate) used: u64,
    pub(crate) asked: u64,
    pub(crate) limit: u64,
    /// Without what is on its way in there would be room.
    pub(crate) is_caused_by_staged: bool,
}

/// A quota as it is written down: what is counted of it, unless that is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedQuota {
    pub(crate) scope: TagScope,
    pub(crate) quota: Quota,
    pub(crate) since: Position,
    /// None where it is to be counted anew.
    pub(crate) used: Option<Vec<(Box<str>, u64)>>,
}

/// So many values are written down with a quota; of one with more what is used is counted anew.
const VALUES_SAVED_MAX: usize = 50_000;

impl OfKey {
    /// Those that are for a value.
    fn of(&self, value: &str) -> impl Iterator<Item = u64> {
        self.of_each.into_iter().chain(self.of_value.get(value).copied())
    }
}

impl Entry {
    fn new(scope: TagScope, since: Position) -> Entry {
        let (known, admitted, on_its_way, is_counted, used) = (None, None, 0, false, HashMap::new());
        Entry { scope, known, admitted, on_its_way, since, is_counted, used }
    }
}

impl Used {
    /// Takes bytes away of what was admitted. Nobody else has the table.
    fn take_admitted(&mut self, bytes: u64) {
        let left = self.admitted.load(Ordering::Relaxed).saturating_sub(bytes);
        self.admitted.store(left, Ordering::Relaxed);
    }

    fn is_none(&self) -> bool {
        self.visible == 0 && self.admitted.load(Ordering::Relaxed) == 0
    }
}

impl Quotas {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many quotas were begun to be counted: as long as that stays the same, so do the charges of a batch.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// All that are visible, by what they are for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TagScope, Quota)> {
        self.by_scope().filter_map(|(_, entry)| Some((&entry.scope, entry.known?)))
    }

    fn by_scope(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.numbers.values().filter_map(|number| Some((*number, self.entries.get(number)?)))
    }

    fn for_scope(&self, scope: &TagScope) -> Option<&Entry> {
        self.entries.get(self.numbers.get(scope)?)
    }

    /// Whether it is known how much is used of a quota.
    pub(crate) fn is_counted(&self, scope: &TagScope) -> bool {
        self.for_scope(scope).is_some_and(|entry| entry.is_counted)
    }

    /// What is used of a quota by each value.
    pub(crate) fn used(&self, scope: &TagScope) -> Vec<(Box<str>, u64)> {
        let used = self.for_scope(scope).into_iter().flat_map(|entry| &entry.used);
        let mut used: Vec<_> = used.map(|(value, used)| (value.clone(), used.visible)).collect();
        used.sort_unstable();
        used
    }

    /// What is used of a quota by one value.
    pub(crate) fn used_by(&self, scope: &TagScope, value: &str) -> u64 {
        self.for_scope(scope).and_then(|entry| entry.used.get(value)).map_or(0, |used| used.visible)
    }

    /// What events add to what tags take.
    pub(crate) fn charges<'a>(&self, records: impl Iterator<Item = RecordView<'a>>) -> Vec<Charge> {
        let mut charges: BTreeMap<(u64, Box<str>), u64> = BTreeMap::new();
        if self.is_empty() {
            return Vec::new();
        }
        for record in records.filter(|record| record.header.kind == Kind::Event) {
            let mut of_record = BTreeSet::new();
            for (key, value) in record.tags() {
                let of_key = self.by_key.get(key).into_iter();
                of_record.extend(of_key.flat_map(|of_key| of_key.of(value)).map(|number| (number, value)));
            }
            for (number, value) in of_record {
                *charges.entry((number, value.into())).or_default() += record.quota_bytes();
            }
        }
        charges.into_iter().map(|((number, value), bytes)| Charge { number, value, bytes }).collect()
    }

    /// Which quota a batch would go against. To be called under the lock of admission.
    pub(crate) fn excess(&self, charges: &[Charge]) -> Option<Excess> {
        let exceeded = charges.iter().filter_map(|charge| {
            let entry = self.entries.get(&charge.number).filter(|entry| entry.is_counted)?;
            let quota = entry.admitted.filter(|quota| quota.action() == OverQuota::Refuse)?;
            let of_value = entry.used.get(&charge.value);
            let visible = of_value.map_or(0, |used| used.visible);
            let used = match Mutant::CountsWhatIsVisible.is_on() {
                true => visible,
                false => of_value.map_or(0, |used| used.admitted.load(Ordering::Relaxed)),
            };
            let is_over = |used: u64| quota.limit() < used.saturating_add(charge.bytes);
            let tag = || format!("{}:{}", entry.scope.key(), charge.value);
            let excess = || Excess {
                tag: tag(),
                used,
                asked: charge.bytes,
                limit: quota.limit(),
                is_caused_by_staged: !is_over(visible),
            };
            is_over(used).then(|| ((&entry.scope, &charge.value), excess()))
        });
        exceeded.min_by(|one, other| one.0.cmp(&other.0)).map(|(_, excess)| excess)
    }

    /// Notes what was admitted, where each tag is known; otherwise nothing is noted. To be called under the lock of admission.
    pub(crate) fn admit(&self, charges: &[Charge]) -> bool {
        let of = |charge: &Charge| self.entries.get(&charge.number).and_then(|entry| entry.used.get(&charge.value));
        let Some(used) = charges.iter().map(of).collect::<Option<Vec<&Used>>>() else { return false };
        for (used, charge) in used.iter().zip(charges) {
            used.admitted.fetch_add(charge.bytes, Ordering::Relaxed);
        }
        true
    }

    /// The same, where tags may come for the first time.
    pub(crate) fn admit_new(&mut self, charges: &[Charge]) {
        for charge in charges {
            if let Some(entry) = self.entries.get_mut(&charge.number) {
                let used = entry.used.entry(charge.value.clone()).or_default();
                used.admitted.fetch_add(charge.bytes, Ordering::Relaxed);
            }
        }
    }

    /// Makes visible what was admitted.
    pub(crate) fn publish(&mut self, charges: &[Charge]) {
        for charge in charges {
            let entry = self.entries.get_mut(&charge.number);
            if let Some(used) = entry.and_then(|entry| entry.used.get_mut(&charge.value)) {
                used.visible += charge.bytes;
            }
        }
    }

    /// Makes visible what is read from the log.
    pub(crate) fn replay(&mut self, charges: &[Charge]) {
        self.admit_new(charges);
        self.publish(charges);
    }

    /// Notes that a quota is admitted, in a batch whose last position, or the last before it, is this one. To be called under the
    /// lock of admission.
    pub(crate) fn admit_fact(&mut self, fact: &QuotaFact, since: Position) {
        let number = match self.numbers.get(&fact.scope) {
            Some(number) => *number,
            None => self.begin(Entry::new(fact.scope.clone(), since)),
        };
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.admitted = fact.quota;
            entry.on_its_way += 1;
        }
    }

    fn begin(&mut self, entry: Entry) -> u64 {
        self.begun += 1;
        let number = self.begun;
        self.numbers.insert(entry.scope.clone(), number);
        let of_key = self.by_key.entry(entry.scope.key().into()).or_default();
        match entry.scope.value() {
            Some(value) => drop(of_key.of_value.insert(value.into(), number)),
            None => of_key.of_each = Some(number),
        }
        if !entry.is_counted {
            self.uncounted.insert(number);
        }
        self.entries.insert(number, entry);
        number
    }

    fn end(&mut self, scope: &TagScope) {
        let Some(number) = self.numbers.remove(scope) else { return };
        self.entries.remove(&number);
        self.uncounted.remove(&number);
        let Some(of_key) = self.by_key.get_mut(scope.key()) else { return };
        match scope.value() {
            Some(value) => drop(of_key.of_value.remove(value)),
            None => of_key.of_each = None,
        }
        if of_key.of_each.is_none() && of_key.of_value.is_empty() {
            self.by_key.remove(scope.key());
        }
    }

    /// Makes a quota visible that was admitted.
    pub(crate) fn publish_fact(&mut self, fact: &QuotaFact) {
        let number = self.numbers.get(&fact.scope);
        let Some(entry) = number.and_then(|number| self.entries.get_mut(number)) else { return };
        entry.known = fact.quota;
        entry.on_its_way = entry.on_its_way.saturating_sub(1);
        if entry.known.is_none() && entry.on_its_way == 0 {
            self.end(&fact.scope);
        }
    }

    /// The quotas that are visible of which it is not known how much is used, and up to where that is to be counted: all of that
    /// is visible, too, where `head` is the last position that is.
    pub(crate) fn uncounted(&self, head: Position) -> Vec<(u64, TagScope, Position)> {
        let open = self.uncounted.iter().filter_map(|number| Some((*number, self.entries.get(number)?)));
        let open = open.filter(|(_, entry)| entry.known.is_some() && entry.since <= head);
        open.map(|(number, entry)| (number, entry.scope.clone(), entry.since)).collect()
    }

    /// The quotas by which a batch may be refused and that wait to be counted.
    pub(crate) fn awaited(&self, charges: &[Charge]) -> BTreeSet<u64> {
        let refuses = |entry: &Entry| entry.known.is_some_and(|quota| quota.action() == OverQuota::Refuse);
        let waits = |number: &u64| self.entries.get(number).is_some_and(|entry| !entry.is_counted && refuses(entry));
        charges.iter().map(|charge| charge.number).filter(waits).collect()
    }

    /// Takes what was counted of a quota up to a position.
    pub(crate) fn note_counted(&mut self, number: u64, since: Position, counted: HashMap<Box<str>, u64>) {
        let entry = self.entries.get_mut(&number).filter(|entry| !entry.is_counted && entry.since == since);
        let Some(entry) = entry else { return };
        for (value, bytes) in counted {
            let used = entry.used.entry(value).or_default();
            used.visible += bytes;
            used.admitted.fetch_add(bytes, Ordering::Relaxed);
        }
        entry.is_counted = true;
        self.uncounted.remove(&number);
    }

    /// The same quotas, without what is used of them: to know what events take.
    pub(crate) fn unused(&self) -> Quotas {
        let mut quotas = Quotas::default();
        for (number, entry) in self.by_scope() {
            quotas.begun = number - 1;
            quotas.begin(Entry::new(entry.scope.clone(), entry.since));
        }
        quotas.begun = self.begun;
        quotas
    }

    /// Those of which it is known how much is used, and that are not among others.
    pub(crate) fn counted_beside(&self, others: &Quotas) -> Vec<(u64, TagScope)> {
        let beside = self.by_scope().filter(|(number, of)| of.is_counted && !others.entries.contains_key(number));
        beside.map(|(number, entry)| (number, entry.scope.clone())).collect()
    }

    /// Gives back what events took that were removed, of which there are none behind `head`. What is not counted yet begins
    /// anew.
    pub(crate) fn free(&mut self, freed: &[Charge], head: Position) {
        for charge in freed.iter().filter(|_| !Mutant::GivesNothingBack.is_on()) {
            let entry = self.entries.get_mut(&charge.number).filter(|entry| entry.is_counted);
            let Some(entry) = entry else { continue };
            let Some(used) = entry.used.get_mut(&charge.value) else { continue };
            used.visible = used.visible.saturating_sub(charge.bytes);
            used.take_admitted(charge.bytes);
            if used.is_none() {
                entry.used.remove(&charge.value);
            }
        }
        for number in &self.uncounted {
            let Some(entry) = self.entries.get_mut(number) else { continue };
            // One that is not visible yet begins behind all that is.
            entry.since = entry.since.max(head);
            entry.used.retain(|_, used| {
                let visible = std::mem::take(&mut used.visible);
                used.take_admitted(visible);
                !used.is_none()
            });
        }
    }

    /// What is to be written down at a moment when `head` is the last visible position.
    pub(super) fn to_save(&self, head: Position) -> Vec<SavedQuota> {
        let of = |(_, entry): (u64, &Entry)| {
            let (scope, quota) = (entry.scope.clone(), entry.known?);
            if !entry.is_counted || VALUES_SAVED_MAX < entry.used.len() {
                return Some(SavedQuota { scope, quota, since: head, used: None });
            }
            let used = entry.used.iter().map(|(value, used)| (value.clone(), used.visible));
            let mut used: Vec<(Box<str>, u64)> = used.collect();
            used.sort_unstable();
            Some(SavedQuota { scope, quota, since: entry.since, used: Some(used) })
        };
        self.by_scope().filter_map(of).collect()
    }

    /// What was written down.
    pub(super) fn saved(saved: Vec<SavedQuota>) -> Quotas {
        let mut quotas = Quotas::default();
        for SavedQuota { scope, quota, since, used } in saved {
            let of_value = |(value, bytes)| (value, Used { visible: bytes, admitted: AtomicU64::new(bytes) });
            let (known, admitted, is_counted) = (Some(quota), Some(quota), used.is_some());
            let used = used.into_iter().flatten().map(of_value).collect();
            quotas.begin(Entry { known, admitted, is_counted, used, ..Entry::new(scope, since) });
        }
        quotas
    }
}
