//! Crashes as a loop: every story is stopped at every operation that changes the disk, and what a power cut or a kill may
//! leave there is opened and compared; then the same again, one deeper, for every operation of that recovery.

use super::chance::{Chance, Choices};
use super::expected::Model;
use super::operation::{Part, part};
use super::stories::Story;
use super::world::{World, options};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{CloseState, Durability, ErrorKind, EventStore};
use std::fmt;

/// How many states are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thoroughness {
    /// All subsets of the pending things are looked at up to this many.
    pub(crate) masks_up_to: usize,
    /// Where there are more: each thing alone, each one missing and every prefix, up to so many of each; the others by
    /// chance.
    pub(crate) singles: usize,
    /// And so many by seed.
    pub(crate) seeded: usize,
    /// Of one in so many operations, states are looked at two deep: 0 for none.
    pub(crate) deep_one_in: usize,
    /// So many states of an operation are recovered from,
    pub(crate) deep_firsts: usize,
    /// stopped at one in so many operations of that recovery,
    pub(crate) deep_stop_one_in: usize,
    /// and so many states looked at there.
    pub(crate) deep_seconds: usize,
}

impl Thoroughness {
    /// Everything that is asked for.
    pub(crate) const FULL: Thoroughness = Thoroughness {
        masks_up_to: 8,
        singles: usize::MAX,
        seeded: 64,
        deep_one_in: 1,
        deep_firsts: 8,
        deep_stop_one_in: 1,
        deep_seconds: 8,
    };

    /// A sample by seed: a tenth of that.
    pub(crate) const SAMPLE: Thoroughness = Thoroughness {
        masks_up_to: 5,
        singles: 4,
        seeded: 8,
        deep_one_in: 4,
        deep_firsts: 2,
        deep_stop_one_in: 2,
        deep_seconds: 3,
    };
}

/// How many operations change the disk while a story is told.
pub(crate) fn operations_of(story: &Story, seed: u64) -> u64 {
    let whole = World::tell(&story.operations, seed, None);
    survive(whole.disk.kill(), &whole.model, whole.visible, &story.name);
    whole.mutations()
}

/// Stops a story at one of its operations, and looks at what that may leave. Gives the number of states.
pub(crate) fn stop_and_look(story: &Story, seed: u64, stop_at: u64, how: Thoroughness) -> u64 {
    let mut chance = Chance(seed ^ stop_at.wrapping_mul(0x9E37_79B9));
    let world = World::tell(&story.operations, seed, Some(stop_at));
    let (disk, model) = (&world.disk, &world.model);
    let least = model.least_after_power_cut();
    let mut states = 0;
    for choice in choices(disk, &mut chance, how) {
        let whence = Whence { story: story.name, seed, stop_at, then: &choice, again: None };
        let crashed = disk.crash(&choice);
        match chance.below(8) {
            // The log alone tells what counts; `live` is only one more witness.
            0 | 1 => drop(crashed.remove_file("live")),
            2 => look_only(&crashed, model, least, &whence),
            _ => {}
        }
        survive(crashed, model, least, &whence);
        states += 1;
    }
    let whence = Whence { story: story.name, seed, stop_at, then: &"killed", again: None };
    survive(disk.kill(), model, model.least_after_kill(), &whence);
    states += 1;
    if how.deep_one_in != 0 && chance.below(how.deep_one_in) == 0 {
        states += crash_again(disk.kill(), (model, model.least_after_kill()), &whence, &mut chance, how);
        for _ in 1..how.deep_firsts {
            let choice = CrashChoice::Seeded(chance.next());
            let whence = Whence { then: &choice, again: None, ..whence };
            states += crash_again(disk.crash(&choice), (model, least), &whence, &mut chance, how);
        }
    }
    states
}

/// The states that are looked at: all where few things are pending, else the extremes, the singles and a sample.
pub(super) fn choices(disk: &SimulatedDisk, chance: &mut Chance, how: Thoroughness) -> Vec<CrashChoice> {
    let items = disk.pending_items();
    if items <= how.masks_up_to {
        return (0..1 << items).map(CrashChoice::Mask).collect();
    }
    let mut all = vec![CrashChoice::LoseAll, CrashChoice::KeepAll];
    for make in [CrashChoice::AllBut, CrashChoice::Only, CrashChoice::Prefix] {
        if items <= how.singles {
            all.extend((0..items).map(make));
        } else {
            all.extend((0..how.singles).map(|_| make(chance.below(items))));
        }
    }
    all.extend((0..how.seeded).map(|_| CrashChoice::Seeded(chance.next())));
    all
}

/// Cuts the power a second time, at every operation of recovering from the first and of the first append after that.
fn crash_again(
    crashed: SimulatedDisk,
    (model, least): (&Model, usize),
    first: &Whence<'_>,
    chance: &mut Chance,
    how: Thoroughness,
) -> u64 {
    let again = |stop_at: Option<u64>| {
        let mut world = World::on(crashed.kill(), model.clone());
        world.stop_at(stop_at);
        if world.open(least).is_ok() {
            world.disk.set_capacity(None);
            world.append(&[vec![part(1, 1, 30)]], Durability::Synced);
        }
        world
    };
    let operations = again(None).mutations();
    let mut states = 0;
    for stop_at in 1..=operations {
        if 1 < how.deep_stop_one_in && chance.below(how.deep_stop_one_in) != 0 {
            continue;
        }
        let world = again(Some(stop_at));
        for number in 0..how.deep_seconds {
            let choice = match number {
                0 => CrashChoice::LoseAll,
                1 => CrashChoice::KeepAll,
                _ => CrashChoice::Seeded(chance.next()),
            };
            let whence = Whence { again: Some((stop_at, choice.clone())), ..*first };
            survive(world.disk.crash(&choice), &world.model, world.model.least_after_power_cut(), &whence);
            states += 1;
        }
    }
    states
}

/// A reader that changes nothing finds what recovery will find, and no damage.
pub(crate) fn look_only(disk: &SimulatedDisk, model: &Model, least: usize, whence: &dyn fmt::Display) {
    let before = disk.contents();
    match EventStore::options().open_simulated_read_only(disk) {
        Ok(store) => {
            assert_eq!(store.recovery_report().damage(), [], "{whence}: a crash is no damage");
            model.check(&store, least, whence);
        }
        Err(error) => assert!(least == 0 && error.kind() == ErrorKind::StoreNotFound, "{whence}: {error:?}"),
    }
    assert!(disk.contents() == before, "{whence}: reading changed something");
}

/// What is appended after every crash: the log must go on.
const AFTERWARDS: &[Part] = &[part(1, 1, 20), part(9, 1, 5)];

/// Opens what a crash left, compares it, appends, closes, opens again and compares again.
pub(crate) fn survive(disk: SimulatedDisk, model: &Model, least: usize, whence: &dyn fmt::Display) {
    // Where the disk was full it may be full while it opens; there is room afterwards, and the store goes on by itself.
    let store = match options().open_simulated(&disk) {
        Ok(store) => store,
        Err(error) => panic!("{whence}: opening: {error:?}\n{}", disk.trace().join("\n")),
    };
    let there = model.check(&store, least, whence);
    let mut world = World::on(disk, model.clone());
    world.disk.set_capacity(None);
    world.continue_with(store, there);
    let answers = world.append(&[AFTERWARDS.to_vec()], Durability::Synced);
    assert_eq!(answers, [None], "{whence}: appending after recovery");
    world.store().close().unwrap_or_else(|error| panic!("{whence}: closing: {error:?}"));
    let store = options().open_simulated(&world.disk).unwrap_or_else(|error| panic!("{whence}: again: {error:?}"));
    world.model.check(&store, world.model.len(), whence);
    let report = store.recovery_report();
    assert_eq!(report.close_state(), CloseState::Clean, "{whence}: {report}");
    assert_eq!((report.copied_events(), report.torn_tail()), (0, None), "{whence}: {report}");
}

/// Where a comparison stands: the text of a failed one.
struct Whence<'a> {
    story: &'a str,
    seed: u64,
    stop_at: u64,
    then: &'a dyn fmt::Debug,
    again: Option<(u64, CrashChoice)>,
}

impl fmt::Display for Whence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "story `{}`, seed {}, stopped at mutation {}, {:?}", self.story, self.seed, self.stop_at, self.then)?;
        match &self.again {
            Some((stop_at, choice)) => {
                write!(f, ", then at mutation {stop_at} of recovery, {choice:?}")
            }
            None => Ok(()),
        }
    }
}
