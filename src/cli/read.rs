//! `read`: the events of one stream, or of all.

use crate::cli::Tool;
use crate::cli::event;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use scorebook::{Error, EventStore, Position, RecordedEvent, StreamName, Version};

/// The events of one stream, or of all.
///
/// Bounds choose which events, --backwards only their order. --from and --to name the first and the last event that is
/// wanted: by version in a STREAM, by position where there is none. --after and --before name positions, in a STREAM
/// too, and leave the named ones out.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream; all events in the order of the store where there is none
    stream: Option<StreamName>,
    /// From this version on; without STREAM, from this position on
    #[arg(long, value_name = "V")]
    from: Option<u64>,
    /// Up to this version; without STREAM, up to this position
    #[arg(long, value_name = "V")]
    to: Option<u64>,
    /// Only what stands after this position
    #[arg(long, value_name = "P")]
    after: Option<u64>,
    /// Only what stands before this position
    #[arg(long, value_name = "P")]
    before: Option<u64>,
    /// The last event first
    #[arg(long)]
    backwards: bool,
    /// At most so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let mut output = tool.output();
    match &arguments.stream {
        Some(stream) => print(&mut output, of_stream(&store, stream, arguments)),
        None => print(&mut output, of_all(&store, arguments)),
    }
}

/// Prints events; of a read that fails, what precedes the failure is printed first.
pub(crate) fn print(
    output: &mut Output,
    events: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
) -> Result<(), Failure> {
    let mut list = output.list(event::COLUMNS);
    let outcome = events.into_iter().try_for_each(|event| list.push(&event?));
    list.finish()?;
    outcome
}

fn of_all(store: &EventStore, arguments: &Arguments) -> impl Iterator<Item = Result<RecordedEvent, Error>> {
    let mut read = store.read_all();
    if let Some(position) = arguments.from {
        read = read.from(Position::new(position));
    }
    if let Some(position) = arguments.to {
        read = read.to(Position::new(position));
    }
    if let Some(position) = arguments.after {
        read = read.after(Position::new(position));
    }
    if let Some(position) = arguments.before {
        read = read.before(Position::new(position));
    }
    if let Some(limit) = arguments.limit {
        read = read.limit(limit);
    }
    if arguments.backwards {
        read = read.backwards();
    }
    read.into_iter()
}

/// The store bounds a stream by versions. Positions rise with them, so those bounds cut something off at the
/// beginning and at the end of what the store gives; the limit counts what is left.
fn of_stream(
    store: &EventStore,
    stream: &StreamName,
    arguments: &Arguments,
) -> impl Iterator<Item = Result<RecordedEvent, Error>> {
    let mut read = store.read(stream);
    if let Some(version) = arguments.from {
        read = read.from(Version::new(version));
    }
    if let Some(version) = arguments.to {
        read = read.to(Version::new(version));
    }
    if arguments.backwards {
        read = read.backwards();
    }
    let (after, before) = (arguments.after.map(Position::new), arguments.before.map(Position::new));
    // Without such bounds the limit is the store's own, which then need not look further.
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    if after.is_none() && before.is_none() {
        read = read.limit(left);
    }
    let is_wanted = move |event: &RecordedEvent| {
        after.is_none_or(|after| after < event.position()) && before.is_none_or(|before| event.position() < before)
    };
    let mut events = read.into_iter();
    let mut is_in = false;
    std::iter::from_fn(move || {
        // A failure is never passed over, wherever it is.
        loop {
            match events.next()? {
                Ok(event) if is_wanted(&event) && left != 0 => {
                    is_in = true;
                    left -= 1;
                    return Some(Ok(event));
                }
                Ok(_) if is_in || left == 0 => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}
