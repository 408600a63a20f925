//! A door for fuzzers: arbitrary bytes through every decoder of the format.

use crate::event::{RecordedEvent, SharedBytes};
use crate::format::{
    BATCH_HEADER_LEN, BatchBuffer, BatchView, FOOTER_LEN, Fact, Footer, Kind, LIVE_LEN, Live, Loss, PREAMBLE_LEN,
    Preamble, Range, RecordView, SECTOR, Salt, Stamp, Start, decode_event, find_batch_header,
};
use crate::position::Place;
use crate::sync::Arc;

/// What arbitrary bytes turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// They begin with a preamble.
    pub has_preamble: bool,
    /// They end with a footer.
    pub has_footer: bool,
    /// They begin with a slot of `live`, or with two.
    pub has_live: bool,
    /// Batches that verify where they stand.
    pub batches: usize,
    /// Records of these batches.
    pub records: usize,
    /// Records whose bodies make sense by themselves.
    pub sound_records: usize,
}

/// Runs arbitrary bytes through every decoder of the format. They are taken for a segment, from its first byte; where
/// they do not begin with a preamble, for one of store 0 with id 0 and sequence number 1.
///
/// ```
/// assert_eq!(scorebook::testing::decode_bytes(b"no log").records, 0);
/// ```
///
/// # Panics
///
/// Where something that decodes does not encode to the bytes it was decoded from: that is a fault of this crate.
#[must_use]
pub fn decode_bytes(bytes: &[u8]) -> Decoded {
    let preamble = Preamble::decode(bytes).ok();
    let salt = preamble.map_or(Salt::of(&[0; 16], &[0; 16], 1), |preamble| preamble.salt());
    if let Some(preamble) = preamble {
        assert_eq!(preamble.encode(), bytes[..PREAMBLE_LEN], "a preamble comes back as it was");
    }
    let last_sector = &bytes[bytes.len().saturating_sub(FOOTER_LEN)..];
    let footer = Footer::decode(last_sector, salt).ok();
    if let Some(footer) = footer {
        assert_eq!(footer.encode(salt), last_sector, "a footer comes back as it was");
    }
    let live = Live::decode(bytes);
    if let Some(live) = live {
        let mut slots = bytes.chunks(SECTOR).take(LIVE_LEN / SECTOR);
        assert!(slots.any(|slot| *slot == live.encode()), "a slot of `live` comes back as it was");
    }
    decode_bodies(bytes);
    let mut decoded = Decoded {
        has_preamble: preamble.is_some(),
        has_footer: footer.is_some(),
        has_live: live.is_some(),
        ..Decoded::default()
    };
    let shared: SharedBytes = Arc::new(bytes.to_vec());
    let mut offset = 0;
    while let Some(found) = find_batch_header(bytes, 0, offset, salt) {
        if let Ok(batch) = BatchView::verify(&bytes[found as usize..], salt, found) {
            check_seals(&batch, salt);
            decoded.batches += 1;
            for (offset, record) in batch.placed_records() {
                decoded.records += 1;
                decoded.sound_records += usize::from(is_sound(&shared, offset, record));
            }
        }
        offset = found + 8;
    }
    decoded
}

/// The bytes as the body of each record that has one of its own layout.
fn decode_bodies(bytes: &[u8]) {
    if let Ok(start) = Start::decode(bytes) {
        assert_eq!(start.encode(), bytes, "a start record comes back as it was");
    }
    if let Ok(range) = Range::decode_removed(bytes) {
        assert_eq!(range.encode_removed(), bytes, "a removed record comes back as it was");
    }
    if let Ok(loss) = Loss::decode(bytes) {
        assert_eq!(loss.encode(), bytes, "a lost record comes back as it was");
    }
}

/// A verified batch that is sealed again for the same place is the same batch.
fn check_seals(batch: &BatchView<'_>, salt: Salt) {
    let header = &batch.header;
    let stamp = Stamp {
        epoch: header.epoch,
        epoch_bits: 0,
        previous: header.previous,
        durable: header.durable,
        first_position: header.first_position,
        time: header.time,
    };
    let mut again = Vec::new();
    let checksum = BatchBuffer::copy_of(batch).seal(&stamp, salt, batch.offset, &mut again);
    assert_eq!(again, batch.bytes, "a batch comes back as it was");
    assert_eq!(checksum, batch.checksum, "and so does its checksum");
    assert!(BATCH_HEADER_LEN < batch.bytes.len(), "a batch has records");
}

/// Whether the body of a verified record says something that makes sense.
fn is_sound(shared: &SharedBytes, offset: u32, record: RecordView<'_>) -> bool {
    let body = record.body();
    match record.header.kind {
        Kind::Event => {
            let place = Place { segment: 1, offset };
            let event = decode_event(shared, offset as usize, record, place);
            if let Ok(event) = &event {
                check_event(event, record);
            }
            event.is_ok() && record.decode_event_parts().is_ok()
        }
        Kind::Start => Start::decode(body).is_ok(),
        Kind::Removed => Range::decode_removed(body).is_ok(),
        Kind::Lost => Loss::decode(body).is_ok(),
        _ => Fact::decode(&record).is_ok(),
    }
}

/// What an event gives back lies in its record, and every way to ask for it answers.
fn check_event(event: &RecordedEvent, record: RecordView<'_>) {
    let tags: usize = event.tags().map(|(key, value)| 2 + key.len() + value.len()).sum();
    assert_eq!(tags, usize::from(record.header.tags_len), "the tags are all there");
    assert_eq!(event.metadata_json().len(), record.header.metadata_len as usize, "the metadata are all there");
    assert!(record.bytes.ends_with(event.data()), "the payload is the end of the record");
    assert_eq!(record.stream(), Ok(event.stream()), "the name is the same, however it is asked for");
    assert!(event.stream().starts_with(event.category()), "a name begins with its category");
    let _ = (event.id(), event.occurred(), event.codec(), event.metadata(), event.json::<serde_json::Value>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arbitrary_bytes_are_never_a_record_and_never_a_panic() {
        assert_eq!(decode_bytes(&[]), Decoded::default());
        assert_eq!(decode_bytes(&[0xFF; 4096]), Decoded::default());
    }
}
