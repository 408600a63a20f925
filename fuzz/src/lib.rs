//! The bodies of the fuzz targets. They are plain functions, so that a test can run the corpus through them without the
//! fuzzing engine and without a C++ compiler:
//!
//! ```console
//! cargo test --manifest-path fuzz/Cargo.toml --no-default-features
//! ```
//!
//! Each file in `fuzz_targets/` hands one of them to the engine and says how it is run for long.

pub mod targets;

mod cli;
mod image;
mod layout;
mod look;
mod rules;
mod seal;

#[path = "../../tests/model/mod.rs"]
mod model;

#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;
