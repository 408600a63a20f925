//! Compactions, backups and restores: what may go, and to where a history goes back.

use super::Mixing;
use super::history::{Batch, Deed, Placed, STREAMS, Said, Stand, name};
use super::looking::{Facts, Stands, Truth};
use crate::model::chance::Choices;
use scorebook::testing::{
    CrashChoice, DiskFault, DiskOperation, SimulatedDisk, backup_simulated, restore_simulated, verify_backup_simulated,
    verify_simulated,
};
use scorebook::{CompactionPlan, Error, ErrorKind, EventStore, Position, Timestamp, Until};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

/// With which versions streams begin by a plan: as a fact, which is not undone by another rule.
pub(super) fn planned_by(plan: &CompactionPlan, time: Timestamp) -> Batch {
    let begins = |stream: u8| {
        let (_, planned) = plan.streams().find(|(planned, _)| **planned == name(stream))?;
        Some(Deed::Truncate(stream, planned.begins_with()?.get()))
    };
    Batch { deeds: (0..STREAMS).filter_map(begins).collect(), key: None, said: Said::Synced, time }
}

/// A backup, and what it holds.
pub(super) struct Backup {
    disk: SimulatedDisk,
    /// Which history it is of: another one begins with every restore.
    line: u64,
    holds: Option<Held>,
    /// What it holds where the last attempt counts that was told to have failed.
    may_hold: Option<Held>,
}

#[derive(Clone)]
struct Held {
    batches: Vec<Batch>,
    gone: BTreeSet<u64>,
    given: BTreeMap<u64, String>,
    /// Records were removed that only later ones make needless.
    is_compacted: bool,
    /// What the consumer was done with.
    acked: BTreeSet<u64>,
}

impl Mixing {
    /// Compacts, with any options, perhaps only some of it, perhaps with something else done since the plan.
    pub(super) fn compact(&mut self) -> Result<(), Error> {
        let store = self.store();
        self.disk.set_time(self.now);
        let (is_forced, has_last) = (self.chance.one_in(5), self.chance.one_in(5));
        let is_thorough = self.chance.one_in(2);
        let mut compaction = store.compaction();
        compaction = if is_forced { compaction.beyond_consumers() } else { compaction };
        compaction = if has_last { compaction.with_last_events() } else { compaction };
        compaction = if is_thorough { compaction.thoroughly() } else { compaction };
        let plan = compaction.plan()?;
        self.all_synced();
        // Time goes on a little while it is looked at.
        let now = self.a_little_later();
        let may_go = self.stand.going(&self.gone, now, has_last);
        let before = (self.stand.rules.clone(), self.stand.holds.clone(), self.batches.len());
        if self.chance.one_in(6) {
            if self.chance.one_in(2) { self.decide()? } else { self.write()? }
        }
        let is_undisturbed = before.2 == self.batches.len();
        let has_other_rules = (&before.0, &before.1) != (&self.stand.rules, &self.stand.holds);
        let mut rounds = if self.chance.one_in(4) { self.chance.below(4) } else { usize::MAX };
        self.tell(format!(
            "compact: {is_forced} {has_last} {is_thorough}, {rounds}, {} of {may_go:?}",
            plan.events_going()
        ));
        self.may_go.extend(may_go);
        self.is_compacted = true;
        let planned = planned_by(&plan, self.now);
        self.check_planned(&planned);
        self.planned.push(planned);
        let compacted = plan.apply_while(|_| {
            rounds = rounds.saturating_sub(1);
            if rounds == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let compacted = match compacted {
            Err(error) if has_other_rules && error.kind() == ErrorKind::InvalidArgument => {
                self.may_go.clear();
                self.planned.clear();
                return Ok(());
            }
            compacted => compacted?,
        };
        self.all_synced();
        let begun = self.batches.len();
        for planned in std::mem::take(&mut self.planned) {
            if self.does_something(&planned) {
                self.push(planned);
            }
        }
        let is_said = begun == self.batches.len();
        if self.is_troubled {
            // What else has become of it is looked at when nothing fails any more.
            return Ok(());
        }
        let new = self.take_gone(&store);
        assert_eq!(new.len() as u64, compacted.events_removed(), "{plan:?}, {compacted:?}");
        assert!(new.len() as u64 <= plan.events_going(), "{plan:?}, {compacted:?}");
        if is_undisturbed && compacted.is_complete() {
            assert_eq!(compacted.events_removed(), plan.events_going(), "{plan:?}");
        }
        if !is_forced {
            self.following.check_seen(&new, &self.stand);
        }
        // To say with what streams begin may have taken the active segment to its end.
        let is_undisturbed = is_undisturbed && is_said;
        self.may_go.clear();
        self.counts.compactions += 1;
        self.counts.removed += new.len() as u64;
        if is_undisturbed && is_thorough && compacted.is_complete() {
            let again = compaction.plan()?;
            assert_eq!(again.events_going(), 0, "{again:?}");
        }
        Ok(())
    }

    /// Notes what is not there any more. All of it may have gone.
    fn take_gone(&mut self, store: &EventStore) -> BTreeSet<u64> {
        let there: BTreeSet<u64> =
            store.read_all().iter().map(|event| event.expect("an event").position().get()).collect();
        let is_missing = |position: &u64| !there.contains(position) && !self.gone.contains(position);
        let new: BTreeSet<u64> = self.stand.events.iter().map(|placed| placed.position).filter(is_missing).collect();
        let too_much: Vec<&u64> = new.difference(&self.may_go).collect();
        assert!(too_much.is_empty(), "{too_much:?} are gone");
        self.gone.extend(&new);
        new
    }

    /// Nothing that is kept is before what a stream is to begin with.
    fn check_planned(&self, planned: &Batch) {
        for deed in &planned.deeds {
            let Deed::Truncate(stream, first) = deed else { continue };
            let of = self.stand.of(*stream);
            let is_kept = |placed: &&Placed| {
                let may_go = self.gone.contains(&placed.position) || self.may_go.contains(&placed.position);
                (of.first..*first).contains(&placed.version) && !may_go
            };
            let kept: Vec<&Placed> = self.stand.ever(*stream).filter(is_kept).collect();
            assert!(kept.is_empty(), "stream {stream} is to begin with {first}, and nothing lets these go: {kept:?}");
        }
    }

    /// Whether a batch changes anything that can be told.
    pub(super) fn does_something(&self, batch: &Batch) -> bool {
        batch.deeds.iter().any(|deed| {
            matches!(deed, Deed::Truncate(stream, first)
                if self.stand.of(*stream).first < *first && !self.stand.of(*stream).is_finished)
        })
    }

    /// Takes a backup, into one there is or another one.
    pub(super) fn back_up(&mut self) -> Result<(), Error> {
        let store = self.store();
        let at = self.chance.below(3);
        if self.backups.len() <= at {
            let disk = SimulatedDisk::new(self.chance.next());
            self.backups.push(Backup { disk, line: self.line, holds: None, may_hold: None });
        }
        let at = at.min(self.backups.len() - 1);
        store.flush()?;
        self.all_synced();
        let held = Held {
            batches: self.batches.clone(),
            gone: self.gone.clone(),
            given: self.given.clone(),
            is_compacted: self.is_compacted,
            acked: self.following.acked.clone(),
        };
        let is_cut = self.chance.one_in(5);
        let disk = self.backups[at].disk.clone();
        if is_cut && self.chance.one_in(2) {
            disk.stop_at(disk.mutations() + 1 + self.chance.below(40) as u64);
        } else if is_cut {
            let operations = [DiskOperation::Write, DiskOperation::Sync, DiskOperation::Create, DiskOperation::Remove];
            let fault = DiskFault::new(*self.chance.pick(&operations), io::ErrorKind::Other);
            disk.fail(fault.nth(1 + self.chance.below(12) as u64));
        }
        let outcome = backup_simulated(&store, &disk);
        let has_stopped = disk.has_stopped();
        disk.heal();
        let choice = self.crash_choice();
        let backup = &mut self.backups[at];
        if has_stopped {
            backup.disk = disk.crash(&choice);
        }
        match outcome {
            Ok(report) if !has_stopped => {
                assert_eq!(report.info().position().get(), self.stand.head, "all of it is durable");
                assert_eq!(verify_backup_simulated(&backup.disk).expect("it is sound"), *report.info());
                (backup.holds, backup.may_hold, backup.line) = (Some(held), None, self.line);
                self.counts.backups += 1;
                Ok(())
            }
            // It holds what this store does not.
            Err(error) if error.kind() == ErrorKind::InvalidArgument && backup.line != self.line => Ok(()),
            Ok(_) | Err(_) if is_cut => {
                backup.may_hold = Some(held);
                if backup.line != self.line {
                    // Of which history it is, nobody knows.
                    self.backups.remove(at);
                }
                Ok(())
            }
            Ok(_) => unreachable!("its disk has not stopped"),
            Err(error) => {
                // The disk of the store may be in trouble; the backup before counts.
                if backup.holds.is_none() {
                    self.backups.remove(at);
                }
                Err(error)
            }
        }
    }

    /// Goes on in what is restored from a backup, up to anywhere.
    pub(super) fn restore(&mut self) {
        let held: Vec<usize> = (0..self.backups.len()).filter(|at| self.backups[*at].holds.is_some()).collect();
        if held.is_empty() {
            return;
        }
        let backup = &self.backups[*self.chance.pick(&held)];
        let Some(holds) = backup.holds.clone() else {
            return;
        };
        let all = backup.may_hold.clone().unwrap_or_else(|| holds.clone());
        let (source, of_holds) = (backup.disk.clone(), Stand::behind(&holds.batches));
        let until = match self.chance.below(8) {
            0..3 => Until::Everything,
            3 if !of_holds.events.is_empty() => Until::Time(self.chance.pick(&of_holds.events).time),
            4 => Until::Position(Position::new(self.chance.below(of_holds.head as usize + 1) as u64)),
            _ => Until::Position(Position::new(
                of_holds.head - self.chance.below(20.min(of_holds.head as usize + 1)) as u64,
            )),
        };
        let until = match until {
            // What is left of a batch of which events were removed comes alone: where it would be torn it is not asked for.
            Until::Position(last) if holds.is_compacted || all.is_compacted => {
                let heads = (0..=all.batches.len()).rev().map(|count| Stand::behind(&all.batches[..count]).head);
                Until::Position(heads.map(Position::new).find(|head| *head <= last).unwrap_or(Position::BEGINNING))
            }
            until => until,
        };
        let is_within = |batch: &Batch, stand: &Stand| match until {
            Until::Position(last) => stand.head <= last.get() || batch.events().next().is_none(),
            Until::Time(last) => batch.time <= last || batch.events().next().is_none(),
            _ => true,
        };
        let mut stand = Stand::new();
        let batches = all.batches.iter().take_while(|batch| {
            stand.apply(batch);
            is_within(batch, &stand)
        });
        let most = batches.count();
        let least = match until {
            // What is said at the same time as the event may be before or behind it.
            Until::Time(last) => {
                let is_early = |batch: &&Batch| batch.events().next().is_none() || batch.time <= last;
                let upto = holds.batches.iter().take_while(is_early).count();
                // Where all events of a batch were removed, nothing tells any more that what was said before came before.
                let is_left = |count: &usize| {
                    let before = Stand::behind(&holds.batches[..count - 1]).head;
                    let is_there = |position: &u64| !holds.gone.contains(position) && !all.gone.contains(position);
                    let stand = Stand::behind(&holds.batches[..*count]);
                    stand.events.iter().any(|placed| before < placed.position && is_there(&placed.position))
                };
                (1..=upto).rev().find(is_left).unwrap_or(0)
            }
            Until::Everything => holds.batches.len(),
            _ => most,
        };
        let target = SimulatedDisk::new(self.chance.next());
        target.set_time(self.now);
        self.tell(format!("restore: {until:?}, {least} to {most} batches, compacted: {}", holds.is_compacted));
        self.tell(format!(
            "{:?}",
            all.batches.iter().map(|b| (b.time, b.said, b.events().count(), b.deeds.len())).collect::<Vec<_>>()
        ));
        let report = restore_simulated(&source, &target, until).unwrap_or_else(|error| {
            panic!(
                "{until:?}: {error:?}\n{}\n{:?} {:?}",
                target.trace().join("\n"),
                target.file_names(),
                source.file_names()
            )
        });
        self.close_everything();
        self.disk = target;
        self.line = self.chance.next();
        self.batches = all.batches[..most].to_vec();
        self.is_compacted = holds.is_compacted || all.is_compacted;
        self.gone = holds.gone;
        self.may_go = all.gone;
        self.given = holds.given;
        self.counts.restores += 1;
        let report_soundness = verify_simulated(&self.disk).expect("it can be read");
        assert!(report_soundness.is_sound(), "{until:?}: {report_soundness:?}");
        self.following.go_back(all.acked);
        self.is_restoring = true;
        self.open(least);
        self.is_restoring = false;
        assert_eq!(report.position().get(), self.stand.head, "{until:?}");
    }

    /// What a store says otherwise that was restored from a backup of which records were removed: earlier ones of what is
    /// said of a stream, and events with which all was gone that told of their stream, or of the end of the log.
    pub(super) fn reconcile(&self, stand: &Stand, missing: &BTreeSet<u64>, facts: &Facts) -> Option<Vec<Deed>> {
        let mut deeds = Vec::new();
        if facts.head < stand.head {
            let behind = stand.events.iter().filter(|placed| facts.head < placed.position);
            behind.clone().all(|placed| missing.contains(&placed.position)).then_some(())?;
            deeds.push(Deed::Head(facts.head));
        }
        let mut stand = stand.clone();
        let batch = |deeds: Vec<Deed>| Batch { deeds, key: None, said: Said::Synced, time: self.now };
        stand.apply(&batch(deeds.clone()));
        let mut given = BTreeMap::new();
        let expected = Truth { stand: &stand, gone: missing, given: &mut given }.facts();
        for (stream, (said, expected)) in (0..STREAMS).zip(facts.streams.iter().zip(&expected.streams)) {
            if said == expected {
                continue;
            }
            let (of, (stands, version, text)) = (stand.of(stream), said);
            let least = stand.ever(stream).filter(|placed| !missing.contains(&placed.position));
            let least = least.map(|placed| placed.version).max().unwrap_or(0);
            let is_earlier =
                text.is_none() || text.map(|(revision, _)| revision) <= of.said.map(|(revision, _)| revision);
            if *version < least || of.version < *version || !is_earlier {
                return None;
            }
            let first = match stands {
                Stands::Open(first) if of.deleted == 0 && *first <= of.first => *first,
                Stands::Missing => 1,
                _ => of.first,
            };
            let deleted = of.deleted.min(*version);
            let found =
                super::history::Of { version: *version, first, said: *text, deleted, is_finished: of.is_finished };
            deeds.push(Deed::Found(stream, found));
        }
        stand.apply(&batch(deeds.clone()));
        let expected = Truth { stand: &stand, gone: missing, given: &mut given }.facts();
        (expected == *facts).then_some(deeds)
    }

    pub(super) fn a_little_later(&self) -> Timestamp {
        Timestamp::from_nanos(self.now.nanos() + 1_000_000_000)
    }

    /// Time passes.
    pub(super) fn pass_time(&mut self) {
        // No event becomes too old between two looks at it.
        let passed = Duration::from_millis(self.chance.below(600_000) as u64) + Duration::from_micros(500);
        self.now = Timestamp::from_nanos(self.now.nanos() + passed.as_nanos() as i64);
        self.disk.set_time(self.now);
    }

    pub(super) fn crash_choice(&mut self) -> CrashChoice {
        match self.chance.below(4) {
            0 => CrashChoice::LoseAll,
            1 => CrashChoice::KeepAll,
            _ => CrashChoice::Seeded(self.chance.next()),
        }
    }
}
