//! What a compaction turns on, as far as that is known without reading the log.

use super::EventStore;
use crate::error::Error;
use crate::index::{Fate, Keeping};
use crate::position::Position;
use crate::quota::{OverQuota, Quota, TagScope};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// All that decides what may go, at one moment, in short.
pub(crate) struct WhatCompactionTurnsOn {
    at: Timestamp,
    /// The segments that have ended, with their generations.
    segments: Vec<(u32, u32)>,
    keeping: Keeping,
    /// Those that have something removed.
    quotas: BTreeMap<TagScope, Quota>,
    /// Of the streams that are finished or begin later.
    fates: u64,
    /// How many of the segments begin with what every consumer is done with.
    done: usize,
}

/// Where a rule says how old events become, what has become so since is looked at after this part of it.
const PART_OF_AGE: u32 = 10;

impl EventStore {
    /// What it turns on now. Reads nothing of the log.
    pub(crate) fn what_compaction_turns_on(&self) -> Result<WhatCompactionTurnsOn, Error> {
        let at = self.clock();
        let ended = self.ended_segments()?;
        let done = self.done_by_all_consumers()?;
        let done = ended.iter().filter(|segment| done.is_none_or(|done| segment.first_position <= done)).count();
        let segments = ended.iter().map(|segment| (segment.sequence(), segment.preamble.generation())).collect();
        let view = self.view()?;
        let view = view.0.read();
        let fates = view.table.fates();
        let sum = fates.iter().fold(0, |sum: u64, (name, fate)| sum.wrapping_add(digest(name, fate)));
        let trimming = view.table.quotas().iter().filter(|(_, quota)| quota.action() == OverQuota::Trim);
        let quotas = trimming.map(|(scope, quota)| (scope.clone(), quota)).collect();
        Ok(WhatCompactionTurnsOn { at, segments, keeping: fates.keeping().clone(), quotas, fates: sum, done })
    }

    /// The position up to which every consumer is done; none where there is no consumer.
    fn done_by_all_consumers(&self) -> Result<Option<Position>, Error> {
        let view = self.view()?;
        let view = view.0.read();
        let there = view.table.consumers().iter().filter(|(_, known)| !known.is_deleted);
        Ok(there.map(|(_, known)| known.position()).min())
    }

    /// Whether nothing is written anew any more: the store is about to be closed, or was.
    pub(crate) fn is_rewriting_ended(&self) -> bool {
        self.writer().is_ok_and(|writer| writer.rewriting.has_ended())
    }
}

fn digest(name: &str, fate: &Fate) -> u64 {
    let first = fate.truncated.as_ref().map_or(0, |truncated| truncated.first.get());
    if first == 0 && fate.ended.is_none() {
        return 0;
    }
    // Another state for the same version takes the place of the one before.
    let time = fate.truncated.as_ref().map_or(0, |truncated| truncated.time.nanos().cast_unsigned());
    let of_name = xxh3_64_with_seed(name.as_bytes(), first << 1 | u64::from(fate.ended.is_some()));
    xxh3_64_with_seed(&time.to_le_bytes(), of_name)
}

impl WhatCompactionTurnsOn {
    /// Whether another plan may come to something else than one that was made of `before`.
    pub(crate) fn has_news_since(&self, before: &WhatCompactionTurnsOn) -> bool {
        let is_the_same = self.segments == before.segments
            && self.keeping == before.keeping
            && self.quotas == before.quotas
            && self.fates == before.fates
            && self.done == before.done;
        let ages = self.keeping.rules.values().filter_map(|(rule, _)| rule.age());
        let passed = u64::try_from(self.at.nanos().saturating_sub(before.at.nanos())).unwrap_or(0);
        !is_the_same || ages.min().is_some_and(|age| age / PART_OF_AGE <= Duration::from_nanos(passed))
    }
}
