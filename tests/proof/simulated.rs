//! The lanes on the simulated disk: crashes, failing operations, random operations, a consumer, everything at once.

use crate::model::{
    Chance, Consuming, Failure, Mixing, Operation, Stopping, Story, Thoroughness, World, fail_and_look, failures_of,
    followings, operations_of, operations_of_following, stop_and_follow, stop_and_look, stories,
};
use crate::run::{Extent, Run};

/// Every story is stopped at every operation. A piece of work is one operation of one story; behind the last one it all
/// begins again with another seed.
pub(crate) fn crashes(extent: Extent, is_sample: bool) -> bool {
    let how = if is_sample { Thoroughness::SAMPLE } else { Thoroughness::FULL };
    let stories = stories();
    let run = Run::new("crashes", "states", extent);
    let followings = followings();
    let told = stories.iter().map(|story| operations_of(story, extent.seed));
    let told = told.chain(followings.iter().map(|story| operations_of_following(story, extent.seed)));
    let pieces: Vec<(usize, u64)> =
        told.enumerate().flat_map(|(number, all)| (1..=all).map(move |stop_at| (number, stop_at))).collect();
    println!("{} stories, {} operations", stories.len() + followings.len(), pieces.len());
    run.spread(|number| {
        let (round, piece) = (number / pieces.len() as u64, number % pieces.len() as u64);
        // Pieces that stand together take about the same time and end the run together: the order is mixed.
        let (story, stop_at) = pieces[(piece.wrapping_mul(7_919) % pieces.len() as u64) as usize];
        let seed = extent.seed.wrapping_add(round);
        Some(match stories.get(story) {
            Some(story) => stop_and_look(story, seed, stop_at, how),
            None => stop_and_follow(&followings[story - stories.len()], seed, stop_at, how),
        })
    });
    run.end()
}

/// Everything fails once that can fail, and then for good. A piece of work is one failure in one story; it ends with the
/// last one.
pub(crate) fn errors(extent: Extent, most: usize) -> bool {
    let run = Run::new("errors", "failures", extent);
    // Where only some stories are wanted, they are spread over all there are.
    let stories = stories();
    let step = stories.len().div_ceil(most.min(stories.len()));
    let wanted: Vec<&Story> = stories.iter().skip(extent.seed as usize % step).step_by(step).collect();
    let pieces: Vec<(&Story, Failure)> = (wanted.iter())
        .flat_map(|story| failures_of(story, extent.seed).into_iter().map(|failure| (*story, failure)))
        .collect();
    println!("{} stories, {} failures", wanted.len(), pieces.len());
    run.spread(|number| {
        let (story, failure) = pieces.get(number as usize)?;
        fail_and_look(story, extent.seed, failure);
        Some(1)
    });
    run.end()
}

/// How many operations a run of random operations has.
const OPERATIONS: usize = 40;

/// Random operations. A piece of work is one world.
pub(crate) fn operations(extent: Extent) -> bool {
    let run = Run::new("operations", "operations", extent);
    run.spread(|number| {
        let seed = extent.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let mut chance = Chance(seed);
        let mut world = World::new(seed);
        world.open(0).expect("nothing fails yet");
        let mut told = Vec::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..OPERATIONS {
                let operation = Operation::random(&mut chance, world.model.events().count());
                told.push(operation.clone());
                world.step(&operation).expect("no power is cut but as an operation");
            }
        }));
        if let Err(panic) = outcome {
            println!("seed {seed}:");
            told.iter().for_each(|operation| println!("    {operation:?}"));
            std::panic::resume_unwind(panic);
        }
        Some(OPERATIONS as u64)
    });
    run.end()
}

/// How many steps a world of a consumer has.
const STEPS: u64 = 500;

/// Random steps of a consumer. A piece of work is one world.
pub(crate) fn consumers(extent: Extent) -> bool {
    let run = Run::new("consumers", "steps", extent);
    run.spread(|number| {
        let seed = extent.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let outcome = std::panic::catch_unwind(|| Consuming::new(seed).run(STEPS));
        if let Err(panic) = outcome {
            println!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
        Some(STEPS)
    });
    run.end()
}

/// How many steps a history of everything at once has.
const MIXED: u64 = 250;

/// Everything at once. A piece of work is one history.
pub(crate) fn mixes(extent: Extent) -> bool {
    let run = Run::new("mixes", "steps", extent);
    run.spread(|number| {
        Mixing::new(extent.seed.wrapping_mul(1_000_003).wrapping_add(number)).run(MIXED);
        Some(MIXED)
    });
    run.end()
}

/// Decisions and compactions, stopped at every operation. A piece of work is one history, and what comes behind it.
pub(crate) fn keeping(extent: Extent, is_sample: bool) -> bool {
    let how = if is_sample { Stopping::SAMPLE } else { Stopping::FULL };
    let run = Run::new("keeping", "states", extent);
    run.spread(|number| Some(how.everywhere(extent.seed.wrapping_mul(1_000_003).wrapping_add(number))));
    run.end()
}
