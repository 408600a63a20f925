//! What a backup holds: one file that says which segments, how far, and what their bytes come to. Written in turn to one of two
//! files, so that the one before holds until the next is synced.
//!
//! ```text
//! manifest.0, .1                       a line with magic and checksum, and JSON
//! segments/0000000001-….seg            a segment up to where it was durable, by its number and its random id
//! ```

use crate::error::{Error, ErrorKind};
use crate::format::Preamble;
use crate::position::{Place, Position};
use crate::storage::{Access, Storage};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// One more each time.
    pub(super) number: u64,
    pub(super) store: [u8; 16],
    /// When it was taken, by the clock.
    pub(super) time: Timestamp,
    /// The last position in it.
    pub(super) position: Position,
    pub(super) epoch: u32,
    pub(super) segments: Vec<Held>,
}

/// A segment that a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) sequence: u32,
    pub(super) id: [u8; 16],
    /// Up to where it is held.
    pub(super) end: u32,
    /// XXH3-128 of each piece of its bytes.
    pub(super) digests: Vec<u128>,
}

/// So many bytes have a digest.
pub(super) const PIECE: usize = 1024 * 1024;

pub(super) const SEGMENTS_DIR: &str = "segments";

const MAGIC: &str = "SBBACKUP1";

/// No manifest is longer: that is one of 64 TiB.
const BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

impl Held {
    pub(super) fn new(preamble: &Preamble, end: u32) -> Held {
        Held { sequence: preamble.sequence, id: preamble.segment, end, digests: Vec::new() }
    }

    /// Where it lies in the backup.
    pub(super) fn path(&self) -> String {
        format!("{SEGMENTS_DIR}/{}", self.name())
    }

    pub(super) fn name(&self) -> String {
        format!("{:010}-{}.seg", self.sequence, hex(&self.id))
    }

    /// Whether it is the same segment, however far it is held.
    pub(super) fn is_of(&self, preamble: &Preamble) -> bool {
        (self.sequence, self.id) == (preamble.sequence, preamble.segment)
    }

    fn to_json(&self) -> Value {
        let digests: Vec<String> = self.digests.iter().map(|digest| format!("{digest:032x}")).collect();
        json!({ "sequence": self.sequence, "id": hex(&self.id), "end": self.end, "digests": digests })
    }

    fn from_json(value: &Value) -> Option<Held> {
        let digest = |digest: &Value| u128::from_str_radix(digest.as_str()?, 16).ok();
        Some(Held {
            sequence: number_in(value, "sequence")?,
            id: id_in(value, "id")?,
            end: number_in(value, "end")?,
            digests: value.get("digests")?.as_array()?.iter().map(digest).collect::<Option<_>>()?,
        })
    }
}

impl Manifest {
    /// Up to where the log is held.
    pub(super) fn end(&self) -> Place {
        self.segments.last().map_or(Place::NONE, |last| Place { segment: last.sequence, offset: last.end })
    }

    /// The newest that verifies; `None` where there is none.
    pub(super) fn read(storage: &dyn Storage) -> Result<Option<Manifest>, Error> {
        let mut newest: Option<Manifest> = None;
        for turn in 0..2 {
            if let Some(found) = read_turn(storage, turn)?
                && newest.as_ref().is_none_or(|newest| newest.number < found.number)
            {
                newest = Some(found);
            }
        }
        Ok(newest)
    }

    /// Writes it down and syncs it.
    pub(super) fn write(&self, storage: &dyn Storage) -> io::Result<()> {
        let path = path_of(self.number % 2);
        match storage.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = storage.create(&path)?;
        file.write_at(self.encode().as_bytes(), 0)?;
        file.sync()?;
        storage.sync_dir("")
    }

    fn encode(&self) -> String {
        let segments: Vec<Value> = self.segments.iter().map(Held::to_json).collect();
        let body = json!({
            "number": self.number,
            "store": hex(&self.store),
            "time": self.time.nanos(),
            "position": self.position.get(),
            "epoch": self.epoch,
            "segments": segments,
        });
        let body = body.to_string();
        format!("{MAGIC} {:08x}\n{body}\n", crc32fast::hash(body.as_bytes()))
    }

    /// `None` where it does not verify.
    fn decode(text: &str) -> Option<Manifest> {
        let (head, body) = text.strip_suffix('\n')?.split_once('\n')?;
        let sum = u32::from_str_radix(head.strip_prefix(MAGIC)?.strip_prefix(' ')?, 16).ok()?;
        if sum != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let body: Value = serde_json::from_str(body).ok()?;
        Some(Manifest {
            number: body.get("number")?.as_u64()?,
            store: id_in(&body, "store")?,
            time: Timestamp::from_nanos(body.get("time")?.as_i64()?),
            position: Position::new(body.get("position")?.as_u64()?),
            epoch: number_in(&body, "epoch")?,
            segments: body.get("segments")?.as_array()?.iter().map(Held::from_json).collect::<Option<_>>()?,
        })
    }
}

fn path_of(turn: u64) -> String {
    format!("manifest.{turn}")
}

fn read_turn(storage: &dyn Storage, turn: u64) -> Result<Option<Manifest>, Error> {
    let path = path_of(turn);
    let act = |error| Error::io(format!("reading {path} of the backup in {}", storage.describe()), error);
    let file = match storage.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(act)?,
    };
    let len = file.len().map_err(act)?;
    if BYTES_MAX < len {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0).map_err(act)?;
    bytes.truncate(read);
    Ok(String::from_utf8(bytes).ok().and_then(|text| Manifest::decode(&text)))
}

/// Removes a segment from a backup, which the newest manifest does not name.
pub(super) fn remove_segment(storage: &dyn Storage, name: &str) -> io::Result<()> {
    storage.remove(&format!("{SEGMENTS_DIR}/{name}"))
}

/// The error for a directory that holds no backup.
pub(super) fn no_backup(storage: &dyn Storage) -> Error {
    let act = format!("{} holds no backup: there is no manifest in it that verifies", storage.describe());
    Error::new(ErrorKind::StoreNotFound, act)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn id_in(value: &Value, name: &str) -> Option<[u8; 16]> {
    let text = value.get(name)?.as_str().filter(|text| text.len() == 32)?;
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn number_in(value: &Value, name: &str) -> Option<u32> {
    value.get(name)?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::SimulatedDisk;

    fn manifest(number: u64) -> Manifest {
        let held = Held { sequence: 3, id: [0xAB; 16], end: 4_096, digests: vec![1, u128::MAX] };
        Manifest {
            number,
            store: [1; 16],
            time: Timestamp::from_nanos(-7),
            position: Position::new(99),
            epoch: 4,
            segments: vec![held],
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was_and_no_flip_or_cut_goes_unnoticed() {
        let text = manifest(7).encode();
        assert_eq!(Manifest::decode(&text), Some(manifest(7)));
        for at in 0..text.len() {
            assert_eq!(Manifest::decode(&text[..at]), None, "cut to {at}");
            let mut flipped = text.clone().into_bytes();
            flipped[at] ^= 1;
            let decoded = String::from_utf8(flipped).ok().and_then(|text| Manifest::decode(&text));
            assert_eq!(decoded, None, "flipped at {at}");
        }
    }

    #[test]
    fn the_newest_that_verifies_counts() {
        let disk = SimulatedDisk::new(1);
        disk.create_dir("").expect("a directory");
        assert_eq!(Manifest::read(&disk).expect("readable"), None);
        for number in 1..4 {
            manifest(number).write(&disk).expect("written");
            assert_eq!(Manifest::read(&disk).expect("readable"), Some(manifest(number)));
        }
        disk.flip_bit("manifest.1", 20, 0);
        assert_eq!(Manifest::read(&disk).expect("readable"), Some(manifest(2)));
    }
}
