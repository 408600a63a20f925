//! A word game: teams of two try to say the same word, on as many servers and in as many games as there are.
//!
//! This is a user of the store like any other: it uses public names only.
//!
//! ```text
//! event      everything that happens, as one enum; payload: what the events hold; rules: what holds of each
//! game       the state of a game; side: a team in it; clock, deadline: its time; history: what can follow on what
//! command    what it can be asked; deciding, guessing, turn: what follows; refusal: why it does not
//! two_player, knockout, race, longform: what only games of a mode do
//! team, user the other two aggregates
//! judge      whether two words match; words: which there are
//! bot        all of it behind one door: who asks, finds a game, and is told what came of it
//! stats      a finished game in numbers; replay: the name it is found by
//! boards     who stands where: leaderboards, records, the games of a guild
//! ```
//!
//! Nothing here reads a clock, draws lots or looks a word up. A [`GameCommand`] brings the time, the words that may be dealt,
//! and what [`Judge`] and [`Words`] say; what is decided is in the events, with everything it rests on. So a replay is exact,
//! whatever has become of the dictionary.
//!
//! ```
//! use scorebook::game::*;
//! use scorebook::EventStore;
//!
//! let store = EventStore::open_in_memory()?;
//! let (alice, bob, guild, channel) = (7.into(), 8.into(), 9.into(), 10.into());
//! let now = Moment::from_millis(1_700_000_000_000);
//! let id = GameId::new(now, [1; 10]);
//! let game = store.aggregate::<Game>(&id.stream());
//! let execute = |action, pair: &WordPair| {
//!     let command = GameCommand::new(now, action).from_guild(guild).dealing([pair.clone()]);
//!     game.execute(command).wait().expect("it is allowed").into_state().expect("it was read")
//! };
//!
//! let word = |text: &str| Word::new(text).expect("a word");
//! let pair = WordPair(word("ocean"), word("desert"));
//! let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 4 };
//! let teams = TeamId::of(alice, bob).into_iter().collect();
//! execute(GameAction::Create { guild, by: alice, config, teams }, &pair);
//! execute(GameAction::Start { by: alice }, &pair);
//!
//! let judge = EnglishJudge::new();
//! let guess = |player, text: &str| {
//!     let state = game.load().expect("a game").into_state();
//!     let side = state.team_of(player).and_then(|team| state.side(team)).expect("a team");
//!     let verdict = side.pending().map(|first| Verdict::of(&judge, &first.word, &word(text)));
//!     let (word, check) = (text.to_owned(), WordCheck::Valid);
//!     execute(GameAction::Guess { player, channel, word, check, verdict }, &pair)
//! };
//! guess(alice, "beach");
//! let game = guess(bob, "Beaches");
//! assert_eq!(game.phase(), Phase::Completed);
//! assert_eq!(game.winners(), game.teams());
//! # Ok::<(), scorebook::Error>(())
//! ```

mod boards;
mod bot;
mod clock;
mod command;
mod deadline;
mod deciding;
mod event;
#[expect(clippy::module_inception, reason = "the game's state is about the game")]
mod game;
mod guessing;
mod history;
mod ids;
mod judge;
mod knockout;
mod longform;
mod mode;
mod moment;
mod payload;
mod race;
mod refusal;
mod replay;
mod rules;
mod side;
mod stats;
mod team;
mod turn;
mod two_player;
mod user;
mod word;
mod words;

pub use game::{Elimination, Game, Phase};

pub use command::{CancelRight, GameAction, GameCommand};
pub use deadline::Deadline;
pub use refusal::Refusal;
pub use side::{Pending, RoundResult, Side};
pub use stats::{GameStats, ModeStats};

pub use ids::{ChannelId, GameId, GuildId, InteractionId, PlayerId, TeamId};
pub use mode::{ConfigFault, GameConfig, Mode};
pub use moment::Moment;
pub use word::{GIVE_UP, Word, WordFault, WordPair};

pub use judge::{EnglishJudge, Judge, Outcome, Verdict};
pub use words::{EnglishWords, FORBIDDEN_WORDS_MAX, WordCheck, Words, draw_pairs};

pub use team::{INVITATION_MS, Invitation, REASON_CHARS_MAX, Team, TeamAction, TeamCommand};
pub use user::{SETTINGS_MAX, USER_TEXT_CHARS_MAX, User, UserAction, UserCommand};

pub use replay::{REPLAY_MS, Replay, ReplayCommand, ReplayName};

pub use bot::{Answer, Ask, Asking, Bot, BotSetup, Caller, PassingTime, Recovered, Seat, Standing, Starting};
pub use bot::{Feed, FeedLine, FeedNews, NextLine};
pub use bot::{Message, News, Report, ShownWords, Situation, Subject};

pub use boards::{
    BestGame, Board, Boards, CameAs, Contender, Cursor, GameStatus, GameSummary, HistoryPage, MatchedRound,
    MatchedRounds, Period, PlayerRecord, PlayerResult, Ranked, Tally, TeamRecord, TeamResult,
};

pub use event::GameEvent;
pub use payload::*;
