//! `consumers`: who follows the store under a name, and how far each has come.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::game::lasting;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row};
use crate::cli::rfc3339;
use scorebook::{ConsumerControl, ConsumerInfo, ParkedEvent};
use serde_json::Value;

/// The consumers, or everything that is written down of one.
///
/// How many members one has, and what these have in hand, only the process that runs it knows: ask there, with
/// `store.consumers()`. What is told here is what that has written down.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The consumer; all where there is none
    name: Option<String>,
}

const COLUMNS: &[&str] = &["consumer", "position", "lag", "behind", "parked", "paused", "last_error"];

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let Some(name) = &arguments.name else {
        let mut output = tool.output();
        let mut list = output.list(COLUMNS);
        let outcome = store.consumers()?.into_iter().try_for_each(|info| {
            let last_parked = last_parked(&store.consumer(info.name()))?;
            list.push(&Listed { info, last_parked })
        });
        list.finish()?;
        return outcome;
    };
    let control = store.consumer(name);
    let (info, last_parked) = (control.info()?, last_parked(&control)?);
    let owner = scorebook::inspect(&tool.dir)?.owner().map(str::to_owned);
    tool.output().facts(&whole(&info, last_parked.as_ref(), owner.as_deref()))
}

/// The event that was set aside last because it had failed, with the reason.
fn last_parked(control: &ConsumerControl) -> Result<Option<ParkedEvent>, Failure> {
    let failed = control.parked()?.into_iter().filter(|parked| parked.attempts() != 0);
    Ok(failed.max_by_key(|parked| (parked.since(), parked.position())))
}

/// A consumer as it is listed.
struct Listed {
    info: ConsumerInfo,
    last_parked: Option<ParkedEvent>,
}

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let info = &self.info;
        let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
        vec![
            info.name().to_owned(),
            info.position().to_string(),
            info.lag_events().to_string(),
            lag_ms(info).map_or("-".to_owned(), lasting),
            info.parked().to_string(),
            or_none(info.paused()),
            or_none(self.last_parked.as_ref().map(ParkedEvent::reason)),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let info = &self.info;
        let text = |text: Option<&str>| text.map_or("null".to_owned(), quoted);
        *line = format!(
            r#"{{"consumer":{},"position":{},"lag_events":{},"lag_ms":{},"parked":{},"paused":{},"last_error":{}}}"#,
            quoted(info.name()),
            info.position(),
            info.lag_events(),
            lag_ms(info).map_or("null".to_owned(), |ms| ms.to_string()),
            info.parked(),
            text(info.paused()),
            text(self.last_parked.as_ref().map(ParkedEvent::reason)),
        );
        Ok(())
    }
}

/// How long ago the first event was appended that it has not done.
fn lag_ms(info: &ConsumerInfo) -> Option<u64> {
    info.lag_time().map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX))
}

/// Everything that is written down of a consumer.
fn whole(info: &ConsumerInfo, last_parked: Option<&ParkedEvent>, owner: Option<&str>) -> Facts {
    let definition: Value = serde_json::from_str(info.definition()).unwrap_or(Value::Null);
    let parts = definition.as_object().into_iter().flatten();
    let shown = parts.map(|(name, value)| format!("{name}: {value}")).collect();
    let lag = lag_ms(info);
    // Where nobody has the store open nobody has joined.
    let (members, members_shown) = match owner {
        Some(owner) => {
            let owner = if owner.is_empty() { "another process" } else { &format!("process {owner}") };
            (Value::Null, format!("known to {owner} alone, which has the store open"))
        }
        None => (Value::from(0), "0: no process has the store open".to_owned()),
    };
    Facts::default()
        .with("consumer", info.name())
        .with_shown("definition", &definition, shown)
        .with("created", rfc3339::print(info.created()))
        .with("updated", rfc3339::print(info.updated()))
        .with("position", info.position().get())
        .with("scanned", info.scanned().get())
        .with("lag_events", info.lag_events())
        .with_shown("lag_ms", &Value::from(lag), vec![lag.map_or("-".to_owned(), lasting)])
        .with("parked", info.parked())
        .with("paused", info.paused())
        .with("last_error", last_parked.map(ParkedEvent::reason))
        .with("last_error_position", last_parked.map(|parked| parked.position().get()))
        .with_shown("members", &members, vec![members_shown.clone()])
        .with_shown("in_flight", &members, vec![members_shown])
}
