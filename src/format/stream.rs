//! The records about streams: that one is finished, begins later, is not read any more, or is again, and what is said about it.

use super::Fault;
use super::body::{take_i64, take_text, take_u64};
use super::event::{codec_byte, codec_from_byte};
use super::record::{self, CODEC, Kind, METADATA_LEN, NAME_LEN, RecordHeader, RecordView, SCHEMA};
use crate::event::Codec;
use crate::limits::{REASON_BYTES_MAX, STREAM_METADATA_BYTES_MAX};
use crate::name::{event_type_fault, stream_name_fault};
use crate::position::{Position, Version};
use crate::time::Timestamp;

/// What a record says about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamFact {
    pub(crate) stream: String,
    /// Of the stream's last event before it; known when it is admitted.
    pub(crate) version: Version,
    /// By the clock.
    pub(crate) time: Timestamp,
    pub(crate) deed: StreamDeed,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamDeed {
    /// It is finished, for this reason: nothing is appended to it any more, and nothing of it read.
    Tombstone(String),
    /// It begins later.
    Truncate {
        /// The first version that is kept.
        first: Version,
        /// What was folded from the events before that.
        state: Option<Carried>,
    },
    /// What it has up to here is not read any more, for this reason.
    Delete(String),
    /// What was deleted is read again.
    Undelete,
    /// This is said about it: JSON, the first with revision 1.
    Metadata {
        /// One more than before; known when it is admitted.
        revision: u64,
        json: String,
    },
}

/// The state of a fold that a stream begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// The name of the fold: of the form of an event type.
    pub(crate) fold: String,
    pub(crate) schema: u32,
    pub(crate) codec: Codec,
    /// Of the last event in it.
    pub(crate) position: Position,
    /// What the store gave to that event.
    pub(crate) event_time: Timestamp,
    pub(crate) bytes: Vec<u8>,
}

impl Carried {
    /// How many bytes its record has for a stream.
    pub(crate) fn record_len(&self, stream: &str) -> usize {
        record::RECORD_HEADER_LEN + stream.len() + self.fold.len() + CARRIED_FIXED_LEN + self.bytes.len()
    }
}

/// Time, first version, position and time of the last event.
const CARRIED_FIXED_LEN: usize = 32;

/// Where the fields stand behind the texts. They are taken and put one after the other.
#[cfg(test)]
pub(super) mod layout {
    use crate::format::field::Field;

    const TIME: Field = Field::first(8, "time");
    const FIRST: Field = TIME.then(8, "first version");
    const LAST_POSITION: Field = FIRST.then(8, "last position");
    const LAST_TIME: Field = LAST_POSITION.then(8, "last time");
    const REVISION: Field = TIME.then(8, "revision");
    pub(in crate::format) const TOMBSTONE: &[Field] = &[TIME];
    pub(in crate::format) const TRUNCATE: &[Field] = &[TIME, FIRST, LAST_POSITION, LAST_TIME];
    pub(in crate::format) const DELETE: &[Field] = &[TIME];
    pub(in crate::format) const UNDELETE: &[Field] = &[TIME];
    pub(in crate::format) const METADATA: &[Field] = &[TIME, REVISION];
}

/// Appends the record of a stream to a batch.
pub(super) fn push(out: &mut Vec<u8>, fact: &StreamFact) {
    let (kind, text) = match &fact.deed {
        StreamDeed::Tombstone(reason) => (Kind::Tombstone, &**reason),
        StreamDeed::Truncate { state, .. } => (Kind::Truncate, state.as_ref().map_or("", |state| &state.fold)),
        StreamDeed::Delete(reason) => (Kind::Delete, &**reason),
        StreamDeed::Undelete => (Kind::Undelete, ""),
        StreamDeed::Metadata { json, .. } => (Kind::StreamMetadata, &**json),
    };
    let start = record::begin(out, kind);
    NAME_LEN.put_u8(&mut out[start..], fact.stream.len() as u8);
    METADATA_LEN.put_u32(&mut out[start..], text.len() as u32);
    out.extend_from_slice(fact.stream.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&fact.time.nanos().to_le_bytes());
    match &fact.deed {
        StreamDeed::Truncate { first, state } => {
            out.extend_from_slice(&first.get().to_le_bytes());
            if let Some(state) = state {
                SCHEMA.put_u32(&mut out[start..], state.schema);
                CODEC.put_u8(&mut out[start..], codec_byte(state.codec));
                out.extend_from_slice(&state.position.get().to_le_bytes());
                out.extend_from_slice(&state.event_time.nanos().to_le_bytes());
                out.extend_from_slice(&state.bytes);
            }
        }
        StreamDeed::Metadata { revision, .. } => out.extend_from_slice(&revision.to_le_bytes()),
        StreamDeed::Tombstone(_) | StreamDeed::Delete(_) | StreamDeed::Undelete => {}
    }
    record::finish(out, start);
}

/// Writes into a finished record what is known of it only when it is admitted.
pub(super) fn place(record: &mut [u8], fact: &StreamFact) {
    if let StreamDeed::Metadata { revision, .. } = &fact.deed {
        let len = record::finished_len(record);
        record[len - 8..len].copy_from_slice(&revision.to_le_bytes());
        record::finish(&mut record[..len], 0);
    }
}

impl StreamFact {
    pub(crate) fn decode(record: &RecordView<'_>) -> Result<StreamFact, Fault> {
        let header = record.header;
        let is_carrying = header.kind == Kind::Truncate && header.schema != 0;
        let (schema, codec) = if is_carrying { (0, 0) } else { (header.schema, header.codec) };
        let rest = RecordHeader { name_len: 0, metadata_len: 0, version: Version::NONE, schema, codec, ..header };
        rest.check_no_event()?;
        let mut rest = record.body();
        let stream = take_text(&mut rest, usize::from(header.name_len))?;
        let text = take_text(&mut rest, header.metadata_len as usize)?;
        let time = Timestamp::from_nanos(take_i64(&mut rest)?);
        let is_reason = matches!(header.kind, Kind::Tombstone | Kind::Delete);
        if stream_name_fault(&stream).is_some() || (is_reason && REASON_BYTES_MAX < text.len()) {
            return Err(Fault::Senseless);
        }
        let says_nothing = text.is_empty();
        let deed = match header.kind {
            Kind::Tombstone => StreamDeed::Tombstone(text),
            Kind::Delete if header.version != Version::NONE => StreamDeed::Delete(text),
            Kind::Undelete if says_nothing => StreamDeed::Undelete,
            Kind::StreamMetadata => StreamDeed::Metadata { revision: take_revision(&mut rest, &text)?, json: text },
            Kind::Truncate => {
                let first = Version::new(take_u64(&mut rest)?);
                // It begins no later than its next event.
                if first < Version::FIRST || header.version.next().is_none_or(|next| next < first) {
                    return Err(Fault::Senseless);
                }
                let state = if is_carrying { Some(take_carried(&mut rest, text, &header, first)?) } else { None };
                if state.is_none() && !(says_nothing && rest.is_empty()) {
                    return Err(Fault::Newer);
                }
                StreamDeed::Truncate { first, state }
            }
            _ => return Err(Fault::Senseless),
        };
        let version = header.version;
        if rest.is_empty() { Ok(StreamFact { stream, version, time, deed }) } else { Err(Fault::Newer) }
    }

    /// The lowest that the last position before it can be.
    pub(crate) fn last_position(&self) -> Position {
        let own = Position::new(self.version.get());
        match &self.deed {
            StreamDeed::Truncate { state: Some(state), .. } => own.max(state.position),
            _ => own,
        }
    }
}

/// The state that a stream begins with, of the fold of this name; all that is left.
fn take_carried(rest: &mut &[u8], fold: String, header: &RecordHeader, first: Version) -> Result<Carried, Fault> {
    let position = Position::new(take_u64(rest)?);
    let event_time = Timestamp::from_nanos(take_i64(rest)?);
    // An event is in it, and no event has a higher version than position.
    let is_possible = Version::FIRST < first && first.get() - 1 <= position.get() && header.codec != 0;
    if !is_possible || event_type_fault(&fold).is_some() {
        return Err(Fault::Senseless);
    }
    let bytes = std::mem::take(rest).to_vec();
    Ok(Carried { fold, schema: header.schema, codec: codec_from_byte(header.codec), position, event_time, bytes })
}

/// The number of what is said about a stream, which is one more each time.
fn take_revision(rest: &mut &[u8], json: &str) -> Result<u64, Fault> {
    let revision = take_u64(rest)?;
    let is_possible = revision != 0 && !json.is_empty() && json.len() <= STREAM_METADATA_BYTES_MAX;
    if is_possible { Ok(revision) } else { Err(Fault::Senseless) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Vec<StreamFact> {
        let first = Version::new(4);
        let state = Carried {
            fold: "score".into(),
            schema: 2,
            codec: Codec::Json,
            position: Position::new(30),
            event_time: Timestamp::from_nanos(-7),
            bytes: b"{\"score\":3}".to_vec(),
        };
        let deeds = [
            StreamDeed::Tombstone("asked for ✓".into()),
            StreamDeed::Tombstone(String::new()),
            StreamDeed::Truncate { first, state: None },
            StreamDeed::Truncate { first: Version::new(10), state: Some(state) },
            StreamDeed::Delete("a mistake".into()),
            StreamDeed::Undelete,
            StreamDeed::Metadata { revision: 1, json: "{}".into() },
        ];
        let fact = |deed| StreamFact {
            stream: "game-42".into(),
            version: Version::new(9),
            time: Timestamp::from_nanos(-5),
            deed,
        };
        deeds.into_iter().map(fact).collect()
    }

    /// What is read of a record after a change of it and of its header.
    fn changed(
        fact: &StreamFact,
        change: impl FnOnce(&mut Vec<u8>),
        placed: impl FnOnce(&mut RecordHeader),
    ) -> Result<StreamFact, Fault> {
        let mut bytes = Vec::new();
        push(&mut bytes, fact);
        change(&mut bytes);
        record::finish(&mut bytes, 0);
        let header = RecordHeader::decode(&bytes)?;
        let mut record = RecordView::verify_body(header, &bytes)?;
        record.header.version = fact.version;
        placed(&mut record.header);
        StreamFact::decode(&record)
    }

    #[test]
    fn a_record_about_a_stream_comes_back_as_it_was() {
        for fact in facts() {
            assert_eq!(changed(&fact, |_| {}, |_| {}), Ok(fact));
        }
    }

    #[test]
    fn what_nobody_can_say_about_a_stream_is_senseless_or_newer() {
        const NAME: usize = record::RECORD_HEADER_LEN;
        const BODY: usize = NAME + "game-42".len();
        let all = facts();
        type Change = fn(&mut Vec<u8>);
        let of_bytes: [(&str, usize, Change, Fault); 8] = [
            ("a name that none may have", 0, |bytes| bytes[NAME] = b'-', Fault::Senseless),
            ("more behind it", 1, |bytes| bytes.push(0), Fault::Newer),
            ("more behind a deletion", 4, |bytes| bytes.push(0), Fault::Newer),
            ("a state without a schema", 2, |bytes| bytes.push(7), Fault::Newer),
            ("a codec without a schema", 2, |bytes| CODEC.put_u8(bytes, 1), Fault::Newer),
            ("a first version that is none", 2, |bytes| bytes[BODY + 8] = 0, Fault::Senseless),
            ("a first version behind the next", 2, |bytes| bytes[BODY + 8] = 11, Fault::Senseless),
            ("metadata without a number", 6, |bytes| bytes[BODY + 10] = 0, Fault::Senseless),
        ];
        for (what, index, change, fault) in of_bytes {
            assert_eq!(changed(&all[index], change, |_| {}), Err(fault), "{what}");
        }
        let is_an_event = |header: &mut RecordHeader| header.position = Position::new(1);
        let of_nothing = |header: &mut RecordHeader| header.version = Version::NONE;
        assert_eq!(changed(&all[0], |_| {}, is_an_event), Err(Fault::Senseless));
        assert_eq!(changed(&all[4], |_| {}, of_nothing), Err(Fault::Senseless), "nothing is deleted");
        assert!(changed(&all[0], |_| {}, of_nothing).is_ok(), "a name can be finished that was never used");
        for fact in &all {
            let mut whole = Vec::new();
            push(&mut whole, fact);
            for len in NAME..BODY + 8 {
                assert!(changed(fact, |bytes| bytes.truncate(len), |_| {}).is_err(), "{fact:?} cut to {len}");
            }
        }
    }
}
