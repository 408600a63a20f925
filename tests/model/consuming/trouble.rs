//! A disk on which something fails, or which is full, while a consumer is at work; and what comes of it.

use super::Consuming;
use crate::model::chance::Choices;
use crate::model::operation::SYNC_FAILURES;
use scorebook::testing::{DiskFault, DiskOperation};
use scorebook::{Error, ErrorKind, Status};
use std::io;

impl Consuming {
    /// Some operation of the disk fails soon, once or from then on; or the disk is full.
    pub(super) fn begin_trouble(&mut self) -> Result<(), Error> {
        self.troubles += 1;
        self.is_troubled = true;
        if self.chance.one_in(4) {
            let used: usize = self.disk.contents().values().map(Vec::len).sum();
            self.disk.set_capacity(Some(used as u64 + 1_024));
            return Ok(());
        }
        let operations = [
            (DiskOperation::Sync, io::ErrorKind::Other),
            (DiskOperation::Sync, io::ErrorKind::Other),
            (DiskOperation::Write, io::ErrorKind::Other),
            (DiskOperation::Write, io::ErrorKind::StorageFull),
            (DiskOperation::Create, io::ErrorKind::StorageFull),
            (DiskOperation::SyncDirectory, io::ErrorKind::Other),
        ];
        let (operation, error) = *self.chance.pick(&operations);
        // The names of the store's own directories are made durable when it opens, and are not lost any more.
        self.disk.set_sync_failure(*self.chance.pick(SYNC_FAILURES));
        let fault = DiskFault::new(operation, error).nth(1 + self.chance.below(8) as u64);
        self.disk.fail(if self.chance.one_in(4) { fault.repeat() } else { fault });
        Ok(())
    }

    pub(super) fn heal(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(None);
    }

    /// Something has failed: the process ends, or the store is opened again in place, or whoever was told joins again.
    pub(super) fn meet(&mut self, outcome: Result<(), Error>) {
        if self.store.is_none() || self.disk.has_stopped() || !self.is_troubled || self.chance.one_in(3) {
            self.heal();
            return self.crash();
        }
        let store = self.store();
        let is_full = outcome.is_err_and(|error| error.kind() == ErrorKind::Full);
        if is_full && store.status() != Status::Poisoned && self.chance.one_in(2) {
            return;
        }
        self.heal();
        if store.reopen().is_err() {
            return self.crash();
        }
        self.forget_what_is_lost(&store);
        self.note_results(&store);
        self.check_results(&store);
        drop(store);
        // Some go on with what they have, and some are told that it is not there any more.
        if self.chance.one_in(2) || self.members.iter_mut().any(|member| member.try_next().is_err()) {
            self.hands.clear();
            self.members.clear();
            if self.join().is_err() {
                self.crash();
            }
        }
    }
}
