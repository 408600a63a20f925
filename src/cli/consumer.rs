//! `consumer`: one consumer, steered while no process has the store open.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Facts, counted};
use crate::cli::whence::Whence;
use clap::Subcommand;
use scorebook::{ConsumerInfo, EventStore, Position, Start};

/// Steers a consumer while no process has the store open: one that has can do the same, with `store.consumer(NAME)`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Its name
    name: String,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Has it go on from elsewhere; what is parked stays so.
    Seek {
        /// Behind this position, which is its own then; with the first event there is, with the first that comes, or with the
        /// first from then on: an RFC 3339 time, a date, or an age such as 2h
        #[arg(value_name = "beginning|end|P|TIME")]
        to: Whence,
        #[command(flatten)]
        consent: Consent,
    },
    /// Has it hand out nothing more until it is resumed.
    Pause {
        /// Why; it is kept
        #[arg(default_value = "paused with the tool")]
        reason: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Has it go on where it was paused, or has paused itself.
    Resume {
        #[command(flatten)]
        consent: Consent,
    },
    /// Ends it. One of this name that is made later begins anew.
    Delete {
        #[command(flatten)]
        consent: Consent,
    },
}

/// What is to be done: as a sentence, as facts, and as the call that does the same.
struct Plan {
    sentence: String,
    facts: Facts,
    call: &'static str,
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { name, act } = arguments;
    let store = tool.open_read_only()?;
    let info = store.consumer(name).info()?;
    let Plan { sentence, facts, call, consent } = plan(act, &store, &info)?;
    store.close()?;
    let sentence = format!("Consumer {name} {sentence}.");
    let facts = Facts::default().with("consumer", &**name).and(facts);
    if !consent.is_given(tool, &sentence, facts.clone())? {
        return Ok(());
    }
    let store = tool.open_to_change(&format!("`store.consumer({name:?}).{call}`"))?;
    let control = store.consumer(name);
    match act {
        Act::Seek { to, .. } => control.seek(start_of(*to)),
        Act::Pause { reason, .. } => control.pause(reason),
        Act::Resume { .. } => control.resume(),
        Act::Delete { .. } => control.delete(),
    }?;
    store.close()?;
    tool.output().facts(&facts.with("done", true))
}

fn plan(act: &Act, store: &EventStore, info: &ConsumerInfo) -> Result<Plan, Failure> {
    let position = info.position();
    let parked = counted(info.parked(), "event is", "events are");
    let plan = match act {
        Act::Seek { to, consent } => {
            let to = position_of(*to, store)?;
            let (behind, ahead) = (position.get().saturating_sub(to.get()), to.get().saturating_sub(position.get()));
            let effect = match (behind, ahead) {
                (0, 0) => "which is where it is".to_owned(),
                (0, _) => format!("so {} are passed by", counted(ahead, "position", "positions")),
                _ => format!("so what it asks for in {} is handed out again", counted(behind, "position", "positions")),
            };
            let facts = Facts::default().with("act", "seek").with("position", position.get()).with("to", to.get());
            Plan {
                sentence: format!("goes from position {position} to {to}, {effect}; {parked} parked, and stay so"),
                facts: facts.with("again", behind).with("passed_by", ahead).with("parked", info.parked()),
                call: "seek(..)",
                consent: *consent,
            }
        }
        Act::Pause { reason, consent } => Plan {
            sentence: format!("hands out nothing more: {reason}"),
            facts: Facts::default().with("act", "pause").with("reason", &**reason).with("paused", info.paused()),
            call: "pause(..)",
            consent: *consent,
        },
        Act::Resume { consent } => Plan {
            sentence: match info.paused() {
                Some(reason) => format!("goes on, which was paused: {reason}"),
                None => "is not paused, and goes on".to_owned(),
            },
            facts: Facts::default().with("act", "resume").with("paused", info.paused()),
            call: "resume()",
            consent: *consent,
        },
        Act::Delete { consent } => Plan {
            sentence: format!("is deleted at position {position}; {parked} parked, and forgotten"),
            facts: Facts::default()
                .with("act", "delete")
                .with("position", position.get())
                .with("parked", info.parked()),
            call: "delete()",
            consent: *consent,
        },
    };
    Ok(plan)
}

fn start_of(whence: Whence) -> Start {
    match whence {
        Whence::Beginning => Start::Beginning,
        Whence::End => Start::End,
        Whence::Position(position) => Start::After(position),
        Whence::Time(time) => Start::At(time),
    }
}

/// The position that a consumer is sent to.
fn position_of(whence: Whence, store: &EventStore) -> Result<Position, Failure> {
    let head = store.head()?;
    match whence {
        Whence::Beginning => Ok(Position::BEGINNING),
        Whence::End => Ok(head),
        Whence::Position(position) if position <= head => Ok(position),
        Whence::Position(position) => {
            Err(Failure::new(Exit::Other, format!("the store ends at {head}: there is no position {position}")))
        }
        Whence::Time(time) => {
            let first = store.read_all().since(time).limit(1).into_iter().next().transpose()?;
            Ok(first.map_or(head, |event| Position::new(event.position().get() - 1)))
        }
    }
}
