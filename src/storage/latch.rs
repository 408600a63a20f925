//! The failure latch: the first failed write or sync is remembered, and nothing is written after it.
//!
//! After a failed sync the system may show bytes that the disk does not have, report the next sync as done, and lose
//! them all the same; no errno is an exception. So there is no retrying: what a waiter had asked for is unknown,
//! whatever comes later is refused, and only opening the store again, which reads and copies, finds out what is there.
//!
//! A caller may rely on this: a success of [`LatchedFile::sync`] means that no write and no sync under the same latch
//! had been seen to fail when it returned, even if that sync had begun before the one that failed.

use super::File;
use crate::error::{Error, ErrorKind};
use crate::mutant::Mutant;
use crate::observe::{Observer, spans};
use crate::sync::{Arc, Mutex};
use std::io;

/// Remembers the first failed write or sync; shared by everything that writes to one log.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    /// INVARIANT: set once and never cleared; reopening the store begins with a latch of its own.
    first: Mutex<Option<Error>>,
    /// Is told of it.
    observer: Arc<Observer>,
}

impl Latch {
    pub(crate) fn new(observer: &Arc<Observer>) -> Latch {
        Latch { first: Mutex::new(None), observer: observer.clone() }
    }

    /// Whether writing may go on.
    ///
    /// # Errors
    ///
    /// * [`Poisoned`](ErrorKind::Poisoned): something failed earlier; the source is the first failure.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.failure() {
            Some(first) => Err(Error::with_source(ErrorKind::Poisoned, REFUSAL, first)),
            None => Ok(()),
        }
    }

    /// The first failure: what was being done, with the system's error as its source.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.first.lock().clone()
    }

    /// Lets the latch fall, if it had not fallen before, and gives the answer for whoever was doing `act`:
    /// it may or may not have happened.
    pub(crate) fn trip(&self, act: &str, error: &io::Error) -> Error {
        let failure = Error::io(act, copy_of(error));
        let is_first = {
            let mut first = self.first.lock();
            let is_first = first.is_none();
            first.get_or_insert_with(|| failure.clone());
            is_first
        };
        if is_first {
            spans::poisoned(&self.observer, &failure);
        }
        Error::with_source(ErrorKind::OutcomeUnknown, act, copy_of(error))
    }

    /// For an act that succeeded by itself: its success counts only if nothing else had failed meanwhile.
    fn confirm(&self, act: impl FnOnce() -> String) -> Result<(), Error> {
        match self.failure() {
            Some(first) => Err(Error::with_source(ErrorKind::OutcomeUnknown, act(), first)),
            None => Ok(()),
        }
    }
}

const REFUSAL: &str = "writing: a write or a sync failed earlier, and nothing is written until the store is reopened";

/// `io::Error` cannot be cloned, and one failure is the answer to many.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// A file that is written only as long as the latch stands.
#[derive(Debug)]
pub(crate) struct LatchedFile {
    file: Arc<dyn File>,
    latch: Arc<Latch>,
    /// How errors name the file: `segment 17`.
    place: String,
    /// Held while the system syncs this file. The system reports a failed writeback to one of several syncs
    /// only, so a second one must not be answered before the first has had its chance to let the latch fall.
    turn: Mutex<()>,
}

impl LatchedFile {
    pub(crate) fn new(file: Arc<dyn File>, latch: Arc<Latch>, place: impl Into<String>) -> LatchedFile {
        LatchedFile { file, latch, place: place.into(), turn: Mutex::new(()) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// * [`Poisoned`](ErrorKind::Poisoned): something failed earlier; the file was not touched.
    /// * [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): this failed, or something else did meanwhile.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.latch.check()?;
        let act = || format!("writing {} bytes at byte {offset} of {}", bytes.len(), self.place);
        match self.file.write_at(bytes, offset) {
            Ok(()) => self.latch.confirm(act),
            Err(error) if Mutant::DoesNotLatchAWrite.is_on() => Err(Error::io(act(), error)),
            Err(error) => Err(self.latch.trip(&act(), &error)),
        }
    }

    /// Makes everything durable that was written before the call.
    ///
    /// # Errors
    ///
    /// * [`Poisoned`](ErrorKind::Poisoned): something failed earlier; the file was not touched.
    /// * [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): this failed, or something else did meanwhile.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let _turn = self.turn.lock();
        self.latch.check()?;
        let act = || format!("syncing {}", self.place);
        match self.file.sync() {
            Err(_) if Mutant::RetriesASync.is_on() && self.file.sync().is_ok() => Ok(()),
            Err(error) if Mutant::DoesNotLatchASync.is_on() => Err(Error::io(act(), error)),
            // IMPORTANT: looking again is what keeps a sync that began earlier from acknowledging anything after
            // another one has failed.
            Ok(()) => self.latch.confirm(act),
            Err(error) => Err(self.latch.trip(&act(), &error)),
        }
    }
}

impl Drop for LatchedFile {
    fn drop(&mut self) {
        // Whoever wrote goes on in another file; this one is only read from now on.
        self.file.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SharedBytes;
    use crate::sync::{AtomicU64, Ordering};
    use std::error::Error as _;

    type Act = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

    /// Does what it is told when written or synced, and counts how often it is touched.
    struct Scripted {
        act: Act,
        touched: AtomicU64,
    }

    impl std::fmt::Debug for Scripted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("scripted file")
        }
    }

    impl Scripted {
        fn new(act: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Arc<Scripted> {
            Arc::new(Scripted { act: Box::new(act), touched: AtomicU64::new(0) })
        }

        fn touch(&self) -> io::Result<()> {
            self.touched.fetch_add(1, Ordering::Relaxed);
            (self.act)()
        }

        fn touched(&self) -> u64 {
            self.touched.load(Ordering::Relaxed)
        }
    }

    impl File for Scripted {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            self.touch()
        }
        fn sync(&self) -> io::Result<()> {
            self.touch()
        }
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn map(&self) -> io::Result<Option<SharedBytes>> {
            Ok(None)
        }
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_standing_latch_lets_everything_through() {
        let file = Scripted::new(|| Ok(()));
        let latched = LatchedFile::new(file.clone(), Arc::default(), "segment 1");
        latched.write_at(b"abc", 0).unwrap();
        latched.sync().unwrap();
        assert_eq!(file.touched(), 2);
    }

    #[test]
    fn the_failing_act_has_an_unknown_outcome_and_what_follows_is_refused_untouched() {
        for sync in [false, true] {
            let file = Scripted::new(|| Err(full()));
            let latch = Arc::<Latch>::default();
            let latched = LatchedFile::new(file.clone(), latch.clone(), "segment 17");
            let failed = if sync { latched.sync() } else { latched.write_at(b"abc", 512) }.unwrap_err();
            let act = if sync { "syncing segment 17" } else { "writing 3 bytes at byte 512 of segment 17" };
            assert_eq!((failed.kind(), failed.to_string().as_str()), (ErrorKind::OutcomeUnknown, act));

            for refused in [latched.write_at(b"d", 0), latched.sync(), latch.check()] {
                let refused = refused.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Poisoned);
                assert_eq!(refused.source().unwrap().to_string(), act);
            }
            assert_eq!(file.touched(), 1);
        }
    }

    #[test]
    fn only_the_first_failure_is_remembered() {
        let latch = Latch::default();
        assert!(latch.failure().is_none() && latch.check().is_ok());
        latch.trip("syncing log", &io::Error::from_raw_os_error(5));
        latch.trip("writing live", &full());
        let first = latch.failure().unwrap();
        assert_eq!(first.to_string(), "syncing log");
        let cause = first.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.raw_os_error(), Some(5));
    }

    #[test]
    fn a_sync_that_succeeds_after_another_one_failed_is_no_success() {
        let latch = Arc::<Latch>::default();
        let other = latch.clone();
        let slow = Scripted::new(move || {
            other.trip("syncing segment 2", &full());
            Ok(())
        });
        let latched = LatchedFile::new(slow, latch, "segment 1");
        let error = latched.sync().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(error.to_string(), "syncing segment 1");
        assert_eq!(error.source().unwrap().to_string(), "syncing segment 2");
    }

    #[test]
    fn a_waiting_sync_of_the_same_file_is_refused_once_the_one_before_it_failed() {
        let file = Scripted::new(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Err(full())
        });
        let latched = LatchedFile::new(file.clone(), Arc::default(), "segment 1");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| latched.sync().unwrap_err());
            }
        });
        assert_eq!(file.touched(), 1);
    }
}
