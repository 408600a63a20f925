//! Stores of many events in many streams, the same each time.

use scorebook::{Codec, EventStore, ExpectedVersion, NewEvent, StreamName};

/// An event with a payload of 60 bytes and a tag or two.
pub(crate) fn event(number: u64) -> NewEvent {
    let player = number * 31 % 10_000;
    let data = format!(r#"{{"player":"p-{player:06}","guess":"word-{number:09}","right":false}}"#);
    let event = NewEvent::with_codec("game_guess_processed", Codec::Json, data.into_bytes()).tag("guild", number % 50);
    if number.is_multiple_of(2) { event.tag("player", player) } else { event }
}

/// Which of so many streams an event is in.
pub(crate) fn stream_of(number: u64, streams: u64) -> StreamName {
    StreamName::new(format!("game-{:06}", scattered(number) % streams)).expect("a name")
}

/// A number that looks random and is the same in every run.
fn scattered(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Appends events to so many streams, in batches of 100.
pub(crate) fn fill(store: &EventStore, events: u64, streams: u64) {
    for first in (0..events).step_by(100) {
        let mut batch = store.batch();
        for number in first..first + 100 {
            batch = batch.append(&stream_of(number, streams), ExpectedVersion::Any, [event(number)]);
        }
        batch.commit().wait().expect("a receipt");
    }
}
