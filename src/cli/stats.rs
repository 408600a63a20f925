//! `stats` and `types`: events in numbers.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::Row;
use crate::cli::rfc3339;
use scorebook::{Group, GroupKey, Grouping};

/// How many events there are by type, category, stream or hour, in how many streams, first and last.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What they are counted by
    #[arg(long, value_enum, default_value_t = By::Type)]
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Type,
    Category,
    Stream,
    /// By the store's time, in UTC
    Hour,
}

type Columns = [&'static str; 7];

const BY_TYPE: Columns = ["type", "events", "streams", "first", "last", "first_time", "last_time"];
const BY_CATEGORY: Columns = ["category", "events", "streams", "first", "last", "first_time", "last_time"];
const BY_STREAM: Columns = ["stream", "events", "streams", "first", "last", "first_time", "last_time"];
const BY_HOUR: Columns = ["hour", "events", "streams", "first", "last", "first_time", "last_time"];

/// The types of events, with their numbers.
pub(crate) fn types(tool: &Tool) -> Result<(), Failure> {
    run(tool, &Arguments { by: By::Type })
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let (grouping, columns) = match arguments.by {
        By::Type => (Grouping::Type, &BY_TYPE),
        By::Category => (Grouping::Category, &BY_CATEGORY),
        By::Stream => (Grouping::Stream, &BY_STREAM),
        By::Hour => (Grouping::Hour, &BY_HOUR),
    };
    let groups = tool.open_read_only()?.read_all().grouped_by(grouping)?;
    let mut output = tool.output();
    let mut list = output.list(columns);
    let outcome = groups.into_iter().try_for_each(|group| list.push(&Counted { key: columns[0], group }));
    list.finish()?;
    outcome
}

/// A group, and what its key is called.
struct Counted {
    key: &'static str,
    group: Group,
}

impl Row for Counted {
    fn cells(&self) -> Vec<String> {
        let group = &self.group;
        let key = match group.key() {
            GroupKey::Hour(time) => rfc3339::brief(*time),
            GroupKey::Name(name) => name.clone(),
        };
        vec![
            key,
            group.events().to_string(),
            group.streams().to_string(),
            group.first_position().to_string(),
            group.last_position().to_string(),
            rfc3339::brief(group.first_time()),
            rfc3339::brief(group.last_time()),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let group = &self.group;
        *line = format!(
            r#"{{"{}":{},"events":{},"streams":{},"first":{},"last":{},"first_time":"{}","last_time":"{}"}}"#,
            self.key,
            quoted(&text_of(group.key())),
            group.events(),
            group.streams(),
            group.first_position(),
            group.last_position(),
            rfc3339::print(group.first_time()),
            rfc3339::print(group.last_time()),
        );
        Ok(())
    }
}

fn text_of(key: &GroupKey) -> String {
    match key {
        GroupKey::Name(name) => name.clone(),
        GroupKey::Hour(time) => rfc3339::print(*time),
    }
}
