//! The games of a guild that are over, page by page.

use super::folding::Boards;
use super::summary::GameSummary;
use crate::game::{GuildId, Moment, PlayerId, Refusal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A place between two games of a history. It stays where it is whatever ends meanwhile: games of one moment are told apart by
/// their positions in the log. It can be written into a message, or behind a button, and read again.
///
/// ```
/// use scorebook::game::Cursor;
/// let cursor: Cursor = "1700000000000-42".parse()?;
/// assert_eq!(cursor.to_string(), "1700000000000-42");
/// assert!("42".parse::<Cursor>().is_err());
/// # Ok::<(), scorebook::game::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    at: Moment,
    position: u64,
}

/// Some games of a history, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryPage {
    /// The games.
    pub games: Vec<GameSummary>,
    /// Where the next page begins; none behind the oldest game.
    pub next: Option<Cursor>,
}

impl Boards {
    /// The games of a guild that are over, completed or cancelled, the newest first: so many of those before a cursor, or of
    /// all; of one player, or of all. Through all pages each game comes once, whatever ends meanwhile.
    #[must_use]
    pub fn history(
        &self,
        guild: GuildId,
        player: Option<PlayerId>,
        before: Option<Cursor>,
        limit: usize,
    ) -> HistoryPage {
        let is_before = |key: (Moment, u64)| before.is_none_or(|before| key < (before.at, before.position));
        let is_meant = |game: &GameSummary| player.is_none_or(|player| game.has(player));
        let ended = self.ended(guild).rev().filter(|ended| is_before(ended.key()) && is_meant(&ended.summary));
        let mut found: Vec<_> = ended.take(limit.saturating_add(1)).collect();
        let has_more = limit < found.len();
        found.truncate(limit);
        let last = found.last().map(|ended| Cursor { at: ended.key().0, position: ended.position });
        let next = if has_more { last.or(before) } else { None };
        HistoryPage { games: found.into_iter().map(|ended| ended.summary.clone()).collect(), next }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.millis(), self.position)
    }
}

impl FromStr for Cursor {
    type Err = Refusal;

    /// Reads a cursor as it is written.
    fn from_str(text: &str) -> Result<Cursor, Refusal> {
        let numbers = text.split_once('-').and_then(|(at, position)| Some((at.parse().ok()?, position.parse().ok()?)));
        let cursor = numbers.map(|(at, position)| Cursor { at: Moment::from_millis(at), position });
        cursor.filter(|cursor| cursor.to_string() == text).ok_or(Refusal::UnknownCommand)
    }
}
