//! What is done with a directory while no store is open, on a simulated disk.

use crate::error::Error;
use crate::inspect::{self, SalvageReport, VerifyReport};
use crate::storage::{SimulatedDisk, Storage};
use crate::sync::Arc;

/// Like [`verify`](crate::verify), on a simulated disk.
///
/// # Errors
///
/// * Those of [`verify`](crate::verify).
pub fn verify_simulated(disk: &SimulatedDisk) -> Result<VerifyReport, Error> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    inspect::verify_on(&storage)
}

/// Like [`salvage`](crate::salvage), from one simulated disk to another, which must be empty.
///
/// # Errors
///
/// * Those of [`salvage`](crate::salvage).
pub fn salvage_simulated(source: &SimulatedDisk, destination: &SimulatedDisk) -> Result<SalvageReport, Error> {
    let storage: Arc<dyn Storage> = Arc::new(source.clone());
    inspect::salvage_on(&storage, |options| options.open_simulated(destination))
}
