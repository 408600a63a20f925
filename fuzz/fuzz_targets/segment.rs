//! A log of one segment, raw and with checksums made right, compared with what the rules of the format say of it.
//!
//! For long, on a stable toolchain:
//!
//! ```console
//! RUSTC_BOOTSTRAP=1 cargo fuzz run segment -- -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=5 -max_len=4096
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scorebook_fuzz::targets::segment::run(data));
