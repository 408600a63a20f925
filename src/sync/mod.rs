//! Locks, waiting and atomics. Everything in the crate that threads share goes through here, so that a model
//! checker can take its place.
//!
//! ```text
//! real      parking_lot, crossbeam and the standard library: what everybody runs
//! checked   loom under `--cfg scorebook_loom`, shuttle under `--cfg scorebook_shuttle`: unit tests only
//! ```
//!
//! Those are flags of the compiler and not features of the crate, so that `--all-features` stays something one can run.

#[cfg(all(test, any(scorebook_loom, scorebook_shuttle)))]
mod checked;
#[cfg(all(test, any(scorebook_loom, scorebook_shuttle)))]
pub(crate) mod explore;
#[cfg(not(all(test, any(scorebook_loom, scorebook_shuttle))))]
mod real;

#[cfg(all(test, any(scorebook_loom, scorebook_shuttle)))]
pub(crate) use checked::*;
#[cfg(not(all(test, any(scorebook_loom, scorebook_shuttle))))]
pub(crate) use real::*;

// Nothing is checked about who else holds a value, and neither checker would find more with an `Arc` of its own.
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::Ordering;

/// A counter of the whole process, which outlives every model and so is none of a checker's.
pub(crate) use std::sync::atomic::AtomicU32 as ProcessCounter;

/// A number of what was done, on which nobody decides anything, and so none of a checker's either.
pub(crate) use std::sync::atomic::AtomicU64 as UncheckedU64;
