//! Who is called by a bus at this moment: whoever waits for a bus inside one of its handlers would wait for itself.

use crate::mutant::Mutant;
use crate::sync::thread_local;
use std::cell::Cell;

thread_local! {
    /// The number of the bus whose handler this thread is in; 0 where it is in none.
    static BUS: Cell<u32> = const { Cell::new(0) };
}

/// This thread is in a handler, until this is dropped.
pub(super) struct Inside {
    before: u32,
}

impl Inside {
    pub(super) fn of(bus: u32) -> Inside {
        Inside { before: BUS.with(|inside| inside.replace(bus)) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        BUS.with(|inside| inside.set(self.before));
    }
}

/// Whether this thread is in a handler of a bus.
pub(super) fn is_inside(bus: u32) -> bool {
    BUS.with(Cell::get) == bus && !Mutant::WaitsInsideAHandler.is_on()
}
