//! Backups of a running store, each going on from the one before, and stores restored from them.

mod manifest;
mod piece;
mod planned;
mod restore;
mod take;

pub use planned::{BackupPlan, plan_restore};
pub use restore::{RestoreReport, Until, restore};
pub use take::{BackupInfo, BackupReport, verify_backup};

pub(crate) use restore::restore_on;
pub(crate) use take::{backup_on, verify_backup_on};
