//! NDJSON import: arbitrary lines through what the tool takes in, and back out again.
//!
//! What is refused is refused with its line and a reason. What is taken in is exported, taken in again exactly, and
//! exported once more: the same lines.

use crate::cli::failure::Failure;
use crate::cli::lines::Lines;
use crate::cli::{exact, import, ndjson};
use crate::look::{self, options};
use scorebook::testing::SimulatedDisk;
use scorebook::{EventStore, ExportedRecord};
use std::io::Cursor;
use std::path::Path;

/// Takes the lines in, both ways.
pub fn run(data: &[u8]) {
    let (plain, exactly) = (store(1), store(2));
    check_refusal(import::import(&plain, &mut lines(data)).err(), data);
    check_refusal(exact::import(&exactly, &mut lines(data)).err(), data);
    for store in [plain, exactly] {
        // Where a line was refused, the batches before its own are in.
        let seen = look::everything(&store);
        assert!(seen.trouble.is_none(), "{:?}", seen.trouble);
        let exported = export(&store);
        let copy = self::store(3);
        let copied = exact::import(&copy, &mut lines(exported.as_bytes()));
        let copied = copied.unwrap_or_else(|failure| panic!("{failure:?}\n{exported}"));
        assert_eq!(copied.events, seen.events.len() as u64, "every event is in");
        assert_eq!(export(&copy), exported, "exported, imported, exported");
        assert_eq!(look::everything(&copy).events, seen.events, "every event as it was");
    }
}

fn store(seed: u64) -> EventStore {
    options().open_simulated(&SimulatedDisk::new(seed)).expect("an empty disk")
}

fn lines(data: &[u8]) -> Lines {
    Lines::new(Box::new(Cursor::new(data.to_vec())), Path::new("fuzzed"), None)
}

/// A refusal names the line, or the lines of a batch, and says why.
fn check_refusal(failure: Option<Failure>, data: &[u8]) {
    let Some(failure) = failure else { return };
    let text = format!("{failure:?}");
    let named = text.split("line").nth(1).map(|rest| rest.trim_start_matches('s').trim_start());
    let number = named.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    let last = data.split(|byte| *byte == b'\n').count();
    assert!(number.is_some_and(|number| (1..=last).contains(&number)), "no line is named: {text}");
    let reason = named.and_then(|rest| rest.split_once(": ")).map_or("", |(_, reason)| reason);
    assert!(reason.chars().any(char::is_alphabetic), "no reason is given: {text}");
}

/// What `scorebook export` prints.
fn export(store: &EventStore) -> String {
    let mut text = String::new();
    for record in store.export().expect("the store is open") {
        match record.expect("what was just taken in") {
            ExportedRecord::Event(event) => {
                ndjson::write(&event, &mut text).expect("metadata that was taken in as JSON");
            }
            ExportedRecord::Fact(fact) => text.push_str(&fact.to_json()),
            _ => unreachable!("nothing else is said"),
        }
        text.push('\n');
    }
    text
}
