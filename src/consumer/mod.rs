//! Consumers: named and durable. Their records stand in the log beside the events, so what one has done and how far it has
//! come can be written in one batch.
//!
//! ```text
//! definition  what a consumer asks for, and its rules
//! flow        which event goes to whom, and what becomes of it: a machine without clock, thread, file or store
//! runtime     what feeds it from the log and writes down what it says; one for each consumer that somebody has joined
//! writing     what it writes, by whom, and when
//! member      who takes events; a delivery is what it is handed
//! control     looking at it and steering it, whether it runs or not
//! run         a handler on a thread of its own, or as a task
//! ```

mod begin;
mod control;
mod definition;
mod delivery;
mod flow;
mod info;
mod member;
mod partition;
mod rate;
mod records;
mod registry;
mod rules;
mod run;
mod runtime;
#[cfg(all(test, scorebook_shuttle))]
mod schedules;
mod timer;
mod turn;
mod writing;

pub use control::{AfterChange, ConsumerControl};
pub use definition::Consumer;
pub use delivery::{Committing, Delivered, Delivery};
pub use info::{ConsumerHealth, ConsumerInfo, ParkedEvent};
pub use member::{Member, NextDelivery};
pub use partition::PartitionBy;
pub use rules::{Backoff, Breaker, Verdict};
pub use run::{Failure, Running};
pub(crate) use run::{Progress, caught};
