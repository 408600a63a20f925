//! The names on a simulated disk: what they stand for, and what they stood for when their directory was last synced.

use super::file::Node;
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

/// All names, by their whole path.
pub(super) struct Names {
    current: BTreeMap<String, Named>,
    /// What a name stood for before each change since its directory was synced; the first is durable. Not kept for
    /// plain memory.
    earlier: Option<BTreeMap<String, Vec<Option<Named>>>>,
}

impl Names {
    pub(super) fn new(is_tracked: bool) -> Names {
        Names::durable(BTreeMap::new(), is_tracked)
    }

    /// Names of which none is pending.
    pub(super) fn durable(current: BTreeMap<String, Named>, is_tracked: bool) -> Names {
        Names { current, earlier: is_tracked.then(BTreeMap::new) }
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
        self.current.iter().filter_map(|(path, named)| match named {
            Named::File(node) => Some((path.as_str(), node)),
            Named::Directory => None,
        })
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
                let (len, is_file) = match named {
                    Named::File(node) => (node.content.read().len(), true),
                    Named::Directory => (0, false),
                };
                Entry { name: split_path(path).1.to_owned(), len, is_file }
            })
            .collect())
    }

    pub(super) fn create(&mut self, path: &str, named: Named) -> io::Result<()> {
        if self.current.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if parent_of(path) != OUTSIDE {
            self.check_directory(parent_of(path))?;
        }
        self.bind(path, Some(named));
        Ok(())
    }

    /// Makes a name stand for something else, or nothing. Pending until the directory is synced.
    pub(super) fn bind(&mut self, path: &str, named: Option<Named>) {
        let before = self.current.get(path).cloned();
        if let Some(earlier) = &mut self.earlier {
            earlier.entry(path.to_owned()).or_default().push(before);
        }
        self.set(path, named);
    }

    /// The same, durable at once.
    pub(super) fn settle(&mut self, path: &str, named: Option<Named>) {
        if let Some(earlier) = &mut self.earlier {
            earlier.remove(path);
        }
        self.set(path, named);
    }

    fn set(&mut self, path: &str, named: Option<Named>) {
        match named {
            Some(named) => self.current.insert(path.to_owned(), named),
            None => self.current.remove(path),
        };
    }

    /// Makes the names in a directory durable, not those below it.
    pub(super) fn sync(&mut self, directory: &str) {
        if let Some(earlier) = &mut self.earlier {
            earlier.retain(|path, _| parent_of(path) != directory);
        }
    }

    pub(super) fn current(&self) -> &BTreeMap<String, Named> {
        &self.current
    }

    /// The names a power cut could change, in order, with what they stood for, oldest first.
    pub(super) fn pending(&self) -> impl Iterator<Item = (&str, &[Option<Named>])> {
        self.earlier.iter().flatten().map(|(path, versions)| (path.as_str(), versions.as_slice()))
    }

    /// Every file that has a name or could get one back, once, in the order of their paths.
    pub(super) fn nodes(&self) -> Vec<(&str, &Arc<Node>)> {
        let earlier = self.pending().flat_map(|(path, versions)| {
            versions.iter().filter_map(move |named| match named {
                Some(Named::File(node)) => Some((path, node)),
                Some(Named::Directory) | None => None,
            })
        });
        // The sort is stable: of the files that had one name, the present one comes first.
        let mut nodes: Vec<(&str, &Arc<Node>)> = self.files().chain(earlier).collect();
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
        let copy_pending = |(path, versions): (&str, &[Option<Named>])| {
            (path.to_owned(), versions.iter().map(|named| named.as_ref().map(copy)).collect())
        };
        Names {
            current: self.current.iter().map(|(path, named)| (path.clone(), copy(named))).collect(),
            earlier: self.earlier.is_some().then(|| self.pending().map(copy_pending).collect()),
        }
    }
}

/// The file that took the place of `node`.
pub(super) fn copy_of(copies: &[(&Arc<Node>, Arc<Node>)], node: &Arc<Node>) -> Arc<Node> {
    let found = copies.iter().find(|(original, _)| Arc::ptr_eq(original, node));
    found.expect("every file with a name was copied").1.clone()
}
