//! What somebody asks of the bot, and who it is.

use crate::game::{
    Board, ChannelId, Cursor, GameConfig, GameId, GuildId, InteractionId, Mode, Period, PlayerId, PlayerStatus,
    ReplayAccess, ReplayName, Setting, TeamId,
};
use std::collections::BTreeMap;

/// Who asks, where, and in which message or interaction.
///
/// ```
/// use scorebook::game::{Caller, Standing};
/// let caller = Caller::in_guild(1.into(), 7.into(), 9.into(), 10.into()).named("ada").standing(Standing::Admin);
/// assert_eq!(caller.guild, Some(9.into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The message or interaction. Delivered twice, it has one effect, and gets the first answer again. What was refused and is
    /// not kept, and what changed nothing, is judged anew.
    pub interaction: InteractionId,
    /// Who.
    pub player: PlayerId,
    /// What they are called on Discord. Default: `player` and the id.
    pub name: String,
    /// In which guild; none in a direct message.
    pub guild: Option<GuildId>,
    /// In which channel.
    pub channel: ChannelId,
    /// What they may do. Default: what everybody may.
    pub standing: Standing,
}

/// What somebody may do in a guild. Whether they do is for the handler to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What everybody may.
    Member,
    /// They look after the guild: there, they may cancel games that they are not in, hold them up and let them go on. In a
    /// direct message, which belongs to no guild, they are like everybody.
    Admin,
}

impl Caller {
    /// Somebody in a channel of a guild.
    #[must_use]
    pub fn in_guild(interaction: InteractionId, player: PlayerId, guild: GuildId, channel: ChannelId) -> Caller {
        Caller { guild: Some(guild), ..Caller::direct(interaction, player, channel) }
    }

    /// Somebody in a direct message.
    #[must_use]
    pub fn direct(interaction: InteractionId, player: PlayerId, channel: ChannelId) -> Caller {
        let name = format!("player {player}");
        Caller { interaction, player, name, guild: None, channel, standing: Standing::Member }
    }

    /// The same, by name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Caller {
        self.name = name.into();
        self
    }

    /// The same, with another standing.
    #[must_use]
    pub fn standing(mut self, standing: Standing) -> Caller {
        self.standing = standing;
        self
    }
}

/// What somebody asks of the bot.
///
/// Where a game is left open, it is the player's: the one that is not longform, else the only longform one; in a guild only
/// games of that guild count. Where there are several, the answer is
/// [`AmbiguousGame`](crate::game::Refusal::AmbiguousGame).
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// To open a game in which nobody is yet.
    Open {
        /// What is set, and with it the mode.
        config: GameConfig,
    },
    /// To open a game with the player's team in it.
    OpenWithTeam {
        /// What is set, and with it the mode.
        config: GameConfig,
    },
    /// To let the player in, alone: teamed with whoever waits, or waiting.
    Join {
        /// The game.
        game: GameId,
    },
    /// To let the player's team in.
    JoinWithTeam {
        /// The game.
        game: GameId,
    },
    /// To let the player go.
    Leave {
        /// Out of which game.
        game: Option<GameId>,
    },
    /// To note whether the player is here.
    ChangeStatus {
        /// In which game.
        game: Option<GameId>,
        /// What is.
        status: PlayerStatus,
    },
    /// To set something else before the game starts.
    Configure {
        /// Which game.
        game: Option<GameId>,
        /// What is set.
        config: GameConfig,
    },
    /// To play in another way.
    ChangeMode {
        /// Which game.
        game: Option<GameId>,
        /// How.
        mode: Mode,
    },
    /// To begin.
    Start {
        /// Which game.
        game: Option<GameId>,
    },
    /// To take a word, or `give up`.
    Guess {
        /// In which game.
        game: Option<GameId>,
        /// What was said.
        word: String,
    },
    /// To hold a game up.
    Pause {
        /// Which game.
        game: Option<GameId>,
    },
    /// To go on.
    Resume {
        /// Which game.
        game: Option<GameId>,
    },
    /// To end a game without a result.
    Cancel {
        /// Which game.
        game: Option<GameId>,
    },

    /// To ask somebody to be a team.
    Invite {
        /// Whom.
        invitee: PlayerId,
        /// What the team would be called.
        name: Option<String>,
    },
    /// To say yes to an invitation. The teams that the two were in before lose them.
    Accept {
        /// Whose; may be left open where there is one.
        inviter: Option<PlayerId>,
    },
    /// To say no to an invitation.
    Decline {
        /// Whose; may be left open where there is one.
        inviter: Option<PlayerId>,
    },
    /// To call the player's team otherwise.
    Rename {
        /// How.
        name: String,
    },
    /// To leave the player's team.
    LeaveTeam {
        /// Why, in their words.
        reason: Option<String>,
    },
    /// To take the partner in again who has left.
    TakeBack {
        /// Whom.
        partner: PlayerId,
    },

    /// To be shown by another name.
    UpdateProfile {
        /// The name.
        display_name: String,
    },
    /// To have it otherwise. What is not named stays.
    ChangePreferences {
        /// What about being notified.
        notifications: BTreeMap<String, Setting>,
        /// What about being shown things.
        ui: BTreeMap<String, Setting>,
    },

    /// To have a finished game, which is noted.
    Replay {
        /// The name of its replay.
        name: ReplayName,
        /// What for.
        access: ReplayAccess,
    },

    /// To be told what a player has come to: in the guild, or asked in a direct message, in all guilds. Like all that follows,
    /// this is looked up in the [`Boards`](crate::game::Boards), with everything in it that has happened by then, and told by
    /// [`Answer::report`](crate::game::Answer::report).
    PlayerStats {
        /// Whom it is about; the one who asks, where it is left open.
        player: Option<PlayerId>,
    },
    /// To be told what a team of the guild has come to.
    TeamStats {
        /// Which team; that of the one who asks, where it is left open.
        team: Option<TeamId>,
    },
    /// To be told who is ahead in the guild, as of now.
    Leaderboard {
        /// Among whom.
        board: Board,
        /// In what time.
        period: Period,
        /// How many at most.
        limit: usize,
    },
    /// To be told which games of the guild are over, the newest first.
    History {
        /// Where the page begins: behind the one before it.
        before: Option<Cursor>,
        /// How many at most.
        limit: usize,
    },
    /// To be told of a game of the guild in a few lines.
    Summary {
        /// Which game.
        game: GameId,
    },
    /// To be told which games of the guild are not over.
    ActiveGames,
}

impl Ask {
    /// The name of the command.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Ask::Open { .. } => "open",
            Ask::OpenWithTeam { .. } => "open_with_team",
            Ask::Join { .. } => "join",
            Ask::JoinWithTeam { .. } => "join_with_team",
            Ask::Leave { .. } => "leave",
            Ask::ChangeStatus { .. } => "change_status",
            Ask::Configure { .. } => "configure",
            Ask::ChangeMode { .. } => "change_mode",
            Ask::Start { .. } => "start",
            Ask::Guess { .. } => "guess",
            Ask::Pause { .. } => "pause",
            Ask::Resume { .. } => "resume",
            Ask::Cancel { .. } => "cancel",
            Ask::Invite { .. } => "invite",
            Ask::Accept { .. } => "accept",
            Ask::Decline { .. } => "decline",
            Ask::Rename { .. } => "rename",
            Ask::LeaveTeam { .. } => "leave_team",
            Ask::TakeBack { .. } => "take_back",
            Ask::UpdateProfile { .. } => "update_profile",
            Ask::ChangePreferences { .. } => "change_preferences",
            Ask::Replay { .. } => "replay",
            Ask::PlayerStats { .. } => "player_stats",
            Ask::TeamStats { .. } => "team_stats",
            Ask::Leaderboard { .. } => "leaderboard",
            Ask::History { .. } => "history",
            Ask::Summary { .. } => "summary",
            Ask::ActiveGames => "active_games",
        }
    }
    /// Whether it is looked up, and nothing happens but that the player is known from then on.
    pub(super) fn is_look(&self) -> bool {
        use Ask::{ActiveGames, History, Leaderboard, PlayerStats, Summary, TeamStats};
        let is_about_somebody = matches!(self, PlayerStats { .. } | TeamStats { .. } | Leaderboard { .. });
        is_about_somebody || matches!(self, History { .. } | Summary { .. } | ActiveGames)
    }
}
