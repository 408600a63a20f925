//! A disk in memory for models under a checker: small, with no clock of its own, and watchful.
//!
//! * Every act on it is a moment at which another thread of the model may go on, and a sync takes two: what it makes
//!   durable is what had been written when it **began**.
//! * Time and chance are counters, so that a schedule can be run again.
//! * Names are durable at once. Which of them a crash loses is for the simulated disk; here it is about threads.
//! * Whatever says on its way to the disk that something is durable is compared with what is: `live`, the headers of
//!   batches, start records and footers. Nothing in the log is written twice.

use super::{Access, Entry, File, Storage, split_path};
use crate::event::SharedBytes;
use crate::format::{BatchView, FOOTER_LEN, Footer, Kind, LIVE_LEN, Live, LiveState, PREAMBLE_LEN, Preamble, Start};
use crate::position::Place;
use crate::sync::{Arc, Mutex, MutexGuard, Ordering, ProcessCounter, current_thread};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// A clone is the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckedDisk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// How often somebody asked for the time. No part of the state, for looking at a clock excludes nobody.
    looks: Ticks,
}

/// The time: how often it was asked for.
#[derive(Debug, Default)]
struct Ticks(ProcessCounter);

impl Ticks {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    directories: BTreeSet<String>,
    names: BTreeMap<String, usize>,
    /// Files outlive their names.
    files: Vec<Content>,
    is_locked: bool,
    random: u8,
    faults: Vec<(Act, u32)>,
    /// Whatever was given out to be written, in order, is counted; a sync is worth what had been counted when it began.
    writes: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// How many writes of the disk there had been when the sync began that made `durable` so.
    durable_at: u64,
}

/// What can be made to fail on the files of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Write,
    Sync,
    /// A write that panics, under a thread that is not the store's own, for nobody catches what those do.
    Panic,
}

impl CheckedDisk {
    pub(crate) fn new() -> CheckedDisk {
        CheckedDisk::default()
    }

    /// Lets the `nth` act of a kind on the log from now on fail, counted from 1. A sync that fails makes nothing durable.
    pub(crate) fn fail(&self, act: Act, nth: u32) {
        self.shared.state.lock().faults.push((act, nth));
    }

    /// Forgets what was to fail.
    #[cfg(scorebook_shuttle)]
    pub(crate) fn heal(&self) {
        self.shared.state.lock().faults.clear();
    }

    /// The disk as a loss of power would leave it now, without anything that was not synced.
    pub(crate) fn crash(&self) -> CheckedDisk {
        let mut state = self.shared.state.lock().clone();
        for file in &mut state.files {
            file.bytes.clone_from(&file.durable);
        }
        state.is_locked = false;
        state.faults.clear();
        CheckedDisk { shared: Arc::new(Shared { state: Mutex::new(state), looks: Ticks::default() }) }
    }

    /// Whether everything in the log before this place would survive a loss of power now.
    #[cfg(scorebook_loom)]
    pub(crate) fn is_durable(&self, place: Place) -> bool {
        self.shared.state.lock().is_durable(place)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    fn open_file(&self, path: &str, file: usize) -> Arc<dyn File> {
        Arc::new(CheckedFile { disk: self.clone(), path: path.into(), file })
    }
}

impl State {
    fn is_durable(&self, place: Place) -> bool {
        if place == Place::NONE {
            return true;
        }
        let file = self.names.get(&log_path(place.segment)).expect("a place is in a segment that is there");
        let (file, end) = (&self.files[*file], place.offset as usize);
        end <= file.durable.len() && file.durable[..end] == file.bytes[..end]
    }

    /// Whether this act is one that was to fail.
    fn fails(&mut self, act: Act) -> bool {
        let waiting = self.faults.iter_mut().filter(|(fault, left)| *fault == act && *left != 0);
        waiting.fold(false, |fails, (_, left)| {
            *left -= 1;
            fails || *left == 0
        })
    }

    /// Compares what is about to be written with what is durable.
    fn watch(&self, path: &str, file: &Content, bytes: &[u8], start: usize) {
        if path == LIVE {
            let mut slots = vec![0; LIVE_LEN.max(start + bytes.len())];
            slots[start..start + bytes.len()].copy_from_slice(bytes);
            if let Some(live) = Live::decode(&slots).filter(|live| live.state != LiveState::Opening) {
                assert!(self.is_durable(live.durable_end), "`live` says that {} is durable", live.durable_end);
                let before = Live::decode(&file.bytes).filter(|before| before.epoch_bits == live.epoch_bits);
                let reaches = |live: Live| (live.durable_end, live.visible_end);
                let (durable, visible) = before.map_or((Place::NONE, Place::NONE), reaches);
                assert!(durable <= live.durable_end && visible <= live.visible_end, "`live` takes something back");
            }
        }
        let Some(sequence) = log_sequence(path) else { return };
        let before = file.bytes.get(start..file.bytes.len().min(start + bytes.len())).unwrap_or_default();
        assert!(before.iter().all(|byte| *byte == 0), "byte {start} of {path} is written a second time");
        let Ok(preamble) = Preamble::decode(&file.bytes) else { return };
        if start + FOOTER_LEN == preamble.size as usize {
            let footer = Footer::decode(bytes, preamble.salt()).expect("a footer is written where footers are");
            let end = Place { segment: sequence, offset: footer.end };
            assert!(self.has_successor(end), "a footer is written before a segment that goes on from {end} is durable");
        } else if PREAMBLE_LEN <= start {
            self.watch_batches(preamble, bytes, start);
        }
    }

    /// Whether the start record of a segment that goes on from this place would survive a loss of power now.
    fn has_successor(&self, end: Place) -> bool {
        self.names.iter().filter(|(path, _)| log_sequence(path).is_some()).any(|(_, file)| {
            let durable = &self.files[*file].durable;
            let Ok(preamble) = Preamble::decode(durable) else { return false };
            let first = BatchView::verify(&durable[PREAMBLE_LEN..], preamble.salt(), PREAMBLE_LEN as u32);
            let mut records = first.iter().flat_map(BatchView::records);
            let start = records.find_map(|record| Start::decode(record.body()).ok());
            start.is_some_and(|start| start.previous_end == end)
        })
    }

    fn watch_batches(&self, preamble: Preamble, bytes: &[u8], start: usize) {
        let mut at = 0;
        while at < bytes.len() {
            let batch = BatchView::verify(&bytes[at..], preamble.salt(), (start + at) as u32);
            let batch = batch.expect("what is written behind a preamble are batches");
            let durable = batch.header.durable;
            assert!(self.is_durable(durable), "a batch says that {durable} is durable");
            for record in batch.records().filter(|record| record.header.kind == Kind::Start) {
                let previous = Start::decode(record.body()).expect("a start record").previous_end;
                assert!(
                    self.is_durable(previous),
                    "a segment begins before the end of the last, {previous}, is durable"
                );
            }
            at += batch.bytes.len();
        }
    }
}

const LIVE: &str = "live";

fn log_path(sequence: u32) -> String {
    format!("log/{sequence:010}.log")
}

fn log_sequence(path: &str) -> Option<u32> {
    path.strip_prefix("log/")?.strip_suffix(".log")?.parse().ok()
}

impl Storage for CheckedDisk {
    fn exists(&self) -> io::Result<bool> {
        Ok(self.state().directories.contains(""))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.state().directories.extend([String::new(), path.to_owned()]);
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let state = self.state();
        let is_here = |name: &str| !name.is_empty() && split_path(name).0 == path;
        let entry =
            |name: &str, len: usize, is_file| Entry { name: split_path(name).1.to_owned(), len: len as u64, is_file };
        let directories = state.directories.iter().filter(|name| is_here(name)).map(|name| entry(name, 0, false));
        let files = state.names.iter().filter(|(name, _)| is_here(name));
        let files = files.map(|(name, file)| entry(name, state.files[*file].bytes.len(), true));
        let mut entries: Vec<Entry> = directories.chain(files).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        let file = state.files.len();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(path.to_owned(), file);
        state.files.push(Content::default());
        drop(state);
        Ok(self.open_file(path, file))
    }

    fn open(&self, path: &str, _: Access) -> io::Result<Arc<dyn File>> {
        let file = self.state().names.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.open_file(path, file))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.state().names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let was_locked = std::mem::replace(&mut self.state().is_locked, true);
        Ok(if was_locked { None } else { Some(Box::new(Lock(self.clone()))) })
    }

    fn is_locked(&self) -> io::Result<bool> {
        Ok(self.state().is_locked)
    }

    fn owner(&self) -> Option<String> {
        None
    }

    fn boot_id(&self) -> [u8; 16] {
        [1; 16]
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(i64::from(self.shared.looks.next()))
    }

    /// A millisecond passes between two looks.
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.shared.looks.next().into())
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.random += 1;
        bytes.fill(state.random);
        Ok(())
    }

    fn is_apart_from_memory(&self) -> bool {
        false
    }

    fn has_threads(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "a disk under a model checker".to_owned()
    }
}

struct Lock(CheckedDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().is_locked = false;
    }
}

#[derive(Debug)]
struct CheckedFile {
    disk: CheckedDisk,
    path: Arc<str>,
    file: usize,
}

impl CheckedFile {
    fn is_log(&self) -> bool {
        log_sequence(&self.path).is_some()
    }
}

impl File for CheckedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let bytes = state.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        if self.is_log() && current_thread().name().is_none() && state.fails(Act::Panic) {
            drop(guard);
            // Not by way of the panic hook, which would tell of a failure that is wanted.
            std::panic::resume_unwind(Box::new(Act::Panic));
        }
        if self.is_log() && state.fails(Act::Write) {
            return Err(io::Error::other("this write was to fail"));
        }
        let start = offset as usize;
        state.watch(&self.path, &state.files[self.file], bytes, start);
        state.writes += 1;
        let content = &mut state.files[self.file];
        content.bytes.resize(content.bytes.len().max(start + bytes.len()), 0);
        content.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = self.disk.state();
        let (written, begun_at) = (state.files[self.file].bytes.clone(), state.writes);
        drop(state);
        // While the disk works, others go on.
        let mut state = self.disk.state();
        if self.is_log() && state.fails(Act::Sync) {
            return Err(io::Error::other("this sync was to fail"));
        }
        let content = &mut state.files[self.file];
        if content.durable_at <= begun_at {
            content.durable = written;
            content.durable_at = begun_at;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].bytes.len() as u64)
    }

    fn map(&self) -> io::Result<Option<SharedBytes>> {
        Ok(None)
    }
}
