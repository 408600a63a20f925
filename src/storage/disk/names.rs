//! Finding files and directories by their names, through handles and never through a link, and making names durable.

use super::super::{Access, path_parts, split_path};
use crate::sync::Arc;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::fs;
use std::io;
use std::path::Path;

const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) fn open_store_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(retry_on_intr(|| rustix::fs::open(path, DIRECTORY_FLAGS, Mode::empty()))?)
}

pub(super) fn directory_below(root: Arc<OwnedFd>, path: &str) -> io::Result<Arc<OwnedFd>> {
    let mut directory = root;
    for part in path_parts(path) {
        directory = Arc::new(open_directory(&directory, part)?);
    }
    Ok(directory)
}

/// Opens a regular file, and nothing else.
pub(super) fn open_file(root: Arc<OwnedFd>, path: &str, access: Access) -> io::Result<fs::File> {
    let (directory, name) = split_path(path);
    let directory = directory_below(root, directory)?;
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
        FileType::RegularFile => Ok(opened?.into()),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{path}` is {}, not a regular file", describe_type(other)),
        )),
    }
}

pub(super) fn open_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY_FLAGS, Mode::empty()))?)
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    // The root of the file system has none, and needs none.
    let Some(parent) = path.parent() else { return Ok(()) };
    // Links on the way to the store's directory are the user's own.
    let flags = DIRECTORY_FLAGS.difference(OFlags::NOFOLLOW);
    sync_directory(&retry_on_intr(|| rustix::fs::open(parent, flags, Mode::empty()))?)
}

pub(super) fn sync_directory(directory: &OwnedFd) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::fsync(directory)) {
        // The file system knows no such thing.
        Err(error) if [Errno::INVAL, Errno::NOTSUP].contains(&error) => Ok(()),
        result => Ok(result?),
    }
}

/// Some file systems have no modes. There the files are as open as the whole disk is, and that is no failure.
pub(super) fn without_modes(error: io::Error) -> io::Result<()> {
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
