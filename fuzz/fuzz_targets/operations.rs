//! Operations on a store and faults of its disk, compared with the model after each.
//!
//! For long, on a stable toolchain:
//!
//! ```console
//! RUSTC_BOOTSTRAP=1 cargo fuzz run operations -- -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=10 -max_len=1024
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scorebook_fuzz::targets::operations::run(data));
