//! Whether a batch goes on from what came before it.

use crate::format::{BatchView, Fault, Kind, Loss, Range, Start, decode_session};
use crate::position::{POSITION_MAX, Place, Position};
use crate::segment::FIRST_BATCH;
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

    /// The last position that was given.
    pub(crate) fn last_position(&self) -> Position {
        Position::new(self.next_position.get() - 1)
    }

    /// Where the log stands behind `batch` of a segment, or why the batch does not belong here.
    pub(crate) fn follow(&self, batch: &BatchView<'_>, segment: u32) -> Result<Sequence, Fault> {
        let is_first_of_segment = batch.offset == FIRST_BATCH;
        let header = &batch.header;
        let mut next = *self;
        let mut has_facts = false;
        if header.first_position != self.next_position || header.time < self.last_time {
            return Err(Fault::Senseless);
        }
        for record in batch.records() {
            let kind = record.header.kind;
            has_facts |= kind.is_fact();
            let is_alone = header.records == 1;
            if record.header.epoch != header.epoch
                || (!kind.is_fact() && !is_alone)
                || (kind == Kind::Start) != is_first_of_segment
            {
                return Err(Fault::Senseless);
            }
            if kind != Kind::Event {
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
                    let here = Place { segment, offset: batch.offset };
                    if decode_session(record.body())? != here || header.epoch <= self.epoch {
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
                Kind::Removed => next.pass(Range::decode_removed(record.body())?)?,
                Kind::Lost => match Loss::decode(record.body())? {
                    Loss::Found(range) => next.pass(range)?,
                    Loss::Accepted(last) if last < next.next_position => {}
                    Loss::Accepted(_) => return Err(Fault::Senseless),
                },
                Kind::Watermark | Kind::Close if !record.body().is_empty() => return Err(Fault::Newer),
                _ => {}
            }
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
