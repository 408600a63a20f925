//! `quota`: how many bytes the events with a tag may take, and how many they do.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row};
use scorebook::{Quota, TagScope, TagUsage};
use std::str::FromStr;

/// How many bytes the events with a tag may take, and how many they do; sets a quota or takes one away.
///
/// What counts is what stands in the log. Where they take more that is told; or what would come to more is refused; or the oldest
/// may go with the next compaction.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the quota is for: KEY:VALUE for one tag, KEY for each value of a key; all are listed where there is none
    scope: Option<GivenTag>,
    /// How many bytes, such as 1000000, 64KiB or 2MiB
    #[arg(long, value_name = "BYTES", requires = "scope", value_parser = bytes)]
    bytes: Option<u64>,
    /// Refuse what would come to more
    #[arg(long, requires = "bytes", conflicts_with = "trim")]
    refuse: bool,
    /// Let a compaction remove the oldest where there is more
    #[arg(long, requires = "bytes")]
    trim: bool,
    /// Take the quota away
    #[arg(long, requires = "scope", conflicts_with = "bytes")]
    clear: bool,
    #[command(flatten)]
    consent: Consent,
}

/// A tag, or a key, that was given as an argument.
#[derive(Clone, Debug)]
struct GivenTag(TagScope);

impl FromStr for GivenTag {
    type Err = String;

    fn from_str(text: &str) -> Result<GivenTag, String> {
        let scope = match text.split_once(':') {
            Some((key, value)) => TagScope::tag(key, value),
            None => TagScope::each(text),
        };
        scope.map(GivenTag).map_err(|error| error.to_string())
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .unwrap_or((text, 1_u64));
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| format!("`{}` is no number of bytes: 1000000, 64KiB, 2MiB, 1GiB", text.escape_debug()))
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Some(GivenTag(scope)) = &arguments.scope else { return list(tool, None) };
    let quota = arguments.bytes.map(|bytes| match (arguments.refuse, arguments.trim) {
        (true, _) => Quota::bytes(bytes).refusing(),
        (false, true) => Quota::bytes(bytes).trimming(),
        (false, false) => Quota::bytes(bytes),
    });
    let plan = match quota {
        Some(quota) => format!("The quota of {scope} is {quota}."),
        None if arguments.clear => format!("There is no quota of {scope} any more."),
        None => return list(tool, Some(scope)),
    };
    let facts = Facts::default().with("key", scope.key()).with("value", scope.value());
    let facts = facts.with("bytes", quota.map(Quota::limit)).with("action", quota.map(|of| of.action().to_string()));
    let facts = facts.with("cleared", arguments.clear);
    if !arguments.consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.set_quota(..)`")?;
    let batch = match quota {
        Some(quota) => store.batch().set_quota(scope, quota),
        None => store.batch().clear_quota(scope),
    };
    batch.commit().wait()?;
    // What is there already is counted now, and remembered.
    store.usage()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

fn list(tool: &Tool, only: Option<&TagScope>) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let mut output = tool.output();
    let mut list = output.list(&["key", "value", "used", "bytes", "action"]);
    let all = store.usage()?.into_iter().filter(|of| only.is_none_or(|only| only == of.scope()));
    let outcome = all.into_iter().try_for_each(|usage| list.push(&Listed(usage)));
    list.finish()?;
    outcome
}

struct Listed(TagUsage);

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let (usage, quota) = (&self.0, self.0.quota());
        let (key, value) = (usage.key().to_owned(), usage.value().to_owned());
        vec![key, value, usage.used().to_string(), quota.limit().to_string(), quota.action().to_string()]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let (usage, quota) = (&self.0, self.0.quota());
        *line = format!(
            r#"{{"key":{},"value":{},"used":{},"bytes":{},"action":"{}"}}"#,
            quoted(usage.key()),
            quoted(usage.value()),
            usage.used(),
            quota.limit(),
            quota.action(),
        );
        Ok(())
    }
}
