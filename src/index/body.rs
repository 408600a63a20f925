//! What is kept of the terms of a segment: a part that is packed and, all of it behind that, one that is listed.

use super::blocks::{Blocks, Doubt};
use super::growing::Growing;
use super::packed::{Packed, PackedPostings, Sections};
use super::plan::Demand;
use super::postings::Postings;
use crate::format::Term;
use crate::sync::Arc;

/// The terms of a segment.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) packed: Arc<Packed>,
    /// Where what is packed ends in the segment; 0 where nothing was packed.
    pub(super) packed_end: u32,
    pub(super) growing: Growing,
}

impl Default for Body {
    fn default() -> Body {
        Body::packed(Packed::new(Blocks::in_memory(Vec::new()), Sections::default()), 0)
    }
}

impl Body {
    /// Of a segment of which all is packed up to an offset.
    pub(super) fn packed(packed: Packed, packed_end: u32) -> Body {
        Body { packed: Arc::new(packed), packed_end, growing: Growing::default() }
    }

    /// Whether all of it is packed.
    pub(super) fn is_packed(&self) -> bool {
        self.packed_end != 0 && self.growing.is_empty()
    }
}

/// One of the two parts.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Packed(&'a Packed),
    Listed(&'a Growing),
}

/// The events of a part that have one term.
pub(super) enum Events<'a> {
    Listed(&'a Postings),
    Packed(PackedPostings<'a>),
}

impl<'a> Source<'a> {
    /// The events that have one of some terms, by term.
    pub(super) fn find(self, demand: &Demand) -> Result<Vec<Events<'a>>, Doubt> {
        let mut found = Vec::with_capacity(demand.len());
        for term in demand {
            found.extend(self.find_one(*term)?);
        }
        Ok(found)
    }

    fn find_one(self, term: Term) -> Result<Option<Events<'a>>, Doubt> {
        match self {
            Source::Listed(growing) => Ok(growing.find(term).map(Events::Listed)),
            Source::Packed(packed) => Ok(packed.find(term)?.map(Events::Packed)),
        }
    }
}

impl Events<'_> {
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
}
