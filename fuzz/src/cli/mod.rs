//! What of the tool reads and writes lines. These modules know each other as `crate::cli`.

#[path = "../../../src/cli/carried.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod carried;
#[path = "../../../src/cli/compact.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod compact;
#[path = "../../../src/cli/entry.rs"]
pub(crate) mod entry;
#[path = "../../../src/cli/exact.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod exact;
#[path = "../../../src/cli/failure.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod failure;
#[path = "../../../src/cli/import.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod import;
#[path = "../../../src/cli/lines.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod lines;
#[path = "../../../src/cli/ndjson.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod ndjson;
pub(crate) mod output;
pub(crate) mod progress;
#[path = "../../../src/cli/rfc3339.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
pub(crate) mod rfc3339;

use scorebook::EventStore;
use std::path::PathBuf;

/// Stands in for what every command of the tool is told.
#[allow(dead_code, reason = "no command is run here")]
pub(crate) struct Tool {
    dir: PathBuf,
}

#[allow(dead_code, reason = "no command is run here")]
impl Tool {
    fn open(&self) -> Result<EventStore, failure::Failure> {
        Ok(EventStore::open(&self.dir)?)
    }
}
