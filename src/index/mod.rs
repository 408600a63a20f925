//! What is found fast because it is remembered: rebuilt from the log whenever we like.

mod holes;
mod places;
mod streams;

pub(crate) use holes::{Hole, HoleKind, Holes};
pub(crate) use streams::{Stream, StreamTable};
