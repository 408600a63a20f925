//! What a bot does in a second, and how long it takes to come back.
//!
//! `cargo bench --features game --bench game` prints a table; `-- --quick` takes a tenth of the time. Every command is a whole
//! one: the game is looked for by asking the store, the words the player said last are, too, the key of the interaction is
//! looked up, and the answer is read back. The raw rate is that of `pwrite` and `fdatasync` alone.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use scorebook::game::{Ask, Bot, BotSetup, Caller, EnglishWords, Game, GameConfig, GameId, Mode, PlayerId, Words};
use scorebook::{Durability, EventStore};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The events of the one long game.
const LONG: u64 = 500;
/// Those of one that is longer than any.
const LONGEST: u64 = 10_000;
/// How many games are unfinished.
const MANY: u64 = 1_000;

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let span = Duration::from_millis(if is_quick { 300 } else { 3_000 });
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    println!("coming back, page cache warm, best and worst of 5");
    comes_back(&directory.path().join("long"), &format!("a game of {LONG} events"), |evening| {
        let game = evening.begin(1, Mode::TwoPlayer);
        evening.guess_until(game, (1, 2), LONG);
    });
    comes_back(&directory.path().join("many"), &format!("{MANY} unfinished games of all modes"), |evening| {
        for number in 1..=MANY {
            let mode = Mode::ALL[(number % 5) as usize];
            let first = number * 100;
            evening.begin(first, mode);
            for _ in 0..5 {
                evening.guess(first);
                evening.guess(first + 1);
            }
        }
    });
    println!("a game loaded by whoever opens the store, best and worst of 20");
    loads(&directory.path().join("longest"));
    println!();
    println!("commands a second, each a word that was said");
    println!("{:<10} {:>8} {:>12} {:>14}", "", "threads", "commands/s", "median µs");
    let raw = raw_syncs(directory.path(), span);
    for (durability, name) in [(Durability::Written, "written"), (Durability::Synced, "synced")] {
        for threads in [1, 2, 8, 64] {
            let path = directory.path().join(format!("{name}-{threads}"));
            let (rate, median) = commands(&path, durability, threads, span);
            println!("{name:<10} {threads:>8} {rate:>12.0} {:>14.1}", median.as_secs_f64() * 1e6);
        }
    }
    println!("{:<10} {:>8} {raw:>12.0}   writes of 512 bytes, each synced", "raw", 1);
}

/// A store, a bot, and people who say one word after the other.
struct Evening {
    bot: Bot,
    words: Arc<EnglishWords>,
    interactions: AtomicU64,
}

impl Evening {
    fn new(path: &Path, durability: Durability) -> Evening {
        let store = EventStore::options().durability(durability).open(path).expect("a store");
        let words = Arc::new(EnglishWords::new());
        let setup = BotSetup { words: words.clone(), ..BotSetup::default() };
        let (bot, _) = Bot::start(&store, setup).wait().expect("an empty store");
        Evening { bot, words, interactions: AtomicU64::new(1) }
    }

    /// Opens a game with as few teams as there may be, of players from this one on, and starts it.
    fn begin(&self, first: u64, mode: Mode) -> GameId {
        let guild = first % 7 + 1;
        let in_guild = |player: u64, ask: Ask| {
            let interaction = self.interactions.fetch_add(1, Ordering::Relaxed);
            let caller = Caller::in_guild(interaction.into(), player.into(), guild.into(), 10.into());
            self.bot.ask(caller, ask).wait().expect("it is allowed").game().expect("it is about a game")
        };
        let config = match mode {
            Mode::TwoPlayer => GameConfig::TwoPlayer { rounds_required: 100, success_threshold: 100 },
            mode => GameConfig::of(mode),
        };
        let game = in_guild(first, Ask::Open { config });
        for player in first..first + 2 * *mode.teams().start() as u64 {
            in_guild(player, Ask::Join { game });
        }
        in_guild(first, Ask::Start { game: Some(game) })
    }

    /// A player says a word that nobody said for long.
    fn guess(&self, player: u64) {
        let interaction = self.interactions.fetch_add(1, Ordering::Relaxed);
        let number = (interaction * 131 + player * 17) as usize % self.words.count();
        let word = self.words.word(number).expect("below the count").to_string();
        let caller = Caller::direct(interaction.into(), PlayerId::from(player), 10.into());
        // A word that was said or dealt not long ago is refused: that is a command, too.
        let _ = self.bot.ask(caller, Ask::Guess { game: None, word }).wait();
    }

    fn guess_until(&self, game: GameId, (one, other): (u64, u64), events: u64) {
        while self.bot.store().version(&game.stream()).expect("a version").get() < events {
            self.guess(one);
            self.guess(other);
        }
    }
}

/// Prepares a store, and measures how long a bot takes to take it up.
fn comes_back(path: &Path, what: &str, prepare: impl FnOnce(&Evening)) {
    let evening = Evening::new(path, Durability::Written);
    prepare(&evening);
    evening.bot.store().close().expect("a clean end");
    let mut times = Vec::new();
    for _ in 0..5 {
        // The dictionary is taken in once, by whatever the program does first.
        let setup = BotSetup::default();
        let store = EventStore::open(path).expect("a store");
        let begin = Instant::now();
        let (_, recovered) = Bot::start(&store, setup).wait().expect("it is sound");
        times.push(begin.elapsed());
        assert!(!recovered.games().is_empty() && recovered.hints().is_empty());
        store.close().expect("a clean end");
    }
    let (best, worst) = (times.iter().min().expect("five"), times.iter().max().expect("five"));
    println!("{what:<40} {:>8.1} to {:.1} ms", best.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
}

/// A game as long as no game is, loaded from its last snapshot and from its first event.
fn loads(path: &Path) {
    let evening = Evening::new(path, Durability::Written);
    let game = evening.begin(1, Mode::TwoPlayer);
    evening.guess_until(game, (1, 2), LONGEST);
    evening.bot.store().close().expect("a clean end");
    let load = |what: &str| {
        let mut times = Vec::new();
        let mut begun_with = None;
        for _ in 0..20 {
            let store = EventStore::open(path).expect("a store");
            let begin = Instant::now();
            let loaded = store.aggregate::<Game>(&game.stream()).load().expect("a state");
            times.push(begin.elapsed());
            begun_with = loaded.snapshot();
            store.close().expect("a clean end");
        }
        let (best, worst) = (times.iter().min().expect("some"), times.iter().max().expect("some"));
        let what = format!("{LONGEST} events, {what} {}", begun_with.map_or(0, |version| version.get()));
        println!("{what:<40} {:>8.2} to {:.2} ms", best.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
    };
    load("from a snapshot of");
    let store = EventStore::open(path).expect("a store");
    for snapshot in store.snapshots().expect("they can be listed") {
        println!("{:<40} {:>8} bytes", format!("the snapshot of {}", snapshot.version()), snapshot.bytes());
        store.delete_snapshot(&snapshot).expect("it can be removed");
    }
    store.close().expect("a clean end");
    let read_only = EventStore::open_read_only(path).expect("a store");
    let begin = Instant::now();
    let loaded = read_only.aggregate::<Game>(&game.stream()).load().expect("a state");
    assert_eq!(loaded.snapshot(), None);
    let took = begin.elapsed().as_secs_f64() * 1e3;
    println!("{:<40} {took:>8.2} ms", format!("{LONGEST} events, from the first"));
}

/// Each thread is the two players of a game.
fn commands(path: &Path, durability: Durability, threads: u64, span: Duration) -> (f64, Duration) {
    let evening = Evening::new(path, durability);
    for thread in 0..threads {
        evening.begin(thread * 2 + 1, Mode::TwoPlayer);
    }
    let begin = Instant::now();
    let mut times = thread::scope(|scope| {
        let evening = &evening;
        let players = (0..threads).map(|thread| {
            scope.spawn(move || {
                let mut times = Vec::new();
                while begin.elapsed() < span {
                    for player in [thread * 2 + 1, thread * 2 + 2] {
                        let asked = Instant::now();
                        evening.guess(player);
                        times.push(asked.elapsed());
                    }
                }
                times
            })
        });
        let players = players.collect::<Vec<_>>();
        players.into_iter().flat_map(|player| player.join().expect("no panic")).collect::<Vec<_>>()
    });
    let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
    times.sort();
    (rate, times[times.len() / 2])
}

fn raw_syncs(directory: &Path, span: Duration) -> f64 {
    const SIZE: u64 = 16 * 1024 * 1024;
    let file = File::options().write(true).create_new(true).open(directory.join("raw")).expect("a file");
    let zeros = vec![0; 64 * 1024];
    for piece in 0..SIZE / zeros.len() as u64 {
        file.write_all_at(&zeros, piece * zeros.len() as u64).expect("room");
    }
    file.sync_all().expect("a sync");
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < span {
        file.write_all_at(&[7; 512], count * 512 % SIZE).expect("a write");
        file.sync_data().expect("a sync");
        count += 1;
    }
    count as f64 / begin.elapsed().as_secs_f64()
}
