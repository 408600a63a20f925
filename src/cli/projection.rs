//! `projection`: one of this program's projections, folded anew.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use crate::cli::project::{AnyProjection, State};
use clap::Subcommand;
use scorebook::{Parted, ProjectionCheck};

/// One of this program's projections: folded anew, or checked.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Its name
    name: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Folds it anew from the first event, and saves that in place of what is saved.
    Rebuild {
        /// Change nothing: fold it twice, in one go and in pieces, and say whether that and what is saved are the same
        #[arg(long, conflicts_with_all = ["dry_run", "yes"])]
        check: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let projection = tool.projection(&arguments.name)?;
    match arguments.what {
        What::Rebuild { check: true, .. } => check(tool, projection),
        What::Rebuild { check: false, consent } => rebuild(tool, projection, consent),
    }
}

fn rebuild(tool: &Tool, projection: &dyn AnyProjection, consent: Consent) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    tool.lend_registry(&store);
    let (head, saved) = (store.head()?, projection.saved(&store)?);
    drop(store);
    let name = projection.name();
    let replaced = match saved {
        Some(State { position, .. }) => format!("what is saved of it up to position {position} is replaced"),
        None => "nothing is saved of it".to_owned(),
    };
    let plan = format!("Projection {name} is folded anew up to position {head}; {replaced}.");
    let facts = named(projection)
        .with("replaces", saved.map(|state| state.position.get()))
        .with("replaces_hash", saved.map(|state| state.hash.to_string()));
    if !consent.is_given(tool, &plan, facts.clone().with("to", head.get()))? {
        return Ok(());
    }
    let store = tool.open_to_change(&format!("`store.projection::<P>()?.rebuild()` for {name}"))?;
    tool.lend_registry(&store);
    let rebuilt = projection.rebuild(&store)?;
    store.close()?;
    let facts = facts.with("to", rebuilt.position.get()).with("hash", rebuilt.hash.to_string());
    tool.output().facts(&facts.with("done", true))
}

fn named(projection: &dyn AnyProjection) -> Facts {
    Facts::default().with("projection", projection.name()).with("version", projection.version())
}

fn check(tool: &Tool, projection: &dyn AnyProjection) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    tool.lend_registry(&store);
    let saved = projection.saved(&store)?;
    let check = projection.check(&store)?;
    let facts = named(projection)
        .with("saved", saved.map(|state| state.position.get()))
        .with("saved_hash", saved.map(|state| state.hash.to_string()))
        .with("sound", check.is_sound())
        .with("position", check.position().get())
        .with("events", check.events())
        .with("pieces", check.pieces())
        .with("hash", check.hash().to_string());
    tool.output().facts(&facts)?;
    match check.parted() {
        None => Ok(()),
        Some(parted) => Err(differs(projection.name(), parted, &check)),
    }
}

fn differs(name: &str, parted: Parted, check: &ProjectionCheck) -> Failure {
    let text = match parted {
        Parted::Rebuilds { agreed, differs } => {
            format!(
                "folded in one go and in pieces {name} is the same up to position {agreed}, and differs at {differs}"
            )
        }
        Parted::Serving { position } => {
            format!("what is saved of {name} up to position {position} is not what its events fold to")
        }
        #[allow(unreachable_patterns, reason = "a stranger to the crate must have it")]
        _ => format!("{name} differs somewhere up to position {}", check.position()),
    };
    let failure = Failure::new(Exit::Other, text);
    match parted {
        Parted::Serving { .. } => failure.advise(format!("`projection {name} rebuild` folds it anew")),
        _ => failure.advise("its `apply` is not pure, or something of its state is not in what it is serialized to"),
    }
}
