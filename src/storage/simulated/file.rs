//! The open files of a simulated disk.

use super::content::Content;
use super::fault::{DiskOperation, Misplacement};
use super::ledger::{Admitted, Place, Refusal};
use super::pages::SECTOR_BYTES;
use super::{Shared, State};
use crate::event::SharedBytes;
use crate::storage::calls::{read_fully, uninterrupted, write_fully};
use crate::storage::{Access, File};
use crate::sync::{Arc, RwLock};
use std::fmt;
use std::io;
use std::ops::Range;

/// A file without its name.
pub(super) struct Node {
    /// Taken after the state of the disk, and one at a time.
    pub(super) content: RwLock<Content>,
}

impl Node {
    /// A file with these bytes, all durable.
    pub(super) fn with_bytes(bytes: &[u8], is_tracked: bool) -> Arc<Node> {
        Node::with_content(Content::new(bytes, is_tracked))
    }

    pub(super) fn with_content(content: Content) -> Arc<Node> {
        Arc::new(Node { content: RwLock::new(content) })
    }

    pub(super) fn copy(&self) -> Arc<Node> {
        Node::with_content(self.content.read().clone())
    }
}

/// An open file of a simulated disk. It outlives its name.
pub(super) struct SimulatedFile {
    disk: Arc<Shared>,
    node: Arc<Node>,
    path: Arc<str>,
    access: Access,
}

impl SimulatedFile {
    pub(super) fn new(disk: Arc<Shared>, path: &str, node: Arc<Node>, access: Access) -> SimulatedFile {
        SimulatedFile { disk, node, path: path.into(), access }
    }

    /// One call of a system that may read less than was asked for.
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let place = || Place::bytes(&self.path, offset, buffer.len());
        let admitted = self.disk.state.lock().ledger.admit(DiskOperation::Read, place).map_err(Refusal::into_error)?;
        let most = admitted.most(buffer.len());
        let content = self.node.content.read();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = content.len().min(start + most);
        content.check_readable(start..end)?;
        Ok(content.read(&mut buffer[..most], start))
    }

    /// One call of a system that may write less than it was given: first what the ledger says, then what there is room
    /// for.
    fn write_some(&self, bytes: &[u8], start: usize) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let place = || Place::bytes(&self.path, start as u64, bytes.len());
        let admitted = state.ledger.admit(DiskOperation::Write, place);
        let wanted = match &admitted {
            Ok(admitted) => admitted.most(bytes.len()),
            Err(refusal) => refusal.prefix(bytes.len()),
        };
        // All that lies before the end has its room already.
        let len = self.node.content.read().len();
        let most = state.bytes_left().map_or(usize::MAX, |room| len.saturating_add(room).saturating_sub(start));
        let taken = wanted.min(most);
        {
            let mut content = self.node.content.write();
            content.check_writable(start..start + taken)?;
            content.write(&bytes[..taken], start, &mut state.changes);
        }
        match admitted.map_err(Refusal::into_error)? {
            Admitted::Lost => self.node.content.write().lose(start..start + taken),
            Admitted::Misplaced(misplacement) => self.misplace(&state, &misplacement, start..start + taken),
            Admitted::Whole | Admitted::Short(_) => {}
        }
        if taken == 0 && 0 < wanted { Err(state.room.error.into()) } else { Ok(taken) }
    }

    /// What was just written goes where it does not belong, and its own place keeps what the disk had.
    fn misplace(&self, state: &State, misplacement: &Misplacement, bytes: Range<usize>) {
        let sectors = self.node.content.read().sectors(bytes.clone());
        self.node.content.write().lose(bytes);
        let (target, by) = match misplacement {
            Misplacement::Sectors(by) => (Some(&self.node), *by),
            Misplacement::File(path) => (state.names.file(path).ok(), 0),
        };
        let Some(target) = target else { return };
        let mut target = target.content.write();
        for (sector, content) in sectors {
            if let Some(sector) = sector.checked_add_signed(by) {
                target.misplace_here(sector, &content);
            }
        }
    }

    fn sync_once(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        match state.ledger.admit(DiskOperation::Sync, || Place::file(&self.path)) {
            Ok(Admitted::Lost) => Ok(()),
            Ok(_) => {
                let took = state.sync_time;
                state.machine.advance(took);
                self.node.content.write().sync();
                Ok(())
            }
            Err(refusal) => {
                if refusal.is_failure() {
                    let mut chance = state.sync_chance();
                    self.node.content.write().fail_sync(state.sync_failure, &mut chance);
                }
                Err(refusal.into_error())
            }
        }
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.disk.is_tracked {
            return read_fully(buffer, offset, |buffer, offset| self.read_some(buffer, offset));
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(self.node.content.read().read(buffer, start))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.access == Access::Read {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file was opened for reading only"));
        }
        let start = usize::try_from(offset).ok().filter(|start| is_place(*start, bytes.len()));
        let start = start.ok_or(io::ErrorKind::FileTooLarge)?;
        if self.disk.is_tracked {
            return write_fully(bytes, offset, |bytes, offset| self.write_some(bytes, offset as usize));
        }
        self.node.content.write().write(bytes, start, &mut 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.is_tracked { uninterrupted(|| self.sync_once()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        if self.disk.is_tracked {
            self.disk.state.lock().ledger.check_power()?;
        }
        Ok(self.node.content.read().len() as u64)
    }

    fn map(&self) -> io::Result<Option<SharedBytes>> {
        Ok(None)
    }
}

/// Whether bytes that begin there end anywhere.
fn is_place(start: usize, len: usize) -> bool {
    start.checked_add(len).is_some_and(|end| end < usize::MAX - SECTOR_BYTES)
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated file {}, {} bytes", self.path, self.node.content.read().len())
    }
}
