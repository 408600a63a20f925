//! A directory written down in few bytes, as a fuzzer changes them: files are full of zeros that are not worth a byte.
//!
//! The first byte says what is made right afterwards, see [`Mend`]. What follows is content; `0xFE 0xED` and a letter
//! stand for what is not:
//!
//! | letter | then | stands for |
//! |---|---|---|
//! | `S` | number | the segment with this number begins, with a preamble; 255 is the highest there can be |
//! | `P` | bytes | what this preamble says, from its format number on |
//! | `R` | number | the same file without a preamble |
//! | `L` | | the file `live` begins |
//! | `K` | | the lock file begins |
//! | `N`, `T` | name, 0 | a file of this name begins, in the log or beside it |
//! | `D` | number | a directory with the name of this segment |
//! | `@` | two bytes | the next byte stands at 8 times this offset |
//! | `#` | two bytes | the file has 512 times so many bytes |
//! | `*` | number | the content since the last letter stands there so many times more |
//!
//! Content before any letter is that of segment 1, behind its preamble. Every other letter stands for itself.

#[cfg(test)]
use crate::layout::sequence_of;
use crate::layout::{SECTOR, SEGMENT_BYTES_MIN, plain, preamble, put, segment_path, u32_at};
use crate::seal::{self, Mend};
use scorebook::testing::SimulatedDisk;
use std::collections::{BTreeMap, BTreeSet};

const MARK: [u8; 2] = [0xFE, 0xED];
/// The longest file, and the most there are: what is read is bounded by what is there.
const FILE_BYTES_MAX: usize = 256 * 1024;
const FILES_MAX: usize = 12;

/// The files of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) directories: BTreeSet<String>,
}

/// A file that is being put together.
struct Draft {
    path: String,
    bytes: Vec<u8>,
    /// Where the next byte stands.
    at: usize,
    size: Option<usize>,
    /// Where a preamble is made, what it says.
    preamble: Option<Vec<u8>>,
}

impl Image {
    /// The directory that these bytes stand for. Any bytes stand for one.
    pub(crate) fn of(data: &[u8]) -> Image {
        let (how, rest) = data.split_first().map_or((0, data), |(how, rest)| (*how, rest));
        let mut image = Image::default();
        let mut draft = Draft::segment(1);
        // The segment that nobody named is there only if it has content.
        let mut is_named = false;
        for (index, piece) in pieces(rest).enumerate() {
            let Some((letter, tail)) = piece.split_first().filter(|_| index != 0) else {
                draft.push(piece);
                continue;
            };
            let (number, behind) = tail.split_first().map_or((0, tail), |(number, behind)| (*number, behind));
            let (wide, behind_wide) = tail
                .split_first_chunk::<2>()
                .map_or((0, &[][..]), |(wide, behind)| (usize::from(u16::from_le_bytes(*wide)), behind));
            let begun = match letter {
                b'S' => Some((Draft::segment(sequence(number)), behind)),
                b'R' => Some((Draft::file(segment_path(sequence(number))), behind)),
                b'L' => Some((Draft::file("live".to_owned()), tail)),
                b'K' => Some((Draft::file("LOCK".to_owned()), tail)),
                b'N' | b'T' => {
                    let (name, behind) = split_name(tail);
                    let folder = if *letter == b'N' { "log/" } else { "" };
                    Some((Draft::file(format!("{folder}{name}")), behind))
                }
                _ => None,
            };
            if let Some((next, behind)) = begun {
                let before = std::mem::replace(&mut draft, next);
                if is_named || !before.bytes.is_empty() {
                    image.add(before);
                }
                is_named = true;
                draft.push(behind);
                continue;
            }
            match letter {
                b'P' => draft.say(tail),
                b'D' => {
                    image.directories.insert(segment_path(sequence(number)));
                    draft.push(behind);
                }
                b'@' => {
                    draft.at = wide * 8;
                    draft.push(behind_wide);
                }
                b'#' => {
                    draft.size = Some(wide * SECTOR);
                    draft.push(behind_wide);
                }
                b'*' => {
                    draft.repeat(number);
                    draft.push(behind);
                }
                _ => {
                    draft.push(&MARK);
                    draft.push(piece);
                }
            }
        }
        if is_named || !draft.bytes.is_empty() {
            image.add(draft);
        }
        image.settle();
        seal::seal(&mut image.files, Mend::of(how));
        image
    }

    fn add(&mut self, draft: Draft) {
        if self.files.len() < FILES_MAX || self.files.contains_key(&draft.path) {
            let (path, bytes) = draft.finish();
            self.files.insert(path, bytes);
        }
    }

    /// What no file system has goes: something below a file, and two things of one name.
    fn settle(&mut self) {
        if self.files.contains_key("log") {
            self.files.retain(|path, _| !path.starts_with("log/"));
            self.directories.clear();
        }
        self.directories.retain(|path| !self.files.contains_key(path));
    }

    /// A disk with these files.
    pub(crate) fn disk(&self, seed: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::new(seed);
        for (path, bytes) in &self.files {
            disk.write_file(path, bytes);
        }
        for path in &self.directories {
            disk.write_file(&format!("{path}/inside"), b"");
        }
        disk
    }

    /// Bytes that stand for these files.
    #[cfg(test)]
    pub(crate) fn written(files: &BTreeMap<String, Vec<u8>>, mend: u8) -> Vec<u8> {
        let mut out = vec![mend];
        for (path, bytes) in files {
            let mut from = 0;
            match sequence_of(path) {
                Some(sequence) if sequence < 255 && bytes.starts_with(preamble::MAGIC) => {
                    mark(&mut out, &[b'S', sequence as u8]);
                    mark(&mut out, &[b'P']);
                    let said = &bytes[preamble::FORMAT..SECTOR];
                    let len = said.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    out.extend_from_slice(&said[..len]);
                    from = SECTOR;
                    // Whatever follows is content again.
                    at(&mut out, from);
                }
                Some(sequence) => mark(&mut out, &[b'R', sequence as u8]),
                None if path == "live" => mark(&mut out, b"L"),
                None if path == "LOCK" => mark(&mut out, b"K"),
                None => {
                    let name = path.strip_prefix("log/");
                    mark(&mut out, if name.is_some() { b"N" } else { b"T" });
                    out.extend_from_slice(name.unwrap_or(path).as_bytes());
                    out.push(0);
                }
            }
            write_content(&mut out, bytes, from);
        }
        let back = Image::of(&[&[0][..], &out[1..]].concat());
        for (path, bytes) in files {
            let differs = back.files[path].iter().zip(bytes).position(|(now, then)| now != then);
            let is_same = differs.is_none() && back.files[path].len() == bytes.len();
            assert!(is_same, "{path} does not come back: byte {differs:?} of {}", bytes.len());
        }
        out
    }
}

#[cfg(test)]
fn mark(out: &mut Vec<u8>, letters: &[u8]) {
    out.extend_from_slice(&MARK);
    out.extend_from_slice(letters);
}

#[cfg(test)]
fn at(out: &mut Vec<u8>, offset: usize) {
    assert!(offset.is_multiple_of(8), "content goes on at multiples of 8");
    mark(out, b"@");
    out.extend_from_slice(&u16::try_from(offset / 8).expect("a small file").to_le_bytes());
}

/// The bytes from `from` on, without longer runs of zeros.
#[cfg(test)]
fn write_content(out: &mut Vec<u8>, bytes: &[u8], from: usize) {
    let mut is_gap = false;
    for (index, piece) in bytes[from..].chunks(8).enumerate() {
        let offset = from + index * 8;
        let is_zero = piece.iter().all(|byte| *byte == 0);
        // A single piece of zeros is shorter than what would stand for it.
        let goes_on = bytes.get(offset + 8..offset + 16).is_some_and(|next| next.iter().any(|byte| *byte != 0));
        if is_zero && (is_gap || !goes_on) {
            is_gap = true;
            continue;
        }
        if is_gap {
            at(out, offset);
            is_gap = false;
        }
        out.extend_from_slice(piece);
    }
    if bytes.len().is_multiple_of(SECTOR) && is_gap {
        mark(out, b"#");
        out.extend_from_slice(&u16::try_from(bytes.len() / SECTOR).expect("a small file").to_le_bytes());
    }
}

impl Draft {
    fn file(path: String) -> Draft {
        Draft { path, bytes: Vec::new(), at: 0, size: None, preamble: None }
    }

    fn segment(sequence: u32) -> Draft {
        let mut said = vec![0; SECTOR];
        put(&mut said, preamble::FORMAT, &1_u16.to_le_bytes());
        put(&mut said, preamble::ALGORITHM, &[1]);
        put(&mut said, preamble::STORE, &[7; 16]);
        put(&mut said, preamble::SEGMENT, &[sequence as u8; 16]);
        put(&mut said, preamble::SEQUENCE, &sequence.to_le_bytes());
        Draft { at: SECTOR, preamble: Some(said), ..Draft::file(segment_path(sequence)) }
    }

    /// The next bytes of content.
    fn push(&mut self, content: &[u8]) {
        let end = (self.at + content.len()).min(FILE_BYTES_MAX);
        let Some(len) = end.checked_sub(self.at).filter(|len| *len != 0) else { return };
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.at..end].copy_from_slice(&content[..len]);
        self.at = end;
    }

    fn repeat(&mut self, times: u8) {
        // Content and not zeros: that is what costs something to look at.
        let from =
            self.bytes[..self.at.min(self.bytes.len())].iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
        let from = from.max(if self.preamble.is_some() { SECTOR } else { 0 });
        let content = self.bytes.get(from..self.at).unwrap_or_default().to_vec();
        for _ in 0..times {
            self.push(&content);
        }
    }

    fn say(&mut self, said: &[u8]) {
        if let Some(preamble) = &mut self.preamble {
            let len = said.len().min(SECTOR - preamble::FORMAT);
            preamble[preamble::FORMAT..].fill(0);
            put(preamble, preamble::FORMAT, &said[..len]);
        }
    }

    fn finish(mut self) -> (String, Vec<u8>) {
        let Some(mut preamble) = self.preamble else {
            self.bytes.resize(self.size.unwrap_or(self.bytes.len()).min(FILE_BYTES_MAX), 0);
            return (self.path, self.bytes);
        };
        let least = self.bytes.len().next_multiple_of(SECTOR).max(SEGMENT_BYTES_MIN);
        self.bytes.resize(self.size.unwrap_or(least).clamp(SECTOR, FILE_BYTES_MAX), 0);
        if u32_at(&preamble, preamble::SIZE) == 0 {
            put(&mut preamble, preamble::SIZE, &(self.bytes.len() as u32).to_le_bytes());
        }
        put(&mut preamble, 0, preamble::MAGIC);
        let sum = plain(&preamble[preamble::CHECKSUM + 4..]);
        put(&mut preamble, preamble::CHECKSUM, &sum.to_le_bytes());
        self.bytes[..SECTOR].copy_from_slice(&preamble);
        (self.path, self.bytes)
    }
}

/// The content in front of the first mark, then what follows each.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let now = rest?;
        let found = now.windows(MARK.len()).position(|window| window == MARK);
        rest = found.map(|at| &now[at + MARK.len()..]);
        Some(found.map_or(now, |at| &now[..at]))
    })
}

fn sequence(number: u8) -> u32 {
    if number == u8::MAX { u32::MAX } else { number.into() }
}

/// A name up to a zero, made into one that a file can have.
fn split_name(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let behind = bytes.get(end + 1..).unwrap_or_default();
    let name = String::from_utf8_lossy(&bytes[..end.min(64)]).replace('/', "_");
    (if ["", ".", ".."].contains(&&*name) { "unnamed".to_owned() } else { name }, behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_for_files() {
        let data =
            b"\0abc\xFE\xEDS\x02x\xFE\xED@\x48\x00y\xFE\xED#\x50\x00\xFE\xEDL12\xFE\xED?3\xFE\xEDNa/b\0\xFE\xEDD\x09";
        let image = Image::of(data);
        let names: Vec<&str> = image.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["live", "log/0000000001.log", "log/0000000002.log", "log/a_b"]);
        let [first, second] = [1, 2].map(|sequence| &image.files[&segment_path(sequence)]);
        assert_eq!((first.len(), second.len()), (32 * 1024, 40 * 1024));
        assert_eq!((&first[512..515], second[512], second[576]), (&b"abc"[..], b'x', b'y'));
        assert_eq!(image.files["live"], b"12\xFE\xED?3");
        assert_eq!(image.directories.len(), 1);
    }
}
