//! A finished game gets a name to be looked at again by, and who looked is noted. These stand in `replay-{game}`.

use crate::game::{GameId, GuildId, Mode, Moment, PlayerId, ReplayName};
use serde::{Deserialize, Serialize};

/// A finished game can be looked at again, under a name that no other has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayCreated {
    /// The game. Its events are not copied.
    pub game_id: GameId,
    /// The guild it belongs to.
    pub guild_id: GuildId,
    /// How it was played.
    pub mode: Mode,
    /// The name.
    pub name: ReplayName,
    /// How many events the game has: a stream that has fewer is not whole.
    pub event_count: u64,
    /// When the game began.
    pub start_time: Moment,
    /// When it ended.
    pub end_time: Moment,
    /// When the name was given.
    pub created_at: Moment,
}

/// Somebody has looked at a finished game.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayAccessed {
    /// The game.
    pub game_id: GameId,
    /// The guild from which it was asked for.
    pub guild_id: GuildId,
    /// Who.
    pub user_id: PlayerId,
    /// What for.
    pub access: ReplayAccess,
    /// When.
    pub accessed_at: Moment,
}

/// What somebody wants of a finished game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayAccess {
    /// To look at it.
    View,
    /// To show it to others.
    Share,
    /// To have it as a file.
    Download,
    /// To have it within something else.
    Embed,
}
