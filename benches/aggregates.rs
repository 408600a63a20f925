//! How long it takes to load an aggregate, and what executing a command costs beside the append of what follows from it: one
//! question each, the parameters in the name.

#![allow(missing_docs, reason = "a bench has no users")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scorebook::{
    Aggregate, Codec, Durability, Event, EventContext, EventStore, ExpectedVersion, Faults, Snapshots, StreamName,
    Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// About what a guess in a game of words has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Guessed {
    player: u64,
    word: String,
    points: u32,
    is_right: bool,
    letters: Vec<u8>,
}

scorebook::events! {
    /// What happens in a game.
    #[derive(Clone, Debug)]
    enum GameEvent {
        /// Somebody has guessed.
        Guessed(Guessed) = "game_guess_processed", 1;
    }
    dress = |event: &GameEvent, new: scorebook::NewEvent| {
        let GameEvent::Guessed(guessed) = event;
        new.tag("player", guessed.player)
    };
    validate = |event: &GameEvent, faults: &mut Faults| {
        let GameEvent::Guessed(guessed) = event;
        faults.require(guessed.word.len() < 100, "word", "is too long");
    };
}

/// So many states of it are kept.
#[derive(Clone, Serialize, Deserialize)]
struct Game<const KEPT: usize> {
    points: BTreeMap<u64, u64>,
}

impl<const KEPT: usize> Aggregate for Game<KEPT> {
    type Event = GameEvent;
    type Command = u64;
    type Refusal = ();

    fn new(_: &StreamName) -> Game<KEPT> {
        Game { points: BTreeMap::new() }
    }

    fn decide(&self, player: &u64) -> Result<Vec<GameEvent>, ()> {
        Ok(vec![guessed(*player)])
    }

    fn apply(&mut self, event: &GameEvent, _: &EventContext<'_>) {
        let GameEvent::Guessed(guessed) = event;
        *self.points.entry(guessed.player).or_default() += u64::from(guessed.points);
    }

    fn states_kept() -> usize {
        KEPT
    }
}

/// None of its states are kept, and one is saved every 500 events.
#[derive(Clone, Serialize, Deserialize)]
struct Saved(Game<0>);

impl Aggregate for Saved {
    type Event = GameEvent;
    type Command = u64;
    type Refusal = ();

    fn new(stream: &StreamName) -> Saved {
        Saved(Game::new(stream))
    }

    fn decide(&self, _: &u64) -> Result<Vec<GameEvent>, ()> {
        Ok(Vec::new())
    }

    fn apply(&mut self, event: &GameEvent, context: &EventContext<'_>) {
        self.0.apply(event, context);
    }

    fn states_kept() -> usize {
        0
    }

    fn snapshots() -> Option<Snapshots<Saved>> {
        Some(Snapshots::json(1))
    }
}

fn guessed(player: u64) -> GameEvent {
    let (word, letters) = ("otterhound".to_owned(), vec![1, 2, 3, 5, 8]);
    GameEvent::Guessed(Guessed { player, word, points: 7, is_right: player.is_multiple_of(3), letters })
}

fn aggregates(criterion: &mut Criterion) {
    std::fs::create_dir_all("target").expect("the target directory");
    let directory = tempfile::tempdir_in("target").expect("a directory");
    let options = EventStore::options().durability(Durability::Written);
    let store = options.open(directory.path().join("store")).expect("a store");
    let mut group = criterion.benchmark_group("aggregates");

    let stream = StreamName::new("game-500").expect("a name");
    for player in 0..500 {
        let event = guessed(player % 8).encode().expect("JSON");
        store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("a receipt");
    }
    group.throughput(Throughput::Elements(500));
    let game = store.aggregate::<Game<0>>(&stream);
    group.bench_function("load/500-events", |bencher| {
        bencher.iter(|| game.load().expect("a state").state().points.len());
    });
    // Twenty times as long, as long as can be behind its last snapshot, and with none.
    let stream = StreamName::new("game-9999").expect("a name");
    for player in (0..9_999).step_by(99) {
        let events = (player..player + 99).map(|player| guessed(player % 8).encode().expect("JSON"));
        store.append(&stream, ExpectedVersion::Any, events.collect::<Vec<_>>()).wait().expect("a receipt");
    }
    let saved = store.aggregate::<Saved>(&stream);
    let state = saved.state_at(Version::new(9_500)).expect("a state");
    assert!(saved.save_snapshot(&state).expect("it can be saved"));
    group.bench_function("load/9999-events/snapshot-of-9500", |bencher| {
        bencher.iter(|| saved.load().expect("a state").state().0.points.len());
    });
    let game = store.aggregate::<Game<0>>(&stream);
    group.bench_function("load/9999-events", |bencher| {
        bencher.iter(|| game.load().expect("a state").state().points.len());
    });

    let game = store.aggregate::<Game<100>>(&StreamName::new("game-500").expect("a name"));
    group.throughput(Throughput::Elements(1));
    group.bench_function("load/kept", |bencher| {
        bencher.iter(|| game.load().expect("a state").state().points.len());
    });

    // The same event in the same way, with and without the aggregate.
    let stream = StreamName::new("game-bare").expect("a name");
    let mut version = Version::NONE;
    group.bench_function("append/bare", |bencher| {
        bencher.iter_batched(
            || guessed(7).encode().expect("JSON").tag("player", 7),
            |event| {
                let pending = store.append(&stream, ExpectedVersion::Exact(version), [event]);
                version = pending.wait().expect("a receipt").last_version();
            },
            BatchSize::SmallInput,
        );
    });
    let game = store.aggregate::<Game<100>>(&StreamName::new("game-executed").expect("a name"));
    let mut player = 0;
    group.bench_function("execute/kept", |bencher| {
        bencher.iter(|| {
            player += 1;
            game.execute(player % 8).wait().expect("a receipt").version()
        });
    });
    let game = store.aggregate::<Game<100>>(&StreamName::new("game-keyed").expect("a name"));
    let mut key = 0_u64;
    let bare = StreamName::new("game-bare-keyed").expect("a name");
    group.bench_function("append/bare/once", |bencher| {
        bencher.iter(|| {
            key += 1;
            let event = guessed(key % 8).encode().expect("JSON").tag("player", key % 8);
            let batch = store.batch().append(&bare, ExpectedVersion::Any, [event]).once(key.to_string());
            batch.commit().wait().expect("a receipt").last_version()
        });
    });
    group.bench_function("execute/kept/once", |bencher| {
        bencher.iter(|| {
            key += 1;
            game.execute(key % 8).once(key.to_string()).wait().expect("a receipt").version()
        });
    });
    for (codec, name) in [(Codec::Json, "json"), (Codec::Bincode, "bincode")] {
        let GameEvent::Guessed(payload) = guessed(7);
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| scorebook::NewEvent::encoded("guessed", codec, &payload).expect("it can be written"));
        });
    }
    group.finish();
}

criterion_group!(benches, aggregates);
criterion_main!(benches);
