//! `append`: events to one stream as one batch.

use crate::cli::Tool;
use crate::cli::entry::{Entry, refused_line};
use crate::cli::failure::{Exit, Failure};
use crate::cli::lines::Lines;
use crate::cli::output::Facts;
use crate::cli::rfc3339;
use crate::cli::unless::Unless;
use scorebook::{AppendError, Durability, ExpectedVersion, Receipt, StreamName, Version, limits};
use std::path::PathBuf;

/// Appends events to one stream as one batch, from NDJSON, and prints the receipt.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The stream
    stream: StreamName,
    /// What the stream's version must be: any, none (there is no such stream), exists, or a number
    #[arg(long, value_name = "any|none|exists|N", default_value = "any", value_parser = expectation)]
    expect: ExpectedVersion,
    /// Refuse where an event is there that this asks for: `type=a,b tag=k:v stream=NAME category=C prefix=P after=P`, `or`
    /// between items; several such conditions may be given
    #[arg(long, value_name = "CONDITION")]
    unless: Vec<Unless>,
    /// Accept once under this key: the same events again get the first receipt
    #[arg(long, value_name = "KEY")]
    once: Option<String>,
    /// The events, a line each; standard input where there is none or it is `-`
    file: Option<PathBuf>,
}

pub(crate) fn expectation(text: &str) -> Result<ExpectedVersion, String> {
    match text {
        "any" => Ok(ExpectedVersion::Any),
        "none" => Ok(ExpectedVersion::NoStream),
        "exists" => Ok(ExpectedVersion::StreamExists),
        number => match number.parse() {
            Ok(number) => Ok(ExpectedVersion::Exact(Version::new(number))),
            Err(_) => Err("it must be any, none, exists or a number".to_owned()),
        },
    }
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    // Everything is read before the store is opened: bad input makes no store, and slow input holds no lock.
    let mut lines = Lines::open(arguments.file.as_deref())?;
    let (entries, expected) = gather(&mut lines, &arguments.stream, arguments.expect)?;
    let store = tool.open()?;
    let events = entries.iter().map(|entry| entry.event.clone());
    let mut batch = store.batch().append(&arguments.stream, expected, events);
    for Unless(query) in &arguments.unless {
        batch = batch.unless(query.clone());
    }
    if let Some(key) = &arguments.once {
        batch = batch.once(key);
    }
    let receipt = batch.commit().wait().map_err(|error| refusal(error, &entries))?;
    let printed = tool.output().facts(&facts(&receipt));
    store.close()?;
    printed
}

/// The events of all lines, and what they ask of the stream's version together.
fn gather(
    lines: &mut Lines,
    stream: &StreamName,
    mut expected: ExpectedVersion,
) -> Result<(Vec<Entry>, ExpectedVersion), Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(line) = lines.next_event()? {
        if let Some(other) = line.stream.filter(|other| other != stream) {
            return Err(lines.fault(&format!("it is for stream {other}, not {stream}")));
        }
        if entries.len() == limits::BATCH_EVENTS_MAX {
            let max = limits::BATCH_EVENTS_MAX;
            return Err(lines.fault(&format!("a batch has at most {max} events: `import` takes any number")));
        }
        if let Some(version) = line.version {
            expected = claim(version, entries.len() as u64, expected)
                .map_err(|text| Failure::new(Exit::Conflict, format!("conflict: {text}")).at(&lines.place()))?;
        }
        entries.push(Entry { line: lines.number(), stream: stream.clone(), event: line.event });
    }
    Ok((entries, expected))
}

/// The version a line claims, turned into what it says about the stream before the batch. It may make an expectation
/// sharper, never another.
fn claim(version: Version, events_before: u64, expected: ExpectedVersion) -> Result<ExpectedVersion, String> {
    match version.get().checked_sub(events_before + 1).map(Version::new) {
        Some(before) if expected.admits(before) => Ok(ExpectedVersion::Exact(before)),
        Some(before) => {
            Err(format!("it claims version {version}, so the stream would be at {before}, expected {expected}"))
        }
        None => Err(format!("it claims version {version} and is event {} of the batch", events_before + 1)),
    }
}

/// Why the batch was refused; by line where one line is to blame.
fn refusal(error: AppendError, entries: &[Entry]) -> Failure {
    if let AppendError::Store(error) = &error
        && let Some((entry, alone)) = refused_line(error, entries)
    {
        return Failure::from(alone).at(&format!("line {}", entry.line));
    }
    error.into()
}

fn facts(receipt: &Receipt) -> Facts {
    let durability = match receipt.durability() {
        Durability::Written => "written",
        Durability::Synced => "synced",
    };
    Facts::default()
        .with("stream", receipt.streams()[0].stream().as_str())
        .with("new_stream", receipt.is_new_stream())
        .with("first_version", receipt.first_version().get())
        .with("last_version", receipt.last_version().get())
        .with("first_position", receipt.first_position().get())
        .with("last_position", receipt.last_position().get())
        .with("time", rfc3339::print(receipt.time()))
        .with("durability", durability)
        .with("repeat", receipt.is_repeat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExpectedVersion::{Any, Exact, NoStream, StreamExists};

    #[test]
    fn a_claim_says_what_the_stream_was_at_before_the_batch() {
        let at = Version::new;
        assert_eq!(claim(at(3), 0, Any), Ok(Exact(at(2))));
        assert_eq!(claim(at(3), 2, NoStream), Ok(Exact(at(0))));
        assert_eq!(claim(at(3), 1, Exact(at(1))), Ok(Exact(at(1))));
        assert!(claim(at(3), 2, Exact(at(1))).is_err());
        assert!(claim(at(1), 0, StreamExists).is_err());
        assert!(claim(at(0), 0, Any).is_err());
        assert!(claim(at(2), 2, Any).is_err());
    }

    #[test]
    fn an_expectation_is_a_word_or_a_version() {
        assert_eq!(expectation("any"), Ok(Any));
        assert_eq!(expectation("none"), Ok(NoStream));
        assert_eq!(expectation("exists"), Ok(StreamExists));
        assert_eq!(expectation("17"), Ok(Exact(Version::new(17))));
        for text in ["", "-1", "None", "1.0"] {
            assert!(expectation(text).is_err(), "{text}");
        }
    }
}
