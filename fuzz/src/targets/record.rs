//! Records and batches: arbitrary bytes through every decoder.
//!
//! The first byte says whether checksums are made right before. What then verifies is compared with what the rules say.

use crate::layout::{SECTOR, Salt};
use crate::rules::{self, Found};
use crate::seal::{Mend, seal_batches};
use scorebook::testing::decode_bytes;

/// Decodes, and compares with the rules.
pub fn run(data: &[u8]) {
    let (how, rest) = data.split_first().map_or((0, data), |(how, rest)| (*how, rest));
    let mut bytes = rest.to_vec();
    let decoded = decode_bytes(&bytes);
    if decoded.has_preamble {
        // The salt is another one then: this is for the target `segment`.
        return;
    }
    let salt = Salt::of(&[]);
    seal_batches(&mut bytes, salt, Mend::of(how));
    let decoded = decode_bytes(&bytes);
    let (mut batches, mut records) = (0, 0);
    for offset in (0..bytes.len()).step_by(8) {
        if let Found::Batch(batch) = rules::at(&bytes, salt, offset, bytes.len()) {
            batches += 1;
            records += batch.records.len();
        }
    }
    assert_eq!((decoded.batches, decoded.records), (batches, records), "what verifies is what the rules say");
    assert!(decoded.sound_records <= decoded.records, "no record is sound that does not verify");
    // The same bytes where a slot, a footer and a body are looked for.
    for part in [bytes.get(SECTOR..), bytes.get(112..), bytes.get(112..136), bytes.get(112..128)].into_iter().flatten()
    {
        let _ = decode_bytes(part);
    }
}
