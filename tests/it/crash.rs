//! Crashes: every story is stopped at every operation that changes the disk, and what a power cut or a kill may leave is
//! opened and compared with what was acknowledged.

use crate::story::{Chance, Model, Step, Story, World, seed, survive};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{Durability, ErrorKind, EventStore};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use Step::{Append, Close, FailSync, Flush, Full, Kill, KillAndForget, LosePower, Reopen, Rest, Room, Write};

const ONE: &[crate::story::Part] = &[(1, 1, 40)];
const FEW: &[crate::story::Part] = &[(1, 2, 60), (2, 1, 10), (1, 1, 0)];
const WIDE: &[crate::story::Part] = &[(1, 1, 700), (2, 2, 300), (3, 1, 1)];
const BIG: &[crate::story::Part] = &[(3, 1, 9_000)];
/// Larger than the largest segment of the stories.
const HUGE: &[crate::story::Part] = &[(4, 5, 8_000)];

const STORIES: &[Story] = &[
    Story { name: "the first append of a store", steps: &[Append(&[ONE])] },
    Story { name: "several appends", steps: &[Append(&[ONE]), Append(&[FEW, ONE]), Append(&[WIDE]), Append(&[ONE])] },
    Story { name: "batches over several streams", steps: &[Append(&[FEW, WIDE, FEW]), Append(&[WIDE, FEW])] },
    Story {
        name: "rolling over small segments",
        steps: &[Append(&[BIG, BIG]), Append(&[BIG, BIG]), Append(&[ONE]), Append(&[BIG, BIG, BIG]), Append(&[ONE])],
    },
    Story {
        name: "written while rolling over",
        steps: &[Append(&[ONE]), Write(&[BIG, BIG]), Write(&[BIG, BIG]), Write(&[ONE]), Append(&[ONE])],
    },
    Story {
        name: "closed, opened and appended to",
        steps: &[Append(&[ONE]), Close, Append(&[FEW]), Close, Close, Append(&[ONE, ONE]), Append(&[ONE]), Close],
    },
    Story {
        name: "killed, opened and appended to",
        steps: &[Append(&[FEW]), Kill, Append(&[ONE]), Kill, Append(&[FEW])],
    },
    Story {
        name: "written, then flushed",
        steps: &[Write(&[ONE]), Write(&[FEW]), Write(&[WIDE]), Flush, Write(&[ONE]), Append(&[ONE]), Write(&[ONE])],
    },
    Story {
        name: "written, then killed",
        steps: &[Append(&[ONE]), Write(&[WIDE]), Write(&[FEW]), Kill, Write(&[ONE]), Kill, Append(&[ONE])],
    },
    Story {
        name: "opened many times",
        steps: &[Close, Close, Append(&[ONE]), Kill, Kill, Close, Kill, Append(&[ONE]), Close, Kill, Close, LosePower],
    },
    Story {
        name: "a batch larger than a segment",
        steps: &[Append(&[ONE]), Append(&[HUGE]), Append(&[ONE]), Close, Append(&[HUGE])],
    },
    Story {
        name: "a doubtful tail that is copied",
        steps: &[
            Append(&[FEW]),
            Write(&[WIDE, ONE]),
            KillAndForget,
            Append(&[ONE]),
            KillAndForget,
            KillAndForget,
            Append(&[ONE]),
        ],
    },
    Story {
        name: "a failed sync, then reopened",
        steps: &[Append(&[FEW]), FailSync, Append(&[WIDE, ONE]), Append(&[ONE]), Reopen, Append(&[FEW]), Close],
    },
    Story {
        name: "a full disk, then room",
        steps: &[
            Append(&[BIG, BIG]),
            Full,
            Append(&[BIG, BIG]),
            Append(&[HUGE]),
            Append(&[ONE]),
            Room,
            Append(&[HUGE, ONE]),
        ],
    },
    Story {
        name: "still for a while, again and again",
        steps: &[
            Append(&[ONE]),
            Rest,
            Rest,
            Append(&[FEW]),
            Rest,
            Kill,
            Append(&[ONE]),
            Rest,
            Close,
            Rest,
            Append(&[ONE]),
            Rest,
        ],
    },
    Story {
        name: "a session that rolls over",
        steps: &[Append(&[BIG, BIG]), Close, Append(&[BIG]), Close, Append(&[BIG, ONE]), Close, Append(&[ONE])],
    },
    Story {
        name: "power lost again and again",
        steps: &[
            Append(&[ONE]),
            LosePower,
            Append(&[FEW]),
            Write(&[ONE]),
            LosePower,
            Write(&[ONE, ONE]),
            Flush,
            LosePower,
            Append(&[ONE]),
        ],
    },
    Story {
        name: "a tail for which there is no room",
        steps: &[Append(&[BIG]), Write(&[FEW]), Full, KillAndForget, Append(&[ONE]), Room, Append(&[ONE]), Close],
    },
];

/// Where a comparison stands: the text of a failed one.
struct Whence<'a> {
    story: &'a str,
    stop_at: u64,
    then: &'a dyn fmt::Debug,
    again: Option<(u64, CrashChoice)>,
}

impl fmt::Display for Whence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "story `{}`, stopped at mutation {}, {:?}", self.story, self.stop_at, self.then)?;
        match &self.again {
            Some((stop_at, choice)) => write!(f, ", then at mutation {stop_at} of recovery, {choice:?}"),
            None => Ok(()),
        }
    }
}

/// The states that are looked at: all where they are few, else the extremes and a sample.
fn choices(disk: &SimulatedDisk, chance: &mut Chance, most: usize) -> Vec<CrashChoice> {
    let items = disk.pending_items();
    if 1 << items.min(20) <= most {
        return (0..1 << items).map(CrashChoice::Mask).collect();
    }
    let most = most * 5 / 8;
    let mut all = vec![CrashChoice::LoseAll, CrashChoice::KeepAll];
    let singles = most.saturating_sub(2) * 2 / 3;
    if items * 2 <= singles {
        all.extend((0..items).map(CrashChoice::AllBut));
        all.extend((0..items).map(CrashChoice::Only));
    } else {
        all.extend((0..singles / 2).map(|_| CrashChoice::AllBut(chance.below(items))));
        all.extend((0..singles / 2).map(|_| CrashChoice::Only(chance.below(items))));
    }
    all.extend((all.len()..most).map(|_| CrashChoice::Seeded(chance.next())));
    all
}

/// Looks at what a story may leave when it is stopped at one mutation. Gives the number of states.
fn look(story: &Story, world: &World, stop_at: u64, chance: &mut Chance) -> u64 {
    let (disk, model) = (&world.disk, &world.model);
    let mut states = 0;
    for choice in choices(disk, chance, 64) {
        let whence = Whence { story: story.name, stop_at, then: &choice, again: None };
        let crashed = disk.crash(&choice);
        match chance.below(4) {
            // The log alone tells what counts; `live` is only one more witness.
            0 => drop(crashed.remove_file("live")),
            1 => look_only(&crashed, model, model.least_after_power_cut(), &whence),
            _ => {}
        }
        if chance.below(8) == 0 {
            states += crash_again(&crashed, model, &whence, chance);
        }
        survive(crashed, model, model.least_after_power_cut(), &whence);
        states += 1;
    }
    let whence = Whence { story: story.name, stop_at, then: &"killed", again: None };
    let killed = disk.kill();
    states += crash_again(&killed, model, &whence, chance);
    survive(killed, model, model.least_after_kill(), &whence);
    states + 1
}

/// A reader that changes nothing finds what recovery will find, and no damage.
fn look_only(disk: &SimulatedDisk, model: &Model, least: usize, whence: &dyn fmt::Display) {
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

/// Cuts the power a second time, while the first crash is recovered from or the first batch is appended after it.
fn crash_again(disk: &SimulatedDisk, model: &Model, first: &Whence<'_>, chance: &mut Chance) -> u64 {
    const APPENDED: crate::story::Batches = &[&[(1, 1, 30)]];
    let again = |stop_at: Option<u64>| {
        let mut world = World::on(disk.kill(), model.clone());
        world.stop_at(stop_at);
        // What must be there at first was compared, or will be, by the caller.
        if world.open(0).is_ok() {
            world.append(APPENDED, Durability::Synced);
        }
        world
    };
    let stop_at = 1 + chance.below(again(None).mutations() as usize) as u64;
    let world = again(Some(stop_at));
    let mut states = 0;
    for choice in choices(&world.disk, chance, 4) {
        let whence = Whence { again: Some((stop_at, choice.clone())), ..*first };
        survive(world.disk.crash(&choice), &world.model, world.model.least_after_power_cut(), &whence);
        states += 1;
    }
    states
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed and the number of states belong to the answer of this test")]
fn every_story_stopped_at_every_operation_keeps_what_was_acknowledged() {
    let seed = seed();
    let states = AtomicU64::new(0);
    let next = AtomicU64::new(0);
    // Two stories at a time: the machines this runs on have at least two cores.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(story) = STORIES.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let begun = std::time::Instant::now();
                    let mut here = 0;
                    let mut chance = Chance(seed);
                    let whole = World::tell(story, seed, None);
                    survive(whole.disk.kill(), &whole.model, whole.model.len(), &story.name);
                    let operations = whole.mutations();
                    for stop_at in 1..=operations + 1 {
                        let world = World::tell(story, seed, Some(stop_at));
                        assert_eq!(world.disk.has_stopped(), stop_at <= operations, "{}", story.name);
                        here += look(story, &world, stop_at, &mut chance);
                    }
                    states.fetch_add(here, Ordering::Relaxed);
                    println!("{}: {operations} operations, {here} states, {:?}", story.name, begun.elapsed());
                }
            });
        }
    });
    println!("seed {seed}: {} stories, {} states", STORIES.len(), states.into_inner());
}

#[test]
fn a_receipt_is_given_only_for_what_the_disk_has() {
    for story in STORIES {
        let mut world = World::new(seed());
        assert!(world.open(0).is_ok());
        for (number, step) in story.steps.iter().enumerate() {
            assert!(world.step(*step).is_ok());
            let whence = format!("story `{}`, behind step {number}", story.name);
            survive(
                world.disk.crash(&CrashChoice::LoseAll),
                &world.model,
                world.model.least_after_power_cut(),
                &whence,
            );
        }
    }
}

/// The files of the log and what they hold.
fn log_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(path, _)| path.starts_with("log/")).collect()
}

fn tell(steps: &'static [Step]) -> World {
    let mut world = World::new(seed());
    assert!(world.open(0).is_ok());
    for step in steps {
        assert!(world.step(*step).is_ok());
    }
    world
}

#[test]
fn opening_a_hundred_times_without_appending_leaves_the_log_as_it_was() {
    for (steps, again) in [
        (&[][..], Close),
        (&[], Kill),
        (&[], LosePower),
        (&[Append(&[ONE]), Close], Close),
        (&[Append(&[ONE]), Close], Kill),
        (&[Append(&[ONE]), Close], LosePower),
        (&[Append(&[ONE]), Close], KillAndForget),
        (&[Append(&[FEW]), Kill], Close),
        (&[Append(&[FEW]), Kill], Kill),
        (&[Append(&[FEW]), Rest, LosePower], LosePower),
        (&[Append(&[BIG, BIG]), Append(&[BIG, BIG]), Close], Kill),
        // Here the first opening copies a tail, and closing writes down its end.
        (&[Append(&[FEW]), Write(&[WIDE]), KillAndForget, Close], Close),
        (&[Append(&[FEW]), Write(&[WIDE]), KillAndForget, Close], Kill),
    ] {
        let mut world = tell(steps);
        let before = log_files(&world.disk);
        for _ in 0..100 {
            assert!(world.step(again).is_ok());
        }
        assert!(log_files(&world.disk) == before, "{steps:?}, then {again:?}: the log changed");
    }
}

#[test]
fn a_crash_loop_does_not_fill_the_disk() {
    const SEGMENT: usize = 32 * 1024;
    for (appends, is_live_lost) in [(0, false), (0, true), (1, false), (1, true)] {
        let mut chance = Chance(seed());
        let mut world = tell(&[Append(&[ONE]), Write(&[FEW])]);
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
            assert!(world.open(least).is_ok());
            if appends != 0 {
                world.append(&[ONE], Durability::Synced);
            }
            // An opening that appends may take a segment of the smallest size, besides the one that is ready ahead; what
            // crashed openings left is taken over or removed.
            let bytes: usize = log_files(&world.disk).iter().map(|(_, bytes)| bytes.len()).sum();
            let most = (begun + 2 + round * appends) * SEGMENT;
            assert!(bytes <= most, "after {round} crashes {bytes} bytes: {choice:?}, {appends} appends");
        }
    }
}

/// Power cuts during something that begins, each followed by another one while the store is opened again.
#[test]
fn a_torn_start_is_survived_twice() {
    let scenarios: [(&str, &[Step], Step); 4] = [
        ("the first append of a store", &[], Append(&[ONE])),
        ("the first append of a segment", &[Append(&[BIG, BIG]), Append(&[WIDE])], Append(&[BIG, BIG])),
        ("the first append of a session", &[Append(&[FEW]), Close], Append(&[ONE, FEW])),
        ("the copying of a tail", &[Append(&[FEW]), Write(&[ONE, WIDE])], KillAndForget),
    ];
    let mut chance = Chance(seed());
    for (name, before, torn) in scenarios {
        let prepare = |stop_at: Option<u64>| {
            let mut world = World::new(seed());
            assert!(world.open(0).is_ok());
            for step in before {
                assert!(world.step(*step).is_ok());
            }
            let begun = world.mutations();
            world.stop_at(stop_at);
            let _ = world.step(torn);
            (world, begun)
        };
        let (whole, begun) = prepare(None);
        for stop_at in begun + 1..=whole.mutations() {
            let (world, _) = prepare(Some(stop_at));
            for first in choices(&world.disk, &mut chance, 4) {
                let crashed = world.disk.crash(&first);
                let least = world.model.least_after_power_cut();
                for again_at in 1.. {
                    let mut again = World::on(crashed.kill(), world.model.clone());
                    again.stop_at(Some(again_at));
                    let opened = again.open(least);
                    for second in choices(&again.disk, &mut chance, 2) {
                        let then = Some((again_at, second.clone()));
                        let whence = Whence { story: name, stop_at, then: &first, again: then };
                        let least = again.model.least_after_power_cut().max(least);
                        survive(again.disk.crash(&second), &again.model, least, &whence);
                    }
                    if opened.is_ok() {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn zeros_random_bytes_and_old_records_behind_the_end_are_no_damage() {
    let mut chance = Chance(seed());
    let other = tell(&[Append(&[FEW, WIDE]), Append(&[ONE])]).disk.read_file("log/0000000001.log").expect("a segment");
    for steps in [
        &[Append(&[FEW]), Append(&[WIDE])][..],
        &[Append(&[FEW]), Write(&[WIDE])],
        &[Append(&[FEW]), Append(&[WIDE]), Rest],
        &[Append(&[BIG, BIG]), Append(&[BIG, BIG]), Append(&[ONE])],
        &[Append(&[FEW]), Close],
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
