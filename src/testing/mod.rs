//! For tests of what stands on the store: scenarios for aggregates, and a disk in memory that knows what a power cut would
//! lose, and that fails, lies and rots when it is told to. And a door for fuzzers.
//!
//! | to test | use |
//! |---|---|
//! | what an aggregate decides, without a store | [`scenario`], [`scenario_in`] |
//! | with times and ids that are the same at every run | [`ManualClock`], [`ManualIds`] |
//! | with a piece of a real log | [`fixture`](fixture()) |
//! | what other threads do | [`wait_until`] |
//! | what a crash leaves | [`SimulatedDisk`], below |
//!
//! A bot is tested by letting it work on a [`SimulatedDisk`], cutting the power at every operation that changes the disk,
//! and asking after each whether everything is there that the bot had said was done:
//!
//! ```
//! use scorebook::testing::{CrashChoice, SimulatedDisk};
//! use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
//!
//! /// What is to be tested: plays a game, and notes every guess that was accepted.
//! fn play(disk: &SimulatedDisk, accepted: &mut Vec<u8>) -> Result<(), scorebook::Error> {
//!     let store = EventStore::options().open_simulated(disk)?;
//!     let game = StreamName::new("game-42")?;
//!     for guess in 1..=3 {
//!         let event = NewEvent::bytes("guessed", vec![guess]);
//!         store.append(&game, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
//!         accepted.push(guess);
//!     }
//!     store.close()
//! }
//!
//! for stop_at in 1.. {
//!     let (disk, mut accepted) = (SimulatedDisk::new(7), Vec::new());
//!     disk.stop_at(stop_at);
//!     // Where the power goes, this is an error.
//!     let _ = play(&disk, &mut accepted);
//!     for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop_at)] {
//!         let store = EventStore::options().open_simulated(&disk.crash(&choice)).expect("it opens");
//!         let found: Vec<u8> = store.read_all().iter().map(|event| event.expect("an event").data()[0]).collect();
//!         // What was being appended may be there or not; everything before it is.
//!         assert!(found.starts_with(&accepted), "stopped at {stop_at}, {choice:?}: {found:?} of {accepted:?}");
//!         assert!(found.len() <= accepted.len() + 1);
//!     }
//!     if !disk.has_stopped() {
//!         assert_eq!(accepted, [1, 2, 3]);
//!         break;
//!     }
//! }
//! ```
//!
//! | to try | use |
//! |---|---|
//! | a power cut, and what it may leave | [`stop_at`](SimulatedDisk::stop_at), [`crash`](SimulatedDisk::crash), [`CrashChoice`] |
//! | a killed process | [`kill`](SimulatedDisk::kill) |
//! | an operation that fails, is interrupted or cut short | [`fail`](SimulatedDisk::fail), [`DiskFault`] |
//! | the same by chance | [`set_mischief`](SimulatedDisk::set_mischief), [`Mischief`] |
//! | what a failed sync leaves behind | [`set_sync_failure`](SimulatedDisk::set_sync_failure), [`SyncFailure`], [`drop_caches`](SimulatedDisk::drop_caches) |
//! | a disk that lies | [`DiskFault::lost`], [`DiskFault::misplaced_write`] |
//! | a full disk, a quota | [`set_capacity`](SimulatedDisk::set_capacity), [`set_names_max`](SimulatedDisk::set_names_max), [`set_no_room_error`](SimulatedDisk::set_no_room_error) |
//! | damage at rest | [`rot`](SimulatedDisk::rot), [`flip_bit`](SimulatedDisk::flip_bit), [`zero`](SimulatedDisk::zero), [`garble`](SimulatedDisk::garble), [`overwrite`](SimulatedDisk::overwrite), [`remove_file`](SimulatedDisk::remove_file) |
//! | a bad sector | [`break_sectors`](SimulatedDisk::break_sectors) |
//! | a clock that jumps, time that passes | [`set_time`](SimulatedDisk::set_time), [`advance`](SimulatedDisk::advance) |
//!
//! Everything follows from the seeds that are given: what happened once happens again. When a test fails,
//! [`trace`](SimulatedDisk::trace) says what the disk was asked to do, and
//! [`describe_pending`](SimulatedDisk::describe_pending) what a power cut could have lost.

mod clock;
mod decoders;
mod fixture;
mod inspect;
mod scenario;
mod wait;

pub use crate::storage::{
    CrashChoice, DiskFault, DiskOperation, FaultEffect, FlippedBit, Mischief, Misplacement, SimulatedDisk, SyncFailure,
};
pub use clock::{ManualClock, ManualIds};
pub use decoders::{Decoded, decode_bytes};
pub use fixture::fixture;
pub use inspect::verify_backup_simulated;
pub use inspect::{backup_simulated, repair_simulated, restore_simulated, salvage_simulated, verify_simulated};
pub use scenario::{Decided, Scenario, scenario, scenario_in};
pub use wait::wait_until;
