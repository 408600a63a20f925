//! A game begins, is changed, held up, and ends; players come and go.

use super::{GameBase, TeamScore, of_a_game};
use crate::game::{GameConfig, Mode, Moment, PlayerId, TeamId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

of_a_game! {
    /// A game is open for players. The players of its teams are in it.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameCreated {
        /// Who opened it.
        pub created_by: PlayerId,
        /// When.
        pub created_at: Moment,
        /// The teams that are in it from the beginning.
        pub team_ids: Vec<TeamId>,
    }
}

of_a_game! {
    /// The game is played from here on.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameStarted {
        /// Always 1.
        pub round_number: u32,
        /// The players of each team.
        pub teams: BTreeMap<TeamId, Vec<PlayerId>>,
        /// The teams, in the order in which they came.
        pub team_ids: Vec<TeamId>,
        /// The players, in the order of their teams.
        pub player_ids: Vec<PlayerId>,
        /// What is set.
        pub config: GameConfig,
        /// When.
        pub started_at: Moment,
    }
}

of_a_game! {
    /// The game is over, with or without winners.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameCompleted {
        /// The last round that was begun.
        pub round_number: u32,
        /// Who won: nobody, one team, or several.
        pub winners: Vec<TeamId>,
        /// Where every team stands that had started.
        pub final_scores: BTreeMap<TeamId, TeamScore>,
        /// For how many milliseconds it was played, pauses left out.
        pub game_duration: u64,
        /// How many rounds were played: of a race, those of all teams together.
        pub total_rounds: u32,
        /// When.
        pub finished_at: Moment,
    }
}

of_a_game! {
    /// The game ends without a result.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameCancelled {
        /// Why.
        pub reason: CancelReason,
        /// Who wanted it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub by: Option<PlayerId>,
        /// The players that were in it, and are free now.
        pub player_ids: Vec<PlayerId>,
    }
}

/// Why a game ends without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its players did not want it any more.
    ByPlayers,
    /// Somebody who looks after the guild.
    ByAdmin,
    /// Nothing happened for too long.
    Idle,
    /// Nobody is left before it began.
    TooFew,
}

of_a_game! {
    /// A player is in the game.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct PlayerJoined {
        /// Who.
        pub player_id: PlayerId,
        /// In which team; absent for who waits for a partner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub team_id: Option<TeamId>,
    }
}

of_a_game! {
    /// A player is no more in the game.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct PlayerLeft {
        /// Who.
        pub player_id: PlayerId,
        /// Out of which team.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub team_id: Option<TeamId>,
        /// Why.
        pub reason: LeaveReason,
    }
}

/// Why a player leaves a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// The player wanted to.
    PlayerQuit,
    /// The player cannot be reached.
    Disconnected,
    /// The partner left before the game began, and the team with them.
    PartnerLeft,
}

of_a_game! {
    /// A player is here, or for a while is not.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct PlayerStatusChanged {
        /// Who.
        pub player_id: PlayerId,
        /// What was.
        pub from: PlayerStatus,
        /// What is.
        pub to: PlayerStatus,
    }
}

/// Whether a player is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayerStatus {
    /// Here.
    Active,
    /// Not here, and not gone.
    Away,
}

of_a_game! {
    /// No deadline runs until the game is resumed.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GamePaused {
        /// Why.
        pub reason: PauseReason,
        /// Since when: after a restart of the bot, since the last event of the game.
        pub since: Moment,
        /// Who wanted it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub by: Option<PlayerId>,
    }
}

/// Why a game is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Its players wanted it.
    ByPlayers,
    /// Somebody who looks after the guild.
    ByAdmin,
    /// The bot was not there.
    BotRestart,
}

of_a_game! {
    /// The game goes on, and its deadlines with it.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameResumed {
        /// Who wanted it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub by: Option<PlayerId>,
        /// For how many milliseconds it was held up. By so much all deadlines move.
        pub paused_ms: u64,
    }
}

/// The game will be played in another way, with what is usual there. Only before it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GameModeChanged {
    /// Game, guild, the new mode, and time.
    #[serde(flatten)]
    pub base: GameBase,
    /// How it was going to be played.
    pub from: Mode,
    /// How it will be played.
    pub to: Mode,
    /// Who wanted it.
    pub by: PlayerId,
    /// The players that are in it, who from now on are in a game of the other kind.
    #[serde(default)]
    pub player_ids: Vec<PlayerId>,
}

of_a_game! {
    /// Something else is set. Only before the game starts.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct GameConfigured {
        /// What is set now.
        pub config: GameConfig,
        /// How often something was set, this time with it.
        pub config_version: u32,
        /// Who wanted it.
        pub by: PlayerId,
    }
}
