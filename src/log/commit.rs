//! Group commit: a thread that waits for its own answer leads if nobody does, and writes and syncs all that is staged.
//!
//! ```text
//! wait ──► answered? ──► done
//!      ──► nobody leads and something is staged ──► lead: write, sync, publish, pass the lead on, answer
//!      ──► otherwise sleep, until answered or called to lead
//! ```
//!
//! One sync is in flight at a time. One thread alone pays one write and one sync and no switch of threads.

use super::group::{Answer, Entry, Group, Published};
use super::recovery::Tally;
use super::ticket::{Answers, Outcome, Ticket, wake};
use super::waiter::Calls;
use super::{Core, Lead, Log};
use crate::error::{AppendError, Error, ErrorKind};
use crate::mutant::Mutant;
use crate::observe::{CommittedGroup, spans};
use crate::options::Durability;
use crate::position::{Place, Position};
use crate::segment::batches_end;
use crate::storage::LatchedFile;
use crate::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A buffer larger than this is not kept for the next group.
const SPARE_BYTES_MAX: usize = 8 * 1024 * 1024;

impl Log {
    /// Waits for an answer, leading where nobody else does.
    pub(crate) fn wait(&self, ticket: &Ticket) -> Outcome {
        self.wait_for(ticket, None).expect("without a limit there is an answer")
    }

    /// The same for at most as long as given; `None` when the time is over. A sync that has begun is not cut short, and
    /// what is staged is committed although nobody waits any more.
    pub(crate) fn wait_for(&self, ticket: &Ticket, limit: Option<Duration>) -> Option<Outcome> {
        let begun = limit.map(|_| self.storage.elapsed());
        loop {
            let mut core = self.core.lock();
            if ticket.is_done() {
                drop(core);
                return Some(ticket.take().unwrap_or_else(|| Err(AppendError::Store(taken()))));
            }
            let left = match (limit, begun) {
                (Some(limit), Some(begun)) => {
                    let left = limit.saturating_sub(self.storage.elapsed().saturating_sub(begun));
                    if left.is_zero() {
                        drop(core);
                        self.demand();
                        return ticket.take();
                    }
                    Some(left)
                }
                _ => None,
            };
            if !core.is_led && !core.groups.is_empty() {
                core.is_led = true;
                self.lead(core, Some(ticket));
                continue;
            }
            ticket.expect_sleep();
            drop(core);
            ticket.sleep(left);
        }
    }

    /// The answer for a task; while there is none, the store's own threads see to it that there will be.
    pub(crate) fn poll(&self, ticket: &Ticket, context: &mut Context<'_>) -> Poll<Outcome> {
        match ticket.poll(context) {
            Poll::Ready(outcome) => Poll::Ready(outcome.unwrap_or_else(|| Err(AppendError::Store(taken())))),
            Poll::Pending => {
                self.demand();
                // Without threads of its own the store does the work here; the waker was set and is called.
                if ticket.is_done() { self.poll(ticket, context) } else { Poll::Pending }
            }
        }
    }

    /// Sees to it that what is staged is committed although nobody waits for it on a thread.
    pub(crate) fn demand(&self) {
        if !self.storage.has_threads() {
            self.lead_if_free();
            return;
        }
        let mut core = self.core.lock();
        if !core.groups.is_empty() && !core.is_demanded {
            core.is_demanded = true;
            drop(core);
            self.bell.ring();
        }
    }

    /// Commits what is staged, unless somebody does.
    pub(crate) fn lead_if_free(&self) {
        let mut core = self.core.lock();
        // Whoever leads now may stop before what is staged behind it, and must know that it was asked for.
        core.is_demanded = core.is_led && !core.groups.is_empty();
        if !core.is_led && !core.groups.is_empty() {
            core.is_led = true;
            self.lead(core, None);
        }
    }

    /// Commits groups until `own` is answered, or those that are there by now, then passes the lead on.
    fn lead<'a>(&'a self, mut core: MutexGuard<'a, Core>, own: Option<&Ticket>) {
        let mut left = if own.is_some() { usize::MAX } else { core.groups.len() };
        let mut guard = LeadGuard { log: self, group: None, wakers: Vec::new() };
        let (mut wakers, mut told) = (Vec::new(), Vec::new());
        while let Some(group) = core.groups.pop_front() {
            core.staged_bytes -= group.bytes.len();
            drop(core);
            let (answers, buffer) = self.commit(guard.group.insert(group), &mut told);
            left -= 1;
            core = self.core.lock();
            if core.spare.capacity() < buffer.capacity() && buffer.capacity() <= SPARE_BYTES_MAX {
                core.spare = buffer;
            }
            if own.is_some_and(|own| answers.hold(own)) || left == 0 || core.groups.is_empty() {
                // Whoever leads next begins before this thread has woken those whose answers are ready.
                wakers.append(&mut guard.wakers);
                self.pass_on(core, guard);
                answers.settle(&mut wakers);
                break;
            }
            drop(core);
            answers.settle(&mut guard.wakers);
            core = self.core.lock();
        }
        self.after_commit();
        wake(wakers);
        self.observer.tell_committed(&told, self.storage.elapsed());
        let is_demanded = !self.storage.has_threads() && self.core.lock().is_demanded;
        if is_demanded {
            self.lead_if_free();
        }
    }

    /// Gives up the lead, and calls a thread to take it that waits for something staged.
    fn pass_on(&self, mut core: MutexGuard<'_, Core>, guard: LeadGuard<'_>) {
        core.is_led = false;
        let has_heir = match core.groups.front() {
            Some(group) => group.entries.iter().any(|entry| entry.ticket.call_to_lead()),
            None => {
                // Nothing is left that was asked for; the next demand must ring again.
                core.is_demanded = false;
                true
            }
        };
        let is_left = !has_heir && core.is_demanded;
        drop(core);
        guard.disarm();
        if is_left && self.storage.has_threads() {
            self.bell.ring();
        }
    }

    /// Writes a group and makes it visible. The answers are ready when this returns, and not given yet. Gives back the
    /// buffer too, empty, and what is to be told of when everybody has an answer.
    fn commit(&self, group: &mut Group, told: &mut Vec<CommittedGroup>) -> (Answers, Vec<u8>) {
        if Mutant::AnswersBeforeWriting.is_on() {
            answer_early(group);
        }
        let place = Place { segment: group.segment.sequence(), offset: group.offset };
        let _span = spans::commit(&self.observer, place, group.batches, group.bytes.len());
        self.observer.begins_group(group.since);
        let mut lead = self.lead.lock();
        let written = self.write(&mut lead, group);
        match written {
            Ok(durability) => {
                let calls = self.publish(&lead, group);
                let committed = self.note_committed(group);
                if Mutant::TellsBeforeItAnswers.is_on() {
                    self.observer.tell_committed(&[committed], self.storage.elapsed());
                }
                drop(lead);
                if cfg!(feature = "metrics") {
                    told.push(committed);
                }
                let mut answers = Answers::default();
                answers.call(calls);
                if durability == Durability::Synced && !Mutant::CallsNobodyForASync.is_on() {
                    // What was only written before is durable as well by now, and may be all that somebody waits for.
                    answers.call(self.publisher.became_durable());
                }
                for entry in group.entries.drain(..) {
                    let (ticket, outcome) = entry.answered(durability);
                    answers.push(ticket, outcome);
                }
                let mut buffer = std::mem::take(&mut group.bytes);
                buffer.clear();
                (answers, buffer)
            }
            Err(error) => {
                drop(lead);
                self.observer.ends_group();
                (self.fail(group, &error), Vec::new())
            }
        }
    }

    /// Counts a group that became visible. By whoever leads.
    fn note_committed(&self, group: &Group) -> CommittedGroup {
        let now = self.storage.elapsed();
        let (appends, events) = group.appends();
        let bytes = group.bytes.len() as u64;
        let waited = now.saturating_sub(group.since);
        let committed = CommittedGroup { appends, events, bytes, waited };
        self.observer.committed(&committed, now);
        self.observer.ends_group();
        committed
    }

    /// Writes a group and syncs it if it must be; the durability that was reached.
    fn write(&self, lead: &mut Lead, group: &Group) -> Result<Durability, Error> {
        if group.is_start {
            // IMPORTANT: the start record is handed to the system only after everything before it is durable.
            if !Mutant::StartsBeforeThePredecessorIsSynced.is_on() {
                self.sync_written(lead)?;
            }
            let _span = spans::seal(&self.observer, lead.written.segment, group.segment.sequence());
            let sealed = lead.segment.replace(group.segment.clone());
            let sealed_file = lead.file.replace(group.file.clone());
            let tally = lead.tally.replace(Tally::default());
            let sealed_end = lead.written;
            let sealed_position = lead.last_position;
            let seal = || match (&sealed, &sealed_file, &tally) {
                (Some(segment), Some(file), Some(tally)) if segment.sequence() == sealed_end.segment => {
                    let footer = tally.footer(sealed_end.offset, sealed_position).encode(segment.salt);
                    file.write_at(&footer, batches_end(segment.preamble.size).into())
                }
                _ => Ok(()),
            };
            if Mutant::SealsBeforeTheStartIsSynced.is_on() {
                seal()?;
            }
            self.write_bytes(lead, group)?;
            if !Mutant::DoesNotSyncAStart.is_on() {
                self.sync_written(lead).map_err(unknown)?;
            }
            // The footer says that the successor's start record is durable, so it comes after that sync.
            seal().map_err(unknown)?;
            if sealed.is_some() {
                self.observer.sealed();
            }
            self.remove_passed_by(lead)?;
            return Ok(Durability::Synced);
        }
        self.write_bytes(lead, group)?;
        if Mutant::AcknowledgesBeforeSyncing.is_on() {
            return Ok(Durability::Synced);
        }
        if group.must_sync {
            self.sync_written(lead).map_err(unknown)?;
        }
        Ok(if lead.has_unsynced { Durability::Written } else { Durability::Synced })
    }

    fn remove_passed_by(&self, lead: &mut Lead) -> Result<(), Error> {
        let mut passed_by = std::mem::take(&mut lead.passed_by);
        let removed = super::copy::remove_files(&*self.storage, &mut passed_by);
        removed.map_err(|error| self.latch.trip("syncing the log's directory", &error))
    }

    fn write_bytes(&self, lead: &mut Lead, group: &Group) -> Result<(), Error> {
        if !group.bytes.is_empty() {
            // After a failure groups no longer follow one another: closing stages a last one, which is refused here.
            self.latch.check()?;
            debug_assert!(group.is_start || lead.written.offset == group.offset, "groups follow one another");
            group.file.write_at(&group.bytes, u64::from(group.offset))?;
            let events = group.entries.iter().map(|entry| entry.events.len() as u64).sum();
            if let Some(tally) = &mut lead.tally {
                tally.add(&group.bytes, events, group.batches);
            }
            let end = group.offset + group.bytes.len() as u32;
            lead.written = Place { segment: group.segment.sequence(), offset: end };
            lead.last_position = group.last_position;
            lead.has_unsynced = true;
        }
        Ok(())
    }

    /// Syncs what was written, and moves the durable end there.
    fn sync_written(&self, lead: &mut Lead) -> Result<(), Error> {
        if !lead.has_unsynced {
            return Ok(());
        }
        let file = lead.file.as_ref().expect("something was written");
        let (took, now) = self.timed_sync(file, lead.written.segment)?;
        lead.has_unsynced = false;
        self.observer.synced(lead.written.segment, took, now);
        self.move_durable_end(lead.written, lead.last_position, now);
        Ok(())
    }

    /// Syncs a segment; how long that took, and when it ended.
    fn timed_sync(&self, file: &LatchedFile, segment: u32) -> Result<(Duration, Duration), Error> {
        let _span = spans::sync(&self.observer, segment);
        let begun = self.storage.elapsed();
        file.sync()?;
        let now = self.storage.elapsed();
        Ok((now.saturating_sub(begun), now))
    }

    fn publish(&self, lead: &Lead, group: &Group) -> Calls {
        for mark in group.entries.iter().filter_map(|entry| entry.mark) {
            group.segment.mark(mark);
        }
        group.segment.set_end(group.offset + group.bytes.len() as u32);
        // The events become visible first and the ends after them: whoever sees an end finds what it speaks of.
        let calls = self.publisher.publish(&Published::new(group));
        let mut ends = self.ends.lock();
        ends.visible = lead.written;
        ends.visible_position = group.last_position;
        calls
    }

    /// Answers everybody after a failure: of the group at hand the outcome is unknown; what stands behind it was never
    /// handed to the system.
    fn fail(&self, group: &mut Group, error: &Error) -> Answers {
        let unknown = match error.kind() {
            ErrorKind::OutcomeUnknown => error.clone(),
            kind => Error::with_source(kind, "committing a batch", error.clone()),
        };
        match unknown.kind() {
            ErrorKind::OutcomeUnknown => self.observer.lost_track_of(group.appends().0),
            _ => self.observer.refused(group.appends().0),
        }
        let mut answers = failed(group, &unknown);
        let poisoned = self.latch.check().err().unwrap_or(unknown);
        let mut core = self.core.lock();
        let behind: Vec<Group> = core.groups.drain(..).collect();
        core.staged_bytes = 0;
        drop(core);
        for mut group in behind {
            self.observer.refused(group.appends().0);
            answers.append(failed(&mut group, &poisoned));
        }
        answers
    }

    /// What a log without threads of its own does in between.
    fn after_commit(&self) {
        if self.storage.has_threads() {
            self.bell.nudge();
        } else {
            self.update_live();
            self.make_room_ahead();
        }
    }

    /// Syncs what was written and not synced, without taking the lead: others go on writing behind it.
    ///
    /// The durable end moves only to what had been written before the sync began, and only if no sync has failed meanwhile.
    pub(crate) fn sync_behind(&self) -> Result<(), Error> {
        let (file, written, last_position) = {
            let lead = self.lead.lock();
            match &lead.file {
                Some(file) if lead.has_unsynced => (file.clone(), lead.written, lead.last_position),
                _ => return Ok(()),
            }
        };
        let (took, now) = self.timed_sync(&file, written.segment)?;
        let mut lead = self.lead.lock();
        self.observer.synced(written.segment, took, now);
        // Whoever led meanwhile may have synced more, and gone on to another segment.
        if self.ends.lock().durable < written {
            self.move_durable_end(written, last_position, now);
        }
        lead.has_unsynced &= lead.written != written;
        drop(lead);
        wake(self.publisher.became_durable().make());
        Ok(())
    }

    fn move_durable_end(&self, durable: Place, position: Position, now: Duration) {
        if Mutant::NeverMovesTheDurableEnd.is_on() {
            return;
        }
        let mut ends = self.ends.lock();
        ends.durable = durable;
        ends.durable_position = position;
        drop(ends);
        let mut core = self.core.lock();
        core.durable = durable;
        core.last_sync = now;
    }
}

/// What no store may do: see [`Mutant::AnswersBeforeWriting`].
fn answer_early(group: &Group) {
    for entry in &group.entries {
        if let Answer::Receipt(receipt) = &entry.answer {
            let receipt = crate::receipt::Receipt { durability: Durability::Synced, ..receipt.clone() };
            wake(entry.ticket.settle(Ok(receipt)).into_iter().collect());
        }
    }
}

/// The same failure for everybody who waits for something in a group.
fn failed(group: &mut Group, error: &Error) -> Answers {
    let mut answers = Answers::default();
    for entry in group.entries.drain(..) {
        answers.push(entry.ticket, Err(AppendError::Store(error.clone())));
    }
    answers
}

/// A failure behind bytes that were handed to the system: whatever it was, nobody can say that they are not there.
fn unknown(error: Error) -> Error {
    match error.kind() {
        ErrorKind::OutcomeUnknown => error,
        _ => Error::with_source(ErrorKind::OutcomeUnknown, "committing a batch that was written", error),
    }
}

fn taken() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the answer to this append was taken before")
}

impl Entry {
    fn answered(self, reached: Durability) -> (Arc<Ticket>, Outcome) {
        let outcome = match self.answer {
            Answer::Receipt(mut receipt) => {
                receipt.durability = reached;
                Ok(receipt)
            }
            Answer::Conflict(conflict) => Err(AppendError::Conflict(conflict)),
        };
        (self.ticket, outcome)
    }
}

/// Sees to it that nobody waits for ever should the leader panic: nothing is written any more, and everybody is told.
struct LeadGuard<'a> {
    log: &'a Log,
    /// What is being committed.
    group: Option<Group>,
    /// Tasks whose answers are given, to be woken when this thread leads no more.
    wakers: Vec<Waker>,
}

impl LeadGuard<'_> {
    fn disarm(mut self) {
        self.group = None;
        std::mem::forget(self);
    }
}

impl Drop for LeadGuard<'_> {
    fn drop(&mut self) {
        self.log.observer.ends_group();
        let error = std::io::Error::other("the thread that wrote panicked");
        let unknown = self.log.latch.trip("committing a group", &error);
        let mut answers = self.group.as_mut().map_or_else(Answers::default, |group| failed(group, &unknown));
        // Nothing between here and there panics with the lock held; should it be so, this does not hang as well.
        if let Some(mut core) = self.log.core.try_lock_for(Duration::from_secs(1)) {
            core.is_led = false;
            let behind: Vec<Group> = core.groups.drain(..).collect();
            drop(core);
            for mut group in behind {
                answers.append(failed(&mut group, &unknown));
            }
        }
        answers.give();
        wake(std::mem::take(&mut self.wakers));
    }
}
