//! Waiting for what another thread does.

use std::time::Duration;

/// Waits until something is so, for at most about as long as given. Whether it became so.
///
/// It looks at once, and then every millisecond.
///
/// ```
/// use scorebook::testing::wait_until;
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// use std::time::Duration;
///
/// let store = EventStore::open_in_memory()?;
/// let bot = store.clone();
/// let game = StreamName::new("game-1")?;
/// let playing = std::thread::spawn(move || {
///     let event = NewEvent::bytes("won", []);
///     bot.append(&game, ExpectedVersion::Any, [event]).wait().map(|receipt| receipt.last_position())
/// });
/// assert!(wait_until(Duration::from_secs(10), || store.head().is_ok_and(|head| 0 < head.get())));
/// assert!(playing.join().is_ok_and(|outcome| outcome.is_ok()));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[must_use = "the time may be over"]
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(1);
    // The pauses are counted: this floor asks for no time.
    let mut waited = Duration::ZERO;
    while !is_so() {
        if limit <= waited {
            return false;
        }
        crate::sync::sleep(PAUSE);
        waited += PAUSE;
    }
    true
}
