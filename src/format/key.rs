//! The record of a `once` key: which batch was the first with it, and what that was told.

use super::Fault;
use super::record::{self, Kind, METADATA_LEN, RECORD_HEADER_LEN, RecordView};
use crate::limits::ONCE_KEY_BYTES_MAX;
use crate::name::{StreamName, stream_name_fault};
use crate::options::Durability;
use crate::position::{POSITION_MAX, Position, Version};
use crate::receipt::{Receipt, StreamReceipt};

/// What a key record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFact {
    pub(crate) key: String,
    /// Of what was handed in with it.
    pub(crate) digest: u128,
    /// What the batch was told, as far as that is written down: how durable it is by now is not.
    pub(crate) receipt: Receipt,
}

/// Behind the key: digest, first and last position, number of streams.
const FIXED_LEN: usize = 16 + 8 + 8 + 4;

/// Appends the record of a key to a batch over these streams. What is known only when the batch gets its numbers is left
/// out until [`place`].
pub(super) fn push(out: &mut Vec<u8>, key: &str, digest: u128, streams: &[StreamName]) {
    let start = record::begin(out, Kind::Key);
    METADATA_LEN.put_u32(&mut out[start..], key.len() as u32);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&digest.to_le_bytes());
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&(streams.len() as u32).to_le_bytes());
    for stream in streams {
        out.push(stream.as_str().len() as u8);
        out.extend_from_slice(stream.as_str().as_bytes());
        out.extend_from_slice(&[0; 16]);
    }
    record::finish(out, start);
}

/// Writes into the last record of a batch, made by [`push`], what the batch is told.
pub(super) fn place(record: &mut [u8], receipt: &Receipt) {
    let mut at = RECORD_HEADER_LEN + METADATA_LEN.u32(record) as usize + 16;
    let mut put = |at: &mut usize, number: u64| {
        record[*at..*at + 8].copy_from_slice(&number.to_le_bytes());
        *at += 8;
    };
    put(&mut at, receipt.first_position.get());
    put(&mut at, receipt.last_position.get());
    at += 4;
    for stream in &receipt.streams {
        at += 1 + stream.stream.as_str().len();
        put(&mut at, stream.first_version.get());
        put(&mut at, stream.last_version.get());
    }
    record::finish(record, 0);
}

impl KeyFact {
    /// The key alone.
    pub(super) fn decode_key<'a>(record: &RecordView<'a>) -> Option<&'a str> {
        std::str::from_utf8(record.body().get(..record.header.metadata_len as usize)?).ok()
    }

    pub(crate) fn decode(record: &RecordView<'_>) -> Result<KeyFact, Fault> {
        let header = record.header;
        let key_len = header.metadata_len as usize;
        record::RecordHeader { metadata_len: 0, ..header }.check_no_event()?;
        if !(1..=ONCE_KEY_BYTES_MAX).contains(&key_len) || record.body().len() < key_len + FIXED_LEN {
            return Err(Fault::Senseless);
        }
        let (key, mut rest) = record.body().split_at(key_len);
        let key = std::str::from_utf8(key).map_err(|_| Fault::Senseless)?.to_owned();
        let digest = u128::from_le_bytes(take(&mut rest)?);
        let position = |bytes| Position::new(u64::from_le_bytes(bytes));
        let (first_position, last_position) = (position(take(&mut rest)?), position(take(&mut rest)?));
        let makes_sense = Position::BEGINNING < first_position
            && first_position <= last_position
            && last_position.get() <= POSITION_MAX;
        let count = u32::from_le_bytes(take(&mut rest)?);
        let mut streams = Vec::new();
        while !rest.is_empty() {
            streams.push(take_stream(&mut rest)?);
        }
        if !makes_sense || streams.is_empty() || streams.len() != count as usize {
            return Err(Fault::Senseless);
        }
        let receipt = Receipt {
            first_position,
            last_position,
            time: header.time,
            durability: Durability::Written,
            is_repeat: true,
            streams,
        };
        Ok(KeyFact { key, digest, receipt })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (value, behind) = rest.split_first_chunk::<N>().ok_or(Fault::Senseless)?;
    *rest = behind;
    Ok(*value)
}

fn take_stream(rest: &mut &[u8]) -> Result<StreamReceipt, Fault> {
    let [len] = take(rest)?;
    let (name, behind) = rest.split_at_checked(usize::from(len)).ok_or(Fault::Senseless)?;
    *rest = behind;
    let name = std::str::from_utf8(name).map_err(|_| Fault::Senseless)?;
    let mut version = || Ok(Version::new(u64::from_le_bytes(take(rest)?)));
    let (first_version, last_version) = (version()?, version()?);
    if stream_name_fault(name).is_some() || first_version == Version::NONE || last_version < first_version {
        return Err(Fault::Senseless);
    }
    let stream = StreamName::trusted(name.into());
    Ok(StreamReceipt { stream, first_version, last_version, is_new_stream: first_version == Version::FIRST })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::RecordHeader;
    use crate::time::Timestamp;

    fn receipt() -> Receipt {
        let of = |name: &str, first, last| StreamReceipt {
            stream: StreamName::new(name).expect("a name"),
            first_version: Version::new(first),
            last_version: Version::new(last),
            is_new_stream: first == 1,
        };
        Receipt {
            first_position: Position::new(7),
            last_position: Position::new(9),
            time: Timestamp::from_nanos(0),
            durability: Durability::Written,
            is_repeat: true,
            streams: vec![of("game-42", 1, 2), of("team", 5, 5)],
        }
    }

    /// What is read of a record after a change.
    fn changed(key: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<KeyFact, Fault> {
        let told = receipt();
        let streams: Vec<StreamName> = told.streams.iter().map(|of| of.stream.clone()).collect();
        let mut bytes = Vec::new();
        push(&mut bytes, key, 77, &streams);
        place(&mut bytes, &told);
        change(&mut bytes);
        record::finish(&mut bytes, 0);
        let header = RecordHeader::decode(&bytes)?;
        KeyFact::decode(&RecordView::verify_body(header, &bytes)?)
    }

    #[test]
    fn a_key_comes_back_with_what_its_batch_was_told() {
        for key in ["k".to_owned(), "k".repeat(ONCE_KEY_BYTES_MAX)] {
            let fact = KeyFact { key: key.clone(), digest: 77, receipt: receipt() };
            assert_eq!(changed(&key, |_| {}), Ok(fact));
        }
    }

    const BODY: usize = RECORD_HEADER_LEN + 3;
    const STREAMS: usize = BODY + FIXED_LEN;

    #[test]
    fn what_no_key_can_say_is_senseless() {
        type Change = fn(&mut Vec<u8>);
        let senseless: [(&str, Change); 13] = [
            ("no key", |bytes| METADATA_LEN.put_u32(bytes, 0)),
            ("a key longer than all", |bytes| METADATA_LEN.put_u32(bytes, 120)),
            ("a key that is no text", |bytes| bytes[RECORD_HEADER_LEN] = 0xFF),
            ("no first position", |bytes| bytes[BODY + 16] = 0),
            ("a last position before the first", |bytes| bytes[BODY + 24] = 6),
            ("a position that none can have", |bytes| bytes[BODY + 24 + 7] = 0x40),
            ("another number of streams", |bytes| bytes[BODY + 32] = 3),
            ("a name longer than all", |bytes| bytes[STREAMS] = 200),
            ("a name that none may have", |bytes| bytes[STREAMS + 1] = b'-'),
            ("a name that is no text", |bytes| bytes[STREAMS + 1] = 0xFF),
            ("no first version", |bytes| bytes[STREAMS + 8] = 0),
            ("a last version before the first", |bytes| bytes[STREAMS + 24 + 13] = 4),
            ("a stream cut off", |bytes| bytes.truncate(bytes.len() - 1)),
        ];
        for (what, change) in senseless {
            assert_eq!(changed("key", change), Err(Fault::Senseless), "{what}");
        }
        let none: Change = |bytes| {
            bytes.truncate(STREAMS);
            bytes[BODY + 32] = 0;
        };
        assert_eq!(changed("key", none), Err(Fault::Senseless), "no stream at all");
        assert_eq!(changed(&"k".repeat(129), |_| {}), Err(Fault::Senseless), "a key over the limit");
        assert_eq!(changed("key", |bytes| record::FLAGS.put_u8(bytes, 1)), Err(Fault::Newer));
        assert_eq!(changed("key", |bytes| record::NAME_LEN.put_u8(bytes, 1)), Err(Fault::Newer));
    }
}
