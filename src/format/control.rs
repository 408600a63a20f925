//! The bodies of the records that are not events: how a segment and an epoch begin, and which positions are not there.

use super::Fault;
use super::batch::BATCH_HEADER_LEN;
use super::field::Field;
use super::record::RECORD_HEADER_LEN;
use crate::position::{POSITION_MAX, Place, Position};

/// The length of a batch of one watermark or close record. Every segment keeps room for two.
pub(crate) const CONTROL_BATCH_LEN: usize = BATCH_HEADER_LEN + RECORD_HEADER_LEN;
const _: () = assert!(CONTROL_BATCH_LEN.is_multiple_of(8));

const FIRST_POSITION: Field = Field::first(8, "first position");
const PREVIOUS_SEGMENT: Field = FIRST_POSITION.then(4, "previous segment");
const PREVIOUS_END: Field = PREVIOUS_SEGMENT.then(4, "previous end");
const PREVIOUS_CHECKSUM: Field = PREVIOUS_END.then(4, "previous checksum");
const START_RESERVED: Field = PREVIOUS_CHECKSUM.then(4, "reserved");
const START_LEN: usize = START_RESERVED.end();
#[cfg(test)]
pub(super) const START_LAYOUT: &[Field] =
    &[FIRST_POSITION, PREVIOUS_SEGMENT, PREVIOUS_END, PREVIOUS_CHECKSUM, START_RESERVED];

/// The length of a batch of one start record: the first in every segment that counts.
pub(crate) const START_BATCH_LEN: usize = CONTROL_BATCH_LEN + START_LEN;
const _: () = assert!(START_BATCH_LEN.is_multiple_of(8));

/// How a segment begins to count: what it goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The position its first event will have.
    pub(crate) first_position: Position,
    /// The segment before it and where that ends; [`Place::NONE`] where there is none.
    pub(crate) previous_end: Place,
    /// The header checksum of the last batch before that end; 0 where there is none.
    pub(crate) previous_checksum: u32,
}

impl Start {
    pub(crate) fn encode(&self) -> [u8; START_LEN] {
        let mut body = [0; START_LEN];
        FIRST_POSITION.put_u64(&mut body, self.first_position.get());
        PREVIOUS_SEGMENT.put_u32(&mut body, self.previous_end.segment);
        PREVIOUS_END.put_u32(&mut body, self.previous_end.offset);
        PREVIOUS_CHECKSUM.put_u32(&mut body, self.previous_checksum);
        body
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Start, Fault> {
        if body.len() != START_LEN || START_RESERVED.u32(body) != 0 {
            return Err(Fault::Newer);
        }
        Ok(Start {
            first_position: Position::new(FIRST_POSITION.u64(body)),
            previous_end: Place { segment: PREVIOUS_SEGMENT.u32(body), offset: PREVIOUS_END.u32(body) },
            previous_checksum: PREVIOUS_CHECKSUM.u32(body),
        })
    }
}

const SESSION_SEGMENT: Field = Field::first(4, "previous segment");
const SESSION_END: Field = SESSION_SEGMENT.then(4, "previous end");
const SESSION_LEN: usize = SESSION_END.end();
#[cfg(test)]
pub(super) const SESSION_LAYOUT: &[Field] = &[SESSION_SEGMENT, SESSION_END];

/// The length of a batch of one session record.
pub(crate) const SESSION_BATCH_LEN: usize = CONTROL_BATCH_LEN + SESSION_LEN;
const _: () = assert!(SESSION_BATCH_LEN.is_multiple_of(8));

/// The body of a session record: the clean end it goes on from.
pub(crate) fn encode_session(clean_end: Place) -> [u8; SESSION_LEN] {
    let mut body = [0; SESSION_LEN];
    SESSION_SEGMENT.put_u32(&mut body, clean_end.segment);
    SESSION_END.put_u32(&mut body, clean_end.offset);
    body
}

/// The clean end that a session record goes on from.
pub(crate) fn decode_session(body: &[u8]) -> Result<Place, Fault> {
    if body.len() != SESSION_LEN {
        return Err(Fault::Newer);
    }
    Ok(Place { segment: SESSION_SEGMENT.u32(body), offset: SESSION_END.u32(body) })
}

const FIRST: Field = Field::first(8, "first position");
const LAST: Field = FIRST.then(8, "last position");
const RANGE_LEN: usize = LAST.end();
const STATE: Field = LAST.then(4, "state");
const LOST_RESERVED: Field = STATE.then(4, "reserved");
const LOST_LEN: usize = LOST_RESERVED.end();
#[cfg(test)]
pub(super) const REMOVED_LAYOUT: &[Field] = &[FIRST, LAST];
#[cfg(test)]
pub(super) const LOST_LAYOUT: &[Field] = &[FIRST, LAST, STATE, LOST_RESERVED];

/// Positions from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: Position,
    pub(crate) last: Position,
}

impl Range {
    /// The body of a removed record: positions that are no longer held, on purpose.
    pub(crate) fn encode_removed(&self) -> [u8; RANGE_LEN] {
        let mut body = [0; RANGE_LEN];
        FIRST.put_u64(&mut body, self.first.get());
        LAST.put_u64(&mut body, self.last.get());
        body
    }

    pub(crate) fn decode_removed(body: &[u8]) -> Result<Range, Fault> {
        if body.len() != RANGE_LEN { Err(Fault::Newer) } else { Range::decode(body) }
    }

    fn decode(body: &[u8]) -> Result<Range, Fault> {
        let range = Range { first: Position::new(FIRST.u64(body)), last: Position::new(LAST.u64(body)) };
        let makes_sense =
            Position::BEGINNING < range.first && range.first <= range.last && range.last.get() <= POSITION_MAX;
        if makes_sense { Ok(range) } else { Err(Fault::Senseless) }
    }
}

/// A lost record: positions whose events could not be read when a store was salvaged, or the acceptance of all
/// such losses before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The events at these positions are lost. Takes their place in the sequence.
    Found(Range),
    /// The losses up to this position are accepted: streams that may have ended in one take appends again.
    Accepted(Position),
}

impl Loss {
    const FOUND: u32 = 1;
    const ACCEPTED: u32 = 2;

    pub(crate) fn encode(&self) -> [u8; LOST_LEN] {
        let mut body = [0; LOST_LEN];
        let (range, state) = match *self {
            Loss::Found(range) => (range, Loss::FOUND),
            Loss::Accepted(last) => (Range { first: last, last }, Loss::ACCEPTED),
        };
        FIRST.put_u64(&mut body, range.first.get());
        LAST.put_u64(&mut body, range.last.get());
        STATE.put_u32(&mut body, state);
        body
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Loss, Fault> {
        if body.len() != LOST_LEN || LOST_RESERVED.u32(body) != 0 {
            return Err(Fault::Newer);
        }
        let range = Range::decode(body)?;
        match STATE.u32(body) {
            Loss::FOUND => Ok(Loss::Found(range)),
            Loss::ACCEPTED if range.first == range.last => Ok(Loss::Accepted(range.last)),
            _ => Err(Fault::Newer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BatchBuffer, BatchView, Kind, Salt, Stamp};
    use crate::position::Version;
    use crate::time::Timestamp;

    /// The length in the log of a batch of one record.
    fn length(kind: Kind, body: &[u8]) -> usize {
        let mut batch = BatchBuffer::new();
        batch.push_control(kind, body);
        let stamp = Stamp {
            epoch: 1,
            epoch_bits: 0,
            previous: 0,
            durable: Place::NONE,
            first_position: Position::new(1),
            time: Timestamp::from_nanos(0),
        };
        batch.place(&stamp, |_| Version::NONE, &[]);
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let mut bytes = Vec::new();
        batch.seal(&stamp, salt, 512, &mut bytes);
        let read = BatchView::verify(&bytes, salt, 512).expect("a batch");
        assert_eq!((read.end() as usize, read.has_facts()), (512 + batch.len(), kind.is_fact()));
        batch.len()
    }

    #[test]
    fn the_room_that_is_kept_is_what_batches_of_one_record_take() {
        let start = Start { first_position: Position::new(1), previous_end: Place::NONE, previous_checksum: 0 };
        assert_eq!(length(Kind::Close, &[]), CONTROL_BATCH_LEN);
        assert_eq!(length(Kind::Start, &start.encode()), START_BATCH_LEN);
        assert_eq!(length(Kind::Session, &encode_session(Place::NONE)), SESSION_BATCH_LEN);
    }

    #[test]
    fn a_body_of_another_length_is_of_a_newer_version() {
        let range = Range { first: Position::new(2), last: Position::new(3) };
        let start = Start { first_position: Position::new(1), previous_end: Place::NONE, previous_checksum: 9 };
        let place = Place { segment: 3, offset: 4_096 };
        let loss = Loss::Found(range);
        assert_eq!(Start::decode(&start.encode()), Ok(start));
        assert_eq!(decode_session(&encode_session(place)), Ok(place));
        assert_eq!(Range::decode_removed(&range.encode_removed()), Ok(range));
        assert_eq!(Loss::decode(&loss.encode()), Ok(loss));
        for longer in [true, false] {
            let other = |body: &[u8]| if longer { [body, &[0]].concat() } else { body[1..].to_vec() };
            assert_eq!(Start::decode(&other(&start.encode())), Err(Fault::Newer));
            assert_eq!(decode_session(&other(&encode_session(place))), Err(Fault::Newer));
            assert_eq!(Range::decode_removed(&other(&range.encode_removed())), Err(Fault::Newer));
            assert_eq!(Loss::decode(&other(&loss.encode())), Err(Fault::Newer));
        }
    }

    #[test]
    fn a_range_has_a_first_and_a_last_position_that_events_can_have() {
        let decode = |first, last| {
            let range = Range { first: Position::new(first), last: Position::new(last) };
            Range::decode_removed(&range.encode_removed()).is_ok()
        };
        assert!(decode(1, 1) && decode(1, POSITION_MAX) && decode(POSITION_MAX, POSITION_MAX));
        assert!(!decode(0, 1) && !decode(2, 1) && !decode(1, POSITION_MAX + 1));
        let accepted = Loss::Accepted(Position::new(7)).encode();
        assert_eq!(Loss::decode(&accepted), Ok(Loss::Accepted(Position::new(7))));
        let mut two = accepted;
        FIRST.put_u64(&mut two, 6);
        assert_eq!(Loss::decode(&two), Err(Fault::Newer), "an acceptance speaks of one position");
        let mut other = accepted;
        STATE.put_u32(&mut other, 3);
        assert_eq!(Loss::decode(&other), Err(Fault::Newer));
    }
}
