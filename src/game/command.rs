//! What a game can be asked to do.

use super::ids::{ChannelId, GuildId, PlayerId, TeamId};
use super::judge::Verdict;
use super::mode::{GameConfig, Mode};
use super::moment::Moment;
use super::payload::{LeaveReason, PauseReason, PlayerStatus};
use super::word::WordPair;
use super::words::WordCheck;

/// What a game is asked to do, with everything that it takes to decide: the time, and words to deal.
///
/// A game asks nobody. Where a command turns out to lack words, it is refused with
/// [`WordsMissing`](super::Refusal::WordsMissing), and can be given again with more.
#[derive(Clone, Debug, PartialEq)]
pub struct GameCommand {
    pub(super) at: Moment,
    pub(super) guild: Option<GuildId>,
    pub(super) deal: Vec<WordPair>,
    pub(super) action: GameAction,
}

impl GameCommand {
    /// An action at some time. A time before the game's last event counts as the time of that event.
    #[must_use]
    pub fn new(at: Moment, action: GameAction) -> GameCommand {
        GameCommand { at, guild: None, deal: Vec::new(), action }
    }

    /// The guild from which the command comes: another than the game's is refused. Default: none, as in a direct message.
    #[must_use]
    pub fn from_guild(mut self, guild: GuildId) -> GameCommand {
        self.guild = Some(guild);
        self
    }

    /// Words that may be dealt, as many pairs as the game [could need](super::Game::pairs_needed). Those that are not used
    /// are forgotten. Default: none.
    #[must_use]
    pub fn dealing(mut self, pairs: impl IntoIterator<Item = WordPair>) -> GameCommand {
        self.deal.extend(pairs);
        self
    }

    /// The words that may be dealt.
    #[must_use]
    pub fn deal(&self) -> &[WordPair] {
        &self.deal
    }

    /// What is asked.
    #[must_use]
    pub fn action(&self) -> &GameAction {
        &self.action
    }
}

/// What a game is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum GameAction {
    /// To exist, open for players.
    Create {
        /// The guild it belongs to.
        guild: GuildId,
        /// Who opens it. To be in it they join, or are of one of the teams.
        by: PlayerId,
        /// What is set, and with it the mode.
        config: GameConfig,
        /// The teams that are in it from the beginning.
        teams: Vec<TeamId>,
    },
    /// To set something else of its mode.
    Configure {
        /// Who wants it.
        by: PlayerId,
        /// What is set.
        config: GameConfig,
    },
    /// To be played in another way, with what is usual there.
    ChangeMode {
        /// Who wants it.
        by: PlayerId,
        /// How.
        mode: Mode,
    },
    /// To let a player in, alone or with the whole team.
    Join {
        /// Who comes. Who comes alone is teamed with the one who waits, or waits.
        player: PlayerId,
        /// The team that comes, if it is one.
        team: Option<TeamId>,
    },
    /// To let a player go. Once it has started, the team is out. If the end of the round is due it comes first, which may
    /// take a pair of words for each team.
    Leave {
        /// Who goes.
        player: PlayerId,
        /// Why.
        reason: LeaveReason,
    },
    /// To note whether a player is here.
    ChangeStatus {
        /// Who.
        player: PlayerId,
        /// What is.
        status: PlayerStatus,
    },
    /// To begin. Takes a pair of words for each team.
    Start {
        /// Who wants it.
        by: PlayerId,
    },
    /// To take a word from a player, or that the player gives up.
    Guess {
        /// Who says it.
        player: PlayerId,
        /// Where.
        channel: ChannelId,
        /// What was said; `give up` is no word.
        word: String,
        /// What the dictionary and the player's last words say of it.
        check: WordCheck,
        /// What the judge says of it and the partner's word, where that waits.
        verdict: Option<Verdict>,
    },
    /// To do what is due by now. May take a pair of words for each team.
    PassTime,
    /// To be held up. If the end of the round is due it comes first, as with [`Leave`](GameAction::Leave).
    Pause {
        /// Why.
        reason: PauseReason,
        /// Who wants it, if somebody does.
        by: Option<PlayerId>,
    },
    /// To go on.
    Resume {
        /// Who wants it, if somebody does.
        by: Option<PlayerId>,
    },
    /// To go on after the bot was away: a pause since the last event, and its end. Nothing follows in a game that no clock
    /// runs against, or that was held up already.
    Recover,
    /// To end without a result. If its end is due already, it has one.
    Cancel {
        /// Who wants it.
        by: PlayerId,
        /// Whether as a player in it, or as somebody who looks after the guild.
        right: CancelRight,
    },
}

/// By what right somebody cancels a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRight {
    /// As the one who opened it, or as a player whom nobody plays with but the partner.
    Player,
    /// As somebody who looks after the guild; whether they do is for the caller to know.
    Admin,
}

impl GameAction {
    /// The name of the command.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            GameAction::Create { .. } => "create",
            GameAction::Configure { .. } => "configure",
            GameAction::ChangeMode { .. } => "change_mode",
            GameAction::Join { .. } => "join",
            GameAction::Leave { .. } => "leave",
            GameAction::ChangeStatus { .. } => "change_status",
            GameAction::Start { .. } => "start",
            GameAction::Guess { .. } => "guess",
            GameAction::PassTime => "pass_time",
            GameAction::Pause { .. } => "pause",
            GameAction::Resume { .. } => "resume",
            GameAction::Recover => "recover",
            GameAction::Cancel { .. } => "cancel",
        }
    }
}
