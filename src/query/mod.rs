//! Which events are wanted: by what they are called, and by what their payloads hold.

mod parse;
mod predicate;

pub use predicate::Predicate;

use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::limits::QUERY_TERMS_MAX;
use crate::mutant::Mutant;
use crate::name::{StreamName, event_type_fault, stream_name_fault, tag_fault};
use crate::position::Position;
use std::fmt;

/// Which events are wanted: items joined by or.
///
/// Within an item an event must be of one of the types, in one of the streams, in one of the categories, and have all
/// of the tags; what an item does not ask for is of no matter. The prefix and [`after`](Self::after) hold for the whole
/// query. A step that is handed something not allowed is remembered, and whatever takes the query is refused with the
/// first such fault.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, Query, StreamName};
/// let store = EventStore::open_in_memory()?;
/// let team = StreamName::new("team-7")?;
/// let events = [
///     NewEvent::json("player_joined", &8812)?.tag("player", 8812),
///     NewEvent::json("player_joined", &9000)?.tag("player", 9000),
///     NewEvent::json("team_renamed", "The Owls")?,
/// ];
/// store.append(&team, ExpectedVersion::Any, events).wait().map_err(|error| error.into_error())?;
///
/// let query = Query::all().of_type("player_joined").tag("player", 8812).or(Query::all().of_type("team_renamed"));
/// let found = store.read_all().matching(query).into_iter();
/// let positions = found.map(|event| Ok(event?.position().get())).collect::<Result<Vec<_>, scorebook::Error>>()?;
/// assert_eq!(positions, [1, 3]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Query {
    /// At least one.
    items: Vec<Item>,
    /// The names of streams begin so.
    prefix: String,
    after: Position,
    /// The first fault a step met.
    fault: Option<Error>,
}

/// One of several ways to be wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) types: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) streams: Vec<StreamName>,
    pub(crate) categories: Vec<String>,
}

impl Query {
    /// All events: one item that asks for nothing.
    #[must_use]
    pub fn all() -> Query {
        Query { items: vec![Item::default()], prefix: String::new(), after: Position::BEGINNING, fault: None }
    }

    /// The last item asks for this type; where it is told several, for one of them.
    #[must_use]
    pub fn of_type(mut self, event_type: &str) -> Query {
        if let Some(fault) = event_type_fault(event_type) {
            self.refuse(ErrorKind::InvalidName, format!("event type {fault}"));
        }
        self.add(|item| push(&mut item.types, event_type.to_owned()))
    }

    /// The last item asks for this tag; where it is told several, for all of them.
    #[must_use]
    pub fn tag(mut self, key: &str, value: impl fmt::Display) -> Query {
        let value = value.to_string();
        if let Some(fault) = tag_fault(key, &value) {
            self.refuse(ErrorKind::InvalidName, format!("tag {fault}"));
        }
        self.add(|item| push(&mut item.tags, (key.to_owned(), value)))
    }

    /// The last item asks for this stream; where it is told several, for one of them.
    #[must_use]
    pub fn in_stream(self, stream: &StreamName) -> Query {
        self.add(|item| push(&mut item.streams, stream.clone()))
    }

    /// The last item asks for the streams of this category, which is the part of a name before the first `-`; where it is
    /// told several, for those of one of them.
    #[must_use]
    pub fn in_category(mut self, category: &str) -> Query {
        if let Some(fault) = stream_name_fault(category) {
            self.refuse(ErrorKind::InvalidName, format!("category {fault}"));
        } else if category.contains('-') {
            let fault = format!("category `{}` holds `-`, behind which it would end", category.escape_debug());
            self.refuse(ErrorKind::InvalidName, fault);
        }
        self.add(|item| push(&mut item.categories, category.to_owned()))
    }

    /// Adds the items of another query. That must not have a prefix or a position of its own, which would hold for all.
    #[must_use]
    pub fn or(mut self, other: Query) -> Query {
        if !other.prefix.is_empty() || other.after != Position::BEGINNING {
            let fault = "query: a prefix or a position holds for the whole of it: set it behind `or`".to_owned();
            self.refuse(ErrorKind::InvalidArgument, fault);
        }
        if let Some(fault) = other.fault {
            self.fault.get_or_insert(fault);
        }
        self.items.extend(other.items);
        self.check_size();
        self
    }

    /// Only streams whose names begin so. Default: all.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Query {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Only what lies behind this position, excluded. Default: everything.
    #[must_use]
    pub fn after(mut self, position: Position) -> Query {
        self.after = position;
        if Mutant::TakesBehindForFrom.is_on() {
            self.after = Position::new(position.get().saturating_sub(1));
        }
        self
    }

    /// The first fault a step met: why the query would be refused, if it would.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Whether an event is wanted.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.after < event.position()
            && event.stream().starts_with(&self.prefix)
            && self.items.iter().any(|item| item.matches(event))
    }

    /// How the names of its streams begin.
    pub(crate) fn stream_prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// The position behind which it asks.
    pub(crate) fn after_position(&self) -> Position {
        self.after
    }

    fn add(mut self, change: impl FnOnce(&mut Item)) -> Query {
        if let Some(item) = self.items.last_mut() {
            change(item);
        }
        self.check_size();
        self
    }

    fn check_size(&mut self) {
        let terms: usize = self.items.iter().map(Item::terms).sum();
        if QUERY_TERMS_MAX < terms.max(self.items.len()) {
            self.refuse(ErrorKind::TooLarge, format!("query asks for more than {QUERY_TERMS_MAX} terms"));
        }
    }

    fn refuse(&mut self, kind: ErrorKind, fault: String) {
        self.fault.get_or_insert_with(|| Error::new(kind, fault));
    }
}

/// Most ask for one of a kind, and there may be ten thousand queries.
fn push<T>(asked: &mut Vec<T>, one: T) {
    if asked.is_empty() {
        asked.reserve_exact(1);
    }
    asked.push(one);
}

impl Item {
    fn terms(&self) -> usize {
        self.types.len() + self.tags.len() + self.streams.len() + self.categories.len()
    }

    fn matches(&self, event: &RecordedEvent) -> bool {
        let is_of = |wanted: &[String], actual: &str| wanted.is_empty() || wanted.iter().any(|one| one == actual);
        let has = |(key, value): &(String, String)| event.tags().any(|tag| tag == (key, value));
        is_of(&self.types, event.event_type())
            && is_of(&self.categories, event.category())
            && (self.streams.is_empty() || self.streams.iter().any(|stream| stream.as_str() == event.stream()))
            && self.tags.iter().all(has)
    }
}
