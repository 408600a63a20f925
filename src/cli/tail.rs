//! `tail`: the last events, and on as they come.

use crate::cli::Tool;
use crate::cli::event;
use crate::cli::failure::Failure;
use crate::cli::output::{List, say};
use crate::cli::terminal::reader_is_gone_after;
use crate::cli::unless::Unless;
use crate::cli::whence::Whence;
use scorebook::{AllRead, ErrorKind, EventStore, Followed, Position, Query, Start, StreamName, Subscription};
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// How often a store that another process writes to is asked for more.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// While it catches up, whole lines reach the reader at the latest when there are so many.
const FLUSH_EVERY: u64 = 100;

/// The last events, oldest first, and with -f those that come.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; all events where there is none
    stream: Option<StreamName>,
    /// Only events that this asks for: `type=a,b tag=k:v stream=NAME category=C prefix=P after=P`, `or` between items
    #[arg(long, value_name = "QUERY", conflicts_with = "stream")]
    query: Option<Unless>,
    /// How many events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Not the last ones, but all from here on: from this position, or from then: an RFC 3339 time, a date, or an age such
    /// as 2h
    #[arg(long, value_name = "beginning|end|P|TIME", conflicts_with = "lines")]
    from: Option<Whence>,
    /// Go on with the events that come, until interrupted; the stream need not exist yet
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    if let Some(stream) = &arguments.stream {
        match store.stream_info(stream) {
            Err(error) if arguments.follow && error.kind() == ErrorKind::StreamNotFound => {
                say("the stream has no events yet: waiting for the first");
            }
            info => drop(info?),
        }
    }
    let query = match (&arguments.stream, &arguments.query) {
        (Some(stream), _) => Query::all().in_stream(stream),
        (None, Some(Unless(query))) => query.clone(),
        (None, None) => Query::all(),
    };
    let mut output = tool.output();
    let mut list = output.list(event::COLUMNS);
    let outcome = tail(&store, &query, arguments, &mut list);
    list.finish()?;
    outcome
}

fn tail(store: &EventStore, query: &Query, arguments: &Arguments, list: &mut List<'_>) -> Result<(), Failure> {
    // The end is looked up first: what comes after it is left to following, so nothing is missed or told twice.
    let end = store.head()?;
    let read = store.read_all().matching(query.clone()).to(end);
    let start = match arguments.from {
        Some(whence) if arguments.follow => start_of(whence, end),
        Some(whence) => return from(read, whence, end).into_iter().try_for_each(|event| list.push(&event?)),
        None => {
            print_last(read, arguments.lines, list)?;
            Start::After(end)
        }
    };
    if arguments.follow { follow(store.subscribe(query.clone(), start), list) } else { Ok(()) }
}

/// Prints the last events of a read; of one that fails, what it gave until then.
fn print_last(read: AllRead, limit: u64, list: &mut List<'_>) -> Result<(), Failure> {
    let (mut events, mut outcome) = (Vec::new(), Ok(()));
    for event in read.backwards().limit(limit) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => outcome = Err(error),
        }
    }
    events.iter().rev().try_for_each(|event| list.push(event))?;
    Ok(outcome?)
}

/// What a read gives from some place on.
fn from(read: AllRead, whence: Whence, end: Position) -> AllRead {
    match whence {
        Whence::Beginning => read,
        Whence::End => read.after(end),
        Whence::Position(position) => read.from(position),
        Whence::Time(time) => read.since(time),
    }
}

/// Where following begins, so that the first event is the same.
fn start_of(whence: Whence, end: Position) -> Start {
    match whence {
        Whence::Beginning => Start::Beginning,
        Whence::End => Start::After(end),
        Whence::Position(position) => Start::After(Position::new(position.get().saturating_sub(1))),
        Whence::Time(time) => Start::At(time),
    }
}

/// Prints what comes, until nobody reads any more.
fn follow(mut live: Subscription, list: &mut List<'_>) -> Result<(), Failure> {
    let is_watched = stderr().is_terminal();
    let mut unflushed = 0;
    loop {
        match live.try_next()? {
            Some(Followed::Event(event)) => {
                list.push(&event)?;
                unflushed = (unflushed + 1) % FLUSH_EVERY;
                if unflushed == 0 {
                    list.flush()?;
                }
            }
            Some(Followed::CaughtUp { position }) => {
                list.flush()?;
                if is_watched {
                    say(&format!("level with the store at position {position}: waiting for what comes"));
                }
            }
            Some(Followed::Removed { first, last }) => {
                say(&format!("positions {first} to {last} are no longer held"));
            }
            Some(_) => {}
            None => {
                list.flush()?;
                if reader_is_gone_after(POLL_EVERY)? {
                    return Ok(());
                }
            }
        }
    }
}
