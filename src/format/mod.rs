//! The bytes of the log: slices in, values out. No file, clock, thread or randomness.
//!
//! `FORMAT.md` beside this file is the specification; the constants here are the same page again, and a test
//! holds the two together. Bytes are checked first and interpreted second: bounds, checksums, then fields.

mod batch;
mod body;
mod buffer;
mod consumer;
mod control;
mod event;
mod fact;
mod field;
mod footer;
mod keep;
mod key;
mod live;
mod preamble;
mod quota;
mod record;
mod stream;
mod term;

pub(crate) use batch::{BATCH_HEADER_LEN, BatchHeader, BatchView, find_batch_header};
pub(crate) use buffer::{BatchBuffer, Offsets, Stamp};
pub(crate) use consumer::{Checkpoint, CheckpointAct, ConsumerDeed, ConsumerFact, ParkedFact, ParkedState};
pub(crate) use control::{
    CONTROL_BATCH_LEN, Loss, Range, SESSION_BATCH_LEN, START_BATCH_LEN, Start, decode_session, encode_session,
};
pub(crate) use event::{codec_byte, codec_from_byte, decode_event};
pub(crate) use fact::Fact;
pub(crate) use field::{Field, Salt, is_blank};
pub(crate) use footer::{FOOTER_LEN, Footer};
pub(crate) use keep::{KeepDeed, KeepFact};
pub(crate) use key::KeyFact;
pub(crate) use live::{LIVE_LEN, Live, LiveState};
pub(crate) use preamble::{PREAMBLE_LEN, Preamble, PreambleFault, Rewritten};
pub(crate) use quota::QuotaFact;
pub(crate) use record::{Kind, RECORD_HEADER_LEN, RecordHeader, RecordView};
pub(crate) use stream::{Carried, StreamDeed, StreamFact};
pub(crate) use term::{BatchTerms, Term, TermHasher};

/// The number of the format this crate writes.
pub(crate) const FORMAT: u16 = 1;

/// Disks write sectors of this many bytes, each old or new and never a mixture. What is written for itself
/// (preamble, footer, the slots of `live`) has sectors of its own.
pub(crate) const SECTOR: usize = 512;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Too short, a length over its maximum, or a checksum that does not hold.
    Unreadable,
    /// Everything verifies, and a kind or a format is not known.
    Newer,
    /// Everything verifies, and the fields make no sense together.
    Senseless,
}

#[cfg(test)]
mod tests {
    use super::field::Field;
    use super::*;

    /// The rows `| offset | size | name |` of the table under a heading of `FORMAT.md`.
    fn documented(heading: &str) -> Vec<(usize, usize, String)> {
        let page = include_str!("FORMAT.md");
        let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect(heading);
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = section.lines().map(cells).filter(|cells| 4 < cells.len());
        rows.filter_map(|cells| Some((cells[1].parse().ok()?, cells[2].parse().ok()?, cells[3].clone()))).collect()
    }

    #[test]
    fn the_page_and_the_constants_agree() {
        let pairs: [(&str, &[Field]); 19] = [
            ("Preamble", preamble::LAYOUT),
            ("Batch header", batch::LAYOUT),
            ("Record header", record::LAYOUT),
            ("Start record", control::START_LAYOUT),
            ("Session record", control::SESSION_LAYOUT),
            ("Checkpoint record", consumer::layout::CHECKPOINT),
            ("Parked record", consumer::layout::PARKED),
            ("Tombstone record", stream::layout::TOMBSTONE),
            ("Truncate record", stream::layout::TRUNCATE),
            ("Delete record", stream::layout::DELETE),
            ("Undelete record", stream::layout::UNDELETE),
            ("Stream metadata record", stream::layout::METADATA),
            ("Hold record", keep::layout::HOLD),
            ("Retention record", keep::layout::RETENTION),
            ("Quota record", quota::layout::QUOTA),
            ("Removed record", control::REMOVED_LAYOUT),
            ("Lost record", control::LOST_LAYOUT),
            ("Footer", footer::LAYOUT),
            ("Slots of `live`", live::LAYOUT),
        ];
        for (heading, layout) in pairs {
            let fields: Vec<_> = layout.iter().map(|f| (f.offset, f.size, f.name.to_owned())).collect();
            assert_eq!(documented(heading), fields, "{heading}");
        }
        for kind in Kind::ALL {
            let row = format!("| {} | `{}` |", kind as u8, kind.name());
            assert!(include_str!("FORMAT.md").contains(&row), "FORMAT.md has no row {row}");
        }
    }
}
