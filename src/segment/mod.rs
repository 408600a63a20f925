//! One file of the log: its name, how it is made ready, how it is scanned and how events are read from it.

mod batches;
mod cursor;
mod maker;
mod name;
mod reader;
mod scan;
mod sealed;

pub(crate) use batches::Batches;
pub(crate) use cursor::{Cursor, Passed};
pub(crate) use maker::{MakeFailure, make_ready};
pub(crate) use name::{
    FileNumber, LOG_DIR, is_terms_name, parse_segment_name, parse_terms_name, segment_name, segment_path, terms_path,
};
pub(crate) use reader::{Chunk, Mark, Segment};
pub(crate) use scan::{Begun, Found, ScannedSegment, decode_start, read_whole};
pub(crate) use sealed::{KnownSegment, Sealed};

use crate::format::{CONTROL_BATCH_LEN, FOOTER_LEN, PREAMBLE_LEN};

/// The offset of the first batch of a segment.
pub(crate) const FIRST_BATCH: u32 = PREAMBLE_LEN as u32;

/// The offset behind the last byte that batches of a segment of this size may take.
pub(crate) fn batches_end(size: u32) -> u32 {
    size - FOOTER_LEN as u32
}

/// The same for batches with events: a watermark and a close record must always find room behind them.
pub(crate) fn events_end(size: u32) -> u32 {
    batches_end(size) - 2 * CONTROL_BATCH_LEN as u32
}
