//! Finding out what there is after an opening: which beginning of what was done, and what of it a compaction has removed.

use super::Mixing;
use super::history::{Batch, Deed, Said, Stand, name};
use super::looking::{Facts, Truth};
use crate::model::world::options;
use scorebook::{EventStore, Position, Timestamp, Version};
use std::collections::{BTreeMap, BTreeSet};

impl Mixing {
    /// Opens the store, and finds out what there is: so many batches at least.
    pub(super) fn open(&mut self, least: usize) {
        let store = options().open_simulated(&self.disk);
        let store = store
            .unwrap_or_else(|error| panic!("seed {}: opening: {error:?}\n{}", self.seed, self.disk.trace().join("\n")));
        assert_eq!(store.recovery_report().damage(), [], "seed {}: a crash is no damage", self.seed);
        self.store = Some(store);
        self.recognize(least);
    }

    /// A beginning of what was done is there, whole batches only; what may have been removed by a compaction that was
    /// interrupted is or is not.
    pub(super) fn recognize(&mut self, least: usize) {
        let store = self.store();
        let there: BTreeSet<u64> =
            store.read_all().iter().map(|event| event.expect("an event").position().get()).collect();
        let facts = Facts::of(&store).expect("nothing fails");
        let mut tried = Vec::new();
        self.resolve_planned(&store, least, (&there, &facts));
        let counts = || (least..=self.batches.len()).rev();
        let exactly = counts().map(|count| (count, false));
        // Where records may have been removed, something may look otherwise.
        let about = counts().filter(|_| self.is_restoring && self.is_compacted).map(|count| (count, true));
        for (count, is_lenient) in exactly.chain(about).collect::<Vec<_>>() {
            match self.resemble(Stand::behind(&self.batches[..count]), &there, &facts, is_lenient) {
                Ok((stand, missing, found)) => {
                    self.batches.truncate(count);
                    (self.stand, self.gone) = (stand, missing);
                    if !found.is_empty() {
                        self.push(Batch { deeds: found, key: None, said: Said::Synced, time: self.now });
                    }
                    // Where it ends sooner, the positions behind are given again.
                    let head = self.stand.head;
                    self.gone.retain(|position| *position <= head);
                    self.given.retain(|position, _| *position <= head);
                    self.following.cut(head);
                    self.may_go.clear();
                    self.learn_times(&store);
                    self.all_synced();
                    let whence = format!("seed {}, opened", self.seed);
                    self.check(&whence);
                    return;
                }
                Err(difference) => tried.push(format!("{count} batches: {difference}")),
            }
        }
        panic!("seed {}: {least} batches at least:\n{}", self.seed, tried.join("\n"));
    }

    /// Whether so many batches are there: what follows from them, and what is missing.
    fn resemble(
        &self,
        stand: Stand,
        there: &BTreeSet<u64>,
        facts: &Facts,
        is_lenient: bool,
    ) -> Result<(Stand, BTreeSet<u64>, Vec<Deed>), String> {
        let ever: BTreeSet<u64> = stand.events.iter().map(|placed| placed.position).collect();
        let missing: BTreeSet<u64> = ever.difference(there).copied().collect();
        if let Some(unknown) = there.difference(&ever).next() {
            return Err(format!("{unknown} is there"));
        }
        if let Some(back) = self.gone.iter().find(|position| there.contains(position)) {
            return Err(format!("{back} was removed, and is there"));
        }
        if let Some(lost) = missing.iter().find(|at| !self.gone.contains(at) && !self.may_go.contains(at)) {
            return Err(format!("{lost} is missing"));
        }
        let mut given = BTreeMap::new();
        let expected = Truth { stand: &stand, gone: &missing, given: &mut given }.facts();
        if *facts == expected {
            return Ok((stand, missing, Vec::new()));
        }
        let apart = format!("{facts:?}, and not {expected:?}");
        if is_lenient && facts.rules == expected.rules && facts.holds == expected.holds {
            let found = self.reconcile(&stand, &missing, facts).ok_or(apart)?;
            return Ok((stand, missing, found));
        }
        Err(apart)
    }

    /// Whether compactions that were interrupted had streams begin later: each all of them or none, behind everything else.
    fn resolve_planned(&mut self, store: &EventStore, least: usize, (there, facts): (&BTreeSet<u64>, &Facts)) {
        let planned = std::mem::take(&mut self.planned);
        let masks = 0..1_usize << planned.len();
        let of_mask = |mask: usize| (0..planned.len()).filter(move |at| mask >> at & 1 == 1).map(|at| &planned[at]);
        let fits_behind = |count: usize| {
            let chosen = masks.clone().map(|mask| of_mask(mask).collect::<Vec<&Batch>>());
            let fits = chosen.filter(|chosen| {
                let stand = Stand::behind(self.batches[..count].iter().chain(chosen.iter().copied()));
                self.resemble(stand, there, facts, false).is_ok()
            });
            fits.collect::<Vec<_>>()
        };
        // What came last may be lost to the crash before: the next compaction was planned without it.
        let mut behind = (least..=self.batches.len()).rev().map(|count| (count, fits_behind(count)));
        let Some((count, fits)) = behind.find(|(_, fits)| !fits.is_empty()) else { return };
        let Some(chosen) = fits.iter().max_by_key(|chosen| chosen.len()) else { return };
        for deed in chosen.iter().filter(|_| 1 < fits.len()).flat_map(|batch| &batch.deeds) {
            // Nothing tells. From here on it is so.
            if let Deed::Truncate(stream, first) = deed
                && !self.stand.of(*stream).is_finished
            {
                store.truncate_before(&name(*stream), Version::new(*first)).wait().expect("nothing fails");
            }
        }
        let chosen: Vec<Batch> = chosen.iter().map(|batch| (*batch).clone()).collect();
        if !chosen.is_empty() {
            self.batches.truncate(count);
            self.stand = Stand::behind(&self.batches);
        }
        chosen.into_iter().for_each(|batch| self.push(batch));
    }

    /// The times of batches of which nobody was told.
    fn learn_times(&mut self, store: &EventStore) {
        if self.batches.iter().all(|batch| batch.time != Timestamp::EPOCH) {
            return;
        }
        let mut head = 0;
        for batch in &mut self.batches {
            let mut stand = Stand::new();
            stand.head = head;
            stand.apply(batch);
            head = stand.head;
            if batch.time == Timestamp::EPOCH {
                let event = store.event_at(Position::new(head));
                batch.time = event.map_or(self.now, |event| event.time());
            }
        }
        self.stand = Stand::behind(&self.batches);
    }
}
