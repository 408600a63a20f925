//! Everything at once: deletions, rules, compactions, backups, restores and crashes in one history, with readers, queries,
//! subscriptions, a consumer and states beside them. The long runs of the same are in the proof.

use crate::model::{Mixing, Stopping, seed};
use std::thread;

/// Two threads do this for so many seeds.
fn for_seeds(count: u64, act: impl Fn(u64) + Sync) {
    let first = seed();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let act = &act;
                scope.spawn(move || (thread..count).step_by(2).for_each(|round| act(first.wrapping_add(round))))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("the model agrees"));
    });
}

#[test]
#[expect(clippy::print_stdout, reason = "the seeds and what was done belong to the answer of this test")]
fn whatever_is_done_in_whatever_order_the_store_says_what_the_model_says() {
    for_seeds(12, |seed| {
        let mut mixing = Mixing::new(seed);
        mixing.run(160);
        println!("seed {seed}: {:?}", mixing.counts);
    });
}

#[test]
#[expect(clippy::print_stdout, reason = "the seeds and the number of states belong to the answer of this test")]
fn what_keeps_a_store_small_is_stopped_anywhere_and_loses_nothing() {
    for_seeds(4, |seed| {
        println!("seed {seed}: {} states", Stopping::SAMPLE.everywhere(seed));
    });
}
