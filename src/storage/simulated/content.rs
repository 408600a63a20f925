//! What a simulated file holds: the bytes everybody reads, and what the disk has where that is something else.
//!
//! ```text
//!  write ──► pending ──sync──► durable           and by a crash any earlier version of a pending sector may come back
//!               │ failed sync, lost or misplaced write
//!               ▼
//!             apart: readers see the new, the disk has the old, and no sync changes that
//!               │ written again: pending; caches dropped: readers see the old
//! ```

use super::crash::Decider;
use super::fault::{Fate, SyncFailure};
use super::history::History;
use super::machine::SplitMix;
use super::pages::{Pages, SECTOR_BYTES, Sector};
use crate::sync::Arc;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

/// What a file holds, and what it would hold after a power cut. A copy is cheap.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// What everybody reads.
    bytes: Pages,
    /// Not kept for plain memory.
    pending: Option<Pending>,
    /// Sectors that cannot be read until they are written again.
    broken: Vec<usize>,
}

/// INVARIANT: no sector stands both in `sectors` and in `apart`.
#[derive(Clone, Default)]
struct Pending {
    /// The sizes before each write since the last sync that made the file longer.
    sizes: History<usize>,
    /// What a sector was before each write since the last sync.
    sectors: BTreeMap<usize, History<Arc<Sector>>>,
    /// What the disk has where readers see something else and no sync will change it.
    apart: BTreeMap<usize, Arc<Sector>>,
    /// Sectors that do not reach the disk, however often they are written and synced, until the machine starts anew.
    stuck: Vec<Range<usize>>,
}

impl Content {
    /// These bytes, all durable.
    pub(super) fn new(bytes: &[u8], is_tracked: bool) -> Content {
        Content { bytes: Pages::new(bytes), pending: is_tracked.then(Pending::default), broken: Vec::new() }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn pending_sectors(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.sectors.len())
    }

    pub(super) fn unsaved_sectors(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.apart.len())
    }

    /// The changes of everything that is pending, thing by thing, in the order in which a crash decides about them.
    pub(super) fn pending(&self) -> Vec<(Item, Vec<u64>)> {
        let Some(pending) = &self.pending else { return Vec::new() };
        let size = (!pending.sizes.is_empty()).then(|| (Item::Size, pending.sizes.changes().collect()));
        let sectors = pending.sectors.values().map(|history| (Item::Sector, history.changes().collect()));
        size.into_iter().chain(sectors).collect()
    }

    pub(super) fn pending_items(&self) -> usize {
        let has_size = self.pending.as_ref().is_some_and(|pending| !pending.sizes.is_empty());
        self.pending_sectors() + usize::from(has_size)
    }

    pub(super) fn read(&self, buffer: &mut [u8], start: usize) -> usize {
        self.bytes.read(buffer, start)
    }

    /// Writes, and counts what that changes.
    pub(super) fn write(&mut self, bytes: &[u8], start: usize, changes: &mut u64) {
        if bytes.is_empty() {
            return;
        }
        let end = start + bytes.len();
        if let Some(pending) = &mut self.pending {
            if self.bytes.len() < end {
                *changes += 1;
                pending.sizes.push(*changes, self.bytes.len());
            }
            for sector in sectors_of(start..end) {
                let begin = sector * SECTOR_BYTES;
                let (from, to) = (start.max(begin), end.min(begin + SECTOR_BYTES));
                let (old, new) = (self.bytes.sector(sector), &bytes[from - start..to - start]);
                // Zeros written where there was nothing are no change, so filling a file is only a size.
                let is_changed = old[from - begin..to - begin] != *new;
                pending.note(sector, old, is_changed, changes);
            }
        }
        self.bytes.write(bytes, start);
        if !self.broken.is_empty() {
            self.broken.retain(|sector| !sectors_of(start..end).contains(sector));
        }
    }

    /// Everything written is durable, but what is apart.
    pub(super) fn sync(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.sizes.clear();
            pending.sectors.clear();
        }
    }

    /// What a sync does that fails.
    pub(super) fn fail_sync(&mut self, failure: SyncFailure, chance: &mut SplitMix) {
        let Some(pending) = &mut self.pending else { return };
        if failure == SyncFailure::DropForGood {
            let durable = pending.sizes.get(0).copied().unwrap_or(self.bytes.len());
            let never_written = durable.div_ceil(SECTOR_BYTES)..self.bytes.len().div_ceil(SECTOR_BYTES);
            if !never_written.is_empty() {
                pending.stuck.push(never_written);
            }
        }
        // The size is not in the sectors, and is never dropped.
        if failure.fate(chance) == Fate::Durable {
            pending.sizes.clear();
        }
        let Pending { sectors, apart, .. } = pending;
        sectors.retain(|sector, history| match failure.fate(chance) {
            Fate::Pending => true,
            Fate::Durable => false,
            Fate::Dropped => {
                apart.extend(std::mem::take(history).into_first().map(|truth| (*sector, truth)));
                false
            }
        });
        if failure == SyncFailure::Revert {
            self.drop_cache();
        }
    }

    /// What lies in these bytes will never be written: readers go on seeing it.
    pub(super) fn lose(&mut self, bytes: Range<usize>) {
        let Some(pending) = &mut self.pending else { return };
        for sector in sectors_of(bytes) {
            let truth = pending.sectors.remove(&sector).and_then(History::into_first);
            pending.apart.extend(truth.map(|truth| (sector, truth)));
        }
    }

    /// The sectors in which these bytes lie, as readers see them.
    pub(super) fn sectors(&self, bytes: Range<usize>) -> Vec<(usize, Sector)> {
        sectors_of(bytes).map(|sector| (sector, *self.bytes.sector(sector))).collect()
    }

    /// A sector of the disk holds something else without anybody having been told.
    pub(super) fn misplace_here(&mut self, sector: usize, content: &Sector) {
        let Some(pending) = self.pending.as_mut().filter(|_| sector * SECTOR_BYTES < self.bytes.len()) else { return };
        let content = Arc::new(*content);
        match pending.sectors.get_mut(&sector).and_then(History::first_mut) {
            Some(durable) => *durable = content,
            None => drop(pending.apart.insert(sector, content)),
        }
    }

    /// Readers see what the disk has, but for what is on its way there.
    pub(super) fn drop_cache(&mut self) {
        let Some(pending) = &mut self.pending else { return };
        for (sector, truth) in std::mem::take(&mut pending.apart) {
            self.bytes.put_sector(sector, &truth);
        }
        pending.stuck.clear();
    }

    /// Changes bytes that are there, on the disk and wherever else they are remembered.
    ///
    /// # Panics
    ///
    /// If they do not lie in the file.
    pub(super) fn damage(&mut self, bytes: Range<usize>, mut change: impl FnMut(usize, u8) -> u8) {
        assert!(
            bytes.end <= self.len(),
            "bytes {bytes:?} that are to be damaged lie in a file of {} bytes",
            self.len()
        );
        for byte in bytes {
            let (number, within) = (byte / SECTOR_BYTES, byte % SECTOR_BYTES);
            let mut present = *self.bytes.sector(number);
            present[within] = change(byte, present[within]);
            self.bytes.put_sector(number, &present);
            let Some(pending) = &mut self.pending else { continue };
            let earlier = pending.sectors.get_mut(&number).into_iter().flat_map(History::versions_mut);
            for remembered in earlier.chain(pending.apart.get_mut(&number)) {
                let remembered = Arc::make_mut(remembered);
                remembered[within] = change(byte, remembered[within]);
            }
        }
    }

    /// Makes the sectors in which these bytes lie unreadable.
    pub(super) fn break_sectors(&mut self, bytes: Range<usize>) {
        let end = bytes.end.min(self.len());
        self.broken.extend(sectors_of(bytes.start..end));
    }

    /// Whether all of these bytes can be read.
    pub(super) fn check_readable(&self, bytes: Range<usize>) -> io::Result<()> {
        match self.broken.iter().find(|sector| sectors_of(bytes.clone()).contains(sector)) {
            Some(sector) => Err(unreadable(*sector)),
            None => Ok(()),
        }
    }

    /// Whether these bytes can be written: what shares a sector with them must be read before.
    pub(super) fn check_writable(&self, bytes: Range<usize>) -> io::Result<()> {
        let is_whole = |sector: usize| {
            let begin = sector * SECTOR_BYTES;
            bytes.start <= begin && (begin + SECTOR_BYTES).min(self.len()) <= bytes.end
        };
        match self.broken.iter().find(|sector| sectors_of(bytes.clone()).contains(sector) && !is_whole(**sector)) {
            Some(sector) => Err(unreadable(*sector)),
            None => Ok(()),
        }
    }

    /// The content after a power cut.
    pub(super) fn survivor(&self, decider: &mut Decider<'_>) -> Content {
        let (mut bytes, broken) = (self.bytes.clone(), self.broken.clone());
        let Some(pending) = &self.pending else { return Content { bytes, pending: None, broken } };
        let mut len = bytes.len();
        if !pending.sizes.is_empty() {
            let version = decider.decide(&pending.sizes);
            len = pending.sizes.get(version).copied().unwrap_or(len);
        }
        for (sector, history) in &pending.sectors {
            let present = *bytes.sector(*sector);
            let version = |index: usize| history.get(index).map_or(present, |version| **version);
            let mut survivor = version(decider.decide(history));
            if let Some((other, cut)) = decider.tear(history) {
                survivor[cut..].copy_from_slice(&version(other)[cut..]);
            }
            bytes.put_sector(*sector, &survivor);
        }
        for (sector, truth) in &pending.apart {
            bytes.put_sector(*sector, truth);
        }
        bytes.cut(len);
        Content { bytes, pending: Some(Pending::default()), broken }
    }
}

impl Pending {
    /// Notes that a sector is `old` before a write, which may change it or not.
    fn note(&mut self, sector: usize, old: &Sector, is_changed: bool, changes: &mut u64) {
        if !is_changed && self.apart.is_empty() {
            return;
        }
        if self.stuck.iter().any(|stuck| stuck.contains(&sector)) {
            if is_changed {
                self.apart.entry(sector).or_insert_with(|| Arc::new(*old));
            }
            return;
        }
        // What readers saw where the disk has something else was never on its way there.
        let before = self.apart.remove(&sector).or_else(|| is_changed.then(|| Arc::new(*old)));
        if let Some(before) = before {
            *changes += 1;
            self.sectors.entry(sector).or_default().push(*changes, before);
        }
    }
}

/// The numbers of the sectors in which bytes lie.
fn sectors_of(bytes: Range<usize>) -> Range<usize> {
    if bytes.is_empty() { 0..0 } else { bytes.start / SECTOR_BYTES..bytes.end.div_ceil(SECTOR_BYTES) }
}

fn unreadable(sector: usize) -> io::Error {
    io::Error::other(format!("the simulated disk cannot read sector {sector} of the file"))
}

/// What of a file a power cut could lose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Name,
    Size,
    Sector,
}
