//! Following a store: what is there, and then what comes, in one loop.
//!
//! ```text
//! pull          what a subscription has given, and what it gives next: it reads the log, and keeps nothing
//! handle        with threads, with tasks, one at a time or many
//! ```
//!
//! Nothing is pushed but the call that there is more. So whoever is slow costs nobody anything, and loses nothing.

mod handle;
mod items;
mod next;
mod pull;
#[cfg(all(test, scorebook_shuttle))]
mod schedules;
mod start;
#[cfg(feature = "stream")]
mod stream;

pub use handle::Subscription;
pub use items::Items;
pub use next::{Next, NextBatch};
pub use pull::Followed;
pub(crate) use pull::Pull;
pub use start::Start;
