//! The bus: handlers that are called with what comes, one after the other, in an order that is kept.
//!
//! ```text
//! handler   what a live handler is called for, and when
//! handle    the bus: adding handlers, removing them, asking how they do
//! live      live handlers at work, on one thread: a subscription each, put together by position
//! shared    what the bus, its thread and those who wait for it share
//! until     waiting until everything up to a position was handled
//! failures  what has failed, as far as that is kept
//! inside    who is called by a bus at this moment
//! closing   what is done before the store is closed
//! ```
//!
//! There is no machinery of its own below it: a live handler is a subscription, and a durable one a consumer.

mod closing;
mod failures;
mod handle;
mod handler;
mod inside;
mod live;
#[cfg(all(test, scorebook_shuttle))]
mod schedules;
mod shared;
mod until;

pub use failures::HandlerFailure;
pub use handle::Bus;
pub use handler::{Handler, HandlerId};
pub use until::UntilHandled;
