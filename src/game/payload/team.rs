//! Two players become a team.

use super::TeamBase;
use crate::game::{Moment, PlayerId};
use serde::{Deserialize, Serialize};

/// There is a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamCreated {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// What it is called.
    pub name: String,
    /// Its two players, the lower id first.
    pub player_ids: Vec<PlayerId>,
    /// When.
    pub created_at: Moment,
}

/// The team is called otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamUpdated {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// What it is called now.
    pub name: String,
    /// Who wanted it.
    pub updated_by: PlayerId,
    /// When.
    pub updated_at: Moment,
}

/// A player is in the team again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMemberAdded {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// Who.
    pub player_id: PlayerId,
    /// Who wanted it.
    pub added_by: PlayerId,
    /// When.
    pub added_at: Moment,
}

/// A player is no more in the team. With one player it cannot play.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMemberRemoved {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// Who.
    pub player_id: PlayerId,
    /// Who wanted it.
    pub removed_by: PlayerId,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub removed_at: Moment,
}

/// One player asks another to be a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvitationCreated {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// Its id: `inv-`, the two players and the second.
    pub invitation_id: String,
    /// Who asks.
    pub inviter_id: PlayerId,
    /// Who is asked.
    pub invitee_id: PlayerId,
    /// What the team would be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_name: Option<String>,
    /// When.
    pub created_at: Moment,
    /// From when on it cannot be accepted any more.
    pub expires_at: Moment,
}

/// Who was asked said yes. The team follows in the same batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvitationAccepted {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// Which.
    pub invitation_id: String,
    /// When.
    pub accepted_at: Moment,
}

/// The invitation came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvitationDeclined {
    /// Guild, team and time.
    #[serde(flatten)]
    pub base: TeamBase,
    /// Which.
    pub invitation_id: String,
    /// When.
    pub declined_at: Moment,
    /// Why.
    pub reason: DeclineReason,
}

/// Why an invitation came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// Who was asked said no.
    Declined,
    /// Nobody answered in time.
    Expired,
}
