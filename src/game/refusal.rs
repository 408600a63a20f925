//! Why a command is not done.

use super::ids::{GameId, PlayerId};
use super::mode::{ConfigFault, Mode};
use super::word::WordFault;
use std::error::Error as StdError;
use std::fmt;

/// Why a game, a team or a user does not do what a command says. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The stream is not named like one of this kind.
    InvalidStream,
    /// The time of the command is beyond what can be recorded.
    InvalidTime,
    /// The command comes from another guild than the game.
    GuildMismatch,

    /// There is no such game.
    GameNotFound,
    /// The game was created before.
    GameExists,
    /// The game has not started yet.
    GameNotStarted,
    /// The game has started, and that is settled before it does.
    GameStarted,
    /// The game is over.
    GameCompleted,
    /// The game was cancelled.
    GameCancelled,
    /// The game is held up.
    GamePaused,
    /// The game is not held up.
    GameNotPaused,
    /// The mode cannot be started with so many teams.
    InvalidTeamCount {
        /// How many there are.
        teams: usize,
        /// The mode.
        mode: Mode,
    },
    /// There is no place left.
    TooManyTeams,
    /// A player still waits for a partner.
    TeamIncomplete(PlayerId),
    /// The player is in the game already.
    AlreadyJoined(PlayerId),
    /// The player is not in the game.
    PlayerNotInGame(PlayerId),
    /// Others play as well, and only who opened the game may end it for them.
    NotOpener,
    /// What is to be set is for another mode.
    InvalidMode {
        /// How the game is played.
        expected: Mode,
        /// What the configuration is for.
        got: Mode,
    },
    /// What is to be set cannot be played.
    InvalidConfig(ConfigFault),

    /// The player's team is out.
    TeamEliminated,
    /// The team has matched in this round and waits for the next.
    RoundMatched,
    /// The next round has not begun yet.
    RoundNotStarted,
    /// The time of the round is up.
    RoundTimeExpired,
    /// The time of the game is up.
    GameTimeExpired,
    /// It is no word.
    InvalidWord(WordFault),
    /// The player has said a word, and the partner's is missing.
    GuessAlreadySubmitted,
    /// The player has said the word not long ago, or it was dealt in this round.
    ForbiddenWord,
    /// The word completes a pair on which no judge has been heard, or on another one. Judge it and try again.
    VerdictMissing,
    /// Too few pairs of words came with the command. Draw some and try again.
    WordsMissing,

    /// Nobody is a team alone.
    SelfInvitation,
    /// There is no invitation.
    NoPendingInvitation,
    /// The invitation is somebody else's to answer.
    WrongInvitee,
    /// The invitation came to nothing, for nobody answered in time.
    InvitationExpired,
    /// There is an invitation that can still be answered.
    AnotherInvitationPending,
    /// There is no such team.
    TeamNotFound,
    /// The two are a team already.
    TeamExists,
    /// Whoever wants this is not of the team.
    NotTeamMember,
    /// The player is in the team already.
    AlreadyTeamMember,
    /// The name has less than 3 characters.
    NameTooShort,
    /// The name has more than 32 characters.
    NameTooLong,
    /// The name has no letter and no digit, or a character that cannot be shown.
    InvalidNameFormat,
    /// A reason or a preference is longer than anybody reads, or there are more of them.
    TextTooLong,

    /// Nobody knows this user.
    UserNotFound,

    /// The player is in a game already, and in one at a time.
    AlreadyPlaying(PlayerId),
    /// Several games could be meant.
    AmbiguousGame(Vec<GameId>),
    /// Several invitations could be meant: one of each of these players.
    AmbiguousInvitation(Vec<PlayerId>),
    /// What is asked for is done in a guild, and this came from nowhere in one.
    MissingGuild,
    /// Only who looks after the guild may do this.
    Unauthorized,
    /// There is no finished game with this name, or not any more.
    ReplayNotFound,
    /// It is no command.
    UnknownCommand,
    /// There is nothing in the message, or more than anybody reads.
    InvalidMessage,
}

impl Refusal {
    /// The refusal as events and answers name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::InvalidStream => "invalid_stream_id",
            Refusal::InvalidTime => "invalid_time",
            Refusal::GuildMismatch => "guild_mismatch",
            Refusal::GameNotFound => "game_not_found",
            Refusal::GameExists => "game_exists",
            Refusal::GameNotStarted => "game_not_started",
            Refusal::GameStarted => "game_started",
            Refusal::GameCompleted => "game_completed",
            Refusal::GameCancelled => "game_cancelled",
            Refusal::GamePaused => "game_paused",
            Refusal::GameNotPaused => "game_not_paused",
            Refusal::InvalidTeamCount { .. } => "invalid_team_count",
            Refusal::TooManyTeams => "too_many_teams",
            Refusal::TeamIncomplete(_) => "invalid_team_size",
            Refusal::AlreadyJoined(_) => "already_joined",
            Refusal::PlayerNotInGame(_) => "player_not_in_game",
            Refusal::NotOpener => "not_opener",
            Refusal::InvalidMode { .. } => "invalid_mode",
            Refusal::InvalidConfig(fault) => fault.name(),
            Refusal::TeamEliminated => "team_eliminated",
            Refusal::RoundMatched => "round_matched",
            Refusal::RoundNotStarted => "round_not_started",
            Refusal::RoundTimeExpired => "round_time_expired",
            Refusal::GameTimeExpired => "game_time_expired",
            Refusal::InvalidWord(WordFault::TooShort | WordFault::TooLong) => "invalid_word_length",
            Refusal::InvalidWord(_) => "invalid_word",
            Refusal::GuessAlreadySubmitted => "guess_already_submitted",
            Refusal::ForbiddenWord => "forbidden_word",
            Refusal::VerdictMissing => "verdict_missing",
            Refusal::WordsMissing => "words_missing",
            Refusal::SelfInvitation => "self_invitation",
            Refusal::NoPendingInvitation => "no_pending_invitation",
            Refusal::WrongInvitee => "wrong_invitee",
            Refusal::InvitationExpired => "invitation_expired",
            Refusal::AnotherInvitationPending => "another_invitation_pending",
            Refusal::TeamNotFound => "team_not_found",
            Refusal::TeamExists => "team_exists",
            Refusal::NotTeamMember => "not_team_member",
            Refusal::AlreadyTeamMember => "already_team_member",
            Refusal::NameTooShort => "name_too_short",
            Refusal::NameTooLong => "name_too_long",
            Refusal::InvalidNameFormat => "invalid_name_format",
            Refusal::TextTooLong => "text_too_long",
            Refusal::UserNotFound => "user_not_found",
            Refusal::AlreadyPlaying(_) => "already_in_game",
            Refusal::AmbiguousGame(_) => "ambiguous_game",
            Refusal::AmbiguousInvitation(_) => "ambiguous_invitation",
            Refusal::MissingGuild => "missing_guild_id",
            Refusal::Unauthorized => "unauthorized_access",
            Refusal::ReplayNotFound => "replay_not_found",
            Refusal::UnknownCommand => "unknown_command",
            Refusal::InvalidMessage => "invalid_message",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::InvalidTeamCount { teams, mode } => {
                let (least, most) = (mode.teams().start().to_owned(), mode.teams().end().to_owned());
                write!(f, "a {mode} game takes {least} to {most} teams, and there are {teams}")
            }
            Refusal::TeamIncomplete(player) => write!(f, "each team must have exactly 2 players: {player} is alone"),
            Refusal::AlreadyJoined(player) => write!(f, "{player} is in the game already"),
            Refusal::PlayerNotInGame(player) => write!(f, "{player} is not in the game"),
            Refusal::InvalidMode { expected, got } => {
                write!(f, "invalid mode for {expected} mode: expected {expected}, got {got}")
            }
            Refusal::InvalidWord(fault) => fault.fmt(f),
            Refusal::AlreadyPlaying(player) => write!(f, "{player} is in a game already"),
            Refusal::AmbiguousGame(games) => write!(f, "this could be for {} games: say which", games.len()),
            Refusal::AmbiguousInvitation(of) => write!(f, "{} players have asked: say which one is meant", of.len()),
            other => f.write_str(&other.name().replace('_', " ")),
        }
    }
}

impl StdError for Refusal {}

impl From<WordFault> for Refusal {
    fn from(fault: WordFault) -> Refusal {
        Refusal::InvalidWord(fault)
    }
}
