//! What is found fast because it is remembered: rebuilt from the log whenever we like.

mod holes;
mod lookup;
mod packed;
mod places;
mod plan;
mod postings;
mod streams;
mod terms;

pub(crate) use holes::{Hole, HoleKind, Holes};
pub(crate) use lookup::{Lookup, TermIndex};
pub(crate) use plan::{Demand, Plan};
pub(crate) use streams::{Stream, StreamTable};
pub(crate) use terms::{Page, SegmentTerms};
