//! The file of a segment's terms: derived from the segment, written beside it, and never trusted.
//!
//! ```text
//! header      512 bytes, see below
//! marks       24 bytes a mark: the next position (8), the time (8), the offset (4), 0 (4)
//! sums        4 bytes for each 16 KiB of what follows
//! terms       see `packed`
//! ```
//!
//! It is not synced. Whatever a crash leaves of it is told by the checksums, and what it holds is read from the segment then.

use super::blocks::{BLOCK, Blocks};
use super::groups::GROUPS;
use super::packed::{Packed, Sections};
use crate::format::{Field, Preamble};
use crate::options::ReadMode;
use crate::position::Position;
use crate::segment::{FileNumber, Mark, Sealed, terms_path};
use crate::storage::{Access, File, Storage};
use crate::sync::Arc;
use crate::time::Timestamp;
use std::io;

const HEADER_LEN: usize = 512;
const MARK_LEN: usize = 24;

const MAGIC: Field = Field::first(8, "magic");
const CHECKSUM: Field = MAGIC.then(4, "checksum");
const SEQUENCE: Field = CHECKSUM.then(4, "sequence");
const STORE: Field = SEQUENCE.then(16, "store id");
const SEGMENT: Field = STORE.then(16, "segment id");
const END: Field = SEGMENT.then(4, "end");
const LAST_CHECKSUM: Field = END.then(4, "last checksum");
const EVENTS: Field = LAST_CHECKSUM.then(8, "events");
const MARKS: Field = EVENTS.then(4, "marks");
const STREAMS: Field = MARKS.then(4, "streams");
const TERMS: Field = STREAMS.then(4, "terms");
const POSTINGS: Field = TERMS.then(4, "bytes of postings");
const FILTER: Field = POSTINGS.then(4, "bytes of the filter");
const GROUP_FILTERS: [Field; GROUPS] =
    [FILTER.then(4, "bytes of the filter of 8"), FILTER.then(4, "").then(4, "bytes of the filter of 64")];
const PADDING: Field = GROUP_FILTERS[GROUPS - 1].then(420, "padding");
const _: () = assert!(PADDING.end() == HEADER_LEN);

const MAGIC_BYTES: [u8; 8] = *b"SBTERMS3";

/// What a file of terms holds.
#[derive(Debug)]
pub(super) struct TermsFile {
    pub(super) packed: Packed,
    pub(super) marks: Vec<Mark>,
}

/// Where files of terms are, and how they are read.
#[derive(Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) mode: ReadMode,
}

/// Writes the terms of a segment beside it, in place of what was there; and gives them as they are read from there.
pub(super) fn write(
    shelf: &Shelf<'_>,
    sealed: &Sealed,
    marks: &[Mark],
    (packed, sections): (&[u8], Sections),
    groups: &[Vec<u8>; GROUPS],
) -> io::Result<Packed> {
    let sections = Sections { groups: groups.each_ref().map(Vec::len), ..sections };
    let Shelf { storage, mode } = *shelf;
    let base = base_of(marks.len(), &sections);
    let mut bytes = vec![0; HEADER_LEN];
    bytes.reserve_exact(base + sections.len() - HEADER_LEN);
    for mark in marks {
        bytes.extend_from_slice(&mark.position.get().to_le_bytes());
        bytes.extend_from_slice(&mark.time.nanos().to_le_bytes());
        bytes.extend_from_slice(&mark.offset.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    let sums_at = bytes.len();
    bytes.resize(base, 0);
    bytes.extend_from_slice(packed);
    groups.iter().for_each(|filter| bytes.extend_from_slice(filter));
    let sums: Vec<u32> = Blocks::sums(&bytes[base..]).collect();
    bytes[sums_at..base].chunks_exact_mut(4).zip(&sums).for_each(|(at, sum)| at.copy_from_slice(&sum.to_le_bytes()));
    MAGIC.put(&mut bytes, MAGIC_BYTES);
    SEQUENCE.put_u32(&mut bytes, sealed.number.sequence);
    STORE.put(&mut bytes, sealed.store);
    SEGMENT.put(&mut bytes, sealed.segment);
    END.put_u32(&mut bytes, sealed.end);
    LAST_CHECKSUM.put_u32(&mut bytes, sealed.last_checksum);
    EVENTS.put_u64(&mut bytes, sections.events as u64);
    for (field, count) in [(MARKS, marks.len()), (STREAMS, sections.streams), (TERMS, sections.terms)] {
        // A segment is no larger than this, and each takes a part of it.
        field.put_u32(&mut bytes, count as u32);
    }
    POSTINGS.put_u32(&mut bytes, sections.postings as u32);
    FILTER.put_u32(&mut bytes, sections.filter as u32);
    GROUP_FILTERS.iter().zip(sections.groups).for_each(|(field, len)| field.put_u32(&mut bytes, len as u32));
    let sum = crc32fast::hash(&bytes[CHECKSUM.end()..base]);
    CHECKSUM.put_u32(&mut bytes, sum);

    let path = terms_path(sealed.number);
    match storage.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = storage.create(&path)?;
    if let Err(error) = file.write_at(&bytes, 0) {
        // What stays is told by its checksums; it only takes room.
        let _ = storage.remove(&path);
        return Err(error);
    }
    in_file(file, mode, base, sections, sums)
}

/// The file of terms of a segment, if there is one that speaks of it as it is.
pub(super) fn open(shelf: &Shelf<'_>, sealed: &Sealed) -> Option<TermsFile> {
    let (file, mut header) = read_header(shelf, sealed.number)?;
    let sections = Sections {
        streams: STREAMS.u32(&header) as usize,
        terms: TERMS.u32(&header) as usize,
        postings: POSTINGS.u32(&header) as usize,
        filter: FILTER.u32(&header) as usize,
        groups: GROUP_FILTERS.map(|field| field.u32(&header) as usize),
        events: EVENTS.u64(&header) as usize,
    };
    let marks_end = HEADER_LEN + MARKS.u32(&header) as usize * MARK_LEN;
    let base = base_of(MARKS.u32(&header) as usize, &sections);
    // A record takes at least 64 bytes.
    let is_possible = sections.events <= sealed.end as usize / 64;
    if said(&header, sealed) != *sealed || !is_possible || file.len().ok()? < (base + sections.len()) as u64 {
        return None;
    }
    header.resize(base, 0);
    let is_whole = file.read_at(&mut header[HEADER_LEN..], HEADER_LEN as u64).ok()? == base - HEADER_LEN;
    if !is_whole || CHECKSUM.u32(&header) != crc32fast::hash(&header[CHECKSUM.end()..]) {
        return None;
    }
    let sum = |bytes: &[u8]| u32::from_le_bytes(*bytes.first_chunk().expect("chunks of four"));
    let sums = header[marks_end..].chunks_exact(4).map(sum).collect();
    let packed = in_file(file, shelf.mode, base, sections, sums).ok()?;
    let marks: Vec<Mark> = header[HEADER_LEN..marks_end].chunks_exact(MARK_LEN).map(mark).collect();
    let is_rising =
        marks.windows(2).all(|pair| pair[0].offset < pair[1].offset && pair[0].position <= pair[1].position);
    if !is_rising || marks.last().is_some_and(|last| sealed.end < last.offset) {
        return None;
    }
    Some(TermsFile { packed, marks })
}

/// The state of its segment that its file of terms says it speaks of. Nothing of that is verified.
pub(super) fn state_of(shelf: &Shelf<'_>, preamble: &Preamble) -> Option<Sealed> {
    let (_, header) = read_header(shelf, preamble.into())?;
    Some(said(&header, &Sealed::new(preamble, 0, 0)))
}

fn read_header(shelf: &Shelf<'_>, number: FileNumber) -> Option<(Arc<dyn File>, Vec<u8>)> {
    let file = shelf.storage.open(&terms_path(number), Access::Read).ok()?;
    let mut header = vec![0; HEADER_LEN];
    let is_whole = file.read_at(&mut header, 0).ok()? == HEADER_LEN;
    (is_whole && MAGIC.get(&header) == MAGIC_BYTES).then_some((file, header))
}

fn said(header: &[u8], asked: &Sealed) -> Sealed {
    Sealed {
        store: STORE.get(header),
        segment: SEGMENT.get(header),
        number: FileNumber { sequence: SEQUENCE.u32(header), ..asked.number },
        from: asked.from,
        end: END.u32(header),
        last_checksum: LAST_CHECKSUM.u32(header),
    }
}

/// Where the body begins, behind the header, the marks and the checksums of its blocks.
fn base_of(marks: usize, sections: &Sections) -> usize {
    HEADER_LEN + marks * MARK_LEN + 4 * sections.len().div_ceil(BLOCK)
}

fn in_file(file: Arc<dyn File>, mode: ReadMode, base: usize, sections: Sections, sums: Vec<u32>) -> io::Result<Packed> {
    let map = match mode {
        ReadMode::Mapped => file.map()?,
        ReadMode::Positioned => None,
    };
    file.retire();
    Ok(Packed::new(Blocks::in_file(file, map, base, sections.len(), sums), sections))
}

fn mark(bytes: &[u8]) -> Mark {
    let number = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().expect("a mark has three numbers"));
    Mark {
        position: Position::new(number(bytes)),
        time: Timestamp::from_nanos(number(&bytes[8..]) as i64),
        offset: number(&bytes[16..]) as u32,
    }
}
