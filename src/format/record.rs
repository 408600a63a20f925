//! A record: one stored event or marker, with a checksum over its body and one over its header.

use super::Fault;
use super::field::{Field, Salt, checksum};
use crate::limits::RECORD_BYTES_MAX;
use crate::mutant::Mutant;
use crate::position::{Position, Version};
use crate::time::Timestamp;

pub(crate) const RECORD_HEADER_LEN: usize = 64;

pub(super) const HEADER_CHECKSUM: Field = Field::first(4, "header checksum");
pub(super) const BODY_CHECKSUM: Field = HEADER_CHECKSUM.then(4, "body checksum");
pub(super) const POSITION: Field = BODY_CHECKSUM.then(8, "position");
pub(super) const VERSION: Field = POSITION.then(8, "version");
pub(super) const TIME: Field = VERSION.then(8, "time");
pub(super) const EPOCH_BITS: Field = TIME.then(8, "epoch bits");
pub(super) const EPOCH: Field = EPOCH_BITS.then(4, "epoch");
pub(super) const KIND: Field = EPOCH.then(1, "kind");
pub(super) const FLAGS: Field = KIND.then(1, "flags");
pub(super) const NAME_LEN: Field = FLAGS.then(1, "name length");
pub(super) const TYPE_LEN: Field = NAME_LEN.then(1, "type length");
pub(super) const BODY_LEN: Field = TYPE_LEN.then(4, "body length");
pub(super) const METADATA_LEN: Field = BODY_LEN.then(4, "metadata length");
pub(super) const SCHEMA: Field = METADATA_LEN.then(4, "schema");
pub(super) const TAGS_LEN: Field = SCHEMA.then(2, "tags length");
pub(super) const CODEC: Field = TAGS_LEN.then(1, "codec");
pub(super) const RESERVED: Field = CODEC.then(1, "reserved");
const _: () = assert!(RESERVED.end() == RECORD_HEADER_LEN);

/// From here on the appending thread knows every byte: the body checksum begins with this field.
pub(super) const BODY_CHECKSUM_FROM: usize = KIND.offset;

#[cfg(test)]
pub(super) const LAYOUT: &[Field] = &[
    HEADER_CHECKSUM,
    BODY_CHECKSUM,
    POSITION,
    VERSION,
    TIME,
    EPOCH_BITS,
    EPOCH,
    KIND,
    FLAGS,
    NAME_LEN,
    TYPE_LEN,
    BODY_LEN,
    METADATA_LEN,
    SCHEMA,
    TAGS_LEN,
    CODEC,
    RESERVED,
];

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Event = 1,
    Start = 2,
    Session = 3,
    Watermark = 4,
    Close = 5,
    Key = 6,
    Checkpoint = 7,
    Parked = 8,
    Tombstone = 9,
    Truncate = 10,
    Delete = 11,
    Undelete = 12,
    StreamMetadata = 13,
    Hold = 14,
    Lost = 15,
    Compressed = 16,
    Removed = 17,
    Retention = 18,
    Quota = 19,
}

impl Kind {
    pub(crate) const ALL: [Kind; 19] = [
        Kind::Event,
        Kind::Start,
        Kind::Session,
        Kind::Watermark,
        Kind::Close,
        Kind::Key,
        Kind::Checkpoint,
        Kind::Parked,
        Kind::Tombstone,
        Kind::Truncate,
        Kind::Delete,
        Kind::Undelete,
        Kind::StreamMetadata,
        Kind::Hold,
        Kind::Lost,
        Kind::Compressed,
        Kind::Removed,
        Kind::Retention,
        Kind::Quota,
    ];

    /// The kinds this crate writes and reads: all but the one that is reserved.
    fn is_supported(self) -> bool {
        self != Kind::Compressed
    }

    /// Whether a record of this kind has names or texts in its body, as the header says.
    pub(crate) fn has_names(self) -> bool {
        use Kind::{Checkpoint, Event, Hold, Key, Parked, Quota, Retention};
        matches!(self, Event | Key | Checkpoint | Parked | Hold | Retention | Quota) || self.is_of_stream()
    }

    /// Whether a record of this kind speaks of a stream, and says at which version that was.
    pub(crate) fn is_of_stream(self) -> bool {
        use Kind::{Delete, StreamMetadata, Tombstone, Truncate, Undelete};
        matches!(self, Tombstone | Truncate | Delete | Undelete | StreamMetadata)
    }

    /// Of a record that was finished here.
    pub(super) fn of(record: &[u8]) -> Kind {
        Kind::from_byte(KIND.u8(record)).expect("a record has a kind")
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte).filter(|kind| kind.is_supported())
    }

    /// Whether a record of this kind says something that cannot be worked out again.
    pub(crate) fn is_fact(self) -> bool {
        !matches!(self, Kind::Start | Kind::Session | Kind::Watermark | Kind::Close)
    }

    #[cfg(test)]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Start => "start",
            Kind::Session => "session",
            Kind::Watermark => "watermark",
            Kind::Close => "close",
            Kind::Key => "key",
            Kind::Checkpoint => "checkpoint",
            Kind::Parked => "parked",
            Kind::Tombstone => "tombstone",
            Kind::Truncate => "truncate",
            Kind::Delete => "delete",
            Kind::Undelete => "undelete",
            Kind::StreamMetadata => "stream metadata",
            Kind::Hold => "hold",
            Kind::Lost => "lost",
            Kind::Compressed => "compressed block",
            Kind::Removed => "removed",
            Kind::Retention => "retention",
            Kind::Quota => "quota",
        }
    }
}

/// The header of a record that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) body_checksum: u32,
    pub(crate) position: Position,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) epoch_bits: u64,
    pub(crate) epoch: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) name_len: u8,
    pub(crate) type_len: u8,
    pub(crate) body_len: u32,
    pub(crate) metadata_len: u32,
    pub(crate) schema: u32,
    pub(crate) tags_len: u16,
    pub(crate) codec: u8,
}

impl RecordHeader {
    /// Checks and decodes the header of the record that stands at `offset` of the segment with this salt.
    pub(crate) fn verify(bytes: &[u8], salt: Salt, offset: u32) -> Result<RecordHeader, Fault> {
        let Some(bytes) = bytes.get(..RECORD_HEADER_LEN) else { return Err(Fault::Unreadable) };
        if HEADER_CHECKSUM.u32(bytes) != salt.checksum(offset, &bytes[HEADER_CHECKSUM.end()..]) {
            return Err(Fault::Unreadable);
        }
        RecordHeader::decode(bytes)
    }

    /// Decodes a header of which the checksum held.
    pub(super) fn decode(bytes: &[u8]) -> Result<RecordHeader, Fault> {
        let Some(bytes) = bytes.get(..RECORD_HEADER_LEN) else { return Err(Fault::Unreadable) };
        let Some(kind) = Kind::from_byte(KIND.u8(bytes)) else { return Err(Fault::Newer) };
        if RESERVED.u8(bytes) != 0 {
            return Err(Fault::Newer);
        }
        let body_len = BODY_LEN.u32(bytes);
        if RECORD_BYTES_MAX - RECORD_HEADER_LEN < body_len as usize {
            return Err(Fault::Unreadable);
        }
        Ok(RecordHeader {
            body_checksum: BODY_CHECKSUM.u32(bytes),
            position: Position::new(POSITION.u64(bytes)),
            version: Version::new(VERSION.u64(bytes)),
            time: Timestamp::from_nanos(TIME.i64(bytes)),
            epoch_bits: EPOCH_BITS.u64(bytes),
            epoch: EPOCH.u32(bytes),
            kind,
            flags: FLAGS.u8(bytes),
            name_len: NAME_LEN.u8(bytes),
            type_len: TYPE_LEN.u8(bytes),
            body_len,
            metadata_len: METADATA_LEN.u32(bytes),
            schema: SCHEMA.u32(bytes),
            tags_len: TAGS_LEN.u16(bytes),
            codec: CODEC.u8(bytes),
        })
    }

    /// The length of the whole record.
    pub(crate) fn record_len(&self) -> usize {
        RECORD_HEADER_LEN + self.body_len as usize
    }

    /// Refuses a record that is not an event and says something that only events can say: nobody knows what it means.
    pub(crate) fn check_no_event(&self) -> Result<(), Fault> {
        let of_events = [self.flags, self.name_len, self.type_len, self.codec].map(u32::from);
        let lengths = [self.metadata_len, self.schema, self.tags_len.into()];
        if of_events.iter().chain(&lengths).any(|field| *field != 0) {
            return Err(Fault::Newer);
        }
        let is_placed = self.position != Position::BEGINNING || self.version != Version::NONE;
        if is_placed { Err(Fault::Senseless) } else { Ok(()) }
    }
}

/// A record of which every byte was verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordView<'a> {
    pub(crate) header: RecordHeader,
    /// The whole record, header included.
    pub(crate) bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Verifies the record at the beginning of `bytes`, which stands at `offset` of the segment with this salt.
    pub(crate) fn verify(bytes: &'a [u8], salt: Salt, offset: u32) -> Result<RecordView<'a>, Fault> {
        let header = RecordHeader::verify(bytes, salt, offset)?;
        RecordView::verify_body(header, bytes)
    }

    /// Verifies the record at the beginning of `bytes`, whose header was verified.
    pub(crate) fn verify_body(header: RecordHeader, bytes: &'a [u8]) -> Result<RecordView<'a>, Fault> {
        let Some(bytes) = bytes.get(..header.record_len()) else { return Err(Fault::Unreadable) };
        if !Mutant::VerifiesNoBody.is_on() && header.body_checksum != checksum(&bytes[BODY_CHECKSUM_FROM..]) {
            return Err(Fault::Unreadable);
        }
        Ok(RecordView { header, bytes })
    }

    /// What lies behind the header.
    pub(crate) fn body(&self) -> &'a [u8] {
        &self.bytes[RECORD_HEADER_LEN..]
    }
}

/// Appends the header of a record whose body is about to follow, with everything zero but the kind.
/// [`finish`] must be called when the body is there.
pub(super) fn begin(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.resize(start + RECORD_HEADER_LEN, 0);
    KIND.put_u8(&mut out[start..], kind as u8);
    start
}

/// Writes the length and the checksum of the body of the record that began at `start`.
pub(super) fn finish(out: &mut [u8], start: usize) {
    let record = &mut out[start..];
    let body_len = u32::try_from(record.len() - RECORD_HEADER_LEN).expect("a record's size was checked before");
    BODY_LEN.put_u32(record, body_len);
    let sum = checksum(&record[BODY_CHECKSUM_FROM..]);
    BODY_CHECKSUM.put_u32(record, sum);
}

/// What is known of a record only when it gets its place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) position: Position,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) epoch_bits: u64,
    pub(crate) epoch: u32,
}

/// Writes the placement into a finished record. [`seal`] must be called when the offset is known.
pub(super) fn place(record: &mut [u8], placement: &Placement) {
    POSITION.put_u64(record, placement.position.get());
    VERSION.put_u64(record, placement.version.get());
    TIME.put_i64(record, placement.time.nanos());
    EPOCH_BITS.put_u64(record, placement.epoch_bits);
    EPOCH.put_u32(record, placement.epoch);
}

/// Writes the header checksum of a placed record for its place in the files.
pub(super) fn seal(record: &mut [u8], salt: Salt, offset: u32) {
    let sum = salt.checksum(offset, &record[HEADER_CHECKSUM.end()..RECORD_HEADER_LEN]);
    HEADER_CHECKSUM.put_u32(record, sum);
}

/// The length of a finished record, from its own header.
pub(super) fn finished_len(record: &[u8]) -> usize {
    RECORD_HEADER_LEN + BODY_LEN.u32(record) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let start = begin(&mut bytes, kind);
        bytes.extend_from_slice(body);
        finish(&mut bytes, start);
        bytes
    }

    #[test]
    fn kinds_of_later_versions_are_refused_and_markers_are_no_facts() {
        for kind in Kind::ALL {
            let is_known = kind != Kind::Compressed;
            let decoded = RecordHeader::decode(&record(kind, &[]));
            assert_eq!(decoded.map(|header| header.kind), if is_known { Ok(kind) } else { Err(Fault::Newer) });
            let is_marker = matches!(kind, Kind::Start | Kind::Session | Kind::Watermark | Kind::Close);
            assert_eq!(kind.is_fact(), !is_marker, "{}", kind.name());
        }
        let mut bytes = record(Kind::Event, &[]);
        for unknown in [0, 20, 255] {
            KIND.put_u8(&mut bytes, unknown);
            assert_eq!(RecordHeader::decode(&bytes), Err(Fault::Newer), "kind {unknown}");
        }
        let mut bytes = record(Kind::Event, &[]);
        RESERVED.put_u8(&mut bytes, 1);
        assert_eq!(RecordHeader::decode(&bytes), Err(Fault::Newer));
    }

    #[test]
    fn a_length_over_the_limit_is_not_believed() {
        let mut bytes = record(Kind::Event, &[]);
        for (len, is_possible) in [
            (RECORD_BYTES_MAX - RECORD_HEADER_LEN - 1, true),
            (RECORD_BYTES_MAX - RECORD_HEADER_LEN, true),
            (RECORD_BYTES_MAX - RECORD_HEADER_LEN + 1, false),
            (RECORD_BYTES_MAX, false),
            (u32::MAX as usize, false),
        ] {
            BODY_LEN.put_u32(&mut bytes, len as u32);
            assert_eq!(RecordHeader::decode(&bytes).is_ok(), is_possible, "{len} bytes");
        }
    }

    #[test]
    fn a_record_that_is_no_event_has_nothing_of_one() {
        let sound = RecordHeader::decode(&record(Kind::Lost, &[1, 2])).expect("a header");
        assert_eq!(sound.check_no_event(), Ok(()));
        let newer: [RecordHeader; 7] = [
            RecordHeader { flags: 1, ..sound },
            RecordHeader { name_len: 1, ..sound },
            RecordHeader { type_len: 1, ..sound },
            RecordHeader { codec: 1, ..sound },
            RecordHeader { metadata_len: 1, ..sound },
            RecordHeader { schema: 1, ..sound },
            RecordHeader { tags_len: 1, ..sound },
        ];
        for header in newer {
            assert_eq!(header.check_no_event(), Err(Fault::Newer), "{header:?}");
        }
        let position = RecordHeader { position: Position::new(1), ..sound };
        let version = RecordHeader { version: Version::FIRST, ..sound };
        assert_eq!([position.check_no_event(), version.check_no_event()], [Err(Fault::Senseless); 2]);
    }

    #[test]
    fn the_body_lies_behind_the_header() {
        let bytes = record(Kind::Lost, &[1, 2, 3]);
        let header = RecordHeader::decode(&bytes).expect("a header");
        let record = RecordView::verify_body(header, &bytes).expect("a record");
        assert_eq!((record.body(), header.record_len(), finished_len(&bytes)), (&[1, 2, 3][..], 67, 67));
    }
}
