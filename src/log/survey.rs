//! Which files there are, what each is, and which of them make up the log.

use super::report::{Damage, DamageKind};
use crate::error::{Error, ErrorKind};
use crate::format::{
    FOOTER_LEN, Fault, Footer, Live, PREAMBLE_LEN, Preamble, PreambleFault, START_BATCH_LEN, is_blank,
};
use crate::position::{Place, Position};
use crate::segment::{
    Begun, FIRST_BATCH, FileNumber, LOG_DIR, ScannedSegment, Sealed, batches_end, decode_start, is_terms_name,
    parse_segment_name, read_whole, segment_name, segment_path,
};
use crate::storage::{Access, Entry, File, Storage};
use crate::sync::Arc;
use std::collections::BTreeMap;

/// Where the start record of a segment ends.
const START_END: u32 = FIRST_BATCH + START_BATCH_LEN as u32;

/// A file of the log.
pub(crate) struct Surveyed {
    pub(crate) number: FileNumber,
    pub(crate) state: FileState,
}

/// What a file of the log is.
pub(crate) enum FileState {
    /// Unstarted, and not even made ready.
    Unready,
    /// Unstarted, with nothing in it: the next writer may take it over.
    Blank(Preamble, Arc<dyn File>),
    /// Unstarted, with remains in it that no witness speaks of.
    Leftovers,
    /// It counts, if the chain of start records comes by it.
    Started(Started),
    /// Something is wrong with it. Where the preamble is legible, batches in it may be.
    Bad(Damage, Option<Legible>),
}

/// What can be read of a file with which something is wrong: its preamble, and perhaps its start record.
pub(crate) struct Legible {
    preamble: Preamble,
    file: Arc<dyn File>,
    begun: Option<Begun>,
    footer: Option<Footer>,
}

/// A segment with a valid start record.
#[derive(Clone)]
pub(crate) struct Started {
    pub(crate) preamble: Preamble,
    pub(crate) file: Arc<dyn File>,
    pub(crate) begun: Begun,
    /// Of one that compaction wrote.
    footer: Option<Footer>,
}

/// A derived file that verifies: it was written when the log was durable up to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) store: [u8; 16],
    pub(crate) durable: Place,
    /// The random id of the segment there.
    pub(crate) segment: [u8; 16],
}

impl Witness {
    /// Whether it speaks of this log, and of the segment that is there now, if one is.
    fn is_of(&self, store: Option<[u8; 16]>, heads: &[Head]) -> bool {
        let mut legible = heads.iter().filter_map(|head| head.preamble.as_ref().ok());
        let is_there = |preamble: &&Preamble| preamble.sequence == self.durable.segment;
        Some(self.store) == store && legible.find(is_there).is_none_or(|preamble| preamble.segment == self.segment)
    }
}

/// All files of a log, and what `live` says.
pub(crate) struct Survey {
    pub(crate) files: BTreeMap<u32, Surveyed>,
    /// Files that compaction did not finish: what they were to stand for is still there.
    pub(crate) unfinished: Vec<FileNumber>,
    /// The store's id; `None` where no file tells it.
    pub(crate) store: Option<[u8; 16]>,
    /// What `live` says, if it verifies and is of this store.
    pub(crate) live: Option<Live>,
    /// The furthest offset of each segment that is named as durable by a derived file, or by batch headers in files
    /// without a valid start record.
    named: BTreeMap<u32, u32>,
    /// The log is so large that what is known of it is not read.
    pub(crate) is_quick: bool,
    pub(crate) notes: Vec<String>,
    /// Bytes of all files in the directory of the log.
    pub(crate) disk_bytes: u64,
}

impl Survey {
    /// Looks at every file and changes none. An error of the operating system is neither an end nor damage: the survey
    /// fails with it.
    pub(crate) fn take(
        storage: &dyn Storage,
        live: Option<Live>,
        witness: Option<&Witness>,
        (access, verify_max): (Access, u64),
    ) -> Result<Survey, Error> {
        let entries = storage.list(LOG_DIR).map_err(|error| Error::io("listing the segments of the log", error))?;
        let mut survey = Survey {
            files: BTreeMap::new(),
            unfinished: Vec::new(),
            store: None,
            live,
            named: BTreeMap::new(),
            is_quick: false,
            notes: Vec::new(),
            disk_bytes: 0,
        };
        let (mut found, mut segment_bytes) = (Vec::new(), 0_u64);
        for entry in entries {
            survey.disk_bytes += entry.len;
            match parse_segment_name(&entry.name) {
                Some(number) => {
                    segment_bytes += entry.len;
                    found.push((number, entry));
                }
                // Derived: whoever looks things up knows what it is worth.
                None if is_terms_name(&entry.name) && entry.is_file => {}
                None => survey.notes.push(format!("unknown file in the log: {}", entry.name.escape_debug())),
            }
        }
        survey.is_quick = verify_max < segment_bytes;
        let mut buffer = Vec::new();
        let mut heads = Vec::new();
        // IMPORTANT: compaction removes a file only when the one that stands for it is durable, and that of the last number
        // first. So as long as that is there, all of them are, and count.
        found.sort_by_key(|(number, _)| *number);
        let mut last = 0;
        found.retain(|(number, _)| {
            let is_first = std::mem::replace(&mut last, number.sequence) != number.sequence;
            if !is_first {
                survey.unfinished.push(*number);
            }
            is_first
        });
        for (number, entry) in &found {
            let head = look_at_head(storage, *number, entry, access)?;
            heads.push(head);
        }
        let legible = heads.iter().filter_map(|head| head.preamble.as_ref().ok());
        survey.store = live.map(|live| live.store).filter(|store| legible.clone().any(|p| p.store == *store));
        // Where `live` does not say whose log this is, most of its files do: a single strange one must not make strangers of
        // all others.
        let votes = |store: [u8; 16]| legible.clone().filter(|preamble| preamble.store == store).count();
        survey.store =
            survey.store.or_else(|| legible.clone().map(|preamble| preamble.store).max_by_key(|store| votes(*store)));
        survey.live = live.filter(|live| survey.store.is_none_or(|store| store == live.store));
        if live.is_some() && survey.live.is_none() {
            survey.notes.push("the file `live` is of another store and was ignored".to_owned());
        }
        if let Some(witness) = witness.filter(|witness| witness.is_of(survey.store, &heads)) {
            survey.named.insert(witness.durable.segment, witness.durable.offset);
        }
        // From the last one down: what stands in a file may prove something about those before it.
        for ((number, entry), head) in found.iter().zip(heads).rev() {
            let state = survey.judge_file(*number, entry, head, &mut buffer)?;
            survey.files.insert(number.sequence, Surveyed { number: *number, state });
        }
        Ok(survey)
    }

    fn judge_file(
        &mut self,
        number: FileNumber,
        entry: &Entry,
        head: Head,
        buffer: &mut Vec<u8>,
    ) -> Result<FileState, Error> {
        let sequence = number.sequence;
        let place = Place { segment: sequence, offset: 0 };
        let bad = |kind, detail: &str| FileState::Bad(Damage::new(kind, place, detail), None);
        let Some(file) = head.file else {
            return Ok(bad(DamageKind::Misplaced, "its file is not a regular file"));
        };
        let preamble = match head.preamble {
            Ok(preamble) => preamble,
            Err(PreambleFault::Newer { format }) => {
                let act = format!("opening {}: it has format {format}, this version knows 1", segment_name(number));
                return Err(Error::new(ErrorKind::TooNew, act));
            }
            Err(PreambleFault::Blank | PreambleFault::Unreadable) => {
                self.read(&*file, number, entry.len, buffer)?;
                let behind = buffer.get(PREAMBLE_LEN..).unwrap_or_default();
                let is_unready = is_blank(behind) && number.generation == 0;
                return Ok(if is_unready {
                    FileState::Unready
                } else {
                    bad(DamageKind::Unreadable, "its preamble does not verify")
                });
            }
        };
        let itself = FileNumber::from(&preamble);
        if itself != number {
            let detail = format!("the file is segment {} by its own account", itself.sequence);
            return Ok(bad(DamageKind::Misplaced, &detail));
        }
        if Some(preamble.store) != self.store {
            return Ok(bad(DamageKind::Misplaced, "the file belongs to another store"));
        }
        let size = u64::from(preamble.size);
        if size < crate::options::SEGMENT_BYTES_MIN.into() || !size.is_multiple_of(512) {
            return Ok(bad(DamageKind::Misplaced, "its preamble says a size that is never made"));
        }
        let is_short = entry.len < size;
        if size < entry.len {
            self.notes.push(format!("{} is longer than it was made", segment_name(number)));
        }
        let footer = match preamble.rewritten {
            Some(_) => self.read_footer(&*file, &preamble)?,
            None => None,
        };
        match decode_start(&head.bytes, &preamble) {
            Ok(begun) if !is_short => return Ok(FileState::Started(Started { preamble, file, begun, footer })),
            Err(Fault::Newer) => {
                let act = format!("opening {}: its start record is of a newer version", segment_name(number));
                return Err(Error::new(ErrorKind::TooNew, act));
            }
            Ok(begun) => {
                let detail = format!("the file has {} bytes of the {size} it was made with", entry.len);
                let place = Place { segment: sequence, offset: entry.len as u32 };
                let legible = Legible { preamble, file, begun: Some(begun), footer };
                return Ok(FileState::Bad(Damage::new(DamageKind::Missing, place, detail), Some(legible)));
            }
            Err(_) if preamble.rewritten.is_some() => {
                let place = Place { segment: sequence, offset: FIRST_BATCH };
                let damage = Damage::new(DamageKind::Unreadable, place, "its start record does not verify");
                let legible = Legible { preamble, file, begun: None, footer };
                return Ok(FileState::Bad(damage, Some(legible)));
            }
            Err(_) => {}
        }
        // Made ready ahead by whoever closed the log, which says that nothing was done since.
        let is_vouched_for =
            self.live.is_some_and(|live| live.state.is_closed() && live.durable_end.segment < sequence);
        let is_untouched = head.bytes.get(PREAMBLE_LEN..).is_some_and(is_blank);
        if is_vouched_for && is_untouched && !is_short && self.is_quick {
            return Ok(FileState::Blank(preamble, file));
        }
        // No valid start record: unstarted, unless a witness names a place in it.
        self.read(&*file, number, entry.len, buffer)?;
        let scanned = ScannedSegment { bytes: buffer, base: 0, salt: preamble.salt(), sequence, size: preamble.size };
        for durable in scanned.ends_named_behind(0) {
            let furthest = self.named.entry(durable.segment).or_default();
            *furthest = durable.offset.max(*furthest);
        }
        // A footer is written when the segment and the start of the next are durable.
        match scanned.footer() {
            Ok(footer) => {
                let furthest = self.named.entry(sequence).or_default();
                *furthest = footer.end.max(START_END).max(*furthest);
            }
            Err(Fault::Newer) => {
                let act = format!("opening {}: its footer is of a newer version", segment_name(number));
                return Err(Error::new(ErrorKind::TooNew, act));
            }
            Err(_) => {}
        }
        if self.proven_in(sequence).is_some() {
            let place = Place { segment: sequence, offset: FIRST_BATCH };
            let damage =
                Damage::new(DamageKind::Unreadable, place, "its start record does not verify, and was durable");
            return Ok(FileState::Bad(damage, Some(Legible { preamble, file, begun: None, footer: None })));
        }
        let behind = buffer.get(PREAMBLE_LEN..).unwrap_or_default();
        Ok(match is_blank(behind) {
            true if is_short => FileState::Unready,
            true => FileState::Blank(preamble, file),
            false => FileState::Leftovers,
        })
    }

    /// The furthest end in a segment that is proven from outside: by `live`, or by batch headers in files without a valid
    /// start record.
    pub(crate) fn proven_in(&self, sequence: u32) -> Option<u32> {
        let by_live = self.live.map(|live| live.durable_end).filter(|end| end.segment == sequence);
        let by_header = self.named.get(&sequence).copied();
        by_live.map(|end| end.offset).max(by_header).filter(|offset| FIRST_BATCH < *offset)
    }

    /// The last of those ends.
    fn last_proven(&self) -> Place {
        let by_live = self.live.map_or(Place::NONE, |live| live.durable_end);
        let by_header = self.named.last_key_value();
        by_header.map_or(Place::NONE, |(segment, offset)| Place { segment: *segment, offset: *offset }).max(by_live)
    }

    /// The footer of a segment that compaction wrote, if it verifies.
    fn read_footer(&self, file: &dyn File, preamble: &Preamble) -> Result<Option<Footer>, Error> {
        let mut bytes = vec![0; FOOTER_LEN];
        let at = batches_end(preamble.size);
        let act = |error| Error::io(format!("reading {}", segment_name(preamble)), error);
        let read = file.read_at(&mut bytes, at.into()).map_err(act)?;
        Ok(Footer::decode(&bytes[..read], preamble.salt()).ok())
    }

    fn read(&self, file: &dyn File, number: FileNumber, len: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let len = len.min(u64::from(u32::MAX)) as usize;
        read_whole(file, len, buffer).map_err(|error| Error::io(format!("reading {}", segment_name(number)), error))
    }

    /// The segments of the log, first to last, as the chain of start records names them from the last one down; and the
    /// damage that was met. Each comes with the end its successor fixed; the last has none. Where the chain breaks, it
    /// goes on with the next lower file in which anything may be legible.
    pub(crate) fn chain(&self) -> Chain {
        let mut damage = Vec::new();
        let mut links = Vec::new();
        let mut is_end_lost = false;
        let top = self.files.values().rev().find_map(|file| self.link(file, None));
        let proven = self.last_proven();
        if top.as_ref().map_or(0, Link::sequence) < proven.segment {
            damage.push(Damage::new(DamageKind::Missing, proven, "the log was durable up to here"));
            is_end_lost = true;
        }
        for file in self.files.values().rev() {
            if let (FileState::Bad(found, None), true) =
                (&file.state, top.as_ref().is_none_or(|t| t.sequence() < file.number.sequence))
            {
                damage.push(found.clone());
                is_end_lost = true;
            }
        }
        // Of a file that was cut nobody knows how far it had reached.
        is_end_lost |= top.as_ref().is_some_and(|top| match self.files.get(&top.sequence()).map(|file| &file.state) {
            Some(FileState::Bad(found, _)) => found.kind == DamageKind::Missing,
            _ => false,
        });
        let mut next = top;
        while let Some(link) = next {
            if let Some(FileState::Bad(found, _)) = self.files.get(&link.sequence()).map(|file| &file.state) {
                damage.push(found.clone());
            }
            // What it stands for may not have been removed yet.
            let lower = self.files.range(..link.preamble.stands_from()).rev();
            next = match link.begun.map(|begun| begun.start) {
                Some(start) if start.previous_end == Place::NONE => None,
                Some(start) => {
                    let named = self
                        .files
                        .get(&start.previous_end.segment)
                        .filter(|file| file.number.sequence < link.sequence());
                    let end = start.previous_end.offset;
                    let named_link = named.and_then(|file| self.link(file, Some((end, start.previous_checksum))));
                    if named_link.is_none() {
                        damage.push(match named.map(|file| &file.state) {
                            Some(FileState::Bad(found, None)) => found.clone(),
                            _ => {
                                let place = Place { segment: start.previous_end.segment, offset: 0 };
                                Damage::new(DamageKind::Missing, place, "the whole segment is not there")
                            }
                        });
                    }
                    let below = start.previous_end.segment.min(link.preamble.stands_from());
                    named_link.or_else(|| self.files.range(..below).rev().find_map(|(_, file)| self.link(file, None)))
                }
                None => lower.map(|(_, file)| file).find_map(|file| self.link(file, None)),
            };
            links.push(link);
        }
        links.reverse();
        Chain { links, damage, is_end_lost }
    }

    fn link(&self, file: &Surveyed, fixed: Option<(u32, u32)>) -> Option<Link> {
        let (preamble, file, begun, footer) = match &file.state {
            FileState::Started(started) => (started.preamble, &started.file, Some(started.begun), started.footer),
            FileState::Bad(_, Some(legible)) => (legible.preamble, &legible.file, legible.begun, legible.footer),
            _ => return None,
        };
        // Of one that compaction wrote its successor names another end, that it had before.
        let own = footer.map(|footer| Sealed::by_footer(&preamble, &footer));
        let own = own.map(|sealed| (sealed.end, sealed.last_checksum));
        let fixed_end = if preamble.rewritten.is_some() { own } else { fixed };
        Some(Link { preamble, file: file.clone(), begun, fixed_end, footer })
    }

    /// The number for the next segment to be made: higher than any there is.
    pub(crate) fn next_sequence(&self) -> Result<u32, Error> {
        let highest = self.files.keys().next_back().copied().unwrap_or(0);
        let highest = highest.max(self.live.map_or(0, |live| live.durable_end.segment));
        highest.checked_add(1).ok_or_else(|| Error::new(ErrorKind::TooLarge, "no number is left for another segment"))
    }
}

/// The segments that make up a log, first to last.
pub(crate) struct Chain {
    pub(crate) links: Vec<Link>,
    pub(crate) damage: Vec<Damage>,
    /// Some of the damage lies behind the last of them, and how much is missing there is not known.
    pub(crate) is_end_lost: bool,
}

/// A segment of the log, as the chain names it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) preamble: Preamble,
    pub(crate) file: Arc<dyn File>,
    /// What its start record says; `None` where that is damaged.
    pub(crate) begun: Option<Begun>,
    /// Where it ends and the checksum of its last batch, as its successor says; or its own footer, if compaction wrote it.
    pub(crate) fixed_end: Option<(u32, u32)>,
    /// Of one that compaction wrote.
    pub(crate) footer: Option<Footer>,
}

impl Link {
    pub(crate) fn sequence(&self) -> u32 {
        self.preamble.sequence
    }

    /// How it ended, as its successor says.
    pub(crate) fn sealed(&self) -> Option<Sealed> {
        self.fixed_end.map(|(end, last_checksum)| Sealed::new(&self.preamble, end, last_checksum))
    }

    /// The position of its first event, as far as its start record says.
    pub(crate) fn first_position(&self) -> Option<Position> {
        self.begun.map(|begun| begun.start.first_position)
    }
}

/// The beginning of a segment file.
struct Head {
    file: Option<Arc<dyn File>>,
    preamble: Result<Preamble, PreambleFault>,
    bytes: Vec<u8>,
}

fn look_at_head(storage: &dyn Storage, number: FileNumber, entry: &Entry, access: Access) -> Result<Head, Error> {
    if !entry.is_file {
        return Ok(Head { file: None, preamble: Err(PreambleFault::Unreadable), bytes: Vec::new() });
    }
    let act = || format!("reading {}", segment_path(number));
    let file = storage.open(&segment_path(number), access);
    let file = file.map_err(|error| Error::io(act(), error))?;
    let mut bytes = vec![0; PREAMBLE_LEN + START_BATCH_LEN];
    let read = file.read_at(&mut bytes, 0).map_err(|error| Error::io(act(), error))?;
    bytes.truncate(read);
    Ok(Head { preamble: Preamble::decode(&bytes), file: Some(file), bytes })
}
