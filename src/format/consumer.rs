//! The records of consumers: how far one has come, and which events it has set aside.

use super::Fault;
use super::body::{take, take_i64, take_text, take_u32, take_u64};
use super::record::{self, Kind, METADATA_LEN, NAME_LEN, RecordHeader, RecordView};
use crate::name::stream_name_fault;
use crate::position::{POSITION_MAX, Position};
use crate::time::Timestamp;

/// What a record of a consumer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerFact {
    pub(crate) consumer: String,
    /// One more than that of the record of this consumer before.
    pub(crate) number: u64,
    /// By the clock.
    pub(crate) time: Timestamp,
    pub(crate) deed: ConsumerDeed,
}

/// What became of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerDeed {
    /// It has come this far.
    Checkpoint(Checkpoint),
    /// An event was set aside, or is not any more.
    Parked(ParkedFact),
}

/// How far a consumer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) act: CheckpointAct,
    /// It has looked at everything up to here.
    pub(crate) scanned: Position,
    /// What it has looked at and is not done with: rising, and none behind `scanned`.
    pub(crate) left: Vec<Position>,
}

/// Why a checkpoint was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointAct {
    /// The consumer was made or changed: what it asks for.
    Defined(String),
    /// It has come further.
    Moved,
    /// It stands still, and why.
    Paused(String),
    /// It goes on.
    Resumed,
    /// There is no such consumer any more.
    Deleted,
}

/// What becomes of an event that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParkedFact {
    pub(crate) position: Position,
    /// Of what is kept in order, by its hash.
    pub(crate) key: u128,
    pub(crate) attempts: u32,
    pub(crate) state: ParkedState,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkedState {
    /// It is set aside.
    Parked,
    /// It is handed out again, and among what is left.
    Redelivered,
    /// It is not going to be handed out again.
    Dropped,
}

impl Checkpoint {
    /// Everything up to here is done.
    pub(crate) fn position(&self) -> Position {
        self.left.first().map_or(self.scanned, |first| Position::new(first.get() - 1))
    }

    /// Whether it can be: what is not so is damage to whoever reads it.
    pub(crate) fn is_sound(&self) -> bool {
        self.left.windows(2).all(|pair| pair[0] < pair[1])
            && self.left.first().is_none_or(|first| Position::BEGINNING < *first)
            && self.left.last().is_none_or(|last| *last <= self.scanned)
            && self.scanned.get() <= POSITION_MAX
    }
}

/// Where the fields stand behind the texts. They are taken and put one after the other.
#[cfg(test)]
pub(super) mod layout {
    use crate::format::field::Field;

    const NUMBER: Field = Field::first(8, "number");
    const TIME: Field = NUMBER.then(8, "time");
    const POSITION: Field = TIME.then(8, "position");
    const SCANNED: Field = POSITION.then(8, "scanned");
    const ACT: Field = SCANNED.then(4, "act");
    const LEFT: Field = ACT.then(4, "left");
    pub(in crate::format) const CHECKPOINT: &[Field] = &[NUMBER, TIME, POSITION, SCANNED, ACT, LEFT];
    pub(super) const CHECKPOINT_LEN: usize = LEFT.end();

    const KEY: Field = POSITION.then(16, "key");
    const ATTEMPTS: Field = KEY.then(4, "attempts");
    const STATE: Field = ATTEMPTS.then(4, "state");
    pub(in crate::format) const PARKED: &[Field] = &[NUMBER, TIME, POSITION, KEY, ATTEMPTS, STATE];
    pub(super) const PARKED_LEN: usize = STATE.end();
}

/// Appends the record of a consumer to a batch.
pub(super) fn push(out: &mut Vec<u8>, fact: &ConsumerFact) {
    let (kind, text) = match &fact.deed {
        ConsumerDeed::Checkpoint(checkpoint) => (Kind::Checkpoint, checkpoint.act.text()),
        ConsumerDeed::Parked(parked) => (Kind::Parked, &*parked.reason),
    };
    let start = record::begin(out, kind);
    NAME_LEN.put_u8(&mut out[start..], fact.consumer.len() as u8);
    METADATA_LEN.put_u32(&mut out[start..], text.len() as u32);
    out.extend_from_slice(fact.consumer.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&fact.number.to_le_bytes());
    out.extend_from_slice(&fact.time.nanos().to_le_bytes());
    match &fact.deed {
        ConsumerDeed::Checkpoint(checkpoint) => {
            out.extend_from_slice(&checkpoint.position().get().to_le_bytes());
            out.extend_from_slice(&checkpoint.scanned.get().to_le_bytes());
            out.extend_from_slice(&checkpoint.act.number().to_le_bytes());
            out.extend_from_slice(&(checkpoint.left.len() as u32).to_le_bytes());
            for left in &checkpoint.left {
                out.extend_from_slice(&left.get().to_le_bytes());
            }
        }
        ConsumerDeed::Parked(parked) => {
            out.extend_from_slice(&parked.position.get().to_le_bytes());
            out.extend_from_slice(&parked.key.to_le_bytes());
            out.extend_from_slice(&parked.attempts.to_le_bytes());
            out.extend_from_slice(&parked.state.number().to_le_bytes());
        }
    }
    record::finish(out, start);
}

impl ConsumerFact {
    pub(crate) fn decode(record: &RecordView<'_>) -> Result<ConsumerFact, Fault> {
        let header = record.header;
        RecordHeader { name_len: 0, metadata_len: 0, ..header }.check_no_event()?;
        let mut rest = record.body();
        let consumer = take_text(&mut rest, usize::from(header.name_len))?;
        let text = take_text(&mut rest, header.metadata_len as usize)?;
        let number = take_u64(&mut rest)?;
        let time = Timestamp::from_nanos(take_i64(&mut rest)?);
        if stream_name_fault(&consumer).is_some() || number == 0 {
            return Err(Fault::Senseless);
        }
        let deed = match header.kind {
            Kind::Checkpoint => ConsumerDeed::Checkpoint(take_checkpoint(&mut rest, text)?),
            Kind::Parked => ConsumerDeed::Parked(take_parked(&mut rest, text)?),
            _ => return Err(Fault::Senseless),
        };
        if rest.is_empty() { Ok(ConsumerFact { consumer, number, time, deed }) } else { Err(Fault::Newer) }
    }

    /// The last position that it speaks of.
    pub(crate) fn last_position(&self) -> Position {
        match &self.deed {
            ConsumerDeed::Checkpoint(checkpoint) => checkpoint.scanned,
            ConsumerDeed::Parked(parked) => parked.position,
        }
    }
}

impl CheckpointAct {
    pub(crate) fn text(&self) -> &str {
        match self {
            CheckpointAct::Defined(text) | CheckpointAct::Paused(text) => text,
            CheckpointAct::Moved | CheckpointAct::Resumed | CheckpointAct::Deleted => "",
        }
    }

    fn number(&self) -> u32 {
        match self {
            CheckpointAct::Defined(_) => 1,
            CheckpointAct::Moved => 2,
            CheckpointAct::Paused(_) => 3,
            CheckpointAct::Resumed => 4,
            CheckpointAct::Deleted => 5,
        }
    }

    fn from_number(number: u32, text: String) -> Result<CheckpointAct, Fault> {
        Ok(match (number, text.is_empty()) {
            (1, false) => CheckpointAct::Defined(text),
            (2, true) => CheckpointAct::Moved,
            (3, _) => CheckpointAct::Paused(text),
            (4, true) => CheckpointAct::Resumed,
            (5, true) => CheckpointAct::Deleted,
            _ => return Err(Fault::Newer),
        })
    }
}

impl ParkedState {
    fn number(self) -> u32 {
        match self {
            ParkedState::Parked => 1,
            ParkedState::Redelivered => 2,
            ParkedState::Dropped => 3,
        }
    }

    fn from_number(number: u32) -> Result<ParkedState, Fault> {
        let all = [ParkedState::Parked, ParkedState::Redelivered, ParkedState::Dropped];
        all.into_iter().find(|state| state.number() == number).ok_or(Fault::Newer)
    }
}

fn take_checkpoint(rest: &mut &[u8], text: String) -> Result<Checkpoint, Fault> {
    let (position, scanned) = (take_u64(rest)?, take_u64(rest)?);
    let act = CheckpointAct::from_number(take_u32(rest)?, text)?;
    let count = take_u32(rest)?;
    if rest.len() != count as usize * 8 {
        return Err(Fault::Senseless);
    }
    let left = (0..count).map(|_| take_u64(rest).map(Position::new)).collect::<Result<Vec<_>, Fault>>()?;
    let checkpoint = Checkpoint { act, scanned: Position::new(scanned), left };
    let is_sound = checkpoint.is_sound() && checkpoint.position().get() == position;
    if is_sound { Ok(checkpoint) } else { Err(Fault::Senseless) }
}

fn take_parked(rest: &mut &[u8], reason: String) -> Result<ParkedFact, Fault> {
    let position = Position::new(take_u64(rest)?);
    let key = u128::from_le_bytes(take(rest)?);
    let attempts = take_u32(rest)?;
    let state = ParkedState::from_number(take_u32(rest)?)?;
    if position == Position::BEGINNING || POSITION_MAX < position.get() {
        return Err(Fault::Senseless);
    }
    Ok(ParkedFact { position, key, attempts, state, reason })
}

#[cfg(test)]
mod tests {
    use super::layout::{CHECKPOINT_LEN, PARKED_LEN};
    use super::*;

    /// How long a record is.
    fn length(fact: &ConsumerFact) -> usize {
        let behind = match &fact.deed {
            ConsumerDeed::Checkpoint(of) => CHECKPOINT_LEN + 8 * of.left.len() + of.act.text().len(),
            ConsumerDeed::Parked(of) => PARKED_LEN + of.reason.len(),
        };
        record::RECORD_HEADER_LEN + fact.consumer.len() + behind
    }

    fn facts() -> Vec<ConsumerFact> {
        let positions = |numbers: &[u64]| numbers.iter().copied().map(Position::new).collect::<Vec<_>>();
        let checkpoint = |act, left: &[u64]| {
            ConsumerDeed::Checkpoint(Checkpoint { act, scanned: Position::new(9), left: positions(left) })
        };
        let parked = |state| {
            let (position, key) = (Position::new(7), 99 << 64);
            ConsumerDeed::Parked(ParkedFact { position, key, attempts: 3, state, reason: "no ✓".into() })
        };
        let deeds = [
            checkpoint(CheckpointAct::Defined("{}".into()), &[]),
            checkpoint(CheckpointAct::Moved, &[3, 8, 9]),
            checkpoint(CheckpointAct::Paused(String::new()), &[1]),
            checkpoint(CheckpointAct::Paused("it fails".into()), &[1]),
            checkpoint(CheckpointAct::Resumed, &[]),
            checkpoint(CheckpointAct::Deleted, &[]),
            parked(ParkedState::Parked),
            parked(ParkedState::Redelivered),
            parked(ParkedState::Dropped),
        ];
        let fact = |deed| ConsumerFact { consumer: "scores".into(), number: 4, time: Timestamp::from_nanos(-5), deed };
        deeds.into_iter().map(fact).collect()
    }

    /// What is read of a record after a change.
    fn changed(fact: &ConsumerFact, change: impl FnOnce(&mut Vec<u8>)) -> Result<ConsumerFact, Fault> {
        let mut bytes = Vec::new();
        push(&mut bytes, fact);
        assert_eq!(bytes.len(), length(fact));
        change(&mut bytes);
        record::finish(&mut bytes, 0);
        let header = RecordHeader::decode(&bytes)?;
        ConsumerFact::decode(&RecordView::verify_body(header, &bytes)?)
    }

    #[test]
    fn a_record_of_a_consumer_comes_back_as_it_was() {
        for fact in facts() {
            assert_eq!(changed(&fact, |_| {}), Ok(fact));
        }
    }

    #[test]
    fn what_no_consumer_can_say_is_senseless_or_newer() {
        let all = facts();
        let (moved, parked) = (&all[1], &all[6]);
        const BODY: usize = record::RECORD_HEADER_LEN + "scores".len();
        const PARKED: usize = BODY + "no ✓".len();
        type Change = fn(&mut Vec<u8>);
        let of_moved: [(&str, Change, Fault); 9] = [
            ("no number", |bytes| bytes[BODY] = 0, Fault::Senseless),
            ("another position", |bytes| bytes[BODY + 16] = 1, Fault::Senseless),
            ("an end before what is left", |bytes| bytes[BODY + 24] = 8, Fault::Senseless),
            ("an act that is not known", |bytes| bytes[BODY + 32] = 6, Fault::Newer),
            ("a definition without a text", |bytes| bytes[BODY + 32] = 1, Fault::Newer),
            ("another count", |bytes| bytes[BODY + 36] = 2, Fault::Senseless),
            ("positions that do not rise", |bytes| bytes[BODY + 48] = 3, Fault::Senseless),
            ("a name that none may have", |bytes| bytes[record::RECORD_HEADER_LEN] = b'-', Fault::Senseless),
            ("something of an event", |bytes| record::CODEC.put_u8(bytes, 1), Fault::Newer),
        ];
        for (what, change, fault) in of_moved {
            assert_eq!(changed(moved, change), Err(fault), "{what}");
        }
        let of_parked: [(&str, Change, Fault); 5] = [
            ("no position", |bytes| bytes[PARKED + 16] = 0, Fault::Senseless),
            ("a position that none can have", |bytes| bytes[PARKED + 23] = 0x40, Fault::Senseless),
            ("a state that is not known", |bytes| bytes[PARKED + 44] = 4, Fault::Newer),
            ("more behind it", |bytes| bytes.push(0), Fault::Newer),
            ("a text that is none", |bytes| bytes[PARKED - 1] = 0xFF, Fault::Senseless),
        ];
        for (what, change, fault) in of_parked {
            assert_eq!(changed(parked, change), Err(fault), "{what}");
        }
        for len in 0..PARKED_LEN {
            assert!(changed(parked, |bytes| bytes.truncate(PARKED + len)).is_err(), "cut to {len}");
        }
    }
}
