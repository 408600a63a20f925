//! A store to which everything is done at once, beside a model: batches of every kind, deletions, rules and holds, compactions,
//! backups and restores, closings, kills and power cuts, failing and full disks, with others who follow it meanwhile. After
//! each step, and more thoroughly after some, all that the store says is what the model says.

mod folding;
mod following;
mod history;
mod keeping;
mod looking;
mod recognizing;
mod stopping;
mod writing;

use super::chance::{Chance, Choices};
use super::operation::SYNC_FAILURES;
use super::world::{forget_derived, options};
use following::Following;
use history::{Batch, Said, Stand};
use keeping::Backup;
use looking::{Stands, Truth};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, verify_simulated};
use scorebook::{Error, ErrorKind, EventStore, Status, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

pub(crate) use stopping::Stopping;

/// A store, what was done to it, and who follows it.
pub(crate) struct Mixing {
    seed: u64,
    chance: Chance,
    disk: SimulatedDisk,
    store: Option<EventStore>,
    /// Another process that reads.
    beside: Option<EventStore>,
    batches: Vec<Batch>,
    /// What follows from them.
    stand: Stand,
    /// What was removed, for good.
    gone: BTreeSet<u64>,
    /// What a compaction may have removed of which nobody knows how far it came.
    may_go: BTreeSet<u64>,
    /// What it has streams begin with, where nobody knows whether it came that far.
    planned: Vec<Batch>,
    given: BTreeMap<u64, String>,
    /// Records that later ones make needless may have been removed.
    is_compacted: bool,
    is_restoring: bool,
    /// Nothing fails but what is told to.
    is_calm: bool,
    backups: Vec<Backup>,
    line: u64,
    following: Following,
    serial: u32,
    now: Timestamp,
    /// Something may fail.
    is_troubled: bool,
    /// What was done last, for whoever looks into a difference.
    told: VecDeque<String>,
    pub(crate) counts: Counts,
}

impl Drop for Mixing {
    #[expect(clippy::print_stdout, reason = "it tells how a difference came about")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "seed {}, {:?}, the last steps:\n{}",
                self.seed,
                self.counts,
                self.told.make_contiguous().join("\n")
            );
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) refused: u64,
    pub(crate) compactions: u64,
    pub(crate) removed: u64,
    pub(crate) backups: u64,
    pub(crate) restores: u64,
    pub(crate) crashes: u64,
    pub(crate) troubles: u64,
}

impl Mixing {
    pub(crate) fn new(seed: u64) -> Mixing {
        let disk = SimulatedDisk::new(seed);
        let now = Timestamp::from_nanos(1_800_000_000_000_000_000);
        disk.set_time(now);
        Mixing {
            seed,
            chance: Chance(seed),
            disk,
            store: None,
            beside: None,
            batches: Vec::new(),
            stand: Stand::new(),
            gone: BTreeSet::new(),
            may_go: BTreeSet::new(),
            planned: Vec::new(),
            is_calm: false,
            given: BTreeMap::new(),
            is_compacted: false,
            is_restoring: false,
            backups: Vec::new(),
            line: 0,
            following: Following::default(),
            serial: 0,
            now,
            is_troubled: false,
            told: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Takes so many steps.
    pub(crate) fn run(&mut self, steps: u64) {
        self.open(0);
        if self.chance.one_in(4) {
            self.import().expect("the store is empty");
        }
        for step in 0..steps {
            self.counts.steps += 1;
            if !self.is_calm && self.chance.one_in(16) {
                self.begin_trouble();
            }
            let what = self.chance.below(100);
            let begun = (self.batches.len(), self.is_troubled);
            let outcome = self.step(what);
            self.tell(format!("step {step} ({what}), behind batch {}, trouble: {}, {:?}", begun.0, begun.1, outcome));
            if self.is_troubled {
                self.end_trouble(outcome);
            } else if let Err(error) = outcome {
                panic!("step {step} ({what}) of seed {}: {error:?}\n{}", self.seed, self.disk.trace().join("\n"));
            }
            if step % 7 == 6 {
                self.check_all(&format!("seed {}, behind step {step} ({what})", self.seed));
            }
        }
        self.end(&format!("seed {}, at the end", self.seed));
    }

    fn end(&mut self, whence: &str) {
        self.check_all(whence);
        self.close_everything();
        let report = verify_simulated(&self.disk).expect("it can be read");
        let events = self.stand.events.iter().filter(|placed| !self.gone.contains(&placed.position)).count();
        assert!(report.is_sound() && report.events() == events as u64, "{whence}: {report:?}");
    }

    fn step(&mut self, what: usize) -> Result<(), Error> {
        match what {
            0..36 => self.write(),
            36..48 => self.decide(),
            48..58 => self.follow(),
            58..70 => self.consume(),
            70..76 => self.fold(),
            76..82 => self.compact(),
            82..85 => self.back_up(),
            85..87 if !self.is_troubled => {
                self.restore();
                Ok(())
            }
            87..89 => self.close(),
            89 => {
                self.die();
                Ok(())
            }
            90 => {
                self.lose_power();
                Ok(())
            }
            91 => {
                self.store().flush()?;
                self.all_synced();
                Ok(())
            }
            92..94 => {
                self.pass_time();
                self.store().keep_house();
                Ok(())
            }
            94..97 => self.look_beside(),
            97 if !self.is_troubled => {
                self.close_everything();
                forget_derived(&self.disk);
                self.open(self.batches.len());
                Ok(())
            }
            _ => {
                let whence = format!("seed {}, as it is", self.seed);
                if !self.is_troubled {
                    self.check(&whence);
                }
                Ok(())
            }
        }
    }

    fn tell(&mut self, what: String) {
        self.told.push_back(what);
        if 20 < self.told.len() {
            self.told.pop_front();
        }
    }

    fn store(&self) -> EventStore {
        self.store.clone().expect("it is open")
    }

    fn push(&mut self, batch: Batch) {
        self.stand.apply(&batch);
        self.batches.push(batch);
    }

    fn all_synced(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.said = Said::Synced);
    }

    fn least(&self, said: Said) -> usize {
        self.batches.iter().rposition(|batch| said <= batch.said).map_or(0, |last| last + 1)
    }

    fn stands(&self, stream: u8) -> Stands {
        let mut given = BTreeMap::new();
        let facts = Truth { stand: &self.stand, gone: &self.gone, given: &mut given }.facts();
        facts.streams[usize::from(stream)].0.clone()
    }

    fn check(&mut self, whence: &str) {
        let store = self.store();
        let mut truth = Truth { stand: &self.stand, gone: &self.gone, given: &mut self.given };
        truth.check(&store, &whence);
    }

    fn check_all(&mut self, whence: &str) {
        let store = self.store();
        let mut truth = Truth { stand: &self.stand, gone: &self.gone, given: &mut self.given };
        truth.check_all(&store, &mut self.chance, &whence);
    }

    /// Another process opens the store for reading only, or looks once more.
    fn look_beside(&mut self) -> Result<(), Error> {
        if self.is_troubled || self.batches.is_empty() {
            return Ok(());
        }
        self.store().flush()?;
        self.all_synced();
        self.store().keep_house();
        let beside = match self.beside.take() {
            Some(beside) if !self.chance.one_in(4) => beside,
            _ => EventStore::options().open_simulated_read_only(&self.disk)?,
        };
        let whence = format!("seed {}, beside", self.seed);
        let mut truth = Truth { stand: &self.stand, gone: &self.gone, given: &mut self.given };
        truth.check_beside(&beside, &whence);
        self.beside = Some(beside);
        Ok(())
    }

    fn close_everything(&mut self) {
        self.following.end();
        self.beside = None;
        if let Some(store) = self.store.take() {
            store.close().expect("nothing fails");
            self.all_synced();
            self.following.settle();
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        let store = self.store();
        if self.chance.one_in(4) && !self.is_troubled {
            store.reopen()?;
            return Ok(());
        }
        self.following.end();
        store.close()?;
        self.all_synced();
        self.following.settle();
        if !self.is_troubled {
            self.store = None;
            self.open(self.batches.len());
        }
        Ok(())
    }

    /// The process ends, and another opens the store.
    fn die(&mut self) {
        let least = self.least(Said::Written);
        let killed = self.disk.kill();
        self.go_on_with(killed, least);
    }

    /// The power goes, and some of what was not synced with it.
    fn lose_power(&mut self) {
        let least = self.least(Said::Synced);
        let choice = self.crash_choice();
        let crashed = self.disk.crash(&choice);
        self.go_on_with(crashed, least);
    }

    fn go_on_with(&mut self, disk: SimulatedDisk, least: usize) {
        self.counts.crashes += 1;
        self.following.end();
        self.following.crash();
        self.beside = None;
        // Whatever the old process still does happens on a disk that nobody looks at.
        self.store = None;
        self.disk = disk;
        self.disk.heal();
        self.disk.set_capacity(None);
        self.disk.set_time(self.now);
        self.is_troubled = false;
        let mut least = least;
        if self.chance.one_in(4) {
            // Once more, while it is opened; and now it is the power.
            least = least.min(self.least(Said::Synced));
            let again = self.disk.mutations() + 1 + self.chance.below(30) as u64;
            self.disk.stop_at(again);
            drop(options().open_simulated(&self.disk));
            let choice = self.crash_choice();
            self.disk = self.disk.crash(&choice);
        }
        self.open(least);
    }

    fn begin_trouble(&mut self) {
        self.counts.troubles += 1;
        self.is_troubled = true;
        match self.chance.below(4) {
            0 => {
                let used: usize = self.disk.contents().values().map(Vec::len).sum();
                let room = self.chance.below(3) * 20_000;
                self.disk.set_capacity(Some((used + room) as u64));
            }
            1 => {
                use DiskOperation as Disk;
                let operations =
                    [Disk::Sync, Disk::Sync, Disk::Write, Disk::Write, Disk::Read, Disk::Create, Disk::Remove];
                let operation = *self.chance.pick(&operations);
                let error = *self.chance.pick(&[io::ErrorKind::Other, io::ErrorKind::StorageFull]);
                let fault = DiskFault::new(operation, error).nth(1 + self.chance.below(8) as u64);
                self.disk.set_sync_failure(*self.chance.pick(SYNC_FAILURES));
                self.disk.fail(if self.chance.one_in(4) { fault.repeat() } else { fault });
            }
            _ => {
                let later = self.disk.mutations() + 1 + self.chance.below(60) as u64;
                self.disk.stop_at(later);
            }
        }
    }

    /// Whatever fails is over; what it has left is found out.
    fn end_trouble(&mut self, outcome: Result<(), Error>) {
        if !self.is_troubled {
            return;
        }
        let has_stopped = self.disk.has_stopped();
        if !has_stopped {
            self.disk.heal();
            self.disk.set_capacity(None);
        }
        self.is_troubled = false;
        let is_closed = self.store.as_ref().is_none_or(|store| store.status() != Status::Writing);
        let is_full = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Full);
        if !has_stopped && !is_closed && (outcome.is_ok() || is_full) && self.may_go.is_empty() {
            return;
        }
        match self.chance.below(3) {
            _ if has_stopped => self.lose_power(),
            0 => self.lose_power(),
            1 => {
                let store = self.store();
                self.following.end();
                self.following.crash();
                let least = self.least(Said::Synced);
                store.reopen().expect("nothing fails any more");
                self.recognize(least);
            }
            // What a failed sync dropped may be gone although it was written.
            _ => {
                let least = self.least(Said::Synced);
                let killed = self.disk.kill();
                self.go_on_with(killed, least);
            }
        }
    }
}
