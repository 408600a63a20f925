//! What a handler of Discord's commands calls: it finds the game, does what is asked once, and says what everybody should
//! now be shown.
//!
//! ```text
//! ask ──► seats, membership   where the player is: asked of the store
//!     ──► deciding            one batch: games, teams, users, a refusal that is kept, the name of a replay
//!     ──► answer, message     read back from what was appended, so that a repeat is told the same
//!     ──► looking, report     what is asked of the boards, and changes nothing
//! schedule: what is due when; recovery: going on after the bot was away; feed: a game as spectators see it
//! ```
//!
//! No Discord library is needed: a handler makes a [`Caller`] and an [`Ask`] of what it was handed, and sends the
//! [`Message`]s of the answer.

mod answer;
mod ask;
mod asking;
mod deciding;
mod feed;
mod looking;
mod membership;
mod message;
mod parse;
mod recovery;
mod refusing;
mod report;
mod said;
mod schedule;
mod seats;
mod setup;
mod showing;
mod teaming;
mod user;

pub use answer::Answer;
pub use ask::{Ask, Caller, Standing};
pub use asking::{Asking, PassingTime};
pub use feed::{Feed, FeedLine, FeedNews, NextLine};
pub use message::{Message, News, ShownWords, Situation, Subject};
pub use recovery::{Recovered, Starting};
pub use report::Report;
pub use seats::Seat;
pub use setup::BotSetup;

use super::ids::{GameId, InteractionId, PlayerId};
use super::moment::Moment;
use schedule::Schedule;
use scorebook::{Error, EventStore, Registry};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;

/// The games, teams and users of a store, as a bot serves them. Cheap to clone; clones are the same bot.
///
/// It keeps nothing that is not in the store but when to look at which game again. Who plays where, which words a player said
/// last, whether an interaction was seen before: all of that is asked of the store each time, and is a condition of what is
/// appended.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Ask, Bot, BotSetup, Caller, GameConfig, Mode, Situation};
///
/// let store = EventStore::open_in_memory()?;
/// let (bot, recovered) = Bot::start(&store, BotSetup::default()).wait()?;
/// assert!(recovered.games().is_empty());
///
/// let mut interactions = 1..;
/// let mut ask = |player: u64, ask| {
///     let caller = Caller::in_guild(interactions.next().unwrap_or(0).into(), player.into(), 9.into(), 10.into());
///     bot.ask(caller.named(format!("player {player}")), ask).wait() // or .await
/// };
/// let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 4 };
/// let game = ask(7, Ask::Open { config }).expect("anybody may").game().expect("it is open");
/// ask(7, Ask::Join { game }).expect("there is room");
/// ask(8, Ask::Join { game }).expect("there is room");
/// let started = ask(8, Ask::Start { game: None }).expect("two are a team");
/// assert_eq!(started.messages().count(), 2);
/// assert!(matches!(started.message_to(7.into()).and_then(|of| of.situation()), Some(Situation::Say { .. })));
///
/// ask(7, Ask::Guess { game: None, word: "anchor".to_owned() }).expect("it is in the dictionary");
/// let matched = ask(8, Ask::Guess { game: None, word: "Anchors".to_owned() }).expect("it is, too");
/// assert_eq!(matched.message_to(7.into()).and_then(|of| of.situation()), Some(&Situation::Over));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bot {
    inner: Arc<Inner>,
}

struct Inner {
    store: EventStore,
    registry: Registry,
    setup: BotSetup,
    schedule: Schedule,
}

impl Bot {
    /// Takes up what a store holds, once it is waited for: every game that is not over goes on as if the bot had not been
    /// away. There is no other way to a bot, so none forgets.
    pub fn start(store: &EventStore, setup: BotSetup) -> Starting {
        Starting::new(store.clone(), setup)
    }

    /// Asks the bot for something. It is done when the answer is waited for, or awaited in any runtime; from as many tasks at
    /// once as there are.
    pub fn ask(&self, caller: Caller, ask: Ask) -> Asking {
        Asking::new(self.clone(), caller, ask)
    }

    /// Does what is due by now. What comes of it is to be told like any answer.
    pub fn pass_time(&self) -> PassingTime {
        PassingTime::new(self.clone())
    }

    /// When something is due next: time to [let it pass](Self::pass_time) again. `None` where nothing is. An answer may bring it
    /// forward.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.inner.schedule.next_due()
    }

    /// The games that a player is in and that are not over, by asking the store: the newest first. At most one of them is not
    /// longform.
    ///
    /// # Errors
    ///
    /// * What keeps the store from being read.
    pub fn games_of(&self, player: PlayerId) -> Result<Vec<Seat>, Error> {
        seats::all(self.inner.store.read_all().matching(seats::query(player)))
    }

    /// A game as spectators see it, from its first event on and then live.
    pub fn feed(&self, game: GameId) -> Feed {
        Feed::new(&self.inner.store, &self.inner.registry, game)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &EventStore {
        &self.inner.store
    }
}

impl Inner {
    fn now(&self) -> Moment {
        (self.setup.clock)()
    }

    fn chance(&self) -> u64 {
        (self.setup.chance)()
    }

    /// A number from chance and from what it is for: where chance says the same again, it is another one for something else.
    fn chance_for(&self, what: impl Hash) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((self.chance(), what))
    }

    /// The id of the game that an interaction opens, if it opens one.
    fn new_game(&self, at: Moment, interaction: InteractionId) -> GameId {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.chance_for((interaction, 0)).to_le_bytes());
        bytes[8..].copy_from_slice(&self.chance_for((interaction, 1)).to_le_bytes()[..2]);
        GameId::new(at, bytes)
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bot, {} matters on its schedule", self.inner.schedule.len())
    }
}
