//! The real disk: a directory of the operating system.
//!
//! The only place that touches `std::fs`, and where platforms differ. Promises are made for Linux; other
//! Unix systems get the same calls. Everything goes through a handle of the store's directory, so a directory that
//! is moved while the store is open stays the same store, and no link inside it is ever followed.

mod file;
mod names;
mod shelf;

use super::calls::read_fully;
use super::{Access, Entry, File, LOCK_FILE, Storage, path_parts, split_path};
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use file::{RealFile, size_limit, with_descriptors, write_within_limit};
use names::{
    directory_below, open_directory, open_file, open_store_directory, sync_directory, sync_parent, without_modes,
};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use shelf::Shelf;
use std::fmt;
use std::fs::{self, DirBuilder, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);
/// The text in the lock file has a fixed length, so that a shorter one replaces a longer one in a single write.
const OWNER_BYTES: usize = 32;

/// At most so many files are kept open that are only read. A log may have any number of files, and a process may open
/// about a thousand where nobody has said otherwise.
const READ_FILES_MAX: usize = 64;

/// A directory of the operating system.
pub(crate) struct RealDisk {
    path: PathBuf,
    /// The handle of the directory, from the first time it was found there.
    root: Mutex<Option<Arc<OwnedFd>>>,
    shelf: Arc<Shelf<fs::File>>,
    boot_id: [u8; 16],
    began: Instant,
}

impl RealDisk {
    /// The directory at `path`, which need not exist. A link to a directory is resolved once, here.
    pub(crate) fn new(path: &Path) -> RealDisk {
        // A path that cannot be resolved is kept, and the first operation says what is wrong with it.
        let resolved = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let path = resolved.unwrap_or_else(|_| path.to_owned());
        let shelf = Arc::new(Shelf::new(READ_FILES_MAX));
        RealDisk { path, root: Mutex::new(None), shelf, boot_id: boot_id(), began: Instant::now() }
    }

    fn root(&self) -> io::Result<Arc<OwnedFd>> {
        let mut root = self.root.lock();
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let opened = open_store_directory(&self.path)?;
        Ok(root.insert(Arc::new(opened)).clone())
    }

    fn directory(&self, path: &str) -> io::Result<Arc<OwnedFd>> {
        directory_below(self.root()?, path)
    }

    /// Creates the store's own directory and those above it, each durable before the next is made.
    ///
    /// What cannot be made durable is taken away again, here and below: after a failed sync the next one may say that it
    /// is done, and the name be gone after a power cut all the same.
    fn create_root(&self) -> io::Result<()> {
        let missing: Vec<&Path> = self.path.ancestors().take_while(|path| !path.exists()).collect();
        if missing.is_empty() {
            // Whoever made it may have died before its name was durable. A parent that may not be opened is
            // somebody else's, and so is its durability.
            return match sync_parent(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                result => result,
            };
        }
        for path in missing.into_iter().rev() {
            let is_own = path == self.path;
            let mode = if is_own { 0o700 } else { 0o777 };
            let made = DirBuilder::new().mode(mode).create(path);
            match &made {
                Ok(()) if is_own => fs::set_permissions(path, Permissions::from_mode(mode)).or_else(without_modes)?,
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return made,
                Ok(()) | Err(_) => {}
            }
            sync_parent(path).inspect_err(|_| {
                if made.is_ok() {
                    let _ = fs::remove_dir(path);
                }
            })?;
        }
        Ok(())
    }

    /// The file of the lock stays open for as long as the lock is held.
    fn open_lock_file(&self) -> io::Result<fs::File> {
        loop {
            match open_file(self.root()?, LOCK_FILE, Access::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
            match self.create_file(LOCK_FILE) {
                // Somebody else made it in between.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
    }

    fn create_file(&self, path: &str) -> io::Result<fs::File> {
        let (directory, name) = split_path(path);
        let directory = self.directory(directory)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(&directory, name, flags, FILE_MODE))?;
        // The umask may have taken bits away.
        rustix::fs::fchmod(&file, FILE_MODE).map_err(io::Error::from).or_else(without_modes)?;
        Ok(file.into())
    }

    /// Does something that opens files; where too many are open, those go first that are open only to be read again.
    fn with_descriptors<T>(&self, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        with_descriptors(&self.shelf, act)
    }
}

impl Storage for RealDisk {
    fn exists(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) if found.is_dir() => Ok(true),
            Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.with_descriptors(|| self.create_root())?;
        let mut directory = self.with_descriptors(|| self.root())?;
        for part in path_parts(path) {
            let made = rustix::fs::mkdirat(&directory, part, DIRECTORY_MODE);
            match made {
                Ok(()) => rustix::fs::chmodat(&directory, part, DIRECTORY_MODE, AtFlags::empty())
                    .map_err(io::Error::from)
                    .or_else(without_modes)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let opened = self.with_descriptors(|| open_directory(&directory, part))?;
            // Also where it existed: whoever made it may have died before its name was durable.
            sync_directory(&directory).inspect_err(|_| {
                if made.is_ok() {
                    let _ = rustix::fs::unlinkat(&directory, part, AtFlags::REMOVEDIR);
                }
            })?;
            directory = Arc::new(opened);
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let directory = self.with_descriptors(|| self.directory(path))?;
        let mut entries = Vec::new();
        for found in self.with_descriptors(|| Ok(Dir::read_from(&directory)?))? {
            let found = found?;
            let name = found.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let stat = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Removed since the directory was read.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
            let len = if is_file { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
            entries.push(Entry { name: name.to_string_lossy().into_owned(), len, is_file });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file = self.with_descriptors(|| self.create_file(path))?;
        let file = RealFile::new(self.root()?, path, Access::ReadWrite, self.shelf.clone(), file)?;
        file.hold()?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let file = self.with_descriptors(|| open_file(self.root()?, path, access))?;
        Ok(Arc::new(RealFile::new(self.root()?, path, access, self.shelf.clone(), file)?))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (directory, name) = split_path(path);
        let directory = self.with_descriptors(|| self.directory(directory))?;
        Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let directory = self.with_descriptors(|| self.directory(path))?;
        sync_directory(&directory)
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let lock = self.with_descriptors(|| self.open_lock_file())?;
        if !could_lock(|| lock.try_lock())? {
            return Ok(None);
        }
        let owner = format!("{:<width$}\n", std::process::id(), width = OWNER_BYTES - 1);
        // A courtesy: on a full disk the lock holds without it.
        let _ = write_within_limit(&lock, size_limit(), owner.as_bytes(), 0);
        Ok(Some(Box::new(lock)))
    }

    fn is_locked(&self) -> io::Result<bool> {
        let lock = match self.with_descriptors(|| open_file(self.root()?, LOCK_FILE, Access::Read)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Given back at once, by closing. A writer that meets it tries again.
        Ok(!could_lock(|| lock.try_lock_shared())?)
    }

    fn owner(&self) -> Option<String> {
        let lock = self.with_descriptors(|| open_file(self.root()?, LOCK_FILE, Access::Read)).ok()?;
        let mut text = [0; OWNER_BYTES];
        let len = read_fully(&mut text, 0, |buffer, offset| lock.read_at(buffer, offset)).ok()?;
        let printable = text[..len].iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
        let owner: String = printable.map(|byte| char::from(*byte)).collect();
        let owner = owner.trim();
        (!owner.is_empty()).then(|| owner.to_owned())
    }

    fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }

    fn room(&self) -> io::Result<Option<u64>> {
        let found = retry_on_intr(|| rustix::fs::statvfs(&*self.path))?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }

    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        system_random(bytes)
    }

    fn has_threads(&self) -> bool {
        true
    }

    fn has_missed_a_file(&self) -> bool {
        self.shelf.take_missed()
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

impl fmt::Debug for RealDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.path.display())
    }
}

/// Whether a lock was to be had. The standard library does not repeat a call here that a signal interrupted.
fn could_lock(attempt: impl Fn() -> Result<(), TryLockError>) -> io::Result<bool> {
    loop {
        match attempt() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Zeros where it is not known, as outside Linux.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    uuid::Uuid::try_parse(text.trim()).map_or([0; 16], uuid::Uuid::into_bytes)
}

/// Fills the buffer from the system's source of randomness.
#[cfg(target_os = "linux")]
pub(super) fn system_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += retry_on_intr(|| rustix::rand::getrandom(&mut bytes[filled..], flags))?;
    }
    Ok(())
}

/// Fills the buffer from the system's source of randomness.
#[cfg(not(target_os = "linux"))]
pub(super) fn system_random(bytes: &mut [u8]) -> io::Result<()> {
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, bytes)
}

#[cfg(test)]
mod tests;
