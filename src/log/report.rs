//! What opening found, told to whoever opened.

use crate::position::{Place, Position};
use std::fmt;

/// Acknowledged bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub(crate) kind: DamageKind,
    pub(crate) place: Place,
    pub(crate) detail: String,
    /// The positions that cannot be read because of it, where they are known.
    pub(crate) positions: Option<(Position, Position)>,
}

/// The sort of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// Bytes that were acknowledged are not there: a file, or what should follow in one.
    Missing,
    /// Good bytes that do not belong where they stand.
    Misplaced,
    /// Acknowledged bytes that do not verify.
    Unreadable,
}

impl Damage {
    pub(crate) fn new(kind: DamageKind, place: Place, detail: impl Into<String>) -> Damage {
        Damage { kind, place, detail: detail.into(), positions: None }
    }

    /// The sort of damage.
    #[must_use]
    pub fn kind(&self) -> DamageKind {
        self.kind
    }

    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The first and last position that cannot be read because of it, where they are known.
    #[must_use]
    pub fn positions(&self) -> Option<(Position, Position)> {
        self.positions
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DamageKind::Missing => "missing",
            DamageKind::Misplaced => "misplaced",
            DamageKind::Unreadable => "unreadable",
        };
        write!(f, "{} at {}: {}", kind, self.place, self.detail)?;
        match self.positions {
            Some((first, last)) if first == last => write!(f, " (position {first})"),
            Some((first, last)) => write!(f, " (positions {first} to {last})"),
            None => Ok(()),
        }
    }
}

/// How the log ended when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseState {
    /// There was nothing in it.
    #[default]
    Empty,
    /// It had been closed.
    Clean,
    /// It had not been closed: a crash, a kill, or a machine that lost power.
    Unclean,
    /// Another process has it open for writing.
    Open,
}

impl fmt::Display for CloseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseState::Empty => "empty",
            CloseState::Clean => "closed",
            CloseState::Unclean => "not closed",
            CloseState::Open => "open in another process",
        })
    }
}

/// What opening found and did. A crash leaves traces that are no damage; they are told here and nowhere hidden.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    pub(crate) close_state: CloseState,
    pub(crate) events: u64,
    pub(crate) segments: u32,
    pub(crate) torn: Option<Place>,
    pub(crate) copied_events: u64,
    pub(crate) copied_to: Option<u32>,
    pub(crate) unproven_events: u64,
    pub(crate) damage: Vec<Damage>,
    pub(crate) notes: Vec<String>,
}

impl RecoveryReport {
    /// How the log had ended.
    #[must_use]
    pub fn close_state(&self) -> CloseState {
        self.close_state
    }

    /// How many events the log holds.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many segments count.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.segments
    }

    /// Where the unacknowledged remains of a crash begin that were left out, if there were any.
    #[must_use]
    pub fn torn_tail(&self) -> Option<Place> {
        self.torn
    }

    /// How many events behind the last proof of durability were copied into a new segment and synced.
    #[must_use]
    pub fn copied_events(&self) -> u64 {
        self.copied_events
    }

    /// How many events can be read of which nothing proves that they are durable, because there was no room to copy
    /// them. The first append copies them; until then nothing is built on them.
    #[must_use]
    pub fn unproven_events(&self) -> u64 {
        self.unproven_events
    }

    /// The damage that was found.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// What else is worth knowing: unknown files, files that were passed by, a clock that is behind.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} events in {} segments", self.close_state, self.events, self.segments)?;
        if let Some(place) = self.torn {
            write!(f, "; a torn tail at {place} was left out")?;
        }
        if let Some(segment) = self.copied_to {
            write!(f, "; {} events were copied to segment {segment}", self.copied_events)?;
        }
        if self.unproven_events != 0 {
            write!(f, "; {} events are not proven durable, for want of room", self.unproven_events)?;
        }
        for damage in &self.damage {
            write!(f, "\ndamage: {damage}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}
