//! One batch over several streams, interleaved: all of it happens, or none of it.
//!
//! ```console
//! cargo run --example several_streams
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::{AppendError, EventStore, ExpectedVersion, NewEvent, Position, StreamName, Version};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let store = EventStore::open_in_memory()?;
    let team = StreamName::new("team-3")?;
    let game = StreamName::new("game-42")?;
    let board = StreamName::new("board-week-7")?;
    store.append(&team, ExpectedVersion::NoStream, [NewEvent::json("team_formed", &[8812, 9001])?]).wait()?;

    // The team is not written, but it must exist.
    let receipt = store
        .batch()
        .append(&game, ExpectedVersion::NoStream, [NewEvent::json("game_started", &3)?])
        .append(&board, ExpectedVersion::Any, [NewEvent::json("game_counted", &1)?])
        .append(&game, ExpectedVersion::Any, [NewEvent::json("guessed", "otter")?])
        .require(&team, ExpectedVersion::StreamExists)
        .commit()
        .wait()?;
    for of in receipt.streams() {
        println!("{}: versions {} to {}", of.stream(), of.first_version(), of.last_version());
    }
    assert_eq!(receipt.of(&game).map(|of| of.last_version()), Some(Version::new(2)));
    assert_eq!(receipt.of(&board).map(|of| of.last_version()), Some(Version::FIRST));
    assert_eq!(receipt.of(&team), None);

    // The events lie in the log in the order in which the batch named them.
    let order = store.read_all().after(Position::new(1)).into_iter().map(|event| Ok(event?.stream().to_owned()));
    let order = order.collect::<Result<Vec<_>, scorebook::Error>>()?;
    println!("in the log: {}", order.join(", "));
    assert_eq!(order, ["game-42", "board-week-7", "game-42"]);

    // One expectation that does not hold refuses all of it.
    let refused = store
        .batch()
        .append(&board, ExpectedVersion::Any, [NewEvent::json("game_counted", &2)?])
        .append(&game, ExpectedVersion::NoStream, [NewEvent::json("game_started", &3)?])
        .commit()
        .wait();
    match refused {
        Err(AppendError::Conflict(conflict)) => println!("refused: {conflict}"),
        other => return Err(format!("expected a conflict, got {other:?}").into()),
    }
    assert_eq!(store.version(&board)?, Version::FIRST);
    assert_eq!(store.head()?, Position::new(4));
    Ok(())
}
