//! Batches of every kind, some of which are refused: which, follows from what was done before.

use super::Mixing;
use super::history::{Asked, Batch, Deed, Event, STREAMS, Said, name, scope};
use crate::model::chance::Choices;
use scorebook::{
    AppendError, BatchBuilder, Conflict, Durability, Error, ErrorKind, EventId, ExactEvent, ExpectedVersion, Position,
    Receipt, Retention, Revision, Timestamp, Version,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// What of a batch does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Broken {
    Version,
    Unless,
    Once,
    Finished,
    Revision,
    /// It makes no sense: not a conflict, but a refusal.
    Senseless,
}

fn kind_of(conflict: &Conflict) -> Broken {
    match conflict {
        Conflict::Version { .. } => Broken::Version,
        Conflict::Unless { .. } => Broken::Unless,
        Conflict::Once { .. } => Broken::Once,
        Conflict::Finished { .. } => Broken::Finished,
        Conflict::Revision { .. } => Broken::Revision,
        other => panic!("nothing here asks for this: {other}"),
    }
}

/// Why a batch is refused, if it must be, and why it may be.
#[derive(Default)]
struct Judged {
    broken: BTreeSet<Broken>,
    in_doubt: BTreeSet<Broken>,
}

impl Mixing {
    /// Begins the history with events that keep their numbers, with gaps between.
    pub(super) fn import(&mut self) -> Result<(), Error> {
        let store = self.store();
        let mut import = store.exact_import()?;
        let (mut position, mut time) = (0, Timestamp::from_nanos(1));
        let mut versions = vec![0; STREAMS.into()];
        for _ in 0..1 + self.chance.below(4) {
            let (mut events, mut deeds) = (Vec::new(), Vec::new());
            for _ in 0..1 + self.chance.below(8) {
                let stream = self.chance.below(STREAMS.into()) as u8;
                let event = self.invent(stream);
                let gap = if self.chance.one_in(3) { 1 + self.chance.below(5) as u64 } else { 0 };
                let version: &mut u64 = &mut versions[usize::from(stream)];
                *version += 1 + if gap == 0 { 0 } else { self.chance.below(gap as usize + 1) as u64 };
                position += 1 + gap;
                time = Timestamp::from_nanos(time.nanos() + 1);
                let mut id = [7; 16];
                id[..8].copy_from_slice(&position.to_le_bytes());
                deeds.push(Deed::Imported(event.clone(), position, *version));
                events.push(ExactEvent {
                    position: Position::new(position),
                    stream: name(stream),
                    version: Version::new(*version),
                    time,
                    epoch: None,
                    event: event.new_event().id(EventId::from_bytes(id)),
                });
            }
            import.append(events)?;
            self.push(Batch { deeds, key: None, said: Said::Nothing, time });
        }
        import.finish()?;
        self.all_synced();
        Ok(())
    }

    fn invent(&mut self, stream: u8) -> Event {
        self.serial += 1;
        let bytes = match self.chance.below(12) {
            0 => 0,
            1..8 => self.chance.below(300),
            8..11 => 400 + self.chance.below(1_500),
            _ => 4_000 + self.chance.below(5_000),
        };
        let (kind, tag) = (self.chance.below(3) as u8, self.chance.below(4) as u8);
        Event { stream, kind, tag, serial: self.serial, bytes: bytes as u16 }
    }

    /// Streams that are apart from each other, most of which take something.
    fn choose_streams(&mut self) -> Vec<u8> {
        let mut chosen: Vec<u8> = Vec::new();
        for _ in 0..1 + self.chance.below(3) {
            let stream = self.chance.below(STREAMS.into()) as u8;
            let is_apart = !chosen.contains(&stream);
            if is_apart && (!self.stand.of(stream).is_finished || self.chance.one_in(6)) {
                chosen.push(stream);
            }
        }
        chosen
    }

    /// Appends to some streams, under any conditions.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let key = self.chance.one_in(6).then(|| self.chance.below(6) as u8);
        let known = key.and_then(|key| self.stand.keys.get(&key).copied());
        if let (Some(key), Some(known)) = (key, known.filter(|_| self.chance.one_in(2))) {
            return self.repeat(key, known);
        }
        let store = self.store();
        let mut batch = store.batch().durability(self.durability());
        let (mut deeds, mut judged) = (Vec::new(), Judged::default());
        for stream in self.choose_streams() {
            let of = self.stand.of(stream).clone();
            let (expected, holds) = match self.chance.below(10) {
                0 => (ExpectedVersion::Exact(Version::new(of.version + 1)), false),
                1 => (ExpectedVersion::NoStream, !of.is_there()),
                2 => (ExpectedVersion::StreamExists, of.is_there()),
                3 | 4 if of.version != 0 => (ExpectedVersion::Exact(Version::new(of.version)), true),
                _ => (ExpectedVersion::Any, true),
            };
            if of.is_finished {
                judged.broken.insert(Broken::Finished);
            } else if !holds {
                judged.broken.insert(Broken::Version);
            }
            let events: Vec<Event> = (0..1 + self.chance.below(4)).map(|_| self.invent(stream)).collect();
            batch = batch.append(&name(stream), expected, events.iter().map(Event::new_event));
            deeds.extend(events.into_iter().map(Deed::Event));
        }
        if deeds.is_empty() {
            return Ok(());
        }
        if self.chance.one_in(5) {
            let asked = self.asked();
            let after = self.stand.head.saturating_sub(self.chance.below(30) as u64);
            batch = batch.unless(asked.query().after(Position::new(after)));
            let mut met =
                self.stand.events.iter().filter(|placed| after < placed.position && asked.holds(&placed.event));
            if met.clone().any(|placed| !self.gone.contains(&placed.position)) {
                judged.broken.insert(Broken::Unless);
            } else if met.next().is_some() {
                // What has happened has, also where it is not held any more.
                judged.in_doubt.insert(Broken::Unless);
            }
        }
        if let Some(key) = key {
            batch = batch.once(format!("key {key}"));
            if known.is_some() {
                judged = Judged { broken: [Broken::Once].into(), ..Judged::default() };
            }
        } else if self.chance.one_in(4)
            && let Some(deed) = self.sound_deed()
        {
            batch = add(batch, &deed, None);
            deeds.push(deed);
        }
        self.commit(batch, deeds, key, &judged)
    }

    /// The same batch under the same key.
    fn repeat(&mut self, key: u8, known: usize) -> Result<(), Error> {
        let store = self.store();
        let of_first: Vec<Event> = self.batches[known].events().cloned().collect();
        let mut batch = store.batch().durability(self.durability()).once(format!("key {key}"));
        for event in &of_first {
            batch = batch.append(&name(event.stream), ExpectedVersion::Any, [event.new_event()]);
        }
        let before = super::history::Stand::behind(&self.batches[..known]);
        match batch.commit().wait() {
            Ok(receipt) => {
                assert!(receipt.is_repeat(), "key {key} is known");
                let told = (receipt.first_position().get(), receipt.last_position().get());
                assert_eq!(
                    told,
                    (before.head + 1, before.head + of_first.len() as u64),
                    "the first receipt of key {key}"
                );
                Ok(())
            }
            Err(AppendError::Store(error)) => Err(error),
            Err(AppendError::Conflict(conflict)) => {
                panic!("key {key} with the same content: {conflict}")
            }
        }
    }

    fn durability(&mut self) -> Durability {
        if self.chance.one_in(4) { Durability::Written } else { Durability::Synced }
    }

    pub(super) fn asked(&mut self) -> Asked {
        let chance = &mut self.chance;
        match chance.below(6) {
            0 => Asked::All,
            1 => Asked::Kind(chance.below(3) as u8),
            2 => Asked::Tag(chance.below(4) as u8),
            3 => Asked::Stream(chance.below(STREAMS.into()) as u8),
            4 => Asked::Category(chance.below(2) as u8),
            _ => Asked::KindAndTag(chance.below(3) as u8, chance.below(4) as u8),
        }
    }

    fn rule(&mut self) -> Retention {
        let newest = 1 + self.chance.below(8) as u64;
        let age = Duration::from_secs(60 * (1 + self.chance.below(40) as u64));
        match self.chance.below(4) {
            0 => Retention::forever(),
            1 => Retention::forever().newer_than(age),
            2 => Retention::forever().newest(newest).newer_than(age),
            _ => Retention::forever().newest(newest),
        }
    }

    /// Something that is accepted.
    fn sound_deed(&mut self) -> Option<Deed> {
        let stream = self.chance.below(STREAMS.into()) as u8;
        let of = self.stand.of(stream).clone();
        let deed = match self.chance.below(8) {
            0..3 => Deed::Truncate(stream, 1 + self.chance.below(of.version as usize + 1) as u64),
            3 | 4 => Deed::Say(stream, of.said.map_or(0, |(revision, _)| revision) + 1, self.serial),
            5 => Deed::Retain(scope(&mut self.chance), self.rule()),
            6 => Deed::Hold(scope(&mut self.chance)),
            _ => Deed::Release(scope(&mut self.chance)),
        };
        (!of.is_finished).then_some(deed)
    }

    /// Decides one thing, which may be refused.
    pub(super) fn decide(&mut self) -> Result<(), Error> {
        let stream = self.chance.below(STREAMS.into()) as u8;
        let of = self.stand.of(stream).clone();
        let mut judged = Judged::default();
        let mut refuse = |is_broken: bool, why: Broken| {
            if is_broken {
                judged.broken.insert(why);
            }
        };
        let mut last = None;
        let deed = match self.chance.below(24) {
            0..2 => {
                refuse(!of.is_there(), Broken::Version);
                Deed::Delete(stream)
            }
            2..4 => {
                refuse(of.deleted == 0, Broken::Senseless);
                Deed::Undelete(stream)
            }
            4 => Deed::Tombstone(stream),
            5..10 => {
                let first = 1 + self.chance.below(of.version as usize + 2) as u64;
                refuse(of.version + 1 < first, Broken::Senseless);
                Deed::Truncate(stream, first)
            }
            10..12 => {
                let revision = of.said.map_or(0, |(revision, _)| revision);
                let asked = revision + u64::from(self.chance.one_in(4));
                last = self.chance.one_in(2).then_some(Revision::new(asked));
                refuse(last.is_some_and(|last| last.get() != revision), Broken::Revision);
                Deed::Say(stream, revision + 1, self.serial)
            }
            12..15 => Deed::Retain(scope(&mut self.chance), self.rule()),
            15..17 => Deed::Clear(scope(&mut self.chance)),
            17 => Deed::Hold(scope(&mut self.chance)),
            _ => {
                let held: Vec<_> = self.stand.holds.iter().cloned().collect();
                Deed::Release(if held.is_empty() { scope(&mut self.chance) } else { self.chance.pick(&held).clone() })
            }
        };
        let is_of_stream = matches!(
            deed,
            Deed::Delete(_) | Deed::Undelete(_) | Deed::Tombstone(_) | Deed::Truncate(..) | Deed::Say(..)
        );
        if of.is_finished && is_of_stream {
            judged = Judged { broken: [Broken::Finished].into(), in_doubt: judged.broken };
        }
        let store = self.store();
        let durability = self.durability();
        let batch = add(store.batch().durability(durability), &deed, last);
        self.commit(batch, vec![deed], None, &judged)
    }

    fn commit(
        &mut self,
        batch: BatchBuilder<'_>,
        deeds: Vec<Deed>,
        key: Option<u8>,
        judged: &Judged,
    ) -> Result<(), Error> {
        let whence = format!("{deeds:?} with {key:?}");
        self.tell(whence.clone());
        let may_be = |broken: &Broken| judged.broken.contains(broken) || judged.in_doubt.contains(broken);
        match batch.commit().wait() {
            Ok(receipt) => {
                assert!(judged.broken.is_empty(), "{whence}: had to be refused: {:?}", judged.broken);
                self.check_receipt(&receipt, &deeds);
                self.push(Batch { deeds, key, said: receipt.durability().into(), time: receipt.time() });
                Ok(())
            }
            Err(AppendError::Conflict(conflict)) => {
                assert!(
                    may_be(&kind_of(&conflict)),
                    "{whence}: {conflict}, but what does not hold: {:?}",
                    judged.broken
                );
                self.counts.refused += 1;
                Ok(())
            }
            Err(AppendError::Store(error)) if error.kind() == ErrorKind::InvalidArgument => {
                assert!(may_be(&Broken::Senseless), "{whence}: {error}");
                self.counts.refused += 1;
                Ok(())
            }
            Err(AppendError::Store(error)) => {
                // Only where the outcome is unknown may it be there; everything else never comes back.
                if error.kind() == ErrorKind::OutcomeUnknown && judged.broken.is_empty() {
                    self.push(Batch { deeds, key, said: Said::Nothing, time: Timestamp::EPOCH });
                }
                Err(error)
            }
        }
    }

    fn check_receipt(&self, receipt: &Receipt, deeds: &[Deed]) {
        let events = deeds.iter().filter(|deed| matches!(deed, Deed::Event(_))).count() as u64;
        assert!(!receipt.is_repeat(), "nothing was repeated");
        if events != 0 {
            let told = (receipt.first_position().get(), receipt.last_position().get());
            assert_eq!(told, (self.stand.head + 1, self.stand.head + events), "the positions of a receipt");
        }
        for of in receipt.streams() {
            let is_of = |deed: &&Deed| matches!(deed, Deed::Event(event) if name(event.stream) == *of.stream());
            let count = deeds.iter().filter(is_of).count() as u64;
            let stream = (0..STREAMS).find(|stream| name(*stream) == *of.stream()).expect("one of these");
            let before = self.stand.of(stream).version;
            let told = (of.first_version().get(), of.last_version().get());
            assert_eq!(told, (before + 1, before + count), "the versions of a receipt, {}", of.stream());
        }
    }
}

/// Puts a deed into a batch. `last` is the revision that somebody who says something has seen.
fn add<'a>(batch: BatchBuilder<'a>, deed: &Deed, last: Option<Revision>) -> BatchBuilder<'a> {
    const LABEL: &str = "case";
    match deed {
        Deed::Event(_) | Deed::Imported(..) | Deed::Found(..) | Deed::Head(_) => batch,
        Deed::Delete(stream) => batch.delete(&name(*stream), ExpectedVersion::Any, "by chance"),
        Deed::Undelete(stream) => batch.undelete(&name(*stream)),
        Deed::Tombstone(stream) => batch.tombstone(&name(*stream), ExpectedVersion::Any, "by chance"),
        Deed::Truncate(stream, first) => batch.truncate_before(&name(*stream), Version::new(*first)),
        Deed::Say(stream, _, text) => batch.set_metadata(&name(*stream), last, text),
        Deed::Retain(scope, rule) => batch.retain(scope, *rule),
        Deed::Clear(scope) => batch.clear_retention(scope),
        Deed::Hold(scope) => batch.hold(scope, LABEL),
        Deed::Release(scope) => batch.release(scope, LABEL),
    }
}

impl From<Durability> for Said {
    fn from(durability: Durability) -> Said {
        match durability {
            Durability::Written => Said::Written,
            Durability::Synced => Said::Synced,
        }
    }
}
