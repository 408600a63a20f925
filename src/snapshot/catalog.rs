//! Which snapshots there are. The directory is listed once; whoever writes or removes one says so here.

use super::file::{Head, SnapshotFile};
use super::source::{SnapshotFault, SnapshotSource};
use super::{FileName, SNAPSHOTS_DIR};
use crate::index::SavedTable;
use crate::log::Witness;
use crate::mutant::Mutant;
use crate::storage::Storage;
use crate::sync::{Mutex, MutexGuard};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

/// The snapshots of a store. No file is touched while it is locked, but for the first list.
#[derive(Default)]
pub(crate) struct Catalog(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By source, in no order. None until the directory was listed.
    files: Option<BTreeMap<u64, Vec<Listed>>>,
    listed_at: Duration,
    /// What was passed over, the oldest first.
    passed_over: VecDeque<PassedOver>,
    /// Until then none is written by itself, since that has failed.
    rests_until: Duration,
}

/// A file.
#[derive(Clone, Copy, Debug)]
struct Listed {
    name: FileName,
    /// Of how many bytes of payload it is folded, where that is known.
    folded_bytes: Option<u64>,
    /// It was passed over, or does not count any more: it goes with the next that is written.
    is_bad: bool,
}

/// A snapshot that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassedOver {
    pub(crate) path: String,
    pub(crate) fault: SnapshotFault,
}

/// What was passed over is remembered of so many.
const PASSED_OVER_MAX: usize = 64;

/// What another process writes is looked for so often.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How long none is written by itself after that has failed.
const REST: Duration = Duration::from_secs(1);

impl Catalog {
    /// The files of a source in a schema that may be used, the newest first. `is_ours` says that nobody else writes any.
    pub(crate) fn of(&self, storage: &dyn Storage, is_ours: bool, key: u64, schema: u32) -> Vec<FileName> {
        let mut known = self.listed(storage, is_ours);
        let files = known.of_key(key).iter().filter(|file| file.name.schema == schema && !file.is_bad);
        let mut names: Vec<FileName> = files.map(|file| file.name).collect();
        names.sort_unstable_by_key(|name| Reverse(*name));
        names
    }

    /// All files, the newest first.
    pub(crate) fn all(&self, storage: &dyn Storage) -> Vec<FileName> {
        let mut known = self.0.lock();
        known.list(storage);
        let mut names: Vec<FileName> =
            known.files.iter().flat_map(BTreeMap::values).flatten().map(|file| file.name).collect();
        names.sort_unstable_by_key(|name| Reverse(*name));
        names
    }

    /// The newest of a source in a schema, and of how many bytes of payload it is folded where that is known.
    pub(crate) fn newest(&self, storage: &dyn Storage, key: u64, schema: u32) -> Option<(FileName, Option<u64>)> {
        let mut known = self.listed(storage, true);
        let files = known.of_key(key).iter().filter(|file| file.name.schema == schema && !file.is_bad);
        files.max_by_key(|file| file.name).map(|file| (file.name, file.folded_bytes))
    }

    /// Notes of how many bytes of payload one is folded.
    pub(crate) fn note_folded(&self, name: &FileName, bytes: u64) {
        if let Some(file) = self.0.lock().of_key(name.key).iter_mut().find(|file| file.name == *name) {
            file.folded_bytes = Some(bytes);
        }
    }

    /// Notes that one was not used, and is not to be.
    pub(crate) fn pass_over(&self, name: &FileName, fault: SnapshotFault) {
        self.supersede(name);
        let mut known = self.0.lock();
        known.passed_over.push_back(PassedOver { path: name.path(), fault });
        if PASSED_OVER_MAX < known.passed_over.len() {
            known.passed_over.pop_front();
        }
    }

    /// Notes that one is not to be used any more, since what it was folded from is not what the log says by now.
    pub(crate) fn supersede(&self, name: &FileName) {
        if let Some(file) = self.0.lock().of_key(name.key).iter_mut().find(|file| file.name == *name) {
            file.is_bad = true;
        }
    }

    /// What was not used, the oldest first.
    pub(crate) fn passed_over(&self) -> Vec<PassedOver> {
        self.0.lock().passed_over.iter().cloned().collect()
    }

    /// Notes that one is not there any more.
    pub(crate) fn forget(&self, name: &FileName) {
        self.0.lock().of_key(name.key).retain(|file| file.name != *name);
    }

    /// Notes that writing one has failed, and when.
    pub(crate) fn rest(&self, now: Duration) {
        self.0.lock().rests_until = now.saturating_add(REST);
    }

    /// Whether writing one has failed just now.
    pub(crate) fn is_resting(&self, now: Duration) -> bool {
        now < self.0.lock().rests_until
    }

    /// Writes a snapshot and removes what it makes superfluous: of its source those of older schemas, those that were passed
    /// over, and all but the newest `kept`. False where there is one that goes as far, unless it is to be replaced.
    pub(crate) fn save(
        &self,
        storage: &dyn Storage,
        (head, state): (&Head, &[u8]),
        (kept, replaces): (usize, bool),
    ) -> io::Result<bool> {
        let (key, schema) = (head.source.key(), head.schema);
        let newest = self.newest(storage, key, schema).map(|(name, _)| name);
        let is_older = newest
            .is_some_and(|newest| head.position < newest.position || head.position == newest.position && !replaces);
        if is_older && !Mutant::LetsAnOlderStateReplaceANewer.is_on() {
            return Ok(false);
        }
        let number = newest.filter(|newest| newest.position == head.position).map_or(0, |newest| newest.number + 1);
        let mut name = FileName { position: head.position, number, version: head.version, schema, key };
        loop {
            match SnapshotFile::write(storage, &name, head, state) {
                // One that is passed over has this name, or another process has written it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && name.number < u32::MAX => {
                    name.number += 1
                }
                written => break written?,
            }
        }
        let file = Listed { name, folded_bytes: Some(head.folded_bytes), is_bad: false };
        self.0.lock().of_key(key).push(file);
        // Where what was there is wrong, the older ones are, too.
        self.tidy(storage, key, schema, if replaces { 1 } else { kept });
        Ok(true)
    }

    /// Removes what is superfluous of a source. What cannot be removed takes room, and is tried again with the next.
    fn tidy(&self, storage: &dyn Storage, key: u64, schema: u32, kept: usize) {
        let mut files = self.0.lock().of_key(key).clone();
        files.sort_unstable_by_key(|file| Reverse(file.name));
        let mut left = kept;
        let superfluous = files.iter().filter(|file| match file.name.schema {
            older if older < schema => true,
            // A newer program has written it, and comes back perhaps.
            newer if schema < newer => false,
            _ if file.is_bad || left == 0 => true,
            _ => {
                left -= 1;
                false
            }
        });
        for file in superfluous.collect::<Vec<_>>() {
            let _ = self.remove(storage, &file.name);
        }
    }

    /// Removes a snapshot; whether it was there.
    pub(crate) fn remove(&self, storage: &dyn Storage, name: &FileName) -> io::Result<bool> {
        let removed = match storage.remove(&name.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            outcome => outcome.map(|()| true)?,
        };
        self.forget(name);
        Ok(removed)
    }

    /// Removes all of a source, in all schemas; how many there were.
    pub(crate) fn remove_all(&self, storage: &dyn Storage, source: &SnapshotSource) -> io::Result<u64> {
        let names: Vec<FileName> =
            self.listed(storage, true).of_key(source.key()).iter().map(|file| file.name).collect();
        let mut removed = 0;
        for name in names {
            removed += u64::from(self.remove(storage, &name)?);
        }
        Ok(removed)
    }

    fn listed(&self, storage: &dyn Storage, is_ours: bool) -> MutexGuard<'_, Known> {
        let mut known = self.0.lock();
        let is_old = known.listed_at.saturating_add(LIST_EVERY) <= storage.elapsed();
        if known.files.is_none() || !is_ours && is_old {
            known.list(storage);
        }
        if !is_ours && is_old {
            // What was passed over may have been half written.
            known.files.iter_mut().flat_map(BTreeMap::values_mut).flatten().for_each(|file| file.is_bad = false);
        }
        known
    }
}

impl Known {
    fn of_key(&mut self, key: u64) -> &mut Vec<Listed> {
        self.files.get_or_insert_default().entry(key).or_default()
    }

    /// Lists the directory; what is known of files that are still there stays. Where it cannot be listed there are none.
    fn list(&mut self, storage: &dyn Storage) {
        let before = self.files.take().unwrap_or_default();
        let files = self.files.insert(BTreeMap::new());
        for entry in storage.list(SNAPSHOTS_DIR).unwrap_or_default() {
            let Some(name) = FileName::parse(&entry.name).filter(|_| entry.is_file) else { continue };
            let known = before.get(&name.key).and_then(|files| files.iter().find(|file| file.name == name)).copied();
            let file = known.unwrap_or(Listed { name, folded_bytes: None, is_bad: false });
            files.entry(name.key).or_default().push(file);
        }
        self.listed_at = storage.elapsed();
    }
}

/// The paths of snapshots that do not verify, or are of another store: each with why.
pub(crate) fn doubtful(storage: &dyn Storage, store: [u8; 16]) -> Vec<(String, SnapshotFault)> {
    let names = storage.list(SNAPSHOTS_DIR).unwrap_or_default();
    let names = names.iter().filter_map(|entry| FileName::parse(&entry.name));
    let fault = |name: &FileName| match SnapshotFile::open(storage, name) {
        Ok(None) => None,
        Ok(Some(file)) if file.head.store != store => Some(SnapshotFault::Foreign),
        Ok(Some(file)) => file.state().err(),
        Err(fault) => Some(fault),
    };
    names.filter_map(|name| Some((name.path(), fault(&name)?))).collect()
}

/// How many snapshots are asked for how far the log was durable.
const WITNESSES_MAX: usize = 8;

/// What a stream table and the newest snapshots prove of a log: that of them which names the furthest place.
///
/// A snapshot of another store than the table's is none of this log's.
pub(crate) fn furthest_witness(storage: &dyn Storage, table: Option<&SavedTable>) -> Option<Witness> {
    let table = table.map(SavedTable::witness);
    let names = storage.list(SNAPSHOTS_DIR).unwrap_or_default();
    let names = names.iter().rev().filter_map(|entry| FileName::parse(&entry.name)).take(WITNESSES_MAX);
    let files = names.filter_map(|name| SnapshotFile::open(storage, &name).ok().flatten());
    let witnesses = files.map(|file| file.witness());
    let witnesses = witnesses.filter(|witness| table.as_ref().is_none_or(|table| table.store == witness.store));
    let witnesses = witnesses.filter(|_| !Mutant::TakesNoSnapshotForAWitness.is_on());
    witnesses.chain(table).max_by_key(|witness| witness.durable)
}
