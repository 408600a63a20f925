//! Damage: a simulated disk as somebody else would see and change it.

use super::file::Node;
use super::machine::SplitMix;
use super::names::Named;
use super::{SimulatedDisk, ancestors};
use crate::storage::split_path;
use crate::sync::Arc;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// A bit that rotted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct FlippedBit {
    /// The file it lies in.
    pub path: String,
    /// The byte of the file.
    pub byte: u64,
    /// The bit of the byte, 0 being the lowest.
    pub bit: u8,
}

impl fmt::Display for FlippedBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bit {} of byte {} of `{}`", self.bit, self.byte, self.path)
    }
}

/// Damage: the disk as somebody else would see and change it. Nothing of this is counted, fails or is pending: what is
/// changed is changed on the disk and wherever else its content is remembered.
impl SimulatedDisk {
    /// What the file holds, if there is one.
    #[must_use]
    pub fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        Some(self.state().names.file(path).ok()?.content.read().to_vec())
    }

    /// Makes the file hold these bytes, durably, and with it the directories it lies in. Whoever has a file of that
    /// name open goes on with the old one.
    pub fn write_file(&self, path: &str, bytes: &[u8]) {
        let node = Node::with_bytes(bytes, self.shared.is_tracked);
        let mut state = self.state();
        for directory in ancestors(split_path(path).0) {
            state.names.settle(directory, Some(Named::Directory));
        }
        state.names.settle(path, Some(Named::File(node)));
    }

    /// Removes a file, durably; whether there was one.
    pub fn remove_file(&self, path: &str) -> bool {
        let mut state = self.state();
        let is_there = state.names.file(path).is_ok();
        if is_there {
            state.names.settle(path, None);
        }
        is_there
    }

    /// The paths of all files, in order.
    #[must_use]
    pub fn file_names(&self) -> Vec<String> {
        self.state().names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// All files and what they hold: for comparing one disk with another.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.files().map(|(path, node)| (path.to_owned(), node.content.read().to_vec())).collect()
    }

    /// Flips one bit of a file.
    ///
    /// # Panics
    ///
    /// If there is no such file, byte or bit.
    pub fn flip_bit(&self, path: &str, byte: u64, bit: u8) {
        assert!(bit < 8, "a byte has bits 0 to 7");
        self.damage(path, byte..byte + 1, |_, old| old ^ 1 << bit);
    }

    /// Flips so many different bits anywhere in the files, by chance, and says which: bytes that rot at rest.
    ///
    /// ```
    /// use scorebook::testing::SimulatedDisk;
    /// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
    /// # fn main() -> Result<(), scorebook::Error> {
    /// let disk = SimulatedDisk::new(7);
    /// let store = EventStore::options().open_simulated(&disk)?;
    /// let game = StreamName::new("game-42")?;
    /// let guess = NewEvent::bytes("guessed", vec![7; 20_000]);
    /// store.append(&game, ExpectedVersion::Any, [guess]).wait().map_err(|error| error.into_error())?;
    /// store.close()?;
    ///
    /// let rotten = disk.rot(1, 3);
    /// assert_eq!(rotten.len(), 3);
    /// // Whatever was hit: what is read is right, or an error names the place.
    /// match EventStore::options().open_simulated(&disk) {
    ///     Ok(store) => assert_eq!(store.read_all().iter().next().unwrap()?.data(), vec![7; 20_000]),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the files have fewer bits.
    pub fn rot(&self, seed: u64, bits: usize) -> Vec<FlippedBit> {
        let sizes: Vec<(String, u64)> = {
            let state = self.state();
            state.names.files().map(|(path, node)| (path.to_owned(), node.content.read().len() as u64)).collect()
        };
        let whole = 8 * sizes.iter().map(|(_, len)| len).sum::<u64>();
        assert!(bits as u64 <= whole, "{bits} bits cannot rot on a disk that has {whole}");
        let mut chance = SplitMix(seed);
        let mut places = BTreeSet::new();
        while places.len() < bits {
            places.insert(chance.next() % whole);
        }
        let flipped = |place: u64| {
            let (mut byte, bit) = (place / 8, (place % 8) as u8);
            let holds = |(_, len): &&(String, u64)| {
                let is_here = byte < *len;
                byte -= if is_here { 0 } else { *len };
                is_here
            };
            let (path, _) = sizes.iter().find(holds).expect("the files together are that long");
            FlippedBit { path: path.clone(), byte, bit }
        };
        let rotten: Vec<FlippedBit> = places.into_iter().map(flipped).collect();
        for bit in &rotten {
            self.flip_bit(&bit.path, bit.byte, bit.bit);
        }
        rotten
    }

    /// Puts other bytes in the place of those that are there.
    ///
    /// # Panics
    ///
    /// If there is no such file, or the bytes would reach behind its end.
    pub fn overwrite(&self, path: &str, offset: u64, bytes: &[u8]) {
        let start = index(offset);
        self.damage(path, offset..offset + bytes.len() as u64, |at, _| bytes[at - start]);
    }

    /// Makes these bytes of a file zeros: a sector, if they are `512 * n..512 * (n + 1)`.
    ///
    /// # Panics
    ///
    /// If there is no such file, or it is shorter.
    pub fn zero(&self, path: &str, bytes: Range<u64>) {
        self.damage(path, bytes, |_, _| 0);
    }

    /// Makes these bytes of a file anything, by chance.
    ///
    /// # Panics
    ///
    /// If there is no such file, or it is shorter.
    pub fn garble(&self, path: &str, bytes: Range<u64>, seed: u64) {
        // By their place, so that whatever remembers them is garbled alike.
        self.damage(path, bytes, |at, _| SplitMix(seed ^ (at as u64) << 32).next() as u8);
    }

    /// Makes the sectors in which these bytes lie unreadable: every read that touches one fails, until the sector is
    /// written again as a whole or the file replaced. A write of a part of it fails as well, since the rest would have
    /// to be read. Neither [`heal`](SimulatedDisk::heal) nor a power cut repairs it.
    ///
    /// ```
    /// use scorebook::testing::SimulatedDisk;
    /// use scorebook::{ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};
    /// # fn main() -> Result<(), scorebook::Error> {
    /// let disk = SimulatedDisk::new(7);
    /// let store = EventStore::options().open_simulated(&disk)?;
    /// let game = StreamName::new("game-42")?;
    /// for number in 0..3 {
    ///     let guess = NewEvent::bytes("guessed", vec![number; 2_000]);
    ///     store.append(&game, ExpectedVersion::Any, [guess]).wait().map_err(|error| error.into_error())?;
    /// }
    /// disk.break_sectors("log/0000000001.log", 3_000..3_001);
    /// let error = store.read(&game).iter().find_map(Result::err).unwrap();
    /// assert_eq!(error.kind(), ErrorKind::Io);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn break_sectors(&self, path: &str, bytes: Range<u64>) {
        self.damaged_file(path).content.write().break_sectors(index(bytes.start)..index(bytes.end));
    }

    fn damage(&self, path: &str, bytes: Range<u64>, change: impl FnMut(usize, u8) -> u8) {
        self.damaged_file(path).content.write().damage(index(bytes.start)..index(bytes.end), change);
    }

    fn damaged_file(&self, path: &str) -> Arc<Node> {
        let state = self.state();
        state.names.file(path).unwrap_or_else(|error| panic!("`{path}` that is to be damaged: {error}")).clone()
    }
}

fn index(byte: u64) -> usize {
    usize::try_from(byte).expect("a place in memory")
}
