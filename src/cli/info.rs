//! `info`: what a store holds, how it was closed, who has it open.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Facts;
use scorebook::Place;
use serde_json::{Value, json};

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let info = scorebook::inspect(&tool.dir)?;
    let stats = info.stats();
    let facts = Facts::default()
        .with("directory", tool.dir.to_string_lossy())
        .with("format", stats.format())
        .with("store_id", stats.store_id().to_string())
        .with("head", stats.head().get())
        .with("events", stats.events())
        .with("streams", stats.streams())
        .with("segments", stats.segments())
        .with("disk_bytes", stats.disk_bytes())
        .with("log_bytes", stats.log_bytes())
        .with("index_bytes", stats.index_bytes())
        .with("snapshots", stats.snapshots())
        .with("snapshot_bytes", stats.snapshot_bytes())
        .with("room", stats.room())
        .with_place("durable_end", stats.durable_end())
        .with_place("visible_end", stats.visible_end())
        .with("epoch", stats.epoch())
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
