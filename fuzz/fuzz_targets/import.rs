//! Arbitrary lines of NDJSON: taken in, exported, taken in again.
//!
//! For long, on a stable toolchain:
//!
//! ```console
//! RUSTC_BOOTSTRAP=1 cargo fuzz run import -- -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=5 -max_len=4096
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scorebook_fuzz::targets::import::run(data));
