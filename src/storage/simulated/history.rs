//! What something was before each change that is not durable.

/// The earlier versions of a size, a sector or a name, oldest first. The first is durable; the present one stands
/// elsewhere.
#[derive(Clone)]
pub(super) struct History<T> {
    /// Each with the number of the change that replaced it. INVARIANT: the numbers rise.
    earlier: Vec<(u64, T)>,
}

impl<T> Default for History<T> {
    fn default() -> History<T> {
        History { earlier: Vec::new() }
    }
}

impl<T> History<T> {
    /// Notes what the change with this number replaces.
    pub(super) fn push(&mut self, change: u64, before: T) {
        self.earlier.push((change, before));
    }

    /// How many earlier versions there are; in place of an index it stands for the present one.
    pub(super) fn len(&self) -> usize {
        self.earlier.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.earlier.is_empty()
    }

    /// One of the earlier versions; `None` stands for the present one.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.earlier.get(index).map(|(_, version)| version)
    }

    /// What is durable.
    pub(super) fn first_mut(&mut self) -> Option<&mut T> {
        self.earlier.first_mut().map(|(_, version)| version)
    }

    /// What is durable, when nothing else counts any more.
    pub(super) fn into_first(self) -> Option<T> {
        self.earlier.into_iter().next().map(|(_, version)| version)
    }

    /// Everything it ever was.
    pub(super) fn versions(&self) -> impl Iterator<Item = &T> {
        self.earlier.iter().map(|(_, version)| version)
    }

    pub(super) fn versions_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.earlier.iter_mut().map(|(_, version)| version)
    }

    /// The same history of something else.
    pub(super) fn map<U>(&self, make: impl Fn(&T) -> U) -> History<U> {
        History { earlier: self.earlier.iter().map(|(change, version)| (*change, make(version))).collect() }
    }

    /// The numbers of its changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = u64> {
        self.earlier.iter().map(|(change, _)| *change)
    }

    /// The index of what it was when the change with this number was about to be made.
    pub(super) fn before(&self, change: u64) -> usize {
        self.earlier.partition_point(|(made, _)| *made < change)
    }

    pub(super) fn clear(&mut self) {
        self.earlier.clear();
    }
}
