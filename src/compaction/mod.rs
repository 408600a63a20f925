//! Compaction: sealed segments are written anew without what may go, and small ones are made one.
//!
//! ```text
//! judge    what goes and what stays, and why: a pure function of what was decided
//! plan     what that comes to, segment by segment and stream by stream; planned is what it gives
//! apply    doing it, one row of segments after the other
//! pace     how fast that goes
//! policy, background   when a store does it by itself
//! ```
//!
//! What a rule lets go at the beginning of a stream is truncated first: that is a fact in the log, so a read that asks for less
//! is told with which version the stream begins, whatever segment holds it.

mod apply;
mod background;
mod judge;
mod pace;
mod plan;
mod planned;
mod policy;

pub use apply::{Compacted, CompactionProgress};
pub use background::BackgroundCompaction;
pub use judge::{Going, Staying};
pub use plan::Compaction;
pub use planned::{CompactionPlan, LeftBecause, SegmentAct, SegmentPlan, StreamPlan};
pub use policy::CompactionPolicy;
