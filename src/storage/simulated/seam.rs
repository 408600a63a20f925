//! A simulated disk as the store sees it.

use super::fault::DiskOperation;
use super::file::{Node, SimulatedFile};
use super::ledger::{Admitted, Place, Refusal};
use super::names::{Named, OUTSIDE};
use super::{Shared, SimulatedDisk, State, ancestors, parent_of};
use crate::storage::calls::uninterrupted;
use crate::storage::{Access, Entry, File, LOCK_FILE, Storage};
use crate::sync::{Arc, MutexGuard};
use crate::time::Timestamp;
use std::io;
use std::time::Duration;

impl SimulatedDisk {
    /// Counts an operation upon a name and gives the state, if the operation is not to fail.
    fn begin(&self, operation: DiskOperation, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if self.shared.is_tracked {
            uninterrupted(|| state.ledger.admit(operation, || Place::name(path)).map_err(Refusal::into_error))?;
        }
        Ok(state)
    }

    /// Removes a directory whose name could not be made durable, as the real disk does.
    fn take_away(&self, directory: &str) {
        if let Ok(mut state) = self.begin(DiskOperation::Remove, directory) {
            let State { names, changes, .. } = &mut *state;
            names.bind(directory, None, changes);
        }
    }

    fn open_node(&self, path: &str, node: Arc<Node>, access: Access) -> Arc<dyn File> {
        Arc::new(SimulatedFile::new(self.shared.clone(), path, node, access))
    }

    /// Makes the names in a directory durable, unless that is to go wrong.
    fn sync_names(&self, directory: &str) -> io::Result<()> {
        let mut state = self.state();
        if !self.shared.is_tracked {
            return if directory == OUTSIDE { Ok(()) } else { state.names.check_directory(directory) };
        }
        uninterrupted(|| match state.ledger.admit(DiskOperation::SyncDirectory, || Place::name(directory)) {
            Ok(admitted) => {
                if directory != OUTSIDE {
                    state.names.check_directory(directory)?;
                }
                if !matches!(admitted, Admitted::Lost) {
                    state.names.sync(directory);
                }
                Ok(())
            }
            Err(refusal) => {
                if refusal.is_failure() {
                    let (failure, mut chance) = (state.sync_failure, state.sync_chance());
                    state.names.fail_sync(directory, failure, &mut chance);
                }
                Err(refusal.into_error())
            }
        })
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
            let is_new = !state.names.has_directory(directory);
            if is_new {
                state.create(directory, Named::Directory)?;
            }
            drop(state);
            // Also where it existed: whoever made it may have died before its name was durable.
            if let Err(error) = self.sync_names(parent_of(directory)) {
                if is_new {
                    self.take_away(directory);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        self.begin(DiskOperation::List, path)?.names.list(path)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let node = Node::with_bytes(&[], self.shared.is_tracked);
        self.begin(DiskOperation::Create, path)?.create(path, Named::File(node.clone()))?;
        Ok(self.open_node(path, node, Access::ReadWrite))
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.begin(DiskOperation::Open, path)?.names.file(path)?.clone();
        Ok(self.open_node(path, node, access))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.begin(DiskOperation::Remove, path)?;
        state.names.file(path)?;
        let State { names, changes, .. } = &mut *state;
        names.bind(path, None, changes);
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.sync_names(path)
    }

    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = self.begin(DiskOperation::Lock, LOCK_FILE)?;
        state.names.check_directory("")?;
        if state.is_locked {
            return Ok(None);
        }
        if state.names.file(LOCK_FILE).is_err() {
            state.check_name_fits()?;
            // Durable at once: whether it survives means nothing to anybody, and would double the crashes to look at.
            let owner = Node::with_bytes(b"1\n", self.shared.is_tracked);
            state.names.settle(LOCK_FILE, Some(Named::File(owner)));
        }
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

    fn room(&self) -> io::Result<Option<u64>> {
        Ok(self.state().bytes_left().map(|bytes| bytes as u64))
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

    fn is_apart_from_memory(&self) -> bool {
        self.shared.is_tracked
    }

    fn describe(&self) -> String {
        if self.shared.is_tracked { "a simulated disk".to_owned() } else { "memory".to_owned() }
    }
}

/// The lock of the one writer; dropping it lets the next one in.
struct Lock(Arc<Shared>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state.lock().is_locked = false;
    }
}
