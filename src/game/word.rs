//! A word that a player may say, and pairs of them.

use super::ids::{PlayerId, TeamId};
use super::team::is_unseen;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::error::Error as StdError;
use std::fmt;

/// What a player says who does not want to go on with a pair. It is no word.
pub const GIVE_UP: &str = "give up";

/// A word as somebody said it: 2 to 50 letters, with hyphens and apostrophes between them.
///
/// Whether it is in the dictionary is another question, which [`Words`](crate::game::Words) answers.
///
/// ```
/// use scorebook::game::{Word, WordFault};
/// assert_eq!(Word::new(" Cat ").map(|word| word.to_string()), Ok("Cat".to_owned()));
/// assert_eq!(Word::new("c4t"), Err(WordFault::Strange('4')));
/// assert_eq!(Word::new("x"), Err(WordFault::TooShort));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Word(String);

/// Why something is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordFault {
    /// There is nothing.
    Empty,
    /// It has less than 2 characters.
    TooShort,
    /// It has more than 50 characters.
    TooLong,
    /// It holds what is no letter, nor a hyphen or an apostrophe between two letters.
    Strange(char),
    /// The dictionary does not have it.
    Unknown,
}

/// The two words of a team: the first for its first player, the second for its second.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WordPair(pub Word, pub Word);

impl Word {
    /// The fewest characters of a word.
    pub const CHARS_MIN: usize = 2;
    /// The most characters of a word.
    pub const CHARS_MAX: usize = 50;

    /// Takes a word as it was said; white space around it does not belong to it.
    ///
    /// # Errors
    ///
    /// * Why it is none: nothing there, too short, too long, or a strange character.
    pub fn new(text: &str) -> Result<Word, WordFault> {
        let word = text.trim();
        // What is far too long is not looked at: nobody knows what is in it.
        let chars = word.chars().take(Word::CHARS_MAX + 1).count();
        match chars {
            0 => return Err(WordFault::Empty),
            chars if Word::CHARS_MAX < chars => return Err(WordFault::TooLong),
            _ => {}
        }
        let is_inner = |c: char| ['-', '\'', '’'].contains(&c);
        let mut may_be_inner = false;
        for c in word.chars() {
            if is_unseen(c) || !(c.is_alphabetic() || may_be_inner && is_inner(c)) {
                return Err(WordFault::Strange(c));
            }
            may_be_inner = c.is_alphabetic();
        }
        match word.chars().next_back() {
            Some(last) if is_inner(last) => Err(WordFault::Strange(last)),
            _ if chars < Word::CHARS_MIN => Err(WordFault::TooShort),
            _ => Ok(Word(word.to_owned())),
        }
    }

    /// The word as it was said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The word without case, and with the plain apostrophe: which one is typed is up to the keyboard.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase().replace('’', "'")
    }

    /// Whether two words are the same, but for case and the kind of apostrophe.
    #[must_use]
    pub fn is_same(&self, other: &Word) -> bool {
        self.folded() == other.folded()
    }
}

impl WordPair {
    /// The word of one of the team's players.
    #[must_use]
    pub fn of(&self, team: TeamId, player: PlayerId) -> &Word {
        if team.players()[0] == player { &self.0 } else { &self.1 }
    }

    /// The words that two of a team's players have said, in the order of the team.
    pub(super) fn said(team: TeamId, (player, word): (PlayerId, &Word), others: &Word) -> WordPair {
        let (word, others) = (word.clone(), others.clone());
        if team.players()[0] == player { WordPair(word, others) } else { WordPair(others, word) }
    }
}

/// Whether a message says that its author gives up.
pub(super) fn is_give_up(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_lowercase);
    GIVE_UP.split(' ').all(|word| words.next().as_deref() == Some(word)) && words.next().is_none()
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        struct AsSaid;

        impl de::Visitor<'_> for AsSaid {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Word, E> {
                Word::new(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(AsSaid)
    }
}

impl TryFrom<String> for Word {
    type Error = WordFault;

    fn try_from(text: String) -> Result<Word, WordFault> {
        Word::new(&text)
    }
}

impl From<Word> for String {
    fn from(word: Word) -> String {
        word.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordFault::Empty => f.write_str("there is no word"),
            WordFault::TooShort => write!(f, "a word has at least {} characters", Word::CHARS_MIN),
            WordFault::TooLong => write!(f, "a word has at most {} characters", Word::CHARS_MAX),
            WordFault::Strange(c) => write!(f, "`{}` does not belong in a word", c.escape_debug()),
            WordFault::Unknown => f.write_str("the word is not in the dictionary"),
        }
    }
}

impl StdError for WordFault {}
