//! What goes between Discord and the bot, a line of JSON each.

use scorebook::game::{
    CancelReason, ChannelId, EliminationReason, GameConfig, GameId, GuildId, InteractionId, Message, Moment, News,
    PlayerId, ReplayName, ShownWords, Situation, Subject, TeamId, Word, WordPair,
};
use serde::{Deserialize, Serialize};

/// A line to the bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToBot {
    /// The first line: what time it is, and what chance begins with.
    Hello { at: Moment, seed: u64 },
    /// Somebody wants something.
    Interaction(Interaction),
    /// So late it is. What is due is to be done, and that it is done to be told.
    Tick { at: Moment },
}

/// Somebody wants something: a command or a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Interaction {
    pub(super) id: InteractionId,
    pub(super) at: Moment,
    pub(super) player: PlayerId,
    pub(super) name: String,
    /// None in a direct message.
    pub(super) guild: Option<GuildId>,
    pub(super) channel: ChannelId,
    pub(super) wants: Wants,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wants {
    /// What a typed command says.
    Typed(String),
    /// The same, from somebody who looks after the guild.
    AdminTyped(String),
    /// What a direct message says.
    Direct(String),
    /// To open a game, by a command with options.
    Open { config: GameConfig, with_team: bool },
    /// To say a word below the message of a game.
    Say { game: GameId, word: String },
    /// To press a button below the message of a game.
    Press { game: GameId, button: Button },
}

/// What there is to press.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Button {
    Start,
    Pause,
    Resume,
    Cancel,
}

/// A line from the bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromBot {
    /// It has taken up these games and listens.
    Ready { games: Vec<GameId>, head: u64 },
    /// What came of something that was wanted.
    Reply { id: InteractionId, is_repeat: bool, outcome: Outcome },
    /// What time was told, and what was due by then, is done; nothing that time brings and that stands up to `head` is untold.
    Passed { head: u64, told: Vec<Told> },
    /// Where games stand, after the bot was away.
    Standing(Vec<Told>),
    /// What keeps it from going on.
    Trouble(String),
}

/// What came of something that was wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is done: so many events say so.
    Done { events: u64, game: Option<GameId>, told: Vec<Told>, record: Option<Record> },
    /// It is not, by the rules.
    Refused(String),
}

/// What somebody has come to who has looked it up: games that are completed, and those that were won.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) games: u64,
    pub(super) wins: u64,
}

/// What somebody is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) to: PlayerId,
    pub(super) game: Option<GameId>,
    pub(super) version: u64,
    pub(super) news: Vec<Heard>,
    pub(super) stands: Option<Stands>,
}

/// Something that is new to somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Heard {
    PartnerSpoke,
    Missed(WordPair),
    Matched(WordPair),
    GaveUp(PlayerId),
    Eliminated(TeamId, EliminationReason),
    Completed(Vec<TeamId>),
    Cancelled(CancelReason),
    Named(ReplayName),
    /// What is not compared, as it is shown.
    Else(String),
}

/// Where a game stands for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stands {
    Open,
    Say { own: Word, partner: Option<Word>, round: u32, count: u32 },
    WaitForPartner { said: Word },
    WaitForRound,
    HeldUp,
    Out,
    Over,
}

impl From<&Message> for Told {
    fn from(message: &Message) -> Told {
        let game = if let Subject::Game(game) = message.about() { Some(game) } else { None };
        let news = message.news().iter().map(Heard::from).collect();
        let stands = message.situation().map(Stands::from);
        Told { to: message.to(), game, version: message.version().get(), news, stands }
    }
}

impl From<&News> for Heard {
    fn from(news: &News) -> Heard {
        match news {
            News::PartnerSpoke => Heard::PartnerSpoke,
            News::Missed { words } => Heard::Missed(words.clone()),
            News::Matched { words, .. } => Heard::Matched(words.clone()),
            News::GaveUp { by } => Heard::GaveUp(*by),
            News::Eliminated { team, reason } => Heard::Eliminated(*team, *reason),
            News::Completed { winners } => Heard::Completed(winners.clone()),
            News::Cancelled { reason } => Heard::Cancelled(*reason),
            News::ReplayNamed { name } => Heard::Named(name.clone()),
            other => Heard::Else(other.to_string()),
        }
    }
}

impl From<&Situation> for Stands {
    fn from(situation: &Situation) -> Stands {
        match situation {
            Situation::Open { .. } => Stands::Open,
            Situation::Say { words, round_number, guess_count, .. } => {
                let (own, partner) = match words {
                    ShownWords::Own(own) => (own.clone(), None),
                    ShownWords::Both { own, partner } => (own.clone(), Some(partner.clone())),
                };
                Stands::Say { own, partner, round: *round_number, count: *guess_count }
            }
            Situation::WaitForPartner { said, .. } => Stands::WaitForPartner { said: said.clone() },
            Situation::WaitForRound { .. } => Stands::WaitForRound,
            Situation::HeldUp => Stands::HeldUp,
            Situation::Out => Stands::Out,
            Situation::Over => Stands::Over,
        }
    }
}
