//! The lane over damage: every change of bytes and files of several stores.

use crate::model::damage::{Closeness, Plan, Subject, Table, replace_files};
use crate::run::{Extent, Run};
use std::sync::Mutex;

/// How many changes make a piece of work.
const PIECE: u64 = 50;

/// How closely is looked.
const CLOSENESS: Closeness = Closeness { ways_every: 32, salvage_every: 2_048 };

/// Every change there is, in an order in which every beginning is an even sample of all kinds; it ends with the last one.
pub(crate) fn damage(extent: Extent) -> bool {
    let scratch = tempfile::tempdir().expect("a directory");
    let subjects = Subject::all(extent.seed, scratch.path());
    let run = Run::new("damage", "changes", extent);
    let table = Mutex::new(Table::default());
    // Adds what a piece of work found, and breaks off where something was not right.
    let add = |found: Table| {
        let (tried, violations, told) = (found.tried(), found.violations(), found.told().join("\n"));
        table.lock().expect("nobody panics with it").add(found);
        assert!(violations == 0, "{told}");
        tried
    };
    let plan = Plan::new(subjects, extent.seed, CLOSENESS, scratch.path());
    println!("{} changes in all", plan.count());
    run.spread(|number| {
        let mut found = Table::default();
        let Some(piece) = number.checked_sub(1) else {
            replace_files(plan.subjects(), scratch.path(), &mut found);
            return Some(add(found));
        };
        let first = piece * PIECE;
        plan.run(first..first + PIECE, &mut found);
        (first < plan.count()).then(|| add(found))
    });
    println!("{}", table.lock().expect("nobody panics with it"));
    run.end()
}
