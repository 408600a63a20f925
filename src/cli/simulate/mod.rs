//! `simulate`: as many games as wanted, as fast as they can be played, in this process.

mod guild;
mod told;

use crate::cli::demo::Mind;
use crate::cli::failure::{Exit, Failure};
use crate::cli::fresh;
use crate::cli::output::{Facts, Format, Output};
use crate::cli::progress::Progress;
use crate::cli::times::Times;
use guild::{Guild, Orders};
use scorebook::game::{BotSetup, EnglishWords, Mode};
use scorebook::{Durability, EventStore};
use std::collections::VecDeque;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// Plays many games in a new store, as fast as it goes, and tells how long it took and what the store holds then.
///
/// Nobody is killed and no process is between: this measures the bot and the store. The same seed gives the same games, event
/// by event, however many threads play them. The store stays, in a new directory unless --dir names one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many games: each is a stream
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    games: u64,
    /// In how many guilds; those of one guild are played one after the other
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    guilds: u64,
    /// Only games of this mode: two_player, knockout, race, golf_race or longform [default: all]
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// What chance begins with
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many threads play [default: as many as there are cores]
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// What an answer waits for: the operating system, or the disk
    #[arg(long, value_enum, default_value = "synced")]
    durability: Reached,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Reached {
    /// The operating system: survives the end of the process.
    Written,
    /// The disk: survives loss of power.
    Synced,
}

fn mode(name: &str) -> Result<Mode, String> {
    let known = Mode::ALL.map(Mode::name).join(", ");
    Mode::named(name).ok_or_else(|| format!("there are {known}"))
}

pub(crate) fn run(dir: Option<PathBuf>, format: Option<Format>, arguments: &Arguments) -> Result<(), Failure> {
    let dir = fresh::directory(dir, "simulate")?;
    let durability = match arguments.durability {
        Reached::Written => Durability::Written,
        Reached::Synced => Durability::Synced,
    };
    let store = EventStore::options().durability(durability).open(&dir)?;
    let threads = arguments.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let begun = Instant::now();
    let tally = play(&store, arguments, threads)?;
    let seconds = begun.elapsed().as_secs_f64();
    let events = store.head()?.get();
    store.close()?;

    let info = scorebook::inspect(&dir)?;
    let millis = |percent| rounded(tally.times.within(percent).as_secs_f64() * 1e3);
    let facts = Facts::default()
        .with("directory", dir.to_string_lossy())
        .with("durability", durability_name(arguments.durability))
        .with("threads", threads)
        .with("games", tally.games)
        .with("commands", tally.times.count())
        .with("refused", tally.refused)
        .with("events", events)
        .with("seconds", rounded(seconds))
        .with("commands_a_second", rounded(tally.times.count() as f64 / seconds))
        .with("events_a_second", rounded(events as f64 / seconds))
        .with("median_ms", millis(50))
        .with("99_percent_ms", millis(99))
        .with("streams", info.stats().streams())
        .with("segments", info.stats().segments())
        .with("log_bytes", info.stats().log_bytes())
        .with("disk_bytes", info.stats().disk_bytes());
    Output::new(format).facts(&facts)
}

/// What was counted on the way.
#[derive(Default)]
pub(super) struct Tally {
    games: u64,
    refused: u64,
    times: Times,
}

/// Plays all games. Each thread takes a guild, plays its next game, and puts it back.
fn play(store: &EventStore, arguments: &Arguments, threads: usize) -> Result<Tally, Failure> {
    let Arguments { games, guilds, mode, seed, .. } = *arguments;
    let mind = Mind::new();
    let setup = BotSetup { words: Arc::new(EnglishWords::new()), ..guild::setup() };
    let orders = Orders { seed, mode, games, guilds: guilds.min(games) };
    let mut waiting = VecDeque::new();
    for number in 0..orders.guilds {
        waiting.push_back(Guild::new(store, setup.clone(), number)?);
    }
    let waiting = Mutex::new(waiting);
    let (progress, played) = (Progress::of_games(games), AtomicU64::new(0));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut tally = Tally::default();
        while let Some(mut guild) = next() {
            let Some(game) = guild.next_game(&orders) else { continue };
            guild.play(game, &orders, &mind, &mut tally)?;
            tally.games += 1;
            waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(guild);
            progress.played(played.fetch_add(1, Ordering::Relaxed) + 1, "");
        }
        Ok::<Tally, Failure>(tally)
    };
    thread::scope(|scope| {
        let workers = (0..threads).map(|_| scope.spawn(work)).collect::<Vec<_>>();
        let mut sum = Tally::default();
        for worker in workers {
            let tally = worker.join().map_err(|_| Failure::new(Exit::Other, "a thread has panicked"))??;
            sum.games += tally.games;
            sum.refused += tally.refused;
            sum.times.take_in(&tally.times);
        }
        Ok(sum)
    })
}

fn durability_name(reached: Reached) -> &'static str {
    match reached {
        Reached::Written => "written",
        Reached::Synced => "synced",
    }
}

/// To three places behind the point, or to the whole where that is enough.
fn rounded(number: f64) -> f64 {
    let unit = if number < 100.0 { 1e3 } else { 1.0 };
    (number * unit).round() / unit
}
