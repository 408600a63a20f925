//! A game is played and the program ends. Later somebody opens the directory, with no program running, and replays
//! the game: to its end, and as it stood in the middle.
//!
//! ```console
//! cargo run --example offline_replay
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Version};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("bot.scorebook");
    play(&path)?;

    let report = scorebook::verify(&path)?;
    println!("{} events in {} segments, {} bytes, all verified", report.events(), report.segments(), report.bytes());
    assert!(report.is_sound());

    let store = EventStore::open_read_only(&path)?;
    let game = StreamName::new("game-42")?;
    let half = replay(&store, &game, Version::new(4))?;
    println!("at version 4: {half:?}");
    assert_eq!(half.scores, BTreeMap::from([("ada".to_owned(), 3), ("ben".to_owned(), 5)]));
    assert!(!half.is_over);

    let info = store.stream_info(&game)?;
    let end = replay(&store, &game, info.version())?;
    println!("at version {}: {end:?}", info.version());
    assert_eq!(end.scores, BTreeMap::from([("ada".to_owned(), 7), ("ben".to_owned(), 5)]));
    assert!(end.is_over);
    Ok(())
}

/// What the program did while it ran.
fn play(path: &Path) -> Result<(), Box<dyn Error>> {
    let store = EventStore::open(path)?;
    let game = StreamName::new("game-42")?;
    let events = [
        NewEvent::json("game_started", &["ada", "ben"])?,
        NewEvent::json("guessed", &("ada", 3))?,
        NewEvent::json("guessed", &("ben", 2))?,
        NewEvent::json("guessed", &("ben", 3))?,
        NewEvent::json("guessed", &("ada", 4))?,
        NewEvent::json("game_ended", &())?,
    ];
    for (version, event) in (0..).zip(events) {
        store.append(&game, ExpectedVersion::Exact(Version::new(version)), [event]).wait()?;
    }
    store.close()?;
    Ok(())
}

/// The state of a game: what is left when its events have been gone through.
#[derive(Debug, Default)]
struct Game {
    scores: BTreeMap<String, u64>,
    is_over: bool,
}

/// The game as it stood at `version`.
fn replay(store: &EventStore, game: &StreamName, version: Version) -> Result<Game, scorebook::Error> {
    let mut state = Game::default();
    for event in store.read(game).to(version) {
        let event = event?;
        match event.event_type() {
            "game_started" => state.scores = event.json::<Vec<String>>()?.into_iter().map(|name| (name, 0)).collect(),
            "guessed" => {
                let (player, points) = event.json::<(String, u64)>()?;
                *state.scores.entry(player).or_default() += points;
            }
            "game_ended" => state.is_over = true,
            _ => {} // A type that came later says nothing about the score.
        }
    }
    Ok(state)
}
