//! What keeps a store small, and what is decided of it, stopped at every operation that changes the disk: what a power cut or a
//! kill may leave there is opened and compared, and so is what a second one leaves while that is done.

use super::Mixing;
use super::history::{Said, Stand};
use super::keeping::planned_by;
use crate::model::chance::{Chance, Choices};
use crate::model::world::options;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{CompactionPlan, Error};
use std::collections::BTreeSet;

/// How much is done before, and of what is left how many states are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopping {
    /// Steps of any kind before.
    pub(crate) steps: u64,
    /// One in so many operations is stopped at.
    pub(crate) stop_one_in: usize,
    /// So many states by seed, besides the extremes.
    pub(crate) seeded: usize,
    /// Of one in so many of them, the next opening and compaction is stopped, too,
    pub(crate) deep_one_in: usize,
    /// at one in so many operations.
    pub(crate) deep_stop_one_in: usize,
}

impl Stopping {
    pub(crate) const FULL: Stopping =
        Stopping { steps: 80, stop_one_in: 1, seeded: 4, deep_one_in: 8, deep_stop_one_in: 4 };

    /// A small part of that.
    pub(crate) const SAMPLE: Stopping =
        Stopping { steps: 60, stop_one_in: 6, seeded: 1, deep_one_in: 12, deep_stop_one_in: 20 };

    /// Makes a history by a seed, and stops what comes behind it everywhere. How many states were looked at.
    pub(crate) fn everywhere(self, seed: u64) -> u64 {
        let mut history = Mixing::new(seed);
        history.is_calm = true;
        history.run(self.steps);
        let mut chance = Chance(seed);
        let (mut states, mut stop_at) = (0, 0);
        loop {
            stop_at += 1 + chance.below(self.stop_one_in * 2 - 1) as u64;
            let mut begun = history.on(history.disk.kill());
            begun.open(begun.batches.len());
            begun.disk.stop_at(begun.disk.mutations() + stop_at);
            begun.is_troubled = true;
            // Where the power goes, this is an error.
            let _ = begun.keep();
            let seeded = (0..self.seeded).map(|_| CrashChoice::Seeded(chance.next())).collect::<Vec<_>>();
            for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll].into_iter().chain(seeded) {
                let whence = format!("seed {seed}, stopped at operation {stop_at}, {choice:?}");
                let (crashed, least) = (begun.disk.crash(&choice), begun.least(Said::Synced));
                if chance.one_in(self.deep_one_in) {
                    states += self.stop_again(&begun, &crashed, least, &whence, &mut chance);
                }
                begun.on(crashed).survive(least, &whence);
                states += 1;
            }
            begun.on(begun.disk.kill()).survive(begun.least(Said::Written), "killed");
            states += 1;
            if !begun.disk.has_stopped() {
                return states;
            }
        }
    }

    /// Stops the opening of what a crash has left, and a compaction behind it.
    fn stop_again(
        self,
        begun: &Mixing,
        crashed: &SimulatedDisk,
        least: usize,
        whence: &str,
        chance: &mut Chance,
    ) -> u64 {
        let (mut states, mut stop_at) = (0, 0);
        loop {
            stop_at += 1 + chance.below(self.deep_stop_one_in * 2 - 1) as u64;
            let disk = crashed.kill();
            disk.stop_at(disk.mutations() + stop_at);
            let planned = compact_untidily(&disk);
            let choice = [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(chance.next())];
            let choice = chance.pick(&choice).clone();
            let whence = format!("{whence}, then at operation {stop_at}, {choice:?}");
            let mut again = begun.on(disk.crash(&choice));
            again.may_go.extend(begun.may_all_go(least));
            again.planned.extend(planned.map(|plan| planned_by(&plan, begun.now)));
            again.survive(least, &whence);
            states += 1;
            if !disk.has_stopped() {
                return states;
            }
        }
    }
}

impl Mixing {
    /// The same history on another disk, with nobody who follows.
    fn on(&self, disk: SimulatedDisk) -> Mixing {
        disk.set_time(self.now);
        let mut on = Mixing::new(self.seed);
        on.disk = disk;
        on.chance = self.chance.clone();
        (on.batches, on.stand) = (self.batches.clone(), self.stand.clone());
        (on.gone, on.may_go, on.planned) = (self.gone.clone(), self.may_go.clone(), self.planned.clone());
        (on.given, on.is_compacted) = (self.given.clone(), self.is_compacted);
        (on.serial, on.now, on.is_calm) = (self.serial, self.now, true);
        on
    }

    /// Decides some things, and removes what may go by then.
    fn keep(&mut self) -> Result<(), Error> {
        for _ in 0..3 {
            self.decide()?;
        }
        self.write()?;
        self.compact()?;
        self.write()?;
        self.decide()?;
        let store = self.store();
        store.keep_house();
        store.close()?;
        self.all_synced();
        Ok(())
    }

    /// What a compaction may remove, however much is there of what nobody was told.
    fn may_all_go(&self, least: usize) -> BTreeSet<u64> {
        let counts = least..=self.batches.len();
        let going = |count| {
            let planned = self.planned.iter().filter(|_| count == self.batches.len());
            let stands =
                [Stand::behind(&self.batches[..count]), Stand::behind(self.batches[..count].iter().chain(planned))];
            stands.map(|stand| stand.going(&self.gone, self.a_little_later(), false))
        };
        counts.flat_map(going).flatten().collect()
    }

    /// Opens what is left, and goes on in it.
    fn survive(&mut self, least: usize, whence: &str) {
        self.tell(whence.to_owned());
        self.open(least);
        self.disk.set_capacity(None);
        self.write()
            .and_then(|()| self.compact())
            .and_then(|()| self.write())
            .unwrap_or_else(|error| panic!("{whence}: {error:?}"));
        self.check(whence);
        self.end(whence);
    }
}

/// Opens a store, compacts it, and does not close it. The plan, if it came that far.
fn compact_untidily(disk: &SimulatedDisk) -> Option<CompactionPlan> {
    let store = options().open_simulated(disk).ok()?;
    let plan = store.compaction().thoroughly().plan().ok();
    let _ = plan.as_ref().map(CompactionPlan::apply);
    std::mem::forget(store);
    plan
}
