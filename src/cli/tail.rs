//! `tail`: the last events, and on as they come.

use crate::cli::Tool;
use crate::cli::event;
use crate::cli::failure::Failure;
use crate::cli::output::{List, say};
use crate::cli::terminal::reader_is_gone_after;
use scorebook::{Error, ErrorKind, EventStore, Position, RecordedEvent, StreamName, Version};
use std::time::Duration;

/// How often a store that another process writes to is asked for more.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// The last events, oldest first, and with -f those that come.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; all events where there is none
    stream: Option<StreamName>,
    /// How many events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Go on with the events that come, until interrupted; the stream need not exist yet
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let source = match &arguments.stream {
        Some(stream) => Source::Stream(store, stream),
        None => Source::All(store),
    };
    let mut output = tool.output();
    let mut list = output.list(event::COLUMNS);
    let outcome = tail(&source, arguments, &mut list);
    list.finish()?;
    outcome
}

fn tail(source: &Source<'_>, arguments: &Arguments, list: &mut List<'_>) -> Result<(), Failure> {
    // The end is looked up first: what comes after it is left to following, so nothing is missed or told twice.
    let mut end = source.end()?;
    match arguments.stream {
        Some(_) if end == 0 && arguments.follow => say("the stream has no events yet: waiting for the first"),
        _ => print_last(source, end, arguments.lines, list)?,
    }
    if !arguments.follow {
        return Ok(());
    }
    loop {
        list.flush()?;
        if reader_is_gone_after(POLL_EVERY)? {
            return Ok(());
        }
        if source.end()? == end {
            continue;
        }
        for event in source.after(end) {
            let event = event?;
            list.push(&event)?;
            end = source.number(&event);
        }
    }
}

/// Prints the last events up to `end`; of a read that fails, what it gave until then.
fn print_last(source: &Source<'_>, end: u64, limit: u64, list: &mut List<'_>) -> Result<(), Failure> {
    let (mut events, mut outcome) = (Vec::new(), Ok(()));
    for event in source.last(end, limit) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => outcome = Err(error),
        }
    }
    events.iter().rev().try_for_each(|event| list.push(event))?;
    Ok(outcome?)
}

/// What is followed. Its events are counted by version in a stream, and by position where it is everything.
enum Source<'a> {
    All(EventStore),
    Stream(EventStore, &'a StreamName),
}

type Events = Box<dyn Iterator<Item = Result<RecordedEvent, Error>>>;

impl Source<'_> {
    /// The number of the last event there is now; 0 where there is none.
    fn end(&self) -> Result<u64, Failure> {
        match self {
            Source::All(store) => Ok(store.head()?.get()),
            Source::Stream(store, stream) => match store.version(stream) {
                Ok(version) => Ok(version.get()),
                Err(error) if error.kind() == ErrorKind::StreamNotFound => Ok(0),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn number(&self, event: &RecordedEvent) -> u64 {
        match self {
            Source::All(_) => event.position().get(),
            Source::Stream(..) => event.version().get(),
        }
    }

    /// The last events up to `end`, the very last first.
    fn last(&self, end: u64, limit: u64) -> Events {
        match self {
            Source::All(store) => {
                Box::new(store.read_all().to(Position::new(end)).backwards().limit(limit).into_iter())
            }
            Source::Stream(store, stream) => {
                Box::new(store.read(stream).to(Version::new(end)).backwards().limit(limit).into_iter())
            }
        }
    }

    /// The events behind `end`, as far as there are any now.
    fn after(&self, end: u64) -> Events {
        match self {
            Source::All(store) => Box::new(store.read_all().after(Position::new(end)).into_iter()),
            Source::Stream(store, stream) => Box::new(store.read(stream).after(Version::new(end)).into_iter()),
        }
    }
}
