//! What a store says in numbers of what it has done.

use super::support::{add, event, events, everywhere, kilobyte, name, small_segments, wherever_it_lasts};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{
    AppendError, Durability, ErrorKind, EventStore, ExpectedVersion, Options, PendingReceipt, Stats, Timing, Version,
};
use std::io;
use std::time::Duration;

fn stats(store: &EventStore) -> Stats {
    store.stats().expect("numbers")
}

fn simulated(disk: &SimulatedDisk) -> EventStore {
    small_segments().open_simulated(disk).expect("the store opens")
}

#[test]
fn what_is_appended_refused_and_repeated_is_counted() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let activity = stats(&store).activity().clone();
        assert_eq!((activity.appends(), activity.events(), activity.groups()), (0, 0, 0));
        add(&store, &name("a"), events(0..3));
        add(&store, &name("b"), [event(3)]);
        let once =
            |number: u64| store.batch().append(&name("c"), ExpectedVersion::Any, [event(number)]).once("key").commit();
        once(4).wait().expect("it is accepted");
        assert!(once(4).wait().expect("it is a repeat").is_repeat());
        assert!(once(5).wait().expect_err("another content").conflict().is_some());
        let refused = store.append(&name("a"), ExpectedVersion::NoStream, [event(6)]).wait();
        assert!(refused.expect_err("it exists").conflict().is_some());
        assert!(store.append(&name("a"), ExpectedVersion::Any, []).wait().is_err());
        store.tombstone(&name("b"), ExpectedVersion::Any, "over").wait().expect("it is finished");
        assert!(store.append(&name("b"), ExpectedVersion::Any, [event(7)]).wait().is_err());
        let activity = stats(&store).activity().clone();
        // The end of a stream is an append without an event; that something asks of it is refused is no trouble.
        assert_eq!((activity.appends(), activity.events()), (4, 5));
        assert_eq!((activity.repeats(), activity.conflicts() + activity.refusals()), (1, 4));
        assert!(2 <= activity.conflicts() && 1 <= activity.refusals());
        assert_eq!(activity.outcomes_unknown(), 0);
        assert!(activity.groups() <= activity.appends() && activity.waits().count() == activity.groups());
        assert!(activity.group_bytes_max() < activity.bytes_written());
        assert!(activity.bytes_written() <= stats(&store).log_bytes());
    });
}

#[test]
fn what_goes_in_one_write_is_one_group_and_waits_from_its_first() {
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    add(&store, &name("a"), [event(0)]);
    let before = stats(&store).activity().clone();
    let pending: Vec<PendingReceipt> =
        (0..10).map(|number| store.append(&name("a"), ExpectedVersion::Any, events(0..number % 3 + 1))).collect();
    disk.advance(Duration::from_secs(3));
    assert!(0 < stats(&store).staged_bytes());
    disk.set_sync_time(Duration::from_millis(1500));
    pending.into_iter().for_each(|receipt| drop(receipt.wait().expect("it is accepted")));
    let after = stats(&store).activity().clone();
    assert_eq!(stats(&store).staged_bytes(), 0);
    assert_eq!((after.groups() - before.groups(), after.group_appends_max()), (1, 10));
    assert_eq!((after.appends() - before.appends(), after.events() - before.events()), (10, 19));
    assert_eq!(after.group_bytes_max(), after.bytes_written() - before.bytes_written());
    let between = |time: Duration, from: u64, to: u64| (from..=to).contains(&(time.as_millis() as u64));
    assert!(between(after.waits().longest(), 4500, 4510), "{:?}", after.waits());
    assert_eq!(after.syncs().count() - before.syncs().count(), 1);
    assert!(between(after.syncs().longest(), 1500, 1510), "{:?}", after.syncs());
    assert!(before.syncs().total() + Duration::from_millis(1500) <= after.syncs().total());
}

#[test]
fn the_longest_of_late_is_seen_for_a_minute_and_forgotten_after_two() {
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    let syncs = || -> Timing { stats(&store).activity().syncs() };
    disk.set_sync_time(Duration::from_millis(700));
    add(&store, &name("a"), [event(0)]);
    disk.set_sync_time(Duration::from_millis(2));
    add(&store, &name("a"), [event(1)]);
    assert_eq!(syncs().longest_lately(), syncs().longest());
    disk.advance(Duration::from_secs(59));
    assert_eq!(syncs().longest_lately(), syncs().longest());
    disk.advance(Duration::from_secs(61));
    assert_eq!(syncs().longest_lately(), Duration::ZERO);
    add(&store, &name("a"), [event(2)]);
    assert!(syncs().longest_lately() < Duration::from_millis(10) && Duration::from_millis(700) <= syncs().longest());
}

#[test]
fn appends_whose_outcome_is_unknown_are_counted_as_such_and_those_behind_as_refused() {
    let disk = SimulatedDisk::new(7);
    let store = simulated(&disk);
    add(&store, &name("a"), [event(0)]);
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    let pending: Vec<PendingReceipt> =
        (0..3).map(|number| store.append(&name("a"), ExpectedVersion::Any, [event(number)])).collect();
    for receipt in pending {
        let error = receipt.wait().expect_err("the sync fails").into_error();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    }
    store.append(&name("a"), ExpectedVersion::Any, [event(9)]).wait().expect_err("nothing is written any more");
    let activity = stats(&store).activity().clone();
    assert_eq!((activity.appends(), activity.outcomes_unknown(), activity.refusals()), (1, 3, 1));
    store.reopen().expect("it is opened again");
    add(&store, &name("a"), [event(10)]);
    let after = stats(&store).activity().clone();
    assert_eq!((after.appends(), after.outcomes_unknown()), (2, 3), "reopening goes on with the numbers");
}

#[test]
fn segments_that_end_compactions_and_backups_are_counted() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        (0..200).for_each(|number| drop(add(&store, &name(&format!("s-{}", number % 2)), [kilobyte(number)])));
        let before = stats(&store);
        assert_eq!(before.activity().seals() + 1, before.segments());
        assert_eq!(before.activity().compaction().last(), None);
        store.tombstone(&name("s-0"), ExpectedVersion::Any, "over").wait().expect("it is finished");
        let compacted = store.compaction().plan().expect("a plan").apply().expect("it is compacted");
        let after = stats(&store);
        let compaction = after.activity().compaction();
        assert_eq!((compaction.runs(), compaction.events_removed()), (1, compacted.events_removed()));
        assert_eq!(compaction.bytes_freed(), compacted.bytes_before() - compacted.bytes_after());
        assert!(compaction.last().is_some() && after.log_bytes() < before.log_bytes());
        // A compaction that finds nothing to do is none.
        store.compaction().plan().expect("a plan").apply().expect("nothing is to be done");
        assert_eq!(stats(&store).activity().compaction(), compaction);
        assert_eq!((after.activity().backups(), after.activity().last_backup()), (0, None));
        let place = tempfile::tempdir().expect("a directory");
        let report = store.backup(place.path().join("backup")).expect("it is copied");
        let activity = stats(&store).activity().clone();
        assert_eq!((activity.backups(), activity.last_backup()), (1, Some(report.info().time())));
    });
}

/// The estimate and what a compaction counts by reading, which also keeps what is in the segment that is written.
#[test]
fn dead_bytes_are_about_what_a_compaction_would_remove() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        for number in 0..300 {
            add(&store, &name(&format!("s-{}", number % 3)), [kilobyte(number)]);
        }
        let none = stats(&store);
        assert_eq!((none.dead_bytes(), none.live_bytes()), (0, none.log_bytes()));
        let check = |what: &str| {
            let (stats, plan) = (stats(&store), store.compaction().plan().expect("a plan"));
            let going: u64 = plan.segments().iter().map(scorebook::SegmentPlan::bytes_going).sum();
            let (least, most) = (going * 9 / 10, going * 11 / 10);
            assert!(
                0 < going && (least..=most).contains(&stats.dead_bytes()),
                "{what}: {going}, {}",
                stats.dead_bytes()
            );
            assert_eq!(stats.dead_bytes() + stats.live_bytes(), stats.log_bytes());
        };
        store.tombstone(&name("s-0"), ExpectedVersion::Any, "over").wait().expect("it is finished");
        check("one of three is finished");
        store.truncate_before(&name("s-1"), Version::new(51)).wait().expect("it begins later");
        check("and another begins in the middle");
        // What is deleted can be had back.
        let before = stats(&store).dead_bytes();
        store.delete(&name("s-2"), ExpectedVersion::Any, "a mistake").wait().expect("it is deleted");
        assert!(stats(&store).dead_bytes().abs_diff(before) < 1024);
        store.compaction().plan().expect("a plan").apply().expect("it is compacted");
        let left = stats(&store);
        assert!(left.dead_bytes() < left.log_bytes() / 10, "{} of {}", left.dead_bytes(), left.log_bytes());
    });
}

#[test]
fn sizes_are_those_of_the_files() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
        store.close().expect("it closes");
        let store = home.open_with(&small_segments());
        let stats = stats(&store);
        let sizes = |is_meant: &dyn Fn(&str) -> bool| -> u64 {
            home.contents().iter().filter(|(path, _)| is_meant(path)).map(|(_, bytes)| bytes.len() as u64).sum()
        };
        assert_eq!(stats.disk_bytes(), sizes(&|path| path.starts_with("log/")));
        assert_eq!(stats.index_bytes(), sizes(&|path| path.ends_with(".idx") || path.starts_with("index/")));
        assert!(0 < stats.index_bytes() && 0 < stats.memory_bytes());
        assert_eq!((stats.snapshots(), stats.snapshot_bytes()), (0, 0));
    });
}

#[test]
fn a_store_is_called_as_its_directory_or_as_it_is_told() {
    let place = tempfile::tempdir().expect("a directory");
    let label = |options: &Options| {
        stats(&options.open(place.path().join("bot.scorebook")).expect("it opens")).label().to_owned()
    };
    assert_eq!(label(&EventStore::options()), "bot.scorebook");
    assert_eq!(label(&EventStore::options().label("games")), "games");
    let info = scorebook::inspect(place.path().join("bot.scorebook")).expect("there is one");
    assert_eq!(info.stats().label(), "bot.scorebook");
    assert_eq!(stats(&EventStore::open_in_memory().expect("it opens")).label(), "memory");
}

#[test]
fn a_store_that_only_reads_has_done_nothing_and_counts_what_there_is() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments().durability(Durability::Synced));
        add(&store, &name("a"), events(0..7));
        store.close().expect("it closes");
        let reader = home.read_only().expect("it opens");
        let refused: Result<_, AppendError> = reader.append(&name("a"), ExpectedVersion::Any, [event(7)]).wait();
        assert_eq!(refused.expect_err("it only reads").into_error().kind(), ErrorKind::ReadOnly);
        let stats = stats(&reader);
        assert_eq!((stats.events(), stats.activity().appends(), stats.activity().refusals()), (7, 0, 1));
    });
}
