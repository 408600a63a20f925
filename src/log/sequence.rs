//! Whether a batch goes on from what came before it.

use crate::format::{BatchView, Fact, Fault, KeyFact, Kind, Loss, Preamble, Range, Start, decode_session};
use crate::position::{POSITION_MAX, Place, Position};
use crate::segment::{FIRST_BATCH, Mark};
use crate::time::Timestamp;

/// Where the log stands behind some batch: what the next one must go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The next position to be given.
    pub(crate) next_position: Position,
    /// The epoch that the last start or session record began; no batch has a higher one.
    pub(crate) epoch: u32,
    /// The epoch of the last batch with facts. Copied batches keep theirs, so it may be lower than `epoch`.
    pub(crate) facts_epoch: u32,
    pub(crate) last_time: Timestamp,
}

impl Sequence {
    /// Before the first batch there ever was.
    pub(crate) const BEGINNING: Sequence = Sequence {
        next_position: Position::new(1),
        epoch: 0,
        facts_epoch: 0,
        last_time: Timestamp::from_nanos(i64::MIN),
    };

    /// A mark before a batch at an offset, behind which the log stands so.
    pub(crate) fn mark(&self, offset: u32) -> Mark {
        Mark { position: self.next_position, offset, time: self.last_time }
    }

    /// The last position that was given.
    pub(crate) fn last_position(&self) -> Position {
        Position::new(self.next_position.get() - 1)
    }

    /// Where the log stands behind `batch` of a segment, or why the batch does not belong here.
    pub(crate) fn follow(&self, batch: &BatchView<'_>, segment: &Preamble) -> Result<Sequence, Fault> {
        let is_rewritten = segment.rewritten.is_some();
        let is_first_of_segment = batch.offset == FIRST_BATCH;
        let header = &batch.header;
        let mut next = *self;
        let mut has_facts = false;
        let mut of_streams = Position::BEGINNING;
        if header.first_position != self.next_position || header.time < self.last_time {
            return Err(Fault::Senseless);
        }
        for (index, record) in (1..).zip(batch.records()) {
            let kind = record.header.kind;
            has_facts |= kind.is_fact();
            let is_alone = header.records == 1;
            if record.header.epoch != header.epoch
                || (!kind.is_fact() && !is_alone)
                // Where several were made one, the start records of all of them are there.
                || (is_first_of_segment && kind != Kind::Start)
                || (!is_first_of_segment && kind == Kind::Start && !is_rewritten)
            {
                return Err(Fault::Senseless);
            }
            if !kind.has_names() {
                record.header.check_no_event()?;
            }
            match kind {
                Kind::Start => {
                    let start = Start::decode(record.body())?;
                    if start.first_position != self.next_position || header.epoch < self.epoch || header.epoch == 0 {
                        return Err(Fault::Senseless);
                    }
                    next.epoch = header.epoch;
                }
                Kind::Session => {
                    let here = Place { segment: segment.sequence, offset: batch.offset };
                    // What was rewritten names the place where it stood before.
                    let is_here = decode_session(record.body())? == here || is_rewritten;
                    if !is_here || header.epoch <= self.epoch {
                        return Err(Fault::Senseless);
                    }
                    next.epoch = header.epoch;
                }
                Kind::Event => {
                    let time = record.header.time;
                    // Positions end somewhere, and a stream has no more events than the store.
                    let (position, version) = (record.header.position.get(), record.header.version.get());
                    if POSITION_MAX < position || version == 0 || position < version {
                        return Err(Fault::Senseless);
                    }
                    if record.header.position != next.next_position || time < next.last_time || header.time < time {
                        return Err(Fault::Senseless);
                    }
                    record.decode_event_parts()?;
                    next.last_time = time;
                    next.next_position = next.next_position.next().ok_or(Fault::Senseless)?;
                }
                Kind::Key => {
                    // It speaks of what stands before it, and behind it stands nothing.
                    let last = KeyFact::decode(&record)?.receipt.last_position;
                    if index != header.records || next.last_position() < last {
                        return Err(Fault::Senseless);
                    }
                }
                Kind::Removed => next.pass(Range::decode_removed(record.body())?)?,
                Kind::Lost => match Loss::decode(record.body())? {
                    Loss::Found(range) => next.pass(range)?,
                    Loss::Accepted(last) if last < next.next_position => {}
                    Loss::Accepted(_) => return Err(Fault::Senseless),
                },
                Kind::Watermark | Kind::Close if record.body().is_empty() => {}
                Kind::Watermark | Kind::Close | Kind::Compressed => return Err(Fault::Newer),
                _ => match Fact::decode(&record)? {
                    // It speaks of the stream as it is behind the whole batch.
                    Some(Fact::Stream(fact)) => of_streams = of_streams.max(fact.last_position()),
                    // Nobody is done with what does not stand before it.
                    Some(fact) if next.last_position() < fact.last_position() => return Err(Fault::Senseless),
                    _ => {}
                },
            }
        }
        // No stream has had a version that is higher than all positions.
        if next.last_position() < of_streams {
            return Err(Fault::Senseless);
        }
        if next.epoch < header.epoch || (has_facts && header.epoch < self.facts_epoch) {
            return Err(Fault::Senseless);
        }
        if has_facts {
            next.facts_epoch = header.epoch;
        }
        next.last_time = header.time;
        Ok(next)
    }

    fn pass(&mut self, range: Range) -> Result<(), Fault> {
        if range.first != self.next_position {
            return Err(Fault::Senseless);
        }
        self.next_position = range.last.next().ok_or(Fault::Senseless)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BatchBuffer, Salt, Stamp, encode_session};
    use crate::position::Version;

    /// What becomes of a log behind position 4 where a batch of one record follows it at offset 4096 of segment 3.
    fn follow(kind: Kind, body: &[u8], epoch: u32) -> Result<Sequence, Fault> {
        let before = Sequence {
            next_position: Position::new(5),
            epoch: 2,
            facts_epoch: 2,
            last_time: Timestamp::from_nanos(10),
        };
        let stamp = Stamp {
            epoch,
            epoch_bits: 0,
            previous: 0,
            durable: Place::NONE,
            first_position: Position::new(5),
            time: Timestamp::from_nanos(10),
        };
        let mut batch = BatchBuffer::new();
        batch.push_control(kind, body);
        batch.place(&stamp, |_| Version::NONE, &[]);
        let salt = Salt::of(&[1; 16], &[2; 16], 3);
        let mut bytes = Vec::new();
        batch.seal(&stamp, salt, 4_096, &mut bytes);
        let preamble = Preamble { store: [1; 16], segment: [2; 16], sequence: 3, size: 32_768, rewritten: None };
        before.follow(&BatchView::verify(&bytes, salt, 4_096).expect("a batch"), &preamble)
    }

    #[test]
    fn a_session_begins_a_higher_epoch_at_the_place_it_names() {
        let session = |segment, offset, epoch| follow(Kind::Session, &encode_session(Place { segment, offset }), epoch);
        assert_eq!(session(3, 4_096, 3).map(|next| next.epoch), Ok(3));
        assert_eq!(session(3, 4_096, 2), Err(Fault::Senseless));
        assert_eq!(session(3, 4_104, 3), Err(Fault::Senseless));
        assert_eq!(session(2, 4_096, 3), Err(Fault::Senseless));
    }

    #[test]
    fn what_takes_the_place_of_events_begins_at_the_next_position() {
        let range = |first, last| Range { first: Position::new(first), last: Position::new(last) };
        let removed = |first, last| follow(Kind::Removed, &range(first, last).encode_removed(), 2);
        assert_eq!(removed(5, 9).map(|next| next.next_position), Ok(Position::new(10)));
        assert_eq!(removed(4, 9), Err(Fault::Senseless));
        assert_eq!(removed(6, 9), Err(Fault::Senseless));
        let lost = |loss: Loss| follow(Kind::Lost, &loss.encode(), 2).map(|next| next.next_position.get());
        assert_eq!(lost(Loss::Found(range(5, 5))), Ok(6));
        assert_eq!(lost(Loss::Found(range(6, 6))), Err(Fault::Senseless));
        assert_eq!(lost(Loss::Accepted(Position::new(4))), Ok(5));
        assert_eq!(lost(Loss::Accepted(Position::new(5))), Err(Fault::Senseless));
    }

    #[test]
    fn markers_have_no_bodies_and_epochs_never_fall() {
        assert!(follow(Kind::Watermark, &[], 2).is_ok() && follow(Kind::Close, &[], 2).is_ok());
        assert_eq!(follow(Kind::Watermark, &[0], 2), Err(Fault::Newer));
        assert_eq!(follow(Kind::Close, &[], 3), Err(Fault::Senseless), "nothing began epoch 3");
        let removed = Range { first: Position::new(5), last: Position::new(5) }.encode_removed();
        assert_eq!(follow(Kind::Removed, &removed, 1), Err(Fault::Senseless));
    }
}
