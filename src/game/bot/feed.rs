//! A game as spectators see it. Whoever plays may be among them, so they are told nothing that a player is not to know yet.

use super::message::{At, News, both, words};
use super::showing::{self, To};
use crate::game::{GameEvent, GameId, Mode, Moment, PlayerId, TeamId, WordPair};
use scorebook::{Error, EventStore, Followed, Query, RecordedEvent, Registry, Start, Subscription, Version};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// A game as spectators see it: line by line from its first event on, and then live, until it is over.
///
/// No line gives an open secret away. Which word waits for the partner's is never told; two words are, when they were
/// compared, for then both players know them. The words that were dealt are told to each player alone, so here they are told
/// when the team's round is over. So a player gets nothing from here that could help.
///
/// It follows the log with a [`Subscription`], so a slow spectator costs nothing and misses nothing. It does not keep the store
/// open.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Ask, Bot, BotSetup, Caller, GameConfig};
///
/// let store = EventStore::open_in_memory()?;
/// let (bot, _) = Bot::start(&store, BotSetup::default()).wait()?;
/// let mut interactions = 1..;
/// let mut ask = |player: u64, ask: Ask| {
///     let caller = Caller::in_guild(interactions.next().unwrap_or(0).into(), player.into(), 9.into(), 10.into());
///     bot.ask(caller, ask).wait()
/// };
/// let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 4 };
/// let game = ask(7, Ask::Open { config })?.game().ok_or("it is open")?;
/// ask(7, Ask::Join { game })?;
/// ask(8, Ask::Join { game })?;
/// ask(8, Ask::Start { game: None })?;
/// ask(7, Ask::Guess { game: None, word: "anchor".to_owned() })?;
///
/// let mut feed = bot.feed(game);
/// let mut seen = Vec::new();
/// while let Some(line) = feed.try_next()? {
///     seen.push(line.to_string());
/// }
/// assert_eq!(seen.last().map(String::as_str), Some("<@7> has said a word."));
///
/// ask(8, Ask::Guess { game: None, word: "Anchors".to_owned() })?;
/// let line = feed.next_line().wait()?.ok_or("it is not over")?; // or .await
/// assert_eq!(line.to_string(), "<@7> and <@8>: anchor and Anchors: a match, at attempt 1!");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a feed gives nothing until it is asked"]
pub struct Feed {
    following: Subscription,
    registry: Registry,
    watcher: Watcher,
    /// What was seen and not given yet.
    lines: VecDeque<FeedLine>,
    /// Whether nothing comes any more.
    is_over: bool,
}

/// A line for spectators. [`Display`](fmt::Display) puts it into words, with players as Discord mentions them.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedLine {
    /// When it happened.
    pub at: Moment,
    /// Up to which version of its stream it is told.
    pub version: Version,
    /// What has happened.
    pub news: FeedNews,
}

/// Something that is new to spectators.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedNews {
    /// A game was opened.
    Opened {
        /// How it is played.
        mode: Mode,
        /// By whom.
        by: PlayerId,
    },
    /// Something that everybody in the game is told.
    Of(News),
    /// Something that a team is told.
    OfTeam {
        /// Which team.
        team: TeamId,
        /// What it is told.
        news: News,
    },
    /// A player has said the first of two words. Which, is a secret.
    Spoke {
        /// Who.
        player: PlayerId,
    },
    /// The words that were dealt to a team in a round that is over for it.
    Dealt {
        /// The team.
        team: TeamId,
        /// The words, in the order of the team.
        words: WordPair,
    },
}

/// What comes next of a feed: wait for it on a thread, or await it in any runtime. Nothing is lost where this is dropped.
#[must_use = "nothing is given until it is waited for or awaited"]
pub struct NextLine<'a>(&'a mut Feed);

impl Feed {
    pub(super) fn new(store: &EventStore, registry: &Registry, game: GameId) -> Feed {
        // The name of its replay stands in a stream of its own, right behind the end of the game.
        let replay = Query::all().in_stream(&game.replay_stream()).of_type("replay_created");
        let following = store.subscribe(Query::all().in_stream(&game.stream()).or(replay), Start::Beginning);
        let (registry, watcher) = (registry.clone(), Watcher::default());
        Feed { following, registry, watcher, lines: VecDeque::new(), is_over: false }
    }

    /// What comes next: to be waited for, or awaited. `None` once the game is over and all of it was told.
    pub fn next_line(&mut self) -> NextLine<'_> {
        NextLine(self)
    }

    /// What comes next, where it is there at once. `None` also where the game goes on and nothing is new.
    ///
    /// # Errors
    ///
    /// Those of [`NextLine::wait`].
    pub fn try_next(&mut self) -> Result<Option<FeedLine>, Error> {
        while !self.is_settled() {
            match self.following.try_next()? {
                Some(followed) => self.take(followed)?,
                None => break,
            }
        }
        Ok(self.lines.pop_front())
    }

    /// Whether the game is over and all of it was told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over && self.lines.is_empty()
    }

    /// Whether there is something to give, or never will be.
    fn is_settled(&self) -> bool {
        !self.lines.is_empty() || self.is_over
    }

    fn take(&mut self, followed: Followed) -> Result<(), Error> {
        match followed {
            Followed::Event(event) => self.see(&event),
            Followed::CaughtUp { .. } => {
                self.is_over = self.watcher.has_ended;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn see(&mut self, recorded: &RecordedEvent) -> Result<(), Error> {
        let version = recorded.version();
        for event in self.registry.decode::<GameEvent>(recorded)? {
            let at = event.moment().unwrap_or_default();
            let lines = self.watcher.see(&event).into_iter().map(|news| FeedLine { at, version, news });
            self.lines.extend(lines);
            self.is_over |= matches!(event, GameEvent::ReplayCreated(_) | GameEvent::GameCancelled(_));
        }
        Ok(())
    }
}

impl NextLine<'_> {
    /// Waits for it.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](EventStore::subscribe); and [`Decode`](scorebook::ErrorKind::Decode),
    /// [`UnknownType`](scorebook::ErrorKind::UnknownType) where something in the game's stream cannot be read. It is passed by
    /// where one goes on.
    pub fn wait(self) -> Result<Option<FeedLine>, Error> {
        let feed = self.0;
        while !feed.is_settled() {
            let followed = feed.following.next().wait()?;
            feed.take(followed)?;
        }
        Ok(feed.lines.pop_front())
    }
}

impl<'a> IntoFuture for NextLine<'a> {
    type Output = Result<Option<FeedLine>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let feed = self.0;
            while !feed.is_settled() {
                let followed = feed.following.next().await?;
                feed.take(followed)?;
            }
            Ok(feed.lines.pop_front())
        })
    }
}

/// Who watches a game: what was dealt and may not be told yet is all it keeps.
#[derive(Default)]
struct Watcher {
    dealt: BTreeMap<TeamId, Vec<WordPair>>,
    has_ended: bool,
}

impl Watcher {
    fn see(&mut self, event: &GameEvent) -> Vec<FeedNews> {
        let mut seen = Vec::new();
        match event {
            GameEvent::GameCreated(of) => seen.push(FeedNews::Opened { mode: of.base.mode, by: of.created_by }),
            event => seen.extend(showing::of_game(event).map(|(to, news)| FeedNews::to(to, news))),
        }
        match event {
            GameEvent::RoundStarted(of) => {
                for (team, state) in &of.team_states {
                    self.dealt.entry(*team).or_default().push(state.words.clone());
                }
            }
            GameEvent::WordsDealt(of) => self.dealt.entry(of.team_id).or_default().push(of.words.clone()),
            // IMPORTANT: a pair that missed or was given up is not the end of a round, and each player still has to guess at
            // what the other was dealt.
            GameEvent::GuessProcessed(of) if of.guess_successful => self.tell_dealt(Some(of.team_id), &mut seen),
            GameEvent::TeamEliminated(of) => self.tell_dealt(Some(of.team_id), &mut seen),
            GameEvent::RoundCompleted(of) => self.tell_dealt(of.team_id, &mut seen),
            GameEvent::GameCompleted(_) | GameEvent::GameCancelled(_) => {
                self.has_ended = true;
                self.tell_dealt(None, &mut seen);
            }
            _ => {}
        }
        seen
    }

    /// Tells what was dealt to a team, or to all: their rounds are over.
    fn tell_dealt(&mut self, team: Option<TeamId>, seen: &mut Vec<FeedNews>) {
        let over = match team {
            Some(team) => self.dealt.remove_entry(&team).into_iter().collect(),
            None => std::mem::take(&mut self.dealt),
        };
        for (team, dealt) in over {
            seen.extend(dealt.into_iter().map(|words| FeedNews::Dealt { team, words }));
        }
    }
}

impl FeedNews {
    /// What players are told, to whom of them, as it is told to others.
    fn to(to: To, news: News) -> FeedNews {
        match to {
            To::Everybody => FeedNews::Of(news),
            To::Team(team) => FeedNews::OfTeam { team, news },
            To::PartnerOf(_, player) => FeedNews::Spoke { player },
        }
    }
}

impl fmt::Display for FeedNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeedNews::Opened { mode, by } => write!(f, "{} has opened a {} game.", At(*by), words(mode.name())),
            FeedNews::Of(news) => news.fmt(f),
            FeedNews::OfTeam { team, news } => write!(f, "{}: {news}", both(*team)),
            FeedNews::Spoke { player } => write!(f, "{} has said a word.", At(*player)),
            FeedNews::Dealt { team, words: WordPair(first, second) } => {
                write!(f, "{} were dealt {first} and {second}.", both(*team))
            }
        }
    }
}

impl fmt::Display for FeedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.news.fmt(f)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_over() { "over" } else { "going on" };
        write!(f, "feed of a game, {state}, at position {}", self.following.position())
    }
}

impl fmt::Debug for NextLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the next line of a {:?}", self.0)
    }
}
