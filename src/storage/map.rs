//! Memory maps: the one place with `unsafe`.
//!
//! Whoever asks for a map must be content with none: the system may have no room for another, and then the file
//! is read with positioned reads instead.

#![allow(unsafe_code, reason = "a memory map is unsafe by nature; it is confined to this file")]

use crate::event::SharedBytes;
use crate::sync::{Arc, Ordering, ProcessCounter};
use memmap2::{Mmap, MmapAsRawDesc, MmapOptions};
use rustix::io::Errno;
use std::io;

/// Most maps alive at a time, in the whole process. Linux allows 65,530 by default, and the program needs its own.
const MAPS_MAX: u32 = 30_000;

static MAPS: MapCount = MapCount(ProcessCounter::new(0));

/// Maps a file from its beginning to `len`, shared and for reading only, or gives `None` where no more can be had.
///
/// The file must never become shorter than `len` while the map lives, or looking at what is missing ends the process.
pub(super) fn map_file<F: MmapAsRawDesc>(file: F, len: u64) -> io::Result<Option<SharedBytes>> {
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    let Some(place) = MAPS.take(MAPS_MAX) else { return Ok(None) };
    // SAFETY: the bytes of a map must not change while a reference to them is in use, and must stay there.
    // Neither is something the system can promise; the store does. It never truncates a file, so what was mapped
    // stays. It writes a place in a segment once, before that place becomes visible, and readers take slices only of
    // what is visible; nobody interprets the rest. The directory is the store's own and under its lock, and whoever
    // does not trust that, or what else may write there, opens the store with positioned reads.
    let mapped = unsafe { MmapOptions::new().len(len).map(file) };
    match mapped {
        Ok(bytes) => Ok(Some(Arc::new(Map { bytes, _place: place }))),
        Err(error) if is_out_of_maps(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// There is no room for another map, or the file system has none at all.
fn is_out_of_maps(error: &io::Error) -> bool {
    [Errno::NOMEM, Errno::NODEV].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

struct Map {
    bytes: Mmap,
    _place: MapPlace<'static>,
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How many maps are alive. Relaxed, for it is a bound and orders nothing.
struct MapCount(ProcessCounter);

impl MapCount {
    fn take(&self, most: u32) -> Option<MapPlace<'_>> {
        let more = |count| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| MapPlace(self))
    }
}

/// The right to one map, given back when dropped.
struct MapPlace<'a>(&'a MapCount);

impl Drop for MapPlace<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_maps_are_made_than_allowed_and_dropping_one_makes_room() {
        let count = MapCount(ProcessCounter::new(0));
        let first = count.take(2);
        let second = count.take(2);
        assert!(first.is_some() && second.is_some());
        assert!(count.take(2).is_none());
        drop(first);
        assert!(count.take(2).is_some());
    }
}
