//! Finished games under a name that people can say: `word-123`.

use super::event::GameEvent;
use super::ids::{GameId, PlayerId};
use super::moment::Moment;
use super::payload::{ReplayAccess, ReplayAccessed, ReplayCreated};
use super::refusal::Refusal;
use super::words::Words;
use scorebook::{Aggregate, EventContext, StreamName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// For how long a finished game can be found by its name: 30 days. The game itself stays.
pub const REPLAY_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// The name of a finished game: a word of lower-case letters, a hyphen and a number of at least three digits.
///
/// ```
/// use scorebook::game::ReplayName;
/// let name: ReplayName = "Otter-123".parse().expect("case is no matter");
/// assert_eq!(name.to_string(), "otter-123");
/// assert!("otter-12".parse::<ReplayName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplayName(String);

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 64;

impl ReplayName {
    /// Draws a name. With each attempt that found it taken there is more to draw from, so that one is free soon, however many
    /// games there were.
    pub(super) fn draw(words: &dyn Words, attempt: u32, chance: &mut dyn FnMut() -> u64) -> ReplayName {
        let count = u64::try_from(words.count()).unwrap_or(u64::MAX);
        let number = chance().checked_rem(count).and_then(|number| usize::try_from(number).ok());
        let word = number.and_then(|number| words.word(number)).map(|word| word.folded());
        let is_plain = |word: &String| word.bytes().all(|byte| byte.is_ascii_lowercase()) && word.len() <= 40;
        let word = word.filter(is_plain).unwrap_or_else(|| "game".to_owned());
        let least = 100 * 10_u64.pow((attempt / 4).min(15));
        ReplayName(format!("{word}-{}", least + chance() % (9 * least)))
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReplayName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<ReplayName, Refusal> {
        let name = text.trim();
        let is_name = |(word, number): (&str, &str)| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_alphabetic())
                && 3 <= number.len()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_name = name.len() <= NAME_BYTES_MAX && name.split_once('-').is_some_and(is_name);
        if is_name { Ok(ReplayName(name.to_ascii_lowercase())) } else { Err(Refusal::ReplayNotFound) }
    }
}

impl TryFrom<String> for ReplayName {
    type Error = Refusal;

    fn try_from(text: String) -> Result<ReplayName, Refusal> {
        text.parse()
    }
}

impl From<ReplayName> for String {
    fn from(name: ReplayName) -> String {
        name.0
    }
}

impl fmt::Display for ReplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ReplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A finished game as it can be looked at again, as an aggregate of the stream `replay-{game}`.
///
/// What happened in the game is in the game's own stream, and its statistics are [worked out](super::GameStats::of) from there:
/// a copy could only differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    id: Option<GameId>,
    created: Option<ReplayCreated>,
    accesses: u64,
}

/// What is noted about a finished game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayCommand {
    /// That it has a name.
    Create(ReplayCreated),
    /// That somebody has looked.
    Access {
        /// Who.
        by: PlayerId,
        /// What for.
        access: ReplayAccess,
        /// When.
        at: Moment,
    },
}

impl Replay {
    /// What there is to be looked at; `None` of a game that has no name.
    #[must_use]
    pub fn created(&self) -> Option<&ReplayCreated> {
        self.created.as_ref()
    }

    /// How often somebody has looked. Who and when is in the stream.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.accesses
    }
}

impl Aggregate for Replay {
    type Event = GameEvent;
    type Command = ReplayCommand;
    type Refusal = Refusal;

    fn new(stream: &StreamName) -> Replay {
        let id = GameId::of_replay(stream);
        Replay { id, created: None, accesses: 0 }
    }

    fn decide(&self, command: &ReplayCommand) -> Result<Vec<GameEvent>, Refusal> {
        let id = self.id.ok_or(Refusal::InvalidStream)?;
        match (command, &self.created) {
            (ReplayCommand::Create(of), None) if of.game_id == id => Ok(vec![of.clone().into()]),
            (ReplayCommand::Create(_), None) => Err(Refusal::InvalidStream),
            (ReplayCommand::Create(_), Some(_)) => Ok(Vec::new()),
            (ReplayCommand::Access { .. }, None) => Err(Refusal::ReplayNotFound),
            (ReplayCommand::Access { by, access, at }, Some(created)) => {
                let (guild_id, user_id, access) = (created.guild_id, *by, *access);
                Ok(vec![ReplayAccessed { game_id: id, guild_id, user_id, access, accessed_at: *at }.into()])
            }
        }
    }

    fn apply(&mut self, event: &GameEvent, _context: &EventContext<'_>) {
        match event {
            GameEvent::ReplayCreated(of) => self.created = Some(of.clone()),
            GameEvent::ReplayAccessed(_) => self.accesses = self.accesses.saturating_add(1),
            _ => {}
        }
    }
}
