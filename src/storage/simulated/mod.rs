//! A whole disk in memory that knows what a power cut would lose.
//!
//! The rules are the harshest a file system may play by. Bytes are durable, in sectors of 512 bytes, once their file
//! is synced; names once their directory is. Until then each sector, each size and each name is kept or lost on its
//! own, and one that changed several times may come back as any of what it was in between. A sector is never half
//! old and half new.
//!
//! Everything is counted, can be made to fail, and runs the same way again from the same seed. Damage and crashes are
//! made from outside, with the methods of [`SimulatedDisk`]; the store sees nothing but [`Storage`].

mod crash;
mod fault;
mod file;
mod machine;
mod names;
#[cfg(test)]
mod tests;

pub use crash::CrashChoice;
pub use fault::{DiskFault, DiskOperation, SyncFailure};

use super::{Access, Entry, File, LOCK_FILE, Storage, split_path};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::time::Timestamp;
use crash::survivors;
use fault::{Ledger, Place, Refusal};
use file::{Node, SimulatedFile};
use machine::Machine;
use names::{Named, Names};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

/// A disk in memory that counts, fails and loses power as told: for testing what stands on it.
///
/// A clone is the same disk. The store's directory does not exist in the beginning. Everything happens on the
/// caller's thread, and two disks with the same seed that are asked the same things answer the same.
///
/// Paths are relative to the store's directory: `log/0000000001.log`, `LOCK`.
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    /// Whether what is durable is known and every operation counted; else this is plain memory.
    is_tracked: bool,
    /// Taken before the content of any file.
    state: Mutex<State>,
}

pub(super) struct State {
    names: Names,
    ledger: Ledger,
    machine: Machine,
    is_locked: bool,
    /// How many bytes all files together may have.
    capacity: Option<u64>,
    sync_failure: SyncFailure,
}

/// Counting, and faults: what fails, and when.
impl SimulatedDisk {
    /// An empty disk. Time, randomness and the machine's name follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk::with_machine(true, Machine::counted(seed))
    }

    /// Plain memory, for stores that keep nothing: with threads, the real time and real randomness. Nothing is
    /// counted or can be lost.
    pub(crate) fn volatile() -> SimulatedDisk {
        SimulatedDisk::with_machine(false, Machine::real())
    }

    fn with_machine(is_tracked: bool, machine: Machine) -> SimulatedDisk {
        SimulatedDisk::with_state(
            is_tracked,
            State {
                names: Names::new(is_tracked),
                ledger: Ledger::default(),
                machine,
                is_locked: false,
                capacity: None,
                sync_failure: SyncFailure::Keep,
            },
        )
    }

    fn with_state(is_tracked: bool, state: State) -> SimulatedDisk {
        SimulatedDisk { shared: Arc::new(Shared { is_tracked, state: Mutex::new(state) }) }
    }

    /// How many operations of any kind there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().ledger.operations()
    }

    /// How many operations there were that change the disk: those [`stop_at`](SimulatedDisk::stop_at) counts.
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.state().ledger.mutations()
    }

    /// How many operations of this kind there were.
    #[must_use]
    pub fn kind_count(&self, kind: DiskOperation) -> u64 {
        self.state().ledger.kind_count(kind)
    }

    /// The last thousand operations, one line each, oldest first.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().ledger.trace()
    }

    /// Cuts the power at the mutating operation with this number, counted from 1 since the disk was made: it and
    /// everything after it fails. If it is a write, its bytes still become pending; of anything else nothing happens.
    pub fn stop_at(&self, mutation: u64) {
        self.state().ledger.stop_at(mutation);
    }

    /// Whether the power was cut, by [`stop_at`](SimulatedDisk::stop_at). A loop over all places to stop ends where
    /// it was not.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.state().ledger.has_stopped()
    }

    /// Lets operations fail. Several faults may be waiting; each counts on its own.
    pub fn fail(&self, fault: DiskFault) {
        self.state().ledger.fail(fault);
    }

    /// Forgets the faults that were asked for, a cut of power included.
    pub fn heal(&self) {
        self.state().ledger.heal();
    }

    /// What a sync that fails does to what it should have made durable. Default: [`SyncFailure::Keep`].
    pub fn set_sync_failure(&self, failure: SyncFailure) {
        self.state().sync_failure = failure;
    }

    /// How many bytes all files together may have; `None`, the default, is no bound. A write that does not fit
    /// writes what fits and fails with [`StorageFull`](io::ErrorKind::StorageFull); for one that writes nothing use
    /// [`fail`](SimulatedDisk::fail). Writing into bytes that are there always fits.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Sets the wall clock; it goes on by a microsecond each time it is looked at.
    pub fn set_time(&self, time: Timestamp) {
        self.state().machine.set_time(time);
    }

    /// Lets time pass, on the wall clock and for whoever waits.
    pub fn advance(&self, duration: Duration) {
        self.state().machine.advance(duration);
    }
}

/// Crashes: what a power cut would leave.
impl SimulatedDisk {
    /// How many sectors a power cut could lose.
    #[must_use]
    pub fn pending_sectors(&self) -> usize {
        let state = self.state();
        state.names.nodes().iter().map(|(_, node)| node.content.read().pending_sectors()).sum()
    }

    /// How many things a power cut could lose: sectors, sizes and names, those that were removed among them.
    /// [`CrashChoice`] decides about each.
    #[must_use]
    pub fn pending_items(&self) -> usize {
        let state = self.state();
        let of_files: usize = state.names.nodes().iter().map(|(_, node)| node.content.read().pending_items()).sum();
        state.names.pending().count() + of_files
    }

    /// What a power cut could lose, one line each, in the order of [`CrashChoice`].
    #[must_use]
    pub fn describe_pending(&self) -> Vec<String> {
        let mut lines = Vec::new();
        survivors(&self.state().names, self.shared.is_tracked, |path, item, earlier| {
            lines.push(format!("`{path}` {item:?}, {earlier} before"));
            earlier
        });
        lines
    }

    /// The disk as it would be found if the power were cut now: another disk, with nothing pending, no lock, no
    /// faults and another boot. This one stays as it is.
    #[must_use]
    pub fn crash(&self, choice: &CrashChoice) -> SimulatedDisk {
        let mut decide = choice.decide();
        let state = self.state();
        let names = survivors(&state.names, self.shared.is_tracked, |_, _, earlier| decide(earlier));
        self.successor(&state, names, state.machine.rebooted())
    }

    /// The disk as it would be found if the process had died now, but not the machine: everything written is there
    /// and still pending, the lock is free, the boot is the same. Another disk; this one stays as it is.
    #[must_use]
    pub fn kill(&self) -> SimulatedDisk {
        let state = self.state();
        self.successor(&state, state.names.copy(), state.machine.clone())
    }

    fn successor(&self, state: &State, names: Names, machine: Machine) -> SimulatedDisk {
        let State { capacity, sync_failure, .. } = *state;
        let ledger = Ledger::default();
        let state = State { names, ledger, machine, is_locked: false, capacity, sync_failure };
        SimulatedDisk::with_state(self.shared.is_tracked, state)
    }
}

/// Damage: the disk as somebody else would see and change it. Nothing of this is counted, fails or is pending.
impl SimulatedDisk {
    /// What the file holds, if there is one.
    #[must_use]
    pub fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        Some(self.state().names.file(path).ok()?.content.read().bytes().to_vec())
    }

    /// Makes the file hold these bytes, durably, and with it the directories it lies in. Whoever has a file of that
    /// name open goes on with the old one.
    pub fn write_file(&self, path: &str, bytes: &[u8]) {
        let node = Node::with_bytes(bytes.to_vec(), self.shared.is_tracked);
        let mut state = self.state();
        for directory in ancestors(split_path(path).0) {
            state.names.settle(directory, Some(Named::Directory));
        }
        state.names.settle(path, Some(Named::File(node)));
    }

    /// Flips one bit of a file, on the disk and wherever else its content is remembered.
    ///
    /// # Panics
    ///
    /// If there is no such file, byte or bit.
    pub fn flip_bit(&self, path: &str, byte: u64, bit: u8) {
        assert!(bit < 8, "a byte has bits 0 to 7");
        let state = self.state();
        let node = state.names.file(path).expect("the file whose bit is flipped is there");
        node.content.write().flip(byte, 1 << bit);
    }

    /// Removes a file, durably; whether there was one.
    pub fn remove_file(&self, path: &str) -> bool {
        let mut state = self.state();
        let is_there = state.names.file(path).is_ok();
        if is_there {
            state.names.settle(path, None);
        }
        is_there
    }

    /// The paths of all files, in order.
    #[must_use]
    pub fn file_names(&self) -> Vec<String> {
        self.state().names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// All files and what they hold: for comparing one disk with another.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.files().map(|(path, node)| (path.to_owned(), node.content.read().bytes().to_vec())).collect()
    }
}

impl SimulatedDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// Counts an operation upon a name and gives the state, if the operation is not to fail.
    fn begin(&self, operation: DiskOperation, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if self.shared.is_tracked {
            state.ledger.admit(operation, || Place::name(path)).map_err(Refusal::into_error)?;
        }
        Ok(state)
    }

    fn open_node(&self, path: &str, node: Arc<Node>, access: Access) -> Arc<dyn File> {
        Arc::new(SimulatedFile::new(self.shared.clone(), path, node, access))
    }
}

impl State {
    /// How many bytes longer a file may become, if there is a bound.
    fn room(&self) -> Option<usize> {
        let capacity = self.capacity?;
        let used: u64 = self.names.files().map(|(_, node)| node.content.read().len()).sum();
        Some(usize::try_from(capacity.saturating_sub(used)).unwrap_or(usize::MAX))
    }
}

impl Storage for SimulatedDisk {
    fn exists(&self) -> io::Result<bool> {
        let state = self.state();
        state.ledger.check_power()?;
        Ok(state.names.has_directory(""))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        for directory in ancestors(path) {
            let mut state = self.begin(DiskOperation::CreateDirectory, directory)?;
            if !state.names.has_directory(directory) {
                state.names.create(directory, Named::Directory)?;
            }
            drop(state);
            // Also where it existed: whoever made it may have died before its name was durable.
            self.begin(DiskOperation::SyncDirectory, parent_of(directory))?.names.sync(parent_of(directory));
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        self.begin(DiskOperation::List, path)?.names.list(path)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let node = Node::with_bytes(Vec::new(), self.shared.is_tracked);
        self.begin(DiskOperation::Create, path)?.names.create(path, Named::File(node.clone()))?;
        Ok(self.open_node(path, node, Access::ReadWrite))
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.begin(DiskOperation::Open, path)?.names.file(path)?.clone();
        Ok(self.open_node(path, node, access))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.begin(DiskOperation::Remove, path)?;
        state.names.file(path)?;
        state.names.bind(path, None);
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.begin(DiskOperation::SyncDirectory, path)?;
        state.names.check_directory(path)?;
        state.names.sync(path);
        Ok(())
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = self.begin(DiskOperation::Lock, LOCK_FILE)?;
        state.names.check_directory("")?;
        if state.is_locked {
            return Ok(None);
        }
        // Durable at once: whether it survives means nothing to anybody, and would double the crashes to look at.
        let owner = Node::with_bytes(b"1\n".to_vec(), self.shared.is_tracked);
        state.names.settle(LOCK_FILE, Some(Named::File(owner)));
        state.is_locked = true;
        drop(state);
        Ok(Some(Box::new(Lock(self.shared.clone()))))
    }

    fn is_locked(&self) -> io::Result<bool> {
        Ok(self.begin(DiskOperation::Lock, LOCK_FILE)?.is_locked)
    }

    fn owner(&self) -> Option<String> {
        let text = String::from_utf8(self.read_file(LOCK_FILE)?).ok()?;
        Some(text.trim().to_owned())
    }

    fn boot_id(&self) -> [u8; 16] {
        self.state().machine.boot_id()
    }

    fn now(&self) -> Timestamp {
        self.state().machine.now()
    }

    fn elapsed(&self) -> Duration {
        self.state().machine.elapsed()
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.state().machine.random(bytes)
    }

    fn has_threads(&self) -> bool {
        !self.shared.is_tracked
    }

    fn describe(&self) -> String {
        if self.shared.is_tracked { "a simulated disk".to_owned() } else { "memory".to_owned() }
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, pending) = (self.file_names().len(), self.pending_items());
        write!(f, "simulated disk with {files} files after {} operations, {pending} pending", self.operations())
    }
}

/// The lock of the one writer; dropping it lets the next one in.
struct Lock(Arc<Shared>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state.lock().is_locked = false;
    }
}

/// The store's directory, and every directory on the way down to `path`, which is the last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let above = path.match_indices('/').map(|(end, _)| &path[..end]);
    let below = (!path.is_empty()).then_some(path);
    std::iter::once("").chain(above).chain(below)
}

/// The directory a path lies in; for the store's own directory, the one outside that holds it.
fn parent_of(path: &str) -> &str {
    if path.is_empty() { names::OUTSIDE } else { split_path(path).0 }
}
