//! `streams`: the streams of a store.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::Row;
use crate::cli::rfc3339;
use scorebook::StreamInfo;
use std::cmp::Reverse;

/// The streams, with version, first and last time.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only streams whose names match: `*` stands for anything, `?` for one character
    glob: Option<String>,
    /// By name; by version, the longest first; or by the time of the last event, the latest first
    #[arg(long, value_enum, default_value_t = Sort::Name)]
    sort: Sort,
    /// At most so many streams
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Sort {
    Name,
    Version,
    Time,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let list = match &arguments.glob {
        Some(glob) => store.streams().glob(glob),
        None => store.streams(),
    };
    let mut streams = list.skipping_lost().list()?;
    // They come sorted by name, and what is equal stays in that order.
    match arguments.sort {
        Sort::Name => {}
        Sort::Version => streams.sort_by_key(|stream| Reverse(stream.version())),
        Sort::Time => streams.sort_by_key(|stream| Reverse(stream.last_position())),
    }
    let mut output = tool.output();
    let mut list = output.list(&["stream", "version", "first_time", "last_time"]);
    let mut shown = streams.iter().take(arguments.limit.unwrap_or(usize::MAX));
    let outcome = shown.try_for_each(|stream| list.push(stream));
    list.finish()?;
    outcome?;
    // What cannot be read may be streams of their own: then the list is shorter than the truth, and says so.
    store.streams().limit(0).list().map(|_| ()).map_err(|error| Failure::from(error).at("streams may be missing"))
}

impl Row for StreamInfo {
    fn cells(&self) -> Vec<String> {
        vec![
            self.name().to_string(),
            self.version().to_string(),
            rfc3339::brief(self.first_time()),
            rfc3339::brief(self.last_time()),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        *line = format!(
            r#"{{"stream":{},"version":{},"first_time":"{}","last_time":"{}"}}"#,
            quoted(self.name().as_str()),
            self.version(),
            rfc3339::print(self.first_time()),
            rfc3339::print(self.last_time()),
        );
        Ok(())
    }
}
