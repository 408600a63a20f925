//! Where following begins.

use crate::position::Position;
use crate::time::Timestamp;

/// Where a subscription or a consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// With the first event there is.
    Beginning,
    /// With the first event that comes: behind what is visible when this is said.
    End,
    /// Behind this position, excluded. Behind [`Position::BEGINNING`] lies everything.
    After(Position),
    /// With the first event to which the store gave this time or a later one. The time may lie ahead.
    At(Timestamp),
}
