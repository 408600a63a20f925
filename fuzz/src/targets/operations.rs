//! Operations and faults: bytes as choices of what is done to a store, which is compared with the model after each.

use crate::model::{Operation, Script, World};

/// So many operations are done at most: what goes wrong goes wrong in few.
const OPERATIONS_MAX: usize = 40;

/// Does what the bytes say.
pub fn run(data: &[u8]) {
    let (seed, rest) = data.split_first().map_or((0, data), |(seed, rest)| (u64::from(*seed), rest));
    let mut script = Script(rest);
    let mut world = World::new(seed);
    world.open(0).expect("nothing fails yet");
    for _ in 0..OPERATIONS_MAX {
        if script.is_over() {
            break;
        }
        let operation = Operation::random(&mut script, world.model.events().count());
        world.step(&operation).expect("no power is cut but as an operation");
    }
}
