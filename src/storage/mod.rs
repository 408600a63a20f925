//! The seam between the store and what it stands on: files, names, a lock, a clock and randomness.
//!
//! There are two sides: the real disk, and a simulated one in memory that knows what a crash would lose.
//! Nothing above this floor touches `std::fs`, asks for the time or makes a random number.
//!
//! Paths are relative to the store's directory, with `/` between the parts; the empty path is the directory
//! itself. They are made by the crate, never from a name a user gave.

mod calls;
#[cfg(all(test, any(scorebook_loom, scorebook_shuttle)))]
mod checked;
mod disk;
mod latch;
mod map;
#[cfg(all(test, scorebook_loom))]
mod models;
mod simulated;

#[cfg(all(test, any(scorebook_loom, scorebook_shuttle)))]
pub(crate) use checked::{Act, CheckedDisk};
pub(crate) use disk::RealDisk;
pub(crate) use latch::{Latch, LatchedFile};
pub use simulated::{
    CrashChoice, DiskFault, DiskOperation, FaultEffect, FlippedBit, Mischief, Misplacement, SimulatedDisk, SyncFailure,
};

use crate::event::SharedBytes;
use crate::time::Timestamp;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// A directory that holds a store, with everything else the store needs from outside.
pub(crate) trait Storage: Debug + Send + Sync {
    /// Whether the store's directory exists.
    fn exists(&self) -> io::Result<bool>;

    /// Creates a directory (mode 0700), and the store's own before it where that is missing too. Fine if it exists.
    /// The names are durable only once the parents are synced, which this does; where that fails, what was made is
    /// taken away again.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// What a directory holds, sorted by name. Names that are not UTF-8 are given lossily.
    fn list(&self, path: &str) -> io::Result<Vec<Entry>>;

    /// Creates a file (mode 0600) that must not exist yet, for reading and writing. Links are not followed.
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file that exists. Links are not followed, and anything but a regular file is refused.
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory durable. A file system that knows no such thing is not an error.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Tries to become the one writer. `None` where somebody else is. The lock lasts until the value is dropped,
    /// or the process ends. Writes the process id into the file as a courtesy; that failing is ignored.
    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// Whether a writer holds the lock at this moment. Changes nothing and creates nothing.
    fn is_locked(&self) -> io::Result<bool>;

    /// What the lock file says about its owner, if it can be read.
    fn owner(&self) -> Option<String>;

    /// Identifies this run of the machine: writes that reached the system before have survived as long as it is the same.
    fn boot_id(&self) -> [u8; 16];

    /// The time by the wall clock.
    fn now(&self) -> Timestamp;

    /// Time that only rises, for waiting: the duration since some fixed moment.
    fn elapsed(&self) -> std::time::Duration;

    /// Fills the buffer with random bytes.
    fn random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// Whether work may be left to threads of the store's own. Where not, everything happens on the caller's
    /// thread, one operation after the other, and can be repeated exactly.
    fn has_threads(&self) -> bool;

    /// Whether files take other room than memory, so that writing there what is in memory is worth it.
    fn is_apart_from_memory(&self) -> bool {
        true
    }

    /// Whether a file that was opened before was not found again since this was asked last: somebody has removed it.
    fn has_missed_a_file(&self) -> bool {
        false
    }

    /// How many bytes there is room for, where that is known.
    fn room(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// How a person would name the store's directory, for errors.
    fn describe(&self) -> String;
}

/// An open file.
pub(crate) trait File: Debug + Send + Sync {
    /// Reads until the buffer is full or the file ends; how much was read. Interrupted calls are repeated.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of it. Interrupted and short writes are continued.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content and the size durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// The size in bytes.
    fn len(&self) -> io::Result<u64>;

    /// The whole file as bytes in memory that follow what is written to it, or `None` where there are no maps.
    ///
    /// The file never changes its size, and only bytes that are never written again are looked at.
    fn map(&self) -> io::Result<Option<SharedBytes>>;

    /// Says that it is going to be written: it stays open, so that writing needs nothing of the system but room.
    fn hold(&self) -> io::Result<()> {
        Ok(())
    }

    /// Says which bytes are going to be read soon: places and lengths, rising. Where they are known to be in memory, the
    /// first and the last of them standing for all, nothing is done.
    fn expect_reads(&self, _ranges: &[(u64, u64)]) {}

    /// Says that nothing more is written and no sync of it waited for: it may be closed, and opened again for a read.
    fn retire(&self) {}
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// Something a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) is_file: bool,
}

/// The file that holds the lock.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// The parts of a path, from the store's directory down.
fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    assert!(path.is_empty() || path.split('/').all(|part| !["", ".", ".."].contains(&part)), "not a path: {path:?}");
    path.split('/').filter(|part| !part.is_empty())
}

/// The directory a path lies in, and its name there.
fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests;
