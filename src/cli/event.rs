//! `event`: one event whole, with its place in the files. Here is also how an event is a row of a list.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::ndjson;
use crate::cli::output::{Facts, Row};
use crate::cli::rfc3339;
use scorebook::{Error, EventId, EventStore, Position, RecordedEvent};
use std::str::FromStr;

/// One event whole, with its place in the files.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The event's position in the store, or its id
    #[arg(value_name = "POSITION|ID")]
    event: Which,
}

/// How an event is named.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    At(Position),
    With(EventId),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        match (text.parse(), text.parse()) {
            (Ok(position), _) => Ok(Which::At(Position::new(position))),
            (_, Ok(id)) => Ok(Which::With(id)),
            _ => Err("it is neither a position nor a UUID".to_owned()),
        }
    }
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    tool.output().facts(&whole(&arguments.event.find(&store)?)?)
}

impl Which {
    pub(crate) fn find(self, store: &EventStore) -> Result<RecordedEvent, Error> {
        match self {
            Which::At(position) => store.event_at(position),
            Which::With(id) => store.event_by_id(id),
        }
    }
}

/// The keys of the event's line, and where its record stands.
fn whole(event: &RecordedEvent) -> Result<Facts, Failure> {
    let mut line = String::new();
    event.write_json(&mut line)?;
    let members = ndjson::members(&line).expect("a line that was just written");
    let facts = members.into_iter().fold(Facts::default(), |facts, (key, value)| {
        // Payloads are shown as they are, with the quotes of one that is a string.
        let text = if key == "data" { None } else { serde_json::from_str(value.get()).ok() };
        facts.with_json(&key, value.get(), vec![text.unwrap_or_else(|| value.get().to_owned())])
    });
    let place = event.place();
    Ok(facts.with("segment", place.segment).with("byte", place.offset).with("record_bytes", event.record_bytes()))
}

/// The columns of a list of events.
pub(crate) const COLUMNS: &[&str] = &["position", "stream", "version", "type", "time", "data"];

impl Row for RecordedEvent {
    fn cells(&self) -> Vec<String> {
        vec![
            self.position().to_string(),
            self.stream().to_owned(),
            self.version().to_string(),
            self.event_type().to_owned(),
            rfc3339::brief(self.time()),
            payload(self),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        ndjson::write(self, line).map_err(|fault| Failure::new(Exit::Other, fault))
    }
}

/// The payload for a person: JSON as it is, of anything else what it is.
pub(crate) fn payload(event: &RecordedEvent) -> String {
    match ndjson::json_of(event) {
        Some(json) => json.to_owned(),
        None => format!("({} bytes, codec {})", event.data().len(), ndjson::codec_name(event.codec())),
    }
}
