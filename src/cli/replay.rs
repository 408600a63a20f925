//! `replay`: a stream folded again, event by event if need be.

use crate::cli::Tool;
use crate::cli::at::At;
use crate::cli::compact::indented;
use crate::cli::difference::differences;
use crate::cli::failure::Failure;
use crate::cli::fold::{go_on, show_events};
use crate::cli::ndjson::quoted;
use crate::cli::output::{Row, say};
use crate::cli::rfc3339;
use scorebook::{RecordedEvent, StreamName, Version};

/// Folds a stream again, and tells the last event and the state behind it; with --step every event, and what it changed.
///
/// As JSON, every event comes with the whole state behind it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; the part of its name before the first `-` chooses the aggregate
    stream: StreamName,
    /// Up to this version (0 is before the first event), or to then: an RFC 3339 time, a date, or an age such as 2h
    #[arg(long, value_name = "V|TIME")]
    at: Option<At>,
    /// Tell every event
    #[arg(long)]
    step: bool,
    /// With --step: the whole state behind every event, not only what it changed
    #[arg(long, requires = "step")]
    whole: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let stream = &arguments.stream;
    let store = tool.open_read_only()?;
    let last = At::version_or_last(arguments.at, &store, stream)?;
    let Some(fold) = tool.registry.fold(stream) else {
        say(&show_events(tool, &store, stream, Version::new(0), last)?);
        return Ok(());
    };
    let mut output = tool.output();
    // What the first event changes can only be understood by whoever was told what was there before it.
    let tells_beginning = last == Version::new(0) || arguments.step && !arguments.whole && output.is_for_people();
    let mut list = output.lines();
    let mut before = fold.json()?;
    if tells_beginning {
        list.push(&Step { event: None, before: None, state: before.clone() })?;
    }
    let mut end = None;
    let outcome = go_on(&store, stream, Version::new(0), last, fold, |event, fold| {
        if !arguments.step {
            end = Some(event.clone());
            return Ok(());
        }
        let state = fold.json()?;
        let before = std::mem::replace(&mut before, state.clone());
        let before = (!arguments.whole).then_some(before);
        list.push(&Step { event: Some(event.clone()), before, state })
    });
    let outcome = outcome.and_then(|fold| match end {
        Some(event) => list.push(&Step { event: Some(event), before: None, state: fold.json()? }),
        None => Ok(()),
    });
    list.finish()?;
    outcome
}

/// The state behind an event; behind none, where a stream begins.
struct Step {
    event: Option<RecordedEvent>,
    /// The state before it, where only what changed is to be told.
    before: Option<String>,
    state: String,
}

impl Row for Step {
    fn cells(&self) -> Vec<String> {
        let heading = match &self.event {
            None => "version 0".to_owned(),
            Some(event) => {
                format!("version {}  {}  {}", event.version(), rfc3339::brief(event.time()), event.event_type())
            }
        };
        let body: Vec<String> = match &self.before {
            None => indented(&self.state).lines().map(str::to_owned).collect(),
            Some(before) => differences(before, &self.state).iter().map(ToString::to_string).collect(),
        };
        std::iter::once(heading).chain(body.into_iter().map(|line| format!("  {line}"))).collect()
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        *line = match &self.event {
            None => format!(r#"{{"version":0,"state":{}}}"#, self.state),
            Some(event) => format!(
                r#"{{"position":{},"version":{},"time":"{}","type":{},"state":{}}}"#,
                event.position(),
                event.version(),
                rfc3339::print(event.time()),
                quoted(event.event_type()),
                self.state
            ),
        };
        Ok(())
    }
}
