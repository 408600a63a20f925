//! A store on disk: one append, and the same event again after reopening.
//!
//! ```console
//! cargo run --example first_append
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Version};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("bot.scorebook");
    let game = StreamName::new("game-42")?;

    let store = EventStore::open(&path)?;
    let started = NewEvent::json("game_started", &["otter", "river"])?.tag("guild", 42).actor(8812);
    let receipt = store.append(&game, ExpectedVersion::NoStream, [started]).wait()?;
    println!("appended to {game}: version {}, position {}", receipt.last_version(), receipt.last_position());
    assert!(receipt.is_new_stream());
    store.close()?;

    let store = EventStore::open(&path)?;
    let event = store.event(&game, Version::FIRST)?;
    println!("read again: {} {:?}", event.event_type(), event.json::<Vec<String>>()?);
    assert_eq!(event.position(), receipt.last_position());
    assert_eq!(event.json::<Vec<String>>()?, ["otter", "river"]);
    assert_eq!(event.tag("guild"), Some("42"));
    store.close()?;
    Ok(())
}
