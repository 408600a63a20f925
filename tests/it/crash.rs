//! Crashes: every story is stopped at every operation that changes the disk, and what a power cut or a kill may leave is
//! opened and compared with what was acknowledged. Here a sample of it; all of it is a lane of the proof.

use crate::model::{
    Chance, Choices, Operation, Part, Script, Thoroughness, World, append, is_derived, look_only, operations_of, part,
    seed, stop_and_look, stories, survive, write,
};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::test_runner::RngSeed;
use scorebook::Durability;
use scorebook::testing::{CrashChoice, SimulatedDisk};
use std::sync::atomic::{AtomicU64, Ordering};

use Operation::{Close, Kill, KillAndForget, LosePower, Rest};

const ONE: &[Part] = &[part(1, 1, 40)];
const FEW: &[Part] = &[part(1, 2, 60), part(2, 1, 10), part(1, 1, 0)];
const WIDE: &[Part] = &[part(1, 1, 700), part(2, 2, 300), part(3, 1, 1)];
const BIG: &[Part] = &[part(3, 1, 9_000)];

/// Leaves nothing to do for the other thread when this one panics.
struct LastWord<'a>(&'a AtomicU64);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(u64::MAX / 2, Ordering::Relaxed);
        }
    }
}

/// Stops stories at every operation, two of them at a time. Gives the number of states.
fn stop_everywhere(names: Option<&[&str]>, how: Thoroughness) -> u64 {
    let seed = seed();
    let stories = stories();
    let is_wanted = |name: &str| names.is_none_or(|names| names.contains(&name));
    let wanted: Vec<_> = stories.iter().filter(|story| is_wanted(story.name)).collect();
    assert_eq!(wanted.len(), names.map_or(stories.len(), <[&str]>::len), "every story that is named exists");
    let pieces: Vec<_> = (wanted.iter())
        .flat_map(|story| (1..=operations_of(story, seed)).map(move |stop_at| (story, stop_at)))
        .collect();
    let (states, next) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _last_word = LastWord(&next);
                while let Some((story, stop_at)) = pieces.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    states.fetch_add(stop_and_look(story, seed, *stop_at, how), Ordering::Relaxed);
                }
            });
        }
    });
    states.into_inner()
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and the number of states belong to the answer of this test")]
fn every_story_stopped_at_every_operation_keeps_what_was_acknowledged() {
    let states = stop_everywhere(None, Thoroughness::SAMPLE);
    println!("seed {}: {} stories, {states} states", seed(), stories().len());
    assert!(30 <= stories().len() && 50_000 < states, "{states} states");
}

/// Power cuts during something that begins, each followed by another one at every operation of opening the store again.
#[test]
#[expect(clippy::print_stdout, reason = "the seed and the number of states belong to the answer of this test")]
fn a_torn_start_is_survived_twice() {
    let begin = [
        "the first append of a store",
        "rolling over small segments",
        "sessions of one append each",
        "a copied tail, closed at once",
    ];
    let states = stop_everywhere(Some(&begin), Thoroughness { deep_firsts: 3, deep_seconds: 4, ..Thoroughness::FULL });
    println!("seed {}: {states} states", seed());
}

#[test]
fn a_receipt_is_given_only_for_what_the_disk_has() {
    for story in stories() {
        let mut world = World::new(seed());
        world.open(0).expect("no power is cut");
        for (number, operation) in story.operations.iter().enumerate() {
            world.step(operation).expect("no power is cut");
            let whence = format!("story `{}`, behind step {number}", story.name);
            let least = world.model.least_after_power_cut();
            survive(world.disk.crash(&CrashChoice::LoseAll), &world.model, least, &whence);
        }
    }
}

/// The same cases in every run, and others for another seed.
fn cases() -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(seed());
    ProptestConfig { cases: 256, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_is_done_to_it_the_store_does_what_the_model_says(bytes in vec(any::<u8>(), 0..600)) {
        let mut script = Script(&bytes);
        let mut world = World::new(seed());
        world.open(0).expect("no power is cut");
        while !script.is_over() {
            let operation = Operation::random(&mut script, world.model.events().count());
            world.step(&operation).expect("no power is cut but as an operation");
        }
        survive(world.disk.kill(), &world.model, world.model.least_after_kill(), &"at the end");
    }
}

/// The files of the log and what they hold.
fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/") && !is_derived(path)).collect()
}

fn tell(operations: &[Operation]) -> World {
    let mut world = World::new(seed());
    world.open(0).expect("no power is cut");
    for operation in operations {
        world.step(operation).expect("no power is cut");
    }
    world
}

fn lose_power() -> Operation {
    LosePower(CrashChoice::LoseAll)
}

#[test]
fn opening_a_hundred_times_without_appending_leaves_the_log_as_it_was() {
    for (steps, again) in [
        (&[][..], Close),
        (&[], Kill),
        (&[], lose_power()),
        (&[append(&[ONE]), Close], Close),
        (&[append(&[ONE]), Close], Kill),
        (&[append(&[ONE]), Close], lose_power()),
        (&[append(&[ONE]), Close], KillAndForget),
        (&[append(&[FEW]), Kill], Close),
        (&[append(&[FEW]), Kill], Kill),
        (&[append(&[FEW]), Rest, lose_power()], lose_power()),
        (&[append(&[BIG, BIG]), append(&[BIG, BIG]), Close], Kill),
        // Here the first opening copies a tail, and closing writes down its end.
        (&[append(&[FEW]), write(&[WIDE]), KillAndForget, Close], Close),
        (&[append(&[FEW]), write(&[WIDE]), KillAndForget, Close], Kill),
    ] {
        let mut world = tell(steps);
        let before = log_files(&world.disk);
        for _ in 0..100 {
            world.step(&again).expect("no power is cut");
        }
        assert!(log_files(&world.disk) == before, "{steps:?}, then {again:?}: the log changed");
    }
}

#[test]
fn a_crash_loop_does_not_fill_the_disk() {
    const SEGMENT: usize = 32 * 1024;
    for (appends, is_live_lost) in [(0, false), (0, true), (1, false), (1, true)] {
        let mut chance = Chance(seed());
        let mut world = tell(&[append(&[ONE]), write(&[FEW])]);
        let mut least = 0;
        let begun = log_files(&world.disk).len();
        for round in 1..=60 {
            let choice = match chance.below(3) {
                0 => CrashChoice::LoseAll,
                1 => CrashChoice::KeepAll,
                _ => CrashChoice::Seeded(chance.next()),
            };
            least = least.max(world.model.least_after_power_cut());
            world = World::on(world.disk.crash(&choice), world.model.clone());
            if is_live_lost {
                world.disk.remove_file("live");
            }
            world.open(least).expect("no power is cut");
            if appends != 0 {
                world.append(&[ONE.to_vec()], Durability::Synced);
            }
            // An opening that appends may take a segment of the smallest size, besides the one that is ready ahead; what
            // crashed openings left is taken over or removed.
            let bytes: usize = log_files(&world.disk).iter().map(|(_, bytes)| bytes.len()).sum();
            let most = (begun + 2 + round * appends) * SEGMENT;
            assert!(bytes <= most, "after {round} crashes {bytes} bytes: {choice:?}, {appends} appends");
        }
    }
}

#[test]
fn zeros_random_bytes_and_old_records_behind_the_end_are_no_damage() {
    let mut chance = Chance(seed());
    let other = tell(&[append(&[FEW, WIDE]), append(&[ONE])]).disk.read_file("log/0000000001.log").expect("a segment");
    for steps in [
        &[append(&[FEW]), append(&[WIDE])][..],
        &[append(&[FEW]), write(&[WIDE])],
        &[append(&[FEW]), append(&[WIDE]), Rest],
        &[append(&[BIG, BIG]), append(&[BIG, BIG]), append(&[ONE])],
        &[append(&[FEW]), Close],
    ] {
        let world = tell(steps);
        let end = world.store().stats().expect("numbers").visible_end();
        let path = format!("log/{:010}.log", end.segment);
        let whole = world.disk.read_file(&path).expect("the last segment");
        let end = end.offset as usize;
        let room = whole.len() - 512 - end;
        let mut remains: Vec<(String, Vec<u8>)> = Vec::new();
        for len in [1, 7, 8, 48, 100, 512, 5_000, room] {
            let len = len.min(room);
            remains.push((format!("{len} random bytes"), (0..len).map(|_| chance.next() as u8).collect()));
            let mut far = vec![0; room];
            far[room - len..].iter_mut().for_each(|byte| *byte = chance.next() as u8);
            remains.push((format!("{len} random bytes before the footer"), far));
        }
        for from in [512, 512 + 136, 640] {
            let old = &whole[from.min(end)..end];
            remains.push((format!("old records from {from}"), old[..old.len().min(room)].to_vec()));
        }
        remains.push(("records of another store".to_owned(), other[512..512 + room.min(2_000)].to_vec()));
        for (what, bytes) in remains {
            for live_stays in [true, false] {
                let disk = world.disk.kill();
                let mut file = whole.clone();
                file[end..end + bytes.len()].copy_from_slice(&bytes);
                disk.write_file(&path, &file);
                if !live_stays {
                    disk.remove_file("live");
                }
                let whence = format!("{steps:?}, {what} behind byte {end}, `live` stays: {live_stays}");
                look_only(&disk, &world.model, world.model.len(), &whence);
                survive(disk, &world.model, world.model.len(), &whence);
            }
        }
    }
}
