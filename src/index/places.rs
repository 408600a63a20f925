//! Where the events of one stream stand, by version.

use crate::position::{Place, Version};

/// The places of a stream's events in the order of their versions.
///
/// Versions follow one another in all but imported and salvaged streams, so only the jumps are written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    places: Vec<Place>,
    /// For each jump the index of the place behind it and its version; the first entry is there only where the stream
    /// does not begin with version 1.
    #[expect(clippy::box_collection, reason = "it is hardly ever there, and there is one for each stream")]
    jumps: Option<Box<Vec<(usize, Version)>>>,
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn last_version(&self) -> Version {
        match self.places.len().checked_sub(1) {
            Some(last) => self.version(last),
            None => Version::NONE,
        }
    }

    /// The version of the event at an index.
    pub(crate) fn version(&self, index: usize) -> Version {
        let (from, version) = match &self.jumps {
            None => (0, Version::FIRST),
            Some(jumps) => {
                let behind = jumps.partition_point(|(from, _)| *from <= index);
                behind.checked_sub(1).map_or((0, Version::FIRST), |jump| jumps[jump])
            }
        };
        Version::new(version.get() + (index - from) as u64)
    }

    /// The index of the first event with this version or a higher one.
    pub(crate) fn index_of(&self, version: Version) -> usize {
        let jumps = self.jumps.as_deref().map_or(&[][..], Vec::as_slice);
        let behind = jumps.partition_point(|(_, first)| *first <= version);
        let end = jumps.get(behind).map_or(self.places.len(), |(index, _)| *index);
        let (from, first): (usize, Version) = behind.checked_sub(1).map_or((0, Version::FIRST), |jump| jumps[jump]);
        let inside = usize::try_from(version.get().saturating_sub(first.get())).unwrap_or(usize::MAX);
        from.saturating_add(inside).min(end)
    }

    pub(crate) fn get(&self, index: usize) -> Option<Place> {
        self.places.get(index).copied()
    }

    /// Adds the event with the next version, or with a higher one.
    pub(crate) fn push(&mut self, version: Version, place: Place) {
        debug_assert!(self.last_version() < version);
        if self.last_version().next() != Some(version) {
            self.jumps.get_or_insert_default().push((self.places.len(), version));
        }
        self.places.push(place);
    }

    /// Takes the last event away.
    pub(crate) fn pop(&mut self) {
        self.places.pop();
        if let Some(jumps) = &mut self.jumps {
            jumps.pop_if(|(index, _)| *index == self.places.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u32) -> Place {
        Place { segment: 1, offset }
    }

    #[test]
    fn versions_and_indexes_agree_with_and_without_jumps() {
        for versions in [vec![1, 2, 3], vec![4, 5], vec![1, 2, 7, 8, 20], vec![]] {
            let mut places = Places::default();
            for version in &versions {
                places.push(Version::new(*version), place(*version as u32));
            }
            for (index, version) in versions.iter().enumerate() {
                assert_eq!(places.version(index), Version::new(*version));
            }
            for version in 0..25 {
                let expected = versions.iter().position(|candidate| version <= *candidate).unwrap_or(versions.len());
                assert_eq!(places.index_of(Version::new(version)), expected, "{version} in {versions:?}");
            }
            assert_eq!(places.last_version().get(), versions.last().copied().unwrap_or(0));
            for left in (0..versions.len()).rev() {
                places.pop();
                let last = left.checked_sub(1).map_or(0, |last| versions[last]);
                assert_eq!((places.len(), places.last_version().get()), (left, last), "taken away from {versions:?}");
            }
        }
    }
}
