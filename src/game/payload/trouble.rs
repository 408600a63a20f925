//! What was refused and what went wrong. These stand in `refusal-{guild}`, never in a game's stream.

use crate::game::{ChannelId, GameId, GuildId, Moment, PlayerId, TeamId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// The guild.
    pub guild_id: GuildId,
    /// The game, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game_id: Option<GameId>,
    /// The command.
    pub command_name: String,
    /// The name of the refusal.
    pub error_code: String,
    /// What was answered.
    pub error_message: String,
    /// Who asked.
    pub user_id: PlayerId,
    /// Where.
    pub channel_id: ChannelId,
    /// When.
    pub timestamp: Moment,
}

/// Something went wrong that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemError {
    /// The guild, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guild_id: Option<GuildId>,
    /// The game, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game_id: Option<GameId>,
    /// What kind of trouble.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
    /// What else is known.
    pub context: BTreeMap<String, String>,
    /// When.
    pub timestamp: Moment,
}

/// A word was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessError {
    /// The guild.
    pub guild_id: GuildId,
    /// The game.
    pub game_id: GameId,
    /// The team, if the player is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// Who said it.
    pub player_id: PlayerId,
    /// What was said, at most 100 characters of it.
    pub word: String,
    /// The name of the refusal.
    pub reason: String,
    /// When.
    pub timestamp: Moment,
}

/// A pair of words was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessPairError {
    /// The guild.
    pub guild_id: GuildId,
    /// The game.
    pub game_id: GameId,
    /// The team.
    pub team_id: TeamId,
    /// The word that waited.
    pub word1: String,
    /// The word that was to complete it.
    pub word2: String,
    /// The name of the refusal.
    pub reason: String,
    /// When.
    pub timestamp: Moment,
}

/// The time could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundCheckError {
    /// The guild.
    pub guild_id: GuildId,
    /// The game.
    pub game_id: GameId,
    /// Why.
    pub reason: String,
    /// What else is known.
    pub context: BTreeMap<String, String>,
    /// When.
    pub timestamp: Moment,
}

/// The bot came back and took up its games. Stands in `bot-recovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPerformed {
    /// The games that were not over: those that were taken up, and behind them those that could not be read.
    pub games: Vec<GameId>,
    /// For how many milliseconds it was away.
    pub down_ms: u64,
    /// What else was noticed.
    pub hints: Vec<String>,
    /// When.
    pub timestamp: Moment,
}
