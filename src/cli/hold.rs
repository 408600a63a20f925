//! `hold`: what is kept whatever the rules say.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row};
use crate::cli::rfc3339;
use crate::cli::scope::{GivenScope, print};
use scorebook::Hold;

/// What is kept whatever the rules say, or holds or releases something.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is held: everything, category:NAME, type:NAME, stream:NAME or once-keys; all holds are listed where there is none
    #[arg(requires = "label")]
    scope: Option<GivenScope>,
    /// What the hold is known by, such as the number of a case
    label: Option<String>,
    /// Release it
    #[arg(long, requires = "scope")]
    release: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let (Some(GivenScope(scope)), Some(label)) = (&arguments.scope, &arguments.label) else {
        let store = tool.open_read_only()?;
        let mut output = tool.output();
        let mut list = output.list(&["scope", "label", "since"]);
        let outcome = store.holds()?.into_iter().try_for_each(|hold| list.push(&Listed(hold)));
        list.finish()?;
        return outcome;
    };
    let plan = match arguments.release {
        true => format!("Hold `{}` on {scope} is released.", label.escape_debug()),
        false => format!("Nothing of {scope} is removed until hold `{}` is released.", label.escape_debug()),
    };
    let facts =
        Facts::default().with("scope", print(scope)).with("label", &**label).with("released", arguments.release);
    if !arguments.consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change("`store.batch().hold(..)`")?;
    let batch = if arguments.release { store.batch().release(scope, label) } else { store.batch().hold(scope, label) };
    batch.commit().wait()?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

struct Listed(Hold);

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        vec![print(self.0.scope()), self.0.label().to_owned(), rfc3339::print(self.0.since())]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        *line = format!(
            r#"{{"scope":{},"label":{},"since":{}}}"#,
            quoted(&print(self.0.scope())),
            quoted(self.0.label()),
            quoted(&rfc3339::print(self.0.since())),
        );
        Ok(())
    }
}
