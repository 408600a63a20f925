//! The reading side of a store that another process may be writing.

use super::audience::Audience;
use super::info::KnownOfLog;
use super::view::{SharedView, View};
use crate::error::Error;
use crate::index::{Lookup, SavedTable, Shelf};
use crate::log::{
    CloseState, Follower, Look, Opened, RecoveryReport, durable_position, is_same_writer, open_for_reading, read_live,
};
use crate::options::Options;
use crate::position::Place;
use crate::snapshot::furthest_witness;
use crate::storage::Storage;
use crate::sync::{Arc, Mutex, RwLock, sleep};

/// A store that is open for reading only.
pub(super) struct Reader {
    state: Mutex<State>,
}

struct State {
    /// Replaced as a whole when the log must be opened anew, so that reads that have begun keep what they have.
    view: Arc<SharedView>,
    follower: Follower,
    /// What opening found.
    report: RecoveryReport,
    of_log: KnownOfLog,
}

/// How often opening is tried again when files vanish under it because a writer recovers at this moment.
const ATTEMPTS: u32 = 20;

impl Reader {
    pub(super) fn open(
        storage: &Arc<dyn Storage>,
        options: &Options,
        audience: &Arc<Audience>,
    ) -> Result<Reader, Error> {
        Ok(Reader { state: Mutex::new(open(storage, options, audience)?) })
    }

    /// Forgets everything and opens the log again.
    pub(super) fn open_anew(&self, storage: &Arc<dyn Storage>, options: &Options) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.open_anew(storage, options)
    }

    pub(super) fn report(&self) -> RecoveryReport {
        self.state.lock().report.clone()
    }

    pub(super) fn known_of_log(&self) -> KnownOfLog {
        self.state.lock().of_log
    }

    /// What is visible by now.
    pub(super) fn view(&self, storage: &Arc<dyn Storage>, options: &Options) -> Result<Arc<SharedView>, Error> {
        let mut state = self.state.lock();
        if storage.has_missed_a_file() {
            // Another process has compacted: what was closed here in between is found under its new names.
            state.open_anew(storage, options)?;
            return Ok(state.view.clone());
        }
        let live = match state.follower.look(&**storage) {
            Look::Same => {
                state.note_ends();
                return Ok(state.view.clone());
            }
            Look::More(live) => Some(live),
            Look::Anew => None,
        };
        if let Some(live) = live {
            let shared = state.view.clone();
            let mut started = |segment: &Arc<crate::segment::Segment>| shared.0.write().begin(segment);
            let followed = state.follower.advance(
                &**storage,
                options.read_mode,
                &live,
                &mut started,
                &mut |segment, batch, head| {
                    let mut view = shared.0.write();
                    let place = Place { segment: segment.sequence(), offset: batch.offset };
                    view.batch(place, batch, head).is_ok()
                },
            );
            // What cannot be followed is opened anew, which says what is wrong if that does not help.
            if followed.unwrap_or(false) {
                while shared.pack(None) {}
                if state.report.damage().is_empty() {
                    shared.take_from(&Shelf { storage: &**storage, mode: options.read_mode });
                }
                state.note_ends();
                state.of_log.epoch = live.epoch;
                return Ok(shared);
            }
        }
        state.open_anew(storage, options)?;
        Ok(state.view.clone())
    }
}

impl State {
    /// Notes how far the writer says that the log reaches.
    fn note_ends(&mut self) {
        let Some(live) = self.follower.seen() else { return };
        let ends = &mut self.of_log.ends;
        if (ends.visible, ends.durable) != (live.visible_end, live.durable_end) {
            (ends.visible, ends.durable) = (live.visible_end, live.durable_end);
            ends.visible_position = live.visible_position;
            ends.durable_position = durable_position(&self.view.0.read().segments, ends);
        }
    }

    fn open_anew(&mut self, storage: &Arc<dyn Storage>, options: &Options) -> Result<(), Error> {
        let audience = self.view.1.clone();
        let state = open(storage, options, &audience)?;
        audience.note_opening(&self.view, &state.view);
        *self = state;
        Ok(())
    }
}

fn open(storage: &Arc<dyn Storage>, options: &Options, audience: &Arc<Audience>) -> Result<State, Error> {
    let mut attempt = 0;
    let mut was_locked;
    let opened: Opened<Lookup> = loop {
        attempt += 1;
        was_locked = storage.is_locked().unwrap_or(false);
        let said = read_live(&**storage);
        // A writer may have come or gone while the log was read, so both moments count. One that came and went in between
        // is told by `live`, in which each leaves its mark.
        let witness = furthest_witness(&**storage, SavedTable::read(&**storage).as_ref());
        let opened = open_for_reading(&**storage, options, witness.as_ref(), Lookup::of_store);
        let has_changed = read_live(&**storage) != said;
        let was_changing = has_changed || was_locked || storage.is_locked().unwrap_or(false);
        match opened {
            Ok(opened) if ATTEMPTS <= attempt => break opened,
            Ok(opened) if opened.report.close_state == CloseState::Open => {
                if is_same_writer(&**storage, opened.seen.as_ref()) && opened.report.damage().is_empty() {
                    break opened;
                }
            }
            Ok(_) if has_changed => {}
            Ok(opened) if opened.report.damage().is_empty() => break opened,
            // A writer may be recovering right now: files vanish and others take their place.
            Ok(_) if was_changing => {}
            Ok(opened) => break opened,
            Err(error) if ATTEMPTS <= attempt || !was_changing => return Err(error),
            Err(_) => {}
        }
        if storage.has_threads() {
            sleep(std::time::Duration::from_millis(5));
        }
    };
    let last = opened.segments.last().cloned();
    let is_beside_writer = opened.report.close_state == CloseState::Open;
    let follower = Follower::new(opened.seen, is_beside_writer, was_locked, opened.sequence, last);
    let report = opened.report.clone();
    let of_log = KnownOfLog { store: opened.store, epoch: opened.sequence.epoch, ends: opened.ends };
    let view = Arc::new(SharedView(RwLock::new(View::new(opened)), audience.clone()));
    if report.damage().is_empty() {
        view.take_from(&Shelf { storage: &**storage, mode: options.read_mode });
    }
    Ok(State { view, follower, report, of_log })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NewEvent, SharedBytes};
    use crate::name::StreamName;
    use crate::position::ExpectedVersion::Any;
    use crate::storage::{Access, Entry, File, SimulatedDisk};
    use crate::store::EventStore;
    use crate::sync::{AtomicU64, Ordering};
    use crate::time::Timestamp;
    use std::io;
    use std::time::Duration;

    /// Happens once, between two calls of a reader.
    struct Interruption {
        left: AtomicU64,
        what: Box<dyn Fn() + Send + Sync>,
    }

    impl Interruption {
        fn pass(&self) {
            let left = self.left.load(Ordering::Relaxed);
            self.left.store(left.saturating_sub(1), Ordering::Relaxed);
            if left == 1 {
                (self.what)();
            }
        }

        fn is_over(&self) -> bool {
            self.left.load(Ordering::Relaxed) == 0
        }
    }

    /// A disk on which a call may be interrupted. Locks are not seen on it: whoever took one is gone again when the
    /// reader looks.
    struct Interrupted {
        disk: SimulatedDisk,
        interruption: Arc<Interruption>,
    }

    struct InterruptedFile {
        file: Arc<dyn File>,
        interruption: Arc<Interruption>,
    }

    impl std::fmt::Debug for Interrupted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("interrupted disk")
        }
    }

    impl std::fmt::Debug for InterruptedFile {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.file.fmt(f)
        }
    }

    impl Interrupted {
        /// 0 stands for never.
        fn at_call(number: u64, disk: &SimulatedDisk, what: impl Fn() + Send + Sync + 'static) -> Arc<Interrupted> {
            let interruption = Interruption { left: AtomicU64::new(number), what: Box::new(what) };
            Arc::new(Interrupted { disk: disk.clone(), interruption: Arc::new(interruption) })
        }

        fn disk(&self) -> &SimulatedDisk {
            self.interruption.pass();
            &self.disk
        }
    }

    impl File for InterruptedFile {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.interruption.pass();
            self.file.read_at(buffer, offset)
        }
        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.file.write_at(bytes, offset)
        }
        fn sync(&self) -> io::Result<()> {
            self.file.sync()
        }
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn map(&self) -> io::Result<Option<SharedBytes>> {
            self.file.map()
        }
    }

    impl Storage for Interrupted {
        fn exists(&self) -> io::Result<bool> {
            self.disk().exists()
        }
        fn create_dir(&self, path: &str) -> io::Result<()> {
            self.disk().create_dir(path)
        }
        fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
            self.disk().list(path)
        }
        fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
            self.disk().create(path)
        }
        fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>> {
            let file = self.disk().open(path, access)?;
            Ok(Arc::new(InterruptedFile { file, interruption: self.interruption.clone() }))
        }
        fn remove(&self, path: &str) -> io::Result<()> {
            self.disk().remove(path)
        }
        fn sync_dir(&self, path: &str) -> io::Result<()> {
            self.disk().sync_dir(path)
        }
        fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
            Ok(Some(Box::new(())))
        }
        fn is_locked(&self) -> io::Result<bool> {
            self.disk();
            Ok(false)
        }
        fn owner(&self) -> Option<String> {
            None
        }
        fn boot_id(&self) -> [u8; 16] {
            self.disk.boot_id()
        }
        fn now(&self) -> Timestamp {
            self.disk.now()
        }
        fn elapsed(&self) -> Duration {
            self.disk.elapsed()
        }
        fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
            self.disk.random(bytes)
        }
        fn has_threads(&self) -> bool {
            false
        }
        fn describe(&self) -> String {
            self.disk.describe()
        }
    }

    /// Opens the store, appends over several segments, and is gone: closed, or killed.
    fn write(disk: &SimulatedDisk, is_killed: bool) {
        let store = options().open_on(Interrupted::at_call(0, disk, || {})).unwrap();
        let game = StreamName::new("game-1").unwrap();
        for _ in 0..EVENTS {
            let event = NewEvent::bytes("weighed", [7; 2_000]);
            store.append(&game, Any, [event]).wait().unwrap();
        }
        if is_killed {
            std::mem::forget(store);
        } else {
            store.close().unwrap();
        }
    }

    fn options() -> Options {
        EventStore::options().segment_bytes_max(32 * 1024)
    }

    const EVENTS: u64 = 40;

    #[test]
    fn a_writer_that_comes_and_goes_under_an_opening_reader_is_no_damage() {
        for (was_killed, is_killed) in [(false, false), (false, true), (true, false), (true, true)] {
            for call in 1.. {
                let disk = SimulatedDisk::new(call);
                write(&disk, was_killed);
                let writer = disk.clone();
                let storage = Interrupted::at_call(call, &disk, move || write(&writer, is_killed));
                let store = options().open_on_read_only(storage.clone()).unwrap();
                let report = store.recovery_report();
                assert!(report.damage().is_empty(), "{report}, interrupted at call {call}");
                let seen = store.read_all().into_iter().map(Result::unwrap).fold(0, |seen, _| seen + 1);
                assert!(seen == EVENTS || seen == 2 * EVENTS, "{seen} events, interrupted at call {call}");
                if !storage.interruption.is_over() {
                    assert!(10 < call, "a reader makes more calls than {call}");
                    break;
                }
            }
        }
    }
}
