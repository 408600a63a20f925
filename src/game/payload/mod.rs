//! What the events hold, by subject.

mod guess;
mod lifecycle;
mod replay;
mod round;
mod team;
mod trouble;
mod user;

pub use guess::{AbandonReason, GuessAbandoned, GuessProcessed, GuessStarted, LastGuess, WordsDealt};
pub use lifecycle::{
    CancelReason, GameCancelled, GameCompleted, GameConfigured, GameCreated, GameModeChanged, GamePaused, GameResumed,
    GameStarted, LeaveReason, PauseReason, PlayerJoined, PlayerLeft, PlayerStatus, PlayerStatusChanged,
};
pub use replay::{ReplayAccess, ReplayAccessed, ReplayCreated};
pub use round::{
    EliminatedTeam, EliminationReason, GolfRaceTimeExpired, KnockoutRoundCompleted, KnockoutRoundStarted,
    LongformDayEnded, RaceModeTimeExpired, RoundCompleted, RoundStarted, TeamEliminated, TeamRoundState,
};
pub use team::{
    DeclineReason, TeamCreated, TeamInvitationAccepted, TeamInvitationCreated, TeamInvitationDeclined, TeamMemberAdded,
    TeamMemberRemoved, TeamUpdated,
};
pub use trouble::{CommandError, GuessError, GuessPairError, RecoveryPerformed, RoundCheckError, SystemError};
pub use user::{Setting, UserPreferencesChanged, UserProfileUpdated, UserRegistered};

use super::ids::{GameId, GuildId, PlayerId, TeamId};
use super::mode::Mode;
use super::moment::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events of a game: each holds [`GameBase`] beside its own fields, and is written and read as one object.
///
/// What serde flattens it keeps aside until all keys were read, which takes longer than all else about an event. So the fields of the
/// base are read where they stand, together with the others.
macro_rules! of_a_game {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        pub struct $name {
            /// Game, guild, mode and time.
            #[serde(flatten)]
            pub base: crate::game::payload::GameBase,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                #[derive(serde::Deserialize)]
                struct Flat {
                    game_id: crate::game::GameId,
                    guild_id: crate::game::GuildId,
                    mode: crate::game::Mode,
                    timestamp: crate::game::Moment,
                    $($(#[$field_meta])* $field: $type,)*
                }

                let Flat { game_id, guild_id, mode, timestamp, $($field,)* } = Flat::deserialize(deserializer)?;
                let base = crate::game::payload::GameBase { game_id, guild_id, mode, timestamp };
                Ok($name { base, $($field,)* })
            }
        }
    )*};
}
use of_a_game;

/// What every event of a game holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameBase {
    /// The game.
    pub game_id: GameId,
    /// The guild it belongs to, whatever channel the event came through.
    pub guild_id: GuildId,
    /// How it is played.
    pub mode: Mode,
    /// When it happened.
    pub timestamp: Moment,
}

/// What every event of a team holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamBase {
    /// The guild.
    pub guild_id: GuildId,
    /// The team.
    pub team_id: TeamId,
    /// When it happened.
    pub timestamp: Moment,
}

/// What a player did in a game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlayerStats {
    /// The words of this player that were compared.
    pub total_guesses: u32,
    /// Those that matched.
    pub successful_matches: u32,
    /// The attempts that this player abandoned.
    pub abandoned_guesses: u32,
    /// The guess count at a match, on average; 0 without a match.
    pub average_guess_count: f64,
}

/// Where a team stands, in the whole game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamScore {
    /// The points.
    pub score: i64,
    /// The matches.
    pub matches: u32,
    /// The attempts that count: pairs that were compared, and pairs that were given up.
    pub total_guesses: u32,
    /// Attempts for each match; 0 without a match.
    pub average_guesses: f64,
    /// What each of the players did.
    pub player_stats: BTreeMap<PlayerId, PlayerStats>,
}
