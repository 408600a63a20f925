//! Who has joined, and what each has in its hands.

use crate::position::Position;
use std::collections::BTreeSet;

/// A member, by the number it got when it joined.
pub(in crate::consumer) type MemberId = u64;

/// Those who have joined and not left.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Rising by number.
    all: Vec<(MemberId, Member)>,
    last: MemberId,
}

#[derive(Debug)]
pub(super) struct Member {
    name: Option<String>,
    pub(super) handed: BTreeSet<Position>,
}

/// Why somebody may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum NotJoined {
    TooMany,
    Twice,
}

impl Members {
    /// Joins, where fewer than so many have, and none with the same name.
    pub(super) fn join(&mut self, name: Option<&str>, members_max: usize) -> Result<MemberId, NotJoined> {
        if name.is_some() && self.iter().any(|member| member.name.as_deref() == name) {
            return Err(NotJoined::Twice);
        }
        if members_max <= self.count() {
            return Err(NotJoined::TooMany);
        }
        if self.all.is_empty() {
            // Most consumers have one, and there may be a thousand consumers.
            self.all.reserve_exact(1);
        }
        self.last += 1;
        self.all.push((self.last, Member { name: name.map(str::to_owned), handed: BTreeSet::new() }));
        Ok(self.last)
    }

    pub(super) fn leave(&mut self, id: MemberId) -> Option<Member> {
        let index = self.find(id)?;
        Some(self.all.remove(index).1)
    }

    pub(super) fn has(&self, id: MemberId) -> bool {
        self.find(id).is_some()
    }

    pub(super) fn get_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        let index = self.find(id)?;
        Some(&mut self.all[index].1)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().map(|(_, member)| member)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.all.iter_mut().map(|(_, member)| member)
    }

    fn find(&self, id: MemberId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}
