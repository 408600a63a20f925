//! Whether something is to be changed: shown before, and asked for.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Facts, say};
use scorebook::{ErrorKind, EventStore};
use std::io::{IsTerminal, stderr, stdin};
use std::path::Path;

/// How whoever calls agrees to a change.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Consent {
    /// Show what would be done, and do nothing
    #[arg(long, visible_alias = "plan")]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Shows what would be done, or asks whether to; whether to go ahead. `plan` is a sentence, and the facts say the same.
    pub(crate) fn is_given(self, tool: &Tool, plan: &str, facts: Facts) -> Result<bool, Failure> {
        if self.dry_run {
            tool.output().facts(&facts.with("done", false))?;
            return Ok(false);
        }
        self.ask(|| Ok(plan.to_owned()))?;
        Ok(true)
    }

    /// Whether nothing is wanted but to see what would be done.
    pub(crate) fn is_out_of_the_question(self) -> bool {
        self.dry_run
    }

    /// Fails where consent is wanted and nobody could be asked: for what takes a while before there is anything to ask.
    pub(crate) fn can_be_given(self) -> Result<(), Failure> {
        if self.dry_run || self.yes { Ok(()) } else { somebody_is_there() }
    }

    /// Asks whether to go ahead, unless that was said. `plan` shows what there is to show, and says it in a sentence.
    pub(crate) fn ask(self, plan: impl FnOnce() -> Result<String, Failure>) -> Result<(), Failure> {
        if self.yes { Ok(()) } else { ask(&format!("{} Go ahead?", plan()?), "nothing was changed") }
    }
}

/// Asks whoever sits there; nobody there is no consent. `refused` says what a no comes to.
pub(crate) fn ask(question: &str, refused: &str) -> Result<(), Failure> {
    somebody_is_there()?;
    say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(|error| Failure::file("reading", Path::new("standard input"), &error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Other, refused)),
    }
}

fn somebody_is_there() -> Result<(), Failure> {
    match stdin().is_terminal() && stderr().is_terminal() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Usage, "nobody is there to ask: say --yes to go ahead")),
    }
}

impl Tool {
    /// Opens a store that is there for changing something. `instead` is how the process that has it open does the same.
    pub(crate) fn open_to_change(&self, instead: &str) -> Result<EventStore, Failure> {
        EventStore::open(&self.dir).map_err(|error| match error.kind() {
            ErrorKind::Locked => {
                let advice = "only the process that has the store open can change it: let that one call";
                Failure::from(error).advise(format!("{advice} {instead}, or end it first"))
            }
            _ => error.into(),
        })
    }
}
