//! Snapshots: states of folds in files of `snapshots/`, beside the log and derived from it.
//!
//! ```text
//! source    of whom a state is, and what may be wrong with a file of it
//! name      the names of files
//! file      one file: what it says of itself, and the state
//! catalog   which files there are: found once, and kept up to date by whoever writes and removes some
//! ```
//!
//! A file is written once, under a name of its own, and never again, so whatever happens to it the others are as they were. It
//! speaks of nothing that is not durable and names the place up to which the log was durable when it was written: so it is a
//! witness of that, and one that is ahead of the log proves that something was lost. It names the event that the state ends
//! with as well: whoever takes a state up looks whether that is the one in the log.

mod catalog;
mod file;
mod name;
mod source;

pub use source::{SnapshotFault, SnapshotSource};

pub(crate) use catalog::{Catalog, PassedOver, doubtful, furthest_witness};
pub(crate) use file::{BODY_BYTES_MAX, Head, LastEvent, SnapshotFile};
pub(crate) use name::FileName;

/// The directory of the states of folds.
pub(crate) const SNAPSHOTS_DIR: &str = "snapshots";
