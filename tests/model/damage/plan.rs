//! All changes there are, in an order in which every beginning is an even sample of them.

use super::change::{Change, Kind};
use super::expected::Expected;
use super::look::{Look, Outcome, Violation};
use super::real::inspect;
use super::subject::Subject;
use super::table::Table;
use std::path::{Path, PathBuf};

/// All changes to all subjects, numbered.
pub(crate) struct Plan {
    subjects: Vec<Subject>,
    seed: u64,
    kinds: Vec<Lot>,
    closeness: Closeness,
    /// A directory of the real disk.
    scratch: PathBuf,
}

/// All changes of one kind.
struct Lot {
    kind: Kind,
    groups: Vec<Group>,
    count: u64,
    /// Shares no factor with the count: multiples of it come by every number once.
    stride: u64,
}

/// The changes of a kind to one subject, with `live` kept or gone.
struct Group {
    subject: usize,
    is_live_gone: bool,
    count: u64,
}

/// How many bundles of several changes there are, in all subjects together.
const BUNDLES: u64 = 200_000;

/// How closely is looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closeness {
    /// One in so many changes is looked at in every way of reading there is.
    pub(crate) ways_every: u64,
    /// One in so many is verified and salvaged too, on the real disk.
    pub(crate) salvage_every: u64,
}

impl Plan {
    pub(crate) fn new(subjects: Vec<Subject>, seed: u64, closeness: Closeness, scratch: &Path) -> Plan {
        let several = BUNDLES / subjects.len() as u64;
        let kinds = Kind::SINGLE.into_iter().chain([Kind::Several]);
        let kinds = kinds.map(|kind| Lot::new(kind, &subjects, several)).collect();
        Plan { subjects, seed, kinds, closeness, scratch: scratch.to_owned() }
    }

    pub(crate) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// How many changes there are.
    pub(crate) fn count(&self) -> u64 {
        self.kinds.iter().map(|lot| lot.count).sum()
    }

    /// Makes the changes with these numbers and notes what came of each.
    pub(crate) fn run(&self, numbers: std::ops::Range<u64>, table: &mut Table) {
        for number in numbers.start..numbers.end.min(self.count()) {
            self.run_one(number, table);
        }
    }

    fn run_one(&self, number: u64, table: &mut Table) {
        let (kind, subject, change) = self.change(number);
        let is_thorough = number.is_multiple_of(self.closeness.ways_every);
        let scratch = self.scratch.join(number.to_string());
        let is_salvaged = number.is_multiple_of(self.closeness.salvage_every);
        if let Some(outcome) = try_change(subject, &change, is_thorough, is_salvaged.then_some(&scratch)) {
            table.note(kind, subject.name, outcome, || {
                format!("change {number} of seed {}, to `{}`: {change}", self.seed, subject.name)
            });
        }
    }

    /// The change with a number, and what it is made to.
    pub(crate) fn change(&self, number: u64) -> (Kind, &Subject, Change) {
        let (lot, nth) = self.turn(number);
        let (group, index) = lot.locate(nth, self.seed);
        let subject = &self.subjects[group.subject];
        let index = if lot.kind == Kind::Several { index ^ self.seed << 32 } else { index };
        let mut change = lot.kind.nth(subject, group.is_live_gone, index);
        if group.is_live_gone {
            change.lose_live();
        }
        (lot.kind, subject, change)
    }

    /// The kinds take turns for as long as they last.
    fn turn(&self, mut number: u64) -> (&Lot, u64) {
        let mut lots: Vec<&Lot> = self.kinds.iter().collect();
        lots.sort_by_key(|lot| lot.count);
        let mut done = 0;
        for (index, shortest) in lots.iter().enumerate() {
            let turns = (shortest.count - done) * (lots.len() - index) as u64;
            if number < turns {
                let left = (lots.len() - index) as u64;
                return (lots[index + (number % left) as usize], done + number / left);
            }
            number -= turns;
            done = shortest.count;
        }
        panic!("there are fewer changes than that");
    }
}

impl Lot {
    fn new(kind: Kind, subjects: &[Subject], several: u64) -> Lot {
        let mut groups = Vec::new();
        for (subject, of) in subjects.iter().enumerate() {
            for is_live_gone in [false, true] {
                let count = if kind == Kind::Several { several / 2 } else { kind.count(of, is_live_gone) };
                groups.push(Group { subject, is_live_gone, count });
            }
        }
        let count = groups.iter().map(|group| group.count).sum();
        // A part of the golden ratio: the first so many multiples of it lie evenly, whatever their number.
        let mut stride = (count as f64 * 0.618_034) as u64 | 1;
        while common_factor(stride, count) != 1 {
            stride += 2;
        }
        Lot { kind, groups, count, stride }
    }

    fn locate(&self, nth: u64, seed: u64) -> (&Group, u64) {
        let mixed = u128::from(nth) * u128::from(self.stride) + u128::from(seed % self.count);
        let mut index = (mixed % u128::from(self.count)) as u64;
        for group in &self.groups {
            if index < group.count {
                return (group, index);
            }
            index -= group.count;
        }
        panic!("there are fewer changes than that");
    }
}

fn common_factor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_factor(b, a % b) }
}

/// Makes a change to a copy of a subject and looks at what comes of it; on the real disk too where there is a directory for
/// that. Nothing where it changed nothing, or left a log of which nobody can say whose it is.
pub(crate) fn try_change(
    subject: &Subject,
    change: &Change,
    is_thorough: bool,
    scratch: Option<&Path>,
) -> Option<Result<Outcome, Violation>> {
    let changed = change.make(&subject.files);
    if changed.iter().all(|(path, bytes)| subject.files.get(path) == bytes.as_ref()) {
        return None;
    }
    let expected = Expected::of(subject, &changed);
    if expected.is_another {
        return None;
    }
    let disk = subject.copy();
    for (path, bytes) in &changed {
        match bytes {
            Some(bytes) => disk.write_file(path, bytes),
            None => {
                disk.remove_file(path);
            }
        }
    }
    let outcome = Look { subject, expected: &expected }.take(&disk, is_thorough);
    let inspected = scratch.map_or(Ok(()), |scratch| inspect(subject, &changed, &expected, scratch));
    Some(outcome.and_then(|outcome| inspected.map(|()| outcome)))
}
