//! Group commit: a thread that waits for its own answer leads if nobody does, and writes and syncs all that is staged.
//!
//! ```text
//! wait ──► answered? ──► done
//!      ──► nobody leads and something is staged ──► lead: write, sync, publish, pass the lead on, answer
//!      ──► otherwise sleep, until answered or called to lead
//! ```
//!
//! One sync is in flight at a time. One thread alone pays one write and one sync and no switch of threads.

use super::staging::{Answer, Entry, Group, Published};
use super::ticket::{Outcome, Ticket};
use super::{Core, Lead, Log};
use crate::error::{AppendError, Error, ErrorKind};
use crate::options::Durability;
use crate::position::Place;
use crate::segment::batches_end;
use crate::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

impl Log {
    /// Waits for an answer, leading where nobody else does.
    pub(crate) fn wait(&self, ticket: &Ticket) -> Outcome {
        self.wait_for(ticket, None).expect("without a limit there is an answer")
    }

    /// The same for at most as long as given; `None` when the time is over. A sync that has begun is not cut short.
    pub(crate) fn wait_for(&self, ticket: &Ticket, limit: Option<Duration>) -> Option<Outcome> {
        let begun = limit.map(|_| self.storage.elapsed());
        loop {
            if let Some(outcome) = ticket.take() {
                return Some(outcome);
            }
            let left = match (limit, begun) {
                (Some(limit), Some(begun)) => Some(
                    limit.checked_sub(self.storage.elapsed().saturating_sub(begun)).filter(|left| !left.is_zero())?,
                ),
                _ => None,
            };
            let mut core = self.core.lock();
            if ticket.is_done() {
                continue;
            }
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
            Poll::Ready(outcome) => Poll::Ready(outcome.unwrap_or_else(|| {
                let act = "the answer to this append was taken before";
                Err(AppendError::Store(Error::new(ErrorKind::InvalidArgument, act)))
            })),
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
        core.is_demanded = false;
        if !core.is_led && !core.groups.is_empty() {
            core.is_led = true;
            self.lead(core, None);
        }
    }

    /// Commits groups until `own` is answered, or all where there is none, then passes the lead on.
    fn lead<'a>(&'a self, mut core: MutexGuard<'a, Core>, own: Option<&Ticket>) {
        let guard = LeadGuard { log: self };
        while let Some(group) = core.groups.pop_front() {
            core.staged_bytes -= group.bytes.len();
            drop(core);
            let answered = self.commit(group);
            core = self.core.lock();
            // Whoever leads next begins before this thread has woken those whose answers are ready.
            let is_own_here = own.is_some_and(|own| answered.iter().any(|(ticket, _)| std::ptr::eq(&**ticket, own)));
            if is_own_here || core.groups.is_empty() {
                core.is_led = false;
                let heir = core.groups.front().map(|group| {
                    let heir = group.entries.iter().find(|entry| entry.ticket.call_to_lead());
                    heir.is_some()
                });
                let is_demanded = core.is_demanded;
                drop(core);
                std::mem::forget(guard);
                if heir == Some(false) && is_demanded {
                    self.bell.ring();
                }
                settle(answered);
                self.after_commit();
                return;
            }
            settle(answered);
        }
        core.is_led = false;
        std::mem::forget(guard);
    }

    /// Writes a group and makes it visible. The answers are ready when this returns, and not given yet.
    fn commit(&self, group: Group) -> Vec<(Arc<Ticket>, Outcome)> {
        let mut lead = self.lead.lock();
        match self.write(&mut lead, &group) {
            Ok(durability) => {
                self.publish(&lead, &group);
                group.entries.into_iter().map(|entry| entry.answered(durability)).collect()
            }
            Err(error) => {
                drop(lead);
                self.fail(group, &error)
            }
        }
    }

    /// Writes a group and syncs it if it must be; the durability that was reached.
    fn write(&self, lead: &mut Lead, group: &Group) -> Result<Durability, Error> {
        if group.is_start {
            // IMPORTANT: the start record is handed to the system only after everything before it is durable.
            self.sync_written(lead)?;
            let sealed = lead.segment.replace(group.segment.clone());
            let sealed_file = lead.file.replace(group.file.clone());
            let tally = std::mem::take(&mut lead.tally);
            let sealed_end = lead.written;
            let sealed_position = lead.last_position;
            self.write_bytes(lead, group)?;
            self.sync_written(lead)?;
            // The footer says that the successor's start record is durable, so it comes after that sync.
            if let (Some(segment), Some(file)) = (sealed, sealed_file)
                && segment.sequence() == sealed_end.segment
            {
                let footer = tally.footer(sealed_end.offset, sealed_position);
                file.write_at(&footer.encode(segment.salt), batches_end(segment.preamble.size).into())?;
            }
            let mut passed_by = std::mem::take(&mut lead.passed_by);
            super::copy::remove_files(&*self.storage, &mut passed_by)
                .map_err(|error| self.latch.trip("syncing the log's directory", &error))?;
            return Ok(Durability::Synced);
        }
        self.write_bytes(lead, group)?;
        if group.must_sync {
            self.sync_written(lead)?;
        }
        Ok(if lead.has_unsynced { Durability::Written } else { Durability::Synced })
    }

    fn write_bytes(&self, lead: &mut Lead, group: &Group) -> Result<(), Error> {
        if !group.bytes.is_empty() {
            // After a failure groups no longer follow one another: closing stages a last one, which is refused here.
            self.latch.check()?;
            debug_assert!(group.is_start || lead.written.offset == group.offset, "groups follow one another");
            group.file.write_at(&group.bytes, u64::from(group.offset))?;
            let events = group.entries.iter().map(|entry| entry.events.len() as u64).sum();
            lead.tally.add(&group.bytes, events, group.batches);
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
        lead.file.as_ref().expect("something was written").sync()?;
        lead.has_unsynced = false;
        self.ends.lock().durable = lead.written;
        let mut core = self.core.lock();
        core.durable = lead.written;
        core.last_sync = self.storage.elapsed();
        Ok(())
    }

    fn publish(&self, lead: &Lead, group: &Group) {
        for (position, offset) in group.entries.iter().filter_map(|entry| entry.mark) {
            group.segment.mark(position, offset);
        }
        group.segment.set_end(group.offset + group.bytes.len() as u32);
        // The events become visible first and the ends after them: whoever sees an end finds what it speaks of.
        self.publisher.publish(&Published::new(group));
        let mut ends = self.ends.lock();
        ends.visible = lead.written;
        ends.visible_position = group.last_position;
    }

    /// Answers everybody after a failure: of the group at hand the outcome is unknown; what stands behind it was never
    /// handed to the system.
    fn fail(&self, group: Group, error: &Error) -> Vec<(Arc<Ticket>, Outcome)> {
        let unknown = match error.kind() {
            ErrorKind::OutcomeUnknown => error.clone(),
            kind => Error::with_source(kind, "committing a batch", error.clone()),
        };
        let mut answers: Vec<_> = group.entries.into_iter().map(|entry| entry.failed(&unknown)).collect();
        let poisoned = self.latch.check().err().unwrap_or(unknown);
        let mut core = self.core.lock();
        let behind: Vec<Group> = core.groups.drain(..).collect();
        core.staged_bytes = 0;
        drop(core);
        answers.extend(behind.into_iter().flat_map(|group| group.entries).map(|entry| entry.failed(&poisoned)));
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

    /// Syncs what was written and not synced, if nobody leads at the moment.
    pub(crate) fn sync_in_background(&self) -> Result<(), Error> {
        let has_unsynced = self.lead.try_lock().is_some_and(|lead| lead.has_unsynced);
        if has_unsynced { self.flush() } else { Ok(()) }
    }
}

fn settle(answered: Vec<(Arc<Ticket>, Outcome)>) {
    for (ticket, outcome) in answered {
        ticket.settle(outcome);
    }
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

    fn failed(self, error: &Error) -> (Arc<Ticket>, Outcome) {
        (self.ticket, Err(AppendError::Store(error.clone())))
    }
}

/// Sees to it that nobody waits for ever should the leader panic: nothing is written any more, and everybody is told.
struct LeadGuard<'a> {
    log: &'a Log,
}

impl Drop for LeadGuard<'_> {
    fn drop(&mut self) {
        let error = std::io::Error::other("the thread that wrote panicked");
        let failure = self.log.latch.trip("committing a group", &error);
        if let Some(mut core) = self.log.core.try_lock() {
            core.is_led = false;
            let groups: Vec<Group> = core.groups.drain(..).collect();
            drop(core);
            settle(groups.into_iter().flat_map(|group| group.entries).map(|entry| entry.failed(&failure)).collect());
        }
    }
}
