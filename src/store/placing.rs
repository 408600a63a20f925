//! Placing what another log says besides events: judged as the log judges what it reads, so that nothing is written that it would
//! not read again.

use super::exact::{ExactEvent, ExactRecord};
use super::exact_fact::{ExactFact, Told};
use super::keys::find_key;
use super::placed::Placed;
use crate::error::{Error, ErrorKind};
use crate::format::{
    ConsumerDeed, ConsumerFact, Fact, KeepDeed, KeyFact, Kind, Loss, Range, RecordView, StreamDeed, StreamFact,
};
use crate::limits::{BATCH_BYTES_MAX, RECORD_BYTES_MAX};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{POSITION_MAX, Position, Version};

/// Epochs of another store are no higher than this: as many are left for the openings to come.
const EPOCH_MAX: u32 = 1 << 31;

/// Why something is not taken in, as the rest of a sentence.
type Refusal = Option<String>;

impl Placed {
    /// How many records it holds.
    pub(super) fn records(&self) -> usize {
        self.placements.len()
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// How many events were taken in, and how many facts.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.events.len() as u64, self.said)
    }

    /// Whether a record may stand behind what is here: first comes what takes positions, then the rest, and a key last.
    pub(super) fn may_be_followed_by(&self, record: &ExactRecord) -> bool {
        let takes_positions = match record {
            ExactRecord::Event(_) => true,
            ExactRecord::Fact(ExactFact(told)) => matches!(told, Told::Removed(_) | Told::Lost(_)),
        };
        let has_others = !self.facts.is_empty() || self.accepted.is_some();
        self.buffer.key_offset().is_none() && !(takes_positions && has_others)
    }

    /// Notes in which epoch an event was appended; the last one was appended in `last`.
    pub(super) fn take_epoch(&mut self, event: &ExactEvent, last: Option<u32>) -> Result<(), Error> {
        let Some(epoch) = event.epoch else { return Ok(()) };
        let refuse = |what: &str| {
            let act = format!("importing the event at position {}: {what}", event.position);
            Err(Error::new(ErrorKind::InvalidArgument, act))
        };
        if epoch == 0 {
            return refuse("there is no such epoch");
        }
        if EPOCH_MAX < epoch {
            return refuse(&format!("its epoch {epoch} is above {EPOCH_MAX}, the highest that is taken in"));
        }
        if last.is_some_and(|last| epoch < last) {
            return refuse("its epoch is below that of the event before it");
        }
        if self.records() != 0 && self.epoch != Some(epoch) {
            return refuse("the events of a batch are of one epoch");
        }
        self.epoch = Some(epoch);
        Ok(())
    }

    /// Takes in what is said besides events.
    pub(super) fn push_fact(&mut self, fact: &ExactFact) -> Result<(), Error> {
        let act = |what: &str| format!("importing the fact `{}`: {what}", fact.kind());
        let told = &fact.0;
        if RECORD_BYTES_MAX <= text_bytes(told) || BATCH_BYTES_MAX <= self.buffer.len() + text_bytes(told) {
            return Err(Error::new(ErrorKind::TooLarge, act("it is larger than a record or a batch may be")));
        }
        if let Some(refusal) = self.judge(told)?.filter(|_| !Mutant::ImportsWithoutJudging.is_on()) {
            return Err(Error::new(ErrorKind::InvalidArgument, act(&refusal)));
        }
        let start = self.buffer.end();
        self.lay_down(told)?;
        // Whoever reads the log takes it apart like this.
        let read = self.placements.last().and_then(|(_, version, time)| {
            let mut record = self.buffer.record_at(start).ok()?;
            (record.header.version, record.header.time) = (*version, *time);
            read_back(&record)
        });
        if read.as_ref() != Some(told) {
            return Err(Error::new(ErrorKind::InvalidArgument, act("it makes no sense")));
        }
        self.said += 1;
        Ok(())
    }

    /// Whether it goes on from what is here.
    fn judge(&mut self, told: &Told) -> Result<Refusal, Error> {
        let next = self.next;
        let is_still_to_come = |last: Position| (next <= last).then(|| format!("position {last} is still to come"));
        Ok(match told {
            Told::Removed(range) | Told::Lost(range) => {
                let is_next = range.first == next && range.first <= range.last && range.last.get() <= POSITION_MAX;
                (!is_next).then(|| format!("positions {} to {} are not the next, {next}", range.first, range.last))
            }
            Told::Accepted(last) => is_still_to_come(*last),
            Told::Fact(Fact::Consumer(fact)) => {
                is_still_to_come(fact.last_position()).or_else(|| self.judge_number(fact))
            }
            Told::Fact(Fact::Stream(fact)) => match is_still_to_come(fact.last_position()) {
                None => self.judge_stream(fact)?,
                refusal => refusal,
            },
            Told::Fact(Fact::Keep(_) | Fact::Quota(_)) => None,
            Told::Key(fact) => match is_still_to_come(fact.receipt.last_position) {
                None => {
                    let known = find_key(&self.writer.view, &fact.key, Position::new(u64::MAX))?;
                    known.map(|_| format!("the key `{}` came before", fact.key.escape_debug()))
                }
                refusal => refusal,
            },
        })
    }

    fn judge_number(&self, fact: &ConsumerFact) -> Refusal {
        let here = self.facts.iter().filter_map(Fact::consumer).filter(|other| other.consumer == fact.consumer);
        let known = self.writer.view.0.read().table.consumers().admitted(&fact.consumer);
        let last = here.map(|other| other.number).fold(known, u64::max);
        let (name, number) = (&fact.consumer, fact.number);
        (number <= last).then(|| format!("consumer {name} has come to number {last}, and this is {number}"))
    }

    fn judge_stream(&mut self, fact: &StreamFact) -> Result<Refusal, Error> {
        let name = StreamName::new(&*fact.stream)?;
        let index = self.stream(&name);
        let known = self.streams[index].version;
        let may_be_higher = self.has_hole_behind(index) || Mutant::ImportsWhatNoHoleExplains.is_on();
        let view = self.writer.view.0.read();
        let fate = view.table.fates().admitted(&fact.stream);
        let here = || self.facts.iter().filter_map(Fact::stream).filter(|other| other.stream == fact.stream);
        if fate.is_some_and(|fate| fate.ended.is_some())
            || here().any(|other| matches!(other.deed, StreamDeed::Tombstone(_)))
        {
            return Ok(Some(format!("stream {name} is finished")));
        }
        if let StreamDeed::Metadata { revision, .. } = fact.deed {
            let revisions = here().filter_map(|other| match other.deed {
                StreamDeed::Metadata { revision, .. } => Some(revision),
                _ => None,
            });
            let known = fate.and_then(|fate| fate.metadata.as_ref()).map_or(0, |said| said.revision);
            let last = revisions.fold(known, u64::max);
            if revision <= last {
                let refusal = format!("what is said about stream {name} has revision {last}, and this is {revision}");
                return Ok(Some(refusal));
            }
        }
        let version = fact.version;
        let is_there = version == known || (known < version && may_be_higher);
        Ok((!is_there).then(|| format!("stream {name} is at version {known}, and this speaks of {version}")))
    }

    fn lay_down(&mut self, told: &Told) -> Result<(), Error> {
        match told {
            Told::Removed(range) => {
                self.push_control(Kind::Removed, &range.encode_removed());
                self.holes.push(*range);
                self.next = range.last.next().unwrap_or(range.last);
            }
            Told::Lost(range) => {
                self.push_control(Kind::Lost, &Loss::Found(*range).encode());
                self.lost.push(*range);
                self.next = range.last.next().unwrap_or(range.last);
            }
            Told::Accepted(last) => {
                self.push_control(Kind::Lost, &Loss::Accepted(*last).encode());
                self.accepted = self.accepted.max(Some(*last));
            }
            Told::Fact(fact) => {
                let version = fact.stream().map_or(Version::NONE, |fact| fact.version);
                if let Some(fact) = fact.stream() {
                    let index = self.stream(&StreamName::new(&*fact.stream)?);
                    self.streams[index].version = self.streams[index].version.max(version);
                }
                self.buffer.push_fact(fact);
                self.placements.push((Position::BEGINNING, version, self.time));
                self.facts.push(fact.clone());
            }
            Told::Key(KeyFact { key, digest, receipt }) => {
                let streams: Vec<StreamName> = receipt.streams.iter().map(|of| of.stream.clone()).collect();
                self.buffer.push_key(key, *digest, &streams);
                self.buffer.place_key(receipt);
                self.placements.push((Position::BEGINNING, Version::NONE, receipt.time));
            }
        }
        Ok(())
    }
}

/// What a record says, if it is one that is carried.
fn read_back(record: &RecordView<'_>) -> Option<Told> {
    Some(match record.header.kind {
        Kind::Removed => Told::Removed(Range::decode_removed(record.body()).ok()?),
        Kind::Lost => match Loss::decode(record.body()).ok()? {
            Loss::Found(range) => Told::Lost(range),
            Loss::Accepted(last) => Told::Accepted(last),
        },
        Kind::Key => Told::Key(KeyFact::decode(record).ok()?),
        _ => Told::Fact(Fact::decode(record).ok()??),
    })
}

/// How many bytes the texts of a fact have, and what else of it has no end.
fn text_bytes(told: &Told) -> usize {
    match told {
        Told::Removed(_) | Told::Lost(_) | Told::Accepted(_) | Told::Fact(Fact::Quota(_)) => 0,
        Told::Key(fact) => {
            fact.key.len() + fact.receipt.streams.iter().map(|of| of.stream.as_str().len() + 17).sum::<usize>()
        }
        Told::Fact(Fact::Stream(fact)) => match &fact.deed {
            StreamDeed::Tombstone(text) | StreamDeed::Delete(text) | StreamDeed::Metadata { json: text, .. } => {
                text.len()
            }
            StreamDeed::Truncate { state, .. } => state.as_ref().map_or(0, |state| state.bytes.len()),
            StreamDeed::Undelete => 0,
        },
        Told::Fact(Fact::Keep(fact)) => match &fact.deed {
            KeepDeed::Hold(label) | KeepDeed::Release(label) => label.len(),
            KeepDeed::Retain(_) | KeepDeed::Forget => 0,
        },
        Told::Fact(Fact::Consumer(fact)) => match &fact.deed {
            ConsumerDeed::Checkpoint(checkpoint) => checkpoint.act.text().len() + 8 * checkpoint.left.len(),
            ConsumerDeed::Parked(parked) => parked.reason.len(),
        },
    }
}
