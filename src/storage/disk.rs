//! The real disk: a directory of the operating system.
//!
//! The only file that touches `std::fs`, and the place where platforms differ. Promises are made for Linux; other
//! Unix systems get the same calls. Everything goes through a handle of the store's directory, so a directory that
//! is moved while the store is open stays the same store, and no link inside it is ever followed.

use super::calls::{read_fully, write_fully};
use super::map::map_file;
use super::{Access, Entry, File, LOCK_FILE, Storage, path_parts, split_path};
use crate::event::SharedBytes;
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::fs::{self, DirBuilder, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);
const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The text in the lock file has a fixed length, so that a shorter one replaces a longer one in a single write.
const OWNER_BYTES: usize = 32;

/// A directory of the operating system.
pub(crate) struct RealDisk {
    path: PathBuf,
    /// The handle of the directory, from the first time it was found there.
    root: Mutex<Option<Arc<OwnedFd>>>,
    began: Instant,
}

impl RealDisk {
    /// The directory at `path`, which need not exist. A link to a directory is resolved once, here.
    pub(crate) fn new(path: &Path) -> RealDisk {
        // A path that cannot be resolved is kept, and the first operation says what is wrong with it.
        let resolved = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let path = resolved.unwrap_or_else(|_| path.to_owned());
        RealDisk { path, root: Mutex::new(None), began: Instant::now() }
    }

    fn root(&self) -> io::Result<Arc<OwnedFd>> {
        let mut root = self.root.lock();
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let opened = retry_on_intr(|| rustix::fs::open(&self.path, DIRECTORY_FLAGS, Mode::empty()))?;
        Ok(root.insert(Arc::new(opened)).clone())
    }

    fn directory(&self, path: &str) -> io::Result<Arc<OwnedFd>> {
        let mut directory = self.root()?;
        for part in path_parts(path) {
            directory = Arc::new(open_directory(&directory, part)?);
        }
        Ok(directory)
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

    fn open_lock_file(&self) -> io::Result<RealFile> {
        loop {
            match self.open_file(LOCK_FILE, Access::ReadWrite) {
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

    fn create_file(&self, path: &str) -> io::Result<RealFile> {
        let (directory, name) = split_path(path);
        let directory = self.directory(directory)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(&directory, name, flags, FILE_MODE))?;
        // The umask may have taken bits away.
        rustix::fs::fchmod(&file, FILE_MODE).map_err(io::Error::from).or_else(without_modes)?;
        Ok(RealFile::new(file.into()))
    }

    fn open_file(&self, path: &str, access: Access) -> io::Result<RealFile> {
        let (directory, name) = split_path(path);
        let directory = self.directory(directory)?;
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
        };
        // Without NONBLOCK, opening a pipe would wait for its other end. To a regular file it means nothing.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let opened = retry_on_intr(|| rustix::fs::openat(&directory, name, flags, Mode::empty()));
        let found = match &opened {
            Ok(file) => rustix::fs::fstat(file)?,
            Err(error) => {
                rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| io::Error::from(*error))?
            }
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(RealFile::new(opened?.into())),
            other => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{path}` is {}, not a regular file", describe_type(other)),
            )),
        }
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
        self.create_root()?;
        let mut directory = self.root()?;
        for part in path_parts(path) {
            let made = rustix::fs::mkdirat(&directory, part, DIRECTORY_MODE);
            match made {
                Ok(()) => rustix::fs::chmodat(&directory, part, DIRECTORY_MODE, AtFlags::empty())
                    .map_err(io::Error::from)
                    .or_else(without_modes)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let opened = open_directory(&directory, part)?;
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
        let directory = self.directory(path)?;
        let mut entries = Vec::new();
        for found in Dir::read_from(&directory)? {
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
        Ok(Arc::new(self.create_file(path)?))
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(path, access)?))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (directory, name) = split_path(path);
        Ok(rustix::fs::unlinkat(self.directory(directory)?, name, AtFlags::empty())?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let directory = self.directory(path)?;
        sync_directory(&directory)
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let lock = self.open_lock_file()?;
        if !could_lock(|| lock.file.try_lock())? {
            return Ok(None);
        }
        let owner = format!("{:<width$}\n", std::process::id(), width = OWNER_BYTES - 1);
        // A courtesy: on a full disk the lock holds without it.
        let _ = lock.write_at(owner.as_bytes(), 0);
        Ok(Some(Box::new(lock)))
    }

    fn is_locked(&self) -> io::Result<bool> {
        let lock = match self.open_file(LOCK_FILE, Access::Read) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Given back at once, by closing. A writer that meets it tries again.
        Ok(!could_lock(|| lock.file.try_lock_shared())?)
    }

    fn owner(&self) -> Option<String> {
        let lock = self.open_file(LOCK_FILE, Access::Read).ok()?;
        let mut text = [0; OWNER_BYTES];
        let len = lock.read_at(&mut text, 0).ok()?;
        let printable = text[..len].iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
        let owner: String = printable.map(|byte| char::from(*byte)).collect();
        let owner = owner.trim();
        (!owner.is_empty()).then(|| owner.to_owned())
    }

    fn boot_id(&self) -> [u8; 16] {
        // Where there is no such file, as outside Linux, it is unknown.
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        uuid::Uuid::try_parse(text.trim()).map_or([0; 16], uuid::Uuid::into_bytes)
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

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

impl fmt::Debug for RealDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.path.display())
    }
}

/// An open file of the operating system.
struct RealFile {
    file: fs::File,
    /// The largest size the process may write (`RLIMIT_FSIZE`) when the file was opened.
    size_limit: Option<u64>,
}

impl RealFile {
    fn new(file: fs::File) -> RealFile {
        RealFile { file, size_limit: getrlimit(Resource::Fsize).current }
    }
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_fully(buffer, offset, |buffer, offset| self.file.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        // IMPORTANT: the system would not answer with an error but end the process with SIGXFSZ.
        if self.size_limit.is_some_and(|limit| limit < end) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        write_fully(bytes, offset, |bytes, offset| self.file.write_at(bytes, offset))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn map(&self) -> io::Result<Option<SharedBytes>> {
        // The interpreter knows no maps of files.
        if cfg!(miri) {
            return Ok(None);
        }
        map_file(&self.file, self.len()?)
    }
}

impl fmt::Debug for RealFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
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

fn open_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY_FLAGS, Mode::empty()))?)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    // The root of the file system has none, and needs none.
    let Some(parent) = path.parent() else { return Ok(()) };
    // Links on the way to the store's directory are the user's own.
    let flags = DIRECTORY_FLAGS.difference(OFlags::NOFOLLOW);
    sync_directory(&retry_on_intr(|| rustix::fs::open(parent, flags, Mode::empty()))?)
}

fn sync_directory(directory: &OwnedFd) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::fsync(directory)) {
        // The file system knows no such thing.
        Err(error) if [Errno::INVAL, Errno::NOTSUP].contains(&error) => Ok(()),
        result => Ok(result?),
    }
}

/// Some file systems have no modes. There the files are as open as the whole disk is, and that is no failure.
fn without_modes(error: io::Error) -> io::Result<()> {
    let is_unsupported =
        [Errno::PERM, Errno::NOTSUP].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if is_unsupported { Ok(()) } else { Err(error) }
}

fn describe_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::RegularFile | FileType::Unknown => "something else",
    }
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
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_directories_are_for_the_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("above/store");
        let disk = RealDisk::new(&path);
        assert!(!disk.exists().unwrap());
        disk.create_dir("log").unwrap();
        disk.create("log/1").unwrap();
        assert!(disk.exists().unwrap());
        assert_eq!((mode(&path), mode(&path.join("log")), mode(&path.join("log/1"))), (0o700, 0o700, 0o600));
    }

    #[test]
    fn links_and_whatever_is_no_regular_file_are_refused_by_name() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(temporary.path());
        disk.create_dir("log").unwrap();
        disk.create("log/1").unwrap();
        let at = |name: &str| temporary.path().join(name);
        symlink(at("log/1"), at("link")).unwrap();
        symlink(at("log"), at("other")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), FILE_MODE).unwrap();
        for (path, what) in [("link", "a symbolic link"), ("log", "a directory"), ("pipe", "a pipe")] {
            for access in [Access::Read, Access::ReadWrite] {
                let error = disk.open(path, access).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert_eq!(error.to_string(), format!("`{path}` is {what}, not a regular file"));
            }
        }
        assert!(disk.open("other/1", Access::Read).is_err());
        assert!(disk.create("other/2").is_err());
        assert!(disk.create_dir("other").is_err());
        let is_file: Vec<bool> = disk.list("").unwrap().iter().map(|entry| entry.is_file).collect();
        assert_eq!(is_file, [false; 4]);
    }

    #[test]
    fn a_linked_store_directory_is_resolved_once() {
        let temporary = tempfile::tempdir().unwrap();
        let real = temporary.path().join("real");
        RealDisk::new(&real).create_dir("").unwrap();
        symlink(&real, temporary.path().join("link")).unwrap();
        let disk = RealDisk::new(&temporary.path().join("link"));
        fs::remove_file(temporary.path().join("link")).unwrap();
        disk.create("1").unwrap();
        assert!(real.join("1").exists());
    }

    #[test]
    fn a_moved_store_directory_stays_the_same_store() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(&temporary.path().join("before"));
        disk.create_dir("").unwrap();
        fs::rename(temporary.path().join("before"), temporary.path().join("after")).unwrap();
        disk.create("1").unwrap();
        assert!(temporary.path().join("after/1").exists());
    }

    #[test]
    fn a_directory_whose_name_cannot_be_made_durable_is_taken_away_again() {
        let temporary = tempfile::tempdir().unwrap();
        // Whoever may not read a directory cannot sync it, but for the superuser.
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o300)).unwrap();
        let path = temporary.path().join("above/store");
        let created = RealDisk::new(&path).create_dir("log");
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(created.is_ok(), path.join("log").exists());
        assert_eq!(created.is_ok(), temporary.path().join("above").exists());
    }

    #[test]
    fn asking_for_the_lock_creates_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(temporary.path());
        assert!(!disk.is_locked().unwrap());
        assert_eq!((disk.owner(), disk.list("").unwrap().len()), (None, 0));
        let _lock = disk.try_lock().unwrap().unwrap();
        assert_eq!(disk.owner(), Some(std::process::id().to_string()));
        assert_eq!(mode(&temporary.path().join(LOCK_FILE)), 0o600);
    }

    #[test]
    fn an_odd_lock_file_names_no_owner() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(temporary.path());
        fs::write(temporary.path().join(LOCK_FILE), "\x1b\0\n").unwrap();
        assert_eq!(disk.owner(), None);
    }

    #[test]
    fn a_write_beyond_the_size_limit_is_an_error_and_not_the_end() {
        let file = RealFile { file: tempfile::tempfile().unwrap(), size_limit: Some(1_024) };
        file.write_at(&[1; 1_024], 0).unwrap();
        assert_eq!(file.write_at(&[1], 1_024).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(file.write_at(&[1], u64::MAX).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(file.len().unwrap(), 1_024);
    }

    #[test]
    fn a_map_shows_what_is_written_later() {
        let file = RealFile::new(tempfile::tempfile().unwrap());
        file.write_at(&[0; 4_096], 0).unwrap();
        let map = file.map().unwrap().unwrap();
        file.write_at(b"later", 100).unwrap();
        assert_eq!((*map).as_ref().len(), 4_096);
        assert_eq!(&(*map).as_ref()[100..105], b"later");
    }

    #[test]
    fn this_run_of_the_machine_has_one_name() {
        let disk = RealDisk::new(Path::new("nowhere"));
        assert_eq!(disk.boot_id(), disk.boot_id());
        assert!(!cfg!(target_os = "linux") || disk.boot_id() != [0; 16]);
    }
}
