//! A disk on which writes and flushes fail for a while, under a real file system. What that one does about it differs:
//! it says so once and shows afterwards what the disk does not have, or stops being written, or gives up altogether.

use super::Checked;
use super::cuts::{Below, Ground, over_and_over};
use super::rig::Kind;
use crate::model::{Chance, Choices, Fate, Storm};
use crate::other::describe;
use crate::run::Extent;
use scorebook::{Error, ErrorKind, EventStore, Options, ReadMode};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// Lets the disk fail, over and over.
pub(crate) fn faults(extent: Extent) -> bool {
    over_and_over("diskfaults", &Kind::ALL, extent, Below::Disk, cycle)
}

/// The same on a disk that has no room of its own left: what it was not given before, it cannot take.
pub(super) fn thin(kind: Kind, seed: u64) -> Checked {
    const CYCLES: usize = 5;
    let mut ground = Ground::new(kind, Below::Pool, seed);
    (0..CYCLES).for_each(|_| cycle(&mut ground));
    Ok(format!("{CYCLES} times: {:?}", ground.heard()))
}

/// At most so many gusts are waited for until a failure is noticed: it may strike what nobody waits for.
const GUSTS_MAX: usize = 8;

/// The disk fails, and heals; the store is opened again in place; the power is cut, and it is opened once more.
fn cycle(ground: &mut Ground) {
    ground.begin();
    let path = ground.path();
    let context = format!("fault {} of seed {} in {}", ground.life, ground.seed, path.display());
    let options = options(&mut ground.chance);
    let store = options.open(&path).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
    let storm = Storm { is_positioned: true, ..Storm::new(ground.chance.next(), ground.life) };
    let attempts = AtomicU64::new(0);
    let blow = |ground: &mut Ground| {
        let lines = Mutex::new(Vec::new());
        let tell = |line: &str| lines.lock().expect("nobody panics with it").push(line.to_owned());
        let outcome = storm.gust(&store, &mut ground.chance, &attempts, &tell);
        lines.into_inner().expect("nobody panicked with it").iter().for_each(|line| ground.ledger.hear(line));
        outcome
    };
    blow(ground).unwrap_or_else(|error| panic!("before anything fails: {}, {context}", describe(&error)));
    let told = arm(ground);
    let context = format!("{context}, {told}");
    let failure = (0..GUSTS_MAX).find_map(|_| blow(ground).err());
    if let Some(error) = &failure {
        check_told(error, &context);
        check_reads_go_on(ground, &store, &context);
    }
    let failed = ground.heal();
    assert!(failed != 0 || failure.is_none(), "the store failed and the disk did not, {context}: {failure:?}");
    ground.note(match (&failure, failed) {
        (Some(error), _) => format!("{:?}", error.kind()),
        (None, 0) => "did not fail".to_owned(),
        (None, _) => "not noticed".to_owned(),
    });
    match store.reopen() {
        Ok(report) => {
            assert!(report.damage().is_empty(), "{report}, {context}");
            match ground.ledger.try_check(&store, Fate::PowerCut, &context) {
                // What is shown now was copied and synced, whatever the page cache had said.
                Ok(found) => ground.ledger.settle(found),
                Err(error) => check_gave_up(ground, &error, &context),
            }
            if let Err(error) = blow(ground) {
                // The file system has given up meanwhile.
                check_told(&error, &context);
                ground.note("failed again after reopening".to_owned());
            }
        }
        Err(error) => {
            // The file system has given up: the store says so, and shows what it had shown before.
            assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(&error));
            ground.note("not reopened".to_owned());
        }
    }
    if ground.chance.one_in(2) {
        let _ = store.close();
    }
    let is_cut = ground.chance.one_in(2);
    if is_cut {
        ground.cut();
    }
    drop(store);
    ground.restore();
    ground.look(&format!("{context}, mounted again{}", if is_cut { " after a power cut" } else { "" }));
}

fn options(chance: &mut Chance) -> Options {
    EventStore::options().read_mode(ReadMode::Positioned).segment_bytes_max(*chance.pick(&[32, 64, 256]) * 1024)
}

/// Lets some of the next calls fail; how, for the record.
fn arm(ground: &mut Ground) -> String {
    if ground.is_thin() {
        ground.fill_pool();
        return "no room below".to_owned();
    }
    let after = ground.chance.below(12) as u64;
    let count = *ground.chance.pick(&[1, 1, 1, 2, 5, u64::MAX]);
    let is_write = !ground.chance.one_in(3);
    let disk = ground.disk.as_mut().expect("there is a disk below");
    if is_write {
        disk.fail_writes(after, count);
    } else {
        disk.fail_flushes(after, count);
    }
    format!("after {after} {} {count} fail", if is_write { "writes" } else { "flushes" })
}

/// The failure is one of those that say what happened.
fn check_told(error: &Error, context: &str) {
    let kinds = [ErrorKind::OutcomeUnknown, ErrorKind::Poisoned, ErrorKind::Io];
    assert!(kinds.contains(&error.kind()), "{}, {context}", describe(error));
}

/// What was visible can still be read, unless the file system reads nothing any more.
fn check_reads_go_on(ground: &mut Ground, store: &EventStore, context: &str) {
    if let Err(error) = ground.ledger.try_check(store, Fate::PowerCut, context) {
        check_gave_up(ground, &error, context);
    }
}

/// The file system reads nothing any more, which may happen at any moment once its disk has failed.
fn check_gave_up(ground: &mut Ground, error: &Error, context: &str) {
    assert_eq!(error.kind(), ErrorKind::Io, "{}, {context}", describe(error));
    ground.note("nothing can be read".to_owned());
}
