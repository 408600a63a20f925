//! For tests: a disk in memory that knows what a crash would lose, and a door for fuzzers.

pub use crate::storage::{CrashChoice, DiskFault, DiskOperation, SimulatedDisk, SyncFailure};

/// Runs arbitrary bytes through every decoder of the format: how many records verified. Never panics.
///
/// ```
/// assert_eq!(scorebook::testing::decode_bytes(b"no log"), 0);
/// ```
#[must_use]
pub fn decode_bytes(bytes: &[u8]) -> usize {
    crate::format::decode_arbitrary(bytes)
}
