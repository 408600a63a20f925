//! The body of an event record: names, tags, metadata and payload, one behind the other.

use super::Fault;
use super::record::{
    self, CODEC, FLAGS, Kind, METADATA_LEN, NAME_LEN, RECORD_HEADER_LEN, RecordHeader, RecordView, SCHEMA, TAGS_LEN,
    TYPE_LEN,
};
use super::term::{Term, TermHasher};
use crate::error::{Error, ErrorKind};
use crate::event::{Codec, EventId, EventParts, NewEvent, RecordedEvent, SharedBytes, split_tag};
use crate::limits::RECORD_BYTES_MAX;
use crate::name::{StreamName, category, event_type_fault, stream_name_fault};
use crate::position::Place;
use crate::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// The id was given by the caller and stands at the beginning of the body.
const FLAG_ID: u8 = 1;
/// The caller's own time stands in the body, behind the id.
const FLAG_OCCURRED: u8 = 2;

const CODEC_JSON: u8 = 1;
const CODEC_BYTES: u8 = 2;
const CODEC_BINCODE: u8 = 3;

pub(crate) fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Json => CODEC_JSON,
        Codec::Bytes => CODEC_BYTES,
        Codec::Bincode => CODEC_BINCODE,
        Codec::Other(byte) => byte,
    }
}

pub(crate) fn codec_from_byte(byte: u8) -> Codec {
    match byte {
        CODEC_JSON => Codec::Json,
        CODEC_BYTES => Codec::Bytes,
        CODEC_BINCODE => Codec::Bincode,
        other => Codec::Other(other),
    }
}

/// Appends an event as a record to `out`, all but its placement. The body checksum is computed here and
/// carried along unchanged for ever. Where it fails, `out` is as it was.
pub(crate) fn encode_event(stream: &StreamName, event: &NewEvent, out: &mut Vec<u8>) -> Result<(), Error> {
    if let Some(fault) = event.fault() {
        return Err(fault.clone());
    }
    let start = record::begin(out, Kind::Event);
    let encoded = encode_body(stream, event, start, out);
    if encoded.is_ok() {
        record::finish(out, start);
    } else {
        out.truncate(start);
    }
    encoded
}

fn encode_body(stream: &StreamName, event: &NewEvent, start: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let names_len = stream.as_str().len() + event.event_type.len();
    out.reserve(names_len + 64 * event.tags.len() + 64 * event.metadata.len() + event.data.len());
    if let Some(id) = event.id {
        out.extend_from_slice(&id.to_bytes());
    }
    if let Some(occurred) = event.occurred {
        out.extend_from_slice(&occurred.nanos().to_le_bytes());
    }
    out.extend_from_slice(stream.as_str().as_bytes());
    out.extend_from_slice(event.event_type.as_bytes());
    let tags = out.len();
    for (key, value) in &event.tags {
        // The limits on names and tags were checked where they were built.
        out.push(u8::try_from(key.len()).expect("at most 64"));
        out.push(u8::try_from(value.len()).expect("at most 255"));
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let metadata = out.len();
    event.write_metadata(out);
    let data = out.len();
    let bytes = (data - start).saturating_add(event.data.len());
    if RECORD_BYTES_MAX < bytes {
        let act =
            format!("event `{}` takes a record of {bytes} bytes: the limit is {RECORD_BYTES_MAX}", event.event_type);
        return Err(Error::new(ErrorKind::TooLarge, act));
    }
    out.extend_from_slice(&event.data);
    let header = &mut out[start..];
    FLAGS.put_u8(header, event.id.map_or(0, |_| FLAG_ID) | event.occurred.map_or(0, |_| FLAG_OCCURRED));
    NAME_LEN.put_u8(header, u8::try_from(stream.as_str().len()).expect("at most 255"));
    TYPE_LEN.put_u8(header, u8::try_from(event.event_type.len()).expect("at most 128"));
    TAGS_LEN.put_u16(header, u16::try_from(metadata - tags).expect("64 tags of at most 321 bytes"));
    METADATA_LEN.put_u32(header, u32::try_from(data - metadata).expect("at most 16 MiB"));
    SCHEMA.put_u32(header, event.schema);
    CODEC.put_u8(header, codec_byte(event.codec));
    Ok(())
}

/// What of an event stands in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodedEvent {
    id: Option<EventId>,
    occurred: Option<Timestamp>,
    parts: EventParts,
}

impl<'a> RecordView<'a> {
    /// The stream an event belongs to. The record must have been decoded as an event before.
    pub(crate) fn stream(&self) -> Result<&'a str, Fault> {
        let from = name_from(&self.header);
        let bytes = self.bytes.get(from..from + usize::from(self.header.name_len)).ok_or(Fault::Senseless)?;
        std::str::from_utf8(bytes).map_err(|_| Fault::Senseless)
    }

    /// The type of an event. The record must have been decoded as an event before.
    pub(crate) fn event_type(&self) -> Result<&'a str, Fault> {
        let from = name_from(&self.header) + usize::from(self.header.name_len);
        let bytes = self.bytes.get(from..from + usize::from(self.header.type_len)).ok_or(Fault::Senseless)?;
        std::str::from_utf8(bytes).map_err(|_| Fault::Senseless)
    }

    /// How many bytes of an event count for quotas: all but an id of its own, which an event has or gets on its way through other
    /// stores.
    pub(crate) fn quota_bytes(&self) -> u64 {
        let id = if self.header.flags & FLAG_ID == 0 { 0 } else { 16 };
        self.bytes.len().saturating_sub(id) as u64
    }

    /// The tags of an event, in their order; none of what is no event.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let parts = decode_parts(&self.header, self.bytes).map(|decoded| decoded.parts);
        let mut rest = parts.map_or(&[][..], |parts| &self.bytes[parts.tags as usize..parts.metadata as usize]);
        std::iter::from_fn(move || {
            let (key, value, behind) = split_tag(rest)?;
            rest = behind;
            Some((key, value))
        })
    }

    /// Takes the body of an event apart; what does not fit together or breaks a rule of names is senseless.
    pub(crate) fn decode_event_parts(&self) -> Result<DecodedEvent, Fault> {
        let decoded = decode_parts(&self.header, self.bytes)?;
        let text =
            |from: u32, to: u32| std::str::from_utf8(&self.bytes[from as usize..to as usize]).unwrap_or_default();
        let parts = decoded.parts;
        let faults = [
            stream_name_fault(text(parts.name, parts.event_type)),
            event_type_fault(text(parts.event_type, parts.tags)),
        ];
        if faults.iter().any(Option::is_some) { Err(Fault::Senseless) } else { Ok(decoded) }
    }
}

fn name_from(header: &RecordHeader) -> usize {
    let id = if header.flags & FLAG_ID == 0 { 0 } else { 16 };
    let occurred = if header.flags & FLAG_OCCURRED == 0 { 0 } else { 8 };
    RECORD_HEADER_LEN + id + occurred
}

fn decode_parts(header: &RecordHeader, record: &[u8]) -> Result<DecodedEvent, Fault> {
    if header.kind != Kind::Event || header.schema == 0 || header.codec == 0 {
        return Err(Fault::Senseless);
    }
    if header.flags & !(FLAG_ID | FLAG_OCCURRED) != 0 {
        return Err(Fault::Newer);
    }
    let name = name_from(header);
    let event_type = name + usize::from(header.name_len);
    let tags = event_type + usize::from(header.type_len);
    let metadata = tags + usize::from(header.tags_len);
    let data = metadata + header.metadata_len as usize;
    if record.len() < data {
        return Err(Fault::Senseless);
    }
    let text = |from: usize, to: usize| std::str::from_utf8(&record[from..to]).map_err(|_| Fault::Senseless);
    text(name, event_type)?;
    text(event_type, tags)?;
    let mut rest = &record[tags..metadata];
    while !rest.is_empty() {
        let (_, _, behind) = split_tag(rest).ok_or(Fault::Senseless)?;
        rest = behind;
    }
    text(metadata, data)?;
    let mut optional = &record[RECORD_HEADER_LEN..name];
    let mut id = None;
    if let (true, Some((bytes, rest))) = (header.flags & FLAG_ID != 0, optional.split_first_chunk::<16>()) {
        id = Some(EventId::from_bytes(*bytes));
        optional = rest;
    }
    let occurred = optional.first_chunk::<8>().map(|bytes| Timestamp::from_nanos(i64::from_le_bytes(*bytes)));
    let narrow = |offset: usize| u32::try_from(offset).map_err(|_| Fault::Senseless);
    let parts = EventParts {
        name: narrow(name)?,
        event_type: narrow(event_type)?,
        tags: narrow(tags)?,
        metadata: narrow(metadata)?,
        data: narrow(data)?,
        end: narrow(record.len())?,
    };
    Ok(DecodedEvent { id, occurred, parts })
}

/// Appends the terms of an event whose record was encoded here or decoded as one before.
pub(super) fn decode_event_terms(record: &RecordView<'_>, hasher: &TermHasher, out: &mut Vec<Term>) {
    let Ok(DecodedEvent { id, parts, .. }) = decode_parts(&record.header, record.bytes) else { return };
    let text = |from: u32, to: u32| std::str::from_utf8(&record.bytes[from as usize..to as usize]).unwrap_or_default();
    let stream = text(parts.name, parts.event_type);
    out.extend([hasher.stream(stream), hasher.category(category(stream))]);
    out.push(hasher.event_type(text(parts.event_type, parts.tags)));
    out.extend(id.map(|id| hasher.id(id)));
    let mut rest = &record.bytes[parts.tags as usize..parts.metadata as usize];
    while let Some((_, _, behind)) = split_tag(rest) {
        let (tag, _) = rest.split_at(rest.len() - behind.len());
        out.push(hasher.encoded_tag(tag));
        rest = behind;
    }
}

/// Adds to a digest what of an event was handed in and makes it what it is: not its id nor any time.
pub(super) fn digest_content(record: &RecordView<'_>, digest: &mut Xxh3) {
    let header = &record.header;
    if header.kind != Kind::Event {
        return;
    }
    digest.update(&[header.name_len, header.type_len, header.codec]);
    digest.update(&header.tags_len.to_le_bytes());
    digest.update(&header.metadata_len.to_le_bytes());
    digest.update(&header.schema.to_le_bytes());
    let content = &record.bytes[name_from(header)..];
    digest.update(&(content.len() as u32).to_le_bytes());
    digest.update(content);
}

/// The event of a verified record, which begins at `start` of `bytes` and stands at `place` in the files.
pub(crate) fn decode_event(
    bytes: &SharedBytes,
    start: usize,
    record: RecordView<'_>,
    place: Place,
) -> Result<RecordedEvent, Fault> {
    let header = &record.header;
    let decoded = decode_parts(header, record.bytes)?;
    Ok(RecordedEvent {
        bytes: bytes.clone(),
        start,
        place,
        position: header.position,
        version: header.version,
        time: header.time,
        epoch: header.epoch,
        epoch_bits: header.epoch_bits,
        schema: header.schema,
        codec: codec_from_byte(header.codec),
        id: decoded.id,
        occurred: decoded.occurred,
        parts: decoded.parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BatchBuffer, BatchView, Salt, Stamp};
    use crate::position::{Position, Version};
    use crate::time::Timestamp;
    use std::sync::Arc;

    /// What is read of an event that was encoded.
    fn through_a_batch(stream: &StreamName, event: &NewEvent) -> RecordedEvent {
        let mut buffer = BatchBuffer::new();
        buffer.push_event(stream, event).expect("an event");
        let stamp = Stamp {
            epoch: 3,
            epoch_bits: 99,
            previous: 5,
            durable: Place { segment: 1, offset: 512 },
            first_position: Position::new(10),
            time: Timestamp::from_nanos(-5),
        };
        buffer.place(&stamp, |_| Version::new(4), &[]);
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let mut bytes = Vec::new();
        buffer.seal(&stamp, salt, 512, &mut bytes);
        let batch = BatchView::verify(&bytes, salt, 512).expect("a batch");
        let (offset, record) = batch.placed_records().next().expect("a record");
        record.decode_event_parts().expect("it makes sense");
        let place = Place { segment: 3, offset };
        let shared: SharedBytes = Arc::new(bytes.clone());
        decode_event(&shared, (offset - 512) as usize, record, place).expect("an event")
    }

    #[test]
    fn everything_an_event_has_comes_back() {
        let stream = StreamName::new("game-42").expect("a name");
        let id = EventId::from_bytes([7; 16]);
        let at = Timestamp::from_nanos(1_234_567_890_123);
        for number in 0..32_u8 {
            let has = |bit: u8| number & (1 << bit) != 0;
            let codec = if has(0) { Codec::Json } else { Codec::Other(200) };
            let data = if has(1) { vec![9; 70] } else { Vec::new() };
            let mut event = NewEvent::with_codec("guessed", codec, data.clone()).schema(7);
            if has(2) {
                event = event.id(id);
            }
            if has(3) {
                event = event.occurred(at);
            }
            if has(4) {
                event = event.tag("guild", 7).tag("word", "").actor("8812");
            }
            let read = through_a_batch(&stream, &event);
            assert_eq!((read.stream(), read.event_type(), read.schema()), ("game-42", "guessed", 7), "{number}");
            assert_eq!((read.codec(), read.data()), (codec, &data[..]), "{number}");
            let made = EventId::made(99, Position::new(10));
            assert_eq!(read.id(), if has(2) { id } else { made }, "{number}");
            assert_eq!(read.occurred(), has(3).then_some(at), "{number}");
            let tags: Vec<_> = read.tags().collect();
            assert_eq!(tags, if has(4) { vec![("guild", "7"), ("word", "")] } else { Vec::new() }, "{number}");
            assert_eq!(read.metadata_json(), if has(4) { r#"{"actor":"8812"}"# } else { "" }, "{number}");
            assert_eq!((read.position().get(), read.version().get(), read.epoch()), (10, 4, 3));
            assert_eq!(read.time(), Timestamp::from_nanos(-5));
        }
        let bytes = through_a_batch(&stream, &NewEvent::bytes("a", [1]));
        assert_eq!((bytes.codec(), bytes.record_bytes() as usize), (Codec::Bytes, RECORD_HEADER_LEN + 9));
    }

    #[test]
    fn a_record_may_take_all_there_is_and_not_a_byte_more() {
        let stream = StreamName::new("game").expect("a name");
        let room = RECORD_BYTES_MAX - RECORD_HEADER_LEN - "gamea".len();
        let mut out = vec![1, 2, 3];
        encode_event(&stream, &NewEvent::bytes("a", vec![0; room]), &mut out).expect("it fits");
        assert_eq!(out.len(), 3 + RECORD_BYTES_MAX);
        out.truncate(3);
        let error = encode_event(&stream, &NewEvent::bytes("a", vec![0; room + 1]), &mut out).expect_err("too large");
        assert!(error.kind() == ErrorKind::TooLarge && error.to_string().contains("16777217"), "{error}");
        assert_eq!(out, [1, 2, 3], "nothing is left of it");
    }

    /// What becomes of a sound record after a change.
    fn parts_of(change: impl FnOnce(&mut Vec<u8>)) -> Result<DecodedEvent, Fault> {
        let stream = StreamName::new("game-42").expect("a name");
        let event = NewEvent::bytes("guessed", [1]).tag("k", "v").actor("x");
        let mut bytes = Vec::new();
        encode_event(&stream, &event, &mut bytes).expect("an event");
        change(&mut bytes);
        let header = RecordHeader::decode(&bytes)?;
        RecordView { header, bytes: &bytes }.decode_event_parts()
    }

    const NAME: usize = RECORD_HEADER_LEN;
    const TYPE: usize = NAME + "game-42".len();
    const TAGS: usize = TYPE + "guessed".len();
    const METADATA: usize = TAGS + 4;

    type Change = fn(&mut Vec<u8>);

    #[test]
    fn what_does_not_fit_together_is_senseless() {
        let parts = parts_of(|_| {}).expect("it makes sense").parts;
        let expected = [NAME, TYPE, TAGS, METADATA].map(|offset| offset as u32);
        assert_eq!([parts.name, parts.event_type, parts.tags, parts.metadata], expected);
        let senseless: [(&str, Change); 10] = [
            ("no schema", |bytes| SCHEMA.put_u32(bytes, 0)),
            ("no codec", |bytes| CODEC.put_u8(bytes, 0)),
            ("another kind", |bytes| record::KIND.put_u8(bytes, Kind::Lost as u8)),
            ("a name longer than all", |bytes| NAME_LEN.put_u8(bytes, 200)),
            ("tags that do not end", |bytes| TAGS_LEN.put_u16(bytes, 3)),
            ("metadata longer than what is left", |bytes| METADATA_LEN.put_u32(bytes, 15)),
            ("a name that is no text", |bytes| bytes[NAME] = 0xFF),
            ("a name that none may have", |bytes| bytes[NAME] = b'-'),
            ("a type that none may have", |bytes| bytes[TYPE] = b' '),
            ("metadata that are no text", |bytes| bytes[METADATA + 2] = 0xFF),
        ];
        for (what, change) in senseless {
            assert_eq!(parts_of(change), Err(Fault::Senseless), "{what}");
        }
        assert!(parts_of(|bytes| METADATA_LEN.put_u32(bytes, 14)).is_ok(), "metadata up to the end, and no payload");
        assert_eq!(parts_of(|bytes| FLAGS.put_u8(bytes, 4)), Err(Fault::Newer), "a flag that is not known");
    }
}
