//! What is done with a directory while no store is open, on a simulated disk.

use crate::backup::{self, BackupInfo, BackupReport, RestoreReport, Until};
use crate::error::Error;
use crate::inspect::{self, RepairPlan, SalvageReport, VerifyReport};
use crate::storage::{SimulatedDisk, Storage};
use crate::store::EventStore;
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

/// Like [`repair`](crate::repair), on a simulated disk.
///
/// # Errors
///
/// * Those of [`repair`](crate::repair).
pub fn repair_simulated(disk: &SimulatedDisk) -> Result<RepairPlan, Error> {
    inspect::repair_on(Arc::new(disk.clone()))
}

/// Like [`EventStore::backup`], to a simulated disk.
///
/// # Errors
///
/// * Those of [`EventStore::backup`].
pub fn backup_simulated(store: &EventStore, destination: &SimulatedDisk) -> Result<BackupReport, Error> {
    backup::backup_on(store, destination)
}

/// Like [`verify_backup`](crate::verify_backup), on a simulated disk.
///
/// # Errors
///
/// * Those of [`verify_backup`](crate::verify_backup).
pub fn verify_backup_simulated(disk: &SimulatedDisk) -> Result<BackupInfo, Error> {
    backup::verify_backup_on(disk)
}

/// Like [`restore`](crate::restore), from one simulated disk to another, which must be empty.
///
/// # Errors
///
/// * Those of [`restore`](crate::restore).
pub fn restore_simulated(
    source: &SimulatedDisk,
    destination: &SimulatedDisk,
    until: Until,
) -> Result<RestoreReport, Error> {
    let storage: Arc<dyn Storage> = Arc::new(destination.clone());
    backup::restore_on(source, &storage, until)
}
