//! The files of a simulated disk: bytes, and for each sector that is not durable what it was before.

use super::fault::{DiskOperation, Place, Refusal};
use super::{Shared, State, SyncFailure};
use crate::event::SharedBytes;
use crate::storage::{Access, File};
use crate::sync::{Arc, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// A sector is old or new and never a mixture.
pub(super) const SECTOR_BYTES: usize = 512;

/// A file without its name.
pub(super) struct Node {
    /// Taken after the state of the disk.
    pub(super) content: RwLock<Content>,
}

impl Node {
    /// A file with these bytes, all durable.
    pub(super) fn with_bytes(bytes: Vec<u8>, is_tracked: bool) -> Arc<Node> {
        let pending = is_tracked.then(Pending::default);
        Node::with_content(Content { bytes: Arc::new(bytes), pending })
    }

    pub(super) fn with_content(content: Content) -> Arc<Node> {
        Arc::new(Node { content: RwLock::new(content) })
    }

    pub(super) fn copy(&self) -> Arc<Node> {
        Node::with_content(self.content.read().clone())
    }
}

/// What a file holds, and what it would hold after a power cut.
#[derive(Clone)]
pub(super) struct Content {
    /// What everybody reads. Shared with copies of the disk until one of them writes.
    bytes: Arc<Vec<u8>>,
    /// Not kept for plain memory.
    pending: Option<Pending>,
}

type Sector = Arc<[u8; SECTOR_BYTES]>;

/// INVARIANT: no sector stands both in `sectors` and in `dropped`.
#[derive(Clone, Default)]
struct Pending {
    /// The sizes before each write since the last sync that made the file longer; the first is durable.
    sizes: Vec<usize>,
    /// What a sector was before each write since the last sync; the first is what the disk has.
    sectors: BTreeMap<usize, Vec<Sector>>,
    /// What the disk has where a failed sync dropped what was to be written: readers see something else, and no
    /// sync will change it until the sector is written again.
    dropped: BTreeMap<usize, Sector>,
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn pending_sectors(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.sectors.len())
    }

    pub(super) fn pending_items(&self) -> usize {
        let has_size = self.pending.as_ref().is_some_and(|pending| !pending.sizes.is_empty());
        self.pending_sectors() + usize::from(has_size)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let start = usize::try_from(offset).map_or(self.bytes.len(), |offset| offset.min(self.bytes.len()));
        let len = buffer.len().min(self.bytes.len() - start);
        buffer[..len].copy_from_slice(&self.bytes[start..start + len]);
        len
    }

    fn write(&mut self, bytes: &[u8], start: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = start + bytes.len();
        let touched = start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        let is_tracked = self.pending.is_some();
        let kept = if is_tracked { touched.clone() } else { 0..0 };
        let old: Vec<[u8; SECTOR_BYTES]> = kept.map(|sector| sector_of(&self.bytes, sector)).collect();
        let current = Arc::make_mut(&mut self.bytes);
        let old_len = current.len();
        current.resize(old_len.max(end), 0);
        current[start..end].copy_from_slice(bytes);
        let Some(pending) = &mut self.pending else { return };
        if old_len < end {
            pending.sizes.push(old_len);
        }
        for (sector, old) in touched.zip(old) {
            pending.note(sector, old, current);
        }
    }

    /// Everything written is durable, but what a failed sync had dropped.
    fn sync(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.sizes.clear();
            pending.sectors.clear();
        }
    }

    /// What is pending will never be written. The size stays pending: it is not in the sectors.
    fn drop_sectors(&mut self) {
        let Some(pending) = &mut self.pending else { return };
        for (sector, versions) in std::mem::take(&mut pending.sectors) {
            let durable = versions.into_iter().next().expect("a pending sector was something before");
            pending.dropped.insert(sector, durable);
        }
    }

    pub(super) fn flip(&mut self, byte: u64, mask: u8) {
        let index = usize::try_from(byte).expect("the byte that is flipped is in the file");
        *Arc::make_mut(&mut self.bytes).get_mut(index).expect("the byte that is flipped is in the file") ^= mask;
        let Some(pending) = &mut self.pending else { return };
        let (sector, index) = (index / SECTOR_BYTES, index % SECTOR_BYTES);
        let versions = pending.sectors.get_mut(&sector).into_iter().flatten();
        for remembered in versions.chain(pending.dropped.get_mut(&sector)) {
            Arc::make_mut(remembered)[index] ^= mask;
        }
    }

    /// The content after a power cut. For each thing that is pending, `choose` is told what it is and how many
    /// earlier versions it has, and names the one that survives; their number stands for the present one.
    pub(super) fn survivor(&self, mut choose: impl FnMut(Item, usize) -> usize) -> Content {
        let Some(pending) = &self.pending else { return self.clone() };
        let mut bytes = self.bytes.clone();
        let len = if pending.sizes.is_empty() {
            bytes.len()
        } else {
            let version = choose(Item::Size, pending.sizes.len());
            pending.sizes.get(version).copied().unwrap_or(bytes.len())
        };
        for (sector, versions) in &pending.sectors {
            if let Some(survivor) = versions.get(choose(Item::Sector, versions.len())) {
                put_sector(&mut bytes, *sector, survivor);
            }
        }
        for (sector, truth) in &pending.dropped {
            put_sector(&mut bytes, *sector, truth);
        }
        if len < bytes.len() {
            Arc::make_mut(&mut bytes).truncate(len);
        }
        Content { bytes, pending: Some(Pending::default()) }
    }
}

impl Pending {
    /// Notes that a sector was `old` before the write that made it what it is in `bytes`.
    fn note(&mut self, sector: usize, old: [u8; SECTOR_BYTES], bytes: &[u8]) {
        if let Some(truth) = self.dropped.remove(&sector) {
            // What readers saw was never on its way to the disk.
            self.sectors.insert(sector, vec![truth]);
        } else if sector_of(bytes, sector) != old {
            // Zeros written where there was nothing end up here as no change, so filling a file is only a size.
            self.sectors.entry(sector).or_default().push(Arc::new(old));
        }
    }
}

/// A sector of a file; what lies beyond the end is zeros.
fn sector_of(bytes: &[u8], sector: usize) -> [u8; SECTOR_BYTES] {
    let mut copy = [0; SECTOR_BYTES];
    let start = bytes.len().min(sector * SECTOR_BYTES);
    let part = &bytes[start..bytes.len().min(start + SECTOR_BYTES)];
    copy[..part.len()].copy_from_slice(part);
    copy
}

fn put_sector(bytes: &mut Arc<Vec<u8>>, sector: usize, content: &[u8; SECTOR_BYTES]) {
    let bytes = Arc::make_mut(bytes);
    let start = bytes.len().min(sector * SECTOR_BYTES);
    let end = bytes.len().min(start + SECTOR_BYTES);
    bytes[start..end].copy_from_slice(&content[..end - start]);
}

/// What of a file a power cut could lose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Name,
    Size,
    Sector,
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

    /// Writes to a disk that counts: first what the ledger says, then what there is room for.
    fn write_tracked(&self, state: &mut State, bytes: &[u8], start: usize) -> io::Result<()> {
        let place = || Place::bytes(&self.path, start as u64, bytes.len());
        let admitted = state.ledger.admit(DiskOperation::Write, place);
        let wanted = admitted.as_ref().map_or_else(|refusal| refusal.prefix(bytes.len()), |()| bytes.len());
        let len = self.node.content.read().bytes.len();
        // All that lies before the end has its room already.
        let most = state.room().map_or(usize::MAX, |room| len.saturating_add(room).saturating_sub(start));
        self.node.content.write().write(&bytes[..wanted.min(most)], start);
        admitted.map_err(Refusal::into_error)?;
        if most < wanted { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.disk.is_tracked {
            let place = || Place::bytes(&self.path, offset, buffer.len());
            self.disk.state.lock().ledger.admit(DiskOperation::Read, place).map_err(Refusal::into_error)?;
        }
        Ok(self.node.content.read().read(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.access == Access::Read {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file was opened for reading only"));
        }
        let start = usize::try_from(offset).ok().filter(|start| start.checked_add(bytes.len()).is_some());
        let start = start.ok_or(io::ErrorKind::FileTooLarge)?;
        if self.disk.is_tracked {
            return self.write_tracked(&mut self.disk.state.lock(), bytes, start);
        }
        self.node.content.write().write(bytes, start);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if !self.disk.is_tracked {
            return Ok(());
        }
        let mut state = self.disk.state.lock();
        match state.ledger.admit(DiskOperation::Sync, || Place::name(&self.path)) {
            Ok(()) => self.node.content.write().sync(),
            Err(refusal) => {
                if refusal.is_fault() && state.sync_failure == SyncFailure::Drop {
                    self.node.content.write().drop_sectors();
                }
                return Err(refusal.into_error());
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        if self.disk.is_tracked {
            self.disk.state.lock().ledger.check_power()?;
        }
        Ok(self.node.content.read().len())
    }

    fn map(&self) -> io::Result<Option<SharedBytes>> {
        Ok(None)
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated file {}, {} bytes", self.path, self.node.content.read().len())
    }
}
