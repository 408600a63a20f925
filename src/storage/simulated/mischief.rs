//! Trouble by chance, for random operation runs.

use super::fault::{DiskOperation, FaultEffect};
use super::machine::SplitMix;
use std::io;

/// Trouble that comes by chance: every operation may be interrupted, short or fail, at given rates. The same seed and the
/// same operations give the same trouble.
///
/// Only such trouble as the caller is told of, or that the calls below the store put right: a disk that lies must be told
/// to, with [`DiskFault::lost`](super::DiskFault::lost) and
/// [`DiskFault::misplaced_write`](super::DiskFault::misplaced_write).
///
/// ```
/// use scorebook::testing::{Mischief, SimulatedDisk};
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// # fn main() -> Result<(), scorebook::Error> {
/// let disk = SimulatedDisk::new(7);
/// disk.set_mischief(Some(Mischief::new(1).short(400).interrupted(200)));
/// let store = EventStore::options().open_simulated(&disk)?;
/// let game = StreamName::new("game-42")?;
/// let guess = NewEvent::bytes("guessed", vec![7; 1_000]);
/// store.append(&game, ExpectedVersion::NoStream, [guess]).wait().map_err(|error| error.into_error())?;
/// assert!(disk.trace().iter().any(|step| step.ends_with("(short)")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mischief {
    chance: SplitMix,
    short: u16,
    interrupted: u16,
    failing: u16,
}

/// Rates are counted in a thousand operations.
const WHOLE: u16 = 1_000;

impl Mischief {
    /// No trouble yet.
    #[must_use]
    pub fn new(seed: u64) -> Mischief {
        Mischief { chance: SplitMix(seed), short: 0, interrupted: 0, failing: 0 }
    }

    /// So many of a thousand reads and writes do only a part of what was asked and say so. Default: none.
    ///
    /// # Panics
    ///
    /// If all rates together are more than a thousand.
    #[must_use]
    pub fn short(mut self, in_1000: u16) -> Mischief {
        self.short = in_1000;
        self.checked()
    }

    /// So many of a thousand operations are interrupted and repeated. Default: none.
    ///
    /// # Panics
    ///
    /// If all rates together are more than a thousand, or these are all: it would be repeated for ever.
    #[must_use]
    pub fn interrupted(mut self, in_1000: u16) -> Mischief {
        self.interrupted = in_1000;
        self.checked()
    }

    /// So many of a thousand operations fail: a write behind some of its bytes, a sync as
    /// [told](super::SimulatedDisk::set_sync_failure). Default: none.
    ///
    /// # Panics
    ///
    /// If all rates together are more than a thousand.
    #[must_use]
    pub fn failing(mut self, in_1000: u16) -> Mischief {
        self.failing = in_1000;
        self.checked()
    }

    fn checked(self) -> Mischief {
        let rates = [self.short, self.interrupted, self.failing].map(u32::from);
        assert!(rates.iter().sum::<u32>() <= u32::from(WHOLE), "more than a thousand in a thousand: {self:?}");
        assert!(self.interrupted < WHOLE, "who is interrupted calls again, and would do so for ever");
        self
    }

    /// What goes wrong with the next operation, if anything does.
    pub(super) fn draw(&mut self, operation: DiskOperation) -> Option<FaultEffect> {
        let roll = (self.chance.next() % u64::from(WHOLE)) as u16;
        // Of most pieces of a write some sectors are whole and one is cut.
        let bytes = 1 + (self.chance.next() % 1_500) as usize;
        if roll < self.interrupted {
            return Some(FaultEffect::Error { error: io::ErrorKind::Interrupted, written: 0 });
        }
        if roll - self.interrupted < self.failing {
            let errors = errors_of(operation);
            let error = errors[(self.chance.next() % errors.len() as u64) as usize];
            return Some(FaultEffect::Error { error, written: bytes - 1 });
        }
        let is_divisible = matches!(operation, DiskOperation::Read | DiskOperation::Write);
        let is_short = is_divisible && roll - self.interrupted - self.failing < self.short;
        is_short.then_some(FaultEffect::Short { bytes })
    }
}

/// What a system may answer.
fn errors_of(operation: DiskOperation) -> &'static [io::ErrorKind] {
    use DiskOperation as Op;
    use io::ErrorKind::{Other, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match operation {
        Op::Write | Op::Create | Op::CreateDirectory => &[Other, StorageFull, QuotaExceeded, ReadOnlyFilesystem],
        Op::Sync | Op::SyncDirectory => &[Other, StorageFull, QuotaExceeded],
        Op::Remove => &[Other, PermissionDenied, ReadOnlyFilesystem],
        Op::Open => &[Other, PermissionDenied],
        Op::Read | Op::List | Op::Lock => &[Other],
    }
}
