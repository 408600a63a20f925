//! `retention`: the rules for what is kept.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row};
use crate::cli::scope::{GivenScope, print};
use jiff::{Span, SpanRelativeTo};
use scorebook::{Retention, Scope};
use std::time::Duration;

/// The rules for what is kept, or sets one. Nothing is removed by a rule: it says what may be.
///
/// Of several rules the one for the least counts: that for the stream, else that for the type, else that for the category,
/// else that for everything.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the rule is for: everything, category:NAME, type:NAME, stream:NAME or once-keys; all rules are listed where there is none
    scope: Option<GivenScope>,
    /// Keep so many of the newest events of each stream
    #[arg(long, value_name = "N", requires = "scope", value_parser = clap::value_parser!(u64).range(1..))]
    newest: Option<u64>,
    /// Keep events that are not older than this, such as 30d or 12h
    #[arg(long, value_name = "AGE", requires = "scope", value_parser = age)]
    newer_than: Option<Duration>,
    /// Keep everything of it
    #[arg(long, requires = "scope", conflicts_with_all = ["newest", "newer_than"])]
    forever: bool,
    /// Take the rule away
    #[arg(long, requires = "scope", conflicts_with_all = ["newest", "newer_than", "forever"])]
    clear: bool,
    #[command(flatten)]
    consent: Consent,
}

fn age(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{}` is no age: 30d, 12h", text.escape_debug());
    let span: Span = text.parse().map_err(|_| fault())?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fault())?;
    Duration::try_from(age).map_err(|_| fault())
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Some(GivenScope(scope)) = &arguments.scope else { return list(tool, None) };
    let rule = arguments.newest.map_or(Retention::forever(), |newest| Retention::forever().newest(newest));
    let rule = arguments.newer_than.map_or(rule, |age| rule.newer_than(age));
    let is_set = arguments.forever || rule != Retention::forever();
    if !is_set && !arguments.clear {
        return list(tool, Some(scope));
    }
    let plan = match arguments.clear {
        true => format!("There is no rule for {scope} any more."),
        false => format!("Of {scope} is kept: {rule}."),
    };
    let facts = Facts::default().with("scope", print(scope)).with("newest", rule.events());
    let facts = facts.with("newer_than_s", rule.age().map(|age| age.as_secs())).with("cleared", arguments.clear);
    if !arguments.consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.batch().retain(..)`")?;
    let batch = if arguments.clear { store.batch().clear_retention(scope) } else { store.batch().retain(scope, rule) };
    batch.commit().wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

fn list(tool: &Tool, only: Option<&Scope>) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let mut output = tool.output();
    let mut list = output.list(&["scope", "newest", "newer_than_s"]);
    let rules = store.retention()?.into_iter().filter(|(scope, _)| only.is_none_or(|only| only == scope));
    let outcome = rules.into_iter().try_for_each(|(scope, rule)| list.push(&Listed { scope, rule }));
    list.finish()?;
    outcome
}

struct Listed {
    scope: Scope,
    rule: Retention,
}

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let or_any = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        vec![print(&self.scope), or_any(self.rule.events()), or_any(self.rule.age().map(|age| age.as_secs()))]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let or_null = |number: Option<u64>| number.map_or("null".to_owned(), |number| number.to_string());
        *line = format!(
            r#"{{"scope":{},"newest":{},"newer_than_s":{}}}"#,
            quoted(&print(&self.scope)),
            or_null(self.rule.events()),
            or_null(self.rule.age().map(|age| age.as_secs())),
        );
        Ok(())
    }
}
