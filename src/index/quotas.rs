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
    all: BTreeMap<TagScope, Entry>,
    /// How many quotas were begun to be counted.
    begun: u64,
}

#[derive(Debug)]
struct Entry {
    /// What is visible of it.
    known: Option<Quota>,
    /// What was admitted. Only read and written under the lock of admission.
    admitted: Option<Quota>,
    /// Tells it from others of this scope, before and after: what is charged to another is not charged to this.
    number: u64,
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

impl Quotas {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All that are visible, by what they are for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TagScope, Quota)> {
        self.all.iter().filter_map(|(scope, entry)| Some((scope, entry.known?)))
    }

    /// What is used of a quota by each value.
    pub(crate) fn used(&self, scope: &TagScope) -> Vec<(Box<str>, u64)> {
        let used = self.all.get(scope).into_iter().flat_map(|entry| &entry.used);
        let mut used: Vec<_> = used.map(|(value, used)| (value.clone(), used.visible)).collect();
        used.sort_unstable();
        used
    }

    /// What is used of a quota by one value.
    pub(crate) fn used_by(&self, scope: &TagScope, value: &str) -> u64 {
        self.all.get(scope).and_then(|entry| entry.used.get(value)).map_or(0, |used| used.visible)
    }

    /// What events add to what tags take.
    pub(crate) fn charges<'a>(&self, records: impl Iterator<Item = RecordView<'a>>) -> Vec<Charge> {
        let mut charges: BTreeMap<(&TagScope, u64, Box<str>), u64> = BTreeMap::new();
        if self.all.is_empty() {
            return Vec::new();
        }
        let all: Vec<(&TagScope, u64)> =
            self.all.iter().filter(|(_, of)| of.admitted.is_some()).map(|(scope, of)| (scope, of.number)).collect();
        for record in records.filter(|record| record.header.kind == Kind::Event) {
            let tags: BTreeSet<(&str, &str)> = record.tags().collect();
            for (key, value) in tags {
                for (scope, number) in all.iter().filter(|(scope, _)| scope.is_for(key, value)) {
                    *charges.entry((scope, *number, value.into())).or_default() += record.quota_bytes();
                }
            }
        }
        let charges = charges.into_iter();
        charges.map(|((scope, number, value), bytes)| Charge { scope: scope.clone(), number, value, bytes }).collect()
    }

    /// Which quota a batch would go against. To be called under the lock of admission.
    pub(crate) fn excess(&self, charges: &[Charge]) -> Option<Excess> {
        charges.iter().find_map(|charge| {
            let entry = self.of(charge).filter(|entry| entry.is_counted)?;
            let quota = entry.admitted.filter(|quota| quota.action() == OverQuota::Refuse)?;
            let of_value = entry.used.get(&charge.value);
            let visible = of_value.map_or(0, |used| used.visible);
            let used = match Mutant::CountsWhatIsVisible.is_on() {
                true => visible,
                false => of_value.map_or(0, |used| used.admitted.load(Ordering::Relaxed)),
            };
            let is_over = |used: u64| quota.limit() < used.saturating_add(charge.bytes);
            let tag = || format!("{}:{}", charge.scope.key(), charge.value);
            is_over(used).then(|| Excess {
                tag: tag(),
                used,
                asked: charge.bytes,
                limit: quota.limit(),
                is_caused_by_staged: !is_over(visible),
            })
        })
    }

    /// Notes what was admitted, where each tag is known; otherwise nothing is noted. To be called under the lock of admission.
    pub(crate) fn admit(&self, charges: &[Charge]) -> bool {
        let of = |charge: &Charge| self.of(charge).and_then(|entry| entry.used.get(&charge.value));
        let Some(used) = charges.iter().map(of).collect::<Option<Vec<&Used>>>() else { return false };
        for (used, charge) in used.iter().zip(charges) {
            used.admitted.fetch_add(charge.bytes, Ordering::Relaxed);
        }
        true
    }

    /// The same, where tags may come for the first time.
    pub(crate) fn admit_new(&mut self, charges: &[Charge]) {
        for charge in charges {
            if let Some(entry) = self.of_mut(charge) {
                let used = entry.used.entry(charge.value.clone()).or_default();
                used.admitted.fetch_add(charge.bytes, Ordering::Relaxed);
            }
        }
    }

    /// Makes visible what was admitted.
    pub(crate) fn publish(&mut self, charges: &[Charge]) {
        for charge in charges {
            if let Some(used) = self.of_mut(charge).and_then(|entry| entry.used.get_mut(&charge.value)) {
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
        if fact.quota.is_none() && !self.all.contains_key(&fact.scope) {
            return;
        }
        self.begun += 1;
        let number = self.begun;
        let fresh = || Entry { known: None, admitted: None, number, since, is_counted: false, used: HashMap::new() };
        let entry = self.all.entry(fact.scope.clone()).or_insert_with(fresh);
        if entry.admitted.is_none() {
            // It was taken away, and what came since was not counted.
            *entry = Entry { known: entry.known, ..fresh() };
        }
        entry.admitted = fact.quota;
    }

    fn of(&self, charge: &Charge) -> Option<&Entry> {
        self.all.get(&charge.scope).filter(|entry| entry.number == charge.number)
    }

    fn of_mut(&mut self, charge: &Charge) -> Option<&mut Entry> {
        self.all.get_mut(&charge.scope).filter(|entry| entry.number == charge.number)
    }

    /// Makes a quota visible.
    pub(crate) fn publish_fact(&mut self, fact: &QuotaFact) {
        let Some(entry) = self.all.get_mut(&fact.scope) else { return };
        entry.known = fact.quota;
        if entry.known.is_none() && entry.admitted.is_none() {
            self.all.remove(&fact.scope);
        }
    }

    /// The quotas that are visible of which it is not known how much is used, and up to where that is to be counted.
    pub(crate) fn uncounted(&self) -> Vec<(TagScope, Position)> {
        let is_open = |(_, entry): &(&TagScope, &Entry)| !entry.is_counted && entry.known.is_some();
        self.all.iter().filter(is_open).map(|(scope, entry)| (scope.clone(), entry.since)).collect()
    }

    /// Whether a quota by which something may be refused waits to be counted.
    pub(crate) fn has_uncounted_refusals(&self) -> bool {
        self.all.values().any(|entry| {
            let refuses = |quota: Option<Quota>| quota.is_some_and(|of| of.action() == OverQuota::Refuse);
            !entry.is_counted && refuses(entry.known)
        })
    }

    /// Takes what was counted of a quota up to a position.
    pub(crate) fn note_counted(&mut self, scope: &TagScope, since: Position, counted: HashMap<Box<str>, u64>) {
        let Some(entry) = self.all.get_mut(scope).filter(|entry| !entry.is_counted && entry.since == since) else {
            return;
        };
        for (value, bytes) in counted {
            let used = entry.used.entry(value).or_default();
            used.visible += bytes;
            used.admitted.fetch_add(bytes, Ordering::Relaxed);
        }
        entry.is_counted = true;
    }

    /// Those of which it is known how much is used.
    pub(crate) fn counted(&self) -> Quotas {
        let counted = self.all.iter().filter(|(_, entry)| entry.is_counted);
        let alike = |(scope, entry): (&TagScope, &Entry)| {
            let Entry { known, admitted, number, since, is_counted, .. } = *entry;
            (scope.clone(), Entry { known, admitted, number, since, is_counted, used: HashMap::new() })
        };
        Quotas { all: counted.map(alike).collect(), begun: self.begun }
    }

    /// Gives back what events took that were removed, of which there are none behind `head`. What is not counted yet begins
    /// anew.
    pub(crate) fn free(&mut self, freed: &[Charge], head: Position) {
        for charge in freed.iter().filter(|_| !Mutant::GivesNothingBack.is_on()) {
            let entry = self.of_mut(charge).filter(|entry| entry.is_counted);
            if let Some(used) = entry.and_then(|entry| entry.used.get_mut(&charge.value)) {
                used.visible = used.visible.saturating_sub(charge.bytes);
                used.admitted.fetch_sub(charge.bytes, Ordering::Relaxed);
            }
        }
        for entry in self.all.values_mut() {
            if entry.is_counted {
                entry.used.retain(|_, used| used.visible != 0 || used.admitted.load(Ordering::Relaxed) != 0);
            } else {
                entry.since = head;
                for used in entry.used.values_mut() {
                    used.admitted.fetch_sub(used.visible, Ordering::Relaxed);
                    used.visible = 0;
                }
            }
        }
    }

    /// What is to be written down at a moment when `head` is the last visible position.
    pub(super) fn to_save(&self, head: Position) -> Vec<SavedQuota> {
        let of = |(scope, entry): (&TagScope, &Entry)| {
            let (scope, quota) = (scope.clone(), entry.known?);
            if !entry.is_counted || VALUES_SAVED_MAX < entry.used.len() {
                return Some(SavedQuota { scope, quota, since: head, used: None });
            }
            let used = entry.used.iter().map(|(value, used)| (value.clone(), used.visible));
            let mut used: Vec<(Box<str>, u64)> = used.collect();
            used.sort_unstable();
            Some(SavedQuota { scope, quota, since: entry.since, used: Some(used) })
        };
        self.all.iter().filter_map(of).collect()
    }

    /// What was written down.
    pub(super) fn saved(saved: Vec<SavedQuota>) -> Quotas {
        let begun = saved.len() as u64;
        let of = |(number, saved): (u64, SavedQuota)| {
            let of_value = |(value, bytes)| (value, Used { visible: bytes, admitted: AtomicU64::new(bytes) });
            let (known, is_counted, since) = (Some(saved.quota), saved.used.is_some(), saved.since);
            let used = saved.used.into_iter().flatten().map(of_value).collect();
            (saved.scope, Entry { known, admitted: known, number, since, is_counted, used })
        };
        Quotas { all: (1..).zip(saved).map(of).collect(), begun }
    }
}
