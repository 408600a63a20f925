//! `demo`: the whole way of a small real history, from lines to a store and back.

use crate::cli::failure::{Exit, Failure};
use crate::cli::import::import;
use crate::cli::lines::Lines;
use crate::cli::output::{Format, Output, counted};
use crate::cli::read;
use scorebook::{EventStore, Position, RecordedEvent, StreamInfo, Version};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// This repository's own history: its commits and the files they touched.
const HISTORY: &str = include_str!("../../tests/data/history.ndjson");
/// So many events of the stream that is read are shown.
const SHOWN: u64 = 5;

pub(crate) fn run(dir: Option<PathBuf>, format: Option<Format>) -> Result<(), Failure> {
    if format.is_some_and(|format| format != Format::Table) {
        return Err(Failure::new(Exit::Usage, "the demo is for people: it prints text and tables only"));
    }
    let dir = match dir {
        Some(dir) => absent_or_empty(&dir)?,
        None => fresh_temporary()?,
    };
    let mut output = Output::new(Some(Format::Table));
    take_in(&mut output, &dir)?;
    verify(&mut output, &dir)?;
    read_back(&mut output, &dir)?;
    output.text(&format!("\nEverything held. {}", what_next(&dir)))?;
    output.flush()
}

fn take_in(output: &mut Output, dir: &Path) -> Result<(), Failure> {
    output.text(
        "A small real history goes into a new store: the commits of this repository and the files they touched.\n\n",
    )?;
    output.text(&format!("1. Importing into {}\n", shown(dir)))?;
    output.flush()?;
    let store = EventStore::open(dir)?;
    let imported = import(&store, &mut Lines::of(HISTORY, "the history"))?;
    let streams = store.streams().list()?.len();
    store.close()?;
    let streams = counted(streams as u64, "stream", "streams");
    output.text(&format!("   {imported}, to {streams}; every batch is durable\n\n"))?;
    hold(imported.events == lines_of_history(), "every line of the history became an event")
}

fn verify(output: &mut Output, dir: &Path) -> Result<(), Failure> {
    output.text("2. Verifying every byte of every file\n")?;
    let report = scorebook::verify(dir)?;
    if let Some(damage) = report.damage().first() {
        return Err(Failure::new(Exit::Damage, damage.to_string()));
    }
    output.text(&format!("   sound: {}\n\n", counted(report.events(), "event", "events")))?;
    hold(report.is_sound() && report.events() == lines_of_history(), "every event verifies")
}

fn read_back(output: &mut Output, dir: &Path) -> Result<(), Failure> {
    let store = EventStore::open_read_only(dir)?;
    let all = store.read_all().into_iter().collect::<Result<Vec<_>, _>>()?;
    let positions = (1..).map(Position::new);
    hold(all.len() as u64 == lines_of_history(), "reading everything gives every event")?;
    hold(all.iter().map(RecordedEvent::position).eq(positions.take(all.len())), "positions rise by one")?;

    let stream = longest(store.streams().list()?)?;
    let events = store.read(stream.name()).into_iter().collect::<Result<Vec<_>, _>>()?;
    let among_all = all.iter().filter(|event| event.stream() == stream.name().as_str());
    hold(events.iter().map(RecordedEvent::id).eq(among_all.map(RecordedEvent::id)), "a stream is a part of the whole")?;
    let versions = (1..=stream.version().get()).map(Version::new);
    hold(events.iter().map(RecordedEvent::version).eq(versions), "the versions of a stream rise by one")?;

    let events_text = counted(events.len() as u64, "event", "events");
    output.text(&format!("3. Reading the longest stream, {}, to the end: {events_text}\n", stream.name()))?;
    let first_shown = stream.version().get().saturating_sub(SHOWN) + 1;
    read::print(output, store.read(stream.name()).from(Version::new(first_shown)))?;
    let last = events.last().map(RecordedEvent::position);
    let found = last.map(|position| store.event_at(position)).transpose()?;
    hold(found.map(|event| event.position()) == last, "an event is found by its position")
}

/// The stream with the most events; of several, the first by name.
fn longest(streams: Vec<StreamInfo>) -> Result<StreamInfo, Failure> {
    let longest = streams.into_iter().rev().max_by_key(StreamInfo::version);
    longest.ok_or_else(|| Failure::new(Exit::Other, "the history has no streams"))
}

fn lines_of_history() -> u64 {
    HISTORY.lines().filter(|line| !line.trim().is_empty()).count() as u64
}

/// What a demo is for: it fails where something does not hold.
fn hold(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(Exit::Other, format!("this should hold and does not: {what}"))) }
}

/// The directory as given, if there is nothing in it.
fn absent_or_empty(dir: &Path) -> Result<PathBuf, Failure> {
    let trouble = |error| Failure::file("reading", dir, &error);
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(trouble(error)),
        Ok(entries) => {
            if entries.count() != 0 {
                let text = format!("{} is not empty: the demo wants a new directory", dir.display());
                return Err(Failure::new(Exit::Other, text));
            }
        }
    }
    std::path::absolute(dir).map_err(trouble)
}

/// A new directory among the temporary ones; it stays when the demo is over.
fn fresh_temporary() -> Result<PathBuf, Failure> {
    let parent = std::env::temp_dir();
    for number in u64::from(std::process::id()).. {
        let dir = parent.join(format!("scorebook-demo-{number}"));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("creating", &dir, &error)),
        }
    }
    unreachable!("there are more numbers than directories")
}

/// Commands to go on with, as they can be typed.
fn what_next(dir: &Path) -> String {
    // Cargo says to what it runs that it does: then the tool may not be installed.
    let tool = if std::env::var_os("CARGO").is_some() { "cargo scorebook" } else { "scorebook" };
    let dir = shown(dir);
    let commands = [
        ("info", "what the store holds"),
        ("streams --sort version --limit 10", "its longest streams"),
        ("read history --backwards --limit 3", "the last commits"),
        ("tail -f", "the last events, and those that come: append some from another terminal"),
        (
            "append note-1 --expect none event.ndjson",
            r#"a first event of your own: a file with {"type":"noted","data":"hello"} in it"#,
        ),
        ("event 1", "one event whole, with its place in the files"),
        ("export history.ndjson", "everything, a line for each event"),
    ];
    let mut text = format!("The store stays in {dir}. Try next:\n\n");
    for (command, what) in commands {
        text.push_str(&format!("   # {what}\n   {tool} --dir {dir} {command}\n"));
    }
    text
}

/// A path as a shell takes it.
fn shown(dir: &Path) -> String {
    let text = dir.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", crate::cli::output::escape(&text).replace('\'', r"'\''")),
    }
}
