//! The targets: what is done with the bytes of a fuzzer. Any panic is a fault.

pub mod directory;
pub mod import;
pub mod operations;
pub mod record;
pub mod segment;
