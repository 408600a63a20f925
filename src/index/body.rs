//! What is kept of the terms of a segment: a part that is packed and, all of it behind that, one that is not.

use super::blocks::Doubt;
use super::growing::Growing;
use super::packed::{Packed, PackedPostings};
use super::part::StreamPart;
use super::postings::Postings;
use crate::format::Term;
use crate::sync::Arc;

/// The terms of a segment.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) packed: Option<Arc<Packed>>,
    /// Where what is packed ends in the segment.
    pub(super) packed_end: u32,
    pub(super) growing: Growing,
}

impl Body {
    /// Of a segment of which all is packed up to an offset.
    pub(super) fn packed(packed: Packed, packed_end: u32) -> Body {
        Body { packed: Some(Arc::new(packed)), packed_end, growing: Growing::default() }
    }
}

/// Some of the events with one term.
pub(super) enum Events<'a> {
    Listed(&'a Postings),
    Packed(PackedPostings<'a>),
}

impl Body {
    /// The events with a term: first those that are packed.
    pub(super) fn find(&self, term: Term) -> Result<impl Iterator<Item = Events<'_>>, Doubt> {
        let packed = match &self.packed {
            Some(packed) => packed.find(term)?.map(Events::Packed),
            None => None,
        };
        Ok(packed.into_iter().chain(self.growing.find(term).map(Events::Listed)))
    }

    /// Whether any event, or the record of a key, has a term.
    pub(super) fn has(&self, term: Term) -> Result<bool, Doubt> {
        if self.growing.find(term).is_some() {
            return Ok(true);
        }
        match &self.packed {
            None => Ok(false),
            Some(packed) if term.is_unique() && !packed.may_have(term)? => Ok(false),
            Some(packed) => Ok(packed.find(term)?.is_some()),
        }
    }

    /// What stands here of a stream.
    pub(super) fn part(&self, stream: Term) -> Result<Option<StreamPart>, Doubt> {
        let packed = match &self.packed {
            Some(packed) => packed.part(stream)?,
            None => None,
        };
        let growing = self.growing.part(stream).copied();
        let has_jumps = [packed, growing].iter().flatten().any(|part| part.has_jumps);
        Ok(packed.or(growing).map(|part| StreamPart { has_jumps, ..part }))
    }
}

impl Events<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Events::Listed(postings) => postings.offsets().len(),
            Events::Packed(postings) => postings.len(),
        }
    }

    /// The first at or behind an offset.
    pub(super) fn at_or_behind(&self, offset: u32) -> Result<Option<u32>, Doubt> {
        match self {
            Events::Listed(postings) => Ok(postings.at_or_behind(offset)),
            Events::Packed(postings) => postings.at_or_behind(offset),
        }
    }

    /// The last before an offset.
    pub(super) fn before(&self, offset: u32) -> Result<Option<u32>, Doubt> {
        match self {
            Events::Listed(postings) => Ok(postings.before(offset)),
            Events::Packed(postings) => postings.before(offset),
        }
    }

    /// Adds up to `count` of them, from the one at an index on.
    pub(super) fn slice(&self, from: usize, count: usize, out: &mut Vec<u32>) -> Result<(), Doubt> {
        match self {
            Events::Listed(postings) => {
                out.extend(postings.offsets().iter().skip(from).take(count));
                Ok(())
            }
            Events::Packed(postings) => postings.slice(from, count, out),
        }
    }
}
