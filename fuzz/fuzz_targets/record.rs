//! Arbitrary bytes through the decoders of batches and records, and of all else that has a layout.
//!
//! For long, on a stable toolchain:
//!
//! ```console
//! RUSTC_BOOTSTRAP=1 cargo fuzz run record -- -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=5 -max_len=2048
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scorebook_fuzz::targets::record::run(data));
