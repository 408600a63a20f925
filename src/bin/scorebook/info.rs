//! `info`: what a store holds, how it was closed, who has it open.

use crate::Tool;
use crate::failure::{Exit, Failure};
use crate::output::Facts;
use scorebook::Place;
use serde_json::{Value, json};

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let info = scorebook::inspect(&tool.dir)?;
    let facts = Facts::default()
        .with("directory", tool.dir.to_string_lossy())
        .with("format", info.format())
        .with("store_id", info.store_id().to_string())
        .with("head", info.head().get())
        .with("events", info.events())
        .with("streams", info.streams())
        .with("segments", info.segments())
        .with("disk_bytes", info.disk_bytes())
        .with("log_bytes", info.log_bytes())
        .with_place("durable_end", info.durable_end())
        .with_place("visible_end", info.visible_end())
        .with("epoch", info.epoch())
        .with("closed", info.close_state().to_string())
        .with("owner", info.owner())
        .with_damage(info.damage());
    tool.output().facts(&facts)?;
    match info.damage().first() {
        None => Ok(()),
        Some(damage) => Err(Failure::new(Exit::Damage, damage.to_string())),
    }
}

impl Facts {
    /// A place in the files.
    pub(crate) fn with_place(self, name: &str, place: Place) -> Facts {
        self.with_shown(name, &place_json(place), vec![place.to_string()])
    }
}

/// A place in the files as JSON.
pub(crate) fn place_json(place: Place) -> Value {
    json!({ "segment": place.segment, "byte": place.offset })
}
