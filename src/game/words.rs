//! The words there are: those that can be dealt, and those that can be said.

use super::judge::{EnglishJudge, Judge, Outcome};
use super::word::{Word, WordPair};
use diceware_wordlists::{BEALE_WORDLIST, EFF_LONG_WORDLIST, REINHOLD_WORDLIST};
use std::collections::HashSet;
use std::fmt;

/// A dictionary.
pub trait Words: Send + Sync {
    /// How many words can be dealt.
    fn count(&self) -> usize;

    /// One of the words that can be dealt, by its number from 0; `None` beyond the last.
    fn word(&self, number: usize) -> Option<Word>;

    /// Whether a player may say this word, in whatever case.
    fn knows(&self, word: &Word) -> bool;

    /// Whether one word is a form of the other: who may not say the one may not say the other. Default: they are the same
    /// but for case.
    ///
    /// It should hold where the [`Judge`](super::Judge) says that they match. Else a player says what the partner said, in
    /// the plural, and the partner says it again.
    fn is_form(&self, one: &Word, other: &Word) -> bool {
        one.is_same(other)
    }
}

/// What the dictionary and a player's last words say of a word.
///
/// Neither is in a game: the dictionary may change, and the last words of a player are found by asking the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordCheck {
    /// It may be said.
    Valid,
    /// The dictionary does not have it.
    Unknown,
    /// The player has said it not long ago, or another form of it.
    Forbidden,
}

/// How many of a player's last valid guesses are forbidden to them, over all games.
pub const FORBIDDEN_WORDS_MAX: usize = 12;

impl WordCheck {
    /// Checks a word: `last` are the player's last valid guesses, the newest first, of which 12 count.
    ///
    /// ```
    /// use scorebook::game::{EnglishWords, Word, WordCheck};
    /// let (words, last) = (EnglishWords::new(), [Word::new("Anchor").unwrap()]);
    /// let check = |word| WordCheck::of(&words, &last, &Word::new(word).unwrap());
    /// assert_eq!(check("anchors"), WordCheck::Forbidden);
    /// assert_eq!(check("bagels"), WordCheck::Valid);
    /// assert_eq!(check("qwxz"), WordCheck::Unknown);
    /// ```
    #[must_use]
    pub fn of(words: &dyn Words, last: &[Word], word: &Word) -> WordCheck {
        if !words.knows(word) {
            WordCheck::Unknown
        } else if last.iter().take(FORBIDDEN_WORDS_MAX).any(|last| words.is_form(last, word)) {
            WordCheck::Forbidden
        } else {
            WordCheck::Valid
        }
    }
}

/// Draws pairs of words to be dealt: each of two different words, neither of which is forbidden. A pair that has one is
/// silently drawn again. Fewer than asked for only where the dictionary has nothing else.
///
/// `chance` gives a number that nobody foresees at each call; with the same numbers the same pairs are drawn.
///
/// ```
/// use scorebook::game::{EnglishWords, draw_pairs};
/// let mut numbers = (0..).step_by(7);
/// let pairs = draw_pairs(&EnglishWords::new(), 3, &mut || numbers.next().unwrap_or(0), &|_| false);
/// assert_eq!(pairs.len(), 3);
/// ```
#[must_use]
pub fn draw_pairs(
    words: &dyn Words,
    pairs: usize,
    chance: &mut dyn FnMut() -> u64,
    is_forbidden: &dyn Fn(&Word) -> bool,
) -> Vec<WordPair> {
    let mut draw = |unlike: Option<&Word>| {
        draw_word(words, chance, &|word| is_forbidden(word) || unlike.is_some_and(|unlike| unlike.is_same(word)))
    };
    let mut pair = || {
        let first = draw(None)?;
        let second = draw(Some(&first))?;
        Some(WordPair(first, second))
    };
    (0..pairs).map_while(|_| pair()).collect()
}

/// The word at a place that chance says, or the next one that is not forbidden.
fn draw_word(words: &dyn Words, chance: &mut dyn FnMut() -> u64, is_forbidden: &dyn Fn(&Word) -> bool) -> Option<Word> {
    let count = words.count();
    // The remainder is less than a count, which is a `usize`.
    let start = usize::try_from(chance().checked_rem(u64::try_from(count).ok()?)?).ok()?;
    (start..count).chain(0..start).filter_map(|number| words.word(number)).find(|word| !is_forbidden(word))
}

/// English words, free to use and part of the program: over six thousand to be dealt, and more to be said.
///
/// Those to be dealt are of the long list of the Electronic Frontier Foundation (CC BY 3.0 US), which was chosen to be well
/// known: its words of 3 to 8 letters. What may be said are the words of this list and of Reinhold's and Beale's lists
/// (CC BY 3.0) that are made of letters, and all their forms: every word with the [base form](EnglishJudge::base_form) of
/// one of them. A dictionary with more is an implementation of [`Words`] away.
pub struct EnglishWords {
    dealt: Vec<&'static str>,
    /// The base forms of all words that may be said.
    base_forms: HashSet<String>,
    judge: EnglishJudge,
}

/// Shorter ones of the lists are abbreviations more often than words.
const LETTERS_MIN: usize = 3;

/// Words to be dealt have "3–8" letters.
const LETTERS_DEALT_MAX: usize = 8;

/// The lists, by reference: as values they are copied wherever they go, and fill the stack of a thread.
const LISTS: [&[&str]; 3] = [&EFF_LONG_WORDLIST, &REINHOLD_WORDLIST, &BEALE_WORDLIST];

impl EnglishWords {
    /// Takes in the lists: some milliseconds. Those who need them often keep them.
    #[must_use]
    pub fn new() -> EnglishWords {
        let judge = EnglishJudge::new();
        let is_word = |word: &&str| LETTERS_MIN <= word.len() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let lists = LISTS.map(|list| list.iter().copied().filter(is_word));
        let said = lists.clone().into_iter().flatten().filter_map(|word| Word::new(word).ok());
        let base_forms = said.map(|word| judge.base_form(&word)).collect();
        let [longest, ..] = lists;
        let dealt = longest.filter(|word| word.len() <= LETTERS_DEALT_MAX).collect();
        EnglishWords { dealt, base_forms, judge }
    }
}

impl Words for EnglishWords {
    fn count(&self) -> usize {
        self.dealt.len()
    }

    fn word(&self, number: usize) -> Option<Word> {
        self.dealt.get(number).and_then(|word| Word::new(word).ok())
    }

    fn knows(&self, word: &Word) -> bool {
        self.base_forms.contains(&self.judge.base_form(word))
    }

    fn is_form(&self, one: &Word, other: &Word) -> bool {
        self.judge.judge(one, other) == Outcome::Match
    }
}

impl Default for EnglishWords {
    fn default() -> EnglishWords {
        EnglishWords::new()
    }
}

impl fmt::Debug for EnglishWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} English words to deal, {} to say", self.dealt.len(), self.base_forms.len())
    }
}
