//! Work on a directory with no store open: look, verify, salvage. The source is never changed.

mod info;
mod salvage;
mod verify;

pub use info::{StoreInfo, inspect};
pub use salvage::{SalvageReport, salvage};
pub use verify::{VerifyReport, verify};

use crate::error::Error;
use crate::index::StreamTable;
use crate::log::{CloseState, Opened, is_same_writer, living_writer, open_for_reading};
use crate::options::{Options, ReadMode};
use crate::storage::Storage;
use crate::sync::{Arc, sleep};
use std::time::Duration;

/// How often a log is looked at again when its writer changed it under the look.
const ATTEMPTS: u32 = 20;

/// Opening for inspection reads with positioned reads only: a media error must be an error, not the end of the process.
fn options() -> Options {
    Options::default().read_mode(ReadMode::Positioned)
}

/// Scans the whole log. Beside a living writer a look that found damage is taken again, since files may have been changed
/// between one and the next.
fn scan(storage: &Arc<dyn Storage>) -> Result<Opened<StreamTable>, Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let opened = open_for_reading(&**storage, &options(), StreamTable::default);
        let is_settled = opened.as_ref().is_ok_and(|opened| {
            let is_open = opened.report.close_state() == CloseState::Open;
            opened.report.damage().is_empty() && (!is_open || is_same_writer(&**storage, opened.seen.as_ref()))
        });
        let may_have_changed = living_writer(&**storage).is_some() || storage.is_locked().unwrap_or(false);
        if is_settled || ATTEMPTS <= attempt || !may_have_changed {
            return opened;
        }
        sleep(Duration::from_millis(10));
    }
}
