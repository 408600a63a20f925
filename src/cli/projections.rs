//! `projections`: those that this program has, and how far each is saved.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Row, say};
use crate::cli::project::{AnyProjection, NONE, State};
use scorebook::{EventStore, Position};

const COLUMNS: &[&str] = &["projection", "version", "saved", "lag", "hash"];

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    tool.lend_registry(&store);
    if tool.projections.is_empty() {
        say(NONE);
    }
    let mut output = tool.output();
    let mut list = output.list(COLUMNS);
    let outcome = tool.projections.iter().try_for_each(|projection| list.push(&Listed::of(&**projection, &store)?));
    list.finish()?;
    outcome
}

/// A projection as it is listed.
struct Listed {
    name: &'static str,
    version: u32,
    saved: Option<State>,
    lag: u64,
}

impl Listed {
    fn of(projection: &dyn AnyProjection, store: &EventStore) -> Result<Listed, Failure> {
        let saved = projection.saved(store)?;
        let from = saved.map_or(Position::BEGINNING, |saved| saved.position);
        let lag = projection.events_behind(store, from)?;
        Ok(Listed { name: projection.name(), version: projection.version(), saved, lag })
    }
}

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let saved = |shown: &dyn Fn(&State) -> String| self.saved.as_ref().map_or_else(|| "-".to_owned(), shown);
        vec![
            self.name.to_owned(),
            self.version.to_string(),
            saved(&|state| state.position.to_string()),
            self.lag.to_string(),
            saved(&|state| state.hash.to_string()),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let (name, version, lag) = (quoted(self.name), self.version, self.lag);
        let saved = self.saved.map_or("null".to_owned(), |state| state.position.to_string());
        let hash = self.saved.map_or("null".to_owned(), |state| format!("\"{}\"", state.hash));
        *line = format!(r#"{{"projection":{name},"version":{version},"saved":{saved},"lag":{lag},"hash":{hash}}}"#);
        Ok(())
    }
}
