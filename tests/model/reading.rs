//! One way of reading: what of, between which bounds, in which order and how much.

use super::chance::Choices;
use super::expected::{Event, stream};
use scorebook::{Error, EventStore, Position, RecordedEvent, Version};

/// A read of one stream, by versions, or of everything, by positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) stream: Option<u8>,
    from: Option<u64>,
    to: Option<u64>,
    after: Option<u64>,
    before: Option<u64>,
    is_backwards: bool,
    limit: Option<u64>,
}

impl Reading {
    /// Any way of reading a store of about so many events.
    pub(crate) fn random(choices: &mut impl Choices, events: usize) -> Reading {
        let mut bound = |times: usize| {
            let is_given = choices.below(times) == 0;
            is_given.then(|| choices.below(events + 3) as u64)
        };
        let (from, to, after, before, limit) = (bound(3), bound(3), bound(4), bound(4), bound(3));
        let stream = (choices.below(3) != 0).then(|| choices.below(6) as u8);
        Reading { stream, from, to, after, before, limit, is_backwards: choices.below(2) == 0 }
    }

    /// The events this reads, of all there are with their positions and versions.
    pub(crate) fn choose<'a>(&self, events: &[(&'a Event, u64, u64)]) -> Vec<(&'a Event, u64, u64)> {
        let is_chosen = |(event, position, version): &&(&Event, u64, u64)| {
            let number = if self.stream.is_some() { *version } else { *position };
            self.stream.is_none_or(|stream| stream == event.stream)
                && self.from.is_none_or(|from| from <= number)
                && self.to.is_none_or(|to| number <= to)
                && self.after.is_none_or(|after| after < number)
                && self.before.is_none_or(|before| number < before)
        };
        let mut chosen: Vec<_> = events.iter().filter(is_chosen).copied().collect();
        if self.is_backwards {
            chosen.reverse();
        }
        chosen.truncate(self.limit.map_or(usize::MAX, |limit| limit as usize));
        chosen
    }

    pub(crate) fn read(&self, store: &EventStore) -> Result<Vec<RecordedEvent>, Error> {
        match self.stream {
            Some(number) => {
                let mut read = store.read(&stream(number));
                read = self.from.map(Version::new).into_iter().fold(read, |read, bound| read.from(bound));
                read = self.to.map(Version::new).into_iter().fold(read, |read, bound| read.to(bound));
                read = self.after.map(Version::new).into_iter().fold(read, |read, bound| read.after(bound));
                read = self.before.map(Version::new).into_iter().fold(read, |read, bound| read.before(bound));
                read = if self.is_backwards { read.backwards() } else { read };
                self.limit.into_iter().fold(read, |read, limit| read.limit(limit)).iter().collect()
            }
            None => {
                let mut read = store.read_all();
                read = self.from.map(Position::new).into_iter().fold(read, |read, bound| read.from(bound));
                read = self.to.map(Position::new).into_iter().fold(read, |read, bound| read.to(bound));
                read = self.after.map(Position::new).into_iter().fold(read, |read, bound| read.after(bound));
                read = self.before.map(Position::new).into_iter().fold(read, |read, bound| read.before(bound));
                read = if self.is_backwards { read.backwards() } else { read };
                self.limit.into_iter().fold(read, |read, limit| read.limit(limit)).iter().collect()
            }
        }
    }
}
