//! `parked`: events that a consumer has set aside; looked at, handed out again, or dropped.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::event;
use crate::cli::failure::{Exit, Failure, chain};
use crate::cli::ndjson::{self, quoted};
use crate::cli::output::{Facts, Row, counted};
use crate::cli::rfc3339;
use scorebook::{Error, EventStore, ParkedEvent, Position, RecordedEvent, Registry, UpcastEvent};

/// The events that a consumer has set aside, with what they hold and why; in the newest schema, where this program knows it.
///
/// --redeliver and --drop change the consumer, while no process has the store open: one that has can do the same, with
/// `store.consumer(NAME)`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The consumer
    name: String,
    /// Have it hand them out again: all, or the one at this position and those that are parked with its key
    #[arg(long, value_name = "P", num_args = 0..=1, conflicts_with = "drop")]
    redeliver: Option<Option<u64>>,
    /// Have it forget them: all, or the one at this position alone
    #[arg(long, value_name = "P", num_args = 0..=1)]
    drop: Option<Option<u64>>,
    #[command(flatten)]
    consent: Consent,
}

const COLUMNS: &[&str] = &["position", "attempts", "since", "stream", "type", "reason", "data"];

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let parked = store.consumer(&arguments.name).parked()?;
    let position = |wanted: Option<u64>| wanted.map(Position::new);
    match (arguments.redeliver, arguments.drop) {
        (Some(wanted), _) => change(tool, arguments, Change::Redeliver(position(wanted)), &parked),
        (None, Some(wanted)) => change(tool, arguments, Change::Drop(position(wanted)), &parked),
        (None, None) => list(tool, &store, parked),
    }
}

fn list(tool: &Tool, store: &EventStore, parked: Vec<ParkedEvent>) -> Result<(), Failure> {
    let registry = tool.registry_for(store)?;
    let mut output = tool.output();
    let mut list = output.list(COLUMNS);
    let outcome = parked.into_iter().try_for_each(|parked| list.push(&Listed::of(parked, store, &registry)));
    list.finish()?;
    outcome
}

/// What is done with one event, or with all.
#[derive(Clone, Copy)]
enum Change {
    Redeliver(Option<Position>),
    Drop(Option<Position>),
}

fn change(tool: &Tool, arguments: &Arguments, change: Change, parked: &[ParkedEvent]) -> Result<(), Failure> {
    let name = &arguments.name;
    let (Change::Redeliver(wanted) | Change::Drop(wanted)) = change;
    if let Some(position) = wanted.filter(|wanted| parked.iter().all(|parked| parked.position() != *wanted)) {
        let text = format!("consumer {name} has not parked the event at position {position}");
        return Err(Failure::new(Exit::NotFound, text));
    }
    let all = counted(parked.len() as u64, "parked event", "parked events");
    let (act, sentence) = match change {
        Change::Redeliver(None) => ("redeliver", format!("hands out {all} again")),
        Change::Redeliver(Some(position)) => {
            ("redeliver", format!("hands out the event at position {position} again, and those parked with its key"))
        }
        Change::Drop(None) => ("drop", format!("forgets {all}")),
        Change::Drop(Some(position)) => ("drop", format!("forgets the event at position {position}")),
    };
    let facts = Facts::default().with("consumer", &**name).with("act", act).with("parked", parked.len() as u64);
    let facts = facts.with("position", wanted.map(Position::get));
    if !arguments.consent.is_given(tool, &format!("Consumer {name} {sentence}."), facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change(&format!("`store.consumer({name:?})`, and `redeliver` or `drop_parked` of it"))?;
    let control = store.consumer(name);
    let events = match change {
        Change::Redeliver(None) => control.redeliver_all(),
        Change::Redeliver(Some(position)) => control.redeliver(position),
        Change::Drop(None) => control.drop_all_parked(),
        Change::Drop(Some(position)) => control.drop_parked(position).map(|()| 1),
    }?;
    store.close()?;
    tool.output().facts(&facts.with("events", events).with("done", true))
}

/// A parked event as it is listed.
struct Listed {
    parked: ParkedEvent,
    event: Result<RecordedEvent, Error>,
    /// What this program reads it as, where it knows it.
    upcast: Result<Option<Vec<UpcastEvent>>, Error>,
}

impl Listed {
    fn of(parked: ParkedEvent, store: &EventStore, registry: &Registry) -> Listed {
        let event = store.event_at(parked.position());
        let upcast = event.as_ref().map_or(Ok(None), |event| registry.upcast(event));
        Listed { parked, event, upcast }
    }

    /// What it holds, for a person.
    fn payload(&self, event: &RecordedEvent) -> String {
        match &self.upcast {
            Ok(Some(upcast)) if upcast.iter().any(|upcast| *upcast.shape() != event.shape()) => {
                let parts = upcast.iter().map(|upcast| {
                    let data = String::from_utf8_lossy(upcast.data());
                    format!("{}: {data}", upcast.shape())
                });
                parts.collect::<Vec<_>>().join(", ")
            }
            Ok(_) => event::payload(event),
            Err(error) => format!("{}: {}", chain(error), event::payload(event)),
        }
    }
}

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let parked = &self.parked;
        let (stream, event_type, data) = match &self.event {
            Ok(event) => (event.stream().to_owned(), event.event_type().to_owned(), self.payload(event)),
            Err(error) => ("-".to_owned(), "-".to_owned(), chain(error)),
        };
        vec![
            parked.position().to_string(),
            parked.attempts().to_string(),
            parked.since().map_or("-".to_owned(), rfc3339::brief),
            stream,
            event_type,
            parked.reason().to_owned(),
            data,
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let parked = &self.parked;
        let since = parked.since().map_or("null".to_owned(), |since| quoted(&rfc3339::print(since)));
        let (position, attempts, reason) = (parked.position(), parked.attempts(), quoted(parked.reason()));
        *line = format!(r#"{{"position":{position},"attempts":{attempts},"since":{since},"reason":{reason},"event":"#);
        match &self.event {
            Ok(event) => ndjson::write(event, line).map_err(|fault| Failure::new(Exit::Other, fault))?,
            Err(error) => *line += &format!("null,\"error\":{}", quoted(&chain(error))),
        }
        match (&self.event, &self.upcast) {
            (Ok(event), Ok(Some(upcast))) => {
                let parts = upcast.iter().map(|upcast| {
                    let (event_type, schema) = (quoted(upcast.shape().event_type()), upcast.shape().schema());
                    let mut part = format!("{{\"type\":{event_type},\"schema\":{schema}");
                    ndjson::write_payload(event.codec(), upcast.data(), &mut part);
                    part + "}"
                });
                *line += &format!(",\"read_as\":[{}]", parts.collect::<Vec<_>>().join(","));
            }
            (Ok(_), Err(error)) => *line += &format!(",\"error\":{}", quoted(&chain(error))),
            _ => {}
        }
        line.push('}');
        Ok(())
    }
}
