//! `demo`: an evening of word games, played by people who are made up and served by a bot that is killed again and again.
//!
//! ```text
//! evening     people at tables, with clocks that run fast; town, table, agenda: who, where, and what they mean to do
//! acting      what they mean to do becomes an interaction; hearing: what they make of the answer; mind: the words
//! discord     hands interactions to the bot until they are answered; life: one process that is the bot
//! bot         the other process: it has the store and nothing else, and wire is what the two say to each other
//! account     what was sent and told;  recount: what the log says;  compare, reading: whether that is the same
//! boards      the leaderboards, held against what people counted for themselves
//! report      what is printed
//! ```
//!
//! The people and the account live in the process that was begun; only the bot is killed.

mod account;
mod acting;
mod agenda;
mod boards;
mod bot;
mod chance;
mod compare;
mod discord;
mod evening;
mod hearing;
mod life;
mod mind;
mod reading;
mod recount;
mod report;
mod table;
mod town;
mod wire;

pub(crate) use chance::{Chance, mixed, mixed_text};
pub(crate) use mind::Mind;
pub(crate) use table::Plan;

use crate::cli::failure::{Exit, Failure};
use crate::cli::fresh::{self, shown};
use crate::cli::output::{Format, Output};
use evening::{Evening, Over, Size};
use life::BOT_VARIABLE;
use recount::{Entry, Recount};
use scorebook::game::Moment;
use scorebook::{EventStore, Timestamp};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Plays an evening of word games with a bot that is killed on the way, and checks that nothing anybody was told is lost or
/// done twice.
///
/// Hundreds of games at once, in all modes and many guilds; the bot is a process of its own and is killed with SIGKILL several
/// times, also while it takes up its games. Takes under a minute; the store stays, in a new directory unless --dir names one.
/// Fails where anything differs.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many games
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    games: u64,
    /// In how many guilds
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=100))]
    guilds: u64,
    /// How often the bot is killed; while it takes up its games it is killed beyond that
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(0..=100))]
    kills: u64,
    /// What chance begins with: the same people then mean to do the same
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(dir: Option<PathBuf>, format: Option<Format>, arguments: &Arguments) -> Result<(), Failure> {
    if let Some(dir) = std::env::var_os(BOT_VARIABLE) {
        return bot::serve(Path::new(&dir));
    }
    if format.is_some_and(|format| format != Format::Table) {
        return Err(Failure::new(Exit::Usage, "the demo is for people: it prints text and tables only"));
    }
    let dir = fresh::directory(dir, "demo")?;
    let Arguments { games, guilds, kills, seed } = *arguments;
    let size = Size { games, guilds: guilds.min(games), kills, seed };
    let mut output = Output::new(Some(Format::Table));
    output.text(&report::beginning(&size, &shown(&dir)))?;
    output.flush()?;
    let began = Moment::from(Timestamp::from(SystemTime::now()));
    let over = Evening::new(size, began).play(dir.clone())?;
    let store = EventStore::open_read_only(&dir)?;
    let recount = count_again(&store)?;
    report::evening(&mut output, &over, &recount)?;
    output.text(report::COMPARING)?;
    output.flush()?;
    check(&mut output, &dir, &store, &over, &recount)?;
    output.text(&report::what_next(&over.account, &recount, &shown(&dir)))?;
    output.flush()
}

/// What the log says.
fn count_again(store: &EventStore) -> Result<Recount, Failure> {
    let mut recount = Recount::default();
    for event in store.read_all() {
        recount.count(&Entry::of(&event?)?);
    }
    Ok(recount)
}

/// What a demo is for: it fails where something does not hold.
fn check(output: &mut Output, dir: &Path, store: &EventStore, over: &Over, recount: &Recount) -> Result<(), Failure> {
    let verified = scorebook::verify(dir)?;
    if let Some(damage) = verified.damage().first() {
        return Err(Failure::new(Exit::Damage, damage.to_string()));
    }
    let mut found = compare::differences(&over.account, recount);
    if verified.events() != recount.events {
        found.push(format!("{} events verify, and {} are read", verified.events(), recount.events));
    }
    found.extend(reading::differences(&over.account, recount, store, over.end)?);
    let counted = boards::Counted::of(&over.account, recount);
    found.extend(boards::differences(&over.account, &counted, store, over.end)?);
    report::verdict(&found)?;
    report::checked(output, over, recount, &counted, verified.bytes())
}
