//! A file of the operating system.

use super::super::calls::{read_fully, write_fully};
use super::super::map::map_file;
use super::super::{Access, File};
use super::names::open_file;
use super::shelf::Shelf;
use crate::event::SharedBytes;
use crate::sync::{Arc, Mutex};
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::SystemTime;

/// A file of the operating system, open from when it is held or first written until it is retired. While it is only read
/// it stands on a shelf, is closed when the place is wanted, and found again by its name.
pub(super) struct RealFile {
    /// `None` while it is only read.
    held: Mutex<Option<Arc<fs::File>>>,
    shelf: Arc<Shelf<fs::File>>,
    number: u64,
    /// Where it is found again, and by what it is known there.
    root: Arc<OwnedFd>,
    path: String,
    access: Access,
    identity: Identity,
    size_limit: Option<u64>,
}

impl RealFile {
    /// A file that was opened just now.
    pub(super) fn new(
        root: Arc<OwnedFd>,
        path: &str,
        access: Access,
        shelf: Arc<Shelf<fs::File>>,
        file: fs::File,
    ) -> io::Result<RealFile> {
        let identity = identity(&file)?;
        let number = shelf.number();
        shelf.put(number, Arc::new(file));
        let (held, path) = (Mutex::new(None), path.to_owned());
        Ok(RealFile { held, shelf, number, root, path, access, identity, size_limit: size_limit() })
    }

    /// The open file, for a read.
    fn lend(&self) -> io::Result<Arc<fs::File>> {
        if let Some(file) = &*self.held.lock() {
            return Ok(file.clone());
        }
        self.open()
    }

    /// The open file, which stays open until it is retired.
    ///
    /// IMPORTANT: the system tells a failed writeback to whoever had the file open when it failed.
    fn keep_open(&self) -> io::Result<Arc<fs::File>> {
        let mut held = self.held.lock();
        if let Some(file) = &*held {
            return Ok(file.clone());
        }
        let file = self.open()?;
        self.shelf.remove(self.number);
        Ok(held.insert(file).clone())
    }

    fn open(&self) -> io::Result<Arc<fs::File>> {
        if let Some(file) = self.shelf.get(self.number) {
            return Ok(file);
        }
        let found = with_descriptors(&self.shelf, || open_file(self.root.clone(), &self.path, self.access));
        let file = found.map(Arc::new).inspect_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                self.shelf.note_missed();
            }
        })?;
        if identity(&file)? != self.identity {
            self.shelf.note_missed();
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{}` is another file by now", self.path)));
        }
        self.shelf.put(self.number, file.clone());
        Ok(file)
    }
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.lend()?;
        read_fully(buffer, offset, |buffer, offset| file.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_within_limit(&*self.keep_open()?, self.size_limit, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.keep_open()?.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.lend()?.metadata()?.len())
    }

    fn map(&self) -> io::Result<Option<SharedBytes>> {
        // The interpreter knows no maps of files.
        if cfg!(miri) {
            return Ok(None);
        }
        map_file(&*self.lend()?, self.len()?)
    }

    fn expect_reads(&self, ranges: &[(u64, u64)]) {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return };
        let Ok(file) = self.lend() else { return };
        if is_in_memory(&file, first.0) && is_in_memory(&file, last.0 + last.1.saturating_sub(1)) {
            return;
        }
        for (offset, len) in ranges {
            // It is only advice.
            let _ = fadvise(&*file, *offset, NonZeroU64::new(*len), Advice::WillNeed);
        }
    }

    fn hold(&self) -> io::Result<()> {
        self.keep_open().map(drop)
    }

    fn retire(&self) {
        if let Some(file) = self.held.lock().take() {
            self.shelf.put(self.number, file);
        }
    }
}

impl Drop for RealFile {
    fn drop(&mut self) {
        self.shelf.remove(self.number);
    }
}

impl fmt::Debug for RealFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.path)
    }
}

/// What tells a file from any other that may take its name. Numbers are given again, so the time it was made counts too,
/// where the file system knows that. A file system that gives an open file another number later cannot hold a store.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(file: &fs::File) -> io::Result<Identity> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino(), found.created().ok()))
}

/// The largest size the process may write (`RLIMIT_FSIZE`).
pub(super) fn size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

pub(super) fn write_within_limit(file: &fs::File, limit: Option<u64>, bytes: &[u8], offset: u64) -> io::Result<()> {
    let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
    // IMPORTANT: the system would not answer with an error but end the process with SIGXFSZ.
    if limit.is_some_and(|limit| limit < end) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    write_fully(bytes, offset, |bytes, offset| file.write_at(bytes, offset))
}

/// Does something that opens files; where too many are open, those go first that are open only to be read again.
pub(super) fn with_descriptors<T>(shelf: &Shelf<fs::File>, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match act() {
        Err(error) if is_out_of_descriptors(&error) => {
            // Also where nothing stood there: another thread may have closed it all just now.
            shelf.clear();
            act()
        }
        result => result,
    }
}

/// Whether this process, or the system, has too many files open.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Whether a byte of a file can be read without waiting for the disk. Where nobody can tell, it is taken for so.
#[cfg(target_os = "linux")]
fn is_in_memory(file: &fs::File, offset: u64) -> bool {
    let mut byte = [0];
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    let read = rustix::io::preadv2(file, &mut buffers, offset, rustix::io::ReadWriteFlags::NOWAIT);
    read != Err(Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_file: &fs::File, _offset: u64) -> bool {
    true
}
