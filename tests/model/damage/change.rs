//! What can happen to the files of a store, numbered: for each kind of change, how many there are of a subject, and the
//! n-th of them.

use super::super::chance::{Chance, Choices};
use super::layout::{Files, SECTOR, segment_path};
use super::subject::Subject;
use std::fmt;

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    BitFlipped,
    FileCut,
    SectorZeroed,
    SectorGarbled,
    SectorsSwapped,
    SectorDoubled,
    RecordMoved,
    BatchMoved,
    SegmentMoved,
    FileLost,
    /// By a link or a directory. On the real disk only, and not numbered.
    FileReplaced,
    /// 2 to 5 changes of any kind at once.
    Several,
}

impl Kind {
    pub(crate) const SINGLE: [Kind; 10] = [
        Kind::BitFlipped,
        Kind::FileCut,
        Kind::SectorZeroed,
        Kind::SectorGarbled,
        Kind::SectorsSwapped,
        Kind::SectorDoubled,
        Kind::RecordMoved,
        Kind::BatchMoved,
        Kind::SegmentMoved,
        Kind::FileLost,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::BitFlipped => "bit flipped",
            Kind::FileCut => "file cut",
            Kind::SectorZeroed => "sector zeroed",
            Kind::SectorGarbled => "sector garbled",
            Kind::SectorsSwapped => "sectors swapped",
            Kind::SectorDoubled => "sector doubled",
            Kind::RecordMoved => "record moved",
            Kind::BatchMoved => "batch moved",
            Kind::SegmentMoved => "segment moved",
            Kind::FileLost => "file lost",
            Kind::FileReplaced => "file replaced",
            Kind::Several => "several at once",
        }
    }

    /// How many changes of this kind there are of a subject, or of its log alone.
    pub(crate) fn count(self, subject: &Subject, is_log_only: bool) -> u64 {
        let files = || files(subject, is_log_only);
        let bytes: usize = files().map(|(_, bytes)| bytes.len()).sum();
        let sectors: usize = files().map(|(_, bytes)| bytes.len() / SECTOR).sum();
        let batches: usize = subject.layout.segments.iter().map(|segment| segment.batches.len()).sum();
        let count = match self {
            Kind::BitFlipped => bytes * 8,
            Kind::FileCut => bytes,
            Kind::SectorZeroed => sectors,
            Kind::SectorGarbled => sectors * GARBLES,
            Kind::SectorsSwapped => sectors * (sectors - 1) / 2,
            Kind::SectorDoubled => sectors * sectors,
            Kind::RecordMoved => subject.layout.events.len() * RECORD_MOVES,
            Kind::BatchMoved => batches * BATCH_MOVES,
            Kind::SegmentMoved => segment_moves(subject, is_log_only),
            Kind::FileLost => files().count() * FILE_LOSSES,
            Kind::FileReplaced => 0,
            Kind::Several => usize::MAX,
        };
        count as u64
    }

    /// The change of this kind with a number below the count.
    pub(crate) fn nth(self, subject: &Subject, is_log_only: bool, number: u64) -> Change {
        let mut change = Change::default();
        let files = || files(subject, is_log_only);
        let index = number as usize;
        match self {
            Kind::BitFlipped => {
                let (path, byte) = locate(files(), index / 8);
                change.edits.push(Edit::Flip(path, byte, (index % 8) as u8));
            }
            Kind::FileCut => {
                let (path, len) = locate(files(), index);
                change.edits.push(Edit::Cut(path, len));
            }
            Kind::SectorZeroed => {
                let (path, at) = sector(files(), index);
                change.edits.push(Edit::Put(path, at, vec![0; SECTOR]));
            }
            Kind::SectorGarbled => {
                let (path, at) = sector(files(), index / GARBLES);
                let bytes = garbled(&subject.files[&path][at..at + SECTOR], index);
                change.edits.push(Edit::Put(path, at, bytes));
            }
            Kind::SectorsSwapped => {
                let (a, b) = pair(index);
                change.swap(subject, sector(files(), a), sector(files(), b), SECTOR, SECTOR);
            }
            Kind::SectorDoubled => {
                let sectors = files().map(|(_, bytes)| bytes.len() / SECTOR).sum::<usize>();
                let (from, to) = (sector(files(), index % sectors), sector(files(), index / sectors));
                change.edits.push(Edit::Put(to.0, to.1, subject.files[&from.0][from.1..from.1 + SECTOR].to_vec()));
            }
            Kind::RecordMoved => change.move_record(subject, index / RECORD_MOVES, index % RECORD_MOVES),
            Kind::BatchMoved => change.move_batch(subject, index / BATCH_MOVES, index % BATCH_MOVES),
            Kind::SegmentMoved => change.move_segment(subject, index, is_log_only),
            Kind::FileLost => {
                let (path, bytes) = files().nth(index / FILE_LOSSES).expect("the number is below the count");
                change.lose_file(path, bytes, index % FILE_LOSSES);
            }
            Kind::FileReplaced => unreachable!("it is not numbered"),
            Kind::Several => {
                let mut chance = Chance(number);
                for _ in 0..2 + chance.below(4) {
                    let kind = *chance.pick(&Kind::SINGLE);
                    // In every other bundle `live` may be hit too.
                    let is_log_only = number % 2 == 1;
                    let nth = chance.next() % kind.count(subject, is_log_only);
                    change.edits.extend(kind.nth(subject, is_log_only, nth).edits);
                }
            }
        }
        change
    }
}

/// What happens to the files, one edit after the other.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(crate) edits: Vec<Edit>,
}

#[derive(Clone)]
pub(crate) enum Edit {
    Flip(String, usize, u8),
    Cut(String, usize),
    /// These bytes at this place, as far as the file reaches.
    Put(String, usize, Vec<u8>),
    /// The whole file, or none.
    Replace(String, Option<Vec<u8>>),
}

impl Edit {
    fn path(&self) -> &str {
        match self {
            Edit::Flip(path, ..) | Edit::Cut(path, _) | Edit::Put(path, ..) | Edit::Replace(path, _) => path,
        }
    }
}

/// The files that are not what they were: their new bytes, or none.
pub(crate) type Changed = Vec<(String, Option<Vec<u8>>)>;

impl Change {
    /// The files that this changes, as they are afterwards.
    pub(crate) fn make(&self, files: &Files) -> Changed {
        let mut changed: Changed = Vec::new();
        for edit in &self.edits {
            let path = edit.path();
            let index = changed.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
                // What will be replaced as a whole need not be copied before.
                let before = if matches!(edit, Edit::Replace(..)) { None } else { files.get(path).cloned() };
                changed.push((path.to_owned(), before));
                changed.len() - 1
            });
            let file = &mut changed[index].1;
            match (edit, file.as_mut()) {
                (Edit::Replace(_, bytes), _) => file.clone_from(bytes),
                (Edit::Flip(_, byte, bit), Some(file)) => {
                    if let Some(byte) = file.get_mut(*byte) {
                        *byte ^= 1 << bit;
                    }
                }
                (Edit::Cut(_, len), Some(file)) => file.truncate(*len),
                (Edit::Put(_, at, bytes), Some(file)) => {
                    let to = file.len().min(at + bytes.len());
                    if let Some(there) = file.get_mut(*at..to) {
                        there.copy_from_slice(&bytes[..to - at]);
                    }
                }
                (_, None) => {}
            }
        }
        changed
    }

    /// The file `live` goes too.
    pub(crate) fn lose_live(&mut self) {
        self.edits.push(Edit::Replace("live".to_owned(), None));
    }

    fn swap(&mut self, subject: &Subject, a: (String, usize), b: (String, usize), a_len: usize, b_len: usize) {
        let bytes = |(path, at): &(String, usize), len: usize| subject.files[path][*at..at + len].to_vec();
        let (from, to) = (bytes(&a, a_len), bytes(&b, b_len));
        self.edits.push(Edit::Put(a.0, a.1, to));
        self.edits.push(Edit::Put(b.0, b.1, from));
    }

    fn move_record(&mut self, subject: &Subject, index: usize, how: usize) {
        let layout = &subject.layout;
        let record = |index: usize| {
            let event = &layout.events[index];
            (layout.segments[event.segment].path.clone(), event.record.clone())
        };
        let (path, range) = record(index);
        let bytes = subject.files[&path][range.clone()].to_vec();
        if how == RECORD_MOVES - 1 {
            // The same bytes of another store.
            if let Some(foreign) = subject.foreign.get(&path).and_then(|file| file.get(range.clone())) {
                self.edits.push(Edit::Put(path, range.start, foreign.to_vec()));
            }
            return;
        }
        // Another of the same length where there is one, so that the rest of its batch stands where it stood.
        let mut chance = Chance((index * RECORD_MOVES + how) as u64);
        let others = layout.events.len();
        let begin = chance.below(others);
        let is_like = |other: &usize| layout.events[*other].record.len() == range.len() && *other != index;
        let alike = (begin..others).chain(0..begin).find(is_like).filter(|_| how != 0);
        let (other_path, other) = record(alike.unwrap_or(begin));
        let other_bytes = subject.files[&other_path][other.clone()].to_vec();
        if how.is_multiple_of(2) {
            self.edits.push(Edit::Put(path, range.start, other_bytes));
        }
        self.edits.push(Edit::Put(other_path, other.start, bytes));
    }

    fn move_batch(&mut self, subject: &Subject, index: usize, how: usize) {
        let all =
            || subject.layout.segments.iter().flat_map(|segment| segment.batches.iter().map(move |b| (segment, b)));
        let (segment, batch) = all().nth(index).expect("the number is below the count");
        let (path, file) = (segment.path.clone(), &subject.files[&segment.path]);
        let range = batch.range.clone();
        let bytes = file[range.clone()].to_vec();
        let end = segment.batches.last().map_or(SECTOR, |last| last.range.end);
        match how {
            // Again behind the end of its segment, as if it had been appended twice.
            0 => self.edits.push(Edit::Put(path, end, bytes)),
            // Gone, and the rest has moved up.
            1 => {
                let mut moved = file[range.end..end].to_vec();
                moved.resize(end - range.start, 0);
                self.edits.push(Edit::Put(path, range.start, moved));
            }
            // The rest has moved down by a little.
            2 => self.edits.push(Edit::Put(path, range.start, [&[0; 8][..], &file[range.start..end]].concat())),
            // It and the one behind it have changed places.
            3 => {
                let behind = segment.batches.iter().find(|behind| behind.range.start == range.end);
                let behind = behind.map_or(range.end..range.end, |behind| behind.range.clone());
                self.edits.push(Edit::Put(path, range.start, [&file[behind], &bytes].concat()));
            }
            // In another segment, where it stood in its own.
            4 => {
                let other = &subject.layout.segments[(index + 1) % subject.layout.segments.len()];
                self.edits.push(Edit::Put(other.path.clone(), range.start, bytes));
            }
            // In the place of another.
            5 => {
                let count = all().count();
                let (segment, other) = all().nth((index * 7 + 3) % count).expect("it is below the count");
                self.edits.push(Edit::Put(segment.path.clone(), other.range.start, bytes));
            }
            // The same bytes of another store.
            6 => {
                if let Some(foreign) = subject.foreign.get(&path).and_then(|file| file.get(range.clone())) {
                    self.edits.push(Edit::Put(path, range.start, foreign.to_vec()));
                }
            }
            // It and everything behind it never reached the disk.
            _ => self.edits.push(Edit::Put(path, range.start, vec![0; end - range.start])),
        }
    }

    fn move_segment(&mut self, subject: &Subject, index: usize, is_log_only: bool) {
        let segments = &subject.layout.segments;
        let last = segments.last().expect("a segment").sequence;
        let bytes = |index: usize| Some(subject.files[&segments[index].path].clone());
        let path = |index: usize| segments[index].path.clone();
        let count = segments.len();
        let free = [last + 1, last + 7].map(segment_path);
        let mut put = |path: String, bytes: Option<Vec<u8>>| self.edits.push(Edit::Replace(path, bytes));
        let (pairs, singles) = (count * count * 2, count * SEGMENT_MOVES);
        if index < pairs {
            let (from, to, is_swap) = (index / 2 / count, index / 2 % count, index % 2 == 1);
            put(path(to), bytes(from));
            if is_swap {
                put(path(from), bytes(to));
            }
        } else if index < pairs + singles {
            let (segment, how) = ((index - pairs) / SEGMENT_MOVES, (index - pairs) % SEGMENT_MOVES);
            let foreign = subject.foreign.get(&path(segment)).cloned();
            match how {
                0 | 1 => put(free[how].clone(), bytes(segment)),
                2 | 3 => {
                    put(path(segment), None);
                    put(free[how - 2].clone(), bytes(segment));
                }
                4 => put(path(segment), foreign),
                _ => put(free[0].clone(), foreign),
            }
        } else {
            assert!(!is_log_only, "only without `live` there are fewer");
            put("live".to_owned(), subject.foreign.get("live").cloned());
        }
    }

    fn lose_file(&mut self, path: &str, bytes: &[u8], how: usize) {
        let bytes = match how {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(vec![0; bytes.len()]),
            3 => Some(random(bytes.len(), 1)),
            // Twice in one.
            4 => Some([bytes, bytes].concat()),
            // Under a name that nobody knows.
            _ => {
                self.edits.push(Edit::Replace(format!("{path}.old"), Some(bytes.to_vec())));
                return;
            }
        };
        self.edits.push(Edit::Replace(path.to_owned(), bytes));
    }
}

const GARBLES: usize = 4;
const RECORD_MOVES: usize = 9;
const BATCH_MOVES: usize = 8;
const SEGMENT_MOVES: usize = 6;
const FILE_LOSSES: usize = 6;

fn segment_moves(subject: &Subject, is_log_only: bool) -> usize {
    let segments = subject.layout.segments.len();
    segments * segments * 2 + segments * SEGMENT_MOVES + usize::from(!is_log_only)
}

/// The files a change may hit.
fn files(subject: &Subject, is_log_only: bool) -> impl Iterator<Item = (&str, &[u8])> {
    let files = subject.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    files.filter(move |(path, _)| !is_log_only || path.starts_with("log/"))
}

/// The file and the place in it where the n-th of all bytes stands.
fn locate<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, mut index: usize) -> (String, usize) {
    for (path, bytes) in files {
        if index < bytes.len() {
            return (path.to_owned(), index);
        }
        index -= bytes.len();
    }
    panic!("there are fewer bytes than that");
}

/// The file and the place in it where the n-th of all sectors begins.
fn sector<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, index: usize) -> (String, usize) {
    let whole = files.map(|(path, bytes)| (path, &bytes[..bytes.len() / SECTOR * SECTOR]));
    locate(whole, index * SECTOR)
}

/// The n-th pair of numbers of which the first is the higher one.
fn pair(index: usize) -> (usize, usize) {
    let mut high = ((2 * index) as f64).sqrt() as usize;
    while index < high * high.saturating_sub(1) / 2 {
        high -= 1;
    }
    while (high + 1) * high / 2 <= index {
        high += 1;
    }
    (high, index - high * (high - 1) / 2)
}

fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut chance = Chance(seed);
    (0..len).map(|_| chance.next() as u8).collect()
}

fn garbled(sector: &[u8], index: usize) -> Vec<u8> {
    let noise = random(SECTOR, index as u64);
    let half = SECTOR / 2;
    match index % GARBLES {
        0 => noise,
        1 => vec![0xFF; SECTOR],
        2 => [&noise[..half], &sector[half..]].concat(),
        _ => [&sector[..half], &[0; SECTOR / 2][..]].concat(),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, edit) in self.edits.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match edit {
                Edit::Flip(path, byte, bit) => write!(f, "{separator}bit {bit} of byte {byte} of {path} flipped")?,
                Edit::Cut(path, len) => write!(f, "{separator}{path} cut at {len}")?,
                Edit::Put(path, at, bytes) => {
                    write!(f, "{separator}{} bytes put at {at} of {path}", bytes.len())?;
                }
                Edit::Replace(path, Some(bytes)) => write!(f, "{separator}{path} replaced by {} bytes", bytes.len())?,
                Edit::Replace(path, None) => write!(f, "{separator}{path} removed")?,
            }
        }
        Ok(())
    }
}
