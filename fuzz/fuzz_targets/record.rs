//! Arbitrary bytes through the decoders of batches and records: they may verify or not, and nothing else.
//!
//! ```console
//! cargo fuzz run record
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let records = scorebook::testing::decode_bytes(data);
    // Every record that verifies takes room of its own, so there cannot be more of them than bytes.
    assert!(records <= data.len(), "{records} records in {} bytes", data.len());
});
