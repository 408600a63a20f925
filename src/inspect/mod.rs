//! Work on a directory with no store open: look, verify, salvage, derive anew, repair, migrate. Only the last two change what
//! holds facts.

mod damaged;
mod info;
mod migrate;
mod rebuild;
mod repair;
mod salvage;
mod verify;

pub use info::{StoreInfo, inspect};
pub use migrate::{MigrationPlan, SegmentFormat, migrate};
pub use rebuild::{RebuiltIndex, rebuild_index};
pub use repair::{RepairPlan, Repaired, repair};
pub use salvage::{SalvageReport, salvage};
pub use verify::{VerifyReport, verify};

pub(crate) use repair::repair_on;
pub(crate) use salvage::salvage_on;
pub(crate) use verify::verify_on;

use crate::error::Error;
use crate::index::{SavedTable, StreamTable};
use crate::log::{CloseState, Opened, is_same_writer, living_writer, open_for_reading, read_live};
use crate::options::{Options, ReadMode};
use crate::snapshot::furthest_witness;
use crate::storage::Storage;
use crate::sync::{Arc, sleep};
use std::time::Duration;

/// How often a log is looked at again when its writer changed it under the look.
const ATTEMPTS: u32 = 20;

/// Opening for inspection reads with positioned reads only: a media error must be an error, not the end of the process.
fn options() -> Options {
    Options::default().read_mode(ReadMode::Positioned)
}

/// Scans the whole log. Where a writer may have changed files between one look and the next, it is scanned again: beside
/// a living writer that found damage, and where `live` tells that one came or went.
fn scan(storage: &Arc<dyn Storage>) -> Result<Opened<StreamTable>, Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let said = read_live(&**storage);
        let witness = furthest_witness(&**storage, SavedTable::read(&**storage).as_ref());
        let opened = open_for_reading(&**storage, &options(), witness.as_ref(), |_| StreamTable::default());
        let has_changed = read_live(&**storage) != said;
        let is_settled = opened.as_ref().is_ok_and(|opened| {
            let is_same = match opened.report.close_state() {
                CloseState::Open => is_same_writer(&**storage, opened.seen.as_ref()),
                _ => !has_changed,
            };
            opened.report.damage().is_empty() && is_same
        });
        let may_have_changed =
            has_changed || living_writer(&**storage).is_some() || storage.is_locked().unwrap_or(false);
        if is_settled || ATTEMPTS <= attempt || !may_have_changed {
            return opened;
        }
        sleep(Duration::from_millis(10));
    }
}
