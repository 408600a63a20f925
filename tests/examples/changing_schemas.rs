//! A schema that was changed twice: one log with events of three ages, which today's code reads as if it had written them.
//!
//! ```console
//! cargo run --example changing_schemas
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::{Event, EventStore, EventTypes, ExpectedVersion, NewEvent, Registry, Snowflake, StreamName};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// A guess as it is today.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guessed {
    /// What was guessed.
    pub word: String,
    /// Who did it; nobody was asked in the beginning.
    pub player: Option<Snowflake>,
    /// How long it took.
    pub milliseconds: u64,
}

/// A guess as it was before: in seconds, and with the player as text.
#[derive(Deserialize, Serialize)]
struct GuessedInSeconds {
    word: String,
    player: Option<String>,
    seconds: f64,
}

scorebook::events! {
    /// What happens in a game.
    #[derive(Clone, Debug, PartialEq)]
    pub enum GameEvent {
        /// A word was guessed.
        Guessed(Guessed) = "word_guessed", 3;
    }
    history = history;
}

/// Each change adds a step behind the last; what stands here is never changed again.
fn history(types: &mut EventTypes<GameEvent>) {
    // At first a guess was just a word, and its type had another name.
    types.step(("guess", 1), ("word_guessed", 2), |word: String| GuessedInSeconds { word, player: None, seconds: 0.0 });
    // Then players had names of text. Not every text is an id, so this step can fail.
    types.try_step(("word_guessed", 2), ("word_guessed", 3), |old: GuessedInSeconds| {
        let player = old.player.map(|player| player.parse()).transpose()?;
        Ok::<_, scorebook::Error>(Guessed { word: old.word, player, milliseconds: (old.seconds * 1_000.0) as u64 })
    });
}

fn main() -> Result<(), Box<dyn Error>> {
    let store = EventStore::open_in_memory()?;
    let game = StreamName::new("game-42")?;
    let seconds =
        |player: &str| GuessedInSeconds { word: "river".to_owned(), player: Some(player.to_owned()), seconds: 1.5 };
    let today = Guessed { word: "stone".to_owned(), player: Some(Snowflake::from(8812)), milliseconds: 900 };
    let ages = [
        NewEvent::json("guess", "otter")?,
        NewEvent::json("word_guessed", &seconds("8812"))?.schema(2),
        GameEvent::from(today.clone()).encode()?,
    ];
    store.append(&game, ExpectedVersion::NoStream, ages).wait()?;

    // Cycles, ways that are not clear and steps that lead nowhere would be refused here, by name.
    let registry = Registry::builder().events::<GameEvent>().build()?;
    let mut guesses = Vec::new();
    for event in store.read(&game) {
        let event = event?;
        for GameEvent::Guessed(guess) in registry.decode::<GameEvent>(&event)? {
            println!("{} (schema {}) is read as {guess:?}", event.event_type(), event.schema());
            guesses.push(guess);
        }
    }
    let words: Vec<&str> = guesses.iter().map(|guess| guess.word.as_str()).collect();
    assert_eq!(words, ["otter", "river", "stone"]);
    assert_eq!((guesses[1].player, guesses[1].milliseconds), (today.player, 1_500));
    assert_eq!(guesses[2], today);

    // Before a new version of a bot goes live, the whole log is held against it.
    assert!(registry.check(&store)?.is_sound());
    store.append(&game, ExpectedVersion::Any, [NewEvent::json("word_guessed", &seconds("alice"))?.schema(2)]).wait()?;
    let report = registry.check(&store)?;
    for failure in report.failures() {
        println!("{:?}", failure.error());
    }
    assert_eq!(report.failures().map(|failure| failure.position().get()).collect::<Vec<_>>(), [4]);

    // What was recorded stays as it was.
    let first = store.read(&game).into_iter().next().ok_or("the stream has events")??;
    assert_eq!((first.event_type(), first.schema(), first.data()), ("guess", 1, &br#""otter""#[..]));
    Ok(())
}
