//! Rules for events that are about to be appended: all that do not hold are listed, not just the first.

use std::error::Error as StdError;
use std::fmt;

/// The rules that do not hold, all of them.
///
/// ```
/// use scorebook::Faults;
/// let mut faults = Faults::default();
/// faults.require(7 < 5, "count", "must be below 5");
/// faults.add("player", "is not in the game");
/// assert_eq!(faults.to_string(), "`count` must be below 5; `player` is not in the game");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    field: Option<String>,
    reason: String,
}

impl Faults {
    /// Adds a rule that does not hold: which field it is about, and the rest of the sentence.
    pub fn add(&mut self, field: &str, reason: impl fmt::Display) {
        self.0.push(Fault { field: Some(field.to_owned()), reason: reason.to_string() });
    }

    /// Adds a rule about the whole event that does not hold, as a sentence.
    pub fn add_whole(&mut self, reason: impl fmt::Display) {
        self.0.push(Fault { field: None, reason: reason.to_string() });
    }

    /// Adds the rule unless it holds.
    pub fn require(&mut self, holds: bool, field: &str, reason: impl fmt::Display) {
        if !holds {
            self.add(field, reason);
        }
    }

    /// Adds the faults of one of several events, with its number.
    pub(super) fn add_all(&mut self, number: usize, faults: &Faults) {
        for Fault { field, reason } in &faults.0 {
            match field {
                Some(field) => self.add(&format!("{number}.{field}"), reason),
                None => self.add_whole(format!("event {number}: {reason}")),
            }
        }
    }

    /// Whether every rule holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rules do not hold.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The rules that do not hold, in the order in which they were looked at.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl Fault {
    /// The field that the rule is about; `None` where it is about the whole event.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What is wrong: the rest of a sentence about the field, or a sentence about the event.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{}` {}", field.escape_debug(), self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for Faults {}
