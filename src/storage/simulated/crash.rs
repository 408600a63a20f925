//! What is left of a simulated disk after the power was cut.

use super::file::{Item, Node};
use super::machine::SplitMix;
use super::names::{Named, Names, OUTSIDE, copy_of};
use super::parent_of;
use crate::sync::Arc;
use std::collections::BTreeMap;

/// Which of the things that are not durable survive a power cut.
///
/// They are numbered from 0 in a fixed order: names by their path, then, file by file, the size and the sectors.
/// [`describe_pending`](super::SimulatedDisk::describe_pending) lists them. A removal that is lost brings the file
/// back; a file whose name is lost is gone, and so is all that lies in a directory whose name is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashChoice {
    /// Only what is durable.
    LoseAll,
    /// Everything, as if it all had reached the disk just in time.
    KeepAll,
    /// Each on its own, by a random choice that follows from this seed: the latest, what is durable, or whatever
    /// was written in between.
    Seeded(u64),
    /// The thing with number i is kept if bit i is set. All masks below 2 to the number of things are all subsets;
    /// things from number 64 on are lost.
    Mask(u64),
    /// Everything but this one.
    AllBut(usize),
    /// Nothing but this one.
    Only(usize),
}

impl CrashChoice {
    /// Decides about one thing after the other: given how many earlier versions it has, which of them survives. The
    /// first is durable; their number stands for the present one.
    pub(super) fn decide(&self) -> impl FnMut(usize) -> usize {
        let choice = self.clone();
        let mut numbers = 0..;
        let mut random = SplitMix(if let CrashChoice::Seeded(seed) = self { *seed } else { 0 });
        move |earlier| {
            let number: usize = numbers.next().expect("there are fewer things than numbers");
            let is_kept = match &choice {
                CrashChoice::LoseAll => false,
                CrashChoice::KeepAll => true,
                CrashChoice::Seeded(_) => return seeded(random.next(), earlier),
                CrashChoice::Mask(mask) => number < 64 && mask >> number & 1 == 1,
                CrashChoice::AllBut(lost) => number != *lost,
                CrashChoice::Only(kept) => number == *kept,
            };
            if is_kept { earlier } else { 0 }
        }
    }
}

/// Three times in eight the present version, as often the durable one, else any.
fn seeded(random: u64, earlier: usize) -> usize {
    match random % 8 {
        0..3 => earlier,
        3..6 => 0,
        _ => ((random >> 3) % (earlier as u64 + 1)) as usize,
    }
}

/// The names, and the files they stand for, after a power cut. `choose` is asked about each thing that is pending, in
/// order: the path, what of it, and how many earlier versions there are; it answers with the one that survives.
pub(super) fn survivors(names: &Names, is_tracked: bool, mut choose: impl FnMut(&str, Item, usize) -> usize) -> Names {
    let mut chosen: BTreeMap<&str, Option<&Named>> =
        names.current().iter().map(|(path, named)| (path.as_str(), Some(named))).collect();
    for (path, versions) in names.pending() {
        if let Some(version) = versions.get(choose(path, Item::Name, versions.len())) {
            chosen.insert(path, version.as_ref());
        }
    }
    // Also about files that will have no name: what a number means must not depend on what was chosen before.
    let mut files: Vec<(&Arc<Node>, Arc<Node>)> = Vec::new();
    for (path, node) in names.nodes() {
        let survivor = node.content.read().survivor(|item, earlier| choose(path, item, earlier));
        files.push((node, Node::with_content(survivor)));
    }
    let mut surviving = BTreeMap::new();
    // A directory comes before what lies in it.
    for (path, named) in chosen {
        let parent = parent_of(path);
        if parent != OUTSIDE && !matches!(surviving.get(parent), Some(Named::Directory)) {
            continue;
        }
        match named {
            Some(Named::Directory) => surviving.insert(path.to_owned(), Named::Directory),
            Some(Named::File(node)) => surviving.insert(path.to_owned(), Named::File(copy_of(&files, node))),
            None => None,
        };
    }
    Names::durable(surviving, is_tracked)
}
