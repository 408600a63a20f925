//! What came of all changes, counted by their kind and by the store they were made to.

use super::change::Kind;
use super::look::{Outcome, Violation};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of outcomes, and the first violations in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<(Kind, &'static str), Row>,
    told: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    tried: u64,
    detected: u64,
    rebuilt: u64,
    harmless: u64,
    residual: u64,
    silent: u64,
    false_alarms: u64,
}

/// How many violations are told in words.
const TOLD_MAX: usize = 40;

impl Table {
    pub(crate) fn note(
        &mut self,
        kind: Kind,
        subject: &'static str,
        outcome: Result<Outcome, Violation>,
        what: impl FnOnce() -> String,
    ) {
        let row = self.rows.entry((kind, subject)).or_default();
        row.tried += 1;
        let violation = match outcome {
            Ok(outcome) => {
                *match outcome {
                    Outcome::Detected => &mut row.detected,
                    Outcome::Rebuilt => &mut row.rebuilt,
                    Outcome::Harmless => &mut row.harmless,
                    Outcome::Residual => &mut row.residual,
                } += 1;
                return;
            }
            Err(violation) => violation,
        };
        let text = match violation {
            Violation::Silent(text) => {
                row.silent += 1;
                format!("SILENT: {text}")
            }
            Violation::FalseAlarm(text) => {
                row.false_alarms += 1;
                format!("FALSE ALARM: {text}")
            }
        };
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("{}\n    {text}", what()));
        }
    }

    pub(crate) fn add(&mut self, other: Table) {
        for (key, row) in other.rows {
            self.rows.entry(key).or_default().add(&row);
        }
        self.told.extend(other.told);
        // What is silent is told first.
        self.told.sort_by_key(|text| !text.contains("SILENT"));
        self.told.truncate(TOLD_MAX);
    }

    fn sum(&self, is_of: impl Fn(Kind, &'static str) -> bool) -> Row {
        let mut sum = Row::default();
        self.rows.iter().filter(|((kind, subject), _)| is_of(*kind, subject)).for_each(|(_, row)| sum.add(row));
        sum
    }

    pub(crate) fn tried(&self) -> u64 {
        self.sum(|_, _| true).tried
    }

    /// How many were answered wrongly.
    pub(crate) fn violations(&self) -> u64 {
        let sum = self.sum(|_, _| true);
        sum.silent + sum.false_alarms
    }

    /// How many left events missing of which nothing was left that proves them.
    pub(crate) fn residual(&self) -> u64 {
        self.sum(|_, _| true).residual
    }

    /// The first violations, in words.
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.tried += other.tried;
        self.detected += other.detected;
        self.rebuilt += other.rebuilt;
        self.harmless += other.harmless;
        self.residual += other.residual;
        self.silent += other.silent;
        self.false_alarms += other.false_alarms;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, columns: [&dyn fmt::Display; 7]| {
            write!(f, "{name:<18}")?;
            columns.iter().try_for_each(|column| write!(f, "{:>13}", column.to_string()))?;
            writeln!(f)
        };
        line("", [&"tried", &"detected", &"rebuilt", &"harmless", &"residual", &"silent", &"false alarms"])?;
        let mut row_line = |name: &str, row: Row| {
            let columns: [&dyn fmt::Display; 7] =
                [&row.tried, &row.detected, &row.rebuilt, &row.harmless, &row.residual, &row.silent, &row.false_alarms];
            line(name, columns)
        };
        let mut kinds: Vec<Kind> = self.rows.keys().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        for kind in kinds {
            row_line(kind.name(), self.sum(|of, _| of == kind))?;
        }
        row_line("all", self.sum(|_, _| true))?;
        let mut subjects: Vec<&'static str> = self.rows.keys().map(|(_, subject)| *subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        for subject in subjects {
            row_line(&format!("  of `{subject}`"), self.sum(|_, of| of == subject))?;
        }
        Ok(())
    }
}
