//! What a player should now be shown: what is new, and where things stand for them.

use crate::game::{
    CancelReason, EliminationReason, GameId, LeaveReason, Mode, Moment, PauseReason, PlayerId, PlayerStatus,
    ReplayName, TeamId, Word, WordPair,
};
use scorebook::Version;
use std::fmt;

/// What a player should now be shown. [`Display`](fmt::Display) puts it into words, with players as Discord mentions them.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub(super) to: PlayerId,
    pub(super) about: Subject,
    pub(super) version: Version,
    pub(super) news: Vec<News>,
    pub(super) situation: Option<Situation>,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A game.
    Game(GameId),
    /// A team.
    Team(TeamId),
}

/// Something that is new to a player.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A game was opened with the player in it.
    Opened {
        /// How it is played.
        mode: Mode,
        /// By whom.
        by: PlayerId,
    },
    /// It will be played in another way, or something else is set.
    Changed {
        /// How it is played.
        mode: Mode,
        /// Who wanted it.
        by: PlayerId,
    },
    /// Somebody has joined.
    Joined {
        /// Who.
        player: PlayerId,
        /// In which team; none for who waits for a partner.
        team: Option<TeamId>,
    },
    /// Somebody has left.
    Left {
        /// Who.
        player: PlayerId,
        /// Why.
        reason: LeaveReason,
    },
    /// Somebody is here again, or for a while is not.
    Status {
        /// Who.
        player: PlayerId,
        /// What is.
        status: PlayerStatus,
    },
    /// The game has begun.
    Started,
    /// A round has begun for the player's team.
    RoundStarted {
        /// Its number.
        round_number: u32,
    },
    /// The partner has said a word, and which is a secret until the player has said one.
    PartnerSpoke,
    /// Two words did not match.
    Missed {
        /// The words of the team's players, in the order of the team.
        words: WordPair,
    },
    /// Two words did.
    Matched {
        /// The words of the team's players, in the order of the team.
        words: WordPair,
        /// Which attempt it was.
        guess_count: u32,
    },
    /// The pair was given up.
    GaveUp {
        /// By whom.
        by: PlayerId,
    },
    /// A word came to nothing, for the time was up.
    TimedOut,
    /// The round of all is over.
    RoundOver {
        /// Its number.
        round_number: u32,
        /// Who was best.
        winner: Option<TeamId>,
    },
    /// A team is out.
    Eliminated {
        /// Which.
        team: TeamId,
        /// Why.
        reason: EliminationReason,
    },
    /// The time of a race is up.
    TimeUp,
    /// A day is over.
    DayOver {
        /// Its number.
        day: u32,
    },
    /// The game is held up.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// It goes on.
    Resumed {
        /// For how many milliseconds it was held up.
        paused_ms: u64,
    },
    /// The game is over.
    Completed {
        /// Who won.
        winners: Vec<TeamId>,
    },
    /// The game ended without a result.
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
    /// The game can be looked at again by this name.
    ReplayNamed {
        /// The name.
        name: ReplayName,
    },

    /// Somebody asks somebody to be a team.
    Invited {
        /// Who asks.
        inviter: PlayerId,
        /// Who is asked.
        invitee: PlayerId,
        /// What the team would be called.
        name: Option<String>,
        /// Until when it can be answered.
        expires_at: Moment,
    },
    /// Nothing came of the invitation.
    InvitationDeclined,
    /// Nobody answered the invitation in time.
    InvitationExpired,
    /// The two are a team.
    TeamFormed {
        /// What it is called.
        name: String,
    },
    /// The team is called otherwise.
    TeamRenamed {
        /// How.
        name: String,
    },
    /// Somebody is in the team again.
    MemberAdded {
        /// Who.
        player: PlayerId,
    },
    /// Somebody is no more in the team.
    MemberRemoved {
        /// Who.
        player: PlayerId,
        /// Why, in their words.
        reason: Option<String>,
    },
}

/// Where a game stands for a player.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It has not started: these are in it.
    Open {
        /// The players.
        players: Vec<PlayerId>,
    },
    /// The player is to say a word.
    Say {
        /// What of the words they see.
        words: ShownWords,
        /// In which round.
        round_number: u32,
        /// In which attempt, from 1.
        guess_count: u32,
        /// Until when, where there is a limit.
        until: Option<Moment>,
    },
    /// The player has said a word, and the partner's is missing.
    WaitForPartner {
        /// What they said.
        said: Word,
        /// Until when, where there is a limit.
        until: Option<Moment>,
    },
    /// The player's team has matched, or the round is over: the next comes by itself.
    WaitForRound {
        /// When, where that is known.
        at: Option<Moment>,
    },
    /// The game is held up.
    HeldUp,
    /// The player's team is out.
    Out,
    /// The game is over.
    Over,
}

/// What a player sees of the two words of the team: of a dealt pair each player has one, of a guessed pair both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShownWords {
    /// The word dealt to this player.
    Own(Word),
    /// What the two have said last.
    Both {
        /// The player's own word.
        own: Word,
        /// The partner's.
        partner: Word,
    },
}

impl Message {
    /// To whom.
    #[must_use]
    pub fn to(&self) -> PlayerId {
        self.to
    }

    /// What it is about.
    #[must_use]
    pub fn about(&self) -> Subject {
        self.about
    }

    /// How far the game's stream, or the team's, was then. Answers reach tasks in any order: of two messages to a player about
    /// one subject, the one with the higher version is the newer, and says where things stand.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// What is new, in the order in which it happened.
    #[must_use]
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// Where the game stands for the player; `None` of what is about no game.
    #[must_use]
    pub fn situation(&self) -> Option<&Situation> {
        self.situation.as_ref()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        let mut line = |f: &mut fmt::Formatter<'_>, text: &dyn fmt::Display| {
            let gap = if std::mem::take(&mut is_first) { "" } else { "\n" };
            write!(f, "{gap}{text}")
        };
        for news in &self.news {
            line(f, news)?;
        }
        self.situation.iter().try_for_each(|situation| line(f, situation))
    }
}

/// A player, as Discord mentions them.
pub(super) struct At(pub(super) PlayerId);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<@{}>", self.0)
    }
}

/// The players of a team.
pub(super) fn both(team: TeamId) -> String {
    let [first, second] = team.players();
    format!("{} and {}", At(first), At(second))
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            News::Opened { mode, by } => write!(f, "{} has opened a {} game with you.", At(*by), words(mode.name())),
            News::Changed { mode, by } => write!(f, "{} has changed it: {}.", At(*by), words(mode.name())),
            News::Joined { player, team: None } => write!(f, "{} has joined and waits for a partner.", At(*player)),
            News::Joined { player, team: Some(team) } => {
                write!(f, "{} has joined, with {}.", At(*player), At(team.partner(*player)))
            }
            News::Left { player, reason } => match reason {
                LeaveReason::PlayerQuit => write!(f, "{} has left.", At(*player)),
                LeaveReason::Disconnected => write!(f, "{} cannot be reached any more.", At(*player)),
                LeaveReason::PartnerLeft => write!(f, "{} is out: the partner has left.", At(*player)),
            },
            News::Status { player, status: PlayerStatus::Active } => write!(f, "{} is back.", At(*player)),
            News::Status { player, status: PlayerStatus::Away } => write!(f, "{} is away.", At(*player)),
            News::Started => f.write_str("The game has started."),
            News::RoundStarted { round_number } => write!(f, "Round {round_number}."),
            News::PartnerSpoke => f.write_str("Your partner has said a word."),
            News::Missed { words: WordPair(first, second) } => write!(f, "{first} and {second}: no match."),
            News::Matched { words: WordPair(first, second), guess_count } => {
                write!(f, "{first} and {second}: a match, at attempt {guess_count}!")
            }
            News::GaveUp { by } => write!(f, "{} has given up on these words.", At(*by)),
            News::TimedOut => f.write_str("The time is up: the word that was said came to nothing."),
            News::RoundOver { round_number, winner: None } => write!(f, "Round {round_number} is over."),
            News::RoundOver { round_number, winner: Some(team) } => {
                write!(f, "Round {round_number} is over: {} were best.", both(*team))
            }
            News::Eliminated { team, reason } => {
                let why = match reason {
                    EliminationReason::GuessLimit => "no attempts left",
                    EliminationReason::TimeExpired => "no match in time",
                    EliminationReason::ForcedElimination => "the most attempts",
                    EliminationReason::Forfeit => "forfeit",
                };
                write!(f, "{} are out: {why}.", both(*team))
            }
            News::TimeUp => f.write_str("The time is up."),
            News::DayOver { day } => write!(f, "Day {day} is over."),
            News::Paused { reason: PauseReason::BotRestart } => f.write_str("The bot was away for a while."),
            News::Paused { .. } => f.write_str("The game is held up."),
            News::Resumed { paused_ms } => write!(f, "The game goes on, {} s later.", paused_ms / 1_000),
            News::Completed { winners } if winners.is_empty() => f.write_str("The game is over. Nobody has won."),
            News::Completed { winners } => {
                let winners = winners.iter().map(|team| both(*team)).collect::<Vec<_>>();
                write!(f, "The game is over. {} have won.", winners.join(", and "))
            }
            News::Cancelled { reason } => {
                let why = match reason {
                    CancelReason::ByPlayers => "by its players",
                    CancelReason::ByAdmin => "by an admin",
                    CancelReason::Idle => "nothing has happened for too long",
                    CancelReason::TooFew => "nobody is left",
                };
                write!(f, "The game is cancelled: {why}.")
            }
            News::ReplayNamed { name } => write!(f, "It can be looked at again as {name}."),
            News::Invited { inviter, invitee, name, .. } => {
                write!(f, "{} asks {} to be a team", At(*inviter), At(*invitee))?;
                match name {
                    Some(name) => write!(f, " called {name}."),
                    None => f.write_str("."),
                }
            }
            News::InvitationDeclined => f.write_str("Nothing comes of the team: it was declined."),
            News::InvitationExpired => f.write_str("Nothing comes of the team: nobody answered in time."),
            News::TeamFormed { name } => write!(f, "You are a team: {name}."),
            News::TeamRenamed { name } => write!(f, "Your team is now called {name}."),
            News::MemberAdded { player } => write!(f, "{} is in your team again.", At(*player)),
            News::MemberRemoved { player, reason: None } => write!(f, "{} is no more in your team.", At(*player)),
            News::MemberRemoved { player, reason: Some(reason) } => {
                write!(f, "{} is no more in your team: {reason}.", At(*player))
            }
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Situation::Open { players } if players.is_empty() => f.write_str("Nobody is in it yet."),
            Situation::Open { players } => {
                let players = players.iter().map(|player| At(*player).to_string()).collect::<Vec<_>>();
                write!(f, "In it: {}.", players.join(", "))
            }
            Situation::Say { words: ShownWords::Own(word), .. } => {
                write!(f, "Your word is {word}. What might your partner say?")
            }
            Situation::Say { words: ShownWords::Both { own, partner }, .. } => {
                write!(f, "You said {own}, and your partner {partner}. What goes with both?")
            }
            Situation::WaitForPartner { said, .. } => write!(f, "You said {said}. Now it is up to your partner."),
            Situation::WaitForRound { .. } => f.write_str("The next round begins by itself."),
            Situation::HeldUp => f.write_str("Nothing happens until somebody resumes it."),
            Situation::Out => f.write_str("Your team is out."),
            Situation::Over => f.write_str("Thank you for playing."),
        }
    }
}

/// A name of several words, as it is spoken.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}
