//! What is found fast because it is remembered: rebuilt from the log whenever we like.

mod blocks;
mod body;
mod check;
mod columns;
mod filter;
mod groups;
mod growing;
mod holes;
mod lookup;
mod names;
mod packed;
mod packing;
mod part;
mod plan;
mod postings;
mod rows;
mod saved;
mod sought;
mod streams;
mod terms;
mod terms_file;
mod varint;

pub(crate) use check::{derived_bytes, doubtful, forget};
pub(crate) use columns::SavedStreams;
pub(crate) use groups::{Candidates, filters};
pub(crate) use holes::{Hole, HoleKind, Holes};
pub(crate) use lookup::{Derived, Lookup, TermIndex};
pub(crate) use part::{Before, Step, StreamPart};
pub(crate) use plan::{Demand, Plan};
pub(crate) use saved::{SavedTable, Spot};
pub(crate) use streams::{Extent, Stream, StreamTable};
pub(crate) use terms::{Page, SegmentTerms};
pub(crate) use terms_file::Shelf;
