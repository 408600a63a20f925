//! How long an event takes between an enum and its bytes: one question each, the codec or the way in the name.

#![allow(missing_docs, reason = "a bench has no users")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scorebook::{
    Codec, EventStore, EventTypes, ExpectedVersion, NewEvent, RecordedEvent, Registry, Snowflake, StreamName, events,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hint::black_box;

/// A guess as a bot records it: about 300 bytes of JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Guessed {
    game: Snowflake,
    player: Snowflake,
    guess: String,
    at: String,
    letters: Vec<Letter>,
    scores: BTreeMap<Snowflake, i64>,
    seconds: f64,
    hint: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Letter {
    Hit(char),
    Near { letter: char, places: Vec<u8> },
    Miss,
}

events! {
    #[derive(Clone)]
    enum Game {
        Guessed(Guessed) = "game_guess_processed", 3;
        Packed(Box<Guessed>) = "game_guess_packed", 1, Codec::Bincode;
    }
    history = history;
    dress = |event: &Game, new: NewEvent| match event {
        Game::Guessed(guessed) => new.tag("player", guessed.player),
        Game::Packed(guessed) => new.tag("player", guessed.player),
    };
}

fn history(types: &mut EventTypes<Game>) {
    types.rename(("game_guess_processed", 1), ("game_guess_processed", 2)).step(
        ("game_guess_processed", 2),
        ("game_guess_processed", 3),
        |old: Guessed| Guessed { hint: None, ..old },
    );
}

fn guessed() -> Guessed {
    Guessed {
        game: Snowflake::from(1_234_567_890_123_456_789),
        player: Snowflake::from(987_654_321_098_765_432),
        guess: "crane".to_owned(),
        at: "2024-02-29T12:34:56.789Z".to_owned(),
        letters: vec![
            Letter::Hit('c'),
            Letter::Near { letter: 'r', places: vec![2, 4] },
            Letter::Miss,
            Letter::Miss,
            Letter::Hit('e'),
        ],
        scores: (0..3).map(|number| (Snowflake::from(1 << (50 + number)), -7)).collect(),
        seconds: 12.75,
        hint: Some("a bird".to_owned()),
    }
}

fn recorded(event: NewEvent) -> RecordedEvent {
    let store = EventStore::open_in_memory().expect("a store");
    let stream = StreamName::new("game-1").expect("a name");
    let receipt = store.append(&stream, ExpectedVersion::Any, [event]).wait().expect("a receipt");
    store.event_at(receipt.last_position()).expect("it was just appended")
}

fn modelling(criterion: &mut Criterion) {
    let registry = Registry::builder().events::<Game>().build().expect("a registry");
    let mut group = criterion.benchmark_group("modelling");
    group.throughput(Throughput::Elements(1));
    let events = [(Game::Guessed(guessed()), "json"), (Game::Packed(Box::new(guessed())), "bincode")];
    for (event, name) in events {
        let new = registry.encode(&event).expect("an event");
        let recorded = recorded(new.clone());
        let bytes = recorded.data().len();
        group.bench_function(format!("encode/{name}-{bytes}B"), |bencher| {
            bencher.iter(|| registry.encode(black_box(&event)).expect("an event"));
        });
        group.bench_function(format!("decode/{name}-{bytes}B"), |bencher| {
            bencher.iter(|| registry.decode::<Game>(black_box(&recorded)).expect("an event").next());
        });
    }
    let old = NewEvent::json("game_guess_processed", &guessed()).expect("JSON");
    for (schema, name) in [(2, "one-step"), (1, "two-steps")] {
        let recorded = recorded(old.clone().schema(schema));
        group.bench_function(format!("decode/json/{name}"), |bencher| {
            bencher.iter(|| registry.decode::<Game>(black_box(&recorded)).expect("an event").next());
        });
    }
    // What serde_json alone takes, to see what stands on top of it.
    group.bench_function("decode/serde_json-alone", |bencher| {
        let bytes = serde_json::to_vec(&guessed()).expect("JSON");
        bencher.iter_batched_ref(
            || bytes.clone(),
            |bytes| serde_json::from_slice::<Guessed>(bytes).expect("a guess"),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("build", |bencher| {
        bencher.iter(|| Registry::builder().events::<Game>().build().expect("a registry"));
    });
    group.finish();
}

criterion_group!(benches, modelling);
criterion_main!(benches);
