//! What projections cost: folding a log anew, with progress shown, what stands between an append and a state that has it, and
//! the state of one key of many.
//!
//! `cargo bench --bench projections` folds ten million events, which take about two gigabytes below `target`; `-- --events N`
//! another number of them.

#![allow(clippy::print_stdout, reason = "a bench talks to whoever runs it")]
#![allow(missing_docs, reason = "a bench has no users")]

use scorebook::{
    Durability, EventContext, EventStore, ExpectedVersion, KeyedProjection, NewEvent, Position, Projection, Query,
    RecordedEvent, Saving, StreamName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const EVENTS_OF_A_GAME: u64 = 50;
const TYPES: [&str; 4] = ["game_started", "game_guess_processed", "game_matched", "game_completed"];

/// How many events there are of each type. Nothing is decoded.
#[derive(Clone, Serialize, Deserialize)]
struct Counts(BTreeMap<String, u64>);

impl Projection for Counts {
    type Event = RecordedEvent;
    const NAME: &'static str = "counts";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Counts {
        Counts(BTreeMap::new())
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        match self.0.get_mut(event.event_type()) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(event.event_type().to_owned(), 1)),
        }
    }

    fn saving() -> Saving {
        Saving::AtClose
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Guess {
    player: u64,
    word: String,
    points: u64,
}

scorebook::events! {
    /// What happens in a game.
    enum Played {
        /// Somebody has guessed.
        Guessed(Guess) = "game_guess_processed", 1;
    }
}

/// The points of each player, from payloads that are decoded.
#[derive(Clone, Serialize, Deserialize)]
struct Points(BTreeMap<u64, u64>);

impl Projection for Points {
    type Event = Played;
    const NAME: &'static str = "points";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all().of_type("game_guess_processed")
    }

    fn new() -> Points {
        Points(BTreeMap::new())
    }

    fn apply(&mut self, Played::Guessed(guess): &Played, _: &EventContext<'_>) {
        *self.0.entry(guess.player).or_default() += guess.points;
    }
}

/// The points of one game, by its number.
#[derive(Clone)]
struct PointsOfGame(u64);

impl KeyedProjection for PointsOfGame {
    type Key = u64;
    type Event = Played;

    fn query(game: &u64) -> Query {
        Query::all().in_stream(&stream(*game))
    }

    fn new(_: &u64) -> PointsOfGame {
        PointsOfGame(0)
    }

    fn apply(&mut self, Played::Guessed(guess): &Played, _: &EventContext<'_>) {
        self.0 += guess.points;
    }
}

fn stream(number: u64) -> StreamName {
    StreamName::new(format!("game-{number:08}")).expect("a name")
}

fn event(number: u64) -> NewEvent {
    let guess = Guess { player: number % 1_000, word: format!("word{}", number % 97), points: number % 7 };
    NewEvent::json(TYPES[number as usize % TYPES.len()], &guess).expect("JSON").tag("guild", 7)
}

fn fill(store: &EventStore, events: u64) {
    for first in (0..events).step_by(1_000) {
        let mut batch = store.batch().durability(Durability::Written);
        for number in first..events.min(first + 1_000) {
            batch = batch.append(&stream(number / EVENTS_OF_A_GAME), ExpectedVersion::Any, [event(number)]);
        }
        drop(batch.commit().wait().expect("a receipt"));
    }
    store.flush().expect("a flush");
}

fn quantiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[(values.len() - 1) * 99 / 100])
}

/// Folds anew, and says how it goes on.
fn rebuild<P: Projection>(store: &EventStore) {
    let view = store.projection::<P>().expect("a view");
    view.reached(store.head().expect("a head")).wait().expect("it catches up");
    let rebuild = view.rebuild().expect("it begins");
    while rebuild.wait_timeout(Duration::from_secs(1)).expect("nothing fails").is_none() {
        let progress = rebuild.progress();
        let left = progress.time_left().unwrap_or_default().as_secs_f64();
        println!("  {} of {}, {} events/s, {left:.1} s left", progress.position(), progress.head(), progress.rate());
    }
    let progress = rebuild.progress();
    println!("rebuild of {}: {} events, {} events/s on one thread", P::NAME, progress.events(), progress.rate());
}

/// Microseconds from the beginning of an append until the state has it: folded in by whoever appends, and by the
/// projection's thread while the other one only looks.
fn to_the_state(store: &EventStore) {
    let view = store.projection::<Counts>().expect("a view");
    let (mut alone, mut own, mut by_thread) = (Vec::new(), Vec::new(), Vec::new());
    let append = |number: u64| {
        let batch = store.batch().append(&stream(1), ExpectedVersion::Any, [event(number)]);
        batch.durability(Durability::Written).commit().wait().expect("a receipt").last_position()
    };
    for number in 0..6_000 {
        thread::sleep(Duration::from_micros(200));
        let begun = Instant::now();
        let position: Position = append(number);
        let took = match number % 3 {
            0 => &mut alone,
            1 => {
                view.reached(position).wait().expect("it follows");
                &mut own
            }
            _ => {
                while view.position() < position {
                    thread::yield_now();
                }
                &mut by_thread
            }
        };
        took.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    for (name, took) in [("append alone", alone), ("append and read_at", own), ("append and its thread", by_thread)] {
        let (half, most) = quantiles(took);
        println!("{name}: median {half:.1} us, p99 {most:.1} us");
    }
}

/// Microseconds that a read of the state takes while somebody else folds as fast as he can.
fn reads_beside_the_fold(store: &EventStore, events: u64) {
    let view = store.projection::<Counts>().expect("a view");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (is_over, view) = (&is_over, &view);
        let reader = scope.spawn(move || {
            let mut took = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::hint::black_box(view.read(|counts| counts.0.len()));
                took.push(begun.elapsed().as_secs_f64() * 1e6);
                thread::sleep(Duration::from_micros(20));
            }
            took
        });
        fill(store, events);
        view.reached(store.head().expect("a head")).wait().expect("it follows");
        is_over.store(true, Ordering::Relaxed);
        let (half, most) = quantiles(reader.join().expect("it reads"));
        println!("a read beside appends and the fold: median {half:.2} us, p99 {most:.2} us");
    });
}

/// Microseconds until the state of a key is there: folded from its first event, kept, and kept before one more event came, of
/// another key or its own.
fn by_key(store: &EventStore, events: u64) {
    const KEYS: u64 = 100;
    let view = store.keyed_projection::<PointsOfGame>();
    let games = events.div_ceil(EVENTS_OF_A_GAME);
    let ask = |game: u64| {
        let begun = Instant::now();
        std::hint::black_box(view.state(&game).expect("a state").0);
        begun.elapsed().as_secs_f64() * 1e6
    };
    let cold = (0..games.min(20_000)).map(|number| ask(number * 7_919 % games)).collect();
    let kept = view.kept();
    // The first time they are cold, too.
    let warm = (0..20_000).map(|number| ask(number % KEYS)).skip(KEYS as usize).collect();
    let after_one = |further: u64| {
        let appended = (0..5_000).map(|number| {
            let batch = store.batch().append(&stream(number % KEYS + further), ExpectedVersion::Any, [event(number)]);
            drop(batch.durability(Durability::Written).commit().wait().expect("a receipt"));
            ask(number % KEYS)
        });
        appended.collect()
    };
    let (of_another, of_its_own) = (after_one(KEYS), after_one(0));
    for (name, took) in
        [("cold", cold), ("kept", warm), ("behind another's event", of_another), ("behind its own", of_its_own)]
    {
        let (half, most) = quantiles(took);
        println!("the state of one of {games} keys, {name}: median {half:.2} us, p99 {most:.2} us");
    }
    println!("states kept of {games} keys: {kept}");
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--events").skip(1);
    let events: u64 = arguments.next().map_or(10_000_000, |text| text.parse().expect("a number of events"));
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let path = directory.path().join("projected");
    let store = EventStore::open(&path).expect("a store");
    fill(&store, events);

    rebuild::<Counts>(&store);
    rebuild::<Points>(&store);
    let begun = Instant::now();
    let folded = store.fold::<Counts>(Position::new(events / 2)).expect("it folds");
    let rate = folded.position().get() as f64 / begun.elapsed().as_secs_f64();
    println!("folded on demand up to position {}: {rate:.0} events/s", folded.position());
    to_the_state(&store);
    by_key(&store, events);
    reads_beside_the_fold(&store, events / 10);
    store.close().expect("it closes");

    let store = EventStore::open(&path).expect("a store");
    let begun = Instant::now();
    let view = store.projection::<Counts>().expect("a view");
    view.reached(store.head().expect("a head")).wait().expect("it follows");
    println!("from the saved state to level: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}
