//! The guide: how to use the store, what to do when something goes wrong, and what can be relied on.
//!
//! * [`first_steps`]: open, append, read, decide again after a conflict, look at it with the tool
//! * [`modelling`]: enums of events, aggregates, commands that are executed once, several aggregates together
//! * [`following`]: subscriptions, and consumers that have every event handled once
//! * [`keeping`]: deleting and finishing streams, letting them begin later, what is kept, and removing what is not
//! * [`operating`]: setting up, watching, all metrics and spans, alerts worth having, maintenance, backup and restore, and what to do
//!   about what one sees
//! * [`testing_a_domain`]: rules without a store, slices of real logs, power cuts
//! * `writing_the_bot` (feature `game`): the word game behind a Discord library, from the first message to the shutdown
//! * [`changing_schemas`]: events that were recorded by older code, and how today's reads them
//! * [`errors`]: every kind of error and what to do about it
//! * [`options`]: every option, its default, and when to change it
//! * [`guarantees`]: what is promised, and what is not
//! * [`reliability`]: how that is tested, how often it was so far, and what it cannot show
//! * [`coming_from_other_stores`]: what an operation known from elsewhere is called here
//!
//! Every block of code in it runs as a test.

#[doc = include_str!("first_steps.md")]
pub mod first_steps {}

#[doc = include_str!("modelling.md")]
pub mod modelling {}

#[doc = include_str!("following.md")]
pub mod following {}

#[doc = include_str!("keeping.md")]
pub mod keeping {}

#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("testing_a_domain.md")]
pub mod testing_a_domain {}

#[cfg(feature = "game")]
#[doc = include_str!("writing_the_bot.md")]
pub mod writing_the_bot {}

#[doc = include_str!("changing_schemas.md")]
pub mod changing_schemas {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("options.md")]
pub mod options {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("reliability.md")]
pub mod reliability {}

#[doc = include_str!("coming_from_other_stores.md")]
pub mod coming_from_other_stores {}
