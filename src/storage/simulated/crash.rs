//! What is left of a simulated disk after the power was cut.

use super::content::Item;
use super::file::Node;
use super::history::History;
use super::machine::SplitMix;
use super::names::{Named, Names, copy_of, rooted};
use crate::sync::Arc;
use std::collections::BTreeMap;

/// Which of the things that are not durable survive a power cut.
///
/// They are numbered from 0 in a fixed order: names by their path, then, file by file, the size and the sectors.
/// [`describe_pending`](super::SimulatedDisk::describe_pending) lists them. A removal that is lost brings the file
/// back; a file whose name is lost is gone, and so is all that lies in a directory whose name is. However many zeros a
/// file is filled with where nothing was, they are one thing: its size.
///
/// ```
/// use scorebook::testing::{CrashChoice, SimulatedDisk};
/// use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, StreamName};
/// # fn main() -> Result<(), scorebook::Error> {
/// let disk = SimulatedDisk::new(7);
/// let store = EventStore::options().durability(Durability::Written).open_simulated(&disk)?;
/// let game = StreamName::new("game-42")?;
/// for number in 0..3 {
///     let guess = NewEvent::bytes("guessed", vec![number; 1_000]);
///     store.append(&game, ExpectedVersion::Any, [guess]).wait().map_err(|error| error.into_error())?;
/// }
/// // Whatever the power cut leaves of what was only written, the store opens and holds a prefix.
/// for prefix in 0..=disk.pending_changes() {
///     let store = EventStore::options().open_simulated(&disk.crash(&CrashChoice::Prefix(prefix)))?;
///     assert!((1..=3).contains(&store.head()?.get()));
/// }
/// # Ok(())
/// # }
/// ```
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
    /// The first so many changes in the order in which they were made, as if everything had been on its way to the disk
    /// one after the other. A thing that changed several times comes back as it was then. There are
    /// [`pending_changes`](super::SimulatedDisk::pending_changes); a write is a change of the size, where the file grows,
    /// and then one of each sector.
    Prefix(usize),
    /// Everything but this one.
    AllBut(usize),
    /// Nothing but this one.
    Only(usize),
    /// As `Seeded`, and a sector may also begin as one and end as another of the versions it had. No disk that is sold
    /// today does this, and the store does not claim to survive it.
    Torn(u64),
}

/// Decides about one pending thing after the other.
pub(super) struct Decider<'a> {
    choice: &'a CrashChoice,
    number: usize,
    random: SplitMix,
    /// The changes from this one on are lost, where the choice is about changes.
    lost_from: u64,
}

impl<'a> Decider<'a> {
    pub(super) fn new(choice: &'a CrashChoice, names: &Names) -> Decider<'a> {
        let (mut seed, mut lost_from) = (0, 0);
        match choice {
            CrashChoice::Seeded(from) | CrashChoice::Torn(from) => seed = *from,
            CrashChoice::Prefix(kept) => {
                let mut changes: Vec<u64> = pending(names).into_iter().flat_map(|thing| thing.changes).collect();
                changes.sort_unstable();
                lost_from = changes.get(*kept).copied().unwrap_or(u64::MAX);
            }
            _ => {}
        }
        Decider { choice, number: 0, random: SplitMix(seed), lost_from }
    }

    /// The index of the version that survives.
    pub(super) fn decide<T>(&mut self, history: &History<T>) -> usize {
        let (number, earlier) = (self.number, history.len());
        self.number += 1;
        let is_kept = match self.choice {
            CrashChoice::LoseAll => false,
            CrashChoice::KeepAll => true,
            CrashChoice::Seeded(_) | CrashChoice::Torn(_) => return self.draw(earlier),
            CrashChoice::Mask(mask) => number < 64 && mask >> number & 1 == 1,
            CrashChoice::Prefix(_) => return history.before(self.lost_from),
            CrashChoice::AllBut(lost) => number != *lost,
            CrashChoice::Only(kept) => number == *kept,
        };
        if is_kept { earlier } else { 0 }
    }

    /// Three times in eight the present version, as often the durable one, else any.
    fn draw(&mut self, earlier: usize) -> usize {
        let random = self.random.next();
        match random % 8 {
            0..3 => earlier,
            3..6 => 0,
            _ => ((random >> 3) % (earlier as u64 + 1)) as usize,
        }
    }

    /// Where sectors tear: the version this one ends as, and the byte from which on it does.
    pub(super) fn tear<T>(&mut self, history: &History<T>) -> Option<(usize, usize)> {
        let is_torn = matches!(self.choice, CrashChoice::Torn(_)) && self.random.next().is_multiple_of(2);
        is_torn.then(|| (self.draw(history.len()), (self.random.next() % super::pages::SECTOR_BYTES as u64) as usize))
    }
}

/// Something that a power cut could lose.
pub(super) struct Thing<'a> {
    pub(super) path: &'a str,
    pub(super) item: Item,
    /// The numbers of the changes that are not durable.
    pub(super) changes: Vec<u64>,
}

/// Everything that a power cut could lose, in the order in which it is decided.
pub(super) fn pending(names: &Names) -> Vec<Thing<'_>> {
    let of_names = names.pending().map(|(path, history)| (&**path, Item::Name, history.changes().collect()));
    let of_files = names.nodes().into_iter().flat_map(|(path, node)| {
        let things = node.content.read().pending();
        things.into_iter().map(move |(item, changes)| (path, item, changes))
    });
    of_names.chain(of_files).map(|(path, item, changes)| Thing { path, item, changes }).collect()
}

/// The names, and the files they stand for, after a power cut.
pub(super) fn survivors(names: &Names, is_tracked: bool, decider: &mut Decider<'_>) -> Names {
    let mut chosen: BTreeMap<Arc<str>, Named> = names.current().clone();
    let mut choose = |path: &Arc<str>, named: &Option<Named>| match named {
        Some(named) => drop(chosen.insert(path.clone(), named.clone())),
        None => drop(chosen.remove(path)),
    };
    for (path, history) in names.pending() {
        if let Some(version) = history.get(decider.decide(history)) {
            choose(path, version);
        }
    }
    for (path, truth) in names.apart() {
        choose(path, truth);
    }
    // Also about files that will have no name: what a number means must not depend on what was chosen before.
    let files: Vec<(&Arc<Node>, Arc<Node>)> = names
        .nodes()
        .into_iter()
        .map(|(_, node)| (node, Node::with_content(node.content.read().survivor(decider))))
        .collect();
    for named in chosen.values_mut() {
        if let Named::File(node) = named {
            *node = copy_of(&files, node);
        }
    }
    Names::durable(rooted(chosen), is_tracked)
}
