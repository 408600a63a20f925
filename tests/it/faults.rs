//! Faults: syncs and writes that fail, a disk that is full, a clock that jumps.

use crate::model::{Chance, Choices, Operation, Part, World, append, is_derived, options, part, seed, survive, write};
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, Mischief, SimulatedDisk, SyncFailure};
use scorebook::{Durability, ErrorKind, EventStore, Status, Timestamp};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Batches that are queued together.
type Batches = &'static [&'static [Part]];

const ONE: Batches = &[&[part(1, 1, 40)]];
const FEW: Batches = &[&[part(1, 2, 60), part(2, 1, 10)], &[part(1, 1, 0)]];
const BIG: Batches = &[&[part(3, 1, 9_000)], &[part(3, 1, 9_000)]];

/// What the tests of failing operations do: a first append, rolling over, a session, a tail that is copied.
fn program() -> Vec<Operation> {
    vec![
        append(ONE),
        append(FEW),
        append(BIG),
        append(BIG),
        append(ONE),
        Operation::Close,
        append(BIG),
        write(FEW),
        Operation::Flush,
        Operation::Rest,
        append(FEW),
    ]
}

/// Appends batches that are to be synced. The errors that were answered, by batch.
fn append_now(world: &mut World, batches: Batches) -> Vec<Option<ErrorKind>> {
    world.append(&batches.iter().map(|batch| batch.to_vec()).collect::<Vec<_>>(), Durability::Synced)
}

/// What became of a program under a fault.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It met no trouble, or only such as is nobody's business.
    Well,
    /// Opening failed.
    Unopened(ErrorKind),
    /// An append was refused, and the store was fine.
    Refused(ErrorKind),
    /// The store latched.
    Latched,
}

/// How often an operation of this kind occurs in the whole program.
fn count(operation: DiskOperation) -> u64 {
    run(&program(), |_| {}).0.disk.kind_count(operation)
}

fn tell(operations: &[Operation]) -> World {
    World::tell(operations, seed(), None)
}

/// Runs a program on a disk that was told something, until there is trouble.
fn run(operations: &[Operation], tell: impl FnOnce(&SimulatedDisk)) -> (World, Ended) {
    let mut world = World::new(seed());
    world.trouble(tell);
    let ended = open(&mut world).or_else(|| operations.iter().find_map(|operation| act(&mut world, operation)));
    (world, ended.unwrap_or(Ended::Well))
}

fn open(world: &mut World) -> Option<Ended> {
    match options().open_simulated(&world.disk) {
        Ok(store) => {
            world.continue_with(store, world.model.len());
            None
        }
        Err(error) => Some(Ended::Unopened(error.kind())),
    }
}

/// Does one thing and compares nothing. What became of the program if it ends here.
fn act(world: &mut World, operation: &Operation) -> Option<Ended> {
    let store = world.store();
    let trouble = match operation {
        Operation::Append(batches, durability) => world.append(batches, *durability).into_iter().flatten().next(),
        Operation::Flush => match store.flush() {
            Ok(()) => {
                world.model.all_synced();
                None
            }
            Err(error) => Some(error.kind()),
        },
        Operation::Close => match store.close() {
            Ok(()) => {
                world.model.all_synced();
                return open(world);
            }
            Err(error) => Some(error.kind()),
        },
        Operation::Rest => {
            world.disk.advance(Duration::from_millis(60));
            store.keep_house();
            None
        }
        other => panic!("no program here does this: {other:?}"),
    };
    match trouble {
        Some(ErrorKind::OutcomeUnknown | ErrorKind::Poisoned) => Some(Ended::Latched),
        Some(kind) => Some(Ended::Refused(kind)),
        None => (world.store().status() == Status::Poisoned).then_some(Ended::Latched),
    }
}

/// What becomes of what a failed sync should have made durable, and when the system forgets what only it had.
#[derive(Clone, Copy, Debug)]
struct Loss {
    failure: SyncFailure,
    is_forgotten: bool,
}

impl Loss {
    const NONE: Loss = Loss { failure: SyncFailure::Keep, is_forgotten: false };

    fn all() -> impl Iterator<Item = Loss> + Clone {
        let all = SyncFailure::all(seed()).into_iter().chain([SyncFailure::Mix(seed() + 1)]);
        all.flat_map(|failure| [false, true].map(|is_forgotten| Loss { failure, is_forgotten }))
    }

    /// How many batches must be there although nothing but a sync has failed. What was only written may be gone where
    /// readers see what the disk has.
    fn least(self, world: &World) -> usize {
        let is_kept = matches!(self.failure, SyncFailure::Keep | SyncFailure::Complete);
        let is_seen = !self.is_forgotten && self.failure != SyncFailure::Revert;
        if is_kept || is_seen { world.model.least_after_kill() } else { world.model.least_after_power_cut() }
    }
}

/// A store that latched refuses, reads, and after reopening holds all that was acknowledged, for good.
fn check_latched(mut world: World, loss: Loss, whence: &str) {
    let store = world.store();
    let said = world.model.least_after_kill();
    for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(seed())] {
        let whence = format!("{whence}, then the power was cut: {choice:?}");
        survive(world.disk.crash(&choice), &world.model, world.model.least_after_power_cut(), &whence);
    }
    if store.status() != Status::Closed {
        assert_eq!(store.status(), Status::Poisoned, "{whence}");
        if loss.failure == SyncFailure::Revert {
            check_named(&store, whence);
        } else {
            let there = world.model.check(&store, said, &whence);
            assert_eq!(there, said, "{whence}: what was not acknowledged is not visible");
        }
        for kind in append_now(&mut world, FEW) {
            assert_eq!(kind, Some(ErrorKind::Poisoned), "{whence}: an append behind the failure");
        }
        assert_eq!(store.flush().map_err(|error| error.kind()), Err(ErrorKind::Poisoned), "{whence}");
        if loss.is_forgotten {
            world.disk.drop_caches();
        }
        check_named(&store, whence);
    }
    let least = loss.least(&world);
    check_next_process(&world, least, whence);
    world.disk.heal();
    if let Err(error) = store.reopen() {
        panic!("{whence}: reopening: {error:?}");
    }
    let there = world.model.check(&store, least, &whence);
    assert_eq!(store.status(), Status::Writing, "{whence}");
    world.heal();
    world.continue_with(store, there);
    // What was found by reopening is durable, also where the system showed bytes that the disk did not have.
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, there, &format!("{whence}, reopened, power cut"));
    assert_eq!(append_now(&mut world, FEW), [None, None], "{whence}: appending after reopening");
    let all = world.model.len();
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all, &format!("{whence}, appended, power cut"));
}

/// What cannot be read any more is named, by place.
fn check_named(store: &EventStore, whence: &str) {
    if let Some(error) = store.read_all().iter().find_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::Damaged, "{whence}: {error:?}");
        assert!(error.to_string().contains("byte"), "{whence}: {error:?}");
    }
}

/// Another process opens the store on the same machine, and appends: what it says is synced is there after a power cut.
fn check_next_process(world: &World, least: usize, whence: &str) {
    let whence = format!("{whence}, then killed");
    let mut next = World::on(world.disk.kill(), world.model.clone());
    assert!(next.open(least).is_ok());
    assert_eq!(append_now(&mut next, FEW), [None, None], "{whence}: appending");
    let all = next.model.len();
    survive(next.disk.crash(&CrashChoice::LoseAll), &next.model, all, &format!("{whence}, appended, power cut"));
}

/// A store that only refused goes on by itself.
fn check_refused(mut world: World, whence: &str) {
    let store = world.store();
    world.model.check(&store, world.model.len(), &whence);
    world.disk.heal();
    // More than is left of a segment: until room was needed and made, the store would go on saying that there is none.
    for batches in [FEW, BIG, BIG] {
        assert_eq!(append_now(&mut world, batches), [None, None], "{whence}: appending afterwards");
    }
    assert_eq!(store.status(), Status::Writing, "{whence}");
    let all = world.model.len();
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all, &format!("{whence}, then the power was cut"));
}

/// Where opening failed, the next one succeeds.
fn check_unopened(mut world: World, loss: Loss, whence: &str) {
    if loss.is_forgotten {
        world.disk.drop_caches();
    }
    world.disk.heal();
    world.store = None;
    let least = loss.least(&world);
    check_next_process(&world, least, whence);
    survive(world.disk.kill(), &world.model, least, &whence);
    survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
}

fn check(fault: DiskFault, loss: Loss) -> Ended {
    let whence = format!("{fault:?}, {loss:?}");
    let (world, ended) = run(&program(), |disk| {
        disk.set_sync_failure(loss.failure);
        disk.fail(fault);
    });
    check_end(world, &ended, loss, &whence);
    ended
}

fn check_end(world: World, ended: &Ended, loss: Loss, whence: &str) {
    match ended {
        Ended::Well => survive(world.disk.kill(), &world.model, world.model.len(), &whence),
        Ended::Unopened(_) => check_unopened(world, loss, whence),
        Ended::Refused(_) => check_refused(world, whence),
        Ended::Latched => check_latched(world, loss, whence),
    }
}

#[test]
fn a_failed_sync_latches_and_readers_go_on() {
    let mut latched = 0;
    for operation in [DiskOperation::Sync, DiskOperation::SyncDirectory] {
        for nth in 1..=count(operation) {
            for loss in Loss::all() {
                // Full, read-only or broken: the errno of a failed sync makes no difference.
                for error in [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem] {
                    let ended = check(DiskFault::new(operation, error).nth(nth), loss);
                    assert!(!matches!(ended, Ended::Refused(_)), "sync {nth}, {loss:?}, {error:?}: {ended:?}");
                    latched += usize::from(ended == Ended::Latched);
                }
            }
        }
    }
    assert!(30 < latched, "only {latched} failed syncs latched");
}

#[test]
fn whoever_opens_after_a_failed_sync_may_die_at_any_moment_too() {
    let mut chance = Chance(seed());
    for operation in [DiskOperation::Sync, DiskOperation::SyncDirectory] {
        for nth in 1..=count(operation) {
            for loss in Loss::all() {
                let fault = DiskFault::new(operation, io::ErrorKind::Other).nth(nth);
                let whence = format!("{fault:?}, {loss:?}");
                let (world, _) = run(&program(), |disk| {
                    disk.set_sync_failure(loss.failure);
                    disk.fail(fault);
                });
                if loss.is_forgotten {
                    world.disk.drop_caches();
                }
                let open_again = |stop_at: Option<u64>| {
                    let mut next = World::on(world.disk.kill(), world.model.clone());
                    stop_at.into_iter().for_each(|mutation| next.disk.stop_at(mutation));
                    if next.open(0).is_ok() {
                        append_now(&mut next, FEW);
                    }
                    next
                };
                let operations = open_again(None).disk.mutations() as usize;
                for _ in 0..2 {
                    check_stopped(&open_again(Some(1 + chance.below(operations) as u64)), &whence);
                }
            }
        }
    }
}

/// A process died while it opened a store: another one finds all that was acknowledged, on the same machine and after a
/// power cut.
fn check_stopped(world: &World, whence: &str) {
    assert!(world.disk.has_stopped(), "{whence}");
    let whence = format!("{whence}, then stopped at mutation {}", world.disk.mutations());
    let least = world.model.least_after_power_cut();
    for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(seed())] {
        let whence = format!("{whence}, then the power was cut: {choice:?}");
        survive(world.disk.crash(&choice), &world.model, least, &whence);
    }
    world.disk.heal();
    check_next_process(world, least, &whence);
}

#[test]
fn a_failing_or_short_write_into_made_room_latches() {
    let mut ends = BTreeMap::new();
    for nth in 1..=count(DiskOperation::Write) {
        let fault = DiskFault::new(DiskOperation::Write, io::ErrorKind::Other);
        let failing = [0, 1, 47, 512, 700, usize::MAX].map(|written| fault.clone().written(written));
        // A call that writes nothing and gives no reason is a failure too.
        for fault in failing.into_iter().chain([DiskFault::short(DiskOperation::Write, 0)]) {
            *ends.entry(format!("{:?}", check(fault.nth(nth), Loss::NONE))).or_insert(0) += 1;
        }
    }
    assert!(30 < ends["Latched"] && 0 < ends["Unopened(Io)"], "{ends:?}");
}

#[test]
fn short_and_interrupted_calls_are_nobodys_business() {
    let (quiet, _) = run(&program(), |_| {});
    for number in 0..40 {
        let (world, ended) = run(&program(), |disk| {
            disk.set_mischief(Some(Mischief::new(seed() + number).short(300).interrupted(200)));
        });
        let whence = format!("mischief {number} of seed {}", seed());
        assert_eq!(ended, Ended::Well, "{whence}");
        assert!(quiet.disk.operations() < world.disk.operations(), "{whence}: nothing was cut short");
        assert!(world.disk.contents() == quiet.disk.contents(), "{whence}: the disk holds something else");
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
    }
}

#[test]
fn whatever_fails_by_chance_is_told_and_mended_by_opening_again() {
    // One batch after the other: where several are queued, a later one may be accepted when the reason to refuse the
    // first is over.
    const TWO: Batches = &[&[part(1, 2, 60), part(2, 1, 10)]];
    const LARGE: Batches = &[&[part(3, 2, 9_000)]];
    let operations = [
        append(ONE),
        append(LARGE),
        append(LARGE),
        append(TWO),
        Operation::Close,
        append(LARGE),
        write(TWO),
        Operation::Flush,
        Operation::Rest,
        append(TWO),
    ];
    let mut ends = BTreeMap::new();
    for (number, loss) in (0..300).zip(Loss::all().cycle()) {
        let mischief = Mischief::new(seed() + number).failing(8).short(100).interrupted(50);
        let (world, ended) = run(&operations, |disk| {
            disk.set_sync_failure(loss.failure);
            disk.set_mischief(Some(mischief));
        });
        // Several things may have failed, the first of them nobody's business.
        world.disk.set_mischief(None);
        check_end(world, &ended, loss, &format!("mischief {number} of seed {}, {loss:?}", seed()));
        *ends.entry(format!("{ended:?}")).or_insert(0) += 1;
    }
    assert!(20 < ends["Latched"] && 5 < ends["Well"] && 5 < ends["Unopened(Io)"], "{ends:?}");
}

#[test]
fn a_disk_without_room_for_another_name_refuses_and_goes_on_by_itself() {
    let whole = tell(&program()).disk.file_names().len() + 2;
    let mut refused = 0;
    for names in 0..=whole + 1 {
        for error in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let whence = format!("room for {names} names, else {error:?}");
            let (world, ended) = run(&program(), |disk| {
                disk.set_names_max(Some(names));
                disk.set_no_room_error(error);
            });
            assert!(
                [Ended::Unopened(ErrorKind::Full), Ended::Refused(ErrorKind::Full), Ended::Well].contains(&ended),
                "{whence}: {ended:?}"
            );
            refused += usize::from(ended == Ended::Refused(ErrorKind::Full));
            if ended == Ended::Refused(ErrorKind::Full) {
                let store = world.store();
                assert_eq!(store.status(), Status::Full, "{whence}");
                world.model.check(&store, world.model.len(), &whence);
            }
            world.disk.set_names_max(None);
            check_end(world, &ended, Loss::NONE, &whence);
        }
    }
    assert!(2 < refused, "only {refused} appends were refused");
}

#[test]
fn a_clock_that_jumps_anywhere_moves_no_time_backwards() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
    // The first and the last time there is, 1970, and days around today.
    let times = [i64::MIN, i64::MAX, 0, -1, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000 - DAY, DAY];
    for number in 0..60 {
        let mut chance = Chance(seed() + number);
        let mut world = World::new(seed());
        let whence = format!("clock {number} of seed {}", seed());
        assert!(world.open(0).is_ok());
        for operation in &program() {
            world.disk.set_time(Timestamp::from_nanos(times[chance.below(times.len())]));
            assert!(world.step(operation).is_ok());
            // Comparing looks at the times as well.
            world.model.check(&world.store(), world.model.len(), &whence);
        }
        world.disk.set_time(Timestamp::from_nanos(times[chance.below(times.len())]));
        survive(world.disk.kill(), &world.model, world.model.len(), &whence);
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
    }
}

#[test]
fn a_failing_create_or_remove_is_refused_or_nobodys_business() {
    for operation in [DiskOperation::Create, DiskOperation::Remove, DiskOperation::Open, DiskOperation::List] {
        for nth in 1..=count(operation) {
            for error in [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
                let ended = check(DiskFault::new(operation, error).nth(nth), Loss::NONE);
                assert_ne!(ended, Ended::Latched, "{operation:?} {nth}, {error:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_by_itself() {
    // At every write, for good: room that is being made is refused, a write into room that was made latches.
    let mut ends = BTreeMap::new();
    for nth in 1..=count(DiskOperation::Write) {
        for written in [0, 600] {
            let fault =
                DiskFault::new(DiskOperation::Write, io::ErrorKind::StorageFull).nth(nth).written(written).repeat();
            *ends.entry(format!("{:?}", check(fault, Loss::NONE))).or_insert(0) += 1;
        }
    }
    assert!(0 < ends["Refused(Full)"] && 0 < ends["Latched"], "{ends:?}");

    // At every size of the disk: only making room can fail then.
    let whole: usize = tell(&program()).disk.contents().values().map(Vec::len).sum();
    let mut refused = 0;
    for capacity in (0..whole + 4096).step_by(2_039) {
        let mut world = World::new(seed());
        world.trouble(|disk| disk.set_capacity(Some(capacity as u64)));
        let whence = format!("a disk of {capacity} bytes");
        assert!(world.open(0).is_ok(), "{whence}");
        for batches in [ONE, FEW, BIG, BIG, ONE, BIG, BIG, FEW] {
            let before = world.model.len();
            for kind in append_now(&mut world, batches).into_iter().flatten() {
                assert_eq!(kind, ErrorKind::Full, "{whence}");
                assert_eq!(world.store().status(), Status::Full, "{whence}");
                refused += 1;
            }
            let least = world.model.len();
            assert!(before <= least);
            world.model.check(&world.store(), least, &whence);
        }
        let all = world.model.len();
        survive(world.disk.kill(), &world.model, all, &format!("{whence}, then killed"));
        survive(
            world.disk.crash(&CrashChoice::LoseAll),
            &world.model,
            all,
            &format!("{whence}, then the power was cut"),
        );
        // It opens and reads without any room, and goes on when there is some.
        assert_eq!(world.store().close().map_err(|error| error.kind()), Ok(()), "{whence}");
        assert_eq!(open(&mut world), None, "{whence}");
        world.disk.set_capacity(None);
        assert_eq!(append_now(&mut world, BIG), [None, None], "{whence}: with room again");
        assert_eq!(world.store().status(), Status::Writing, "{whence}");
        let all = world.model.len();
        survive(world.disk.kill(), &world.model, all, &whence);
    }
    assert!(20 < refused, "only {refused} appends were refused");
}

#[test]
fn a_tail_without_room_to_be_copied_is_read_and_told_and_appends_wait_for_room() {
    let mut world = tell(&[append(ONE), append(BIG), write(FEW)]);
    let all = world.model.len();
    world.disk = world.disk.kill();
    world.disk.remove_file("live");
    // A segment that is ready makes way for the copy: this is about a disk on which nothing can.
    for (path, bytes) in world.disk.contents() {
        if path.ends_with(".log") && bytes[512..].iter().all(|byte| *byte == 0) {
            world.disk.remove_file(&path);
        }
    }
    let used: usize = world.disk.contents().values().map(Vec::len).sum();
    for room in [0, 100, 1_024, 20_000] {
        let mut world = World::on(world.disk.kill(), world.model.clone());
        world.trouble(|disk| disk.set_capacity(Some((used + room) as u64)));
        let whence = format!("with room for {room} bytes");
        let before = log_files(&world.disk);
        assert!(world.open(all).is_ok());
        let store = world.store();
        assert!(store.recovery_report().unproven_events() != 0, "{whence}: {}", store.recovery_report());
        assert_eq!(store.status(), Status::Full, "{whence}");
        for _ in 0..3 {
            assert_eq!(append_now(&mut world, ONE), [Some(ErrorKind::Full)], "{whence}");
            assert_eq!(store.flush().map_err(|error| error.kind()), Err(ErrorKind::Full), "{whence}");
        }
        world.model.check(&store, all, &whence);
        assert!(log_files(&world.disk) == before, "{whence}: nothing changed in the log");
        survive(world.disk.kill(), &world.model, all, &whence);
        // A power cut may take what nobody had acknowledged as synced, and nothing else.
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, world.model.least_after_power_cut(), &whence);
        world.disk.set_capacity(None);
        assert_eq!(append_now(&mut world, ONE), [None], "{whence}: with room again");
        assert_eq!((store.status(), store.recovery_report().unproven_events()), (Status::Writing, 0), "{whence}");
        survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, all + 1, &whence);
    }
}

#[test]
fn a_segment_that_is_ready_makes_way_for_the_copy_of_a_tail() {
    let mut world = tell(&[append(ONE), append(BIG), write(FEW)]);
    let all = world.model.len();
    world.disk = world.disk.kill();
    world.disk.remove_file("live");
    let used: usize = world.disk.contents().values().map(Vec::len).sum();
    world.disk.set_capacity(Some(used as u64));
    assert!(world.open(all).is_ok());
    let report = world.store().recovery_report();
    assert!(report.copied_events() != 0 && report.unproven_events() == 0, "{report}");
    survive(
        world.disk.crash(&CrashChoice::LoseAll),
        &world.model,
        all,
        &"the tail was copied into what room there was".to_owned(),
    );
}

fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/") && !is_derived(path)).collect()
}
