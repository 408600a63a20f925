//! What can go wrong with one operation of a simulated disk.

use super::machine::SplitMix;
use std::io;

/// A kind of operation on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DiskOperation {
    /// A file is created.
    Create,
    /// A file that exists is opened.
    Open,
    /// Bytes of a file are read.
    Read,
    /// Bytes of a file are written.
    Write,
    /// The content of a file is made durable.
    Sync,
    /// A file is removed.
    Remove,
    /// A directory is created.
    CreateDirectory,
    /// The names in a directory are made durable; creating a directory does this as well.
    SyncDirectory,
    /// The names in a directory are listed.
    List,
    /// The lock is taken or looked at.
    Lock,
}

/// How many kinds there are.
pub(super) const KINDS: usize = DiskOperation::Lock as usize + 1;

impl DiskOperation {
    pub(super) fn is_mutation(self) -> bool {
        use DiskOperation as Op;
        match self {
            Op::Create | Op::Write | Op::Sync | Op::Remove | Op::CreateDirectory | Op::SyncDirectory => true,
            Op::Open | Op::Read | Op::List | Op::Lock => false,
        }
    }
}

/// Something that is to go wrong: an operation fails, does a part, or lies.
///
/// ```
/// use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
/// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, Status, StreamName};
/// # fn main() -> Result<(), scorebook::Error> {
/// let disk = SimulatedDisk::new(7);
/// let store = EventStore::options().open_simulated(&disk)?;
/// let game = StreamName::new("game-42")?;
/// let guess = || NewEvent::bytes("guessed", b"7".to_vec());
/// store.append(&game, ExpectedVersion::Any, [guess()]).wait().map_err(|error| error.into_error())?;
///
/// disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
/// let failed = store.append(&game, ExpectedVersion::Any, [guess()]).wait().unwrap_err().into_error();
/// assert_eq!((failed.kind(), store.status()), (ErrorKind::OutcomeUnknown, Status::Poisoned));
/// assert_eq!(store.head()?.get(), 1);
///
/// // Opening again finds out what became of it: it was on its way, and nothing had dropped it.
/// store.reopen()?;
/// assert_eq!(store.head()?.get(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskFault {
    /// The kind of operation that goes wrong.
    pub operation: DiskOperation,
    /// Which one, counted from 1 among those of its kind from now on.
    pub nth: u64,
    /// Whether all later ones of its kind go wrong too.
    pub repeat: bool,
    /// What goes wrong.
    pub effect: FaultEffect,
}

/// What goes wrong with an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultEffect {
    /// It fails.
    Error {
        /// What it fails with.
        error: io::ErrorKind,
        /// How many bytes a write that fails has written before.
        written: usize,
    },
    /// It reads or writes so many bytes and says so, as a system may. Whoever calls goes on with the rest.
    Short {
        /// How many.
        bytes: usize,
    },
    /// It says that it is done, and the disk does not have it.
    Lost,
    /// It says that it is done, and the disk has it elsewhere.
    Misplaced(Misplacement),
}

/// Where a misplaced write lands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misplacement {
    /// In the same file, so many sectors further on, or before where negative.
    Sectors(isize),
    /// At the same place of the file with this path.
    File(String),
}

impl DiskFault {
    /// The next operation of this kind fails, once, and does nothing.
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted) is never told to the store: whoever is interrupted calls again.
    #[must_use]
    pub fn new(operation: DiskOperation, error: io::ErrorKind) -> DiskFault {
        DiskFault::with_effect(operation, FaultEffect::Error { error, written: 0 })
    }

    /// The next read or write does so many bytes and says so, as a system may; the rest is asked for with another call.
    /// A write of 0 bytes ends the attempt with [`WriteZero`](io::ErrorKind::WriteZero).
    ///
    /// # Panics
    ///
    /// If the operation is neither a read nor a write, or a read of no bytes: that says that the file ends.
    #[must_use]
    pub fn short(operation: DiskOperation, bytes: usize) -> DiskFault {
        let is_possible = match operation {
            DiskOperation::Read => 0 < bytes,
            DiskOperation::Write => true,
            _ => false,
        };
        assert!(is_possible, "{operation:?} cannot do {bytes} bytes and be short");
        DiskFault::with_effect(operation, FaultEffect::Short { bytes })
    }

    /// The next operation of this kind lies: it says that it is done, and is not.
    ///
    /// What a lost write wrote is shown to readers, and no sync brings it to the disk, until the sectors are written
    /// again. A lost sync leaves everything pending: a later one that is not lost makes it durable. A disk that lies for
    /// ever loses every sync with [`repeat`](DiskFault::repeat).
    ///
    /// # Panics
    ///
    /// If the operation is neither a write nor a sync of a file or a directory.
    #[must_use]
    pub fn lost(operation: DiskOperation) -> DiskFault {
        use DiskOperation as Op;
        assert!(matches!(operation, Op::Write | Op::Sync | Op::SyncDirectory), "{operation:?} cannot be lost");
        DiskFault::with_effect(operation, FaultEffect::Lost)
    }

    /// The next write says that it is done, and its sectors go to another place of the disk, at once. Its own place keeps
    /// what the disk had. Readers see both as they should be, until the sectors are written again, the caches are
    /// [dropped](super::SimulatedDisk::drop_caches) or the power is cut. Where the other place does not exist, the write
    /// is only lost.
    #[must_use]
    pub fn misplaced_write(misplacement: Misplacement) -> DiskFault {
        DiskFault::with_effect(DiskOperation::Write, FaultEffect::Misplaced(misplacement))
    }

    fn with_effect(operation: DiskOperation, effect: FaultEffect) -> DiskFault {
        DiskFault { operation, nth: 1, repeat: false, effect }
    }

    /// Which one goes wrong, counted from 1. Default: the next.
    ///
    /// # Panics
    ///
    /// If `nth` is 0.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> DiskFault {
        assert!(0 < nth, "operations are counted from 1");
        self.nth = nth;
        self
    }

    /// All later ones go wrong too. Default: only one does.
    ///
    /// # Panics
    ///
    /// If the operation is interrupted: who is interrupted calls again, and would do so for ever.
    #[must_use]
    pub fn repeat(mut self) -> DiskFault {
        let is_interrupted = matches!(self.effect, FaultEffect::Error { error: io::ErrorKind::Interrupted, .. });
        assert!(!is_interrupted, "who is interrupted calls again, and would do so for ever");
        self.repeat = true;
        self
    }

    /// How many bytes a write that fails has written before. Default: none.
    ///
    /// # Panics
    ///
    /// If this is no fault with an error.
    #[must_use]
    pub fn written(mut self, bytes: usize) -> DiskFault {
        match &mut self.effect {
            FaultEffect::Error { written, .. } => *written = bytes,
            other => panic!("{other:?} does not fail"),
        }
        self
    }
}

/// What a sync that fails does to what it should have made durable. The answer is the same each time: an error.
///
/// [`all`](SyncFailure::all) gives one of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncFailure {
    /// It stays pending, and a later sync makes it durable.
    #[default]
    Keep,
    /// It is dropped, as XFS and btrfs do, and ext4 where something is overwritten: readers go on seeing it, later syncs
    /// succeed, and the disk has what it had, or zeros where the file has grown, until it is written again.
    Drop,
    /// The same, and where the file has grown since its last sync nothing ever gets to the disk, however often it is
    /// written and synced there, as ext4 does: until the machine starts anew or the caches are dropped.
    DropForGood,
    /// It is dropped, and readers see at once what the disk has.
    Revert,
    /// It is durable all the same; only the answer says otherwise.
    Complete,
    /// Each sector and each name on its own, by this seed: it is durable, stays pending, or is dropped.
    Mix(u64),
}

impl SyncFailure {
    /// One of each. The seed is that of [`Mix`](SyncFailure::Mix).
    ///
    /// ```
    /// use scorebook::testing::SyncFailure;
    /// assert!(SyncFailure::all(7).contains(&SyncFailure::Mix(7)));
    /// ```
    #[must_use]
    pub fn all(seed: u64) -> [SyncFailure; 6] {
        use SyncFailure as Failure;
        [Failure::Keep, Failure::Drop, Failure::DropForGood, Failure::Revert, Failure::Complete, Failure::Mix(seed)]
    }

    /// Where the choices of this failure come from, at the operation with this number.
    pub(super) fn chance(self, operation: u64) -> SplitMix {
        let seed = if let SyncFailure::Mix(seed) = self { seed } else { 0 };
        SplitMix(seed ^ operation.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// What becomes of one thing that was pending.
    pub(super) fn fate(self, chance: &mut SplitMix) -> Fate {
        match self {
            SyncFailure::Keep => Fate::Pending,
            SyncFailure::Drop | SyncFailure::DropForGood | SyncFailure::Revert => Fate::Dropped,
            SyncFailure::Complete => Fate::Durable,
            SyncFailure::Mix(_) => [Fate::Pending, Fate::Durable, Fate::Dropped][(chance.next() % 3) as usize],
        }
    }
}

/// What becomes of something pending when its sync fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Pending,
    Durable,
    /// Readers see it, and the disk does not have it.
    Dropped,
}
