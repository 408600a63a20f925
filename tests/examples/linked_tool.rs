//! The tool, linked with an aggregate and a projection: this program is `scorebook`, and knows what a game is.
//!
//! Without arguments a game is played in a directory that goes away again, and the tool is asked about it.
//!
//! ```console
//! cargo run --features cli --example linked_tool
//! cargo run --features cli --example linked_tool -- --dir bot.scorebook replay game-42 --step
//! ```

use scorebook::cli::{self, Linked};
use scorebook::{
    Aggregate, EventContext, EventStore, EventTypes, ExpectedVersion, NewEvent, Projection, Query, Registry,
    StreamName, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let registry = Registry::builder().aggregate::<Game>("game").build()?;
    let linked = || Linked::new(registry.clone()).projection::<Points>();
    if 1 < std::env::args_os().len() {
        return Ok(cli::run(linked()));
    }
    let directory = tempfile::tempdir()?;
    play(directory.path())?;
    for command in [&["replay", "game-42", "--step"][..], &["diff", "game-42", "1", "3"], &["check"], &["projections"]]
    {
        let place = [OsString::from("linked_tool"), "--dir".into(), directory.path().into()];
        let arguments = place.into_iter().chain(["--format", "table"].iter().chain(command).map(OsString::from));
        let exit = cli::run_with(linked(), arguments);
        if exit != ExitCode::SUCCESS {
            return Ok(exit);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who plays.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Started {
    players: Vec<String>,
}

/// A guess was right.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Guessed {
    player: String,
    points: u32,
}

/// The game is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {}

scorebook::events! {
    /// What happens in a game.
    #[derive(Clone, Debug)]
    enum GameEvent {
        /// It began.
        Started(Started) = "game_started", 1;
        /// Somebody guessed right.
        Guessed(Guessed) = "guessed", 2;
        /// It is over.
        Ended(Ended) = "game_ended", 1;
    }
    history = history;
}

/// In the beginning a guess was a player alone, and worth a point.
fn history(types: &mut EventTypes<GameEvent>) {
    types.step(("guessed", 1), ("guessed", 2), |player: String| Guessed { player, points: 1 });
}

/// What a game has come to.
#[derive(Clone, Debug, Serialize)]
struct Game {
    is_over: bool,
    scores: BTreeMap<String, u32>,
}

impl Aggregate for Game {
    type Event = GameEvent;
    type Command = Guessed;
    type Refusal = &'static str;

    fn new(_: &StreamName) -> Game {
        Game { is_over: false, scores: BTreeMap::new() }
    }

    fn decide(&self, guess: &Guessed) -> Result<Vec<GameEvent>, &'static str> {
        match (self.is_over, self.scores.contains_key(&guess.player)) {
            (true, _) => Err("the game is over"),
            (false, false) => Err("that is no player of this game"),
            (false, true) => Ok(vec![guess.clone().into()]),
        }
    }

    fn apply(&mut self, event: &GameEvent, _: &EventContext<'_>) {
        match event {
            GameEvent::Started(started) => self.scores = started.players.iter().map(|name| (name.clone(), 0)).collect(),
            GameEvent::Guessed(guess) => *self.scores.entry(guess.player.clone()).or_default() += guess.points,
            GameEvent::Ended(Ended {}) => self.is_over = true,
        }
    }
}

/// The points of each player, over all games.
#[derive(Clone, Serialize, Deserialize)]
struct Points(BTreeMap<String, u32>);

impl Projection for Points {
    type Event = GameEvent;
    const NAME: &'static str = "points";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all().of_type("guessed")
    }

    fn new() -> Points {
        Points(BTreeMap::new())
    }

    fn apply(&mut self, event: &GameEvent, _: &EventContext<'_>) {
        if let GameEvent::Guessed(guess) = event {
            *self.0.entry(guess.player.clone()).or_default() += guess.points;
        }
    }
}

/// A game, the first guess of which was recorded when guesses were players alone.
fn play(directory: &Path) -> Result<(), Box<dyn Error>> {
    let store = EventStore::open(directory)?;
    let game = StreamName::new("game-42")?;
    let events = [
        NewEvent::json("game_started", &Started { players: vec!["alice".to_owned(), "bob".to_owned()] })?,
        NewEvent::json("guessed", "alice")?,
        NewEvent::json("guessed", &Guessed { player: "alice".to_owned(), points: 3 })?.schema(2),
        NewEvent::json("game_ended", &Ended {})?,
    ];
    for (version, event) in (0..).map(Version::new).zip(events) {
        store.append(&game, ExpectedVersion::Exact(version), [event]).wait()?;
    }
    store.close()?;
    Ok(())
}
