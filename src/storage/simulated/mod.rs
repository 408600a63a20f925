//! A whole disk in memory that knows what a power cut would lose.
//!
//! The rules are the harshest a file system may play by. Bytes are durable, in sectors of 512 bytes, once their file
//! is synced; names once their directory is. Until then each sector, each size and each name is kept or lost on its
//! own, and one that changed several times may come back as any of what it was in between. A sector is never half
//! old and half new.
//!
//! Everything is counted, can be made to fail or to lie, and runs the same way again from the same seed. Damage and
//! crashes are made from outside, with the methods of [`SimulatedDisk`]; the store sees nothing but
//! [`Storage`](super::Storage).

mod content;
mod crash;
mod damage;
mod fault;
mod file;
mod history;
mod ledger;
mod machine;
mod mischief;
mod names;
mod pages;
mod seam;
#[cfg(test)]
mod tests;

pub use crash::CrashChoice;
pub use damage::FlippedBit;
pub use fault::{DiskFault, DiskOperation, FaultEffect, Misplacement, SyncFailure};
pub use mischief::Mischief;

use super::split_path;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::time::Timestamp;
use crash::{Decider, pending, survivors};
use ledger::Ledger;
use machine::{Machine, SplitMix};
use names::{Named, Names};
use std::fmt;
use std::io;
use std::time::Duration;

/// A disk in memory that counts, fails, lies and loses power as told: for testing what stands on it.
///
/// A clone is the same disk. The store's directory does not exist in the beginning. Everything happens on the
/// caller's thread, and two disks with the same seed that are asked the same things answer the same.
///
/// Paths are relative to the store's directory: `log/0000000001.log`, `LOCK`.
///
/// ```
/// use scorebook::testing::{CrashChoice, SimulatedDisk};
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// # fn main() -> Result<(), scorebook::Error> {
/// let disk = SimulatedDisk::new(7);
/// let store = EventStore::options().open_simulated(&disk)?;
/// let game = StreamName::new("game-42")?;
/// let guess = || NewEvent::bytes("guessed", b"7".to_vec());
/// store.append(&game, ExpectedVersion::NoStream, [guess()]).wait().map_err(|error| error.into_error())?;
///
/// // The power goes while the second event is appended: wherever that is, the first is there afterwards.
/// disk.stop_at(disk.mutations() + 1);
/// assert!(store.append(&game, ExpectedVersion::Any, [guess()]).wait().is_err());
/// for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(1)] {
///     let store = EventStore::options().open_simulated(&disk.crash(&choice))?;
///     assert!(1 <= store.head()?.get());
/// }
/// # Ok(())
/// # }
/// ```
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
    room: Room,
    sync_failure: SyncFailure,
    /// How long the sync of a file takes.
    sync_time: Duration,
    /// How many changes of sizes, sectors and names there were: each has its number.
    changes: u64,
}

/// What the disk has room for.
#[derive(Clone)]
struct Room {
    /// How many bytes all files together may have.
    bytes: Option<u64>,
    /// How many names there may be.
    names: Option<usize>,
    /// What is answered where there is none.
    error: io::ErrorKind,
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
                room: Room { bytes: None, names: None, error: io::ErrorKind::StorageFull },
                sync_failure: SyncFailure::Keep,
                sync_time: Duration::ZERO,
                changes: 0,
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

    /// Lets operations go wrong. Several faults may be waiting; each counts on its own.
    pub fn fail(&self, fault: DiskFault) {
        self.state().ledger.fail(fault);
    }

    /// Lets operations go wrong by chance, until told otherwise. What [`fail`](SimulatedDisk::fail) asked for comes
    /// first. Default: `None`.
    pub fn set_mischief(&self, mischief: Option<Mischief>) {
        self.state().ledger.set_mischief(mischief);
    }

    /// Forgets the faults and the mischief that were asked for, a cut of power included.
    pub fn heal(&self) {
        self.state().ledger.heal();
    }

    /// What a sync that fails, of a file or a directory, does to what it should have made durable. Default:
    /// [`SyncFailure::Keep`].
    pub fn set_sync_failure(&self, failure: SyncFailure) {
        self.state().sync_failure = failure;
    }

    /// Everybody sees from now on what the disk has, but for what is still on its way there: the system has forgotten
    /// what a failed sync dropped, or a lost or misplaced write left in its caches.
    ///
    /// ```
    /// use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
    /// use scorebook::{Durability, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
    /// # fn main() -> Result<(), scorebook::Error> {
    /// let disk = SimulatedDisk::new(7);
    /// let store = EventStore::options().open_simulated(&disk)?;
    /// let game = StreamName::new("game-42")?;
    /// let guess = |number| NewEvent::bytes("guessed", vec![number; 2_000]);
    /// store.append(&game, ExpectedVersion::Any, [guess(1)]).wait().map_err(|error| error.into_error())?;
    ///
    /// disk.fail(DiskFault::lost(DiskOperation::Write));
    /// store.append(&game, ExpectedVersion::Any, [guess(2)]).wait().map_err(|error| error.into_error())?;
    /// assert_ne!(disk.unsaved_sectors(), 0);
    /// assert_eq!(store.read(&game).iter().filter(Result::is_ok).count(), 2);
    ///
    /// disk.drop_caches();
    /// assert_eq!(disk.unsaved_sectors(), 0);
    /// let error = store.read(&game).iter().find_map(Result::err).unwrap();
    /// assert_eq!(error.kind(), ErrorKind::Damaged);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drop_caches(&self) {
        let mut state = self.state();
        state.names.nodes().iter().for_each(|(_, node)| node.content.write().drop_cache());
        state.names.drop_cache();
    }

    /// How many bytes all files together may have; `None`, the default, is no bound. A write that does not fit
    /// writes what fits and fails; for one that writes nothing use [`fail`](SimulatedDisk::fail). Writing into bytes that
    /// are there always fits.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().room.bytes = bytes;
    }

    /// How many files and directories there may be; `None`, the default, is no bound. Creating one more fails.
    pub fn set_names_max(&self, names: Option<usize>) {
        self.state().room.names = names;
    }

    /// What is answered where there is no room: [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) if the bounds are those of
    /// a user. Default: [`StorageFull`](io::ErrorKind::StorageFull).
    pub fn set_no_room_error(&self, error: io::ErrorKind) {
        self.state().room.error = error;
    }

    /// Sets the wall clock, forwards or backwards; it goes on by a microsecond each time it is looked at, and stands still
    /// at the last time there is. What measures how long something takes knows nothing of it.
    ///
    /// ```
    /// use scorebook::testing::SimulatedDisk;
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Timestamp};
    /// # fn main() -> Result<(), scorebook::Error> {
    /// let disk = SimulatedDisk::new(7);
    /// let store = EventStore::options().open_simulated(&disk)?;
    /// let game = StreamName::new("game-42")?;
    /// for time in [i64::MAX, 0, i64::MIN] {
    ///     disk.set_time(Timestamp::from_nanos(time));
    ///     let guess = NewEvent::bytes("guessed", b"7".to_vec());
    ///     store.append(&game, ExpectedVersion::Any, [guess]).wait().map_err(|error| error.into_error())?;
    /// }
    /// let times: Vec<Timestamp> = store.read(&game).iter().map(|event| Ok(event?.time())).collect::<Result<_, scorebook::Error>>()?;
    /// assert!(times.is_sorted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_time(&self, time: Timestamp) {
        self.state().machine.set_time(time);
    }

    /// How long each sync of a file takes from now on, by both clocks. Default: no time.
    ///
    /// ```
    /// use scorebook::testing::SimulatedDisk;
    /// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), scorebook::Error> {
    /// let disk = SimulatedDisk::new(7);
    /// let store = EventStore::options().open_simulated(&disk)?;
    /// disk.set_sync_time(Duration::from_millis(300));
    /// let guess = NewEvent::bytes("guessed", b"7".to_vec());
    /// let game = StreamName::new("game-42")?;
    /// store.append(&game, ExpectedVersion::Any, [guess]).wait().map_err(|error| error.into_error())?;
    /// assert!(Duration::from_millis(300) <= store.stats()?.activity().waits().longest());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_sync_time(&self, time: Duration) {
        self.state().sync_time = time;
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

    /// How many changes a power cut could lose: at least one of each thing that is pending. [`CrashChoice::Prefix`] keeps
    /// the first so many.
    #[must_use]
    pub fn pending_changes(&self) -> usize {
        pending(&self.state().names).iter().map(|thing| thing.changes.len()).sum()
    }

    /// What a power cut could lose, one line each, in the order of [`CrashChoice`].
    #[must_use]
    pub fn describe_pending(&self) -> Vec<String> {
        let describe =
            |thing: &crash::Thing<'_>| format!("`{}` {:?}, {} before", thing.path, thing.item, thing.changes.len());
        pending(&self.state().names).iter().map(describe).collect()
    }

    /// How many sectors readers see otherwise than they are on the disk, and no sync will change that: what failed syncs
    /// dropped, and what lost and misplaced writes left. A power cut always loses them.
    #[must_use]
    pub fn unsaved_sectors(&self) -> usize {
        let state = self.state();
        state.names.nodes().iter().map(|(_, node)| node.content.read().unsaved_sectors()).sum()
    }

    /// The disk as it would be found if the power were cut now: another disk, with nothing pending, no lock, no
    /// faults and another boot. This one stays as it is.
    #[must_use]
    pub fn crash(&self, choice: &CrashChoice) -> SimulatedDisk {
        let state = self.state();
        let names = survivors(&state.names, self.shared.is_tracked, &mut Decider::new(choice, &state.names));
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
        let State { sync_failure, sync_time, changes, .. } = *state;
        let room = state.room.clone();
        let ledger = Ledger::default();
        let state = State { names, ledger, machine, is_locked: false, room, sync_failure, sync_time, changes };
        SimulatedDisk::with_state(self.shared.is_tracked, state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }
}

impl State {
    fn create(&mut self, path: &str, named: Named) -> io::Result<()> {
        self.check_name_fits()?;
        self.names.create(path, named, &mut self.changes)
    }

    /// Whether there is room for another name.
    fn check_name_fits(&self) -> io::Result<()> {
        match self.room.names {
            Some(most) if most <= self.names.current().len() => Err(self.room.error.into()),
            _ => Ok(()),
        }
    }

    /// How many bytes longer a file may become, if there is a bound.
    fn bytes_left(&self) -> Option<usize> {
        let most = self.room.bytes?;
        let used: u64 = self.names.files().map(|(_, node)| node.content.read().len() as u64).sum();
        Some(usize::try_from(most.saturating_sub(used)).unwrap_or(usize::MAX))
    }

    /// Where the choices of a failing sync come from.
    fn sync_chance(&self) -> SplitMix {
        self.sync_failure.chance(self.ledger.operations())
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, pending) = (self.file_names().len(), self.pending_items());
        write!(f, "simulated disk with {files} files after {} operations, {pending} pending", self.operations())
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
