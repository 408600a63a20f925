//! `verify`: checks every byte of every file.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::info::place_json;
use crate::cli::output::{Facts, counted};
use scorebook::{Damage, VerifyReport};
use serde_json::{Value, json};

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let report = scorebook::verify(&tool.dir)?;
    tool.output().facts(&facts(&report))?;
    if report.is_sound() {
        return Ok(());
    }
    let places = counted(report.damage().len() as u64, "place", "places");
    let failure = Failure::new(Exit::Damage, format!("the store is damaged in {places}"));
    Err(failure.advise("`scorebook salvage DEST` copies what is good to a new directory, `scorebook repair` makes this one writable again"))
}

fn facts(report: &VerifyReport) -> Facts {
    let notes = report.notes();
    Facts::default()
        .with("sound", report.is_sound())
        .with("events", report.events())
        .with("segments", report.segments())
        .with("bytes", report.bytes())
        .with_damage(report.damage())
        .with_shown("notes", &json!(notes), notes.to_vec())
}

impl Facts {
    /// What is damaged, and where.
    pub(crate) fn with_damage(self, damage: &[Damage]) -> Facts {
        let shown: Vec<String> = damage.iter().map(ToString::to_string).collect();
        let value: Value = damage
            .iter()
            .zip(&shown)
            .map(|(damage, text)| json!({ "at": place_json(damage.place()), "damage": text }))
            .collect();
        self.with_shown("damage", &value, shown)
    }
}
