//! Somebody is known.

use crate::game::{GuildId, Moment, PlayerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody came for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// Who.
    pub user_id: PlayerId,
    /// Where first.
    pub guild_id: GuildId,
    /// The name on Discord.
    pub username: String,
    /// The name to be shown, where there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// When.
    pub created_at: Moment,
}

/// Somebody is to be shown by another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserProfileUpdated {
    /// Who.
    pub user_id: PlayerId,
    /// The name.
    pub display_name: String,
    /// When.
    pub updated_at: Moment,
}

/// Somebody wants it otherwise. What is not named stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserPreferencesChanged {
    /// Who.
    pub user_id: PlayerId,
    /// What about being notified.
    pub notification_settings: BTreeMap<String, Setting>,
    /// What about being shown things.
    pub ui_preferences: BTreeMap<String, Setting>,
    /// When.
    pub updated_at: Moment,
}

/// The value of a preference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// On or off.
    Switch(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}
