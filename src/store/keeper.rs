//! Writing down what is derived from the log, beside whatever else happens.

use super::view::{Keep, View};
use super::writer::Writer;
use crate::error::{Error, ErrorKind};
use crate::index::{SavedTable, Shelf};
use crate::position::Place;
use std::time::Duration;

/// What is known of the derived files.
#[derive(Default)]
pub(super) struct Keeper {
    /// Of the stream table that was written or read last.
    counter: u64,
    len: u64,
    /// Where the log ended by then, and how many bytes it had.
    place: Option<Place>,
    log_bytes: u64,
    /// It was asked for: it is written although nothing was appended.
    is_asked_for: bool,
}

/// A stream table is not written again before the log has grown by so many bytes, nor before it has grown by a few times
/// the length of the table.
const GROWTH_MIN: u64 = 32 * 1024;
const GROWTH_TIMES: u64 = 2;

impl Keeper {
    /// Of a store in which this table was found.
    pub(super) fn new(found: Option<&SavedTable>) -> Keeper {
        found.map_or_else(Keeper::default, |table| Keeper {
            counter: table.counter(),
            len: table.len(),
            place: Some(table.from.place),
            ..Keeper::default()
        })
    }

    /// What was written down last is not of the log any more: it is written again with the next step.
    pub(super) fn forget_place(&mut self) {
        (self.place, self.log_bytes, self.len) = (None, 0, 0);
    }

    /// Notes how long the log was when that table was written.
    pub(super) fn note_log(&mut self, view: &View) {
        self.log_bytes = self.place.map_or(0, |place| view.log_bytes_before(place));
    }
}

impl Writer {
    /// Takes one step: packs what is remembered of a segment that has ended and writes it down, or writes down the streams.
    /// Whether there was anything to do.
    pub(super) fn keep(&self) -> bool {
        // Whoever holds it does this, or places a batch that changes more than streams; then it is done with the next one.
        self.keeper.try_lock_for(Duration::ZERO).is_some_and(|mut keeper| self.step(&mut keeper))
    }

    fn step(&self, keeper: &mut Keeper) -> bool {
        let keep = Keep { shelf: self.shelf(), durable: self.log.ends().durable };
        let may_write = self.may_write(keeper);
        if self.view.pack(may_write.then_some(&keep)) {
            return true;
        }
        let has_grown = || {
            let grown = self.view.0.read().log_bytes().saturating_sub(keeper.log_bytes);
            GROWTH_MIN.max(GROWTH_TIMES * keeper.len) <= grown
        };
        may_write && has_grown() && self.save(keeper)
    }

    /// Writes down all there is, before the store is closed.
    pub(super) fn keep_all(&self) {
        let keeper = &mut *self.keeper.lock();
        self.view.try_again();
        while self.step(keeper) {}
        if self.may_write(keeper) {
            if let Some((end, last_checksum)) = self.log.closed_end() {
                self.view.pack_last(&self.shelf(), end, last_checksum);
            }
            self.save(keeper);
        }
    }

    /// Writes down the streams; whether that was done. Where it cannot be, it is left for the next time the log has grown.
    fn save(&self, keeper: &mut Keeper) -> bool {
        keeper.log_bytes = self.view.0.read().log_bytes();
        self.view.try_again();
        let Some((streams, (from, upto, rewrites))) = self.view.save() else { return false };
        if keeper.place == Some(from.place) {
            return false;
        }
        // IMPORTANT: that a derived file is ahead of the log proves that something was lost, so it speaks of nothing that
        // is not durable.
        if self.log.ends().durable < upto.place && self.log.sync_behind().is_err() {
            return false;
        }
        if self.log.ends().durable < upto.place || self.log.failure().is_some() {
            return false;
        }
        let counter = keeper.counter + 1;
        let written =
            SavedTable::write(&**self.log.storage(), self.log.store(), (from, upto, rewrites), counter, streams);
        let Ok(len) = written else { return false };
        (keeper.counter, keeper.len, keeper.place) = (counter, len, Some(from.place));
        true
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf { storage: &**self.log.storage(), mode: self.log.options().read_mode }
    }

    /// Closes the log, to which nothing was appended, and writes down all that is derived from it.
    pub(super) fn close_and_keep(&self) -> Result<(), Error> {
        self.keeper.lock().is_asked_for = true;
        self.close()?;
        let view = self.view.0.read();
        if self.keeper.lock().counter == 0 && view.table.events() != 0 {
            return Err(Error::new(ErrorKind::Io, "writing the stream table: it could not be written"));
        }
        match view.terms.segments().iter().find(|terms| terms.is_behind(true)) {
            Some(terms) => {
                let act = format!("writing the terms of segment {}: they could not be written", terms.sequence());
                Err(Error::new(ErrorKind::Io, act))
            }
            None => Ok(()),
        }
    }

    /// An opening that appends nothing changes nothing, and neither does a log that has failed.
    fn may_write(&self, keeper: &Keeper) -> bool {
        let is_due = self.log.has_begun() || keeper.is_asked_for;
        is_due && self.log.storage().is_apart_from_memory() && self.log.failure().is_none()
    }
}
