//! What can be wrong with a registry, each with the names in it.

use super::graph::LENGTH_MAX;
use super::shape::{EventShape, write_path};
use crate::error::{Error, ErrorKind};
use std::error::Error as StdError;
use std::fmt;

/// Something that is wrong with a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryFault {
    /// An event type has a form that is not allowed, or a schema is 0.
    InvalidName {
        /// The shape that was named.
        shape: EventShape,
        /// What is wrong with it, as the rest of a sentence.
        reason: String,
    },
    /// One shape is registered twice, and not the same each time.
    Conflict {
        /// The shape.
        shape: EventShape,
        /// What one registration says of it.
        first: String,
        /// What the other says.
        second: String,
    },
    /// The streams of one category are folded by two aggregates.
    ConflictingAggregates {
        /// The category.
        category: String,
        /// One aggregate.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Two steps lead from one shape to the same shape, or both discard it.
    ConflictingSteps {
        /// Where both begin.
        from: EventShape,
        /// Where both end; `None` where both discard the event.
        to: Option<EventShape>,
    },
    /// Two ways are the shortest, and nothing says which is to be taken.
    Ambiguous {
        /// The enum that is to be reached.
        events: &'static str,
        /// One way, from the shape where both begin.
        first: Vec<EventShape>,
        /// The other.
        second: Vec<EventShape>,
    },
    /// What is named as a category is not what a stream's name begins with, up to the first `-`.
    InvalidCategory {
        /// What was named.
        category: String,
    },
    /// Steps lead from a shape back to itself.
    Cycle {
        /// The shapes in the order of the steps; the last has a step to the first.
        shapes: Vec<EventShape>,
    },
    /// Steps lead to the same type with a schema that is not higher.
    Downgrade {
        /// Where they begin.
        from: EventShape,
        /// Where they lead.
        to: EventShape,
    },
    /// The way from a shape has more than 1,000 steps.
    TooLong {
        /// The shape.
        from: EventShape,
        /// The enum that is to be reached.
        events: &'static str,
    },
    /// No steps lead from a shape to anything that an enum reads.
    NoPath {
        /// The shape.
        shape: EventShape,
    },
    /// A step leads out of a shape that is read as it is: nothing would ever take it.
    Superfluous {
        /// Where the step begins.
        from: EventShape,
        /// Where it leads.
        to: Vec<EventShape>,
        /// The enum that reads the shape.
        events: &'static str,
    },
    /// A rule is for a type that nothing in the registry has, or for a type or a tag that no event can have: nobody would ever
    /// ask it.
    IdleRule {
        /// What the rule is for.
        rule: String,
        /// Why it would never be asked, as a sentence.
        reason: String,
    },
}

impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryFault::InvalidName { shape, reason } => write!(f, "{shape}: {reason}"),
            RegistryFault::Conflict { shape, first, second } => {
                write!(f, "{shape} is registered twice: {first}, and {second}")
            }
            RegistryFault::ConflictingAggregates { category, first, second } => {
                let category = category.escape_debug();
                write!(f, "the streams of category `{category}` are folded twice: by {first}, and by {second}")
            }
            RegistryFault::ConflictingSteps { from, to: Some(to) } => write!(f, "two steps lead from {from} to {to}"),
            RegistryFault::ConflictingSteps { from, to: None } => write!(f, "{from} is discarded twice"),
            RegistryFault::Ambiguous { events, first, second } => {
                write!(f, "two ways to {events} are the shortest: ")?;
                write_path(f, first)?;
                f.write_str(", and ")?;
                write_path(f, second)
            }
            RegistryFault::InvalidCategory { category } => {
                let category = category.escape_debug();
                write!(f, "`{category}` is no category: that is what a stream's name begins with, up to the first `-`")
            }
            RegistryFault::Cycle { shapes } => {
                f.write_str("steps lead in a circle: ")?;
                write_path(f, shapes)?;
                match shapes.first() {
                    Some(first) => write!(f, " -> {first}"),
                    None => Ok(()),
                }
            }
            RegistryFault::Downgrade { from, to } => write!(f, "steps lead from {from} down to {to}"),
            RegistryFault::TooLong { from, events } => {
                write!(f, "the way from {from} to {events} has more than {LENGTH_MAX} steps")
            }
            RegistryFault::NoPath { shape } => write!(f, "no steps lead from {shape} to anything that is read"),
            RegistryFault::Superfluous { from, to, events } => {
                write!(f, "{events} reads {from} as it is: the step ")?;
                match &to[..] {
                    [] => f.write_str("that discards it")?,
                    to => {
                        f.write_str("to ")?;
                        to.iter().enumerate().try_for_each(|(index, shape)| {
                            write!(f, "{}{shape}", if index == 0 { "" } else { ", " })
                        })?;
                    }
                }
                f.write_str(" would never be taken")
            }
            RegistryFault::IdleRule { rule, reason } => write!(f, "the rule {rule} would never be asked: {reason}"),
        }
    }
}

/// All that is wrong with a registry.
///
/// `?` makes it an [`Error`] of kind [`InvalidArgument`](ErrorKind::InvalidArgument).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryFaults(pub(super) Vec<RegistryFault>);

impl RegistryFaults {
    /// The faults, sorted by what they are.
    pub fn iter(&self) -> impl Iterator<Item = &RegistryFault> {
        self.0.iter()
    }
}

impl fmt::Display for RegistryFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for RegistryFaults {}

impl From<RegistryFaults> for Error {
    fn from(faults: RegistryFaults) -> Error {
        Error::with_source(ErrorKind::InvalidArgument, "building a registry of events", faults)
    }
}
