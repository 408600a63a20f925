//! What a live handler is called for, and when.

use crate::query::Query;
use std::time::Duration;

/// What a live handler of a [`Bus`](super::Bus) is called for, and its place among those that are called for the same event.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, Handler, NewEvent, Query, StreamName};
/// use std::sync::mpsc;
/// let store = EventStore::open_in_memory()?;
/// let bus = store.bus();
/// let (told, heard) = mpsc::channel();
/// for (name, order) in [("second", 2), ("also second", 2), ("first", -1)] {
///     let told = told.clone();
///     let handler = Handler::new(name, Query::all().in_category("game")).type_prefix("game_").order(order);
///     bus.add(handler, move |event| Ok(told.send(format!("{name}: {}", event.event_type()))?))?;
/// }
/// let events = ["game_started", "guess_made"].map(|event_type| NewEvent::bytes(event_type, []));
/// let receipt = store.append(&StreamName::new("game-42")?, ExpectedVersion::Any, events).wait()?;
/// bus.wait_until_handled(receipt.last_position()).wait()?;
/// let heard: Vec<String> = heard.try_iter().collect();
/// assert_eq!(heard, ["first: game_started", "second: game_started", "also second: game_started"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a handler is called when it is added to a bus"]
pub struct Handler {
    pub(super) name: String,
    pub(super) query: Query,
    pub(super) type_prefix: String,
    pub(super) order: i32,
    pub(super) stop_within: Duration,
}

impl Handler {
    /// A handler of the events that a query asks for. The name is what its failures are told under; several may share one.
    pub fn new(name: &str, query: Query) -> Handler {
        let stop_within = Duration::from_secs(5);
        Handler { name: name.to_owned(), query, type_prefix: String::new(), order: 0, stop_within }
    }

    /// Only events whose types begin so. Default: all that the query asks for.
    pub fn type_prefix(mut self, prefix: &str) -> Handler {
        prefix.clone_into(&mut self.type_prefix);
        self
    }

    /// Its place among the live handlers of one event: lower numbers come first, and of one number those that were added
    /// first. Default: 0.
    pub fn order(mut self, order: i32) -> Handler {
        self.order = order;
        self
    }

    /// How long closing the store waits for it where it is at work. Default: 5 s.
    pub fn stop_within(mut self, limit: Duration) -> Handler {
        self.stop_within = limit;
        self
    }
}

/// A handler of a bus: to remove it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId {
    pub(super) bus: u32,
    pub(super) number: u64,
}
