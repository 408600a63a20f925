//! The failure latch under loom. See `log/models` for how to run it.

use super::{File, Latch, LatchedFile};
use crate::event::SharedBytes;
use crate::sync::explore::{explore, spawn};
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};
use std::io;

/// A file of which one sync fails. The system tells one of those who sync of it, and the others nothing.
#[derive(Debug)]
struct Failing {
    is_told: Mutex<bool>,
}

impl Failing {
    fn new() -> Arc<Failing> {
        Arc::new(Failing { is_told: Mutex::new(false) })
    }
}

impl File for Failing {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        let was_told = std::mem::replace(&mut *self.is_told.lock(), true);
        if was_told { Ok(()) } else { Err(io::Error::other("this sync was to fail")) }
    }
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn map(&self) -> io::Result<Option<SharedBytes>> {
        Ok(None)
    }
}

/// A file that can be synced, and notes whether the failure of another was known by then.
#[derive(Debug)]
struct Watching {
    is_known: Arc<AtomicU32>,
    was_known: AtomicU32,
}

impl File for Watching {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        self.was_known.store(self.is_known.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn map(&self) -> io::Result<Option<SharedBytes>> {
        Ok(None)
    }
}

#[test]
fn of_two_that_sync_a_file_neither_is_told_that_all_is_well_when_it_fails() {
    explore("two syncs of one file", 5, || {
        let file = Arc::new(LatchedFile::new(Failing::new(), Arc::default(), "segment 1"));
        let other = file.clone();
        let other = spawn(move || other.sync().is_err());
        assert!(file.sync().is_err(), "what both waited for was lost");
        assert!(other.join().expect("it ends"), "what both waited for was lost");
        assert!(file.write_at(b"more", 0).is_err());
    });
}

#[test]
fn a_sync_that_ends_when_the_failure_of_another_is_known_is_no_success() {
    explore("syncs of two files", 5, || {
        let (latch, is_known) = (Arc::<Latch>::default(), Arc::new(AtomicU32::new(0)));
        let watching = Arc::new(Watching { is_known: is_known.clone(), was_known: AtomicU32::new(0) });
        let file = LatchedFile::new(watching.clone(), latch.clone(), "segment 1");
        let other = LatchedFile::new(Failing::new(), latch, "segment 2");
        let failing = spawn(move || {
            other.sync().expect_err("it was to fail");
            is_known.store(1, Ordering::SeqCst);
        });
        let answer = file.sync();
        assert!(answer.is_err() || watching.was_known.load(Ordering::SeqCst) == 0, "acknowledged after a failure");
        failing.join().expect("it ends");
        assert!(file.sync().is_err());
    });
}
