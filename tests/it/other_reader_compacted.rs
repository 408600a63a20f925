//! What compaction wrote, given to the [other reader](super::other_reader): it says the same as the store, wherever the
//! compaction was stopped and whatever is damaged or forged in it.

use super::other_reader::{all_kinds, check_disk, forget, forget_streams};
use super::support::{add, kilobyte, name, small_segments};
use crate::model::{Chance, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{EventStore, Scope, Start, Version};
use std::collections::BTreeSet;

/// Facts of every kind in several sessions, one of which was killed, and much of them may go.
fn half_dead(seed: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed);
    let store = all_kinds(&disk, &small_segments());
    store.batch().release(&Scope::Everything, "all").commit().wait().expect("no hold");
    fill(&store, 0..50);
    let killed = disk.kill();
    std::mem::forget(store);
    let store = small_segments().open_simulated(&killed).expect("it opens");
    fill(&store, 50..90);
    store.tombstone(&name("gone-1"), Any, "over").wait().expect("it is finished");
    store.tombstone(&name("noise"), Any, "over").wait().expect("it is finished");
    // What a consumer has not seen stays.
    for consumer in ["counting", "spät-1", "again"] {
        store.consumer(consumer).seek(Start::End).expect("it moves");
    }
    store.close().expect("closing");
    killed
}

/// To two streams in turn.
fn fill(store: &EventStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        add(store, &name(["gone-1", "kept-1"][number as usize % 2]), [kilobyte(number)]);
    }
}

fn compact(store: &EventStore) {
    let plan = store.compaction().thoroughly().plan().expect("a plan");
    let compacted = plan.apply().expect("it is done");
    assert!(0 < compacted.events_removed());
}

/// The segments that compaction wrote, by their names.
fn rewritten(disk: &SimulatedDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|path| path.contains('-') && path.ends_with(".log")).collect()
}

#[test]
fn what_compaction_wrote_says_the_same_to_both() {
    let disk = half_dead(seed());
    let Some(before) = check_disk(&disk) else {
        return;
    };
    let store = small_segments().open_simulated(&disk).expect("it opens");
    compact(&store);
    let killed = check_disk(&disk.kill()).expect("python3 was there");
    assert_eq!(killed.refusal(), None);
    assert!(killed.lines("event").len() + 50 < before.lines("event").len());
    store.close().expect("closing");
    let once = check_disk(&disk).expect("python3 was there");
    assert_eq!(once.end()["how"], "closed");

    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.truncate_before(&name("kept-1"), Version::new(30)).wait().expect("it begins later");
    compact(&store);
    let kept = name("kept-1");
    (90..130).for_each(|number| drop(add(&store, &kept, [kilobyte(number)])));
    store.close().expect("closing");
    let store = small_segments().open_simulated(&disk).expect("it opens");
    store.truncate_before(&kept, Version::new(40)).wait().expect("it begins later");
    compact(&store);
    store.close().expect("closing");
    let names = rewritten(&disk);
    let is_first = |path: &String| path.ends_with("-1.log");
    assert!(names.iter().any(is_first) && !names.iter().all(is_first), "{names:?}");
    let twice = check_disk(&disk).expect("python3 was there");
    assert_eq!(twice.end()["how"], "closed");
    for (kind, least) in [("removed", 2), ("start", 2), ("session", 1)] {
        let in_one = |name: &String| {
            let number: u64 = name["log/".len()..][..10].parse().expect("a number");
            twice.lines(kind).iter().filter(|line| line["segment"] == number).count()
        };
        assert!(names.iter().any(|name| least <= in_one(name)), "no segment with {least} of {kind}: {names:?}");
    }
    forget(&disk);
    assert_eq!(check_disk(&disk).expect("python3 was there").end()["how"], "open");
}

#[test]
fn wherever_a_compaction_was_stopped_both_say_the_same() {
    let whole = half_dead(seed());
    let mut files = BTreeSet::new();
    for stop in (3..).step_by(7) {
        let disk = whole.crash(&CrashChoice::KeepAll);
        disk.stop_at(stop);
        if let Ok(store) = small_segments().open_simulated(&disk) {
            let _ = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
            std::mem::forget(store);
        }
        for choice in [CrashChoice::KeepAll, CrashChoice::LoseAll] {
            let crashed = disk.crash(&choice);
            forget_streams(&crashed);
            let Some(told) = check_disk(&crashed) else {
                return;
            };
            assert!(told.refusal().is_none(), "stopped at {stop}, {choice:?}: {}", told.end());
            files.insert(crashed.file_names().into_iter().filter(|path| path.ends_with(".log")).collect::<Vec<_>>());
        }
        if !disk.has_stopped() {
            break;
        }
    }
    let numbers = |files: &Vec<String>| files.iter().map(|path| path[..14].to_owned()).collect::<Vec<_>>();
    let several = files.iter().filter(|files| numbers(files).windows(2).any(|pair| pair[0] == pair[1])).count();
    assert!(0 < several && 3 < files.len(), "{files:?}");
}

#[test]
fn damage_in_what_compaction_wrote_is_refused_at_the_same_place_by_both() {
    let disk = half_dead(seed());
    let store = small_segments().open_simulated(&disk).expect("it opens");
    compact(&store);
    store.close().expect("closing");
    let names = rewritten(&disk);
    assert!(1 < names.len(), "{names:?}");
    let contents = disk.contents();
    let mut chance = Chance(seed());
    let mut refused = 0;
    for path in [&names[0], &names[names.len() - 1]] {
        let size = contents[path].len() as u64;
        let footer = size - 512;
        let ends =
            u64::from(u32::from_le_bytes(contents[path][footer as usize + 12..][..4].try_into().expect("4 bytes")));
        let anywhere = |chance: &mut Chance| 640 + chance.next() % (ends - 640);
        let mut bytes =
            vec![3, 20, 57, 61, 200, 515, 530, 600, ends - 30, footer, footer + 9, footer + 13, footer + 300];
        bytes.extend((0..4).map(|_| anywhere(&mut chance)));
        for byte in bytes {
            let damaged = disk.kill();
            damaged.flip_bit(path, byte, (byte % 8) as u8);
            forget_streams(&damaged);
            let Some(told) = check_disk(&damaged) else {
                return;
            };
            assert!(told.refusal().is_some(), "byte {byte} of {path}");
            refused += 1;
        }
        for change in 0..3 {
            let damaged = disk.kill();
            match change {
                0 => assert!(damaged.remove_file(path)),
                1 => damaged.write_file(path, &contents[path][..footer as usize]),
                _ => damaged.write_file(path, &[&contents[path][..footer as usize], &[0; 512]].concat()),
            }
            forget_streams(&damaged);
            let told = check_disk(&damaged).expect("python3 was there");
            assert!(told.refusal().is_some(), "{change} of {path}");
        }
    }
    assert_eq!(refused, 2 * 17);
}
