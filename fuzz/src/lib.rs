//! The bodies of the fuzz targets. They are plain functions, so that a test can run the corpus through them without the
//! fuzzing engine and without a C++ compiler:
//!
//! ```console
//! cargo test --manifest-path fuzz/Cargo.toml --no-default-features
//! ```
//!
//! Each file in `fuzz_targets/` hands one of them to the engine and says how it is run for long.

pub mod targets;

mod image;
mod layout;
mod look;
mod rules;
mod seal;

#[path = "../../tests/model/mod.rs"]
mod model;

// What of the tool reads and writes lines. It calls these modules by their names at the root of its crate.

#[path = "../../src/bin/scorebook/compact.rs"]
mod compact;
#[path = "../../src/bin/scorebook/entry.rs"]
mod entry;
#[path = "../../src/bin/scorebook/exact.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod exact;
#[path = "../../src/bin/scorebook/failure.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod failure;
#[path = "../../src/bin/scorebook/import.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod import;
#[path = "../../src/bin/scorebook/lines.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod lines;
#[path = "../../src/bin/scorebook/ndjson.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod ndjson;
#[path = "tool/output.rs"]
mod output;
#[path = "tool/progress.rs"]
mod progress;
#[path = "../../src/bin/scorebook/rfc3339.rs"]
#[allow(dead_code, reason = "the tool uses more of it")]
mod rfc3339;

use scorebook::EventStore;
use std::path::PathBuf;

/// Stands in for what every command of the tool is told.
#[allow(dead_code, reason = "no command is run here")]
struct Tool {
    dir: PathBuf,
}

#[allow(dead_code, reason = "no command is run here")]
impl Tool {
    fn open(&self) -> Result<EventStore, failure::Failure> {
        Ok(EventStore::open(&self.dir)?)
    }
}

#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;
