//! The names on a simulated disk: what they stand for, and what they stand for on the disk where that is something else.

use super::fault::{Fate, SyncFailure};
use super::file::Node;
use super::history::History;
use super::machine::SplitMix;
use super::{parent_of, split_path};
use crate::storage::Entry;
use crate::sync::Arc;
use std::collections::BTreeMap;
use std::io;

/// Where the name of the store's own directory stands. No path is called that.
pub(super) const OUTSIDE: &str = "..";

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Named {
    Directory,
    File(Arc<Node>),
}

impl Named {
    fn file(&self) -> Option<&Arc<Node>> {
        match self {
            Named::File(node) => Some(node),
            Named::Directory => None,
        }
    }
}

/// All names, by their whole path.
pub(super) struct Names {
    current: BTreeMap<Arc<str>, Named>,
    /// Not kept for plain memory.
    pending: Option<Pending>,
}

/// INVARIANT: no path stands in both.
#[derive(Default)]
struct Pending {
    /// What a name stood for before each change since its directory was synced.
    earlier: BTreeMap<Arc<str>, History<Option<Named>>>,
    /// What a name stands for on the disk where everybody sees something else and no sync will change it, until the name
    /// changes again.
    apart: BTreeMap<Arc<str>, Option<Named>>,
}

impl Names {
    pub(super) fn new(is_tracked: bool) -> Names {
        Names::durable(BTreeMap::new(), is_tracked)
    }

    /// Names of which none is pending.
    pub(super) fn durable(current: BTreeMap<Arc<str>, Named>, is_tracked: bool) -> Names {
        Names { current, pending: is_tracked.then(Pending::default) }
    }

    pub(super) fn file(&self, path: &str) -> io::Result<&Arc<Node>> {
        match self.current.get(path) {
            Some(Named::File(node)) => Ok(node),
            Some(Named::Directory) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` is a directory, not a regular file")))
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Arc<Node>)> {
        self.current.iter().filter_map(|(path, named)| Some((&**path, named.file()?)))
    }

    pub(super) fn has_directory(&self, path: &str) -> bool {
        matches!(self.current.get(path), Some(Named::Directory))
    }

    pub(super) fn check_directory(&self, path: &str) -> io::Result<()> {
        match self.current.get(path) {
            Some(Named::Directory) => Ok(()),
            Some(Named::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn list(&self, directory: &str) -> io::Result<Vec<Entry>> {
        self.check_directory(directory)?;
        // In the order of the names, since what stands before them is the same.
        let inside = self.current.iter().filter(|(path, _)| parent_of(path) == directory);
        Ok(inside
            .map(|(path, named)| {
                let len = named.file().map_or(0, |node| node.content.read().len() as u64);
                Entry { name: split_path(path).1.to_owned(), len, is_file: named.file().is_some() }
            })
            .collect())
    }

    pub(super) fn create(&mut self, path: &str, named: Named, changes: &mut u64) -> io::Result<()> {
        if self.current.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if parent_of(path) != OUTSIDE {
            self.check_directory(parent_of(path))?;
        }
        self.bind(path, Some(named), changes);
        Ok(())
    }

    /// Makes a name stand for something else, or nothing. Pending until the directory is synced.
    pub(super) fn bind(&mut self, path: &str, named: Option<Named>, changes: &mut u64) {
        let path: Arc<str> = path.into();
        if let Some(pending) = &mut self.pending {
            *changes += 1;
            // What everybody saw where the disk has something else was never on its way there.
            let before = pending.apart.remove(&path).unwrap_or_else(|| self.current.get(&path).cloned());
            pending.earlier.entry(path.clone()).or_default().push(*changes, before);
        }
        self.set(path, named);
    }

    /// The same, durable at once.
    pub(super) fn settle(&mut self, path: &str, named: Option<Named>) {
        if let Some(pending) = &mut self.pending {
            pending.earlier.remove(path);
            pending.apart.remove(path);
        }
        self.set(path.into(), named);
    }

    fn set(&mut self, path: Arc<str>, named: Option<Named>) {
        match named {
            Some(named) => self.current.insert(path, named),
            None => self.current.remove(&path),
        };
    }

    /// Makes the names in a directory durable, not those below it.
    pub(super) fn sync(&mut self, directory: &str) {
        if let Some(pending) = &mut self.pending {
            pending.earlier.retain(|path, _| parent_of(path) != directory);
        }
    }

    /// What a sync of a directory does that fails.
    pub(super) fn fail_sync(&mut self, directory: &str, failure: SyncFailure, chance: &mut SplitMix) {
        let Some(Pending { earlier, apart }) = &mut self.pending else { return };
        earlier.retain(|path, history| {
            if parent_of(path) != directory {
                return true;
            }
            match failure.fate(chance) {
                Fate::Pending => true,
                Fate::Durable => false,
                Fate::Dropped => {
                    apart.extend(std::mem::take(history).into_first().map(|truth| (path.clone(), truth)));
                    false
                }
            }
        });
        if failure == SyncFailure::Revert {
            self.drop_cache();
        }
    }

    /// Everybody sees what the disk has, but for what is on its way there.
    pub(super) fn drop_cache(&mut self) {
        let apart = self.pending.as_mut().map(|pending| std::mem::take(&mut pending.apart));
        for (path, truth) in apart.into_iter().flatten() {
            self.set(path, truth);
        }
        self.current = rooted(std::mem::take(&mut self.current));
    }

    pub(super) fn current(&self) -> &BTreeMap<Arc<str>, Named> {
        &self.current
    }

    /// The names a power cut could change, in order, with what they stood for.
    pub(super) fn pending(&self) -> impl Iterator<Item = (&Arc<str>, &History<Option<Named>>)> {
        self.pending.iter().flat_map(|pending| &pending.earlier)
    }

    /// The names that stand for something else on the disk, and for what.
    pub(super) fn apart(&self) -> impl Iterator<Item = (&Arc<str>, &Option<Named>)> {
        self.pending.iter().flat_map(|pending| &pending.apart)
    }

    /// Every file that has a name or could get one back, once, in the order of their paths.
    pub(super) fn nodes(&self) -> Vec<(&str, &Arc<Node>)> {
        let earlier = self.pending().flat_map(|(path, history)| history.versions().map(move |version| (path, version)));
        let gone = earlier.chain(self.apart()).filter_map(|(path, named)| Some((&**path, named.as_ref()?.file()?)));
        // The sort is stable: of the files that had one name, the present one comes first.
        let mut nodes: Vec<(&str, &Arc<Node>)> = self.files().chain(gone).collect();
        nodes.sort_by_key(|(path, _)| *path);
        nodes.dedup_by(|b, a| Arc::ptr_eq(a.1, b.1));
        nodes
    }

    /// The same names for copies of the same files, with everything pending that is.
    pub(super) fn copy(&self) -> Names {
        let copies: Vec<(&Arc<Node>, Arc<Node>)> =
            self.nodes().into_iter().map(|(_, node)| (node, node.copy())).collect();
        let copy = |named: &Named| match named {
            Named::Directory => Named::Directory,
            Named::File(node) => Named::File(copy_of(&copies, node)),
        };
        let copy_all = |(path, history): (&Arc<str>, &History<Option<Named>>)| {
            (path.clone(), history.map(|named| named.as_ref().map(copy)))
        };
        let copy_truth = |(path, named): (&Arc<str>, &Option<Named>)| (path.clone(), named.as_ref().map(copy));
        Names {
            current: self.current.iter().map(|(path, named)| (path.clone(), copy(named))).collect(),
            pending: self.pending.is_some().then(|| Pending {
                earlier: self.pending().map(copy_all).collect(),
                apart: self.apart().map(copy_truth).collect(),
            }),
        }
    }
}

/// The file that took the place of `node`.
pub(super) fn copy_of(copies: &[(&Arc<Node>, Arc<Node>)], node: &Arc<Node>) -> Arc<Node> {
    let found = copies.iter().find(|(original, _)| Arc::ptr_eq(original, node));
    found.expect("every file with a name was copied").1.clone()
}

/// The names without those that lie in no directory any more.
pub(super) fn rooted(mut names: BTreeMap<Arc<str>, Named>) -> BTreeMap<Arc<str>, Named> {
    let mut directories = vec![Arc::from(OUTSIDE)];
    // A directory comes before what lies in it.
    names.retain(|path, named| {
        let parent = parent_of(path);
        let is_rooted = directories.iter().any(|directory| **directory == *parent);
        if is_rooted && matches!(named, Named::Directory) {
            directories.push(path.clone());
        }
        is_rooted
    });
    names
}
