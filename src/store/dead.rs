//! How much of a log is dead, as far as that is known without reading it.

use super::EventStore;
use super::view::View;
use crate::error::Error;
use crate::index::Fate;

impl EventStore {
    /// How many visible events are of finished streams, or before the version that their stream begins with. Looks at the
    /// streams of which something was decided, some at a time, so that nobody waits for long.
    pub(crate) fn dead_events(&self) -> Result<u64, Error> {
        const STREAMS_AT_A_TIME: usize = 1_024;
        let shared = self.view()?;
        let (mut dead, mut last) = (0, None::<Box<str>>);
        loop {
            let view = shared.0.read();
            let some = view.table.fates().behind(last.as_deref()).take(STREAMS_AT_A_TIME);
            let mut next = None;
            for (name, fate) in some {
                dead += dead_of(&view, name, fate);
                next = Some(name);
            }
            let Some(next) = next else { return Ok(dead) };
            last = Some(next.into());
        }
    }
}

fn dead_of(view: &View, name: &str, fate: &Fate) -> u64 {
    let Some(extent) = view.table.visible(name).map(|stream| *stream.extent()) else { return 0 };
    match &fate.truncated {
        _ if fate.ended.is_some() => extent.events,
        // Where versions are missing behind it, some that go are taken for some that stay.
        Some(truncated) => {
            let staying = (extent.version.get() + 1).saturating_sub(truncated.first.get());
            extent.events.saturating_sub(staying)
        }
        None => 0,
    }
}
